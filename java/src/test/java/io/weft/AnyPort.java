// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** One face for the two kinds of channel, for the tests that hold for both. */
interface Port extends AutoCloseable {
    void send(long value) throws InterruptedException;

    boolean send(long value, Duration timeout) throws InterruptedException;

    boolean trySend(long value);

    long receive() throws InterruptedException;

    OptionalLong receive(Duration timeout) throws InterruptedException;

    OptionalLong tryReceive();

    AnyChan chan();

    @Override
    default void close() {
        chan().close();
    }

    /** Both kinds in the capacities that differ in code or meaning. */
    static Stream<Port> all() {
        return IntStream.of(0, 1, 7, 64).boxed().flatMap(capacity -> Stream.of(ofLongs(capacity), ofObjects(capacity)));
    }

    static Port ofLongs(int capacity) {
        LongChan chan = LongChan.create(capacity);
        return new Port() {
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
            public AnyChan chan() {
                return chan;
            }

            @Override
            public String toString() {
                return "longs, capacity " + capacity;
            }
        };
    }

    static Port ofObjects(int capacity) {
        Chan<Long> chan = Chan.create(capacity);
        return new Port() {
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
            public AnyChan chan() {
                return chan;
            }

            @Override
            public String toString() {
                return "objects, capacity " + capacity;
            }

            private OptionalLong unbox(Optional<Long> value) {
                return value.isPresent() ? OptionalLong.of(value.get()) : OptionalLong.empty();
            }
        };
    }
}
