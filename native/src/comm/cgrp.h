/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgrp: what a channel tells its group. See cgrp.c.
 */
#ifndef WEFT_COMM_CGRP_H
#define WEFT_COMM_CGRP_H

#include "weft/cgrp.h"

#include "comm/chan.h"

/* The channel, a member that the caller is inside of, has become ready: its group queues it and tells who waits. */
void cgrp_announce(struct weft_chan *chan, struct weft_kthd *here, struct op_list *wake);

/* The channel, which the caller is inside of, leaves its group. True: an event was pending for it. */
bool cgrp_forget(struct weft_chan *chan, struct weft_kthd *here);

#endif
