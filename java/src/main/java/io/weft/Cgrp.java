// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.EBADF;
import static io.weft.ffi.Errno.EBUSY;
import static io.weft.ffi.Errno.ETIMEDOUT;

import io.weft.ffi.CgrpCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A group of channels that are waited on together. Channels come and go at any time; each is a member of one group at
 * most, under a mark of the user's choice that comes back with its events.
 *
 * <p>A member is ready when a receive on it would not wait: a message is there, a sender waits, or it is closed.
 * Members that are ready are reported in the order in which they became so, and one that stays ready goes to the end
 * of that queue each time it is reported, so that none starves. Every operation costs the same whatever the number of
 * members.
 *
 * {@snippet :
 * try (Cgrp<String> group = new Cgrp<>(); Chan<String> news = Chan.create(1); LongChan ticks = LongChan.create(1)) {
 *     group.add(news, "the news");
 *     group.add(ticks, "a tick");
 *     ticks.send(1);
 *     Cgrp.Event<String> event = group.await();
 *     String mark = event.mark();
 * }
 * }
 *
 * <p>Where several threads receive from the same channel readiness is only a hint: use {@link Chan#tryReceive} there. A
 * closed member is ready for ever; {@linkplain #remove remove} it when a receive has said so.
 *
 * @param <M> the type of the marks
 */
public final class Cgrp<M> implements AutoCloseable {
    /**
     * A member that is ready. There is one such object for each membership, so that waiting allocates nothing.
     *
     * @param <M> the type of the marks
     */
    public static final class Event<M> {
        private final AnyChan chan;
        private final M mark;

        /** The word that C knows it by: its index, and in the upper half which of those that had the index it is. */
        private final long word;

        private final long handle;

        private Event(AnyChan chan, long handle, M mark, long word) {
            this.chan = chan;
            this.handle = handle;
            this.mark = mark;
            this.word = word;
        }

        /**
         * The channel that is ready.
         *
         * @return a member of the group
         */
        public AnyChan chan() {
            return chan;
        }

        /**
         * The mark that the channel was added with.
         *
         * @return the mark
         */
        public M mark() {
            return mark;
        }

        @Override
        public String toString() {
            return "Event[" + mark + "]";
        }
    }

    /** Frees the group in C when nobody can use it any more; its members must leave it first, or it would refuse. */
    private static final class Release implements Runnable {
        final long handle;
        final Set<Long> members = ConcurrentHashMap.newKeySet();

        Release(long handle) {
            this.handle = handle;
        }

        @Override
        public void run() {
            for (long member : members) {
                CgrpCalls.remove(handle, member);
            }
            CgrpCalls.free(handle);
        }
    }

    private static final int MAX_GROUPS = (1 << 16) - 1;

    private final Release release;
    private final Cleaner.Cleanable cleanable;

    /** The handle in C, 0 once it is freed. */
    private volatile long handle;

    /** Members by index. Written under the lock, slot by slot or replaced by a longer one; read without. */
    private volatile Event<M>[] members = newArray(8);

    /** Indexes that are free, as a stack; guarded by the lock. */
    private int[] free = new int[8];

    private int freeCount;
    private int used;
    private long generation;

    /**
     * Creates an empty group.
     *
     * @throws LimitExceededException if there are 65,535 groups already, or no memory for another
     * @throws WeftUnavailableException if weft cannot run here
     */
    public Cgrp() {
        Startup.ensure();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            Errors.checkCreated(CgrpCalls.create(out), "creating a group", "groups", MAX_GROUPS);
            this.handle = out.get(ValueLayout.JAVA_LONG, 0);
        }
        this.release = new Release(handle);
        this.cleanable = AnyChan.CLEANER.register(this, release);
    }

    /**
     * Makes a channel a member. If it is ready that is reported. Does not block.
     *
     * @param chan the channel
     * @param mark comes back with its events; may be null
     * @throws IllegalStateException if the channel is a member of a group already
     * @throws ChanClosedException if the channel is closed and drained
     * @throws ClosedException if the group is closed
     */
    public synchronized void add(AnyChan chan, M mark) {
        Objects.requireNonNull(chan);
        long group = open();
        long channel = chan.open();
        int index = freeCount > 0 ? free[freeCount - 1] : used;
        long word = ++generation << 32 | index;
        Event<M> event = new Event<>(chan, channel, mark, word);
        // In C last: from then on it may be reported.
        put(index, event);
        int code = CgrpCalls.add(group, channel, word);
        if (code < 0) {
            members[index] = null;
            throw code == -EBADF ? new ChanClosedException() : Errors.of(code, "adding a channel to a group");
        }
        if (freeCount > 0) {
            freeCount--;
        } else {
            used++;
        }
        release.members.add(channel);
        chan.membership = event;
        if (chan.handle == 0) {
            forget(event);
            throw new ChanClosedException();
        }
    }

    /**
     * Takes a channel out of the group. Its messages stay in it; an event that was pending for it is dropped. Does not
     * block.
     *
     * @param chan a member
     * @return true if an event was pending for it
     * @throws IllegalArgumentException if the channel is no member of this group
     * @throws ClosedException if the group is closed
     */
    public synchronized boolean remove(AnyChan chan) {
        long group = open();
        Event<?> event = chan.membership;
        if (event == null || !isMember(event)) {
            throw new IllegalArgumentException("the channel is no member of this group");
        }
        int pending = CgrpCalls.remove(group, event.handle);
        forget(event);
        chan.freeIfSpent();
        return pending == 1;
    }

    /**
     * Waits until a member is ready, and reports the one that has been so the longest.
     *
     * @return the event
     * @throws ClosedException if the group is closed, or is closed during the wait
     * @throws InterruptedException if the caller was or is interrupted
     */
    public Event<M> await() throws InterruptedException {
        return await(Deadline.NEVER);
    }

    /**
     * Waits until a member is ready, but not for longer than a time-out.
     *
     * @param timeout the longest to wait; zero or negative: not at all
     * @return the event; empty if the time is over
     * @throws ClosedException as {@link #await()}
     * @throws InterruptedException as {@link #await()}
     */
    public Optional<Event<M>> await(Duration timeout) throws InterruptedException {
        return Optional.ofNullable(await(Deadline.after(timeout)));
    }

    /**
     * Reports the member that has been ready the longest, if there is one. Does not wait.
     *
     * @return the event, or empty
     * @throws ClosedException if the group is closed
     */
    public Optional<Event<M>> poll() {
        Caller caller = Caller.current();
        Event<M> event;
        do {
            int code = caller.tryAwait(open());
            if (code == -EAGAIN) {
                return Optional.empty();
            }
            check(code);
            event = find(caller);
        } while (event == null);
        return Optional.of(event);
    }

    /**
     * Closes the group unless members are ready, whose events would be lost.
     *
     * @return true if the group is closed, now or before; false if events are pending
     */
    public synchronized boolean tryClose() {
        long group = handle;
        if (group == 0) {
            return true;
        }
        int code = CgrpCalls.free(group);
        if (code == -EBUSY) {
            return false;
        }
        handle = 0;
        forgetAll();
        cleanable.clean();
        return true;
    }

    /**
     * Closes the group. Its members go on living, in no group; pending events are dropped. Threads that wait in it get
     * a {@link ClosedException}. Closing twice is harmless. Does not block.
     */
    @Override
    public synchronized void close() {
        if (handle != 0) {
            handle = 0;
            cleanable.clean();
            forgetAll();
        }
    }

    private Event<M> await(long deadline) throws InterruptedException {
        Caller caller = Caller.current();
        Event<M> event;
        do {
            int code = caller.await(open(), deadline);
            if (code == -ETIMEDOUT) {
                return null;
            }
            check(code);
            event = find(caller);
        } while (event == null);
        return event;
    }

    private void check(int code) {
        Reference.reachabilityFence(this);
        if (code < 0) {
            throw code == -EBADF ? closed() : Errors.of(code, "waiting for a group");
        }
    }

    /** Whom C means; null if it has been removed since. */
    private Event<M> find(Caller caller) {
        Event<M> event = members[(int) caller.mark];
        return event != null && event.word == caller.mark ? event : null;
    }

    private long open() {
        long open = handle;
        if (open == 0) {
            throw closed();
        }
        return open;
    }

    private static ClosedException closed() {
        return new ClosedException("the group is closed");
    }

    private boolean isMember(Event<?> event) {
        int index = (int) event.word;
        return index < members.length && members[index] == event;
    }

    private void put(int index, Event<M> event) {
        Event<M>[] now = members;
        if (index == now.length) {
            now = Arrays.copyOf(now, 2 * now.length);
            free = Arrays.copyOf(free, now.length);
        }
        now[index] = event;
        members = now;
    }

    private void forget(Event<?> event) {
        int index = (int) event.word;
        members[index] = null;
        free[freeCount++] = index;
        release.members.remove(event.handle);
        event.chan.membership = null;
    }

    private void forgetAll() {
        for (int i = 0; i < used; i++) {
            Event<M> event = members[i];
            if (event != null) {
                forget(event);
                event.chan.freeIfSpent();
            }
        }
    }

    @SuppressWarnings("unchecked")
    private static <M> Event<M>[] newArray(int length) {
        return (Event<M>[]) new Event<?>[length];
    }
}
