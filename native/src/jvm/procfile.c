/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See procfile.h. System calls are made raw, as everywhere in the core: a caller's errno is left alone.
 */
#include "jvm/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/sys.h"

bool procfile_join(char *out, size_t size_bytes, const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length + b_length >= size_bytes)
        return false;
    memcpy(out, a, a_length);
    memcpy(out + a_length, b, b_length + 1);
    return true;
}

bool procfile_open(struct procfile *file, const char *root, const char *path)
{
    char full[PROCFILE_PATH_SIZE];
    file->position = file->filled = 0;
    file->fd = -1;
    if (!procfile_join(full, sizeof full, root, path))
        return false;
    file->fd = (int)raw_syscall(SYS_openat, AT_FDCWD, (long)full, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    return file->fd >= 0;
}

void procfile_close(struct procfile *file)
{
    if (file->fd >= 0)
        raw_syscall(SYS_close, file->fd, 0, 0, 0, 0, 0);
    file->fd = -1;
}

/* Makes at least one unread byte available; false at the end of the file, and on an error, which is the same here. */
static bool fill(struct procfile *file)
{
    if (file->position < file->filled)
        return true;
    long r;
    do
        r = raw_syscall(SYS_read, file->fd, (long)file->buffer, sizeof file->buffer, 0, 0, 0);
    while (r == -EINTR);
    file->position = 0;
    file->filled = r > 0 ? (size_t)r : 0;
    return r > 0;
}

bool procfile_line(struct procfile *file, char *line, size_t size_bytes)
{
    size_t length = 0;
    if (!fill(file))
        return false;
    while (fill(file)) {
        char c = file->buffer[file->position++];
        if (c == '\n')
            break;
        if (length + 1 < size_bytes)
            line[length++] = c;
    }
    line[length] = 0;
    return true;
}

uint64_t procfile_count_lines(struct procfile *file)
{
    uint64_t lines = 0;
    while (fill(file)) {
        const char *from = file->buffer + file->position, *end = file->buffer + file->filled;
        while ((from = memchr(from, '\n', (size_t)(end - from)))) {
            lines++;
            from++;
        }
        file->position = file->filled;
    }
    return lines;
}

const char *procfile_parse(const char *text, uint64_t *out)
{
    while (*text == ' ' || *text == '\t')
        text++;
    if (!strncmp(text, "max", 3) || !strncmp(text, "unlimited", 9)) {
        *out = PROCFILE_UNLIMITED;
        return text + (*text == 'm' ? 3 : 9);
    }
    if (*text < '0' || *text > '9')
        return NULL;
    uint64_t number = 0;
    bool too_large = false;
    for (; *text >= '0' && *text <= '9'; text++)
        too_large |= __builtin_mul_overflow(number, 10, &number) ||
                     __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number);
    *out = too_large ? PROCFILE_UNLIMITED : number;
    return text;
}

bool procfile_number(const char *root, const char *path, uint64_t *out)
{
    struct procfile file;
    char line[64];
    if (!procfile_open(&file, root, path))
        return false;
    bool found = procfile_line(&file, line, sizeof line) && procfile_parse(line, out);
    procfile_close(&file);
    return found;
}
