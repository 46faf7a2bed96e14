/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kthd: creation with every attribute, external carriers, destruction in each of its forms, names, counters, and the
 * two calls about the whole library (platform check, error texts). What an idle kthd costs is in idle_test.c.
 */
#include "scene.h"

#include <sys/mman.h>

static void *give_back(void *arg) { return arg; }

static void *my_tid(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)check_tid();
}

static void *park_once(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)weft_lwt_park(WEFT_FOREVER);
}

static void *set_flag(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return NULL;
}

/* Parks; the caller unparks it when it is no longer needed. */
static weft_lwt_t lwt_parked_on(weft_kthd_t kthd)
{
    weft_lwt_t lwt = lwt_new(kthd, park_once, NULL);
    AWAIT(weft_lwt_state(lwt) == WEFT_LWT_BLOCKED);
    return lwt;
}

static void lwt_unpark_and_join(weft_lwt_t lwt)
{
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    CHECK_EQ((intptr_t)lwt_result(lwt), 0);
}

/* ---- the library ------------------------------------------------------------------------------------------------- */

TEST(platform_check_accepts_this_machine_and_leaves_no_sentence)
{
    char buf[256] = "x";
    CHECK_EQ(weft_platform_check(buf, sizeof buf), 0);
    CHECK_EQ(weft_platform_check(buf, 1), 0);
    CHECK_EQ(weft_platform_check(NULL, 0), 0);
}

TEST(platform_check_does_not_write_beyond_its_buffer)
{
    char buf[8];
    memset(buf, 0x55, sizeof buf);
    weft_platform_check(buf, 4);
    for (int i = 4; i < 8; i++)
        CHECK_EQ(buf[i], 0x55);
}

TEST(every_documented_code_has_a_text_of_its_own)
{
    static const int codes[] = {EAGAIN, EBADF, EBUSY,  EDEADLK, EEXIST, EINPROGRESS, EINTR, EINVAL,
                                ENOENT, ENOMEM, ENOSPC, ENOTSUP, EPERM, EPIPE, ESRCH, ETIMEDOUT};
    enum { count = sizeof codes / sizeof codes[0] };
    for (int i = 0; i < count; i++) {
        const char *text = weft_error_text(-codes[i]);
        CHECK(text && *text);
        CHECK(strcmp(text, "unknown error") != 0);
        CHECK(text == weft_error_text(-codes[i]));
        for (int j = 0; j < i; j++)
            CHECK(strcmp(text, weft_error_text(-codes[j])) != 0);
    }
    /* the two that are named at their functions only */
    CHECK(strcmp(weft_error_text(-EACCES), "unknown error") != 0);
    CHECK(strcmp(weft_error_text(-EALREADY), "unknown error") != 0);
}

TEST(error_text_of_zero_and_of_strangers)
{
    CHECK_STR(weft_error_text(0), "success");
    static const int strangers[] = {1, 7, -9999, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 5; i++)
        CHECK_STR(weft_error_text(strangers[i]), "unknown error");
}

TEST(the_abi_version_is_the_headers)
{
    CHECK_EQ(weft_abi_version(), WEFT_ABI_VERSION);
}

TEST(the_abi_clock_is_the_monotonic_one)
{
    int64_t before = check_now_ns(), now = weft_abi_now_ns(), after = check_now_ns();
    CHECK(before <= now && now <= after);
}

/* ---- creation ---------------------------------------------------------------------------------------------------- */

TEST(attr_init_fills_in_the_documented_defaults)
{
    struct weft_kthd_attr attr;
    memset(&attr, 0xa5, sizeof attr);
    weft_kthd_attr_init(&attr);
    CHECK(attr.name == NULL);
    CHECK_EQ(attr.cpu, -1);
    CHECK_EQ(attr.idle, WEFT_IDLE_SPIN_THEN_PARK);
    CHECK_EQ(attr.spin_ns, 20000);
    CHECK_EQ(attr.flags, 0);
    CHECK_EQ(attr.reserved, 0);
}

TEST(a_kthd_runs_its_lwts_on_a_carrier_of_its_own)
{
    weft_kthd_t a = kthd_new(), b = kthd_new();
    pid_t on_a = (pid_t)(intptr_t)lwt_run(a, my_tid, NULL), on_b = (pid_t)(intptr_t)lwt_run(b, my_tid, NULL);
    CHECK(on_a != check_tid());
    CHECK(on_b != check_tid());
    CHECK(on_a != on_b);
    CHECK_EQ(on_a, (pid_t)(intptr_t)lwt_run(a, my_tid, NULL));
    kthd_end(a);
    kthd_end(b);
}

static void expect_create_einval(const struct weft_kthd_attr *attr)
{
    weft_kthd_t kthd = {77};
    int threads = check_count_threads();
    CHECK_EQ(weft_kthd_create(&kthd, attr), -EINVAL);
    CHECK_EQ(kthd.id, 77);
    CHECK_EQ(check_count_threads(), threads);
}

TEST(create_refuses_an_unknown_idle_strategy)
{
    struct weft_kthd_attr attr;
    weft_kthd_attr_init(&attr);
    attr.idle = 3;
    expect_create_einval(&attr);
    attr.idle = UINT32_MAX;
    expect_create_einval(&attr);
}

TEST(create_refuses_an_unknown_flag)
{
    struct weft_kthd_attr attr;
    weft_kthd_attr_init(&attr);
    for (int bit = 1; bit < 32; bit++) {
        attr.flags = 1u << bit;
        expect_create_einval(&attr);
    }
}

TEST(create_refuses_to_spin_for_more_than_a_second)
{
    struct weft_kthd_attr attr;
    weft_kthd_attr_init(&attr);
    attr.spin_ns = 1000000001;
    expect_create_einval(&attr);
    attr.spin_ns = UINT64_MAX;
    expect_create_einval(&attr);
    weft_kthd_t kthd;
    attr.spin_ns = 1000000000;
    REQUIRE_EQ(weft_kthd_create(&kthd, &attr), 0);
    kthd_end(kthd);
}

TEST(create_refuses_a_processor_outside_the_affinity_mask)
{
    struct weft_kthd_attr attr;
    cpu_set_t all, one;
    weft_kthd_attr_init(&attr);
    REQUIRE_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    int first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    static const int32_t never[] = {-2, INT32_MIN, 1023, 1024, 100000, INT32_MAX};
    for (int i = 0; i < 6; i++) {
        attr.cpu = never[i];
        expect_create_einval(&attr);
    }
    /* the mask is the process's at the time of the call: a processor that exists, but not for us */
    CPU_CLR(first, &all);
    if (CPU_COUNT(&all) > 0) {
        REQUIRE_EQ(sched_setaffinity(0, sizeof all, &all), 0);
        attr.cpu = first;
        expect_create_einval(&attr);
        CPU_SET(first, &all);
        REQUIRE_EQ(sched_setaffinity(0, sizeof all, &all), 0);
    }
    CPU_ZERO(&one);
    CPU_SET(first, &one);
}

static void *my_affinity(void *arg)
{
    return (void *)(intptr_t)sched_getaffinity(0, sizeof(cpu_set_t), arg);
}

TEST(a_carrier_is_pinned_to_the_processor_asked_for_and_else_to_none)
{
    struct weft_kthd_attr attr;
    weft_kthd_t kthd;
    cpu_set_t mine, its;
    weft_kthd_attr_init(&attr);
    REQUIRE_EQ(sched_getaffinity(0, sizeof mine, &mine), 0);
    for (int cpu = 0; cpu < 64; cpu++) {
        if (!CPU_ISSET(cpu, &mine))
            continue;
        attr.cpu = cpu;
        REQUIRE_EQ(weft_kthd_create(&kthd, &attr), 0);
        REQUIRE_EQ((intptr_t)lwt_run(kthd, my_affinity, &its), 0);
        CHECK_EQ(CPU_COUNT(&its), 1);
        CHECK(CPU_ISSET(cpu, &its));
        kthd_end(kthd);
    }
    kthd = kthd_new();
    REQUIRE_EQ((intptr_t)lwt_run(kthd, my_affinity, &its), 0);
    CHECK(CPU_EQUAL(&its, &mine));
    kthd_end(kthd);
}

static void *my_mask(void *arg)
{
    return (void *)(intptr_t)pthread_sigmask(SIG_BLOCK, NULL, arg);
}

TEST(a_carrier_has_its_creators_signal_mask)
{
    sigset_t block, old, its;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigaddset(&block, SIGRTMIN + 3);
    REQUIRE_EQ(pthread_sigmask(SIG_BLOCK, &block, &old), 0);
    weft_kthd_t kthd = kthd_new();
    REQUIRE_EQ(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
    REQUIRE_EQ((intptr_t)lwt_run(kthd, my_mask, &its), 0);
    for (int signal = 1; signal < 65; signal++)
        if (signal != 32 && signal != 33)
            CHECK_EQ(sigismember(&its, signal), sigismember(&block, signal) || sigismember(&old, signal));
    kthd_end(kthd);
}

TEST(sixty_four_kthds_pass_a_word_round)
{
    enum { count = 64 };
    weft_kthd_t kthds[count];
    for (int i = 0; i < count; i++)
        kthds[i] = kthd_new_idle(i % 2 ? WEFT_IDLE_PARK : WEFT_IDLE_SPIN_THEN_PARK);
    intptr_t word = 0;
    for (int i = 0; i < 5 * count; i++)
        word = (intptr_t)lwt_run(kthds[i % count], give_back, (void *)(word + 1));
    CHECK_EQ(word, 5 * count);
    for (int i = 0; i < count; i++)
        kthd_end(kthds[i]);
    AWAIT(check_count_threads() <= 1 + 2 * CHECK_TSAN);
}

TEST(the_4096th_kthd_is_refused_with_enospc_and_then_there_is_room_again)
{
    enum { most = 4095 };
    static weft_kthd_t kthds[most + 1];
    struct weft_kthd_attr attr;
    weft_kthd_attr_init(&attr);
    attr.flags = WEFT_KTHD_EXTERNAL; /* no carriers: the table is what is filled */
    for (int i = 0; i < most; i++)
        REQUIRE_EQ(weft_kthd_create(&kthds[i], &attr), 0);
    kthds[most].id = 99;
    CHECK_EQ(weft_kthd_create(&kthds[most], &attr), -ENOSPC);
    CHECK_EQ(kthds[most].id, 99);
    REQUIRE_EQ(weft_kthd_destroy(kthds[1234], 0), 0);
    CHECK_EQ(weft_kthd_create(&kthds[1234], &attr), 0);
    CHECK_EQ(weft_kthd_create(&kthds[most], &attr), -ENOSPC);
    for (int i = 0; i < most; i++)
        REQUIRE_EQ(weft_kthd_destroy(kthds[i], 0), 0);
}

TEST(every_kthd_strategy_runs_lwts)
{
    for (uint32_t idle = 0; idle <= WEFT_IDLE_SPIN; idle++) {
        weft_kthd_t kthd = kthd_new_idle(idle);
        for (intptr_t i = 1; i <= 100; i++)
            CHECK_EQ((intptr_t)lwt_run(kthd, give_back, (void *)i), i);
        kthd_end(kthd);
    }
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

TEST(an_unnamed_kthd_is_called_kthd_and_a_number)
{
    char name[WEFT_NAME_SIZE];
    weft_kthd_t kthd = kthd_new();
    REQUIRE_EQ(weft_kthd_name(kthd, name, sizeof name), 0);
    char *end;
    CHECK_EQ(strncmp(name, "kthd-", 5), 0);
    strtoul(name + 5, &end, 10);
    CHECK(end > name + 5 && *end == 0);
    kthd_end(kthd);
}

TEST(a_name_is_copied_and_cut_to_31_bytes)
{
    char given[64] = "0123456789012345678901234567890123456789", name[WEFT_NAME_SIZE + 1];
    struct weft_kthd_attr attr;
    weft_kthd_t kthd;
    weft_kthd_attr_init(&attr);
    attr.name = given;
    REQUIRE_EQ(weft_kthd_create(&kthd, &attr), 0);
    memset(given, 'x', sizeof given - 1);
    memset(name, 'y', sizeof name);
    CHECK_EQ(weft_kthd_name(kthd, name, WEFT_NAME_SIZE), 0);
    CHECK_STR(name, "0123456789012345678901234567890");
    CHECK_EQ(name[WEFT_NAME_SIZE], 'y');
    kthd_end(kthd);
}

TEST(a_small_buffer_cuts_the_name_and_is_always_closed)
{
    struct weft_kthd_attr attr;
    weft_kthd_t kthd;
    weft_kthd_attr_init(&attr);
    attr.name = "loom";
    REQUIRE_EQ(weft_kthd_create(&kthd, &attr), 0);
    char buf[8] = "~~~~~~~";
    CHECK_EQ(weft_kthd_name(kthd, buf, 3), 0);
    CHECK_STR(buf, "lo");
    CHECK_EQ(buf[3], '~');
    CHECK_EQ(weft_kthd_name(kthd, buf, 1), 0);
    CHECK_STR(buf, "");
    CHECK_EQ(weft_kthd_name(kthd, buf, 5), 0);
    CHECK_STR(buf, "loom");
    kthd_end(kthd);
}

TEST(kthd_name_refuses_an_empty_buffer_and_a_stale_kthd)
{
    char buf[4] = "abc";
    weft_kthd_t kthd = kthd_new();
    CHECK_EQ(weft_kthd_name(kthd, buf, 0), -EINVAL);
    kthd_end(kthd);
    CHECK_EQ(weft_kthd_name(kthd, buf, sizeof buf), -ESRCH);
    CHECK_EQ(weft_kthd_name(no_kthd, buf, sizeof buf), -ESRCH);
    CHECK_STR(buf, "abc");
}

/* ---- external carriers ------------------------------------------------------------------------------------------- */

static weft_kthd_t kthd_new_external(void)
{
    struct weft_kthd_attr attr;
    weft_kthd_t kthd;
    weft_kthd_attr_init(&attr);
    attr.flags = WEFT_KTHD_EXTERNAL;
    int threads = check_count_threads();
    REQUIRE_EQ(weft_kthd_create(&kthd, &attr), 0);
    CHECK_EQ(check_count_threads(), threads);
    return kthd;
}

struct run {
    weft_kthd_t kthd;
    int result;
    _Atomic pid_t tid;
};

static void *run_kthd(void *arg)
{
    struct run *run = arg;
    atomic_store(&run->tid, check_tid());
    run->result = weft_kthd_run(run->kthd);
    return NULL;
}

TEST(lwts_of_an_external_kthd_queue_up_until_a_thread_runs_it)
{
    struct run run = {.kthd = kthd_new_external()};
    pthread_t carrier;
    weft_lwt_t lwts[10];
    pid_t tids[10];
    for (int i = 0; i < 10; i++)
        lwts[i] = lwt_new(run.kthd, my_tid, NULL);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weft_lwt_state(lwts[i]), WEFT_LWT_READY);
    CHECK_EQ(kthd_info(run.kthd).runnable, 10);
    REQUIRE_EQ(pthread_create(&carrier, NULL, run_kthd, &run), 0);
    for (int i = 0; i < 10; i++)
        tids[i] = (pid_t)(intptr_t)lwt_result(lwts[i]);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(tids[i], atomic_load(&run.tid));
    kthd_end(run.kthd);
    pthread_join(carrier, NULL);
    CHECK_EQ(run.result, 0);
}

TEST(an_external_kthd_that_nobody_ran_can_be_destroyed)
{
    weft_kthd_t kthd = kthd_new_external();
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), -ESRCH);
}

TEST(an_external_kthd_that_nobody_ran_refuses_to_go_while_lwts_are_queued)
{
    struct run run = {.kthd = kthd_new_external()};
    pthread_t carrier;
    weft_lwt_t lwt = lwt_new(run.kthd, give_back, (void *)5);
    CHECK_EQ(weft_kthd_destroy(run.kthd, 0), -EBUSY);
    REQUIRE_EQ(pthread_create(&carrier, NULL, run_kthd, &run), 0);
    CHECK_EQ((intptr_t)lwt_result(lwt), 5);
    kthd_end(run.kthd);
    pthread_join(carrier, NULL);
}

TEST(run_refuses_a_kthd_that_is_not_there)
{
    weft_kthd_t kthd = kthd_new_external();
    CHECK_EQ(weft_kthd_run(no_kthd), -ESRCH);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0);
    CHECK_EQ(weft_kthd_run(kthd), -ESRCH);
}

TEST(run_refuses_a_kthd_with_a_carrier_of_its_own)
{
    weft_kthd_t kthd = kthd_new();
    CHECK_EQ(weft_kthd_run(kthd), -EINVAL);
    kthd_end(kthd);
}

TEST(run_refuses_a_kthd_that_another_thread_runs)
{
    struct run run = {.kthd = kthd_new_external()};
    pthread_t carrier;
    REQUIRE_EQ(pthread_create(&carrier, NULL, run_kthd, &run), 0);
    CHECK(lwt_run(run.kthd, my_tid, NULL) != NULL);
    CHECK_EQ(weft_kthd_run(run.kthd), -EBUSY);
    kthd_end(run.kthd);
    pthread_join(carrier, NULL);
}

static void *run_from_lwt(void *arg)
{
    return (void *)(intptr_t)weft_kthd_run(*(weft_kthd_t *)arg);
}

TEST(run_refuses_a_native_lwt)
{
    weft_kthd_t external = kthd_new_external(), kthd = kthd_new();
    CHECK_EQ((intptr_t)lwt_run(kthd, run_from_lwt, &external), -EPERM);
    kthd_end(kthd);
    CHECK_EQ(weft_kthd_destroy(external, 0), 0);
}

TEST(run_refuses_an_adopted_thread)
{
    weft_kthd_t external = kthd_new_external(), kthd = kthd_new();
    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    CHECK_EQ(weft_kthd_run(external), -EPERM);
    REQUIRE_EQ(weft_lwt_leave(), 0);
    kthd_end(kthd);
    CHECK_EQ(weft_kthd_destroy(external, 0), 0);
}

struct restored {
    struct run run;
    char before[16], after[16];
    cpu_set_t mask_before, mask_after;
    stack_t stack_before, stack_after;
    sigset_t signals_before, signals_after;
    char signal_stack[65536];
};

static void *run_and_compare(void *arg)
{
    struct restored *r = arg;
    stack_t mine = {.ss_sp = r->signal_stack, .ss_size = sizeof r->signal_stack};
    prctl(PR_SET_NAME, "weaver");
    sigaltstack(&mine, NULL);
    prctl(PR_GET_NAME, r->before);
    sched_getaffinity(0, sizeof r->mask_before, &r->mask_before);
    sigaltstack(NULL, &r->stack_before);
    pthread_sigmask(SIG_BLOCK, NULL, &r->signals_before);
    run_kthd(&r->run);
    prctl(PR_GET_NAME, r->after);
    sched_getaffinity(0, sizeof r->mask_after, &r->mask_after);
    sigaltstack(NULL, &r->stack_after);
    pthread_sigmask(SIG_BLOCK, NULL, &r->signals_after);
    stack_t off = {.ss_flags = SS_DISABLE};
    sigaltstack(&off, NULL);
    return NULL;
}

TEST(run_restores_its_callers_name_affinity_and_signal_stack)
{
    struct restored *r = calloc(1, sizeof *r);
    struct weft_kthd_attr attr;
    pthread_t carrier;
    cpu_set_t mine;
    weft_kthd_attr_init(&attr);
    attr.flags = WEFT_KTHD_EXTERNAL;
    attr.name = "loom";
    sched_getaffinity(0, sizeof mine, &mine);
    for (attr.cpu = 0; !CPU_ISSET(attr.cpu, &mine);)
        attr.cpu++;
    REQUIRE_EQ(weft_kthd_create(&r->run.kthd, &attr), 0);
    REQUIRE_EQ(pthread_create(&carrier, NULL, run_and_compare, r), 0);
    cpu_set_t its;
    REQUIRE_EQ((intptr_t)lwt_run(r->run.kthd, my_affinity, &its), 0);
    CHECK_EQ(CPU_COUNT(&its), 1);
    kthd_end(r->run.kthd);
    pthread_join(carrier, NULL);
    CHECK_EQ(r->run.result, 0);
    CHECK_STR(r->after, r->before);
    CHECK(CPU_EQUAL(&r->mask_before, &r->mask_after));
    CHECK(r->stack_before.ss_sp == r->stack_after.ss_sp);
    CHECK_EQ(r->stack_before.ss_size, r->stack_after.ss_size);
    CHECK_EQ(r->stack_before.ss_flags, r->stack_after.ss_flags);
    CHECK_EQ(memcmp(&r->signals_before, &r->signals_after, 8), 0);
    free(r);
}

static void *run_two_in_turn(void *arg)
{
    struct run *runs = arg;
    run_kthd(&runs[0]);
    run_kthd(&runs[1]);
    return NULL;
}

TEST(a_thread_runs_one_kthd_after_another)
{
    struct run runs[2] = {{.kthd = kthd_new_external()}, {.kthd = kthd_new_external()}};
    pthread_t carrier;
    weft_lwt_t later = lwt_new(runs[1].kthd, my_tid, NULL);
    REQUIRE_EQ(pthread_create(&carrier, NULL, run_two_in_turn, runs), 0);
    intptr_t tid = (intptr_t)lwt_run(runs[0].kthd, my_tid, NULL);
    kthd_end(runs[0].kthd);
    CHECK_EQ((intptr_t)lwt_result(later), tid);
    kthd_end(runs[1].kthd);
    pthread_join(carrier, NULL);
    CHECK_EQ(runs[0].result, 0);
    CHECK_EQ(runs[1].result, 0);
}

TEST(a_thread_that_ran_a_kthd_is_a_plain_thread_again)
{
    struct run run = {.kthd = kthd_new_external()};
    weft_kthd_t kthd = kthd_new();
    pthread_t carrier;
    REQUIRE_EQ(pthread_create(&carrier, NULL, run_kthd, &run), 0);
    lwt_run(run.kthd, my_tid, NULL);
    kthd_end(run.kthd);
    pthread_join(carrier, NULL);
    /* and the other way about: one that was an lwt may become a carrier; see adopt_test.c for adoption itself */
    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    REQUIRE_EQ(weft_lwt_leave(), 0);
    CHECK_EQ(weft_kthd_run(kthd), -EINVAL);
    kthd_end(kthd);
}

/* ---- destruction ------------------------------------------------------------------------------------------------- */

TEST(destroy_stops_the_carrier_and_makes_the_handle_stale)
{
    int threads = check_count_threads();
    weft_kthd_t kthd = kthd_new();
    pid_t tid = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0);
    AWAIT(check_count_threads() <= threads + 2 * CHECK_TSAN); /* it may be seen in /proc for a moment yet */
    AWAIT(syscall(SYS_tgkill, getpid(), tid, 0) == -1);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), -ESRCH);
    CHECK_EQ(weft_kthd_destroy(kthd, WEFT_KTHD_WAIT), -ESRCH);
    struct weft_info info;
    CHECK_EQ(weft_kthd_info(kthd, &info), -ESRCH);
    weft_lwt_t lwt;
    CHECK_EQ(weft_lwt_create(&lwt, kthd, give_back, NULL, NULL), -ESRCH);
}

TEST(a_new_kthd_never_has_an_old_ones_handle)
{
    uint64_t old[100];
    for (int i = 0; i < 100; i++) {
        weft_kthd_t kthd = kthd_new();
        old[i] = kthd.id;
        for (int j = 0; j < i; j++)
            CHECK(old[j] != kthd.id);
        kthd_end(kthd);
    }
}

TEST(destroy_refuses_while_lwts_live)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_parked_on(kthd);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), -EBUSY);
    CHECK_EQ((intptr_t)lwt_run(kthd, give_back, (void *)3), 3);
    lwt_unpark_and_join(lwt);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0);
}

TEST(destroy_refuses_an_unknown_flag)
{
    weft_kthd_t kthd = kthd_new();
    for (int bit = 1; bit < 32; bit++)
        CHECK_EQ(weft_kthd_destroy(kthd, 1u << bit), -EINVAL);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0);
}

static void *destroy_waiting(void *arg)
{
    struct run *run = arg;
    atomic_store(&run->tid, check_tid());
    run->result = weft_kthd_destroy(run->kthd, WEFT_KTHD_WAIT);
    return NULL;
}

TEST(destroy_waits_for_the_last_lwt_if_asked_and_lwts_go_on_being_created)
{
    struct run run = {.kthd = kthd_new()};
    pthread_t destroyer;
    weft_lwt_t lwt = lwt_parked_on(run.kthd);
    REQUIRE_EQ(pthread_create(&destroyer, NULL, destroy_waiting, &run), 0);
    AWAIT(atomic_load(&run.tid) && check_task_in_state(atomic_load(&run.tid), 'S'));
    weft_lwt_t second = lwt_parked_on(run.kthd);
    lwt_unpark_and_join(lwt);
    CHECK_EQ((intptr_t)lwt_run(run.kthd, give_back, (void *)3), 3);
    lwt_unpark_and_join(second);
    pthread_join(destroyer, NULL);
    CHECK_EQ(run.result, 0);
    CHECK_EQ(weft_kthd_destroy(run.kthd, 0), -ESRCH);
}

TEST(a_second_destroyer_gets_ebusy)
{
    struct run run = {.kthd = kthd_new()};
    pthread_t destroyer;
    weft_lwt_t lwt = lwt_parked_on(run.kthd);
    REQUIRE_EQ(pthread_create(&destroyer, NULL, destroy_waiting, &run), 0);
    AWAIT(atomic_load(&run.tid) && check_task_in_state(atomic_load(&run.tid), 'S'));
    CHECK_EQ(weft_kthd_destroy(run.kthd, WEFT_KTHD_WAIT), -EBUSY);
    CHECK_EQ(weft_kthd_destroy(run.kthd, 0), -EBUSY);
    lwt_unpark_and_join(lwt);
    pthread_join(destroyer, NULL);
    CHECK_EQ(run.result, 0);
}

static void *destroy_own(void *arg)
{
    return (void *)(intptr_t)weft_kthd_destroy(weft_kthd_current(), *(uint32_t *)arg);
}

TEST(an_lwt_cannot_destroy_the_kthd_it_lives_on)
{
    weft_kthd_t kthd = kthd_new();
    uint32_t refuse = 0, wait = WEFT_KTHD_WAIT;
    CHECK_EQ((intptr_t)lwt_run(kthd, destroy_own, &refuse), -EBUSY);
    CHECK_EQ((intptr_t)lwt_run(kthd, destroy_own, &wait), -EDEADLK);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0);
}

TEST(an_adopted_thread_cannot_destroy_the_kthd_it_lives_on)
{
    weft_kthd_t kthd = kthd_new();
    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), -EBUSY);
    CHECK_EQ(weft_kthd_destroy(kthd, WEFT_KTHD_WAIT), -EDEADLK);
    REQUIRE_EQ(weft_lwt_leave(), 0);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0);
}

static void *destroy_other(void *arg)
{
    return (void *)(intptr_t)weft_kthd_destroy(*(weft_kthd_t *)arg, WEFT_KTHD_WAIT);
}

TEST(an_lwt_destroys_another_kthd)
{
    weft_kthd_t kthd = kthd_new(), other = kthd_new();
    CHECK_EQ((intptr_t)lwt_run(other, give_back, (void *)1), 1);
    CHECK_EQ((intptr_t)lwt_run(kthd, destroy_other, &other), 0);
    CHECK_EQ(weft_kthd_destroy(other, 0), -ESRCH);
    kthd_end(kthd);
}

TEST(a_zombie_does_not_hold_its_kthd_and_can_be_joined_after_it)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, give_back, (void *)17);
    AWAIT(weft_lwt_state(lwt) == WEFT_LWT_ZOMBIE);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0);
    CHECK_EQ(all_info().zombies, 1);
    CHECK_EQ((intptr_t)lwt_result(lwt), 17);
    CHECK_EQ(all_info().zombies, 0);
}

TEST(kthds_come_and_go_without_a_trace)
{
    for (int i = 0; i < 20; i++) {
        weft_kthd_t kthd = kthd_new();
        lwt_run(kthd, give_back, NULL);
        kthd_end(kthd);
    }
    int maps = check_count_maps(), fds = check_count_fds(), threads = check_count_threads();
    for (int i = 0; i < (int)check_scale(300); i++) {
        weft_kthd_t kthd = kthd_new_idle((uint32_t)i % 2);
        lwt_run(kthd, give_back, NULL);
        kthd_end(kthd);
    }
    AWAIT(check_count_threads() <= threads);
    CHECK_EQ(check_count_fds(), fds);
    CHECK(check_count_maps() <= maps + (CHECK_SANITIZED ? 200 : 4));
}

/* ---- current, counters ------------------------------------------------------------------------------------------- */

static void *my_kthd(void *arg)
{
    (void)arg;
    return (void *)weft_kthd_current().id;
}

TEST(current_is_the_lwts_kthd_and_none_on_a_plain_thread)
{
    weft_kthd_t kthd = kthd_new();
    CHECK_EQ(weft_kthd_current().id, 0);
    CHECK_EQ((uint64_t)lwt_run(kthd, my_kthd, NULL), kthd.id);
    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    CHECK_EQ(weft_kthd_current().id, kthd.id);
    REQUIRE_EQ(weft_lwt_leave(), 0);
    CHECK_EQ(weft_kthd_current().id, 0);
    kthd_end(kthd);
}

static void *send_to(void *arg) { return (void *)(intptr_t)weft_chan_send(*(weft_chan_t *)arg, 1); }

static void *recv_from(void *arg)
{
    uint64_t value;
    return (void *)(intptr_t)weft_chan_recv(*(weft_chan_t *)arg, &value);
}

static void *count_from_inside(void *arg)
{
    weft_lwt_t *ready = arg;
    weft_kthd_t kthd = weft_kthd_current();
    for (int i = 0; i < 3; i++)
        ready[i] = lwt_new(kthd, give_back, NULL);
    struct weft_info info = kthd_info(kthd);
    CHECK_EQ(info.lwts, 1 + 3 + 2 + 3 + 1);
    CHECK_EQ(info.runnable, 1 + 3);
    CHECK_EQ(info.blocked, 2 + 3 + 1);
    CHECK_EQ(info.sending, 2);
    CHECK_EQ(info.receiving, 3);
    CHECK_EQ(info.zombies, 1);
    CHECK_EQ(info.loose, 0);
    return NULL;
}

TEST(info_counts_lwts_by_what_they_do)
{
    weft_kthd_t kthd = kthd_new(), other = kthd_new();
    weft_chan_t full = chan_new(0), empty = chan_new(5);
    weft_lwt_t lwts[6], ready[3], zombie = lwt_new(kthd, give_back, NULL);
    for (int i = 0; i < 2; i++)
        lwts[i] = lwt_new(kthd, send_to, &full);
    for (int i = 2; i < 5; i++)
        lwts[i] = lwt_new(kthd, recv_from, &empty);
    lwts[5] = lwt_new(kthd, park_once, NULL);
    weft_lwt_t elsewhere = lwt_parked_on(other);
    AWAIT(kthd_info(kthd).blocked == 6 && kthd_info(kthd).zombies == 1);
    lwt_run(kthd, count_from_inside, ready);
    struct weft_info info = all_info();
    CHECK_EQ(info.blocked, 7);
    CHECK_EQ(info.sending, 2);
    CHECK_EQ(info.receiving, 3);
    CHECK_EQ(info.channels, 2);
    CHECK_EQ(kthd_info(other).blocked, 1);
    CHECK_EQ(kthd_info(other).lwts, 1);
    CHECK_EQ(kthd_info(other).channels, 2); /* the process's, whatever the kthd */
    CHECK_EQ(kthd_info(other).zombies, 0);
    for (int i = 0; i < 3; i++)
        lwt_result(ready[i]);
    lwt_result(zombie);
    weft_chan_close(full);
    weft_chan_close(empty);
    for (int i = 0; i < 5; i++)
        CHECK_EQ((intptr_t)lwt_result(lwts[i]), -EPIPE);
    lwt_unpark_and_join(lwts[5]);
    lwt_unpark_and_join(elsewhere);
    chan_end(full);
    chan_end(empty);
    info = all_info();
    CHECK_EQ(info.lwts + info.runnable + info.blocked + info.zombies, 0);
    CHECK_EQ(info.channels + info.sending + info.receiving, 0);
    kthd_end(kthd);
    kthd_end(other);
}


TEST(info_counts_a_loose_lwt)
{
    weft_kthd_t kthd = kthd_new();
    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    CHECK_EQ(kthd_info(kthd).runnable, 1);
    REQUIRE_EQ(weft_lwt_step_aside(), 0);
    struct weft_info info = kthd_info(kthd);
    CHECK_EQ(info.lwts, 1);
    CHECK_EQ(info.loose, 1);
    CHECK_EQ(info.runnable, 0);
    CHECK_EQ(info.blocked, 0);
    CHECK_EQ(all_info().loose, 1);
    REQUIRE_EQ(weft_lwt_leave(), 0);
    CHECK_EQ(kthd_info(kthd).lwts, 0);
    kthd_end(kthd);
}

static void *yield_times(void *arg)
{
    for (intptr_t i = 0; i < (intptr_t)arg; i++)
        weft_lwt_yield();
    return NULL;
}

static void *two_that_yield(void *arg)
{
    weft_lwt_t a = lwt_new(no_kthd, yield_times, arg), b = lwt_new(no_kthd, yield_times, arg);
    lwt_result(a);
    lwt_result(b);
    return NULL;
}

TEST(switches_are_counted_per_kthd_and_in_all)
{
    weft_kthd_t kthd = kthd_new(), other = kthd_new();
    uint64_t before = kthd_info(kthd).switches, others = kthd_info(other).switches, all = all_info().switches;
    lwt_run(kthd, two_that_yield, (void *)1000);
    CHECK(kthd_info(kthd).switches >= before + 2000);
    CHECK(kthd_info(kthd).switches <= before + 2100);
    CHECK_EQ(kthd_info(other).switches, others);
    CHECK(all_info().switches >= all + 2000);
    kthd_end(kthd);
    kthd_end(other);
}

TEST(info_of_a_kthd_that_is_not_there_is_esrch)
{
    struct weft_info info;
    CHECK_EQ(weft_kthd_info(no_kthd, &info), -ESRCH);
    CHECK_EQ(weft_kthd_info(kthd_of(UINT64_MAX), &info), -ESRCH);
}

/* ---- the inbox --------------------------------------------------------------------------------------------------- */

struct spawner {
    weft_kthd_t kthd;
    long rounds;
    atomic_long *ran;
};

static void *count_one(void *arg)
{
    atomic_fetch_add((atomic_long *)arg, 1);
    return NULL;
}

static void *spawn_detached(void *arg)
{
    struct spawner *spawner = arg;
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    attr.flags = WEFT_LWT_DETACHED;
    for (long i = 0; i < spawner->rounds; i++)
        REQUIRE_EQ(weft_lwt_create(NULL, spawner->kthd, count_one, spawner->ran, &attr), 0);
    return NULL;
}

static const char *const idle_words[] = {"spin then park", "park", "spin", NULL};

TEST_OVER(what_many_threads_spawn_at_once_all_runs, idle_words)
{
    enum { threads = 4 };
    atomic_long ran = 0;
    struct spawner spawner = {kthd_new_idle((uint32_t)check_variant), check_scale(20000), &ran};
    pthread_t spawners[threads];
    for (int i = 0; i < threads; i++)
        REQUIRE_EQ(pthread_create(&spawners[i], NULL, spawn_detached, &spawner), 0);
    for (int i = 0; i < threads; i++)
        pthread_join(spawners[i], NULL);
    AWAIT(atomic_load(&ran) == threads * spawner.rounds);
    kthd_end(spawner.kthd);
    CHECK_EQ(all_info().lwts, 0);
}

TEST_OVER(no_wake_up_is_lost_between_one_spawn_and_the_next, idle_words)
{
    /* the kthd goes to sleep, or is about to, whenever the next lwt comes */
    weft_kthd_t kthd = kthd_new_idle((uint32_t)check_variant);
    for (long i = 0; i < check_scale(5000); i++) {
        atomic_int ran = 0;
        struct weft_lwt_attr attr;
        weft_lwt_attr_init(&attr);
        attr.flags = WEFT_LWT_DETACHED;
        REQUIRE_EQ(weft_lwt_create(NULL, kthd, set_flag, &ran, &attr), 0);
        for (int64_t end = check_now_ns() + 5000000000; !atomic_load(&ran);) {
            REQUIRE(check_now_ns() < end);
            if (i % 2)
                sched_yield();
        }
    }
    kthd_end(kthd);
}
