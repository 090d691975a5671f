// OffsetFetch (key 9), versions 1-10: one group, from version 8 several; all topics when none are given; topics by id from
// version 10.
#include "net/api/groups.h"

#include "proto/gen/offset_fetch_request.h"
#include "proto/gen/offset_fetch_response.h"

typedef struct kp_offset_fetch_request_offset_fetch_request_group in_group;
typedef struct kp_offset_fetch_request_offset_fetch_request_topics in_topic;
typedef struct kp_offset_fetch_response_offset_fetch_response_group out_group;
typedef struct kp_offset_fetch_response_offset_fetch_response_topics out_topic;
typedef struct kp_offset_fetch_response_offset_fetch_response_partitions out_part;

enum { TOPIC_IDS_SINCE = 10, GROUPS_SINCE = 8, TOP_ERROR_SINCE = 2 };

struct state {
    struct group_asks asks;
    struct kp_offset_fetch_request m;
    in_group *groups; // what coordinators are asked: all topics have names, and exist where they came by id
    const in_group *given;
    uint32_t n;
};

// ---- questions ---------------------------------------------------------------------------------------------------------
// Versions 1 to 7 in the form of the later ones.
static in_group *single_group(struct req *r, const struct kp_offset_fetch_request *m)
{
    in_group *g = req_alloc(r, sizeof(*g));
    *g = (in_group){.group_id = m->group_id,
                    .member_id = KP_STR_NULL,
                    .member_epoch = -1,
                    .topics_n = m->topics_n < 0 ? -1 : m->topics_n};
    g->topics = req_alloc_array(r, (size_t)SL_MAX(m->topics_n, 0), sizeof(*g->topics));
    for (int32_t i = 0; i < m->topics_n; i++) {
        g->topics[i].name = m->topics[i].name;
        g->topics[i].partition_indexes = m->topics[i].partition_indexes;
        g->topics[i].partition_indexes_n = m->topics[i].partition_indexes_n;
    }
    return g;
}

static void resolve(struct req *r, const in_group *in, in_group *out)
{
    *out = *in;
    if (r->version < TOPIC_IDS_SINCE || in->topics_n <= 0)
        return;
    out->topics = req_alloc_array(r, (size_t)in->topics_n, sizeof(*out->topics));
    out->topics_n = 0;
    for (int32_t i = 0; i < in->topics_n; i++) {
        const struct meta_topic *t = api_topic_by_id(r, &in->topics[i].topic_id);
        if (!t)
            continue;
        out->topics[out->topics_n] = in->topics[i];
        out->topics[out->topics_n++].name = api_copy(r, t->name);
    }
}

// ---- answers -------------------------------------------------------------------------------------------------------------
static void unknown_topic(struct req *r, const in_topic *in, out_topic *o)
{
    o->topic_id = in->topic_id;
    o->partitions_n = SL_MAX(in->partition_indexes_n, 0);
    o->partitions = req_alloc_array(r, (size_t)o->partitions_n, sizeof(*o->partitions));
    for (int32_t k = 0; k < o->partitions_n; k++)
        o->partitions[k] = (out_part){.partition_index = in->partition_indexes[k],
                                      .committed_offset = -1,
                                      .committed_leader_epoch = -1,
                                      .metadata = KP_STR_LIT(""),
                                      .error_code = KERR_UNKNOWN_TOPIC_ID};
}

// Topics asked for by ids that nobody has come back behind the others; topics found by name get their ids, and are left
// out if there is no such topic any more.
static void ids_fill(struct req *r, const in_group *in, out_group *g)
{
    int32_t room = g->topics_n + SL_MAX(in->topics_n, 0);
    out_topic *all = req_alloc_array(r, (size_t)room, sizeof(*all));
    int32_t n = 0;
    for (int32_t i = 0; i < g->topics_n; i++) {
        const struct meta_topic *t = api_topic(r, g->topics[i].name);
        if (in->topics_n < 0 && !t)
            continue;
        all[n] = g->topics[i];
        if (in->topics_n < 0)
            all[n].topic_id = t->id;
        all[n++].name = KP_STR_LIT("");
    }
    for (int32_t i = 0; i < in->topics_n; i++)
        if (!api_topic_by_id(r, &in->topics[i].topic_id))
            unknown_topic(r, &in->topics[i], &all[n++]);
    g->topics = all;
    g->topics_n = n;
}

static void group_fill(struct req *r, struct state *st, uint32_t i, out_group *o)
{
    const struct coord_req *q = groups_answer(r, i);
    kp_offset_fetch_response_offset_fetch_response_group_init(o);
    if (q->error) {
        o->error_code = q->error;
        o->topics_n = 0;
    } else {
        *o = *(const out_group *)q->out;
        if (r->version >= TOPIC_IDS_SINCE)
            ids_fill(r, &st->given[i], o);
    }
    o->group_id = q->group.n < 0 ? KP_STR_LIT("") : q->group;
}

// Version 1 has no error for the whole: each partition carries it.
static void error_everywhere(struct req *r, const in_group *in, struct kp_offset_fetch_response *out,
                             int16_t error)
{
    out->topics_n = SL_MAX(in->topics_n, 0);
    out->topics = req_alloc_array(r, (size_t)out->topics_n, sizeof(*out->topics));
    for (int32_t i = 0; i < out->topics_n; i++) {
        struct kp_offset_fetch_response_offset_fetch_response_topic *o = &out->topics[i];
        o->name = in->topics[i].name;
        o->partitions_n = SL_MAX(in->topics[i].partition_indexes_n, 0);
        o->partitions = req_alloc_array(r, (size_t)o->partitions_n, sizeof(*o->partitions));
        for (int32_t k = 0; k < o->partitions_n; k++) {
            kp_offset_fetch_response_offset_fetch_response_partition_init(&o->partitions[k]);
            o->partitions[k].partition_index = in->topics[i].partition_indexes[k];
            o->partitions[k].committed_offset = -1;
            o->partitions[k].metadata = KP_STR_LIT("");
            o->partitions[k].error_code = error;
        }
    }
}

static void single_fill(struct req *r, const out_group *g, struct kp_offset_fetch_response *out)
{
    out->error_code = g->error_code;
    out->topics_n = g->topics_n;
    out->topics = req_alloc_array(r, (size_t)g->topics_n, sizeof(*out->topics));
    for (int32_t i = 0; i < g->topics_n; i++) {
        struct kp_offset_fetch_response_offset_fetch_response_topic *o = &out->topics[i];
        o->name = g->topics[i].name;
        o->partitions_n = g->topics[i].partitions_n;
        o->partitions = req_alloc_array(r, (size_t)o->partitions_n, sizeof(*o->partitions));
        for (int32_t k = 0; k < o->partitions_n; k++) {
            const out_part *p = &g->topics[i].partitions[k];
            o->partitions[k] = (struct kp_offset_fetch_response_offset_fetch_response_partition){
                .partition_index = p->partition_index,
                .committed_offset = p->committed_offset,
                .committed_leader_epoch = p->committed_leader_epoch,
                .metadata = p->metadata,
                .error_code = p->error_code};
        }
    }
}

static void answered(struct req *r)
{
    struct state *st = r->state;
    struct kp_offset_fetch_response out;
    kp_offset_fetch_response_init(&out);
    out_group *groups = req_alloc_array(r, st->n, sizeof(*groups));
    for (uint32_t i = 0; i < st->n; i++)
        group_fill(r, st, i, &groups[i]);
    if (r->version >= GROUPS_SINCE) {
        out.groups = groups;
        out.groups_n = (int32_t)st->n;
    } else if (groups[0].error_code && r->version < TOP_ERROR_SINCE) {
        error_everywhere(r, st->given, &out, groups[0].error_code);
    } else {
        single_fill(r, &groups[0], &out);
    }
    REQ_RESPOND(r, &out, offset_fetch_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, offset_fetch_request))
        return;
    bool several = r->version >= GROUPS_SINCE;
    st->given = several ? st->m.groups : single_group(r, &st->m);
    st->n = several ? (uint32_t)SL_MAX(st->m.groups_n, 0) : 1;
    st->groups = req_alloc_array(r, st->n, sizeof(*st->groups));
    groups_init(r, st->n);
    for (uint32_t i = 0; i < st->n; i++) {
        resolve(r, &st->given[i], &st->groups[i]);
        groups_ask(r, i, st->given[i].group_id, &st->groups[i]);
        groups_answer(r, i)->require_stable = st->m.require_stable;
    }
    groups_send(r, answered);
}

const struct api_handler api_offset_fetch = {
    .key = 9, .min = 1, .max = 10, .advertise_min = 1, .start = start};
