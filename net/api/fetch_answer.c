// What a Fetch request asks for, from the request or its session, and its answer. See 01_fetch.c.
#include "net/api/fetch.h"

#include <string.h>

typedef struct kp_fetch_request_fetch_topic in_topic;
typedef struct kp_fetch_request_fetch_partition in_part;
typedef struct kp_fetch_response_fetchable_topic_response out_topic;
typedef struct kp_fetch_response_partition_data out_part;

enum { IDS_SINCE = 13, LEADERS_SINCE = 16 };

static bool by_id(const struct fetch_state *st)
{
    return st->r->version >= IDS_SINCE;
}

// ---- the question --------------------------------------------------------------------------------------------------------
static uint32_t count_wants(const struct kp_fetch_request *m)
{
    uint32_t n = 0;
    for (int32_t t = 0; t < m->topics_n; t++)
        n += (uint32_t)SL_MAX(m->topics[t].partitions_n, 0);
    return n;
}

static void want_fill(struct fetch_want *w, const in_topic *t, const in_part *p)
{
    *w = (struct fetch_want){.name = t->topic,
                             .id = t->topic_id,
                             .partition = p->partition,
                             .max_bytes = p->partition_max_bytes,
                             .offset = p->fetch_offset,
                             .current_leader_epoch =
                                 SL_MAX(p->current_leader_epoch, -1), // as upstream, of Fetch only
                             .last_fetched_epoch = p->last_fetched_epoch};
}

// A partition that is named twice counts once, in the first place and with the last words, as upstream's map has it.
static const void *want_key(struct req *r, const struct fetch_state *st, const struct fetch_want *w,
                            size_t *n)
{
    if (by_id(st)) {
        struct api_part_key *k = req_alloc(r, sizeof(*k));
        *k = (struct api_part_key){.id = w->id, .partition = w->partition};
        *n = sizeof(*k);
        return k;
    }
    size_t len = (size_t)SL_MAX(w->name.n, 0);
    uint8_t *k = req_alloc(r, len + 4);
    if (len)
        memcpy(k, w->name.p, len);
    memcpy(k + len, &w->partition, 4);
    *n = len + 4;
    return k;
}

static struct fetch_want *wants_make(struct fetch_state *st, const struct kp_fetch_request *m,
                                     uint32_t *count)
{
    struct req *r = st->r;
    uint32_t max = count_wants(m), n = 0;
    struct fetch_want *wants = req_alloc_array(r, max, sizeof(*wants)), w;
    struct api_set seen;
    if (max > 1)
        api_set_init(r, &seen, max);
    for (int32_t t = 0; t < m->topics_n; t++) {
        for (int32_t i = 0; i < m->topics[t].partitions_n; i++) {
            size_t len;
            uint32_t at = n;
            want_fill(&w, &m->topics[t], &m->topics[t].partitions[i]);
            if (max > 1) {
                const void *key = want_key(r, st, &w, &len);
                at = api_set_put(&seen, key, len, n);
            }
            wants[at] = w;
            n += at == n;
        }
    }
    *count = n;
    return wants;
}

static struct fetch_want *forgotten_make(struct fetch_state *st, const struct kp_fetch_request *m,
                                         uint32_t *count)
{
    uint32_t n = 0, k = 0;
    for (int32_t t = 0; t < m->forgotten_topics_data_n; t++)
        n += (uint32_t)SL_MAX(m->forgotten_topics_data[t].partitions_n, 0);
    struct fetch_want *wants = req_alloc_array(st->r, n, sizeof(*wants));
    for (int32_t t = 0; t < m->forgotten_topics_data_n; t++)
        for (int32_t i = 0; i < m->forgotten_topics_data[t].partitions_n; i++)
            wants[k++] = (struct fetch_want){.name = m->forgotten_topics_data[t].topic,
                                             .id = m->forgotten_topics_data[t].topic_id,
                                             .partition = m->forgotten_topics_data[t].partitions[i]};
    *count = n;
    return wants;
}

// Looks the parts' topics up in this turn's image; runs of one topic are looked up once.
static void parts_resolve(struct fetch_state *st)
{
    struct req *r = st->r;
    const struct meta_topic *t = NULL;
    for (uint32_t i = 0; i < st->parts_n; i++) {
        struct fetch_part *p = &st->parts[i], *prev = i ? p - 1 : NULL;
        struct sl_uuid asked = p->want.id;
        if (by_id(st))
            t = prev && sl_uuid_eq(&prev->want.id, &asked) ? t : api_topic_by_id(r, &asked);
        else
            t = prev && kp_str_eq(prev->want.name, p->want.name) ? t : api_topic(r, p->want.name);
        p->leader = p->leader_epoch = -1;
        p->error = api_check_leader(r, t, p->want.partition);
        if (!t && by_id(st))
            p->error = KERR_UNKNOWN_TOPIC_ID;
        if (p->error != KERR_NONE && p->error != KERR_NOT_LEADER_OR_FOLLOWER)
            continue;
        p->want.id = t->id;
        p->leader = t->partitions[p->want.partition].leader;
        p->leader_epoch = t->partitions[p->want.partition].leader_epoch;
        if (st->follower)
            p->error = KERR_NOT_LEADER_OR_FOLLOWER;
    }
}

static void parts_from_session(struct fetch_state *st)
{
    struct fetch_session *s = st->begin.session;
    st->parts = req_alloc_array(st->r, s->n, sizeof(*st->parts));
    list_foreach(node, &s->parts)
    {
        struct fetch_session_part *known = list_entry(node, struct fetch_session_part, node);
        struct fetch_part *p = &st->parts[st->parts_n++];
        p->want = known->want;
        p->known = known;
    }
}

static uint32_t random_id(void *arg)
{
    struct net *n = arg;
    uint32_t v;
    struct io *io = reactor_io(n->r);
    io->vt->random(io, &v, sizeof(v));
    return v;
}

static struct fetch_sessions *sessions(struct net *n)
{
    if (!n->sessions) {
        uint32_t slots = (uint32_t)cfg_int(n->cfg.cfg, CFG_MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS);
        uint32_t nets = SL_MAX(n->cfg.placement->nets, 1u);
        struct fetch_sessions_config cfg = {
            .slots = (slots + nets - 1) / nets, .random = random_id, .arg = n};
        n->sessions = fetch_sessions_create(&cfg);
    }
    return n->sessions;
}

void fetch_sessions_destroy(struct net *n)
{
    if (n->sessions)
        fetch_sessions_free(n->sessions);
    n->sessions = NULL;
}

static uint64_t now_ms(const struct fetch_state *st)
{
    return reactor_now(st->r->net->r) / 1000000;
}

int16_t fetch_plan(struct fetch_state *st, const struct kp_fetch_request *m)
{
    struct fetch_begin *b = &st->begin;
    b->session_id = m->session_id;
    b->epoch = m->session_epoch;
    b->by_id = by_id(st);
    b->now_ms = now_ms(st);
    b->wants = wants_make(st, m, &b->wants_n);
    b->forgotten = forgotten_make(st, m, &b->forgotten_n);
    int16_t error = fetch_session_begin(sessions(st->r->net), b);
    if (error)
        return error;
    if (b->kind == FETCH_INCREMENTAL) {
        parts_from_session(st);
    } else {
        st->parts_n = b->wants_n;
        st->parts = req_alloc_array(st->r, b->wants_n, sizeof(*st->parts));
        for (uint32_t i = 0; i < b->wants_n; i++)
            st->parts[i].want = b->wants[i];
    }
    parts_resolve(st);
    return KERR_NONE;
}

// ---- the answer ----------------------------------------------------------------------------------------------------------
void fetch_answer_error(struct fetch_state *st, int16_t error)
{
    struct kp_fetch_response out;
    kp_fetch_response_init(&out);
    out.error_code = error;
    REQ_RESPOND(st->r, &out, fetch_response);
}

void fetch_refuse(struct fetch_state *st, const struct kp_fetch_request *m, int16_t error)
{
    struct req *r = st->r;
    struct kp_fetch_response out;
    kp_fetch_response_init(&out);
    out.error_code = error;
    out.responses_n = by_id(st) ? 0 : m->topics_n;
    out.responses = req_alloc_array(r, (size_t)SL_MAX(out.responses_n, 0), sizeof(*out.responses));
    for (int32_t t = 0; t < out.responses_n; t++) {
        const in_topic *in = &m->topics[t];
        out_topic *o = &out.responses[t];
        kp_fetch_response_fetchable_topic_response_init(o);
        o->topic = in->topic;
        o->partitions_n = in->partitions_n;
        o->partitions = req_alloc_array(r, (size_t)SL_MAX(in->partitions_n, 0), sizeof(*o->partitions));
        for (int32_t i = 0; i < in->partitions_n; i++) {
            kp_fetch_response_partition_data_init(&o->partitions[i]);
            o->partitions[i].partition_index = in->partitions[i].partition;
            o->partitions[i].error_code = error;
            o->partitions[i].high_watermark = -1;
            o->partitions[i].records = (struct kp_records){.p = (const uint8_t *)"", .n = 0};
        }
    }
    REQ_RESPOND(r, &out, fetch_response);
}

// Shards count their bytes apart and each lets its first batch pass whole. Over all, only the first partition with records
// may exceed limits (KIP-74): what another has too much waits for the next request.
static void parts_trim(struct fetch_state *st)
{
    uint32_t left = st->max_bytes;
    bool first = true;
    for (uint32_t i = 0; i < st->parts_n; i++) {
        struct shard_fetch_part *in = st->parts[i].in;
        if (!in || !in->bytes)
            continue;
        if (!first && in->bytes > SL_MIN(left, (uint32_t)SL_MAX(in->max_bytes, 0)))
            in->bytes = 0;
        left -= SL_MIN(left, in->bytes);
        first = first && !in->bytes;
    }
}

static void part_news(const struct fetch_part *p, struct fetch_news *n)
{
    *n = (struct fetch_news){.error = p->error, .high_watermark = -1, .log_start = -1};
    if (!p->in)
        return;
    n->error = p->in->error;
    if (n->error)
        return;
    n->diverging = p->in->diverging;
    n->bytes = p->in->bytes;
    n->high_watermark = p->in->high_watermark;
    n->log_start = p->in->log_start;
}

static void part_leader(const struct fetch_state *st, const struct fetch_part *p, const struct fetch_news *n,
                        out_part *o)
{
    if (st->r->version < LEADERS_SINCE)
        return;
    if (n->error != KERR_NOT_LEADER_OR_FOLLOWER && n->error != KERR_FENCED_LEADER_EPOCH)
        return;
    o->current_leader.leader_id = p->leader;
    o->current_leader.leader_epoch =
        p->in && p->in->leader_epoch >= 0 ? p->in->leader_epoch : p->leader_epoch;
}

// In the order of their markers, as upstream lists them.
static struct kp_fetch_response_aborted_transaction *aborted(struct req *r, const struct shard_fetch_part *in)
{
    struct kp_fetch_response_aborted_transaction *out;
    if (!in->aborted_n)
        return NULL;
    out = req_alloc_array(r, in->aborted_n, sizeof(*out));
    for (uint32_t i = 0; i < in->aborted_n; i++) {
        kp_fetch_response_aborted_transaction_init(&out[i]);
        out[i].producer_id = in->aborted[i].producer_id;
        out[i].first_offset = in->aborted[i].first_offset;
    }
    return out;
}

static void part_fill(struct fetch_state *st, const struct fetch_part *p, const struct fetch_news *n,
                      out_part *o)
{
    kp_fetch_response_partition_data_init(o);
    o->partition_index = p->want.partition;
    o->error_code = n->error;
    o->high_watermark = n->high_watermark;
    o->log_start_offset = n->log_start;
    o->last_stable_offset = p->in && !n->error ? p->in->last_stable : -1;
    o->aborted_transactions = n->bytes ? aborted(st->r, p->in) : NULL;
    o->aborted_transactions_n =
        st->read_committed || (!p->in && !st->follower) ? 0 : -1; // null: not asked for
    if (o->aborted_transactions)
        o->aborted_transactions_n = (int32_t)p->in->aborted_n;
    o->records = (struct kp_records){.p = (const uint8_t *)"", .n = 0};
    part_leader(st, p, n, o);
    if (n->diverging) {
        o->diverging_epoch.epoch = p->in->diverging_epoch;
        o->diverging_epoch.end_offset = p->in->diverging_end;
    }
    if (n->bytes) {
        struct splice_bytes *b = req_alloc(st->r, sizeof(*b));
        *b = (struct splice_bytes){.pieces = p->in->pieces, .n = p->in->pieces_n};
        o->records = (struct kp_records){.n = (int32_t)n->bytes, .ext = b};
    }
}

static bool same_topic(const struct fetch_state *st, const struct fetch_part *a, const struct fetch_part *b)
{
    return by_id(st) ? sl_uuid_eq(&a->want.id, &b->want.id) : kp_str_eq(a->want.name, b->want.name);
}

// Parts that are told; those that no shard was asked for come last, as upstream has it. How many they are.
static uint32_t told_order(const struct fetch_state *st, const bool *told, uint32_t *order)
{
    uint32_t n = 0, last = 0;
    for (uint32_t i = 0; i < st->parts_n; i++) {
        if (told[i] && st->parts[i].in)
            order[n++] = i;
        last += told[i] && !st->parts[i].in;
    }
    for (uint32_t i = 0; last; i++)
        if (told[i] && !st->parts[i].in) {
            order[n++] = i;
            last--;
        }
    return n;
}

// Runs of one topic together.
static void fill_topics(struct fetch_state *st, const struct fetch_news *news, const bool *told,
                        struct kp_fetch_response *out)
{
    struct req *r = st->r;
    const struct fetch_part *prev = NULL;
    uint32_t *order = req_alloc_array(r, st->parts_n, sizeof(*order)), n = told_order(st, told, order);
    out_part *parts = req_alloc_array(r, n, sizeof(*parts));
    out->responses = req_alloc_array(r, n, sizeof(*out->responses));
    for (uint32_t k = 0; k < n; k++) {
        const struct fetch_part *p = &st->parts[order[k]];
        if (!prev || !same_topic(st, prev, p)) {
            out_topic *t = &out->responses[out->responses_n++];
            kp_fetch_response_fetchable_topic_response_init(t);
            t->topic = p->want.name;
            t->topic_id = p->want.id;
            t->partitions = parts;
        }
        part_fill(st, p, &news[order[k]], parts++);
        out->responses[out->responses_n - 1].partitions_n++;
        prev = p;
    }
}

// KIP-951: where the leaders are that the answer names.
static void fill_endpoints(struct fetch_state *st, struct kp_fetch_response *out)
{
    struct req *r = st->r;
    for (int32_t t = 0; t < out->responses_n; t++) {
        for (int32_t i = 0; i < out->responses[t].partitions_n; i++) {
            int32_t id = out->responses[t].partitions[i].current_leader.leader_id, k = 0;
            const struct meta_endpoint *ep;
            const struct meta_broker *b = id >= 0 ? api_live_broker(r, id, &ep) : NULL;
            while (k < out->node_endpoints_n && out->node_endpoints[k].node_id != id)
                k++;
            if (!b || k < out->node_endpoints_n)
                continue;
            if (!out->node_endpoints)
                out->node_endpoints =
                    req_alloc_array(r, net_image(r->net)->brokers_n, sizeof(*out->node_endpoints));
            out->node_endpoints[out->node_endpoints_n++] = (struct kp_fetch_response_node_endpoint){
                .node_id = id, .host = kp_str_of(ep->host), .port = ep->port, .rack = kp_str_of(b->rack)};
        }
    }
}

// What of the answer is new to the session; a session for a full request that wants one.
static int32_t answer_session(struct fetch_state *st, const struct fetch_news *news, bool *told)
{
    struct fetch_begin *b = &st->begin;
    if (b->kind == FETCH_FULL)
        return fetch_session_add(sessions(st->r->net), b->by_id, st->follower, b->wants, news, b->wants_n,
                                 now_ms(st));
    if (b->kind == FETCH_SESSIONLESS)
        return FETCH_SESSION_NONE;
    for (uint32_t i = 0; i < st->parts_n; i++)
        told[i] = fetch_session_tell(b->session, st->parts[i].known, &news[i]);
    return b->session->id;
}

// Whether a quota holds the client up. Then it gets nothing but the time: what it would have got was not sent, and its session
// does not move. Bytes are what the parts would bring, all but a few of the answer.
static bool throttled(struct fetch_state *st)
{
    struct req *r = st->r;
    uint64_t bytes = 0;
    if (!quota_any(r->net))
        return false;
    for (uint32_t i = 0; i < st->parts_n; i++)
        bytes += st->parts[i].in ? st->parts[i].in->bytes : 0;
    r->throttle_ms = quota_record(r, META_QUOTA_CONSUME, (double)bytes);
    if (!req_throttle(r))
        return false;
    quota_unrecord(r, META_QUOTA_CONSUME, (double)bytes);
    return true;
}

void fetch_answer(struct fetch_state *st)
{
    struct req *r = st->r;
    struct kp_fetch_response out;
    struct fetch_session *s = st->begin.session;
    kp_fetch_response_init(&out);
    if (s && s->epoch != st->begin.expect_epoch) { // another request used the session meanwhile
        out.error_code = KERR_INVALID_FETCH_SESSION_EPOCH;
        out.session_id = s->id;
    } else {
        parts_trim(st);
    }
    if (!out.error_code && throttled(st)) {
        out.session_id = s ? s->id : FETCH_SESSION_NONE;
    } else if (!out.error_code) {
        struct fetch_news *news = req_alloc_array(r, st->parts_n, sizeof(*news));
        bool *told = req_alloc_array(r, st->parts_n, sizeof(*told));
        for (uint32_t i = 0; i < st->parts_n; i++)
            part_news(&st->parts[i], &news[i]);
        memset(told, true, st->parts_n);
        out.session_id = answer_session(st, news, told);
        fill_topics(st, news, told, &out);
        if (r->version >= LEADERS_SINCE && !st->follower) // followers know where brokers are
            fill_endpoints(st, &out);
    }
    REQ_RESPOND(r, &out, fetch_response); // encoded: the session's strings are not needed any more
    if (s)
        fetch_session_unref(s);
}
