// SPDX-License-Identifier: Apache-2.0
package io.weft;

import io.weft.ffi.AbiCalls;
import io.weft.ffi.Constants;
import java.time.Duration;

/**
 * Points in time as the C library counts them: nanoseconds of the monotonic clock, {@link #NEVER} for one that does not
 * come. A time-out becomes a deadline once, at the door, so that a wait that is taken up again does not start over.
 */
final class Deadline {
    static final long NEVER = Constants.FOREVER;

    /** One that has passed: not to wait at all. */
    static final long PAST = 0;

    private Deadline() {}

    /** The time that comes after a time-out; now, if that is zero or negative. */
    static long after(Duration timeout) {
        long now = AbiCalls.nowNs();
        if (timeout.isNegative()) {
            return now;
        }
        long deadline;
        try {
            deadline = Math.addExact(now, timeout.toNanos());
        } catch (ArithmeticException centuries) {
            return NEVER;
        }
        return deadline;
    }

    static boolean isPast(long deadline) {
        return deadline != NEVER && remaining(deadline) <= 0;
    }

    /** Nanoseconds that are left; zero or negative when it has passed. */
    static long remaining(long deadline) {
        return deadline - AbiCalls.nowNs();
    }
}
