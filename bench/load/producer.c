// A producer: batches per partition, requests per leader, as Kafka's own producer forms them: a request takes
// one batch of each partition that is ready, and at most `inflight` requests of a connection are unanswered.
//
// As fast as possible, every request is made of full batches when there is room for it. Paced, records come
// due by the clock, whatever the broker does: when `buffer.bytes` are unanswered nothing more is made, but the
// intended times stand, so that latency counts from when the record should have been sent.
//
// After a lost connection or an answer that says to try again, a batch waits on its partition's `retry` list with the
// sequence it has. Such a partition is muted: nothing new of it is sent until what is in flight has come back; then its
// batches go again in their order, one at a time, to whoever leads it by then. Nothing of it is lost, and with
// idempotence nothing is there twice.
#include "bench/load/producer_private.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/kerr.h"
#include "proto/gen/produce_response.h"

enum { PACE_SLICE_NS = 20000, HOLD_NS = 50000000 };

static void pump(struct producer *p);

// ---- answers ------------------------------------------------------------------------------------------------------
// Members of groups have to read up to here.
static void end_acked(_Atomic int64_t *end, int64_t next)
{
    int64_t seen = atomic_load_explicit(end, memory_order_relaxed);
    while (seen < next && !atomic_compare_exchange_weak(end, &seen, next))
        ;
}

static void batch_acked(struct producer *p, const struct preq *q, const struct pbatch *b, uint64_t now)
{
    struct stats *s = &p->w->now;
    uint64_t measure = p->w->run->t_measure;
    s->acked += b->n;
    s->acked_bytes += b->prep->payload[b->n];
    s->acked_wire += BATCH_HEADER_SIZE + b->len;
    s->batches++;
    s->t_last_ack = now;
    if (!p->paced) {
        hist_record_n(&s->ack, (now - b->made) / 1000, b->n);
        return;
    }
    for (uint32_t i = 0; i < b->n; i++)
        if (b->due[i] >= measure || now < measure)
            hist_record(&s->ack, now > b->due[i] ? (now - b->due[i]) / 1000 : 0);
}

static struct pbatch *batch_find(const struct preq *q, const struct topic *topics, int16_t version,
                                 const struct kp_produce_response_topic_produce_response *t, int32_t index,
                                 uint32_t hint)
{
    for (uint32_t i = 0; i < q->n; i++) {
        struct pbatch *b = q->batches[(hint + i) % q->n];
        const struct topic *topic = &topics[b->part->part->topic];
        bool same =
            version >= 13 ? sl_uuid_eq(&topic->id, &t->topic_id) : kp_str_eq(kp_str_of(topic->name), t->name);
        if (same && b->part->part->index == index)
            return b;
    }
    return NULL;
}

// Whether a batch that got this error goes again. Behind one that was lost, those that were sent after it are out of order.
static bool goes_again(const struct producer *p, const struct pbatch *b, int16_t error)
{
    if (!p->plan->reconnect)
        return false;
    return error == KERR_OUT_OF_ORDER_SEQUENCE_NUMBER ? !list_empty(&b->part->retry) : kerr_retriable(error);
}

static void batch_answered(struct preq *q, struct pbatch *b,
                           const struct kp_produce_response_partition_produce_response *a, uint64_t now)
{
    struct producer *p = q->lane->p;
    const struct cluster *cl = &p->w->run->cluster;
    uint32_t part = (uint32_t)(b->part->part - cl->parts);
    if (!a->error_code || (a->error_code == KERR_DUPLICATE_SEQUENCE_NUMBER && p->plan->reconnect)) {
        batch_acked(p, q, b, now);
        if (cl->acked_end && a->base_offset >= 0)
            end_acked(&cl->acked_end[part], a->base_offset + b->n);
    } else if (goes_again(p, b, a->error_code)) {
        b->again = true;
        p->w->now.refused++;
        p->hold_until = now + HOLD_NS;
        view_want(p->w->view);
    } else {
        stats_error(&p->w->now, "%s-%d: %s", cl->topics[b->part->part->topic].name, a->index,
                    kerr_name(a->error_code));
    }
}

static void answer_take(struct preq *q, const struct kp_produce_response *m, uint64_t now)
{
    struct producer *p = q->lane->p;
    struct stats *s = &p->w->now;
    const struct topic *topics = p->w->run->cluster.topics;
    uint32_t k = 0;
    for (int32_t t = 0; t < m->responses_n; t++) {
        for (int32_t i = 0; i < m->responses[t].partition_responses_n; i++, k++) {
            const struct kp_produce_response_partition_produce_response *a =
                &m->responses[t].partition_responses[i];
            struct pbatch *b = batch_find(q, topics, q->call.version, &m->responses[t], a->index, k);
            if (!b)
                stats_error(s, "an answer names partition %d, which was not sent", a->index);
            else
                batch_answered(q, b, a, now);
        }
    }
    if (k != q->n)
        stats_error(s, "an answer of %u partitions to a request of %u", k, q->n);
}

// The connection is gone: whether the broker has the batches is not known.
static void req_lost(struct preq *q, int rc)
{
    struct producer *p = q->lane->p;
    if (p->plan->reconnect && !p->ended) {
        for (uint32_t i = 0; i < q->n; i++)
            q->batches[i]->again = true;
    } else if (!p->stopped || rc != -ECANCELED) {
        stats_error(&p->w->now, "produce: %s", strerror(-rc));
    }
}

static void part_ready(struct ppart *part);
static bool front_ready(const struct producer *p, const struct ppart *part);

// Nothing of a muted partition is in flight: it sends again, or goes on.
static void part_settle(struct producer *p, struct ppart *part)
{
    if (!part->muted || part->inflight)
        return;
    if (!list_empty(&part->retry)) {
        if (!list_linked(&part->again))
            list_push_back(&part->lane->again, &part->again);
        return;
    }
    part->muted = false;
    if (!list_empty(&part->batches) && (front_ready(p, part) || !list_linked(&part->lingering)))
        part_ready(part);
}

static void batch_again(struct pbatch *b)
{
    struct ppart *part = b->part;
    struct list_node *at = part->retry.prev;
    while (at != &part->retry && list_entry(at, struct pbatch, node)->order > b->order)
        at = at->prev;
    list_insert_before(at->next, &b->node);
    part->muted = true;
    list_remove(&part->ready);
    part->lane->p->w->now.retried++;
}

static void req_over(struct preq *q)
{
    struct producer *p = q->lane->p;
    for (uint32_t i = 0; i < q->n; i++) {
        struct pbatch *b = q->batches[i];
        struct ppart *part = b->part;
        part->inflight--;
        if (b->again)
            batch_again(b);
        else
            batch_put(p, b);
        if (part->muted)
            part_settle(p, part);
    }
    list_push_front(&p->reqs_free, &q->node);
}

static void req_done(struct link_call *call, int rc, const uint8_t *body, uint32_t n)
{
    struct preq *q = SL_CONTAINER_OF(call, struct preq, call);
    struct lane *l = q->lane;
    struct producer *p = l->p;
    struct kp_produce_response m;
    uint64_t now = io_now_ns(reactor_io(p->w->r));
    l->inflight--;
    p->w->now.requests++;
    arena_reset(&p->w->arena);
    if (rc) {
        req_lost(q, rc);
    } else if (call->no_answer) {
        for (uint32_t i = 0; i < q->n; i++)
            batch_acked(p, q, q->batches[i], now);
    } else if (kp_produce_response_decode(&m, body, n, call->version, &p->w->arena) < 0) {
        stats_error(&p->w->now, "produce: an answer that cannot be read");
    } else {
        uint32_t records = 0;
        for (uint32_t i = 0; i < q->n; i++)
            records += q->batches[i]->n;
        hist_record_n(&p->w->now.service, (now - call->t_send) / 1000, records);
        answer_take(q, &m, now);
    }
    req_over(q);
    if (rc)
        return;
    redial_works(&l->redial);
    if (p->w->now.t_last_ack == now)
        worker_acked(p->w, now);
    pump(p);
}

// ---- making requests ----------------------------------------------------------------------------------------------
static void req_send(struct preq *q)
{
    struct lane *l = q->lane;
    for (uint32_t i = 0; i < q->n; i++) {
        q->batches[i]->again = false;
        q->batches[i]->part->inflight++;
    }
    req_make(q, reactor_wall_ms(l->p->w->r));
    q->call.done = req_done;
    q->call.no_answer = l->p->plan->acks == PLAN_ACKS_NONE;
    l->inflight++;
    link_send(&l->link, &q->call);
}

static void part_ready(struct ppart *part)
{
    if (!list_linked(&part->ready) && !part->muted)
        list_push_back(&part->lane->ready, &part->ready);
}

// Whether the front batch may go: it is not the one that still fills, or it may not wait.
static bool front_ready(const struct producer *p, const struct ppart *part)
{
    struct list_node *first = list_first(&part->batches);
    if (!first)
        return false;
    const struct pbatch *b = list_entry(first, struct pbatch, node);
    return first != list_last(&part->batches) || b->n == b->prep->max_n || p->linger_ns == 0 || p->stopped;
}

static struct preq *paced_request(struct lane *l)
{
    struct preq *q = NULL;
    uint32_t bytes = 0;
    struct list_node again, *n;
    list_init(&again);
    while ((n = list_first(&l->ready)) && (!q || q->n < REQ_BATCHES)) {
        struct ppart *part = list_entry(n, struct ppart, ready);
        struct pbatch *b = list_entry(list_first(&part->batches), struct pbatch, node);
        uint32_t size = b->prep->ends[b->n] + BATCH_HEADER_SIZE;
        if (q && bytes + size > l->p->plan->request_bytes)
            break;
        q = q ? q : req_get(l);
        bytes += size;
        list_remove(n);
        list_remove(&b->node);
        if (list_empty(&part->batches)) // else the one that fills goes on lingering
            list_remove(&part->lingering);
        q->batches[q->n++] = b;
        if (front_ready(l->p, part))
            list_push_back(&again, &part->ready);
    }
    list_splice_back(&l->ready, &again);
    return q;
}

static struct preq *full_request(struct lane *l, uint64_t now)
{
    struct producer *p = l->p;
    struct preq *q = req_get(l);
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < SL_MIN(l->parts_n, (uint32_t)REQ_BATCHES); i++) {
        if (__builtin_expect(l->parts[l->next]->muted, 0)) {
            l->next = l->next + 1 == l->parts_n ? 0 : l->next + 1;
            continue;
        }
        struct pbatch *b = batch_get(p, l->parts[l->next]);
        uint64_t left = p->limit ? p->limit - p->made : UINT64_MAX;
        uint32_t n = (uint32_t)SL_MIN((uint64_t)b->prep->max_n, left);
        uint32_t size = b->prep->ends[n] + BATCH_HEADER_SIZE;
        if (n == 0 || (q->n && bytes + size > p->plan->request_bytes)) {
            batch_put(p, b);
            break;
        }
        l->next = l->next + 1 == l->parts_n ? 0 : l->next + 1;
        b->n = n;
        b->made = now;
        bytes += size;
        p->made += n;
        p->held += b->prep->ends[n];
        p->w->now.made += n;
        q->batches[q->n++] = b;
    }
    if (q->n)
        return q;
    list_push_front(&p->reqs_free, &q->node);
    return NULL;
}

// One batch of each partition that sends again.
static struct preq *again_request(struct lane *l)
{
    struct preq *q = NULL;
    uint32_t bytes = 0;
    struct list_node *n;
    while ((n = list_first(&l->again)) && (!q || q->n < REQ_BATCHES)) {
        struct ppart *part = list_entry(n, struct ppart, again);
        struct pbatch *b = list_entry(list_first(&part->retry), struct pbatch, node);
        uint32_t size = BATCH_HEADER_SIZE + b->len;
        if (q && bytes + size > l->p->plan->request_bytes)
            break;
        q = q ? q : req_get(l);
        bytes += size;
        list_remove(n);
        list_remove(&b->node);
        q->batches[q->n++] = b;
    }
    return q;
}

static void lane_fill(struct lane *l, uint64_t now)
{
    struct producer *p = l->p;
    while (l->inflight < p->plan->inflight && !l->link.broken) {
        struct preq *q = NULL;
        if (__builtin_expect(!list_empty(&l->again), 0) && now >= p->hold_until)
            q = again_request(l);
        if (q) {
            req_send(q);
            continue;
        }
        if (p->paced)
            q = list_empty(&l->ready) ? NULL : paced_request(l);
        else if (!p->stopped && l->parts_n)
            q = full_request(l, now);
        if (!q)
            return;
        req_send(q);
    }
}

// ---- paced records ------------------------------------------------------------------------------------------------
static uint32_t zipf_draw(struct producer *p)
{
    double x = sl_rand_double(&p->rand) * p->zipf[p->parts_n - 1];
    uint32_t lo = 0, hi = p->parts_n - 1;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (p->zipf[mid] < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct ppart *part_choose(struct producer *p)
{
    switch ((enum plan_spread)p->plan->spread) {
    case PLAN_RANDOM:
        return &p->parts[sl_rand_below(&p->rand, p->parts_n)];
    case PLAN_ZIPF:
        return &p->parts[zipf_draw(p)];
    case PLAN_STICKY: { // the next one when the batch is gone or full
        struct ppart *part = &p->parts[p->turn];
        struct list_node *last = list_last(&part->batches);
        if (!last ||
            list_entry(last, struct pbatch, node)->n == list_entry(last, struct pbatch, node)->prep->max_n)
            p->turn = p->turn + 1 == p->parts_n ? 0 : p->turn + 1;
        return &p->parts[p->turn];
    }
    default:
        p->turn = p->turn + 1 == p->parts_n ? 0 : p->turn + 1;
        return &p->parts[p->turn];
    }
}

static struct pbatch *open_batch(struct producer *p, struct ppart *part, uint64_t now)
{
    struct list_node *last = list_last(&part->batches);
    struct pbatch *b = last ? list_entry(last, struct pbatch, node) : NULL;
    if (b && b->n < b->prep->max_n)
        return b;
    b = batch_get(p, part);
    if (b->n_cap < b->prep->max_n) {
        free(b->due);
        b->n_cap = b->prep->max_n;
        b->due = malloc(b->n_cap * sizeof(*b->due));
        SL_ASSERT(b->due);
    }
    list_push_back(&part->batches, &b->node);
    list_remove(&part->lingering);
    part->linger_at = now + p->linger_ns;
    if (p->linger_ns)
        list_push_back(&p->lingering, &part->lingering);
    return b;
}

static void record_add(struct producer *p, uint64_t due, uint64_t now)
{
    struct ppart *part = part_choose(p);
    struct pbatch *b = open_batch(p, part, now);
    p->held += b->prep->ends[b->n + 1] - b->prep->ends[b->n];
    b->due[b->n++] = due;
    p->made++;
    p->w->now.made++;
    if (due >= p->blocked_until)
        hist_record(&p->w->now.late, (now - due) / 1000);
    if (front_ready(p, part))
        part_ready(part);
}

static void make_due(struct producer *p, uint64_t now)
{
    const struct run *run = p->w->run;
    if (p->stopped)
        return;
    while (p->pace.next <= now) {
        if ((p->limit && p->made >= p->limit) || (run->t_end && p->pace.next >= run->t_end)) {
            p->stopped = true;
            break;
        }
        if (p->held >= (uint64_t)p->plan->buffer_bytes) {
            p->blocked = true;
            return;
        }
        if (p->blocked)
            p->blocked_until = now;
        p->blocked = false;
        record_add(p, p->pace.next, now);
        pace_advance(&p->pace);
    }
}

static void linger_expire(struct producer *p, uint64_t now)
{
    struct list_node *n;
    while ((n = list_first(&p->lingering))) {
        struct ppart *part = list_entry(n, struct ppart, lingering);
        if (part->linger_at > now && !p->stopped)
            break;
        list_remove(n);
        if (!list_empty(&part->batches))
            part_ready(part);
    }
}

static void set_timer(struct producer *p, uint64_t now)
{
    uint64_t at = UINT64_MAX;
    struct list_node *n = list_first(&p->lingering);
    if (p->paced && !p->stopped && !p->blocked)
        at = SL_MAX(p->pace.next, now + PACE_SLICE_NS);
    if (n)
        at = SL_MIN(at, list_entry(n, struct ppart, lingering)->linger_at);
    if (!p->paced && !p->stopped && p->w->run->t_end)
        at = p->w->run->t_end;
    if (p->hold_until > now)
        at = SL_MIN(at, p->hold_until);
    if (at != UINT64_MAX)
        timer_set(p->w->r, &p->timer, at);
}

static void pump(struct producer *p)
{
    uint64_t now = io_now_ns(reactor_io(p->w->r));
    const struct run *run = p->w->run;
    if (!p->begun || now < run->t_begin)
        return;
    if (p->paced) {
        make_due(p, now);
        linger_expire(p, now);
    } else if ((run->t_end && now >= run->t_end) || (p->limit && p->made >= p->limit)) {
        p->stopped = true;
    }
    for (uint32_t i = 0; i < p->lanes_n; i++)
        lane_fill(p->lanes[i], now);
    set_timer(p, now);
}

static void on_timer(struct timer *t)
{
    pump(SL_CONTAINER_OF(t, struct producer, timer));
}

// ---- leaders --------------------------------------------------------------------------------------------------------
static void lane_up(struct redial *rd)
{
    pump(SL_CONTAINER_OF(rd, struct lane, redial)->p);
}

static void lane_lost(struct redial *rd)
{
    struct lane *l = SL_CONTAINER_OF(rd, struct lane, redial);
    if (!l->parts_n)
        return;
    l->p->dead = true;
    stats_error(&l->p->w->now, "produce: %s:%u does not come back", l->link.host, l->link.port);
}

static void on_broken(struct link *l)
{
    struct lane *lane = l->owner;
    if (!lane->p->plan->reconnect) {
        lane->p->dead = true;
        return;
    }
    view_want(lane->p->w->view);
    if (lane->parts_n)
        redial_start(&lane->redial);
}

static struct lane *lane_of(struct producer *p, int32_t leader)
{
    for (uint32_t i = 0; i < p->lanes_n; i++)
        if (p->lanes[i]->link.node_id == leader)
            return p->lanes[i];
    struct lane *l = calloc(1, sizeof(*l));
    p->lanes = realloc(p->lanes, (p->lanes_n + 1) * sizeof(struct lane *));
    SL_ASSERT(l && p->lanes);
    p->lanes[p->lanes_n++] = l;
    l->p = p;
    l->link.node_id = leader;
    list_init(&l->ready);
    list_init(&l->again);
    redial_init(&l->redial, p->w, &l->link, lane_up, lane_lost);
    l->parts = calloc(p->parts_cap, sizeof(struct ppart *));
    SL_ASSERT(l->parts);
    return l;
}

// What is in flight comes home on the old connection before anything leaves on the new one.
static void part_move(struct producer *p, struct ppart *part, struct lane *to)
{
    struct lane *from = part->lane;
    uint32_t i = 0;
    while (from->parts[i] != part)
        i++;
    memmove(&from->parts[i], &from->parts[i + 1], (from->parts_n - i - 1) * sizeof(struct ppart *));
    from->parts_n--;
    from->next = from->next < from->parts_n ? from->next : 0;
    list_remove(&part->ready);
    list_remove(&part->again);
    part->lane = to;
    to->parts[to->parts_n++] = part;
    part->muted |= part->inflight > 0;
    if (part->muted)
        part_settle(p, part);
    else if (!list_empty(&part->batches))
        part_ready(part);
    if (!to->link.r)
        redial_open(&to->redial, to, on_broken);
    else if (to->link.broken)
        redial_start(&to->redial);
}

void producer_moved(struct producer *p)
{
    const struct cluster *cl = &p->w->run->cluster;
    if (p->ended || p->dead)
        return;
    for (uint32_t i = 0; i < p->parts_n; i++) {
        int32_t leader = view_leader(p->w->view, (uint32_t)(p->parts[i].part - cl->parts));
        if (leader >= 0 && leader != p->parts[i].lane->link.node_id)
            part_move(p, &p->parts[i], lane_of(p, leader));
    }
    pump(p);
}

// ---- life ---------------------------------------------------------------------------------------------------------
// With as many producers as topics or more, each has one topic; with fewer, each has its share of them.
static bool is_mine(const struct producer *p, uint32_t topic)
{
    uint32_t topics = p->w->run->cluster.topics_n, producers = (uint32_t)p->plan->producers;
    return producers >= topics ? p->index % topics == topic : topic % producers == p->index;
}

static void parts_take(struct producer *p)
{
    struct cluster *cl = &p->w->run->cluster;
    p->parts = calloc(cl->parts_n, sizeof(*p->parts));
    p->parts_cap = cl->parts_n;
    p->zipf = calloc(cl->parts_n, sizeof(*p->zipf));
    SL_ASSERT(p->parts && p->zipf);
    for (uint32_t i = 0; i < cl->parts_n; i++) {
        if (!is_mine(p, cl->parts[i].topic))
            continue;
        uint32_t k = p->parts_n++;
        p->parts[k].part = &cl->parts[i];
        p->parts[k].lane = lane_of(p, cl->parts[i].leader);
        list_init(&p->parts[k].batches);
        list_init(&p->parts[k].ready);
        list_init(&p->parts[k].lingering);
        list_init(&p->parts[k].retry);
        list_init(&p->parts[k].again);
        p->zipf[k] = (k ? p->zipf[k - 1] : 0) + 1.0 / (k + 1);
    }
    for (uint32_t i = 0; i < p->lanes_n; i++) {
        struct lane *l = p->lanes[i];
        for (uint32_t k = 0; k < p->parts_n; k++)
            if (p->parts[k].lane == l)
                l->parts[l->parts_n++] = &p->parts[k];
        l->next = l->parts_n ? p->index % l->parts_n : 0; // producers begin at different places
    }
}

struct producer *producer_create(struct worker *w, uint32_t index)
{
    const struct plan *plan = w->run->plan;
    struct producer *p = calloc(1, sizeof(*p));
    SL_ASSERT(p);
    p->w = w;
    p->plan = plan;
    p->index = index;
    p->prep_turn = index;
    p->linger_ns = (uint64_t)(plan->linger_ms * 1e6);
    p->paced = plan->rate > 0;
    p->limit = (uint64_t)(plan->records / plan->producers) + (index < plan->records % plan->producers);
    p->stopped = plan->records && !p->limit;
    sl_rand_seed(&p->rand, (uint64_t)plan->seed + index);
    list_init(&p->lingering);
    list_init(&p->batches_free);
    list_init(&p->reqs_free);
    timer_init(&p->timer, on_timer);
    parts_take(p);
    if (p->parts_n)
        p->turn = index % p->parts_n;
    return p;
}

void producer_begin(struct producer *p)
{
    struct run *run = p->w->run;
    double rate = p->plan->rate / (double)p->plan->producers;
    for (uint32_t i = 0; i < p->lanes_n; i++)
        redial_open(&p->lanes[i]->redial, p->lanes[i], on_broken);
    p->begun = true;
    if (p->paced) { // producers take turns within one gap
        uint64_t shift = (uint64_t)(1e9 / p->plan->rate * p->index);
        pace_init(&p->pace, rate, run->t_begin + shift, p->plan->arrival == 1,
                  (uint64_t)p->plan->seed * 7919 + p->index);
        pace_pauses(&p->pace, (uint64_t)(p->plan->pause_every_s * 1e9), (uint64_t)(p->plan->pause_s * 1e9));
    }
    timer_set(p->w->r, &p->timer, run->t_begin);
}

void producer_set_rate(struct producer *p, double rate)
{
    SL_ASSERT(p->paced);
    if (rate <= 0)
        p->stopped = true;
    else
        pace_set_rate(&p->pace, rate, io_now_ns(reactor_io(p->w->r)));
    pump(p);
}

bool producer_done(const struct producer *p)
{
    return p->dead || (p->stopped && p->held == 0);
}

bool producer_dead(const struct producer *p)
{
    return p->dead;
}

void producer_end(struct producer *p)
{
    p->stopped = p->ended = true;
    timer_cancel(p->w->r, &p->timer);
    for (uint32_t i = 0; i < p->lanes_n; i++) {
        p->lanes[i]->link.on_broken = NULL;
        redial_cancel(&p->lanes[i]->redial);
        link_close(&p->lanes[i]->link);
    }
}

static void batches_free(struct list_node *list)
{
    struct list_node *n;
    while ((n = list_pop_front(list))) {
        struct pbatch *b = list_entry(n, struct pbatch, node);
        free(b->due);
        free(b->own);
        free(b);
    }
}

void producer_destroy(struct producer *p)
{
    struct list_node *n;
    for (uint32_t i = 0; i < p->parts_n; i++) {
        batches_free(&p->parts[i].batches);
        batches_free(&p->parts[i].retry);
    }
    batches_free(&p->batches_free);
    while ((n = list_pop_front(&p->reqs_free))) {
        struct preq *q = list_entry(n, struct preq, node);
        free(q->buf);
        free(q);
    }
    for (uint32_t i = 0; i < p->lanes_n; i++) {
        free(p->lanes[i]->parts);
        free(p->lanes[i]);
    }
    free(p->lanes);
    free(p->parts);
    free(p->zipf);
    free(p);
}
