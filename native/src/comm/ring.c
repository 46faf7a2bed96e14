/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of rings. See ring.h.
 */
#include "comm/ring.h"

#include "base/sys.h"

enum { MAPPED_FROM_BYTES = 64 << 10, SEQUENCE_BYTES = 8 };

static size_t ring_bytes(const struct ring *ring) { return sizeof *ring + (size_t)ring->cells * ring->cell_bytes; }

/* Large ones straight from the system: not touched before they are used, and given back when they are freed. */
static bool is_mapped(size_t bytes) { return bytes >= MAPPED_FROM_BYTES; }

static uint32_t power_of_two_from(uint32_t n)
{
    uint32_t power = 1;
    while (power < n)
        power *= 2;
    return power;
}

struct ring *ring_new(uint32_t capacity, uint32_t ends, uint32_t payload_bytes)
{
    bool pair = ends == RING_BOTH_ONE;
    struct ring shape = {
        .version = WEFT_RING_VERSION,
        .ends = ends,
        .capacity = capacity,
        .cells = power_of_two_from(pair || capacity > 1 ? capacity : 2), /* with one cell "full" were "free again" */
        .payload_at = pair ? 0 : SEQUENCE_BYTES,
        .payload_bytes = payload_bytes,
        .cells_at = sizeof shape,
    };
    shape.cell_bytes = (shape.payload_at + payload_bytes + 7) / 8 * 8;
    size_t bytes = ring_bytes(&shape);
    struct ring *ring = is_mapped(bytes) ? sys_map(bytes) : sys_alloc(bytes);
    if (!ring)
        return NULL;
    *ring = shape;
    ring->mask = ring->cells - 1;
    store_relaxed(&ring->holds, 1);
    return ring;
}

void ring_open(struct ring *ring)
{
    uint64_t head = load_relaxed(&ring->head), tail = load_relaxed(&ring->tail);
    uint64_t used = tail < ring->cells ? tail : ring->cells; /* the others are free for the first lap, as made */
    for (uint64_t p = tail - used; p < tail; p++)
        store_relaxed(&ring_cell(ring, p)->sequence, ring_lap(ring, p) + (p < head ? ring->cells : 1));
}

void ring_release(struct ring *ring)
{
    if (sub_acq_rel(&ring->holds, 1) != 1)
        return;
    size_t bytes = ring_bytes(ring);
    if (is_mapped(bytes))
        sys_unmap(ring, bytes);
    else
        sys_free(ring);
}
