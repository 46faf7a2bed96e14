// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The bindings of timers, and that their thread and a Java VM get on. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class TimerCallsTest {
    private static final long HOUR = TimeUnit.HOURS.toNanos(1);

    private Arena arena;
    private MemorySegment word;

    @BeforeEach
    void open() {
        arena = Arena.ofConfined();
        word = arena.allocate(ValueLayout.JAVA_LONG);
    }

    @AfterEach
    void close() {
        arena.close();
    }

    private long after(long atNs) {
        assertEquals(0, TimerCalls.after(word, atNs));
        return word.get(ValueLayout.JAVA_LONG, 0);
    }

    private long every(long firstNs, long periodNs) {
        assertEquals(0, TimerCalls.every(word, firstNs, periodNs));
        return word.get(ValueLayout.JAVA_LONG, 0);
    }

    private long receive(long chan) {
        assertEquals(0, ChanCalls.recvUntil(chan, word, Constants.FOREVER));
        return word.get(ValueLayout.JAVA_LONG, 0);
    }

    @Test
    void nanoTimeIsTheClockOfDeadlines() {
        for (int i = 0; i < 1000; i++) {
            long before = System.nanoTime();
            long now = AbiCalls.nowNs();
            long after = System.nanoTime();
            assertTrue(before <= now && now <= after, before + " " + now + " " + after);
        }
    }

    @Test
    void aMomentIsReceivedOnceInNanosecondsOfNanoTime() {
        long at = System.nanoTime() + 2_000_000;
        long chan = after(at);
        long fired = receive(chan);
        assertTrue(fired >= at && fired <= System.nanoTime());
        assertEquals(-Errno.EPIPE, ChanCalls.recvUntil(chan, word, Constants.FOREVER));
        assertEquals(-Errno.EALREADY, TimerCalls.stop(chan));
        assertEquals(0, ChanCalls.release(chan, 0));
        assertEquals(-Errno.EBADF, TimerCalls.stop(chan));
    }

    @Test
    void ticksComeOnTheirGridAlsoWhileTheCollectorRuns() {
        long period = 500_000;
        long ahead = 1_000_000;
        long first = System.nanoTime() + ahead;
        long chan = every(first, period);
        while (System.nanoTime() >= first) { // ticks before the start do not count
            assertEquals(0, ChanCalls.release(chan, 0));
            ahead *= 2;
            first = System.nanoTime() + ahead;
            chan = every(first, period);
        }
        long last = -1;
        for (int received = 1; received <= 40; received++) {
            long tick = (receive(chan) - first) / period;
            assertTrue(tick > last);
            assertTrue(received + TimerCalls.missed(chan) > tick);
            last = tick;
            if (received % 10 == 0) {
                System.gc();
            }
        }
        assertEquals(0, TimerCalls.stop(chan));
        assertEquals(0, ChanCalls.release(chan, 0));
    }

    @Test
    void aTimerIsStoppedAndReset() {
        long chan = after(System.nanoTime() + HOUR);
        assertEquals(0, TimerCalls.stop(chan));
        long at = System.nanoTime() + 1_000_000;
        assertEquals(0, TimerCalls.reset(chan, at));
        assertTrue(receive(chan) >= at);
        assertEquals(-Errno.EALREADY, TimerCalls.reset(chan, at));
        assertEquals(0, ChanCalls.release(chan, 0));
    }

    @Test
    void errorsArePassedOn() {
        assertEquals(-Errno.EINVAL, TimerCalls.after(MemorySegment.NULL, 0));
        assertEquals(-Errno.EINVAL, TimerCalls.every(word, 0, 0));
        assertEquals(-Errno.EBADF, TimerCalls.missed(0));
        assertEquals(-Errno.EBADF, TimerCalls.reset(0, 0));
    }

    @Test
    void theThreadIsNoneOfJavas() {
        long chan = after(0);
        receive(chan);
        assertEquals(0, ChanCalls.release(chan, 0));
        assertTrue(Thread.getAllStackTraces().keySet().stream().noneMatch(t -> t.getName().contains("weft-timer")));
    }
}
