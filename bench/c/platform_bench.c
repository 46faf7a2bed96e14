/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine and the kernel can do, in C, without any thread library above pthread: rows for orientation under
 * the table, so that a reader sees what a remote figure is made of.
 *
 *   rendezvous-remote@line    a word handed to the other processor and back through one cache line, both
 *                             sides spinning: about what any rendezvous between two processors must cost
 *   rendezvous-remote@futex   the same exchange when both sides sleep in a futex, on two processors
 *   rendezvous-local@futex    and on one
 *   create-join@pthread       pthread_create and pthread_join on one processor
 */
#include "bench.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static _Alignas(128) _Atomic uint32_t turn; /* 2i: request i is wanted; 2i+1: it was sent, the reply is wanted */

static void spin_until(uint32_t value)
{
    while (atomic_load_explicit(&turn, memory_order_acquire) != value)
        __builtin_ia32_pause();
}

static void sleep_until(uint32_t value)
{
    uint32_t seen;
    while ((seen = atomic_load_explicit(&turn, memory_order_acquire)) != value)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

struct exchange {
    int64_t count;
    int server_cpu;
    int asleep;
};

static void step(const struct exchange *job, uint32_t from)
{
    if (job->asleep)
        sleep_until(from);
    else
        spin_until(from);
    atomic_store_explicit(&turn, from + 1, memory_order_release);
    if (job->asleep)
        syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *answer(void *arg)
{
    const struct exchange *job = arg;
    bench_pin(job->server_cpu);
    for (int64_t i = 0; i < job->count; i++)
        step(job, (uint32_t)(2 * i + 1));
    return NULL;
}

static int64_t exchange(struct exchange job)
{
    pthread_t server;
    atomic_store(&turn, 0);
    bench_pin(bench_cpu(0));
    bench_check(pthread_create(&server, NULL, answer, &job), "pthread_create");
    int64_t start = bench_now_ns();
    for (int64_t i = 0; i < job.count; i++)
        step(&job, (uint32_t)(2 * i));
    if (job.asleep)
        sleep_until((uint32_t)(2 * job.count));
    else
        spin_until((uint32_t)(2 * job.count));
    int64_t took = bench_now_ns() - start;
    bench_check(pthread_join(server, NULL), "pthread_join");
    return took;
}

static int cpu_a, cpu_b; /* taken before the first pinning narrows what bench_cpu() sees */

static int64_t line(int64_t count) { return exchange((struct exchange){count, cpu_b, 0}); }
static int64_t futex_remote(int64_t count) { return exchange((struct exchange){count, cpu_b, 1}); }
static int64_t futex_local(int64_t count) { return exchange((struct exchange){count, cpu_a, 1}); }

static void *empty(void *arg)
{
    return arg;
}

static int64_t pthread_create_join(int64_t count)
{
    bench_pin(cpu_a);
    int64_t start = bench_now_ns();
    for (int64_t i = 0; i < count; i++) {
        pthread_t thread;
        bench_check(pthread_create(&thread, NULL, empty, NULL), "pthread_create");
        bench_check(pthread_join(thread, NULL), "pthread_join");
    }
    return bench_now_ns() - start;
}

static const struct bench_workload workloads[] = {
    {"rendezvous-remote@line", "hardware+cache-line", line, "one cache line, both processors spinning"},
    {"rendezvous-remote@futex", "platform+c-futex", futex_remote, "C, two pthreads asleep in a futex, two CPUs"},
    {"rendezvous-local@futex", "platform+c-futex", futex_local, "C, two pthreads asleep in a futex, one CPU"},
    {"create-join@pthread", "platform+c-pthread", pthread_create_join, "C, pthread_create and pthread_join, one CPU"},
};

int main(int argc, char **argv)
{
    cpu_a = bench_cpu(0);
    cpu_b = bench_cpu(1);
    if (cpu_b < 0 && argc > 1 && strncmp(argv[1], "rendezvous-remote", 17) == 0) {
        fprintf(stderr, "there is only one CPU\n");
        return 1;
    }
    return bench_main(argc, argv, workloads, sizeof workloads / sizeof *workloads);
}
