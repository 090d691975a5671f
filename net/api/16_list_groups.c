// ListGroups (key 16), versions 0-5: every partition of __consumer_offsets is asked; by state from version 4, by type from
// version 5.
#include "net/api/groups.h"

#include "proto/gen/list_groups_request.h"
#include "proto/gen/list_groups_response.h"

#include <string.h>

struct state {
    struct group_asks asks;
    struct kp_list_groups_request m;
};

// A partition that is led elsewhere has its groups listed there; one that loads fails the request.
static int16_t error_of(const struct coord_req *q)
{
    return q->error == KERR_NOT_COORDINATOR ? KERR_NONE : q->error;
}

static void answered(struct req *r)
{
    struct group_asks *a = r->state;
    struct kp_list_groups_response out;
    size_t total = 0;
    kp_list_groups_response_init(&out);
    for (uint32_t i = 0; i < a->n; i++) {
        const struct kp_list_groups_response *got = groups_answer(r, i)->out;
        out.error_code = out.error_code ? out.error_code : error_of(groups_answer(r, i));
        total += got ? (size_t)got->groups_n : 0;
    }
    out.groups = req_alloc_array(r, out.error_code ? 0 : total, sizeof(*out.groups));
    for (uint32_t i = 0; i < a->n && !out.error_code; i++) {
        const struct kp_list_groups_response *got = groups_answer(r, i)->out;
        if (!got || !got->groups_n)
            continue;
        memcpy(&out.groups[out.groups_n], got->groups, (size_t)got->groups_n * sizeof(*out.groups));
        out.groups_n += got->groups_n;
    }
    REQ_RESPOND(r, &out, list_groups_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, list_groups_request))
        return;
    uint32_t n = (uint32_t)groups_partitions(r);
    groups_init(r, n);
    for (uint32_t i = 0; i < n; i++)
        groups_ask_partition(r, i, (int32_t)i, &st->m);
    groups_send(r, answered);
}

const struct api_handler api_list_groups = {
    .key = 16, .min = 0, .max = 5, .advertise_min = 0, .start = start};
