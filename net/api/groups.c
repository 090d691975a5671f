// See groups.h.
#include "net/api/groups.h"

#include <stdio.h>
#include <string.h>

static const struct meta_topic *offsets_topic(const struct req *r)
{
    return api_topic(r, KP_STR_LIT(COORD_GROUP_TOPIC));
}

int32_t groups_partitions(const struct req *r)
{
    const struct meta_topic *t = offsets_topic(r);
    return t ? (int32_t)t->partitions_n : 0;
}

static void answers_free(struct req *r)
{
    struct group_asks *a = r->state;
    for (uint32_t i = 0; i < a->n; i++)
        arena_free(&a->v[i].q.arena);
}

void groups_init(struct req *r, uint32_t n)
{
    struct group_asks *a = r->state;
    SL_ASSERT(a && !a->v);
    a->r = r;
    a->n = n;
    a->v = req_alloc_array(r, n, sizeof(*a->v));
    r->on_free = answers_free;
}

static struct coord_req *prepare(struct req *r, uint32_t i, const void *in)
{
    struct group_asks *a = r->state;
    struct coord_req *q = &a->v[i].q;
    SL_ASSERT(i < a->n);
    q->api = r->key;
    q->version = r->version;
    q->in = in;
    q->client_id = r->client_id;
    q->group = KP_STR_LIT("");
    arena_init(&q->arena, 0);
    return q;
}

void groups_ask_partition(struct req *r, uint32_t i, int32_t partition, const void *in)
{
    struct group_asks *a = r->state;
    struct coord_req *q = prepare(r, i, in);
    const struct meta_topic *t = offsets_topic(r);
    q->error = t ? KERR_NONE : KERR_NOT_COORDINATOR;
    if (q->error)
        return;
    q->topic_id = t->id;
    q->partition = partition;
    uint32_t shard = net_shard_of(r->net, &t->id, partition);
    a->v[i].to = net_shard_reactor(r->net, shard);
}

void groups_ask(struct req *r, uint32_t i, struct kp_str id, const void *in)
{
    int32_t n = groups_partitions(r);
    groups_ask_partition(r, i, n && id.n >= 0 ? coord_partition_of(id.p, (size_t)id.n, n) : 0, in);
    struct coord_req *q = groups_answer(r, i);
    q->group = id;
    if (id.n < 0)
        q->error = KERR_INVALID_GROUP_ID;
}

static void chain_done(struct group_asks *a)
{
    SL_ASSERT(a->pending > 0);
    if (--a->pending == 0)
        a->done(a->r);
}

// The reply: everything of the chain is answered, or its only request waits for others and is told of later.
static void replied(struct call *c)
{
    struct coord_req *q = c->ptr;
    if (q->parked)
        c->net->calls_n++; // under way still: the net service does not stop before it is home
    else
        chain_done(q->owner);
}

void net_coord_done(struct net *n, struct coord_req *q)
{
    SL_ASSERT(q->parked && n->calls_n > 0);
    n->calls_n--;
    chain_done(q->owner);
}

void groups_send(struct req *r, void (*done)(struct req *r))
{
    struct group_asks *a = r->state;
    struct group_ask *last[REACTOR_MAX] = {0}, *first[REACTOR_MAX] = {0};
    a->done = done;
    a->pending = 1;
    for (uint32_t i = 0; i < a->n; i++) {
        struct group_ask *g = &a->v[i];
        g->q.owner = a;
        g->q.next = NULL;
        if (g->q.error)
            continue;
        if (last[g->to])
            last[g->to]->q.next = &g->q;
        else
            first[g->to] = g;
        last[g->to] = g;
    }
    for (uint32_t k = 0; k < REACTOR_MAX; k++)
        if (first[k]) {
            a->pending++;
            call_send(&first[k]->call, r, k, COORD_REQUEST, &first[k]->q, replied);
        }
    chain_done(a);
}

bool groups_decode_kept(struct req *r, void *m, kp_decode_fn decode)
{
    req_keep_body(r);
    return req_decode(r, m, decode);
}

struct kp_str groups_client_host(struct req *r)
{
    char host[128];
    uint16_t port;
    if (io_sock_name(reactor_io(r->net->r), r->conn->sock, true, host, sizeof(host), &port))
        return KP_STR_LIT("/");
    return api_text(r, "/%s", host);
}
