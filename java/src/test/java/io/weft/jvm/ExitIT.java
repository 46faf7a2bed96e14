// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;
import static io.weft.jvm.Riders.ride;

import io.weft.Kthd;
import io.weft.Lwt;
import io.weft.LwtFailedException;
import io.weft.ffi.LwtCalls;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

/** Ends of the VM, and of threads, in the middle of switching. */
class ExitIT {
    @RepeatedTest(3)
    void exitInAnLwtEndsTheVm() throws Exception {
        ForkedJvm.of(ExitIT.class, "exitInAnLwt").run().expectExit(4).expectOutput("shutdown hook ran");
    }

    @RepeatedTest(3)
    void exitBesideLwtsEndsTheVm() throws Exception {
        ForkedJvm.of(ExitIT.class, "exitBesideLwts").run().expectExit(5).expectOutput("shutdown hook ran");
    }

    @RepeatedTest(3)
    void haltInAnLwtEndsTheVm() throws Exception {
        ForkedJvm.of(ExitIT.class, "haltInAnLwt").run().expectExit(6).expectNoOutput("shutdown hook ran");
    }

    @RepeatedTest(3)
    void theEndOfMainEndsTheVm() throws Exception {
        ForkedJvm.of(ExitIT.class, "endOfMain").run().expectOk().expectOutput("shutdown hook ran");
    }

    @Test
    void aThreadThatEndsWithoutLeavingLeaves() throws Exception {
        ForkedJvm.of(ExitIT.class, "endWithoutLeaving").run().expectOk().expectOutput("uncaught: on purpose");
    }

    @Test
    void anErrorInABodyStaysInIt() throws Exception {
        ForkedJvm.of(ExitIT.class, "throwingBodies").run().expectOk();
    }

    // ---- the cases, in a JVM of their own --------------------------------------------------------------------------

    /** Fifty lwts on two kthds that never stop moving. */
    private static List<Kthd> switching() throws Exception {
        List<Kthd> kthds = List.of(Kthd.start(), Kthd.start());
        AtomicLong moves = new AtomicLong();
        for (int i = 0; i < 50; i++) {
            int me = i;
            ride(kthds.get(i % 2), "mover" + i, () -> {
                for (int round = me; ; round++) {
                    Lwt.migrate(kthds.get(round % 2));
                    Lwt.yield();
                    moves.incrementAndGet();
                }
            });
        }
        Riders.await("they move", () -> moves.get() > 10_000);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("shutdown hook ran")));
        return kthds;
    }

    static void exitInAnLwt(String[] args) throws Exception {
        ride(switching().getFirst(), "exiter", () -> System.exit(4)).join();
    }

    static void exitBesideLwts(String[] args) throws Exception {
        switching();
        System.exit(5);
    }

    static void haltInAnLwt(String[] args) throws Exception {
        ride(switching().getFirst(), "halter", () -> Runtime.getRuntime().halt(6)).join();
    }

    static void endOfMain(String[] args) throws Exception {
        switching();
    }

    static void endWithoutLeaving(String[] args) throws Exception {
        Kthd kthd = Kthd.start();
        Thread.setDefaultUncaughtExceptionHandler(
                (thread, thrown) -> System.out.println("uncaught: " + thrown.getMessage()));
        for (boolean loose : new boolean[] {false, true}) {
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                threads.add(Thread.ofPlatform().start(() -> {
                    check(LwtCalls.adopt(kthd.handle(), MemorySegment.NULL) == 0, "adopted");
                    for (int turn = 0; turn < 100; turn++) {
                        LwtCalls.yield();
                    }
                    if (loose) {
                        check(LwtCalls.stepAside() == 0, "stepped aside");
                    }
                    throw new IllegalStateException("on purpose");
                }));
            }
            for (Thread thread : threads) {
                check(thread.join(Duration.ofSeconds(10)), "the thread ends");
            }
        }
        Lwt<Integer> after = kthd.spawn("after", () -> {
            for (int turn = 0; turn < 100; turn++) {
                Lwt.yield();
            }
            return 42;
        });
        check(after.join() == 42, "the carrier still runs lwts");
        kthd.close();
    }

    static void throwingBodies(String[] args) throws Exception {
        try (Kthd kthd = Kthd.start()) {
            for (int i = 0; i < 200; i++) {
                Lwt<Void> thrower = ride(kthd, "thrower", () -> {
                    Lwt.yield();
                    throw new OutOfMemoryError("not really");
                });
                try {
                    thrower.join();
                    throw new AssertionError("it threw nothing");
                } catch (LwtFailedException expected) {
                    check(expected.getCause() instanceof OutOfMemoryError, "the cause is kept");
                }
            }
            check(kthd.spawn(() -> 42).join() == 42, "the kthd still runs lwts");
        }
    }
}
