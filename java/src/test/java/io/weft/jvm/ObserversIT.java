// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;
import static io.weft.jvm.Riders.joinAll;
import static io.weft.jvm.Riders.ride;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.sun.management.HotSpotDiagnosticMXBean;
import io.weft.Kthd;
import io.weft.Lwt;
import io.weft.ffi.JvmCalls;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import javax.management.MBeanServer;
import javax.management.ObjectName;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordedThread;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tools that look into a running VM see lwts as the threads they are, and do not disturb them. */
class ObserversIT {
    @Test
    void lwtsSurviveAStormOfStackAndHeapDumps() throws Exception {
        ForkedJvm.of(ObserversIT.class, "storm").flag("-Xmx256m").run().expectOk();
    }

    @Test
    void jcmdSeesLwtsWithTheirFramesAndMonitors() throws Exception {
        try (ForkedJvm.Running jvm =
                ForkedJvm.of(ObserversIT.class, "suspendedLwts").start()) {
            jvm.awaitOutput("ready");
            String dump = "";
            for (int i = 0; i < 3; i++) {
                dump = jvm.jcmd("Thread.print", "-l");
            }
            for (String expected : List.of("\"sleeper0\"", "\"sleeper9\"", "holdAndPark", "- locked <")) {
                assertTrue(dump.contains(expected), expected + " in\n" + dump);
            }
            String heap = jvm.jcmd("GC.heap_dump", jvm.folder().resolve("heap.hprof").toString());
            assertTrue(heap.contains("Heap dump file created"), heap);
            assertTrue(jvm.isAlive());
        }
    }

    @Test
    void jfrExecutionSamplesAreTheLwts() throws Exception {
        ForkedJvm.Result result =
                ForkedJvm.of(ObserversIT.class, "executionSamples").run().expectOk();
        System.out.println("ExecutionSample: " + result.output().trim());
    }

    /** HotSpot can be told to suspend threads by another signal; then that one is passed on. */
    @ParameterizedTest
    @ValueSource(strings = {"35", "64"})
    void jfrExecutionSamplesComeByAnotherSignalToo(String number) throws Exception {
        ForkedJvm.of(ObserversIT.class, "executionSamples")
                .environment("_JAVA_SR_SIGNUM", number)
                .run()
                .expectOk();
    }

    @Test
    void jfrCpuTimeSamplesAreTheLwts() throws Exception {
        ForkedJvm.Result result =
                ForkedJvm.of(ObserversIT.class, "cpuTimeSamples").run().expectOk();
        assumeFalse(result.output().contains("no jdk.CPUTimeSample"), "this JDK has no CPU-time sampler");
        System.out.println("CPUTimeSample: " + result.output().trim());
    }

    @ParameterizedTest
    @ValueSource(strings = {"threadBean", "deadlockIsFound"})
    void theThreadBeanWorks(String name) throws Exception {
        ForkedJvm.of(ObserversIT.class, name).run().expectOk();
    }

    // ---- the cases, in a JVM of their own --------------------------------------------------------------------------

    /** Lwts on two kthds that allocate and move until it is over; each counts its rounds. */
    private static List<Lwt<Long>> movers(List<Kthd> kthds, int count, BooleanSupplier over) {
        List<Lwt<Long>> movers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int me = i;
            movers.add(kthds.get(i % kthds.size()).spawn("mover" + i, () -> {
                Object monitor = new Object();
                long rounds = 0;
                while (!over.getAsBoolean()) {
                    synchronized (monitor) {
                        byte[] garbage = new byte[100];
                        Lwt.migrate(kthds.get((int) (me + rounds) % kthds.size()));
                        rounds += garbage.length / 100;
                    }
                }
                return rounds;
            }));
        }
        return movers;
    }

    static void storm(String[] args) throws Exception {
        List<Kthd> kthds = List.of(Kthd.start(), Kthd.start());
        long end = System.nanoTime() + Duration.ofSeconds(5).toNanos();
        List<Lwt<Long>> movers = movers(kthds, 20, () -> System.nanoTime() > end);
        MBeanServer server = ManagementFactory.getPlatformMBeanServer();
        ObjectName commands = new ObjectName("com.sun.management:type=DiagnosticCommand");
        HotSpotDiagnosticMXBean diagnostics =
                ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
        Object[] noOptions = {new String[0]};
        String[] signature = {String[].class.getName()};
        int dumps = 0;
        int heaps = 0;
        for (; System.nanoTime() < end; dumps++) {
            String dump = (String) server.invoke(commands, "threadPrint", noOptions, signature);
            check(dump.contains("\"mover7\""), "the dump shows lwts");
            check(Thread.getAllStackTraces().size() > 20, "all stack traces");
            if (dumps % 5 == 0) {
                Path file = Path.of("storm-" + dumps + ".hprof").toAbsolutePath();
                diagnostics.dumpHeap(file.toString(), true);
                Files.delete(file);
                heaps++;
            }
            Thread.sleep(10);
        }
        long rounds = 0;
        for (Lwt<Long> mover : movers) {
            rounds += mover.join();
        }
        check(dumps > 10 && heaps > 2 && rounds > 10_000, "both sides were busy");
        System.out.println("dumps=" + dumps + " heaps=" + heaps + " rounds=" + rounds);
        kthds.forEach(Kthd::close);
    }

    static void suspendedLwts(String[] args) throws Exception {
        Kthd kthd = Kthd.start();
        AtomicLong parked = new AtomicLong();
        ride(kthd, 10, "sleeper", () -> holdAndPark(parked));
        Riders.await("all are parked", () -> parked.get() == 10);
        System.out.println("ready");
        Thread.currentThread().join();
    }

    private static void holdAndPark(AtomicLong parked) {
        Object own = new Object();
        synchronized (own) {
            parked.incrementAndGet();
            while (own != null) {
                Lwt.yield();
            }
        }
    }

    /** What is sampled: Java code that is busy, with a turn given away now and then. */
    private static long compute(BooleanSupplier over) {
        long sum = 1;
        while (!over.getAsBoolean()) {
            for (int i = 0; i < 100_000; i++) {
                sum = sum * 31 + (sum >>> 7);
            }
            Lwt.yield();
        }
        return sum;
    }

    /** Runs four busy lwts under a recording, and gives how many samples each thread got. */
    private static Map<String, Integer> sample(Recording recording, String event, String threadField)
            throws Exception {
        Path file = Path.of("samples.jfr").toAbsolutePath();
        try (recording;
                Kthd kthd = Kthd.builder().name("carrier").start()) {
            recording.start();
            long end = System.nanoTime() + Duration.ofSeconds(3).toNanos();
            joinAll(ride(kthd, 4, "busy", () -> compute(() -> System.nanoTime() > end)));
            recording.stop();
            recording.dump(file);
        }
        Map<String, Integer> samples = new HashMap<>();
        for (RecordedEvent sample : RecordingFile.readAllEvents(file)) {
            RecordedThread thread =
                    sample.getEventType().getName().equals(event) ? sample.getThread(threadField) : null;
            if (thread != null) {
                samples.merge(String.valueOf(thread.getJavaName()), 1, Integer::sum);
            }
        }
        System.out.println(samples + " forwarded=" + JvmCalls.signalsForwarded());
        return samples;
    }

    private static void checkSamples(Map<String, Integer> samples) {
        for (int i = 0; i < 4; i++) {
            check(samples.getOrDefault("busy" + i, 0) > 2, "samples of busy" + i + " in " + samples);
        }
    }

    static void executionSamples(String[] args) throws Exception {
        Recording recording = new Recording();
        recording.enable("jdk.ExecutionSample").withPeriod(Duration.ofMillis(10));
        long before = JvmCalls.signalsForwarded();
        checkSamples(sample(recording, "jdk.ExecutionSample", "sampledThread"));
        check(JvmCalls.signalsForwarded() > before, "the sampler's signals were passed on");
    }

    static void cpuTimeSamples(String[] args) throws Exception {
        boolean known = FlightRecorder.getFlightRecorder().getEventTypes().stream()
                .anyMatch(type -> type.getName().equals("jdk.CPUTimeSample"));
        if (!known) {
            System.out.println("no jdk.CPUTimeSample");
            return;
        }
        Recording recording = new Recording();
        recording.enable("jdk.CPUTimeSample").with("throttle", "10ms");
        checkSamples(sample(recording, "jdk.CPUTimeSample", "eventThread"));
    }

    static void threadBean(String[] args) throws Exception {
        ThreadMXBean bean = ManagementFactory.getThreadMXBean();
        var allocations = (com.sun.management.ThreadMXBean) bean;
        List<Kthd> kthds = List.of(Kthd.start(), Kthd.start());
        AtomicLong over = new AtomicLong();
        List<Lwt<Long>> movers = movers(kthds, 10, () -> over.get() != 0);
        Lwt<Void> frugal = ride(kthds.getFirst(), "frugal", () -> {
            long id = Thread.currentThread().threadId();
            long before = allocations.getThreadAllocatedBytes(id);
            byte[][] kept = new byte[100][];
            for (int i = 0; i < kept.length; i++) {
                kept[i] = new byte[10_000];
                Lwt.yield();
            }
            long bytes = allocations.getThreadAllocatedBytes(id) - before;
            check(bytes >= 1_000_000 && bytes < 1_500_000, "allocation is counted by lwt, not by carrier: " + bytes);
        });
        for (int i = 0; i < 50; i++) {
            ThreadInfo[] infos = bean.dumpAllThreads(true, true);
            check(infos.length > 10, "all threads are there");
            for (ThreadInfo info : infos) {
                check(bean.getThreadCpuTime(info.getThreadId()) >= -1, "a CPU time, or none");
            }
            check(bean.findDeadlockedThreads() == null, "no deadlock where there is none");
        }
        frugal.join();
        over.set(1);
        joinAll(movers);
        kthds.forEach(Kthd::close);
    }

    static void deadlockIsFound(String[] args) throws Exception {
        Kthd kthd = Kthd.start();
        Object left = new Object();
        Object right = new Object();
        ride(kthd, "left", () -> lockBoth(left, right));
        ride(kthd, "right", () -> lockBoth(right, left));
        ThreadMXBean bean = ManagementFactory.getThreadMXBean();
        Riders.await("the deadlock is found", () -> bean.findDeadlockedThreads() != null);
        check(bean.findDeadlockedThreads().length == 2, "two are in it");
    }

    private static void lockBoth(Object first, Object second) {
        synchronized (first) {
            for (int i = 0; i < 100; i++) {
                Lwt.yield();
            }
            synchronized (second) {
                throw new AssertionError("that was to be a deadlock");
            }
        }
    }
}
