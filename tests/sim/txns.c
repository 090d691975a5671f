// Producers of transactions, with the part of their coordinator: a transaction lies in one partition, its batches are sent one
// after the other, each until it is answered, over as many lives as that takes; then its marker, likewise.
#include <stdlib.h>
#include <string.h>

#include "engine/log/batch.h"
#include "engine/log/record.h"
#include "tests/sim/keyed.h"
#include "tests/sim/traffic_private.h"

enum { FIRST_PID = 5000, FIRST_ID = 40 };

// It lives as long as the run: there is one in a process.
static struct txns {
    struct mproducer m;
    struct mtxn *now; // NULL: none is open
    uint32_t left;    // batches still to be sent
    struct attempt *sending;
    uint32_t life;        // in which it was sent
    int32_t next_seq[64]; // by slot of a partition
    struct mpart *parts[64];
} all[TXNS_MAX];

static int32_t *sequence_of(struct txns *x, struct mpart *p)
{
    for (uint32_t k = 0; k < SL_ARRAY_LEN(x->parts); k++) {
        if (!x->parts[k])
            x->parts[k] = p;
        if (x->parts[k] == p)
            return &x->next_seq[k];
    }
    return NULL; // so many topics came and went: no more transactions
}

static void begin(struct traffic *t, struct txns *x)
{
    struct run *r = traffic_life(t)->r;
    struct mpart *p = traffic_pick(t);
    if (!p || !p->topic->keyed || p->topic->caching || !sequence_of(x, p))
        return;
    struct mtxn *txn = calloc(1, sizeof(*txn));
    SL_ASSERT(txn);
    *txn = (struct mtxn){
        .pid = x->m.pid, .first = -1, .commit = run_chance(r, 1, 2), .part = p, .next = r->model->txns};
    r->model->txns = x->now = txn;
    x->left = 1 + run_below(r, 4);
}

static uint8_t *copy_of(const struct attempt *a)
{
    uint8_t *b = malloc(a->bytes);
    SL_ASSERT(b);
    memcpy(b, a->copy, a->bytes);
    return b;
}

// Keeps the bytes until they are answered.
static void sent(struct run *r, struct txns *x, uint8_t *b, uint32_t bytes, uint32_t records,
                 int32_t sequence)
{
    struct attempt *a = model_sent(r->model, x->now->part, &x->m, b, bytes, records, sequence);
    a->txn = x->now;
    a->copy = b;
    x->sending = a;
}

static void next_batch(struct run *r, struct txns *x)
{
    int32_t *seq = sequence_of(x, x->now->part);
    uint32_t bytes, records;
    struct payload_spec s = {.attempt = r->model->attempts_n + 1,
                             .max_bytes = r->k.max_batch,
                             .now_ms = sim_wall_ms(r->w),
                             .producer_id = x->m.pid,
                             .sequence = *seq,
                             .keys = x->now->part->topic->policy.keys,
                             .transactional = true};
    uint8_t *b = keyed_make(r, &s, &bytes, &records);
    sent(r, x, b, bytes, records, *seq);
    *seq += (int32_t)records;
    x->left--;
}

static void marker(struct run *r, struct txns *x)
{
    struct batch_builder bb = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *out;
    size_t n;
    o.producer_id = x->m.pid;
    o.producer_epoch = 0;
    o.transactional = o.control = true;
    int rc = batch_builder_end_txn(&bb, sim_wall_ms(r->w), x->now->commit, (int32_t)r->model->attempts_n + 1);
    rc = rc ? rc : batch_builder_finish(&bb, &o, NULL, &out, &n);
    uint8_t *b = rc ? NULL : malloc(n);
    SL_ASSERT(b);
    memcpy(b, out, n);
    batch_builder_destroy(&bb);
    sent(r, x, b, (uint32_t)n, 1, -1);
    x->now->ended = true;
}

static void answered(struct run *r, struct txns *x, int64_t base)
{
    struct attempt *a = x->sending;
    bool over = a->marker;
    model_acked(r->model, a, base);
    if (x->now->first < 0)
        x->now->first = base;
    x->sending = NULL;
    if (over)
        x->now = NULL;
}

void txns_step(struct traffic *t, uint32_t n)
{
    struct run *r = traffic_life(t)->r;
    struct txns *x = &all[n];
    int64_t base;
    if (!x->m.id)
        x->m = (struct mproducer){.id = FIRST_ID + n, .idempotent = true, .pid = FIRST_PID + n};
    if (!x->now)
        begin(t, x);
    if (x->now && x->now->part->topic->state == TOPIC_DELETED)
        x->now = NULL;
    if (!x->now) {
        x->sending = NULL;
        return;
    }
    if (x->sending && x->life != r->life_no)
        x->sending->resent = true;
    x->life = r->life_no;
    if (!x->sending && x->left)
        next_batch(r, x);
    else if (!x->sending || (x->sending->marker &&
                             x->sending->resent)) // a second one: what became of the first is not known
        marker(r, x);
    struct attempt *a = x->sending;
    int32_t error = traffic_append(t, x->now->part, copy_of(a), a->bytes, a->marker, &base);
    if (error == 0) {
        answered(r, x, base);
        return;
    }
    if (a->state == ATTEMPT_SENT)
        a->state = ATTEMPT_UNKNOWN;
    a->resent = true;
    if (error > 0 && !traffic_may_fail(t, a->part, (int16_t)error))
        run_fail(r, "%s-%d: batch %u of a transaction (sequence %d%s) was refused: %s", a->part->topic->name,
                 a->part->n, a->id, a->sequence, a->marker ? ", marker" : "", kerr_name((int16_t)error));
}
