/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt: ordinary pthreads that become lwts and plain threads again. What must stay theirs (stack, thread-local
 * storage, errno, identity, floating-point control words, signal mask), what becomes the carrier's (kernel thread),
 * stepping aside and coming back, ending without leaving, and signals that are sent to the parked kernel thread.
 */
#include "scene.h"

#include <fenv.h>
#include <semaphore.h>
#include <sys/mman.h>

static void *give_back(void *arg) { return arg; }

static void *my_tid(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)check_tid();
}

static void adopt_to(weft_kthd_t kthd) { REQUIRE_EQ(weft_lwt_adopt(kthd, NULL), 0); }
static void leave(void) { REQUIRE_EQ(weft_lwt_leave(), 0); }

/* ---- becoming one and ceasing to be one -------------------------------------------------------------------------- */

TEST(an_adopted_thread_runs_on_the_carrier_and_after_leave_on_its_own_kernel_thread)
{
    weft_kthd_t kthd = kthd_new();
    pid_t mine = check_tid(), carrier = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    adopt_to(kthd);
    CHECK_EQ(check_tid(), carrier);
    leave();
    CHECK_EQ(check_tid(), mine);
    CHECK_EQ(weft_lwt_current().id, 0);
    CHECK_EQ(weft_lwt_id(), 0);
    kthd_end(kthd);
}

TEST(an_adopted_thread_is_an_lwt_with_handle_name_and_state)
{
    char name[WEFT_NAME_SIZE];
    weft_kthd_t kthd = kthd_new(), found;
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    attr.name = "selvedge";
    REQUIRE_EQ(weft_lwt_adopt(kthd, &attr), 0);
    weft_lwt_t self = weft_lwt_current();
    CHECK(self.id != 0);
    CHECK_EQ(weft_lwt_id(), self.id);
    CHECK_EQ(weft_lwt_state(self), WEFT_LWT_RUNNING);
    CHECK_EQ(weft_lwt_name(self, name, sizeof name), 0);
    CHECK_STR(name, "selvedge");
    CHECK_EQ(weft_lwt_kthd(self, &found), 0);
    CHECK_EQ(found.id, kthd.id);
    CHECK_EQ(kthd_info(kthd).lwts, 1);
    leave();
    CHECK_EQ(weft_lwt_state(self), -ESRCH);
    CHECK_EQ(kthd_info(kthd).lwts, 0);
    kthd_end(kthd);
}

TEST(a_thread_is_adopted_and_leaves_many_times)
{
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    pid_t mine = check_tid();
    for (int i = 0; i < 10; i++) {
        adopt_to(kthds[i % 2]);
        leave();
    }
    int maps = check_count_maps(), fds = check_count_fds(), threads = check_count_threads();
    for (int i = 0; i < check_scale(2000); i++) {
        adopt_to(kthds[i % 2]);
        leave();
    }
    CHECK_EQ(check_tid(), mine);
    CHECK_EQ(check_count_fds(), fds);
    AWAIT(check_count_threads() == threads);
    CHECK(check_count_maps() <= maps + (CHECK_SANITIZED ? 50 : 2));
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
}

TEST(adopt_refuses_a_kthd_that_is_not_there)
{
    weft_kthd_t kthd = kthd_new();
    kthd_end(kthd);
    CHECK_EQ(weft_lwt_adopt(kthd, NULL), -ESRCH);
    CHECK_EQ(weft_lwt_adopt(no_kthd, NULL), -ESRCH);
    CHECK_EQ(weft_lwt_current().id, 0);
}

TEST(adopt_refuses_flags_and_a_stack_size)
{
    weft_kthd_t kthd = kthd_new();
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    attr.flags = WEFT_LWT_DETACHED;
    CHECK_EQ(weft_lwt_adopt(kthd, &attr), -EINVAL);
    attr.flags = 4;
    CHECK_EQ(weft_lwt_adopt(kthd, &attr), -EINVAL);
    attr.flags = 0;
    attr.stack_bytes = 64 << 10;
    CHECK_EQ(weft_lwt_adopt(kthd, &attr), -EINVAL);
    CHECK_EQ(weft_lwt_current().id, 0);
    kthd_end(kthd);
}

TEST(adopt_refuses_a_reserved_field_that_is_not_zero)
{
    weft_kthd_t kthd = kthd_new();
    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    attr.reserved = 1;
    CHECK_EQ(weft_lwt_adopt(kthd, &attr), -EINVAL);
    CHECK_EQ(weft_lwt_current().id, 0);
    kthd_end(kthd);
}

static void *adopt_from_inside(void *arg)
{
    return (void *)(intptr_t)weft_lwt_adopt(*(weft_kthd_t *)arg, NULL);
}

TEST(an_lwt_cannot_be_adopted)
{
    weft_kthd_t kthd = kthd_new(), other = kthd_new();
    CHECK_EQ((intptr_t)lwt_run(kthd, adopt_from_inside, &other), -EPERM);
    adopt_to(kthd);
    CHECK_EQ(weft_lwt_adopt(kthd, NULL), -EPERM);
    CHECK_EQ(weft_lwt_adopt(other, NULL), -EPERM);
    CHECK_EQ(weft_kthd_current().id, kthd.id);
    leave();
    kthd_end(kthd);
    kthd_end(other);
}

static void *leave_from_inside(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)weft_lwt_leave();
}

TEST(leave_refuses_a_plain_thread_and_a_native_lwt)
{
    CHECK_EQ(weft_lwt_leave(), -EPERM);
    weft_kthd_t kthd = kthd_new();
    CHECK_EQ((intptr_t)lwt_run(kthd, leave_from_inside, NULL), -EPERM);
    adopt_to(kthd);
    leave();
    CHECK_EQ(weft_lwt_leave(), -EPERM);
    kthd_end(kthd);
}

TEST(an_adopted_thread_cannot_be_joined_or_detached)
{
    weft_kthd_t kthd = kthd_new();
    adopt_to(kthd);
    weft_lwt_t self = weft_lwt_current();
    CHECK_EQ(weft_lwt_detach(self), -EINVAL);
    int r = weft_lwt_join_until(self, NULL, 0); /* itself, and a thread lwt: either is true */
    CHECK(r == -EINVAL || r == -EDEADLK);
    leave();
    kthd_end(kthd);
}

static struct {
    _Atomic uint64_t lwt;
    atomic_int go;
} guest;

static void *be_a_guest(void *arg)
{
    adopt_to(*(weft_kthd_t *)arg);
    atomic_store(&guest.lwt, weft_lwt_current().id);
    while (!atomic_load(&guest.go))
        REQUIRE_EQ(weft_lwt_park(WEFT_FOREVER), 0);
    leave();
    return NULL;
}

TEST(others_can_name_unpark_and_interrupt_a_thread_lwt_but_not_join_it)
{
    weft_kthd_t kthd = kthd_new();
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, be_a_guest, &kthd), 0);
    AWAIT(atomic_load(&guest.lwt) && weft_lwt_state(lwt_of(guest.lwt)) == WEFT_LWT_BLOCKED);
    weft_lwt_t lwt = lwt_of(guest.lwt);
    CHECK_EQ(weft_lwt_join(lwt, NULL), -EINVAL);
    CHECK_EQ(weft_lwt_join_until(lwt, NULL, 0), -EINVAL);
    CHECK_EQ(weft_lwt_detach(lwt), -EINVAL);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), -EBUSY);
    atomic_store(&guest.go, 1);
    CHECK_EQ(weft_lwt_unpark(lwt), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(weft_lwt_unpark(lwt), -ESRCH);
    kthd_end(kthd);
}

/* ---- what stays its own ------------------------------------------------------------------------------------------ */

static __thread uint64_t my_word;
static __thread char my_page[5000];

static void set_rounding(int mode)
{
    fesetround(mode); /* both units */
}

static uint16_t x87_control(void)
{
    uint16_t word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word;
}

static uint32_t mxcsr_control(void)
{
    uint32_t word;
    __asm__ volatile("stmxcsr %0" : "=m"(word));
    return word & 0xffc0;
}

struct keeper {
    int index;
    long rounds;
    pthread_key_t key;
    weft_kthd_t *kthds; /* migrates between two of them; NULL: yields */
};

static void keep_everything(struct keeper *k)
{
    static const int roundings[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    pthread_t self = pthread_self();
    void *stack = __builtin_frame_address(0);
    uint64_t lwt = weft_lwt_current().id;
    my_word = (uint64_t)k->index * 1000003;
    memset(my_page, k->index, sizeof my_page);
    pthread_setspecific(k->key, (void *)(intptr_t)(k->index + 1));
    set_rounding(roundings[k->index % 4]);
    uint16_t x87 = x87_control();
    uint32_t mxcsr = mxcsr_control();
    volatile double tenth = 10.0;
    double quotient = 1.0 / tenth;
    for (long i = 0; i < k->rounds; i++) {
        errno = k->index + 7;
        if (k->kthds)
            REQUIRE_EQ(weft_lwt_migrate(k->kthds[(i + k->index) % 2]), 0);
        else
            weft_lwt_yield();
        REQUIRE_EQ(errno, k->index + 7);
        REQUIRE_EQ(my_word, (uint64_t)k->index * 1000003);
        REQUIRE(my_page[0] == (char)k->index && my_page[sizeof my_page - 1] == (char)k->index);
        REQUIRE_EQ((intptr_t)pthread_getspecific(k->key), k->index + 1);
        REQUIRE(pthread_equal(self, pthread_self()));
        REQUIRE_EQ(x87_control(), x87);
        REQUIRE_EQ(mxcsr_control(), mxcsr);
        REQUIRE(1.0 / tenth == quotient);
        REQUIRE(__builtin_frame_address(0) == stack);
        REQUIRE_EQ(weft_lwt_current().id, lwt);
    }
    set_rounding(FE_TONEAREST);
}

struct keeper_thread {
    struct keeper keeper;
    weft_kthd_t home;
};

static void *keep_adopted(void *arg)
{
    struct keeper_thread *t = arg;
    adopt_to(t->home);
    keep_everything(&t->keeper);
    leave();
    CHECK_EQ(my_word, (uint64_t)t->keeper.index * 1000003);
    return NULL;
}

static void keep_all(int count, bool migrate, long rounds)
{
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    struct keeper_thread *threads = calloc((size_t)count, sizeof *threads);
    pthread_t *ids = calloc((size_t)count, sizeof *ids);
    pthread_key_t key;
    REQUIRE_EQ(pthread_key_create(&key, NULL), 0);
    for (int i = 0; i < count; i++) {
        threads[i] = (struct keeper_thread){{i, rounds, key, migrate ? kthds : NULL}, kthds[migrate ? i % 2 : 0]};
        REQUIRE_EQ(pthread_create(&ids[i], NULL, keep_adopted, &threads[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
    free(threads);
    free(ids);
}

TEST(threads_keep_tls_errno_identity_and_rounding_over_yields)
{
    keep_all(8, false, check_scale(20000));
}

TEST(fifty_threads_keep_tls_errno_identity_and_rounding_while_they_migrate)
{
    keep_all(50, true, check_scale(2000));
}

static void *round_down_and_yield(void *arg)
{
    uint32_t before = mxcsr_control();
    uint16_t x87 = x87_control();
    set_rounding((int)(intptr_t)arg);
    uint32_t mine = mxcsr_control();
    for (int i = 0; i < 1000; i++) {
        weft_lwt_yield();
        REQUIRE_EQ(mxcsr_control(), mine);
    }
    (void)before;
    (void)x87;
    return NULL;
}

static void *rounding_at_birth(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)(mxcsr_control() | (uint32_t)x87_control() << 16);
}

TEST(native_lwts_keep_their_rounding_too)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t a = lwt_new(kthd, round_down_and_yield, (void *)FE_DOWNWARD),
               b = lwt_new(kthd, round_down_and_yield, (void *)FE_UPWARD),
               c = lwt_new(kthd, round_down_and_yield, (void *)FE_TONEAREST);
    lwt_result(a);
    lwt_result(b);
    lwt_result(c);
    kthd_end(kthd);
}

TEST(an_lwt_that_exits_with_another_rounding_leaves_it_to_nobody)
{
    weft_kthd_t kthd = kthd_new();
    intptr_t usual = (intptr_t)lwt_run(kthd, rounding_at_birth, NULL);
    for (int i = 0; i < 20; i++) {
        lwt_result(lwt_new(kthd, round_down_and_yield, (void *)FE_DOWNWARD));
        CHECK_EQ((intptr_t)lwt_run(kthd, rounding_at_birth, NULL), usual);
    }
    kthd_end(kthd);
}

/* Counters that only channel tokens guard: wrong at once if two of these threads ever run in each other's place. */
struct turnstile {
    weft_chan_t token;
    long count;
    long rounds;
    weft_kthd_t *kthds;
    int index;
    struct turnstile *shared;
};

static void *count_under_token(void *arg)
{
    struct turnstile *t = arg;
    adopt_to(t->kthds[t->index % 2]);
    for (long i = 0; i < t->rounds; i++) {
        uint64_t token = chan_take(t->shared->token);
        long seen = t->shared->count;
        if (i % 3 == 0)
            REQUIRE_EQ(weft_lwt_migrate(t->kthds[(i + t->index) % 2]), 0);
        else
            weft_lwt_yield();
        REQUIRE_EQ(t->shared->count, seen);
        t->shared->count = seen + 1;
        chan_give(t->shared->token, token + 1);
    }
    leave();
    return NULL;
}

TEST(fifty_adopted_threads_over_two_kthds_count_exactly)
{
    enum { count = 50 };
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    struct turnstile shared = {.token = chan_new(1)}, each[count];
    pthread_t threads[count];
    long rounds = check_scale(400);
    chan_give(shared.token, 0);
    for (int i = 0; i < count; i++) {
        each[i] = (struct turnstile){.rounds = rounds, .kthds = kthds, .index = i, .shared = &shared};
        REQUIRE_EQ(pthread_create(&threads[i], NULL, count_under_token, &each[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(shared.count, count * rounds);
    CHECK_EQ(chan_take(shared.token), count * rounds);
    chan_end(shared.token);
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
}

/* ---- signal masks ------------------------------------------------------------------------------------------------ */

static void expect_mask(const sigset_t *expected, int line)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (int signal = 1; signal < 65; signal++)
        if (signal != 32 && signal != 33 && sigismember(&now, signal) != sigismember(expected, signal))
            check_failed(__FILE__, line, "the signal mask differs", false);
}

TEST(leave_restores_the_signal_mask)
{
    weft_kthd_t kthd = kthd_new();
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR1);
    sigaddset(&mine, SIGWINCH);
    sigaddset(&mine, SIGRTMIN + 5);
    REQUIRE_EQ(pthread_sigmask(SIG_SETMASK, &mine, NULL), 0);
    for (int i = 0; i < 3; i++) {
        adopt_to(kthd);
        weft_lwt_yield();
        leave();
        expect_mask(&mine, __LINE__);
    }
    sigemptyset(&mine);
    REQUIRE_EQ(pthread_sigmask(SIG_SETMASK, &mine, NULL), 0);
    adopt_to(kthd);
    leave();
    expect_mask(&mine, __LINE__);
    kthd_end(kthd);
}

TEST(step_aside_restores_the_signal_mask_too)
{
    weft_kthd_t kthd = kthd_new();
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR1);
    REQUIRE_EQ(pthread_sigmask(SIG_SETMASK, &mine, NULL), 0);
    adopt_to(kthd);
    REQUIRE_EQ(weft_lwt_step_aside(), 0);
    expect_mask(&mine, __LINE__);
    leave();
    expect_mask(&mine, __LINE__);
    kthd_end(kthd);
}

/* ---- signals sent to the parked kernel thread -------------------------------------------------------------------- */

static struct {
    atomic_long handled;
    _Atomic pid_t tid;   /* where the handler ran */
    _Atomic uint64_t lwt; /* as whom */
    _Atomic pthread_t self;
    _Atomic uint64_t word;
} arrived;

static void note_arrival(int signal)
{
    (void)signal;
    int saved = errno;
    atomic_store(&arrived.tid, check_tid());
    atomic_store(&arrived.lwt, weft_lwt_id());
    atomic_store(&arrived.self, pthread_self());
    atomic_store(&arrived.word, my_word);
    atomic_fetch_add(&arrived.handled, 1);
    errno = saved;
}

static void watch_sigusr2(void)
{
    struct sigaction action = {.sa_handler = note_arrival, .sa_flags = SA_RESTART | SA_ONSTACK};
    REQUIRE_EQ(sigaction(SIGUSR2, &action, NULL), 0);
}

static struct {
    _Atomic pid_t own, carrier;
    _Atomic pthread_t thread;
    _Atomic uint64_t lwt;
    atomic_int stop, looping;
} target;

static void *loop_adopted(void *arg)
{
    atomic_store(&target.own, check_tid());
    adopt_to(*(weft_kthd_t *)arg);
    my_word = 0xfeed;
    atomic_store(&target.carrier, check_tid());
    atomic_store(&target.thread, pthread_self());
    atomic_store(&target.lwt, weft_lwt_id());
    atomic_store(&target.looping, 1);
    while (!atomic_load(&target.stop)) {
        /* no call: it is on the carrier the whole time */
    }
    leave();
    return NULL;
}

TEST(a_signal_sent_to_the_parked_kernel_thread_runs_on_the_carrier_as_that_thread)
{
    watch_sigusr2();
    weft_kthd_t kthd = kthd_new();
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, loop_adopted, &kthd), 0);
    AWAIT(atomic_load(&target.looping));
    CHECK(target.own != target.carrier);
    for (long i = 0; i < 100; i++) {
        REQUIRE_EQ(syscall(SYS_tgkill, getpid(), target.own, SIGUSR2), 0);
        AWAIT(atomic_load(&arrived.handled) > i);
        CHECK_EQ(atomic_load(&arrived.tid), target.carrier);
        CHECK_EQ(atomic_load(&arrived.lwt), target.lwt);
        CHECK(pthread_equal(atomic_load(&arrived.self), target.thread));
        CHECK_EQ(atomic_load(&arrived.word), 0xfeed);
    }
    REQUIRE_EQ(pthread_kill(thread, SIGUSR2), 0); /* what the C library does comes to the same */
    AWAIT(atomic_load(&arrived.handled) == 101);
    CHECK_EQ(atomic_load(&arrived.tid), target.carrier);
    atomic_store(&target.stop, 1);
    pthread_join(thread, NULL);
    kthd_end(kthd);
}

TEST(a_signal_for_a_thread_that_waits_in_user_space_hits_nobody_else)
{
    watch_sigusr2();
    weft_kthd_t kthd = kthd_new();
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, be_a_guest, &kthd), 0);
    AWAIT(atomic_load(&guest.lwt) && weft_lwt_state(lwt_of(guest.lwt)) == WEFT_LWT_BLOCKED);
    for (int i = 0; i < 100; i++)
        REQUIRE_EQ(pthread_kill(thread, SIGUSR2), 0);
    atomic_store(&guest.go, 1);
    REQUIRE_EQ(weft_lwt_unpark(lwt_of(guest.lwt)), 0);
    pthread_join(thread, NULL);
    if (atomic_load(&arrived.handled)) /* kept until it ran, or so late that it had gone: then the scheduler's */
        CHECK(atomic_load(&arrived.lwt) == atomic_load(&guest.lwt) || atomic_load(&arrived.lwt) == 0);
    kthd_end(kthd);
}

TEST(a_signal_storm_on_threads_that_switch_and_migrate_does_no_harm)
{
    enum { count = 6 };
    watch_sigusr2();
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    struct keeper_thread each[count];
    pthread_t threads[count];
    pthread_key_t key;
    REQUIRE_EQ(pthread_key_create(&key, NULL), 0);
    for (int i = 0; i < count; i++) {
        each[i] = (struct keeper_thread){{i, check_scale(20000), key, kthds}, kthds[i % 2]};
        REQUIRE_EQ(pthread_create(&threads[i], NULL, keep_adopted, &each[i]), 0);
    }
    for (long i = 0; i < check_scale(3000); i++) {
        pthread_kill(threads[i % count], SIGUSR2);
        check_pause();
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    check_say("    %ld signals handled\n", atomic_load(&arrived.handled));
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
}

/*
 * How a JVM's sampler suspends a thread: the handler, which knows the thread by its thread-local storage, sleeps until
 * the same signal comes again with the state changed. Whenever a thread was found, it must be found again.
 */
enum sampled_state { SAMPLED_RUNS, SAMPLED_REQUEST, SAMPLED_SLEEPS, SAMPLED_RESUME };

struct sampled {
    weft_kthd_t kthd;
    pthread_t thread;
    atomic_int state, adopted;
};

static _Thread_local struct sampled *sampled_self;
static atomic_int sampling_over;
static sem_t sampled_answer;

static void be_suspended(int signal)
{
    struct sampled *self = sampled_self;
    int saved = errno, state = SAMPLED_REQUEST;
    if (self && atomic_compare_exchange_strong(&self->state, &state, SAMPLED_SLEEPS)) {
        sigset_t mask;
        pthread_sigmask(SIG_BLOCK, NULL, &mask);
        sigdelset(&mask, signal);
        sem_post(&sampled_answer);
        while (atomic_load(&self->state) != SAMPLED_RESUME)
            sigsuspend(&mask);
        atomic_store(&self->state, SAMPLED_RUNS);
        sem_post(&sampled_answer);
    }
    errno = saved;
}

static bool answered_in_ms(long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int r;
    while ((r = sem_timedwait(&sampled_answer, &until)) && errno == EINTR) {
    }
    return !r;
}

static void *switch_while_sampled(void *arg)
{
    sampled_self = arg;
    adopt_to(sampled_self->kthd);
    atomic_store(&sampled_self->adopted, 1);
    while (!atomic_load(&sampling_over))
        for (int i = 0; i < 64; i++)
            i % 8 ? weft_lwt_yield() : (void)weft_lwt_park(check_now_ns() + 1); /* by the scheduler, too */
    leave();
    return NULL;
}

/* True if it was suspended, and resumed. */
static bool sample(struct sampled *target)
{
    atomic_store(&target->state, SAMPLED_REQUEST);
    REQUIRE_EQ(pthread_kill(target->thread, SIGUSR2), 0);
    if (!answered_in_ms(2)) {
        int state = SAMPLED_REQUEST;
        if (atomic_compare_exchange_strong(&target->state, &state, SAMPLED_RUNS))
            return false;
        REQUIRE(answered_in_ms(5000));
    }
    atomic_store(&target->state, SAMPLED_RESUME);
    for (int tries = 0; tries < 500; tries++) {
        REQUIRE_EQ(pthread_kill(target->thread, SIGUSR2), 0);
        if (answered_in_ms(10))
            return true;
    }
    check_failed(__FILE__, __LINE__, "a suspended thread did not hear that it may go on", true);
    return false;
}

TEST(a_thread_suspended_in_the_middle_of_a_switch_is_found_again)
{
    enum { count = 4 };
    struct sampled each[count];
    struct sigaction action = {.sa_handler = be_suspended, .sa_flags = SA_RESTART};
    REQUIRE_EQ(sem_init(&sampled_answer, 0, 0), 0);
    REQUIRE_EQ(sigaction(SIGUSR2, &action, NULL), 0);
    weft_kthd_t kthd = kthd_new();
    for (int i = 0; i < count; i++) {
        each[i].kthd = kthd;
        atomic_init(&each[i].state, SAMPLED_RUNS);
        atomic_init(&each[i].adopted, 0);
        REQUIRE_EQ(pthread_create(&each[i].thread, NULL, switch_while_sampled, &each[i]), 0);
    }
    for (int i = 0; i < count; i++)
        AWAIT(atomic_load(&each[i].adopted));
    long found = 0;
    for (long i = 0; i < check_scale(1500); i++)
        found += sample(&each[i % count]);
    check_say("    found %ld times\n", found);
    CHECK(found > (CHECK_TSAN ? 0 : check_scale(1500) / 20)); /* that sanitizer holds signals back */
    atomic_store(&sampling_over, 1);
    for (int i = 0; i < count; i++)
        pthread_join(each[i].thread, NULL);
    kthd_end(kthd);
}

/* ---- stepping aside ---------------------------------------------------------------------------------------------- */

static void *step_aside_from_inside(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)weft_lwt_step_aside();
}

TEST(step_aside_is_for_thread_lwts)
{
    CHECK_EQ(weft_lwt_step_aside(), 0);
    weft_kthd_t kthd = kthd_new();
    CHECK_EQ(weft_lwt_step_aside(), 0);
    CHECK_EQ((intptr_t)lwt_run(kthd, step_aside_from_inside, NULL), -ENOTSUP);
    kthd_end(kthd);
}

TEST(a_loose_lwt_runs_on_its_own_kernel_thread_until_it_yields)
{
    weft_kthd_t kthd = kthd_new();
    pid_t mine = check_tid();
    adopt_to(kthd);
    pid_t carrier = check_tid();
    weft_lwt_t self = weft_lwt_current();
    for (int i = 0; i < check_scale(500); i++) {
        REQUIRE_EQ(weft_lwt_step_aside(), 0);
        REQUIRE_EQ(check_tid(), mine);
        REQUIRE_EQ(weft_lwt_step_aside(), 0); /* does nothing */
        REQUIRE_EQ(check_tid(), mine);
        REQUIRE_EQ(weft_lwt_state(self), WEFT_LWT_LOOSE);
        REQUIRE_EQ(weft_lwt_current().id, self.id);
        REQUIRE_EQ(weft_lwt_id(), self.id);
        REQUIRE_EQ(weft_kthd_current().id, kthd.id);
        weft_lwt_yield();
        REQUIRE_EQ(check_tid(), carrier);
        REQUIRE_EQ(weft_lwt_state(self), WEFT_LWT_RUNNING);
    }
    leave();
    CHECK_EQ(check_tid(), mine);
    kthd_end(kthd);
}

TEST(leave_from_loose_is_a_leave)
{
    weft_kthd_t kthd = kthd_new();
    pid_t mine = check_tid();
    adopt_to(kthd);
    REQUIRE_EQ(weft_lwt_step_aside(), 0);
    leave();
    CHECK_EQ(check_tid(), mine);
    CHECK_EQ(weft_lwt_current().id, 0);
    CHECK_EQ(kthd_info(kthd).lwts, 0);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0);
}

TEST(the_others_run_on_while_a_loose_lwt_is_blocked_in_the_kernel)
{
    weft_kthd_t kthd = kthd_new();
    int ends[2];
    char byte;
    REQUIRE_EQ(pipe(ends), 0);
    adopt_to(kthd);
    REQUIRE_EQ(weft_lwt_step_aside(), 0);
    /* would dead-lock on the carrier: the byte comes from an lwt of the same kthd */
    weft_lwt_t lwt = lwt_new(kthd, give_back, NULL);
    while (weft_lwt_state(lwt) != WEFT_LWT_ZOMBIE)
        check_pause();
    REQUIRE_EQ(write(ends[1], "x", 1), 1);
    REQUIRE_EQ(read(ends[0], &byte, 1), 1);
    lwt_result(lwt);
    leave();
    close(ends[0]);
    close(ends[1]);
    kthd_end(kthd);
}

static void *send_twice(void *arg)
{
    weft_chan_t *chans = arg;
    chan_give(chans[0], 11);
    chan_give(chans[0], 12);
    return NULL;
}

static const char *const rejoin_words[] = {"yield", "receive", "send",     "park", "join",
                                           "group", "migrate", "yield_to", NULL};

TEST_OVER(a_loose_lwt_rejoins_by_this_call, rejoin_words)
{
    weft_kthd_t kthd = kthd_new(), other = kthd_new();
    pid_t on_other = (pid_t)(intptr_t)lwt_run(other, my_tid, NULL);
    weft_chan_t chan = chan_new(0);
    weft_cgrp_t cgrp;
    struct weft_event event;
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    adopt_to(kthd);
    pid_t carrier = check_tid();
    weft_lwt_t lwt;
    uint64_t value;
    REQUIRE_EQ(weft_lwt_step_aside(), 0);
    switch (check_variant) {
    case 0:
        weft_lwt_yield();
        break;
    case 1: /* with a partner that comes later, and at the latest in the second round the wait is one */
        lwt = lwt_new(kthd, send_twice, &chan);
        CHECK_EQ(chan_take(chan), 11);
        CHECK_EQ(chan_take(chan), 12);
        lwt_result(lwt);
        break;
    case 2:
        CHECK_EQ(weft_chan_send_until(chan, 1, scene_in_ms(5)), -ETIMEDOUT);
        break;
    case 3:
        CHECK_EQ(weft_lwt_park(scene_in_ms(5)), -ETIMEDOUT);
        break;
    case 4:
        lwt = lwt_new(kthd, give_back, (void *)6);
        CHECK_EQ((intptr_t)lwt_result(lwt), 6);
        CHECK_EQ((intptr_t)lwt_run(kthd, give_back, (void *)7), 7);
        weft_lwt_yield(); /* both may have been zombies when they were joined */
        break;
    case 5:
        CHECK_EQ(weft_cgrp_wait_until(cgrp, &event, scene_in_ms(5)), -ETIMEDOUT);
        break;
    case 6:
        CHECK_EQ(weft_lwt_migrate(other), 0);
        carrier = on_other;
        break;
    default:
        lwt = lwt_new(kthd, give_back, NULL);
        value = (uint64_t)(int64_t)weft_lwt_yield_to(lwt); /* it may have run before the loose one was back */
        CHECK((int64_t)value == 0 || (int64_t)value == -EAGAIN);
        lwt_result(lwt);
        weft_lwt_yield();
        break;
    }
    CHECK_EQ(check_tid(), carrier);
    CHECK_EQ(weft_lwt_state(weft_lwt_current()), WEFT_LWT_RUNNING);
    leave();
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
    kthd_end(kthd);
    kthd_end(other);
}

TEST(many_threads_step_aside_and_rejoin_at_once)
{
    enum { count = 12 };
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    struct turnstile shared = {.token = chan_new(1)}, each[count];
    pthread_t threads[count];
    extern void *step_aside_and_count(void *);
    chan_give(shared.token, 0);
    for (int i = 0; i < count; i++) {
        each[i] = (struct turnstile){.rounds = check_scale(300), .kthds = kthds, .index = i, .shared = &shared};
        REQUIRE_EQ(pthread_create(&threads[i], NULL, step_aside_and_count, &each[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(shared.count, count * check_scale(300));
    chan_end(shared.token);
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
}

void *step_aside_and_count(void *arg)
{
    struct turnstile *t = arg;
    adopt_to(t->kthds[t->index % 2]);
    for (long i = 0; i < t->rounds; i++) {
        if ((i + t->index) % 3 == 0)
            REQUIRE_EQ(weft_lwt_step_aside(), 0);
        uint64_t token = chan_take(t->shared->token);
        long seen = t->shared->count;
        if (i % 4 == 0)
            REQUIRE_EQ(weft_lwt_step_aside(), 0);
        if (i % 5 == 0)
            weft_lwt_yield();
        REQUIRE_EQ(t->shared->count, seen);
        t->shared->count = seen + 1;
        chan_give(t->shared->token, token);
    }
    leave();
    return NULL;
}

/* ---- ending without leaving -------------------------------------------------------------------------------------- */

static void *end_without_leaving(void *arg)
{
    adopt_to(*(weft_kthd_t *)arg);
    my_word = 5;
    return (void *)77;
}

static void *end_by_pthread_exit(void *arg)
{
    adopt_to(*(weft_kthd_t *)arg);
    pthread_exit((void *)78);
}

static void *end_loose(void *arg)
{
    adopt_to(*(weft_kthd_t *)arg);
    REQUIRE_EQ(weft_lwt_step_aside(), 0);
    return (void *)79;
}

static const char *const end_words[] = {"return", "pthread_exit", "loose", NULL};

TEST_OVER(a_thread_that_ends_without_leaving_leaves_by_itself, end_words)
{
    static void *(*const ends[])(void *) = {end_without_leaving, end_by_pthread_exit, end_loose};
    weft_kthd_t kthd = kthd_new();
    pid_t carrier = (pid_t)(intptr_t)lwt_run(kthd, my_tid, NULL);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *value;
        REQUIRE_EQ(pthread_create(&thread, NULL, ends[check_variant], &kthd), 0);
        REQUIRE_EQ(pthread_join(thread, &value), 0);
        CHECK_EQ((intptr_t)value, 77 + check_variant);
    }
    CHECK_EQ((intptr_t)lwt_run(kthd, my_tid, NULL), carrier); /* the carrier is still there */
    CHECK_EQ(kthd_info(kthd).lwts, 0);
    CHECK_EQ(weft_kthd_destroy(kthd, 0), 0);
}

/* A key whose destructor calls weft again: the net must hold whatever order the destructors come in. */
static pthread_key_t late_key;

static void use_weft_late(void *value)
{
    weft_chan_t *chan = value;
    uint64_t word;
    weft_chan_try_send(*chan, 1);
    weft_chan_try_recv(*chan, &word);
    weft_lwt_yield();
}

static void *end_with_late_destructor(void *arg)
{
    void **args = arg;
    pthread_setspecific(late_key, args[1]);
    adopt_to(*(weft_kthd_t *)args[0]);
    return NULL;
}

TEST(destructors_of_thread_specific_data_may_still_call_weft)
{
    weft_kthd_t kthd = kthd_new();
    weft_chan_t chan = chan_new(1);
    REQUIRE_EQ(pthread_key_create(&late_key, use_weft_late), 0);
    void *args[2] = {&kthd, &chan};
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        REQUIRE_EQ(pthread_create(&thread, NULL, end_with_late_destructor, args), 0);
        REQUIRE_EQ(pthread_join(thread, NULL), 0);
    }
    CHECK_EQ(kthd_info(kthd).lwts, 0);
    chan_end(chan);
    kthd_end(kthd);
}

/* ---- together with others ---------------------------------------------------------------------------------------- */

TEST(malloc_and_stdio_locks_follow_the_thread)
{
    /* what malloc hands out is keyed on thread-local caches: heavy use over switches must stay consistent */
    enum { count = 16 };
    extern void *churn(void *);
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    pthread_t threads[count];
    struct keeper each[count];
    for (int i = 0; i < count; i++) {
        each[i] = (struct keeper){.index = i, .rounds = check_scale(3000), .kthds = kthds};
        REQUIRE_EQ(pthread_create(&threads[i], NULL, churn, &each[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
}

void *churn(void *arg)
{
    struct keeper *k = arg;
    enum { slots = 16 };
    char *held[slots] = {0};
    struct check_random random = check_random_from((uint64_t)k->index + 1);
    adopt_to(k->kthds[k->index % 2]);
    for (long i = 0; i < k->rounds; i++) {
        uint32_t at = check_random_below(&random, slots), size = 1 + check_random_below(&random, 3000);
        if (held[at]) {
            REQUIRE_EQ(held[at][0], (char)(k->index + 1));
            free(held[at]);
        }
        held[at] = malloc(size);
        REQUIRE(held[at] != NULL);
        memset(held[at], k->index + 1, size);
        if (i % 3)
            weft_lwt_yield();
        else
            REQUIRE_EQ(weft_lwt_migrate(k->kthds[check_random_below(&random, 2)]), 0);
    }
    leave();
    for (int i = 0; i < slots; i++)
        free(held[i]);
    return NULL;
}

TEST(adopted_threads_take_turns_with_native_lwts_in_fifo_order)
{
    weft_kthd_t kthd = kthd_new();
    adopt_to(kthd);
    weft_lwt_t a = lwt_new(kthd, give_back, NULL), b = lwt_new(kthd, give_back, NULL);
    CHECK_EQ(weft_lwt_state(a), WEFT_LWT_READY);
    CHECK_EQ(weft_lwt_yield_to(b), 0);
    CHECK_EQ(weft_lwt_state(b), WEFT_LWT_ZOMBIE);
    CHECK_EQ(weft_lwt_state(a), WEFT_LWT_ZOMBIE);
    lwt_result(a);
    lwt_result(b);
    leave();
    kthd_end(kthd);
}

TEST(a_parked_kernel_thread_uses_no_processor_time_and_holds_no_descriptor)
{
    weft_kthd_t kthd = kthd_new();
    int fds = check_count_fds();
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, be_a_guest, &kthd), 0);
    AWAIT(atomic_load(&guest.lwt) && weft_lwt_state(lwt_of(guest.lwt)) == WEFT_LWT_BLOCKED);
    clockid_t clock;
    struct timespec before, after, wait = {0, 100000000};
    REQUIRE_EQ(pthread_getcpuclockid(thread, &clock), 0);
    clock_gettime(clock, &before);
    nanosleep(&wait, NULL);
    clock_gettime(clock, &after);
    CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec < 1000000);
    CHECK_EQ(check_count_fds(), fds);
    atomic_store(&guest.go, 1);
    weft_lwt_unpark(lwt_of(guest.lwt));
    pthread_join(thread, NULL);
    kthd_end(kthd);
}


TEST(the_forms_for_bindings_do_what_the_plain_forms_do)
{
    weft_kthd_t kthd = kthd_new();
    weft_chan_t chan = chan_new(2);
    weft_cgrp_t cgrp;
    CHECK(weft_abi_self() == NULL);
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    adopt_to(kthd);
    struct weft_self *self = weft_abi_self();
    REQUIRE(self != NULL);
    CHECK_EQ(self->id, weft_lwt_current().id);
    weft_lwt_yield_as(self);
    CHECK_EQ(weft_chan_send_as(self, chan, 41, WEFT_FOREVER), 0);
    CHECK_EQ(weft_chan_send_as(self, chan, 42, 0), 0);
    CHECK_EQ(weft_chan_send_as(self, chan, 43, scene_in_ms(2)), -ETIMEDOUT);
    CHECK_EQ(weft_cgrp_add(cgrp, chan, 99), 0);
    CHECK_EQ(weft_cgrp_wait_as(self, cgrp, WEFT_FOREVER), 0);
    CHECK_EQ(self->value, chan.id);
    CHECK_EQ(self->mark, 99);
    CHECK_EQ(weft_chan_recv_as(self, chan, WEFT_FOREVER), 0);
    CHECK_EQ(self->value, 41);
    CHECK_EQ(weft_chan_recv_as(self, chan, 0), 0);
    CHECK_EQ(self->value, 42);
    CHECK_EQ(weft_chan_recv_as(self, chan, scene_in_ms(2)), -ETIMEDOUT);
    CHECK_EQ(weft_cgrp_wait_as(self, cgrp, scene_in_ms(2)), -ETIMEDOUT);
    CHECK_EQ(weft_lwt_park_as(self, 0), -ETIMEDOUT);
    weft_lwt_unpark(weft_lwt_current());
    CHECK_EQ(weft_lwt_park_as(self, WEFT_FOREVER), 0);
    weft_lwt_interrupt(weft_lwt_current());
    CHECK_EQ(weft_chan_recv_as(self, chan, WEFT_FOREVER), -EINTR);
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_EQ(weft_chan_send_as(self, chan, 1, WEFT_FOREVER), -EPIPE);
    CHECK_EQ(weft_chan_recv_as(self, chan, WEFT_FOREVER), -EPIPE);
    CHECK_EQ(weft_chan_recv_as(self, (weft_chan_t){0}, WEFT_FOREVER), -EBADF);
    CHECK_EQ(weft_chan_send_as(self, (weft_chan_t){0}, 1, WEFT_FOREVER), -EBADF);
    CHECK_EQ(weft_cgrp_wait_as(self, (weft_cgrp_t){0}, WEFT_FOREVER), -EBADF);
    leave();
    CHECK(weft_abi_self() == NULL);
    chan_end(chan);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    kthd_end(kthd);
}

static void *self_of_native(void *arg)
{
    (void)arg;
    struct weft_self *self = weft_abi_self();
    CHECK(self != NULL && self->id == weft_lwt_current().id);
    return NULL;
}

TEST(a_native_lwt_has_a_control_block_too)
{
    weft_kthd_t kthd = kthd_new();
    lwt_run(kthd, self_of_native, NULL);
    kthd_end(kthd);
}

static void *sit_in_recv(void *arg)
{
    uint64_t *found = arg;
    return (void *)(intptr_t)weft_chan_recv(chan_of(found[0]), &found[1]);
}

static void *sit_in_send(void *arg)
{
    uint64_t *words = arg;
    return (void *)(intptr_t)weft_chan_send(chan_of(words[0]), words[1]);
}

/* The whole of the quick forms: on an lwt of the kthd that alone uses the channels. */
static void *quick_forms(void *arg)
{
    struct weft_self *self = weft_abi_self();
    weft_chan_t buffered = chan_new(2), rendezvous = chan_new(0), closed = chan_new(2);
    (void)arg;
    CHECK_EQ(weft_chan_send_as(self, buffered, 1, WEFT_FOREVER), 0); /* it is this kthd's from now on */
    CHECK_EQ(weft_chan_recv_as(self, buffered, WEFT_FOREVER), 0);
    CHECK_EQ(weft_chan_send_now_as(self, buffered, 21), 0);
    CHECK_EQ(weft_chan_send_now_as(self, buffered, 22), 0);
    CHECK_EQ(weft_chan_send_now_as(self, buffered, 23), -EAGAIN); /* full */
    CHECK_EQ(weft_chan_recv_now_as(self, buffered), 0);
    CHECK_EQ(self->value, 21);
    CHECK_EQ(weft_chan_recv_now_as(self, buffered), 0);
    CHECK_EQ(self->value, 22);
    CHECK_EQ(weft_chan_recv_now_as(self, buffered), -EAGAIN); /* empty */

    CHECK_EQ(weft_chan_send_until(rendezvous, 1, 0), -ETIMEDOUT);
    CHECK_EQ(weft_chan_send_now_as(self, rendezvous, 1), -EAGAIN);
    CHECK_EQ(weft_chan_recv_now_as(self, rendezvous), -EAGAIN);
    uint64_t words[2] = {rendezvous.id, 0};
    weft_lwt_t peer = lwt_new(no_kthd, sit_in_recv, words);
    SCENE_AWAIT(weft_lwt_state(peer) == WEFT_LWT_BLOCKED);
    CHECK_EQ(weft_chan_send_now_as(self, rendezvous, 31), 0);
    CHECK_EQ((intptr_t)lwt_result(peer), 0);
    CHECK_EQ(words[1], 31);
    words[1] = 32;
    peer = lwt_new(no_kthd, sit_in_send, words);
    SCENE_AWAIT(weft_lwt_state(peer) == WEFT_LWT_BLOCKED);
    CHECK_EQ(weft_chan_recv_now_as(self, rendezvous), 0);
    CHECK_EQ(self->value, 32);
    CHECK_EQ((intptr_t)lwt_result(peer), 0);

    CHECK_EQ(weft_chan_send_as(self, closed, 1, WEFT_FOREVER), 0);
    CHECK_EQ(weft_chan_close(closed), 0);
    CHECK_EQ(weft_chan_send_now_as(self, closed, 2), -EAGAIN); /* the full forms say what is wrong */
    int r = weft_chan_recv_now_as(self, closed);
    CHECK(r == 0 || r == -EAGAIN);
    if (r == -EAGAIN)
        CHECK_EQ(weft_chan_recv_as(self, closed, WEFT_FOREVER), 0);
    CHECK_EQ(self->value, 1);
    CHECK_EQ(weft_chan_recv_now_as(self, closed), -EAGAIN);
    CHECK_EQ(weft_chan_send_now_as(self, (weft_chan_t){0}, 2), -EAGAIN);
    CHECK_EQ(weft_chan_recv_now_as(self, (weft_chan_t){0}), -EAGAIN);
    chan_end(buffered);
    CHECK_EQ(weft_chan_send_now_as(self, buffered, 2), -EAGAIN);
    chan_end(rendezvous);
    chan_end(closed);
    return NULL;
}

TEST(the_quick_forms_complete_at_once_or_do_nothing)
{
    weft_kthd_t kthd = kthd_new();
    lwt_run(kthd, quick_forms, NULL);
    adopt_to(kthd);
    quick_forms(NULL);
    leave();
    kthd_end(kthd);
}

TEST(the_quick_forms_leave_a_shared_channel_to_the_full_ones)
{
    weft_kthd_t kthd = kthd_new();
    weft_chan_t chan = chan_new(2);
    chan_give(chan, 7); /* from a plain thread: nobody's own */
    adopt_to(kthd);
    struct weft_self *self = weft_abi_self();
    CHECK_EQ(weft_chan_recv_now_as(self, chan), -EAGAIN);
    CHECK_EQ(weft_chan_send_now_as(self, chan, 8), -EAGAIN);
    CHECK_EQ(weft_chan_recv_as(self, chan, WEFT_FOREVER), 0);
    CHECK_EQ(self->value, 7);
    leave();
    chan_end(chan);
    kthd_end(kthd);
}
