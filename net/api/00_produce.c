// Produce (key 0), versions 3-13; advertised from 0 (librdkafka drops compression otherwise), 0-2 close the
// connection. One message per shard concerned with a vector of its partitions; the answer leaves when every shard
// has answered. Of a partition that is named twice the last data counts, and it is answered once, as upstream does;
// topics without partitions are left out of the answer.
//
// Deviations from upstream 4.3:
// - Transactional batches are refused until transactions are served: INVALID_TXN_STATE, or as upstream
//   TRANSACTIONAL_ID_AUTHORIZATION_FAILED for all partitions when there is no transactional id.
// - Null records are INVALID_RECORD; upstream never answers them.
// - The error message is filled for more errors than upstream's. Of a batch, the first 32 records at fault are named.
#include "net/api/common.h"

#include "engine/log/batch.h"
#include "engine/log/validate.h"
#include "proto/gen/produce_request.h"
#include "proto/gen/produce_response.h"

#include <string.h>

typedef struct kp_produce_request_topic_produce_data in_topic;
typedef struct kp_produce_request_partition_produce_data in_part;
typedef struct kp_produce_response_topic_produce_response out_topic;
typedef struct kp_produce_response_partition_produce_response out_part;

struct part { // a distinct partition of the request, in the order of the answer
    const in_part *in;
    out_part *out;
    uint32_t topic; // of the answer
    uint32_t shard;
    struct shard_append_part *ask; // NULL: answered without a shard
};
struct state {
    struct kp_produce_request m;
    struct kp_produce_response out;
    const in_topic **topics; // the first of each topic of the answer
    struct part *parts;
    uint32_t parts_n, named_n; // distinct ones, and all
    struct shard_append *appends;
    struct call *calls; // per shard
    uint32_t pending;
};

// ---- the answer --------------------------------------------------------------------------------------------------
// Errors that upstream finds before it has a log whose start it could tell.
static bool without_log_start(int16_t e)
{
    return e == KERR_UNKNOWN_TOPIC_OR_PARTITION || e == KERR_NOT_LEADER_OR_FOLLOWER ||
           e == KERR_UNKNOWN_TOPIC_ID || e == KERR_MESSAGE_TOO_LARGE || e == KERR_RECORD_LIST_TOO_LARGE ||
           e == KERR_CORRUPT_MESSAGE || e == KERR_KAFKA_STORAGE_ERROR;
}

static void part_answer(struct req *r, const struct shard_append_part *p, out_part *o)
{
    o->error_code = p->error;
    if (!p->error) {
        o->base_offset = p->base_offset;
        o->log_append_time_ms = p->log_append_time;
        o->log_start_offset = p->log_start;
        return;
    }
    if (!without_log_start(p->error))
        o->log_start_offset = p->log_start;
    if (r->version >= 10 && p->error == KERR_NOT_LEADER_OR_FOLLOWER)
        o->current_leader.leader_epoch = p->leader_epoch;
    if (!p->error_text[0])
        return;
    o->error_message = kp_str_of(p->error_text);
    if (!p->bad_n)
        return;
    o->record_errors = req_alloc_array(r, p->bad_n, sizeof(*o->record_errors));
    o->record_errors_n = (int32_t)p->bad_n;
    for (uint32_t i = 0; i < p->bad_n; i++) {
        o->record_errors[i].batch_index = p->bad_index[i];
        o->record_errors[i].batch_index_error_message =
            i ? kp_str_of(validate_fault_text(p->bad_fault[i])) : o->error_message;
    }
    if (p->error == KERR_INVALID_TIMESTAMP)
        o->error_message = KP_STR_LIT("One or more records have been rejected due to invalid timestamp");
}

static const struct meta_topic *find_topic(const struct req *r, const in_topic *t)
{
    return r->version >= 13 ? api_topic_by_id(r, &t->topic_id) : api_topic(r, t->name);
}

static void endpoint_add(struct req *r, struct kp_produce_response *out, int32_t id)
{
    const struct meta_endpoint *ep;
    const struct meta_broker *b = api_live_broker(r, id, &ep);
    for (int32_t i = 0; i < out->node_endpoints_n; i++)
        if (out->node_endpoints[i].node_id == id)
            return;
    if (!b)
        return;
    if (!out->node_endpoints)
        out->node_endpoints = req_alloc_array(r, net_image(r->net)->brokers_n, sizeof(*out->node_endpoints));
    struct kp_produce_response_node_endpoint *e = &out->node_endpoints[out->node_endpoints_n++];
    kp_produce_response_node_endpoint_init(e);
    *e = (struct kp_produce_response_node_endpoint){
        .node_id = id, .host = kp_str_of(ep->host), .port = ep->port, .rack = kp_str_of(b->rack)};
}

// KIP-951: where the leader is, from the image of this turn, in which the answer is encoded as well.
static void leaders_add(struct req *r, struct state *st)
{
    if (r->version < 10)
        return;
    for (uint32_t k = 0; k < st->parts_n; k++) {
        out_part *o = st->parts[k].out;
        const struct meta_topic *t;
        if (o->error_code != KERR_NOT_LEADER_OR_FOLLOWER)
            continue;
        t = find_topic(r, st->topics[st->parts[k].topic]);
        if (!t || o->index < 0 || (uint32_t)o->index >= t->partitions_n)
            continue;
        const struct meta_partition *mp = &t->partitions[o->index];
        o->current_leader.leader_id = mp->leader;
        o->current_leader.leader_epoch = SL_MAX(o->current_leader.leader_epoch, mp->leader_epoch);
        endpoint_add(r, &st->out, mp->leader);
    }
}

static void finish(struct req *r)
{
    struct state *st = r->state;
    bool failed = false;
    for (uint32_t k = 0; k < st->parts_n; k++) {
        if (st->parts[k].ask)
            part_answer(r, st->parts[k].ask, st->parts[k].out);
        failed |= st->parts[k].out->error_code != 0;
    }
    if (st->m.acks) {
        leaders_add(r, st);
        r->throttle_ms = quota_record(r, META_QUOTA_PRODUCE, r->frame_len);
        REQ_RESPOND(r, &st->out, produce_response);
    } else if (failed) {
        req_close(r, "a produce without acks failed");
    } else {
        r->throttle_ms = quota_record(r, META_QUOTA_PRODUCE, r->frame_len);
        (void)req_throttle(r);
        req_respond_none(r);
    }
}

// ---- distinct partitions -------------------------------------------------------------------------------------------
// The topics of the answer: each once, those without partitions not at all. counts: partitions named of each.
static void topics_make(struct req *r, struct state *st, uint32_t *of, uint32_t *counts)
{
    struct api_set seen;
    uint32_t n = (uint32_t)st->m.topic_data_n, k = 0;
    if (n > 1)
        api_set_init(r, &seen, n);
    for (uint32_t i = 0; i < n; i++) {
        const in_topic *t = &st->m.topic_data[i];
        bool by_id = r->version >= 13;
        if (t->partition_data_n == 0)
            continue;
        of[i] = n > 1 ? api_set_put(&seen, by_id ? (const void *)&t->topic_id : t->name.p,
                                    by_id ? sizeof(t->topic_id) : (size_t)t->name.n, k)
                      : 0;
        if (of[i] == k)
            st->topics[k++] = t;
        counts[of[i]] += (uint32_t)t->partition_data_n;
        st->named_n += (uint32_t)t->partition_data_n;
    }
    st->out.responses = req_alloc_array(r, k, sizeof(*st->out.responses));
    st->out.responses_n = (int32_t)k;
    for (uint32_t i = 0; i < k; i++) {
        out_topic *o = &st->out.responses[i];
        kp_produce_response_topic_produce_response_init(o);
        o->name = st->topics[i]->name;
        o->topic_id = st->topics[i]->topic_id;
        o->partition_responses = req_alloc_array(r, counts[i], sizeof(*o->partition_responses));
    }
}

static void part_add(struct state *st, uint32_t topic, const in_part *in)
{
    out_topic *o = &st->out.responses[topic];
    struct part *p = &st->parts[st->parts_n++];
    p->in = in;
    p->topic = topic;
    p->out = &o->partition_responses[o->partition_responses_n++];
    kp_produce_response_partition_produce_response_init(p->out);
    p->out->index = in->index;
    p->out->base_offset = -1;
}

struct part_key {
    uint32_t topic;
    int32_t index;
};

static void parts_make(struct req *r, struct state *st)
{
    struct api_set seen;
    uint32_t n = (uint32_t)st->m.topic_data_n, named = 0;
    uint32_t *of = req_alloc_array(r, n, sizeof(*of)), *counts = req_alloc_array(r, n, sizeof(*counts));
    st->topics = req_alloc_array(r, n, sizeof(in_topic *));
    kp_produce_response_init(&st->out);
    topics_make(r, st, of, counts);
    st->parts = req_alloc_array(r, st->named_n, sizeof(*st->parts));
    struct part_key *keys = st->named_n > 1 ? req_alloc_array(r, st->named_n, sizeof(*keys)) : NULL;
    if (keys)
        api_set_init(r, &seen, st->named_n);
    for (uint32_t i = 0; i < n; i++)
        for (int32_t k = 0; k < st->m.topic_data[i].partition_data_n; k++) {
            const in_part *in = &st->m.topic_data[i].partition_data[k];
            uint32_t at = st->parts_n;
            if (keys) {
                keys[named] = (struct part_key){of[i], in->index};
                at = api_set_put(&seen, &keys[named++], sizeof(*keys), st->parts_n);
            }
            if (at == st->parts_n)
                part_add(st, of[i], in);
            else
                st->parts[at].in = in; // named again
        }
}

// ---- what goes where -------------------------------------------------------------------------------------------------
static bool is_transactional(const struct kp_records *b)
{
    return b->n >= BATCH_HEADER_SIZE && b->p[BATCH_MAGIC] == BATCH_MAGIC_V2 &&
           (be16_load(b->p + BATCH_ATTRIBUTES) & BATCH_ATTR_TRANSACTIONAL);
}

// What is wrong with a partition before any shard is asked; KERR_NONE: nothing.
static int16_t check_part(const struct req *r, const struct state *st, const struct meta_topic *t,
                          const struct part *p)
{
    const struct kp_produce_request *m = &st->m;
    if (!t && r->version >= 13)
        return KERR_UNKNOWN_TOPIC_ID;
    int16_t leader = api_check_leader(r, t, p->in->index);
    if (leader == KERR_UNKNOWN_TOPIC_OR_PARTITION)
        return leader;
    if (p->in->records.n < 0)
        return KERR_INVALID_RECORD;
    if (m->acks != 0 && m->acks != 1 && m->acks != -1)
        return KERR_INVALID_REQUIRED_ACKS;
    if (t->internal && !kp_str_eq(r->client_id, KP_STR_LIT("__admin_client")))
        return KERR_INVALID_TOPIC_EXCEPTION;
    if (leader)
        return leader;
    return is_transactional(&p->in->records) ? KERR_INVALID_TXN_STATE : KERR_NONE;
}

static void refuse_all(struct state *st, int16_t error)
{
    for (uint32_t k = 0; k < st->parts_n; k++) {
        st->parts[k].out->error_code = error;
        st->parts[k].ask = NULL;
    }
}

static bool transactional_without_id(const struct state *st)
{
    for (uint32_t k = 0; k < st->parts_n && st->m.transactional_id.n < 0; k++)
        if (is_transactional(&st->parts[k].in->records))
            return true;
    return false;
}

static void plan(struct req *r, struct state *st)
{
    const struct meta_topic *t = NULL;
    uint32_t shards = net_shards(r->net), topic = UINT32_MAX;
    st->appends = req_alloc_array(r, shards, sizeof(*st->appends));
    st->calls = req_alloc_array(r, shards, sizeof(*st->calls));
    for (uint32_t k = 0; k < st->parts_n; k++) {
        struct part *p = &st->parts[k];
        if (p->topic != topic)
            t = find_topic(r, st->topics[topic = p->topic]);
        p->out->error_code = check_part(r, st, t, p);
        if (p->out->error_code)
            continue;
        p->shard = net_shard_of(r->net, &t->id, p->in->index);
        st->appends[p->shard].n++;
    }
    for (uint32_t s = 0; s < shards; s++)
        if (st->appends[s].n) {
            st->appends[s].parts = req_alloc_array(r, st->appends[s].n, sizeof(*st->appends[s].parts));
            st->appends[s].n = 0;
        }
    for (uint32_t k = 0; k < st->parts_n; k++) {
        struct part *p = &st->parts[k];
        struct shard_append *a = &st->appends[p->shard];
        if (p->out->error_code)
            continue;
        if (p->topic != topic)
            t = find_topic(r, st->topics[topic = p->topic]);
        p->ask = &a->parts[a->n++];
        p->ask->topic_id = t->id;
        p->ask->partition = p->in->index;
        p->ask->records = (uint8_t *)(uintptr_t)p->in->records.p; // the frame is ours to change
        p->ask->bytes = p->in->records.n;
    }
}

// The latest shard's.
static void stamps_take(struct req *r, const struct shard_append *a)
{
    r->t[REQ_QUEUED] = SL_MAX(r->t[REQ_QUEUED], a->t_taken);
    r->t[REQ_STORED] = SL_MAX(r->t[REQ_STORED], a->t_appended);
    r->t[REQ_WRITTEN] = SL_MAX(r->t[REQ_WRITTEN], a->t_written);
    r->t[REQ_DURABLE] = SL_MAX(r->t[REQ_DURABLE], a->t_durable);
}

static void appended(struct call *c)
{
    struct state *st = c->req->state;
    stamps_take(c->req, c->ptr);
    if (--st->pending == 0)
        finish(c->req);
}

static void send_all(struct req *r, struct state *st)
{
    st->pending = 1;
    req_stamp(r, REQ_PARSED);
    for (uint32_t s = 0; s < net_shards(r->net); s++) {
        struct shard_append *a = &st->appends[s];
        if (!a->n)
            continue;
        a->acks = st->m.acks;
        a->api_version = r->version;
        a->timeout_ms = st->m.timeout_ms;
        a->t_received = r->t_received;
        st->pending++;
        call_send(&st->calls[s], r, net_shard_reactor(r->net, s), SHARD_APPEND, a, appended);
    }
    if (--st->pending == 0)
        finish(r);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    reactor_count(r->net->r, METRIC_PRODUCE_REQUESTS, 1);
    if (!REQ_DECODE(r, &st->m, produce_request))
        return;
    parts_make(r, st);
    if (transactional_without_id(st)) {
        refuse_all(st, KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        finish(r);
        return;
    }
    plan(r, st);
    send_all(r, st);
}

const struct api_handler api_produce = {
    .key = 0, .min = 3, .max = 13, .advertise_min = 0, .start = start, .pipelined = true};
