// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.weft.Kthd;
import io.weft.Lwt;
import io.weft.ffi.JvmCalls;
import io.weft.ffi.LwtCalls;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Everything at once, on every collector and in every mode of the VM: 50 lwts are moved between two kthds at nearly
 * every operation, while they allocate and collect, hold monitors across moves, overflow their stacks, take
 * NullPointer- and ArithmeticExceptions, throw through deep frames, and fight for shared locks whose counts must come
 * out exact. It prints its seed. {@code -Dweft.stress.seconds=30} runs each for longer than the default 6 s.
 */
class StressIT {
    private static final int RIDERS = 50;
    private static final int KTHDS = 2;
    private static final int SHARED = 4;
    private static final double SECONDS = Double.parseDouble(System.getProperty("weft.stress.seconds", "6"));

    @ParameterizedTest
    @ValueSource(
            strings = {
                "-XX:+UseSerialGC",
                "-XX:+UseParallelGC",
                "-XX:+UseG1GC",
                "-XX:+UseZGC",
                "-XX:+UseShenandoahGC",
                "-Xint",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSystemMemoryBarrier",
                "-XX:+UseCompactObjectHeaders",
                "-Xcheck:jni",
            })
    void movingLwtsSurviveEverythingAtOnce(String flag) throws Exception {
        ForkedJvm.Result result = stressed(flag);
        assumeFalse(
                result.output().contains("Option " + flag + " not supported"), "this JDK does not have " + flag);
        expectOk(result, flag);
    }

    @Test
    void movingLwtsSurviveTheFlightRecorderAtItsHighestRates() throws Exception {
        String events = "jdk.ExecutionSample#period=1ms,jdk.NativeMethodSample#period=1ms,jdk.ThreadDump#period=20ms,"
                + "jdk.CPUTimeSample#enabled=true,jdk.CPUTimeSample#throttle=1ms";
        ForkedJvm.Result result =
                stressed("-XX:StartFlightRecording:settings=profile,filename=stress.jfr," + events);
        expectOk(result, "recorded");
        assertTrue(result.number("forwarded") > 100, "the samplers' signals were passed on");
    }

    private static ForkedJvm.Result stressed(String flag) throws Exception {
        return ForkedJvm.of(StressIT.class, "stress")
                .flag("-XX:+UnlockExperimentalVMOptions", "-Xmx1g", flag)
                .within(Duration.ofMillis((long) (SECONDS * 1000) + 60_000))
                .run();
    }

    private static void expectOk(ForkedJvm.Result result, String how) {
        result.expectOk().expectOutput("stress ok");
        System.out.println(how + ": " + result.output().lines().reduce("", (a, b) -> b));
    }

    static void stress(String[] args) throws Exception {
        new StressIT().new Run(System.getProperty("weft.seed") == null ? System.nanoTime() : Long.getLong("weft.seed"))
                .run();
    }

    /** One run, in the forked JVM. */
    private final class Run {
        private final long seed;
        private final List<Kthd> kthds = new ArrayList<>();
        private final ThreadLocal<int[]> mark = ThreadLocal.withInitial(() -> new int[1]);
        private final AtomicLong ops = new AtomicLong();
        private final AtomicLong overflows = new AtomicLong();
        private final AtomicLong nulls = new AtomicLong();

        // Each count is guarded by the lock beside it, and by nothing else; the totals by being atomic.
        private final Object[] monitors = new Object[SHARED];
        private final int[] counts = new int[SHARED];
        private final AtomicLong monitorTotal = new AtomicLong();
        private final ReentrantLock lock = new ReentrantLock();
        private int lockCount;
        private final AtomicLong lockTotal = new AtomicLong();

        private volatile boolean stop;

        Run(long seed) {
            this.seed = seed;
            Arrays.setAll(monitors, i -> new Object());
        }

        void run() throws Exception {
            System.out.println("seed " + seed + ", again by -Dweft.seed=" + seed);
            for (int i = 0; i < KTHDS; i++) {
                kthds.add(Kthd.builder().name("stress-" + i).stackBytes(512 << 10).start());
            }
            List<Lwt<Void>> riders = new ArrayList<>();
            for (int i = 0; i < RIDERS; i++) {
                int id = i;
                riders.add(Riders.ride(kthds.get(i % KTHDS), "rider-" + i, () -> new Rider(this, id).ride()));
            }
            long end = System.nanoTime() + (long) (SECONDS * 1e9);
            while (System.nanoTime() < end && riders.stream().allMatch(Lwt::isAlive)) {
                Thread.sleep(50);
                nativeLwt();
            }
            stop = true;
            Riders.joinAll(riders);
            for (Kthd kthd : kthds) {
                kthd.close();
            }
            check(Arrays.stream(counts).asLongStream().sum() == monitorTotal.get(), "monitors excluded");
            check(lockCount == lockTotal.get(), "the lock excluded");
            check(overflows.get() > 0 && nulls.get() > 0, "everything came to its turn");
            System.out.println("stress ok ops=" + ops + " monitors=" + monitorTotal + " locks=" + lockTotal + " overflows="
                    + overflows + " nulls=" + nulls + " aside=" + JvmCalls.stepsAside() + " forwarded="
                    + JvmCalls.signalsForwarded());
        }

        /** A native lwt in between. The first one puts weft's fault handler in front of the VM's. */
        private void nativeLwt() throws InterruptedException {
            MemorySegment labs = Linker.nativeLinker().defaultLookup().find("labs").orElseThrow();
            check(kthds.getFirst().spawnNative(labs, -42).join() == 42, "a native lwt gives its result");
        }
    }

    /** One lwt's doings. */
    private static final class Rider {
        private final Run run;
        private final int id;
        private final Random random;
        private final Object own = new Object();
        private final List<Object[]> kept = new ArrayList<>();
        private long round;

        Rider(Run run, int id) {
            this.run = run;
            this.id = id;
            this.random = new Random(run.seed + id);
        }

        void ride() throws Exception {
            run.mark.get()[0] = id;
            while (!run.stop) {
                round++;
                run.ops.incrementAndGet();
                objectsKeepTheirPlaces();
                ownMonitorGoesAlong();
                identityStays();
                if (round % 50 == id % 50) {
                    check(deep(150) == 150, "deep frames survive moves");
                    exceptionsUnwind();
                }
                if (round % 997 == 7) {
                    stackOverflows();
                }
                if (round % 100 == 3) {
                    implicitExceptions();
                }
                if (round % 10 == 1) {
                    sharedMonitor();
                }
                if (round % 37 == 1) {
                    sharedLock();
                }
                waits();
                if (id == 0 && round % 300 == 0) {
                    System.gc();
                }
                if (id == 1 && round % 2000 == 0) {
                    Thread.getAllStackTraces();
                }
            }
        }

        private void move(long to) {
            Lwt.migrate(run.kthds.get((int) (to % KTHDS)));
        }

        private void objectsKeepTheirPlaces() {
            String word = "rider " + id + " round " + round;
            Object[] array = new Object[random.nextInt(100)];
            Arrays.fill(array, word);
            kept.add(array);
            if (kept.size() > 20) {
                kept.removeFirst();
            }
            double x = id + round % 100 + 1;
            double before = arithmetic(x);
            move(id + round);
            check(arithmetic(x) == before, "floating point survives a move");
            check(word.equals("rider " + id + " round " + round), "a string survives a move");
            for (Object element : array) {
                check(element == word, "references survive a move");
            }
        }

        private static double arithmetic(double x) {
            return Math.sin(x) * Math.sqrt(x) + x % 3.7;
        }

        private void ownMonitorGoesAlong() {
            synchronized (own) {
                move(id + round + 1);
                check(Thread.holdsLock(own), "a monitor is held over a move");
            }
            check(!Thread.holdsLock(own), "a monitor is given back");
        }

        private void identityStays() {
            check(run.mark.get()[0] == id, "thread-locals are one's own");
            check(Thread.currentThread().getName().equals("rider-" + id), "the thread is oneself");
        }

        private int deep(int levels) {
            byte[] garbage = new byte[16];
            garbage[3] = (byte) levels;
            if (levels % 7 == 0) {
                move(levels);
            }
            return levels == 0 ? 0 : deep(levels - 1) + garbage[3] - (byte) levels + 1;
        }

        private void exceptionsUnwind() {
            try {
                unwind(200);
            } catch (IllegalStateException e) {
                check(e.getStackTrace().length >= 200, "a stack trace is whole");
            }
        }

        private int unwind(int levels) {
            if (levels % 32 == 0) {
                move(levels / 32);
            }
            if (levels == 0) {
                throw new IllegalStateException();
            }
            return unwind(levels - 1) + 1;
        }

        /** By the raw calls: an overflow may strike between any two instructions of Java, also of Lwt.migrate, and its
         * books are not meant to survive that. The context switch is. */
        private void stackOverflows() {
            try {
                overflow(0);
                throw new AssertionError("endless recursion ended");
            } catch (StackOverflowError expected) {
                run.overflows.incrementAndGet();
            }
            check(LwtCalls.migrate(Lwt.current().orElseThrow().kthd().handle()) == 0, "it goes back to where Java believes it is");
        }

        private int overflow(int levels) {
            if (levels % 128 == 0) {
                LwtCalls.migrate(run.kthds.get(levels / 128 % KTHDS).handle());
            }
            return overflow(levels + 1) + 1;
        }

        private void implicitExceptions() {
            Object nothing = round > 0 ? null : this;
            try {
                nothing.hashCode();
                throw new AssertionError("null had a hash code");
            } catch (NullPointerException expected) {
                run.nulls.incrementAndGet();
            }
            int zero = (int) (round >>> 62);
            try {
                throw new AssertionError("5 / 0 = " + 5 / zero);
            } catch (ArithmeticException expected) {
                move(round);
            }
        }

        private void sharedMonitor() {
            int which = (int) ((id + round) % SHARED);
            synchronized (run.monitors[which]) {
                int count = run.counts[which];
                if (round % 3 == 0) {
                    move(round);
                } else {
                    Lwt.yield();
                }
                run.counts[which] = count + 1;
            }
            run.monitorTotal.incrementAndGet();
        }

        private void sharedLock() {
            run.lock.lock();
            try {
                int count = run.lockCount;
                Lwt.yield();
                run.lockCount = count + 1;
            } finally {
                run.lock.unlock();
            }
            run.lockTotal.incrementAndGet();
        }

        private void waits() throws InterruptedException {
            if (round % 101 == 1) {
                LockSupport.parkNanos(20_000);
            }
            if (round % 301 == 1) {
                Thread.sleep(1);
            }
            if (round % 401 == 1) {
                synchronized (run.monitors[0]) {
                    run.monitors[0].wait(1);
                }
            }
        }
    }
}
