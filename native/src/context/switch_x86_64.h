/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three parts of a switch, for the assembly that makes one: see switch_x86_64.S. Not for C.
 */
#ifndef WEFT_CONTEXT_SWITCH_X86_64_H
#define WEFT_CONTEXT_SWITCH_X86_64_H

#define SP 24
#define RESULT 40
#define MXCSR 48
#define X87 52
#define RBX 56
#define RBP 64
#define R12 72
#define R13 80
#define R14 88
#define R15 96
#define FRESH 0xffff /* no control word of an x87: its reserved bits are not all ones */

/* DW_CFA_expression: the register's old value lies at rsi + offset. (Two bytes of LEB128 for offsets from 64.) */
#define CFI_IN_CONTEXT(reg, offset) .cfi_escape 0x10, reg, 2, 0x74, offset
#define CFI_IN_CONTEXT_FAR(reg, offset) .cfi_escape 0x10, reg, 3, 0x74, offset + 0x80, 0

/*
 * The going context, to the block in rdi: control words, registers, stack pointer. The control words are looked at
 * last, in `finish`: fnstcw and stmxcsr are slow to end, and in each other's way.
 */
.macro save
        fnstcw  X87(%rdi)
        movq    %rbx, RBX(%rdi)
        movq    %rbp, RBP(%rdi)
        movq    %r12, R12(%rdi)
        stmxcsr MXCSR(%rdi)
        movq    %r13, R13(%rdi)
        movq    %r14, R14(%rdi)
        movq    %r15, R15(%rdi)
        movq    %rsp, SP(%rdi)
.endm

/* The coming context: result, stack pointer, registers from the block in rsi. */
.macro load
        movl    RESULT(%rsi), %eax
        movq    SP(%rsi), %rsp          # from here on we are the coming context
        CFI_IN_CONTEXT(3, RBX)
        CFI_IN_CONTEXT_FAR(6, RBP)
        CFI_IN_CONTEXT_FAR(12, R12)
        CFI_IN_CONTEXT_FAR(13, R13)
        CFI_IN_CONTEXT_FAR(14, R14)
        CFI_IN_CONTEXT_FAR(15, R15)
        movq    RBX(%rsi), %rbx
        movq    RBP(%rsi), %rbp
        movq    R12(%rsi), %r12
        movq    R13(%rsi), %r13
        movq    R14(%rsi), %r14
        movq    R15(%rsi), %r15
.endm

/* Its control words, if they are others. That it is fresh shows in the x87's, which costs no test of its own. */
.macro check_control_words
        movl    MXCSR(%rdi), %r9d       # loads of the very widths stored: they are forwarded from the store buffer
        xorl    MXCSR(%rsi), %r9d
        testl   $0xffc0, %r9d
        jnz     context_new_control_words
        movzwl  X87(%rdi), %r8d
        cmpw    X87(%rsi), %r8w
        jne     context_new_control_words
.endm

/*
 * Back to the coming context's caller; `from` holds the return address of the one that went. If they are the same the
 * return-stack predictor has it, and what it predicts further up may be right as well. If not, `ret` would be predicted
 * wrongly for certain, 8 ns, while an indirect jump is predicted by where the last ones went: lwts that wait in different
 * places take turns at that. The last of a function: the frame description ends here.
 */
.macro go_back from
        cmpq    (%rsp), \from
        jne     1f
        ret
1:      popq    %rcx
        .cfi_def_cfa %rsp, 0
        .cfi_register %rip, %rcx
        notrack jmp *%rcx
.endm

#endif
