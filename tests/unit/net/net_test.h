// What the tests of the net service share: the real service over the simulator's sockets, shards that answer
// by script, a metadata image made by hand, and clients.
#ifndef SLUICE_TESTS_UNIT_NET_NET_TEST_H
#define SLUICE_TESTS_UNIT_NET_NET_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/base/rand.h"
#include "engine/io/sim/sim.h"
#include "net/net_private.h"
#include "engine/log/validate.h"
#include "proto/gen/api_versions_request.h"
#include "proto/gen/api_versions_response.h"
#include "proto/gen/fetch_request.h"
#include "proto/gen/fetch_response.h"
#include "proto/gen/produce_request.h"
#include "proto/gen/produce_response.h"
#include "proto/gen/request_header.h"
#include "proto/gen/response_header.h"

#define MSEC  1000000ull
#define SEC   1000000000ull
#define PORT  19092
#define PARTS 4

// ---- the image -----------------------------------------------------------------------------------------------------------
enum { TOPICS = 3 };
static const struct meta_partition image_parts[PARTS] = {{.leader = 1, .leader_epoch = 5},
                                                         {.leader = 1, .leader_epoch = 5},
                                                         {.leader = 1, .leader_epoch = 5},
                                                         {.leader = 2, .leader_epoch = 9}};
static const struct meta_topic image_topics[TOPICS] = {
    {.id = {{0x10}},
     .name = "__consumer_offsets",
     .name_len = 18,
     .internal = true,
     .partitions = image_parts,
     .partitions_n = PARTS},
    {.id = {{0x20}}, .name = "logs", .name_len = 4, .partitions = image_parts, .partitions_n = PARTS},
    {.id = {{0x30}}, .name = "words", .name_len = 5, .partitions = image_parts, .partitions_n = PARTS}};
static const struct meta_topic *const image_list[TOPICS] = {&image_topics[0], &image_topics[1],
                                                            &image_topics[2]};
static const struct meta_endpoint image_ends[2] = {
    {.listener = "PLAINTEXT", .host = "one.example", .port = 9092},
    {.listener = "PLAINTEXT", .host = "two.example", .port = 9093}};
static const struct meta_broker image_brokers[2] = {
    {.id = 1, .endpoints = &image_ends[0], .endpoints_n = 1},
    {.id = 2, .endpoints = &image_ends[1], .endpoints_n = 1, .rack = "r2"}};
static const struct meta_feature image_features[2] = {{.name = "group.version", .level = 1},
                                                      {.name = "metadata.version", .level = 30}};
static struct meta_image image = {.version = 1,
                                  .cluster_id = "test",
                                  .node_id = 1,
                                  .controller_id = 1,
                                  .topics = image_list,
                                  .topics_n = TOPICS,
                                  .brokers = image_brokers,
                                  .brokers_n = 2,
                                  .features = image_features,
                                  .features_n = 2,
                                  .features_epoch = 77};

// These stand in for the meta room's.
const struct sl_uuid meta_topic_uuid = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
const struct meta_image *meta_image_get(struct reactor *r)
{
    return &image;
}
const struct meta_topic *meta_find_topic(const struct meta_image *img, const char *name, size_t len)
{
    for (uint32_t i = 0; i < img->topics_n; i++)
        if (img->topics[i]->name_len == len && !memcmp(img->topics[i]->name, name, len))
            return img->topics[i];
    return NULL;
}
const struct meta_topic *meta_find_topic_id(const struct meta_image *img, const struct sl_uuid *id)
{
    for (uint32_t i = 0; i < img->topics_n; i++)
        if (!memcmp(&img->topics[i]->id, id, sizeof(*id)))
            return img->topics[i];
    return NULL;
}
const struct meta_broker *meta_find_broker(const struct meta_image *img, int32_t id)
{
    for (uint32_t i = 0; i < img->brokers_n; i++)
        if (img->brokers[i].id == id)
            return &img->brokers[i];
    return NULL;
}

// ---- shards ---------------------------------------------------------------------------------------------------------------
struct rig;
struct fake_shard {
    struct service svc;
    struct reactor *r;
    struct rig *rig;
    struct list_node pending; // struct pending
};
struct pending {
    struct list_node node;
    struct fake_shard *s;
    struct timer timer;
    struct spsc_msg m;
    uint32_t from;
};

// ---- the rig --------------------------------------------------------------------------------------------------------------
enum { REACTORS = 2, CLIENTS_MAX = 2048, FETCH_DATA = 1 << 20 };
struct client;
struct rig {
    struct sim_world *w;
    struct sim_process *sp, *cp;
    struct io *ios[REACTORS], *cio;
    struct reactor_group *g, *cg;
    struct config *cfg;
    struct placement pl;
    struct net *nets[REACTORS];
    struct net_limits *limits;
    struct fake_shard shards[REACTORS];
    struct service csvc;
    struct metrics *metrics;
    struct client *clients[CLIENTS_MAX];
    uint32_t clients_n;
    // the script
    uint64_t delay_min, delay_max; // of a shard's answer
    bool hold;                     // shards do not answer at all
    int16_t append_error;
    uint32_t appends, fetches, pins;                 // pins: given out and not yet back
    uint32_t fetch_pieces;                           // pieces of FETCH_DATA bytes that a fetch brings
    uint32_t last_seq[CLIENTS_MAX * TOPICS * PARTS]; // of the batches that a client sent to a partition
    struct shard_append_part last_part;
    struct shard_append last_append;
    uint64_t stop_at;
};
static uint8_t fetch_data[FETCH_DATA];

struct rig_opts {
    uint64_t seed, pool;
    uint32_t credits, recv_buffers, recv_size, sock_buffer;
    struct sim_faults faults;
    const char *const *cfg; // key=value, NULL at the end
};

// A test batch: client, sequence, length, then bytes that follow from them. The shard checks it.
enum { BATCH_HEAD = 12 };
static inline uint8_t batch_byte(uint32_t client, uint32_t seq, uint32_t i)
{
    if (i == 16)
        return 0; // where a real batch has its magic
    return (uint8_t)(client * 31 + seq * 7 + i + (i >> 8));
}
static inline void batch_fill(uint8_t *b, uint32_t n, uint32_t client, uint32_t seq)
{
    assert_true(n >= BATCH_HEAD);
    be32_store(b, client);
    be32_store(b + 4, seq);
    be32_store(b + 8, n);
    for (uint32_t i = BATCH_HEAD; i < n; i++)
        b[i] = batch_byte(client, seq, i);
}

static inline uint32_t topic_index(const struct sl_uuid *id)
{
    for (uint32_t i = 0; i < TOPICS; i++)
        if (!memcmp(&image_topics[i].id, id, sizeof(*id)))
            return i;
    fail_msg("a shard was asked for an unknown topic");
    return 0;
}

static inline void shard_take_append(struct fake_shard *s, struct shard_append *a)
{
    struct rig *g = s->rig;
    g->appends++;
    g->last_append = *a;
    g->last_part = a->parts[0];
    for (uint32_t k = 0; k < a->n; k++) {
        struct shard_append_part *p = &a->parts[k];
        p->error = g->append_error;
        p->bad_n = p->error == KERR_INVALID_TIMESTAMP ? 3 : 0;
        for (uint32_t i = 0; i < p->bad_n; i++) {
            p->bad_index[i] = 2 * (int32_t)i;
            p->bad_fault[i] = i % 2 ? VALIDATE_FAULT_NO_KEY : VALIDATE_FAULT_TIMESTAMP_RANGE;
        }
        snprintf(p->error_text, sizeof(p->error_text), "%s", p->bad_n ? "the first one" : "");
        p->base_offset = p->log_start = p->log_append_time = -1;
        p->leader_epoch = -1;
        if (p->bytes < BATCH_HEAD || be32_load(p->records + 8) != (uint32_t)p->bytes)
            continue; // not one of ours
        uint32_t client = be32_load(p->records), seq = be32_load(p->records + 4);
        for (uint32_t i = BATCH_HEAD; i < (uint32_t)p->bytes; i++)
            if (p->records[i] != batch_byte(client, seq, i))
                fail_msg("client %u batch %u: byte %u of %d is wrong", client, seq, i, p->bytes);
        uint32_t *last =
            &g->last_seq[(client * TOPICS + topic_index(&p->topic_id)) * PARTS + (uint32_t)p->partition];
        if (seq <= *last)
            fail_msg("client %u: batch %u came after %u", client, seq, *last);
        *last = seq;
        p->base_offset = seq;
        p->log_start = 0;
    }
}

static inline void shard_take_fetch(struct fake_shard *s, struct shard_fetch *f)
{
    struct rig *g = s->rig;
    g->fetches++;
    f->pins = NULL;
    f->total = 0;
    for (uint32_t k = 0; k < f->n; k++) {
        struct shard_fetch_part *p = &f->parts[k];
        p->error = 0;
        p->high_watermark = p->last_stable = 1000000;
        p->log_start = 0;
        p->pieces_n = p->bytes = 0;
        if (!g->fetch_pieces)
            continue;
        struct log_piece *pieces = calloc(g->fetch_pieces + 1, sizeof(*pieces));
        for (uint32_t i = 0; i <= g->fetch_pieces; i++) // one of them empty
            pieces[i] = (struct log_piece){.p = fetch_data, .len = i == 1 ? 0 : FETCH_DATA};
        p->pieces = pieces;
        p->pieces_n = g->fetch_pieces + 1;
        p->bytes = g->fetch_pieces * FETCH_DATA;
        f->total += p->bytes;
        f->pins = (struct shard_pins *)pieces; // one part per shard in these tests
        g->pins++;
    }
}

static inline void shard_answer(struct pending *p)
{
    struct fake_shard *s = p->s;
    list_remove(&p->node);
    timer_cancel(s->r, &p->timer);
    reactor_reply(s->r, p->from, p->m.op, (enum service_kind)(p->m.flags & MSG_ASKER))->u[0] = p->m.u[0];
    free(p);
}

static inline void shard_timer(struct timer *t)
{
    shard_answer(SL_CONTAINER_OF(t, struct pending, timer));
}

static inline void shard_on_msg(struct service *svc, uint32_t from, const struct spsc_msg *m)
{
    struct fake_shard *s = SL_CONTAINER_OF(svc, struct fake_shard, svc);
    struct rig *g = s->rig;
    if ((m->op == SHARD_RELEASE || m->op == SHARD_SETTLE) && m->u[0]) {
        assert_true(g->pins > 0);
        g->pins--;
        free((void *)(uintptr_t)m->u[0]);
    }
    if (m->op == SHARD_SETTLE)
        reactor_reply(s->r, from, m->op, (enum service_kind)(m->flags & MSG_ASKER));
    if (m->op == SHARD_RELEASE || m->op == SHARD_SETTLE)
        return;
    if (m->op == SHARD_APPEND)
        shard_take_append(s, (struct shard_append *)(uintptr_t)m->u[0]);
    else if (m->op == SHARD_FETCH)
        shard_take_fetch(s, (struct shard_fetch *)(uintptr_t)m->u[0]);
    else
        fail_msg("a shard was sent %#x", m->op);
    struct pending *p = calloc(1, sizeof(*p));
    p->s = s;
    p->m = *m;
    p->from = from;
    timer_init(&p->timer, shard_timer);
    list_push_back(&s->pending, &p->node);
    uint64_t delay = sl_rand_range(sim_rand(g->w), g->delay_min, SL_MAX(g->delay_min, g->delay_max));
    if (!g->hold)
        timer_set(s->r, &p->timer, reactor_now(s->r) + delay);
}

// What was held back is answered from now on.
static inline void rig_release(struct rig *g)
{
    g->hold = false;
    for (uint32_t i = 0; i < REACTORS; i++)
        list_foreach(n, &g->shards[i].pending)
        {
            struct pending *p = list_entry(n, struct pending, node);
            timer_set(g->shards[i].r, &p->timer,
                      sim_now_ns(g->w) + sl_rand_range(sim_rand(g->w), 0, g->delay_max));
        }
}

static inline void client_service_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    fail_msg("nobody speaks to the clients' reactor");
}

static inline struct config *rig_config(const char *const *pairs)
{
    char err[256] = "", listeners[128];
    struct config *c = config_new();
    const char *base[] = {"node.id=1", "process.roles=broker,controller",
                          "controller.listener.names=CONTROLLER",
                          "controller.quorum.voters=1@127.0.0.1:19093", NULL};
    snprintf(listeners, sizeof(listeners), "listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:19093",
             PORT);
    assert_int_equal(config_set_pair(c, listeners, CFG_FROM_FILE, err, sizeof(err)), 0);
    for (const char *const *p = base; *p; p++)
        if (config_set_pair(c, *p, CFG_FROM_FILE, err, sizeof(err)))
            fail_msg("%s", err);
    for (const char *const *p = pairs; p && *p; p++)
        if (config_set_pair(c, *p, CFG_FROM_FILE, err, sizeof(err)))
            fail_msg("%s", err);
    if (config_finish(c, err, sizeof(err)))
        fail_msg("%s", err);
    return c;
}

static inline void rig_up(struct rig *g, const struct rig_opts *o)
{
    struct sim_config sc;
    memset(g, 0, sizeof(*g));
    sim_config_default(&sc, o->seed);
    if (o->recv_buffers)
        sc.recv_buffers = o->recv_buffers;
    if (o->recv_size)
        sc.recv_size = o->recv_size;
    if (o->sock_buffer)
        sc.sock_buffer = o->sock_buffer;
    sc.faults = o->faults;
    g->w = sim_world_create(&sc);
    g->sp = sim_process_create(g->w, NULL);
    g->cp = sim_process_create(g->w, NULL);
    for (uint32_t i = 0; i < REACTORS; i++)
        g->ios[i] = sim_io_create(g->sp);
    g->cio = sim_io_create(g->cp);
    g->metrics = metrics_create(REACTORS);
    g->g = reactor_group_create(REACTORS, g->ios, o->credits ? o->credits : 64, g->metrics);
    g->cg = reactor_group_create(1, &g->cio, 4, NULL);
    g->cfg = rig_config(o->cfg);
    placement_make(&g->pl, REACTORS, false);
    char err[256] = "";
    g->limits = net_limits_create(g->cfg, err, sizeof(err));
    if (!g->limits)
        fail_msg("%s", err);
    struct net_config nc = {.cfg = g->cfg,
                            .placement = &g->pl,
                            .limits = g->limits,
                            .frame_pool_bytes = o->pool ? o->pool : 64u << 20,
                            .metrics = g->metrics,
                            .metrics_n = REACTORS};
    for (uint32_t i = 0; i < REACTORS; i++) {
        struct reactor *r = reactor_group_get(g->g, i);
        g->nets[i] = net_create(r, &nc);
        assert_non_null(g->nets[i]);
        reactor_add_service(r, net_service(g->nets[i]));
        g->shards[i] = (struct fake_shard){
            .svc = {.kind = SVC_SHARD, .name = "fake", .on_msg = shard_on_msg}, .r = r, .rig = g};
        list_init(&g->shards[i].pending);
        reactor_add_service(r, &g->shards[i].svc);
        assert_int_equal(net_listen(g->nets[i], err, sizeof(err)), 0);
    }
    g->csvc = (struct service){.kind = SVC_SHARD, .name = "clients", .on_msg = client_service_msg};
    reactor_add_service(reactor_group_get(g->cg, 0), &g->csvc);
    sim_attach(g->sp, g->g);
    sim_attach(g->cp, g->cg);
}

static inline bool rig_stopped(void *arg)
{
    struct rig *g = arg;
    return reactor_group_stopped(g->g);
}

static inline void rig_free(struct rig *g);

// An orderly stop, which must take less than a second, and leave nothing.
static inline void rig_down(struct rig *g)
{
    g->stop_at = sim_now_ns(g->w);
    reactor_group_stop(g->g);
    assert_true(sim_run(g->w, SEC, rig_stopped, g));
    for (uint32_t i = 0; i < REACTORS; i++) {
        assert_int_equal(g->nets[i]->conns_n, 0);
        assert_true(list_empty(&g->shards[i].pending));
        assert_int_equal(g->nets[i]->decoded, 0);
        assert_int_equal(g->nets[i]->large_bytes, 0);
        assert_int_equal(g->nets[i]->reqs.in_use, 0);
        assert_int_equal(g->nets[i]->sends.in_use, 0);
        struct buf_pool_stats st;
        buf_pool_get_stats(g->nets[i]->frames, &st);
        assert_int_equal(st.in_use, 0);
    }
    assert_int_equal(g->pins, 0);
    rig_free(g);
}

// ---- clients --------------------------------------------------------------------------------------------------------------
struct client_send {
    struct list_node node;
    struct io_op op;
    struct client *c;
    struct iovec v;
    size_t left;
    uint8_t buf[];
};
struct client {
    struct rig *g;
    uint32_t id;
    io_sock s;
    struct io_op connect_op, recv_op, close_op;
    struct list_node sends;
    bool connected, refused, reading, receiving, ended, closed;
    uint8_t *in;
    size_t in_n, in_cap, taken;
    uint32_t frames; // whole ones received so far
    size_t frames_at;
    uint32_t seq, sent, next_corr;
};

static inline void client_read(struct client *c);

static inline void client_got(struct io_op *op, int32_t res)
{
    struct client *c = SL_CONTAINER_OF(op, struct client, recv_op);
    c->receiving = false;
    if (res <= 0) {
        c->ended = true;
        return;
    }
    c->in_n += (size_t)res;
    while (c->in_n - c->frames_at >= 4 && c->in_n - c->frames_at - 4 >= be32_load(c->in + c->frames_at)) {
        c->frames_at += 4 + be32_load(c->in + c->frames_at);
        c->frames++;
    }
    client_read(c);
}

static inline void client_read(struct client *c)
{
    if (!c->reading || c->receiving || c->ended || c->closed)
        return;
    if (c->in_cap - c->in_n < 65536) {
        c->in_cap = c->in_cap * 2 + 65536;
        c->in = realloc(c->in, c->in_cap);
    }
    c->recv_op = (struct io_op){.done = client_got};
    c->receiving = true;
    io_recv(c->g->cio, &c->recv_op, c->s, c->in + c->in_n, 65536);
}

static inline void client_connected(struct io_op *op, int32_t res)
{
    struct client *c = SL_CONTAINER_OF(op, struct client, connect_op);
    c->connected = res >= 0;
    c->refused = res < 0;
    c->s = res;
    if (c->connected)
        client_read(c);
}

static inline struct client *client_new_at(struct rig *g, uint16_t port)
{
    struct client *c = calloc(1, sizeof(*c));
    assert_true(g->clients_n < CLIENTS_MAX);
    c->id = g->clients_n;
    g->clients[g->clients_n++] = c;
    c->g = g;
    c->reading = true;
    list_init(&c->sends);
    c->connect_op = (struct io_op){.done = client_connected};
    io_connect(g->cio, &c->connect_op, "127.0.0.1", port);
    return c;
}

static inline struct client *client_new(struct rig *g)
{
    return client_new_at(g, PORT);
}

static inline bool client_is_up(void *arg)
{
    struct client *c = arg;
    return c->connected || c->refused;
}

static inline struct client *client_up(struct rig *g)
{
    struct client *c = client_new(g);
    assert_true(sim_run(g->w, SEC, client_is_up, c));
    assert_true(c->connected);
    return c;
}

static inline void client_sent(struct io_op *op, int32_t res);
static inline void client_send_next(struct client *c)
{
    struct client_send *s = list_entry(list_first(&c->sends), struct client_send, node);
    s->op = (struct io_op){.done = client_sent};
    io_send(c->g->cio, &s->op, c->s, &s->v, 1, 0);
}

static inline void client_sent(struct io_op *op, int32_t res)
{
    struct client_send *s = SL_CONTAINER_OF(op, struct client_send, op);
    struct client *c = s->c;
    if (res > 0 && (size_t)res < s->v.iov_len && !c->closed) {
        s->v.iov_base = (uint8_t *)s->v.iov_base + res;
        s->v.iov_len -= (size_t)res;
        client_send_next(c);
        return;
    }
    list_remove(&s->node);
    free(s);
    if (res > 0 && !c->closed && !list_empty(&c->sends))
        client_send_next(c);
}

static inline void client_send(struct client *c, const void *b, size_t n)
{
    if (c->closed)
        return;
    struct client_send *s = malloc(sizeof(*s) + n);
    s->c = c;
    s->v = (struct iovec){.iov_base = s->buf, .iov_len = n};
    memcpy(s->buf, b, n);
    list_init(&s->node);
    bool idle = list_empty(&c->sends);
    list_push_back(&c->sends, &s->node);
    if (idle)
        client_send_next(c);
}

static inline void client_closed(struct io_op *op, int32_t res) {}

static inline void client_close(struct client *c)
{
    if (!c->connected || c->closed)
        return;
    c->closed = true;
    io_shutdown(c->g->cio, c->s);
    c->close_op = (struct io_op){.done = client_closed};
    io_close_sock(c->g->cio, &c->close_op, c->s);
}

struct want_frames {
    struct client *c;
    uint32_t n;
};
static inline bool has_frames(void *arg)
{
    struct want_frames *w = arg;
    return w->c->frames >= w->n || w->c->ended;
}
static inline bool client_wait(struct client *c, uint32_t frames, uint64_t ns)
{
    struct want_frames w = {c, frames};
    return sim_run(c->g->w, ns, has_frames, &w) && c->frames >= frames;
}
static inline bool has_ended(void *arg)
{
    return ((struct client *)arg)->ended;
}
static inline bool client_wait_end(struct client *c, uint64_t ns)
{
    return sim_run(c->g->w, ns, has_ended, c);
}

// The next answer that was not taken yet.
static inline const uint8_t *client_take(struct client *c, uint32_t *n)
{
    assert_true(c->taken < c->frames_at);
    const uint8_t *p = c->in + c->taken + 4;
    *n = be32_load(c->in + c->taken);
    c->taken += 4 + *n;
    return p;
}
static inline int32_t client_take_corr(struct client *c)
{
    uint32_t n;
    const uint8_t *p = client_take(c, &n);
    assert_true(n >= 4);
    return (int32_t)be32_load(p);
}

static inline void rig_free(struct rig *g)
{
    sim_detach(g->sp);
    sim_detach(g->cp);
    for (uint32_t i = 0; i < REACTORS; i++) {
        net_destroy(g->nets[i]);
        list_foreach_safe(n, &g->shards[i].pending) free(list_entry(n, struct pending, node));
    }
    net_limits_destroy(g->limits);
    reactor_group_destroy(g->g);
    reactor_group_destroy(g->cg);
    metrics_destroy(g->metrics);
    sim_world_destroy(g->w);
    for (uint32_t i = 0; i < g->clients_n; i++) {
        struct client *c = g->clients[i];
        list_foreach_safe(n, &c->sends) free(list_entry(n, struct client_send, node));
        free(c->in);
        free(c);
    }
    config_free(g->cfg);
}

// ---- requests -------------------------------------------------------------------------------------------------------------
// A frame with its length. The caller frees it.
static inline uint8_t *frame_of(int16_t key, int16_t version, int32_t corr, const char *client_id,
                                const void *m, kp_size_fn size, kp_encode_fn encode, size_t *len)
{
    struct kp_request_header h;
    kp_request_header_init(&h);
    h.request_api_key = key;
    h.request_api_version = version;
    h.correlation_id = corr;
    h.client_id = kp_str_of(client_id);
    int16_t hv = kp_request_header_version(key, version);
    int64_t a = kp_request_header_size(&h, hv), b = m ? size(m, version) : 0;
    assert_true(a > 0 && b >= 0);
    uint8_t *p = malloc(4 + (size_t)(a + b));
    struct kp_writer w = {.buf = p + 4, .cap = (size_t)(a + b)};
    assert_int_equal(kp_request_header_encode(&h, hv, &w), 0);
    if (m)
        assert_int_equal(encode(m, version, &w), 0);
    be32_store(p, (uint32_t)w.len);
    *len = w.len + 4;
    return p;
}
#define FRAME_OF(key, version, corr, m, message, len)                                                        \
    frame_of(key, version, corr, "tester", m, (kp_size_fn)kp_##message##_size,                               \
             (kp_encode_fn)kp_##message##_encode, len)

static inline uint8_t *frame_api_versions(int16_t version, int32_t corr, size_t *len)
{
    struct kp_api_versions_request m;
    kp_api_versions_request_init(&m);
    m.client_software_name = KP_STR_LIT("tester");
    m.client_software_version = KP_STR_LIT("1.0");
    return FRAME_OF(18, version, corr, &m, api_versions_request, len);
}

static inline uint8_t *frame_produce(int16_t version, int32_t corr, int16_t acks, const char *topic,
                                     int32_t partition, const uint8_t *records, int32_t n, size_t *len)
{
    struct kp_produce_request m;
    struct kp_produce_request_topic_produce_data t;
    struct kp_produce_request_partition_produce_data p;
    kp_produce_request_init(&m);
    kp_produce_request_topic_produce_data_init(&t);
    kp_produce_request_partition_produce_data_init(&p);
    p.index = partition;
    p.records = (struct kp_records){.p = records, .n = n};
    t.name = kp_str_of(topic);
    const struct meta_topic *mt = meta_find_topic(&image, topic, strlen(topic));
    if (mt)
        t.topic_id = mt->id;
    t.partition_data = &p;
    t.partition_data_n = 1;
    m.acks = acks;
    m.timeout_ms = 1000;
    m.topic_data = &t;
    m.topic_data_n = 1;
    return FRAME_OF(0, version, corr, &m, produce_request, len);
}

// The client's next batch, of `bytes`, as a whole request.
static inline uint8_t *client_batch(struct client *c, int16_t acks, int32_t partition, uint32_t bytes,
                                    size_t *len)
{
    uint8_t *b = malloc(bytes);
    batch_fill(b, bytes, c->id, ++c->seq);
    uint8_t *f = frame_produce(9, (int32_t)c->next_corr++, acks, "logs", partition, b, (int32_t)bytes, len);
    free(b);
    return f;
}
static inline void client_produce(struct client *c, int16_t acks, int32_t partition, uint32_t bytes)
{
    size_t n;
    uint8_t *f = client_batch(c, acks, partition, bytes, &n);
    client_send(c, f, n);
    free(f);
    c->sent += acks != 0;
}
static inline void client_ask_versions(struct client *c)
{
    size_t n;
    uint8_t *f = frame_api_versions(3, (int32_t)c->next_corr++, &n);
    client_send(c, f, n);
    free(f);
    c->sent++;
}
// A fetch of one partition that is answered at once.
static inline void client_fetch(struct client *c, int32_t partition)
{
    struct kp_fetch_request m;
    struct kp_fetch_request_fetch_topic t;
    struct kp_fetch_request_fetch_partition p;
    size_t n;
    kp_fetch_request_init(&m);
    kp_fetch_request_fetch_topic_init(&t);
    kp_fetch_request_fetch_partition_init(&p);
    p.partition = partition;
    p.partition_max_bytes = 50 << 20;
    t.topic = KP_STR_LIT("logs");
    t.partitions = &p;
    t.partitions_n = 1;
    m.max_wait_ms = 0;
    m.min_bytes = 1;
    m.max_bytes = 50 << 20;
    m.topics = &t;
    m.topics_n = 1;
    uint8_t *f = FRAME_OF(1, 12, (int32_t)c->next_corr++, &m, fetch_request, &n);
    client_send(c, f, n);
    free(f);
    c->sent++;
}

// Answers so far are those of requests from, from + 1, ...
static inline void client_check_order(struct client *c, uint32_t from)
{
    while (c->taken < c->frames_at)
        assert_int_equal(client_take_corr(c), (int32_t)from++);
}

#endif
