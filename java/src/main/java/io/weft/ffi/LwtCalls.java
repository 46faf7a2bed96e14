// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Lightweight threads: {@code <weft/lwt.h>}. */
public final class LwtCalls {
    private static final MethodHandle ATTR_INIT = Downcalls.linkCritical(
            "weft_lwt_attr_init", CType.VOID, CType.pointer("struct weft_lwt_attr"));
    private static final MethodHandle CREATE = Downcalls.link(
            "weft_lwt_create", CType.INT,
            CType.pointer("weft_lwt_t"), CType.KTHD, CType.FUNCTION, CType.WORD,
            CType.pointer("const struct weft_lwt_attr"));
    private static final MethodHandle EXIT = Downcalls.link("weft_lwt_exit", CType.VOID, CType.WORD);
    private static final MethodHandle JOIN = Downcalls.link(
            "weft_lwt_join", CType.INT, CType.LWT, CType.pointer("void *"));
    private static final MethodHandle JOIN_UNTIL = Downcalls.link(
            "weft_lwt_join_until", CType.INT, CType.LWT, CType.pointer("void *"), CType.INT64);
    private static final MethodHandle DETACH = Downcalls.link("weft_lwt_detach", CType.INT, CType.LWT);
    private static final MethodHandle YIELD = Downcalls.link("weft_lwt_yield", CType.VOID);
    private static final MethodHandle YIELD_TO = Downcalls.link("weft_lwt_yield_to", CType.INT, CType.LWT);
    private static final MethodHandle CURRENT = Downcalls.linkCritical("weft_lwt_current", CType.LWT);
    private static final MethodHandle ID = Downcalls.linkCritical("weft_lwt_id", CType.UINT64);
    private static final MethodHandle NAME = Downcalls.link(
            "weft_lwt_name", CType.INT, CType.LWT, CType.pointer("char"), CType.SIZE);
    private static final MethodHandle STATE = Downcalls.link("weft_lwt_state", CType.INT, CType.LWT);
    private static final MethodHandle KTHD = Downcalls.link(
            "weft_lwt_kthd", CType.INT, CType.LWT, CType.pointer("weft_kthd_t"));
    private static final MethodHandle MIGRATE = Downcalls.link("weft_lwt_migrate", CType.INT, CType.KTHD);
    private static final MethodHandle ADOPT = Downcalls.link(
            "weft_lwt_adopt", CType.INT, CType.KTHD, CType.pointer("const struct weft_lwt_attr"));
    private static final MethodHandle LEAVE = Downcalls.link("weft_lwt_leave", CType.INT);
    private static final MethodHandle STEP_ASIDE = Downcalls.link("weft_lwt_step_aside", CType.INT);
    private static final MethodHandle PARK = Downcalls.link("weft_lwt_park", CType.INT, CType.INT64);
    private static final MethodHandle UNPARK = Downcalls.link("weft_lwt_unpark", CType.INT, CType.LWT);
    private static final MethodHandle INTERRUPT = Downcalls.link("weft_lwt_interrupt", CType.INT, CType.LWT);

    private LwtCalls() {}

    /** {@code void weft_lwt_attr_init(struct weft_lwt_attr *attr)} */
    public static void attrInit(MemorySegment attr) {
        try {
            ATTR_INIT.invokeExact(attr);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /**
     * {@code int weft_lwt_create(weft_lwt_t *out, weft_kthd_t kthd, void *(*fn)(void *), void *arg,
     * const struct weft_lwt_attr *attr)}
     */
    public static int create(MemorySegment out, long kthd, MemorySegment fn, long arg, MemorySegment attr) {
        try {
            return (int) CREATE.invokeExact(out, kthd, fn, arg, attr);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code void weft_lwt_exit(void *value)} */
    public static void exit(long value) {
        try {
            EXIT.invokeExact(value);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_join(weft_lwt_t lwt, void **value)} */
    public static int join(long lwt, MemorySegment value) {
        try {
            return (int) JOIN.invokeExact(lwt, value);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_join_until(weft_lwt_t lwt, void **value, int64_t deadline_ns)} */
    public static int joinUntil(long lwt, MemorySegment value, long deadlineNs) {
        try {
            return (int) JOIN_UNTIL.invokeExact(lwt, value, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_detach(weft_lwt_t lwt)} */
    public static int detach(long lwt) {
        try {
            return (int) DETACH.invokeExact(lwt);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code void weft_lwt_yield(void)} */
    public static void yield() {
        try {
            YIELD.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_yield_to(weft_lwt_t lwt)} */
    public static int yieldTo(long lwt) {
        try {
            return (int) YIELD_TO.invokeExact(lwt);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code weft_lwt_t weft_lwt_current(void)} */
    public static long current() {
        try {
            return (long) CURRENT.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code uint64_t weft_lwt_id(void)} */
    public static long id() {
        try {
            return (long) ID.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_name(weft_lwt_t lwt, char *buf, size_t size_bytes)} */
    public static int name(long lwt, MemorySegment buf, long sizeBytes) {
        try {
            return (int) NAME.invokeExact(lwt, buf, sizeBytes);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_state(weft_lwt_t lwt)} */
    public static int state(long lwt) {
        try {
            return (int) STATE.invokeExact(lwt);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_kthd(weft_lwt_t lwt, weft_kthd_t *out)} */
    public static int kthd(long lwt, MemorySegment out) {
        try {
            return (int) KTHD.invokeExact(lwt, out);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_migrate(weft_kthd_t to)} */
    public static int migrate(long to) {
        try {
            return (int) MIGRATE.invokeExact(to);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_adopt(weft_kthd_t kthd, const struct weft_lwt_attr *attr)} */
    public static int adopt(long kthd, MemorySegment attr) {
        try {
            return (int) ADOPT.invokeExact(kthd, attr);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_leave(void)} */
    public static int leave() {
        try {
            return (int) LEAVE.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_step_aside(void)} */
    public static int stepAside() {
        try {
            return (int) STEP_ASIDE.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_park(int64_t deadline_ns)} */
    public static int park(long deadlineNs) {
        try {
            return (int) PARK.invokeExact(deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_unpark(weft_lwt_t lwt)} */
    public static int unpark(long lwt) {
        try {
            return (int) UNPARK.invokeExact(lwt);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_lwt_interrupt(weft_lwt_t lwt)} */
    public static int interrupt(long lwt) {
        try {
            return (int) INTERRUPT.invokeExact(lwt);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
