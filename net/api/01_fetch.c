// Fetch (key 1), versions 4-18: topics by name up to 12, by id from 13; sessions (KIP-227) from 7.
//
// A fetch runs in rounds: one SHARD_FETCH to every shard concerned, gathered in request order. When a round brings less
// than min_bytes and no error, the shards keep one-shot watches under the connection's key, and the fetch waits. A shard never
// waits. Where any shard's records suffice (min_bytes of 1, or one shard only), a watch that fires brings them with its notice
// (shard.h), and that is the answer. Else a next round runs when one fires. At the deadline a last round answers whatever it
// brings; a shard that had nothing, and whose watch is still alive, need not be asked again. Watches outlive their fetch: see
// fetch_keep.c. Records are spliced into the answer from the shards' memory, which is pinned until the answer was sent.
//
// Credits. A round's message takes a credit towards its shard's reactor. Its reply keeps it, for the release of the pins,
// only while many others are free; else the release asks for one of its own when its time comes, as that of an answer that
// came with a notice does. So a consumer that does not drain its socket holds memory, but never the credits that others need
// (I4).
//
// Deviations from upstream 4.3:
// - Fetches of followers (a replica id) are answered with NOT_LEADER_OR_FOLLOWER: there is no replication yet.
// - One answer carries at most what the shards' fetch windows hold, so min_bytes counts up to MIN_BYTES_MAX only.
// - A negative limit of bytes counts as 0, where upstream answers UNKNOWN_SERVER_ERROR.
#include "net/api/fetch.h"

enum { MIN_BYTES_MAX = 2 << 20 };

// ---- pins --------------------------------------------------------------------------------------------------------------
// Gives back the pins of the shard's last answer, and the credit that was kept for it.
static void group_settle(struct fetch_state *st, struct fetch_group *g)
{
    struct net *n = st->r->net;
    if (g->pins && g->credit)
        reactor_send_lazy(n->r, g->to, SHARD_RELEASE)->u[0] = (uint64_t)(uintptr_t)g->pins;
    else if (g->pins)
        net_settle(n, g->to, g->pins, 0, g->pusher);
    if (g->credit)
        call_release(n, g->to);
    g->pins = NULL;
    g->credit = false;
    g->pusher = 0;
}

static void release_answer(struct req *r)
{
    struct fetch_state *st = r->state;
    for (uint32_t i = 0; i < st->groups_n; i++)
        group_settle(st, &st->groups[i]);
}

// ---- the end -----------------------------------------------------------------------------------------------------------
static void fetch_finish(struct fetch_state *st)
{
    struct req *r = st->r;
    timer_cancel(r->net->r, &st->deadline);
    ready_cancel(r->net->r, &st->go);
    if (r->conn->on_close) {
        r->conn->on_close = NULL;
        r->conn->close_arg = NULL;
    }
    r->on_free = release_answer;
    fetch_keep_end(st);
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

static bool part_empty(const struct fetch_state *st, const struct shard_fetch_part *p)
{
    return p->fetch_offset >= (st->read_committed ? p->last_stable : p->high_watermark);
}

static bool part_state(const struct shard_fetch_part *p)
{
    return p->error || p->diverging;
}

static void replied(struct call *c)
{
    struct fetch_group *g = SL_CONTAINER_OF(c, struct fetch_group, call);
    struct fetch_state *st = c->req->state;
    struct fetch_kept *k = g->kept;
    bool state = false, empty = true;
    for (uint32_t i = 0; i < k->f.n; i++) {
        state |= part_state(&k->f.parts[i]);
        empty &= part_empty(st, &k->f.parts[i]);
    }
    k->empty = empty && !state && !k->f.total; // short memory leaves a part without the bytes that it has
    if (k->f.watch_key)
        k->watched = k->current = !state && k->f.total < k->f.watch_bytes;
    g->pins = k->f.pins;
    k->f.pins = NULL;
    g->busy = false;
    g->credit = g->pins && net_credit_spare(c->net, c->to);
    if (!g->credit)
        call_release(c->net, c->to);
    if (--st->pending == 0)
        gathered(st);
}

// Nothing happened there since its last answer: the first byte would have made its watch fire. The last round believes that
// only of an answer to this very request: a record that was acknowledged before it must be in.
static bool group_idle(const struct fetch_state *st, const struct fetch_group *g)
{
    const struct fetch_kept *k = g->kept;
    return k->watched && k->current && k->empty && st->push && k->f.watch_bytes == 1 &&
           (!st->last || g->asked);
}

// The bytes that it had were another fetch's.
static void group_forget(struct fetch_group *g)
{
    struct shard_fetch *f = &g->kept->f;
    for (uint32_t i = 0; f->total && i < f->n; i++)
        f->parts[i].bytes = f->parts[i].pieces_n = f->parts[i].aborted_n = 0;
    f->total = 0;
}

static void group_ask(struct fetch_state *st, struct fetch_group *g, uint32_t missing)
{
    struct shard_fetch *f = &g->kept->f;
    if (!st->push)
        f->watch_bytes = f->total + (missing + st->groups_n - 1) / st->groups_n;
    f->watch_key = st->last ? 0 : st->keep->watch.key;
    g->asked = g->busy = true;
    g->call.keep_credit = true;
    st->pending++;
    call_send(&g->call, st->r, g->to, SHARD_FETCH, f, replied);
}

// `last`: it answers whatever comes. Without `push` each shard watches for its part of what is missing, so that the sum
// suffices.
static void round_start(struct fetch_state *st, bool last)
{
    struct req *r = st->r;
    uint32_t missing = st->min_bytes > st->total ? st->min_bytes - st->total : 0;
    req_stamp(r, REQ_QUEUED);
    st->last = last;
    st->waiting = false;
    st->pending = 1;
    for (uint32_t i = 0; i < st->groups_n; i++) {
        struct fetch_group *g = &st->groups[i];
        fetch_held_use(st, g, !last);
        if (!g->pusher && group_idle(st, g))
            group_forget(g);
        else if (!g->pusher)
            group_ask(st, g, missing);
    }
    if (--st->pending == 0)
        gathered(st);
}

static bool worth_answering(const struct fetch_state *st)
{
    if (st->last || st->groups_n == 0 || st->expired || st->r->conn->eof || st->total >= st->min_bytes)
        return true;
    for (uint32_t i = 0; i < st->groups_n; i++)
        for (uint32_t k = 0; k < st->groups[i].kept->f.n; k++)
            if (part_state(&st->groups[i].kept->f.parts[k]))
                return true;
    return false;
}

static bool all_watch(const struct fetch_state *st)
{
    for (uint32_t i = 0; i < st->groups_n; i++)
        if (!st->groups[i].kept->watched)
            return false;
    return true;
}

static void gathered(struct fetch_state *st)
{
    st->total = 0;
    for (uint32_t i = 0; i < st->groups_n; i++)
        st->total += st->groups[i].kept->f.total;
    if (st->r->conn->closing || worth_answering(st)) {
        req_stamp(st->r, REQ_STORED);
        fetch_finish(st);
        return;
    }
    for (uint32_t i = 0; i < st->groups_n; i++)
        group_settle(st, &st->groups[i]);
    if (all_watch(st))
        st->waiting = true;
    else
        round_start(st, false); // more came meanwhile
}

static struct fetch_group *group_of(struct fetch_state *st, uint32_t reactor)
{
    for (uint32_t i = 0; st && i < st->groups_n; i++)
        if (st->groups[i].to == reactor)
            return &st->groups[i];
    return NULL;
}

// An answer is the waiting fetch's, or is held for the next one; else the notice says no more than that there is something.
static void watch_fired(struct net_watch *w, uint32_t from, struct shard_fired_key *f)
{
    struct fetch_keep *keep = SL_CONTAINER_OF(w, struct fetch_keep, watch);
    struct fetch_state *st = keep->st;
    struct fetch_group *g = group_of(st, from);
    struct fetch_kept *k = fetch_kept_at(keep, from);
    bool kept = (g ? !g->busy && !g->pusher : !st) && fetch_answer_keep(k, f);
    k->watched = f->again;
    if (!kept) {
        k->again = k->empty = false;
        k->current &= k->held;
    } else if (g) {
        g->pins = f->answer->pins;
        g->pusher = w->key;
        fetch_go_on(k, f->again);
    } else {
        k->pins = f->answer->pins;
        fetch_hold(keep, k, from, f->again);
    }
    if (kept)
        f->answer->pins = NULL;
    if (!g || !st->waiting)
        return;
    if (kept)
        gathered(st);
    else
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
    fetch_groups_make(st, watch_fired);
    req_stamp(r, REQ_PARSED);
    timer_init(&st->deadline, deadline_passed);
    st->go.run = closed_go;
    list_init(&st->go.node);
    if (m.max_wait_ms <= 0 || st->groups_n == 0) {
        round_start(st, true);
        return;
    }
    r->conn->on_close = conn_closed;
    r->conn->close_arg = st;
    timer_set(r->net->r, &st->deadline, reactor_now(r->net->r) + (uint64_t)m.max_wait_ms * 1000000);
    round_start(st, st->min_bytes == 0 || r->conn->eof);
}

const struct api_handler api_fetch = {.key = 1, .min = 4, .max = 18, .advertise_min = 4, .start = start};
