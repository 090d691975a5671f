// DescribeTopicPartitions (key 75), version 0: topics in the order of their names, a page of at most
// min(max.request.partition.size.limit, the request's limit) partitions at a time, and a cursor to go on from.
//
// Deviations from upstream 4.3: eligible leader replicas are shown as empty lists.
#include "net/api/common.h"

#include "proto/gen/describe_topic_partitions_request.h"
#include "proto/gen/describe_topic_partitions_response.h"

#include <stdlib.h>
#include <string.h>

typedef struct kp_describe_topic_partitions_response_describe_topic_partitions_response_topic out_topic;
typedef struct kp_describe_topic_partitions_response_describe_topic_partitions_response_partition out_part;

struct page {
    struct req *r;
    const struct kp_describe_topic_partitions_request *m;
    struct kp_describe_topic_partitions_response out;
    struct kp_str *names; // sorted, without repetitions, from the cursor's on
    uint32_t names_n;
    uint32_t left; // partitions that still go into the page
    bool all;
};

static int name_cmp(struct kp_str a, struct kp_str b)
{
    int32_t n = SL_MIN(a.n, b.n);
    int c = n > 0 ? memcmp(a.p, b.p, (size_t)n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int by_name(const void *a, const void *b)
{
    return name_cmp(*(const struct kp_str *)a, *(const struct kp_str *)b);
}

static void names_collect(struct page *p)
{
    const struct meta_image *img = net_image(p->r->net);
    struct kp_str from = p->m->cursor ? p->m->cursor->topic_name : KP_STR_LIT("");
    uint32_t n = p->all ? img->topics_n : (uint32_t)p->m->topics_n, k = 0;
    p->names = req_alloc_array(p->r, n, sizeof(*p->names));
    for (uint32_t i = 0; i < n; i++) {
        struct kp_str name = p->all ? kp_str_of(img->topics[i]->name) : p->m->topics[i].name;
        if (name_cmp(name, from) >= 0)
            p->names[k++] = name;
    }
    qsort(p->names, k, sizeof(*p->names), by_name);
    for (uint32_t i = 0; i < k; i++)
        if (!i || name_cmp(p->names[i], p->names[p->names_n - 1]))
            p->names[p->names_n++] = p->names[i];
}

static void part_fill(struct req *r, const struct meta_partition *in, int32_t index, out_part *o)
{
    const struct meta_endpoint *ep;
    bool live = in->leader >= 0 && api_live_broker(r, in->leader, &ep);
    kp_describe_topic_partitions_response_describe_topic_partitions_response_partition_init(o);
    o->partition_index = index;
    o->error_code = live ? KERR_NONE : KERR_LEADER_NOT_AVAILABLE;
    o->leader_id = live ? in->leader : -1;
    o->leader_epoch = in->leader_epoch;
    o->replica_nodes = (int32_t *)in->replicas; // encoded within this turn
    o->replica_nodes_n = (int32_t)in->replicas_n;
    o->isr_nodes = (int32_t *)in->isr;
    o->isr_nodes_n = (int32_t)in->isr_n;
    o->eligible_leader_replicas_n = o->last_known_elr_n = 0;
    o->offline_replicas = req_alloc_array(r, in->replicas_n, sizeof(int32_t));
    o->offline_replicas_n = api_offline_replicas(r, in, o->offline_replicas);
}

static void next_set(struct page *p, struct kp_str name, int32_t partition)
{
    struct kp_describe_topic_partitions_response_cursor *c = req_alloc(p->r, sizeof(*c));
    c->topic_name = name;
    c->partition_index = partition;
    p->out.next_cursor = c;
}

static void topic_fill(struct page *p, struct kp_str name, const struct meta_topic *t, out_topic *o)
{
    uint32_t from = 0;
    if (p->m->cursor && kp_str_eq(p->m->cursor->topic_name, name))
        from = SL_MIN((uint32_t)p->m->cursor->partition_index, t->partitions_n);
    uint32_t n = SL_MIN(t->partitions_n - from, p->left);
    o->name = name;
    o->topic_id = t->id;
    o->is_internal = t->internal;
    o->topic_authorized_operations = API_TOPIC_OPS;
    o->partitions = req_alloc_array(p->r, n, sizeof(*o->partitions));
    o->partitions_n = (int32_t)n;
    for (uint32_t i = 0; i < n; i++)
        part_fill(p->r, &t->partitions[from + i], (int32_t)(from + i), &o->partitions[i]);
    p->left -= n;
    if (from + n < t->partitions_n)
        next_set(p, name, (int32_t)(from + n));
}

static void page_fill(struct page *p)
{
    p->out.topics = req_alloc_array(p->r, p->names_n, sizeof(*p->out.topics));
    for (uint32_t i = 0; i < p->names_n && !p->out.next_cursor; i++) {
        struct kp_str name = p->names[i];
        const struct meta_topic *t = api_topic(p->r, name);
        if (!p->left) {
            next_set(p, name, 0);
            break;
        }
        out_topic *o = &p->out.topics[p->out.topics_n++];
        kp_describe_topic_partitions_response_describe_topic_partitions_response_topic_init(o);
        if (t) {
            topic_fill(p, name, t, o);
            continue;
        }
        o->name = name;
        o->is_internal = api_is_internal(name);
        o->topic_authorized_operations = API_TOPIC_OPS;
        o->error_code =
            api_topic_name_error(p->r, name) ? KERR_INVALID_TOPIC_EXCEPTION : KERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
}

// The cursor must name a topic of the list, if there is one, and a partition.
static bool cursor_ok(const struct kp_describe_topic_partitions_request *m)
{
    if (!m->cursor)
        return true;
    bool found = m->topics_n <= 0;
    for (int32_t i = 0; i < m->topics_n && !found; i++)
        found = kp_str_eq(m->topics[i].name, m->cursor->topic_name);
    return found && m->cursor->partition_index >= 0;
}

static void refuse(struct page *p)
{
    p->out.topics_n = SL_MAX(p->m->topics_n, 0);
    p->out.topics = req_alloc_array(p->r, (size_t)p->out.topics_n, sizeof(*p->out.topics));
    for (int32_t i = 0; i < p->out.topics_n; i++) {
        kp_describe_topic_partitions_response_describe_topic_partitions_response_topic_init(
            &p->out.topics[i]);
        p->out.topics[i].name = p->m->topics[i].name;
        p->out.topics[i].error_code = KERR_INVALID_REQUEST;
    }
}

static void start(struct req *r)
{
    struct kp_describe_topic_partitions_request m;
    if (!REQ_DECODE(r, &m, describe_topic_partitions_request))
        return;
    if (!net_image(r->net)) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    int64_t own = cfg_int(r->net->cfg.cfg, CFG_MAX_REQUEST_PARTITION_SIZE_LIMIT);
    struct page p = {.r = r, .m = &m, .all = m.topics_n <= 0};
    p.left = (uint32_t)SL_MAX(SL_MIN(own, (int64_t)m.response_partition_limit), 1);
    kp_describe_topic_partitions_response_init(&p.out);
    if (!cursor_ok(&m)) {
        refuse(&p);
    } else {
        names_collect(&p);
        page_fill(&p);
    }
    REQ_RESPOND(r, &p.out, describe_topic_partitions_response);
}

const struct api_handler api_describe_topic_partitions = {
    .key = 75, .min = 0, .max = 0, .advertise_min = 0, .start = start};
