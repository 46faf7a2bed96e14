/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwt: the control block of a lightweight thread, and the one way to wait.
 *
 * Who touches what: everything that is not SHARED belongs to the owner of the lwt's kthd: the carrier, running
 * either the scheduler or one of the kthd's lwts. Before the first turn it belongs to the creator, after the exit to
 * whoever joins. A loose lwt owns itself.
 */
#ifndef WEFT_SCHED_LWT_H
#define WEFT_SCHED_LWT_H

#include "weft/abi.h"
#include "weft/lwt.h"

#include "base/list.h"
#include "base/slab.h"
#include "context/context.h"
#include "context/sanitize.h"
#include "context/stack.h"
#include "sched/op.h"

struct weft_kthd;

/* What a blocked lwt waits for. */
enum wait_for { WAIT_NONE, WAIT_SEND, WAIT_RECEIVE, WAIT_GROUP, WAIT_SELECT, WAIT_JOIN, WAIT_PARK };

enum lwt_permit { PERMIT_NONE, PERMIT_GIVEN, PERMIT_AWAITED };

/*
 * The joiner word: who waits for the exit, or that it has happened. It carries 16 bits of the lwt's generation, so
 * that a join through a handle that goes stale meanwhile cannot join the slot's next lwt.
 *
 *     63           48 47    40 39         28 27              0
 *     +---------------+--------+------------+-----------------+
 *     |  generation   | state  |     0      | waiter's index  |
 *     +---------------+--------+------------+-----------------+
 *
 *     ALONE --> JOINED_BY lwt / JOINED_BY_THREAD --> TAKEN        (exit finds a waiter, who reaps)
 *       |  ^----- time-out, interrupt -----'
 *       |--> EXITED --> TAKEN                                     (exit comes first; the one who joins reaps)
 *       '--> DETACHED
 */
enum join_state { JOIN_ALONE, JOIN_BY_LWT, JOIN_BY_THREAD, JOIN_EXITED, JOIN_TAKEN, JOIN_DETACHED };

struct weft_lwt {
    /* Lines 0 and 1: all that a switch touches. */
    union {
        struct context context;           /* .fs: thread lwt: its FS base, native: 0; .tags: see lwt_state() */
        struct {                          /* in the room that a context leaves to its owner */
            struct slab_slot slot;
            struct weft_lwt *next, *prev; /* in its kthd's ring, while READY */
        };
    };
    struct weft_kthd *kthd;  /* where it runs; `limbo` while loose */
    struct stack *stack;     /* native: where it runs; thread lwt: where its kernel thread parks */

    /* Waiting, waking, ending. */
    bool (*withdraw)(struct weft_lwt *lwt);      /* undoes the present wait, while BLOCKED: true if it was not completed */
    struct weft_self self;                       /* for bindings: results of the last receive or group wait */
    SHARED(uint64_t) joiner;                     /* see above */
    void *exit_value;                            /* written before joiner becomes EXITED or TAKEN; read by who reaps */
    SHARED(uint32_t) permit;                     /* enum lwt_permit; anyone gives, the lwt takes */
    uint32_t interrupted;                        /* an interrupt came while it was not waiting */
    SHARED(struct weft_kthd *) home;             /* its kthd, also while loose; written by the owner, read by anyone */

    struct op op;                                /* the present wait for a channel or group */

    struct weft_lwt *inbox_next;                 /* in a kthd's inbox; written before the push */
    union {
        struct {                                 /* native */
            void *(*fn)(void *);
            void *arg;
        };
        struct {                                 /* thread lwt */
            struct context park;                 /* its parked kernel thread's context */
            uint64_t own_mask;                   /* its signal mask, as found at adoption */
            SHARED(uint32_t) park_over;          /* the kernel thread may go on; waker to parked thread */
            int own_tid;                         /* that kernel thread */
        };
    };
    struct weft_lwt *join_target;                /* while it waits in a join */
    int refused;                                 /* the kthd it was to go to is closed */
    char name[WEFT_NAME_SIZE];
    struct sanitized sanitized;
} CACHE_ALIGNED;

_Static_assert(offsetof(struct weft_lwt, prev) < offsetof(struct context, sp), "slot and links fit into context.owner");
_Static_assert(offsetof(struct weft_lwt, self) == 2 * CACHE_LINE, "a switch touches two lines of a control block");

extern struct slab lwt_slab;
/* An odd number of lines: the first lines of many lwts spread over all cache sets. */
#define LWT_STRIDE (sizeof(struct weft_lwt) / CACHE_LINE * CACHE_LINE | CACHE_LINE)
#define LWT_KIND 1u

/* READY (also when running), BLOCKED, LOOSE, ZOMBIE: written by the owner, read by those who count. */
static ALWAYS_INLINE uint8_t lwt_state(const struct weft_lwt *lwt)
{
    return __atomic_load_n(&lwt->context.tags[0], __ATOMIC_RELAXED);
}
static ALWAYS_INLINE void lwt_set_state(struct weft_lwt *lwt, enum weft_lwt_state state)
{
    __atomic_store_n(&lwt->context.tags[0], (uint8_t)state, __ATOMIC_RELAXED);
}
/* enum wait_for, while BLOCKED; likewise. */
static ALWAYS_INLINE uint8_t lwt_waits_for(const struct weft_lwt *lwt)
{
    return __atomic_load_n(&lwt->context.tags[1], __ATOMIC_RELAXED);
}
static ALWAYS_INLINE void lwt_set_blocked(struct weft_lwt *lwt, enum wait_for what)
{
    __atomic_store_n(&lwt->context.tags[1], (uint8_t)what, __ATOMIC_RELAXED);
    lwt_set_state(lwt, WEFT_LWT_BLOCKED);
}

static ALWAYS_INLINE struct weft_lwt *lwt_of_self(struct weft_self *self)
{
    return container_of(self, struct weft_lwt, self);
}
static ALWAYS_INLINE struct weft_lwt *lwt_current(void) { return context_current_get(); }
static ALWAYS_INLINE bool lwt_is_native(const struct weft_lwt *lwt) { return lwt->context.fs == 0; }

/* A value for the joiner word. */
static ALWAYS_INLINE uint64_t join_word(const struct weft_lwt *lwt, enum join_state state, uint32_t waiter)
{
    return (uint64_t)(uint16_t)(slab_generation(&lwt->slot) >> 1) << 48 | (uint64_t)state << 40 | waiter;
}

static inline struct weft_lwt *lwt_find(weft_lwt_t handle)
{
    return (struct weft_lwt *)slab_find_sized(&lwt_slab, LWT_STRIDE, LWT_KIND, handle.id);
}

/*
 * The calling lwt, which is on its carrier and has announced itself to whoever will complete the wait, sleeps. Whoever
 * completes it sets context.result and readies it. A timer or an interrupt, which run on the lwt's kthd, must first win
 * the right to by `withdraw`, which works if the wait was not completed. So each wait has one winner.
 * Returns what the winner set: 0 or an error; -ETIMEDOUT or -EINTR if it was withdrawn.
 *
 * The first form does not come back to its caller's frame if that calls it last: see switch_x86_64.S.
 */
int lwt_wait(struct weft_lwt *self, enum wait_for what, bool (*withdraw)(struct weft_lwt *lwt));
int lwt_wait_until(struct weft_lwt *self, enum wait_for what, bool (*withdraw)(struct weft_lwt *lwt),
                   int64_t deadline_ns);

/* A fresh control block, not yet alive, from the cache of `here` (NULL: none). */
struct weft_lwt *lwt_alloc(struct weft_kthd *here, int *error);
/* Makes its handle stale and keeps the block for the next. */
void lwt_free(struct weft_kthd *here, struct weft_lwt *lwt);

/* The calling lwt, or NULL. A loose one goes back to its kthd first, so the result is on its carrier. */
struct weft_lwt *lwt_rejoined(struct weft_lwt *self);
/* Goes back to the own kernel thread, and to the carrier again. See adopt.c. */
void lwt_step_aside(struct weft_lwt *self);
void lwt_rejoin(struct weft_lwt *self);

/* A JVM's veto on functions for native lwts: 0 or a negative errno. NULL: none. Set once, by the floor above. */
extern int (*lwt_vet_function)(void *(*fn)(void *));

/* What the scheduler's context does after the switch for one that ended, or went to its own kernel thread. */
void lwt_post_exit(struct weft_kthd *kthd, struct weft_lwt *lwt);
void lwt_post_aside(struct weft_kthd *kthd, struct weft_lwt *lwt);
void lwt_post_leave(struct weft_kthd *kthd, struct weft_lwt *lwt);

/* For messages of last resort: who is it? */
void lwt_describe(const void *lwt, struct message *message);

#endif
