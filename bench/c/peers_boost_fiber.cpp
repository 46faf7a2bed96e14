/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peer: Boost.Fiber with its default round-robin scheduler, at the settings that its documentation and our own trials
 * found fastest: fibers on pooled fixed-size stacks, and for create+run+join launch::dispatch. Measures yield-2,
 * yield-1000, the rendezvous over unbuffered_channel within one thread and between two pinned threads, and
 * create+run+join. The library has no wait for one of several channels, so there is no event-100.
 */
#include "bench.h"

#include <boost/fiber/all.hpp>
#include <thread>
#include <vector>

namespace bf = boost::fibers;

typedef bf::unbuffered_channel<int64_t> channel;

static int64_t yield_among(int64_t count, int fibers)
{
    std::vector<bf::fiber> all;
    bf::pooled_fixedsize_stack stacks(64 * 1024);
    bool go = false;
    for (int f = 0; f < fibers; f++)
        all.emplace_back(bf::launch::post, std::allocator_arg, stacks, [&go, count, fibers] {
            while (!go)
                boost::this_fiber::yield();
            for (int64_t i = 0; i < count / fibers; i++)
                boost::this_fiber::yield();
        });
    boost::this_fiber::yield(); /* every fiber is started and has its stack before the clock runs */
    go = true;
    int64_t start = bench_now_ns();
    for (auto &f : all)
        f.join();
    return bench_now_ns() - start;
}

static int64_t yield_2(int64_t count) { return yield_among(count, 2); }
static int64_t yield_1000(int64_t count) { return yield_among(count, 1000); }

static void answer(channel &requests, channel &replies, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        replies.push(requests.value_pop());
}

static int64_t ask(channel &requests, channel &replies, int64_t count)
{
    int64_t start = bench_now_ns();
    for (int64_t i = 0; i < count; i++) {
        requests.push(i);
        if (replies.value_pop() != i)
            bench_check(EPROTO, "the rendezvous");
    }
    return bench_now_ns() - start;
}

static int64_t rendezvous_local(int64_t count)
{
    channel requests, replies;
    int64_t took = 0;
    bf::fiber server([&] { answer(requests, replies, count); });
    bf::fiber client([&] { took = ask(requests, replies, count); });
    client.join();
    server.join();
    return took;
}

static int64_t rendezvous_remote(int64_t count)
{
    channel requests, replies;
    std::thread server([&] {
        bench_pin(bench_cpu(1));
        bf::fiber([&] { answer(requests, replies, count); }).join();
    });
    int64_t took = 0;
    std::thread client([&] {
        bench_pin(bench_cpu(0));
        bf::fiber([&] { took = ask(requests, replies, count); }).join();
    });
    client.join();
    server.join();
    return took;
}

static int64_t create_join(int64_t count)
{
    bf::pooled_fixedsize_stack stacks(64 * 1024);
    int64_t start = bench_now_ns();
    for (int64_t i = 0; i < count; i++)
        bf::fiber(bf::launch::dispatch, std::allocator_arg, stacks, [] {}).join();
    return bench_now_ns() - start;
}

static const bench_workload workloads[] = {
    {"yield-2", "boost-fiber", yield_2, nullptr},
    {"yield-1000", "boost-fiber", yield_1000, nullptr},
    {"rendezvous-local", "boost-fiber", rendezvous_local, nullptr},
    {"rendezvous-remote", "boost-fiber", rendezvous_remote, nullptr},
    {"create-join", "boost-fiber", create_join, "pooled stacks, launch::dispatch (post is slower)"},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, workloads, sizeof workloads / sizeof *workloads);
}
