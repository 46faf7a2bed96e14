/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack: the memory that native lwts run on.
 *
 * One range of address space is reserved at first use and cut into a span per size class, 8 KiB to 64 MiB by powers
 * of two, and each span into stacks. From any address, a stack pointer say, the stack follows by arithmetic alone:
 *
 *     | class 0: 8 KiB stacks | class 1: 16 KiB stacks | ...      address -> class -> index -> record
 *     |[guard|.....<-sp top]  |
 *
 * What is to be known of a stack is in a record outside of it, so that a free stack can be given back to the system
 * whole. Pages are committed by the kernel as they are touched. A guard below each stack makes overflow a fault: by
 * MADV_GUARD_INSTALL where the kernel has it (6.13: no memory map per guard, 350 ns), else by mprotect (1,560 ns and
 * two maps a stack, so the process's limit on maps bounds their number).
 *
 * Tops are coloured: the first frame lies 0 to 31 cache lines below the top. Stacks of one alignment would all fight
 * for the same few cache sets: 1,000 of them cost 75 ns a switch in place of 41.
 *
 * Threads: the caches belong to their kthd's owner; the shared lists are under a spinlock each.
 */
#ifndef WEFT_CONTEXT_STACK_H
#define WEFT_CONTEXT_STACK_H

#include "base/atomic.h"
#include "base/panic.h"

enum {
    STACK_SMALLEST_SHIFT = 13,
    STACK_LARGEST_SHIFT = 26,
    STACK_CLASSES = STACK_LARGEST_SHIFT - STACK_SMALLEST_SHIFT + 1,
};
#define STACK_DEFAULT_BYTES (64u << 10)

/* The record of a stack. */
struct stack {
    SHARED(void *) owner; /* the lwt on it, or NULL; written by its kthd's owner, read by fault and signal handlers */
    struct stack *next;   /* in a list of free stacks */
    void *top;            /* where the first frame goes: the highest address, less the colour; constant */
    uint32_t size_class;  /* constant */
    uint32_t index;       /* constant */
    uint64_t resident;    /* 0: its pages were given back */
};

/* Free stacks of one kthd, so that creating an lwt takes no lock. */
struct stack_cache {
    struct stack *free[STACK_CLASSES];
    uint32_t count[STACK_CLASSES];
};

/* The class for a wish of that many bytes (0: the default), guard included; -EINVAL if it is out of range. Rounds up
 * to what one signal frame of this processor needs besides (AVX-512 and AMX make it large). */
int stack_class_for(uint64_t bytes);

/* A stack of that class, from the cache (NULL: none) or the shared pool, or new. NULL: *error is -ENOMEM. */
struct stack *stack_take(struct stack_cache *cache, int size_class, int *error);
void stack_put(struct stack_cache *cache, struct stack *stack);
void stack_cache_drain(struct stack_cache *cache);

/* Its lowest usable address and its usable bytes, for the sanitizers. */
void *stack_bottom(const struct stack *stack);
size_t stack_usable_bytes(const struct stack *stack);

/* The stack an address lies in, guard included, or NULL. Async-signal-safe. */
struct stack *stack_containing(const void *address);
bool stack_in_guard(const struct stack *stack, const void *address);

#endif
