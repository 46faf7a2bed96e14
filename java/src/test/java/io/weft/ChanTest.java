// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What does not depend on the kind of the caller: creation, marks, lifetime, and what becomes of objects. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class ChanTest {
    @Test
    void aCapacityOutOfRangeIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> Chan.create(-1));
        assertThrows(IllegalArgumentException.class, () -> LongChan.create(AnyChan.MAX_CAPACITY + 1));
    }

    @Test
    void theGreatestCapacityWorks() {
        try (LongChan chan = LongChan.create(AnyChan.MAX_CAPACITY)) {
            for (int i = 0; i < AnyChan.MAX_CAPACITY; i++) {
                assertTrue(chan.trySend(i));
            }
            assertFalse(chan.trySend(0));
            assertEquals(AnyChan.MAX_CAPACITY, chan.info().length());
        }
    }

    @Test
    void theSameObjectArrives() throws Exception {
        try (Chan<Object> chan = Chan.create(1)) {
            Object message = new Object();
            chan.send(message);
            assertSame(message, chan.receive());
        }
    }

    @Test
    void nullIsNoMessage() {
        try (Chan<Object> chan = Chan.create(1)) {
            assertThrows(NullPointerException.class, () -> chan.send(null));
            assertThrows(NullPointerException.class, () -> chan.send(null, Duration.ZERO));
            assertThrows(NullPointerException.class, () -> chan.trySend(null));
            assertEquals(0, chan.info().length());
        }
    }

    @Test
    void theMarkTravelsWithTheChannelAndSurvivesTheClose() {
        LongChan chan = LongChan.create(0);
        assertEquals(0, chan.mark());
        chan.mark(-5);
        assertEquals(-5, chan.mark());
        chan.close();
        assertEquals(-5, chan.mark());
        assertThrows(ChanClosedException.class, () -> chan.mark(1));
    }

    @Test
    void closingTwiceIsHarmless() {
        LongChan chan = LongChan.create(3);
        assertFalse(chan.isClosed());
        assertTrue(chan.trySend(1));
        chan.close();
        chan.close();
        assertTrue(chan.isClosed());
        assertEquals(3, chan.capacity());
    }

    @Test
    void aClosedAndDrainedChannelIsFreed() throws Exception {
        LongChan chan = LongChan.create(1);
        chan.send(1);
        chan.close();
        assertTrue(chan.handle() != 0);
        assertEquals(1, chan.receive());
        assertThrows(ChanClosedException.class, chan::receive);
        assertEquals(0, chan.handle());
        assertThrows(ChanClosedException.class, chan::receive);
        assertEquals(new AnyChan.Info(1, 0, 0, 0, true, false), chan.info());
    }

    @Test
    @Timeout(value = 300, unit = TimeUnit.SECONDS)
    void aMillionChannelsThatWereClosedLeaveRoomForOthers() {
        for (int i = 0; i < 1_100_000; i++) {
            LongChan.create(0).close();
        }
        assertTrue(Kthd.processInfo().channels() < 1000);
    }

    @Test
    void anUnreachableChannelIsFreedAndItsObjectsAreReleased() throws Exception {
        List<WeakReference<Object>> messages = new ArrayList<>();
        long before = Kthd.processInfo().channels();
        abandonChannels(messages, 20);
        assertEquals(before + 20, Kthd.processInfo().channels());
        Callers.await(() -> {
            System.gc();
            return Kthd.processInfo().channels() <= before;
        });
        Callers.await(() -> {
            System.gc();
            return messages.stream().allMatch(message -> message.get() == null);
        });
    }

    private static void abandonChannels(List<WeakReference<Object>> messages, int count) throws Exception {
        for (int i = 0; i < count; i++) {
            Chan<Object> chan = Chan.create(2);
            Object message = new Object();
            chan.send(message);
            messages.add(new WeakReference<>(message));
            if (i % 2 == 0) {
                chan.close();
            }
        }
    }

    @Test
    void aReceivedObjectIsNotKept() throws Exception {
        try (Chan<Object> chan = Chan.create(1);
                Kthd kthd = Kthd.start()) {
            WeakReference<Object> message = kthd.<WeakReference<Object>>spawn(() -> {
                        Object sent = new Object();
                        chan.send(sent);
                        chan.receive();
                        return new WeakReference<>(sent);
                    })
                    .join();
            Callers.await(() -> {
                System.gc();
                return message.get() == null;
            });
            assertNull(message.get());
        }
    }

    @Test
    void slotsOfSendsThatFailedAreUsedAgain() throws Exception {
        try (Chan<String> full = Chan.create(0);
                Kthd kthd = Kthd.start()) {
            Runnable fail = () -> {
                for (int i = 0; i < 5000; i++) {
                    assertFalse(full.trySend("never"));
                }
            };
            fail.run();
            int slots = ObjectTable.size();
            fail.run();
            kthd.spawn(fail).join();
            kthd.spawn(() -> {
                        for (int i = 0; i < 1000; i++) {
                            assertFalse(full.send("never", Duration.ZERO));
                            Thread.currentThread().interrupt();
                            assertThrows(InterruptedException.class, () -> full.send("never"));
                        }
                        return null;
                    })
                    .join();
            full.close();
            kthd.spawn(() -> {
                        for (int i = 0; i < 1000; i++) {
                            assertThrows(ChanClosedException.class, () -> full.send("never"));
                        }
                    })
                    .join();
            assertTrue(ObjectTable.size() <= slots + 64, ObjectTable.size() + " slots, of " + slots);
        }
    }

    @Test
    void slotsOfADialogueAreUsedAgain() throws Exception {
        try (Chan<Integer> there = Chan.create(0);
                Chan<Integer> back = Chan.create(3);
                Kthd kthd = Kthd.start()) {
            int slots = ObjectTable.size();
            Lwt<?> echo = kthd.spawn(() -> {
                for (int i = 0; i < 20_000; i++) {
                    back.send(there.receive());
                }
                return null;
            });
            kthd.spawn(() -> {
                        for (int i = 0; i < 20_000; i++) {
                            there.send(i);
                            assertEquals(i, back.receive());
                        }
                        return null;
                    })
                    .join();
            echo.join();
            assertTrue(ObjectTable.size() <= slots + 64);
        }
    }

    @Test
    void manyMessagesUnderWayEachHaveTheirSlot() throws Exception {
        int count = 10_000;
        try (Chan<Integer> chan = Chan.create(count)) {
            for (int i = 0; i < count; i++) {
                chan.send(i);
            }
            for (int i = 0; i < count; i++) {
                assertEquals(Optional.of(i), chan.tryReceive());
            }
        }
    }

    @Test
    void aChannelCanBeSentOverAChannel() throws Exception {
        try (Chan<Chan<String>> requests = Chan.create(0);
                Kthd kthd = Kthd.start()) {
            kthd.spawn(() -> {
                requests.receive().send("reply");
                return null;
            });
            try (Chan<String> replies = Chan.create(0)) {
                requests.send(replies);
                assertEquals("reply", replies.receive());
            }
        }
    }

    @Test
    void noRendezvousWithOneself() throws Exception {
        try (LongChan chan = LongChan.create(0);
                Kthd kthd = Kthd.start()) {
            kthd.spawn(() -> {
                        assertFalse(chan.trySend(1));
                        assertTrue(chan.tryReceive().isEmpty());
                        assertFalse(chan.send(1, Duration.ofMillis(1)));
                        return null;
                    })
                    .join();
        }
    }
}
