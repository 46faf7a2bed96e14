// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.invoke.MethodHandle;

/** Rings, as far as C has to do with what {@link Ring} does: {@code <weft/ring.h>}. */
public final class RingCalls {
    private static final MethodHandle RING = Downcalls.link("weft_chan_ring", CType.RING, CType.CHAN);
    private static final MethodHandle RELEASE = Downcalls.link("weft_ring_release", CType.VOID, CType.RING);
    private static final MethodHandle SENT = Downcalls.link("weft_chan_sent", CType.INT, CType.CHAN, CType.UINT64);
    private static final MethodHandle RECEIVED = Downcalls.link(
            "weft_chan_received", CType.INT, CType.CHAN, CType.UINT64);
    private static final MethodHandle BIND = Downcalls.link(
            "weft_chan_bind", CType.INT, CType.CHAN, CType.UINT32, CType.UINT64);

    private RingCalls() {}

    /** {@code struct weft_ring *weft_chan_ring(weft_chan_t chan)} */
    public static long ring(long chan) {
        try {
            return (long) RING.invokeExact(chan);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code void weft_ring_release(struct weft_ring *ring)} */
    public static void release(long ring) {
        try {
            RELEASE.invokeExact(ring);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_sent(weft_chan_t chan, uint64_t position)} */
    public static int sent(long chan, long position) {
        try {
            return (int) SENT.invokeExact(chan, position);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_received(weft_chan_t chan, uint64_t position)} */
    public static int received(long chan, long position) {
        try {
            return (int) RECEIVED.invokeExact(chan, position);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_bind(weft_chan_t chan, uint32_t end, uint64_t user)} */
    public static int bind(long chan, int end, long user) {
        try {
            return (int) BIND.invokeExact(chan, end, user);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
