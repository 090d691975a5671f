#include "engine/log/producer_state.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/base/hash.h"
#include "engine/log/producer_state_private.h"
#include "engine/log/record.h"

/* Up to this many producers a scan of the array is as fast as a table. */
#define SCAN_MAX 8

void producer_state_init(struct producer_state *s, int64_t end_offset)
{
    *s = (struct producer_state){.end_offset = end_offset};
}

void producer_state_destroy(struct producer_state *s)
{
    free(s->entries);
    free(s->slots);
    free(s->ongoing.t);
    free(s->unreplicated.t);
    producer_state_init(s, 0);
}

void producer_state_clear(struct producer_state *s, int64_t end_offset)
{
    producer_state_destroy(s);
    s->end_offset = end_offset;
}

/* ---- the table: open addressing, linear probing, entry index + 1 in a slot, 0 for an empty one ---- */

static uint32_t slot_of(const struct producer_state *s, int64_t producer_id)
{
    return (uint32_t)sl_hash_u64((uint64_t)producer_id) & s->slot_mask;
}

static void slot_insert(struct producer_state *s, uint32_t index)
{
    uint32_t at = slot_of(s, s->entries[index].producer_id);
    while (s->slots[at])
        at = (at + 1) & s->slot_mask;
    s->slots[at] = index + 1;
}

/* Fills the table anew, as large as it is. */
static void slots_rebuild(struct producer_state *s)
{
    if (!s->slots)
        return;
    memset(s->slots, 0, ((size_t)s->slot_mask + 1) * sizeof(*s->slots));
    for (uint32_t i = 0; i < s->count; i++)
        slot_insert(s, i);
}

/* Makes the table fit for `count` entries at half load. */
static int slots_reserve(struct producer_state *s, uint32_t count)
{
    if (count <= SCAN_MAX || (s->slots && count <= (s->slot_mask + 1) / 2))
        return 0;
    uint32_t size = 4 * SCAN_MAX;
    while (size / 2 < count)
        size *= 2;
    uint32_t *slots = malloc((size_t)size * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    free(s->slots);
    s->slots = slots;
    s->slot_mask = size - 1;
    slots_rebuild(s);
    return 0;
}

static struct producer_entry *find(const struct producer_state *s, int64_t producer_id)
{
    if (!s->slots) {
        for (uint32_t i = 0; i < s->count; i++) {
            if (s->entries[i].producer_id == producer_id)
                return &s->entries[i];
        }
        return NULL;
    }
    for (uint32_t at = slot_of(s, producer_id); s->slots[at]; at = (at + 1) & s->slot_mask) {
        struct producer_entry *e = &s->entries[s->slots[at] - 1];
        if (e->producer_id == producer_id)
            return e;
    }
    return NULL;
}

const struct producer_entry *producer_state_find(const struct producer_state *s, int64_t producer_id)
{
    return find(s, producer_id);
}

static int txns_reserve(struct producer_txns *x, uint32_t count)
{
    if (count <= x->cap)
        return 0;
    uint32_t cap = SL_MAX(count, x->cap * 2);
    struct producer_txn *t = realloc(x->t, (size_t)cap * sizeof(*t));
    if (!t)
        return -ENOMEM;
    x->t = t;
    x->cap = cap;
    return 0;
}

/* Room for one more producer, and for its transaction to begin and to complete. */
int producer_state_reserve(struct producer_state *s, bool txn)
{
    if (txn && (txns_reserve(&s->ongoing, s->ongoing.count + 1) < 0 ||
                txns_reserve(&s->unreplicated, s->unreplicated.count + 1) < 0))
        return -ENOMEM;
    if (s->count < s->cap)
        return slots_reserve(s, s->count + 1);
    uint32_t cap = s->cap < 4 ? s->cap + 1 : s->cap + s->cap / 2;
    struct producer_entry *e = realloc(s->entries, (size_t)cap * sizeof(*e));
    if (!e)
        return -ENOMEM;
    s->entries = e;
    s->cap = cap;
    return slots_reserve(s, s->count + 1);
}

/* Adds a producer of which nothing is known. Room was reserved. */
struct producer_entry *producer_state_add(struct producer_state *s, int64_t producer_id)
{
    SL_ASSERT(s->count < s->cap);
    struct producer_entry *e = &s->entries[s->count++];
    *e = (struct producer_entry){.producer_id = producer_id,
                                 .last_timestamp = BATCH_NO_TIMESTAMP,
                                 .txn_first_offset = -1,
                                 .coordinator_epoch = -1,
                                 .epoch = BATCH_NO_PRODUCER_EPOCH};
    if (s->slots)
        slot_insert(s, s->count - 1);
    return e;
}

/* Inserts by first offset; nearly always at the end. Room was reserved. */
void producer_txns_insert(struct producer_txns *x, struct producer_txn t)
{
    SL_ASSERT(x->count < x->cap);
    uint32_t at = x->count++;
    for (; at > 0 && x->t[at - 1].first_offset > t.first_offset; at--)
        x->t[at] = x->t[at - 1];
    x->t[at] = t;
}

static void txns_remove(struct producer_txns *x, uint32_t at)
{
    memmove(&x->t[at], &x->t[at + 1], (size_t)(--x->count - at) * sizeof(*x->t));
}

/* ---- one producer's batches ---- */

static const struct producer_batch *batch_at(const struct producer_entry *e, uint32_t i)
{
    return &e->batches[(e->batch_first + i) % PRODUCER_BATCHES_KEPT];
}

const struct producer_batch *producer_entry_last_batch(const struct producer_entry *e)
{
    return e->batch_count ? batch_at(e, e->batch_count - 1u) : NULL;
}

void producer_entry_add_batch(struct producer_entry *e, struct producer_batch b)
{
    if (e->batch_count == PRODUCER_BATCHES_KEPT) {
        e->batch_first = (uint8_t)((e->batch_first + 1) % PRODUCER_BATCHES_KEPT);
        e->batch_count--;
    }
    e->batches[(e->batch_first + e->batch_count++) % PRODUCER_BATCHES_KEPT] = b;
}

static void set_epoch(struct producer_entry *e, int16_t epoch)
{
    if (e->epoch == epoch)
        return;
    e->epoch = epoch;
    e->batch_count = e->batch_first = 0;
}

static bool find_duplicate(const struct producer_entry *e, const struct batch_info *b,
                           struct producer_duplicate *dup)
{
    if (e->epoch != b->producer_epoch)
        return false;
    for (uint32_t i = 0; i < e->batch_count; i++) {
        const struct producer_batch *k = batch_at(e, i);
        if (k->last_sequence != batch_info_last_sequence(b) ||
            batch_sequence_sub(k->last_sequence, k->offset_delta) != b->base_sequence)
            continue;
        *dup = (struct producer_duplicate){.base_offset = k->last_offset - k->offset_delta,
                                           .last_offset = k->last_offset,
                                           .timestamp = k->timestamp};
        return true;
    }
    return false;
}

/* ---- checks ---- */

static int16_t check_sequence(const struct producer_entry *e, const struct batch_info *b, bool txn_v2)
{
    bool known = e != NULL && e->epoch != BATCH_NO_PRODUCER_EPOCH;
    bool has_batches = e != NULL && e->batch_count > 0;
    if (txn_v2 && !has_batches && b->base_sequence != 0)
        return KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    if (!known)
        return KERR_NONE;
    if (e->epoch != b->producer_epoch)
        return b->base_sequence == 0 ? KERR_NONE : KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    int32_t last = has_batches ? producer_entry_last_batch(e)->last_sequence : BATCH_NO_SEQUENCE;
    int32_t next = last < 0 ? 0 : batch_sequence_add(last, 1);
    return b->base_sequence == next ? KERR_NONE : KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

static int16_t check_transaction(const struct producer_entry *e, const struct batch_info *b,
                                 const struct producer_check *c)
{
    bool ongoing = e && e->txn_first_offset >= 0 && e->epoch == b->producer_epoch;
    if (!batch_info_is_transactional(b) || ongoing || !c->txn_unverified)
        return KERR_NONE;
    return e && b->producer_epoch < e->epoch ? KERR_INVALID_PRODUCER_EPOCH : KERR_INVALID_TXN_STATE;
}

int16_t producer_state_check(struct producer_state *s, const struct batch_info *b,
                             const struct producer_check *c, struct producer_duplicate *dup)
{
    SL_ASSERT(batch_info_has_producer(b) && !batch_info_is_control(b));
    const struct producer_entry *e = find(s, b->producer_id);
    bool client = c->origin == PRODUCER_FROM_CLIENT;
    if (client && e && find_duplicate(e, b, dup))
        return KERR_DUPLICATE_SEQUENCE_NUMBER;
    int16_t rc = check_transaction(e, b, c);
    if (rc != KERR_NONE)
        return rc;
    if (e && b->producer_epoch < e->epoch)
        return KERR_INVALID_PRODUCER_EPOCH;
    rc = client ? check_sequence(e, b, c->txn_v2) : (int16_t)KERR_NONE;
    if (rc != KERR_NONE)
        return rc;
    if (e && e->txn_first_offset >= 0 && !batch_info_is_transactional(b))
        return KERR_INVALID_TXN_STATE;
    return producer_state_reserve(s, batch_info_is_transactional(b)) < 0 ? KERR_UNKNOWN_SERVER_ERROR
                                                                         : KERR_NONE;
}

int16_t producer_state_check_marker(struct producer_state *s, const struct producer_marker *m,
                                    int txn_version)
{
    const struct producer_entry *e = find(s, m->producer_id);
    if (e) {
        bool old = txn_version >= 2 ? m->epoch <= e->epoch : m->epoch < e->epoch;
        /* A marker again after its transaction has ended: the coordinator repeats itself, which is fine. */
        bool repeated =
            txn_version >= 2 && m->epoch == e->epoch && (e->txn_first_offset < 0 || m->epoch == INT16_MAX);
        if (old && !repeated)
            return KERR_INVALID_PRODUCER_EPOCH;
        if (e->coordinator_epoch > m->coordinator_epoch)
            return KERR_TRANSACTION_COORDINATOR_FENCED;
    }
    return producer_state_reserve(s, true) < 0 ? KERR_UNKNOWN_SERVER_ERROR : KERR_NONE;
}

/* ---- applies ---- */

int producer_state_apply(struct producer_state *s, const struct batch_info *b)
{
    int64_t last_offset = batch_info_last_offset(b);
    SL_ASSERT(!batch_info_is_control(b) || !batch_info_has_producer(b));
    if (batch_info_has_producer(b)) {
        if (producer_state_reserve(s, batch_info_is_transactional(b)) < 0)
            return -ENOMEM;
        struct producer_entry *e = find(s, b->producer_id);
        e = e ? e : producer_state_add(s, b->producer_id);
        set_epoch(e, b->producer_epoch);
        e->last_timestamp = b->max_timestamp;
        producer_entry_add_batch(e, (struct producer_batch){.last_offset = last_offset,
                                                            .timestamp = b->max_timestamp,
                                                            .last_sequence = batch_info_last_sequence(b),
                                                            .offset_delta = b->last_offset_delta});
        if (batch_info_is_transactional(b) && e->txn_first_offset < 0) {
            e->txn_first_offset = b->base_offset;
            producer_txns_insert(&s->ongoing, (struct producer_txn){.first_offset = b->base_offset,
                                                                    .last_offset = -1,
                                                                    .producer_id = b->producer_id});
        }
    }
    s->end_offset = last_offset + 1;
    return 0;
}

/* Moves the producer's open transaction, which there is, to those that wait for the high watermark. */
static void complete(struct producer_state *s, const struct producer_marker *m,
                     struct producer_completed *done)
{
    uint32_t at = 0;
    while (at < s->ongoing.count && (s->ongoing.t[at].first_offset != done->first_offset ||
                                     s->ongoing.t[at].producer_id != m->producer_id))
        at++;
    SL_ASSERT(at < s->ongoing.count);
    struct producer_txn t = s->ongoing.t[at];
    txns_remove(&s->ongoing, at);
    t.last_offset = m->offset;
    producer_txns_insert(&s->unreplicated, t);
    done->producer_id = m->producer_id;
    done->last_offset = m->offset;
    done->last_stable_offset = s->ongoing.count ? s->ongoing.t[0].first_offset : m->offset + 1;
    done->aborted = !m->commit;
}

int producer_state_apply_marker(struct producer_state *s, const struct producer_marker *m,
                                struct producer_completed *done)
{
    done->first_offset = -1;
    if (producer_state_reserve(s, true) < 0)
        return -ENOMEM;
    struct producer_entry *e = find(s, m->producer_id);
    e = e ? e : producer_state_add(s, m->producer_id);
    done->first_offset = e->txn_first_offset;
    if (done->first_offset >= 0)
        complete(s, m, done);
    set_epoch(e, m->epoch);
    e->coordinator_epoch = m->coordinator_epoch;
    e->last_timestamp = m->timestamp;
    e->txn_first_offset = -1;
    s->end_offset = m->offset + 1;
    return 0;
}

int producer_marker_parse(const uint8_t *p, size_t n, struct producer_marker *out)
{
    struct batch_info b;
    struct record_iter it;
    struct record r;
    if (batch_parse(p, n, &b) < 0 || !batch_info_is_control(&b))
        return -EBADMSG;
    if (b.record_count == 0)
        return 0;
    if (batch_attr_codec(b.attributes) != BATCH_CODEC_NONE)
        return -EBADMSG;
    record_iter_init(&it, p + BATCH_HEADER_SIZE, b.size - BATCH_HEADER_SIZE, b.record_count);
    if (record_iter_next(&it, &r) != 1)
        return -EBADMSG;
    int type = record_control_type(r.key);
    if (type < 0)
        return type;
    if (type != RECORD_CONTROL_COMMIT && type != RECORD_CONTROL_ABORT)
        return 0;
    *out = (struct producer_marker){.producer_id = b.producer_id,
                                    .offset = b.base_offset,
                                    .timestamp =
                                        (int64_t)((uint64_t)b.base_timestamp + (uint64_t)r.timestamp_delta),
                                    .epoch = b.producer_epoch,
                                    .commit = type == RECORD_CONTROL_COMMIT};
    if (b.attributes & BATCH_ATTR_LOG_APPEND_TIME)
        out->timestamp = b.max_timestamp;
    return record_end_txn_parse(r.value, &out->coordinator_epoch) < 0 ? -EBADMSG : 1;
}

int producer_state_apply_batch(struct producer_state *s, const uint8_t *p, size_t n,
                               struct producer_completed *done)
{
    struct batch_info b;
    done->first_offset = -1;
    if (batch_parse(p, n, &b) < 0 || b.base_offset < 0 || b.last_offset_delta < 0 ||
        batch_info_last_offset(&b) < b.base_offset || batch_info_last_offset(&b) == INT64_MAX)
        return -EBADMSG;
    if (!batch_info_is_control(&b))
        return producer_state_apply(s, &b);
    if (batch_info_has_producer(&b)) {
        struct producer_marker m;
        int rc = producer_marker_parse(p, n, &m);
        if (rc > 0)
            rc = producer_state_apply_marker(s, &m, done);
        if (rc < 0)
            return rc;
    }
    s->end_offset = batch_info_last_offset(&b) + 1;
    return 0;
}

/* ---- offsets ---- */

int64_t producer_state_first_undecided(const struct producer_state *s)
{
    return s->ongoing.count ? s->ongoing.t[0].first_offset : -1;
}

int64_t producer_state_first_unstable(const struct producer_state *s)
{
    int64_t undecided = producer_state_first_undecided(s);
    if (!s->unreplicated.count)
        return undecided;
    int64_t unreplicated = s->unreplicated.t[0].first_offset;
    return undecided < 0 ? unreplicated : SL_MIN(undecided, unreplicated);
}

int64_t producer_state_oldest_txn_timestamp(const struct producer_state *s)
{
    const struct producer_entry *e = s->ongoing.count ? find(s, s->ongoing.t[0].producer_id) : NULL;
    return e ? e->last_timestamp : -1;
}

int64_t producer_state_last_stable(const struct producer_state *s, int64_t high_watermark, int64_t log_start)
{
    int64_t unstable = producer_state_first_unstable(s);
    if (unstable < 0)
        return high_watermark;
    unstable = SL_MAX(unstable, log_start);
    return SL_MIN(high_watermark, unstable);
}

void producer_state_on_high_watermark(struct producer_state *s, int64_t high_watermark)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->unreplicated.count; i++) {
        if (s->unreplicated.t[i].last_offset >= high_watermark)
            s->unreplicated.t[kept++] = s->unreplicated.t[i];
    }
    s->unreplicated.count = kept;
}

void producer_state_on_log_start(struct producer_state *s, int64_t log_start)
{
    producer_state_on_high_watermark(s, log_start);
    s->end_offset = SL_MAX(s->end_offset, log_start);
}

bool producer_entry_expired(const struct producer_entry *e, int64_t now_ms, int64_t expiration_ms)
{
    /* A last timestamp may be any number that a client chose. */
    int64_t idle = (int64_t)((uint64_t)now_ms - (uint64_t)e->last_timestamp);
    return e->txn_first_offset < 0 && idle >= expiration_ms;
}

uint32_t producer_state_expire(struct producer_state *s, int64_t now_ms, int64_t expiration_ms)
{
    uint32_t kept = 0, before = s->count;
    for (uint32_t i = 0; i < before; i++) {
        if (producer_entry_expired(&s->entries[i], now_ms, expiration_ms))
            continue;
        if (kept != i)
            s->entries[kept] = s->entries[i];
        kept++;
    }
    s->count = kept;
    if (kept == 0) {
        free(s->entries);
        free(s->slots);
        s->entries = NULL;
        s->slots = NULL;
        s->cap = s->slot_mask = 0;
    } else if (kept != before) {
        slots_rebuild(s);
    }
    return before - kept;
}
