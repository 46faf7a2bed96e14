// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;
import static io.weft.jvm.Riders.joinAll;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.weft.Kthd;
import io.weft.LimitExceededException;
import io.weft.Lwt;
import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Ten thousand Java lwts live with the system's default limits; and whoever asks for more than a limit allows is told
 * its name and number, before the VM dies of it, and can go on with what he has.
 */
class LimitsIT {
    private static final int MANY = Integer.getInteger("weft.test.many", 10_000);

    @Test
    void tenThousandLwtsLive() throws Exception {
        ForkedJvm.Result result = ForkedJvm.of(LimitsIT.class, "many", Integer.toString(MANY))
                .flag("-Xmx1g")
                .within(Duration.ofSeconds(180))
                .run();
        assumeTrue(
                !result.output().contains("LimitExceededException"),
                "this machine has less room than " + MANY + " threads: " + result.output());
        result.expectOk();
        System.out.println(result.output().trim());
    }

    /** The process fills its table of memory maps, which needs no privilege; then lwts are refused, by that name. */
    @Test
    void runningOutOfMemoryMapsIsToldBeforeTheVmDies() throws Exception {
        long maximum = number(Path.of("/proc/sys/vm/max_map_count"));
        assumeTrue(maximum <= 2_000_000, "a table of " + maximum + " memory maps is too large to fill");
        ForkedJvm.of(LimitsIT.class, "untilRefused", "vm.max_map_count", Long.toString(maximum), "fill the table")
                .within(Duration.ofSeconds(120))
                .run()
                .expectOk()
                .expectOutput("refused: vm.max_map_count " + maximum);
    }

    @Test
    void runningOutOfTheCgroupsProcessesIsToldBeforeTheVmDies() throws Exception {
        Path group = Cgroup.create(700);
        assumeTrue(group != null, "no cgroup with the pids controller can be made here");
        try {
            ForkedJvm.of(LimitsIT.class, "untilRefused", "cgroup pids.max", "700")
                    .wrappedBy("sh", "-c", "echo $$ > " + group.resolve("cgroup.procs") + " && exec \"$@\"", "sh")
                    .run()
                    .expectOk()
                    .expectOutput("refused: cgroup pids.max 700");
        } finally {
            Cgroup.remove(group);
        }
    }

    /** Binds ordinary users only: run by root, the JVM becomes another user's. */
    @Test
    void runningOutOfTheUsersProcessesIsToldBeforeTheVmDies() throws Exception {
        boolean root = "root".equals(System.getProperty("user.name"));
        List<String> wrapper = new ArrayList<>();
        if (root) {
            wrapper.addAll(List.of("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"));
        }
        String limit = Long.toString(700 + (root ? 0 : threadsOfThisUser()));
        wrapper.addAll(List.of("prlimit", "--nproc=" + limit + ":" + limit));
        List<String> probe = new ArrayList<>(wrapper);
        probe.addAll(List.of(ForkedJvm.jdk().resolve("bin/java").toString(), "-version"));
        boolean possible;
        try {
            possible = ForkedJvm.outputOf(probe, Duration.ofSeconds(20)).contains("version");
        } catch (IOException e) {
            possible = false;
        }
        assumeTrue(possible, "no user with a limit on processes can be had here");
        ForkedJvm.Result result = ForkedJvm.of(LimitsIT.class, "untilRefused", "RLIMIT_NPROC (ulimit -u)", limit)
                .wrappedBy(wrapper.toArray(String[]::new))
                .run();
        assumeTrue(
                !result.output().contains("Could not find or load main class"),
                "another user cannot read the test classes");
        result.expectOk().expectOutput("refused: RLIMIT_NPROC (ulimit -u) " + limit);
    }

    private static long threadsOfThisUser() throws IOException {
        long threads = 0;
        Object me = Files.getOwner(Path.of("/proc/self"));
        try (Stream<Path> processes = Files.list(Path.of("/proc"))) {
            for (Path process : processes.toList()) {
                try {
                    if (Files.getOwner(process).equals(me)) {
                        threads += status(process, "Threads");
                    }
                } catch (IOException gone) {
                    continue;
                }
            }
        }
        return threads;
    }

    private static long status(Path process, String name) throws IOException {
        for (String line : Files.readAllLines(process.resolve("status"))) {
            if (line.startsWith(name + ":")) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        return 0;
    }

    /** By lines: a file under /proc/sys gives its text to the first read only, and {@code Files.readString} begins
     * with one byte. */
    private static long number(Path file) throws IOException {
        return Long.parseLong(Files.readAllLines(file).getFirst());
    }

    /** A cgroup of our own below the one we are in, where that is allowed. */
    private static final class Cgroup {
        static Path create(int maximum) {
            for (Path parent : List.of(Path.of("/sys/fs/cgroup/pids"), Path.of("/sys/fs/cgroup"))) {
                Path group = parent.resolve("weft-test-" + ProcessHandle.current().pid());
                try {
                    Files.createDirectory(group);
                    Files.writeString(group.resolve("pids.max"), Integer.toString(maximum));
                    return group;
                } catch (IOException notHere) {
                    remove(group);
                }
            }
            return null;
        }

        static void remove(Path group) {
            try {
                Files.deleteIfExists(group);
            } catch (IOException e) {
                System.err.println("a cgroup is left behind: " + e);
            }
        }
    }

    // ---- the cases, in a JVM of their own --------------------------------------------------------------------------

    static void many(String[] args) throws Exception {
        int count = Integer.parseInt(args[0]);
        try (Kthd left = Kthd.builder().name("left").poolSize(count).start();
                Kthd right = Kthd.builder().name("right").poolSize(count).start()) {
            CountDownLatch alive = new CountDownLatch(count);
            boolean[] over = new boolean[1];
            List<Lwt<Void>> lwts = new ArrayList<>();
            long start = System.nanoTime();
            for (int i = 0; i < count; i++) {
                lwts.add(Riders.ride(i % 2 == 0 ? left : right, "one of many " + i, () -> {
                    alive.countDown();
                    synchronized (over) {
                        while (!over[0]) {
                            over.wait();
                        }
                    }
                }));
            }
            alive.await();
            long created = System.nanoTime();
            System.gc();
            check(Thread.getAllStackTraces().size() > count, "they are all there");
            int maps;
            try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
                maps = (int) lines.count();
            }
            System.out.println(count + " lwts alive: " + (created - start) / 1_000_000 + " ms, " + maps + " memory maps, "
                    + status(Path.of("/proc/self"), "VmRSS") + " kB resident, " + status(Path.of("/proc/self"), "Threads") + " kernel threads");
            synchronized (over) {
                over[0] = true;
                over.notifyAll();
            }
            joinAll(lwts);
        }
    }

    /** Asks for lwts until there are no more; the limit must be the one expected. Then all must be well. */
    static void untilRefused(String[] args) throws Exception {
        Runnable undo = args.length > 2 ? fillTheTableOfMaps() : () -> {};
        try (Kthd kthd = Kthd.builder().poolSize(0).start()) {
            List<Lwt<Void>> lwts = new ArrayList<>();
            boolean[] over = new boolean[1];
            for (int times = 0; times < 3; times++) {
                LimitExceededException refused = spawnUntilRefused(kthd, lwts, over);
                check(refused.limit().equals(args[0]), "the limit is " + args[0] + ": " + refused.getMessage());
                check(refused.maximum() == Long.parseLong(args[1]), "its value is " + args[1] + ": " + refused);
                check(refused.getMessage().contains(args[0]) && refused.getMessage().contains(args[1]), "in words");
            }
            System.out.println("refused: " + args[0] + " " + args[1] + " after " + lwts.size() + " lwts");
            // What the VM needs for itself is still there.
            System.gc();
            check(Thread.getAllStackTraces().size() > lwts.size(), "they are all there");
            Thread helper = new Thread(() -> {});
            helper.start();
            helper.join();
            Process process = new ProcessBuilder("true").start();
            check(process.waitFor() == 0, "a process can be started");
            synchronized (over) {
                over[0] = true;
                over.notifyAll();
            }
            joinAll(lwts);
            undo.run();
            awaitRoom(kthd);
        }
    }

    private static LimitExceededException spawnUntilRefused(Kthd kthd, List<Lwt<Void>> lwts, boolean[] over) {
        try {
            while (lwts.size() < 50_000) {
                lwts.add(Riders.ride(kthd, "filler", () -> {
                    synchronized (over) {
                        while (!over[0]) {
                            over.wait();
                        }
                    }
                }));
            }
            throw new AssertionError("there was no limit");
        } catch (LimitExceededException refused) {
            return refused;
        }
    }

    /** When the others are gone there is room again. Their kernel threads take a moment to go. */
    private static void awaitRoom(Kthd kthd) throws InterruptedException {
        Riders.await("there is room again", () -> {
            try {
                return kthd.spawn(() -> 42).join() == 42;
            } catch (LimitExceededException notYet) {
                return false;
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        });
    }

    /** Leaves room for some hundred threads. Every other page of one mapping gets another protection. */
    private static Runnable fillTheTableOfMaps() throws Exception {
        long maximum = number(Path.of("/proc/sys/vm/max_map_count"));
        long used;
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
            used = lines.count();
        }
        long maps = maximum - used - maximum / 32 - 2000;
        long page = 4096;
        MethodHandle mmap = function(
                "mmap",
                FunctionDescriptor.of(
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_LONG));
        MethodHandle mprotect = function(
                "mprotect",
                FunctionDescriptor.of(
                        ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT));
        MethodHandle munmap = function(
                "munmap",
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
        long bytes = maps * page;
        // PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        long base = ((Number) call(mmap, 0L, bytes, 0, 0x2 | 0x20 | 0x4000, -1, 0L)).longValue();
        check(base > 0, "address space for the pages");
        for (long i = 0; i < maps; i += 2) {
            check((int) call(mprotect, base + i * page, page, 1 /* PROT_READ */) == 0, "a page of its own protection");
        }
        return () -> check((int) call(munmap, base, bytes) == 0, "the pages are given back");
    }

    private static MethodHandle function(String name, FunctionDescriptor descriptor) {
        Linker linker = Linker.nativeLinker();
        MemorySegment symbol = linker.defaultLookup().find(name).orElseThrow();
        return linker.downcallHandle(symbol, descriptor);
    }

    private static Object call(MethodHandle handle, Object... arguments) {
        try {
            return handle.invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
