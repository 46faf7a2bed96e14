// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * The C types that occur in weft's prototypes, each with the layout that carries it over the border. A handle is a
 * struct of one {@code uint64_t}, which the System V ABI passes and returns exactly as that word, so it travels as a
 * {@code long}.
 *
 * <p>Pointers to memory that Java owns are {@code ADDRESS}es: a {@link java.lang.foreign.MemorySegment} keeps the
 * memory alive during the call. A {@code struct weft_self *} is C's own memory and part of the hottest calls, and a
 * {@code struct weft_ring *} is memory that {@link Ring} touches by its address: both travel as a bare {@code long}.
 *
 * @param c how the type is written in C
 * @param layout what carries it; {@code null} for {@code void}
 */
record CType(String c, ValueLayout layout) {
    private static final List<CType> ALL = new ArrayList<>();

    static final CType VOID = new CType("void", null);
    static final CType INT = of("int", ValueLayout.JAVA_INT);
    static final CType UINT32 = of("uint32_t", ValueLayout.JAVA_INT);
    static final CType INT64 = of("int64_t", ValueLayout.JAVA_LONG);
    static final CType UINT64 = of("uint64_t", ValueLayout.JAVA_LONG);
    static final CType SIZE = of("size_t", ValueLayout.JAVA_LONG);
    static final CType LWT = of("weft_lwt_t", ValueLayout.JAVA_LONG);
    static final CType KTHD = of("weft_kthd_t", ValueLayout.JAVA_LONG);
    static final CType CHAN = of("weft_chan_t", ValueLayout.JAVA_LONG);
    static final CType CGRP = of("weft_cgrp_t", ValueLayout.JAVA_LONG);
    static final CType SELF = of("struct weft_self *", ValueLayout.JAVA_LONG);
    static final CType RING = of("struct weft_ring *", ValueLayout.JAVA_LONG);
    static final CType FUNCTION = of("void *(*)(void *)", ValueLayout.ADDRESS);

    /** A {@code void *} that C only stores and gives back: any word. */
    static final CType WORD = of("void *", ValueLayout.JAVA_LONG);

    static CType pointer(String target) {
        return of(target + " *", ValueLayout.ADDRESS);
    }

    /** Every type made so far, for the test against the headers. */
    static synchronized List<CType> all() {
        return List.copyOf(ALL);
    }

    private static synchronized CType of(String c, ValueLayout layout) {
        CType type = new CType(c, layout);
        ALL.add(type);
        return type;
    }

}
