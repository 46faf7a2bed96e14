/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler's context: dispatching lwts, doing for them after the switch what they cannot do themselves, idling
 * and sleeping. See kthd.h; inbox.c says why no wake-up is lost.
 */
#include "sched/kthd.h"

#include <errno.h>

#include "base/clock.h"

enum { SPIN_TURNS_PER_CLOCK = 32 }; /* looks at the inbox between looks at the clock while spinning */

struct weft_kthd limbo = {.inbox = {INBOX_CLOSED}};

/* --- the scheduler's context --- */

int CROSSES_SWITCH kthd_switch_fs(struct weft_kthd *kthd, struct weft_lwt *from, struct weft_lwt *to)
{
    uint64_t fs = to->context.fs;
    return fs ? context_switch(&from->context, &to->context, fs, NULL)
              : context_switch(&from->context, &to->context, kthd->fs, to);
}

#if WEFT_SANITIZED
UNSEEN_BY_TSAN void kthd_tell_arrival(struct weft_lwt *self)
{
    if (lwt_is_native(self))
        sanitize_came(&self->kthd->sanitized_carrier, &self->sanitized);
    sanitize_take(&self->sanitized);
}
#endif

int CROSSES_SWITCH kthd_switch_out(struct weft_kthd *kthd, struct weft_lwt *from)
{
    uint64_t fs = lwt_is_native(from) ? 0 : kthd->fs;
    if (!fs)
        sanitize_go(&kthd->sanitized_carrier, &from->sanitized, &kthd->sanitized, kthd->post == POST_EXIT);
    else
        sanitize_give(&kthd->sanitized);
    int result = context_switch(&from->context, &kthd->context, fs, NULL);
    kthd_tell_arrival(from);
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
    uint64_t fs = lwt->context.fs;
    store_relaxed(&kthd->turns, load_relaxed(&kthd->turns) - 1);
    store_relaxed(&kthd->current, lwt);
    if (!fs) {
        context_current_set(lwt);
        sanitize_go(&kthd->sanitized_carrier, &kthd->sanitized, &lwt->sanitized, false);
    } else {
        sanitize_give(&lwt->sanitized);
    }
    context_switch(&kthd->context, &lwt->context, fs, NULL);
    context_current_set(NULL); /* the FS base is the carrier's again; current is NULL: kthd_take_out() */
    sanitize_came(&kthd->sanitized_carrier, &kthd->sanitized);
    sanitize_take(&kthd->sanitized);
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
bool kthd_try_close(struct weft_kthd *kthd)
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
    kthd_fire_timers(kthd);
    if (kthd->ring)
        return false;
    if (unlikely(load_acquire(&kthd->closing) != CLOSING_NO)) {
        if (kthd_try_close(kthd))
            return true;
        if (load_acquire(&kthd->closing) == CLOSING_IF_EMPTY && !kthd_is_empty(kthd))
            kthd_answer_closing(kthd, CLOSING_REFUSED); /* an lwt has just come; if it was only the bell, try again */
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

void kthd_loop(struct weft_kthd *kthd)
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
