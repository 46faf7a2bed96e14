/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The joiner word of an lwt: exit against join, time-out or interrupt of the join, a second joiner, detach. Code:
 * lwt_post_exit(), weft_lwt_join_until(), join_withdraw(), join_refused() and weft_lwt_detach() of native/src/sched/
 * lwt.c; the states are drawn in sched/lwt.h.
 *
 * Proven for two joiners that may each time out once and come again, one detacher, and the exit: the lwt's record is
 * freed exactly once, by whom it belongs to, after the exit; the value is taken by one joiner at most; a joiner that
 * waits is woken; nobody touches the record after it was freed but by way of the word, which says so.
 *
 * broken: -DEXIT_STORES      the exit writes EXITED without looking whether somebody came to wait meanwhile
 * broken: -DTIMEOUT_STORES   a joiner that times out writes ALONE without looking whether the exit was first
 * broken: -DTAKE_LOOKS       who finds EXITED takes it in two steps
 */
#define ALONE 0
#define BY_A 1        /* JOINED_BY the first or second joiner */
#define BY_B 2
#define EXITED 3
#define TAKEN 4
#define DETACHED 5

byte word = ALONE;    /* lwt->joiner */
bool exited = false;  /* its function has returned, exit_value is written */
bool freed = false;   /* lwt_free() */
byte took = 0;        /* ghost: joiners that got the value */
bool woken[3];        /* by kthd_ready() or the futex */

inline cas(old, new, result) { atomic { result = (word == old); word = (result -> new : word) } }

inline free_record() {
    atomic {
        assert(exited);
        assert(!freed);
        freed = true
    }
}

/* lwt_post_exit() */
active proctype target() {
    byte seen;
    bool done;
    exited = true;
    seen = word;
    do
    :: seen == DETACHED -> free_record(); break
    :: else ->
#ifdef EXIT_STORES
       if
       :: seen == ALONE -> word = EXITED
       :: else -> word = TAKEN
       fi;
       done = true;
#else
       atomic {
           done = (word == seen);
           if
           :: done -> word = (seen == ALONE -> EXITED : TAKEN)
           :: else -> seen = word
           fi
       };
#endif
       if
       :: done ->
          if
          :: seen == BY_A || seen == BY_B -> woken[seen] = true
          :: else
          fi;
          break
       :: else
       fi
    od
}

/* join_refused(), the case of EXITED: true if it is ours to reap */
inline take_exited(result) {
#ifdef TAKE_LOOKS
    result = (word == EXITED);
    if
    :: result -> word = TAKEN
    :: else
    fi
#else
    cas(EXITED, TAKEN, result)
#endif
}

/* weft_lwt_join_until() */
proctype joiner(byte me) {
    bool mine, back;
    byte n = 0;
    do
    :: n == 3 -> break
    :: else ->
       n++;
       cas(ALONE, me, mine);
       if
       :: !mine ->
          take_exited(mine);
          if
          :: mine -> assert(exited); took++; free_record(); break
          :: else                                      /* -EBUSY, -EINVAL, -ESRCH: comes again, or gives up */
          fi
       :: else ->
          if
          :: woken[me] -> assert(word == TAKEN); assert(exited); took++; free_record(); break
          :: n < 3 ->                                  /* time-out or interrupt: join_withdraw() */
#ifdef TIMEOUT_STORES
             back = (word == me); word = ALONE;
#else
             cas(me, ALONE, back);
#endif
             if
             :: back                                   /* -ETIMEDOUT */
             :: else ->                                /* the exit was first */
                woken[me]; took++; free_record(); break
             fi
          fi
       fi
    od
}

/* weft_lwt_detach() */
proctype detacher() {
    bool mine;
    cas(ALONE, DETACHED, mine);
    if
    :: mine
    :: else ->
       take_exited(mine);
       if
       :: mine -> free_record()
       :: else
       fi
    fi
}

init {
    atomic { run joiner(BY_A); run joiner(BY_B); if :: run detacher() :: skip fi }
}

active proctype judge() {
    atomic {
        timeout ->
        assert(took <= 1);
        assert(freed == (word == TAKEN || word == DETACHED));
        assert(freed || word == EXITED)
    }
}
