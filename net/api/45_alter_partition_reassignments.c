// AlterPartitionReassignments (key 45), versions 0-1 (KIP-455). One node holds every replica: an assignment to itself changes
// nothing, any other is refused with upstream's words.
//
// Deviations from upstream 4.3: a partition of a directory that a larger cluster left, with replicas elsewhere, keeps them.
#include "net/api/common.h"

#include "proto/gen/alter_partition_reassignments_request.h"
#include "proto/gen/alter_partition_reassignments_response.h"

#include <stdlib.h>

typedef struct kp_alter_partition_reassignments_request_reassignable_topic in_topic;
typedef struct kp_alter_partition_reassignments_request_reassignable_partition in_part;
typedef struct kp_alter_partition_reassignments_response_reassignable_topic_response out_topic;
typedef struct kp_alter_partition_reassignments_response_reassignable_partition_response out_part;

static void fail(out_part *o, int16_t error, struct kp_str why)
{
    o->error_code = error;
    o->error_message = why;
}

static int id_cmp(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

static void check_replicas(struct req *r, const in_part *in, out_part *o)
{
    const struct meta_image *img = net_image(r->net);
    int32_t *ids = req_alloc_array(r, (size_t)in->replicas_n, sizeof(*ids));
    if (in->replicas_n == 0) {
        fail(o, KERR_INVALID_REPLICA_ASSIGNMENT,
             KP_STR_LIT("The manual partition assignment includes an empty replica list."));
        return;
    }
    memcpy(ids, in->replicas, (size_t)in->replicas_n * sizeof(*ids));
    qsort(ids, (size_t)in->replicas_n, sizeof(*ids), id_cmp);
    for (int32_t i = 0; i < in->replicas_n && !o->error_code; i++) {
        if (!meta_find_broker(img, ids[i]))
            fail(o, KERR_INVALID_REPLICA_ASSIGNMENT,
                 api_text(
                     r,
                     "The manual partition assignment includes broker %d, but no such broker is registered.",
                     ids[i]));
        else if (i && ids[i] == ids[i - 1])
            fail(o, KERR_INVALID_REPLICA_ASSIGNMENT,
                 api_text(r, "The manual partition assignment includes the broker %d more than once.",
                          ids[i]));
    }
}

static bool same_replicas(const struct meta_partition *p, const in_part *in)
{
    return p->replicas_n == (uint32_t)in->replicas_n &&
           !memcmp(p->replicas, in->replicas, p->replicas_n * sizeof(*p->replicas));
}

static void reassign(struct req *r, const in_topic *topic, const in_part *in, out_part *o)
{
    const struct meta_topic *t = api_topic(r, topic->name);
    if (!t)
        fail(o, KERR_UNKNOWN_TOPIC_OR_PARTITION,
             api_text(r, "Unable to find a topic named %.*s.", SL_MAX(topic->name.n, 0), topic->name.p));
    else if (in->partition_index < 0 || (uint32_t)in->partition_index >= t->partitions_n)
        fail(o, KERR_UNKNOWN_TOPIC_OR_PARTITION,
             api_text(r, "Unable to find partition %.*s:%d.", topic->name.n, topic->name.p,
                      in->partition_index));
    else if (in->replicas_n < 0)
        fail(o, KERR_NO_REASSIGNMENT_IN_PROGRESS, KP_STR_NULL);
    else
        check_replicas(r, in, o);
    if (t && !o->error_code && !same_replicas(&t->partitions[in->partition_index], in))
        fail(o, KERR_INVALID_REPLICA_ASSIGNMENT, KP_STR_LIT("Replicas on other brokers are not moved."));
}

static void start(struct req *r)
{
    struct kp_alter_partition_reassignments_request m;
    struct kp_alter_partition_reassignments_response out;
    if (!REQ_DECODE(r, &m, alter_partition_reassignments_request))
        return;
    if (!net_image(r->net)) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    kp_alter_partition_reassignments_response_init(&out);
    out.allow_replication_factor_change = m.allow_replication_factor_change;
    out.error_message = m.topics_n > 0 ? KP_STR_NULL : KP_STR_LIT("");
    out.responses_n = SL_MAX(m.topics_n, 0);
    out.responses = req_alloc_array(r, (size_t)out.responses_n, sizeof(*out.responses));
    for (int32_t i = 0; i < m.topics_n; i++) {
        out_topic *o = &out.responses[i];
        int32_t n = SL_MAX(m.topics[i].partitions_n, 0);
        *o = (out_topic){.name = m.topics[i].name, .partitions_n = n};
        o->partitions = req_alloc_array(r, (size_t)n, sizeof(*o->partitions));
        for (int32_t p = 0; p < n; p++) {
            o->partitions[p].partition_index = m.topics[i].partitions[p].partition_index;
            o->partitions[p].error_message = KP_STR_NULL;
            reassign(r, &m.topics[i], &m.topics[i].partitions[p], &o->partitions[p]);
        }
    }
    REQ_RESPOND(r, &out, alter_partition_reassignments_response);
}

const struct api_handler api_alter_partition_reassignments = {
    .key = 45, .min = 0, .max = 1, .advertise_min = 0, .start = start};
