/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spinlock for critical sections of some tens of instructions. Its holder never switches, blocks or faults in user
 * code, so a waiter waits at most for the kernel to schedule the holder's kernel thread: it spins a little, then
 * yields the processor. Test-and-test-and-set: the wait reads a line that stays shared until the holder writes it.
 */
#ifndef WEFT_BASE_SPINLOCK_H
#define WEFT_BASE_SPINLOCK_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/sys.h"

struct spinlock {
    SHARED(uint32_t) held; /* written by whoever takes and releases it */
};

static COLD void spinlock_wait(struct spinlock *lock)
{
    for (int turns = 0;; turns++) {
        while (load_relaxed(&lock->held)) { /* relaxed: the exchange below is the acquire */
            if (++turns % 128 == 0)
                sys_yield();
            cpu_relax();
        }
        if (!exchange_acquire(&lock->held, 1))
            return;
    }
}

static ALWAYS_INLINE void spinlock_acquire(struct spinlock *lock)
{
    if (unlikely(exchange_acquire(&lock->held, 1))) /* pairs with the release below */
        spinlock_wait(lock);
}

static ALWAYS_INLINE void spinlock_release(struct spinlock *lock) { store_release(&lock->held, 0); }

#endif
