/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of the seeds' lwt_info. Counted when asked for, by a walk over the table of lwts, so that nothing is
 * counted on the hot path.
 */
#include <errno.h>
#include <string.h>

#include "sched/info.h"
#include "sched/kthd.h"

struct info_port info_port;

static void count_lwt(struct weft_info *out, const struct weft_lwt *lwt)
{
    uint8_t state = lwt_state(lwt), waiting = lwt_waits_for(lwt);
    out->runnable += state == WEFT_LWT_READY;
    out->loose += state == WEFT_LWT_LOOSE;
    out->zombies += state == WEFT_LWT_ZOMBIE;
    if (state == WEFT_LWT_BLOCKED) {
        out->blocked++;
        out->sending += waiting == WAIT_SEND;
        out->receiving += waiting == WAIT_RECEIVE;
    }
    out->lwts += state != WEFT_LWT_ZOMBIE;
}

static void count(struct weft_info *out, const struct weft_kthd *only)
{
    memset(out, 0, sizeof *out);
    const struct slab_slot *slot;
    for (uint32_t i = 1; (slot = slab_at(&lwt_slab, i)); i++) {
        const struct weft_lwt *lwt = (const struct weft_lwt *)slot;
        if (slab_is_alive(slot) && (!only || load_relaxed(&lwt->home) == only))
            count_lwt(out, lwt);
    }
    for (uint32_t i = 1; (slot = slab_at(&kthd_slab, i)); i++) {
        const struct weft_kthd *kthd = (const struct weft_kthd *)slot;
        if (!only || kthd == only)
            out->switches += kthd_switches(kthd);
    }
    uint64_t (*count_channels)(void) = load_relaxed(&info_port.count_channels);
    out->channels = count_channels ? count_channels() : 0;
}

void weft_info(struct weft_info *out) { count(out, NULL); }

int weft_kthd_info(weft_kthd_t handle, struct weft_info *out)
{
    struct weft_kthd *kthd = kthd_find(handle);
    if (!kthd)
        return -ESRCH;
    count(out, kthd);
    return 0;
}
