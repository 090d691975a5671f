// One-shot watches: a fetch that found too little leaves its key here and is told when there is more.
//
// A watch links to every part of the fetch. It fires when the bytes that became visible on them reach its need, or when a
// part's state changes. Fired keys are gathered per reactor and sent in one message, two in flight per reactor. What fires
// while both are waits for an acknowledgement, and only that of the second is sent so that it wakes us: there is nothing to
// be sent while at most one is in flight.
//
// A watch that pushes keeps the question as well. Once its notice can leave, what has news among its parts is read here, as
// late as that, so that one answer carries all that came meanwhile; the notice brings it. What is not worth an answer after
// all sends nothing: the watch waits on. If the answer has all there is, the watch goes on behind it, at most one answer ahead
// of its reader: one who keeps up at the tail is brought everything without asking.
#include "engine/shard/shard_private.h"

#include <stdlib.h>
#include <string.h>

// Watches after which a flush asks whether its turn is spent.
enum { WATCHES_A_LOOK = 16 };

static struct watch *watch_find(struct shard *s, uint32_t from, uint64_t key)
{
    struct watch_key id = {.key = key, .from = from};
    struct watch *w = NULL;
    HASH_FIND(hh, s->watches, &id, sizeof(id), w);
    return w;
}

static void answer_free(struct shard *s, struct shard_fetch *f)
{
    if (f && f->pins)
        fetch_release(s, f->pins);
    free(f);
}

static void watch_unlink(struct watch *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        list_remove(&w->nodes[i].node);
}

static void watch_free(struct shard *s, struct watch *w)
{
    watch_unlink(w);
    list_remove(&w->fired_node);
    HASH_DEL(s->watches, w);
    s->watches_n--;
    if (w->state == WATCH_READING) {
        w->state = WATCH_DROPPED; // freed when its read ends
        return;
    }
    answer_free(s, w->f);
    free(w);
}

// With a question it stays linked, to learn what else is to be read.
static void watch_fire(struct shard *s, struct watch *w)
{
    if (w->state != WATCH_WAITS)
        return;
    w->state = WATCH_FIRED;
    if (!w->f)
        watch_unlink(w);
    list_push_back(&s->fired[w->id.from].fired, &w->fired_node);
}

// Over the limit the key fires at once: the client polls, which is slower and never wrong.
static void watch_fire_bare(struct shard *s, struct watch *w)
{
    answer_free(s, w->f);
    w->f = NULL;
    watch_fire(s, w);
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

// From what `f` was answered on.
static void watch_arm(struct shard *s, struct watch *w, const struct shard_fetch *f)
{
    bool missed = false;
    w->state = WATCH_WAITS;
    w->need = (int64_t)f->watch_bytes - (int64_t)f->total;
    for (uint32_t i = 0; i < f->n; i++) {
        struct part *p = shard_find(s, &f->parts[i].topic_id, f->parts[i].partition);
        missed |= watch_missed(p, &f->parts[i]);
        w->nodes[i].news = false;
        if (p)
            list_push_back(&p->watches, &w->nodes[i].node);
    }
    w->all = missed || f->total > 0;
    if (s->watches_n > s->cfg.max_watches)
        watch_fire_bare(s, w);
    else if (missed)
        watch_fire(s, w);
}

static struct shard_fetch *question_keep(struct shard *s, const struct shard_fetch *f)
{
    size_t parts = (size_t)f->n * sizeof(f->parts[0]);
    struct shard_fetch *q = malloc(sizeof(*q) + parts);
    if (!q)
        sl_panic("shard %u: out of memory for a watch", s->cfg.shard);
    *q = *f;
    q->parts = (struct shard_fetch_part *)(q + 1);
    memcpy(q->parts, f->parts, parts);
    q->pins = NULL;
    q->owner = NULL;
    return q;
}

void watch_register(struct shard *s, uint32_t from, const struct shard_fetch *f)
{
    watch_drop(s, from, f->watch_key);
    struct watch *w = calloc(1, sizeof(*w) + (size_t)f->n * sizeof(w->nodes[0]));
    if (!w)
        sl_panic("shard %u: out of memory for a watch", s->cfg.shard);
    w->id = (struct watch_key){.key = f->watch_key, .from = from};
    w->f = f->push ? question_keep(s, f) : NULL;
    w->n = f->n;
    list_init(&w->fired_node);
    for (uint32_t i = 0; i < w->n; i++) {
        list_init(&w->nodes[i].node);
        w->nodes[i].w = w;
    }
    HASH_ADD(hh, s->watches, id, sizeof(w->id), w);
    s->watches_n++;
    watch_arm(s, w, f);
}

void watch_arrived(struct part *p, int64_t bytes)
{
    list_foreach_safe(node, &p->watches)
    {
        struct watch_node *n = list_entry(node, struct watch_node, node);
        struct watch *w = n->w;
        n->news = true;
        w->need -= bytes;
        if (w->need <= 0)
            watch_fire(p->s->front, w);
    }
}

// The part may go: nothing stays linked to it.
void watch_fire_part(struct part *p)
{
    struct list_node *node;
    while ((node = list_pop_front(&p->watches))) {
        struct watch_node *n = list_entry(node, struct watch_node, node);
        n->news = true;
        watch_fire(p->s->front, n->w);
    }
}

void watch_read_done(struct shard *s, struct watch *w, bool state)
{
    struct shard_fetch *f = w->f;
    if (w->state == WATCH_DROPPED) {
        answer_free(s, f);
        free(w);
        return;
    }
    SL_ASSERT(w->state == WATCH_READING);
    if (state || f->total >= f->watch_bytes) {
        w->state = WATCH_READ;
        list_push_back(&s->fired[w->id.from].fired, &w->fired_node);
        return;
    }
    if (f->pins)
        fetch_release(s, f->pins);
    f->pins = NULL;
    watch_arm(s, w, f);
}

void watch_ack(struct shard *s, uint32_t from, struct shard_fired *f)
{
    struct fired_box *b = &s->fired[from];
    uint32_t i = f == &b->out[1];
    SL_ASSERT(f == &b->out[i] && b->in_flight[i]);
    for (uint32_t k = 0; k < f->n; k++)
        answer_free(s, f->keys[k].answer);
    f->n = 0;
    b->in_flight[i] = false;
    reactor_credit_give(s->r, from, 1);
}

// `from`: as shard_reply takes it.
void watch_settle(struct shard *s, uint32_t from, const struct spsc_msg *m)
{
    uint32_t to = from & 0xffff;
    if (m->u[0])
        fetch_release(s, (struct shard_pins *)(uintptr_t)m->u[0]);
    if (m->u[1])
        watch_drop(s, to, m->u[1]);
    struct watch *w = m->u[3] ? watch_find(s, to, m->u[3]) : NULL;
    if (w)
        w->ahead = false;
    struct spsc_msg *out =
        m->u[2] ? reactor_send_lazy(s->r, to, SHARD_SETTLE) : reactor_send(s->r, to, SHARD_SETTLE);
    out->flags = (uint16_t)(MSG_REPLY | from >> 16);
}

// Its answer has all that its parts have, and its reader wants any byte that comes.
static bool may_go_on(const struct watch *w)
{
    const struct shard_fetch *f = w->f;
    if (!f || w->ahead || f->watch_bytes != 1)
        return false;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct shard_fetch_part *p = &f->parts[i];
        if (p->error || p->diverging ||
            p->next_offset < (f->read_committed ? p->last_stable : p->high_watermark))
            return false;
    }
    return true;
}

static void watch_go_on(struct shard *s, struct watch *w, const struct shard_fetch *answer)
{
    struct shard_fetch *f = w->f = question_keep(s, answer);
    f->total = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        f->parts[i].fetch_offset = f->parts[i].next_offset;
        f->parts[i].bytes = f->parts[i].pieces_n = f->parts[i].aborted_n = 0;
    }
    w->ahead = true;
    watch_arm(s, w, f);
}

static void fired_add(struct shard *s, struct shard_fired *f, struct watch *w)
{
    if (f->n == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 64;
        f->keys = realloc(f->keys, f->cap * sizeof(f->keys[0]));
        if (!f->keys)
            sl_panic("shard %u: out of memory for fired watches", s->cfg.shard);
    }
    struct shard_fired_key *k = &f->keys[f->n++];
    *k = (struct shard_fired_key){.key = w->id.key, .answer = w->f, .again = may_go_on(w)};
    w->f = NULL;
    if (k->again)
        watch_go_on(s, w, k->answer);
    else
        watch_free(s, w);
}

// Those that are read at once come back to the end of the list; the others when the disk has answered.
static bool fired_gather(struct shard *s, struct fired_box *b, struct shard_fired *f)
{
    struct list_node *n;
    for (uint32_t done = 1; (n = list_pop_front(&b->fired)); done++) {
        struct watch *w = list_entry(n, struct watch, fired_node);
        if (w->f && w->state == WATCH_FIRED) {
            watch_unlink(w);
            w->state = WATCH_READING;
            fetch_watched(s, w);
        } else {
            fired_add(s, f, w);
        }
        if (done % WATCHES_A_LOOK == 0 && reactor_turn_spent(s->r))
            break;
    }
    return !list_empty(&b->fired);
}

static bool fired_send(struct shard *s, uint32_t to)
{
    struct fired_box *b = &s->fired[to];
    uint32_t i = b->in_flight[0];
    if (list_empty(&b->fired) || b->in_flight[i] || !reactor_credit_take(s->r, to, 1))
        return false;
    struct shard_fired *f = &b->out[i];
    bool left = fired_gather(s, b, f);
    if (!f->n) {
        reactor_credit_give(s->r, to, 1);
        return left;
    }
    f->urgent = b->in_flight[!i];
    b->in_flight[i] = true;
    reactor_send(s->r, to, SHARD_FIRED)->u[0] = (uint64_t)(uintptr_t)f;
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
    for (uint32_t i = 0; i < 2 * REACTOR_MAX; i++) {
        struct shard_fired *f = &s->fired[i / 2].out[i % 2];
        for (uint32_t k = 0; k < f->n; k++)
            answer_free(s, f->keys[k].answer);
        free(f->keys);
    }
}
