/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwt: a lightweight thread. Two kinds, one scheduler, the same channels:
 *
 *   native lwt   a C function on a stack of weft's pool. It uses its carrier's thread-local storage. Millions fit.
 *   thread lwt   an ordinary pthread or Java thread that was adopted: it keeps its stack, thread-local storage and
 *                identity, and only its turns are given out in user space. Tens of thousands fit.
 *
 * Life of an lwt:
 *
 *     create/adopt --> READY <--> RUNNING --> ZOMBIE --> joined (handle stale)
 *                        ^           |          (native and joinable only; else the handle is stale at once)
 *                        +- BLOCKED <+
 *                        +-  LOOSE  <+   thread lwts: runs on its own kernel thread until its next weft call
 *
 * An lwt runs until it yields, blocks in a weft call, or exits: there is no preemption. A plain system call that
 * blocks, or an endless loop, holds up the other lwts of the same kthd (not those of others).
 */
#ifndef WEFT_LWT_H
#define WEFT_LWT_H

#include "types.h"

WEFT_BEGIN

enum weft_lwt_flags {
    WEFT_LWT_DETACHED = 1, /* not joinable: nothing of it stays when it exits (the seeds' LWT_NOJOIN) */
};

enum weft_lwt_state {
    WEFT_LWT_READY = 1,
    WEFT_LWT_RUNNING = 2,
    WEFT_LWT_BLOCKED = 3,
    WEFT_LWT_LOOSE = 4,
    WEFT_LWT_ZOMBIE = 5,
};

struct weft_lwt_attr {
    const char *name;        /* copied; NULL: none */
    uint64_t stack_bytes;    /* native lwts: 8 KiB to 64 MiB, rounded up to a power of two, and to what a signal frame
                                needs on this processor; 0: 64 KiB. The guard is part of it: 4 KiB, from 64 KiB up 16 */
    uint32_t flags;          /* enum weft_lwt_flags */
    uint32_t reserved;       /* zero */
};

/* Fills `attr` with the defaults. Does not fail or block. */
WEFT_API void weft_lwt_attr_init(struct weft_lwt_attr *attr);

/*
 * Creates a native lwt that runs fn(arg) on `kthd`, and queues it there; the caller goes on running.
 *   out    receives the handle; may be NULL for a detached lwt. After an error: as before, or zero
 *   kthd   where it will live; the zero handle: the caller's own
 *   fn     its value is what weft_lwt_join() gives; not NULL
 *   attr   NULL for the defaults; read during the call only
 * Errors: -EINVAL (fn NULL, unknown flag, reserved not zero, stack size out of range, out NULL though joinable), -ESRCH (no such kthd),
 *         -EPERM (zero kthd on a plain thread), -ENOSPC (table full), -ENOMEM (no memory, or the limit on memory
 *         maps is reached), -EACCES (fn lies in no loaded executable or library: a Java upcall stub, say; no Java
 *         code may run on a native lwt. Only checked in a Java VM).
 * Does not block. Any thread.
 * Example:
 *     static void *twice(void *arg) { return (void *)(2 * (intptr_t)arg); }
 *     weft_lwt_t lwt; void *value;
 *     weft_lwt_create(&lwt, kthd, twice, (void *)21, NULL);
 *     weft_lwt_join(lwt, &value);       // value is 42
 */
WEFT_API int weft_lwt_create(weft_lwt_t *out, weft_kthd_t kthd, void *(*fn)(void *), void *arg,
                             const struct weft_lwt_attr *attr);

/* Ends the calling native lwt from any depth, with this value for its joiner. Its C frames are dropped without
 * unwinding. On a thread lwt or a plain thread the process is aborted with a message: let those return. */
WEFT_API WEFT_NORETURN void weft_lwt_exit(void *value);

/*
 * Waits until the lwt has exited, takes its value and frees its record; afterwards the handle is stale. Any thread
 * may join, once.
 *   value   receives fn's result or weft_lwt_exit()'s argument; may be NULL
 * Errors: -ESRCH (no such lwt, or joined already), -EINVAL (it is detached or a thread lwt), -EDEADLK (it is the
 *         caller, or waits in a chain of joins for the caller), -EBUSY (another thread is joining it), -EINTR, and
 *         for the second form -ETIMEDOUT; the lwt can be joined again after those.
 * Blocks.
 */
WEFT_API int weft_lwt_join(weft_lwt_t lwt, void **value);
WEFT_API int weft_lwt_join_until(weft_lwt_t lwt, void **value, int64_t deadline_ns);

/* Makes a joinable lwt detached; if it has exited, its record is freed now.
 * Errors: -ESRCH, -EINVAL (it is detached already, or a thread lwt), -EBUSY (somebody is joining it).
 * Does not block. */
WEFT_API int weft_lwt_detach(weft_lwt_t lwt);

/* Gives the turn to the next runnable lwt of this kthd and queues the caller behind the others. Returns at once if
 * there is none. On a plain thread: sched_yield(). On a loose lwt: rejoins its kthd first. */
WEFT_API void weft_lwt_yield(void);

/* Gives the turn to this very lwt, before all others. Returns 0 after the caller's next turn has come, or at once
 * with: -ESRCH (no such lwt), -EAGAIN (it is not waiting for a turn: blocked, exited, loose), -EINVAL (it lives on
 * another kthd, or is the caller), -EPERM (the caller is no lwt). */
WEFT_API int weft_lwt_yield_to(weft_lwt_t lwt);

/* The calling lwt, or the zero handle on a plain thread. Does not block. */
WEFT_API weft_lwt_t weft_lwt_current(void);

/* The calling lwt's id: the same number as its handle, 0 on a plain thread. Async-signal-safe. On a native lwt it is
 * computed from the stack pointer, so it is right at every instruction, also inside a switch.
 * Source: the second seed computes its ids so. */
WEFT_API uint64_t weft_lwt_id(void);

/* Copies an lwt's name as weft_kthd_name() does; an unnamed lwt's is empty. Errors: -ESRCH, -EINVAL. */
WEFT_API int weft_lwt_name(weft_lwt_t lwt, char *buf, size_t size_bytes);

/* The state, of enum weft_lwt_state, at some moment during the call; -ESRCH. Does not block. */
WEFT_API int weft_lwt_state(weft_lwt_t lwt);

/* The kthd it lives on, into `out`. Errors: -ESRCH. Does not block. */
WEFT_API int weft_lwt_kthd(weft_lwt_t lwt, weft_kthd_t *out);

/* Moves the calling lwt to another kthd; returns there after its turn has come. To its own kthd it is a yield.
 * Errors: -ESRCH (no such kthd), -EPERM (not an lwt). */
WEFT_API int weft_lwt_migrate(weft_kthd_t to);

/*
 * Makes the calling thread an lwt of `kthd`; returns when its first turn has come, then running on the kthd's
 * carrier. Its own kernel thread sleeps with all signals blocked until weft_lwt_leave(). It passes on to the carrier
 * what a JVM sends to its threads (SIGUSR2 or the signal that _JAVA_SR_SIGNUM names, SIGRTMAX-2, SIGILL); others that
 * are sent to it by thread id stay pending until it leaves. It is woken by SIGURG. What a program keys on the kernel's
 * thread id, affinity, nice value or CPU-time clock is the carrier's in between. If the thread ends without leaving,
 * it leaves by itself.
 *   kthd   where it will live
 *   attr   name only; NULL for the defaults
 * Errors: -ESRCH, -EINVAL (flags, stack size or `reserved` given), -EPERM (an lwt or carrier already), -ENOMEM, -ENOSPC,
 *         -ENOTSUP (no FSGSBASE, or shadow stacks).
 * Blocks until the first turn.
 */
WEFT_API int weft_lwt_adopt(weft_kthd_t kthd, const struct weft_lwt_attr *attr);

/* Makes an adopted thread a plain thread again, on its own kernel thread, with the signal mask that it had.
 * Errors: -EPERM (not an adopted thread). Blocks while its kernel thread wakes up. */
WEFT_API int weft_lwt_leave(void);

/*
 * The calling thread lwt goes to its own kernel thread and runs there, loose, beside its kthd, until its next weft
 * call that yields or blocks: the way to make a long system call without holding up the others.
 * Returns 0; also on a loose lwt and on a plain thread, where it does nothing. -ENOTSUP on a native lwt, which has
 * no kernel thread of its own. Blocks while its kernel thread wakes up.
 */
WEFT_API int weft_lwt_step_aside(void);

/*
 * Waits for a permit, and takes it. A permit that came before is taken without waiting; permits do not add up.
 * Errors: -EPERM (not an lwt), -ETIMEDOUT, -EINTR; there are no other wake-ups. Blocks.
 * Source: Java's LockSupport.
 */
WEFT_API int weft_lwt_park(int64_t deadline_ns);

/* Gives the lwt a permit; if it is parked it becomes runnable. Errors: -ESRCH. Does not block. Any thread. (An lwt that
 * exits during this very call may leave its permit to a later one: unpark what is known to live.) */
WEFT_API int weft_lwt_unpark(weft_lwt_t lwt);

/* Ends the lwt's present wait in a channel, group, join or park with -EINTR; if it is not in one, its next wait ends
 * so. Interrupts do not add up. Errors: -ESRCH, -ENOMEM. Does not block. Any thread. */
WEFT_API int weft_lwt_interrupt(weft_lwt_t lwt);

WEFT_END
#endif
