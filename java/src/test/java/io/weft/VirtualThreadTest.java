// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Virtual threads that wait in weft do not pin their carrier. The JVM that shows it has one carrier thread and is
 * allowed no other: if one waiter pinned it, nobody would ever come to wake it.
 */
@Timeout(value = 120, unit = TimeUnit.SECONDS)
class VirtualThreadTest {
    private static final int WAITERS = 200;

    @Test
    void waitersDoNotPinTheirCarrier() throws Exception {
        Process jvm = new ProcessBuilder(command()).redirectErrorStream(true).start();
        String output = new String(jvm.getInputStream().readAllBytes());
        assertEquals(0, jvm.waitFor(), output);
        assertTrue(output.contains("all waited and were woken"), output);
    }

    @Test
    void manyWaitersAreWoken() throws Exception {
        try (Kthd kthd = Kthd.start()) {
            run(kthd);
        }
    }

    private static List<String> command() {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of(
                "--enable-native-access=ALL-UNNAMED",
                "-Djdk.virtualThreadScheduler.parallelism=1",
                "-Djdk.virtualThreadScheduler.maxPoolSize=1",
                "-cp", System.getProperty("java.class.path")));
        String library = System.getProperty("weft.library.dir");
        if (library != null) {
            command.add("-Dweft.library.dir=" + library);
        }
        command.add(VirtualThreadTest.class.getName());
        return command;
    }

    /** In the other JVM. Everything is done by virtual threads, and nothing by the one that could help out. */
    public static void main(String[] args) throws Exception {
        Thread thread = Thread.startVirtualThread(() -> {
            try (Kthd kthd = Kthd.start()) {
                run(kthd);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
            System.out.println("all waited and were woken");
        });
        if (!thread.join(Duration.ofSeconds(60))) {
            System.exit(3);
        }
    }

    private static void run(Kthd kthd) throws InterruptedException {
        try (LongChan numbers = LongChan.create(0);
                Chan<String> words = Chan.create(0);
                LongChan full = LongChan.create(1);
                Cgrp<String> group = new Cgrp<>();
                LongChan member = LongChan.create(WAITERS)) {
            full.send(0);
            group.add(member, "member");
            Lwt<String> lwt = kthd.spawn(() -> words.receive());
            List<Thread> waiters = new ArrayList<>();
            for (int i = 0; i < WAITERS; i++) {
                waiters.add(start(() -> numbers.receive()));
                waiters.add(start(() -> full.send(1)));
                waiters.add(start(() -> group.await()));
                waiters.add(start(() -> lwt.join()));
            }
            Callers.await(() -> numbers.info().receiving() == WAITERS && full.info().sending() == WAITERS);
            // All of them wait, and this thread runs: wake them, from a virtual thread and from an lwt.
            Lwt<?> sender = kthd.spawn(() -> {
                for (int i = 0; i < WAITERS; i++) {
                    numbers.send(i);
                }
                return null;
            });
            for (int i = 0; i <= WAITERS; i++) {
                full.receive();
            }
            member.send(1);
            words.send("done");
            for (Thread waiter : waiters) {
                waiter.join();
            }
            sender.join();
        }
    }

    private interface Step {
        void run() throws InterruptedException;
    }

    private static Thread start(Step step) {
        return Thread.startVirtualThread(() -> {
            try {
                step.run();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        });
    }
}
