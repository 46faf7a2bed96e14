// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

/** What a ring of another making than this jar's library would do. What rings of its own do is tested above. */
class RingTest {
    @Test
    void aRingOfAnotherVersionIsRefused() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment ring = arena.allocate(Layouts.RING);
            ring.set(ValueLayout.JAVA_INT, Layouts.RING_VERSION, Constants.RING_VERSION + 1);
            String message = assertThrows(LibraryException.class, () -> Ring.at(ring.address())).getMessage();
            assertTrue(message.contains("version " + (Constants.RING_VERSION + 1)), message);
        }
    }
}
