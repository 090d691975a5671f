// One-shot watches: a fetch that found too little leaves its key here and is told when to come again.
//
// A watch links to every part of the fetch. It fires when the bytes that became visible on them reach its need, or when a
// part's state changes. Fired keys are gathered per reactor and sent in one message, one in flight per reactor.
#include "engine/shard/shard_private.h"

#include <stdlib.h>

static struct watch *watch_find(struct shard *s, uint32_t from, uint64_t key)
{
    struct watch_key id = {.key = key, .from = from};
    struct watch *w = NULL;
    HASH_FIND(hh, s->watches, &id, sizeof(id), w);
    return w;
}

static void watch_unlink(struct watch *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        list_remove(&w->nodes[i].node);
}

static void watch_free(struct shard *s, struct watch *w)
{
    watch_unlink(w);
    if (w->fired)
        list_remove(&w->fired_node);
    HASH_DEL(s->watches, w);
    s->watches_n--;
    free(w);
}

static void watch_fire(struct shard *s, struct watch *w)
{
    if (w->fired)
        return;
    w->fired = true;
    watch_unlink(w);
    list_push_back(&s->fired[w->id.from].fired, &w->fired_node);
}

void watch_drop(struct shard *s, uint32_t from, uint64_t key)
{
    struct watch *w = watch_find(s, from, key);
    if (w)
        watch_free(s, w);
}

// What arrived while other parts were read from disk was not counted by anyone.
static bool watch_missed(const struct part *p, const struct shard_fetch_part *fp)
{
    struct log_ends e;
    if (!p)
        return true;
    log_get_ends(p->log, &e);
    return e.high_watermark > fp->high_watermark || e.last_stable > fp->last_stable ||
           e.leader_epoch != fp->leader_epoch;
}

// Over the limit the key fires at once: the client polls, which is slower and never wrong.
void watch_register(struct shard *s, uint32_t from, const struct shard_fetch *f)
{
    watch_drop(s, from, f->watch_key);
    struct watch *w = calloc(1, sizeof(*w) + (size_t)f->n * sizeof(w->nodes[0]));
    if (!w)
        sl_panic("shard %u: out of memory for a watch", s->cfg.shard);
    w->id = (struct watch_key){.key = f->watch_key, .from = from};
    w->need = (int64_t)f->watch_bytes - (int64_t)f->total;
    list_init(&w->fired_node);
    bool missed = false;
    for (uint32_t i = 0; i < f->n; i++) {
        struct part *p = shard_find(s, &f->parts[i].topic_id, f->parts[i].partition);
        missed |= watch_missed(p, &f->parts[i]);
        if (!p)
            continue;
        struct watch_node *n = &w->nodes[w->n++];
        n->w = w;
        n->part = p;
        list_push_back(&p->watches, &n->node);
    }
    HASH_ADD(hh, s->watches, id, sizeof(w->id), w);
    s->watches_n++;
    if (missed || s->watches_n > s->cfg.max_watches)
        watch_fire(s, w);
}

void watch_arrived(struct part *p, int64_t bytes)
{
    list_foreach_safe(n, &p->watches)
    {
        struct watch *w = list_entry(n, struct watch_node, node)->w;
        w->need -= bytes;
        if (w->need <= 0)
            watch_fire(p->s->front, w);
    }
}

void watch_fire_part(struct part *p)
{
    struct list_node *n;
    while ((n = list_first(&p->watches)))
        watch_fire(p->s->front, list_entry(n, struct watch_node, node)->w);
}

void watch_ack(struct shard *s, uint32_t from)
{
    SL_ASSERT(s->fired[from].in_flight);
    s->fired[from].in_flight = false;
    reactor_credit_give(s->r, from, 1);
}

static bool fired_send(struct shard *s, uint32_t to)
{
    struct fired_box *b = &s->fired[to];
    if (b->in_flight || list_empty(&b->fired) || !reactor_credit_take(s->r, to, 1))
        return false;
    b->out.n = 0;
    struct list_node *n;
    while ((n = list_first(&b->fired))) {
        struct watch *w = list_entry(n, struct watch, fired_node);
        if (b->out.n == b->out.cap) {
            b->out.cap = b->out.cap ? b->out.cap * 2 : 64;
            b->out.keys = realloc(b->out.keys, b->out.cap * sizeof(uint64_t));
            if (!b->out.keys)
                sl_panic("shard %u: out of memory for fired watches", s->cfg.shard);
        }
        b->out.keys[b->out.n++] = w->id.key;
        watch_free(s, w);
    }
    b->in_flight = true;
    reactor_send(s->r, to, SHARD_FIRED)->u[0] = (uint64_t)(uintptr_t)&b->out;
    return true;
}

bool watch_flush(struct shard *s)
{
    bool any = false;
    uint32_t n = reactor_group_size(reactor_get_group(s->r));
    for (uint32_t i = 0; i < n; i++)
        any |= fired_send(s, i);
    return any;
}

void watch_destroy_all(struct shard *s)
{
    struct watch *w, *tmp;
    HASH_ITER(hh, s->watches, w, tmp)
    {
        watch_free(s, w);
    }
    for (uint32_t i = 0; i < REACTOR_MAX; i++)
        free(s->fired[i].out.keys);
}
