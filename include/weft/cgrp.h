/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgrp: a group of channels that are waited on together. Channels come and go at any time; each is a member of one
 * group at most. A member is ready when a receive on it would not wait: a word is there, a sender waits, or it is
 * closed. Readiness is queued FIFO, and a member that stays ready goes to the end of that queue each time it is
 * reported: none starves. Every operation is O(1), whatever the number of members.
 *
 * Readiness is a hint where several threads receive from the same channel: use weft_chan_try_recv() there.
 *
 * Source: the channel groups of the first seed.
 */
#ifndef WEFT_CGRP_H
#define WEFT_CGRP_H

#include "types.h"

WEFT_BEGIN

struct weft_event {
    weft_chan_t chan; /* the member that is ready */
    uint64_t mark;    /* what weft_cgrp_add() was given for it */
};

/* Creates an empty group. Errors: -ENOSPC (65,535 groups live), -ENOMEM. Does not block. */
WEFT_API int weft_cgrp_create(weft_cgrp_t *out);

/*
 * Frees a group; its members go on living, in none. Threads that wait for it are woken with -EBADF.
 * Errors: -EBADF, -EBUSY (members are ready: their events would be lost). Does not block.
 */
WEFT_API int weft_cgrp_free(weft_cgrp_t cgrp);

/*
 * Makes a channel a member. If it is ready it is reported.
 *   mark   comes back with its events
 * Errors: -EBADF (group or channel), -EEXIST (it is in a group already). Does not block.
 */
WEFT_API int weft_cgrp_add(weft_cgrp_t cgrp, weft_chan_t chan, uint64_t mark);

/* Takes a channel out. Returns 1 if an event was pending for it (it is dropped; the channel's words stay), else 0.
 * Errors: -EBADF, -ENOENT (no member of this group). Does not block. */
WEFT_API int weft_cgrp_remove(weft_cgrp_t cgrp, weft_chan_t chan);

/*
 * Waits until a member is ready and reports the one that has been so the longest.
 *   event   receives the channel and its mark; not NULL
 * Errors: -EBADF (also: freed while waiting), -EINTR (lwts only), -ETIMEDOUT, and for the try-form -EAGAIN.
 */
WEFT_API int weft_cgrp_wait(weft_cgrp_t cgrp, struct weft_event *event);
WEFT_API int weft_cgrp_wait_until(weft_cgrp_t cgrp, struct weft_event *event, int64_t deadline_ns);
WEFT_API int weft_cgrp_try_wait(weft_cgrp_t cgrp, struct weft_event *event);

WEFT_END
#endif
