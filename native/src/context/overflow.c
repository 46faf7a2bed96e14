/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See overflow.h.
 */
#include "context/overflow.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/atomic.h"
#include "base/spinlock.h"
#include "base/sys.h"
#include "context/stack.h"

enum { SIGNAL_STACK_BYTES = 256 << 10 }; /* the VM writes its crash report on it */

static struct {
    SHARED(bool) installed; /* written under the lock after `previous` */
    SHARED(bool) reported;  /* an overflow: the process is to end */
    pthread_mutex_t lock;
    struct sigaction previous;
    void (*describe)(const void *owner, struct message *message);
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void report(const struct stack *stack, const void *owner)
{
    struct message m = {.length = 0};
    message_text(&m, "weft: stack overflow: ");
    watch.describe(owner, &m);
    message_text(&m, ", stack ");
    message_hex(&m, (uint64_t)(uintptr_t)stack_bottom(stack));
    message_text(&m, " + ");
    message_number(&m, stack_usable_bytes(stack));
    message_text(&m, " bytes\n");
    message_print(&m);
}

/* The default action: a fault comes again as soon as we return, a signal that was sent must be sent again. */
static void die_of(int signal, const siginfo_t *info)
{
    struct sigaction fatal = {.sa_handler = SIG_DFL};
    sigaction(signal, &fatal, NULL);
    if (info->si_code <= 0)
        sys_tgkill(sys_gettid(), signal);
}

static void pass_on(int signal, siginfo_t *info, void *context)
{
    bool sent = info->si_code <= 0;
    if (watch.previous.sa_flags & SA_SIGINFO)
        watch.previous.sa_sigaction(signal, info, context);
    else if (watch.previous.sa_handler == SIG_DFL || (watch.previous.sa_handler == SIG_IGN && !sent))
        die_of(signal, info); /* a fault cannot be ignored */
    else if (watch.previous.sa_handler != SIG_IGN)
        watch.previous.sa_handler(signal);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    const struct stack *stack = stack_containing(info->si_addr);
    void *owner = stack ? load_relaxed(&stack->owner) : NULL; /* relaxed: it is the very lwt that faulted */
    if (owner && info->si_code > 0 && stack_in_guard(stack, info->si_addr)) {
        if (exchange_acq_rel(&watch.reported, true)) {
            die_of(signal, info); /* the handler before us came back from the first time: it cannot mend this */
            return;
        }
        report(stack, owner);
    }
    pass_on(signal, info, context);
}

static int install_locked(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    int r = sys_fault(SYS_KIND_SIGACTION);
    if (r)
        return r;
    if (sigaction(SIGSEGV, NULL, &watch.previous))
        return -errno;
    /* as the one before us: with its mask, and with SIGSEGV itself deliverable if it had it so */
    action.sa_mask = watch.previous.sa_mask;
    action.sa_flags |= watch.previous.sa_flags & SA_NODEFER;
    return sigaction(SIGSEGV, &action, NULL) ? -errno : 0;
}

int overflow_watch(void (*describe)(const void *owner, struct message *message))
{
    if (likely(load_acquire(&watch.installed)))
        return 0;
    pthread_mutex_lock(&watch.lock);
    int r = 0;
    if (!load_relaxed(&watch.installed)) {
        watch.describe = describe;
        r = install_locked();
        if (!r)
            store_release(&watch.installed, true);
    }
    pthread_mutex_unlock(&watch.lock);
    return r;
}

int overflow_signal_stack_alloc(struct overflow_signal_stack *stack)
{
    stack->memory = sys_map(SIGNAL_STACK_BYTES);
    return stack->memory ? 0 : -ENOMEM;
}

void overflow_signal_stack_free(struct overflow_signal_stack *stack) { sys_unmap(stack->memory, SIGNAL_STACK_BYTES); }

void overflow_signal_stack_on(struct overflow_signal_stack *stack)
{
    stack_t fresh = {.ss_sp = stack->memory, .ss_size = SIGNAL_STACK_BYTES};
    sigaltstack(&fresh, &stack->previous);
}

void overflow_signal_stack_off(struct overflow_signal_stack *stack) { sigaltstack(&stack->previous, NULL); }
