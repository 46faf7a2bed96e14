/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel. One algorithm for all forms: under the exclusion, an operation completes at once or does not; if not,
 * it is queued as an op and whoever completes it takes it out of the queue. Try, timed and blocking forms differ in
 * what they do in between.
 *
 * Invariants, while nobody is inside:
 *   C1  Senders wait only if the buffer is full (always, for a rendezvous); receivers only if it is empty.
 *   C2  So never both wait, and a word is never in the buffer while a receiver waits.
 *   C3  A closed channel has no waiting op.
 *   C4  A ready channel in a group is announced, or its announcement is being looked at (cgrp.c).
 *
 * Locks, outermost first: channel, its group. Ops are completed after both are left.
 */
#include "comm/chan.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "comm/cgrp.h"
#include "sched/info.h"

enum { CHANS = 1 << 20 };
#define NO_WAIT INT64_MIN /* the deadline of the try-forms */

struct slab chan_slab = {.stride = CHAN_STRIDE, .limit = CHANS, .kind = CHAN_KIND};

static SHARED(uint64_t) chans_created, chans_freed;

static uint64_t count_chans(void) { return load_relaxed(&chans_created) - load_relaxed(&chans_freed); }

/* --- the buffer --- */

/* Large ones straight from the system: not touched before they are used, and given back when they are freed. */
static bool ring_is_mapped(uint32_t capacity) { return capacity >= 8192; }

static uint64_t *ring_alloc(uint32_t capacity)
{
    size_t bytes = capacity * sizeof(uint64_t);
    return ring_is_mapped(capacity) ? sys_map(bytes) : sys_alloc(bytes);
}

static void ring_free(uint64_t *ring, uint32_t capacity)
{
    if (ring_is_mapped(capacity))
        sys_unmap(ring, capacity * sizeof *ring);
    else
        sys_free(ring);
}

static ALWAYS_INLINE void ring_push(struct weft_chan *chan, uint64_t value)
{
    uint32_t tail = chan->head + chan->length++;
    chan->ring[tail < chan->capacity ? tail : tail - chan->capacity] = value;
}

static ALWAYS_INLINE uint64_t ring_pop(struct weft_chan *chan)
{
    uint64_t value = chan->ring[chan->head];
    chan->head = chan->head + 1 < chan->capacity ? chan->head + 1 : 0;
    chan->length--;
    return value;
}

/* --- what completes at once; the caller is inside --- */

static ALWAYS_INLINE void announce(struct weft_chan *chan, struct weft_kthd *here, struct op_list *wake)
{
    if (unlikely(chan->group && !load_relaxed(&chan->announced))) /* relaxed: G2 in cgrp.c */
        cgrp_announce(chan, here, wake);
}

static ALWAYS_INLINE struct op *take_op(struct list *queue, struct op_list *wake)
{
    struct op *op = op_of_link(queue->next);
    list_remove(&op->link);
    op->result = 0;
    op_list_add(wake, op);
    return op;
}

static ALWAYS_INLINE int send_now(struct weft_chan *chan, uint64_t value, struct weft_kthd *here, struct op_list *wake)
{
    if (unlikely(chan->closed))
        return -EPIPE;
    if (!list_empty(&chan->receivers)) {
        *take_op(&chan->receivers, wake)->out = value;
        return 0;
    }
    if (chan->length == chan->capacity)
        return -EAGAIN;
    ring_push(chan, value);
    announce(chan, here, wake);
    return 0;
}

static ALWAYS_INLINE int recv_now(struct weft_chan *chan, uint64_t *value, struct op_list *wake)
{
    if (chan->length) {
        *value = ring_pop(chan);
        if (unlikely(!list_empty(&chan->senders))) /* the first of them gets the free place */
            ring_push(chan, take_op(&chan->senders, wake)->value);
        return 0;
    }
    if (!list_empty(&chan->senders)) {
        *value = take_op(&chan->senders, wake)->value;
        return 0;
    }
    return chan->closed ? -EPIPE : -EAGAIN;
}

/* --- what waits --- */

static bool op_withdraw(struct op *op, struct weft_kthd *here)
{
    struct weft_chan *chan = op->object;
    bool owned = bias_enter(&chan->bias, here, BIAS_CHANNEL);
    bool queued = list_linked(&op->link);
    if (queued)
        list_remove(&op->link);
    chan_leave(chan, here, owned);
    return queued;
}

static ALWAYS_INLINE void op_queue(struct op *op, struct weft_chan *chan, struct list *queue, struct weft_lwt *lwt,
                                   uint64_t token)
{
    op->withdraw = op_withdraw;
    op->object = chan;
    op->lwt = lwt;
    op->token = token;
    list_push_back(queue, &op->link);
}

/* For a plain thread, or nobody who waits. */
static void op_queue_without_lwt(struct op *op, struct weft_chan *chan, struct list *queue, uint64_t token)
{
    store_relaxed(&op->state, OP_QUEUED);
    op_queue(op, chan, queue, NULL, token);
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

/* The caller is inside, and could not complete at once; leaves, and waits. An lwt's frames end in a jump. */
static NOINLINE CROSSES_SWITCH int send_waiting(struct weft_lwt *self, struct weft_chan *chan, struct weft_kthd *here,
                                                bool owned, uint64_t value, int64_t deadline_ns)
{
    self->op.value = value;
    op_queue(&self->op, chan, &chan->senders, self, 0);
    if (unlikely(chan->group && !load_relaxed(&chan->announced))) {
        OP_LIST(wake);
        cgrp_announce(chan, here, &wake);
        chan_leave(chan, here, owned);
        op_complete_all(here, &wake);
    } else {
        chan_leave(chan, here, owned);
    }
    return op_wait_as_lwt(self, WAIT_SEND, deadline_ns);
}

static NOINLINE CROSSES_SWITCH int recv_waiting(struct weft_lwt *self, struct weft_chan *chan, struct weft_kthd *here,
                                                bool owned, uint64_t *value, int64_t deadline_ns)
{
    self->op.out = value;
    op_queue(&self->op, chan, &chan->receivers, self, 0);
    chan_leave(chan, here, owned);
    return op_wait_as_lwt(self, WAIT_RECEIVE, deadline_ns);
}

static COLD int send_waiting_as_thread(struct weft_chan *chan, uint64_t value, int64_t deadline_ns)
{
    struct op op = {.value = value};
    OP_LIST(wake);
    op_queue_without_lwt(&op, chan, &chan->senders, 0);
    announce(chan, NULL, &wake);
    chan_leave(chan, NULL, false);
    op_complete_all(NULL, &wake);
    return op_wait_as_thread(&op, deadline_ns);
}

static COLD int recv_waiting_as_thread(struct weft_chan *chan, uint64_t *value, int64_t deadline_ns)
{
    struct op op = {.out = value};
    op_queue_without_lwt(&op, chan, &chan->receivers, 0);
    chan_leave(chan, NULL, false);
    return op_wait_as_thread(&op, deadline_ns);
}

/* --- the two operations --- */

/*
 * The whole algorithm. It starts over at most once, when a loose lwt had to go back to its carrier to wait.
 */
static NOINLINE CROSSES_SWITCH int chan_send_slow(struct weft_lwt *self, weft_chan_t handle, uint64_t value,
                                                  int64_t deadline_ns)
{
    for (;;) {
        bool owned;
        struct weft_kthd *here = kthd_here(self);
        struct weft_chan *chan = chan_enter(handle, here, &owned);
        if (unlikely(!chan))
            return -EBADF;
        OP_LIST(wake);
        int r = send_now(chan, value, here, &wake);
        if (r == -EAGAIN && !refuse_to_wait(deadline_ns)) {
            if (likely(here != NULL))
                return send_waiting(self, chan, here, owned, value, deadline_ns);
            if (!self)
                return send_waiting_as_thread(chan, value, deadline_ns);
        }
        chan_leave(chan, here, owned);
        op_complete_all(here, &wake);
        if (r != -EAGAIN || (r = refuse_to_wait(deadline_ns)))
            return r;
        lwt_rejoined(self);
    }
}

static NOINLINE CROSSES_SWITCH int chan_recv_slow(struct weft_lwt *self, weft_chan_t handle, uint64_t *value,
                                                  int64_t deadline_ns)
{
    for (;;) {
        bool owned;
        struct weft_kthd *here = kthd_here(self);
        struct weft_chan *chan = chan_enter(handle, here, &owned);
        if (unlikely(!chan))
            return -EBADF;
        OP_LIST(wake);
        int r = recv_now(chan, value, &wake);
        if (r == -EAGAIN && !refuse_to_wait(deadline_ns)) {
            if (likely(here != NULL))
                return recv_waiting(self, chan, here, owned, value, deadline_ns);
            if (!self)
                return recv_waiting_as_thread(chan, value, deadline_ns);
        }
        chan_leave(chan, here, owned);
        op_complete_all(here, &wake);
        if (r != -EAGAIN || (r = refuse_to_wait(deadline_ns)))
            return r;
        lwt_rejoined(self);
    }
}

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
    struct op *op = op_of_link(chan->receivers.next);
    if (list_empty(&chan->receivers)) {
        if (unlikely(chan->length == chan->capacity || chan->closed || chan->group))
            return -EAGAIN;
        ring_push(chan, value);
        bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
        return 0;
    }
    if (unlikely(!op->lwt || op->lwt->kthd != here))
        return -EAGAIN;
    *op->out = value;
    hand_over(chan, here, op);
    return 0;
}

static ALWAYS_INLINE int recv_owned(struct weft_chan *chan, struct weft_kthd *here, uint64_t *value)
{
    struct op *op = op_of_link(chan->senders.next);
    if (list_empty(&chan->senders)) {
        if (unlikely(!chan->length))
            return -EAGAIN;
        *value = ring_pop(chan);
        bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
        return 0;
    }
    if (unlikely(chan->length || !op->lwt || op->lwt->kthd != here))
        return -EAGAIN;
    *value = op->value;
    hand_over(chan, here, op);
    return 0;
}

static ALWAYS_INLINE bool enter_owned(struct weft_chan *chan, struct weft_kthd *here)
{
    return likely(chan && here && bias_enter_owned(&chan->bias, here, BIAS_CHANNEL));
}

static ALWAYS_INLINE CROSSES_SWITCH int chan_send(struct weft_lwt *self, weft_chan_t handle, uint64_t value,
                                                  int64_t deadline_ns)
{
    struct weft_chan *chan = chan_find(handle);
    struct weft_kthd *here = kthd_here(self);
    if (enter_owned(chan, here)) {
        if (likely(!send_owned(chan, here, value)))
            return 0;
        if (likely(deadline_ns == WEFT_FOREVER && !chan->closed && !chan->group && list_empty(&chan->receivers)))
            return send_waiting(self, chan, here, true, value, deadline_ns);
    }
    return chan_send_slow(self, handle, value, deadline_ns);
}

static ALWAYS_INLINE CROSSES_SWITCH int chan_recv(struct weft_lwt *self, weft_chan_t handle, uint64_t *value,
                                                  int64_t deadline_ns)
{
    struct weft_chan *chan = chan_find(handle);
    struct weft_kthd *here = kthd_here(self);
    if (enter_owned(chan, here)) {
        if (likely(!recv_owned(chan, here, value)))
            return 0;
        if (likely(deadline_ns == WEFT_FOREVER && !chan->closed && !chan->length && list_empty(&chan->senders)))
            return recv_waiting(self, chan, here, true, value, deadline_ns);
    }
    return chan_recv_slow(self, handle, value, deadline_ns);
}

int weft_chan_send_now_as(struct weft_self *shell, weft_chan_t handle, uint64_t value)
{
    struct weft_kthd *here = kthd_here(lwt_of_self(shell));
    struct weft_chan *chan = chan_find(handle);
    if (!enter_owned(chan, here))
        return -EAGAIN;
    int r = send_owned(chan, here, value);
    if (r)
        bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
    return r;
}

int weft_chan_recv_now_as(struct weft_self *shell, weft_chan_t handle)
{
    struct weft_kthd *here = kthd_here(lwt_of_self(shell));
    struct weft_chan *chan = chan_find(handle);
    if (!enter_owned(chan, here))
        return -EAGAIN;
    int r = recv_owned(chan, here, &shell->value);
    if (r)
        bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
    return r;
}

int weft_chan_send(weft_chan_t chan, uint64_t value) { return chan_send(lwt_current(), chan, value, WEFT_FOREVER); }

int weft_chan_send_until(weft_chan_t chan, uint64_t value, int64_t deadline_ns)
{
    return chan_send(lwt_current(), chan, value, deadline_ns < 0 ? 0 : deadline_ns);
}

int weft_chan_try_send(weft_chan_t chan, uint64_t value) { return chan_send(lwt_current(), chan, value, NO_WAIT); }

int weft_chan_send_as(struct weft_self *self, weft_chan_t chan, uint64_t value, int64_t deadline_ns)
{
    return chan_send(lwt_of_self(self), chan, value, deadline_ns < 0 ? 0 : deadline_ns);
}

int weft_chan_recv(weft_chan_t chan, uint64_t *value)
{
    return value ? chan_recv(lwt_current(), chan, value, WEFT_FOREVER) : -EINVAL;
}

int weft_chan_recv_until(weft_chan_t chan, uint64_t *value, int64_t deadline_ns)
{
    return value ? chan_recv(lwt_current(), chan, value, deadline_ns < 0 ? 0 : deadline_ns) : -EINVAL;
}

int weft_chan_try_recv(weft_chan_t chan, uint64_t *value)
{
    return value ? chan_recv(lwt_current(), chan, value, NO_WAIT) : -EINVAL;
}

int weft_chan_recv_as(struct weft_self *self, weft_chan_t chan, int64_t deadline_ns)
{
    return chan_recv(lwt_of_self(self), chan, &self->value, deadline_ns < 0 ? 0 : deadline_ns);
}

static bool op_is_usable(const struct weft_op *op) { return op && (uintptr_t)op % 16 == 0; }

int weft_chan_send_start(weft_chan_t handle, uint64_t value, struct weft_op *shell, uint64_t token)
{
    if (!op_is_usable(shell))
        return -EINVAL;
    bool owned;
    struct op *op = (struct op *)shell;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    OP_LIST(wake);
    int r = send_now(chan, value, here, &wake);
    if (r == -EAGAIN) {
        op->value = value;
        op_queue_without_lwt(op, chan, &chan->senders, token);
        announce(chan, here, &wake);
        r = -EINPROGRESS;
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return r;
}

int weft_chan_recv_start(weft_chan_t handle, struct weft_op *shell, uint64_t token)
{
    if (!op_is_usable(shell))
        return -EINVAL;
    bool owned;
    struct op *op = (struct op *)shell;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    OP_LIST(wake);
    int r = recv_now(chan, &op->value, &wake);
    if (r == -EAGAIN) {
        op->out = &op->value;
        op_queue_without_lwt(op, chan, &chan->receivers, token);
        r = -EINPROGRESS;
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return r;
}

/* --- closing and lifetime --- */

static void fail_all(struct list *queue, struct op_list *wake)
{
    while (!list_empty(queue))
        take_op(queue, wake)->result = -EPIPE;
}

static void close_locked(struct weft_chan *chan, struct weft_kthd *here, struct op_list *wake)
{
    if (chan->closed)
        return;
    chan->closed = true;
    fail_all(&chan->senders, wake);
    fail_all(&chan->receivers, wake);
    announce(chan, here, wake);
}

int weft_chan_create(weft_chan_t *out, uint32_t capacity)
{
    int error = 0;
    if (!out || capacity > WEFT_CHAN_MAX_CAPACITY)
        return -EINVAL;
    uint64_t *ring = capacity ? ring_alloc(capacity) : NULL;
    if (capacity && !ring)
        return -ENOMEM;
    struct weft_chan *chan = (struct weft_chan *)slab_take(&chan_slab, &error);
    if (!chan) {
        ring_free(ring, capacity);
        return error;
    }
    /* A stale handle may look at the slot, and find its generation even: what it may touch is the lock. */
    chan->ring = ring;
    chan->capacity = capacity;
    chan->head = chan->length = 0;
    chan->closed = false;
    store_relaxed(&chan->announced, false);
    list_init(&chan->senders);
    list_init(&chan->receivers);
    chan->group = chan->group_mark = chan->mark = 0;
    chan->refs = 1;
    chan->counted[0] = chan->counted[1] = 0;
    chan->ever_counted = 0;
    spinlock_acquire(&chan->bias.lock);
    bias_init(&chan->bias);
    slab_revive(&chan->slot);
    spinlock_release(&chan->bias.lock);
    add_relaxed(&chans_created, 1);
    store_relaxed(&info_port.count_channels, count_chans);
    *out = chan_handle(chan);
    return 0;
}

int weft_chan_close(weft_chan_t handle)
{
    bool owned;
    struct weft_kthd *here = kthd_here(lwt_current());
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan)
        return -EBADF;
    OP_LIST(wake);
    close_locked(chan, here, &wake);
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return 0;
}

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

/* The last sender or receiver may be gone. */
static void ends_ran_out(struct weft_chan *chan, uint32_t ends, struct weft_kthd *here, struct op_list *wake)
{
    bool no_sender = ends & WEFT_CHAN_SENDER && !chan->counted[0];
    bool no_receiver = ends & WEFT_CHAN_RECEIVER && !chan->counted[1];
    if (no_receiver)
        chan->length = 0; /* nobody will ask for them: lost, as the contract says */
    if (no_sender || no_receiver)
        close_locked(chan, here, wake);
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
    ends_ran_out(chan, ends, here, &wake);
    bool last = --chan->refs == 0;
    uint64_t *ring = chan->ring;
    uint32_t capacity = chan->capacity;
    if (last) {
        close_locked(chan, here, &wake);
        if (chan->group)
            cgrp_forget(chan, here);
        chan->ring = NULL;
        slab_retire(&chan->slot); /* from here on nobody gets inside by a handle */
        bias_forget(&chan->bias);
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    if (last) {
        ring_free(ring, capacity);
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
        .capacity = chan->capacity,
        .length = chan->length,
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
