/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How lwts become runnable, from the same kthd and from elsewhere, and what the owner takes in besides: timers,
 * interrupts, the wish that it close. See kthd.h.
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
#include <errno.h>

#include "base/clock.h"
#include "sched/kthd.h"

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
    if (likely(load_seq(&kthd->slot.id) == handle))
        return 0;
    kthd_arrive_not(kthd);
    return -ESRCH;
}

void kthd_arrive_not(struct weft_kthd *kthd) { sub_acq_rel(&kthd->arrived_from_elsewhere, 1); }

/* Parked kernel threads come here, too. */
UNSEEN_BY_TSAN int kthd_post(struct weft_kthd *kthd, struct weft_lwt *lwt)
{
    sanitize_give(&lwt->sanitized);
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

void kthd_interrupt(struct weft_kthd *kthd, struct interrupt *interrupt)
{
    interrupt->next = load_relaxed(&kthd->interrupts);
    while (!cas_acq_rel(&kthd->interrupts, &interrupt->next, interrupt)) /* release: pairs with deliver_interrupts() */
        ;
    kthd_ring(kthd);
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

void kthd_fire_timers(struct weft_kthd *kthd)
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
            kthd_interrupt(home, interrupt); /* it follows its lwt */
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

bool kthd_is_empty(struct weft_kthd *kthd)
{
    return load_relaxed(&kthd->arrived) + load_relaxed(&kthd->arrived_from_elsewhere) == load_relaxed(&kthd->departed);
}

void kthd_answer_closing(struct weft_kthd *kthd, enum closing answer)
{
    store_release(&kthd->closing, answer); /* pairs with the acquire in weft_kthd_destroy() */
    sys_futex_wake(&kthd->closing, INT32_MAX);
}

static void answer_bell(struct weft_kthd *kthd)
{
    exchange_acq_rel(&kthd->bell_rung, 0); /* first, so that who asks from now on rings again */
    deliver_interrupts(kthd);
    if (load_acquire(&kthd->closing) == CLOSING_IF_EMPTY && !kthd_is_empty(kthd))
        kthd_answer_closing(kthd, CLOSING_REFUSED);
}

void kthd_take_inbox(struct weft_kthd *kthd)
{
    if (!load_relaxed(&kthd->inbox))
        return;
    struct weft_lwt *newest = exchange_acquire(&kthd->inbox, NULL); /* pairs with the release in kthd_post() */
    struct weft_lwt *oldest = NULL;
    while (newest) {
        sanitize_take(&newest->sanitized);
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
    kthd_take_inbox(kthd);
    if (load_relaxed(&kthd->turns) <= 0) {
        kthd_fire_timers(kthd);
        kthd_set_turns(kthd);
    }
}
