/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jvm: what weft needs of a HotSpot JVM that it was loaded into. The Java library calls these; a C program has no use
 * for them.
 */
#ifndef WEFT_JVM_H
#define WEFT_JVM_H

#include "types.h"

WEFT_BEGIN

enum weft_jvm_flags {
    WEFT_JVM_NO_HOOK = 1, /* do not touch libjvm: a blocking lwt then holds up its kthd */
};

/* What weft_jvm_attach() found and did. */
enum weft_jvm_result {
    WEFT_JVM_HOOKED = 1,   /* blocking Java code steps aside */
    WEFT_JVM_UNHOOKED = 2, /* works, but a blocking lwt holds up its kthd: switched off, or refused (buf says why) */
};

/*
 * Prepares the process: checks the platform and the VM, runs the self-test, and redirects libjvm's calls of
 * pthread_cond_wait and pthread_cond_timedwait, so that an lwt that is about to block in the VM steps aside first.
 * Idempotent: later calls give the first call's result.
 *   buf   receives one sentence: on an error what is wrong, on WEFT_JVM_UNHOOKED why; else it is empty, or a warning
 *         (a memory allocator that keeps state by processor is loaded)
 * Returns enum weft_jvm_result, or -ENOTSUP (wrong platform, musl, not HotSpot, shadow stacks, a sanitizer in the
 * process, self-test failed), -EINVAL (unknown flag).
 * Blocks for some milliseconds.
 */
WEFT_API int weft_jvm_attach(uint32_t flags, char *buf, size_t size_bytes);

/*
 * The self-test by itself: two threads adopt themselves to two kthds, switch, migrate, check their thread-local
 * storage and floating-point control words, and get a signal that was sent to a parked kernel thread.
 * Returns 0 or -ENOTSUP with a sentence in buf. Blocks, two seconds at most.
 */
WEFT_API int weft_jvm_selftest(char *buf, size_t size_bytes);

/* A limit that bounds the number of threads, and how near it is. */
struct weft_limit {
    char name[64];    /* as a user knows it: "cgroup pids.max", "kernel.threads-max", "vm.max_map_count" ... */
    uint64_t maximum; /* the limit's value */
    uint64_t used;    /* of it, now */
    uint64_t threads; /* how many more Java threads it leaves room for */
};

/*
 * Finds the system limit that leaves room for the fewest further Java threads. Reads files under /proc and /sys:
 * some 100 us. Returns 0; -ENOTSUP if none of them can be read. Does not block.
 */
WEFT_API int weft_jvm_thread_headroom(struct weft_limit *out);

/* Signals that parked kernel threads passed on to the carrier that ran their thread, since the start; for tests and
 * diagnosis. Does not fail or block. */
WEFT_API uint64_t weft_jvm_signals_forwarded(void);

/* How often an lwt stepped aside because the VM was about to block it, since the start. Does not fail or block. */
WEFT_API uint64_t weft_jvm_steps_aside(void);

WEFT_END
#endif
