/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach: decides whether this process is one that weft's Java side can run in, and prepares it. Owns the decision,
 * which is made once. Leaves the checks' substance to others: the processor and kernel to weft_platform_check(), the
 * proof that adoption works here to selftest.c, libjvm to hook.c.
 *
 * The order is from cheap to dear, and from what cannot be to what does not work: a process that is refused has not
 * been touched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jvm/hook.h"
#include "jvm/vet.h"
#include "sched/adopt.h"
#include "sched/lwt.h"
#include "weft/jvm.h"
#include "weft/kthd.h"

/* The first call's outcome. Under the lock: attaching blocks for milliseconds and happens once, and later callers need
 * the outcome anyway. */
static struct {
    pthread_mutex_t lock;
    bool done;
    int result;
    char sentence[256];
} attached = {.lock = PTHREAD_MUTEX_INITIALIZER};

/*
 * An address inside libjvm, if it is HotSpot's: only HotSpot exports the tables that its serviceability agent reads;
 * other VMs have a libjvm.so too, and the same JVM_ and JNI_ functions. A launcher may have loaded it without making
 * its symbols global, so it is asked for by name as well.
 */
static const void *find_hotspot(void)
{
    static const char symbol[] = "gHotSpotVMStructs";
    const void *found = dlsym(RTLD_DEFAULT, symbol);
    if (found)
        return found;
    void *libjvm = dlopen("libjvm.so", RTLD_LAZY | RTLD_NOLOAD);
    if (!libjvm)
        return NULL;
    found = dlsym(libjvm, symbol);
    dlclose(libjvm); /* a count only: NOLOAD loaded nothing */
    return found;
}

/* Sanitizers keep a shadow of every stack, by kernel thread, and abort the process when it is switched under them. */
static const char *find_sanitizer(void)
{
    static const char *const runtimes[][2] = {{"__asan_init", "AddressSanitizer"},
                                              {"__tsan_init", "ThreadSanitizer"},
                                              {"__msan_init", "MemorySanitizer"},
                                              {"__hwasan_init", "HWAddressSanitizer"}};
    const char *allowed = getenv("WEFT_ALLOW_SANITIZER");
    if (allowed && !strcmp(allowed, "1"))
        return NULL;
    for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++)
        if (dlsym(RTLD_DEFAULT, runtimes[i][0]))
            return runtimes[i][1];
    return NULL;
}

/* Per-CPU caches by restartable sequences are registered by kernel thread and read through the FS base: an lwt sees
 * its own thread's idea of the processor, which is stale. Correct (the kernel restarts by the carrier's registration,
 * and a stale number only chooses another cache under its lock) only in allocators that say so; hence the warning. */
static bool has_tcmalloc(void)
{
    return dlsym(RTLD_DEFAULT, "TCMallocInternalMalloc") || dlsym(RTLD_DEFAULT, "MallocExtension_Internal_GetNumericProperty");
}

static int prepare(uint32_t flags, char *sentence, size_t size_bytes)
{
    int r = weft_platform_check(sentence, size_bytes);
    if (r < 0)
        return r;
    if (!dlsym(RTLD_DEFAULT, "gnu_get_libc_version")) {
        snprintf(sentence, size_bytes, "weft needs the GNU C library; this process runs on another one (musl?)");
        return -ENOTSUP;
    }
    const void *hotspot = find_hotspot();
    if (!hotspot) {
        snprintf(sentence, size_bytes, "weft needs a HotSpot VM; what is running in this process is not HotSpot");
        return -ENOTSUP;
    }
    const char *sanitizer = find_sanitizer();
    if (sanitizer) {
        snprintf(sentence, size_bytes,
                 "%s is loaded in this process and does not know of weft's stacks; WEFT_ALLOW_SANITIZER=1 in the "
                 "environment goes on all the same", sanitizer);
        return -ENOTSUP;
    }
    r = weft_jvm_selftest(sentence, size_bytes);
    if (r < 0)
        return r;
    lwt_vet_function = vet_function;
    if (flags & WEFT_JVM_NO_HOOK) {
        snprintf(sentence, size_bytes, "the blocking hook is switched off");
        return WEFT_JVM_UNHOOKED;
    }
    if (hook_install(hotspot, sentence, size_bytes) < 0)
        return WEFT_JVM_UNHOOKED;
    /* The one sentence that comes with a success: a warning. */
    if (has_tcmalloc())
        snprintf(sentence, size_bytes, "tcmalloc is loaded: where it caches by processor, lwts find stale processor "
                                       "numbers; TCMALLOC_PERCPU_CACHING=0 avoids that");
    return WEFT_JVM_HOOKED;
}

int weft_jvm_attach(uint32_t flags, char *buf, size_t size_bytes)
{
    if (flags & ~(uint32_t)WEFT_JVM_NO_HOOK)
        return -EINVAL;
    pthread_mutex_lock(&attached.lock);
    if (!attached.done) {
        attached.result = prepare(flags, attached.sentence, sizeof attached.sentence);
        attached.done = true;
    }
    if (buf && size_bytes)
        snprintf(buf, size_bytes, "%s", attached.sentence);
    int result = attached.result;
    pthread_mutex_unlock(&attached.lock);
    return result;
}

uint64_t weft_jvm_signals_forwarded(void) { return adopt_signals_forwarded(); }
