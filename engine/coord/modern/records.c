// Replay of the records of the consumer protocol: of a log that loads, and of what an operation just emitted.
#include "engine/coord/modern/modern_private.h"

#include "engine/base/bytes.h"
#include "proto/gen/consumer_group_current_member_assignment_key.h"
#include "proto/gen/consumer_group_current_member_assignment_value.h"
#include "proto/gen/consumer_group_member_metadata_key.h"
#include "proto/gen/consumer_group_member_metadata_value.h"
#include "proto/gen/consumer_group_metadata_key.h"
#include "proto/gen/consumer_group_metadata_value.h"
#include "proto/gen/consumer_group_partition_metadata_key.h"
#include "proto/gen/consumer_group_partition_metadata_value.h"
#include "proto/gen/consumer_group_regular_expression_key.h"
#include "proto/gen/consumer_group_regular_expression_value.h"
#include "proto/gen/consumer_group_target_assignment_member_key.h"
#include "proto/gen/consumer_group_target_assignment_member_value.h"
#include "proto/gen/consumer_group_target_assignment_metadata_key.h"
#include "proto/gen/consumer_group_target_assignment_metadata_value.h"

#include <errno.h>

typedef struct kp_consumer_group_current_member_assignment_value_topic_partitions current_topic;

// A record as it is applied. group: NULL when there is no such consumer group and the record removes something.
struct applied {
    struct groups *gs;
    struct arena a;
    bool has_value;
};

static bool read_record(struct applied *x, const struct coord_record *r, int16_t type, void *key, void *value)
{
    return group_record_decode(r, type, key, value, &x->has_value, &x->a) == 0;
}

// The consumer group that a record speaks of. One that only holds offsets becomes one; a group of another kind is in the
// way, and its records make no sense: upstream refuses to load such a log, here the record is passed over.
static struct cg *group_for(struct applied *x, struct kp_str id)
{
    if (!group_text_ok(id))
        return NULL;
    struct group *g = x->has_value ? groups_make(x->gs, id) : groups_find(x->gs, id);
    if (!g)
        return NULL;
    if (!g->type && x->has_value)
        return cg_new(x->gs, g);
    return cg_of(g);
}

// Times of a log that no broker of ours wrote; sums with them must not overflow.
static int64_t sane_time(int64_t ms)
{
    return ms < 0 || ms > INT64_MAX / 2 ? 0 : ms;
}

// ---- the group -------------------------------------------------------------------------------------------------------
static int apply_metadata(struct applied *x, const struct coord_record *r)
{
    struct kp_consumer_group_metadata_key key;
    struct kp_consumer_group_metadata_value v;
    if (!read_record(x, r, GREC_CONSUMER_METADATA, &key, &v))
        return -EBADMSG;
    struct cg *c = group_for(x, key.group_id);
    if (!c)
        return 0;
    if (x->has_value) {
        c->epoch = v.epoch;
        c->hash = (uint64_t)v.metadata_hash;
        return 0;
    }
    struct group *g = c->group;
    group_reset(x->gs, g, NULL, NULL);
    groups_collect(x->gs, g);
    return 0;
}

static int apply_old_metadata(struct applied *x, const struct coord_record *r)
{
    struct kp_consumer_group_partition_metadata_key key;
    struct kp_consumer_group_partition_metadata_value v;
    if (!read_record(x, r, GREC_CONSUMER_PARTITION_METADATA, &key, &v))
        return -EBADMSG;
    struct cg *c = group_for(x, key.group_id);
    if (c)
        c->old_metadata = x->has_value;
    return 0;
}

static int apply_target_metadata(struct applied *x, const struct coord_record *r)
{
    struct kp_consumer_group_target_assignment_metadata_key key;
    struct kp_consumer_group_target_assignment_metadata_value v;
    if (!read_record(x, r, GREC_CONSUMER_TARGET_METADATA, &key, &v))
        return -EBADMSG;
    struct cg *c = group_for(x, key.group_id);
    if (!c)
        return 0;
    c->target_epoch = x->has_value ? v.assignment_epoch : CG_LEAVE_EPOCH;
    c->target_ms = x->has_value ? sane_time(v.assignment_timestamp) : 0;
    return 0;
}

static int apply_regex(struct applied *x, const struct coord_record *r)
{
    struct kp_consumer_group_regular_expression_key key;
    struct kp_consumer_group_regular_expression_value v;
    if (!read_record(x, r, GREC_CONSUMER_REGEX, &key, &v))
        return -EBADMSG;
    struct cg *c = group_for(x, key.group_id);
    if (!group_text_ok(key.regular_expression))
        return 0;
    if (c && x->has_value && key.regular_expression.n > 0)
        cg_pattern_resolve(c, key.regular_expression, v.topics, (uint32_t)SL_MAX(v.topics_n, 0), v.version,
                           sane_time(v.timestamp));
    else if (c)
        cg_pattern_forget(c, key.regular_expression);
    return 0;
}

// ---- members ---------------------------------------------------------------------------------------------------------
static struct cg_classic *
classic_of_record(struct applied *x,
                  const struct kp_consumer_group_member_metadata_value_classic_member_metadata *in)
{
    struct cg_classic *out = arena_zalloc(&x->a, sizeof(*out));
    if (!out)
        return NULL;
    out->session_ms = in->session_timeout_ms;
    out->protocols =
        arena_array(&x->a, (size_t)SL_MAX(in->supported_protocols_n, 0), sizeof(*out->protocols));
    for (int32_t i = 0; out->protocols && i < in->supported_protocols_n; i++)
        out->protocols[out->protocols_n++] = (struct cg_classic_protocol){
            in->supported_protocols[i].name, in->supported_protocols[i].metadata};
    return out;
}

static int apply_member(struct applied *x, const struct coord_record *r)
{
    struct kp_consumer_group_member_metadata_key key;
    struct kp_consumer_group_member_metadata_value v;
    if (!read_record(x, r, GREC_CONSUMER_MEMBER_METADATA, &key, &v))
        return -EBADMSG;
    struct cg *c = group_for(x, key.group_id);
    if (!c || !group_text_ok(key.member_id))
        return 0;
    if (!x->has_value) {
        struct cg_member *m = cg_find(c, key.member_id);
        if (m)
            cg_remove(c, m);
        return 0;
    }
    if (!group_text_ok(v.instance_id) || !group_text_ok(v.subscribed_topic_regex) ||
        !group_texts_ok(v.subscribed_topic_names, v.subscribed_topic_names_n))
        return 0;
    struct cg_meta meta = {
        .instance_id = v.instance_id,
        .rack_id = v.rack_id,
        .client_id = v.client_id,
        .client_host = v.client_host,
        .regex = v.subscribed_topic_regex,
        .assignor = v.server_assignor,
        .topics = v.subscribed_topic_names,
        .topics_n = cg_str_sort(v.subscribed_topic_names, (uint32_t)SL_MAX(v.subscribed_topic_names_n, 0)),
        .rebalance_ms = v.rebalance_timeout_ms};
    if (v.classic_member_metadata && v.classic_member_metadata->supported_protocols_n > 0)
        meta.classic = classic_of_record(x, v.classic_member_metadata);
    cg_set_meta(c, cg_entry(c, key.member_id), &meta);
    return 0;
}

static int read_topics(struct applied *x, const current_topic *v, int32_t n, int32_t epoch,
                       struct cg_parts *out)
{
    uint32_t total = 0;
    for (int32_t i = 0; i < n; i++)
        total += (uint32_t)SL_MAX(v[i].partitions_n, 0);
    if (cg_parts_reserve(out, total, &x->a))
        return -ENOMEM;
    for (int32_t i = 0; i < n; i++)
        for (int32_t k = 0; k < v[i].partitions_n; k++)
            cg_parts_push(out, &v[i].topic_id, v[i].partitions[k],
                          v[i].assignment_epochs_n == v[i].partitions_n ? v[i].assignment_epochs[k]
                                                                        : SL_MAX(epoch, 0));
    cg_parts_sort(out);
    return 0;
}

static enum cg_member_state state_of(int8_t state)
{
    return state >= CG_MEMBER_STABLE && state <= CG_MEMBER_UNRELEASED ? (enum cg_member_state)state
                                                                      : CG_MEMBER_UNKNOWN;
}

static int apply_current(struct applied *x, const struct coord_record *r)
{
    struct kp_consumer_group_current_member_assignment_key key;
    struct kp_consumer_group_current_member_assignment_value v;
    if (!read_record(x, r, GREC_CONSUMER_CURRENT_MEMBER, &key, &v))
        return -EBADMSG;
    struct cg *c = group_for(x, key.group_id);
    struct cg_progress at = {.epoch = CG_LEAVE_EPOCH, .previous_epoch = CG_LEAVE_EPOCH};
    if (!c || !group_text_ok(key.member_id))
        return 0;
    if (!x->has_value) {
        struct cg_member *m = cg_find(c, key.member_id);
        if (m)
            cg_set_progress(c, m, &at);
        return 0;
    }
    at.epoch = v.member_epoch;
    at.previous_epoch = v.previous_member_epoch;
    at.state = state_of(v.state);
    if (read_topics(x, v.assigned_partitions, v.assigned_partitions_n, at.epoch, &at.assigned) ||
        read_topics(x, v.partitions_pending_revocation, v.partitions_pending_revocation_n, at.epoch,
                    &at.revoking) ||
        cg_parts_subtract(&at.revoking, &at.assigned, &at.revoking, &x->a))
        return -EBADMSG;
    cg_set_progress(c, cg_entry(c, key.member_id), &at);
    return 0;
}

static int apply_target(struct applied *x, const struct coord_record *r)
{
    struct kp_consumer_group_target_assignment_member_key key;
    struct kp_consumer_group_target_assignment_member_value v;
    if (!read_record(x, r, GREC_CONSUMER_TARGET_MEMBER, &key, &v))
        return -EBADMSG;
    struct cg *c = group_for(x, key.group_id);
    struct cg_parts target;
    if (!c || !group_text_ok(key.member_id))
        return 0;
    if (!x->has_value) {
        cg_set_target(c, cg_entry(c, key.member_id), NULL); // an entry made for this goes with it
        return 0;
    }
    uint32_t total = 0;
    for (int32_t i = 0; i < v.topic_partitions_n; i++)
        total += (uint32_t)SL_MAX(v.topic_partitions[i].partitions_n, 0);
    if (cg_parts_reserve(&target, total, &x->a))
        return -EBADMSG;
    for (int32_t i = 0; i < v.topic_partitions_n; i++)
        for (int32_t k = 0; k < v.topic_partitions[i].partitions_n; k++)
            cg_parts_push(&target, &v.topic_partitions[i].topic_id, v.topic_partitions[i].partitions[k], 0);
    cg_parts_sort(&target);
    cg_set_target(c, cg_entry(c, key.member_id), &target);
    return 0;
}

static const struct {
    int16_t type;
    int (*apply)(struct applied *x, const struct coord_record *r);
} TYPES[] = {
    {GREC_CONSUMER_METADATA, apply_metadata},
    {GREC_CONSUMER_PARTITION_METADATA, apply_old_metadata},
    {GREC_CONSUMER_MEMBER_METADATA, apply_member},
    {GREC_CONSUMER_TARGET_METADATA, apply_target_metadata},
    {GREC_CONSUMER_TARGET_MEMBER, apply_target},
    {GREC_CONSUMER_CURRENT_MEMBER, apply_current},
    {GREC_CONSUMER_REGEX, apply_regex},
};

int cg_replay(struct groups *gs, const struct coord_record *r)
{
    struct applied x = {.gs = gs};
    int rc = 0;
    SL_ASSERT(r->key.n >= 2);
    arena_init(&x.a, 0);
    for (size_t i = 0; i < SL_ARRAY_LEN(TYPES); i++)
        if (TYPES[i].type == (int16_t)be16_load(r->key.p))
            rc = TYPES[i].apply(&x, r);
    arena_free(&x.a);
    return rc;
}
