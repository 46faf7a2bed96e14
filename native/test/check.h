/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: the test harness. Owns the list of a program's tests, runs each in a child process of its own with a time
 * limit, and counts. Leaves everything about weft to scene.h. A test file includes it once and contains nothing but
 * helpers and TESTs; the header brings main().
 *
 *     TEST(send_to_a_closed_channel_returns_epipe) {
 *         ...
 *         CHECK(x > 0);              counts a failure and goes on; is itself true or false
 *         CHECK_EQ(f(), -EPIPE);     the same, and prints both values
 *         REQUIRE(x);                ends the test when it fails (from any thread, any stack)
 *         REQUIRE_EQ(a, b);
 *     }
 *     TEST_LIMIT(name, seconds) { }  another time limit than 30 s
 *     TEST_OVER(name, words) { }     once per word of `words`, a NULL-closed array; check_variant tells which
 *
 * A child process per test, because a broken runtime crashes and hangs: one test's end is then not the end of the
 * others, and each starts with a runtime that was never used. A death test forks once more, see check_death().
 *
 *     program            runs all
 *     program WORDS      runs those whose name contains WORDS
 *     program -l         lists them
 *
 * Environment: CHECK_SEED=n     the seed of check_seed(), to repeat a stress test
 *              CHECK_SCALE=p    percent of the rounds that check_scale() gives; a tenth under a sanitizer
 *              CHECK_SLOW=f     time limits times f
 *              CHECK_GDB=1      a test that runs out of time shows all its threads' stacks first
 *              CHECK_INLINE=1   no child process, no limit: for a debugger
 *
 * The last line is `N passed, N failed`; the exit status is 1 if any failed. Skipped tests (CHECK_SKIP) say so and
 * count as passed: a reason outside the project, such as a missing privilege, is no failure.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECK_SANITIZED 1
#else
#define CHECK_SANITIZED 0
#endif
#ifdef __SANITIZE_THREAD__
#define CHECK_TSAN 1
#else
#define CHECK_TSAN 0
#endif
#ifdef __SANITIZE_ADDRESS__
#define CHECK_ASAN 1
#else
#define CHECK_ASAN 0
#endif

#define CHECK_UNUSED __attribute__((unused))

struct check_test {
    const char *name;
    const char *const *variants; /* NULL: runs once */
    void (*run)(void);
    int limit_seconds;
    struct check_test *next;
};

/* Written by constructors before main(), read by main() afterwards. */
static struct check_test *check_first;
static struct check_test **check_last = &check_first;

/* Which word of TEST_OVER's array this run is for. Written before the test starts. */
static int check_variant CHECK_UNUSED;

/* Failures of this process. Any thread adds; main() reads at the end: relaxed, since a thread that a test does not
 * wait for is that test's own fault. */
static atomic_int check_failures;

enum { check_exit_failed = 1, check_exit_skipped = 77, check_default_limit_seconds = 30 };

static inline void check_register(struct check_test *test)
{
    *check_last = test;
    check_last = &test->next;
}

#define CHECK_DEFINE(test_name, test_variants, seconds)                                                      \
    static void test_name(void);                                                                             \
    __attribute__((constructor)) static void test_name##_registers(void)                                     \
    {                                                                                                        \
        static struct check_test test = {.name = #test_name, .variants = (test_variants), .run = test_name, \
                                         .limit_seconds = (seconds)};                                        \
        check_register(&test);                                                                               \
    }                                                                                                        \
    static void test_name(void)

#define TEST(name) CHECK_DEFINE(name, NULL, check_default_limit_seconds)
#define TEST_LIMIT(name, seconds) CHECK_DEFINE(name, NULL, seconds)
#define TEST_OVER(name, words) CHECK_DEFINE(name, words, check_default_limit_seconds)
#define TEST_OVER_LIMIT(name, words, seconds) CHECK_DEFINE(name, words, seconds)

/* ---- saying what went wrong -------------------------------------------------------------------------------------- */

/* One write per message, without stdio: callable on a small stack and from any thread, messages do not mix. */
__attribute__((format(printf, 1, 2), noinline)) static void check_say(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length >= (int)sizeof line)
        length = sizeof line - 1;
    ssize_t ignored = write(STDOUT_FILENO, line, (size_t)length);
    (void)ignored;
}

/* "-11 (EAGAIN)" for what may be a result of the library, else the number. */
static inline const char *check_value_text(long long value, char *buf, size_t size)
{
    const char *error = NULL;
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 32)
    if (value < 0 && value > -134)
        error = strerrorname_np((int)-value);
#endif
#endif
    if (error)
        snprintf(buf, size, "%lld (%s)", value, error);
    else if (value > 65535 || value < -65535)
        snprintf(buf, size, "%lld (0x%llx)", value, (unsigned long long)value);
    else
        snprintf(buf, size, "%lld", value);
    return buf;
}

__attribute__((noinline, cold)) static bool check_failed(const char *file, int line, const char *what, bool fatal)
{
    const char *name = strrchr(file, '/');
    check_say("    %s:%d: %s\n", name ? name + 1 : file, line, what);
    atomic_fetch_add_explicit(&check_failures, 1, memory_order_relaxed);
    if (fatal)
        _exit(check_exit_failed);
    return false;
}

__attribute__((noinline, cold)) static bool check_failed_eq(const char *file, int line, const char *what, long long a,
                                                            long long b, bool fatal)
{
    char text[320], a_text[64], b_text[64];
    snprintf(text, sizeof text, "%.160s: is %s, expected %s", what, check_value_text(a, a_text, sizeof a_text),
             check_value_text(b, b_text, sizeof b_text));
    return check_failed(file, line, text, fatal);
}

static inline bool check_eq(const char *file, int line, const char *what, long long a, long long b, bool fatal)
{
    return a == b ? true : check_failed_eq(file, line, what, a, b, fatal);
}

static inline bool check_that(bool holds, const char *file, int line, const char *what, bool fatal)
{
    return holds ? true : check_failed(file, line, what, fatal);
}

#define CHECK(cond) check_that((cond), __FILE__, __LINE__, "not so: " #cond, false)
#define REQUIRE(cond) check_that((cond), __FILE__, __LINE__, "not so: " #cond, true)
#define CHECK_EQ(a, b) check_eq(__FILE__, __LINE__, #a, (long long)(a), (long long)(b), false)
#define REQUIRE_EQ(a, b) check_eq(__FILE__, __LINE__, #a, (long long)(a), (long long)(b), true)
#define CHECK_STR(a, b)                                                                                          \
    (strcmp((a), (b)) == 0 ? true                                                                                \
                           : (check_say("    \"%s\" is not \"%s\"\n", (a), (b)),                                 \
                              check_failed(__FILE__, __LINE__, #a " differs", false)))
#define CHECK_CONTAINS(text, part)                                                                              \
    (strstr((text), (part)) ? true                                                                              \
                            : (check_say("    \"%.400s\"\n", (text)),                                           \
                               check_failed(__FILE__, __LINE__, #text " lacks " #part, false)))

/* Ends the test without a verdict. Plain threads only. */
#define CHECK_SKIP(reason)                        \
    do {                                          \
        check_say("    skipped: %s\n", (reason)); \
        _exit(check_exit_skipped);                \
    } while (0)

/* ---- time, bounds, random numbers -------------------------------------------------------------------------------- */

static inline int64_t check_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline double check_slow_factor(void)
{
    const char *text = getenv("CHECK_SLOW");
    double factor = text ? strtod(text, NULL) : CHECK_SANITIZED ? 5 : 1;
    return factor > 0 ? factor : 1;
}

/* Kernel sleep between two looks at a condition; never what makes a test right. */
static inline void check_pause(void)
{
    struct timespec t = {0, 20000};
    nanosleep(&t, NULL);
}

/* Looks until `cond` holds, for ten seconds; then the test fails. Plain threads: it holds up a carrier. */
#define AWAIT(cond)                                                                              \
    do {                                                                                         \
        int64_t await_end_ns = check_now_ns() + (int64_t)(10e9 * check_slow_factor());           \
        while (!(cond)) {                                                                        \
            if (check_now_ns() > await_end_ns)                                                   \
                check_failed(__FILE__, __LINE__, "did not come true within 10 s: " #cond, true); \
            check_pause();                                                                       \
        }                                                                                        \
    } while (0)

/* `rounds`, less under a sanitizer or as CHECK_SCALE says; at least 1. */
static inline long check_scale(long rounds)
{
    const char *text = getenv("CHECK_SCALE");
    double percent = text ? strtod(text, NULL) : CHECK_SANITIZED ? 10 : 100;
    long scaled = (long)((double)rounds * percent / 100);
    return scaled > 0 ? scaled : 1;
}

/* The seed of this run, printed. */
static inline uint64_t check_seed(void)
{
    const char *text = getenv("CHECK_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : ((uint64_t)check_now_ns() ^ ((uint64_t)getpid() << 40));
    check_say("    CHECK_SEED=0x%" PRIx64 "\n", seed);
    return seed;
}

/* Marsaglia's xorshift64*, seeded through splitmix64 so that neighbouring seeds part at once. One per thread. */
struct check_random {
    uint64_t state;
};

static inline struct check_random check_random_from(uint64_t seed)
{
    seed += 0x9e3779b97f4a7c15;
    seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9;
    seed = (seed ^ (seed >> 27)) * 0x94d049bb133111eb;
    seed ^= seed >> 31;
    return (struct check_random){seed ? seed : 1};
}

static inline uint64_t check_random_next(struct check_random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * 0x2545f4914f6cdd1d;
}

static inline uint32_t check_random_below(struct check_random *random, uint32_t bound)
{
    return (uint32_t)(((check_random_next(random) >> 32) * bound) >> 32);
}

/* ---- what a process holds ---------------------------------------------------------------------------------------- */

static inline pid_t check_tid(void) { return (pid_t)syscall(SYS_gettid); }

static inline int check_count_entries(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;
    if (!dir)
        return -1;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* One less than the folder shows: the look itself holds a descriptor. */
static inline int check_count_fds(void) { return check_count_entries("/proc/self/fd") - 1; }
static inline int check_count_threads(void) { return check_count_entries("/proc/self/task"); }

static inline int check_count_maps(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    int lines = 0;
    if (!file)
        return -1;
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

/* A "Name:  value kB" line of /proc/self/status or of a thread's; -1 if it has none. */
static inline long check_status_value(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    char line[256];
    long value = -1;
    size_t length = strlen(name);
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            value = strtol(line + length + 1, NULL, 10);
    fclose(file);
    return value;
}

static inline long check_rss_kib(void) { return check_status_value("/proc/self/status", "VmRSS"); }

static inline bool check_task_in_state(pid_t tid, char state)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = 0;
    char *end = strrchr(text, ')');
    return end && end[1] == ' ' && end[2] == state;
}

/* ---- processes that die ------------------------------------------------------------------------------------------ */

/*
 * Runs body(arg) in a child process and returns its wait status; what it wrote to standard error is in `text`.
 * Call it before the test has started a thread or a kthd: a fork has one thread only.
 */
static inline int check_death(void (*body)(void *), void *arg, char *text, size_t size)
{
    int ends[2];
    size_t length = 0;
    REQUIRE_EQ(pipe(ends), 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        dup2(ends[1], STDERR_FILENO);
        if (ends[1] != STDERR_FILENO)
            close(ends[1]);
        body(arg);
        _exit(0);
    }
    close(ends[1]);
    for (;;) {
        char rest[4096];
        bool full = length + 1 >= size;
        ssize_t n = read(ends[0], full ? rest : text + length, full ? sizeof rest : size - 1 - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (!full)
            length += (size_t)n;
    }
    text[length] = 0;
    close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* The verdict of one child: NULL if it passed. */
static inline const char *check_verdict(int status, bool late, char *buf, size_t size)
{
    if (late)
        return "ran out of time";
    if (WIFSIGNALED(status)) {
        snprintf(buf, size, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
        return buf;
    }
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == check_exit_skipped))
        return NULL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == check_exit_failed)
        return "failed";
    snprintf(buf, size, "exit status %d", WEXITSTATUS(status));
    return buf;
}

static inline void check_show_stacks(pid_t child)
{
    char command[160];
    snprintf(command, sizeof command, "gdb -p %d -batch -ex 'thread apply all bt 24' 2>/dev/null </dev/null",
             (int)child);
    int ignored = system(command);
    (void)ignored;
}

/* Waits for the child within the limit; SIGCHLD is blocked. Returns the wait status. */
static inline int check_wait(pid_t child, double limit_seconds, bool *late)
{
    int64_t end_ns = check_now_ns() + (int64_t)(limit_seconds * 1e9);
    sigset_t set;
    int status = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    *late = false;
    while (waitpid(child, &status, WNOHANG) == 0) {
        int64_t left_ns = end_ns - check_now_ns();
        if (left_ns <= 0 && !*late) {
            *late = true;
            if (getenv("CHECK_GDB"))
                check_show_stacks(child);
            kill(child, SIGKILL);
        }
        if (left_ns <= 0)
            left_ns = 1000000000;
        struct timespec wait = {left_ns / 1000000000, left_ns % 1000000000};
        sigtimedwait(&set, NULL, &wait);
    }
    return status;
}

static inline bool check_run(const struct check_test *test, const char *title)
{
    int64_t start_ns = check_now_ns();
    const char *verdict = NULL;
    char buf[96];
    fflush(stdout);
    if (getenv("CHECK_INLINE")) {
        int before = atomic_load_explicit(&check_failures, memory_order_relaxed);
        test->run();
        if (atomic_load_explicit(&check_failures, memory_order_relaxed) != before)
            verdict = "failed";
    } else {
        bool late;
        sigset_t block, old;
        sigemptyset(&block);
        sigaddset(&block, SIGCHLD);
        sigprocmask(SIG_BLOCK, &block, &old);
        pid_t parent = getpid();
        pid_t child = fork();
        if (child < 0) {
            perror("fork");
            return false;
        }
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(check_exit_failed);
            sigprocmask(SIG_SETMASK, &old, NULL);
            test->run();
            exit(atomic_load_explicit(&check_failures, memory_order_relaxed) ? check_exit_failed : 0);
        }
        int status = check_wait(child, test->limit_seconds * check_slow_factor(), &late);
        sigprocmask(SIG_SETMASK, &old, NULL);
        verdict = check_verdict(status, late, buf, sizeof buf);
    }
    double ms = (double)(check_now_ns() - start_ns) / 1e6;
    if (verdict)
        check_say("FAIL %s: %s (%.0f ms)\n", title, verdict, ms);
    else
        check_say("ok   %s (%.0f ms)\n", title, ms);
    return verdict == NULL;
}

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : "";
    bool list = strcmp(wanted, "-l") == 0;
    int passed = 0, failed = 0;
    for (struct check_test *test = check_first; test; test = test->next) {
        for (int i = 0; i == 0 || (test->variants && test->variants[i]); i++) {
            char title[256];
            if (test->variants)
                snprintf(title, sizeof title, "%s [%s]", test->name, test->variants[i]);
            else
                snprintf(title, sizeof title, "%s", test->name);
            if (list) {
                check_say("%s\n", title);
                continue;
            }
            if (!strstr(title, wanted))
                continue;
            check_variant = i;
            if (check_run(test, title))
                passed++;
            else
                failed++;
        }
    }
    if (!list)
        check_say("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}

#endif
