// The records of a group of the consumer protocol, in Kafka's formats; values have version 0.
#include "engine/coord/modern/modern_private.h"

#include "proto/gen/consumer_group_current_member_assignment_key.h"
#include "proto/gen/consumer_group_current_member_assignment_value.h"
#include "proto/gen/consumer_group_member_metadata_key.h"
#include "proto/gen/consumer_group_member_metadata_value.h"
#include "proto/gen/consumer_group_metadata_key.h"
#include "proto/gen/consumer_group_metadata_value.h"
#include "proto/gen/consumer_group_partition_metadata_key.h"
#include "proto/gen/consumer_group_regular_expression_key.h"
#include "proto/gen/consumer_group_regular_expression_value.h"
#include "proto/gen/consumer_group_target_assignment_member_key.h"
#include "proto/gen/consumer_group_target_assignment_member_value.h"
#include "proto/gen/consumer_group_target_assignment_metadata_key.h"
#include "proto/gen/consumer_group_target_assignment_metadata_value.h"

typedef struct kp_consumer_group_current_member_assignment_value_topic_partitions current_topic;
typedef struct kp_consumer_group_target_assignment_member_value_topic_partition target_topic;

// Marks are set when the records have been replayed: until then the group may not exist.
static void emit(struct cg_op *op, int16_t type, const void *key, const void *value)
{
    if (coord_emit(op->gs->x, NULL, type, key, 0, value))
        op->error = op->error ? op->error : KERR_UNKNOWN_SERVER_ERROR;
}

static void *scratch(struct cg_op *op, size_t n)
{
    void *p = arena_zalloc(&op->a, n);
    if (!p)
        sl_panic("coordinator: out of memory for records of %.*s", op->group.n, op->group.p);
    return p;
}

// ---- members ---------------------------------------------------------------------------------------------------------
void cg_emit_member(struct cg_op *op, const struct cg_draft *m)
{
    struct kp_consumer_group_member_metadata_key key = {.group_id = op->group, .member_id = m->id};
    struct kp_consumer_group_member_metadata_value v;
    struct kp_consumer_group_member_metadata_value_classic_member_metadata classic;
    kp_consumer_group_member_metadata_value_init(&v);
    v.instance_id = m->meta.instance_id;
    v.rack_id = m->meta.rack_id;
    v.client_id = m->meta.client_id;
    v.client_host = m->meta.client_host;
    v.subscribed_topic_names = m->meta.topics;
    v.subscribed_topic_names_n = (int32_t)m->meta.topics_n;
    v.subscribed_topic_regex = m->meta.regex;
    v.rebalance_timeout_ms = m->meta.rebalance_ms;
    v.server_assignor = m->meta.assignor;
    v.classic_member_metadata = NULL;
    if (m->meta.classic) {
        const struct cg_classic *c = m->meta.classic;
        kp_consumer_group_member_metadata_value_classic_member_metadata_init(&classic);
        classic.session_timeout_ms = c->session_ms;
        classic.supported_protocols = scratch(op, c->protocols_n * sizeof(*classic.supported_protocols));
        classic.supported_protocols_n = (int32_t)c->protocols_n;
        for (uint32_t i = 0; i < c->protocols_n; i++) {
            classic.supported_protocols[i].name = c->protocols[i].name;
            classic.supported_protocols[i].metadata = c->protocols[i].metadata;
        }
        v.classic_member_metadata = &classic;
    }
    emit(op, GREC_CONSUMER_MEMBER_METADATA, &key, &v);
}

void cg_emit_member_end(struct cg_op *op, struct kp_str id)
{
    struct kp_consumer_group_member_metadata_key key = {.group_id = op->group, .member_id = id};
    emit(op, GREC_CONSUMER_MEMBER_METADATA, &key, NULL);
}

static current_topic *current_topics(struct cg_op *op, const struct cg_parts *s, int32_t *n)
{
    current_topic *v = scratch(op, s->n * sizeof(*v));
    uint32_t from, to = 0;
    for (*n = 0; cg_parts_next_topic(s, &from, &to); (*n)++) {
        int32_t *parts = scratch(op, (to - from) * sizeof(*parts));
        int32_t *epochs = scratch(op, (to - from) * sizeof(*epochs));
        for (uint32_t i = from; i < to; i++) {
            parts[i - from] = s->v[i].partition;
            epochs[i - from] = s->v[i].epoch;
        }
        v[*n] = (current_topic){.topic_id = s->v[from].topic,
                                .partitions = parts,
                                .partitions_n = (int32_t)(to - from),
                                .assignment_epochs = epochs,
                                .assignment_epochs_n = (int32_t)(to - from)};
    }
    return v;
}

void cg_emit_current(struct cg_op *op, struct kp_str id, const struct cg_progress *at)
{
    struct kp_consumer_group_current_member_assignment_key key = {.group_id = op->group, .member_id = id};
    struct kp_consumer_group_current_member_assignment_value v;
    kp_consumer_group_current_member_assignment_value_init(&v);
    v.member_epoch = at->epoch;
    v.previous_member_epoch = at->previous_epoch;
    v.state = (int8_t)at->state;
    v.assigned_partitions = current_topics(op, &at->assigned, &v.assigned_partitions_n);
    v.partitions_pending_revocation = current_topics(op, &at->revoking, &v.partitions_pending_revocation_n);
    emit(op, GREC_CONSUMER_CURRENT_MEMBER, &key, &v);
}

void cg_emit_current_end(struct cg_op *op, struct kp_str id)
{
    struct kp_consumer_group_current_member_assignment_key key = {.group_id = op->group, .member_id = id};
    emit(op, GREC_CONSUMER_CURRENT_MEMBER, &key, NULL);
}

void cg_emit_target(struct cg_op *op, struct kp_str id, const struct cg_parts *target)
{
    struct kp_consumer_group_target_assignment_member_key key = {.group_id = op->group, .member_id = id};
    struct kp_consumer_group_target_assignment_member_value v;
    uint32_t from, to = 0;
    kp_consumer_group_target_assignment_member_value_init(&v);
    v.topic_partitions = scratch(op, target->n * sizeof(*v.topic_partitions));
    while (cg_parts_next_topic(target, &from, &to)) {
        target_topic *t = &v.topic_partitions[v.topic_partitions_n++];
        t->topic_id = target->v[from].topic;
        t->partitions_n = (int32_t)(to - from);
        t->partitions = scratch(op, (to - from) * sizeof(*t->partitions));
        for (uint32_t i = from; i < to; i++)
            t->partitions[i - from] = target->v[i].partition;
    }
    emit(op, GREC_CONSUMER_TARGET_MEMBER, &key, &v);
}

void cg_emit_target_end(struct cg_op *op, struct kp_str id)
{
    struct kp_consumer_group_target_assignment_member_key key = {.group_id = op->group, .member_id = id};
    emit(op, GREC_CONSUMER_TARGET_MEMBER, &key, NULL);
}

void cg_emit_gone(struct cg_op *op, struct kp_str id)
{
    cg_emit_current_end(op, id);
    cg_emit_target_end(op, id);
    cg_emit_member_end(op, id);
}

// ---- the group -------------------------------------------------------------------------------------------------------
void cg_emit_epoch(struct cg_op *op, int32_t epoch, uint64_t hash)
{
    struct kp_consumer_group_metadata_key key = {.group_id = op->group};
    struct kp_consumer_group_metadata_value v;
    kp_consumer_group_metadata_value_init(&v);
    v.epoch = epoch;
    v.metadata_hash = (int64_t)hash;
    emit(op, GREC_CONSUMER_METADATA, &key, &v);
}

void cg_emit_target_epoch(struct cg_op *op, int32_t epoch, int64_t ms)
{
    struct kp_consumer_group_target_assignment_metadata_key key = {.group_id = op->group};
    struct kp_consumer_group_target_assignment_metadata_value v;
    kp_consumer_group_target_assignment_metadata_value_init(&v);
    v.assignment_epoch = epoch;
    v.assignment_timestamp = ms;
    emit(op, GREC_CONSUMER_TARGET_METADATA, &key, &v);
}

void cg_emit_old_metadata_end(struct cg_op *op)
{
    struct kp_consumer_group_partition_metadata_key key = {.group_id = op->group};
    emit(op, GREC_CONSUMER_PARTITION_METADATA, &key, NULL);
}

void cg_emit_regex(struct cg_op *op, struct kp_str regex, const struct kp_str *topics, uint32_t n,
                   int64_t version, int64_t ms)
{
    struct kp_consumer_group_regular_expression_key key = {.group_id = op->group,
                                                           .regular_expression = regex};
    struct kp_consumer_group_regular_expression_value v;
    kp_consumer_group_regular_expression_value_init(&v);
    v.topics = (struct kp_str *)(uintptr_t)topics; // only read
    v.topics_n = (int32_t)n;
    v.version = version;
    v.timestamp = ms;
    emit(op, GREC_CONSUMER_REGEX, &key, &v);
}

void cg_emit_regex_end(struct cg_op *op, struct kp_str regex)
{
    struct kp_consumer_group_regular_expression_key key = {.group_id = op->group,
                                                           .regular_expression = regex};
    emit(op, GREC_CONSUMER_REGEX, &key, NULL);
}

// The order is upstream's, and that in which a replay can follow: what members hold, what they are meant to hold, the
// members, and last the group itself.
void cg_tombstones(struct groups *gs, struct group *g)
{
    struct cg *c = cg_of(g);
    struct cg_op op = {.gs = gs, .group = group_id(g), .cg = c};
    struct kp_consumer_group_target_assignment_metadata_key target = {.group_id = op.group};
    struct kp_consumer_group_metadata_key key = {.group_id = op.group};
    struct cg_member *m, *mt;
    struct cg_pattern *p, *pt;
    uint32_t first = gs->x->sink.n;
    HASH_ITER(hh, c->members, m, mt)
    if (m->joined)
        cg_emit_current_end(&op, kp_str_of(m->id));
    HASH_ITER(hh, c->members, m, mt)
    cg_emit_target_end(&op, kp_str_of(m->id));
    emit(&op, GREC_CONSUMER_TARGET_METADATA, &target, NULL);
    HASH_ITER(hh, c->members, m, mt)
    if (m->joined)
        cg_emit_member_end(&op, kp_str_of(m->id));
    HASH_ITER(hh, c->patterns, p, pt)
    if (p->resolved)
        cg_emit_regex_end(&op, kp_str_of(p->text));
    cg_emit_old_metadata_end(&op);
    emit(&op, GREC_CONSUMER_METADATA, &key, NULL);
    for (uint32_t i = first; i < gs->x->sink.n; i++)
        gs->x->sink.v[i].mark = &g->mark;
    SL_ASSERT(!op.error);
}
