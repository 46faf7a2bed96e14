/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op: operations that are started and awaited apart: completion at once and later, polling, waiting, withdrawing,
 * and tokens. The callers here are plain threads, for whom this is made; partners are of every kind.
 */
#include "scene.h"

static int64_t drain_tokens(void)
{
    uint64_t token;
    int r = weft_op_completed(&token, 1, 0);
    return r == 1 ? (int64_t)token : r;
}

struct part {
    weft_chan_t chan;
    weft_cgrp_t cgrp;
    uint64_t value;
    int result;
    _Alignas(16) struct weft_op op;
    int64_t deadline;
    atomic_int waiting;
};

static void *lwt_send(void *arg)
{
    struct part *part = arg;
    part->result = weft_chan_send(part->chan, part->value);
    return NULL;
}

static void *lwt_recv(void *arg)
{
    struct part *part = arg;
    part->result = weft_chan_recv(part->chan, &part->value);
    return NULL;
}

/* ---- at once ----------------------------------------------------------------------------------------------------- */

TEST(what_can_be_done_at_once_is_done_by_the_start)
{
    weft_chan_t chan = chan_new(1);
    _Alignas(16) struct weft_op op;
    memset(&op, 0xa5, sizeof op); /* need not be initialised */
    CHECK_EQ(weft_chan_send_start(chan, 5, &op, 0), 0);
    memset(&op, 0xa5, sizeof op);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 0), 0);
    CHECK_EQ(op.value, 5);
    chan_end(chan);
}

TEST(a_group_wait_that_is_ready_is_done_by_the_start)
{
    weft_chan_t chan = chan_new(1);
    weft_cgrp_t cgrp;
    _Alignas(16) struct weft_op op;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    REQUIRE_EQ(weft_cgrp_add(cgrp, chan, 77), 0);
    chan_give(chan, 1);
    CHECK_EQ(weft_cgrp_wait_start(cgrp, &op, 0), 0);
    CHECK_EQ(op.value, chan.id);
    CHECK_EQ(op.mark, 77);
    CHECK_EQ(chan_take(chan), 1);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
}

TEST(an_operation_that_was_done_at_once_announces_no_token)
{
    weft_chan_t chan = chan_new(1);
    _Alignas(16) struct weft_op op;
    CHECK_EQ(weft_chan_send_start(chan, 5, &op, 123), 0);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 124), 0);
    CHECK_EQ(drain_tokens(), -ETIMEDOUT);
    chan_end(chan);
}

TEST(start_reports_the_errors_of_the_try_form)
{
    weft_chan_t chan = chan_new(1), gone = chan_new(1);
    weft_cgrp_t cgrp;
    _Alignas(16) struct weft_op op;
    chan_end(gone);
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    CHECK_EQ(weft_chan_send_start(gone, 1, &op, 0), -EBADF);
    CHECK_EQ(weft_chan_recv_start(gone, &op, 0), -EBADF);
    CHECK_EQ(weft_cgrp_wait_start(cgrp, &op, 0), -EBADF);
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_EQ(weft_chan_send_start(chan, 1, &op, 0), -EPIPE);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 0), -EPIPE);
    chan_end(chan);
}

TEST(start_refuses_no_op_and_a_misaligned_one)
{
    weft_chan_t chan = chan_new(0);
    weft_cgrp_t cgrp;
    _Alignas(16) char memory[sizeof(struct weft_op) + 16];
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    CHECK_EQ(weft_chan_send_start(chan, 1, NULL, 0), -EINVAL);
    CHECK_EQ(weft_chan_recv_start(chan, NULL, 0), -EINVAL);
    CHECK_EQ(weft_cgrp_wait_start(cgrp, NULL, 0), -EINVAL);
    struct weft_op *crooked = (void *)(memory + 8);
    CHECK_EQ(weft_chan_send_start(chan, 1, crooked, 0), -EINVAL);
    CHECK_EQ(weft_chan_recv_start(chan, crooked, 0), -EINVAL);
    CHECK_EQ(weft_cgrp_wait_start(cgrp, crooked, 0), -EINVAL);
    CHECK_EQ(chan_info(chan).sending + chan_info(chan).receiving, 0);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
}

/* ---- under way --------------------------------------------------------------------------------------------------- */

TEST(a_started_receive_is_under_way_until_a_word_comes)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(1);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 0), -EINPROGRESS);
    CHECK_EQ(weft_op_poll(&op), -EINPROGRESS);
    CHECK_EQ(chan_info(chan).receiving, 1);
    chan_give(chan, 9);
    CHECK_EQ(weft_op_poll(&op), 0);
    CHECK_EQ(op.value, 9);
    CHECK_EQ(chan_info(chan).length, 0);
    CHECK_EQ(chan_info(chan).receiving, 0);
    chan_end(chan);
}

TEST(a_started_send_is_under_way_until_it_is_taken)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_chan_send_start(chan, 9, &op, 0), -EINPROGRESS);
    CHECK_EQ(weft_op_poll(&op), -EINPROGRESS);
    CHECK_EQ(chan_info(chan).sending, 1);
    CHECK_EQ(chan_take(chan), 9);
    CHECK_EQ(weft_op_poll(&op), 0);
    chan_end(chan);
}

TEST(a_started_group_wait_is_under_way_until_a_member_is_ready)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(1);
    weft_cgrp_t cgrp;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    REQUIRE_EQ(weft_cgrp_add(cgrp, chan, 5), 0);
    CHECK_EQ(weft_cgrp_wait_start(cgrp, &op, 0), -EINPROGRESS);
    CHECK_EQ(weft_op_poll(&op), -EINPROGRESS);
    chan_give(chan, 9);
    CHECK_EQ(weft_op_poll(&op), 0);
    CHECK_EQ(op.value, chan.id);
    CHECK_EQ(op.mark, 5);
    CHECK_EQ(chan_take(chan), 9);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
}

TEST(close_completes_started_operations_with_epipe)
{
    _Alignas(16) struct weft_op send, recv;
    weft_chan_t a = chan_new(0), b = chan_new(0);
    CHECK_EQ(weft_chan_send_start(a, 9, &send, 0), -EINPROGRESS);
    CHECK_EQ(weft_chan_recv_start(b, &recv, 0), -EINPROGRESS);
    CHECK_EQ(weft_chan_close(a), 0);
    CHECK_EQ(weft_chan_close(b), 0);
    CHECK_EQ(weft_op_poll(&send), -EPIPE);
    CHECK_EQ(weft_op_poll(&recv), -EPIPE);
    chan_end(a);
    chan_end(b);
}

TEST(freeing_the_group_completes_a_started_wait_with_ebadf)
{
    _Alignas(16) struct weft_op op;
    weft_cgrp_t cgrp;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    CHECK_EQ(weft_cgrp_wait_start(cgrp, &op, 0), -EINPROGRESS);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    CHECK_EQ(weft_op_poll(&op), -EBADF);
}

TEST(two_operations_of_one_thread_meet)
{
    _Alignas(16) struct weft_op send, recv;
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_chan_send_start(chan, 9, &send, 0), -EINPROGRESS);
    CHECK_EQ(weft_chan_recv_start(chan, &recv, 0), 0);
    CHECK_EQ(recv.value, 9);
    CHECK_EQ(weft_op_poll(&send), 0);
    CHECK_EQ(weft_chan_recv_start(chan, &recv, 0), -EINPROGRESS);
    CHECK_EQ(weft_chan_send_start(chan, 8, &send, 0), 0);
    CHECK_EQ(weft_op_poll(&recv), 0);
    CHECK_EQ(recv.value, 8);
    chan_end(chan);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

TEST(op_wait_sleeps_until_a_partner_comes)
{
    weft_kthd_t kthd = kthd_new();
    for (int i = 0; i < check_scale(2000); i++) {
        _Alignas(16) struct weft_op op;
        struct part part = {.chan = chan_new(0), .value = 31};
        int r = weft_chan_recv_start(part.chan, &op, 0);
        REQUIRE_EQ(r, -EINPROGRESS);
        weft_lwt_t lwt = lwt_new(kthd, lwt_send, &part);
        REQUIRE_EQ(weft_op_wait(&op, WEFT_FOREVER), 0);
        REQUIRE_EQ(op.value, 31);
        lwt_result(lwt);
        REQUIRE_EQ(part.result, 0);
        r = weft_chan_send_start(part.chan, 32, &op, 0);
        REQUIRE_EQ(r, -EINPROGRESS);
        lwt = lwt_new(kthd, lwt_recv, &part);
        REQUIRE_EQ(weft_op_wait(&op, WEFT_FOREVER), 0);
        lwt_result(lwt);
        REQUIRE_EQ(part.value, 32);
        chan_end(part.chan);
    }
    kthd_end(kthd);
}

TEST(op_wait_of_a_completed_operation_returns_its_result)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 0), -EINPROGRESS);
    CHECK_EQ(weft_chan_try_send(chan, 4), 0);
    CHECK_EQ(weft_op_wait(&op, 0), 0);
    CHECK_EQ(op.value, 4);
    chan_end(chan);
}

TEST(op_wait_times_out_and_has_withdrawn_the_operation)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 0), -EINPROGRESS);
    int64_t deadline = scene_in_ms(10);
    CHECK_EQ(weft_op_wait(&op, deadline), -ETIMEDOUT);
    CHECK(check_now_ns() >= deadline);
    CHECK_EQ(chan_info(chan).receiving, 0);
    CHECK_EQ(weft_chan_try_send(chan, 4), -EAGAIN);
    CHECK_EQ(weft_chan_send_start(chan, 4, &op, 0), -EINPROGRESS); /* the memory is ours again */
    CHECK_EQ(weft_op_wait(&op, 0), -ETIMEDOUT);
    chan_end(chan);
}

/* ---- withdrawing ------------------------------------------------------------------------------------------------- */

TEST(a_withdrawn_operation_never_happened)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(0);
    uint64_t value;
    CHECK_EQ(weft_chan_send_start(chan, 4, &op, 0), -EINPROGRESS);
    CHECK_EQ(weft_op_cancel(&op, -ECANCELED), 0);
    CHECK_EQ(chan_info(chan).sending, 0);
    CHECK_EQ(weft_chan_try_recv(chan, &value), -EAGAIN);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 0), -EINPROGRESS);
    CHECK_EQ(weft_op_cancel(&op, -ECANCELED), 0);
    CHECK_EQ(weft_chan_try_send(chan, 4), -EAGAIN);
    chan_end(chan);
}

TEST(a_withdrawn_group_wait_takes_no_event)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(1);
    weft_cgrp_t cgrp;
    struct weft_event event;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    REQUIRE_EQ(weft_cgrp_add(cgrp, chan, 5), 0);
    CHECK_EQ(weft_cgrp_wait_start(cgrp, &op, 0), -EINPROGRESS);
    CHECK_EQ(weft_op_cancel(&op, -ECANCELED), 0);
    chan_give(chan, 1);
    CHECK_EQ(weft_cgrp_try_wait(cgrp, &event), 0);
    CHECK_EQ(event.mark, 5);
    chan_take(chan);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
}

TEST(a_completed_operation_cannot_be_withdrawn)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 0), -EINPROGRESS);
    CHECK_EQ(weft_chan_try_send(chan, 4), 0);
    CHECK_EQ(weft_op_cancel(&op, -ECANCELED), -EALREADY);
    CHECK_EQ(weft_op_poll(&op), 0);
    CHECK_EQ(op.value, 4);
    chan_end(chan);
}

TEST(a_withdrawn_waiter_in_the_middle_leaves_the_order_of_the_others)
{
    _Alignas(16) struct weft_op ops[5];
    weft_chan_t chan = chan_new(0);
    for (uint64_t i = 0; i < 5; i++)
        CHECK_EQ(weft_chan_send_start(chan, i, &ops[i], 0), -EINPROGRESS);
    CHECK_EQ(weft_op_cancel(&ops[1], -ECANCELED), 0);
    CHECK_EQ(weft_op_cancel(&ops[4], -ECANCELED), 0);
    CHECK_EQ(chan_take(chan), 0);
    CHECK_EQ(chan_take(chan), 2);
    CHECK_EQ(chan_take(chan), 3);
    uint64_t value;
    CHECK_EQ(weft_chan_try_recv(chan, &value), -EAGAIN);
    chan_end(chan);
}

static void *wait_for_op(void *arg)
{
    struct part *part = arg;
    int r = weft_chan_recv_start(part->chan, &part->op, 0);
    REQUIRE_EQ(r, -EINPROGRESS);
    atomic_store(&part->waiting, check_tid());
    part->result = weft_op_wait(&part->op, WEFT_FOREVER);
    return NULL;
}

TEST(a_thread_in_op_wait_returns_the_reason_it_was_withdrawn_for)
{
    _Alignas(16) struct part part = {.chan = chan_new(0)};
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, wait_for_op, &part), 0);
    AWAIT(atomic_load(&part.waiting) && check_task_in_state(atomic_load(&part.waiting), 'S'));
    CHECK_EQ(weft_op_cancel(&part.op, -EINTR), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(part.result, -EINTR);
    CHECK_EQ(chan_info(part.chan).receiving, 0);
    chan_end(part.chan);
}

struct cancel_race {
    weft_chan_t chan;
    struct weft_op *op;
    atomic_int go, back;
    long rounds, won;
};

static void *cancel_racing(void *arg)
{
    struct cancel_race *race = arg;
    for (int round = 1; round <= race->rounds; round++) {
        while (atomic_load(&race->go) < round)
            __asm__ volatile("pause");
        int r = weft_op_cancel(race->op, -ECANCELED);
        REQUIRE(r == 0 || r == -EALREADY);
        race->won += r == 0;
        atomic_store(&race->back, round);
    }
    return NULL;
}

TEST(completion_against_withdrawal_has_one_winner)
{
    _Alignas(16) struct weft_op op;
    struct cancel_race race = {.chan = chan_new(0), .op = &op, .rounds = check_scale(10000)};
    struct check_random random = check_random_from(check_seed());
    pthread_t thread;
    long completed = 0;
    REQUIRE_EQ(pthread_create(&thread, NULL, cancel_racing, &race), 0);
    for (int round = 1; round <= race.rounds; round++) {
        REQUIRE_EQ(weft_chan_recv_start(race.chan, &op, 0), -EINPROGRESS);
        atomic_store(&race.go, round);
        for (uint32_t i = check_random_below(&random, 60); i > 0; i--)
            __asm__ volatile("pause");
        int sent = weft_chan_try_send(race.chan, (uint64_t)round);
        while (atomic_load(&race.back) < round)
            sched_yield();
        if (sent == 0) {
            completed++;
            REQUIRE_EQ(weft_op_poll(&op), 0);
            REQUIRE_EQ(op.value, round);
        } else {
            REQUIRE_EQ(sent, -EAGAIN);
        }
        REQUIRE_EQ(completed + *(volatile long *)&race.won, round);
    }
    pthread_join(thread, NULL);
    check_say("    %ld completed, %ld withdrawn\n", completed, race.won);
    chan_end(race.chan);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

TEST(a_token_is_announced_once_when_its_operation_completes)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 4711), -EINPROGRESS);
    CHECK_EQ(drain_tokens(), -ETIMEDOUT);
    chan_give(chan, 1);
    CHECK_EQ(drain_tokens(), 4711);
    CHECK_EQ(weft_op_poll(&op), 0);
    CHECK_EQ(op.value, 1);
    CHECK_EQ(drain_tokens(), -ETIMEDOUT);
    chan_end(chan);
}

TEST(an_operation_without_token_announces_nothing)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 0), -EINPROGRESS);
    chan_give(chan, 1);
    CHECK_EQ(weft_op_poll(&op), 0);
    CHECK_EQ(drain_tokens(), -ETIMEDOUT);
    chan_end(chan);
}

TEST(a_withdrawn_operation_announces_no_token)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 5), -EINPROGRESS);
    CHECK_EQ(weft_op_cancel(&op, -ECANCELED), 0);
    CHECK_EQ(drain_tokens(), -ETIMEDOUT);
    chan_end(chan);
}

TEST(tokens_come_in_the_order_of_completion)
{
    enum { count = 20 };
    _Alignas(16) static struct weft_op ops[count];
    weft_chan_t chans[count];
    uint64_t tokens[count];
    for (uint64_t i = 0; i < count; i++) {
        chans[i] = chan_new(0);
        CHECK_EQ(weft_chan_recv_start(chans[i], &ops[i], 100 + i), -EINPROGRESS);
    }
    for (int i = 0; i < count; i++)
        chan_give(chans[i * 7 % count], 0);
    CHECK_EQ(weft_op_completed(tokens, 3, WEFT_FOREVER), 3);
    CHECK_EQ(weft_op_completed(tokens + 3, count, WEFT_FOREVER), count - 3);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(tokens[i], 100 + i * 7 % count);
        chan_end(chans[i]);
    }
}

TEST(an_operation_completed_with_an_error_announces_its_token_too)
{
    _Alignas(16) struct weft_op op;
    weft_chan_t chan = chan_new(0);
    CHECK_EQ(weft_chan_recv_start(chan, &op, 8), -EINPROGRESS);
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_EQ(drain_tokens(), 8);
    CHECK_EQ(weft_op_poll(&op), -EPIPE);
    chan_end(chan);
}

TEST(completed_refuses_no_room_and_times_out)
{
    uint64_t token;
    CHECK_EQ(weft_op_completed(&token, 0, 0), -EINVAL);
    CHECK_EQ(weft_op_completed(&token, -1, 0), -EINVAL);
    CHECK_EQ(weft_op_completed(NULL, 1, 0), -EINVAL);
    int64_t deadline = scene_in_ms(10);
    CHECK_EQ(weft_op_completed(&token, 1, deadline), -ETIMEDOUT);
    CHECK(check_now_ns() >= deadline);
}

static void *take_one_token(void *arg)
{
    struct part *part = arg;
    atomic_store(&part->waiting, check_tid());
    part->result = weft_op_completed(&part->value, 1, WEFT_FOREVER);
    return NULL;
}

TEST(a_second_thread_that_takes_tokens_gets_ebusy)
{
    _Alignas(16) struct weft_op op;
    struct part part = {.chan = chan_new(0)};
    pthread_t thread;
    uint64_t token;
    REQUIRE_EQ(pthread_create(&thread, NULL, take_one_token, &part), 0);
    AWAIT(atomic_load(&part.waiting) && check_task_in_state(atomic_load(&part.waiting), 'S'));
    CHECK_EQ(weft_op_completed(&token, 1, 0), -EBUSY);
    CHECK_EQ(weft_chan_recv_start(part.chan, &op, 99), -EINPROGRESS);
    chan_give(part.chan, 1);
    pthread_join(thread, NULL);
    CHECK_EQ(part.result, 1);
    CHECK_EQ(part.value, 99);
    CHECK_EQ(weft_op_completed(&token, 1, 0), -ETIMEDOUT);
    chan_end(part.chan);
}

struct sender {
    weft_chan_t *chans;
    int count;
    long rounds;
    uint64_t seed;
};

static void *send_at_random(void *arg)
{
    struct sender *sender = arg;
    struct check_random random = check_random_from(sender->seed);
    for (long i = 0; i < sender->rounds; i++)
        chan_give(sender->chans[check_random_below(&random, (uint32_t)sender->count)], (uint64_t)i);
    return NULL;
}

TEST(an_event_loop_serves_a_thousand_receives_at_once)
{
    enum { count = 1000, senders = 4 };
    _Alignas(16) static struct weft_op ops[count];
    static weft_chan_t chans[count];
    struct sender sender[senders];
    weft_lwt_t lwts[senders];
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    uint64_t seed = check_seed();
    long rounds = check_scale(20000), got = 0;
    for (uint64_t i = 0; i < count; i++) {
        chans[i] = chan_new((uint32_t)i % 3);
        REQUIRE_EQ(weft_chan_recv_start(chans[i], &ops[i], i + 1), -EINPROGRESS);
    }
    for (int i = 0; i < senders; i++) {
        sender[i] = (struct sender){chans, count, rounds, seed + (uint64_t)i};
        lwts[i] = lwt_new(kthds[i % 2], send_at_random, &sender[i]);
    }
    while (got < senders * rounds) {
        uint64_t tokens[16];
        int n = weft_op_completed(tokens, 16, scene_in_ms(20000));
        REQUIRE(n > 0);
        for (int i = 0; i < n; i++) {
            uint64_t at = tokens[i] - 1;
            REQUIRE(at < count);
            REQUIRE_EQ(weft_op_poll(&ops[at]), 0);
            got++;
            int r;
            while ((r = weft_chan_recv_start(chans[at], &ops[at], at + 1)) == 0)
                got++;
            REQUIRE_EQ(r, -EINPROGRESS);
        }
    }
    for (int i = 0; i < senders; i++)
        lwt_result(lwts[i]);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(weft_op_cancel(&ops[i], -ECANCELED), 0);
        chan_end(chans[i]);
    }
    CHECK_EQ(drain_tokens(), -ETIMEDOUT);
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
}

TEST(a_loose_lwt_may_wait_for_an_operation)
{
    _Alignas(16) struct weft_op op;
    struct part part = {.chan = chan_new(0), .value = 6};
    weft_kthd_t kthd = kthd_new();
    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    REQUIRE_EQ(weft_lwt_step_aside(), 0);
    CHECK_EQ(weft_chan_recv_start(part.chan, &op, 0), -EINPROGRESS);
    weft_lwt_t lwt = lwt_new(kthd, lwt_send, &part); /* its carrier is free to run it */
    CHECK_EQ(weft_op_wait(&op, WEFT_FOREVER), 0);
    CHECK_EQ(op.value, 6);
    lwt_result(lwt);
    REQUIRE_EQ(weft_lwt_leave(), 0);
    chan_end(part.chan);
    kthd_end(kthd);
}

static void *start_and_yield(void *arg)
{
    /* an lwt cannot op_wait, but it can start and poll */
    struct part *part = arg;
    _Alignas(16) struct weft_op op;
    REQUIRE_EQ(weft_chan_recv_start(part->chan, &op, 0), -EINPROGRESS);
    int r;
    while ((r = weft_op_poll(&op)) == -EINPROGRESS)
        weft_lwt_yield();
    CHECK_EQ(r, 0);
    CHECK_EQ(op.value, 15);
    return NULL;
}

TEST(an_lwt_may_start_and_poll)
{
    struct part part = {.chan = chan_new(0)};
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, start_and_yield, &part);
    AWAIT(chan_info(part.chan).receiving == 1);
    chan_give(part.chan, 15);
    lwt_result(lwt);
    chan_end(part.chan);
    kthd_end(kthd);
}

static void *wait_on_carrier(void *arg)
{
    struct part *part = arg;
    _Alignas(16) struct weft_op op;
    REQUIRE_EQ(weft_chan_recv_start(part->chan, &op, 0), -EINPROGRESS);
    CHECK_EQ(weft_op_wait(&op, WEFT_FOREVER), -EPERM);
    CHECK_EQ(weft_op_wait(&op, 0), -EPERM);
    CHECK_EQ(weft_op_poll(&op), -EINPROGRESS); /* nothing happened to it */
    CHECK_EQ(weft_op_cancel(&op, -ECANCELED), 0);
    return NULL;
}

TEST(an_lwt_on_its_carrier_must_not_sleep_in_the_kernel)
{
    struct part part = {.chan = chan_new(0)};
    weft_kthd_t kthd = kthd_new();
    lwt_run(kthd, wait_on_carrier, &part);
    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    wait_on_carrier(&part);
    REQUIRE_EQ(weft_lwt_leave(), 0);
    chan_end(part.chan);
    kthd_end(kthd);
}
