// Calls to shards and the controller on behalf of requests, with credits; and watches.
#include "engine/coord/coord.h"
#include "net/net_private.h"

#include <stdlib.h>

enum { CREDITS_SPARE = 16 };

static void call_go(struct call *c)
{
    struct net *n = c->net;
    if (!reactor_credit_take(n->r, c->to, 1)) {
        reactor_credit_wait(n->r, c->to, &c->wait);
        return;
    }
    HASH_ADD_PTR(n->calls, ptr, c);
    reactor_request(n->r, c->to, c->op, SVC_NET)->u[0] = (uint64_t)(uintptr_t)c->ptr;
}

static void call_retry(struct ready *w)
{
    call_go(SL_CONTAINER_OF(w, struct call, wait));
}

void call_send(struct call *c, struct req *r, uint32_t to, uint16_t op, void *ptr,
               void (*done)(struct call *c))
{
    c->req = r;
    call_begin(c, r->net, to, op, ptr, done);
}

void call_begin(struct call *c, struct net *n, uint32_t to, uint16_t op, void *ptr,
                void (*done)(struct call *c))
{
    c->wait = (struct ready){.run = call_retry};
    list_init(&c->wait.node);
    c->net = n;
    c->to = to;
    c->op = op;
    c->ptr = ptr;
    c->done = done;
    n->calls_n++;
    call_go(c);
}

void call_release(struct net *n, uint32_t to)
{
    reactor_credit_give(n->r, to, 1);
}

static void call_reply(struct net *n, const struct spsc_msg *m)
{
    void *ptr = (void *)(uintptr_t)m->u[0];
    struct call *c = NULL;
    HASH_FIND_PTR(n->calls, &ptr, c);
    SL_ASSERT(c && c->op == m->op);
    HASH_DEL(n->calls, c);
    if (!c->keep_credit)
        reactor_credit_give(n->r, c->to, 1);
    n->calls_n--;
    c->done(c);
    net_maybe_stopped(n);
}

static void fired(struct net *n, uint32_t from, const struct spsc_msg *m)
{
    struct shard_fired *f = (struct shard_fired *)(uintptr_t)m->u[0];
    for (uint32_t i = 0; i < f->n; i++) {
        struct net_watch *w = NULL;
        HASH_FIND(hh, n->watches, &f->keys[i].key, sizeof(f->keys[i].key), w);
        if (w)
            w->fired(w, from, &f->keys[i]);
    }
    struct spsc_msg *ack = f->urgent ? reactor_send(n->r, from, SHARD_FIRED_ACK)
                                     : reactor_send_lazy(n->r, from, SHARD_FIRED_ACK);
    ack->u[0] = m->u[0];
}

// ---- settlements -------------------------------------------------------------------------------------------------------
// One that waits for its credit.
struct late {
    struct ready wait;
    struct net *net;
    uint32_t to;
    struct shard_pins *pins;
    uint64_t unwatch, read;
};

bool net_credit_spare(struct net *n, uint32_t to)
{
    uint32_t k = 0;
    while (k < CREDITS_SPARE && reactor_credit_take(n->r, to, 1)) // there may be fewer in all
        k++;
    if (k)
        reactor_credit_give(n->r, to, k);
    return k == CREDITS_SPARE;
}

// Wakes the shard, and us for its reply, only when credits are short. While they are not, those that nobody waits for can
// never be all that are out: whoever waits for a credit is woken by the others.
static bool settle_go(struct net *n, uint32_t to, struct shard_pins *pins, uint64_t unwatch, uint64_t read)
{
    if (!reactor_credit_take(n->r, to, 1))
        return false;
    bool lazy = net_credit_spare(n, to);
    struct spsc_msg *m =
        lazy ? reactor_send_lazy(n->r, to, SHARD_SETTLE) : reactor_send(n->r, to, SHARD_SETTLE);
    m->flags = SVC_NET;
    m->u[0] = (uint64_t)(uintptr_t)pins;
    m->u[1] = unwatch;
    m->u[2] = lazy;
    m->u[3] = read;
    return true;
}

static void late_go(struct ready *w)
{
    struct late *l = SL_CONTAINER_OF(w, struct late, wait);
    struct net *n = l->net;
    if (!settle_go(n, l->to, l->pins, l->unwatch, l->read)) {
        reactor_credit_wait(n->r, l->to, &l->wait);
        return;
    }
    free(l);
    n->calls_n--;
    net_maybe_stopped(n);
}

void net_settle(struct net *n, uint32_t to, struct shard_pins *pins, uint64_t unwatch, uint64_t read)
{
    if (settle_go(n, to, pins, unwatch, read))
        return;
    struct late *l = malloc(sizeof(*l));
    if (!l)
        sl_panic("out of memory for the release of a fetch");
    *l = (struct late){
        .wait = {.run = late_go}, .net = n, .to = to, .pins = pins, .unwatch = unwatch, .read = read};
    list_init(&l->wait.node);
    n->calls_n++;
    reactor_credit_wait(n->r, to, &l->wait);
}

static void coord_done(struct net *n, uint32_t from, const struct spsc_msg *m)
{
    struct coord_req *q = (struct coord_req *)(uintptr_t)m->u[0], *next;
    for (; q; q = next) {
        next = q->next;
        net_coord_done(n, q);
    }
    reactor_reply(n->r, from, COORD_DONE, SVC_COORD)->u[0] = m->u[0];
    net_maybe_stopped(n);
}

void net_on_msg(struct service *svc, uint32_t from, const struct spsc_msg *m)
{
    struct net *n = SL_CONTAINER_OF(svc, struct net, svc);
    if (m->op == SHARD_FIRED)
        fired(n, from, m);
    else if (m->op == SHARD_SETTLE)
        reactor_credit_give(n->r, from, 1);
    else if (m->op == NET_USED)
        quota_on_msg(n, from, m);
    else if (m->op == COORD_DONE)
        coord_done(n, from, m);
    else
        call_reply(n, m);
}

void net_watch_add(struct net *n, struct net_watch *w)
{
    w->key = ++n->next_watch;
    HASH_ADD(hh, n->watches, key, sizeof(w->key), w);
}

void net_watch_remove(struct net *n, struct net_watch *w)
{
    HASH_DEL(n->watches, w);
}

uint32_t net_shards(const struct net *n)
{
    return n->cfg.placement->shards;
}

uint32_t net_shard_of(const struct net *n, const struct sl_uuid *topic_id, int32_t partition)
{
    return shard_of(topic_id, partition, n->cfg.placement->shards);
}

uint32_t net_shard_reactor(const struct net *n, uint32_t shard)
{
    return n->cfg.placement->shard_reactor[shard];
}

uint32_t net_controller_reactor(const struct net *n)
{
    return net_shard_reactor(n, net_shard_of(n, &meta_topic_uuid, 0));
}

const struct meta_image *net_image(const struct net *n)
{
    return meta_image_get(n->r);
}

const struct config *net_config(const struct net *n)
{
    const struct meta_image *img = net_image(n);
    return img && img->config ? img->config : n->cfg.cfg;
}

const struct meta_endpoint *conn_endpoint(const struct conn *c, const struct meta_broker *b)
{
    for (uint32_t i = 0; i < b->endpoints_n; i++)
        if (!strcmp(b->endpoints[i].listener, c->listener->name))
            return &b->endpoints[i];
    return b->endpoints_n ? &b->endpoints[0] : NULL;
}
