/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handle: stale, forged, double-closed and foreign handles into every function that takes one: an error each time,
 * never a crash, and never a harm to an object that is alive. First one by one, then by a seeded fuzzer, then handles
 * that go stale while others use them. Which test exercises which error is the table in contract_test.c.
 */
#include "scene.h"

enum kind { kind_lwt, kind_kthd, kind_chan, kind_cgrp, kinds };

static void *park_once(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)weft_lwt_park(WEFT_FOREVER);
}

static void *nothing(void *arg) { return arg; }

/* Every call with one handle, as each of the four kinds; none of them may wait for long. `error` is what a handle
 * that names nothing gets. */
struct call {
    const char *name;
    enum kind kind;
    int (*make)(uint64_t id);
};

static uint64_t word;
static struct weft_event event;
static struct weft_info info;
static struct weft_chan_info channel;
static char name[WEFT_NAME_SIZE];
static weft_cgrp_t a_cgrp;
static weft_chan_t a_chan;

#define CALL(label, which, expression) \
    static int label(uint64_t id) { return (expression); }

CALL(call_lwt_join, kind_lwt, weft_lwt_join_until(lwt_of(id), NULL, 0))
CALL(call_lwt_detach, kind_lwt, weft_lwt_detach(lwt_of(id)))
CALL(call_lwt_yield_to, kind_lwt, weft_lwt_yield_to(lwt_of(id)))
CALL(call_lwt_name, kind_lwt, weft_lwt_name(lwt_of(id), name, sizeof name))
CALL(call_lwt_state, kind_lwt, weft_lwt_state(lwt_of(id)))
static int call_lwt_kthd(uint64_t id)
{
    weft_kthd_t kthd;
    return weft_lwt_kthd(lwt_of(id), &kthd);
}
CALL(call_lwt_unpark, kind_lwt, weft_lwt_unpark(lwt_of(id)))
CALL(call_lwt_interrupt, kind_lwt, weft_lwt_interrupt(lwt_of(id)))
static int call_lwt_create(uint64_t id)
{
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    attr.flags = WEFT_LWT_DETACHED;
    return weft_lwt_create(NULL, kthd_of(id), nothing, NULL, &attr);
}
CALL(call_lwt_migrate, kind_kthd, weft_lwt_migrate(kthd_of(id)))
static int call_lwt_adopt(uint64_t id)
{
    int r = weft_lwt_adopt(kthd_of(id), NULL);
    if (r == 0)
        REQUIRE_EQ(weft_lwt_leave(), 0);
    return r;
}
CALL(call_kthd_run, kind_kthd, weft_kthd_run(kthd_of(id)))
CALL(call_kthd_name, kind_kthd, weft_kthd_name(kthd_of(id), name, sizeof name))
CALL(call_kthd_info, kind_kthd, weft_kthd_info(kthd_of(id), &info))
CALL(call_kthd_destroy, kind_kthd, weft_kthd_destroy(kthd_of(id), 0))
CALL(call_chan_send, kind_chan, weft_chan_send_until(chan_of(id), 1, 0))
CALL(call_chan_try_send, kind_chan, weft_chan_try_send(chan_of(id), 1))
CALL(call_chan_recv, kind_chan, weft_chan_recv_until(chan_of(id), &word, 0))
CALL(call_chan_try_recv, kind_chan, weft_chan_try_recv(chan_of(id), &word))
CALL(call_chan_close, kind_chan, weft_chan_close(chan_of(id)))
CALL(call_chan_retain, kind_chan, weft_chan_retain(chan_of(id), 0))
CALL(call_chan_release, kind_chan, weft_chan_release(chan_of(id), 0))
CALL(call_chan_mark_set, kind_chan, weft_chan_mark_set(chan_of(id), 7))
CALL(call_chan_mark_get, kind_chan, weft_chan_mark_get(chan_of(id), &word))
CALL(call_chan_info, kind_chan, weft_chan_info(chan_of(id), &channel))
static int call_chan_send_start(uint64_t id)
{
    _Alignas(16) struct weft_op op;
    int r = weft_chan_send_start(chan_of(id), 1, &op, 0);
    if (r == -EINPROGRESS && weft_op_cancel(&op, -EINTR) != 0)
        while (weft_op_poll(&op) == -EINPROGRESS) {
        }
    return r;
}
static int call_chan_recv_start(uint64_t id)
{
    _Alignas(16) struct weft_op op;
    int r = weft_chan_recv_start(chan_of(id), &op, 0);
    if (r == -EINPROGRESS && weft_op_cancel(&op, -EINTR) != 0)
        while (weft_op_poll(&op) == -EINPROGRESS) {
        }
    return r;
}
CALL(call_cgrp_add_chan, kind_chan, weft_cgrp_add(a_cgrp, chan_of(id), 0))
CALL(call_cgrp_remove_chan, kind_chan, weft_cgrp_remove(a_cgrp, chan_of(id)))
CALL(call_cgrp_add, kind_cgrp, weft_cgrp_add((weft_cgrp_t){id}, a_chan, 0))
CALL(call_cgrp_remove, kind_cgrp, weft_cgrp_remove((weft_cgrp_t){id}, a_chan))
CALL(call_cgrp_wait, kind_cgrp, weft_cgrp_wait_until((weft_cgrp_t){id}, &event, 0))
CALL(call_cgrp_try_wait, kind_cgrp, weft_cgrp_try_wait((weft_cgrp_t){id}, &event))
static int call_cgrp_wait_start(uint64_t id)
{
    _Alignas(16) struct weft_op op;
    int r = weft_cgrp_wait_start((weft_cgrp_t){id}, &op, 0);
    if (r == -EINPROGRESS && weft_op_cancel(&op, -EINTR) != 0)
        while (weft_op_poll(&op) == -EINPROGRESS) {
        }
    return r;
}
CALL(call_cgrp_free, kind_cgrp, weft_cgrp_free((weft_cgrp_t){id}))

static const struct call calls[] = {
    {"weft_lwt_join_until", kind_lwt, call_lwt_join},
    {"weft_lwt_detach", kind_lwt, call_lwt_detach},
    {"weft_lwt_yield_to", kind_lwt, call_lwt_yield_to},
    {"weft_lwt_name", kind_lwt, call_lwt_name},
    {"weft_lwt_state", kind_lwt, call_lwt_state},
    {"weft_lwt_kthd", kind_lwt, call_lwt_kthd},
    {"weft_lwt_unpark", kind_lwt, call_lwt_unpark},
    {"weft_lwt_interrupt", kind_lwt, call_lwt_interrupt},
    {"weft_lwt_create", kind_kthd, call_lwt_create},
    {"weft_lwt_migrate", kind_kthd, call_lwt_migrate},
    {"weft_lwt_adopt", kind_kthd, call_lwt_adopt},
    {"weft_kthd_run", kind_kthd, call_kthd_run},
    {"weft_kthd_name", kind_kthd, call_kthd_name},
    {"weft_kthd_info", kind_kthd, call_kthd_info},
    {"weft_kthd_destroy", kind_kthd, call_kthd_destroy},
    {"weft_chan_send_until", kind_chan, call_chan_send},
    {"weft_chan_try_send", kind_chan, call_chan_try_send},
    {"weft_chan_recv_until", kind_chan, call_chan_recv},
    {"weft_chan_try_recv", kind_chan, call_chan_try_recv},
    {"weft_chan_close", kind_chan, call_chan_close},
    {"weft_chan_retain", kind_chan, call_chan_retain},
    {"weft_chan_release", kind_chan, call_chan_release},
    {"weft_chan_mark_set", kind_chan, call_chan_mark_set},
    {"weft_chan_mark_get", kind_chan, call_chan_mark_get},
    {"weft_chan_info", kind_chan, call_chan_info},
    {"weft_chan_send_start", kind_chan, call_chan_send_start},
    {"weft_chan_recv_start", kind_chan, call_chan_recv_start},
    {"weft_cgrp_add of a channel", kind_chan, call_cgrp_add_chan},
    {"weft_cgrp_remove of a channel", kind_chan, call_cgrp_remove_chan},
    {"weft_cgrp_add", kind_cgrp, call_cgrp_add},
    {"weft_cgrp_remove", kind_cgrp, call_cgrp_remove},
    {"weft_cgrp_wait_until", kind_cgrp, call_cgrp_wait},
    {"weft_cgrp_try_wait", kind_cgrp, call_cgrp_try_wait},
    {"weft_cgrp_wait_start", kind_cgrp, call_cgrp_wait_start},
    {"weft_cgrp_free", kind_cgrp, call_cgrp_free},
};
enum { call_count = sizeof calls / sizeof calls[0] };

/* What a call with a handle that names nothing returns. From a plain thread two say first that they are for lwts; an
 * adopted thread or lwt is told that it cannot be adopted or run a kthd. */
static bool refused_rightly(const struct call *call, int r)
{
    bool lwt = weft_lwt_current().id != 0;
    int expected = call->kind == kind_lwt || call->kind == kind_kthd ? -ESRCH : -EBADF;
    if (r == expected)
        return true;
    if (r != -EPERM)
        return false;
    if (call->make == call_lwt_yield_to || call->make == call_lwt_migrate || call->make == call_lwt_create)
        return !lwt;
    return lwt && (call->make == call_lwt_adopt || call->make == call_kthd_run);
}

static void expect_refused(uint64_t id, unsigned only_kinds)
{
    for (int i = 0; i < call_count; i++) {
        if (!(only_kinds >> calls[i].kind & 1))
            continue;
        if (calls[i].make == call_lwt_create && id == 0 && weft_lwt_current().id)
            continue; /* the zero kthd is the caller's own there */
        int r = calls[i].make(id);
        if (!refused_rightly(&calls[i], r)) {
            check_say("    %s(0x%" PRIx64 ")\n", calls[i].name, id);
            CHECK_EQ(r, calls[i].kind <= kind_kthd ? -ESRCH : -EBADF);
        }
    }
}

static void with_the_two(void)
{
    REQUIRE_EQ(weft_cgrp_create(&a_cgrp), 0);
    a_chan = chan_new(0);
}

static void without_the_two(void)
{
    REQUIRE_EQ(weft_cgrp_free(a_cgrp), 0);
    chan_end(a_chan);
}

/* ---- before anything was ever created ---------------------------------------------------------------------------- */

TEST(handles_are_refused_before_anything_was_created)
{
    static const uint64_t ids[] = {0, 1, 0x110000001, 0x120000001, 0x130000001, 0x140000001, UINT64_MAX, 1ull << 32};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        expect_refused(ids[i], 15);
}

/* ---- one by one -------------------------------------------------------------------------------------------------- */

CONTRACT(stale_handles_are_refused)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, nothing, NULL);
    weft_chan_t chan = chan_new(3);
    weft_cgrp_t cgrp;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    with_the_two();
    lwt_result(lwt);
    chan_end(chan);
    REQUIRE_EQ(weft_cgrp_free(cgrp), 0);
    kthd_end(kthd);
    expect_refused(lwt.id, 1u << kind_lwt);
    expect_refused(kthd.id, 1u << kind_kthd);
    expect_refused(chan.id, 1u << kind_chan);
    expect_refused(cgrp.id, 1u << kind_cgrp);
    without_the_two();
}

CONTRACT(handles_of_another_kind_are_refused)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, park_once, NULL);
    with_the_two();
    expect_refused(lwt.id, 15 & ~(1u << kind_lwt));
    expect_refused(kthd.id, 15 & ~(1u << kind_kthd));
    expect_refused(a_chan.id, 15 & ~(1u << kind_chan));
    expect_refused(a_cgrp.id, 15 & ~(1u << kind_cgrp));
    without_the_two();
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    lwt_result(lwt);
    kthd_end(kthd);
}

CONTRACT(forged_handles_are_refused)
{
    with_the_two();
    static const uint64_t made_up[] = {0, 1, 2, UINT64_MAX, INT64_MAX, 1ull << 63, 0xffffffff, 0xffffffff00000000};
    for (size_t i = 0; i < sizeof made_up / sizeof made_up[0]; i++)
        expect_refused(made_up[i], 15);
    for (uint64_t kind = 0; kind < 16; kind++)
        for (uint64_t index = 0; index < 1ull << 28; index = index * 3 + 1)
            for (uint64_t generation = 1000; generation < 1ull << 32; generation = generation * 17 + 1)
                expect_refused(generation << 32 | kind << 28 | index, 15);
    without_the_two();
}

CONTRACT(closing_and_freeing_twice_is_refused)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new(kthd, nothing, NULL);
    weft_chan_t chan = chan_new(3);
    weft_cgrp_t cgrp;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_chan_release(chan, 0), i ? -EBADF : 0);
        CHECK_EQ(weft_cgrp_free(cgrp), i ? -EBADF : 0);
        CHECK_EQ(weft_lwt_join(lwt, NULL), i ? -ESRCH : 0);
        CHECK_EQ(weft_kthd_destroy(kthd, 0), i ? -ESRCH : 0);
    }
}

/* ---- by chance --------------------------------------------------------------------------------------------------- */

enum { live_each = 8 };

static struct {
    uint64_t id[kinds][live_each];
    uint64_t stale[kinds][64];
} zoo;

static bool is_alive(enum kind kind, uint64_t id)
{
    for (int i = 0; i < live_each; i++)
        if (zoo.id[kind][i] == id)
            return true;
    return id == weft_lwt_current().id || id == weft_kthd_current().id || id == a_chan.id || id == a_cgrp.id;
}

static void fill_zoo(weft_kthd_t kthd)
{
    for (int i = 0; i < 64; i++) {
        weft_cgrp_t cgrp;
        weft_lwt_t lwt = lwt_new(kthd, nothing, NULL);
        weft_chan_t chan = chan_new(1);
        REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
        zoo.stale[kind_lwt][i] = lwt.id;
        zoo.stale[kind_chan][i] = chan.id;
        zoo.stale[kind_cgrp][i] = cgrp.id;
        lwt_result(lwt);
        chan_end(chan);
        REQUIRE_EQ(weft_cgrp_free(cgrp), 0);
        if (i < 4) {
            weft_kthd_t other = kthd_new();
            zoo.stale[kind_kthd][i] = other.id;
            kthd_end(other);
        }
    }
    for (int i = 0; i < live_each; i++) {
        weft_cgrp_t cgrp;
        REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
        zoo.id[kind_cgrp][i] = cgrp.id;
        zoo.id[kind_chan][i] = chan_new((uint32_t)i % 4).id;
        zoo.id[kind_lwt][i] = lwt_new(kthd, park_once, NULL).id;
        zoo.id[kind_kthd][i] = i < 2 ? kthd_new().id : 0;
    }
}

static void empty_zoo(void)
{
    for (int i = 0; i < live_each; i++) {
        REQUIRE_EQ(weft_chan_release(chan_of(zoo.id[kind_chan][i]), 0), 0);
        REQUIRE_EQ(weft_cgrp_free((weft_cgrp_t){zoo.id[kind_cgrp][i]}), 0);
        REQUIRE_EQ(weft_lwt_unpark(lwt_of(zoo.id[kind_lwt][i])), 0);
        REQUIRE_EQ((intptr_t)lwt_result(lwt_of(zoo.id[kind_lwt][i])), 0);
        if (zoo.id[kind_kthd][i])
            kthd_end(kthd_of(zoo.id[kind_kthd][i]));
    }
}

static uint64_t random_handle(struct check_random *random)
{
    enum kind kind = (enum kind)check_random_below(random, kinds);
    uint64_t live = zoo.id[kind][check_random_below(random, live_each)];
    switch (check_random_below(random, 6)) {
    case 0:
        return zoo.stale[kind][check_random_below(random, 64)];
    case 1:
        return live ^ 1ull << check_random_below(random, 64);
    case 2:
        return (live & 0xffffffff00000000) | (check_random_next(random) & 0xffffffff);
    case 3:
        return (live & 0xffffffff) | (check_random_next(random) & 0xffffffff00000000);
    case 4:
        return live + ((uint64_t)check_random_below(random, 7) - 3) * (1ull << 32);
    default:
        return check_random_next(random) >> check_random_below(random, 64);
    }
}

CONTRACT(a_hundred_thousand_random_handles_are_refused_and_harm_nothing)
{
    struct check_random random = check_random_from(check_seed());
    weft_kthd_t kthd = kthd_new();
    with_the_two();
    fill_zoo(kthd);
    for (long i = 0; i < check_scale(100000); i++) {
        const struct call *call = &calls[check_random_below(&random, call_count)];
        uint64_t id = random_handle(&random);
        if (is_alive(call->kind, id) || id == 0 || id == kthd.id || is_alive(kind_kthd, id) ||
            id == scene->kthds[0].id || id == scene->kthds[1].id)
            continue;
        int r = call->make(id);
        if (!refused_rightly(call, r)) {
            check_say("    %s(0x%" PRIx64 ")\n", call->name, id);
            REQUIRE_EQ(r, call->kind <= kind_kthd ? -ESRCH : -EBADF);
        }
    }
    empty_zoo();
    without_the_two();
    kthd_end(kthd);
}

/* ---- handles that go stale in use -------------------------------------------------------------------------------- */

static struct {
    _Atomic uint64_t kthd, chan, cgrp;
    atomic_int stop;
    atomic_long ran, created, adopted, used;
} moving;

static void *count_one(void *arg)
{
    (void)arg;
    atomic_fetch_add(&moving.ran, 1);
    return NULL;
}

static void *use_moving_kthds(void *arg)
{
    struct check_random random = check_random_from((uint64_t)(uintptr_t)arg);
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    attr.flags = WEFT_LWT_DETACHED;
    while (!atomic_load(&moving.stop)) {
        weft_kthd_t kthd = kthd_of(atomic_load(&moving.kthd));
        int r;
        switch (check_random_below(&random, 4)) {
        case 0:
            r = weft_lwt_adopt(kthd, NULL);
            if (r == 0) {
                atomic_fetch_add(&moving.adopted, 1);
                REQUIRE_EQ(weft_kthd_current().id, kthd.id); /* not in its slot's next */
                r = weft_lwt_migrate(kthd_of(atomic_load(&moving.kthd)));
                REQUIRE(r == 0 || r == -ESRCH);
                REQUIRE_EQ(weft_lwt_leave(), 0);
            } else {
                REQUIRE_EQ(r, -ESRCH);
            }
            break;
        case 1:
            r = weft_kthd_info(kthd, &(struct weft_info){0});
            REQUIRE(r == 0 || r == -ESRCH);
            break;
        default:
            r = weft_lwt_create(NULL, kthd, count_one, NULL, &attr);
            REQUIRE(r == 0 || r == -ESRCH);
            atomic_fetch_add(&moving.created, r == 0);
        }
    }
    return NULL;
}

TEST(kthds_that_go_while_others_spawn_and_adopt_lose_no_lwt)
{
    enum { threads = 3 };
    pthread_t users[threads];
    uint64_t seed = check_seed();
    int64_t end_ns = check_now_ns() + check_scale(1500) * 1000000;
    long rounds = 0;
    atomic_store(&moving.kthd, kthd_new().id);
    for (uint64_t i = 0; i < threads; i++)
        REQUIRE_EQ(pthread_create(&users[i], NULL, use_moving_kthds, (void *)(uintptr_t)(seed + i)), 0);
    for (; check_now_ns() < end_ns; rounds++) {
        weft_kthd_t old = kthd_of(atomic_exchange(&moving.kthd, kthd_new().id));
        REQUIRE_EQ(weft_kthd_destroy(old, WEFT_KTHD_WAIT), 0);
    }
    atomic_store(&moving.stop, 1);
    for (int i = 0; i < threads; i++)
        pthread_join(users[i], NULL);
    kthd_end(kthd_of(atomic_load(&moving.kthd)));
    check_say("    %ld kthds, %ld lwts, %ld adoptions\n", rounds, atomic_load(&moving.created),
              atomic_load(&moving.adopted));
    CHECK_EQ(atomic_load(&moving.ran), atomic_load(&moving.created));
    CHECK_EQ(all_info().lwts, 0);
}

static void use_moving_objects(void *arg)
{
    struct check_random random = check_random_from((uint64_t)(uintptr_t)arg);
    while (!atomic_load(&moving.stop)) {
        weft_chan_t chan = chan_of(atomic_load(&moving.chan));
        weft_cgrp_t cgrp = {atomic_load(&moving.cgrp)};
        struct weft_event e;
        struct weft_chan_info ci;
        uint64_t w;
        int r;
        switch (check_random_below(&random, 8)) {
        case 0:
            r = weft_chan_try_send(chan, 1);
            break;
        case 1:
            r = weft_chan_try_recv(chan, &w);
            break;
        case 2:
            r = weft_chan_recv_until(chan, &w, check_now_ns() + 20000);
            break;
        case 3:
            r = weft_chan_send_until(chan, 1, check_now_ns() + 20000);
            break;
        case 4:
            r = weft_cgrp_wait_until(cgrp, &e, check_now_ns() + 20000);
            break;
        case 5:
            r = weft_cgrp_add(cgrp, chan, 1);
            break;
        case 6:
            r = weft_cgrp_remove(cgrp, chan);
            r = r > 0 ? 0 : r;
            break;
        default:
            r = weft_chan_info(chan, &ci);
            if (r == 0)
                REQUIRE_EQ(ci.capacity, 2);
        }
        REQUIRE(r == 0 || r == -EBADF || r == -EAGAIN || r == -ETIMEDOUT || r == -EPIPE || r == -ENOENT ||
                r == -EEXIST);
        atomic_fetch_add(&moving.used, 1);
        if (check_random_below(&random, 8) == 0)
            weft_lwt_yield();
    }
}

CONTRACT(channels_and_groups_that_go_while_others_use_them_do_no_harm)
{
    struct actor *users[4];
    uint64_t seed = check_seed();
    int64_t end_ns = check_now_ns() + check_scale(500) * 1000000;
    weft_cgrp_t cgrp;
    long rounds = 0;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    atomic_store(&moving.stop, 0);
    atomic_store(&moving.chan, chan_new(2).id);
    atomic_store(&moving.cgrp, cgrp.id);
    for (uint64_t i = 0; i < 4; i++)
        users[i] = scene_spawn(scene, use_moving_objects, (void *)(uintptr_t)(seed + i));
    for (; check_now_ns() < end_ns; rounds++) {
        chan_end(chan_of(atomic_exchange(&moving.chan, chan_new(2).id)));
        if (rounds % 3 == 0) {
            REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
            cgrp.id = atomic_exchange(&moving.cgrp, cgrp.id);
            SCENE_AWAIT(weft_cgrp_free(cgrp) == 0); /* a member may be ready just now; it goes in time */
        }
        weft_lwt_yield();
    }
    atomic_store(&moving.stop, 1);
    for (int i = 0; i < 4; i++)
        scene_join(users[i]);
    chan_end(chan_of(atomic_load(&moving.chan)));
    REQUIRE_EQ(weft_cgrp_free((weft_cgrp_t){atomic_load(&moving.cgrp)}), 0);
    CHECK_EQ(all_info().channels, 0);
}
