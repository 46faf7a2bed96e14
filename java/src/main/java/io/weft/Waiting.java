// SPDX-License-Identifier: Apache-2.0
package io.weft;

/**
 * How a plain platform thread waits at a channel whose ends are declared. Lwts switch and virtual threads park
 * whatever is said here; and a thread before which others wait at the same end lines up behind them and sleeps.
 */
public enum Waiting {
    /** It watches the ring for as long as it takes, and keeps its processor busy: the fastest, for a processor each. */
    SPIN,

    /** It watches for some 20 us, and then sleeps. */
    SPIN_THEN_PARK,

    /** It sleeps in the kernel at once. The default. */
    PARK
}
