/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handles, and the few words that every other header needs. Owns no function.
 */
#ifndef WEFT_TYPES_H
#define WEFT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEFT_BEGIN extern "C" {
#define WEFT_END }
#define WEFT_NORETURN [[noreturn]]
#else
#define WEFT_BEGIN
#define WEFT_END
#define WEFT_NORETURN _Noreturn
#endif

/* A function of the contract: the library exports these and nothing else. */
#define WEFT_API __attribute__((visibility("default")))

/*
 * Handles. Distinct types, so that the compiler tells a channel from a group; each is one word that can be stored,
 * compared and sent over a channel:
 *
 *     63            32 31   28 27              0
 *     +---------------+-------+-----------------+
 *     |  generation   | kind  |      index      |
 *     +---------------+-------+-----------------+
 */
typedef struct { uint64_t id; } weft_lwt_t;
typedef struct { uint64_t id; } weft_kthd_t;
typedef struct { uint64_t id; } weft_chan_t;
typedef struct { uint64_t id; } weft_cgrp_t;

/* The deadline that never comes. */
#define WEFT_FOREVER INT64_MAX

/* Longest name of an lwt or kthd, in bytes, with the closing zero; a longer one is cut. */
#define WEFT_NAME_SIZE 32

#endif
