/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See timer.h.
 */
#include "sched/timer.h"

#include <stddef.h>

/* Makes the later of two roots the first child of the earlier; equal deadlines keep the order of `a` before `b`. */
static struct timer *meld(struct timer *a, struct timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->deadline_ns < a->deadline_ns) {
        struct timer *t = a;
        a = b;
        b = t;
    }
    b->previous = a;
    b->sibling = a->child;
    if (b->sibling)
        b->sibling->previous = b;
    a->child = b;
    return a;
}

/* Melds a list of siblings to one tree: in pairs from the left, then the pairs from the right. Iterative: a heap that
 * was filled in descending order has one very long list. */
static struct timer *meld_siblings(struct timer *first)
{
    struct timer *pairs = NULL;
    while (first) {
        struct timer *a = first, *b = a->sibling;
        first = b ? b->sibling : NULL;
        a->sibling = a->previous = NULL;
        if (b)
            b->sibling = b->previous = NULL;
        struct timer *pair = meld(a, b);
        pair->sibling = pairs;
        pairs = pair;
    }
    struct timer *root = NULL;
    while (pairs) {
        struct timer *next = pairs->sibling;
        pairs->sibling = NULL;
        root = meld(pairs, root);
        pairs = next;
    }
    return root;
}

void timer_add(struct timer_heap *heap, struct timer *timer)
{
    timer->child = timer->sibling = timer->previous = NULL;
    heap->root = meld(heap->root, timer);
    heap->root->previous = heap->root->sibling = NULL;
    heap->count++;
}

void timer_remove(struct timer_heap *heap, struct timer *timer)
{
    if (timer == heap->root) {
        heap->root = meld_siblings(timer->child);
    } else {
        if (timer->previous->child == timer)
            timer->previous->child = timer->sibling;
        else
            timer->previous->sibling = timer->sibling;
        if (timer->sibling)
            timer->sibling->previous = timer->previous;
        heap->root = meld(heap->root, meld_siblings(timer->child));
    }
    if (heap->root)
        heap->root->previous = heap->root->sibling = NULL;
    heap->count--;
}

struct timer *timer_pop_due(struct timer_heap *heap, int64_t now_ns)
{
    struct timer *first = heap->root;
    if (!first || first->deadline_ns > now_ns)
        return NULL;
    timer_remove(heap, first);
    return first;
}
