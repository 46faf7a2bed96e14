/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kthd: the run queue, the switch, and the ways an lwt becomes runnable.
 *
 * A kthd has one carrier, a kernel thread that runs kthd_loop() on its own stack: the scheduler's context. From there
 * it dispatches lwts, which switch among themselves directly and come back when none is runnable, or when something
 * is to be done that an lwt cannot do to itself: free its stack, publish it elsewhere, wake its own kernel thread.
 *
 * The run queue is a ring of all runnable lwts, the running one among them:
 *
 *         current                      yield      current = current.next: nothing is moved
 *            |                         block      take current out of the ring
 *      +--> [A] --> [B] --> [C] --+    ready      insert behind current: it runs next
 *      +--------------------------+    newcomer   insert before current: it runs last
 *
 * Invariants (numbers as in native/README.md):
 *   I1  Whatever of a kthd is not SHARED is touched by its carrier only.
 *   I2  An lwt is dispatched by the carrier of its kthd only. So a waker elsewhere may have it in hand before its
 *       context is saved: it can only put it in the inbox, and the inbox is read after the save.
 *   I3  An lwt that leaves its kthd, or ends, is published by another context, after the save: the scheduler's, the
 *       parked kernel thread's, or that of its joiner on the same kthd.
 */
#ifndef WEFT_SCHED_KTHD_H
#define WEFT_SCHED_KTHD_H

#include "weft/kthd.h"

#include "context/overflow.h"
#include "sched/lwt.h"
#include "sched/timer.h"

/* What the scheduler's context does for the lwt that just switched to it. */
enum post { POST_NONE, POST_EXIT, POST_ASIDE, POST_LEAVE, POST_MIGRATE };

enum carrier_state { CARRIER_NONE, CARRIER_RUNNING, CARRIER_STOPPED };
enum closing { CLOSING_NO, CLOSING_IF_EMPTY, CLOSING_WHEN_EMPTY, CLOSING_REFUSED, CLOSING_DONE };

/* An interrupt on its way to an lwt. By handle: the lwt may be gone when it arrives. */
struct interrupt {
    struct interrupt *next;
    uint64_t lwt;
};

enum {
    FRONT_STREAK = 64, /* hand-overs in a row before the queue gets its turn */
    CLOCK_EVERY = 16,  /* turns between looks at the clock while timers are pending */
    TURNS = 1 << 20,   /* between two counts of them otherwise */
    SECTIONS = 2,      /* biased objects an owner can be inside of at once: a channel, and its group */
};

struct weft_kthd {
    struct slab_slot slot;

    /* The owner's. */
    SHARED(struct weft_lwt *) current CACHE_ALIGNED; /* the one that runs; NULL: the scheduler. Others read it as a hint */
    struct weft_lwt *ring;                  /* while the scheduler runs: the lwt whose turn is next; NULL: none */
    uint64_t fs;                            /* the carrier's FS base: native lwts run on it */
    struct timer_heap timers;
    uint32_t front_streak;
    SHARED(int32_t) turns;                  /* until kthd_poll() has to look whatever the inbox says; owner, read by info */
    SHARED(int32_t) turns_given;            /* what `turns` was set to last; likewise */
    SHARED(const void *) section[SECTIONS]; /* biased objects the owner is inside of; read by revokers. See bias.h */
    SHARED(uint64_t) switches;              /* turns used up before that; owner, read by info */

    /* Everybody's. */
    SHARED(struct weft_lwt *) inbox CACHE_ALIGNED; /* lwts made runnable from elsewhere; see kthd_post() */
    SHARED(uint32_t) wake;                         /* futex: counts wake-ups of a sleeping owner */
    SHARED(uint32_t) tid;                          /* the carrier */
    SHARED(uint64_t) arrived_from_elsewhere;       /* counted before the push; see kthd_arrive() */
    SHARED(struct interrupt *) interrupts;
    SHARED(uint32_t) bell_rung;
    SHARED(uint32_t) carrier;                      /* enum carrier_state; futex */
    SHARED(uint32_t) closing;                      /* enum closing; futex */
    struct weft_lwt *bell;                         /* stands in the inbox for "look at interrupts and closing" */

    /* The owner's, less hot. */
    struct context context CACHE_ALIGNED;   /* the scheduler's, while an lwt runs */
    enum post post;
    struct weft_lwt *post_lwt;
    struct weft_kthd *post_to;              /* where the lwt goes, which has arrived there already */
    struct stack_cache stacks;
    struct slab_free *free_lwts;
    uint32_t free_lwt_count;
    SHARED(uint64_t) arrived;               /* lwts created here by the owner; owner, read by info */
    SHARED(uint64_t) departed;              /* lwts that exited or moved away; likewise */
    struct sanitized sanitized;             /* the scheduler's context */
    struct sanitized_carrier sanitized_carrier;

    /* Constant after creation. */
    uint32_t idle;
    uint32_t flags;
    int32_t cpu;
    int64_t spin_ns;
    pthread_t thread;
    struct overflow_signal_stack signal_stack; /* the carrier's */
    char name[WEFT_NAME_SIZE];
};

extern struct slab kthd_slab;
#define KTHD_STRIDE sizeof(struct weft_kthd)
#define KTHD_KIND 2u

/*
 * The kthd of loose lwts: none. Its inbox is never empty, so that every fast path that starts by looking at the inbox
 * takes the slow one, without a test of its own. (Its turns are counted down by all of them at once: no matter.)
 */
extern struct weft_kthd limbo;

/* Tags in the inbox in place of a list. */
#define INBOX_ASLEEP ((struct weft_lwt *)1) /* empty, and the owner sleeps: who replaces it must wake it */
#define INBOX_CLOSED ((struct weft_lwt *)2) /* the kthd is gone */

static inline struct weft_kthd *kthd_find(weft_kthd_t handle)
{
    return (struct weft_kthd *)slab_find_sized(&kthd_slab, KTHD_STRIDE, KTHD_KIND, handle.id);
}

/* The kthd whose carrier is running the caller; NULL for plain threads and loose lwts. */
static ALWAYS_INLINE struct weft_kthd *kthd_here(const struct weft_lwt *self)
{
    return likely(self && self->kthd != &limbo) ? self->kthd : NULL;
}

/*
 * Counts an lwt that is about to come from elsewhere: the kthd does not close on it. `handle` is the one that `kthd`
 * was found by. 0, or -ESRCH: it is gone. To be followed by kthd_post(), and undone by kthd_arrive_not().
 */
int kthd_arrive(struct weft_kthd *kthd, uint64_t handle);
void kthd_arrive_not(struct weft_kthd *kthd);

/*
 * Gives an lwt, which nobody else has in hand, to a kthd from elsewhere, and wakes the kthd if it sleeps.
 * Returns 0 or -ESRCH: the kthd is closed.
 * Release: what the caller did happens before the lwt's turn (acquire in kthd_poll).
 */
int kthd_post(struct weft_kthd *kthd, struct weft_lwt *lwt);

/* Makes a blocked lwt, whose context.result is set, runnable, from anywhere; `here` is the caller's kthd or NULL. On
 * its own kthd it gets the next turn, within the bound of FRONT_STREAK; or, by the second form, the last. */
void kthd_ready(struct weft_kthd *here, struct weft_lwt *lwt);
void kthd_ready_last(struct weft_kthd *here, struct weft_lwt *lwt);

/* Takes in what came to the inbox, and fires timers that are due. Owner. */
void kthd_poll(struct weft_kthd *kthd);
/* Counts the turns used up and gives new ones: few while timers are pending. Owner. */
void kthd_set_turns(struct weft_kthd *kthd);
/* Turns used up so far. Anyone: a figure, not exact. */
uint64_t kthd_switches(const struct weft_kthd *kthd);
/* The owner asks itself to look at interrupts and closing; anyone may ring. */
void kthd_ring(struct weft_kthd *kthd);

/* Sends an interrupt to a kthd, whose it is from here on. Anyone. */
void kthd_interrupt(struct weft_kthd *kthd, struct interrupt *interrupt);

/* Whether the fast paths must let kthd_poll() look. Called once per turn: it counts them, too. */
static ALWAYS_INLINE bool kthd_attention(struct weft_kthd *kthd)
{
    return count_down_owned(&kthd->turns) || load_relaxed(&kthd->inbox) != NULL; /* relaxed: kthd_poll() acquires */
}

static ALWAYS_INLINE void ring_insert(struct weft_lwt *lwt, struct weft_lwt *prev, struct weft_lwt *next)
{
    lwt->prev = prev;
    lwt->next = next;
    prev->next = lwt;
    next->prev = lwt;
}

/* Leaves its own links as they were. */
static ALWAYS_INLINE void ring_remove(struct weft_lwt *lwt)
{
    lwt->prev->next = lwt->next;
    lwt->next->prev = lwt->prev;
}

/* The ring's place to count from: the running lwt, or the one that the scheduler would run next. */
static ALWAYS_INLINE struct weft_lwt *kthd_cursor(struct weft_kthd *kthd)
{
    struct weft_lwt *current = load_relaxed(&kthd->current); /* relaxed: our own store */
    return likely(current != NULL) ? current : kthd->ring;
}

static ALWAYS_INLINE void kthd_insert_last(struct weft_kthd *kthd, struct weft_lwt *lwt)
{
    struct weft_lwt *cursor = kthd_cursor(kthd);
    lwt_set_state(lwt, WEFT_LWT_READY);
    if (likely(cursor != NULL))
        ring_insert(lwt, cursor->prev, cursor);
    else
        kthd->ring = lwt->next = lwt->prev = lwt;
}

static ALWAYS_INLINE void kthd_insert_next(struct weft_kthd *kthd, struct weft_lwt *lwt)
{
    struct weft_lwt *current = load_relaxed(&kthd->current);
    if (likely(current != NULL && ++kthd->front_streak < FRONT_STREAK)) {
        lwt_set_state(lwt, WEFT_LWT_READY);
        ring_insert(lwt, current, current->next);
    } else {
        kthd->front_streak = 0;
        kthd_insert_last(kthd, lwt);
        if (!current && kthd->ring)
            kthd->ring = lwt; /* from the scheduler: last is before the first, so make it the first */
    }
}

/* For the sanitizers: the first thing of an lwt that was switched to. */
#if WEFT_SANITIZED
void kthd_tell_arrival(struct weft_lwt *self);
#else
static ALWAYS_INLINE void kthd_tell_arrival(struct weft_lwt *self) { (void)self; }
#endif

/* Between contexts of which at least one has an FS base of its own. */
int kthd_switch_fs(struct weft_kthd *kthd, struct weft_lwt *from, struct weft_lwt *to);

/*
 * Everything before the exchange of stacks. The two kinds of lwt differ in whose FS base they run on. Returns, when
 * `from` comes back, its result.
 */
static ALWAYS_INLINE int kthd_switch(struct weft_kthd *kthd, struct weft_lwt *from, struct weft_lwt *to)
{
    store_relaxed(&kthd->current, to); /* relaxed: a hint, for whoever forwards a signal */
#if !WEFT_SANITIZED
    if (unlikely(from->context.fs != to->context.fs))
        return kthd_switch_fs(kthd, from, to);
    context_current_set(to); /* both native: one FS base */
    return context_switch_native(&from->context, &to->context);
#else
    uint64_t fs = to->context.fs;
    struct weft_lwt *current = fs ? NULL : to;
    if (lwt_is_native(from) && !fs) {
        context_current_set(to);
        sanitize_go(&kthd->sanitized_carrier, &from->sanitized, &to->sanitized, false);
    } else {
        fs = fs ? fs : kthd->fs;
        sanitize_give(&to->sanitized);
    }
    int result = context_switch(&from->context, &to->context, fs, current);
    kthd_tell_arrival(from);
    return result;
#endif
}

/* Takes the calling lwt out of the ring; the scheduler's view of the ring holds from here on. */
static ALWAYS_INLINE void kthd_take_out(struct weft_kthd *kthd, struct weft_lwt *self)
{
    ring_remove(self);
    kthd->ring = self->next == self ? NULL : self->next;
    store_relaxed(&kthd->current, NULL);
}

/* To the scheduler's context, which runs until it dispatches `from` again; the caller has taken itself out. */
int kthd_switch_out(struct weft_kthd *kthd, struct weft_lwt *from);
/* The same, leaving something to be done for `from` after the switch. */
int kthd_switch_out_for(struct weft_kthd *kthd, struct weft_lwt *from, enum post post, struct weft_kthd *to);

int kthd_block_slow(struct weft_kthd *kthd, struct weft_lwt *self);

/* The calling lwt is BLOCKED: the next runnable one, or the scheduler, takes over until it is readied. */
static ALWAYS_INLINE int kthd_block(struct weft_kthd *kthd, struct weft_lwt *self)
{
    if (unlikely(kthd_attention(kthd) || self->next == self))
        return kthd_block_slow(kthd, self);
    ring_remove(self);
    return kthd_switch(kthd, self, self->next);
}

/* Between the files of this noun: inbox.c, kthd.c, carrier.c. Owner, but for the last. */
void kthd_take_inbox(struct weft_kthd *kthd);
void kthd_fire_timers(struct weft_kthd *kthd);
/* Closes the kthd if somebody asked for it and the last lwt is gone. */
bool kthd_try_close(struct weft_kthd *kthd);
/* Runs lwts until it has closed. */
void kthd_loop(struct weft_kthd *kthd);
void kthd_answer_closing(struct weft_kthd *kthd, enum closing answer);
bool kthd_is_empty(struct weft_kthd *kthd);

#endif
