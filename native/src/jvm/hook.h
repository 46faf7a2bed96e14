/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook: lets an lwt step aside before the VM blocks it. See hook.c.
 */
#ifndef WEFT_JVM_HOOK_H
#define WEFT_JVM_HOOK_H

#include <stddef.h>

/*
 * Redirects the calls of pthread_cond_wait and pthread_cond_timedwait that one loaded object makes.
 *   inside   any address in that object: libjvm
 * Returns 0, or -ENOTSUP with a sentence in buf; then nothing was changed. Once per process.
 */
int hook_install(const void *inside, char *buf, size_t size_bytes);

#endif
