// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import static io.weft.ffi.Constants.CHAN_RECEIVER;
import static io.weft.ffi.Constants.CHAN_SENDER;
import static io.weft.ffi.Constants.RING_BIASED;
import static io.weft.ffi.Constants.RING_CLOSED;
import static io.weft.ffi.Constants.RING_FENCE;
import static io.weft.ffi.Constants.RING_RECEIVERS;
import static io.weft.ffi.Constants.RING_SENDERS;
import static io.weft.ffi.Constants.RING_VERSION;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.lang.ref.Reference;

/**
 * The ring of a channel, and Java's form of the protocol that {@code <weft/ring.h>} lays down. It claims, publishes and
 * frees positions; it never waits and never calls C.
 *
 * <pre>
 *   sender                                 receiver
 *     p = claimSend()                        p = claimReceive()
 *     write the message of p                 read the message of p
 *     publish(p)                             free(p)
 *     finds(SENT)?       RingCalls.sent      finds(RECEIVED)?    RingCalls.received
 * </pre>
 *
 * <p>An end that is declared single claims a position as it publishes or frees it: until then it may let it be, and no
 * other end sees a difference.
 *
 * <p>A stack that overflows between a claim and its publication would leave a place that nobody can use any more. So
 * everything is linked when this class is initialised, and no call after a claim goes deeper than the claim did;
 * hence words are accessed opaquely, too: plain access by a VarHandle is a longer way. What is left is that HotSpot
 * may have compiled the one and not yet the other.
 *
 * <p>The memory lives as long as this object, or a segment of it, is reachable. It is touched by its address, hence the
 * reachability fence in every method that does so.
 */
public final class Ring {
    /** In place of a position: the ring is full, or empty. */
    public static final long NONE = -1;

    /** In place of a position: what is to be done only C can say. */
    public static final long ASK = -2;

    /** For {@link #finds}: a sender has to tell C of its message. */
    public static final int SENT = RING_RECEIVERS | Constants.RING_GROUP | RING_CLOSED;

    /** For {@link #finds}: a receiver has to tell C of the free place. */
    public static final int RECEIVED = RING_SENDERS;

    private static final MemorySegment MEMORY = Layouts.MEMORY;
    private static final VarHandle INT = ValueLayout.JAVA_INT.varHandle().withInvokeExactBehavior();
    private static final VarHandle LONG = ValueLayout.JAVA_LONG.varHandle().withInvokeExactBehavior();

    static {
        link();
    }

    private final MemorySegment memory;
    private final boolean pair;
    private final boolean oneSender;
    private final boolean oneReceiver;
    private final boolean exact;
    private final boolean fence;
    private final int askToSend;
    private final int askToReceive;
    private final long capacity;
    private final long mask;
    private final long cellBytes;
    private final long payloadBytes;

    /** Addresses. */
    private final long attention;

    private final long tail;
    private final long headSeen;
    private final long head;
    private final long tailSeen;
    private final long cells;
    private final long payloads;

    private Ring(long address, MemorySegment memory) {
        int ends = (int) INT.get(MEMORY, address + Layouts.RING_ENDS);
        long cellCount = cellCount(address);
        this.memory = memory;
        this.oneSender = (ends & CHAN_SENDER) != 0;
        this.oneReceiver = (ends & CHAN_RECEIVER) != 0;
        this.pair = oneSender && oneReceiver;
        this.capacity = (int) INT.get(MEMORY, address + Layouts.RING_CAPACITY);
        this.exact = capacity == cellCount;
        this.mask = cellCount - 1;
        this.cellBytes = (int) INT.get(MEMORY, address + Layouts.RING_CELL_BYTES);
        this.payloadBytes = (int) INT.get(MEMORY, address + Layouts.RING_PAYLOAD_BYTES);
        this.attention = address + Layouts.RING_ATTENTION;
        this.tail = address + Layouts.RING_TAIL;
        this.headSeen = address + Layouts.RING_HEAD_SEEN;
        this.head = address + Layouts.RING_HEAD;
        this.tailSeen = address + Layouts.RING_TAIL_SEEN;
        this.cells = address + (int) INT.get(MEMORY, address + Layouts.RING_CELLS_AT);
        this.payloads = cells + (int) INT.get(MEMORY, address + Layouts.RING_PAYLOAD_AT);
        this.fence = (attention() & RING_FENCE) != 0;
        this.askToSend = RING_BIASED | RING_CLOSED | (oneSender ? 0 : RING_SENDERS);
        this.askToReceive = RING_BIASED | RING_CLOSED | (oneReceiver ? 0 : RING_RECEIVERS);
    }

    /**
     * The ring at an address that C gave, with the hold on it, which is given back when this object and its segments
     * are unreachable.
     */
    @SuppressWarnings("restricted")
    public static Ring at(long address) {
        requireVersion((int) INT.get(MEMORY, address + Layouts.RING_VERSION));
        MemorySegment memory = MemorySegment.ofAddress(address)
                .reinterpret(bytes(address), Arena.ofAuto(), ring -> RingCalls.release(ring.address()));
        return new Ring(address, memory);
    }

    // ---- what it is ------------------------------------------------------------------------------------------------

    public boolean hasOneSender() {
        return oneSender;
    }

    public boolean hasOneReceiver() {
        return oneReceiver;
    }

    /** Whether both ends are single: then C, too, claims nothing before it is published or freed. */
    public boolean isPair() {
        return pair;
    }

    public int cells() {
        return (int) mask + 1;
    }

    /** The index of a position's cell. */
    public int cell(long position) {
        return (int) (position & mask);
    }

    // ---- the sender's half -----------------------------------------------------------------------------------------

    /** A position to send at, which is the caller's; or {@link #NONE}, {@link #ASK}. */
    public long claimSend() {
        // Acquire: who sees that the bias is gone sees what its owner did.
        long p = (attention() & askToSend) != 0 ? ASK : pair ? roomOfPair() : claimRoom();
        Reference.reachabilityFence(this);
        return p;
    }

    private long roomOfPair() {
        long p = (long) LONG.get(MEMORY, tail);
        if (p - (long) LONG.get(MEMORY, headSeen) < capacity) {
            return p;
        }
        // Pairs with free(): who sees the place free may overwrite it.
        long seen = (long) LONG.getAcquire(MEMORY, head);
        LONG.set(MEMORY, headSeen, seen);
        return p - seen < capacity ? p : NONE;
    }

    private long claimRoom() {
        for (;;) {
            long p = (long) LONG.getOpaque(MEMORY, tail);
            if (isFree(p)) {
                if (oneSender || LONG.compareAndSet(MEMORY, tail, p, p + 1)) {
                    return p;
                }
            } else if (oneSender || p == (long) LONG.getOpaque(MEMORY, tail)) {
                return NONE;
            }
        }
    }

    /** Pairs with free(). Where there are more cells than messages the receivers' index says the rest. */
    private boolean isFree(long p) {
        return (long) LONG.getAcquire(MEMORY, sequence(p)) == lap(p)
                && (exact || p - (long) LONG.getAcquire(MEMORY, head) < capacity);
    }

    /** Whether there is room, for one of many senders, at this moment. */
    public boolean hasRoom() {
        boolean room = (attention() & askToSend) == 0 && isFree((long) LONG.getOpaque(MEMORY, tail));
        Reference.reachabilityFence(this);
        return room;
    }

    /** What was written at a position that the caller claimed is sent. */
    public void publish(long p) {
        if (pair) {
            LONG.setRelease(MEMORY, tail, p + 1);
        } else {
            if (oneSender) {
                LONG.setOpaque(MEMORY, tail, p + 1);
            }
            LONG.setRelease(MEMORY, sequence(p), lap(p) + 1);
        }
        Reference.reachabilityFence(this);
    }

    // ---- the receiver's half ---------------------------------------------------------------------------------------

    /** A position to receive from, which is the caller's; or {@link #NONE}, {@link #ASK}. */
    public long claimReceive() {
        long p = claimMessage();
        Reference.reachabilityFence(this);
        return p;
    }

    private long claimMessage() {
        for (;;) {
            long p = (long) LONG.getOpaque(MEMORY, head);
            if (isPublished(p)) {
                // After the message was seen: one that was published after the close is not to be received.
                if ((attention() & askToReceive) != 0) {
                    return ASK;
                }
                if (oneReceiver || LONG.compareAndSet(MEMORY, head, p, p + 1)) {
                    return p;
                }
            } else if (oneReceiver || p == (long) LONG.getOpaque(MEMORY, head)) {
                return (attention() & (RING_BIASED | RING_CLOSED)) != 0 ? ASK : NONE;
            }
        }
    }

    /** Pairs with publish(): who sees that it is sent may read it. */
    private boolean isPublished(long p) {
        if (!pair) {
            return (long) LONG.getAcquire(MEMORY, sequence(p)) == lap(p) + 1;
        }
        if (p < (long) LONG.get(MEMORY, tailSeen)) {
            return true;
        }
        long seen = (long) LONG.getAcquire(MEMORY, tail);
        LONG.set(MEMORY, tailSeen, seen);
        return p < seen;
    }

    /** What was at a position that the caller claimed has been read. */
    public void free(long p) {
        if (pair) {
            LONG.setRelease(MEMORY, head, p + 1);
        } else {
            if (oneReceiver) {
                LONG.setOpaque(MEMORY, head, p + 1);
            }
            LONG.setRelease(MEMORY, sequence(p), lap(p) + mask + 1);
        }
        Reference.reachabilityFence(this);
    }

    /** Whether the message at a position has been received, or is being received. */
    public boolean hasPassed(long p) {
        boolean passed = p < (long) LONG.getAcquire(MEMORY, head);
        Reference.reachabilityFence(this);
        return passed;
    }

    // ---- both ------------------------------------------------------------------------------------------------------

    /**
     * The second look at {@code attention}, after {@link #publish} or {@link #free}: whether it has one of some bits.
     * The release fence keeps the compiler from looking before it has stored, and is no instruction; the processor
     * may do so, but for the fence that it passes whenever somebody is about to wait.
     */
    public boolean finds(int bits) {
        if (fence) {
            VarHandle.fullFence();
        } else {
            VarHandle.releaseFence();
        }
        boolean found = (attention() & bits) != 0;
        Reference.reachabilityFence(this);
        return found;
    }

    /** Whether it has been closed; there may still be messages in it. */
    public boolean isClosed() {
        boolean closed = (attention() & RING_CLOSED) != 0;
        Reference.reachabilityFence(this);
        return closed;
    }

    private int attention() {
        return (int) INT.getAcquire(MEMORY, attention);
    }

    private long sequence(long p) {
        return cells + (p & mask) * cellBytes;
    }

    private long lap(long p) {
        return p & ~mask;
    }

    // ---- messages --------------------------------------------------------------------------------------------------

    /** The word at a claimed position. */
    public long word(long p) {
        long word = (long) LONG.getOpaque(MEMORY, payloads + (p & mask) * cellBytes);
        Reference.reachabilityFence(this);
        return word;
    }

    public void word(long p, long value) {
        LONG.setOpaque(MEMORY, payloads + (p & mask) * cellBytes, value);
        Reference.reachabilityFence(this);
    }

    /** Copies a message, in words, from memory that has room for as many: to a claimed position. */
    public void copyIn(long p, long source) {
        long to = payloads + (p & mask) * cellBytes;
        for (long i = 0; i < payloadBytes; i += Long.BYTES) {
            LONG.setOpaque(MEMORY, to + i, (long) LONG.getOpaque(MEMORY, source + i));
        }
        Reference.reachabilityFence(this);
    }

    /** The memory of a message: of whatever position lies in this cell. Keeps all of the ring's memory alive. */
    public MemorySegment place(int cell) {
        return memory.asSlice(payloads - memory.address() + cell * cellBytes, payloadBytes);
    }

    // ---- plumbing --------------------------------------------------------------------------------------------------

    private static void requireVersion(int version) {
        if (version != RING_VERSION) {
            throw new LibraryException("the native library's rings have version " + version + "; this jar needs"
                    + " version " + RING_VERSION, null);
        }
    }

    private static long cellCount(long address) {
        return (int) INT.get(MEMORY, address + Layouts.RING_CELLS);
    }

    private static long bytes(long address) {
        long cellBytes = (int) INT.get(MEMORY, address + Layouts.RING_CELL_BYTES);
        return (int) INT.get(MEMORY, address + Layouts.RING_CELLS_AT) + cellCount(address) * cellBytes;
    }

    /** Runs every path once, on rings of its own. */
    private static void link() {
        for (int ends = 0; ends <= (CHAN_SENDER | CHAN_RECEIVER); ends++) {
            for (int capacity = 1; capacity <= 2; capacity++) {
                try (Arena arena = Arena.ofConfined()) {
                    link(scratch(arena, ends, capacity, RING_FENCE));
                    link(scratch(arena, ends, capacity, 0));
                }
            }
        }
    }

    private static void link(Ring ring) {
        for (long p = ring.claimSend(); p >= 0; p = ring.claimSend()) {
            ring.word(p, p);
            ring.copyIn(p, ring.payloads);
            ring.publish(p);
        }
        for (long p = ring.claimReceive(); p >= 0; p = ring.claimReceive()) {
            ring.word(p);
            ring.free(p);
        }
        ring.finds(SENT);
    }

    private static Ring scratch(Arena arena, int ends, int capacity, int attention) {
        boolean pair = ends == (CHAN_SENDER | CHAN_RECEIVER);
        int cells = 2;
        int payloadAt = pair ? 0 : Long.BYTES;
        int cellsAt = (int) Layouts.RING.byteSize();
        int cellBytes = payloadAt + Long.BYTES;
        MemorySegment ring = arena.allocate(cellsAt + cells * cellBytes, Long.BYTES);
        ring.set(ValueLayout.JAVA_INT, Layouts.RING_VERSION, RING_VERSION);
        ring.set(ValueLayout.JAVA_INT, Layouts.RING_ENDS, ends);
        ring.set(ValueLayout.JAVA_INT, Layouts.RING_CAPACITY, capacity);
        ring.set(ValueLayout.JAVA_INT, Layouts.RING_CELLS, cells);
        ring.set(ValueLayout.JAVA_INT, Layouts.RING_CELL_BYTES, cellBytes);
        ring.set(ValueLayout.JAVA_INT, Layouts.RING_PAYLOAD_AT, payloadAt);
        ring.set(ValueLayout.JAVA_INT, Layouts.RING_PAYLOAD_BYTES, Long.BYTES);
        ring.set(ValueLayout.JAVA_INT, Layouts.RING_CELLS_AT, cellsAt);
        ring.set(ValueLayout.JAVA_INT, Layouts.RING_ATTENTION, attention);
        return new Ring(ring.address(), ring);
    }
}
