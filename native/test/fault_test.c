/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault: every kind of system call fails, the first, the second ... until the scenario gets by without meeting the
 * fault, once and for good, in a process that has not used weft before and in one that has. Each time: a documented
 * error or none; counts, threads, descriptors and maps as before; and the same scenario works afterwards.
 *
 * Through the fault seam of base/sys.h, which the archive for tests has (WEFT_FAULT_SEAM).
 */
#include "scene.h"

#include "base/sys.h"

#ifndef WEFT_FAULT_SEAM
#error "compile with -DWEFT_FAULT_SEAM=1, against an archive that was"
#endif

/* ---- scenarios: each does one thing and undoes it; 0, or the error that stopped it, and then nothing is left ----- */

static weft_kthd_t home; /* there before the faults begin; none for those who make their own */
static weft_chan_t made_before;

static void *give_back(void *arg) { return arg; }

static int do_kthd(void)
{
    weft_kthd_t kthd;
    int r = weft_kthd_create(&kthd, NULL);
    if (r)
        return r;
    return weft_kthd_destroy(kthd, WEFT_KTHD_WAIT);
}

static int do_kthd_pinned(void)
{
    struct weft_kthd_attr attr;
    weft_kthd_t kthd;
    cpu_set_t mine;
    weft_kthd_attr_init(&attr);
    sched_getaffinity(0, sizeof mine, &mine);
    for (attr.cpu = 0; !CPU_ISSET(attr.cpu, &mine);)
        attr.cpu++;
    int r = weft_kthd_create(&kthd, &attr);
    if (r)
        return r;
    return weft_kthd_destroy(kthd, WEFT_KTHD_WAIT);
}

static int do_lwt(void)
{
    weft_lwt_t lwt;
    void *value;
    int r = weft_lwt_create(&lwt, home, give_back, (void *)7, NULL);
    if (r)
        return r;
    REQUIRE_EQ(weft_lwt_join(lwt, &value), 0);
    CHECK_EQ((intptr_t)value, 7);
    return 0;
}

static int do_large_lwt(void)
{
    struct weft_lwt_attr attr;
    weft_lwt_t lwt;
    weft_lwt_attr_init(&attr);
    attr.stack_bytes = 8 << 20;
    int r = weft_lwt_create(&lwt, home, give_back, NULL, &attr);
    return r ? r : weft_lwt_join(lwt, NULL);
}

static int do_adopt(void)
{
    pid_t mine = check_tid();
    int r = weft_lwt_adopt(home, NULL);
    if (r) {
        CHECK_EQ(check_tid(), mine);
        CHECK_EQ(weft_lwt_current().id, 0);
        return r;
    }
    CHECK(check_tid() != mine);
    weft_lwt_yield();
    return weft_lwt_leave();
}

static int do_chan(void)
{
    static const uint32_t capacities[] = {0, 10, 100000};
    for (int i = 0; i < 3; i++) {
        weft_chan_t chan = {77};
        int r = weft_chan_create(&chan, capacities[i]);
        if (r) {
            CHECK_EQ(chan.id, 77);
            return r;
        }
        if (capacities[i]) {
            REQUIRE_EQ(weft_chan_send(chan, 9), 0);
            CHECK_EQ(chan_take(chan), 9);
        }
        chan_end(chan);
    }
    return 0;
}

static int do_cgrp(void)
{
    weft_cgrp_t cgrp = {77};
    int r = weft_cgrp_create(&cgrp);
    if (r) {
        CHECK_EQ(cgrp.id, 77);
        return r;
    }
    return weft_cgrp_free(cgrp);
}

static int do_cgrp_add(void)
{
    weft_cgrp_t cgrp;
    int r = weft_cgrp_create(&cgrp);
    if (r)
        return r;
    r = weft_cgrp_add(cgrp, made_before, 5);
    if (r == 0) {
        struct weft_event event;
        REQUIRE_EQ(weft_chan_send(made_before, 1), 0);
        REQUIRE_EQ(weft_cgrp_wait(cgrp, &event), 0);
        CHECK_EQ(event.mark, 5);
        CHECK_EQ(chan_take(made_before), 1);
    }
    REQUIRE_EQ(weft_cgrp_free(cgrp), 0);
    return r;
}

static void *echo(void *arg)
{
    weft_chan_t *chans = arg;
    uint64_t word;
    while (weft_chan_recv(chans[0], &word) == 0)
        REQUIRE_EQ(weft_chan_send(chans[1], word), 0);
    return NULL;
}

/* Sleeping and waking in every way: a plain thread, a carrier, a timer, a bias taken away. */
static int do_traffic(void)
{
    weft_chan_t chans[2];
    weft_lwt_t lwt;
    uint64_t word;
    int r = weft_chan_create(&chans[0], 0);
    if (r)
        return r;
    r = weft_chan_create(&chans[1], 2);
    if (r) {
        chan_end(chans[0]);
        return r;
    }
    r = weft_lwt_create(&lwt, home, echo, chans, NULL);
    if (r == 0) {
        for (uint64_t i = 0; i < 20; i++) {
            REQUIRE_EQ(weft_chan_send(chans[0], i), 0);
            REQUIRE_EQ(weft_chan_recv(chans[1], &word), 0);
            CHECK_EQ(word, i);
        }
        int64_t deadline = scene_in_ms(3);
        REQUIRE_EQ(weft_chan_recv_until(chans[1], &word, deadline), -ETIMEDOUT);
        CHECK(check_now_ns() >= deadline);
        weft_chan_close(chans[0]);
        REQUIRE_EQ(weft_lwt_join(lwt, NULL), 0);
    }
    chan_end(chans[0]);
    chan_end(chans[1]);
    return r;
}

static atomic_int timed_out;

static void *park_a_little(void *arg)
{
    (void)arg;
    int64_t deadline = scene_in_ms(3);
    REQUIRE_EQ(weft_lwt_park(deadline), -ETIMEDOUT);
    CHECK(check_now_ns() >= deadline);
    atomic_store(&timed_out, 1);
    return (void *)(intptr_t)weft_lwt_park(WEFT_FOREVER);
}

static int do_park(void)
{
    weft_lwt_t lwt;
    atomic_store(&timed_out, 0);
    int r = weft_lwt_create(&lwt, home, park_a_little, NULL, NULL);
    if (r)
        return r;
    AWAIT(atomic_load(&timed_out));
    REQUIRE_EQ(weft_lwt_unpark(lwt), 0);
    return weft_lwt_join(lwt, NULL);
}

static int do_interrupt(void)
{
    weft_lwt_t lwt;
    void *value;
    atomic_store(&timed_out, 0);
    int r = weft_lwt_create(&lwt, home, park_a_little, NULL, NULL);
    if (r)
        return r;
    AWAIT(atomic_load(&timed_out));
    r = weft_lwt_interrupt(lwt);
    if (r)
        weft_lwt_unpark(lwt);
    REQUIRE_EQ(weft_lwt_join(lwt, &value), 0);
    if (!r)
        CHECK_EQ((intptr_t)value, -EINTR);
    return r;
}

static void *create_inside(void *arg)
{
    (void)arg;
    weft_lwt_t lwt;
    int r = weft_lwt_create(&lwt, no_kthd, give_back, (void *)7, NULL);
    return (void *)(intptr_t)(r ? r : weft_lwt_join(lwt, NULL));
}

static int do_lwt_from_lwt(void)
{
    weft_lwt_t lwt;
    void *value;
    int r = weft_lwt_create(&lwt, home, create_inside, NULL, NULL);
    if (r)
        return r;
    REQUIRE_EQ(weft_lwt_join(lwt, &value), 0);
    return (int)(intptr_t)value;
}

struct scenario {
    const char *name;
    int (*run)(void);
    bool needs_home;
};

static const struct scenario scenarios[] = {
    {"kthd", do_kthd, false},
    {"pinned kthd", do_kthd_pinned, false},
    {"lwt", do_lwt, true},
    {"large lwt", do_large_lwt, true},
    {"lwt from an lwt", do_lwt_from_lwt, true},
    {"adoption", do_adopt, true},
    {"channel", do_chan, false},
    {"group", do_cgrp, false},
    {"member of a group", do_cgrp_add, false},
    {"traffic", do_traffic, true},
    {"park", do_park, true},
    {"interrupt", do_interrupt, true},
};
enum { scenario_count = sizeof scenarios / sizeof scenarios[0] };

/* ---- the matrix -------------------------------------------------------------------------------------------------- */

struct fault {
    const char *word;
    enum sys_kind kind;
    int error;
    bool transparent; /* a caller must never notice */
};

static const struct fault faults[] = {
    {"mmap", SYS_KIND_MMAP, -ENOMEM, false},
    {"mprotect", SYS_KIND_MPROTECT, -ENOMEM, false},
    {"madvise: no memory", SYS_KIND_MADVISE, -ENOMEM, false},
    {"madvise: unknown advice", SYS_KIND_MADVISE, -EINVAL, true},
    {"futex: signals", SYS_KIND_FUTEX, -EINTR, true},
    {"futex: the word has changed", SYS_KIND_FUTEX, -EAGAIN, true},
    {"membarrier", SYS_KIND_MEMBARRIER, -EPERM, true},
    {"affinity", SYS_KIND_AFFINITY, -EINVAL, false},
    {"sigaction", SYS_KIND_SIGACTION, -EINVAL, false},
    {"pthread_create", SYS_KIND_THREAD, -EAGAIN, false},
    {"malloc", SYS_KIND_ALLOC, -ENOMEM, false},
};
static const char *const fault_words[] = {
    "mmap",           "mprotect",                    "madvise: no memory", "madvise: unknown advice",
    "futex: signals", "futex: the word has changed", "membarrier",         "affinity",
    "sigaction",      "pthread_create",              "malloc",             NULL};

enum { verdict_met = 0, verdict_wrong = 1, verdict_not_met = 2 };

struct holding {
    int threads, fds, maps;
    struct weft_info info;
};

/* A thread that was joined may still be seen in /proc for a moment. */
static void let_threads_go(void)
{
    struct timespec wait = {0, 1000000};
    for (int seen = -1, now, same = 0; same < 2; seen = now) {
        now = check_count_threads();
        same = now == seen ? same + 1 : 0;
        nanosleep(&wait, NULL);
    }
}

static struct holding hold(void)
{
    let_threads_go();
    return (struct holding){check_count_threads(), check_count_fds(), check_count_maps(), all_info()};
}

static void expect_held(const struct holding *before, const char *when)
{
    struct holding now = hold();
    bool same = now.threads == before->threads && now.fds == before->fds && now.info.lwts == before->info.lwts &&
                now.info.zombies == before->info.zombies && now.info.channels == before->info.channels &&
                now.info.blocked == before->info.blocked;
    if (!same)
        check_say("    %s: threads %d -> %d, fds %d -> %d, lwts %d -> %d, channels %d -> %d\n", when, before->threads,
                  now.threads, before->fds, now.fds, (int)before->info.lwts, (int)now.info.lwts,
                  (int)before->info.channels, (int)now.info.channels);
    CHECK(same);
}

/* One cell, in a process of its own. */
static int meet_fault(const struct scenario *scenario, const struct fault *fault, unsigned nth, bool sticky, bool warm)
{
    alarm((unsigned)(20 * check_slow_factor()));
    if (scenario->needs_home)
        home = kthd_new();
    if (scenario->run == do_cgrp_add)
        made_before = chan_new(3);
    if (warm)
        for (int i = 0; i < 3; i++)
            REQUIRE_EQ(scenario->run(), 0);
    struct holding before = hold();

    sys_fault_arm(fault->kind, nth, sticky, fault->error);
    int r = scenario->run();
    unsigned calls = sys_fault_calls(fault->kind);
    sys_fault_arm(fault->kind, 0, 0, 0);

    expect_held(&before, "after the fault");
    if (fault->transparent)
        CHECK_EQ(r, 0);
    else if (calls < nth)
        CHECK_EQ(r, 0);
    else
        CHECK(r == 0 || r == fault->error || r == -ENOMEM || r == -EAGAIN || r == -ENOTSUP);

    /* Once more, several times: it works, and what a failure left behind would add up. */
    for (int i = 0; i < 2; i++)
        REQUIRE_EQ(scenario->run(), 0);
    struct holding settled = hold();
    for (int i = 0; i < 5; i++) {
        sys_fault_arm(fault->kind, nth, sticky, fault->error);
        scenario->run();
        sys_fault_arm(fault->kind, 0, 0, 0);
        REQUIRE_EQ(scenario->run(), 0);
    }
    expect_held(&settled, "after several faults");
    bool guards_by_mprotect = fault->kind == SYS_KIND_MADVISE; /* two maps a guard: a few more stacks show */
    CHECK(check_count_maps() <= settled.maps + (CHECK_SANITIZED || guards_by_mprotect ? 40 : 3));
    if (scenario->run == do_cgrp_add)
        chan_end(made_before);
    if (scenario->needs_home)
        kthd_end(home);
    CHECK_EQ(all_info().lwts, 0);
    if (atomic_load(&check_failures))
        return verdict_wrong;
    return calls < nth ? verdict_not_met : verdict_met;
}

static int cell(const struct scenario *scenario, const struct fault *fault, unsigned nth, bool sticky, bool warm)
{
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        atomic_store(&check_failures, 0);
        _exit(meet_fault(scenario, fault, nth, sticky, warm));
    }
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    bool fine = WIFEXITED(status) && (WEXITSTATUS(status) == verdict_met || WEXITSTATUS(status) == verdict_not_met);
    if (!fine)
        check_say("    %s: call %u of %s fails%s%s: %s %d\n", scenario->name, nth, fault->word,
                  sticky ? " and all later ones" : "", warm ? ", in a process that did it before" : "",
                  WIFSIGNALED(status) ? "killed by signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    CHECK(fine);
    return fine ? WEXITSTATUS(status) : verdict_wrong;
}

TEST_OVER_LIMIT(whatever_call_fails_the_error_is_clear_and_nothing_is_lost, fault_words, 120)
{
    const struct fault *fault = &faults[check_variant];
    enum { most = 60 };
    int cells = 0, met = 0;
    CHECK_STR(fault->word, fault_words[check_variant]);
    if (CHECK_TSAN)
        CHECK_SKIP("ThreadSanitizer has threads and maps of its own");
    for (int s = 0; s < scenario_count; s++)
        for (int warm = 0; warm < 2; warm++)
            /* a futex that never sleeps again never times out either: there is no such kernel */
            for (int sticky = 0; sticky < 2 - (fault->kind == SYS_KIND_FUTEX); sticky++)
                for (unsigned nth = 1; nth <= most; nth += 1 + nth / 8) {
                    int verdict = cell(&scenarios[s], fault, nth, sticky, warm);
                    cells++;
                    met += verdict == verdict_met;
                    if (verdict != verdict_met)
                        break;
                }
    check_say("    %d cells, the fault was met in %d\n", cells, met);
    CHECK(met > 0);
}

/* ---- each documented code by name -------------------------------------------------------------------------------- */

static void fail_all(enum sys_kind kind, int error) { sys_fault_arm(kind, 1, 1, error); }
static void fail_none(enum sys_kind kind) { sys_fault_arm(kind, 0, 0, 0); }

TEST(creating_a_kthd_without_memory_is_enomem)
{
    weft_kthd_t kthd = {77};
    fail_all(SYS_KIND_MMAP, -ENOMEM);
    CHECK_EQ(weft_kthd_create(&kthd, NULL), -ENOMEM);
    fail_none(SYS_KIND_MMAP);
    CHECK_EQ(kthd.id, 77);
    CHECK_EQ(weft_kthd_create(&kthd, NULL), 0);
    kthd_end(kthd);
}

TEST(creating_a_kthd_without_a_thread_is_eagain)
{
    weft_kthd_t kthd = {77};
    fail_all(SYS_KIND_THREAD, -EAGAIN);
    CHECK_EQ(weft_kthd_create(&kthd, NULL), -EAGAIN);
    fail_none(SYS_KIND_THREAD);
    CHECK_EQ(kthd.id, 77);
    CHECK_EQ(weft_kthd_create(&kthd, NULL), 0);
    kthd_end(kthd);
}

static void *run_home(void *arg)
{
    return (void *)(intptr_t)weft_kthd_run(*(weft_kthd_t *)arg);
}

TEST(running_a_kthd_without_memory_is_enomem_and_it_can_be_run_later)
{
    /* or it needs none, having taken all at its creation */
    struct weft_kthd_attr attr;
    weft_kthd_t kthd;
    pthread_t thread;
    weft_kthd_attr_init(&attr);
    attr.flags = WEFT_KTHD_EXTERNAL;
    REQUIRE_EQ(weft_kthd_create(&kthd, &attr), 0);
    fail_all(SYS_KIND_MMAP, -ENOMEM);
    fail_all(SYS_KIND_ALLOC, -ENOMEM);
    REQUIRE_EQ(pthread_create(&thread, NULL, run_home, &kthd), 0);
    void *value = NULL;
    struct timespec soon = {0, 50000000};
    bool ended = false;
    for (int i = 0; i < 4 && !ended; i++) {
        nanosleep(&soon, NULL);
        ended = pthread_tryjoin_np(thread, &value) == 0;
    }
    fail_none(SYS_KIND_MMAP);
    fail_none(SYS_KIND_ALLOC);
    if (ended) {
        CHECK_EQ((intptr_t)value, -ENOMEM);
        REQUIRE_EQ(pthread_create(&thread, NULL, run_home, &kthd), 0);
    }
    CHECK_EQ((intptr_t)lwt_run(kthd, give_back, (void *)3), 3);
    kthd_end(kthd);
    pthread_join(thread, &value);
    CHECK_EQ((intptr_t)value, 0);
}

TEST(creating_an_lwt_without_memory_is_enomem)
{
    static const enum sys_kind kinds[] = {SYS_KIND_MMAP, SYS_KIND_MPROTECT, SYS_KIND_MADVISE};
    weft_kthd_t kthd = kthd_new();
    for (int i = 0; i < 3; i++) {
        weft_lwt_t lwt;
        fail_all(kinds[i], -ENOMEM);
        CHECK_EQ(weft_lwt_create(&lwt, kthd, give_back, NULL, NULL), -ENOMEM);
        fail_none(kinds[i]);
        CHECK_EQ(all_info().lwts, 0);
    }
    CHECK_EQ((intptr_t)lwt_run(kthd, give_back, (void *)3), 3);
    kthd_end(kthd);
}

TEST(adopting_without_memory_is_enomem)
{
    weft_kthd_t kthd = kthd_new();
    fail_all(SYS_KIND_MMAP, -ENOMEM);
    CHECK_EQ(weft_lwt_adopt(kthd, NULL), -ENOMEM);
    fail_none(SYS_KIND_MMAP);
    CHECK_EQ(weft_lwt_current().id, 0);
    CHECK_EQ(weft_lwt_adopt(kthd, NULL), 0);
    CHECK_EQ(weft_lwt_leave(), 0);
    kthd_end(kthd);
}

TEST(creating_a_channel_without_memory_is_enomem)
{
    weft_chan_t chan = {77};
    fail_all(SYS_KIND_MMAP, -ENOMEM);
    fail_all(SYS_KIND_ALLOC, -ENOMEM);
    CHECK_EQ(weft_chan_create(&chan, 0), -ENOMEM);
    CHECK_EQ(weft_chan_create(&chan, 10), -ENOMEM);
    CHECK_EQ(weft_chan_create(&chan, WEFT_CHAN_MAX_CAPACITY), -ENOMEM);
    fail_none(SYS_KIND_MMAP);
    fail_none(SYS_KIND_ALLOC);
    CHECK_EQ(chan.id, 77);
    CHECK_EQ(all_info().channels, 0);
    chan = chan_new(10);
    chan_end(chan);
}

TEST(creating_a_group_without_memory_is_enomem)
{
    weft_cgrp_t cgrp = {77};
    fail_all(SYS_KIND_MMAP, -ENOMEM);
    fail_all(SYS_KIND_ALLOC, -ENOMEM);
    CHECK_EQ(weft_cgrp_create(&cgrp), -ENOMEM);
    fail_none(SYS_KIND_MMAP);
    fail_none(SYS_KIND_ALLOC);
    CHECK_EQ(cgrp.id, 77);
    CHECK_EQ(weft_cgrp_create(&cgrp), 0);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
}

TEST(adding_to_a_group_needs_no_memory)
{
    /* the header allows -ENOMEM; as it is built today a member's place in the group is in the channel itself */
    weft_cgrp_t cgrp;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    weft_chan_t chan = chan_new(1);
    fail_all(SYS_KIND_MMAP, -ENOMEM);
    fail_all(SYS_KIND_ALLOC, -ENOMEM);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 1), 0);
    fail_none(SYS_KIND_MMAP);
    fail_none(SYS_KIND_ALLOC);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
}

static void *park_long(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)weft_lwt_park(WEFT_FOREVER);
}

TEST(an_interrupt_without_memory_is_enomem_or_needs_none)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, park_long, NULL);
    AWAIT(weft_lwt_state(lwt) == WEFT_LWT_BLOCKED);
    fail_all(SYS_KIND_ALLOC, -ENOMEM);
    int r = weft_lwt_interrupt(lwt);
    fail_none(SYS_KIND_ALLOC);
    CHECK(r == 0 || r == -ENOMEM);
    if (r)
        CHECK_EQ(weft_lwt_interrupt(lwt), 0);
    CHECK_EQ((intptr_t)lwt_result(lwt), -EINTR);
    kthd_end(kthd);
}

/* ---- without membarrier ------------------------------------------------------------------------------------------ */

static void *use_alone(void *arg)
{
    weft_chan_t chan = *(weft_chan_t *)arg;
    chan_give(chan, 4);
    return (void *)(uintptr_t)(chan_take(chan) + chan_info(chan).biased);
}

TEST(where_membarrier_is_refused_channels_are_shared_from_the_start)
{
    fail_all(SYS_KIND_MEMBARRIER, -EPERM);
    weft_kthd_t kthd = kthd_new();
    weft_chan_t chan = chan_new(1);
    CHECK_EQ((intptr_t)lwt_run(kthd, use_alone, &chan), 4);
    chan_give(chan, 5);
    CHECK_EQ(chan_take(chan), 5);
    chan_end(chan);
    kthd_end(kthd);
}
