/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See context.h.
 */
#include "context/context.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "base/sys.h"

unsigned char context_slow_fs;
__thread void *context_current;

void context_make(struct context *context, void *top, void *(*fn)(void *), void *arg, int (*end)(void *))
{
    uint16_t x87;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(context->mxcsr), "=m"(x87));
    context->sp = top;
    context->r12 = arg;
    context->r13 = (void *)fn;
    context->r14 = (void *)end;
    context->r15 = (void *)(uintptr_t)x87;
    context->x87 = CONTEXT_FRESH;
}

#define HWCAP2_FSGSBASE_BIT 2      /* linux/arch/x86/include/uapi/asm/hwcap2.h */
#define ARCH_SHSTK_STATUS_CODE 0x5005 /* linux/arch/x86/include/uapi/asm/prctl.h */

const char *context_platform_problem(void)
{
    uint64_t shadow_stack = 0;
    if (!raw_syscall(SYS_arch_prctl, ARCH_SHSTK_STATUS_CODE, (long)&shadow_stack, 0, 0, 0, 0) && shadow_stack)
        return "this thread has a shadow stack (CET), which weft's context switch does not handle; "
               "start the process with GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK";
    const char *slow = getenv("WEFT_SLOW_FS");
    bool forced_slow = slow && !strcmp(slow, "1");
    if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT) && !forced_slow)
        return "this machine does not let user code set the FS base (FSGSBASE: Ivy Bridge or newer and Linux 5.9 or "
               "newer); WEFT_SLOW_FS=1 accepts a system call per switch in its place";
    if (context_slow_fs != forced_slow)
        context_slow_fs = forced_slow; /* at the first call, by whoever starts weft */
    return NULL;
}
