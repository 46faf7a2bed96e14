// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.time.Duration;

/** The end of a {@link LongChan} that values are sent at. */
public interface LongSender extends AutoCloseable {
    /**
     * Sends a value; waits until a receiver or the buffer takes it.
     *
     * @param value any value
     * @throws ChanClosedException if the channel is closed, or is closed during the wait; nothing was sent
     * @throws InterruptedException if the caller was or is interrupted; nothing was sent
     * @throws IllegalStateException if the end is declared to be {@link Ends#ONE} thread's, and is another's
     */
    void send(long value) throws InterruptedException;

    /**
     * Sends a value if a receiver or the buffer takes it within a time.
     *
     * @param value any value
     * @param timeout the longest to wait; zero or negative: not at all
     * @return true if it was sent, false if the time is over
     * @throws ChanClosedException as {@link #send(long)}
     * @throws InterruptedException as {@link #send(long)}
     * @throws IllegalStateException as {@link #send(long)}
     */
    boolean send(long value, Duration timeout) throws InterruptedException;

    /**
     * Sends a value if a receiver or the buffer takes it at once. Does not wait.
     *
     * @param value any value
     * @return true if it was sent; false also if others wait to send, whose turn is first
     * @throws ChanClosedException if the channel is closed
     * @throws IllegalStateException as {@link #send(long)}
     */
    boolean trySend(long value);

    /**
     * Sends a value like {@link #send(long)}, but leaves it to {@link #flush} to wake a receiver that waits. One that
     * does not wait may receive it before. Where the channel is used by one kthd alone it is a plain send.
     *
     * @param value any value
     * @throws ChanClosedException as {@link #send(long)}
     * @throws InterruptedException as {@link #send(long)}
     * @throws IllegalStateException as {@link #send(long)}
     */
    void sendQuietly(long value) throws InterruptedException;

    /** Wakes whoever waits for values that were sent quietly. Does not wait. */
    void flush();

    /**
     * Sends values in their order; waits as often as the buffer is full. Wakes receivers once, and before it waits.
     *
     * @param values holds the values
     * @param from the index of the first
     * @param to the index after the last
     * @throws IndexOutOfBoundsException if the range is not in the array; nothing was sent
     * @throws ChanClosedException as {@link #send(long)}; some may have been sent
     * @throws InterruptedException as {@link #send(long)}; some may have been sent
     * @throws IllegalStateException as {@link #send(long)}
     */
    void sendAll(long[] values, int from, int to) throws InterruptedException;

    /** Closes the channel: see {@link AnyChan#close}. */
    @Override
    void close();
}
