/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel group. It holds a FIFO queue of members that became ready, and the ops that wait for one; it holds no
 * list of members: a channel knows its group, by handle, so that add, remove and free are O(1).
 *
 * Readiness is level-triggered. A member is put into the queue when it becomes ready (by whoever makes it so, from
 * inside the channel), and taken out by a wait, which then goes inside the channel and looks: still ready, it goes to
 * the end of the queue and is reported; else it is forgotten until it becomes ready again.
 *
 * Invariants, while nobody is inside:
 *   G1  Ops wait only while the queue is empty: who queues a member hands it to every op that waits.
 *   G2  A member that is ready is `announced`, or between being taken out and being looked at. No readiness is lost:
 *       `announced` is cleared inside the group, before the look inside the channel; so a sender that comes inside
 *       the channel after that look finds it cleared, and announces; one that came before was seen by the look.
 *   G3  Order: channel, then group. Hence a wait leaves the group before it looks at a channel, by handle: the
 *       channel may be gone by then.
 */
#include "comm/cgrp.h"

#include <errno.h>

#include "base/clock.h"

enum { CGRPS = 1 << 16 };

struct weft_cgrp {
    struct slab_slot slot;
    struct list ready;   /* members, by weft_chan.ready. While the slot is free, its link lies here */
    struct bias bias;    /* entered through stale handles too: nothing may lie over it */
    struct list waiters; /* ops, FIFO */
} CACHE_ALIGNED;

_Static_assert(offsetof(struct weft_cgrp, bias) >= sizeof(struct slab_free), "the link of a free slot spares the bias");

#define CGRP_STRIDE (sizeof(struct weft_cgrp) / CACHE_LINE * CACHE_LINE | CACHE_LINE)
#define CGRP_KIND 4u
static struct slab cgrp_slab = {.stride = CGRP_STRIDE, .limit = CGRPS, .kind = CGRP_KIND};

static struct weft_cgrp *cgrp_enter(uint64_t handle, struct weft_kthd *here, bool *owned)
{
    struct weft_cgrp *cgrp = (struct weft_cgrp *)slab_find_sized(&cgrp_slab, CGRP_STRIDE, CGRP_KIND, handle);
    if (unlikely(!cgrp))
        return NULL;
    *owned = bias_enter(&cgrp->bias, here, BIAS_GROUP);
    if (likely(slab_alive(&cgrp->slot, handle)))
        return cgrp;
    bias_leave(&cgrp->bias, here, BIAS_GROUP, *owned);
    return NULL;
}

static void cgrp_leave(struct weft_cgrp *cgrp, struct weft_kthd *here, bool owned)
{
    bias_leave(&cgrp->bias, here, BIAS_GROUP, owned);
}

/* --- what channels tell --- */

void cgrp_announce(struct weft_chan *chan, struct weft_kthd *here, struct op_list *wake)
{
    bool owned;
    struct weft_cgrp *cgrp = cgrp_enter(chan->group, here, &owned);
    if (unlikely(!cgrp)) {
        chan->group = 0; /* it was freed: so the channel learns of it */
        chan_attend(chan, WEFT_RING_GROUP, 0);
        return;
    }
    chan_attend(chan, WEFT_RING_GROUP, 0);
    store_relaxed(&chan->announced, true);
    list_push_back(&cgrp->ready, &chan->ready);
    while (unlikely(!list_empty(&cgrp->waiters))) { /* G1 */
        struct op *op = op_of_link(cgrp->waiters.next);
        list_remove(&op->link);
        op->value = chan_handle(chan).id;
        op->mark = chan->group_mark;
        op->result = 0;
        op_list_add(wake, op);
    }
    cgrp_leave(cgrp, here, owned);
}

bool cgrp_forget(struct weft_chan *chan, struct weft_kthd *here)
{
    bool owned, pending = chan_is_ready(chan);
    struct weft_cgrp *cgrp = cgrp_enter(chan->group, here, &owned);
    chan->group = 0;
    chan_attend(chan, WEFT_RING_GROUP, 0);
    if (!cgrp)
        return false;
    if (load_relaxed(&chan->announced))
        list_remove(&chan->ready);
    store_relaxed(&chan->announced, false);
    cgrp_leave(cgrp, here, owned);
    return pending;
}

/* Is the member, which the caller is inside of, ready? If not, the next sender will announce it: also one that uses the
 * ring without coming inside. */
static bool watch(struct weft_chan *chan, bool owned)
{
    if (chan_is_ready(chan))
        return true;
    chan_attend(chan, 0, WEFT_RING_GROUP);
    chan_fence(chan, owned);
    return chan_is_ready(chan);
}

/* --- waiting --- */

/* Takes the member that was announced first out of the queue; its handle, or 0 if there is none. */
static uint64_t take_announced(struct weft_cgrp *cgrp)
{
    struct list *node = list_pop_front(&cgrp->ready);
    if (!node)
        return 0;
    struct weft_chan *chan = container_of(node, struct weft_chan, ready);
    store_relaxed(&chan->announced, false); /* G2 */
    return chan_handle(chan).id;
}

/* Looks whether the member is ready; then it is announced anew, behind the others, and reported. */
static bool look_at(uint64_t chan_id, uint64_t cgrp_id, struct weft_kthd *here, struct weft_event *event)
{
    bool owned;
    struct weft_chan *chan = chan_enter((weft_chan_t){chan_id}, here, &owned);
    if (!chan)
        return false;
    bool ready = chan->group == cgrp_id && watch(chan, owned);
    OP_LIST(wake);
    if (ready) {
        *event = (struct weft_event){.chan = {chan_id}, .mark = chan->group_mark};
        if (!load_relaxed(&chan->announced))
            cgrp_announce(chan, here, &wake);
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return ready;
}

static bool op_withdraw(struct op *op, struct weft_kthd *here)
{
    struct weft_cgrp *cgrp = op->object;
    bool owned = bias_enter(&cgrp->bias, here, BIAS_GROUP);
    bool queued = list_linked(&op->link);
    if (queued)
        list_remove(&op->link);
    cgrp_leave(cgrp, here, owned);
    return queued;
}

/*
 * 0 with an event; -EBADF; or -EAGAIN: then, if `op` is given, it has been queued, in the same instant in which
 * nothing was announced.
 */
static int wait_now(uint64_t id, struct weft_kthd *here, struct weft_event *event, struct op *op)
{
    for (;;) {
        bool owned;
        struct weft_cgrp *cgrp = cgrp_enter(id, here, &owned);
        if (unlikely(!cgrp))
            return -EBADF;
        uint64_t chan_id = take_announced(cgrp);
        if (!chan_id && op) {
            op->object = cgrp;
            op->withdraw = op_withdraw;
            store_relaxed(&op->state, OP_QUEUED);
            list_push_back(&cgrp->waiters, &op->link);
        }
        cgrp_leave(cgrp, here, owned);
        if (!chan_id)
            return -EAGAIN;
        if (look_at(chan_id, id, here, event))
            return 0;
    }
}

static int cgrp_wait(struct weft_lwt *self, weft_cgrp_t handle, struct weft_event *event, int64_t deadline_ns)
{
    int r = wait_now(handle.id, kthd_here(self), event, NULL);
    if (r != -EAGAIN)
        return r;
    if (deadline_ns != WEFT_FOREVER && deadline_ns <= clock_now_ns())
        return -ETIMEDOUT;
    lwt_rejoined(self);
    struct op mine = {.lwt = NULL}, *op = self ? &self->op : &mine;
    op->lwt = self;
    op->token = 0;
    r = wait_now(handle.id, kthd_here(self), event, op);
    if (r != -EAGAIN)
        return r;
    r = self ? op_wait_as_lwt(self, WAIT_GROUP, deadline_ns) : op_wait_as_thread(op, deadline_ns);
    *event = (struct weft_event){.chan = {op->value}, .mark = op->mark};
    return r;
}

int weft_cgrp_wait(weft_cgrp_t cgrp, struct weft_event *event)
{
    return event ? cgrp_wait(lwt_current(), cgrp, event, WEFT_FOREVER) : -EINVAL;
}

int weft_cgrp_wait_until(weft_cgrp_t cgrp, struct weft_event *event, int64_t deadline_ns)
{
    return event ? cgrp_wait(lwt_current(), cgrp, event, deadline_ns < 0 ? 0 : deadline_ns) : -EINVAL;
}

int weft_cgrp_try_wait(weft_cgrp_t cgrp, struct weft_event *event)
{
    return event ? wait_now(cgrp.id, kthd_here(lwt_current()), event, NULL) : -EINVAL;
}

int weft_cgrp_wait_as(struct weft_self *self, weft_cgrp_t cgrp, int64_t deadline_ns)
{
    struct weft_event event = {.mark = 0};
    int r = cgrp_wait(lwt_of_self(self), cgrp, &event, deadline_ns < 0 ? 0 : deadline_ns);
    self->value = event.chan.id;
    self->mark = event.mark;
    return r;
}

int weft_cgrp_wait_start(weft_cgrp_t handle, struct weft_op *shell, uint64_t token)
{
    if (!shell || (uintptr_t)shell % 16)
        return -EINVAL;
    struct op *op = (struct op *)shell;
    struct weft_event event;
    op->lwt = NULL;
    op->token = token;
    int r = wait_now(handle.id, kthd_here(lwt_current()), &event, op);
    if (!r) {
        op->value = event.chan.id;
        op->mark = event.mark;
    }
    return r == -EAGAIN ? -EINPROGRESS : r;
}

/* --- membership and lifetime --- */

int weft_cgrp_create(weft_cgrp_t *out)
{
    int error = 0;
    if (!out)
        return -EINVAL;
    struct weft_cgrp *cgrp = (struct weft_cgrp *)slab_take(&cgrp_slab, &error);
    if (!cgrp)
        return error;
    list_init(&cgrp->ready);
    list_init(&cgrp->waiters);
    spinlock_acquire(&cgrp->bias.lock);
    bias_init(&cgrp->bias, false);
    slab_revive(&cgrp->slot);
    spinlock_release(&cgrp->bias.lock);
    out->id = slab_handle(&cgrp_slab, &cgrp->slot);
    return 0;
}

int weft_cgrp_free(weft_cgrp_t handle)
{
    bool owned;
    struct weft_event event;
    struct weft_kthd *here = kthd_here(lwt_current());
    /* Looks at every member that was announced: those that are not ready any more are forgotten by the way. */
    int r = wait_now(handle.id, here, &event, NULL);
    if (r != -EAGAIN)
        return r ? r : -EBUSY;
    struct weft_cgrp *cgrp = cgrp_enter(handle.id, here, &owned);
    if (!cgrp)
        return -EBADF;
    if (!list_empty(&cgrp->ready)) { /* announced since */
        cgrp_leave(cgrp, here, owned);
        return -EBUSY;
    }
    OP_LIST(wake);
    while (!list_empty(&cgrp->waiters)) {
        struct op *op = op_of_link(cgrp->waiters.next);
        list_remove(&op->link);
        op->result = -EBADF;
        op_list_add(&wake, op);
    }
    slab_retire(&cgrp->slot);
    bias_forget(&cgrp->bias);
    cgrp_leave(cgrp, here, owned);
    op_complete_all(here, &wake);
    slab_put(&cgrp_slab, &cgrp->slot);
    return 0;
}

/* Is it a live group? */
static bool cgrp_lives(uint64_t handle)
{
    return slab_find_sized(&cgrp_slab, CGRP_STRIDE, CGRP_KIND, handle) != NULL;
}

int weft_cgrp_add(weft_cgrp_t cgrp, weft_chan_t handle, uint64_t mark)
{
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    if (!cgrp_lives(cgrp.id))
        return -EBADF;
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    int r = 0;
    OP_LIST(wake);
    if (chan->group && cgrp_lives(chan->group)) {
        r = -EEXIST;
    } else {
        chan->group = cgrp.id;
        chan->group_mark = mark;
        store_relaxed(&chan->announced, false);
        if (watch(chan, owned))
            cgrp_announce(chan, here, &wake);
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return r;
}

int weft_cgrp_remove(weft_cgrp_t cgrp, weft_chan_t handle)
{
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    if (!cgrp_lives(cgrp.id))
        return -EBADF;
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    int r = chan->group == cgrp.id ? cgrp_forget(chan, here) : -ENOENT;
    chan_leave(chan, here, owned);
    return r;
}
