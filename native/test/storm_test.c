/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm: traffic that must come out exact while the system interferes: profiling signals at 10 kHz, signals to every
 * thread, the whole process stopped and continued again and again, and children forked from lwts in the middle.
 */
#include "scene.h"

#include <spawn.h>
#include <sys/time.h>

/* ---- the traffic: pairs of every kind over two kthds, each of which counts exactly ------------------------------- */

enum { pairs = 12 };

struct pair {
    weft_chan_t to, fro;
    int64_t end_ns;
    uint64_t rounds, seed;
    weft_kthd_t *kthds;
};

static void answer(void *arg)
{
    struct pair *pair = arg;
    uint64_t word;
    while (weft_chan_recv(pair->to, &word) == 0)
        chan_give(pair->fro, word + 1);
}

static void ask(void *arg)
{
    struct pair *pair = arg;
    struct check_random random = check_random_from(pair->seed);
    bool lwt = weft_lwt_current().id != 0;
    while (check_now_ns() < pair->end_ns) {
        uint64_t word = check_random_next(&random) >> 1;
        chan_give(pair->to, word);
        REQUIRE_EQ(chan_take(pair->fro), word + 1);
        pair->rounds++;
        switch (check_random_below(&random, 16)) {
        case 0:
            if (lwt)
                REQUIRE_EQ(weft_lwt_park(check_now_ns() + check_random_below(&random, 50000)), -ETIMEDOUT);
            break;
        case 1:
            if (lwt)
                REQUIRE_EQ(weft_lwt_migrate(pair->kthds[check_random_below(&random, 2)]), 0);
            break;
        case 2:
            if (lwt && weft_lwt_step_aside() != -ENOTSUP)
                check_pause();
            break;
        default:
            break;
        }
    }
    CHECK_EQ(weft_chan_close(pair->to), 0);
}

struct traffic {
    weft_kthd_t kthds[2];
    struct pair pairs[pairs];
    struct actor *actors[2 * pairs];
};

static void traffic_begin(struct traffic *traffic, int64_t ms)
{
    static const enum actor_kind kinds[] = {actor_native, actor_adopted, actor_plain};
    uint64_t seed = check_seed();
    for (int i = 0; i < 2; i++)
        traffic->kthds[i] = kthd_new_idle((uint32_t)i);
    for (int i = 0; i < pairs; i++) {
        traffic->pairs[i] = (struct pair){chan_new((uint32_t)i % 2), chan_new((uint32_t)i % 3), scene_in_ms(ms), 0,
                                          seed + (uint64_t)i, traffic->kthds};
        traffic->actors[2 * i] = actor_start(kinds[i % 3], traffic->kthds[i % 2], answer, &traffic->pairs[i]);
        traffic->actors[2 * i + 1] = actor_start(kinds[i / 3 % 3], traffic->kthds[i / 2 % 2], ask, &traffic->pairs[i]);
    }
}

static void traffic_end(struct traffic *traffic)
{
    uint64_t rounds = 0;
    for (int i = 0; i < 2 * pairs; i++)
        scene_join(traffic->actors[i]);
    for (int i = 0; i < pairs; i++) {
        rounds += traffic->pairs[i].rounds;
        if (!CHECK_SANITIZED) /* there some may get no turn in so short a time */
            CHECK(traffic->pairs[i].rounds > 0);
        chan_end(traffic->pairs[i].to);
        chan_end(traffic->pairs[i].fro);
    }
    for (int i = 0; i < 2; i++)
        kthd_end(traffic->kthds[i]);
    check_say("    %" PRIu64 " round trips\n", rounds);
    CHECK_EQ(all_info().lwts, 0);
}

/* ---- storms ------------------------------------------------------------------------------------------------------ */

static atomic_long handled, strange;

static void on_signal(int signal)
{
    (void)signal;
    int saved = errno;
    volatile char room[512]; /* a profiler's unwinder takes as much */
    memset((void *)room, 1, sizeof room);
    uint64_t id = weft_lwt_id();
    if (id && (id >> 28 & 15) != 1)
        atomic_fetch_add(&strange, 1);
    atomic_fetch_add(&handled, 1);
    errno = saved;
}

static void handle(int signal)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    REQUIRE_EQ(sigaction(signal, &action, NULL), 0);
}

TEST(profiling_signals_at_ten_kilohertz_do_no_harm)
{
    struct traffic *traffic = calloc(1, sizeof *traffic);
    struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    handle(SIGPROF);
    REQUIRE_EQ(setitimer(ITIMER_PROF, &often, NULL), 0);
    traffic_begin(traffic, check_scale(1500));
    traffic_end(traffic);
    REQUIRE_EQ(setitimer(ITIMER_PROF, &never, NULL), 0);
    check_say("    %ld signals\n", atomic_load(&handled));
    CHECK_EQ(atomic_load(&strange), 0);
    free(traffic);
}

static void signal_every_thread(int signal)
{
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (tid > 0)
            syscall(SYS_tgkill, getpid(), tid, signal);
    }
    if (dir)
        closedir(dir);
}

static const char *const signal_words[] = {"SIGUSR1", "SIGUSR2", "SIGURG", NULL};

TEST_OVER(signals_to_every_thread_do_no_harm, signal_words)
{
    /* SIGUSR2 is one that parked kernel threads pass on; SIGURG is the one that wakes them */
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGURG};
    struct traffic *traffic = calloc(1, sizeof *traffic);
    if (signals[check_variant] != SIGURG)
        handle(signals[check_variant]);
    traffic_begin(traffic, check_scale(1500));
    while (check_now_ns() < traffic->pairs[0].end_ns) {
        signal_every_thread(signals[check_variant]);
        check_pause();
    }
    traffic_end(traffic);
    check_say("    %ld signals\n", atomic_load(&handled));
    CHECK_EQ(atomic_load(&strange), 0);
    free(traffic);
}

TEST(a_process_stopped_and_continued_in_the_middle_goes_on)
{
    struct traffic *traffic = calloc(1, sizeof *traffic);
    pid_t victim = getpid();
    pid_t tormentor = fork();
    REQUIRE(tormentor >= 0);
    if (tormentor == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct check_random random = check_random_from(7);
        for (;;) {
            struct timespec wait = {0, 1000 * (long)check_random_below(&random, 3000)};
            kill(victim, SIGSTOP);
            nanosleep(&wait, NULL);
            kill(victim, SIGCONT);
            nanosleep(&wait, NULL);
        }
    }
    traffic_begin(traffic, check_scale(1500));
    traffic_end(traffic);
    kill(tormentor, SIGKILL);
    waitpid(tormentor, NULL, 0);
    kill(victim, SIGCONT);
    free(traffic);
}

/* ---- children ---------------------------------------------------------------------------------------------------- */

static void fork_from_here(void *arg)
{
    (void)arg;
    for (int i = 0; i < check_scale(50); i++) {
        int status = 0;
        pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0)
            _exit(weft_lwt_id() != 0 ? 11 : 12);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), weft_lwt_id() != 0 ? 11 : 12);

        static char *const words[] = {"true", NULL};
        REQUIRE_EQ(posix_spawnp(&child, "true", NULL, NULL, words, NULL), 0);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        weft_lwt_yield();
    }
}

TEST(children_can_be_forked_from_threads_of_every_kind_in_the_middle_of_traffic)
{
    struct traffic *traffic = calloc(1, sizeof *traffic);
    struct actor *forkers[3];
    if (CHECK_TSAN)
        CHECK_SKIP("ThreadSanitizer does not fork while other threads run");
    traffic_begin(traffic, check_scale(1500));
    for (int i = 0; i < 3; i++)
        forkers[i] = actor_start((enum actor_kind)i, traffic->kthds[i % 2], fork_from_here, NULL);
    for (int i = 0; i < 3; i++)
        scene_join(forkers[i]);
    traffic_end(traffic);
    free(traffic);
}

/* ---- a soak, short ----------------------------------------------------------------------------------------------- */

TEST(memory_maps_and_descriptors_stay_flat)
{
    struct traffic *traffic = calloc(1, sizeof *traffic);
    for (int i = 0; i < 2; i++) {
        traffic_begin(traffic, (CHECK_SANITIZED ? 200 : 300));
        traffic_end(traffic);
    }
    long rss = check_rss_kib();
    int maps = check_count_maps(), fds = check_count_fds();
    for (int i = 0; i < 4; i++) {
        traffic_begin(traffic, (CHECK_SANITIZED ? 200 : 300));
        traffic_end(traffic);
    }
    check_say("    VmRSS %ld -> %ld KiB, maps %d -> %d\n", rss, check_rss_kib(), maps, check_count_maps());
    CHECK_EQ(check_count_fds(), fds);
    if (!CHECK_SANITIZED) {
        CHECK(check_rss_kib() < rss + 1024);
        CHECK(check_count_maps() <= maps + 20); /* the C library keeps stacks of threads that ended */
    }
    free(traffic);
}
