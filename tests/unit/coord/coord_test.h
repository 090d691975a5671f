// A coordinator of one partition on a hand-wound clock: requests go in, answers come out; the records of each operation
// are kept, and replayed into a second coordinator on demand, as a restart does.
#ifndef SLUICE_TESTS_UNIT_COORD_COORD_TEST_H
#define SLUICE_TESTS_UNIT_COORD_COORD_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/rand.h"
#include "engine/coord/classic.h"
#include "proto/gen/all.h"

enum { T_ASKS = 256, T_LOG = 4096 };

// The log: keys and values as they would lie in it.
struct t_rec {
    uint8_t *key, *value;
    int32_t key_n, value_n;
};
struct t_group {
    struct config *cfg;
    struct groups_env env;
    struct coord_topics topics;
    struct coord_ctx x;
    struct groups *gs;
    uint64_t now;
    int64_t wall;
    uint64_t batch; // as if each operation were a batch, durable at once
    struct sl_rand rand;
    struct t_rec log[T_LOG];
    uint32_t log_n;
    struct coord_req *asks[T_ASKS];
    uint32_t asks_n;
    int32_t topic_parts; // of every topic; 0: there is none
};

static struct t_group *t_now; // the played image has no other way to it

static inline uint64_t t_version(struct reactor *r)
{
    return 1;
}
static inline bool t_by_name(struct reactor *r, const char *name, size_t len, struct coord_topic *out)
{
    *out = (struct coord_topic){.id = sl_uuid_make(1, name[0]),
                                .name = name,
                                .name_len = (uint32_t)len,
                                .partitions = t_now->topic_parts,
                                .max_message_bytes = 1 << 20};
    return t_now->topic_parts > 0;
}

static inline void t_random(void *arg, void *buf, size_t n)
{
    sl_rand_bytes(arg, buf, n);
}

static inline void t_keep(struct t_group *t)
{
    for (uint32_t i = 0; i < t->x.sink.n; i++) {
        const struct coord_record *r = &t->x.sink.v[i];
        struct t_rec *k = &t->log[t->log_n++];
        assert_true(t->log_n < T_LOG);
        *k = (struct t_rec){.key = malloc((size_t)r->key.n), .key_n = r->key.n, .value_n = r->value.n};
        memcpy(k->key, r->key.p, (size_t)r->key.n);
        if (r->value.n >= 0) {
            k->value = malloc((size_t)r->value.n + 1);
            memcpy(k->value, r->value.p, (size_t)r->value.n);
        }
        if (r->mark)
            *r->mark = t->batch;
    }
}

static inline void t_begin(struct t_group *t)
{
    t->batch++;
    coord_ctx_begin(&t->x, t->now, t->wall);
}

static inline void t_end(struct t_group *t)
{
    t_keep(t);
    coord_emit_undo(&t->x);
    while (list_pop_front(&t->x.answered))
        ;
}

static inline void t_load(struct t_group *t)
{
    coord_ctx_init(&t->x, 1 << 20);
    t->x.random = t_random;
    t->x.random_arg = &t->rand;
    t_begin(t);
    t->gs = groups_ops.create(NULL, &t->x, &t->env);
    for (uint32_t i = 0; i < t->log_n; i++) {
        struct coord_record r = {.key = {t->log[i].key, t->log[i].key_n},
                                 .value = {t->log[i].value, t->log[i].value_n},
                                 .producer_id = -1};
        assert_int_equal(groups_ops.replay(t->gs, &r), 0);
    }
    groups_ops.loaded(t->gs);
    t_end(t);
}

static inline void t_unload(struct t_group *t)
{
    t_begin(t);
    groups_ops.let_go(t->gs, KERR_NOT_COORDINATOR);
    t_end(t);
    groups_ops.destroy(t->gs);
    assert_true(heap_empty(&t->x.timers));
    coord_ctx_destroy(&t->x);
    assert_int_equal(t->env.memory, 0);
}

// A kill and a start: what is in memory is gone, the log is there.
static inline void t_restart(struct t_group *t)
{
    t_unload(t);
    t_load(t);
}

static inline struct t_group *t_new_with(const char *key, const char *value)
{
    struct t_group *t = calloc(1, sizeof(*t));
    char err[256];
    t_now = t;
    t->cfg = config_new();
    config_set(t->cfg, "node.id", "1", CFG_FROM_FILE, err, sizeof(err));
    config_set(t->cfg, "log.dirs", "/data", CFG_FROM_FILE, err, sizeof(err));
    config_set(t->cfg, "listeners", "PLAINTEXT://127.0.0.1:9092", CFG_FROM_FILE, err, sizeof(err));
    if (key)
        assert_int_equal(config_set(t->cfg, key, value, CFG_FROM_FILE, err, sizeof(err)), 0);
    if (config_finish(t->cfg, err, sizeof(err)))
        fail_msg("%s", err);
    group_settings_load(&t->env.set, t->cfg);
    t->topics = (struct coord_topics){.version = t_version, .by_name = t_by_name};
    t->env.topics = &t->topics;
    t->topic_parts = 4;
    t->wall = 1700000000000;
    t->now = 1000000000;
    sl_rand_seed(&t->rand, 7);
    t_load(t);
    return t;
}

static inline struct t_group *t_new(void)
{
    return t_new_with(NULL, NULL);
}

static inline void t_free(struct t_group *t)
{
    t_unload(t);
    for (uint32_t i = 0; i < t->asks_n; i++) {
        assert_true(t->asks[i]->answered); // nobody is left waiting
        arena_free(&t->asks[i]->arena);
        free(t->asks[i]);
    }
    for (uint32_t i = 0; i < t->log_n; i++) {
        free(t->log[i].key);
        free(t->log[i].value);
    }
    config_free(t->cfg);
    free(t);
}

// Time passes; timers fire in order, each an operation.
static inline void t_pass(struct t_group *t, int64_t ms)
{
    uint64_t end = t->now + (uint64_t)ms * 1000000;
    for (uint64_t at; (at = coord_timer_next(&t->x)) <= end;) {
        t->wall += (int64_t)((at - t->now) / 1000000);
        t->now = SL_MAX(at, t->now);
        t_begin(t);
        struct coord_timer *due = coord_timer_due(&t->x);
        due->fire(due, t->gs);
        t_end(t);
    }
    t->wall += (int64_t)((end - t->now) / 1000000);
    t->now = end;
}

static inline struct coord_req *t_ask(struct t_group *t, int16_t api, int16_t version, const char *group,
                                      const void *in)
{
    struct coord_req *q = calloc(1, sizeof(*q));
    assert_true(t->asks_n < T_ASKS);
    t->asks[t->asks_n++] = q;
    q->api = api;
    q->version = version;
    q->group = kp_str_of(group);
    q->client_id = KP_STR_LIT("client");
    q->client_host = KP_STR_LIT("/127.0.0.1");
    q->in = in;
    arena_init(&q->arena, 0);
    t_begin(t);
    groups_ops.request(t->gs, q);
    t_end(t);
    return q;
}

// What a request points to: the test's stack may go before the answer comes.
static inline void *t_own(struct t_group *t, size_t n)
{
    static uint8_t pool[1 << 20];
    static size_t at;
    if (at + n + 16 > sizeof(pool))
        at = 0;
    void *p = pool + at;
    at += (n + 15) & ~(size_t)15;
    memset(p, 0, n);
    return p;
}

struct t_join {
    const char *member, *instance, *protocol, *protocol2, *metadata, *type;
    int32_t session, rebalance;
    int16_t version;
};

static inline struct coord_req *t_join_with(struct t_group *t, const char *group, struct t_join j)
{
    struct kp_join_group_request *m = t_own(t, sizeof(*m));
    kp_join_group_request_init(m);
    m->group_id = kp_str_of(group);
    m->session_timeout_ms = j.session ? j.session : 10000;
    m->rebalance_timeout_ms = j.rebalance ? j.rebalance : 60000;
    m->member_id = kp_str_of(j.member ? j.member : "");
    m->group_instance_id = kp_str_of(j.instance);
    m->protocol_type = kp_str_of(j.type ? j.type : "consumer");
    m->protocols = t_own(t, 2 * sizeof(*m->protocols));
    m->protocols[0].name = kp_str_of(j.protocol ? j.protocol : "range");
    const char *meta = j.metadata ? j.metadata : "m";
    m->protocols[0].metadata = (struct kp_bytes){(const uint8_t *)meta, (int32_t)strlen(meta)};
    m->protocols_n = 1;
    if (j.protocol2) {
        m->protocols[1] = m->protocols[0];
        m->protocols[1].name = kp_str_of(j.protocol2);
        m->protocols_n = 2;
    }
    return t_ask(t, 11, j.version ? j.version : 9, group, m);
}

static inline const struct kp_join_group_response *t_joined(const struct coord_req *q)
{
    assert_true(q->answered);
    assert_int_equal(q->error, 0);
    assert_non_null(q->out);
    return q->out;
}

static inline char *t_text(struct t_group *t, struct kp_str s)
{
    char *p = t_own(t, (size_t)s.n + 1);
    memcpy(p, s.p, (size_t)s.n);
    return p;
}

// A new dynamic member's two requests; the second one is returned, *id is the member's.
static inline struct coord_req *t_enter(struct t_group *t, const char *group, struct t_join j, char **id)
{
    const struct kp_join_group_response *r = t_joined(t_join_with(t, group, j));
    assert_int_equal(r->error_code, KERR_MEMBER_ID_REQUIRED);
    j.member = *id = t_text(t, r->member_id);
    return t_join_with(t, group, j);
}

static inline struct coord_req *t_sync(struct t_group *t, const char *group, const char *member,
                                       int32_t generation, const char *const *ids,
                                       const char *const *assignments, int n)
{
    struct kp_sync_group_request *m = t_own(t, sizeof(*m));
    kp_sync_group_request_init(m);
    m->group_id = kp_str_of(group);
    m->generation_id = generation;
    m->member_id = kp_str_of(member);
    m->protocol_type = KP_STR_NULL;
    m->protocol_name = KP_STR_NULL;
    m->assignments = t_own(t, (size_t)n * sizeof(*m->assignments));
    m->assignments_n = n;
    for (int i = 0; i < n; i++) {
        m->assignments[i].member_id = kp_str_of(ids[i]);
        m->assignments[i].assignment =
            (struct kp_bytes){(const uint8_t *)assignments[i], (int32_t)strlen(assignments[i])};
    }
    return t_ask(t, 14, 5, group, m);
}

static inline bool t_assigned(const struct coord_req *q, const char *what)
{
    const struct kp_sync_group_response *r = q->out;
    return q->answered && !q->error && r->assignment.n == (int32_t)strlen(what) &&
           !memcmp(r->assignment.p, what, strlen(what));
}

static inline int16_t t_beat(struct t_group *t, const char *group, const char *member, int32_t generation)
{
    struct kp_heartbeat_request *m = t_own(t, sizeof(*m));
    kp_heartbeat_request_init(m);
    m->group_id = kp_str_of(group);
    m->member_id = kp_str_of(member);
    m->generation_id = generation;
    struct coord_req *q = t_ask(t, 12, 4, group, m);
    assert_true(q->answered);
    return q->error ? q->error : ((const struct kp_heartbeat_response *)q->out)->error_code;
}

static inline int16_t t_leave(struct t_group *t, const char *group, const char *member, const char *instance)
{
    struct kp_leave_group_request *m = t_own(t, sizeof(*m));
    kp_leave_group_request_init(m);
    m->group_id = kp_str_of(group);
    m->members = t_own(t, sizeof(*m->members));
    m->members[0].member_id = kp_str_of(member);
    m->members[0].group_instance_id = kp_str_of(instance);
    m->members_n = 1;
    struct coord_req *q = t_ask(t, 13, 5, group, m);
    assert_true(q->answered);
    return q->error ? q->error : ((const struct kp_leave_group_response *)q->out)->members[0].error_code;
}

struct t_commit {
    const char *member, *instance, *topic, *metadata;
    int32_t generation, partition;
    int64_t offset, retention;
    int16_t version;
};
// The error of the request or of its partition.
static inline int16_t t_commit_with(struct t_group *t, const char *group, struct t_commit c)
{
    struct kp_offset_commit_request *m = t_own(t, sizeof(*m));
    kp_offset_commit_request_init(m);
    m->group_id = kp_str_of(group);
    m->generation_id_or_member_epoch = c.generation;
    m->member_id = kp_str_of(c.member ? c.member : "");
    m->group_instance_id = kp_str_of(c.instance);
    m->retention_time_ms = c.retention ? c.retention : -1;
    m->topics = t_own(t, sizeof(*m->topics));
    m->topics_n = 1;
    m->topics[0].name = kp_str_of(c.topic ? c.topic : "t");
    m->topics[0].partitions = t_own(t, sizeof(*m->topics[0].partitions));
    m->topics[0].partitions_n = 1;
    m->topics[0].partitions[0].partition_index = c.partition;
    m->topics[0].partitions[0].committed_offset = c.offset;
    m->topics[0].partitions[0].committed_leader_epoch = -1;
    m->topics[0].partitions[0].committed_metadata = kp_str_of(c.metadata);
    struct coord_req *q = t_ask(t, 8, c.version ? c.version : 9, group, m);
    assert_true(q->answered);
    return q->error ? q->error
                    : ((const struct kp_offset_commit_response *)q->out)->topics[0].partitions[0].error_code;
}

static inline int16_t t_commit(struct t_group *t, const char *group, const char *member, int32_t generation,
                               int64_t offset)
{
    return t_commit_with(t, group,
                         (struct t_commit){.member = member, .generation = generation, .offset = offset});
}

static inline struct kp_offset_fetch_response_offset_fetch_response_partitions
t_fetch_one(struct t_group *t, const char *group, const char *topic, int32_t partition, bool stable)
{
    struct kp_offset_fetch_request_offset_fetch_request_group *m = t_own(t, sizeof(*m));
    m->group_id = kp_str_of(group);
    m->member_id = KP_STR_NULL;
    m->member_epoch = -1;
    m->topics = t_own(t, sizeof(*m->topics));
    m->topics_n = 1;
    m->topics[0].name = kp_str_of(topic);
    m->topics[0].partition_indexes = t_own(t, sizeof(int32_t));
    m->topics[0].partition_indexes[0] = partition;
    m->topics[0].partition_indexes_n = 1;
    struct coord_req *q = calloc(1, sizeof(*q));
    t->asks[t->asks_n++] = q;
    *q = (struct coord_req){
        .api = 9, .version = 9, .group = kp_str_of(group), .in = m, .require_stable = stable};
    arena_init(&q->arena, 0);
    t_begin(t);
    groups_ops.request(t->gs, q);
    t_end(t);
    assert_true(q->answered && !q->error);
    return ((const struct kp_offset_fetch_response_offset_fetch_response_group *)q->out)
        ->topics[0]
        .partitions[0];
}

static inline int64_t t_offset(struct t_group *t, const char *group, const char *topic, int32_t partition)
{
    return t_fetch_one(t, group, topic, partition, false).committed_offset;
}

static inline const char *t_state(struct t_group *t, const char *group)
{
    struct coord_req *q = t_ask(t, 15, 5, group, NULL);
    assert_true(q->answered);
    return t_text(t, ((const struct kp_describe_groups_response_described_group *)q->out)->group_state);
}

// Two members in a stable generation 1: a leads and has "A", b has "B".
struct t_pair {
    char *a, *b;
};
static inline struct t_pair t_pair_up(struct t_group *t, const char *group)
{
    struct t_pair p;
    struct coord_req *ja = t_enter(t, group, (struct t_join){0}, &p.a);
    struct coord_req *jb = t_enter(t, group, (struct t_join){0}, &p.b);
    assert_false(ja->answered);
    t_pass(t, 10000);
    const struct kp_join_group_response *ra = t_joined(ja), *rb = t_joined(jb);
    assert_int_equal(ra->generation_id, 1);
    assert_int_equal(rb->generation_id, 1);
    assert_string_equal(t_text(t, ra->leader), p.a);
    assert_int_equal(ra->members_n, 2);
    assert_int_equal(rb->members_n, 0);
    struct coord_req *sb = t_sync(t, group, p.b, 1, NULL, NULL, 0);
    assert_false(sb->answered);
    struct coord_req *sa =
        t_sync(t, group, p.a, 1, (const char *[]){p.a, p.b}, (const char *[]){"A", "B"}, 2);
    assert_true(t_assigned(sa, "A"));
    assert_true(t_assigned(sb, "B"));
    assert_string_equal(t_state(t, group), "Stable");
    return p;
}

#endif
