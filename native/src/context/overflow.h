/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overflow: turns the fault of a native lwt that outgrew its stack into a message that names it. Owns the process's
 * SIGSEGV handler from the first native lwt on, and passes everything else to the one that was there before: a JVM
 * handles its own faults (null checks, safepoint polls, its own guard zones) as ever.
 *
 * The handler needs a stack that has room left: every carrier has a signal stack.
 */
#ifndef WEFT_CONTEXT_OVERFLOW_H
#define WEFT_CONTEXT_OVERFLOW_H

#include <signal.h>

#include "base/panic.h"

/* Installs the handler, once. `describe` adds who the owner of the faulting stack is to a message; it runs in the
 * handler. 0 or a negative errno. */
int overflow_watch(void (*describe)(const void *owner, struct message *message));

/* A signal stack: allocated by one thread, used by another, which gets its old one back afterwards. */
struct overflow_signal_stack {
    void *memory;
    stack_t previous;
};
int overflow_signal_stack_alloc(struct overflow_signal_stack *stack); /* 0 or -ENOMEM */
void overflow_signal_stack_free(struct overflow_signal_stack *stack);
void overflow_signal_stack_on(struct overflow_signal_stack *stack);
void overflow_signal_stack_off(struct overflow_signal_stack *stack);

#endif
