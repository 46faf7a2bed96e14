/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for a processor that runs at its full speed. On a virtual machine another one may use the same core: for
 * seconds at a time everything that is limited by the core's width takes up to twice as long, and nothing here can
 * tell it from its figures. A loop of one instruction and a jump can: alone on the core it takes a cycle a turn.
 *
 *     quiet                         prints the nanoseconds of a turn at full speed: the best seen in 200 ms
 *     quiet any NS LIMIT_MS CPU...  waits until one of the processors takes at most NS * 1.1 a turn, and prints it;
 *                                   after LIMIT_MS the quickest of the last look
 *     quiet all NS LIMIT_MS CPU...  waits until all of them do
 */
#include "bench.h"

enum { TURNS = 1000000, LOOKS = 3 };

static double turn_ns(void)
{
    int64_t start = bench_now_ns();
    for (long i = 0; i < TURNS; i++)
        __asm__ volatile("" ::: "memory"); /* an add, or a compare, and the jump back */
    return (double)(bench_now_ns() - start) / TURNS;
}

static double worst_of_looks(void)
{
    double worst = 0;
    for (int i = 0; i < LOOKS; i++) {
        double ns = turn_ns();
        worst = ns > worst ? ns : worst;
    }
    return worst;
}

static int print_full_speed(void)
{
    double best = turn_ns();
    for (int64_t end = bench_now_ns() + 200 * 1000 * 1000; bench_now_ns() < end;) {
        double ns = turn_ns();
        best = ns < best ? ns : best;
    }
    printf("%.4f\n", best);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return print_full_speed();
    if (argc < 5) {
        fprintf(stderr, "usage: %s [any|all NS LIMIT_MS CPU...]\n", argv[0]);
        return 2;
    }
    bool all = strcmp(argv[1], "all") == 0;
    double most = strtod(argv[2], NULL) * 1.1;
    int64_t end = bench_now_ns() + strtol(argv[3], NULL, 10) * 1000 * 1000;
    const char *quickest = argv[4];
    for (;;) {
        double least = 1e9;
        int quiet = 0;
        for (int i = 4; i < argc; i++) {
            bench_pin((int)strtol(argv[i], NULL, 10));
            double ns = worst_of_looks();
            if (ns < least) {
                least = ns;
                quickest = argv[i];
            }
            quiet += ns <= most;
        }
        if ((all ? quiet == argc - 4 : quiet > 0) || bench_now_ns() >= end)
            break;
    }
    printf("%s\n", quickest);
    return 0;
}
