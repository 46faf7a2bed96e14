// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** What weft needs of the VM: {@code <weft/jvm.h>}. */
public final class JvmCalls {
    private static final MethodHandle ATTACH = Downcalls.link(
            "weft_jvm_attach", CType.INT, CType.UINT32, CType.pointer("char"), CType.SIZE);
    private static final MethodHandle SELFTEST = Downcalls.link(
            "weft_jvm_selftest", CType.INT, CType.pointer("char"), CType.SIZE);
    private static final MethodHandle THREAD_HEADROOM = Downcalls.link(
            "weft_jvm_thread_headroom", CType.INT, CType.pointer("struct weft_limit"));
    private static final MethodHandle SIGNALS_FORWARDED = Downcalls.linkCritical(
            "weft_jvm_signals_forwarded", CType.UINT64);
    private static final MethodHandle STEPS_ASIDE = Downcalls.linkCritical("weft_jvm_steps_aside", CType.UINT64);

    private JvmCalls() {}

    /** {@code int weft_jvm_attach(uint32_t flags, char *buf, size_t size_bytes)} */
    public static int attach(int flags, MemorySegment buf, long sizeBytes) {
        try {
            return (int) ATTACH.invokeExact(flags, buf, sizeBytes);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_jvm_selftest(char *buf, size_t size_bytes)} */
    public static int selftest(MemorySegment buf, long sizeBytes) {
        try {
            return (int) SELFTEST.invokeExact(buf, sizeBytes);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_jvm_thread_headroom(struct weft_limit *out)} */
    public static int threadHeadroom(MemorySegment out) {
        try {
            return (int) THREAD_HEADROOM.invokeExact(out);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code uint64_t weft_jvm_signals_forwarded(void)} */
    public static long signalsForwarded() {
        try {
            return (long) SIGNALS_FORWARDED.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code uint64_t weft_jvm_steps_aside(void)} */
    public static long stepsAside() {
        try {
            return (long) STEPS_ASIDE.invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
