/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vet: keeps Java code off native lwts. See vet.c.
 */
#ifndef WEFT_JVM_VET_H
#define WEFT_JVM_VET_H

/* 0 if fn is code of a loaded executable or library, else -EACCES. */
int vet_function(void *(*fn)(void *));

#endif
