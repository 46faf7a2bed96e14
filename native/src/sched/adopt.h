/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt: a figure for those who watch. Adoption itself is public, in weft/lwt.h.
 */
#ifndef WEFT_SCHED_ADOPT_H
#define WEFT_SCHED_ADOPT_H

#include <stdint.h>

/* Signals that parked kernel threads sent on to carriers, since the start. */
uint64_t adopt_signals_forwarded(void);

#endif
