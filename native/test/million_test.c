/* SPDX-License-Identifier: Apache-2.0 */
/*
 * million: a million native lwts alive at once in one process, created and joined: what they cost in memory and in
 * memory maps. On machines with less than 8 GiB free a tenth of it.
 */
#include "scene.h"

static struct {
    weft_chan_t gate;
    atomic_long arrived;
} all;

static void *wait_at_the_gate(void *arg)
{
    uint64_t word;
    atomic_fetch_add_explicit(&all.arrived, 1, memory_order_relaxed);
    REQUIRE_EQ(weft_chan_recv(all.gate, &word), -EPIPE);
    return arg;
}

static void alive_at_once(long count, long limit_kib)
{
    enum { stack_bytes = 16 << 10 };
    weft_kthd_t kthd = kthd_new();
    uint64_t *ids = calloc((size_t)count, sizeof *ids);
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    attr.stack_bytes = stack_bytes;
    all.gate = chan_new(0);
    int64_t start = check_now_ns();
    for (long i = 0; i < count; i++) {
        weft_lwt_t lwt;
        int r = weft_lwt_create(&lwt, kthd, wait_at_the_gate, (void *)i, &attr);
        if (r)
            check_say("    the %ldth\n", i + 1);
        REQUIRE_EQ(r, 0);
        ids[i] = lwt.id;
    }
    AWAIT(atomic_load_explicit(&all.arrived, memory_order_relaxed) == count);
    AWAIT(chan_info(all.gate).receiving == (uint32_t)count);
    long rss = check_rss_kib();
    int maps = check_count_maps();
    int64_t created = check_now_ns();
    struct weft_info info = all_info();
    CHECK_EQ(info.lwts, count);
    CHECK_EQ(info.blocked, count);
    CHECK_EQ(info.receiving, count);
    CHECK_EQ(weft_chan_close(all.gate), 0);
    for (long i = 0; i < count; i++)
        REQUIRE_EQ((long)(intptr_t)lwt_result(lwt_of(ids[i])), i);
    int64_t joined = check_now_ns();
    check_say("    %ld lwts: VmRSS %ld KiB, %ld bytes each, %d maps; created in %ld ms, ended and joined in %ld ms\n",
              count, rss, rss * 1024 / count, maps, (long)((created - start) / 1000000),
              (long)((joined - created) / 1000000));
    if (!CHECK_SANITIZED) {
        CHECK(rss < limit_kib);
        CHECK(maps < 200);
    }
    info = all_info();
    CHECK_EQ(info.lwts, 0);
    CHECK_EQ(info.zombies, 0);
    long after = check_rss_kib();
    check_say("    afterwards VmRSS %ld KiB\n", after);
    if (!CHECK_SANITIZED)
        CHECK(after < rss / 2);
    chan_end(all.gate);
    kthd_end(kthd);
    free(ids);
}

TEST(ten_thousand_lwts_are_alive_at_once)
{
    alive_at_once(check_scale(10000), 4500 * 1024 / 100 + 20000);
}

TEST_LIMIT(a_million_lwts_are_alive_at_once, 180)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[256];
    long available_kib = 0;
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "MemAvailable:", 13) == 0)
            available_kib = strtol(line + 13, NULL, 10);
    if (file)
        fclose(file);
    if (CHECK_SANITIZED)
        CHECK_SKIP("a sanitizer's memory does not hold them");
    if (available_kib < 8l << 20) {
        check_say("    %ld MiB available: a tenth of a million\n", available_kib >> 10);
        alive_at_once(100000, 450 * 1024);
    } else {
        alive_at_once(1000000, 4608 * 1024); /* 4.5 GiB */
    }
}
