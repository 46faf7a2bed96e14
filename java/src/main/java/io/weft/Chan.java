// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.EINTR;
import static io.weft.ffi.Errno.ETIMEDOUT;

import io.weft.ffi.ChanCalls;
import io.weft.ffi.Constants;
import io.weft.ffi.Layouts;
import io.weft.ffi.Ring;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Collection;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;

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
 * <p>The {@linkplain #builder builder} can be told how many threads there are at each end. Then a send or a receive
 * that need not wait is a few loads and stores in Java, and a thread that is the only one at its end needs no atomic
 * operations for it; a second thread there is refused by an {@link IllegalStateException}. Ends that send or receive
 * in batches wake the others once a batch. Of no channel is another woken when nobody waits.
 *
 * {@snippet :
 * Chan<String> lines = Chan.<String>builder().capacity(1024).senders(Ends.MANY).receivers(Ends.ONE).create();
 * lines.send("one line");
 * int count = lines.drain(System.out::println, 100);
 * }
 *
 * <p>A message that is under way is reachable, but for those of a channel whose ends are declared. So one of the other
 * kind that is neither closed nor drained is not reclaimed while messages in its buffer refer to it: close it.
 *
 * @param <T> the type of the messages
 */
public final class Chan<T> extends AnyChan implements Sender<T>, Receiver<T> {
    /** The messages in the ring, by cell, if its ends are declared: in C's ring there is only the order. Each is
     * published by the ring, and so needs none of its own. */
    private final Object[] objects;

    private Chan(int capacity) {
        super(capacity, true);
        this.objects = null;
    }

    private Chan(Builder<Chan<T>> builder) {
        super(builder, true, 0);
        this.objects = new Object[ring.cells()];
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
     * Describes a channel to be created.
     *
     * @param <T> the type of the messages
     * @return a builder with the defaults
     */
    public static <T> Builder<Chan<T>> builder() {
        return new Builder<>(builder -> builder.declaresEnds() ? new Chan<>(builder) : create(builder.capacity()));
    }

    /**
     * The end to send at.
     *
     * @return this, seen from there
     */
    public Sender<T> sender() {
        return this;
    }

    /**
     * The end to receive at.
     *
     * @return this, seen from there
     */
    public Receiver<T> receiver() {
        return this;
    }

    // ---- sending ---------------------------------------------------------------------------------------------------

    @Override
    public void send(T message) throws InterruptedException {
        Objects.requireNonNull(message);
        Thread thread = Thread.currentThread();
        if (!thread.isInterrupted()) {
            Ring ring = this.ring;
            if (ring != null) {
                if (put(ring, message, Ring.SENT) >= 0) {
                    return;
                }
            } else if (thread instanceof LwtThread lwt && sendAsLwt(lwt, message)) {
                return;
            }
        }
        sendSlow(message, Deadline.NEVER);
    }

    @Override
    public boolean send(T message, Duration timeout) throws InterruptedException {
        Objects.requireNonNull(message);
        Objects.requireNonNull(timeout);
        Caller.throwIfInterrupted();
        Ring ring = this.ring;
        if (ring != null && put(ring, message, Ring.SENT) >= 0) {
            return true;
        }
        return sendSlow(message, Deadline.after(timeout));
    }

    @Override
    public boolean trySend(T message) {
        Objects.requireNonNull(message);
        Ring ring = this.ring;
        if (ring == null) {
            return trySendByC(message);
        }
        if (put(ring, message, Ring.SENT) >= 0) {
            return true;
        }
        if (ring.isClosed()) {
            throw new ChanClosedException();
        }
        return false;
    }

    @Override
    public void sendQuietly(T message) throws InterruptedException {
        Objects.requireNonNull(message);
        Ring ring = this.ring;
        if (ring == null) {
            send(message);
            return;
        }
        Caller.throwIfInterrupted();
        if (put(ring, message, Constants.RING_CLOSED) < 0) {
            flush(ring);
            sendSlow(message, Deadline.NEVER);
        }
    }

    @Override
    public void flush() {
        flush(ring);
    }

    @Override
    public void sendAll(Collection<? extends T> messages) throws InterruptedException {
        try {
            for (T message : messages) {
                sendQuietly(message);
            }
        } finally {
            flush();
        }
    }

    /** Sends in the ring, and looks at what it finds there then; or nothing is done: {@link Ring#claimSend}. */
    private long put(Ring ring, T message, int look) {
        checkSender(ring);
        long position = ring.claimSend();
        if (position >= 0) {
            put(ring, position, message, look);
        }
        return position;
    }

    void put(Ring ring, long position, T message, int look) {
        int cell = ring.cell(position);
        objects[cell] = message;
        ring.publish(position);
        if (ring.finds(look) && !tellSent(ring, position)) {
            objects[cell] = null;
            throw new ChanClosedException();
        }
        Reference.reachabilityFence(this);
    }

    private boolean sendSlow(T message, long deadline) throws InterruptedException {
        Caller.throwIfInterrupted();
        Ring ring = this.ring;
        Caller caller = Caller.current();
        if (ring == null) {
            return sendByC(caller, message, deadline);
        }
        long position = spins(caller) ? spinToSend(ring, deadline) : Ring.ASK;
        if (position < 0) {
            int code = caller.claim(open(), deadline);
            if (!isDone(code)) {
                return false;
            }
            position = caller.value;
        }
        put(ring, position, message, Ring.SENT);
        return true;
    }

    private static boolean isDone(int code) {
        if (code == 0) {
            return true;
        }
        if (code == -EAGAIN || code == -ETIMEDOUT) {
            return false;
        }
        throw sendFailed(code);
    }

    // ---- receiving -------------------------------------------------------------------------------------------------

    @Override
    public T receive() throws InterruptedException {
        Thread thread = Thread.currentThread();
        if (!thread.isInterrupted()) {
            Ring ring = this.ring;
            if (ring != null) {
                T message = get(ring, Ring.RECEIVED);
                if (message != null) {
                    return message;
                }
            } else if (thread instanceof LwtThread lwt) {
                T message = receiveAsLwt(lwt);
                if (message != null) {
                    return message;
                }
            }
        }
        return receiveSlow(Deadline.NEVER);
    }

    @Override
    public Optional<T> receive(Duration timeout) throws InterruptedException {
        Objects.requireNonNull(timeout);
        Caller.throwIfInterrupted();
        Ring ring = this.ring;
        if (ring != null) {
            T message = get(ring, Ring.RECEIVED);
            if (message != null) {
                return Optional.of(message);
            }
        }
        return Optional.ofNullable(receiveSlow(Deadline.after(timeout)));
    }

    @Override
    public Optional<T> tryReceive() {
        return Optional.ofNullable(poll());
    }

    @Override
    public int drain(Consumer<? super T> consumer, int limit) {
        Objects.requireNonNull(consumer);
        Ring ring = this.ring;
        int count = ring == null ? 0 : drain(ring, consumer, limit);
        if (ring != null && !ring.isClosed()) {
            return count;
        }
        for (; count < limit; count++) {
            T message = pollAfter(count);
            if (message == null) {
                break;
            }
            consumer.accept(message);
        }
        return count;
    }

    private int drain(Ring ring, Consumer<? super T> consumer, int limit) {
        checkReceiver(ring);
        long last = Ring.NONE;
        int count = 0;
        try {
            for (; count < limit; count++) {
                long position = ring.claimReceive();
                if (position < 0) {
                    break;
                }
                T message = remove(ring, position);
                last = position;
                consumer.accept(message);
            }
        } finally {
            if (last != Ring.NONE && ring.finds(Ring.RECEIVED)) {
                tellReceived(last);
            }
            Reference.reachabilityFence(this);
        }
        return count;
    }

    /** A message or null. That it is drained is no news after there was something. */
    private T pollAfter(int count) {
        try {
            return poll();
        } catch (ChanClosedException drained) {
            if (count > 0) {
                return null;
            }
            throw drained;
        }
    }

    @Override
    public Iterator<T> iterator() {
        return new Iteration();
    }

    private final class Iteration implements Iterator<T> {
        private T next;

        @Override
        public boolean hasNext() {
            if (next == null) {
                try {
                    next = receive();
                } catch (ChanClosedException drained) {
                    return false;
                } catch (InterruptedException e) {
                    throw iterationInterrupted(e);
                }
            }
            return true;
        }

        @Override
        public T next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            T message = next;
            next = null;
            return message;
        }
    }

    /** Receives in the ring, and looks at what it finds there then; null: {@link Ring#claimReceive} says no. */
    private T get(Ring ring, int look) {
        checkReceiver(ring);
        long position = ring.claimReceive();
        return position >= 0 ? get(ring, position, look) : null;
    }

    T get(Ring ring, long position, int look) {
        T message = remove(ring, position);
        if (ring.finds(look)) {
            tellReceived(position);
        }
        Reference.reachabilityFence(this);
        return message;
    }

    private T remove(Ring ring, long position) {
        int cell = ring.cell(position);
        T message = cast(objects[cell]);
        objects[cell] = null;
        ring.free(position);
        return message;
    }

    /** A message, or null if there is none. */
    private T poll() {
        Ring ring = this.ring;
        Caller caller;
        if (ring == null) {
            caller = Caller.current();
            return received(caller, caller.tryReceive(open()));
        }
        T message = get(ring, Ring.RECEIVED);
        if (message != null || !ring.isClosed()) {
            return message;
        }
        caller = Caller.current();
        return received(caller, caller.takeNow(open()));
    }

    /** A message, or null if the time is over. */
    private T receiveSlow(long deadline) throws InterruptedException {
        Caller.throwIfInterrupted();
        Ring ring = this.ring;
        Caller caller = Caller.current();
        if (ring == null) {
            return received(caller, caller.receive(open(), deadline));
        }
        long position = spins(caller) ? spinToReceive(ring, deadline) : Ring.ASK;
        return position >= 0
                ? get(ring, position, Ring.RECEIVED)
                : received(caller, caller.take(open(), deadline));
    }

    /** What C has found for the caller: the position of a message in the ring, or a slot. */
    private T received(Caller caller, int code) {
        Reference.reachabilityFence(this);
        if (code == 0) {
            return ring == null ? cast(takeBack((int) caller.value)) : get(ring, caller.value, Ring.RECEIVED);
        }
        if (code == -EAGAIN || code == -ETIMEDOUT) {
            return null;
        }
        throw receiveFailed(code);
    }

    // ---- where nothing is declared: C moves the number of the slot that holds the message --------------------------

    /** False: the lwt was interrupted. */
    private boolean sendAsLwt(LwtThread lwt, T message) {
        long chan = open();
        int slot = lwt.slots.take();
        ObjectTable.put(slot, message);
        int code = LwtCaller.sendWord(lwt.self, chan, slot);
        Reference.reachabilityFence(this);
        if (code == 0) {
            return true;
        }
        ObjectTable.remove(slot);
        lwt.slots.give(slot);
        if (code == -EINTR) {
            return false;
        }
        throw sendFailed(code);
    }

    private boolean sendByC(Caller caller, T message, long deadline) throws InterruptedException {
        long chan = open();
        int slot = ObjectTable.take();
        ObjectTable.put(slot, message);
        int code;
        try {
            code = caller.send(chan, slot, deadline);
        } catch (InterruptedException e) {
            takeBack(slot);
            throw e;
        }
        return sent(code, slot);
    }

    private boolean trySendByC(T message) {
        long chan = open();
        int slot = ObjectTable.take();
        ObjectTable.put(slot, message);
        return sent(ChanCalls.trySend(chan, slot), slot);
    }

    private boolean sent(int code, int slot) {
        Reference.reachabilityFence(this);
        if (code != 0) {
            takeBack(slot);
        }
        return isDone(code);
    }

    /** Null: the lwt was interrupted. */
    private T receiveAsLwt(LwtThread lwt) {
        int code = LwtCaller.receiveWord(lwt.self, open());
        Reference.reachabilityFence(this);
        if (code == 0) {
            int slot = (int) Layouts.word(lwt.self, Layouts.SELF_VALUE);
            Object message = ObjectTable.remove(slot);
            lwt.slots.give(slot);
            return cast(message);
        }
        if (code == -EINTR) {
            return null;
        }
        throw receiveFailed(code);
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
