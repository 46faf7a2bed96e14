/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op: one operation under way on an object that is waited on, whoever waits: an lwt, a plain thread, or a token.
 *
 * An op is queued, matched and withdrawn under the exclusion of its object, so exactly one of match, time-out, cancel
 * and close takes it out of the queue, writes its result, and completes it after leaving the exclusion. An lwt's op
 * lies in its control block: it has one wait at a time, and the frames of the call that started it are gone by then.
 */
#ifndef WEFT_SCHED_OP_H
#define WEFT_SCHED_OP_H

#include "weft/op.h"

#include "base/atomic.h"
#include "base/list.h"

struct weft_kthd;
struct weft_lwt;

enum op_state { OP_QUEUED, OP_DONE };

/* The inside of struct weft_op. */
struct op {
    uint64_t value, mark;               /* public */
    struct list link;                   /* in its object's queue; next NULL: in none. Under the object's exclusion */
    uint64_t *out;                      /* where a received word goes */
    /* Enters the object, as `here`; true: the op was queued and is not any more. */
    bool (*withdraw)(struct op *op, struct weft_kthd *here);
    void *object;                       /* a slab slot: its memory outlives the op */
    struct weft_lwt *lwt;               /* who waits; NULL: a thread, or nobody (token) */
    uint64_t token;
    struct op *next;                    /* in a list of ops to complete */
    SHARED(uint32_t) state;             /* enum op_state; futex. Written by the completer, read by thread and poll */
    int result;                         /* under the object's exclusion; then by OP_DONE or the lwt's turn */
};
_Static_assert(sizeof(struct op) <= sizeof(struct weft_op), "an op fits its public shell");

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

#endif
