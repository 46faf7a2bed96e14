/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context switch: the only place where a stack pointer is exchanged. Entered by whoever owns the kthd, on the
 * stack of the lwt that goes; returns on the stack of the one that comes, from the same `ret`.
 *
 *   int context_switch(struct context *from, struct context *to, uint64_t fs, void *current);
 *   eax                rdi                   rsi                 rdx          rcx
 *
 *   from      where the going context's stack pointer is stored
 *   to        where the coming context's is, and the result its call is to return
 *   fs        FS base to load, or 0 to keep the present one
 *   current   with fs: stored to the thread-local `context_current` under the new FS base, unless NULL
 *
 * Frame of a suspended context, one cache line, lowest address first:
 *
 *     sp + 0   MXCSR (4 bytes), x87 control word (2), unused (2)
 *     sp + 8   r15
 *     sp + 16  r14
 *     sp + 24  r13
 *     sp + 32  r12
 *     sp + 40  rbx
 *     sp + 48  rbp
 *     sp + 56  return address
 *
 * What the ABI makes the callee save, and nothing else (System V AMD64 psABI 3.2.1). The control words are stored
 * always and loaded only where they differ: stmxcsr + fnstcw + compare cost under 1 ns, an ldmxcsr that changes
 * something up to 60 ns. Of MXCSR only the control bits count (0xffc0): the sticky flags are the callee's to clobber.
 *
 * `ret`, not pop + jmp: all contexts come here by a `call` from the same few places, so the return-stack predictor is
 * right after it, and what it predicts further up is mostly right as well (Java to Java: 23 ns with jmp, 11 with ret).
 * For the same reason the result is loaded here: a blocking call ends in a jump to this function, and the `ret` takes
 * the coming lwt straight back to its own caller.
 *
 * Unwinders: the frame's layout is the same before and after the exchange, so one set of CFI holds at every point.
 */
        .text
        .p2align 6
        .globl  context_switch
        .hidden context_switch
        .type   context_switch, @function
context_switch:
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movl    (%rsp), %r9d            # loads of the very widths stored: they are forwarded from the store buffer
        movzwl  4(%rsp), %r8d
        movq    %rsp, (%rdi)            # context.sp
        movq    (%rsi), %rsp            # here the coming context's frame begins
        movl    16(%rsi), %eax          # context.result
        testq   %rdx, %rdx
        jnz     .Lnew_fs
.Lfs_done:
        xorl    (%rsp), %r9d
        testl   $0xffc0, %r9d
        jnz     .Lnew_mxcsr
.Lmxcsr_done:
        cmpw    4(%rsp), %r8w
        jne     .Lnew_x87
.Lx87_done:
        cmpb    $0, 20(%rsi)            # context.fresh
        jne     .Lfresh
        addq    $8, %rsp
        .cfi_remember_state
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret
        .cfi_restore_state

        .p2align 4
.Lnew_fs:
        cmpb    $0, context_slow_fs(%rip)
        jne     .Lslow_fs
        wrfsbase %rdx
.Lnew_fs_done:
        testq   %rcx, %rcx
        jz      .Lfs_done
        movq    context_current@gottpoff(%rip), %r10
        movq    %rcx, %fs:(%r10)
        jmp     .Lfs_done

.Lslow_fs:                              # arch_prctl(ARCH_SET_FS, rdx); the system call clobbers rcx and r11
        movl    %eax, %r10d
        movq    %rdx, %rsi
        movq    %rcx, %rdx
        movl    $0x1002, %edi
        movl    $158, %eax
        syscall
        movq    %rdx, %rcx
        movl    %r10d, %eax
        jmp     .Lnew_fs_done
.Lfresh:                                # the first time: jump in; there is no call that a `ret` would match
        movb    $0, 20(%rsi)
        movq    32(%rsp), %r12
        movq    24(%rsp), %r13
        movq    16(%rsp), %r14
        addq    $64, %rsp
        jmp     context_entry
.Lnew_mxcsr:
        ldmxcsr (%rsp)
        jmp     .Lmxcsr_done
.Lnew_x87:
        fldcw   4(%rsp)
        jmp     .Lx87_done
        .cfi_endproc
        .size   context_switch, . - context_switch

/*
 *   int context_jump(struct context *to);
 *
 * Resumes `to` without saving anything: the end of a context. FS base and control words as they are: the caller and
 * `to` are native contexts on one carrier. (Control words that differ are loaded, as above.) Reached by a jump, it
 * leaves the return-stack predictor as it was when `to` was suspended: creating a context, running and joining it
 * is to the predictor a call and a return.
 */
        .p2align 4
        .globl  context_jump
        .hidden context_jump
        .type   context_jump, @function
context_jump:
        .cfi_startproc
        endbr64
        stmxcsr -8(%rsp)
        fnstcw  -4(%rsp)
        movl    -8(%rsp), %r9d
        movzwl  -4(%rsp), %r8d
        movq    %rdi, %rsi
        movq    (%rdi), %rsp
        movl    16(%rdi), %eax
        jmp     .Lfs_done
        .cfi_endproc
        .size   context_jump, . - context_jump

/*
 * Where a new context begins: arg in r12, fn in r13, end in r14, as context_make() left them. Calls end(fn(arg)), which
 * does not return. Undefined rip: unwinders stop here.
 */
        .p2align 4
        .type   context_entry, @function
context_entry:
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        xorl    %ebp, %ebp              # the last frame, for those who walk frame pointers
        movq    %r12, %rdi
        call    *%r13
        movq    %rax, %rdi
        pushq   $0                      # `end` is entered as if called; by a jump: see context_jump
        jmp     *%r14
        .cfi_endproc
        .size   context_entry, . - context_entry

        .section .note.gnu.property, "a" # indirect branch tracking: yes; shadow stacks: not handled by this switch
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
