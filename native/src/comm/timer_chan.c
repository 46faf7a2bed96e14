/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers as channels. Owns a timer for each channel that is one's, a heap of those that pend, and the thread that sends;
 * leaves all else to channels, which it knows by the functions of weft/chan.h only. Any thread starts, stops and resets;
 * the library's one thread fires.
 *
 * A timer lies in a table, at the index of its channel's handle, so it is found without a search and there are never more of
 * them than channels. It names its channel by the whole handle and holds no reference, or the last release would not free
 * the channel: the thread sends and closes by handle, and what has become of that channel is answered with -EPIPE or -EBADF
 * (O1 in native/README.md). A timer that outlived its channel ends with that answer, or when the next channel at that index
 * becomes a timer's, which is sure that the one before is gone.
 *
 * The heap lies in an array and has four children to a node, which share a cache line: half as many levels as with two. A
 * removal takes O(log n) at worst, not only amortised as in the pairing heap of sched/timer.h: it happens under a spinlock.
 *
 * Locks: one spinlock guards everything. It is not held when the thread sends (which may be a system call, to wake a
 * receiver) or sleeps, nor when a starter wakes the thread. So a periodic timer is given its next moment before its tick is
 * sent: whoever has the lock finds each timer pending, or not, and no third state.
 *
 * Sleep. Under the lock the thread reads `changes`, says until when it will sleep, leaves the lock and calls futex_wait. Who
 * makes an earlier timer does so under the lock: before, and the thread has seen it; or after, and then it has changed
 * `changes` before it calls futex_wake. Either the kernel finds the word changed and does not let the thread sleep, or the
 * thread sleeps and is woken: it compares and queues in one step, futex(2). Later timers change nothing. A timer that is
 * stopped does not wake the thread either: if it was the next, the thread wakes up in vain, once, at its moment.
 */
#include "weft/timer.h"

#include <errno.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/slab.h"
#include "weft/chan.h"

enum {
    MOST_TIMERS = 1 << 20,  /* as many as channels */
    FEWEST_TIMERS = 1024,   /* fewer are no table */
    THREAD_STACK_BYTES = 64 << 10,
};

/* All but SIGCANCEL and SIGSETXID, which are glibc's own: as sigfillset() has it. */
#define ALL_SIGNALS (~(3ull << 31))

struct chan_timer {
    uint64_t chan;     /* handle; the channel may be gone. 0: never used */
    int64_t period_ns; /* 0: fires once */
    uint64_t missed;   /* ticks that were due and not sent */
    uint32_t position; /* in the heap; 0: not pending */
    bool fired;        /* once, and that has been */
};

struct due {
    int64_t at_ns;
    uint32_t index; /* of the timer */
};

static struct {
    struct spinlock lock;
    uint32_t capacity;        /* of both arrays; 0 before the first use */
    struct chan_timer *table; /* by index of the channel */
    struct due *heap;         /* from 1 to pending, the earliest first; the children of i are 4i-2 to 4i+1 */
    uint32_t pending;
    int64_t sleeps_until_ns;  /* what the thread sleeps for; AWAKE: it will look at the heap before it sleeps */
    SHARED(uint32_t) changes; /* futex. Written under the lock, hence relaxed; the kernel alone looks without */
    SHARED(bool) started;     /* the table is there and the thread runs. Release, pairing with the acquire in start() */
} timers;

#define AWAKE INT64_MIN

/* --- the heap; under the lock --- */

static void place(uint32_t position, struct due due)
{
    timers.heap[position] = due;
    timers.table[due.index].position = position;
}

/* The earliest of a node's children, or 0 if it has none. */
static uint32_t earliest_child(uint32_t position)
{
    uint32_t first = position * 4 - 2, earliest = first;
    if (first > timers.pending)
        return 0;
    for (uint32_t child = first + 1; child < first + 4 && child <= timers.pending; child++)
        if (timers.heap[child].at_ns < timers.heap[earliest].at_ns)
            earliest = child;
    return earliest;
}

/* Puts `due` where it belongs, beginning at a position that is free or its own. */
static void sift(uint32_t position, struct due due)
{
    uint32_t next;
    while (position > 1 && due.at_ns < timers.heap[next = (position + 2) / 4].at_ns) {
        place(position, timers.heap[next]);
        position = next;
    }
    while ((next = earliest_child(position)) && timers.heap[next].at_ns < due.at_ns) {
        place(position, timers.heap[next]);
        position = next;
    }
    place(position, due);
}

/* Makes the timer pend, or pend for another moment. */
static void pend(struct chan_timer *timer, int64_t at_ns)
{
    uint32_t position = timer->position ? timer->position : ++timers.pending;
    sift(position, (struct due){at_ns, (uint32_t)(timer - timers.table)});
}

/* Returns whether it was pending. */
static bool unpend(struct chan_timer *timer)
{
    uint32_t position = timer->position;
    if (!position)
        return false;
    timer->position = 0;
    struct due last = timers.heap[timers.pending--];
    if (position <= timers.pending)
        sift(position, last);
    return true;
}

static int64_t next_ns(void) { return timers.pending ? timers.heap[1].at_ns : WEFT_FOREVER; }

/* --- the thread --- */

/* The first tick after now, on the timer's grid, when `due_ns` has come; adds those in between to its missed ones. */
static int64_t next_tick_ns(struct chan_timer *timer, int64_t due_ns, int64_t now_ns)
{
    int64_t late = (now_ns - due_ns) / timer->period_ns, next;
    timer->missed += (uint64_t)late;
    return __builtin_add_overflow(due_ns + late * timer->period_ns, timer->period_ns, &next) ? WEFT_FOREVER : next;
}

/* Under the lock, which is left to send. */
static void fire_once(struct chan_timer *timer, weft_chan_t chan, int64_t now_ns)
{
    unpend(timer);
    timer->fired = true;
    spinlock_release(&timers.lock);
    weft_chan_try_send(chan, (uint64_t)now_ns);
    weft_chan_close(chan);
    spinlock_acquire(&timers.lock);
}

static void fire_again(struct chan_timer *timer, weft_chan_t chan, int64_t now_ns)
{
    pend(timer, next_tick_ns(timer, next_ns(), now_ns));
    spinlock_release(&timers.lock);
    int r = weft_chan_try_send(chan, (uint64_t)now_ns);
    spinlock_acquire(&timers.lock);
    if (likely(!r) || timer->chan != chan.id) /* the channel was freed meanwhile, and the timer is another's */
        return;
    if (r == -EAGAIN)
        timer->missed++;
    else
        unpend(timer);
}

/* Under the lock, which is left to sleep. */
static void sleep_until(int64_t deadline_ns)
{
    uint32_t seen = load_relaxed(&timers.changes);
    timers.sleeps_until_ns = deadline_ns;
    spinlock_release(&timers.lock);
    sys_futex_wait(&timers.changes, seen, deadline_ns); /* whatever ends it, the caller looks again */
    spinlock_acquire(&timers.lock);
    timers.sleeps_until_ns = AWAKE;
}

/* A thread is born with its creator's affinity, and that may be a pinned carrier: takes the first thread's instead. */
static void leave_creators_processor(void)
{
    struct sys_cpus cpus = {{0}};
    long pid = raw_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
    if (raw_syscall(SYS_sched_getaffinity, pid, sizeof cpus.bits, (long)cpus.bits, 0, 0, 0) > 0)
        sys_affinity_set(&cpus);
}

static void *timer_main(void *arg)
{
    raw_syscall(SYS_prctl, PR_SET_NAME, (long)"weft-timer", 0, 0, 0, 0);
    leave_creators_processor();
    spinlock_acquire(&timers.lock);
    for (;;) {
        int64_t now_ns = clock_now_ns();
        if (next_ns() > now_ns) {
            sleep_until(next_ns());
            continue;
        }
        struct chan_timer *timer = &timers.table[timers.heap[1].index];
        (timer->period_ns ? fire_again : fire_once)(timer, (weft_chan_t){timer->chan}, now_ns);
    }
    return arg;
}

/* Reserves what the address-space limits allow, halving the wish until it fits; touched as it is used. */
static int make_table(void)
{
    for (uint32_t capacity = MOST_TIMERS; capacity >= FEWEST_TIMERS; capacity /= 2) {
        size_t table_bytes = capacity * sizeof *timers.table;
        char *memory = sys_map(table_bytes + CACHE_LINE + capacity * sizeof *timers.heap);
        if (!memory)
            continue;
        spinlock_acquire(&timers.lock);
        timers.table = (void *)memory;
        timers.heap = (void *)(memory + table_bytes + CACHE_LINE / 2); /* so that the children of 1, 2 to 5, begin a line */
        timers.sleeps_until_ns = AWAKE;
        timers.capacity = capacity;
        spinlock_release(&timers.lock);
        return 0;
    }
    return -ENOMEM;
}

/* No signal is handled on the thread: it is born with all of them blocked. */
static int start_thread(void)
{
    pthread_t thread;
    uint64_t mask = sys_sigmask_set(ALL_SIGNALS);
    int r = sys_thread_create(&thread, THREAD_STACK_BYTES, timer_main, NULL);
    sys_sigmask_set(mask);
    if (!r)
        pthread_detach(thread); /* it ends with the process */
    return r;
}

/* Once in a process: others who start a timer meanwhile spin for as long as a thread takes to create. */
static COLD int start_slow(void)
{
    static struct spinlock starting;
    spinlock_acquire(&starting);
    int r = timers.table ? 0 : make_table();
    if (!r && !load_relaxed(&timers.started)) { /* relaxed: under the lock */
        r = start_thread();
        if (!r)
            store_release(&timers.started, true);
    }
    spinlock_release(&starting);
    return r;
}

/* --- starting --- */

/* Under the lock: must the thread be woken, to sleep for less? To one caller this says yes: the thread is then on its way. */
static bool must_wake(void)
{
    if (timers.sleeps_until_ns <= next_ns())
        return false;
    timers.sleeps_until_ns = AWAKE;
    store_relaxed(&timers.changes, load_relaxed(&timers.changes) + 1);
    return true;
}

/* Leaves the lock after a timer was made to pend. */
static void leave_and_wake(void)
{
    bool wake = must_wake();
    spinlock_release(&timers.lock);
    if (wake)
        sys_futex_wake(&timers.changes, 1);
}

static uint32_t index_of(weft_chan_t chan) { return chan.id & ((1u << SLAB_INDEX_BITS) - 1); }

static int start(weft_chan_t *out, int64_t at_ns, int64_t period_ns)
{
    struct weft_chan_attr attr;
    weft_chan_t chan;
    weft_chan_attr_init(&attr);
    attr.capacity = 1;
    attr.flags = WEFT_CHAN_SHARED; /* the thread sends: a kthd that has received first would have it for nothing */
    int r = weft_chan_create_with(&chan, &attr);
    if (r)
        return r;
    if (unlikely(!load_acquire(&timers.started)))
        r = start_slow();
    if (!r && index_of(chan) >= timers.capacity) /* constant since it was started */
        r = -ENOSPC;
    if (r) {
        weft_chan_release(chan, 0);
        return r;
    }
    spinlock_acquire(&timers.lock);
    struct chan_timer *timer = &timers.table[index_of(chan)];
    *timer = (struct chan_timer){.chan = chan.id, .period_ns = period_ns, .position = timer->position};
    pend(timer, at_ns);
    leave_and_wake();
    *out = chan;
    return 0;
}

int weft_timer_after(weft_chan_t *out, int64_t at_ns)
{
    return out ? start(out, at_ns, 0) : -EINVAL;
}

int weft_timer_every(weft_chan_t *out, int64_t first_ns, int64_t period_ns)
{
    if (!out || period_ns <= 0)
        return -EINVAL;
    if (first_ns < 0)
        first_ns = 0;
    int64_t late_ns = clock_now_ns() - first_ns;
    if (late_ns > 0) /* of what is past, the last tick */
        first_ns += late_ns / period_ns * period_ns;
    return start(out, first_ns, period_ns);
}

/* --- what has been started --- */

/* Gives the timer of a channel, with the lock held, and whether the channel is closed; or -EBADF, -EINVAL. A channel that is
 * freed after the look at it does no harm: the timer is found by the whole handle. */
static int enter(weft_chan_t chan, struct chan_timer **timer, bool *closed)
{
    struct weft_chan_info info;
    int r = weft_chan_info(chan, &info);
    if (r)
        return r;
    *closed = info.closed;
    spinlock_acquire(&timers.lock);
    if (index_of(chan) < timers.capacity && timers.table[index_of(chan)].chan == chan.id) {
        *timer = &timers.table[index_of(chan)];
        return 0;
    }
    spinlock_release(&timers.lock);
    return -EINVAL;
}

int64_t weft_timer_missed(weft_chan_t chan)
{
    struct chan_timer *timer;
    bool closed;
    int r = enter(chan, &timer, &closed);
    if (r)
        return r;
    int64_t missed = (int64_t)timer->missed;
    spinlock_release(&timers.lock);
    return missed;
}

int weft_timer_stop(weft_chan_t chan)
{
    struct chan_timer *timer;
    bool closed;
    int r = enter(chan, &timer, &closed);
    if (r)
        return r;
    r = unpend(timer) && !closed ? 0 : -EALREADY;
    spinlock_release(&timers.lock);
    return r;
}

int weft_timer_reset(weft_chan_t chan, int64_t at_ns)
{
    struct chan_timer *timer;
    bool closed;
    int r = enter(chan, &timer, &closed);
    if (r)
        return r;
    if (timer->period_ns || timer->fired || closed) {
        r = timer->period_ns ? -EINVAL : -EALREADY;
        spinlock_release(&timers.lock);
        return r;
    }
    pend(timer, at_ns);
    leave_and_wake();
    return 0;
}
