// The model's bookkeeping and checks. See model.h.
#include "tests/sim/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/log/batch.h"
#include "tests/sim/keyed.h"

static void *grow(void *p, size_t n)
{
    p = realloc(p, n);
    if (!p)
        sl_panic("out of memory");
    return p;
}

static void *zeroed(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        sl_panic("out of memory");
    return p;
}

struct model *model_create(struct run *r)
{
    struct model *m = zeroed(sizeof(*m));
    m->r = r;
    return m;
}

void model_wall(struct model *m, bool jumped)
{
    int64_t now = sim_wall_ms(m->r->w);
    m->wall_max = SL_MAX(m->wall_max, now);
    for (uint32_t k = 1; jumped && k <= m->attempts_n; k++)
        m->attempts[k]->sent_ms = SL_MIN(m->attempts[k]->sent_ms, now);
}

uint64_t model_now(struct model *m)
{
    return ++m->clock;
}

struct mtopic *model_topic_add(struct model *m, const char *name, uint32_t partitions)
{
    struct mtopic *t = zeroed(sizeof(*t));
    snprintf(t->name, sizeof(t->name), "%s", name);
    sl_rand_bytes(m->r->rng, t->id.b, sizeof(t->id.b));
    t->parts_n = partitions;
    t->caching = m->r->k.caching && run_chance(m->r, 1, 2);
    t->parts = zeroed(partitions * sizeof(*t->parts));
    for (uint32_t k = 0; k < partitions; k++) {
        t->parts[k].topic = t;
        t->parts[k].n = (int32_t)k;
    }
    t->next = m->topics;
    m->topics = t;
    if (m->r->k.keyed)
        keyed_policy(m, t);
    return t;
}

struct mtopic *model_topic_find(struct model *m, const char *name)
{
    for (struct mtopic *t = m->topics; t; t = t->next)
        if (t->state != TOPIC_DELETED && strcmp(t->name, name) == 0)
            return t;
    return NULL;
}

bool model_weak(const struct model *m, const struct mtopic *t)
{
    return t->caching && m->r->broker;
}

void model_crashed(struct model *m)
{
    for (struct mtopic *t = m->topics; t; t = t->next)
        for (uint32_t k = 0; t->caching && k < t->parts_n; k++) {
            struct mpart *p = &t->parts[k];
            if (p->claims_cap)
                memset(p->claims, 0, p->claims_cap * sizeof(*p->claims));
            p->claimed_end = p->hw_seen = 0;
        }
    for (uint32_t k = 1; k <= m->attempts_n; k++) {
        struct attempt *a = m->attempts[k];
        if (!a->part->topic->caching)
            continue;
        a->offset = -1;
        if (a->state == ATTEMPT_ACKED)
            a->state = ATTEMPT_UNKNOWN;
    }
}

static uint64_t hash_of(const uint8_t *batch, uint32_t bytes)
{
    return sl_hash64(batch + BATCH_ATTRIBUTES, bytes - BATCH_ATTRIBUTES, 1);
}

struct attempt *model_sent(struct model *m, struct mpart *p, struct mproducer *pr, const uint8_t *batch,
                           uint32_t bytes, uint32_t records, int32_t sequence)
{
    struct attempt *a = zeroed(sizeof(*a));
    if (m->attempts_n + 1 >= m->attempts_cap) {
        m->attempts_cap = m->attempts_cap ? m->attempts_cap * 2 : 256;
        m->attempts = grow(m->attempts, m->attempts_cap * sizeof(struct attempt *));
    }
    a->id = ++m->attempts_n;
    m->attempts[a->id] = a;
    a->hash = hash_of(batch, bytes);
    a->bytes = bytes;
    a->records = records;
    a->part = p;
    a->producer = pr;
    a->order = ++pr->orders;
    a->connection = pr->connection;
    a->sequence = sequence;
    a->offset = -1;
    a->pid = pr->idempotent ? pr->pid : -1;
    if (p->topic->keyed)
        keyed_note(m, a, batch);
    struct attempt *twin = NULL;
    HASH_FIND(hh, m->by_hash, &a->hash, sizeof(a->hash), twin);
    SL_ASSERT(!twin); // every payload names its attempt
    HASH_ADD(hh, m->by_hash, hash, sizeof(a->hash), a);
    return a;
}

static struct claim *claim_at(struct mpart *p, int64_t offset)
{
    if ((uint64_t)offset >= p->claims_cap) {
        uint32_t cap = p->claims_cap ? p->claims_cap : 64;
        while (cap <= (uint64_t)offset)
            cap *= 2;
        p->claims = grow(p->claims, cap * sizeof(*p->claims));
        memset(p->claims + p->claims_cap, 0, (cap - p->claims_cap) * sizeof(*p->claims));
        p->claims_cap = cap;
    }
    return &p->claims[offset];
}

// The offsets of a batch are this attempt's from now on; `mask`: those whose records are there. `asked`: as in model_read, 0 if it
// was not read.
static void claim(struct model *m, struct attempt *a, int64_t offset, uint32_t mask, uint64_t asked)
{
    struct mpart *p = a->part;
    const char *what = asked ? "read" : "acknowledged";
    if (offset < 0 || offset > 1 << 24)
        run_fail(m->r, "%s-%d: a batch was %s at offset %lld", p->topic->name, p->n, what, (long long)offset);
    if (a->offset >= 0 && a->offset != offset)
        run_fail(m->r, "%s-%d: batch %u was at offset %lld and is %s at %lld", p->topic->name, p->n, a->id,
                 (long long)a->offset, what, (long long)offset);
    for (uint32_t k = 0; k < a->records; k++) {
        struct claim *c = claim_at(p, offset + k);
        if (c->attempt && c->attempt != a->id)
            run_fail(m->r, "%s-%d: offset %lld holds batch %u (%s%s) and batch %u is %s there",
                     p->topic->name, p->n, (long long)offset + k, c->attempt, c->acked ? "acknowledged " : "",
                     c->read ? "read" : "", a->id, what);
        c->attempt = a->id;
        if (!(mask & 1u << k))
            continue;
        if (asked && c->gone && c->gone < asked)
            run_fail(m->r, "%s-%d: offset %lld was gone, and is there again", p->topic->name, p->n,
                     (long long)offset + k);
        c->acked |= !asked;
        c->read |= asked != 0;
    }
    a->offset = offset;
    p->claimed_end = SL_MAX(p->claimed_end, offset + (int64_t)a->records);
}

// A reader was shown a batch at `base` that is the first from offset `from` on: what is missing is gone for good.
static void note_gone(struct model *m, struct mpart *p, int64_t from, const struct mbatch *x)
{
    uint64_t now = model_now(m);
    for (int64_t o = from; p->topic->keyed && o < x->next; o++)
        if (o < x->base || !(x->mask & 1u << (o - x->base))) {
            struct claim *c = claim_at(p, o);
            m->r->sum->compacted += !c->gone;
            c->gone = c->gone ? c->gone : now;
        }
}

void model_acked(struct model *m, struct attempt *a, int64_t offset)
{
    if (a->state != ATTEMPT_ACKED) {
        m->r->sum->batches_acked++;
        m->r->sum->records_acked += a->records;
        m->r->sum->bytes_acked += a->bytes;
    }
    a->state = model_weak(m, a->part->topic) ? ATTEMPT_UNKNOWN : ATTEMPT_ACKED;
    if (a->state == ATTEMPT_ACKED)
        claim(m, a, offset, UINT32_MAX, 0);
    free(a->copy);
    a->copy = NULL;
}

void model_saw_hw(struct model *m, struct mpart *p, int64_t known, int64_t hw)
{
    if (model_weak(m, p->topic))
        return;
    if (hw < known)
        run_fail(m->r, "%s-%d: the high watermark went back from %lld to %lld", p->topic->name, p->n,
                 (long long)known, (long long)hw);
    p->hw_seen = SL_MAX(p->hw_seen, hw);
}

static struct mbatch by_bytes(struct model *m, struct mpart *p, const uint8_t *b)
{
    struct mbatch x = {.size = batch_size(b), .mask = UINT32_MAX, .base = batch_base_offset(b)};
    uint64_t h = hash_of(b, x.size);
    HASH_FIND(hh, m->by_hash, &h, sizeof(h), x.a);
    if (!x.a)
        run_fail(m->r, "%s-%d: offset %lld holds a batch that nobody sent", p->topic->name, p->n,
                 (long long)x.base);
    x.next = x.base + (int64_t)x.a->records;
    x.hash = sl_hash_pair(x.a->hash, (uint64_t)batch_leader_epoch(b));
    return x;
}

// One batch as it came from the broker.
static struct mbatch identify(struct model *m, struct mpart *p, const uint8_t *b, uint64_t n)
{
    if (n < BATCH_HEADER_SIZE || batch_size(b) > n || batch_length(b) < BATCH_MIN_LENGTH)
        run_fail(m->r, "%s-%d: a read returned %llu bytes that are no whole batch (length field %d)",
                 p->topic->name, p->n, (unsigned long long)n, n >= BATCH_HEADER_SIZE ? batch_length(b) : -1);
    if (!batch_crc_ok(b))
        run_fail(m->r, "%s-%d: the batch read at offset %lld has a wrong CRC", p->topic->name, p->n,
                 (long long)batch_base_offset(b));
    struct mbatch x = p->topic->keyed ? keyed_identify(m, p, b) : by_bytes(m, p, b);
    struct attempt *a = x.a;
    if (a && a->part != p)
        run_fail(m->r, "%s-%d: offset %lld holds batch %u, which was sent to %s-%d", p->topic->name, p->n,
                 (long long)batch_base_offset(b), a->id, a->part->topic->name, a->part->n);
    if (a && a->state == ATTEMPT_REFUSED)
        run_fail(m->r, "%s-%d: offset %lld holds batch %u, which was refused", p->topic->name, p->n,
                 (long long)batch_base_offset(b), a->id);
    return x;
}

int64_t model_read(struct model *m, struct mpart *p, int64_t from, uint64_t asked, int64_t hw,
                   const uint8_t *bytes, uint64_t n)
{
    bool gaps = p->topic->policy.compacted;
    int64_t next = -1;
    while (n) {
        struct mbatch x = identify(m, p, bytes, n);
        bool fits =
            next >= 0 ? (gaps ? x.base >= next : x.base == next) : (gaps || x.base <= from) && x.next > from;
        if (!fits)
            run_fail(m->r, "%s-%d: asked for offset %lld, got a batch at %lld after %lld", p->topic->name,
                     p->n, (long long)from, (long long)x.base, (long long)next);
        if (x.next > hw)
            run_fail(m->r, "%s-%d: a reader got offset %lld above the high watermark %lld", p->topic->name,
                     p->n, (long long)x.next - 1, (long long)hw);
        if (!model_weak(m, p->topic)) {
            if (x.a)
                claim(m, x.a, x.base, x.mask, asked);
            note_gone(m, p, next >= 0 ? next : from, &x);
        }
        next = x.next;
        m->r->sum->batches_read++;
        bytes += x.size;
        n -= x.size;
    }
    return next < 0 ? from : next;
}

void model_saw_start(struct model *m, struct mpart *p, int64_t known, int64_t start)
{
    if (start < known)
        run_fail(m->r, "%s-%d: the log start went back from %lld to %lld", p->topic->name, p->n,
                 (long long)known, (long long)start);
    bool retains = m->r->k.retention_bytes && (!p->topic->keyed || p->topic->policy.deletes);
    if (start > p->start_asked && !retains)
        run_fail(m->r, "%s-%d: the log starts at %lld, but deletion was asked up to %lld", p->topic->name,
                 p->n, (long long)start, (long long)p->start_asked);
    m->r->sum->starts += start > p->start_seen;
    p->start_seen = SL_MAX(p->start_seen, start);
}

void model_verify_begin(struct model *m, struct verify *v, struct mpart *p, int64_t log_start)
{
    model_saw_start(m, p, log_start, log_start);
    model_wall(m, false);
    *v = (struct verify){.p = p, .start = log_start, .next = log_start};
    m->verifications++;
}

// The last order that this verification saw of a producer, by its id.
struct seen {
    uint32_t producer, order;
    int32_t next_sequence;
};

void model_verify_bytes(struct model *m, struct verify *v, uint64_t asked, const uint8_t *bytes, uint64_t n)
{
    struct mpart *p = v->p;
    while (n) {
        struct mbatch x = identify(m, p, bytes, n);
        bool first = v->batches == 0 && x.base < v->next && x.next > v->next;
        bool gap = p->topic->policy.compacted && x.base > v->next;
        if (x.base != v->next && !first && !gap)
            run_fail(m->r, "%s-%d: expected offset %lld, found %lld", p->topic->name, p->n,
                     (long long)v->next, (long long)x.base);
        if (x.a && x.a->last_seen == m->verifications)
            run_fail(m->r, "%s-%d: batch %u is in the log twice, again at offset %lld", p->topic->name, p->n,
                     x.a->id, (long long)x.base);
        if (x.a) {
            x.a->last_seen = m->verifications;
            claim(m, x.a, x.base, x.mask, asked);
            for (uint32_t k = 0; k < x.a->records && p->topic->keyed; k++)
                if (x.mask & 1u << k)
                    claim_at(p, x.base + k)->seen = m->verifications;
        }
        note_gone(m, p, v->next, &x);
        v->next = x.next;
        v->batches++;
        v->bytes += x.size;
        v->hash = sl_hash_pair(v->hash, x.hash);
        bytes += x.size;
        n -= x.size;
    }
}

// What was acknowledged is there, or was deleted. Compaction's leave to take something is looked at by keyed_verify.
static void check_acked(struct model *m, const struct verify *v)
{
    struct mpart *p = v->p;
    for (uint32_t k = 1; k <= m->attempts_n; k++) {
        struct attempt *a = m->attempts[k];
        if (a->part != p || a->last_seen == m->verifications ||
            (a->state != ATTEMPT_ACKED && !a->must_be_there))
            continue;
        if (a->offset >= 0 ? a->offset + (int64_t)a->records <= v->start : v->start > 0)
            continue; // deleted, or perhaps
        if (a->state != ATTEMPT_ACKED)
            run_fail(m->r, "%s-%d: batch %u was refused as out of sequence and is not in the log",
                     p->topic->name, p->n, a->id);
        run_fail(m->r, "%s-%d: batch %u, acknowledged at offset %lld, is not in the log", p->topic->name,
                 p->n, a->id, (long long)a->offset);
    }
}

// What a verification knows of one producer on its way through the attempts.
struct lane_seen {
    struct mproducer *pr;
    struct attempt *last;
    bool hole;
};

static void check_next(struct model *m, const struct verify *v, struct lane_seen *s, struct attempt *a)
{
    struct mpart *p = v->p;
    if (a->last_seen != m->verifications) {
        // What came before all that is still there may have been deleted.
        s->hole |= a->producer->idempotent && a->state != ATTEMPT_REFUSED && (v->start == 0 || s->last) &&
                   !p->topic->policy.compacted && !a->marker;
        return;
    }
    bool ordered = s->last && (a->producer->idempotent || s->last->connection == a->connection);
    if (ordered && s->last->offset >= a->offset)
        run_fail(m->r, "%s-%d: batches %u and %u of one producer are at offsets %lld and %lld",
                 p->topic->name, p->n, s->last->id, a->id, (long long)s->last->offset, (long long)a->offset);
    if (s->hole)
        run_fail(m->r, "%s-%d: batch %u of an idempotent producer is there, one before it is not",
                 p->topic->name, p->n, a->id);
    s->last = a;
}

// In order of sending per producer: attempts are numbered in that order.
static void check_order(struct model *m, const struct verify *v)
{
    struct lane_seen seen[64];
    uint32_t n = 0;
    for (uint32_t k = 1; k <= m->attempts_n; k++) {
        struct attempt *a = m->attempts[k];
        if (a->part != v->p)
            continue;
        uint32_t s = 0;
        while (s < n && seen[s].pr != a->producer)
            s++;
        SL_ASSERT(s < SL_ARRAY_LEN(seen));
        if (s == n)
            seen[n++] = (struct lane_seen){.pr = a->producer};
        check_next(m, v, &seen[s], a);
    }
}

// Every claim was seen, and producers' batches are in their order.
void model_verify_end(struct model *m, struct verify *v, int64_t hw)
{
    struct mpart *p = v->p;
    bool compacted = p->topic->policy.compacted;
    if (model_weak(m, p->topic))
        p->hw_seen = hw;
    if (v->next != hw)
        run_fail(m->r, "%s-%d: read to %lld, but the high watermark is %lld", p->topic->name, p->n,
                 (long long)v->next, (long long)hw);
    if (v->start > p->start_asked && v->bytes < m->r->k.retention_bytes && !compacted)
        run_fail(m->r, "%s-%d: retention left %llu bytes of %u from offset %lld on", p->topic->name, p->n,
                 (unsigned long long)v->bytes, m->r->k.retention_bytes, (long long)v->start);
    if (p->claimed_end > v->next)
        run_fail(m->r, "%s-%d: the log ends at %lld, but offset %lld was acknowledged or read",
                 p->topic->name, p->n, (long long)v->next, (long long)p->claimed_end - 1);
    if (!compacted)
        check_acked(m, v);
    if (p->topic->keyed)
        keyed_verify(m, v, hw);
    check_order(m, v);
}
