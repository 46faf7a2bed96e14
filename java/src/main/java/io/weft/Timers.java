// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EALREADY;
import static io.weft.ffi.Errno.EBADF;
import static io.weft.ffi.Errno.EINVAL;

import io.weft.ffi.TimerCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.time.Duration;

/**
 * Channels that receive the time, at a moment or again and again. Whatever a {@link LongChan} can do they can: be received
 * from by threads of any kind, be members of a {@link Cgrp}, be closed, which stops the timer.
 *
 * {@snippet :
 * try (LongChan ticks = Timers.every(Duration.ofSeconds(1))) {
 *     for (int i = 0; i < 3; i++) {
 *         ticks.receive();
 *         System.out.println("a second later");
 *     }
 * }
 * }
 *
 * <p>The value received is the time at which it was sent, in nanoseconds of {@link System#nanoTime()}: on Linux that is
 * {@code CLOCK_MONOTONIC}, which C's timers are on too. It is never before the time at which it was due. The channels hold
 * one value. One thread of weft's own, which runs no Java code, sends to all of them; no method here blocks, and a hundred
 * thousand timers may pend.
 *
 * <p>A channel that nobody refers to any more loses its timer too: who needs the ticks keeps the channel.
 */
public final class Timers {
    private static final int MAX_CHANNELS = (1 << 20) - 1;

    private Timers() {}

    /**
     * A channel that receives the time once, after a delay, and is then closed.
     *
     * @param delay how long from now; zero or negative: at once
     * @return the channel
     * @throws LimitExceededException if there are too many channels, no memory, or no thread to be had for the timers
     * @throws WeftUnavailableException if weft cannot run here
     */
    public static LongChan after(Duration delay) {
        Startup.ensure();
        long at = Deadline.after(delay);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            return created(TimerCalls.after(out, at), out);
        }
    }

    /**
     * A channel that receives the time once in each period, for the first time when one has passed, and does not drift
     * whatever the delays. A tick that finds the one before still in the channel is dropped; of ticks that are overdue
     * together, because the process or the machine stood still, one is sent. {@link #missed} counts both.
     *
     * @param period from one tick to the next; more than zero
     * @return the channel
     * @throws IllegalArgumentException if the period is zero or negative
     * @throws LimitExceededException as {@link #after}
     * @throws WeftUnavailableException if weft cannot run here
     */
    public static LongChan every(Duration period) {
        if (!period.isPositive()) {
            throw new IllegalArgumentException("the period of a timer is more than zero, not " + period);
        }
        Startup.ensure();
        long first = Deadline.after(period);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            return created(TimerCalls.every(out, first, nanos(period)), out);
        }
    }

    /**
     * Stops a timer: nothing is sent any more. The channel stays open, and whoever receives from it goes on waiting;
     * closing the channel stops the timer as well.
     *
     * @param chan a channel made here
     * @return true if it was stopped, false if it has fired, was stopped before, or its channel is closed
     * @throws IllegalArgumentException if the channel was made elsewhere
     */
    public static boolean stop(LongChan chan) {
        int code = TimerCalls.stop(chan.handle());
        Reference.reachabilityFence(chan);
        return changed(code, "stopping a timer");
    }

    /**
     * Lets a timer fire after another delay, also if it was stopped.
     *
     * @param chan a channel made by {@link #after}
     * @param delay how long from now; zero or negative: at once
     * @return true if it will fire then, false if it has fired or its channel is closed
     * @throws IllegalArgumentException if the channel was made elsewhere
     */
    public static boolean reset(LongChan chan, Duration delay) {
        int code = TimerCalls.reset(chan.handle(), Deadline.after(delay));
        Reference.reachabilityFence(chan);
        return changed(code, "resetting a timer");
    }

    /**
     * How many ticks were due and not sent.
     *
     * @param chan a channel made by {@link #every}
     * @return the number; 0 if the channel is closed and drained
     * @throws IllegalArgumentException if the channel was made elsewhere
     */
    public static long missed(LongChan chan) {
        long missed = TimerCalls.missed(chan.handle());
        Reference.reachabilityFence(chan);
        return missed == -EBADF ? 0 : missed < 0 ? Errors.check((int) missed, "asking a timer") : missed;
    }

    private static LongChan created(int code, MemorySegment out) {
        Errors.checkCreated(code, "creating a timer", "channels", MAX_CHANNELS);
        return new LongChan(out.get(ValueLayout.JAVA_LONG, 0));
    }

    private static boolean changed(int code, String doing) {
        if (code == -EALREADY || code == -EBADF) {
            return false;
        }
        if (code == -EINVAL) {
            throw new IllegalArgumentException(doing + ": the channel is not such a timer's");
        }
        Errors.check(code, doing);
        return true;
    }

    private static long nanos(Duration period) {
        try {
            return period.toNanos();
        } catch (ArithmeticException centuries) {
            return Long.MAX_VALUE;
        }
    }
}
