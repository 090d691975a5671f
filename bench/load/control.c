// Everything before the load: versions, topics, leaders, offsets, producer ids. A fiber with one connection to
// each broker, one call at a time.
#include "bench/load/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "engine/base/kerr.h"
#include "engine/io/fiber.h"
#include "proto/gen/all.h"

enum {
    KEY_PRODUCE = 0,
    KEY_FETCH = 1,
    KEY_LIST_OFFSETS = 2,
    KEY_METADATA = 3,
    KEY_OFFSET_FETCH = 9,
    KEY_FIND_COORDINATOR = 10,
    KEY_API_VERSIONS = 18,
    KEY_CREATE_TOPICS = 19,
    KEY_INIT_PRODUCER_ID = 22,
    KEYS = RUN_KEYS
};

struct peer {
    struct link link;
    int16_t min[KEYS], max[KEYS]; // of the broker; max -1: not served
};

struct control {
    struct run *run;
    struct peer *peers; // [0]: the bootstrap; then one per node
    uint32_t peers_n;
    struct arena arena; // of the last answer
};

struct ask {
    struct link_call call;
    struct fiber *f;
    struct arena *arena;
    void *resp;
    bool done;
    int rc;
};

static int fail(struct control *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct control *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->run->error, sizeof(c->run->error), fmt, ap);
    va_end(ap);
    return -EIO;
}

// ---- one call -----------------------------------------------------------------------------------------------------
static void ask_done(struct link_call *call, int rc, const uint8_t *body, uint32_t n)
{
    struct ask *a = SL_CONTAINER_OF(call, struct ask, call);
    a->rc = rc;
    if (!rc) {
        uint8_t *copy = arena_alloc(a->arena, n);
        const struct kp_message *m = kp_message_find(KP_KIND_RESPONSE, call->api);
        SL_ASSERT(copy && m);
        memcpy(copy, body, n);
        if (m->decode(a->resp, copy, n, call->version, a->arena) < 0)
            a->rc = -EBADMSG;
    }
    a->done = true;
    fiber_wake(a->f);
}

static int ask_at(struct control *c, struct peer *p, int16_t api, int16_t version, const void *req,
                  void *resp)
{
    struct ask a = {.f = fiber_current(), .arena = &c->arena, .resp = resp};
    struct link_request q = {0};
    arena_reset(&c->arena);
    link_encode(&p->link, &a.call, &q, api, version, req);
    a.call.done = ask_done;
    link_send(&p->link, &a.call);
    fiber_park_until(&a.done);
    link_request_free(&q);
    return a.rc;
}

// The highest version that both know; -1: none.
static int16_t version_of(const struct peer *p, int16_t api)
{
    const struct kp_api *ours = kp_api_find(api);
    int16_t v = SL_MIN(ours->max, p->max[api]);
    return v >= ours->min && v >= p->min[api] ? v : -1;
}

// The answer lives until the next call.
static int ask(struct control *c, struct peer *p, int16_t api, const void *req, void *resp)
{
    int16_t v = version_of(p, api);
    if (v < 0)
        return fail(c, "%s:%u serves no version of %s that we know", p->link.host, p->link.port,
                    kp_api_find(api)->name);
    int rc = ask_at(c, p, api, v, req, resp);
    if (rc)
        return fail(c, "%s:%u: %s: %s", p->link.host, p->link.port, kp_api_find(api)->name, strerror(-rc));
    return 0;
}

// ---- connecting ---------------------------------------------------------------------------------------------------
static int peer_open(struct control *c, struct peer *p, const char *host, uint16_t port)
{
    struct kp_api_versions_request req = {.client_software_name = KP_STR_LIT("sluice-bench"),
                                          .client_software_version = KP_STR_LIT(SLUICE_VERSION)};
    struct kp_api_versions_response resp;
    memset(p->max, 0xff, sizeof(p->max));
    link_open(&p->link, reactor_current(), host, port);
    int rc = ask_at(c, p, KEY_API_VERSIONS, 3, &req, &resp);
    if (rc)
        return fail(c, "%s:%u: %s", host, port, strerror(-rc));
    for (int32_t i = 0; i < resp.api_keys_n; i++) {
        int16_t k = resp.api_keys[i].api_key;
        if (k < 0 || k >= KEYS)
            continue;
        p->min[k] = resp.api_keys[i].min_version;
        p->max[k] = resp.api_keys[i].max_version;
    }
    return 0;
}

static int open_bootstrap(struct control *c)
{
    char *copy = strdup(c->run->plan->brokers), *save = NULL;
    int rc = -EINVAL;
    SL_ASSERT(copy);
    fail(c, "brokers=%s: must be host:port,...", copy);
    for (char *one = strtok_r(copy, ", ", &save); one && rc; one = strtok_r(NULL, ", ", &save)) {
        char *colon = strrchr(one, ':');
        long port = colon ? strtol(colon + 1, NULL, 10) : 0;
        if (port < 1 || port > 65535)
            break;
        *colon = 0;
        rc = peer_open(c, &c->peers[0], one, (uint16_t)port);
    }
    free(copy);
    return rc;
}

static struct peer *peer_of(struct control *c, int32_t node)
{
    for (uint32_t i = 1; i < c->peers_n; i++)
        if (c->run->cluster.nodes[i - 1].id == node)
            return &c->peers[i];
    return NULL;
}

// ---- topics -------------------------------------------------------------------------------------------------------
static void topics_name(struct run *run)
{
    const struct plan *p = run->plan;
    struct cluster *cl = &run->cluster;
    cl->topics_n = (uint32_t)p->topics;
    cl->topics = calloc(cl->topics_n, sizeof(*cl->topics));
    SL_ASSERT(cl->topics);
    for (uint32_t i = 0; i < cl->topics_n; i++) {
        if (cl->topics_n == 1)
            snprintf(cl->topics[i].name, sizeof(cl->topics[i].name), "%.240s", p->topic);
        else
            snprintf(cl->topics[i].name, sizeof(cl->topics[i].name), "%.240s-%u", p->topic, i);
    }
}

static int32_t configs_parse(const char *text, struct kp_create_topics_request_creatable_topic_config *out,
                             char *copy, int32_t cap)
{
    char *save = NULL;
    int32_t n = 0;
    strcpy(copy, text);
    for (char *one = strtok_r(copy, ",", &save); one && n < cap; one = strtok_r(NULL, ",", &save)) {
        char *eq = strchr(one, '=');
        if (!eq)
            return -1;
        *eq = 0;
        out[n].name = kp_str_of(one);
        out[n++].value = kp_str_of(eq + 1);
    }
    return n;
}

static int topic_create(struct control *c, struct topic *t)
{
    const struct plan *p = c->run->plan;
    struct kp_create_topics_request_creatable_topic_config configs[32] = {0};
    struct kp_create_topics_request_creatable_topic topic = {.name = kp_str_of(t->name),
                                                             .num_partitions = (int32_t)p->partitions,
                                                             .replication_factor = (int16_t)p->replication,
                                                             .configs = configs};
    struct kp_create_topics_request req = {
        .topics = &topic, .topics_n = 1, .timeout_ms = (int32_t)p->timeout_ms};
    struct kp_create_topics_response resp;
    char copy[2048];
    if (strlen(p->topic_config) >= sizeof(copy))
        return fail(c, "topic.config is too long");
    topic.configs_n = configs_parse(p->topic_config, configs, copy, SL_ARRAY_LEN(configs));
    if (topic.configs_n < 0)
        return fail(c, "topic.config=%s: must be key=value,...", p->topic_config);
    int rc = ask(c, &c->peers[0], KEY_CREATE_TOPICS, &req, &resp);
    if (rc)
        return rc;
    int16_t e = resp.topics_n == 1 ? resp.topics[0].error_code : KERR_UNKNOWN_SERVER_ERROR;
    if (e && e != KERR_TOPIC_ALREADY_EXISTS)
        return fail(c, "topic %s cannot be made: %s %.*s", t->name, kerr_name(e),
                    SL_MAX(resp.topics[0].error_message.n, 0), resp.topics[0].error_message.p);
    return 0;
}

static void nodes_take(struct run *run, const struct kp_metadata_response *m)
{
    struct cluster *cl = &run->cluster;
    free(cl->nodes);
    cl->nodes_n = (uint32_t)m->brokers_n;
    cl->nodes = calloc(cl->nodes_n + 1, sizeof(*cl->nodes));
    SL_ASSERT(cl->nodes);
    for (uint32_t i = 0; i < cl->nodes_n; i++) {
        cl->nodes[i] = (struct node){.id = m->brokers[i].node_id, .port = (uint16_t)m->brokers[i].port};
        snprintf(cl->nodes[i].host, sizeof(cl->nodes[i].host), "%.*s", m->brokers[i].host.n,
                 m->brokers[i].host.p);
    }
}

// The topic's state: 0 when all its partitions have leaders, 1 when not yet, -ENOENT: no such topic.
static int topic_ask(struct control *c, struct topic *t, struct kp_metadata_response *resp)
{
    struct kp_metadata_request_metadata_request_topic one = {.name = kp_str_of(t->name)};
    struct kp_metadata_request req = {.topics = &one, .topics_n = 1};
    int rc = ask(c, &c->peers[0], KEY_METADATA, &req, resp);
    if (rc)
        return rc;
    if (resp->topics_n != 1)
        return fail(c, "topic %s: no metadata", t->name);
    int16_t e = resp->topics[0].error_code;
    if (e == KERR_UNKNOWN_TOPIC_OR_PARTITION)
        return -ENOENT;
    if (e)
        return e == KERR_LEADER_NOT_AVAILABLE ? 1 : fail(c, "topic %s: %s", t->name, kerr_name(e));
    for (int32_t i = 0; i < resp->topics[0].partitions_n; i++)
        if (resp->topics[0].partitions[i].leader_id < 0)
            return 1;
    return 0;
}

static int topic_take(struct control *c, uint32_t index, const struct kp_metadata_response *m)
{
    struct cluster *cl = &c->run->cluster;
    struct topic *t = &cl->topics[index];
    uint32_t n = (uint32_t)m->topics[0].partitions_n;
    struct part *parts = realloc(cl->parts, (cl->parts_n + n) * sizeof(*parts));
    SL_ASSERT(parts);
    cl->parts = parts;
    t->id = m->topics[0].topic_id;
    t->first_part = cl->parts_n;
    t->parts_n = n;
    for (uint32_t i = 0; i < n; i++)
        parts[cl->parts_n + i] = (struct part){.topic = index, .index = -1};
    for (uint32_t i = 0; i < n; i++) {
        int32_t k = m->topics[0].partitions[i].partition_index;
        if (k < 0 || (uint32_t)k >= n)
            return fail(c, "topic %s: partition %d of %u", t->name, k, n);
        parts[cl->parts_n + (uint32_t)k].index = k;
        parts[cl->parts_n + (uint32_t)k].leader = m->topics[0].partitions[i].leader_id;
    }
    cl->parts_n += n;
    return 0;
}

static int topic_prepare(struct control *c, uint32_t index)
{
    struct topic *t = &c->run->cluster.topics[index];
    struct kp_metadata_response resp;
    bool created = false;
    for (int tries = 0; tries < 300; tries++) {
        int rc = topic_ask(c, t, &resp);
        if (rc == 0) {
            nodes_take(c->run, &resp);
            return topic_take(c, index, &resp);
        }
        if (rc == -ENOENT && !created) {
            if (!c->run->plan->create)
                return fail(c, "topic %s does not exist (create=0)", t->name);
            rc = topic_create(c, t);
            created = true;
        } else if (rc == 1 || rc == -ENOENT) {
            rc = 0;
            fiber_sleep(100000000);
        }
        if (rc)
            return rc;
    }
    return fail(c, "topic %s: partitions have no leader after 30 s", t->name);
}

// ---- leaders, offsets, producer ids -------------------------------------------------------------------------------
static int open_nodes(struct control *c)
{
    struct cluster *cl = &c->run->cluster;
    struct peer *peers = calloc(cl->nodes_n + 1, sizeof(*peers));
    SL_ASSERT(peers);
    link_close(&c->peers[0].link);
    while (!link_closed(&c->peers[0].link))
        fiber_yield();
    free(c->peers);
    c->peers = peers;
    c->peers_n = cl->nodes_n + 1;
    for (int16_t k = 0; k < KEYS; k++)
        cl->versions[k] = kp_api_find(k) ? INT16_MAX : -1;
    for (uint32_t i = 0; i < cl->nodes_n; i++) {
        int rc = peer_open(c, &peers[i + 1], cl->nodes[i].host, cl->nodes[i].port);
        if (rc)
            return rc;
        for (int16_t k = 0; k < KEYS; k++)
            if (cl->versions[k] >= 0)
                cl->versions[k] = SL_MIN(cl->versions[k], version_of(&peers[i + 1], k));
    }
    cl->produce_version = cl->versions[KEY_PRODUCE];
    cl->fetch_version = cl->versions[KEY_FETCH];
    if (cl->produce_version < 0 || cl->fetch_version < 0)
        return fail(c, "the brokers serve no version of Produce or Fetch that we know");
    return 0;
}

// 1: try again, a leader is not ready yet.
// The offsets of one leader's partitions of one topic at `timestamp` (-1: the end, -2: the beginning).
static int offsets_ask(struct control *c, struct peer *p, int32_t node, const struct topic *t,
                       int64_t timestamp)
{
    struct cluster *cl = &c->run->cluster;
    struct kp_list_offsets_request_list_offsets_partition *parts = calloc(t->parts_n, sizeof(*parts));
    struct kp_list_offsets_request_list_offsets_topic topic = {.name = kp_str_of(t->name),
                                                               .partitions = parts};
    struct kp_list_offsets_request req = {.replica_id = -1, .topics = &topic, .topics_n = 1};
    struct kp_list_offsets_response resp;
    SL_ASSERT(parts);
    for (uint32_t i = 0; i < t->parts_n; i++)
        if (cl->parts[t->first_part + i].leader == node)
            parts[topic.partitions_n++] = (struct kp_list_offsets_request_list_offsets_partition){
                .partition_index = (int32_t)i, .current_leader_epoch = -1, .timestamp = timestamp};
    int rc = topic.partitions_n ? ask(c, p, KEY_LIST_OFFSETS, &req, &resp) : 0;
    for (int32_t i = 0; !rc && topic.partitions_n && resp.topics_n == 1 && i < resp.topics[0].partitions_n;
         i++) {
        const struct kp_list_offsets_response_list_offsets_partition_response *a =
            &resp.topics[0].partitions[i];
        if (kerr_retriable(a->error_code)) {
            rc = 1;
            break;
        }
        if (a->error_code || a->partition_index < 0 || (uint32_t)a->partition_index >= t->parts_n) {
            rc = fail(c, "offsets of %s-%d: %s", t->name, a->partition_index, kerr_name(a->error_code));
            break;
        }
        struct part *part = &cl->parts[t->first_part + (uint32_t)a->partition_index];
        *(timestamp == -1 ? &part->end : &part->begin) = a->offset;
    }
    free(parts);
    return rc;
}

static int offsets_of(struct control *c, uint32_t node, const struct topic *t, int64_t timestamp)
{
    int rc = 1;
    for (int tries = 0; rc == 1 && tries < 300; tries++) {
        if (tries)
            fiber_sleep(100000000);
        rc = offsets_ask(c, &c->peers[node + 1], c->run->cluster.nodes[node].id, t, timestamp);
    }
    return rc == 1 ? fail(c, "offsets of %s: its leader is not ready after 30 s", t->name) : rc;
}

static int offsets_all(struct control *c)
{
    struct cluster *cl = &c->run->cluster;
    for (uint32_t t = 0; t < cl->topics_n; t++) {
        for (uint32_t i = 0; i < cl->nodes_n; i++) {
            int rc = offsets_of(c, i, &cl->topics[t], -2);
            rc = rc ? rc : offsets_of(c, i, &cl->topics[t], -1);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int producer_ids(struct control *c)
{
    const struct plan *p = c->run->plan;
    struct cluster *cl = &c->run->cluster;
    cl->producers = calloc((size_t)p->producers + 1, sizeof(*cl->producers));
    SL_ASSERT(cl->producers);
    for (int64_t i = 0; i < p->producers; i++) {
        struct kp_init_producer_id_request req = {.transactional_id = KP_STR_NULL,
                                                  .transaction_timeout_ms = 60000,
                                                  .producer_id = -1,
                                                  .producer_epoch = -1};
        struct kp_init_producer_id_response resp;
        cl->producers[i].id = cl->producers[i].epoch = -1;
        for (int tries = 0; p->idempotence; tries++) {
            int rc = ask(c, &c->peers[1], KEY_INIT_PRODUCER_ID, &req, &resp);
            if (rc)
                return rc;
            if (!resp.error_code)
                break;
            if (tries == 100)
                return fail(c, "InitProducerId: %s", kerr_name(resp.error_code));
            fiber_sleep(100000000);
        }
        if (p->idempotence) {
            cl->producers[i].id = resp.producer_id;
            cl->producers[i].epoch = resp.producer_epoch;
        }
    }
    return 0;
}

// ---- coordinators ---------------------------------------------------------------------------------------------------
enum { FIND_AT_ONCE = 500 };

// Of the groups from `at` on. 1: not all of them are there yet.
static int coordinators_ask(struct control *c, uint32_t at, uint32_t n)
{
    struct cluster *cl = &c->run->cluster;
    struct kp_str keys[FIND_AT_ONCE];
    struct kp_find_coordinator_request req;
    struct kp_find_coordinator_response resp;
    if (version_of(&c->peers[1], KEY_FIND_COORDINATOR) < 4)
        return fail(c, "the brokers serve no FindCoordinator for many groups at once");
    for (uint32_t i = 0; i < n; i++)
        keys[i] = kp_str_of(cl->groups[at + i].name);
    kp_find_coordinator_request_init(&req);
    req.coordinator_keys = keys;
    req.coordinator_keys_n = (int32_t)n;
    int rc = ask(c, &c->peers[1], KEY_FIND_COORDINATOR, &req, &resp);
    if (rc)
        return rc;
    for (int32_t i = 0; i < resp.coordinators_n; i++) {
        uint32_t node = 0, g = at;
        if (kerr_retriable(resp.coordinators[i].error_code))
            return 1;
        if (resp.coordinators[i].error_code)
            return fail(c, "FindCoordinator: %s", kerr_name(resp.coordinators[i].error_code));
        while (node < cl->nodes_n && cl->nodes[node].id != resp.coordinators[i].node_id)
            node++;
        while (g < at + n && !kp_str_eq(resp.coordinators[i].key, kp_str_of(cl->groups[g].name)))
            g++;
        if (node == cl->nodes_n || g == at + n)
            return fail(c, "FindCoordinator names a node or a group that nobody knows");
        cl->groups[g].node = node;
    }
    return 0;
}

static int coordinators(struct control *c)
{
    const struct plan *p = c->run->plan;
    struct cluster *cl = &c->run->cluster;
    uint32_t n = p->committers ? (uint32_t)p->groups : 0;
    cl->groups = calloc(n + 1, sizeof(*cl->groups));
    SL_ASSERT(cl->groups);
    for (uint32_t i = 0; i < n; i++)
        snprintf(cl->groups[i].name, sizeof(cl->groups[i].name), "bench-%u", i);
    for (uint32_t at = 0; at < n; at += FIND_AT_ONCE) {
        int rc = 1;
        for (int tries = 0; rc == 1 && tries < 300; tries++) {
            rc = coordinators_ask(c, at, SL_MIN(n - at, (uint32_t)FIND_AT_ONCE));
            if (rc == 1)
                fiber_sleep(100000000);
        }
        if (rc)
            return rc == 1 ? fail(c, "groups have no coordinator after 30 s") : rc;
    }
    return 0;
}

// ---- groups of consumers ----------------------------------------------------------------------------------------------
// A group's coordinator. 1: not yet.
static int group_find(struct control *c, const char *group, struct peer **out)
{
    struct kp_str key = kp_str_of(group);
    struct kp_find_coordinator_request req;
    struct kp_find_coordinator_response resp;
    kp_find_coordinator_request_init(&req);
    req.coordinator_keys = &key;
    req.coordinator_keys_n = 1;
    int rc = ask(c, &c->peers[1], KEY_FIND_COORDINATOR, &req, &resp);
    if (rc)
        return rc;
    int16_t e = resp.coordinators_n == 1 ? resp.coordinators[0].error_code : KERR_UNKNOWN_SERVER_ERROR;
    *out = e ? NULL : peer_of(c, resp.coordinators[0].node_id);
    if (*out)
        return 0;
    return kerr_retriable(e) ? 1 : fail(c, "FindCoordinator: %s", kerr_name(e));
}

// Where the group begins: what it has committed. 1: not yet.
static int group_ask(struct control *c, const char *group, struct cover *parts)
{
    struct cluster *cl = &c->run->cluster;
    struct kp_offset_fetch_request_offset_fetch_request_group g;
    struct kp_offset_fetch_request req;
    struct kp_offset_fetch_response resp;
    struct peer *p;
    int rc = group_find(c, group, &p);
    if (rc)
        return rc;
    kp_offset_fetch_request_init(&req);
    kp_offset_fetch_request_offset_fetch_request_group_init(&g);
    g.group_id = kp_str_of(group);
    g.topics = NULL; // all of them
    g.topics_n = -1;
    req.groups = &g;
    req.groups_n = 1;
    if (version_of(p, KEY_OFFSET_FETCH) < 8)
        return fail(c, "the brokers serve no OffsetFetch of version 8");
    rc = ask_at(c, p, KEY_OFFSET_FETCH, SL_MIN(version_of(p, KEY_OFFSET_FETCH), (int16_t)9), &req, &resp);
    if (rc)
        return fail(c, "OffsetFetch: %s", strerror(-rc));
    int16_t e = resp.groups_n == 1 ? resp.groups[0].error_code : KERR_UNKNOWN_SERVER_ERROR;
    if (e)
        return kerr_retriable(e) ? 1 : fail(c, "OffsetFetch of %s: %s", group, kerr_name(e));
    for (int32_t i = 0; i < resp.groups[0].topics_n; i++) {
        const struct kp_offset_fetch_response_offset_fetch_response_topics *t = &resp.groups[0].topics[i];
        for (uint32_t k = 0; k < cl->topics_n; k++) {
            if (!kp_str_eq(t->name, kp_str_of(cl->topics[k].name)))
                continue;
            for (int32_t j = 0; j < t->partitions_n; j++)
                if ((uint32_t)t->partitions[j].partition_index < cl->topics[k].parts_n &&
                    t->partitions[j].committed_offset >= 0)
                    parts[cl->topics[k].first_part + (uint32_t)t->partitions[j].partition_index].start =
                        t->partitions[j].committed_offset;
        }
    }
    return 0;
}

static int groups_begin(struct control *c)
{
    const struct plan *p = c->run->plan;
    struct cluster *cl = &c->run->cluster;
    char group[256];
    if (!plan_has_groups(p))
        return 0;
    cl->covers = calloc((size_t)p->subscriptions * cl->parts_n + 1, sizeof(*cl->covers));
    cl->acked_end = calloc(cl->parts_n + 1, sizeof(*cl->acked_end));
    SL_ASSERT(cl->covers && cl->acked_end);
    if (p->group_protocol == PLAN_CONSUMER && cl->versions[68] < 0)
        return fail(c, "the brokers serve no ConsumerGroupHeartbeat (group.protocol=consumer)");
    for (uint32_t s = 0; s < (uint32_t)p->subscriptions; s++) {
        struct cover *parts = &cl->covers[s * cl->parts_n];
        int rc = 1;
        for (uint32_t i = 0; i < cl->parts_n; i++)
            parts[i].start = p->from == 1 ? cl->parts[i].begin : cl->parts[i].end;
        member_group(p, s, group, sizeof(group));
        for (int tries = 0; rc == 1 && tries < 300; tries++) {
            if (tries)
                fiber_sleep(100000000);
            rc = group_ask(c, group, parts);
        }
        if (rc)
            return rc == 1 ? fail(c, "group %s has no coordinator after 30 s", group) : rc;
        for (uint32_t i = 0; i < cl->parts_n; i++)
            parts[i].upto = parts[i].start;
    }
    return 0;
}

static int control_run(struct control *c)
{
    int rc = open_bootstrap(c);
    if (rc)
        return rc;
    c->run->error[0] = 0;
    topics_name(c->run);
    for (uint32_t i = 0; i < c->run->cluster.topics_n && !rc; i++)
        rc = topic_prepare(c, i);
    rc = rc ? rc : open_nodes(c);
    for (uint32_t i = 0; i < c->run->cluster.parts_n && !rc; i++)
        if (!peer_of(c, c->run->cluster.parts[i].leader))
            rc = fail(c, "the leader %d of a partition is not among the brokers",
                      c->run->cluster.parts[i].leader);
    rc = rc ? rc : offsets_all(c);
    rc = rc ? rc : coordinators(c);
    rc = rc ? rc : groups_begin(c);
    return rc ? rc : producer_ids(c);
}

void control_fiber(void *arg)
{
    struct run *run = arg;
    struct control c = {.run = run, .peers_n = 1};
    c.peers = calloc(1, sizeof(*c.peers));
    SL_ASSERT(c.peers);
    arena_init(&c.arena, 0);
    int rc = control_run(&c);
    SL_ASSERT(!rc == !run->error[0]);
    for (uint32_t i = 0; i < c.peers_n; i++) {
        if (!c.peers[i].link.r)
            continue;
        link_close(&c.peers[i].link);
        while (!link_closed(&c.peers[i].link))
            fiber_yield();
    }
    free(c.peers);
    arena_free(&c.arena);
    run->ready = true;
}

void cluster_free(struct cluster *c)
{
    free(c->topics);
    free(c->parts);
    free(c->nodes);
    free(c->producers);
    free(c->groups);
    free(c->covers);
    free(c->acked_end);
}
