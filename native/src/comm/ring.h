/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of a channel: see weft/ring.h for its layout and protocol, which this is the C form of. What differs here is
 * who else is in it:
 *
 *   alone       the caller owns the channel's bias: nobody else touches the ring. Two indices and the payloads are all;
 *               sequences are not kept. ring_open() makes up for it when the bias is revoked
 *   otherwise   ends in other languages come and go without any exclusion, and C's are among them under the lock
 *
 * No loss: a claim (an index advanced) is made by one end only, by compare-and-swap or because there is no other, so
 * each position is written once and read once; the sequence (or the opposite index) is stored with release after the
 * payload was written or read, and loaded with acquire before. native/test/models/ring.pml checks both forms.
 *
 * A cell that was claimed and not yet published looks empty to receivers and full to senders, also if later ones are
 * published already. Who finds that waits, and is told by the one who publishes.
 */
#ifndef WEFT_COMM_RING_H
#define WEFT_COMM_RING_H

#include "weft/chan.h"
#include "weft/ring.h"

#include "base/atomic.h"
#include "base/compiler.h"

struct ring {
    uint32_t version, ends, capacity, cells, cell_bytes, payload_at, payload_bytes, cells_at;
    SHARED(uint32_t) attention; /* written under the channel's exclusion */
    SHARED(uint32_t) holds;     /* the channel's, and its bindings' */
    uint32_t mask;              /* cells - 1 */
    uint32_t pad0[21];
    SHARED(uint64_t) tail;
    uint64_t head_seen;
    uint64_t pad1[14];
    SHARED(uint64_t) head;
    uint64_t tail_seen;
    uint64_t pad2[14];
};
_Static_assert(sizeof(struct ring) == sizeof(struct weft_ring) && sizeof(struct ring) == 384, "one ring, two views");
_Static_assert(offsetof(struct ring, attention) == offsetof(struct weft_ring, attention) &&
                   offsetof(struct ring, cells_at) == offsetof(struct weft_ring, cells_at) &&
                   offsetof(struct ring, tail) == offsetof(struct weft_ring, tail) &&
                   offsetof(struct ring, head_seen) == offsetof(struct weft_ring, head_seen) &&
                   offsetof(struct ring, head) == offsetof(struct weft_ring, head) &&
                   offsetof(struct ring, tail_seen) == offsetof(struct weft_ring, tail_seen),
               "one ring, two views");

struct ring_cell {
    SHARED(uint64_t) sequence;
    uint64_t payload[];
};

#define RING_BOTH_ONE (WEFT_CHAN_SENDER | WEFT_CHAN_RECEIVER)

/* An empty ring with one hold, or NULL: no memory. `payload_bytes` may be 0: the messages lie elsewhere. */
struct ring *ring_new(uint32_t capacity, uint32_t ends, uint32_t payload_bytes);
/* The bias is revoked, its owner outside: from here on sequences say what is free and what is full. */
void ring_open(struct ring *ring);
void ring_release(struct ring *ring);

static ALWAYS_INLINE bool ring_is_pair(const struct ring *ring) { return ring->ends == RING_BOTH_ONE; }

static ALWAYS_INLINE struct ring_cell *ring_cell(struct ring *ring, uint64_t position)
{
    return (struct ring_cell *)((char *)ring + sizeof *ring + (position & ring->mask) * ring->cell_bytes);
}

/* The payload of a ring of words: the sizes are known. */
static ALWAYS_INLINE uint64_t *ring_word(struct ring *ring, uint64_t position)
{
    uint64_t *words = (uint64_t *)(ring + 1), cell = position & ring->mask;
    return ring_is_pair(ring) ? &words[cell] : &words[2 * cell + 1];
}

/* The sequence that says that a cell is free for this position: the positions of all laps before. It begins at 0, as
 * fresh memory does; one more says that it is full. */
static ALWAYS_INLINE uint64_t ring_lap(const struct ring *ring, uint64_t position) { return position & -(uint64_t)ring->cells; }

/* Messages below `end` that were claimed by senders and not yet by receivers: exact while nobody moves. */
static inline uint64_t ring_length(const struct ring *ring, uint64_t end)
{
    uint64_t head = load_acquire(&ring->head), tail = load_acquire(&ring->tail);
    tail = tail < end ? tail : end;
    return tail > head ? tail - head : 0;
}

/* Moves an index past `position`; false if another end has. */
static ALWAYS_INLINE bool ring_claim(void *index, uint64_t position, bool single)
{
    SHARED(uint64_t) *shared = index;
    if (likely(single)) {
        store_relaxed(shared, position + 1);
        return true;
    }
    return cas_acq_rel(shared, &position, position + 1);
}

/* --- the sender's half --- */

/* Claims a position to send at; false: full. A pair's is published by its index, so not yet moved here. */
static ALWAYS_INLINE bool ring_claim_send(struct ring *ring, uint64_t *position)
{
    bool single = ring->ends & WEFT_CHAN_SENDER;
    for (;;) {
        uint64_t p = load_relaxed(&ring->tail);
        *position = p;
        if (ring_is_pair(ring)) {
            if (p - ring->head_seen < ring->capacity)
                return true;
            ring->head_seen = load_acquire(&ring->head); /* pairs with ring_free() */
            return p - ring->head_seen < ring->capacity;
        }
        uint64_t sequence = load_acquire(&ring_cell(ring, p)->sequence); /* pairs with ring_free() */
        bool room = ring->capacity == ring->cells || (int64_t)(p - load_acquire(&ring->head)) < ring->capacity;
        if (likely(sequence == ring_lap(ring, p) && room)) {
            if (likely(ring_claim(&ring->tail, p, single)))
                return true;
        } else if (single || p == load_relaxed(&ring->tail)) {
            return false;
        }
    }
}

static ALWAYS_INLINE void ring_publish(struct ring *ring, uint64_t position)
{
    if (ring_is_pair(ring))
        store_release(&ring->tail, position + 1);
    else
        store_release(&ring_cell(ring, position)->sequence, ring_lap(ring, position) + 1);
}

/* --- the receiver's half --- */

/* Claims a position to receive from, below `end`; false: empty. A pair's index is moved by ring_free(). */
static ALWAYS_INLINE bool ring_claim_receive(struct ring *ring, uint64_t end, uint64_t *position)
{
    bool single = ring->ends & WEFT_CHAN_RECEIVER;
    for (;;) {
        uint64_t p = load_relaxed(&ring->head);
        *position = p;
        if (unlikely(p >= end))
            return false;
        if (ring_is_pair(ring)) {
            if (p < ring->tail_seen)
                return true;
            ring->tail_seen = load_acquire(&ring->tail); /* pairs with ring_publish() */
            return p < ring->tail_seen;
        }
        uint64_t sequence = load_acquire(&ring_cell(ring, p)->sequence); /* pairs with ring_publish() */
        if (likely(sequence == ring_lap(ring, p) + 1)) {
            if (likely(ring_claim(&ring->head, p, single)))
                return true;
        } else if (single || p == load_relaxed(&ring->head)) {
            return false;
        }
    }
}

static ALWAYS_INLINE void ring_free(struct ring *ring, uint64_t position)
{
    if (ring_is_pair(ring))
        store_release(&ring->head, position + 1);
    else
        store_release(&ring_cell(ring, position)->sequence, ring_lap(ring, position) + ring->cells);
}

/* --- whole words --- */

/* Alone: not a pair, since declared ends are never biased. */
static ALWAYS_INLINE bool ring_push_alone(struct ring *ring, uint64_t value)
{
    uint64_t tail = load_relaxed(&ring->tail);
    if (unlikely(tail - load_relaxed(&ring->head) >= ring->capacity))
        return false;
    ((uint64_t *)(ring + 1))[2 * (tail & ring->mask) + 1] = value;
    store_relaxed(&ring->tail, tail + 1);
    return true;
}

static ALWAYS_INLINE bool ring_pop_alone(struct ring *ring, uint64_t *value)
{
    uint64_t head = load_relaxed(&ring->head);
    if (unlikely(head == load_relaxed(&ring->tail)))
        return false;
    *value = ((uint64_t *)(ring + 1))[2 * (head & ring->mask) + 1];
    store_relaxed(&ring->head, head + 1);
    return true;
}

static ALWAYS_INLINE bool ring_push(struct ring *ring, bool alone, uint64_t value)
{
    uint64_t p;
    if (alone)
        return ring_push_alone(ring, value);
    if (!ring_claim_send(ring, &p))
        return false;
    *ring_word(ring, p) = value;
    ring_publish(ring, p);
    return true;
}

static ALWAYS_INLINE bool ring_pop(struct ring *ring, bool alone, uint64_t end, uint64_t *value)
{
    uint64_t p;
    if (alone)
        return ring_pop_alone(ring, value);
    if (!ring_claim_receive(ring, end, &p))
        return false;
    *value = *ring_word(ring, p);
    ring_free(ring, p);
    return true;
}

/* Is there room to send? As seen by whoever looks. */
static inline bool ring_has_room(struct ring *ring)
{
    uint64_t p = load_relaxed(&ring->tail);
    if (ring_is_pair(ring) || ring->capacity != ring->cells)
        if (p - load_acquire(&ring->head) >= ring->capacity)
            return false;
    return ring_is_pair(ring) || load_acquire(&ring_cell(ring, p)->sequence) == ring_lap(ring, p);
}

/* Is there something to receive? */
static inline bool ring_is_ready(struct ring *ring, uint64_t end)
{
    uint64_t p = load_relaxed(&ring->head);
    if (p >= end)
        return false;
    if (ring_is_pair(ring))
        return p < load_acquire(&ring->tail);
    if (load_relaxed(&ring->attention) & WEFT_RING_BIASED)
        return p < load_relaxed(&ring->tail);
    return load_acquire(&ring_cell(ring, p)->sequence) == ring_lap(ring, p) + 1;
}

#endif
