// GroupMetadata records: writing, reading; and DescribeGroups, which shows the same.
#include "engine/coord/classic.h"

#include "proto/gen/group_metadata_key.h"
#include "proto/gen/group_metadata_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_VERSION = 4 };

static void emit(struct groups *gs, struct group *g, const struct kp_group_metadata_value *v)
{
    struct kp_group_metadata_key key = {.group = group_id(g)};
    if (coord_emit(gs->x, &g->mark, GREC_GROUP_METADATA, &key, VALUE_VERSION, v))
        sl_panic("coordinator: a record of group %s cannot be encoded", g->id);
}

void classic_emit(struct groups *gs, struct classic *c)
{
    struct kp_group_metadata_value v;
    struct classic_member *m, *tmp;
    uint32_t n = classic_size(c);
    struct kp_group_metadata_value_member_metadata *members = calloc(n + 1, sizeof(*members));
    if (!members)
        sl_panic("coordinator: out of memory for a record");
    kp_group_metadata_value_init(&v);
    v.protocol_type = kp_str_of(c->protocol_type ? c->protocol_type : "");
    v.generation = c->generation;
    v.protocol = kp_str_of(c->protocol);
    v.leader = kp_str_of(c->leader);
    v.current_state_timestamp = c->state_ms;
    v.members = members;
    HASH_ITER(hh, c->members, m, tmp)
    {
        struct kp_bytes metadata = classic_metadata(m, c->protocol);
        members[v.members_n++] = (struct kp_group_metadata_value_member_metadata){
            .member_id = kp_str_of(m->id),
            .group_instance_id = kp_str_of(m->instance_id),
            .client_id = kp_str_of(m->client_id),
            .client_host = kp_str_of(m->client_host),
            .rebalance_timeout = m->rebalance_ms,
            .session_timeout = m->session_ms,
            .subscription = {metadata.p, SL_MAX(metadata.n, 0)},
            .assignment = {m->assignment, (int32_t)m->assignment_len},
        };
    }
    emit(gs, c->group, &v);
    free(members);
}

void classic_emit_new(struct groups *gs, struct classic *c)
{
    struct kp_group_metadata_value v;
    kp_group_metadata_value_init(&v);
    v.protocol = v.leader = KP_STR_NULL;
    v.protocol_type = KP_STR_LIT("");
    v.current_state_timestamp = c->state_ms;
    emit(gs, c->group, &v);
}

void classic_emit_tombstone(struct groups *gs, struct group *g)
{
    struct kp_group_metadata_key key = {.group = group_id(g)};
    if (coord_emit(gs->x, &g->mark, GREC_GROUP_METADATA, &key, 0, NULL))
        sl_panic("coordinator: a key of group %s cannot be encoded", g->id);
}

// ---- replay ----------------------------------------------------------------------------------------------------------------
static void add_loaded(struct groups *gs, struct classic *c, const struct kp_group_metadata_value *v,
                       const struct kp_group_metadata_value_member_metadata *in)
{
    struct kp_join_group_request_join_group_request_protocol p = {
        .name = v->protocol.n < 0 ? KP_STR_LIT("") : v->protocol, .metadata = in->subscription};
    struct kp_join_group_request req = {
        .group_instance_id = in->group_instance_id,
        .session_timeout_ms = in->session_timeout,
        .rebalance_timeout_ms = in->rebalance_timeout == -1 ? in->session_timeout : in->rebalance_timeout,
        .protocols = &p,
        .protocols_n = 1,
    };
    struct coord_req q = {.client_id = in->client_id, .client_host = in->client_host};
    if (!group_text_ok(in->member_id) || !group_text_ok(in->group_instance_id))
        return;
    if (classic_find(c, in->member_id) || classic_find_static(c, in->group_instance_id))
        return; // twice in one record: the first counts
    struct classic_member *m = classic_member_new(in->member_id, &req, &q);
    classic_member_protocols(gs, m, &req);
    classic_member_assign(gs, m, in->assignment);
    classic_add(gs, c, m);
}

static void take_text(char **at, struct kp_str s)
{
    free(*at);
    *at = s.n < 0 ? NULL : group_strdup(s);
}

static void apply(struct groups *gs, struct group *g, const struct kp_group_metadata_value *v)
{
    struct classic *c = classic_new(gs, g);
    c->state = v->members_n > 0 ? CLASSIC_STABLE : CLASSIC_EMPTY;
    c->previous = c->state;
    c->generation = v->generation;
    c->state_ms = v->current_state_timestamp;
    for (int32_t i = 0; i < v->members_n; i++)
        add_loaded(gs, c, v, &v->members[i]);
    take_text(&c->protocol_type, v->protocol_type.n > 0 ? v->protocol_type : KP_STR_NULL);
    take_text(&c->protocol, v->protocol);
    take_text(&c->leader, v->leader);
    if (c->leader &&
        !classic_find(c, kp_str_of(c->leader))) // a leader that is no member could never be replaced
        classic_set_text(&c->leader, c->members ? c->members->id : NULL);
    classic_read_topics(c);
}

int classic_replay(struct groups *gs, const struct coord_record *r)
{
    struct kp_group_metadata_key key;
    struct kp_group_metadata_value value;
    struct arena a;
    bool has_value;
    arena_init(&a, 0);
    int rc = group_record_decode(r, GREC_GROUP_METADATA, &key, &value, &has_value, &a);
    bool named = !rc && group_text_ok(key.group);
    if (named && has_value) {
        apply(gs, groups_make(gs, key.group), &value);
    } else if (named) {
        struct group *g = groups_find(gs, key.group);
        if (g && group_kind(g) == GROUP_CLASSIC)
            group_reset(gs, g, NULL, NULL);
        if (g)
            groups_collect(gs, g);
    }
    arena_free(&a);
    return rc;
}

// ---- describe --------------------------------------------------------------------------------------------------------------
void classic_describe(const struct group *g, struct coord_req *q,
                      struct kp_describe_groups_response_described_group *out)
{
    const struct classic *c = classic_of(g);
    struct classic_member *m, *tmp;
    out->group_state = kp_str_of(classic_state_name(c ? c->state : CLASSIC_EMPTY));
    if (!c)
        return;
    bool stable = c->state == CLASSIC_STABLE;
    out->protocol_type = c->protocol_type ? req_str(q, kp_str_of(c->protocol_type)) : KP_STR_LIT("");
    if (stable)
        out->protocol_data = req_str(q, kp_str_of(c->protocol ? c->protocol : ""));
    out->members = req_zalloc(q, classic_size(c) * sizeof(*out->members));
    HASH_ITER(hh, c->members, m, tmp)
    {
        struct kp_describe_groups_response_described_group_member *o = &out->members[out->members_n++];
        struct kp_bytes metadata = stable ? classic_metadata(m, c->protocol) : KP_BYTES_NULL;
        o->member_id = req_str(q, kp_str_of(m->id));
        o->group_instance_id = req_str(q, kp_str_of(m->instance_id));
        o->client_id = req_str(q, kp_str_of(m->client_id));
        o->client_host = req_str(q, kp_str_of(m->client_host));
        o->member_metadata = req_bytes(q, (struct kp_bytes){metadata.p, SL_MAX(metadata.n, 0)});
        o->member_assignment = req_bytes(q, (struct kp_bytes){m->assignment, (int32_t)m->assignment_len});
    }
}
