/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many words in one visit to a channel. See chan.h.
 */
#include <errno.h>
#include <limits.h>

#include "comm/chan.h"

/* Sends or receives until one cannot be done at once. Gives their number; *result is why it ended, 0: all done. */
static uint32_t do_what_can_be_done(weft_chan_t handle, struct wish *wish, const uint64_t *from, uint64_t *to,
                                    uint32_t count, int *result)
{
    bool owned;
    uint32_t done = 0;
    struct weft_lwt *self = lwt_current();
    struct weft_kthd *here = kthd_here(self);
    struct weft_chan *chan = chan_enter(handle, here, &owned);
    if (!chan) {
        *result = -EBADF;
        return 0;
    }
    OP_LIST(wake);
    *result = chan_check_wish(chan, wish, self, false);
    while (!*result && done < count) {
        wish->value = from ? from[done] : 0;
        wish->out = to ? &to[done] : NULL;
        *result = chan_complete_now(chan, wish, owned, here, &wake);
        done += !*result;
    }
    chan_leave(chan, here, owned);
    op_complete_all(here, &wake);
    return done;
}

int weft_chan_send_all(weft_chan_t chan, const uint64_t *values, uint32_t count, uint32_t *sent)
{
    struct wish wish = {.send = true};
    uint32_t done = 0;
    int r = values || !count ? 0 : -EINVAL;
    while (!r && done < count) {
        done += do_what_can_be_done(chan, &wish, values + done, NULL, count - done, &r);
        if (r == -EAGAIN) {
            r = weft_chan_send(chan, values[done]);
            done += !r;
        }
    }
    if (sent)
        *sent = done;
    return r;
}

int weft_chan_drain(weft_chan_t chan, uint64_t *values, uint32_t max)
{
    struct wish wish = {.send = false};
    int r;
    if (!values)
        return -EINVAL;
    uint32_t done = do_what_can_be_done(chan, &wish, NULL, values, max < INT_MAX ? max : INT_MAX, &r);
    return done || r == -EAGAIN ? (int)done : r;
}
