// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

/** The 100 sources of the event workload, and the order in which they become ready: the same in every language. */
final class Sources {

    static final int COUNT = 100;

    private Sources() {}

    /** The source of the i-th event: neighbours in time are far from each other, and all have their turn. */
    static int of(long i) {
        return (int) (i * 37 % COUNT);
    }

    /** Stops a run whose event was not the expected one: its figure would mean nothing. */
    static void check(long i, int source) {
        if (source != of(i)) {
            throw new IllegalStateException("event " + i + " came from source " + source);
        }
    }
}
