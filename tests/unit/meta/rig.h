// A storage-and-controller broker without a network, in the simulated world: the order of its boot and stop
// is that of
// the composition root (tools/broker). One client, a service on reactor 0, asks the controller from fibers.
#ifndef SLUICE_TESTS_UNIT_META_RIG_H
#define SLUICE_TESTS_UNIT_META_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/io/fiber.h"
#include "engine/io/sim/sim.h"
#include "engine/meta/meta.h"

enum { RIG_REACTORS = 3 };
#define RIG_SEC UINT64_C(1000000000)

struct rig {
    struct sim_world *w;
    struct sim_host *h;
    struct sim_process *p;
    struct config *cfg;
    const char *const *settings; // keys and values by turns, NULL at the end; or NULL
    struct io *ios[RIG_REACTORS];
    struct reactor_group *g;
    struct metrics *metrics;
    struct placement pl;
    struct store *store;
    struct shard *shards[RIG_REACTORS];
    struct meta *meta;
    struct service client;
    struct fiber *asking;
    bool answered;
    uint32_t shards_ready;
    bool serving, finished;
    int rc;
    char err[900];
    // what a test's client does in its fiber
    void (*script)(struct rig *r, void *arg);
    void *arg;
    bool script_done;
};

static inline void rig_set(struct rig *r, const char *key, const char *value)
{
    char err[256];
    if (config_set(r->cfg, key, value, CFG_FROM_FILE, err, sizeof(err)))
        fail_msg("%s", err);
}

static inline void rig_config(struct rig *r)
{
    char err[256];
    r->cfg = config_new();
    rig_set(r, "node.id", "1");
    rig_set(r, "listeners", "PLAINTEXT://127.0.0.1:9092");
    rig_set(r, "log.dirs", "/data");
    rig_set(r, "sluice.journal.file.bytes", "262144");
    for (const char *const *s = r->settings; s && *s; s += 2)
        rig_set(r, s[0], s[1]);
    if (config_finish(r->cfg, err, sizeof(err)))
        fail_msg("%s", err);
}

// ---- the client -------------------------------------------------------------------------------------------
static inline void rig_on_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    struct rig *r = SL_CONTAINER_OF(s, struct rig, client);
    reactor_credit_give(reactor_group_get(r->g, 0), from, 1);
    r->answered = true;
    fiber_wake(r->asking);
}

static inline uint32_t rig_controller(const struct rig *r)
{
    return r->pl.shard_reactor[shard_of(&meta_topic_uuid, 0, r->pl.shards)];
}

// Fiber of reactor 0: one request, waited for. `shard` requests go to that shard's reactor.
static inline void rig_ask_at(struct rig *r, uint32_t to, uint16_t op, void *req)
{
    struct reactor *r0 = reactor_group_get(r->g, 0);
    assert_true(reactor_credit_take(r0, to, 1));
    r->answered = false;
    r->asking = fiber_current();
    reactor_request(r0, to, op, SVC_NET)->u[0] = (uint64_t)(uintptr_t)req;
    fiber_park_until(&r->answered);
    while (sim_process_dead(r->p)) // answers of the dead are not heard
        fiber_park();
}

static inline void rig_ask(struct rig *r, uint16_t op, void *req)
{
    rig_ask_at(r, rig_controller(r), op, req);
}

// ---- boot -------------------------------------------------------------------------------------------------
static inline struct journal_config rig_journal(void)
{
    return (struct journal_config){.file_bytes = 256 << 10,
                                   .first_file_bytes = 256 << 10,
                                   .files = 4,
                                   .slots = 1,
                                   .max_group = 64 << 10,
                                   .late_us = 2000,
                                   .large_group = 256 << 10};
}

static inline void rig_shard_ready(void *arg, int err)
{
    struct rig *r = arg;
    r->rc = r->rc ? r->rc : err;
    r->shards_ready++;
}

static inline int rig_identity(struct rig *r, struct meta_identity *id)
{
    struct store_identity si;
    if (store_kind(r->store) == STORE_EMPTY)
        return meta_format(r->store, r->cfg, id, r->err, sizeof(r->err));
    if (!store_get_identity(r->store, &si))
        return -EINVAL;
    id->node_id = si.node_id;
    id->directory_id = si.directory_id;
    snprintf(id->cluster_id, sizeof(id->cluster_id), "%s", si.cluster_id);
    return 0;
}

static inline int rig_shards(struct rig *r)
{
    for (uint32_t i = 0; i < r->pl.shards; i++) {
        struct shard_config sc = {.shard = i,
                                  .shards = r->pl.shards,
                                  .tail_pool_bytes = 16 << 20,
                                  .read_pool_bytes = 8 << 20,
                                  .dirty_bytes = 1 << 20,
                                  .writeback_age_ms = 100,
                                  .max_watches = 100,
                                  .fetch_window = 1 << 20,
                                  .journal = rig_journal()};
        snprintf(sc.dir, sizeof(sc.dir), "/data");
        snprintf(sc.journal.dir, sizeof(sc.journal.dir), "/data/sluice.journal.d");
        sc.journal.shard = i;
        r->shards[i] =
            shard_create(reactor_group_get(r->g, r->pl.shard_reactor[i]), r->store, &sc, rig_shard_ready, r);
        if (!r->shards[i])
            return -ENOMEM;
    }
    return 0;
}

static inline int rig_recover_one(struct rig *r, const struct meta_topic *t, int32_t p)
{
    struct log_config lc;
    struct log *l = NULL;
    struct shard *s = r->shards[shard_of(&t->id, p, r->pl.shards)];
    meta_log_config(meta_boot_image(r->meta)->config, t, &lc);
    const struct log_left left = {.kind = store_kind(r->store), .sl = store_find_log(r->store, &t->id, p)};
    int rc = log_recover(shard_env(s), "/data", t->name, &t->id, p, &left, &lc, &l, r->err, sizeof(r->err));
    if (rc == -ESTALE) { // a deleted topic's, of the same name
        char from[300], to[320];
        snprintf(from, sizeof(from), "/data/%s-%d", t->name, p);
        snprintf(to, sizeof(to), "%s-stray-%llu", from, (unsigned long long)sim_now_ns(r->w));
        rc = fio_rename(from, to);
        rc = rc ? rc : fio_sync_dir("/data");
        rc = rc ? rc : -ENOENT;
    }
    if (rc == -ENOENT) {
        l = log_create(shard_env(s), "/data", t->name, &t->id, p, t->partitions[p].leader_epoch, &lc, false,
                       &rc);
        rc = l ? fio_sync_dir("/data") : rc;
    }
    return rc ? rc : shard_adopt(s, l);
}

static inline int rig_recover(struct rig *r)
{
    const struct meta_image *img = meta_boot_image(r->meta);
    for (uint32_t i = 0; i < img->topics_n; i++)
        for (uint32_t p = 0; p < img->topics[i]->partitions_n; p++) {
            int rc = rig_recover_one(r, img->topics[i], (int32_t)p);
            if (rc)
                return rc;
        }
    return 0;
}

static inline int rig_life(struct rig *r)
{
    struct store_shard_begin begin[RIG_REACTORS];
    struct sbuf images[RIG_REACTORS];
    struct journal_config jc = rig_journal();
    struct store_life life;
    int rc = 0;
    store_new_life(r->store, &life.life);
    for (uint32_t i = 0; i < r->pl.shards; i++) {
        sbuf_init(&images[i]);
        rc = rc ? rc : shard_first_checkpoint(r->shards[i], &life.life, &images[i]);
        begin[i] = (struct store_shard_begin){.checkpoint = (const uint8_t *)images[i].data,
                                              .checkpoint_len = images[i].len};
    }
    rc = rc ? rc : store_begin_life(r->store, &jc, r->pl.shards, begin, &life, r->err, sizeof(r->err));
    for (uint32_t i = 0; i < r->pl.shards; i++) {
        sbuf_free(&images[i]);
        shard_set_life(r->shards[i], &life.life);
    }
    return rc;
}

static inline void rig_begin_fiber(void *arg)
{
    struct rig *r = arg;
    while (r->shards_ready < r->pl.shards)
        fiber_sleep(100000);
    r->rc = r->rc ? r->rc : meta_begin(r->meta, r->err, sizeof(r->err));
    r->serving = true;
}

static inline void rig_place(struct rig *r)
{
    for (uint32_t i = 0; i < r->pl.shards; i++) {
        reactor_add_service(reactor_group_get(r->g, r->pl.shard_reactor[i]), shard_service(r->shards[i]));
        assert_int_equal(shard_start(r->shards[i]), 0);
    }
    assert_int_equal(meta_start(r->meta, r->g, &r->pl), 0);
    r->client = (struct service){.kind = SVC_NET, .name = "client", .on_msg = rig_on_msg};
    reactor_add_service(reactor_group_get(r->g, 0), &r->client);
    fiber_spawn(reactor_group_get(r->g, rig_controller(r)), rig_begin_fiber, r, 0);
}

static inline int rig_boot(struct rig *r)
{
    struct meta_identity id = {0};
    struct log *log = NULL;
    uint32_t owner = shard_of(&meta_topic_uuid, 0, r->pl.shards);
    int rc = 0;
    r->store = store_open(reactor_group_get(r->g, 0), "/data", 10000, r->err, sizeof(r->err), &rc);
    if (!r->store)
        return rc;
    rc = store_read_journals(r->store, r->err, sizeof(r->err));
    rc = rc ? rc : rig_identity(r, &id);
    rc = rc ? rc : rig_shards(r);
    rc = rc ? rc
            : meta_load(reactor_group_get(r->g, 0), shard_env(r->shards[owner]), r->store, r->cfg, &id,
                        &r->meta, &log, r->err, sizeof(r->err));
    rc = rc ? rc : shard_adopt(r->shards[owner], log);
    rc = rc ? rc : rig_recover(r);
    rc = rc ? rc : rig_life(r);
    if (!rc)
        rig_place(r);
    return rc;
}

static inline void rig_boot_fiber(void *arg)
{
    struct rig *r = arg;
    r->rc = rig_boot(r);
    if (r->rc)
        r->serving = true; // with an error
}

static inline bool rig_is(void *flag)
{
    return *(bool *)flag;
}

// A new life on the host. Returns what the boot did: 0, or the error with its text in r->err.
static inline int rig_start(struct rig *r)
{
    r->p = sim_process_create(r->w, r->h);
    for (uint32_t i = 0; i < RIG_REACTORS; i++)
        r->ios[i] = sim_io_create(r->p);
    r->metrics = metrics_create(RIG_REACTORS);
    r->g = reactor_group_create(RIG_REACTORS, r->ios, 16, r->metrics);
    placement_make(&r->pl, RIG_REACTORS, false);
    r->serving = r->finished = false;
    r->shards_ready = 0;
    r->rc = 0;
    r->err[0] = 0;
    sim_attach(r->p, r->g);
    assert_non_null(fiber_spawn(reactor_group_get(r->g, 0), rig_boot_fiber, r, 512 << 10));
    if (!sim_run(r->w, 60 * RIG_SEC, rig_is, &r->serving))
        fail_msg("the boot does not end");
    return r->rc;
}

// ---- the end of a life ------------------------------------------------------------------------------------
static inline void rig_free_life(struct rig *r)
{
    sim_detach(r->p);
    for (uint32_t i = 0; i < RIG_REACTORS; i++)
        fiber_abandon_all(reactor_group_get(r->g, i));
    if (r->meta)
        meta_destroy(r->meta);
    for (uint32_t i = 0; i < RIG_REACTORS; i++)
        shard_destroy(r->shards[i]);
    if (r->store)
        store_close(r->store);
    reactor_group_destroy(r->g);
    metrics_destroy(r->metrics);
    for (uint32_t i = 0; i < RIG_REACTORS; i++)
        io_destroy(r->ios[i]);
    sim_process_free(r->p);
    r->meta = NULL;
    r->store = NULL;
    memset(r->shards, 0, sizeof(r->shards));
}

static inline void rig_kill(struct rig *r, bool power)
{
    if (power)
        sim_power_cut(r->h);
    else
        sim_process_kill(r->p);
    sim_run(r->w, RIG_SEC, NULL, NULL); // what was in flight comes home
    rig_free_life(r);
}

static inline bool rig_stopped(void *arg)
{
    return reactor_group_stopped(((struct rig *)arg)->g);
}

static inline void rig_finish_fiber(void *arg)
{
    struct rig *r = arg;
    for (uint32_t i = 0; i < r->pl.shards && !r->rc; i++)
        r->rc = shard_stop_error(r->shards[i]);
    r->rc = r->rc ? r->rc : store_end_clean(r->store, meta_broker_epoch(r->meta));
    r->finished = true;
}

static inline void rig_stop(struct rig *r)
{
    reactor_group_stop(r->g);
    if (!sim_run(r->w, 60 * RIG_SEC, rig_stopped, r))
        fail_msg("the stop does not end");
    assert_non_null(fiber_spawn(reactor_group_get(r->g, 0), rig_finish_fiber, r, 0));
    if (!sim_run(r->w, 60 * RIG_SEC, rig_is, &r->finished))
        fail_msg("the finish does not end");
    assert_int_equal(r->rc, 0);
    rig_free_life(r);
}

static inline void rig_script_fiber(void *arg)
{
    struct rig *r = arg;
    r->script(r, r->arg);
    r->script_done = true;
}

static inline void rig_launch(struct rig *r, void (*script)(struct rig *r, void *arg), void *arg)
{
    r->script = script;
    r->arg = arg;
    r->script_done = false;
    assert_non_null(fiber_spawn(reactor_group_get(r->g, 0), rig_script_fiber, r, 0));
}

// Runs `script` in a client's fiber until it returns.
static inline void rig_do(struct rig *r, void (*script)(struct rig *r, void *arg), void *arg)
{
    rig_launch(r, script, arg);
    if (!sim_run(r->w, 60 * RIG_SEC, rig_is, &r->script_done))
        fail_msg("the client gets no answer");
}

// `settings` beside those of rig_config: keys and values by turns, NULL at the end; or NULL.
static inline void rig_new_with(struct rig *r, uint64_t seed, const char *const *settings)
{
    struct sim_config sc;
    memset(r, 0, sizeof(*r));
    r->settings = settings;
    sim_config_default(&sc, seed);
    sc.unstable_buffers = true;
    r->w = sim_world_create(&sc);
    r->h = sim_host_create(r->w);
    rig_config(r);
}

static inline void rig_new(struct rig *r, uint64_t seed)
{
    rig_new_with(r, seed, NULL);
}

static inline void rig_end(struct rig *r)
{
    sim_world_destroy(r->w);
    config_free(r->cfg);
}

// ---- requests ---------------------------------------------------------------------------------------------
static inline int16_t rig_create(struct rig *r, const char *name, int32_t partitions,
                                 struct meta_create_topic *out)
{
    struct meta_create_topic t = {
        .name = name, .name_len = (int32_t)strlen(name), .partitions = partitions, .replication_factor = 1};
    struct meta_create c = {.topics = &t, .n = 1};
    rig_ask(r, META_CREATE_TOPICS, &c);
    if (out)
        *out = t;
    return t.error;
}

static inline int16_t rig_delete(struct rig *r, const char *name)
{
    struct meta_delete_topic t = {.name = name, .name_len = (int32_t)strlen(name)};
    struct meta_delete d = {.topics = &t, .n = 1};
    rig_ask(r, META_DELETE_TOPICS, &d);
    return t.error;
}

static inline int16_t rig_describe(struct rig *r, const struct sl_uuid *id, int32_t p, struct log_ends *ends)
{
    struct shard_describe_part part = {.topic_id = *id, .partition = p};
    struct shard_describe d = {.parts = &part, .n = 1};
    rig_ask_at(r, r->pl.shard_reactor[shard_of(id, p, r->pl.shards)], SHARD_DESCRIBE, &d);
    *ends = part.ends;
    return part.error;
}

// Lives end in the middle of writes here, and say so.
static inline void rig_quiet(void *ctx, enum sl_log_level level, const char *line, size_t len) {}

static inline const struct meta_topic *rig_find(struct rig *r, uint32_t reactor, const char *name)
{
    const struct meta_image *img = meta_image_get(reactor_group_get(r->g, reactor));
    assert_non_null(img);
    return meta_find_topic(img, name, strlen(name));
}

#endif
