/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op: an operation on a channel or group that is under way, for callers that wait in a way of their own: an event
 * loop, or a Java virtual thread. The blocking forms in chan.h and cgrp.h are start + wait on such an op.
 *
 *     start --(done at once)--> 0 or an error               the op is free
 *       |
 *     -EINPROGRESS: the op is queued; the memory is weft's
 *       |-- weft_op_wait      a plain thread sleeps for it
 *       |-- weft_op_cancel    withdraws it, unless it has completed
 *       +-- weft_op_poll      -EINPROGRESS until it has completed, then its result
 *
 * An op with a token announces its completion: the token is queued, once, for weft_op_completed(). An op that was
 * withdrawn by weft_op_cancel() does not.
 */
#ifndef WEFT_OP_H
#define WEFT_OP_H

#include "types.h"

WEFT_BEGIN

/* Owned by the caller while no operation is under way; need not be initialised. 16-byte aligned. */
struct weft_op {
    uint64_t value; /* after a receive: the word. After a claim or take: the position. After a group wait: the ready channel's id */
    uint64_t mark;  /* after a group wait: the mark */
    uint64_t private_[12];
};

/*
 * Start a send, a receive, their halves, a wait for a group. `token` is announced on completion; 0: none.
 * Return 0 if it completed at once, -EINPROGRESS if it is under way, or an error of the try-form other than -EAGAIN.
 * -EINVAL: op is NULL or misaligned. Do not block.
 */
WEFT_API int weft_chan_send_start(weft_chan_t chan, uint64_t value, struct weft_op *op, uint64_t token);
WEFT_API int weft_chan_recv_start(weft_chan_t chan, struct weft_op *op, uint64_t token);
WEFT_API int weft_chan_claim_start(weft_chan_t chan, struct weft_op *op, uint64_t token);
WEFT_API int weft_chan_take_start(weft_chan_t chan, struct weft_op *op, uint64_t token);
WEFT_API int weft_cgrp_wait_start(weft_cgrp_t cgrp, struct weft_op *op, uint64_t token);

/* The result of a started operation, or -EINPROGRESS. Does not block. Only the thread that started it, or one that
 * is ordered after it. */
WEFT_API int weft_op_poll(struct weft_op *op);

/* Sleeps in the kernel until it completes and returns its result; -ETIMEDOUT: the deadline passed and it was
 * withdrawn. -EPERM: the caller is an lwt on its carrier, which must use the blocking forms. Only an op that was started
 * without token. */
WEFT_API int weft_op_wait(struct weft_op *op, int64_t deadline_ns);

/* Withdraws the operation: 0, and it never happened; a thread in weft_op_wait() returns `reason`, a negative errno.
 * Or -EALREADY: it has completed, its result stands. Does not block. Any thread, while the op's memory lives. */
WEFT_API int weft_op_cancel(struct weft_op *op, int reason);

/*
 * Takes the tokens of completed operations, in order of completion, up to `max` (at least 1) into `tokens`; sleeps
 * in the kernel until there is one. Returns their number; -ETIMEDOUT, -EINVAL. For one thread at a time (-EBUSY).
 */
WEFT_API int weft_op_completed(uint64_t *tokens, int max, int64_t deadline_ns);

WEFT_END
#endif
