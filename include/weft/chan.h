/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chan: a typed queue of 64-bit words between any number of senders and receivers, of any kind of thread.
 *
 *   capacity 0      rendezvous: a send completes when a receiver has taken the word
 *   capacity N      a send completes when the word is in the buffer; the buffer is exact
 *
 * Words of one sender arrive in the order sent; waiting senders, and waiting receivers, are served in the order in
 * which they came. A handle is a word: a channel, or an lwt, can be sent over a channel by its id.
 *
 * Lifetime: weft_chan_create() gives one reference. Whoever keeps the handle may hold further ones; the last release
 * closes the channel and frees it, and loses what is buffered. Senders and receivers may be counted besides: when
 * the last counted sender is gone the channel closes (receivers drain it first), when the last counted receiver is
 * gone senders fail at once and what is buffered is lost. Ends that nobody counted never run out.
 *
 * Source: Hoare's CSP by way of Newsqueak, Go and the first seed.
 */
#ifndef WEFT_CHAN_H
#define WEFT_CHAN_H

#include "types.h"

WEFT_BEGIN

#define WEFT_CHAN_MAX_CAPACITY (1u << 20)

enum weft_chan_ends {
    WEFT_CHAN_SENDER = 1,
    WEFT_CHAN_RECEIVER = 2,
};

enum weft_chan_flags {
    WEFT_CHAN_SHARED = 1,   /* will be used from several kthds: no bias, see `biased` below */
    WEFT_CHAN_IN_PLACE = 2, /* messages are written and read where they lie in the ring: weft_chan_claim() and so on */
};

/* What a channel is to be; weft_chan_attr_init() gives a rendezvous for any number of threads. */
struct weft_chan_attr {
    uint32_t capacity;     /* messages, 0 to WEFT_CHAN_MAX_CAPACITY */
    uint32_t single;       /* enum weft_chan_ends, or-ed: at this end there is one thread or lwt. Implies SHARED */
    uint32_t flags;        /* enum weft_chan_flags, or-ed */
    uint32_t record_bytes; /* with IN_PLACE: a message's size, 0 to WEFT_RING_MAX_RECORD; 0: it lies elsewhere. Else 0 */
    uint64_t reserved[2];  /* 0 */
};

struct weft_chan_info {
    uint32_t capacity;  /* words, as created */
    uint32_t length;    /* words buffered now */
    uint32_t sending;   /* waiting senders */
    uint32_t receiving; /* waiting receivers */
    uint32_t refs;      /* references held */
    uint32_t senders;   /* counted senders */
    uint32_t receivers; /* counted receivers */
    uint32_t closed;    /* 1 after the close */
    uint32_t biased;    /* 1 while one kthd alone uses it, without atomic operations */
    uint32_t reserved;
};

/*
 * Creates a channel; the caller holds the one reference.
 *   out             receives the handle; set only on success
 *   capacity        words, 0 to WEFT_CHAN_MAX_CAPACITY
 * Errors: -EINVAL, -ENOMEM, -ENOSPC (1,048,575 channels live, or fewer where memory limits are set).
 * Does not block.
 */
WEFT_API int weft_chan_create(weft_chan_t *out, uint32_t capacity);

WEFT_API void weft_chan_attr_init(struct weft_chan_attr *attr);

/*
 * The same, with more said about it. A declared single end is bound to the first thread or lwt that uses it, and may run
 * without locked instructions; any other that tries is refused with -EUSERS.
 * Errors: as above; -EINVAL also: IN_PLACE without a buffer, single ends of a rendezvous, an unknown flag.
 */
WEFT_API int weft_chan_create_with(weft_chan_t *out, const struct weft_chan_attr *attr);

/*
 * Sends one word.
 *   weft_chan_send        waits until a receiver or the buffer takes it
 *   weft_chan_send_until  the same, with a deadline
 *   weft_chan_try_send    never waits: completes at once or not at all
 * Errors: -EBADF, -EPIPE (closed, or no counted receiver is left), -EINTR (lwts only), -ETIMEDOUT, for the try-form
 *         -EAGAIN, -EUSERS (a single end, and somebody else's), -EINVAL (IN_PLACE). After an error the word was not sent.
 */
WEFT_API int weft_chan_send(weft_chan_t chan, uint64_t value);
WEFT_API int weft_chan_send_until(weft_chan_t chan, uint64_t value, int64_t deadline_ns);
WEFT_API int weft_chan_try_send(weft_chan_t chan, uint64_t value);

/*
 * Receives one word into `value` (not NULL). Forms and errors as above; -EPIPE means closed and drained.
 */
WEFT_API int weft_chan_recv(weft_chan_t chan, uint64_t *value);
WEFT_API int weft_chan_recv_until(weft_chan_t chan, uint64_t *value, int64_t deadline_ns);
WEFT_API int weft_chan_try_recv(weft_chan_t chan, uint64_t *value);

/*
 * Batches of words, with one visit to the channel and one wake-up of each who waits.
 *   weft_chan_send_all   sends all of them in order, and waits where it must; *sent (may be NULL) tells how many were
 *                        sent, also after an error, of which there are those of weft_chan_send()
 *   weft_chan_drain      receives what is there, `max` at most, and does not wait: the number, or -EPIPE (closed and
 *                        drained), -EBADF, -EUSERS, -EINVAL (values NULL, IN_PLACE)
 */
WEFT_API int weft_chan_send_all(weft_chan_t chan, const uint64_t *values, uint32_t count, uint32_t *sent);
WEFT_API int weft_chan_drain(weft_chan_t chan, uint64_t *values, uint32_t max);

/*
 * The two halves of a send, and of a receive, of an IN_PLACE channel. A claim waits for room as a send does and gives
 * the position of a place that is the caller's; when it has written its message there it publishes. A take waits for a
 * message as a receive does and gives its position; when it was read, its place is given back. weft_ring_place() in ring.h
 * gives the address. What is claimed must be published, and what is taken given back, before the same thread claims or
 * takes again; until then those behind it wait. Forms and errors as for send and receive; -EINVAL: not IN_PLACE.
 * weft_chan_publish() is -EPIPE, and the message not sent, if the channel was closed since the claim.
 */
WEFT_API int weft_chan_claim(weft_chan_t chan, uint64_t *position);
WEFT_API int weft_chan_claim_until(weft_chan_t chan, uint64_t *position, int64_t deadline_ns);
WEFT_API int weft_chan_try_claim(weft_chan_t chan, uint64_t *position);
WEFT_API int weft_chan_publish(weft_chan_t chan, uint64_t position);
WEFT_API int weft_chan_take(weft_chan_t chan, uint64_t *position);
WEFT_API int weft_chan_take_until(weft_chan_t chan, uint64_t *position, int64_t deadline_ns);
WEFT_API int weft_chan_try_take(weft_chan_t chan, uint64_t *position);
WEFT_API int weft_chan_give_back(weft_chan_t chan, uint64_t position);

/*
 * Closes the channel: every waiting and later send fails with -EPIPE; receives get what is buffered, then -EPIPE.
 * Closing twice is harmless (0). Errors: -EBADF. Does not block.
 */
WEFT_API int weft_chan_close(weft_chan_t chan);

/*
 * Takes a reference, and counts the caller as a sender or receiver if `ends` says so (or-ed WEFT_CHAN_SENDER and
 * WEFT_CHAN_RECEIVER, or 0). Errors: -EBADF, -EINVAL, -EPIPE (the end asked for has run out before), -ENOSPC (2^31
 * references are held). Does not block.
 */
WEFT_API int weft_chan_retain(weft_chan_t chan, uint32_t ends);

/*
 * Gives a reference back, with the ends it was taken with. The last one frees the channel (and takes it out of its
 * group); the last counted sender or receiver closes it as described above.
 * Errors: -EBADF, -EINVAL (unknown end, or nobody is counted for it). Does not block.
 */
WEFT_API int weft_chan_release(weft_chan_t chan, uint32_t ends);

/* A word that travels with the channel, for its users' own purposes (the seeds' mark); 0 at first.
 * Errors: -EBADF, -EINVAL (value NULL). Does not block. */
WEFT_API int weft_chan_mark_set(weft_chan_t chan, uint64_t value);
WEFT_API int weft_chan_mark_get(weft_chan_t chan, uint64_t *value);

/* What is to be known of a channel, all of one moment. Errors: -EBADF. Does not block. */
WEFT_API int weft_chan_info(weft_chan_t chan, struct weft_chan_info *out);

WEFT_END
#endif
