/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kthd: a run queue of lwts and the right to run it. At any time one kernel thread, the carrier, owns a kthd and runs
 * its lwts one after the other, in FIFO order but for hand-overs (a woken channel partner runs next, within a bound).
 * Any number of kthds may live, also more than there are processors.
 *
 * Source: the P of Go's M/P/G scheduler, with a fixed population in place of stealing; the kthd of the first seed.
 */
#ifndef WEFT_KTHD_H
#define WEFT_KTHD_H

#include "types.h"

WEFT_BEGIN

/* What a kthd does when none of its lwts is runnable. */
enum weft_idle {
    WEFT_IDLE_SPIN_THEN_PARK = 0, /* look for `spin_ns`, then sleep in the kernel; the default */
    WEFT_IDLE_PARK = 1,           /* sleep in the kernel at once; no processor time while idle */
    WEFT_IDLE_SPIN = 2,           /* never sleep; burns its processor, lowest latency */
};

enum weft_kthd_flags {
    WEFT_KTHD_EXTERNAL = 1, /* the caller provides the carrier: a thread of his that calls weft_kthd_run() */
};

struct weft_kthd_attr {
    const char *name;  /* copied; NULL: "kthd-N" */
    int32_t cpu;       /* processor to pin the carrier to; -1: none */
    uint32_t idle;     /* enum weft_idle */
    uint64_t spin_ns;  /* bound of the spin in WEFT_IDLE_SPIN_THEN_PARK, 0 to 1 s; default 20 us */
    uint32_t flags;    /* enum weft_kthd_flags */
    uint32_t reserved; /* zero */
};

/* The seeds' lwt_info: how many lwts and channels there are, by state. A snapshot taken without stopping anything:
 * each figure was true at some moment during the call, all of them together perhaps at none. */
struct weft_info {
    uint64_t lwts;      /* alive: created or adopted, not yet exited */
    uint64_t runnable;  /* running or waiting for their turn */
    uint64_t blocked;   /* waiting for something: a channel, a group, a join, an unpark */
    uint64_t loose;     /* adopted threads that stepped aside and run on their own kernel thread */
    uint64_t zombies;   /* exited, joinable, not joined yet; they hold no stack */
    uint64_t sending;   /* of the blocked: in a channel send */
    uint64_t receiving; /* of the blocked: in a channel receive */
    uint64_t channels;  /* channels alive in the process, whatever the kthd */
    uint64_t switches;  /* context switches since the start (of one kthd: on that kthd) */
};

/* Fills `attr` with the defaults. Does not fail or block. */
WEFT_API void weft_kthd_attr_init(struct weft_kthd_attr *attr);

/*
 * Creates a kthd. Unless WEFT_KTHD_EXTERNAL is set its carrier, a new pthread with all signals as the caller's,
 * starts at once; else lwts queue up until some thread calls weft_kthd_run().
 *   out    receives the handle; set only on success
 *   attr   NULL for the defaults; read during the call only
 * Errors: -EINVAL (unknown idle strategy or flag, reserved not zero, spin_ns over 1 s, cpu not in the process's affinity mask),
 *         -ENOSPC (4,095 kthds live), -ENOMEM, -EAGAIN (no more threads may be created),
 *         -ENOTSUP (the platform cannot run weft: no FSGSBASE, shadow stacks on; see weft_platform_check()).
 * Does not block. Any thread.
 */
WEFT_API int weft_kthd_create(weft_kthd_t *out, const struct weft_kthd_attr *attr);

/*
 * Carries an external kthd: runs its lwts on the calling thread until it is destroyed, then returns 0. The caller's
 * name, affinity and signal stack are restored on return.
 * Errors: -ESRCH, -EINVAL (not external), -EBUSY (has a carrier), -EPERM (the caller is an lwt or carrier itself).
 * Blocks. Plain threads only.
 */
WEFT_API int weft_kthd_run(weft_kthd_t kthd);

enum weft_kthd_destroy_flags {
    WEFT_KTHD_WAIT = 1, /* wait until its last lwt is gone, in place of refusing */
};

/*
 * Ends a kthd and its carrier. Without WEFT_KTHD_WAIT it refuses while lwts live on it; with it, it waits, and lwts
 * may go on being created there until the last is gone. On success the carrier has stopped and the handle is stale.
 * Errors: -ESRCH, -EBUSY (lwts live; or another thread is destroying it), -EDEADLK (with WEFT_KTHD_WAIT: the
 *         caller is an lwt of this kthd), -EINVAL (unknown flag). An lwt of the kthd itself without WEFT_KTHD_WAIT
 *         gets -EBUSY: it lives there.
 * May block (the kernel thread) also without WEFT_KTHD_WAIT, for as long as the carrier takes to stop.
 */
WEFT_API int weft_kthd_destroy(weft_kthd_t kthd, uint32_t flags);

/* The kthd the calling lwt belongs to, or the zero handle on a plain thread. Does not block. */
WEFT_API weft_kthd_t weft_kthd_current(void);

/* Copies the name into `buf` (at least WEFT_NAME_SIZE bytes hold every name; a smaller one is cut, always closed).
 * Errors: -ESRCH, -EINVAL (size_bytes is 0). Does not block. */
WEFT_API int weft_kthd_name(weft_kthd_t kthd, char *buf, size_t size_bytes);

/* Counts the lwts of one kthd. Walks the table of lwts: cost grows with the most that were ever alive.
 * Errors: -ESRCH. Does not block. */
WEFT_API int weft_kthd_info(weft_kthd_t kthd, struct weft_info *out);

/* Counts the lwts of the whole process; see weft_kthd_info(). Does not fail. */
WEFT_API void weft_info(struct weft_info *out);

/*
 * Whether this machine and process can run weft at all: x86-64 Linux with FSGSBASE enabled, no active shadow stack.
 * Returns 0, or -ENOTSUP with a sentence in `buf` that says what is missing (cut to size_bytes, always closed).
 * Setting WEFT_SLOW_FS=1 in the environment accepts a machine without FSGSBASE: switches between adopted threads
 * then cost a system call. Does not block. Any thread, before anything else.
 */
WEFT_API int weft_platform_check(char *buf, size_t size_bytes);

WEFT_END
#endif
