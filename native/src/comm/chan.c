/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel's operations. One algorithm for all forms: under the exclusion, an operation completes at once or does
 * not; if not, it is queued as an op and whoever completes it takes it out of the queue. Try, timed and blocking forms
 * differ in what they do in between. Creation, closing and the end are in chan_life.c.
 *
 * A buffered channel's messages lie in a ring (ring.h). While the channel is biased its owner alone touches it, inside
 * the exclusion. Afterwards, and from the start where that was asked for, ends that run the ring's protocol themselves
 * come and go without any exclusion; the exclusion then guards the queues of ops, the close and the group, and
 * `attention` tells those ends when they must come here.
 *
 * Invariants, while nobody is inside:
 *   C1  Senders wait only if the buffer is full (always, for a rendezvous); receivers only if it is empty; or else an end
 *       that has just changed that is on its way to weft_chan_sent() or weft_chan_received().
 *   C2  So never both wait for good, and a word is never left in the buffer while a receiver waits.
 *   C3  A closed channel has no waiting op, but receivers who wait for messages that were claimed before the close and
 *       are not published yet.
 *   C4  A ready channel in a group is announced, or its announcement is being looked at (cgrp.c), or as in C1.
 *   C5  A bit of `attention` is set before the op it stands for is queued, and the ring was looked at after
 *       that and a fence (chan_fence()). Others that queue up while the bit is set rely on that fence and look; a select,
 *       which queues in several channels before one fence for all of them, owes it to them too (select.c).
 *   C6  A queued op whose select is over counts as none, above and everywhere: op_hold_first() takes such out. And one
 *       select may wait at both ends of a rendezvous: C2 is about others.
 *
 * Locks, outermost first: channel, its group. Ops are completed after both are left.
 */
#include "comm/chan.h"

#include <errno.h>

#include "base/clock.h"
#include "comm/cgrp.h"

#define NO_WAIT INT64_MIN /* the deadline of the try-forms */

/* --- what completes at once; the caller is inside --- */

static ALWAYS_INLINE struct op *first_op(struct list *queue) { return op_of_link(queue->next); }

void chan_fail_all(struct list *queue, struct op_list *wake)
{
    struct op *op;
    while ((op = op_hold_first(queue)))
        op_take(op, -EPIPE, wake);
}

/* Gives the first receiver a message, or the first sender a place. */
static bool serve_receiver(struct weft_chan *chan, bool owned, struct op_list *wake)
{
    uint64_t got;
    struct op *op = op_hold_first(&chan->receivers);
    if (!op)
        return false;
    bool done = chan->in_place ? ring_claim_receive(chan->ring, chan->closed_at, &got)
                               : ring_pop(chan->ring, owned, chan->closed_at, &got);
    if (!done) {
        op_let_go(op);
        return false;
    }
    *op->out = got;
    op_take(op, 0, wake);
    return true;
}

static bool serve_sender(struct weft_chan *chan, bool owned, struct op_list *wake)
{
    uint64_t place = 0;
    struct op *op = op_hold_first(&chan->senders);
    if (!op)
        return false;
    bool done = chan->in_place ? ring_claim_send(chan->ring, &place) : ring_push(chan->ring, owned, op->value);
    if (!done) {
        op_let_go(op);
        return false;
    }
    if (chan->in_place)
        *op->out = place;
    op_take(op, 0, wake);
    return true;
}

void chan_serve(struct weft_chan *chan, bool owned, struct op_list *wake)
{
    for (bool moved = true; moved;) {
        moved = false;
        while (serve_receiver(chan, owned, wake))
            moved = true;
        while (!chan->closed && serve_sender(chan, owned, wake))
            moved = true;
    }
    if (unlikely(chan->closed)) {
        chan_fail_all(&chan->senders, wake);
        if (load_relaxed(&chan->ring->head) >= chan->closed_at)
            chan_fail_all(&chan->receivers, wake);
    }
    chan_settle(chan);
}

void chan_announce(struct weft_chan *chan, struct weft_kthd *here, struct op_list *wake)
{
    if (unlikely(chan->group && !load_relaxed(&chan->announced)) && chan_is_ready(chan)) /* relaxed: G2 in cgrp.c */
        cgrp_announce(chan, here, wake);
}

static int rendezvous_now(struct weft_chan *chan, const struct wish *wish, struct op_list *wake)
{
    struct op *op = op_hold_first(wish->send ? &chan->receivers : &chan->senders);
    if (!op)
        return chan->closed ? -EPIPE : -EAGAIN;
    if (wish->send)
        *op->out = wish->value;
    else
        *wish->out = op->value;
    op_take(op, 0, wake);
    return 0;
}

static int send_now(struct weft_chan *chan, const struct wish *wish, bool owned, struct op_list *wake)
{
    uint64_t place;
    if (chan->closed)
        return -EPIPE;
    if (!list_empty(&chan->senders))
        chan_serve(chan, owned, wake); /* it is their turn first */
    if (!list_empty(&chan->senders))
        return -EAGAIN;
    if (wish->in_place) {
        if (!ring_claim_send(chan->ring, &place))
            return -EAGAIN;
        *wish->out = place;
        return 0;
    }
    if (!ring_push(chan->ring, owned, wish->value))
        return -EAGAIN;
    if (!list_empty(&chan->receivers))
        chan_serve(chan, owned, wake);
    return 0;
}

static int receive_now(struct weft_chan *chan, const struct wish *wish, bool owned, struct op_list *wake)
{
    uint64_t got;
    if (!list_empty(&chan->receivers))
        chan_serve(chan, owned, wake);
    if (list_empty(&chan->receivers) &&
        (wish->in_place ? ring_claim_receive(chan->ring, chan->closed_at, &got)
                        : ring_pop(chan->ring, owned, chan->closed_at, &got))) {
        *wish->out = got;
        if (!list_empty(&chan->senders))
            chan_serve(chan, owned, wake);
        return 0;
    }
    return chan->closed && load_relaxed(&chan->ring->head) >= chan->closed_at ? -EPIPE : -EAGAIN;
}

int chan_complete_now(struct weft_chan *chan, const struct wish *wish, bool owned, struct weft_kthd *here,
                      struct op_list *wake)
{
    if (!chan->ring)
        return rendezvous_now(chan, wish, wake);
    if (!wish->send)
        return receive_now(chan, wish, owned, wake);
    int r = send_now(chan, wish, owned, wake);
    chan_announce(chan, here, wake);
    return r;
}

/* --- what waits --- */

static bool op_withdraw(struct op *op, struct weft_kthd *here)
{
    struct weft_chan *chan = op->object;
    bool owned = bias_enter(&chan->bias, here, BIAS_CHANNEL);
    bool queued = list_linked(&op->link);
    if (queued) {
        list_remove(&op->link);
        chan_settle(chan);
    }
    chan_leave(chan, here, owned);
    return queued;
}

static ALWAYS_INLINE void op_queue(struct op *op, struct weft_chan *chan, const struct wish *wish, struct weft_lwt *lwt,
                                   uint64_t token)
{
    op->value = wish->value;
    op->out = wish->out;
    op->withdraw = op_withdraw;
    op->object = chan;
    op->lwt = lwt;
    op->token = token;
    list_push_back(wish->send ? &chan->senders : &chan->receivers, &op->link);
}

/* For a plain thread, or nobody who waits. */
static void op_queue_without_lwt(struct op *op, struct weft_chan *chan, const struct wish *wish, uint64_t token)
{
    store_relaxed(&op->state, OP_QUEUED);
    op_queue(op, chan, wish, NULL, token);
}

/* C5. Returns -EAGAIN: now it may be queued; or the result after all. */
static int last_look(struct weft_chan *chan, const struct wish *wish, bool owned, struct weft_kthd *here,
                     struct op_list *wake)
{
    uint32_t bit = wish->send ? WEFT_RING_SENDERS : WEFT_RING_RECEIVERS;
    if (!chan->ring || load_relaxed(&chan->ring->attention) & bit)
        return -EAGAIN;
    chan_attend(chan, 0, bit);
    if (owned)
        return -EAGAIN;
    chan_fence(chan, owned);
    int r = chan_complete_now(chan, wish, owned, here, wake);
    if (r != -EAGAIN)
        chan_settle(chan);
    else
        chan_attend(chan, 0, bit); /* a visit to chan_serve() may have cleared it; the fence was passed */
    return r;
}

/* Has a deadline passed that must not even be queued for? */
static ALWAYS_INLINE int refuse_to_wait(int64_t deadline_ns)
{
    if (deadline_ns == WEFT_FOREVER)
        return 0;
    if (deadline_ns == NO_WAIT)
        return -EAGAIN;
    return deadline_ns <= clock_now_ns() ? -ETIMEDOUT : 0;
}

/* The caller is inside and its op is queued: leaves, and waits. An lwt's frames end in a jump, so no address of what
 * lies in them is passed on. */
static NOINLINE CROSSES_SWITCH int leave_and_wait(struct weft_lwt *self, struct weft_chan *chan, struct weft_kthd *here,
                                                  bool owned, enum wait_for what, int64_t deadline_ns)
{
    if (unlikely(what == WAIT_SEND && chan->group)) {
        OP_LIST(wake);
        chan_announce(chan, here, &wake);
        chan_leave(chan, here, owned);
        op_complete_all(here, &wake);
    } else {
        chan_leave(chan, here, owned);
    }
    return op_wait_as_lwt(self, what, deadline_ns);
}

static COLD int wait_as_thread(struct weft_chan *chan, const struct wish *wish, int64_t deadline_ns)
{
    struct op op;
    OP_LIST(wake);
    op_queue_without_lwt(&op, chan, wish, 0);
    if (wish->send)
        chan_announce(chan, NULL, &wake);
    chan_leave(chan, NULL, false);
    op_complete_all(NULL, &wake);
    return op_wait_as_thread(&op, deadline_ns);
}

/* --- the operation --- */

/* A plain thread's number: that of no lwt. */
static uint64_t user_number(const struct weft_lwt *self) { return self ? self->self.id : ~context_fs(); }

int chan_bind(struct weft_chan *chan, uint32_t end, uint64_t user)
{
    uint64_t *bound = &chan->users[end == WEFT_CHAN_RECEIVER];
    if (!*bound)
        *bound = user;
    return *bound == user ? 0 : -EUSERS;
}

int chan_check_wish(struct weft_chan *chan, const struct wish *wish, const struct weft_lwt *self, bool checked)
{
    uint32_t end = wish->send ? WEFT_CHAN_SENDER : WEFT_CHAN_RECEIVER;
    if (unlikely(chan->in_place != wish->in_place))
        return -EINVAL;
    if (likely(checked || !chan->ring || !(chan->ring->ends & end)))
        return 0;
    return chan_bind(chan, end, user_number(self));
}

/*
 * An lwt that would wait for another kthd or thread, while its own kthd has nothing else to do and would spin anyway,
 * looks at the ring itself: what comes is seen without a wake-up, an inbox or a switch. The hold keeps the ring readable.
 * Returns when it is worth another try, or not worth any more spinning.
 */
static NOINLINE void spin_at_ring(struct weft_kthd *here, struct ring *ring, bool send)
{
    int64_t until = clock_now_ns() + here->spin_ns;
    do {
        for (int i = 0; i < 64; i++) {
            bool worth = send ? ring_has_room(ring) : ring_is_ready(ring, UINT64_MAX);
            if (worth || load_relaxed(&ring->attention) & WEFT_RING_CLOSED || load_relaxed(&here->inbox))
                return;
            cpu_relax();
        }
    } while (clock_now_ns() < until);
}

static bool may_spin(const struct weft_lwt *self, const struct weft_kthd *here, const struct weft_chan *chan, bool owned)
{
    return chan->ring && !owned && here && self->next == self && here->idle != WEFT_IDLE_PARK &&
           !load_relaxed(&here->inbox);
}

/*
 * The whole algorithm. It starts over when a loose lwt had to go back to its carrier to wait, when it has spun, and when
 * others were served by the way, who must be told before the caller sleeps. `checked`: a binding has found out itself whether a single end is
 * the caller's.
 */
static ALWAYS_INLINE CROSSES_SWITCH int operate(struct weft_lwt *self, weft_chan_t handle, const struct wish *wish,
                                                int64_t deadline_ns, bool checked)
{
    for (bool spun = false;;) {
        bool owned;
        struct weft_kthd *here = kthd_here(self);
        struct weft_chan *chan = chan_enter(handle, here, &owned);
        if (unlikely(!chan))
            return -EBADF;
        OP_LIST(wake);
        int r = chan_check_wish(chan, wish, self, checked);
        if (likely(!r))
            r = chan_complete_now(chan, wish, owned, here, &wake);
        bool waits = r == -EAGAIN && (here || !self) && !refuse_to_wait(deadline_ns);
        if (waits && !spun && may_spin(self, here, chan, owned)) {
            struct ring *ring = chan->ring;
            add_relaxed(&ring->holds, 1);
            chan_leave(chan, here, owned);
            op_complete_all(here, &wake);
            spin_at_ring(here, ring, wish->send);
            ring_release(ring);
            spun = true;
            continue;
        }
        if (waits)
            r = last_look(chan, wish, owned, here, &wake);
        if (waits && r == -EAGAIN && !wake.first) {
            if (!here)
                return wait_as_thread(chan, wish, deadline_ns);
            op_queue(&self->op, chan, wish, self, 0);
            return leave_and_wait(self, chan, here, owned, wish->send ? WAIT_SEND : WAIT_RECEIVE, deadline_ns);
        }
        chan_leave(chan, here, owned);
        op_complete_all(here, &wake);
        if (r != -EAGAIN || (r = refuse_to_wait(deadline_ns)))
            return r;
        lwt_rejoined(self);
    }
}

/* What is not inline: a wish of its own in each, so that the caller passes scalars and can jump here. */
static NOINLINE CROSSES_SWITCH int send_slow(struct weft_lwt *self, weft_chan_t chan, uint64_t value,
                                             int64_t deadline_ns, bool checked)
{
    return operate(self, chan, &(struct wish){.send = true, .value = value}, deadline_ns, checked);
}

static NOINLINE CROSSES_SWITCH int recv_slow(struct weft_lwt *self, weft_chan_t chan, uint64_t *value,
                                             int64_t deadline_ns, bool checked)
{
    return operate(self, chan, &(struct wish){.out = value}, deadline_ns, checked);
}

static NOINLINE CROSSES_SWITCH int claim(struct weft_lwt *self, weft_chan_t chan, uint64_t *position,
                                         int64_t deadline_ns, bool checked)
{
    if (!position)
        return -EINVAL;
    return operate(self, chan, &(struct wish){.send = true, .in_place = true, .out = position}, deadline_ns, checked);
}

static NOINLINE CROSSES_SWITCH int take(struct weft_lwt *self, weft_chan_t chan, uint64_t *position,
                                        int64_t deadline_ns, bool checked)
{
    if (!position)
        return -EINVAL;
    return operate(self, chan, &(struct wish){.in_place = true, .out = position}, deadline_ns, checked);
}

/* --- the fast paths --- */

/* The op of an lwt of this kthd is done: the owner leaves, and the lwt runs next. */
static ALWAYS_INLINE void hand_over(struct weft_chan *chan, struct weft_kthd *here, struct op *op)
{
    struct weft_lwt *lwt = op->lwt;
    list_remove(&op->link);
    lwt->context.result = 0;
    bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
    kthd_insert_next(here, lwt);
}

/*
 * The common cases, and nothing else: the channel is biased to the caller's kthd, in no group, and either the buffer
 * will do or an lwt of this kthd waits at the other end. Completes and leaves, or (-EAGAIN) has touched nothing and is
 * still inside. What retires a slot is inside, too, so the look at the generation in chan_find() still holds.
 */
static ALWAYS_INLINE int send_owned(struct weft_chan *chan, struct weft_kthd *here, uint64_t value)
{
    struct ring *ring = chan->ring;
    if (ring) {
        uint32_t attention = load_relaxed(&ring->attention);
        if (likely(attention == WEFT_RING_BIASED)) {
            if (unlikely(!ring_push_alone(ring, value)))
                return -EAGAIN;
            bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
            return 0;
        }
        if (attention != (WEFT_RING_BIASED | WEFT_RING_RECEIVERS))
            return -EAGAIN;
    }
    struct op *op = first_op(&chan->receivers);
    if (unlikely(list_empty(&chan->receivers) || !op->lwt || op->lwt->kthd != here))
        return -EAGAIN;
    *op->out = value;
    if (ring && op->link.next == op->link.prev) /* it was the last */
        store_relaxed(&ring->attention, WEFT_RING_BIASED);
    hand_over(chan, here, op);
    return 0;
}

static ALWAYS_INLINE int recv_owned(struct weft_chan *chan, struct weft_kthd *here, uint64_t *value)
{
    struct ring *ring = chan->ring;
    if (ring) {
        if (unlikely(load_relaxed(&ring->attention) != WEFT_RING_BIASED || !ring_pop_alone(ring, value)))
            return -EAGAIN;
        bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
        return 0;
    }
    struct op *op = first_op(&chan->senders);
    if (unlikely(list_empty(&chan->senders) || !op->lwt || op->lwt->kthd != here))
        return -EAGAIN;
    *value = op->value;
    hand_over(chan, here, op);
    return 0;
}

/* Enters the channel of a handle as its owner, or not at all: NULL. A loose lwt's kthd is `limbo`, which owns nothing. */
static ALWAYS_INLINE struct weft_chan *enter_owned(const struct weft_lwt *self, weft_chan_t handle,
                                                   struct weft_kthd **here)
{
    struct weft_chan *chan = chan_find(handle);
    if (unlikely(!chan || !self))
        return NULL;
    *here = self->kthd;
    return likely(bias_enter_owned(&chan->bias, *here, BIAS_CHANNEL)) ? chan : NULL;
}

/* For a rendezvous that the owner is inside of, with nobody at the other end: no need to look at all the rest. */
static ALWAYS_INLINE bool may_wait_at_once(const struct weft_chan *chan, const struct list *partners, int64_t deadline_ns)
{
    return likely(deadline_ns == WEFT_FOREVER && !chan->ring && !chan->closed && !chan->group && list_empty(partners));
}

static ALWAYS_INLINE CROSSES_SWITCH int chan_send(struct weft_lwt *self, weft_chan_t handle, uint64_t value,
                                                  int64_t deadline_ns, bool checked)
{
    struct weft_kthd *here;
    struct weft_chan *chan = enter_owned(self, handle, &here);
    if (likely(chan != NULL)) {
        if (likely(!send_owned(chan, here, value)))
            return 0;
        if (may_wait_at_once(chan, &chan->receivers, deadline_ns)) {
            op_queue(&self->op, chan, &(struct wish){.send = true, .value = value}, self, 0);
            bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
            return op_wait_as_lwt(self, WAIT_SEND, WEFT_FOREVER);
        }
    }
    return send_slow(self, handle, value, deadline_ns, checked);
}

static ALWAYS_INLINE CROSSES_SWITCH int chan_recv(struct weft_lwt *self, weft_chan_t handle, uint64_t *value,
                                                  int64_t deadline_ns, bool checked)
{
    struct weft_kthd *here;
    struct weft_chan *chan = enter_owned(self, handle, &here);
    if (likely(chan != NULL)) {
        if (likely(!recv_owned(chan, here, value)))
            return 0;
        if (may_wait_at_once(chan, &chan->senders, deadline_ns)) {
            op_queue(&self->op, chan, &(struct wish){.out = value}, self, 0);
            bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
            return op_wait_as_lwt(self, WAIT_RECEIVE, WEFT_FOREVER);
        }
    }
    return recv_slow(self, handle, value, deadline_ns, checked);
}

int weft_chan_send_now_as(struct weft_self *shell, weft_chan_t handle, uint64_t value)
{
    struct weft_kthd *here;
    struct weft_chan *chan = enter_owned(lwt_of_self(shell), handle, &here);
    if (!chan)
        return -EAGAIN;
    int r = send_owned(chan, here, value);
    if (r)
        bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
    return r;
}

int weft_chan_recv_now_as(struct weft_self *shell, weft_chan_t handle)
{
    struct weft_kthd *here;
    struct weft_chan *chan = enter_owned(lwt_of_self(shell), handle, &here);
    if (!chan)
        return -EAGAIN;
    int r = recv_owned(chan, here, &shell->value);
    if (r)
        bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
    return r;
}

/* --- words --- */

static ALWAYS_INLINE int64_t not_the_try_form(int64_t deadline_ns) { return deadline_ns < 0 ? 0 : deadline_ns; }

int weft_chan_send(weft_chan_t chan, uint64_t value)
{
    return chan_send(lwt_current(), chan, value, WEFT_FOREVER, false);
}

int weft_chan_send_until(weft_chan_t chan, uint64_t value, int64_t deadline_ns)
{
    return chan_send(lwt_current(), chan, value, not_the_try_form(deadline_ns), false);
}

int weft_chan_try_send(weft_chan_t chan, uint64_t value)
{
    return chan_send(lwt_current(), chan, value, NO_WAIT, false);
}

int weft_chan_send_as(struct weft_self *self, weft_chan_t chan, uint64_t value, int64_t deadline_ns)
{
    return chan_send(lwt_of_self(self), chan, value, not_the_try_form(deadline_ns), true);
}

int weft_chan_recv(weft_chan_t chan, uint64_t *value)
{
    return value ? chan_recv(lwt_current(), chan, value, WEFT_FOREVER, false) : -EINVAL;
}

int weft_chan_recv_until(weft_chan_t chan, uint64_t *value, int64_t deadline_ns)
{
    return value ? chan_recv(lwt_current(), chan, value, not_the_try_form(deadline_ns), false) : -EINVAL;
}

int weft_chan_try_recv(weft_chan_t chan, uint64_t *value)
{
    return value ? chan_recv(lwt_current(), chan, value, NO_WAIT, false) : -EINVAL;
}

int weft_chan_recv_as(struct weft_self *self, weft_chan_t chan, int64_t deadline_ns)
{
    return chan_recv(lwt_of_self(self), chan, &self->value, not_the_try_form(deadline_ns), true);
}

/* --- in place --- */

int weft_chan_claim(weft_chan_t chan, uint64_t *position)
{
    return claim(lwt_current(), chan, position, WEFT_FOREVER, false);
}

int weft_chan_claim_until(weft_chan_t chan, uint64_t *position, int64_t deadline_ns)
{
    return claim(lwt_current(), chan, position, not_the_try_form(deadline_ns), false);
}

int weft_chan_try_claim(weft_chan_t chan, uint64_t *position)
{
    return claim(lwt_current(), chan, position, NO_WAIT, false);
}

int weft_chan_claim_as(struct weft_self *self, weft_chan_t chan, int64_t deadline_ns)
{
    return claim(lwt_of_self(self), chan, &self->value, not_the_try_form(deadline_ns), true);
}

int weft_chan_take(weft_chan_t chan, uint64_t *position)
{
    return take(lwt_current(), chan, position, WEFT_FOREVER, false);
}

int weft_chan_take_until(weft_chan_t chan, uint64_t *position, int64_t deadline_ns)
{
    return take(lwt_current(), chan, position, not_the_try_form(deadline_ns), false);
}

int weft_chan_try_take(weft_chan_t chan, uint64_t *position)
{
    return take(lwt_current(), chan, position, NO_WAIT, false);
}

int weft_chan_take_as(struct weft_self *self, weft_chan_t chan, int64_t deadline_ns)
{
    return take(lwt_of_self(self), chan, &self->value, not_the_try_form(deadline_ns), true);
}

/* --- after a message was written or read where it lies --- */

enum moved { SENT, PUBLISH, RECEIVED, GIVE_BACK };

/* Somebody has moved, or does so here, at this position: the other side is served. */
static int after_move(weft_chan_t handle, uint64_t position, enum moved moved)
{
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    int r = 0;
    OP_LIST(wake);
    if (!chan->ring || ((moved == PUBLISH || moved == GIVE_BACK) && !chan->in_place)) {
        r = -EINVAL;
    } else {
        if (moved <= PUBLISH && position >= chan->closed_at)
            r = -EPIPE;
        else if (moved == PUBLISH)
            ring_publish(chan->ring, position);
        else if (moved == GIVE_BACK)
            ring_free(chan->ring, position);
        chan_serve(chan, owned, &wake);
        chan_announce(chan, here, &wake);
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return r;
}

int weft_chan_publish(weft_chan_t chan, uint64_t position) { return after_move(chan, position, PUBLISH); }
int weft_chan_give_back(weft_chan_t chan, uint64_t position) { return after_move(chan, position, GIVE_BACK); }
int weft_chan_sent(weft_chan_t chan, uint64_t position) { return after_move(chan, position, SENT); }

int weft_chan_received(weft_chan_t chan, uint64_t position)
{
    after_move(chan, position, RECEIVED);
    return 0;
}

/* --- for callers who wait in a way of their own --- */

static int start(weft_chan_t handle, struct wish *wish, struct weft_op *shell, uint64_t token)
{
    if (!shell || (uintptr_t)shell % 16)
        return -EINVAL;
    bool owned;
    struct op *op = (struct op *)shell;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    OP_LIST(wake);
    wish->out = &op->value;
    int r = chan_check_wish(chan, wish, NULL, true);
    if (!r)
        r = chan_complete_now(chan, wish, owned, here, &wake);
    if (r == -EAGAIN)
        r = last_look(chan, wish, owned, here, &wake);
    if (r == -EAGAIN) {
        op_queue_without_lwt(op, chan, wish, token);
        if (wish->send)
            chan_announce(chan, here, &wake);
        r = -EINPROGRESS;
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return r;
}

int weft_chan_send_start(weft_chan_t chan, uint64_t value, struct weft_op *op, uint64_t token)
{
    return start(chan, &(struct wish){.send = true, .value = value}, op, token);
}

int weft_chan_recv_start(weft_chan_t chan, struct weft_op *op, uint64_t token)
{
    return start(chan, &(struct wish){.send = false}, op, token);
}

int weft_chan_claim_start(weft_chan_t chan, struct weft_op *op, uint64_t token)
{
    return start(chan, &(struct wish){.send = true, .in_place = true}, op, token);
}

int weft_chan_take_start(weft_chan_t chan, struct weft_op *op, uint64_t token)
{
    return start(chan, &(struct wish){.in_place = true}, op, token);
}
