/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the small text files of /proc and /sys line by line, without memory, locks or errno, so that a limit can be
 * looked at where memory has just run out. Trusts nothing in them: a line that is too long is cut, a number that does
 * not parse is no number. Owns no state; any thread.
 */
#ifndef WEFT_JVM_PROCFILE_H
#define WEFT_JVM_PROCFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCFILE_PATH_SIZE 1024
#define PROCFILE_LINE_SIZE 1024

/* One file that is being read. Large (a page): it lives on the caller's stack, one at a time. */
struct procfile {
    int fd;
    size_t position; /* of the next unread byte in `buffer` */
    size_t filled;
    char buffer[4096]; /* seq_file gives at most a page at a time anyway */
};

/* Opens root + path for reading. False if there is no such file, it is not readable, or the path is too long. */
bool procfile_open(struct procfile *file, const char *root, const char *path);
void procfile_close(struct procfile *file);

/* The next line, without its end; longer than size_bytes - 1 it is cut. False at the end of the file. */
bool procfile_line(struct procfile *file, char *line, size_t size_bytes);

/* How many lines are left. */
uint64_t procfile_count_lines(struct procfile *file);

/* The number a one-line file holds; "max" is PROCFILE_UNLIMITED. False: no file, or no number. */
#define PROCFILE_UNLIMITED UINT64_MAX
bool procfile_number(const char *root, const char *path, uint64_t *out);

/* The decimal number at the head of `text`, blanks skipped; "max" and "unlimited" are PROCFILE_UNLIMITED. A number
 * beyond 64 bits is PROCFILE_UNLIMITED as well. Gives what follows it, or NULL if there is no number. */
const char *procfile_parse(const char *text, uint64_t *out);

/* a + b into `out`; false if it does not fit. */
bool procfile_join(char *out, size_t size_bytes, const char *a, const char *b);

#endif
