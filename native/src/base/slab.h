/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab: a table of objects of one kind, addressed by handles (index + generation). Its memory is type-stable: a slot,
 * once used, stays a slot of this kind for the life of the process, so that a stale handle can be checked by reading
 * it. Address space for the whole table is reserved at first use, and committed by the kernel as it is touched.
 *
 *     slot:  [ id | ... the object ... ]
 *
 * While the object is alive the id is its handle: generation, kind, index. While it is free the generation is even, and
 * kind and index are complemented: so the id equals no handle, not even a forged one that leads to this slot, and one
 * comparison tells all.
 *
 * Any thread allocates and frees; a spinlock guards the list of free slots.
 */
#ifndef WEFT_BASE_SLAB_H
#define WEFT_BASE_SLAB_H

#include "base/atomic.h"
#include "base/spinlock.h"

/* Begins every object of a slab. */
struct slab_slot {
    SHARED(uint64_t) id; /* written by slab_revive() and slab_retire(); read by anyone who holds a handle */
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

/* The next generation, the other half complemented. */
static ALWAYS_INLINE uint64_t slab_next_id(uint64_t id) { return ((id >> 32) + 1) << 32 | (uint32_t)~id; }

/* Makes a taken slot alive: its handle is valid from here on. Release: pairs with slab_find's acquire. */
static ALWAYS_INLINE void slab_revive(struct slab_slot *slot)
{
    store_release(&slot->id, slab_next_id(load_relaxed(&slot->id)));
}

/* Makes every handle to it stale. The slot is then to be put back. */
static ALWAYS_INLINE void slab_retire(struct slab_slot *slot)
{
    store_release(&slot->id, slab_next_id(load_relaxed(&slot->id)));
}

static ALWAYS_INLINE uint32_t slab_generation(const struct slab_slot *slot)
{
    return (uint32_t)(load_relaxed(&slot->id) >> 32);
}

static inline bool slab_is_alive(const struct slab_slot *slot) { return load_acquire(&slot->id) >> 32 & 1; }

static inline uint32_t slab_index(const struct slab_slot *slot)
{
    uint64_t id = load_relaxed(&slot->id);
    return (uint32_t)(id >> 32 & 1 ? id : ~id) & ((1u << SLAB_INDEX_BITS) - 1);
}

/* Of a live object. */
static ALWAYS_INLINE uint64_t slab_handle(const struct slab *slab, const struct slab_slot *slot)
{
    (void)slab;
    return load_relaxed(&slot->id);
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
    return load_acquire(&slot->id) == handle;
}

/* The object of a handle, or NULL if it is stale or forged. It may become stale at any moment after. `stride` and
 * `kind` are the slab's, as constants where the caller has them: this is on the path of every channel operation. */
static ALWAYS_INLINE struct slab_slot *slab_find_sized(const struct slab *slab, size_t stride, uint32_t kind,
                                                       uint64_t handle)
{
    uint32_t index = (uint32_t)handle - (kind << SLAB_KIND_SHIFT); /* another kind: out of every range */
    if (unlikely(index >= load_acquire(&slab->used))) /* pairs with the release in slab_take */
        return NULL;
    struct slab_slot *slot = (void *)(load_relaxed(&slab->base) + index * stride);
    if (!slot)
        __builtin_unreachable(); /* so that callers' tests for NULL cost nothing once it was found */
    return likely(slab_alive(slot, handle)) ? slot : NULL;
}

static inline struct slab_slot *slab_find(const struct slab *slab, uint64_t handle)
{
    return slab_find_sized(slab, slab->stride, slab->kind, handle);
}

#endif
