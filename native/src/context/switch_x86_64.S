/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context switch: the only place where a stack pointer is exchanged. Entered by whoever owns the kthd, on the
 * stack of the lwt that goes; returns on the stack of the one that comes.
 *
 *   int context_switch_native(struct context *from, struct context *to);
 *   int context_switch(struct context *from, struct context *to, uint64_t fs, void *current);
 *   eax                rdi                   rsi                 rdx          rcx
 *
 * The first for two native contexts of one carrier, whose FS base stays; the second for all others.
 *
 *   from      what goes is stored here
 *   to        what comes is loaded from here, and the result its call is to return
 *   fs        FS base to load, or 0 to keep the present one
 *   current   with fs: stored to the thread-local `context_current` under the new FS base, unless NULL
 *
 * A suspended context is a struct context, and nothing on its stack but what was there:
 *
 *     +0   the owner's                           +56  rbx     +64  rbp
 *     +24  sp: where the return address lies     +72  r12     +80  r13
 *     +32  FS base (not used here)               +88  r14     +96  r15
 *     +40  result
 *     +48  MXCSR    +52  x87 control word, or FRESH: it has not run yet
 *
 * What the ABI makes the callee save, and nothing else (System V AMD64 psABI 3.2.1). Registers go to the control block
 * and not to the stack: its address is known before the stack pointer is loaded, so that the loads need not wait for
 * it, nor be checked against the stores of the going context (3.0 ns; with push and pop 4.0).
 *
 * The control words are stored always and loaded only where they differ: an ldmxcsr that changes something costs up to
 * 60 ns. They are stored first and compared last, with all else in between: together in one place they cost 1 ns, so
 * next to nothing. Of MXCSR only the control bits count (0xffc0): the sticky flags are the callee's to clobber.
 *
 * How it returns is said at go_back in switch_x86_64.h. The result is loaded here, so that a blocking call can end in a
 * jump to this function and the coming lwt goes straight back to its own caller.
 *
 * Unwinders: the return address is always at the stack pointer. From the exchange on, the caller's registers are those
 * in the coming context's control block, which rsi points to.
 */
#include "context/switch_x86_64.h"

        .file   "switch_x86_64.S"       # else the linker names the object file, and that by the folder it was built in
        .text
        .p2align 6
        .globl  context_switch_native
        .hidden context_switch_native
        .type   context_switch_native, @function
context_switch_native:
        .cfi_startproc
        movq    (%rsp), %rcx
        save
        load
        check_control_words
        go_back %rcx
        .cfi_endproc
        .size   context_switch_native, . - context_switch_native

        .p2align 6
        .globl  context_switch
        .hidden context_switch
        .type   context_switch, @function
context_switch:
        .cfi_startproc
        movq    (%rsp), %r11
        save
        load
        testq   %rdx, %rdx
        jz      .Lfs_done
        cmpb    $0, context_slow_fs(%rip)
        jne     .Lslow_fs
        wrfsbase %rdx
.Lnew_fs_done:
        testq   %rcx, %rcx
        jnz     .Lnew_current
.Lfs_done:
        check_control_words
        .cfi_remember_state
        go_back %r11
        .cfi_restore_state

.Lnew_current:
        movq    context_current@gottpoff(%rip), %r10
        movq    %rcx, %fs:(%r10)
        jmp     .Lfs_done

.Lslow_fs:                              # arch_prctl(ARCH_SET_FS, rdx); the system call clobbers rax, rcx and r11
        pushq   %rax
        pushq   %rcx
        pushq   %rsi
        pushq   %rdi
        pushq   %r11
        .cfi_adjust_cfa_offset 40
        movq    %rdx, %rsi
        movl    $0x1002, %edi
        movl    $158, %eax
        syscall
        popq    %r11
        popq    %rdi
        popq    %rsi
        popq    %rcx
        popq    %rax
        .cfi_adjust_cfa_offset -40
        jmp     .Lnew_fs_done

        .globl  context_new_control_words
        .hidden context_new_control_words
context_new_control_words:              # rsi: the coming context, which runs already
        cmpw    $FRESH, X87(%rsi)
        je      .Lfresh
        ldmxcsr MXCSR(%rsi)
        fldcw   X87(%rsi)
        ret
.Lfresh:                                # the first time: jump in; there is no call that a `ret` would match
        movw    %r15w, X87(%rsi)        # see context_make()
        ldmxcsr MXCSR(%rsi)
        fldcw   X87(%rsi)
        jmp     context_entry
        .cfi_endproc
        .size   context_switch, . - context_switch

/*
 *   int context_jump(struct context *to);
 *
 * Resumes `to` without saving anything: the end of a context. The caller and `to` are native contexts on one carrier:
 * the FS base stays. Reached by a jump, it leaves the return-stack predictor as it was when `to` was suspended:
 * creating a context, running and joining it is to the predictor a call and a return.
 */
        .p2align 4
        .globl  context_jump
        .hidden context_jump
        .type   context_jump, @function
context_jump:
        .cfi_startproc
        movq    %rdi, %rsi
        leaq    -X87-4(%rsp), %rdi      # the control words to the red zone, as if a context lay around them
        stmxcsr MXCSR(%rdi)
        fnstcw  X87(%rdi)
        load
        check_control_words
        ret
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
