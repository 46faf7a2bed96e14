/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwt: the life of a native lwt from creation to join, turns (yield, yield_to, migrate), identity, permits and
 * interrupts, joins in every form and error. Thread lwts are in adopt_test.c, stacks that overflow in stack_test.c.
 */
#include "scene.h"

#include <sys/mman.h>

static void *give_back(void *arg) { return arg; }

static void *park_once(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)weft_lwt_park(WEFT_FOREVER);
}

/* Lets every other lwt of this kthd that is ready come to its next wait. */
static void yield_some(void)
{
    for (int i = 0; i < 10; i++)
        weft_lwt_yield();
}

/* A parked lwt of the calling lwt's kthd. */
static weft_lwt_t lwt_parked(weft_kthd_t kthd)
{
    weft_lwt_t lwt = lwt_new(kthd, park_once, NULL);
    SCENE_AWAIT(weft_lwt_state(lwt) == WEFT_LWT_BLOCKED);
    return lwt;
}

static void lwt_release(weft_lwt_t lwt)
{
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    CHECK_EQ((intptr_t)lwt_result(lwt), 0);
}

/* ---- creation ---------------------------------------------------------------------------------------------------- */

TEST(attr_init_fills_in_the_documented_defaults)
{
    struct weft_lwt_attr attr;
    memset(&attr, 0xa5, sizeof attr);
    weft_lwt_attr_init(&attr);
    CHECK(attr.name == NULL);
    CHECK_EQ(attr.stack_bytes, 0);
    CHECK_EQ(attr.flags, 0);
    CHECK_EQ(attr.reserved, 0);
}

static void *twice(void *arg) { return (void *)(2 * (intptr_t)arg); }

TEST(join_gives_what_the_function_returned)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt;
    void *value = NULL;
    REQUIRE_EQ(weft_lwt_create(&lwt, kthd, twice, (void *)21, NULL), 0);
    CHECK_EQ(weft_lwt_join(lwt, &value), 0);
    CHECK_EQ((intptr_t)value, 42);
    kthd_end(kthd);
}

LWT_TEST(the_creator_goes_on_running)
{
    weft_lwt_t lwt = lwt_new(no_kthd, give_back, NULL);
    CHECK_EQ(weft_lwt_state(lwt), WEFT_LWT_READY);
    lwt_result(lwt);
}

static void *my_kthd(void *arg)
{
    (void)arg;
    return (void *)weft_kthd_current().id;
}

LWT_TEST(the_zero_kthd_means_the_creators_own)
{
    CHECK_EQ((uint64_t)lwt_run(no_kthd, my_kthd, NULL), weft_kthd_current().id);
    CHECK_EQ((uint64_t)lwt_run(scene->kthds[1], my_kthd, NULL), scene->kthds[1].id);
}

static void expect_no_lwt(int error, weft_kthd_t kthd, void *(*fn)(void *), const struct weft_lwt_attr *attr)
{
    weft_lwt_t lwt = {77};
    uint64_t lwts = all_info().lwts;
    CHECK_EQ(weft_lwt_create(&lwt, kthd, fn, NULL, attr), error);
    CHECK_EQ(lwt.id, 77);
    CHECK_EQ(all_info().lwts, lwts);
}

TEST(create_refuses_no_function)
{
    weft_kthd_t kthd = kthd_new();
    expect_no_lwt(-EINVAL, kthd, NULL, NULL);
    kthd_end(kthd);
}

TEST(create_refuses_an_unknown_flag)
{
    weft_kthd_t kthd = kthd_new();
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    for (int bit = 1; bit < 32; bit++) {
        attr.flags = 1u << bit;
        expect_no_lwt(-EINVAL, kthd, give_back, &attr);
    }
    kthd_end(kthd);
}

TEST(create_refuses_a_stack_size_out_of_range)
{
    static const uint64_t wrong[] = {1, 4096, 8191, (64 << 20) + 1, 128 << 20, 1ull << 40, INT64_MAX, UINT64_MAX};
    weft_kthd_t kthd = kthd_new();
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        attr.stack_bytes = wrong[i];
        expect_no_lwt(-EINVAL, kthd, give_back, &attr);
    }
    kthd_end(kthd);
}

TEST(create_refuses_no_place_for_the_handle_unless_detached)
{
    weft_kthd_t kthd = kthd_new();
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    CHECK_EQ(weft_lwt_create(NULL, kthd, give_back, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_lwt_create(NULL, kthd, give_back, NULL, &attr), -EINVAL);
    attr.flags = WEFT_LWT_DETACHED;
    CHECK_EQ(weft_lwt_create(NULL, kthd, give_back, NULL, &attr), 0);
    kthd_end(kthd);
}

TEST(create_refuses_a_kthd_that_is_not_there)
{
    weft_kthd_t kthd = kthd_new();
    kthd_end(kthd);
    expect_no_lwt(-ESRCH, kthd, give_back, NULL);
    expect_no_lwt(-ESRCH, kthd_of(0x123456789), give_back, NULL);
}

TEST(create_refuses_the_zero_kthd_on_a_plain_thread)
{
    expect_no_lwt(-EPERM, no_kthd, give_back, NULL);
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

/* Writes to every page of `bytes` of its own stack. */
__attribute__((noinline)) static uintptr_t touch(size_t bytes)
{
    volatile char here[512];
    memset((void *)here, 1, sizeof here);
    return bytes <= sizeof here + 128 ? (uintptr_t)here : touch(bytes - sizeof here - 64) + (uintptr_t)here[0] * 0;
}

static void *touch_stack(void *arg)
{
    return (void *)(touch((size_t)arg) != 0 ? arg : NULL);
}

static uint64_t guard_of(uint64_t bytes) { return bytes >= 64 << 10 ? 16384 : 4096; }

static const char *const stack_sizes[] = {"8 KiB",   "16 KiB",  "32 KiB",  "64 KiB", "128 KiB", "256 KiB", "512 KiB",
                                          "1 MiB",   "2 MiB",   "4 MiB",   "8 MiB",  "16 MiB",  "32 MiB",  "64 MiB",
                                          NULL};

TEST_OVER(a_stack_of_this_size_can_be_used_but_for_its_guard_and_a_little, stack_sizes)
{
    uint64_t bytes = 8192ull << check_variant;
    /* its guard (a page, four from 64 KiB on), the colour, the runtime's first frames */
    uint64_t usable = bytes - guard_of(bytes) - 2048 - 1500;
    if (CHECK_SANITIZED)
        usable = bytes / 8;
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new_sized(kthd, touch_stack, (void *)(uintptr_t)usable, bytes);
    CHECK_EQ((uintptr_t)lwt_result(lwt), usable);
    kthd_end(kthd);
}

TEST(a_stack_size_is_rounded_up_to_a_power_of_two)
{
    if (CHECK_SANITIZED)
        CHECK_SKIP("a sanitizer's frames are larger");
    weft_kthd_t kthd = kthd_new();
    CHECK(lwt_result(lwt_new_sized(kthd, touch_stack, (void *)(16384 - 7700), 8193)) != NULL);
    CHECK(lwt_result(lwt_new_sized(kthd, touch_stack, (void *)((64 << 10) - 20000), (32 << 10) + 1)) != NULL);
    CHECK(lwt_result(lwt_new_sized(kthd, touch_stack, (void *)((64 << 20) - 20000), (32 << 20) + 1)) != NULL);
    kthd_end(kthd);
}

TEST(the_default_stack_is_64_kib)
{
    weft_kthd_t kthd = kthd_new();
    size_t usable = CHECK_SANITIZED ? 8 << 10 : (64 << 10) - 20000;
    CHECK(lwt_result(lwt_new(kthd, touch_stack, (void *)usable)) != NULL);
    kthd_end(kthd);
}

struct entry {
    uintptr_t sp;
    bool aligned;
};

static void *look_at_entry(void *arg)
{
    struct entry *entry = arg;
    entry->sp = (uintptr_t)__builtin_frame_address(0);
    entry->aligned = entry->sp % 16 == 0; /* after `push rbp` of an aligned call */
    return NULL;
}

LWT_TEST(a_function_is_entered_with_the_stack_aligned_as_the_abi_wants)
{
    for (uint64_t bytes = 8192; bytes <= 1 << 20; bytes *= 2) {
        struct entry entry;
        if (CHECK_SANITIZED && bytes < 32768)
            continue;
        lwt_result(lwt_new_sized(no_kthd, look_at_entry, &entry, bytes));
        CHECK(entry.aligned);
    }
}

/* ---- exit -------------------------------------------------------------------------------------------------------- */

static int exit_from_depth(int depth);
static int (*volatile deeper)(int) = exit_from_depth; /* the compiler is not to see that it never returns */

static int exit_from_depth(int depth)
{
    volatile int here = depth;
    if (depth == 0)
        weft_lwt_exit((void *)1234);
    return deeper(depth - 1) + here;
}

static void *exit_deep(void *arg)
{
    deeper((int)(intptr_t)arg);
    return NULL;
}

TEST(exit_from_any_depth_gives_its_value_to_the_joiner)
{
    weft_kthd_t kthd = kthd_new();
    for (intptr_t depth = 0; depth < 100; depth++)
        CHECK_EQ((intptr_t)lwt_run(kthd, exit_deep, (void *)depth), 1234);
    kthd_end(kthd);
}

static void exit_here(void *arg)
{
    (void)arg;
    weft_lwt_exit(NULL);
}

static void exit_adopted(void *arg)
{
    (void)arg;
    weft_kthd_t kthd = kthd_new();
    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    weft_lwt_exit(NULL);
}

TEST(exit_on_a_plain_thread_aborts_with_a_message)
{
    char text[2048];
    int status = check_death(exit_here, NULL, text, sizeof text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK_CONTAINS(text, "weft_lwt_exit");
}

TEST(exit_on_an_adopted_thread_aborts_with_a_message)
{
    char text[2048];
    int status = check_death(exit_adopted, NULL, text, sizeof text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK_CONTAINS(text, "weft_lwt_exit");
}

/* ---- identity ---------------------------------------------------------------------------------------------------- */

static void *my_id(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_lwt_current().id, weft_lwt_id());
    return (void *)weft_lwt_id();
}

TEST(current_and_id_are_the_handle)
{
    weft_kthd_t kthd = kthd_new();
    for (int i = 0; i < 10; i++) {
        weft_lwt_t lwt = lwt_new(kthd, my_id, NULL);
        CHECK_EQ((uint64_t)lwt_result(lwt), lwt.id);
    }
    kthd_end(kthd);
}

TEST(a_plain_thread_has_no_id)
{
    CHECK_EQ(weft_lwt_current().id, 0);
    CHECK_EQ(weft_lwt_id(), 0);
    weft_kthd_t kthd = kthd_new();
    lwt_run(kthd, give_back, NULL);
    CHECK_EQ(weft_lwt_current().id, 0);
    CHECK_EQ(weft_lwt_id(), 0);
    kthd_end(kthd);
}

static _Atomic uint64_t id_in_handler;

static void note_id(int signal)
{
    (void)signal;
    atomic_store(&id_in_handler, weft_lwt_id());
}

static void *raise_and_note(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
    return (void *)atomic_load(&id_in_handler);
}

TEST(id_is_right_in_a_signal_handler)
{
    signal(SIGUSR1, note_id);
    weft_kthd_t kthd = kthd_new();
    for (int i = 0; i < 10; i++) {
        weft_lwt_t lwt = lwt_new(kthd, raise_and_note, NULL);
        CHECK_EQ((uint64_t)lwt_result(lwt), lwt.id);
    }
    atomic_store(&id_in_handler, 1);
    raise(SIGUSR1);
    CHECK_EQ(atomic_load(&id_in_handler), 0);
    kthd_end(kthd);
}

/*
 * A storm of signals on a carrier, while its lwts switch: the id in the handler is that of the lwt in whose stack the
 * handler runs, at whatever instruction it came, or none on the scheduler's own stack.
 */
enum { storm_lwts = 8, storm_stack = 64 << 10 };

static struct {
    _Atomic uint64_t id[storm_lwts];
    _Atomic uintptr_t stack[storm_lwts]; /* the stack's address, rounded to its size */
    atomic_long seen, wrong, elsewhere;
    atomic_int stop;
} storm;

static void check_id_against_stack(int signal)
{
    (void)signal;
    int saved = errno;
    uint64_t id = weft_lwt_id();
    uintptr_t stack = (uintptr_t)__builtin_frame_address(0) / storm_stack * storm_stack;
    atomic_fetch_add(&storm.seen, 1);
    int at = 0;
    while (at < storm_lwts && atomic_load(&storm.stack[at]) != stack)
        at++;
    if (at == storm_lwts)
        atomic_fetch_add(&storm.elsewhere, 1);
    else if (atomic_load(&storm.id[at]) != id)
        atomic_fetch_add(&storm.wrong, 1);
    errno = saved;
}

static void *storm_switch(void *arg)
{
    int me = (int)(intptr_t)arg;
    atomic_store(&storm.id[me], weft_lwt_id());
    atomic_store(&storm.stack[me], (uintptr_t)__builtin_frame_address(0) / storm_stack * storm_stack);
    while (!atomic_load(&storm.stop))
        weft_lwt_yield();
    atomic_store(&storm.stack[me], 0);
    return NULL;
}

static void *my_tid(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)check_tid();
}

TEST(id_is_right_at_every_instruction_under_a_storm_of_signals)
{
    struct sigaction action = {.sa_handler = check_id_against_stack, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    weft_kthd_t kthd = kthd_new();
    pid_t carrier = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    weft_lwt_t lwts[storm_lwts];
    for (intptr_t i = 0; i < storm_lwts; i++)
        lwts[i] = lwt_new_sized(kthd, storm_switch, (void *)i, storm_stack);
    for (long i = 0; i < check_scale(20000); i++) {
        syscall(SYS_tgkill, getpid(), carrier, SIGUSR1);
        if (i % 16 == 0)
            check_pause();
    }
    atomic_store(&storm.stop, 1);
    for (int i = 0; i < storm_lwts; i++)
        lwt_result(lwts[i]);
    CHECK_EQ(atomic_load(&storm.wrong), 0);
    CHECK(atomic_load(&storm.seen) > 0);
    CHECK(atomic_load(&storm.elsewhere) < atomic_load(&storm.seen));
    kthd_end(kthd);
}

TEST(a_handle_is_never_given_twice)
{
    enum { count = 20000 };
    uint64_t *ids = calloc(count, sizeof *ids), before = 0;
    weft_kthd_t kthd = kthd_new();
    for (int i = 0; i < count; i++) {
        weft_lwt_t lwt = lwt_new(kthd, give_back, NULL);
        CHECK(lwt.id != before && lwt.id != 0);
        before = ids[i] = lwt.id;
        lwt_result(lwt);
        for (int j = i > 50 ? i - 50 : 0; j < i; j++)
            REQUIRE(ids[j] != ids[i]);
    }
    free(ids);
    kthd_end(kthd);
}

TEST(a_name_is_copied_and_cut_to_31_bytes)
{
    char given[64] = "0123456789012345678901234567890123456789", name[WEFT_NAME_SIZE];
    struct weft_lwt_attr attr;
    weft_lwt_t lwt;
    weft_kthd_t kthd = kthd_new();
    weft_lwt_attr_init(&attr);
    attr.name = given;
    REQUIRE_EQ(weft_lwt_create(&lwt, kthd, park_once, NULL, &attr), 0);
    memset(given, 'x', sizeof given - 1);
    CHECK_EQ(weft_lwt_name(lwt, name, sizeof name), 0);
    CHECK_STR(name, "0123456789012345678901234567890");
    CHECK_EQ(weft_lwt_name(lwt, name, 4), 0);
    CHECK_STR(name, "012");
    CHECK_EQ(weft_lwt_name(lwt, name, 1), 0);
    CHECK_STR(name, "");
    lwt_release(lwt);
    kthd_end(kthd);
}

TEST(an_unnamed_lwts_name_is_empty_even_after_a_named_one)
{
    char name[WEFT_NAME_SIZE] = "x";
    struct weft_lwt_attr attr;
    weft_lwt_t lwt;
    weft_kthd_t kthd = kthd_new();
    weft_lwt_attr_init(&attr);
    attr.name = "shuttle";
    REQUIRE_EQ(weft_lwt_create(&lwt, kthd, give_back, NULL, &attr), 0);
    lwt_result(lwt);
    lwt = lwt_new(kthd, park_once, NULL); /* most likely on the same record and stack */
    CHECK_EQ(weft_lwt_name(lwt, name, sizeof name), 0);
    CHECK_STR(name, "");
    lwt_release(lwt);
    kthd_end(kthd);
}

TEST(lwt_name_refuses_an_empty_buffer_and_a_stale_lwt)
{
    char buf[4] = "abc";
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_parked(kthd);
    CHECK_EQ(weft_lwt_name(lwt, buf, 0), -EINVAL);
    lwt_release(lwt);
    CHECK_EQ(weft_lwt_name(lwt, buf, sizeof buf), -ESRCH);
    CHECK_EQ(weft_lwt_name(no_lwt, buf, sizeof buf), -ESRCH);
    CHECK_STR(buf, "abc");
    kthd_end(kthd);
}

TEST(a_zombie_still_has_its_name)
{
    char name[WEFT_NAME_SIZE];
    struct weft_lwt_attr attr;
    weft_lwt_t lwt;
    weft_kthd_t kthd = kthd_new();
    weft_lwt_attr_init(&attr);
    attr.name = "bobbin";
    REQUIRE_EQ(weft_lwt_create(&lwt, kthd, give_back, NULL, &attr), 0);
    AWAIT(weft_lwt_state(lwt) == WEFT_LWT_ZOMBIE);
    CHECK_EQ(weft_lwt_name(lwt, name, sizeof name), 0);
    CHECK_STR(name, "bobbin");
    lwt_result(lwt);
    kthd_end(kthd);
}

LWT_TEST(the_states_of_a_life_are_seen_in_turn)
{
    CHECK_EQ(weft_lwt_state(weft_lwt_current()), WEFT_LWT_RUNNING);
    weft_lwt_t lwt = lwt_new(no_kthd, park_once, NULL);
    CHECK_EQ(weft_lwt_state(lwt), WEFT_LWT_READY);
    weft_lwt_yield();
    CHECK_EQ(weft_lwt_state(lwt), WEFT_LWT_BLOCKED);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    CHECK_EQ(weft_lwt_state(lwt), WEFT_LWT_READY);
    weft_lwt_yield();
    CHECK_EQ(weft_lwt_state(lwt), WEFT_LWT_ZOMBIE);
    lwt_result(lwt);
    CHECK_EQ(weft_lwt_state(lwt), -ESRCH);
    CHECK_EQ(weft_lwt_state(no_lwt), -ESRCH);
}

TEST(kthd_of_an_lwt_is_where_it_lives)
{
    weft_kthd_t kthd = kthd_new(), other = kthd_new(), found = {77};
    weft_lwt_t lwt = lwt_parked(other);
    CHECK_EQ(weft_lwt_kthd(lwt, &found), 0);
    CHECK_EQ(found.id, other.id);
    lwt_release(lwt);
    found.id = 77;
    CHECK_EQ(weft_lwt_kthd(lwt, &found), -ESRCH);
    CHECK_EQ(weft_lwt_kthd(no_lwt, &found), -ESRCH);
    CHECK_EQ(found.id, 77);
    kthd_end(kthd);
    kthd_end(other);
}

/* ---- turns ------------------------------------------------------------------------------------------------------- */

static struct {
    int order[256];
    int count;
} turns; /* lwts of one kthd only */

static void *note_turns(void *arg)
{
    for (int i = 0; i < 5; i++) {
        turns.order[turns.count++] = (int)(intptr_t)arg;
        weft_lwt_yield();
    }
    return NULL;
}

LWT_TEST(lwts_run_in_the_order_of_creation_and_yield_is_fifo)
{
    enum { count = 7 };
    weft_lwt_t lwts[count];
    for (intptr_t i = 0; i < count; i++)
        lwts[i] = lwt_new(no_kthd, note_turns, (void *)i);
    CHECK_EQ(turns.count, 0);
    for (int i = 0; i < count; i++)
        lwt_result(lwts[i]);
    REQUIRE_EQ(turns.count, 5 * count);
    for (int i = 0; i < 5 * count; i++)
        CHECK_EQ(turns.order[i], i % count);
}

LWT_TEST(yield_returns_at_once_when_no_other_is_runnable)
{
    weft_lwt_t blocked = lwt_parked(no_kthd);
    uint64_t before = kthd_info(weft_kthd_current()).switches;
    for (int i = 0; i < 1000; i++)
        weft_lwt_yield();
    CHECK(kthd_info(weft_kthd_current()).switches <= before + 1);
    lwt_release(blocked);
}

TEST(yield_on_a_plain_thread_returns)
{
    weft_lwt_yield();
    weft_kthd_t kthd = kthd_new();
    weft_lwt_yield();
    kthd_end(kthd);
}

LWT_TEST(an_lwt_created_from_a_plain_thread_gets_a_turn_while_others_yield)
{
    /* the inbox is looked at although the queue never runs empty */
    weft_lwt_t noise[3];
    for (intptr_t i = 0; i < 3; i++)
        noise[i] = lwt_new(scene->kthds[1], note_turns, (void *)i);
    weft_lwt_t lwt = lwt_new(scene->kthds[1], give_back, (void *)9);
    CHECK_EQ((intptr_t)lwt_result(lwt), 9);
    for (int i = 0; i < 3; i++)
        lwt_result(noise[i]);
}

LWT_TEST(yield_to_goes_first)
{
    weft_lwt_t lwts[5];
    turns.count = 0;
    for (intptr_t i = 0; i < 5; i++)
        lwts[i] = lwt_new(no_kthd, note_turns, (void *)i);
    CHECK_EQ(weft_lwt_yield_to(lwts[3]), 0);
    CHECK(turns.count >= 5);
    static const int expected[] = {3, 0, 1, 2, 4};
    for (int i = 0; i < 5; i++)
        CHECK_EQ(turns.order[i], expected[i]);
    for (int i = 0; i < 5; i++)
        lwt_result(lwts[i]);
}

static void *yield_to_other(void *arg)
{
    for (int i = 0; i < 1000; i++)
        weft_lwt_yield_to(*(weft_lwt_t *)arg);
    return NULL;
}

LWT_TEST(two_that_yield_to_each_other_come_to_an_end)
{
    weft_lwt_t a, b;
    REQUIRE_EQ(weft_lwt_create(&a, no_kthd, yield_to_other, &b, NULL), 0);
    REQUIRE_EQ(weft_lwt_create(&b, no_kthd, yield_to_other, &a, NULL), 0);
    lwt_result(a);
    lwt_result(b);
}

LWT_TEST(yield_to_an_lwt_that_waits_for_no_turn_is_eagain)
{
    weft_lwt_t blocked = lwt_parked(no_kthd), zombie = lwt_new(no_kthd, give_back, NULL);
    yield_some();
    CHECK_EQ(weft_lwt_yield_to(blocked), -EAGAIN);
    CHECK_EQ(weft_lwt_yield_to(zombie), -EAGAIN);
    lwt_release(blocked);
    lwt_result(zombie);
}

LWT_TEST(yield_to_oneself_or_to_another_kthds_lwt_is_einval)
{
    weft_lwt_t elsewhere = lwt_parked(scene->kthds[1]);
    CHECK_EQ(weft_lwt_yield_to(weft_lwt_current()), -EINVAL);
    CHECK_EQ(weft_lwt_yield_to(elsewhere), -EINVAL);
    lwt_release(elsewhere);
}

LWT_TEST(yield_to_nobody_is_esrch)
{
    weft_lwt_t gone = lwt_new(no_kthd, give_back, NULL);
    lwt_result(gone);
    CHECK_EQ(weft_lwt_yield_to(gone), -ESRCH);
    CHECK_EQ(weft_lwt_yield_to(no_lwt), -ESRCH);
}

TEST(yield_to_from_a_plain_thread_is_eperm)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_parked(kthd);
    CHECK_EQ(weft_lwt_yield_to(lwt), -EPERM);
    lwt_release(lwt);
    kthd_end(kthd);
}

/* ---- migration --------------------------------------------------------------------------------------------------- */

LWT_TEST(migrate_moves_an_lwt_to_the_other_kthds_carrier)
{
    pid_t here = check_tid();
    weft_lwt_t self = weft_lwt_current();
    weft_kthd_t found;
    CHECK_EQ(weft_lwt_migrate(scene->kthds[1]), 0);
    CHECK(check_tid() != here);
    CHECK_EQ(weft_kthd_current().id, scene->kthds[1].id);
    CHECK_EQ(weft_lwt_current().id, self.id);
    CHECK_EQ(weft_lwt_id(), self.id);
    CHECK_EQ(weft_lwt_kthd(self, &found), 0);
    CHECK_EQ(found.id, scene->kthds[1].id);
    CHECK_EQ(kthd_info(scene->kthds[0]).lwts, 0);
    CHECK_EQ(kthd_info(scene->kthds[1]).lwts, 1);
    CHECK_EQ(weft_lwt_migrate(scene->kthds[0]), 0);
    CHECK_EQ(check_tid(), here);
}

LWT_TEST(migrate_to_the_own_kthd_is_a_yield)
{
    turns.count = 0;
    weft_lwt_t lwt = lwt_new(no_kthd, note_turns, NULL);
    CHECK_EQ(weft_lwt_migrate(scene->kthds[0]), 0);
    CHECK_EQ(turns.count, 1);
    CHECK_EQ(weft_kthd_current().id, scene->kthds[0].id);
    lwt_result(lwt);
}

LWT_TEST(migrate_to_a_kthd_that_is_not_there_is_esrch)
{
    weft_kthd_t gone = kthd_new();
    kthd_end(gone);
    CHECK_EQ(weft_lwt_migrate(gone), -ESRCH);
    CHECK_EQ(weft_lwt_migrate(no_kthd), -ESRCH);
    CHECK_EQ(weft_kthd_current().id, scene->kthds[0].id);
}

TEST(migrate_from_a_plain_thread_is_eperm)
{
    weft_kthd_t kthd = kthd_new();
    CHECK_EQ(weft_lwt_migrate(kthd), -EPERM);
    kthd_end(kthd);
}

struct wanderer {
    struct scene *scene;
    uint64_t seed;
    long steps;
};

static void *wander(void *arg)
{
    struct wanderer *wanderer = arg;
    struct check_random random = check_random_from(wanderer->seed);
    double sum = 0.5;
    for (; wanderer->steps > 0; wanderer->steps--) {
        weft_kthd_t to = wanderer->scene->kthds[check_random_below(&random, 2)];
        REQUIRE_EQ(weft_lwt_migrate(to), 0);
        if (weft_kthd_current().id != to.id)
            REQUIRE_EQ(weft_kthd_current().id, to.id);
        sum += 1;
    }
    return (void *)(intptr_t)sum;
}

LWT_TEST(twenty_lwts_wander_between_two_kthds)
{
    enum { count = 20 };
    struct wanderer wanderers[count];
    weft_lwt_t lwts[count];
    uint64_t seed = check_seed();
    long steps = check_scale(5000);
    for (int i = 0; i < count; i++) {
        wanderers[i] = (struct wanderer){scene, seed + (uint64_t)i, steps};
        lwts[i] = lwt_new(scene->kthds[i % 2], wander, &wanderers[i]);
    }
    for (int i = 0; i < count; i++)
        CHECK_EQ((intptr_t)lwt_result(lwts[i]), steps);
}

/* ---- permits ----------------------------------------------------------------------------------------------------- */

LWT_TEST(a_permit_that_came_before_is_taken_without_waiting)
{
    CHECK_EQ(weft_lwt_unpark(weft_lwt_current()), 0);
    CHECK_EQ(weft_lwt_park(WEFT_FOREVER), 0);
    CHECK_EQ(weft_lwt_unpark(weft_lwt_current()), 0);
    CHECK_EQ(weft_lwt_park(0), 0);
}

LWT_TEST(permits_do_not_add_up)
{
    weft_lwt_unpark(weft_lwt_current());
    weft_lwt_unpark(weft_lwt_current());
    CHECK_EQ(weft_lwt_park(0), 0);
    CHECK_EQ(weft_lwt_park(0), -ETIMEDOUT);
}

LWT_TEST(park_without_a_permit_and_with_a_past_deadline_times_out_at_once)
{
    CHECK_EQ(weft_lwt_park(0), -ETIMEDOUT);
    CHECK_EQ(weft_lwt_park(-1), -ETIMEDOUT);
    CHECK_EQ(weft_lwt_park(INT64_MIN), -ETIMEDOUT);
    CHECK_EQ(weft_lwt_park(check_now_ns() - 1), -ETIMEDOUT);
}

static void *park_to_deadline(void *arg)
{
    CHECK_EQ(weft_lwt_park((int64_t)(intptr_t)arg), -ETIMEDOUT);
    return NULL;
}

static void *yield_to_end(void *arg)
{
    while (weft_lwt_state(*(weft_lwt_t *)arg) != WEFT_LWT_ZOMBIE)
        weft_lwt_yield();
    return NULL;
}

LWT_TEST(park_times_out_after_its_deadline_and_not_before)
{
    int64_t deadline = scene_in_ms(20);
    CHECK_EQ(weft_lwt_park(deadline), -ETIMEDOUT);
    CHECK(check_now_ns() >= deadline);
    CHECK(check_now_ns() < deadline + 2000000000);
}

LWT_TEST(timers_fire_while_one_lwt_does_nothing_but_yield)
{
    /* it is alone in the queue, so no turn is given away and no idling looks at the clock */
    weft_lwt_t sleeper = lwt_new(no_kthd, park_to_deadline, (void *)(intptr_t)scene_in_ms(10));
    int64_t end = check_now_ns() + 10000000000;
    while (weft_lwt_state(sleeper) != WEFT_LWT_ZOMBIE && check_now_ns() < end)
        weft_lwt_yield();
    CHECK_EQ(weft_lwt_state(sleeper), WEFT_LWT_ZOMBIE);
    lwt_result(sleeper);
}

LWT_TEST(timers_fire_while_two_lwts_do_nothing_but_yield_to_each_other)
{
    weft_lwt_t sleeper = lwt_new(no_kthd, park_to_deadline, (void *)(intptr_t)scene_in_ms(10)), other;
    int64_t end = check_now_ns() + 10000000000;
    REQUIRE_EQ(weft_lwt_create(&other, no_kthd, yield_to_end, &sleeper, NULL), 0);
    while (weft_lwt_state(sleeper) != WEFT_LWT_ZOMBIE && check_now_ns() < end)
        weft_lwt_yield();
    CHECK_EQ(weft_lwt_state(sleeper), WEFT_LWT_ZOMBIE);
    lwt_result(other);
    lwt_result(sleeper);
}

static void *park_until(void *arg)
{
    int64_t deadline = (int64_t)(intptr_t)arg;
    REQUIRE_EQ(weft_lwt_park(deadline), -ETIMEDOUT);
    CHECK(check_now_ns() >= deadline);
    turns.order[turns.count++] = (int)(deadline / 1000000 % 1000000);
    return NULL;
}

LWT_TEST(sleepers_wake_in_the_order_of_their_deadlines)
{
    enum { count = 50 };
    weft_lwt_t lwts[count];
    turns.count = 0;
    int64_t base = scene_in_ms(20);
    for (intptr_t i = 0; i < count; i++) /* 37 and 50 have no common divisor: every slot once, in no order */
        lwts[i] = lwt_new(no_kthd, park_until, (void *)(intptr_t)(base + i * 37 % count * 1000000));
    for (int i = 0; i < count; i++)
        lwt_result(lwts[i]);
    REQUIRE_EQ(turns.count, count);
    for (int i = 1; i < count; i++)
        CHECK(turns.order[i] == (turns.order[i - 1] + 1) % 1000000);
}

LWT_TEST(unpark_ends_a_wait_long_before_its_deadline)
{
    weft_lwt_t lwt = lwt_new(no_kthd, park_once, NULL);
    weft_lwt_yield();
    CHECK_EQ(weft_lwt_state(lwt), WEFT_LWT_BLOCKED);
    lwt_release(lwt);
}

TEST(unpark_works_from_a_plain_thread)
{
    weft_kthd_t kthd = kthd_new();
    lwt_release(lwt_parked(kthd));
    kthd_end(kthd);
}

TEST(park_on_a_plain_thread_is_eperm)
{
    CHECK_EQ(weft_lwt_park(WEFT_FOREVER), -EPERM);
    CHECK_EQ(weft_lwt_park(0), -EPERM);
    weft_kthd_t kthd = kthd_new();
    CHECK_EQ(weft_lwt_park(WEFT_FOREVER), -EPERM);
    kthd_end(kthd);
}

TEST(unpark_of_nobody_is_esrch)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, give_back, NULL);
    lwt_result(lwt);
    CHECK_EQ(weft_lwt_unpark(lwt), -ESRCH);
    CHECK_EQ(weft_lwt_unpark(no_lwt), -ESRCH);
    CHECK_EQ(weft_lwt_interrupt(lwt), -ESRCH);
    CHECK_EQ(weft_lwt_interrupt(no_lwt), -ESRCH);
    kthd_end(kthd);
}

LWT_TEST(an_unpark_wakes_no_other_wait)
{
    weft_chan_t chan = chan_new(1);
    CHECK_EQ(weft_lwt_unpark(weft_lwt_current()), 0);
    uint64_t value;
    CHECK_EQ(weft_chan_recv_until(chan, &value, scene_in_ms(5)), -ETIMEDOUT);
    CHECK_EQ(weft_lwt_park(0), 0); /* the permit is still there */
    chan_end(chan);
}

struct ping {
    _Atomic uint64_t peer;
    atomic_long *turn; /* even: one's, odd: the other's */
    long me, rounds;
};

static void *ping_permits(void *arg)
{
    struct ping *ping = arg;
    for (long i = 0; i < ping->rounds; i++) {
        while (atomic_load(ping->turn) % 2 != ping->me)
            REQUIRE_EQ(weft_lwt_park(WEFT_FOREVER), 0);
        atomic_fetch_add(ping->turn, 1);
        weft_lwt_unpark(lwt_of(atomic_load(&ping->peer)));
    }
    return NULL;
}

static void permit_ping_pong(weft_kthd_t a_kthd, weft_kthd_t b_kthd, long rounds)
{
    atomic_long turn = 0;
    struct ping a = {.turn = &turn, .me = 0, .rounds = rounds}, b = {.turn = &turn, .me = 1, .rounds = rounds};
    weft_lwt_t first = lwt_new(b_kthd, ping_permits, &b);
    atomic_store(&a.peer, first.id);
    weft_lwt_t second = lwt_new(a_kthd, ping_permits, &a);
    atomic_store(&b.peer, second.id);
    weft_lwt_unpark(first); /* the first answer may have gone to nobody */
    lwt_result(second);
    lwt_result(first);
    CHECK_EQ(atomic_load(&turn), 2 * rounds);
}

LWT_TEST(no_permit_is_lost_within_a_kthd)
{
    permit_ping_pong(scene->kthds[0], scene->kthds[0], check_scale(100000));
}

LWT_TEST(no_permit_is_lost_between_kthds)
{
    permit_ping_pong(scene->kthds[0], scene->kthds[1], check_scale(20000));
}

struct race {
    atomic_int stop;
    atomic_long taken;
    long timed_out;
};

static void *park_against_the_clock(void *arg)
{
    struct race *race = arg;
    while (!atomic_load(&race->stop)) {
        int r = weft_lwt_park(check_now_ns() + (int64_t)(atomic_load(&race->taken) % 7) * 3000);
        if (r == 0)
            atomic_fetch_add(&race->taken, 1);
        else if (CHECK_EQ(r, -ETIMEDOUT))
            race->timed_out++;
    }
    while (weft_lwt_park(0) == 0)
        atomic_fetch_add(&race->taken, 1);
    return NULL;
}

TEST(a_permit_against_a_timeout_is_taken_or_kept_never_both)
{
    /* each permit is given only after the one before was taken: then as many are taken as were given */
    weft_kthd_t kthd = kthd_new();
    struct race race = {0};
    long given = 0, rounds = check_scale(20000);
    weft_lwt_t lwt = lwt_new(kthd, park_against_the_clock, &race);
    struct check_random random = check_random_from(check_seed());
    for (; given < rounds; given++) {
        REQUIRE_EQ(weft_lwt_unpark(lwt), 0);
        for (int64_t end = check_now_ns() + 10000000000; atomic_load(&race.taken) <= given;)
            REQUIRE(check_now_ns() < end);
        for (uint32_t i = check_random_below(&random, 1000); i > 0; i--)
            __asm__ volatile("pause");
    }
    atomic_store(&race.stop, 1);
    lwt_result(lwt);
    CHECK_EQ(atomic_load(&race.taken), given);
    kthd_end(kthd);
}

/* ---- interrupts -------------------------------------------------------------------------------------------------- */

LWT_TEST(an_interrupt_before_the_wait_ends_the_next_one_only)
{
    CHECK_EQ(weft_lwt_interrupt(weft_lwt_current()), 0);
    CHECK_EQ(weft_lwt_park(WEFT_FOREVER), -EINTR);
    CHECK_EQ(weft_lwt_park(0), -ETIMEDOUT);
}

LWT_TEST(interrupts_do_not_add_up)
{
    weft_lwt_interrupt(weft_lwt_current());
    weft_lwt_interrupt(weft_lwt_current());
    CHECK_EQ(weft_lwt_park(WEFT_FOREVER), -EINTR);
    CHECK_EQ(weft_lwt_park(scene_in_ms(2)), -ETIMEDOUT);
}

LWT_TEST(a_yield_is_no_wait_that_an_interrupt_ends)
{
    weft_lwt_interrupt(weft_lwt_current());
    weft_lwt_t other = lwt_new(no_kthd, give_back, NULL);
    weft_lwt_yield();
    CHECK_EQ(weft_lwt_park(WEFT_FOREVER), -EINTR);
    lwt_result(other);
}

struct wait {
    int kind;
    weft_chan_t chan;
    weft_cgrp_t cgrp;
    weft_lwt_t lwt;
};

static const char *const wait_words[] = {"park", "send", "receive", "group", "join", NULL};

static void *wait_for(void *arg)
{
    struct wait *wait = arg;
    uint64_t value;
    struct weft_event event;
    switch (wait->kind) {
    case 0:
        return (void *)(intptr_t)weft_lwt_park(WEFT_FOREVER);
    case 1:
        return (void *)(intptr_t)weft_chan_send(wait->chan, 1);
    case 2:
        return (void *)(intptr_t)weft_chan_recv(wait->chan, &value);
    case 3:
        return (void *)(intptr_t)weft_cgrp_wait(wait->cgrp, &event);
    default:
        return (void *)(intptr_t)weft_lwt_join(wait->lwt, NULL);
    }
}

TEST_OVER(an_interrupt_ends_a_wait_with_eintr, wait_words)
{
    weft_kthd_t kthd = kthd_new();
    struct wait wait = {.kind = check_variant, .chan = chan_new(0), .lwt = lwt_parked(kthd)};
    REQUIRE_EQ(weft_cgrp_create(&wait.cgrp), 0);
    for (int i = 0; i < 2; i++) { /* blocked already; and pending */
        weft_lwt_t lwt = lwt_new(kthd, wait_for, &wait);
        if (i == 0)
            AWAIT(weft_lwt_state(lwt) == WEFT_LWT_BLOCKED);
        CHECK_EQ(weft_lwt_interrupt(lwt), 0);
        CHECK_EQ((intptr_t)lwt_result(lwt), -EINTR);
    }
    CHECK_EQ(chan_info(wait.chan).sending, 0);
    CHECK_EQ(chan_info(wait.chan).receiving, 0);
    CHECK_EQ(weft_chan_try_send(wait.chan, 5), -EAGAIN);
    lwt_release(wait.lwt); /* it can still be joined */
    CHECK_EQ(weft_cgrp_free(wait.cgrp), 0);
    chan_end(wait.chan);
    kthd_end(kthd);
}

LWT_TEST(an_lwt_that_exits_with_an_interrupt_pending_leaves_none_to_the_next)
{
    weft_lwt_t lwt = lwt_new(no_kthd, give_back, NULL);
    CHECK_EQ(weft_lwt_interrupt(lwt), 0);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    lwt_result(lwt);
    lwt = lwt_new(no_kthd, park_until, (void *)(intptr_t)1); /* most likely on the same record */
    turns.count = 0;
    lwt_result(lwt);
}

/* ---- join -------------------------------------------------------------------------------------------------------- */

LWT_TEST(join_waits_for_an_lwt_of_its_own_kthd)
{
    weft_lwt_t lwt = lwt_new(no_kthd, twice, (void *)4);
    CHECK_EQ((intptr_t)lwt_result(lwt), 8);
}

LWT_TEST(join_waits_for_an_lwt_of_another_kthd)
{
    for (int i = 0; i < check_scale(2000); i++)
        REQUIRE_EQ((intptr_t)lwt_result(lwt_new(scene->kthds[1], twice, (void *)4)), 8);
}

TEST(join_takes_the_value_of_a_zombie_without_waiting)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, twice, (void *)4);
    AWAIT(weft_lwt_state(lwt) == WEFT_LWT_ZOMBIE);
    CHECK_EQ(kthd_info(kthd).zombies, 1);
    void *value;
    CHECK_EQ(weft_lwt_join_until(lwt, &value, 0), 0);
    CHECK_EQ((intptr_t)value, 8);
    CHECK_EQ(kthd_info(kthd).zombies, 0);
    kthd_end(kthd);
}

TEST(join_needs_no_place_for_the_value)
{
    weft_kthd_t kthd = kthd_new();
    CHECK_EQ(weft_lwt_join(lwt_new(kthd, twice, (void *)4), NULL), 0);
    CHECK_EQ(weft_lwt_join_until(lwt_new(kthd, twice, (void *)4), NULL, WEFT_FOREVER), 0);
    kthd_end(kthd);
}

static void *join_it(void *arg)
{
    void *value = NULL;
    int r = weft_lwt_join(*(weft_lwt_t *)arg, &value);
    return r ? (void *)(intptr_t)r : value;
}

TEST(a_stranger_may_join)
{
    /* the joiner neither created it nor lives on its kthd */
    weft_kthd_t kthd = kthd_new(), other = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, twice, (void *)4);
    CHECK_EQ((intptr_t)lwt_run(other, join_it, &lwt), 8);
    kthd_end(kthd);
    kthd_end(other);
}

TEST(an_adopted_thread_may_join)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, twice, (void *)4);
    REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0);
    CHECK_EQ((intptr_t)lwt_result(lwt), 8);
    CHECK_EQ((intptr_t)lwt_result(lwt_new(kthd, twice, (void *)5)), 10);
    REQUIRE_EQ(weft_lwt_leave(), 0);
    kthd_end(kthd);
}

static void *spawn_and_join(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return (void *)1;
    return (void *)(1 + (intptr_t)lwt_result(lwt_new(no_kthd, spawn_and_join, (void *)(depth - 1))));
}

LWT_TEST(joins_nest)
{
    CHECK_EQ((intptr_t)lwt_run(no_kthd, spawn_and_join, (void *)1000), 1001);
}

static void *spawn_and_join_across(void *arg)
{
    struct wanderer *w = arg;
    if (w->steps == 0)
        return (void *)1;
    struct wanderer next = {w->scene, 0, w->steps - 1};
    return (void *)(1 + (intptr_t)lwt_result(lwt_new(w->scene->kthds[w->steps % 2], spawn_and_join_across, &next)));
}

LWT_TEST(joins_nest_across_kthds)
{
    struct wanderer w = {scene, 0, 200};
    CHECK_EQ((intptr_t)lwt_run(no_kthd, spawn_and_join_across, &w), 201);
}

static void *join_self(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)weft_lwt_join(weft_lwt_current(), NULL);
}

TEST(joining_oneself_is_edeadlk)
{
    weft_kthd_t kthd = kthd_new();
    CHECK_EQ((intptr_t)lwt_run(kthd, join_self, NULL), -EDEADLK);
    kthd_end(kthd);
}

struct ring {
    weft_lwt_t next;
    atomic_int told, result;
};

static void *join_next_when_told(void *arg)
{
    struct ring *ring = arg;
    REQUIRE_EQ(weft_lwt_park(WEFT_FOREVER), 0);
    atomic_store(&ring->told, 1);
    ring->result = weft_lwt_join(ring->next, NULL);
    return NULL;
}

static void join_cycle(struct scene *scene, int count, bool two_kthds)
{
    struct ring ring[8] = {0};
    weft_lwt_t lwts[8];
    for (int i = 0; i < count; i++)
        lwts[i] = lwt_new(scene->kthds[two_kthds ? i % 2 : 0], join_next_when_told, &ring[i]);
    for (int i = 0; i < count; i++) {
        ring[i].next = lwts[(i + 1) % count];
        SCENE_AWAIT(weft_lwt_state(lwts[i]) == WEFT_LWT_BLOCKED);
    }
    /* all but the last wait in a chain; the last would close it */
    for (int i = 0; i < count - 1; i++) {
        CHECK_EQ(weft_lwt_unpark(lwts[i]), 0);
        SCENE_AWAIT(atomic_load(&ring[i].told) && weft_lwt_state(lwts[i]) == WEFT_LWT_BLOCKED);
    }
    CHECK_EQ(weft_lwt_unpark(lwts[count - 1]), 0);
    /* it exits, and the chain unwinds; only the first is joined by nobody, and by us when all is over */
    SCENE_AWAIT(weft_lwt_state(lwts[0]) == WEFT_LWT_ZOMBIE);
    lwt_result(lwts[0]);
    for (int i = 0; i < count - 1; i++)
        CHECK_EQ(ring[i].result, 0);
    CHECK_EQ(ring[count - 1].result, -EDEADLK);
}

LWT_TEST(a_cycle_of_two_joins_is_edeadlk)
{
    join_cycle(scene, 2, false);
    join_cycle(scene, 2, true);
}

LWT_TEST(a_cycle_of_three_joins_is_edeadlk)
{
    join_cycle(scene, 3, false);
    join_cycle(scene, 3, true);
}

LWT_TEST(a_cycle_of_eight_joins_is_edeadlk)
{
    join_cycle(scene, 8, false);
    join_cycle(scene, 8, true);
}

static void *join_racing(void *arg)
{
    struct ring *ring = arg;
    while (!__atomic_load_n(&ring->next.id, __ATOMIC_ACQUIRE))
        weft_lwt_yield();
    ring->result = weft_lwt_join_until(ring->next, NULL, scene_in_ms(20000));
    return NULL;
}

LWT_TEST(a_cycle_that_closes_from_two_kthds_at_once_never_hangs)
{
    for (int round = 0; round < check_scale(3000); round++) {
        struct ring ring[2] = {0};
        weft_lwt_t lwts[2];
        lwts[0] = lwt_new(scene->kthds[0], join_racing, &ring[0]);
        lwts[1] = lwt_new(scene->kthds[1], join_racing, &ring[1]);
        __atomic_store_n(&ring[0].next.id, lwts[1].id, __ATOMIC_RELEASE);
        __atomic_store_n(&ring[1].next.id, lwts[0].id, __ATOMIC_RELEASE);
        /* one may be joined away by the other; whoever got EDEADLK is joined by its peer */
        SCENE_AWAIT(weft_lwt_state(lwts[0]) < 0 || weft_lwt_state(lwts[0]) == WEFT_LWT_ZOMBIE);
        SCENE_AWAIT(weft_lwt_state(lwts[1]) < 0 || weft_lwt_state(lwts[1]) == WEFT_LWT_ZOMBIE);
        REQUIRE((ring[0].result == 0) + (ring[1].result == 0) <= 1);
        for (int i = 0; i < 2; i++) {
            REQUIRE(ring[i].result == 0 || ring[i].result == -EDEADLK);
            int r = weft_lwt_join(lwts[i], NULL);
            REQUIRE_EQ(r, ring[1 - i].result == 0 ? -ESRCH : 0);
        }
    }
}

TEST(a_second_join_is_esrch)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, give_back, NULL);
    lwt_result(lwt);
    CHECK_EQ(weft_lwt_join(lwt, NULL), -ESRCH);
    CHECK_EQ(weft_lwt_join_until(lwt, NULL, 0), -ESRCH);
    CHECK_EQ(weft_lwt_join(no_lwt, NULL), -ESRCH);
    kthd_end(kthd);
}

TEST(a_second_joiner_at_the_same_time_is_ebusy)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_parked(kthd), joiner = lwt_new(kthd, join_it, &lwt);
    AWAIT(weft_lwt_state(joiner) == WEFT_LWT_BLOCKED);
    CHECK_EQ(weft_lwt_join(lwt, NULL), -EBUSY);
    CHECK_EQ((intptr_t)lwt_run(kthd, join_it, &lwt), -EBUSY);
    CHECK_EQ(weft_lwt_join_until(lwt, NULL, 0), -EBUSY);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    CHECK_EQ((intptr_t)lwt_result(joiner), 0);
    kthd_end(kthd);
}

/* A look with a past deadline is a join, too, for as long as it lasts: so it may be told to come again. */
static void *join_from_thread(void *arg)
{
    void *r;
    do
        r = join_it(arg);
    while ((intptr_t)r == -EBUSY);
    return r;
}

TEST(a_joiner_besides_a_plain_threads_join_is_ebusy)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_parked(kthd);
    pthread_t joiner;
    REQUIRE_EQ(pthread_create(&joiner, NULL, join_from_thread, &lwt), 0);
    int r;
    /* until the thread is in its join, a look with a past deadline times out */
    AWAIT((r = weft_lwt_join_until(lwt, NULL, 0)) != -ETIMEDOUT);
    CHECK_EQ(r, -EBUSY);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    void *value;
    pthread_join(joiner, &value);
    CHECK_EQ((intptr_t)value, 0);
    kthd_end(kthd);
}

TEST(join_until_times_out_and_the_lwt_can_be_joined_again)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_parked(kthd);
    void *value = (void *)99;
    CHECK_EQ(weft_lwt_join_until(lwt, &value, 0), -ETIMEDOUT);
    int64_t deadline = scene_in_ms(10);
    CHECK_EQ(weft_lwt_join_until(lwt, &value, deadline), -ETIMEDOUT);
    CHECK(check_now_ns() >= deadline);
    CHECK_EQ((intptr_t)value, 99);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    CHECK_EQ(weft_lwt_join_until(lwt, &value, WEFT_FOREVER), 0);
    CHECK_EQ((intptr_t)value, 0);
    kthd_end(kthd);
}

LWT_TEST(join_until_times_out_on_an_lwt_too)
{
    weft_lwt_t lwt = lwt_parked(no_kthd);
    CHECK_EQ(weft_lwt_join_until(lwt, NULL, 0), -ETIMEDOUT);
    CHECK_EQ(weft_lwt_join_until(lwt, NULL, scene_in_ms(5)), -ETIMEDOUT);
    lwt_release(lwt);
}

struct exit_race {
    int64_t deadline;
    atomic_int go;
};

static void *exit_about_now(void *arg)
{
    struct exit_race *race = arg;
    while (!atomic_load(&race->go))
        weft_lwt_yield();
    while (check_now_ns() < race->deadline)
        weft_lwt_yield();
    return (void *)7;
}

static void exit_against_timeout(weft_kthd_t kthd)
{
    long joined = 0, late = 0;
    for (int i = 0; i < check_scale(3000); i++) {
        struct exit_race race = {0};
        void *value = NULL;
        weft_lwt_t lwt = lwt_new(kthd, exit_about_now, &race);
        race.deadline = check_now_ns() + 30000;
        atomic_store(&race.go, 1);
        int r = weft_lwt_join_until(lwt, &value, race.deadline);
        if (r == -ETIMEDOUT) {
            late++;
            REQUIRE_EQ(weft_lwt_join(lwt, &value), 0);
        } else {
            joined++;
            REQUIRE_EQ(r, 0);
        }
        REQUIRE_EQ((intptr_t)value, 7);
        REQUIRE_EQ(weft_lwt_state(lwt), -ESRCH);
    }
    check_say("    %ld joined, %ld timed out first\n", joined, late);
}

TEST(exit_against_a_joins_timeout_has_one_winner)
{
    weft_kthd_t kthd = kthd_new();
    exit_against_timeout(kthd);
    kthd_end(kthd);
}

LWT_TEST(exit_against_an_lwts_joins_timeout_has_one_winner)
{
    exit_against_timeout(scene->kthds[1]);
}

struct joiners {
    _Atomic uint64_t lwt;
    atomic_int winners, stop;
};

static void *join_whatever_comes(void *arg)
{
    struct joiners *joiners = arg;
    uint64_t seen = 0;
    while (!atomic_load(&joiners->stop)) {
        uint64_t id = atomic_load(&joiners->lwt);
        if (id == seen) {
            weft_lwt_yield();
            continue;
        }
        seen = id;
        void *value = NULL;
        int r;
        while ((r = weft_lwt_join(lwt_of(id), &value)) == -EBUSY)
            weft_lwt_yield(); /* the one that is joined may be of this kthd */
        if (r == 0) {
            REQUIRE_EQ((intptr_t)value, 7);
            atomic_fetch_add(&joiners->winners, 1);
        } else {
            REQUIRE_EQ(r, -ESRCH);
        }
    }
    return NULL;
}

static void *give_seven(void *arg)
{
    (void)arg;
    return (void *)7;
}

TEST(of_many_joiners_exactly_one_wins)
{
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    struct joiners joiners = {0};
    pthread_t thread;
    weft_lwt_t lwts[2];
    REQUIRE_EQ(pthread_create(&thread, NULL, join_whatever_comes, &joiners), 0);
    for (int i = 0; i < 2; i++)
        lwts[i] = lwt_new(kthds[i], join_whatever_comes, &joiners);
    for (int i = 0; i < check_scale(2000); i++) {
        weft_lwt_t lwt = lwt_new(kthds[i % 2], give_seven, NULL);
        atomic_store(&joiners.lwt, lwt.id);
        for (int64_t end = check_now_ns() + 20000000000; atomic_load(&joiners.winners) <= i; sched_yield())
            REQUIRE(check_now_ns() < end);
    }
    atomic_store(&joiners.stop, 1);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++)
        lwt_result(lwts[i]);
    CHECK_EQ(atomic_load(&joiners.winners), check_scale(2000));
    for (int i = 0; i < 2; i++)
        kthd_end(kthds[i]);
}

/* ---- detached ---------------------------------------------------------------------------------------------------- */

static weft_lwt_t lwt_detached(weft_kthd_t kthd, void *(*fn)(void *), void *arg)
{
    struct weft_lwt_attr attr;
    weft_lwt_t lwt = no_lwt;
    weft_lwt_attr_init(&attr);
    attr.flags = WEFT_LWT_DETACHED;
    REQUIRE_EQ(weft_lwt_create(&lwt, kthd, fn, arg, &attr), 0);
    return lwt;
}

LWT_TEST(a_detached_lwt_leaves_nothing_when_it_exits)
{
    weft_lwt_t lwt = lwt_detached(no_kthd, give_back, NULL);
    CHECK_EQ(weft_lwt_state(lwt), WEFT_LWT_READY);
    weft_lwt_yield();
    CHECK_EQ(weft_lwt_state(lwt), -ESRCH);
    CHECK_EQ(all_info().lwts, 1);
    CHECK_EQ(all_info().zombies, 0);
}

LWT_TEST(a_detached_lwt_cannot_be_joined)
{
    weft_lwt_t lwt = lwt_detached(no_kthd, park_once, NULL);
    CHECK_EQ(weft_lwt_join(lwt, NULL), -EINVAL);
    CHECK_EQ(weft_lwt_join_until(lwt, NULL, 0), -EINVAL);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
}

LWT_TEST(detach_makes_an_lwt_leave_nothing)
{
    weft_lwt_t lwt = lwt_parked(no_kthd);
    CHECK_EQ(weft_lwt_detach(lwt), 0);
    CHECK_EQ(weft_lwt_join(lwt, NULL), -EINVAL);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    yield_some();
    CHECK_EQ(weft_lwt_state(lwt), -ESRCH);
}

LWT_TEST(detach_frees_a_zombie)
{
    weft_lwt_t lwt = lwt_new(no_kthd, give_back, NULL);
    weft_lwt_yield();
    CHECK_EQ(weft_lwt_state(lwt), WEFT_LWT_ZOMBIE);
    CHECK_EQ(weft_lwt_detach(lwt), 0);
    CHECK_EQ(weft_lwt_state(lwt), -ESRCH);
    CHECK_EQ(weft_lwt_detach(lwt), -ESRCH);
    CHECK_EQ(weft_lwt_detach(no_lwt), -ESRCH);
    CHECK_EQ(all_info().zombies, 0);
}

LWT_TEST(detach_of_a_detached_lwt_is_einval)
{
    weft_lwt_t lwt = lwt_detached(no_kthd, park_once, NULL);
    CHECK_EQ(weft_lwt_detach(lwt), -EINVAL);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    lwt = lwt_parked(no_kthd);
    CHECK_EQ(weft_lwt_detach(lwt), 0);
    CHECK_EQ(weft_lwt_detach(lwt), -EINVAL);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
}

LWT_TEST(detach_of_an_lwt_that_is_being_joined_is_ebusy)
{
    weft_lwt_t lwt = lwt_parked(no_kthd), joiner = lwt_new(no_kthd, join_it, &lwt);
    SCENE_AWAIT(weft_lwt_state(joiner) == WEFT_LWT_BLOCKED);
    CHECK_EQ(weft_lwt_detach(lwt), -EBUSY);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    CHECK_EQ((intptr_t)lwt_result(joiner), 0);
}

static void *detach_self(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_lwt_detach(weft_lwt_current()), 0);
    return NULL;
}

LWT_TEST(an_lwt_may_detach_itself)
{
    weft_lwt_t lwt = lwt_new(no_kthd, detach_self, NULL);
    yield_some();
    CHECK_EQ(weft_lwt_state(lwt), -ESRCH);
}

TEST(detach_against_exit_leaves_nothing)
{
    weft_kthd_t kthd = kthd_new();
    for (int i = 0; i < check_scale(20000); i++)
        REQUIRE_EQ(weft_lwt_detach(lwt_new(kthd, give_back, NULL)), 0);
    AWAIT(all_info().lwts == 0);
    CHECK_EQ(all_info().zombies, 0);
    kthd_end(kthd);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void *create_and_join_many(void *arg)
{
    for (long i = 0; i < (long)(intptr_t)arg; i++)
        REQUIRE_EQ((intptr_t)lwt_result(lwt_new(no_kthd, give_back, (void *)3)), 3);
    return NULL;
}

static void *create_many_at_once(void *arg)
{
    enum { count = 500 };
    weft_lwt_t lwts[count];
    for (long round = 0; round < (long)(intptr_t)arg; round++) {
        for (int i = 0; i < count; i++)
            lwts[i] = lwt_new(no_kthd, give_back, NULL);
        for (int i = 0; i < count; i++)
            lwt_result(lwts[i]);
    }
    return NULL;
}

TEST(many_creates_and_joins_do_not_grow_memory)
{
    weft_kthd_t kthd = kthd_new();
    lwt_run(kthd, create_and_join_many, (void *)1000);
    lwt_run(kthd, create_many_at_once, (void *)4);
    long rss = check_rss_kib();
    int maps = check_count_maps();
    lwt_run(kthd, create_and_join_many, (void *)check_scale(300000));
    lwt_run(kthd, create_many_at_once, (void *)check_scale(300));
    check_say("    VmRSS grew by %ld KiB\n", check_rss_kib() - rss);
    if (!CHECK_SANITIZED) {
        CHECK(check_rss_kib() < rss + 1024);
        CHECK(check_count_maps() <= maps + 4);
    }
    kthd_end(kthd);
}

TEST(many_creates_here_and_joins_there_do_not_grow_memory)
{
    /* the record and the stack are freed on another kthd than they were taken from */
    weft_kthd_t kthd = kthd_new(), other = kthd_new();
    for (int i = 0; i < 2000; i++)
        lwt_result(lwt_new(i % 2 ? kthd : other, give_back, NULL));
    long rss = check_rss_kib();
    for (int i = 0; i < check_scale(50000); i++)
        lwt_result(lwt_new(i % 2 ? kthd : other, give_back, NULL));
    if (!CHECK_SANITIZED)
        CHECK(check_rss_kib() < rss + 1024);
    kthd_end(kthd);
    kthd_end(other);
}

static void *use_stack_and_park(void *arg)
{
    touch((size_t)arg);
    return (void *)(intptr_t)weft_lwt_park(WEFT_FOREVER);
}

TEST(a_zombie_holds_no_stack)
{
    enum { count = 400, bytes = 512 << 10 };
    static weft_lwt_t lwts[count];
    weft_kthd_t kthd = kthd_new();
    for (int i = 0; i < count; i++)
        lwts[i] = lwt_new_sized(kthd, use_stack_and_park, (void *)(bytes / 2), bytes);
    AWAIT(kthd_info(kthd).blocked == count);
    long alive = check_rss_kib();
    for (int i = 0; i < count; i++)
        weft_lwt_unpark(lwts[i]);
    AWAIT(kthd_info(kthd).zombies == count);
    long dead = check_rss_kib();
    check_say("    VmRSS %ld KiB alive, %ld KiB as zombies\n", alive, dead);
    if (!CHECK_SANITIZED) {
        CHECK(alive > count * (bytes / 4096));
        CHECK(dead < alive / 2);
    }
    for (int i = 0; i < count; i++)
        lwt_result(lwts[i]);
    kthd_end(kthd);
}

TEST(a_new_lwt_never_sees_what_another_left_on_its_stack_as_its_own_state)
{
    /* records and stacks are reused: state of the former life must not come through */
    weft_kthd_t kthd = kthd_new();
    for (int i = 0; i < 2000; i++) {
        weft_lwt_t lwt = lwt_new(kthd, park_once, NULL);
        if (i % 3 == 0)
            weft_lwt_interrupt(lwt);
        else
            weft_lwt_unpark(lwt);
        if (i % 3 == 1)
            weft_lwt_interrupt(lwt);
        intptr_t r = (intptr_t)lwt_result(lwt);
        if (i % 3 == 0)
            CHECK_EQ(r, -EINTR);
        else if (i % 3 == 1)
            CHECK(r == 0 || r == -EINTR);
        else
            CHECK_EQ(r, 0);
    }
    kthd_end(kthd);
}
