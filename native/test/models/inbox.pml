/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inbox of a kthd: a lock-free list with many pushers and one owner, whose empty head the owner replaces by ASLEEP
 * before he sleeps in a futex. Code: kthd_post(), kthd_take_inbox() of native/src/sched/inbox.c, sleep_for_work() of kthd.c; the
 * argument is at the top of that file.
 *
 * Proven for three pushes by two pushers and a timer that may end a sleep: no wake-up is lost (the owner does not
 * sleep for ever while an lwt waits: that would be a deadlock), each lwt arrives once, and the owner does not turn in
 * circles before a futex that will not let him sleep.
 *
 * All accesses are read-modify-write or ordered by them, so interleaving is the whole truth on x86-64.
 *
 * broken: -DSTORE_ASLEEP    the owner writes ASLEEP without looking whether the inbox is still empty
 * broken: -DNO_WAKE         a pusher that replaces ASLEEP goes on without waking
 * broken: -DLATE_COUNT      the futex's count is read after the look at the inbox
 * broken: -DSTALE_COUNT     the futex's count is read once for all turns of the loop
 */
#define NONE 0
#define ASLEEP 9
#define LWTS 3

byte head = NONE;     /* kthd->inbox: NONE, an lwt 1..LWTS, or ASLEEP */
byte next[4];         /* lwt->inbox_next */
byte wake = 0;        /* kthd->wake */
bool sleeping = false; /* the owner is in the kernel, in sys_futex_wait() */
bool pushing = true;  /* ghost: there are pushes to come */
byte pushers = 2;
byte arrived = 0;     /* ghost */
bool here[4];         /* ghost: this lwt has arrived */

/* kthd_post() */
inline post(lwt) {
    seen = head;                                       /* load_relaxed(&kthd->inbox) */
    do
    :: next[lwt] = (seen == ASLEEP -> NONE : seen);    /* lwt->inbox_next = ... */
       atomic {                                        /* cas_acq_rel(&kthd->inbox, &head, lwt) */
           if
           :: head == seen -> head = lwt; done = true
           :: else -> seen = head; done = false
           fi
       }
       if
       :: done -> break
       :: else
       fi
    od;
    if
    :: seen == ASLEEP ->
#ifndef NO_WAKE
       wake++;                                         /* add_relaxed(&kthd->wake, 1) */
       sleeping = false                                /* sys_futex_wake(): wakes whoever sleeps now */
#endif
    :: else
    fi
}

proctype pusher(byte first; byte last) {
    byte lwt = first, seen;
    bool done;
    do
    :: lwt > last -> break
    :: else -> post(lwt); lwt++
    od;
    pushers--
}

/* A deadline of the owner's timers: may end one sleep. */
proctype timer() {
    if
    :: sleeping = false /* -ETIMEDOUT, or a signal */
    :: skip
    fi
}

/* take_inbox() */
inline take() {
    atomic { at = head; head = NONE };                 /* exchange_acquire(&kthd->inbox, NULL) */
    assert(at != ASLEEP);
    do
    :: at == NONE -> break
    :: else ->
       assert(!here[at]);                              /* each once */
       here[at] = true;
       arrived++;
       at = next[at]
    od
}

/* sleep_for_work() */
inline sleep() {
    turns = 0;
#ifdef STALE_COUNT
    wakes = wake;
#endif
#ifdef STORE_ASLEEP
    head = ASLEEP; slept = true;
#else
    atomic {                                           /* cas_acq_rel(&kthd->inbox, &state, INBOX_ASLEEP) */
        if
        :: head == NONE -> head = ASLEEP; slept = true
        :: else -> slept = false
        fi
    };
#endif
    if
    :: slept ->
       do
       ::
#if !defined(STALE_COUNT) && !defined(LATE_COUNT)
          wakes = wake;                                /* load_acquire(&kthd->wake): before the look */
#endif
          if
          :: head != ASLEEP -> break
          :: else
          fi;
#ifdef LATE_COUNT
          wakes = wake;
#endif
          atomic {                                     /* FUTEX_WAIT: compares and sleeps in one step */
              if
              :: wake == wakes -> sleeping = true; turns = 0
              :: else -> turns++                       /* -EAGAIN */
              fi
          };
          assert(turns <= LWTS);                       /* each push can make it look again once, not more */
          !sleeping
       od;
       atomic {                                        /* cas_acq_rel(&kthd->inbox, &state, NULL) */
           if
           :: head == ASLEEP -> head = NONE
           :: else
           fi
       }
    :: else
    fi
}

active proctype owner() {
    byte at, wakes, turns;
    bool slept;
    run pusher(1, 2);
    run pusher(3, 3);
    run timer();
    do
    :: arrived == LWTS -> break
    :: else ->
       take();
       if
       :: arrived < LWTS -> sleep()
       :: else
       fi
    od;
    assert(here[1] && here[2] && here[3])
}
