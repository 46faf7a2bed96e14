/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer: deadlines of one kthd, in a pairing heap of nodes that lie in the waiters' own frames: no allocation, O(1)
 * insert, O(log n) amortised removal. Only the kthd's owner touches it.
 * Source: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", Algorithmica 1 (1986).
 */
#ifndef WEFT_SCHED_TIMER_H
#define WEFT_SCHED_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct weft_lwt;

struct timer {
    int64_t deadline_ns;    /* TIMER_FIRED: it has been taken out because it was due */
    struct weft_lwt *lwt;   /* whose wait it ends */
    struct timer *child;    /* its first child: later deadlines */
    struct timer *sibling;  /* next child of the same parent */
    struct timer *previous; /* the sibling before, or the parent if it is the first; NULL at the root */
};

#define TIMER_FIRED INT64_MIN

struct timer_heap {
    struct timer *root;
    uint32_t count;
};

void timer_add(struct timer_heap *heap, struct timer *timer);
/* Takes out a timer that is in the heap. */
void timer_remove(struct timer_heap *heap, struct timer *timer);
/* Takes out and returns the earliest if it is due at `now_ns`, else NULL. */
struct timer *timer_pop_due(struct timer_heap *heap, int64_t now_ns);

/* The earliest deadline; INT64_MAX when there is none. */
static inline int64_t timer_next_ns(const struct timer_heap *heap)
{
    return heap->root ? heap->root->deadline_ns : INT64_MAX;
}

#endif
