// See people.h.
#include "tests/sim/people.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/kerr.h"
#include "engine/log/batch.h"
#include "proto/gen/create_topics_request.h"
#include "proto/gen/create_topics_response.h"
#include "proto/gen/delete_topics_request.h"
#include "proto/gen/delete_topics_response.h"
#include "proto/gen/fetch_request.h"
#include "proto/gen/fetch_response.h"
#include "proto/gen/init_producer_id_request.h"
#include "proto/gen/init_producer_id_response.h"
#include "proto/gen/list_offsets_request.h"
#include "proto/gen/list_offsets_response.h"
#include "proto/gen/metadata_request.h"
#include "proto/gen/metadata_response.h"
#include "proto/gen/produce_request.h"
#include "proto/gen/produce_response.h"
#include "tests/sim/kclient.h"
#include "tests/sim/keyed.h"
#include "tests/sim/payload.h"

enum { MAX_IN_FLIGHT = 5, MAX_WRITERS = 16 };
enum {
    API_PRODUCE = 0,
    API_FETCH = 1,
    API_LIST_OFFSETS = 2,
    API_METADATA = 3,
    API_CREATE = 19,
    API_DELETE = 20,
    API_INIT_PID = 22
};
enum { V_LIST_OFFSETS = 9 };
enum { V_PRODUCE = 13, V_FETCH = 17, V_METADATA = 12, V_CREATE = 7, V_DELETE = 6, V_INIT_PID = 4 };

// A producer's view of one partition.
struct lane {
    struct mpart *p;
    int32_t next_seq;
    struct attempt *q[MAX_IN_FLIGHT]; // idempotent: not acknowledged, in order
    uint32_t q_n, in_flight;
    bool resend;
    struct lane *next;
};

struct writer {
    struct people *pp;
    struct mproducer m;
    struct lane *lanes;
    struct kconn *conn;
};

struct people {
    struct run *r;
    struct sim_process *proc;
    struct io *io;
    struct reactor_group *g;
    struct reactor *re;
    struct writer writers[MAX_WRITERS];
    bool stop, verified, hush;
    uint32_t fibers, in_flight;
    uint64_t acks, content;
    int64_t pids[256]; // given out so far: never one twice
    uint32_t pids_n;
};

static bool going(const struct people *p)
{
    return !p->stop;
}

static void nap(struct people *p, uint64_t lo_us, uint64_t hi_us)
{
    if (p->hush)
        lo_us = hi_us = 50000;
    fiber_sleep(1000 * run_skewed(p->r, lo_us, hi_us));
}

// The connection, made anew if it broke. NULL: nobody is there now.
static struct kconn *connect_to(struct people *p, struct kconn **c)
{
    if (*c && kconn_broken(*c)) {
        kconn_close(*c);
        *c = NULL;
    }
    if (!*c)
        *c = kconn_open(p->r, p->re, BROKER_PORT);
    return *c;
}

// Errors that only say "not now": the broker starts, stops, or the disk is refused by an injected fault.
static bool not_now(const struct people *p, int16_t error)
{
    switch (error) {
    case KERR_NOT_LEADER_OR_FOLLOWER:
    case KERR_LEADER_NOT_AVAILABLE:
    case KERR_COORDINATOR_NOT_AVAILABLE:
    case KERR_COORDINATOR_LOAD_IN_PROGRESS:
    case KERR_NOT_CONTROLLER:
    case KERR_REQUEST_TIMED_OUT:
    case KERR_BROKER_NOT_AVAILABLE:
        return true;
    case KERR_KAFKA_STORAGE_ERROR:
    case KERR_UNKNOWN_TOPIC_OR_PARTITION: // its partition could not be opened
        // With hush the disk is just being healed: partitions are opened again after a while.
        return p->hush || (!p->r->calm && (p->r->k.faults || p->r->k.tight_disk || p->r->several));
    default:
        return false;
    }
}

// ---- producing -----------------------------------------------------------------------------------------------------------
struct shot {
    struct kcall call;
    struct people *pp;
    struct writer *w;
    struct lane *lane;
    struct attempt *att;
    int16_t acks;
    uint8_t *bytes;
    struct kp_produce_response resp;
};

static void q_remove(struct lane *l, const struct attempt *a)
{
    for (uint32_t k = 0; k < l->q_n; k++) {
        if (l->q[k] != a)
            continue;
        for (; k + 1 < l->q_n; k++)
            l->q[k] = l->q[k + 1];
        l->q_n--;
        return;
    }
}

static void refused(struct shot *s, int16_t error, struct kp_str why)
{
    struct run *r = s->pp->r;
    struct attempt *a = s->att;
    struct lane *l = s->lane;
    struct mpart *p = a->part;
    bool idem = a->producer->idempotent;
    if (idem && error == KERR_OUT_OF_ORDER_SEQUENCE_NUMBER && (l->resend || (l->q_n && l->q[0] != a))) {
        l->resend = true;
        return;
    }
    a->state = ATTEMPT_UNKNOWN;
    if (idem && error == KERR_OUT_OF_ORDER_SEQUENCE_NUMBER && a->resent) { // see traffic.c
        a->must_be_there = true;
        q_remove(l, a);
        l->resend = l->q_n != 0;
        r->sum->forgotten++;
        return;
    }
    bool gone = p->topic->state != TOPIC_SERVING &&
                (error == KERR_UNKNOWN_TOPIC_ID || error == KERR_UNKNOWN_TOPIC_OR_PARTITION);
    if (!gone && !not_now(s->pp, error))
        run_fail(r, "%s-%d: batch %u (%s, sequence %d) was refused: %s: %.*s", p->topic->name, p->n, a->id,
                 idem ? "idempotent" : "plain", a->sequence, kerr_name(error), SL_MAX(why.n, 0),
                 why.p ? why.p : "");
    l->resend |= idem;
}

static void produce_answered(struct kcall *c)
{
    struct shot *s = SL_CONTAINER_OF(c, struct shot, call);
    struct run *r = s->pp->r;
    struct attempt *a = s->att;
    s->lane->in_flight--;
    s->pp->in_flight--;
    if (c->err) {
        if (a->state == ATTEMPT_SENT)
            a->state = ATTEMPT_UNKNOWN;
        s->lane->resend |= a->producer->idempotent && s->lane->q_n;
    } else {
        if (s->resp.responses_n != 1 || s->resp.responses[0].partition_responses_n != 1)
            run_fail(r, "a produce answer names %d topics", s->resp.responses_n);
        const struct kp_produce_response_partition_produce_response *pr =
            s->resp.responses[0].partition_responses;
        sim_trace(r->w, "answer", a->id, (uint64_t)(int64_t)pr->error_code, (uint64_t)pr->base_offset);
        if (pr->error_code) {
            refused(s, pr->error_code, pr->error_message);
        } else {
            r->sum->duplicates += a->state == ATTEMPT_UNKNOWN;
            model_acked(r->model, a, pr->base_offset);
            q_remove(s->lane, a);
            s->pp->acks++;
        }
    }
    kcall_free(c);
    free(s->bytes);
    free(s);
}

static void shoot(struct writer *w, struct lane *l, struct attempt *a, uint8_t *bytes, int16_t acks)
{
    struct shot *s = calloc(1, sizeof(*s));
    SL_ASSERT(s);
    *s = (struct shot){.pp = w->pp, .w = w, .lane = l, .att = a, .bytes = bytes, .acks = acks};
    s->call =
        (struct kcall){.api = API_PRODUCE, .version = V_PRODUCE, .resp = &s->resp, .done = produce_answered};
    struct kp_produce_request_partition_produce_data part = {.index = l->p->n,
                                                             .records = {.p = bytes, .n = (int32_t)a->bytes}};
    struct kp_produce_request_topic_produce_data topic = {
        .topic_id = l->p->topic->id, .partition_data = &part, .partition_data_n = 1};
    struct kp_produce_request req = {.transactional_id = KP_STR_NULL,
                                     .acks = acks,
                                     .timeout_ms = 30000,
                                     .topic_data = &topic,
                                     .topic_data_n = 1};
    l->in_flight++;
    w->pp->in_flight++;
    sim_trace(w->pp->r->w, "produce", a->id, (uint64_t)(uint32_t)l->p->n, a->bytes);
    kconn_send(w->conn, &s->call, &req);
}

static struct lane *lane_of(struct writer *w, struct mpart *p)
{
    for (struct lane *l = w->lanes; l; l = l->next)
        if (l->p == p)
            return l;
    struct lane *l = calloc(1, sizeof(*l));
    SL_ASSERT(l);
    l->p = p;
    l->next = w->lanes;
    w->lanes = l;
    return l;
}

static uint8_t *copy_of(const uint8_t *b, uint32_t n)
{
    uint8_t *c = malloc(n);
    SL_ASSERT(c);
    memcpy(c, b, n);
    return c;
}

static void produce_new(struct writer *w, struct lane *l)
{
    struct run *r = w->pp->r;
    uint32_t bytes, records;
    struct payload_spec s = {.attempt = r->model->attempts_n + 1,
                             .max_bytes = r->k.max_batch,
                             .now_ms = io_wall_ms(w->pp->io),
                             .producer_id = w->m.idempotent ? w->m.pid : -1,
                             .sequence = l->next_seq,
                             .keys = l->p->topic->policy.keys};
    uint8_t *b = s.keys ? keyed_make(r, &s, &bytes, &records) : payload_make(r, &s, &bytes, &records);
    struct attempt *a =
        model_sent(r->model, l->p, &w->m, b, bytes, records, w->m.idempotent ? l->next_seq : -1);
    if (w->m.idempotent) {
        a->copy = copy_of(b, bytes);
        l->q[l->q_n++] = a;
        l->next_seq += (int32_t)records;
    }
    shoot(w, l, a, b, w->m.idempotent || run_chance(r, 3, 4) ? -1 : 1);
}

static void produce_again(struct writer *w, struct lane *l)
{
    struct attempt *again[MAX_IN_FLIGHT];
    uint32_t n = l->q_n;
    if (l->in_flight)
        return;
    l->resend = false;
    memcpy(again, l->q, sizeof(again));
    for (uint32_t k = 0; k < n; k++) {
        again[k]->resent = true;
        shoot(w, l, again[k], copy_of(again[k]->copy, again[k]->bytes), -1);
    }
}

static struct mpart *pick_part(struct people *p)
{
    struct mpart *pick = NULL;
    uint32_t n = 0;
    for (struct mtopic *m = p->r->model->topics; m; m = m->next)
        for (uint32_t k = 0; m->state == TOPIC_SERVING && k < m->parts_n; k++)
            if (run_below(p->r, ++n) == 0)
                pick = &m->parts[k];
    return pick;
}

static bool get_pid(struct writer *w)
{
    struct people *p = w->pp;
    struct kcall call;
    struct kp_init_producer_id_request req;
    struct kp_init_producer_id_response resp;
    kp_init_producer_id_request_init(&req);
    req.transactional_id = KP_STR_NULL;
    req.transaction_timeout_ms = INT32_MAX;
    int rc = kconn_call(w->conn, &call, API_INIT_PID, V_INIT_PID, &req, &resp);
    int16_t error = rc ? 0 : resp.error_code;
    kcall_free(&call);
    if (rc)
        return false;
    if (error && !not_now(p, error))
        run_fail(p->r, "InitProducerId failed: %s", kerr_name(error));
    if (error)
        return false;
    for (uint32_t k = 0; k < p->pids_n; k++)
        if (p->pids[k] == resp.producer_id)
            run_fail(p->r, "producer id %lld was given out twice", (long long)resp.producer_id);
    if (p->pids_n < SL_ARRAY_LEN(p->pids))
        p->pids[p->pids_n++] = resp.producer_id;
    w->m.pid = resp.producer_id;
    return true;
}

static bool connect_writer(struct writer *w)
{
    struct kconn *before = w->conn;
    if (!connect_to(w->pp, &w->conn))
        return false;
    w->m.connection += w->conn != before;
    return true;
}

static void write_once(struct writer *w)
{
    if (!connect_writer(w) || (w->m.idempotent && w->m.pid < 0 && !get_pid(w)))
        return;
    struct mpart *p = pick_part(w->pp);
    if (!p || (p->topic->caching && w->m.idempotent)) // see traffic.c
        return;
    struct lane *l = lane_of(w, p);
    if (l->resend)
        produce_again(w, l);
    else if ((w->m.idempotent ? l->q_n : l->in_flight) < MAX_IN_FLIGHT)
        produce_new(w, l);
}

static void writer_fiber(void *arg)
{
    struct writer *w = arg;
    struct people *p = w->pp;
    while (going(p)) {
        uint32_t burst = 1 + (run_chance(p->r, 1, 4) ? run_below(p->r, 6) : 0);
        while (burst-- && going(p) && !p->hush)
            write_once(w);
        nap(p, 1, p->r->k.pause_us);
        if (w->conn && run_chance(p->r, 1, 400)) { // a client that goes away
            kconn_close(w->conn);
            w->conn = NULL;
        }
    }
    while (w->conn && !kconn_broken(w->conn) && p->in_flight)
        nap(p, 100, 1000);
    if (w->conn)
        kconn_close(w->conn);
    w->conn = NULL;
    p->fibers--;
}

// ---- reading ---------------------------------------------------------------------------------------------------------------
struct got {
    int16_t error;
    int64_t hw, log_start;
    uint8_t *bytes;
    uint64_t n;
};

static void take_partition(struct run *r, const struct kp_fetch_response *resp, struct got *g)
{
    if (resp->error_code) {
        g->error = resp->error_code;
        return;
    }
    if (resp->responses_n != 1 || resp->responses[0].partitions_n != 1)
        run_fail(r, "a fetch answer names %d topics", resp->responses_n);
    const struct kp_fetch_response_partition_data *d = resp->responses[0].partitions;
    g->error = d->error_code;
    g->hw = d->high_watermark;
    g->log_start = d->log_start_offset;
    if (!g->error && (d->last_stable_offset > d->high_watermark || d->aborted_transactions_n > 0))
        run_fail(r, "a fetch answer tells of %d aborted transactions and a last stable offset of %lld",
                 d->aborted_transactions_n, (long long)d->last_stable_offset);
    if (d->records.n > 0) {
        g->n = payload_whole_batches(d->records.p, (uint64_t)d->records.n);
        g->bytes = copy_of(d->records.p, (uint32_t)SL_MAX(g->n, (uint64_t)1));
        if (g->n == 0)
            run_fail(r, "a fetch returned %d bytes and no whole batch", d->records.n);
    }
}

// One fetch without a session. False: no answer.
static bool fetch(struct people *p, struct kconn *c, struct mpart *part, int64_t offset, uint32_t max,
                  uint32_t wait_ms, bool committed, struct got *g)
{
    struct kcall call;
    struct kp_fetch_request req;
    struct kp_fetch_request_fetch_topic topic;
    struct kp_fetch_request_fetch_partition fp;
    struct kp_fetch_response resp;
    kp_fetch_request_init(&req);
    kp_fetch_request_fetch_topic_init(&topic);
    kp_fetch_request_fetch_partition_init(&fp);
    fp.partition = part->n;
    fp.fetch_offset = offset;
    fp.partition_max_bytes = (int32_t)max;
    topic.topic_id = part->topic->id;
    topic.partitions = &fp;
    topic.partitions_n = 1;
    req.max_wait_ms = (int32_t)wait_ms;
    req.isolation_level = committed;
    req.min_bytes = 1;
    req.max_bytes = (int32_t)max;
    req.topics = &topic;
    req.topics_n = 1;
    *g = (struct got){0};
    int rc = kconn_call(c, &call, API_FETCH, V_FETCH, &req, &resp);
    if (!rc)
        take_partition(p->r, &resp, g);
    kcall_free(&call);
    return rc == 0;
}

// Retention moves the start of its log, and an answer of OFFSET_OUT_OF_RANGE does not say where to.
static bool may_start_anywhere(const struct run *r, const struct mpart *part)
{
    return part->topic->policy.deletes && r->k.retention_bytes;
}

static void check_error(struct people *p, struct mpart *part, int64_t offset, int64_t known,
                        const struct got *g)
{
    struct run *r = p->r;
    bool unknown = g->error == KERR_UNKNOWN_TOPIC_ID || g->error == KERR_UNKNOWN_TOPIC_OR_PARTITION;
    bool fine = !g->error || not_now(p, g->error);
    if (g->error == KERR_OFFSET_OUT_OF_RANGE)
        fine = offset > known || model_weak(r->model, part->topic) || may_start_anywhere(r, part);
    else if (unknown && part->topic->state != TOPIC_SERVING)
        fine = true;
    if (fine)
        return;
    run_fail(r, "%s-%d: a fetch at offset %lld (%lld known) failed: %s", part->topic->name, part->n,
             (long long)offset, (long long)known, kerr_name(g->error));
}

static void learn_start(struct people *p, struct kconn *c, struct mpart *part)
{
    struct kcall call;
    struct kp_list_offsets_request req;
    struct kp_list_offsets_request_list_offsets_topic topic = {.name = kp_str_of(part->topic->name),
                                                               .partitions_n = 1};
    struct kp_list_offsets_request_list_offsets_partition at;
    struct kp_list_offsets_response resp;
    int64_t start = part->start_seen;
    kp_list_offsets_request_init(&req);
    kp_list_offsets_request_list_offsets_partition_init(&at);
    at.partition_index = part->n;
    at.timestamp = -2; // the log's start
    topic.partitions = &at;
    req.topics = &topic;
    req.topics_n = 1;
    int rc = kconn_call(c, &call, API_LIST_OFFSETS, V_LIST_OFFSETS, &req, &resp);
    if (!rc && resp.topics_n == 1 && resp.topics[0].partitions_n == 1 &&
        !resp.topics[0].partitions[0].error_code)
        model_saw_start(p->r->model, part, start, resp.topics[0].partitions[0].offset);
    kcall_free(&call);
}

// What was known of a partition when a reader asked.
struct knowledge {
    const struct mpart *part;
    uint64_t at;
    int64_t hw, start;
};

struct reader {
    struct people *pp;
    struct kconn *conn;
    struct mpart *part;
    int64_t tail;
    bool committed; // read_committed
    struct knowledge last;
};

static void read_once(struct reader *rd)
{
    struct people *p = rd->pp;
    struct run *r = p->r;
    if (!connect_to(p, &rd->conn))
        return;
    if (!rd->part || rd->part->topic->state != TOPIC_SERVING || run_chance(r, 1, 4)) {
        rd->part = pick_part(p);
        if (!rd->part)
            return;
        rd->tail = (int64_t)run_below(r, (uint32_t)rd->part->hw_seen + 1);
    }
    struct got g;
    struct knowledge now = {rd->part, model_now(r->model), rd->part->hw_seen, rd->part->start_seen};
    // The broker may have sent the records to the connection's side when they came, after the last answer (watch.h): what the
    // reader gets is not older than its last question.
    struct knowledge last = rd->last.part == rd->part ? rd->last : now;
    int64_t known = SL_MIN(now.hw, last.hw), start = SL_MIN(now.start, last.start);
    uint64_t asked = last.at;
    rd->last = now;
    uint32_t max = (uint32_t)run_skewed(r, 1, 3 * r->k.max_batch);
    if (!fetch(p, rd->conn, rd->part, rd->tail, max, run_below(r, 30), rd->committed, &g))
        return;
    check_error(p, rd->part, rd->tail, now.hw, &g);
    if (g.error == KERR_OFFSET_OUT_OF_RANGE)
        rd->tail = rd->part->hw_seen;
    if (!g.error) {
        model_saw_start(r->model, rd->part, start, g.log_start);
        model_saw_hw(r->model, rd->part, known, g.hw);
        rd->tail = model_read(r->model, rd->part, rd->tail, asked, g.hw, g.bytes, g.n);
    }
    free(g.bytes);
}

static void reader_fiber(void *arg)
{
    struct reader *rd = arg;
    struct people *p = rd->pp;
    while (going(p)) {
        read_once(rd);
        nap(p, 10, 10000);
    }
    if (rd->conn)
        kconn_close(rd->conn);
    p->fibers--;
    free(rd);
}

// ---- verification -------------------------------------------------------------------------------------------------------------
static void verify_part(struct people *p, struct kconn **conn, struct mpart *part)
{
    struct run *r = p->r;
    struct verify v;
    struct got g;
    int64_t hw = -1, known = part->hw_seen;
    uint32_t empty = 0;
    for (bool first = true; first || v.next < hw;) {
        int64_t at = first ? part->start_seen : v.next, start = part->start_seen;
        uint64_t asked = model_now(r->model);
        if (++empty > 3000)
            run_fail(r, "%s-%d: nothing comes at offset %lld (high watermark %lld)", part->topic->name,
                     part->n, (long long)at, (long long)hw);
        if (!connect_to(p, conn) || !fetch(p, *conn, part, at, 1u << 20, 0, part->n % 2, &g)) {
            nap(p, 1000, 10000);
            continue;
        }
        check_error(p, part, at, known, &g);
        if (!g.error)
            model_saw_start(r->model, part, start, g.log_start);
        if (g.error == KERR_OFFSET_OUT_OF_RANGE && first)
            learn_start(p, *conn, part);
        if (g.error) {
            nap(p, 1000, 10000);
            continue;
        }
        if (first)
            model_verify_begin(r->model, &v, part, g.log_start);
        first = false;
        hw = g.hw;
        model_saw_hw(r->model, part, known, hw);
        model_verify_bytes(r->model, &v, asked, g.bytes, g.n);
        empty = g.n ? 0 : empty;
        free(g.bytes);
    }
    model_verify_end(r->model, &v, hw);
    p->content = sl_hash_pair(p->content, v.hash);
}

static int32_t partitions_in(const struct kp_metadata_response *m, const struct mtopic *t)
{
    for (int32_t k = 0; k < m->topics_n; k++)
        if (memcmp(&m->topics[k].topic_id, &t->id, sizeof(t->id)) == 0)
            return m->topics[k].partitions_n;
    return 0;
}

// The topics that clients see are the model's: none lost, none back from the dead.
static bool verify_topics(struct people *p, struct kconn *c)
{
    struct run *r = p->r;
    struct kcall call;
    struct kp_metadata_request req;
    struct kp_metadata_response resp;
    kp_metadata_request_init(&req);
    req.topics_n = -1;
    req.allow_auto_topic_creation = false;
    int rc = kconn_call(c, &call, API_METADATA, V_METADATA, &req, &resp);
    int32_t expected = 0, shown = 0;
    for (int32_t k = 0; !rc && k < resp.topics_n; k++)
        shown += resp.topics[k].name.p[0] == 't'; // the others are those of groups
    for (struct mtopic *t = r->model->topics; t && !rc; t = t->next) {
        int32_t n = partitions_in(&resp, t);
        if (t->state == TOPIC_SERVING && n != (int32_t)t->parts_n)
            run_fail(r, "topic %s has %u partitions, the metadata show %d", t->name, t->parts_n, n);
        if (t->state == TOPIC_DELETED && n)
            run_fail(r, "topic %s was deleted and is back", t->name);
        expected += t->state == TOPIC_SERVING;
    }
    if (!rc && shown != expected)
        run_fail(r, "the metadata show %d topics, there are %d", shown, expected);
    kcall_free(&call);
    return rc == 0;
}

static void settle_topics(struct people *p, struct kconn **c);

static void verify_fiber(void *arg)
{
    struct people *p = arg;
    struct kconn *c = NULL;
    settle_topics(p, &c);
    while (!connect_to(p, &c) || !verify_topics(p, c))
        nap(p, 1000, 10000);
    p->content = 0;
    for (struct mtopic *t = p->r->model->topics; t; t = t->next)
        for (uint32_t k = 0; t->state == TOPIC_SERVING && k < t->parts_n; k++)
            verify_part(p, &c, &t->parts[k]);
    if (c)
        kconn_close(c);
    p->verified = true;
    p->fibers--;
}

// ---- administration -----------------------------------------------------------------------------------------------------------------
// What the broker calls this name: 1 and its id, 0 not there, -1 no answer.
static int ask_topic(struct people *p, struct kconn *c, struct mtopic *t)
{
    struct kcall call;
    struct kp_metadata_request req;
    struct kp_metadata_request_metadata_request_topic topic;
    struct kp_metadata_response resp;
    kp_metadata_request_init(&req);
    kp_metadata_request_metadata_request_topic_init(&topic);
    topic.name = kp_str_of(t->name);
    req.topics = &topic;
    req.topics_n = 1;
    req.allow_auto_topic_creation = false;
    int rc = kconn_call(c, &call, API_METADATA, V_METADATA, &req, &resp), there = -1;
    if (!rc && resp.topics_n == 1) {
        int16_t error = resp.topics[0].error_code;
        there = error == KERR_UNKNOWN_TOPIC_OR_PARTITION ? 0 : error == 0 ? 1 : -1;
        if (there == 1) {
            memcpy(&t->id, &resp.topics[0].topic_id, sizeof(t->id));
            t->parts_n = (uint32_t)resp.topics[0].partitions_n;
        }
    }
    kcall_free(&call);
    return there;
}

static void create_topic(struct people *p, struct kconn *c, struct mtopic *t)
{
    struct run *r = p->r;
    char bytes[16];
    struct keyed_setting more[KEYED_SETTINGS];
    struct kp_create_topics_request_creatable_topic_config cfg[2 + KEYED_SETTINGS];
    int32_t n = 0;
    snprintf(bytes, sizeof(bytes), "%u", r->k.segment_bytes);
    cfg[n++] = (struct kp_create_topics_request_creatable_topic_config){KP_STR_LIT("internal.segment.bytes"),
                                                                        kp_str_of(bytes)};
    if (t->caching)
        cfg[n++] = (struct kp_create_topics_request_creatable_topic_config){KP_STR_LIT("write.caching"),
                                                                            KP_STR_LIT("true")};
    for (uint32_t k = 0, m = t->keyed ? keyed_settings(r, t, more) : 0; k < m; k++)
        cfg[n++] = (struct kp_create_topics_request_creatable_topic_config){kp_str_of(more[k].key),
                                                                            kp_str_of(more[k].value)};
    struct kp_create_topics_request_creatable_topic topic = {.name = kp_str_of(t->name),
                                                             .num_partitions = (int32_t)t->parts_n,
                                                             .replication_factor = 1,
                                                             .configs = cfg,
                                                             .configs_n = n};
    struct kp_create_topics_request req = {.topics = &topic, .topics_n = 1, .timeout_ms = 30000};
    struct kp_create_topics_response resp;
    struct kcall call;
    int rc = kconn_call(c, &call, API_CREATE, V_CREATE, &req, &resp);
    if (!rc && resp.topics_n != 1)
        run_fail(r, "CreateTopics answers for %d topics", resp.topics_n);
    int16_t error = rc ? 0 : resp.topics[0].error_code;
    if (!rc && !error) {
        memcpy(&t->id, &resp.topics[0].topic_id, sizeof(t->id));
        t->state = TOPIC_SERVING;
        run_say(r, "  created %s with %u partitions", t->name, t->parts_n);
    } else if (!rc && error == KERR_TOPIC_ALREADY_EXISTS && t->maybe) {
        if (ask_topic(p, c, t) == 1)
            t->state = TOPIC_SERVING;
    } else if (!rc && !not_now(p, error)) {
        run_fail(r, "creating %s failed: %s: %.*s", t->name, kerr_name(error),
                 SL_MAX(resp.topics[0].error_message.n, 0),
                 resp.topics[0].error_message.p ? resp.topics[0].error_message.p : "");
    }
    t->maybe = true;
    kcall_free(&call);
}

static void delete_topic(struct people *p, struct kconn *c, struct mtopic *t)
{
    struct run *r = p->r;
    struct kp_delete_topics_request_delete_topic_state topic = {.name = KP_STR_NULL, .topic_id = t->id};
    struct kp_delete_topics_request req = {.topics = &topic, .topics_n = 1, .timeout_ms = 30000};
    struct kp_delete_topics_response resp;
    struct kcall call;
    t->state = TOPIC_DELETING;
    int rc = kconn_call(c, &call, API_DELETE, V_DELETE, &req, &resp);
    int16_t error = rc ? 0 : resp.responses_n == 1 ? resp.responses[0].error_code : -1;
    if (!rc && (!error || (error == KERR_UNKNOWN_TOPIC_ID && t->maybe_gone))) {
        t->state = TOPIC_DELETED;
        r->sum->deletes++;
        run_say(r, "  deleted %s", t->name);
    } else if (!rc && !not_now(p, error)) {
        run_fail(r, "deleting %s failed: %s", t->name, kerr_name(error));
    }
    t->maybe_gone = true;
    kcall_free(&call);
}

// Finishes what has begun: creations and deletions without an answer.
static bool settle_one(struct people *p, struct kconn **c)
{
    for (struct mtopic *t = p->r->model->topics; t; t = t->next) {
        if (t->state != TOPIC_CREATING && t->state != TOPIC_DELETING)
            continue;
        if (connect_to(p, c) && t->state == TOPIC_CREATING)
            create_topic(p, *c, t);
        else if (*c)
            delete_topic(p, *c, t);
        return true;
    }
    return false;
}

static void settle_topics(struct people *p, struct kconn **c)
{
    for (uint32_t tries = 0; settle_one(p, c); tries++) {
        if (tries > 3000)
            run_fail(p->r, "a topic's creation or deletion never ends");
        nap(p, 1000, 10000);
    }
}

static void admin_once(struct people *p, struct kconn **c)
{
    struct run *r = p->r;
    char name[16];
    if (settle_one(p, c) || p->hush)
        return;
    snprintf(name, sizeof(name), "t%u", run_below(r, r->k.topics));
    struct mtopic *t = model_topic_find(r->model, name);
    if (!t) {
        model_topic_add(r->model, name, 1 + run_below(r, r->k.partitions));
        r->sum->creates++;
    } else if (r->k.deletes && run_chance(r, 1, 12) && connect_to(p, c)) {
        delete_topic(p, *c, t);
    }
}

static void admin_fiber(void *arg)
{
    struct people *p = arg;
    struct kconn *c = NULL;
    while (going(p)) {
        admin_once(p, &c);
        nap(p, 100, 40000);
    }
    if (c)
        kconn_close(c);
    p->fibers--;
}

// ---- the whole -----------------------------------------------------------------------------------------------------------------------
struct people *people_create(struct run *r)
{
    struct people *p = calloc(1, sizeof(*p));
    SL_ASSERT(p);
    p->r = r;
    p->proc = sim_process_create(r->w, NULL);
    p->io = sim_io_create(p->proc);
    p->g = reactor_group_create(1, &p->io, 4, NULL);
    SL_ASSERT(p->g);
    p->re = reactor_group_get(p->g, 0);
    for (uint32_t k = 0; k < SL_MIN(r->k.producers, (uint32_t)MAX_WRITERS); k++)
        p->writers[k] =
            (struct writer){.pp = p, .m = {.id = k + 1, .idempotent = run_chance(r, 1, 2), .pid = -1}};
    sim_attach(p->proc, p->g);
    return p;
}

static void spawn(struct people *p, fiber_fn fn, void *arg)
{
    p->fibers++;
    SL_ASSERT(fiber_spawn(p->re, fn, arg, 64 << 10));
}

void people_start(struct people *p)
{
    p->stop = false;
    for (uint32_t k = 0; k < SL_MIN(p->r->k.producers, (uint32_t)MAX_WRITERS); k++)
        spawn(p, writer_fiber, &p->writers[k]);
    for (uint32_t k = 0; k < p->r->k.consumers; k++) {
        struct reader *rd = calloc(1, sizeof(*rd));
        SL_ASSERT(rd);
        rd->pp = p;
        rd->committed = k % 2 == 1;
        spawn(p, reader_fiber, rd);
    }
    spawn(p, admin_fiber, p);
}

void people_stop(struct people *p)
{
    p->stop = true;
}

void people_hush(struct people *p, bool hush)
{
    p->hush = hush;
}

uint32_t people_shots(const struct people *p)
{
    return p->in_flight;
}

bool people_write(struct people *p)
{
    return pick_part(p) != NULL;
}

bool people_gone(void *people)
{
    struct people *p = people;
    return p->fibers == 0 && p->in_flight == 0;
}

void people_verify(struct people *p)
{
    p->verified = false;
    spawn(p, verify_fiber, p);
}

bool people_verified(void *people)
{
    return ((struct people *)people)->verified;
}

uint64_t people_content(const struct people *p)
{
    return p->content;
}

uint64_t people_acks(const struct people *p)
{
    return p->acks;
}

void people_describe(const struct people *p, char *out, size_t cap)
{
    snprintf(out, cap, "fibers %u, requests in flight %u", p->fibers, p->in_flight);
}
