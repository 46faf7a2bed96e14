// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.spi.AbstractInterruptibleChannel;

/**
 * What is to be done when {@link Thread#interrupt} hits the thread during a wait in native code. The JDK's one public
 * way to hear of an interrupt is to be an interruptible NIO channel that the thread is blocked on: it is closed then,
 * by the interrupting thread. So this is such a channel, without I/O.
 *
 * <p>Used by one thread; serves for one interrupt.
 */
final class Interruption extends AbstractInterruptibleChannel {
    private final Runnable action;

    Interruption(Runnable action) {
        this.action = action;
    }

    /** The wait begins: from here on an interrupt runs the action, at once if the thread is interrupted already. */
    void enter() {
        begin();
    }

    /** The wait is over, and no action runs any more. Returns whether one did: this object is used up then. */
    boolean leave() {
        try {
            end(true);
        } catch (AsynchronousCloseException interrupted) {
            return true;
        }
        return !isOpen();
    }

    @Override
    protected void implCloseChannel() {
        action.run();
    }
}
