/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peer: Boost.Context's bare jump_fcontext. Measures one thing, yield-2: two contexts that jump to each other, time per
 * jump. No scheduler, no run queue, no state of a thread is in that figure: it is the floor under any yield, and what
 * weft's whole yield is held against. The assembly routine is called directly, because the class boost::context::fiber
 * around it only adds to its cost.
 */
#include "bench.h"

#include <boost/context/detail/fcontext.hpp>
#include <boost/context/fixedsize_stack.hpp>

namespace ctx = boost::context::detail;

static void partner(ctx::transfer_t from)
{
    for (;;)
        from = ctx::jump_fcontext(from.fctx, nullptr);
}

static int64_t yield_2(int64_t count)
{
    static boost::context::stack_context stack = boost::context::fixedsize_stack(64 * 1024).allocate();
    static ctx::fcontext_t other = ctx::make_fcontext(stack.sp, stack.size, partner);
    int64_t start = bench_now_ns();
    for (int64_t i = 0; i < count; i += 2) /* there and back: two switches */
        other = ctx::jump_fcontext(other, nullptr).fctx;
    return bench_now_ns() - start;
}

static const bench_workload workloads[] = {
    {"yield-2", "boost", yield_2, "bare jump_fcontext, no scheduler"},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, workloads, sizeof workloads / sizeof *workloads);
}
