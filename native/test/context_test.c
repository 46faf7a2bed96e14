/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context: white-box tests of the switch itself and of the stacks: what it keeps, what it leaves alone, that every one
 * of its instructions can be unwound through, and what a stack consists of. No kthd runs here.
 */
#include "check.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <unwind.h>

#include "base/sys.h"
#include "context/context.h"
#include "context/stack.h"

/* ---- a caller in assembly, that knows what is in each register before and after ---------------------------------- */

/* Loads rbx, rbp, r12 to r15 from `in`, switches, and stores what they are afterwards to `out`. */
int switch_with(struct context *from, struct context *to, const uint64_t in[6], uint64_t out[6]);
extern char switch_with_end[];

/* Which switch it makes: context_switch, or the one for two native contexts. */
void *switch_made __attribute__((used)) = (void *)context_switch;

__asm__(".text\n"
        ".globl switch_with\n"
        ".type switch_with, @function\n"
        "switch_with:\n"
        "    .cfi_startproc\n"
        "    pushq %rbx\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset rbx, 0\n"
        "    pushq %rbp\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset rbp, 0\n"
        "    pushq %r12\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset r12, 0\n"
        "    pushq %r13\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset r13, 0\n"
        "    pushq %r14\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset r14, 0\n"
        "    pushq %r15\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset r15, 0\n"
        "    pushq %rcx\n    .cfi_adjust_cfa_offset 8\n"
        "    movq 0(%rdx), %rbx\n"
        "    movq 8(%rdx), %rbp\n"
        "    movq 16(%rdx), %r12\n"
        "    movq 24(%rdx), %r13\n"
        "    movq 32(%rdx), %r14\n"
        "    movq 40(%rdx), %r15\n"
        "    xorl %edx, %edx\n"
        "    xorl %ecx, %ecx\n"
        "    call *switch_made(%rip)\n"
        "    popq %rcx\n    .cfi_adjust_cfa_offset -8\n"
        "    movq %rbx, 0(%rcx)\n"
        "    movq %rbp, 8(%rcx)\n"
        "    movq %r12, 16(%rcx)\n"
        "    movq %r13, 24(%rcx)\n"
        "    movq %r14, 32(%rcx)\n"
        "    movq %r15, 40(%rcx)\n"
        "    popq %r15\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore r15\n"
        "    popq %r14\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore r14\n"
        "    popq %r13\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore r13\n"
        "    popq %r12\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore r12\n"
        "    popq %rbp\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore rbp\n"
        "    popq %rbx\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore rbx\n"
        "    ret\n"
        "    .cfi_endproc\n"
        "switch_with_end:\n"
        "    .size switch_with, . - switch_with\n");

/* ---- two contexts: the test's own, and another on a stack of ours ------------------------------------------------ */

enum { stack_bytes = 256 << 10 };

static struct context here, there;
static char *there_stack;

static int never_ends(void *value)
{
    (void)value;
    _exit(check_exit_failed);
    return 0;
}

static void make_there(void *(*fn)(void *), void *arg)
{
    if (!there_stack)
        there_stack = mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(there_stack != MAP_FAILED);
    context_make(&there, there_stack + stack_bytes, fn, arg, never_ends);
}

static int go_there(void) { return context_switch(&here, &there, 0, NULL); }
static int go_here(int result)
{
    here.result = result;
    return context_switch(&there, &here, 0, NULL);
}

static void *seen_arg;
static uintptr_t seen_frame;

static void *note_and_return(void *arg)
{
    seen_arg = arg;
    seen_frame = (uintptr_t)__builtin_frame_address(0);
    go_here(1);
    return (void *)17;
}

static int end_with(void *value)
{
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    go_here((int)(intptr_t)value + (frame % 16 == 0 ? 0 : 1000));
    return 0;
}

static void no_sanitizer(void)
{
    if (CHECK_SANITIZED)
        CHECK_SKIP("bare switches that a sanitizer is not told of");
}

TEST(a_new_context_calls_end_with_what_its_function_returned)
{
    no_sanitizer();
    make_there(note_and_return, &here);
    context_make(&there, there_stack + stack_bytes, note_and_return, &here, end_with);
    CHECK_EQ(go_there(), 1);
    CHECK(seen_arg == &here);
    CHECK_EQ(seen_frame % 16, 0);
    CHECK(seen_frame > (uintptr_t)there_stack && seen_frame < (uintptr_t)there_stack + stack_bytes);
    CHECK_EQ(go_there(), 17);
}

static void *count_round(void *arg)
{
    for (int i = 0;; i++)
        *(int *)arg += go_here(i);
    return NULL;
}

TEST(each_switch_returns_the_result_that_was_laid_down_for_it)
{
    no_sanitizer();
    int sum = 0;
    make_there(count_round, &sum);
    for (int i = 0; i < 1000; i++) {
        there.result = -i;
        CHECK_EQ(go_there(), i);
    }
    CHECK_EQ(sum, -999 * 500);
}

/* ---- registers --------------------------------------------------------------------------------------------------- */

static uint64_t registers_there[6];

static void *exchange_registers(void *arg)
{
    (void)arg;
    struct check_random random = check_random_from(2);
    for (;;) {
        uint64_t in[6], out[6];
        for (int i = 0; i < 6; i++)
            in[i] = check_random_next(&random);
        memcpy(registers_there, in, sizeof in);
        here.result = 0;
        switch_with(&there, &here, in, out);
        for (int i = 0; i < 6; i++)
            REQUIRE_EQ(out[i], in[i]);
    }
    return NULL;
}

static const char *const switch_words[] = {"any", "native", NULL};

static void choose_switch(void)
{
    if (check_variant)
        switch_made = (void *)context_switch_native;
}

TEST_OVER(callee_saved_registers_come_back_as_they_were, switch_words)
{
    no_sanitizer();
    choose_switch();
    struct check_random random = check_random_from(1);
    make_there(exchange_registers, NULL);
    for (int round = 0; round < 10000; round++) {
        uint64_t in[6], out[6];
        for (int i = 0; i < 6; i++)
            in[i] = check_random_next(&random);
        there.result = round;
        switch_with(&here, &there, in, out);
        for (int i = 0; i < 6; i++) {
            REQUIRE_EQ(out[i], in[i]);
            REQUIRE(out[i] != registers_there[i]);
        }
    }
}

/* ---- control words ----------------------------------------------------------------------------------------------- */

static uint32_t get_mxcsr(void)
{
    uint32_t word;
    __asm__ volatile("stmxcsr %0" : "=m"(word));
    return word;
}

static void set_mxcsr(uint32_t word) { __asm__ volatile("ldmxcsr %0" : : "m"(word)); }

static uint16_t get_x87(void)
{
    uint16_t word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word;
}

static void set_x87(uint16_t word) { __asm__ volatile("fldcw %0" : : "m"(word)); }

enum {
    mxcsr_default = 0x1f80,
    mxcsr_round_down = 0x3f80,
    mxcsr_inexact = 0x20,
    x87_default = 0x37f,
    x87_double_down = 0x67f,
};

static void *other_control_words(void *arg)
{
    (void)arg;
    set_mxcsr(mxcsr_round_down);
    set_x87(x87_double_down);
    for (;;) {
        go_here(0);
        REQUIRE_EQ(get_mxcsr() & 0xffc0, mxcsr_round_down);
        REQUIRE_EQ(get_x87(), x87_double_down);
    }
    return NULL;
}

TEST(control_words_are_kept_per_context)
{
    no_sanitizer();
    make_there(other_control_words, NULL);
    for (int i = 0; i < 1000; i++) {
        go_there();
        REQUIRE_EQ(get_mxcsr() & 0xffc0, mxcsr_default & 0xffc0);
        REQUIRE_EQ(get_x87(), x87_default);
    }
}

static void *control_words_at_birth(void *arg)
{
    *(uint32_t *)arg = (get_mxcsr() & 0xffc0) | (uint32_t)get_x87() << 16;
    go_here(0);
    return NULL;
}

TEST(a_new_context_inherits_the_control_words_of_its_maker_not_of_who_switches_to_it)
{
    no_sanitizer();
    uint32_t words = 0;
    set_mxcsr(mxcsr_round_down);
    set_x87(x87_double_down);
    make_there(control_words_at_birth, &words);
    set_mxcsr(mxcsr_default);
    set_x87(x87_default);
    go_there();
    CHECK_EQ(words, mxcsr_round_down | (uint32_t)x87_double_down << 16);
    CHECK_EQ(get_mxcsr() & 0xffc0, mxcsr_default);
    CHECK_EQ(get_x87(), x87_default);
}

static void *just_switch(void *arg)
{
    (void)arg;
    for (;;)
        go_here(0);
    return NULL;
}

TEST(control_words_that_are_equal_are_not_loaded)
{
    /* A load would bring the other context's sticky flags with it: they stay as they are here. */
    no_sanitizer();
    make_there(just_switch, NULL);
    set_mxcsr(mxcsr_default);
    go_there();
    set_mxcsr(mxcsr_default | mxcsr_inexact);
    go_there(); /* its own frame has the flag clear */
    CHECK_EQ(get_mxcsr(), mxcsr_default | mxcsr_inexact);
    set_mxcsr(mxcsr_default);
    go_there();
    CHECK_EQ(get_mxcsr(), mxcsr_default);
}

/* ---- unwinding: single-stepped through the switch, at each instruction ------------------------------------------- */

static struct {
    uint64_t inside;       /* steps whose instruction was the switch's */
    uint64_t good, bad;
    uintptr_t bad_at;      /* offset of the first bad one */
    bool in_switch, caller_found;
    int frames;
} steps;

/* From the interrupted instruction on: is the switch called by switch_with, and does the walk come to an end? */
static _Unwind_Reason_Code look_at_frame(struct _Unwind_Context *frame, void *arg)
{
    (void)arg;
    uintptr_t ip = _Unwind_GetIP(frame);
    steps.frames++;
    if (steps.frames > 60)
        return _URC_NORMAL_STOP;
    if (ip >= (uintptr_t)switch_with && ip <= (uintptr_t)switch_with_end)
        steps.caller_found = true;
    return _URC_NO_REASON;
}

/* The switches lie together, with what is rare behind them; context_jump() is the next. */
static bool in_the_switch(uintptr_t ip)
{
    uintptr_t any = (uintptr_t)context_switch, native = (uintptr_t)context_switch_native;
    return ip >= (any < native ? any : native) && ip < (uintptr_t)context_jump;
}

static void on_step(int signal, siginfo_t *info, void *opaque)
{
    (void)signal;
    (void)info;
    ucontext_t *context = opaque;
    uintptr_t ip = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    if (!in_the_switch(ip))
        return;
    steps.inside++;
    steps.caller_found = false;
    steps.frames = 0;
    _Unwind_Reason_Code r = _Unwind_Backtrace(look_at_frame, NULL);
    if (steps.caller_found && r == _URC_END_OF_STACK) {
        steps.good++;
    } else {
        if (!steps.bad++)
            steps.bad_at = ip - (uintptr_t)switch_made;
    }
}

static void *step_back(void *arg)
{
    (void)arg;
    for (;;) {
        uint64_t in[6] = {0}, out[6];
        here.result = 0;
        switch_with(&there, &here, in, out);
    }
    return NULL;
}

#define TRAP_FLAG 0x100

TEST_OVER(every_instruction_of_the_switch_can_be_unwound_through, switch_words)
{
    no_sanitizer();
    choose_switch();
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    REQUIRE_EQ(sigaction(SIGTRAP, &action, NULL), 0);
    make_there(step_back, NULL);
    uint64_t in[6] = {1, 2, 3, 4, 5, 6}, out[6];
    switch_with(&here, &there, in, out); /* it is no new context any more: both ends have a caller */
    for (int variant = 0; variant < 2; variant++) {
        if (variant)
            set_mxcsr(mxcsr_round_down); /* the ways round by the loads, too */
        __asm__ volatile("pushfq\n\torq %0, (%%rsp)\n\tpopfq" : : "i"(TRAP_FLAG) : "memory", "cc");
        switch_with(&here, &there, in, out);
        __asm__ volatile("pushfq\n\tandq %0, (%%rsp)\n\tpopfq" : : "i"(~TRAP_FLAG) : "memory", "cc");
        set_mxcsr(mxcsr_default);
    }
    check_say("    %d steps in the switch\n", (int)steps.inside);
    if (steps.bad)
        check_say("    the first bad one at the switch + 0x%lx\n", (unsigned long)steps.bad_at);
    CHECK(steps.inside > 80);
    CHECK_EQ(steps.bad, 0);
}

static int frames_of_new;

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *frame, void *arg)
{
    (void)frame;
    (void)arg;
    return ++frames_of_new > 60 ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

static void *unwind_to_the_end(void *arg)
{
    frames_of_new = 0;
    *(int *)arg = (int)_Unwind_Backtrace(count_frame, NULL);
    go_here(0);
    return NULL;
}

TEST(an_unwinder_stops_where_a_context_begins)
{
    no_sanitizer();
    int reason = -1;
    make_there(unwind_to_the_end, &reason);
    go_there();
    CHECK_EQ(reason, _URC_END_OF_STACK);
    CHECK(frames_of_new >= 1 && frames_of_new <= 3);
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

TEST(stack_sizes_map_to_classes_by_powers_of_two)
{
    /* the smallest that holds a signal frame of this processor besides */
    int smallest = stack_class_for(8192);
    uint64_t frame = getauxval(AT_MINSIGSTKSZ);
    CHECK((8192ul << smallest) - 4096 > frame + 2048);
    CHECK(smallest == 0 || (8192ul << (smallest - 1)) - 4096 < frame + 2048 + 2048);
    CHECK_EQ(stack_class_for(8193), smallest > 1 ? smallest : 1);
    CHECK_EQ(stack_class_for(16384), smallest > 1 ? smallest : 1);
    CHECK_EQ(stack_class_for(0), 3);
    CHECK_EQ(stack_class_for(64 << 10), 3);
    CHECK_EQ(stack_class_for(64 << 20), STACK_CLASSES - 1);
    CHECK_EQ(stack_class_for((64 << 20) + 1), -EINVAL);
    CHECK_EQ(stack_class_for(8191), -EINVAL);
    CHECK_EQ(stack_class_for(1), -EINVAL);
    CHECK_EQ(stack_class_for(UINT64_MAX), -EINVAL);
}

TEST(a_stack_is_found_by_any_address_in_it)
{
    for (int size_class = 0; size_class < STACK_CLASSES; size_class++) {
        int error = 0;
        struct stack *a = stack_take(NULL, size_class, &error), *b = stack_take(NULL, size_class, &error);
        REQUIRE(a && b && a != b);
        char *bottom = stack_bottom(a);
        size_t usable = stack_usable_bytes(a);
        CHECK(stack_containing(bottom) == a);
        CHECK(stack_containing(bottom + usable / 2) == a);
        CHECK(stack_containing(bottom + usable - 1) == a);
        CHECK(stack_containing(bottom - 1) == a);
        CHECK(stack_in_guard(a, bottom - 1));
        CHECK(!stack_in_guard(a, bottom));
        CHECK(stack_containing(stack_bottom(b)) == b);
        size_t whole = 8192ul << size_class;
        CHECK(usable < whole && usable + 16384 >= whole);
        CHECK_EQ(((uintptr_t)bottom + usable) % whole, 0);
        memset(bottom, 1, usable > 65536 ? 65536 : usable);
        bottom[usable - 1] = 1;
        stack_put(NULL, a);
        stack_put(NULL, b);
    }
    int local;
    CHECK(stack_containing(&local) == NULL);
    CHECK(stack_containing(NULL) == NULL);
    CHECK(stack_containing((void *)UINTPTR_MAX) == NULL);
}

TEST(tops_are_aligned_and_coloured)
{
    enum { count = 64 };
    struct stack *stacks[count];
    uint64_t offsets = 0;
    for (int i = 0; i < count; i++) {
        int error = 0;
        stacks[i] = stack_take(NULL, stack_class_for(0), &error);
        REQUIRE(stacks[i] != NULL);
        char *end = (char *)stack_bottom(stacks[i]) + stack_usable_bytes(stacks[i]), *top = stacks[i]->top;
        CHECK_EQ((uintptr_t)top % 16, 0);
        CHECK(top <= end && end - top < 4096);
        offsets |= 1ull << (end - top) / 64;
    }
    CHECK(__builtin_popcountll(offsets) >= 16);
    for (int i = 0; i < count; i++)
        stack_put(NULL, stacks[i]);
}

static void touch(void *address) { *(volatile char *)address = 1; }

TEST(every_byte_of_the_guard_faults)
{
    static const uint64_t sizes[] = {8 << 10, 16 << 10, 64 << 10, 1 << 20};
    if (CHECK_SANITIZED)
        CHECK_SKIP("the sanitizer reports the fault its own way");
    for (int i = 0; i < 4; i++) {
        int error = 0, size_class = stack_class_for(sizes[i]);
        struct stack *stack = stack_take(NULL, size_class, &error);
        REQUIRE(stack != NULL);
        char *bottom = stack_bottom(stack), *base = bottom + stack_usable_bytes(stack) - (8192ul << size_class);
        for (char *at = base; at < bottom; at += 4096) {
            char text[256];
            int status = check_death(touch, at, text, sizeof text);
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
            status = check_death(touch, at + 4095, text, sizeof text);
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        }
        touch(bottom);
        stack_put(NULL, stack);
    }
}

TEST(a_kthds_cache_gives_the_same_stack_again)
{
    static struct stack_cache cache;
    int error = 0;
    struct stack *stack = stack_take(&cache, 3, &error);
    REQUIRE(stack != NULL);
    stack_put(&cache, stack);
    CHECK(stack_take(&cache, 3, &error) == stack);
    stack_put(&cache, stack);
    stack_cache_drain(&cache);
    CHECK(stack_take(NULL, 3, &error) == stack);
    stack_put(NULL, stack);
}

TEST(many_stacks_make_few_maps_and_no_memory_until_they_are_used)
{
    enum { count = 20000 };
    static struct stack *stacks[count];
    if (CHECK_SANITIZED)
        CHECK_SKIP("counts what the sanitizer does");
    int error = 0, maps = check_count_maps();
    long rss = check_rss_kib();
    for (int i = 0; i < count; i++)
        REQUIRE((stacks[i] = stack_take(NULL, 1, &error)) != NULL);
    CHECK(check_count_maps() < maps + 100);
    CHECK(check_rss_kib() < rss + 4096);
    for (int i = 0; i < count; i++)
        stack_put(NULL, stacks[i]);
}
