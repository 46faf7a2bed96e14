/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every benchmark program in C and C++ here shares: its command line, its clock, its samples and its output.
 *
 *     program WORKLOAD SAMPLES SAMPLE_MS
 *
 * prints, for each sample, `sample WORKLOAD SUBJECT NS`: nanoseconds per operation over about SAMPLE_MS milliseconds.
 * An operation is what bench/README.md defines for the workload. What is needed to read a figure rightly goes out as
 * `note WORKLOAD SUBJECT text`. Finding out how many operations fill a sample is the warm-up.
 *
 * A workload is a function that does `count` operations and returns the nanoseconds they took; set-up and tear-down
 * stay outside the time it reports, or are so few that they do not show.
 */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xmmintrin.h>

typedef int64_t bench_run(int64_t count);

struct bench_workload {
    const char *name;    /* as on the command line */
    const char *subject; /* as in the output */
    bench_run *run;
    const char *note;    /* or NULL */
};

static inline int64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Ends the program with one sentence; a figure from a broken run must never be printed. */
static inline void bench_check(int result, const char *what)
{
    if (result == 0)
        return;
    fprintf(stderr, "%s failed with %d (%s)\n", what, result, strerror(result < 0 ? -result : result));
    exit(1);
}

/* The number of the nth processor that this process may use (counting from 0), or -1. */
static inline int bench_cpu(int nth)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set) && nth-- == 0)
            return cpu;
    return -1;
}

static inline void bench_pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    bench_check(pthread_setaffinity_np(pthread_self(), sizeof set, &set), "pinning a thread");
}

/*
 * Runs the workload with the floating-point exception flags clear, as they are in a program that has not computed yet.
 * Without this the division between two samples leaves `inexact` set on one side of a switch, and a library that saves
 * MXCSR whole (Boost does) reloads a different value at every switch: 65 ns in place of 5. Peers get their best case.
 */
static inline int64_t bench_timed(bench_run *run, int64_t count)
{
    _mm_setcsr(_mm_getcsr() & ~_MM_EXCEPT_MASK);
    return run(count);
}

static inline int bench_main(int argc, char **argv, const struct bench_workload *workloads, size_t size)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s WORKLOAD SAMPLES SAMPLE_MS\n", argv[0]);
        return 2;
    }
    int samples = atoi(argv[2]);
    int64_t sample_ns = atoll(argv[3]) * 1000000;
    for (size_t i = 0; i < size; i++) {
        const struct bench_workload *w = &workloads[i];
        if (strcmp(w->name, argv[1]) != 0)
            continue;
        int64_t count = 1000, took = bench_timed(w->run, count);
        while (took < sample_ns / 4) {
            count *= took < sample_ns / 32 ? 8 : 2;
            took = bench_timed(w->run, count);
        }
        count = (int64_t)((double)count * (double)sample_ns / (double)took) / 1000 * 1000;
        if (count < 1000)
            count = 1000;
        /* "a@b" on the command line is a variant of workload a */
        int length = (int)strcspn(w->name, "@");
        for (int s = 0; s < samples; s++) {
            took = bench_timed(w->run, count);
            printf("sample %.*s %s %.3f\n", length, w->name, w->subject, (double)took / (double)count);
            fflush(stdout);
        }
        if (w->note)
            printf("note %.*s %s %s\n", length, w->name, w->subject, w->note);
        return 0;
    }
    fprintf(stderr, "%s knows no workload %s\n", argv[0], argv[1]);
    return 2;
}

#endif
