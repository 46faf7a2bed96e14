/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the negative results mean. Codes are the system's errno values, negated:
 *
 *     -EACCES      the function is no native code (in a Java VM)
 *     -EAGAIN      a try-form would have had to wait, or a system limit on threads is reached
 *     -EALREADY    the operation has completed
 *     -EBADF       the channel or group handle is stale or was never one
 *     -EBUSY       somebody depends on it: lwts live on the kthd, events pend in the group, another thread is joining
 *     -EDEADLK     waiting would be waiting for oneself
 *     -EEXIST      the channel is a member of a group already
 *     -EINPROGRESS an operation was started and has not completed
 *     -EINTR       weft_lwt_interrupt() ended the wait
 *     -EINVAL      an argument is out of range
 *     -ENOENT      the channel is no member of this group
 *     -ENOMEM      the system gives no more memory
 *     -ENOSPC      the table of such objects is full
 *     -ENOTSUP     this platform, or this process, cannot do it
 *     -EPERM       only an lwt may call this (or: a thread that is an lwt already may not)
 *     -EPIPE       the channel is closed (receiving: and drained)
 *     -ESRCH       no such lwt or kthd, or no longer
 *     -ETIMEDOUT   the deadline passed
 *     -EUSERS      the end is declared single, and another thread is using it
 */
#ifndef WEFT_ERROR_H
#define WEFT_ERROR_H

#include "types.h"

WEFT_BEGIN

/* A short sentence for a result of this library: `code` is negative as returned; zero reads "success". The text is
 * static and constant. Never fails: an unknown code gives "unknown error". Does not block. */
WEFT_API const char *weft_error_text(int code);

WEFT_END
#endif
