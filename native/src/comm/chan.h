/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chan: what the channel is made of, for its group. See chan.c.
 */
#ifndef WEFT_COMM_CHAN_H
#define WEFT_COMM_CHAN_H

#include "weft/chan.h"

#include "sched/bias.h"
#include "sched/op.h"

/* All of it is under the exclusion of `bias`, but for what says otherwise. */
struct weft_chan {
    struct slab_slot slot;
    uint64_t *ring;         /* capacity words; NULL for a rendezvous. While the slot is free, its link lies here */
    struct bias bias;       /* entered through stale handles too: nothing may lie over it */
    uint32_t capacity;
    uint32_t head;          /* where the next word is taken */
    uint32_t length;        /* words buffered */
    bool closed;            /* no more sends */
    SHARED(bool) announced; /* in its group's queue of ready members. Set inside both, cleared inside the group; G2 */

    struct list senders;    /* waiting ops, FIFO; empty unless the buffer is full */
    struct list receivers;  /* waiting ops, FIFO; empty unless the buffer is, and no sender waits */
    uint64_t group;         /* handle of the group it is a member of; 0: none */
    uint64_t group_mark;

    struct list ready;      /* in its group's queue; under the group's exclusion */
    uint64_t mark;
    uint32_t refs;
    uint32_t counted[2];    /* senders, receivers */
    uint8_t ever_counted;   /* enum weft_chan_ends */
} CACHE_ALIGNED;

_Static_assert(offsetof(struct weft_chan, bias) >= sizeof(struct slab_free), "the link of a free slot spares the bias");

extern struct slab chan_slab;
#define CHAN_STRIDE (sizeof(struct weft_chan) / CACHE_LINE * CACHE_LINE | CACHE_LINE)
#define CHAN_KIND 3u

static ALWAYS_INLINE struct weft_chan *chan_find(weft_chan_t handle)
{
    return (struct weft_chan *)slab_find_sized(&chan_slab, CHAN_STRIDE, CHAN_KIND, handle.id);
}

/* Enters the channel of a handle: NULL if it is none. */
static ALWAYS_INLINE struct weft_chan *chan_enter(weft_chan_t handle, struct weft_kthd *here, bool *owned)
{
    struct weft_chan *chan = chan_find(handle);
    if (unlikely(!chan))
        return NULL;
    *owned = bias_enter(&chan->bias, here, BIAS_CHANNEL);
    if (likely(slab_alive(&chan->slot, handle.id))) /* it may have been freed before we were inside */
        return chan;
    bias_leave(&chan->bias, here, BIAS_CHANNEL, *owned);
    return NULL;
}

static ALWAYS_INLINE void chan_leave(struct weft_chan *chan, struct weft_kthd *here, bool owned)
{
    bias_leave(&chan->bias, here, BIAS_CHANNEL, owned);
}

/* Would a receive complete at once? */
static inline bool chan_is_ready(const struct weft_chan *chan)
{
    return chan->length || !list_empty(&chan->senders) || chan->closed;
}

static inline weft_chan_t chan_handle(const struct weft_chan *chan)
{
    return (weft_chan_t){slab_handle(&chan_slab, &chan->slot)};
}

#endif
