/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: what is refused because of where weft runs or how much there is already, where that cannot be reached from
 * outside: a machine without FSGSBASE (this program answers the C library's getauxval() itself), a full table of lwts,
 * 2^31 references, a JVM's veto; and limits that the system sets.
 */
#include "scene.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "comm/chan.h"
#include "context/stack.h"
#include "sched/lwt.h"

static void *give_back(void *arg) { return arg; }

/* ---- without FSGSBASE -------------------------------------------------------------------------------------------- */

static bool hide_fsgsbase;

/* In place of the C library's: the same table, from the kernel's own file. */
unsigned long getauxval(unsigned long type)
{
    Elf64_auxv_t entries[64];
    unsigned long value = 0;
    int fd = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, entries, sizeof entries);
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < size / (ssize_t)sizeof entries[0]; i++)
        if (entries[i].a_type == type)
            value = entries[i].a_un.a_val;
    if (type == AT_HWCAP2 && hide_fsgsbase)
        value &= ~2ul;
    return value;
}

TEST(without_fsgsbase_kthds_and_adoption_are_refused)
{
    char buf[512] = "";
    weft_kthd_t kthd = {77}, before = kthd_new();
    unsetenv("WEFT_SLOW_FS");
    hide_fsgsbase = true;
    CHECK_EQ(weft_platform_check(buf, sizeof buf), -ENOTSUP);
    CHECK_CONTAINS(buf, "FSGSBASE");
    CHECK_CONTAINS(buf, "WEFT_SLOW_FS=1");
    CHECK(strchr(buf, '\n') == NULL);
    char small[10];
    memset(small, '~', sizeof small);
    CHECK_EQ(weft_platform_check(small, 5), -ENOTSUP);
    CHECK_EQ(small[4], 0);
    CHECK_EQ(small[5], '~');
    CHECK_EQ(weft_platform_check(NULL, 0), -ENOTSUP);
    CHECK_EQ(weft_kthd_create(&kthd, NULL), -ENOTSUP);
    CHECK_EQ(kthd.id, 77);
    CHECK_EQ(weft_lwt_adopt(before, NULL), -ENOTSUP);
    CHECK_EQ(weft_lwt_current().id, 0);
    hide_fsgsbase = false;
    kthd_end(before);
}

static __thread uint64_t mine;

struct slow {
    weft_kthd_t *kthds;
    uint64_t index;
};

static void *keep_tls(void *arg)
{
    struct slow *slow = arg;
    REQUIRE_EQ(weft_lwt_adopt(slow->kthds[slow->index % 2], NULL), 0);
    mine = slow->index * 77;
    for (uint64_t i = 0; i < (uint64_t)check_scale(2000); i++) {
        if (i % 3)
            weft_lwt_yield();
        else
            REQUIRE_EQ(weft_lwt_migrate(slow->kthds[(i + slow->index) % 2]), 0);
        REQUIRE_EQ(mine, slow->index * 77);
        if (i % 100 == 0)
            lwt_result(lwt_new(slow->kthds[i % 2], give_back, NULL));
    }
    REQUIRE_EQ(weft_lwt_leave(), 0);
    return NULL;
}

static const char *const fs_words[] = {"wrfsbase", "arch_prctl", NULL};

TEST_OVER(adopted_threads_keep_their_tls_by_this_instruction, fs_words)
{
    enum { count = 6 };
    char buf[256];
    hide_fsgsbase = check_variant == 1;
    if (check_variant == 1)
        setenv("WEFT_SLOW_FS", "1", 1);
    CHECK_EQ(weft_platform_check(buf, sizeof buf), 0);
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    pthread_t threads[count];
    struct slow slow[count];
    for (uint64_t i = 0; i < count; i++) {
        slow[i] = (struct slow){kthds, i};
        REQUIRE_EQ(pthread_create(&threads[i], NULL, keep_tls, &slow[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
}

/* ---- full tables ------------------------------------------------------------------------------------------------- */

TEST_LIMIT(a_full_table_of_lwts_is_enospc, 60)
{
    /* The table takes what address space there is; so there must be little when it is made, and enough of all else. */
    if (CHECK_SANITIZED)
        CHECK_SKIP("a sanitizer needs the address space");
    int error = 0, size_class = stack_class_for(8 << 10);
    struct stack *one = stack_take(NULL, size_class, &error), *parking = stack_take(NULL, 0, &error);
    REQUIRE(one && parking);
    stack_put(NULL, one);
    stack_put(NULL, parking);
    struct weft_kthd_attr kthd_attr;
    weft_kthd_t kthd;
    weft_kthd_attr_init(&kthd_attr);
    kthd_attr.flags = WEFT_KTHD_EXTERNAL; /* nobody runs it: its lwts stay */
    struct rlimit all, little;
    REQUIRE_EQ(getrlimit(RLIMIT_AS, &all), 0);
    little = all;
    /* the table of kthds takes its part first */
    little.rlim_cur = (rlim_t)check_status_value("/proc/self/status", "VmSize") * 1024 + (8 << 20);
    REQUIRE_EQ(setrlimit(RLIMIT_AS, &little), 0);
    REQUIRE_EQ(weft_kthd_create(&kthd, &kthd_attr), 0);
    REQUIRE_EQ(setrlimit(RLIMIT_AS, &all), 0);

    struct weft_lwt_attr attr;
    weft_lwt_attr_init(&attr);
    attr.stack_bytes = 8 << 10;
    long made = 0;
    int r;
    weft_lwt_t lwt = {77};
    uint64_t *ids = calloc(1 << 20, sizeof *ids);
    while ((r = weft_lwt_create(&lwt, kthd, give_back, NULL, &attr)) == 0) {
        REQUIRE(made < 1 << 20);
        ids[made++] = lwt.id;
    }
    check_say("    room for %ld lwts\n", made);
    CHECK_EQ(r, -ENOSPC);
    CHECK(made > 500);
    CHECK_EQ(all_info().lwts, made);
    CHECK_EQ(weft_lwt_adopt(kthd, NULL), -ENOSPC);
    CHECK_EQ(weft_lwt_current().id, 0);
    CHECK_EQ(all_info().lwts, made);

    /* and when they are gone there is room again */
    pthread_t carrier;
    extern void *carry(void *);
    REQUIRE_EQ(pthread_create(&carrier, NULL, carry, &kthd), 0);
    for (long i = 0; i < made; i++)
        lwt_result(lwt_of(ids[i]));
    CHECK_EQ((intptr_t)lwt_run(kthd, give_back, (void *)4), 4);
    kthd_end(kthd);
    pthread_join(carrier, NULL);
    free(ids);
}

void *carry(void *arg)
{
    weft_kthd_run(*(weft_kthd_t *)arg);
    return NULL;
}

TEST(the_last_possible_reference_is_refused_with_enospc)
{
    weft_chan_t chan = chan_new(1);
    struct weft_chan *inside = chan_find(chan);
    REQUIRE(inside != NULL);
    inside->refs = INT32_MAX - 1; /* as if 2^31 - 2 had been taken: they would take half a minute */
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_SENDER), 0);
    CHECK_EQ(weft_chan_retain(chan, 0), -ENOSPC);
    CHECK_EQ(weft_chan_retain(chan, WEFT_CHAN_SENDER), -ENOSPC);
    CHECK_EQ(chan_info(chan).refs, INT32_MAX);
    CHECK_EQ(chan_info(chan).senders, 1);
    CHECK_EQ(weft_chan_release(chan, 0), 0);
    CHECK_EQ(weft_chan_retain(chan, 0), 0);
    inside->refs = 2;
    CHECK_EQ(weft_chan_release(chan, WEFT_CHAN_SENDER), 0);
    chan_end(chan);
}

/* ---- a JVM's veto ------------------------------------------------------------------------------------------------ */

static int veto(void *(*fn)(void *)) { return fn == give_back ? -EACCES : 0; }

static void *other(void *arg) { return arg; }

TEST(a_veto_on_a_function_is_passed_on)
{
    weft_kthd_t kthd = kthd_new();
    weft_lwt_t lwt;
    lwt_vet_function = veto;
    CHECK_EQ(weft_lwt_create(&lwt, kthd, give_back, NULL, NULL), -EACCES);
    CHECK_EQ(all_info().lwts, 0);
    CHECK_EQ(weft_lwt_create(&lwt, kthd, other, (void *)2, NULL), 0);
    CHECK_EQ((intptr_t)lwt_result(lwt), 2);
    lwt_vet_function = NULL;
    kthd_end(kthd);
}

/* ---- limits that the system sets --------------------------------------------------------------------------------- */

TEST(a_tight_limit_on_address_space_gives_enomem_or_smaller_tables_never_a_crash)
{
    static const long mib[] = {1, 2, 4, 8, 16, 64, 256, 1024, 4096, 8192, 65536};
    if (CHECK_SANITIZED)
        CHECK_SKIP("a sanitizer needs the address space");
    for (int i = 0; i < 11; i++) {
        pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            struct rlimit limit;
            getrlimit(RLIMIT_AS, &limit);
            limit.rlim_cur = (rlim_t)check_status_value("/proc/self/status", "VmSize") * 1024 + ((rlim_t)mib[i] << 20);
            setrlimit(RLIMIT_AS, &limit);
            struct weft_kthd_attr attr;
            weft_kthd_t kthd;
            weft_chan_t chan;
            weft_cgrp_t cgrp;
            weft_lwt_t lwt;
            weft_kthd_attr_init(&attr);
            int r = weft_kthd_create(&kthd, &attr);
            REQUIRE(r == 0 || r == -ENOMEM || r == -EAGAIN);
            int c = weft_chan_create(&chan, 10), g = weft_cgrp_create(&cgrp);
            REQUIRE(c == 0 || c == -ENOMEM);
            REQUIRE(g == 0 || g == -ENOMEM);
            if (c == 0)
                chan_end(chan);
            if (g == 0)
                REQUIRE_EQ(weft_cgrp_free(cgrp), 0);
            if (r)
                _exit(0);
            r = weft_lwt_create(&lwt, kthd, give_back, (void *)3, NULL);
            REQUIRE(r == 0 || r == -ENOMEM);
            if (r == 0)
                REQUIRE_EQ((intptr_t)lwt_result(lwt), 3);
            REQUIRE_EQ(weft_kthd_destroy(kthd, WEFT_KTHD_WAIT), 0);
            _exit(atomic_load(&check_failures) ? 1 : 0);
        }
        int status;
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            check_say("    %ld MiB: wait status 0x%x\n", mib[i], (unsigned)status);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* A filter that answers one system call with EPERM, as a container's may. */
static void forbid(int number)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof program[0], program};
    REQUIRE_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        CHECK_SKIP("no seccomp filters here");
}

struct pair {
    weft_chan_t to, fro;
};

static void *echo(void *arg)
{
    struct pair *pair = arg;
    uint64_t word;
    while (weft_chan_recv(pair->to, &word) == 0)
        chan_give(pair->fro, word + 1);
    return NULL;
}

TEST(a_seccomp_filter_that_denies_membarrier_costs_speed_and_nothing_else)
{
    forbid(SYS_membarrier);
    weft_kthd_t kthds[2] = {kthd_new(), kthd_new()};
    struct pair pair = {chan_new(0), chan_new(1)};
    weft_lwt_t lwt = lwt_new(kthds[0], echo, &pair);
    for (uint64_t i = 0; i < 1000; i++) {
        chan_give(pair.to, i);
        REQUIRE_EQ(chan_take(pair.fro), i + 1);
    }
    weft_chan_close(pair.to);
    lwt_result(lwt);
    chan_end(pair.to);
    chan_end(pair.fro);
    kthd_end(kthds[0]);
    kthd_end(kthds[1]);
}

static void *fill_stack_and_yield(void *arg)
{
    volatile char here[2000];
    memset((void *)here, 1, sizeof here);
    weft_lwt_yield();
    return arg;
}

TEST(ten_thousand_stacks_fit_in_a_few_maps)
{
    enum { count = 10000 };
    static weft_lwt_t lwts[count];
    weft_kthd_t kthd = kthd_new();
    int before = check_count_maps();
    for (int i = 0; i < (int)check_scale(count); i++)
        lwts[i] = lwt_new(kthd, fill_stack_and_yield, (void *)(intptr_t)i);
    int during = check_count_maps();
    for (int i = 0; i < (int)check_scale(count); i++)
        CHECK_EQ((intptr_t)lwt_result(lwts[i]), i);
    check_say("    %d maps before, %d with them\n", before, during);
    if (!CHECK_SANITIZED)
        CHECK(during < before + 100);
    kthd_end(kthd);
}
