// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

/**
 * The system's error numbers that weft returns, negated. Linux on x86-64 has fixed them for good; a test compares them
 * with {@code <errno.h>} all the same.
 */
public final class Errno {
    public static final int EPERM = 1;
    public static final int ENOENT = 2;
    public static final int ESRCH = 3;
    public static final int EINTR = 4;
    public static final int EBADF = 9;
    public static final int EAGAIN = 11;
    public static final int ENOMEM = 12;
    public static final int EACCES = 13;
    public static final int EBUSY = 16;
    public static final int EEXIST = 17;
    public static final int EINVAL = 22;
    public static final int ENOSPC = 28;
    public static final int EPIPE = 32;
    public static final int EDEADLK = 35;
    public static final int EUSERS = 87;
    public static final int ENOTSUP = 95;
    public static final int ETIMEDOUT = 110;
    public static final int EALREADY = 114;
    public static final int EINPROGRESS = 115;

    private Errno() {}
}
