// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.time.Duration;
import java.util.Iterator;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The end of a {@link Chan} that messages are received at.
 *
 * {@snippet :
 * try (Kthd kthd = Kthd.start()) {
 *     Chan<String> words = Chan.<String>builder().capacity(64).senders(Ends.ONE).receivers(Ends.ONE).create();
 *     Sender<String> out = words.sender();
 *     Receiver<String> in = words.receiver();
 *     kthd.spawn(() -> {
 *         try (out) {
 *             out.sendAll(java.util.List.of("lorem", "ipsum", "dolor"));
 *         }
 *         return null;
 *     });
 *     for (String word : in) {
 *         System.out.println(word);
 *     }
 * }
 * }
 *
 * @param <T> the type of the messages
 */
public interface Receiver<T> extends Iterable<T> {
    /**
     * Receives a message; waits until there is one.
     *
     * @return the message, never null
     * @throws ChanClosedException if the channel is closed and drained, or comes to be during the wait
     * @throws InterruptedException if the caller was or is interrupted; nothing was received
     * @throws IllegalStateException if the end is declared to be {@link Ends#ONE} thread's, and is another's
     */
    T receive() throws InterruptedException;

    /**
     * Receives a message if one comes within a time.
     *
     * @param timeout the longest to wait; zero or negative: not at all
     * @return the message; empty if the time is over
     * @throws ChanClosedException as {@link #receive()}
     * @throws InterruptedException as {@link #receive()}
     * @throws IllegalStateException as {@link #receive()}
     */
    Optional<T> receive(Duration timeout) throws InterruptedException;

    /**
     * Receives a message if there is one. Does not wait.
     *
     * @return the message, or empty; empty also if others wait to receive, whose turn is first
     * @throws ChanClosedException if the channel is closed and drained
     * @throws IllegalStateException as {@link #receive()}
     */
    Optional<T> tryReceive();

    /**
     * Receives what is there, message by message. Does not wait. Senders that wait for room are woken once, at the
     * end: the consumer must not wait for them.
     *
     * @param consumer is given each message, which is received whatever the consumer does; what it throws ends the
     *     call
     * @param limit how many at most
     * @return how many there were
     * @throws ChanClosedException if the channel is closed and drained
     * @throws IllegalStateException as {@link #receive()}
     */
    int drain(Consumer<? super T> consumer, int limit);

    /**
     * Iterates over the messages to come; waits for each, and ends when the channel is closed and drained. What
     * {@code hasNext} has found is received. An interrupt ends the iteration by a {@link WeftException}; the thread's
     * interrupt status is kept.
     *
     * @return an iterator that may wait
     */
    @Override
    Iterator<T> iterator();

    /**
     * The messages to come as a stream, sequential and in order, which ends like {@link #iterator}.
     *
     * @return a stream that may wait
     */
    default Stream<T> stream() {
        return StreamSupport.stream(
                Spliterators.spliteratorUnknownSize(iterator(), Spliterator.ORDERED | Spliterator.NONNULL), false);
    }
}
