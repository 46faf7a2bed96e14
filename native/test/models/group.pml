/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel in a group: enrol, fire, look, remove, wait. Code and invariants (G1 to G3): native/src/comm/cgrp.c.
 *
 * Channel and group have an exclusion each. One sender comes inside the channel; the other publishes in the ring by
 * itself, through a store buffer of one entry, and comes inside if `attention` says that a group wants to hear of it.
 *
 * Proven for one message inside, two by the ring, two threads that wait for the group and take a message when they are
 * told of one, and somebody who takes the channel out of the group and puts it back: no readiness is lost (all messages
 * are taken), nobody is told of a channel that is not a member, the queue holds it once, and no order of locks is a
 * circle.
 *
 * broken: -DWAKE_NOBODY     (G1) a member is queued, and ops that wait are not told
 * broken: -DQUEUE_LATER     (G1) an op is queued after the group was left and entered again
 * broken: -DCLEAR_LATE      (G2) `announced` is cleared after the look, outside of channel and group
 * broken: -DNO_RENEWAL      (G2) a member that was found ready is reported, and not announced anew
 * broken: -DLOOK_INSIDE     (G3) the channel is looked at from inside the group
 * broken: -DNO_MEMBER_CHECK a member that was taken out of the queue is not asked whether it still is one
 * broken: -DANNOUNCE_TWICE  a member that was found ready is announced also if it is already
 * broken: -DNO_BARRIER      the look after the bit was set comes without a barrier in between
 */
#define MESSAGES 3

bool channel_lock, group_lock;

byte length;              /* messages in the ring, as others see it */
bool pending;             /* one in the store buffer of the sender that comes by the ring */
bool attention;           /* WEFT_RING_GROUP */

bool member = false;      /* chan->group */
bool announced = false;
bool queued = false;      /* it is in cgrp->ready */
bool waits[2];            /* ops in cgrp->waiters */
bool told[2];             /* completed */

byte taken = 0;           /* ghost */

inline enter_channel() { atomic { !channel_lock -> channel_lock = true } }
inline leave_channel() { channel_lock = false }
inline enter_group() { atomic { !group_lock -> group_lock = true } }
inline leave_group() { group_lock = false }

active proctype drains() {
end:
    do
    :: d_step { pending -> pending = false; length++ }
    od
}

/* cgrp_announce(), inside the channel */
inline announce() {
    assert(member);
    enter_group();
    attention = false;
    atomic {
        assert(!queued);
        announced = true;
        queued = true;
#ifndef WAKE_NOBODY
        if
        :: waits[0] -> waits[0] = false; told[0] = true
        :: else
        fi;
        if
        :: waits[1] -> waits[1] = false; told[1] = true
        :: else
        fi
#endif
    };
    leave_group()
}

/* watch(), inside the channel */
inline watch(result) {
    result = (length > 0);
    if
    :: !result ->
       attention = true;
#ifndef NO_BARRIER
       !pending;
#endif
       result = (length > 0)
    :: else
    fi
}

/* chan_announce(), inside the channel */
inline announce_if_ready() {
    if
    :: member && !announced && length > 0 -> announce()
    :: else
    fi
}

/* weft_chan_send() */
active proctype sender() {
    enter_channel();
    length++;
    announce_if_ready();
    leave_channel()
}

/* By the ring; weft_chan_sent() */
active proctype ring_sender() {
    byte n;
    for (n : 1 .. 2) {
        atomic { !pending -> pending = true };
        if
        :: attention ->
           atomic { !channel_lock && !pending -> channel_lock = true };
           announce_if_ready();
           leave_channel()
        :: else
        fi
    }
}

/* take_announced(), inside the group */
inline take_announced() {
    atomic {
        found = queued;
        queued = false;
#ifndef CLEAR_LATE
        if
        :: found -> announced = false
        :: else
        fi
#endif
    }
}

/* look_at() */
inline look() {
    enter_channel();
#ifdef NO_MEMBER_CHECK
    watch(ready);
#else
    if
    :: member -> watch(ready)
    :: else -> ready = false
    fi;
#endif
    if
    :: ready ->
       assert(member);
       if
#ifdef ANNOUNCE_TWICE
       :: true -> announce()
#elif defined(NO_RENEWAL)
       :: true
#else
       :: !announced -> announce()
       :: else
#endif
       fi
    :: else
    fi;
    leave_channel()
}

/* weft_cgrp_wait(), then weft_chan_try_recv() */
active [2] proctype waiter() {
    bool found, ready, second;
    byte me = _pid - 3;
    do
    :: second = false;
       do                                              /* wait_now(), first without an op, then with one */
       :: enter_group();
          take_announced();
#ifdef LOOK_INSIDE
          if
          :: found -> look()
          :: else
          fi;
#endif
          if
          :: !found && second ->
#ifdef QUEUE_LATER
             leave_group();
             enter_group();
#endif
             waits[me] = true
          :: else
          fi;
          leave_group();
          if
          :: found ->
#ifndef LOOK_INSIDE
             look();
#endif
#ifdef CLEAR_LATE
             if
             :: !ready -> announced = false
             :: else
             fi;
#endif
             if
             :: ready -> break
             :: else
             fi
          :: !found && second ->
end:
             told[me] -> told[me] = false;
             break
          :: else -> second = true
          fi
       od;
       enter_channel();
       atomic {
           if
           :: length > 0 -> length--; taken++
           :: else
           fi
       };
       leave_channel()
    od
}

/* weft_cgrp_add(), weft_cgrp_remove(), weft_cgrp_add() */
inline add() {
    enter_channel();
    member = true;
    announced = false;
    watch(ready);
    if
    :: ready -> announce()
    :: else
    fi;
    leave_channel()
}

active proctype mover() {
    bool ready;
    add();
    enter_channel();                                   /* cgrp_forget() */
    enter_group();
    atomic {
        member = false;
        attention = false;
        queued = false;                                /* list_remove(), if announced */
        announced = false
    };
    leave_group();
    leave_channel();
    add()
}

active proctype judge() {
    atomic { timeout -> assert(taken == MESSAGES); assert(!queued || (!waits[0] && !waits[1])) }
}
