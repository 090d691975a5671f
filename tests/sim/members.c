// See members.h. Here: the whole, what all members share, offsets.
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
#include "proto/gen/metadata_request.h"
#include "proto/gen/metadata_response.h"
#include "proto/gen/offset_commit_request.h"
#include "proto/gen/offset_commit_response.h"
#include "proto/gen/offset_fetch_request.h"
#include "proto/gen/offset_fetch_response.h"
#include "tests/sim/members_private.h"
#include "tests/sim/people.h"

enum { API_METADATA = 3, API_CREATE = 19, V_METADATA = 12, V_CREATE = 7 };

void member_nap(struct members *m, uint64_t lo_us, uint64_t hi_us)
{
    fiber_sleep(1000 * run_skewed(m->r, lo_us, hi_us));
}

struct kconn *member_connected(struct member *me)
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

bool member_not_now(int16_t e)
{
    return e == KERR_NOT_COORDINATOR || e == KERR_COORDINATOR_NOT_AVAILABLE ||
           e == KERR_COORDINATOR_LOAD_IN_PROGRESS || e == KERR_REBALANCE_IN_PROGRESS;
}

static struct kp_str text(const char *s)
{
    return kp_str_of(s);
}

// ---- offsets -----------------------------------------------------------------------------------------------------------
static const struct mtopic_id *topic_of(const struct members *m, int32_t place)
{
    const struct mtopic_id *t = m->topics;
    while (place >= t->from + t->parts)
        t++;
    return t;
}

bool member_commit(struct member *me, int32_t place, int16_t *error)
{
    struct run *r = me->ms->r;
    struct mgroup *g = me->g;
    const struct mtopic_id *t = topic_of(me->ms, place);
    int64_t v = ++g->sent;
    struct kp_offset_commit_request_offset_commit_request_partition part = {
        .partition_index = place - t->from,
        .committed_offset = v,
        .committed_leader_epoch = -1,
        .committed_metadata = text("sim")};
    struct kp_offset_commit_request_offset_commit_request_topic topic = {
        .name = text(t->name), .partitions = &part, .partitions_n = 1};
    struct kp_offset_commit_request req = {
        .group_id = text(g->name),
        .generation_id_or_member_epoch = me->simple ? -1 : me->generation,
        .member_id = text(me->simple ? "" : me->id),
        .group_instance_id = !me->simple && me->instance[0] ? text(me->instance) : KP_STR_NULL,
        .retention_time_ms = -1,
        .topics = &topic,
        .topics_n = 1};
    struct kp_offset_commit_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_COMMIT, V_COMMIT, &req, &resp);
    *error = rc ? 0 : resp.topics[0].partitions[0].error_code;
    kcall_free(&call);
    if (rc || *error)
        return false;
    g->acked[place] = SL_MAX(g->acked[place], v);
    r->sum->batches_acked++;
    return true;
}

static void check_offset(struct member *me, int32_t place, int64_t v, int64_t floor)
{
    if (v < floor || v > me->g->sent)
        run_fail(me->ms->r,
                 "group %s: offset %lld at place %d, but %lld was acknowledged and at most %lld sent",
                 me->g->name, (long long)v, place, (long long)floor, (long long)me->g->sent);
}

bool member_offsets(struct member *me, int64_t v[PLACES])
{
    struct run *r = me->ms->r;
    int32_t parts[PLACES];
    int64_t floor[PLACES];
    struct kp_offset_fetch_request_offset_fetch_request_topics topics[TOPICS];
    for (int32_t p = 0; p < PLACES; p++) {
        parts[p] = p;
        floor[p] = me->g->acked[p];
    }
    for (uint32_t t = 0; t < TOPICS; t++) {
        topics[t].name = text(me->ms->topics[t].name);
        topics[t].partition_indexes = parts;
        topics[t].partition_indexes_n = me->ms->topics[t].parts;
    }
    struct kp_offset_fetch_request_offset_fetch_request_group group = {.group_id = text(me->g->name),
                                                                       .member_id = KP_STR_NULL,
                                                                       .member_epoch = -1,
                                                                       .topics = topics,
                                                                       .topics_n = TOPICS};
    struct kp_offset_fetch_request req = {
        .groups = &group, .groups_n = 1, .require_stable = run_chance(r, 1, 2)};
    struct kp_offset_fetch_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_FETCH, V_FETCH, &req, &resp);
    int16_t e = rc ? 0 : resp.groups[0].error_code;
    if (!rc && e && !member_not_now(e))
        run_fail(r, "group %s: reading offsets failed: %s", me->g->name, kerr_name(e));
    for (int32_t p = 0; !rc && !e && p < PLACES; p++) {
        uint32_t t = (uint32_t)(topic_of(me->ms, p) - me->ms->topics);
        v[p] = resp.groups[0].topics[t].partitions[p - me->ms->topics[t].from].committed_offset;
        check_offset(me, p, v[p], floor[p]);
    }
    kcall_free(&call);
    return !rc && !e;
}

// ---- members ---------------------------------------------------------------------------------------------------------------
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

static void member_fiber(void *arg)
{
    struct member *me = arg;
    struct members *m = me->ms;
    while (!m->stop) {
        member_nap(m, 100, 30 * 1000);
        if (!m->topics[0].there || !member_connected(me) || (!me->found && !find(me)))
            continue;
        if (me->g->modern)
            member_modern_step(me);
        else
            member_classic_step(me);
    }
    if (me->conn)
        kconn_close(me->conn);
    me->conn = NULL;
    me->gone = true;
    m->fibers--;
}

// ---- the topics that offsets are committed for -----------------------------------------------------------------------------
static bool ask_topic(struct member *me, struct mtopic_id *t)
{
    struct kp_metadata_request req;
    struct kp_metadata_request_metadata_request_topic topic;
    struct kp_metadata_response resp;
    struct kcall call;
    kp_metadata_request_init(&req);
    kp_metadata_request_metadata_request_topic_init(&topic);
    topic.name = text(t->name);
    req.topics = &topic;
    req.topics_n = 1;
    req.allow_auto_topic_creation = false;
    int rc = kconn_call(me->conn, &call, API_METADATA, V_METADATA, &req, &resp);
    bool there = !rc && resp.topics_n == 1 && !resp.topics[0].error_code;
    struct sl_uuid id = there ? resp.topics[0].topic_id : t->id;
    if (!sl_uuid_is_zero(&t->id) && memcmp(&id, &t->id, sizeof(id)) != 0)
        run_fail(me->ms->r, "topic %s: a member was given another id than Metadata has", t->name);
    t->id = id;
    kcall_free(&call);
    return there;
}

static void make_topic(struct member *me, struct mtopic_id *t)
{
    struct kp_create_topics_request_creatable_topic topic = {
        .name = text(t->name), .num_partitions = t->parts, .replication_factor = -1};
    struct kp_create_topics_request req = {.topics = &topic, .topics_n = 1, .timeout_ms = 30000};
    struct kp_create_topics_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_CREATE, V_CREATE, &req, &resp);
    int16_t e = rc ? 0 : resp.topics[0].error_code;
    bool made = !rc && (!e || e == KERR_TOPIC_ALREADY_EXISTS);
    kcall_free(&call);
    if (made)
        t->there = ask_topic(me, t);
}

static void topic_fiber(void *arg)
{
    struct members *m = arg;
    struct member me = {.ms = m};
    for (uint32_t k = 0; k < TOPICS && !m->stop;) {
        member_nap(m, 1000, (k ? 900 : 20) * 1000);
        if (m->topics[k].there)
            k++;
        else if (member_connected(&me))
            make_topic(&me, &m->topics[k]);
    }
    if (me.conn)
        kconn_close(me.conn);
    m->fibers--;
}

// ---- the whole -------------------------------------------------------------------------------------------------------------
static void make_members(struct members *m, uint32_t g)
{
    struct run *r = m->r;
    struct mgroup *group = &m->groups[g];
    snprintf(group->name, sizeof(group->name), "g%u", g);
    memset(group->acked, -1, sizeof(group->acked));
    group->modern = g >= CLASSIC_GROUPS && g < GROUPS;
    group->mixed = g == GROUPS - 1;
    uint32_t n = g == GROUPS ? 1 : 1 + run_below(r, group->modern ? MEMBERS : MEMBERS - 1);
    for (uint32_t k = 0; k < n; k++, m->n++) {
        struct member *me = &m->all[m->n];
        *me = (struct member){.ms = m, .g = group, .no = m->n, .generation = -1, .simple = g == GROUPS};
        if (group->modern)
            member_modern_init(me);
    }
}

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
    m->topics[0] = (struct mtopic_id){.name = "grouped", .parts = FIRST_PARTS};
    m->topics[1] = (struct mtopic_id){.name = "grouped-late", .parts = SECOND_PARTS, .from = FIRST_PARTS};
    for (uint32_t g = 0; g <= GROUPS; g++)
        make_members(m, g);
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

bool members_settled(void *members)
{
    const struct members *m = members;
    return member_classic_settled(m) && member_modern_settled(m);
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
        int64_t v[PLACES];
        for (uint32_t tries = 0; !member_connected(&me) || !find(&me) || !member_offsets(&me, v); tries++) {
            if (tries > 3000)
                run_fail(m->r, "group %s: its offsets cannot be read", me.g->name);
            member_nap(m, 1000, 10 * 1000);
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
        n += (size_t)snprintf(out + n, cap - n, " %s/%u%s%s:%d(%d):%x%s%s", me->g->name, me->no,
                              me->classic ? "c" : "", me->instance[0] ? "s" : "", me->generation,
                              me->g->newest, me->owned, me->rejoin ? " rejoin" : "", me->gone ? " gone" : "");
    }
}
