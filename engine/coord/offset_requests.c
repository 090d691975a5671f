// OffsetCommit, OffsetFetch and OffsetDelete, as upstream's OffsetMetadataManager answers them.
#include "engine/coord/group.h"

#include "proto/gen/offset_commit_key.h"
#include "proto/gen/offset_commit_request.h"
#include "proto/gen/offset_commit_response.h"
#include "proto/gen/offset_commit_value.h"
#include "proto/gen/offset_delete_request.h"
#include "proto/gen/offset_delete_response.h"
#include "proto/gen/offset_fetch_request.h"
#include "proto/gen/offset_fetch_response.h"

typedef struct kp_offset_commit_request_offset_commit_request_topic commit_topic;
typedef struct kp_offset_commit_request_offset_commit_request_partition commit_part;
typedef struct kp_offset_fetch_request_offset_fetch_request_group fetch_group;
typedef struct kp_offset_fetch_request_offset_fetch_request_topics fetch_topic;
typedef struct kp_offset_fetch_response_offset_fetch_response_group fetched_group;
typedef struct kp_offset_fetch_response_offset_fetch_response_topics fetched_topic;
typedef struct kp_offset_fetch_response_offset_fetch_response_partitions fetched_part;

// Upstream counts Java chars: UTF-16 units, of which a sequence of four bytes makes two.
static int32_t java_length(struct kp_str s)
{
    int32_t n = 0;
    for (int32_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        n += (c & 0xc0) != 0x80;
        n += c >= 0xf0;
    }
    return n;
}

// ---- commit ----------------------------------------------------------------------------------------------------------------
// The group of a commit, made if a consumer outside of any group commits. NULL: q was answered.
static struct group *commit_group(struct groups *gs, struct coord_req *q, const struct group_claim *c)
{
    struct group *g = groups_find(gs, q->group);
    int16_t e = KERR_NONE;
    if (!g && c->epoch >= 0)
        e = q->version >= 9 ? KERR_GROUP_ID_NOT_FOUND : KERR_ILLEGAL_GENERATION;
    else if (groups_full(gs))
        e = KERR_COORDINATOR_NOT_AVAILABLE;
    else if (!g)
        g = groups_make(gs, q->group);
    if (!e)
        e = group_rules(g)->check_commit(gs, g, c);
    if (!e)
        return g;
    coord_answer_error(gs->x, q, e);
    if (g)
        groups_collect(gs, g);
    return NULL;
}

static struct offset_value value_of(const struct groups *gs, const struct kp_offset_commit_request *m,
                                    const commit_topic *t, const commit_part *p)
{
    return (struct offset_value){
        .offset = p->committed_offset,
        .commit_ms = gs->x->wall_ms,
        .expire_ms = m->retention_time_ms == -1 ? -1 : gs->x->wall_ms + m->retention_time_ms,
        .leader_epoch = p->committed_leader_epoch,
        .topic_id = t->topic_id,
    };
}

static int emit_commit(struct groups *gs, struct group *g, struct kp_str topic, int32_t partition,
                       const struct offset_value *v, struct kp_str metadata)
{
    struct kp_offset_commit_key key = {.group = group_id(g), .topic = topic, .partition = partition};
    struct kp_offset_commit_value value;
    kp_offset_commit_value_init(&value);
    value.offset = v->offset;
    value.leader_epoch = v->leader_epoch;
    value.metadata = metadata.n < 0 ? KP_STR_LIT("") : metadata;
    value.commit_timestamp = v->commit_ms;
    value.expire_timestamp = v->expire_ms;
    value.topic_id = v->topic_id;
    // An expiry of its own is in version 1 only.
    return coord_emit(gs->x, &g->mark, GREC_OFFSET_COMMIT, &key, v->expire_ms == -1 ? 4 : 1, &value);
}

// First all checks and records, so that nothing has changed if they cannot be written.
static int16_t commit_topics(struct groups *gs, struct group *g, struct coord_req *q,
                             const struct group_claim *c, struct kp_offset_commit_response *out)
{
    const struct kp_offset_commit_request *m = q->in;
    for (int32_t i = 0; i < m->topics_n; i++) {
        const commit_topic *t = &m->topics[i];
        struct kp_offset_commit_response_offset_commit_response_topic *o = &out->topics[i];
        o->name = t->name;
        o->topic_id = t->topic_id;
        o->partitions_n = t->partitions_n;
        o->partitions = req_zalloc(q, (size_t)t->partitions_n * sizeof(*o->partitions));
        for (int32_t k = 0; k < t->partitions_n; k++) {
            const commit_part *p = &t->partitions[k];
            o->partitions[k].partition_index = p->partition_index;
            if (java_length(p->committed_metadata) > gs->env->set.metadata_max) {
                o->partitions[k].error_code = KERR_OFFSET_METADATA_TOO_LARGE;
                continue;
            }
            int16_t e =
                group_rules(g)->check_commit_part(gs, g, c, &t->topic_id, t->name, p->partition_index);
            if (e)
                return e;
            struct offset_value v = value_of(gs, m, t, p);
            if (emit_commit(gs, g, t->name, p->partition_index, &v, p->committed_metadata))
                return KERR_UNKNOWN_SERVER_ERROR;
        }
    }
    return coord_fits(gs->x) ? KERR_NONE : KERR_UNKNOWN_SERVER_ERROR;
}

static void commit_apply(struct groups *gs, struct group *g, const struct coord_req *q)
{
    const struct kp_offset_commit_request *m = q->in;
    const struct kp_offset_commit_response *out = q->out;
    for (int32_t i = 0; i < m->topics_n; i++)
        for (int32_t k = 0; k < m->topics[i].partitions_n; k++) {
            const commit_part *p = &m->topics[i].partitions[k];
            if (out->topics[i].partitions[k].error_code)
                continue;
            struct offset_value v = value_of(gs, m, &m->topics[i], p);
            offsets_put(gs, g, m->topics[i].name, p->partition_index, -1, &v, p->committed_metadata);
        }
}

void groups_commit(struct groups *gs, struct coord_req *q)
{
    const struct kp_offset_commit_request *m = q->in;
    struct group_claim c = {.member_id = m->member_id,
                            .instance_id = m->group_instance_id,
                            .epoch = m->generation_id_or_member_epoch,
                            .version = q->version};
    struct group *g = commit_group(gs, q, &c);
    if (!g)
        return;
    struct kp_offset_commit_response *out = req_zalloc(q, sizeof(*out));
    kp_offset_commit_response_init(out);
    out->topics_n = m->topics_n;
    out->topics = req_zalloc(q, (size_t)SL_MAX(m->topics_n, 0) * sizeof(*out->topics));
    int16_t e = commit_topics(gs, g, q, &c, out);
    if (e) {
        coord_emit_undo(gs->x);
        coord_answer_error(gs->x, q, e);
        groups_collect(gs, g);
        return;
    }
    q->out = out;
    commit_apply(gs, g, q);
    coord_answer(gs->x, q);
    groups_collect(gs, g); // nothing was committed, and it was made for this
}

// ---- fetch -----------------------------------------------------------------------------------------------------------------
static void fetched(struct coord_req *q, fetched_part *o, int32_t partition, const struct offset_part *p)
{
    *o = (fetched_part){.partition_index = partition,
                        .committed_offset = -1,
                        .committed_leader_epoch = -1,
                        .metadata = KP_STR_LIT("")};
    if (p && p->pending && q->require_stable) {
        o->error_code = KERR_UNSTABLE_OFFSET_COMMIT;
    } else if (p && p->set) {
        o->committed_offset = p->v.offset;
        o->committed_leader_epoch = p->v.leader_epoch;
        o->metadata = req_str(q, (struct kp_str){p->v.metadata, (int32_t)p->v.metadata_len});
    }
}

static void fetch_asked(struct coord_req *q, const struct group *g, const fetch_group *in, fetched_group *out)
{
    out->topics_n = in->topics_n;
    out->topics = req_zalloc(q, (size_t)in->topics_n * sizeof(*out->topics));
    for (int32_t i = 0; i < in->topics_n; i++) {
        const fetch_topic *t = &in->topics[i];
        fetched_topic *o = &out->topics[i];
        o->name = t->name;
        o->topic_id = t->topic_id;
        o->partitions_n = SL_MAX(t->partition_indexes_n, 0);
        o->partitions = req_zalloc(q, (size_t)o->partitions_n * sizeof(*o->partitions));
        for (int32_t k = 0; k < o->partitions_n; k++) {
            int32_t part = t->partition_indexes[k];
            fetched(q, &o->partitions[k], part, g ? offsets_find(&g->offsets, t->name, part) : NULL);
        }
    }
}

static void fetch_all(struct coord_req *q, const struct group *g, fetched_group *out)
{
    struct offset_topic *t, *tmp;
    out->topics = req_zalloc(q, HASH_COUNT(g->offsets.topics) * sizeof(*out->topics));
    HASH_ITER(hh, g->offsets.topics, t, tmp)
    {
        fetched_topic *o = &out->topics[out->topics_n];
        o->name = req_str(q, (struct kp_str){t->name, (int32_t)t->name_len});
        o->partitions = req_zalloc(q, t->n * sizeof(*o->partitions));
        for (uint32_t i = 0; i < t->n; i++)
            if (t->parts[i].set)
                fetched(q, &o->partitions[o->partitions_n++], t->parts[i].partition, &t->parts[i]);
        out->topics_n += o->partitions_n > 0;
    }
}

void groups_fetch(struct groups *gs, struct coord_req *q)
{
    const fetch_group *in = q->in;
    struct group_claim c = {.member_id = in->member_id,
                            .instance_id = KP_STR_NULL,
                            .epoch = in->member_epoch,
                            .version = q->version};
    struct group *g = groups_find(gs, q->group);
    int16_t e = g ? group_rules(g)->check_fetch(gs, g, &c) : KERR_NONE;
    if (e) {
        coord_answer_error(gs->x, q, e);
        return;
    }
    fetched_group *out = req_zalloc(q, sizeof(*out));
    kp_offset_fetch_response_offset_fetch_response_group_init(out);
    out->group_id = q->group;
    if (in->topics_n >= 0)
        fetch_asked(q, g, in, out);
    else if (g)
        fetch_all(q, g, out);
    q->out = out;
    coord_answer(gs->x, q);
}

// ---- delete ------------------------------------------------------------------------------------------------------------------
static void delete_topic(struct groups *gs, struct group *g, struct coord_req *q,
                         const struct kp_offset_delete_request_offset_delete_request_topic *t,
                         struct kp_offset_delete_response_offset_delete_response_topic *o)
{
    bool subscribed = group_rules(g)->is_subscribed(g, t->name);
    o->name = t->name;
    o->partitions_n = SL_MAX(t->partitions_n, 0);
    o->partitions = req_zalloc(q, (size_t)o->partitions_n * sizeof(*o->partitions));
    for (int32_t k = 0; k < o->partitions_n; k++) {
        int32_t part = t->partitions[k].partition_index;
        o->partitions[k].partition_index = part;
        if (subscribed)
            o->partitions[k].error_code = KERR_GROUP_SUBSCRIBED_TO_TOPIC;
        else if (offsets_find(&g->offsets, t->name, part))
            groups_drop_offset(gs, g, t->name, part);
    }
}

void groups_delete_offsets(struct groups *gs, struct coord_req *q)
{
    const struct kp_offset_delete_request *m = q->in;
    struct group *g = groups_find(gs, q->group);
    int16_t e = g ? group_rules(g)->check_offset_delete(g) : KERR_GROUP_ID_NOT_FOUND;
    if (e) {
        coord_answer_error(gs->x, q, e);
        return;
    }
    struct kp_offset_delete_response *out = req_zalloc(q, sizeof(*out));
    kp_offset_delete_response_init(out);
    out->topics_n = SL_MAX(m->topics_n, 0);
    out->topics = req_zalloc(q, (size_t)out->topics_n * sizeof(*out->topics));
    coord_split(gs->x); // each removal is true by itself
    for (int32_t i = 0; i < out->topics_n; i++)
        delete_topic(gs, g, q, &m->topics[i], &out->topics[i]);
    q->out = out;
    coord_answer(gs->x, q); // a group without its last offset stays for the sweep, as upstream's does
}
