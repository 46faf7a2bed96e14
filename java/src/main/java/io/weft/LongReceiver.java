// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.time.Duration;
import java.util.OptionalLong;
import java.util.PrimitiveIterator;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.LongConsumer;
import java.util.stream.LongStream;
import java.util.stream.StreamSupport;

/** The end of a {@link LongChan} that values are received at. */
public interface LongReceiver extends Iterable<Long> {
    /**
     * Receives a value; waits until there is one.
     *
     * @return the value
     * @throws ChanClosedException if the channel is closed and drained, or comes to be during the wait
     * @throws InterruptedException if the caller was or is interrupted; nothing was received
     * @throws IllegalStateException if the end is declared to be {@link Ends#ONE} thread's, and is another's
     */
    long receive() throws InterruptedException;

    /**
     * Receives a value if one comes within a time.
     *
     * @param timeout the longest to wait; zero or negative: not at all
     * @return the value; empty if the time is over
     * @throws ChanClosedException as {@link #receive()}
     * @throws InterruptedException as {@link #receive()}
     * @throws IllegalStateException as {@link #receive()}
     */
    OptionalLong receive(Duration timeout) throws InterruptedException;

    /**
     * Receives a value if there is one. Does not wait.
     *
     * @return the value, or empty; empty also if others wait to receive, whose turn is first
     * @throws ChanClosedException if the channel is closed and drained
     * @throws IllegalStateException as {@link #receive()}
     */
    OptionalLong tryReceive();

    /**
     * Receives what is there, value by value. Does not wait. Senders that wait for room are woken once, at the end: the
     * consumer must not wait for them.
     *
     * @param consumer is given each value, which is received whatever the consumer does; what it throws ends the call
     * @param limit how many at most
     * @return how many there were
     * @throws ChanClosedException if the channel is closed and drained
     * @throws IllegalStateException as {@link #receive()}
     */
    int drain(LongConsumer consumer, int limit);

    /**
     * Iterates over the values to come; waits for each, and ends when the channel is closed and drained. What
     * {@code hasNext} has found is received. An interrupt ends the iteration by a {@link WeftException}; the thread's
     * interrupt status is kept.
     *
     * @return an iterator that may wait
     */
    @Override
    PrimitiveIterator.OfLong iterator();

    /**
     * The values to come as a stream, sequential and in order, which ends like {@link #iterator}.
     *
     * @return a stream that may wait
     */
    default LongStream stream() {
        return StreamSupport.longStream(Spliterators.spliteratorUnknownSize(iterator(), Spliterator.ORDERED), false);
    }
}
