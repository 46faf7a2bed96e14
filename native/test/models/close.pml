/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kthd that closes, and whose slot is used anew, against creations from elsewhere. Code: kthd_arrive(), kthd_post() and
 * kthd_is_empty() of native/src/sched/inbox.c, kthd_try_close() of kthd.c, weft_kthd_destroy() and kthd_dispose() of
 * carrier.c. Waking a kthd that sleeps is inbox.pml's; here it is always awake.
 *
 * Proven for two creations by the first kthd's handle, one by the second's, and lwts that may block and be readied
 * from elsewhere: every lwt that was accepted runs on the kthd it was meant for and ends there; no kthd is destroyed with
 * an lwt alive; whoever is refused has left no trace; who waits for an empty kthd gets it.
 *
 * All accesses are read-modify-write, or loads that the owner's program order keeps before one (x86 keeps loads in order).
 *
 * broken: -DLATE_COUNT      an arrival is counted after its push
 * broken: -DNO_LOOK         an arrival does not look at the generation after it has counted itself
 * broken: -DNO_WAIT         the slot is used anew without waiting for those who are counted
 * broken: -DSTORE_CLOSED    the owner writes CLOSED without looking whether the inbox is still empty
 */
#define CLOSED 8
#define LWTS 3            /* 0 and 1 are meant for the first kthd, 2 for the second */
#define FIRST 1           /* generations, which are the handles */
#define SECOND 3

mtype = { NO, IF_EMPTY, WHEN_EMPTY, REFUSED, DONE };

byte inbox = CLOSED;      /* a set of lwts, or CLOSED */
byte arrived = 0;         /* kthd->arrived_from_elsewhere */
byte departed = 0;
byte generation = FIRST;
mtype closing = NO;

bool accepted[LWTS], ended[LWTS];
bool over[LWTS];          /* its creation has returned */
byte alive = 0;           /* ghost: lwts taken in and not ended */

/* kthd_post() */
inline post(lwt, result) {
    atomic {
        result = (inbox != CLOSED);
        inbox = (result -> inbox | (1 << lwt) : CLOSED)
    }
}

/* weft_lwt_create() from elsewhere */
proctype creator(byte lwt; byte handle) {
    bool done;
    if                                                 /* kthd_find() */
    :: generation == handle
    :: generation > handle -> goto gone
    fi;
#ifdef LATE_COUNT
    post(lwt, done);
    if
    :: done -> arrived++
    :: else
    fi;
#else
    arrived++;                                         /* kthd_arrive() */
#ifdef NO_LOOK
    done = true;
#else
    done = (generation == handle);
#endif
    if
    :: done ->
       post(lwt, done)
    :: else
    fi;
    if
    :: !done -> arrived--                              /* kthd_arrive_not() */
    :: else
    fi;
#endif
gone:
    atomic { accepted[lwt] = done; over[lwt] = true }
}

/* Readies a blocked lwt from elsewhere. */
proctype waker(byte lwt) {
    bool done;
    post(lwt, done);
    assert(done)                                       /* "a kthd with a blocked lwt is open" */
}

/* kthd_loop() */
proctype owner(byte handle) {
    byte ring, lwt, count;
    byte blocked_before = 0;
    do
    :: atomic { ring = inbox; inbox = 0; assert(ring != CLOSED) };
       if
       :: ring ->
          atomic {
              do
              :: ring == 0 -> break
              :: else ->
                 lwt = (ring & 1 -> 0 : (ring & 2 -> 1 : 2));
                 ring = ring & ~(1 << lwt);
                 assert(handle == (lwt == 2 -> SECOND : FIRST));
                 assert(!ended[lwt]);
                 if
                 :: !(blocked_before & (1 << lwt)) ->  /* it blocks: it is in no ring and in no inbox */
                    blocked_before = blocked_before | (1 << lwt);
                    alive++;
                    run waker(lwt)
                 :: !(blocked_before & (1 << lwt)) -> ended[lwt] = true; departed++
                 :: blocked_before & (1 << lwt) -> ended[lwt] = true; departed++; alive--
                 fi
              od;
              lwt = 0
          }
       :: else ->                                      /* idle() */
          if
          :: closing == IF_EMPTY || closing == WHEN_EMPTY ->
             count = arrived;                          /* kthd_is_empty() */
             if
             :: count == departed ->                   /* kthd_try_close() */
#ifdef STORE_CLOSED
                inbox = CLOSED;
                break
#else
                atomic {
                    if
                    :: inbox == 0 -> inbox = CLOSED; break
                    :: else
                    fi
                }
#endif
             :: else ->
                if
                :: closing == IF_EMPTY -> closing = REFUSED
                :: else
                fi
             fi
          :: inbox || closing == IF_EMPTY || closing == WHEN_EMPTY /* waits for something to do */
          fi
       fi
    od;
    closing = DONE                                     /* stop_carrying() */
}

/* weft_kthd_destroy() */
inline destroy() {
    if
    :: wish = IF_EMPTY
    :: wish = WHEN_EMPTY
    fi;
    do
    :: closing = wish;
       closing == REFUSED || closing == DONE;
       if
       :: closing == DONE -> break
       :: else -> closing = NO; wish = WHEN_EMPTY      /* -EBUSY */
       fi
    od;
    assert(alive == 0);
    generation++;                                      /* slab_retire() */
#ifndef NO_WAIT
    arrived == departed;                               /* kthd_dispose() */
#endif
    closing = NO
}

init {
    mtype wish;
    atomic { run creator(0, FIRST); run creator(1, FIRST); run creator(2, SECOND) };
    inbox = 0;                                         /* kthd_new() */
    run owner(FIRST);
    destroy();
    atomic { inbox = 0; generation++ };                /* kthd_new() in the same slot */
    run owner(SECOND);
    over[2];
    destroy()
}

active proctype judge() {
    byte i;
    atomic {
        timeout ->
        assert(generation == SECOND + 1);
        assert(arrived == departed);
        for (i : 0 .. LWTS - 1) { assert(accepted[i] == ended[i]) }
    }
}
