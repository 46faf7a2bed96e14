/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abi: what a binding to another language needs besides the contract: versions, sizes and offsets to check itself
 * against, and the hot calls in a form that spares the thread-local look-up.
 *
 * The `_as` forms take the caller's own control block, as weft_abi_self() gave it to that same lwt after it was
 * adopted; it is valid until it leaves. They are meant for bindings that keep it in a field of the thread object,
 * where users cannot reach it. Any other pointer is undefined behaviour.
 */
#ifndef WEFT_ABI_H
#define WEFT_ABI_H

#include "types.h"

WEFT_BEGIN

#define WEFT_ABI_VERSION 1

/* The part of an lwt's control block that a binding may read. */
struct weft_self {
    uint64_t value; /* after a successful weft_chan_recv_as() or weft_cgrp_wait_as(): the word, or the channel's id */
    uint64_t mark;  /* after a successful weft_cgrp_wait_as(): the mark */
    uint64_t id;    /* the lwt's handle */
};

/* WEFT_ABI_VERSION of the library. Does not fail or block. */
WEFT_API int weft_abi_version(void);

/* The calling lwt's control block, or NULL on a plain thread. Does not block. */
WEFT_API struct weft_self *weft_abi_self(void);

/* weft_lwt_yield(), weft_lwt_park(), weft_chan_send_until(), weft_chan_recv_until(), weft_chan_claim_until(),
 * weft_chan_take_until() and weft_cgrp_wait_until() of the lwt whose control block is given; results as there, positions to
 * self->value. Whose end it is they do not check: see weft_chan_bind(). */
WEFT_API void weft_lwt_yield_as(struct weft_self *self);
WEFT_API int weft_lwt_park_as(struct weft_self *self, int64_t deadline_ns);
WEFT_API int weft_chan_send_as(struct weft_self *self, weft_chan_t chan, uint64_t value, int64_t deadline_ns);
WEFT_API int weft_chan_recv_as(struct weft_self *self, weft_chan_t chan, int64_t deadline_ns);
WEFT_API int weft_chan_claim_as(struct weft_self *self, weft_chan_t chan, int64_t deadline_ns);
WEFT_API int weft_chan_take_as(struct weft_self *self, weft_chan_t chan, int64_t deadline_ns);
WEFT_API int weft_cgrp_wait_as(struct weft_self *self, weft_cgrp_t cgrp, int64_t deadline_ns);

/*
 * A send or receive that completes in a few nanoseconds or not at all: the channel is used by the caller's kthd only,
 * and an lwt of it waits at the other end, or the buffer will do. Returns 0, or -EAGAIN: nothing was done, and the
 * forms above are to be called, which also say what is wrong, if anything is.
 * They never wait, switch, or make a system call: what a JVM wants of a function that it calls without leaving Java.
 */
WEFT_API int weft_chan_send_now_as(struct weft_self *self, weft_chan_t chan, uint64_t value);
WEFT_API int weft_chan_recv_now_as(struct weft_self *self, weft_chan_t chan);

/* The monotonic clock that deadlines are on, in nanoseconds. Does not fail or block. */
WEFT_API int64_t weft_abi_now_ns(void);

WEFT_END
#endif
