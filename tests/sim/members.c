// See members.h.
#include "tests/sim/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/kerr.h"
#include "proto/gen/create_topics_request.h"
#include "proto/gen/create_topics_response.h"
#include "proto/gen/find_coordinator_request.h"
#include "proto/gen/find_coordinator_response.h"
#include "proto/gen/heartbeat_request.h"
#include "proto/gen/heartbeat_response.h"
#include "proto/gen/join_group_request.h"
#include "proto/gen/join_group_response.h"
#include "proto/gen/leave_group_request.h"
#include "proto/gen/leave_group_response.h"
#include "proto/gen/offset_commit_request.h"
#include "proto/gen/offset_commit_response.h"
#include "proto/gen/offset_fetch_request.h"
#include "proto/gen/offset_fetch_response.h"
#include "proto/gen/sync_group_request.h"
#include "proto/gen/sync_group_response.h"
#include "tests/sim/kclient.h"
#include "tests/sim/people.h"
#include "tests/sim/story.h"

enum { GROUPS = 2, MEMBERS = 3, PARTS = 5, GENERATIONS = 4096, ID_MAX = 128 };
enum {
    API_COMMIT = 8,
    API_FETCH = 9,
    API_FIND = 10,
    API_JOIN = 11,
    API_BEAT = 12,
    API_LEAVE = 13,
    API_SYNC = 14,
    API_CREATE = 19
};
enum { V_COMMIT = 9, V_FETCH = 9, V_FIND = 4, V_JOIN = 9, V_BEAT = 4, V_LEAVE = 5, V_SYNC = 5, V_CREATE = 7 };
#define TOPIC "grouped"

// What is known of a group, outside of the broker.
struct mgroup {
    char name[8];
    int32_t newest;                         // generation whose assignment somebody was given
    char owner[GENERATIONS][PARTS][ID_MAX]; // member ids; "": nobody yet
    int64_t sent, acked[PARTS];             // offsets: the next one is larger than all before
};
struct member {
    struct members *ms;
    struct mgroup *g;
    struct kconn *conn;
    uint32_t no;
    char id[ID_MAX];
    int32_t generation; // -1: in none
    uint32_t owned;     // bits
    bool simple, found;
    bool gone; // the member's fiber has ended
};
struct members {
    struct run *r;
    struct sim_process *proc;
    struct io *io;
    struct reactor_group *group;
    struct reactor *re;
    struct mgroup *groups;
    struct member all[GROUPS * MEMBERS + 1];
    uint32_t n, fibers;
    bool stop, verified, topic_there;
    uint64_t content;
};

static void nap(struct members *m, uint64_t lo_us, uint64_t hi_us)
{
    fiber_sleep(1000 * run_skewed(m->r, lo_us, hi_us));
}

static struct kconn *connected(struct member *me)
{
    struct members *m = me->ms;
    if (me->conn && kconn_broken(me->conn)) {
        kconn_close(me->conn);
        me->conn = NULL;
    }
    if (!me->conn) {
        me->conn = kconn_open(m->r, m->re, BROKER_PORT);
        me->found = false;
    }
    return me->conn;
}

// Errors that only say "not now".
static bool not_now(int16_t e)
{
    return e == KERR_NOT_COORDINATOR || e == KERR_COORDINATOR_NOT_AVAILABLE ||
           e == KERR_COORDINATOR_LOAD_IN_PROGRESS || e == KERR_REBALANCE_IN_PROGRESS;
}

static bool lost_membership(int16_t e)
{
    return e == KERR_UNKNOWN_MEMBER_ID || e == KERR_ILLEGAL_GENERATION;
}

// Takes an error in: what the member does next. Anything that a client need not understand fails the run.
static void took(struct member *me, int16_t e, const char *what)
{
    if (e == KERR_UNKNOWN_MEMBER_ID)
        me->id[0] = 0;
    if (lost_membership(e) || e == KERR_REBALANCE_IN_PROGRESS) {
        me->generation = -1;
        me->owned = 0;
    } else if (e && !not_now(e)) {
        run_fail(me->ms->r, "group %s member %s: %s failed: %s", me->g->name, me->id, what, kerr_name(e));
    }
}

static struct kp_str text(const char *s)
{
    return kp_str_of(s);
}

// ---- offsets -----------------------------------------------------------------------------------------------------------
static void commit(struct member *me, int32_t p)
{
    struct run *r = me->ms->r;
    struct mgroup *g = me->g;
    int64_t v = ++g->sent;
    int32_t newest = g->newest, generation = me->generation;
    struct kp_offset_commit_request_offset_commit_request_partition part = {.partition_index = p,
                                                                            .committed_offset = v,
                                                                            .committed_leader_epoch = -1,
                                                                            .committed_metadata =
                                                                                text("sim")};
    struct kp_offset_commit_request_offset_commit_request_topic topic = {
        .name = text(TOPIC), .partitions = &part, .partitions_n = 1};
    struct kp_offset_commit_request req = {.group_id = text(g->name),
                                           .generation_id_or_member_epoch = me->simple ? -1 : generation,
                                           .member_id = text(me->simple ? "" : me->id),
                                           .group_instance_id = KP_STR_NULL,
                                           .retention_time_ms = -1,
                                           .topics = &topic,
                                           .topics_n = 1};
    struct kp_offset_commit_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_COMMIT, V_COMMIT, &req, &resp);
    int16_t e = rc ? 0 : resp.topics[0].partitions[0].error_code;
    kcall_free(&call);
    if (rc)
        return;
    took(me, e, "a commit");
    if (e)
        return;
    if (!me->simple && newest > generation)
        run_fail(r, "group %s: a commit of generation %d was taken after generation %d was given out",
                 g->name, generation, newest);
    g->acked[p] = SL_MAX(g->acked[p], v);
    r->sum->batches_acked++;
}

// All offsets of the group, into v. False: no answer, or not now.
static bool fetch_offsets(struct member *me, int64_t v[PARTS])
{
    struct run *r = me->ms->r;
    int32_t parts[PARTS];
    int64_t floor[PARTS];
    for (int32_t p = 0; p < PARTS; p++) {
        parts[p] = p;
        floor[p] = me->g->acked[p];
    }
    struct kp_offset_fetch_request_offset_fetch_request_topics topic = {
        .name = text(TOPIC), .partition_indexes = parts, .partition_indexes_n = PARTS};
    struct kp_offset_fetch_request_offset_fetch_request_group group = {.group_id = text(me->g->name),
                                                                       .member_id = KP_STR_NULL,
                                                                       .member_epoch = -1,
                                                                       .topics = &topic,
                                                                       .topics_n = 1};
    struct kp_offset_fetch_request req = {
        .groups = &group, .groups_n = 1, .require_stable = run_chance(r, 1, 2)};
    struct kp_offset_fetch_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_FETCH, V_FETCH, &req, &resp);
    int16_t e = rc ? 0 : resp.groups[0].error_code;
    if (!rc && e && !not_now(e))
        run_fail(r, "group %s: reading offsets failed: %s", me->g->name, kerr_name(e));
    for (int32_t p = 0; !rc && !e && p < PARTS; p++) {
        v[p] = resp.groups[0].topics[0].partitions[p].committed_offset;
        if (v[p] < floor[p] || v[p] > me->g->sent)
            run_fail(r,
                     "group %s: offset %lld of partition %d, but %lld was acknowledged and at most %lld sent",
                     me->g->name, (long long)v[p], p, (long long)floor[p], (long long)me->g->sent);
    }
    kcall_free(&call);
    return !rc && !e;
}

// ---- membership ----------------------------------------------------------------------------------------------------------
static bool find(struct member *me)
{
    struct kp_str key = text(me->g->name);
    struct kp_find_coordinator_request req;
    struct kp_find_coordinator_response resp;
    struct kcall call;
    kp_find_coordinator_request_init(&req);
    req.coordinator_keys = &key;
    req.coordinator_keys_n = 1;
    int rc = kconn_call(me->conn, &call, API_FIND, V_FIND, &req, &resp);
    me->found = !rc && !resp.coordinators[0].error_code;
    kcall_free(&call);
    return me->found;
}

// A leader's work: partitions dealt out in turn.
static uint32_t share_of(uint32_t i, uint32_t n)
{
    uint32_t bits = 0;
    for (uint32_t p = i; p < PARTS; p += n)
        bits |= 1u << p;
    return bits;
}

static bool sync(struct member *me, const struct kp_join_group_response *j)
{
    uint32_t n = (uint32_t)SL_MAX(j->members_n, 0), shares[GROUPS * MEMBERS * 8];
    struct kp_sync_group_request_sync_group_request_assignment a[SL_ARRAY_LEN(shares)];
    SL_ASSERT(n <= SL_ARRAY_LEN(a));
    for (uint32_t i = 0; i < n; i++) {
        shares[i] = share_of(i, n);
        a[i].member_id = j->members[i].member_id;
        a[i].assignment = (struct kp_bytes){(const uint8_t *)&shares[i], sizeof(shares[i])};
    }
    struct kp_sync_group_request req = {.group_id = text(me->g->name),
                                        .generation_id = j->generation_id,
                                        .member_id = text(me->id),
                                        .group_instance_id = KP_STR_NULL,
                                        .protocol_type = text("sim"),
                                        .protocol_name = text("deal"),
                                        .assignments = a,
                                        .assignments_n = (int32_t)n};
    struct kp_sync_group_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_SYNC, V_SYNC, &req, &resp);
    int16_t e = rc ? 0 : resp.error_code;
    bool ok = !rc && !e && resp.assignment.n == sizeof(me->owned);
    if (ok)
        memcpy(&me->owned, resp.assignment.p, sizeof(me->owned));
    kcall_free(&call);
    if (!rc)
        took(me, e, "SyncGroup");
    return ok;
}

// The member was given its share of a generation: nobody else may have been given any of it.
static void given(struct member *me, int32_t generation)
{
    struct mgroup *g = me->g;
    SL_ASSERT(generation > 0 && generation < GENERATIONS);
    for (int32_t p = 0; p < PARTS; p++) {
        char *owner = g->owner[generation][p];
        if (!(me->owned & (1u << p)))
            continue;
        if (owner[0] && strcmp(owner, me->id))
            run_fail(me->ms->r, "group %s: partition %d of generation %d was given to %s and to %s", g->name,
                     p, generation, owner, me->id);
        snprintf(owner, ID_MAX, "%s", me->id);
    }
    me->generation = generation;
    g->newest = SL_MAX(g->newest, generation);
}

static bool join(struct member *me)
{
    struct run *r = me->ms->r;
    struct kp_join_group_request_join_group_request_protocol proto = {.name = text("deal"),
                                                                      .metadata = {(const uint8_t *)"m", 1}};
    struct kp_join_group_request req = {.group_id = text(me->g->name),
                                        .session_timeout_ms = 300,
                                        .rebalance_timeout_ms = 500,
                                        .member_id = text(me->id),
                                        .group_instance_id = KP_STR_NULL,
                                        .protocol_type = text("sim"),
                                        .protocols = &proto,
                                        .protocols_n = 1,
                                        .reason = KP_STR_NULL};
    struct kp_join_group_response resp;
    struct kcall call;
    bool ok = false;
    me->generation = -1;
    me->owned = 0;
    int rc = kconn_call(me->conn, &call, API_JOIN, V_JOIN, &req, &resp);
    if (!rc && resp.error_code == KERR_MEMBER_ID_REQUIRED) {
        snprintf(me->id, sizeof(me->id), "%.*s", resp.member_id.n, resp.member_id.p);
    } else if (!rc && resp.error_code) {
        took(me, resp.error_code, "JoinGroup");
    } else if (!rc) {
        int32_t generation = resp.generation_id;
        if (run_chance(r, 1, 20))
            nap(me->ms, 1000, 800 * 1000); // the others wait for it, or do without
        ok = sync(me, &resp);
        if (ok)
            given(me, generation);
    }
    kcall_free(&call);
    return ok;
}

static void beat(struct member *me)
{
    struct kp_heartbeat_request req = {.group_id = text(me->g->name),
                                       .generation_id = me->generation,
                                       .member_id = text(me->id),
                                       .group_instance_id = KP_STR_NULL};
    struct kp_heartbeat_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_BEAT, V_BEAT, &req, &resp);
    int16_t e = rc ? 0 : resp.error_code;
    kcall_free(&call);
    took(me, e, "Heartbeat");
}

static void leave(struct member *me)
{
    struct kp_leave_group_request_member_identity who = {
        .member_id = text(me->id), .group_instance_id = KP_STR_NULL, .reason = KP_STR_NULL};
    struct kp_leave_group_request req = {.group_id = text(me->g->name), .members = &who, .members_n = 1};
    struct kp_leave_group_response resp;
    struct kcall call;
    kconn_call(me->conn, &call, API_LEAVE, V_LEAVE, &req, &resp);
    kcall_free(&call);
    me->id[0] = 0;
    me->generation = -1;
    me->owned = 0;
}

static void work(struct member *me)
{
    struct run *r = me->ms->r;
    int64_t v[PARTS];
    uint32_t what = run_below(r, 30);
    if (me->simple || (what >= 15 && me->owned)) {
        int32_t p = (int32_t)run_below(r, PARTS);
        if (me->simple || (me->owned & (1u << p)))
            commit(me, p);
    } else if (what < 4) {
        fetch_offsets(me, v);
    } else if (what == 4 && !r->calm) {
        leave(me);
    } else if (what == 5 && !r->calm) {
        nap(me->ms, 200 * 1000, 1000 * 1000); // long enough to be thrown out, which it does not know
        for (int32_t p = 0; p < PARTS && connected(me) && me->found; p++)
            if (me->owned & (1u << p))
                commit(me, p);
    } else {
        beat(me);
    }
}

static void member_fiber(void *arg)
{
    struct member *me = arg;
    struct members *m = me->ms;
    int64_t v[PARTS];
    while (!m->stop) {
        nap(m, 100, 30 * 1000);
        if (!m->topic_there || !connected(me) || (!me->found && !find(me)))
            continue;
        if (!me->simple && me->generation < 0) {
            if (join(me))
                fetch_offsets(me, v); // where it would go on
        } else {
            work(me);
        }
    }
    if (me->conn)
        kconn_close(me->conn);
    me->conn = NULL;
    me->gone = true;
    m->fibers--;
}

// ---- the topic that offsets are committed for -----------------------------------------------------------------------------
static void topic_fiber(void *arg)
{
    struct members *m = arg;
    struct member me = {.ms = m};
    while (!m->topic_there && !m->stop) {
        struct kp_create_topics_request_creatable_topic t = {
            .name = text(TOPIC), .num_partitions = PARTS, .replication_factor = -1};
        struct kp_create_topics_request req = {.topics = &t, .topics_n = 1, .timeout_ms = 30000};
        struct kp_create_topics_response resp;
        struct kcall call;
        nap(m, 1000, 20 * 1000);
        if (!connected(&me))
            continue;
        int rc = kconn_call(me.conn, &call, API_CREATE, V_CREATE, &req, &resp);
        int16_t e = rc ? 0 : resp.topics[0].error_code;
        m->topic_there = !rc && (!e || e == KERR_TOPIC_ALREADY_EXISTS);
        kcall_free(&call);
    }
    if (me.conn)
        kconn_close(me.conn);
    m->fibers--;
}

// ---- the whole -------------------------------------------------------------------------------------------------------------
struct members *members_create(struct run *r)
{
    struct members *m = calloc(1, sizeof(*m));
    SL_ASSERT(m);
    m->r = r;
    m->proc = sim_process_create(r->w, NULL);
    m->io = sim_io_create(m->proc);
    m->group = reactor_group_create(1, &m->io, 4, NULL);
    m->groups = calloc(GROUPS + 1, sizeof(*m->groups));
    SL_ASSERT(m->group && m->groups);
    m->re = reactor_group_get(m->group, 0);
    for (uint32_t g = 0; g <= GROUPS; g++) {
        snprintf(m->groups[g].name, sizeof(m->groups[g].name), "g%u", g);
        memset(m->groups[g].acked, -1, sizeof(m->groups[g].acked));
        uint32_t n = g < GROUPS ? 1 + run_below(r, MEMBERS) : 1;
        for (uint32_t k = 0; k < n; k++, m->n++)
            m->all[m->n] = (struct member){
                .ms = m, .g = &m->groups[g], .no = m->n, .generation = -1, .simple = g == GROUPS};
    }
    sim_attach(m->proc, m->group);
    return m;
}

static void spawn(struct members *m, fiber_fn fn, void *arg)
{
    m->fibers++;
    SL_ASSERT(fiber_spawn(m->re, fn, arg, 64 << 10));
}

void members_start(struct members *m)
{
    m->stop = false;
    spawn(m, topic_fiber, m);
    for (uint32_t k = 0; k < m->n; k++) {
        m->all[k].gone = false;
        spawn(m, member_fiber, &m->all[k]);
    }
}

bool members_settled(void *arg)
{
    struct members *m = arg;
    uint32_t owned[GROUPS] = {0};
    for (uint32_t k = 0; k < m->n; k++) {
        const struct member *me = &m->all[k];
        if (me->simple)
            continue;
        if (me->generation < 0 || me->generation != me->g->newest)
            return false;
        owned[me->g - m->groups] |= me->owned;
    }
    for (uint32_t g = 0; g < GROUPS; g++)
        if (owned[g] != (1u << PARTS) - 1)
            return false;
    return true;
}

void members_stop(struct members *m)
{
    m->stop = true;
}

bool members_gone(void *members)
{
    return ((struct members *)members)->fibers == 0;
}

static void verify_fiber(void *arg)
{
    struct members *m = arg;
    m->content = 1;
    for (uint32_t g = 0; g <= GROUPS; g++) {
        struct member me = {.ms = m, .g = &m->groups[g], .simple = true};
        int64_t v[PARTS];
        for (uint32_t tries = 0; !connected(&me) || !find(&me) || !fetch_offsets(&me, v); tries++) {
            if (tries > 3000)
                run_fail(m->r, "group %s: its offsets cannot be read", me.g->name);
            nap(m, 1000, 10 * 1000);
        }
        m->content = sl_hash_pair(m->content, sl_hash64(v, sizeof(v), 0));
        kconn_close(me.conn);
    }
    m->verified = true;
    m->fibers--;
}

void members_verify(struct members *m)
{
    m->verified = false;
    spawn(m, verify_fiber, m);
}

bool members_verified(void *members)
{
    return ((struct members *)members)->verified;
}

uint64_t members_content(const struct members *m)
{
    return m->content;
}

void members_describe(const struct members *m, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = 0;
    for (uint32_t k = 0; k < m->n && n < cap; k++) {
        const struct member *me = &m->all[k];
        n += (size_t)snprintf(out + n, cap - n, " %s/%u:%d(%d):%x%s", me->g->name, me->no, me->generation,
                              me->g->newest, me->owned, me->gone ? " gone" : "");
    }
}
