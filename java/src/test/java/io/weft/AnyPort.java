// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** One face for the kinds of channel, for the tests that hold for all of them. */
interface AnyPort extends AutoCloseable {
    /** What there is to a record: a word, in several places, so that one that was torn shows. */
    MemoryLayout RECORD = MemoryLayout.sequenceLayout(5, ValueLayout.JAVA_INT);

    void send(long value) throws InterruptedException;

    boolean send(long value, Duration timeout) throws InterruptedException;

    boolean trySend(long value);

    void sendQuietly(long value) throws InterruptedException;

    void flush();

    void sendAll(long from, long to) throws InterruptedException;

    long receive() throws InterruptedException;

    OptionalLong receive(Duration timeout) throws InterruptedException;

    OptionalLong tryReceive();

    int drain(LongConsumer consumer, int limit);

    /** All that comes, by the iterator or what is like it. */
    void forEach(LongConsumer consumer) throws InterruptedException;

    AnyChan chan();

    @Override
    default void close() {
        chan().close();
    }

    /** Every kind that lets any number of threads in, in the capacities that differ in code or meaning. */
    static Stream<AnyPort> all() {
        return IntStream.of(0, 1, 7, 64).boxed().flatMap(capacity -> Stream.concat(
                Stream.of(ofLongs(capacity), ofObjects(capacity)),
                capacity == 0 ? Stream.empty() : declared(capacity, Ends.MANY, Ends.MANY)));
    }

    /** The kinds whose ends are declared. */
    static Stream<AnyPort> declared(int capacity, Ends senders, Ends receivers) {
        return declared(capacity, senders, receivers, Waiting.PARK);
    }

    static Stream<AnyPort> declared(int capacity, Ends senders, Ends receivers, Waiting waiting) {
        String name = ", capacity " + capacity + ", " + senders + " to " + receivers + ", " + waiting;
        AnyChan.Builder<RecordChan> records = RecordChan.builder(RECORD);
        return Stream.of(
                new Longs(declare(LongChan.builder(), capacity, senders, receivers, waiting), "longs" + name),
                new Objects(declare(Chan.builder(), capacity, senders, receivers, waiting), "objects" + name),
                new Records(declare(records, capacity, senders, receivers, waiting), "records" + name));
    }

    private static <C extends AnyChan> C declare(
            AnyChan.Builder<C> builder, int capacity, Ends senders, Ends receivers, Waiting waiting) {
        return builder.capacity(capacity).senders(senders).receivers(receivers).waiting(waiting).create();
    }

    static AnyPort ofLongs(int capacity) {
        return new Longs(LongChan.create(capacity), "longs, capacity " + capacity);
    }

    static AnyPort ofObjects(int capacity) {
        return new Objects(Chan.create(capacity), "objects, capacity " + capacity);
    }

    record Longs(LongChan chan, String name) implements AnyPort {
        @Override
        public void send(long value) throws InterruptedException {
            chan.send(value);
        }

        @Override
        public boolean send(long value, Duration timeout) throws InterruptedException {
            return chan.send(value, timeout);
        }

        @Override
        public boolean trySend(long value) {
            return chan.trySend(value);
        }

        @Override
        public void sendQuietly(long value) throws InterruptedException {
            chan.sendQuietly(value);
        }

        @Override
        public void flush() {
            chan.flush();
        }

        @Override
        public void sendAll(long from, long to) throws InterruptedException {
            long[] values = new long[(int) (to - from) + 2];
            for (int i = 1; i < values.length - 1; i++) {
                values[i] = from + i - 1;
            }
            chan.sendAll(values, 1, values.length - 1);
        }

        @Override
        public long receive() throws InterruptedException {
            return chan.receive();
        }

        @Override
        public OptionalLong receive(Duration timeout) throws InterruptedException {
            return chan.receive(timeout);
        }

        @Override
        public OptionalLong tryReceive() {
            return chan.tryReceive();
        }

        @Override
        public int drain(LongConsumer consumer, int limit) {
            return chan.drain(consumer, limit);
        }

        @Override
        public void forEach(LongConsumer consumer) {
            for (var values = chan.receiver().iterator(); values.hasNext();) {
                consumer.accept(values.nextLong());
            }
        }

        @Override
        public String toString() {
            return name;
        }
    }

    record Objects(Chan<Long> chan, String name) implements AnyPort {
        @Override
        public void send(long value) throws InterruptedException {
            chan.send(value);
        }

        @Override
        public boolean send(long value, Duration timeout) throws InterruptedException {
            return chan.send(value, timeout);
        }

        @Override
        public boolean trySend(long value) {
            return chan.trySend(value);
        }

        @Override
        public void sendQuietly(long value) throws InterruptedException {
            chan.sendQuietly(value);
        }

        @Override
        public void flush() {
            chan.flush();
        }

        @Override
        public void sendAll(long from, long to) throws InterruptedException {
            List<Long> values = new ArrayList<>();
            for (long value = from; value < to; value++) {
                values.add(value);
            }
            chan.sendAll(values);
        }

        @Override
        public long receive() throws InterruptedException {
            return chan.receive();
        }

        @Override
        public OptionalLong receive(Duration timeout) throws InterruptedException {
            return unbox(chan.receive(timeout));
        }

        @Override
        public OptionalLong tryReceive() {
            return unbox(chan.tryReceive());
        }

        @Override
        public int drain(LongConsumer consumer, int limit) {
            return chan.drain(consumer::accept, limit);
        }

        @Override
        public void forEach(LongConsumer consumer) {
            for (Iterator<Long> values = chan.receiver().iterator(); values.hasNext();) {
                consumer.accept(values.next());
            }
        }

        @Override
        public String toString() {
            return name;
        }

        private OptionalLong unbox(Optional<Long> value) {
            return value.isPresent() ? OptionalLong.of(value.get()) : OptionalLong.empty();
        }
    }

    record Records(RecordChan chan, String name) implements AnyPort {
        @Override
        public void send(long value) throws InterruptedException {
            chan.send(record -> write(record, value));
        }

        @Override
        public boolean send(long value, Duration timeout) throws InterruptedException {
            return chan.send(record -> write(record, value), timeout);
        }

        @Override
        public boolean trySend(long value) {
            return chan.trySend(record -> write(record, value));
        }

        @Override
        public void sendQuietly(long value) throws InterruptedException {
            chan.sendQuietly(record -> write(record, value));
        }

        @Override
        public void flush() {
            chan.flush();
        }

        @Override
        public void sendAll(long from, long to) throws InterruptedException {
            try {
                for (long value = from; value < to; value++) {
                    sendQuietly(value);
                }
            } finally {
                chan.flush();
            }
        }

        @Override
        public long receive() throws InterruptedException {
            long[] value = new long[1];
            chan.receive(record -> value[0] = read(record));
            return value[0];
        }

        @Override
        public OptionalLong receive(Duration timeout) throws InterruptedException {
            long[] value = new long[1];
            boolean received = chan.receive(record -> value[0] = read(record), timeout);
            return received ? OptionalLong.of(value[0]) : OptionalLong.empty();
        }

        @Override
        public OptionalLong tryReceive() {
            long[] value = new long[1];
            boolean received = chan.tryReceive(record -> value[0] = read(record));
            return received ? OptionalLong.of(value[0]) : OptionalLong.empty();
        }

        @Override
        public int drain(LongConsumer consumer, int limit) {
            return chan.drain(record -> consumer.accept(read(record)), limit);
        }

        @Override
        public void forEach(LongConsumer consumer) throws InterruptedException {
            chan.receiver().forEach(record -> consumer.accept(read(record)));
        }

        @Override
        public String toString() {
            return name;
        }

        private static void write(MemorySegment record, long value) {
            for (int i = 0; i < 5; i++) {
                record.setAtIndex(ValueLayout.JAVA_INT, i, (int) value + i);
            }
        }

        private static long read(MemorySegment record) {
            int value = record.getAtIndex(ValueLayout.JAVA_INT, 0);
            for (int i = 1; i < 5; i++) {
                if (record.getAtIndex(ValueLayout.JAVA_INT, i) != value + i) {
                    throw new AssertionError("a torn record: " + value);
                }
            }
            return value;
        }
    }
}
