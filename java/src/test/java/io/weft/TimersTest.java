// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Channels that receive the time, from every kind of thread. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class TimersTest {
    private static final Duration SHORT = Duration.ofMillis(2);
    private static final Duration HOUR = Duration.ofHours(1);

    @ParameterizedTest
    @EnumSource
    void afterIsReceivedOnceAndThenTheChannelIsClosed(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            callers.start(() -> {
                        long at = System.nanoTime() + SHORT.toNanos();
                        try (LongChan chan = Timers.after(SHORT)) {
                            assertEquals(1, chan.capacity());
                            long fired = chan.receive();
                            assertTrue(fired >= at && fired <= System.nanoTime());
                            assertThrows(ChanClosedException.class, chan::receive);
                            assertFalse(Timers.stop(chan));
                            assertFalse(Timers.reset(chan, SHORT));
                        }
                        return null;
                    })
                    .get();
        }
    }

    @ParameterizedTest
    @EnumSource
    void everyIsReceivedOnAGrid(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            callers.start(() -> {
                        long start = System.nanoTime();
                        try (LongChan chan = Timers.every(SHORT)) {
                            for (int i = 1; i <= 5; i++) {
                                assertTrue(chan.receive() >= start + i * SHORT.toNanos());
                            }
                            assertTrue(Timers.missed(chan) >= 0);
                        }
                        return null;
                    })
                    .get();
        }
    }

    @Test
    void ticksThatNobodyTakesAreDroppedAndCounted() {
        try (LongChan chan = Timers.every(Duration.ofNanos(100_000))) {
            Callers.await(() -> Timers.missed(chan) > 10);
            assertEquals(1, chan.info().length());
        }
    }

    @Test
    void aStoppedTimerCanBeReset() throws Exception {
        try (LongChan chan = Timers.after(HOUR)) {
            assertTrue(Timers.stop(chan));
            assertFalse(Timers.stop(chan));
            assertEquals(OptionalLong.empty(), chan.tryReceive());
            assertTrue(Timers.reset(chan, SHORT));
            chan.receive();
        }
    }

    @Test
    void closingTheChannelStopsItsTimer() {
        LongChan chan = Timers.every(HOUR);
        chan.close();
        assertFalse(Timers.stop(chan));
        assertEquals(0, Timers.missed(chan));
        assertThrows(ChanClosedException.class, chan::receive);
    }

    @Test
    void aTimerIsAMemberOfAGroup() throws Exception {
        try (Cgrp<String> group = new Cgrp<>();
                LongChan later = Timers.after(HOUR);
                LongChan soon = Timers.after(SHORT)) {
            group.add(later, "later");
            group.add(soon, "soon");
            Cgrp.Event<String> event = group.await();
            assertSame(soon, event.chan());
            assertTrue(soon.tryReceive().isPresent());
        }
    }

    @Test
    void delaysOfAnyLengthAreTaken() throws Exception {
        try (LongChan never = Timers.after(Duration.ofSeconds(Long.MAX_VALUE));
                LongChan neither = Timers.every(Duration.ofSeconds(Long.MAX_VALUE));
                LongChan now = Timers.after(Duration.ofSeconds(Long.MIN_VALUE))) {
            now.receive();
            assertEquals(OptionalLong.empty(), never.tryReceive());
            assertEquals(OptionalLong.empty(), neither.tryReceive());
        }
    }

    @Test
    void aPeriodThatIsNoneAndAChannelThatIsNoTimersAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> Timers.every(Duration.ZERO));
        assertThrows(IllegalArgumentException.class, () -> Timers.every(SHORT.negated()));
        try (LongChan chan = LongChan.create(1);
                LongChan ticks = Timers.every(HOUR)) {
            assertThrows(IllegalArgumentException.class, () -> Timers.stop(chan));
            assertThrows(IllegalArgumentException.class, () -> Timers.missed(chan));
            assertThrows(IllegalArgumentException.class, () -> Timers.reset(ticks, SHORT));
        }
    }
}
