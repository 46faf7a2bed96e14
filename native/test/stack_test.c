/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack: the end of a native lwt that outgrows its stack, and that nobody else's faults are touched. Sizes and their
 * errors are in lwt_test.c; what a stack is made of in context_test.c.
 */
#include "scene.h"

#include <sys/mman.h>

static size_t descend(size_t depth);
static size_t (*volatile deeper)(size_t) = descend; /* hides from the compiler that it is a recursion */

/* Some 300 bytes a level. */
static size_t descend(size_t depth)
{
    volatile char here[256];
    here[0] = (char)depth;
    here[255] = (char)depth;
    return depth == 0 ? (size_t)here[0] : deeper(depth - 1) + (size_t)(here[0] & 0) + 1;
}

static void *descend_lwt(void *arg) { return (void *)deeper((size_t)arg); }

static void *overflow_lwt(void *arg)
{
    (void)arg;
    return (void *)deeper(SIZE_MAX);
}

/* ---- overflow ---------------------------------------------------------------------------------------------------- */

static const char *const overflow_words[] = {"8 KiB",   "16 KiB",  "64 KiB", "512 KiB",
                                             "8 MiB", NULL};

static const uint64_t overflow_bytes[] = {8 << 10, 16 << 10, 64 << 10, 512 << 10, 8 << 20};

static void overflow_named(void *arg)
{
    struct weft_kthd_attr kthd_attr;
    struct weft_lwt_attr attr;
    weft_kthd_t kthd;
    weft_lwt_t lwt, others[3];
    weft_kthd_attr_init(&kthd_attr);
    kthd_attr.name = "the-loom";
    REQUIRE_EQ(weft_kthd_create(&kthd, &kthd_attr), 0);
    weft_lwt_attr_init(&attr);
    attr.stack_bytes = overflow_bytes[(intptr_t)arg];
    for (int i = 0; i < 3; i++)
        REQUIRE_EQ(weft_lwt_create(&others[i], kthd, descend_lwt, (void *)(intptr_t)2, &attr), 0);
    attr.name = "the-deep-one";
    REQUIRE_EQ(weft_lwt_create(&lwt, kthd, overflow_lwt, NULL, &attr), 0);
    lwt_result(lwt);
}

static bool died_of_a_fault(int status)
{
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGABRT);
}

TEST_OVER(an_overflow_ends_the_process_and_names_lwt_kthd_and_stack, overflow_words)
{
    char text[8192];
    if (CHECK_SANITIZED)
        CHECK_SKIP("the sanitizer reports it itself");
    int status = check_death(overflow_named, (void *)(intptr_t)check_variant, text, sizeof text);
    CHECK(died_of_a_fault(status));
    CHECK_CONTAINS(text, "overflow");
    CHECK_CONTAINS(text, "the-deep-one");
    CHECK_CONTAINS(text, "the-loom");
    CHECK_CONTAINS(text, "stack");
    CHECK(strchr(text, '\n') != NULL);
}

static void overflow_unnamed_external(void *arg)
{
    (void)arg;
    struct weft_kthd_attr attr;
    weft_kthd_t kthd;
    weft_kthd_attr_init(&attr);
    attr.flags = WEFT_KTHD_EXTERNAL; /* its carrier is a thread that had no signal stack of its own */
    REQUIRE_EQ(weft_kthd_create(&kthd, &attr), 0);
    lwt_new(kthd, overflow_lwt, NULL);
    weft_kthd_run(kthd);
}

TEST(an_overflow_under_an_external_carrier_is_reported_too)
{
    char text[8192];
    if (CHECK_SANITIZED)
        CHECK_SKIP("the sanitizer reports it itself");
    int status = check_death(overflow_unnamed_external, NULL, text, sizeof text);
    CHECK(died_of_a_fault(status));
    CHECK_CONTAINS(text, "overflow");
    CHECK_CONTAINS(text, "kthd-");
}

static void *migrate_and_overflow(void *arg)
{
    REQUIRE_EQ(weft_lwt_migrate(*(weft_kthd_t *)arg), 0);
    return overflow_lwt(NULL);
}

static void overflow_after_migration(void *arg)
{
    (void)arg;
    struct weft_kthd_attr attr;
    weft_kthd_t from = kthd_new(), to;
    weft_kthd_attr_init(&attr);
    attr.name = "second-loom";
    REQUIRE_EQ(weft_kthd_create(&to, &attr), 0);
    lwt_result(lwt_new(from, migrate_and_overflow, &to));
}

TEST(an_overflow_after_a_migration_names_the_kthd_it_happened_on)
{
    char text[8192];
    if (CHECK_SANITIZED)
        CHECK_SKIP("the sanitizer reports it itself");
    int status = check_death(overflow_after_migration, NULL, text, sizeof text);
    CHECK(died_of_a_fault(status));
    CHECK_CONTAINS(text, "overflow");
    CHECK_CONTAINS(text, "second-loom");
}

/* A large frame that jumps over the first guard page, as gcc's stack-clash protection probes it. */
__attribute__((noinline)) static size_t one_large_frame(void)
{
    volatile char here[200 << 10];
    for (size_t at = sizeof here; at >= 4096; at -= 4096)
        here[at - 1] = 1;
    return (size_t)here[0];
}

static void *large_frame_lwt(void *arg)
{
    (void)arg;
    return (void *)one_large_frame();
}

static void overflow_by_one_frame(void *arg)
{
    (void)arg;
    lwt_result(lwt_new(kthd_new(), large_frame_lwt, NULL));
}

TEST(a_frame_larger_than_the_stack_meets_the_guard)
{
    char text[8192];
    if (CHECK_SANITIZED)
        CHECK_SKIP("the sanitizer reports it itself");
    int status = check_death(overflow_by_one_frame, NULL, text, sizeof text);
    CHECK(died_of_a_fault(status));
    CHECK_CONTAINS(text, "overflow");
}

/* ---- other people's faults --------------------------------------------------------------------------------------- */

static struct {
    atomic_int caught;
    void *_Atomic address;
    void *page;
} foreign;

static void catch_foreign(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    atomic_store(&foreign.address, info->si_addr);
    atomic_fetch_add(&foreign.caught, 1);
    mprotect(foreign.page, 4096, PROT_READ | PROT_WRITE); /* and the access is repeated */
}

static void install_foreign(void)
{
    struct sigaction action = {.sa_sigaction = catch_foreign, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    foreign.page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(foreign.page != MAP_FAILED);
    REQUIRE_EQ(sigaction(SIGSEGV, &action, NULL), 0);
}

static void *fault_once(void *arg)
{
    (void)arg;
    *(volatile char *)foreign.page = 1;
    return (void *)(intptr_t)*(volatile char *)foreign.page;
}

TEST(a_handler_that_was_there_before_still_gets_its_own_faults)
{
    install_foreign();
    weft_kthd_t kthd = kthd_new();
    for (int i = 1; i <= 10; i++) {
        mprotect(foreign.page, 4096, PROT_NONE);
        CHECK_EQ((intptr_t)lwt_run(kthd, fault_once, NULL), 1);
        CHECK_EQ(atomic_load(&foreign.caught), 2 * i - 1);
        CHECK(atomic_load(&foreign.address) == foreign.page);
        mprotect(foreign.page, 4096, PROT_NONE);
        CHECK_EQ((intptr_t)fault_once(NULL), 1); /* on a plain thread */
        CHECK_EQ(atomic_load(&foreign.caught), 2 * i);
    }
    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    mprotect(foreign.page, 4096, PROT_NONE);
    CHECK_EQ((intptr_t)fault_once(NULL), 1);
    REQUIRE_EQ(weft_lwt_leave(), 0);
    CHECK_EQ(atomic_load(&foreign.caught), 21);
    kthd_end(kthd);
}

static void overflow_with_foreign_handler(void *arg)
{
    install_foreign();
    overflow_named(arg);
}

TEST(an_overflow_is_reported_although_a_foreign_handler_was_there_before)
{
    char text[8192];
    if (CHECK_SANITIZED)
        CHECK_SKIP("the sanitizer reports it itself");
    int status = check_death(overflow_with_foreign_handler, (void *)2, text, sizeof text);
    CHECK(died_of_a_fault(status));
    CHECK_CONTAINS(text, "overflow");
    CHECK_CONTAINS(text, "the-deep-one");
}

static void *volatile nowhere = (void *)8;

static void plain_fault(void *arg)
{
    (void)arg;
    weft_kthd_t kthd = kthd_new();
    lwt_run(kthd, descend_lwt, (void *)1); /* ours is installed by now */
    *(volatile char *)nowhere = 1;
}

static void *fault_at_null(void *arg)
{
    (void)arg;
    *(volatile char *)nowhere = 1;
    return NULL;
}

static void lwt_fault(void *arg)
{
    (void)arg;
    lwt_result(lwt_new(kthd_new(), fault_at_null, NULL));
}

TEST(a_fault_that_is_no_overflow_ends_the_process_by_sigsegv_as_ever)
{
    char text[8192];
    if (CHECK_SANITIZED)
        CHECK_SKIP("the sanitizer reports it itself");
    int status = check_death(plain_fault, NULL, text, sizeof text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(strstr(text, "overflow") == NULL);
    status = check_death(lwt_fault, NULL, text, sizeof text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(strstr(text, "overflow") == NULL);
}

static void *overflow_thread(void *arg)
{
    (void)arg;
    return (void *)deeper(SIZE_MAX);
}

static void plain_overflow(void *arg)
{
    (void)arg;
    pthread_t thread;
    weft_kthd_t kthd = kthd_new();
    lwt_run(kthd, descend_lwt, (void *)1);
    pthread_create(&thread, NULL, overflow_thread, NULL);
    pthread_join(thread, NULL);
}

TEST(the_overflow_of_a_plain_threads_stack_is_its_own_affair)
{
    char text[8192];
    if (CHECK_SANITIZED)
        CHECK_SKIP("the sanitizer reports it itself");
    int status = check_death(plain_overflow, NULL, text, sizeof text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(strstr(text, "lwt") == NULL);
}

static void sent_sigsegv(void *arg)
{
    (void)arg;
    lwt_run(kthd_new(), descend_lwt, (void *)1);
    kill(getpid(), SIGSEGV);
    for (int i = 0; i < 1000; i++)
        check_pause();
}

static void sent_but_ignored(void *arg)
{
    (void)arg;
    signal(SIGSEGV, SIG_IGN);
    weft_kthd_t kthd = kthd_new();
    lwt_run(kthd, descend_lwt, (void *)1);
    kill(getpid(), SIGSEGV);
    lwt_run(kthd, descend_lwt, (void *)1);
    _exit(17);
}

TEST(a_sigsegv_that_was_sent_and_is_ignored_does_nothing)
{
    char text[8192];
    int status = check_death(sent_but_ignored, NULL, text, sizeof text);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17);
}

TEST(a_sigsegv_that_was_sent_ends_the_process_too)
{
    char text[8192];
    int status = check_death(sent_sigsegv, NULL, text, sizeof text);
    if (!CHECK_SANITIZED)
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    else
        CHECK(!(WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

/* ---- within the limits ------------------------------------------------------------------------------------------- */

TEST(deep_recursion_within_the_limits_works)
{
    weft_kthd_t kthd = kthd_new();
    size_t per_level = CHECK_SANITIZED ? 1024 : 400;
    for (uint64_t bytes = 64 << 10; bytes <= 64 << 20; bytes *= 4) {
        size_t levels = bytes / per_level;
        CHECK_EQ((size_t)lwt_result(lwt_new_sized(kthd, descend_lwt, (void *)levels, bytes)), levels);
    }
    kthd_end(kthd);
}

static void *deep_and_yield(void *arg)
{
    size_t levels = (size_t)arg;
    size_t got = deeper(levels);
    weft_lwt_yield();
    return (void *)(got + deeper(levels));
}

TEST(several_stacks_of_64_mib_live_at_once)
{
    enum { count = 8 };
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwts[count];
    size_t levels = CHECK_SANITIZED ? 1000 : 20000;
    for (int i = 0; i < count; i++)
        lwts[i] = lwt_new_sized(kthd, deep_and_yield, (void *)levels, 64 << 20);
    for (int i = 0; i < count; i++)
        CHECK_EQ((size_t)lwt_result(lwts[i]), 2 * levels);
    kthd_end(kthd);
}

static void *signal_on_small_stack(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
    return (void *)1;
}

static atomic_int signals;

static void count_signal(int signal)
{
    (void)signal;
    atomic_fetch_add(&signals, 1);
}

TEST(the_smallest_stack_holds_a_signal_frame)
{
    /* without SA_ONSTACK: the frame, with this processor's whole extended state, goes on the lwt's stack */
    signal(SIGUSR1, count_signal);
    weft_kthd_t kthd = kthd_new();
    uint64_t bytes = CHECK_SANITIZED ? 64 << 10 : 8 << 10;
    for (int i = 0; i < 40; i++) /* every colour of the stack's top */
        CHECK_EQ((intptr_t)lwt_result(lwt_new_sized(kthd, signal_on_small_stack, NULL, bytes)), 1);
    CHECK_EQ(atomic_load(&signals), 40);
    kthd_end(kthd);
}

/* ---- given back -------------------------------------------------------------------------------------------------- */

static void *descend_and_park(void *arg)
{
    deeper((size_t)arg);
    return (void *)(intptr_t)weft_lwt_park(WEFT_FOREVER);
}

TEST(stacks_beyond_the_high_water_mark_go_back_to_the_system)
{
    enum { count = 2000, bytes = 256 << 10 };
    static weft_lwt_t lwts[count];
    if (CHECK_SANITIZED)
        CHECK_SKIP("a sanitizer keeps memory of its own");
    weft_kthd_t kthd = kthd_new();
    long before = check_rss_kib();
    for (int i = 0; i < count; i++)
        lwts[i] = lwt_new_sized(kthd, descend_and_park, (void *)300, bytes);
    AWAIT(kthd_info(kthd).blocked == count);
    long high = check_rss_kib();
    for (int i = 0; i < count; i++)
        weft_lwt_unpark(lwts[i]);
    for (int i = 0; i < count; i++)
        lwt_result(lwts[i]);
    long after = check_rss_kib();
    check_say("    VmRSS %ld, %ld, %ld KiB\n", before, high, after);
    CHECK(high > before + count * 64);
    CHECK(after - before < (high - before) / 4);
    kthd_end(kthd);
}

/* A fresh stack holds nothing that another lwt left there. */
static void *leave_secret(void *arg)
{
    volatile char here[20000];
    memset((void *)here, 0x5e, sizeof here);
    return arg;
}

static void *look_for_secret(void *arg)
{
    (void)arg;
    char here[16000];
    size_t found = 0;
    __asm__ volatile("" : : "r"(here) : "memory");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
    for (size_t i = 0; i + 8 <= sizeof here; i += 8) {
        uint64_t word;
        memcpy(&word, here + i, 8);
        found += word == 0x5e5e5e5e5e5e5e5e;
    }
#pragma GCC diagnostic pop
    return (void *)found;
}

TEST(what_a_reused_stack_still_holds_is_said)
{
    /* Not an assertion: C code may not read what it did not write, and scrubbing every stack would cost each create
     * some microseconds. The line in the log keeps the fact in sight. */
    if (CHECK_SANITIZED)
        CHECK_SKIP("a sanitizer watches such reads");
    weft_kthd_t kthd = kthd_new();
    lwt_run(kthd, leave_secret, NULL);
    size_t found = (size_t)lwt_run(kthd, look_for_secret, NULL);
    check_say("    %zu words of the former lwt are still on its stack\n", found);
    kthd_end(kthd);
}
