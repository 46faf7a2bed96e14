/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stress: everything at once for some seconds, by a seed that is printed, with exact accounts at the end: each word
 * that was sent is received, drained or known to be lost; each lwt that was created is joined or detached; nothing is
 * left. CHECK_SEED repeats the choices (the interleaving is the machine's own), CHECK_SCALE the length.
 */
#include "scene.h"

enum { kthd_count = 4, chan_count = 24, worker_count = 40 };

static struct {
    weft_kthd_t kthds[kthd_count];
    _Atomic uint64_t chans[chan_count]; /* handles; replaced now and then */
    _Atomic uint64_t workers[worker_count];
    weft_cgrp_t cgrp;
    int64_t end_ns;
    uint64_t seed;
    /* accounts */
    atomic_long sent, received, created, joined, detached, ended, closed, timeouts, interrupts, interrupted, unparked;
    _Atomic uint64_t sent_sum, received_sum;
} world;

static void book_received(uint64_t word)
{
    atomic_fetch_add(&world.received, 1);
    atomic_fetch_add(&world.received_sum, word);
}

static bool expected_end_of_wait(int r)
{
    if (r == -ETIMEDOUT)
        atomic_fetch_add(&world.timeouts, 1);
    else if (r == -EINTR)
        atomic_fetch_add(&world.interrupted, 1);
    return r == -ETIMEDOUT || r == -EINTR || r == -EPIPE || r == -EBADF || r == -EAGAIN;
}

static weft_chan_t some_chan(struct check_random *random)
{
    return chan_of(atomic_load(&world.chans[check_random_below(random, chan_count)]));
}

static int64_t soon(struct check_random *random) { return check_now_ns() + check_random_below(random, 300000); }

static void step_send(struct check_random *random)
{
    weft_chan_t chan = some_chan(random);
    uint64_t word = check_random_below(random, 1000000);
    bool wait = check_random_below(random, 3);
    int r = wait ? weft_chan_send_until(chan, word, soon(random)) : weft_chan_try_send(chan, word);
    if (r == 0) {
        atomic_fetch_add(&world.sent, 1);
        atomic_fetch_add(&world.sent_sum, word);
    } else {
        REQUIRE(expected_end_of_wait(r));
    }
}

static void step_recv(struct check_random *random)
{
    weft_chan_t chan = some_chan(random);
    uint64_t word;
    bool wait = check_random_below(random, 3);
    int r = wait ? weft_chan_recv_until(chan, &word, soon(random)) : weft_chan_try_recv(chan, &word);
    if (r == 0)
        book_received(word);
    else
        REQUIRE(expected_end_of_wait(r));
}

/* Closes a channel, drains it, and puts a new one in its place. Whoever swaps the handle out owns it. */
static void step_replace(struct check_random *random)
{
    weft_chan_t fresh = chan_new(check_random_below(random, 6)), old;
    uint64_t word;
    old.id = atomic_exchange(&world.chans[check_random_below(random, chan_count)], fresh.id);
    REQUIRE_EQ(weft_chan_close(old), 0);
    while (weft_chan_try_recv(old, &word) == 0)
        book_received(word);
    chan_end(old);
    atomic_fetch_add(&world.closed, 1);
}

static void step_group(struct check_random *random)
{
    struct weft_event event;
    uint64_t word;
    int r;
    switch (check_random_below(random, 4)) {
    case 0:
        r = weft_cgrp_add(world.cgrp, some_chan(random), 1);
        REQUIRE(r == 0 || r == -EBADF || r == -EEXIST);
        break;
    case 1:
        r = weft_cgrp_remove(world.cgrp, some_chan(random));
        REQUIRE(r >= 0 || r == -EBADF || r == -ENOENT);
        break;
    default:
        r = weft_cgrp_wait_until(world.cgrp, &event, soon(random));
        if (r == 0) {
            r = weft_chan_try_recv(event.chan, &word);
            if (r == 0)
                book_received(word);
            else if (r == -EPIPE)
                weft_cgrp_remove(world.cgrp, event.chan);
        }
        REQUIRE(r == 0 || expected_end_of_wait(r));
    }
}

static void *short_life(void *arg)
{
    struct check_random random = check_random_from((uint64_t)(uintptr_t)arg);
    for (uint32_t i = check_random_below(&random, 4); i > 0; i--) {
        if (check_random_below(&random, 2))
            weft_lwt_yield();
        else
            REQUIRE_EQ(weft_lwt_migrate(world.kthds[check_random_below(&random, kthd_count)]), 0);
    }
    atomic_fetch_add(&world.ended, 1);
    if (check_random_below(&random, 2))
        weft_lwt_exit(arg);
    return arg;
}

static void step_create(struct check_random *random)
{
    struct weft_lwt_attr attr;
    weft_lwt_t lwt;
    void *value, *arg = (void *)(uintptr_t)(check_random_next(random) | 1);
    uint32_t way = check_random_below(random, 4);
    weft_lwt_attr_init(&attr);
    attr.stack_bytes = (CHECK_SANITIZED ? 65536u : 16384u) << check_random_below(random, 3);
    attr.flags = way == 0 ? WEFT_LWT_DETACHED : 0;
    REQUIRE_EQ(weft_lwt_create(&lwt, world.kthds[check_random_below(random, kthd_count)], short_life, arg, &attr), 0);
    atomic_fetch_add(&world.created, 1);
    if (way == 1)
        REQUIRE_EQ(weft_lwt_detach(lwt), 0);
    if (way < 2) {
        atomic_fetch_add(&world.detached, 1);
        return;
    }
    int r = way == 2 ? weft_lwt_join_until(lwt, &value, soon(random)) : weft_lwt_join(lwt, &value);
    while (r == -ETIMEDOUT || r == -EINTR)
        r = weft_lwt_join(lwt, &value);
    REQUIRE_EQ(r, 0);
    REQUIRE(value == arg);
    atomic_fetch_add(&world.joined, 1);
}

static void step_disturb(struct check_random *random)
{
    weft_lwt_t peer = lwt_of(atomic_load(&world.workers[check_random_below(random, worker_count)]));
    int r;
    if (!peer.id)
        return;
    if (check_random_below(random, 2)) {
        r = weft_lwt_unpark(peer);
        atomic_fetch_add(&world.unparked, 1);
    } else {
        r = weft_lwt_interrupt(peer);
        atomic_fetch_add(&world.interrupts, 1);
    }
    REQUIRE(r == 0 || r == -ESRCH);
}

static void step_wait(struct check_random *random)
{
    int r;
    if (!weft_lwt_current().id)
        return;
    switch (check_random_below(random, 4)) {
    case 0:
        r = weft_lwt_park(soon(random));
        REQUIRE(r == 0 || r == -ETIMEDOUT || r == -EINTR);
        break;
    case 1:
        REQUIRE_EQ(weft_lwt_migrate(world.kthds[check_random_below(random, kthd_count)]), 0);
        break;
    case 2:
        r = weft_lwt_step_aside();
        REQUIRE(r == 0 || r == -ENOTSUP);
        break;
    default:
        weft_lwt_yield();
    }
}

struct worker {
    int index;
};

static void work(void *arg)
{
    struct worker *worker = arg;
    struct check_random random = check_random_from(world.seed * 131 + (uint64_t)worker->index);
    atomic_store(&world.workers[worker->index], weft_lwt_current().id);
    for (long i = 0; check_now_ns() < world.end_ns; i++) {
        uint32_t dice = check_random_below(&random, 100);
        if (dice < 30)
            step_send(&random);
        else if (dice < 60)
            step_recv(&random);
        else if (dice < 63)
            step_replace(&random);
        else if (dice < 75)
            step_group(&random);
        else if (dice < 85)
            step_create(&random);
        else if (dice < 92)
            step_disturb(&random);
        else
            step_wait(&random);
        if (i % 8 == 0)
            weft_lwt_yield();
    }
    atomic_store(&world.workers[worker->index], 0);
}

TEST_LIMIT(a_random_mix_over_four_kthds_keeps_exact_accounts, 60)
{
    static struct worker workers[worker_count];
    struct actor *actors[worker_count];
    world.seed = check_seed();
    world.end_ns = check_now_ns() + check_scale(5000) * 1000000;
    for (int i = 0; i < kthd_count; i++)
        world.kthds[i] = kthd_new_idle((uint32_t)i % 2);
    for (int i = 0; i < chan_count; i++)
        atomic_store(&world.chans[i], chan_new((uint32_t)i % 5).id);
    REQUIRE_EQ(weft_cgrp_create(&world.cgrp), 0);
    for (int i = 0; i < worker_count; i++) {
        workers[i].index = i;
        enum actor_kind kind = i % 10 < 6 ? actor_native : i % 10 < 9 ? actor_adopted : actor_plain;
        actors[i] = actor_start(kind, world.kthds[i % kthd_count], work, &workers[i]);
    }
    for (int i = 0; i < worker_count; i++)
        scene_join(actors[i]);
    for (int i = 0; i < chan_count; i++) {
        weft_chan_t chan = chan_of(atomic_load(&world.chans[i]));
        uint64_t word;
        struct weft_chan_info info = chan_info(chan);
        CHECK_EQ(info.sending + info.receiving, 0);
        while (weft_chan_try_recv(chan, &word) == 0)
            book_received(word);
        chan_end(chan);
    }
    CHECK_EQ(weft_cgrp_free(world.cgrp), 0);
    for (int i = 0; i < kthd_count; i++)
        kthd_end(world.kthds[i]);
    check_say("    %ld words, %ld lwts, %ld channels, %ld time-outs, %ld of %ld interrupts, %ld unparks\n",
              atomic_load(&world.sent), atomic_load(&world.created), atomic_load(&world.closed),
              atomic_load(&world.timeouts), atomic_load(&world.interrupted), atomic_load(&world.interrupts),
              atomic_load(&world.unparked));
    CHECK_EQ(atomic_load(&world.sent), atomic_load(&world.received));
    CHECK_EQ(atomic_load(&world.sent_sum), atomic_load(&world.received_sum));
    CHECK_EQ(atomic_load(&world.created), atomic_load(&world.ended));
    CHECK_EQ(atomic_load(&world.created), atomic_load(&world.joined) + atomic_load(&world.detached));
    struct weft_info info = all_info();
    CHECK_EQ(info.lwts, 0);
    CHECK_EQ(info.zombies, 0);
    CHECK_EQ(info.channels, 0);
}
