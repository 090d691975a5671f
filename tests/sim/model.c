// The model's bookkeeping and checks. See model.h.
#include "tests/sim/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/log/batch.h"

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

// The offsets of a batch are this attempt's from now on.
static void claim(struct model *m, struct attempt *a, int64_t offset, bool acked)
{
    struct mpart *p = a->part;
    const char *what = acked ? "acknowledged" : "read";
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
        c->acked |= acked;
        c->read |= !acked;
    }
    a->offset = offset;
    p->claimed_end = SL_MAX(p->claimed_end, offset + (int64_t)a->records);
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
        claim(m, a, offset, true);
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

// One batch as it came from the broker; *size its bytes.
static struct attempt *identify(struct model *m, struct mpart *p, const uint8_t *b, uint64_t n,
                                uint32_t *size)
{
    if (n < BATCH_HEADER_SIZE || batch_size(b) > n || batch_length(b) < BATCH_MIN_LENGTH)
        run_fail(m->r, "%s-%d: a read returned %llu bytes that are no whole batch (length field %d)",
                 p->topic->name, p->n, (unsigned long long)n, n >= BATCH_HEADER_SIZE ? batch_length(b) : -1);
    *size = batch_size(b);
    if (!batch_crc_ok(b))
        run_fail(m->r, "%s-%d: the batch read at offset %lld has a wrong CRC", p->topic->name, p->n,
                 (long long)batch_base_offset(b));
    uint64_t h = hash_of(b, *size);
    struct attempt *a = NULL;
    HASH_FIND(hh, m->by_hash, &h, sizeof(h), a);
    if (!a)
        run_fail(m->r, "%s-%d: offset %lld holds a batch that nobody sent", p->topic->name, p->n,
                 (long long)batch_base_offset(b));
    if (a->part != p)
        run_fail(m->r, "%s-%d: offset %lld holds batch %u, which was sent to %s-%d", p->topic->name, p->n,
                 (long long)batch_base_offset(b), a->id, a->part->topic->name, a->part->n);
    if (a->state == ATTEMPT_REFUSED)
        run_fail(m->r, "%s-%d: offset %lld holds batch %u, which was refused", p->topic->name, p->n,
                 (long long)batch_base_offset(b), a->id);
    return a;
}

int64_t model_read(struct model *m, struct mpart *p, int64_t from, int64_t hw, const uint8_t *bytes,
                   uint64_t n)
{
    int64_t next = -1;
    while (n) {
        uint32_t size;
        struct attempt *a = identify(m, p, bytes, n, &size);
        int64_t base = batch_base_offset(bytes);
        if (next >= 0 ? base != next : base > from || base + (int64_t)a->records <= from)
            run_fail(m->r, "%s-%d: asked for offset %lld, got a batch at %lld after %lld", p->topic->name,
                     p->n, (long long)from, (long long)base, (long long)next);
        next = base + (int64_t)a->records;
        if (next > hw)
            run_fail(m->r, "%s-%d: a reader got offset %lld above the high watermark %lld", p->topic->name,
                     p->n, (long long)next - 1, (long long)hw);
        if (!model_weak(m, p->topic))
            claim(m, a, base, false);
        m->r->sum->batches_read++;
        bytes += size;
        n -= size;
    }
    return next < 0 ? from : next;
}

void model_saw_start(struct model *m, struct mpart *p, int64_t known, int64_t start)
{
    if (start < known)
        run_fail(m->r, "%s-%d: the log start went back from %lld to %lld", p->topic->name, p->n,
                 (long long)known, (long long)start);
    if (start > p->start_asked && !m->r->k.retention_bytes)
        run_fail(m->r, "%s-%d: the log starts at %lld, but deletion was asked up to %lld", p->topic->name,
                 p->n, (long long)start, (long long)p->start_asked);
    m->r->sum->starts += start > p->start_seen;
    p->start_seen = SL_MAX(p->start_seen, start);
}

void model_verify_begin(struct model *m, struct verify *v, struct mpart *p, int64_t log_start)
{
    model_saw_start(m, p, log_start, log_start);
    *v = (struct verify){.p = p, .start = log_start, .next = log_start};
    m->verifications++;
}

// The last order that this verification saw of a producer, by its id.
struct seen {
    uint32_t producer, order;
    int32_t next_sequence;
};

void model_verify_bytes(struct model *m, struct verify *v, const uint8_t *bytes, uint64_t n)
{
    struct mpart *p = v->p;
    while (n) {
        uint32_t size;
        struct attempt *a = identify(m, p, bytes, n, &size);
        int64_t base = batch_base_offset(bytes);
        bool first = v->batches == 0 && base < v->next && base + (int64_t)a->records > v->next;
        if (base != v->next && !first)
            run_fail(m->r, "%s-%d: expected offset %lld, found %lld", p->topic->name, p->n,
                     (long long)v->next, (long long)base);
        if (a->last_seen == m->verifications)
            run_fail(m->r, "%s-%d: batch %u is in the log twice, again at offset %lld", p->topic->name, p->n,
                     a->id, (long long)base);
        a->last_seen = m->verifications;
        claim(m, a, base, false);
        v->next = base + (int64_t)a->records;
        v->batches++;
        v->bytes += size;
        v->hash = sl_hash_pair(v->hash, sl_hash_pair(a->hash, (uint64_t)batch_leader_epoch(bytes)));
        bytes += size;
        n -= size;
    }
}

// Every claim was seen, and producers' batches are in their order.
void model_verify_end(struct model *m, struct verify *v, int64_t hw)
{
    struct mpart *p = v->p;
    if (model_weak(m, p->topic))
        p->hw_seen = hw;
    if (v->next != hw)
        run_fail(m->r, "%s-%d: read to %lld, but the high watermark is %lld", p->topic->name, p->n,
                 (long long)v->next, (long long)hw);
    if (v->start > p->start_asked && v->bytes < m->r->k.retention_bytes)
        run_fail(m->r, "%s-%d: retention left %llu bytes of %u from offset %lld on", p->topic->name, p->n,
                 (unsigned long long)v->bytes, m->r->k.retention_bytes, (long long)v->start);
    if (p->claimed_end > v->next)
        run_fail(m->r, "%s-%d: the log ends at %lld, but offset %lld was acknowledged or read",
                 p->topic->name, p->n, (long long)v->next, (long long)p->claimed_end - 1);
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
    // In order of sending per producer: attempts are numbered in that order.
    struct {
        struct mproducer *pr;
        struct attempt *last;
        bool hole;
    } seen[64];
    uint32_t n = 0;
    for (uint32_t k = 1; k <= m->attempts_n; k++) {
        struct attempt *a = m->attempts[k];
        if (a->part != p)
            continue;
        uint32_t s = 0;
        while (s < n && seen[s].pr != a->producer)
            s++;
        SL_ASSERT(s < SL_ARRAY_LEN(seen));
        if (s == n) {
            seen[n].pr = a->producer;
            seen[n].last = NULL;
            seen[n++].hole = false;
        }
        bool here = a->last_seen == m->verifications;
        if (!here) {
            // What came before all that is still there may have been deleted.
            seen[s].hole |=
                a->producer->idempotent && a->state != ATTEMPT_REFUSED && (v->start == 0 || seen[s].last);
            continue;
        }
        bool ordered = seen[s].last && (a->producer->idempotent || seen[s].last->connection == a->connection);
        if (ordered && seen[s].last->offset >= a->offset)
            run_fail(m->r, "%s-%d: batches %u and %u of one producer are at offsets %lld and %lld",
                     p->topic->name, p->n, seen[s].last->id, a->id, (long long)seen[s].last->offset,
                     (long long)a->offset);
        if (seen[s].hole)
            run_fail(m->r, "%s-%d: batch %u of an idempotent producer is there, one before it is not",
                     p->topic->name, p->n, a->id);
        seen[s].last = a;
    }
}
