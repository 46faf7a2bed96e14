/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See stack.h.
 */
#include "context/stack.h"

#include <errno.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/spinlock.h"
#include "base/sys.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

enum {
    SPAN_WISHED_SHIFT = 36,   /* 64 GiB of addresses a class: a million stacks of the default size */
    SPAN_SMALLEST_SHIFT = 28, /* under a tight RLIMIT_AS */
    COMMIT_BYTES = 2 << 20,   /* made accessible at a time; neighbours merge to one memory map */
    COLOURS = 32,
};

#define CACHE_BYTES (16u << 20)    /* a kthd keeps at most this much of a class ... */
#define CACHE_STACKS 256u          /* ... and this many stacks */
#define RESIDENT_BYTES (64u << 20) /* beyond this much of a class free in the shared pool, pages go back to the system */

/* The span of one class. */
struct span {
    struct spinlock lock;
    uint64_t committed;   /* bytes made accessible, from the span's start; under the lock */
    uint64_t used;        /* stacks ever handed out; under the lock */
    struct stack *free;   /* under the lock */
    uint64_t free_count;  /* under the lock */
    SHARED(struct stack *) records; /* one per stack the span has room for; written once, under the lock */
} CACHE_ALIGNED;

static struct {
    SHARED(char *) base;    /* written once, under the lock, after the span's size */
    SHARED(int) span_shift; /* written before base */
    struct spinlock lock;
    SHARED(bool) guard_by_mprotect; /* the kernel has no MADV_GUARD_INSTALL; found at the first guard */
    struct span spans[STACK_CLASSES];
} pool;

static size_t class_bytes(int size_class) { return (size_t)1 << (STACK_SMALLEST_SHIFT + size_class); }

/* One page stops a frame that grows step by step; where there is room, four also stop one that takes a stride. */
static size_t guard_bytes(int size_class) { return class_bytes(size_class) >= STACK_DEFAULT_BYTES ? 16384 : 4096; }

int stack_class_for(uint64_t bytes)
{
    static const uint64_t smallest = 1u << STACK_SMALLEST_SHIFT, largest = 1u << STACK_LARGEST_SHIFT;
    if (!bytes)
        bytes = STACK_DEFAULT_BYTES;
    if (bytes < smallest || bytes > largest)
        return -EINVAL;
    uint64_t needed = getauxval(AT_MINSIGSTKSZ) + COLOURS * CACHE_LINE + 1024;
    int size_class = 0;
    while (class_bytes(size_class) < bytes || class_bytes(size_class) - guard_bytes(size_class) < needed)
        size_class++;
    return size_class;
}

static int pool_reserve_locked(void)
{
    for (int shift = SPAN_WISHED_SHIFT; shift >= SPAN_SMALLEST_SHIFT; shift--) {
        size_t span = (size_t)1 << shift;
        char *range = sys_reserve((STACK_CLASSES + 1) * span);
        if (!range)
            continue;
        /* aligned to the largest stack, so that every stack is aligned to its size */
        uintptr_t aligned = ((uintptr_t)range + class_bytes(STACK_CLASSES - 1) - 1) & -class_bytes(STACK_CLASSES - 1);
        store_relaxed(&pool.span_shift, shift);
        store_release(&pool.base, (char *)aligned);
        return 0;
    }
    return -ENOMEM;
}

static int pool_reserve(void)
{
    if (load_acquire(&pool.base))
        return 0;
    spinlock_acquire(&pool.lock);
    int r = load_relaxed(&pool.base) ? 0 : pool_reserve_locked();
    spinlock_release(&pool.lock);
    return r;
}

static char *span_base(int size_class)
{
    return load_relaxed(&pool.base) + ((size_t)size_class << load_relaxed(&pool.span_shift));
}

static uint64_t span_stacks(int size_class)
{
    return ((uint64_t)1 << load_relaxed(&pool.span_shift)) >> (STACK_SMALLEST_SHIFT + size_class);
}

static char *stack_base(const struct stack *stack)
{
    return span_base((int)stack->size_class) + stack->index * class_bytes((int)stack->size_class);
}

void *stack_bottom(const struct stack *stack) { return stack_base(stack) + guard_bytes((int)stack->size_class); }

size_t stack_usable_bytes(const struct stack *stack)
{
    return class_bytes((int)stack->size_class) - guard_bytes((int)stack->size_class);
}

static int install_guard(char *base, size_t bytes)
{
    if (!load_relaxed(&pool.guard_by_mprotect)) { /* relaxed: seen late, the attempt below fails again */
        int r = sys_advise(base, bytes, MADV_GUARD_INSTALL);
        if (r != -EINVAL)
            return r;
        store_relaxed(&pool.guard_by_mprotect, true);
    }
    return sys_protect(base, bytes, PROT_NONE);
}

/* Makes the next stack of the span accessible, with its guard. */
static struct stack *span_carve_locked(struct span *span, int size_class, int *error)
{
    if (span->used == span_stacks(size_class)) {
        *error = -ENOMEM;
        return NULL;
    }
    struct stack *records = load_relaxed(&span->records);
    if (!records) {
        records = sys_map(span_stacks(size_class) * sizeof *records);
        if (!records) {
            *error = -ENOMEM;
            return NULL;
        }
        store_release(&span->records, records);
    }
    size_t bytes = class_bytes(size_class);
    char *base = span_base(size_class) + span->used * bytes;
    if ((span->used + 1) * bytes > span->committed) {
        size_t more = bytes > COMMIT_BYTES ? bytes : COMMIT_BYTES;
        char *fresh = span_base(size_class) + span->committed;
        *error = sys_protect(fresh, more, PROT_READ | PROT_WRITE);
        if (*error)
            return NULL;
        sys_advise(fresh, more, MADV_NOHUGEPAGE); /* else one touched page may commit 2 MiB; a wish, not a need */
        span->committed += more;
    }
    *error = install_guard(base, guard_bytes(size_class));
    if (*error)
        return NULL;
    struct stack *stack = &records[span->used];
    stack->size_class = (uint32_t)size_class;
    stack->index = (uint32_t)span->used++;
    stack->top = base + bytes - stack->index % COLOURS * CACHE_LINE;
    stack->resident = 1;
    return stack;
}

static COLD struct stack *stack_take_shared(int size_class, int *error)
{
    *error = pool_reserve();
    if (*error)
        return NULL;
    struct span *span = &pool.spans[size_class];
    spinlock_acquire(&span->lock);
    struct stack *stack = span->free;
    if (stack) {
        span->free = stack->next;
        span->free_count--;
    } else {
        stack = span_carve_locked(span, size_class, error);
    }
    spinlock_release(&span->lock);
    if (stack)
        stack->resident = 1;
    else if (*error != -ENOMEM)
        *error = -ENOMEM; /* -EAGAIN of a locked address space, and the like: all mean "no memory for it" */
    return stack;
}

struct stack *stack_take(struct stack_cache *cache, int size_class, int *error)
{
    if (likely(cache != NULL)) {
        struct stack *stack = cache->free[size_class];
        if (likely(stack != NULL)) {
            cache->free[size_class] = stack->next;
            cache->count[size_class]--;
            return stack;
        }
    }
    return stack_take_shared(size_class, error);
}

static void give_pages_back(struct stack *stack)
{
    if (stack->resident && !sys_advise(stack_bottom(stack), stack_usable_bytes(stack), MADV_DONTNEED))
        stack->resident = 0;
}

static COLD void stack_put_shared(struct stack *stack)
{
    struct span *span = &pool.spans[stack->size_class];
    bool crowded;
    spinlock_acquire(&span->lock);
    crowded = span->free_count * class_bytes((int)stack->size_class) >= RESIDENT_BYTES;
    spinlock_release(&span->lock);
    if (crowded)
        give_pages_back(stack); /* outside the lock: it is ours alone until it is in the list */
    spinlock_acquire(&span->lock);
    stack->next = span->free;
    span->free = stack;
    span->free_count++;
    spinlock_release(&span->lock);
}

void stack_put(struct stack_cache *cache, struct stack *stack)
{
    store_relaxed(&stack->owner, NULL);
    uint32_t size_class = stack->size_class;
    if (likely(cache && cache->count[size_class] < CACHE_STACKS &&
               cache->count[size_class] < CACHE_BYTES >> (STACK_SMALLEST_SHIFT + size_class))) {
        stack->next = cache->free[size_class];
        cache->free[size_class] = stack;
        cache->count[size_class]++;
    } else {
        stack_put_shared(stack);
    }
}

void stack_cache_drain(struct stack_cache *cache)
{
    for (int c = 0; c < STACK_CLASSES; c++)
        while (cache->free[c]) {
            struct stack *stack = cache->free[c];
            cache->free[c] = stack->next;
            cache->count[c]--;
            stack_put_shared(stack);
        }
}

struct stack *stack_containing(const void *address)
{
    char *base = load_acquire(&pool.base);
    size_t offset = (size_t)((const char *)address - base);
    int shift = load_relaxed(&pool.span_shift);
    if (!base || offset >= (size_t)STACK_CLASSES << shift)
        return NULL;
    int size_class = (int)(offset >> shift);
    struct stack *records = load_acquire(&pool.spans[size_class].records);
    size_t index = (offset & (((size_t)1 << shift) - 1)) >> (STACK_SMALLEST_SHIFT + size_class);
    return records ? &records[index] : NULL; /* one never used yet has no owner */
}

bool stack_in_guard(const struct stack *stack, const void *address)
{
    return (const char *)address < (const char *)stack_bottom(stack);
}
