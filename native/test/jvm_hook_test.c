/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocking hook without a VM: hook_install() is pointed at this very program in libjvm's place, so that the
 * program's own calls of pthread_cond_wait and pthread_cond_timedwait are redirected. White-box.
 */
#include "scene.h"

#include "base/sys.h"
#include "jvm/hook.h"
#include "weft/jvm.h"

static char here; /* an address inside this program */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static atomic_int stage;

static void install(void)
{
    char text[200] = "x";
    REQUIRE_EQ(hook_install(&here, text, sizeof text), 0);
}

static void wait_for_stage(int wanted)
{
    REQUIRE_EQ(pthread_mutex_lock(&mutex), 0);
    while (atomic_load(&stage) < wanted)
        REQUIRE_EQ(pthread_cond_wait(&cond, &mutex), 0);
    REQUIRE_EQ(pthread_mutex_unlock(&mutex), 0);
}

static void wait_for_stage_1(void *arg)
{
    (void)arg;
    wait_for_stage(1);
}

static void reach_stage(int reached)
{
    REQUIRE_EQ(pthread_mutex_lock(&mutex), 0);
    atomic_store(&stage, reached);
    REQUIRE_EQ(pthread_cond_broadcast(&cond), 0);
    REQUIRE_EQ(pthread_mutex_unlock(&mutex), 0);
}

/* ---- what it is for -------------------------------------------------------------------------------------------- */

static void waiter(void *arg)
{
    pid_t carrier = check_tid();
    (void)arg;
    wait_for_stage(1);
    CHECK(check_tid() != carrier); /* loose: on its own kernel thread */
    CHECK_EQ(weft_lwt_state(weft_lwt_current()), WEFT_LWT_LOOSE);
    weft_lwt_yield();
    CHECK_EQ(check_tid(), carrier);
}

static void signaller(void *arg)
{
    (void)arg;
    reach_stage(1);
}

/* Two lwts of one carrier; the first waits in the kernel for what the second will do. */
static void contend(void)
{
    weft_kthd_t kthd = kthd_new();
    struct actor *first = actor_start(actor_adopted, kthd, waiter, NULL);
    AWAIT(atomic_load(&first->lwt) != 0);
    struct actor *second = actor_start(actor_adopted, kthd, signaller, NULL);
    scene_join(first);
    scene_join(second);
    kthd_end(kthd);
}

TEST(an_lwt_that_waits_lets_the_others_of_its_carrier_run)
{
    install();
    contend();
    CHECK_EQ(weft_jvm_steps_aside(), 1);
}

/* The same without the hook: if it ended, the test above would show nothing. */
static void contend_in_vain(void *arg)
{
    (void)arg;
    alarm(1);
    contend();
}

TEST(without_the_hook_they_hang)
{
    char text[200];
    int status = check_death(contend_in_vain, NULL, text, sizeof text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
}

static void timed_waiter(void *arg)
{
    struct timespec deadline;
    (void)arg;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_nsec += 30000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    errno = 4711;
    REQUIRE_EQ(pthread_mutex_lock(&mutex), 0);
    while (atomic_load(&stage) < 1)
        if (pthread_cond_timedwait(&cond, &mutex, &deadline) == ETIMEDOUT)
            break;
    REQUIRE_EQ(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQ(errno, 4711);
    CHECK_EQ(weft_lwt_state(weft_lwt_current()), WEFT_LWT_LOOSE);
    atomic_store(&stage, 2);
    weft_lwt_yield();
}

static void counter(void *arg)
{
    long *turns = arg;
    while (atomic_load(&stage) < 2) {
        ++*turns;
        weft_lwt_yield();
    }
}

TEST(a_timed_wait_steps_aside_too_and_times_out)
{
    long turns = 0;
    install();
    weft_kthd_t kthd = kthd_new();
    struct actor *first = actor_start(actor_adopted, kthd, timed_waiter, NULL);
    struct actor *second = actor_start(actor_adopted, kthd, counter, &turns);
    scene_join(first);
    scene_join(second);
    kthd_end(kthd);
    CHECK(turns > 1000); /* it ran on while the first slept */
    CHECK_EQ(weft_jvm_steps_aside(), 1);
}

/* ---- what it must leave alone ---------------------------------------------------------------------------------- */

TEST(plain_threads_wait_as_before)
{
    install();
    struct actor *waiting = actor_start(actor_plain, no_kthd, wait_for_stage_1, NULL);
    reach_stage(1);
    scene_join(waiting);
    CHECK_EQ(weft_jvm_steps_aside(), 0);
}

static void *native_waiter(void *arg)
{
    pid_t carrier = check_tid();
    (void)arg;
    wait_for_stage(1);
    CHECK_EQ(check_tid(), carrier); /* it has no kernel thread of its own */
    return NULL;
}

TEST(a_native_lwt_holds_up_its_carrier)
{
    install();
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt = lwt_new_sized(kthd, native_waiter, NULL, 256 << 10);
    reach_stage(1);
    lwt_result(lwt);
    kthd_end(kthd);
    CHECK_EQ(weft_jvm_steps_aside(), 0);
}

static void waits_twice(void *arg)
{
    (void)arg;
    wait_for_stage(1);
    wait_for_stage(2); /* loose already: it goes nowhere */
    CHECK_EQ(weft_lwt_state(weft_lwt_current()), WEFT_LWT_LOOSE);
}

TEST(a_loose_lwt_waits_as_a_plain_thread)
{
    install();
    weft_kthd_t kthd = kthd_new();
    struct actor *actor = actor_start(actor_adopted, kthd, waits_twice, NULL);
    AWAIT(weft_jvm_steps_aside() == 1);
    reach_stage(1);
    reach_stage(2);
    scene_join(actor);
    kthd_end(kthd);
    CHECK_EQ(weft_jvm_steps_aside(), 1);
}

/* ---- exact under load ------------------------------------------------------------------------------------------ */

enum { contenders = 12 };
static long rounds;
static long total; /* guarded by mutex and cond: `busy` */
static bool busy;
static atomic_int all_are_there;

/* A lock made of a condition: its owner yields in the middle, so the others really wait. */
static void contender(void *arg)
{
    (void)arg;
    while (!atomic_load(&all_are_there))
        weft_lwt_yield();
    for (long i = 0; i < rounds; i++) {
        REQUIRE_EQ(pthread_mutex_lock(&mutex), 0);
        while (busy)
            REQUIRE_EQ(pthread_cond_wait(&cond, &mutex), 0);
        busy = true;
        REQUIRE_EQ(pthread_mutex_unlock(&mutex), 0);
        long seen = total;
        weft_lwt_yield();
        total = seen + 1;
        REQUIRE_EQ(pthread_mutex_lock(&mutex), 0);
        busy = false;
        REQUIRE_EQ(pthread_cond_signal(&cond), 0);
        REQUIRE_EQ(pthread_mutex_unlock(&mutex), 0);
    }
}

TEST_LIMIT(counts_stay_exact_when_lwts_of_two_kthds_contend, 120)
{
    struct actor *actors[contenders];
    install();
    rounds = check_scale(500);
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    for (int i = 0; i < contenders; i++)
        actors[i] = actor_start(actor_adopted, kthds[i % 2], contender, NULL);
    atomic_store(&all_are_there, 1);
    for (int i = 0; i < contenders; i++)
        scene_join(actors[i]);
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
    CHECK_EQ(total, contenders * rounds);
    CHECK(weft_jvm_steps_aside() > 0);
    check_say("    stepped aside %llu times\n", (unsigned long long)weft_jvm_steps_aside());
}

/* ---- refusals -------------------------------------------------------------------------------------------------- */

TEST(an_address_in_no_object_is_refused)
{
    char text[200] = "";
    CHECK_EQ(hook_install((void *)16, text, sizeof text), -ENOTSUP);
    CHECK_CONTAINS(text, "libjvm");
}

TEST(an_object_that_does_not_import_the_functions_is_refused)
{
    char text[200] = "";
    CHECK_EQ(hook_install((void *)(uintptr_t)pthread_self, text, sizeof text), -ENOTSUP); /* libc itself */
    CHECK_CONTAINS(text, "does not import");
}

/* -z relro is what makes mprotect necessary; a program that was linked without is hooked without asking. */
TEST(a_refused_mprotect_is_refused_with_a_sentence_and_changes_nothing)
{
    char text[200] = "";
    sys_fault_arm(SYS_KIND_MPROTECT, 1, 1, -EACCES);
    int r = hook_install(&here, text, sizeof text);
    if (sys_fault_calls(SYS_KIND_MPROTECT) == 0)
        CHECK_SKIP("this program's imports are writable");
    sys_fault_arm(SYS_KIND_MPROTECT, 0, 0, 0);
    CHECK_EQ(r, -ENOTSUP);
    CHECK_CONTAINS(text, "mprotect");
    struct actor *waiting = actor_start(actor_plain, no_kthd, wait_for_stage_1, NULL);
    reach_stage(1);
    scene_join(waiting);
    install(); /* and it can still be done */
}

/* The word that the compiler calls pthread_cond_wait through. */
static void **import_of_cond_wait(void)
{
    void **slot;
    __asm__("leaq pthread_cond_wait@GOTPCREL(%%rip), %0" : "=r"(slot));
    return slot;
}

/* "r--p" and so on, of the mapping that holds this address. */
static void permissions(const void *address, char out[5])
{
    char line[512];
    uintptr_t from, to;
    FILE *maps = fopen("/proc/self/maps", "re");
    REQUIRE(maps != NULL);
    out[0] = 0;
    while (!out[0] && fgets(line, sizeof line, maps))
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, out) != 3 || (uintptr_t)address < from ||
            (uintptr_t)address >= to)
            out[0] = 0;
    fclose(maps);
}

TEST(imports_change_and_are_as_protected_afterwards_as_before)
{
    void **slot = import_of_cond_wait(), *before = __atomic_load_n(slot, __ATOMIC_RELAXED);
    char protected_before[5], protected_after[5];
    permissions(slot, protected_before);
    install();
    permissions(slot, protected_after);
    CHECK(__atomic_load_n(slot, __ATOMIC_RELAXED) != before);
    CHECK_STR(protected_after, protected_before);
}
