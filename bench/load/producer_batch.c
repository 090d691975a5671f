// A producer's batches and requests as bytes: records that are those of a prep, or stamped or compressed copies of them,
// under a header of their own; a request refers to them and copies none.
#include "bench/load/producer_private.h"

#include <stdlib.h>

#include "proto/gen/produce_request.h"

// ---- batches ------------------------------------------------------------------------------------------------------
struct pbatch *batch_get(struct producer *p, struct ppart *part)
{
    struct run *run = p->w->run;
    struct list_node *n = list_pop_front(&p->batches_free);
    struct pbatch *b = n ? list_entry(n, struct pbatch, node) : calloc(1, sizeof(*b));
    SL_ASSERT(b);
    b->part = part;
    b->n = 0;
    b->finished = false;
    b->prep = run->preps[p->prep_turn++ % run->preps_n];
    list_init(&b->node);
    return b;
}

void batch_put(struct producer *p, struct pbatch *b)
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
    if (b->finished)
        return;
    b->finished = true;
    b->order = b->part->next_order++;
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
struct preq *req_get(struct lane *l)
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

void req_make(struct preq *q, int64_t wall_ms)
{
    for (uint32_t i = 0; i < q->n; i++)
        batch_finish(q->lane->p, q->batches[i], wall_ms);
    sort_by_topic(q);
    req_encode(q);
}
