// ConsumerGroupDescribe (69), versions 0 and 1: one group.
#include "engine/coord/modern/modern_private.h"

#include "proto/gen/consumer_group_describe_response.h"

#include <stdio.h>

typedef struct kp_consumer_group_describe_response_described_group described;
typedef struct kp_consumer_group_describe_response_member described_member;
typedef struct kp_consumer_group_describe_response_assignment described_assignment;

// Topics that are gone are left out.
static void put_parts(struct groups *gs, struct coord_req *q, const struct cg_parts *s,
                      described_assignment *out)
{
    uint32_t from, to = 0;
    out->topic_partitions = req_zalloc(q, s->n * sizeof(*out->topic_partitions));
    while (cg_parts_next_topic(s, &from, &to)) {
        struct coord_topic t;
        if (!gs->env->topics->by_id(gs->env->r, &s->v[from].topic, &t))
            continue;
        struct kp_consumer_group_describe_response_topic_partitions *o =
            &out->topic_partitions[out->topic_partitions_n++];
        o->topic_id = t.id;
        o->topic_name = req_str(q, (struct kp_str){t.name, (int32_t)t.name_len});
        o->partitions_n = (int32_t)(to - from);
        o->partitions = req_zalloc(q, (to - from) * sizeof(*o->partitions));
        for (uint32_t i = from; i < to; i++)
            o->partitions[i - from] = s->v[i].partition;
    }
}

static void put_member(struct groups *gs, struct coord_req *q, const struct cg_member *m, described_member *o)
{
    struct cg_parts held;
    o->member_id = req_str(q, kp_str_of(m->id));
    o->instance_id = req_str(q, m->meta.instance_id);
    o->rack_id = req_str(q, m->meta.rack_id);
    o->member_epoch = m->at.epoch;
    o->client_id = req_str(q, m->meta.client_id);
    o->client_host = req_str(q, m->meta.client_host);
    // Upstream shows no pattern as an empty one.
    o->subscribed_topic_regex = m->meta.regex.n < 0 ? KP_STR_LIT("") : req_str(q, m->meta.regex);
    o->subscribed_topic_names = req_zalloc(q, m->meta.topics_n * sizeof(*o->subscribed_topic_names));
    for (uint32_t i = 0; i < m->meta.topics_n; i++)
        o->subscribed_topic_names[o->subscribed_topic_names_n++] = req_str(q, m->meta.topics[i]);
    // What it is about to give up is still its own.
    if (cg_parts_union(&m->at.assigned, &m->at.revoking, &held, &q->arena))
        sl_panic("coordinator: out of memory for an answer");
    put_parts(gs, q, &held, &o->assignment);
    put_parts(gs, q, &m->target, &o->target_assignment);
    o->member_type = m->meta.classic ? 0 : 1;
}

static const char *assignor_of(const struct groups *gs, const struct cg *c)
{
    struct cg_settings set;
    struct cg_member *m, *tmp;
    uint32_t votes[CG_ASSIGNORS] = {0}, most = 0;
    cg_settings_of(gs, c->group->id, &set);
    enum cg_assignor best = set.assignors[0];
    HASH_ITER(hh, c->members, m, tmp)
    {
        int a = m->joined && m->meta.assignor.n >= 0 ? cg_assignor_find(m->meta.assignor) : -ENOENT;
        if (a >= 0 && ++votes[a] > most) {
            most = votes[a];
            best = (enum cg_assignor)a;
        }
    }
    return cg_assignor_name(best);
}

static void put_group(struct groups *gs, struct coord_req *q, const struct cg *c, described *out)
{
    struct cg_member *m, *tmp;
    out->group_state = kp_str_of(cg_state_name(cg_state_of(c)));
    out->group_epoch = c->epoch;
    out->assignment_epoch = c->target_epoch;
    out->assignor_name = kp_str_of(assignor_of(gs, c));
    out->members = req_zalloc(q, c->joined_n * sizeof(*out->members));
    HASH_ITER(hh, c->members, m, tmp)
    if (m->joined)
        put_member(gs, q, m, &out->members[out->members_n++]);
}

void cg_describe(struct groups *gs, struct coord_req *q)
{
    struct group *g = groups_find(gs, q->group);
    described *out = req_zalloc(q, sizeof(*out));
    char text[512];
    kp_consumer_group_describe_response_described_group_init(out);
    out->group_id = q->group;
    out->group_state = out->assignor_name = KP_STR_LIT("");
    if (g && cg_of(g)) {
        put_group(gs, q, cg_of(g), out);
    } else {
        snprintf(text, sizeof(text), g ? "Group %.*s is not a consumer group." : "Group %.*s not found.",
                 q->group.n, q->group.p);
        out->error_code = KERR_GROUP_ID_NOT_FOUND;
        out->error_message = req_str(q, kp_str_of(text));
    }
    q->out = out;
    coord_answer(gs->x, q);
}
