/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of a channel: ends that use no lock, ends that wait, and one who closes. Code: native/src/comm/ring.h, and for
 * those who wait native/src/comm/chan.c; the protocol is in include/weft/ring.h, and its words are used here.
 *
 * An end first tries by itself (in any language). If the ring or `attention` says so it goes inside the channel, under
 * its lock: to wait, or to serve those who wait.
 *
 * The memory is x86's (TSO): a store of an end that is not inside lies in its buffer, of one entry here, until it becomes
 * visible some time later; its own loads see it. A locked instruction waits until the buffer is empty. membarrier() waits
 * until it has seen the buffers empty, one after the other, and here only those of the other kind: no more is needed.
 *
 * Steps that are one here and several in the code. Index, sequence and attention are loaded at once: if the index moves
 * in between the claim fails. An end inside loads and claims at once, for the same reason, and publishes or frees as
 * well: who sees it half done comes inside next, and waits for the lock. A payload is written when its position is
 * claimed and read right before its cell is freed: the earliest and the latest that may be.
 *
 * Proven for a ring of two cells and four messages of two senders to two receivers (five of one to one in the form for
 * pairs, three in other variants): each message is received once, in its sender's order, and no end waits for ever. With
 * CLOSING, where somebody closes at any moment: a message is received if and only if its sender was told that it is sent,
 * and all learn of the end.
 *
 * holds: -DPAIR                           the form for one sender and one receiver
 * holds: -DNARROW                         a capacity of one, in two cells
 * holds: -DFENCE                          there is no membarrier: ends fence before they look the second time
 * holds: -DCLOSING
 * holds: -DCLOSING -DPAIR
 * holds: -DCLOSING -DONE_SENDER           two receivers: the index of the sender is moved by a plain store
 * holds: -DCLOSING -DONE_RECEIVER         likewise
 * broken: -DNO_MEMBARRIER                 who waits sets the bit and looks again without a barrier in between
 * broken: -DNO_MEMBARRIER -DPAIR
 * broken: -DLOOK_FIRST                    who waits looks, sets the bit, and does not look again
 * broken: -DNO_SECOND_LOOK                an end does not look at attention after it has published or freed
 * broken: -DNO_SECOND_LOOK -DPAIR
 * broken: -DFREE_FIRST                    the cell is freed before its payload is read
 * broken: -DFREE_FIRST -DPAIR
 * broken: -DONE_SIDED                     handing a message to a receiver makes room, which no waiting sender gets
 * broken: -DCLOSING -DNO_SECOND_LOOK
 * broken: -DCLOSING -DCLOSE_UNFENCED      the position of the close is read without a barrier
 * broken: -DCLOSING -DCLOSE_UNFENCED -DPAIR
 * broken: -DCLOSING -DLOOK_EARLY          a receiver looks at attention before it has seen a message
 */
#define CELLS 2
#ifdef NARROW
#define CAPACITY 1
#else
#define CAPACITY CELLS
#endif
#define CELL(p) ((p) % CELLS)
#define LAP(p) ((p) - CELL(p))

#ifdef PAIR
#define ENDS 1 /* of each kind; senders are 0 to ENDS - 1, receivers follow */
#else
#define ENDS 2
#endif

#if defined(ONE_SENDER)
#define ONLY_ONE(place) (place == TAIL)
#elif defined(ONE_RECEIVER)
#define ONLY_ONE(place) (place == HEAD)
#else
#define ONLY_ONE(place) false
#endif

/* Places in memory. */
#define TAIL 0
#define HEAD 1
#define SEQUENCE(p) (2 + CELL(p))
#define NOWHERE 4

byte memory[4];
byte payload[CELLS];
bool closed, senders_wait, receivers_wait; /* attention: one word, read in one step, written inside */
#ifdef PAIR
byte head_seen, tail_seen;
#endif

bool lock;                       /* the channel's */
byte closed_at = 255;
bool waits[2 * ENDS];            /* its op is queued */
bool refused[2 * ENDS];          /* the result: closed */

byte sent[ENDS], received[ENDS]; /* messages of each sender so far */

/* --- memory --- */

byte where[2 * ENDS] = NOWHERE;  /* store buffers */
byte what[2 * ENDS];
#define buffer_is_empty (where[me] == NOWHERE)

inline load(place, result) { result = (where[me] == place -> what[me] : memory[place]) }
inline store(place, value) { atomic { buffer_is_empty -> where[me] = place; what[me] = value } }

active proctype drains() {
end:
    do
    :: d_step { where[0] != NOWHERE -> memory[where[0]] = what[0]; where[0] = NOWHERE; what[0] = 0 }
    :: d_step { where[1] != NOWHERE -> memory[where[1]] = what[1]; where[1] = NOWHERE; what[1] = 0 }
#if ENDS == 2
    :: d_step { where[2] != NOWHERE -> memory[where[2]] = what[2]; where[2] = NOWHERE; what[2] = 0 }
    :: d_step { where[3] != NOWHERE -> memory[where[3]] = what[3]; where[3] = NOWHERE; what[3] = 0 }
#endif
    od
}

#ifdef FENCE
#define fence buffer_is_empty
#define NO_MEMBARRIER
#else
#define fence true
#endif

inline barrier(first) {
    where[first] == NOWHERE;
#if ENDS == 2
    where[first + 1] == NOWHERE
#endif
}

/* --- messages --- */

#define MESSAGE(sender) (8 * (sender) + sent[sender])

inline receive(message) {
    assert(message % 8 == received[message / 8]); /* once, and in order */
    received[message / 8]++
}

/* --- the ring, for ends by themselves. In `done` whether it is done; `p` the position --- */

#ifdef PAIR

#define CAN_SEND (p - head_seen < CAPACITY)
#define CAN_RECEIVE(end) (p < tail_seen && p < end)

inline send_fast() {
    atomic {
        load(TAIL, p);
        if
        :: CAN_SEND
        :: else -> head_seen = memory[HEAD]
        fi;
        done = (CAN_SEND && !closed);
        if
        :: done -> payload[CELL(p)] = MESSAGE(me)
        :: else
        fi
    };
    if
    :: done -> store(TAIL, p + 1)
    :: else
    fi
}

inline receive_fast() {
    atomic {
#ifdef LOOK_EARLY
        done = !closed
    };
    atomic {
#else
        done = !closed;
#endif
        load(HEAD, p);
        if
        :: CAN_RECEIVE(255)
        :: else -> tail_seen = memory[TAIL]
        fi;
        done = (done && CAN_RECEIVE(255))
    };
    if
    :: done ->
#ifdef FREE_FIRST
       store(HEAD, p + 1);
       receive(payload[CELL(p)])
#else
       atomic { buffer_is_empty -> receive(payload[CELL(p)]); store(HEAD, p + 1) }
#endif
    :: else
    fi
}

#else

#define CAN_SEND (memory[SEQUENCE(p)] == LAP(p) && p < memory[HEAD] + CAPACITY)
#define CAN_RECEIVE(end) (memory[SEQUENCE(p)] == LAP(p) + 1 && p < end)

/* Moves an index; without success all begins anew. The only one of its kind needs no compare-and-swap. */
inline claim(place) {
    buffer_is_empty;
    done = (memory[place] == p);
    if
    :: done && ONLY_ONE(place) -> store(place, p + 1)
    :: done && !ONLY_ONE(place) -> memory[place] = p + 1
    :: else -> p = 0
    fi
}

inline send_fast() {
    do
    :: atomic {
           load(TAIL, p);
           load(SEQUENCE(p), seen);
           done = (seen == LAP(p) && p < memory[HEAD] + CAPACITY && !closed && !senders_wait);
           seen = 0;
           if
           :: done
           :: else -> break
           fi
       };
       atomic {
           claim(TAIL);
           if
           :: done -> payload[CELL(p)] = MESSAGE(me); break
           :: else
           fi
       }
    od;
    if
    :: done -> store(SEQUENCE(p), LAP(p) + 1)
    :: else
    fi
}

inline receive_fast() {
    do
    :: atomic {
#ifdef LOOK_EARLY
           done = !closed && !receivers_wait
       };
       atomic {
#else
           done = !closed && !receivers_wait;
#endif
           load(HEAD, p);
           load(SEQUENCE(p), seen);
           done = (done && seen == LAP(p) + 1);
           seen = 0;
           if
           :: done
           :: else -> break
           fi
       };
       atomic {
           claim(HEAD);
           if
           :: done -> message = payload[CELL(p)]; receive(message); break
           :: else
           fi
       }
    od;
    if
    :: done ->
#ifdef FREE_FIRST
       store(SEQUENCE(p), LAP(p) + CELLS);
       atomic { assert(payload[CELL(p)] == message); message = 0 }
#else
       atomic {
           buffer_is_empty -> assert(payload[CELL(p)] == message); message = 0;
           store(SEQUENCE(p), LAP(p) + CELLS)
       }
#endif
    :: else
    fi
}

#endif

/* --- and for ends inside: for themselves, and for those who wait --- */

inline push(sender) {
    p = memory[TAIL];
#ifdef PAIR
    head_seen = memory[HEAD];
#endif
    done = CAN_SEND;
    if
    :: done ->
       payload[CELL(p)] = MESSAGE(sender);
       memory[TAIL] = p + 1;
#ifndef PAIR
       memory[SEQUENCE(p)] = LAP(p) + 1
#endif
    :: else
    fi
}

inline pop() {
    p = memory[HEAD];
#ifdef PAIR
    tail_seen = memory[TAIL];
#endif
    done = CAN_RECEIVE(closed_at);
    if
    :: done ->
       receive(payload[CELL(p)]);
       memory[HEAD] = p + 1;
#ifndef PAIR
       memory[SEQUENCE(p)] = LAP(p) + CELLS
#endif
    :: else
    fi
}

#if ENDS == 1
#define A_SENDER_WAITS waits[0]
#define A_RECEIVER_WAITS waits[1]
#else
#define A_SENDER_WAITS (waits[0] || waits[1])
#define A_RECEIVER_WAITS (waits[2] || waits[3])
#endif

/* One of two that wait. */
inline pick(first) {
    if
    :: waits[first] -> other = first
#if ENDS == 2
    :: waits[first + 1] -> other = first + 1
#endif
    fi
}

inline refuse(first) { pick(first); waits[other] = false; refused[other] = true; other = 0 }

/* chan_serve(): gives receivers that wait what is in the ring, and senders what is free in it. */
inline serve() {
    do
    :: atomic {
           if
           :: A_RECEIVER_WAITS ->
              pop();
              if
              :: done -> pick(ENDS); waits[other] = false; other = 0; moved = true
              :: else
              fi
           :: else -> done = false
           fi;
#ifdef ONE_SIDED
           if
           :: !done && moved -> served(); break
           :: else
           fi;
#endif
           if
           :: !A_SENDER_WAITS && !done -> served(); break
           :: else
           fi
       };
       atomic {
           if
#ifdef ONE_SIDED
           :: A_SENDER_WAITS && !closed && !moved ->
#else
           :: A_SENDER_WAITS && !closed ->
#endif
              pick(0);
              push(other);
              if
              :: done -> waits[other] = false; moved = true
              :: else
              fi;
              other = 0
           :: else
           fi;
           if
#ifdef ONE_SIDED
           :: moved
#else
           :: moved -> moved = false
#endif
           :: else -> served(); break
           fi
       }
    od
}

inline served() {
    do
    :: closed && A_SENDER_WAITS -> refuse(0)
    :: memory[HEAD] >= closed_at && A_RECEIVER_WAITS -> refuse(ENDS)
    :: else -> break
    od;
    settle();
    moved = false;
    done = false;
    p = 0
}

inline settle() { senders_wait = A_SENDER_WAITS; receivers_wait = A_RECEIVER_WAITS }
inline enter() { !lock && buffer_is_empty -> lock = true; must = false }
inline leave() { lock = false; done = false; p = 0 }

/* --- who uses it --- */

#ifdef NO_SECOND_LOOK
#define MUST_COME_IN(attention) false
#else
#define MUST_COME_IN(attention) (attention)
#endif

proctype sender(byte me; byte messages) {
    byte p, seen, other, message;
    bool done, must, moved;
    do
    :: send_fast();
       if
       :: done ->
          atomic {
              fence -> must = MUST_COME_IN(receivers_wait || closed);
              if
              :: must
              :: else -> goto finished
              fi
          };
          atomic { enter(); refused[me] = (p >= closed_at); p = 0 };
          serve()                                            /* weft_chan_sent() */
       :: else ->
          atomic { enter(); p = 0; must = A_SENDER_WAITS };
          do                                                 /* weft_chan_send() */
          :: if
             :: must -> serve()                              /* it is their turn first */
             :: else
             fi;
             atomic {
                 must = false;
                 if
                 :: closed -> refused[me] = true; break
                 :: !closed && !A_SENDER_WAITS -> push(me)
                 :: else
                 fi;
                 if
                 :: done -> must = A_RECEIVER_WAITS; break
                 :: !done && senders_wait -> waits[me] = true; break
                 :: else -> senders_wait = true              /* last_look() */
                 fi
             };
#ifdef LOOK_FIRST
             atomic { waits[me] = true; break };
#endif
#ifndef NO_MEMBARRIER
             barrier(ENDS);
#endif
             skip
          od;
          if
          :: must -> must = false; serve()
          :: else
          fi
       fi;
       atomic {
           if
           :: !waits[me] -> settle()
           :: else
           fi;
           leave()
       };
finished:
       atomic {
           !waits[me] -> done = false; p = 0;
           if
           :: !refused[me] -> sent[me]++
           :: else
           fi;
           if
           :: refused[me] || sent[me] == messages -> break
           :: else
           fi
       }
    od
}

proctype receiver(byte me; byte messages) {
    byte p, seen, other, message, count;
    bool done, must, moved;
    do
    :: receive_fast();
       if
       :: done ->
          atomic {
              fence -> must = MUST_COME_IN(senders_wait);
              if
              :: must
              :: else -> goto finished
              fi
          };
          atomic { enter(); p = 0 };
          serve()                                            /* weft_chan_received() */
       :: else ->
          atomic { enter(); p = 0; must = A_RECEIVER_WAITS };
          do                                                 /* weft_chan_recv() */
          :: if
             :: must -> serve()
             :: else
             fi;
             atomic {
                 must = false;
                 if
                 :: !A_RECEIVER_WAITS -> pop()
                 :: else
                 fi;
                 if
                 :: done -> must = A_SENDER_WAITS; break
                 :: !done && memory[HEAD] >= closed_at -> refused[me] = true; break
                 :: !done && memory[HEAD] < closed_at && receivers_wait -> waits[me] = true; break
                 :: else -> receivers_wait = true
                 fi
             };
#ifdef LOOK_FIRST
             atomic { waits[me] = true; break };
#endif
#ifndef NO_MEMBARRIER
             barrier(0);
#endif
             skip
          od;
          if
          :: must -> must = false; serve()
          :: else
          fi
       fi;
       atomic {
           if
           :: !waits[me] -> settle()
           :: else
           fi;
           leave()
       };
finished:
       atomic {
           !waits[me] -> done = false; p = 0;
#ifndef CLOSING
           count++;
#endif
           if
           :: refused[me] || count == messages -> break
           :: else
           fi
       }
    od
}

/* weft_chan_close() */
proctype closer() {
    byte p, other, message;
    bool done, moved;
    atomic { !lock -> lock = true };
#ifdef CLOSE_UNFENCED
    closed_at = memory[TAIL]; /* while the store below is still in its buffer */
    closed = true;
#else
    closed = true;
    barrier(0);
    closed_at = memory[TAIL];
#endif
    serve();
    leave()
}

init {
    atomic {
#if defined(PAIR)
        run sender(0, 5); run receiver(1, 5);
#elif defined(ONE_SENDER)
        run sender(0, 3); run receiver(2, 2); run receiver(3, 1);
#elif defined(ONE_RECEIVER)
        run sender(0, 2); run sender(1, 1); run receiver(2, 3);
#elif defined(CLOSING)
        run sender(0, 1); run sender(1, 1); run receiver(2, 1); run receiver(3, 1);
#elif defined(NARROW) || defined(FENCE)
        run sender(0, 2); run sender(1, 1); run receiver(2, 2); run receiver(3, 1);
#else
        run sender(0, 2); run sender(1, 2); run receiver(2, 2); run receiver(3, 2);
#endif
#ifdef CLOSING
        run closer();
#endif
    };
    atomic {
        _nr_pr == 2; /* this one, and drains() */
        assert(received[0] == sent[0]);
        assert(received[ENDS - 1] == sent[ENDS - 1])
    }
}
