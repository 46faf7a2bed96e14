/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the assembly of yield finds what it needs in struct weft_lwt and struct weft_kthd; lwt.c holds it against C.
 */
#ifndef WEFT_SCHED_YIELD_X86_64_H
#define WEFT_SCHED_YIELD_X86_64_H

#define LWT_NEXT 8
#define LWT_FS 32
#define LWT_KTHD 104
#define LWT_SELF 128
#define KTHD_CURRENT 64
#define KTHD_TURNS 108
#define KTHD_TURNS_GIVEN 112
#define KTHD_INBOX 192

#endif
