/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All system calls of the core, and the fault seam.
 *
 * They are made without libc: its wrappers write errno through the FS base, and the scheduler runs at moments when
 * that is another thread's. Each gives a non-negative result or a negative errno. (pthread_create is the one
 * exception: a carrier of a C program is an ordinary pthread.)
 *
 * In the archive for white-box tests (WEFT_FAULT_SEAM) each kind of call can be made to fail: see sys_fault_arm().
 */
#ifndef WEFT_BASE_SYS_H
#define WEFT_BASE_SYS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/compiler.h"

enum sys_kind {
    SYS_KIND_MMAP,
    SYS_KIND_MPROTECT,
    SYS_KIND_MADVISE,
    SYS_KIND_FUTEX,
    SYS_KIND_MEMBARRIER,
    SYS_KIND_AFFINITY,
    SYS_KIND_SIGACTION,
    SYS_KIND_THREAD,
    SYS_KIND_ALLOC,
    SYS_KINDS
};

#ifdef WEFT_FAULT_SEAM
/* Makes the nth next call of this kind (1: the next) fail with `error` (a negative errno); `sticky`: all later ones
 * too. nth 0 disarms. */
void sys_fault_arm(enum sys_kind kind, unsigned nth, int sticky, int error);
/* How many calls of this kind there were since it was last armed. */
unsigned sys_fault_calls(enum sys_kind kind);
int sys_fault(enum sys_kind kind);
#else
static ALWAYS_INLINE int sys_fault(enum sys_kind kind)
{
    (void)kind;
    return 0;
}
#endif

static ALWAYS_INLINE long raw_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* Address space without memory behind it, or NULL. */
void *sys_reserve(size_t size_bytes);
/* Private zeroed memory, or NULL. */
void *sys_map(size_t size_bytes);
void sys_unmap(void *base, size_t size_bytes);
int sys_protect(void *base, size_t size_bytes, int protection);
int sys_advise(void *base, size_t size_bytes, int advice);

/* Sleeps while *word == expected, until woken or the deadline (INT64_MAX: none). 0, -EAGAIN, -ETIMEDOUT or -EINTR. */
int sys_futex_wait(const void *word, uint32_t expected, int64_t deadline_ns);
void sys_futex_wake(const void *word, int count);

/* Every other thread of the process passes a full memory barrier before this returns. -ENOSYS, -EPERM: not to be had. */
int sys_membarrier(void);
int sys_membarrier_register(void);

int sys_gettid(void);
int sys_tgkill(int tid, int signal);
void sys_yield(void);
_Noreturn void sys_abort(void);

/* The process's affinity: is this processor in it? Pins the calling thread to it; saves and restores masks. */
struct sys_cpus { unsigned long bits[16]; };
int sys_affinity_get(struct sys_cpus *out);
int sys_affinity_set(const struct sys_cpus *set);

/* The calling thread's signal mask (64 bits, as the kernel has it). */
uint64_t sys_sigmask_set(uint64_t mask);

int sys_thread_create(pthread_t *out, size_t stack_bytes, void *(*fn)(void *), void *arg);

/* Zeroed, aligned to a cache line; NULL when there is none. Freed with sys_free. */
void *sys_alloc(size_t size_bytes);
void sys_free(void *memory);

size_t sys_page_size(void);

#endif
