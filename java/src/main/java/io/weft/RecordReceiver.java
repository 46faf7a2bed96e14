// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.function.Consumer;

/**
 * The end of a {@link RecordChan} that records are received at. A record is read by a function, where it lies in the
 * ring. It must use that memory during the call only, and must not use this end of the channel; until it returns the
 * place is not free for another record. When it throws, the record is received all the same.
 */
public interface RecordReceiver {
    /**
     * Receives a record; waits until there is one.
     *
     * @param reader reads it
     * @throws ChanClosedException if the channel is closed and drained, or comes to be during the wait
     * @throws InterruptedException if the caller was or is interrupted; nothing was received
     * @throws IllegalStateException if the end is declared to be {@link Ends#ONE} thread's, and is another's
     */
    void receive(Consumer<? super MemorySegment> reader) throws InterruptedException;

    /**
     * Receives a record if one comes within a time.
     *
     * @param reader reads it
     * @param timeout the longest to wait; zero or negative: not at all
     * @return true if there was one, false if the time is over
     * @throws ChanClosedException as {@link #receive(Consumer)}
     * @throws InterruptedException as {@link #receive(Consumer)}
     * @throws IllegalStateException as {@link #receive(Consumer)}
     */
    boolean receive(Consumer<? super MemorySegment> reader, Duration timeout) throws InterruptedException;

    /**
     * Receives a record if there is one. Does not wait.
     *
     * @param reader reads it
     * @return true if there was one; false also if others wait to receive, whose turn is first
     * @throws ChanClosedException if the channel is closed and drained
     * @throws IllegalStateException as {@link #receive(Consumer)}
     */
    boolean tryReceive(Consumer<? super MemorySegment> reader);

    /**
     * Receives what is there, record by record. Does not wait. Senders that wait for room are woken once, at the end.
     *
     * @param reader reads each
     * @param limit how many at most
     * @return how many there were
     * @throws ChanClosedException if the channel is closed and drained
     * @throws IllegalStateException as {@link #receive(Consumer)}
     */
    int drain(Consumer<? super MemorySegment> reader, int limit);

    /**
     * Receives until the channel is closed and drained.
     *
     * @param reader reads each record
     * @throws InterruptedException as {@link #receive(Consumer)}
     * @throws IllegalStateException as {@link #receive(Consumer)}
     */
    void forEach(Consumer<? super MemorySegment> reader) throws InterruptedException;
}
