// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Where an object is while it travels over a channel that no ends are declared of: C moves words, so the object waits
 * in a slot here and the word is the slot's number.
 *
 * <pre>
 *   sender                               receiver
 *     take a free slot                     receive the number
 *     put the object                       remove the object
 *     send the number                      give the slot back
 * </pre>
 *
 * <p>A slot has one owner at any time: the free list, a cache, the sender until the send has succeeded (and again if it
 * fails), then the channel, then the receiver. So its content needs no atomic operation; release and acquire order it
 * for the collector of races, and the channel orders it anyway.
 *
 * <p>Free slots are on a lock-free stack that all threads share. Lwts have a {@link Cache} each before it, so that a
 * dialogue between two of them takes and gives without any atomic operation.
 *
 * <p>Slots come in segments that are never freed: as many exist as messages were ever under way at once.
 */
final class ObjectTable {
    private static final int SEGMENT_BITS = 10;
    private static final int SEGMENT_SLOTS = 1 << SEGMENT_BITS;
    private static final int SEGMENT_MASK = SEGMENT_SLOTS - 1;
    private static final int MAX_SEGMENTS = 1 << 16;

    private static final VarHandle SLOT = MethodHandles.arrayElementVarHandle(Object[].class);
    private static final VarHandle SEGMENT = MethodHandles.arrayElementVarHandle(Object[][].class);

    private static final Object[][] SEGMENTS = new Object[MAX_SEGMENTS][];

    /** For each slot on the free list the one below it, plus one. Same shape as {@link #SEGMENTS}. */
    private static final int[][] BELOW = new int[MAX_SEGMENTS][];

    /** The free list's top: a count of changes (so that a compare-and-set notices a list that went and came back) in
     * the upper half, the slot plus one in the lower. */
    private static final AtomicLong TOP = new AtomicLong();

    /** The first slot that was never used. */
    private static final AtomicInteger FRESH = new AtomicInteger();

    /** Some free slots of one lwt; used by it alone. */
    static final class Cache {
        private static final int SIZE = 16;

        private final int[] slots = new int[SIZE];
        private int count;

        int take() {
            return count > 0 ? slots[--count] : ObjectTable.take();
        }

        void give(int slot) {
            if (count < SIZE) {
                slots[count++] = slot;
            } else {
                ObjectTable.give(slot);
            }
        }

        /** Gives all of them back to the others. */
        void clear() {
            while (count > 0) {
                ObjectTable.give(slots[--count]);
            }
        }
    }

    private ObjectTable() {}

    /** A slot that is now the caller's. */
    static int take() {
        for (;;) {
            long top = TOP.get();
            int slot = (int) top - 1;
            if (slot < 0) {
                return fresh();
            }
            int below = BELOW[slot >>> SEGMENT_BITS][slot & SEGMENT_MASK];
            if (TOP.compareAndSet(top, changed(top, below))) {
                return slot;
            }
        }
    }

    /** Gives a slot, which must be empty, back. */
    static void give(int slot) {
        int[] below = BELOW[slot >>> SEGMENT_BITS];
        for (;;) {
            long top = TOP.get();
            below[slot & SEGMENT_MASK] = (int) top;
            if (TOP.compareAndSet(top, changed(top, slot + 1))) {
                return;
            }
        }
    }

    static void put(int slot, Object object) {
        SLOT.setRelease(segment(slot), slot & SEGMENT_MASK, object);
    }

    /** Empties a slot. */
    static Object remove(int slot) {
        Object[] segment = segment(slot);
        Object object = SLOT.getAcquire(segment, slot & SEGMENT_MASK);
        SLOT.setRelease(segment, slot & SEGMENT_MASK, null);
        return object;
    }

    /** How many slots were ever made; for tests. */
    static int size() {
        return FRESH.get();
    }

    private static Object[] segment(int slot) {
        return (Object[]) SEGMENT.getAcquire(SEGMENTS, slot >>> SEGMENT_BITS);
    }

    private static long changed(long top, int lower) {
        return (((top >>> 32) + 1) << 32) | (lower & 0xffff_ffffL);
    }

    private static int fresh() {
        int slot = FRESH.getAndIncrement();
        int index = slot >>> SEGMENT_BITS;
        if (slot < 0 || index >= MAX_SEGMENTS) {
            FRESH.decrementAndGet();
            throw new LimitExceededException(
                    "too many messages are under way in object channels", "messages under way",
                    (long) MAX_SEGMENTS << SEGMENT_BITS, null);
        }
        if (segment(slot) == null) {
            addSegment(index);
        }
        return slot;
    }

    private static synchronized void addSegment(int index) {
        if (SEGMENTS[index] == null) {
            BELOW[index] = new int[SEGMENT_SLOTS];
            SEGMENT.setRelease(SEGMENTS, index, new Object[SEGMENT_SLOTS]);
        }
    }
}
