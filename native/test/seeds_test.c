/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seeds: the first seed's own checks, in weft's words. The seed is a course project's lightweight-thread library; its
 * calls stand here as thin functions over ours, so that each of its rules reads as it was meant.
 *
 *     lwt_create(fn, data, NOJOIN)   weft_lwt_create, WEFT_LWT_DETACHED      lwt_chan(n)        weft_chan_create
 *     lwt_join / lwt_die             weft_lwt_join / weft_lwt_exit           lwt_snd, lwt_rcv   weft_chan_send, _recv
 *     lwt_yield(t or none)           weft_lwt_yield_to, weft_lwt_yield       lwt_chan_deref     weft_chan_release
 *     lwt_snd_thd, lwt_rcv_thd       an lwt's id as a word                   lwt_cgrp_*         weft_cgrp_*
 *     lwt_kthd_create(fn, chan)      weft_kthd_create + weft_lwt_create      lwt_chan_mark_*    weft_chan_mark_*
 */
#include "scene.h"

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static void *fn_bounce(void *arg)
{
    for (int i = 0; i < 10; i++)
        weft_lwt_yield();
    return arg;
}

static void *fn_null(void *arg)
{
    (void)arg;
    return NULL;
}

static void *fn_identity(void *arg) { return arg; }

static void *fn_die(void *arg)
{
    weft_lwt_exit(arg);
    return NULL; /* not reached */
}

LWT_TEST(fork_and_join_many_times)
{
    for (intptr_t i = 0; i < check_scale(10000); i++)
        REQUIRE_EQ((intptr_t)lwt_result(lwt_new(no_kthd, i % 2 ? fn_identity : fn_die, (void *)i)), i);
}

LWT_TEST(two_bounce_to_each_other)
{
    weft_lwt_t a = lwt_new(no_kthd, fn_bounce, (void *)1), b = lwt_new(no_kthd, fn_bounce, (void *)2);
    CHECK_EQ((intptr_t)lwt_result(a), 1);
    CHECK_EQ((intptr_t)lwt_result(b), 2);
}

static void *fn_sequence(void *arg)
{
    static int at;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(at % 3, (intptr_t)arg);
        at++;
        weft_lwt_yield();
    }
    return NULL;
}

LWT_TEST(three_take_turns_in_sequence)
{
    weft_lwt_t lwts[3];
    for (intptr_t i = 0; i < 3; i++)
        lwts[i] = lwt_new(no_kthd, fn_sequence, (void *)i);
    for (int i = 0; i < 3; i++)
        lwt_result(lwts[i]);
}

static void *fn_nested(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        weft_lwt_exit((void *)0x37337);
    return lwt_result(lwt_new(no_kthd, fn_nested, (void *)(depth - 1)));
}

LWT_TEST(joins_nest_and_pass_the_value_up)
{
    CHECK_EQ((intptr_t)lwt_run(no_kthd, fn_nested, (void *)10), 0x37337);
}

static void *fn_join_stranger(void *arg)
{
    return lwt_result(*(weft_lwt_t *)arg);
}

LWT_TEST(anyone_may_join)
{
    weft_lwt_t lwt = lwt_new(no_kthd, fn_identity, (void *)6);
    CHECK_EQ((intptr_t)lwt_run(scene->kthds[1], fn_join_stranger, &lwt), 6);
}

static void *fn_join_self(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)weft_lwt_join(weft_lwt_current(), NULL);
}

LWT_TEST(joining_oneself_is_an_error)
{
    CHECK_EQ((intptr_t)lwt_run(no_kthd, fn_join_self, NULL), -EDEADLK);
}

static int first_to_run;

static void *fn_first(void *arg)
{
    if (!first_to_run)
        first_to_run = (int)(intptr_t)arg;
    return NULL;
}

LWT_TEST(the_one_that_is_yielded_to_goes_first)
{
    weft_lwt_t a = lwt_new(no_kthd, fn_first, (void *)1), b = lwt_new(no_kthd, fn_first, (void *)2);
    CHECK_EQ(weft_lwt_yield_to(b), 0);
    CHECK_EQ(first_to_run, 2);
    lwt_result(a);
    lwt_result(b);
}

LWT_TEST(a_nojoin_thread_is_reclaimed_at_its_death)
{
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    attr.flags = WEFT_LWT_DETACHED;
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(weft_lwt_create(NULL, no_kthd, fn_null, NULL, &attr), 0);
    CHECK_EQ(all_info().runnable, 1001);
    while (all_info().lwts > 1)
        weft_lwt_yield();
    CHECK_EQ(all_info().zombies, 0);
}

LWT_TEST(info_tells_runnable_blocked_and_zombies)
{
    weft_lwt_t a = lwt_new(no_kthd, fn_null, NULL), b = lwt_new(no_kthd, fn_null, NULL);
    CHECK_EQ(all_info().runnable, 3);
    weft_lwt_yield();
    CHECK_EQ(all_info().runnable, 1);
    CHECK_EQ(all_info().zombies, 2);
    lwt_result(a);
    CHECK_EQ(all_info().zombies, 1);
    lwt_result(b);
    CHECK_EQ(all_info().zombies, 0);
    CHECK_EQ(all_info().blocked, 0);
}

static void *fn_id(void *arg)
{
    (void)arg;
    return (void *)weft_lwt_id();
}

LWT_TEST(ids_differ_and_name_the_thread)
{
    weft_lwt_t a = lwt_new(no_kthd, fn_id, NULL), b = lwt_new(no_kthd, fn_id, NULL);
    CHECK(a.id != b.id);
    CHECK(a.id != weft_lwt_id());
    CHECK_EQ((uint64_t)lwt_result(a), a.id);
    CHECK_EQ((uint64_t)lwt_result(b), b.id);
}

/* ---- channels ---------------------------------------------------------------------------------------------------- */

/* The seed's lwt_create_chan: the thread is given a channel to its creator, as a counted sender. */
static void *fn_chan(void *arg)
{
    weft_chan_t to = *(weft_chan_t *)arg, from = chan_new(0);
    REQUIRE_EQ(weft_chan_retain(from, WEFT_CHAN_SENDER), 0);
    chan_give(to, from.id); /* send our channel back: lwt_snd_chan */
    for (uint64_t i = 0; i < 100; i++) {
        CHECK_EQ(chan_take(from), i);
        chan_give(to, i + 1);
    }
    CHECK_EQ(weft_chan_release(to, WEFT_CHAN_SENDER), 0);
    chan_end(from);
    return NULL;
}

LWT_TEST(a_channel_is_sent_over_a_channel_and_both_are_dereferenced)
{
    for (int k = 0; k < 2; k++) {
        weft_chan_t from = chan_new(0);
        REQUIRE_EQ(weft_chan_retain(from, WEFT_CHAN_SENDER), 0);
        weft_lwt_t lwt = lwt_new(scene->kthds[k], fn_chan, &from);
        weft_chan_t to = chan_of(chan_take(from));
        for (uint64_t i = 0; i < 100; i++) {
            chan_give(to, i);
            CHECK_EQ(chan_take(from), i + 1);
        }
        lwt_result(lwt);
        CHECK_EQ(weft_chan_release(to, WEFT_CHAN_SENDER), 0);
        CHECK_EQ(weft_chan_send(to, 1), -EBADF); /* that was the last reference */
        uint64_t value;
        CHECK_EQ(weft_chan_recv(from, &value), -EPIPE); /* its only sender is gone */
        chan_end(from);
    }
    CHECK_EQ(all_info().channels, 0);
}

LWT_TEST(sending_fails_when_the_receiver_is_gone)
{
    weft_chan_t chan = chan_new(2);
    REQUIRE_EQ(weft_chan_retain(chan, WEFT_CHAN_RECEIVER), 0);
    chan_give(chan, 1); /* lost */
    REQUIRE_EQ(weft_chan_release(chan, WEFT_CHAN_RECEIVER), 0);
    CHECK_EQ(weft_chan_send(chan, 1), -EPIPE);
    chan_end(chan);
}

LWT_TEST(receiving_returns_empty_when_no_sender_is_left)
{
    weft_chan_t chan = chan_new(2);
    uint64_t value;
    REQUIRE_EQ(weft_chan_retain(chan, WEFT_CHAN_SENDER), 0);
    chan_give(chan, 1);
    REQUIRE_EQ(weft_chan_release(chan, WEFT_CHAN_SENDER), 0);
    CHECK_EQ(chan_take(chan), 1);
    CHECK_EQ(weft_chan_recv(chan, &value), -EPIPE);
    chan_end(chan);
}

static void *fn_fill(void *arg)
{
    weft_chan_t chan = *(weft_chan_t *)arg;
    for (uint64_t i = 0; i < 20; i++)
        chan_give(chan, i);
    return NULL;
}

LWT_TEST(buffers_really_fill_before_the_sender_blocks)
{
    for (uint32_t size = 0; size < 10; size++) {
        weft_chan_t chan = chan_new(size);
        weft_lwt_t lwt = lwt_new(no_kthd, fn_fill, &chan);
        weft_lwt_yield();
        CHECK_EQ(weft_lwt_state(lwt), WEFT_LWT_BLOCKED);
        CHECK_EQ(chan_info(chan).length, size);
        CHECK_EQ(all_info().sending, 1);
        for (uint64_t i = 0; i < 20; i++)
            CHECK_EQ(chan_take(chan), i);
        lwt_result(lwt);
        chan_end(chan);
    }
}

LWT_TEST(freeing_loses_what_is_buffered)
{
    weft_chan_t chan = chan_new(3);
    chan_give(chan, 1);
    chan_give(chan, 2);
    chan_end(chan);
    CHECK_EQ(all_info().channels, 0);
}

LWT_TEST(a_channel_has_a_mark)
{
    weft_chan_t chan = chan_new(0);
    uint64_t mark;
    CHECK_EQ(weft_chan_mark_set(chan, (uint64_t)(uintptr_t)&chan), 0);
    CHECK_EQ(weft_chan_mark_get(chan, &mark), 0);
    CHECK_EQ(mark, (uint64_t)(uintptr_t)&chan);
    chan_end(chan);
}

LWT_TEST(info_tells_channels_sending_and_receiving)
{
    weft_chan_t a = chan_new(0), b = chan_new(0);
    weft_lwt_t sender = lwt_new(no_kthd, fn_fill, &a), receiver = lwt_new(no_kthd, fn_chan, &b);
    (void)receiver;
    weft_lwt_yield();
    CHECK_EQ(all_info().channels, 3); /* fn_chan made one */
    CHECK_EQ(all_info().sending, 2);
    weft_chan_t to = chan_of(chan_take(b));
    weft_lwt_yield();
    CHECK_EQ(all_info().receiving, 1);
    CHECK_EQ(all_info().sending, 1);
    REQUIRE_EQ(weft_chan_retain(b, WEFT_CHAN_SENDER), 0);
    for (uint64_t i = 0; i < 100; i++) {
        chan_give(to, i);
        CHECK_EQ(chan_take(b), i + 1);
    }
    lwt_result(receiver);
    for (uint64_t i = 0; i < 20; i++)
        CHECK_EQ(chan_take(a), i);
    lwt_result(sender);
    CHECK_EQ(weft_chan_release(to, WEFT_CHAN_SENDER), 0);
    chan_end(a);
    chan_end(b);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

LWT_TEST(a_group_collects_the_events_of_its_channels)
{
    enum { count = 100, rounds = 50 };
    weft_cgrp_t cgrp;
    weft_chan_t chans[count];
    weft_lwt_t lwts[count];
    long got = 0;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    for (uint64_t i = 0; i < count; i++) {
        chans[i] = chan_new(i % 2 ? 8 : 0);
        REQUIRE_EQ(weft_cgrp_add(cgrp, chans[i], i), 0);
        lwts[i] = lwt_new(scene->kthds[i % 3 == 0], fn_fill, &chans[i]);
    }
    uint64_t next[count] = {0};
    for (; got < count * 20; got++) {
        struct weft_event event;
        REQUIRE_EQ(weft_cgrp_wait(cgrp, &event), 0);
        REQUIRE_EQ(chans[event.mark].id, event.chan.id);
        REQUIRE_EQ(chan_take(event.chan), next[event.mark]++);
    }
    for (int i = 0; i < count; i++) {
        lwt_result(lwts[i]);
        CHECK_EQ(weft_cgrp_remove(cgrp, chans[i]), 0);
        chan_end(chans[i]);
    }
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
}

LWT_TEST(events_pending_at_adding_are_reported_and_removing_tells_of_them)
{
    weft_cgrp_t cgrp;
    weft_chan_t chan = chan_new(1);
    struct weft_event event;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    chan_give(chan, 1);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 7), 0);
    CHECK_EQ(weft_cgrp_free(cgrp), -EBUSY);
    CHECK_EQ(weft_cgrp_wait(cgrp, &event), 0);
    CHECK_EQ(event.mark, 7);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), 1);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 8), 0);
    CHECK_EQ(chan_take(chan), 1);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), 0);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
}

LWT_TEST(a_channel_is_in_one_group_only)
{
    weft_cgrp_t a, b;
    weft_chan_t chan = chan_new(1);
    REQUIRE_EQ(weft_cgrp_create(&a), 0);
    REQUIRE_EQ(weft_cgrp_create(&b), 0);
    CHECK_EQ(weft_cgrp_add(a, chan, 0), 0);
    CHECK_EQ(weft_cgrp_add(b, chan, 0), -EEXIST);
    CHECK_EQ(weft_cgrp_free(a), 0);
    CHECK_EQ(weft_cgrp_add(b, chan, 0), 0);
    chan_end(chan);
    CHECK_EQ(weft_cgrp_free(b), 0);
}

/* ---- kernel threads ---------------------------------------------------------------------------------------------- */

static void *fn_remote(void *arg)
{
    /* lwt_snd_thd: an lwt as a message; the receiver joins it */
    weft_chan_t chan = *(weft_chan_t *)arg;
    for (intptr_t i = 0; i < 100; i++)
        chan_give(chan, lwt_new(no_kthd, fn_identity, (void *)i).id);
    CHECK_EQ(weft_chan_close(chan), 0);
    return NULL;
}

LWT_TEST(an_lwt_is_sent_as_a_message_from_another_kthd)
{
    weft_chan_t chan = chan_new(4);
    weft_lwt_t remote = lwt_new(scene->kthds[1], fn_remote, &chan);
    uint64_t id;
    for (intptr_t i = 0; weft_chan_recv(chan, &id) == 0; i++)
        CHECK_EQ((intptr_t)lwt_result(lwt_of(id)), i);
    lwt_result(remote);
    chan_end(chan);
}

static void *fn_worker(void *arg)
{
    weft_chan_t *chans = arg;
    uint64_t job;
    while (weft_chan_recv(chans[0], &job) == 0)
        chan_give(chans[1], job * job);
    return NULL;
}

LWT_TEST(a_pool_of_kthds_serves_one_channel)
{
    /* the relative's pool: any kthd takes the next request */
    enum { workers = 8, jobs = 2000 };
    weft_chan_t chans[2] = {chan_new(4), chan_new(4)};
    weft_lwt_t lwts[workers];
    uint64_t sum = 0, expected = 0, sent = 0;
    for (int i = 0; i < workers; i++)
        lwts[i] = lwt_new(scene->kthds[i % 2], fn_worker, chans);
    for (uint64_t got = 0; got < jobs;) {
        uint64_t value;
        if (sent < jobs && weft_chan_try_send(chans[0], sent) == 0) {
            expected += sent * sent;
            sent++;
        } else if (weft_chan_recv(chans[1], &value) == 0) {
            sum += value;
            got++;
        }
    }
    CHECK_EQ(sum, expected);
    CHECK_EQ(weft_chan_close(chans[0]), 0);
    for (int i = 0; i < workers; i++)
        lwt_result(lwts[i]);
    chan_end(chans[0]);
    chan_end(chans[1]);
}
