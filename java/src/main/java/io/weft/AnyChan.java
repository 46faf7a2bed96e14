// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EBADF;
import static io.weft.ffi.Errno.EPIPE;
import static io.weft.ffi.Errno.EUSERS;

import io.weft.ffi.AbiCalls;
import io.weft.ffi.ChanCalls;
import io.weft.ffi.Constants;
import io.weft.ffi.Layouts;
import io.weft.ffi.LibraryException;
import io.weft.ffi.Ring;
import io.weft.ffi.RingCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.Objects;
import java.util.function.Function;

/**
 * What channels of objects ({@link Chan}), of longs ({@link LongChan}) and of records ({@link RecordChan}) have in
 * common: all but the messages.
 *
 * <p>The C channel behind it is freed when the channel is closed and nothing is left in it, or when this object is
 * unreachable. Until it is closed <em>and drained</em> messages can still be received.
 *
 * <p>Where the {@linkplain Builder builder} was told how many threads there are at the ends, and on a {@link
 * LongChan} that several kthds were found to use, the messages lie in a ring that Java and C run the same protocol
 * on: a send or receive that need not wait, nor wake anybody, stays in Java. The ring's memory is freed when this
 * object is unreachable.
 */
public abstract sealed class AnyChan implements AutoCloseable permits Chan, LongChan, RecordChan {
    static final Cleaner CLEANER = Cleaner.create();

    /** The greatest capacity that a channel can have: {@value}. */
    public static final int MAX_CAPACITY = Constants.CHAN_MAX_CAPACITY;

    /** The C handle; 0 once it is freed. A call that has read it just before gets "no such channel" from C. */
    volatile long handle;

    /** The group it is a member of; guarded by the group's lock. */
    volatile Cgrp.Event<?> membership;

    /** The handle as it was, for whoever has begun before the channel was freed: C knows a stale one. */
    final long id;

    /** Where messages lie that Java sends and receives itself; null if only C may. Final, or found out later. */
    Ring ring;

    private static final int MAX_CHANNELS = (1 << 20) - 1;
    private static final long SPIN_NS = 20_000;
    private static final int SPINS_BETWEEN_LOOKS = 64;

    /**
     * Of whom the end is, if it is one thread's; null: nobody's yet. Each is written by the one it names, under the
     * lock, and read bare: who reads another's name, or null, looks again under the lock.
     */
    private Thread sender;

    private Thread receiver;

    private final Waiting waiting;
    private final int capacity;
    private final Cleaner.Cleanable cleanable;

    /** The mark as it was when the C channel was freed. */
    private volatile long lastMark;

    AnyChan(int capacity, boolean ofObjects) {
        requireCapacity(capacity);
        Startup.ensure();
        this.capacity = capacity;
        this.waiting = Waiting.PARK;
        this.id = create(capacity);
        this.handle = id;
        this.cleanable = CLEANER.register(this, new Release(id, ofObjects));
    }

    /** One whose ends are declared. A message that lies in the ring is a word, or has some bytes in place. */
    AnyChan(Builder<?> builder, boolean inPlace, int recordBytes) {
        Startup.ensure();
        this.capacity = builder.capacity;
        this.waiting = builder.waiting;
        this.id = create(builder, inPlace, recordBytes);
        this.handle = id;
        this.cleanable = CLEANER.register(this, new Release(id, false));
        this.ring = ringOf(id);
    }

    /** One of words that is there already, and is this object's from now on. */
    AnyChan(long handle) {
        this.id = handle;
        this.handle = handle;
        this.waiting = Waiting.PARK;
        this.cleanable = CLEANER.register(this, new Release(handle, false));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = arena.allocate(Layouts.CHAN_INFO);
            Errors.check(ChanCalls.info(handle, info), "looking at a channel");
            this.capacity = info.get(ValueLayout.JAVA_INT, Layouts.CHAN_INFO_CAPACITY);
        }
    }

    /** Frees the C channel. What is still in it is lost; objects give up their slots. */
    private record Release(long handle, boolean ofObjects) implements Runnable {
        @Override
        public void run() {
            ChanCalls.close(handle);
            if (ofObjects) {
                drain();
            }
            ChanCalls.release(handle, 0);
        }

        private void drain() {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment word = arena.allocate(ValueLayout.JAVA_LONG);
                while (ChanCalls.tryRecv(handle, word) == 0) {
                    int slot = (int) word.get(ValueLayout.JAVA_LONG, 0);
                    ObjectTable.remove(slot);
                    ObjectTable.give(slot);
                }
            }
        }
    }

    /**
     * How much there is of what, in one channel, at one moment.
     *
     * @param capacity messages, as created
     * @param length messages in the buffer
     * @param sending waiting senders
     * @param receiving waiting receivers
     * @param closed whether it has been closed
     * @param biased whether one kthd alone uses it so far, and so without atomic operations
     */
    public record Info(int capacity, int length, int sending, int receiving, boolean closed, boolean biased) {}

    /**
     * The properties of a channel to be. For one thread.
     *
     * <p>As soon as something is said of an end the channel is one for several kthds and other threads from the
     * start. What is said of none of its ends starts out for one kthd, and learns of others.
     *
     * @param <C> the kind of channel
     */
    public static final class Builder<C extends AnyChan> {
        private final Function<Builder<C>, C> maker;
        private int capacity;
        private Ends senders;
        private Ends receivers;
        private Waiting waiting = Waiting.PARK;

        Builder(Function<Builder<C>, C> maker) {
            this.maker = maker;
        }

        /**
         * Sets how many messages the buffer holds.
         *
         * @param capacity 0, the default, to {@link AnyChan#MAX_CAPACITY}; 0 is a rendezvous
         * @return this
         * @throws IllegalArgumentException if it is out of range
         */
        public Builder<C> capacity(int capacity) {
            requireCapacity(capacity);
            this.capacity = capacity;
            return this;
        }

        /**
         * Declares the end that messages are sent at.
         *
         * @param senders how many threads there will be
         * @return this
         */
        public Builder<C> senders(Ends senders) {
            this.senders = Objects.requireNonNull(senders);
            return this;
        }

        /**
         * Declares the end that messages are received at.
         *
         * @param receivers how many threads there will be
         * @return this
         */
        public Builder<C> receivers(Ends receivers) {
            this.receivers = Objects.requireNonNull(receivers);
            return this;
        }

        /**
         * Chooses how plain platform threads wait, if an end is declared.
         *
         * @param waiting the way; {@link Waiting#PARK} is the default
         * @return this
         */
        public Builder<C> waiting(Waiting waiting) {
            this.waiting = Objects.requireNonNull(waiting);
            return this;
        }

        /**
         * Creates the channel.
         *
         * @return the channel
         * @throws IllegalArgumentException if it is a rendezvous and an end is declared, or its messages are records
         * @throws LimitExceededException if there are 1,048,575 channels already, or no memory for another
         * @throws WeftUnavailableException if weft cannot run here
         */
        public C create() {
            return maker.apply(this);
        }

        /** For a kind that can do without: whether something was said of an end. */
        boolean declaresEnds() {
            return senders != null || receivers != null;
        }

        int capacity() {
            return capacity;
        }

        private int single() {
            return (senders == Ends.ONE ? Constants.CHAN_SENDER : 0)
                    | (receivers == Ends.ONE ? Constants.CHAN_RECEIVER : 0);
        }
    }

    /**
     * Closes the channel: every waiting and later send fails with {@link ChanClosedException}; receives get what is in
     * the buffer, and then fail so, too. Closing twice is harmless. Does not block.
     */
    @Override
    public final void close() {
        long open = handle;
        if (open == 0) {
            return;
        }
        ChanCalls.close(open);
        // A group still has to report the close, and C needs the channel for that.
        if (membership == null && info().length() == 0) {
            free();
        }
    }

    /**
     * Whether it has been closed. There may still be messages to receive.
     *
     * @return true after {@link #close}
     */
    public final boolean isClosed() {
        return info().closed();
    }

    /**
     * How many messages the buffer holds; 0 is a rendezvous.
     *
     * @return the capacity it was created with
     */
    public final int capacity() {
        return capacity;
    }

    /**
     * Counts what is in the channel and who waits for it. Does not block.
     *
     * @return the counts
     */
    public final Info info() {
        long open = handle;
        if (open != 0) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment info = arena.allocate(Layouts.CHAN_INFO);
                if (ChanCalls.info(open, info) == 0) {
                    return new Info(
                            capacity,
                            info.get(ValueLayout.JAVA_INT, Layouts.CHAN_INFO_LENGTH),
                            info.get(ValueLayout.JAVA_INT, Layouts.CHAN_INFO_SENDING),
                            info.get(ValueLayout.JAVA_INT, Layouts.CHAN_INFO_RECEIVING),
                            info.get(ValueLayout.JAVA_INT, Layouts.CHAN_INFO_CLOSED) != 0,
                            info.get(ValueLayout.JAVA_INT, Layouts.CHAN_INFO_BIASED) != 0);
                }
            }
        }
        return new Info(capacity, 0, 0, 0, true, false);
    }

    /**
     * The word that travels with the channel, for its users' own purposes.
     *
     * @return what {@link #mark(long)} set last; 0 at first
     */
    public final long mark() {
        long open = handle;
        if (open != 0) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment mark = arena.allocate(ValueLayout.JAVA_LONG);
                if (ChanCalls.markGet(open, mark) == 0) {
                    return mark.get(ValueLayout.JAVA_LONG, 0);
                }
            }
        }
        return lastMark;
    }

    /**
     * Sets the word that travels with the channel. C sees the same word.
     *
     * @param mark any word
     * @throws ChanClosedException if the channel is closed and drained
     */
    public final void mark(long mark) {
        if (ChanCalls.markSet(open(), mark) < 0) {
            throw new ChanClosedException();
        }
    }

    /** The handle, for a call; throws if there is none any more. */
    final long open() {
        long open = handle;
        if (open == 0) {
            throw new ChanClosedException();
        }
        return open;
    }

    /** What a receive does with an error: when the channel is closed and drained it is of no use any more. */
    final RuntimeException receiveFailed(int code) {
        RuntimeException failure = failed(code, "receiving");
        if (code == -EPIPE && membership == null) {
            free();
        }
        return failure;
    }

    static RuntimeException sendFailed(int code) {
        return failed(code, "sending");
    }

    /** A channel that is freed is one that was closed. */
    private static RuntimeException failed(int code, String doing) {
        RuntimeException failure = Errors.of(code, doing);
        return failure instanceof ClosedException ? new ChanClosedException() : failure;
    }

    /** What an iterator says, which cannot throw what the method under it did. */
    static WeftException iterationInterrupted(InterruptedException cause) {
        Thread.currentThread().interrupt();
        return new WeftException("interrupted while waiting for the next message", cause);
    }

    /** Frees the C channel if it is closed and empty; when it has left its group. */
    final void freeIfSpent() {
        Info info = info();
        if (info.closed() && info.length() == 0) {
            free();
        }
    }

    private void free() {
        lastMark = mark();
        handle = 0;
        cleanable.clean();
    }

    // ---- the ring --------------------------------------------------------------------------------------------------

    /** Refuses a caller that is not the one sender, where there is one. */
    final void checkSender(Ring ring) {
        if (Thread.currentThread() != sender && ring.hasOneSender()) {
            bindSender();
        }
    }

    final void checkReceiver(Ring ring) {
        if (Thread.currentThread() != receiver && ring.hasOneReceiver()) {
            bindReceiver();
        }
    }

    private synchronized void bindSender() {
        bind(sender, Constants.CHAN_SENDER, "sender");
        sender = Thread.currentThread();
    }

    private synchronized void bindReceiver() {
        bind(receiver, Constants.CHAN_RECEIVER, "receiver");
        receiver = Thread.currentThread();
    }

    /** C is told, too: ends in C are refused from now on, or one of them was here first. */
    private void bind(Thread bound, int end, String what) {
        Thread thread = Thread.currentThread();
        int code = bound == null ? RingCalls.bind(open(), end, userNumber(thread)) : -EUSERS;
        if (code == -EUSERS) {
            throw new IllegalStateException("the channel is declared to have one " + what + ", and that is "
                    + (bound == null ? "a thread of C" : bound) + ", not " + thread);
        }
        if (code < 0) {
            throw failed(code, "binding an end");
        }
    }

    /** A number that is no lwt's handle, nor one that C gives a thread. */
    private static long userNumber(Thread thread) {
        return Caller.current() instanceof LwtCaller lwt ? lwt.handle : Long.MIN_VALUE | thread.threadId();
    }

    /**
     * A sender that has published, and then found that it must, tells C. False if the message was not sent: the
     * channel had been closed before. A channel that is freed can not say so, but then what was sent has been
     * received.
     */
    final boolean tellSent(Ring ring, long position) {
        int code = RingCalls.sent(id, position);
        Reference.reachabilityFence(this);
        return code == 0 || code == -EBADF && ring.hasPassed(position);
    }

    /** A receiver that has given a place back, and then found that it must, tells C. */
    final void tellReceived(long position) {
        RingCalls.received(id, position);
    }

    /** Wakes who waits for what was sent quietly; null: nothing is. */
    final void flush(Ring ring) {
        if (ring != null && ring.finds(Constants.RING_RECEIVERS | Constants.RING_GROUP)) {
            RingCalls.sent(id, 0);
        }
        Reference.reachabilityFence(this);
    }

    /** What the builder says of waiting is for plain threads. */
    final boolean spins(Caller caller) {
        return waiting != Waiting.PARK && caller instanceof PlatformCaller;
    }

    /** Watches the ring for room. As {@link Ring#claimSend}; {@link Ring#NONE}: now sleep, or the time is over. */
    final long spinToSend(Ring ring, long deadline) throws InterruptedException {
        long end = endOfSpin(deadline);
        long position;
        for (int turn = 1; (position = ring.claimSend()) == Ring.NONE; turn++) {
            Thread.onSpinWait();
            if (turn % SPINS_BETWEEN_LOOKS == 0 && spunEnough(end)) {
                break;
            }
        }
        return position;
    }

    /** Watches the ring for a message; likewise. */
    final long spinToReceive(Ring ring, long deadline) throws InterruptedException {
        long end = endOfSpin(deadline);
        long position;
        for (int turn = 1; (position = ring.claimReceive()) == Ring.NONE; turn++) {
            Thread.onSpinWait();
            if (turn % SPINS_BETWEEN_LOOKS == 0 && spunEnough(end)) {
                break;
            }
        }
        return position;
    }

    private long endOfSpin(long deadline) {
        return waiting == Waiting.SPIN ? deadline : Math.min(deadline, AbiCalls.nowNs() + SPIN_NS);
    }

    private static boolean spunEnough(long end) throws InterruptedException {
        Caller.throwIfInterrupted();
        return Deadline.isPast(end);
    }

    /** The ring of a channel that is used by more than one kthd, or by other threads. */
    static Ring ringOf(long chan) {
        long address = RingCalls.ring(chan);
        if (address == 0) {
            return null;
        }
        try {
            return Ring.at(address);
        } catch (LibraryException e) {
            throw new WeftUnavailableException(e.getMessage(), e);
        }
    }

    // ---- plumbing --------------------------------------------------------------------------------------------------

    private static void requireCapacity(int capacity) {
        if (capacity < 0 || capacity > MAX_CAPACITY) {
            throw new IllegalArgumentException(
                    "the capacity of a channel is from 0 to " + MAX_CAPACITY + ", not " + capacity);
        }
    }

    private static long create(int capacity) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            return created(ChanCalls.create(out, capacity), out);
        }
    }

    private static long create(Builder<?> builder, boolean inPlace, int recordBytes) {
        if (builder.capacity == 0) {
            throw new IllegalArgumentException("a channel of capacity 0 is a rendezvous: it has no ring for records, or"
                    + " for ends to be declared of");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            MemorySegment attr = Layouts.chanAttr(arena);
            attr.set(ValueLayout.JAVA_INT, Layouts.CHAN_ATTR_CAPACITY, builder.capacity);
            attr.set(ValueLayout.JAVA_INT, Layouts.CHAN_ATTR_SINGLE, builder.single());
            attr.set(ValueLayout.JAVA_INT, Layouts.CHAN_ATTR_FLAGS,
                    Constants.CHAN_SHARED | (inPlace ? Constants.CHAN_IN_PLACE : 0));
            attr.set(ValueLayout.JAVA_INT, Layouts.CHAN_ATTR_RECORD_BYTES, recordBytes);
            return created(ChanCalls.createWith(out, attr), out);
        }
    }

    private static long created(int code, MemorySegment out) {
        Errors.checkCreated(code, "creating a channel", "channels", MAX_CHANNELS);
        return out.get(ValueLayout.JAVA_LONG, 0);
    }
}
