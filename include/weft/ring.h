/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: the buffer of a channel, as it lies in memory. C and other languages run the same protocol on it; this header
 * is for bindings that do so themselves and enter C only to wait or to wake. Versioned: see WEFT_RING_VERSION.
 *
 *     struct weft_ring   constants, attention   128 bytes
 *                        the sender's index     128 bytes
 *                        the receiver's index   128 bytes
 *     cells              `cells` of `cell_bytes` each, a power of two of them
 *
 * Positions count messages from 0 and do not wrap; position p lies in cell p % cells. There are two forms:
 *
 *   one sender and one receiver   A cell is a payload. The sender publishes it by its index, the receiver frees it by
 *   (ends is both)                its own. Each keeps what it saw last of the other's, so that the other's cache line
 *                                 is fetched only when the ring seems full or empty.
 *
 *       send at p      p - head < capacity, seen or fetched (acquire); write the payload; tail = p + 1 (release)
 *       receive at p   p < tail, seen or fetched (acquire); read the payload; head = p + 1 (release)
 *
 *   many of either                A cell is a 64-bit sequence and a payload. With lap = p - p % cells:
 *
 *       send at p      sequence == lap (acquire), and p - head < capacity if that is less than cells; claim p: tail = p + 1,
 *                      by compare-and-swap unless the sender is the only one; write the payload; sequence = lap + 1 (release)
 *       receive at p   sequence == lap + 1 (acquire); claim p: head = p + 1, by compare-and-swap unless the receiver is the
 *                      only one; read the payload; sequence = lap + cells (release)
 *
 * `attention` joins the ring to the rest of the channel. An end looks at it twice:
 *
 *   before   WEFT_RING_BIASED, WEFT_RING_CLOSED, or ends of its own kind waiting: call the function of chan.h instead.
 *            A receiver looks after it has seen a message and before it claims it.
 *   after    a full fence if `attention` says WEFT_RING_FENCE, else none but the compiler's; then, if an end of the other
 *            kind waits, or a sender finds WEFT_RING_GROUP or WEFT_RING_CLOSED: weft_chan_sent() or weft_chan_received()
 *
 * Who is about to wait sets its bit, makes every processor pass a fence (membarrier), and looks at the ring once more:
 * so either it sees the message, or the sender sees the bit.
 */
#ifndef WEFT_RING_H
#define WEFT_RING_H

#include "types.h"

WEFT_BEGIN

#define WEFT_RING_VERSION 1
#define WEFT_RING_MAX_RECORD 1024

enum weft_ring_attention {
    WEFT_RING_BIASED = 1,    /* one kthd uses it, without atomic operations: others must not touch it */
    WEFT_RING_CLOSED = 2,
    WEFT_RING_SENDERS = 4,   /* senders wait */
    WEFT_RING_RECEIVERS = 8, /* receivers wait */
    WEFT_RING_GROUP = 16,    /* a group wants to hear of the next message */
    WEFT_RING_FENCE = 32,    /* membarrier is not to be had here: ends pay for a fence themselves. Constant */
};

struct weft_ring {
    uint32_t version;      /* WEFT_RING_VERSION; it and what follows up to `attention` are constant */
    uint32_t ends;         /* enum weft_chan_ends, or-ed: this end is one thread */
    uint32_t capacity;     /* messages */
    uint32_t cells;        /* power of two, at least `capacity` */
    uint32_t cell_bytes;
    uint32_t payload_at;   /* where in a cell it begins: 0 or 8 */
    uint32_t payload_bytes;
    uint32_t cells_at;     /* where the cells begin, from the start of this struct */
    uint32_t attention;    /* shared; enum weft_ring_attention, or-ed */
    uint32_t pad0_[23];

    uint64_t tail;         /* shared: positions claimed by senders */
    uint64_t head_seen;    /* the one sender's */
    uint64_t pad1_[14];

    uint64_t head;         /* shared: positions claimed by receivers */
    uint64_t tail_seen;    /* the one receiver's */
    uint64_t pad2_[14];
};

/*
 * The ring of a buffered channel, and a hold on its memory: it stays readable, CLOSED, after the channel is gone.
 * Errors: NULL if it is no live channel, or a rendezvous. Does not block.
 */
WEFT_API struct weft_ring *weft_chan_ring(weft_chan_t chan);

/* Where the message at a position lies. */
static inline void *weft_ring_place(struct weft_ring *ring, uint64_t position)
{
    return (char *)ring + ring->cells_at + (position & (ring->cells - 1)) * ring->cell_bytes + ring->payload_at;
}

/* Gives the hold back. `ring` from weft_chan_ring(), once. Does not fail or block. */
WEFT_API void weft_ring_release(struct weft_ring *ring);

/*
 * What an end calls that has sent at, or received from, `position` and then found that it must: hands messages to those
 * who wait. After 0 from weft_chan_sent() the message is sent; after -EPIPE it was not: the channel had been closed before.
 * After -EBADF, which an end that holds a reference never sees, the channel is gone and nobody can tell.
 * weft_chan_received() gives 0 always. They do not block.
 */
WEFT_API int weft_chan_sent(weft_chan_t chan, uint64_t position);
WEFT_API int weft_chan_received(weft_chan_t chan, uint64_t position);

/*
 * Binds a declared single end (one of enum weft_chan_ends) to `user`: any non-zero number that a binding knows its thread
 * by; for an lwt its handle. 0, also if it is that user's already; -EUSERS: it is another's. -EBADF, -EINVAL (the end is not
 * declared single). Does not block. A binding that runs the protocol itself calls this at the first use of an end, and
 * checks the later ones by its own means.
 */
WEFT_API int weft_chan_bind(weft_chan_t chan, uint32_t end, uint64_t user);

WEFT_END
#endif
