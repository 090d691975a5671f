// What each record does to the state: the same for records replayed at start and for those just made durable.
#include "engine/meta/meta_private.h"

#include "engine/base/varint.h"
#include "proto/gen/broker_registration_change_record.h"
#include "proto/gen/clear_elr_record.h"
#include "proto/gen/client_quota_record.h"
#include "proto/gen/config_record.h"
#include "proto/gen/feature_level_record.h"
#include "proto/gen/fence_broker_record.h"
#include "proto/gen/partition_change_record.h"
#include "proto/gen/partition_record.h"
#include "proto/gen/producer_ids_record.h"
#include "proto/gen/register_broker_record.h"
#include "proto/gen/remove_topic_record.h"
#include "proto/gen/topic_record.h"
#include "proto/gen/unfence_broker_record.h"
#include "proto/gen/unregister_broker_record.h"

#include <errno.h>
#include <stdlib.h>

struct apply {
    struct meta *m;
    int64_t offset;
    char *err;
    size_t cap;
};

static int broken(const struct apply *x, const char *what)
{
    return meta_fail(x->err, x->cap, -EUCLEAN, "the metadata log is inconsistent at offset %lld: %s",
                     (long long)x->offset, what);
}

// ---- topics -----------------------------------------------------------------------------------------------
static int on_topic(struct apply *x, const void *msg)
{
    const struct kp_topic_record *r = msg;
    if (r->name.n <= 0 || memchr(r->name.p, 0, (size_t)r->name.n) ||
        memchr(r->name.p, '/', (size_t)r->name.n))
        return broken(x, "a topic without a sound name");
    if (state_find_name(x->m, r->name.p, (size_t)r->name.n) || state_find_id(x->m, &r->topic_id))
        return broken(x, "a topic is created twice");
    return state_add_topic(x->m, r->name.p, (size_t)r->name.n, &r->topic_id) ? 0 : -ENOMEM;
}

static int on_remove_topic(struct apply *x, const void *msg)
{
    const struct kp_remove_topic_record *r = msg;
    struct topic_state *t = state_find_id(x->m, &r->topic_id);
    if (!t)
        return broken(x, "an unknown topic is removed");
    state_remove_topic(x->m, t);
    return 0;
}

static int copy_ids(struct meta *m, const int32_t *ids, int32_t n, const int32_t **out, uint32_t *out_n)
{
    int32_t *p = arena_array(&m->drafts, (size_t)SL_MAX(n, 1), sizeof(*p));
    if (!p)
        return -ENOMEM;
    if (n > 0)
        memcpy(p, ids, (size_t)n * sizeof(*p));
    *out = p;
    *out_n = (uint32_t)SL_MAX(n, 0);
    return 0;
}

// The directory of our own replica.
static void set_directory(const struct meta *m, struct meta_partition *p, const struct sl_uuid *dirs,
                          int32_t n)
{
    for (uint32_t i = 0; i < p->replicas_n && (int32_t)i < n; i++)
        if (p->replicas[i] == m->id.node_id)
            p->directory = dirs[i];
}

// Replicas elsewhere or under way are more than a snapshot could give back.
static void note_strange(struct meta *m, const int32_t *replicas, int32_t n, bool moving)
{
    m->beyond_snapshots |= moving || n > 1 || (n == 1 && replicas[0] != m->id.node_id);
}

static int on_partition(struct apply *x, const void *msg)
{
    const struct kp_partition_record *r = msg;
    struct topic_state *t = state_find_id(x->m, &r->topic_id);
    struct draft *d = t ? state_draft(x->m, t) : NULL;
    if (!t)
        return broken(x, "a partition of an unknown topic");
    struct draft_part *dp = d ? state_part(d, r->partition_id, true) : NULL;
    if (!dp)
        return d && r->partition_id < 0 ? broken(x, "a negative partition number") : -ENOMEM;
    struct meta_partition *p = &dp->p;
    dp->exists = true;
    note_strange(x->m, r->replicas, r->replicas_n,
                 r->removing_replicas_n > 0 || r->adding_replicas_n > 0 || r->leader_recovery_state != 0);
    *p = (struct meta_partition){
        .leader = r->leader, .leader_epoch = r->leader_epoch, .partition_epoch = r->partition_epoch};
    p->elr = r->eligible_leader_replicas_n > 0 || r->last_known_elr_n > 0;
    int rc = copy_ids(x->m, r->replicas, r->replicas_n, &p->replicas, &p->replicas_n);
    if (!rc)
        rc = copy_ids(x->m, r->isr, r->isr_n, &p->isr, &p->isr_n);
    set_directory(x->m, p, r->directories, r->directories_n);
    return rc;
}

// PartitionRegistration.merge: a leader that is named raises the leader epoch, even when it is the same one.
static int on_partition_change(struct apply *x, const void *msg)
{
    const struct kp_partition_change_record *r = msg;
    struct topic_state *t = state_find_id(x->m, &r->topic_id);
    struct draft *d = t ? state_draft(x->m, t) : NULL;
    if (t && !d)
        return -ENOMEM;
    struct draft_part *dp = d ? state_part(d, r->partition_id, false) : NULL;
    if (!dp)
        return broken(x, "a change of an unknown partition");
    struct meta_partition *p = &dp->p;
    int rc = 0;
    note_strange(x->m, r->replicas, r->replicas_n,
                 r->removing_replicas_n > 0 || r->adding_replicas_n > 0 || r->leader_recovery_state > 0);
    if (r->leader != NO_LEADER_CHANGE) {
        p->leader = r->leader;
        p->leader_epoch++;
    }
    p->partition_epoch++;
    if (r->replicas_n >= 0)
        rc = copy_ids(x->m, r->replicas, r->replicas_n, &p->replicas, &p->replicas_n);
    if (!rc && r->isr_n >= 0)
        rc = copy_ids(x->m, r->isr, r->isr_n, &p->isr, &p->isr_n);
    if (r->eligible_leader_replicas_n >= 0 || r->last_known_elr_n >= 0)
        p->elr = r->eligible_leader_replicas_n > 0 || r->last_known_elr_n > 0;
    if (r->directories_n >= 0)
        set_directory(x->m, p, r->directories, r->directories_n);
    return rc;
}

static int clear_elr(struct meta *m, struct topic_state *t)
{
    struct draft *d = state_draft(m, t);
    for (uint32_t i = 0; d && i < d->parts_n; i++)
        d->parts[i].p.elr = false;
    return d ? 0 : -ENOMEM;
}

static int on_clear_elr(struct apply *x, const void *msg)
{
    const struct kp_clear_elr_record *r = msg;
    struct topic_state *t, *tmp;
    int rc = 0;
    if (r->topic_name.n > 0) {
        t = state_find_name(x->m, r->topic_name.p, (size_t)r->topic_name.n);
        return t ? clear_elr(x->m, t) : broken(x, "an unknown topic is changed");
    }
    HASH_ITER(by_name, x->m->by_name, t, tmp)
    {
        rc = rc ? rc : clear_elr(x->m, t);
    }
    return rc;
}

static int on_config(struct apply *x, const void *msg)
{
    const struct kp_config_record *r = msg;
    if (r->resource_type == META_RES_TOPIC) {
        struct topic_state *t =
            state_find_name(x->m, r->resource_name.p, (size_t)SL_MAX(r->resource_name.n, 0));
        return t ? state_set_config(x->m, t, r->name, r->value) : 0;
    }
    return settings_set(x->m, r->resource_type, r->resource_name, r->name, r->value);
}

// ---- brokers ----------------------------------------------------------------------------------------------
static const char *dup_str(struct arena *a, struct kp_str s)
{
    return arena_strndup(a, s.n > 0 ? s.p : "", (size_t)SL_MAX(s.n, 0));
}

static int on_register_broker(struct apply *x, const void *msg)
{
    const struct kp_register_broker_record *r = msg;
    struct arena *a = &x->m->decode;
    struct meta_endpoint *ep = arena_array(a, (size_t)SL_MAX(r->end_points_n, 1), sizeof(*ep));
    struct meta_broker b = {.id = r->broker_id,
                            .epoch = r->broker_epoch,
                            .rack = r->rack.n < 0 ? NULL : dup_str(a, r->rack),
                            .endpoints = ep,
                            .endpoints_n = (uint32_t)SL_MAX(r->end_points_n, 0),
                            .dirs = r->log_dirs,
                            .dirs_n = (uint32_t)SL_MAX(r->log_dirs_n, 0),
                            .fenced = r->fenced};
    if (!ep || (r->rack.n >= 0 && !b.rack))
        return -ENOMEM;
    for (uint32_t i = 0; i < b.endpoints_n; i++) {
        ep[i] = (struct meta_endpoint){.listener = dup_str(a, r->end_points[i].name),
                                       .host = dup_str(a, r->end_points[i].host),
                                       .port = r->end_points[i].port,
                                       .security_protocol = r->end_points[i].security_protocol};
        if (!ep[i].listener || !ep[i].host)
            return -ENOMEM;
    }
    return state_set_broker(x->m, &b, &r->incarnation_id);
}

static int on_unregister_broker(struct apply *x, const void *msg)
{
    state_drop_broker(x->m, ((const struct kp_unregister_broker_record *)msg)->broker_id);
    return 0;
}

static int set_fenced(struct apply *x, int32_t id, bool fenced)
{
    struct broker_state *b = state_broker(x->m, id);
    if (!b)
        return broken(x, "a change of an unregistered broker");
    b->b.fenced = fenced;
    return 0;
}

static int on_fence(struct apply *x, const void *msg)
{
    return set_fenced(x, ((const struct kp_fence_broker_record *)msg)->id, true);
}

static int on_unfence(struct apply *x, const void *msg)
{
    return set_fenced(x, ((const struct kp_unfence_broker_record *)msg)->id, false);
}

static int on_registration_change(struct apply *x, const void *msg)
{
    const struct kp_broker_registration_change_record *r = msg;
    struct broker_state *b = state_broker(x->m, r->broker_id);
    if (!b)
        return broken(x, "a change of an unregistered broker");
    if (r->log_dirs_n > 0 && state_set_dirs(b, r->log_dirs, r->log_dirs_n))
        return -ENOMEM;
    return r->fenced == 0 ? 0 : set_fenced(x, r->broker_id, r->fenced > 0);
}

// ---- the rest ---------------------------------------------------------------------------------------------
// What 4.3 knows and serves, and what we serve of it.
const struct meta_supported meta_supported[] = {
    {"eligible.leader.replicas.version", 0, 0, 1, false},
    {"group.version", 0, 1, 1, true},
    {"kraft.version", 0, 1, 1, false},
    {"metadata.version", MV_MIN, MV_LATEST, MV_LATEST, true},
    {"share.version", 0, 0, 1, false},
    {"streams.version", 0, 0, 1, false},
    {"transaction.version", 0, 0, 2, false},
};
const uint32_t meta_supported_n = SL_ARRAY_LEN(meta_supported);

static int on_feature(struct apply *x, const void *msg)
{
    const struct kp_feature_level_record *r = msg;
    for (uint32_t i = 0; i < meta_supported_n && r->feature_level > 0; i++) {
        const struct meta_supported *s = &meta_supported[i];
        if ((size_t)r->name.n != strlen(s->name) || memcmp(r->name.p, s->name, (size_t)r->name.n))
            continue;
        if (r->feature_level > s->known || r->feature_level < s->min)
            return meta_fail(x->err, x->cap, -EPROTONOSUPPORT,
                             "feature %s is finalized at level %d; known are %d to %d", s->name,
                             r->feature_level, SL_MAX(s->min, (int16_t)1), s->known);
        return state_set_feature(x->m, r->name, r->feature_level);
    }
    if (r->feature_level > 0)
        return meta_fail(x->err, x->cap, -EPROTONOSUPPORT, "the finalized feature %.*s is unknown",
                         (int)SL_MAX(r->name.n, 0), r->name.p);
    return state_set_feature(x->m, r->name, 0);
}

static int on_producer_ids(struct apply *x, const void *msg)
{
    const struct kp_producer_ids_record *r = msg;
    x->m->next_pid = SL_MAX(x->m->next_pid, r->next_producer_id);
    return 0;
}

// Of a type that comes twice the last counts.
static int on_quota(struct apply *x, const void *msg)
{
    const struct kp_client_quota_record *r = msg;
    struct meta_quota q = {0};
    for (int32_t i = 0; i < r->entity_n; i++) {
        int t = 0;
        while (t < META_QUOTA_TYPES && !kp_str_eq(r->entity[i].entity_type, kp_str_of(meta_quota_types[t])))
            t++;
        if (t == META_QUOTA_TYPES)
            return 0; // of no kind that 4.3 knows
        q.has[t] = true;
        q.names[t] = r->entity[i].entity_name.n < 0 ? NULL : dup_str(&x->m->decode, r->entity[i].entity_name);
        if (r->entity[i].entity_name.n >= 0 && !q.names[t])
            return -ENOMEM;
    }
    return settings_set_quota(x->m, &q, r->key, r->value, r->remove);
}

typedef int (*apply_fn)(struct apply *x, const void *msg);

static apply_fn handler(uint32_t type)
{
    static const apply_fn table[] = {[REC_REGISTER_BROKER] = on_register_broker,
                                     [REC_UNREGISTER_BROKER] = on_unregister_broker,
                                     [REC_TOPIC] = on_topic,
                                     [REC_PARTITION] = on_partition,
                                     [REC_CONFIG] = on_config,
                                     [REC_PARTITION_CHANGE] = on_partition_change,
                                     [REC_FENCE_BROKER] = on_fence,
                                     [REC_UNFENCE_BROKER] = on_unfence,
                                     [REC_REMOVE_TOPIC] = on_remove_topic,
                                     [REC_FEATURE_LEVEL] = on_feature,
                                     [REC_PRODUCER_IDS] = on_producer_ids,
                                     [REC_BROKER_REGISTRATION_CHANGE] = on_registration_change,
                                     [REC_CLIENT_QUOTA] = on_quota,
                                     [REC_CLEAR_ELR] = on_clear_elr};
    return type < SL_ARRAY_LEN(table) ? table[type] : NULL;
}

// A registration as it came, under its id, which is its first field.
static int keep(struct apply *x, uint32_t type, uint32_t version, const uint8_t *p, size_t n)
{
    uint8_t *rec = arena_alloc(&x->m->decode, n + 3);
    if (!rec || n < 4)
        return rec ? broken(x, "a registration without an id") : -ENOMEM;
    rec[0] = 1;
    rec[1] = (uint8_t)type;
    rec[2] = (uint8_t)version;
    memcpy(rec + 3, p, n);
    return settings_keep(x->m, (uint8_t)type, p, sizeof(int32_t), rec, n + 3);
}

static int apply_one(struct apply *x, uint32_t type, uint32_t version, const uint8_t *p, size_t n)
{
    const struct kp_message *k = type <= INT16_MAX ? kp_message_find(KP_KIND_METADATA, (int16_t)type) : NULL;
    if (!k || version > (uint32_t)k->max || version < (uint32_t)k->min)
        return meta_fail(x->err, x->cap, -EPROTONOSUPPORT,
                         "unknown metadata record type %u version %u at offset %lld", type, version,
                         (long long)x->offset);
    apply_fn fn = handler(type);
    if (!fn) { // ACLs, credentials, tokens: kept in the log, without effect here
        x->m->beyond_snapshots |= type != REC_NO_OP && type != REC_REGISTER_CONTROLLER;
        return type == REC_REGISTER_CONTROLLER ? keep(x, type, version, p, n) : 0;
    }
    int rc = type == REC_REGISTER_BROKER ? keep(x, type, version, p, n) : 0;
    if (rc)
        return rc;
    arena_reset(&x->m->decode);
    void *msg = arena_alloc(&x->m->decode, k->struct_size);
    if (!msg)
        return -ENOMEM;
    int64_t got = k->decode(msg, p, n, (int16_t)version, &x->m->decode);
    if (got < 0)
        return got == -ENOMEM ? -ENOMEM : broken(x, "a record cannot be decoded");
    return fn(x, msg);
}

// ---- transactions -----------------------------------------------------------------------------------------
static int end_txn(struct apply *x, bool commit)
{
    struct meta *m = x->m;
    struct recs held = m->txn_recs;
    int rc = 0;
    if (!m->in_txn)
        return broken(x, "the end of no transaction");
    m->in_txn = false;
    recs_init(&m->txn_recs);
    for (uint32_t i = 0; i < held.n && commit && !rc; i++)
        rc = meta_apply(m, x->offset, held.v[i].p, held.v[i].n, x->err, x->cap);
    recs_free(&held);
    return rc;
}

int meta_apply(struct meta *m, int64_t offset, const uint8_t *p, size_t n, char *err, size_t cap)
{
    struct apply x = {.m = m, .offset = offset, .err = err, .cap = cap};
    const uint8_t *at = p, *end = p + n;
    uint32_t frame, type, version;
    if (sl_uvarint32_get(&at, end, &frame) || sl_uvarint32_get(&at, end, &type) ||
        sl_uvarint32_get(&at, end, &version))
        return broken(&x, "a record without a header");
    if (frame != 1)
        return meta_fail(err, cap, -EPROTONOSUPPORT, "unknown metadata frame version %u at offset %lld",
                         frame, (long long)offset);
    switch (type) {
    case REC_BEGIN_TRANSACTION:
        if (m->in_txn)
            return broken(&x, "a transaction within a transaction");
        m->in_txn = true;
        return 0;
    case REC_END_TRANSACTION:
        return end_txn(&x, true);
    case REC_ABORT_TRANSACTION:
        return end_txn(&x, false);
    default:
        if (m->in_txn)
            return recs_add_raw(&m->txn_recs, p, n);
        int rc = apply_one(&x, type, version, at, (size_t)(end - at));
        if (rc == -ENOMEM)
            meta_fail(err, cap, rc, "out of memory for metadata");
        return rc;
    }
}
