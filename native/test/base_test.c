/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base: white-box tests of the small parts that everything stands on: tables of objects and their handles, the heap
 * of timers against a model of it, panics.
 */
#include "check.h"

#include "base/panic.h"
#include "base/slab.h"
#include "sched/timer.h"

/* ---- slab -------------------------------------------------------------------------------------------------------- */

struct thing {
    struct slab_slot slot;
    void *first_word;
    uint64_t value;
};
_Static_assert(sizeof(struct thing) <= 64, "one line");

static struct slab things = {.stride = 64, .limit = 5000, .kind = 9};

static struct thing *thing_new(int *error)
{
    struct thing *thing = (struct thing *)slab_take(&things, error);
    if (thing)
        slab_revive(&thing->slot);
    return thing;
}

static void thing_end(struct thing *thing)
{
    slab_retire(&thing->slot);
    slab_put(&things, &thing->slot);
}

TEST(a_handle_finds_its_object_until_it_is_retired)
{
    int error = 0;
    struct thing *thing = thing_new(&error);
    REQUIRE(thing != NULL);
    uint64_t handle = slab_handle(&things, &thing->slot);
    CHECK(slab_find(&things, handle) == &thing->slot);
    CHECK_EQ(handle >> 28 & 15, 9);
    slab_retire(&thing->slot);
    CHECK(slab_find(&things, handle) == NULL);
    slab_put(&things, &thing->slot);
    CHECK(slab_find(&things, handle) == NULL);
    struct thing *next = thing_new(&error);
    CHECK(next == thing);
    CHECK(slab_find(&things, handle) == NULL);
    CHECK(slab_handle(&things, &next->slot) != handle);
    thing_end(next);
}

TEST(an_unused_table_finds_nothing)
{
    for (uint64_t kind = 0; kind < 16; kind++)
        for (uint64_t index = 0; index < 3; index++)
            CHECK(slab_find(&things, 1ull << 32 | kind << 28 | index) == NULL);
}

TEST(forged_handles_find_nothing)
{
    int error = 0;
    struct thing *all[100];
    struct check_random random = check_random_from(check_seed());
    for (int i = 0; i < 100; i++)
        REQUIRE((all[i] = thing_new(&error)) != NULL);
    for (long i = 0; i < check_scale(1000000); i++) {
        uint64_t handle = check_random_next(&random) >> check_random_below(&random, 40);
        struct thing *found = (struct thing *)slab_find(&things, handle);
        if (found)
            REQUIRE_EQ(handle, slab_handle(&things, &found->slot));
    }
    for (int i = 0; i < 100; i++)
        thing_end(all[i]);
}

TEST(a_full_table_is_enospc_and_slot_zero_is_never_given_out)
{
    static struct thing *all[5000];
    int error = 0, made = 0;
    while (made < 5000 && (all[made] = thing_new(&error))) {
        CHECK(slab_index(&all[made]->slot) != 0);
        all[made]->value = (uint64_t)made;
        made++;
    }
    CHECK_EQ(made, 4999);
    CHECK_EQ(error, -ENOSPC);
    for (int i = 0; i < made; i++)
        CHECK_EQ(all[i]->value, i);
    for (int i = 0; i < made; i++)
        thing_end(all[i]);
    CHECK(thing_new(&error) != NULL);
}

/* ---- timers ------------------------------------------------------------------------------------------------------ */

enum { timer_count = 300 };

static struct timer timers[timer_count];
static bool armed[timer_count];

static int earliest(void)
{
    int first = -1;
    for (int i = 0; i < timer_count; i++)
        if (armed[i] && (first < 0 || timers[i].deadline_ns < timers[first].deadline_ns))
            first = i;
    return first;
}

TEST(the_timer_heap_does_what_a_list_would)
{
    struct timer_heap heap = {.count = 0};
    struct check_random random = check_random_from(check_seed());
    uint32_t count = 0;
    for (long i = 0; i < check_scale(300000); i++) {
        uint32_t at = check_random_below(&random, timer_count);
        if (!armed[at]) {
            timers[at].deadline_ns = check_random_below(&random, 1000);
            timer_add(&heap, &timers[at]);
            armed[at] = true;
            count++;
        } else if (check_random_below(&random, 3)) {
            timer_remove(&heap, &timers[at]);
            armed[at] = false;
            count--;
        } else {
            int first = earliest();
            int64_t deadline = timers[first].deadline_ns;
            CHECK_EQ(timer_next_ns(&heap), deadline);
            REQUIRE(timer_pop_due(&heap, deadline - 1) == NULL);
            struct timer *due = timer_pop_due(&heap, deadline);
            REQUIRE(due != NULL);
            REQUIRE_EQ(due->deadline_ns, deadline);
            REQUIRE(armed[due - timers]);
            armed[due - timers] = false;
            count--;
        }
        REQUIRE_EQ(heap.count, count);
    }
    int64_t before = INT64_MIN;
    for (struct timer *due; (due = timer_pop_due(&heap, INT64_MAX)); count--) {
        CHECK(due->deadline_ns >= before);
        before = due->deadline_ns;
    }
    CHECK_EQ(count, 0);
    CHECK_EQ(heap.count, 0);
}

TEST(a_million_timers_in_descending_order_need_no_deep_stack)
{
    long count = check_scale(1000000);
    struct timer *many = calloc((size_t)count, sizeof *many);
    struct timer_heap heap = {.count = 0};
    for (long i = 0; i < count; i++) {
        many[i].deadline_ns = count - i;
        timer_add(&heap, &many[i]);
    }
    for (long i = 0; i < count; i++) {
        struct timer *due = timer_pop_due(&heap, INT64_MAX);
        REQUIRE(due == &many[count - 1 - i]);
    }
    free(many);
}

/* ---- panics ------------------------------------------------------------------------------------------------------ */

static void break_an_invariant(void *arg)
{
    invariant(arg != NULL, "the cloth is whole");
}

TEST(a_broken_invariant_aborts_with_file_line_and_words)
{
    char text[2048];
    int status = check_death(break_an_invariant, NULL, text, sizeof text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK_CONTAINS(text, "base_test.c:");
    CHECK_CONTAINS(text, "the cloth is whole");
}

TEST(messages_are_built_without_a_library_and_never_overflow)
{
    struct message message = {.length = 0};
    message_text(&message, "a ");
    message_number(&message, 0);
    message_text(&message, " ");
    message_number(&message, UINT64_MAX);
    message_text(&message, " ");
    message_hex(&message, 0xdeadbeef);
    CHECK_EQ(message.length, strlen("a 0 18446744073709551615 0xdeadbeef"));
    CHECK_EQ(memcmp(message.text, "a 0 18446744073709551615 0xdeadbeef", message.length), 0);
    for (int i = 0; i < 1000; i++) {
        message_text(&message, "0123456789");
        message_number(&message, UINT64_MAX);
        message_hex(&message, UINT64_MAX);
    }
    CHECK(message.length <= sizeof message.text);
}
