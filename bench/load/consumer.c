// A consumer: one fetch in flight per leader. When an answer is here, its batch headers are walked, the next
// fetch leaves, and only then, in the next turn, the bytes are verified: the broker need not wait for that.
#include "bench/load/run.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/base/kerr.h"
#include "proto/gen/fetch_request.h"
#include "proto/gen/fetch_response.h"

enum { RETRY_NS = 100000000 };

struct cpart {
    const struct part *part;
    int64_t at, end; // next offset; end: through at this one
    bool through;
    uint64_t *expect; // stamps: next sequence of each producer, plus one; 0: not seen
};

struct clane {
    struct link link;
    struct consumer *c;
    struct cpart **parts;
    uint32_t parts_n;
    struct link_call call;
    struct iovec iov;
    uint8_t *buf;
    size_t buf_cap;
    struct arena arena; // the answer that is being verified
    struct kp_fetch_response answer;
    struct ready verify;
    struct timer retry;
    bool asked;
};

struct consumer {
    struct worker *w;
    const struct plan *plan;
    uint32_t index;
    bool catchup, stopped, dead;
    struct cpart *parts;
    uint32_t parts_n, through_n;
    struct clane *lanes;
    uint32_t lanes_n;
    uint8_t *plain; // decompressed records
    size_t plain_cap;
};

static void fetch(struct clane *l);

// ---- asking -------------------------------------------------------------------------------------------------------
// Topics and partitions of this lane that are not through. Returns the number of topics.
static int32_t fetch_fill(struct clane *l, struct kp_fetch_request_fetch_topic *topics,
                          struct kp_fetch_request_fetch_partition *parts)
{
    struct cluster *cl = &l->c->w->run->cluster;
    const struct plan *plan = l->c->plan;
    int32_t n = 0;
    uint32_t k = 0, last = UINT32_MAX;
    for (uint32_t i = 0; i < l->parts_n; i++) {
        const struct cpart *p = l->parts[i];
        if (p->through)
            continue;
        if (p->part->topic != last) {
            last = p->part->topic;
            kp_fetch_request_fetch_topic_init(&topics[n]);
            topics[n].topic = kp_str_of(cl->topics[last].name);
            topics[n].topic_id = cl->topics[last].id;
            topics[n].partitions = &parts[k];
            topics[n].partitions_n = 0;
            n++;
        }
        kp_fetch_request_fetch_partition_init(&parts[k]);
        parts[k].partition = p->part->index;
        parts[k].fetch_offset = p->at;
        parts[k++].partition_max_bytes = (int32_t)plan->fetch_partition_bytes;
        topics[n - 1].partitions_n++;
    }
    return n;
}

static void fetch_encode(struct clane *l, const struct kp_fetch_request *m)
{
    int16_t version = l->c->w->run->cluster.fetch_version;
    int64_t n = kp_fetch_request_size(m, version);
    SL_ASSERT(n > 0);
    if (l->buf_cap < LINK_HEAD_MAX + (size_t)n) {
        free(l->buf);
        l->buf_cap = LINK_HEAD_MAX + (size_t)n * 2;
        l->buf = malloc(l->buf_cap);
        SL_ASSERT(l->buf);
    }
    uint32_t head = link_head(&l->link, &l->call, 1, version, (uint32_t)n, l->buf);
    struct kp_writer w = {.buf = l->buf + head, .cap = (size_t)n};
    SL_ASSERT(kp_fetch_request_encode(m, version, &w) == 0);
    l->iov = (struct iovec){l->buf, head + w.len};
    l->call.iov = &l->iov;
    l->call.iov_n = 1;
    l->call.bytes = (uint32_t)l->iov.iov_len;
}

static void answer_done(struct link_call *call, int rc, const uint8_t *body, uint32_t n);

static void fetch(struct clane *l)
{
    const struct plan *plan = l->c->plan;
    struct arena *a = &l->c->w->arena;
    if (l->asked || l->c->stopped || l->link.broken)
        return;
    arena_reset(a);
    struct kp_fetch_request m;
    kp_fetch_request_init(&m);
    m.topics = arena_array(a, l->parts_n, sizeof(*m.topics));
    struct kp_fetch_request_fetch_partition *parts = arena_array(a, l->parts_n, sizeof(*parts));
    SL_ASSERT(m.topics && parts);
    m.replica_id = -1;
    m.max_wait_ms = (int32_t)plan->fetch_wait_ms;
    m.min_bytes = (int32_t)plan->fetch_min;
    m.max_bytes = (int32_t)plan->fetch_bytes;
    m.session_epoch = -1;
    m.topics_n = fetch_fill(l, m.topics, parts);
    if (!m.topics_n)
        return;
    fetch_encode(l, &m);
    l->call.done = answer_done;
    l->call.no_answer = false;
    l->asked = true;
    link_send(&l->link, &l->call);
}

// ---- offsets ------------------------------------------------------------------------------------------------------
static struct cpart *part_of(struct clane *l, const struct kp_fetch_response_fetchable_topic_response *t,
                             int32_t index)
{
    struct cluster *cl = &l->c->w->run->cluster;
    int16_t version = l->call.version;
    for (uint32_t i = 0; i < l->parts_n; i++) {
        const struct topic *topic = &cl->topics[l->parts[i]->part->topic];
        if (l->parts[i]->part->index != index)
            continue;
        if (version >= 13 ? sl_uuid_eq(&topic->id, &t->topic_id)
                          : kp_str_eq(kp_str_of(topic->name), t->topic))
            return l->parts[i];
    }
    return NULL;
}

static void count_records(struct clane *l, uint64_t records, uint64_t bytes)
{
    struct stats *s = &l->c->w->now;
    if (l->c->catchup) {
        s->catchup += records;
        s->catchup_bytes += bytes;
        return;
    }
    s->read += records;
    s->read_wire += bytes;
}

// Walks the headers: offsets go on without gaps. The last batch may be cut short.
static void walk_headers(struct clane *l, struct cpart *p, const uint8_t *at, uint32_t n)
{
    struct stats *s = &l->c->w->now;
    struct batch_info b;
    int rc = 0;
    while (n && (rc = batch_parse(at, n, &b)) == 0) {
        int64_t last = batch_info_last_offset(&b), from = SL_MAX(p->at, b.base_offset);
        if (b.base_offset > p->at) {
            s->gaps++;
            s->lost += (uint64_t)(b.base_offset - p->at);
        }
        if (last >= p->at) {
            count_records(l, (uint64_t)(last - from + 1), b.size);
            p->at = last + 1;
        }
        at += b.size;
        n -= b.size;
    }
    if (rc && rc != -EAGAIN)
        s->malformed++;
}

static void part_through(struct clane *l, struct cpart *p)
{
    if (l->c->catchup) {
        p->at = p->part->begin;
        return;
    }
    p->through = true;
    l->c->through_n++;
}

static bool part_take(struct clane *l, const struct kp_fetch_response_fetchable_topic_response *t,
                      const struct kp_fetch_response_partition_data *d)
{
    struct stats *s = &l->c->w->now;
    struct cpart *p = part_of(l, t, d->partition_index);
    if (!p) {
        stats_error(s, "an answer names partition %d, which was not asked for", d->partition_index);
        return false;
    }
    if (d->error_code) {
        stats_error(s, "%s-%d: fetch: %s", l->c->w->run->cluster.topics[p->part->topic].name,
                    d->partition_index, kerr_name(d->error_code));
        return false;
    }
    if (d->records.n > 0)
        walk_headers(l, p, d->records.p, (uint32_t)d->records.n);
    int64_t end = l->c->catchup ? d->high_watermark : p->end;
    if (p->at >= end && !p->through && end < INT64_MAX)
        part_through(l, p);
    return true;
}

// ---- verifying ----------------------------------------------------------------------------------------------------
static void verify_stamp(struct clane *l, struct cpart *p, const struct prep_stamp *st, uint64_t now_us)
{
    struct stats *s = &l->c->w->now;
    const struct plan *plan = l->c->plan;
    uint64_t measure_us =
        (uint64_t)((int64_t)(l->c->w->run->t_measure / 1000) + l->c->w->run->wall_offset_us);
    if (st->time_us >= measure_us || now_us < measure_us)
        hist_record(&s->e2e, now_us > st->time_us ? now_us - st->time_us : 0);
    if (plan->verify != PLAN_VERIFY_RECORDS || st->producer >= (uint64_t)plan->producers)
        return;
    if (!p->expect) {
        p->expect = calloc((size_t)plan->producers, sizeof(*p->expect));
        SL_ASSERT(p->expect);
    }
    uint64_t *e = &p->expect[st->producer];
    s->bad_order += *e && st->sequence + 1 != *e;
    *e = st->sequence + 2;
}

// Records as plain bytes; NULL: broken.
static const uint8_t *plain_records(struct consumer *c, const uint8_t *at, const struct batch_info *b,
                                    size_t *n)
{
    unsigned codec = batch_attr_codec(b->attributes);
    struct decompressor d;
    ssize_t k;
    *n = b->size - BATCH_HEADER_SIZE;
    if (codec == BATCH_CODEC_NONE)
        return at + BATCH_HEADER_SIZE;
    if (decompressor_init(&d, &c->w->unpack, codec, at + BATCH_HEADER_SIZE, *n, 1u << 30))
        return NULL;
    *n = 0;
    do {
        if (c->plain_cap - *n < COMPRESS_WINDOW) {
            c->plain_cap = c->plain_cap * 2 + 4 * COMPRESS_WINDOW;
            c->plain = realloc(c->plain, c->plain_cap);
            SL_ASSERT(c->plain);
        }
        k = decompressor_next(&d, c->plain + *n, c->plain_cap - *n);
        *n += k > 0 ? (size_t)k : 0;
    } while (k > 0);
    decompressor_destroy(&d);
    return k < 0 ? NULL : c->plain;
}

static void verify_records(struct clane *l, struct cpart *p, const uint8_t *at, const struct batch_info *b,
                           uint64_t now_us)
{
    struct stats *s = &l->c->w->now;
    struct record_iter it;
    struct record r;
    struct prep_stamp st;
    size_t n;
    int rc;
    const uint8_t *plain = plain_records(l->c, at, b, &n);
    if (!plain) {
        s->malformed++;
        return;
    }
    record_iter_init(&it, plain, n, b->record_count);
    for (int32_t i = 0; (rc = record_iter_next(&it, &r)) == 1; i++) {
        s->bad_order += r.offset_delta != i;
        s->read_bytes += (uint64_t)SL_MAX(r.key.len, 0) + (uint64_t)SL_MAX(r.value.len, 0);
        if (!l->c->catchup && prep_stamp_read(r.value, &st))
            verify_stamp(l, p, &st, now_us);
    }
    s->malformed += rc < 0;
}

static void verify_part(struct clane *l, struct cpart *p, const uint8_t *at, uint32_t n, uint64_t now_us)
{
    struct stats *s = &l->c->w->now;
    const struct plan *plan = l->c->plan;
    struct batch_info b;
    while (n && batch_parse(at, n, &b) == 0) {
        if (plan->verify >= PLAN_VERIFY_CRC && !batch_crc_ok(at))
            s->bad_crc++;
        else if (plan->stamp || plan->verify == PLAN_VERIFY_RECORDS)
            verify_records(l, p, at, &b, now_us);
        at += b.size;
        n -= b.size;
    }
}

static void verify_run(struct ready *r)
{
    struct clane *l = SL_CONTAINER_OF(r, struct clane, verify);
    struct worker *w = l->c->w;
    uint64_t now_us = (uint64_t)((int64_t)(io_now_ns(reactor_io(w->r)) / 1000) + w->run->wall_offset_us);
    for (int32_t t = 0; t < l->answer.responses_n; t++) {
        const struct kp_fetch_response_fetchable_topic_response *topic = &l->answer.responses[t];
        for (int32_t i = 0; i < topic->partitions_n; i++) {
            struct cpart *p = part_of(l, topic, topic->partitions[i].partition_index);
            if (p && topic->partitions[i].records.n > 0)
                verify_part(l, p, topic->partitions[i].records.p, (uint32_t)topic->partitions[i].records.n,
                            now_us);
        }
    }
    link_resume(&l->link);
}

// ---- answers ------------------------------------------------------------------------------------------------------
static void retry_later(struct clane *l)
{
    timer_set(l->c->w->r, &l->retry, io_now_ns(reactor_io(l->c->w->r)) + RETRY_NS);
}

static void retry_fire(struct timer *t)
{
    fetch(SL_CONTAINER_OF(t, struct clane, retry));
}

static bool answer_walk(struct clane *l)
{
    struct stats *s = &l->c->w->now;
    const struct kp_fetch_response *m = &l->answer;
    bool ok = true, any = false;
    if (m->error_code) {
        stats_error(s, "fetch: %s", kerr_name(m->error_code));
        return false;
    }
    for (int32_t t = 0; t < m->responses_n; t++) {
        for (int32_t i = 0; i < m->responses[t].partitions_n; i++) {
            ok = part_take(l, &m->responses[t], &m->responses[t].partitions[i]) && ok;
            any |= m->responses[t].partitions[i].records.n > 0;
        }
    }
    s->fetches++;
    s->fetches_empty += !any;
    if (any && !l->c->catchup)
        s->t_last_read = io_now_ns(reactor_io(l->c->w->r));
    return ok;
}

static void answer_done(struct link_call *call, int rc, const uint8_t *body, uint32_t n)
{
    struct clane *l = SL_CONTAINER_OF(call, struct clane, call);
    l->asked = false;
    if (rc) {
        if (!l->c->stopped)
            stats_error(&l->c->w->now, "fetch: %s", strerror(-rc));
        return;
    }
    arena_reset(&l->arena);
    if (kp_fetch_response_decode(&l->answer, body, n, call->version, &l->arena) < 0) {
        stats_error(&l->c->w->now, "fetch: an answer that cannot be read");
        retry_later(l);
        return;
    }
    bool ok = answer_walk(l);
    if (ok)
        fetch(l);
    else
        retry_later(l);
    if (l->c->stopped || l->link.broken)
        return;
    link_hold(&l->link);
    ready_push(l->c->w->r, &l->verify);
}

// ---- life ---------------------------------------------------------------------------------------------------------
static void on_broken(struct link *l)
{
    struct clane *lane = l->owner;
    lane->c->dead = true;
}

// Partitions are dealt out within a subscription; with more consumers than partitions some read the same.
static bool is_mine(const struct consumer *c, uint32_t part)
{
    uint32_t all = c->catchup ? (uint32_t)c->plan->catchup : (uint32_t)c->plan->consumers;
    uint32_t parts = c->w->run->cluster.parts_n;
    return all > parts ? c->index % parts == part : part % all == c->index % all;
}

static struct clane *lane_of(struct consumer *c, int32_t leader)
{
    for (uint32_t i = 0; i < c->lanes_n; i++)
        if (c->lanes[i].link.node_id == leader)
            return &c->lanes[i];
    struct clane *l = &c->lanes[c->lanes_n++];
    l->c = c;
    l->link.node_id = leader;
    l->verify.run = verify_run;
    list_init(&l->verify.node);
    timer_init(&l->retry, retry_fire);
    arena_init(&l->arena, 0);
    l->parts = calloc(c->w->run->cluster.parts_n, sizeof(struct cpart *));
    SL_ASSERT(l->parts);
    return l;
}

struct consumer *consumer_create(struct worker *w, uint32_t index, bool catchup)
{
    const struct plan *plan = w->run->plan;
    struct cluster *cl = &w->run->cluster;
    struct consumer *c = calloc(1, sizeof(*c));
    SL_ASSERT(c);
    c->w = w;
    c->plan = plan;
    c->index = index;
    c->catchup = catchup;
    c->parts = calloc(cl->parts_n, sizeof(*c->parts));
    c->lanes = calloc(cl->nodes_n, sizeof(*c->lanes));
    SL_ASSERT(c->parts && c->lanes);
    bool to_end = !plan->producers && plan->duration_s == 0 && !catchup;
    for (uint32_t i = 0; i < cl->parts_n; i++) {
        if (!is_mine(c, i))
            continue;
        struct cpart *p = &c->parts[c->parts_n++];
        struct clane *l = lane_of(c, cl->parts[i].leader);
        p->part = &cl->parts[i];
        p->at = plan->from == 1 || catchup ? cl->parts[i].begin : cl->parts[i].end;
        p->end = to_end ? cl->parts[i].end : INT64_MAX;
        p->through = p->at >= p->end;
        c->through_n += p->through;
        l->parts[l->parts_n++] = p;
    }
    return c;
}

void consumer_begin(struct consumer *c)
{
    for (uint32_t i = 0; i < c->lanes_n; i++) {
        struct clane *l = &c->lanes[i];
        int32_t id = l->link.node_id;
        const struct node *n = run_node(c->w->run, id);
        link_open(&l->link, c->w->r, n->host, n->port);
        l->link.node_id = id;
        l->link.owner = l;
        l->link.on_broken = on_broken;
        fetch(l);
    }
}

bool consumer_done(const struct consumer *c)
{
    return c->dead || c->catchup || c->through_n == c->parts_n;
}

bool consumer_dead(const struct consumer *c)
{
    return c->dead;
}

void consumer_end(struct consumer *c)
{
    c->stopped = true;
    for (uint32_t i = 0; i < c->lanes_n; i++) {
        c->lanes[i].link.on_broken = NULL;
        timer_cancel(c->w->r, &c->lanes[i].retry);
        link_close(&c->lanes[i].link);
    }
}

void consumer_destroy(struct consumer *c)
{
    for (uint32_t i = 0; i < c->lanes_n; i++) {
        arena_free(&c->lanes[i].arena);
        free(c->lanes[i].buf);
        free(c->lanes[i].parts);
    }
    for (uint32_t i = 0; i < c->parts_n; i++)
        free(c->parts[i].expect);
    free(c->plain);
    free(c->parts);
    free(c->lanes);
    free(c);
}
