// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.EINTR;
import static io.weft.ffi.Errno.ETIMEDOUT;

import io.weft.ffi.ChanCalls;
import io.weft.ffi.Layouts;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.OptionalLong;

/**
 * A channel of longs, between any number of senders and receivers on threads of any kind, Java's and C's. It is the
 * faster sibling of {@link Chan}, and the one to talk to native lwts over: give them the {@link #handle}.
 *
 * {@snippet :
 * try (Kthd kthd = Kthd.start(); LongChan squares = LongChan.create(0)) {
 *     kthd.spawn(() -> {
 *         for (long i = 1; i <= 3; i++) {
 *             squares.send(i * i);
 *         }
 *         return null;
 *     });
 *     long sum = squares.receive() + squares.receive() + squares.receive();
 * }
 * }
 *
 * <p>Everything that {@link Chan} says of order, waiting, closing and outcomes holds here, with {@link OptionalLong} in
 * place of {@link java.util.Optional}.
 */
public final class LongChan extends AnyChan {
    private LongChan(int capacity) {
        super(capacity, false);
    }

    /**
     * Creates a channel.
     *
     * @param capacity how many messages its buffer holds, 0 to {@link #MAX_CAPACITY}; 0 is a rendezvous
     * @return the channel
     * @throws LimitExceededException if there are 1,048,575 channels already, or no memory for another
     * @throws WeftUnavailableException if weft cannot run here
     */
    public static LongChan create(int capacity) {
        return new LongChan(capacity);
    }

    /**
     * The channel's handle in C, a {@code weft_chan_t}'s id. C code that keeps it for longer than Java keeps this
     * object open and reachable takes a reference of its own, by {@code weft_chan_retain}.
     *
     * @return the handle; 0 when the channel is closed and drained
     */
    public long handle() {
        return handle;
    }

    /**
     * Sends a value; waits until a receiver or the buffer takes it.
     *
     * @param value any value
     * @throws ChanClosedException if the channel is closed, or is closed during the wait; nothing was sent
     * @throws InterruptedException if the caller was or is interrupted; nothing was sent
     */
    public void send(long value) throws InterruptedException {
        if (Thread.currentThread() instanceof LwtThread lwt && !lwt.isInterrupted()) {
            int code = LwtCaller.sendWord(lwt.self, open(), value);
            if (code == 0) {
                Reference.reachabilityFence(this);
                return;
            }
            if (code != -EINTR) {
                throw sendFailed(code, "sending");
            }
        }
        sendSlow(value, Deadline.NEVER);
    }

    /**
     * Sends a value if a receiver or the buffer takes it within a time.
     *
     * @param value any value
     * @param timeout the longest to wait; zero or negative: not at all
     * @return true if it was sent, false if the time is over
     * @throws ChanClosedException as {@link #send(long)}
     * @throws InterruptedException as {@link #send(long)}
     */
    public boolean send(long value, Duration timeout) throws InterruptedException {
        return sendSlow(value, Deadline.after(timeout));
    }

    /**
     * Sends a value if a receiver or the buffer takes it at once. Does not wait.
     *
     * @param value any value
     * @return true if it was sent
     * @throws ChanClosedException if the channel is closed
     */
    public boolean trySend(long value) {
        int code = ChanCalls.trySend(open(), value);
        Reference.reachabilityFence(this);
        return sent(code);
    }

    /**
     * Receives a value; waits until there is one.
     *
     * @return the value
     * @throws ChanClosedException if the channel is closed and drained, or comes to be during the wait
     * @throws InterruptedException if the caller was or is interrupted; nothing was received
     */
    public long receive() throws InterruptedException {
        if (Thread.currentThread() instanceof LwtThread lwt && !lwt.isInterrupted()) {
            int code = LwtCaller.receiveWord(lwt.self, open());
            if (code == 0) {
                Reference.reachabilityFence(this);
                return Layouts.word(lwt.self, Layouts.SELF_VALUE);
            }
            if (code != -EINTR) {
                throw receiveFailed(code, "receiving");
            }
        }
        return receiveSlow(Deadline.NEVER).getAsLong();
    }

    /**
     * Receives a value if one comes within a time.
     *
     * @param timeout the longest to wait; zero or negative: not at all
     * @return the value; empty if the time is over
     * @throws ChanClosedException as {@link #receive()}
     * @throws InterruptedException as {@link #receive()}
     */
    public OptionalLong receive(Duration timeout) throws InterruptedException {
        return receiveSlow(Deadline.after(timeout));
    }

    /**
     * Receives a value if there is one. Does not wait.
     *
     * @return the value, or empty
     * @throws ChanClosedException if the channel is closed and drained
     */
    public OptionalLong tryReceive() {
        Caller caller = Caller.current();
        return received(caller, caller.tryReceive(open()));
    }

    private boolean sendSlow(long value, long deadline) throws InterruptedException {
        return sent(Caller.current().send(open(), value, deadline));
    }

    private OptionalLong receiveSlow(long deadline) throws InterruptedException {
        Caller caller = Caller.current();
        return received(caller, caller.receive(open(), deadline));
    }

    private boolean sent(int code) {
        Reference.reachabilityFence(this);
        if (code == 0) {
            return true;
        }
        if (code == -EAGAIN || code == -ETIMEDOUT) {
            return false;
        }
        throw sendFailed(code, "sending");
    }

    private OptionalLong received(Caller caller, int code) {
        Reference.reachabilityFence(this);
        if (code == 0) {
            return OptionalLong.of(caller.value);
        }
        if (code == -EAGAIN || code == -ETIMEDOUT) {
            return OptionalLong.empty();
        }
        throw receiveFailed(code, "receiving");
    }
}
