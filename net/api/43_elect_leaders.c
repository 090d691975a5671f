// ElectLeaders (key 43), versions 0-2: preferred and unclean elections. One node leads what it has: no election is needed.
//
// Deviations from upstream 4.3: none known.
#include "net/api/common.h"

#include "proto/gen/elect_leaders_request.h"
#include "proto/gen/elect_leaders_response.h"

typedef struct kp_elect_leaders_request_topic_partitions in_topic;
typedef struct kp_elect_leaders_response_replica_election_result out_topic;
typedef struct kp_elect_leaders_response_partition_result out_part;

enum { PREFERRED = 0, UNCLEAN = 1 };

static void fail(out_part *o, int16_t error, struct kp_str why)
{
    o->error_code = error;
    o->error_message = why;
}

static void elect(struct req *r, const struct meta_topic *t, struct kp_str name, int8_t type, out_part *o)
{
    if (type != PREFERRED && type != UNCLEAN)
        fail(o, KERR_INVALID_REQUEST, api_text(r, "Unknown election type %d", type));
    else if (!t)
        fail(o, KERR_UNKNOWN_TOPIC_OR_PARTITION, api_text(r, "No such topic as %.*s", name.n, name.p));
    else if (o->partition_id < 0 || (uint32_t)o->partition_id >= t->partitions_n)
        fail(o, KERR_UNKNOWN_TOPIC_OR_PARTITION,
             api_text(r, "No such partition as %.*s-%d", name.n, name.p, o->partition_id));
    else if (t->partitions[o->partition_id].leader < 0)
        fail(o, type == PREFERRED ? KERR_PREFERRED_LEADER_NOT_AVAILABLE : KERR_ELIGIBLE_LEADERS_NOT_AVAILABLE,
             KP_STR_LIT("The partition has no replica that can lead."));
    else
        fail(o, KERR_ELECTION_NOT_NEEDED, KP_STR_LIT("Leader election not needed for topic partition."));
}

static void named(struct req *r, const struct kp_elect_leaders_request *m, int8_t type,
                  struct kp_elect_leaders_response *out)
{
    out->replica_election_results = req_alloc_array(r, (size_t)m->topic_partitions_n, sizeof(out_topic));
    for (int32_t i = 0; i < m->topic_partitions_n; i++) {
        const in_topic *in = &m->topic_partitions[i];
        out_topic *o = &out->replica_election_results[out->replica_election_results_n++];
        *o = (out_topic){.topic = in->topic};
        o->partition_result = req_alloc_array(r, (size_t)SL_MAX(in->partitions_n, 0), sizeof(out_part));
        for (int32_t p = 0; p < in->partitions_n; p++) {
            o->partition_result[p].partition_id = in->partitions[p];
            elect(r, api_topic(r, in->topic), in->topic, type, &o->partition_result[p]);
        }
        o->partition_result_n = SL_MAX(in->partitions_n, 0);
    }
}

// Every topic, with those of its partitions that an election changed: none.
static void all(struct req *r, const struct meta_image *img, struct kp_elect_leaders_response *out)
{
    out->replica_election_results = req_alloc_array(r, img->topics_n, sizeof(out_topic));
    for (uint32_t i = 0; i < img->topics_n; i++)
        out->replica_election_results[out->replica_election_results_n++] =
            (out_topic){.topic = kp_str_of(img->topics[i]->name)};
}

static void start(struct req *r)
{
    struct kp_elect_leaders_request m;
    struct kp_elect_leaders_response out;
    if (!REQ_DECODE(r, &m, elect_leaders_request))
        return;
    const struct meta_image *img = net_image(r->net);
    if (!img) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    int8_t type = r->version >= 1 ? m.election_type : PREFERRED;
    kp_elect_leaders_response_init(&out);
    if (type != PREFERRED && type != UNCLEAN)
        out.error_code = KERR_INVALID_REQUEST;
    if (m.topic_partitions_n >= 0)
        named(r, &m, type, &out);
    else if (!out.error_code)
        all(r, img, &out);
    REQ_RESPOND(r, &out, elect_leaders_response);
}

const struct api_handler api_elect_leaders = {
    .key = 43, .min = 0, .max = 2, .advertise_min = 0, .start = start};
