// DescribeGroups, ListGroups and DeleteGroups.
#include "engine/coord/classic.h"
#include "engine/coord/group.h"

#include "proto/gen/describe_groups_response.h"
#include "proto/gen/list_groups_request.h"
#include "proto/gen/list_groups_response.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

typedef struct kp_describe_groups_response_described_group described;

void groups_describe(struct groups *gs, struct coord_req *q)
{
    struct group *g = groups_find(gs, q->group);
    described *out = req_zalloc(q, sizeof(*out));
    kp_describe_groups_response_described_group_init(out);
    out->group_id = q->group;
    q->out = out;
    if (g && (!g->type || g->type->kind == GROUP_CLASSIC)) {
        classic_describe(g, q, out);
    } else {
        char text[512];
        out->group_state = KP_STR_LIT("Dead");
        if (q->version >= 6) {
            snprintf(text, sizeof(text), g ? "Group %.*s is not a classic group." : "Group %.*s not found.",
                     q->group.n, q->group.p);
            out->error_code = KERR_GROUP_ID_NOT_FOUND;
            out->error_message = req_str(q, kp_str_of(text));
        }
    }
    coord_answer(gs->x, q);
}

// ---- list ------------------------------------------------------------------------------------------------------------------
static struct kp_str trimmed(struct kp_str s)
{
    while (s.n > 0 && isspace((unsigned char)s.p[0]))
        s = (struct kp_str){s.p + 1, s.n - 1};
    while (s.n > 0 && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool same_nocase(struct kp_str a, const char *b)
{
    return a.n == (int32_t)strlen(b) && !strncasecmp(a.p, b, (size_t)a.n);
}

static bool wanted(const struct kp_list_groups_request *m, const struct group *g)
{
    const struct group_type *rules = group_rules(g);
    bool state = m->states_filter_n <= 0, type = m->types_filter_n <= 0;
    for (int32_t i = 0; i < m->states_filter_n && !state; i++)
        state = same_nocase(trimmed(m->states_filter[i]), rules->state_name(g));
    for (int32_t i = 0; i < m->types_filter_n && !type; i++)
        type = same_nocase(m->types_filter[i], rules->name);
    return state && type;
}

void groups_list(struct groups *gs, struct coord_req *q)
{
    struct group *g, *tmp;
    struct kp_list_groups_response *out = req_zalloc(q, sizeof(*out));
    kp_list_groups_response_init(out);
    out->groups = req_zalloc(q, HASH_COUNT(gs->table) * sizeof(*out->groups));
    coord_see_gone(gs->x);
    HASH_ITER(hh, gs->table, g, tmp)
    {
        const struct group_type *rules = group_rules(g);
        coord_see(gs->x, g->mark);
        if (!wanted(q->in, g))
            continue;
        out->groups[out->groups_n++] = (struct kp_list_groups_response_listed_group){
            .group_id = req_str(q, group_id(g)),
            .protocol_type = req_str(q, rules->protocol_type(g)),
            .group_state = kp_str_of(rules->state_name(g)),
            .group_type = kp_str_of(rules->name)};
    }
    q->out = out;
    coord_answer(gs->x, q);
}

// ---- delete ----------------------------------------------------------------------------------------------------------------
void groups_delete(struct groups *gs, struct coord_req *q)
{
    struct group *g = groups_find(gs, q->group);
    q->error = g ? group_rules(g)->check_delete(g) : KERR_GROUP_ID_NOT_FOUND;
    if (!q->error)
        groups_drop(gs, g);
    coord_answer(gs->x, q);
}
