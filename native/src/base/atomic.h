/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared fields. A field that more than one thread touches is declared SHARED(type), so that a bare access does not
 * compile, and every access names its order. C11 underneath: the sanitizers understand it. The sequentially
 * consistent default is not to be had without asking for it by name.
 */
#ifndef WEFT_BASE_ATOMIC_H
#define WEFT_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>

#define SHARED(type) struct { _Atomic(type) shared_; }

#define load_relaxed(field) atomic_load_explicit(&(field)->shared_, memory_order_relaxed)
#define load_acquire(field) atomic_load_explicit(&(field)->shared_, memory_order_acquire)
#define load_seq(field) atomic_load_explicit(&(field)->shared_, memory_order_seq_cst)

#define store_relaxed(field, value) atomic_store_explicit(&(field)->shared_, value, memory_order_relaxed)
#define store_release(field, value) atomic_store_explicit(&(field)->shared_, value, memory_order_release)

#define exchange_acquire(field, value) atomic_exchange_explicit(&(field)->shared_, value, memory_order_acquire)
#define exchange_acq_rel(field, value) atomic_exchange_explicit(&(field)->shared_, value, memory_order_acq_rel)

#define add_relaxed(field, value) atomic_fetch_add_explicit(&(field)->shared_, value, memory_order_relaxed)
#define sub_acq_rel(field, value) atomic_fetch_sub_explicit(&(field)->shared_, value, memory_order_acq_rel)

/* Strong compare-and-swap; on failure `*expected` is what was there, read with acquire. */
#define cas_acq_rel(field, expected, value) \
    atomic_compare_exchange_strong_explicit(&(field)->shared_, expected, value, memory_order_acq_rel, \
                                            memory_order_acquire)
#define cas_seq(field, expected, value) \
    atomic_compare_exchange_strong_explicit(&(field)->shared_, expected, value, memory_order_seq_cst, \
                                            memory_order_seq_cst)

/* Fences, for what no single access can order. ThreadSanitizer does not know them: there, an operation on a word of
 * everybody's, which orders at least as much. */
#ifdef __SANITIZE_THREAD__
__attribute__((weak, visibility("hidden"))) _Atomic(int) fence_for_sanitizer;
#define fence_acquire() ((void)atomic_fetch_add_explicit(&fence_for_sanitizer, 0, memory_order_acq_rel))
#define fence_seq() ((void)atomic_fetch_add_explicit(&fence_for_sanitizer, 0, memory_order_seq_cst))
#else
#define fence_acquire() atomic_thread_fence(memory_order_acquire)
#define fence_seq() atomic_thread_fence(memory_order_seq_cst)
#endif

/* A counter with one writer, which need not pay for a locked instruction; anyone may read it. */
#define bump_owned(field) store_relaxed(field, load_relaxed(field) + 1)

/*
 * Counts such a counter down by one; true when it is zero or below. One instruction, which compilers do not make of a
 * load and a store: x86 reads and writes an aligned word whole, so a reader elsewhere sees the one value or the other.
 */
#define count_down_owned(field) \
    ({ \
        bool over_; \
        __asm__ volatile("subl $1, %0" : "+m"((field)->shared_), "=@ccle"(over_)); \
        over_; \
    })

#endif
