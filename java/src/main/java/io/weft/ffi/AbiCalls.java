// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.invoke.MethodHandle;

/** What is for bindings alone: {@code <weft/abi.h>}. */
public final class AbiCalls {
    private static final MethodHandle VERSION = Downcalls.linkCritical("weft_abi_version", CType.INT);
    private static final MethodHandle SELF = Downcalls.linkCritical("weft_abi_self", CType.SELF);
    private static final MethodHandle LWT_YIELD_AS = Downcalls.link("weft_lwt_yield_as", CType.VOID, CType.SELF);
    private static final MethodHandle LWT_PARK_AS = Downcalls.link(
            "weft_lwt_park_as", CType.INT, CType.SELF, CType.INT64);
    private static final MethodHandle CHAN_SEND_AS = Downcalls.link(
            "weft_chan_send_as", CType.INT, CType.SELF, CType.CHAN, CType.UINT64, CType.INT64);
    private static final MethodHandle CHAN_RECV_AS = Downcalls.link(
            "weft_chan_recv_as", CType.INT, CType.SELF, CType.CHAN, CType.INT64);
    private static final MethodHandle CHAN_CLAIM_AS = Downcalls.link(
            "weft_chan_claim_as", CType.INT, CType.SELF, CType.CHAN, CType.INT64);
    private static final MethodHandle CHAN_TAKE_AS = Downcalls.link(
            "weft_chan_take_as", CType.INT, CType.SELF, CType.CHAN, CType.INT64);
    private static final MethodHandle CHAN_SEND_NOW_AS = Downcalls.linkCritical(
            "weft_chan_send_now_as", CType.INT, CType.SELF, CType.CHAN, CType.UINT64);
    private static final MethodHandle CHAN_RECV_NOW_AS = Downcalls.linkCritical(
            "weft_chan_recv_now_as", CType.INT, CType.SELF, CType.CHAN);
    private static final MethodHandle CGRP_WAIT_AS = Downcalls.link(
            "weft_cgrp_wait_as", CType.INT, CType.SELF, CType.CGRP, CType.INT64);
    private static final MethodHandle NOW_NS = Downcalls.linkCritical("weft_abi_now_ns", CType.INT64);

    private AbiCalls() {}

    /** {@code int weft_abi_version(void)} */
    public static int version() {
        try {
            return (int) VERSION.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code struct weft_self *weft_abi_self(void)} */
    public static long self() {
        try {
            return (long) SELF.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code void weft_lwt_yield_as(struct weft_self *self)} */
    public static void lwtYieldAs(long self) {
        try {
            LWT_YIELD_AS.invokeExact(self);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_park_as(struct weft_self *self, int64_t deadline_ns)} */
    public static int lwtParkAs(long self, long deadlineNs) {
        try {
            return (int) LWT_PARK_AS.invokeExact(self, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_send_as(struct weft_self *self, weft_chan_t chan, uint64_t value, int64_t deadline_ns)} */
    public static int chanSendAs(long self, long chan, long value, long deadlineNs) {
        try {
            return (int) CHAN_SEND_AS.invokeExact(self, chan, value, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_recv_as(struct weft_self *self, weft_chan_t chan, int64_t deadline_ns)} */
    public static int chanRecvAs(long self, long chan, long deadlineNs) {
        try {
            return (int) CHAN_RECV_AS.invokeExact(self, chan, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_claim_as(struct weft_self *self, weft_chan_t chan, int64_t deadline_ns)} */
    public static int chanClaimAs(long self, long chan, long deadlineNs) {
        try {
            return (int) CHAN_CLAIM_AS.invokeExact(self, chan, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_take_as(struct weft_self *self, weft_chan_t chan, int64_t deadline_ns)} */
    public static int chanTakeAs(long self, long chan, long deadlineNs) {
        try {
            return (int) CHAN_TAKE_AS.invokeExact(self, chan, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_send_now_as(struct weft_self *self, weft_chan_t chan, uint64_t value)} */
    public static int chanSendNowAs(long self, long chan, long value) {
        try {
            return (int) CHAN_SEND_NOW_AS.invokeExact(self, chan, value);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_recv_now_as(struct weft_self *self, weft_chan_t chan)} */
    public static int chanRecvNowAs(long self, long chan) {
        try {
            return (int) CHAN_RECV_NOW_AS.invokeExact(self, chan);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_cgrp_wait_as(struct weft_self *self, weft_cgrp_t cgrp, int64_t deadline_ns)} */
    public static int cgrpWaitAs(long self, long cgrp, long deadlineNs) {
        try {
            return (int) CGRP_WAIT_AS.invokeExact(self, cgrp, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int64_t weft_abi_now_ns(void)} */
    public static long nowNs() {
        try {
            return (long) NOW_NS.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
