// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Groups of channels, waited on from every kind of thread. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class CgrpTest {
    private static final Duration SHORT = Duration.ofMillis(5);
    private static final Duration LONG = Duration.ofSeconds(20);

    private Cgrp<String> group;
    private LongChan longs;
    private Chan<String> strings;

    @BeforeEach
    void create() {
        group = new Cgrp<>();
        longs = LongChan.create(4);
        strings = Chan.create(4);
    }

    @AfterEach
    void close() {
        group.close();
        longs.close();
        strings.close();
    }

    @ParameterizedTest
    @EnumSource
    void awaitReportsTheMemberThatBecomesReady(Callers.Kind kind) throws Exception {
        group.add(longs, "longs");
        group.add(strings, "strings");
        try (Callers callers = new Callers(kind)) {
            Callers.Work<Cgrp.Event<String>> waiting = callers.start(group::await);
            strings.send("x");
            Cgrp.Event<String> event = waiting.get();
            assertSame(strings, event.chan());
            assertEquals("strings", event.mark());
            assertTrue(event.toString().contains("strings"));
        }
    }

    @ParameterizedTest
    @EnumSource
    void readinessIsReportedInTheOrderInWhichItCame(Callers.Kind kind) throws Exception {
        group.add(longs, "longs");
        group.add(strings, "strings");
        strings.send("x");
        longs.send(1);
        try (Callers callers = new Callers(kind)) {
            assertEquals("strings", callers.start(group::await).get().mark());
            assertEquals("longs", callers.start(group::await).get().mark());
            // Both are still ready, and go round.
            assertEquals("strings", callers.start(group::await).get().mark());
        }
    }

    @ParameterizedTest
    @EnumSource
    void aTimedAwaitEndsEmptyWhenItsTimeIsOver(Callers.Kind kind) throws Exception {
        group.add(longs, "longs");
        try (Callers callers = new Callers(kind)) {
            assertEquals(Optional.empty(), callers.start(() -> group.await(SHORT)).get());
            assertEquals(Optional.empty(), callers.start(() -> group.await(Duration.ZERO)).get());
            longs.send(1);
            assertTrue(callers.start(() -> group.await(LONG)).get().isPresent());
        }
    }

    @ParameterizedTest
    @EnumSource
    void pollDoesNotWait(Callers.Kind kind) throws Exception {
        group.add(longs, "longs");
        try (Callers callers = new Callers(kind)) {
            assertEquals(Optional.empty(), callers.start(group::poll).get());
            longs.send(1);
            assertEquals("longs", callers.start(group::poll).get().orElseThrow().mark());
        }
    }

    @ParameterizedTest
    @EnumSource
    void anInterruptEndsAnAwait(Callers.Kind kind) throws Exception {
        group.add(longs, "longs");
        try (Callers callers = new Callers(kind)) {
            Callers.Work<Cgrp.Event<String>> waiting = callers.start(group::await);
            waiting.interrupt();
            assertThrows(InterruptedException.class, waiting::get);
            longs.send(1);
            assertEquals("longs", callers.start(group::await).get().mark());
        }
    }

    @ParameterizedTest
    @EnumSource
    void closeWakesThoseWhoWait(Callers.Kind kind) throws Exception {
        group.add(longs, "longs");
        try (Callers callers = new Callers(kind)) {
            Callers.Work<Cgrp.Event<String>> first = callers.start(group::await);
            Callers.Work<Optional<Cgrp.Event<String>>> second = callers.start(() -> group.await(LONG));
            group.close();
            assertThrows(ClosedException.class, first::get);
            assertThrows(ClosedException.class, second::get);
        }
    }

    @ParameterizedTest
    @EnumSource
    void aWaitingSenderAndAClosedChannelAreReady(Callers.Kind kind) throws Exception {
        LongChan rendezvous = LongChan.create(0);
        group.add(rendezvous, "rendezvous");
        try (Callers callers = new Callers(kind)) {
            Callers.Work<Void> sender = callers.start(() -> {
                rendezvous.send(4);
                return null;
            });
            assertEquals("rendezvous", group.await().mark());
            assertEquals(4, rendezvous.tryReceive().orElseThrow());
            sender.get();
            callers.start(() -> {
                        rendezvous.close();
                        return null;
                    })
                    .get();
            assertEquals("rendezvous", group.await().mark());
            assertThrows(ChanClosedException.class, rendezvous::tryReceive);
            // Ready for ever, until it is removed.
            assertEquals("rendezvous", group.await().mark());
            group.remove(rendezvous);
            assertEquals(Optional.empty(), group.poll());
            assertEquals(0, rendezvous.handle());
        }
    }

    @Test
    void whatWasReadyBeforeItWasAddedIsReported() throws Exception {
        longs.send(1);
        group.add(longs, "longs");
        assertEquals("longs", group.await().mark());
    }

    @Test
    void removeSaysWhetherAnEventWasPendingAndKeepsTheMessages() throws Exception {
        group.add(longs, "longs");
        assertFalse(group.remove(longs));
        group.add(longs, "again");
        longs.send(1);
        assertTrue(group.remove(longs));
        assertEquals(Optional.empty(), group.poll());
        assertEquals(1, longs.receive());
    }

    @Test
    void marksMayBeAnythingAndBelongToTheMembership() throws Exception {
        try (Cgrp<Object> any = new Cgrp<>()) {
            Object mark = new Object();
            any.add(longs, mark);
            longs.send(1);
            assertSame(mark, any.await().mark());
            any.remove(longs);
            any.add(longs, null);
            assertNull(any.await().mark());
        }
    }

    @Test
    void aChannelIsAMemberOfOneGroupAtMost() {
        group.add(longs, "longs");
        assertThrows(IllegalStateException.class, () -> group.add(longs, "again"));
        try (Cgrp<String> other = new Cgrp<>()) {
            assertThrows(IllegalStateException.class, () -> other.add(longs, "there"));
            assertThrows(IllegalArgumentException.class, () -> other.remove(longs));
            assertThrows(IllegalArgumentException.class, () -> group.remove(strings));
            group.remove(longs);
            other.add(longs, "there");
        }
        group.add(longs, "back");
    }

    @Test
    void aClosedAndDrainedChannelIsNotAdded() {
        longs.close();
        assertThrows(ChanClosedException.class, () -> group.add(longs, "closed"));
        assertThrows(NullPointerException.class, () -> group.add(null, "null"));
    }

    @Test
    void tryCloseRefusesWhileEventsArePending() throws Exception {
        group.add(longs, "longs");
        longs.send(1);
        assertFalse(group.tryClose());
        longs.receive();
        Optional<Cgrp.Event<String>> stale = group.poll();
        assertTrue(stale.isEmpty() || stale.get().chan() == longs);
        group.remove(longs);
        assertTrue(group.tryClose());
        assertTrue(group.tryClose());
    }

    @Test
    void useAfterTheCloseThrowsAndClosingTwiceIsHarmless() throws Exception {
        group.add(longs, "longs");
        group.close();
        group.close();
        assertTrue(group.tryClose());
        assertThrows(ClosedException.class, group::await);
        assertThrows(ClosedException.class, group::poll);
        assertThrows(ClosedException.class, () -> group.await(SHORT));
        assertThrows(ClosedException.class, () -> group.add(strings, "strings"));
        assertThrows(ClosedException.class, () -> group.remove(longs));
        longs.send(3);
        assertEquals(3, longs.receive());
        try (Cgrp<String> other = new Cgrp<>()) {
            other.add(longs, "there");
        }
    }

    @Test
    void manyMembersComeAndGo() throws Exception {
        Map<Integer, LongChan> members = new HashMap<>();
        try (Cgrp<Integer> many = new Cgrp<>()) {
            for (int round = 0; round < 3; round++) {
                for (int i = 0; i < 100; i++) {
                    LongChan chan = LongChan.create(1);
                    members.put(i, chan);
                    many.add(chan, i);
                }
                for (int i = 0; i < 100; i += 2) {
                    members.get(i).send(i);
                }
                for (int i = 0; i < 50; i++) {
                    Cgrp.Event<Integer> event = many.await();
                    assertSame(members.get(event.mark()), event.chan());
                    assertEquals(event.mark().longValue(), ((LongChan) event.chan()).receive());
                }
                for (int i = 0; i < 100; i++) {
                    many.remove(members.get(i));
                    members.get(i).close();
                }
                assertEquals(Optional.empty(), many.poll());
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void oneWaiterServesManySenders(Callers.Kind kind) throws Exception {
        int senders = 6;
        int each = 100;
        try (Callers callers = new Callers(kind);
                Cgrp<Integer> many = new Cgrp<>()) {
            List<Callers.Work<Void>> work = new ArrayList<>();
            for (int i = 0; i < senders; i++) {
                LongChan chan = LongChan.create(i % 3);
                many.add(chan, i);
                work.add(callers.start(() -> {
                    for (int n = 0; n < each; n++) {
                        chan.send(n);
                    }
                    return null;
                }));
            }
            Callers.Work<List<Long>> waiter = callers.start(() -> {
                List<Long> next = new ArrayList<>(List.of(0L, 0L, 0L, 0L, 0L, 0L));
                for (int n = 0; n < senders * each; ) {
                    Cgrp.Event<Integer> event = many.await();
                    var value = ((LongChan) event.chan()).tryReceive();
                    if (value.isPresent()) {
                        assertEquals(next.get(event.mark()), value.getAsLong());
                        next.set(event.mark(), value.getAsLong() + 1);
                        n++;
                    }
                }
                return next;
            });
            assertEquals(List.of(100L, 100L, 100L, 100L, 100L, 100L), waiter.get());
            for (Callers.Work<Void> sender : work) {
                sender.get();
            }
        }
    }

    @Test
    void tooManyGroupsAreRefusedWithTheLimit() {
        List<Cgrp<String>> groups = new ArrayList<>();
        LimitExceededException refused = assertThrows(LimitExceededException.class, () -> {
            for (int i = 0; i <= 65_535; i++) {
                groups.add(new Cgrp<>());
            }
        });
        groups.forEach(Cgrp::close);
        assertEquals("weft groups", refused.limit());
        assertEquals(65_535, refused.maximum());
        assertTrue(refused.getMessage().contains("65535"), refused.getMessage());
        new Cgrp<String>().close();
    }

    @Test
    void anUnreachableGroupIsFreedWithItsMembers() throws Exception {
        long before = Kthd.processInfo().channels();
        for (int i = 0; i < 10; i++) {
            Cgrp<String> abandoned = new Cgrp<>();
            LongChan member = LongChan.create(1);
            abandoned.add(member, "member");
            member.send(1);
        }
        Callers.await(() -> {
            System.gc();
            return Kthd.processInfo().channels() <= before;
        });
    }
}
