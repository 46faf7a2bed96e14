// SPDX-License-Identifier: Apache-2.0
package io.weft;

/**
 * The calling thread, seen as something that can wait. There are four kinds, and what differs between them is here and
 * nowhere else:
 *
 * <pre>
 *   LwtCaller        a pooled thread that is an lwt: switches to the next lwt
 *   AdoptedCaller    any other thread while it is adopted: the same, made interruptible
 *   PlatformCaller   a plain platform thread: sleeps in the kernel
 *   VirtualCaller    a virtual thread: parks, and is unparked when its operation has completed
 * </pre>
 *
 * <p>A caller is used by its own thread only, but for {@link #unpark}. Results are C's: zero, or a negated errno that
 * is never {@code EINTR}. An interrupt throws, before or during the wait, with the thread's interrupt status cleared.
 */
abstract sealed class Caller permits LwtCaller, PlatformCaller, VirtualCaller {
    /** What a platform thread has been found to be; lwts of the pool and virtual threads never look here. */
    private static final ThreadLocal<Caller> PLATFORM = new ThreadLocal<>();

    /** After a success: of a receive the word, of a claim or take the position, of a wait for a group the channel's id. */
    long value;

    /** After a successful wait for a group the member's mark. */
    long mark;

    static Caller current() {
        Thread thread = Thread.currentThread();
        if (thread instanceof LwtThread lwt) {
            return lwt.caller();
        }
        if (thread.isVirtual()) {
            return new VirtualCaller(thread);
        }
        Caller caller = PLATFORM.get();
        if (caller == null) {
            caller = new PlatformCaller(thread);
            PLATFORM.set(caller);
        }
        return caller;
    }

    /** The caller of a platform thread that is adopted, or null. */
    static AdoptedCaller adopted() {
        if (Thread.currentThread().isVirtual()) {
            return null;
        }
        return PLATFORM.get() instanceof AdoptedCaller caller ? caller : null;
    }

    static void enterAdoption(AdoptedCaller caller) {
        PLATFORM.set(caller);
    }

    static void leaveAdoption() {
        PLATFORM.remove();
    }

    /** Sends a word; zero, or the error. */
    abstract int send(long chan, long word, long deadline) throws InterruptedException;

    /** Receives a word into {@link #value}. */
    abstract int receive(long chan, long deadline) throws InterruptedException;

    /** Waits for room in a ring whose messages are written in place: the position to {@link #value}. */
    abstract int claim(long chan, long deadline) throws InterruptedException;

    /** Waits for a message in such a ring: its position to {@link #value}. */
    abstract int take(long chan, long deadline) throws InterruptedException;

    /** Waits for a group's next event, into {@link #value} and {@link #mark}. */
    abstract int await(long cgrp, long deadline) throws InterruptedException;

    /** Waits until a case of a select fires: its number, or an error. */
    abstract int select(Select select, long deadline) throws InterruptedException;

    /** As {@link #receive}, without waiting. */
    abstract int tryReceive(long chan);

    /**
     * The same from a ring, of which C may know another user than it would take the caller for. An interrupt is left
     * alone.
     */
    abstract int receiveNow(long chan);

    /** As {@link #take}, without waiting; likewise. */
    abstract int takeNow(long chan);

    /** As {@link #await}, without waiting. */
    abstract int tryAwait(long cgrp);

    /** Waits for an unpark. Returns for any reason or none; the interrupt status stays. */
    abstract void park(long deadline);

    /** Ends a present or the next {@link #park}. Any thread. */
    abstract void unpark();

    static void throwIfInterrupted() throws InterruptedException {
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
    }
}
