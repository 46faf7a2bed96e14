/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the code asks of the compiler, by names that say why. Trusts gcc or clang on x86-64; owns no state.
 */
#ifndef WEFT_BASE_COMPILER_H
#define WEFT_BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE 64

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Rare work: out of line, away from the hot code. */
#define COLD __attribute__((cold, noinline))
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))

/* A function in which the FS base changes reads its stack canary from two different places: it must have none. (glibc
 * gives all threads the same canary, so this is caution, not need.) */
#define CROSSES_SWITCH __attribute__((no_stack_protector))

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* Keeps the compiler, and only the compiler, from moving memory accesses across this point. */
#define compiler_barrier() __asm__ volatile("" ::: "memory")

/* One turn of a spin loop: tells the processor, and its hyper-thread neighbour, that nothing is being done. */
static ALWAYS_INLINE void cpu_relax(void) { __asm__ volatile("pause"); }

#endif
