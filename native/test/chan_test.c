/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chan: one contract suite over all topologies (scene.h): capacities, blocking and not blocking, order, closing and
 * draining, references and counted ends, deadlines, interrupts, chains. After Go's channel corpus and the cases of
 * crossbeam-channel, written anew. How a bias is taken away under load is in bias_test.c.
 */
#include "scene.h"

/* ---- what needs no partner --------------------------------------------------------------------------------------- */

CONTRACT(a_new_channel_is_empty_open_and_held_once)
{
    static const uint32_t capacities[] = {0, 1, 2, 3, 7, 64, 1000, WEFT_CHAN_MAX_CAPACITY};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        weft_chan_t chan = chan_new(capacities[i]);
        struct weft_chan_info info;
        memset(&info, 0xa5, sizeof info);
        CHECK_EQ(weft_chan_info(chan, &info), 0);
        CHECK_EQ(info.capacity, capacities[i]);
        CHECK_EQ(info.length, 0);
        CHECK_EQ(info.sending, 0);
        CHECK_EQ(info.receiving, 0);
        CHECK_EQ(info.refs, 1);
        CHECK_EQ(info.senders, 0);
        CHECK_EQ(info.receivers, 0);
        CHECK_EQ(info.closed, 0);
        chan_end(chan);
        CHECK_EQ(weft_chan_info(chan, &info), -EBADF);
    }
}

CONTRACT(create_refuses_a_capacity_beyond_the_limit)
{
    weft_chan_t chan = {77};
    CHECK_EQ(weft_chan_create(&chan, WEFT_CHAN_MAX_CAPACITY + 1), -EINVAL);
    CHECK_EQ(weft_chan_create(&chan, UINT32_MAX), -EINVAL);
    CHECK_EQ(chan.id, 77);
}

CONTRACT_LIMIT(a_buffer_of_every_capacity_to_199_holds_exactly_that_many, 60)
{
    for (uint32_t capacity = 0; capacity < 200; capacity++) {
        weft_chan_t chan = chan_new(capacity);
        uint64_t value = 77;
        CHECK_EQ(weft_chan_try_recv(chan, &value), -EAGAIN);
        CHECK_EQ(value, 77);
        for (uint32_t round = 0; round < 3; round++) { /* the ring wraps */
            for (uint32_t i = 0; i < capacity; i++)
                REQUIRE_EQ(weft_chan_try_send(chan, round * 1000 + i), 0);
            REQUIRE_EQ(weft_chan_try_send(chan, 1), -EAGAIN);
            REQUIRE_EQ(weft_chan_send_until(chan, 1, 0), -ETIMEDOUT);
            REQUIRE_EQ(chan_info(chan).length, capacity);
            for (uint32_t i = 0; i < capacity; i++) {
                REQUIRE_EQ(weft_chan_try_recv(chan, &value), 0);
                REQUIRE_EQ(value, round * 1000 + i);
            }
            REQUIRE_EQ(weft_chan_try_recv(chan, &value), -EAGAIN);
            REQUIRE_EQ(weft_chan_recv_until(chan, &value, 0), -ETIMEDOUT);
        }
        chan_end(chan);
    }
}

CONTRACT(the_largest_buffer_is_really_that_large)
{
    weft_chan_t chan = chan_new(WEFT_CHAN_MAX_CAPACITY);
    uint64_t value;
    for (uint32_t i = 0; i < WEFT_CHAN_MAX_CAPACITY; i++)
        if (weft_chan_try_send(chan, i) != 0)
            REQUIRE_EQ(i, WEFT_CHAN_MAX_CAPACITY);
    CHECK_EQ(weft_chan_try_send(chan, 0), -EAGAIN);
    for (uint32_t i = 0; i < WEFT_CHAN_MAX_CAPACITY; i++)
        if (weft_chan_try_recv(chan, &value) != 0 || value != i)
            REQUIRE_EQ(value, i);
    chan_end(chan);
}

CONTRACT(any_word_is_a_word)
{
    static const uint64_t words[] = {0, 1, UINT64_MAX, 1ull << 63, INT64_MAX, 0xdeadbeefdeadbeef, (uint64_t)-EPIPE};
    weft_chan_t chan = chan_new(8);
    for (size_t i = 0; i < 7; i++)
        chan_give(chan, words[i]);
    for (size_t i = 0; i < 7; i++)
        CHECK_EQ(chan_take(chan), words[i]);
    chan_end(chan);
}

CONTRACT(there_is_no_rendezvous_with_oneself)
{
    weft_chan_t chan = chan_new(0);
    uint64_t value;
    CHECK_EQ(weft_chan_try_send(chan, 1), -EAGAIN);
    CHECK_EQ(weft_chan_try_recv(chan, &value), -EAGAIN);
    CHECK_EQ(weft_chan_send_until(chan, 1, scene_in_ms(3)), -ETIMEDOUT);
    CHECK_EQ(weft_chan_recv_until(chan, &value, scene_in_ms(3)), -ETIMEDOUT);
    CHECK_EQ(chan_info(chan).sending + chan_info(chan).receiving, 0);
    chan_end(chan);
}

CONTRACT(receive_refuses_no_place_for_the_word)
{
    weft_chan_t chan = chan_new(1);
    chan_give(chan, 5);
    CHECK_EQ(weft_chan_recv(chan, NULL), -EINVAL);
    CHECK_EQ(weft_chan_try_recv(chan, NULL), -EINVAL);
    CHECK_EQ(weft_chan_recv_until(chan, NULL, 0), -EINVAL);
    CHECK_EQ(chan_take(chan), 5);
    chan_end(chan);
}

CONTRACT(a_mark_travels_with_the_channel)
{
    weft_chan_t chan = chan_new(0);
    uint64_t mark = 77;
    CHECK_EQ(weft_chan_mark_get(chan, &mark), 0);
    CHECK_EQ(mark, 0);
    CHECK_EQ(weft_chan_mark_set(chan, UINT64_MAX - 4), 0);
    CHECK_EQ(weft_chan_mark_get(chan, &mark), 0);
    CHECK_EQ(mark, UINT64_MAX - 4);
    CHECK_EQ(weft_chan_mark_get(chan, NULL), -EINVAL);
    chan_end(chan);
    CHECK_EQ(weft_chan_mark_get(chan, &mark), -EBADF);
    CHECK_EQ(weft_chan_mark_set(chan, 1), -EBADF);
    chan = chan_new(0); /* most likely the same slot */
    CHECK_EQ(weft_chan_mark_get(chan, &mark), 0);
    CHECK_EQ(mark, 0);
    chan_end(chan);
}

CONTRACT(a_freed_channel_is_ebadf_everywhere)
{
    weft_chan_t chan = chan_new(3);
    uint64_t value;
    chan_end(chan);
    CHECK_EQ(weft_chan_send(chan, 1), -EBADF);
    CHECK_EQ(weft_chan_send_until(chan, 1, 0), -EBADF);
    CHECK_EQ(weft_chan_try_send(chan, 1), -EBADF);
    CHECK_EQ(weft_chan_recv(chan, &value), -EBADF);
    CHECK_EQ(weft_chan_recv_until(chan, &value, 0), -EBADF);
    CHECK_EQ(weft_chan_try_recv(chan, &value), -EBADF);
    CHECK_EQ(weft_chan_close(chan), -EBADF);
    CHECK_EQ(weft_chan_retain(chan, 0), -EBADF);
    CHECK_EQ(weft_chan_release(chan, 0), -EBADF);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

struct part {
    struct scene *scene;
    weft_chan_t chan, other;
    uint64_t value;
    int64_t deadline;
    long count;
    int result;
    int index;
    _Atomic uint64_t lwt;
    atomic_int done;
    void *more;
};

static void do_send(void *arg)
{
    struct part *part = arg;
    atomic_store(&part->lwt, weft_lwt_current().id);
    part->result = weft_chan_send(part->chan, part->value);
    atomic_store(&part->done, 1);
}

static void do_recv(void *arg)
{
    struct part *part = arg;
    atomic_store(&part->lwt, weft_lwt_current().id);
    part->result = weft_chan_recv(part->chan, &part->value);
    atomic_store(&part->done, 1);
}

CONTRACT(a_rendezvous_send_waits_for_its_receiver)
{
    struct part part = {.chan = chan_new(0), .value = 9};
    struct actor *sender = scene_spawn(scene, do_send, &part);
    SCENE_AWAIT(chan_info(part.chan).sending == 1);
    CHECK_EQ(atomic_load(&part.done), 0);
    CHECK_EQ(chan_info(part.chan).length, 0);
    CHECK_EQ(chan_take(part.chan), 9);
    scene_join(sender);
    CHECK_EQ(part.result, 0);
    CHECK_EQ(chan_info(part.chan).sending, 0);
    chan_end(part.chan);
}

CONTRACT(a_try_receive_takes_from_a_waiting_sender)
{
    struct part part = {.chan = chan_new(0), .value = 9};
    struct actor *sender = scene_spawn(scene, do_send, &part);
    uint64_t value = 0;
    SCENE_AWAIT(chan_info(part.chan).sending == 1);
    CHECK_EQ(weft_chan_try_recv(part.chan, &value), 0);
    CHECK_EQ(value, 9);
    CHECK_EQ(weft_chan_try_recv(part.chan, &value), -EAGAIN);
    scene_join(sender);
    chan_end(part.chan);
}

CONTRACT(a_try_send_gives_to_a_waiting_receiver)
{
    struct part part = {.chan = chan_new(0)};
    struct actor *receiver = scene_spawn(scene, do_recv, &part);
    SCENE_AWAIT(chan_info(part.chan).receiving == 1);
    CHECK_EQ(weft_chan_try_send(part.chan, 10), 0);
    CHECK_EQ(weft_chan_try_send(part.chan, 11), -EAGAIN);
    scene_join(receiver);
    CHECK_EQ(part.result, 0);
    CHECK_EQ(part.value, 10);
    chan_end(part.chan);
}

CONTRACT(a_receive_from_an_empty_channel_waits_whatever_the_capacity)
{
    static const uint32_t capacities[] = {0, 1, 2, 10, 199};
    for (int i = 0; i < 5; i++) {
        struct part part = {.chan = chan_new(capacities[i])};
        struct actor *receiver = scene_spawn(scene, do_recv, &part);
        SCENE_AWAIT(chan_info(part.chan).receiving == 1);
        CHECK_EQ(atomic_load(&part.done), 0);
        chan_give(part.chan, 12);
        scene_join(receiver);
        CHECK_EQ(part.result, 0);
        CHECK_EQ(part.value, 12);
        CHECK_EQ(chan_info(part.chan).length, 0);
        chan_end(part.chan);
    }
}

CONTRACT(a_send_to_a_full_channel_waits_whatever_the_capacity)
{
    static const uint32_t capacities[] = {0, 1, 2, 10, 199};
    for (int i = 0; i < 5; i++) {
        struct part part = {.chan = chan_new(capacities[i]), .value = 999};
        for (uint32_t j = 0; j < capacities[i]; j++)
            chan_give(part.chan, j);
        struct actor *sender = scene_spawn(scene, do_send, &part);
        SCENE_AWAIT(chan_info(part.chan).sending == 1);
        CHECK_EQ(atomic_load(&part.done), 0);
        CHECK_EQ(chan_info(part.chan).length, capacities[i]);
        for (uint32_t j = 0; j < capacities[i]; j++)
            CHECK_EQ(chan_take(part.chan), j);
        CHECK_EQ(chan_take(part.chan), 999);
        scene_join(sender);
        CHECK_EQ(part.result, 0);
        chan_end(part.chan);
    }
}

CONTRACT(waiting_senders_are_served_in_the_order_in_which_they_came)
{
    enum { count = 12 };
    static const uint32_t capacities[] = {0, 1, 3};
    for (int c = 0; c < 3; c++) {
        struct part parts[count];
        struct actor *senders[count];
        weft_chan_t chan = chan_new(capacities[c]);
        for (uint32_t j = 0; j < capacities[c]; j++)
            chan_give(chan, 1000);
        for (unsigned i = 0; i < count; i++) {
            parts[i] = (struct part){.chan = chan, .value = i};
            senders[i] = scene_spawn(scene, do_send, &parts[i]);
            SCENE_AWAIT(chan_info(chan).sending == i + 1);
        }
        for (uint32_t j = 0; j < capacities[c]; j++)
            CHECK_EQ(chan_take(chan), 1000);
        for (unsigned i = 0; i < count; i++)
            CHECK_EQ(chan_take(chan), i);
        for (int i = 0; i < count; i++)
            scene_join(senders[i]);
        chan_end(chan);
    }
}

CONTRACT(waiting_receivers_are_served_in_the_order_in_which_they_came)
{
    enum { count = 12 };
    static const uint32_t capacities[] = {0, 5};
    for (int c = 0; c < 2; c++) {
        struct part parts[count];
        struct actor *receivers[count];
        weft_chan_t chan = chan_new(capacities[c]);
        for (unsigned i = 0; i < count; i++) {
            parts[i] = (struct part){.chan = chan};
            receivers[i] = scene_spawn(scene, do_recv, &parts[i]);
            SCENE_AWAIT(chan_info(chan).receiving == i + 1);
        }
        for (unsigned i = 0; i < count; i++)
            chan_give(chan, 500 + i);
        for (unsigned i = 0; i < count; i++) {
            scene_join(receivers[i]);
            CHECK_EQ(parts[i].result, 0);
            CHECK_EQ(parts[i].value, 500 + i);
        }
        chan_end(chan);
    }
}

CONTRACT(nobody_overtakes_a_waiting_sender)
{
    /* a buffer with room again while a sender still waits: his word comes before that of a later try */
    struct part part = {.chan = chan_new(1), .value = 2};
    uint64_t value;
    chan_give(part.chan, 1);
    struct actor *sender = scene_spawn(scene, do_send, &part);
    SCENE_AWAIT(chan_info(part.chan).sending == 1);
    CHECK_EQ(chan_take(part.chan), 1);
    CHECK_EQ(weft_chan_try_send(part.chan, 3), -EAGAIN);
    CHECK_EQ(chan_take(part.chan), 2);
    CHECK_EQ(weft_chan_try_send(part.chan, 3), 0);
    CHECK_EQ(weft_chan_try_recv(part.chan, &value), 0);
    CHECK_EQ(value, 3);
    scene_join(sender);
    chan_end(part.chan);
}

/* ---- deadlines and interrupts ------------------------------------------------------------------------------------ */

CONTRACT(a_deadline_ends_a_wait_after_it_has_passed_and_not_before)
{
    static const uint32_t capacities[] = {0, 2};
    for (int i = 0; i < 2; i++) {
        weft_chan_t chan = chan_new(capacities[i]);
        uint64_t value = 77;
        int64_t deadline = scene_in_ms(10);
        CHECK_EQ(weft_chan_recv_until(chan, &value, deadline), -ETIMEDOUT);
        CHECK(check_now_ns() >= deadline);
        CHECK_EQ(value, 77);
        for (uint32_t j = 0; j < capacities[i]; j++)
            chan_give(chan, j);
        deadline = scene_in_ms(10);
        CHECK_EQ(weft_chan_send_until(chan, 5, deadline), -ETIMEDOUT);
        CHECK(check_now_ns() >= deadline);
        CHECK(check_now_ns() < deadline + 5000000000);
        CHECK_EQ(chan_info(chan).sending + chan_info(chan).receiving, 0);
        CHECK_EQ(chan_info(chan).length, capacities[i]);
        chan_end(chan);
    }
}

CONTRACT(what_can_be_done_at_once_is_done_even_after_the_deadline)
{
    weft_chan_t chan = chan_new(1);
    uint64_t value;
    CHECK_EQ(weft_chan_send_until(chan, 5, 0), 0);
    CHECK_EQ(weft_chan_send_until(chan, 6, INT64_MIN), -ETIMEDOUT);
    CHECK_EQ(weft_chan_recv_until(chan, &value, INT64_MIN), 0);
    CHECK_EQ(value, 5);
    CHECK_EQ(weft_chan_recv_until(chan, &value, -1), -ETIMEDOUT);
    chan_end(chan);
}

static void do_send_until(void *arg)
{
    struct part *part = arg;
    part->result = weft_chan_send_until(part->chan, part->value, part->deadline);
}

static void do_recv_until(void *arg)
{
    struct part *part = arg;
    part->result = weft_chan_recv_until(part->chan, &part->value, part->deadline);
}

CONTRACT(a_waiter_in_the_middle_times_out_and_the_order_of_the_others_stands)
{
    struct part parts[3];
    struct actor *senders[3];
    weft_chan_t chan = chan_new(0);
    for (unsigned i = 0; i < 3; i++) {
        parts[i] = (struct part){.chan = chan, .value = i, .deadline = i == 1 ? scene_in_ms(200) : WEFT_FOREVER};
        senders[i] = scene_spawn(scene, do_send_until, &parts[i]);
        SCENE_AWAIT(chan_info(chan).sending == i + 1);
    }
    SCENE_AWAIT(chan_info(chan).sending == 2);
    CHECK_EQ(chan_take(chan), 0);
    CHECK_EQ(chan_take(chan), 2);
    for (int i = 0; i < 3; i++)
        scene_join(senders[i]);
    CHECK_EQ(parts[0].result, 0);
    CHECK_EQ(parts[1].result, -ETIMEDOUT);
    CHECK_EQ(parts[2].result, 0);
    chan_end(chan);
}

CONTRACT(a_long_deadline_does_not_hurry)
{
    struct part part = {.chan = chan_new(0), .deadline = scene_in_ms(60000)};
    struct actor *receiver = scene_spawn(scene, do_recv_until, &part);
    SCENE_AWAIT(chan_info(part.chan).receiving == 1);
    chan_give(part.chan, 3);
    scene_join(receiver);
    CHECK_EQ(part.result, 0);
    CHECK_EQ(part.value, 3);
    chan_end(part.chan);
}

CONTRACT(an_interrupted_send_was_not_sent)
{
    struct part part = {.chan = chan_new(0), .value = 5};
    struct actor *sender = scene_spawn(scene, do_send, &part);
    SCENE_AWAIT(chan_info(part.chan).sending == 1);
    uint64_t id = atomic_load(&part.lwt), value;
    if (id) {
        CHECK_EQ(weft_lwt_interrupt(lwt_of(id)), 0);
        scene_join(sender);
        CHECK_EQ(part.result, -EINTR);
        CHECK_EQ(weft_chan_try_recv(part.chan, &value), -EAGAIN);
    } else { /* a plain thread cannot be interrupted */
        CHECK_EQ(chan_take(part.chan), 5);
        scene_join(sender);
    }
    chan_end(part.chan);
}

struct timeout_race {
    weft_chan_t chan;
    long rounds, passed, late;
    uint64_t seed, sum;
    atomic_int *stop;
};

static void send_under_deadlines(void *arg)
{
    struct timeout_race *r = arg;
    struct check_random random = check_random_from(r->seed);
    for (long i = 0; i < r->rounds; i++) {
        uint64_t word = check_random_below(&random, 1000);
        int result = weft_chan_send_until(r->chan, word, check_now_ns() + check_random_below(&random, 20000));
        if (result == 0) {
            r->passed++;
            r->sum += word;
        } else {
            REQUIRE_EQ(result, -ETIMEDOUT);
            r->late++;
        }
    }
    atomic_fetch_sub(r->stop, 1);
}

static void recv_under_deadlines(void *arg)
{
    struct timeout_race *r = arg;
    struct check_random random = check_random_from(r->seed);
    for (;;) {
        bool last = atomic_load(r->stop) == 0;
        uint64_t word;
        int64_t deadline = last ? 0 : check_now_ns() + check_random_below(&random, 20000);
        int result = weft_chan_recv_until(r->chan, &word, deadline);
        if (result == 0) {
            r->passed++;
            r->sum += word;
        } else {
            REQUIRE_EQ(result, -ETIMEDOUT);
            r->late++;
            if (last)
                return;
        }
    }
}

CONTRACT(under_deadlines_on_both_sides_what_was_sent_was_received)
{
    static const uint32_t capacities[] = {0, 1, 4};
    uint64_t seed = check_seed();
    for (int c = 0; c < 3; c++) {
        struct timeout_race races[4] = {0};
        struct actor *actors[4];
        atomic_int senders = 2;
        weft_chan_t chan = chan_new(capacities[c]);
        for (int i = 0; i < 4; i++) {
            races[i] = (struct timeout_race){
                .chan = chan, .rounds = check_scale(2000), .seed = seed + (uint64_t)i, .stop = &senders};
            actors[i] = scene_spawn(scene, i % 2 ? recv_under_deadlines : send_under_deadlines, &races[i]);
        }
        for (int i = 0; i < 4; i++)
            scene_join(actors[i]);
        uint64_t value;
        while (weft_chan_try_recv(chan, &value) == 0) {
            races[1].passed++;
            races[1].sum += value;
        }
        CHECK_EQ(races[0].passed + races[2].passed, races[1].passed + races[3].passed);
        CHECK_EQ(races[0].sum + races[2].sum, races[1].sum + races[3].sum);
        CHECK_EQ(chan_info(chan).sending + chan_info(chan).receiving, 0);
        chan_end(chan);
    }
}

/* ---- closing ----------------------------------------------------------------------------------------------------- */

CONTRACT(close_lets_the_buffer_drain_and_then_reports_epipe)
{
    for (uint32_t capacity = 0; capacity < 20; capacity++) {
        weft_chan_t chan = chan_new(capacity);
        uint64_t value = 77;
        for (uint32_t i = 0; i < capacity; i++)
            chan_give(chan, i);
        CHECK_EQ(weft_chan_close(chan), 0);
        CHECK_EQ(chan_info(chan).closed, 1);
        CHECK_EQ(weft_chan_send(chan, 1), -EPIPE);
        CHECK_EQ(weft_chan_try_send(chan, 1), -EPIPE);
        CHECK_EQ(weft_chan_send_until(chan, 1, 0), -EPIPE);
        for (uint32_t i = 0; i < capacity; i++)
            CHECK_EQ(chan_take(chan), i);
        CHECK_EQ(weft_chan_recv(chan, &value), -EPIPE);
        CHECK_EQ(weft_chan_try_recv(chan, &value), -EPIPE);
        CHECK_EQ(weft_chan_recv_until(chan, &value, 0), -EPIPE);
        chan_end(chan);
    }
}

CONTRACT(closing_twice_is_harmless)
{
    weft_chan_t chan = chan_new(2);
    chan_give(chan, 1);
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_EQ(chan_take(chan), 1);
    CHECK_EQ(weft_chan_close(chan), 0);
    chan_end(chan);
}

CONTRACT(close_wakes_every_waiting_receiver)
{
    enum { count = 9 };
    struct part parts[count];
    struct actor *receivers[count];
    weft_chan_t chan = chan_new(4);
    for (unsigned i = 0; i < count; i++) {
        parts[i] = (struct part){.chan = chan, .value = 77};
        receivers[i] = scene_spawn(scene, do_recv, &parts[i]);
    }
    SCENE_AWAIT(chan_info(chan).receiving == count);
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_EQ(chan_info(chan).receiving, 0);
    for (int i = 0; i < count; i++) {
        scene_join(receivers[i]);
        CHECK_EQ(parts[i].result, -EPIPE);
        CHECK_EQ(parts[i].value, 77);
    }
    chan_end(chan);
}

CONTRACT(close_wakes_every_waiting_sender_and_its_words_are_not_sent)
{
    enum { count = 9 };
    static const uint32_t capacities[] = {0, 3};
    for (int c = 0; c < 2; c++) {
        struct part parts[count];
        struct actor *senders[count];
        weft_chan_t chan = chan_new(capacities[c]);
        uint64_t value;
        for (uint32_t i = 0; i < capacities[c]; i++)
            chan_give(chan, 100 + i);
        for (unsigned i = 0; i < count; i++) {
            parts[i] = (struct part){.chan = chan, .value = i};
            senders[i] = scene_spawn(scene, do_send, &parts[i]);
        }
        SCENE_AWAIT(chan_info(chan).sending == count);
        CHECK_EQ(weft_chan_close(chan), 0);
        for (int i = 0; i < count; i++) {
            scene_join(senders[i]);
            CHECK_EQ(parts[i].result, -EPIPE);
        }
        for (uint32_t i = 0; i < capacities[c]; i++)
            CHECK_EQ(chan_take(chan), 100 + i);
        CHECK_EQ(weft_chan_recv(chan, &value), -EPIPE);
        chan_end(chan);
    }
}

struct close_race {
    weft_chan_t chan;
    atomic_long sent, received;
    _Atomic uint64_t sent_sum, received_sum;
};

static void send_until_closed(void *arg)
{
    struct close_race *race = arg;
    uint64_t word = (uintptr_t)&word % 1000; /* any */
    int r;
    while ((r = weft_chan_send(race->chan, word)) == 0) {
        atomic_fetch_add(&race->sent, 1);
        atomic_fetch_add(&race->sent_sum, word++);
        if (word % 8 == 0)
            weft_lwt_yield(); /* a buffer that never blocks would otherwise never end */
    }
    REQUIRE_EQ(r, -EPIPE);
}

static void recv_until_closed(void *arg)
{
    struct close_race *race = arg;
    uint64_t word;
    int r;
    while ((r = weft_chan_recv(race->chan, &word)) == 0) {
        atomic_fetch_add(&race->received, 1);
        atomic_fetch_add(&race->received_sum, word);
        if (word % 8 == 0)
            weft_lwt_yield();
    }
    REQUIRE_EQ(r, -EPIPE);
}

CONTRACT(close_in_the_middle_of_traffic_loses_and_doubles_nothing)
{
    static const uint32_t capacities[] = {0, 1, 2, 16};
    for (int round = 0; round < check_scale(60); round++) {
        struct close_race race = {.chan = chan_new(capacities[round % 4])};
        struct actor *actors[6];
        for (int i = 0; i < 6; i++)
            actors[i] = scene_spawn(scene, i % 2 ? recv_until_closed : send_until_closed, &race);
        SCENE_AWAIT(atomic_load(&race.received) > 50);
        CHECK_EQ(weft_chan_close(race.chan), 0);
        for (int i = 0; i < 6; i++)
            scene_join(actors[i]);
        REQUIRE_EQ(atomic_load(&race.sent), atomic_load(&race.received));
        REQUIRE_EQ(atomic_load(&race.sent_sum), atomic_load(&race.received_sum));
        chan_end(race.chan);
    }
}

/* ---- order, multisets -------------------------------------------------------------------------------------------- */

struct stream {
    weft_chan_t chan;
    uint64_t sender;
    uint32_t count, from_each[8], senders;
    uint64_t *seen; /* a counter per word */
};

static void send_numbered(void *arg)
{
    struct stream *s = arg;
    for (uint32_t i = 0; i < s->count; i++)
        REQUIRE_EQ(weft_chan_send(s->chan, s->sender << 32 | i), 0);
}

static void recv_numbered(void *arg)
{
    struct stream *s = arg;
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t word = chan_take(s->chan);
        REQUIRE((word >> 32) < 8);
        REQUIRE_EQ((uint32_t)word, s->from_each[word >> 32]++);
    }
}

CONTRACT(words_of_each_sender_arrive_in_the_order_sent)
{
    static const uint32_t capacities[] = {0, 1, 2, 3, 10, 128};
    for (int c = 0; c < 6; c++) {
        enum { senders = 4 };
        struct stream streams[senders], all = {.chan = chan_new(capacities[c])};
        struct actor *actors[senders];
        uint32_t count = (uint32_t)check_scale(2000);
        for (unsigned i = 0; i < senders; i++) {
            streams[i] = (struct stream){.chan = all.chan, .sender = i, .count = count};
            actors[i] = scene_spawn(scene, send_numbered, &streams[i]);
        }
        all.count = senders * count;
        recv_numbered(&all);
        for (int i = 0; i < senders; i++)
            scene_join(actors[i]);
        chan_end(all.chan);
    }
}

static void recv_marking(void *arg)
{
    struct stream *s = arg;
    uint64_t last[8];
    memset(last, 0xff, sizeof last);
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t word = chan_take(s->chan), sender = word >> 32, number = word & UINT32_MAX;
        REQUIRE(sender < 4);
        REQUIRE(last[sender] == UINT64_MAX || number > last[sender]); /* one receiver sees each sender in order */
        last[sender] = number;
        __atomic_fetch_add(&s->seen[sender * s->senders + number], 1, __ATOMIC_RELAXED);
    }
}

CONTRACT(four_senders_and_four_receivers_pass_every_word_once)
{
    static const uint32_t capacities[] = {0, 1, 3, 10, 100};
    for (int c = 0; c < 5; c++) {
        uint32_t count = (uint32_t)check_scale(1500);
        uint64_t *seen = calloc(4 * count, sizeof *seen);
        struct stream streams[8];
        struct actor *actors[8];
        weft_chan_t chan = chan_new(capacities[c]);
        for (unsigned i = 0; i < 8; i++) {
            streams[i] = (struct stream){.chan = chan, .sender = i / 2, .count = count, .seen = seen, .senders = count};
            actors[i] = scene_spawn(scene, i % 2 ? recv_marking : send_numbered, &streams[i]);
        }
        for (int i = 0; i < 8; i++)
            scene_join(actors[i]);
        for (uint32_t i = 0; i < 4 * count; i++)
            REQUIRE_EQ(seen[i], 1);
        CHECK_EQ(chan_info(chan).length, 0);
        free(seen);
        chan_end(chan);
    }
}

/* ---- try-forms against a racing peer ----------------------------------------------------------------------------- */

struct try_race {
    weft_chan_t chan, ack;
    long rounds;
    atomic_long sent;
};

static void try_send_rounds(void *arg)
{
    struct try_race *race = arg;
    for (long i = 0; i < race->rounds; i++) {
        int r;
        while ((r = weft_chan_try_send(race->chan, (uint64_t)i)) == -EAGAIN)
            weft_lwt_yield();
        REQUIRE_EQ(r, 0);
    }
}

static void recv_rounds(void *arg)
{
    struct try_race *race = arg;
    for (long i = 0; i < race->rounds; i++)
        REQUIRE_EQ(chan_take(race->chan), i);
}

static void send_rounds(void *arg)
{
    struct try_race *race = arg;
    for (long i = 0; i < race->rounds; i++)
        chan_give(race->chan, (uint64_t)i);
}

CONTRACT(ten_thousand_try_sends_against_a_racing_receiver)
{
    for (uint32_t capacity = 0; capacity < 2; capacity++) {
        struct try_race race = {.chan = chan_new(capacity), .rounds = check_scale(10000)};
        struct actor *sender = scene_spawn(scene, try_send_rounds, &race);
        recv_rounds(&race);
        scene_join(sender);
        chan_end(race.chan);
    }
}

CONTRACT(ten_thousand_try_receives_against_a_racing_sender)
{
    for (uint32_t capacity = 0; capacity < 2; capacity++) {
        struct try_race race = {.chan = chan_new(capacity), .rounds = check_scale(10000)};
        struct actor *sender = scene_spawn(scene, send_rounds, &race);
        for (long i = 0; i < race.rounds; i++) {
            uint64_t value;
            int r;
            while ((r = weft_chan_try_recv(race.chan, &value)) == -EAGAIN)
                weft_lwt_yield();
            REQUIRE_EQ(r, 0);
            REQUIRE_EQ(value, i);
        }
        scene_join(sender);
        chan_end(race.chan);
    }
}

CONTRACT(ten_thousand_try_operations_on_both_sides_of_a_buffer)
{
    /* on a rendezvous two try-forms never meet: that is what `no wait` means; with a buffer they must */
    struct try_race race = {.chan = chan_new(1), .rounds = check_scale(10000)};
    struct actor *sender = scene_spawn(scene, try_send_rounds, &race);
    for (long i = 0; i < race.rounds; i++) {
        uint64_t value;
        int r;
        while ((r = weft_chan_try_recv(race.chan, &value)) == -EAGAIN)
            weft_lwt_yield();
        REQUIRE_EQ(r, 0);
        REQUIRE_EQ(value, i);
    }
    scene_join(sender);
    chan_end(race.chan);
}

static void ready_before(void *arg)
{
    /* Go's nonblockRecvRace: a word is there before the close is; a try-receive never says `nothing yet` */
    struct try_race *race = arg;
    uint64_t value;
    for (long i = 0; i < race->rounds; i++) {
        uint64_t id = chan_take(race->chan);
        int r = weft_chan_try_recv(chan_of(id), &value);
        REQUIRE(r == 0 || r == -EPIPE);
        REQUIRE_EQ(weft_chan_release(chan_of(id), 0), 0);
        chan_give(race->ack, 0);
    }
}

CONTRACT(a_try_receive_sees_one_instant)
{
    struct try_race race = {.chan = chan_new(1), .ack = chan_new(1), .rounds = check_scale(10000)};
    struct actor *peer = scene_spawn(scene, ready_before, &race);
    for (long i = 0; i < race.rounds; i++) {
        weft_chan_t chan = chan_new(1);
        uint64_t value;
        chan_give(chan, 1);
        REQUIRE_EQ(weft_chan_retain(chan, 0), 0);
        chan_give(race.chan, chan.id);
        weft_chan_close(chan);
        weft_chan_try_recv(chan, &value);
        chan_take(race.ack);
        chan_end(chan);
    }
    scene_join(peer);
    chan_end(race.chan);
    chan_end(race.ack);
}

/* ---- chains ------------------------------------------------------------------------------------------------------ */

static void pass_on_plus_one(void *arg)
{
    struct part *part = arg;
    uint64_t value;
    int r;
    while ((r = weft_chan_recv(part->chan, &value)) == 0)
        REQUIRE_EQ(weft_chan_send(part->other, value + 1), 0);
    REQUIRE_EQ(r, -EPIPE);
    CHECK_EQ(weft_chan_close(part->other), 0);
    CHECK_EQ(weft_chan_release(part->chan, 0), 0);
}

static void *pass_on_main(void *arg)
{
    pass_on_plus_one(arg);
    return NULL;
}

static void daisy_chain(struct scene *scene, uint32_t capacity, long length, int words, int kthds)
{
    struct part *links = calloc((size_t)length, sizeof *links);
    weft_lwt_t *lwts = calloc((size_t)length, sizeof *lwts);
    weft_chan_t first = chan_new(capacity), at = first;
    for (long i = 0; i < length; i++) {
        links[i] = (struct part){.chan = at, .other = chan_new(capacity)};
        at = links[i].other;
        lwts[i] = lwt_new(scene->kthds[kthds == 2 ? i / 100 % 2 : 0], pass_on_main, &links[i]);
    }
    for (int i = 0; i < words; i++) {
        chan_give(first, (uint64_t)i * 1000000);
        CHECK_EQ(chan_take(at), (uint64_t)i * 1000000 + (uint64_t)length);
    }
    uint64_t value;
    CHECK_EQ(weft_chan_close(first), 0);
    CHECK_EQ(weft_chan_recv(at, &value), -EPIPE);
    for (long i = 0; i < length; i++)
        lwt_result(lwts[i]);
    chan_end(at);
    free(links);
    free(lwts);
}

LWT_TEST(a_chain_of_ten_thousand_lwts_passes_words_on)
{
    daisy_chain(scene, 0, check_scale(10000), 5, 1);
}

LWT_TEST(a_chain_of_ten_thousand_lwts_with_buffers_passes_words_on)
{
    daisy_chain(scene, 3, check_scale(10000), 5, 1);
}

LWT_TEST(a_chain_of_ten_thousand_lwts_over_two_kthds_passes_words_on)
{
    daisy_chain(scene, 0, check_scale(10000), 5, 2);
}

CONTRACT(a_chain_of_every_kind_of_thread_passes_words_on)
{
    enum { length = 40 };
    struct part links[length];
    struct actor *actors[length];
    weft_chan_t first = chan_new(0), at = first;
    for (int i = 0; i < length; i++) {
        links[i] = (struct part){.chan = at, .other = chan_new((uint32_t)i % 3)};
        at = links[i].other;
        actors[i] = scene_spawn(scene, pass_on_plus_one, &links[i]);
    }
    for (uint64_t i = 0; i < 200; i++) {
        chan_give(first, i * 1000);
        CHECK_EQ(chan_take(at), i * 1000 + length);
    }
    CHECK_EQ(weft_chan_close(first), 0);
    for (int i = 0; i < length; i++)
        scene_join(actors[i]);
    chan_end(at);
}

static void *generate(void *arg)
{
    weft_chan_t out = *(weft_chan_t *)arg;
    int r = 0;
    for (uint64_t i = 2; r == 0; i++)
        r = weft_chan_send(out, i);
    REQUIRE_EQ(r, -EPIPE);
    chan_end(out);
    return NULL;
}

static void *filter_out(void *arg)
{
    weft_chan_t *ends = arg;
    weft_chan_t in = ends[0], out = ends[1];
    uint64_t prime = ends[2].id, value;
    free(ends);
    while (weft_chan_recv(in, &value) == 0)
        if (value % prime && weft_chan_send(out, value) != 0)
            break;
    weft_chan_close(in); /* towards the generator */
    chan_end(in);
    chan_end(out);
    return NULL;
}

static void sieve(weft_kthd_t *kthds, int count, int primes, uint64_t last)
{
    weft_lwt_t *lwts = calloc((size_t)primes + 1, sizeof *lwts);
    weft_chan_t at = chan_new(0), first = at;
    REQUIRE_EQ(weft_chan_retain(at, 0), 0);
    lwts[0] = lwt_new(kthds[0], generate, &first);
    uint64_t prime = 0;
    for (int i = 0; i < primes; i++) {
        prime = chan_take(at);
        weft_chan_t *ends = calloc(3, sizeof *ends);
        ends[0] = at;
        ends[1] = chan_new(0);
        ends[2].id = prime;
        at = ends[1];
        REQUIRE_EQ(weft_chan_retain(at, 0), 0);
        lwts[i + 1] = lwt_new(kthds[i % count], filter_out, ends);
    }
    CHECK_EQ(prime, last);
    weft_chan_close(at);
    chan_end(at);
    for (int i = 0; i <= primes; i++)
        lwt_result(lwts[i]);
    free(lwts);
}

LWT_TEST(a_sieve_finds_the_primes)
{
    if (CHECK_SANITIZED)
        sieve(scene->kthds, 1, 30, 113);
    else
        sieve(scene->kthds, 1, 500, 3571);
}

LWT_TEST(a_sieve_over_two_kthds_finds_the_primes)
{
    if (CHECK_SANITIZED)
        sieve(scene->kthds, 2, 20, 71);
    else
        sieve(scene->kthds, 2, 100, 541);
}

/* ---- handles over channels --------------------------------------------------------------------------------------- */

static void serve(void *arg)
{
    struct part *part = arg;
    uint64_t id;
    while (weft_chan_recv(part->chan, &id) == 0) {
        REQUIRE_EQ(weft_chan_send(chan_of(id), id ^ 1), 0);
        REQUIRE_EQ(weft_chan_release(chan_of(id), WEFT_CHAN_SENDER), 0);
    }
}

CONTRACT(a_channel_is_sent_over_a_channel_and_answered_on)
{
    struct part part = {.chan = chan_new(2)};
    struct actor *server = scene_spawn(scene, serve, &part);
    for (int i = 0; i < check_scale(1000); i++) {
        weft_chan_t answer = chan_new((uint32_t)i % 2);
        uint64_t value;
        REQUIRE_EQ(weft_chan_retain(answer, WEFT_CHAN_SENDER), 0);
        chan_give(part.chan, answer.id);
        CHECK_EQ(chan_take(answer), answer.id ^ 1);
        CHECK_EQ(weft_chan_recv(answer, &value), -EPIPE); /* the only counted sender is gone */
        chan_end(answer);
    }
    weft_chan_close(part.chan);
    scene_join(server);
    chan_end(part.chan);
}

/* ---- references -------------------------------------------------------------------------------------------------- */

CONTRACT(references_are_counted_and_the_last_release_frees)
{
    weft_chan_t chan = chan_new(1);
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_EQ(chan_info(chan).refs, i + 1);
        CHECK_EQ(weft_chan_retain(chan, 0), 0);
    }
    uint64_t channels = all_info().channels;
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_EQ(weft_chan_release(chan, 0), 0);
        CHECK_EQ(chan_info(chan).refs, 5 - i);
    }
    chan_give(chan, 3); /* lost */
    CHECK_EQ(weft_chan_release(chan, 0), 0);
    CHECK_EQ(weft_chan_release(chan, 0), -EBADF);
    CHECK_EQ(all_info().channels, channels - 1);
}

CONTRACT(the_last_release_wakes_those_who_wait)
{
    /* they hold no reference of their own: the handle is all they had */
    struct part part = {.chan = chan_new(0)};
    struct actor *receiver = scene_spawn(scene, do_recv, &part);
    SCENE_AWAIT(chan_info(part.chan).receiving == 1);
    chan_end(part.chan);
    scene_join(receiver);
    CHECK(part.result == -EPIPE || part.result == -EBADF);
    part = (struct part){.chan = chan_new(0)};
    struct actor *sender = scene_spawn(scene, do_send, &part);
    SCENE_AWAIT(chan_info(part.chan).sending == 1);
    chan_end(part.chan);
    scene_join(sender);
    CHECK(part.result == -EPIPE || part.result == -EBADF);
}

CONTRACT(retain_and_release_refuse_unknown_ends)
{
    weft_chan_t chan = chan_new(1);
    for (int bit = 2; bit < 32; bit++) {
        CHECK_EQ(weft_chan_retain(chan, 1u << bit), -EINVAL);
        CHECK_EQ(weft_chan_release(chan, 1u << bit), -EINVAL);
        CHECK_EQ(weft_chan_retain(chan, 1u << bit | WEFT_CHAN_SENDER), -EINVAL);
    }
    CHECK_EQ(chan_info(chan).refs, 1);
    CHECK_EQ(chan_info(chan).senders, 0);
    chan_end(chan);
}

CONTRACT(release_refuses_an_end_that_nobody_is_counted_for)
{
    weft_chan_t chan = chan_new(1);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_SENDER), -EINVAL);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_RECEIVER), -EINVAL);
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_SENDER), 0);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_RECEIVER), -EINVAL);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_RECEIVER | WEFT_CHAN_SENDER), -EINVAL);
    CHECK_EQ(chan_info(chan).refs, 2);
    CHECK_EQ(chan_info(chan).senders, 1);
    CHECK_EQ(chan_info(chan).closed, 0);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_SENDER), 0);
    chan_end(chan);
}

CONTRACT(ends_are_counted)
{
    weft_chan_t chan = chan_new(1);
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_SENDER), 0);
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_RECEIVER), 0);
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_SENDER | WEFT_CHAN_RECEIVER), 0);
    struct weft_chan_info info = chan_info(chan);
    CHECK_EQ(info.refs, 4);
    CHECK_EQ(info.senders, 2);
    CHECK_EQ(info.receivers, 2);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_SENDER | WEFT_CHAN_RECEIVER), 0);
    CHECK_EQ(weft_chan_release(chan, 0), 0); /* a reference without an end */
    info = chan_info(chan);
    CHECK_EQ(info.refs, 2);
    CHECK_EQ(info.senders, 1);
    CHECK_EQ(info.receivers, 1);
    CHECK_EQ(info.closed, 0);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_SENDER), 0);
    CHECK_EQ(chan_info(chan).closed, 1);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_RECEIVER), 0);
}

CONTRACT(when_the_last_counted_sender_is_gone_receivers_drain_and_then_get_epipe)
{
    weft_chan_t chan = chan_new(3);
    uint64_t value;
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_SENDER), 0);
    chan_give(chan, 1);
    chan_give(chan, 2);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_SENDER), 0);
    CHECK_EQ(weft_chan_send(chan, 3), -EPIPE);
    CHECK_EQ(chan_take(chan), 1);
    CHECK_EQ(chan_take(chan), 2);
    CHECK_EQ(weft_chan_recv(chan, &value), -EPIPE);
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_SENDER), -EPIPE);
    CHECK_EQ(chan_info(chan).refs, 1);
    chan_end(chan);
}

CONTRACT(when_the_last_counted_receiver_is_gone_senders_fail_and_the_buffer_is_lost)
{
    weft_chan_t chan = chan_new(3);
    uint64_t value;
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_RECEIVER), 0);
    chan_give(chan, 1);
    chan_give(chan, 2);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_RECEIVER), 0);
    CHECK_EQ(weft_chan_send(chan, 3), -EPIPE);
    CHECK_EQ(weft_chan_try_send(chan, 3), -EPIPE);
    CHECK_EQ(chan_info(chan).length, 0);
    CHECK_EQ(weft_chan_try_recv(chan, &value), -EPIPE);
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_RECEIVER), -EPIPE);
    chan_end(chan);
}

CONTRACT(the_last_counted_receivers_release_wakes_waiting_senders)
{
    struct part part = {.chan = chan_new(0)};
    CHECK_EQ(weft_chan_retain(part.chan, WEFT_CHAN_RECEIVER), 0);
    struct actor *sender = scene_spawn(scene, do_send, &part);
    SCENE_AWAIT(chan_info(part.chan).sending == 1);
    CHECK_EQ(weft_chan_release(part.chan, WEFT_CHAN_RECEIVER), 0);
    scene_join(sender);
    CHECK_EQ(part.result, -EPIPE);
    chan_end(part.chan);
}

CONTRACT(the_last_counted_senders_release_wakes_waiting_receivers)
{
    struct part part = {.chan = chan_new(0)};
    CHECK_EQ(weft_chan_retain(part.chan, WEFT_CHAN_SENDER), 0);
    struct actor *receiver = scene_spawn(scene, do_recv, &part);
    SCENE_AWAIT(chan_info(part.chan).receiving == 1);
    CHECK_EQ(weft_chan_release(part.chan, WEFT_CHAN_SENDER), 0);
    scene_join(receiver);
    CHECK_EQ(part.result, -EPIPE);
    chan_end(part.chan);
}

CONTRACT(ends_that_nobody_counted_never_run_out)
{
    weft_chan_t chan = chan_new(1);
    CHECK_EQ(weft_chan_retain(chan, 0), 0);
    CHECK_EQ(weft_chan_release(chan, 0), 0);
    CHECK_EQ(weft_chan_try_send(chan, 1), 0);
    CHECK_EQ(chan_take(chan), 1);
    chan_end(chan);
}

static void retain_release_many(void *arg)
{
    struct part *part = arg;
    for (long i = 0; i < part->count; i++) {
        uint32_t ends = (uint32_t)(i + part->index) % 4;
        REQUIRE_EQ(weft_chan_retain(part->chan, ends), 0);
        REQUIRE_EQ(weft_chan_release(part->chan, ends), 0);
        if (i % 16 == 0)
            weft_lwt_yield();
    }
}

CONTRACT(references_from_many_threads_at_once_add_up)
{
    struct part parts[4];
    struct actor *actors[4];
    weft_chan_t chan = chan_new(1);
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_SENDER | WEFT_CHAN_RECEIVER), 0);
    for (int i = 0; i < 4; i++) {
        parts[i] = (struct part){.chan = chan, .count = check_scale(20000), .index = i};
        actors[i] = scene_spawn(scene, retain_release_many, &parts[i]);
    }
    for (int i = 0; i < 4; i++)
        scene_join(actors[i]);
    struct weft_chan_info info = chan_info(chan);
    CHECK_EQ(info.refs, 2);
    CHECK_EQ(info.senders, 1);
    CHECK_EQ(info.receivers, 1);
    CHECK_EQ(info.closed, 0);
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_SENDER | WEFT_CHAN_RECEIVER), 0);
    chan_end(chan);
}

static void race_to_release(void *arg)
{
    struct part *part = arg;
    uint64_t id;
    while (weft_chan_recv(part->chan, &id) == 0)
        REQUIRE_EQ(weft_chan_release(chan_of(id), 0), 0);
}

CONTRACT(the_last_of_two_releases_frees_whoever_makes_it)
{
    struct part part = {.chan = chan_new(1)};
    struct actor *peer = scene_spawn(scene, race_to_release, &part);
    for (int i = 0; i < check_scale(3000); i++) {
        weft_chan_t chan = chan_new((uint32_t)i % 3);
        REQUIRE_EQ(weft_chan_retain(chan, 0), 0);
        chan_give(part.chan, chan.id);
        REQUIRE_EQ(weft_chan_release(chan, 0), 0);
    }
    weft_chan_close(part.chan);
    scene_join(peer);
    CHECK_EQ(all_info().channels, 1);
    chan_end(part.chan);
}

/* ---- many channels ----------------------------------------------------------------------------------------------- */

TEST(channels_come_and_go_without_growing_memory)
{
    for (int i = 0; i < 2000; i++)
        chan_end(chan_new((uint32_t)i % 100));
    for (int i = 0; i < 3; i++)
        chan_end(chan_new(WEFT_CHAN_MAX_CAPACITY)); /* malloc keeps one of them */
    long rss = check_rss_kib();
    int maps = check_count_maps();
    for (int i = 0; i < check_scale(200000); i++) {
        weft_chan_t chan = chan_new((uint32_t)i % 100);
        if (i % 100)
            chan_give(chan, 1);
        chan_end(chan);
    }
    for (int i = 0; i < check_scale(50); i++) {
        weft_chan_t chan = chan_new(WEFT_CHAN_MAX_CAPACITY);
        chan_give(chan, 1);
        chan_end(chan);
    }
    check_say("    VmRSS grew by %ld KiB\n", check_rss_kib() - rss);
    if (!CHECK_SANITIZED) {
        CHECK(check_rss_kib() < rss + 2048);
        CHECK(check_count_maps() <= maps + 4);
    }
    CHECK_EQ(all_info().channels, 0);
}

TEST_LIMIT(the_table_of_channels_is_full_at_its_documented_limit, 60)
{
    enum { most = 1048575 };
    uint64_t *ids = malloc((size_t)(most + 1) * sizeof *ids);
    long made = 0;
    int r = 0;
    weft_chan_t chan = {0};
    if (CHECK_SANITIZED)
        CHECK_SKIP("takes too much memory under a sanitizer");
    while (made <= most && (r = weft_chan_create(&chan, 0)) == 0)
        ids[made++] = chan.id;
    CHECK_EQ(r, -ENOSPC);
    CHECK_EQ(made, most);
    CHECK_EQ(all_info().channels, made);
    chan_end(chan_of(ids[made / 2]));
    CHECK_EQ(weft_chan_create(&chan, 0), 0);
    ids[made / 2] = chan.id;
    CHECK_EQ(weft_chan_create(&chan, 0), -ENOSPC);
    for (long i = 0; i < made; i++)
        REQUIRE_EQ(weft_chan_release(chan_of(ids[i]), 0), 0);
    CHECK_EQ(all_info().channels, 0);
    free(ids);
}

/* ---- what the lwts of one kthd can rely on ----------------------------------------------------------------------- */

static void *try_both(void *arg)
{
    weft_chan_t *chans = arg;
    return (void *)(intptr_t)weft_chan_send(chans[0], 7);
}

LWT_TEST(a_channel_of_one_kthd_is_biased_until_another_thread_uses_it)
{
    weft_chan_t chan = chan_new(2);
    uint64_t value;
    chan_give(chan, 1);
    CHECK_EQ(chan_take(chan), 1);
    CHECK_EQ(chan_info(chan).biased, 1);
    CHECK_EQ((intptr_t)lwt_run(scene->kthds[1], try_both, &chan), 0);
    CHECK_EQ(chan_info(chan).biased, 0);
    CHECK_EQ(weft_chan_try_recv(chan, &value), 0);
    CHECK_EQ(value, 7);
    CHECK_EQ(chan_info(chan).biased, 0);
    chan_end(chan);
}

struct pair {
    weft_chan_t to, fro;
    long rounds;
};

static void *echo(void *arg)
{
    struct pair *pair = arg;
    uint64_t value;
    while (weft_chan_recv(pair->to, &value) == 0)
        chan_give(pair->fro, value);
    return NULL;
}

static void *flag_it(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return NULL;
}

LWT_TEST(a_busy_pair_does_not_starve_the_queue)
{
    /* hand-overs are bounded: a third lwt gets its turn while two play ping-pong */
    struct pair pair = {chan_new(0), chan_new(0), 1000000};
    atomic_int flag = 0;
    weft_lwt_t peer = lwt_new(no_kthd, echo, &pair), third = lwt_new(no_kthd, flag_it, &flag);
    long i = 0;
    for (; i < pair.rounds && !atomic_load(&flag); i++) {
        chan_give(pair.to, (uint64_t)i);
        CHECK_EQ(chan_take(pair.fro), i);
    }
    CHECK(i < 10000);
    weft_chan_close(pair.to);
    lwt_result(third);
    lwt_result(peer);
    chan_end(pair.to);
    chan_end(pair.fro);
}
