// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.weft.Callers.Work;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a select promises, to callers of each kind. The thread that runs the test only looks on. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class SelectTest {
    private static final Duration SHORT = Duration.ofMillis(5);

    private static Stream<Select> orders() {
        return Stream.of(Select.fifo(), Select.priority(), Select.random());
    }

    private static List<Chan<String>> objectChans() {
        return List.of(
                Chan.create(0),
                Chan.create(3),
                Chan.<String>builder().capacity(3).senders(Ends.MANY).create(),
                Chan.<String>builder().capacity(4).receivers(Ends.ONE).create(),
                Chan.<String>builder().capacity(4).senders(Ends.ONE).receivers(Ends.ONE).create());
    }

    private static List<LongChan> longChans() {
        return List.of(
                LongChan.create(0),
                LongChan.create(3),
                LongChan.builder().capacity(3).senders(Ends.MANY).create(),
                LongChan.builder().capacity(4).senders(Ends.ONE).receivers(Ends.ONE).create());
    }

    private static int waiting(AnyChan chan) {
        AnyChan.Info info = chan.info();
        return info.sending() + info.receiving();
    }

    @ParameterizedTest
    @EnumSource(Callers.Kind.class)
    void theCaseThatIsReadyFiresAndNoOther(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            callers.start(() -> {
                        orders().forEach(select -> {
                            LongChan empty = LongChan.create(1);
                            LongChan full = LongChan.create(1);
                            Chan<String> objects = Chan.create(1);
                            int none = select.receive(empty);
                            int send = select.send(full, 7);
                            int object = select.receive(objects);
                            assertEquals(send, select.poll());
                            assertEquals(Select.NONE, select.poll());
                            assertThrows(IllegalStateException.class, select::value);
                            assertTrue(objects.trySend("x"));
                            assertEquals(object, select.poll());
                            assertEquals("x", select.object());
                            assertEquals("x", select.object(objects));
                            assertThrows(IllegalStateException.class, select::value);
                            assertTrue(empty.trySend(9));
                            assertEquals(none, select.poll());
                            assertEquals(9, select.value());
                            assertEquals(7, full.tryReceive().orElseThrow());
                            select.toSend(send, 8);
                            select.enable(none, false);
                            assertTrue(empty.trySend(1));
                            assertEquals(send, select.poll());
                            assertEquals(8, full.tryReceive().orElseThrow());
                        });
                        return null;
                    })
                    .get();
        }
    }

    @ParameterizedTest
    @EnumSource(Callers.Kind.class)
    void aSelectWaitsForObjectsOfChannelsOfEveryForm(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            List<Chan<String>> chans = objectChans();
            Work<String> work = callers.start(() -> {
                Select select = Select.fifo();
                chans.forEach(select::receive);
                StringBuilder got = new StringBuilder();
                for (int i = 0; i < chans.size(); i++) {
                    int fired = select.await();
                    got.append(fired).append(select.object(chans.get(fired)));
                }
                assertEquals(Select.NONE, select.await(SHORT));
                return got.toString();
            });
            Work<Void> sender = callers.start(() -> {
                for (Chan<String> chan : chans) {
                    Callers.await(() -> chans.stream().allMatch(each -> each.info().length() == 0));
                    chan.send("m");
                }
                return null;
            });
            sender.get();
            assertEquals("0m1m2m3m4m", work.get());
            chans.forEach(chan -> assertEquals(0, waiting(chan)));
        }
    }

    @ParameterizedTest
    @EnumSource(Callers.Kind.class)
    void aSelectSendsToChannelsOfEveryForm(Callers.Kind kind) throws Exception {
        int slots = ObjectTable.size();
        try (Callers callers = new Callers(kind)) {
            List<Chan<String>> objects = objectChans();
            List<LongChan> longs = longChans();
            Work<Void> sender = callers.start(() -> {
                Select select = Select.random();
                for (int i = 0; i < objects.size(); i++) {
                    select.send(objects.get(i), "o" + i);
                }
                for (int i = 0; i < longs.size(); i++) {
                    select.send(longs.get(i), i);
                }
                for (int left = objects.size() + longs.size(); left > 0; left--) {
                    int fired = select.await();
                    assertFalse(select.isClosed());
                    select.enable(fired, false);
                }
                assertEquals(Select.NONE, select.poll());
                return null;
            });
            Work<Void> receiver = callers.start(() -> {
                for (int i = 0; i < objects.size(); i++) {
                    assertEquals("o" + i, objects.get(i).receive());
                }
                for (int i = 0; i < longs.size(); i++) {
                    assertEquals(i, longs.get(i).receive());
                }
                return null;
            });
            receiver.get();
            sender.get();
        }
        assertTrue(ObjectTable.size() <= slots + 64, "slots are left behind");
    }

    @ParameterizedTest
    @EnumSource(Callers.Kind.class)
    void theCaseOfAClosedChannelFires(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            for (Chan<String> chan : objectChans()) {
                LongChan other = LongChan.create(0);
                Work<Void> work = callers.start(() -> {
                    Select select = Select.fifo();
                    select.receive(other);
                    int receive = select.receive(chan);
                    assertEquals(receive, select.await());
                    assertTrue(select.isClosed());
                    assertThrows(ChanClosedException.class, select::object);
                    // now it is freed
                    assertEquals(receive, select.await());
                    assertTrue(select.isClosed());
                    Select sending = Select.priority();
                    assertEquals(0, sending.send(chan, "x"));
                    assertEquals(0, sending.poll());
                    assertTrue(sending.isClosed());
                    return null;
                });
                Callers.await(() -> waiting(chan) == 1 && waiting(other) == 1);
                chan.close();
                work.get();
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Callers.Kind.class)
    void anInterruptEndsASelectAndNothingWasSent(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            Chan<String> objects = Chan.create(0);
            LongChan longs = LongChan.create(0);
            Work<Boolean> work = callers.start(() -> {
                Select select = Select.fifo();
                select.send(objects, "x");
                select.receive(longs);
                assertThrows(InterruptedException.class, select::await);
                return select.await(SHORT) == Select.NONE && !Thread.currentThread().isInterrupted();
            });
            Callers.await(() -> waiting(objects) == 1 && waiting(longs) == 1);
            work.interrupt();
            assertTrue(work.get());
            assertTrue(objects.tryReceive().isEmpty());
            assertEquals(0, waiting(objects) + waiting(longs));
        }
    }

    @ParameterizedTest
    @EnumSource(Callers.Kind.class)
    void everyReadyCaseHasItsTurn(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            callers.start(() -> {
                        for (Select select : List.of(Select.fifo(), Select.random())) {
                            List<LongChan> chans = new ArrayList<>();
                            int[] counts = new int[9];
                            for (int i = 0; i < counts.length; i++) {
                                chans.add(LongChan.create(1));
                                chans.get(i).send(i);
                                select.receive(chans.get(i));
                            }
                            for (int round = 0; round < 4500; round++) {
                                int fired = select.await();
                                counts[fired]++;
                                chans.get(fired).send(round);
                            }
                            for (int count : counts) {
                                assertTrue(count > 350 && count < 700, "fired " + count + " times");
                            }
                        }
                        return null;
                    })
                    .get();
        }
    }

    @ParameterizedTest
    @EnumSource(Callers.Kind.class)
    void twoSelectsMeetEachOther(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            Chan<String> a = Chan.create(0);
            Chan<String> b = Chan.create(0);
            int rounds = 2000;
            Work<Integer> one = callers.start(() -> exchange(a, b, rounds));
            Work<Integer> two = callers.start(() -> exchange(b, a, rounds));
            assertEquals(rounds, one.get() + two.get());
        }
    }

    /** How often it sent. */
    private static int exchange(Chan<String> out, Chan<String> in, int rounds) throws InterruptedException {
        Select select = Select.random();
        int send = select.send(out, "word");
        select.receive(in);
        int sent = 0;
        for (int i = 0; i < rounds; i++) {
            if (select.await() == send) {
                sent++;
            } else {
                assertEquals("word", select.object(in));
            }
        }
        return sent;
    }

    @ParameterizedTest
    @EnumSource(Callers.Kind.class)
    void whatSelectsUnderDeadlinesSendIsReceivedOnce(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            List<LongChan> longs = List.of(
                    LongChan.create(0),
                    LongChan.create(2),
                    LongChan.builder().capacity(4).senders(Ends.MANY).create());
            AtomicLong sum = new AtomicLong();
            List<Work<Void>> works = new ArrayList<>();
            for (int n = 0; n < 4; n++) {
                works.add(callers.start(() -> {
                    storm(longs, sum);
                    return null;
                }));
            }
            for (Work<Void> work : works) {
                work.get();
            }
            longs.forEach(chan -> chan.drain(value -> sum.addAndGet(-value), Integer.MAX_VALUE));
            assertEquals(0, sum.get());
            longs.forEach(chan -> assertEquals(0, waiting(chan)));
        }
    }

    private static void storm(List<LongChan> chans, AtomicLong sum) throws InterruptedException {
        Select select = Select.random();
        chans.forEach(select::receive);
        chans.forEach(chan -> select.send(chan, 0));
        ThreadLocalRandom random = ThreadLocalRandom.current();
        for (int round = 0; round < 3000; round++) {
            long value = random.nextInt(1000);
            for (int i = 0; i < chans.size(); i++) {
                select.toSend(chans.size() + i, value);
                select.enable(i, random.nextBoolean());
                select.enable(chans.size() + i, random.nextBoolean());
            }
            int fired = select.await(Duration.ofNanos(random.nextInt(50_000)));
            if (fired >= chans.size()) {
                sum.addAndGet(value);
            } else if (fired != Select.NONE) {
                sum.addAndGet(-select.value());
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Callers.Kind.class)
    void withOneChannelReadyAtEveryMomentPollFires(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            for (int rounds = 0; rounds < 300; rounds++) {
                Chan<String> first = Chan.<String>builder().capacity(1).senders(Ends.MANY).create();
                Chan<String> second = Chan.<String>builder().capacity(1).senders(Ends.MANY).create();
                first.send("a");
                Work<Integer> work = callers.start(() -> {
                    Select select = Select.fifo();
                    select.receive(second);
                    select.receive(first);
                    return select.poll();
                });
                second.send("b");
                first.tryReceive();
                assertTrue(work.get() != Select.NONE);
            }
        }
    }
}
