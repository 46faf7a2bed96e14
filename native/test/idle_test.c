/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle: what a kthd costs while it has nothing to do, and that it wakes up when it has. Measured by the carrier's
 * processor-time clock and its count of context switches in the kernel, which do not depend on how busy the machine
 * is; wall-clock time only bounds a wait from below.
 */
#include "scene.h"

static void *my_tid(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)check_tid();
}

static void *give_back(void *arg) { return arg; }

/* The processor-time clock of a kernel thread: include/linux/posix-timers.h, CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED. */
static int64_t cpu_ns(pid_t tid)
{
    struct timespec t;
    REQUIRE_EQ(clock_gettime((clockid_t)((~(unsigned)tid << 3) | 6), &t), 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static long sleeps(pid_t tid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)tid);
    return check_status_value(path, "voluntary_ctxt_switches");
}

static void wait_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static weft_kthd_t kthd_spinning(uint32_t idle, uint64_t spin_ns)
{
    struct weft_kthd_attr attr;
    weft_kthd_t kthd;
    weft_kthd_attr_init(&attr);
    attr.idle = idle;
    attr.spin_ns = spin_ns;
    REQUIRE_EQ(weft_kthd_create(&kthd, &attr), 0);
    return kthd;
}

static const char *const parking_words[] = {"spin then park", "park", NULL};

TEST_OVER(an_idle_kthd_uses_no_processor_time, parking_words)
{
    weft_kthd_t kthd = kthd_new_idle((uint32_t)check_variant);
    pid_t tid = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    AWAIT(check_task_in_state(tid, 'S'));
    int64_t before = cpu_ns(tid);
    long slept = sleeps(tid);
    wait_ms(300);
    CHECK(cpu_ns(tid) - before < 200000);
    CHECK_EQ(sleeps(tid), slept);
    kthd_end(kthd);
}

static void *park_forever(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)weft_lwt_park(WEFT_FOREVER);
}

TEST_OVER(a_kthd_whose_lwts_all_wait_uses_no_processor_time, parking_words)
{
    enum { count = 1000 };
    static weft_lwt_t lwts[count];
    weft_kthd_t kthd = kthd_new_idle((uint32_t)check_variant);
    pid_t tid = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    for (int i = 0; i < count; i++)
        lwts[i] = lwt_new(kthd, park_forever, NULL);
    AWAIT(kthd_info(kthd).blocked == count);
    AWAIT(check_task_in_state(tid, 'S'));
    int64_t before = cpu_ns(tid);
    long slept = sleeps(tid);
    wait_ms(200);
    CHECK(cpu_ns(tid) - before < 200000);
    CHECK_EQ(sleeps(tid), slept);
    for (int i = 0; i < count; i++)
        weft_lwt_unpark(lwts[i]);
    for (int i = 0; i < count; i++)
        CHECK_EQ((intptr_t)lwt_result(lwts[i]), 0);
    kthd_end(kthd);
}

static void *sleep_twice(void *arg)
{
    int64_t ms = (int64_t)(intptr_t)arg;
    CHECK_EQ(weft_lwt_park(scene_in_ms(ms)), -ETIMEDOUT);
    CHECK_EQ(weft_lwt_park(scene_in_ms(ms)), -ETIMEDOUT);
    return NULL;
}

TEST_OVER(a_kthd_that_waits_for_a_timer_sleeps_until_then, parking_words)
{
    weft_kthd_t kthd = kthd_new_idle((uint32_t)check_variant);
    pid_t tid = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    AWAIT(check_task_in_state(tid, 'S'));
    int64_t before = cpu_ns(tid);
    long slept = sleeps(tid);
    weft_lwt_t lwt = lwt_new(kthd, sleep_twice, (void *)100);
    lwt_result(lwt);
    CHECK(cpu_ns(tid) - before < 2000000 * (1 + 9 * CHECK_SANITIZED));
    CHECK(sleeps(tid) - slept <= 8); /* two timers, and what a wake-up takes */
    kthd_end(kthd);
}

TEST(a_spinning_kthd_burns_its_processor)
{
    weft_kthd_t kthd = kthd_new_idle(WEFT_IDLE_SPIN);
    pid_t tid = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    int64_t before = cpu_ns(tid);
    long slept = sleeps(tid);
    AWAIT(cpu_ns(tid) - before > 20000000); /* however busy the machine: a share comes in time */
    CHECK_EQ(sleeps(tid), slept);
    kthd_end(kthd);
}

TEST(the_spin_before_the_park_is_bounded)
{
    weft_kthd_t kthd = kthd_spinning(WEFT_IDLE_SPIN_THEN_PARK, 20000000);
    pid_t tid = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    int64_t before = cpu_ns(tid);
    AWAIT(check_task_in_state(tid, 'S'));
    int64_t spun = cpu_ns(tid) - before;
    CHECK(spun < 60000000);
    before = cpu_ns(tid);
    wait_ms(100);
    CHECK(cpu_ns(tid) - before < 200000);
    kthd_end(kthd);
}

TEST(a_spin_of_zero_parks_at_once)
{
    weft_kthd_t kthd = kthd_spinning(WEFT_IDLE_SPIN_THEN_PARK, 0);
    pid_t tid = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    AWAIT(check_task_in_state(tid, 'S'));
    int64_t before = cpu_ns(tid);
    for (int i = 0; i < 20; i++) {
        lwt_run(kthd, give_back, NULL);
        AWAIT(check_task_in_state(tid, 'S'));
    }
    CHECK(cpu_ns(tid) - before < 20000000 * (1 + 9 * CHECK_SANITIZED));
    kthd_end(kthd);
}

TEST_OVER(an_idle_kthd_wakes_for_every_way_in, parking_words)
{
    /* each time the carrier is seen asleep in the kernel before it is called */
    weft_kthd_t kthd = kthd_new_idle((uint32_t)check_variant), other = kthd_new();
    pid_t tid = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    weft_chan_t chan = chan_new(0);
    for (int i = 0; i < 20; i++) {
        AWAIT(check_task_in_state(tid, 'S'));
        CHECK_EQ((intptr_t)lwt_run(kthd, give_back, (void *)3), 3);
        weft_lwt_t lwt = lwt_new(kthd, park_forever, NULL);
        AWAIT(weft_lwt_state(lwt) == WEFT_LWT_BLOCKED && check_task_in_state(tid, 'S'));
        CHECK_EQ(weft_lwt_unpark(lwt), 0);
        CHECK_EQ((intptr_t)lwt_result(lwt), 0);
        lwt = lwt_new(kthd, park_forever, NULL);
        AWAIT(weft_lwt_state(lwt) == WEFT_LWT_BLOCKED && check_task_in_state(tid, 'S'));
        CHECK_EQ(weft_lwt_interrupt(lwt), 0);
        CHECK_EQ((intptr_t)lwt_result(lwt), -EINTR);
        AWAIT(check_task_in_state(tid, 'S'));
        REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
        CHECK_EQ(check_tid(), tid);
        REQUIRE_EQ(weft_lwt_step_aside(), 0);
        AWAIT(check_task_in_state(tid, 'S'));
        weft_lwt_yield();
        CHECK_EQ(check_tid(), tid);
        REQUIRE_EQ(weft_lwt_leave(), 0);
    }
    AWAIT(check_task_in_state(tid, 'S'));
    chan_end(chan);
    kthd_end(other);
    AWAIT(check_task_in_state(tid, 'S'));
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0); /* and to end */
}

struct echo {
    weft_chan_t to, fro;
};

static void *echo(void *arg)
{
    struct echo *echo = arg;
    uint64_t word;
    while (weft_chan_recv(echo->to, &word) == 0)
        chan_give(echo->fro, word);
    return NULL;
}

TEST_OVER(no_wake_up_is_lost_when_words_come_one_by_one, parking_words)
{
    struct echo e = {chan_new(0), chan_new(0)};
    weft_kthd_t kthd = kthd_new_idle((uint32_t)check_variant);
    weft_lwt_t lwt = lwt_new(kthd, echo, &e);
    struct check_random random = check_random_from(check_seed());
    for (uint64_t i = 0; i < (uint64_t)check_scale(5000); i++) {
        chan_give(e.to, i);
        REQUIRE_EQ(chan_take(e.fro), i);
        for (uint32_t j = check_random_below(&random, 2000); j > 0; j--) /* about as long as falling asleep takes */
            __asm__ volatile("pause");
    }
    weft_chan_close(e.to);
    lwt_result(lwt);
    chan_end(e.to);
    chan_end(e.fro);
    kthd_end(kthd);
}

static void *work_here(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100000; i++)
        weft_lwt_yield();
    return NULL;
}

TEST(a_busy_kthd_makes_no_system_calls_for_its_own_lwts)
{
    weft_kthd_t kthd = kthd_new_idle(WEFT_IDLE_PARK);
    pid_t tid = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    weft_lwt_t a = lwt_new(kthd, work_here, NULL), b = lwt_new(kthd, work_here, NULL);
    long slept = sleeps(tid);
    lwt_result(a);
    lwt_result(b);
    CHECK(sleeps(tid) - slept <= 5);
    kthd_end(kthd);
}

TEST(a_plain_thread_that_waits_uses_no_processor_time)
{
    weft_kthd_t kthd = kthd_new();
    weft_chan_t chan = chan_new(0);
    int64_t before = cpu_ns(check_tid());
    uint64_t value;
    struct weft_event event;
    weft_cgrp_t cgrp;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    weft_lwt_t lwt = lwt_new(kthd, park_forever, NULL);
    CHECK_EQ(weft_chan_recv_until(chan, &value, scene_in_ms(60)), -ETIMEDOUT);
    CHECK_EQ(weft_chan_send_until(chan, 1, scene_in_ms(60)), -ETIMEDOUT);
    CHECK_EQ(weft_cgrp_wait_until(cgrp, &event, scene_in_ms(60)), -ETIMEDOUT);
    CHECK_EQ(weft_lwt_join_until(lwt, NULL, scene_in_ms(60)), -ETIMEDOUT);
    CHECK(cpu_ns(check_tid()) - before < 10000000);
    weft_lwt_unpark(lwt);
    lwt_result(lwt);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
    kthd_end(kthd);
}
