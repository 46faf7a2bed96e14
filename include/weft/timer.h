/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer: channels that receive the time, at a moment or again and again. Whatever a channel can do they can: be received
 * from by threads of any kind, be members of a group, be closed.
 *
 *     weft_chan_t tick;
 *     uint64_t now_ns;
 *     weft_timer_every(&tick, weft_abi_now_ns(), 1000000000);
 *     while (weft_chan_recv(tick, &now_ns) == 0)
 *         puts("a second later");
 *
 * The channels are of capacity 1, and the caller holds the one reference. The word is the time at which it was sent, in
 * nanoseconds on CLOCK_MONOTONIC, and never before it was due; timers fire in the order in which they are due, and those
 * due at the same nanosecond in any. A moment in the past is now, and WEFT_FOREVER does not come.
 *
 * A timer ends with its channel: after weft_chan_close(), or the last weft_chan_release(), nothing is sent any more. What
 * the library keeps of it then, no more than 48 bytes for each channel that there has been at one time, is forgotten when
 * it would have fired, when another timer has the channel's place in the table, or by weft_timer_stop() before the release.
 *
 * One thread of the library's own sends to all of them. It is started with the first timer and sleeps until the next is
 * due, without waking up in between. No function here blocks; each takes time in O(log n) of the timers pending.
 *
 * Source: Go's time.After and time.Ticker.
 */
#ifndef WEFT_TIMER_H
#define WEFT_TIMER_H

#include "types.h"

WEFT_BEGIN

/*
 * Creates a channel that receives the time once, and is then closed: receivers get the word, then -EPIPE.
 *   out     receives the handle; set only on success
 *   at_ns   the moment, on CLOCK_MONOTONIC
 * Errors: -EINVAL (out NULL), -ENOMEM, -ENOSPC (see weft_chan_create()), -EAGAIN (the system gives no thread; the first
 * timer only).
 */
WEFT_API int weft_timer_after(weft_chan_t *out, int64_t at_ns);

/*
 * Creates a channel that receives the time at first_ns, first_ns + period_ns, first_ns + 2 * period_ns and so on, whatever
 * the delays. A tick that finds the last one still in the channel is dropped; of ticks that are overdue together, because
 * the process or the machine stood still, one is sent. Ticks due before the call are not made up for.
 *   out         receives the handle; set only on success
 *   first_ns    the first tick, on CLOCK_MONOTONIC
 *   period_ns   nanoseconds from one to the next, 1 or more
 * Errors: as above; -EINVAL also: period_ns is zero or negative.
 */
WEFT_API int weft_timer_every(weft_chan_t *out, int64_t first_ns, int64_t period_ns);

/* How many ticks were due and not sent. Those received, the one in the channel, and these make up all that were due; 0 for
 * weft_timer_after(). Errors: -EBADF, -EINVAL (the channel is not a timer's). */
WEFT_API int64_t weft_timer_missed(weft_chan_t chan);

/*
 * Stops the timer: 0, and nothing is sent any more (of a tick, but for one that is being sent at this moment). The channel
 * stays open, and whoever receives from it goes on waiting.
 * Errors: -EBADF, -EINVAL (the channel is not a timer's), -EALREADY (it has fired, was stopped, or its channel is closed).
 */
WEFT_API int weft_timer_stop(weft_chan_t chan);

/*
 * Lets the timer of weft_timer_after() fire at at_ns instead, also if it was stopped: 0.
 * Errors: -EBADF, -EINVAL (the channel is none of weft_timer_after()'s), -EALREADY (it has fired, or its channel is closed).
 */
WEFT_API int weft_timer_reset(weft_chan_t chan, int64_t at_ns);

WEFT_END
#endif
