// What the handlers' tests share: a net service without sockets on a hand-wound clock, shards and a controller that are
// played here, and an image made by hand. A request goes into its handler, and the answer is taken from the connection's
// output, decoded.
#ifndef SLUICE_TESTS_UNIT_NET_API_RIG_H
#define SLUICE_TESTS_UNIT_NET_API_RIG_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/rand.h"
#include "engine/io/reactor.h"
#include "engine/shard/producers.h"
#include "net/api/common.h"
#include "net/net_private.h"
#include "proto/gen/all.h"

enum { RIG_SHARDS = 2, RIG_TOPICS = 4, RIG_PARTS = 8, RIG_CONNS = 64, RIG_BYTES = 1 << 20, RIG_NODE = 1 };

struct rig;

// ---- io: a clock and nothing else ------------------------------------------------------------------------------------
struct rig_io {
    struct io io;
    struct rig *rig;
};

// ---- a played shard ----------------------------------------------------------------------------------------------------
struct shard_pins {
    struct rig_shard *s;
    uint32_t n;
    struct log_piece pieces[];
};
struct rig_watch {
    uint64_t key;
    int64_t need;
    bool alive;
    struct shard_fetch f; // its question
    struct shard_fetch_part parts[RIG_PARTS];
};
struct rig_shard {
    struct service svc;
    struct reactor *r;
    struct rig *rig;
    uint32_t index;
    struct rig_watch watches[64];
    uint32_t pins, fetches, pushes, unwatches, read; // read: answers that it was told of
    bool goes_on;                                    // watches wait on behind what they brought
    struct shard_fired_key fired_keys[64];
    struct shard_fired fired;
    bool fired_out;
};
// A partition as its shard has it: offsets [start, end), each a batch of batch_bytes.
struct rig_part {
    struct meta_topic *t;
    int32_t partition;
    int64_t start, end;
    uint32_t batch_bytes;
    int32_t epoch;
    int16_t error;
    uint32_t dir; // where it lies
};

struct rig {
    uint64_t now;
    struct rig_io ios[RIG_SHARDS];
    struct reactor_group *g;
    struct metrics *m;
    struct config *cfg;
    struct placement pl;
    struct net n;
    struct cfg_listener listener;
    struct rig_shard shards[RIG_SHARDS];
    struct service meta;
    struct meta_image img;
    struct meta_dir dirs[4];
    uint32_t altered; // resources that the controller was last asked to alter
    bool altered_incremental;
    struct meta_broker broker;
    struct meta_endpoint endpoint;
    struct meta_topic topics[RIG_TOPICS];
    const struct meta_topic *sorted[RIG_TOPICS];
    struct meta_partition mparts[RIG_TOPICS][RIG_PARTS];
    struct rig_part parts[RIG_TOPICS * RIG_PARTS];
    uint32_t parts_n;
    struct conn conns[RIG_CONNS];
    void *bodies[256];
    uint32_t bodies_n;
    struct arena arena;
    struct sl_rand rand;
    uint8_t *bytes;
    int64_t next_pid;
    uint32_t creates, pid_blocks; // requests that the controller saw
    uint32_t create_configs;      // of the topics that it was last asked to make
    int16_t controller_error;
};

static struct rig *rig_now; // the image's functions below have no other way to it
static const int32_t rig_replicas[] = {RIG_NODE};

// ---- the image: instead of engine/meta's ---------------------------------------------------------------------------------
const struct sl_uuid meta_topic_uuid = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

const struct meta_image *meta_image_get(struct reactor *r)
{
    return &rig_now->img;
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
        if (sl_uuid_eq(&img->topics[i]->id, id))
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

static int rig_by_name(const void *a, const void *b)
{
    return strcmp((*(const struct meta_topic *const *)a)->name, (*(const struct meta_topic *const *)b)->name);
}

// Adds a topic to the image and its partitions to the shards. `name` is static.
static inline struct meta_topic *rig_topic(struct rig *t, const char *name, uint32_t parts)
{
    uint32_t k = t->img.topics_n;
    SL_ASSERT(k < RIG_TOPICS && parts <= RIG_PARTS);
    struct meta_topic *mt = &t->topics[k];
    *mt = (struct meta_topic){.id = sl_uuid_make(0x1000 + k, 7),
                              .name = name,
                              .name_len = (uint16_t)strlen(name),
                              .partitions = t->mparts[k],
                              .partitions_n = parts};
    for (uint32_t i = 0; i < parts; i++) {
        t->mparts[k][i] = (struct meta_partition){.leader = RIG_NODE,
                                                  .leader_epoch = 3,
                                                  .replicas = rig_replicas,
                                                  .isr = rig_replicas,
                                                  .replicas_n = 1,
                                                  .isr_n = 1};
        t->parts[t->parts_n++] =
            (struct rig_part){.t = mt, .partition = (int32_t)i, .batch_bytes = 100, .epoch = 3};
    }
    t->sorted[k] = mt;
    t->img.topics_n++;
    t->img.topics = t->sorted;
    qsort(t->sorted, t->img.topics_n, sizeof(t->sorted[0]), rig_by_name);
    return mt;
}

static struct rig_part *rig_part(struct rig *t, const struct sl_uuid *id, int32_t partition)
{
    for (uint32_t i = 0; i < t->parts_n; i++)
        if (sl_uuid_eq(&t->parts[i].t->id, id) && t->parts[i].partition == partition)
            return &t->parts[i];
    return NULL;
}

// ---- io ------------------------------------------------------------------------------------------------------------------
static uint64_t rig_io_now(struct io *io)
{
    return ((struct rig_io *)io)->rig->now;
}

static int64_t rig_io_wall(struct io *io)
{
    return (int64_t)(((struct rig_io *)io)->rig->now / 1000000);
}

static void rig_io_random(struct io *io, void *buf, size_t n)
{
    sl_rand_bytes(&((struct rig_io *)io)->rig->rand, buf, n);
}

static int rig_io_poll(struct io *io, uint64_t wait_ns)
{
    return 0;
}

static void rig_io_bell(struct io *from, struct io *to) {}

static uint64_t rig_io_counter(struct io *io, uint32_t which)
{
    return 0;
}

static void rig_io_shutdown(struct io *io, io_sock s) {}

static const struct io_vtable rig_vt = {.name = "rig",
                                        .now_ns = rig_io_now,
                                        .wall_ms = rig_io_wall,
                                        .random = rig_io_random,
                                        .poll = rig_io_poll,
                                        .doorbell = rig_io_bell,
                                        .counter = rig_io_counter,
                                        .shutdown = rig_io_shutdown};

// ---- the played shard ------------------------------------------------------------------------------------------------------
static void rig_read(struct rig_shard *s, struct shard_fetch *f, struct shard_fetch_part *p, uint32_t *left)
{
    struct rig_part *x = rig_part(s->rig, &p->topic_id, p->partition);
    p->error = !x ? KERR_UNKNOWN_TOPIC_OR_PARTITION : x->error;
    p->high_watermark = p->last_stable = p->log_start = -1;
    p->leader_epoch = x ? x->epoch : -1;
    p->diverging = false;
    p->pieces = NULL;
    p->pieces_n = p->bytes = 0;
    p->next_offset = p->fetch_offset;
    SL_ASSERT(!x || net_shard_of(&s->rig->n, &p->topic_id, p->partition) == s->index);
    if (!p->error && p->current_leader_epoch >= 0 && p->current_leader_epoch != x->epoch)
        p->error = p->current_leader_epoch < x->epoch ? KERR_FENCED_LEADER_EPOCH : KERR_UNKNOWN_LEADER_EPOCH;
    if (!p->error && (p->fetch_offset < x->start || p->fetch_offset > x->end))
        p->error = KERR_OFFSET_OUT_OF_RANGE;
    if (p->error)
        return;
    p->high_watermark = p->last_stable = x->end;
    p->log_start = x->start;
    uint64_t have = (uint64_t)(x->end - p->fetch_offset) * x->batch_bytes;
    uint64_t max = SL_MIN((uint64_t)SL_MAX(p->max_bytes, 0), (uint64_t)*left);
    uint64_t n = SL_MIN(have, max) / x->batch_bytes * x->batch_bytes;
    if (!n && have && f->min_one && !f->total)
        n = x->batch_bytes;
    n = SL_MIN(n, (uint64_t)RIG_BYTES);
    if (!n)
        return;
    struct log_piece *piece = &f->pins->pieces[f->pins->n++];
    *piece = (struct log_piece){.p = s->rig->bytes, .len = (uint32_t)n};
    p->pieces = piece;
    p->pieces_n = 1;
    p->bytes = (uint32_t)n;
    p->next_offset = p->fetch_offset + (int64_t)(n / x->batch_bytes);
    f->total += (uint32_t)n;
    *left -= SL_MIN(*left, (uint32_t)n);
}

static struct rig_watch *rig_watch_of(struct rig_shard *s, uint64_t key)
{
    struct rig_watch *none = NULL;
    for (uint32_t i = 0; i < SL_ARRAY_LEN(s->watches); i++) {
        if (s->watches[i].alive && s->watches[i].key == key)
            return &s->watches[i];
        if (!s->watches[i].alive)
            none = &s->watches[i];
    }
    SL_ASSERT(none);
    return none;
}

// False: there is an error.
static bool rig_fetch_read(struct rig_shard *s, struct shard_fetch *f)
{
    uint32_t left = f->max_bytes;
    bool bad = false;
    f->total = 0;
    f->pins = calloc(1, sizeof(*f->pins) + f->n * sizeof(f->pins->pieces[0]));
    f->pins->s = s;
    for (uint32_t i = 0; i < f->n; i++) {
        rig_read(s, f, &f->parts[i], &left);
        bad |= f->parts[i].error != 0;
    }
    if (f->pins->n) {
        s->pins++;
    } else {
        free(f->pins);
        f->pins = NULL;
    }
    return !bad;
}

static void rig_unpin(struct rig_shard *s, struct shard_pins *pins)
{
    if (!pins)
        return;
    SL_ASSERT(s->pins-- > 0);
    free(pins);
}

static void rig_fetch(struct rig_shard *s, struct shard_fetch *f)
{
    s->fetches++;
    bool good = rig_fetch_read(s, f);
    if (!f->watch_key)
        return;
    struct rig_watch *w = rig_watch_of(s, f->watch_key);
    *w = (struct rig_watch){.key = f->watch_key, .need = f->watch_bytes - (int64_t)f->total, .f = *f};
    w->alive = good && f->total < f->watch_bytes;
    SL_ASSERT(f->n <= RIG_PARTS);
    memcpy(w->parts, f->parts, f->n * sizeof(f->parts[0]));
}

static void rig_acked(struct rig_shard *s)
{
    for (uint32_t i = 0; i < s->fired.n; i++)
        if (s->fired_keys[i].answer) {
            rig_unpin(s, s->fired_keys[i].answer->pins);
            free(s->fired_keys[i].answer);
        }
    s->fired.n = 0;
    s->fired_out = false;
}

static void rig_offsets(struct rig_shard *s, struct shard_offsets *q)
{
    for (uint32_t i = 0; i < q->n; i++) {
        struct shard_offset_part *p = &q->parts[i];
        struct rig_part *x = rig_part(s->rig, &p->topic_id, p->partition);
        p->error = x ? x->error : KERR_UNKNOWN_TOPIC_OR_PARTITION;
        p->offset = p->error ? -1 : p->timestamp == -2 ? x->start : x->end;
        p->found_timestamp = -1;
        p->leader_epoch = x ? x->epoch : -1;
    }
}

static void rig_epochs(struct rig_shard *s, struct shard_epochs *q)
{
    for (uint32_t i = 0; i < q->n; i++) {
        struct rig_part *x = rig_part(s->rig, &q->parts[i].topic_id, q->parts[i].partition);
        q->parts[i].error = x ? x->error : KERR_UNKNOWN_TOPIC_OR_PARTITION;
        q->parts[i].end_epoch = x ? x->epoch : -1;
        q->parts[i].end_offset = x ? x->end : -1;
    }
}

static void rig_describe(struct rig_shard *s, struct shard_describe *q)
{
    for (uint32_t i = 0; i < q->n; i++) {
        struct rig_part *x = rig_part(s->rig, &q->parts[i].topic_id, q->parts[i].partition);
        SL_ASSERT(net_shard_of(&s->rig->n, &q->parts[i].topic_id, q->parts[i].partition) == s->index);
        q->parts[i].error = x ? 0 : KERR_UNKNOWN_TOPIC_OR_PARTITION;
        q->parts[i].dir = x ? x->dir : 0;
        q->parts[i].size = x ? (uint64_t)x->end * 10 : 0;
    }
}

// Each partition knows one producer, whose id is 100 more than the partition's number.
static void rig_producers(struct rig_shard *s, struct shard_producers *q)
{
    for (uint32_t i = 0; i < q->n; i++) {
        SL_ASSERT(net_shard_of(&s->rig->n, &q->parts[i].topic_id, q->parts[i].partition) == s->index);
        q->parts[i].error = KERR_NONE;
        q->parts[i].producers_n = 1;
        q->parts[i].producers = calloc(1, sizeof(*q->parts[i].producers));
        q->parts[i].producers[0] = (struct shard_producer){.producer_id = 100 + q->parts[i].partition,
                                                           .last_sequence = 7,
                                                           .epoch = 3,
                                                           .txn_first_offset = -1,
                                                           .coordinator_epoch = -1};
    }
}

static void rig_trim(struct rig_shard *s, struct shard_trim *q)
{
    for (uint32_t i = 0; i < q->n; i++) {
        struct shard_trim_part *p = &q->parts[i];
        struct rig_part *x = rig_part(s->rig, &p->topic_id, p->partition);
        int64_t offset = x && p->offset == -1 ? x->end : p->offset;
        p->error = !x                              ? KERR_UNKNOWN_TOPIC_OR_PARTITION
                   : x->error                      ? x->error
                   : offset < 0 || offset > x->end ? KERR_OFFSET_OUT_OF_RANGE
                                                   : 0;
        if (!p->error)
            x->start = SL_MAX(x->start, offset);
        p->low_watermark = p->error ? -1 : x->start;
    }
}

static void rig_shard_msg(struct service *svc, uint32_t from, const struct spsc_msg *m)
{
    struct rig_shard *s = SL_CONTAINER_OF(svc, struct rig_shard, svc);
    void *ptr = (void *)(uintptr_t)m->u[0];
    switch (m->op) {
    case SHARD_FETCH:
        rig_fetch(s, ptr);
        break;
    case SHARD_LIST_OFFSETS:
        rig_offsets(s, ptr);
        break;
    case SHARD_EPOCH_END:
        rig_epochs(s, ptr);
        break;
    case SHARD_DESCRIBE:
        rig_describe(s, ptr);
        break;
    case SHARD_PRODUCERS:
        rig_producers(s, ptr);
        break;
    case SHARD_DELETE_RECORDS:
        rig_trim(s, ptr);
        break;
    case SHARD_RELEASE:
        rig_unpin(s, ptr);
        return;
    case SHARD_SETTLE:
        rig_unpin(s, ptr);
        if (m->u[1]) {
            s->unwatches++;
            rig_watch_of(s, m->u[1])->alive = false;
        }
        s->read += m->u[3] != 0;
        break;
    case SHARD_FIRED_ACK:
        rig_acked(s);
        reactor_credit_give(s->r, from, 1);
        return;
    default:
        sl_panic("the played shard got %#x", m->op);
    }
    reactor_reply(s->r, from, m->op, m->flags & MSG_ASKER)->u[0] = m->u[0];
}

static struct shard_fetch *rig_push(struct rig_shard *s, const struct rig_watch *w)
{
    struct shard_fetch *f = malloc(sizeof(*f) + sizeof(w->parts));
    *f = w->f;
    f->parts = (struct shard_fetch_part *)(f + 1);
    memcpy(f->parts, w->parts, sizeof(w->parts));
    rig_fetch_read(s, f);
    s->pushes++;
    return f;
}

// Something happened to a partition of the shard: its watches that need `bytes` or less fire.
static inline void rig_fire(struct rig_shard *s, int64_t bytes)
{
    SL_ASSERT(!s->fired_out);
    s->fired = (struct shard_fired){.keys = s->fired_keys};
    for (uint32_t i = 0; i < SL_ARRAY_LEN(s->watches); i++) {
        struct rig_watch *w = &s->watches[i];
        if (!w->alive || (w->need -= bytes) > 0)
            continue;
        w->alive = w->f.push && s->goes_on;
        struct shard_fired_key *k = &s->fired_keys[s->fired.n++];
        *k = (struct shard_fired_key){
            .key = w->key, .answer = w->f.push ? rig_push(s, w) : NULL, .again = w->alive};
        w->need = w->f.watch_bytes;
        for (uint32_t p = 0; w->alive && p < w->f.n; p++)
            w->parts[p].fetch_offset = k->answer->parts[p].next_offset;
    }
    if (!s->fired.n)
        return;
    SL_ASSERT(reactor_credit_take(s->r, 0, 1));
    s->fired_out = true;
    reactor_send(s->r, 0, SHARD_FIRED)->u[0] = (uint64_t)(uintptr_t)&s->fired;
}

// `n` records more in a partition.
static inline void rig_append(struct rig *t, const struct meta_topic *mt, int32_t partition, int64_t n)
{
    struct rig_part *x = rig_part(t, &mt->id, partition);
    x->end += n;
    rig_fire(&t->shards[net_shard_of(&t->n, &mt->id, partition)], n * x->batch_bytes);
}

static uint32_t rig_watches(const struct rig *t)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < RIG_SHARDS; s++)
        for (uint32_t i = 0; i < SL_ARRAY_LEN(t->shards[s].watches); i++)
            n += t->shards[s].watches[i].alive;
    return n;
}

static uint32_t rig_pins(const struct rig *t)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < RIG_SHARDS; s++)
        n += t->shards[s].pins;
    return n;
}

// ---- the played controller -------------------------------------------------------------------------------------------------
static void rig_create(struct rig *t, struct meta_create *q)
{
    static const char *const names[] = {"made-a", "made-b", "made-c", "made-d"};
    t->creates++;
    for (uint32_t i = 0; i < q->n; i++) {
        struct meta_create_topic *c = &q->topics[i];
        c->error = t->controller_error;
        c->out_partitions = c->partitions < 0 ? 1 : c->partitions;
        c->out_replication = 1;
        for (uint32_t k = 0; k < SL_ARRAY_LEN(names) && !c->error && t->img.topics_n < RIG_TOPICS; k++)
            if ((size_t)c->name_len == strlen(names[k]) && !memcmp(names[k], c->name, (size_t)c->name_len) &&
                !q->validate_only)
                c->id = rig_topic(t, names[k], 1)->id;
    }
}

static void rig_meta_msg(struct service *svc, uint32_t from, const struct spsc_msg *m)
{
    struct rig *t = SL_CONTAINER_OF(svc, struct rig, meta);
    void *ptr = (void *)(uintptr_t)m->u[0];
    uint32_t at = net_controller_reactor(&t->n);
    if (m->op == META_CREATE_TOPICS) {
        const struct meta_create *q = ptr;
        t->create_configs = 0;
        for (uint32_t i = 0; i < q->n; i++)
            t->create_configs += q->topics[i].configs_n;
        rig_create(t, ptr);
    } else if (m->op == META_ALLOC_PIDS) {
        struct meta_pids *q = ptr;
        q->error = t->controller_error;
        q->first = t->next_pid;
        q->count = 1000;
        t->next_pid += 1000;
        t->pid_blocks++;
    } else if (m->op == META_DELETE_TOPICS) {
        struct meta_delete *q = ptr;
        for (uint32_t i = 0; i < q->n; i++) {
            const struct meta_topic *mt =
                q->topics[i].name ? meta_find_topic(&t->img, q->topics[i].name, (size_t)q->topics[i].name_len)
                                  : meta_find_topic_id(&t->img, &q->topics[i].id);
            q->topics[i].error = mt                  ? 0
                                 : q->topics[i].name ? KERR_UNKNOWN_TOPIC_OR_PARTITION
                                                     : KERR_UNKNOWN_TOPIC_ID;
            if (mt) {
                snprintf(q->topics[i].out_name, sizeof(q->topics[i].out_name), "%s", mt->name);
                q->topics[i].out_id = mt->id;
            }
        }
    } else if (m->op == META_ALTER_CONFIGS) {
        struct meta_alter *q = ptr;
        for (uint32_t i = 0; i < q->n; i++)
            q->resources[i].error = t->controller_error;
        t->altered += q->n;
        t->altered_incremental = q->incremental;
    } else if (m->op == META_ALTER_QUOTAS) {
        struct meta_alter_quotas *q = ptr;
        for (uint32_t i = 0; i < q->n; i++)
            q->entries[i].error = t->controller_error;
        t->altered += q->n;
    } else if (m->op == META_UPDATE_FEATURES) {
        ((struct meta_update_features *)ptr)->error = t->controller_error;
    } else if (m->op == META_UNREGISTER) {
        ((struct meta_unregister *)ptr)->error = t->controller_error;
    } else {
        SL_ASSERT(m->op == META_CREATE_PARTITIONS);
        struct meta_grow *q = ptr;
        for (uint32_t i = 0; i < q->n; i++)
            q->topics[i].error = t->controller_error;
    }
    reactor_reply(reactor_group_get(t->g, at), from, m->op, m->flags & MSG_ASKER)->u[0] = m->u[0];
}

// ---- set-up ----------------------------------------------------------------------------------------------------------------
static void rig_conn_go(struct ready *w) {}

static void rig_conn(struct rig *t, struct conn *c)
{
    memset(c, 0, sizeof(*c));
    c->net = &t->n;
    c->listener = &t->listener;
    c->go.run = rig_conn_go;
    list_init(&c->go.node);
    list_init(&c->mem_wait);
    list_init(&c->backlog);
    list_init(&c->requests);
    list_init(&c->out);
    list_init(&c->leaving);
    list_init(&c->flush_node);
    c->ops = 1; // never freed: it is the rig's
}

static void rig_image(struct rig *t)
{
    t->endpoint = (struct meta_endpoint){.listener = "PLAINTEXT", .host = "127.0.0.1", .port = 9092};
    t->broker =
        (struct meta_broker){.id = RIG_NODE, .rack = "r1", .endpoints = &t->endpoint, .endpoints_n = 1};
    t->img = (struct meta_image){.version = 1,
                                 .cluster_id = "rig-cluster",
                                 .node_id = RIG_NODE,
                                 .controller_id = RIG_NODE,
                                 .brokers = &t->broker,
                                 .brokers_n = 1};
    const struct cfg_list *dirs = cfg_list(t->cfg, CFG_LOG_DIRS);
    for (size_t i = 0; i < dirs->count; i++) {
        SL_ASSERT(i < SL_ARRAY_LEN(t->dirs));
        t->dirs[i] = (struct meta_dir){
            .path = dirs->items[i], .id = sl_uuid_make(0x5000, i), .data = true, .online = true};
    }
    t->img.dirs = t->dirs;
    t->img.dirs_n = (uint32_t)dirs->count;
}

static inline struct rig *rig_new_with(uint32_t credits, const char *const *pairs)
{
    char err[512];
    struct io *ios[RIG_SHARDS];
    struct rig *t = calloc(1, sizeof(*t));
    rig_now = t;
    t->now = 1000000000;
    t->bytes = malloc(RIG_BYTES);
    memset(t->bytes, 0x5a, RIG_BYTES);
    t->cfg = config_new();
    for (; pairs && *pairs; pairs++)
        SL_ASSERT(config_set_pair(t->cfg, *pairs, CFG_FROM_COMMAND_LINE, err, sizeof(err)) == 0);
    if (config_finish(t->cfg, err, sizeof(err)))
        sl_panic("%s", err);
    for (uint32_t i = 0; i < RIG_SHARDS; i++) {
        t->ios[i] = (struct rig_io){.io = {&rig_vt}, .rig = t};
        ios[i] = &t->ios[i].io;
    }
    t->m = metrics_create(RIG_SHARDS);
    t->g = reactor_group_create(RIG_SHARDS, ios, credits, t->m);
    placement_make(&t->pl, RIG_SHARDS, false);
    sl_rand_seed(&t->rand, 1);
    arena_init(&t->arena, 0);
    t->n.svc = (struct service){.kind = SVC_NET, .name = "net", .on_msg = net_on_msg};
    t->n.r = reactor_group_get(t->g, 0);
    t->n.cfg = (struct net_config){.cfg = t->cfg, .placement = &t->pl};
    list_init(&t->n.conns);
    list_init(&t->n.mem_waiters[0]);
    list_init(&t->n.mem_waiters[1]);
    obj_pool_init(&t->n.reqs, sizeof(struct req), 1000000);
    list_init(&t->n.flush);
    list_init(&t->n.pids.waiting);
    reactor_add_service(t->n.r, &t->n.svc);
    snprintf(t->listener.name, sizeof(t->listener.name), "PLAINTEXT");
    for (uint32_t i = 0; i < RIG_SHARDS; i++) {
        t->shards[i] =
            (struct rig_shard){.svc = {.kind = SVC_SHARD, .name = "shard", .on_msg = rig_shard_msg},
                               .r = reactor_group_get(t->g, i),
                               .rig = t,
                               .index = i};
        reactor_add_service(t->shards[i].r, &t->shards[i].svc);
    }
    t->meta = (struct service){.kind = SVC_META, .name = "meta", .on_msg = rig_meta_msg};
    reactor_add_service(reactor_group_get(t->g, net_controller_reactor(&t->n)), &t->meta);
    for (uint32_t i = 0; i < RIG_CONNS; i++)
        rig_conn(t, &t->conns[i]);
    rig_image(t);
    t->next_pid = 5000;
    return t;
}

static inline struct rig *rig_new(void)
{
    return rig_new_with(1024, NULL);
}

// Turns until nothing moves.
static void rig_turns(struct rig *t)
{
    for (bool any = true; any;) {
        any = false;
        for (uint32_t i = 0; i < RIG_SHARDS; i++)
            any |= reactor_turn(reactor_group_get(t->g, i), 0);
    }
}

static inline void rig_pass(struct rig *t, uint64_t ms)
{
    t->now += ms * 1000000;
    rig_turns(t);
}

// Drops answers that nobody took, and what they hold.
static inline void rig_drop(struct rig *t, struct conn *c)
{
    struct list_node *n;
    while ((n = list_pop_front(&c->out)))
        out_item_free(list_entry(n, struct out_item, node));
    rig_turns(t);
}

// Everything is home once connections have gone: nothing pinned or watched, no call under way, all credits free.
static inline void rig_quiet(struct rig *t, uint32_t credits)
{
    rig_turns(t);
    for (uint32_t i = 0; i < RIG_CONNS; i++)
        fetch_keep_free(&t->conns[i], true);
    rig_turns(t);
    SL_ASSERT(rig_pins(t) == 0 && rig_watches(t) == 0 && !t->n.calls && !t->n.calls_n && !t->n.watches &&
              !t->n.kept_bytes && !t->n.held_bytes);
    for (uint32_t i = 0; i < RIG_SHARDS; i++) {
        SL_ASSERT(reactor_credit_take(t->n.r, i, credits));
        reactor_credit_give(t->n.r, i, credits);
    }
}

static inline void rig_free(struct rig *t)
{
    for (uint32_t i = 0; i < RIG_CONNS; i++)
        rig_drop(t, &t->conns[i]);
    for (uint32_t i = 0; i < RIG_CONNS; i++)
        fetch_keep_free(&t->conns[i], true);
    rig_turns(t);
    fetch_sessions_destroy(&t->n);
    obj_pool_destroy(&t->n.reqs);
    reactor_group_destroy(t->g);
    metrics_destroy(t->m);
    config_free(t->cfg);
    arena_free(&t->arena);
    for (uint32_t i = 0; i < t->bodies_n; i++)
        free(t->bodies[i]);
    free(t->bytes);
    free(t);
}

// ---- requests and answers ----------------------------------------------------------------------------------------------
// Starts a request from its body's bytes, which are copied.
static void rig_start(struct rig *t, struct conn *c, const struct api_handler *api, int16_t version,
                      const void *body, size_t len)
{
    struct req *r = obj_pool_alloc(&t->n.reqs);
    void *copy = malloc(len + 1);
    SL_ASSERT(t->bodies_n < SL_ARRAY_LEN(t->bodies));
    memcpy(copy, body, len);
    t->bodies[t->bodies_n++] = copy;
    *r = (struct req){.conn = c,
                      .net = &t->n,
                      .api = api,
                      .key = api->key,
                      .version = version,
                      .correlation_id = 77,
                      .client_id = KP_STR_LIT("rig"),
                      .body = copy,
                      .body_len = len,
                      .t_received = reactor_now(t->n.r)};
    arena_init(&r->arena, REQ_ARENA_LIMIT);
    list_init(&r->node);
    list_push_back(&c->requests, &r->node);
    c->requests_n++;
    api->start(r);
    rig_turns(t);
}

static inline void rig_send(struct rig *t, struct conn *c, const struct api_handler *api, int16_t version,
                            const void *m, kp_size_fn size, kp_encode_fn encode)
{
    int64_t n = size(m, version);
    SL_ASSERT(n >= 0);
    uint8_t *buf = malloc((size_t)n + 1);
    struct kp_writer w = {.buf = buf, .cap = (size_t)n};
    SL_ASSERT(encode(m, version, &w) == 0);
    rig_start(t, c, api, version, buf, w.len);
    free(buf);
}
#define RIG_SEND(t, c, api, version, m, message)                                                             \
    rig_send((t), (c), (api), (version), (m), (kp_size_fn)kp_##message##_size,                               \
             (kp_encode_fn)kp_##message##_encode)

// True if an answer waits on the connection.
static inline bool rig_answered(const struct conn *c)
{
    return !list_empty(&c->out);
}

// Decodes the first answer into `m`; it stays on the connection (and what it pins) until rig_drop. False: there is none.
static inline bool rig_peek(struct rig *t, struct conn *c, int16_t version, void *m, kp_decode_fn decode)
{
    if (list_empty(&c->out))
        return false;
    struct out_item *it = list_entry(c->out.next, struct out_item, node);
    size_t n = 0;
    for (uint32_t i = 0; i < it->iov_n; i++)
        n += it->iov[i].iov_len;
    uint8_t *all = arena_alloc(&t->arena, n + 1), *p = all;
    for (uint32_t i = 0; i < it->iov_n; i++) {
        memcpy(p, it->iov[i].iov_base, it->iov[i].iov_len);
        p += it->iov[i].iov_len;
    }
    size_t head = 8 + (kp_response_header_version(it->req->key, version) > 0);
    SL_ASSERT(be32_load(all) == n - 4 && be32_load(all + 4) == 77);
    int64_t used = decode(m, all + head, n - head, version, &t->arena);
    if (used != (int64_t)(n - head))
        sl_panic("the answer of api %d version %d does not decode: %lld of %zu", it->req->key, version,
                 (long long)used, n - head);
    return true;
}
#define RIG_PEEK(t, c, version, m, message)                                                                  \
    rig_peek((t), (c), (version), (m), (kp_decode_fn)kp_##message##_decode)

#endif
