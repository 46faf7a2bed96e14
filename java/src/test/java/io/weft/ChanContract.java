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
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What a channel promises, to callers of one kind. Each test runs on channels of longs and of objects, with capacities
 * from a rendezvous up. The thread that runs the test, a platform thread, only looks on.
 */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
abstract class ChanContract {
    private static final Duration SHORT = Duration.ofMillis(5);
    private static final Duration LONG = Duration.ofSeconds(20);
    private static final int MANY = 300;

    private Callers callers;

    abstract Callers.Kind kind();

    static Iterable<AnyPort> ports() {
        return AnyPort.all().toList();
    }

    @BeforeEach
    void startCallers() {
        callers = new Callers(kind());
    }

    @AfterEach
    void closeCallers() {
        callers.close();
    }

    @ParameterizedTest
    @MethodSource("ports")
    void messagesOfOneSenderArriveInTheOrderSent(AnyPort port) throws Exception {
        Work<Void> sender = callers.start(() -> sendAll(port, 0, MANY));
        Work<List<Long>> receiver = callers.start(() -> receive(port, MANY));
        assertEquals(LongStream.range(0, MANY).boxed().toList(), receiver.get());
        sender.get();
    }

    @ParameterizedTest
    @MethodSource("ports")
    void theBufferIsExact(AnyPort port) throws Exception {
        int capacity = port.chan().capacity();
        Work<Integer> filler = callers.start(() -> {
            int sent = 0;
            while (port.trySend(sent)) {
                sent++;
            }
            return sent;
        });
        assertEquals(capacity, filler.get());
        assertEquals(capacity, port.chan().info().length());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void aFullChannelHoldsUpTheSender(AnyPort port) throws Exception {
        fill(port);
        Work<Void> sender = callers.start(() -> sendAll(port, 1000, 1001));
        Callers.await(() -> port.chan().info().sending() == 1);
        assertFalse(sender.isDone());
        int capacity = port.chan().capacity();
        Work<List<Long>> receiver = callers.start(() -> receive(port, capacity + 1));
        assertEquals(1000, receiver.get().get(capacity));
        sender.get();
    }

    @ParameterizedTest
    @MethodSource("ports")
    void aReceiveWaitsForASend(AnyPort port) throws Exception {
        Work<Long> receiver = callers.start(port::receive);
        Callers.await(() -> port.chan().info().receiving() == 1);
        assertFalse(receiver.isDone());
        callers.start(() -> sendAll(port, 7, 8)).get();
        assertEquals(7, receiver.get());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void waitingReceiversAreServedInTheOrderInWhichTheyCame(AnyPort port) throws Exception {
        List<Work<Long>> receivers = new ArrayList<>();
        for (int i = 1; i <= 3; i++) {
            int waiting = i;
            receivers.add(callers.start(port::receive));
            Callers.await(() -> port.chan().info().receiving() == waiting);
        }
        callers.start(() -> sendAll(port, 1, 4)).get();
        for (int i = 0; i < 3; i++) {
            assertEquals(i + 1, receivers.get(i).get());
        }
    }

    @ParameterizedTest
    @MethodSource("ports")
    void tryFormsNeverWait(AnyPort port) throws Exception {
        Work<OptionalLong> receiver = callers.start(port::tryReceive);
        assertEquals(OptionalLong.empty(), receiver.get());
        fill(port);
        assertFalse(callers.start(() -> port.trySend(1)).get());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void tryFormsMeetAWaitingPartner(AnyPort port) throws Exception {
        Work<Long> receiver = callers.start(port::receive);
        Callers.await(() -> port.chan().info().receiving() == 1);
        assertTrue(callers.start(() -> port.trySend(5)).get());
        assertEquals(5, receiver.get());
        fill(port);
        Work<Void> sender = callers.start(() -> sendAll(port, 6, 7));
        Callers.await(() -> port.chan().info().sending() == 1);
        assertTrue(callers.start(port::tryReceive).get().isPresent());
        sender.get();
    }

    @ParameterizedTest
    @MethodSource("ports")
    void aTimedReceiveEndsEmptyWhenItsTimeIsOver(AnyPort port) throws Exception {
        assertEquals(OptionalLong.empty(), callers.start(() -> port.receive(SHORT)).get());
        assertEquals(OptionalLong.empty(), callers.start(() -> port.receive(Duration.ZERO)).get());
        assertEquals(0, port.chan().info().receiving());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void aTimedSendEndsFalseWhenItsTimeIsOver(AnyPort port) throws Exception {
        fill(port);
        assertFalse(callers.start(() -> port.send(1, SHORT)).get());
        assertFalse(callers.start(() -> port.send(1, Duration.ofSeconds(-1))).get());
        assertEquals(0, port.chan().info().sending());
        assertEquals(port.chan().capacity(), port.chan().info().length());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void timedFormsMeetAPartnerThatComesInTime(AnyPort port) throws Exception {
        Work<OptionalLong> receiver = callers.start(() -> port.receive(LONG));
        Callers.await(() -> port.chan().info().receiving() == 1);
        assertTrue(callers.start(() -> port.send(3, LONG)).get());
        assertEquals(OptionalLong.of(3), receiver.get());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void closeWakesWaitingReceivers(AnyPort port) throws Exception {
        Work<Long> first = callers.start(port::receive);
        Work<OptionalLong> second = callers.start(() -> port.receive(LONG));
        Callers.await(() -> port.chan().info().receiving() == 2);
        callers.start(() -> close(port)).get();
        assertThrows(ChanClosedException.class, first::get);
        assertThrows(ChanClosedException.class, second::get);
    }

    @ParameterizedTest
    @MethodSource("ports")
    void closeWakesWaitingSendersAndTheirMessagesAreNotSent(AnyPort port) throws Exception {
        fill(port);
        Work<Void> first = callers.start(() -> sendAll(port, 1000, 1001));
        Work<Boolean> second = callers.start(() -> port.send(1001, LONG));
        Callers.await(() -> port.chan().info().sending() == 2);
        callers.start(() -> close(port)).get();
        assertThrows(ChanClosedException.class, first::get);
        assertThrows(ChanClosedException.class, second::get);
        int capacity = port.chan().capacity();
        assertEquals(
                LongStream.range(0, capacity).boxed().toList(),
                callers.start(() -> receive(port, capacity)).get());
        assertThrows(ChanClosedException.class, callers.start(port::receive)::get);
    }

    @ParameterizedTest
    @MethodSource("ports")
    void receiveAfterCloseDrainsTheBuffer(AnyPort port) throws Exception {
        fill(port);
        port.close();
        int capacity = port.chan().capacity();
        assertEquals(
                LongStream.range(0, capacity).boxed().toList(),
                callers.start(() -> receive(port, capacity)).get());
        assertThrows(ChanClosedException.class, callers.start(port::receive)::get);
        assertThrows(ChanClosedException.class, callers.start(() -> port.receive(SHORT))::get);
        assertThrows(ChanClosedException.class, callers.start(port::tryReceive)::get);
    }

    @ParameterizedTest
    @MethodSource("ports")
    void everySendToAClosedChannelThrows(AnyPort port) throws Exception {
        port.close();
        assertThrows(ChanClosedException.class, callers.start(() -> sendAll(port, 0, 1))::get);
        assertThrows(ChanClosedException.class, callers.start(() -> port.send(1, SHORT))::get);
        assertThrows(ChanClosedException.class, callers.start(() -> port.trySend(1))::get);
    }

    @ParameterizedTest
    @MethodSource("ports")
    void anInterruptEndsAWaitingReceive(AnyPort port) throws Exception {
        Work<Boolean> receiver = callers.start(() -> {
            assertThrows(InterruptedException.class, port::receive);
            return Thread.currentThread().isInterrupted();
        });
        Callers.await(() -> port.chan().info().receiving() == 1);
        receiver.interrupt();
        assertFalse(receiver.get());
        assertEquals(0, port.chan().info().receiving());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void anInterruptEndsAWaitingSendAndNothingIsSent(AnyPort port) throws Exception {
        fill(port);
        Work<Boolean> sender = callers.start(() -> {
            assertThrows(InterruptedException.class, () -> port.send(1000));
            return Thread.currentThread().isInterrupted();
        });
        Callers.await(() -> port.chan().info().sending() == 1);
        sender.interrupt();
        assertFalse(sender.get());
        assertEquals(0, port.chan().info().sending());
        assertEquals(port.chan().capacity(), port.chan().info().length());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void anInterruptEndsATimedWait(AnyPort port) throws Exception {
        Work<OptionalLong> receiver = callers.start(() -> port.receive(LONG));
        Callers.await(() -> port.chan().info().receiving() == 1);
        receiver.interrupt();
        assertThrows(InterruptedException.class, receiver::get);
    }

    @ParameterizedTest
    @MethodSource("ports")
    void anInterruptedThreadDoesNotBeginToWait(AnyPort port) throws Exception {
        Work<Boolean> work = callers.start(() -> {
            Thread.currentThread().interrupt();
            assertThrows(InterruptedException.class, port::receive);
            assertFalse(Thread.currentThread().isInterrupted());
            Thread.currentThread().interrupt();
            assertThrows(InterruptedException.class, () -> port.send(1));
            return Thread.currentThread().isInterrupted();
        });
        assertFalse(work.get());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void anInterruptThatWasClearedDoesNotEndTheNextWait(AnyPort port) throws Exception {
        Work<Long> receiver = callers.start(() -> {
            Callers.await(() -> Thread.currentThread().isInterrupted());
            Thread.interrupted();
            return port.receive();
        });
        receiver.interrupt();
        Callers.await(() -> port.chan().info().receiving() == 1);
        callers.start(() -> sendAll(port, 9, 10)).get();
        assertEquals(9, receiver.get());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void fourSendersAndFourReceiversLoseAndDoubleNothing(AnyPort port) throws Exception {
        List<Work<Void>> senders = new ArrayList<>();
        List<Work<List<Long>>> receivers = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            int first = i * MANY;
            senders.add(callers.start(() -> sendAll(port, first, first + MANY)));
            receivers.add(callers.start(() -> receive(port, MANY)));
        }
        List<Long> all = new ArrayList<>();
        for (Work<List<Long>> receiver : receivers) {
            all.addAll(receiver.get());
        }
        for (Work<Void> sender : senders) {
            sender.get();
        }
        assertEquals(LongStream.range(0, 4 * MANY).boxed().toList(), all.stream().sorted().toList());
    }

    @ParameterizedTest
    @MethodSource("ports")
    void tryAndTimedFormsAgainstRacingPeersCountExactly(AnyPort port) throws Exception {
        AtomicLong sent = new AtomicLong();
        AtomicLong received = new AtomicLong();
        Duration tiny = Duration.ofNanos(20_000);
        List<Work<Void>> senders = new ArrayList<>();
        List<Work<Void>> receivers = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            senders.add(callers.start(() -> {
                for (int n = 0; n < MANY; n++) {
                    boolean done = n % 2 == 0 ? port.send(n, tiny) : port.trySend(n);
                    sent.addAndGet(done ? 1 : 0);
                    Lwt.yield();
                }
                return null;
            }));
            receivers.add(callers.start(() -> {
                try {
                    for (int n = 0; ; n++) {
                        OptionalLong value = n % 2 == 0 ? port.receive(tiny) : port.tryReceive();
                        received.addAndGet(value.isPresent() ? 1 : 0);
                        Lwt.yield();
                    }
                } catch (ChanClosedException drained) {
                    return null;
                }
            }));
        }
        for (Work<Void> sender : senders) {
            sender.get();
        }
        port.close();
        for (Work<Void> receiver : receivers) {
            receiver.get();
        }
        assertEquals(sent.get(), received.get());
    }

    private static Void sendAll(AnyPort port, long from, long to) throws InterruptedException {
        for (long value = from; value < to; value++) {
            port.send(value);
        }
        return null;
    }

    private static List<Long> receive(AnyPort port, int count) throws InterruptedException {
        List<Long> values = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            values.add(port.receive());
        }
        return values;
    }

    private static void fill(AnyPort port) {
        for (int i = 0; i < port.chan().capacity(); i++) {
            assertTrue(port.trySend(i));
        }
    }

    private static Void close(AnyPort port) {
        port.close();
        return null;
    }
}
