// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.weft.Callers.Work;
import io.weft.ffi.ChanCalls;
import io.weft.ffi.Constants;
import io.weft.ffi.Errno;
import io.weft.ffi.Layouts;
import io.weft.ffi.RingCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Rings, where it does not matter who calls: creation, lifetime, C's ends beside Java's, and what records add. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class RingTest {
    private static final MemoryLayout WORD = ValueLayout.JAVA_LONG;
    private static final int MANY = 5000;

    private Callers callers;

    @BeforeEach
    void startCallers() {
        callers = new Callers(Callers.Kind.PLATFORM);
    }

    @AfterEach
    void closeCallers() {
        callers.close();
    }

    private static LongChan longs(int capacity, Ends senders, Ends receivers) {
        return LongChan.builder().capacity(capacity).senders(senders).receivers(receivers).create();
    }

    private static RecordChan records(int capacity, Ends senders, Ends receivers) {
        return RecordChan.builder(WORD).capacity(capacity).senders(senders).receivers(receivers).create();
    }

    // ---- creation --------------------------------------------------------------------------------------------------

    @Test
    void whatCannotBeIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> Chan.builder().capacity(-1));
        assertThrows(IllegalArgumentException.class, () -> Chan.builder().senders(Ends.ONE).create());
        assertThrows(IllegalArgumentException.class, () -> LongChan.builder().receivers(Ends.MANY).create());
        assertThrows(IllegalArgumentException.class, () -> RecordChan.builder(WORD).create());
        assertThrows(IllegalArgumentException.class, () -> RecordChan.builder(MemoryLayout.paddingLayout(1025)));
        assertThrows(IllegalArgumentException.class, () -> RecordChan.builder(MemoryLayout.structLayout()));
        assertThrows(IllegalArgumentException.class, () -> RecordChan.builder(WORD.withByteAlignment(16)));
    }

    @Test
    void oneThatNothingIsDeclaredOfIsAsIfJustCreated() {
        try (Chan<String> rendezvous = Chan.<String>builder().create();
                LongChan buffered = LongChan.builder().capacity(2).create()) {
            assertFalse(rendezvous.trySend("nobody waits"));
            assertTrue(buffered.trySend(1));
            assertEquals(2, buffered.capacity());
        }
    }

    @Test
    void theGreatestCapacityWorks() throws Exception {
        try (LongChan chan = longs(AnyChan.MAX_CAPACITY, Ends.ONE, Ends.ONE)) {
            for (int i = 0; i < AnyChan.MAX_CAPACITY; i++) {
                chan.send(i);
            }
            assertFalse(chan.trySend(0));
            assertEquals(AnyChan.MAX_CAPACITY, chan.drain(value -> {}, Integer.MAX_VALUE));
        }
    }

    // ---- single ends -----------------------------------------------------------------------------------------------

    @Test
    void aBreachNamesBothThreads() throws Exception {
        try (LongChan chan = longs(2, Ends.ONE, Ends.ONE)) {
            chan.send(1);
            Work<Void> work = callers.start(() -> {
                Thread.currentThread().setName("the other");
                chan.send(2);
                return null;
            });
            String message = assertThrows(IllegalStateException.class, work::get).getMessage();
            assertTrue(message.contains(Thread.currentThread().toString()), message);
            assertTrue(message.contains("the other"), message);
            assertEquals(1, chan.receive());
            assertThrows(IllegalStateException.class, callers.start(chan::tryReceive)::get);
        }
    }

    @Test
    void aThreadOfCAtTheEndIsABreach() throws Exception {
        try (LongChan chan = longs(2, Ends.ONE, Ends.MANY)) {
            assertEquals(0, callers.start(() -> ChanCalls.trySend(chan.handle(), 1)).get());
            assertThrows(IllegalStateException.class, () -> chan.send(2));
        }
        try (LongChan chan = longs(2, Ends.ONE, Ends.MANY)) {
            chan.send(1);
            assertEquals(-Errno.EUSERS, callers.start(() -> ChanCalls.trySend(chan.handle(), 1)).get());
        }
    }

    // ---- C's ends beside Java's ------------------------------------------------------------------------------------

    @Test
    void endsInCAndInJavaShareARingOfWords() throws Exception {
        LongChan chan = longs(3, Ends.MANY, Ends.MANY);
        shareWords(chan, chan.handle());
    }

    @Test
    void endsInCAndInJavaShareAChannelThatNothingWasDeclaredOf() throws Exception {
        LongChan chan = LongChan.create(3);
        shareWords(chan, chan.handle());
    }

    private void shareWords(LongChan chan, long handle) throws Exception {
        List<Work<Void>> senders = List.of(
                callers.start(() -> {
                    for (int i = 0; i < MANY; i++) {
                        chan.send(i);
                    }
                    return null;
                }),
                callers.start(() -> {
                    for (int i = MANY; i < 2 * MANY; i++) {
                        assertEquals(0, ChanCalls.send(handle, i));
                    }
                    return null;
                }));
        List<Work<List<Long>>> receivers = List.of(
                callers.start(() -> {
                    List<Long> values = new ArrayList<>();
                    chan.receiver().iterator().forEachRemaining((Long value) -> values.add(value));
                    return values;
                }),
                callers.start(() -> {
                    List<Long> values = new ArrayList<>();
                    try (Arena arena = Arena.ofConfined()) {
                        MemorySegment word = arena.allocate(WORD);
                        while (ChanCalls.recv(handle, word) == 0) {
                            values.add(word.get(ValueLayout.JAVA_LONG, 0));
                        }
                    }
                    return values;
                }));
        assertAllArrive(senders, chan, receivers);
    }

    @Test
    void endsInCAndInJavaShareARingOfRecords() throws Exception {
        RecordChan chan = records(3, Ends.MANY, Ends.MANY);
        try (CEnd sender = new CEnd(chan.handle()); CEnd receiver = new CEnd(chan.handle())) {
            List<Work<Void>> senders = List.of(
                    callers.start(() -> {
                        for (int i = 0; i < MANY; i++) {
                            long value = i;
                            chan.send(record -> record.set(ValueLayout.JAVA_LONG, 0, value));
                        }
                        return null;
                    }),
                    callers.start(() -> {
                        for (int i = MANY; i < 2 * MANY; i++) {
                            sender.send(i);
                        }
                        return null;
                    }));
            List<Work<List<Long>>> receivers = List.of(
                    callers.start(() -> {
                        List<Long> values = new ArrayList<>();
                        chan.forEach(record -> values.add(record.get(ValueLayout.JAVA_LONG, 0)));
                        return values;
                    }),
                    callers.start(receiver::receiveAll));
            assertAllArrive(senders, chan, receivers);
        }
    }

    private static void assertAllArrive(
            List<Work<Void>> senders, AnyChan chan, List<Work<List<Long>>> receivers) throws Exception {
        for (Work<Void> sender : senders) {
            sender.get();
        }
        chan.close();
        List<Long> all = new ArrayList<>();
        for (Work<List<Long>> receiver : receivers) {
            all.addAll(receiver.get());
        }
        assertEquals(LongStream.range(0, 2 * MANY).boxed().toList(), all.stream().sorted().toList());
    }

    /** An end of a channel of words in place, as a program in C has it. */
    private static final class CEnd implements AutoCloseable {
        private final Arena arena = Arena.ofShared();
        private final MemorySegment position = arena.allocate(WORD);
        private final long chan;
        private final MemorySegment cells;

        @SuppressWarnings("restricted")
        CEnd(long chan) {
            this.chan = chan;
            assertEquals(0, ChanCalls.retain(chan, 0));
            this.cells = MemorySegment.ofAddress(RingCalls.ring(chan)).reinterpret(
                    Layouts.RING.byteSize() + 4 * 16, arena, ring -> RingCalls.release(ring.address()));
        }

        void send(long value) {
            assertEquals(0, ChanCalls.claim(chan, position));
            cells.set(ValueLayout.JAVA_LONG, place(), value);
            assertEquals(0, ChanCalls.publish(chan, position()));
        }

        List<Long> receiveAll() {
            List<Long> values = new ArrayList<>();
            while (ChanCalls.take(chan, position) == 0) {
                values.add(cells.get(ValueLayout.JAVA_LONG, place()));
                assertEquals(0, ChanCalls.giveBack(chan, position()));
            }
            return values;
        }

        private long position() {
            return position.get(ValueLayout.JAVA_LONG, 0);
        }

        /** Of four cells, each a sequence and a word. */
        private long place() {
            return Layouts.RING.byteSize() + position() % 4 * 16 + 8;
        }

        @Override
        public void close() {
            arena.close();
            assertEquals(0, ChanCalls.release(chan, 0));
        }
    }

    @Test
    void aChannelOfCsMakingIsTakenOver() throws Exception {
        long before = Kthd.processInfo().channels();
        long handle;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(WORD);
            assertEquals(0, ChanCalls.create(out, 3));
            handle = out.get(ValueLayout.JAVA_LONG, 0);
        }
        LongChan chan = new LongChan(handle);
        assertEquals(handle, chan.handle());
        assertEquals(3, chan.capacity());
        assertEquals(0, ChanCalls.trySend(handle, 5));
        chan.send(6);
        assertEquals(List.of(5L, 6L), List.of(chan.receive(), chan.receive()));
        chan.close();
        assertEquals(before, Kthd.processInfo().channels());
    }

    // ---- bias ------------------------------------------------------------------------------------------------------

    @Test
    void aChannelOfOneKthdIsBiasedUntilAnotherThreadUsesIt() throws Exception {
        try (Kthd kthd = Kthd.start(); LongChan chan = LongChan.create(4)) {
            Callable<Void> dialogue = () -> {
                for (int i = 0; i < 100; i++) {
                    chan.send(i);
                    chan.sendQuietly(i);
                    chan.receive();
                    assertEquals(1, chan.drain(value -> {}, 4));
                }
                assertTrue(chan.info().biased());
                return null;
            };
            kthd.spawn(dialogue).join();
            assertNull(chan.ring);
            chan.send(1);
            assertFalse(chan.info().biased());
            assertTrue(chan.ring != null);
            assertEquals(1, kthd.spawn(() -> chan.receive()).join());
        }
    }

    @Test
    void aChannelOfTwoKthdsComesToBeUsedInJava() throws Exception {
        try (Kthd one = Kthd.start(); Kthd other = Kthd.start(); LongChan chan = LongChan.create(4)) {
            Lwt<Long> receiver = one.spawn(() -> {
                long sum = 0;
                for (int i = 0; i < MANY; i++) {
                    sum += chan.receive();
                }
                return sum;
            });
            other.spawn(() -> {
                for (int i = 0; i < MANY; i++) {
                    chan.send(i);
                }
                return null;
            }).join();
            assertEquals(MANY * (MANY - 1L) / 2, receiver.join());
            assertTrue(chan.ring != null);
        }
    }

    // ---- waiting ---------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @EnumSource
    void plainThreadsWaitAsTheyAreTold(Waiting waiting) throws Exception {
        for (AnyPort port : AnyPort.declared(2, Ends.ONE, Ends.ONE, waiting).toList()) {
            CountDownLatch timedOut = new CountDownLatch(1);
            Work<Void> sender = callers.start(() -> {
                for (int i = 0; i < 500; i++) {
                    port.send(i);
                }
                return null;
            });
            Work<Void> receiver = callers.start(() -> {
                for (int i = 0; i < 500; i++) {
                    assertEquals(i, port.receive());
                }
                assertTrue(port.receive(Duration.ofMillis(2)).isEmpty());
                timedOut.countDown();
                assertThrows(ChanClosedException.class, port::receive);
                return null;
            });
            sender.get();
            timedOut.await();
            port.close();
            receiver.get();
        }
    }

    @ParameterizedTest
    @EnumSource
    void anInterruptEndsTheWaitHoweverItIs(Waiting waiting) throws Exception {
        for (AnyPort port : AnyPort.declared(1, Ends.MANY, Ends.MANY, waiting).toList()) {
            Work<Long> receiver = callers.start(port::receive);
            receiver.interrupt();
            assertThrows(InterruptedException.class, receiver::get);
            port.send(1);
            Work<Void> sender = callers.start(() -> {
                port.send(2);
                return null;
            });
            sender.interrupt();
            assertThrows(InterruptedException.class, sender::get);
            assertFalse(port.send(3, Duration.ofMillis(1)));
            assertEquals(1, port.receive());
        }
    }

    // ---- iterations ------------------------------------------------------------------------------------------------

    @Test
    void aStreamEndsWhenTheChannelIsClosedAndDrained() throws Exception {
        try (LongChan longs = longs(8, Ends.ONE, Ends.ONE);
                Chan<String> words = Chan.<String>builder().capacity(8).senders(Ends.ONE).create()) {
            longs.sendAll(new long[] {1, 2, 3}, 0, 3);
            words.sendAll(List.of("a", "b", "c"));
            longs.sender().close();
            words.sender().close();
            assertEquals(6, longs.receiver().stream().sum());
            assertEquals(List.of("A", "B", "C"), words.receiver().stream().map(String::toUpperCase).toList());
        }
    }

    @Test
    void anInterruptEndsAnIterationAndIsKept() {
        try (Chan<String> words = Chan.<String>builder().capacity(8).senders(Ends.ONE).create()) {
            Iterator<String> iterator = words.iterator();
            Thread.currentThread().interrupt();
            assertThrows(WeftException.class, iterator::hasNext);
            assertTrue(Thread.interrupted());
        }
    }

    @Test
    void aBatchOutsideTheArrayIsRefused() {
        try (LongChan chan = longs(8, Ends.ONE, Ends.ONE)) {
            assertThrows(IndexOutOfBoundsException.class, () -> chan.sendAll(new long[3], 1, 4));
            assertEquals(0, chan.info().length());
        }
    }

    // ---- lifetime --------------------------------------------------------------------------------------------------

    @Test
    void anUnreachableChannelIsFreedThoughItsMessageRefersToIt() throws Exception {
        long before = Kthd.processInfo().channels();
        List<WeakReference<Object>> messages = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            Chan<Object> chan = Chan.builder().capacity(3).senders(Ends.MANY).create();
            Object message = List.of(chan);
            chan.send(message);
            messages.add(new WeakReference<>(message));
        }
        Callers.await(() -> {
            System.gc();
            return Kthd.processInfo().channels() <= before
                    && messages.stream().allMatch(message -> message.get() == null);
        });
    }

    @Test
    void aReceivedObjectIsNotKept() throws Exception {
        try (Chan<Object> chan = Chan.builder().capacity(3).senders(Ends.ONE).receivers(Ends.ONE).create()) {
            WeakReference<Object> message = passThrough(chan);
            Callers.await(() -> {
                System.gc();
                return message.get() == null;
            });
        }
    }

    private static WeakReference<Object> passThrough(Chan<Object> chan) throws InterruptedException {
        Object message = new Object();
        chan.send(message);
        assertSame(message, chan.receive());
        return new WeakReference<>(message);
    }

    @Test
    void aRecordsMemoryOutlivesTheChannel() throws Exception {
        MemorySegment kept = keep();
        for (int i = 0; i < 10; i++) {
            System.gc();
            Thread.sleep(1);
        }
        kept.set(ValueLayout.JAVA_LONG, 0, 7);
        assertEquals(7, kept.get(ValueLayout.JAVA_LONG, 0));
    }

    private static MemorySegment keep() throws InterruptedException {
        MemorySegment[] kept = new MemorySegment[1];
        try (RecordChan chan = records(10_000, Ends.ONE, Ends.ONE)) {
            chan.send(record -> kept[0] = record);
        }
        return kept[0];
    }

    // ---- records ---------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @EnumSource
    void aRecordWhoseWriterThrowsIsNotSent(Ends senders) throws Exception {
        try (RecordChan chan = records(1, senders, Ends.MANY)) {
            Consumer<MemorySegment> thrower = record -> {
                throw new ArithmeticException();
            };
            assertThrows(ArithmeticException.class, () -> chan.send(thrower));
            assertThrows(ArithmeticException.class, () -> chan.trySend(thrower));
            assertFalse(chan.tryReceive(record -> {}));
            chan.send(record -> record.set(ValueLayout.JAVA_LONG, 0, 1));
            if (senders == Ends.ONE) {
                assertThrows(ArithmeticException.class, () -> chan.send(thrower, Duration.ofMillis(1)));
            }
            assertEquals(1, chan.drain(record -> assertEquals(1, record.get(ValueLayout.JAVA_LONG, 0)), 5));
        }
    }

    @ParameterizedTest
    @EnumSource
    void aRecordWhoseReaderThrowsIsReceived(Ends receivers) throws Exception {
        try (RecordChan chan = records(2, Ends.ONE, receivers)) {
            chan.send(record -> record.set(ValueLayout.JAVA_LONG, 0, 1));
            chan.send(record -> record.set(ValueLayout.JAVA_LONG, 0, 2));
            assertThrows(ArithmeticException.class, () -> chan.receive(record -> {
                throw new ArithmeticException();
            }));
            chan.receive(record -> assertEquals(2, record.get(ValueLayout.JAVA_LONG, 0)));
            assertFalse(chan.tryReceive(record -> {}));
        }
    }

    @Test
    void oneRecordAtATime() throws Exception {
        try (RecordChan chan = records(4, Ends.ONE, Ends.ONE)) {
            assertThrows(IllegalStateException.class, () -> chan.send(record -> chan.trySend(inner -> {})));
            chan.send(record -> record.set(ValueLayout.JAVA_LONG, 0, 3));
            assertThrows(IllegalStateException.class, () -> chan.receive(record -> chan.tryReceive(inner -> {})));
            assertFalse(chan.tryReceive(record -> {}));
            chan.send(record -> record.set(ValueLayout.JAVA_LONG, 0, 4));
            chan.receive(record -> chan.trySend(other -> other.set(ValueLayout.JAVA_LONG, 0, 5)));
            chan.receive(record -> assertEquals(5, record.get(ValueLayout.JAVA_LONG, 0)));
        }
    }

    @Test
    void aRecordIsAsLongAsItsLayout() throws Exception {
        MemoryLayout odd = MemoryLayout.sequenceLayout(13, ValueLayout.JAVA_BYTE);
        for (Ends ends : Ends.values()) {
            try (RecordChan chan = RecordChan.builder(odd).capacity(5).senders(ends).receivers(ends).create()) {
                assertSame(odd, chan.layout());
                for (int i = 0; i < 50; i++) {
                    byte value = (byte) i;
                    chan.send(record -> record.fill(value));
                    chan.receive(record -> {
                        assertEquals(13, record.byteSize());
                        assertEquals(value, record.get(ValueLayout.JAVA_BYTE, 0));
                        assertEquals(value, record.get(ValueLayout.JAVA_BYTE, 12));
                        assertThrows(
                                IndexOutOfBoundsException.class, () -> record.set(ValueLayout.JAVA_BYTE, 13, value));
                    });
                }
            }
        }
    }

    // ---- cost ------------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @EnumSource
    void aMessageAllocatesNothing(Ends ends) throws Exception {
        try (LongChan longs = longs(8, ends, ends);
                Chan<String> words = Chan.<String>builder().capacity(8).senders(ends).receivers(ends).create();
                RecordChan records = records(8, ends, ends)) {
            long[] batch = new long[8];
            long[] sum = new long[1];
            Consumer<MemorySegment> writer = record -> record.set(ValueLayout.JAVA_LONG, 0, 1);
            Consumer<MemorySegment> reader = record -> sum[0] += record.get(ValueLayout.JAVA_LONG, 0);
            Step step = () -> {
                longs.send(1);
                sum[0] += longs.receive();
                longs.sendAll(batch, 0, 8);
                words.send("word");
                sum[0] += words.receive().length();
                records.send(writer);
                records.receive(reader);
            };
            LongConsumer adder = value -> sum[0] += value;
            Step drain = () -> longs.drain(adder, 8);
            long bytes = allocated(step, drain);
            assertTrue(bytes < MANY, () -> bytes + " bytes for " + MANY + " messages");
        }
    }

    private interface Step {
        void run() throws InterruptedException;
    }

    private static long allocated(Step... steps) throws InterruptedException {
        var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        long least = Long.MAX_VALUE;
        for (int run = 0; run < 10; run++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < MANY; i++) {
                for (Step step : steps) {
                    step.run();
                }
            }
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
        }
        return least;
    }

    @Test
    void quietSendsWakeNobody() throws Exception {
        try (LongChan chan = longs(8, Ends.ONE, Ends.ONE)) {
            Work<Long> receiver = callers.start(chan::receive);
            Callers.await(() -> chan.info().receiving() == 1);
            chan.sendQuietly(1);
            chan.sendQuietly(2);
            assertEquals(1, chan.info().receiving());
            assertEquals(2, chan.info().length());
            chan.flush();
            assertEquals(1, receiver.get());
            assertFalse(chan.ring.finds(Constants.RING_RECEIVERS));
        }
    }
}
