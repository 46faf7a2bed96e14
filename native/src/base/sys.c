/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See sys.h.
 */
#include "base/sys.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#ifdef WEFT_FAULT_SEAM
#include "base/atomic.h"

static struct {
    SHARED(unsigned) calls;
    SHARED(unsigned) nth;
    SHARED(int) sticky;
    SHARED(int) error;
} faults[SYS_KINDS];

void sys_fault_arm(enum sys_kind kind, unsigned nth, int sticky, int error)
{
    store_relaxed(&faults[kind].nth, 0);
    store_relaxed(&faults[kind].calls, 0);
    store_relaxed(&faults[kind].sticky, sticky);
    store_relaxed(&faults[kind].error, error);
    store_release(&faults[kind].nth, nth);
}

unsigned sys_fault_calls(enum sys_kind kind) { return load_relaxed(&faults[kind].calls); }

int sys_fault(enum sys_kind kind)
{
    unsigned nth = load_acquire(&faults[kind].nth);
    unsigned call = add_relaxed(&faults[kind].calls, 1) + 1;
    bool fails = nth && (call == nth || (call > nth && load_relaxed(&faults[kind].sticky)));
    return fails ? load_relaxed(&faults[kind].error) : 0;
}
#endif

static void *map_anonymous(size_t size_bytes, int protection, int flags)
{
    if (sys_fault(SYS_KIND_MMAP))
        return NULL;
    long r = raw_syscall(SYS_mmap, 0, (long)size_bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return r < 0 && r > -4096 ? NULL : (void *)r;
}

void *sys_reserve(size_t size_bytes) { return map_anonymous(size_bytes, PROT_NONE, MAP_NORESERVE); }

void *sys_map(size_t size_bytes) { return map_anonymous(size_bytes, PROT_READ | PROT_WRITE, MAP_NORESERVE); }

void sys_unmap(void *base, size_t size_bytes) { raw_syscall(SYS_munmap, (long)base, (long)size_bytes, 0, 0, 0, 0); }

int sys_protect(void *base, size_t size_bytes, int protection)
{
    int fault = sys_fault(SYS_KIND_MPROTECT);
    return fault ? fault : (int)raw_syscall(SYS_mprotect, (long)base, (long)size_bytes, protection, 0, 0, 0);
}

int sys_advise(void *base, size_t size_bytes, int advice)
{
    int fault = sys_fault(SYS_KIND_MADVISE);
    return fault ? fault : (int)raw_syscall(SYS_madvise, (long)base, (long)size_bytes, advice, 0, 0, 0);
}

int sys_futex_wait(const void *word, uint32_t expected, int64_t deadline_ns)
{
    /* FUTEX_WAIT_BITSET, because its time-out is absolute and monotonic: futex(2) */
    struct timespec deadline = {deadline_ns / 1000000000, deadline_ns % 1000000000};
    if (deadline_ns < 0)
        return -ETIMEDOUT;
    int r = sys_fault(SYS_KIND_FUTEX);
    if (!r)
        r = (int)raw_syscall(SYS_futex, (long)word, FUTEX_WAIT_BITSET_PRIVATE, (long)expected,
                             deadline_ns == INT64_MAX ? 0 : (long)&deadline, 0, FUTEX_BITSET_MATCH_ANY);
    /* signals may keep coming faster than we get to sleep: the deadline holds all the same */
    return r && deadline_ns != INT64_MAX && clock_now_ns() >= deadline_ns ? -ETIMEDOUT : r;
}

void sys_futex_wake(const void *word, int count)
{
    raw_syscall(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, count, 0, 0, 0);
}

int sys_membarrier(void)
{
    return (int)raw_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0);
}

int sys_membarrier_register(void)
{
    int fault = sys_fault(SYS_KIND_MEMBARRIER);
    return fault ? fault : (int)raw_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0);
}

int sys_gettid(void) { return (int)raw_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0); }

int sys_tgkill(int tid, int signal)
{
    long pid = raw_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
    return (int)raw_syscall(SYS_tgkill, pid, tid, signal, 0, 0, 0);
}

void sys_yield(void) { raw_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0); }

_Noreturn void sys_abort(void)
{
    abort(); /* raises SIGABRT, also when it is blocked or handled: the VM then writes its report */
}

int sys_affinity_get(struct sys_cpus *out)
{
    memset(out, 0, sizeof *out);
    int fault = sys_fault(SYS_KIND_AFFINITY);
    if (fault)
        return fault;
    long r = raw_syscall(SYS_sched_getaffinity, 0, sizeof out->bits, (long)out->bits, 0, 0, 0);
    return r < 0 ? (int)r : 0;
}

int sys_affinity_set(const struct sys_cpus *set)
{
    int fault = sys_fault(SYS_KIND_AFFINITY);
    return fault ? fault : (int)raw_syscall(SYS_sched_setaffinity, 0, sizeof set->bits, (long)set->bits, 0, 0, 0);
}

uint64_t sys_sigmask_set(uint64_t mask)
{
    uint64_t old = 0;
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, (long)&old, sizeof mask, 0, 0);
    return old;
}

int sys_thread_create(pthread_t *out, size_t stack_bytes, void *(*fn)(void *), void *arg)
{
    int fault = sys_fault(SYS_KIND_THREAD);
    if (fault)
        return fault;
    pthread_attr_t attr;
    int r = pthread_attr_init(&attr);
    if (r)
        return -r;
    r = pthread_attr_setstacksize(&attr, stack_bytes);
    if (!r)
        r = pthread_create(out, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    return -r;
}

void *sys_alloc(size_t size_bytes)
{
    if (sys_fault(SYS_KIND_ALLOC))
        return NULL;
    size_t rounded = (size_bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
    void *memory = aligned_alloc(CACHE_LINE, rounded);
    return memory ? memset(memory, 0, rounded) : NULL;
}

void sys_free(void *memory) { free(memory); }

size_t sys_page_size(void) { return 4096; } /* x86-64 has no other base page */
