/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The self-test outside of a VM, where it works just as well; and weft_jvm_attach(), which there has to refuse.
 */
#include "scene.h"

#include "base/sys.h"
#include "weft/jvm.h"

static int threads_at_start;

/* First thing in a test of the self-test. */
static void begin(void) { threads_at_start = check_count_threads() + 2 * CHECK_TSAN; }

static void expect_nothing_left(void)
{
    struct weft_info info = all_info();
    CHECK_EQ(info.lwts, 0);
    CHECK_EQ(info.loose, 0);
    AWAIT(check_count_threads() <= threads_at_start); /* the kernel may take a moment to bury them */
}

TEST(selftest_passes_and_leaves_nothing_behind)
{
    char text[200] = "x";
    begin();
    int fds = check_count_fds();
    int64_t start = check_now_ns();
    CHECK_EQ(weft_jvm_selftest(text, sizeof text), 0);
    CHECK_STR(text, "");
    check_say("    took %ld us\n", (long)(check_now_ns() - start) / 1000);
    expect_nothing_left();
    CHECK_EQ(check_count_fds(), fds);
}

TEST(selftest_sends_signals_to_parked_threads)
{
    begin();
    uint64_t before = weft_jvm_signals_forwarded();
    REQUIRE_EQ(weft_jvm_selftest(NULL, 0), 0);
    CHECK(weft_jvm_signals_forwarded() >= before + 6);
}

TEST(selftest_can_be_repeated)
{
    begin();
    for (long i = check_scale(30); i--;) {
        char text[200];
        if (!CHECK_EQ(weft_jvm_selftest(text, sizeof text), 0)) {
            check_say("    %s\n", text);
            break;
        }
    }
    expect_nothing_left();
}

static void *selftest_main(void *arg)
{
    char text[200];
    (void)arg;
    if (!CHECK_EQ(weft_jvm_selftest(text, sizeof text), 0))
        check_say("    %s\n", text);
    return NULL;
}

TEST(selftests_do_not_disturb_each_other)
{
    pthread_t threads[4];
    begin();
    for (int i = 0; i < 4; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, selftest_main, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    expect_nothing_left();
}

TEST(selftest_restores_the_callers_signal_mask)
{
    sigset_t mask, before, after;
    begin();
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    REQUIRE_EQ(weft_jvm_selftest(NULL, 0), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    CHECK(memcmp(&before, &after, sizeof(uint64_t)) == 0 /* what the kernel fills in */);
}

/* Every failing call gives -ENOTSUP and a sentence, and the next self-test works. */
static void fail_each(enum sys_kind kind, int error)
{
    begin();
    for (unsigned nth = 1;; nth++) {
        char text[200] = "";
        REQUIRE(nth < 200);
        sys_fault_arm(kind, nth, 0, error);
        int r = weft_jvm_selftest(text, sizeof text);
        unsigned calls = sys_fault_calls(kind);
        sys_fault_arm(kind, 0, 0, 0);
        if (r != 0) {
            CHECK_EQ(r, -ENOTSUP);
            CHECK_CONTAINS(text, "self-test");
        }
        expect_nothing_left();
        if (calls < nth)
            break;
    }
    CHECK_EQ(weft_jvm_selftest(NULL, 0), 0);
}

TEST_LIMIT(selftest_says_so_when_no_thread_can_be_had, 60) { fail_each(SYS_KIND_THREAD, -EAGAIN); }

TEST_LIMIT(selftest_says_so_when_no_memory_can_be_had, 60) { fail_each(SYS_KIND_ALLOC, -ENOMEM); }

TEST_LIMIT(selftest_says_so_when_no_map_can_be_had, 60) { fail_each(SYS_KIND_MMAP, -ENOMEM); }

/* ---- attach ---------------------------------------------------------------------------------------------------- */

TEST(attach_refuses_what_is_not_hotspot)
{
    char text[200] = "";
    CHECK_EQ(weft_jvm_attach(0, text, sizeof text), -ENOTSUP);
    CHECK_CONTAINS(text, "HotSpot");
}

TEST(attach_gives_the_first_calls_result_again)
{
    char text[200] = "";
    CHECK_EQ(weft_jvm_attach(0, NULL, 0), -ENOTSUP);
    CHECK_EQ(weft_jvm_attach(WEFT_JVM_NO_HOOK, text, sizeof text), -ENOTSUP);
    CHECK_CONTAINS(text, "HotSpot");
}

TEST(attach_with_an_unknown_flag_is_einval_and_decides_nothing)
{
    char text[200] = "";
    CHECK_EQ(weft_jvm_attach(2, text, sizeof text), -EINVAL);
    CHECK_EQ(weft_jvm_attach(0, text, sizeof text), -ENOTSUP);
    CHECK_CONTAINS(text, "HotSpot");
}

TEST(attach_closes_a_sentence_that_is_cut)
{
    char text[8];
    memset(text, 'x', sizeof text);
    CHECK_EQ(weft_jvm_attach(0, text, 5), -ENOTSUP);
    CHECK_EQ(strlen(text), 4);
    CHECK_EQ(text[5], 'x');
}

static void *attach_main(void *arg)
{
    char text[200] = "";
    (void)arg;
    CHECK_EQ(weft_jvm_attach(0, text, sizeof text), -ENOTSUP);
    CHECK_CONTAINS(text, "HotSpot");
    return NULL;
}

TEST(attach_may_be_called_by_many_at_once)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, attach_main, NULL), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

TEST(steps_aside_is_zero_without_a_hook) { CHECK_EQ(weft_jvm_steps_aside(), 0); }
