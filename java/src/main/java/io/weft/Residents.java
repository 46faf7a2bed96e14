// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.util.concurrent.atomic.AtomicLong;

/**
 * Who lives on a kthd, by number: the bodies that were spawned and have not ended, and adopted threads. One word holds
 * the count and, above it, how far the kthd's closing has come:
 *
 * <pre>
 *   n      --beginClosing()-->  n, CLOSING  --n falls to 0-->  CLOSING | CLOSED
 *   0      --tryClose()------------------------------------->  CLOSED   --reopen()--> 0
 * </pre>
 *
 * <p>While it is closing, those who live there may go on spawning. From CLOSED on nobody gets in.
 */
final class Residents {
    private static final long CLOSED = Long.MIN_VALUE;
    private static final long CLOSING = 1L << 62;

    private final AtomicLong state = new AtomicLong();

    /** The last one has gone and no other will come. */
    private final Completion quiet = new Completion();

    /** One more. */
    void add(Kthd kthd) {
        for (;;) {
            long now = state.get();
            if (now < 0) {
                throw new ClosedException(kthd + " is closed");
            }
            if (state.compareAndSet(now, now + 1)) {
                return;
            }
        }
    }

    /** One less; the last one lets those go on who wait for that. */
    void remove() {
        if (state.decrementAndGet() == CLOSING) {
            becomeQuiet();
        }
    }

    boolean isClosed() {
        return state.get() < 0;
    }

    /** Waits until the last one has gone; from then on it is closed. An interrupt is kept for later. */
    void closeAndWait() {
        state.getAndUpdate(now -> now | CLOSING);
        becomeQuiet();
        quiet.awaitUninterruptibly();
    }

    /** Closes if nobody is there and nobody waits for that already. */
    boolean tryClose() {
        return state.compareAndSet(0, CLOSED);
    }

    /** Takes a successful {@link #tryClose} back; who began to wait since then goes on. */
    void reopen() {
        state.getAndUpdate(now -> now & ~CLOSED);
        becomeQuiet();
    }

    /** A successful {@link #tryClose} is final; who began to wait since then goes on, too. */
    void stayClosed() {
        quiet.complete();
    }

    private void becomeQuiet() {
        if (state.compareAndSet(CLOSING, CLOSING | CLOSED)) {
            quiet.complete();
        }
    }
}
