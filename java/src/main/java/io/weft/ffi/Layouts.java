// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.StructLayout;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The structs of the C headers: a layout for each, the offset of each field that Java touches, and the two ways of
 * touching memory that the typed floor needs besides: an attribute struct to be filled, a word at a raw address.
 */
public final class Layouts {
    private static final Map<String, StructLayout> STRUCTS = new LinkedHashMap<>();

    public static final StructLayout KTHD_ATTR = struct("struct weft_kthd_attr",
            ADDRESS.withName("name"), JAVA_INT.withName("cpu"), JAVA_INT.withName("idle"),
            JAVA_LONG.withName("spin_ns"), JAVA_INT.withName("flags"), JAVA_INT.withName("reserved"));
    public static final long KTHD_ATTR_NAME = offset(KTHD_ATTR, "name");
    public static final long KTHD_ATTR_CPU = offset(KTHD_ATTR, "cpu");
    public static final long KTHD_ATTR_IDLE = offset(KTHD_ATTR, "idle");
    public static final long KTHD_ATTR_SPIN_NS = offset(KTHD_ATTR, "spin_ns");
    public static final long KTHD_ATTR_FLAGS = offset(KTHD_ATTR, "flags");

    public static final StructLayout INFO = struct("struct weft_info",
            JAVA_LONG.withName("lwts"), JAVA_LONG.withName("runnable"), JAVA_LONG.withName("blocked"),
            JAVA_LONG.withName("loose"), JAVA_LONG.withName("zombies"), JAVA_LONG.withName("sending"),
            JAVA_LONG.withName("receiving"), JAVA_LONG.withName("channels"), JAVA_LONG.withName("switches"));
    public static final long INFO_LWTS = offset(INFO, "lwts");
    public static final long INFO_RUNNABLE = offset(INFO, "runnable");
    public static final long INFO_BLOCKED = offset(INFO, "blocked");
    public static final long INFO_LOOSE = offset(INFO, "loose");
    public static final long INFO_ZOMBIES = offset(INFO, "zombies");
    public static final long INFO_SENDING = offset(INFO, "sending");
    public static final long INFO_RECEIVING = offset(INFO, "receiving");
    public static final long INFO_CHANNELS = offset(INFO, "channels");
    public static final long INFO_SWITCHES = offset(INFO, "switches");

    public static final StructLayout LWT_ATTR = struct("struct weft_lwt_attr",
            ADDRESS.withName("name"), JAVA_LONG.withName("stack_bytes"), JAVA_INT.withName("flags"),
            JAVA_INT.withName("reserved"));
    public static final long LWT_ATTR_NAME = offset(LWT_ATTR, "name");
    public static final long LWT_ATTR_STACK_BYTES = offset(LWT_ATTR, "stack_bytes");
    public static final long LWT_ATTR_FLAGS = offset(LWT_ATTR, "flags");

    public static final StructLayout CHAN_INFO = struct("struct weft_chan_info",
            JAVA_INT.withName("capacity"), JAVA_INT.withName("length"), JAVA_INT.withName("sending"),
            JAVA_INT.withName("receiving"), JAVA_INT.withName("refs"), JAVA_INT.withName("senders"),
            JAVA_INT.withName("receivers"), JAVA_INT.withName("closed"), JAVA_INT.withName("biased"),
            JAVA_INT.withName("reserved"));
    public static final long CHAN_INFO_CAPACITY = offset(CHAN_INFO, "capacity");
    public static final long CHAN_INFO_LENGTH = offset(CHAN_INFO, "length");
    public static final long CHAN_INFO_SENDING = offset(CHAN_INFO, "sending");
    public static final long CHAN_INFO_RECEIVING = offset(CHAN_INFO, "receiving");
    public static final long CHAN_INFO_CLOSED = offset(CHAN_INFO, "closed");
    public static final long CHAN_INFO_BIASED = offset(CHAN_INFO, "biased");

    public static final StructLayout CHAN_ATTR = struct("struct weft_chan_attr",
            JAVA_INT.withName("capacity"), JAVA_INT.withName("single"), JAVA_INT.withName("flags"),
            JAVA_INT.withName("record_bytes"), MemoryLayout.sequenceLayout(2, JAVA_LONG).withName("reserved"));
    public static final long CHAN_ATTR_CAPACITY = offset(CHAN_ATTR, "capacity");
    public static final long CHAN_ATTR_SINGLE = offset(CHAN_ATTR, "single");
    public static final long CHAN_ATTR_FLAGS = offset(CHAN_ATTR, "flags");
    public static final long CHAN_ATTR_RECORD_BYTES = offset(CHAN_ATTR, "record_bytes");

    public static final StructLayout RING = struct("struct weft_ring",
            JAVA_INT.withName("version"), JAVA_INT.withName("ends"), JAVA_INT.withName("capacity"),
            JAVA_INT.withName("cells"), JAVA_INT.withName("cell_bytes"), JAVA_INT.withName("payload_at"),
            JAVA_INT.withName("payload_bytes"), JAVA_INT.withName("cells_at"), JAVA_INT.withName("attention"),
            MemoryLayout.sequenceLayout(23, JAVA_INT).withName("pad0_"), JAVA_LONG.withName("tail"),
            JAVA_LONG.withName("head_seen"), MemoryLayout.sequenceLayout(14, JAVA_LONG).withName("pad1_"),
            JAVA_LONG.withName("head"), JAVA_LONG.withName("tail_seen"),
            MemoryLayout.sequenceLayout(14, JAVA_LONG).withName("pad2_"));
    static final long RING_VERSION = offset(RING, "version");
    static final long RING_ENDS = offset(RING, "ends");
    static final long RING_CAPACITY = offset(RING, "capacity");
    static final long RING_CELLS = offset(RING, "cells");
    static final long RING_CELL_BYTES = offset(RING, "cell_bytes");
    static final long RING_PAYLOAD_AT = offset(RING, "payload_at");
    static final long RING_PAYLOAD_BYTES = offset(RING, "payload_bytes");
    static final long RING_CELLS_AT = offset(RING, "cells_at");
    static final long RING_ATTENTION = offset(RING, "attention");
    static final long RING_TAIL = offset(RING, "tail");
    static final long RING_HEAD_SEEN = offset(RING, "head_seen");
    static final long RING_HEAD = offset(RING, "head");
    static final long RING_TAIL_SEEN = offset(RING, "tail_seen");

    public static final StructLayout EVENT = struct("struct weft_event",
            MemoryLayout.structLayout(JAVA_LONG.withName("id")).withName("chan"), JAVA_LONG.withName("mark"));
    public static final long EVENT_CHAN = offset(EVENT, "chan");
    public static final long EVENT_MARK = offset(EVENT, "mark");

    public static final StructLayout OP = struct("struct weft_op",
            JAVA_LONG.withName("value"), JAVA_LONG.withName("mark"),
            MemoryLayout.sequenceLayout(12, JAVA_LONG).withName("private_"));
    public static final long OP_VALUE = offset(OP, "value");
    public static final long OP_MARK = offset(OP, "mark");
    public static final long OP_ALIGNMENT = 16;

    public static final StructLayout CASE = struct("struct weft_case",
            MemoryLayout.structLayout(JAVA_LONG.withName("id")).withName("chan"), JAVA_INT.withName("op"),
            JAVA_INT.withName("result"), JAVA_LONG.withName("value"),
            MemoryLayout.sequenceLayout(4, JAVA_SHORT).withName("private_"));
    public static final long CASE_CHAN = offset(CASE, "chan");
    public static final long CASE_OP = offset(CASE, "op");
    public static final long CASE_RESULT = offset(CASE, "result");
    public static final long CASE_VALUE = offset(CASE, "value");

    public static final StructLayout SELF = struct("struct weft_self",
            JAVA_LONG.withName("value"), JAVA_LONG.withName("mark"), JAVA_LONG.withName("id"));
    public static final long SELF_VALUE = offset(SELF, "value");
    public static final long SELF_MARK = offset(SELF, "mark");
    public static final long SELF_ID = offset(SELF, "id");

    public static final StructLayout LIMIT = struct("struct weft_limit",
            MemoryLayout.sequenceLayout(64, JAVA_BYTE).withName("name"), JAVA_LONG.withName("maximum"),
            JAVA_LONG.withName("used"), JAVA_LONG.withName("threads"));
    public static final long LIMIT_NAME = offset(LIMIT, "name");
    public static final long LIMIT_MAXIMUM = offset(LIMIT, "maximum");
    public static final long LIMIT_USED = offset(LIMIT, "used");
    public static final long LIMIT_THREADS = offset(LIMIT, "threads");

    /** All of memory: a load through a constant segment costs what a load costs. */
    @SuppressWarnings("restricted")
    static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private Layouts() {}

    /** The word at a raw address, which must be that of live C memory. */
    public static long word(long address, long offset) {
        return MEMORY.get(JAVA_LONG, address + offset);
    }

    /** The string at a pointer that C returned. */
    @SuppressWarnings("restricted")
    public static String string(MemorySegment pointer) {
        return pointer.reinterpret(Long.MAX_VALUE).getString(0);
    }

    /** Attributes of a kthd, filled with C's defaults. */
    public static MemorySegment kthdAttr(SegmentAllocator allocator) {
        MemorySegment attr = allocator.allocate(KTHD_ATTR);
        KthdCalls.attrInit(attr);
        return attr;
    }

    /** Attributes of an lwt, filled with C's defaults. */
    public static MemorySegment lwtAttr(SegmentAllocator allocator) {
        MemorySegment attr = allocator.allocate(LWT_ATTR);
        LwtCalls.attrInit(attr);
        return attr;
    }

    /** Attributes of a channel, filled with C's defaults. */
    public static MemorySegment chanAttr(SegmentAllocator allocator) {
        MemorySegment attr = allocator.allocate(CHAN_ATTR);
        ChanCalls.attrInit(attr);
        return attr;
    }

    /** Every struct by its C name, for the test against the headers. */
    static Map<String, StructLayout> structs() {
        return Map.copyOf(STRUCTS);
    }

    private static StructLayout struct(String cName, MemoryLayout... fields) {
        StructLayout layout = MemoryLayout.structLayout(fields).withName(cName);
        STRUCTS.put(cName, layout);
        return layout;
    }

    private static long offset(StructLayout layout, String field) {
        return layout.byteOffset(PathElement.groupElement(field));
    }
}
