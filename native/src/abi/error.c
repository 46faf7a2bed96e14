/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentences for the results. The list is that of weft/error.h.
 */
#include "weft/error.h"

#include <errno.h>

const char *weft_error_text(int code)
{
    switch (code) {
    case 0: return "success";
    case -EACCES: return "the function lies in no loaded executable or library (no Java code may run on a native lwt)";
    case -EAGAIN: return "it would have to wait, or a limit on threads is reached";
    case -EALREADY: return "the operation has completed already";
    case -EBADF: return "no such channel or group, or no longer";
    case -EBUSY: return "somebody depends on it";
    case -EDEADLK: return "waiting would be waiting for oneself";
    case -EEXIST: return "the channel is a member of a group already";
    case -EINPROGRESS: return "the operation is under way";
    case -EINTR: return "the wait was interrupted";
    case -EINVAL: return "an argument is out of range";
    case -ENOENT: return "the channel is no member of this group";
    case -ENOMEM: return "the system gives no more memory";
    case -ENOSPC: return "the table of such objects is full";
    case -ENOTSUP: return "this platform or process cannot do it";
    case -EPERM: return "only an lwt may call this, or an lwt may not";
    case -EPIPE: return "the channel is closed";
    case -ESRCH: return "no such lwt or kthd, or no longer";
    case -ETIMEDOUT: return "the deadline passed";
    case -EUSERS: return "this end was declared single, and is used by another thread";
    default: return "unknown error";
    }
}
