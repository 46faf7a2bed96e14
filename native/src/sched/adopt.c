/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adoption: an ordinary thread becomes an lwt, keeping its stack and its thread-local storage.
 *
 * Its kernel thread and its context part. The context (registers on its own stack, FS base) goes into a kthd's queue
 * and is run by the carrier, which loads the FS base with the stack pointer. The kernel thread moves to a small stack
 * of ours and sleeps there, all signals blocked, until the context comes back to it:
 *
 *       adopt, rejoin                      step aside, leave
 *     own kernel thread:                 carrier:
 *       block signals                      switch to the scheduler, which
 *       switch to the parking stack,         marks it loose, sets park_over,
 *       publish the context                  and signals the kernel thread
 *       wait for park_over  <------------  own kernel thread:
 *                           ------------>    switch back to the context
 *                                            restore the signal mask
 *
 * The parked kernel thread runs on the FS base of a thread that is running elsewhere at the same time: it touches no
 * thread-local storage and calls no library, it makes raw system calls only.
 *
 * Signals. A JVM sends signals to the kernel thread that it takes for the Java thread's: to suspend it for the
 * sampler (SIGUSR2, or what _JAVA_SR_SIGNUM says), to break it out of a blocking read or write (SIGRTMAX - 2), to end
 * a stuck VM (SIGILL). The parked kernel thread waits for exactly these, with rt_sigtimedwait, and sends them on to
 * the carrier while that runs this very context; else it drops them, as their senders expect of a thread that does
 * not run. It waits for no others: those stay pending until the thread leaves, and process-directed ones go to some
 * thread that has them unblocked. One of ours that was sent to the whole process it passes to the carrier as well.
 *
 * The signal to suspend goes to the carrier whatever that runs. A thread is suspended inside the handler, which knows
 * it by its FS base, and the same signal, sent until it is heard, lets it go on. That may have happened in the few
 * instructions of a switch where the FS base is still the going thread's and kthd.current names the coming one, or
 * nobody: were the second signal dropped, as for a thread that does not run, it would never go on. An lwt's FS base
 * is loaded on the carrier of its home only, so that is where it sleeps. In any other thread the handler finds no
 * request and returns.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "sched/adopt.h"
#include "sched/kthd.h"

enum {
    SIGNAL_WAKE = SIGURG,       /* ignored by default, so a stray one does no harm */
    SIGNAL_IO_INTERRUPT = 62,   /* the JDK's: SIGRTMAX - 2 */
    ALL_SIGNALS_BYTES = 8,
};

static uint64_t signal_bit(int signal) { return (uint64_t)1 << (signal - 1); }

static struct {
    pthread_once_t once;
    pthread_key_t key; /* its destructor is the net under a thread that ends without leaving */
    int error;
    int suspend;       /* the signal a JVM suspends and resumes a thread by */
    uint64_t awaited;  /* the signals a parked kernel thread waits for */
    SHARED(uint64_t) forwarded;
} adoption = {.once = PTHREAD_ONCE_INIT};

uint64_t adopt_signals_forwarded(void) { return load_relaxed(&adoption.forwarded); }

static void leave_at_thread_end(void *lwt)
{
    (void)lwt;
    weft_lwt_leave();
}

static void adoption_init(void)
{
    const char *custom = getenv("_JAVA_SR_SIGNUM"); /* as HotSpot reads it */
    adoption.suspend = custom ? atoi(custom) : 0;
    if (adoption.suspend <= SIGSEGV || adoption.suspend > 64)
        adoption.suspend = SIGUSR2;
    adoption.awaited = signal_bit(SIGNAL_WAKE) | signal_bit(adoption.suspend) | signal_bit(SIGNAL_IO_INTERRUPT) |
                       signal_bit(SIGILL);
    adoption.error = -pthread_key_create(&adoption.key, leave_at_thread_end);
}

/* --- the parked kernel thread --- */

static UNSEEN_BY_TSAN void forward_signal(struct weft_lwt *lwt, int signal, int code)
{
    struct weft_kthd *kthd = load_relaxed(&lwt->home); /* relaxed: a hint; a signal may come too late anyway */
    bool running = load_relaxed(&kthd->current) == lwt;
    if (!running && code == SI_TKILL && signal != adoption.suspend)
        return;
    uint32_t tid = load_relaxed(&kthd->tid);
    if (tid && !sys_tgkill((int)tid, signal))
        add_relaxed(&adoption.forwarded, 1);
}

static UNSEEN_BY_TSAN void wait_until_park_is_over(struct weft_lwt *lwt)
{
    for (;;) {
        siginfo_t info;
        long signal = raw_syscall(SYS_rt_sigtimedwait, (long)&adoption.awaited, (long)&info, 0, ALL_SIGNALS_BYTES, 0, 0);
        if (signal > 0 && signal != SIGNAL_WAKE)
            forward_signal(lwt, (int)signal, info.si_code);
        /* Only a wake signal ends it, so that the one sent with park_over is consumed here. Acquire: pairs with
         * lwt_post_aside(); the context was saved before. */
        else if (signal == SIGNAL_WAKE && load_acquire(&lwt->park_over))
            return;
    }
}

static UNSEEN_BY_TSAN void *CROSSES_SWITCH parked_main(void *arg)
{
    struct weft_lwt *lwt = arg;
    for (;;) {
        /* Published here, by a context that is not the one published: see I3. */
        int r = kthd_post(load_relaxed(&lwt->home), lwt);
        if (likely(!r)) { /* from here on the lwt may be running: its block is not ours to write */
            wait_until_park_is_over(lwt);
            store_relaxed(&lwt->park_over, 0);
        } else {
            lwt->refused = r;
        }
        context_switch(&lwt->park, &lwt->context, 0, NULL);
    }
    return NULL;
}

/* The scheduler gives the context to the kernel thread; what it did before happens before (release). */
static void wake_own_kernel_thread(struct weft_lwt *lwt)
{
    int tid = lwt->own_tid;
    sanitize_give(&lwt->sanitized);
    store_release(&lwt->park_over, 1);
    sys_tgkill(tid, SIGNAL_WAKE); /* the lwt may be running already, and gone: a stray SIGURG is ignored */
}

/* --- going aside, and back --- */

void lwt_post_aside(struct weft_kthd *kthd, struct weft_lwt *lwt)
{
    (void)kthd;
    lwt_set_state(lwt, WEFT_LWT_LOOSE);
    lwt->kthd = &limbo;
    wake_own_kernel_thread(lwt);
}

void CROSSES_SWITCH lwt_step_aside(struct weft_lwt *self)
{
    kthd_switch_out_for(self->kthd, self, POST_ASIDE, NULL);
    sys_sigmask_set(self->own_mask);
}

void CROSSES_SWITCH lwt_rejoin(struct weft_lwt *self)
{
    self->own_mask = sys_sigmask_set(~(uint64_t)0);
    self->kthd = load_relaxed(&self->home);
    self->refused = 0;
    context_switch(&self->context, &self->park, 0, NULL);
    sanitize_take(&self->sanitized);
    invariant(!self->refused, "a kthd with a loose lwt is open");
}

struct weft_lwt *lwt_rejoined(struct weft_lwt *self)
{
    if (unlikely(self && self->kthd == &limbo))
        lwt_rejoin(self);
    return self;
}

int weft_lwt_step_aside(void)
{
    struct weft_lwt *self = lwt_current();
    if (!self || self->kthd == &limbo)
        return 0;
    if (lwt_is_native(self))
        return -ENOTSUP;
    lwt_step_aside(self);
    return 0;
}

/* --- adopt and leave --- */

int CROSSES_SWITCH weft_lwt_adopt(weft_kthd_t handle, const struct weft_lwt_attr *attr)
{
    if (lwt_current())
        return -EPERM;
    if (attr && (attr->flags || attr->stack_bytes || attr->reserved))
        return -EINVAL;
    struct weft_kthd *kthd = kthd_find(handle);
    if (!kthd)
        return -ESRCH;
    if (context_platform_problem())
        return -ENOTSUP;
    pthread_once(&adoption.once, adoption_init);
    if (adoption.error)
        return adoption.error;

    int error = kthd_arrive(kthd, handle.id);
    if (error)
        return error;
    struct weft_lwt *lwt = lwt_alloc(NULL, &error);
    if (!lwt)
        goto no_lwt;
    lwt->stack = stack_take(NULL, 0, &error);
    if (!lwt->stack)
        goto no_stack;
    error = -pthread_setspecific(adoption.key, lwt);
    if (error)
        goto no_net;
    sanitize_stack(stack_bottom(lwt->stack), stack_usable_bytes(lwt->stack));
    lwt->context.fs = context_fs();
    lwt->kthd = kthd;
    store_relaxed(&lwt->home, kthd);
    lwt_set_state(lwt, WEFT_LWT_READY);
    store_relaxed(&lwt->permit, PERMIT_NONE);
    store_relaxed(&lwt->park_over, 0);
    lwt->interrupted = 0;
    lwt->refused = 0;
    lwt->own_tid = sys_gettid();
    snprintf(lwt->name, sizeof lwt->name, "%s", attr && attr->name ? attr->name : "");
    lwt->park = (struct context){.sp = NULL};
    context_make(&lwt->park, lwt->stack->top, parked_main, lwt, NULL); /* it does not end */
    slab_revive(&lwt->slot);
    lwt->self.id = slab_handle(&lwt_slab, &lwt->slot);
    store_relaxed(&lwt->joiner, join_word(lwt, JOIN_DETACHED, 0)); /* nobody joins a thread lwt */

    context_current_set(lwt);
    lwt->own_mask = sys_sigmask_set(~(uint64_t)0);
    context_switch(&lwt->context, &lwt->park, 0, NULL);
    sanitize_take(&lwt->sanitized);
    if (likely(!lwt->refused))
        return 0;

    /* The kthd closed under us: still on the own kernel thread. */
    error = lwt->refused;
    context_current_set(NULL);
    sys_sigmask_set(lwt->own_mask);
    pthread_setspecific(adoption.key, NULL);
    slab_retire(&lwt->slot);
no_net:
    stack_put(NULL, lwt->stack);
no_stack:
    slab_put(&lwt_slab, &lwt->slot);
no_lwt:
    kthd_arrive_not(kthd);
    return error;
}

void lwt_post_leave(struct weft_kthd *kthd, struct weft_lwt *lwt)
{
    bump_owned(&kthd->departed);
    wake_own_kernel_thread(lwt);
}

int CROSSES_SWITCH weft_lwt_leave(void)
{
    struct weft_lwt *self = lwt_current();
    if (!self || lwt_is_native(self))
        return -EPERM;
    lwt_rejoined(self); /* it is counted on its kthd until it has left there */
    kthd_switch_out_for(self->kthd, self, POST_LEAVE, NULL);
    sys_sigmask_set(self->own_mask);
    context_current_set(NULL);
    pthread_setspecific(adoption.key, NULL);
    stack_put(NULL, self->stack);
    lwt_free(NULL, self);
    return 0;
}
