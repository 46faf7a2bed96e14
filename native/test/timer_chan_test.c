/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer_chan: channels that receive the time. What is said of times holds however late a thread runs: a time received is
 * compared with the moment it was due at, never with the time at which it was looked at; that nothing was sent is looked at
 * after a later timer has fired, since one thread sends to all.
 */
#include "scene.h"

#include "base/sys.h"

#ifndef WEFT_FAULT_SEAM
#error "compile with -DWEFT_FAULT_SEAM=1, against an archive that was"
#endif

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define HOUR (3600 * INT64_C(1000000000))

static weft_chan_t after(int64_t at_ns)
{
    weft_chan_t chan = {0};
    REQUIRE_EQ(weft_timer_after(&chan, at_ns), 0);
    return chan;
}

static weft_chan_t after_hours(void) { return after(check_now_ns() + HOUR); }

static weft_chan_t every(int64_t first_ns, int64_t period_ns)
{
    weft_chan_t chan = {0};
    REQUIRE_EQ(weft_timer_every(&chan, first_ns, period_ns), 0);
    return chan;
}

/* All that is due up to `at_ns` has been sent when this returns. */
static void let_fire(int64_t at_ns)
{
    weft_chan_t chan = after(at_ns);
    chan_take(chan);
    chan_end(chan);
}

static int take_now(weft_chan_t chan)
{
    uint64_t value;
    return weft_chan_try_recv(chan, &value);
}

static void expect_fired(weft_chan_t chan, int64_t at_ns)
{
    uint64_t value = 0;
    CHECK_EQ(weft_chan_recv(chan, &value), 0);
    CHECK((int64_t)value >= at_ns && (int64_t)value <= check_now_ns());
    CHECK_EQ(weft_chan_recv(chan, &value), -EPIPE);
}

/* The library's thread, or 0. */
static pid_t timer_thread(void)
{
    DIR *dir = opendir("/proc/self/task");
    pid_t tid = 0;
    REQUIRE(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        if (fgets(name, sizeof name, file) && !strcmp(name, "weft-timer\n"))
            tid = atoi(entry->d_name);
        fclose(file);
    }
    closedir(dir);
    return tid;
}

/* ---- once -------------------------------------------------------------------------------------------------------- */

CONTRACT(a_moment_is_received_once_and_then_the_channel_is_closed)
{
    int64_t at_ns = scene_in_ms(2);
    weft_chan_t chan = after(at_ns);
    CHECK_EQ(chan_info(chan).capacity, 1);
    CHECK_EQ(chan_info(chan).refs, 1);
    expect_fired(chan, at_ns);
    CHECK_EQ(take_now(chan), -EPIPE);
    CHECK_EQ(weft_timer_missed(chan), 0);
    chan_end(chan);
}

TEST(a_moment_in_the_past_is_now)
{
    static const int64_t past[] = {INT64_MIN, -1, 0, 1};
    for (int i = 0; i < 4; i++) {
        int64_t start_ns = check_now_ns();
        weft_chan_t chan = after(past[i]);
        expect_fired(chan, start_ns);
        chan_end(chan);
    }
}

TEST(forever_does_not_come)
{
    weft_chan_t never = after(WEFT_FOREVER), no_tick = every(WEFT_FOREVER, 1);
    let_fire(0);
    CHECK_EQ(take_now(never), -EAGAIN);
    CHECK_EQ(take_now(no_tick), -EAGAIN);
    CHECK_EQ(weft_timer_stop(never), 0);
    CHECK_EQ(weft_timer_stop(no_tick), 0);
    chan_end(never);
    chan_end(no_tick);
}

TEST(what_fires_stays_in_the_channel_until_it_is_received)
{
    int64_t at_ns = scene_in_ms(1);
    weft_chan_t chan = after(at_ns);
    let_fire(at_ns + 1);
    AWAIT(chan_info(chan).closed);
    CHECK_EQ(chan_info(chan).length, 1);
    expect_fired(chan, at_ns);
    chan_end(chan);
}

TEST(timers_fire_in_the_order_of_their_moments_whatever_the_order_in_which_they_were_started)
{
    enum { count = 300 };
    struct check_random random = check_random_from(check_seed());
    weft_chan_t chans[count];
    int order[count];
    int64_t first_ns, ahead_ns = 10 * MS;
    for (int i = 0; i < count; i++)
        order[i] = i;
    for (;; ahead_ns *= 2) { /* until all are started before the first is due */
        first_ns = check_now_ns() + ahead_ns;
        for (int i = count - 1; i > 0; i--) {
            int other = (int)check_random_below(&random, (uint32_t)i + 1), swapped = order[i];
            order[i] = order[other];
            order[other] = swapped;
        }
        for (int i = 0; i < count; i++)
            chans[order[i]] = after(first_ns + order[i] * 10 * US);
        if (check_now_ns() < first_ns)
            break;
        for (int i = 0; i < count; i++)
            chan_end(chans[i]);
    }
    int64_t last_ns = 0;
    for (int i = 0; i < count; i++) {
        int64_t fired_ns = (int64_t)chan_take(chans[i]);
        CHECK(fired_ns >= first_ns + i * 10 * US);
        CHECK(fired_ns >= last_ns);
        last_ns = fired_ns;
        chan_end(chans[i]);
    }
}

/* ---- again and again --------------------------------------------------------------------------------------------- */

struct ticks {
    weft_chan_t chan;
    int64_t first_ns, period_ns;
    int64_t received;
    int64_t last; /* of the ticks received: which one, from 0 */
};

/* Started before the first is due: ticks before the start do not count. */
static struct ticks ticks_new(int64_t period_ns)
{
    for (int64_t ahead_ns = MS;; ahead_ns *= 2) {
        struct ticks ticks = {.first_ns = check_now_ns() + ahead_ns, .period_ns = period_ns, .last = -1};
        ticks.chan = every(ticks.first_ns, period_ns);
        if (check_now_ns() < ticks.first_ns)
            return ticks;
        chan_end(ticks.chan);
    }
}

/* Each is of another period than the one before, and all that were due up to it are accounted for: a clock that drifts, or
 * makes up for what it missed, fails here. */
static void ticks_take(struct ticks *ticks)
{
    int64_t at_ns = (int64_t)chan_take(ticks->chan), tick = (at_ns - ticks->first_ns) / ticks->period_ns;
    ticks->received++;
    CHECK(at_ns >= ticks->first_ns);
    CHECK(tick > ticks->last);
    CHECK(ticks->received + weft_timer_missed(ticks->chan) > tick);
    ticks->last = tick;
}

/* Stops; of ticks there were as many as were due. */
static void ticks_end(struct ticks *ticks)
{
    REQUIRE_EQ(weft_timer_stop(ticks->chan), 0);
    int64_t due = (check_now_ns() - ticks->first_ns) / ticks->period_ns + 1;
    let_fire(0); /* one that was being sent has been */
    ticks->received += take_now(ticks->chan) == 0;
    int64_t all = ticks->received + weft_timer_missed(ticks->chan);
    CHECK(all <= due);
    CHECK(all > ticks->last);
    CHECK_EQ(weft_timer_stop(ticks->chan), -EALREADY);
    CHECK_EQ(take_now(ticks->chan), -EAGAIN);
    chan_end(ticks->chan);
}

TEST(a_thousand_ticks_do_not_drift)
{
    struct ticks ticks = ticks_new(MS);
    while (ticks.received + weft_timer_missed(ticks.chan) < 1000)
        ticks_take(&ticks);
    ticks_end(&ticks);
}

CONTRACT(ticks_are_received_by_threads_of_every_kind)
{
    struct ticks ticks = ticks_new(200 * US);
    for (int i = 0; i < 20; i++)
        ticks_take(&ticks);
    ticks_end(&ticks);
}

TEST(a_tick_that_finds_the_last_one_not_taken_is_dropped_and_counted)
{
    struct ticks ticks = ticks_new(100 * US);
    AWAIT(weft_timer_missed(ticks.chan) >= 50);
    CHECK_EQ(chan_info(ticks.chan).length, 1);
    ticks_take(&ticks); /* the first, or the first after a delay */
    ticks_take(&ticks);
    CHECK(ticks.last >= 50);
    ticks_end(&ticks);
}

static void stand_still(pid_t who)
{
    struct timespec run = {0, 5 * MS}, stand = {0, 25 * MS};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < 5; i++) {
        nanosleep(&run, NULL);
        kill(who, SIGSTOP);
        nanosleep(&stand, NULL);
        kill(who, SIGCONT);
    }
    _exit(0);
}

TEST(a_process_that_stood_still_gets_no_burst)
{
    pid_t me = getpid(), child = fork();
    REQUIRE(child >= 0);
    if (child == 0)
        stand_still(me);
    struct ticks ticks = ticks_new(MS);
    while (waitpid(child, NULL, WNOHANG) == 0)
        ticks_take(&ticks);
    CHECK(weft_timer_missed(ticks.chan) > 0);
    ticks_end(&ticks);
}

TEST(of_ticks_before_the_start_one_is_sent_and_none_is_counted)
{
    static const int64_t firsts[] = {INT64_MIN, 0, 17};
    for (int i = 0; i < 3; i++) {
        int64_t first_ns = firsts[i] < 0 ? 0 : firsts[i], start_ns = check_now_ns();
        weft_chan_t chan = every(firsts[i], HOUR);
        int64_t at_ns = (int64_t)chan_take(chan);
        CHECK(at_ns >= start_ns);
        if ((at_ns - first_ns) / HOUR == (start_ns - first_ns) / HOUR) /* the hour has not struck just now */
            CHECK_EQ(weft_timer_missed(chan), 0);
        CHECK_EQ(take_now(chan), -EAGAIN);
        chan_end(chan);
    }
}

TEST(a_tick_that_is_beyond_the_end_of_time_does_not_come)
{
    weft_chan_t chan = every(0, INT64_MAX);
    chan_take(chan);
    let_fire(0);
    CHECK_EQ(take_now(chan), -EAGAIN);
    CHECK_EQ(weft_timer_stop(chan), 0);
    chan_end(chan);
}

TEST(the_shortest_period_leaves_room_for_others)
{
    weft_chan_t fast = every(0, 1);
    for (int i = 0; i < 100; i++)
        let_fire(0);
    AWAIT(weft_timer_missed(fast) > 1000);
    chan_take(fast);
    chan_end(fast);
    let_fire(0);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

TEST(start_refuses_no_place_for_the_handle_and_no_period)
{
    weft_chan_t chan = {77};
    CHECK_EQ(weft_timer_after(NULL, 0), -EINVAL);
    CHECK_EQ(weft_timer_every(NULL, 0, 1), -EINVAL);
    CHECK_EQ(weft_timer_every(&chan, 0, 0), -EINVAL);
    CHECK_EQ(weft_timer_every(&chan, 0, -1), -EINVAL);
    CHECK_EQ(weft_timer_every(&chan, 0, INT64_MIN), -EINVAL);
    CHECK_EQ(chan.id, 77);
    CHECK_EQ(all_info().channels, 0);
    CHECK_EQ(timer_thread(), 0);
}

static void expect_refused(weft_chan_t chan, int error)
{
    CHECK_EQ(weft_timer_stop(chan), error);
    CHECK_EQ(weft_timer_reset(chan, 0), error);
    CHECK_EQ(weft_timer_missed(chan), error);
}

TEST(a_freed_channel_is_ebadf_and_one_that_is_no_timers_is_einval)
{
    weft_chan_t plain = chan_new(1), gone = chan_new(1);
    chan_end(gone);
    for (int i = 0; i < 2; i++) { /* before there is a timer, and after */
        expect_refused(plain, -EINVAL);
        expect_refused(gone, -EBADF);
        expect_refused(chan_of(0), -EBADF);
        expect_refused(chan_of(~UINT64_C(0)), -EBADF);
        let_fire(0);
    }
    weft_chan_t timed = after_hours();
    chan_end(timed);
    expect_refused(timed, -EBADF);
    weft_chan_t heir = chan_new(1);
    expect_refused(heir, -EINVAL);
    chan_end(heir);
    chan_end(plain);
}

TEST(a_channel_that_was_closed_has_no_timer_to_stop_or_reset)
{
    weft_chan_t once = after_hours(), again = every(check_now_ns() + HOUR, HOUR);
    weft_chan_close(once);
    weft_chan_close(again);
    CHECK_EQ(weft_timer_stop(once), -EALREADY);
    CHECK_EQ(weft_timer_stop(again), -EALREADY);
    CHECK_EQ(weft_timer_reset(once, 0), -EALREADY);
    CHECK_EQ(weft_timer_missed(again), 0);
    let_fire(0);
    CHECK_EQ(take_now(once), -EPIPE);
    chan_end(once);
    chan_end(again);
}

TEST_LIMIT(a_full_table_of_channels_is_enospc, 60)
{
    enum { most = 1048575 };
    uint64_t *ids = malloc(most * sizeof *ids);
    weft_chan_t chan = {77};
    if (CHECK_SANITIZED)
        CHECK_SKIP("takes too much memory under a sanitizer");
    for (long i = 0; i < most; i++)
        ids[i] = chan_new(0).id;
    CHECK_EQ(weft_timer_after(&chan, 0), -ENOSPC);
    CHECK_EQ(weft_timer_every(&chan, 0, 1), -ENOSPC);
    CHECK_EQ(chan.id, 77);
    chan_end(chan_of(ids[0]));
    let_fire(0);
    for (long i = 1; i < most; i++)
        chan_end(chan_of(ids[i]));
    free(ids);
}

TEST_LIMIT(where_memory_is_limited_timers_are_fewer_and_too_many_are_enospc, 60)
{
    enum { half = 1 << 19 };
    uint64_t *ids = malloc(half * sizeof *ids);
    weft_chan_t chan = {77};
    if (CHECK_SANITIZED)
        CHECK_SKIP("takes too much memory under a sanitizer");
    ids[0] = chan_new(0).id;
    sys_fault_arm(SYS_KIND_MMAP, 1, 0, -ENOMEM);
    let_fire(0);
    sys_fault_arm(SYS_KIND_MMAP, 0, 0, 0);
    for (long i = 1; i < half; i++)
        ids[i] = chan_new(0).id;
    CHECK_EQ(weft_timer_after(&chan, 0), -ENOSPC);
    CHECK_EQ(chan.id, 77);
    CHECK_EQ(all_info().channels, half);
    chan_end(chan_of(ids[half / 2]));
    let_fire(0);
    for (long i = 0; i < half; i++)
        if (i != half / 2)
            chan_end(chan_of(ids[i]));
    free(ids);
}

/* ---- stop and reset ---------------------------------------------------------------------------------------------- */

TEST(a_stopped_timer_sends_nothing_and_its_channel_stays_open)
{
    weft_chan_t chan = after_hours();
    CHECK_EQ(weft_timer_stop(chan), 0);
    CHECK_EQ(weft_timer_stop(chan), -EALREADY);
    CHECK_EQ(take_now(chan), -EAGAIN);
    CHECK_EQ(chan_info(chan).closed, 0);
    chan_end(chan);
}

TEST(a_timer_that_has_fired_can_be_neither_stopped_nor_reset)
{
    weft_chan_t chan = after(0);
    AWAIT(chan_info(chan).length == 1); /* in the channel, and not received */
    CHECK_EQ(weft_timer_stop(chan), -EALREADY);
    CHECK_EQ(weft_timer_reset(chan, 0), -EALREADY);
    expect_fired(chan, 0);
    CHECK_EQ(weft_timer_stop(chan), -EALREADY);
    CHECK_EQ(weft_timer_reset(chan, 0), -EALREADY);
    chan_end(chan);
}

TEST(reset_brings_a_moment_forward_and_puts_it_off)
{
    weft_chan_t late = after_hours(), soon = after(scene_in_ms(20));
    int64_t at_ns = scene_in_ms(1);
    CHECK_EQ(weft_timer_reset(late, at_ns), 0);
    expect_fired(late, at_ns);
    if (weft_timer_reset(soon, at_ns + HOUR) == 0) { /* else this thread took 20 ms to come here */
        let_fire(scene_in_ms(21));
        CHECK_EQ(take_now(soon), -EAGAIN);
        CHECK_EQ(weft_timer_stop(soon), 0);
    }
    chan_end(late);
    chan_end(soon);
}

TEST(reset_starts_a_stopped_timer_again)
{
    weft_chan_t chan = after_hours();
    CHECK_EQ(weft_timer_stop(chan), 0);
    int64_t at_ns = scene_in_ms(1);
    CHECK_EQ(weft_timer_reset(chan, at_ns), 0);
    expect_fired(chan, at_ns);
    chan_end(chan);
}

TEST(ticks_cannot_be_reset)
{
    weft_chan_t chan = every(check_now_ns() + HOUR, 1);
    CHECK_EQ(weft_timer_reset(chan, 0), -EINVAL);
    CHECK_EQ(weft_timer_stop(chan), 0);
    CHECK_EQ(weft_timer_reset(chan, 0), -EINVAL);
    chan_end(chan);
}

/* Two threads that act on one channel at a time: the test's own and this one. */
struct rival {
    pthread_t thread;
    int (*act)(weft_chan_t chan, int64_t at_ns);
    int64_t at_ns;
    weft_chan_t chan;    /* with at_ns, published by `round` */
    atomic_long round;   /* counts up by the test; -1: the end */
    atomic_long answers; /* follows it, with `result` */
    int result;
};

static void *rival_main(void *arg)
{
    struct rival *rival = arg;
    for (long done = 0, round;;) {
        while ((round = atomic_load_explicit(&rival->round, memory_order_acquire)) == done)
            sched_yield();
        if (round < 0)
            return NULL;
        rival->result = rival->act(rival->chan, rival->at_ns);
        done = round;
        atomic_store_explicit(&rival->answers, done, memory_order_release);
    }
}

static void rival_begin(struct rival *rival, int (*act)(weft_chan_t chan, int64_t at_ns))
{
    *rival = (struct rival){.act = act};
    REQUIRE_EQ(pthread_create(&rival->thread, NULL, rival_main, rival), 0);
}

static void rival_let_act(struct rival *rival, weft_chan_t chan, int64_t at_ns)
{
    rival->chan = chan;
    rival->at_ns = at_ns;
    atomic_fetch_add_explicit(&rival->round, 1, memory_order_release);
}

static int rival_result(struct rival *rival)
{
    while (atomic_load_explicit(&rival->answers, memory_order_acquire) != atomic_load(&rival->round))
        sched_yield();
    return rival->result;
}

static void rival_end(struct rival *rival)
{
    atomic_store_explicit(&rival->round, -1, memory_order_release);
    pthread_join(rival->thread, NULL);
}

/* A moment that comes about when both are at it. */
static int64_t near(struct check_random *random) { return check_now_ns() + check_random_below(random, 30 * US); }

static void linger(struct check_random *random)
{
    for (int64_t end_ns = check_now_ns() + check_random_below(random, 30 * US); check_now_ns() < end_ns;)
        sched_yield();
}

static int do_stop(weft_chan_t chan, int64_t at_ns)
{
    (void)at_ns;
    return weft_timer_stop(chan);
}

TEST_LIMIT(of_two_who_stop_and_the_timer_itself_one_wins, 60)
{
    struct check_random random = check_random_from(check_seed());
    struct rival rival;
    long stopped = 0, rounds = check_scale(10000);
    rival_begin(&rival, do_stop);
    for (long i = 0; i < rounds; i++) {
        int64_t at_ns = near(&random);
        weft_chan_t chan = after(at_ns);
        rival_let_act(&rival, chan, 0);
        linger(&random);
        int mine = weft_timer_stop(chan), theirs = rival_result(&rival);
        if (mine && theirs) {
            CHECK_EQ(mine, -EALREADY);
            CHECK_EQ(theirs, -EALREADY);
            expect_fired(chan, at_ns);
        } else {
            stopped++;
            CHECK_EQ(mine + theirs, -EALREADY);
            let_fire(at_ns + 1);
            CHECK_EQ(take_now(chan), -EAGAIN);
        }
        chan_end(chan);
    }
    rival_end(&rival);
    check_say("    %ld of %ld were stopped\n", stopped, rounds);
}

TEST_LIMIT(a_reset_and_a_stop_at_once_are_one_after_the_other, 60)
{
    struct check_random random = check_random_from(check_seed());
    struct rival rival;
    long fired = 0, rounds = check_scale(10000);
    rival_begin(&rival, weft_timer_reset);
    for (long i = 0; i < rounds; i++) {
        int64_t first_ns = near(&random), then_ns = near(&random);
        weft_chan_t chan = after(first_ns);
        rival_let_act(&rival, chan, then_ns);
        linger(&random);
        int stopped = weft_timer_stop(chan), reset = rival_result(&rival);
        CHECK(stopped == 0 || stopped == -EALREADY);
        CHECK(reset == 0 || reset == -EALREADY);
        CHECK(!(stopped == 0 && reset == -EALREADY)); /* what has fired cannot have been stopped */
        let_fire((first_ns > then_ns ? first_ns : then_ns) + 1);
        if (stopped == 0 && take_now(chan) == -EAGAIN) { /* reset, then stopped */
            CHECK_EQ(weft_timer_stop(chan), -EALREADY);
        } else { /* fired before the stop; or stopped, then reset */
            fired++;
            CHECK_EQ(weft_timer_stop(chan), -EALREADY);
            AWAIT(chan_info(chan).closed);
        }
        chan_end(chan);
    }
    rival_end(&rival);
    check_say("    %ld of %ld fired\n", fired, rounds);
}

TEST_LIMIT(a_reset_at_the_moment_itself_puts_it_off_or_comes_too_late, 60)
{
    struct check_random random = check_random_from(check_seed());
    long put_off = 0, rounds = check_scale(10000);
    for (long i = 0; i < rounds; i++) {
        int64_t at_ns = near(&random);
        weft_chan_t chan = after(at_ns);
        linger(&random);
        int reset = weft_timer_reset(chan, at_ns + HOUR);
        if (reset) {
            CHECK_EQ(reset, -EALREADY);
            expect_fired(chan, at_ns);
        } else {
            put_off++;
            let_fire(at_ns + 1);
            CHECK_EQ(take_now(chan), -EAGAIN);
            CHECK_EQ(weft_timer_stop(chan), 0);
        }
        chan_end(chan);
    }
    check_say("    %ld of %ld were put off\n", put_off, rounds);
}

static int do_close(weft_chan_t chan, int64_t at_ns)
{
    (void)at_ns;
    return weft_chan_close(chan);
}

static int do_release(weft_chan_t chan, int64_t at_ns)
{
    (void)at_ns;
    return weft_chan_release(chan, 0);
}

TEST_LIMIT(a_channel_may_be_closed_and_freed_while_it_fires_and_the_next_one_in_its_place_gets_nothing, 60)
{
    struct check_random random = check_random_from(check_seed());
    struct rival rivals[2];
    long rounds = check_scale(10000);
    rival_begin(&rivals[0], do_close);
    rival_begin(&rivals[1], do_release);
    for (long i = 0; i < rounds; i++) {
        struct rival *rival = &rivals[i % 2];
        int64_t at_ns = near(&random);
        weft_chan_t chan = i / 2 % 2 ? after(at_ns) : every(at_ns, 1 + check_random_below(&random, 5 * US));
        uint64_t value;
        linger(&random);
        REQUIRE_EQ(weft_chan_retain(chan, 0), 0);
        rival_let_act(rival, chan, 0);
        linger(&random);
        while (weft_chan_try_recv(chan, &value) == 0)
            CHECK((int64_t)value >= at_ns);
        CHECK_EQ(weft_chan_release(chan, 0), 0);
        CHECK_EQ(rival_result(rival), 0);
        if (rival == &rivals[0])
            chan_end(chan);
        weft_chan_t heir = chan_new(1);
        let_fire(check_now_ns());
        CHECK_EQ(take_now(heir), -EAGAIN);
        chan_end(heir);
    }
    rival_end(&rivals[0]);
    rival_end(&rivals[1]);
    CHECK_EQ(all_info().channels, 0);
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

TEST_LIMIT(a_hundred_thousand_pend_and_are_stopped_or_freed_and_as_many_fire, 60)
{
    struct check_random random = check_random_from(check_seed());
    long count = check_scale(100000);
    weft_chan_t *chans = malloc((size_t)count * sizeof *chans);
    int64_t *at_ns = malloc((size_t)count * sizeof *at_ns);
    REQUIRE(chans && at_ns);
    int64_t now_ns = check_now_ns();
    for (long i = 0; i < count; i++)
        chans[i] = after(now_ns + HOUR + check_random_below(&random, UINT32_MAX));
    for (long i = 0; i < count; i++)
        if (i % 3 == 0)
            CHECK_EQ(weft_timer_stop(chans[i]), 0);
        else if (i % 3 == 1)
            CHECK_EQ(weft_timer_reset(chans[i], now_ns + HOUR + check_random_below(&random, UINT32_MAX)), 0);
    for (long i = 0; i < count; i++) /* those that pend are left to the next at their place */
        chan_end(chans[i]);
    now_ns = check_now_ns();
    for (long i = 0; i < count; i++)
        chans[i] = after(at_ns[i] = now_ns + check_random_below(&random, 200 * MS));
    for (long i = 0; i < count; i++) {
        expect_fired(chans[i], at_ns[i]);
        chan_end(chans[i]);
    }
    CHECK_EQ(all_info().channels, 0);
    free(chans);
    free(at_ns);
}

/* ---- in a group, by a token -------------------------------------------------------------------------------------- */

CONTRACT(timers_are_members_of_a_group_like_any_channel)
{
    weft_cgrp_t cgrp;
    struct weft_event event;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    int64_t at_ns = scene_in_ms(1);
    weft_chan_t once = after(at_ns), again = every(at_ns, 300 * US), words = chan_new(1);
    REQUIRE_EQ(weft_cgrp_add(cgrp, once, 1), 0);
    REQUIRE_EQ(weft_cgrp_add(cgrp, again, 2), 0);
    REQUIRE_EQ(weft_cgrp_add(cgrp, words, 3), 0);
    int ticks = 0, moments = 0;
    while (ticks < 10 || !moments) {
        REQUIRE_EQ(weft_cgrp_wait(cgrp, &event), 0);
        REQUIRE(event.mark == 1 || event.mark == 2);
        uint64_t value;
        int r = weft_chan_try_recv(event.chan, &value);
        if (event.mark == 2 && r == 0)
            CHECK((int64_t)value >= at_ns && ++ticks);
        if (event.mark == 1 && r == 0)
            CHECK((int64_t)value >= at_ns && !moments++);
        if (event.mark == 1 && r == -EPIPE)
            CHECK(weft_cgrp_remove(cgrp, once) >= 0);
    }
    weft_cgrp_remove(cgrp, once);
    weft_cgrp_remove(cgrp, again);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(once);
    chan_end(again);
    chan_end(words);
}

TEST(a_started_receive_announces_its_token_when_the_timer_fires)
{
    _Alignas(16) struct weft_op op;
    uint64_t token = 0;
    weft_chan_t chan = after_hours();
    REQUIRE_EQ(weft_chan_recv_start(chan, &op, 1234), -EINPROGRESS);
    int64_t at_ns = scene_in_ms(2);
    CHECK_EQ(weft_timer_reset(chan, at_ns), 0);
    REQUIRE_EQ(weft_op_completed(&token, 1, WEFT_FOREVER), 1);
    CHECK_EQ(token, 1234);
    CHECK_EQ(weft_op_poll(&op), 0);
    CHECK((int64_t)op.value >= at_ns);
    chan_end(chan);
}

static void *receive_to(void *arg)
{
    uint64_t value = 0;
    int r = weft_chan_recv(*(weft_chan_t *)arg, &value);
    return (void *)(intptr_t)r;
}

TEST(of_several_receivers_one_gets_the_moment_and_the_others_epipe)
{
    enum { lwts = 4 };
    weft_kthd_t kthd = kthd_new();
    weft_chan_t chan = after_hours();
    weft_lwt_t lwt[lwts];
    int got = 0, closed = 0;
    for (int i = 0; i < lwts; i++)
        lwt[i] = lwt_new(kthd, receive_to, &chan);
    AWAIT(chan_info(chan).receiving == lwts);
    CHECK_EQ(weft_timer_reset(chan, 0), 0);
    for (int i = 0; i < lwts; i++) {
        int r = (int)(intptr_t)lwt_result(lwt[i]);
        got += r == 0;
        closed += r == -EPIPE;
    }
    CHECK_EQ(got, 1);
    CHECK_EQ(closed, lwts - 1);
    chan_end(chan);
    kthd_end(kthd);
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static void expect_asleep(void)
{
    AWAIT(timer_thread());
    AWAIT(check_task_in_state(timer_thread(), 'S'));
}

TEST(the_thread_is_started_with_the_first_timer_and_there_is_one)
{
    CHECK_EQ(timer_thread(), 0);
    let_fire(0);
    AWAIT(timer_thread());
    int threads = check_count_threads();
    for (int i = 0; i < 10; i++)
        let_fire(0);
    CHECK_EQ(check_count_threads(), threads);
}

/* Each time the thread has been awake it calls futex once, before it sleeps again. */
TEST(a_later_timer_does_not_wake_the_thread_and_an_earlier_one_does_so_once)
{
    enum { count = 1000 };
    weft_chan_t first = after_hours(), chans[count];
    expect_asleep();
    sys_fault_arm(SYS_KIND_FUTEX, 0, 0, 0);
    for (int i = 0; i < count; i++)
        chans[i] = after(check_now_ns() + 2 * HOUR + i);
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_timer_reset(chans[i], check_now_ns() + 3 * HOUR), 0);
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_timer_stop(chans[i]), 0);
    weft_chan_t now = after(0);
    AWAIT(chan_info(now).closed);
    expect_asleep();
    CHECK_EQ(sys_fault_calls(SYS_KIND_FUTEX), 1);
    for (int i = 0; i < count; i++)
        chan_end(chans[i]);
    chan_end(first);
    chan_end(now);
}

TEST(without_a_timer_the_thread_sleeps_on)
{
    struct timespec a_while = {0, 30 * MS};
    let_fire(0);
    expect_asleep();
    sys_fault_arm(SYS_KIND_FUTEX, 0, 0, 0);
    weft_chan_t never = after(WEFT_FOREVER);
    nanosleep(&a_while, NULL);
    CHECK_EQ(sys_fault_calls(SYS_KIND_FUTEX), 0);
    chan_end(never);
}

TEST(the_thread_does_not_wake_up_for_ticks_of_channels_that_are_closed_or_freed)
{
    struct timespec a_while = {0, 30 * MS};
    weft_chan_t closed = every(0, 50 * US), freed = every(0, 50 * US);
    weft_chan_close(closed);
    chan_end(freed);
    let_fire(check_now_ns() + 50 * US); /* the next tick found it out */
    expect_asleep();
    sys_fault_arm(SYS_KIND_FUTEX, 0, 0, 0);
    nanosleep(&a_while, NULL);
    CHECK_EQ(sys_fault_calls(SYS_KIND_FUTEX), 0);
    chan_end(closed);
}

TEST(the_thread_takes_no_signal)
{
    char path[64], line[256], blocked[64] = "";
    uint64_t all = ~(UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1) | UINT64_C(3) << 31);
    let_fire(0);
    AWAIT(timer_thread());
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)timer_thread());
    FILE *file = fopen(path, "re");
    REQUIRE(file != NULL);
    while (fgets(line, sizeof line, file))
        sscanf(line, "SigBlk: %63s", blocked);
    fclose(file);
    CHECK_EQ(strtoull(blocked, NULL, 16), all);
    sigset_t mine;
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    CHECK(!sigismember(&mine, SIGUSR1));
}

static void *first_timer(void *arg)
{
    let_fire(0);
    return arg;
}

TEST(the_thread_is_not_bound_to_the_processor_of_a_pinned_carrier)
{
    struct weft_kthd_attr attr;
    weft_kthd_t kthd;
    cpu_set_t mine, theirs;
    weft_kthd_attr_init(&attr);
    sched_getaffinity(0, sizeof mine, &mine);
    for (attr.cpu = 0; !CPU_ISSET(attr.cpu, &mine);)
        attr.cpu++;
    REQUIRE_EQ(weft_kthd_create(&kthd, &attr), 0);
    lwt_run(kthd, first_timer, NULL);
    REQUIRE(timer_thread() != 0);
    sched_getaffinity(timer_thread(), sizeof theirs, &theirs);
    CHECK(CPU_EQUAL(&mine, &theirs));
    kthd_end(kthd);
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static void *start_several(void *arg)
{
    weft_chan_t *chans = arg;
    chans[0] = after(scene_in_ms(5));
    chans[1] = every(scene_in_ms(5), 100 * US);
    chans[2] = after_hours();
    return NULL;
}

TEST(a_kthd_may_be_destroyed_while_timers_of_its_lwts_pend)
{
    weft_chan_t chans[3];
    weft_kthd_t kthd = kthd_new();
    lwt_run(kthd, start_several, chans);
    kthd_end(kthd);
    expect_fired(chans[0], 0);
    for (int i = 0; i < 5; i++)
        chan_take(chans[1]);
    CHECK_EQ(weft_timer_stop(chans[2]), 0);
    for (int i = 0; i < 3; i++)
        chan_end(chans[i]);
}

static void exit_with_timers(void *arg)
{
    weft_chan_t chans[3];
    (void)arg;
    start_several(chans);
    chan_take(chans[1]);
    chan_end(chans[0]);
    chan_end(chans[1]);
    chan_end(chans[2]); /* its timer pends: nobody stopped it */
    exit(0);
}

TEST(a_process_ends_cleanly_while_timers_pend)
{
    char text[4096];
    CHECK_EQ(check_death(exit_with_timers, NULL, text, sizeof text), 0);
    CHECK_STR(text, "");
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

static void expect_start_fails(int error)
{
    weft_chan_t chan = {77};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_timer_after(&chan, 0), error);
        CHECK_EQ(weft_timer_every(&chan, 0, 1), error);
    }
    CHECK_EQ(chan.id, 77);
}

/* After the fault: nothing was left, and it works. */
static void expect_recovered(int threads)
{
    CHECK_EQ(all_info().channels, 1); /* the test's own */
    CHECK_EQ(check_count_threads(), threads);
    let_fire(0);
    let_fire(scene_in_ms(1));
}

TEST(without_a_thread_the_first_timer_is_eagain)
{
    weft_chan_t chan = chan_new(1);
    int threads = check_count_threads();
    sys_fault_arm(SYS_KIND_THREAD, 1, 1, -EAGAIN);
    expect_start_fails(-EAGAIN);
    sys_fault_arm(SYS_KIND_THREAD, 0, 0, 0);
    expect_recovered(threads);
    sys_fault_arm(SYS_KIND_THREAD, 1, 1, -EAGAIN); /* no further one is needed */
    let_fire(0);
    chan_end(chan);
}

TEST(without_memory_a_timer_is_enomem)
{
    weft_chan_t chan = chan_new(1);
    int threads = check_count_threads();
    sys_fault_arm(SYS_KIND_MMAP, 1, 1, -ENOMEM); /* the table of timers; that of channels is there */
    expect_start_fails(-ENOMEM);
    sys_fault_arm(SYS_KIND_MMAP, 0, 0, 0);
    sys_fault_arm(SYS_KIND_ALLOC, 1, 1, -ENOMEM); /* the channel's buffer */
    expect_start_fails(-ENOMEM);
    sys_fault_arm(SYS_KIND_ALLOC, 0, 0, 0);
    expect_recovered(threads);
    chan_end(chan);
}

TEST(a_futex_that_returns_for_nothing_makes_no_timer_fire_early)
{
    static const int errors[] = {-EINTR, -EAGAIN};
    for (int i = 0; i < 2; i++) {
        sys_fault_arm(SYS_KIND_FUTEX, 1, 1, errors[i]);
        int64_t at_ns = scene_in_ms(3);
        weft_chan_t chan = after(at_ns);
        expect_fired(chan, at_ns);
        chan_end(chan);
        sys_fault_arm(SYS_KIND_FUTEX, 0, 0, 0);
    }
    let_fire(scene_in_ms(1));
}

TEST(an_affinity_that_cannot_be_had_does_no_harm)
{
    sys_fault_arm(SYS_KIND_AFFINITY, 1, 1, -EINVAL);
    let_fire(scene_in_ms(1));
}
