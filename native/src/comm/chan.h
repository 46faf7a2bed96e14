/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chan: what the channel is made of, for its group. See chan.c.
 */
#ifndef WEFT_COMM_CHAN_H
#define WEFT_COMM_CHAN_H

#include "weft/chan.h"

#include "comm/ring.h"
#include "sched/bias.h"
#include "sched/op.h"

/* All of it is under the exclusion of `bias`, but for what says otherwise. */
struct weft_chan {
    struct slab_slot slot;
    struct ring *ring;      /* NULL for a rendezvous. While the slot is free, its link lies here */
    struct bias bias;       /* entered through stale handles too: nothing may lie over it */
    bool in_place;          /* constant: ends get positions, not words */
    bool closed;            /* no more sends */
    SHARED(bool) announced; /* in its group's queue of ready members. Set inside both, cleared inside the group; G2 */
    uint8_t ever_counted;   /* enum weft_chan_ends */

    struct list senders;    /* waiting ops, FIFO; empty unless the buffer is full */
    struct list receivers;  /* waiting ops, FIFO; empty unless the buffer is, and no sender waits */
    uint64_t closed_at;     /* the position from which on nothing was sent; UINT64_MAX while it is open */
    uint64_t group;         /* handle of the group it is a member of; 0: none */

    uint64_t group_mark;
    struct list ready;      /* in its group's queue; under the group's exclusion */
    uint64_t mark;
    uint64_t users[2];      /* of a single end: who it is bound to; 0: nobody yet */
    uint32_t refs;
    uint32_t counted[2];    /* senders, receivers */
} CACHE_ALIGNED;

_Static_assert(offsetof(struct weft_chan, bias) >= sizeof(struct slab_free), "the link of a free slot spares the bias");

extern struct slab chan_slab;
#define CHAN_STRIDE (sizeof(struct weft_chan) / CACHE_LINE * CACHE_LINE | CACHE_LINE)
#define CHAN_KIND 3u

static ALWAYS_INLINE struct weft_chan *chan_find(weft_chan_t handle)
{
    return (struct weft_chan *)slab_find_sized(&chan_slab, CHAN_STRIDE, CHAN_KIND, handle.id);
}

/* Changes bits of the ring's attention. Inside. */
static ALWAYS_INLINE void chan_attend(struct weft_chan *chan, uint32_t clear, uint32_t set)
{
    if (chan->ring)
        store_relaxed(&chan->ring->attention, (load_relaxed(&chan->ring->attention) & ~clear) | set);
}

/* Release: ends that see it unbiased see the sequences. */
static inline void chan_unbias(struct weft_chan *chan)
{
    uint32_t attention = load_relaxed(&chan->ring->attention) & ~(uint32_t)WEFT_RING_BIASED;
    store_release(&chan->ring->attention, attention);
}

/* Makes the attention say who waits. Inside, after ops have left their queues. */
static ALWAYS_INLINE void chan_settle(struct weft_chan *chan)
{
    chan_attend(chan, WEFT_RING_SENDERS | WEFT_RING_RECEIVERS,
                (list_empty(&chan->senders) ? 0 : WEFT_RING_SENDERS) |
                    (list_empty(&chan->receivers) ? 0 : WEFT_RING_RECEIVERS));
}

/* Enters the channel of a handle: NULL if it is none. */
static ALWAYS_INLINE struct weft_chan *chan_enter(weft_chan_t handle, struct weft_kthd *here, bool *owned)
{
    struct weft_chan *chan = chan_find(handle);
    if (unlikely(!chan))
        return NULL;
    *owned = bias_enter(&chan->bias, here, BIAS_CHANNEL);
    if (unlikely(!slab_alive(&chan->slot, handle.id))) { /* it was freed before we were inside */
        bias_leave(&chan->bias, here, BIAS_CHANNEL, *owned);
        return NULL;
    }
    /* Its bias was revoked, perhaps by ourselves just now: the ring is open to all. */
    if (unlikely(!*owned && chan->ring && load_relaxed(&chan->ring->attention) & WEFT_RING_BIASED)) {
        ring_open(chan->ring);
        chan_unbias(chan);
    }
    return chan;
}

static ALWAYS_INLINE void chan_leave(struct weft_chan *chan, struct weft_kthd *here, bool owned)
{
    bias_leave(&chan->bias, here, BIAS_CHANNEL, owned);
}

/*
 * The caller, inside, has set a bit of the attention and is about to look at the ring for the last time. From here on
 * ends that use no lock see the bit, or what they did before is seen by the look.
 */
static inline void chan_fence(const struct weft_chan *chan, bool owned)
{
    if (chan->ring && !owned)
        bias_fence();
}

/* Would a receive complete at once? */
static inline bool chan_is_ready(const struct weft_chan *chan)
{
    return !list_empty(&chan->senders) || chan->closed || (chan->ring && ring_is_ready(chan->ring, chan->closed_at));
}

/* What chan.c does for the other files; all inside. Gives waiting receivers what is in the ring, and waiting senders what is
 * free in it; for channels with a ring. */
void chan_serve(struct weft_chan *chan, bool owned, struct op_list *wake);
/* Ends the waits of all ops in a queue with -EPIPE. */
void chan_fail_all(struct list *queue, struct op_list *wake);
/* What an operation wants. */
struct wish {
    bool send;
    bool in_place;
    uint64_t value; /* the word to send */
    uint64_t *out;  /* receives the word, or the position */
};

/* May the caller do this to the channel at all? 0, -EINVAL, -EUSERS. `checked`: its binding knows whose end it is. */
int chan_check_wish(struct weft_chan *chan, const struct wish *wish, const struct weft_lwt *self, bool checked);
/* Does it if it can be done at once: 0, -EPIPE or -EAGAIN. */
int chan_complete_now(struct weft_chan *chan, const struct wish *wish, bool owned, struct weft_kthd *here,
                      struct op_list *wake);
/* Tells the group of a ready channel, unless it knows. */
void chan_announce(struct weft_chan *chan, struct weft_kthd *here, struct op_list *wake);
/* Binds a single end; -EUSERS: it is another's. */
int chan_bind(struct weft_chan *chan, uint32_t end, uint64_t user);

static inline weft_chan_t chan_handle(const struct weft_chan *chan)
{
    return (weft_chan_t){slab_handle(&chan_slab, &chan->slot)};
}

#endif
