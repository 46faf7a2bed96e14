/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See slab.h. Cold: objects are allocated through per-kthd caches where it matters.
 */
#include "base/slab.h"

#include <errno.h>

enum { SLAB_SMALLEST = 1024 }; /* fewer slots than this are no table */

/* Reserves what the address-space limits allow, halving the wish until it fits. */
static int slab_reserve(struct slab *slab)
{
    for (uint32_t slots = slab->limit; slots >= SLAB_SMALLEST || slots == slab->limit; slots /= 2) {
        char *base = sys_map((size_t)slots * slab->stride);
        if (!base)
            continue;
        slab->capacity = slots;
        store_release(&slab->base, base);
        store_release(&slab->used, 1);
        return 0;
    }
    return -ENOMEM;
}

static struct slab_slot *slab_take_locked(struct slab *slab, int *error)
{
    struct slab_free *free = slab->free;
    if (free) {
        slab->free = free->next;
        return &free->slot;
    }
    if (!slab->capacity && (*error = slab_reserve(slab)))
        return NULL;
    uint32_t index = load_relaxed(&slab->used);
    if (index == slab->capacity) {
        *error = -ENOSPC;
        return NULL;
    }
    struct slab_slot *slot = (void *)(load_relaxed(&slab->base) + (size_t)index * slab->stride);
    store_relaxed(&slot->id, (uint32_t)~(slab->kind << SLAB_KIND_SHIFT | index));
    store_release(&slab->used, index + 1);
    return slot;
}

struct slab_slot *slab_take(struct slab *slab, int *error)
{
    spinlock_acquire(&slab->lock);
    struct slab_slot *slot = slab_take_locked(slab, error);
    spinlock_release(&slab->lock);
    return slot;
}

void slab_put(struct slab *slab, struct slab_slot *slot)
{
    struct slab_free *free = (struct slab_free *)slot;
    spinlock_acquire(&slab->lock);
    free->next = slab->free;
    slab->free = free;
    spinlock_release(&slab->lock);
}
