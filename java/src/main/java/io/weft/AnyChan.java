// SPDX-License-Identifier: Apache-2.0
package io.weft;

import io.weft.ffi.ChanCalls;
import io.weft.ffi.Constants;
import io.weft.ffi.Layouts;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Cleaner;

/**
 * What channels of objects ({@link Chan}) and of longs ({@link LongChan}) have in common: all but the messages.
 *
 * <p>The C channel behind it is freed when the channel is closed and nothing is left in it, or when this object is
 * unreachable. Until it is closed <em>and drained</em> messages can still be received.
 */
public abstract sealed class AnyChan implements AutoCloseable permits Chan, LongChan {
    static final Cleaner CLEANER = Cleaner.create();

    /** The greatest capacity that a channel can have: {@value}. */
    public static final int MAX_CAPACITY = Constants.CHAN_MAX_CAPACITY;

    /** The C handle; 0 once it is freed. A call that has read it just before gets "no such channel" from C. */
    volatile long handle;

    /** The group it is a member of; guarded by the group's lock. */
    volatile Cgrp.Event<?> membership;

    private static final int MAX_CHANNELS = (1 << 20) - 1;

    private final int capacity;
    private final Cleaner.Cleanable cleanable;

    /** The mark as it was when the C channel was freed. */
    private volatile long lastMark;

    AnyChan(int capacity, boolean ofObjects) {
        if (capacity < 0 || capacity > MAX_CAPACITY) {
            throw new IllegalArgumentException(
                    "the capacity of a channel is from 0 to " + MAX_CAPACITY + ", not " + capacity);
        }
        Startup.ensure();
        this.capacity = capacity;
        this.handle = create(capacity);
        this.cleanable = CLEANER.register(this, new Release(handle, ofObjects));
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
     */
    public record Info(int capacity, int length, int sending, int receiving, boolean closed) {}

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
                            info.get(ValueLayout.JAVA_INT, Layouts.CHAN_INFO_CLOSED) != 0);
                }
            }
        }
        return new Info(capacity, 0, 0, 0, true);
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
    final RuntimeException receiveFailed(int code, String doing) {
        RuntimeException failure = Errors.of(code, doing);
        if (failure instanceof ChanClosedException && membership == null) {
            free();
        }
        return failure instanceof ClosedException ? new ChanClosedException() : failure;
    }

    static RuntimeException sendFailed(int code, String doing) {
        RuntimeException failure = Errors.of(code, doing);
        return failure instanceof ClosedException ? new ChanClosedException() : failure;
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

    private static long create(int capacity) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            Errors.checkCreated(ChanCalls.create(out, capacity), "creating a channel", "channels", MAX_CHANNELS);
            return out.get(ValueLayout.JAVA_LONG, 0);
        }
    }
}
