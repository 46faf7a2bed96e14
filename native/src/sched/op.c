/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for ops, and the queue of completed ones. See op.h and weft/op.h.
 *
 * An op with a token stays queued in `completions` until weft_op_completed() has taken its token, and only then is
 * OP_DONE: until then its memory is in use, and its owner, polling, is told to wait.
 */
#include "sched/op.h"

#include <errno.h>

#include "sched/kthd.h"

static struct {
    SHARED(struct op *) newest;  /* completed ops with tokens, pushed by anyone */
    SHARED(uint32_t) pushes;     /* futex */
    SHARED(uint32_t) sleeping;   /* the reader sleeps, or is about to */
    SHARED(uint32_t) reader;     /* there is one */
    struct op *oldest;           /* taken from `newest`, in order; the reader's */
} completions;

static void announce(struct op *op)
{
    op->next = load_relaxed(&completions.newest);
    /* seq_cst, here and where the reader goes to sleep: the push and its look at `sleeping` against the reader's
     * mark and its look at `newest`; at least one sees the other */
    while (!cas_seq(&completions.newest, &op->next, op))
        ;
    if (load_seq(&completions.sleeping)) {
        add_relaxed(&completions.pushes, 1);
        sys_futex_wake(&completions.pushes, 1);
    }
}

static void complete(struct weft_kthd *here, struct op *op, bool alone)
{
    struct weft_lwt *lwt = op->lwt;
    if (likely(lwt != NULL)) {
        lwt->context.result = op->result;
        if (alone)
            kthd_ready(here, lwt);
        else
            kthd_ready_last(here, lwt);
    } else if (op->token) {
        announce(op);
    } else {
        store_release(&op->state, OP_DONE); /* pairs with the acquire in op_wait_as_thread() and weft_op_poll() */
        sys_futex_wake(&op->state, 1);      /* the op may be gone: at worst a spurious wake-up or -EFAULT */
    }
}

void op_complete_slow(struct weft_kthd *here, struct op *first)
{
    bool alone = !first->next;
    for (struct op *op = first, *next; op; op = next) {
        next = op->next;
        complete(here, op, alone);
    }
}

/* By a timer or an interrupt: on the lwt's own kthd, perhaps while nobody runs there. */
static bool withdraw_op(struct weft_lwt *self) { return self->op.withdraw(&self->op, self->kthd); }

int CROSSES_SWITCH op_wait_as_lwt(struct weft_lwt *self, int what, int64_t deadline_ns)
{
    return likely(deadline_ns == WEFT_FOREVER) ? lwt_wait(self, (enum wait_for)what, withdraw_op)
                                               : lwt_wait_until(self, (enum wait_for)what, withdraw_op, deadline_ns);
}

int op_wait_as_thread(struct op *op, int64_t deadline_ns)
{
    while (load_acquire(&op->state) != OP_DONE) {
        int r = sys_futex_wait(&op->state, OP_QUEUED, deadline_ns);
        if (r == -ETIMEDOUT && op->withdraw(op, NULL)) {
            op->result = -ETIMEDOUT;
            store_release(&op->state, OP_DONE); /* as after weft_op_cancel() */
        } else if (r == -ETIMEDOUT) {
            deadline_ns = WEFT_FOREVER; /* it has been taken: its completion is on the way */
        }
    }
    return op->result;
}

/* --- selects --- */

static bool withdraw_select(struct op *op, struct weft_kthd *here)
{
    (void)here;
    return op_select_withdraw(container_of(op, struct op_select, op));
}

static bool withdraw_select_of_lwt(struct weft_lwt *self) { return op_select_withdraw(self->op.object); }

void op_select_open(struct op_select *select, struct weft_lwt *lwt, uint64_t token)
{
    select->op.withdraw = withdraw_select;
    select->op.lwt = lwt;
    select->op.token = token;
    store_relaxed(&select->op.state, OP_QUEUED);
    store_relaxed(&select->state, SELECT_OPEN); /* relaxed, all of it: others find it by its cases, once they are queued */
}

bool op_select_hold(struct op_select *select)
{
    for (int turns = 1;; turns++) {
        uint32_t open = SELECT_OPEN;
        /* acquire: from who let it go, or, if that fails, from who ended it; release: what the waiter did before it
         * withdrew is done before a matcher finds it so */
        if (likely(cas_acq_rel(&select->state, &open, SELECT_HELD)))
            return true;
        if (open == SELECT_OVER)
            return false;
        if (turns % 128 == 0)
            sys_yield();
        cpu_relax();
    }
}

struct op *op_hold_first_slow(struct list *queue)
{
    while (!list_empty(queue)) {
        struct op *op = op_of_link(queue->next);
        if (!op_is_case(op) || op_select_hold(op->select))
            return op;
        list_remove(&op->link);
    }
    return NULL;
}

struct op *op_select_end(struct op *held)
{
    struct op_select *select = held->select;
    select->op.result = (int)held->mark;
    store_release(&select->state, SELECT_OVER); /* it does not go away before its op, still to be completed, is */
    return &select->op;
}

int CROSSES_SWITCH op_select_wait(struct op_select *select, int64_t deadline_ns)
{
    struct weft_lwt *self = select->op.lwt;
    if (!self)
        return op_wait_as_thread(&select->op, deadline_ns);
    self->op.object = select;
    return lwt_wait_until(self, WAIT_SELECT, withdraw_select_of_lwt, deadline_ns);
}

/* --- ops without lwt --- */

int weft_op_poll(struct weft_op *shell)
{
    struct op *op = (struct op *)shell;
    return load_acquire(&op->state) == OP_DONE ? op->result : -EINPROGRESS;
}

int weft_op_wait(struct weft_op *op, int64_t deadline_ns)
{
    if (kthd_here(lwt_current()))
        return -EPERM; /* it would put a whole kthd to sleep */
    return op_wait_as_thread((struct op *)op, deadline_ns);
}

int weft_op_cancel(struct weft_op *shell, int reason)
{
    struct op *op = (struct op *)shell;
    if (reason >= 0)
        return -EINVAL;
    if (load_acquire(&op->state) == OP_DONE || !op->withdraw(op, kthd_here(lwt_current())))
        return -EALREADY;
    op->result = reason;
    store_release(&op->state, OP_DONE);
    sys_futex_wake(&op->state, 1);
    return 0;
}

/* --- the reader of completions --- */

static void take_completions(void)
{
    struct op *op = exchange_acquire(&completions.newest, NULL); /* pairs with announce() */
    while (op) { /* newest first: turn round */
        struct op *next = op->next;
        op->next = completions.oldest;
        completions.oldest = op;
        op = next;
    }
}

static int hand_out(uint64_t *tokens, int max)
{
    int n = 0;
    while (completions.oldest && n < max) {
        struct op *op = completions.oldest;
        completions.oldest = op->next;
        tokens[n++] = op->token;
        store_release(&op->state, OP_DONE); /* its memory is its owner's again */
    }
    return n;
}

/* Returns 0 when there may be something to take, or -ETIMEDOUT. */
static int sleep_for_completions(int64_t deadline_ns)
{
    uint32_t pushes = load_acquire(&completions.pushes), awake = 0;
    int r = 0;
    cas_seq(&completions.sleeping, &awake, 1);
    if (!load_seq(&completions.newest)) /* see announce() */
        r = sys_futex_wait(&completions.pushes, pushes, deadline_ns);
    store_relaxed(&completions.sleeping, 0); /* relaxed: at worst a wake-up too many */
    return r == -ETIMEDOUT ? r : 0;
}

int weft_op_completed(uint64_t *tokens, int max, int64_t deadline_ns)
{
    uint32_t none = 0;
    int r = 0, n = 0;
    if (!tokens || max < 1)
        return -EINVAL;
    if (!cas_acq_rel(&completions.reader, &none, 1))
        return -EBUSY;
    while (!r) {
        if (!completions.oldest)
            take_completions();
        n = hand_out(tokens, max);
        if (n)
            break;
        r = sleep_for_completions(deadline_ns);
    }
    store_release(&completions.reader, 0);
    return n ? n : r;
}
