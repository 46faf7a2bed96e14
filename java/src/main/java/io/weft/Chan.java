// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.EINTR;
import static io.weft.ffi.Errno.ETIMEDOUT;

import io.weft.ffi.ChanCalls;
import io.weft.ffi.Layouts;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;

/**
 * A channel of objects, between any number of senders and receivers on threads of any kind.
 *
 * <ul>
 *   <li>Capacity 0 is a <em>rendezvous</em>: a send completes when a receiver has taken the message. With capacity N a
 *       send completes when the message is in the buffer.
 *   <li>Messages of one sender arrive in the order sent. Waiting senders, and waiting receivers, are served in the
 *   order in which they came.
 *   <li>Where a call waits, an lwt switches to the next lwt of its kthd, a platform thread sleeps in the kernel, and a
 *       virtual thread parks without pinning its carrier.
 *   <li>What a thread did before it sent a message, or closed the channel, happens before what the thread that received
 *       it, or saw the close, does next.
 *   <li>Expected outcomes are results: {@code true} or {@code false} for a send, an {@link Optional} for a receive.
 *       Null is no message.
 * </ul>
 *
 * {@snippet :
 * try (Kthd kthd = Kthd.start(); Chan<String> words = Chan.create(8)) {
 *     kthd.spawn(() -> {
 *         words.send("hello");
 *         words.close();
 *         return null;
 *     });
 *     String first = words.receive();
 * }
 * }
 *
 * <p>A message that is under way is reachable. So a channel that is neither closed nor drained is not reclaimed while
 * messages in its buffer refer to it: close it.
 *
 * @param <T> the type of the messages
 */
public final class Chan<T> extends AnyChan {
    private Chan(int capacity) {
        super(capacity, true);
    }

    /**
     * Creates a channel.
     *
     * @param <T> the type of the messages
     * @param capacity how many messages its buffer holds, 0 to {@link #MAX_CAPACITY}; 0 is a rendezvous
     * @return the channel
     * @throws LimitExceededException if there are 1,048,575 channels already, or no memory for another
     * @throws WeftUnavailableException if weft cannot run here
     */
    public static <T> Chan<T> create(int capacity) {
        return new Chan<>(capacity);
    }

    /**
     * Sends a message; waits until a receiver or the buffer takes it.
     *
     * @param message not null
     * @throws ChanClosedException if the channel is closed, or is closed during the wait; the message was not sent
     * @throws InterruptedException if the caller was or is interrupted; the message was not sent
     */
    public void send(T message) throws InterruptedException {
        Objects.requireNonNull(message);
        if (Thread.currentThread() instanceof LwtThread lwt && !lwt.isInterrupted()) {
            long chan = open();
            int slot = lwt.slots.take();
            ObjectTable.put(slot, message);
            int code = LwtCaller.sendWord(lwt.self, chan, slot);
            if (code == 0) {
                Reference.reachabilityFence(this);
                return;
            }
            ObjectTable.remove(slot);
            lwt.slots.give(slot);
            if (code != -EINTR) {
                throw sendFailed(code, "sending");
            }
        }
        sendSlow(message, Deadline.NEVER);
    }

    /**
     * Sends a message if a receiver or the buffer takes it within a time.
     *
     * @param message not null
     * @param timeout the longest to wait; zero or negative: not at all
     * @return true if it was sent, false if the time is over
     * @throws ChanClosedException as {@link #send(Object)}
     * @throws InterruptedException as {@link #send(Object)}
     */
    public boolean send(T message, Duration timeout) throws InterruptedException {
        Objects.requireNonNull(message);
        return sendSlow(message, Deadline.after(timeout));
    }

    /**
     * Sends a message if a receiver or the buffer takes it at once. Does not wait.
     *
     * @param message not null
     * @return true if it was sent
     * @throws ChanClosedException if the channel is closed
     */
    public boolean trySend(T message) {
        Objects.requireNonNull(message);
        long chan = open();
        int slot = ObjectTable.take();
        ObjectTable.put(slot, message);
        return sent(ChanCalls.trySend(chan, slot), slot);
    }

    /**
     * Receives a message; waits until there is one.
     *
     * @return the message, never null
     * @throws ChanClosedException if the channel is closed and drained, or comes to be during the wait
     * @throws InterruptedException if the caller was or is interrupted; nothing was received
     */
    public T receive() throws InterruptedException {
        if (Thread.currentThread() instanceof LwtThread lwt && !lwt.isInterrupted()) {
            int code = LwtCaller.receiveWord(lwt.self, open());
            if (code == 0) {
                Reference.reachabilityFence(this);
                int slot = (int) Layouts.word(lwt.self, Layouts.SELF_VALUE);
                Object message = ObjectTable.remove(slot);
                lwt.slots.give(slot);
                return cast(message);
            }
            if (code != -EINTR) {
                throw receiveFailed(code, "receiving");
            }
        }
        return receiveSlow(Deadline.NEVER).orElseThrow();
    }

    /**
     * Receives a message if one comes within a time.
     *
     * @param timeout the longest to wait; zero or negative: not at all
     * @return the message; empty if the time is over
     * @throws ChanClosedException as {@link #receive()}
     * @throws InterruptedException as {@link #receive()}
     */
    public Optional<T> receive(Duration timeout) throws InterruptedException {
        return receiveSlow(Deadline.after(timeout));
    }

    /**
     * Receives a message if there is one. Does not wait.
     *
     * @return the message, or empty
     * @throws ChanClosedException if the channel is closed and drained
     */
    public Optional<T> tryReceive() {
        Caller caller = Caller.current();
        return received(caller, caller.tryReceive(open()));
    }

    private boolean sendSlow(T message, long deadline) throws InterruptedException {
        long chan = open();
        int slot = ObjectTable.take();
        ObjectTable.put(slot, message);
        int code;
        try {
            code = Caller.current().send(chan, slot, deadline);
        } catch (InterruptedException e) {
            takeBack(slot);
            throw e;
        }
        return sent(code, slot);
    }

    private Optional<T> receiveSlow(long deadline) throws InterruptedException {
        Caller caller = Caller.current();
        return received(caller, caller.receive(open(), deadline));
    }

    private boolean sent(int code, int slot) {
        Reference.reachabilityFence(this);
        if (code == 0) {
            return true;
        }
        takeBack(slot);
        if (code == -EAGAIN || code == -ETIMEDOUT) {
            return false;
        }
        throw sendFailed(code, "sending");
    }

    private Optional<T> received(Caller caller, int code) {
        Reference.reachabilityFence(this);
        if (code == 0) {
            return Optional.of(cast(takeBack((int) caller.value)));
        }
        if (code == -EAGAIN || code == -ETIMEDOUT) {
            return Optional.empty();
        }
        throw receiveFailed(code, "receiving");
    }

    /** Empties a slot and gives it back to all. */
    private static Object takeBack(int slot) {
        Object object = ObjectTable.remove(slot);
        ObjectTable.give(slot);
        return object;
    }

    /** What comes out was put in by a {@code Chan<T>}. */
    @SuppressWarnings("unchecked")
    private static <T> T cast(Object message) {
        return (T) message;
    }
}
