// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Operations under way: {@code <weft/op.h>}. */
public final class OpCalls {
    private static final MethodHandle CHAN_SEND_START = Downcalls.link(
            "weft_chan_send_start", CType.INT, CType.CHAN, CType.UINT64, CType.pointer("struct weft_op"), CType.UINT64);
    private static final MethodHandle CHAN_RECV_START = Downcalls.link(
            "weft_chan_recv_start", CType.INT, CType.CHAN, CType.pointer("struct weft_op"), CType.UINT64);
    private static final MethodHandle CHAN_CLAIM_START = Downcalls.link(
            "weft_chan_claim_start", CType.INT, CType.CHAN, CType.pointer("struct weft_op"), CType.UINT64);
    private static final MethodHandle CHAN_TAKE_START = Downcalls.link(
            "weft_chan_take_start", CType.INT, CType.CHAN, CType.pointer("struct weft_op"), CType.UINT64);
    private static final MethodHandle CGRP_WAIT_START = Downcalls.link(
            "weft_cgrp_wait_start", CType.INT, CType.CGRP, CType.pointer("struct weft_op"), CType.UINT64);
    private static final MethodHandle POLL = Downcalls.linkCritical(
            "weft_op_poll", CType.INT, CType.pointer("struct weft_op"));
    private static final MethodHandle WAIT = Downcalls.link(
            "weft_op_wait", CType.INT, CType.pointer("struct weft_op"), CType.INT64);
    private static final MethodHandle CANCEL = Downcalls.link(
            "weft_op_cancel", CType.INT, CType.pointer("struct weft_op"), CType.INT);
    private static final MethodHandle COMPLETED = Downcalls.link(
            "weft_op_completed", CType.INT, CType.pointer("uint64_t"), CType.INT, CType.INT64);

    private OpCalls() {}

    /** {@code int weft_chan_send_start(weft_chan_t chan, uint64_t value, struct weft_op *op, uint64_t token)} */
    public static int chanSendStart(long chan, long value, MemorySegment op, long token) {
        try {
            return (int) CHAN_SEND_START.invokeExact(chan, value, op, token);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_recv_start(weft_chan_t chan, struct weft_op *op, uint64_t token)} */
    public static int chanRecvStart(long chan, MemorySegment op, long token) {
        try {
            return (int) CHAN_RECV_START.invokeExact(chan, op, token);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_claim_start(weft_chan_t chan, struct weft_op *op, uint64_t token)} */
    public static int chanClaimStart(long chan, MemorySegment op, long token) {
        try {
            return (int) CHAN_CLAIM_START.invokeExact(chan, op, token);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_take_start(weft_chan_t chan, struct weft_op *op, uint64_t token)} */
    public static int chanTakeStart(long chan, MemorySegment op, long token) {
        try {
            return (int) CHAN_TAKE_START.invokeExact(chan, op, token);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_cgrp_wait_start(weft_cgrp_t cgrp, struct weft_op *op, uint64_t token)} */
    public static int cgrpWaitStart(long cgrp, MemorySegment op, long token) {
        try {
            return (int) CGRP_WAIT_START.invokeExact(cgrp, op, token);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_op_poll(struct weft_op *op)} */
    public static int poll(MemorySegment op) {
        try {
            return (int) POLL.invokeExact(op);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_op_wait(struct weft_op *op, int64_t deadline_ns)} */
    public static int await(MemorySegment op, long deadlineNs) {
        try {
            return (int) WAIT.invokeExact(op, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_op_cancel(struct weft_op *op, int reason)} */
    public static int cancel(MemorySegment op, int reason) {
        try {
            return (int) CANCEL.invokeExact(op, reason);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_op_completed(uint64_t *tokens, int max, int64_t deadline_ns)} */
    public static int completed(MemorySegment tokens, int max, long deadlineNs) {
        try {
            return (int) COMPLETED.invokeExact(tokens, max, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
