/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells AddressSanitizer and ThreadSanitizer of switches between stacks that share one FS base. Compiles to nothing
 * without them. (A switch that changes the FS base needs no telling: both keep their state in thread-local storage.)
 */
#ifndef WEFT_CONTEXT_SANITIZE_H
#define WEFT_CONTEXT_SANITIZE_H

#include <stddef.h>

#include "base/compiler.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define WEFT_ASAN 1
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

/* What a sanitizer keeps for one flow of control. */
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

static ALWAYS_INLINE void sanitize_begin(struct sanitized *s, const void *bottom, size_t size)
{
    (void)s, (void)bottom, (void)size;
#ifdef WEFT_ASAN
    s->bottom = bottom;
    s->size = size;
#endif
#ifdef WEFT_TSAN
    s->fiber = __tsan_create_fiber(0);
#endif
}

/* For the context that a kernel thread began with. */
static ALWAYS_INLINE void sanitize_adopt(struct sanitized *s)
{
    (void)s;
#ifdef WEFT_TSAN
    s->fiber = __tsan_get_current_fiber();
#endif
}

static ALWAYS_INLINE void sanitize_end(struct sanitized *s)
{
    (void)s;
#ifdef WEFT_TSAN
    __tsan_destroy_fiber(s->fiber);
#endif
}

/* Before the switch. `last`: the going context will never run again. */
static ALWAYS_INLINE void sanitize_go(struct sanitized *from, const struct sanitized *to, int last)
{
    (void)from, (void)to, (void)last;
#ifdef WEFT_ASAN
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->bottom, to->size);
#endif
#ifdef WEFT_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
}

/* First thing on the stack that came; `old` receives the bounds of the one that went, if not NULL. */
static ALWAYS_INLINE void sanitize_came(struct sanitized *self, struct sanitized *old)
{
    (void)self, (void)old;
#ifdef WEFT_ASAN
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size);
    if (old) {
        old->bottom = bottom;
        old->size = size;
    }
#endif
}

#endif
