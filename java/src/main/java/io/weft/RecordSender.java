// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.function.Consumer;

/**
 * The end of a {@link RecordChan} that records are sent at. A record is written by a function, which gets the memory
 * to write to. It finds there what an earlier record left, must use it during the call only, and must not use this
 * end of the channel. If it throws, nothing is sent, and its exception passes through.
 */
public interface RecordSender extends AutoCloseable {
    /**
     * Sends a record; waits until there is room.
     *
     * @param writer writes it
     * @throws ChanClosedException if the channel is closed, or is closed during the wait; nothing was sent
     * @throws InterruptedException if the caller was or is interrupted; nothing was sent
     * @throws IllegalStateException if the end is declared to be {@link Ends#ONE} thread's, and is another's
     */
    void send(Consumer<? super MemorySegment> writer) throws InterruptedException;

    /**
     * Sends a record if there is room within a time.
     *
     * @param writer writes it; may have been called in vain
     * @param timeout the longest to wait; zero or negative: not at all
     * @return true if it was sent, false if the time is over
     * @throws ChanClosedException as {@link #send(Consumer)}
     * @throws InterruptedException as {@link #send(Consumer)}
     * @throws IllegalStateException as {@link #send(Consumer)}
     */
    boolean send(Consumer<? super MemorySegment> writer, Duration timeout) throws InterruptedException;

    /**
     * Sends a record if there is room at once. Does not wait.
     *
     * @param writer writes it; may have been called in vain
     * @return true if it was sent; false also if others wait to send, whose turn is first
     * @throws ChanClosedException if the channel is closed
     * @throws IllegalStateException as {@link #send(Consumer)}
     */
    boolean trySend(Consumer<? super MemorySegment> writer);

    /**
     * Sends a record like {@link #send(Consumer)}, but leaves it to {@link #flush} to wake a receiver that waits. One
     * that does not wait may receive it before.
     *
     * @param writer writes it
     * @throws ChanClosedException as {@link #send(Consumer)}
     * @throws InterruptedException as {@link #send(Consumer)}
     * @throws IllegalStateException as {@link #send(Consumer)}
     */
    void sendQuietly(Consumer<? super MemorySegment> writer) throws InterruptedException;

    /** Wakes whoever waits for records that were sent quietly. Does not wait. */
    void flush();

    /** Closes the channel: see {@link AnyChan#close}. */
    @Override
    void close();
}
