// SPDX-License-Identifier: Apache-2.0
package io.weft;

/**
 * The channel is closed. From a receive it means besides that nothing is left in the channel's buffer; from a send,
 * that the value was not sent.
 */
public final class ChanClosedException extends ClosedException {
    private static final long serialVersionUID = 1;

    ChanClosedException() {
        super("the channel is closed");
    }
}
