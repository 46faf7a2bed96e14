/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info: a port that the floor above fills, because channels are its own.
 */
#ifndef WEFT_SCHED_INFO_H
#define WEFT_SCHED_INFO_H

#include <stdint.h>

#include "base/atomic.h"

struct info_port {
    /* How many channels live; NULL until the first one was created. Every creation writes it, with the same value;
     * relaxed: what it counts is read relaxed, too. */
    SHARED(uint64_t (*)(void)) count_channels;
};
extern struct info_port info_port;

#endif
