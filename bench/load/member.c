// A member of a consumer group: a connection to the group's coordinator, one request at a time on it besides commits.
//
//   AWAY ──► JOIN ──► SYNC (classic) ──► OFFSETS ──► STABLE ──► GIVE_UP ──► JOIN | LEAVE ──► AWAY
//
// Classic: when the group rebalances, everything is committed, given up, and joined for again; if the coordinator makes
// this member the leader, it assigns by range (assign.h). KIP-848: heartbeats say what the member has and bring what it
// should have; what it should not have is committed and given up at once, what it should is read from the committed
// offset on (OFFSETS), and both are acknowledged by the next heartbeat.
//
// The coordinator is asked for again whenever it is not the one or its connection breaks. A member keeps its partitions
// meanwhile: fetching does not need the coordinator.
#include "bench/load/assign.h"
#include "bench/load/run.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/kerr.h"
#include "engine/base/rand.h"
#include "proto/gen/all.h"

enum {
    KEY_OFFSET_COMMIT = 8,
    KEY_OFFSET_FETCH = 9,
    KEY_FIND_COORDINATOR = 10,
    KEY_JOIN_GROUP = 11,
    KEY_HEARTBEAT = 12,
    KEY_LEAVE_GROUP = 13,
    KEY_SYNC_GROUP = 14,
    KEY_CONSUMER_GROUP_HEARTBEAT = 68,
    RETRY_NS = 50000000,
    CLOSING_NS = 5000000,
    DIAL_MAX_NS = 500000000,
    REBALANCE_MS = 60000
};
#define MS_NS 1000000ull
#define NEVER UINT64_MAX

enum phase { AWAY, JOIN, SYNC, OFFSETS, STABLE, GIVE_UP, LEAVE };

struct mcall {
    struct link_call call;
    struct link_request request;
    struct member *m;
    bool busy;
};

struct member {
    struct worker *w;
    const struct plan *plan;
    struct consumer *c;
    uint32_t index, turn;
    struct cover *covers;
    char group[224], id[128];
    int32_t epoch; // generation or member epoch
    enum phase phase;
    bool kip848, found, leaving, ended, begun_once,
        tell;           // tell: the next KIP-848 heartbeat says what the member has
    bool rejoin;        // GIVE_UP: to join again, not to leave
    bool *has, *should; // by partition
    struct link link;
    int32_t coordinator; // -1: not known
    struct mcall ask, commit;
    struct timer timer;
    uint64_t dial_at, down_since, retry_at, beat_at, commit_at, leave_at, back_at, idle_since, beat_ns;
    uint32_t dials;
    struct arena arena;
    struct sl_rand rand;
};

static void step(struct member *m);

static uint64_t now_of(const struct member *m)
{
    return io_now_ns(reactor_io(m->w->r));
}

static const struct cluster *cluster_of(const struct member *m)
{
    return &m->w->run->cluster;
}

static int16_t version_of(const struct member *m, int16_t api)
{
    int16_t v = cluster_of(m)->versions[api];
    return api == KEY_OFFSET_COMMIT || api == KEY_OFFSET_FETCH ? SL_MIN(v, (int16_t)9)
                                                               : v; // above: topics by id
}

void member_group(const struct plan *p, uint32_t subscription, char *out, size_t cap)
{
    if (p->subscriptions == 1)
        snprintf(out, cap, "%s", p->group);
    else
        snprintf(out, cap, "%s-%u", p->group, subscription);
}

// ---- calls ----------------------------------------------------------------------------------------------------------
static void send(struct member *m, struct mcall *q, int16_t api, const void *req,
                 void (*done)(struct link_call *, int, const uint8_t *, uint32_t))
{
    SL_ASSERT(!q->busy);
    link_encode(&m->link, &q->call, &q->request, api, version_of(m, api), req);
    q->call.done = done;
    q->m = m;
    q->busy = true;
    link_send(&m->link, &q->call);
}

static void wake_in(struct member *m, uint64_t ns)
{
    timer_set(m->w->r, &m->timer, now_of(m) + ns);
}

// The coordinator is somewhere else, or not up yet.
static void look_again(struct member *m)
{
    m->found = false;
    m->coordinator = -1;
    m->retry_at = now_of(m) + RETRY_NS;
}

static void fault(struct member *m, const char *what, int16_t error)
{
    stats_error(&m->w->now, "group %s: %s: %s", m->group, what, kerr_name(error));
    m->retry_at = now_of(m) + 1000 * MS_NS;
}

// Errors that any request may bring. True: it was one.
static bool passing(struct member *m, const char *what, int16_t error)
{
    if (!error)
        return false;
    if (!m->plan->reconnect && error != KERR_COORDINATOR_LOAD_IN_PROGRESS) {
        fault(m, what, error);
        return true;
    }
    if (error == KERR_NOT_COORDINATOR || error == KERR_COORDINATOR_NOT_AVAILABLE)
        look_again(m);
    else if (kerr_retriable(error))
        m->retry_at = now_of(m) + RETRY_NS;
    else
        return false;
    m->w->now.refused++;
    return true;
}

// ---- what it reads --------------------------------------------------------------------------------------------------
static bool has_any(const struct member *m)
{
    for (uint32_t i = 0; i < cluster_of(m)->parts_n; i++)
        if (m->has[i])
            return true;
    return false;
}

static void give_up(struct member *m, uint32_t part)
{
    consumer_revoke(m->c, part);
    m->has[part] = false;
    m->w->now.revoked++;
}

static void give_up_all(struct member *m)
{
    for (uint32_t i = 0; i < cluster_of(m)->parts_n; i++)
        if (m->has[i])
            give_up(m, i);
    if (!m->idle_since)
        m->idle_since = now_of(m);
}

// It is out: what it has is no longer its own.
static void thrown_out(struct member *m, bool forget_id)
{
    give_up_all(m);
    if (forget_id && !m->kip848)
        m->id[0] = 0;
    m->epoch = m->kip848 ? 0 : -1;
    m->phase = m->leaving ? AWAY : JOIN;
}

// ---- commits --------------------------------------------------------------------------------------------------------
static void commit_done(struct link_call *call, int rc, const uint8_t *body, uint32_t n)
{
    struct mcall *q = SL_CONTAINER_OF(call, struct mcall, call);
    struct member *m = q->m;
    struct kp_offset_commit_response r;
    int16_t error = 0;
    q->busy = false;
    if (m->ended || rc)
        return;
    arena_reset(&m->arena);
    if (kp_offset_commit_response_decode(&r, body, n, call->version, &m->arena) < 0) {
        stats_error(&m->w->now, "group %s: commit: an answer that cannot be read", m->group);
        return;
    }
    for (int32_t t = 0; t < r.topics_n; t++)
        for (int32_t i = 0; i < r.topics[t].partitions_n; i++)
            error = error ? error : r.topics[t].partitions[i].error_code;
    m->w->now.commits += !error;
    m->w->now.commits_refused += error != 0;
    // The heartbeat will say the same of the generation.
    bool outdated = error == KERR_REBALANCE_IN_PROGRESS || error == KERR_ILLEGAL_GENERATION ||
                    error == KERR_UNKNOWN_MEMBER_ID || error == KERR_STALE_MEMBER_EPOCH;
    if (!outdated && !passing(m, "commit", error) && error)
        fault(m, "commit", error);
    step(m);
}

static void commit(struct member *m)
{
    const struct cluster *cl = cluster_of(m);
    struct kp_offset_commit_request r;
    struct kp_offset_commit_request_offset_commit_request_partition *parts;
    uint32_t k = 0, last = UINT32_MAX;
    m->commit_at = m->plan->commit_ms ? now_of(m) + (uint64_t)m->plan->commit_ms * MS_NS : NEVER;
    if (!m->plan->commit_ms || !has_any(m) || m->link.broken)
        return;
    arena_reset(&m->arena);
    kp_offset_commit_request_init(&r);
    r.group_id = kp_str_of(m->group);
    r.member_id = kp_str_of(m->id);
    r.generation_id_or_member_epoch = m->epoch;
    r.topics = arena_array(&m->arena, cl->topics_n, sizeof(*r.topics));
    parts = arena_array(&m->arena, cl->parts_n, sizeof(*parts));
    SL_ASSERT(r.topics && parts);
    for (uint32_t i = 0; i < cl->parts_n; i++) {
        int64_t at = m->has[i] ? consumer_position(m->c, i) : -1;
        if (at < 0)
            continue;
        if (cl->parts[i].topic != last) {
            last = cl->parts[i].topic;
            kp_offset_commit_request_offset_commit_request_topic_init(&r.topics[r.topics_n]);
            r.topics[r.topics_n].name = kp_str_of(cl->topics[last].name);
            r.topics[r.topics_n++].partitions = &parts[k];
        }
        kp_offset_commit_request_offset_commit_request_partition_init(&parts[k]);
        parts[k].partition_index = cl->parts[i].index;
        parts[k++].committed_offset = at;
        r.topics[r.topics_n - 1].partitions_n++;
    }
    if (k)
        send(m, &m->commit, KEY_OFFSET_COMMIT, &r, commit_done);
}

// ---- answers --------------------------------------------------------------------------------------------------------
static void found(struct member *m, const struct kp_find_coordinator_response *r)
{
    int16_t error = r->coordinators_n == 1 ? r->coordinators[0].error_code : KERR_UNKNOWN_SERVER_ERROR;
    if (passing(m, "FindCoordinator", error))
        return;
    if (error) {
        fault(m, "FindCoordinator", error);
        return;
    }
    m->coordinator = r->coordinators[0].node_id;
    m->found = m->link.node_id == m->coordinator;
    m->tell = true;
    if (!m->found && !view_node(m->w->view, m->coordinator)) {
        view_want(m->w->view);
        look_again(m);
    } else if (!m->found) {
        link_close(&m->link);
    }
}

static void sync_send(struct member *m, const struct kp_join_group_response *joined);

static void joined(struct member *m, const struct kp_join_group_response *r)
{
    if (r->error_code == KERR_MEMBER_ID_REQUIRED || !r->error_code)
        snprintf(m->id, sizeof(m->id), "%.*s", SL_MAX(r->member_id.n, 0), r->member_id.p);
    if (r->error_code == KERR_MEMBER_ID_REQUIRED)
        return;
    if (r->error_code == KERR_UNKNOWN_MEMBER_ID) {
        m->id[0] = 0;
    } else if (r->error_code == KERR_REBALANCE_IN_PROGRESS) {
        m->retry_at = now_of(m) + RETRY_NS;
    } else if (passing(m, "JoinGroup", r->error_code)) {
        return;
    } else if (r->error_code) {
        fault(m, "JoinGroup", r->error_code);
    } else {
        m->epoch = r->generation_id;
        m->phase = SYNC;
        sync_send(m, r);
    }
}

static void should_add(struct member *m, const struct topic *t, const int32_t *indexes, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        if (indexes[i] >= 0 && (uint32_t)indexes[i] < t->parts_n)
            m->should[t->first_part + (uint32_t)indexes[i]] = true;
}

static void synced(struct member *m, const struct kp_sync_group_response *r)
{
    const struct cluster *cl = cluster_of(m);
    struct kp_consumer_protocol_assignment a;
    int16_t e = r->error_code;
    if (e == KERR_REBALANCE_IN_PROGRESS || e == KERR_ILLEGAL_GENERATION || e == KERR_UNKNOWN_MEMBER_ID) {
        thrown_out(m, e == KERR_UNKNOWN_MEMBER_ID);
        return;
    }
    if (e) {
        m->phase = JOIN;
        if (!passing(m, "SyncGroup", e))
            fault(m, "SyncGroup", e);
        return;
    }
    if (assign_read(r->assignment, &a, &m->arena)) {
        stats_error(&m->w->now, "group %s: an assignment that cannot be read", m->group);
        m->phase = JOIN;
        return;
    }
    memset(m->should, 0, cl->parts_n * sizeof(*m->should));
    for (int32_t i = 0; i < a.assigned_partitions_n; i++)
        for (uint32_t t = 0; t < cl->topics_n; t++)
            if (kp_str_eq(a.assigned_partitions[i].topic, kp_str_of(cl->topics[t].name)))
                should_add(m, &cl->topics[t], a.assigned_partitions[i].partitions,
                           a.assigned_partitions[i].partitions_n);
    m->w->now.rebalances += m->begun_once;
    m->phase = OFFSETS;
}

// Nothing is missing: it reads.
static void settle(struct member *m)
{
    uint64_t now = now_of(m);
    if (m->idle_since)
        stats_idle(&m->w->now, now - m->idle_since);
    m->idle_since = 0;
    m->begun_once = true;
    m->phase = STABLE;
    m->beat_at = m->kip848 && m->tell ? now : now + m->beat_ns;
}

static void offsets_got(struct member *m, const struct kp_offset_fetch_response *r)
{
    const struct cluster *cl = cluster_of(m);
    int16_t e = r->groups_n == 1 ? r->groups[0].error_code : KERR_UNKNOWN_SERVER_ERROR;
    for (int32_t t = 0; !e && t < r->groups[0].topics_n; t++)
        for (int32_t i = 0; i < r->groups[0].topics[t].partitions_n; i++)
            e = e ? e : r->groups[0].topics[t].partitions[i].error_code;
    if (e == KERR_STALE_MEMBER_EPOCH || e == KERR_UNKNOWN_MEMBER_ID || e == KERR_ILLEGAL_GENERATION) {
        m->phase = STABLE; // the heartbeat says more
        m->beat_at = 0;
        return;
    }
    if (e) {
        if (!passing(m, "OffsetFetch", e))
            fault(m, "OffsetFetch", e);
        return;
    }
    for (int32_t k = 0; k < r->groups[0].topics_n; k++) {
        const struct kp_offset_fetch_response_offset_fetch_response_topics *a = &r->groups[0].topics[k];
        uint32_t t = 0;
        while (t < cl->topics_n && !kp_str_eq(a->name, kp_str_of(cl->topics[t].name)))
            t++;
        for (int32_t i = 0; t < cl->topics_n && i < a->partitions_n; i++) {
            uint32_t part = cl->topics[t].first_part + (uint32_t)a->partitions[i].partition_index;
            int64_t at = a->partitions[i].committed_offset;
            if ((uint32_t)a->partitions[i].partition_index >= cl->topics[t].parts_n || m->has[part] ||
                !m->should[part])
                continue;
            m->has[part] = true;
            m->w->now.assigned++;
            consumer_assign(m->c, part, at >= 0 ? at : m->covers[part].start);
        }
    }
    m->tell = true;
    settle(m);
}

static void beaten(struct member *m, int16_t e)
{
    m->beat_at = now_of(m) + m->beat_ns;
    if (e == KERR_REBALANCE_IN_PROGRESS) {
        m->phase = GIVE_UP;
        m->rejoin = true;
    } else if (e == KERR_ILLEGAL_GENERATION || e == KERR_UNKNOWN_MEMBER_ID) {
        thrown_out(m, e == KERR_UNKNOWN_MEMBER_ID);
    } else if (!passing(m, "Heartbeat", e) && e) {
        fault(m, "Heartbeat", e);
    }
}

static void should_take(struct member *m, const struct kp_consumer_group_heartbeat_response_assignment *a)
{
    const struct cluster *cl = cluster_of(m);
    memset(m->should, 0, cl->parts_n * sizeof(*m->should));
    for (int32_t i = 0; i < a->topic_partitions_n; i++)
        for (uint32_t t = 0; t < cl->topics_n; t++)
            if (sl_uuid_eq(&a->topic_partitions[i].topic_id, &cl->topics[t].id))
                should_add(m, &cl->topics[t], a->topic_partitions[i].partitions,
                           a->topic_partitions[i].partitions_n);
    m->w->now.rebalances += m->begun_once && memcmp(m->has, m->should, cl->parts_n * sizeof(*m->has)) != 0;
}

// KIP-848.
static void beaten_848(struct member *m, const struct kp_consumer_group_heartbeat_response *r)
{
    int16_t e = r->error_code;
    m->beat_at = now_of(m) + m->beat_ns;
    if (e == KERR_FENCED_MEMBER_EPOCH || e == KERR_UNKNOWN_MEMBER_ID) {
        thrown_out(m, false);
        return;
    }
    if (passing(m, "ConsumerGroupHeartbeat", e))
        return;
    if (e) {
        fault(m, "ConsumerGroupHeartbeat", e);
        return;
    }
    if (r->member_id.n > 0)
        snprintf(m->id, sizeof(m->id), "%.*s", r->member_id.n, r->member_id.p);
    m->epoch = r->member_epoch;
    m->beat_ns = (uint64_t)SL_MAX(r->heartbeat_interval_ms, 1) * MS_NS;
    m->beat_at = now_of(m) + m->beat_ns;
    m->tell = false;
    if (m->phase == JOIN)
        m->phase = STABLE;
    if (r->assignment) {
        should_take(m, r->assignment);
        m->phase = OFFSETS;
    }
}

static void left(struct member *m)
{
    m->phase = AWAY;
    m->epoch = m->kip848 ? 0 : -1;
    if (!m->kip848)
        m->id[0] = 0;
}

union answer {
    struct kp_find_coordinator_response found;
    struct kp_join_group_response joined;
    struct kp_sync_group_response synced;
    struct kp_heartbeat_response beaten;
    struct kp_leave_group_response left;
    struct kp_consumer_group_heartbeat_response beaten_848;
    struct kp_offset_fetch_response offsets;
};

static void ask_done(struct link_call *call, int rc, const uint8_t *body, uint32_t n)
{
    struct mcall *q = SL_CONTAINER_OF(call, struct mcall, call);
    struct member *m = q->m;
    union answer r;
    q->busy = false;
    if (m->ended || rc) {
        if (m->phase == SYNC)
            m->phase = JOIN;
        return;
    }
    if (m->down_since)
        m->w->now.reconnects++;
    m->down_since = m->dials = 0;
    arena_reset(&m->arena);
    if (kp_message_find(KP_KIND_RESPONSE, call->api)->decode(&r, body, n, call->version, &m->arena) < 0) {
        stats_error(&m->w->now, "group %s: an answer that cannot be read", m->group);
        m->retry_at = now_of(m) + 1000 * MS_NS;
    } else if (call->api == KEY_FIND_COORDINATOR) {
        found(m, &r.found);
    } else if (call->api == KEY_JOIN_GROUP) {
        joined(m, &r.joined);
    } else if (call->api == KEY_SYNC_GROUP) {
        synced(m, &r.synced);
    } else if (call->api == KEY_OFFSET_FETCH) {
        offsets_got(m, &r.offsets);
    } else if (call->api == KEY_HEARTBEAT) {
        beaten(m, r.beaten.error_code);
    } else if (m->phase == LEAVE) {
        left(m);
    } else {
        beaten_848(m, &r.beaten_848);
    }
    step(m);
}

// ---- questions ------------------------------------------------------------------------------------------------------
static void find_send(struct member *m)
{
    struct kp_find_coordinator_request r;
    struct kp_str key = kp_str_of(m->group);
    kp_find_coordinator_request_init(&r);
    r.coordinator_keys = &key;
    r.coordinator_keys_n = 1;
    send(m, &m->ask, KEY_FIND_COORDINATOR, &r, ask_done);
}

static struct kp_str *topic_names(struct member *m)
{
    const struct cluster *cl = cluster_of(m);
    struct kp_str *names = arena_array(&m->arena, cl->topics_n, sizeof(*names));
    SL_ASSERT(names);
    for (uint32_t i = 0; i < cl->topics_n; i++)
        names[i] = kp_str_of(cl->topics[i].name);
    return names;
}

static void join_send(struct member *m)
{
    struct kp_join_group_request r;
    struct kp_join_group_request_join_group_request_protocol range = {.name = KP_STR_LIT("range")};
    arena_reset(&m->arena);
    kp_join_group_request_init(&r);
    range.metadata = assign_write_subscription(topic_names(m), (int32_t)cluster_of(m)->topics_n, &m->arena);
    r.group_id = kp_str_of(m->group);
    r.member_id = kp_str_of(m->id);
    r.session_timeout_ms = (int32_t)m->plan->session_ms;
    r.rebalance_timeout_ms = REBALANCE_MS;
    r.protocol_type = KP_STR_LIT("consumer");
    r.protocols = &range;
    r.protocols_n = 1;
    send(m, &m->ask, KEY_JOIN_GROUP, &r, ask_done);
}

// What one member gets of all topics; its place in `of` is behind those of the topics before.
static struct kp_bytes assignment_of(struct member *m, const struct assign_member *of, uint32_t stride)
{
    const struct cluster *cl = cluster_of(m);
    struct kp_consumer_protocol_assignment a;
    kp_consumer_protocol_assignment_init(&a);
    a.assigned_partitions = arena_array(&m->arena, cl->topics_n, sizeof(*a.assigned_partitions));
    SL_ASSERT(a.assigned_partitions);
    for (uint32_t t = 0; t < cl->topics_n; t++, of += stride) {
        if (!of->n)
            continue;
        int32_t *indexes = arena_array(&m->arena, of->n, sizeof(*indexes));
        SL_ASSERT(indexes);
        for (uint32_t i = 0; i < of->n; i++)
            indexes[i] = (int32_t)(of->first + i);
        a.assigned_partitions[a.assigned_partitions_n++] =
            (struct kp_consumer_protocol_assignment_topic_partition){.topic = kp_str_of(cl->topics[t].name),
                                                                     .partitions = indexes,
                                                                     .partitions_n = (int32_t)of->n};
    }
    return assign_write(&a, &m->arena);
}

// As the leader: who gets what.
static void sync_assign(struct member *m, const struct kp_join_group_response *joined,
                        struct kp_sync_group_request *r)
{
    const struct cluster *cl = cluster_of(m);
    uint32_t n = (uint32_t)joined->members_n;
    struct assign_member *all = arena_array(&m->arena, (size_t)n * cl->topics_n, sizeof(*all));
    r->assignments = arena_array(&m->arena, n, sizeof(*r->assignments));
    SL_ASSERT(all && r->assignments);
    for (uint32_t i = 0; i < n; i++) {
        struct kp_consumer_protocol_subscription s;
        if (assign_read_subscription(joined->members[i].metadata, &s, &m->arena))
            stats_error(&m->w->now, "group %s: a subscription that cannot be read", m->group);
        all[i] = (struct assign_member){
            .id = joined->members[i].member_id, .topics = s.topics, .topics_n = s.topics_n};
    }
    assign_sort(all, n);
    for (uint32_t t = 0; t < cl->topics_n; t++) {
        if (t)
            memcpy(&all[t * n], all, n * sizeof(*all));
        assign_range(&all[t * n], n, kp_str_of(cl->topics[t].name), cl->topics[t].parts_n);
    }
    r->assignments_n = (int32_t)n;
    for (uint32_t i = 0; i < n; i++)
        r->assignments[i] = (struct kp_sync_group_request_sync_group_request_assignment){
            .member_id = all[i].id, .assignment = assignment_of(m, &all[i], n)};
}

static void sync_send(struct member *m, const struct kp_join_group_response *joined)
{
    struct kp_sync_group_request r;
    kp_sync_group_request_init(&r);
    r.group_id = kp_str_of(m->group);
    r.generation_id = m->epoch;
    r.member_id = kp_str_of(m->id);
    r.protocol_type = KP_STR_LIT("consumer");
    r.protocol_name = KP_STR_LIT("range");
    if (kp_str_eq(joined->leader, kp_str_of(m->id)))
        sync_assign(m, joined, &r);
    send(m, &m->ask, KEY_SYNC_GROUP, &r, ask_done);
}

// The partitions that it should have and has not. False: there are none.
static bool offsets_send(struct member *m)
{
    const struct cluster *cl = cluster_of(m);
    struct kp_offset_fetch_request r;
    struct kp_offset_fetch_request_offset_fetch_request_group g;
    arena_reset(&m->arena);
    kp_offset_fetch_request_init(&r);
    kp_offset_fetch_request_offset_fetch_request_group_init(&g);
    g.group_id = kp_str_of(m->group);
    if (m->kip848) {
        g.member_id = kp_str_of(m->id);
        g.member_epoch = m->epoch;
    }
    g.topics = arena_array(&m->arena, cl->topics_n, sizeof(*g.topics));
    int32_t *indexes = arena_array(&m->arena, cl->parts_n, sizeof(*indexes));
    SL_ASSERT(g.topics && indexes);
    g.topics_n = 0;
    uint32_t k = 0, last = UINT32_MAX;
    for (uint32_t i = 0; i < cl->parts_n; i++) {
        if (!m->should[i] || m->has[i])
            continue;
        if (cl->parts[i].topic != last) {
            last = cl->parts[i].topic;
            kp_offset_fetch_request_offset_fetch_request_topics_init(&g.topics[g.topics_n]);
            g.topics[g.topics_n].name = kp_str_of(cl->topics[last].name);
            g.topics[g.topics_n++].partition_indexes = &indexes[k];
        }
        indexes[k++] = cl->parts[i].index;
        g.topics[g.topics_n - 1].partition_indexes_n++;
    }
    r.groups = &g;
    r.groups_n = 1;
    r.require_stable = true;
    if (k)
        send(m, &m->ask, KEY_OFFSET_FETCH, &r, ask_done);
    return k > 0;
}

static void beat_send(struct member *m)
{
    struct kp_heartbeat_request r;
    kp_heartbeat_request_init(&r);
    r.group_id = kp_str_of(m->group);
    r.generation_id = m->epoch;
    r.member_id = kp_str_of(m->id);
    send(m, &m->ask, KEY_HEARTBEAT, &r, ask_done);
}

static void has_fill(struct member *m, struct kp_consumer_group_heartbeat_request *r)
{
    const struct cluster *cl = cluster_of(m);
    int32_t *indexes = arena_array(&m->arena, cl->parts_n, sizeof(*indexes));
    r->topic_partitions = arena_array(&m->arena, cl->topics_n, sizeof(*r->topic_partitions));
    SL_ASSERT(indexes && r->topic_partitions);
    r->topic_partitions_n = 0;
    uint32_t k = 0, last = UINT32_MAX;
    for (uint32_t i = 0; i < cl->parts_n; i++) {
        if (!m->has[i])
            continue;
        if (cl->parts[i].topic != last) {
            last = cl->parts[i].topic;
            r->topic_partitions[r->topic_partitions_n++] =
                (struct kp_consumer_group_heartbeat_request_topic_partitions){.topic_id = cl->topics[last].id,
                                                                              .partitions = &indexes[k]};
        }
        indexes[k++] = cl->parts[i].index;
        r->topic_partitions[r->topic_partitions_n - 1].partitions_n++;
    }
}

// epoch: 0 joins, -1 leaves.
static void beat_848_send(struct member *m, int32_t epoch)
{
    struct kp_consumer_group_heartbeat_request r;
    arena_reset(&m->arena);
    kp_consumer_group_heartbeat_request_init(&r);
    r.group_id = kp_str_of(m->group);
    r.member_id = kp_str_of(m->id);
    r.member_epoch = epoch;
    if (epoch == 0) {
        r.rebalance_timeout_ms = REBALANCE_MS;
        r.subscribed_topic_names = topic_names(m);
        r.subscribed_topic_names_n = (int32_t)cluster_of(m)->topics_n;
    }
    if (epoch == 0 || m->tell)
        has_fill(m, &r);
    send(m, &m->ask, KEY_CONSUMER_GROUP_HEARTBEAT, &r, ask_done);
}

static void leave_send(struct member *m)
{
    struct kp_leave_group_request r;
    struct kp_leave_group_request_member_identity one;
    if (m->kip848) {
        beat_848_send(m, -1);
        return;
    }
    kp_leave_group_request_init(&r);
    kp_leave_group_request_member_identity_init(&one);
    r.group_id = kp_str_of(m->group);
    one.member_id = kp_str_of(m->id);
    r.members = &one;
    r.members_n = 1;
    send(m, &m->ask, KEY_LEAVE_GROUP, &r, ask_done);
}

// ---- steps ----------------------------------------------------------------------------------------------------------
static void on_broken(struct link *l)
{
    struct member *m = l->owner;
    uint64_t now = now_of(m);
    if (m->ended)
        return;
    if (m->coordinator >= 0 && !m->found) { // closed to go to the coordinator
        timer_set(m->w->r, &m->timer, now);
        return;
    }
    m->found = false;
    m->coordinator = -1;
    if (!m->plan->reconnect) {
        consumer_fail(m->c, "a connection to a group's coordinator broke");
        return;
    }
    if (!m->down_since)
        m->down_since = now;
    m->dial_at = now + SL_MIN((uint64_t)RETRY_NS << SL_MIN(m->dials, 8u), (uint64_t)DIAL_MAX_NS);
    m->dials++;
    view_want(m->w->view);
    timer_set(m->w->r, &m->timer, m->dial_at);
}

// True: requests may be sent.
static bool dialled(struct member *m, uint64_t now)
{
    const struct node *n = m->coordinator >= 0 ? view_node(m->w->view, m->coordinator) : NULL;
    if (m->link.r && !m->link.broken)
        return true;
    if (m->down_since && now - m->down_since > (uint64_t)m->plan->timeout_ms * MS_NS) {
        consumer_fail(m->c, "a group's coordinator does not come back");
        return false;
    }
    if (now < m->dial_at || (m->link.r && !link_closed(&m->link))) {
        wake_in(m, now < m->dial_at ? m->dial_at - now : CLOSING_NS);
        return false;
    }
    n = n ? n : view_any_node(m->w->view, m->turn++);
    link_open(&m->link, m->w->r, n->host, n->port);
    m->link.node_id = n->id;
    m->link.owner = m;
    m->link.on_broken = on_broken;
    m->found = m->coordinator == n->id;
    return true;
}

// Commits and gives up what it should not have; all of it before it joins again or leaves.
static bool gave_up(struct member *m, bool all)
{
    const struct cluster *cl = cluster_of(m);
    bool any = false;
    for (uint32_t i = 0; i < cl->parts_n; i++)
        any |= m->has[i] && (all || !m->should[i]);
    if (any && m->commit.busy)
        return false;
    if (any)
        commit(m);
    for (uint32_t i = 0; i < cl->parts_n; i++)
        if (m->has[i] && !all && !m->should[i])
            give_up(m, i);
    if (all)
        give_up_all(m);
    m->tell |= any;
    return true;
}

static void step_offsets(struct member *m)
{
    if (!gave_up(m, false) || offsets_send(m))
        return;
    settle(m);
    step(m);
}

static void step_give_up(struct member *m)
{
    if (!gave_up(m, true))
        return;
    m->phase = m->rejoin && !m->leaving ? JOIN : LEAVE;
    m->rejoin = false;
    if (m->phase == LEAVE && m->idle_since)
        m->idle_since = 0; // by itself
    step(m);
}

static void step_stable(struct member *m, uint64_t now)
{
    if (m->leaving || now >= m->leave_at) {
        if (!m->leaving)
            m->back_at = now + (uint64_t)(m->plan->churn_s * 5e8);
        m->leave_at += (uint64_t)(m->plan->churn_s * 1e9) * (uint64_t)m->plan->consumers;
        m->phase = GIVE_UP;
        m->rejoin = false;
        step(m);
        return;
    }
    if (now >= m->commit_at && !m->commit.busy)
        commit(m);
    if (now >= m->beat_at) {
        if (m->kip848)
            beat_848_send(m, m->epoch);
        else
            beat_send(m);
        return;
    }
    uint64_t at = SL_MIN(m->beat_at, m->leave_at);
    at = m->commit.busy ? at : SL_MIN(at, m->commit_at);
    wake_in(m, at > now ? at - now : 0);
}

static void step_join(struct member *m, uint64_t now)
{
    if (m->leaving) {
        m->phase = m->id[0] && !m->kip848 ? LEAVE : AWAY;
        step(m);
        return;
    }
    if (!m->idle_since)
        m->idle_since = now;
    if (m->kip848)
        beat_848_send(m, 0);
    else
        join_send(m);
}

static void step(struct member *m)
{
    uint64_t now = now_of(m);
    if (m->ended || m->ask.busy)
        return;
    if (m->phase == AWAY) {
        if (m->leaving)
            return;
        if (now < m->back_at) {
            wake_in(m, m->back_at - now);
            return;
        }
        m->phase = JOIN;
    }
    if (!dialled(m, now))
        return;
    if (now < m->retry_at) {
        wake_in(m, m->retry_at - now);
        return;
    }
    if (!m->found)
        find_send(m);
    else if (m->phase == JOIN || m->phase == SYNC)
        step_join(m, now);
    else if (m->phase == OFFSETS)
        step_offsets(m);
    else if (m->phase == STABLE)
        step_stable(m, now);
    else if (m->phase == GIVE_UP)
        step_give_up(m);
    else
        leave_send(m);
}

static void fire(struct timer *t)
{
    step(SL_CONTAINER_OF(t, struct member, timer));
}

// ---- life -----------------------------------------------------------------------------------------------------------
struct member *member_create(struct worker *w, struct consumer *c, uint32_t subscription, uint32_t index)
{
    struct member *m = calloc(1, sizeof(*m));
    uint32_t parts = w->run->cluster.parts_n;
    SL_ASSERT(m);
    m->w = w;
    m->plan = w->run->plan;
    m->c = c;
    m->index = m->turn = index;
    m->covers = &w->run->cluster.covers[subscription * parts];
    m->kip848 = m->plan->group_protocol == PLAN_CONSUMER;
    m->epoch = m->kip848 ? 0 : -1;
    m->coordinator = -1;
    m->beat_ns = (uint64_t)m->plan->heartbeat_ms * MS_NS;
    m->has = calloc(parts + 1, sizeof(*m->has));
    m->should = calloc(parts + 1, sizeof(*m->should));
    SL_ASSERT(m->has && m->should);
    member_group(m->plan, subscription, m->group, sizeof(m->group));
    arena_init(&m->arena, 0);
    timer_init(&m->timer, fire);
    return m;
}

void member_begin(struct member *m)
{
    const struct run *run = m->w->run;
    uint64_t now = now_of(m);
    if (m->kip848) { // the member names itself
        struct sl_uuid id;
        char text[SL_UUID_TEXT_LEN + 1];
        sl_rand_seed(&m->rand, now + (uint64_t)run->wall_offset_us + (uintptr_t)m);
        for (size_t i = 0; i < sizeof(id); i++)
            ((uint8_t *)&id)[i] = (uint8_t)sl_rand_u64(&m->rand);
        sl_uuid_to_text(&id, text);
        snprintf(m->id, sizeof(m->id), "%s", text);
    }
    m->leave_at =
        m->plan->churn_s > 0 ? run->t_begin + (uint64_t)(m->plan->churn_s * 1e9 * (m->index + 1)) : NEVER;
    m->commit_at = m->plan->commit_ms ? now + (uint64_t)m->plan->commit_ms * MS_NS : NEVER;
    m->idle_since = now;
    step(m);
}

void member_leave(struct member *m)
{
    m->leaving = true;
    if (m->phase == STABLE)
        m->beat_at = NEVER;
    step(m);
}

bool member_left(const struct member *m)
{
    return m->phase == AWAY;
}

void member_end(struct member *m)
{
    m->ended = true;
    timer_cancel(m->w->r, &m->timer);
    m->link.on_broken = NULL;
    if (m->link.r)
        link_close(&m->link);
}

void member_destroy(struct member *m)
{
    link_request_free(&m->ask.request);
    link_request_free(&m->commit.request);
    free(m->has);
    free(m->should);
    arena_free(&m->arena);
    free(m);
}
