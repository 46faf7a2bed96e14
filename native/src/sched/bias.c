/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claiming and revoking. See bias.h.
 */
#include "sched/bias.h"

#include <pthread.h>

static struct {
    pthread_once_t once;
    bool refused;
} barrier = {.once = PTHREAD_ONCE_INIT};

static void barrier_init(void) { barrier.refused = sys_membarrier_register() < 0 || sys_membarrier() < 0; }

bool bias_fence_is_symmetric(void)
{
    pthread_once(&barrier.once, barrier_init);
    return barrier.refused;
}

bool bias_init(struct bias *bias, bool shared)
{
    shared |= bias_fence_is_symmetric();
    store_relaxed(&bias->owner, shared ? BIAS_SHARED : NULL);
    return !shared;
}

void bias_fence(void)
{
    fence_seq();
    int r = barrier.refused ? 0 : sys_membarrier();
    invariant(r == 0, "membarrier works once it was registered");
}

/* Under the lock: takes the object from its owner. */
static void take_from(struct bias *bias, struct weft_kthd *owner, enum bias_level level)
{
    store_relaxed(&bias->owner, BIAS_SHARED); /* (4) */
    bias_fence();                             /* (5) */
    for (int turns = 1; load_acquire(&owner->section[level]) == bias; turns++) { /* (6) pairs with (3) */
        if (turns % 128 == 0)
            sys_yield();
        cpu_relax();
    }
}

bool bias_enter_slow(struct bias *bias, struct weft_kthd *here, enum bias_level level)
{
    spinlock_acquire(&bias->lock);
    struct weft_kthd *owner = load_acquire(&bias->owner); /* pairs with bias_forget() */
    if (owner == BIAS_SHARED)
        return false;
    if (owner && owner != here) {
        take_from(bias, owner, level);
        return false;
    }
    /* Unclaimed. Its state was written by its creator, or under this lock: visible to us, who hold it. */
    store_relaxed(&bias->owner, here ? here : BIAS_SHARED);
    if (!here)
        return false;
    store_relaxed(&here->section[level], bias); /* before the lock's release: a revoker that takes it sees the section */
    spinlock_release(&bias->lock);
    return true;
}
