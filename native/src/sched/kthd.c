/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler's context, the inbox, idling, and the life of a kthd. See kthd.h.
 *
 * The inbox, one word, says all there is between a kthd and the rest of the world:
 *
 *     NULL              empty, the owner is awake
 *     a list            lwts made runnable elsewhere, newest first; the owner is awake, or its waker is on the way
 *     INBOX_ASLEEP      empty, the owner sleeps or is about to
 *     INBOX_CLOSED      no more
 *
 *   push    (anyone)  CAS head -> lwt, lwt.next = head (none, if head was ASLEEP); if head was ASLEEP: wake
 *   take    (owner)   exchange -> NULL
 *   sleep   (owner)   CAS NULL -> ASLEEP; futex_wait
 *   close   (owner)   CAS NULL -> CLOSED
 *
 * No wake-up is lost: a push either comes before the owner's CAS, which then fails, or after, and then it finds
 * ASLEEP and wakes. No wake-up is wasted: only the push that replaced ASLEEP wakes. The futex counts wake-ups, and is
 * read before each look at the inbox, so one that comes between the look and the wait is not missed.
 * native/test/models/inbox.pml checks it.
 */
#include "sched/kthd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/clock.h"

enum {
    KTHDS = 4096,
    CARRIER_STACK_BYTES = 256 << 10,
    SPIN_TURNS_PER_CLOCK = 32, /* looks at the inbox between looks at the clock while spinning */
};
#define LONGEST_SPIN_NS 1000000000u

struct slab kthd_slab = {.stride = KTHD_STRIDE, .limit = KTHDS, .kind = KTHD_KIND};

struct weft_kthd limbo = {.inbox = {INBOX_CLOSED}};

/* --- becoming runnable --- */

/*
 * A kthd may close, and its slot be reused, between finding it by a handle and pushing to its inbox. So who comes from
 * elsewhere is counted first, and then looks at the generation once more; and who destroys a kthd changes the generation
 * first, and then waits until nobody is counted: sequentially consistent on both sides, so one sees the other. The
 * counters are never reset: one who finds the generation changed takes back his count from whoever has the slot then.
 */
int kthd_arrive(struct weft_kthd *kthd, uint64_t handle)
{
    atomic_fetch_add_explicit(&kthd->arrived_from_elsewhere.shared_, 1, memory_order_seq_cst);
    if (likely(load_seq(&kthd->slot.generation) == (uint32_t)(handle >> 32)))
        return 0;
    kthd_arrive_not(kthd);
    return -ESRCH;
}

void kthd_arrive_not(struct weft_kthd *kthd) { sub_acq_rel(&kthd->arrived_from_elsewhere, 1); }

int kthd_post(struct weft_kthd *kthd, struct weft_lwt *lwt)
{
    struct weft_lwt *head = load_relaxed(&kthd->inbox);
    do {
        if (unlikely(head == INBOX_CLOSED))
            return -ESRCH;
        lwt->inbox_next = head == INBOX_ASLEEP ? NULL : head;
        /* release: pairs with the acquire of kthd_take_inbox(); acquire: pairs with the sleeper's release */
    } while (!cas_acq_rel(&kthd->inbox, &head, lwt));
    if (head == INBOX_ASLEEP) {
        add_relaxed(&kthd->wake, 1); /* relaxed: the futex call orders it before the sleeper's next look */
        sys_futex_wake(&kthd->wake, 1);
    }
    return 0;
}

/* From another kthd than its own. */
static COLD void ready_elsewhere(struct weft_lwt *lwt)
{
    int r = kthd_post(lwt->kthd, lwt);
    invariant(r == 0, "a kthd with a blocked lwt is open");
}

/* lwt->kthd is stable here: the lwt is blocked, and the caller's to ready. */
void kthd_ready(struct weft_kthd *here, struct weft_lwt *lwt)
{
    if (likely(lwt->kthd == here))
        kthd_insert_next(here, lwt);
    else
        ready_elsewhere(lwt);
}

void kthd_ready_last(struct weft_kthd *here, struct weft_lwt *lwt)
{
    if (lwt->kthd == here)
        kthd_insert_last(here, lwt);
    else
        ready_elsewhere(lwt);
}

void kthd_ring(struct weft_kthd *kthd)
{
    /* acq_rel: what was asked for before is seen by the owner, who clears the mark before it looks */
    if (!exchange_acq_rel(&kthd->bell_rung, 1))
        (void)kthd_post(kthd, kthd->bell); /* a closed kthd needs no bell */
}

/* --- what the owner takes in --- */

/* True: the lwt's wait is over with `reason`. False: it has been completed, and whoever did it readies the lwt. */
static bool withdraw_wait(struct weft_kthd *kthd, struct weft_lwt *lwt, int reason)
{
    if (lwt_state(lwt) != WEFT_LWT_BLOCKED || !lwt->withdraw(lwt))
        return false;
    lwt->context.result = reason;
    kthd_insert_last(kthd, lwt);
    return true;
}

static void fire_timers(struct weft_kthd *kthd)
{
    if (!kthd->timers.count)
        return;
    int64_t now = clock_now_ns();
    struct timer *timer;
    while ((timer = timer_pop_due(&kthd->timers, now))) {
        timer->deadline_ns = TIMER_FIRED;
        withdraw_wait(kthd, timer->lwt, -ETIMEDOUT);
    }
}

/* An interrupt follows its lwt to another kthd. */
static void forward_interrupt(struct weft_kthd *home, struct interrupt *interrupt)
{
    interrupt->next = load_relaxed(&home->interrupts);
    while (!cas_acq_rel(&home->interrupts, &interrupt->next, interrupt))
        ;
    kthd_ring(home);
}

/*
 * The lwt of an interrupt if it lives, and has not ended. One that has may be joined, and its block given to another,
 * by a thread elsewhere at any moment: so its state is read first and its generation looked at again after.
 */
static struct weft_lwt *interrupted_lwt(const struct interrupt *interrupt, struct weft_kthd **home)
{
    struct weft_lwt *lwt = lwt_find((weft_lwt_t){interrupt->lwt});
    if (!lwt)
        return NULL;
    bool ended = lwt_state(lwt) == WEFT_LWT_ZOMBIE;
    *home = load_relaxed(&lwt->home);
    fence_acquire(); /* the two loads above before the one below */
    return !ended && slab_alive(&lwt->slot, interrupt->lwt) ? lwt : NULL;
}

/* First all are marked, then waits are ended: several interrupts of one lwt that come together end one wait. Nothing
 * ends in between, for it would end here. */
static void deliver_interrupts(struct weft_kthd *kthd)
{
    struct interrupt *interrupt = exchange_acquire(&kthd->interrupts, NULL), *here = NULL; /* pairs with the push */
    while (interrupt) {
        struct interrupt *next = interrupt->next;
        struct weft_kthd *home;
        struct weft_lwt *lwt = interrupted_lwt(interrupt, &home);
        if (!lwt) {
            sys_free(interrupt);
        } else if (home != kthd) {
            forward_interrupt(home, interrupt);
        } else {
            lwt->interrupted = 1;
            interrupt->next = here;
            here = interrupt;
        }
        interrupt = next;
    }
    while (here) {
        struct interrupt *next = here->next;
        struct weft_lwt *lwt = lwt_find((weft_lwt_t){here->lwt});
        if (lwt && lwt->interrupted && withdraw_wait(kthd, lwt, -EINTR)) /* NULL: loose, and has left */
            lwt->interrupted = 0;
        sys_free(here);
        here = next;
    }
}

static bool kthd_is_empty(struct weft_kthd *kthd)
{
    return load_relaxed(&kthd->arrived) + load_relaxed(&kthd->arrived_from_elsewhere) == load_relaxed(&kthd->departed);
}

static void answer_closing(struct weft_kthd *kthd, enum closing answer)
{
    store_release(&kthd->closing, answer); /* pairs with the acquire in weft_kthd_destroy() */
    sys_futex_wake(&kthd->closing, INT32_MAX);
}

static void answer_bell(struct weft_kthd *kthd)
{
    exchange_acq_rel(&kthd->bell_rung, 0); /* first, so that who asks from now on rings again */
    deliver_interrupts(kthd);
    if (load_acquire(&kthd->closing) == CLOSING_IF_EMPTY && !kthd_is_empty(kthd))
        answer_closing(kthd, CLOSING_REFUSED);
}

static void take_inbox(struct weft_kthd *kthd)
{
    if (!load_relaxed(&kthd->inbox))
        return;
    struct weft_lwt *newest = exchange_acquire(&kthd->inbox, NULL); /* pairs with the release in kthd_post() */
    struct weft_lwt *oldest = NULL;
    while (newest) {
        struct weft_lwt *next = newest->inbox_next;
        newest->inbox_next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct weft_lwt *lwt = oldest;
        oldest = lwt->inbox_next; /* before the lwt may be posted again */
        if (unlikely(lwt == kthd->bell))
            answer_bell(kthd);
        else
            kthd_insert_last(kthd, lwt);
    }
}

uint64_t kthd_switches(const struct weft_kthd *kthd)
{
    return load_relaxed(&kthd->switches) + (uint64_t)(load_relaxed(&kthd->turns_given) - load_relaxed(&kthd->turns));
}

void kthd_set_turns(struct weft_kthd *kthd)
{
    store_relaxed(&kthd->switches, kthd_switches(kthd));
    int32_t turns = kthd->timers.count ? CLOCK_EVERY : TURNS;
    store_relaxed(&kthd->turns_given, turns);
    store_relaxed(&kthd->turns, turns);
}

void kthd_poll(struct weft_kthd *kthd)
{
    take_inbox(kthd);
    if (load_relaxed(&kthd->turns) <= 0) {
        fire_timers(kthd);
        kthd_set_turns(kthd);
    }
}

/* --- the scheduler's context --- */

int CROSSES_SWITCH kthd_switch_fs(struct weft_kthd *kthd, struct weft_lwt *from, struct weft_lwt *to)
{
    uint64_t fs = to->context.fs;
    return fs ? context_switch(&from->context, &to->context, fs, NULL)
              : context_switch(&from->context, &to->context, kthd->fs, to);
}

int CROSSES_SWITCH kthd_switch_out(struct weft_kthd *kthd, struct weft_lwt *from)
{
    bool native = lwt_is_native(from);
    if (native)
        sanitize_go(&kthd->sanitized_carrier, &from->sanitized, &kthd->sanitized, kthd->post == POST_EXIT);
    int result = context_switch(&from->context, &kthd->context, native ? 0 : kthd->fs, NULL);
    if (native)
        sanitize_came(&from->kthd->sanitized_carrier, &from->sanitized);
    return result;
}

int CROSSES_SWITCH kthd_switch_out_for(struct weft_kthd *kthd, struct weft_lwt *from, enum post post,
                                       struct weft_kthd *to)
{
    kthd_take_out(kthd, from);
    kthd->post = post;
    kthd->post_lwt = from;
    kthd->post_to = to;
    return kthd_switch_out(kthd, from);
}

/* Nothing else is runnable, as it seems, or something came to the inbox, or timers are pending. */
int CROSSES_SWITCH kthd_block_slow(struct weft_kthd *kthd, struct weft_lwt *self)
{
    kthd_take_out(kthd, self);
    kthd_poll(kthd);
    if (!kthd->ring)
        return kthd_switch_out(kthd, self);
    struct weft_lwt *next = kthd->ring;
    if (next != self)
        return kthd_switch(kthd, self, next);
    store_relaxed(&kthd->current, self); /* it was readied meanwhile, and it is its turn already */
    return self->context.result;
}

static void CROSSES_SWITCH dispatch(struct weft_kthd *kthd, struct weft_lwt *lwt)
{
    bool native = lwt_is_native(lwt);
    store_relaxed(&kthd->turns, load_relaxed(&kthd->turns) - 1);
    store_relaxed(&kthd->current, lwt);
    if (native) {
        context_current_set(lwt);
        sanitize_go(&kthd->sanitized_carrier, &kthd->sanitized, &lwt->sanitized, false);
    }
    context_switch(&kthd->context, &lwt->context, lwt->context.fs, NULL);
    context_current_set(NULL); /* the FS base is the carrier's again; current is NULL: kthd_take_out() */
    sanitize_came(&kthd->sanitized_carrier, &kthd->sanitized);
}

static void post_migrate(struct weft_kthd *kthd, struct weft_lwt *lwt, struct weft_kthd *to)
{
    lwt->kthd = to;
    store_relaxed(&lwt->home, to);
    if (likely(kthd_post(to, lwt) == 0)) {
        bump_owned(&kthd->departed);
        return;
    }
    kthd_arrive_not(to); /* closed meanwhile: it stays, and is told */
    lwt->kthd = kthd;
    store_relaxed(&lwt->home, kthd);
    lwt->refused = -ESRCH;
    kthd_insert_last(kthd, lwt);
}

static void after_dispatch(struct weft_kthd *kthd)
{
    enum post post = kthd->post;
    kthd->post = POST_NONE;
    switch (post) {
    case POST_NONE: break;
    case POST_EXIT: lwt_post_exit(kthd, kthd->post_lwt); break;
    case POST_ASIDE: lwt_post_aside(kthd, kthd->post_lwt); break;
    case POST_LEAVE: lwt_post_leave(kthd, kthd->post_lwt); break;
    case POST_MIGRATE: post_migrate(kthd, kthd->post_lwt, kthd->post_to); break;
    }
}

/* Closes the kthd if somebody asked for it and the last lwt is gone. */
static bool try_close(struct weft_kthd *kthd)
{
    uint32_t closing = load_acquire(&kthd->closing);
    if ((closing != CLOSING_IF_EMPTY && closing != CLOSING_WHEN_EMPTY) || !kthd_is_empty(kthd))
        return false;
    struct weft_lwt *empty = NULL;
    return cas_acq_rel(&kthd->inbox, &empty, INBOX_CLOSED);
}

static bool spin_for_work(struct weft_kthd *kthd, int64_t until_ns)
{
    do {
        for (int i = 0; i < SPIN_TURNS_PER_CLOCK; i++) {
            if (load_relaxed(&kthd->inbox))
                return true;
            cpu_relax();
        }
    } while (clock_now_ns() < until_ns);
    return false;
}

static void sleep_for_work(struct weft_kthd *kthd)
{
    struct weft_lwt *state = NULL;
    if (!cas_acq_rel(&kthd->inbox, &state, INBOX_ASLEEP))
        return;
    for (;;) {
        /* The count before the look, in every turn: a push after the look raises it, and a waker of the last sleep
         * that comes late does not keep us from sleeping. Acquire: the look is not made earlier. */
        uint32_t wakes = load_acquire(&kthd->wake);
        if (load_relaxed(&kthd->inbox) != INBOX_ASLEEP)
            break;
        int r = sys_futex_wait(&kthd->wake, wakes, timer_next_ns(&kthd->timers));
        if (r && r != -EINTR && r != -EAGAIN)
            break; /* -ETIMEDOUT: a timer is due */
    }
    state = INBOX_ASLEEP;
    cas_acq_rel(&kthd->inbox, &state, NULL); /* fails if something came: it is awake either way */
}

/* Nothing is runnable. Returns true when the kthd has closed. */
static bool idle(struct weft_kthd *kthd)
{
    fire_timers(kthd);
    if (kthd->ring)
        return false;
    if (unlikely(load_acquire(&kthd->closing) != CLOSING_NO)) {
        if (try_close(kthd))
            return true;
        if (load_acquire(&kthd->closing) == CLOSING_IF_EMPTY)
            answer_closing(kthd, CLOSING_REFUSED); /* something lives, or has just come */
    }
    if (kthd->idle == WEFT_IDLE_PARK) {
        sleep_for_work(kthd);
        return false;
    }
    int64_t due = timer_next_ns(&kthd->timers), until = clock_now_ns() + kthd->spin_ns;
    if (!spin_for_work(kthd, due < until ? due : until) && kthd->idle == WEFT_IDLE_SPIN_THEN_PARK)
        sleep_for_work(kthd);
    return false;
}

static void kthd_loop(struct weft_kthd *kthd)
{
    for (;;) {
        kthd_poll(kthd);
        if (kthd->ring) {
            dispatch(kthd, kthd->ring);
            after_dispatch(kthd);
        } else if (idle(kthd)) {
            return;
        }
    }
}

/* --- carriers --- */

static void name_thread(const char *name) { raw_syscall(SYS_prctl, PR_SET_NAME, (long)name, 0, 0, 0, 0); }

static void drain_caches(struct weft_kthd *kthd)
{
    stack_cache_drain(&kthd->stacks);
    while (kthd->free_lwts) {
        struct slab_free *free = kthd->free_lwts;
        kthd->free_lwts = free->next;
        slab_put(&lwt_slab, &free->slot);
    }
    kthd->free_lwt_count = 0;
}

/* The calling thread carries the kthd until it closes. */
static void carry(struct weft_kthd *kthd)
{
    char old_name[16] = "";
    struct sys_cpus old_cpus, cpus = {{0}};
    overflow_signal_stack_on(&kthd->signal_stack);
    raw_syscall(SYS_prctl, PR_GET_NAME, (long)old_name, 0, 0, 0, 0);
    name_thread(kthd->name);
    bool pinned = kthd->cpu >= 0 && !sys_affinity_get(&old_cpus);
    if (pinned) {
        cpus.bits[kthd->cpu / 64] = 1ul << kthd->cpu % 64;
        sys_affinity_set(&cpus);
    }
    kthd->fs = context_fs();
    store_relaxed(&kthd->tid, (uint32_t)sys_gettid());
    sanitize_carrier(&kthd->sanitized_carrier, &kthd->sanitized);
    kthd_loop(kthd);
    store_relaxed(&kthd->tid, 0);
    drain_caches(kthd);
    if (pinned)
        sys_affinity_set(&old_cpus);
    name_thread(old_name);
    overflow_signal_stack_off(&kthd->signal_stack);
}

static void stop_carrying(struct weft_kthd *kthd)
{
    store_release(&kthd->carrier, CARRIER_STOPPED);
    answer_closing(kthd, CLOSING_DONE); /* the last touch: weft_kthd_destroy() may free it from here on */
}

static void *carrier_main(void *arg)
{
    struct weft_kthd *kthd = arg;
    carry(kthd);
    stop_carrying(kthd);
    return NULL;
}

int weft_kthd_run(weft_kthd_t handle)
{
    struct weft_kthd *kthd = kthd_find(handle);
    if (!kthd)
        return -ESRCH;
    if (!(kthd->flags & WEFT_KTHD_EXTERNAL))
        return -EINVAL;
    if (lwt_current())
        return -EPERM;
    uint32_t expected = CARRIER_NONE;
    if (!cas_acq_rel(&kthd->carrier, &expected, CARRIER_RUNNING))
        return -EBUSY;
    carry(kthd);
    stop_carrying(kthd);
    return 0;
}

/* --- creation and destruction --- */

void weft_kthd_attr_init(struct weft_kthd_attr *attr)
{
    *attr = (struct weft_kthd_attr){.cpu = -1, .idle = WEFT_IDLE_SPIN_THEN_PARK, .spin_ns = 20000};
}

static int check_attr(const struct weft_kthd_attr *attr)
{
    if (attr->idle > WEFT_IDLE_SPIN || attr->spin_ns > LONGEST_SPIN_NS || attr->flags & ~WEFT_KTHD_EXTERNAL ||
        attr->reserved)
        return -EINVAL;
    if (attr->cpu < 0)
        return attr->cpu == -1 ? 0 : -EINVAL;
    struct sys_cpus cpus;
    int r = sys_affinity_get(&cpus);
    if (r)
        return r;
    return attr->cpu < 1024 && cpus.bits[attr->cpu / 64] >> attr->cpu % 64 & 1 ? 0 : -EINVAL;
}

int weft_platform_check(char *buf, size_t size_bytes)
{
    const char *problem = context_platform_problem();
    if (size_bytes)
        snprintf(buf, size_bytes, "%s", problem ? problem : "");
    return problem ? -ENOTSUP : 0;
}

/* Field by field: what others may touch by stale handles (inbox, counters, sections) is never in disorder. */
static void kthd_init(struct weft_kthd *kthd, const struct weft_kthd_attr *attr, struct weft_lwt *bell)
{
    store_relaxed(&kthd->current, NULL);
    kthd->ring = NULL;
    kthd->timers = (struct timer_heap){.root = NULL};
    kthd->front_streak = 0;
    kthd->post = POST_NONE;
    store_relaxed(&kthd->switches, 0);
    store_relaxed(&kthd->turns, 0);
    store_relaxed(&kthd->turns_given, 0);
    store_relaxed(&kthd->bell_rung, 0);
    store_relaxed(&kthd->carrier, CARRIER_NONE);
    store_relaxed(&kthd->closing, CLOSING_NO);
    kthd_set_turns(kthd);
    kthd->bell = bell;
    kthd->idle = attr->idle;
    kthd->flags = attr->flags;
    kthd->cpu = attr->cpu;
    kthd->spin_ns = (int64_t)attr->spin_ns;
    if (attr->name)
        snprintf(kthd->name, sizeof kthd->name, "%s", attr->name);
    else
        snprintf(kthd->name, sizeof kthd->name, "kthd-%u", kthd->slot.index);
    store_release(&kthd->inbox, NULL); /* it was CLOSED, or has never been used */
}

/* After the generation was changed: once nobody is on the way to it any more, the slot may be reused. */
static void kthd_dispose(struct weft_kthd *kthd)
{
    fence_seq(); /* the generation's change before the look at the counters */
    while (!kthd_is_empty(kthd))
        sys_yield();
    struct interrupt *interrupt = exchange_acquire(&kthd->interrupts, NULL);
    while (interrupt) {
        struct interrupt *next = interrupt->next;
        sys_free(interrupt);
        interrupt = next;
    }
    overflow_signal_stack_free(&kthd->signal_stack);
    slab_put(&lwt_slab, &kthd->bell->slot);
    slab_put(&kthd_slab, &kthd->slot);
}

/* A kthd with all that its carrier will need, so that carrying cannot fail. */
static struct weft_kthd *kthd_new(const struct weft_kthd_attr *attr, int *error)
{
    struct overflow_signal_stack signal_stack;
    *error = overflow_signal_stack_alloc(&signal_stack);
    if (*error)
        return NULL;
    struct weft_lwt *bell = lwt_alloc(NULL, error);
    if (!bell)
        goto no_bell;
    struct weft_kthd *kthd = (struct weft_kthd *)slab_take(&kthd_slab, error);
    if (!kthd)
        goto no_kthd;
    kthd_init(kthd, attr, bell);
    kthd->signal_stack = signal_stack;
    return kthd;
no_kthd:
    slab_put(&lwt_slab, &bell->slot);
no_bell:
    overflow_signal_stack_free(&signal_stack);
    return NULL;
}

int weft_kthd_create(weft_kthd_t *out, const struct weft_kthd_attr *attr)
{
    struct weft_kthd_attr defaults;
    weft_kthd_attr_init(&defaults);
    if (!attr)
        attr = &defaults;
    int error = out ? check_attr(attr) : -EINVAL;
    if (error)
        return error;
    if (context_platform_problem())
        return -ENOTSUP;
    struct weft_kthd *kthd = kthd_new(attr, &error);
    if (!kthd)
        return error;
    slab_revive(&kthd->slot);
    weft_kthd_t handle = {slab_handle(&kthd_slab, &kthd->slot)};
    if (!(attr->flags & WEFT_KTHD_EXTERNAL)) {
        store_relaxed(&kthd->carrier, CARRIER_RUNNING);
        error = sys_thread_create(&kthd->thread, CARRIER_STACK_BYTES, carrier_main, kthd);
        if (error) {
            slab_retire(&kthd->slot);
            kthd_dispose(kthd);
            return error;
        }
    }
    *out = handle;
    return 0;
}

/* An external kthd without carrier: the caller closes it in the carrier's place. */
static int close_uncarried(struct weft_kthd *kthd)
{
    uint32_t expected = CARRIER_NONE;
    if (!cas_acq_rel(&kthd->carrier, &expected, CARRIER_RUNNING))
        return -EAGAIN; /* it has one */
    take_inbox(kthd);
    if (try_close(kthd)) {
        stop_carrying(kthd);
        return 0;
    }
    store_release(&kthd->carrier, CARRIER_NONE);
    return -EBUSY;
}

int weft_kthd_destroy(weft_kthd_t handle, uint32_t flags)
{
    struct weft_kthd *kthd = kthd_find(handle);
    struct weft_lwt *self = lwt_current();
    if (flags & ~WEFT_KTHD_WAIT)
        return -EINVAL;
    if (!kthd)
        return -ESRCH;
    if (self && load_relaxed(&self->home) == kthd)
        return flags & WEFT_KTHD_WAIT ? -EDEADLK : -EBUSY;
    uint32_t wish = flags & WEFT_KTHD_WAIT ? CLOSING_WHEN_EMPTY : CLOSING_IF_EMPTY, state = CLOSING_NO;
    if (!cas_acq_rel(&kthd->closing, &state, wish))
        return -EBUSY;
    if (!slab_alive(&kthd->slot, handle.id)) { /* destroyed by another thread, and perhaps born again, meanwhile */
        store_release(&kthd->closing, CLOSING_NO);
        return -ESRCH;
    }
    kthd_ring(kthd);
    if (load_acquire(&kthd->carrier) == CARRIER_NONE && close_uncarried(kthd) == -EBUSY &&
        wish == CLOSING_IF_EMPTY) {
        store_release(&kthd->closing, CLOSING_NO);
        return -EBUSY;
    }
    while ((state = load_acquire(&kthd->closing)) == wish) /* pairs with answer_closing() */
        sys_futex_wait(&kthd->closing, wish, INT64_MAX);
    if (state == CLOSING_REFUSED) {
        store_release(&kthd->closing, CLOSING_NO);
        return -EBUSY;
    }
    if (!(kthd->flags & WEFT_KTHD_EXTERNAL))
        pthread_join(kthd->thread, NULL);
    slab_retire(&kthd->slot);
    kthd_dispose(kthd);
    return 0;
}

weft_kthd_t weft_kthd_current(void)
{
    struct weft_lwt *self = lwt_current();
    struct weft_kthd *home = self ? load_relaxed(&self->home) : NULL;
    return (weft_kthd_t){home ? slab_handle(&kthd_slab, &home->slot) : 0};
}

int weft_kthd_name(weft_kthd_t handle, char *buf, size_t size_bytes)
{
    struct weft_kthd *kthd = kthd_find(handle);
    if (!kthd)
        return -ESRCH;
    if (!size_bytes)
        return -EINVAL;
    snprintf(buf, size_bytes, "%s", kthd->name);
    return 0;
}
