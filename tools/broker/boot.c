// Boot, in one fiber on reactor 0 before the other reactors run: see store.h for the order and why.
#include "tools/broker/broker_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

int boot_fail(struct broker *b, int rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(b->text, sizeof(b->text), fmt, ap);
    va_end(ap);
    return rc;
}

static struct journal_config journal_settings(const struct config *c)
{
    struct journal_config j = {.file_bytes = (uint64_t)cfg_int(c, CFG_SLUICE_JOURNAL_FILE_BYTES),
                               .files = (uint32_t)cfg_int(c, CFG_SLUICE_JOURNAL_FILES),
                               .slots = (uint32_t)cfg_int(c, CFG_SLUICE_JOURNAL_SLOTS),
                               .max_group = (uint32_t)cfg_int(c, CFG_SLUICE_COMMIT_MAX_BYTES),
                               .late_us = 2000,
                               .large_group = 256 << 10};
    // A small first file keeps the start short; the others are zero-filled in the background. It must hold a largest batch.
    uint64_t first =
        SL_ALIGN_UP((uint64_t)cfg_int(c, CFG_MESSAGE_MAX_BYTES) * 2 + (4u << 20), (uint64_t)4096);
    j.first_file_bytes = SL_MIN(first, j.file_bytes);
    return j;
}

static int check_sizes(struct broker *b)
{
    struct journal_config jc = journal_settings(b->cfg);
    int64_t max = cfg_int(b->cfg, CFG_MESSAGE_MAX_BYTES);
    if ((uint64_t)max > journal_max_bytes(&jc))
        return boot_fail(b, -EINVAL,
                         "message.max.bytes=%lld: a batch has to fit into a journal file: at most %llu with "
                         "sluice.journal.file.bytes=%llu",
                         (long long)max, (unsigned long long)journal_max_bytes(&jc),
                         (unsigned long long)jc.file_bytes);
    return 0;
}

// Descriptors are for connections too.
static uint32_t open_segments(const struct config *c)
{
    int64_t n = cfg_int(c, CFG_SLUICE_OPEN_SEGMENTS_MAX);
    struct rlimit rl;
    if (!n)
        n = getrlimit(RLIMIT_NOFILE, &rl) == 0 ? (int64_t)SL_MIN(rl.rlim_cur / 2, (rlim_t)INT32_MAX) : 512;
    return (uint32_t)SL_MAX(n, 16);
}

enum { DIRECT_FLYING = 8 }; // direct writes of a shard at a time

// What the shards of all directories have in common. Each directory has its share of the memory, so that one that fails keeps
// no other's.
static int shards_make(struct broker *b, void (*ready)(void *, int))
{
    const struct config *c = b->cfg;
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->dirs_n; i++)
        n += dir_up(&b->dirs[i]) ? b->dirs[i].shards_n : 0;
    uint64_t pool = (uint64_t)cfg_int(c, CFG_SLUICE_POOL_BYTES) / n;
    if (b->dirs_n > 1 && pool / 4 < (uint64_t)cfg_int(c, CFG_MESSAGE_MAX_BYTES))
        return boot_fail(
            b, -EINVAL,
            "sluice.pool.bytes: shared by %u shards of %u directories, each takes batches of at most "
            "%llu bytes; message.max.bytes=%lld",
            n, b->dirs_n, (unsigned long long)pool / 4, (long long)cfg_int(c, CFG_MESSAGE_MAX_BYTES));
    struct shard_config sc = {
        .tail_pool_bytes = pool / 2,
        .read_pool_bytes = pool / 4,
        .prefault = b->prefault,
        .read_ahead = (uint32_t)cfg_int(c, CFG_SLUICE_READ_AHEAD_BYTES),
        .dirty_bytes = (uint64_t)cfg_int(c, CFG_SLUICE_WRITEBACK_DIRTY_BYTES) / n,
        .writeback_age_ms = (uint32_t)cfg_int(c, CFG_SLUICE_WRITEBACK_AGE_MS),
        .producer_check_ms = cfg_int(c, CFG_PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS),
        .retention_check_ms = cfg_int(c, CFG_LOG_RETENTION_CHECK_INTERVAL_MS),
        .cleaner_backoff_ms =
            cfg_bool(c, CFG_LOG_CLEANER_ENABLE) ? SL_MAX(cfg_int(c, CFG_LOG_CLEANER_BACKOFF_MS), 1) : 0,
        .compactor = {.map_bytes = (uint64_t)SL_MAX(cfg_int(c, CFG_LOG_CLEANER_DEDUPE_BUFFER_SIZE), 0) / n,
                      .load_factor = cfg_double(c, CFG_LOG_CLEANER_IO_BUFFER_LOAD_FACTOR),
                      .bytes_per_second = cfg_double(c, CFG_LOG_CLEANER_IO_MAX_BYTES_PER_SECOND) / n},
        .max_watches = 100000,
        .fetch_window = 4u << 20,
        .bulk_logs = BROKER_BULK_LOGS,
        .files_max = SL_MAX(open_segments(c) / n, 8u),
        .journal = journal_settings(c),
        .direct = {.min = (uint32_t)cfg_int(c, CFG_SLUICE_DIRECT_MIN_BYTES), .flying = DIRECT_FLYING}};
    sc.dirty_bytes = SL_MIN(sc.dirty_bytes, pool / 8);
    return dirs_make_shards(b, &sc, ready);
}

// ---- after boot: every reactor runs ---------------------------------------------------------------------------------------
static void shard_ready(void *arg, int err)
{
    struct broker *b = arg;
    if (err) // its directory is offline, and the broker may go on without it
        sl_log(SL_ERROR, "broker", "a shard could not open its journal: %s", strerror(-err));
    b->shards_ready++;
}

// On the controller's reactor: waits for the shards, then registers the broker.
static void register_fiber(void *arg)
{
    struct broker *b = arg;
    char err[512] = "";
    while (b->shards_ready < b->shards_started && !b->failed)
        fiber_sleep(200 * 1000);
    int rc = b->failed ? b->failed : meta_begin(b->meta, err, sizeof(err));
    if (rc) {
        b->failed = rc;
        sl_log(SL_ERROR, "broker", "registration failed: %s", err);
        reactor_group_stop(b->group);
        return;
    }
    b->registered = true;
}

struct listen_run {
    struct broker *b;
    struct net *net;
};

static void listen_fiber(void *arg)
{
    struct listen_run *run = arg;
    struct broker *b = run->b;
    char err[512];
    while (!b->registered && !b->failed)
        fiber_sleep(200 * 1000);
    int rc = b->failed ? 0 : net_listen(run->net, err, sizeof(err));
    if (rc) {
        b->failed = rc;
        sl_log(SL_ERROR, "broker", "%s", err);
        reactor_group_stop(b->group);
    } else if (!b->failed && ++b->listening == b->placement.nets) {
        sl_log(SL_INFO, "broker", "serving dir=%s reactors=%u shards=%u dirs=%u", b->dirs[b->meta_dir].path,
               b->reactors, b->placement.shards, b->dirs_n);
    }
    free(run);
}

static int place_coordinators(struct broker *b)
{
    for (uint32_t i = 0; i < b->placement.shards; i++) {
        struct reactor *r = reactor_group_get(b->group, b->placement.shard_reactor[i]);
        b->coords[i] = coord_create(r, b->cfg, &b->placement, &broker_coord_topics);
        if (!b->coords[i])
            return boot_fail(b, -ENOMEM, "out of memory for a coordinator");
        reactor_add_service(r, coord_service(b->coords[i]));
    }
    return 0;
}

static int place_services(struct broker *b)
{
    uint32_t controller = b->placement.shard_reactor[shard_of(&meta_topic_uuid, 0, b->placement.shards)];
    uint64_t frames = (uint64_t)cfg_int(b->cfg, CFG_SLUICE_POOL_BYTES) / 4 / b->placement.nets;
    int rc = dirs_place_shards(b);
    if (!rc)
        rc = place_coordinators(b);
    if (rc)
        return rc;
    rc = meta_start(b->meta, b->group, &b->placement);
    if (rc)
        return boot_fail(b, rc, "the controller could not start: %s", strerror(-rc));
    for (uint32_t i = 0; i < b->placement.nets; i++) {
        struct reactor *r = reactor_group_get(b->group, b->placement.net_reactor[i]);
        struct net_config nc = {.cfg = b->cfg,
                                .placement = &b->placement,
                                .limits = b->limits,
                                .frame_pool_bytes = frames,
                                .prefault = b->prefault,
                                .metrics = b->metrics,
                                .metrics_n = b->metrics ? b->placement.reactors : 0};
        struct listen_run *run = malloc(sizeof(*run));
        b->nets[i] = net_create(r, &nc);
        if (!run || !b->nets[i])
            return boot_fail(b, -ENOMEM, "out of memory for a net service");
        reactor_add_service(r, net_service(b->nets[i]));
        *run = (struct listen_run){.b = b, .net = b->nets[i]};
        fiber_spawn(r, listen_fiber, run, 0);
    }
    fiber_spawn(reactor_group_get(b->group, controller), register_fiber, b, 0);
    return 0;
}

static int boot(struct broker *b)
{
    struct meta_identity id = {0};
    char err[900];
    int rc = check_sizes(b);
    if (!rc && !(b->limits = net_limits_create(b->cfg, err, sizeof(err))))
        return boot_fail(b, -EINVAL, "%s", err);
    if (!rc)
        rc = dirs_open(b, &id);
    if (!rc)
        rc = shards_make(b, shard_ready);
    if (rc)
        return rc;
    struct shard *owner = dir_shard(b, b->meta_dir, &meta_topic_uuid, 0);
    rc = meta_load(reactor_group_get(b->group, 0), shard_env(owner), b->dirs[b->meta_dir].store, b->cfg, &id,
                   &b->meta, &b->meta_log, err, sizeof(err));
    if (rc)
        return boot_fail(b, rc, "%s", err);
    rc = shard_adopt(owner, b->meta_log);
    b->meta_log = NULL;
    struct journal_config jc = journal_settings(b->cfg);
    if (!rc)
        rc = recover_partitions(b);
    if (!rc)
        rc = dirs_begin_life(b, &jc);
    return rc ? rc : place_services(b);
}

void boot_fiber(void *arg)
{
    struct broker *b = arg;
    b->rc = boot(b);
    b->booted = true;
}
