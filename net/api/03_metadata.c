// Metadata (key 3), versions 0-13: brokers, cluster id, controller, topics by name, by id (from 12) or all.
//
// Deviations from upstream 4.3: an automatically created topic is waited for and answered as it then is, where upstream
// answers UNKNOWN_TOPIC_OR_PARTITION and lets the client ask again; internal topics are not created from here; the
// controller id is the controller's own where it is a reachable broker, where upstream names a random live broker.
#include "net/api/common.h"

#include "proto/gen/metadata_request.h"
#include "proto/gen/metadata_response.h"

#include <string.h>

typedef struct kp_metadata_request_metadata_request_topic in_topic;
typedef struct kp_metadata_response_metadata_response_topic out_topic;
typedef struct kp_metadata_response_metadata_response_partition out_part;

enum { AUTO_CREATE_MAX = 1000 }; // topics created by one request

struct state {
    struct kp_metadata_request m;
    bool all;
    const in_topic **wanted; // without repetitions
    uint32_t wanted_n;
    struct meta_create create;
    struct call call;
};

// ---- building ----------------------------------------------------------------------------------------------------------
static void add_brokers(struct req *r, struct kp_metadata_response *out)
{
    const struct meta_image *img = net_image(r->net);
    out->brokers = req_alloc_array(r, img->brokers_n, sizeof(*out->brokers));
    for (uint32_t i = 0; i < img->brokers_n; i++) {
        const struct meta_endpoint *ep;
        const struct meta_broker *b = api_live_broker(r, img->brokers[i].id, &ep);
        if (!b)
            continue;
        out->brokers[out->brokers_n++] = (struct kp_metadata_response_metadata_response_broker){
            .node_id = b->id, .host = kp_str_of(ep->host), .port = ep->port, .rack = kp_str_of(b->rack)};
    }
}

static void add_partition(struct req *r, const struct meta_partition *p, int32_t index, out_part *o)
{
    const struct meta_endpoint *ep;
    bool live = p->leader >= 0 && api_live_broker(r, p->leader, &ep);
    o->partition_index = index;
    o->error_code = live ? KERR_NONE : KERR_LEADER_NOT_AVAILABLE;
    o->leader_id = live ? p->leader : -1;
    o->leader_epoch = p->leader_epoch;
    o->replica_nodes = (int32_t *)p->replicas; // encoded within this turn
    o->replica_nodes_n = (int32_t)p->replicas_n;
    o->isr_nodes = (int32_t *)p->isr;
    o->isr_nodes_n = (int32_t)p->isr_n;
    o->offline_replicas = req_alloc_array(r, p->replicas_n, sizeof(int32_t));
    o->offline_replicas_n = api_offline_replicas(r, p, o->offline_replicas);
}

static void add_topic(struct req *r, const struct meta_topic *t, out_topic *o)
{
    o->name = kp_str_of(t->name);
    o->topic_id = t->id;
    o->is_internal = t->internal;
    o->partitions_n = (int32_t)t->partitions_n;
    o->partitions = req_alloc_array(r, t->partitions_n, sizeof(*o->partitions));
    for (uint32_t i = 0; i < t->partitions_n; i++)
        add_partition(r, &t->partitions[i], (int32_t)i, &o->partitions[i]);
}

static const struct meta_topic *find(const struct req *r, const in_topic *w)
{
    return sl_uuid_is_zero(&w->topic_id) ? api_topic(r, w->name) : api_topic_by_id(r, &w->topic_id);
}

// What the controller said about a topic that it was asked to create; KERR_NONE if it was not asked.
static int16_t create_error(const struct state *st, struct kp_str name)
{
    for (uint32_t i = 0; i < st->create.n; i++) {
        const struct meta_create_topic *c = &st->create.topics[i];
        if (c->name == name.p)
            return c->error;
    }
    return KERR_NONE;
}

static int16_t missing_error(struct req *r, const struct state *st, const in_topic *w)
{
    if (!sl_uuid_is_zero(&w->topic_id))
        return KERR_UNKNOWN_TOPIC_ID;
    if (api_topic_name_error(r, w->name))
        return KERR_INVALID_TOPIC_EXCEPTION;
    int16_t e = create_error(st, w->name);
    return e == KERR_INVALID_TOPIC_EXCEPTION || e == KERR_INVALID_REPLICATION_FACTOR ||
                   e == KERR_INVALID_PARTITIONS
               ? e
               : KERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static void add_topics(struct req *r, struct state *st, struct kp_metadata_response *out)
{
    const struct meta_image *img = net_image(r->net);
    uint32_t n = st->all ? img->topics_n : st->wanted_n;
    out->topics = req_alloc_array(r, n, sizeof(*out->topics));
    out->topics_n = (int32_t)n;
    for (uint32_t i = 0; i < n; i++) {
        out_topic *o = &out->topics[i];
        const struct meta_topic *t = st->all ? img->topics[i] : find(r, st->wanted[i]);
        kp_metadata_response_metadata_response_topic_init(o);
        if (t) {
            add_topic(r, t, o);
        } else {
            const in_topic *w = st->wanted[i];
            o->error_code = missing_error(r, st, w);
            o->name = o->error_code == KERR_UNKNOWN_TOPIC_ID ? KP_STR_NULL : w->name;
            o->topic_id = w->topic_id;
            o->is_internal = api_is_internal(w->name);
        }
        if (st->m.include_topic_authorized_operations && o->error_code != KERR_UNKNOWN_TOPIC_ID)
            o->topic_authorized_operations = API_TOPIC_OPS;
    }
}

static void answer(struct req *r)
{
    struct state *st = r->state;
    struct kp_metadata_response out;
    const struct meta_image *img = net_image(r->net);
    kp_metadata_response_init(&out);
    add_brokers(r, &out);
    out.cluster_id = kp_str_of(img->cluster_id);
    out.controller_id = api_controller_id(r);
    add_topics(r, st, &out);
    if (st->m.include_cluster_authorized_operations)
        out.cluster_authorized_operations = API_CLUSTER_OPS;
    REQ_RESPOND(r, &out, metadata_response);
}

// ---- asking ------------------------------------------------------------------------------------------------------------
// The request contradicts itself: every topic is answered with the error, as upstream does.
static void answer_invalid(struct req *r)
{
    struct state *st = r->state;
    struct kp_metadata_response out;
    kp_metadata_response_init(&out);
    out.topics_n = st->m.topics_n;
    out.topics = req_alloc_array(r, (size_t)st->m.topics_n, sizeof(*out.topics));
    for (int32_t i = 0; i < st->m.topics_n; i++) {
        kp_metadata_response_metadata_response_topic_init(&out.topics[i]);
        out.topics[i].error_code = KERR_INVALID_REQUEST;
        out.topics[i].name = st->m.topics[i].name.n < 0 ? KP_STR_LIT("") : st->m.topics[i].name;
        out.topics[i].topic_id = st->m.topics[i].topic_id;
    }
    out.error_code = KERR_INVALID_REQUEST;
    REQ_RESPOND(r, &out, metadata_response);
}

static bool contradictory(const struct req *r, const struct state *st)
{
    if (r->version >= 12)
        return false;
    for (int32_t i = 0; i < st->m.topics_n; i++)
        if (st->m.topics[i].name.n < 0 || (r->version >= 10 && !sl_uuid_is_zero(&st->m.topics[i].topic_id)))
            return true;
    return false;
}

// When ids are given, names count for nothing, as upstream does.
static void collect_wanted(struct req *r, struct state *st)
{
    struct api_set seen;
    bool ids = false;
    for (int32_t i = 0; i < st->m.topics_n; i++)
        ids |= r->version >= 12 && !sl_uuid_is_zero(&st->m.topics[i].topic_id);
    api_set_init(r, &seen, (uint32_t)st->m.topics_n);
    st->wanted = req_alloc_array(r, (size_t)st->m.topics_n, sizeof(*st->wanted));
    for (int32_t i = 0; i < st->m.topics_n; i++) {
        in_topic *t = &st->m.topics[i];
        if (ids && sl_uuid_is_zero(&t->topic_id))
            continue;
        if (!ids)
            memset(&t->topic_id, 0, sizeof(t->topic_id));
        const void *key = ids ? (const void *)t->topic_id.b : t->name.p;
        size_t n = ids ? sizeof(t->topic_id) : (size_t)SL_MAX(t->name.n, 0);
        if (api_set_put(&seen, key, n, st->wanted_n) == st->wanted_n)
            st->wanted[st->wanted_n++] = t;
    }
}

static void created(struct call *c)
{
    answer(c->req);
}

static bool may_create(const struct req *r, const struct state *st)
{
    return !st->all && cfg_bool(r->net->cfg.cfg, CFG_AUTO_CREATE_TOPICS_ENABLE) &&
           (r->version < 4 || st->m.allow_auto_topic_creation);
}

// Topics to be created: named, missing, valid. The rest of a longer list is created when the client asks again.
static void collect_missing(struct req *r, struct state *st)
{
    st->create.topics =
        req_alloc_array(r, SL_MIN(st->wanted_n, (uint32_t)AUTO_CREATE_MAX), sizeof(*st->create.topics));
    st->create.auto_create = true;
    for (uint32_t i = 0; i < st->wanted_n && st->create.n < AUTO_CREATE_MAX; i++) {
        const in_topic *w = st->wanted[i];
        if (!sl_uuid_is_zero(&w->topic_id) || find(r, w) || api_is_internal(w->name) ||
            api_topic_name_error(r, w->name))
            continue;
        st->create.topics[st->create.n++] = (struct meta_create_topic){
            .name = w->name.p, .name_len = w->name.n, .partitions = -1, .replication_factor = -1};
    }
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, metadata_request))
        return;
    if (!net_image(r->net)) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    st->all = st->m.topics_n < 0 || (r->version == 0 && st->m.topics_n == 0);
    if (!st->all && contradictory(r, st)) {
        answer_invalid(r);
        return;
    }
    if (!st->all)
        collect_wanted(r, st);
    if (may_create(r, st))
        collect_missing(r, st);
    if (st->create.n)
        call_send(&st->call, r, net_controller_reactor(r->net), META_CREATE_TOPICS, &st->create, created);
    else
        answer(r);
}

const struct api_handler api_metadata = {.key = 3, .min = 0, .max = 13, .advertise_min = 0, .start = start};
