// FindCoordinator (key 10), versions 0-6: which broker coordinates a group, a transaction or a share group.
// Up to version 3 one key, from 4 a list of keys.
//
// The first one who asks for a group's coordinator has __consumer_offsets created.
//
// Deviations from upstream 4.3: the creation is waited for, where upstream answers COORDINATOR_NOT_AVAILABLE and lets the
// client ask again. No transaction or share coordinator runs yet: COORDINATOR_NOT_AVAILABLE, as upstream answers while
// their topics are missing.
#include "net/api/groups.h"

#include "proto/gen/find_coordinator_request.h"
#include "proto/gen/find_coordinator_response.h"

#include <stdio.h>
#include <string.h>

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2, KEY_SHARE_SINCE = 6 };

// A share coordinator's key is group:topicId:partition.
static bool share_key_ok(struct kp_str k)
{
    const char *end = k.n > 0 ? k.p + k.n : k.p;
    const char *last = k.n > 0 ? memrchr(k.p, ':', (size_t)k.n) : NULL;
    const char *mid = last ? memrchr(k.p, ':', (size_t)(last - k.p)) : NULL;
    struct sl_uuid id;
    if (!mid || mid == k.p || last + 1 == end || sl_uuid_from_text(mid + 1, (size_t)(last - mid - 1), &id))
        return false;
    for (const char *p = last + 1; p < end; p++)
        if (*p < '0' || *p > '9')
            return false;
    return end - last <= 10;
}

struct state {
    struct kp_find_coordinator_request m;
    struct meta_create create;
    struct meta_create_topic topic;
    struct meta_config_entry configs[3];
    char segment_bytes[24];
    struct call call;
};

typedef struct kp_find_coordinator_response_coordinator found;

// The broker that leads the key's partition.
static int16_t find_group(const struct req *r, struct kp_str key, found *o)
{
    const struct meta_topic *t = api_topic(r, KP_STR_LIT(COORD_GROUP_TOPIC));
    const struct meta_endpoint *ep;
    if (!t)
        return KERR_COORDINATOR_NOT_AVAILABLE;
    int32_t p = coord_partition_of(key.p, (size_t)SL_MAX(key.n, 0), (int32_t)t->partitions_n);
    const struct meta_broker *b = api_live_broker(r, t->partitions[p].leader, &ep);
    if (!b)
        return KERR_COORDINATOR_NOT_AVAILABLE;
    o->node_id = b->id;
    o->host = kp_str_of(ep->host); // the image's: encoded within this turn
    o->port = ep->port;
    return KERR_NONE;
}

static int16_t find(const struct req *r, int8_t type, struct kp_str key, found *o)
{
    o->key = key;
    o->node_id = -1;
    o->host = KP_STR_LIT("");
    o->port = -1;
    if (type < KEY_GROUP || type > KEY_SHARE || (type == KEY_SHARE && r->version < KEY_SHARE_SINCE))
        return KERR_INVALID_REQUEST;
    if (type == KEY_SHARE && !share_key_ok(key))
        return KERR_INVALID_REQUEST;
    return type == KEY_GROUP ? find_group(r, key, o) : KERR_COORDINATOR_NOT_AVAILABLE;
}

// Lists carry a text only when the kind of key is unknown, which upstream finds before it looks at a key.
static struct kp_str list_text(int8_t type, int16_t error)
{
    return type < KEY_GROUP || type > KEY_SHARE ? kp_str_of(kerr_text(error)) : KP_STR_LIT("");
}

static void answer_list(struct req *r, const struct kp_find_coordinator_request *m,
                        struct kp_find_coordinator_response *out)
{
    out->coordinators_n = SL_MAX(m->coordinator_keys_n, 0);
    out->coordinators = req_alloc_array(r, (size_t)out->coordinators_n, sizeof(*out->coordinators));
    for (int32_t i = 0; i < out->coordinators_n; i++) {
        found *o = &out->coordinators[i];
        o->error_code = find(r, m->key_type, m->coordinator_keys[i], o);
        o->error_message = list_text(m->key_type, o->error_code);
    }
}

static void answer(struct req *r)
{
    const struct state *st = r->state;
    struct kp_find_coordinator_response out;
    found one;
    kp_find_coordinator_response_init(&out);
    if (r->version >= 4) {
        answer_list(r, &st->m, &out);
    } else {
        out.error_code = find(r, r->version >= 1 ? st->m.key_type : KEY_GROUP, st->m.key, &one);
        out.error_message = out.error_code ? kp_str_of(kerr_text(out.error_code)) : KP_STR_LIT("NONE");
        out.node_id = one.node_id;
        out.host = one.host;
        out.port = one.port;
    }
    REQ_RESPOND(r, &out, find_coordinator_response);
}

static void created(struct call *c)
{
    const struct state *st = c->req->state;
    if (st->topic.error && st->topic.error != KERR_TOPIC_ALREADY_EXISTS)
        SL_LOG_EVERY(10000, SL_WARN, "net", "%s cannot be created: %s %s", COORD_GROUP_TOPIC,
                     kerr_name(st->topic.error), st->topic.message);
    answer(c->req);
}

static void create(struct req *r, struct state *st)
{
    const struct config *cfg = r->net->cfg.cfg;
    snprintf(st->segment_bytes, sizeof(st->segment_bytes), "%lld",
             (long long)cfg_int(cfg, CFG_OFFSETS_TOPIC_SEGMENT_BYTES));
    st->configs[0] = (struct meta_config_entry){"cleanup.policy", "compact"};
    st->configs[1] = (struct meta_config_entry){"compression.type", "producer"};
    st->configs[2] = (struct meta_config_entry){"segment.bytes", st->segment_bytes};
    st->topic = (struct meta_create_topic){
        .name = COORD_GROUP_TOPIC,
        .name_len = (int32_t)strlen(COORD_GROUP_TOPIC),
        .partitions = (int32_t)cfg_int(cfg, CFG_OFFSETS_TOPIC_NUM_PARTITIONS),
        .replication_factor = (int16_t)cfg_int(cfg, CFG_OFFSETS_TOPIC_REPLICATION_FACTOR),
        .configs = st->configs,
        .configs_n = SL_ARRAY_LEN(st->configs),
    };
    st->create = (struct meta_create){.topics = &st->topic, .n = 1, .auto_create = true};
    call_send(&st->call, r, net_controller_reactor(r->net), META_CREATE_TOPICS, &st->create, created);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, find_coordinator_request))
        return;
    bool group = r->version < 1 || st->m.key_type == KEY_GROUP;
    bool any = r->version < 4 || st->m.coordinator_keys_n > 0;
    if (group && any && net_image(r->net) && !groups_partitions(r))
        create(r, st);
    else
        answer(r);
}

const struct api_handler api_find_coordinator = {
    .key = 10, .min = 0, .max = 6, .advertise_min = 0, .start = start};
