// SPDX-License-Identifier: Apache-2.0
package io.weft;

import io.weft.ffi.AbiCalls;
import io.weft.ffi.Constants;
import io.weft.ffi.Layouts;
import io.weft.ffi.LwtCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A pooled thread of a kthd. It adopts itself once and then runs one body after the other:
 *
 * <pre>
 *   start --> adopt --> body --> clean up --> push itself on the kthd's idle stack --> park
 *                        ^                                                              |
 *                        +------- a spawner pops it, gives it a body, unparks it <------+
 *                                 the kthd closes: stop, unpark --> leave, end
 * </pre>
 *
 * <p>Creating a thread costs 0.3 ms and more, taking one from the pool some tens of nanoseconds. What a body finds is
 * as on a new thread (name, interrupt status, context class loader, priority), but for thread-locals.
 *
 * <p>Fields without {@code volatile} belong to the thread itself. {@code self} is read by the hot paths of other
 * classes on the thread itself: the downcalls' first argument.
 */
final class LwtThread extends Thread {
    /** Depths that {@link #descend} spreads threads over: all of them together are most of a page. */
    private static final int COLOURS = 16;

    /** The control block in C, 0 while this is no lwt. */
    long self;

    /** Slots for the objects it sends. */
    final ObjectTable.Cache slots = new ObjectTable.Cache();

    /** The lwt whose body runs, or null. */
    private JavaLwt<?> current;

    private LwtCaller caller;

    private final int number;
    private final String defaultName;

    /** Where it lives; changed by {@link Lwt#migrate}. */
    private Kthd home;

    /** The handle in C, 0 while this is no lwt. Written by itself, read by who interrupts or unparks it. */
    private volatile long handle;

    /** What to run next: written by the spawner that took it from the pool, before the unpark. */
    private volatile JavaLwt<?> task;

    /** Written by who closes the kthd, before the unpark. */
    private volatile boolean stopped;

    LwtThread(Kthd home, int number, long stackBytes, JavaLwt<?> first) {
        super(null, null, home.name() + "-lwt-" + number, stackBytes, false);
        this.home = home;
        this.number = number;
        this.defaultName = getName();
        this.task = first;
        setDaemon(true);
        setContextClassLoader(home.contextClassLoader());
    }

    LwtCaller caller() {
        return caller;
    }

    JavaLwt<?> currentLwt() {
        return current;
    }

    long handle() {
        return handle;
    }

    void rehome(Kthd to) {
        home = to;
    }

    String defaultName() {
        return defaultName;
    }

    /** Gives an idle thread its next body. Called by the one spawner that took it from the pool. */
    void assign(JavaLwt<?> lwt) {
        name(lwt.name());
        task = lwt;
        LwtCalls.unpark(handle);
    }

    /** Lets an idle thread end. Called by the one that took it from the pool. */
    void end() {
        stopped = true;
        LwtCalls.unpark(handle);
    }

    /** From outside: a thread that renames itself renames the kernel thread it runs on, here a carrier. */
    void name(String name) {
        if (!name.equals(getName())) {
            setName(name);
        }
    }

    /** Ends also a wait in C. The status is set first: who then begins to wait sees it, who waits already is woken. */
    @Override
    public void interrupt() {
        super.interrupt();
        long lwt = handle;
        if (lwt != 0 && this != Thread.currentThread()) {
            LwtCalls.interrupt(lwt);
        }
    }

    @Override
    public void run() {
        try {
            adopt();
        } catch (Throwable thrown) {
            task.abort(thrown);
            home.release();
            return;
        }
        try {
            descend(this, number % COLOURS, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
        } finally {
            leave();
        }
    }

    private void adopt() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment attr = Layouts.lwtAttr(arena);
            attr.set(ValueLayout.ADDRESS, Layouts.LWT_ATTR_NAME, arena.allocateFrom(defaultName));
            Errors.check(LwtCalls.adopt(home.handle(), attr), "adopting a new thread");
        }
        try {
            caller = new LwtCaller(AbiCalls.self(), LwtCalls.current());
        } catch (Throwable thrown) {
            LwtCalls.leave();
            throw thrown;
        }
        self = caller.self;
        handle = caller.handle;
    }

    private void leave() {
        if (self == 0) {
            return;
        }
        handle = 0;
        slots.clear();
        LwtCalls.leave();
        self = 0;
    }

    /**
     * Serves from some levels deeper in the stack, other threads from others. All stacks begin at the same offset in
     * their page, so that what a thousand suspended threads have in use would fight for the same few sets of the
     * caches: a switch among 1,000 lwts then costs half as much again (90 ns against 60 where it was measured). The
     * words that are needed after the call make each frame two cache lines or more, also when compiled; so few levels
     * suffice, which everybody who reads a stack trace has to skip. The arithmetic has no other purpose.
     */
    private static long descend(
            LwtThread thread, int levels,
            long a, long b, long c, long d, long e, long f, long g, long h,
            long i, long j, long k, long l, long m, long n, long o, long p) {
        if (levels == 0) {
            thread.serve();
            return a;
        }
        long below = descend(thread, levels - 1, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, a + levels);
        return below ^ a ^ b << 1 ^ c << 2 ^ d << 3 ^ e << 4 ^ f << 5 ^ g << 6 ^ h << 7
                ^ i << 8 ^ j << 9 ^ k << 10 ^ l << 11 ^ m << 12 ^ n << 13 ^ o << 14 ^ p << 15;
    }

    private void serve() {
        while (nextTask()) {
            JavaLwt<?> lwt = task;
            task = null;
            current = lwt;
            lwt.run(this);
            current = null;
            cleanUp();
            // In the pool first: the joiner that is woken next may spawn at once. The count of the kthd's lwts last:
            // when it is zero all idle threads are in the pool, where close() finds them.
            Kthd kthd = home;
            boolean pooled = kthd.offer(this);
            lwt.finish();
            if (!pooled) {
                leave();
                kthd.release();
                return;
            }
            kthd.release();
        }
    }

    private boolean nextTask() {
        while (task == null && !stopped) {
            AbiCalls.lwtParkAs(self, Constants.FOREVER);
        }
        return task != null;
    }

    /** The name is not reset here: see {@link #name}. */
    private void cleanUp() {
        Thread.interrupted();
        if (getContextClassLoader() != home.contextClassLoader()) {
            setContextClassLoader(home.contextClassLoader());
        }
        if (getPriority() != NORM_PRIORITY) {
            setPriority(NORM_PRIORITY);
        }
    }
}
