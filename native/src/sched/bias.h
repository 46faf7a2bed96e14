/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bias: the exclusion of a channel or group, which costs its one kthd two plain stores.
 *
 * An object starts unclaimed and is claimed by the first kthd that uses it. From then on that kthd's owner enters it
 * without atomic operations; the first use from elsewhere revokes the bias, for good, and everybody takes the lock.
 *
 *     owner:    section = this object            (1)      others:   take the lock
 *               if (bias.owner == me)            (2)                bias.owner = SHARED             (4)
 *                   use the object                                  membarrier                      (5)
 *                   section = none   (release)   (3)                wait until section != this      (6) (acquire)
 *               else: section = none, take the lock                 use the object, release the lock
 *
 * Mutual exclusion. The membarrier (5) runs a full barrier on the owner's processor, at a point that is either before
 * (1), between (1) and (2), or after (2) in its program order. Before (2): the owner's load (2) comes after the store
 * (4) and sees SHARED: it takes the lock. After (2), and so after (1): the store (1) is visible to (6), which waits for (3). That
 * x86 lets the store (1) pass the load (2) is exactly what the barrier makes harmless, and only there: the owner pays
 * a compiler barrier, the revoker, once in the object's life, some microseconds. Source: asymmetric Dekker, as in
 * biased locks and liburcu; membarrier(2). native/test/models/bias.pml checks it and finds it broken without (5).
 *
 * What the owner did inside happens before what comes after: (3) pairs with (6); later it is the lock's order.
 *
 * Deadlock: inside a section the owner neither switches nor sleeps; it may enter a group from inside a channel, hence
 * two sections; nobody enters a channel from inside a group. A revoker waits for this object's section only.
 *
 * Where membarrier is refused (seccomp), objects are SHARED from the start.
 */
#ifndef WEFT_SCHED_BIAS_H
#define WEFT_SCHED_BIAS_H

#include "sched/kthd.h"

/* Outer and inner section: see SECTIONS in kthd.h. */
enum bias_level { BIAS_CHANNEL = 0, BIAS_GROUP = 1 };

struct bias {
    SHARED(struct weft_kthd *) owner; /* NULL: unclaimed; BIAS_SHARED; changed under the lock, read by owners bare */
    struct spinlock lock;
};
#define BIAS_SHARED ((struct weft_kthd *)1)

/* A new object's: unclaimed, or shared where membarrier is not to be had, or where that is asked for. Returns whether it
 * can be claimed. */
bool bias_init(struct bias *bias, bool shared);

/*
 * The expensive half of an asymmetric fence: every thread of the process passes a full barrier. Where membarrier is not to
 * be had (bias_fence_is_symmetric()) a full fence of the caller only: the other side must pay for one, too.
 */
void bias_fence(void);
bool bias_fence_is_symmetric(void);

/* Returns true if entered as owner, false if under the lock. */
bool bias_enter_slow(struct bias *bias, struct weft_kthd *here, enum bias_level level);

/* Enters as owner, or does not enter. */
static ALWAYS_INLINE bool bias_enter_owned(struct bias *bias, struct weft_kthd *here, enum bias_level level)
{
    store_relaxed(&here->section[level], bias);     /* (1) */
    compiler_barrier();                             /* the processor's part of this barrier is the revoker's (5) */
    if (likely(load_relaxed(&bias->owner) == here)) /* (2) relaxed: only we ourselves write our own name there */
        return true;
    store_release(&here->section[level], NULL);     /* a revoker that waits for us goes on */
    return false;
}

/* Enters; `here` is the caller's kthd or NULL. The result is to be given to bias_leave(). */
static ALWAYS_INLINE bool bias_enter(struct bias *bias, struct weft_kthd *here, enum bias_level level)
{
    if (likely(here && bias_enter_owned(bias, here, level)))
        return true;
    return bias_enter_slow(bias, here, level);
}

static ALWAYS_INLINE void bias_leave(struct bias *bias, struct weft_kthd *here, enum bias_level level, bool owned)
{
    if (likely(owned))
        store_release(&here->section[level], NULL); /* (3) */
    else
        spinlock_release(&bias->lock);
}

/*
 * For the last user before the object's slot is reused; the caller is inside, and has retired the slot: an owner holds
 * no lock, so from here on others come inside beside it, and must find the handle stale. Release: the retirement is
 * visible to whoever reads SHARED (acquire in bias_enter_slow()).
 */
static inline void bias_forget(struct bias *bias) { store_release(&bias->owner, BIAS_SHARED); }

static inline bool bias_is_owned(const struct bias *bias)
{
    struct weft_kthd *owner = load_relaxed(&bias->owner);
    return owner && owner != BIAS_SHARED;
}

#endif
