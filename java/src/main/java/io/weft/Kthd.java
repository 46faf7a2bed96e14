// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EBUSY;
import static io.weft.ffi.Errno.ESRCH;

import io.weft.ffi.AbiCalls;
import io.weft.ffi.Constants;
import io.weft.ffi.KthdCalls;
import io.weft.ffi.Layouts;
import io.weft.ffi.LwtCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A kernel thread's worth of lwts: a run queue, and a carrier that runs what is in it, one lwt after the other. What
 * runs on one kthd never runs at the same time (but for lwts that have {@linkplain Lwt#stepAside stepped aside}); what
 * runs on several does.
 *
 * {@snippet :
 * try (Kthd kthd = Kthd.builder().name("worker").idle(Kthd.Idle.PARK).start()) {
 *     Lwt<String> hello = kthd.spawn("greeter", () -> "hello from " + Thread.currentThread().getName());
 *     String text = hello.join();
 * }
 * }
 *
 * <p>The carrier is a daemon thread that spends its life in one downcall. Any number of kthds may live; to use all
 * processors start as many as there are. All methods may be called from any thread, an lwt included.
 */
public final class Kthd implements AutoCloseable {
    /** What a kthd does when none of its lwts is runnable. */
    public enum Idle {
        /** Looks for work for a bounded time, then sleeps in the kernel. The default. */
        SPIN_THEN_PARK(Constants.IDLE_SPIN_THEN_PARK),
        /** Sleeps in the kernel at once: costs no processor time, and some microseconds at each wake-up. */
        PARK(Constants.IDLE_PARK),
        /** Never sleeps: the lowest latency, at the price of a processor. */
        SPIN(Constants.IDLE_SPIN);

        private final int code;

        Idle(int code) {
            this.code = code;
        }
    }

    /** Bytes of a pooled thread's stack, where the builder does not say. */
    private static final long DEFAULT_STACK_BYTES = Long.getLong("weft.stack.bytes", 256 * 1024);

    private static final long MIN_STACK_BYTES = 64 * 1024;
    private static final long MAX_STACK_BYTES = 1L << 30;
    private static final int DEFAULT_POOL_SIZE = 1024;
    private static final int MAX_KTHDS = (1 << 12) - 1;
    private static final Duration MAX_SPIN = Duration.ofSeconds(1);
    private static final AtomicInteger NUMBERS = new AtomicInteger();

    private final String name;
    private final long handle;
    private final long stackBytes;
    private final ClassLoader contextClassLoader;
    private final ThreadPool pool;
    private final AtomicInteger workers = new AtomicInteger();
    private final Residents residents = new Residents();

    /** Somebody ends the pool and the carrier. */
    private final AtomicBoolean ending = new AtomicBoolean();

    /** The carrier has stopped. */
    private final Completion gone = new Completion();

    private Kthd(Builder builder, long handle) {
        this.name = builder.name;
        this.handle = handle;
        this.stackBytes = builder.stackBytes;
        this.pool = new ThreadPool(builder.poolSize);
        this.contextClassLoader = Thread.currentThread().getContextClassLoader();
    }

    // ---- making one ------------------------------------------------------------------------------------------------

    /**
     * Starts a kthd with the defaults of the {@link Builder}.
     *
     * @return the kthd, running
     * @throws WeftUnavailableException if weft cannot run here
     * @throws LimitExceededException if the system or weft (4,095 kthds) has no room for another
     */
    public static Kthd start() {
        return builder().start();
    }

    /**
     * Describes a kthd to be started.
     *
     * @return a builder with the defaults
     */
    public static Builder builder() {
        return new Builder();
    }

    /** The properties of a kthd to be. For one thread. */
    public static final class Builder {
        private String name;
        private int cpu = -1;
        private Idle idle = Idle.SPIN_THEN_PARK;
        private long spinNs = -1;
        private long stackBytes = DEFAULT_STACK_BYTES;
        private int poolSize = DEFAULT_POOL_SIZE;

        private Builder() {}

        /**
         * Names the kthd and its carrier thread; a number is the default.
         *
         * @param name any text; the operating system shows the first 15 bytes, C the first 31
         * @return this
         */
        public Builder name(String name) {
            this.name = Objects.requireNonNull(name);
            return this;
        }

        /**
         * Pins the carrier to a processor.
         *
         * @param cpu its number, from 0; -1, the default: none
         * @return this
         * @throws IllegalArgumentException if it is less than -1
         */
        public Builder cpu(int cpu) {
            if (cpu < -1) {
                throw new IllegalArgumentException("there is no processor " + cpu);
            }
            this.cpu = cpu;
            return this;
        }

        /**
         * Chooses what the carrier does when no lwt is runnable.
         *
         * @param idle the strategy
         * @return this
         */
        public Builder idle(Idle idle) {
            this.idle = Objects.requireNonNull(idle);
            return this;
        }

        /**
         * Bounds the search for work of {@link Idle#SPIN_THEN_PARK}.
         *
         * @param spin 0 to 1 s; 20 us is the default
         * @return this
         * @throws IllegalArgumentException if it is out of range
         */
        public Builder spin(Duration spin) {
            if (spin.isNegative() || spin.compareTo(MAX_SPIN) > 0) {
                throw new IllegalArgumentException("the spin is from 0 to 1 s, not " + spin);
            }
            this.spinNs = spin.toNanos();
            return this;
        }

        /**
         * Sets the stack size of the pooled threads that run Java bodies.
         *
         * @param bytes 64 KiB to 1 GiB; the default is 256 KiB, or what the system property {@code weft.stack.bytes}
         *     says
         * @return this
         * @throws IllegalArgumentException if it is out of range
         */
        public Builder stackBytes(long bytes) {
            if (bytes < MIN_STACK_BYTES || bytes > MAX_STACK_BYTES) {
                throw new IllegalArgumentException("the stack is from 64 KiB to 1 GiB, not " + bytes + " bytes");
            }
            this.stackBytes = bytes;
            return this;
        }

        /**
         * Bounds how many idle threads the pool keeps. More may run; those then end with their body.
         *
         * @param threads 0 or more; the default is 1024
         * @return this
         * @throws IllegalArgumentException if it is negative
         */
        public Builder poolSize(int threads) {
            if (threads < 0) {
                throw new IllegalArgumentException("the pool cannot keep " + threads + " threads");
            }
            this.poolSize = threads;
            return this;
        }

        /**
         * Starts the kthd.
         *
         * @return the kthd, running; its bodies' context class loader is that of the caller
         * @throws IllegalArgumentException if the processor is not one this process may use
         * @throws WeftUnavailableException if weft cannot run here
         * @throws LimitExceededException if the system or weft (4,095 kthds) has no room for another
         */
        public Kthd start() {
            Startup.ensure();
            if (name == null) {
                name = "kthd-" + NUMBERS.incrementAndGet();
            }
            Kthd kthd = new Kthd(this, create());
            kthd.startCarrier();
            return kthd;
        }

        private long create() {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment attr = Layouts.kthdAttr(arena);
                attr.set(ValueLayout.ADDRESS, Layouts.KTHD_ATTR_NAME, arena.allocateFrom(name));
                attr.set(ValueLayout.JAVA_INT, Layouts.KTHD_ATTR_CPU, cpu);
                attr.set(ValueLayout.JAVA_INT, Layouts.KTHD_ATTR_IDLE, idle.code);
                attr.set(ValueLayout.JAVA_INT, Layouts.KTHD_ATTR_FLAGS, Constants.KTHD_EXTERNAL);
                if (spinNs >= 0) {
                    attr.set(ValueLayout.JAVA_LONG, Layouts.KTHD_ATTR_SPIN_NS, spinNs);
                }
                MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
                Errors.checkCreated(KthdCalls.create(out, attr), "creating a kthd", "kthds", MAX_KTHDS);
                return out.get(ValueLayout.JAVA_LONG, 0);
            }
        }
    }

    private void startCarrier() {
        try {
            Thread.ofPlatform().daemon().name(name).inheritInheritableThreadLocals(false).start(this::carry);
        } catch (OutOfMemoryError noThread) {
            KthdCalls.destroy(handle, 0);
            throw Headroom.refused(noThread);
        }
    }

    private void carry() {
        int code = KthdCalls.run(handle);
        // Closed before it was ever carried: that is all right, too.
        if (code != -ESRCH) {
            Errors.check(code, "carrying " + this);
        }
    }

    // ---- lwts ------------------------------------------------------------------------------------------------------

    /**
     * Runs a body as an lwt here; the caller goes on. See {@link #spawn(String, Callable)}.
     *
     * @param body what to run; may throw
     * @return the lwt; joining it gives null
     */
    public Lwt<Void> spawn(Runnable body) {
        return spawnAs(null, Executors.callable(body, null));
    }

    /**
     * Runs a named body as an lwt here; the caller goes on. See {@link #spawn(String, Callable)}.
     *
     * @param name the lwt's name, and its thread's
     * @param body what to run; may throw
     * @return the lwt; joining it gives null
     */
    public Lwt<Void> spawn(String name, Runnable body) {
        return spawnAs(Objects.requireNonNull(name), Executors.callable(body, null));
    }

    /**
     * Runs a body as an lwt here; the caller goes on. See {@link #spawn(String, Callable)}.
     *
     * @param <T> the type of its result
     * @param body what to run; may throw
     * @return the lwt; joining it gives the body's result
     */
    public <T> Lwt<T> spawn(Callable<? extends T> body) {
        return spawnAs(null, Objects.requireNonNull(body));
    }

    /**
     * Runs a named body as an lwt here; the caller goes on. A thread of the pool takes it, or a new one if none is
     * idle. What the body throws is kept for those who join it, and not reported otherwise.
     *
     * <p>Does not block, but for the time that creating a thread takes.
     *
     * @param <T> the type of its result
     * @param name the lwt's name, and its thread's
     * @param body what to run; may throw
     * @return the lwt; joining it gives the body's result
     * @throws ClosedException if the kthd is closed
     * @throws LimitExceededException if a new thread is needed and a limit of the system leaves no room for one
     */
    public <T> Lwt<T> spawn(String name, Callable<? extends T> body) {
        return spawnAs(Objects.requireNonNull(name), Objects.requireNonNull(body));
    }

    /**
     * Runs a C function as a native lwt here; see {@link #spawnNative(String, MemorySegment, long)}.
     *
     * @param function the address of a {@code void *function(void *)}
     * @param argument the word it gets
     * @return the lwt; joining it gives the word it returned
     */
    public Lwt<Long> spawnNative(MemorySegment function, long argument) {
        return spawnNative("native", function, argument);
    }

    /**
     * Runs a C function as a native lwt here, on a small stack of its own and without a Java thread; the caller goes
     * on. The function may use all of weft's C interface. It must not call Java: an upcall stub is refused.
     *
     * <p>Does not block.
     *
     * @param name the lwt's name; C keeps the first 31 bytes
     * @param function the address of a {@code void *function(void *)} in a library that stays loaded
     * @param argument the word it gets, as its {@code void *}
     * @return the lwt; joining it gives the word it returned
     * @throws ClosedException if the kthd is closed
     * @throws IllegalArgumentException if {@code function} is null in C, or lies in no loaded library
     * @throws LimitExceededException if there is no memory or no room for another lwt
     */
    public Lwt<Long> spawnNative(String name, MemorySegment function, long argument) {
        retain();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment attr = Layouts.lwtAttr(arena);
            attr.set(ValueLayout.ADDRESS, Layouts.LWT_ATTR_NAME, arena.allocateFrom(name));
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            Errors.check(LwtCalls.create(out, handle, function, argument, attr), "creating a native lwt");
            return new NativeLwt(this, name, out.get(ValueLayout.JAVA_LONG, 0));
        } finally {
            release();
        }
    }

    /**
     * Makes the calling thread an lwt of this kthd until the returned scope is closed. Returns when its first turn has
     * come.
     *
     * @return the scope, to be closed by the same thread
     * @throws UnsupportedOperationException if the caller is a virtual thread: what would be adopted is its carrier,
     *     with all other virtual threads that it serves
     * @throws IllegalStateException if the caller is an lwt already
     * @throws ClosedException if the kthd is closed
     * @throws LimitExceededException if there is no memory or no room for another lwt
     */
    public Adoption adopt() {
        Thread thread = Thread.currentThread();
        if (thread.isVirtual()) {
            throw new UnsupportedOperationException("a virtual thread cannot be adopted: its carrier thread would be");
        }
        if (Lwt.currentOrNull() != null) {
            throw new IllegalStateException(thread + " is an lwt already");
        }
        retain();
        int code = adoptAs(thread.getName());
        if (code < 0) {
            release();
            throw Errors.of(code, "adopting " + thread);
        }
        AdoptedLwt lwt = new AdoptedLwt(this, thread, LwtCalls.current());
        Caller.enterAdoption(new AdoptedCaller(AbiCalls.self(), lwt.handle(), lwt));
        return new Adoption(lwt, thread);
    }

    private int adoptAs(String name) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment attr = Layouts.lwtAttr(arena);
            attr.set(ValueLayout.ADDRESS, Layouts.LWT_ATTR_NAME, arena.allocateFrom(name));
            return LwtCalls.adopt(handle, attr);
        }
    }

    /** The name may be null: the thread's own. */
    private <T> Lwt<T> spawnAs(String lwtName, Callable<? extends T> body) {
        retain();
        try {
            JavaLwt<T> lwt = new JavaLwt<>(this, lwtName, body);
            LwtThread worker = pool.poll();
            if (worker == null) {
                startWorker(lwt);
            } else {
                lwt.assignTo(worker);
                worker.assign(lwt);
            }
            return lwt;
        } catch (RuntimeException | Error e) {
            release();
            throw e;
        }
    }

    private void startWorker(JavaLwt<?> first) {
        Headroom.take();
        LwtThread worker = new LwtThread(this, workers.incrementAndGet(), stackBytes, first);
        first.assignTo(worker);
        worker.name(first.name());
        try {
            worker.start();
        } catch (OutOfMemoryError noThread) {
            throw Headroom.refused(noThread);
        }
    }

    // ---- what is to be known ---------------------------------------------------------------------------------------

    /**
     * The kthd's name.
     *
     * @return the name it was started with, or the one it was given
     */
    public String name() {
        return name;
    }

    /**
     * How many lwts and channels there are, by state.
     *
     * @param lwts alive, the kthd's idle pooled threads included
     * @param runnable running or waiting for their turn
     * @param blocked waiting in weft, idle pooled threads included
     * @param loose stepped aside
     * @param zombies C functions that have ended and were not joined
     * @param sending of the blocked: in a send
     * @param receiving of the blocked: in a receive
     * @param channels alive in the process, whatever the kthd
     * @param switches context switches since the start
     */
    public record Info(
            long lwts,
            long runnable,
            long blocked,
            long loose,
            long zombies,
            long sending,
            long receiving,
            long channels,
            long switches) {
        private static Info of(MemorySegment info) {
            return new Info(
                    info.get(ValueLayout.JAVA_LONG, Layouts.INFO_LWTS),
                    info.get(ValueLayout.JAVA_LONG, Layouts.INFO_RUNNABLE),
                    info.get(ValueLayout.JAVA_LONG, Layouts.INFO_BLOCKED),
                    info.get(ValueLayout.JAVA_LONG, Layouts.INFO_LOOSE),
                    info.get(ValueLayout.JAVA_LONG, Layouts.INFO_ZOMBIES),
                    info.get(ValueLayout.JAVA_LONG, Layouts.INFO_SENDING),
                    info.get(ValueLayout.JAVA_LONG, Layouts.INFO_RECEIVING),
                    info.get(ValueLayout.JAVA_LONG, Layouts.INFO_CHANNELS),
                    info.get(ValueLayout.JAVA_LONG, Layouts.INFO_SWITCHES));
        }
    }

    /**
     * Counts this kthd's lwts, without stopping anything: each figure was true at some moment during the call. The
     * cost grows with the most lwts that ever lived in the process.
     *
     * @return the counts
     * @throws ClosedException if the kthd is closed
     */
    public Info info() {
        if (gone.isDone()) {
            throw new ClosedException(this + " is closed");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = arena.allocate(Layouts.INFO);
            Errors.check(KthdCalls.info(handle, info), "counting the lwts of " + this);
            return Info.of(info);
        }
    }

    /**
     * Counts the lwts of all kthds; see {@link #info()}.
     *
     * @return the counts
     * @throws WeftUnavailableException if weft cannot run here
     */
    public static Info processInfo() {
        Startup.ensure();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = arena.allocate(Layouts.INFO);
            KthdCalls.processInfo(info);
            return Info.of(info);
        }
    }

    /**
     * Whether the kthd has been closed for good: nothing runs on it and nothing can be spawned. During a
     * {@link #close} that still waits it is false.
     *
     * @return true from the end of its last lwt on
     */
    public boolean isClosed() {
        return residents.isClosed();
    }

    /**
     * The kthd's handle in C, to give to native code.
     *
     * @return the handle; stale when the kthd is closed
     */
    public long handle() {
        return handle;
    }

    @Override
    public String toString() {
        return "Kthd[" + name + "]";
    }

    // ---- the end ---------------------------------------------------------------------------------------------------

    /**
     * Waits until the last lwt here has ended, then ends the pooled threads and the carrier. Until then lwts may go on
     * being spawned; afterwards that is refused. Closing twice is harmless. An interrupt does not shorten the wait; it
     * is kept for later.
     *
     * <p>Blocks: an lwt (of another kthd) switches, a platform thread sleeps, a virtual thread parks.
     *
     * @throws DeadlockException if the caller lives here
     */
    @Override
    public void close() {
        Lwt<?> me = Lwt.currentOrNull();
        if (me != null && me.kthd() == this) {
            throw new DeadlockException(me + " would wait for its own end: it lives on " + this);
        }
        residents.closeAndWait();
        if (ending.compareAndSet(false, true)) {
            endPool();
            destroyAndWait();
            gone.complete();
        } else {
            gone.awaitUninterruptibly();
        }
    }

    /**
     * Closes the kthd if no lwt lives here, and else leaves it as it is.
     *
     * @return true if it is closed; false if lwts live here
     */
    public boolean tryClose() {
        if (nativesLive() || !residents.tryClose()) {
            return gone.isDone();
        }
        endPool();
        int code = KthdCalls.destroy(handle, 0);
        if (code == -EBUSY) {
            // A native lwt was born in between. Open again; whoever called close() meanwhile goes on waiting there.
            residents.reopen();
            return false;
        }
        Errors.check(code, "closing " + this);
        ending.set(true);
        residents.stayClosed();
        gone.complete();
        return true;
    }

    /** Whether more lwts are alive than those of the pool; to be asked when no body runs. */
    private boolean nativesLive() {
        try {
            return info().lwts() > pool.size();
        } catch (ClosedException closedMeanwhile) {
            return false;
        }
    }

    /** Ends the idle threads, which are all there are, and waits for their end. */
    private void endPool() {
        List<Thread> ended = new ArrayList<>();
        for (LwtThread worker = pool.poll(); worker != null; worker = pool.poll()) {
            worker.end();
            ended.add(worker);
        }
        boolean interrupted = false;
        for (Thread thread : ended) {
            while (thread.isAlive()) {
                try {
                    thread.join();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** The call sleeps in the kernel until native lwts have ended and the carrier has stopped. */
    private void destroyAndWait() {
        if (Thread.currentThread().isVirtual()) {
            Completion destroyed = new Completion();
            Thread.ofPlatform().daemon().name("close " + name).start(() -> {
                destroy();
                destroyed.complete();
            });
            destroyed.awaitUninterruptibly();
        } else {
            Lwt.stepAside();
            destroy();
        }
    }

    private void destroy() {
        Errors.check(KthdCalls.destroy(handle, Constants.KTHD_WAIT), "closing " + this);
    }

    /** Counts one more body that lives here. */
    void retain() {
        residents.add(this);
    }

    /** The opposite; the last one wakes who closes. */
    void release() {
        residents.remove();
    }

    /** Takes an idle thread into the pool, if there is room. */
    boolean offer(LwtThread worker) {
        return pool.offer(worker);
    }

    ClassLoader contextClassLoader() {
        return contextClassLoader;
    }
}
