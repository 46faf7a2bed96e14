/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queued operation of a channel: match against time-out against close against cancel. Each enters the channel's
 * exclusion, and whoever finds the operation in the queue takes it out and owns its completion. Code: take_op(),
 * op_withdraw() and close_locked() of native/src/comm/chan.c; complete(), op_wait_as_thread() and weft_op_cancel() of
 * native/src/sched/op.c.
 *
 * Proven for one receiver with a deadline, two senders that do not wait, one who closes and one who cancels: exactly
 * one winner, the result is the winner's, a word is received if and only if it was sent, and nobody touches the
 * operation's memory after its owner has gone on.
 *
 * broken: -DTIMEOUT_GOES     a receiver whose withdrawal fails returns without waiting for the winner
 * broken: -DNO_EXCLUSION     the withdrawal looks and unlinks outside of the exclusion
 * broken: -DCOMPLETE_EARLY   the winner says DONE before it has written the result
 */
mtype = { QUEUED, DONE };
mtype = { NOTHING, WORD, TIMEDOUT, CLOSED, CANCELED };

bool lock = false;
bool linked = false;      /* op->link is in the channel's list of receivers */
bool closed = false;      /* chan->closed */
mtype state = QUEUED;     /* op->state, a futex */
mtype result = NOTHING;   /* op->result and op->value */
bool gone = false;        /* ghost: the receiver has returned, the op's memory is somebody else's */
byte winners = 0;         /* ghost */
byte sent = 0, received = 0;
bool started = false;

inline enter() { atomic { !lock -> lock = true } }
inline leave() { lock = false }
inline touch() { assert(!gone) }

/* take_op() inside; complete() after leaving */
inline win(what) {
    touch();
    linked = false;
    winners++;
    assert(winners == 1)
}

inline complete(what) {
#ifdef COMPLETE_EARLY
    touch();
    state = DONE;
    touch();
    result = what
#else
    touch();
    result = what;
    touch();
    state = DONE       /* store_release; the waker's futex call may come later and touches nothing */
#endif
}

/* weft_chan_try_send() */
active [2] proctype sender() {
    bool mine;
    started;
    enter();
    if
    :: closed -> mine = false; leave()                       /* -EPIPE */
    :: !closed && linked -> win(WORD); mine = true; sent++; leave()
    :: else -> mine = false; leave()                         /* -EAGAIN */
    fi;
    if
    :: mine -> complete(WORD)
    :: else
    fi
}

/* weft_chan_close() */
active proctype closer() {
    bool mine = false;
    started;
    enter();
    closed = true;
    if
    :: linked -> win(CLOSED); mine = true
    :: else
    fi;
    leave();
    if
    :: mine -> complete(CLOSED)
    :: else
    fi
}

/* weft_op_cancel(): only while the op's memory lives, which its caller knows; here: as long as it is not gone */
active proctype canceler() {
    bool mine = false;
    started;
    enter();
    if
    :: !gone && linked -> win(CANCELED); mine = true
    :: else
    fi;
    leave();
    if
    :: mine -> complete(CANCELED)
    :: else
    fi
}

/* weft_chan_recv_until() of a plain thread */
active proctype receiver() {
    bool mine = false;
    enter();
    linked = true;
    started = true;
    leave();
    /* op_wait_as_thread(): sleeps until DONE or the deadline, which may come at any time */
    if
    :: state == DONE
    :: skip ->                                                /* -ETIMEDOUT of the futex */
#ifdef NO_EXCLUSION
       mine = linked;
       if
       :: mine -> linked = false; winners++; assert(winners == 1)
       :: else
       fi;
#else
       enter();
       if
       :: linked -> linked = false; mine = true; winners++; assert(winners == 1)
       :: else
       fi;
       leave();
#endif
       if
       :: mine -> result = TIMEDOUT
       :: else ->
#ifndef TIMEOUT_GOES
          state == DONE                                       /* it has been taken: its completion is on the way */
#endif
          skip
       fi
    fi;
    assert(result != NOTHING);
    if
    :: result == WORD -> received++
    :: else
    fi;
    gone = true
}

active proctype judge() {
    atomic { timeout -> assert(winners == 1); assert(sent == received) }
}
