/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context: a suspended flow of control (see switch_x86_64.S). Owns the thread-local word that says who runs on this FS base. Knows nothing of lwts.
 */
#ifndef WEFT_CONTEXT_CONTEXT_H
#define WEFT_CONTEXT_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* A flow of control, while it is suspended. The assembly knows the fields by their offsets. */
struct context {
    void *owner[3];  /* not used here: room for its owner, in the cache line of what follows */
    void *sp;        /* its stack pointer */
    uint64_t fs;     /* its own FS base; 0: it runs on its carrier's. Constant */
    int32_t result;  /* what the switch returns to it when it comes back; written by whoever brings it back */
    uint8_t tags[4]; /* not used here, like owner */
    uint32_t mxcsr;  /* control words of the floating-point units */
    uint16_t x87;    /* CONTEXT_FRESH: it has not run yet, and the word is in r15 */
    uint16_t unused;
    void *rbx, *rbp, *r12, *r13, *r14, *r15;
};
#define CONTEXT_FRESH 0xffff
_Static_assert(offsetof(struct context, sp) == 24 && offsetof(struct context, result) == 40 &&
               offsetof(struct context, mxcsr) == 48 && offsetof(struct context, x87) == 52 && offsetof(struct context, rbx) == 56 &&
               offsetof(struct context, r15) == 96, "as the assembly has it");

/* Resumes `to`, a native context on the same carrier, and forgets the caller. To be called last, so as to be jumped to.
 * (Not declared as never returning: compilers make calls to such functions real calls.) */
int context_jump(struct context *to) __attribute__((visibility("hidden")));

/* The same for two native contexts of one carrier, which share its FS base. */
int context_switch_native(struct context *from, struct context *to) __attribute__((visibility("hidden")));

/* Suspends `from`, resumes `to`; returns, when somebody switches back to `from`, its result. See switch_x86_64.S. */
int context_switch(struct context *from, struct context *to, uint64_t fs, void *current)
    __attribute__((visibility("hidden")));

/* Nonzero: the machine has no FSGSBASE and its user accepted to pay a system call in its place. Set once, at start. */
extern unsigned char context_slow_fs __attribute__((visibility("hidden")));

/*
 * The lwt that runs on this FS base; NULL on a plain thread. Written under the FS base concerned: by the switch, or
 * by the accessors here. "initial-exec", so that an access is one instruction and can be made in a signal handler.
 */
extern __thread void *context_current __attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * Volatile assembly on purpose: a compiler keeps the address of a thread-local across calls, and after a switch that
 * address may be another thread's.
 */
static ALWAYS_INLINE void *context_current_get(void)
{
    void *current;
    __asm__ volatile("movq context_current@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(current)::"memory");
    return current;
}

static ALWAYS_INLINE void context_current_set(void *current)
{
    uint64_t offset;
    __asm__ volatile("movq context_current@gottpoff(%%rip), %0\n\tmovq %1, %%fs:(%0)"
                     : "=&r"(offset)
                     : "r"(current)
                     : "memory");
}

/* The FS base of the calling thread: glibc keeps it in the first word of the thread's control block. */
static ALWAYS_INLINE uint64_t context_fs(void)
{
    uint64_t fs;
    __asm__ volatile("movq %%fs:0, %0" : "=r"(fs));
    return fs;
}

/*
 * Makes `context` a new one: when it is switched to, it calls end(fn(arg)) on its stack; `end` must not return. It
 * inherits the caller's floating-point control words, as a new pthread does.
 *   top      highest address of the stack, exclusive; a multiple of 16
 */
void context_make(struct context *context, void *top, void *(*fn)(void *), void *arg, int (*end)(void *));

/* What is missing on this machine to switch contexts here, as a sentence; NULL if nothing is. Sets context_slow_fs. */
const char *context_platform_problem(void);

#endif
