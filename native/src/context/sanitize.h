/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells AddressSanitizer and ThreadSanitizer of switches. Compiles to nothing without them.
 *
 * Both keep what they know of a thread in thread-local storage, so a switch that changes the FS base changes threads for
 * them, too: an adopted thread is always on its own stack. But the carrier is then, for them, still where it was when it
 * was left, and whoever comes back to another native stack has to say so on arrival, before it runs code that they watch.
 *
 * ThreadSanitizer must also be told what happens before what where the FS base changes (sanitize_give, sanitize_take),
 * and must not see what a parked kernel thread does: its FS base, and so the sanitizer's own state, belongs to a thread that
 * runs elsewhere.
 */
#ifndef WEFT_CONTEXT_SANITIZE_H
#define WEFT_CONTEXT_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#include <sanitizer/tsan_interface.h>
#endif

#if defined(WEFT_ASAN) || defined(WEFT_TSAN)
#define WEFT_SANITIZED 1
#else
#define WEFT_SANITIZED 0
#endif

/* For code that ThreadSanitizer must not watch. */
#ifdef WEFT_TSAN
#define UNSEEN_BY_TSAN __attribute__((no_sanitize("thread"), noinline))
#else
#define UNSEEN_BY_TSAN
#endif

/* `what` changes hands between threads of different FS bases: what the giver did happens before what the taker does. */
static ALWAYS_INLINE void sanitize_give(const void *what)
{
    (void)what;
#ifdef WEFT_TSAN
    __tsan_release((void *)(uintptr_t)what);
#endif
}

static ALWAYS_INLINE void sanitize_take(const void *what)
{
    (void)what;
#ifdef WEFT_TSAN
    __tsan_acquire((void *)(uintptr_t)what);
#endif
}

/* What a sanitizer keeps for one flow of control on a carrier's FS base. */
struct sanitized {
#ifdef WEFT_ASAN
    void *fake_stack;
    const void *bottom;
    size_t size;
#endif
#ifdef WEFT_TSAN
    void *fiber;
#endif
    char none[0];
};

/* Where a sanitizer believes a carrier to be. */
struct sanitized_carrier {
#if WEFT_SANITIZED
    struct sanitized *on;
    bool told; /* that a switch to it has begun */
#endif
    char none[0];
};

/* A stack is used anew: frames that were left without returning have poisoned it. */
static ALWAYS_INLINE void sanitize_stack(void *bottom, size_t size)
{
    (void)bottom, (void)size;
#ifdef WEFT_ASAN
    __asan_unpoison_memory_region(bottom, size);
#endif
}

static ALWAYS_INLINE void sanitize_begin(struct sanitized *s, void *bottom, size_t size)
{
    (void)s;
    sanitize_stack(bottom, size);
#ifdef WEFT_ASAN
    s->fake_stack = NULL;
    s->bottom = bottom;
    s->size = size;
#endif
#ifdef WEFT_TSAN
    s->fiber = __tsan_create_fiber(0);
#endif
}

/* For the flow that a carrier began with. */
static inline void sanitize_carrier(struct sanitized_carrier *carrier, struct sanitized *s)
{
    (void)carrier, (void)s;
#ifdef WEFT_ASAN
    pthread_attr_t attr;
    void *bottom;
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstack(&attr, &bottom, &s->size);
    pthread_attr_destroy(&attr);
    s->bottom = bottom;
#endif
#ifdef WEFT_TSAN
    s->fiber = __tsan_get_current_fiber();
#endif
#if WEFT_SANITIZED
    carrier->on = s;
    carrier->told = false;
#endif
}

static ALWAYS_INLINE void sanitize_end(struct sanitized *s)
{
    (void)s;
#ifdef WEFT_TSAN
    __tsan_destroy_fiber(s->fiber);
#endif
}

/* Before a switch between two flows of the carrier's FS base. `last`: the going one will never run again. */
static ALWAYS_INLINE void sanitize_go(struct sanitized_carrier *carrier, struct sanitized *from, struct sanitized *to,
                                      bool last)
{
    (void)carrier, (void)from, (void)to, (void)last;
#if WEFT_SANITIZED
    carrier->on = to;
    carrier->told = true;
#endif
#ifdef WEFT_ASAN
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->bottom, to->size);
#endif
#ifdef WEFT_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
}

/* First thing on a stack of the carrier's FS base that came, from wherever. Until then ThreadSanitizer may take it for
 * another: what others wrote to must not be read before where that watches. */
static ALWAYS_INLINE void sanitize_came(struct sanitized_carrier *carrier, struct sanitized *self)
{
    (void)carrier, (void)self;
#if WEFT_SANITIZED
    if (!carrier->told && carrier->on != self) /* from one with an FS base of its own */
        sanitize_go(carrier, carrier->on, self, false);
#ifdef WEFT_ASAN
    if (carrier->told)
        __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#endif
    carrier->told = false;
#endif
}

#endif
