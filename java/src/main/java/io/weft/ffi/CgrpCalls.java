// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Channel groups: {@code <weft/cgrp.h>}. */
public final class CgrpCalls {
    private static final MethodHandle CREATE = Downcalls.link(
            "weft_cgrp_create", CType.INT, CType.pointer("weft_cgrp_t"));
    private static final MethodHandle FREE = Downcalls.link("weft_cgrp_free", CType.INT, CType.CGRP);
    private static final MethodHandle ADD = Downcalls.link(
            "weft_cgrp_add", CType.INT, CType.CGRP, CType.CHAN, CType.UINT64);
    private static final MethodHandle REMOVE = Downcalls.link("weft_cgrp_remove", CType.INT, CType.CGRP, CType.CHAN);
    private static final MethodHandle WAIT = Downcalls.link(
            "weft_cgrp_wait", CType.INT, CType.CGRP, CType.pointer("struct weft_event"));
    private static final MethodHandle WAIT_UNTIL = Downcalls.link(
            "weft_cgrp_wait_until", CType.INT, CType.CGRP, CType.pointer("struct weft_event"), CType.INT64);
    private static final MethodHandle TRY_WAIT = Downcalls.link(
            "weft_cgrp_try_wait", CType.INT, CType.CGRP, CType.pointer("struct weft_event"));

    private CgrpCalls() {}

    /** {@code int weft_cgrp_create(weft_cgrp_t *out)} */
    public static int create(MemorySegment out) {
        try {
            return (int) CREATE.invokeExact(out);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_cgrp_free(weft_cgrp_t cgrp)} */
    public static int free(long cgrp) {
        try {
            return (int) FREE.invokeExact(cgrp);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_cgrp_add(weft_cgrp_t cgrp, weft_chan_t chan, uint64_t mark)} */
    public static int add(long cgrp, long chan, long mark) {
        try {
            return (int) ADD.invokeExact(cgrp, chan, mark);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_cgrp_remove(weft_cgrp_t cgrp, weft_chan_t chan)} */
    public static int remove(long cgrp, long chan) {
        try {
            return (int) REMOVE.invokeExact(cgrp, chan);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_cgrp_wait(weft_cgrp_t cgrp, struct weft_event *event)} */
    public static int await(long cgrp, MemorySegment event) {
        try {
            return (int) WAIT.invokeExact(cgrp, event);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_cgrp_wait_until(weft_cgrp_t cgrp, struct weft_event *event, int64_t deadline_ns)} */
    public static int waitUntil(long cgrp, MemorySegment event, long deadlineNs) {
        try {
            return (int) WAIT_UNTIL.invokeExact(cgrp, event, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_cgrp_try_wait(weft_cgrp_t cgrp, struct weft_event *event)} */
    public static int tryWait(long cgrp, MemorySegment event) {
        try {
            return (int) TRY_WAIT.invokeExact(cgrp, event);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
