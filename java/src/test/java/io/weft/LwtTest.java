// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Lwts with a body in Java: results, turns, states, interrupts, and that ordinary Java works in them. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class LwtTest {
    private Kthd kthd;

    @BeforeEach
    void start() {
        kthd = Kthd.builder().name("main").start();
    }

    @AfterEach
    void close() {
        kthd.close();
    }

    // ---- results ---------------------------------------------------------------------------------------------------

    @Test
    void joinGivesTheResult() throws Exception {
        assertEquals("result", kthd.spawn(() -> "result").join());
    }

    @Test
    void joinOfARunnableGivesNull() throws Exception {
        AtomicInteger ran = new AtomicInteger();
        assertNull(kthd.spawn(() -> {
                    ran.incrementAndGet();
                })
                .join());
        assertEquals(1, ran.get());
    }

    @Test
    void joinThrowsWhatTheBodyThrewAsACause() {
        Exception thrown = new Exception("from the body");
        Lwt<Object> lwt = kthd.spawn("culprit", () -> {
            throw thrown;
        });
        LwtFailedException failure = assertThrows(LwtFailedException.class, lwt::join);
        assertSame(thrown, failure.getCause());
        assertTrue(failure.getMessage().contains("culprit"));
        assertNotEquals(failure, assertThrows(LwtFailedException.class, lwt::join));
    }

    @Test
    void anErrorIsKeptLikeAnException() {
        Lwt<Integer> lwt = kthd.spawn(() -> recurse(0));
        assertInstanceOf(StackOverflowError.class, assertThrows(LwtFailedException.class, lwt::join).getCause());
    }

    private static int recurse(int depth) {
        return recurse(depth + 1) + 1;
    }

    @Test
    void anyNumberMayJoin() throws Exception {
        Lwt<Integer> lwt = kthd.spawn(() -> 1);
        assertEquals(1, lwt.join());
        assertEquals(1, lwt.join());
        assertEquals(1, kthd.spawn(() -> lwt.join()).join());
    }

    @ParameterizedTest
    @EnumSource
    void threadsOfEveryKindJoin(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind);
                LongChan gate = LongChan.create(0)) {
            Lwt<Long> lwt = kthd.spawn(() -> gate.receive());
            List<Callers.Work<Long>> joiners = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                joiners.add(callers.start(lwt::join));
            }
            gate.send(3);
            for (Callers.Work<Long> joiner : joiners) {
                assertEquals(3, joiner.get());
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void aTimedJoinGivesUpWhenItsTimeIsOver(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind);
                LongChan gate = LongChan.create(0)) {
            Lwt<Long> lwt = kthd.spawn(() -> gate.receive());
            assertFalse(callers.start(() -> lwt.join(Duration.ofMillis(5))).get());
            assertFalse(callers.start(() -> lwt.join(Duration.ZERO)).get());
            gate.send(3);
            assertTrue(callers.start(() -> lwt.join(Duration.ofSeconds(20))).get());
            assertTrue(callers.start(() -> lwt.join(Duration.ofSeconds(Long.MAX_VALUE))).get());
        }
    }

    @ParameterizedTest
    @EnumSource
    void anInterruptEndsAJoin(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind);
                LongChan gate = LongChan.create(0)) {
            Lwt<Long> lwt = kthd.spawn(() -> gate.receive());
            Callers.Work<Long> joiner = callers.start(lwt::join);
            joiner.interrupt();
            assertThrows(InterruptedException.class, joiner::get);
            assertTrue(lwt.isAlive());
            gate.send(1);
        }
    }

    @Test
    void joinersThatGaveUpAreNotKept() throws Exception {
        try (LongChan gate = LongChan.create(0)) {
            Lwt<Long> lwt = kthd.spawn(() -> gate.receive());
            for (int i = 0; i < 10_000; i++) {
                assertFalse(lwt.join(Duration.ofNanos(1)));
            }
            Lwt<Long> joiner = kthd.spawn(() -> lwt.join());
            gate.send(8);
            assertEquals(8, joiner.join());
        }
    }

    @Test
    void joiningOneselfIsRefused() {
        AtomicReference<Lwt<?>> self = new AtomicReference<>();
        Lwt<Object> lwt = kthd.spawn(() -> {
            self.set(Lwt.current().orElseThrow());
            return self.get().join();
        });
        assertInstanceOf(DeadlockException.class, assertThrows(LwtFailedException.class, lwt::join).getCause());
    }

    @Test
    void aCycleOfJoinsIsRefused() throws Exception {
        Chan<Lwt<?>> partners = Chan.create(2);
        Lwt<Object> first = kthd.spawn(() -> partners.receive().join());
        Lwt<Object> second = kthd.spawn(() -> partners.receive().join());
        partners.send(second);
        partners.send(first);
        int refused = 0;
        for (Lwt<Object> lwt : List.of(first, second)) {
            Throwable cause = assertThrows(LwtFailedException.class, lwt::join).getCause();
            refused += cause instanceof DeadlockException ? 1 : 0;
        }
        assertTrue(refused >= 1);
    }

    @Test
    void nestedForkAndJoinAddsUp() throws Exception {
        assertEquals(1 << 7, kthd.spawn(() -> leaves(7)).join());
    }

    private int leaves(int depth) throws InterruptedException {
        if (depth == 0) {
            return 1;
        }
        Lwt<Integer> left = kthd.spawn(() -> leaves(depth - 1));
        Lwt<Integer> right = kthd.spawn(() -> leaves(depth - 1));
        return left.join() + right.join();
    }

    // ---- turns -----------------------------------------------------------------------------------------------------

    @Test
    void yieldGivesEachItsTurn() throws Exception {
        StringBuffer order = new StringBuffer();
        AtomicInteger arrived = new AtomicInteger();
        kthd.spawn(() -> {
                    List<Lwt<?>> lwts = new ArrayList<>();
                    for (String name : List.of("a", "b", "c")) {
                        lwts.add(kthd.spawn(() -> {
                            arrived.incrementAndGet();
                            Callers.await(() -> arrived.get() == 3);
                            for (int i = 0; i < 3; i++) {
                                order.append(name);
                                Lwt.yield();
                            }
                        }));
                    }
                    for (Lwt<?> lwt : lwts) {
                        lwt.join();
                    }
                    return null;
                })
                .join();
        // Who began may depend on whose thread was idle; from then on the turns go round.
        assertEquals(order.substring(0, 3).repeat(3), order.toString());
    }

    @Test
    void yieldOnOtherThreadsIsAnOrdinaryYield() throws Exception {
        Lwt.yield();
        Thread.startVirtualThread(Lwt::yield).join();
        Lwt.stepAside();
    }

    @Test
    void aDirectedYieldGoesFirst() throws Exception {
        StringBuffer order = new StringBuffer();
        int first = kthd.spawn(() -> {
                    List<Lwt<?>> others = List.of(turns(order, "0"), turns(order, "1"));
                    Callers.await(() -> order.indexOf("0") >= 0 && order.indexOf("1") >= 0);
                    int hits = 0;
                    for (int round = 0; round < 100; round++) {
                        order.setLength(0);
                        hits += Lwt.yield(others.get(round % 2)) && order.charAt(0) == '0' + round % 2 ? 1 : 0;
                    }
                    for (Lwt<?> other : others) {
                        other.interrupt();
                        other.join();
                    }
                    return hits;
                })
                .join();
        // One that has stepped aside for the VM in some round does not count there. Undirected it would be every other.
        assertTrue(first > 80, first + " of 100");
    }

    private Lwt<?> turns(StringBuffer order, String name) {
        return kthd.spawn(() -> {
            while (!Thread.interrupted()) {
                order.append(name);
                Lwt.yield();
            }
        });
    }

    @Test
    void aDirectedYieldToOneThatDoesNotWaitForATurnIsFalse() throws Exception {
        try (LongChan gate = LongChan.create(0)) {
            Lwt<Long> blocked = kthd.spawn(() -> gate.receive());
            Callers.await(() -> gate.info().receiving() == 1);
            Lwt<?> ended = kthd.spawn(() -> {});
            ended.join();
            assertFalse(kthd.spawn(() -> Lwt.yield(blocked)).join());
            assertFalse(kthd.spawn(() -> Lwt.yield(ended)).join());
            gate.send(1);
        }
    }

    @Test
    void aDirectedYieldNeedsAnLwtAndAnotherOneOfTheSameKthd() throws Exception {
        try (Kthd other = Kthd.start();
                LongChan gate = LongChan.create(0)) {
            Lwt<Long> foreign = other.spawn(() -> gate.receive());
            assertThrows(IllegalStateException.class, () -> Lwt.yield(foreign));
            Lwt<Boolean> yielding = kthd.spawn(() -> Lwt.yield(foreign));
            assertInstanceOf(
                    IllegalArgumentException.class,
                    assertThrows(LwtFailedException.class, yielding::join).getCause());
            Lwt<Boolean> toItself =
                    kthd.spawn(() -> Lwt.yield(Lwt.current().orElseThrow()));
            assertInstanceOf(
                    IllegalArgumentException.class,
                    assertThrows(LwtFailedException.class, toItself::join).getCause());
            gate.send(1);
        }
    }

    @Test
    void migrateMovesTheCallerThereAndBack() throws Exception {
        try (Kthd other = Kthd.builder().name("other").start()) {
            Lwt<String> lwt = kthd.spawn(() -> {
                Lwt<?> me = Lwt.current().orElseThrow();
                for (int i = 0; i < 1000; i++) {
                    Lwt.migrate(i % 2 == 0 ? other : kthd);
                    assertSame(i % 2 == 0 ? other : kthd, me.kthd());
                }
                Lwt.migrate(me.kthd());
                Lwt.migrate(other);
                return Thread.currentThread().getName();
            });
            assertEquals("main-lwt-1", lwt.join());
            assertSame(other, lwt.kthd());
        }
    }

    @Test
    void aThreadThatMigratedServesItsNewKthd() throws Exception {
        try (Kthd other = Kthd.start()) {
            Thread thread = kthd.spawn(() -> {
                        Lwt.migrate(other);
                        return Thread.currentThread();
                    })
                    .join();
            assertSame(thread, other.spawn(Thread::currentThread).join());
        }
    }

    @Test
    void onlyAnLwtMigratesAndOnlyToAnOpenKthd() throws Exception {
        Kthd closed = Kthd.start();
        closed.close();
        assertThrows(IllegalStateException.class, () -> Lwt.migrate(kthd));
        Lwt<Object> lwt = kthd.spawn(() -> {
            Lwt.migrate(closed);
            return null;
        });
        assertInstanceOf(ClosedException.class, assertThrows(LwtFailedException.class, lwt::join).getCause());
    }

    @Test
    void anLwtThatSteppedAsideDoesNotHoldUpTheOthers() throws Exception {
        try (LongChan gate = LongChan.create(1)) {
            Lwt<Integer> loose = kthd.spawn(() -> {
                Lwt.stepAside();
                // Busy on its own kernel thread until another lwt of the kthd has run.
                while (gate.info().length() == 0) {
                    Thread.onSpinWait();
                }
                return 1;
            });
            kthd.spawn(() -> {
                        gate.send(1);
                        return null;
                    })
                    .join();
            assertEquals(1, loose.join());
        }
    }

    // ---- what is to be known ---------------------------------------------------------------------------------------

    @Test
    void currentIsTheCallingLwtOrNone() throws Exception {
        assertEquals(Optional.empty(), Lwt.current());
        AtomicReference<Lwt<?>> seen = new AtomicReference<>();
        Lwt<?> lwt = kthd.spawn(() -> seen.set(Lwt.current().orElseThrow()));
        lwt.join();
        assertSame(lwt, seen.get());
        Thread.startVirtualThread(() -> seen.set(Lwt.current().orElse(null))).join();
        assertNull(seen.get());
    }

    @Test
    void idsDifferAndNamesAreTheThreads() throws Exception {
        Lwt<String> named = kthd.spawn("a name", () -> Thread.currentThread().getName());
        Lwt<String> unnamed = kthd.spawn(() -> Thread.currentThread().getName());
        assertEquals("a name", named.join());
        assertEquals("a name", named.name());
        assertEquals(unnamed.name(), unnamed.join());
        assertTrue(unnamed.name().startsWith("main-lwt-"), unnamed.name());
        assertNotEquals(named.id(), unnamed.id());
        assertTrue(named.toString().contains("a name"));
    }

    @Test
    void theStateFollowsTheLife() throws Exception {
        try (LongChan gate = LongChan.create(0)) {
            Lwt<?> lwt = kthd.spawn(() -> {
                gate.receive();
                Lwt.stepAside();
                while (!Thread.currentThread().isInterrupted()) {
                    Thread.onSpinWait();
                }
                return null;
            });
            Callers.await(() -> lwt.state() == Lwt.State.BLOCKED);
            assertTrue(lwt.isAlive());
            assertTrue(lwt.handle() != 0);
            assertTrue(lwt.thread().orElseThrow().isAlive());
            assertSame(kthd, lwt.kthd());
            gate.send(1);
            Callers.await(() -> lwt.state() == Lwt.State.LOOSE);
            lwt.interrupt();
            lwt.join();
            assertEquals(Lwt.State.ENDED, lwt.state());
            assertFalse(lwt.isAlive());
            assertEquals(0, lwt.handle());
            assertEquals(Optional.empty(), lwt.thread());
        }
    }

    @Test
    void oneThatAsksForItsOwnStateIsRunning() throws Exception {
        kthd.spawn(() -> {
                    Lwt<?> me = Lwt.current().orElseThrow();
                    // It may have stepped aside, to load a class say; the yield takes it back.
                    Callers.await(() -> me.state() == Lwt.State.RUNNING);
                })
                .join();
    }

    @Test
    void oneThatWaitsForItsTurnIsReady() throws Exception {
        AtomicBoolean release = new AtomicBoolean();
        Lwt<?> holder = holdTurn(release);
        Lwt<Integer> waiting = kthd.spawn(() -> 1);
        assertEquals(Lwt.State.READY, waiting.state());
        assertTrue(waiting.isAlive());
        release.set(true);
        assertEquals(1, waiting.join());
        holder.join();
    }

    /** An lwt that does not give its turn away, so that others of the kthd wait for theirs. */
    private Lwt<?> holdTurn(AtomicBoolean release) {
        AtomicBoolean holds = new AtomicBoolean();
        Lwt<?> holder = kthd.spawn(() -> {
            Lwt<?> me = Lwt.current().orElseThrow();
            Callers.await(() -> me.state() == Lwt.State.RUNNING);
            holds.set(true);
            while (!release.get()) {
                Thread.onSpinWait();
            }
        });
        Callers.await(holds::get);
        return holder;
    }

    // ---- interrupts ------------------------------------------------------------------------------------------------

    @Test
    void anInterruptReachesABodyThatHasNotBegun() throws Exception {
        for (int i = 0; i < 3; i++) {
            AtomicBoolean release = new AtomicBoolean();
            Lwt<?> holder = holdTurn(release);
            // On a new thread the first time, on a pooled one later.
            Lwt<Boolean> lwt = kthd.spawn(() -> Thread.currentThread().isInterrupted());
            lwt.interrupt();
            release.set(true);
            assertTrue(lwt.join());
            holder.join();
        }
    }

    @Test
    void anInterruptEndsWaitsOfTheJdk() {
        for (Callable body : List.<Callable>of(
                () -> Thread.sleep(Duration.ofMinutes(1)),
                () -> new ArrayBlockingQueue<Object>(1).take(),
                () -> {
                    Object monitor = new Object();
                    synchronized (monitor) {
                        monitor.wait();
                    }
                })) {
            AtomicInteger begun = new AtomicInteger();
            Lwt<Object> lwt = kthd.spawn(() -> {
                begun.incrementAndGet();
                body.call();
                return null;
            });
            Callers.await(() -> begun.get() == 1);
            lwt.interrupt();
            assertInstanceOf(
                    InterruptedException.class,
                    assertThrows(LwtFailedException.class, lwt::join).getCause());
        }
    }

    private interface Callable {
        void call() throws Exception;
    }

    @Test
    void anInterruptAfterTheEndHitsNobody() throws Exception {
        for (int i = 0; i < 2000; i++) {
            Lwt<?> lwt = kthd.spawn(() -> {});
            lwt.interrupt();
            lwt.join();
            lwt.interrupt();
            assertFalse(kthd.spawn(() -> Thread.currentThread().isInterrupted()).join());
        }
    }

    @Test
    void interruptsThatRaceWithTheEndHitNobodyElse() throws Exception {
        AtomicReference<Lwt<?>> target = new AtomicReference<>(kthd.spawn(() -> {}));
        AtomicInteger hits = new AtomicInteger();
        Thread interrupter = Thread.ofPlatform().daemon().start(() -> {
            while (!Thread.currentThread().isInterrupted()) {
                target.get().interrupt();
            }
        });
        for (int i = 0; i < 3000; i++) {
            target.set(kthd.spawn(() -> {}));
            target.get().join();
            hits.addAndGet(
                    kthd.spawn(() -> Thread.currentThread().isInterrupted()).join() ? 1 : 0);
        }
        interrupter.interrupt();
        interrupter.join();
        assertEquals(0, hits.get());
    }

    // ---- ordinary Java ---------------------------------------------------------------------------------------------

    @Test
    void synchronizedExcludesLwtsOfOneKthdThatYieldInside() throws Exception {
        int[] counter = {0};
        Object lock = new Object();
        runTen(() -> {
            synchronized (lock) {
                int value = counter[0];
                Lwt.yield();
                counter[0] = value + 1;
            }
        });
        assertEquals(1000, counter[0]);
    }

    @Test
    void locksExcludeLwtsOfOneKthdThatYieldInside() throws Exception {
        int[] counter = {0};
        ReentrantLock lock = new ReentrantLock();
        runTen(() -> {
            lock.lock();
            try {
                int value = counter[0];
                Lwt.yield();
                counter[0] = value + 1;
            } finally {
                lock.unlock();
            }
        });
        assertEquals(1000, counter[0]);
    }

    private void runTen(Runnable step) throws InterruptedException {
        List<Lwt<?>> lwts = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            lwts.add(kthd.spawn(() -> {
                for (int n = 0; n < 100; n++) {
                    step.run();
                }
            }));
        }
        for (Lwt<?> lwt : lwts) {
            lwt.join();
        }
    }

    @Test
    void waitAndNotifyWorkBetweenLwtsOfOneKthd() throws Exception {
        Object monitor = new Object();
        boolean[] told = {false};
        Lwt<?> waiter = kthd.spawn(() -> {
            synchronized (monitor) {
                while (!told[0]) {
                    monitor.wait();
                }
            }
            return null;
        });
        kthd.spawn(() -> {
            synchronized (monitor) {
                told[0] = true;
                monitor.notifyAll();
            }
        });
        waiter.join();
    }

    @Test
    void parkAndSleepDoNotHoldUpTheOthers() throws Exception {
        Lwt<?> parked = kthd.spawn(() -> LockSupport.park());
        Lwt<?> asleep = kthd.spawn(() -> {
            Thread.sleep(20);
            return null;
        });
        assertEquals(1, kthd.spawn(() -> 1).join());
        asleep.join();
        parked.thread().ifPresent(LockSupport::unpark);
        parked.join();
    }

    @Test
    void aThreadCanBeStartedAndJoinedFromAnLwt() throws Exception {
        AtomicInteger ran = new AtomicInteger();
        kthd.spawn(() -> {
                    Thread platform = new Thread(ran::incrementAndGet);
                    platform.start();
                    Thread virtual = Thread.startVirtualThread(ran::incrementAndGet);
                    platform.join();
                    virtual.join();
                    return null;
                })
                .join();
        assertEquals(2, ran.get());
    }

    @Test
    void threadLocalsMonitorsAndDeepStacksSurviveSwitches() throws Exception {
        ThreadLocal<Integer> local = new ThreadLocal<>();
        List<Lwt<Integer>> lwts = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            int number = i;
            lwts.add(kthd.spawn(() -> {
                local.set(number);
                int depth = descend(200);
                int seen = local.get();
                local.remove();
                return seen * 1000 + depth;
            }));
        }
        for (int i = 0; i < 20; i++) {
            assertEquals(i * 1000 + 200, lwts.get(i).join());
        }
    }

    private static int descend(int levels) {
        if (levels % 10 == 0) {
            Lwt.yield();
        }
        return levels == 0 ? 0 : descend(levels - 1) + 1;
    }
}
