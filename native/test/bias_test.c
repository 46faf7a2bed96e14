/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bias: a channel that one kthd used alone, at full traffic and without atomic operations, is suddenly used from
 * elsewhere. Counts must be exact, again and again, since a bias is taken away once in a channel's life: so thousands
 * of channels, and groups. The argument for it is in native/src/sched/bias.h, a checked model in models/bias.pml.
 */
#include "scene.h"

struct victim {
    weft_chan_t chan, go;
    uint32_t capacity;
    long rounds;
    atomic_long sent, received;
    _Atomic uint64_t sent_sum, received_sum;
    atomic_int local_rounds; /* how far the local traffic has come */
};

/* One lwt of the owner, both ends in turn: as tight as local traffic can be. */
static void *local_traffic(void *arg)
{
    struct victim *v = arg;
    uint64_t word, sent = 0, received = 0, sent_sum = 0, received_sum = 0;
    int r = 0;
    for (long i = 0;; i++) {
        atomic_store_explicit(&v->local_rounds, (int)i, memory_order_relaxed);
        r = weft_chan_try_send(v->chan, (uint64_t)i);
        if (r == 0) {
            sent++;
            sent_sum += (uint64_t)i;
        } else if (r == -EPIPE) {
            break;
        }
        r = weft_chan_try_recv(v->chan, &word);
        if (r == 0) {
            received++;
            received_sum += word;
        } else if (r == -EPIPE) {
            break;
        }
        if (i % 64 == 0)
            weft_lwt_yield();
    }
    while (weft_chan_try_recv(v->chan, &word) == 0) {
        received++;
        received_sum += word;
    }
    atomic_fetch_add(&v->sent, (long)sent);
    atomic_fetch_add(&v->received, (long)received);
    atomic_fetch_add(&v->sent_sum, sent_sum);
    atomic_fetch_add(&v->received_sum, received_sum);
    return NULL;
}

static void intrude(struct victim *v, long rounds)
{
    uint64_t word, sent = 0, received = 0, sent_sum = 0, received_sum = 0;
    for (long i = 0; i < rounds; i++) {
        uint64_t mine = (uint64_t)i + 1000000;
        if (weft_chan_try_send(v->chan, mine) == 0) {
            sent++;
            sent_sum += mine;
        }
        if (weft_chan_try_recv(v->chan, &word) == 0) {
            received++;
            received_sum += word;
        }
    }
    atomic_fetch_add(&v->sent, (long)sent);
    atomic_fetch_add(&v->received, (long)received);
    atomic_fetch_add(&v->sent_sum, sent_sum);
    atomic_fetch_add(&v->received_sum, received_sum);
}

static void *intrude_lwt(void *arg)
{
    struct victim *v = arg;
    intrude(v, v->rounds);
    return NULL;
}

static const char *const intruder_words[] = {"a plain thread", "another kthd", "both", NULL};

TEST_OVER(traffic_stays_exact_when_a_stranger_breaks_in, intruder_words)
{
    weft_kthd_t owner = kthd_new(), other = kthd_new();
    struct check_random random = check_random_from(check_seed());
    long rounds = check_scale(500), revoked_in_traffic = 0;
    for (long i = 0; i < rounds; i++) {
        struct victim v = {.capacity = check_random_below(&random, 5), .rounds = 50};
        v.chan = chan_new(v.capacity);
        weft_lwt_t local[2], remote = {0};
        for (int j = 0; j < 2; j++)
            local[j] = lwt_new(owner, local_traffic, &v);
        int wait_for = (int)check_random_below(&random, 200);
        int64_t end = check_now_ns() + 5000000000;
        while (atomic_load_explicit(&v.local_rounds, memory_order_relaxed) < wait_for)
            REQUIRE(check_now_ns() < end);
        revoked_in_traffic += wait_for > 0;
        if (check_variant > 0)
            remote = lwt_new(other, intrude_lwt, &v);
        if (check_variant != 1)
            intrude(&v, v.rounds);
        if (remote.id)
            lwt_result(remote);
        REQUIRE_EQ(weft_chan_close(v.chan), 0);
        for (int j = 0; j < 2; j++)
            lwt_result(local[j]);
        uint64_t word;
        while (weft_chan_try_recv(v.chan, &word) == 0) {
            atomic_fetch_add(&v.received, 1);
            atomic_fetch_add(&v.received_sum, word);
        }
        REQUIRE_EQ(atomic_load(&v.sent), atomic_load(&v.received));
        REQUIRE_EQ(atomic_load(&v.sent_sum), atomic_load(&v.received_sum));
        REQUIRE_EQ(chan_info(v.chan).biased, 0);
        chan_end(v.chan);
    }
    check_say("    %ld of %ld biases taken away in the middle of traffic\n", revoked_in_traffic, rounds);
    kthd_end(owner);
    kthd_end(other);
}

/* A rendezvous pair of the owner hands over words at full speed; then the other end moves elsewhere. */
struct hand_over {
    weft_chan_t chan;
    weft_kthd_t to;
    uint64_t words, move_at;
};

static void *produce(void *arg)
{
    struct hand_over *h = arg;
    for (uint64_t i = 0; i < h->words; i++)
        chan_give(h->chan, i);
    return NULL;
}

static void *consume_and_move(void *arg)
{
    struct hand_over *h = arg;
    for (uint64_t i = 0; i < h->words; i++) {
        if (i == h->move_at)
            REQUIRE_EQ(weft_lwt_migrate(h->to), 0);
        REQUIRE_EQ(chan_take(h->chan), i);
    }
    return NULL;
}

TEST(a_pair_stays_in_step_when_one_of_it_migrates_in_the_middle)
{
    weft_kthd_t owner = kthd_new(), other = kthd_new();
    struct check_random random = check_random_from(check_seed());
    for (long i = 0; i < check_scale(500); i++) {
        struct hand_over h = {.to = other, .words = 60, .move_at = check_random_below(&random, 60)};
        h.chan = chan_new(check_random_below(&random, 3));
        weft_lwt_t a = lwt_new(owner, produce, &h), b = lwt_new(owner, consume_and_move, &h);
        lwt_result(a);
        lwt_result(b);
        REQUIRE_EQ(chan_info(h.chan).length, 0);
        chan_end(h.chan);
    }
    kthd_end(owner);
    kthd_end(other);
}

/* Many channels of one owner, taken away one after the other while he goes on with all of them. */
enum { many = 3000 };

struct field {
    weft_chan_t chans[many];
    atomic_long counted[many]; /* what the owner put in, less what he took out */
    atomic_int stop, round;
};

static void *tend(void *arg)
{
    struct field *field = arg;
    uint64_t word;
    while (!atomic_load(&field->stop)) {
        for (int i = 0; i < many; i++) {
            if (weft_chan_try_send(field->chans[i], 1) == 0)
                atomic_fetch_add_explicit(&field->counted[i], 1, memory_order_relaxed);
            if (i % 3 == 0 && weft_chan_try_recv(field->chans[i], &word) == 0)
                atomic_fetch_sub_explicit(&field->counted[i], 1, memory_order_relaxed);
        }
        atomic_fetch_add(&field->round, 1);
        weft_lwt_yield();
    }
    return NULL;
}

TEST(thousands_of_channels_are_taken_away_from_a_busy_owner)
{
    static struct field field;
    static long taken[many];
    weft_kthd_t owner = kthd_new();
    for (int i = 0; i < many; i++)
        field.chans[i] = chan_new(4);
    weft_lwt_t lwt = lwt_new(owner, tend, &field);
    AWAIT(atomic_load(&field.round) > 3);
    for (int i = 0; i < many; i++) {
        uint64_t word;
        while (taken[i] < 10 && weft_chan_try_recv(field.chans[i], &word) == 0)
            taken[i]++;
        REQUIRE_EQ(chan_info(field.chans[i]).biased, 0);
    }
    atomic_store(&field.stop, 1);
    lwt_result(lwt);
    for (int i = 0; i < many; i++) {
        uint64_t word;
        long left = 0;
        while (weft_chan_try_recv(field.chans[i], &word) == 0)
            left++;
        REQUIRE_EQ(atomic_load(&field.counted[i]), taken[i] + left);
        chan_end(field.chans[i]);
    }
    kthd_end(owner);
}

/* The same for groups: announcements of the owner's channels, waited for by a stranger. */
struct multiplex {
    weft_chan_t chan;
    weft_cgrp_t cgrp;
    long count;
};

static void *feed(void *arg)
{
    struct multiplex *m = arg;
    for (long i = 0; i < m->count; i++)
        chan_give(m->chan, (uint64_t)i);
    return NULL;
}

TEST(a_group_of_the_owners_is_waited_for_by_a_stranger)
{
    weft_kthd_t owner = kthd_new();
    struct check_random random = check_random_from(check_seed());
    for (long i = 0; i < check_scale(1000); i++) {
        struct multiplex m = {.count = 30};
        struct weft_event event;
        uint64_t word;
        REQUIRE_EQ(weft_cgrp_create(&m.cgrp), 0);
        m.chan = chan_new(check_random_below(&random, 4));
        REQUIRE_EQ(weft_cgrp_add(m.cgrp, m.chan, 7), 0);
        weft_lwt_t lwt = lwt_new(owner, feed, &m);
        for (uint32_t j = check_random_below(&random, 300); j > 0; j--)
            __asm__ volatile("pause");
        for (long j = 0; j < m.count; j++) {
            REQUIRE_EQ(weft_cgrp_wait_until(m.cgrp, &event, scene_in_ms(10000)), 0);
            REQUIRE_EQ(event.mark, 7);
            REQUIRE_EQ(weft_chan_try_recv(event.chan, &word), 0);
            REQUIRE_EQ(word, j);
        }
        lwt_result(lwt);
        REQUIRE_EQ(weft_cgrp_free(m.cgrp), 0);
        chan_end(m.chan);
    }
    kthd_end(owner);
}

/* Creation on one side, first use on another, release on a third: a slot's next life starts unclaimed. */
static void *use_and_release(void *arg)
{
    weft_chan_t *chan = arg;
    uint64_t word;
    for (int i = 0; i < 3; i++) {
        REQUIRE_EQ(weft_chan_try_send(*chan, 5), 0);
        REQUIRE_EQ(weft_chan_try_recv(*chan, &word), 0);
    }
    REQUIRE_EQ(chan_info(*chan).biased, 1);
    chan_end(*chan);
    return NULL;
}

TEST(a_slots_next_channel_is_biased_anew)
{
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    for (int i = 0; i < check_scale(2000); i++) {
        weft_chan_t chan = chan_new(1);
        lwt_run(kthds[i % 2], use_and_release, &chan);
        REQUIRE_EQ(weft_chan_try_send(chan, 1), -EBADF);
    }
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
}

static void *claim_and_end(void *arg)
{
    REQUIRE_EQ(weft_chan_try_send(*(weft_chan_t *)arg, 5), 0);
    return NULL;
}

TEST(a_channel_outlives_the_kthd_it_was_biased_to)
{
    for (int i = 0; i < check_scale(200); i++) {
        weft_kthd_t kthd = kthd_new();
        weft_chan_t chan = chan_new(2);
        lwt_run(kthd, claim_and_end, &chan);
        kthd_end(kthd);
        kthd = kthd_new(); /* most likely the same slot: it must not take itself for the owner without right */
        lwt_run(kthd, claim_and_end, &chan);
        CHECK_EQ(chan_take(chan), 5);
        CHECK_EQ(chan_take(chan), 5);
        chan_end(chan);
        kthd_end(kthd);
    }
}
