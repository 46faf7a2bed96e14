/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selftest: proves in some milliseconds, at start and on this very machine, that what weft does to threads works: that
 * a thread which runs on another kernel thread is still itself. Owns two kthds and two threads while it runs. Uses the
 * public functions only, so that it tests what a program would do.
 *
 *     kthd 0      rider 0 and rider 1 take turns; each sees its own thread-local storage, identity, errno, FP control
 *     kthd 0, 1   both migrate to and fro; the same
 *     kthd 0, 1   one on each; each sends a signal to its own parked kernel thread and gets it where it runs
 *     -           both step aside, rejoin, and leave: on their own kernel threads again, with their own signal mask
 *
 * The signal is one that the JDK uses too (SIGRTMAX - 2, by which it ends blocking I/O), so no handler may be put in
 * its place while the VM runs, not even for a millisecond. It is kept blocked on all the threads concerned, and taken
 * by sigtimedwait() on the kernel thread where it must arrive.
 *
 * All waits end with the deadline. If a rider hangs, it and the kthds are left behind, with the memory they use: the
 * process is told that weft does not work in it, and goes on without.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/sys.h"
#include "weft/jvm.h"
#include "weft/kthd.h"
#include "weft/lwt.h"

enum { riders = 2, turns = 200, moves = 20, signals = 3 };

static const int64_t limit_ns = 1800000000; /* of the two seconds; the rest is for coming and going */

struct selftest;

struct rider {
    struct selftest *test;
    int index;
    pthread_t thread;
    /* What must stay itself. Set by the rider before it adopts itself. */
    pthread_t self;
    SHARED(int) own_tid;    /* 0 before; its writer: the rider; the other one reads it to tell where it runs itself */
    uint32_t mxcsr;
    uint16_t x87;
    SHARED(uint32_t) turn;  /* its writer: the rider; the other one reads it to see that turns are really taken */
    SHARED(uint32_t) phase; /* likewise: how far it is */
};

struct selftest {
    weft_kthd_t kthds[2];
    struct rider rider[riders];
    int64_t deadline_ns;
    SHARED(uint32_t) carrier_tid[2];    /* as the riders found it; 0: not yet */
    SHARED(uint32_t) finished;          /* futex: riders that are through; release, so that their words are seen */
    SHARED(const char *) wrong;         /* the first thing that was wrong, or NULL */
};

static __thread int thread_local_mark; /* a distinct value for each rider */

static void set_control_words(uint32_t mxcsr, uint16_t x87)
{
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" ::"m"(mxcsr), "m"(x87));
}

static uint32_t get_mxcsr(void)
{
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    return mxcsr & 0xffc0; /* the sticky flags are not promised to anyone */
}

static uint16_t get_x87(void)
{
    uint16_t x87;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    return x87;
}

static bool wrong(struct selftest *test, const char *words)
{
    const char *none = NULL;
    cas_acq_rel(&test->wrong, &none, words); /* pairs with the acquire in verdict(); the first one counts */
    return false;
}

/* A compiler may keep the address of errno or of a thread-local over a call; reading them out of line keeps it honest. */
static NOINLINE bool is_itself(struct rider *rider)
{
    struct selftest *test = rider->test;
    if (thread_local_mark != 4711 + rider->index)
        return wrong(test, "a thread's thread-local variable changed");
    if (!pthread_equal(pthread_self(), rider->self))
        return wrong(test, "a thread's pthread_self() changed");
    if (errno != 1000 + rider->index)
        return wrong(test, "a thread's errno changed");
    if (get_mxcsr() != rider->mxcsr)
        return wrong(test, "a thread's MXCSR leaked to another");
    if (get_x87() != rider->x87)
        return wrong(test, "a thread's x87 control word leaked to another");
    return true;
}

static bool in_time(struct selftest *test)
{
    if (load_relaxed(&test->wrong)) /* only whether to go on */
        return false;
    return clock_now_ns() < test->deadline_ns || wrong(test, "two threads that take turns got stuck");
}

/* Yields until the other rider is in this phase too. */
static bool meet(struct rider *rider, uint32_t phase)
{
    struct rider *other = &rider->test->rider[!rider->index];
    store_release(&rider->phase, phase);
    while (load_acquire(&other->phase) < phase) { /* pairs with the release above: what came before is seen */
        if (!in_time(rider->test))
            return false;
        weft_lwt_yield();
    }
    return is_itself(rider);
}

static bool take_turns(struct rider *rider)
{
    struct selftest *test = rider->test;
    struct rider *other = &test->rider[!rider->index];
    for (uint32_t i = 1; i <= turns; i++) {
        uint32_t seen = load_relaxed(&other->turn); /* a count, on the same carrier: no order needed */
        store_relaxed(&rider->turn, i);
        do {
            if (!in_time(test))
                return false;
            weft_lwt_yield();
            if (!is_itself(rider))
                return false;
        } while (load_relaxed(&other->turn) == seen && seen < turns);
    }
    return true;
}

/* The kernel thread that runs a kthd's lwts must not be a rider's own, must always be the same, and another than the
 * other kthd's. */
static bool is_carried(struct rider *rider, int kthd)
{
    struct selftest *test = rider->test;
    int tid = sys_gettid();
    uint32_t expected = 0;
    if (tid == load_relaxed(&test->rider[0].own_tid) || tid == load_relaxed(&test->rider[1].own_tid))
        return wrong(test, "an adopted thread was not moved to its carrier");
    if (load_acquire(&test->carrier_tid[!kthd]) == (uint32_t)tid ||
        (!cas_acq_rel(&test->carrier_tid[kthd], &expected, (uint32_t)tid) && expected != (uint32_t)tid))
        return wrong(test, "an adopted thread runs on the wrong carrier");
    return true;
}

static bool migrate(struct rider *rider)
{
    for (int i = 1; i <= moves; i++) {
        int kthd = (i + rider->index) % 2;
        if (!in_time(rider->test))
            return false;
        if (weft_lwt_migrate(rider->test->kthds[kthd]) != 0)
            return wrong(rider->test, "an adopted thread could not migrate");
        if (!is_itself(rider) || !is_carried(rider, kthd))
            return false;
    }
    return true;
}

/* The signal goes to the parked kernel thread by number, as the VM sends it, and must come out where the thread runs. */
static bool get_signals(struct rider *rider)
{
    struct selftest *test = rider->test;
    int signal = SIGRTMAX - 2;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    for (int i = 0; i < signals; i++) {
        struct timespec wait = {0, 500000000};
        siginfo_t info;
        int kept = errno;
        if (sys_tgkill(load_relaxed(&rider->own_tid), signal) != 0)
            return wrong(test, "a signal could not be sent to a thread");
        int got = sigtimedwait(&set, &info, &wait);
        errno = kept;
        if (got != signal)
            return wrong(test, "a signal to an adopted thread was not passed on to its carrier");
        if (!in_time(test) || !is_itself(rider))
            return false;
    }
    return true;
}

static bool step_aside_and_rejoin(struct rider *rider)
{
    struct selftest *test = rider->test;
    if (weft_lwt_step_aside() != 0 || sys_gettid() != load_relaxed(&rider->own_tid))
        return wrong(test, "an adopted thread could not step aside");
    if (!is_itself(rider))
        return false;
    weft_lwt_yield();
    if (sys_gettid() == load_relaxed(&rider->own_tid))
        return wrong(test, "a thread that stepped aside did not rejoin its carrier");
    return is_itself(rider);
}

static bool run_adopted(struct rider *rider)
{
    struct selftest *test = rider->test;
    return is_itself(rider) && is_carried(rider, 0) && meet(rider, 1) && take_turns(rider) && meet(rider, 2) &&
           migrate(rider) && get_signals(rider) && step_aside_and_rejoin(rider) && in_time(test);
}

static void run_rider(struct rider *rider)
{
    struct selftest *test = rider->test;
    /* rounding: 0 toward zero, 1 upward; all exceptions masked */
    rider->mxcsr = rider->index ? 0x5f80 : 0x7f80;
    rider->x87 = rider->index ? 0x0b7f : 0x0f7f;
    rider->self = pthread_self();
    store_relaxed(&rider->own_tid, sys_gettid()); /* a number, which orders nothing */
    thread_local_mark = 4711 + rider->index;

    /* both must be told from each other's kernel thread before either is asked where it runs */
    store_release(&rider->phase, 0);
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    set_control_words(rider->mxcsr, rider->x87);
    errno = 1000 + rider->index;
    if (weft_lwt_adopt(test->kthds[0], NULL) != 0) {
        wrong(test, "a thread could not be adopted");
        return;
    }
    run_adopted(rider);
    if (weft_lwt_leave() != 0)
        wrong(test, "an adopted thread could not leave");
    else if (sys_gettid() != load_relaxed(&rider->own_tid))
        wrong(test, "a thread that left is not on its own kernel thread");
    else
        is_itself(rider);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    if (memcmp(&before, &after, sizeof(uint64_t)) /* what the kernel fills in */)
        wrong(test, "a thread that left has another signal mask than before");
}

static void *rider_main(void *arg)
{
    struct rider *rider = arg;
    run_rider(rider);
    /* release: the last words of the rider; pairs with the acquire in wait_for(). Nothing of the test is touched
     * after the wake-up but its address, and it stays until the threads are joined. */
    atomic_fetch_add_explicit(&rider->test->finished.shared_, 1, memory_order_release);
    sys_futex_wake(&rider->test->finished, 1);
    return NULL;
}

static bool wait_for(struct selftest *test, uint32_t count)
{
    uint32_t finished;
    while ((finished = load_acquire(&test->finished)) < count)
        if (sys_futex_wait(&test->finished, finished, test->deadline_ns + 100000000) == -ETIMEDOUT)
            return load_acquire(&test->finished) >= count;
    return true;
}

static bool start(struct selftest *test, uint32_t *started)
{
    struct weft_kthd_attr attr;
    weft_kthd_attr_init(&attr);
    attr.idle = WEFT_IDLE_PARK;
    attr.name = "weft-selftest";
    for (int i = 0; i < 2; i++)
        if (weft_kthd_create(&test->kthds[i], &attr) != 0)
            return wrong(test, "no carrier could be started");
    for (int i = 0; i < riders; i++) {
        struct rider *rider = &test->rider[i];
        rider->test = test;
        rider->index = i;
        if (sys_thread_create(&rider->thread, 256 << 10, rider_main, rider) != 0)
            return wrong(test, "no thread could be started"); /* a rider that waits for the other gives up by this */
        (*started)++;
    }
    return true;
}

int weft_jvm_selftest(char *buf, size_t size_bytes)
{
    if (buf && size_bytes)
        buf[0] = 0;
    struct selftest *test = sys_alloc(sizeof *test);
    const char *words = NULL;
    uint32_t started = 0;
    bool all_finished = true;
    if (!test) {
        words = "no memory";
    } else {
        test->deadline_ns = clock_now_ns() + limit_ns;
        /* carriers and riders inherit the mask: signals of the process's own are none of their business */
        uint64_t mask = sys_sigmask_set(~UINT64_C(0));
        start(test, &started);
        sys_sigmask_set(mask);
        all_finished = wait_for(test, started);
        words = load_acquire(&test->wrong);
        if (!all_finished) {
            if (!words)
                words = "a thread got stuck";
            for (uint32_t i = 0; i < started; i++)
                pthread_detach(test->rider[i].thread);
        } else {
            for (uint32_t i = 0; i < started; i++)
                pthread_join(test->rider[i].thread, NULL);
            for (int i = 0; i < 2; i++)
                if (test->kthds[i].id && weft_kthd_destroy(test->kthds[i], 0) != 0 && !words)
                    words = "a kthd could not be destroyed";
            sys_free(test);
        }
    }
    if (!words)
        return 0;
    if (buf && size_bytes)
        snprintf(buf, size_bytes, "weft's self-test failed in this process: %s", words);
    return -ENOTSUP;
}
