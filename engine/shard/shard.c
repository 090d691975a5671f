// The storage service: message dispatch, the partition table, life cycle. See shard.h.
#include "engine/log/cache.h"
#include "engine/shard/shard_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Measured: perf/results/cold.md.
enum { CACHE_EXTENT = 256 << 10, CACHE_READS = 8, CACHE_READS_LOW = 2 };
enum { SLABS_AHEAD = 2 };
enum { BALLAST_RECOVERY = 1 << 20, BALLAST_TICKS = 60 };
static const uint64_t BALLAST_TICK_NS = 500ull * 1000 * 1000;

struct part *shard_find(struct shard *s, const struct sl_uuid *topic_id, int32_t partition)
{
    struct part_key key = {.topic_id = *topic_id, .partition = partition};
    const struct shard *front = s->front;
    unsigned hash;
    HASH_VALUE(&key, sizeof(key), hash);
    for (uint32_t i = 0; i < front->row_n; i++) {
        struct part *p = NULL;
        HASH_FIND_BYHASHVALUE(hh, front->row[i]->parts, &key, sizeof(key), hash, p);
        if (p && !p->closing)
            return p;
    }
    return NULL;
}

struct part *shard_add_part(struct shard *s, struct log *l)
{
    struct part *p = calloc(1, sizeof(*p));
    if (!p)
        sl_panic("shard %u: out of memory for a partition", s->cfg.shard);
    p->key = (struct part_key){.topic_id = *log_topic_id(l), .partition = log_partition(l)};
    p->s = s;
    p->log = l;
    p->refs = 1;
    list_init(&p->held);
    list_init(&p->waiting);
    list_init(&p->watches);
    list_init(&p->journal_node);
    list_init(&p->room_node);
    list_init(&p->slice_node);
    log_set_user(l, p);
    HASH_ADD(hh, s->parts, key, sizeof(p->key), p);
    return p;
}

static void part_free(struct part *p)
{
    refusals_free(&p->refusals);
    log_destroy(p->log);
    free(p->checked);
    free(p);
}

void shard_part_unref(struct part *p)
{
    SL_ASSERT(p->refs > 0);
    if (--p->refs == 0)
        part_free(p);
}

// `who`: the asking reactor and, above bit 16, its service's kind.
void shard_reply(struct shard *s, uint32_t who, uint16_t op, void *req)
{
    reactor_reply(s->r, who & 0xffff, op, (enum service_kind)(who >> 16))->u[0] = (uint64_t)(uintptr_t)req;
}

int16_t shard_check_epoch(const struct part *p, int32_t current)
{
    struct log_ends e;
    if (current == -1)
        return KERR_NONE;
    log_get_ends(p->log, &e);
    if (current < e.leader_epoch)
        return KERR_FENCED_LEADER_EPOCH;
    return current > e.leader_epoch ? KERR_UNKNOWN_LEADER_EPOCH : KERR_NONE;
}

static void shard_on_msg(struct service *svc, uint32_t reactor, const struct spsc_msg *m)
{
    struct shard *s = SL_CONTAINER_OF(svc, struct shard, svc);
    uint32_t from = reactor | (uint32_t)(m->flags & MSG_ASKER) << 16;
    void *req = (void *)(uintptr_t)m->u[0];
    switch (m->op) {
    case SHARD_APPEND:
        append_handle(s, from, req);
        break;
    case SHARD_FETCH:
        fetch_handle(s, from, req);
        break;
    case SHARD_RELEASE:
        fetch_release(s, req);
        break;
    case SHARD_SETTLE:
        watch_settle(s, from, m);
        break;
    case SHARD_LIST_OFFSETS:
        query_offsets(s, from, req);
        break;
    case SHARD_EPOCH_END:
        query_epochs(s, from, req);
        break;
    case SHARD_OPEN:
        manage_open(s, from, req);
        break;
    case SHARD_DELETE:
        manage_delete(s, from, req);
        break;
    case SHARD_CONFIG:
        manage_config(s, from, req);
        break;
    case SHARD_DESCRIBE:
        query_describe(s, from, req);
        break;
    case SHARD_PRODUCERS:
        query_producers(s, from, req);
        break;
    case SHARD_DELETE_RECORDS:
        upkeep_delete_records(s, from, req);
        break;
    case SHARD_FIRED_ACK:
        watch_ack(s, reactor, req);
        break;
    default:
        sl_panic("shard %u: unknown message %u", s->cfg.shard, m->op);
    }
}

static bool shard_on_flush(struct service *svc)
{
    struct shard *front = SL_CONTAINER_OF(svc, struct shard, svc);
    bool did = watch_flush(front);
    for (uint32_t i = 0; i < front->row_n; i++) {
        struct shard *s = front->row[i];
        did |= direct_flush(&s->env);
        if (s->journal)
            did |= journal_flush(s->journal);
    }
    return did;
}

// Space for the next start's first journal files and what recovery allocates again, as soon as there is some.
static void keep_ballast(struct shard *s)
{
    uint64_t bytes = s->cfg.shards * s->cfg.journal.first_file_bytes + BALLAST_RECOVERY;
    int rc = -ENOSPC;
    for (uint32_t tick = 0; rc == -ENOSPC && !s->stopping && !s->env.failed; tick++) {
        if (tick % BALLAST_TICKS == 0)
            rc = store_make_ballast(s->store, bytes);
        if (rc == -ENOSPC)
            fiber_sleep(BALLAST_TICK_NS);
    }
    if (rc && rc != -ENOSPC && !s->stopping)
        sl_log(SL_WARN, "shard", "no space could be kept back for a start on a full disk dir=%s error=%s",
               s->cfg.dir, strerror(-rc));
}

static void start_fiber(void *arg)
{
    struct shard *s = arg;
    struct journal_owner owner = {.ctx = s,
                                  .durable = append_on_durable,
                                  .full = background_on_full,
                                  .room = append_on_room,
                                  .failed = background_on_failed};
    int err = io_lock_register(reactor_io(s->r), store_lock(s->store));
    if (!err) {
        s->journal = journal_open(s->r, &s->cfg.journal, &owner, &err);
        s->env.journal = s->journal;
    }
    if (!err)
        upkeep_start_timers(s);
    else
        background_fail(s, "opening the journal", err);
    s->ready(s->ready_arg, err);
    if (!err && s->cfg.shard == 0) // beside serving
        (void)trash_add_left(&s->env, s->cfg.dir);
    if (!err) {
        trash_begin(&s->env);
        upkeep_trash_later(s);
    }
    if (!err && s->cfg.shard == 0)
        keep_ballast(s);
    s->fibers--;
}

static int slab_register(void *ctx, void *base, size_t len, uint32_t slab_index)
{
    struct shard *s = ctx;
    return io_register_slab(reactor_io(s->r), base, len, slab_index);
}

static struct buf_pool *pool_make(struct shard *s, uint64_t bytes, bool register_slabs)
{
    struct buf_pool_config c = {.limit = bytes,
                                .max_large = 128u << 20,
                                .keep_free = 8u << 20,
                                .prefault = s->cfg.prefault,
                                .ahead = SLABS_AHEAD,
                                .ctx = s};
    c.on_slab = register_slabs ? slab_register : NULL;
    return buf_pool_create(&c);
}

static struct cache *cache_make(struct shard *s)
{
    const struct shard_config *cfg = &s->cfg;
    struct cache_config c = {.pool = s->env.read_pool,
                             .limit = cfg->cache_bytes,
                             .extent_bytes = cfg->cache_extent ? cfg->cache_extent : CACHE_EXTENT,
                             .in_flight = cfg->cold_reads ? cfg->cold_reads : CACHE_READS,
                             .in_flight_low = cfg->cold_low ? cfg->cold_low : CACHE_READS_LOW};
    s->env.read_ahead = cfg->read_ahead;
    return cache_create(&s->env, &c);
}

struct shard *shard_create(struct reactor *r, struct store *store, const struct shard_config *cfg,
                           void (*ready)(void *arg, int err), void *arg)
{
    struct shard *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->svc = (struct service){.kind = SVC_SHARD,
                              .name = "shard",
                              .on_msg = shard_on_msg,
                              .on_flush = shard_on_flush,
                              .on_stop = background_stop};
    s->r = r;
    s->cfg = *cfg;
    s->store = store;
    s->front = s->row[0] = s;
    s->row_n = 1;
    s->ready = ready;
    s->ready_arg = arg;
    s->max_batch = SL_MIN(journal_max_bytes(&cfg->journal), cfg->tail_pool_bytes / 2);
    list_init(&s->journal_waiters);
    list_init(&s->room_waiters);
    list_init(&s->slicing);
    fiber_mutex_init(&s->manage);
    s->slice_work.run = append_run_slices;
    for (uint32_t i = 0; i < REACTOR_MAX; i++)
        list_init(&s->fired[i].fired);
    background_init(s);
    upkeep_init(s);
    log_env_init(&s->env, r, store);
    files_init(&s->env.files, cfg->files_max);
    direct_env_init(&s->env.direct, &cfg->direct);
    s->env.direct.ctx = s;
    s->env.direct.settled = append_on_settled;
    s->env.direct.failed = background_direct_failed;
    s->env.tail_pool = pool_make(s, cfg->tail_pool_bytes, false);
    s->env.read_pool = pool_make(s, cfg->read_pool_bytes, false);
    if (s->env.read_pool)
        s->env.cache = cache_make(s);
    if (s->env.tail_pool && s->env.cache)
        return s;
    shard_destroy(s);
    return NULL;
}

int shard_start(struct shard *s)
{
    if (!fiber_spawn(s->r, start_fiber, s, 0))
        return -ENOMEM;
    s->fibers++;
    return 0;
}

struct service *shard_service(struct shard *s)
{
    SL_ASSERT(s->front == s);
    return &s->svc;
}

void shard_join(struct shard *front, struct shard *s)
{
    SL_ASSERT(front->front == front && s->front == s && s->row_n == 1 && front->r == s->r);
    SL_ASSERT(front->row_n < SHARD_DIRS_MAX);
    front->row[front->row_n++] = s;
    s->front = front;
}

void shard_give_up(struct shard *s, int err)
{
    SL_ASSERT(err < 0 && !s->journal);
    s->env.failed = err;
    store_fail(s->store, err);
}

uint32_t shard_dir_no(const struct shard *s)
{
    return s->cfg.dir_no;
}

struct reactor *shard_reactor(const struct shard *s)
{
    return s->r;
}

struct log_env *shard_env(struct shard *s)
{
    return &s->env;
}

int shard_adopt(struct shard *s, struct log *l)
{
    log_adopt(l, &s->env);
    shard_add_part(s, l);
    return 0;
}

void shard_set_life(struct shard *s, const struct sl_uuid *life)
{
    s->cfg.journal.life = *life;
}

int shard_first_checkpoint(struct shard *s, const struct sl_uuid *life, struct sbuf *out)
{
    return background_first_image(s, life, out);
}

int shard_stop_error(const struct shard *s)
{
    return s->stop_error;
}

int shard_each_log(struct shard *s, int (*fn)(void *arg, struct log *l), void *arg)
{
    struct part *p, *tmp;
    HASH_ITER(hh, s->parts, p, tmp)
    {
        int rc = fn(arg, p->log);
        if (rc)
            return rc;
    }
    return 0;
}

void shard_destroy(struct shard *s)
{
    if (!s)
        return;
    struct part *p, *tmp;
    watch_destroy_all(s); // they are linked to the partitions of the whole row
    direct_env_destroy(&s->env.direct);
    cache_destroy(s->env.cache);
    HASH_ITER(hh, s->parts, p, tmp)
    {
        HASH_DEL(s->parts, p);
        part_free(p);
    }
    if (s->journal)
        journal_destroy(s->journal);
    decompress_ctx_destroy(&s->ctx);
    decompress_ctx_destroy(&s->slice.ctx);
    if (s->slice.converting)
        free(convert_end(&s->slice.converter));
    convert_ctx_destroy(&s->slice.convert);
    if (s->env.tail_pool)
        buf_pool_destroy(s->env.tail_pool);
    if (s->env.read_pool)
        buf_pool_destroy(s->env.read_pool);
    compactor_destroy(s->compactor);
    log_env_destroy(&s->env);
    free(s->inflight);
    free(s);
}
