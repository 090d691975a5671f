// CreateTopics (key 19), versions 2-7. The controller validates and creates; the answer comes when the records are durable
// and every reactor has the new image. From version 5 the answer shows partitions, replication factor and configs.
// Partitions count for the client's quota on changes (KIP-599): who owes is refused from version 6 on, before it he is
// throttled only.
//
// Deviations from upstream 4.3: the timeout is not applied (a creation takes milliseconds); duplicates and the metadata
// topic's name are answered in request order.
#include "net/api/common.h"

#include "proto/gen/create_topics_request.h"
#include "proto/gen/create_topics_response.h"

#include <stdlib.h>
#include <string.h>

typedef struct kp_create_topics_request_creatable_topic in_topic;
typedef struct kp_create_topics_response_creatable_topic_result out_topic;

enum { QUOTA_STRICT_SINCE = 6 };

struct state {
    struct kp_create_topics_request m;
    struct meta_create create;
    const in_topic **asked; // of each element of create.topics
    struct call call;
    struct kp_create_topics_response out;
};

// ---- the question --------------------------------------------------------------------------------------------------------
static void assignments_copy(struct req *r, const in_topic *in, struct meta_create_topic *c)
{
    if (in->assignments_n <= 0)
        return;
    size_t n = (size_t)in->assignments_n;
    const int32_t **lists = req_alloc_array(r, n, sizeof(*lists));
    int32_t *lens = req_alloc_array(r, n, sizeof(*lens)), *ids = req_alloc_array(r, n, sizeof(*ids));
    for (size_t i = 0; i < n; i++) {
        lists[i] = in->assignments[i].broker_ids;
        lens[i] = SL_MAX(in->assignments[i].broker_ids_n, 0);
        ids[i] = in->assignments[i].partition_index;
    }
    c->assignments = lists;
    c->assignment_n = lens;
    c->assignment_ids = ids;
    c->assignments_n = (uint32_t)n;
}

// Of a key that is named twice the last value counts.
static void configs_copy(struct req *r, const in_topic *in, struct meta_create_topic *c)
{
    struct api_set seen;
    uint32_t n = (uint32_t)SL_MAX(in->configs_n, 0), k = 0;
    struct meta_config_entry *cfg = req_alloc_array(r, n, sizeof(*cfg));
    api_set_init(r, &seen, n);
    for (uint32_t i = 0; i < n; i++) {
        const char *key = api_cstr(r, in->configs[i].name);
        uint32_t at = api_set_put(&seen, key, strlen(key), k);
        cfg[at] = (struct meta_config_entry){key, api_cstr(r, in->configs[i].value)};
        k += at == k;
    }
    c->configs = cfg;
    c->configs_n = k;
}

static void topic_ask(struct req *r, struct state *st, const in_topic *in)
{
    struct meta_create_topic *c = &st->create.topics[st->create.n];
    c->name = api_cstr(r, in->name);
    c->name_len = in->name.n;
    c->partitions = in->num_partitions;
    c->replication_factor = in->replication_factor;
    configs_copy(r, in, c);
    assignments_copy(r, in, c);
    st->asked[st->create.n++] = in;
}

static out_topic *refuse(struct state *st, const in_topic *in, const char *why)
{
    out_topic *o = &st->out.topics[st->out.topics_n++];
    kp_create_topics_response_creatable_topic_result_init(o);
    o->name = in->name;
    o->error_code = KERR_INVALID_REQUEST;
    o->error_message = kp_str_of(why);
    o->configs = NULL;
    return o;
}

// ---- the answer ----------------------------------------------------------------------------------------------------------
typedef struct kp_create_topics_response_creatable_topic_configs out_config;

static int by_name(const void *a, const void *b)
{
    const out_config *x = a, *y = b;
    return strcmp(x->name.p, y->name.p);
}

// The value that the request gives a key; the last of two counts.
static const char *override_of(const struct meta_create_topic *c, const char *key)
{
    for (uint32_t i = c->configs_n; i-- > 0;)
        if (!strcmp(c->configs[i].key, key))
            return c->configs[i].value;
    return NULL;
}

static void configs_fill(struct req *r, const struct meta_create_topic *c, out_topic *o)
{
    o->configs = req_alloc_array(r, TOPIC_KEY_COUNT, sizeof(*o->configs));
    o->configs_n = 0;
    for (int k = 0; k < TOPIC_KEY_COUNT; k++) {
        struct cfg_view v;
        topic_config_view(net_config(r->net), (enum topic_key)k,
                          override_of(c, topic_key_name((enum topic_key)k)), &v);
        if (v.internal)
            continue;
        o->configs[o->configs_n++] = (out_config){.name = kp_str_of(v.name),
                                                  .value = v.sensitive ? KP_STR_NULL : api_copy(r, v.value),
                                                  .read_only = v.read_only,
                                                  .config_source = (int8_t)v.origin,
                                                  .is_sensitive = v.sensitive};
    }
    qsort(o->configs, (size_t)o->configs_n, sizeof(*o->configs), by_name);
}

static void created(struct call *call)
{
    struct req *r = call->req;
    struct state *st = r->state;
    for (uint32_t i = 0; i < st->create.n; i++) {
        const struct meta_create_topic *c = &st->create.topics[i];
        out_topic *o = &st->out.topics[st->out.topics_n++];
        kp_create_topics_response_creatable_topic_result_init(o);
        o->name = st->asked[i]->name;
        o->error_code = c->error;
        o->error_message =
            c->error ? kp_str_of(c->message[0] ? c->message : api_error_text(c->error)) : KP_STR_NULL;
        if (c->error)
            continue;
        o->topic_id = c->id;
        o->num_partitions = c->out_partitions;
        o->replication_factor = c->out_replication;
        if (r->version >= 5)
            configs_fill(r, c, o);
    }
    quota_mutated(r, &st->create.quota);
    REQ_RESPOND(r, &st->out, create_topics_response);
}

static void plan(struct req *r, struct state *st)
{
    uint32_t n = (uint32_t)SL_MAX(st->m.topics_n, 0);
    struct api_set seen;
    uint32_t *times = req_alloc_array(r, n, sizeof(*times));
    api_set_init(r, &seen, n);
    kp_create_topics_response_init(&st->out);
    st->out.topics = req_alloc_array(r, n, sizeof(*st->out.topics));
    st->create.topics = req_alloc_array(r, n, sizeof(*st->create.topics));
    st->asked = req_alloc_array(r, n, sizeof(*st->asked));
    st->create.validate_only = st->m.validate_only;
    for (uint32_t i = 0; i < n; i++)
        times[api_set_put(&seen, st->m.topics[i].name.p, (size_t)SL_MAX(st->m.topics[i].name.n, 0), i)]++;
    for (uint32_t i = 0; i < n; i++) {
        const in_topic *in = &st->m.topics[i];
        if (times[i] == 0) // a repetition: its first was answered
            continue;
        if (times[i] > 1)
            refuse(st, in, "Duplicate topic name.");
        else if (kp_str_eq(in->name, KP_STR_LIT(META_TOPIC_NAME)))
            refuse(st, in, "Creation of internal topic " META_TOPIC_NAME " is prohibited.");
        else
            topic_ask(r, st, in);
    }
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, create_topics_request))
        return;
    plan(r, st);
    quota_mutations(r, QUOTA_STRICT_SINCE, &st->create.quota);
    if (st->create.n)
        call_send(&st->call, r, net_controller_reactor(r->net), META_CREATE_TOPICS, &st->create, created);
    else
        REQ_RESPOND(r, &st->out, create_topics_response);
}

const struct api_handler api_create_topics = {
    .key = 19, .min = 2, .max = 7, .advertise_min = 2, .start = start};
