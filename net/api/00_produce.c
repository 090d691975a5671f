// Produce (key 0), versions 3-13; advertised from 0 (librdkafka drops compression otherwise), 0-2 close the connection.
// One message per shard concerned with a vector of its partitions; the answer leaves when every shard has answered.
// Transactional batches are refused until transactions are served.
#include "net/net_private.h"

#include "proto/gen/produce_request.h"
#include "proto/gen/produce_response.h"

#include <string.h>

struct slot { // a partition of the request, in its order
    uint32_t shard;
    uint32_t part; // of the shard's vector
    bool sent;
};
struct state {
    struct kp_produce_request m;
    struct slot *slots;
    struct shard_append *appends; // per shard; n == 0: not concerned
    struct call *calls;
    uint32_t pending;
    uint32_t parts_n;
    struct kp_produce_response out;
};

static bool is_leader_error(int16_t e)
{
    return e == KERR_NOT_LEADER_OR_FOLLOWER || e == KERR_FENCED_LEADER_EPOCH;
}

static void part_answer(struct req *r, const struct shard_append_part *p, struct kp_produce_response_partition_produce_response *o)
{
    o->error_code = p->error;
    o->base_offset = p->error ? -1 : p->base_offset;
    o->log_append_time_ms = p->error ? -1 : p->log_append_time;
    o->log_start_offset = p->error ? -1 : p->log_start;
    if (is_leader_error(p->error) && p->leader_epoch >= 0) {
        const struct meta_image *img = net_image(r->net);
        o->current_leader.leader_id = img ? img->node_id : -1;
        o->current_leader.leader_epoch = p->leader_epoch;
    }
    if (!p->error || !p->error_text[0])
        return;
    o->error_message = kp_str_of(p->error_text);
    if (p->bad_record >= 0) {
        o->record_errors = req_alloc_array(r, 1, sizeof(*o->record_errors));
        o->record_errors_n = 1;
        o->record_errors[0].batch_index = p->bad_record;
        o->record_errors[0].batch_index_error_message = kp_str_of(p->error_text);
    }
}

static void answer(struct req *r)
{
    struct state *st = r->state;
    if (st->m.acks == 0) {
        bool failed = false;
        for (int32_t t = 0; t < st->out.responses_n; t++)
            for (int32_t i = 0; i < st->out.responses[t].partition_responses_n; i++)
                failed |= st->out.responses[t].partition_responses[i].error_code != 0;
        if (failed)
            req_close(r, "a produce without acks failed");
        else
            req_respond_none(r);
        return;
    }
    REQ_RESPOND(r, &st->out, produce_response);
}

static void finish(struct req *r)
{
    struct state *st = r->state;
    uint32_t k = 0;
    for (int32_t t = 0; t < st->out.responses_n; t++)
        for (int32_t i = 0; i < st->out.responses[t].partition_responses_n; i++, k++)
            if (st->slots[k].sent)
                part_answer(r, &st->appends[st->slots[k].shard].parts[st->slots[k].part],
                            &st->out.responses[t].partition_responses[i]);
    answer(r);
}

static void appended(struct call *c)
{
    struct state *st = c->req->state;
    if (--st->pending == 0)
        finish(c->req);
}

// What is wrong with a partition before any shard is asked; KERR_NONE: nothing.
static int16_t check_part(const struct req *r, const struct meta_topic *t, int32_t partition)
{
    if (!t)
        return r->version >= 13 ? KERR_UNKNOWN_TOPIC_ID : KERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (partition < 0 || (uint32_t)partition >= t->partitions_n)
        return KERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (t->internal && !kp_str_eq(r->client_id, KP_STR_LIT("__admin_client")))
        return KERR_INVALID_TOPIC_EXCEPTION;
    return KERR_NONE;
}

static void add_part(struct req *r, struct state *st, struct slot *slot, const struct meta_topic *t,
                     const struct kp_produce_request_partition_produce_data *p)
{
    slot->shard = net_shard_of(r->net, &t->id, p->index);
    struct shard_append *a = &st->appends[slot->shard];
    if (!a->parts)
        a->parts = req_alloc_array(r, st->parts_n, sizeof(*a->parts));
    slot->part = a->n++;
    slot->sent = true;
    a->parts[slot->part] = (struct shard_append_part){.topic_id = t->id,
                                                      .partition = p->index,
                                                      .records = (uint8_t *)p->records.p,
                                                      .bytes = SL_MAX(p->records.n, 0)};
}

static const struct meta_topic *find_topic(const struct req *r, const struct meta_image *img,
                                           const struct kp_produce_request_topic_produce_data *t)
{
    if (!img)
        return NULL;
    return r->version >= 13 ? meta_find_topic_id(img, &t->topic_id)
                            : meta_find_topic(img, t->name.p, (size_t)SL_MAX(t->name.n, 0));
}

static void plan_topic(struct req *r, struct state *st, int32_t ti, uint32_t *k)
{
    const struct kp_produce_request_topic_produce_data *in = &st->m.topic_data[ti];
    struct kp_produce_response_topic_produce_response *out = &st->out.responses[ti];
    const struct meta_topic *t = find_topic(r, net_image(r->net), in);
    kp_produce_response_topic_produce_response_init(out);
    out->name = in->name;
    out->topic_id = in->topic_id;
    out->partition_responses_n = in->partition_data_n;
    out->partition_responses = req_alloc_array(r, (size_t)in->partition_data_n, sizeof(*out->partition_responses));
    for (int32_t i = 0; i < in->partition_data_n; i++, (*k)++) {
        struct kp_produce_response_partition_produce_response *o = &out->partition_responses[i];
        kp_produce_response_partition_produce_response_init(o);
        o->index = in->partition_data[i].index;
        o->base_offset = o->log_append_time_ms = o->log_start_offset = -1;
        o->error_code = check_part(r, t, o->index);
        if (!o->error_code && st->m.acks != 0 && st->m.acks != 1 && st->m.acks != -1)
            o->error_code = KERR_INVALID_REQUIRED_ACKS;
        if (!o->error_code)
            add_part(r, st, &st->slots[*k], t, &in->partition_data[i]);
    }
}

static void plan(struct req *r, struct state *st)
{
    uint32_t k = 0;
    for (int32_t t = 0; t < st->m.topic_data_n; t++)
        st->parts_n += (uint32_t)SL_MAX(st->m.topic_data[t].partition_data_n, 0);
    st->slots = req_alloc_array(r, st->parts_n, sizeof(*st->slots));
    st->appends = req_alloc_array(r, net_shards(r->net), sizeof(*st->appends));
    st->calls = req_alloc_array(r, net_shards(r->net), sizeof(*st->calls));
    kp_produce_response_init(&st->out);
    st->out.responses_n = st->m.topic_data_n;
    st->out.responses = req_alloc_array(r, (size_t)st->m.topic_data_n, sizeof(*st->out.responses));
    for (int32_t t = 0; t < st->m.topic_data_n; t++)
        plan_topic(r, st, t, &k);
}

static void send_all(struct req *r, struct state *st)
{
    st->pending = 1;
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

// Every batch of the request is transactional or none is: the first tells.
static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    reactor_count(r->net->r, METRIC_PRODUCE_REQUESTS, 1);
    if (!REQ_DECODE(r, &st->m, produce_request))
        return;
    plan(r, st);
    if (st->m.transactional_id.n >= 0) { // no transaction coordinator: refused before anything is appended
        for (int32_t t = 0; t < st->out.responses_n; t++)
            for (int32_t i = 0; i < st->out.responses[t].partition_responses_n; i++)
                st->out.responses[t].partition_responses[i].error_code = KERR_INVALID_TXN_STATE;
        memset(st->slots, 0, st->parts_n * sizeof(*st->slots));
        answer(r);
        return;
    }
    send_all(r, st);
}

const struct api_handler api_produce = {
    .key = 0, .min = 3, .max = 13, .advertise_min = 0, .start = start, .pipelined = true};
