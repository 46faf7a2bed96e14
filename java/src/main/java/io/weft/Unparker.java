// SPDX-License-Identifier: Apache-2.0
package io.weft;

import io.weft.ffi.Layouts;
import io.weft.ffi.OpCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;

/**
 * Owns the operations of virtual threads, and the one daemon thread, started with the first of them, that hears of
 * completed operations and unparks who waits.
 *
 * <p>An operation's memory is used again only after its token has been heard of (or after it was withdrawn, when none
 * comes): until then it belongs to C. It is never freed; as much of it exists as virtual threads ever waited at once.
 */
final class Unparker {
    private static final int CHUNK = 64;
    private static final int TOKENS = 64;

    private static final ConcurrentLinkedQueue<Op> FREE = new ConcurrentLinkedQueue<>();

    /** By token - 1. Replaced, never changed: the unparker reads it without a lock. */
    private static volatile Op[] all = {};

    /** One operation of a virtual thread. */
    static final class Op {
        final MemorySegment memory;
        final long token;

        /** Set by the unparker, read by the waiting thread: its completion was announced. */
        volatile boolean announced;

        /** Who waits; written before the operation starts. */
        private volatile Thread waiter;

        private Op(MemorySegment memory, long token) {
            this.memory = memory;
            this.token = token;
        }

        long value() {
            return memory.get(ValueLayout.JAVA_LONG, Layouts.OP_VALUE);
        }

        long mark() {
            return memory.get(ValueLayout.JAVA_LONG, Layouts.OP_MARK);
        }

        /** After this the operation may be another thread's. */
        void giveBack() {
            waiter = null;
            FREE.add(this);
        }
    }

    private Unparker() {}

    static Op borrow(Thread waiter) {
        Op op = FREE.poll();
        while (op == null) {
            grow();
            op = FREE.poll();
        }
        op.announced = false;
        op.waiter = waiter;
        return op;
    }

    private static synchronized void grow() {
        if (!FREE.isEmpty()) {
            return;
        }
        Op[] old = all;
        Op[] grown = Arrays.copyOf(old, old.length + CHUNK);
        MemorySegment chunk = Arena.global().allocate(CHUNK * Layouts.OP.byteSize(), Layouts.OP_ALIGNMENT);
        for (int i = 0; i < CHUNK; i++) {
            long size = Layouts.OP.byteSize();
            grown[old.length + i] = new Op(chunk.asSlice(i * size, size), old.length + i + 1L);
        }
        all = grown;
        if (old.length == 0) {
            Thread.ofPlatform().daemon().name("weft-unparker").start(Unparker::listen);
        }
        for (int i = 0; i < CHUNK; i++) {
            FREE.add(grown[old.length + i]);
        }
    }

    private static void listen() {
        MemorySegment tokens = Arena.global().allocate(ValueLayout.JAVA_LONG, TOKENS);
        for (;;) {
            int count = OpCalls.completed(tokens, TOKENS, Deadline.NEVER);
            Errors.check(count, "waiting for completed operations");
            for (int i = 0; i < count; i++) {
                announce(all[(int) tokens.getAtIndex(ValueLayout.JAVA_LONG, i) - 1]);
            }
        }
    }

    private static void announce(Op op) {
        // Read first: as soon as the flag is up the operation may be given back, and be another thread's.
        Thread waiter = op.waiter;
        op.announced = true;
        LockSupport.unpark(waiter);
    }
}
