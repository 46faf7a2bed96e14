/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft's own rows in C, over nothing but the public headers: every yield goes through the scheduler, every channel
 * operation through handle checks and the common path. Local workloads run on one kthd; remote ones on two, pinned to
 * two processors, with the default idle strategy (spin, then park), or with what a variant names.
 *
 * Each run makes its kthds, spawns one driver lwt that makes the partners and joins them, and takes the time between
 * the partners' first and last step; what the driver does around that is one creation and join per partner.
 */
#include "bench.h"

#include "weft.h"

#define SOURCES 100
#define CHECK(call) bench_check((call), #call)

static weft_kthd_t kthd_create(int nth_cpu, enum weft_idle idle)
{
    struct weft_kthd_attr attr;
    weft_kthd_attr_init(&attr);
    attr.cpu = nth_cpu < 0 ? -1 : bench_cpu(nth_cpu);
    attr.idle = idle;
    weft_kthd_t kthd;
    CHECK(weft_kthd_create(&kthd, &attr));
    return kthd;
}

static weft_lwt_t spawn(weft_kthd_t kthd, void *(*body)(void *), void *arg)
{
    weft_lwt_t lwt;
    CHECK(weft_lwt_create(&lwt, kthd, body, arg, NULL));
    return lwt;
}

static void join(weft_lwt_t lwt)
{
    CHECK(weft_lwt_join(lwt, NULL));
}

static weft_chan_t chan_create(void)
{
    weft_chan_t chan;
    CHECK(weft_chan_create(&chan, 0));
    return chan;
}

/* ---- yield ---- */

struct yielders {
    int lwts;
    int64_t each;
    int64_t took_ns;
};

static void *yielder(void *arg)
{
    for (int64_t left = *(int64_t *)arg; left > 0; left--)
        weft_lwt_yield();
    return NULL;
}

static void *yield_driver(void *arg)
{
    struct yielders *job = arg;
    weft_lwt_t *lwts = calloc((size_t)job->lwts, sizeof *lwts);
    for (int i = 0; i < job->lwts; i++)
        lwts[i] = spawn(weft_kthd_current(), yielder, &job->each);
    int64_t start = bench_now_ns();
    for (int i = 0; i < job->lwts; i++)
        join(lwts[i]);
    job->took_ns = bench_now_ns() - start;
    free(lwts);
    return NULL;
}

static int64_t yield_among(int64_t count, int lwts)
{
    struct yielders job = {.lwts = lwts, .each = count / lwts};
    weft_kthd_t kthd = kthd_create(-1, WEFT_IDLE_SPIN_THEN_PARK);
    join(spawn(kthd, yield_driver, &job));
    CHECK(weft_kthd_destroy(kthd, WEFT_KTHD_WAIT));
    return job.took_ns;
}

static int64_t yield_2(int64_t count) { return yield_among(count, 2); }
static int64_t yield_1000(int64_t count) { return yield_among(count, 1000); }

/* ---- rendezvous ---- */

struct rendezvous {
    weft_chan_t requests, replies;
    int64_t count, took_ns;
};

static void *server(void *arg)
{
    struct rendezvous *job = arg;
    for (int64_t i = 0; i < job->count; i++) {
        uint64_t word;
        CHECK(weft_chan_recv(job->requests, &word));
        CHECK(weft_chan_send(job->replies, word));
    }
    return NULL;
}

static void *client(void *arg)
{
    struct rendezvous *job = arg;
    int64_t start = bench_now_ns();
    for (int64_t i = 0; i < job->count; i++) {
        uint64_t word;
        CHECK(weft_chan_send(job->requests, (uint64_t)i));
        CHECK(weft_chan_recv(job->replies, &word));
        if (word != (uint64_t)i)
            bench_check(EPROTO, "the rendezvous");
    }
    job->took_ns = bench_now_ns() - start;
    return NULL;
}

static int64_t rendezvous_between(int64_t count, weft_kthd_t a, weft_kthd_t b)
{
    struct rendezvous job = {.requests = chan_create(), .replies = chan_create(), .count = count};
    weft_lwt_t answering = spawn(b, server, &job), asking = spawn(a, client, &job);
    join(asking);
    join(answering);
    CHECK(weft_chan_release(job.requests, 0));
    CHECK(weft_chan_release(job.replies, 0));
    CHECK(weft_kthd_destroy(a, WEFT_KTHD_WAIT));
    if (b.id != a.id)
        CHECK(weft_kthd_destroy(b, WEFT_KTHD_WAIT));
    return job.took_ns;
}

static int64_t rendezvous_local(int64_t count)
{
    weft_kthd_t kthd = kthd_create(-1, WEFT_IDLE_SPIN_THEN_PARK);
    return rendezvous_between(count, kthd, kthd);
}

static int64_t rendezvous_across(int64_t count, enum weft_idle idle)
{
    return rendezvous_between(count, kthd_create(0, idle), kthd_create(1, idle));
}

static int64_t rendezvous_remote(int64_t count) { return rendezvous_across(count, WEFT_IDLE_SPIN_THEN_PARK); }
static int64_t rendezvous_park(int64_t count) { return rendezvous_across(count, WEFT_IDLE_PARK); }
static int64_t rendezvous_unpinned(int64_t count)
{
    weft_kthd_t a = kthd_create(-1, WEFT_IDLE_SPIN_THEN_PARK), b = kthd_create(-1, WEFT_IDLE_SPIN_THEN_PARK);
    return rendezvous_between(count, a, b);
}
static int64_t rendezvous_spin(int64_t count) { return rendezvous_across(count, WEFT_IDLE_SPIN); }

/* ---- create, run, join ---- */

struct creation {
    weft_kthd_t where;
    int64_t count, took_ns;
};

static void *empty(void *arg)
{
    return arg;
}

static void *create_driver(void *arg)
{
    struct creation *job = arg;
    int64_t start = bench_now_ns();
    for (int64_t i = 0; i < job->count; i++)
        join(spawn(job->where, empty, NULL));
    job->took_ns = bench_now_ns() - start;
    return NULL;
}

static int64_t create_join(int64_t count)
{
    weft_kthd_t kthd = kthd_create(-1, WEFT_IDLE_SPIN_THEN_PARK);
    struct creation job = {.where = kthd, .count = count};
    join(spawn(kthd, create_driver, &job));
    CHECK(weft_kthd_destroy(kthd, WEFT_KTHD_WAIT));
    return job.took_ns;
}

static int64_t create_join_remote(int64_t count)
{
    weft_kthd_t here = kthd_create(0, WEFT_IDLE_SPIN_THEN_PARK), there = kthd_create(1, WEFT_IDLE_SPIN_THEN_PARK);
    struct creation job = {.where = there, .count = count};
    join(spawn(here, create_driver, &job));
    CHECK(weft_kthd_destroy(here, WEFT_KTHD_WAIT));
    CHECK(weft_kthd_destroy(there, WEFT_KTHD_WAIT));
    return job.took_ns;
}

/* ---- one event out of 100 sources ---- */

struct events {
    weft_cgrp_t cgrp;
    weft_chan_t sources[SOURCES];
    int64_t count, took_ns;
};

static void *event_sender(void *arg)
{
    struct events *job = arg;
    for (int64_t i = 0; i < job->count; i++)
        CHECK(weft_chan_send(job->sources[i * 37 % SOURCES], (uint64_t)i));
    return NULL;
}

static void *event_waiter(void *arg)
{
    struct events *job = arg;
    int64_t start = bench_now_ns();
    for (int64_t i = 0; i < job->count; i++) {
        struct weft_event event;
        uint64_t word;
        CHECK(weft_cgrp_wait(job->cgrp, &event));
        CHECK(weft_chan_recv(event.chan, &word));
        if (word != (uint64_t)i || event.mark != (uint64_t)(i * 37 % SOURCES))
            bench_check(EPROTO, "the event");
    }
    job->took_ns = bench_now_ns() - start;
    return NULL;
}

static int64_t events_between(int64_t count, weft_kthd_t a, weft_kthd_t b)
{
    struct events job = {.count = count};
    CHECK(weft_cgrp_create(&job.cgrp));
    for (int i = 0; i < SOURCES; i++) {
        job.sources[i] = chan_create();
        CHECK(weft_cgrp_add(job.cgrp, job.sources[i], (uint64_t)i));
    }
    weft_lwt_t waiting = spawn(a, event_waiter, &job), sending = spawn(b, event_sender, &job);
    join(waiting);
    join(sending);
    for (int i = 0; i < SOURCES; i++)
        CHECK(weft_chan_release(job.sources[i], 0));
    CHECK(weft_cgrp_free(job.cgrp));
    CHECK(weft_kthd_destroy(a, WEFT_KTHD_WAIT));
    if (b.id != a.id)
        CHECK(weft_kthd_destroy(b, WEFT_KTHD_WAIT));
    return job.took_ns;
}

static int64_t event_100(int64_t count)
{
    weft_kthd_t kthd = kthd_create(-1, WEFT_IDLE_SPIN_THEN_PARK);
    return events_between(count, kthd, kthd);
}

static int64_t event_100_remote(int64_t count)
{
    return events_between(count, kthd_create(0, WEFT_IDLE_SPIN_THEN_PARK), kthd_create(1, WEFT_IDLE_SPIN_THEN_PARK));
}

static const struct bench_workload workloads[] = {
    {"yield-2", "weft-c", yield_2, NULL},
    {"yield-1000", "weft-c", yield_1000, NULL},
    {"rendezvous-local", "weft-c", rendezvous_local, NULL},
    {"rendezvous-remote", "weft-c", rendezvous_remote, "two kthds on two CPUs, idle strategy spin, then park"},
    {"rendezvous-remote@spin", "weft-c+spin", rendezvous_spin, "idle strategy: spin"},
    {"rendezvous-remote@park", "weft-c+park", rendezvous_park, "idle strategy: park"},
    {"rendezvous-remote@unpinned", "weft-c+unpinned", rendezvous_unpinned, "two kthds on any CPU, as by default"},
    {"create-join", "weft-c", create_join, NULL},
    {"create-join-remote", "weft-c", create_join_remote, NULL},
    {"event-100", "weft-c", event_100, "a group of 100 unbuffered channels"},
    {"event-100-remote", "weft-c", event_100_remote, NULL},
};

int main(int argc, char **argv)
{
    char reason[256];
    if (weft_platform_check(reason, sizeof reason) != 0) {
        fprintf(stderr, "%s\n", reason);
        return 1;
    }
    return bench_main(argc, argv, workloads, sizeof workloads / sizeof *workloads);
}
