/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native lwts from creation to join, yielding, and the one way to wait. See lwt.h; adoption is in adopt.c.
 */
#include "sched/lwt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sched/kthd.h"
#include "sched/yield_x86_64.h"

enum {
    LWTS = 4 << 20,
    CACHED_LWTS = 256, /* control blocks a kthd keeps for its next creations */
};

struct slab lwt_slab = {.stride = LWT_STRIDE, .limit = LWTS, .kind = LWT_KIND};
int (*lwt_vet_function)(void *(*fn)(void *));

/* --- control blocks --- */

struct weft_lwt *lwt_alloc(struct weft_kthd *here, int *error)
{
    if (likely(here && here->free_lwts)) {
        struct slab_free *free = here->free_lwts;
        here->free_lwts = free->next;
        here->free_lwt_count--;
        return (struct weft_lwt *)free;
    }
    return (struct weft_lwt *)slab_take(&lwt_slab, error);
}

static void lwt_recycle(struct weft_kthd *here, struct weft_lwt *lwt)
{
    if (likely(here && here->free_lwt_count < CACHED_LWTS)) {
        struct slab_free *free = (struct slab_free *)lwt;
        free->next = here->free_lwts;
        here->free_lwts = free;
        here->free_lwt_count++;
    } else {
        slab_put(&lwt_slab, &lwt->slot);
    }
}

void lwt_free(struct weft_kthd *here, struct weft_lwt *lwt)
{
    slab_retire(&lwt->slot);
    lwt_recycle(here, lwt);
}

void lwt_describe(const void *opaque, struct message *message)
{
    const struct weft_lwt *lwt = opaque;
    const struct weft_kthd *kthd = load_relaxed(&lwt->home);
    message_text(message, "lwt ");
    message_hex(message, lwt->self.id);
    if (lwt->name[0]) {
        message_text(message, " \"");
        message_text(message, lwt->name);
        message_text(message, "\"");
    }
    message_text(message, " on kthd \"");
    message_text(message, kthd->name);
    message_text(message, "\"");
}

/* --- the joiner word --- */

static ALWAYS_INLINE enum join_state join_state(uint64_t word) { return (enum join_state)(word >> 40 & 0xff); }

static struct weft_lwt *join_waiter(uint64_t word)
{
    return (struct weft_lwt *)slab_at(&lwt_slab, (uint32_t)word & ((1u << SLAB_INDEX_BITS) - 1));
}

/* The half of the word that holds the state: what a plain thread sleeps on. */
static const void *join_futex(struct weft_lwt *lwt) { return (const char *)&lwt->joiner + 4; }

/* --- creation --- */

static int lwt_end(void *value);

void weft_lwt_attr_init(struct weft_lwt_attr *attr) { *attr = (struct weft_lwt_attr){.name = NULL}; }

#if WEFT_SANITIZED
static UNSEEN_BY_TSAN void *lwt_main(void *arg)
{
    struct weft_lwt *self = arg;
    kthd_tell_arrival(self);
    return self->fn(self->arg);
}
#endif

static ALWAYS_INLINE void lwt_init(struct weft_lwt *lwt, struct weft_kthd *kthd, const struct weft_lwt_attr *attr)
{
    lwt->context.fs = 0;
    lwt->kthd = kthd;
    store_relaxed(&lwt->home, kthd);
    lwt_set_state(lwt, WEFT_LWT_READY);
    store_relaxed(&lwt->permit, PERMIT_NONE);
    lwt->interrupted = 0;
    lwt->name[0] = 0;
    if (unlikely(attr && attr->name))
        snprintf(lwt->name, sizeof lwt->name, "%s", attr->name);
}

/* From here on its handle is valid. */
static ALWAYS_INLINE weft_lwt_t lwt_give_birth(struct weft_lwt *lwt, bool detached)
{
    slab_revive(&lwt->slot);
    store_relaxed(&lwt->joiner, join_word(lwt, detached ? JOIN_DETACHED : JOIN_ALONE, 0));
    lwt->self.id = slab_handle(&lwt_slab, &lwt->slot);
    return (weft_lwt_t){lwt->self.id};
}

static COLD int check_create(const weft_lwt_t *out, void *(*fn)(void *), const struct weft_lwt_attr *attr)
{
    bool detached = attr && attr->flags & WEFT_LWT_DETACHED;
    if (!fn || (!out && !detached) || (attr && (attr->flags & ~WEFT_LWT_DETACHED || attr->reserved)))
        return -EINVAL;
    int r = overflow_watch(lwt_describe);
    return !r && lwt_vet_function ? lwt_vet_function(fn) : r;
}

int weft_lwt_create(weft_lwt_t *out, weft_kthd_t handle, void *(*fn)(void *), void *arg,
                    const struct weft_lwt_attr *attr)
{
    static SHARED(int) default_class; /* the same whoever computes it; 0: not yet */
    struct weft_lwt *self = lwt_current();
    struct weft_kthd *here = kthd_here(self), *kthd;
    int error = 0, size_class = load_relaxed(&default_class);

    if (handle.id)
        kthd = kthd_find(handle);
    else if (self)
        kthd = load_relaxed(&self->home);
    else
        return -EPERM;
    if (unlikely(!fn || !out || attr || !here || lwt_vet_function || !size_class)) {
        error = check_create(out, fn, attr);
        if (error)
            return error;
        size_class = stack_class_for(attr ? attr->stack_bytes : 0);
        if (size_class < 0)
            return size_class;
        if (!attr || !attr->stack_bytes)
            store_relaxed(&default_class, size_class);
    }
    if (unlikely(!kthd))
        return -ESRCH;
    if (unlikely(kthd != here) && (error = kthd_arrive(kthd, handle.id ? handle.id : slab_handle(&kthd_slab, &kthd->slot))))
        return error;

    struct weft_lwt *lwt = lwt_alloc(here, &error);
    if (unlikely(!lwt))
        goto no_lwt;
    lwt->stack = stack_take(here ? &here->stacks : NULL, size_class, &error);
    if (unlikely(!lwt->stack))
        goto no_stack;
    lwt_init(lwt, kthd, attr);
#if WEFT_SANITIZED
    lwt->fn = fn;
    lwt->arg = arg;
    context_make(&lwt->context, lwt->stack->top, lwt_main, lwt, lwt_end);
#else
    context_make(&lwt->context, lwt->stack->top, fn, arg, lwt_end);
#endif
    store_release(&lwt->stack->owner, lwt); /* read by weft_lwt_id() and the fault handler */
    sanitize_begin(&lwt->sanitized, stack_bottom(lwt->stack), stack_usable_bytes(lwt->stack));
    weft_lwt_t born = lwt_give_birth(lwt, attr && attr->flags & WEFT_LWT_DETACHED);
    if (out)
        *out = born; /* before it can run */
    if (likely(kthd == here)) {
        bump_owned(&kthd->arrived);
        kthd_insert_last(kthd, lwt);
        return 0;
    }
    error = kthd_post(kthd, lwt);
    if (likely(!error))
        return 0;

    if (out)
        *out = (weft_lwt_t){0};
    slab_retire(&lwt->slot);
    sanitize_end(&lwt->sanitized);
    stack_put(here ? &here->stacks : NULL, lwt->stack);
no_stack:
    lwt_recycle(here, lwt);
no_lwt:
    if (kthd != here)
        kthd_arrive_not(kthd);
    return error;
}

/* --- the end --- */

/* The joiner waits on this very kthd: it gets the next turn and takes everything with it. Nobody else can change the
 * joiner word meanwhile: those who come to join or detach find it taken, and time-outs run on this kthd. */
static int exit_to_joiner(struct weft_kthd *kthd, struct weft_lwt *self, struct weft_lwt *joiner)
{
    lwt_set_state(self, WEFT_LWT_ZOMBIE);
    bump_owned(&kthd->departed);
    store_relaxed(&self->joiner, join_word(self, JOIN_TAKEN, 0)); /* relaxed: the joiner is on this kernel thread */
    joiner->context.result = 0;
    lwt_set_state(joiner, WEFT_LWT_READY);
    ring_insert(joiner, self, self->next); /* in the place of the exiting lwt in the ring */
    ring_remove(self);
    store_relaxed(&kthd->turns, load_relaxed(&kthd->turns) - 1);
    store_relaxed(&kthd->current, joiner);
    context_current_set(joiner);
    return context_jump(&joiner->context); /* who frees our stack, and us: see reap() */
}

/* Ends the calling native lwt. Reached by a jump after its function: see switch_x86_64.S. */
static int lwt_end(void *value)
{
    struct weft_lwt *self = lwt_current();
    struct weft_kthd *kthd = self->kthd;
    self->exit_value = value;
    uint64_t word = load_relaxed(&self->joiner); /* relaxed: who waits on this kthd set it on this kernel thread */
    if (likely(join_state(word) == JOIN_BY_LWT && !WEFT_SANITIZED)) {
        struct weft_lwt *joiner = join_waiter(word);
        if (likely(joiner->kthd == kthd && lwt_is_native(joiner)))
            return exit_to_joiner(kthd, self, joiner);
    }
    kthd_switch_out_for(kthd, self, POST_EXIT, NULL);
    panic("an lwt that has exited does not run");
}

_Noreturn void weft_lwt_exit(void *value)
{
    struct weft_lwt *self = lwt_current();
    invariant(self && lwt_is_native(self), "weft_lwt_exit() is called by a native lwt");
    lwt_end(value);
    panic("an lwt that has exited does not run");
}

/* On the scheduler's context: the stack is not in use any more. The last store or CAS gives the lwt away. */
void lwt_post_exit(struct weft_kthd *kthd, struct weft_lwt *lwt)
{
    sanitize_end(&lwt->sanitized);
    stack_put(&kthd->stacks, lwt->stack);
    lwt->stack = NULL;
    bump_owned(&kthd->departed);
    lwt_set_state(lwt, WEFT_LWT_ZOMBIE);
    uint64_t word = load_relaxed(&lwt->joiner);
    for (;;) {
        enum join_state state = join_state(word);
        if (state == JOIN_DETACHED) {
            lwt_free(kthd, lwt);
            return;
        }
        /* seq_cst as every access to this word; release: pairs with the joiner's acquire, who then reads the value */
        if (!cas_seq(&lwt->joiner, &word, join_word(lwt, state == JOIN_ALONE ? JOIN_EXITED : JOIN_TAKEN, 0)))
            continue;
        if (state == JOIN_BY_LWT) {
            join_waiter(word)->context.result = 0;
            kthd_ready(kthd, join_waiter(word));
        } else if (state == JOIN_BY_THREAD) {
            sys_futex_wake(join_futex(lwt), 1); /* the block is type-stable: at worst a spurious wake-up */
        }
        return;
    }
}

static ALWAYS_INLINE int reap(struct weft_kthd *here, struct weft_lwt *lwt, void **value)
{
    if (value)
        *value = lwt->exit_value;
    if (lwt->stack) /* it exited straight to us */
        stack_put(&here->stacks, lwt->stack);
    lwt_free(here, lwt);
    return 0;
}

/* --- join --- */

/* The two values of the joiner word that matter to one who waits in it. */
static uint64_t word_alone(uint64_t generation) { return generation | (uint64_t)JOIN_ALONE << 40; }
static uint64_t word_mine(uint64_t generation, const struct weft_lwt *self)
{
    return self ? generation | (uint64_t)JOIN_BY_LWT << 40 | slab_index(&self->slot)
                : generation | (uint64_t)JOIN_BY_THREAD << 40;
}

static bool join_withdraw(struct weft_lwt *self)
{
    struct weft_lwt *target = self->join_target;
    uint64_t word = load_relaxed(&target->joiner), mine = word_mine(word & (uint64_t)0xffff << 48, self);
    /* if it is not ours any more, the target has exited: then the expected value below does not match either */
    return word == mine && cas_seq(&target->joiner, &word, word_alone(word & (uint64_t)0xffff << 48));
}

/* Sums up the chain of joins that ends in `self` (its joiner, that one's joiner ...) if `target` is in it; else 0. */
static uint64_t join_chain(struct weft_lwt *self, const struct weft_lwt *target)
{
    uint64_t sum = 1;
    for (struct weft_lwt *lwt = self; lwt;) {
        uint64_t word = load_seq(&lwt->joiner);
        if (join_state(word) != JOIN_BY_LWT)
            return 0;
        sum = sum * 31 + word;
        lwt = join_waiter(word);
        if (lwt == target)
            return sum;
        if (lwt == self)
            return 0;
    }
    return 0;
}

/*
 * Does the target wait, through joins, for the caller, who has already entered himself as the target's joiner?
 * Everyone enters before he looks, in sequentially consistent order, so of those who close a circle together at least
 * the last sees it whole. Two equal looks in a row: links that were there at different moments make no circle.
 */
static bool join_is_circle(struct weft_lwt *self, const struct weft_lwt *target)
{
    uint64_t first = join_chain(self, target);
    return first && first == join_chain(self, target);
}

static int join_as_lwt(struct weft_lwt *self, struct weft_lwt *target, int64_t deadline_ns)
{
    self->join_target = target;
    if (unlikely(join_state(load_seq(&self->joiner)) == JOIN_BY_LWT) && join_is_circle(self, target) &&
        join_withdraw(self))
        return -EDEADLK;
    return likely(deadline_ns == WEFT_FOREVER) ? lwt_wait(self, WAIT_JOIN, join_withdraw)
                                               : lwt_wait_until(self, WAIT_JOIN, join_withdraw, deadline_ns);
}

static int join_as_thread(struct weft_lwt *target, uint64_t generation, int64_t deadline_ns)
{
    uint64_t mine = word_mine(generation, NULL);
    while (load_seq(&target->joiner) == mine) {
        if (sys_futex_wait(join_futex(target), (uint32_t)(mine >> 32), deadline_ns) != -ETIMEDOUT)
            continue;
        uint64_t word = mine;
        if (cas_seq(&target->joiner, &word, word_alone(generation)))
            return -ETIMEDOUT;
    }
    return 0; /* TAKEN, for us: nobody else can have changed it */
}

/* Why the joiner word did not let us in; or 0: it has exited, and it is ours to reap. */
static int join_refused(struct weft_lwt *target, uint64_t generation, uint64_t word)
{
    if (word >> 48 != generation >> 48)
        return -ESRCH;
    switch (join_state(word)) {
    case JOIN_DETACHED: return -EINVAL; /* or a thread lwt */
    case JOIN_BY_LWT:
    case JOIN_BY_THREAD: return -EBUSY;
    case JOIN_EXITED: /* acquire: pairs with the exit; if it fails another was faster */
        return cas_seq(&target->joiner, &word, generation | (uint64_t)JOIN_TAKEN << 40) ? 0 : -ESRCH;
    default: return -ESRCH;
    }
}

int weft_lwt_join_until(weft_lwt_t handle, void **value, int64_t deadline_ns)
{
    struct weft_lwt *target = lwt_find(handle);
    if (unlikely(!target))
        return -ESRCH;
    struct weft_lwt *self = lwt_rejoined(lwt_current());
    if (unlikely(target == self))
        return -EDEADLK;
    uint64_t generation = (handle.id >> 33 & 0xffff) << 48, word = word_alone(generation);
    int r;
    if (!cas_seq(&target->joiner, &word, word_mine(generation, self)))
        r = join_refused(target, generation, word);
    else
        r = self ? join_as_lwt(self, target, deadline_ns) : join_as_thread(target, generation, deadline_ns);
    return r ? r : reap(kthd_here(self), target, value);
}

int weft_lwt_join(weft_lwt_t handle, void **value) { return weft_lwt_join_until(handle, value, WEFT_FOREVER); }

int weft_lwt_detach(weft_lwt_t handle)
{
    struct weft_lwt *lwt = lwt_find(handle);
    if (!lwt)
        return -ESRCH;
    uint64_t generation = (handle.id >> 33 & 0xffff) << 48, word = word_alone(generation);
    if (cas_seq(&lwt->joiner, &word, generation | (uint64_t)JOIN_DETACHED << 40))
        return 0;
    int r = join_refused(lwt, generation, word);
    return r ? r : reap(kthd_here(lwt_current()), lwt, NULL);
}

/* --- waiting --- */

/* An interrupt came before the wait. True: it ends here. */
static COLD bool interrupted_before(struct weft_lwt *self, bool (*withdraw)(struct weft_lwt *lwt))
{
    if (!withdraw(self))
        return false; /* it has been completed meanwhile: the interrupt is for the next wait */
    self->interrupted = 0;
    return true;
}

int CROSSES_SWITCH lwt_wait(struct weft_lwt *self, enum wait_for what, bool (*withdraw)(struct weft_lwt *lwt))
{
    if (unlikely(self->interrupted) && interrupted_before(self, withdraw))
        return -EINTR;
    self->withdraw = withdraw;
    lwt_set_blocked(self, what);
    return kthd_block(self->kthd, self);
}

int lwt_wait_until(struct weft_lwt *self, enum wait_for what, bool (*withdraw)(struct weft_lwt *lwt),
                   int64_t deadline_ns)
{
    struct weft_kthd *kthd = self->kthd;
    struct timer timer = {.deadline_ns = deadline_ns < 0 ? 0 : deadline_ns, .lwt = self};
    if (deadline_ns != WEFT_FOREVER) {
        timer_add(&kthd->timers, &timer);
        kthd_set_turns(kthd); /* it is looked for from now on */
    }
    int r = lwt_wait(self, what, withdraw);
    if (deadline_ns != WEFT_FOREVER && timer.deadline_ns != TIMER_FIRED)
        timer_remove(&kthd->timers, &timer);
    return r;
}

/* --- giving the turn away --- */

/* The next in the ring takes over; the caller's place is now the last. */
static ALWAYS_INLINE void yield_in_ring(struct weft_kthd *kthd, struct weft_lwt *self)
{
    struct weft_lwt *next = self->next;
    if (likely(next != self))
        kthd_switch(kthd, self, next);
    else
        /* Alone: no turn was given away, so it is not to be counted; but it is used up, for the timers' sake. */
        store_relaxed(&kthd->turns_given, load_relaxed(&kthd->turns_given) - 1);
}

/* Something is in the inbox, or timers are pending, or the caller is loose. */
void CROSSES_SWITCH yield_slow(struct weft_lwt *self)
{
    if (self->kthd == &limbo) {
        lwt_rejoin(self); /* that was its place in the queue, and its turn */
        return;
    }
    kthd_poll(self->kthd);
    yield_in_ring(self->kthd, self);
}

/* Without a sanitizer these two are in yield_x86_64.S. */
#if WEFT_SANITIZED
static ALWAYS_INLINE void yield(struct weft_lwt *self)
{
    if (unlikely(kthd_attention(self->kthd)))
        yield_slow(self);
    else
        yield_in_ring(self->kthd, self);
}

void CROSSES_SWITCH weft_lwt_yield_as(struct weft_self *self) { yield(lwt_of_self(self)); }

void CROSSES_SWITCH weft_lwt_yield(void)
{
    struct weft_lwt *self = lwt_current();
    if (likely(self != NULL))
        yield(self);
    else
        sys_yield();
}
#else
_Static_assert(offsetof(struct weft_lwt, next) == LWT_NEXT && offsetof(struct weft_lwt, context.fs) == LWT_FS &&
               offsetof(struct weft_lwt, kthd) == LWT_KTHD && offsetof(struct weft_lwt, self) == LWT_SELF &&
               offsetof(struct weft_kthd, current) == KTHD_CURRENT && offsetof(struct weft_kthd, turns) == KTHD_TURNS &&
               offsetof(struct weft_kthd, turns_given) == KTHD_TURNS_GIVEN &&
               offsetof(struct weft_kthd, inbox) == KTHD_INBOX, "as the assembly has it");
#endif

int weft_lwt_yield_to(weft_lwt_t handle)
{
    struct weft_lwt *self = lwt_rejoined(lwt_current()), *to = lwt_find(handle);
    if (!self)
        return -EPERM;
    if (!to)
        return -ESRCH;
    struct weft_kthd *kthd = self->kthd;
    if (to == self || load_relaxed(&to->home) != kthd)
        return -EINVAL;
    kthd_poll(kthd); /* if it is on the way through the inbox, it is in the queue now */
    if (lwt_state(to) != WEFT_LWT_READY)
        return -EAGAIN;
    ring_remove(to); /* its place is behind ours now, which makes ours the last */
    ring_insert(to, self, self->next);
    kthd_switch(kthd, self, to);
    return 0;
}

int weft_lwt_migrate(weft_kthd_t handle)
{
    struct weft_lwt *self = lwt_rejoined(lwt_current());
    struct weft_kthd *to = kthd_find(handle);
    if (!self)
        return -EPERM;
    if (!to)
        return -ESRCH;
    if (to == self->kthd) {
        weft_lwt_yield_as(&self->self);
        return 0;
    }
    if (kthd_arrive(to, handle.id))
        return -ESRCH;
    self->refused = 0;
    kthd_switch_out_for(self->kthd, self, POST_MIGRATE, to);
    return self->refused;
}

/* --- questions --- */

weft_lwt_t weft_lwt_current(void)
{
    struct weft_lwt *self = lwt_current();
    return (weft_lwt_t){self ? self->self.id : 0};
}

uint64_t weft_lwt_id(void)
{
    const struct stack *stack = stack_containing(__builtin_frame_address(0));
    const struct weft_lwt *lwt = stack ? load_acquire(&stack->owner) : lwt_current();
    return lwt ? lwt->self.id : 0;
}

struct weft_self *weft_abi_self(void)
{
    struct weft_lwt *self = lwt_current();
    return self ? &self->self : NULL;
}

int weft_lwt_name(weft_lwt_t handle, char *buf, size_t size_bytes)
{
    struct weft_lwt *lwt = lwt_find(handle);
    if (!lwt)
        return -ESRCH;
    if (!size_bytes)
        return -EINVAL;
    snprintf(buf, size_bytes, "%s", lwt->name);
    return 0;
}

int weft_lwt_state(weft_lwt_t handle)
{
    struct weft_lwt *lwt = lwt_find(handle);
    if (!lwt)
        return -ESRCH;
    int state = lwt_state(lwt);
    struct weft_kthd *home = load_relaxed(&lwt->home);
    return state == WEFT_LWT_READY && load_relaxed(&home->current) == lwt ? WEFT_LWT_RUNNING : state;
}

int weft_lwt_kthd(weft_lwt_t handle, weft_kthd_t *out)
{
    struct weft_lwt *lwt = lwt_find(handle);
    if (!lwt)
        return -ESRCH;
    out->id = slab_handle(&kthd_slab, &load_relaxed(&lwt->home)->slot);
    return 0;
}
