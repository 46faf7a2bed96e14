// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.EINTR;
import static io.weft.ffi.Errno.ETIMEDOUT;

import io.weft.ffi.AbiCalls;
import io.weft.ffi.ChanCalls;
import io.weft.ffi.Constants;
import io.weft.ffi.Layouts;
import io.weft.ffi.Ring;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.PrimitiveIterator;
import java.util.function.LongConsumer;

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
 * <p>Everything that {@link Chan} says of order, waiting, closing, declared ends and outcomes holds here, with
 * {@link OptionalLong} in place of {@link java.util.Optional}.
 */
public final class LongChan extends AnyChan implements LongSender, LongReceiver {
    private static final int MISSES_BEFORE_LOOK = 16;

    /** How often C could not do at once what an lwt asked for, while there is no ring. A hint: anybody writes it. */
    private int misses;

    private LongChan(int capacity) {
        super(capacity, false);
    }

    private LongChan(Builder<LongChan> builder) {
        super(builder, false, 0);
    }

    /** The channel behind a handle, which is this object's from now on. */
    LongChan(long handle) {
        super(handle);
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
     * Describes a channel to be created.
     *
     * @return a builder with the defaults
     */
    public static Builder<LongChan> builder() {
        return new Builder<>(builder -> builder.declaresEnds() ? new LongChan(builder) : create(builder.capacity()));
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
     * The end to send at.
     *
     * @return this, seen from there
     */
    public LongSender sender() {
        return this;
    }

    /**
     * The end to receive at.
     *
     * @return this, seen from there
     */
    public LongReceiver receiver() {
        return this;
    }

    // ---- sending ---------------------------------------------------------------------------------------------------

    @Override
    public void send(long value) throws InterruptedException {
        Thread thread = Thread.currentThread();
        if (!thread.isInterrupted()) {
            Ring ring = this.ring;
            if (ring != null) {
                if (put(ring, value, Ring.SENT) >= 0) {
                    return;
                }
            } else if (thread instanceof LwtThread lwt) {
                int code = sendAsLwt(lwt.self, value);
                if (code == 0) {
                    return;
                }
                if (code != -EINTR) {
                    throw sendFailed(code);
                }
            }
        }
        sendSlow(value, Deadline.NEVER);
    }

    @Override
    public boolean send(long value, Duration timeout) throws InterruptedException {
        Objects.requireNonNull(timeout);
        Caller.throwIfInterrupted();
        Ring ring = this.ring;
        if (ring != null && put(ring, value, Ring.SENT) >= 0) {
            return true;
        }
        return sendSlow(value, Deadline.after(timeout));
    }

    @Override
    public boolean trySend(long value) {
        Ring ring = findRing();
        if (ring == null) {
            int code = ChanCalls.trySend(open(), value);
            Reference.reachabilityFence(this);
            return sent(code);
        }
        if (put(ring, value, Ring.SENT) >= 0) {
            return true;
        }
        if (ring.isClosed()) {
            throw new ChanClosedException();
        }
        return false;
    }

    @Override
    public void sendQuietly(long value) throws InterruptedException {
        Ring ring = this.ring;
        if (ring == null) {
            send(value);
            return;
        }
        Caller.throwIfInterrupted();
        if (put(ring, value, Constants.RING_CLOSED) < 0) {
            flush(ring);
            sendSlow(value, Deadline.NEVER);
        }
    }

    @Override
    public void flush() {
        flush(ring);
    }

    @Override
    public void sendAll(long[] values, int from, int to) throws InterruptedException {
        Objects.checkFromToIndex(from, to, values.length);
        try {
            for (int i = from; i < to; i++) {
                sendQuietly(values[i]);
            }
        } finally {
            flush();
        }
    }

    /** Sends in the ring, and looks at what it finds there then; or nothing is done: {@link Ring#claimSend}. */
    private long put(Ring ring, long value, int look) {
        checkSender(ring);
        long position = ring.claimSend();
        if (position >= 0) {
            put(ring, position, value, look);
        }
        return position;
    }

    private void put(Ring ring, long position, long value, int look) {
        ring.word(position, value);
        ring.publish(position);
        if (ring.finds(look) && !tellSent(ring, position)) {
            throw new ChanClosedException();
        }
        Reference.reachabilityFence(this);
    }

    private int sendAsLwt(long self, long value) {
        long chan = open();
        int code = AbiCalls.chanSendNowAs(self, chan, value);
        if (code != 0) {
            countMiss();
            code = AbiCalls.chanSendAs(self, chan, value, Deadline.NEVER);
        }
        Reference.reachabilityFence(this);
        return code;
    }

    private boolean sendSlow(long value, long deadline) throws InterruptedException {
        Caller.throwIfInterrupted();
        Ring ring = findRing();
        Caller caller = Caller.current();
        if (ring == null) {
            countMiss();
        } else if (spins(caller)) {
            long position = spinToSend(ring, deadline);
            if (position >= 0) {
                put(ring, position, value, Ring.SENT);
                return true;
            }
        }
        int code = caller.send(open(), value, deadline);
        Reference.reachabilityFence(this);
        return sent(code);
    }

    private static boolean sent(int code) {
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
    public long receive() throws InterruptedException {
        Thread thread = Thread.currentThread();
        if (!thread.isInterrupted()) {
            Ring ring = this.ring;
            if (ring != null) {
                checkReceiver(ring);
                long position = ring.claimReceive();
                if (position >= 0) {
                    return get(ring, position);
                }
            } else if (thread instanceof LwtThread lwt) {
                int code = receiveAsLwt(lwt.self);
                if (code == 0) {
                    return Layouts.word(lwt.self, Layouts.SELF_VALUE);
                }
                if (code != -EINTR) {
                    throw receiveFailed(code);
                }
            }
        }
        Caller caller = Caller.current();
        receiveSlow(caller, Deadline.NEVER);
        return caller.value;
    }

    @Override
    public OptionalLong receive(Duration timeout) throws InterruptedException {
        Objects.requireNonNull(timeout);
        Caller.throwIfInterrupted();
        Ring ring = this.ring;
        if (ring != null) {
            checkReceiver(ring);
            long position = ring.claimReceive();
            if (position >= 0) {
                return OptionalLong.of(get(ring, position));
            }
        }
        Caller caller = Caller.current();
        return receiveSlow(caller, Deadline.after(timeout)) ? OptionalLong.of(caller.value) : OptionalLong.empty();
    }

    @Override
    public OptionalLong tryReceive() {
        Ring ring = findRing();
        if (ring == null) {
            Caller caller = Caller.current();
            return received(caller, caller.tryReceive(open())) ? OptionalLong.of(caller.value) : OptionalLong.empty();
        }
        checkReceiver(ring);
        long position = ring.claimReceive();
        return position >= 0 ? OptionalLong.of(get(ring, position)) : poll(ring);
    }

    @Override
    public int drain(LongConsumer consumer, int limit) {
        Objects.requireNonNull(consumer);
        Ring ring = findRing();
        return ring == null ? drainByC(consumer, limit, false) : drain(ring, consumer, limit);
    }

    private int drain(Ring ring, LongConsumer consumer, int limit) {
        checkReceiver(ring);
        long last = Ring.NONE;
        int count = 0;
        try {
            for (; count < limit; count++) {
                long position = ring.claimReceive();
                if (position < 0) {
                    break;
                }
                long value = ring.word(position);
                ring.free(position);
                last = position;
                consumer.accept(value);
            }
        } finally {
            if (last != Ring.NONE && ring.finds(Ring.RECEIVED)) {
                tellReceived(last);
            }
            Reference.reachabilityFence(this);
        }
        return count < limit && ring.isClosed() ? count + drainByC(consumer, limit - count, count > 0) : count;
    }

    /** Receives one by one as C allows it. That it is drained is no news after there was something. */
    private int drainByC(LongConsumer consumer, int limit, boolean some) {
        int count = 0;
        for (; count < limit; count++) {
            OptionalLong value;
            try {
                value = tryReceive();
            } catch (ChanClosedException drained) {
                if (some || count > 0) {
                    return count;
                }
                throw drained;
            }
            if (value.isEmpty()) {
                return count;
            }
            consumer.accept(value.getAsLong());
        }
        return count;
    }

    @Override
    public PrimitiveIterator.OfLong iterator() {
        return new Iteration();
    }

    private final class Iteration implements PrimitiveIterator.OfLong {
        private long next;
        private boolean present;

        @Override
        public boolean hasNext() {
            if (!present) {
                try {
                    next = receive();
                    present = true;
                } catch (ChanClosedException drained) {
                    return false;
                } catch (InterruptedException e) {
                    throw iterationInterrupted(e);
                }
            }
            return true;
        }

        @Override
        public long nextLong() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            present = false;
            return next;
        }
    }

    /** Receives what the caller has claimed. */
    private long get(Ring ring, long position) {
        long value = ring.word(position);
        ring.free(position);
        if (ring.finds(Ring.RECEIVED)) {
            tellReceived(position);
        }
        Reference.reachabilityFence(this);
        return value;
    }

    /** There is nothing, or others are first, or it is closed. */
    private OptionalLong poll(Ring ring) {
        if (!ring.isClosed()) {
            return OptionalLong.empty();
        }
        Caller caller = Caller.current();
        return received(caller, caller.receiveNow(open())) ? OptionalLong.of(caller.value) : OptionalLong.empty();
    }

    private int receiveAsLwt(long self) {
        long chan = open();
        int code = AbiCalls.chanRecvNowAs(self, chan);
        if (code != 0) {
            countMiss();
            code = AbiCalls.chanRecvAs(self, chan, Deadline.NEVER);
        }
        Reference.reachabilityFence(this);
        return code;
    }

    /** The value to the caller; false: the time is over. */
    private boolean receiveSlow(Caller caller, long deadline) throws InterruptedException {
        Caller.throwIfInterrupted();
        Ring ring = findRing();
        if (ring == null) {
            countMiss();
        } else if (spins(caller)) {
            long position = spinToReceive(ring, deadline);
            if (position >= 0) {
                caller.value = get(ring, position);
                return true;
            }
        }
        return received(caller, caller.receive(open(), deadline));
    }

    private boolean received(Caller caller, int code) {
        Reference.reachabilityFence(this);
        if (code == 0) {
            return true;
        }
        if (code == -EAGAIN || code == -ETIMEDOUT) {
            return false;
        }
        throw receiveFailed(code);
    }

    // ---- whether there is a ring for Java --------------------------------------------------------------------------

    /**
     * The ring, if Java may use it. A channel that nothing was declared of begins as one of a single kthd, and C must
     * not be asked for its ring as long as it is: that would end it. The first use by any other thread than an lwt
     * ends it anyway.
     */
    private Ring findRing() {
        Ring known = ring;
        if (known == null && capacity() > 0 && !(Thread.currentThread() instanceof LwtThread)
                && Caller.adopted() == null) {
            known = ringOf(open());
            ring = known;
        }
        return known;
    }

    /** C cannot do it at once where lwts wait for each other, or are of several kthds: looks, ever more rarely. */
    private void countMiss() {
        int count = ++misses;
        if (count >= MISSES_BEFORE_LOOK && (count & count - 1) == 0 && capacity() > 0) {
            Info info = info();
            if (!info.biased() && !info.closed()) {
                ring = ringOf(open());
            }
        }
    }
}
