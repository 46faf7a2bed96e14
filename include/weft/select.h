/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select: waits for sends and receives on several channels and does one of them.
 *
 *     struct weft_case cases[] = {
 *         {.chan = in, .op = WEFT_SELECT_RECEIVE},
 *         {.chan = out, .op = WEFT_SELECT_SEND, .value = 42},
 *     };
 *     switch (weft_select(cases, 2, WEFT_SELECT_FIFO, WEFT_FOREVER)) {
 *     case 0: if (!cases[0].result) use(cases[0].value); break;
 *     case 1: break;
 *     }
 *
 * One case fires, or none: the words of the others are not sent, and nothing is received for them. That none can fire, and
 * that none with priority can, is found of one instant: as long as one of the channels is ready at every moment,
 * weft_try_select() fires. A case of a closed channel fires, with the result -EPIPE; one that receives, after what is
 * buffered. A channel may stand in several cases, also at both ends: a select does not meet itself.
 *
 * Which case fires of several that can:
 *
 *   FIFO       the one whose turn it is: the next, in the order of the array, after the one that fired last. So each that
 *              stays ready fires at least once in `count` times. The turn is kept in the array; one that is cleared before
 *              each use begins anywhere, at random.
 *   PRIORITY   the first in the array
 *   RANDOM     each as likely as the others
 *
 * If none can and the select waits, it is the one whose partner comes first, whatever the order.
 *
 * Source: Hoare's alternative command; Go's select.
 */
#ifndef WEFT_SELECT_H
#define WEFT_SELECT_H

#include "abi.h"
#include "op.h"
#include "types.h"

WEFT_BEGIN

#define WEFT_SELECT_MAX_CASES 1024

enum weft_select_op {
    WEFT_SELECT_SKIP = 0, /* this case never fires: for cases that are switched off for a while */
    WEFT_SELECT_SEND = 1,
    WEFT_SELECT_RECEIVE = 2,
};

enum weft_select_order {
    WEFT_SELECT_FIFO = 0,
    WEFT_SELECT_PRIORITY = 1,
    WEFT_SELECT_RANDOM = 2,
};

struct weft_case {
    weft_chan_t chan;
    uint32_t op;          /* enum weft_select_op */
    int32_t result;       /* out: of the case that fired: 0, or -EPIPE. After an error: the error, of the case at fault; else 0 */
    uint64_t value;       /* in: the word to send. Out: the word received; of an IN_PLACE channel the position claimed or taken */
    uint16_t private_[4]; /* weft's, from one select to the next; any content will do at first */
};

/*
 * Waits until a case can fire, and fires it.
 *   weft_select       waits until the deadline
 *   weft_try_select   never waits
 *   cases   `count` of them, 1 to WEFT_SELECT_MAX_CASES; the caller's, but not to be touched during the call
 *   order   enum weft_select_order
 * Returns the index of the case that fired: look at its result. Errors: -ETIMEDOUT, for the try-form -EAGAIN, -EINTR (lwts
 *         only), -EBADF (a case's channel), -EUSERS (a single end, and somebody else's), -EINVAL (a case's op; or count, order,
 *         and then no case says so), -ENOMEM (more than 8 cases, and it has to wait, or several threads use the channels). Then no
 *         case has fired. A case at fault may be noticed only when no case before it can fire.
 */
WEFT_API int weft_select(struct weft_case *cases, uint32_t count, uint32_t order, int64_t deadline_ns);
WEFT_API int weft_try_select(struct weft_case *cases, uint32_t count, uint32_t order);

/* weft_select() for bindings: of the lwt whose control block is given, or of a plain thread (NULL). Whose single end it is
 * is not checked: see weft_chan_bind(). The try-form's deadline is INT64_MIN. */
WEFT_API int weft_select_as(struct weft_self *self, struct weft_case *cases, uint32_t count, uint32_t order,
                            int64_t deadline_ns);

/*
 * Starts a select for a caller that waits in a way of its own, as op.h says: `ops` are count + 1, of which the first stands
 * for the select, for weft_op_poll(), weft_op_wait(), weft_op_cancel() and by its token. Returns the index of a case that
 * fired at once; or -EINPROGRESS, and from then until weft_select_finish() ops and cases are weft's; or an error of
 * weft_select(), which memory cannot be. -EINVAL: ops is NULL or misaligned. Does not block. Does not check whose end it is.
 */
WEFT_API int weft_select_start(struct weft_case *cases, uint32_t count, uint32_t order, struct weft_op *ops,
                               uint64_t token);

/*
 * Ends a started select, with the same arguments: withdraws the cases that did not fire. Returns the index of the one that
 * did, or the reason it was cancelled with; or -EINPROGRESS, and has done nothing: it is still under way. Does not block.
 */
WEFT_API int weft_select_finish(struct weft_case *cases, uint32_t count, uint32_t order, struct weft_op *ops);

WEFT_END
#endif
