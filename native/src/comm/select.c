/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Select: one of several sends and receives. See weft/select.h, and op.h for how one of several queued ops completes.
 *
 *     try_each     one case after the other: the first that can, fires
 *     try_held     the same, with all channels held: where "none can" must hold for one instant and the above cannot tell
 *     enrol        queues an op for each case, in the order of the channels' addresses; finds one ready: all back, start over
 *     wait         until a matcher has completed one of them, or a timer, an interrupt or a cancel has withdrawn all
 *     withdraw     takes out of their queues the ones that are left
 *
 * A thread fires a case itself only while none of its own ops is queued; while some are, it only looks. So a select is
 * never in its own way, at most one select has to be claimed for a rendezvous of two, and no thread waits for another here.
 *
 * Two selects that meet while both enrol: each finds the other and starts over, and that for ever? The one that came
 * first to the first channel, by address, which they have in common has an op there; the other finds it before it has
 * queued its own there or further on, and does not disturb the first. Among several, who starts over does so for an op at a
 * higher address than all those it has queued itself: there is one at the end of every such chain who goes on.
 *
 * One instant. "None can" is found while looking at one after the other; yet there is a moment at which it held for all:
 *
 *   I1  A channel that is biased to this kthd changes by this kthd's hands only, until its bias is revoked. If its owner is
 *       the same after all were looked at, the revoker had not passed its membarrier then, and has touched nothing: it is
 *       still as it was seen. So no section needs to be held, of which a kthd has one; and no bias is revoked for a select.
 *   I2  The lock of one that is not is held, in the order of addresses, as long as others are looked at. Who owns a bias
 *       waits for nothing inside its section, and here is inside none while it takes a lock.
 *   I3  That keeps the ops in its queues from becoming more, but not the ends that use a ring without a lock. Whether one
 *       can send or receive in a ring changes to "no" only by moving the tail or the head. So if, after all were looked at,
 *       the index is what it was before, and the ring is not ready, it was not ready in all that time.
 *
 *   The moment is the one when the last case was looked at. With priority, likewise for the cases before one that can.
 *
 * With the deadline over while ops are queued nothing of this is needed: that no case had completed when the select was
 * withdrawn means that none was ready at that moment (C1 in chan.c).
 *
 * The fence. Ops in shared rings need attention, a fence and another look (C5); a fence costs a microsecond or more, so there
 * is one for all. Until then this select owes it to whoever queued up behind it on the strength of its bit: `unfenced`.
 */
#include "weft/select.h"

#include <errno.h>

#include "base/clock.h"
#include "comm/chan.h"

#define NO_WAIT INT64_MIN /* the deadline of the try-form */

enum {
    LOCAL = 8,               /* cases for which the frame has room; stacks are small */
    START_OVER = -ECANCELED, /* never leaves this file */
};

/* What struct weft_case.private_ holds. */
enum { TURN, SHUFFLED, BY_ADDRESS };

struct call {
    struct weft_case *cases;
    uint32_t count, order;
    uint32_t first;  /* the case to begin with; RANDOM: see nth() */
    struct weft_lwt *self;
    bool checked;    /* whose ends the channels are is not to be asked */
};

/* A case while its select holds its channel or waits for it. It fits the shell of an op. */
struct entry {
    struct op op;       /* .object: the channel, NULL: the case is skipped; .value: while held, its ring's index */
    bool owned;         /* entered as owner, and left again */
    bool locked;        /* this entry holds the lock; others of the same channel do not */
    bool enrolled;
    bool unfenced;      /* set its channel's attention, and no fence since */
};
_Static_assert(sizeof(struct entry) <= sizeof(struct weft_op), "an entry fits the shell of an op");

/* --- order --- */

/* Splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. Each kernel thread has a
 * sequence of its own. */
static ALWAYS_INLINE uint32_t random_below(uint32_t bound)
{
    static _Thread_local uint64_t state;
    if (unlikely(!state))
        state = (uint64_t)clock_now_ns() ^ (uintptr_t)&state;
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)(((z ^ z >> 31) >> 32) * bound >> 32);
}

static NOINLINE void order_by_chance(struct call *call)
{
    if (call->order == WEFT_SELECT_FIFO) {
        call->first = random_below(call->count);
        return;
    }
    for (uint32_t i = 0; i < call->count; i++)
        call->cases[i].private_[SHUFFLED] = (uint16_t)i;
}

static ALWAYS_INLINE void order_begin(struct call *call)
{
    call->first = call->order == WEFT_SELECT_FIFO ? call->cases[0].private_[TURN] - 1u : 0;
    if (unlikely(call->first >= call->count || call->order == WEFT_SELECT_RANDOM))
        order_by_chance(call);
}

/* The case to be looked at as the kth. At random: one of those not yet looked at, by one step of Fisher and Yates. */
static ALWAYS_INLINE uint32_t nth(struct call *call, uint32_t k)
{
    if (unlikely(call->order == WEFT_SELECT_RANDOM)) {
        uint16_t *here = &call->cases[k].private_[SHUFFLED];
        uint16_t *there = &call->cases[k + random_below(call->count - k)].private_[SHUFFLED];
        uint16_t i = *there;
        *there = *here;
        *here = i;
        return i;
    }
    uint32_t i = call->first + k;
    return i < call->count ? i : i - call->count;
}

/* The case has fired. */
static ALWAYS_INLINE int fired(struct call *call, uint32_t i, int result)
{
    call->cases[i].result = result;
    call->cases[0].private_[TURN] = (uint16_t)(i + 1 < call->count ? i + 2 : 1);
    return (int)i;
}

static COLD int blame(struct call *call, uint32_t at, int error)
{
    for (uint32_t i = 0; i < call->count; i++)
        call->cases[i].result = i == at ? error : 0;
    return error;
}

/* --- one case --- */

static ALWAYS_INLINE bool is_send(const struct weft_case *c) { return c->op == WEFT_SELECT_SEND; }

static ALWAYS_INLINE struct wish wish_of(struct weft_case *c, const struct weft_chan *chan)
{
    return (struct wish){.send = is_send(c), .in_place = chan->in_place, .value = c->value, .out = &c->value};
}

/* Fires the case if it can: 0, -EPIPE; -EAGAIN; or an error. Inside. */
static ALWAYS_INLINE int try_inside(struct call *call, struct weft_case *c, struct weft_chan *chan, bool owned,
                                    struct weft_kthd *here, struct op_list *wake)
{
    struct wish wish = wish_of(c, chan);
    int r = chan_check_wish(chan, &wish, call->self, call->checked);
    return likely(!r) ? chan_complete_now(chan, &wish, owned, here, wake) : r;
}

/*
 * The common cases, and nothing else, as in send_owned() of chan.c: the caller is inside as the owner, nobody waits, and no
 * group does. 0: done; -EAGAIN: it cannot; START_OVER: it takes more to say.
 */
static ALWAYS_INLINE int try_owned(struct weft_case *c, struct weft_chan *chan)
{
    struct ring *ring = chan->ring;
    if (!ring)
        return !chan->closed && list_empty(is_send(c) ? &chan->receivers : &chan->senders) ? -EAGAIN : START_OVER;
    if (unlikely(load_relaxed(&ring->attention) != WEFT_RING_BIASED))
        return START_OVER;
    return (is_send(c) ? ring_push_alone(ring, c->value) : ring_pop_alone(ring, &c->value)) ? 0 : -EAGAIN;
}

/* Index, or error, of a case that was tried and not told to wait. */
static ALWAYS_INLINE int conclude(struct call *call, uint32_t i, int r)
{
    return likely(!r || r == -EPIPE) ? fired(call, i, r) : blame(call, i, r);
}

/* Has a channel been biased to this kthd since it was inside it? (I1) */
static ALWAYS_INLINE bool still_owned(const struct weft_chan *chan, const struct weft_kthd *here)
{
    return here && load_relaxed(&chan->bias.owner) == here;
}

/* The same of the first `n` cases. They have been looked at, as the owner. */
static bool all_still_owned(const struct call *call, uint32_t n, const struct weft_kthd *here)
{
    fence_acquire(); /* what was seen of the channels, before who owns them: as readers of a sequence lock do */
    for (uint32_t i = 0; i < n; i++) {
        const struct weft_chan *chan = call->cases[i].op ? chan_find(call->cases[i].chan) : NULL;
        if (call->cases[i].op && !(chan && still_owned(chan, here)))
            return false;
    }
    return true;
}

/* Fires the case if it can: its index; -EAGAIN; START_OVER: it may not fire, see try_each(); or an error. */
static NOINLINE int try_fully(struct call *call, uint32_t i, struct weft_kthd *here, bool may_fire, bool *all_owned)
{
    bool owned, all_before = *all_owned;
    struct weft_case *c = &call->cases[i];
    struct weft_chan *chan = chan_enter(c->chan, here, &owned);
    if (!chan)
        return blame(call, i, -EBADF);
    OP_LIST(wake);
    int r = START_OVER;
    *all_owned &= owned;
    if (may_fire || (all_before && all_still_owned(call, i, here)))
        r = try_inside(call, c, chan, owned, here, &wake);
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return r == START_OVER || r == -EAGAIN ? r : conclude(call, i, r);
}

/*
 * Tries the cases one after the other. -EAGAIN: none could, in one instant; START_OVER: none could when it was looked at, or,
 * with priority, one that could came after others of which no more can be said.
 */
static ALWAYS_INLINE int try_each(struct call *call, struct weft_kthd *here)
{
    bool all_owned = true;
    uint32_t tried = 0;
    for (uint32_t k = 0; k < call->count; k++) {
        uint32_t i = nth(call, k);
        struct weft_case *c = &call->cases[i];
        if (unlikely(c->op - WEFT_SELECT_SEND > WEFT_SELECT_RECEIVE - WEFT_SELECT_SEND)) {
            if (c->op)
                return blame(call, i, -EINVAL);
            continue;
        }
        /* With priority: one that could fire fires, if it is known of this moment that those before it cannot. */
        bool may_fire = call->order != WEFT_SELECT_PRIORITY || !tried++;
        struct weft_chan *chan = chan_find(c->chan);
        int r = START_OVER;
        if (likely(chan && here) && likely(bias_enter_owned(&chan->bias, here, BIAS_CHANNEL))) {
            if (may_fire || (all_owned && all_still_owned(call, i, here)))
                r = try_owned(c, chan);
            bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
            if (likely(!r))
                return fired(call, i, 0);
        }
        if (r != -EAGAIN)
            r = try_fully(call, i, here, may_fire, &all_owned);
        if (r != -EAGAIN)
            return r;
    }
    return call->count == 1 || (all_owned && all_still_owned(call, call->count, here)) ? -EAGAIN : START_OVER;
}

/* --- all channels held --- */

static struct entry *nth_by_address(struct call *call, struct entry *entries, uint32_t k)
{
    return &entries[call->cases[k].private_[BY_ADDRESS]];
}

static bool lies_before(struct call *call, const struct entry *entries, uint32_t a, uint32_t b)
{
    return (uintptr_t)entries[call->cases[a].private_[BY_ADDRESS]].op.object <
           (uintptr_t)entries[call->cases[b].private_[BY_ADDRESS]].op.object;
}

static void swap_places(struct call *call, uint32_t a, uint32_t b)
{
    uint16_t t = call->cases[a].private_[BY_ADDRESS];
    call->cases[a].private_[BY_ADDRESS] = call->cases[b].private_[BY_ADDRESS];
    call->cases[b].private_[BY_ADDRESS] = t;
}

static void sift_down(struct call *call, const struct entry *entries, uint32_t top, uint32_t count)
{
    for (uint32_t child; (child = 2 * top + 1) < count; top = child) {
        if (child + 1 < count && lies_before(call, entries, child, child + 1))
            child++;
        if (!lies_before(call, entries, top, child))
            return;
        swap_places(call, top, child);
    }
}

/* Heapsort, as Go does here: in place, and never slow. Most often they are in order. */
static void sort_by_address(struct call *call, const struct entry *entries)
{
    uint32_t n = 1;
    while (n < call->count && !lies_before(call, entries, n, n - 1))
        n++;
    if (n == call->count)
        return;
    for (uint32_t top = call->count / 2; top-- > 0;)
        sift_down(call, entries, top, call->count);
    for (uint32_t end = call->count; end-- > 1;) {
        swap_places(call, 0, end);
        sift_down(call, entries, 0, end);
    }
}

/* Finds the channels and their order. 0, or the error of a case. */
static int prepare(struct call *call, struct entry *entries)
{
    for (uint32_t i = 0; i < call->count; i++) {
        struct weft_case *c = &call->cases[i];
        entries[i].op.object = c->op ? chan_find(c->chan) : NULL;
        entries[i].owned = entries[i].locked = entries[i].enrolled = entries[i].unfenced = false;
        c->private_[BY_ADDRESS] = (uint16_t)i;
        if (c->op && !entries[i].op.object)
            return blame(call, i, -EBADF);
    }
    sort_by_address(call, entries);
    return 0;
}

static uint64_t ring_index(const struct ring *ring, bool send)
{
    return send ? load_relaxed(&ring->tail) : load_relaxed(&ring->head);
}

static bool ring_looks_ready(struct weft_chan *chan, bool send, bool owned)
{
    struct ring *ring = chan->ring;
    if (!owned)
        return send ? ring_has_room(ring) : ring_is_ready(ring, chan->closed_at);
    uint64_t length = load_relaxed(&ring->tail) - load_relaxed(&ring->head);
    return send ? length < ring->capacity : length > 0;
}

/* Takes the locks of the channels that are not biased to this kthd (I2). */
static int hold_all(struct call *call, struct entry *entries, struct weft_kthd *here)
{
    struct entry *before = NULL;
    for (uint32_t k = 0; k < call->count; k++) {
        struct entry *e = nth_by_address(call, entries, k);
        struct weft_case *c = &call->cases[e - entries];
        struct weft_chan *chan = e->op.object;
        if (!chan)
            continue;
        if (before && before->op.object == chan) {
            e->owned = before->owned;
        } else {
            if (!chan_enter(c->chan, here, &e->owned))
                return blame(call, (uint32_t)(e - entries), -EBADF);
            e->locked = !e->owned;
            if (e->owned)
                chan_leave(chan, here, true);
        }
        e->op.value = !e->owned && chan->ring ? ring_index(chan->ring, is_send(c)) : 0;
        before = e;
    }
    return 0;
}

static void let_go_of_all(struct call *call, struct entry *entries)
{
    for (uint32_t i = 0; i < call->count; i++)
        if (entries[i].locked)
            bias_leave(&((struct weft_chan *)entries[i].op.object)->bias, NULL, BIAS_CHANNEL, false);
}

/* Are the first `n` cases as they were when they were tried? (I1, I3) */
static bool all_still_so(struct call *call, const struct entry *entries, uint32_t n, const struct weft_kthd *here)
{
    fence_acquire(); /* as in all_still_owned() */
    for (uint32_t i = 0; i < n; i++) {
        struct weft_chan *chan = entries[i].op.object;
        bool send = is_send(&call->cases[i]);
        if (!chan)
            continue;
        if (entries[i].owned ? !still_owned(chan, here)
                             : chan->ring && (ring_index(chan->ring, send) != entries[i].op.value ||
                                              ring_looks_ready(chan, send, false)))
            return false;
    }
    return true;
}

static int try_all_held(struct call *call, struct entry *entries, struct weft_kthd *here, struct op_list *wake)
{
    for (uint32_t k = 0; k < call->count; k++) {
        uint32_t i = nth(call, k);
        struct weft_chan *chan = entries[i].op.object;
        if (!chan)
            continue;
        if (entries[i].owned && !bias_enter_owned(&chan->bias, here, BIAS_CHANNEL))
            return START_OVER;
        int r = START_OVER;
        if (call->order != WEFT_SELECT_PRIORITY || all_still_so(call, entries, i, here))
            r = try_inside(call, &call->cases[i], chan, entries[i].owned, here, wake);
        if (entries[i].owned)
            bias_leave(&chan->bias, here, BIAS_CHANNEL, true);
        if (r == START_OVER)
            return r;
        if (r != -EAGAIN)
            return conclude(call, i, r);
    }
    return all_still_so(call, entries, call->count, here) ? -EAGAIN : START_OVER;
}

/* As try_each(), of one instant always. START_OVER only within: others have done something each time. */
static int try_held(struct call *call, struct entry *entries, struct weft_kthd *here)
{
    int r;
    do {
        OP_LIST(wake);
        r = prepare(call, entries);
        if (r)
            return r;
        r = hold_all(call, entries, here);
        if (!r)
            r = try_all_held(call, entries, here, &wake);
        let_go_of_all(call, entries);
        op_complete_all(here, &wake);
    } while (r == START_OVER);
    return r;
}

/* --- waiting --- */

/* Does anybody but this select wait in the queue? */
static bool others_wait(const struct list *queue, const struct op_select *select)
{
    for (const struct list *node = queue->next; node != queue; node = node->next) {
        const struct op *op = container_of(node, struct op, link);
        if (!op_is_case(op) || (op->select != select && load_acquire(&op->select->state) != SELECT_OVER))
            return true;
    }
    return false;
}

/* Does an op wait in the queue, ours or another's? Those of selects that are over are taken out (C6). */
static bool any_waits(struct list *queue)
{
    struct op *op = op_hold_first(queue);
    if (op)
        op_let_go(op);
    return op;
}

/* Can the case fire? As seen by a select of which other cases are queued. Inside. */
static bool is_ready(struct weft_chan *chan, bool send, bool owned, const struct op_select *select)
{
    if (!chan->ring)
        return chan->closed || others_wait(send ? &chan->receivers : &chan->senders, select);
    if (chan->closed && (send || load_relaxed(&chan->ring->head) >= chan->closed_at))
        return true;
    return ring_looks_ready(chan, send, owned) && !any_waits(send ? &chan->senders : &chan->receivers);
}

/* Queues the case's op. 0; START_OVER: it could fire; or an error. */
static int enrol(struct call *call, struct entry *e, uint32_t i, struct op_select *select, struct weft_kthd *here)
{
    bool owned;
    struct weft_case *c = &call->cases[i];
    struct weft_chan *chan = chan_enter(c->chan, here, &owned);
    if (!chan)
        return blame(call, i, -EBADF);
    OP_LIST(wake);
    int r = is_ready(chan, is_send(c), owned, select) ? START_OVER : 0;
    if (!r) {
        e->op = (struct op){.value = c->value, .mark = i, .out = &c->value, .object = chan, .select = select};
        store_relaxed(&e->op.state, OP_OF_SELECT);
        e->enrolled = true;
        list_push_back(is_send(c) ? &chan->senders : &chan->receivers, &e->op.link);
        uint32_t bit = is_send(c) ? WEFT_RING_SENDERS : WEFT_RING_RECEIVERS;
        e->unfenced = chan->ring && !owned && !(load_relaxed(&chan->ring->attention) & bit);
        chan_attend(chan, 0, bit);
        if (is_send(c))
            chan_announce(chan, here, &wake);
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return r;
}

/* Ends what enrol() began, as long as the select is over. Where others rely on our fence they get it (C5). */
static void withdraw(struct call *call, struct entry *e, struct weft_kthd *here)
{
    bool owned;
    if (!e->enrolled)
        return;
    struct weft_case *c = &call->cases[e->op.mark];
    struct weft_chan *chan = chan_enter(c->chan, here, &owned);
    if (!chan)
        return; /* freed since: its queues were emptied when it was closed */
    OP_LIST(wake);
    if (list_linked(&e->op.link)) {
        list_remove(&e->op.link);
        chan_settle(chan);
    }
    if (unlikely(e->unfenced) && any_waits(is_send(c) ? &chan->senders : &chan->receivers)) {
        bias_fence();
        chan_serve(chan, owned, &wake);
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
}

static void withdraw_all(struct call *call, struct entry *entries, struct weft_kthd *here)
{
    for (uint32_t k = 0; k < call->count; k++)
        withdraw(call, nth_by_address(call, entries, k), here);
}

/* The other half of C5, for all that set an attention: a fence, and another look. START_OVER: one of them is ready, and the
 * select, unless it had ended before, is withdrawn. */
static int fence_and_look(struct call *call, struct entry *entries, struct op_select *select, struct weft_kthd *here)
{
    int r = 0;
    bool any = false;
    for (uint32_t i = 0; i < call->count; i++)
        any |= entries[i].unfenced;
    if (!any)
        return 0;
    bias_fence();
    for (uint32_t i = 0; i < call->count; i++) {
        struct entry *e = &entries[i];
        bool owned, send = is_send(&call->cases[i]);
        struct weft_chan *chan = e->unfenced ? chan_enter(call->cases[i].chan, here, &owned) : NULL;
        e->unfenced = false;
        if (!chan)
            continue;
        OP_LIST(wake);
        if (ring_looks_ready(chan, send, owned) || chan->closed) {
            if (op_select_withdraw(select)) /* our own op is none from here on: we do not complete ourselves */
                r = START_OVER;
            chan_serve(chan, owned, &wake);
        }
        chan_leave(chan, here, owned);
        op_complete_all(here, &wake);
    }
    return r;
}

/* Queues ops for all cases. 0: wait for the select, which may have ended already. Otherwise nothing is queued any more. */
static int enrol_all(struct call *call, struct entry *entries, struct op_select *select, struct weft_kthd *here)
{
    int r = prepare(call, entries);
    if (r)
        return r;
    for (uint32_t k = 0; !r && k < call->count; k++) {
        struct entry *e = nth_by_address(call, entries, k);
        if (load_acquire(&select->state) == SELECT_OVER)
            return 0; /* one has been completed; what is owed is paid by withdraw() */
        if (e->op.object)
            r = enrol(call, e, (uint32_t)(e - entries), select, here);
    }
    bool withdrawn = r && op_select_withdraw(select);
    if (!r) {
        r = fence_and_look(call, entries, select, here);
        withdrawn = r;
    }
    if (withdrawn)
        withdraw_all(call, entries, here);
    return withdrawn ? r : 0;
}

static int finish(struct call *call, struct entry *entries, int r)
{
    withdraw_all(call, entries, kthd_here(call->self));
    return r < 0 ? r : fired(call, (uint32_t)r, entries[r].op.result);
}

static CROSSES_SWITCH int wait_for_one(struct call *call, struct entry *entries, int64_t deadline_ns)
{
    struct op_select select;
    op_select_open(&select, call->self, 0);
    int r = enrol_all(call, entries, &select, kthd_here(call->self));
    return r ? r : finish(call, entries, op_select_wait(&select, deadline_ns));
}

/* --- the call --- */

/* 0, or what to return in place of waiting. */
static int refuse_to_wait(int64_t deadline_ns)
{
    if (deadline_ns == WEFT_FOREVER)
        return 0;
    if (deadline_ns == NO_WAIT)
        return -EAGAIN;
    return deadline_ns <= clock_now_ns() ? -ETIMEDOUT : 0;
}

/* None could at once, or it is not sure of what instant; or (START_OVER) others came between. */
static NOINLINE CROSSES_SWITCH int go_on(struct call *call, struct entry *entries, int64_t deadline_ns, int r)
{
    for (;;) {
        int refusal = refuse_to_wait(deadline_ns);
        if (r == START_OVER && (refusal || call->order == WEFT_SELECT_PRIORITY))
            r = try_held(call, entries, kthd_here(call->self));
        if (r != -EAGAIN && r != START_OVER)
            return r;
        if (refusal)
            return refusal;
        if (!call->self || kthd_here(call->self)) {
            r = wait_for_one(call, entries, deadline_ns);
            if (r != START_OVER)
                return r;
        } else {
            lwt_rejoined(call->self);
        }
        r = try_each(call, kthd_here(call->self));
        if (r != -EAGAIN && r != START_OVER)
            return r;
    }
}

static NOINLINE CROSSES_SWITCH int select_slow(struct call *call, int64_t deadline_ns, int r)
{
    if (call->count <= LOCAL) {
        struct entry entries[LOCAL];
        return go_on(call, entries, deadline_ns, r);
    }
    struct entry *entries = sys_alloc(call->count * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    r = go_on(call, entries, deadline_ns, r);
    sys_free(entries);
    return r;
}

static ALWAYS_INLINE bool is_valid(const struct weft_case *cases, uint32_t count, uint32_t order)
{
    return cases && count - 1 < WEFT_SELECT_MAX_CASES && order <= WEFT_SELECT_RANDOM;
}

static ALWAYS_INLINE CROSSES_SWITCH int select_from(struct weft_lwt *self, struct weft_case *cases, uint32_t count,
                                                    uint32_t order, int64_t deadline_ns, bool checked)
{
    if (unlikely(!is_valid(cases, count, order)))
        return -EINVAL;
    struct call call = {.cases = cases, .count = count, .order = order, .self = self, .checked = checked};
    order_begin(&call);
    int r = try_each(&call, kthd_here(self));
    if (likely(r >= 0) || (r == -EAGAIN && deadline_ns == NO_WAIT) || (r != -EAGAIN && r != START_OVER))
        return r;
    return select_slow(&call, deadline_ns, r);
}

int CROSSES_SWITCH weft_select(struct weft_case *cases, uint32_t count, uint32_t order, int64_t deadline_ns)
{
    return select_from(lwt_current(), cases, count, order, deadline_ns < 0 ? 0 : deadline_ns, false);
}

int weft_try_select(struct weft_case *cases, uint32_t count, uint32_t order)
{
    return select_from(lwt_current(), cases, count, order, NO_WAIT, false);
}

int CROSSES_SWITCH weft_select_as(struct weft_self *self, struct weft_case *cases, uint32_t count, uint32_t order,
                                  int64_t deadline_ns)
{
    return select_from(self ? lwt_of_self(self) : NULL, cases, count, order, deadline_ns, true);
}

/* --- for callers who wait in a way of their own --- */

static struct call call_of(struct weft_case *cases, uint32_t count, uint32_t order)
{
    return (struct call){.cases = cases, .count = count, .order = order, .self = lwt_current(), .checked = true};
}

int weft_select_start(struct weft_case *cases, uint32_t count, uint32_t order, struct weft_op *ops, uint64_t token)
{
    if (!is_valid(cases, count, order) || !ops || (uintptr_t)ops % 16)
        return -EINVAL;
    struct call call = call_of(cases, count, order);
    struct op_select *select = (struct op_select *)&ops[0];
    order_begin(&call);
    for (;;) {
        struct weft_kthd *here = kthd_here(call.self);
        int r = try_each(&call, here);
        if (r == START_OVER && order == WEFT_SELECT_PRIORITY)
            r = try_held(&call, (struct entry *)&ops[1], here);
        if (r != -EAGAIN && r != START_OVER)
            return r;
        op_select_open(select, NULL, token);
        r = enrol_all(&call, (struct entry *)&ops[1], select, here);
        if (r != START_OVER)
            return r ? r : -EINPROGRESS;
    }
}

int weft_select_finish(struct weft_case *cases, uint32_t count, uint32_t order, struct weft_op *ops)
{
    if (!is_valid(cases, count, order) || !ops || (uintptr_t)ops % 16)
        return -EINVAL;
    int r = weft_op_poll(&ops[0]);
    struct call call = call_of(cases, count, order);
    return r == -EINPROGRESS ? r : finish(&call, (struct entry *)&ops[1], r);
}
