// SPDX-License-Identifier: Apache-2.0
package io.weft;

import io.weft.ffi.JvmCalls;
import io.weft.ffi.Layouts;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Asks, before a thread is created, whether the system has room for it. A VM that meets a limit on threads or memory
 * maps by itself may die of it; here the limit is named. The C library's answer keeps a reserve for the VM and for
 * others. Reading the limits costs some 100 us, so that it is done for {@link #BATCH} threads at a time.
 */
final class Headroom {
    private static final int BATCH = 64;

    private static final AtomicInteger ADMITTED = new AtomicInteger();

    private Headroom() {}

    /** Admits one more thread. */
    static void take() {
        while (ADMITTED.getAndDecrement() <= 0) {
            refill();
        }
    }

    /** What to say when the system refused a thread all the same. */
    static LimitExceededException refused(Throwable cause) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment limit = arena.allocate(Layouts.LIMIT);
            if (JvmCalls.threadHeadroom(limit) < 0) {
                return new LimitExceededException(
                        "the system refuses to create another thread", "threads", 0, cause);
            }
            return exceeded(limit, cause);
        }
    }

    private static synchronized void refill() {
        if (ADMITTED.get() > 0) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment limit = arena.allocate(Layouts.LIMIT);
            boolean unknown = JvmCalls.threadHeadroom(limit) < 0;
            long room = unknown ? Long.MAX_VALUE : limit.get(ValueLayout.JAVA_LONG, Layouts.LIMIT_THREADS);
            if (room == 0) {
                ADMITTED.set(0);
                throw exceeded(limit, null);
            }
            ADMITTED.set((int) Math.min(BATCH, room));
        }
    }

    private static LimitExceededException exceeded(MemorySegment limit, Throwable cause) {
        String name = limit.getString(Layouts.LIMIT_NAME);
        long maximum = limit.get(ValueLayout.JAVA_LONG, Layouts.LIMIT_MAXIMUM);
        long used = limit.get(ValueLayout.JAVA_LONG, Layouts.LIMIT_USED);
        long threads = limit.get(ValueLayout.JAVA_LONG, Layouts.LIMIT_THREADS);
        return new LimitExceededException(
                "no more threads for lwts: the limit " + name + " is " + maximum + ", " + used + " of it is used, which"
                        + " leaves room for " + threads + " more threads beside a reserve for the VM",
                name, maximum, cause);
    }
}
