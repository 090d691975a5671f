// Messages between reactors: rings, credits, doorbells.
//
// Why four slots a credit are enough. Look at the ring from A to B, and one credit of A towards B. A handled message's
// slot is free before any reply to it is published (msg_publish_to gives slots back first). So when A reuses the
// credit, its request R1 has left the ring; what can still be there is the notice N1 that belonged to R1. Then come
// the request R2 and its notice N2; the next reuse needs the reply to R2, and B takes messages in order, so N1 is gone
// by then. That is three. The fourth is for a reply of A to a request of B: the next reply on that credit needs a new
// request, which B sends after it has taken the last reply, and so freed its slot.

#include "engine/io/reactor_private.h"

// ---- sending -----------------------------------------------------------------------------------------------------

// Gives back the slots of the messages handled so far in the batch that is being taken.
static void taken_give_back(struct reactor *r)
{
    if (!r->taking || r->taken == 0)
        return;
    spsc_consume(r->taking, r->taken);
    r->taken = 0;
}

// Rings the bell of a peer that sleeps. The first producer to see the flag takes it down, so that a sleeper gets one
// doorbell however many producers there are.
static void peer_wake(struct reactor *r, uint32_t to)
{
    struct reactor *peer = r->group->reactors[to];
    if (!sleep_peer_needs_wake(&peer->sleep))
        return;
    if (__atomic_exchange_n(&peer->sleep.sleeping, 0, __ATOMIC_ACQ_REL) == 0)
        return;
    reactor_count(r, METRIC_DOORBELLS, 1);
    io_doorbell(r->io, peer->io);
    r->belled = true;
}

static void msg_publish_to(struct reactor *r, uint32_t to)
{
    struct spsc *out = r->peers[to].out;
    uint32_t n = spsc_staged(out);
    taken_give_back(r);
    if (!spsc_publish(out))
        return;
    reactor_count(r, METRIC_MESSAGES, n);
    if (r->urgent & 1ull << to && to != r->id)
        peer_wake(r, to);
    r->urgent &= ~(1ull << to);
}

void msg_publish(struct reactor *r)
{
    while (r->dirty) {
        uint32_t to = (uint32_t)__builtin_ctzll(r->dirty);
        r->dirty &= r->dirty - 1;
        msg_publish_to(r, to);
    }
}

static struct spsc_msg *msg_stage(struct reactor *r, uint32_t to, uint16_t op)
{
    struct spsc_msg *m;
    SL_ASSERT(to < r->n && MSG_KIND(op) < SVC_COUNT);
    struct spsc *out = r->peers[to].out;
    // Early, so that the peer starts while we go on.
    if (spsc_staged(out) >= out->capacity / 2)
        msg_publish_to(r, to);
    bool ok = spsc_reserve(out, &m);
    SL_ASSERT(ok); // credits make it so
    m->op = op;
    m->flags = 0;
    m->handle = 0;
    r->dirty |= 1ull << to;
    return m;
}

struct spsc_msg *reactor_send(struct reactor *r, uint32_t to, uint16_t op)
{
    struct spsc_msg *m = msg_stage(r, to, op);
    r->urgent |= 1ull << to;
    return m;
}

struct spsc_msg *reactor_send_lazy(struct reactor *r, uint32_t to, uint16_t op)
{
    return msg_stage(r, to, op);
}

struct spsc_msg *reactor_request(struct reactor *r, uint32_t to, uint16_t op, enum service_kind kind)
{
    struct spsc_msg *m = reactor_send(r, to, op);
    m->flags = (uint16_t)kind;
    return m;
}

struct spsc_msg *reactor_reply(struct reactor *r, uint32_t to, uint16_t op, enum service_kind kind)
{
    struct spsc_msg *m = reactor_send(r, to, op);
    m->flags = (uint16_t)(MSG_REPLY | kind);
    return m;
}

// ---- taking ------------------------------------------------------------------------------------------------------

static void msg_dispatch(struct reactor *r, uint32_t from, const struct spsc_msg *m)
{
    uint32_t kind = m->flags & MSG_REPLY ? m->flags & MSG_ASKER : MSG_KIND(m->op);
    struct service *s = kind < SVC_COUNT ? r->svc[kind] : NULL;
    if (sl_unlikely(!s || !s->on_msg))
        sl_panic("reactor %u: message %#x from %u has no service", r->id, m->op, from);
    s->on_msg(s, from, m);
}

// One batch of one ring. The message is copied, because its slot may be given back while it is being handled.
static uint32_t msg_take_batch(struct reactor *r, uint32_t from)
{
    struct spsc_msg *first;
    struct spsc *in = r->peers[from].in;
    uint32_t n = spsc_peek_batch(in, &first, REACTOR_MSG_BATCH);
    if (n == 0)
        return 0;
    r->taking = in;
    r->taken = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct spsc_msg m = first[i];
        r->taken++;
        msg_dispatch(r, from, &m);
    }
    taken_give_back(r);
    r->taking = NULL;
    return n;
}

// At most one ring's worth from each, so that no peer keeps the others waiting.
static bool msg_take_from(struct reactor *r, uint32_t from)
{
    uint64_t left = r->peers[from].in->capacity_c;
    bool did = false;
    for (uint32_t n; left > 0 && (n = msg_take_batch(r, from)) > 0; left -= n) {
        did = true;
        if (n >= left || reactor_turn_spent(r))
            break;
    }
    return did;
}

bool msg_take_all(struct reactor *r)
{
    bool did = false;
    uint32_t from = r->first;
    for (uint32_t i = 0; i < r->n; i++) {
        if (!spsc_empty(r->peers[from].in))
            did |= msg_take_from(r, from);
        from = from + 1 == r->n ? 0 : from + 1;
    }
    r->first = r->first + 1 == r->n ? 0 : r->first + 1;
    return did;
}

bool msg_waiting(struct reactor *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (!spsc_empty(r->peers[i].in))
            return true;
    }
    return false;
}

// ---- credits -----------------------------------------------------------------------------------------------------

bool reactor_credit_take(struct reactor *r, uint32_t to, uint32_t n)
{
    SL_ASSERT(to < r->n && n <= r->group->credits);
    struct peer *p = &r->peers[to];
    if (r->credit_served != to + 1 && !list_empty(&p->waiting))
        return false;
    return credit_reserve(&p->credit, n);
}

void reactor_credit_give(struct reactor *r, uint32_t to, uint32_t n)
{
    SL_ASSERT(to < r->n);
    struct peer *p = &r->peers[to];
    credit_release(&p->credit, n);
    if (sl_unlikely(!list_empty(&p->waiting)))
        r->credit_due |= 1ull << to;
}

void reactor_credit_wait(struct reactor *r, uint32_t to, struct ready *w)
{
    SL_ASSERT(to < r->n && !w->queued);
    struct peer *p = &r->peers[to];
    w->queued = true;
    if (r->credit_served == to + 1) { // served, and refused again: the next credit that comes back is its
        list_push_front(&p->waiting, &w->node);
        return;
    }
    list_push_back(&p->waiting, &w->node);
    if (credit_available(&p->credit) > 0)
        r->credit_due |= 1ull << to;
}

void msg_credit_recheck(struct reactor *r)
{
    for (uint32_t to = 0; to < r->n; to++) {
        if (!list_empty(&r->peers[to].waiting))
            r->credit_due |= 1ull << to;
    }
}

// Serves the waiters of one peer in order while there are credits. One that is refused again, because it needs more
// than there are, stops the queue: it is in front once more, and nobody overtakes it.
static bool credit_serve(struct reactor *r, uint32_t to)
{
    struct peer *p = &r->peers[to];
    bool did = false;
    while (!list_empty(&p->waiting) && credit_available(&p->credit) > 0) {
        if (did && reactor_turn_spent(r)) {
            r->credit_due |= 1ull << to;
            break;
        }
        struct list_node *n = list_pop_front(&p->waiting);
        struct ready *w = list_entry(n, struct ready, node);
        w->queued = false;
        r->credit_served = to + 1;
        w->run(w); // may free w: from here on n is an address to compare
        r->credit_served = 0;
        did = true;
        if (list_first(&p->waiting) == n)
            break;
    }
    return did;
}

bool msg_credit_run(struct reactor *r)
{
    bool did = false;
    for (uint64_t due = r->credit_due; due; due &= due - 1) {
        uint32_t to = (uint32_t)__builtin_ctzll(due);
        r->credit_due &= ~(1ull << to);
        did |= credit_serve(r, to);
    }
    return did;
}
