/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook: makes an lwt step aside to its own kernel thread before the VM blocks it.
 *
 * Why. Two lwts of one carrier that want the same lock would hang for ever: the one that waits sleeps in the kernel on
 * the carrier, and the one that owns the lock is queued behind it. In HotSpot everything that blocks a Java thread for
 * an indefinite time (LockSupport.park, monitors, Object.wait, Thread.sleep and join, class initialisation, waiting
 * for a VM operation such as a collection) ends in Parker::park, PlatformEvent::park or PlatformMonitor::wait, and
 * those in two calls of libc, which libjvm makes through its global offset table:
 *
 *     libjvm:  call *slot --> [ pthread_cond_wait ]            before
 *     libjvm:  call *slot --> [ cond_wait below ] --> step aside, then the real one
 *
 * Nothing of the VM is patched but these two words, which the dynamic linker wrote and which mean "the function of
 * that name"; the function that stands there now keeps that contract.
 *
 * Why it is safe to leave the carrier there:
 *  1. The caller is about to sleep; it holds no promise of the kernel's that is tied to the carrier. All that the VM
 *     and libc know it by (FS base, JavaThread, stack, errno, the mutex's owner field, which is the pthread's own
 *     number) goes with the lwt.
 *  2. It may hold the mutex that it waits with, and (PlatformMonitor::wait) other mutexes of the VM besides. While it
 *     moves, another lwt on the same carrier may run into one of those and sleep in the kernel. That is no circle: the
 *     mover needs no carrier to go on, only its own kernel thread, which was woken by then and which the kernel
 *     schedules. This is why it goes to that thread, and why a wait in user space is not safe for every caller.
 *  3. No wake-up is lost: the mutex is held from before the VM decided to wait until the real function releases it.
 *     A deadline is absolute, so the move does not lengthen it.
 *  4. The VM's thread state at that point is "blocked", or "in VM" of a thread that a safepoint has to wait for. It
 *     waits no longer than for any thread that the kernel has to schedule first.
 *  5. Signals sent to the thread by number find it: its kernel thread runs it itself (see the park loop in sched).
 * The thread stays loose afterwards, an ordinary thread, and rejoins its kthd at its next call that yields or blocks.
 *
 * Not covered, because they do not come here: sem_wait and futex waits of the VM itself, which are bounded by what a
 * safepoint takes or are made by threads that are never lwts; and everything outside libjvm (file and socket I/O,
 * native code), which is announced with weft_lwt_step_aside() or holds up its kthd.
 */
#define _GNU_SOURCE
#include "jvm/hook.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/sys.h"
#include "sched/kthd.h"
#include "weft/jvm.h"

/* ---- the calls themselves -------------------------------------------------------------------------------------- */

/* Written before the slots that lead to them are, by hook_install(); a reader came through a slot. */
static int (*real_cond_wait)(pthread_cond_t *, pthread_mutex_t *);
static int (*real_cond_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

/* Added to by every lwt that steps aside, read by weft_jvm_steps_aside(); relaxed: a count orders nothing. */
static SHARED(uint64_t) steps;

static COLD void step_aside(struct weft_lwt *self)
{
    int kept = errno; /* the real functions leave it alone, and so must we */
    if (!lwt_is_native(self)) { /* a native lwt has no JavaThread, and no kernel thread to go to */
        add_relaxed(&steps, 1);
        lwt_step_aside(self);
    }
    errno = kept;
}

/* All that a thread pays that is no lwt, or a loose one: a load or two and a test. */
static ALWAYS_INLINE void before_blocking(void)
{
    struct weft_lwt *self = lwt_current();
    if (unlikely(kthd_here(self) != NULL))
        step_aside(self);
}

static int cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    before_blocking();
    return real_cond_wait(cond, mutex);
}

static int cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *deadline)
{
    before_blocking();
    return real_cond_timedwait(cond, mutex, deadline);
}

uint64_t weft_jvm_steps_aside(void) { return load_relaxed(&steps); }

/* ---- finding the slots ----------------------------------------------------------------------------------------- */

enum { wait_function, timedwait_function, functions };

static const char *const names[functions] = {"pthread_cond_wait", "pthread_cond_timedwait"};

/* libc has two functions of each name; this is the one that programs of this century mean. */
static const char symbol_version[] = "GLIBC_2.3.2";

enum { max_slots = 8 };

/* A loaded object, as far as this file cares, and what was found in it. */
struct object {
    uintptr_t inside; /* the address it is looked up by */
    uintptr_t base;
    const ElfW(Dyn) *dynamic;
    uintptr_t relro_start, relro_end; /* read-only after start-up; whole pages */
    struct slot {
        void **word;
        int function;
    } slots[max_slots];
    int slot_count;
};

static int find_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct object *object = arg;
    const ElfW(Phdr) *dynamic = NULL, *relro = NULL;
    bool is_it = false;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_LOAD && object->inside >= start && object->inside - start < header->p_memsz)
            is_it = true;
        if (header->p_type == PT_DYNAMIC)
            dynamic = header;
        if (header->p_type == PT_GNU_RELRO)
            relro = header;
    }
    if (!is_it)
        return 0;
    object->base = info->dlpi_addr;
    if (dynamic)
        object->dynamic = (const void *)(info->dlpi_addr + dynamic->p_vaddr);
    if (relro) {
        /* rounded as the dynamic linker does: the last page only if it is whole (_dl_protect_relro) */
        uintptr_t page = sys_page_size();
        object->relro_start = (info->dlpi_addr + relro->p_vaddr) & ~(page - 1);
        object->relro_end = (info->dlpi_addr + relro->p_vaddr + relro->p_memsz) & ~(page - 1);
    }
    return 1;
}

/* A pointer in the dynamic section: glibc has relocated it in place, other loaders have not. */
static const void *dynamic_pointer(const struct object *object, ElfW(Addr) value)
{
    return (const void *)(value < object->base ? object->base + value : value);
}

static void add_slots(struct object *object, const ElfW(Rela) *relocations, size_t count, const ElfW(Sym) *symbols,
                      const char *strings)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t type = ELF64_R_TYPE(relocations[i].r_info);
        if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT)
            continue;
        const char *name = strings + symbols[ELF64_R_SYM(relocations[i].r_info)].st_name;
        for (int function = 0; function < functions; function++) {
            if (!strcmp(name, names[function]) && object->slot_count < max_slots) {
                object->slots[object->slot_count].word = (void **)(object->base + relocations[i].r_offset);
                object->slots[object->slot_count++].function = function;
            }
        }
    }
}

/* A call goes through a JUMP_SLOT of DT_JMPREL; with -fno-plt, or where the address is taken, through a GLOB_DAT of
 * DT_RELA. */
static void find_slots(struct object *object)
{
    const ElfW(Rela) *jump = NULL, *rela = NULL;
    const ElfW(Sym) *symbols = NULL;
    const char *strings = NULL;
    size_t jump_bytes = 0, rela_bytes = 0, relative = 0;
    for (const ElfW(Dyn) *entry = object->dynamic; entry && entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_JMPREL: jump = dynamic_pointer(object, entry->d_un.d_ptr); break;
        case DT_PLTRELSZ: jump_bytes = entry->d_un.d_val; break;
        case DT_RELA: rela = dynamic_pointer(object, entry->d_un.d_ptr); break;
        case DT_RELASZ: rela_bytes = entry->d_un.d_val; break;
        case DT_RELACOUNT: relative = entry->d_un.d_val; break; /* these come first, and have no symbol */
        case DT_SYMTAB: symbols = dynamic_pointer(object, entry->d_un.d_ptr); break;
        case DT_STRTAB: strings = dynamic_pointer(object, entry->d_un.d_ptr); break;
        }
    }
    if (!symbols || !strings)
        return;
    if (jump)
        add_slots(object, jump, jump_bytes / sizeof *jump, symbols, strings);
    if (rela && relative <= rela_bytes / sizeof *rela)
        add_slots(object, rela + relative, rela_bytes / sizeof *rela - relative, symbols, strings);
}

/* ---- installing ------------------------------------------------------------------------------------------------ */

static COLD int refuse(char *buf, size_t size_bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));
static COLD int refuse(char *buf, size_t size_bytes, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (buf && size_bytes)
        vsnprintf(buf, size_bytes, format, args);
    va_end(args);
    return -ENOTSUP;
}

/*
 * What a slot's function is, so that ours can go on to it; NULL if that cannot be told. Normally libc's, already
 * bound. An interposer that somebody put before libc's stays in the chain. A slot that is not bound yet leads back into
 * the object itself, to code that would overwrite the slot at the first call: there libc's own is looked up.
 */
static void *real_function(const struct object *object, const struct slot *slot)
{
    Dl_info info;
    void *value = __atomic_load_n(slot->word, __ATOMIC_RELAXED); /* code, not data: nothing to be ordered */
    void *libc = dlvsym(RTLD_DEFAULT, names[slot->function], symbol_version);
    if (value && value == libc)
        return value;
    if (!value || !dladdr(value, &info))
        return NULL;
    return (uintptr_t)info.dli_fbase == object->base ? libc : value;
}

/* From now on libjvm calls into this library, so it must stay, whatever the class loader that loaded it comes to. */
static bool stay_loaded(void)
{
    Dl_info info;
    struct link_map *map = NULL;
    if (!dladdr1((void *)cond_wait, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
        return false;
    return !map->l_name[0] /* linked into the program itself */ ||
           dlopen(map->l_name, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

/* Makes the pages of the slots that the dynamic linker made read-only writable, or read-only again. */
static int protect(const struct object *object, int protection)
{
    uintptr_t page = sys_page_size(), first = UINTPTR_MAX, end = 0;
    for (int i = 0; i < object->slot_count; i++) {
        uintptr_t at = (uintptr_t)object->slots[i].word & ~(page - 1);
        if (at >= object->relro_start && at < object->relro_end) {
            first = at < first ? at : first;
            end = at + page > end ? at + page : end;
        }
    }
    return end ? sys_protect((void *)first, end - first, protection) : 0;
}

int hook_install(const void *inside, char *buf, size_t size_bytes)
{
    static void *const ours[functions] = {(void *)cond_wait, (void *)cond_timedwait};
    struct object object = {.inside = (uintptr_t)inside};
    void *real[functions] = {NULL};

    if (!dl_iterate_phdr(find_object, &object))
        return refuse(buf, size_bytes, "the blocking hook is off: libjvm is not among the loaded objects");
    find_slots(&object);
    for (int i = 0; i < object.slot_count; i++) {
        const struct slot *slot = &object.slots[i];
        void *function = real_function(&object, slot);
        if (!function || (real[slot->function] && real[slot->function] != function))
            return refuse(buf, size_bytes, "the blocking hook is off: libjvm calls a %s that is not libc's",
                          names[slot->function]);
        real[slot->function] = function;
    }
    for (int function = 0; function < functions; function++)
        if (!real[function])
            return refuse(buf, size_bytes, "the blocking hook is off: libjvm does not import %s", names[function]);
    if (!stay_loaded())
        return refuse(buf, size_bytes, "the blocking hook is off: this library cannot be kept from being unloaded");
    int r = protect(&object, PROT_READ | PROT_WRITE);
    if (r < 0)
        return refuse(buf, size_bytes, "the blocking hook is off: the system refuses to make libjvm's imports writable "
                                       "(mprotect: errno %d)", -r);

    real_cond_wait = (int (*)(pthread_cond_t *, pthread_mutex_t *))real[wait_function];
    real_cond_timedwait =
        (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))real[timedwait_function];
    /* Release: whoever comes through a slot finds the real function. The VM's threads may be calling through it right
     * now; the word is aligned, so each sees the old function or the new one. */
    for (int i = 0; i < object.slot_count; i++)
        __atomic_store_n(object.slots[i].word, ours[object.slots[i].function], __ATOMIC_RELEASE);
    protect(&object, PROT_READ); /* if that were refused, a hardening would be lost, and nothing else */
    return 0;
}
