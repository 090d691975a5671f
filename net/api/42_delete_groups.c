// DeleteGroups (key 42), versions 0-2: groups without members, with their offsets. A name that comes twice is answered
// once.
#include "net/api/groups.h"

#include "proto/gen/delete_groups_request.h"
#include "proto/gen/delete_groups_response.h"

struct state {
    struct group_asks asks;
    struct kp_delete_groups_request m;
};

static void answered(struct req *r)
{
    struct group_asks *a = r->state;
    struct kp_delete_groups_response out;
    kp_delete_groups_response_init(&out);
    out.results_n = (int32_t)a->n;
    out.results = req_alloc_array(r, a->n, sizeof(*out.results));
    for (uint32_t i = 0; i < a->n; i++) {
        out.results[i].group_id = groups_answer(r, i)->group;
        out.results[i].error_code = groups_answer(r, i)->error;
    }
    REQ_RESPOND(r, &out, delete_groups_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    struct api_set seen;
    r->state = st;
    if (!REQ_DECODE(r, &st->m, delete_groups_request))
        return;
    uint32_t n = (uint32_t)SL_MAX(st->m.groups_names_n, 0), kept = 0;
    api_set_init(r, &seen, n);
    for (uint32_t i = 0; i < n; i++) {
        struct kp_str id = st->m.groups_names[i];
        if (api_set_put(&seen, id.p, (size_t)SL_MAX(id.n, 0), i) == i)
            st->m.groups_names[kept++] = id;
    }
    groups_init(r, kept);
    for (uint32_t i = 0; i < kept; i++)
        groups_ask(r, i, st->m.groups_names[i], NULL);
    groups_send(r, answered);
}

const struct api_handler api_delete_groups = {
    .key = 42, .min = 0, .max = 2, .advertise_min = 0, .start = start};
