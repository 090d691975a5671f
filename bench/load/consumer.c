// A consumer: one fetch in flight per leader. When an answer is here, its batch headers are walked, the next
// fetch leaves, and only then, in the next turn, the bytes are verified: the broker need not wait for that.
//
// Which partitions it reads: its share of them from the start, or, as a member of a group (member.c), those that it is
// given and not yet deprived of. What arrives of others, or from a broker that no longer leads, is dropped.
#include "bench/load/run.h"
#include "bench/load/session.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/kerr.h"
#include "proto/gen/fetch_request.h"
#include "proto/gen/fetch_response.h"

enum { KEY_FETCH = 1, RETRY_NS = 100000000 };

struct clane;

struct cpart {
    const struct part *part;
    struct clane *lane; // NULL: not read now
    uint32_t place;     // among the lane's
    struct session_part session;
    int64_t at, end;     // next offset; end: through at this one
    struct cover *cover; // NULL: in no group
    bool fresh;          // not asked for since it is here: what arrives was asked before
    uint64_t *expect;    // stamps: next sequence of each producer, plus one; 0: not seen
};

struct clane {
    struct link link;
    struct consumer *c;
    struct cpart **parts;
    uint32_t parts_n, parts_cap;
    struct session session;
    struct redial redial;
    struct link_call call;
    struct link_request request;
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
    struct cpart **of; // by the partition's place in the cluster; NULL: never had
    uint32_t parts_n, through_n, topic_hint;
    struct clane **lanes;
    uint32_t lanes_n;
    struct member *member;
    uint8_t *plain; // decompressed records
    size_t plain_cap;
};

static void fetch(struct clane *l);

// ---- asking -------------------------------------------------------------------------------------------------------
static uint32_t number_of(const struct clane *l, const struct cpart *p)
{
    return (uint32_t)(p->part - l->c->w->run->cluster.parts);
}

static int by_place(const void *a, const void *b)
{
    const struct cpart *x = *(struct cpart *const *)a, *y = *(struct cpart *const *)b;
    return x->part < y->part ? -1 : x->part > y->part;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

// The partitions that the next fetch names, in the cluster's order: a topic stands once in a request.
static uint32_t fetch_named(struct clane *l, struct cpart **out)
{
    uint32_t n = 0;
    bool sorted = true;
    if (session_full(&l->session)) {
        n = l->parts_n;
        memcpy(out, l->parts, n * sizeof(struct cpart *));
        for (uint32_t i = 1; i < n && sorted; i++)
            sorted = out[i - 1]->part < out[i]->part;
    } else {
        for (struct list_node *at = l->session.dirty.next; at != &l->session.dirty; at = at->next) {
            out[n] = list_entry(at, struct cpart, session.dirty);
            sorted = sorted && (!n || out[n - 1]->part < out[n]->part);
            n++;
        }
    }
    if (!sorted)
        qsort(out, n, sizeof(struct cpart *), by_place);
    return n;
}

static void fetch_fill(struct clane *l, struct kp_fetch_request *m, struct arena *a)
{
    struct cluster *cl = &l->c->w->run->cluster;
    struct cpart **named = arena_array(a, l->parts_n + 1, sizeof(struct cpart *));
    SL_ASSERT(named);
    uint32_t n = fetch_named(l, named), last = UINT32_MAX;
    m->topics = arena_array(a, SL_MIN(n, cl->topics_n), sizeof(*m->topics));
    struct kp_fetch_request_fetch_partition *parts = arena_array(a, n, sizeof(*parts));
    SL_ASSERT(m->topics && parts);
    for (uint32_t i = 0; i < n; i++) {
        struct cpart *p = named[i];
        if (p->part->topic != last) {
            struct kp_fetch_request_fetch_topic *t = &m->topics[m->topics_n++];
            last = p->part->topic;
            kp_fetch_request_fetch_topic_init(t);
            t->topic = kp_str_of(cl->topics[last].name);
            t->topic_id = cl->topics[last].id;
            t->partitions = &parts[i];
            t->partitions_n = 0;
        }
        kp_fetch_request_fetch_partition_init(&parts[i]);
        parts[i].partition = p->part->index;
        parts[i].fetch_offset = p->at;
        parts[i].partition_max_bytes = (int32_t)l->c->plan->fetch_partition_bytes;
        m->topics[m->topics_n - 1].partitions_n++;
        p->fresh = false;
        session_named(&l->session, &p->session);
    }
}

static void forgotten_fill(struct clane *l, struct kp_fetch_request *m, struct arena *a)
{
    struct cluster *cl = &l->c->w->run->cluster;
    struct session *s = &l->session;
    uint32_t n = session_full(s) ? 0 : s->forgotten_n, last = UINT32_MAX;
    if (!n)
        return;
    qsort(s->forgotten, n, sizeof(*s->forgotten), by_number);
    m->forgotten_topics_data = arena_array(a, n, sizeof(*m->forgotten_topics_data));
    int32_t *numbers = arena_array(a, n, sizeof(*numbers));
    SL_ASSERT(m->forgotten_topics_data && numbers);
    for (uint32_t i = 0; i < n; i++) {
        const struct part *p = &cl->parts[s->forgotten[i]];
        numbers[i] = p->index;
        if (p->topic != last) {
            struct kp_fetch_request_forgotten_topic *t =
                &m->forgotten_topics_data[m->forgotten_topics_data_n++];
            last = p->topic;
            kp_fetch_request_forgotten_topic_init(t);
            t->topic = kp_str_of(cl->topics[last].name);
            t->topic_id = cl->topics[last].id;
            t->partitions = &numbers[i];
            t->partitions_n = 0;
        }
        m->forgotten_topics_data[m->forgotten_topics_data_n - 1].partitions_n++;
    }
}

static void answer_done(struct link_call *call, int rc, const uint8_t *body, uint32_t n);

static void fetch(struct clane *l)
{
    const struct plan *plan = l->c->plan;
    struct arena *a = &l->c->w->arena;
    if (l->asked || l->c->stopped || l->link.broken || !l->parts_n)
        return;
    arena_reset(a);
    struct kp_fetch_request m;
    kp_fetch_request_init(&m);
    m.replica_id = -1;
    m.max_wait_ms = (int32_t)plan->fetch_wait_ms;
    m.min_bytes = (int32_t)plan->fetch_min;
    m.max_bytes = (int32_t)plan->fetch_bytes;
    m.session_id = l->session.id;
    m.session_epoch = l->session.epoch;
    fetch_fill(l, &m, a);
    forgotten_fill(l, &m, a);
    session_asked(&l->session);
    link_encode(&l->link, &l->call, &l->request, KEY_FETCH, l->c->w->run->cluster.fetch_version, &m);
    l->c->w->now.fetch_asked += l->call.bytes;
    l->call.done = answer_done;
    l->call.no_answer = false;
    l->asked = true;
    link_send(&l->link, &l->call);
}

// ---- offsets ------------------------------------------------------------------------------------------------------
static bool is_topic(const struct topic *topic, const struct kp_fetch_response_fetchable_topic_response *t,
                     int16_t version)
{
    return version >= 13 ? sl_uuid_eq(&topic->id, &t->topic_id) : kp_str_eq(kp_str_of(topic->name), t->topic);
}

// Answers go through the topics in the order of the requests: the next one is most often the last one or its neighbour.
static const struct topic *topic_of(struct clane *l,
                                    const struct kp_fetch_response_fetchable_topic_response *t)
{
    struct cluster *cl = &l->c->w->run->cluster;
    uint32_t at = l->c->topic_hint;
    for (uint32_t i = 0; i < cl->topics_n; i++, at = at + 1 == cl->topics_n ? 0 : at + 1) {
        if (!is_topic(&cl->topics[at], t, l->call.version))
            continue;
        l->c->topic_hint = at;
        return &cl->topics[at];
    }
    return NULL;
}

// NULL: it was never asked for.
static struct cpart *part_of(struct clane *l, const struct kp_fetch_response_fetchable_topic_response *t,
                             int32_t index)
{
    const struct topic *topic = topic_of(l, t);
    return topic && (uint32_t)index < topic->parts_n ? l->c->of[topic->first_part + (uint32_t)index] : NULL;
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

// A member's read; gap: that something is missing before it is known.
static void group_read(struct stats *s, struct cover *c, int64_t from, int64_t next, bool gap)
{
    uint64_t missing, twice;
    cover_read(c, from, next, &missing, &twice);
    s->gaps += missing && !gap;
    s->lost += gap ? 0 : missing;
    s->twice += twice;
}

// Walks the headers: offsets go on without gaps. The last batch may be cut short.
static void walk_headers(struct clane *l, struct cpart *p, const uint8_t *at, uint32_t n)
{
    struct stats *s = &l->c->w->now;
    struct batch_info b;
    int rc = 0;
    while (n && (rc = batch_parse(at, n, &b)) == 0) {
        int64_t last = batch_info_last_offset(&b), from = SL_MAX(p->at, b.base_offset);
        bool gap = b.base_offset > p->at;
        if (gap) {
            s->gaps++;
            s->lost += (uint64_t)(b.base_offset - p->at);
        }
        if (last >= p->at) {
            count_records(l, (uint64_t)(last - from + 1), b.size);
            if (p->cover)
                group_read(s, p->cover, from, last + 1, gap);
            p->at = last + 1;
        }
        at += b.size;
        n -= b.size;
    }
    if (rc && rc != -EAGAIN)
        s->malformed++;
}

static void lane_drop(struct clane *l, struct cpart *p)
{
    session_drop(&l->session, &p->session, number_of(l, p));
    l->parts[p->place] = l->parts[--l->parts_n];
    l->parts[p->place]->place = p->place;
    p->lane = NULL;
}

static void part_through(struct clane *l, struct cpart *p)
{
    if (l->c->catchup) {
        p->at = p->part->begin;
        return;
    }
    lane_drop(l, p);
    l->c->through_n++;
}

// Its error: one that passes, or a fault.
static void part_refused(struct clane *l, const struct cpart *p, int16_t error)
{
    struct worker *w = l->c->w;
    if (l->c->plan->reconnect && kerr_retriable(error)) {
        w->now.refused++;
        view_want(w->view);
        return;
    }
    stats_error(&w->now, "%s-%d: fetch: %s", w->run->cluster.topics[p->part->topic].name, p->part->index,
                kerr_name(error));
}

static bool part_take(struct clane *l, const struct kp_fetch_response_fetchable_topic_response *t,
                      struct kp_fetch_response_partition_data *d)
{
    struct stats *s = &l->c->w->now;
    struct cpart *p = part_of(l, t, d->partition_index);
    if (!p) {
        stats_error(s, "an answer names partition %d, which was not asked for", d->partition_index);
        return false;
    }
    if (p->lane != l || p->fresh) { // it was taken away, or moved, meanwhile
        d->records.n = 0;           // nor is it verified
        return true;
    }
    if (d->error_code) {
        session_moved(&l->session, &p->session);
        part_refused(l, p, d->error_code);
        return false;
    }
    if (d->records.n > 0) {
        walk_headers(l, p, d->records.p, (uint32_t)d->records.n);
        session_moved(&l->session, &p->session);
    }
    int64_t end = l->c->catchup ? d->high_watermark : p->end;
    if (p->at >= end && end < INT64_MAX)
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

// True: the next fetch may leave at once.
static bool answer_refused(struct clane *l, int16_t error)
{
    struct stats *s = &l->c->w->now;
    bool known = error != KERR_FETCH_SESSION_ID_NOT_FOUND;
    session_lost(&l->session, known);
    if (l->session.on && (!known || error == KERR_INVALID_FETCH_SESSION_EPOCH)) {
        s->sessions_lost++;
        return true;
    }
    if (l->c->plan->reconnect && kerr_retriable(error)) {
        s->refused++;
        view_want(l->c->w->view);
    } else {
        stats_error(s, "fetch: %s", kerr_name(error));
    }
    return false;
}

static bool answer_walk(struct clane *l)
{
    struct stats *s = &l->c->w->now;
    const struct kp_fetch_response *m = &l->answer;
    bool ok = true, any = false;
    if (m->error_code)
        return answer_refused(l, m->error_code);
    if (!session_answered(&l->session, m->session_id))
        s->sessions_lost++;
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
        session_lost(&l->session, true);
        if (!l->c->stopped && !l->c->plan->reconnect)
            stats_error(&l->c->w->now, "fetch: %s", strerror(-rc));
        return;
    }
    redial_works(&l->redial);
    arena_reset(&l->arena);
    if (kp_fetch_response_decode(&l->answer, body, n, call->version, &l->arena) < 0) {
        stats_error(&l->c->w->now, "fetch: an answer that cannot be read");
        session_lost(&l->session, true);
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

// ---- connections --------------------------------------------------------------------------------------------------
static void lane_up(struct redial *rd)
{
    fetch(SL_CONTAINER_OF(rd, struct clane, redial));
}

void consumer_fail(struct consumer *c, const char *why)
{
    c->dead = true;
    stats_error(&c->w->now, "%s", why);
}

static void lane_lost(struct redial *rd)
{
    struct clane *l = SL_CONTAINER_OF(rd, struct clane, redial);
    if (l->parts_n)
        consumer_fail(l->c, "fetch: a broker does not come back");
}

static void on_broken(struct link *l)
{
    struct clane *lane = l->owner;
    struct consumer *c = lane->c;
    if (!c->plan->reconnect) {
        c->dead = true;
        return;
    }
    view_want(c->w->view);
    if (lane->parts_n)
        redial_start(&lane->redial);
}

static struct clane *lane_of(struct consumer *c, int32_t leader)
{
    for (uint32_t i = 0; i < c->lanes_n; i++)
        if (c->lanes[i]->link.node_id == leader)
            return c->lanes[i];
    struct clane *l = calloc(1, sizeof(*l));
    c->lanes = realloc(c->lanes, (c->lanes_n + 1) * sizeof(struct clane *));
    SL_ASSERT(l && c->lanes);
    c->lanes[c->lanes_n++] = l;
    l->c = c;
    l->link.node_id = leader;
    l->verify.run = verify_run;
    list_init(&l->verify.node);
    timer_init(&l->retry, retry_fire);
    arena_init(&l->arena, 0);
    session_init(&l->session, c->plan->fetch_session && c->w->run->cluster.fetch_version >= 7);
    redial_init(&l->redial, c->w, &l->link, lane_up, lane_lost);
    return l;
}

static void lane_add(struct clane *l, struct cpart *p)
{
    if (l->parts_n == l->parts_cap) {
        l->parts_cap = l->parts_cap * 2 + 4;
        l->parts = realloc(l->parts, l->parts_cap * sizeof(struct cpart *));
        SL_ASSERT(l->parts);
    }
    p->lane = l;
    p->fresh = true;
    p->place = l->parts_n;
    l->parts[l->parts_n++] = p;
    session_add(&l->session, &p->session, number_of(l, p));
}

// Begins to read from the lane, if its connection is there.
static void lane_go(struct clane *l)
{
    if (!l->link.r)
        redial_open(&l->redial, l, on_broken);
    else if (l->link.broken)
        redial_start(&l->redial);
    fetch(l);
}

void consumer_moved(struct consumer *c)
{
    const struct cluster *cl = &c->w->run->cluster;
    if (c->stopped || c->dead)
        return;
    for (uint32_t i = 0; i < cl->parts_n; i++) {
        struct cpart *p = c->of[i];
        int32_t leader = view_leader(c->w->view, i);
        if (!p || !p->lane || leader < 0 || leader == p->lane->link.node_id)
            continue;
        lane_drop(p->lane, p);
        lane_add(lane_of(c, leader), p);
    }
    for (uint32_t i = 0; i < c->lanes_n; i++)
        if (c->lanes[i]->parts_n)
            lane_go(c->lanes[i]);
}

// ---- members ------------------------------------------------------------------------------------------------------
static struct cpart *part_get(struct consumer *c, uint32_t part)
{
    struct cpart *p = c->of[part];
    if (p)
        return p;
    p = c->of[part] = calloc(1, sizeof(*p));
    SL_ASSERT(p);
    p->part = &c->w->run->cluster.parts[part];
    p->end = INT64_MAX;
    session_part_init(&p->session);
    return p;
}

void consumer_assign(struct consumer *c, uint32_t part, int64_t at)
{
    struct cpart *p = part_get(c, part);
    int32_t leader = view_leader(c->w->view, part);
    SL_ASSERT(!p->lane);
    free(p->expect); // others may have read meanwhile
    p->expect = NULL;
    p->at = at;
    p->cover = &c->w->run->cluster
                    .covers[c->index / (uint32_t)c->plan->consumers * c->w->run->cluster.parts_n + part];
    if (leader < 0 || !view_node(c->w->view, leader))
        leader = p->part->leader;
    struct clane *l = lane_of(c, leader);
    lane_add(l, p);
    lane_go(l);
}

void consumer_revoke(struct consumer *c, uint32_t part)
{
    struct cpart *p = c->of[part];
    if (p && p->lane)
        lane_drop(p->lane, p);
}

int64_t consumer_position(const struct consumer *c, uint32_t part)
{
    const struct cpart *p = c->of[part];
    return p && p->lane ? p->at : -1;
}

void consumer_leave(struct consumer *c)
{
    if (c->member)
        member_leave(c->member);
}

bool consumer_left(const struct consumer *c)
{
    return !c->member || member_left(c->member);
}

// The group has read everything that was there at the beginning.
static bool all_covered(const struct consumer *c)
{
    const struct cluster *cl = &c->w->run->cluster;
    const struct cover *g = &cl->covers[c->index / (uint32_t)c->plan->consumers * cl->parts_n];
    for (uint32_t i = 0; i < cl->parts_n; i++)
        if (atomic_load_explicit(&g[i].upto, memory_order_acquire) < cl->parts[i].end)
            return false;
    return true;
}

// ---- life ---------------------------------------------------------------------------------------------------------
// Partitions are dealt out within a subscription; with more consumers than partitions some read the same.
static bool is_mine(const struct consumer *c, uint32_t part)
{
    uint32_t all = c->catchup ? (uint32_t)c->plan->catchup : (uint32_t)c->plan->consumers;
    uint32_t parts = c->w->run->cluster.parts_n;
    return all > parts ? c->index % parts == part : part % all == c->index % all;
}

static void parts_deal(struct consumer *c)
{
    const struct plan *plan = c->plan;
    struct cluster *cl = &c->w->run->cluster;
    bool to_end = !plan->producers && plan->duration_s == 0 && !c->catchup;
    for (uint32_t i = 0; i < cl->parts_n; i++) {
        if (!is_mine(c, i))
            continue;
        struct cpart *p = part_get(c, i);
        p->at = plan->from == 1 || c->catchup ? cl->parts[i].begin : cl->parts[i].end;
        p->end = to_end ? cl->parts[i].end : INT64_MAX;
        c->parts_n++;
        if (p->at >= p->end)
            c->through_n++;
        else
            lane_add(lane_of(c, cl->parts[i].leader), p);
    }
}

struct consumer *consumer_create(struct worker *w, uint32_t index, bool catchup)
{
    const struct plan *plan = w->run->plan;
    struct consumer *c = calloc(1, sizeof(*c));
    SL_ASSERT(c);
    c->w = w;
    c->plan = plan;
    c->index = index;
    c->catchup = catchup;
    c->of = calloc(w->run->cluster.parts_n + 1, sizeof(struct cpart *));
    SL_ASSERT(c->of);
    if (plan_has_groups(plan) && !catchup)
        c->member = member_create(w, c, index / (uint32_t)plan->consumers, index % (uint32_t)plan->consumers);
    else
        parts_deal(c);
    return c;
}

void consumer_begin(struct consumer *c)
{
    for (uint32_t i = 0; i < c->lanes_n; i++)
        lane_go(c->lanes[i]);
    if (c->member)
        member_begin(c->member);
}

bool consumer_done(const struct consumer *c)
{
    if (c->dead || c->catchup)
        return true;
    return c->member ? all_covered(c) : c->through_n == c->parts_n;
}

bool consumer_dead(const struct consumer *c)
{
    return c->dead;
}

void consumer_end(struct consumer *c)
{
    c->stopped = true;
    if (c->member)
        member_end(c->member);
    for (uint32_t i = 0; i < c->lanes_n; i++) {
        struct clane *l = c->lanes[i];
        l->link.on_broken = NULL;
        timer_cancel(c->w->r, &l->retry);
        redial_cancel(&l->redial);
        if (l->link.r)
            link_close(&l->link);
    }
}

void consumer_destroy(struct consumer *c)
{
    for (uint32_t i = 0; i < c->lanes_n; i++) {
        arena_free(&c->lanes[i]->arena);
        session_free(&c->lanes[i]->session);
        link_request_free(&c->lanes[i]->request);
        free(c->lanes[i]->parts);
        free(c->lanes[i]);
    }
    for (uint32_t i = 0; i < c->w->run->cluster.parts_n; i++) {
        if (c->of[i])
            free(c->of[i]->expect);
        free(c->of[i]);
    }
    if (c->member)
        member_destroy(c->member);
    free(c->plain);
    free(c->of);
    free(c->lanes);
    free(c);
}
