/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: channels with declared ends, and ends that run the ring's protocol themselves, as a binding of another language
 * does: `quick_send` and `quick_receive` below are written from the text of weft/ring.h alone, over its public struct.
 * They are mixed with ends that call weft_chan_send() and weft_chan_recv(), on threads of all kinds.
 */
#include "scene.h"

/* ---- a binding --------------------------------------------------------------------------------------------------- */

#define LOAD(field, order) __atomic_load_n(&(field), __ATOMIC_##order)
#define STORE(field, value, order) __atomic_store_n(&(field), value, __ATOMIC_##order)

struct quick {
    weft_chan_t chan;
    struct weft_ring *ring;
};

static bool is_pair(const struct weft_ring *ring) { return ring->ends == (WEFT_CHAN_SENDER | WEFT_CHAN_RECEIVER); }
static uint64_t lap_of(const struct weft_ring *ring, uint64_t p) { return p - p % ring->cells; }

static uint64_t *sequence_of(struct weft_ring *ring, uint64_t p)
{
    return (uint64_t *)((char *)weft_ring_place(ring, p) - 8);
}

static bool quick_claim(uint64_t *index, uint64_t p, bool single)
{
    if (single) {
        STORE(*index, p + 1, RELAXED);
        return true;
    }
    return __atomic_compare_exchange_n(index, &p, p + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static bool claim_to_send(struct weft_ring *ring, uint64_t *position)
{
    for (;;) {
        uint64_t p = *position = LOAD(ring->tail, RELAXED);
        if (is_pair(ring)) {
            if (p - ring->head_seen >= ring->capacity)
                ring->head_seen = LOAD(ring->head, ACQUIRE);
            return p - ring->head_seen < ring->capacity;
        }
        bool room = LOAD(*sequence_of(ring, p), ACQUIRE) == lap_of(ring, p) &&
                    (int64_t)(p - LOAD(ring->head, ACQUIRE)) < ring->capacity;
        if (room && quick_claim(&ring->tail, p, ring->ends & WEFT_CHAN_SENDER))
            return true;
        if (!room && p == LOAD(ring->tail, RELAXED))
            return false;
    }
}

static bool sees_message(struct weft_ring *ring, uint64_t *position)
{
    for (;;) {
        uint64_t p = *position = LOAD(ring->head, RELAXED);
        if (is_pair(ring)) {
            if (p >= ring->tail_seen)
                ring->tail_seen = LOAD(ring->tail, ACQUIRE);
            return p < ring->tail_seen;
        }
        if (LOAD(*sequence_of(ring, p), ACQUIRE) == lap_of(ring, p) + 1)
            return true;
        if (p == LOAD(ring->head, RELAXED))
            return false;
    }
}

static uint32_t look_again(struct weft_ring *ring, uint32_t before)
{
    if (before & WEFT_RING_FENCE)
        __sync_synchronize();
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return LOAD(ring->attention, ACQUIRE);
}

static int quick_send(struct quick *quick, uint64_t value)
{
    struct weft_ring *ring = quick->ring;
    uint64_t p;
    uint32_t attention = LOAD(ring->attention, ACQUIRE);
    if (attention & (WEFT_RING_BIASED | WEFT_RING_CLOSED | WEFT_RING_SENDERS) || !claim_to_send(ring, &p))
        return weft_chan_send(quick->chan, value);
    *(uint64_t *)weft_ring_place(ring, p) = value;
    if (is_pair(ring))
        STORE(ring->tail, p + 1, RELEASE);
    else
        STORE(*sequence_of(ring, p), lap_of(ring, p) + 1, RELEASE);
    attention = look_again(ring, attention);
    return attention & (WEFT_RING_RECEIVERS | WEFT_RING_GROUP | WEFT_RING_CLOSED) ? weft_chan_sent(quick->chan, p) : 0;
}

static int quick_receive(struct quick *quick, uint64_t *value)
{
    struct weft_ring *ring = quick->ring;
    uint64_t p;
    uint32_t attention;
    do {
        if (!sees_message(ring, &p))
            return weft_chan_recv(quick->chan, value);
        attention = LOAD(ring->attention, ACQUIRE);
        if (attention & (WEFT_RING_BIASED | WEFT_RING_CLOSED | WEFT_RING_RECEIVERS))
            return weft_chan_recv(quick->chan, value);
    } while (!is_pair(ring) && !quick_claim(&ring->head, p, ring->ends & WEFT_CHAN_RECEIVER));
    *value = *(uint64_t *)weft_ring_place(ring, p);
    if (is_pair(ring))
        STORE(ring->head, p + 1, RELEASE);
    else
        STORE(*sequence_of(ring, p), lap_of(ring, p) + ring->cells, RELEASE);
    if (look_again(ring, attention) & WEFT_RING_SENDERS)
        weft_chan_received(quick->chan, p);
    return 0;
}

/* ---- channels ---------------------------------------------------------------------------------------------------- */

enum { both = WEFT_CHAN_SENDER | WEFT_CHAN_RECEIVER };

static weft_chan_t declared(uint32_t capacity, uint32_t single, uint32_t flags, uint32_t record_bytes)
{
    struct weft_chan_attr attr;
    weft_chan_t chan = {0};
    weft_chan_attr_init(&attr);
    attr.capacity = capacity;
    attr.single = single;
    attr.flags = flags;
    attr.record_bytes = record_bytes;
    REQUIRE_EQ(weft_chan_create_with(&chan, &attr), 0);
    return chan;
}

static struct quick quick_of(weft_chan_t chan)
{
    struct quick quick = {chan, weft_chan_ring(chan)};
    REQUIRE(quick.ring);
    CHECK_EQ(quick.ring->version, WEFT_RING_VERSION);
    return quick;
}

TEST(create_with_refuses_what_cannot_be)
{
    static const struct weft_chan_attr wrong[] = {
        {.capacity = WEFT_CHAN_MAX_CAPACITY + 1},
        {.capacity = 0, .single = WEFT_CHAN_SENDER},
        {.capacity = 0, .flags = WEFT_CHAN_IN_PLACE},
        {.capacity = 1, .single = 4},
        {.capacity = 1, .flags = 4},
        {.capacity = 1, .record_bytes = 8},
        {.capacity = 1, .flags = WEFT_CHAN_IN_PLACE, .record_bytes = WEFT_RING_MAX_RECORD + 1},
        {.capacity = 1, .reserved = {1, 0}},
        {.capacity = 1, .reserved = {0, 1}},
    };
    weft_chan_t chan = {77};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_EQ(weft_chan_create_with(&chan, &wrong[i]), -EINVAL);
    CHECK_EQ(weft_chan_create_with(&chan, NULL), -EINVAL);
    CHECK_EQ(weft_chan_create_with(NULL, &(struct weft_chan_attr){.capacity = 1}), -EINVAL);
    CHECK_EQ(chan.id, 77);
}

TEST(a_ring_says_what_it_is)
{
    weft_chan_t chan = declared(3, both, 0, 0);
    struct weft_ring *ring = weft_chan_ring(chan);
    CHECK_EQ(ring->capacity, 3);
    CHECK_EQ(ring->cells, 4);
    CHECK_EQ(ring->cell_bytes, 8);
    CHECK_EQ(ring->payload_at, 0);
    CHECK_EQ(ring->attention & WEFT_RING_BIASED, 0);
    weft_ring_release(ring);
    weft_chan_release(chan, 0);
    chan = declared(3, 0, WEFT_CHAN_IN_PLACE, 100);
    ring = weft_chan_ring(chan);
    CHECK_EQ(ring->payload_at, 8);
    CHECK_EQ(ring->payload_bytes, 100);
    CHECK_EQ(ring->cell_bytes, 112);
    weft_ring_release(ring);
    weft_chan_release(chan, 0);
    chan = chan_new(0);
    CHECK(!weft_chan_ring(chan));
    weft_chan_release(chan, 0);
    CHECK(!weft_chan_ring(chan));
}

TEST(a_held_ring_outlives_its_channel_and_is_closed)
{
    weft_chan_t chan = declared(4, 0, WEFT_CHAN_SHARED, 0);
    struct quick quick = quick_of(chan);
    CHECK_EQ(quick_send(&quick, 1), 0);
    CHECK_EQ(weft_chan_release(chan, 0), 0);
    CHECK(LOAD(quick.ring->attention, ACQUIRE) & WEFT_RING_CLOSED);
    CHECK_EQ(quick_send(&quick, 2), -EBADF);
    CHECK_EQ(weft_chan_sent(chan, 1), -EBADF);
    CHECK_EQ(weft_chan_received(chan, 0), 0);
    weft_ring_release(quick.ring);
}

/* ---- single ends ------------------------------------------------------------------------------------------------- */

struct attempt {
    weft_chan_t chan;
    int sent, received;
};

static void *attempt_both(void *arg)
{
    struct attempt *attempt = arg;
    uint64_t value;
    attempt->sent = weft_chan_try_send(attempt->chan, 9);
    attempt->received = weft_chan_try_recv(attempt->chan, &value);
    return NULL;
}

TEST(a_single_end_is_its_first_users)
{
    static const uint32_t singles[] = {WEFT_CHAN_SENDER, WEFT_CHAN_RECEIVER, both};
    weft_kthd_t kthd = kthd_new();
    for (int i = 0; i < 3; i++) {
        uint64_t value;
        struct attempt attempt = {declared(4, singles[i], 0, 0), 1, 1};
        CHECK_EQ(weft_chan_send(attempt.chan, 1), 0);
        CHECK_EQ(weft_chan_send(attempt.chan, 2), 0);
        CHECK_EQ(weft_chan_recv(attempt.chan, &value), 0);
        lwt_run(kthd, attempt_both, &attempt);
        CHECK_EQ(attempt.sent, singles[i] & WEFT_CHAN_SENDER ? -EUSERS : 0);
        CHECK_EQ(attempt.received, singles[i] & WEFT_CHAN_RECEIVER ? -EUSERS : 0);
        weft_chan_release(attempt.chan, 0);
    }
    kthd_end(kthd);
}

TEST(bind_gives_a_single_end_to_a_binding)
{
    weft_chan_t chan = declared(4, WEFT_CHAN_SENDER, 0, 0);
    CHECK_EQ(weft_chan_bind(chan, WEFT_CHAN_SENDER, 7), 0);
    CHECK_EQ(weft_chan_bind(chan, WEFT_CHAN_SENDER, 7), 0);
    CHECK_EQ(weft_chan_bind(chan, WEFT_CHAN_SENDER, 8), -EUSERS);
    CHECK_EQ(weft_chan_send(chan, 1), -EUSERS);
    CHECK_EQ(weft_chan_bind(chan, WEFT_CHAN_RECEIVER, 7), -EINVAL);
    CHECK_EQ(weft_chan_bind(chan, both, 7), -EINVAL);
    CHECK_EQ(weft_chan_bind(chan, WEFT_CHAN_SENDER, 0), -EINVAL);
    weft_chan_release(chan, 0);
    CHECK_EQ(weft_chan_bind(chan, WEFT_CHAN_SENDER, 7), -EBADF);
}

/* ---- in place ---------------------------------------------------------------------------------------------------- */

TEST(the_halves_are_for_channels_in_place_and_the_wholes_for_the_others)
{
    uint64_t value = 0;
    weft_chan_t words = declared(2, 0, WEFT_CHAN_SHARED, 0), places = declared(2, 0, WEFT_CHAN_IN_PLACE, 24);
    CHECK_EQ(weft_chan_claim(words, &value), -EINVAL);
    CHECK_EQ(weft_chan_take(words, &value), -EINVAL);
    CHECK_EQ(weft_chan_publish(words, 0), -EINVAL);
    CHECK_EQ(weft_chan_give_back(words, 0), -EINVAL);
    CHECK_EQ(weft_chan_send(places, 1), -EINVAL);
    CHECK_EQ(weft_chan_recv(places, &value), -EINVAL);
    CHECK_EQ(weft_chan_claim(places, NULL), -EINVAL);
    CHECK_EQ(weft_chan_take(places, NULL), -EINVAL);
    weft_chan_release(words, 0);
    weft_chan_release(places, 0);
    CHECK_EQ(weft_chan_claim(places, &value), -EBADF);
    CHECK_EQ(weft_chan_take(places, &value), -EBADF);
    CHECK_EQ(weft_chan_publish(places, 0), -EBADF);
    CHECK_EQ(weft_chan_give_back(places, 0), -EBADF);
}

TEST(records_are_written_and_read_where_they_lie)
{
    static const uint32_t singles[] = {0, WEFT_CHAN_SENDER, WEFT_CHAN_RECEIVER, both};
    for (int i = 0; i < 4; i++) {
        weft_chan_t chan = declared(2, singles[i], WEFT_CHAN_IN_PLACE, 40);
        struct weft_ring *ring = weft_chan_ring(chan);
        uint64_t position;
        for (int round = 0; round < 50; round++) {
            for (int k = 0; k < 2; k++) {
                REQUIRE_EQ(weft_chan_try_claim(chan, &position), 0);
                memset(weft_ring_place(ring, position), 10 * round + k, 40);
                REQUIRE_EQ(weft_chan_publish(chan, position), 0);
            }
            REQUIRE_EQ(weft_chan_try_claim(chan, &position), -EAGAIN);
            CHECK_EQ(weft_chan_claim_until(chan, &position, check_now_ns() + 1), -ETIMEDOUT);
            for (int k = 0; k < 2; k++) {
                REQUIRE_EQ(weft_chan_try_take(chan, &position), 0);
                for (int byte = 0; byte < 40; byte++)
                    REQUIRE_EQ(((unsigned char *)weft_ring_place(ring, position))[byte], (unsigned char)(10 * round + k));
                REQUIRE_EQ(weft_chan_give_back(chan, position), 0);
            }
            REQUIRE_EQ(weft_chan_try_take(chan, &position), -EAGAIN);
            CHECK_EQ(weft_chan_take_until(chan, &position, check_now_ns() + 1), -ETIMEDOUT);
        }
        REQUIRE_EQ(weft_chan_close(chan), 0);
        CHECK_EQ(weft_chan_try_claim(chan, &position), -EPIPE);
        CHECK_EQ(weft_chan_take(chan, &position), -EPIPE);
        weft_ring_release(ring);
        weft_chan_release(chan, 0);
    }
}

TEST(a_claim_made_before_the_close_counts_if_others_could_have_seen_it)
{
    uint64_t position;
    weft_chan_t many = declared(2, 0, WEFT_CHAN_IN_PLACE, 8), pair = declared(2, both, WEFT_CHAN_IN_PLACE, 8);
    REQUIRE_EQ(weft_chan_claim(many, &position), 0);
    REQUIRE_EQ(weft_chan_close(many), 0);
    CHECK_EQ(weft_chan_try_take(many, &position), -EAGAIN); /* it is on its way */
    CHECK_EQ(weft_chan_publish(many, 0), 0);
    CHECK_EQ(weft_chan_take(many, &position), 0);
    CHECK_EQ(weft_chan_give_back(many, position), 0);
    CHECK_EQ(weft_chan_take(many, &position), -EPIPE);
    REQUIRE_EQ(weft_chan_claim(pair, &position), 0);
    REQUIRE_EQ(weft_chan_close(pair), 0);
    CHECK_EQ(weft_chan_publish(pair, position), -EPIPE);
    CHECK_EQ(weft_chan_take(pair, &position), -EPIPE);
    weft_chan_release(many, 0);
    weft_chan_release(pair, 0);
}

TEST(the_halves_for_bindings_do_what_the_plain_ones_do)
{
    weft_kthd_t kthd = kthd_new();
    weft_chan_t chan = declared(1, 0, WEFT_CHAN_IN_PLACE, 8);
    struct weft_op op;
    REQUIRE_EQ(weft_chan_claim_start(chan, NULL, 0), -EINVAL);
    REQUIRE_EQ(weft_chan_claim_start(chan, &op, 0), 0);
    CHECK_EQ(op.value, 0);
    REQUIRE_EQ(weft_chan_take_start(chan, &op, 0), -EINPROGRESS);
    REQUIRE_EQ(weft_chan_publish(chan, 0), 0);
    REQUIRE_EQ(weft_op_wait(&op, WEFT_FOREVER), 0);
    CHECK_EQ(op.value, 0);
    REQUIRE_EQ(weft_chan_claim_start(chan, &op, 0), 0); /* two cells for the one message */
    CHECK_EQ(op.value, 1);
    struct weft_op later;
    REQUIRE_EQ(weft_chan_claim_start(chan, &later, 0), -EINPROGRESS);
    REQUIRE_EQ(weft_chan_give_back(chan, 0), 0);
    REQUIRE_EQ(weft_chan_publish(chan, 1), 0);
    REQUIRE_EQ(weft_op_poll(&later), -EINPROGRESS);
    REQUIRE_EQ(weft_chan_take_start(chan, &op, 0), 0);
    CHECK_EQ(op.value, 1);
    REQUIRE_EQ(weft_chan_give_back(chan, 1), 0);
    REQUIRE_EQ(weft_op_wait(&later, WEFT_FOREVER), 0);
    CHECK_EQ(later.value, 2);
    weft_chan_release(chan, 0);

    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    struct weft_self *self = weft_abi_self();
    chan = declared(1, 0, WEFT_CHAN_IN_PLACE, 8);
    REQUIRE_EQ(weft_chan_claim_as(self, chan, WEFT_FOREVER), 0);
    CHECK_EQ(self->value, 0);
    CHECK_EQ(weft_chan_claim_as(self, chan, check_now_ns() + 1000000), -ETIMEDOUT);
    REQUIRE_EQ(weft_chan_publish(chan, 0), 0);
    REQUIRE_EQ(weft_chan_take_as(self, chan, WEFT_FOREVER), 0);
    CHECK_EQ(self->value, 0);
    CHECK_EQ(weft_chan_take_as(self, chan, check_now_ns() + 1000000), -ETIMEDOUT);
    weft_chan_release(chan, 0);
    CHECK_EQ(weft_chan_claim_as(self, chan, WEFT_FOREVER), -EBADF);
    CHECK_EQ(weft_chan_take_as(self, chan, WEFT_FOREVER), -EBADF);
    REQUIRE_EQ(weft_lwt_leave(), 0);
    kthd_end(kthd);
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

enum { batch = 100 };

static void send_a_batch(void *arg)
{
    uint64_t values[batch];
    uint32_t sent = 0;
    for (uint64_t i = 0; i < batch; i++)
        values[i] = i;
    REQUIRE_EQ(weft_chan_send_all(*(weft_chan_t *)arg, values, batch, &sent), 0);
    REQUIRE_EQ(sent, batch);
}

CONTRACT(a_batch_waits_where_it_must_and_arrives_in_order)
{
    static const uint32_t capacities[] = {0, 1, 7, 64, 1000};
    for (int i = 0; i < 5; i++) {
        weft_chan_t chan = chan_new(capacities[i]);
        uint64_t values[30], next = 0;
        struct actor *actor = scene_spawn(scene, send_a_batch, &chan);
        while (next < batch) {
            uint64_t value;
            REQUIRE_EQ(weft_chan_recv(chan, &value), 0);
            REQUIRE_EQ(value, next++);
            int n = weft_chan_drain(chan, values, 30);
            REQUIRE(n >= 0 && n <= 30);
            for (int k = 0; k < n; k++)
                REQUIRE_EQ(values[k], next++);
        }
        scene_join(actor);
        CHECK_EQ(weft_chan_drain(chan, values, 30), 0);
        weft_chan_close(chan);
        CHECK_EQ(weft_chan_drain(chan, values, 30), -EPIPE);
        chan_end(chan);
        CHECK_EQ(weft_chan_drain(chan, values, 30), -EBADF);
    }
}

TEST(a_batch_says_how_much_of_it_was_sent)
{
    uint64_t values[3] = {1, 2, 3};
    uint32_t sent = 77;
    weft_chan_t chan = chan_new(5), places = declared(2, 0, WEFT_CHAN_IN_PLACE, 8);
    CHECK_EQ(weft_chan_send_all(chan, NULL, 1, &sent), -EINVAL);
    CHECK_EQ(sent, 0);
    CHECK_EQ(weft_chan_send_all(chan, NULL, 0, &sent), 0);
    CHECK_EQ(weft_chan_send_all(chan, values, 3, NULL), 0);
    CHECK_EQ(weft_chan_drain(chan, NULL, 1), -EINVAL);
    CHECK_EQ(weft_chan_drain(chan, values, 0), 0);
    CHECK_EQ(weft_chan_drain(chan, values, 2), 2);
    CHECK_EQ(weft_chan_send_all(places, values, 3, &sent), -EINVAL);
    CHECK_EQ(sent, 0);
    CHECK_EQ(weft_chan_drain(places, values, 3), -EINVAL);
    weft_chan_close(chan);
    CHECK_EQ(weft_chan_send_all(chan, values, 3, &sent), -EPIPE);
    CHECK_EQ(sent, 0);
    weft_chan_release(chan, 0);
    weft_chan_release(places, 0);
    CHECK_EQ(weft_chan_send_all(chan, values, 3, &sent), -EBADF);
}

/* ---- from the bias to the open ring ------------------------------------------------------------------------------ */

struct shift {
    weft_chan_t chan;
    uint64_t through, left; /* words sent and received before, words left in it */
};

static void *pass_some(void *arg)
{
    struct shift *shift = arg;
    uint64_t value, next = 0;
    for (uint64_t i = 0; i < shift->through; i++) {
        REQUIRE_EQ(weft_chan_send(shift->chan, next++), 0);
        REQUIRE_EQ(weft_chan_recv(shift->chan, &value), 0);
        REQUIRE_EQ(value, i);
    }
    for (uint64_t i = 0; i < shift->left; i++)
        REQUIRE_EQ(weft_chan_send(shift->chan, next++), 0);
    struct weft_chan_info info;
    weft_chan_info(shift->chan, &info);
    CHECK_EQ(info.biased, 1);
    return NULL;
}

TEST(a_ring_that_opens_holds_what_its_owner_left)
{
    weft_kthd_t kthd = kthd_new();
    for (uint32_t capacity = 1; capacity <= 9; capacity++)
        for (uint64_t through = 0; through < 20; through++)
            for (uint64_t left = 0; left <= capacity; left++) {
                struct shift shift = {chan_new(capacity), through, left};
                uint64_t value, next = through;
                lwt_run(kthd, pass_some, &shift);
                struct quick quick = quick_of(shift.chan); /* from a plain thread: it opens */
                CHECK_EQ(quick.ring->attention & WEFT_RING_BIASED, 0);
                for (uint64_t more = left; more < capacity; more++)
                    REQUIRE_EQ(quick_send(&quick, through + more), 0);
                REQUIRE_EQ(weft_chan_try_send(shift.chan, 0), -EAGAIN);
                for (uint64_t i = 0; i < capacity; i++) {
                    REQUIRE_EQ(i % 2 ? quick_receive(&quick, &value) : weft_chan_recv(shift.chan, &value), 0);
                    REQUIRE_EQ(value, next++);
                }
                REQUIRE_EQ(weft_chan_try_recv(shift.chan, &value), -EAGAIN);
                weft_ring_release(quick.ring);
                weft_chan_release(shift.chan, 0);
            }
    kthd_end(kthd);
}

/* ---- traffic ----------------------------------------------------------------------------------------------------- */

enum { most_ends = 3 };

struct traffic {
    struct quick quick;
    uint64_t each;                          /* messages of a sender */
    bool closes;                            /* somebody closes in the middle */
    atomic_ullong sent[most_ends];          /* by sender, with success */
    atomic_ullong received[most_ends];      /* by sender, whoever received */
    atomic_int out_of_order, senders_left;
};

struct end {
    struct traffic *traffic;
    unsigned index;
    int style; /* 0: the binding's, 1: the library's, 2: now this, now that */
};

static bool end_is_quick(const struct end *end, uint64_t i) { return end->style == 0 || (end->style == 2 && i % 3); }

static void send_all(void *arg)
{
    struct end *end = arg;
    struct traffic *traffic = end->traffic;
    for (uint64_t i = 0; i < traffic->each; i++) {
        uint64_t value = (uint64_t)end->index << 32 | i;
        int r = end_is_quick(end, i) ? quick_send(&traffic->quick, value) : weft_chan_send(traffic->quick.chan, value);
        if (r == -EPIPE && traffic->closes)
            break;
        REQUIRE_EQ(r, 0);
        atomic_fetch_add(&traffic->sent[end->index], 1);
    }
    if (atomic_fetch_sub(&traffic->senders_left, 1) == 1)
        weft_chan_close(traffic->quick.chan);
}

static void receive_all(void *arg)
{
    struct end *end = arg;
    struct traffic *traffic = end->traffic;
    int64_t last[most_ends] = {-1, -1, -1};
    for (uint64_t i = 0;; i++) {
        uint64_t value;
        int r = end_is_quick(end, i) ? quick_receive(&traffic->quick, &value)
                                     : weft_chan_recv(traffic->quick.chan, &value);
        if (r == -EPIPE)
            break;
        REQUIRE_EQ(r, 0);
        uint64_t sender = value >> 32;
        REQUIRE(sender < most_ends);
        if ((int64_t)(uint32_t)value <= last[sender])
            atomic_fetch_add(&traffic->out_of_order, 1);
        last[sender] = (int64_t)(uint32_t)value;
        atomic_fetch_add(&traffic->received[sender], 1);
    }
}

static void run_traffic(struct scene *scene, uint32_t capacity, uint32_t single, int style, bool closes)
{
    unsigned senders = single & WEFT_CHAN_SENDER ? 1 : most_ends, receivers = single & WEFT_CHAN_RECEIVER ? 1 : most_ends;
    struct traffic traffic = {quick_of(declared(capacity, single, WEFT_CHAN_SHARED, 0)),
                              (uint64_t)check_scale(3000), closes, {0}, {0}, 0, (int)senders};
    struct end ends[2 * most_ends];
    struct actor *actors[2 * most_ends];
    unsigned n = 0;
    for (unsigned i = 0; i < receivers; i++, n++) {
        ends[n] = (struct end){&traffic, i, style};
        actors[n] = scene_spawn(scene, receive_all, &ends[n]);
    }
    for (unsigned i = 0; i < senders; i++, n++) {
        ends[n] = (struct end){&traffic, i, style};
        actors[n] = scene_spawn(scene, send_all, &ends[n]);
    }
    if (closes) {
        SCENE_AWAIT(atomic_load(&traffic.received[0]) > traffic.each / 4 || !atomic_load(&traffic.senders_left));
        CHECK_EQ(weft_chan_close(traffic.quick.chan), 0);
    }
    for (unsigned i = 0; i < n; i++)
        scene_join(actors[i]);
    for (unsigned i = 0; i < senders; i++) {
        CHECK_EQ(atomic_load(&traffic.sent[i]), atomic_load(&traffic.received[i]));
        CHECK(closes || atomic_load(&traffic.sent[i]) == traffic.each);
    }
    CHECK_EQ(atomic_load(&traffic.out_of_order), 0);
    weft_ring_release(traffic.quick.ring);
    weft_chan_release(traffic.quick.chan, 0);
}

static void traffic_over_all_forms(struct scene *scene, bool closes)
{
    static const uint32_t capacities[] = {1, 2, 3, 64}, singles[] = {0, WEFT_CHAN_SENDER, WEFT_CHAN_RECEIVER, both};
    for (int s = 0; s < 4; s++)
        for (int c = 0; c < 4; c++)
            for (int style = 0; style < 3; style++)
                run_traffic(scene, capacities[c], singles[s], style, closes);
}

CONTRACT_LIMIT(every_message_is_received_once_and_in_order_over_all_forms, 120) { traffic_over_all_forms(scene, false); }

CONTRACT_LIMIT(what_was_sent_before_a_close_is_received_and_what_was_refused_is_not, 120)
{
    traffic_over_all_forms(scene, true);
}

struct sprint {
    struct quick quick;
    atomic_int running;
    uint64_t sent;
};

static void send_until_closed(void *arg)
{
    struct sprint *sprint = arg;
    int r = 0;
    atomic_store(&sprint->running, 1);
    for (; !r; sprint->sent += !r)
        r = quick_send(&sprint->quick, sprint->sent);
    CHECK_EQ(r, -EPIPE);
}

TEST_LIMIT(a_send_that_raced_a_close_was_sent_or_was_not, 60)
{
    static const uint32_t singles[] = {0, WEFT_CHAN_SENDER, both};
    struct actor *actor;
    struct scene here = {.topology = topology_plain};
    for (long round = 0; round < check_scale(1500); round++) {
        struct sprint sprint = {quick_of(declared(4096, singles[round % 3], WEFT_CHAN_SHARED, 0)), 0, 0};
        uint64_t value, received = 0;
        actor = scene_spawn(&here, send_until_closed, &sprint);
        AWAIT(atomic_load(&sprint.running));
        for (long spin = round * 7 % 300; spin; spin--)
            __asm__ volatile("pause");
        REQUIRE_EQ(weft_chan_close(sprint.quick.chan), 0);
        while (quick_receive(&sprint.quick, &value) == 0)
            REQUIRE_EQ(value, received++);
        scene_join(actor);
        REQUIRE_EQ(sprint.sent, received);
        weft_ring_release(sprint.quick.ring);
        weft_chan_release(sprint.quick.chan, 0);
    }
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

struct grouped {
    struct quick quicks[4];
    weft_cgrp_t cgrp;
    uint64_t each;
};

static void send_into_group(void *arg)
{
    struct grouped *grouped = arg;
    for (uint64_t i = 0; i < grouped->each; i++)
        for (int c = 0; c < 4; c++)
            REQUIRE_EQ(quick_send(&grouped->quicks[c], i), 0);
}

CONTRACT(a_group_hears_of_messages_sent_without_the_library)
{
    struct grouped grouped = {.each = (uint64_t)check_scale(2000)};
    uint64_t next[4] = {0};
    REQUIRE_EQ(weft_cgrp_create(&grouped.cgrp), 0);
    for (uint64_t c = 0; c < 4; c++) {
        grouped.quicks[c] = quick_of(declared(2, c % 2 ? both : 0, WEFT_CHAN_SHARED, 0));
        REQUIRE_EQ(weft_cgrp_add(grouped.cgrp, grouped.quicks[c].chan, c), 0);
    }
    struct actor *sender = scene_spawn(scene, send_into_group, &grouped);
    for (uint64_t left = 4 * grouped.each; left;) {
        struct weft_event event;
        uint64_t value;
        REQUIRE_EQ(weft_cgrp_wait_until(grouped.cgrp, &event, scene_in_ms(10000)), 0);
        while (weft_chan_try_recv(event.chan, &value) == 0) {
            REQUIRE_EQ(value, next[event.mark]++);
            left--;
        }
    }
    scene_join(sender);
    for (int c = 0; c < 4; c++) {
        weft_ring_release(grouped.quicks[c].ring);
        weft_chan_release(grouped.quicks[c].chan, 0);
    }
    REQUIRE_EQ(weft_cgrp_free(grouped.cgrp), 0);
}
