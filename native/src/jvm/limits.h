/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: how many more threads the system will give. See limits.c; the public face is weft_jvm_thread_headroom().
 */
#ifndef WEFT_JVM_LIMITS_H
#define WEFT_JVM_LIMITS_H

#include "weft/jvm.h"

/* What is held back of a limit for the VM's own use: compiler and collector threads that come and go, heap and code
 * that is committed later. A VM that is refused one of those dies of it; a program that is refused an lwt does not. */
uint64_t limits_thread_reserve(uint64_t maximum);
uint64_t limits_map_reserve(uint64_t maximum);

/* Memory maps per Java thread that becomes an lwt: its stack, the VM's guard zone in it, and one for what merges less
 * well than hoped (a malloc arena, say); where guards cost maps (see context/stack.h), also its kernel thread's parking
 * stack and that one's guard. */
uint64_t limits_maps_per_thread(void);

/* weft_jvm_thread_headroom() on the /proc and /sys below `root` ("" for the real ones; tests give a folder). */
int limits_headroom_at(const char *root, struct weft_limit *out);

#endif
