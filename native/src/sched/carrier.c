/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a kthd: its creation, the kernel thread that carries it, its end. See kthd.h.
 *
 *     create --> open --------------------------> closed --> destroyed, slot free
 *                  carrier: NONE -> RUNNING -> STOPPED
 *                  closing: NO -> IF_EMPTY -> REFUSED -> NO     (weft_kthd_destroy without WEFT_KTHD_WAIT)
 *                           NO -> IF_EMPTY or WHEN_EMPTY -> DONE
 *
 * Who destroys asks (`closing`, and rings); the carrier closes when it may, and answers. An external kthd that nobody
 * carries is closed by the destroyer, who takes the carrier's right for it.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "sched/kthd.h"

enum {
    KTHDS = 4096,
    CARRIER_STACK_BYTES = 256 << 10,
};
#define LONGEST_SPIN_NS 1000000000u

struct slab kthd_slab = {.stride = KTHD_STRIDE, .limit = KTHDS, .kind = KTHD_KIND};

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
    kthd_answer_closing(kthd, CLOSING_DONE); /* the last touch: weft_kthd_destroy() may free it from here on */
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
        snprintf(kthd->name, sizeof kthd->name, "kthd-%u", slab_index(&kthd->slot));
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
    do {
        kthd_take_inbox(kthd);
        if (kthd_try_close(kthd)) {
            stop_carrying(kthd);
            return 0;
        }
    } while (kthd_is_empty(kthd)); /* it was only the bell */
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
    while ((state = load_acquire(&kthd->closing)) == wish) /* pairs with kthd_answer_closing() */
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
