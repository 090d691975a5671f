// Producers, readers and the administrator. See traffic.h.
#include "tests/sim/traffic_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/keyed.h"

enum { MAX_PRODUCERS = 16, MAX_IN_FLIGHT = 5, HUSH_NS = 50 * 1000 * 1000 };

// A producer's view of one partition. It lives as long as the run.
struct prod_part {
    struct mpart *p;
    int32_t next_seq;
    struct attempt *q[MAX_IN_FLIGHT]; // idempotent: not acknowledged, in order
    uint32_t q_n;
    uint32_t in_flight;
    bool resend;
    struct prod_part *next;
};

struct producer {
    struct mproducer m;
    struct prod_part *parts;
};

static struct producer producers[MAX_PRODUCERS]; // one run per process

struct flight {
    struct traffic *t;
    struct shard_append a;
    struct shard_append_part part;
    struct call *call; // of the fiber that waits for it; NULL: none
    struct attempt *att;
    struct prod_part *pp;
    uint32_t to;
};

static struct run *run_of(struct traffic *t)
{
    return t->l->r;
}

static bool going(struct traffic *t)
{
    return traffic_going(t);
}

// ---- what comes back ---------------------------------------------------------------------------------------------------
static void q_remove(struct prod_part *pp, const struct attempt *a)
{
    for (uint32_t k = 0; k < pp->q_n; k++) {
        if (pp->q[k] != a)
            continue;
        memmove(&pp->q[k], &pp->q[k + 1], (pp->q_n - k - 1) * sizeof(pp->q[0]));
        pp->q_n--;
        return;
    }
}

static bool may_fail(struct traffic *t, struct mpart *p, int16_t error)
{
    struct run *r = run_of(t);
    if (p->topic->state == TOPIC_DELETED)
        return error == KERR_UNKNOWN_TOPIC_OR_PARTITION || !r->calm;
    if (error == KERR_NOT_LEADER_OR_FOLLOWER)
        return t->stop;
    return error == KERR_KAFKA_STORAGE_ERROR && !r->calm && (r->k.faults || r->k.tight_disk);
}

// What this producer sent to this partition.
static void show_history(struct run *r, const struct attempt *of)
{
    static const char *const states[] = {"sent", "acknowledged", "unknown", "refused"};
    struct model *m = r->model;
    for (uint32_t k = 1; k <= m->attempts_n; k++) {
        const struct attempt *a = m->attempts[k];
        if (a->part == of->part && a->producer == of->producer)
            fprintf(stderr, "  batch %u sequence %d records %u: %s, offset %lld\n", a->id, a->sequence,
                    a->records, states[a->state], (long long)a->offset);
    }
}

static void append_answered(struct traffic *t, struct flight *f)
{
    struct run *r = run_of(t);
    struct attempt *a = f->att;
    struct prod_part *pp = f->pp;
    struct mpart *p = a->part;
    int16_t error = f->part.error;
    bool again = a->producer->idempotent;
    pp->in_flight--;
    sim_trace(r->w, "answer", a->id, (uint64_t)(int64_t)error, (uint64_t)f->part.base_offset);
    if (!error && f->a.acks) {
        if (a->state == ATTEMPT_UNKNOWN)
            r->sum->duplicates++;
        model_acked(r->model, a, f->part.base_offset);
        q_remove(pp, a);
        t->acks++;
        return;
    }
    if (!error) {
        a->state = ATTEMPT_UNKNOWN;
        return;
    }
    if (again && error == KERR_OUT_OF_ORDER_SEQUENCE_NUMBER && (pp->resend || pp->q[0] != a)) {
        pp->resend = true;
        return;
    }
    if (again && error == KERR_OUT_OF_ORDER_SEQUENCE_NUMBER && a->resent) {
        // As upstream: a snapshot keeps a producer's last batch only, so after two starts an earlier one that comes
        // again is no longer known as a duplicate. But then it must be in the log.
        a->must_be_there = true;
        a->state = ATTEMPT_UNKNOWN;
        q_remove(pp, a);
        pp->resend = pp->q_n != 0;
        r->sum->forgotten++;
        return;
    }
    if (!may_fail(t, p, error))
        show_history(r, a);
    if (!may_fail(t, p, error))
        run_fail(r, "%s-%d: batch %u (%s, sequence %d) was refused: %s%s%s", p->topic->name, p->n, a->id,
                 again ? "idempotent" : "plain", a->sequence, kerr_name(error),
                 f->part.error_text[0] ? ": " : "", f->part.error_text);
    a->state = ATTEMPT_UNKNOWN;
    pp->resend |= again;
}

static void append_came(struct traffic *t, struct reactor *r, struct shard_append *a)
{
    struct flight *f = a->owner;
    reactor_credit_give(r, f->to, 1);
    t->appends--;
    if (f->call) {
        f->call->done = true;
        fiber_wake(f->call->f);
        return;
    }
    append_answered(t, f);
    free(f->part.records);
    free(f);
}

static void on_message(struct driver *d, uint32_t from, const struct spsc_msg *m)
{
    struct traffic *t = d->t;
    void *req = (void *)(uintptr_t)m->u[0];
    struct call *c = NULL;
    if (m->op == SHARD_FIRED) {
        readers_fired(t, d->r, from, req);
        return;
    }
    t->in_flight--;
    switch (m->op) {
    case SHARD_APPEND:
        append_came(t, d->r, req);
        return;
    case SHARD_SETTLE:
        reactor_credit_give(d->r, from, 1);
        return;
    case SHARD_FETCH:
        c = ((struct shard_fetch *)req)->owner;
        break;
    case SHARD_OPEN:
        c = ((struct shard_open *)req)->owner;
        break;
    case SHARD_DELETE:
        c = ((struct shard_delete *)req)->owner;
        break;
    case SHARD_DELETE_RECORDS:
        c = ((struct shard_trim *)req)->owner;
        break;
    case SHARD_LIST_OFFSETS:
        c = ((struct shard_offsets *)req)->owner;
        break;
    default:
        sl_panic("driver: unknown answer %u", m->op);
    }
    c->done = true;
    fiber_wake(c->f);
}

static void net_message(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    on_message(SL_CONTAINER_OF(s, struct driver, net), from, m);
}

// ---- asking ------------------------------------------------------------------------------------------------------------
bool traffic_take_credit(struct traffic *t, struct reactor *r, uint32_t to, bool always)
{
    while (!reactor_credit_take(r, to, 1)) {
        if (!always && !going(t))
            return false;
        fiber_sleep(20000 + run_below(run_of(t), 100000));
    }
    return true;
}

void traffic_ask(struct traffic *t, struct reactor *r, uint32_t to, uint16_t op, void *req, struct call *c)
{
    c->f = fiber_current();
    c->done = false;
    t->in_flight++;
    struct spsc_msg *m = reactor_request(r, to, op, SVC_NET);
    m->u[0] = (uint64_t)(uintptr_t)req;
    while (!c->done)
        fiber_park();
}

static struct reactor *here(void)
{
    return fiber_reactor(fiber_current());
}

bool traffic_going(const struct traffic *t)
{
    return !t->stop && !t->l->over;
}

bool traffic_hushed(const struct traffic *t)
{
    return t->hush || !t->opened;
}

struct life *traffic_life(const struct traffic *t)
{
    return t->l;
}

bool traffic_may_fail(struct traffic *t, struct mpart *p, int16_t error)
{
    return may_fail(t, p, error);
}

// ---- producing -----------------------------------------------------------------------------------------------------------
static struct prod_part *prod_part_of(struct producer *pr, struct mpart *p)
{
    for (struct prod_part *pp = pr->parts; pp; pp = pp->next)
        if (pp->p == p)
            return pp;
    struct prod_part *pp = calloc(1, sizeof(*pp));
    SL_ASSERT(pp);
    pp->p = p;
    pp->next = pr->parts;
    pr->parts = pp;
    return pp;
}

static void send_batch(struct traffic *t, struct reactor *r, struct prod_part *pp, struct attempt *a,
                       uint8_t *bytes, int16_t acks)
{
    struct flight *f = calloc(1, sizeof(*f));
    SL_ASSERT(f);
    f->t = t;
    f->att = a;
    f->pp = pp;
    f->to = life_reactor_of(t->l, pp->p);
    f->part = (struct shard_append_part){
        .topic_id = pp->p->topic->id, .partition = pp->p->n, .records = bytes, .bytes = (int32_t)a->bytes};
    f->a = (struct shard_append){
        .parts = &f->part, .n = 1, .acks = acks, .api_version = 9, .timeout_ms = 30000, .owner = f};
    pp->in_flight++;
    t->in_flight++;
    t->appends++;
    sim_trace(run_of(t)->w, "produce", a->id, (uint64_t)(uint32_t)pp->p->n, a->bytes);
    struct spsc_msg *m = reactor_request(r, f->to, SHARD_APPEND, SVC_NET);
    m->u[0] = (uint64_t)(uintptr_t)&f->a;
}

static uint8_t *copy_of(const uint8_t *b, uint32_t n)
{
    uint8_t *c = malloc(n);
    SL_ASSERT(c);
    memcpy(c, b, n);
    return c;
}

static void produce_new(struct traffic *t, struct producer *pr, struct prod_part *pp)
{
    struct run *run = run_of(t);
    uint32_t bytes, records;
    struct payload_spec s = {.attempt = run->model->attempts_n + 1,
                             .max_bytes = run->k.max_batch,
                             .now_ms = reactor_wall_ms(here()),
                             .producer_id = pr->m.idempotent ? pr->m.pid : -1,
                             .sequence = pp->next_seq,
                             .keys = pp->p->topic->policy.keys};
    uint8_t *b = s.keys ? keyed_make(run, &s, &bytes, &records) : payload_make(run, &s, &bytes, &records);
    struct attempt *a =
        model_sent(run->model, pp->p, &pr->m, b, bytes, records, pr->m.idempotent ? pp->next_seq : -1);
    if (pr->m.idempotent) {
        a->copy = copy_of(b, bytes);
        pp->q[pp->q_n++] = a;
        pp->next_seq += (int32_t)records;
    }
    int16_t acks = pr->m.idempotent || run_chance(run, 3, 4) ? -1 : (int16_t)run_below(run, 2);
    send_batch(t, here(), pp, a, b, acks);
}

// Sends again what was not acknowledged, in order, once nothing is in flight any more.
static void produce_again(struct traffic *t, struct prod_part *pp)
{
    struct reactor *r = here();
    uint32_t to = life_reactor_of(t->l, pp->p);
    if (pp->in_flight || !traffic_take_credit(t, r, to, false))
        return;
    reactor_credit_give(r, to, 1);
    pp->resend = false;
    struct attempt *again[MAX_IN_FLIGHT];
    uint32_t n = pp->q_n;
    memcpy(again, pp->q, sizeof(again));
    for (uint32_t k = 0; k < n; k++) {
        if (!reactor_credit_take(r, to, 1)) {
            pp->resend = true;
            return;
        }
        again[k]->resent = true;
        send_batch(t, r, pp, again[k], copy_of(again[k]->copy, again[k]->bytes), -1);
    }
}

static struct mpart *pick_part(struct traffic *t)
{
    struct run *run = run_of(t);
    struct mpart *pick = NULL;
    uint32_t n = 0;
    for (struct mtopic *m = run->model->topics; m; m = m->next)
        for (uint32_t k = 0; m->state == TOPIC_SERVING && k < m->parts_n; k++)
            if (run_below(run, ++n) == 0)
                pick = &m->parts[k];
    return pick;
}

struct mpart *traffic_pick(struct traffic *t)
{
    return pick_part(t);
}

int32_t traffic_append(struct traffic *t, struct mpart *p, uint8_t *batch, uint32_t bytes, bool internal,
                       int64_t *base)
{
    uint32_t to = life_reactor_of(t->l, p);
    if (!traffic_take_credit(t, here(), to, false)) {
        free(batch);
        return -1;
    }
    struct call c = {0};
    struct flight f = {.t = t, .to = to, .call = &c};
    f.part = (struct shard_append_part){
        .topic_id = p->topic->id, .partition = p->n, .records = batch, .bytes = (int32_t)bytes};
    f.a = (struct shard_append){.parts = &f.part,
                                .n = 1,
                                .acks = -1,
                                .api_version = 9,
                                .internal = internal,
                                .timeout_ms = 30000,
                                .owner = &f};
    t->appends++;
    traffic_ask(t, here(), to, SHARD_APPEND, &f.a, &c);
    free(f.part.records);
    *base = f.part.base_offset;
    return t->l->over ? -1 : f.part.error;
}

static void produce_once(struct traffic *t, struct producer *pr)
{
    struct mpart *p = pick_part(t);
    // An idempotent producer's sequence would have a gap for ever where write caching lost a batch.
    if (!p || (p->topic->caching && pr->m.idempotent))
        return;
    struct prod_part *pp = prod_part_of(pr, p);
    uint32_t to = life_reactor_of(t->l, p);
    if (pp->resend) {
        produce_again(t, pp);
        return;
    }
    uint32_t waiting = pr->m.idempotent ? pp->q_n : pp->in_flight;
    if (waiting >= MAX_IN_FLIGHT || !reactor_credit_take(here(), to, 1))
        return;
    produce_new(t, pr, pp);
}

struct fiber_arg {
    struct traffic *t;
    struct producer *pr;
    uint32_t n; // of a producer of transactions
};

static void producer_fiber(void *arg)
{
    struct fiber_arg *fa = arg;
    struct traffic *t = fa->t;
    while (going(t)) {
        for (uint32_t burst = 1 + (run_chance(run_of(t), 1, 4) ? run_below(run_of(t), 6) : 0);
             burst && going(t); burst--)
            if (t->opened && !t->hush)
                produce_once(t, fa->pr);
        fiber_sleep(t->hush ? HUSH_NS : 1000 * run_skewed(run_of(t), 1, run_of(t)->k.pause_us));
    }
    t->fibers--;
    free(fa);
}

static void txn_fiber(void *arg)
{
    struct fiber_arg *fa = arg;
    struct traffic *t = fa->t;
    uint32_t n = fa->n;
    while (going(t)) {
        if (!traffic_hushed(t))
            txns_step(t, n);
        fiber_sleep(t->hush ? HUSH_NS : 1000 * run_skewed(run_of(t), 1, run_of(t)->k.pause_us));
    }
    t->fibers--;
    free(fa);
}

// ---- reading ----------------------------------------------------------------------------------------------------------------
static void reader_fiber(void *arg)
{
    struct fiber_arg *fa = arg;
    struct traffic *t = fa->t;
    int64_t tail = 0;
    struct mpart *last = NULL;
    while (going(t)) {
        if (t->opened)
            readers_once(t, &tail, &last);
        fiber_sleep(t->hush ? HUSH_NS : 1000 * run_skewed(run_of(t), 10, 10000));
    }
    t->fibers--;
    free(fa);
}

// ---- verification --------------------------------------------------------------------------------------------------------------
// A read from anywhere, which an index leads to.
static void probe(struct traffic *t, struct mpart *p, int64_t hw)
{
    struct shard_fetch_part part;
    int64_t n, at = (int64_t)run_below(run_of(t), (uint32_t)hw);
    uint64_t asked = model_now(run_of(t)->model);
    uint32_t to = life_reactor_of(t->l, p);
    traffic_take_credit(t, here(), to, true);
    uint8_t *b = readers_fetch(t, p, at, 1, 0, false, &part, &n);
    reactor_credit_give(here(), to, 1);
    if (n > 0)
        (void)model_read(run_of(t)->model, p, at, asked, part.high_watermark, b, (uint64_t)n);
    else if ((n == 0 && at >= part.log_start) || (n && run_of(t)->calm))
        run_fail(run_of(t), "%s-%d: nothing comes at offset %lld below %lld", p->topic->name, p->n,
                 (long long)at, (long long)hw);
    free(b);
}

// Reads a partition from its start to the high watermark, v->next then. False: an injected fault or a log start that moves is in the way.
static bool read_part(struct traffic *t, struct mpart *p, struct verify *v)
{
    struct run *run = run_of(t);
    struct shard_fetch_part part;
    int64_t hw = -1, known = p->hw_seen;
    uint32_t empty = 0;
    uint32_t to = life_reactor_of(t->l, p);
    for (bool first = true; first || v->next < hw;) {
        int64_t n;
        traffic_take_credit(t, here(), to, true);
        int64_t at = first ? p->start_seen : v->next, start = p->start_seen;
        uint64_t asked = model_now(run->model);
        uint8_t *b = readers_fetch(t, p, at, 1u << 20, 0, false, &part, &n);
        reactor_credit_give(here(), to, 1);
        if (n < 0) {
            if (!run->calm)
                return false; // refused by an injected fault: another time
            run_fail(run, "%s-%d: cannot be read for verification: %s", p->topic->name, p->n,
                     kerr_name(part.error));
        }
        model_saw_start(run->model, p, start, part.log_start);
        bool moved = part.error == KERR_OFFSET_OUT_OF_RANGE && at < part.log_start;
        if (moved && !first && !run->calm)
            return false; // meanwhile: another time
        if (moved && first)
            continue;
        if (part.error)
            run_fail(run, "%s-%d: reading at offset %lld: %s (log start %lld, high watermark %lld)",
                     p->topic->name, p->n, (long long)at, kerr_name(part.error), (long long)part.log_start,
                     (long long)part.high_watermark);
        if (first)
            model_verify_begin(run->model, v, p, part.log_start);
        first = false;
        hw = part.high_watermark;
        model_saw_hw(run->model, p, known, hw);
        model_verify_bytes(run->model, v, asked, b, (uint64_t)n);
        free(b);
        empty = n ? 0 : empty + 1;
        if (v->next < hw && empty > 2000)
            run_fail(run, "%s-%d: nothing comes at offset %lld below the high watermark %lld", p->topic->name,
                     p->n, (long long)v->next, (long long)hw);
        if (empty)
            fiber_sleep(200000);
    }
    model_verify_end(run->model, v, hw);
    return true;
}

// Where a time leads to, over whatever compaction and a recovery made of segments and their time indexes. What is compacted
// between the reading and the question leads elsewhere: read again, and asked again.
static bool time_leads(struct traffic *t, const struct verify *v, int64_t time, bool last)
{
    struct run *run = run_of(t);
    struct mpart *p = v->p;
    struct call c;
    int64_t found;
    struct shard_offset_part part = {
        .topic_id = p->topic->id, .partition = p->n, .timestamp = time, .current_leader_epoch = -1};
    struct shard_offsets q = {.parts = &part, .n = 1, .owner = &c};
    uint32_t to = life_reactor_of(t->l, p);
    traffic_take_credit(t, here(), to, true);
    traffic_ask(t, here(), to, SHARD_LIST_OFFSETS, &q, &c);
    reactor_credit_give(here(), to, 1);
    int64_t offset = keyed_offset_for_time(run->model, v, time, &found);
    if (!part.error && part.offset == offset && part.found_timestamp == found)
        return true;
    if (last)
        run_fail(run, "%s-%d: time %lld leads to offset %lld (time %lld, %s), not to %lld (%lld)",
                 p->topic->name, p->n, (long long)time, (long long)part.offset,
                 (long long)part.found_timestamp, kerr_name(part.error), (long long)offset, (long long)found);
    return false;
}

static void probe_time(struct traffic *t, struct verify *v)
{
    int64_t time = keyed_some_time(run_of(t)->model, v);
    if (time < 0)
        return;
    for (uint32_t tries = 1; !time_leads(t, v, time, tries == 4); tries++)
        if (!read_part(t, v->p, v))
            return;
}

static void verify_part(struct traffic *t, struct mpart *p)
{
    struct run *run = run_of(t);
    struct verify v;
    if (!read_part(t, p, &v))
        return;
    int64_t hw = v.next;
    for (uint32_t k = 0; k < 3 && hw > 0; k++)
        probe(t, p, hw);
    for (uint32_t k = 0; k < 3 && run->calm && p->topic->keyed; k++)
        probe_time(t, &v);
    t->content = sl_hash_pair(t->content, v.hash);
    sim_trace(run->w, "verified", (uint64_t)p->n, (uint64_t)hw, v.hash);
}

static void verify_all(struct traffic *t)
{
    t->content = 0;
    for (struct mtopic *m = run_of(t)->model->topics; m; m = m->next)
        for (uint32_t k = 0; m->state == TOPIC_SERVING && k < m->parts_n; k++)
            verify_part(t, &m->parts[k]);
    t->verified = true;
}

static void verify_fiber(void *arg)
{
    struct fiber_arg *fa = arg;
    verify_all(fa->t);
    fa->t->fibers--;
    free(fa);
}

// ---- administration -------------------------------------------------------------------------------------------------------------
// The partitions of a topic on one reactor.
static uint32_t parts_on(struct traffic *t, const struct mtopic *m, uint32_t reactor, int32_t *out)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < m->parts_n; k++)
        if (life_reactor_of(t->l, &m->parts[k]) == reactor)
            out[n++] = (int32_t)k;
    return n;
}

// Opens a topic's partitions on their shards. True if every shard says so.
static bool open_topic(struct traffic *t, struct mtopic *m)
{
    struct run *run = run_of(t);
    bool ok = true;
    for (uint32_t k = 0; k < t->l->shards_n; k++) {
        uint32_t to = t->l->first_shard + k;
        int32_t parts[64];
        struct call c;
        struct shard_open o = {.topic = m->name,
                               .topic_id = m->id,
                               .partitions = parts,
                               .n = parts_on(t, m, to, parts),
                               .leader_epoch = m->leader_epoch,
                               .owner = &c};
        life_log_config(run, m, &o.config);
        if (!o.n)
            continue;
        traffic_take_credit(t, here(), to, true);
        traffic_ask(t, here(), to, SHARD_OPEN, &o, &c);
        reactor_credit_give(here(), to, 1);
        if (o.error && !may_fail(t, &m->parts[0], o.error))
            run_fail(run, "opening %s failed: %s", m->name, kerr_name(o.error));
        ok &= o.error == 0;
    }
    if (ok && m->state == TOPIC_CREATING)
        m->state = TOPIC_SERVING;
    return ok;
}

static void delete_topic(struct traffic *t, struct mtopic *m)
{
    struct run *run = run_of(t);
    m->state = TOPIC_DELETED;
    run->sum->deletes++;
    for (uint32_t k = 0; k < t->l->shards_n; k++) {
        uint32_t to = t->l->first_shard + k;
        int32_t parts[64];
        struct call c;
        struct shard_delete d = {
            .topic_id = m->id, .partitions = parts, .n = parts_on(t, m, to, parts), .owner = &c};
        if (!d.n)
            continue;
        traffic_take_credit(t, here(), to, true);
        traffic_ask(t, here(), to, SHARD_DELETE, &d, &c);
        reactor_credit_give(here(), to, 1);
        if (d.error && (run->calm || !(run->k.faults || run->k.tight_disk)))
            run_fail(run, "deleting %s failed: %s", m->name, kerr_name(d.error));
    }
    run_say(run, "  deleted %s", m->name);
}

// Deletes records of some partition, up to an offset that was seen, or all there are.
static void delete_records(struct traffic *t)
{
    struct run *run = run_of(t);
    struct mpart *p = pick_part(t);
    struct call c;
    if (!p)
        return;
    if (p->topic->policy.compacted && !p->topic->policy.deletes)
        return; // is refused
    int64_t offset = run_chance(run, 1, 4) ? -1 : (int64_t)run_below(run, (uint32_t)p->hw_seen + 1);
    uint32_t to = life_reactor_of(t->l, p);
    struct shard_trim_part tp = {.topic_id = p->topic->id, .partition = p->n, .offset = offset};
    struct shard_trim trim = {.parts = &tp, .n = 1, .owner = &c};
    p->start_asked = offset < 0 ? INT64_MAX : SL_MAX(p->start_asked, offset);
    traffic_take_credit(t, here(), to, true);
    traffic_ask(t, here(), to, SHARD_DELETE_RECORDS, &trim, &c);
    reactor_credit_give(here(), to, 1);
    bool late = tp.error == KERR_REQUEST_TIMED_OUT && !run->calm && (run->k.faults || run->k.tight_disk);
    if (tp.error && !late && !may_fail(t, p, tp.error))
        run_fail(run, "%s-%d: deleting records up to %lld failed: %s", p->topic->name, p->n,
                 (long long)offset, kerr_name(tp.error));
    if (tp.error)
        return;
    if (tp.low_watermark < offset)
        run_fail(run, "%s-%d: records were deleted up to %lld, not %lld", p->topic->name, p->n,
                 (long long)tp.low_watermark, (long long)offset);
    run->sum->trims++;
    model_saw_start(run->model, p, 0, tp.low_watermark);
}

static void admin_once(struct traffic *t)
{
    struct run *run = run_of(t);
    char name[16];
    if (run->k.front && run_chance(run, 1, 3)) {
        delete_records(t);
        return;
    }
    snprintf(name, sizeof(name), "t%u", run_below(run, run->k.topics));
    struct mtopic *m = model_topic_find(run->model, name);
    if (t->hush && !(m && m->state == TOPIC_CREATING))
        return;
    if (!m) {
        m = model_topic_add(run->model, name, 1 + run_below(run, run->k.partitions));
        run->sum->creates++;
        run_say(run, "  creates %s with %u partitions", name, m->parts_n);
        open_topic(t, m);
    } else if (m->state == TOPIC_CREATING) {
        open_topic(t, m);
    } else if (run->k.deletes && run_chance(run, 1, 6)) {
        delete_topic(t, m);
    }
}

static void admin_fiber(void *arg)
{
    struct fiber_arg *fa = arg;
    struct traffic *t = fa->t;
    struct run *run = run_of(t);
    bool verify = fa->pr != NULL;
    for (struct mtopic *m = run->model->topics; m; m = m->next)
        if (m->state != TOPIC_DELETED && !open_topic(t, m))
            run_say(run, "  opening %s was refused", m->name);
    if (verify && going(t))
        verify_all(t);
    t->opened = true;
    while (going(t) && !t->quiet) {
        admin_once(t);
        fiber_sleep(1000 * run_skewed(run, 100, 40000));
    }
    t->fibers--;
    free(fa);
}

// ---- the whole -------------------------------------------------------------------------------------------------------------------
struct traffic *traffic_create(struct life *l)
{
    struct traffic *t = calloc(1, sizeof(*t));
    SL_ASSERT(t);
    t->l = l;
    for (uint32_t k = 0; k < l->drivers; k++) {
        struct driver *d = &t->drivers[k];
        d->t = t;
        d->r = reactor_group_get(l->g, k);
        d->net = (struct service){.kind = SVC_NET, .name = "driver", .on_msg = net_message};
        reactor_add_service(d->r, &d->net);
    }
    return t;
}

static void spawn_nth(struct traffic *t, fiber_fn fn, struct producer *pr, uint32_t n)
{
    struct fiber_arg *fa = malloc(sizeof(*fa));
    SL_ASSERT(fa);
    *fa = (struct fiber_arg){t, pr, n};
    t->fibers++;
    uint32_t d = run_below(run_of(t), t->l->drivers);
    SL_ASSERT(fiber_spawn(t->drivers[d].r, fn, fa, 64 << 10));
}

static void spawn(struct traffic *t, fiber_fn fn, struct producer *pr)
{
    spawn_nth(t, fn, pr, 0);
}

void traffic_start(struct traffic *t, bool verify, bool quiet)
{
    struct run *run = run_of(t);
    t->quiet = quiet;
    for (uint32_t k = 0; k < run->k.producers && !quiet; k++) {
        struct producer *pr = &producers[k];
        if (!pr->m.id)
            pr->m = (struct mproducer){.id = k + 1, .idempotent = run_chance(run, 1, 2), .pid = 1000 + k};
        spawn(t, producer_fiber, pr);
    }
    for (uint32_t k = 0; k < run->k.consumers && !quiet; k++)
        spawn(t, reader_fiber, NULL);
    for (uint32_t k = 0; run->k.keyed && k < TXNS_MAX && !quiet; k++)
        spawn_nth(t, txn_fiber, NULL, k);
    spawn(t, admin_fiber, verify ? &producers[0] : NULL);
}

bool traffic_open(void *traffic)
{
    return ((struct traffic *)traffic)->opened;
}

void traffic_stop(struct traffic *t)
{
    t->stop = true;
}

void traffic_hush(struct traffic *t, bool hush)
{
    t->hush = hush;
}

uint32_t traffic_appends(const struct traffic *t)
{
    return t->appends;
}

bool traffic_writes(const struct traffic *t)
{
    return t->opened && pick_part((struct traffic *)t) != NULL;
}

bool traffic_idle(void *traffic)
{
    struct traffic *t = traffic;
    return t->fibers == 0 && t->in_flight == 0;
}

void traffic_verify(struct traffic *t)
{
    t->verified = false;
    spawn(t, verify_fiber, NULL);
}

bool traffic_verified(void *traffic)
{
    return ((struct traffic *)traffic)->verified;
}

uint64_t traffic_content(const struct traffic *t)
{
    return t->content;
}

uint64_t traffic_acks(const struct traffic *t)
{
    return t->acks;
}

void traffic_life_over(struct traffic *t)
{
    struct model *m = run_of(t)->model;
    for (uint32_t k = 1; k <= m->attempts_n; k++)
        if (m->attempts[k]->state == ATTEMPT_SENT)
            m->attempts[k]->state = ATTEMPT_UNKNOWN;
    for (uint32_t k = 0; k < MAX_PRODUCERS; k++)
        for (struct prod_part *pp = producers[k].parts; pp; pp = pp->next) {
            pp->in_flight = 0;
            pp->resend = pp->q_n != 0;
        }
}

void traffic_free(struct traffic *t)
{
    traffic_life_over(t);
    free(t);
}

void traffic_describe(const struct traffic *t, char *out, size_t cap)
{
    snprintf(out, cap, "fibers %u, requests in flight %u, opened %d", t->fibers, t->in_flight, t->opened);
}
