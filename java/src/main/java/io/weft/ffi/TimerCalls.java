// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Channels that receive the time: {@code <weft/timer.h>}. */
public final class TimerCalls {
    private static final MethodHandle AFTER = Downcalls.link(
            "weft_timer_after", CType.INT, CType.pointer("weft_chan_t"), CType.INT64);
    private static final MethodHandle EVERY = Downcalls.link(
            "weft_timer_every", CType.INT, CType.pointer("weft_chan_t"), CType.INT64, CType.INT64);
    private static final MethodHandle MISSED = Downcalls.link("weft_timer_missed", CType.INT64, CType.CHAN);
    private static final MethodHandle STOP = Downcalls.link("weft_timer_stop", CType.INT, CType.CHAN);
    private static final MethodHandle RESET = Downcalls.link("weft_timer_reset", CType.INT, CType.CHAN, CType.INT64);

    private TimerCalls() {}

    /** {@code int weft_timer_after(weft_chan_t *out, int64_t at_ns)} */
    public static int after(MemorySegment out, long atNs) {
        try {
            return (int) AFTER.invokeExact(out, atNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_timer_every(weft_chan_t *out, int64_t first_ns, int64_t period_ns)} */
    public static int every(MemorySegment out, long firstNs, long periodNs) {
        try {
            return (int) EVERY.invokeExact(out, firstNs, periodNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int64_t weft_timer_missed(weft_chan_t chan)} */
    public static long missed(long chan) {
        try {
            return (long) MISSED.invokeExact(chan);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_timer_stop(weft_chan_t chan)} */
    public static int stop(long chan) {
        try {
            return (int) STOP.invokeExact(chan);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_timer_reset(weft_chan_t chan, int64_t at_ns)} */
    public static int reset(long chan, long atNs) {
        try {
            return (int) RESET.invokeExact(chan, atNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
