/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft: lightweight threads, channels and channel groups for C and Java.
 *
 * This header gathers the public contract; each noun has its own header and can be included alone.
 *
 *     kthd   a run queue and the right to run it          weft/kthd.h
 *     lwt    a lightweight thread                         weft/lwt.h
 *     chan   a queue of 64-bit words between threads      weft/chan.h
 *     cgrp   a group of channels that are waited on       weft/cgrp.h
 *     op     a channel operation that is under way        weft/op.h
 *     select one of several sends and receives            weft/select.h
 *     timer  a channel that receives the time             weft/timer.h
 *
 * Rules that hold everywhere, unless a function says otherwise:
 *
 *  - Success is zero or a useful non-negative number. Failure is a negative errno, returned, never left in errno;
 *    the state is then as it was before the call. weft_error_text() gives each code's meaning.
 *  - A handle is a value (index and generation). A stale, forged or foreign one is answered with -ESRCH (lwt, kthd)
 *    or -EBADF (chan, cgrp), never with undefined behaviour. The zero handle names nothing.
 *  - Every function may be called from any thread: from a native lwt, an adopted thread, or a plain thread. A blocking
 *    call of an lwt switches to the next lwt of its kthd; one of a plain thread sleeps in the kernel.
 *  - No function is async-signal-safe, except weft_lwt_id().
 *  - A deadline is an absolute time in nanoseconds on CLOCK_MONOTONIC; WEFT_FOREVER never comes, one in the past is
 *    the same as not waiting (-ETIMEDOUT in place of -EAGAIN).
 *  - Whatever a thread did before it sent, unparked, exited or closed happens before whatever the thread that
 *    received, was unparked, joined or saw the close does afterwards.
 */
#ifndef WEFT_H
#define WEFT_H

#include "weft/types.h"
#include "weft/error.h"
#include "weft/kthd.h"
#include "weft/lwt.h"
#include "weft/chan.h"
#include "weft/ring.h"
#include "weft/cgrp.h"
#include "weft/op.h"
#include "weft/select.h"
#include "weft/timer.h"

#endif
