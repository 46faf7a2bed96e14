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
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What a channel promises whatever was declared of its ends, to callers of one kind. As many threads as the declaration
 * allows, up to three, are at each end; each is a {@link Worker}, so that a test's steps are taken by the same ones.
 */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
abstract class RingContract {
    private static final Duration SHORT = Duration.ofMillis(3);
    private static final Duration LONG = Duration.ofSeconds(20);
    private static final int MANY = 2000;

    private Callers callers;

    abstract Callers.Kind kind();

    /** What is declared, and of a channel of how many messages. */
    record Form(int capacity, Ends senders, Ends receivers) {
        Stream<AnyPort> ports() {
            return senders == null
                    ? Stream.of(AnyPort.ofLongs(capacity), AnyPort.ofObjects(capacity))
                    : AnyPort.declared(capacity, senders, receivers);
        }
    }

    /** A port and how many threads may be at its ends. */
    record Setting(AnyPort port, int senders, int receivers) {
        /** How many each sender sends in a long run. */
        int messages() {
            return port.chan().capacity() < 8 ? MANY / 8 : MANY;
        }

        List<Long> sent() {
            return LongStream.range(0, senders)
                    .flatMap(sender -> LongStream.range(sender * MANY, sender * MANY + messages()))
                    .boxed()
                    .toList();
        }

        @Override
        public String toString() {
            return port.toString();
        }
    }

    private static Stream<Setting> settings(int... capacities) {
        Stream<Form> forms = IntStream.of(capacities).boxed().flatMap(capacity -> Stream.of(
                new Form(capacity, null, null),
                new Form(capacity, Ends.ONE, Ends.ONE),
                new Form(capacity, Ends.MANY, Ends.ONE),
                new Form(capacity, Ends.ONE, Ends.MANY),
                new Form(capacity, Ends.MANY, Ends.MANY)));
        return forms.flatMap(form -> form.ports().map(port -> new Setting(
                port, form.senders == Ends.ONE ? 1 : 3, form.receivers == Ends.ONE ? 1 : 3)));
    }

    static Stream<Setting> few() {
        return settings(1, 3, 64);
    }

    static Stream<Setting> all() {
        return settings(1, 2, 3, 64, 1000);
    }

    @BeforeEach
    void startCallers() {
        callers = new Callers(kind());
    }

    @AfterEach
    void closeCallers() {
        callers.close();
    }

    /** One thread of the kind, which does one step after the other. */
    private final class Worker implements AutoCloseable {
        private final Chan<Runnable> steps = Chan.create(16);
        private final Work<Void> thread = callers.start(() -> {
            try {
                for (;;) {
                    steps.receive().run();
                }
            } catch (ChanClosedException done) {
                return null;
            }
        });

        <T> Work<T> start(Callable<T> step) throws InterruptedException {
            Work<T> work = new Work<>();
            steps.send(() -> work.run(step));
            return work;
        }

        <T> T call(Callable<T> step) throws Exception {
            return start(step).get();
        }

        long receive(AnyPort port) throws Exception {
            return call(port::receive);
        }

        @Override
        public void close() {
            steps.close();
            Callers.await(thread::isDone);
        }
    }

    @ParameterizedTest
    @MethodSource("all")
    void nothingIsLostOrDoubledAndEachSendersOrderIsKept(Setting setting) throws Exception {
        AnyPort port = setting.port;
        List<Work<Void>> senders = new ArrayList<>();
        for (int s = 0; s < setting.senders; s++) {
            long first = (long) s * MANY;
            senders.add(callers.start(() -> {
                for (long value = first; value < first + setting.messages(); value++) {
                    port.send(value);
                }
                return null;
            }));
        }
        List<Work<List<Long>>> receivers = new ArrayList<>();
        for (int r = 0; r < setting.receivers; r++) {
            receivers.add(callers.start(() -> receiveUntilClosed(port)));
        }
        for (Work<Void> sender : senders) {
            sender.get();
        }
        port.close();
        List<Long> all = new ArrayList<>();
        for (Work<List<Long>> receiver : receivers) {
            List<Long> values = receiver.get();
            assertOrderOfEachSender(values);
            all.addAll(values);
        }
        assertEquals(setting.sent(), all.stream().sorted().toList());
    }

    @ParameterizedTest
    @MethodSource("all")
    void batchesLoseAndDoubleNothing(Setting setting) throws Exception {
        AnyPort port = setting.port;
        List<Work<Void>> senders = new ArrayList<>();
        for (int s = 0; s < setting.senders; s++) {
            long first = (long) s * MANY;
            senders.add(callers.start(() -> {
                for (long value = first; value < first + setting.messages(); value += 50) {
                    port.sendAll(value, value + 50);
                }
                return null;
            }));
        }
        List<Work<List<Long>>> receivers = new ArrayList<>();
        for (int r = 0; r < setting.receivers; r++) {
            receivers.add(callers.start(() -> drainUntilClosed(port)));
        }
        for (Work<Void> sender : senders) {
            sender.get();
        }
        port.close();
        List<Long> all = new ArrayList<>();
        for (Work<List<Long>> receiver : receivers) {
            List<Long> values = receiver.get();
            assertOrderOfEachSender(values);
            all.addAll(values);
        }
        assertEquals(setting.sent(), all.stream().sorted().toList());
    }

    /** A send that returned is received, one that threw is not. */
    @ParameterizedTest
    @MethodSource("few")
    void aCloseAmidSendsLosesNothingThatWasSent(Setting setting) throws Exception {
        AnyPort port = setting.port;
        AtomicLong sent = new AtomicLong();
        List<Work<Void>> senders = new ArrayList<>();
        for (int s = 0; s < setting.senders; s++) {
            int number = s;
            senders.add(callers.start(() -> {
                long count = 0;
                try {
                    for (;; count++) {
                        switch ((number + (int) count) % 3) {
                            case 0 -> port.send(count);
                            case 1 -> port.sendQuietly(count);
                            default -> count += port.trySend(count) ? 0 : -1;
                        }
                        if (count % 16 == 0) {
                            port.flush();
                            Lwt.yield();
                        }
                    }
                } catch (ChanClosedException closed) {
                    sent.addAndGet(count);
                    return null;
                }
            }));
        }
        List<Work<List<Long>>> receivers = new ArrayList<>();
        for (int r = 0; r < setting.receivers; r++) {
            receivers.add(callers.start(() -> receiveUntilClosed(port)));
        }
        Thread.sleep(1);
        port.close();
        for (Work<Void> sender : senders) {
            sender.get();
        }
        long received = 0;
        for (Work<List<Long>> receiver : receivers) {
            received += receiver.get().size();
        }
        assertEquals(sent.get(), received);
    }

    @ParameterizedTest
    @MethodSource("few")
    void aFullChannelHoldsUpTheSender(Setting setting) throws Exception {
        AnyPort port = setting.port;
        int capacity = port.chan().capacity();
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            assertEquals(capacity, sender.call(() -> fill(port)));
            assertEquals(capacity, port.chan().info().length());
            assertFalse(sender.call(() -> port.send(-1, SHORT)));
            assertFalse(sender.call(() -> port.send(-1, Duration.ofSeconds(-1))));
            Work<Void> waiting = sender.start(() -> send(port, capacity));
            Callers.await(() -> port.chan().info().sending() == 1);
            assertFalse(waiting.isDone());
            assertEquals(LongStream.rangeClosed(0, capacity).boxed().toList(),
                    receiver.call(() -> receive(port, capacity + 1)));
            waiting.get();
            assertEquals(capacity, sender.call(() -> fill(port)));
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void anEmptyChannelHoldsUpTheReceiver(Setting setting) throws Exception {
        AnyPort port = setting.port;
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            assertEquals(OptionalLong.empty(), receiver.call(port::tryReceive));
            assertEquals(OptionalLong.empty(), receiver.call(() -> port.receive(SHORT)));
            assertEquals(0, receiver.call(() -> port.drain(value -> {}, 10)));
            for (int i = 0; i < 3; i++) {
                Work<Long> waiting = receiver.start(port::receive);
                Callers.await(() -> port.chan().info().receiving() == 1);
                assertFalse(waiting.isDone());
                int value = i;
                sender.call(() -> send(port, value));
                assertEquals(i, waiting.get());
            }
            Work<OptionalLong> waiting = receiver.start(() -> port.receive(LONG));
            Callers.await(() -> port.chan().info().receiving() == 1);
            assertTrue(sender.call(() -> port.send(9, LONG)));
            assertEquals(OptionalLong.of(9), waiting.get());
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void closeDrainsAndWakesWaitingReceivers(Setting setting) throws Exception {
        AnyPort port = setting.port;
        int capacity = port.chan().capacity();
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            sender.call(() -> fill(port));
            port.close();
            assertThrows(ChanClosedException.class, () -> sender.call(() -> send(port, 0)));
            assertThrows(ChanClosedException.class, () -> sender.call(() -> port.trySend(0)));
            assertThrows(ChanClosedException.class, () -> sender.call(() -> port.send(0, SHORT)));
            List<Long> values = new ArrayList<>();
            values.add(receiver.receive(port));
            if (capacity > 1) {
                values.add(receiver.call(port::tryReceive).getAsLong());
                values.add(receiver.call(() -> port.receive(SHORT)).getAsLong());
            }
            if (capacity > 3) {
                receiver.call(() -> port.drain(values::add, capacity));
            }
            assertEquals(LongStream.range(0, capacity).boxed().toList(), values);
            assertThrows(ChanClosedException.class, () -> receiver.call(port::receive));
            assertThrows(ChanClosedException.class, () -> receiver.call(port::tryReceive));
            assertThrows(ChanClosedException.class, () -> receiver.call(() -> port.drain(value -> {}, 1)));
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void closeWakesBothEnds(Setting setting) throws Exception {
        AnyPort port = setting.port;
        try (Worker receiver = new Worker()) {
            Work<Long> waiting = receiver.start(port::receive);
            Callers.await(() -> port.chan().info().receiving() == 1);
            port.close();
            assertThrows(ChanClosedException.class, waiting::get);
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void closeWakesAWaitingSenderWhoseMessageIsNotSent(Setting setting) throws Exception {
        AnyPort port = setting.port;
        int capacity = port.chan().capacity();
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            sender.call(() -> fill(port));
            Work<Void> waiting = sender.start(() -> send(port, capacity));
            Callers.await(() -> port.chan().info().sending() == 1);
            port.close();
            assertThrows(ChanClosedException.class, waiting::get);
            assertEquals(LongStream.range(0, capacity).boxed().toList(),
                    receiver.call(() -> receiveUntilClosed(port)));
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void anInterruptEndsAWait(Setting setting) throws Exception {
        AnyPort port = setting.port;
        int capacity = port.chan().capacity();
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            Work<Long> receiving = receiver.start(port::receive);
            Callers.await(() -> port.chan().info().receiving() == 1);
            receiver.thread.interrupt();
            assertThrows(InterruptedException.class, receiving::get);
            assertEquals(0, port.chan().info().receiving());
            sender.call(() -> fill(port));
            Work<Void> sending = sender.start(() -> send(port, capacity));
            Callers.await(() -> port.chan().info().sending() == 1);
            sender.thread.interrupt();
            assertThrows(InterruptedException.class, sending::get);
            assertEquals(0, port.chan().info().sending());
            assertEquals(capacity, receiver.call(() -> receive(port, capacity)).size());
            assertEquals(OptionalLong.empty(), receiver.call(port::tryReceive));
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void anInterruptedThreadSendsAndReceivesNothing(Setting setting) throws Exception {
        AnyPort port = setting.port;
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            assertThrows(InterruptedException.class, () -> sender.call(() -> {
                Thread.currentThread().interrupt();
                return send(port, 1);
            }));
            sender.call(() -> send(port, 2));
            assertThrows(InterruptedException.class, () -> receiver.call(() -> {
                Thread.currentThread().interrupt();
                return port.receive();
            }));
            assertEquals(2, receiver.receive(port));
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void whatWasSentQuietlyIsThereAndWakesAtTheFlush(Setting setting) throws Exception {
        AnyPort port = setting.port;
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            sender.call(() -> sendQuietly(port, 1));
            assertEquals(1, receiver.receive(port));
            Work<Long> waiting = receiver.start(port::receive);
            Callers.await(() -> port.chan().info().receiving() == 1);
            sender.call(() -> sendQuietly(port, 2));
            sender.call(() -> flush(port));
            assertEquals(2, waiting.get());
            sender.call(() -> flush(port));
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void aQuietSenderThatFillsTheRingWakesTheReceiver(Setting setting) throws Exception {
        AnyPort port = setting.port;
        int count = port.chan().capacity() + 5;
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            Work<List<Long>> receiving = receiver.start(() -> receive(port, count));
            Callers.await(() -> port.chan().info().receiving() == 1);
            sender.call(() -> {
                for (int i = 0; i < count; i++) {
                    port.sendQuietly(i);
                }
                return flush(port);
            });
            assertEquals(LongStream.range(0, count).boxed().toList(), receiving.get());
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void drainTakesUpToItsLimitAndLetsTheSendersOn(Setting setting) throws Exception {
        AnyPort port = setting.port;
        int capacity = port.chan().capacity();
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            sender.call(() -> fill(port));
            Work<Void> waiting = sender.start(() -> send(port, capacity));
            Callers.await(() -> port.chan().info().sending() == 1);
            List<Long> values = new ArrayList<>();
            assertEquals(0, receiver.call(() -> port.drain(values::add, 0)));
            assertEquals(1, receiver.call(() -> port.drain(values::add, 1)));
            waiting.get();
            assertEquals(capacity, receiver.call(() -> port.drain(values::add, capacity + 10)));
            assertEquals(LongStream.rangeClosed(0, capacity).boxed().toList(), values);
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void aConsumerThatThrowsHasReceived(Setting setting) throws Exception {
        AnyPort port = setting.port;
        int capacity = port.chan().capacity();
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            sender.call(() -> fill(port));
            Work<Void> waiting = sender.start(() -> send(port, capacity));
            Callers.await(() -> port.chan().info().sending() == 1);
            assertThrows(ArithmeticException.class, () -> receiver.call(() -> port.drain(value -> {
                throw new ArithmeticException();
            }, 10)));
            waiting.get();
            assertEquals(LongStream.rangeClosed(1, capacity).boxed().toList(),
                    receiver.call(() -> receive(port, capacity)));
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void anIterationEndsWhenTheChannelIsClosedAndDrained(Setting setting) throws Exception {
        AnyPort port = setting.port;
        try (Worker sender = new Worker(); Worker receiver = new Worker()) {
            List<Long> values = new ArrayList<>();
            Work<Void> iterating = receiver.start(() -> {
                port.forEach(values::add);
                return null;
            });
            sender.call(() -> {
                for (int i = 0; i < 100; i++) {
                    port.send(i);
                }
                port.close();
                return null;
            });
            iterating.get();
            assertEquals(LongStream.range(0, 100).boxed().toList(), values);
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void aSecondThreadAtASingleEndIsRefused(Setting setting) throws Exception {
        AnyPort port = setting.port;
        try (Worker first = new Worker(); Worker second = new Worker(); Worker receiver = new Worker()) {
            first.call(() -> send(port, 1));
            if (setting.senders == 1) {
                assertThrows(IllegalStateException.class, () -> second.call(() -> send(port, 2)));
                assertThrows(IllegalStateException.class, () -> second.call(() -> port.send(2, SHORT)));
                assertThrows(IllegalStateException.class, () -> second.call(() -> port.trySend(2)));
                assertThrows(IllegalStateException.class, () -> second.call(() -> sendQuietly(port, 2)));
            }
            assertEquals(1, receiver.receive(port));
            if (setting.receivers == 1) {
                assertThrows(IllegalStateException.class, () -> second.call(port::receive));
                assertThrows(IllegalStateException.class, () -> second.call(() -> port.receive(SHORT)));
                assertThrows(IllegalStateException.class, () -> second.call(port::tryReceive));
                assertThrows(IllegalStateException.class, () -> second.call(() -> port.drain(value -> {}, 1)));
            }
            first.call(() -> send(port, 3));
            assertEquals(3, receiver.receive(port));
        }
    }

    /** One thread may be at both ends. */
    @ParameterizedTest
    @MethodSource("few")
    void aThreadTalksToItself(Setting setting) throws Exception {
        AnyPort port = setting.port;
        try (Worker both = new Worker()) {
            both.call(() -> {
                for (long i = 0; i < 500; i++) {
                    port.send(i);
                    assertEquals(i, port.receive());
                }
                return null;
            });
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void aGroupHearsOfMessagesAndOfTheClose(Setting setting) throws Exception {
        AnyPort port = setting.port;
        try (Cgrp<String> group = new Cgrp<>(); Worker sender = new Worker(); Worker receiver = new Worker()) {
            group.add(port.chan(), "port");
            for (int i = 0; i < 20; i++) {
                Work<String> waiting = receiver.start(() -> group.await().mark());
                int value = i;
                sender.call(() -> value % 2 == 0 ? send(port, value) : sendAll(port, value));
                assertEquals("port", waiting.get());
                assertEquals(i, receiver.receive(port));
            }
            Work<String> waiting = receiver.start(() -> group.await().mark());
            port.close();
            assertEquals("port", waiting.get());
            assertThrows(ChanClosedException.class, () -> receiver.call(port::receive));
        }
    }

    private static void assertOrderOfEachSender(List<Long> values) {
        long[] last = {-1, -1, -1};
        for (long value : values) {
            int sender = (int) (value / MANY);
            assertTrue(value > last[sender], () -> "out of order: " + values);
            last[sender] = value;
        }
    }

    private static List<Long> receiveUntilClosed(AnyPort port) throws InterruptedException {
        List<Long> values = new ArrayList<>();
        try {
            for (;;) {
                values.add(port.receive());
            }
        } catch (ChanClosedException drained) {
            return values;
        }
    }

    private static List<Long> drainUntilClosed(AnyPort port) throws InterruptedException {
        List<Long> values = new ArrayList<>();
        try {
            for (;;) {
                if (port.drain(values::add, 40) == 0) {
                    values.add(port.receive());
                }
            }
        } catch (ChanClosedException drained) {
            return values;
        }
    }

    private static List<Long> receive(AnyPort port, int count) throws InterruptedException {
        List<Long> values = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            values.add(port.receive());
        }
        return values;
    }

    private static int fill(AnyPort port) {
        int sent = 0;
        while (port.trySend(sent)) {
            sent++;
        }
        return sent;
    }

    private static Void send(AnyPort port, long value) throws InterruptedException {
        port.send(value);
        return null;
    }

    private static Void sendQuietly(AnyPort port, long value) throws InterruptedException {
        port.sendQuietly(value);
        return null;
    }

    private static Void sendAll(AnyPort port, long value) throws InterruptedException {
        port.sendAll(value, value + 1);
        return null;
    }

    private static Void flush(AnyPort port) {
        port.flush();
        return null;
    }
}
