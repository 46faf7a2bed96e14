/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the frequency of the time-stamp counter in Hz, measured against CLOCK_MONOTONIC over 100 ms, three times, the
 * median. The table's cycles are nanoseconds times this; where the processor clocks itself up they are fewer than the
 * cycles of its core.
 */
#include "bench.h"

#include <x86intrin.h>

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    double hz[3];
    for (int i = 0; i < 3; i++) {
        int64_t start = bench_now_ns(), now;
        uint64_t tsc = __rdtsc();
        while ((now = bench_now_ns()) - start < 100 * 1000 * 1000)
            ;
        hz[i] = (double)(__rdtsc() - tsc) * 1e9 / (double)(now - start);
    }
    qsort(hz, 3, sizeof *hz, by_size);
    printf("%.0f\n", hz[1]);
    return 0;
}
