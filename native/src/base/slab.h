/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab: a table of objects of one kind, addressed by handles (index + generation). Its memory is type-stable: a slot,
 * once used, stays a slot of this kind for the life of the process, so that a stale handle can be checked by reading
 * it. Address space for the whole table is reserved at first use, and committed by the kernel as it is touched.
 *
 *     slot:  [ generation | index | ... the object ... ]      generation odd: alive, even: free
 *
 * Any thread allocates and frees; a spinlock guards the list of free slots.
 */
#ifndef WEFT_BASE_SLAB_H
#define WEFT_BASE_SLAB_H

#include "base/atomic.h"
#include "base/spinlock.h"

/* Begins every object of a slab. */
struct slab_slot {
    SHARED(uint32_t) generation; /* written by slab_alloc/slab_free; read by anyone who holds a handle */
    uint32_t index;              /* constant once used */
};

/* A free slot: the link lies over the object's first word, which must be one that nobody touches through a stale
 * handle. Under the slab's lock, or private to a cache. */
struct slab_free {
    struct slab_slot slot;
    struct slab_free *next;
};

struct slab {
    const uint32_t stride;        /* bytes per slot: an odd number of cache lines spreads them over the cache's sets */
    const uint32_t limit;         /* slots wanted; fewer if address space is limited */
    const uint32_t kind;          /* tag in the handle, 1 to 15 */
    SHARED(char *) base;          /* written once, under the lock */
    SHARED(uint32_t) used;        /* slots ever used: a forged index beyond it is refused; grows under the lock */
    uint32_t capacity;            /* slots reserved */
    struct slab_free *free;
    struct spinlock lock;
};

#define SLAB_INDEX_BITS 28
#define SLAB_KIND_SHIFT SLAB_INDEX_BITS

/* A free slot, its generation still even; slot 0 is never given out. NULL with *error = -ENOMEM or -ENOSPC. */
struct slab_slot *slab_take(struct slab *slab, int *error);
/* Puts a free slot back. */
void slab_put(struct slab *slab, struct slab_slot *slot);

/* Makes a taken slot alive: its handle is valid from here on. Release: pairs with slab_find's acquire. */
static ALWAYS_INLINE void slab_revive(struct slab_slot *slot)
{
    store_release(&slot->generation, load_relaxed(&slot->generation) + 1);
}

/* Makes every handle to it stale. The slot is then to be put back. */
static ALWAYS_INLINE void slab_retire(struct slab_slot *slot)
{
    store_release(&slot->generation, load_relaxed(&slot->generation) + 1);
}

static ALWAYS_INLINE uint64_t slab_handle(const struct slab *slab, const struct slab_slot *slot)
{
    return (uint64_t)load_relaxed(&slot->generation) << 32 | (uint64_t)slab->kind << SLAB_KIND_SHIFT | slot->index;
}

/* The slot at an index, whatever its generation, or NULL. For walks over the table. */
static inline struct slab_slot *slab_at(const struct slab *slab, uint32_t index)
{
    char *base = load_acquire(&slab->base);
    return base && index && index < load_acquire(&slab->used) ? (void *)(base + (size_t)index * slab->stride) : NULL;
}

/* Is the object still the one that the handle was made for? */
static ALWAYS_INLINE bool slab_alive(const struct slab_slot *slot, uint64_t handle)
{
    return load_acquire(&slot->generation) == (uint32_t)(handle >> 32);
}

/* The object of a handle, or NULL if it is stale or forged. It may become stale at any moment after. `stride` and
 * `kind` are the slab's, as constants where the caller has them: this is on the path of every channel operation. */
static ALWAYS_INLINE struct slab_slot *slab_find_sized(const struct slab *slab, size_t stride, uint32_t kind,
                                                       uint64_t handle)
{
    uint32_t index = (uint32_t)handle - (kind << SLAB_KIND_SHIFT); /* another kind: out of every range */
    if (unlikely(index >= load_acquire(&slab->used) || !(handle >> 32 & 1))) /* pairs with the release in slab_take */
        return NULL;
    struct slab_slot *slot = (void *)(load_relaxed(&slab->base) + index * stride);
    return likely(slab_alive(slot, handle)) ? slot : NULL;
}

static inline struct slab_slot *slab_find(const struct slab *slab, uint64_t handle)
{
    return slab_find_sized(slab, slab->stride, slab->kind, handle);
}

#endif
