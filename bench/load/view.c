// A worker's view of who leads what and where the brokers are. It begins as the cluster was at the start; when a broker
// says that it does not lead, or a connection breaks, the metadata is asked for again, of one node after the other, with
// pauses. Producers and consumers are then told.
#include "bench/load/run.h"

#include <stdlib.h>

#include "proto/gen/metadata_request.h"
#include "proto/gen/metadata_response.h"

enum { KEY_METADATA = 3, PAUSE_NS = 100000000, SOON_NS = 20000000 };

struct view {
    struct worker *w;
    struct link link;
    struct link_call call;
    struct link_request request;
    struct timer timer;
    int32_t *leaders; // by partition, in the cluster's order
    struct node *nodes;
    uint32_t nodes_n, turn;
    bool asking, waiting, ended;
};

static void ask_in(struct view *v, uint64_t ns)
{
    if (v->waiting || v->ended)
        return;
    v->waiting = true;
    timer_set(v->w->r, &v->timer, io_now_ns(reactor_io(v->w->r)) + ns);
}

// ---- the answer -----------------------------------------------------------------------------------------------------
static void nodes_take(struct view *v, const struct kp_metadata_response *m)
{
    for (int32_t i = 0; i < m->brokers_n; i++) {
        uint32_t k = 0;
        while (k < v->nodes_n && v->nodes[k].id != m->brokers[i].node_id)
            k++;
        if (k == v->nodes_n) {
            v->nodes = realloc(v->nodes, (k + 1) * sizeof(*v->nodes));
            SL_ASSERT(v->nodes);
            v->nodes_n++;
        }
        v->nodes[k] = (struct node){.id = m->brokers[i].node_id, .port = (uint16_t)m->brokers[i].port};
        snprintf(v->nodes[k].host, sizeof(v->nodes[k].host), "%.*s", m->brokers[i].host.n,
                 m->brokers[i].host.p);
    }
}

// False: a partition has no leader now.
static bool leaders_take(struct view *v, const struct kp_metadata_response *m)
{
    const struct cluster *cl = &v->w->run->cluster;
    bool all = true;
    for (int32_t t = 0; t < m->topics_n; t++) {
        uint32_t k = 0;
        while (k < cl->topics_n && !kp_str_eq(kp_str_of(cl->topics[k].name), m->topics[t].name))
            k++;
        all &= m->topics[t].error_code == 0;
        for (int32_t i = 0; k < cl->topics_n && i < m->topics[t].partitions_n; i++) {
            int32_t index = m->topics[t].partitions[i].partition_index;
            if (index < 0 || (uint32_t)index >= cl->topics[k].parts_n)
                continue;
            v->leaders[cl->topics[k].first_part + (uint32_t)index] = m->topics[t].partitions[i].leader_id;
            all &= m->topics[t].partitions[i].leader_id >= 0;
        }
    }
    return all;
}

static void answered(struct link_call *call, int rc, const uint8_t *body, uint32_t n)
{
    struct view *v = SL_CONTAINER_OF(call, struct view, call);
    struct worker *w = v->w;
    struct kp_metadata_response m;
    v->asking = false;
    if (v->ended)
        return;
    arena_reset(&w->arena);
    if (rc || kp_metadata_response_decode(&m, body, n, call->version, &w->arena) < 0) {
        ask_in(v, PAUSE_NS);
        return;
    }
    w->now.refreshes++;
    nodes_take(v, &m);
    if (!leaders_take(v, &m))
        ask_in(v, PAUSE_NS);
    for (uint32_t i = 0; i < w->producers_n; i++)
        producer_moved(w->producers[i]);
    for (uint32_t i = 0; i < w->consumers_n; i++)
        consumer_moved(w->consumers[i]);
}

// ---- the question ---------------------------------------------------------------------------------------------------
static void ask(struct view *v)
{
    const struct cluster *cl = &v->w->run->cluster;
    struct kp_metadata_request m;
    struct arena *a = &v->w->arena;
    arena_reset(a);
    kp_metadata_request_init(&m);
    m.topics = arena_array(a, cl->topics_n, sizeof(*m.topics));
    SL_ASSERT(m.topics);
    m.topics_n = (int32_t)cl->topics_n;
    m.allow_auto_topic_creation = false;
    for (uint32_t i = 0; i < cl->topics_n; i++)
        m.topics[i] =
            (struct kp_metadata_request_metadata_request_topic){.name = kp_str_of(cl->topics[i].name)};
    link_encode(&v->link, &v->call, &v->request, KEY_METADATA, cl->versions[KEY_METADATA], &m);
    v->call.done = answered;
    v->asking = true;
    link_send(&v->link, &v->call);
}

static void fire(struct timer *t)
{
    struct view *v = SL_CONTAINER_OF(t, struct view, timer);
    v->waiting = false;
    if (v->asking)
        return;
    if (v->link.r && v->link.broken && !link_closed(&v->link)) {
        ask_in(v, SOON_NS);
        return;
    }
    if (!v->link.r || v->link.broken) {
        const struct node *n = &v->nodes[v->turn++ % v->nodes_n];
        link_open(&v->link, v->w->r, n->host, n->port);
    }
    ask(v);
}

void view_want(struct view *v)
{
    if (!v->asking)
        ask_in(v, SOON_NS);
}

// ---- what is known --------------------------------------------------------------------------------------------------
int32_t view_leader(const struct view *v, uint32_t part)
{
    return v->leaders[part];
}

const struct node *view_node(const struct view *v, int32_t id)
{
    for (uint32_t i = 0; i < v->nodes_n; i++)
        if (v->nodes[i].id == id)
            return &v->nodes[i];
    return NULL;
}

const struct node *view_any_node(const struct view *v, uint32_t turn)
{
    return &v->nodes[turn % v->nodes_n];
}

// ---- life -----------------------------------------------------------------------------------------------------------
struct view *view_create(struct worker *w)
{
    const struct cluster *cl = &w->run->cluster;
    struct view *v = calloc(1, sizeof(*v));
    SL_ASSERT(v);
    v->w = w;
    v->leaders = calloc(cl->parts_n + 1, sizeof(*v->leaders));
    v->nodes = calloc(cl->nodes_n + 1, sizeof(*v->nodes));
    SL_ASSERT(v->leaders && v->nodes);
    for (uint32_t i = 0; i < cl->parts_n; i++)
        v->leaders[i] = cl->parts[i].leader;
    memcpy(v->nodes, cl->nodes, cl->nodes_n * sizeof(*v->nodes));
    v->nodes_n = cl->nodes_n;
    timer_init(&v->timer, fire);
    return v;
}

void view_end(struct view *v)
{
    v->ended = true;
    timer_cancel(v->w->r, &v->timer);
    if (v->link.r)
        link_close(&v->link);
}

void view_destroy(struct view *v)
{
    link_request_free(&v->request);
    free(v->leaders);
    free(v->nodes);
    free(v);
}
