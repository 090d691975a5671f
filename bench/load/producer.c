// A producer: batches per partition, requests per leader, as Kafka's own producer forms them: a request takes
// one batch of each partition that is ready, and at most `inflight` requests of a connection are unanswered.
//
// As fast as possible, every request is made of full batches when there is room for it. Paced, records come
// due by the clock, whatever the broker does: when `buffer.bytes` are unanswered nothing more is made, but the
// intended times stand, so that latency counts from when the record should have been sent.
#include "bench/load/run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/kerr.h"
#include "proto/gen/produce_request.h"
#include "proto/gen/produce_response.h"

enum { REQ_BATCHES = 128, PACE_SLICE_NS = 20000 };

struct lane;

struct pbatch {
    struct list_node node; // on ppart->batches, or free
    struct ppart *part;
    const struct prep *prep;
    uint32_t n, n_cap;
    uint64_t *due; // paced: of each record
    uint64_t made; // else
    uint8_t head[BATCH_HEADER_SIZE];
    const uint8_t *body;
    uint32_t len;
    uint8_t *own; // stamped or compressed
    size_t own_cap;
};

// One of the producer's partitions.
struct ppart {
    const struct part *part;
    struct lane *lane;
    int32_t sequence;
    uint64_t stamp_sequence;
    struct list_node batches;   // paced: to be sent; the last one may be filling
    struct list_node ready;     // on lane->ready
    struct list_node lingering; // on producer->lingering
    uint64_t linger_at;
};

struct preq {
    struct link_call call;
    struct list_node node; // free
    struct lane *lane;
    struct pbatch *batches[REQ_BATCHES];
    uint32_t n;
    uint8_t *buf;
    size_t buf_cap;
    struct iovec iov[3 * REQ_BATCHES + 2];
};

// The connection to one leader.
struct lane {
    struct link link;
    struct producer *p;
    struct ppart **parts; // as fast as possible: in turn
    uint32_t parts_n, next;
    struct list_node ready; // paced: partitions with a batch to send
    uint32_t inflight;
};

struct producer {
    struct worker *w;
    const struct plan *plan;
    uint32_t index;
    struct ppart *parts;
    uint32_t parts_n, turn;
    double *zipf; // cumulative weights
    struct lane *lanes;
    uint32_t lanes_n;
    struct pace pace;
    struct sl_rand rand;
    struct timer timer;
    struct list_node lingering, batches_free, reqs_free;
    uint64_t linger_ns, held, made, limit; // limit: records to make in all
    uint64_t blocked_until;                // records due before it were held up by the broker, not by us
    uint32_t prep_turn;
    bool paced, stopped, blocked, dead, begun;
};

static void pump(struct producer *p);

// ---- batches ------------------------------------------------------------------------------------------------------
static struct pbatch *batch_get(struct producer *p, struct ppart *part)
{
    struct run *run = p->w->run;
    struct list_node *n = list_pop_front(&p->batches_free);
    struct pbatch *b = n ? list_entry(n, struct pbatch, node) : calloc(1, sizeof(*b));
    SL_ASSERT(b);
    b->part = part;
    b->n = 0;
    b->prep = run->preps[p->prep_turn++ % run->preps_n];
    list_init(&b->node);
    return b;
}

static void batch_put(struct producer *p, struct pbatch *b)
{
    p->held -= b->prep->ends[b->n];
    list_push_front(&p->batches_free, &b->node);
}

static void batch_own(struct pbatch *b, size_t n)
{
    if (b->own_cap >= n)
        return;
    free(b->own);
    b->own = malloc(n);
    b->own_cap = n;
    SL_ASSERT(b->own);
}

static void batch_stamp(struct producer *p, struct pbatch *b, uint8_t *records)
{
    struct prep_stamp s = {.producer = p->index};
    for (uint32_t i = 0; i < b->n; i++) {
        uint64_t due = p->paced ? b->due[i] : b->made;
        s.sequence = b->part->stamp_sequence++;
        s.time_us = (uint64_t)((int64_t)(due / 1000) + p->w->run->wall_offset_us);
        prep_stamp_write(records + b->prep->value[i], &s);
    }
}

// The records as they are sent, when they are not those of the prep.
static void batch_body(struct producer *p, struct pbatch *b)
{
    const struct plan *plan = p->plan;
    uint32_t n = b->prep->ends[b->n];
    uint8_t *records = b->prep->records;
    size_t bound = plan->compression ? compress_bound((unsigned)plan->compression, n) : 0;
    batch_own(b, n + bound);
    b->body = b->own;
    b->len = n;
    if (plan->stamp) {
        memcpy(b->own, records, n);
        records = b->own;
        batch_stamp(p, b, records);
    }
    if (!plan->compression)
        return;
    ssize_t packed = compress_all(&p->w->pack, (unsigned)plan->compression, COMPRESS_LEVEL_DEFAULT, records,
                                  n, b->own + n, bound);
    SL_ASSERT(packed > 0);
    b->body = b->own + n;
    b->len = (uint32_t)packed;
}

static void batch_finish(struct producer *p, struct pbatch *b, int64_t wall_ms)
{
    const struct plan *plan = p->plan;
    struct cluster *cl = &p->w->run->cluster;
    struct prep_header h = {.time_ms = wall_ms,
                            .producer_id = cl->producers[p->index].id,
                            .epoch = cl->producers[p->index].epoch,
                            .sequence = plan->idempotence ? b->part->sequence : BATCH_NO_SEQUENCE,
                            .attributes = (uint16_t)plan->compression};
    b->part->sequence = batch_sequence_add(b->part->sequence, (int32_t)b->n);
    const struct prep_packed *packed = b->n == b->prep->max_n && !plan->stamp ? b->prep->packed : NULL;
    if (packed) {
        b->body = packed->p;
        b->len = packed->len;
        prep_header_packed(b->prep, &h, b->head);
    } else if (plan->stamp || plan->compression) {
        batch_body(p, b);
        prep_header_over(b->n, &h, b->body, b->len, b->head);
    } else {
        b->body = b->prep->records;
        b->len = b->prep->ends[b->n];
        prep_header_plain(b->prep, b->n, &h, b->head);
    }
}

// ---- requests -----------------------------------------------------------------------------------------------------
static struct preq *req_get(struct lane *l)
{
    struct list_node *n = list_pop_front(&l->p->reqs_free);
    struct preq *q = n ? list_entry(n, struct preq, node) : calloc(1, sizeof(*q));
    SL_ASSERT(q);
    q->lane = l;
    q->n = 0;
    list_init(&q->node);
    return q;
}

// Batches by topic, so that a topic stands once in the request.
static void sort_by_topic(struct preq *q)
{
    for (uint32_t i = 1; i < q->n; i++) {
        struct pbatch *b = q->batches[i];
        uint32_t k = i;
        for (; k > 0 && q->batches[k - 1]->part->part->topic > b->part->part->topic; k--)
            q->batches[k] = q->batches[k - 1];
        q->batches[k] = b;
    }
}

// Fills topics and partitions; returns the bytes of all batches.
static uint32_t req_fill(struct preq *q, struct kp_produce_request_topic_produce_data *topics,
                         struct kp_produce_request_partition_produce_data *parts,
                         struct kp_produce_request *m)
{
    struct run *run = q->lane->p->w->run;
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < q->n; i++) {
        struct pbatch *b = q->batches[i];
        uint32_t t = b->part->part->topic;
        if (i == 0 || q->batches[i - 1]->part->part->topic != t) {
            const struct topic *topic = &run->cluster.topics[t];
            topics[m->topic_data_n++] = (struct kp_produce_request_topic_produce_data){
                .name = kp_str_of(topic->name), .topic_id = topic->id, .partition_data = &parts[i]};
        }
        uint32_t size = BATCH_HEADER_SIZE + b->len;
        parts[i] = (struct kp_produce_request_partition_produce_data){
            .index = b->part->part->index, .records = {.n = (int32_t)size, .ext = b}};
        topics[m->topic_data_n - 1].partition_data_n++;
        bytes += size;
    }
    return bytes;
}

static void iov_add(struct preq *q, const void *p, size_t n)
{
    if (n)
        q->call.iov[q->call.iov_n++] = (struct iovec){(void *)(uintptr_t)p, n};
}

static void req_encode(struct preq *q)
{
    struct producer *p = q->lane->p;
    struct kp_produce_request_topic_produce_data topics[REQ_BATCHES];
    struct kp_produce_request_partition_produce_data parts[REQ_BATCHES];
    struct kp_splice splices[REQ_BATCHES];
    static const int16_t acks[] = {[PLAN_ACKS_ALL] = -1, [PLAN_ACKS_ONE] = 1, [PLAN_ACKS_NONE] = 0};
    struct kp_produce_request m = {.transactional_id = KP_STR_NULL,
                                   .acks = acks[p->plan->acks],
                                   .timeout_ms = (int32_t)p->plan->timeout_ms,
                                   .topic_data = topics};
    int16_t version = p->w->run->cluster.produce_version;
    uint32_t records = req_fill(q, topics, parts, &m);
    int64_t size = kp_produce_request_size(&m, version);
    SL_ASSERT(size > 0);
    if (q->buf_cap < LINK_HEAD_MAX + (size_t)size) {
        free(q->buf);
        q->buf_cap = LINK_HEAD_MAX + (size_t)size * 2;
        q->buf = malloc(q->buf_cap);
        SL_ASSERT(q->buf);
    }
    uint32_t head = link_head(&q->lane->link, &q->call, 0, version, (uint32_t)size + records, q->buf);
    struct kp_writer w = {
        .buf = q->buf + head, .cap = (size_t)size, .splices = splices, .splices_cap = REQ_BATCHES};
    SL_ASSERT(kp_produce_request_encode(&m, version, &w) == 0 && w.splices_n == q->n);
    q->call.iov = q->iov;
    q->call.iov_n = 0;
    size_t from = 0;
    for (uint32_t i = 0; i < q->n; i++) {
        const struct pbatch *b = splices[i].ext;
        iov_add(q, q->buf + from, head + splices[i].at - from);
        iov_add(q, b->head, sizeof(b->head));
        iov_add(q, b->body, b->len);
        from = head + splices[i].at;
    }
    iov_add(q, q->buf + from, head + w.len - from);
    q->call.bytes = head + (uint32_t)size + records;
}

// ---- answers ------------------------------------------------------------------------------------------------------
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

static const struct pbatch *batch_find(const struct preq *q, const struct topic *topics, int16_t version,
                                       const struct kp_produce_response_topic_produce_response *t,
                                       int32_t index, uint32_t hint)
{
    for (uint32_t i = 0; i < q->n; i++) {
        const struct pbatch *b = q->batches[(hint + i) % q->n];
        const struct topic *topic = &topics[b->part->part->topic];
        bool same =
            version >= 13 ? sl_uuid_eq(&topic->id, &t->topic_id) : kp_str_eq(kp_str_of(topic->name), t->name);
        if (same && b->part->part->index == index)
            return b;
    }
    return NULL;
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
            const struct pbatch *b = batch_find(q, topics, q->call.version, &m->responses[t], a->index, k);
            if (!b)
                stats_error(s, "an answer names partition %d, which was not sent", a->index);
            else if (a->error_code)
                stats_error(s, "%s-%d: %s", topics[b->part->part->topic].name, a->index,
                            kerr_name(a->error_code));
            else
                batch_acked(p, q, b, now);
        }
    }
    if (k != q->n)
        stats_error(s, "an answer of %u partitions to a request of %u", k, q->n);
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
        if (!p->stopped || rc != -ECANCELED)
            stats_error(&p->w->now, "produce: %s", strerror(-rc));
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
    for (uint32_t i = 0; i < q->n; i++)
        batch_put(p, q->batches[i]);
    list_push_front(&p->reqs_free, &q->node);
    if (!rc)
        pump(p);
}

// ---- making requests ----------------------------------------------------------------------------------------------
static void req_send(struct preq *q)
{
    struct lane *l = q->lane;
    int64_t wall = reactor_wall_ms(l->p->w->r);
    for (uint32_t i = 0; i < q->n; i++)
        batch_finish(l->p, q->batches[i], wall);
    sort_by_topic(q);
    req_encode(q);
    q->call.done = req_done;
    q->call.no_answer = l->p->plan->acks == PLAN_ACKS_NONE;
    l->inflight++;
    link_send(&l->link, &q->call);
}

static void part_ready(struct ppart *part)
{
    if (!list_linked(&part->ready))
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

static void lane_fill(struct lane *l, uint64_t now)
{
    struct producer *p = l->p;
    while (l->inflight < p->plan->inflight && !l->link.broken) {
        struct preq *q = NULL;
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
        lane_fill(&p->lanes[i], now);
    set_timer(p, now);
}

static void on_timer(struct timer *t)
{
    pump(SL_CONTAINER_OF(t, struct producer, timer));
}

// ---- life ---------------------------------------------------------------------------------------------------------
static void on_broken(struct link *l)
{
    struct lane *lane = l->owner;
    lane->p->dead = true;
}

// With as many producers as topics or more, each has one topic; with fewer, each has its share of them.
static bool is_mine(const struct producer *p, uint32_t topic)
{
    uint32_t topics = p->w->run->cluster.topics_n, producers = (uint32_t)p->plan->producers;
    return producers >= topics ? p->index % topics == topic : topic % producers == p->index;
}

static struct lane *lane_of(struct producer *p, int32_t leader)
{
    for (uint32_t i = 0; i < p->lanes_n; i++)
        if (p->lanes[i].link.node_id == leader)
            return &p->lanes[i];
    struct lane *l = &p->lanes[p->lanes_n++];
    l->p = p;
    l->link.node_id = leader;
    list_init(&l->ready);
    return l;
}

static void parts_take(struct producer *p)
{
    struct cluster *cl = &p->w->run->cluster;
    p->parts = calloc(cl->parts_n, sizeof(*p->parts));
    p->lanes = calloc(cl->nodes_n, sizeof(*p->lanes));
    p->zipf = calloc(cl->parts_n, sizeof(*p->zipf));
    SL_ASSERT(p->parts && p->lanes && p->zipf);
    for (uint32_t i = 0; i < cl->parts_n; i++) {
        if (!is_mine(p, cl->parts[i].topic))
            continue;
        uint32_t k = p->parts_n++;
        p->parts[k].part = &cl->parts[i];
        p->parts[k].lane = lane_of(p, cl->parts[i].leader);
        list_init(&p->parts[k].batches);
        list_init(&p->parts[k].ready);
        list_init(&p->parts[k].lingering);
        p->zipf[k] = (k ? p->zipf[k - 1] : 0) + 1.0 / (k + 1);
    }
    for (uint32_t i = 0; i < p->lanes_n; i++) {
        struct lane *l = &p->lanes[i];
        l->parts = calloc(p->parts_n, sizeof(*l->parts));
        SL_ASSERT(l->parts);
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
    for (uint32_t i = 0; i < p->lanes_n; i++) {
        struct lane *l = &p->lanes[i];
        int32_t id = l->link.node_id;
        const struct node *n = run_node(run, id);
        link_open(&l->link, p->w->r, n->host, n->port);
        l->link.node_id = id;
        l->link.owner = l;
        l->link.on_broken = on_broken;
    }
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
    p->stopped = true;
    timer_cancel(p->w->r, &p->timer);
    for (uint32_t i = 0; i < p->lanes_n; i++) {
        p->lanes[i].link.on_broken = NULL;
        link_close(&p->lanes[i].link);
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
    for (uint32_t i = 0; i < p->parts_n; i++)
        batches_free(&p->parts[i].batches);
    batches_free(&p->batches_free);
    while ((n = list_pop_front(&p->reqs_free))) {
        struct preq *q = list_entry(n, struct preq, node);
        free(q->buf);
        free(q);
    }
    for (uint32_t i = 0; i < p->lanes_n; i++)
        free(p->lanes[i].parts);
    free(p->lanes);
    free(p->parts);
    free(p->zipf);
    free(p);
}
