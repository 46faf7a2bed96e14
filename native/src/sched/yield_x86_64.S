/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft_lwt_yield() and weft_lwt_yield_as(): what lwt.c says in C for builds with sanitizers, in assembly with the switch
 * in line. Entered on the stack of the lwt that goes, returns on that of the one that comes. The common case, two native
 * lwts, is one run of instructions without a jump, and one look-up of the thread-local's offset: 3.4 ns in the shared
 * library, where C took 4.2.
 *
 *     self = context_current                        nobody: a plain thread yields its processor
 *     if (--kthd.turns <= 0 || kthd.inbox)          yield_slow(self)
 *     next = self.next                              itself: alone, nothing to count
 *     kthd.current = next
 *     if (next.fs != self.fs)                       kthd_switch_fs(kthd, self, next)
 *     context_current = next; switch
 *
 * Weak symbols: where lwt.c is compiled with a sanitizer it defines them itself. The offsets are asserted there.
 */
#include "context/switch_x86_64.h"
#include "sched/yield_x86_64.h"

        .file   "yield_x86_64.S"
        .text
        .p2align 6
        .globl  weft_lwt_yield
        .weak   weft_lwt_yield
        .type   weft_lwt_yield, @function
weft_lwt_yield:
        .cfi_startproc
        endbr64
        movq    context_current@gottpoff(%rip), %rax
        movq    %fs:(%rax), %rdi
        testq   %rdi, %rdi
        jz      .Lnobody
        movq    LWT_KTHD(%rdi), %rdx
        movq    LWT_NEXT(%rdi), %rsi
        subl    $1, KTHD_TURNS(%rdx)
        jle     .Lslow
        cmpq    $0, KTHD_INBOX(%rdx)    # relaxed: kthd_poll() takes the list with acquire
        jne     .Lslow
        cmpq    %rsi, %rdi
        je      .Lalone
        movq    %rsi, KTHD_CURRENT(%rdx)
        movq    LWT_FS(%rdi), %rcx
        cmpq    LWT_FS(%rsi), %rcx
        jne     .Lfs
        movq    %rsi, %fs:(%rax)
        movq    (%rsp), %rcx
        save
        load
        check_control_words
        .cfi_remember_state
        go_back %rcx
        .cfi_restore_state

.Lnobody:
        jmp     sys_yield
.Lslow:
        jmp     yield_slow
.Lalone:
        subl    $1, KTHD_TURNS_GIVEN(%rdx) # no switch to count; but the turn is used up: timers must fire
        ret
.Lfs:
        movq    %rdx, %rcx
        movq    %rsi, %rdx
        movq    %rdi, %rsi
        movq    %rcx, %rdi
        jmp     kthd_switch_fs
        .cfi_endproc
        .size   weft_lwt_yield, . - weft_lwt_yield

/* The lwt in rdi, as its control block's part for bindings. Mostly between Java threads, each with its own FS base. */
        .p2align 6
        .globl  weft_lwt_yield_as
        .weak   weft_lwt_yield_as
        .type   weft_lwt_yield_as, @function
weft_lwt_yield_as:
        .cfi_startproc
        endbr64
        subq    $LWT_SELF, %rdi
        movq    LWT_KTHD(%rdi), %rdx
        subl    $1, KTHD_TURNS(%rdx)
        jle     .Lslow
        cmpq    $0, KTHD_INBOX(%rdx)
        jne     .Lslow
        movq    LWT_NEXT(%rdi), %rsi
        cmpq    %rsi, %rdi
        je      .Lalone
        movq    %rsi, KTHD_CURRENT(%rdx)
        jmp     .Lfs
        .cfi_endproc
        .size   weft_lwt_yield_as, . - weft_lwt_yield_as

        .section .note.gnu.property, "a"
        .p2align 3
        .long   4
        .long   16
        .long   5
        .asciz  "GNU"
        .long   0xc0000002
        .long   4
        .long   1
        .long   0
        .section .note.GNU-stack, "", @progbits
