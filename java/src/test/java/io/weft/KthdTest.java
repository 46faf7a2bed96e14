// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URL;
import java.net.URLClassLoader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Kthds: their properties, their pool of threads, and their end. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class KthdTest {
    // ---- properties ------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @EnumSource
    void everyIdleStrategyRunsLwts(Kthd.Idle idle) throws Exception {
        try (Kthd kthd = Kthd.builder().idle(idle).spin(Duration.ofNanos(1000)).start();
                LongChan chan = LongChan.create(0)) {
            Lwt<Long> lwt = kthd.spawn(() -> chan.receive());
            Callers.await(() -> chan.info().receiving() == 1);
            chan.send(5);
            assertEquals(5, lwt.join());
        }
    }

    @Test
    void aKthdCanBePinned() throws Exception {
        try (Kthd kthd = Kthd.builder().cpu(0).start()) {
            assertEquals(1, kthd.spawn(() -> 1).join());
        }
    }

    @Test
    void argumentsOutOfRangeAreRefused() {
        Kthd.Builder builder = Kthd.builder();
        assertThrows(IllegalArgumentException.class, () -> builder.cpu(-2));
        assertThrows(IllegalArgumentException.class, () -> builder.spin(Duration.ofSeconds(2)));
        assertThrows(IllegalArgumentException.class, () -> builder.spin(Duration.ofNanos(-1)));
        assertThrows(IllegalArgumentException.class, () -> builder.stackBytes(1000));
        assertThrows(IllegalArgumentException.class, () -> builder.stackBytes(1L << 40));
        assertThrows(IllegalArgumentException.class, () -> builder.poolSize(-1));
        assertThrows(NullPointerException.class, () -> builder.name(null));
        assertThrows(NullPointerException.class, () -> builder.idle(null));
        assertThrows(IllegalArgumentException.class, () -> Kthd.builder().cpu(100_000).start());
    }

    @Test
    void theCarrierIsADaemonThreadOfTheKthdsName() {
        try (Kthd kthd = Kthd.builder().name("the carrier").start()) {
            Callers.await(() -> Thread.getAllStackTraces().keySet().stream()
                    .anyMatch(thread -> thread.getName().equals("the carrier") && thread.isDaemon()));
            assertEquals("the carrier", kthd.name());
            assertTrue(kthd.toString().contains("the carrier"));
        }
    }

    @Test
    void unnamedKthdsGetDifferentNames() {
        try (Kthd first = Kthd.start();
                Kthd second = Kthd.start()) {
            assertFalse(first.name().equals(second.name()));
            assertTrue(first.handle() != second.handle());
        }
    }

    @Test
    void infoCountsByState() throws Exception {
        try (Kthd kthd = Kthd.start();
                LongChan chan = LongChan.create(0)) {
            assertEquals(0, kthd.info().lwts());
            Lwt<Long> receiver = kthd.spawn(() -> chan.receive());
            Callers.await(() -> kthd.info().receiving() == 1);
            Kthd.Info info = kthd.info();
            assertEquals(1, info.lwts());
            assertEquals(1, info.blocked());
            assertTrue(info.channels() >= 1);
            assertTrue(Kthd.processInfo().lwts() >= 1);
            chan.send(1);
            receiver.join();
        }
    }

    @Test
    void aStackCanBeLarger() throws Exception {
        try (Kthd small = Kthd.builder().stackBytes(128 * 1024).start();
                Kthd large = Kthd.builder().stackBytes(4 * 1024 * 1024).start()) {
            int[] depths = {small.spawn(KthdTest::depth).join(), large.spawn(KthdTest::depth).join()};
            assertTrue(depths[1] > 4 * depths[0], depths[0] + " and " + depths[1]);
        }
    }

    private static int depth() {
        int[] depth = {0};
        try {
            descend(depth);
        } catch (StackOverflowError expected) {
            return depth[0];
        }
        throw new AssertionError();
    }

    private static int descend(int[] depth) {
        depth[0]++;
        return descend(depth) + 1;
    }

    // ---- the pool --------------------------------------------------------------------------------------------------

    @Test
    void aThreadServesOneBodyAfterTheOther() throws Exception {
        try (Kthd kthd = Kthd.start()) {
            Set<Thread> threads = new HashSet<>();
            for (int i = 0; i < 100; i++) {
                threads.add(kthd.spawn(Thread::currentThread).join());
            }
            assertTrue(threads.size() <= 2, threads.toString());
        }
    }

    @Test
    void aBodyFindsACleanThread() throws Exception {
        try (Kthd kthd = Kthd.builder().name("clean").start()) {
            Thread first = kthd.spawn("dirty", () -> {
                        Thread me = Thread.currentThread();
                        me.setName("renamed");
                        me.setPriority(Thread.MAX_PRIORITY);
                        me.setContextClassLoader(new URLClassLoader(new URL[0]));
                        me.interrupt();
                        return me;
                    })
                    .join();
            List<Object> found = kthd.spawn(() -> {
                        Thread me = Thread.currentThread();
                        assertSame(first, me);
                        assertFalse(me.isInterrupted());
                        assertTrue(me.isDaemon());
                        return List.<Object>of(me.getName(), me.getPriority(), me.getContextClassLoader());
                    })
                    .join();
            ClassLoader ours = Thread.currentThread().getContextClassLoader();
            assertEquals(List.of("clean-lwt-1", Thread.NORM_PRIORITY, ours), found);
        }
    }

    @Test
    void threadLocalsAreNotReset() throws Exception {
        ThreadLocal<String> local = new ThreadLocal<>();
        try (Kthd kthd = Kthd.start()) {
            kthd.spawn(() -> local.set("left behind")).join();
            assertEquals("left behind", kthd.spawn(local::get).join());
        }
    }

    @Test
    void inheritableThreadLocalsAreNotInherited() throws Exception {
        InheritableThreadLocal<String> local = new InheritableThreadLocal<>();
        local.set("the spawner's");
        try (Kthd kthd = Kthd.start()) {
            assertNull(kthd.spawn(local::get).join());
        }
    }

    @Test
    void thePoolKeepsNoMoreThanItsSize() throws Exception {
        try (Kthd kthd = Kthd.builder().poolSize(2).start();
                LongChan gate = LongChan.create(0)) {
            List<Lwt<Long>> lwts = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                lwts.add(kthd.spawn(() -> gate.receive()));
            }
            Callers.await(() -> kthd.info().receiving() == 5);
            for (int i = 0; i < 5; i++) {
                gate.send(i);
            }
            for (Lwt<Long> lwt : lwts) {
                lwt.join();
            }
            Callers.await(() -> kthd.info().lwts() == 2);
        }
    }

    @Test
    void withoutAPoolEveryBodyHasANewThread() throws Exception {
        try (Kthd kthd = Kthd.builder().poolSize(0).start()) {
            Thread first = kthd.spawn(Thread::currentThread).join();
            assertNotSame(first, kthd.spawn(Thread::currentThread).join());
            first.join();
        }
    }

    @Test
    void lwtsSpawnManyThreadsOnTheirOwnKthd() throws Exception {
        try (Kthd kthd = Kthd.start();
                LongChan gate = LongChan.create(0)) {
            int sum = kthd.spawn(() -> {
                        List<Lwt<Integer>> children = new ArrayList<>();
                        for (int i = 0; i < 100; i++) {
                            children.add(kthd.spawn(() -> (int) gate.receive()));
                        }
                        for (int i = 0; i < 100; i++) {
                            gate.send(i);
                        }
                        int total = 0;
                        for (Lwt<Integer> child : children) {
                            total += child.join();
                        }
                        return total;
                    })
                    .join();
            assertEquals(4950, sum);
        }
    }

    @Test
    void manySpawnersShareOneKthd() throws Exception {
        AtomicInteger ran = new AtomicInteger();
        try (Kthd kthd = Kthd.start();
                Callers callers = new Callers(Callers.Kind.MIXED)) {
            List<Callers.Work<Void>> spawners = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                spawners.add(callers.start(() -> {
                    for (int n = 0; n < 200; n++) {
                        kthd.spawn(ran::incrementAndGet);
                        kthd.spawn(() -> ran.incrementAndGet()).join();
                    }
                    return null;
                }));
            }
            for (Callers.Work<Void> spawner : spawners) {
                spawner.get();
            }
        }
        assertEquals(8 * 400, ran.get());
    }

    @Test
    void nullIsNoBody() {
        try (Kthd kthd = Kthd.start()) {
            assertThrows(NullPointerException.class, () -> kthd.spawn((Runnable) null));
            assertThrows(NullPointerException.class, () -> kthd.spawn((String) null, () -> 1));
            assertThrows(NullPointerException.class, () -> kthd.spawn((java.util.concurrent.Callable<?>) null));
            assertTrue(kthd.tryClose());
        }
    }

    // ---- adoption --------------------------------------------------------------------------------------------------

    @Test
    void anAdoptedThreadIsAnLwtUntilTheScopeIsClosed() throws Exception {
        try (Kthd kthd = Kthd.start()) {
            Lwt<Void> lwt;
            try (Adoption adoption = kthd.adopt()) {
                lwt = adoption.lwt();
                assertSame(lwt, Lwt.current().orElseThrow());
                assertSame(Thread.currentThread(), lwt.thread().orElseThrow());
                assertEquals(Thread.currentThread().getName(), lwt.name());
                assertEquals(Lwt.State.RUNNING, lwt.state());
                assertEquals(7, kthd.spawn(() -> 7).join());
                Lwt.yield();
                assertFalse(kthd.tryClose());
            }
            assertTrue(Lwt.current().isEmpty());
            assertFalse(lwt.isAlive());
            assertEquals(0, lwt.handle());
            assertNull(lwt.join());
        }
    }

    @Test
    void anAdoptedThreadCanBeAdoptedAgainAfterItHasLeft() throws Exception {
        try (Kthd kthd = Kthd.start()) {
            for (int i = 0; i < 20; i++) {
                try (Adoption adoption = kthd.adopt()) {
                    Lwt.yield();
                }
            }
        }
    }

    @Test
    void anAdoptedThreadMigrates() throws Exception {
        try (Kthd kthd = Kthd.start();
                Kthd other = Kthd.start();
                Adoption adoption = kthd.adopt()) {
            Lwt.migrate(other);
            assertSame(other, adoption.lwt().kthd());
            assertTrue(kthd.tryClose());
        }
    }

    @Test
    void anInterruptOfAnAdoptedLwtInterruptsItsThread() throws Exception {
        try (Kthd kthd = Kthd.start();
                LongChan chan = LongChan.create(0)) {
            List<Lwt<?>> adopted = new ArrayList<>();
            Thread thread = new Thread(() -> {
                try (Adoption adoption = kthd.adopt()) {
                    synchronized (adopted) {
                        adopted.add(adoption.lwt());
                    }
                    assertThrows(InterruptedException.class, chan::receive);
                }
            });
            thread.start();
            Callers.await(() -> chan.info().receiving() == 1);
            synchronized (adopted) {
                adopted.get(0).interrupt();
                adopted.get(0).join();
                adopted.get(0).interrupt();
            }
            thread.join();
        }
    }

    @Test
    void aVirtualThreadIsNotAdopted() throws Exception {
        try (Kthd kthd = Kthd.start();
                Callers callers = new Callers(Callers.Kind.VIRTUAL)) {
            Callers.Work<Adoption> work = callers.start(kthd::adopt);
            assertThrows(UnsupportedOperationException.class, work::get);
        }
    }

    @Test
    void anLwtIsNotAdoptedTwice() throws Exception {
        try (Kthd kthd = Kthd.start();
                Adoption adoption = kthd.adopt()) {
            assertThrows(IllegalStateException.class, kthd::adopt);
            Lwt<Adoption> lwt = kthd.spawn(kthd::adopt);
            assertInstanceOf(
                    IllegalStateException.class,
                    assertThrows(LwtFailedException.class, lwt::join).getCause());
        }
    }

    @Test
    void aThreadThatEndsWithoutLeavingIsMissedByTheCollectorAtTheLatest() throws Exception {
        try (Kthd kthd = Kthd.start()) {
            Thread thread = new Thread(kthd::adopt);
            thread.start();
            thread.join();
            Callers.await(() -> {
                System.gc();
                return kthd.tryClose();
            });
        }
    }

    @Test
    void onlyTheAdoptedThreadItselfLeavesAndClosingTwiceIsHarmless() throws Exception {
        try (Kthd kthd = Kthd.start()) {
            Adoption adoption = kthd.adopt();
            Thread other = new Thread(() -> assertThrows(WrongThreadException.class, adoption::close));
            other.start();
            other.join();
            adoption.close();
            adoption.close();
        }
    }

    // ---- the end ---------------------------------------------------------------------------------------------------

    @Test
    void closeWaitsForTheLastLwt() throws Exception {
        AtomicInteger ended = new AtomicInteger();
        try (Kthd kthd = Kthd.start()) {
            kthd.spawn(() -> {
                // Spawned while the kthd is closing, most of them.
                for (int i = 0; i < 50; i++) {
                    Lwt.yield();
                    kthd.spawn(ended::incrementAndGet);
                }
            });
        }
        assertEquals(50, ended.get());
    }

    @Test
    void closeEndsThePooledThreads() throws Exception {
        Kthd kthd = Kthd.start();
        Thread pooled = kthd.spawn(Thread::currentThread).join();
        kthd.close();
        assertFalse(pooled.isAlive());
        assertTrue(kthd.isClosed());
    }

    @Test
    void useAfterTheCloseThrowsAndClosingTwiceIsHarmless() {
        Kthd kthd = Kthd.start();
        kthd.close();
        kthd.close();
        assertTrue(kthd.tryClose());
        assertThrows(ClosedException.class, () -> kthd.spawn(() -> {}));
        assertThrows(ClosedException.class, kthd::adopt);
        assertThrows(ClosedException.class, kthd::info);
        assertThrows(ClosedException.class, () -> kthd.spawnNative(NativeLwtTest.function("labs"), 1));
    }

    @Test
    void tryCloseRefusesWhileLwtsLive() throws Exception {
        try (Kthd kthd = Kthd.start();
                LongChan gate = LongChan.create(0)) {
            Lwt<Long> lwt = kthd.spawn(() -> gate.receive());
            assertFalse(kthd.tryClose());
            assertFalse(kthd.isClosed());
            gate.send(1);
            lwt.join();
            Callers.await(kthd::tryClose);
            assertTrue(kthd.isClosed());
            assertTrue(kthd.tryClose());
        }
    }

    @ParameterizedTest
    @EnumSource
    void threadsOfEveryKindClose(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind);
                LongChan gate = LongChan.create(0)) {
            Kthd kthd = Kthd.start();
            Lwt<Long> lwt = kthd.spawn(() -> gate.receive());
            List<Callers.Work<Void>> closers = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                closers.add(callers.start(() -> {
                    kthd.close();
                    return null;
                }));
            }
            Callers.await(() -> gate.info().receiving() == 1);
            assertFalse(closers.get(0).isDone());
            gate.send(1);
            for (Callers.Work<Void> closer : closers) {
                closer.get();
            }
            assertTrue(kthd.isClosed());
            assertEquals(1, lwt.join());
        }
    }

    @Test
    void aKthdIsNotClosedFromWithin() {
        try (Kthd kthd = Kthd.start()) {
            Lwt<Void> lwt = kthd.spawn(kthd::close);
            assertInstanceOf(DeadlockException.class, assertThrows(LwtFailedException.class, lwt::join).getCause());
            assertFalse(kthd.isClosed());
        }
    }

    @Test
    void anInterruptDoesNotShortenTheCloseAndIsKept() throws Exception {
        try (LongChan gate = LongChan.create(0);
                Callers callers = new Callers(Callers.Kind.PLATFORM)) {
            Kthd kthd = Kthd.start();
            kthd.spawn(() -> gate.receive());
            Callers.Work<Boolean> closer = callers.start(() -> {
                kthd.close();
                return Thread.currentThread().isInterrupted();
            });
            closer.interrupt();
            Callers.await(() -> gate.info().receiving() == 1);
            assertFalse(closer.isDone());
            gate.send(1);
            assertTrue(closer.get());
        }
    }

    @Test
    void manyKthdsComeAndGo() throws Exception {
        for (int i = 0; i < 100; i++) {
            try (Kthd kthd = Kthd.start()) {
                if (i % 3 != 0) {
                    assertEquals(i, kthd.spawn("n", Integer.valueOf(i)::intValue).join());
                }
            }
        }
    }
}
