/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select: one of several sends and receives, over all topologies, and over all kinds of channels: see `forms`. Ends that
 * run the ring's protocol themselves are played by `bare_send` and `bare_receive`, after the text of weft/ring.h.
 */
#include "scene.h"

#include "base/sys.h"

/* ---- channels ---------------------------------------------------------------------------------------------------- */

enum { both = WEFT_CHAN_SENDER | WEFT_CHAN_RECEIVER };

struct form {
    uint32_t capacity, single, flags;
};

static const struct form forms[] = {
    {.capacity = 0},
    {.capacity = 0, .flags = WEFT_CHAN_SHARED},
    {.capacity = 1},
    {.capacity = 3},
    {.capacity = 4, .flags = WEFT_CHAN_SHARED},
    {.capacity = 4, .single = WEFT_CHAN_SENDER},
    {.capacity = 3, .single = WEFT_CHAN_RECEIVER},
    {.capacity = 4, .single = both},
    {.capacity = 3, .flags = WEFT_CHAN_IN_PLACE},
    {.capacity = 4, .single = both, .flags = WEFT_CHAN_IN_PLACE},
};
enum { form_count = sizeof forms / sizeof forms[0] };

static bool is_in_place(const struct form *form) { return form->flags & WEFT_CHAN_IN_PLACE; }

static weft_chan_t chan_of_form(const struct form *form)
{
    struct weft_chan_attr attr;
    weft_chan_t chan = {0};
    weft_chan_attr_init(&attr);
    attr.capacity = form->capacity;
    attr.single = form->single;
    attr.flags = form->flags;
    attr.record_bytes = is_in_place(form) ? 8 : 0;
    REQUIRE_EQ(weft_chan_create_with(&chan, &attr), 0);
    return chan;
}

/* A message, in place or not. */
static int give(const struct form *form, weft_chan_t chan, uint64_t value)
{
    uint64_t position;
    if (!is_in_place(form))
        return weft_chan_send(chan, value);
    int r = weft_chan_claim(chan, &position);
    if (r)
        return r;
    struct weft_ring *ring = weft_chan_ring(chan);
    *(uint64_t *)weft_ring_place(ring, position) = value;
    weft_ring_release(ring);
    return weft_chan_publish(chan, position);
}

static int take(const struct form *form, weft_chan_t chan, uint64_t *value)
{
    uint64_t position;
    if (!is_in_place(form))
        return weft_chan_recv(chan, value);
    int r = weft_chan_take(chan, &position);
    if (r)
        return r;
    struct weft_ring *ring = weft_chan_ring(chan);
    *value = *(uint64_t *)weft_ring_place(ring, position);
    weft_ring_release(ring);
    return weft_chan_give_back(chan, position);
}

static struct weft_case receiving(weft_chan_t chan)
{
    return (struct weft_case){.chan = chan, .op = WEFT_SELECT_RECEIVE, .result = 77};
}

static struct weft_case sending(weft_chan_t chan, uint64_t value)
{
    return (struct weft_case){.chan = chan, .op = WEFT_SELECT_SEND, .result = 77, .value = value};
}

/* What is left to do after a case of this form has fired: the other half, of one in place. Gives the word. */
static uint64_t complete(const struct form *form, const struct weft_case *c, uint64_t value)
{
    if (is_in_place(form)) {
        struct weft_ring *ring = weft_chan_ring(c->chan);
        uint64_t *place = weft_ring_place(ring, c->value);
        if (c->op == WEFT_SELECT_SEND) {
            *place = value;
            REQUIRE_EQ(weft_chan_publish(c->chan, c->value), 0);
        } else {
            value = *place;
            REQUIRE_EQ(weft_chan_give_back(c->chan, c->value), 0);
        }
        weft_ring_release(ring);
        return value;
    }
    return c->op == WEFT_SELECT_SEND ? value : c->value;
}

static bool nobody_waits(weft_chan_t chan)
{
    struct weft_chan_info info = chan_info(chan);
    return info.sending == 0 && info.receiving == 0;
}

/* ---- ends that use no lock: channels with a ring and several ends of each kind ----------------------------------- */

static bool bare_send(struct weft_ring *ring, weft_chan_t chan, uint64_t value)
{
    uint64_t p = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED), lap = p - p % ring->cells;
    uint64_t *cell = (uint64_t *)((char *)ring + ring->cells_at + p % ring->cells * ring->cell_bytes);
    uint32_t attention = __atomic_load_n(&ring->attention, __ATOMIC_ACQUIRE);
    if (attention & (WEFT_RING_BIASED | WEFT_RING_CLOSED | WEFT_RING_SENDERS) ||
        __atomic_load_n(cell, __ATOMIC_ACQUIRE) != lap || p - __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) >= ring->capacity ||
        !__atomic_compare_exchange_n(&ring->tail, &p, p + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    cell[1] = value;
    __atomic_store_n(cell, lap + 1, __ATOMIC_RELEASE);
    if (attention & WEFT_RING_FENCE)
        __sync_synchronize();
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&ring->attention, __ATOMIC_ACQUIRE) & (WEFT_RING_RECEIVERS | WEFT_RING_GROUP | WEFT_RING_CLOSED))
        REQUIRE_EQ(weft_chan_sent(chan, p), 0);
    return true;
}

static bool bare_receive(struct weft_ring *ring, weft_chan_t chan, uint64_t *value)
{
    uint64_t p = __atomic_load_n(&ring->head, __ATOMIC_RELAXED), lap = p - p % ring->cells;
    uint64_t *cell = (uint64_t *)((char *)ring + ring->cells_at + p % ring->cells * ring->cell_bytes);
    if (__atomic_load_n(cell, __ATOMIC_ACQUIRE) != lap + 1)
        return false;
    uint32_t attention = __atomic_load_n(&ring->attention, __ATOMIC_ACQUIRE);
    if (attention & (WEFT_RING_BIASED | WEFT_RING_CLOSED | WEFT_RING_RECEIVERS) ||
        !__atomic_compare_exchange_n(&ring->head, &p, p + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    *value = cell[1];
    __atomic_store_n(cell, lap + ring->cells, __ATOMIC_RELEASE);
    if (attention & WEFT_RING_FENCE)
        __sync_synchronize();
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&ring->attention, __ATOMIC_ACQUIRE) & WEFT_RING_SENDERS)
        weft_chan_received(chan, p);
    return true;
}

/* ---- what can be done at once ------------------------------------------------------------------------------------ */

TEST(select_refuses_what_is_no_select)
{
    static struct weft_case cases[WEFT_SELECT_MAX_CASES + 1];
    weft_chan_t chan = chan_new(1);
    struct weft_op ops[2];
    cases[0] = receiving(chan);
    CHECK_EQ(weft_select(NULL, 1, WEFT_SELECT_FIFO, 0), -EINVAL);
    CHECK_EQ(weft_select(cases, 0, WEFT_SELECT_FIFO, 0), -EINVAL);
    CHECK_EQ(weft_select(cases, WEFT_SELECT_MAX_CASES + 1, WEFT_SELECT_FIFO, 0), -EINVAL);
    CHECK_EQ(weft_try_select(cases, 1, WEFT_SELECT_RANDOM + 1), -EINVAL);
    CHECK_EQ(weft_select_start(cases, 1, WEFT_SELECT_FIFO, NULL, 0), -EINVAL);
    CHECK_EQ(weft_select_start(cases, 1, WEFT_SELECT_FIFO, (struct weft_op *)((char *)ops + 8), 0), -EINVAL);
    CHECK_EQ(cases[0].result, 77);
    cases[0].op = 3;
    CHECK_EQ(weft_select(cases, 1, WEFT_SELECT_FIFO, 0), -EINVAL);
    CHECK_EQ(cases[0].result, -EINVAL);
    chan_end(chan);
}

CONTRACT(one_ready_case_among_others_fires_and_the_others_do_not)
{
    for (int f = 0; f < form_count; f++) {
        const struct form *form = &forms[f];
        struct weft_case cases[4];
        for (uint32_t order = 0; form->capacity && order <= WEFT_SELECT_RANDOM; order++) {
            for (int i = 0; i < 4; i++)
                cases[i] = receiving(chan_of_form(form));
            CHECK_EQ(weft_try_select(cases, 4, order), -EAGAIN);
            for (int ready = 3; ready >= 0; ready--) {
                REQUIRE_EQ(give(form, cases[ready].chan, 40 + (uint64_t)ready), 0);
                REQUIRE_EQ(weft_select(cases, 4, order, WEFT_FOREVER), ready);
                CHECK_EQ(cases[ready].result, 0);
                CHECK_EQ(complete(form, &cases[ready], 0), 40 + ready);
                CHECK_EQ(weft_try_select(cases, 4, order), -EAGAIN);
            }
            for (int i = 0; i < 4; i++) {
                for (uint32_t n = 0; n < form->capacity; n++)
                    REQUIRE_EQ(give(form, cases[i].chan, 1), 0);
                cases[i] = sending(cases[i].chan, 60 + (uint64_t)i);
            }
            CHECK_EQ(weft_try_select(cases, 4, order), -EAGAIN);
            for (int ready = 0; ready < 4; ready++) {
                uint64_t value;
                REQUIRE_EQ(take(form, cases[ready].chan, &value), 0);
                REQUIRE_EQ(weft_select(cases, 4, order, 0), ready);
                CHECK_EQ(cases[ready].result, 0);
                complete(form, &cases[ready], 60 + (uint64_t)ready);
                CHECK_EQ(weft_try_select(cases, 4, order), -EAGAIN);
            }
            for (int i = 0; i < 4; i++) {
                uint64_t value = 0;
                for (uint32_t n = 0; n < form->capacity; n++)
                    REQUIRE_EQ(take(form, cases[i].chan, &value), 0);
                CHECK_EQ(value, 60 + i);
                chan_end(cases[i].chan);
            }
        }
    }
}

CONTRACT(a_case_that_is_skipped_never_fires)
{
    weft_chan_t chan = chan_new(1);
    chan_give(chan, 5);
    struct weft_case cases[] = {receiving(chan), {.op = WEFT_SELECT_SKIP}, {.chan = {12345}}};
    CHECK_EQ(weft_try_select(cases + 1, 2, WEFT_SELECT_PRIORITY), -EAGAIN);
    CHECK_EQ(weft_select(cases + 1, 2, WEFT_SELECT_RANDOM, scene_in_ms(2)), -ETIMEDOUT);
    for (uint32_t order = 0; order <= WEFT_SELECT_RANDOM; order++) {
        CHECK_EQ(weft_select(cases, 3, order, WEFT_FOREVER), 0);
        chan_give(chan, 6);
    }
    chan_end(chan);
}

CONTRACT(a_bad_channel_is_told_of_its_case)
{
    weft_chan_t chan = chan_new(1), gone = chan_new(1);
    chan_end(gone);
    for (uint32_t order = 0; order <= WEFT_SELECT_RANDOM; order++) {
        struct weft_case cases[] = {receiving(chan), receiving(gone), receiving(chan)};
        CHECK_EQ(weft_select(cases, 3, order, WEFT_FOREVER), -EBADF);
        CHECK_EQ(cases[0].result, 0);
        CHECK_EQ(cases[1].result, -EBADF);
        CHECK_EQ(cases[2].result, 0);
    }
    CHECK(nobody_waits(chan));
    chan_end(chan);
}

static void bind_both(void *arg)
{
    weft_chan_t chan = *(weft_chan_t *)arg;
    chan_give(chan, 3);
    CHECK_EQ(chan_take(chan), 3);
}

CONTRACT(a_single_end_of_somebody_else_is_refused)
{
    weft_chan_t chan = chan_of_form(&(struct form){.capacity = 2, .single = both});
    scene_join(scene_spawn(scene, bind_both, &chan));
    struct weft_case cases[] = {receiving(chan), sending(chan, 1)};
    CHECK_EQ(weft_select(cases, 2, WEFT_SELECT_PRIORITY, WEFT_FOREVER), -EUSERS);
    CHECK_EQ(cases[0].result, -EUSERS);
    CHECK_EQ(weft_try_select(cases + 1, 1, WEFT_SELECT_FIFO), -EUSERS);
    CHECK_EQ(cases[1].result, -EUSERS);
    chan_end(chan);
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

CONTRACT(fifo_gives_each_ready_case_its_turn)
{
    for (int f = 0; f < form_count; f++) {
        const struct form *form = &forms[f];
        struct weft_case cases[5];
        if (!form->capacity)
            continue;
        for (int i = 0; i < 5; i++) {
            cases[i] = receiving(chan_of_form(form));
            if (i != 2)
                REQUIRE_EQ(give(form, cases[i].chan, 1), 0);
        }
        int last = weft_select(cases, 5, WEFT_SELECT_FIFO, WEFT_FOREVER);
        for (int n = 0; n < 100; n++) {
            complete(form, &cases[last], 0);
            REQUIRE_EQ(give(form, cases[last].chan, 1), 0);
            int now = weft_select(cases, 5, WEFT_SELECT_FIFO, WEFT_FOREVER);
            CHECK_EQ(now, (last + 1) % 5 == 2 ? 3 : (last + 1) % 5);
            last = now;
        }
        complete(form, &cases[last], 0);
        for (int i = 0; i < 5; i++)
            chan_end(cases[i].chan);
    }
}

static void expect_fair(uint32_t order, bool fresh)
{
    enum { n = 4 };
    struct weft_case cases[n];
    long counts[n] = {0}, rounds = check_scale(4000);
    weft_chan_t chans[n];
    for (int i = 0; i < n; i++)
        chan_give(chans[i] = chan_new(1), 1);
    for (long round = 0; round < rounds; round++) {
        if (fresh || !round)
            for (int i = 0; i < n; i++)
                cases[i] = receiving(chans[i]);
        int i = weft_select(cases, n, order, WEFT_FOREVER);
        REQUIRE(i >= 0 && i < n);
        counts[i]++;
        chan_give(chans[i], 1);
    }
    for (int i = 0; i < n; i++) {
        CHECK(counts[i] > rounds / 10);
        CHECK(counts[i] < rounds / 2);
        chan_end(chans[i]);
    }
}

CONTRACT(every_ready_case_fires_in_more_than_a_tenth_of_all_rounds)
{
    expect_fair(WEFT_SELECT_FIFO, false);
    expect_fair(WEFT_SELECT_FIFO, true);
    expect_fair(WEFT_SELECT_RANDOM, false);
    expect_fair(WEFT_SELECT_RANDOM, true);
}

CONTRACT(random_is_even_also_where_some_are_not_ready)
{
    enum { n = 12 };
    struct weft_case cases[n];
    long counts[n] = {0}, rounds = check_scale(9000), ready = 0;
    for (int i = 0; i < n; i++) {
        cases[i] = receiving(chan_new(1));
        if (i < 2 || i == 11) /* neighbours, and one far away */
            chan_give(cases[i].chan, 1), ready++;
    }
    for (long round = 0; round < rounds; round++) {
        int i = weft_select(cases, n, WEFT_SELECT_RANDOM, WEFT_FOREVER);
        REQUIRE(i >= 0 && i < n);
        counts[i]++;
        chan_give(cases[i].chan, 1);
    }
    for (int i = 0; i < n; i++) {
        if (i < 2 || i == 11)
            CHECK(counts[i] > rounds / 4 && counts[i] < rounds * 5 / 12);
        else
            CHECK_EQ(counts[i], 0);
        chan_end(cases[i].chan);
    }
}

CONTRACT(priority_is_by_position)
{
    for (int f = 0; f < form_count; f++) {
        const struct form *form = &forms[f];
        struct weft_case cases[4];
        if (!form->capacity)
            continue;
        for (int i = 0; i < 4; i++)
            cases[i] = receiving(chan_of_form(form));
        for (int first = 3; first >= 0; first--) {
            for (int i = first; i < 4; i++)
                REQUIRE_EQ(give(form, cases[i].chan, (uint64_t)i), 0);
            for (int i = first; i < 4; i++) {
                CHECK_EQ(weft_select(cases, 4, WEFT_SELECT_PRIORITY, WEFT_FOREVER), i);
                complete(form, &cases[i], 0);
            }
            CHECK_EQ(weft_try_select(cases, 4, WEFT_SELECT_PRIORITY), -EAGAIN);
        }
        for (int i = 0; i < 4; i++)
            chan_end(cases[i].chan);
    }
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

struct part {
    struct weft_case cases[4];
    uint32_t count, order;
    int64_t deadline;
    int fired;
    _Atomic uint64_t lwt;
};

static void do_select(void *arg)
{
    struct part *part = arg;
    atomic_store(&part->lwt, weft_lwt_current().id);
    part->fired = weft_select(part->cases, part->count, part->order, part->deadline ? part->deadline : WEFT_FOREVER);
}

CONTRACT(a_select_waits_until_a_message_comes)
{
    for (int f = 0; f < form_count; f++) {
        for (int which = 0; which < 3; which++) {
            const struct form *form = &forms[f];
            struct part part = {.count = 3, .order = (uint32_t)(f + which) % 3};
            for (int i = 0; i < 3; i++)
                part.cases[i] = receiving(chan_of_form(form));
            struct actor *actor = scene_spawn(scene, do_select, &part);
            for (int i = 0; i < 3; i++)
                SCENE_AWAIT(chan_info(part.cases[i].chan).receiving == 1);
            REQUIRE_EQ(give(form, part.cases[which].chan, 9), 0);
            scene_join(actor);
            REQUIRE_EQ(part.fired, which);
            CHECK_EQ(part.cases[which].result, 0);
            CHECK_EQ(complete(form, &part.cases[which], 0), 9);
            for (int i = 0; i < 3; i++) {
                CHECK(nobody_waits(part.cases[i].chan));
                chan_end(part.cases[i].chan);
            }
        }
    }
}

CONTRACT(a_select_waits_until_there_is_room_or_a_receiver)
{
    for (int f = 0; f < form_count; f++) {
        for (int which = 0; which < 3; which++) {
            const struct form *form = &forms[f];
            uint64_t value;
            struct part part = {.count = 3, .order = (uint32_t)(f + which) % 3};
            if (form->single & WEFT_CHAN_SENDER)
                continue; /* the one who fills it is not the one who selects */
            for (int i = 0; i < 3; i++) {
                part.cases[i] = sending(chan_of_form(form), 80 + (uint64_t)i);
                for (uint32_t n = 0; n < form->capacity; n++)
                    REQUIRE_EQ(give(form, part.cases[i].chan, 1), 0);
            }
            struct actor *actor = scene_spawn(scene, do_select, &part);
            for (int i = 0; i < 3; i++)
                SCENE_AWAIT(chan_info(part.cases[i].chan).sending == 1);
            REQUIRE_EQ(take(form, part.cases[which].chan, &value), 0);
            scene_join(actor);
            REQUIRE_EQ(part.fired, which);
            CHECK_EQ(part.cases[which].result, 0);
            complete(form, &part.cases[which], 80 + (uint64_t)which);
            for (uint32_t n = 0; n < form->capacity; n++)
                REQUIRE_EQ(take(form, part.cases[which].chan, &value), 0);
            CHECK_EQ(value, 80 + which);
            for (int i = 0; i < 3; i++) {
                CHECK(nobody_waits(part.cases[i].chan));
                chan_end(part.cases[i].chan);
            }
        }
    }
}

CONTRACT(a_deadline_ends_a_select_after_it_has_passed_and_leaves_nothing)
{
    for (int f = 0; f < form_count; f++) {
        struct weft_case cases[3];
        for (int i = 0; i < 3; i++)
            cases[i] = receiving(chan_of_form(&forms[f]));
        int64_t deadline = scene_in_ms(3);
        CHECK_EQ(weft_select(cases, 3, (uint32_t)f % 3, deadline), -ETIMEDOUT);
        CHECK(check_now_ns() >= deadline);
        CHECK_EQ(weft_select(cases, 3, (uint32_t)f % 3, 0), -ETIMEDOUT);
        CHECK_EQ(weft_select(cases, 3, (uint32_t)f % 3, INT64_MIN), -ETIMEDOUT);
        for (int i = 0; i < 3; i++) {
            CHECK(nobody_waits(cases[i].chan));
            chan_end(cases[i].chan);
        }
    }
}

CONTRACT(an_interrupt_ends_a_select_and_nothing_was_done)
{
    weft_chan_t a = chan_new(0), b = chan_new(2);
    struct part part = {.cases = {sending(a, 1), receiving(b)}, .count = 2};
    struct actor *actor = scene_spawn(scene, do_select, &part);
    SCENE_AWAIT(chan_info(b).receiving == 1 && chan_info(a).sending == 1);
    uint64_t id = atomic_load(&part.lwt), value;
    if (id) {
        CHECK_EQ(weft_lwt_interrupt(lwt_of(id)), 0);
        scene_join(actor);
        CHECK_EQ(part.fired, -EINTR);
        CHECK_EQ(weft_chan_try_recv(a, &value), -EAGAIN);
    } else { /* a plain thread cannot be interrupted */
        CHECK_EQ(chan_take(a), 1);
        scene_join(actor);
        CHECK_EQ(part.fired, 0);
    }
    CHECK(nobody_waits(a) && nobody_waits(b));
    chan_end(a);
    chan_end(b);
}

CONTRACT(what_comes_after_one_case_has_fired_is_not_for_the_others)
{
    for (int f = 0; f < 4; f++) {
        weft_chan_t a = chan_of_form(&forms[f]), b = chan_of_form(&forms[f]);
        struct part part = {.cases = {receiving(a), receiving(b)}, .count = 2};
        struct actor *actor = scene_spawn(scene, do_select, &part);
        SCENE_AWAIT(chan_info(a).receiving == 1 && chan_info(b).receiving == 1);
        chan_give(a, 1);
        /* whether or not the select has got round to withdrawing its other case */
        if (forms[f].capacity) {
            CHECK_EQ(weft_chan_try_send(b, 2), 0);
            CHECK_EQ(chan_take(b), 2);
        } else {
            CHECK_EQ(weft_chan_try_send(b, 2), -EAGAIN);
        }
        scene_join(actor);
        CHECK_EQ(part.fired, 0);
        CHECK_EQ(part.cases[0].value, 1);
        chan_end(a);
        chan_end(b);
    }
}

CONTRACT(select_waits_behind_those_who_came_before_and_before_those_who_come_after)
{
    weft_chan_t a = chan_new(0), b = chan_new(0);
    struct part parts[3];
    struct actor *actors[3];
    for (unsigned i = 0; i < 3; i++) {
        parts[i] = (struct part){.cases = {receiving(b), receiving(a)}, .count = i == 1 ? 2 : 1};
        parts[i].cases[0].chan = i == 1 ? b : a;
        actors[i] = scene_spawn(scene, do_select, &parts[i]);
        SCENE_AWAIT(chan_info(a).receiving == i + 1);
    }
    for (unsigned i = 0; i < 3; i++)
        chan_give(a, i);
    for (unsigned i = 0; i < 3; i++) {
        scene_join(actors[i]);
        CHECK_EQ(parts[i].fired, i == 1);
        CHECK_EQ(parts[i].cases[i == 1].value, i);
    }
    chan_end(a);
    chan_end(b);
}

/* ---- the same channel twice; itself ------------------------------------------------------------------------------ */

CONTRACT(a_select_does_not_meet_itself)
{
    weft_chan_t chan = chan_new(0);
    struct part part = {.cases = {sending(chan, 5), receiving(chan), sending(chan, 6), receiving(chan)}, .count = 4};
    CHECK_EQ(weft_try_select(part.cases, 4, WEFT_SELECT_FIFO), -EAGAIN);
    CHECK_EQ(weft_try_select(part.cases, 4, WEFT_SELECT_PRIORITY), -EAGAIN);
    CHECK_EQ(weft_select(part.cases, 4, WEFT_SELECT_RANDOM, scene_in_ms(2)), -ETIMEDOUT);
    CHECK(nobody_waits(chan));
    struct actor *actor = scene_spawn(scene, do_select, &part);
    SCENE_AWAIT(chan_info(chan).receiving == 2 && chan_info(chan).sending == 2);
    CHECK_EQ(chan_take(chan), 5);
    scene_join(actor);
    CHECK_EQ(part.fired, 0);
    CHECK(nobody_waits(chan));
    actor = scene_spawn(scene, do_select, &part);
    SCENE_AWAIT(chan_info(chan).receiving == 2 && chan_info(chan).sending == 2);
    chan_give(chan, 7);
    scene_join(actor);
    CHECK_EQ(part.fired, 1);
    CHECK_EQ(part.cases[1].value, 7);
    CHECK(nobody_waits(chan));
    chan_end(chan);
}

CONTRACT(two_selects_at_both_ends_of_one_channel_meet_each_other)
{
    weft_chan_t chan = chan_new(0);
    struct part part = {.cases = {sending(chan, 5), receiving(chan)}, .count = 2};
    struct weft_case mine[] = {receiving(chan), sending(chan, 6)};
    for (uint32_t order = 0; order <= WEFT_SELECT_RANDOM; order++) {
        part.order = order;
        part.cases[0].value = 5;
        struct actor *actor = scene_spawn(scene, do_select, &part);
        int fired = weft_select(mine, 2, order, WEFT_FOREVER);
        scene_join(actor);
        CHECK_EQ(part.fired, fired);
        CHECK_EQ(fired ? part.cases[1].value : mine[0].value, fired ? 6 : 5);
        CHECK(nobody_waits(chan));
    }
    chan_end(chan);
}

CONTRACT(one_channel_in_several_cases_gives_each_message_to_one)
{
    for (int f = 0; f < form_count; f++) {
        const struct form *form = &forms[f];
        struct part part = {.count = 3};
        weft_chan_t chan = chan_of_form(form);
        for (int i = 0; i < 3; i++)
            part.cases[i] = receiving(chan);
        struct actor *actor = scene_spawn(scene, do_select, &part);
        SCENE_AWAIT(chan_info(chan).receiving == 3);
        REQUIRE_EQ(give(form, chan, 4), 0);
        scene_join(actor);
        CHECK(part.fired >= 0 && part.fired < 3);
        CHECK_EQ(complete(form, &part.cases[part.fired], 0), 4);
        CHECK_EQ(chan_info(chan).length, 0);
        CHECK(nobody_waits(chan));
        chan_end(chan);
    }
}

/* ---- closing ----------------------------------------------------------------------------------------------------- */

CONTRACT(the_case_of_a_closed_channel_fires_with_epipe)
{
    for (int f = 0; f < form_count; f++) {
        weft_chan_t open = chan_new(0), chan = chan_of_form(&forms[f]);
        struct weft_case cases[] = {receiving(open), receiving(chan)};
        if (forms[f].capacity)
            REQUIRE_EQ(give(&forms[f], chan, 3), 0);
        CHECK_EQ(weft_chan_close(chan), 0);
        if (forms[f].capacity) {
            CHECK_EQ(weft_select(cases, 2, WEFT_SELECT_FIFO, WEFT_FOREVER), 1);
            CHECK_EQ(cases[1].result, 0);
            CHECK_EQ(complete(&forms[f], &cases[1], 0), 3);
        }
        for (uint32_t order = 0; order <= WEFT_SELECT_RANDOM; order++) {
            cases[1] = receiving(chan);
            CHECK_EQ(weft_select(cases, 2, order, WEFT_FOREVER), 1);
            CHECK_EQ(cases[1].result, -EPIPE);
            cases[1] = sending(chan, 5);
            CHECK_EQ(weft_try_select(cases, 2, order), 1);
            CHECK_EQ(cases[1].result, -EPIPE);
        }
        chan_end(open);
        chan_end(chan);
    }
}

CONTRACT(close_and_the_last_release_wake_a_select)
{
    for (int f = 0; f < form_count; f++) {
        for (int how = 0; how < 4; how++) {
            const struct form *form = &forms[f];
            weft_chan_t open = chan_new(0), chan = chan_of_form(form);
            struct part part = {.cases = {receiving(open), how & 1 ? sending(chan, 1) : receiving(chan)}, .count = 2};
            if (how & 1 && (form->single & WEFT_CHAN_SENDER)) {
                chan_end(open);
                chan_end(chan);
                continue;
            }
            for (uint32_t n = 0; how & 1 && n < form->capacity; n++)
                REQUIRE_EQ(give(form, chan, 1), 0);
            struct actor *actor = scene_spawn(scene, do_select, &part);
            SCENE_AWAIT(chan_info(chan).sending + chan_info(chan).receiving == 1 && chan_info(open).receiving == 1);
            CHECK_EQ(how & 2 ? weft_chan_release(chan, 0) : weft_chan_close(chan), 0);
            scene_join(actor);
            CHECK_EQ(part.fired, 1);
            CHECK_EQ(part.cases[1].result, -EPIPE);
            CHECK(nobody_waits(open));
            if (!(how & 2))
                chan_end(chan);
            chan_end(open);
        }
    }
}

/* ---- one instant ------------------------------------------------------------------------------------------------- */

enum { decoys = 5 };

struct instant {
    struct weft_case cases[decoys + 2]; /* the two channels at the ends, and between them some that are never ready */
    weft_chan_t chans[2];
    struct weft_ring *rings[2]; /* NULL: ends with a lock */
    uint32_t order;
    atomic_int go, looked;
    long rounds;
};

static void look_when_told(void *arg)
{
    struct instant *t = arg;
    for (long round = 1; round <= t->rounds; round++) {
        for (int turn = 1; atomic_load_explicit(&t->go, memory_order_acquire) != round; turn++)
            if (turn % 64 == 0)
                weft_lwt_yield();
        int r = weft_try_select(t->cases, decoys + 2, t->order);
        REQUIRE(r >= 0); /* one of the two was ready all the time */
        REQUIRE_EQ(t->cases[r].result, 0);
        atomic_store_explicit(&t->looked, (int)round, memory_order_release);
    }
}

static void put(struct instant *t, int which)
{
    if (!t->rings[which] || !bare_send(t->rings[which], t->chans[which], 1))
        REQUIRE_EQ(weft_chan_try_send(t->chans[which], 1), 0);
}

static void fetch(struct instant *t, int which)
{
    uint64_t value;
    if (!t->rings[which] || !bare_receive(t->rings[which], t->chans[which], &value))
        weft_chan_try_recv(t->chans[which], &value);
}

CONTRACT(with_one_channel_ready_at_every_moment_the_try_form_fires)
{
    enum { locked, bare, kinds };
    struct check_random random = check_random_from(check_seed());
    for (int kind = 0; kind < 2 * kinds; kind++) {
        static const struct form shared = {.capacity = 1, .flags = WEFT_CHAN_SHARED};
        struct instant t = {.rounds = check_scale(100000) / 4, .order = kind / kinds};
        for (int i = 0; i < decoys + 2; i++)
            t.cases[i] = receiving(chan_of_form(kind == locked && scene->topology == topology_one_kthd ? &forms[2] : &shared));
        for (int i = 0; i < 2; i++) {
            t.chans[i] = t.cases[i ? 0 : decoys + 1].chan;
            t.rings[i] = kind % kinds == bare ? weft_chan_ring(t.chans[i]) : NULL;
        }
        struct actor *actor = scene_spawn(scene, look_when_told, &t);
        for (long round = 1; round <= t.rounds; round++) {
            put(&t, 0);
            atomic_store_explicit(&t.go, (int)round, memory_order_release);
            for (volatile uint32_t spin = check_random_below(&random, 1u << round % 11); spin; spin--)
                ;
            put(&t, 1); /* from here on the second is ready: the first need not be any more */
            fetch(&t, 0);
            SCENE_AWAIT(atomic_load_explicit(&t.looked, memory_order_acquire) == round);
            fetch(&t, 0);
            fetch(&t, 1);
        }
        scene_join(actor);
        for (int i = 0; i < 2; i++)
            if (t.rings[i])
                weft_ring_release(t.rings[i]);
        for (int i = 0; i < decoys + 2; i++)
            chan_end(t.cases[i].chan);
    }
}

/* ---- storms ------------------------------------------------------------------------------------------------------ */

struct storm {
    weft_chan_t *chans;
    int chan_count;
    long rounds;
    bool under_deadlines;
    uint64_t seed, sent, received, sent_sum, received_sum;
    uint64_t per_chan[4];  /* of what was sent less what was received, modulo 2^64 */
    atomic_int *running;
};

static void account(struct storm *storm, const struct weft_case *cases, int r)
{
    int chan = 0;
    while (storm->chans[chan].id != cases[r].chan.id)
        chan++;
    REQUIRE_EQ(cases[r].result, 0);
    if (cases[r].op == WEFT_SELECT_SEND) {
        storm->sent++;
        storm->sent_sum += cases[r].value;
        storm->per_chan[chan] += cases[r].value;
    } else {
        storm->received++;
        storm->received_sum += cases[r].value;
        storm->per_chan[chan] -= cases[r].value;
    }
}

/* Any cases in any order, both ends of all channels: selects meet selects. */
static void select_anything(void *arg)
{
    struct storm *storm = arg;
    struct check_random random = check_random_from(storm->seed);
    for (long round = 0; round < storm->rounds; round++) {
        struct weft_case cases[12];
        uint32_t count = 1 + check_random_below(&random, 6);
        for (uint32_t i = 0; i < count; i++) {
            weft_chan_t chan = storm->chans[check_random_below(&random, (uint32_t)storm->chan_count)];
            cases[i] = check_random_below(&random, 2) ? sending(chan, check_random_below(&random, 1000)) : receiving(chan);
        }
        uint32_t order = check_random_below(&random, 3);
        int r = check_random_below(&random, 4) == 0
                    ? weft_try_select(cases, count, order)
                    : weft_select(cases, count, order, check_now_ns() + check_random_below(&random, 30000));
        if (r >= 0)
            account(storm, cases, r);
        else
            REQUIRE(r == -ETIMEDOUT || r == -EAGAIN);
        if (round % 16 == 0)
            weft_lwt_yield();
    }
    atomic_fetch_sub(storm->running, 1);
}

/* Plain sends and receives, beside the selects. */
static void operate_plainly(void *arg)
{
    struct storm *storm = arg;
    struct check_random random = check_random_from(storm->seed);
    for (long round = 0; round < storm->rounds; round++) {
        weft_chan_t chan = storm->chans[check_random_below(&random, (uint32_t)storm->chan_count)];
        struct weft_case c = check_random_below(&random, 2) ? sending(chan, check_random_below(&random, 1000)) : receiving(chan);
        int64_t deadline = check_now_ns() + check_random_below(&random, 30000);
        c.result = c.op == WEFT_SELECT_SEND ? weft_chan_send_until(chan, c.value, deadline)
                                            : weft_chan_recv_until(chan, &c.value, deadline);
        if (!c.result)
            account(storm, &c, 0);
        else
            REQUIRE_EQ(c.result, -ETIMEDOUT);
    }
    atomic_fetch_sub(storm->running, 1);
}

CONTRACT(selects_that_meet_selects_pass_every_word_once)
{
    static const struct form kinds[] = {{.capacity = 0}, {.capacity = 1}, {.capacity = 2, .flags = WEFT_CHAN_SHARED}};
    uint64_t seed = check_seed();
    for (int kind = 0; kind < 4; kind++) {
        enum { actors = 6 };
        struct storm storms[actors];
        struct actor *actor[actors];
        weft_chan_t chans[4];
        uint64_t sent = 0, received = 0, per_chan[4] = {0}, value;
        atomic_int running = actors;
        for (int i = 0; i < 4; i++)
            chans[i] = chan_of_form(&kinds[kind < 3 ? kind : i % 3]);
        for (int i = 0; i < actors; i++) {
            storms[i] = (struct storm){.chans = chans,
                                       .chan_count = kind < 3 ? 3 : 4,
                                       .rounds = check_scale(1500),
                                       .seed = seed + (uint64_t)(kind * actors + i),
                                       .running = &running};
            actor[i] = scene_spawn(scene, i % 3 == 2 ? operate_plainly : select_anything, &storms[i]);
        }
        for (int i = 0; i < actors; i++) {
            scene_join(actor[i]);
            sent += storms[i].sent;
            received += storms[i].received;
            for (int c = 0; c < 4; c++)
                per_chan[c] += storms[i].per_chan[c];
        }
        for (int c = 0; c < 4; c++) {
            while (weft_chan_try_recv(chans[c], &value) == 0) {
                received++;
                per_chan[c] -= value;
            }
            CHECK_EQ(per_chan[c], 0);
            CHECK(nobody_waits(chans[c]));
            chan_end(chans[c]);
        }
        CHECK_EQ(sent, received);
        CHECK(sent > 0);
    }
}

struct exchange {
    weft_chan_t a, b;
    bool turned;
    long rounds, on_a, on_b;
};

static void exchange_words(void *arg)
{
    struct exchange *x = arg;
    for (long round = 0; round < x->rounds; round++) {
        struct weft_case cases[2] = {x->turned ? receiving(x->a) : sending(x->a, 1),
                                     x->turned ? sending(x->b, 2) : receiving(x->b)};
        int r = weft_select(cases, 2, (uint32_t)round % 3, WEFT_FOREVER);
        REQUIRE(r >= 0);
        x->on_a += r == 0;
        x->on_b += r == 1;
        if (cases[r].op == WEFT_SELECT_RECEIVE)
            REQUIRE_EQ(cases[r].value, r == 0 ? 1 : 2);
    }
}

CONTRACT(two_selects_with_nobody_else_always_find_each_other)
{
    /* whoever loses a wake-up here waits for ever */
    struct exchange x[2];
    struct actor *actor[2];
    weft_chan_t a = chan_new(0), b = chan_new(0);
    for (int i = 0; i < 2; i++) {
        x[i] = (struct exchange){.a = a, .b = b, .turned = i, .rounds = check_scale(20000)};
        actor[i] = scene_spawn(scene, exchange_words, &x[i]);
    }
    for (int i = 0; i < 2; i++)
        scene_join(actor[i]);
    CHECK_EQ(x[0].on_a, x[1].on_a);
    CHECK_EQ(x[0].on_b, x[1].on_b);
    chan_end(a);
    chan_end(b);
}

struct ring_of_three {
    weft_chan_t from, to;
    long rounds, sent, received;
};

static void turn_round(void *arg)
{
    struct ring_of_three *x = arg;
    while (x->sent < x->rounds || x->received < x->rounds) {
        struct weft_case cases[2] = {receiving(x->from), sending(x->to, 1)};
        if (x->received == x->rounds)
            cases[0].op = WEFT_SELECT_SKIP;
        if (x->sent == x->rounds)
            cases[1].op = WEFT_SELECT_SKIP;
        int r = weft_select(cases, 2, WEFT_SELECT_FIFO, WEFT_FOREVER);
        REQUIRE(r >= 0);
        x->received += r == 0;
        x->sent += r == 1;
    }
}

CONTRACT(three_selects_in_a_circle_do_not_stop_each_other)
{
    for (int f = 0; f < 5; f++) {
        struct ring_of_three x[3];
        struct actor *actor[3];
        weft_chan_t chans[3];
        for (int i = 0; i < 3; i++)
            chans[i] = chan_of_form(&forms[f]);
        for (int i = 0; i < 3; i++) {
            x[i] = (struct ring_of_three){.from = chans[i], .to = chans[(i + 1) % 3], .rounds = check_scale(4000)};
            actor[i] = scene_spawn(scene, turn_round, &x[i]);
        }
        for (int i = 0; i < 3; i++)
            scene_join(actor[i]);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(chan_info(chans[i]).length, 0);
            CHECK(nobody_waits(chans[i]));
            chan_end(chans[i]);
        }
    }
}

struct bare {
    weft_chan_t chan;
    struct weft_ring *ring;
    long rounds;
    uint64_t sum;
};

static void send_barely(void *arg)
{
    struct bare *b = arg;
    for (long i = 1; i <= b->rounds; i++)
        if (!bare_send(b->ring, b->chan, (uint64_t)i))
            REQUIRE_EQ(weft_chan_send(b->chan, (uint64_t)i), 0);
}

static void receive_barely(void *arg)
{
    struct bare *b = arg;
    for (long i = 1; i <= b->rounds; i++) {
        uint64_t value;
        if (!bare_receive(b->ring, b->chan, &value))
            REQUIRE_EQ(weft_chan_recv(b->chan, &value), 0);
        b->sum += value;
    }
}

CONTRACT(a_select_and_ends_without_lock_lose_no_message_and_no_wake_up)
{
    /* two streams in, one out, the select in the middle */
    for (uint32_t capacity = 1; capacity <= 4; capacity += 3) {
        struct bare ends[3];
        struct actor *actor[3];
        long rounds = check_scale(10000);
        uint64_t queue[64], sum = 0;
        uint32_t head = 0, tail = 0;
        for (int i = 0; i < 3; i++) {
            weft_chan_t chan = chan_of_form(&(struct form){.capacity = capacity, .flags = WEFT_CHAN_SHARED});
            ends[i] = (struct bare){chan, weft_chan_ring(chan), i < 2 ? rounds : 2 * rounds, 0};
            actor[i] = scene_spawn(scene, i < 2 ? send_barely : receive_barely, &ends[i]);
        }
        struct weft_case cases[3] = {receiving(ends[0].chan), receiving(ends[1].chan), sending(ends[2].chan, 0)};
        for (long in = 0, out = 0; out < 2 * rounds;) {
            cases[0].op = cases[1].op = tail - head < 64 && in < 2 * rounds ? WEFT_SELECT_RECEIVE : WEFT_SELECT_SKIP;
            cases[2].op = tail != head ? WEFT_SELECT_SEND : WEFT_SELECT_SKIP;
            cases[2].value = queue[head % 64];
            int r = weft_select(cases, 3, (uint32_t)(out % 3), WEFT_FOREVER);
            REQUIRE_EQ(r < 0 ? r : cases[r].result, 0);
            if (r == 2) {
                out++;
                head++;
            } else if (r >= 0) {
                in++;
                sum += queue[tail++ % 64] = cases[r].value;
            }
        }
        for (int i = 0; i < 3; i++)
            scene_join(actor[i]);
        CHECK_EQ(sum, (uint64_t)rounds * ((uint64_t)rounds + 1));
        CHECK_EQ(ends[2].sum, sum);
        for (int i = 0; i < 3; i++) {
            weft_ring_release(ends[i].ring);
            chan_end(ends[i].chan);
        }
    }
}

static void receive_until_closed(void *arg)
{
    struct bare *b = arg;
    uint64_t value;
    int r;
    while ((r = weft_chan_recv(b->chan, &value)) == 0)
        b->sum += value;
    REQUIRE_EQ(r, -EPIPE);
}

CONTRACT(those_who_wait_behind_a_select_are_served_when_it_goes_away)
{
    /* plain receivers of a ring rely on the attention that a select has set, which comes and goes all the time */
    struct bare sender, receiver;
    weft_chan_t chan = chan_of_form(&(struct form){.capacity = 4, .flags = WEFT_CHAN_SHARED}), other = chan_new(0);
    long rounds = check_scale(10000);
    uint64_t sum = 0;
    sender = (struct bare){chan, weft_chan_ring(chan), rounds, 0};
    receiver = (struct bare){chan, NULL, 0, 0};
    struct actor *actors[2] = {scene_spawn(scene, receive_until_closed, &receiver), scene_spawn(scene, send_barely, &sender)};
    struct weft_case cases[2] = {receiving(chan), receiving(other)};
    for (long i = 0; i < rounds / 4; i++)
        if (weft_select(cases, 2, WEFT_SELECT_FIFO, check_now_ns() + i % 50 * 1000) == 0)
            sum += cases[0].value;
    scene_join(actors[1]);
    CHECK_EQ(weft_chan_close(chan), 0);
    scene_join(actors[0]);
    CHECK_EQ(sum + receiver.sum, (uint64_t)rounds * ((uint64_t)rounds + 1) / 2);
    weft_ring_release(sender.ring);
    chan_end(chan);
    chan_end(other);
}

/* ---- many cases -------------------------------------------------------------------------------------------------- */

CONTRACT(a_select_may_have_1024_cases)
{
    static const uint32_t counts[] = {9, 100, WEFT_SELECT_MAX_CASES};
    for (int c = 0; c < 3; c++) {
        struct weft_case *cases = calloc(counts[c], sizeof *cases);
        for (uint32_t i = 0; i < counts[c]; i++) /* not in the order of their addresses */
            cases[i * 7 % counts[c]] = receiving(chan_new(i % 3));
        for (uint32_t order = 0; order <= WEFT_SELECT_RANDOM; order++) {
            uint32_t which = counts[c] * 2 / 3;
            CHECK_EQ(weft_try_select(cases, counts[c], order), -EAGAIN);
            CHECK_EQ(weft_select(cases, counts[c], order, scene_in_ms(1)), -ETIMEDOUT);
            struct part part = {.cases = {sending(cases[which].chan, 1)}, .count = 1};
            struct actor *actor = scene_spawn(scene, do_select, &part);
            CHECK_EQ(weft_select(cases, counts[c], order, WEFT_FOREVER), which);
            CHECK_EQ(cases[which].value, 1);
            scene_join(actor);
        }
        for (uint32_t i = 0; i < counts[c]; i++) {
            CHECK(nobody_waits(cases[i].chan));
            chan_end(cases[i].chan);
        }
        free(cases);
    }
}

TEST(a_large_select_without_memory_is_enomem_and_a_small_one_needs_none)
{
    struct weft_case cases[9];
    for (int i = 0; i < 9; i++)
        cases[i] = receiving(chan_new(1));
    sys_fault_arm(SYS_KIND_ALLOC, 1, 1, -ENOMEM);
    CHECK_EQ(weft_select(cases, 8, WEFT_SELECT_FIFO, scene_in_ms(1)), -ETIMEDOUT);
    CHECK_EQ(weft_select(cases, 9, WEFT_SELECT_FIFO, scene_in_ms(1)), -ENOMEM);
    sys_fault_arm(SYS_KIND_ALLOC, 0, 0, 0);
    CHECK_EQ(weft_select(cases, 9, WEFT_SELECT_FIFO, scene_in_ms(1)), -ETIMEDOUT);
    for (int i = 0; i < 9; i++)
        chan_end(cases[i].chan);
}

/* ---- groups, bindings, tokens ------------------------------------------------------------------------------------ */

CONTRACT(a_group_hears_of_a_select_that_wants_to_send)
{
    weft_cgrp_t cgrp;
    struct weft_event event;
    weft_chan_t chan = chan_new(0), other = chan_new(0);
    REQUIRE_EQ(weft_cgrp_create(&cgrp), 0);
    REQUIRE_EQ(weft_cgrp_add(cgrp, chan, 5), 0);
    struct part part = {.cases = {sending(chan, 3), receiving(other)}, .count = 2};
    struct actor *actor = scene_spawn(scene, do_select, &part);
    CHECK_EQ(weft_cgrp_wait(cgrp, &event), 0);
    CHECK_EQ(event.mark, 5);
    CHECK_EQ(chan_take(chan), 3);
    scene_join(actor);
    CHECK_EQ(part.fired, 0);
    CHECK_EQ(weft_cgrp_remove(cgrp, chan), 0);
    CHECK_EQ(weft_cgrp_free(cgrp), 0);
    chan_end(chan);
    chan_end(other);
}

CONTRACT(the_form_for_bindings_does_what_the_plain_one_does)
{
    struct weft_self *self = weft_abi_self();
    weft_chan_t chan = chan_new(1);
    struct weft_case cases[] = {receiving(chan), sending(chan, 8)};
    CHECK_EQ(weft_select_as(self, cases, 2, WEFT_SELECT_FIFO, WEFT_FOREVER), 1);
    CHECK_EQ(weft_select_as(self, cases, 2, WEFT_SELECT_FIFO, WEFT_FOREVER), 0);
    CHECK_EQ(cases[0].value, 8);
    CHECK_EQ(weft_select_as(self, cases, 1, WEFT_SELECT_FIFO, INT64_MIN), -EAGAIN);
    CHECK_EQ(weft_select_as(self, cases, 1, WEFT_SELECT_FIFO, scene_in_ms(1)), -ETIMEDOUT);
    chan_end(chan);
}

CONTRACT(a_started_select_is_under_way_until_a_case_completes)
{
    for (int f = 0; f < form_count; f++) {
        const struct form *form = &forms[f];
        weft_chan_t a = chan_of_form(form), b = chan_new(0);
        struct weft_case cases[] = {receiving(b), receiving(a)};
        struct weft_op ops[3];
        uint64_t token, value;
        CHECK_EQ(weft_select_start(cases, 2, (uint32_t)f % 3, ops, 11), -EINPROGRESS);
        CHECK_EQ(weft_op_poll(ops), -EINPROGRESS);
        CHECK_EQ(weft_select_finish(cases, 2, (uint32_t)f % 3, ops), -EINPROGRESS);
        REQUIRE_EQ(give(form, a, 6), 0);
        CHECK_EQ(weft_op_completed(&token, 1, WEFT_FOREVER), 1);
        CHECK_EQ(token, 11);
        CHECK_EQ(weft_select_finish(cases, 2, (uint32_t)f % 3, ops), 1);
        CHECK_EQ(cases[1].result, 0);
        CHECK_EQ(complete(form, &cases[1], 0), 6);
        CHECK(nobody_waits(a) && nobody_waits(b));

        CHECK_EQ(weft_select_start(cases, 2, (uint32_t)f % 3, ops, 12), -EINPROGRESS);
        CHECK_EQ(weft_op_cancel(ops, -EINTR), 0);
        CHECK_EQ(weft_chan_try_recv(b, &value), -EAGAIN);
        CHECK_EQ(weft_chan_try_send(b, 4), -EAGAIN);
        CHECK_EQ(weft_select_finish(cases, 2, (uint32_t)f % 3, ops), -EINTR);
        CHECK(nobody_waits(a) && nobody_waits(b));

        if (scene->topology == topology_plain) { /* an lwt must not sleep so */
            CHECK_EQ(weft_select_start(cases, 2, (uint32_t)f % 3, ops, 0), -EINPROGRESS);
            CHECK_EQ(weft_op_wait(ops, scene_in_ms(1)), -ETIMEDOUT);
            CHECK_EQ(weft_select_finish(cases, 2, (uint32_t)f % 3, ops), -ETIMEDOUT);
            CHECK(nobody_waits(a) && nobody_waits(b));
        }

        CHECK_EQ(weft_chan_close(b), 0);
        CHECK_EQ(weft_select_start(cases, 2, (uint32_t)f % 3, ops, 13), 0);
        CHECK_EQ(cases[0].result, -EPIPE);
        CHECK_EQ(weft_op_completed(&token, 1, 0), -ETIMEDOUT);
        chan_end(a);
        chan_end(b);
    }
}
