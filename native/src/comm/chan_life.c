/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel's life: creation, closing, references and ends, the last release; and the small questions.
 *
 * Closing. From the moment when `closed` is set, attention says so, and the fence was passed, an end that uses the ring
 * by itself and looks, sees it. What was sent is what lies below `closed_at`, the tail as it was after that: an end that
 * published there without having seen the close has sent, one that did so above has not, and is told (after_move() in
 * chan.c). Receivers get all below, including what was claimed by then and is published later.
 */
#include "comm/chan.h"

#include <errno.h>

#include "comm/cgrp.h"
#include "sched/info.h"

enum { CHANS = 1 << 20 };

struct slab chan_slab = {.stride = CHAN_STRIDE, .limit = CHANS, .kind = CHAN_KIND};

static SHARED(uint64_t) chans_created, chans_freed;

static uint64_t count_chans(void) { return load_relaxed(&chans_created) - load_relaxed(&chans_freed); }

/* --- creation --- */

void weft_chan_attr_init(struct weft_chan_attr *attr) { *attr = (struct weft_chan_attr){.capacity = 0}; }

static int check_attr(const struct weft_chan_attr *attr)
{
    bool in_place = attr->flags & WEFT_CHAN_IN_PLACE;
    if (attr->capacity > WEFT_CHAN_MAX_CAPACITY || attr->single & ~(uint32_t)RING_BOTH_ONE ||
        attr->flags & ~(uint32_t)(WEFT_CHAN_SHARED | WEFT_CHAN_IN_PLACE) || attr->reserved[0] || attr->reserved[1])
        return -EINVAL;
    if (attr->record_bytes > (in_place ? WEFT_RING_MAX_RECORD : 0))
        return -EINVAL;
    return !attr->capacity && (in_place || attr->single) ? -EINVAL : 0;
}

int weft_chan_create_with(weft_chan_t *out, const struct weft_chan_attr *attr)
{
    int error = out && attr ? check_attr(attr) : -EINVAL;
    if (error)
        return error;
    bool in_place = attr->flags & WEFT_CHAN_IN_PLACE;
    struct ring *ring = NULL;
    if (attr->capacity) {
        ring = ring_new(attr->capacity, attr->single, in_place ? attr->record_bytes : sizeof(uint64_t));
        if (!ring)
            return -ENOMEM;
    }
    struct weft_chan *chan = (struct weft_chan *)slab_take(&chan_slab, &error);
    if (!chan) {
        if (ring)
            ring_release(ring);
        return error;
    }
    /* A stale handle may look at the slot, and find its generation even: what it may touch is the lock. */
    chan->ring = ring;
    chan->in_place = in_place;
    chan->closed = false;
    chan->closed_at = UINT64_MAX;
    store_relaxed(&chan->announced, false);
    list_init(&chan->senders);
    list_init(&chan->receivers);
    chan->group = chan->group_mark = chan->mark = 0;
    chan->users[0] = chan->users[1] = 0;
    chan->refs = 1;
    chan->counted[0] = chan->counted[1] = 0;
    chan->ever_counted = 0;
    spinlock_acquire(&chan->bias.lock);
    if (bias_init(&chan->bias, in_place || attr->single || attr->flags & WEFT_CHAN_SHARED))
        chan_attend(chan, 0, WEFT_RING_BIASED);
    if (bias_fence_is_symmetric())
        chan_attend(chan, 0, WEFT_RING_FENCE);
    slab_revive(&chan->slot);
    spinlock_release(&chan->bias.lock);
    add_relaxed(&chans_created, 1);
    store_relaxed(&info_port.count_channels, count_chans);
    *out = chan_handle(chan);
    return 0;
}

int weft_chan_create(weft_chan_t *out, uint32_t capacity)
{
    return weft_chan_create_with(out, &(struct weft_chan_attr){.capacity = capacity});
}

/* --- closing --- */

static void close_inside(struct weft_chan *chan, bool owned, struct weft_kthd *here, struct op_list *wake)
{
    if (chan->closed)
        return;
    chan->closed = true;
    if (chan->ring) {
        chan_attend(chan, 0, WEFT_RING_CLOSED);
        chan_fence(chan, owned);
        chan->closed_at = load_acquire(&chan->ring->tail);
        chan_serve(chan, owned, wake);
    } else {
        chan_fail_all(&chan->senders, wake);
        chan_fail_all(&chan->receivers, wake);
    }
    chan_announce(chan, here, wake);
}

int weft_chan_close(weft_chan_t handle)
{
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    OP_LIST(wake);
    close_inside(chan, owned, here, &wake);
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return 0;
}

/* --- references and ends --- */

int weft_chan_retain(weft_chan_t handle, uint32_t ends)
{
    if (ends & ~(uint32_t)(WEFT_CHAN_SENDER | WEFT_CHAN_RECEIVER))
        return -EINVAL;
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    int r = 0;
    for (int end = 0; end < 2; end++) /* an end that was counted and ran out does not come back */
        if (ends >> end & 1 && chan->ever_counted >> end & 1 && !chan->counted[end])
            r = -EPIPE;
    if (chan->refs >= INT32_MAX)
        r = -ENOSPC;
    if (!r) {
        chan->refs++;
        chan->counted[0] += ends & 1;
        chan->counted[1] += ends >> 1 & 1;
        chan->ever_counted |= (uint8_t)ends;
    }
    chan_leave(chan, here, owned);
    return r;
}

static void drop_messages(struct weft_chan *chan, bool owned)
{
    uint64_t position;
    if (owned)
        store_relaxed(&chan->ring->head, load_relaxed(&chan->ring->tail));
    else
        while (ring_claim_receive(chan->ring, chan->closed_at, &position))
            ring_free(chan->ring, position);
}

/* The last sender or receiver may be gone. */
static void ends_ran_out(struct weft_chan *chan, uint32_t ends, bool owned, struct weft_kthd *here,
                         struct op_list *wake)
{
    bool no_sender = ends & WEFT_CHAN_SENDER && !chan->counted[0];
    bool no_receiver = ends & WEFT_CHAN_RECEIVER && !chan->counted[1];
    if (no_sender || no_receiver)
        close_inside(chan, owned, here, wake);
    if (no_receiver && chan->ring)
        drop_messages(chan, owned); /* nobody will ask for them: lost, as the contract says */
}

int weft_chan_release(weft_chan_t handle, uint32_t ends)
{
    if (ends & ~(uint32_t)(WEFT_CHAN_SENDER | WEFT_CHAN_RECEIVER))
        return -EINVAL;
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    for (int end = 0; end < 2; end++)
        if (ends >> end & 1 && !chan->counted[end]) {
            chan_leave(chan, here, owned);
            return -EINVAL;
        }
    OP_LIST(wake);
    chan->counted[0] -= ends & 1;
    chan->counted[1] -= ends >> 1 & 1;
    ends_ran_out(chan, ends, owned, here, &wake);
    bool last = --chan->refs == 0;
    struct ring *ring = chan->ring;
    if (last) {
        close_inside(chan, owned, here, &wake);
        if (chan->group)
            cgrp_forget(chan, here);
        chan->ring = NULL;
        slab_retire(&chan->slot); /* from here on nobody gets inside by a handle */
        bias_forget(&chan->bias);
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    if (last) {
        if (ring)
            ring_release(ring);
        add_relaxed(&chans_freed, 1);
        slab_put(&chan_slab, &chan->slot);
    }
    return 0;
}

/* --- small questions --- */

int weft_chan_mark_set(weft_chan_t handle, uint64_t value)
{
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    chan->mark = value;
    chan_leave(chan, here, owned);
    return 0;
}

int weft_chan_mark_get(weft_chan_t handle, uint64_t *value)
{
    if (!value)
        return -EINVAL;
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    *value = chan->mark;
    chan_leave(chan, here, owned);
    return 0;
}

static uint32_t list_length(const struct list *head)
{
    uint32_t n = 0;
    for (const struct list *node = head->next; node != head; node = node->next)
        n++;
    return n;
}

int weft_chan_info(weft_chan_t handle, struct weft_chan_info *out)
{
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    *out = (struct weft_chan_info){
        .capacity = chan->ring ? chan->ring->capacity : 0,
        .length = chan->ring ? (uint32_t)ring_length(chan->ring, chan->closed_at) : 0,
        .sending = list_length(&chan->senders),
        .receiving = list_length(&chan->receivers),
        .refs = chan->refs,
        .senders = chan->counted[0],
        .receivers = chan->counted[1],
        .closed = chan->closed,
        .biased = bias_is_owned(&chan->bias),
    };
    chan_leave(chan, here, owned);
    return 0;
}

/* --- for bindings that run the ring's protocol themselves --- */

struct weft_ring *weft_chan_ring(weft_chan_t handle)
{
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return NULL;
    struct ring *ring = chan->ring;
    if (ring)
        add_relaxed(&ring->holds, 1); /* the channel's own hold is there as long as we are inside */
    chan_leave(chan, here, owned);
    return (struct weft_ring *)ring;
}

void weft_ring_release(struct weft_ring *ring) { ring_release((struct ring *)ring); }

int weft_chan_bind(weft_chan_t handle, uint32_t end, uint64_t user)
{
    if ((end != WEFT_CHAN_SENDER && end != WEFT_CHAN_RECEIVER) || !user)
        return -EINVAL;
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    int r = chan->ring && chan->ring->ends & end ? chan_bind(chan, end, user) : -EINVAL;
    chan_leave(chan, here, owned);
    return r;
}
