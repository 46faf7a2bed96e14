/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The permit word of an lwt: park against two unparkers and against time-outs and interrupts. Code: native/src/sched/
 * park.c, whose opening comment is the protocol; the wait itself is lwt_wait() of sched/lwt.c.
 *
 * Proven for three parks, two unparkers with two permits each, and two withdrawals: each wait has one winner (it is
 * readied once), no permit is lost (one that was given and not taken is there in the end), none is taken that was not
 * given, and the lwt does not wait for ever while a permit is there.
 *
 * broken: -DTIMEOUT_STORES   a withdrawal writes NONE without looking who was first
 * broken: -DUNPARK_LOOKS     unpark looks at the word and then writes it, in two steps
 * broken: -DNO_SECOND_TAKE   park goes straight to AWAITED and does not look for a permit that came just now
 */
mtype = { NONE, GIVEN, AWAITED };

mtype permit = NONE;   /* lwt->permit */
byte readied = 0;      /* how often the lwt was made runnable in its present wait */
bool blocked = false;  /* it waits */
bool timed_out;        /* the result of the wait */
bool pending = false;  /* ghost: a permit was given and not taken */
byte parks_left = 3;

inline ready(how) {
    atomic {
        readied++;
        assert(blocked);
        assert(readied == 1);
        timed_out = how
    }
}

/* weft_lwt_unpark() */
proctype unparker() {
    mtype old;
    byte n;
    for (n : 1 .. 2) {
#ifdef UNPARK_LOOKS
        old = permit;
        atomic { permit = GIVEN; pending = true };
#else
        atomic { old = permit; permit = GIVEN; pending = true }; /* exchange_acq_rel(&lwt->permit, PERMIT_GIVEN) */
#endif
        if
        :: old == AWAITED -> ready(false)
        :: else
        fi
    }
}

/* A time-out or an interrupt, on the lwt's own kthd: park_withdraw(), called while the lwt is blocked. */
proctype withdrawer() {
    bool won;
    byte n;
    for (n : 1 .. 2) {
        if
        :: blocked && readied == 0 ->
#ifdef TIMEOUT_STORES
           won = (permit == AWAITED);
           permit = NONE;
#else
           atomic { won = (permit == AWAITED); permit = (won -> NONE : permit) }; /* cas AWAITED -> NONE */
#endif
           if
           :: won -> ready(true)
           :: else
           fi
        :: skip
        fi
    }
}

/* park() */
active proctype lwt() {
    bool took;
    byte n;
    run unparker();
    run unparker();
    run withdrawer();
    do
    :: parks_left == 0 -> break
    :: else ->
       parks_left--;
       atomic {                                        /* cas GIVEN -> NONE */
           took = (permit == GIVEN);
           if
           :: took -> permit = NONE; assert(pending); pending = false
           :: else
           fi
       };
       if
       :: took
       :: else ->
          readied = 0;
          blocked = true;                              /* announced to withdrawals before the word says so: on the kthd
                                                          nothing comes in between; the model is the harder case */
#ifdef NO_SECOND_TAKE
          permit = AWAITED; took = false;
#else
          atomic {                                     /* cas NONE -> AWAITED */
              took = (permit != NONE);
              permit = (took -> permit : AWAITED)
          };
#endif
          if
          :: took ->                                   /* it came just now */
             blocked = false;
             atomic { assert(permit == GIVEN); permit = NONE; assert(pending); pending = false }
          :: else ->
             (readied > 0);                            /* lwt_wait() */
             blocked = false;
             if
             :: !timed_out ->
                atomic { assert(permit == GIVEN); permit = NONE; assert(pending); pending = false }
             :: else
             fi
          fi
       fi;
       if                                              /* or stop early: more parks than permits would wait for ever */
       :: parks_left = 0
       :: pending
       fi
    od
}

/* No permit is lost: when all is quiet, the word says whether one was given and not taken. */
active proctype judge() {
    atomic { timeout -> assert(pending == (permit == GIVEN)) }
}
