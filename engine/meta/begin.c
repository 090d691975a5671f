// What a start appends, in upstream's order, and what a clean stop does.
//
//   new log:     LeaderChange, KRaftVersion, KRaftVoters (one control batch)
//                BeginTransaction "Bootstrap records", FeatureLevel.., EndTransaction (one batch)
//   other log:   LeaderChange at the new epoch; AbortTransaction if the last life left one open (meta_append)
//   every start: RegisterController, RegisterBroker (its offset is the broker epoch), a PartitionChange for every
//                partition whose directory is not the one that was known, BrokerRegistrationChange (unfence), a
//                PartitionChange for every partition that this broker leads, which raises its leader epoch; one
//                without a leader where the directory is not here
//   clean stop:  BrokerRegistrationChange (fence)
#include "engine/meta/meta_private.h"

#include "engine/log/record.h"
#include "engine/log/textfiles.h"
#include "proto/gen/begin_transaction_record.h"
#include "proto/gen/broker_registration_change_record.h"
#include "proto/gen/config_record.h"
#include "proto/gen/end_transaction_record.h"
#include "proto/gen/feature_level_record.h"
#include "proto/gen/partition_change_record.h"
#include "proto/gen/register_broker_record.h"
#include "proto/gen/register_controller_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// ---- the control batch ------------------------------------------------------------------------------------
static int append_control(struct meta *m)
{
    struct batch_builder b = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    struct meta_endpoint ce;
    meta_controller_endpoint(m->cfg, &ce);
    struct record_endpoint ep = {.name = ce.listener, .host = ce.host, .port = ce.port};
    struct record_voter self = {.id = m->id.node_id,
                                .directory_id = m->id.directory_id,
                                .endpoints = &ep,
                                .endpoint_count = 1,
                                .kraft_version_min = 0,
                                .kraft_version_max = 1};
    const uint8_t *batch;
    size_t n;
    uint32_t count = 1;
    int64_t now = reactor_wall_ms(m->r);
    int rc = batch_builder_leader_change(&b, now, m->id.node_id, &self, 1, &self, 1);
    if (!rc && m->next_offset == 0 && m->kraft_version == 1) {
        rc = batch_builder_kraft_version(&b, now, 1);
        rc = rc ? rc : batch_builder_kraft_voters(&b, now, &self, 1);
        count = 3;
    }
    o.leader_epoch = m->epoch;
    o.control = true;
    if (!rc)
        rc = batch_builder_finish(&b, &o, NULL, &batch, &n);
    if (!rc)
        rc = meta_append_batch(m, batch, n, count);
    batch_builder_destroy(&b);
    return rc;
}

static int write_quorum_state(struct meta *m)
{
    struct quorum_state q = {.version = m->kraft_version == 1,
                             .leader_id = m->id.node_id,
                             .leader_epoch = m->epoch,
                             .voted_id = -1,
                             .voter_count = 1,
                             .voters = {m->id.node_id}};
    char path[1200];
    struct sbuf text;
    sbuf_init(&text);
    snprintf(path, sizeof(path), "%s/%s-0/quorum-state", m->dir, META_TOPIC_NAME);
    int rc = quorum_state_print(&text, &q);
    if (!rc)
        rc = fio_write_file(path, text.data, text.len);
    sbuf_free(&text);
    return rc;
}

// ---- bootstrap records ------------------------------------------------------------------------------------
static void add_feature(struct recs *rs, const struct meta_supported *s)
{
    struct kp_feature_level_record r = {.name = kp_str_of(s->name), .feature_level = s->max};
    if (s->finalize)
        recs_add(rs, REC_FEATURE_LEVEL, 0, &r);
}

// metadata.version is the first, as upstream has it: it says how all that follows is to be read.
static void add_own_features(struct recs *rs)
{
    for (int others = 0; others < 2; others++)
        for (uint32_t i = 0; i < meta_supported_n; i++)
            if ((strcmp(meta_supported[i].name, "metadata.version") != 0) == (others != 0))
                add_feature(rs, &meta_supported[i]);
}

// The level at which the records finalize a feature; 0: not at all.
static int16_t level_in(const struct recs *rs, const char *name)
{
    struct arena a;
    int16_t level = 0;
    arena_init(&a, 0);
    for (uint32_t i = 0; i < rs->n; i++) {
        struct kp_feature_level_record r;
        const struct rec *x = &rs->v[i];
        if (x->n > 3 && x->p[1] == REC_FEATURE_LEVEL &&
            kp_feature_level_record_decode(&r, x->p + 3, x->n - 3, 0, &a) >= 0 &&
            kp_str_eq(r.name, kp_str_of(name)))
            level = r.feature_level;
    }
    arena_free(&a);
    return level;
}

// With eligible leader replicas, upstream pins the cluster's min.insync.replicas when it starts a new log.
static void add_min_isr(struct meta *m, struct recs *rs)
{
    char value[24];
    snprintf(value, sizeof(value), "%lld", (long long)m->base.min_insync_replicas);
    struct kp_config_record c = {.resource_type = META_RES_BROKER,
                                 .resource_name = KP_STR_LIT(""),
                                 .name = KP_STR_LIT("min.insync.replicas"),
                                 .value = kp_str_of(value)};
    recs_add(rs, REC_CONFIG, 0, &c);
}

// A directory that upstream's tool formatted says what to finalize; else we finalize what we serve.
static int append_bootstrap(struct meta *m)
{
    struct kp_begin_transaction_record begin = {.name = KP_STR_LIT("Bootstrap records")};
    struct kp_end_transaction_record end;
    struct recs rs;
    recs_init(&rs);
    kp_end_transaction_record_init(&end);
    recs_add(&rs, REC_BEGIN_TRANSACTION, 0, &begin);
    for (uint32_t i = 0; i < m->bootstrap.n && !rs.rc; i++)
        rs.rc = recs_add_raw(&rs, m->bootstrap.v[i].p, m->bootstrap.v[i].n);
    if (!m->has_bootstrap)
        add_own_features(&rs);
    if (level_in(&rs, "eligible.leader.replicas.version") > 0)
        add_min_isr(m, &rs);
    recs_add(&rs, REC_END_TRANSACTION, 0, &end);
    int rc = meta_append(m, &rs, false);
    recs_free(&rs);
    return rc;
}

// ---- registration -----------------------------------------------------------------------------------------
// What this broker says it supports: what it serves, and what a directory that it opened had finalized.
static int16_t supported_max(const struct meta *m, const struct meta_supported *s)
{
    return SL_MAX(s->max, state_feature(m, s->name));
}

static void add_controller(struct meta *m, struct recs *rs)
{
    struct kp_register_controller_record r;
    struct kp_register_controller_record_controller_feature f[8];
    struct meta_endpoint ce;
    meta_controller_endpoint(m->cfg, &ce);
    struct kp_register_controller_record_controller_endpoint ep = {.name = kp_str_of(ce.listener),
                                                                   .host = kp_str_of(ce.host),
                                                                   .port = ce.port,
                                                                   .security_protocol = ce.security_protocol};
    if (state_feature(m, "metadata.version") < MV_REGISTRATION)
        return;
    kp_register_controller_record_init(&r);
    SL_ASSERT(meta_supported_n <= SL_ARRAY_LEN(f));
    r.controller_id = m->id.node_id;
    r.incarnation_id = m->incarnation;
    r.end_points = &ep;
    r.end_points_n = 1;
    r.features = f;
    for (uint32_t i = 0; i < meta_supported_n; i++)
        if (supported_max(m, &meta_supported[i]) > 0) {
            f[r.features_n].name = kp_str_of(meta_supported[i].name);
            f[r.features_n].min_supported_version = meta_supported[i].min;
            f[r.features_n++].max_supported_version = supported_max(m, &meta_supported[i]);
        }
    recs_add(rs, REC_REGISTER_CONTROLLER, 0, &r);
}

static void add_broker(struct meta *m, struct recs *rs)
{
    struct kp_register_broker_record r;
    struct kp_register_broker_record_broker_feature f[8];
    size_t n;
    const struct cfg_listener *l = cfg_advertised(m->cfg, &n);
    int16_t version = version_register_broker(m);
    kp_register_broker_record_init(&r);
    r.end_points = arena_array(&rs->arena, n + 1, sizeof(*r.end_points));
    if (!r.end_points) {
        rs->rc = -ENOMEM;
        return;
    }
    m->broker_epoch = m->next_offset + rs->n;
    r.broker_id = m->id.node_id;
    r.incarnation_id = m->incarnation;
    r.broker_epoch = m->broker_epoch;
    r.rack = kp_str_of(cfg_str(m->cfg, CFG_BROKER_RACK));
    r.fenced = true;
    for (size_t i = 0; i < n; i++) {
        r.end_points[r.end_points_n].name = kp_str_of(l[i].name);
        r.end_points[r.end_points_n].host = kp_str_of(l[i].host);
        r.end_points[r.end_points_n].port = l[i].port;
        r.end_points[r.end_points_n++].security_protocol = (int16_t)l[i].protocol;
    }
    r.features = f;
    for (uint32_t i = 0; i < meta_supported_n; i++)
        if (supported_max(m, &meta_supported[i]) > 0) {
            f[r.features_n].name = kp_str_of(meta_supported[i].name);
            f[r.features_n].min_supported_version = meta_supported[i].min;
            f[r.features_n++].max_supported_version = supported_max(m, &meta_supported[i]);
        }
    if (version >= 3) {
        r.log_dirs = arena_array(&rs->arena, SHARD_DIRS_MAX, sizeof(*r.log_dirs));
        r.log_dirs_n = r.log_dirs ? (int32_t)dirs_online(m, r.log_dirs) : 0;
        rs->rc = r.log_dirs ? rs->rc : -ENOMEM;
    }
    recs_add(rs, REC_REGISTER_BROKER, version, &r);
}

enum { FENCE = 1, UNFENCE = -1 };

static void add_fencing(struct meta *m, struct recs *rs, int8_t fenced)
{
    struct kp_broker_registration_change_record r;
    kp_broker_registration_change_record_init(&r);
    r.broker_id = m->id.node_id;
    r.broker_epoch = m->broker_epoch;
    r.fenced = fenced;
    recs_add(rs, REC_BROKER_REGISTRATION_CHANGE, 0, &r);
}

int meta_append_fence(struct meta *m)
{
    struct recs rs;
    recs_init(&rs);
    add_fencing(m, &rs, FENCE);
    int rc = meta_append(m, &rs, true);
    recs_free(&rs);
    return rc;
}

// ---- leading ----------------------------------------------------------------------------------------------
static bool has(const int32_t *ids, uint32_t n, int32_t id)
{
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

// Ours to lead: led already, or without a leader while nobody else can have more. (A clean stop of upstream's
// leaves the
// only replica of a partition as an eligible leader outside the ISR.)
static bool may_lead(const struct meta *m, const struct meta_partition *p)
{
    int32_t self = m->id.node_id;
    if (!has(p->replicas, p->replicas_n, self))
        return false;
    if (p->leader == self)
        return true;
    return p->leader == NO_LEADER && (has(p->isr, p->isr_n, self) || p->replicas_n == 1);
}

static void add_lead(struct meta *m, struct recs *rs, const struct meta_topic *t, uint32_t i)
{
    const struct meta_partition *p = &t->partitions[i];
    struct kp_partition_change_record r;
    int32_t none;
    kp_partition_change_record_init(&r);
    r.partition_id = (int32_t)i;
    r.topic_id = t->id;
    r.leader = m->id.node_id;
    if (p->isr_n != 1 || p->isr[0] != m->id.node_id) {
        r.isr = &m->id.node_id;
        r.isr_n = 1;
    }
    if (p->elr) {
        r.eligible_leader_replicas = r.last_known_elr = &none;
        r.eligible_leader_replicas_n = r.last_known_elr_n = 0;
    }
    recs_add(rs, REC_PARTITION_CHANGE, version_partition(m), &r);
}

// Its directory is offline, or gone: nobody leads it, and it is made anew nowhere.
static void add_no_lead(struct meta *m, struct recs *rs, const struct meta_topic *t, uint32_t i)
{
    struct kp_partition_change_record r;
    kp_partition_change_record_init(&r);
    r.partition_id = (int32_t)i;
    r.topic_id = t->id;
    r.leader = NO_LEADER;
    recs_add(rs, REC_PARTITION_CHANGE, version_partition(m), &r);
    SL_LOG_EVERY(1000, SL_ERROR, "meta", "%s-%u is offline: its log directory is not here", t->name, i);
}

static void add_leads(struct meta *m, struct recs *rs, const struct meta_topic *t)
{
    for (uint32_t p = 0; p < t->partitions_n; p++) {
        if (!may_lead(m, &t->partitions[p]))
            continue;
        if (dirs_at_start(m, t, p) >= 0)
            add_lead(m, rs, t, p);
        else if (t->partitions[p].leader == m->id.node_id)
            add_no_lead(m, rs, t, p);
    }
}

static int append_start(struct meta *m)
{
    struct recs rs;
    recs_init(&rs);
    add_controller(m, &rs);
    add_broker(m, &rs);
    dirs_add_found(m, &rs);
    add_fencing(m, &rs, UNFENCE);
    for (uint32_t i = 0; i < m->image->pub.topics_n; i++)
        add_leads(m, &rs, m->image->pub.topics[i]);
    int rc = meta_append(m, &rs, false);
    recs_free(&rs);
    return rc;
}

static int begin(struct meta *m, char *err, size_t cap)
{
    bool fresh = m->next_offset == 0;
    meta_random_id(m, &m->incarnation);
    if (m->kraft_version < 0)
        m->kraft_version = fresh && !m->has_bootstrap;
    int rc = write_quorum_state(m);
    if (!rc)
        rc = append_control(m);
    if (!rc && state_feature(m, "metadata.version") == 0)
        rc = append_bootstrap(m);
    if (!rc && state_feature(m, "metadata.version") == 0)
        return meta_fail(err, cap, -EUCLEAN, "the metadata log finalizes no metadata.version");
    if (!rc && dirs_check_version(m, err, cap))
        return -EINVAL;
    if (!rc)
        rc = append_start(m);
    if (rc)
        return meta_fail(err, cap, rc, "the metadata log could not be written: %s", strerror(-rc));
    m->snapshot_ms = reactor_wall_ms(m->r); // the interval counts from here
    meta_publish_begin(m);
    meta_open_all(m);
    meta_publish_end(m);
    snapshot_maybe(m);
    return 0;
}

int meta_begin(struct meta *m, char *err, size_t cap)
{
    uint64_t t0 = io_now_ns(reactor_io(m->r));
    m->beginning = true;
    int rc = begin(m, err, cap);
    m->beginning = false;
    m->begun = !rc;
    if (rc)
        return rc;
    sl_log(SL_INFO, "meta", "registered node.id=%d broker.epoch=%lld epoch=%d topics=%u ms=%llu",
           m->id.node_id, (long long)m->broker_epoch, m->epoch, m->image->pub.topics_n,
           (unsigned long long)((io_now_ns(reactor_io(m->r)) - t0) / 1000000));
    meta_trim_later(m);
    meta_work(m);
    return 0;
}
