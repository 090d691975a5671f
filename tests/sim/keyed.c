// See keyed.h.
#include "tests/sim/keyed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/hash.h"
#include "engine/log/compress.h"
#include "engine/log/log.h"
#include "engine/log/record.h"
#include "engine/log/txnindex.h"

enum { RECORDS_MAX = 12, KEYS_MAX = 24 };

static struct compress_ctx pack; // one run per process
static struct decompress_ctx unpack;

// ---- the topics ------------------------------------------------------------------------------------------------------
static int64_t pick(struct sl_rand *g, const int64_t *v, uint32_t n)
{
    return v[sl_rand_below(g, n)];
}
#define PICK(g, ...)                                                                                         \
    pick(g, (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

void keyed_policy(struct model *m, struct mtopic *t)
{
    struct sl_rand g;
    struct mpolicy *k = &t->policy;
    t->keyed = true;
    sl_rand_seed(&g, m->r->seed * 1009 + ++m->policies);
    k->compacted = sl_rand_chance(&g, 3, 4);
    k->deletes = !k->compacted || sl_rand_chance(&g, 1, 3);
    k->converts = sl_rand_chance(&g, 1, 2);
    k->codec = k->converts ? (uint8_t)sl_rand_below(&g, 5) : 0;
    k->min_lag_ms = PICK(&g, 0, 0, 0, 30, 400);
    k->max_lag_ms = SL_MAX(PICK(&g, INT64_MAX, INT64_MAX, 50), k->min_lag_ms);
    k->delete_retention_ms = PICK(&g, 0, 50, 86400000, 86400000);
    k->segment_ms = PICK(&g, INT64_MAX, INT64_MAX, 20, 200);
    k->dirty_percent = (uint32_t)PICK(&g, 0, 1, 50);
    k->keys = (uint32_t)PICK(&g, 2, 6, KEYS_MAX);
}

void keyed_log_config(const struct mtopic *t, struct log_config *c)
{
    const struct mpolicy *k = &t->policy;
    c->compacted = k->compacted;
    c->deletes = k->deletes;
    c->converts = k->converts;
    c->codec = k->codec;
    c->codec_level = COMPRESS_LEVEL_DEFAULT;
    c->min_compaction_lag_ms = k->min_lag_ms;
    c->max_compaction_lag_ms = k->max_lag_ms;
    c->delete_retention_ms = k->delete_retention_ms;
    c->segment_ms = k->segment_ms;
    c->retention_ms = 604800000;
    c->min_cleanable_dirty_ratio = k->dirty_percent / 100.0;
}

uint32_t keyed_settings(const struct run *r, const struct mtopic *t, struct keyed_setting *out)
{
    static const char *const codecs[] = {"uncompressed", "gzip", "snappy", "lz4", "zstd"};
    static const char *const policies[] = {"", "compact", "delete", "compact,delete"};
    const struct mpolicy *k = &t->policy;
    uint32_t n = 0;
#define SETTING(name, ...)                                                                                   \
    do {                                                                                                     \
        out[n].key = name;                                                                                   \
        snprintf(out[n++].value, sizeof(out->value), __VA_ARGS__);                                           \
    } while (0)
    SETTING("cleanup.policy", "%s", policies[k->compacted + 2 * k->deletes]);
    SETTING("compression.type", "%s", k->converts ? codecs[k->codec] : "producer");
    SETTING("min.compaction.lag.ms", "%lld", (long long)k->min_lag_ms);
    SETTING("max.compaction.lag.ms", "%lld", (long long)k->max_lag_ms);
    SETTING("delete.retention.ms", "%lld", (long long)k->delete_retention_ms);
    SETTING("segment.ms", "%lld", (long long)k->segment_ms);
    SETTING("min.cleanable.dirty.ratio", "%.2f", k->dirty_percent / 100.0);
    SETTING("retention.bytes", "%lld", r->k.retention_bytes ? (long long)r->k.retention_bytes : -1);
#undef SETTING
    SL_ASSERT(n <= KEYED_SETTINGS);
    return n;
}

// ---- batches ------------------------------------------------------------------------------------------------------------
static struct record_bytes value_of(struct run *r, uint8_t *room, uint32_t most)
{
    uint32_t n = (uint32_t)run_skewed(r, 0, most);
    if (run_chance(r, 1, 4))
        return RECORD_NULL;
    payload_fill(r, room, n);
    return record_bytes_make(room, n);
}

uint8_t *keyed_make(struct run *r, const struct payload_spec *s, uint32_t *bytes, uint32_t *records)
{
    struct batch_builder b = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    uint32_t n = run_chance(r, 1, 2) ? 1 + run_below(r, RECORDS_MAX) : 1;
    uint32_t total = s->max_bytes * 3 / 4 - BATCH_HEADER_SIZE; // a codec may need more than it was given
    n = SL_MIN(n, total / 60);
    uint32_t most = total / n - 40;
    uint8_t *room = malloc(most + 1);
    const uint8_t *batch;
    size_t len;
    int rc = room ? 0 : -1;
    for (uint32_t k = 0; k < n && !rc; k++) {
        uint8_t key[2] = {'k', (uint8_t)run_below(r, s->keys)}, id[8];
        struct record_header h = {record_bytes_text("id"), record_bytes_make(id, sizeof(id))};
        be32_store(id, s->attempt);
        be32_store(id + 4, k);
        rc = batch_builder_append(&b, s->now_ms + run_below(r, 3), record_bytes_make(key, sizeof(key)),
                                  value_of(r, room, most), &h, 1);
    }
    o.producer_id = s->producer_id;
    o.producer_epoch = s->producer_id < 0 ? -1 : 0;
    o.base_sequence = s->producer_id < 0 ? -1 : s->sequence;
    o.transactional = s->transactional;
    o.codec = (uint8_t)run_below(r, 5);
    rc = rc ? rc : batch_builder_finish(&b, &o, &pack, &batch, &len);
    uint8_t *out = rc ? NULL : malloc(len);
    SL_ASSERT(out && len <= s->max_bytes);
    memcpy(out, batch, len);
    *bytes = (uint32_t)len;
    *records = n;
    free(room);
    batch_builder_destroy(&b);
    return out;
}

// ---- what was sent, and what is there ---------------------------------------------------------------------------------------
// The plain bytes of a batch's records, malloc'd; NULL: they cannot be unpacked.
static uint8_t *plain_of(const uint8_t *batch, size_t *n)
{
    enum { SLICE = 65536 };
    struct decompressor d;
    uint8_t *out = NULL;
    ssize_t k = 1;
    *n = 0;
    if (decompressor_init(&d, &unpack, batch_attr_codec(batch_attributes(batch)), batch + BATCH_RECORDS,
                          batch_size(batch) - BATCH_RECORDS, 0))
        return NULL;
    while (k > 0) {
        out = realloc(out, *n + SLICE);
        SL_ASSERT(out);
        k = decompressor_next(&d, out + *n, SLICE);
        *n += k > 0 ? (size_t)k : 0;
    }
    decompressor_destroy(&d);
    if (k == 0)
        return out;
    free(out);
    return NULL;
}

static uint64_t hash_bytes(uint64_t h, struct record_bytes b)
{
    return sl_hash_pair(
        h, sl_hash_pair((uint64_t)(int64_t)b.len, b.len > 0 ? sl_hash64(b.p, (size_t)b.len, 3) : 0));
}

static struct mrecord record_of(const uint8_t *batch, const struct record *r)
{
    struct mrecord m = {.time = batch_base_timestamp(batch) + r->timestamp_delta,
                        .key = r->key.len == 2 ? r->key.p[1] : UINT8_MAX,
                        .tombstone = r->value.len < 0};
    m.hash = sl_hash_pair((uint64_t)m.time, hash_bytes(hash_bytes(7, r->key), r->value));
    m.hash = sl_hash_pair(m.hash, sl_hash64(r->headers, (size_t)(r->headers_end - r->headers), 5));
    return m;
}

void keyed_note(struct model *m, struct attempt *a, const uint8_t *batch)
{
    a->marker = batch_attributes(batch) & BATCH_ATTR_CONTROL;
    struct record_iter it;
    struct record r;
    size_t n;
    uint8_t *plain = plain_of(batch, &n);
    a->recs = calloc(a->records, sizeof(*a->recs));
    SL_ASSERT(plain && a->recs);
    record_iter_init(&it, plain, n, (int32_t)a->records);
    for (uint32_t k = 0; k < a->records; k++) {
        SL_ASSERT(record_iter_next(&it, &r) == 1);
        a->recs[k] = record_of(batch, &r);
    }
    a->codec = (uint8_t)batch_attr_codec(batch_attributes(batch));
    a->sent_ms = sim_wall_ms(m->r->w);
    free(plain);
}

// Which attempt and which of its records the header names.
static struct attempt *owner_of(struct model *m, const struct record *r, uint32_t *index)
{
    struct record_header h;
    const uint8_t *p = r->headers;
    if (!record_header_next(r, &p, &h) || h.value.len != 8)
        return NULL;
    uint32_t id = be32_load(h.value.p);
    *index = be32_load(h.value.p + 4);
    return id && id <= m->attempts_n ? m->attempts[id] : NULL;
}

// A marker says in its coordinator epoch which it is.
static struct attempt *marker_of(struct model *m, const struct record *r)
{
    int32_t id;
    if (record_end_txn_parse(r->value, &id) || id < 1 || (uint32_t)id > m->attempts_n)
        return NULL;
    struct attempt *a = m->attempts[id];
    bool commit = record_control_type(r->key) == RECORD_CONTROL_COMMIT;
    return a->marker && a->txn->commit == commit ? a : NULL;
}

static const char *add_record(struct model *m, struct mpart *p, const uint8_t *b, const struct record *r,
                              struct mbatch *out)
{
    uint32_t k = 0;
    bool control = batch_attributes(b) & BATCH_ATTR_CONTROL;
    struct attempt *a = control ? marker_of(m, r) : owner_of(m, r, &k);
    if (!a || a->part != p || (out->a && out->a != a))
        return "a record that nobody sent in this batch";
    out->a = a;
    struct mrecord now = record_of(b, r);
    if (k >= a->records || r->offset_delta != (int32_t)k)
        return "a record at another's offset";
    if (now.hash != a->recs[k].hash)
        return "a record that is not as it was sent";
    out->mask |= 1u << k;
    out->newest = SL_MAX(out->newest, now.time);
    return NULL;
}

// A batch without records: it says what it is by its producer and sequence, or it is the one that is known to be there.
static struct attempt *empty_of(struct model *m, struct mpart *p, const uint8_t *b)
{
    int64_t base = batch_base_offset(b);
    if (batch_producer_id(b) < 0 || batch_attributes(b) & BATCH_ATTR_CONTROL) {
        struct claim *c = (uint64_t)base < p->claims_cap ? &p->claims[base] : NULL;
        return c && c->attempt ? m->attempts[c->attempt] : NULL;
    }
    for (uint32_t k = 1; k <= m->attempts_n; k++) {
        struct attempt *a = m->attempts[k];
        if (a->part == p && a->pid == batch_producer_id(b) && !a->marker &&
            a->sequence == batch_base_sequence(b))
            return a;
    }
    return NULL;
}

static const char *check_header(const struct mpart *p, const uint8_t *b, const struct mbatch *x)
{
    const struct attempt *a = x->a;
    const struct mpolicy *k = &p->topic->policy;
    uint16_t attrs = batch_attributes(b);
    bool horizon = (attrs & BATCH_ATTR_DELETE_HORIZON) != 0;
    if (!(attrs & BATCH_ATTR_TRANSACTIONAL) != !a->txn || !(attrs & BATCH_ATTR_CONTROL) != !a->marker)
        return "a batch that is no part of its transaction any more, or of one that is not its own";
    if (batch_last_offset_delta(b) != (int32_t)a->records - 1)
        return "a batch that covers other offsets than were sent";
    if (batch_producer_id(b) != a->pid || batch_base_sequence(b) != a->sequence)
        return "a batch of another producer or sequence";
    if (!k->compacted && (x->mask != (1u << a->records) - 1 || horizon))
        return "a batch from which compaction took something";
    if (x->mask && batch_attr_codec(attrs) != (k->converts && !a->marker ? k->codec : a->codec))
        return "a batch in another codec";
    if (x->mask && batch_max_timestamp(b) != x->newest)
        return "a batch with another newest timestamp";
    return NULL;
}

static const char *look_into(struct model *m, struct mpart *p, const uint8_t *b, struct mbatch *out)
{
    struct record_iter it;
    struct record r;
    const char *wrong = NULL;
    int rc = 0;
    size_t n = 0;
    uint8_t *plain = batch_record_count(b) ? plain_of(b, &n) : NULL;
    if (!plain && batch_record_count(b))
        return "a batch that cannot be unpacked";
    record_iter_init(&it, plain, n, batch_record_count(b));
    while (!wrong && plain && (rc = record_iter_next(&it, &r)) > 0)
        wrong = add_record(m, p, b, &r, out);
    free(plain);
    if (!wrong && rc)
        return "a batch whose records cannot be read";
    if (!plain)
        out->a = empty_of(m, p, b);
    return wrong;
}

struct mbatch keyed_identify(struct model *m, struct mpart *p, const uint8_t *b)
{
    struct mbatch out = {.size = batch_size(b), .base = batch_base_offset(b), .newest = -1};
    const char *wrong = look_into(m, p, b, &out);
    if (!wrong && out.a)
        wrong = check_header(p, b, &out);
    else if (!wrong && (!p->topic->policy.compacted ||
                        (batch_producer_id(b) >= 0 && !(batch_attributes(b) & BATCH_ATTR_CONTROL))))
        wrong = "an empty batch that nobody sent";
    if (wrong)
        run_fail(m->r, "%s-%d: offset %lld holds %s (batch %u)", p->topic->name, p->n, (long long)out.base,
                 wrong, out.a ? out.a->id : 0);
    out.next = out.base + batch_last_offset_delta(b) + 1;
    out.hash = sl_hash64(b, out.size, 9);
    return out;
}

// ---- what compaction must leave ------------------------------------------------------------------------------------------------
static const struct mrecord *record_at(const struct model *m, const struct claim *c, int64_t offset)
{
    const struct attempt *a = c->attempt ? m->attempts[c->attempt] : NULL;
    return a && a->offset >= 0 ? &a->recs[offset - a->offset] : NULL;
}

// Whether an attempt's records count for others of their keys: not while its transaction is open, nor when it was aborted.
static bool counts(const struct attempt *a)
{
    return !a->marker && (!a->txn || (a->txn->commit && a->txn->ended));
}

// Whether a tombstone of this key, at `offset` or behind it, may have gone by now.
static bool tombstone_went(const struct model *m, const struct mpart *p, uint8_t key, int64_t offset)
{
    for (uint32_t k = 1; k <= m->attempts_n; k++) {
        const struct attempt *a = m->attempts[k];
        if (a->part != p || a->state == ATTEMPT_REFUSED || !counts(a) ||
            m->wall_max - a->sent_ms < p->topic->policy.delete_retention_ms)
            continue;
        for (uint32_t i = 0; i < a->records; i++)
            if (a->recs[i].key == key && a->recs[i].tombstone && (a->offset < 0 || a->offset + i >= offset))
                return true;
    }
    return false;
}

static void check_gone(struct model *m, const struct verify *v, int64_t offset, const int64_t *newest)
{
    struct mpart *p = v->p;
    const struct mrecord *rec = record_at(m, &p->claims[offset], offset);
    const struct attempt *a = m->attempts[p->claims[offset].attempt];
    if (!rec)
        return;
    if (!p->topic->policy.compacted)
        run_fail(m->r, "%s-%d: batch %u at offset %lld is gone, and nothing compacts this topic",
                 p->topic->name, p->n, a->id, (long long)offset);
    if (a->marker && m->wall_max - a->sent_ms < p->topic->policy.delete_retention_ms)
        run_fail(m->r, "%s-%d: the marker at offset %lld is gone before its time", p->topic->name, p->n,
                 (long long)offset);
    if (a->marker || (a->txn && a->txn->ended && !a->txn->commit))
        return;
    if (m->wall_max - a->sent_ms < p->topic->policy.min_lag_ms)
        run_fail(m->r, "%s-%d: offset %lld was compacted before min.compaction.lag.ms", p->topic->name, p->n,
                 (long long)offset);
    if (newest[rec->key] < offset && !tombstone_went(m, p, rec->key, offset))
        run_fail(m->r,
                 "%s-%d: offset %lld (batch %u, key %u%s) is gone, and the newest of its key is at %lld",
                 p->topic->name, p->n, (long long)offset, a->id, rec->key,
                 rec->tombstone ? ", a tombstone" : "", (long long)newest[rec->key]);
}

// The batch that a producer's next one is checked against.
static void check_last_sequence(struct model *m, const struct verify *v, const struct attempt *last)
{
    const struct mpart *p = v->p;
    for (uint32_t k = last->id; k <= m->attempts_n; k++) {
        const struct attempt *a = m->attempts[k];
        if (a->part == p && a->producer == last->producer && !a->marker && a->last_seen == m->verifications)
            return;
    }
    run_fail(m->r, "%s-%d: producer %u's last batch, %u at offset %lld, is gone with its sequence",
             p->topic->name, p->n, last->producer->id, last->id, (long long)last->offset);
}

static void check_producers(struct model *m, const struct verify *v)
{
    const struct attempt *last[64] = {0}; // by producer id
    for (uint32_t k = 1; k <= m->attempts_n; k++) {
        const struct attempt *a = m->attempts[k];
        if (a->part == v->p && a->producer->idempotent && !a->marker && a->state == ATTEMPT_ACKED &&
            a->offset >= v->start && a->producer->id < SL_ARRAY_LEN(last))
            last[a->producer->id] = a;
    }
    for (uint32_t i = 0; i < SL_ARRAY_LEN(last); i++)
        if (last[i])
            check_last_sequence(m, v, last[i]);
}

void keyed_verify(struct model *m, const struct verify *v, int64_t hw)
{
    struct mpart *p = v->p;
    int64_t newest[UINT8_MAX + 1];
    int64_t end = SL_MIN(hw, (int64_t)p->claims_cap);
    memset(newest, 0xff, sizeof(newest));
    for (int64_t o = v->start; o < end; o++) {
        const struct mrecord *rec =
            p->claims[o].seen == m->verifications ? record_at(m, &p->claims[o], o) : NULL;
        if (rec && counts(m->attempts[p->claims[o].attempt]))
            newest[rec->key] = o;
    }
    for (int64_t o = v->start; o < end; o++)
        if (p->claims[o].attempt && p->claims[o].seen != m->verifications)
            check_gone(m, v, o, newest);
    check_producers(m, v);
}

// ---- by time -----------------------------------------------------------------------------------------------------------------------
static const struct mrecord *seen_at(const struct model *m, const struct verify *v, int64_t offset)
{
    const struct mpart *p = v->p;
    bool there = offset < (int64_t)p->claims_cap && p->claims[offset].seen == m->verifications;
    return there ? record_at(m, &p->claims[offset], offset) : NULL;
}

int64_t keyed_some_time(struct model *m, const struct verify *v)
{
    const struct mrecord *some = NULL;
    uint32_t n = 0;
    for (int64_t o = v->start; o < v->next; o++) {
        const struct mrecord *rec = seen_at(m, v, o);
        if (rec && run_below(m->r, ++n) == 0)
            some = rec;
    }
    return some ? some->time - 1 + run_below(m->r, 3) : -1;
}

int64_t keyed_offset_for_time(const struct model *m, const struct verify *v, int64_t time, int64_t *found)
{
    for (int64_t o = v->start; o < v->next; o++) {
        const struct mrecord *rec = seen_at(m, v, o);
        if (!rec || rec->time < time)
            continue;
        *found = rec->time;
        return o;
    }
    *found = -1;
    return -1;
}

// ---- read_committed ----------------------------------------------------------------------------------------------------------------
enum { PIDS_MAX = 8 };
struct filter {
    int64_t pids[PIDS_MAX]; // whose batches are aborted, where the reader is
    uint32_t n, next;       // of the list: the first that it has not come to
};

static uint32_t find_pid(const struct filter *f, int64_t pid)
{
    uint32_t k = 0;
    while (k < f->n && f->pids[k] != pid)
        k++;
    return k;
}

static int by_first(const void *a, const void *b)
{
    const struct aborted_txn *x = a, *y = b;
    return (x->first_offset > y->first_offset) - (x->first_offset < y->first_offset);
}

// As clients do it. True: the reader is not shown this batch.
static bool filtered(struct filter *f, const uint8_t *b, const struct aborted_txn *list, uint32_t n)
{
    int64_t last = batch_base_offset(b) + batch_last_offset_delta(b), pid = batch_producer_id(b);
    for (; f->next < n && list[f->next].first_offset <= last; f->next++)
        if (find_pid(f, list[f->next].producer_id) == f->n) {
            SL_ASSERT(f->n < PIDS_MAX);
            f->pids[f->n++] = list[f->next].producer_id;
        }
    uint32_t at = find_pid(f, pid);
    struct record_iter it;
    struct record r;
    if (batch_attributes(b) & BATCH_ATTR_CONTROL) {
        record_iter_init(&it, b + BATCH_RECORDS, batch_size(b) - BATCH_RECORDS, batch_record_count(b));
        if (at < f->n && record_iter_next(&it, &r) > 0 && record_control_type(r.key) == RECORD_CONTROL_ABORT)
            f->pids[at] = f->pids[--f->n];
        return true;
    }
    return (batch_attributes(b) & BATCH_ATTR_TRANSACTIONAL) && at < f->n;
}

// Where the first batch of it lies that is left behind the log start; INT64_MAX: none is. Whoever rebuilds what producers did
// from the log alone, as upstream after an unclean end, knows of no earlier one.
static int64_t first_left(const struct model *m, const struct mtxn *t, int64_t start)
{
    int64_t first = INT64_MAX;
    for (uint32_t k = 1; k <= m->attempts_n; k++) {
        const struct attempt *a = m->attempts[k];
        if (a->txn == t && !a->marker && a->offset >= 0 && a->offset + a->records > start)
            first = SL_MIN(first, SL_MAX(a->offset, start));
    }
    return first;
}

static void check_stable(struct model *m, const struct mpart *p, int64_t start, int64_t stable)
{
    for (const struct mtxn *t = m->txns; t; t = t->next)
        if (t->part == p && t->first >= 0 && !t->ended && t->first < stable &&
            (t->first >= start || first_left(m, t, start) < stable))
            run_fail(m->r, "%s-%d: the last stable offset is %lld, a transaction is open from %lld on",
                     p->topic->name, p->n, (long long)stable, (long long)t->first);
}

void keyed_committed(struct model *m, struct mpart *p, int64_t start, int64_t stable, const uint8_t *bytes,
                     uint64_t n, const struct aborted_txn *aborted, uint32_t aborted_n)
{
    struct filter f = {.n = 0};
    struct aborted_txn *list = malloc((aborted_n + 1) * sizeof(*list));
    SL_ASSERT(list);
    if (aborted_n) {
        memcpy(list, aborted, aborted_n * sizeof(*list));
        qsort(list, aborted_n, sizeof(*list), by_first);
    }
    check_stable(m, p, start, stable);
    for (uint32_t size; n; n -= size, bytes += size) {
        size = batch_size(bytes);
        struct mbatch x = keyed_identify(m, p, bytes);
        bool hidden = filtered(&f, bytes, list, aborted_n);
        if (x.next > stable)
            run_fail(m->r, "%s-%d: a read_committed reader got offset %lld above the last stable offset %lld",
                     p->topic->name, p->n, (long long)x.next - 1, (long long)stable);
        if (!x.mask || x.a->marker)
            continue;
        if (hidden != (x.a->txn && !x.a->txn->commit))
            run_fail(m->r,
                     "%s-%d: batch %u at offset %lld is %s for readers of committed records; its transaction "
                     "was %s",
                     p->topic->name, p->n, x.a->id, (long long)x.base, hidden ? "hidden" : "there",
                     !x.a->txn          ? "none"
                     : x.a->txn->commit ? "committed"
                                        : "aborted");
    }
    free(list);
}
