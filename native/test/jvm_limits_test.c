/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether weft_jvm_thread_headroom() finds the nearest limit. White-box: most tests lay out a small /proc and /sys of
 * their own in a temporary folder and ask limits_headroom_at() there; the last ones ask the real one.
 */
#include "check.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "jvm/limits.h"
#include "jvm/procfile.h"

/* ---- a machine on paper --------------------------------------------------------------------------------------- */

static char root[64];

static void write_file(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "we");
    REQUIRE(file != NULL);
    fputs(text, file);
    REQUIRE_EQ(fclose(file), 0);
}

static void remove_file(const char *path)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    REQUIRE_EQ(unlink(full), 0);
}

static void write_lines(const char *path, int lines)
{
    char *text = calloc((size_t)lines + 1, 64);
    REQUIRE(text != NULL);
    char *at = text;
    for (int i = 0; i < lines; i++)
        at += sprintf(at, "7f%010x-7f%010x r--p 00000000 00:00 0\n", 2 * i * 4096, (2 * i + 1) * 4096);
    write_file(path, text);
    free(text);
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

/* Children of the test's process run to its end or die with it; the folder is the parent's to remove. */
static void machine_remove(void) { nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS); }

/* A roomy machine: nothing binds before vm.max_map_count does. */
static void machine_make(void)
{
    strcpy(root, "/tmp/weft-limits-XXXXXX");
    REQUIRE(mkdtemp(root) != NULL);
    atexit(machine_remove);
    write_file("/proc/loadavg", "0.79 1.07 0.59 1/84 5043\n");
    write_file("/proc/sys/kernel/threads-max", "193102\n");
    write_file("/proc/sys/kernel/pid_max", "4194304\n");
    write_file("/proc/sys/vm/max_map_count", "60000\n");
    write_lines("/proc/self/maps", 100);
    write_file("/proc/self/cgroup", "0::/user/app\n");
    write_file("/proc/self/mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
                                       "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:4 master:1 - cgroup2 cgroup2 rw\n");
    write_file("/proc/self/uid_map", "         0          0 4294967295\n");
    write_file("/proc/self/status", "Name:\tjava\nUid:\t1000\t1000\t1000\t1000\nThreads:\t30\nCapEff:\t0000000000000000\n");
    write_file("/proc/self/limits", "Limit                     Soft Limit           Hard Limit           Units     \n"
                                    "Max processes             unlimited            unlimited            processes \n");
}

static struct weft_limit nearest(void)
{
    struct weft_limit limit;
    memset(&limit, 0xa5, sizeof limit);
    REQUIRE_EQ(limits_headroom_at(root, &limit), 0);
    return limit;
}

/* Checks the nearest limit. The room expected follows from the other two, by the reserve that limits.c documents. */
static void expect(const char *name, uint64_t maximum, uint64_t used)
{
    struct weft_limit limit = nearest();
    CHECK_STR(limit.name, name);
    CHECK_EQ(limit.maximum, maximum);
    CHECK_EQ(limit.used, used);
    uint64_t reserve = limits_thread_reserve(maximum);
    if (strcmp(name, "vm.max_map_count"))
        CHECK_EQ(limit.threads, maximum > used + reserve ? maximum - used - reserve : 0);
}

TEST(the_map_count_bounds_an_otherwise_roomy_machine)
{
    machine_make();
    expect("vm.max_map_count", 60000, 100);
    CHECK_EQ(nearest().threads, (60000 - 100 - 60000 / 32) / limits_maps_per_thread());
}

TEST(a_full_map_count_leaves_no_room)
{
    machine_make();
    write_file("/proc/sys/vm/max_map_count", "90\n");
    CHECK_EQ(nearest().threads, 0);
}

TEST(a_map_count_is_counted_over_many_reads)
{
    machine_make();
    write_lines("/proc/self/maps", 12345);
    expect("vm.max_map_count", 60000, 12345);
}

TEST(the_machines_thread_limit_counts_all_its_threads)
{
    machine_make();
    write_file("/proc/sys/kernel/threads-max", "1000\n");
    expect("kernel.threads-max", 1000, 84);
}

TEST(the_pid_limit_counts)
{
    machine_make();
    write_file("/proc/sys/kernel/pid_max", "2000\n");
    expect("kernel.pid_max", 2000, 84);
}

/* ---- cgroups -------------------------------------------------------------------------------------------------- */

static void write_group(const char *folder, const char *maximum, const char *current)
{
    char path[256];
    snprintf(path, sizeof path, "%s/pids.max", folder);
    write_file(path, maximum);
    snprintf(path, sizeof path, "%s/pids.current", folder);
    write_file(path, current);
}

TEST(a_version_2_cgroup_counts)
{
    machine_make();
    write_group("/sys/fs/cgroup/user/app", "512\n", "40\n");
    expect("cgroup pids.max", 512, 40);
}

TEST(an_ancestor_counts_when_it_is_the_nearer)
{
    machine_make();
    write_group("/sys/fs/cgroup/user/app", "512\n", "40\n");
    write_group("/sys/fs/cgroup/user", "600\n", "500\n");
    expect("cgroup pids.max", 600, 500);
    CHECK_EQ(nearest().threads, 36);
}

TEST(the_mount_point_itself_counts)
{
    machine_make();
    write_group("/sys/fs/cgroup", "300\n", "40\n");
    expect("cgroup pids.max", 300, 40);
}

TEST(a_cgroup_without_limit_does_not_count)
{
    machine_make();
    write_group("/sys/fs/cgroup/user/app", "max\n", "40\n");
    expect("vm.max_map_count", 60000, 100);
}

TEST(an_exhausted_cgroup_leaves_no_room)
{
    machine_make();
    write_group("/sys/fs/cgroup/user/app", "32\n", "32\n");
    CHECK_EQ(nearest().threads, 0);
    write_group("/sys/fs/cgroup/user/app", "0\n", "32\n");
    CHECK_EQ(nearest().threads, 0);
}

TEST(a_version_1_cgroup_counts_beside_a_version_2_tree_without_the_controller)
{
    machine_make();
    write_file("/proc/self/cgroup", "9:name=systemd:/x\n8:cpu,pids:/app\n4:memory:/y\n0::/\n");
    write_file("/proc/self/mountinfo", "30 29 0:36 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                                       "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,cpu,pids\n"
                                       "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    write_group("/sys/fs/cgroup/pids/app", "128\n", "17\n");
    expect("cgroup pids.max", 128, 17);
}

TEST(a_container_sees_a_subtree_of_the_hierarchy)
{
    machine_make();
    write_file("/proc/self/cgroup", "8:pids:/docker/abc/inner\n");
    write_file("/proc/self/mountinfo", "39 31 0:36 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n");
    write_group("/sys/fs/cgroup/pids/inner", "128\n", "17\n");
    expect("cgroup pids.max", 128, 17);
}

TEST(a_group_outside_of_what_is_mounted_falls_back_to_the_mount_point)
{
    machine_make();
    write_file("/proc/self/cgroup", "0::/../../other\n");
    write_group("/sys/fs/cgroup", "256\n", "20\n");
    expect("cgroup pids.max", 256, 20);
}

TEST(a_mount_point_with_a_blank_in_its_name_is_found)
{
    machine_make();
    write_file("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/my\\040groups rw - cgroup2 cgroup2 rw\n");
    write_group("/sys/fs/my groups/user/app", "256\n", "20\n");
    expect("cgroup pids.max", 256, 20);
}

/* ---- the user's limit ----------------------------------------------------------------------------------------- */

static const char limited[] = "Limit                     Soft Limit           Hard Limit           Units     \n"
                              "Max cpu time              unlimited            unlimited            seconds   \n"
                              "Max processes             400                  800                  processes \n";

static void write_process(const char *pid, int uid, int threads)
{
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%s/status", pid);
    snprintf(text, sizeof text, "Name:\tx\nUid:\t%d\t%d\t%d\t%d\nThreads:\t%d\n", uid, uid, uid, uid, threads);
    write_file(path, text);
}

TEST(the_users_limit_counts_this_users_threads_only)
{
    machine_make();
    write_file("/proc/self/limits", limited);
    write_file("/proc/loadavg", "0.79 1.07 0.59 1/20000 5043\n"); /* the machine is full of others */
    write_process("100", 1000, 30);
    write_process("101", 1000, 7);
    write_process("102", 1001, 9000);
    expect("RLIMIT_NPROC (ulimit -u)", 400, 37);
}

TEST(the_users_limit_counts_at_least_this_process)
{
    machine_make();
    write_file("/proc/self/limits", limited);
    expect("RLIMIT_NPROC (ulimit -u)", 400, 30);
}

TEST(root_and_the_two_capabilities_are_exempt_from_the_users_limit)
{
    static const char *const exempt[] = {
        "Uid:\t0\t0\t0\t0\nThreads:\t30\nCapEff:\t0000000000000000\n",
        "Uid:\t1000\t1000\t1000\t1000\nThreads:\t30\nCapEff:\t0000000001000000\n", /* CAP_SYS_RESOURCE */
        "Uid:\t1000\t1000\t1000\t1000\nThreads:\t30\nCapEff:\t000001ff00200000\n", /* CAP_SYS_ADMIN */
    };
    machine_make();
    write_file("/proc/self/limits", limited);
    for (size_t i = 0; i < 3; i++) {
        write_file("/proc/self/status", exempt[i]);
        expect("vm.max_map_count", 60000, 100);
    }
    write_file("/proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nThreads:\t30\nCapEff:\t000001fffedfffff\n");
    expect("RLIMIT_NPROC (ulimit -u)", 400, 30);
}

TEST(root_of_a_user_namespace_is_not_exempt)
{
    machine_make();
    write_file("/proc/self/limits", limited);
    write_file("/proc/self/uid_map", "         0     100000      65536\n");
    write_file("/proc/self/status", "Uid:\t0\t0\t0\t0\nThreads:\t30\nCapEff:\t000001ffffffffff\n");
    expect("RLIMIT_NPROC (ulimit -u)", 400, 30);
}

/* ---- files that are missing, or not what they should be -------------------------------------------------------- */

TEST(nothing_to_read_is_enotsup)
{
    struct weft_limit limit = {.threads = 7};
    strcpy(root, "/tmp/weft-limits-XXXXXX");
    REQUIRE(mkdtemp(root) != NULL);
    atexit(machine_remove);
    CHECK_EQ(limits_headroom_at(root, &limit), -ENOTSUP);
    CHECK_EQ(limit.threads, 7); /* as before the call */
}

TEST(without_any_limit_the_room_is_endless)
{
    machine_make();
    remove_file("/proc/self/maps");
    remove_file("/proc/loadavg");
    struct weft_limit limit = nearest();
    CHECK_STR(limit.name, "none");
    CHECK_EQ(limit.threads, INT64_MAX);
}

TEST(whatever_file_is_missing_the_others_still_count)
{
    static const char *const files[] = {"/proc/loadavg",       "/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max",
                                        "/proc/self/cgroup",   "/proc/self/mountinfo",         "/proc/self/uid_map",
                                        "/proc/self/status",   "/proc/self/limits"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        machine_make();
        remove_file(files[i]);
        expect("vm.max_map_count", 60000, 100);
        machine_remove();
    }
    machine_make();
    remove_file("/proc/self/maps");
    expect("kernel.threads-max", 193102, 84);
}

TEST(garbage_is_survived)
{
    static const char *const files[] = {
        "/proc/loadavg",         "/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max", "/proc/self/cgroup",
        "/proc/self/mountinfo",  "/proc/self/uid_map",           "/proc/self/status",        "/proc/self/limits",
        "/proc/sys/vm/max_map_count", "/sys/fs/cgroup/user/app/pids.max", "/proc/self/maps"};
    struct check_random random = check_random_from(check_seed());
    machine_make();
    write_group("/sys/fs/cgroup/user/app", "512\n", "40\n");
    for (long round = check_scale(300); round--;) {
        static const char letters[] = "0123456789:::///,\n\n\t    -max\\4cgroup2pidsUidThreads";
        static char text[6000];
        uint32_t length = check_random_below(&random, sizeof text);
        for (uint32_t i = 0; i < length; i++)
            text[i] = letters[check_random_below(&random, sizeof letters - 1)];
        text[length] = 0;
        write_file(files[check_random_below(&random, sizeof files / sizeof *files)], text);
        struct weft_limit limit;
        int r = limits_headroom_at(root, &limit);
        CHECK(r == 0 || r == -ENOTSUP);
        if (r == 0)
            CHECK(memchr(limit.name, 0, sizeof limit.name) != NULL);
    }
}

TEST(numbers_parse_as_documented)
{
    uint64_t number = 0;
    CHECK(procfile_parse("  42 x", &number) != NULL);
    CHECK_EQ(number, 42);
    CHECK(procfile_parse("max", &number) != NULL && number == PROCFILE_UNLIMITED);
    CHECK(procfile_parse("\tunlimited", &number) != NULL && number == PROCFILE_UNLIMITED);
    CHECK(procfile_parse("18446744073709551615", &number) != NULL && number == UINT64_MAX);
    CHECK(procfile_parse("99999999999999999999999", &number) != NULL && number == PROCFILE_UNLIMITED);
    CHECK(procfile_parse("-1", &number) == NULL);
    CHECK(procfile_parse("", &number) == NULL);
}

TEST(long_lines_are_cut_and_the_next_one_is_whole)
{
    struct procfile file;
    char line[8];
    machine_make();
    write_file("/f", "0123456789\nnext\n\nlast");
    REQUIRE(procfile_open(&file, root, "/f"));
    CHECK(procfile_line(&file, line, sizeof line));
    CHECK_STR(line, "0123456");
    CHECK(procfile_line(&file, line, sizeof line));
    CHECK_STR(line, "next");
    CHECK(procfile_line(&file, line, sizeof line));
    CHECK_STR(line, "");
    CHECK(procfile_line(&file, line, sizeof line));
    CHECK_STR(line, "last");
    CHECK(!procfile_line(&file, line, sizeof line));
    procfile_close(&file);
}

/* ---- the real machine ------------------------------------------------------------------------------------------ */

TEST(the_real_machine_has_a_limit_and_no_descriptor_is_left_open)
{
    struct weft_limit limit;
    int before = check_count_fds();
    memset(&limit, 0xa5, sizeof limit);
    errno = 4711;
    REQUIRE_EQ(weft_jvm_thread_headroom(&limit), 0);
    CHECK_EQ(errno, 4711);
    check_say("    nearest here: %s, %llu of %llu used, room for %llu threads\n", limit.name,
              (unsigned long long)limit.used, (unsigned long long)limit.maximum, (unsigned long long)limit.threads);
    CHECK(limit.name[0] != 0);
    CHECK(limit.used <= limit.maximum);
    CHECK_EQ(check_count_fds(), before);
}

TEST(null_is_einval) { CHECK_EQ(weft_jvm_thread_headroom(NULL), -EINVAL); }

/* Uses the maps up for real: every other page of one mapping gets another protection. */
TEST(real_memory_maps_are_counted)
{
    struct weft_limit before, after;
    enum { pages = 20000 };
    REQUIRE_EQ(weft_jvm_thread_headroom(&before), 0);
    char *memory = mmap(NULL, pages * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    for (long i = 0; i < pages; i += 2)
        REQUIRE_EQ(mprotect(memory + i * 4096, 4096, PROT_READ), 0);
    REQUIRE_EQ(weft_jvm_thread_headroom(&after), 0);
    if (strcmp(after.name, "vm.max_map_count"))
        CHECK_SKIP("another limit is nearer than vm.max_map_count on this machine");
    CHECK(after.used >= pages);
    CHECK(after.threads < before.threads);
}
