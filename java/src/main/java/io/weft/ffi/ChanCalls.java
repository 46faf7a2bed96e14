// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Channels: {@code <weft/chan.h>}. */
public final class ChanCalls {
    private static final MethodHandle CREATE = Downcalls.link(
            "weft_chan_create", CType.INT, CType.pointer("weft_chan_t"), CType.UINT32);
    private static final MethodHandle ATTR_INIT = Downcalls.linkCritical(
            "weft_chan_attr_init", CType.VOID, CType.pointer("struct weft_chan_attr"));
    private static final MethodHandle CREATE_WITH = Downcalls.link(
            "weft_chan_create_with", CType.INT, CType.pointer("weft_chan_t"),
            CType.pointer("const struct weft_chan_attr"));
    private static final MethodHandle SEND = Downcalls.link("weft_chan_send", CType.INT, CType.CHAN, CType.UINT64);
    private static final MethodHandle SEND_UNTIL = Downcalls.link(
            "weft_chan_send_until", CType.INT, CType.CHAN, CType.UINT64, CType.INT64);
    private static final MethodHandle TRY_SEND = Downcalls.link(
            "weft_chan_try_send", CType.INT, CType.CHAN, CType.UINT64);
    private static final MethodHandle RECV = Downcalls.link(
            "weft_chan_recv", CType.INT, CType.CHAN, CType.pointer("uint64_t"));
    private static final MethodHandle RECV_UNTIL = Downcalls.link(
            "weft_chan_recv_until", CType.INT, CType.CHAN, CType.pointer("uint64_t"), CType.INT64);
    private static final MethodHandle TRY_RECV = Downcalls.link(
            "weft_chan_try_recv", CType.INT, CType.CHAN, CType.pointer("uint64_t"));
    private static final MethodHandle SEND_ALL = Downcalls.link(
            "weft_chan_send_all", CType.INT, CType.CHAN, CType.pointer("const uint64_t"), CType.UINT32,
            CType.pointer("uint32_t"));
    private static final MethodHandle DRAIN = Downcalls.link(
            "weft_chan_drain", CType.INT, CType.CHAN, CType.pointer("uint64_t"), CType.UINT32);
    private static final MethodHandle CLAIM = Downcalls.link(
            "weft_chan_claim", CType.INT, CType.CHAN, CType.pointer("uint64_t"));
    private static final MethodHandle CLAIM_UNTIL = Downcalls.link(
            "weft_chan_claim_until", CType.INT, CType.CHAN, CType.pointer("uint64_t"), CType.INT64);
    private static final MethodHandle TRY_CLAIM = Downcalls.link(
            "weft_chan_try_claim", CType.INT, CType.CHAN, CType.pointer("uint64_t"));
    private static final MethodHandle PUBLISH = Downcalls.link(
            "weft_chan_publish", CType.INT, CType.CHAN, CType.UINT64);
    private static final MethodHandle TAKE = Downcalls.link(
            "weft_chan_take", CType.INT, CType.CHAN, CType.pointer("uint64_t"));
    private static final MethodHandle TAKE_UNTIL = Downcalls.link(
            "weft_chan_take_until", CType.INT, CType.CHAN, CType.pointer("uint64_t"), CType.INT64);
    private static final MethodHandle TRY_TAKE = Downcalls.link(
            "weft_chan_try_take", CType.INT, CType.CHAN, CType.pointer("uint64_t"));
    private static final MethodHandle GIVE_BACK = Downcalls.link(
            "weft_chan_give_back", CType.INT, CType.CHAN, CType.UINT64);
    private static final MethodHandle CLOSE = Downcalls.link("weft_chan_close", CType.INT, CType.CHAN);
    private static final MethodHandle RETAIN = Downcalls.link("weft_chan_retain", CType.INT, CType.CHAN, CType.UINT32);
    private static final MethodHandle RELEASE = Downcalls.link(
            "weft_chan_release", CType.INT, CType.CHAN, CType.UINT32);
    private static final MethodHandle MARK_SET = Downcalls.link(
            "weft_chan_mark_set", CType.INT, CType.CHAN, CType.UINT64);
    private static final MethodHandle MARK_GET = Downcalls.link(
            "weft_chan_mark_get", CType.INT, CType.CHAN, CType.pointer("uint64_t"));
    private static final MethodHandle INFO = Downcalls.link(
            "weft_chan_info", CType.INT, CType.CHAN, CType.pointer("struct weft_chan_info"));

    private ChanCalls() {}

    /** {@code int weft_chan_create(weft_chan_t *out, uint32_t capacity)} */
    public static int create(MemorySegment out, int capacity) {
        try {
            return (int) CREATE.invokeExact(out, capacity);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code void weft_chan_attr_init(struct weft_chan_attr *attr)} */
    public static void attrInit(MemorySegment attr) {
        try {
            ATTR_INIT.invokeExact(attr);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_create_with(weft_chan_t *out, const struct weft_chan_attr *attr)} */
    public static int createWith(MemorySegment out, MemorySegment attr) {
        try {
            return (int) CREATE_WITH.invokeExact(out, attr);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_send(weft_chan_t chan, uint64_t value)} */
    public static int send(long chan, long value) {
        try {
            return (int) SEND.invokeExact(chan, value);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_send_until(weft_chan_t chan, uint64_t value, int64_t deadline_ns)} */
    public static int sendUntil(long chan, long value, long deadlineNs) {
        try {
            return (int) SEND_UNTIL.invokeExact(chan, value, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_try_send(weft_chan_t chan, uint64_t value)} */
    public static int trySend(long chan, long value) {
        try {
            return (int) TRY_SEND.invokeExact(chan, value);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_recv(weft_chan_t chan, uint64_t *value)} */
    public static int recv(long chan, MemorySegment value) {
        try {
            return (int) RECV.invokeExact(chan, value);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_recv_until(weft_chan_t chan, uint64_t *value, int64_t deadline_ns)} */
    public static int recvUntil(long chan, MemorySegment value, long deadlineNs) {
        try {
            return (int) RECV_UNTIL.invokeExact(chan, value, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_try_recv(weft_chan_t chan, uint64_t *value)} */
    public static int tryRecv(long chan, MemorySegment value) {
        try {
            return (int) TRY_RECV.invokeExact(chan, value);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_send_all(weft_chan_t chan, const uint64_t *values, uint32_t count, uint32_t *sent)} */
    public static int sendAll(long chan, MemorySegment values, int count, MemorySegment sent) {
        try {
            return (int) SEND_ALL.invokeExact(chan, values, count, sent);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_drain(weft_chan_t chan, uint64_t *values, uint32_t max)} */
    public static int drain(long chan, MemorySegment values, int max) {
        try {
            return (int) DRAIN.invokeExact(chan, values, max);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_claim(weft_chan_t chan, uint64_t *position)} */
    public static int claim(long chan, MemorySegment position) {
        try {
            return (int) CLAIM.invokeExact(chan, position);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_claim_until(weft_chan_t chan, uint64_t *position, int64_t deadline_ns)} */
    public static int claimUntil(long chan, MemorySegment position, long deadlineNs) {
        try {
            return (int) CLAIM_UNTIL.invokeExact(chan, position, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_try_claim(weft_chan_t chan, uint64_t *position)} */
    public static int tryClaim(long chan, MemorySegment position) {
        try {
            return (int) TRY_CLAIM.invokeExact(chan, position);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_publish(weft_chan_t chan, uint64_t position)} */
    public static int publish(long chan, long position) {
        try {
            return (int) PUBLISH.invokeExact(chan, position);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_take(weft_chan_t chan, uint64_t *position)} */
    public static int take(long chan, MemorySegment position) {
        try {
            return (int) TAKE.invokeExact(chan, position);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_take_until(weft_chan_t chan, uint64_t *position, int64_t deadline_ns)} */
    public static int takeUntil(long chan, MemorySegment position, long deadlineNs) {
        try {
            return (int) TAKE_UNTIL.invokeExact(chan, position, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_try_take(weft_chan_t chan, uint64_t *position)} */
    public static int tryTake(long chan, MemorySegment position) {
        try {
            return (int) TRY_TAKE.invokeExact(chan, position);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_give_back(weft_chan_t chan, uint64_t position)} */
    public static int giveBack(long chan, long position) {
        try {
            return (int) GIVE_BACK.invokeExact(chan, position);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_close(weft_chan_t chan)} */
    public static int close(long chan) {
        try {
            return (int) CLOSE.invokeExact(chan);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_retain(weft_chan_t chan, uint32_t ends)} */
    public static int retain(long chan, int ends) {
        try {
            return (int) RETAIN.invokeExact(chan, ends);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_release(weft_chan_t chan, uint32_t ends)} */
    public static int release(long chan, int ends) {
        try {
            return (int) RELEASE.invokeExact(chan, ends);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_mark_set(weft_chan_t chan, uint64_t value)} */
    public static int markSet(long chan, long value) {
        try {
            return (int) MARK_SET.invokeExact(chan, value);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_mark_get(weft_chan_t chan, uint64_t *value)} */
    public static int markGet(long chan, MemorySegment value) {
        try {
            return (int) MARK_GET.invokeExact(chan, value);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_chan_info(weft_chan_t chan, struct weft_chan_info *out)} */
    public static int info(long chan, MemorySegment out) {
        try {
            return (int) INFO.invokeExact(chan, out);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
