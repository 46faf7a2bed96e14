/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op: one operation under way on an object that is waited on, whoever waits: an lwt, a plain thread, or a token.
 *
 * An op is queued, matched and withdrawn under the exclusion of its object, so exactly one of match, time-out, cancel
 * and close takes it out of the queue, writes its result, and completes it after leaving the exclusion. An lwt's op
 * lies in its control block: it has one wait at a time, and the frames of the call that started it are gone by then.
 *
 * Several ops may stand for one wait, which one of them ends: the cases of a select. They point to what they have in
 * common, a struct op_select; its own op is what the waiter sleeps for. Its state decides which one it is:
 *
 *     OPEN --(compare-and-swap)--> HELD --> OVER      a matcher, inside the object of a case, has found a partner for it
 *      ^                            |
 *      +----------------------------+                 and then had nothing to give after all
 *     OPEN -----------------------> OVER              the waiter, its timer or an interrupt withdraws them all
 *
 * OPEN is left for OVER once, so one case completes, or none. Who holds it does a bounded number of steps and waits for
 * nothing until it lets go, so whoever finds it HELD may wait for that, whatever he holds himself. A case whose select is
 * OVER counts as no op: whoever meets it in a queue takes it out, and the waiter does so with all that are left, before
 * their memory is gone. A thread whose own cases are queued completes no case of another: so no two wait for each other.
 */
#ifndef WEFT_SCHED_OP_H
#define WEFT_SCHED_OP_H

#include "weft/op.h"

#include "base/atomic.h"
#include "base/list.h"

struct weft_kthd;
struct weft_lwt;

enum op_state { OP_QUEUED, OP_DONE, OP_OF_SELECT };

struct op_select;

/* The inside of struct weft_op. */
struct op {
    uint64_t value, mark;               /* public; of a case: the word to send, its number */
    struct list link;                   /* in its object's queue; next NULL: in none. Under the object's exclusion */
    uint64_t *out;                      /* where a received word goes */
    /* Enters the object, as `here`; true: the op was queued and is not any more. */
    bool (*withdraw)(struct op *op, struct weft_kthd *here);
    void *object;                       /* a slab slot: its memory outlives the op */
    struct weft_lwt *lwt;               /* who waits; NULL: a thread, or nobody (token), or it is a case */
    union {
        uint64_t token;
        struct op_select *select;       /* while the state is OP_OF_SELECT, which is constant then */
    };
    struct op *next;                    /* in a list of ops to complete */
    SHARED(uint32_t) state;             /* enum op_state; futex. Written by the completer, read by thread and poll */
    int result;                         /* under the object's exclusion; then by OP_DONE or the lwt's turn */
};
_Static_assert(sizeof(struct op) <= sizeof(struct weft_op), "an op fits its public shell");

enum op_select_state { SELECT_OPEN, SELECT_HELD, SELECT_OVER };

struct op_select {
    struct op op;           /* what is waited for; its result is the number of the case that completed */
    SHARED(uint32_t) state; /* enum op_select_state */
};
_Static_assert(sizeof(struct op_select) <= sizeof(struct weft_op), "a select's own op fits a public shell, too");

/* Ops to be completed once the exclusion is left, in order. */
struct op_list {
    struct op *first;
    struct op **last;
};
#define OP_LIST(name) struct op_list name = {NULL, &name.first}

static ALWAYS_INLINE void op_list_add(struct op_list *list, struct op *op)
{
    op->next = NULL;
    *list->last = op;
    list->last = &op->next;
}

static inline struct op *op_of_link(struct list *link) { return container_of(link, struct op, link); }

static ALWAYS_INLINE bool op_is_case(const struct op *op)
{
    return unlikely(!op->lwt) && load_relaxed(&op->state) == OP_OF_SELECT; /* relaxed: as the rest of a queued op */
}

/* Opens a select for `lwt`, a plain thread (NULL) or a token. */
void op_select_open(struct op_select *select, struct weft_lwt *lwt, uint64_t token);
/* Holds an open select; false: it is over. */
bool op_select_hold(struct op_select *select);
/* Withdraws the select: no case of it completes any more. False: one has, and the waiter is being told. */
static inline bool op_select_withdraw(struct op_select *select)
{
    bool held = op_select_hold(select);
    if (held)
        store_release(&select->state, SELECT_OVER);
    return held;
}

/*
 * The first op of a queue that still waits, and is the caller's to complete or to let go: NULL if there is none. The
 * caller is inside the object.
 */
struct op *op_hold_first_slow(struct list *queue);
static ALWAYS_INLINE struct op *op_hold_first(struct list *queue)
{
    struct op *op = op_of_link(queue->next);
    return likely(!list_empty(queue)) && likely(!op_is_case(op)) ? op : op_hold_first_slow(queue);
}
static ALWAYS_INLINE void op_let_go(struct op *op)
{
    if (op_is_case(op))
        store_release(&op->select->state, SELECT_OPEN);
}

/* Takes a held op out of its queue, with its result, to be completed: whatever it receives has been written. */
struct op *op_select_end(struct op *held);
static ALWAYS_INLINE void op_take(struct op *held, int result, struct op_list *wake)
{
    list_remove(&held->link);
    held->result = result;
    op_list_add(wake, likely(!op_is_case(held)) ? held : op_select_end(held));
}

/* Tells the waiters, in order. The ops' memory is not ours afterwards. A single lwt of this kthd runs next; several
 * queue up, so that they run in the order in which they waited. */
void op_complete_slow(struct weft_kthd *here, struct op *first);
static ALWAYS_INLINE void op_complete_all(struct weft_kthd *here, struct op_list *list)
{
    if (unlikely(list->first != NULL))
        op_complete_slow(here, list->first);
}

/* Sleeps in the kernel for an op that was queued with neither lwt nor token. Gives its result. */
int op_wait_as_thread(struct op *op, int64_t deadline_ns);
/* Sleeps for the op in the calling lwt's control block. Gives its result. */
int op_wait_as_lwt(struct weft_lwt *self, int what, int64_t deadline_ns);
/* Sleeps for a select that was opened without token. Gives the number of the case that completed, or an error. */
int op_select_wait(struct op_select *select, int64_t deadline_ns);

#endif
