/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vet: refuses functions for native lwts that are not code of a loaded executable or library.
 *
 * A native lwt has no JavaThread. Java code on it would find the carrier's, whose stack it is not on, and the VM would
 * go down in a way that nobody could explain. What leads into Java is an upcall stub, made by the VM at run time in
 * memory that belongs to no object; so are the thunks of other JITs, which may be sound but cannot be told from it.
 *
 * This is no proof (a library's function may well call a stub that it was given), but it catches the mistake that one
 * makes. Owns a small table of functions that passed, because looking a symbol up takes microseconds and a lock, and a
 * program that creates millions of lwts creates them of few functions.
 */
#define _GNU_SOURCE
#include "jvm/vet.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>

#include "base/atomic.h"

/* Written by whoever vetted, read by everybody; relaxed: an entry is one word and speaks for itself. A library that is
 * unloaded leaves its entries behind; to create an lwt of its function then is a mistake of another kind. */
static SHARED(uintptr_t) passed[256];

int vet_function(void *(*fn)(void *))
{
    uintptr_t address = (uintptr_t)fn;
    size_t place = (address ^ address >> 8) % (sizeof passed / sizeof *passed);
    if (load_relaxed(&passed[place]) == address)
        return 0;
    Dl_info info;
    if (!dladdr((void *)address, &info))
        return -EACCES;
    store_relaxed(&passed[place], address);
    return 0;
}
