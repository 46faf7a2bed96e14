// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** One of several sends and receives: {@code <weft/select.h>}. */
public final class SelectCalls {
    private static final CType CASES = CType.pointer("struct weft_case");
    private static final CType OPS = CType.pointer("struct weft_op");

    private static final MethodHandle SELECT = Downcalls.link(
            "weft_select", CType.INT, CASES, CType.UINT32, CType.UINT32, CType.INT64);
    private static final MethodHandle TRY_SELECT = Downcalls.link(
            "weft_try_select", CType.INT, CASES, CType.UINT32, CType.UINT32);
    private static final MethodHandle SELECT_AS = Downcalls.link(
            "weft_select_as", CType.INT, CType.SELF, CASES, CType.UINT32, CType.UINT32, CType.INT64);
    private static final MethodHandle START = Downcalls.link(
            "weft_select_start", CType.INT, CASES, CType.UINT32, CType.UINT32, OPS, CType.UINT64);
    private static final MethodHandle FINISH = Downcalls.link(
            "weft_select_finish", CType.INT, CASES, CType.UINT32, CType.UINT32, OPS);

    private SelectCalls() {}

    /** {@code int weft_select(struct weft_case *cases, uint32_t count, uint32_t order, int64_t deadline_ns)} */
    public static int select(MemorySegment cases, int count, int order, long deadlineNs) {
        try {
            return (int) SELECT.invokeExact(cases, count, order, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_try_select(struct weft_case *cases, uint32_t count, uint32_t order)} */
    public static int trySelect(MemorySegment cases, int count, int order) {
        try {
            return (int) TRY_SELECT.invokeExact(cases, count, order);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_select_as(struct weft_self *self, struct weft_case *cases, uint32_t count, uint32_t order, int64_t deadline_ns)} */
    public static int selectAs(long self, MemorySegment cases, int count, int order, long deadlineNs) {
        try {
            return (int) SELECT_AS.invokeExact(self, cases, count, order, deadlineNs);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_select_start(struct weft_case *cases, uint32_t count, uint32_t order, struct weft_op *ops, uint64_t token)} */
    public static int start(MemorySegment cases, int count, int order, MemorySegment ops, long token) {
        try {
            return (int) START.invokeExact(cases, count, order, ops, token);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }

    /** {@code int weft_select_finish(struct weft_case *cases, uint32_t count, uint32_t order, struct weft_op *ops)} */
    public static int finish(MemorySegment cases, int count, int order, MemorySegment ops) {
        try {
            return (int) FINISH.invokeExact(cases, count, order, ops);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
