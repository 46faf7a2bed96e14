// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The meaning of results: {@code <weft/error.h>}. */
public final class ErrorCalls {
    private static final MethodHandle TEXT = Downcalls.linkCritical(
            "weft_error_text", CType.pointer("const char"), CType.INT);

    private ErrorCalls() {}

    /** {@code const char *weft_error_text(int code)} */
    public static MemorySegment text(int code) {
        try {
            return (MemorySegment) TEXT.invokeExact(code);
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
    }
}
