// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

/**
 * The numbers of the C headers, under their C names without the prefix {@code WEFT_}. A test compares each with the
 * header, and looks for enumerators that are missing here.
 */
public final class Constants {
    public static final int ABI_VERSION = 1;

    public static final long FOREVER = Long.MAX_VALUE;
    public static final int NAME_SIZE = 32;

    public static final int IDLE_SPIN_THEN_PARK = 0;
    public static final int IDLE_PARK = 1;
    public static final int IDLE_SPIN = 2;
    public static final int KTHD_EXTERNAL = 1;
    public static final int KTHD_WAIT = 1;

    public static final int LWT_DETACHED = 1;
    public static final int LWT_READY = 1;
    public static final int LWT_RUNNING = 2;
    public static final int LWT_BLOCKED = 3;
    public static final int LWT_LOOSE = 4;
    public static final int LWT_ZOMBIE = 5;

    public static final int CHAN_MAX_CAPACITY = 1 << 20;
    public static final int CHAN_SENDER = 1;
    public static final int CHAN_RECEIVER = 2;
    public static final int CHAN_SHARED = 1;
    public static final int CHAN_IN_PLACE = 2;

    public static final int RING_VERSION = 1;
    public static final int RING_MAX_RECORD = 1024;
    public static final int RING_BIASED = 1;
    public static final int RING_CLOSED = 2;
    public static final int RING_SENDERS = 4;
    public static final int RING_RECEIVERS = 8;
    public static final int RING_GROUP = 16;
    public static final int RING_FENCE = 32;

    public static final int SELECT_MAX_CASES = 1024;
    public static final int SELECT_SKIP = 0;
    public static final int SELECT_SEND = 1;
    public static final int SELECT_RECEIVE = 2;
    public static final int SELECT_FIFO = 0;
    public static final int SELECT_PRIORITY = 1;
    public static final int SELECT_RANDOM = 2;

    public static final int JVM_NO_HOOK = 1;
    public static final int JVM_HOOKED = 1;
    public static final int JVM_UNHOOKED = 2;

    private Constants() {}
}
