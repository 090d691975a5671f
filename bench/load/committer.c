// A committer: commits offsets for its share of the groups, in turn, from outside of any group (no member, no generation),
// as consumers do that assign partitions themselves. One connection per coordinator. A request is due by the clock; when
// `inflight` of them are unanswered, the next ones wait and their intended times stand.
#include "bench/load/run.h"

#include <stdlib.h>

#include "engine/base/kerr.h"
#include "proto/gen/offset_commit_request.h"
#include "proto/gen/offset_commit_response.h"

enum { KEY_OFFSET_COMMIT = 8, VERSION = 9, PACE_SLICE_NS = 20000 };

struct glane {
    struct link link;
    uint32_t in_flight;
};

struct ccall {
    struct link_call call;
    struct list_node node; // of `free`
    struct committer *c;
    struct glane *lane;
    struct iovec iov;
    uint8_t *buf;
    size_t cap;
    uint64_t due;
    uint32_t offsets;
};

struct committer {
    struct worker *w;
    const struct plan *plan;
    uint32_t index;
    uint32_t group; // the next one
    uint64_t rounds;
    int64_t offset;
    struct glane *lanes; // by node
    struct list_node free;
    uint32_t in_flight;
    struct pace pace;
    struct timer timer;
    bool paced, begun, stopped, blocked, dead;
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

// Fills in the topics of `n` partitions from number `at` on.
static void fill(struct committer *c, uint32_t at, uint32_t n, struct kp_offset_commit_request *m,
                 struct kp_offset_commit_request_offset_commit_request_topic *topics,
                 struct kp_offset_commit_request_offset_commit_request_partition *parts)
{
    const struct cluster *cl = &c->w->run->cluster;
    uint32_t last = UINT32_MAX;
    m->topics = topics;
    for (uint32_t k = 0; k < n; k++) {
        const struct part *p = &cl->parts[(at + k) % cl->parts_n];
        if (p->topic != last) {
            last = p->topic;
            topics[m->topics_n++] = (struct kp_offset_commit_request_offset_commit_request_topic){
                .name = kp_str_of(cl->topics[last].name), .partitions = &parts[k]};
        }
        topics[m->topics_n - 1].partitions_n++;
        kp_offset_commit_request_offset_commit_request_partition_init(&parts[k]);
        parts[k].partition_index = p->index;
        parts[k].committed_offset = c->offset;
    }
}

static void encode(struct ccall *q, const struct kp_offset_commit_request *m)
{
    int64_t n = kp_offset_commit_request_size(m, VERSION);
    SL_ASSERT(n > 0);
    if (q->cap < LINK_HEAD_MAX + (size_t)n) {
        free(q->buf);
        q->cap = LINK_HEAD_MAX + (size_t)n;
        q->buf = malloc(q->cap);
        SL_ASSERT(q->buf);
    }
    uint32_t head = link_head(&q->lane->link, &q->call, KEY_OFFSET_COMMIT, VERSION, (uint32_t)n, q->buf);
    struct kp_writer w = {.buf = q->buf + head, .cap = (size_t)n};
    SL_ASSERT(kp_offset_commit_request_encode(m, VERSION, &w) == 0);
    q->iov = (struct iovec){q->buf, head + w.len};
    q->call.iov = &q->iov;
    q->call.iov_n = 1;
    q->call.bytes = (uint32_t)q->iov.iov_len;
}

static uint64_t errors_of(struct worker *w, const uint8_t *body, uint32_t n)
{
    struct kp_offset_commit_response m;
    uint64_t before = w->now.errors;
    arena_reset(&w->arena);
    if (kp_offset_commit_response_decode(&m, body, n, VERSION, &w->arena) < 0) {
        stats_error(&w->now, "commit: an answer that cannot be read");
        return 1;
    }
    for (int32_t t = 0; t < m.topics_n; t++)
        for (int32_t i = 0; i < m.topics[t].partitions_n; i++)
            if (m.topics[t].partitions[i].error_code)
                stats_error(&w->now, "commit: %s", kerr_name(m.topics[t].partitions[i].error_code));
    return w->now.errors - before;
}

static void answered(struct link_call *call, int rc, const uint8_t *body, uint32_t n)
{
    struct ccall *q = SL_CONTAINER_OF(call, struct ccall, call);
    struct committer *c = q->c;
    struct stats *s = &c->w->now;
    uint64_t now = io_now_ns(reactor_io(c->w->r));
    list_push_back(&c->free, &q->node);
    c->in_flight--;
    q->lane->in_flight--;
    if (rc) {
        if (!c->stopped)
            stats_error(s, "commit: %s", strerror(-rc));
        return;
    }
    if (!errors_of(c->w, body, n)) {
        s->acked += q->offsets;
        s->requests++;
        s->t_last_ack = now;
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
    const struct cluster *cl = &c->w->run->cluster;
    return &c->lanes[cl->groups[group].node];
}

static void commit(struct committer *c, struct glane *l, uint64_t due, uint64_t now)
{
    uint32_t n = (uint32_t)c->plan->commit_offsets;
    struct kp_offset_commit_request m;
    struct arena *a = &c->w->arena;
    struct ccall *q = call_get(c);
    arena_reset(a);
    void *topics = arena_array(a, n, sizeof(struct kp_offset_commit_request_offset_commit_request_topic));
    void *parts = arena_array(a, n, sizeof(struct kp_offset_commit_request_offset_commit_request_partition));
    SL_ASSERT(topics && parts);
    kp_offset_commit_request_init(&m);
    m.group_id = kp_str_of(c->w->run->cluster.groups[c->group].name);
    m.member_id = kp_str_of("");
    m.generation_id_or_member_epoch = -1;
    c->offset++;
    fill(c, (uint32_t)(c->rounds * n), n, &m, topics, parts);
    q->lane = l;
    q->due = due;
    q->offsets = n;
    q->call.done = answered;
    q->call.no_answer = false;
    encode(q, &m);
    c->w->now.made += n;
    if (c->paced && !c->blocked && due >= c->w->run->t_measure)
        hist_record(&c->w->now.late, (now - due) / 1000);
    c->in_flight++;
    l->in_flight++;
    link_send(&l->link, &q->call);
    c->group += (uint32_t)c->plan->committers;
    if (c->group >= (uint32_t)c->plan->groups) {
        c->group = c->index;
        c->rounds++;
    }
}

static void pump(struct committer *c)
{
    uint64_t now = io_now_ns(reactor_io(c->w->r)), end = c->w->run->t_end;
    while (c->begun && !c->stopped && now >= c->w->run->t_begin) {
        uint64_t due = c->paced ? c->pace.next : now;
        struct glane *l = lane_of(c, c->group);
        if (due >= end) {
            c->stopped = true;
            return;
        }
        if (due > now)
            break;
        if (l->in_flight >= (uint32_t)c->plan->inflight || l->link.broken) {
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

static void on_broken(struct link *l)
{
    struct committer *c = l->owner;
    c->dead = true;
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
    SL_ASSERT(c->lanes);
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
        link_open(&l->link, c->w->r, run->cluster.nodes[i].host, run->cluster.nodes[i].port);
        l->link.owner = c;
        l->link.on_broken = on_broken;
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
    c->stopped = true;
    timer_cancel(c->w->r, &c->timer);
    for (uint32_t i = 0; i < c->w->run->cluster.nodes_n; i++) {
        c->lanes[i].link.on_broken = NULL;
        link_close(&c->lanes[i].link);
    }
}

void committer_destroy(struct committer *c)
{
    struct list_node *n;
    while ((n = list_pop_front(&c->free))) {
        struct ccall *q = list_entry(n, struct ccall, node);
        free(q->buf);
        free(q);
    }
    free(c->lanes);
    free(c);
}
