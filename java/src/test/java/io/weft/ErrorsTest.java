// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.weft.ffi.Errno;
import org.junit.jupiter.api.Test;

/** Codes become exceptions whose type tells the meaning and whose message tells what was tried. */
class ErrorsTest {
    @Test
    void everyMeaningHasItsType() {
        assertType(ChanClosedException.class, Errno.EPIPE);
        assertType(ClosedException.class, Errno.EBADF);
        assertType(ClosedException.class, Errno.ESRCH);
        assertType(DeadlockException.class, Errno.EDEADLK);
        assertType(WeftUnavailableException.class, Errno.ENOTSUP);
        assertType(IllegalArgumentException.class, Errno.EINVAL);
        assertType(IllegalArgumentException.class, Errno.EACCES);
        assertType(IllegalArgumentException.class, Errno.ENOENT);
        assertType(IllegalStateException.class, Errno.EPERM);
        assertType(IllegalStateException.class, Errno.EBUSY);
        assertType(IllegalStateException.class, Errno.EEXIST);
        assertType(LimitExceededException.class, Errno.ENOMEM);
        assertType(LimitExceededException.class, Errno.EAGAIN);
        assertType(LimitExceededException.class, Errno.ENOSPC);
        assertType(WeftException.class, 9999);
    }

    private static void assertType(Class<?> type, int errno) {
        assertInstanceOf(type, Errors.of(-errno, "trying"));
    }

    @Test
    void theMessageTellsWhatWasTriedAndWhatCFound() {
        String message = Errors.of(-Errno.EINVAL, "trying").getMessage();
        assertTrue(message.startsWith("trying: ") && message.length() > "trying: ".length(), message);
    }

    @Test
    void usefulResultsPass() {
        assertEquals(3, Errors.check(3, "trying"));
        assertThrows(DeadlockException.class, () -> Errors.check(-Errno.EDEADLK, "trying"));
    }

    @Test
    void aLimitHasANameAndAValue() {
        LimitExceededException limit = new LimitExceededException("message", "pids.max", 7, null);
        assertEquals("pids.max", limit.limit());
        assertEquals(7, limit.maximum());
    }
}
