/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See panic.h. Everything here is async-signal-safe and touches no thread-local storage.
 */
#include "base/panic.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/sys.h"

void message_text(struct message *m, const char *text)
{
    while (*text && m->length < sizeof m->text)
        m->text[m->length++] = *text++;
}

static void message_in_base(struct message *m, uint64_t number, unsigned base)
{
    char digits[24];
    size_t n = 0;
    do {
        digits[n++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    while (n && m->length < sizeof m->text)
        m->text[m->length++] = digits[--n];
}

void message_number(struct message *m, uint64_t number) { message_in_base(m, number, 10); }

void message_hex(struct message *m, uint64_t number)
{
    message_text(m, "0x");
    message_in_base(m, number, 16);
}

void message_print(const struct message *m)
{
    raw_syscall(SYS_write, 2, (long)m->text, (long)m->length, 0, 0, 0);
}

_Noreturn void panic_at(const char *file, int line, const char *words)
{
    struct message m = {.length = 0};
    message_text(&m, "weft: broken invariant: ");
    message_text(&m, words);
    message_text(&m, " (");
    message_text(&m, file);
    message_text(&m, ":");
    message_number(&m, (uint64_t)line);
    message_text(&m, ")\n");
    message_print(&m);
    sys_abort();
}
