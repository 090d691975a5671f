// A coordinator of one partition under test, without a runtime: topics that can be changed, a clock, and the log that its
// records would make, so that it can be thrown away and loaded again.
#ifndef SLUICE_TESTS_UNIT_COORD_MODERN_RIG_H
#define SLUICE_TESTS_UNIT_COORD_MODERN_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/rand.h"
#include "engine/coord/modern/modern_private.h"
#include "proto/gen/consumer_group_heartbeat_request.h"
#include "proto/gen/consumer_group_heartbeat_response.h"

enum { RIG_TOPICS = 16 };

struct rig_topic {
    char name[32];
    struct sl_uuid id;
    int32_t partitions; // 0: no such topic
};
struct rig_record {
    uint8_t *key, *value;
    int32_t key_n, value_n;
};
struct rig {
    struct config *cfg;
    struct groups_env env;
    struct coord_ctx x;
    struct groups *gs;
    struct rig_topic topics[RIG_TOPICS]; // by name
    uint64_t version, now_ms;
    int64_t wall_off; // ms that the wall clock was set forward or back
    struct rig_record *log;
    uint32_t log_n, log_cap;
    struct sl_rand rnd;
    uint32_t answered;
};

static struct rig rig; // topics are looked up without a context

static uint64_t rig_version(struct reactor *r)
{
    return rig.version;
}

static void rig_fill(const struct rig_topic *t, struct coord_topic *out)
{
    *out = (struct coord_topic){
        .id = t->id, .name = t->name, .name_len = (uint32_t)strlen(t->name), .partitions = t->partitions};
}

static bool rig_by_name(struct reactor *r, const char *name, size_t len, struct coord_topic *out)
{
    for (int i = 0; i < RIG_TOPICS; i++)
        if (rig.topics[i].partitions && strlen(rig.topics[i].name) == len &&
            !memcmp(rig.topics[i].name, name, len)) {
            rig_fill(&rig.topics[i], out);
            return true;
        }
    return false;
}

static bool rig_by_id(struct reactor *r, const struct sl_uuid *id, struct coord_topic *out)
{
    for (int i = 0; i < RIG_TOPICS; i++)
        if (rig.topics[i].partitions && sl_uuid_eq(&rig.topics[i].id, id)) {
            rig_fill(&rig.topics[i], out);
            return true;
        }
    return false;
}

static bool rig_at(struct reactor *r, uint32_t at, struct coord_topic *out)
{
    for (int i = 0; i < RIG_TOPICS; i++)
        if (rig.topics[i].partitions && at-- == 0) {
            rig_fill(&rig.topics[i], out);
            return true;
        }
    return false;
}

static bool rig_leads(struct reactor *r, const struct sl_uuid *id, int32_t partition)
{
    return true;
}

static const char *rig_group_session; // of every group; NULL: not set

static const char *rig_group_config(struct reactor *r, const char *group, const char *key)
{
    return strcmp(key, "consumer.session.timeout.ms") ? NULL : rig_group_session;
}

static const struct coord_topics rig_view = {.version = rig_version,
                                             .by_name = rig_by_name,
                                             .by_id = rig_by_id,
                                             .at = rig_at,
                                             .leads = rig_leads,
                                             .group_config = rig_group_config};

static void rig_random(void *arg, void *buf, size_t n)
{
    sl_rand_bytes(&rig.rnd, buf, n);
}

// Topic i: "a0".."a9", "b0".. in the order of names.
static void rig_set_topic(int i, int32_t partitions)
{
    struct rig_topic *t = &rig.topics[i];
    if (!t->partitions && partitions)
        t->id = sl_uuid_make(sl_rand_u64(&rig.rnd), 1);
    snprintf(t->name, sizeof(t->name), "%c%d", i < RIG_TOPICS / 2 ? 'a' : 'b', i % (RIG_TOPICS / 2));
    t->partitions = partitions;
    rig.version++;
}

static void rig_make_groups(void)
{
    coord_ctx_init(&rig.x, 1 << 20);
    rig.x.random = rig_random;
    rig.gs = groups_ops.create(NULL, &rig.x, &rig.env);
}

static void rig_begin(void)
{
    coord_ctx_begin(&rig.x, rig.now_ms * 1000000, (int64_t)rig.now_ms + 1700000000000 + rig.wall_off);
}

static uint8_t *rig_copy(const uint8_t *p, int32_t n)
{
    uint8_t *c = n < 0 ? NULL : malloc((size_t)n + 1);
    if (c)
        memcpy(c, p, (size_t)n);
    return c;
}

// The records of an operation go to the log; its answers are taken off.
static void rig_end(void)
{
    for (uint32_t i = 0; i < rig.x.sink.n; i++) {
        const struct coord_record *r = &rig.x.sink.v[i];
        if (rig.log_n == rig.log_cap) {
            rig.log_cap = rig.log_cap ? rig.log_cap * 2 : 64;
            rig.log = realloc(rig.log, rig.log_cap * sizeof(*rig.log));
        }
        rig.log[rig.log_n++] = (struct rig_record){rig_copy(r->key.p, r->key.n),
                                                   rig_copy(r->value.p, r->value.n), r->key.n, r->value.n};
        if (r->mark)
            *r->mark = 1;
    }
    while (list_pop_front(&rig.x.answered))
        rig.answered++;
}

static void rig_start(const char *const *settings)
{
    char err[256];
    memset(&rig, 0, sizeof(rig));
    sl_rand_seed(&rig.rnd, 1);
    rig.now_ms = 1000;
    rig.version = 1;
    rig.cfg = config_new();
    for (; settings && *settings; settings++)
        assert_int_equal(config_set_pair(rig.cfg, *settings, CFG_FROM_FILE, err, sizeof(err)), 0);
    assert_int_equal(config_finish(rig.cfg, err, sizeof(err)), 0);
    group_settings_load(&rig.env.set, rig.cfg);
    rig.env.topics = &rig_view;
    rig_make_groups();
    rig_begin();
    groups_ops.loaded(rig.gs);
    rig_end();
}

static void rig_stop(void)
{
    groups_ops.destroy(rig.gs);
    coord_ctx_destroy(&rig.x);
    for (uint32_t i = 0; i < rig.log_n; i++) {
        free(rig.log[i].key);
        free(rig.log[i].value);
    }
    free(rig.log);
    config_free(rig.cfg);
}

static bool rig_superseded(uint32_t at)
{
    for (uint32_t i = at + 1; i < rig.log_n; i++)
        if (rig.log[i].key_n == rig.log[at].key_n &&
            !memcmp(rig.log[i].key, rig.log[at].key, (size_t)rig.log[at].key_n))
            return true;
    return false;
}

// As after a crash: everything from the log; compacted: only the last record of each key.
static void rig_reload(bool compacted)
{
    groups_ops.destroy(rig.gs);
    coord_ctx_destroy(&rig.x);
    assert_int_equal(rig.env.memory, 0);
    rig_make_groups();
    rig_begin();
    for (uint32_t i = 0; i < rig.log_n; i++) {
        const struct rig_record *l = &rig.log[i];
        struct coord_record r = {
            .key = {l->key, l->key_n}, .value = {l->value, l->value_n}, .producer_id = -1};
        if (!compacted || !rig_superseded(i))
            assert_int_equal(groups_replay(rig.gs, &r), 0);
    }
    groups_ops.loaded(rig.gs);
    rig_end();
}

// Time passes; timers fire on the way.
static void rig_pass(uint64_t ms)
{
    uint64_t until = rig.now_ms + ms;
    for (;;) {
        uint64_t next = coord_timer_next(&rig.x);
        if (next > until * 1000000)
            break;
        rig.now_ms = SL_MAX(rig.now_ms, (next + 999999) / 1000000);
        rig_begin();
        struct coord_timer *t = coord_timer_due(&rig.x);
        t->fire(t, rig.gs);
        rig_end();
    }
    rig.now_ms = until;
}

// Runs a request; its `in` is set. The caller frees q->arena.
static void rig_request(struct coord_req *q, int16_t api, int16_t version, const char *group)
{
    q->api = api;
    q->version = version;
    q->group = kp_str_of(group);
    q->client_id = KP_STR_LIT("client");
    q->client_host = KP_STR_LIT("/127.0.0.1");
    arena_init(&q->arena, 0);
    rig_begin();
    groups_ops.request(rig.gs, q);
    rig_end();
}

static struct cg *rig_group(const char *id)
{
    struct group *g = NULL;
    HASH_FIND(hh, rig.gs->table, id, (unsigned)strlen(id), g);
    return g ? cg_of(g) : NULL;
}

// ---- a consumer, as clients are ----------------------------------------------------------------------------------------
struct rig_client {
    char id[40], instance[16];
    int32_t epoch;
    const char *names[RIG_TOPICS];
    int32_t names_n; // -1: by pattern alone
    const char *regex;
    const char *assignor;
    struct cg_parts owned; // on the heap
    bool news;             // the subscription is to be told
    int16_t error;         // of the last heartbeat
    bool answered_assignment;
};

static void rig_client_init(struct rig_client *c, const char *id)
{
    memset(c, 0, sizeof(*c));
    snprintf(c->id, sizeof(c->id), "%s", id);
    c->news = true;
}

static void rig_own_nothing(struct rig_client *c)
{
    cg_parts_free(&c->owned);
}

static void rig_take(struct rig_client *c, const struct kp_consumer_group_heartbeat_response *out,
                     struct arena *a)
{
    c->epoch = out->member_epoch;
    c->answered_assignment = out->assignment != NULL;
    if (!out->assignment)
        return;
    struct cg_parts s;
    assert_int_equal(cg_parts_reserve(&s, 4096, a), 0);
    for (int32_t i = 0; i < out->assignment->topic_partitions_n; i++)
        for (int32_t k = 0; k < out->assignment->topic_partitions[i].partitions_n; k++)
            cg_parts_push(&s, &out->assignment->topic_partitions[i].topic_id,
                          out->assignment->topic_partitions[i].partitions[k], 0);
    cg_parts_sort(&s);
    cg_parts_keep(&c->owned, &s);
}

// One heartbeat. full: tells everything. lost: the answer does not arrive.
static int16_t rig_beat(struct rig_client *c, const char *group, bool full, bool lost)
{
    struct kp_consumer_group_heartbeat_request m;
    struct coord_req q = {.in = &m};
    struct kp_str names[RIG_TOPICS];
    struct kp_consumer_group_heartbeat_request_topic_partitions owned[RIG_TOPICS * 4];
    int32_t parts[4096];
    uint32_t from, to = 0;
    full = full || c->epoch == 0;
    kp_consumer_group_heartbeat_request_init(&m);
    m.group_id = kp_str_of(group);
    m.member_id = kp_str_of(c->id);
    m.member_epoch = c->epoch;
    m.instance_id = c->instance[0] ? kp_str_of(c->instance) : KP_STR_NULL;
    if (full)
        m.rebalance_timeout_ms = 20000;
    if (full || c->news) {
        for (int32_t i = 0; i < c->names_n; i++)
            names[i] = kp_str_of(c->names[i]);
        m.subscribed_topic_names = names;
        m.subscribed_topic_names_n = c->names_n;
        m.subscribed_topic_regex = kp_str_of(c->regex);
        m.server_assignor = kp_str_of(c->assignor);
    }
    m.topic_partitions = owned;
    m.topic_partitions_n = 0;
    while (c->epoch && cg_parts_next_topic(&c->owned, &from, &to)) {
        for (uint32_t i = from; i < to; i++)
            parts[i] = c->owned.v[i].partition;
        owned[m.topic_partitions_n].topic_id = c->owned.v[from].topic;
        owned[m.topic_partitions_n].partitions = &parts[from];
        owned[m.topic_partitions_n++].partitions_n = (int32_t)(to - from);
    }
    rig_request(&q, 68, 1, group);
    assert_true(q.answered);
    c->error = q.error;
    if (q.error && q.message) // a C string of its own: the sanitizer sees one that does not end
        assert_true(strlen(q.message) > 0);
    if (!lost && !q.error) {
        c->news = false;
        rig_take(c, q.out, &q.arena);
    } else if (!lost && (q.error == KERR_FENCED_MEMBER_EPOCH || q.error == KERR_UNKNOWN_MEMBER_ID)) {
        rig_own_nothing(c);
        c->epoch = 0;
    }
    arena_free(&q.arena);
    return c->error;
}

static int16_t rig_leave(struct rig_client *c, const char *group, int32_t epoch)
{
    struct kp_consumer_group_heartbeat_request m;
    struct coord_req q = {.in = &m};
    kp_consumer_group_heartbeat_request_init(&m);
    m.group_id = kp_str_of(group);
    m.member_id = kp_str_of(c->id);
    m.member_epoch = epoch;
    m.instance_id = c->instance[0] ? kp_str_of(c->instance) : KP_STR_NULL;
    rig_own_nothing(c);
    c->epoch = 0;
    rig_request(&q, 68, 1, group);
    arena_free(&q.arena);
    return q.error;
}

#endif
