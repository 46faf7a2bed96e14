// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.time.Duration;
import java.util.Collection;

/**
 * The end of a {@link Chan} that messages are sent at.
 *
 * @param <T> the type of the messages
 */
public interface Sender<T> extends AutoCloseable {
    /**
     * Sends a message; waits until a receiver or the buffer takes it.
     *
     * @param message not null
     * @throws ChanClosedException if the channel is closed, or is closed during the wait; the message was not sent
     * @throws InterruptedException if the caller was or is interrupted; the message was not sent
     * @throws IllegalStateException if the end is declared to be {@link Ends#ONE} thread's, and is another's
     */
    void send(T message) throws InterruptedException;

    /**
     * Sends a message if a receiver or the buffer takes it within a time.
     *
     * @param message not null
     * @param timeout the longest to wait; zero or negative: not at all
     * @return true if it was sent, false if the time is over
     * @throws ChanClosedException as {@link #send(Object)}
     * @throws InterruptedException as {@link #send(Object)}
     * @throws IllegalStateException as {@link #send(Object)}
     */
    boolean send(T message, Duration timeout) throws InterruptedException;

    /**
     * Sends a message if a receiver or the buffer takes it at once. Does not wait.
     *
     * @param message not null
     * @return true if it was sent; false also if others wait to send, whose turn is first
     * @throws ChanClosedException if the channel is closed
     * @throws IllegalStateException as {@link #send(Object)}
     */
    boolean trySend(T message);

    /**
     * Sends a message like {@link #send(Object)}, but leaves it to {@link #flush} to wake a receiver that waits. One
     * that does not wait may receive it before. Where the ends are not declared it is a plain send.
     *
     * @param message not null
     * @throws ChanClosedException as {@link #send(Object)}
     * @throws InterruptedException as {@link #send(Object)}
     * @throws IllegalStateException as {@link #send(Object)}
     */
    void sendQuietly(T message) throws InterruptedException;

    /** Wakes whoever waits for messages that were sent quietly. Does not wait. */
    void flush();

    /**
     * Sends messages in their order; waits as often as the buffer is full. Wakes receivers once, and before it waits.
     *
     * @param messages none of them null
     * @throws ChanClosedException as {@link #send(Object)}; some may have been sent
     * @throws InterruptedException as {@link #send(Object)}; some may have been sent
     * @throws IllegalStateException as {@link #send(Object)}
     */
    void sendAll(Collection<? extends T> messages) throws InterruptedException;

    /** Closes the channel: see {@link AnyChan#close}. */
    @Override
    void close();
}
