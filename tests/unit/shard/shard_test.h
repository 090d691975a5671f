// What the shard's tests share: a storage-only broker with one shard on one reactor, over the simulator or over the kernel
// in a temporary directory; requests by message from fibers; a model of what each partition must hold.
#ifndef SLUICE_TESTS_UNIT_SHARD_SHARD_TEST_H
#define SLUICE_TESTS_UNIT_SHARD_SHARD_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/hash.h"
#include "engine/base/sbuf.h"
#include "engine/log/bulk.h"
#include "engine/log/cache.h"
#include "engine/base/log.h"
#include "engine/base/rand.h"
#include "engine/io/fiber.h"
#include "engine/io/sim/sim.h"
#include "engine/io/uring/uring.h"
#include "engine/log/points.h"
#include "engine/log/record.h"
#include "engine/shard/shard_private.h"

// Lives that are killed are torn down with what their fibers hold: no leaks are looked for (lsan_interface.h).
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

#define T_SECOND 1000000000ull

// A killed life leaks what its fibers held.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

// NAME(struct broker *) is wrapped as a test: in the simulated world, in the kernel's, or in both.
#define T_IN(name, world, up, seed)                                                                          \
    static void name##_##world(void **state)                                                                 \
    {                                                                                                        \
        struct broker *b = malloc(sizeof(*b));                                                               \
        up(b, seed);                                                                                         \
        name(b);                                                                                             \
        t_down(b);                                                                                           \
        free(b);                                                                                             \
    }
#define T_SIM(name, seed)    T_IN(name, sim, t_sim, seed)
#define T_KERNEL(name, seed) T_IN(name, kernel, t_uring, seed)
#define T_BOTH(name, seed)   T_SIM(name, seed) T_KERNEL(name, seed)
#define T_SIM_ENTRY(name)    cmocka_unit_test(name##_sim)
#define T_KERNEL_ENTRY(name) cmocka_unit_test(name##_kernel)
#define T_BOTH_ENTRIES(name) T_SIM_ENTRY(name), T_KERNEL_ENTRY(name)
enum { T_PARTS = 8, T_TOPICS = 4 };

// A batch that was acknowledged.
struct t_claim {
    int64_t offset;
    uint32_t records, bytes;
    uint64_t hash;
};
struct t_part {
    struct t_claim *claims;
    uint32_t n, cap;
    int64_t start; // of the log
};
struct t_topic {
    char name[300];
    struct sl_uuid id;
    uint32_t parts_n; // 0: none
    struct log_config config;
    int32_t epoch;
    struct t_part parts[T_PARTS];
};

struct broker {
    // what outlives a life
    struct sim_world *w; // NULL: the kernel
    struct sim_host *host;
    char dir[256];
    struct t_topic topics[T_TOPICS];
    struct shard_config cfg;
    struct sl_rand rand;
    // a life
    struct sim_process *p;
    struct io *io;
    struct reactor_group *g;
    struct reactor *r;
    struct metrics *metrics;
    struct store *store;
    enum store_kind kind;
    int64_t recovery_point; // of every log, where upstream had the directory last
    struct shard *s;
    struct service net;
    bool ready;
    int rc;
    char err[700];
    uint32_t in_flight, fired;
    uint64_t fired_key;
    struct shard_fetch_part pushed[T_PARTS]; // the last notice's answer
    uint32_t pushed_n, pushed_bytes, settled;
    struct shard_pins *pushed_pins; // taken if take_pins
    bool take_pins, again;
    void (*fn)(struct broker *b);
    bool finished;
};

static inline void t_sink(void *ctx, enum sl_log_level level, const char *line, size_t len) {}

static inline void t_defaults(struct broker *b)
{
    if (!getenv("SLUICE_TEST_VERBOSE"))
        sl_log_set_sink(t_sink, NULL);
    b->cfg = (struct shard_config){.shard = 0,
                                   .shards = 1,
                                   .tail_pool_bytes = 16 << 20,
                                   .read_pool_bytes = 16 << 20,
                                   .dirty_bytes = 1 << 20,
                                   .writeback_age_ms = 50,
                                   .max_watches = 16,
                                   .fetch_window = 8 << 20};
    b->cfg.journal = (struct journal_config){.file_bytes = 8 << 20,
                                             .first_file_bytes = 1 << 20,
                                             .files = 3,
                                             .slots = 2,
                                             .max_group = 1 << 20,
                                             .late_us = 1000,
                                             .large_group = 256 << 10};
}

static inline void t_sim(struct broker *b, uint64_t seed)
{
    struct sim_config c;
    memset(b, 0, sizeof(*b));
    t_defaults(b);
    sim_config_default(&c, seed);
    c.unstable_buffers = false;
    b->w = sim_world_create(&c);
    b->host = sim_host_create(b->w);
    snprintf(b->dir, sizeof(b->dir), "/data");
    sl_rand_seed(&b->rand, seed);
}

static inline void t_uring(struct broker *b, uint64_t seed)
{
    const char *tmp = getenv("SLUICE_TEST_DIR");
    memset(b, 0, sizeof(*b));
    t_defaults(b);
    snprintf(b->dir, sizeof(b->dir), "%s/sluice-shard-XXXXXX", tmp ? tmp : "/var/tmp");
    assert_non_null(mkdtemp(b->dir));
    sl_rand_seed(&b->rand, seed);
}

static inline void t_down(struct broker *b)
{
    for (int i = 0; i < T_TOPICS; i++)
        for (int k = 0; k < T_PARTS; k++)
            free(b->topics[i].parts[k].claims);
    if (b->w) {
        sim_world_destroy(b->w);
        return;
    }
    char cmd[400];
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", b->dir);
    assert_int_equal(system(cmd), 0);
}

static inline struct log_config t_log_config(void)
{
    return (struct log_config){.segment_bytes = 64 << 20,
                               .segment_ms = INT64_MAX,
                               .index_interval_bytes = 4096,
                               .segment_index_bytes = 1 << 20,
                               .max_message_bytes = 8 << 20,
                               .timestamp_before_max_ms = INT64_MAX,
                               .timestamp_after_max_ms = INT64_MAX,
                               .producer_expiration_ms = INT64_MAX / 2,
                               .min_insync_replicas = 1,
                               .validate_records = true};
}

// ---- running -----------------------------------------------------------------------------------------------------------
static inline void t_entry(void *arg)
{
    struct broker *b = arg;
    b->fn(b);
    b->finished = true;
}

static inline bool t_finished(void *arg)
{
    return ((struct broker *)arg)->finished;
}

// Runs fn in a fiber of the broker's reactor until it returns.
static inline void t_run(struct broker *b, void (*fn)(struct broker *b))
{
    b->fn = fn;
    b->finished = false;
    assert_non_null(fiber_spawn(b->r, t_entry, b, 512 << 10));
    if (b->w)
        assert_true(sim_run(b->w, 600 * T_SECOND, t_finished, b));
    else
        reactor_run_until(b->r, &b->finished);
}

// ---- life -----------------------------------------------------------------------------------------------------------------
struct t_call {
    struct fiber *f;
    bool done;
};

static inline void t_fired(struct broker *b, struct shard_fired *f)
{
    struct shard_fetch *answer = f->keys[f->n - 1].answer;
    b->fired += f->n;
    b->fired_key = f->keys[f->n - 1].key;
    b->pushed_n = b->pushed_bytes = 0;
    b->again = f->keys[f->n - 1].again;
    if (!answer)
        return;
    assert_true(answer->n <= T_PARTS);
    b->pushed_n = answer->n;
    b->pushed_bytes = answer->total;
    memcpy(b->pushed, answer->parts, answer->n * sizeof(b->pushed[0]));
    if (b->take_pins) {
        b->pushed_pins = answer->pins;
        answer->pins = NULL;
    }
}

static inline void t_message(struct service *svc, uint32_t from, const struct spsc_msg *m)
{
    struct broker *b = SL_CONTAINER_OF(svc, struct broker, net);
    void *req = (void *)(uintptr_t)m->u[0];
    if (m->op == SHARD_FIRED) {
        t_fired(b, req);
        reactor_send(b->r, from, SHARD_FIRED_ACK)->u[0] = m->u[0];
        return;
    }
    if (m->op == SHARD_SETTLE) {
        reactor_credit_give(b->r, from, 1);
        b->settled++;
        return;
    }
    struct t_call *c = m->op == SHARD_APPEND           ? ((struct shard_append *)req)->owner
                       : m->op == SHARD_FETCH          ? ((struct shard_fetch *)req)->owner
                       : m->op == SHARD_LIST_OFFSETS   ? ((struct shard_offsets *)req)->owner
                       : m->op == SHARD_EPOCH_END      ? ((struct shard_epochs *)req)->owner
                       : m->op == SHARD_DESCRIBE       ? ((struct shard_describe *)req)->owner
                       : m->op == SHARD_DELETE_RECORDS ? ((struct shard_trim *)req)->owner
                       : m->op == SHARD_DELETE         ? ((struct shard_delete *)req)->owner
                                                       : ((struct shard_open *)req)->owner;
    reactor_credit_give(b->r, 0, 1);
    b->in_flight--;
    assert_false(c->done); // an answer comes once
    c->done = true;
    if (c->f)
        fiber_wake(c->f);
}

static inline void t_send(struct broker *b, uint16_t op, void *req, struct t_call *c)
{
    while (!reactor_credit_take(b->r, 0, 1))
        fiber_yield();
    c->done = false;
    b->in_flight++;
    reactor_request(b->r, 0, op, SVC_NET)->u[0] = (uint64_t)(uintptr_t)req;
}

static inline void t_ask(struct broker *b, uint16_t op, void *req, struct t_call *c)
{
    c->f = fiber_current();
    t_send(b, op, req, c);
    fiber_park_until(&c->done);
}

static inline void t_ready(void *arg, int err)
{
    struct broker *b = arg;
    b->rc = err;
    b->ready = true;
}

static inline int t_recover_topics(struct broker *b)
{
    struct points starts = {0};
    struct bulk bulk;
    int rc = b->kind == STORE_CLEAN ? points_load(&starts, b->dir, "log-start-offset-checkpoint") : 0;
    bulk_begin(&bulk, b->dir, 1, b->cfg.bulk_logs);
    for (int i = 0; i < T_TOPICS && !rc; i++) {
        struct t_topic *t = &b->topics[i];
        for (uint32_t k = 0; k < t->parts_n && !rc; k++) {
            struct log *l = NULL;
            const struct log_left left = {.kind = b->kind,
                                          .sl = store_find_log(b->store, &t->id, (int32_t)k),
                                          .recovery_point = b->recovery_point,
                                          .bulk = bulk.on};
            rc = log_recover(shard_env(b->s), b->dir, t->name, &t->id, (int32_t)k, &left, &t->config, &l,
                             b->err, sizeof(b->err));
            if (!rc)
                rc = log_start_at(l, points_find(&starts, t->name, (int32_t)k));
            if (!rc)
                shard_adopt(b->s, l);
        }
    }
    points_free(&starts);
    if (rc)
        bulk_drop(&bulk);
    return rc ? rc : bulk_end(&bulk);
}

static inline int t_begin(struct broker *b)
{
    struct store_life life;
    struct sbuf image;
    store_new_life(b->store, &life.life);
    sbuf_init(&image);
    int rc = shard_first_checkpoint(b->s, &life.life, &image);
    struct store_shard_begin begin = {(const uint8_t *)image.data, image.len};
    if (!rc)
        rc = store_begin_life(b->store, &b->cfg.journal, 1, &begin, &life, b->err, sizeof(b->err));
    sbuf_free(&image);
    shard_set_life(b->s, &life.life);
    return rc;
}

static inline void t_boot_fiber(struct broker *b)
{
    int rc = 0;
    b->store = store_open(b->r, b->dir, 10000, b->err, sizeof(b->err), &rc);
    if (!b->store)
        fail_msg("store_open: %s %s", strerror(-rc), b->err);
    b->kind = store_kind(b->store);
    struct store_identity id = {.node_id = 1, .cluster_id = "AAAAAAAAAAAAAAAAAAAAAA"};
    if (b->kind == STORE_EMPTY)
        rc = store_write_identity(b->store, &id);
    rc = rc ? rc : store_read_journals(b->store, b->err, sizeof(b->err));
    rc = rc ? rc : store_mark_dirty(b->store);
    snprintf(b->cfg.dir, sizeof(b->cfg.dir), "%s", b->dir);
    snprintf(b->cfg.journal.dir, sizeof(b->cfg.journal.dir), "%s/sluice.journal.d", b->dir);
    b->s = shard_create(b->r, b->store, &b->cfg, t_ready, b);
    rc = rc ? rc : t_recover_topics(b);
    rc = rc ? rc : t_begin(b);
    b->rc = rc;
    if (rc)
        return;
    reactor_add_service(b->r, shard_service(b->s));
    shard_start(b->s);
    while (!b->ready)
        fiber_yield();
    for (int i = 0; i < T_TOPICS && !b->rc; i++) // a higher epoch, as a controller gives at each start
        for (uint32_t k = 0; k < b->topics[i].parts_n; k++)
            log_set_leader_epoch(shard_find(b->s, &b->topics[i].id, (int32_t)k)->log, b->topics[i].epoch + 1);
    for (int i = 0; i < T_TOPICS; i++)
        b->topics[i].epoch++;
}

static inline int t_boot(struct broker *b)
{
    char err[256] = "";
    if (b->w) {
        b->p = sim_process_create(b->w, b->host);
        b->io = sim_io_create(b->p);
    } else {
        b->io = uring_create(&(struct uring_config){.entries = 64, .recv_buffers = 1, .recv_size = 4096}, err,
                             sizeof(err));
    }
    if (!b->io)
        fail_msg("no io: %s", err);
    b->metrics = metrics_create(1);
    b->g = reactor_group_create(1, &b->io, 64, b->metrics);
    b->r = reactor_group_get(b->g, 0);
    b->net = (struct service){.kind = SVC_NET, .name = "test", .on_msg = t_message};
    reactor_add_service(b->r, &b->net);
    b->ready = false;
    b->err[0] = 0;
    if (b->w)
        sim_attach(b->p, b->g);
    t_run(b, t_boot_fiber);
    return b->rc;
}

static inline void t_boot_ok(struct broker *b)
{
    int rc = t_boot(b);
    if (rc)
        fail_msg("the start failed: %s %s", strerror(-rc), b->err);
}

// What the process held in memory is given back without a word to the disk.
static inline void t_free_life(struct broker *b)
{
    fiber_abandon_all(b->r);
    reactor_group_destroy(b->g);
    io_destroy(b->io);
    shard_destroy(b->s);
    metrics_destroy(b->metrics);
    if (b->p)
        sim_process_free(b->p);
    b->p = NULL;
    b->in_flight = 0;
}

// The process dies (over the kernel: its ring is closed, the rest is forgotten), or the power goes. What fibers held leaks.
static inline void t_crash(struct broker *b, bool power)
{
    if (!b->w) {
        for (int i = 0; i < 3; i++) // what readers gave back comes home: a pool is not freed under them
            reactor_turn(b->r, 0);
        store_close(b->store); // the lock goes with the process
        t_free_life(b);
        return;
    }
    if (power)
        sim_power_cut(b->host);
    else
        sim_process_kill(b->p);
    sim_detach(b->p);
    b->p = NULL;
    b->in_flight = 0;
}

static inline bool t_stopped(void *arg)
{
    return reactor_group_stopped(((struct broker *)arg)->g);
}

static inline void t_end_clean(struct broker *b)
{
    b->rc = shard_stop_error(b->s);
    if (!b->rc)
        b->rc = shard_write_points(&b->s, 1, NULL, b->dir);
    if (!b->rc)
        b->rc = store_end_clean(b->store, 1);
    store_close(b->store);
}

static inline int t_stop(struct broker *b)
{
    reactor_group_stop(b->g);
    if (b->w)
        assert_true(sim_run(b->w, 600 * T_SECOND, t_stopped, b));
    else
        while (!t_stopped(b))
            reactor_turn(b->r, 1000000);
    struct buf_pool_stats read;
    t_run(b, t_end_clean);
    assert_int_equal(b->s->env.cache->pinned, 0); // pins are home
    buf_pool_get_stats(b->s->env.read_pool, &read);
    assert_int_equal(read.in_use, b->s->env.cache->held);
    int rc = b->rc;
    if (b->w)
        sim_detach(b->p);
    t_free_life(b);
    return rc;
}

// ---- between lives ----------------------------------------------------------------------------------------------------------
// As if upstream, which had it last, had been killed.
static inline void t_unlink_clean(struct broker *b)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/.kafka_cleanshutdown", b->dir);
    assert_int_equal(fio_unlink(path, false), 0);
    assert_int_equal(fio_sync_dir(b->dir), 0);
}

static inline bool t_is_snapshot(void *arg, const struct io_dirent *e)
{
    return strstr(e->name, ".snapshot") != NULL;
}

// Fiber. Of partition 0 of the first topic.
static inline void t_drop_snapshots(struct broker *b)
{
    char dir[600], path[900];
    struct sbuf names;
    sbuf_init(&names);
    snprintf(dir, sizeof(dir), "%s/%s-0", b->dir, b->topics[0].name);
    assert_int_equal(fio_names(dir, t_is_snapshot, NULL, &names), 0);
    for (size_t at = 0; at < names.len; at += strlen(names.data + at) + 1) {
        snprintf(path, sizeof(path), "%s/%s", dir, names.data + at);
        assert_int_equal(fio_unlink(path, false), 0);
    }
    sbuf_free(&names);
}

// A process of its own changes the directory.
static inline void t_between_lives(struct broker *b, void (*fn)(struct broker *b))
{
    b->p = sim_process_create(b->w, b->host);
    b->io = sim_io_create(b->p);
    b->metrics = metrics_create(1);
    b->g = reactor_group_create(1, &b->io, 64, b->metrics);
    b->r = reactor_group_get(b->g, 0);
    sim_attach(b->p, b->g);
    t_run(b, fn);
    t_crash(b, false);
}

// ---- requests (fibers) ------------------------------------------------------------------------------------------------------
static inline int16_t t_open(struct broker *b, int at, const char *name, uint32_t parts,
                             const struct log_config *c)
{
    struct t_topic *t = &b->topics[at];
    int32_t list[T_PARTS];
    struct t_call call;
    for (uint32_t i = 0; i < parts; i++)
        list[i] = (int32_t)i;
    if (!t->parts_n) {
        snprintf(t->name, sizeof(t->name), "%s", name);
        sl_rand_bytes(&b->rand, t->id.b, sizeof(t->id.b));
        t->parts_n = parts;
        t->epoch = 0;
    }
    t->config = *c;
    struct shard_open o = {.topic = t->name,
                           .topic_id = t->id,
                           .partitions = list,
                           .n = parts,
                           .leader_epoch = t->epoch,
                           .config = *c,
                           .owner = &call};
    t_ask(b, SHARD_OPEN, &o, &call);
    return o.error;
}

// DeleteRecords of the first topic's partition 0; *low: NULL, or where it starts then.
static inline int16_t t_delete_records(struct broker *b, int64_t offset, int64_t *low)
{
    struct t_call call;
    struct shard_trim_part p = {.topic_id = b->topics[0].id, .offset = offset};
    struct shard_trim t = {.parts = &p, .n = 1, .owner = &call};
    t_ask(b, SHARD_DELETE_RECORDS, &t, &call);
    if (low)
        *low = p.low_watermark;
    return p.error;
}

static inline int16_t t_delete(struct broker *b, int at)
{
    struct t_topic *t = &b->topics[at];
    int32_t list[T_PARTS];
    struct t_call call;
    for (uint32_t i = 0; i < t->parts_n; i++)
        list[i] = (int32_t)i;
    struct shard_delete d = {.topic_id = t->id, .partitions = list, .n = t->parts_n, .owner = &call};
    for (uint32_t i = 0; i < t->parts_n; i++)
        t->parts[i].start = t->parts[i].n = 0;
    t_ask(b, SHARD_DELETE, &d, &call);
    t->parts_n = 0;
    return d.error;
}

// How a batch is made.
struct t_spec {
    uint32_t records, value; // bytes of each record's value
    int64_t timestamp;       // of the first; +1 each
    int64_t pid;             // 0: none
    int32_t sequence;
    int16_t pid_epoch;
    uint8_t codec;
    bool bad_crc, flat; // flat: compressible values
};

static inline uint8_t *t_batch(struct broker *b, const struct t_spec *s, uint32_t *bytes)
{
    static struct compress_ctx ctx; // one for all tests of a program
    struct batch_builder bb = {.limit = 0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    uint8_t *value = malloc(s->value + 1);
    const uint8_t *out;
    size_t n;
    for (uint32_t i = 0; i < s->records; i++) {
        memset(value, 'v', s->value);
        if (!s->flat)
            sl_rand_bytes(&b->rand, value, s->value);
        assert_int_equal(batch_builder_append(&bb, s->timestamp + i, RECORD_NULL,
                                              record_bytes_make(value, s->value), NULL, 0),
                         0);
    }
    if (s->pid) {
        o.producer_id = s->pid;
        o.producer_epoch = s->pid_epoch;
        o.base_sequence = s->sequence;
    }
    o.codec = s->codec;
    assert_int_equal(batch_builder_finish(&bb, &o, &ctx, &out, &n), 0);
    uint8_t *copy = malloc(n);
    memcpy(copy, out, n);
    if (s->bad_crc)
        copy[n - 1] ^= 1;
    batch_builder_destroy(&bb);
    free(value);
    *bytes = (uint32_t)n;
    return copy;
}

static inline uint64_t t_hash(const uint8_t *batch, uint32_t n)
{
    return sl_hash64(batch + BATCH_ATTRIBUTES, n - BATCH_ATTRIBUTES, 1);
}

// An append that may be one of several in flight.
struct t_append {
    struct shard_append a;
    struct shard_append_part part;
    struct t_call call;
    int topic;
    uint32_t records;
    uint64_t hash;
};

static inline void t_append_start(struct broker *b, struct t_append *x, int topic, int32_t part,
                                  uint8_t *batch, uint32_t n, uint32_t records, int16_t acks)
{
    *x = (struct t_append){.topic = topic, .records = records, .hash = t_hash(batch, n)};
    x->part = (struct shard_append_part){
        .topic_id = b->topics[topic].id, .partition = part, .records = batch, .bytes = (int32_t)n};
    x->a =
        (struct shard_append){.parts = &x->part, .n = 1, .acks = acks, .api_version = 9, .owner = &x->call};
    t_send(b, SHARD_APPEND, &x->a, &x->call);
}

static inline void t_claim(struct broker *b, const struct t_append *x)
{
    struct t_part *p = &b->topics[x->topic].parts[x->part.partition];
    for (uint32_t i = p->n; i-- > 0;)
        if (p->claims[i].offset == x->part.base_offset) { // a duplicate's answer
            assert_int_equal(p->claims[i].hash, x->hash);
            return;
        }
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->claims = realloc(p->claims, p->cap * sizeof(*p->claims));
    }
    uint32_t at = p->n++;
    for (; at && p->claims[at - 1].offset > x->part.base_offset; at--)
        p->claims[at] = p->claims[at - 1];
    p->claims[at] = (struct t_claim){.offset = x->part.base_offset,
                                     .records = x->records,
                                     .bytes = (uint32_t)x->part.bytes,
                                     .hash = x->hash};
}

// Waits for the answer, notes what it claims, frees the batch.
static inline int16_t t_append_end(struct broker *b, struct t_append *x)
{
    x->call.f = fiber_current();
    fiber_park_until(&x->call.done);
    if (!x->part.error)
        t_claim(b, x);
    free(x->part.records);
    return x->part.error;
}

static inline int16_t t_produce(struct broker *b, int topic, int32_t part, const struct t_spec *s,
                                int64_t *offset)
{
    struct t_append x;
    uint32_t n;
    uint8_t *batch = t_batch(b, s, &n);
    t_append_start(b, &x, topic, part, batch, n, s->records, -1);
    int16_t error = t_append_end(b, &x);
    if (offset)
        *offset = x.part.base_offset;
    return error;
}

static inline void t_settle(struct broker *b, struct shard_pins *pins, uint64_t key, uint64_t read)
{
    uint32_t before = b->settled;
    while (!reactor_credit_take(b->r, 0, 1))
        fiber_yield();
    struct spsc_msg *m = reactor_request(b->r, 0, SHARD_SETTLE, SVC_NET);
    m->u[0] = (uint64_t)(uintptr_t)pins;
    m->u[1] = key;
    m->u[2] = sl_rand_below(&b->rand, 2);
    m->u[3] = read;
    while (b->settled == before)
        fiber_yield();
}

// Leaves a watch that pushes on parts 0 to n - 1 of a topic, from `offsets`. Nothing may be there yet.
static inline void t_watch(struct broker *b, int topic, int32_t n, const int64_t *offsets, uint64_t key,
                           bool committed)
{
    struct t_call call;
    struct shard_fetch_part parts[T_PARTS];
    struct shard_fetch f = {.parts = parts,
                            .n = (uint32_t)n,
                            .max_bytes = 1 << 20,
                            .read_committed = committed,
                            .min_one = true,
                            .watch_key = key,
                            .watch_bytes = 1,
                            .push = true,
                            .owner = &call};
    for (int32_t i = 0; i < n; i++)
        parts[i] = (struct shard_fetch_part){.topic_id = b->topics[topic].id,
                                             .partition = i,
                                             .fetch_offset = offsets[i],
                                             .max_bytes = 1 << 20,
                                             .current_leader_epoch = -1,
                                             .last_fetched_epoch = -1};
    t_ask(b, SHARD_FETCH, &f, &call);
    assert_int_equal(f.total, 0);
    assert_null(f.pins);
}

static inline void t_until_fired(struct broker *b, uint32_t n)
{
    while (b->fired < n)
        fiber_yield();
    assert_int_equal(b->fired, n);
}

// Bytes from `offset`, malloc'd.
static inline uint8_t *t_fetch(struct broker *b, int topic, int32_t part, int64_t offset, uint32_t max,
                               uint64_t key, struct shard_fetch_part *fp)
{
    struct t_call call;
    *fp = (struct shard_fetch_part){.topic_id = b->topics[topic].id,
                                    .partition = part,
                                    .fetch_offset = offset,
                                    .max_bytes = (int32_t)max,
                                    .current_leader_epoch = -1,
                                    .last_fetched_epoch = -1};
    struct shard_fetch f = {.parts = fp,
                            .n = 1,
                            .max_bytes = max,
                            .min_one = true,
                            .watch_key = key,
                            .watch_bytes = 1,
                            .owner = &call};
    t_ask(b, SHARD_FETCH, &f, &call);
    uint8_t *out = malloc(fp->bytes + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < fp->pieces_n; i++) {
        memcpy(out + n, fp->pieces[i].p, fp->pieces[i].len);
        n += fp->pieces[i].len;
    }
    assert_int_equal(n, fp->bytes);
    if (f.pins) {
        while (!reactor_credit_take(b->r, 0, 1))
            fiber_yield();
        reactor_send(b->r, 0, SHARD_RELEASE)->u[0] = (uint64_t)(uintptr_t)f.pins;
        reactor_credit_give(b->r, 0, 1);
    }
    return out;
}

// Reads a partition from its start and compares it with what was acknowledged; `more`: there may be batches beside.
static inline void t_verify(struct broker *b, int topic, int32_t part, uint32_t max, bool more)
{
    const struct t_part *p = &b->topics[topic].parts[part];
    struct shard_fetch_part fp;
    int64_t next = p->start, hw = 0;
    bool first = true;
    uint32_t seen = 0;
    do {
        uint8_t *bytes = t_fetch(b, topic, part, next, max, 0, &fp);
        assert_int_equal(fp.error, 0);
        hw = fp.high_watermark;
        uint32_t at = 0, whole = 0;
        for (; fp.bytes - at >= BATCH_HEADER_SIZE && batch_size(bytes + at) <= fp.bytes - at; whole++) {
            struct batch_info i;
            assert_int_equal(batch_parse(bytes + at, fp.bytes - at, &i), 0);
            assert_true(first ? i.base_offset <= next : i.base_offset == next);
            assert_true(batch_crc_ok(bytes + at));
            next = i.base_offset;
            first = false;
            while (seen < p->n && p->claims[seen].offset < next)
                fail_msg("offset %lld was acknowledged and is gone", (long long)p->claims[seen].offset);
            if (seen < p->n && p->claims[seen].offset == next) {
                assert_int_equal(p->claims[seen].hash, t_hash(bytes + at, i.size));
                seen++;
            } else {
                assert_true(more);
            }
            next = i.base_offset + i.last_offset_delta + 1;
            at += i.size;
        }
        free(bytes);
        assert_true(whole > 0 || next >= hw);
    } while (next < hw);
    assert_int_equal(seen, p->n);
    assert_int_equal(next, hw);
}

// The log starts at `start` now: what was acknowledged below is forgotten.
static inline void t_forget(struct broker *b, int topic, int32_t part, int64_t start)
{
    struct t_part *p = &b->topics[topic].parts[part];
    uint32_t gone = 0;
    while (gone < p->n && p->claims[gone].offset + p->claims[gone].records <= start)
        gone++;
    p->n -= gone;
    memmove(p->claims, p->claims + gone, p->n * sizeof(*p->claims));
    p->start = start;
}

static inline void t_verify_all(struct broker *b, bool more)
{
    for (int i = 0; i < T_TOPICS; i++)
        for (uint32_t k = 0; k < b->topics[i].parts_n; k++)
            t_verify(b, i, (int32_t)k, 1 << 20, more);
}

static inline struct log *t_log(struct broker *b, int topic, int32_t part)
{
    return shard_find(b->s, &b->topics[topic].id, part)->log;
}

// Writes everything back and forgets all clean memory: what is read next comes from the file.
static inline void t_cool(struct broker *b, int topic, int32_t part)
{
    struct log *l = t_log(b, topic, part);
    assert_int_equal(log_write_back(l, true), 0);
    log_env_reclaim(&b->s->env, UINT64_MAX);
    assert_int_equal(log_memory_bytes(l), 0);
}

#endif
