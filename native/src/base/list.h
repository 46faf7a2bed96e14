/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive circular doubly-linked list with a sentinel: no branches in insert and remove. Owns nothing; whoever owns
 * the list serialises its use. A node that is in no list has next == NULL if it was removed by list_remove().
 */
#ifndef WEFT_BASE_LIST_H
#define WEFT_BASE_LIST_H

#include <stdbool.h>

#include "base/compiler.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head) { head->next = head->prev = head; }
static inline bool list_empty(const struct list *head) { return head->next == head; }
static inline bool list_linked(const struct list *node) { return node->next != NULL; }

static ALWAYS_INLINE void list_insert_between(struct list *node, struct list *prev, struct list *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

static ALWAYS_INLINE void list_push_back(struct list *head, struct list *node)
{
    list_insert_between(node, head->prev, head);
}

static ALWAYS_INLINE void list_push_front(struct list *head, struct list *node)
{
    list_insert_between(node, head, head->next);
}

/* Leaves the node's own links as they were: for hot paths that link it again at once. */
static ALWAYS_INLINE void list_unlink(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
}

static inline void list_remove(struct list *node)
{
    list_unlink(node);
    node->next = NULL;
}

static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;
    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

#endif
