// A committer: commits offsets for its share of the groups, in turn, from outside of any group (no member, no generation),
// as consumers do that assign partitions themselves. One connection per coordinator. A request is due by the clock; when
// `inflight` of them are unanswered, the next ones wait and their intended times stand.
//
// A commit whose answer did not come, or says to try again, goes again after a pause, to whoever coordinates its group by
// then. Commits of one group may overtake each other that way; each of them is made.
#include "bench/load/run.h"

#include <stdlib.h>

#include "engine/base/kerr.h"
#include "proto/gen/find_coordinator_request.h"
#include "proto/gen/find_coordinator_response.h"
#include "proto/gen/offset_commit_request.h"
#include "proto/gen/offset_commit_response.h"

enum {
    KEY_OFFSET_COMMIT = 8,
    KEY_FIND_COORDINATOR = 10,
    VERSION = 9,
    PACE_SLICE_NS = 20000,
    HOLD_NS = 50000000
};

struct glane {
    struct link link;
    struct committer *c;
    struct redial redial;
    uint32_t in_flight;
};

struct ccall {
    struct link_call call;
    struct list_node node; // of `free` or `again`
    struct committer *c;
    struct glane *lane;
    struct link_request request;
    uint64_t due;
    uint32_t group, at, offsets; // at: number of the first partition
    int64_t offset;
};

// The question who coordinates a group; one at a time.
struct find {
    struct link_call call;
    struct link_request request;
    struct committer *c;
    uint32_t group;
    bool busy;
};

struct committer {
    struct worker *w;
    const struct plan *plan;
    uint32_t index;
    uint32_t group; // the next one
    uint64_t rounds;
    int64_t offset;
    struct glane *lanes; // by node
    uint32_t *nodes;     // coordinators of its groups, as places among the nodes
    struct list_node free, again;
    struct find find;
    uint32_t in_flight;  // with those that go again
    uint64_t hold_until; // those wait for it
    struct pace pace;
    struct timer timer;
    bool paced, begun, stopped, blocked, dead, ended;
};

static void pump(struct committer *c);

// ---- requests --------------------------------------------------------------------------------------------------------
static struct ccall *call_get(struct committer *c)
{
    struct list_node *n = list_pop_front(&c->free);
    if (n)
        return list_entry(n, struct ccall, node);
    struct ccall *q = calloc(1, sizeof(*q));
    SL_ASSERT(q);
    q->c = c;
    list_init(&q->node);
    return q;
}

// Fills in the topics of the call's partitions.
static void fill(const struct ccall *q, struct kp_offset_commit_request *m,
                 struct kp_offset_commit_request_offset_commit_request_topic *topics,
                 struct kp_offset_commit_request_offset_commit_request_partition *parts)
{
    const struct cluster *cl = &q->c->w->run->cluster;
    uint32_t last = UINT32_MAX;
    m->topics = topics;
    for (uint32_t k = 0; k < q->offsets; k++) {
        const struct part *p = &cl->parts[(q->at + k) % cl->parts_n];
        if (p->topic != last) {
            last = p->topic;
            topics[m->topics_n++] = (struct kp_offset_commit_request_offset_commit_request_topic){
                .name = kp_str_of(cl->topics[last].name), .partitions = &parts[k]};
        }
        topics[m->topics_n - 1].partitions_n++;
        kp_offset_commit_request_offset_commit_request_partition_init(&parts[k]);
        parts[k].partition_index = p->index;
        parts[k].committed_offset = q->offset;
    }
}

// ---- coordinators ----------------------------------------------------------------------------------------------------
static uint32_t *node_of(struct committer *c, uint32_t group)
{
    return &c->nodes[group / (uint32_t)c->plan->committers];
}

static void found(struct link_call *call, int rc, const uint8_t *body, uint32_t n)
{
    struct find *f = SL_CONTAINER_OF(call, struct find, call);
    struct committer *c = f->c;
    const struct cluster *cl = &c->w->run->cluster;
    struct kp_find_coordinator_response m;
    f->busy = false;
    arena_reset(&c->w->arena);
    if (rc || kp_find_coordinator_response_decode(&m, body, n, call->version, &c->w->arena) < 0 ||
        m.coordinators_n != 1 || m.coordinators[0].error_code)
        return; // the commit that goes again asks again
    for (uint32_t i = 0; i < cl->nodes_n; i++) {
        if (cl->nodes[i].id != m.coordinators[0].node_id)
            continue;
        *node_of(c, f->group) = i;
        if (c->lanes[i].link.broken && !c->ended)
            redial_start(&c->lanes[i].redial);
    }
}

static void find(struct committer *c, struct glane *l, uint32_t group)
{
    struct find *f = &c->find;
    struct kp_str key = kp_str_of(c->w->run->cluster.groups[group].name);
    struct kp_find_coordinator_request m;
    if (f->busy)
        return;
    kp_find_coordinator_request_init(&m);
    m.coordinator_keys = &key;
    m.coordinator_keys_n = 1;
    link_encode(&l->link, &f->call, &f->request, KEY_FIND_COORDINATOR,
                c->w->run->cluster.versions[KEY_FIND_COORDINATOR], &m);
    f->call.done = found;
    f->c = c;
    f->group = group;
    f->busy = true;
    link_send(&l->link, &f->call);
}

// ---- answers ---------------------------------------------------------------------------------------------------------
// The first error.
static int16_t error_of(struct worker *w, const uint8_t *body, uint32_t n)
{
    struct kp_offset_commit_response m;
    arena_reset(&w->arena);
    if (kp_offset_commit_response_decode(&m, body, n, VERSION, &w->arena) < 0)
        return KERR_UNKNOWN_SERVER_ERROR;
    for (int32_t t = 0; t < m.topics_n; t++)
        for (int32_t i = 0; i < m.topics[t].partitions_n; i++)
            if (m.topics[t].partitions[i].error_code)
                return m.topics[t].partitions[i].error_code;
    return 0;
}

static void again(struct ccall *q, uint64_t now)
{
    struct committer *c = q->c;
    c->w->now.retried++;
    c->hold_until = now + HOLD_NS;
    list_push_back(&c->again, &q->node);
    timer_set(c->w->r, &c->timer, c->hold_until);
}

static void over(struct ccall *q)
{
    list_push_back(&q->c->free, &q->node);
    q->c->in_flight--;
}

static void refused(struct ccall *q, int16_t error, uint64_t now)
{
    struct committer *c = q->c;
    if (!c->plan->reconnect || !kerr_retriable(error)) {
        stats_error(&c->w->now, "commit: %s", kerr_name(error));
        over(q);
        return;
    }
    c->w->now.refused++;
    if (error == KERR_NOT_COORDINATOR || error == KERR_COORDINATOR_NOT_AVAILABLE)
        find(c, q->lane, q->group);
    again(q, now);
}

static void answered(struct link_call *call, int rc, const uint8_t *body, uint32_t n)
{
    struct ccall *q = SL_CONTAINER_OF(call, struct ccall, call);
    struct committer *c = q->c;
    struct stats *s = &c->w->now;
    uint64_t now = io_now_ns(reactor_io(c->w->r));
    q->lane->in_flight--;
    if (rc && c->plan->reconnect && !c->ended) {
        again(q, now);
        return;
    }
    if (rc) {
        if (!c->stopped)
            stats_error(s, "commit: %s", strerror(-rc));
        over(q);
        return;
    }
    redial_works(&q->lane->redial);
    int16_t error = error_of(c->w, body, n);
    if (error) {
        refused(q, error, now);
    } else {
        over(q);
        s->acked += q->offsets;
        s->requests++;
        s->t_last_ack = now;
        worker_acked(c->w, now);
        if (q->due >= c->w->run->t_measure) {
            hist_record(&s->ack, (now - q->due) / 1000);
            hist_record(&s->service, (now - call->t_send) / 1000);
        }
    }
    pump(c);
}

// ---- what is due -----------------------------------------------------------------------------------------------------
static struct glane *lane_of(struct committer *c, uint32_t group)
{
    return &c->lanes[*node_of(c, group)];
}

static void call_send(struct ccall *q, struct glane *l)
{
    struct committer *c = q->c;
    struct kp_offset_commit_request m;
    struct arena *a = &c->w->arena;
    arena_reset(a);
    void *topics =
        arena_array(a, q->offsets, sizeof(struct kp_offset_commit_request_offset_commit_request_topic));
    void *parts =
        arena_array(a, q->offsets, sizeof(struct kp_offset_commit_request_offset_commit_request_partition));
    SL_ASSERT(topics && parts);
    kp_offset_commit_request_init(&m);
    m.group_id = kp_str_of(c->w->run->cluster.groups[q->group].name);
    m.member_id = kp_str_of("");
    m.generation_id_or_member_epoch = -1;
    fill(q, &m, topics, parts);
    q->lane = l;
    q->call.done = answered;
    q->call.no_answer = false;
    link_encode(&l->link, &q->call, &q->request, KEY_OFFSET_COMMIT, VERSION, &m);
    l->in_flight++;
    link_send(&l->link, &q->call);
}

static void commit(struct committer *c, struct glane *l, uint64_t due, uint64_t now)
{
    uint32_t n = (uint32_t)c->plan->commit_offsets;
    struct ccall *q = call_get(c);
    q->due = due;
    q->group = c->group;
    q->at = (uint32_t)(c->rounds * n);
    q->offsets = n;
    q->offset = ++c->offset;
    c->w->now.made += n;
    if (c->paced && !c->blocked && due >= c->w->run->t_measure)
        hist_record(&c->w->now.late, (now - due) / 1000);
    c->in_flight++;
    call_send(q, l);
    c->group += (uint32_t)c->plan->committers;
    if (c->group >= (uint32_t)c->plan->groups) {
        c->group = c->index;
        c->rounds++;
    }
}

static bool lane_takes(const struct committer *c, const struct glane *l)
{
    return l->in_flight < (uint32_t)c->plan->inflight && !l->link.broken;
}

// Those that go again, as far as their connections take them.
static void again_send(struct committer *c, uint64_t now)
{
    struct list_node left, *n;
    list_init(&left);
    if (now < c->hold_until || c->ended)
        return;
    while ((n = list_pop_front(&c->again))) {
        struct ccall *q = list_entry(n, struct ccall, node);
        struct glane *l = lane_of(c, q->group);
        if (lane_takes(c, l))
            call_send(q, l);
        else
            list_push_back(&left, n);
    }
    list_splice_back(&c->again, &left);
}

static void pump(struct committer *c)
{
    uint64_t now = io_now_ns(reactor_io(c->w->r)), end = c->w->run->t_end;
    if (__builtin_expect(!list_empty(&c->again), 0))
        again_send(c, now);
    while (c->begun && !c->stopped && now >= c->w->run->t_begin) {
        uint64_t due = c->paced ? c->pace.next : now;
        struct glane *l = lane_of(c, c->group);
        if (due >= end) {
            c->stopped = true;
            return;
        }
        if (due > now)
            break;
        if (!lane_takes(c, l)) {
            c->blocked = true; // an answer goes on with it
            return;
        }
        commit(c, l, due, now);
        if (c->paced)
            pace_advance(&c->pace);
    }
    c->blocked = false;
    if (c->paced && c->begun && !c->stopped)
        timer_set(c->w->r, &c->timer, SL_MAX(c->pace.next, now + PACE_SLICE_NS));
}

static void on_timer(struct timer *t)
{
    pump(SL_CONTAINER_OF(t, struct committer, timer));
}

static void lane_up(struct redial *rd)
{
    pump(SL_CONTAINER_OF(rd, struct glane, redial)->c);
}

static void lane_lost(struct redial *rd)
{
    struct glane *l = SL_CONTAINER_OF(rd, struct glane, redial);
    struct committer *c = l->c;
    for (uint32_t g = c->index; g < (uint32_t)c->plan->groups; g += (uint32_t)c->plan->committers)
        if (lane_of(c, g) == l)
            c->dead = true;
    if (c->dead)
        stats_error(&c->w->now, "commit: %s:%u does not come back", l->link.host, l->link.port);
}

static void on_broken(struct link *link)
{
    struct glane *l = link->owner;
    if (!l->c->plan->reconnect) {
        l->c->dead = true;
        return;
    }
    view_want(l->c->w->view);
    redial_start(&l->redial);
}

// ---- life ------------------------------------------------------------------------------------------------------------
struct committer *committer_create(struct worker *w, uint32_t index)
{
    struct committer *c = calloc(1, sizeof(*c));
    SL_ASSERT(c);
    c->w = w;
    c->plan = w->run->plan;
    c->index = c->group = index;
    c->paced = c->plan->rate > 0;
    c->lanes = calloc(w->run->cluster.nodes_n, sizeof(*c->lanes));
    c->nodes = calloc((size_t)(c->plan->groups / c->plan->committers) + 1, sizeof(*c->nodes));
    SL_ASSERT(c->lanes && c->nodes);
    for (uint32_t g = index; g < (uint32_t)c->plan->groups; g += (uint32_t)c->plan->committers)
        *node_of(c, g) = w->run->cluster.groups[g].node;
    list_init(&c->again);
    list_init(&c->free);
    timer_init(&c->timer, on_timer);
    return c;
}

void committer_begin(struct committer *c)
{
    struct run *run = c->w->run;
    double requests = c->plan->rate / (double)c->plan->commit_offsets; // a second, of all committers
    for (uint32_t i = 0; i < run->cluster.nodes_n; i++) {
        struct glane *l = &c->lanes[i];
        l->c = c;
        l->link.node_id = run->cluster.nodes[i].id;
        redial_init(&l->redial, c->w, &l->link, lane_up, lane_lost);
        redial_open(&l->redial, l, on_broken);
    }
    c->begun = true;
    if (c->paced)
        pace_init(&c->pace, requests / (double)c->plan->committers,
                  run->t_begin + (uint64_t)(1e9 / requests * c->index), c->plan->arrival == 1,
                  (uint64_t)c->plan->seed * 7919 + c->index);
    timer_set(c->w->r, &c->timer, run->t_begin);
}

void committer_stop(struct committer *c)
{
    c->stopped = true;
}

bool committer_done(const struct committer *c)
{
    return c->dead || (c->stopped && !c->in_flight);
}

bool committer_dead(const struct committer *c)
{
    return c->dead;
}

void committer_end(struct committer *c)
{
    c->stopped = c->ended = true;
    timer_cancel(c->w->r, &c->timer);
    for (uint32_t i = 0; i < c->w->run->cluster.nodes_n; i++) {
        c->lanes[i].link.on_broken = NULL;
        redial_cancel(&c->lanes[i].redial);
        link_close(&c->lanes[i].link);
    }
}

void committer_destroy(struct committer *c)
{
    struct list_node *n;
    list_splice_back(&c->free, &c->again);
    while ((n = list_pop_front(&c->free))) {
        struct ccall *q = list_entry(n, struct ccall, node);
        link_request_free(&q->request);
        free(q);
    }
    link_request_free(&c->find.request);
    free(c->nodes);
    free(c->lanes);
    free(c);
}
