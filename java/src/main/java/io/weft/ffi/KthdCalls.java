// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Run queues: {@code <weft/kthd.h>}. */
public final class KthdCalls {
    private static final MethodHandle ATTR_INIT = Downcalls.linkCritical(
            "weft_kthd_attr_init", CType.VOID, CType.pointer("struct weft_kthd_attr"));
    private static final MethodHandle CREATE = Downcalls.link(
            "weft_kthd_create", CType.INT, CType.pointer("weft_kthd_t"), CType.pointer("const struct weft_kthd_attr"));
    private static final MethodHandle RUN = Downcalls.link("weft_kthd_run", CType.INT, CType.KTHD);
    private static final MethodHandle DESTROY = Downcalls.link(
            "weft_kthd_destroy", CType.INT, CType.KTHD, CType.UINT32);
    private static final MethodHandle CURRENT = Downcalls.linkCritical("weft_kthd_current", CType.KTHD);
    private static final MethodHandle NAME = Downcalls.link(
            "weft_kthd_name", CType.INT, CType.KTHD, CType.pointer("char"), CType.SIZE);
    private static final MethodHandle INFO = Downcalls.link(
            "weft_kthd_info", CType.INT, CType.KTHD, CType.pointer("struct weft_info"));
    private static final MethodHandle PROCESS_INFO = Downcalls.link(
            "weft_info", CType.VOID, CType.pointer("struct weft_info"));
    private static final MethodHandle PLATFORM_CHECK = Downcalls.link(
            "weft_platform_check", CType.INT, CType.pointer("char"), CType.SIZE);

    private KthdCalls() {}

    /** {@code void weft_kthd_attr_init(struct weft_kthd_attr *attr)} */
    public static void attrInit(MemorySegment attr) {
        try {
            ATTR_INIT.invokeExact(attr);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_kthd_create(weft_kthd_t *out, const struct weft_kthd_attr *attr)} */
    public static int create(MemorySegment out, MemorySegment attr) {
        try {
            return (int) CREATE.invokeExact(out, attr);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_kthd_run(weft_kthd_t kthd)} */
    public static int run(long kthd) {
        try {
            return (int) RUN.invokeExact(kthd);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_kthd_destroy(weft_kthd_t kthd, uint32_t flags)} */
    public static int destroy(long kthd, int flags) {
        try {
            return (int) DESTROY.invokeExact(kthd, flags);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code weft_kthd_t weft_kthd_current(void)} */
    public static long current() {
        try {
            return (long) CURRENT.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_kthd_name(weft_kthd_t kthd, char *buf, size_t size_bytes)} */
    public static int name(long kthd, MemorySegment buf, long sizeBytes) {
        try {
            return (int) NAME.invokeExact(kthd, buf, sizeBytes);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_kthd_info(weft_kthd_t kthd, struct weft_info *out)} */
    public static int info(long kthd, MemorySegment out) {
        try {
            return (int) INFO.invokeExact(kthd, out);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code void weft_info(struct weft_info *out)} */
    public static void processInfo(MemorySegment out) {
        try {
            PROCESS_INFO.invokeExact(out);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_platform_check(char *buf, size_t size_bytes)} */
    public static int platformCheck(MemorySegment buf, long sizeBytes) {
        try {
            return (int) PLATFORM_CHECK.invokeExact(buf, sizeBytes);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
