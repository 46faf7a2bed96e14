/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgrp: one contract suite over all topologies (scene.h): membership, readiness and its order, fairness, freeing,
 * waiting in every form, and groups so large that any walk over the members would show.
 */
#include "scene.h"

static weft_cgrp_t cgrp_new(void)
{
    weft_cgrp_t cgrp = {0};
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    return cgrp;
}

static void cgrp_end(weft_cgrp_t cgrp) { REQUIRE_EQ(weft_cgrp_free(cgrp), 0); }

/* The mark of the next event, or a negative error. */
static int64_t next_mark(weft_cgrp_t cgrp)
{
    struct weft_event event = {0};
    int r = weft_cgrp_try_wait(cgrp, &event);
    return r ? r : (int64_t)event.mark;
}

struct part {
    weft_cgrp_t cgrp;
    weft_chan_t chan;
    uint64_t value;
    struct weft_event event;
    int result;
    long count;
    _Atomic uint64_t lwt;
    atomic_int waiting, done;
};

static void do_wait(void *arg)
{
    struct part *part = arg;
    atomic_store(&part->lwt, weft_lwt_current().id);
    atomic_store(&part->waiting, 1);
    part->result = weft_cgrp_wait(part->cgrp, &part->event);
    atomic_store(&part->done, 1);
}

static void do_send(void *arg)
{
    struct part *part = arg;
    part->result = weft_chan_send(part->chan, part->value);
}

/* ---- membership -------------------------------------------------------------------------------------------------- */

CONTRACT(an_empty_group_has_no_event)
{
    weft_cgrp_t cgrp = cgrp_new();
    struct weft_event event = {{77}, 78};
    CHECK_EQ(weft_cgrp_try_wait(cgrp, &event), -EAGAIN);
    CHECK_EQ(weft_cgrp_wait_until(cgrp, &event, 0), -ETIMEDOUT);
    CHECK_EQ(event.chan.id, 77);
    CHECK_EQ(event.mark, 78);
    cgrp_end(cgrp);
}

CONTRACT(an_event_names_the_channel_and_its_mark)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t a = chan_new(1), b = chan_new(1);
    struct weft_event event;
    CHECK_EQ(weft_cgrp_add(cgrp, a, 11), 0);
    CHECK_EQ(weft_cgrp_add(cgrp, b, UINT64_MAX), 0);
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    chan_give(b, 5);
    CHECK_EQ(weft_cgrp_wait(cgrp, &event), 0);
    CHECK_EQ(event.chan.id, b.id);
    CHECK_EQ(event.mark, UINT64_MAX);
    CHECK_EQ(chan_take(b), 5);
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    chan_give(a, 6);
    CHECK_EQ(next_mark(cgrp), 11);
    CHECK_EQ(chan_take(a), 6);
    cgrp_end(cgrp);
    chan_end(a);
    chan_end(b);
}

CONTRACT(what_is_pending_at_the_time_of_adding_is_reported)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(2);
    chan_give(chan, 5);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 3), 0);
    CHECK_EQ(next_mark(cgrp), 3);
    CHECK_EQ(chan_take(chan), 5);
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    cgrp_end(cgrp);
    chan_end(chan);
}

CONTRACT(a_closed_channel_is_ready_when_it_is_added)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 3), 0);
    CHECK_EQ(next_mark(cgrp), 3);
    CHECK_EQ(next_mark(cgrp), 3); /* and stays so */
    CHECK_EQ(weft_cgrp_free(cgrp), -EBUSY);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), 1);
    cgrp_end(cgrp);
    chan_end(chan);
}

CONTRACT(a_member_that_is_closed_becomes_ready)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 3), 0);
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_EQ(next_mark(cgrp), 3);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), 1);
    cgrp_end(cgrp);
    chan_end(chan);
}

CONTRACT(a_waiting_sender_makes_a_rendezvous_channel_ready)
{
    struct part part = {.chan = chan_new(0), .value = 9};
    weft_cgrp_t cgrp = cgrp_new();
    CHECK_EQ(weft_cgrp_add(cgrp, part.chan, 3), 0);
    struct actor *sender = scene_spawn(scene, do_send, &part);
    struct weft_event event;
    CHECK_EQ(weft_cgrp_wait(cgrp, &event), 0);
    CHECK_EQ(event.mark, 3);
    CHECK_EQ(chan_info(part.chan).sending, 1);
    CHECK_EQ(chan_take(part.chan), 9);
    scene_join(sender);
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    cgrp_end(cgrp);
    chan_end(part.chan);
}

CONTRACT(a_channel_that_a_sender_waits_for_is_ready_when_it_is_added)
{
    struct part part = {.chan = chan_new(0), .value = 9};
    weft_cgrp_t cgrp = cgrp_new();
    struct actor *sender = scene_spawn(scene, do_send, &part);
    SCENE_AWAIT(chan_info(part.chan).sending == 1);
    CHECK_EQ(weft_cgrp_add(cgrp, part.chan, 3), 0);
    CHECK_EQ(next_mark(cgrp), 3);
    CHECK_EQ(chan_take(part.chan), 9);
    scene_join(sender);
    cgrp_end(cgrp);
    chan_end(part.chan);
}

CONTRACT(a_channel_joins_one_group_only)
{
    weft_cgrp_t a = cgrp_new(), b = cgrp_new();
    weft_chan_t chan = chan_new(1);
    CHECK_EQ(weft_cgrp_add(a, chan, 1), 0);
    CHECK_EQ(weft_cgrp_add(b, chan, 2), -EEXIST);
    CHECK_EQ(weft_cgrp_add(a, chan, 3), -EEXIST);
    chan_give(chan, 1);
    CHECK_EQ(next_mark(a), 1);
    CHECK_EQ(next_mark(b), -EAGAIN);
    CHECK_EQ(weft_cgrp_remove(b, chan), -ENOENT);
    CHECK_EQ(weft_cgrp_remove(a, chan), 1);
    CHECK_EQ(weft_cgrp_add(b, chan, 2), 0);
    CHECK_EQ(next_mark(b), 2);
    CHECK_EQ(chan_take(chan), 1);
    cgrp_end(a);
    cgrp_end(b);
    chan_end(chan);
}

CONTRACT(remove_says_whether_an_event_was_pending_and_keeps_the_words)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(2);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 1), 0);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), 0);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), -ENOENT);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 1), 0);
    chan_give(chan, 8);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), 1);
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    CHECK_EQ(chan_take(chan), 8);
    chan_give(chan, 9); /* nobody hears of it */
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    CHECK_EQ(chan_take(chan), 9);
    cgrp_end(cgrp);
    chan_end(chan);
}

CONTRACT(a_removed_member_in_the_middle_of_the_queue_is_skipped)
{
    enum { count = 5 };
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chans[count];
    for (unsigned i = 0; i < count; i++) {
        chans[i] = chan_new(1);
        CHECK_EQ(weft_cgrp_add(cgrp, chans[i], i), 0);
    }
    for (int i = 0; i < count; i++)
        chan_give(chans[i], 0);
    CHECK_EQ(weft_cgrp_remove(cgrp, chans[0]), 1);
    CHECK_EQ(weft_cgrp_remove(cgrp, chans[2]), 1);
    CHECK_EQ(weft_cgrp_remove(cgrp, chans[4]), 1);
    CHECK_EQ(next_mark(cgrp), 1);
    chan_take(chans[1]);
    CHECK_EQ(next_mark(cgrp), 3);
    chan_take(chans[3]);
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    cgrp_end(cgrp);
    for (int i = 0; i < count; i++)
        chan_end(chans[i]);
}

CONTRACT(free_refuses_while_events_pend)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(1);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 1), 0);
    chan_give(chan, 1);
    CHECK_EQ(weft_cgrp_free(cgrp), -EBUSY);
    CHECK_EQ(next_mark(cgrp), 1);
    CHECK_EQ(weft_cgrp_free(cgrp), -EBUSY); /* reported, but still ready */
    CHECK_EQ(chan_take(chan), 1);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
}

CONTRACT(freeing_a_group_leaves_its_members_alive_and_free_to_join_another)
{
    weft_cgrp_t cgrp = cgrp_new(), next = cgrp_new();
    weft_chan_t chans[3];
    for (unsigned i = 0; i < 3; i++) {
        chans[i] = chan_new(1);
        CHECK_EQ(weft_cgrp_add(cgrp, chans[i], i), 0);
    }
    cgrp_end(cgrp);
    for (unsigned i = 0; i < 3; i++) {
        chan_give(chans[i], i);
        CHECK_EQ(weft_cgrp_add(next, chans[i], i), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(next_mark(next), i);
        CHECK_EQ(chan_take(chans[i]), i);
    }
    cgrp_end(next);
    for (int i = 0; i < 3; i++)
        chan_end(chans[i]);
}

CONTRACT(a_freed_group_is_ebadf_everywhere)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(1);
    struct weft_event event;
    _Alignas(16) struct weft_op op;
    cgrp_end(cgrp);
    CHECK_EQ(weft_cgrp_free(cgrp), -EBADF);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 0), -EBADF);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), -EBADF);
    CHECK_EQ(weft_cgrp_wait(cgrp, &event), -EBADF);
    CHECK_EQ(weft_cgrp_wait_until(cgrp, &event, 0), -EBADF);
    CHECK_EQ(weft_cgrp_try_wait(cgrp, &event), -EBADF);
    CHECK_EQ(weft_cgrp_wait_start(cgrp, &op, 0), -EBADF);
    chan_end(chan);
}

CONTRACT(add_and_remove_of_a_freed_channel_are_ebadf)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(1);
    chan_end(chan);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 0), -EBADF);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), -EBADF);
    cgrp_end(cgrp);
}

CONTRACT(the_last_release_takes_a_channel_out_of_its_group)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chans[3];
    for (unsigned i = 0; i < 3; i++) {
        chans[i] = chan_new(1);
        chan_give(chans[i], i);
        CHECK_EQ(weft_cgrp_add(cgrp, chans[i], i), 0);
    }
    chan_end(chans[1]);
    CHECK_EQ(next_mark(cgrp), 0);
    CHECK_EQ(chan_take(chans[0]), 0);
    CHECK_EQ(next_mark(cgrp), 2);
    CHECK_EQ(chan_take(chans[2]), 2);
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    CHECK_EQ(weft_cgrp_remove(cgrp, chans[1]), -EBADF);
    chan_end(chans[0]);
    chan_end(chans[2]);
    cgrp_end(cgrp);
}

/* ---- order and fairness ------------------------------------------------------------------------------------------ */

CONTRACT(readiness_is_fifo)
{
    enum { count = 20 };
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chans[count];
    for (unsigned i = 0; i < count; i++) {
        chans[i] = chan_new(1);
        CHECK_EQ(weft_cgrp_add(cgrp, chans[i], i), 0);
    }
    for (int i = 0; i < count; i++)
        chan_give(chans[i * 7 % count], 0);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(next_mark(cgrp), i * 7 % count);
        chan_take(chans[i * 7 % count]);
    }
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    cgrp_end(cgrp);
    for (int i = 0; i < count; i++)
        chan_end(chans[i]);
}

CONTRACT(members_that_stay_ready_are_reported_in_turn)
{
    enum { count = 7, rounds = 100 };
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chans[count];
    for (unsigned i = 0; i < count; i++) {
        chans[i] = chan_new(rounds);
        for (int j = 0; j < rounds; j++)
            chan_give(chans[i], 0);
        CHECK_EQ(weft_cgrp_add(cgrp, chans[i], i), 0);
    }
    for (int j = 0; j < rounds; j++)
        for (int i = 0; i < count; i++) {
            REQUIRE_EQ(next_mark(cgrp), i);
            chan_take(chans[i]);
        }
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    cgrp_end(cgrp);
    for (int i = 0; i < count; i++)
        chan_end(chans[i]);
}

CONTRACT(a_member_is_reported_for_as_long_as_words_are_left)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(5);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 4), 0);
    for (int i = 0; i < 5; i++)
        chan_give(chan, 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(next_mark(cgrp), 4);
        chan_take(chan);
    }
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    chan_give(chan, 0);
    CHECK_EQ(next_mark(cgrp), 4);
    chan_take(chan);
    cgrp_end(cgrp);
    chan_end(chan);
}

CONTRACT(a_member_emptied_without_asking_the_group_is_no_longer_ready)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(1);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 4), 0);
    chan_give(chan, 0);
    chan_take(chan);
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), 0);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
}

CONTRACT(a_waiting_sender_that_times_out_takes_its_readiness_along)
{
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 4), 0);
    CHECK_EQ(weft_chan_send_until(chan, 1, scene_in_ms(5)), -ETIMEDOUT);
    CHECK_EQ(next_mark(cgrp), -EAGAIN);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

CONTRACT(wait_waits_for_the_first_event)
{
    struct part part = {.cgrp = cgrp_new(), .chan = chan_new(1)};
    CHECK_EQ(weft_cgrp_add(part.cgrp, part.chan, 6), 0);
    struct actor *waiter = scene_spawn(scene, do_wait, &part);
    SCENE_AWAIT(atomic_load(&part.waiting));
    for (int i = 0; i < 20; i++)
        weft_lwt_yield();
    CHECK_EQ(atomic_load(&part.done), 0);
    chan_give(part.chan, 1);
    scene_join(waiter);
    CHECK_EQ(part.result, 0);
    CHECK_EQ(part.event.mark, 6);
    CHECK_EQ(part.event.chan.id, part.chan.id);
    CHECK_EQ(chan_take(part.chan), 1);
    cgrp_end(part.cgrp);
    chan_end(part.chan);
}

CONTRACT(adding_a_ready_channel_wakes_a_waiter)
{
    struct part part = {.cgrp = cgrp_new(), .chan = chan_new(1)};
    chan_give(part.chan, 1);
    struct actor *waiter = scene_spawn(scene, do_wait, &part);
    SCENE_AWAIT(atomic_load(&part.waiting));
    for (int i = 0; i < 20; i++)
        weft_lwt_yield();
    CHECK_EQ(weft_cgrp_add(part.cgrp, part.chan, 6), 0);
    scene_join(waiter);
    CHECK_EQ(part.result, 0);
    CHECK_EQ(part.event.mark, 6);
    CHECK_EQ(chan_take(part.chan), 1);
    cgrp_end(part.cgrp);
    chan_end(part.chan);
}

CONTRACT(closing_a_member_wakes_a_waiter)
{
    struct part part = {.cgrp = cgrp_new(), .chan = chan_new(1)};
    CHECK_EQ(weft_cgrp_add(part.cgrp, part.chan, 6), 0);
    struct actor *waiter = scene_spawn(scene, do_wait, &part);
    SCENE_AWAIT(atomic_load(&part.waiting));
    CHECK_EQ(weft_chan_close(part.chan), 0);
    scene_join(waiter);
    CHECK_EQ(part.result, 0);
    CHECK_EQ(part.event.mark, 6);
    CHECK_EQ(weft_cgrp_remove(part.cgrp, part.chan), 1);
    cgrp_end(part.cgrp);
    chan_end(part.chan);
}

CONTRACT(a_wait_times_out_after_its_deadline)
{
    weft_cgrp_t cgrp = cgrp_new();
    struct weft_event event;
    int64_t deadline = scene_in_ms(10);
    CHECK_EQ(weft_cgrp_wait_until(cgrp, &event, deadline), -ETIMEDOUT);
    CHECK(check_now_ns() >= deadline);
    CHECK_EQ(weft_cgrp_wait_until(cgrp, &event, INT64_MIN), -ETIMEDOUT);
    cgrp_end(cgrp);
}

CONTRACT(free_wakes_every_waiter_with_ebadf)
{
    enum { count = 6 };
    struct part parts[count];
    struct actor *waiters[count];
    weft_cgrp_t cgrp = cgrp_new();
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 0), 0);
    for (int i = 0; i < count; i++) {
        parts[i] = (struct part){.cgrp = cgrp};
        waiters[i] = scene_spawn(scene, do_wait, &parts[i]);
    }
    for (int i = 0; i < count; i++)
        SCENE_AWAIT(atomic_load(&parts[i].waiting)); /* whoever has not come to wait yet finds it stale: the same */
    cgrp_end(cgrp);
    for (int i = 0; i < count; i++) {
        scene_join(waiters[i]);
        CHECK_EQ(parts[i].result, -EBADF);
    }
    chan_end(chan);
}

CONTRACT(an_interrupted_group_wait_takes_no_event)
{
    struct part part = {.cgrp = cgrp_new(), .chan = chan_new(1)};
    CHECK_EQ(weft_cgrp_add(part.cgrp, part.chan, 6), 0);
    struct actor *waiter = scene_spawn(scene, do_wait, &part);
    SCENE_AWAIT(atomic_load(&part.waiting));
    uint64_t id = atomic_load(&part.lwt);
    if (id) {
        CHECK_EQ(weft_lwt_interrupt(lwt_of(id)), 0);
        scene_join(waiter);
        CHECK_EQ(part.result, -EINTR);
        chan_give(part.chan, 1);
        CHECK_EQ(next_mark(part.cgrp), 6);
    } else {
        chan_give(part.chan, 1);
        scene_join(waiter);
    }
    CHECK_EQ(chan_take(part.chan), 1);
    cgrp_end(part.cgrp);
    chan_end(part.chan);
}

CONTRACT(several_waiters_each_get_an_event)
{
    enum { count = 5 };
    struct part parts[count];
    struct actor *waiters[count];
    weft_chan_t chans[count];
    weft_cgrp_t cgrp = cgrp_new();
    for (unsigned i = 0; i < count; i++) {
        chans[i] = chan_new(0);
        CHECK_EQ(weft_cgrp_add(cgrp, chans[i], i), 0);
        parts[i] = (struct part){.cgrp = cgrp};
        waiters[i] = scene_spawn(scene, do_wait, &parts[i]);
    }
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_chan_close(chans[i]), 0);
    for (int i = 0; i < count; i++) {
        scene_join(waiters[i]);
        CHECK_EQ(parts[i].result, 0);
        CHECK(parts[i].event.mark < count);
    }
    for (int i = 0; i < count; i++)
        chan_end(chans[i]);
    cgrp_end(cgrp);
}

/* ---- traffic ----------------------------------------------------------------------------------------------------- */

struct source {
    weft_chan_t chan;
    long count;
    uint64_t first;
};

static void send_stream(void *arg)
{
    struct source *source = arg;
    for (long i = 0; i < source->count; i++)
        chan_give(source->chan, source->first + (uint64_t)i);
    CHECK_EQ(weft_chan_close(source->chan), 0);
}

CONTRACT(a_multiplexer_gets_every_word_of_every_source_in_order)
{
    enum { count = 8 };
    struct source sources[count];
    struct actor *actors[count];
    uint64_t next[count] = {0};
    weft_cgrp_t cgrp = cgrp_new();
    int open = count;
    for (unsigned i = 0; i < count; i++) {
        sources[i] = (struct source){chan_new(i % 4), check_scale(2000), 0};
        CHECK_EQ(weft_cgrp_add(cgrp, sources[i].chan, i), 0);
    }
    for (int i = 0; i < count; i++)
        actors[i] = scene_spawn(scene, send_stream, &sources[i]);
    while (open) {
        struct weft_event event;
        uint64_t value;
        REQUIRE_EQ(weft_cgrp_wait(cgrp, &event), 0);
        REQUIRE(event.mark < count);
        REQUIRE_EQ(event.chan.id, sources[event.mark].chan.id);
        int r = weft_chan_try_recv(event.chan, &value);
        if (r == 0) {
            REQUIRE_EQ(value, next[event.mark]++);
        } else if (r == -EPIPE) {
            REQUIRE_EQ(weft_cgrp_remove(cgrp, event.chan), 1);
            open--;
        } else {
            /* the only receiver: what is reported is there, but for a sender whose deadline came (none has one) */
            REQUIRE_EQ(r, 0);
        }
    }
    for (int i = 0; i < count; i++) {
        scene_join(actors[i]);
        CHECK_EQ(next[i], sources[i].count);
        chan_end(sources[i].chan);
    }
    cgrp_end(cgrp);
}

struct pool {
    weft_cgrp_t cgrp;
    atomic_long taken;
    _Atomic uint64_t sum;
};

static void take_events(void *arg)
{
    struct pool *pool = arg;
    struct weft_event event;
    uint64_t value;
    int r;
    while ((r = weft_cgrp_wait(pool->cgrp, &event)) == 0) {
        r = weft_chan_try_recv(event.chan, &value);
        if (r == -EPIPE)
            weft_cgrp_remove(pool->cgrp, event.chan); /* closed is ready for ever; another may have done it */
        if (r)
            continue; /* another was quicker: readiness is a hint */
        if (value == UINT64_MAX)
            return;
        atomic_fetch_add(&pool->taken, 1);
        atomic_fetch_add(&pool->sum, value);
    }
    REQUIRE_EQ(r, -EBADF);
}

CONTRACT(several_receivers_share_a_group_and_lose_nothing)
{
    enum { count = 4 };
    struct source sources[count];
    struct actor *actors[count], *takers[3];
    struct pool pool = {.cgrp = cgrp_new()};
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        sources[i] = (struct source){chan_new(i), check_scale(2000), i * 100000};
        CHECK_EQ(weft_cgrp_add(pool.cgrp, sources[i].chan, i), 0);
        for (long j = 0; j < sources[i].count; j++)
            sum += sources[i].first + (uint64_t)j;
    }
    weft_chan_t stop = chan_new(3);
    CHECK_EQ(weft_cgrp_add(pool.cgrp, stop, 99), 0);
    for (int i = 0; i < 3; i++)
        takers[i] = scene_spawn(scene, take_events, &pool);
    for (int i = 0; i < count; i++)
        actors[i] = scene_spawn(scene, send_stream, &sources[i]);
    for (int i = 0; i < count; i++)
        scene_join(actors[i]);
    SCENE_AWAIT(atomic_load(&pool.taken) == count * sources[0].count);
    for (int i = 0; i < 3; i++)
        chan_give(stop, UINT64_MAX);
    for (int i = 0; i < 3; i++)
        scene_join(takers[i]);
    CHECK_EQ(atomic_load(&pool.sum), sum);
    for (int i = 0; i < count; i++)
        chan_end(sources[i].chan);
    chan_end(stop);
    cgrp_end(pool.cgrp);
}

struct churn {
    weft_cgrp_t cgrp;
    weft_chan_t chans[8];
    atomic_int stop;
    uint64_t seed;
};

static void churn_members(void *arg)
{
    struct churn *churn = arg;
    struct check_random random = check_random_from(churn->seed);
    while (!atomic_load(&churn->stop)) {
        weft_chan_t chan = churn->chans[check_random_below(&random, 8)];
        bool add = check_random_below(&random, 2);
        int r = add ? weft_cgrp_add(churn->cgrp, chan, 1) : weft_cgrp_remove(churn->cgrp, chan);
        REQUIRE(r >= 0 || r == -EEXIST || r == -ENOENT);
        weft_lwt_yield();
    }
}

CONTRACT(members_come_and_go_under_traffic)
{
    struct churn churn = {.cgrp = cgrp_new(), .seed = check_seed()};
    struct check_random random = check_random_from(churn.seed + 1);
    long given = 0, taken = 0;
    for (int i = 0; i < 8; i++)
        churn.chans[i] = chan_new(4);
    struct actor *churner = scene_spawn(scene, churn_members, &churn);
    for (int i = 0; i < check_scale(20000); i++) {
        struct weft_event event;
        uint64_t value;
        if (weft_chan_try_send(churn.chans[check_random_below(&random, 8)], 1) == 0)
            given++;
        if (weft_cgrp_try_wait(churn.cgrp, &event) == 0 && weft_chan_try_recv(event.chan, &value) == 0)
            taken++;
        if (i % 8 == 0)
            weft_lwt_yield();
    }
    atomic_store(&churn.stop, 1);
    scene_join(churner);
    for (int i = 0; i < 8; i++) {
        uint64_t value;
        while (weft_chan_try_recv(churn.chans[i], &value) == 0)
            taken++;
        weft_cgrp_remove(churn.cgrp, churn.chans[i]);
        chan_end(churn.chans[i]);
    }
    CHECK_EQ(given, taken);
    cgrp_end(churn.cgrp);
}

/* ---- size -------------------------------------------------------------------------------------------------------- */

static void large_group(void)
{
    /* any walk over the members would make this 10^10 steps: the time limit is the assertion */
    uint32_t count = (uint32_t)check_scale(100000);
    uint64_t *ids = malloc(count * sizeof *ids);
    weft_cgrp_t cgrp = cgrp_new();
    for (uint32_t i = 0; i < count; i++) {
        weft_chan_t chan = chan_new(1);
        ids[i] = chan.id;
        REQUIRE_EQ(weft_cgrp_add(cgrp, chan, i), 0);
    }
    for (uint32_t i = 0; i < count; i++)
        REQUIRE_EQ(weft_chan_try_send(chan_of(ids[i]), i), 0);
    for (uint32_t i = 0; i < count; i += 2)
        REQUIRE_EQ(weft_cgrp_remove(cgrp, chan_of(ids[i])), 1);
    for (uint32_t i = 1; i < count; i += 2) {
        struct weft_event event;
        uint64_t value;
        REQUIRE_EQ(weft_cgrp_wait(cgrp, &event), 0);
        REQUIRE_EQ(event.mark, i);
        REQUIRE_EQ(weft_chan_try_recv(event.chan, &value), 0);
        REQUIRE_EQ(value, i);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i % 2 && i % 4 == 1)
            REQUIRE_EQ(weft_cgrp_remove(cgrp, chan_of(ids[i])), 0);
        REQUIRE_EQ(weft_chan_release(chan_of(ids[i]), 0), 0);
    }
    cgrp_end(cgrp);
    free(ids);
}

TEST(a_group_of_a_hundred_thousand_channels_from_a_plain_thread)
{
    large_group();
    CHECK_EQ(all_info().channels, 0);
}

LWT_TEST(a_group_of_a_hundred_thousand_channels_from_an_lwt)
{
    large_group();
}

TEST(freeing_a_large_group_frees_its_members_from_it)
{
    enum { count = 10000 };
    static weft_chan_t chans[count];
    weft_cgrp_t cgrp = cgrp_new(), next = cgrp_new();
    for (int i = 0; i < count; i++) {
        chans[i] = chan_new(1);
        REQUIRE_EQ(weft_cgrp_add(cgrp, chans[i], 0), 0);
    }
    cgrp_end(cgrp);
    for (int i = 0; i < count; i++) {
        REQUIRE_EQ(weft_cgrp_add(next, chans[i], 0), 0);
        chan_end(chans[i]);
    }
    cgrp_end(next);
}

TEST(the_65536th_group_is_refused_with_enospc_and_then_there_is_room_again)
{
    enum { most = 65535 };
    static weft_cgrp_t groups[most];
    weft_cgrp_t more = {77};
    for (int i = 0; i < most; i++)
        REQUIRE_EQ(weft_cgrp_create(&groups[i]), 0);
    CHECK_EQ(weft_cgrp_create(&more), -ENOSPC);
    CHECK_EQ(more.id, 77);
    cgrp_end(groups[4711]);
    CHECK_EQ(weft_cgrp_create(&groups[4711]), 0);
    CHECK_EQ(weft_cgrp_create(&more), -ENOSPC);
    for (int i = 0; i < most; i++)
        cgrp_end(groups[i]);
}

TEST(a_new_group_never_has_an_old_ones_handle)
{
    uint64_t before = 0;
    for (int i = 0; i < 1000; i++) {
        weft_cgrp_t cgrp = cgrp_new();
        CHECK(cgrp.id != before);
        before = cgrp.id;
        cgrp_end(cgrp);
    }
}
