/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Park, unpark, interrupt.
 *
 * The permit word is the whole protocol:
 *
 *     park     GIVEN -> NONE: return        NONE -> AWAITED: wait, then exchange -> NONE
 *     unpark   exchange -> GIVEN; who found AWAITED readies the lwt
 *     time-out, interrupt (on the lwt's kthd)   AWAITED -> NONE; who succeeds readies it
 *
 * AWAITED is left once, so there is one winner. The lwt takes the permit itself, by an exchange that reads from the
 * last unpark: whatever any of several unparkers did before is visible after park. native/test/models/park.pml.
 */
#include <errno.h>

#include "sched/kthd.h"

static bool park_withdraw(struct weft_lwt *self)
{
    uint32_t awaited = PERMIT_AWAITED;
    return cas_acq_rel(&self->permit, &awaited, PERMIT_NONE);
}

static int park(struct weft_lwt *self, int64_t deadline_ns)
{
    uint32_t permit = PERMIT_GIVEN;
    if (cas_acq_rel(&self->permit, &permit, PERMIT_NONE)) /* acquire: pairs with unpark */
        return 0;
    lwt_rejoined(self);
    permit = PERMIT_NONE;
    int r = 0;
    if (cas_acq_rel(&self->permit, &permit, PERMIT_AWAITED)) /* fails if it came just now */
        r = lwt_wait_until(self, WAIT_PARK, park_withdraw, deadline_ns);
    if (!r)
        exchange_acquire(&self->permit, PERMIT_NONE); /* pairs with the last unpark */
    return r;
}

int weft_lwt_park(int64_t deadline_ns)
{
    struct weft_lwt *self = lwt_current();
    return self ? park(self, deadline_ns) : -EPERM;
}

int weft_lwt_park_as(struct weft_self *self, int64_t deadline_ns) { return park(lwt_of_self(self), deadline_ns); }

int weft_lwt_unpark(weft_lwt_t handle)
{
    struct weft_lwt *lwt = lwt_find(handle);
    if (!lwt)
        return -ESRCH;
    if (exchange_acq_rel(&lwt->permit, PERMIT_GIVEN) == PERMIT_AWAITED) {
        lwt->context.result = 0;
        kthd_ready(kthd_here(lwt_current()), lwt);
    }
    return 0;
}

int weft_lwt_interrupt(weft_lwt_t handle)
{
    struct weft_lwt *lwt = lwt_find(handle);
    if (!lwt)
        return -ESRCH;
    struct weft_kthd *home = load_relaxed(&lwt->home);
    struct interrupt *interrupt = sys_alloc(sizeof *interrupt);
    if (!interrupt)
        return -ENOMEM;
    interrupt->lwt = handle.id;
    kthd_interrupt(home, interrupt);
    return 0;
}
