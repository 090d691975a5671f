// Fetch (key 1), versions 4-18: topics by name up to 12, by id from 13; sessions (KIP-227) from 7.
//
// A fetch runs in rounds: one SHARD_FETCH to every shard concerned, gathered in request order. When a round brings less
// than min_bytes and no error, the shards keep one-shot watches under the request's key and the next round runs when one of
// them fires, or at the deadline, and then it answers whatever it brought. A shard never waits. Records are spliced into
// the answer from the shards' memory, which is pinned until the answer was sent.
//
// Credits. A round's message takes a credit towards its shard's reactor. Its reply keeps it, for the release of the pins,
// only while many others are free; else the release asks for one of its own (an empty fetch) when its time comes. So a
// consumer that does not drain its socket holds memory, but never the credits that others need (I4).
//
// Deviations from upstream 4.3:
// - Fetches of followers (a replica id) are answered with NOT_LEADER_OR_FOLLOWER: there is no replication yet.
// - One answer carries at most what the shards' fetch windows hold, so min_bytes counts up to MIN_BYTES_MAX only.
// - A negative limit of bytes counts as 0, where upstream answers UNKNOWN_SERVER_ERROR.
#include "net/api/fetch.h"

#include <stdlib.h>
#include <string.h>

enum {
    MIN_BYTES_MAX = 2 << 20,
    SHARD_SHARE_MIN = 1 << 20, // what each shard may return at least, within max_bytes
    CREDITS_SPARE = 16,        // a credit is kept only while so many others are free
};

// ---- pins and credits --------------------------------------------------------------------------------------------------
// What is owed to a shard after the credit of its reply was given back. (A credit may be followed by two notices: rings
// hold four times the credits, and a request, its two notices and a reply to the peer are four.)
struct late {
    struct req carrier; // only its net counts
    struct call call;
    struct shard_fetch nothing;
    struct shard_pins *pins;
    uint64_t unwatch;
};

static void notices_send(struct net *n, uint32_t to, uint64_t unwatch, struct shard_pins *pins)
{
    if (unwatch)
        reactor_send(n->r, to, SHARD_UNWATCH)->u[0] = unwatch;
    if (pins)
        reactor_send(n->r, to, SHARD_RELEASE)->u[0] = (uint64_t)(uintptr_t)pins;
    call_release(n, to);
}

static void late_done(struct call *c)
{
    struct late *l = SL_CONTAINER_OF(c, struct late, call);
    notices_send(c->net, c->to, l->unwatch, l->pins);
    free(l);
}

static void late_send(struct net *n, uint32_t to, uint64_t unwatch, struct shard_pins *pins)
{
    struct late *l = calloc(1, sizeof(*l));
    if (!l)
        sl_panic("out of memory for the release of a fetch");
    l->carrier.net = n;
    l->pins = pins;
    l->unwatch = unwatch;
    l->call.keep_credit = true;
    call_send(&l->call, &l->carrier, to, SHARD_FETCH, &l->nothing, late_done);
}

// Gives back what the last reply of this shard left: its pins, and the watch when `unwatch`.
static void group_settle(struct fetch_state *st, struct fetch_group *g, bool unwatch)
{
    struct net *n = st->r->net;
    uint64_t key = unwatch && g->watched ? st->watch.key : 0;
    struct shard_pins *pins = g->f.pins;
    bool credit = g->credit;
    g->f.pins = NULL;
    g->credit = false;
    if (key)
        g->watched = false;
    if (credit)
        notices_send(n, g->call.to, key, pins);
    else if (key || pins)
        late_send(n, g->call.to, key, pins);
}

static bool credit_spare(struct net *n, uint32_t to)
{
    uint32_t k = 0;
    while (k < CREDITS_SPARE && reactor_credit_take(n->r, to, 1)) // there may be fewer in all
        k++;
    if (k)
        reactor_credit_give(n->r, to, k);
    return k == CREDITS_SPARE;
}

static void release_answer(struct req *r)
{
    struct fetch_state *st = r->state;
    for (uint32_t i = 0; i < st->groups_n; i++)
        group_settle(st, &st->groups[i], true);
}

// ---- the end -----------------------------------------------------------------------------------------------------------
static void fetch_finish(struct fetch_state *st)
{
    struct req *r = st->r;
    timer_cancel(r->net->r, &st->deadline);
    ready_cancel(r->net->r, &st->go);
    if (st->watching)
        net_watch_remove(r->net, &st->watch);
    st->watching = false;
    if (r->conn->on_close) {
        r->conn->on_close = NULL;
        r->conn->close_arg = NULL;
    }
    r->on_free = release_answer;
    if (r->conn->closing) {
        if (st->begin.session)
            fetch_session_unref(st->begin.session);
        req_respond_none(r);
        return;
    }
    fetch_answer(st);
}

// ---- rounds ------------------------------------------------------------------------------------------------------------
static void gathered(struct fetch_state *st);

static void replied(struct call *c)
{
    struct fetch_group *g = SL_CONTAINER_OF(c, struct fetch_group, call);
    struct fetch_state *st = c->req->state;
    if (g->f.total < g->f.watch_bytes)
        g->watched = true;
    g->credit = (g->f.pins || g->watched) && credit_spare(c->net, c->to);
    if (!g->credit)
        call_release(c->net, c->to);
    if (--st->pending == 0)
        gathered(st);
}

// `last`: it answers whatever comes. Each shard watches for its part of what is missing, so that the sum suffices.
static void round_start(struct fetch_state *st, bool last)
{
    struct req *r = st->r;
    uint32_t missing = st->min_bytes > st->total ? st->min_bytes - st->total : 0;
    req_stamp(r, REQ_QUEUED);
    st->last = last;
    st->waiting = st->fired = false;
    st->pending = 1;
    for (uint32_t i = 0; i < st->groups_n; i++) {
        struct fetch_group *g = &st->groups[i];
        uint32_t share = (missing + st->groups_n - 1) / st->groups_n;
        g->f.watch_bytes = last ? 0 : g->f.total + share;
        g->f.watch_key = last ? 0 : st->watch.key;
        g->call.keep_credit = true;
        st->pending++;
        call_send(&g->call, r, net_shard_reactor(r->net, g->shard), SHARD_FETCH, &g->f, replied);
    }
    if (--st->pending == 0)
        gathered(st);
}

static bool worth_answering(const struct fetch_state *st)
{
    if (st->last || st->groups_n == 0 || st->expired || st->r->conn->eof || st->total >= st->min_bytes)
        return true;
    for (uint32_t i = 0; i < st->groups_n; i++)
        for (uint32_t k = 0; k < st->groups[i].f.n; k++)
            if (st->groups[i].f.parts[k].error || st->groups[i].f.parts[k].diverging)
                return true;
    return false;
}

static bool all_watch(const struct fetch_state *st)
{
    for (uint32_t i = 0; i < st->groups_n; i++)
        if (st->groups[i].f.total >= st->groups[i].f.watch_bytes)
            return false;
    return true;
}

static void gathered(struct fetch_state *st)
{
    st->total = 0;
    for (uint32_t i = 0; i < st->groups_n; i++)
        st->total += st->groups[i].f.total;
    if (st->r->conn->closing || worth_answering(st)) {
        req_stamp(st->r, REQ_STORED);
        fetch_finish(st);
        return;
    }
    for (uint32_t i = 0; i < st->groups_n; i++)
        group_settle(st, &st->groups[i], false);
    if (st->fired || !all_watch(st))
        round_start(st, false); // more came meanwhile
    else
        st->waiting = true;
}

static void watch_fired(struct net_watch *w)
{
    struct fetch_state *st = SL_CONTAINER_OF(w, struct fetch_state, watch);
    st->fired = true;
    if (st->groups_n == 1)
        st->groups[0].watched = false;
    if (st->waiting)
        round_start(st, false);
}

static void deadline_passed(struct timer *t)
{
    struct fetch_state *st = SL_CONTAINER_OF(t, struct fetch_state, deadline);
    st->expired = true;
    if (st->waiting)
        round_start(st, true);
}

// The connection is gone, or only its peer's side: then the answer leaves now, with what a last round brings.
static void closed_go(struct ready *w)
{
    struct fetch_state *st = SL_CONTAINER_OF(w, struct fetch_state, go);
    if (st->r->conn->closing)
        fetch_finish(st);
    else
        round_start(st, true);
}

static void conn_closed(struct conn *c)
{
    struct fetch_state *st = c->close_arg;
    if (!st->waiting)
        return; // the round under way ends it
    st->waiting = false;
    ready_push(c->net->r, &st->go);
}

// ---- start -------------------------------------------------------------------------------------------------------------
// Parts go to the groups of their shards in request order.
static void groups_make(struct fetch_state *st)
{
    struct req *r = st->r;
    uint32_t *counts = req_alloc_array(r, net_shards(r->net), sizeof(*counts)), total = 0;
    uint32_t *at = req_alloc_array(r, net_shards(r->net), sizeof(*at));
    for (uint32_t i = 0; i < st->parts_n; i++)
        if (!st->parts[i].error) {
            st->parts[i].shard = net_shard_of(r->net, &st->parts[i].want.id, st->parts[i].want.partition);
            counts[st->parts[i].shard]++;
            total++;
        }
    st->groups = req_alloc_array(r, SL_MIN(net_shards(r->net), total), sizeof(*st->groups));
    for (uint32_t s = 0; s < net_shards(r->net); s++) {
        if (!counts[s])
            continue;
        at[s] = st->groups_n;
        struct fetch_group *g = &st->groups[st->groups_n++];
        uint64_t share = (uint64_t)st->max_bytes * counts[s] / total;
        g->shard = s;
        g->f.parts = req_alloc_array(r, counts[s], sizeof(*g->f.parts));
        g->f.max_bytes = (uint32_t)SL_MIN(SL_MAX(share, (uint64_t)SHARD_SHARE_MIN), (uint64_t)st->max_bytes);
        g->f.read_committed = st->read_committed;
        g->f.min_one = true;
    }
    for (uint32_t i = 0; i < st->parts_n; i++) {
        struct fetch_part *p = &st->parts[i];
        if (p->error)
            continue;
        struct shard_fetch *f = &st->groups[at[p->shard]].f;
        p->in = &f->parts[f->n++];
        *p->in = (struct shard_fetch_part){.topic_id = p->want.id,
                                           .partition = p->want.partition,
                                           .fetch_offset = p->want.offset,
                                           .max_bytes = p->want.max_bytes,
                                           .current_leader_epoch = p->want.current_leader_epoch,
                                           .last_fetched_epoch = p->want.last_fetched_epoch};
    }
}

static void limits_set(struct fetch_state *st, const struct kp_fetch_request *m)
{
    int64_t own = cfg_int(st->r->net->cfg.cfg, CFG_FETCH_MAX_BYTES);
    own = SL_MIN(own, (int64_t)quota_window_bytes(st->r, META_QUOTA_CONSUME)); // more could never be sent
    st->max_bytes = (uint32_t)SL_MAX(SL_MIN((int64_t)m->max_bytes, own), 0);
    st->min_bytes = SL_MIN((uint32_t)SL_MAX(m->min_bytes, 0), SL_MIN(st->max_bytes, (uint32_t)MIN_BYTES_MAX));
    st->read_committed = m->isolation_level == API_READ_COMMITTED;
    int32_t replica = st->r->version >= 15 ? m->replica_state.replica_id : m->replica_id;
    st->follower = replica >= 0;
}

static void start(struct req *r)
{
    struct kp_fetch_request m;
    struct fetch_state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    st->r = r;
    if (!REQ_DECODE(r, &m, fetch_request))
        return;
    if (m.isolation_level != API_READ_UNCOMMITTED && m.isolation_level != API_READ_COMMITTED) {
        fetch_refuse(st, &m, KERR_UNKNOWN_SERVER_ERROR);
        return;
    }
    limits_set(st, &m);
    int16_t error = fetch_plan(st, &m);
    if (error) {
        fetch_answer_error(st, error);
        return;
    }
    groups_make(st);
    req_stamp(r, REQ_PARSED);
    timer_init(&st->deadline, deadline_passed);
    st->go.run = closed_go;
    list_init(&st->go.node);
    if (m.max_wait_ms <= 0 || st->groups_n == 0) {
        round_start(st, true);
        return;
    }
    st->watch.fired = watch_fired;
    net_watch_add(r->net, &st->watch);
    st->watching = true;
    r->conn->on_close = conn_closed;
    r->conn->close_arg = st;
    timer_set(r->net->r, &st->deadline, reactor_now(r->net->r) + (uint64_t)m.max_wait_ms * 1000000);
    round_start(st, st->min_bytes == 0);
}

const struct api_handler api_fetch = {.key = 1, .min = 4, .max = 18, .advertise_min = 4, .start = start};
