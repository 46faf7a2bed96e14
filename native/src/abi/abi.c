/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a binding asks before it trusts the library: version and clock. The hot calls live with their nouns.
 */
#include "weft/abi.h"

#include "base/clock.h"

int weft_abi_version(void) { return WEFT_ABI_VERSION; }

int64_t weft_abi_now_ns(void) { return clock_now_ns(); }
