/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bias: the exclusion that costs an object's one kthd two plain stores, until somebody else wants in. Code:
 * bias_enter_owned(), bias_leave(), bias_enter_slow() and take_from() of native/src/sched/bias.{h,c}; the numbers are
 * those of the argument there.
 *
 * The memory is x86's (TSO): the owner's stores go through a FIFO buffer and become visible to others later; he reads
 * his own first. Others' stores are followed by locked instructions or by the barrier, but the one at (4) is
 * buffered, too. membarrier() makes every processor empty its buffer at some point while it runs.
 *
 * Proven for an owner who enters three times and two others who enter once each: never two inside, and what the one
 * inside wrote is seen by the next (a counter comes out exact); nobody waits for ever. With RETIREMENT, where the owner
 * enters twice, frees the object as its last user (bias_forget(), weft_chan_release()) and uses the slot for a new one,
 * while the others come by the first one's handle: they use it only while it lives, and never beside the owner.
 *
 * holds: -DRETIREMENT
 * broken: -DNO_MEMBARRIER                  (5) is left out
 * broken: -DNO_WAIT                        (6) is left out
 * broken: -DCHECK_FIRST                    the owner looks at (2) before he stores (1)
 * broken: -DNO_CLEAR                       an owner who finds the bias gone goes for the lock with his section still set
 * broken: -DRETIREMENT -DFORGET_FIRST      who frees the object gives the bias up before it retires the slot
 * broken: -DRETIREMENT -DNO_SECOND_LOOK    a handle is checked before its user is inside, and not again
 */
#define UNCLAIMED 0
#define OWNER 1
#define SHARED 2

#define SECTION 0
#define DATA 1
#define BIAS 2
#define GENERATION 3

/* Generations. */
#define FIRST 0
#define FREE 1
#define SECOND 2

byte memory[4];          /* section, the object's data, bias.owner, its generation: as others see them */
bool lock = false;       /* bias.lock */
byte inside = 0;         /* ghost */
byte entries = 0;        /* ghost: how often somebody was inside */

/* Store buffers: of the owner (0) and of the revoker that holds the lock (1). */
typedef buffer { byte where[3]; byte what[3]; byte count };
buffer pending[2];

inline store(who, place, value) {
    atomic {
        pending[who].count < 3 -> /* a full buffer makes the processor wait */
        pending[who].where[pending[who].count] = place;
        pending[who].what[pending[who].count] = value;
        pending[who].count++
    }
}

/* The oldest store becomes visible. */
inline drain_one(who) {
    d_step {
        memory[pending[who].where[0]] = pending[who].what[0];
        i = 0;
        do
        :: i + 1 >= pending[who].count -> break
        :: else ->
           pending[who].where[i] = pending[who].where[i + 1];
           pending[who].what[i] = pending[who].what[i + 1];
           i++
        od;
        pending[who].count--;
        pending[who].where[pending[who].count] = 0;
        pending[who].what[pending[who].count] = 0;
        i = 0
    }
}

inline drain(who) {
    do
    :: pending[who].count == 0 -> break
    :: else -> drain_one(who)
    od
}

/* A load: the newest own store to the place, or memory. */
inline load(who, place, result) {
    d_step {
        result = memory[place];
        i = 0;
        do
        :: i >= pending[who].count -> break
        :: else ->
           if
           :: pending[who].where[i] == place -> result = pending[who].what[i]
           :: else
           fi;
           i++
        od;
        i = 0
    }
}

/* A locked instruction empties the buffer first. */
inline take_lock(who) { atomic { !lock && pending[who].count == 0 -> lock = true } }
inline release_lock(who) { atomic { pending[who].count == 0 -> lock = false } } /* store_release: after all before it */

/* Time passes: buffers drain by themselves. They always do in the end. */
active proctype drains() {
    byte i;
    do
    :: atomic { pending[0].count > 0 -> drain_one(0) }
    :: atomic { pending[1].count > 0 -> drain_one(1) }
    :: timeout -> break
    od
}

inline use_object(who) {
    inside++;
    assert(inside == 1);
    load(who, DATA, value);
    store(who, DATA, value + 1);
    entries++;
    inside--
}

/* bias_enter() of the kthd that may own it */
inline enter() {
#ifdef CHECK_FIRST
    load(0, BIAS, seen);                           /* (2), too early */
    store(0, SECTION, 1);
#else
    store(0, SECTION, 1);                          /* (1) */
    load(0, BIAS, seen);                           /* (2) */
#endif
    if
    :: seen == OWNER -> owned = true
    :: else ->
       owned = false;
#ifndef NO_CLEAR
       store(0, SECTION, 0);
#endif
       /* bias_enter_slow() */
       take_lock(0);
       if
       :: memory[BIAS] == UNCLAIMED ->
          store(0, BIAS, OWNER);
          store(0, SECTION, 1);
          release_lock(0);
          owned = true
       :: else /* SHARED: under the lock */
       fi
    fi
}

/* bias_leave() */
inline leave() {
    if
    :: owned -> store(0, SECTION, 0)               /* (3) */
    :: else -> release_lock(0)
    fi
}

active proctype owner() {
    byte i, round, value, seen;
    bool owned;
    for (round : 1 .. 3) {
#ifdef RETIREMENT
        if
        :: round == 3 ->                           /* its last user frees it; then the slot is used anew */
           enter();
           inside++;
           assert(inside == 1);
#ifdef FORGET_FIRST
           store(0, BIAS, SHARED);
           store(0, GENERATION, FREE);
#else
           store(0, GENERATION, FREE);             /* slab_retire() */
           store(0, BIAS, SHARED);                 /* bias_forget() */
#endif
           inside--;
           leave();
           take_lock(0);                           /* chan_create_with() */
           store(0, BIAS, UNCLAIMED);
           store(0, GENERATION, SECOND);
           release_lock(0)
        :: else
        fi;
#endif
        enter();
        use_object(0);
        leave()
    };
    store(0, SECTION, 0)                           /* only so that NO_CLEAR ends by what it breaks */
}

active [2] proctype stranger() {
    byte i, value, seen, generation;
#ifdef NO_SECOND_LOOK
    generation = memory[GENERATION];               /* chan_find() */
#endif
    take_lock(1);                                  /* bias_enter_slow(), by somebody who is not the owner */
    load(1, BIAS, seen);
    if
    :: seen == OWNER ->                            /* take_from() */
       store(1, BIAS, SHARED);                     /* (4) */
#ifndef NO_MEMBARRIER
       atomic { drain(0); drain(1) };              /* (5) */
#endif
#ifndef NO_WAIT
       memory[SECTION] == 0                        /* (6) */
#endif
    :: seen == UNCLAIMED -> store(1, BIAS, SHARED)
    :: else
    fi;
#ifndef NO_SECOND_LOOK
    generation = memory[GENERATION];               /* chan_enter() */
#endif
    if
    :: generation == FIRST -> assert(memory[GENERATION] == FIRST); use_object(1)
    :: else                                        /* -EBADF */
    fi;
    release_lock(1)
}

/* When nothing can move any more, everybody has been inside as often as he wanted, and each time has left its mark. */
active proctype judge() {
    atomic {
        timeout -> assert(memory[DATA] == entries);
#ifdef RETIREMENT
        assert(entries >= 3)
#else
        assert(entries == 5)
#endif
    }
}
