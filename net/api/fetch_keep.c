// What a connection's fetches leave at the shards, from one to the next.
//
// Consumers ask again for what they asked before, but for the partitions that brought records. So a fetch leaves the watches
// that did not fire, and the next one does not ask a shard whose question is the same while its watch is alive: nothing
// happened there since. All watches of a connection have one key, so a new question replaces the old one's; what is left when
// the connection ends is taken back.
//
// A watch that brought an answer may wait on behind it (shard.h), and bring the next one while its reader is still busy with
// the first. That one is held for a moment, in bounds, and answers the next fetch if it asks for it.
//
// Bounded in partitions a request and in bytes a net service: a request above either keeps nothing, and takes its watches
// back when it ends.
#include "net/api/fetch.h"

#include <stdlib.h>
#include <string.h>

enum {
    KEEP_PARTS_MAX = 4096,
    SHARD_SHARE_MIN = 1 << 20, // what each shard may return at least, within max_bytes
};
static const uint64_t KEEP_BYTES_MAX = 32ull << 20;
static const uint64_t HELD_BYTES_MAX = 16ull << 20; // of a net service
static const uint64_t HELD_NS = 200ull * 1000 * 1000;

static size_t keep_size(const struct net *n)
{
    return sizeof(struct fetch_keep) + net_shards(n) * sizeof(struct fetch_kept);
}

static void held_drop(struct fetch_keep *keep, struct fetch_kept *k, uint32_t to)
{
    if (!k->held)
        return;
    keep->net->held_bytes -= k->f.total;
    net_settle(keep->net, to, k->pins, 0, 0);
    k->pins = NULL;
    k->held = k->current = false;
}

static void hold_over(struct timer *t)
{
    struct fetch_keep *keep = SL_CONTAINER_OF(t, struct fetch_keep, hold);
    for (uint32_t s = 0; s < net_shards(keep->net); s++)
        held_drop(keep, &keep->shards[s], net_shard_reactor(keep->net, s));
}

static void keep_init(struct fetch_keep *k, struct net *n, fetch_fired_fn fired, bool once)
{
    k->net = n;
    k->once = once;
    k->watch.fired = fired;
    timer_init(&k->hold, hold_over);
    net_watch_add(n, &k->watch);
}

static uint64_t keep_growth(const struct fetch_keep *k, const struct net *n, const uint32_t *counts)
{
    uint64_t bytes = k ? 0 : keep_size(n);
    for (uint32_t s = 0; s < net_shards(n); s++)
        if (counts[s] > (k ? k->shards[s].cap : 0))
            bytes += (counts[s] - (k ? k->shards[s].cap : 0)) * sizeof(struct shard_fetch_part);
    return bytes;
}

// The connection's, or one of this request's alone.
static struct fetch_keep *keep_get(struct fetch_state *st, const uint32_t *counts, uint32_t total,
                                   fetch_fired_fn fired)
{
    struct conn *c = st->r->conn;
    struct net *n = st->r->net;
    struct fetch_keep *k = c->fetches;
    uint64_t growth = keep_growth(k, n, counts);
    if (total > KEEP_PARTS_MAX || n->kept_bytes + growth > KEEP_BYTES_MAX) {
        k = req_alloc(st->r, keep_size(n));
        keep_init(k, n, fired, true);
        return k;
    }
    n->kept_bytes += growth;
    if (!k) {
        k = c->fetches = calloc(1, keep_size(n));
        if (!k)
            sl_panic("out of memory for a fetch");
        keep_init(k, n, fired, false);
    }
    return k;
}

static void parts_room(struct fetch_state *st, struct fetch_kept *k, uint32_t n)
{
    if (k->cap >= n)
        return;
    size_t size = sizeof(k->f.parts[0]);
    struct shard_fetch_part *parts =
        st->keep->once ? req_alloc_array(st->r, n, size) : reallocarray(k->f.parts, n, size);
    if (!parts)
        sl_panic("out of memory for a fetch");
    memset(parts, 0, n * size);
    k->f.parts = parts;
    k->f.n = 0;
    k->cap = n;
}

// The question as a whole. Without `push` each round asks every shard, for its part of what is missing.
static void group_ask(struct fetch_state *st, struct fetch_group *g, uint32_t n, uint32_t max_bytes)
{
    struct shard_fetch *f = &g->kept->f;
    uint32_t need = SL_MAX(st->min_bytes, 1u);
    if (f->n != n || f->max_bytes != max_bytes || f->read_committed != st->read_committed ||
        f->push != st->push || f->watch_bytes != need)
        g->kept->current = false;
    f->n = n;
    f->max_bytes = max_bytes;
    f->read_committed = st->read_committed;
    f->push = st->push;
    f->watch_bytes = need;
    f->min_one = true;
}

static void part_ask(struct fetch_kept *k, struct shard_fetch_part *in, const struct fetch_want *w)
{
    if (sl_uuid_eq(&in->topic_id, &w->id) && in->partition == w->partition && in->fetch_offset == w->offset &&
        in->max_bytes == w->max_bytes && in->current_leader_epoch == w->current_leader_epoch &&
        in->last_fetched_epoch == w->last_fetched_epoch)
        return;
    k->current = false;
    *in = (struct shard_fetch_part){.topic_id = w->id,
                                    .partition = w->partition,
                                    .fetch_offset = w->offset,
                                    .max_bytes = w->max_bytes,
                                    .current_leader_epoch = w->current_leader_epoch,
                                    .last_fetched_epoch = w->last_fetched_epoch};
}

// How many of the parts each shard has; how many they are in all.
static uint32_t parts_count(struct fetch_state *st, uint32_t *counts)
{
    struct net *n = st->r->net;
    uint32_t total = 0;
    for (uint32_t i = 0; i < st->parts_n; i++)
        if (!st->parts[i].error) {
            st->parts[i].shard = net_shard_of(n, &st->parts[i].want.id, st->parts[i].want.partition);
            counts[st->parts[i].shard]++;
            total++;
        }
    for (uint32_t s = 0; s < net_shards(n); s++)
        st->groups_n += counts[s] > 0;
    return total;
}

void fetch_groups_make(struct fetch_state *st, fetch_fired_fn fired)
{
    struct req *r = st->r;
    uint32_t shards = net_shards(r->net), k = 0;
    uint32_t *counts = req_alloc_array(r, shards, sizeof(*counts));
    uint32_t *at = req_alloc_array(r, shards, sizeof(*at));
    uint32_t total = parts_count(st, counts);
    if (!total)
        return;
    st->push = st->groups_n == 1 || st->min_bytes <= 1;
    st->groups = req_alloc_array(r, st->groups_n, sizeof(*st->groups));
    st->keep = keep_get(st, counts, total, fired);
    st->keep->st = st;
    for (uint32_t s = 0; s < shards; s++) {
        if (!counts[s])
            continue;
        struct fetch_group *g = &st->groups[k];
        uint64_t share = SL_MAX((uint64_t)st->max_bytes * counts[s] / total, (uint64_t)SHARD_SHARE_MIN);
        g->shard = s;
        g->to = net_shard_reactor(r->net, s);
        g->kept = &st->keep->shards[s];
        parts_room(st, g->kept, counts[s]);
        group_ask(st, g, counts[s], (uint32_t)SL_MIN(share, (uint64_t)st->max_bytes));
        at[s] = k++;
        counts[s] = 0;
    }
    for (uint32_t i = 0; i < st->parts_n; i++) {
        struct fetch_part *p = &st->parts[i];
        if (p->error)
            continue;
        struct fetch_kept *kept = st->groups[at[p->shard]].kept;
        p->in = &kept->f.parts[counts[p->shard]++];
        part_ask(kept, p->in, &p->want);
    }
}

struct fetch_kept *fetch_kept_at(struct fetch_keep *keep, uint32_t reactor)
{
    uint32_t s = 0;
    while (net_shard_reactor(keep->net, s) != reactor)
        s++;
    return &keep->shards[s];
}

bool fetch_answer_keep(struct fetch_kept *k, struct shard_fired_key *f)
{
    const struct shard_fetch *answer = f->answer;
    if (!answer || !k->current || k->held)
        return false;
    SL_ASSERT(answer->n == k->f.n && !k->pins);
    for (uint32_t i = 0; i < answer->n; i++)
        k->f.parts[i] = answer->parts[i];
    k->f.total = answer->total;
    return true;
}

void fetch_hold(struct fetch_keep *keep, struct fetch_kept *k, uint32_t to, bool again)
{
    k->held = k->current = true;
    k->again = again;
    keep->net->held_bytes += k->f.total;
    if (keep->net->held_bytes > HELD_BYTES_MAX)
        held_drop(keep, k, to);
    else if (!keep->hold.armed)
        timer_set(keep->net->r, &keep->hold, reactor_now(keep->net->r) + HELD_NS);
}

void fetch_go_on(struct fetch_kept *k, bool again)
{
    k->current = k->empty = again;
    for (uint32_t i = 0; again && i < k->f.n; i++)
        k->f.parts[i].fetch_offset = k->f.parts[i].next_offset;
}

void fetch_held_use(struct fetch_state *st, struct fetch_group *g, bool use)
{
    struct fetch_kept *k = g->kept;
    if (!k->held)
        return;
    if (!use || !k->current) {
        held_drop(st->keep, k, g->to);
        return;
    }
    st->keep->net->held_bytes -= k->f.total;
    g->pins = k->pins;
    g->pusher = st->keep->watch.key;
    k->pins = NULL;
    k->held = false;
    fetch_go_on(k, k->again);
}

static void unwatch_all(struct fetch_keep *k)
{
    for (uint32_t s = 0; s < net_shards(k->net); s++)
        if (k->shards[s].watched)
            net_settle(k->net, net_shard_reactor(k->net, s), NULL, k->watch.key, 0);
}

void fetch_keep_end(struct fetch_state *st)
{
    struct fetch_keep *k = st->keep;
    if (!k)
        return;
    k->st = NULL;
    if (!k->once)
        return;
    unwatch_all(k);
    net_watch_remove(k->net, &k->watch);
}

void fetch_keep_free(struct conn *c, bool tell)
{
    struct fetch_keep *k = c->fetches;
    if (!k)
        return;
    SL_ASSERT(!k->st || !tell);
    timer_cancel(k->net->r, &k->hold);
    if (tell) {
        hold_over(&k->hold);
        unwatch_all(k);
        net_watch_remove(k->net, &k->watch);
    }
    k->net->kept_bytes -= keep_size(k->net);
    for (uint32_t s = 0; s < net_shards(k->net); s++) {
        k->net->kept_bytes -= k->shards[s].cap * sizeof(struct shard_fetch_part);
        free(k->shards[s].f.parts);
    }
    free(k);
    c->fetches = NULL;
}
