/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: finds the system limit that leaves room for the fewest further Java threads.
 *
 * Why: HotSpot answers a failed pthread_create with an OutOfMemoryError, which is bad enough, but a failed mmap or
 * mprotect of a guard zone ends the VM (seen at some 22,500 threads, where vm.max_map_count ran out). So the Java
 * library asks here before it creates, and fails with the limit's name in place of dying of it.
 *
 * What counts, and how it is counted:
 *
 *     cgroup pids.max      own group and each of its ancestors, v1 and v2      pids.current beside it
 *     RLIMIT_NPROC         unless the user is exempt (see nproc_exempt)        threads of this user, walked only if near
 *     kernel.threads-max   the machine                                         threads of the machine (/proc/loadavg)
 *     kernel.pid_max       the pid namespace                                   the same, an upper bound of it
 *     vm.max_map_count     this process's memory maps, some to a thread        lines of /proc/self/maps
 *
 * An answer is a snapshot: other processes draw on the same limits. Nothing here allocates, locks or trusts what it
 * reads. Any thread; it takes some 16 KiB of stack.
 */
#include "jvm/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/atomic.h"
#include "base/sys.h"
#include "jvm/procfile.h"

/* Ancestors of a cgroup that are looked at; kernels limit the depth to far less in practice. */
#define MAX_CGROUP_DEPTH 64

enum { MAPS_WITH_LIGHT_GUARDS = 3, MAPS_WITH_MAPPED_GUARDS = 5 };

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

#define CAP_SYS_ADMIN_BIT 21
#define CAP_SYS_RESOURCE_BIT 24

uint64_t limits_thread_reserve(uint64_t maximum) { return maximum / 8 < 64 ? maximum / 8 : 64; }

uint64_t limits_map_reserve(uint64_t maximum) { return maximum / 32; }

/* Asks the kernel once, with a page of its own, whether a guard can be had without a memory map. */
uint64_t limits_maps_per_thread(void)
{
    static SHARED(uint32_t) found; /* 0: not asked yet; relaxed: whoever asks gets the same answer */
    uint32_t maps = load_relaxed(&found);
    if (!maps) {
        size_t page = sys_page_size();
        void *memory = sys_map(page);
        if (!memory)
            return MAPS_WITH_MAPPED_GUARDS;
        maps = sys_advise(memory, page, MADV_GUARD_INSTALL) ? MAPS_WITH_MAPPED_GUARDS : MAPS_WITH_LIGHT_GUARDS;
        sys_unmap(memory, page);
        store_relaxed(&found, maps);
    }
    return maps;
}

static uint64_t room(uint64_t maximum, uint64_t used, uint64_t reserve, uint64_t per_thread)
{
    return maximum > used && maximum - used > reserve ? (maximum - used - reserve) / per_thread : 0;
}

/* Keeps the limit in `best` if it leaves less room than what is there. */
static void consider(struct weft_limit *best, const char *name, uint64_t maximum, uint64_t used, uint64_t threads)
{
    if (maximum == PROCFILE_UNLIMITED || threads >= best->threads)
        return;
    memset(best->name, 0, sizeof best->name);
    strncpy(best->name, name, sizeof best->name - 1);
    best->maximum = maximum;
    best->used = used;
    best->threads = threads;
}

static void consider_threads(struct weft_limit *best, const char *name, uint64_t maximum, uint64_t used)
{
    consider(best, name, maximum, used, room(maximum, used, limits_thread_reserve(maximum), 1));
}

/* ---- cgroups -------------------------------------------------------------------------------------------------- */

/* Undoes the \ooo escapes in which /proc/self/mountinfo writes blanks. */
static void unescape(char *path)
{
    char *to = path;
    for (const char *from = path; *from; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
            from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = 0;
}

/* Is `word` one of the comma-separated words of `list`? */
static bool lists(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!strncmp(at, word, length) && (at[length] == ',' || at[length] == 0))
            return true;
    return false;
}

/* The next blank-separated field of a line, closed with a zero; NULL at the end. Moves *at past it. */
static char *field(char **at)
{
    char *start = *at + strspn(*at, " \t");
    if (!*start)
        return NULL;
    char *end = start + strcspn(start, " \t");
    *at = *end ? end + 1 : end;
    *end = 0;
    return start;
}

/* A cgroup hierarchy as it is mounted: `subtree` of it appears at `point`. */
struct mount {
    char subtree[PROCFILE_PATH_SIZE];
    char point[PROCFILE_PATH_SIZE];
};

/*
 * Finds where the hierarchy with the pids controller is mounted: version 1 by its option, version 2 by its type.
 *     36 35 98:0 /subtree /point rw,noatime shared:1 - cgroup cgroup rw,pids        proc_pid_mountinfo(5)
 */
static bool find_mount(const char *root, bool version2, struct mount *out)
{
    struct procfile file;
    char line[PROCFILE_LINE_SIZE];
    bool found = false;
    if (!procfile_open(&file, root, "/proc/self/mountinfo"))
        return false;
    while (!found && procfile_line(&file, line, sizeof line)) {
        char *at = line, *subtree = NULL, *point = NULL, *word;
        for (int i = 0; i < 5 && (word = field(&at)); i++) {
            if (i == 3)
                subtree = word;
            if (i == 4)
                point = word;
        }
        while ((word = field(&at)) && strcmp(word, "-")) /* optional fields, any number */
            ;
        char *type = field(&at);
        (void)field(&at); /* source */
        char *options = field(&at);
        if (!point || !type)
            continue;
        found = version2 ? !strcmp(type, "cgroup2") : !strcmp(type, "cgroup") && options && lists(options, "pids");
        if (found) {
            unescape(subtree);
            unescape(point);
            found = procfile_join(out->subtree, sizeof out->subtree, subtree, "") &&
                    procfile_join(out->point, sizeof out->point, root, point);
        }
    }
    procfile_close(&file);
    return found;
}

/* Goes from the process's own group up to the mount point and considers each pids.max on the way. */
static bool walk_up(struct weft_limit *best, const char *name, const struct mount *mount, const char *group)
{
    /* In a container the path may be the host's, of which only a subtree is mounted; a path outside of it ("/../x")
     * is one that cannot be seen from here, and the mount point is the nearest that can. */
    size_t subtree = strlen(mount->subtree);
    if (!strcmp(mount->subtree, "/"))
        subtree = 0;
    const char *below = !strncmp(group, mount->subtree, subtree) && (group[subtree] == '/' || !group[subtree])
                            ? group + subtree
                            : "";
    if (!strncmp(below, "/..", 3) || !strcmp(below, "/"))
        below = "";

    char path[PROCFILE_PATH_SIZE], file[PROCFILE_PATH_SIZE];
    size_t top = strlen(mount->point);
    bool seen = false;
    if (!procfile_join(path, sizeof path, mount->point, below))
        return false;
    for (int depth = 0; depth < MAX_CGROUP_DEPTH; depth++) {
        uint64_t maximum, used;
        if (procfile_join(file, sizeof file, path, "/pids.max") && procfile_number("", file, &maximum) &&
            procfile_join(file, sizeof file, path, "/pids.current") && procfile_number("", file, &used)) {
            consider_threads(best, name, maximum, used);
            seen = true;
        }
        char *slash = strrchr(path, '/');
        if (!slash || (size_t)(slash - path) < top)
            break;
        *slash = 0;
    }
    return seen;
}

/* /proc/self/cgroup has a line "N:controllers:/group" for each hierarchy of version 1, and "0::/group" for version 2.
 * On a hybrid machine both are there; the one that has the pids controller has the files. */
static bool consider_cgroups(const char *root, struct weft_limit *best)
{
    struct procfile file;
    char line[PROCFILE_LINE_SIZE], group1[PROCFILE_LINE_SIZE] = "", group2[PROCFILE_LINE_SIZE] = "";
    if (!procfile_open(&file, root, "/proc/self/cgroup"))
        return false;
    while (procfile_line(&file, line, sizeof line)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *controllers++ = 0;
        *group++ = 0;
        if (!strcmp(line, "0") && !*controllers)
            strcpy(group2, group); /* as large as the line it is part of */
        else if (lists(controllers, "pids"))
            strcpy(group1, group);
    }
    procfile_close(&file);

    struct mount mount;
    bool seen = false;
    if (*group1 && find_mount(root, false, &mount))
        seen |= walk_up(best, "cgroup pids.max", &mount, group1);
    if (*group2 && find_mount(root, true, &mount))
        seen |= walk_up(best, "cgroup pids.max", &mount, group2);
    return seen;
}

/* ---- the machine, the user, the process ----------------------------------------------------------------------- */

/* All threads of the machine: the second number of the fourth field, "0.79 1.07 0.59 1/84 5043". */
static bool machine_threads(const char *root, uint64_t *out)
{
    struct procfile file;
    char line[128];
    if (!procfile_open(&file, root, "/proc/loadavg"))
        return false;
    const char *slash = procfile_line(&file, line, sizeof line) ? strchr(line, '/') : NULL;
    procfile_close(&file);
    return slash && procfile_parse(slash + 1, out);
}

struct status {
    uint64_t uid;     /* real, as seen from this user namespace */
    uint64_t threads;
    uint64_t effective; /* capabilities */
};

static bool read_status(const char *root, const char *path, struct status *out)
{
    struct procfile file;
    char line[128];
    int found = 0;
    out->effective = 0;
    if (!procfile_open(&file, root, path))
        return false;
    while (procfile_line(&file, line, sizeof line)) {
        if (!strncmp(line, "Uid:", 4)) {
            found += procfile_parse(line + 4, &out->uid) != NULL;
        } else if (!strncmp(line, "Threads:", 8)) {
            found += procfile_parse(line + 8, &out->threads) != NULL;
        } else if (!strncmp(line, "CapEff:", 7)) {
            for (const char *digit = line + 7; *digit; digit++)
                if (*digit != ' ' && *digit != '\t')
                    out->effective = out->effective << 4 | (uint64_t)((*digit & 15) + (*digit > '9' ? 9 : 0));
            break; /* comes after the others */
        }
    }
    procfile_close(&file);
    return found == 2;
}

/* The kernel lets a user exceed RLIMIT_NPROC who is the initial namespace's root or has one of two capabilities
 * there: copy_process() in kernel/fork.c. Capabilities in a user namespace of one's own do not count. */
static bool nproc_exempt(const char *root, const struct status *self)
{
    struct procfile file;
    char line[128];
    bool initial = false;
    if (procfile_open(&file, root, "/proc/self/uid_map")) {
        uint64_t inside, outside, count;
        const char *at = procfile_line(&file, line, sizeof line) ? line : "";
        initial = (at = procfile_parse(at, &inside)) && (at = procfile_parse(at, &outside)) &&
                  procfile_parse(at, &count) && !inside && !outside && count == UINT32_MAX;
        procfile_close(&file);
    }
    uint64_t capable = UINT64_C(1) << CAP_SYS_ADMIN_BIT | UINT64_C(1) << CAP_SYS_RESOURCE_BIT;
    return initial && (self->uid == 0 || (self->effective & capable));
}

/* The soft limit, from "Max processes   96551   96551   processes". */
static bool nproc_limit(const char *root, uint64_t *out)
{
    static const char head[] = "Max processes";
    struct procfile file;
    char line[256];
    bool found = false;
    if (!procfile_open(&file, root, "/proc/self/limits"))
        return false;
    while (!found && procfile_line(&file, line, sizeof line))
        found = !strncmp(line, head, sizeof head - 1) && procfile_parse(line + sizeof head - 1, out);
    procfile_close(&file);
    return found;
}

struct dirent64 {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* Threads of this user, as far as /proc shows them: in a container, or under hidepid, others' are counted by the
 * kernel and not seen here. */
static uint64_t user_threads(const char *root, uint64_t uid)
{
    _Alignas(struct dirent64) char entries[2048];
    char path[PROCFILE_PATH_SIZE];
    uint64_t threads = 0;
    if (!procfile_join(path, sizeof path, root, "/proc"))
        return 0;
    int fd = (int)raw_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
    long got;
    while (fd >= 0 && (got = raw_syscall(SYS_getdents64, fd, (long)entries, sizeof entries, 0, 0, 0)) > 0) {
        for (long at = 0; at < got;) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
            struct status status;
            at += entry->length;
            if (entry->name[0] >= '0' && entry->name[0] <= '9' && procfile_join(path, sizeof path, "/proc/", entry->name) &&
                procfile_join(path + strlen(path), sizeof path - strlen(path), "/status", "") &&
                read_status(root, path, &status) && status.uid == uid)
                threads += status.threads;
        }
    }
    if (fd >= 0)
        raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return threads;
}

/* Walking all processes costs milliseconds, so it is done only if the limit could be the nearest even in the worst
 * case, in which every thread of the machine is this user's. */
static bool consider_nproc(const char *root, uint64_t machine, struct weft_limit *best)
{
    struct status self;
    uint64_t maximum;
    if (!nproc_limit(root, &maximum) || !read_status(root, "/proc/self/status", &self))
        return false;
    if (maximum == PROCFILE_UNLIMITED || nproc_exempt(root, &self))
        return true;
    if (room(maximum, machine, limits_thread_reserve(maximum), 1) >= best->threads)
        return true;
    uint64_t used = user_threads(root, self.uid);
    consider_threads(best, "RLIMIT_NPROC (ulimit -u)", maximum, used > self.threads ? used : self.threads);
    return true;
}

static bool consider_maps(const char *root, struct weft_limit *best)
{
    struct procfile file;
    uint64_t maximum;
    if (!procfile_number(root, "/proc/sys/vm/max_map_count", &maximum) ||
        !procfile_open(&file, root, "/proc/self/maps"))
        return false;
    uint64_t used = procfile_count_lines(&file);
    procfile_close(&file);
    consider(best, "vm.max_map_count", maximum, used,
             room(maximum, used, limits_map_reserve(maximum), limits_maps_per_thread()));
    return true;
}

int limits_headroom_at(const char *root, struct weft_limit *out)
{
    struct weft_limit best = {.name = "none", .maximum = INT64_MAX, .threads = INT64_MAX}; /* Java has no uint64_t */
    uint64_t machine = PROCFILE_UNLIMITED, maximum;
    bool seen = consider_maps(root, &best);
    seen |= consider_cgroups(root, &best);
    if (machine_threads(root, &machine)) {
        if (procfile_number(root, "/proc/sys/kernel/threads-max", &maximum)) {
            consider_threads(&best, "kernel.threads-max", maximum, machine);
            seen = true;
        }
        if (procfile_number(root, "/proc/sys/kernel/pid_max", &maximum)) {
            consider_threads(&best, "kernel.pid_max", maximum, machine);
            seen = true;
        }
    }
    seen |= consider_nproc(root, machine, &best);
    if (!seen)
        return -ENOTSUP;
    *out = best;
    return 0;
}

int weft_jvm_thread_headroom(struct weft_limit *out)
{
    return out ? limits_headroom_at("", out) : -EINVAL;
}
