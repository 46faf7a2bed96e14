// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;

import io.weft.Adoption;
import io.weft.Kthd;
import io.weft.Lwt;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/**
 * Threads that C made (pthread_create) come into Java by an upcall, which attaches them to the VM, adopt themselves,
 * take turns with lwts and go back to C, which detaches and ends them.
 */
class ForeignThreadIT {
    private static final int THREADS = 8;
    private static final int ROUNDS = 20;

    private static Kthd kthd;
    private static final AtomicInteger ENTERED = new AtomicInteger();

    @Test
    void foreignThreadsAttachRideAndDetach() throws Exception {
        ForkedJvm.of(ForeignThreadIT.class, "pthreads").run().expectOk();
    }

    // ---- the case, in a JVM of its own -----------------------------------------------------------------------------

    /** The start routine: void *(*)(void *). */
    private static MemorySegment body(MemorySegment argument) {
        try (Adoption adoption = kthd.adopt()) {
            for (int i = 0; i < 100; i++) {
                Lwt.yield();
            }
            check(adoption.lwt().isAlive(), "it is an lwt");
            ENTERED.incrementAndGet();
        }
        return argument;
    }

    static void pthreads(String[] args) throws Exception {
        Linker linker = Linker.nativeLinker();
        MethodHandle create = linker.downcallHandle(
                linker.defaultLookup().find("pthread_create").orElseThrow(),
                FunctionDescriptor.of(
                        ValueLayout.JAVA_INT,
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS));
        MethodHandle join = linker.downcallHandle(
                linker.defaultLookup().find("pthread_join").orElseThrow(),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.ADDRESS));
        MethodHandle body = MethodHandles.lookup()
                .findStatic(
                        ForeignThreadIT.class,
                        "body",
                        MethodType.methodType(MemorySegment.class, MemorySegment.class));
        kthd = Kthd.start();
        try (Arena arena = Arena.ofShared()) {
            MemorySegment stub = linker.upcallStub(
                    body, FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS), arena);
            MemorySegment ids = arena.allocate(ValueLayout.JAVA_LONG, THREADS);
            for (int round = 0; round < ROUNDS; round++) {
                Lwt<Void> beside = Riders.ride(kthd, "beside", () -> {
                    for (int i = 0; i < 1000; i++) {
                        Lwt.yield();
                    }
                });
                for (int i = 0; i < THREADS; i++) {
                    MemorySegment id = ids.asSlice(8L * i, 8);
                    check(call(create, id, MemorySegment.NULL, stub, MemorySegment.NULL) == 0, "a pthread starts");
                }
                for (int i = 0; i < THREADS; i++) {
                    check(call(join, ids.getAtIndex(ValueLayout.JAVA_LONG, i), MemorySegment.NULL) == 0, "it ends");
                }
                beside.join();
            }
        }
        kthd.close();
        check(ENTERED.get() == THREADS * ROUNDS, "all of them were lwts");
    }

    private static int call(MethodHandle handle, Object... arguments) {
        try {
            return (int) handle.invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
