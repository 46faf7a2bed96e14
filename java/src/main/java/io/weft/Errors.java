// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EACCES;
import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.EBADF;
import static io.weft.ffi.Errno.EBUSY;
import static io.weft.ffi.Errno.EDEADLK;
import static io.weft.ffi.Errno.EEXIST;
import static io.weft.ffi.Errno.EINVAL;
import static io.weft.ffi.Errno.ENOENT;
import static io.weft.ffi.Errno.ENOMEM;
import static io.weft.ffi.Errno.ENOSPC;
import static io.weft.ffi.Errno.ENOTSUP;
import static io.weft.ffi.Errno.EPERM;
import static io.weft.ffi.Errno.EPIPE;
import static io.weft.ffi.Errno.ESRCH;

import io.weft.ffi.ErrorCalls;
import io.weft.ffi.Layouts;

/**
 * Turns the C library's result codes into exceptions, for all of weft. Codes that are expected outcomes (would wait,
 * timed out, interrupted, in progress) never come here: the caller turns them into a result or an
 * {@link InterruptedException}.
 */
final class Errors {
    private Errors() {}

    /**
     * The exception for a negative result.
     *
     * @param code as C returned it
     * @param doing what was tried, to begin the message with: "creating a channel"
     */
    static RuntimeException of(int code, String doing) {
        String message = doing + ": " + text(code);
        return switch (-code) {
            case EPIPE -> new ChanClosedException();
            case EBADF, ESRCH -> new ClosedException(message);
            case EDEADLK -> new DeadlockException(message);
            case ENOTSUP -> new WeftUnavailableException(message, null);
            case EINVAL, EACCES, ENOENT -> new IllegalArgumentException(message);
            case EPERM, EBUSY, EEXIST -> new IllegalStateException(message);
            case ENOMEM -> new LimitExceededException(message, "memory", 0, null);
            case EAGAIN -> new LimitExceededException(message, "threads", 0, null);
            case ENOSPC -> new LimitExceededException(message, "weft's table of such objects", 0, null);
            default -> new WeftException(message + " (" + code + ")");
        };
    }

    /** Passes a useful result on and throws for an error. */
    static int check(int code, String doing) {
        if (code < 0) {
            throw of(code, doing);
        }
        return code;
    }

    /** The same where an object is made that weft has a table of. */
    static void checkCreated(int code, String doing, String objects, long most) {
        if (code == -ENOSPC) {
            throw new LimitExceededException(
                    doing + ": weft's limit is " + most + " " + objects, "weft " + objects, most, null);
        }
        check(code, doing);
    }

    private static String text(int code) {
        return Layouts.string(ErrorCalls.text(code));
    }
}
