/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info: a port that the floor above fills, because channels are its own.
 */
#ifndef WEFT_SCHED_INFO_H
#define WEFT_SCHED_INFO_H

#include <stdint.h>

/* How many channels live; NULL until the first one was created. */
extern uint64_t (*info_count_channels)(void);

#endif
