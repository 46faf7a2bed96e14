// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.ESRCH;

import io.weft.ffi.AbiCalls;
import io.weft.ffi.Constants;
import io.weft.ffi.LwtCalls;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A lightweight thread: something that runs on a {@link Kthd} when its turn comes, and gives the turn to the next by a
 * switch in user space. There are three kinds, with one scheduler and the same channels:
 *
 * <ul>
 *   <li>a <em>body in Java</em> ({@link Kthd#spawn(Runnable)}), run by a real {@link Thread} of the kthd's pool:
 *       lambdas, exceptions, {@code synchronized}, thread-locals, deep recursion and every library work as ever;
 *   <li>a thread of your own while it is {@linkplain Kthd#adopt adopted};
 *   <li>a <em>C function</em> ({@link Kthd#spawnNative}), on a small stack and without a Java thread: by the million.
 * </ul>
 *
 * {@snippet :
 * try (Kthd kthd = Kthd.start()) {
 *     Lwt<Integer> lwt = kthd.spawn(() -> 6 * 7);
 *     int answer = lwt.join();
 * }
 * }
 *
 * <h2>When it gives its turn away</h2>
 * It runs until it yields, waits in weft (a channel, a group, a join), blocks in the VM, or ends; nothing preempts it.
 * Where the VM is about to block it (a contended lock, {@code park}, {@code Object.wait}, {@code sleep},
 * {@code Thread.join}, the initialisation of a class) it steps aside by itself: it waits on its own kernel thread, the
 * other lwts of its kthd run on, and it comes back with its next weft call that yields or waits.
 *
 * <p><b>What still holds up the other lwts of the same kthd</b> (not those of other kthds): reading and writing sockets
 * and files, any other blocking call of native code, and a loop that does not end. Call {@link #stepAside} before such
 * a call. If the VM's blocking could not be intercepted (a warning says so at the start), all blocking holds them up,
 * and two lwts of one kthd that contend for a lock may hang for ever.
 *
 * <h2>What is its carrier's</h2>
 * While it runs on a kthd, a thread is a thread to Java (stack, monitors, thread-locals, debugger, profiler, stack
 * dumps), but the kernel sees the carrier. So what is keyed on the kernel's thread is the carrier's: the thread's name
 * in {@code ps} and {@code top} ({@link Thread#setName} on oneself renames the carrier there), the CPU time of
 * {@code ThreadMXBean}, affinity, nice value, and whatever a native library looks up by
 * {@code gettid}. Priority-inheriting mutexes in native libraries abort on an lwt, and the process must not change its
 * user or group id ({@code setuid} and its kin wait for ever) once a kthd has been started. For native code that
 * cannot live with that, use a thread that is no lwt.
 *
 * <h2>The pool</h2>
 * Threads are pooled per kthd. A body finds a clean interrupt status, its own or the default name, the context class
 * loader of the thread that started the kthd, and normal priority. <b>Thread-locals are not reset</b>: a body sees what
 * an earlier one left in them, and should remove what it has set. Do not keep the {@link Thread} of an lwt: when the
 * body has ended it runs another's.
 *
 * <p>What a thread did before it spawned an lwt happens before what the body does, and what the body does happens
 * before what a thread does after it has joined it.
 *
 * @param <T> the type of the body's result
 */
public abstract sealed class Lwt<T> permits JavaLwt, AdoptedLwt, NativeLwt {
    private static final AtomicLong IDS = new AtomicLong();

    /** What an lwt is doing. */
    public enum State {
        /** Waits for its turn, or for its thread to be there. */
        READY,
        /** Has the turn. */
        RUNNING,
        /** Waits in weft: for a channel, a group, another lwt. */
        BLOCKED,
        /** Stepped aside: runs or waits on its own kernel thread, beside its kthd. */
        LOOSE,
        /** Its body has ended. */
        ENDED
    }

    private final long id = IDS.incrementAndGet();
    private final Completion ended = new Completion();
    private volatile Kthd kthd;

    /** Whom it is waiting for in a join; each lwt writes its own, those that join read along the chain. */
    private volatile Lwt<?> joining;

    /** The outcome; written before {@code ended} is completed, read after. */
    private T result;

    private Throwable failure;

    Lwt(Kthd kthd) {
        this.kthd = kthd;
    }

    // ---- the calling lwt -------------------------------------------------------------------------------------------

    /**
     * The lwt that calls.
     *
     * @return the calling lwt; empty on a thread that is none
     */
    public static Optional<Lwt<?>> current() {
        return Optional.ofNullable(currentOrNull());
    }

    /**
     * Gives the turn to the next runnable lwt of this kthd, and queues up behind the others. Returns at once if there
     * is none. On a thread that is no lwt this is {@link Thread#yield}.
     */
    public static void yield() {
        if (Thread.currentThread() instanceof LwtThread lwt) {
            AbiCalls.lwtYieldAs(lwt.self);
        } else {
            yieldOther();
        }
    }

    /**
     * Gives the turn to one lwt, before all others that wait for theirs. Only from an lwt, to one of the same kthd.
     *
     * @param to who goes next
     * @return true after the caller's next turn has come; false, at once, if {@code to} was not waiting for a turn (it
     *     is blocked, has stepped aside, has ended, or its thread is just being made)
     * @throws IllegalStateException if the caller is no lwt
     * @throws IllegalArgumentException if {@code to} is the caller, or lives on another kthd
     */
    public static boolean yield(Lwt<?> to) {
        Lwt<?> me = requireCurrent("a directed yield");
        if (to == me || to.kthd != me.kthd) {
            throw new IllegalArgumentException("a directed yield goes to another lwt of the same kthd");
        }
        long handle = to.handle();
        if (handle == 0) {
            return false;
        }
        int code = LwtCalls.yieldTo(handle);
        if (code == -EAGAIN || code == -ESRCH) {
            return false;
        }
        Errors.check(code, "a directed yield");
        return true;
    }

    /**
     * Moves the calling lwt to another kthd; returns there, after its turn has come. To its own kthd it is a yield.
     *
     * @param to where to live from now on
     * @throws IllegalStateException if the caller is no lwt
     * @throws ClosedException if {@code to} is closed
     */
    public static void migrate(Kthd to) {
        Lwt<?> me = requireCurrent("migrating");
        Kthd from = me.kthd;
        to.retain();
        int code = LwtCalls.migrate(to.handle());
        if (code < 0) {
            to.release();
            throw Errors.of(code, "migrating");
        }
        me.migrated(to);
        from.release();
    }

    /**
     * Lets the calling lwt run on its own kernel thread, beside its kthd, until its next weft call that yields or
     * waits. To be called before a long or blocking call of the operating system or of native code, so that the kthd's
     * other lwts run on meanwhile. Does nothing on a thread that is no lwt. Blocks for the microseconds that its kernel
     * thread takes to wake up.
     *
     * {@snippet :
     * try (Kthd kthd = Kthd.start(); java.net.Socket socket = new java.net.Socket("example.org", 80)) {
     *     Lwt<Integer> reader = kthd.spawn(() -> {
     *         Lwt.stepAside();
     *         return socket.getInputStream().read();
     *     });
     *     reader.join();
     * }
     * }
     */
    public static void stepAside() {
        if (currentOrNull() != null) {
            Errors.check(LwtCalls.stepAside(), "stepping aside");
        }
    }

    // ---- any lwt ---------------------------------------------------------------------------------------------------

    /**
     * Waits until the lwt has ended and gives its result. Any thread may join, any number of times. An lwt that waits
     * switches to the next of its kthd, a platform thread sleeps, a virtual thread parks.
     *
     * @return what the body returned; null for a {@link Runnable}; for a C function its value as a {@code Long}
     * @throws LwtFailedException if the body threw; its cause is what was thrown
     * @throws DeadlockException if the lwt is the caller, or waits in a chain of joins for the caller
     * @throws InterruptedException if the caller was or is interrupted; the lwt is not affected
     */
    public final T join() throws InterruptedException {
        await(Deadline.NEVER);
        if (failure != null) {
            throw new LwtFailedException(name(), failure);
        }
        return result;
    }

    /**
     * Waits until the lwt has ended, but not for longer than a time-out, as {@link Thread#join(Duration)} does. When it
     * has, {@link #join()} gives its result without waiting.
     *
     * @param timeout the longest to wait; zero or negative: only look
     * @return true if it has ended, also if by an exception; false if the time is over
     * @throws DeadlockException as {@link #join()}
     * @throws InterruptedException as {@link #join()}
     */
    public final boolean join(Duration timeout) throws InterruptedException {
        return await(Deadline.after(timeout));
    }

    /**
     * A number that no other lwt of this process has, whatever its kind. It is not the {@linkplain #handle handle}.
     *
     * @return the number, from 1
     */
    public final long id() {
        return id;
    }

    /**
     * The name it was spawned with, or one that weft gave it. The body of a Java lwt finds it as its thread's name.
     *
     * @return the name, never null
     */
    public abstract String name();

    /**
     * What it is doing, at some moment during the call.
     *
     * @return the state
     */
    public final State state() {
        long handle = ended.isDone() ? 0 : handle();
        if (handle == 0) {
            return ended.isDone() ? State.ENDED : State.READY;
        }
        return switch (LwtCalls.state(handle)) {
            case Constants.LWT_READY -> State.READY;
            case Constants.LWT_RUNNING -> State.RUNNING;
            case Constants.LWT_BLOCKED -> State.BLOCKED;
            case Constants.LWT_LOOSE -> State.LOOSE;
            default -> State.ENDED;
        };
    }

    /**
     * The kthd it lives on, or lived on last.
     *
     * @return the kthd
     */
    public final Kthd kthd() {
        return kthd;
    }

    /**
     * The Java thread that runs it, for diagnosis. It is another's when this lwt has ended.
     *
     * @return the thread; empty for a C function, and after the end
     */
    public abstract Optional<Thread> thread();

    /**
     * Whether it has not ended yet.
     *
     * @return false when a join would not wait
     */
    public boolean isAlive() {
        return !ended.isDone();
    }

    /**
     * Interrupts it, as {@link Thread#interrupt} does its thread: a present or the next wait, in weft or anywhere
     * else in Java, ends with an {@link InterruptedException}, and the interrupt status is set until then. A C
     * function's present or next wait in weft ends with {@code -EINTR}. Does nothing if it has ended; in particular
     * it never hits the next body of the same pooled thread. Does not block.
     */
    public abstract void interrupt();

    /**
     * Its handle in C, to give to native code ({@code weft_lwt_unpark}, {@code weft_lwt_state}). A thread of the pool
     * keeps its handle from body to body.
     *
     * @return the handle, or 0 while it has none: before its thread has come up, and after the end
     */
    public abstract long handle();

    @Override
    public String toString() {
        return "Lwt[" + name() + ", " + state() + "]";
    }

    // ---- for the kinds of lwt --------------------------------------------------------------------------------------

    final void succeed(T value) {
        result = value;
    }

    final void fail(Throwable thrown) {
        failure = thrown;
    }

    /** Publishes the outcome and wakes the joiners. */
    final void finish() {
        ended.complete();
    }

    /** Before somebody waits for the end: sees to it that the end will be noticed. */
    void prepareJoin() {}

    void migrated(Kthd to) {
        kthd = to;
    }

    static Lwt<?> currentOrNull() {
        if (Thread.currentThread() instanceof LwtThread lwt) {
            return lwt.currentLwt();
        }
        AdoptedCaller adopted = Caller.adopted();
        return adopted == null ? null : adopted.lwt;
    }

    private static void yieldOther() {
        AdoptedCaller adopted = Caller.adopted();
        if (adopted == null) {
            Thread.yield();
        } else {
            AbiCalls.lwtYieldAs(adopted.self);
        }
    }

    private static Lwt<?> requireCurrent(String doing) {
        Lwt<?> me = currentOrNull();
        if (me == null) {
            throw new IllegalStateException(doing + " is for lwts, and " + Thread.currentThread() + " is none");
        }
        return me;
    }

    private boolean await(long deadline) throws InterruptedException {
        Lwt<?> me = currentOrNull();
        if (me == this) {
            throw new DeadlockException("lwt " + name() + " would wait for its own end");
        }
        if (!ended.isDone()) {
            prepareJoin();
        }
        if (me == null || ended.isDone()) {
            return ended.await(deadline);
        }
        me.joining = this;
        try {
            refuseCycle(me);
            return ended.await(deadline);
        } finally {
            me.joining = null;
        }
    }

    /** Each lwt of a cycle first says whom it joins and then looks along the chain: one of them sees it closed. */
    private void refuseCycle(Lwt<?> me) {
        for (Lwt<?> lwt = joining; lwt != null; lwt = lwt.joining) {
            if (lwt == me) {
                throw new DeadlockException("lwt " + name() + " waits, by joins, for " + me.name());
            }
        }
    }
}
