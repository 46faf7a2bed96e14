/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scene: what tests of weft share. Owns the topologies over which one contract suite is run, and the actors that act
 * in a test, whatever kind of thread they are; check.h runs and counts.
 *
 *     CONTRACT(a_send_waits_for_a_receiver) { ... }    body(scene), once per topology, as actor 0 of it
 *     LWT_TEST(yield_is_fifo) { ... }                  body(scene), as a native lwt of scene->kthds[0]
 *
 * Both check at the end that nothing is left: no lwt, no zombie, no channel.
 *
 *     struct actor *a = scene_spawn(scene, fn, arg);   a thread of the kind that the topology gives to the next index
 *     scene_join(a);                                   from any kind of thread
 *     SCENE_AWAIT(cond);                               looks until it holds; lets the others of the kthd run
 *
 * The topologies and the kinds of actor 0, 1, 2 ...:
 *
 *     lwts of one kthd      N0 N0 N0 N0      N0, N1: native lwt of kthd 0, 1
 *     lwts of two kthds     N0 N1 N0 N1
 *     plain threads         P  P  P  P       P: a thread weft does not know
 *     adopted threads       A0 A1 A0 A1      A0, A1: adopted thread of kthd 0, 1
 *     mixed                 N0 P  A1 N1
 *     mixed from plain      P  A1 N1 N0
 */
#ifndef SCENE_H
#define SCENE_H

#include "check.h"

#include "weft.h"
#include "weft/abi.h"

enum topology {
    topology_one_kthd,
    topology_two_kthds,
    topology_plain,
    topology_adopted,
    topology_mixed,
    topology_mixed_from_plain,
};

static const char *const scene_topologies[] CHECK_UNUSED = {
    "lwts of one kthd", "lwts of two kthds", "plain threads", "adopted threads", "mixed", "mixed from plain", NULL};

enum actor_kind { actor_native, actor_adopted, actor_plain };

struct scene {
    enum topology topology;
    weft_kthd_t kthds[2];
    atomic_uint spawned; /* actors so far; gives the next one its kind */
};

struct actor {
    void (*fn)(void *);
    void *arg;
    enum actor_kind kind;
    weft_kthd_t kthd;
    _Atomic uint64_t lwt; /* its handle's id once it runs; 0 for a plain thread */
    uint64_t spawner;     /* lwt id to unpark at the end, 0: none */
    pthread_t thread;
    atomic_int done; /* set with release as the actor's last act; whoever joins reads with acquire */
};

/* ---- small things ------------------------------------------------------------------------------------------------ */

static inline int64_t scene_in_ms(int64_t ms) { return check_now_ns() + ms * 1000000; }

static inline weft_lwt_t lwt_of(uint64_t id) { return (weft_lwt_t){id}; }
static inline weft_chan_t chan_of(uint64_t id) { return (weft_chan_t){id}; }
static inline weft_kthd_t kthd_of(uint64_t id) { return (weft_kthd_t){id}; }

static const weft_kthd_t no_kthd CHECK_UNUSED;
static const weft_lwt_t no_lwt CHECK_UNUSED;

/* Looks until `cond` holds, for ten seconds. On an lwt the others of its kthd run in between. */
#define SCENE_AWAIT(cond)                                                                        \
    do {                                                                                         \
        int64_t await_end_ns = check_now_ns() + (int64_t)(10e9 * check_slow_factor());           \
        for (unsigned await_round = 1; !(cond); await_round++) {                                 \
            if (check_now_ns() > await_end_ns)                                                   \
                check_failed(__FILE__, __LINE__, "did not come true within 10 s: " #cond, true); \
            if (await_round % 64 == 0)                                                           \
                check_pause();                                                                   \
            weft_lwt_yield();                                                                    \
        }                                                                                        \
    } while (0)

static inline weft_kthd_t kthd_new(void)
{
    weft_kthd_t kthd = no_kthd;
    REQUIRE_EQ(weft_kthd_create(&kthd, NULL), 0);
    return kthd;
}

static inline weft_kthd_t kthd_new_idle(uint32_t idle)
{
    struct weft_kthd_attr attr;
    weft_kthd_t kthd = no_kthd;
    weft_kthd_attr_init(&attr);
    attr.idle = idle;
    REQUIRE_EQ(weft_kthd_create(&kthd, &attr), 0);
    return kthd;
}

static inline void kthd_end(weft_kthd_t kthd) { REQUIRE_EQ(weft_kthd_destroy(kthd, WEFT_KTHD_WAIT), 0); }

static inline weft_lwt_t lwt_new(weft_kthd_t kthd, void *(*fn)(void *), void *arg)
{
    weft_lwt_t lwt = no_lwt;
    REQUIRE_EQ(weft_lwt_create(&lwt, kthd, fn, arg, NULL), 0);
    return lwt;
}

static inline weft_lwt_t lwt_new_sized(weft_kthd_t kthd, void *(*fn)(void *), void *arg, uint64_t stack_bytes)
{
    struct weft_lwt_attr attr;
    weft_lwt_t lwt = no_lwt;
    weft_lwt_attr_init(&attr);
    attr.stack_bytes = stack_bytes;
    REQUIRE_EQ(weft_lwt_create(&lwt, kthd, fn, arg, &attr), 0);
    return lwt;
}

static inline void *lwt_result(weft_lwt_t lwt)
{
    void *value = NULL;
    REQUIRE_EQ(weft_lwt_join(lwt, &value), 0);
    return value;
}

/* Runs fn(arg) as an lwt of the kthd and gives its result. */
static inline void *lwt_run(weft_kthd_t kthd, void *(*fn)(void *), void *arg)
{
    return lwt_result(lwt_new_sized(kthd, fn, arg, 256 << 10));
}

static inline weft_chan_t chan_new(uint32_t capacity)
{
    weft_chan_t chan = {0};
    REQUIRE_EQ(weft_chan_create(&chan, capacity), 0);
    return chan;
}

static inline struct weft_chan_info chan_info(weft_chan_t chan)
{
    struct weft_chan_info info = {0};
    REQUIRE_EQ(weft_chan_info(chan, &info), 0);
    return info;
}

static inline void chan_end(weft_chan_t chan) { REQUIRE_EQ(weft_chan_release(chan, 0), 0); }

static inline uint64_t chan_take(weft_chan_t chan)
{
    uint64_t value = 0;
    REQUIRE_EQ(weft_chan_recv(chan, &value), 0);
    return value;
}

static inline void chan_give(weft_chan_t chan, uint64_t value) { REQUIRE_EQ(weft_chan_send(chan, value), 0); }

static inline struct weft_info all_info(void)
{
    struct weft_info info;
    memset(&info, 0xa5, sizeof info);
    weft_info(&info);
    return info;
}

static inline struct weft_info kthd_info(weft_kthd_t kthd)
{
    struct weft_info info;
    memset(&info, 0xa5, sizeof info);
    REQUIRE_EQ(weft_kthd_info(kthd, &info), 0);
    return info;
}

/* ---- actors ------------------------------------------------------------------------------------------------------ */

static inline void actor_act(struct actor *actor)
{
    atomic_store_explicit(&actor->lwt, weft_lwt_current().id, memory_order_release);
    actor->fn(actor->arg);
}

static inline void *actor_lwt_main(void *arg)
{
    actor_act(arg);
    return NULL;
}

static inline void *actor_thread_main(void *arg)
{
    struct actor *actor = arg;
    if (actor->kind == actor_adopted)
        REQUIRE_EQ(weft_lwt_adopt(actor->kthd, NULL), 0);
    actor_act(actor);
    if (actor->kind == actor_adopted)
        REQUIRE_EQ(weft_lwt_leave(), 0);
    /* After the leave: a joiner that is an lwt holds up its carrier in pthread_join, and this thread must not need
     * that carrier any more. Nobody frees the actor before the thread itself has ended. */
    uint64_t spawner = actor->spawner;
    atomic_store_explicit(&actor->done, 1, memory_order_release);
    if (spawner)
        weft_lwt_unpark(lwt_of(spawner));
    return NULL;
}

static inline struct actor *actor_start(enum actor_kind kind, weft_kthd_t kthd, void (*fn)(void *), void *arg)
{
    struct actor *actor = calloc(1, sizeof *actor);
    REQUIRE(actor != NULL);
    actor->fn = fn;
    actor->arg = arg;
    actor->kind = kind;
    actor->kthd = kthd;
    actor->spawner = weft_lwt_current().id;
    if (kind == actor_native) {
        weft_lwt_t lwt = lwt_new_sized(kthd, actor_lwt_main, actor, 256 << 10);
        atomic_store_explicit(&actor->lwt, lwt.id, memory_order_release);
    } else {
        REQUIRE_EQ(pthread_create(&actor->thread, NULL, actor_thread_main, actor), 0);
    }
    return actor;
}

static inline enum actor_kind scene_kind(const struct scene *scene, unsigned index, weft_kthd_t *kthd)
{
    *kthd = scene->kthds[index % 2];
    switch (scene->topology) {
    case topology_one_kthd:
        *kthd = scene->kthds[0];
        return actor_native;
    case topology_two_kthds:
        return actor_native;
    case topology_plain:
        return actor_plain;
    case topology_adopted:
        return actor_adopted;
    case topology_mixed_from_plain:
        index++;
        break;
    case topology_mixed:
        break;
    }
    *kthd = scene->kthds[index % 4 != 0];
    return index % 4 == 1 ? actor_plain : index % 4 == 2 ? actor_adopted : actor_native;
}

static inline struct actor *scene_spawn(struct scene *scene, void (*fn)(void *), void *arg)
{
    weft_kthd_t kthd;
    enum actor_kind kind =
        scene_kind(scene, atomic_fetch_add_explicit(&scene->spawned, 1, memory_order_relaxed), &kthd);
    return actor_start(kind, kthd, fn, arg);
}

static inline void scene_join(struct actor *actor)
{
    if (actor->kind == actor_native) {
        REQUIRE_EQ(weft_lwt_join(lwt_of(atomic_load_explicit(&actor->lwt, memory_order_acquire)), NULL), 0);
    } else {
        if (weft_lwt_current().id)
            while (!atomic_load_explicit(&actor->done, memory_order_acquire))
                REQUIRE_EQ(weft_lwt_park(WEFT_FOREVER), 0);
        REQUIRE_EQ(pthread_join(actor->thread, NULL), 0);
    }
    free(actor);
}

/* ---- running a body as actor 0 ----------------------------------------------------------------------------------- */

struct scene_play {
    struct scene *scene;
    void (*body)(struct scene *);
};

static inline void scene_play_body(void *arg)
{
    struct scene_play *play = arg;
    play->body(play->scene);
}

static inline void scene_run(void (*body)(struct scene *), enum topology topology)
{
    struct scene scene = {.topology = topology};
    struct scene_play play = {&scene, body};
    scene.kthds[0] = kthd_new();
    scene.kthds[1] = kthd_new();
    scene_join(scene_spawn(&scene, scene_play_body, &play));
    kthd_end(scene.kthds[0]);
    kthd_end(scene.kthds[1]);
    struct weft_info info = all_info();
    CHECK_EQ(info.lwts, 0);
    CHECK_EQ(info.runnable, 0);
    CHECK_EQ(info.blocked, 0);
    CHECK_EQ(info.zombies, 0);
    CHECK_EQ(info.channels, 0);
}

#define CONTRACT_LIMIT(name, seconds)                                               \
    static void name##_body(struct scene *scene);                                   \
    TEST_OVER_LIMIT(name, scene_topologies, seconds)                                \
    {                                                                               \
        scene_run(name##_body, (enum topology)check_variant);                       \
    }                                                                               \
    static void name##_body(struct scene *scene CHECK_UNUSED)
#define CONTRACT(name) CONTRACT_LIMIT(name, check_default_limit_seconds)

#define LWT_TEST(name)                                                              \
    static void name##_body(struct scene *scene);                                   \
    TEST(name) { scene_run(name##_body, topology_one_kthd); }                       \
    static void name##_body(struct scene *scene CHECK_UNUSED)

#endif
