// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import io.weft.Kthd;
import io.weft.Lwt;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** What the cases share: bodies that may throw, waiting for all, and a look at what a carrier is doing. */
final class Riders {
    /** The body of an lwt. */
    @FunctionalInterface
    interface Body {
        void run() throws Exception;
    }

    private Riders() {}

    static Lwt<Void> ride(Kthd kthd, String name, Body body) {
        return kthd.spawn(name, () -> {
            body.run();
            return null;
        });
    }

    static List<Lwt<Void>> ride(Kthd kthd, int count, String name, Body body) {
        List<Lwt<Void>> riders = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            riders.add(ride(kthd, name + i, body));
        }
        return riders;
    }

    /** Throws what one of them threw. */
    static void joinAll(Collection<? extends Lwt<?>> riders) throws InterruptedException {
        for (Lwt<?> rider : riders) {
            rider.join();
        }
    }

    /** Looks until it is so, for ten seconds, from a plain thread. */
    static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + Duration.ofSeconds(10).toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw failure("not within 10 s: " + what);
            }
            Thread.sleep(1);
        }
    }

    static void check(boolean condition, String what) {
        if (!condition) {
            throw failure("not so: " + what);
        }
    }

    /** Said at once too: a case that fails may hang on its way out, while it closes what it was about. */
    private static AssertionError failure(String what) {
        AssertionError failure = new AssertionError(what);
        failure.printStackTrace();
        return failure;
    }

    /** Numbers of the system calls in which a thread waits for input: read, poll, readv, accept, recvfrom, recvmsg,
     * ppoll, accept4. */
    private static final Set<String> WAITING_FOR_INPUT = Set.of("0", "7", "19", "43", "45", "47", "271", "288");

    /** Whether the carrier of that name sleeps in the kernel, waiting for input. */
    static boolean isWaitingForInput(String carrier) {
        return WAITING_FOR_INPUT.contains(systemCall(carrier));
    }

    private static String systemCall(String thread) {
        try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
            for (Path task : tasks.toList()) {
                if (Files.readString(task.resolve("comm")).trim().equals(thread)) {
                    return Files.readString(task.resolve("syscall")).split(" ")[0].trim();
                }
            }
            return "none";
        } catch (IOException e) {
            return e.toString();
        }
    }
}
