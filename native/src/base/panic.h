/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the process when an invariant of ours is broken: file, line and the invariant in words, on standard
 * error, by raw system calls only (it may run on any stack, in a signal handler, with any FS base).
 */
#ifndef WEFT_BASE_PANIC_H
#define WEFT_BASE_PANIC_H

#include "base/compiler.h"

_Noreturn void panic_at(const char *file, int line, const char *words) COLD;

#define panic(words) panic_at(__FILE__, __LINE__, words)
#define invariant(condition, words) do { if (unlikely(!(condition))) panic(words); } while (0)

/* Builds a message without memory, locks or locale: for signal handlers. */
struct message {
    char text[512];
    size_t length;
};
void message_text(struct message *m, const char *text);
void message_number(struct message *m, uint64_t number);
void message_hex(struct message *m, uint64_t number);
void message_print(const struct message *m); /* to standard error */

#endif
