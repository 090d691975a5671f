// Boot: formatting an empty directory, and loading the metadata log of one that is not.
#include "engine/meta/meta_private.h"

#include "engine/log/textfiles.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct sl_uuid meta_topic_uuid = {.b = {[15] = 1}};

enum { BATCH_LIMIT_MIN = 8 << 10, BATCH_LIMIT_MAX = 512 << 10 };

int meta_fail(char *err, size_t cap, int rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err, cap, fmt, ap);
    va_end(ap);
    return rc;
}

// Version 4, variant 2, as Java's UUID.randomUUID, which is never one of Kafka's reserved ids; and none whose
// text starts
// with a dash, which upstream avoids for command lines' sake.
static void random_id(struct io *io, struct sl_uuid *out)
{
    char text[SL_UUID_TEXT_LEN + 1];
    do {
        io_random(io, out->b, sizeof(out->b));
        out->b[6] = (uint8_t)((out->b[6] & 0x0f) | 0x40);
        out->b[8] = (uint8_t)((out->b[8] & 0x3f) | 0x80);
        sl_uuid_to_text(out, text);
    } while (text[0] == '-');
}

void meta_random_id(struct meta *m, struct sl_uuid *out)
{
    do {
        random_id(reactor_io(m->r), out);
    } while (state_find_id(m, out));
}

int meta_format_more(struct store *st, const struct meta_identity *id, struct sl_uuid *dir, char *err,
                     size_t cap)
{
    struct store_identity si = {.node_id = id->node_id};
    random_id(reactor_io(fiber_reactor(fiber_current())), &si.directory_id);
    _Static_assert(sizeof(si.cluster_id) == sizeof(id->cluster_id), "copied whole");
    memcpy(si.cluster_id, id->cluster_id, sizeof(si.cluster_id));
    int rc = store_write_identity(st, &si);
    if (rc)
        return meta_fail(err, cap, rc, "%s/meta.properties: %s", store_dir(st), strerror(-rc));
    *dir = si.directory_id;
    sl_log(SL_INFO, "meta", "formatted dir=%s cluster.id=%s node.id=%d", store_dir(st), id->cluster_id,
           id->node_id);
    return 0;
}

int meta_format(struct store *st, const struct config *cfg, struct meta_identity *out, char *err, size_t cap)
{
    struct io *io = reactor_io(fiber_reactor(fiber_current()));
    struct store_identity si = {.node_id = (int32_t)cfg_int(cfg, CFG_NODE_ID)};
    struct sl_uuid cluster;
    random_id(io, &cluster);
    random_id(io, &si.directory_id);
    sl_uuid_to_text(&cluster, si.cluster_id);
    int rc = store_write_identity(st, &si);
    if (rc)
        return meta_fail(err, cap, rc, "%s/meta.properties: %s", store_dir(st), strerror(-rc));
    *out = (struct meta_identity){.node_id = si.node_id, .directory_id = si.directory_id};
    snprintf(out->cluster_id, sizeof(out->cluster_id), "%s", si.cluster_id);
    sl_log(SL_INFO, "meta", "formatted dir=%s cluster.id=%s node.id=%d", store_dir(st), out->cluster_id,
           out->node_id);
    return 0;
}

// ---- the directory ----------------------------------------------------------------------------------------
struct survey {
    char other[256]; // a directory that is not ours
};

static int survey_dir(void *arg, const struct io_dirent *e)
{
    struct survey *s = arg;
    if (e->is_dir && strcmp(e->name, META_TOPIC_NAME "-0") != 0 && strcmp(e->name, "sluice.journal.d") != 0)
        snprintf(s->other, sizeof(s->other), "%s", e->name);
    return 0;
}

static void log_settings(const struct config *cfg, struct log_config *out)
{
    bool own = !cfg_is_null(cfg, CFG_INTERNAL_METADATA_LOG_SEGMENT_BYTES);
    int64_t bytes =
        cfg_int(cfg, own ? CFG_INTERNAL_METADATA_LOG_SEGMENT_BYTES : CFG_METADATA_LOG_SEGMENT_BYTES);
    *out =
        (struct log_config){.segment_bytes = (uint32_t)SL_MIN(bytes, (int64_t)INT32_MAX),
                            .segment_ms = cfg_int(cfg, CFG_METADATA_LOG_SEGMENT_MS),
                            .retention_ms = -1, // trim.c
                            .retention_bytes = -1,
                            .file_delete_delay_ms = cfg_int(cfg, CFG_INTERNAL_METADATA_DELETE_DELAY_MILLIS),
                            .index_interval_bytes = 4096,
                            .segment_index_bytes = 10u << 20,
                            .max_message_bytes = 8u << 20,
                            .timestamp_before_max_ms = INT64_MAX,
                            .timestamp_after_max_ms = INT64_MAX,
                            .producer_expiration_ms = INT64_MAX,
                            .min_insync_replicas = 1};
}

// The log itself; created when the directory was only just formatted.
static int open_log(struct meta *m, struct log_env *env, bool *fresh, char *err, size_t cap)
{
    struct log_config lc;
    struct survey s = {0};
    struct io *io = reactor_io(fiber_reactor(fiber_current()));
    log_settings(m->cfg, &lc);
    const struct log_left left = {.kind = store_kind(m->store),
                                  .sl = store_find_log(m->store, &meta_topic_uuid, 0)};
    int rc = log_recover(env, m->dir, META_TOPIC_NAME, &meta_topic_uuid, 0, &left, &lc, &m->log, err, cap);
    *fresh = false;
    if (rc == -ENOENT) {
        *fresh = true;
        rc = io_listdir(io, m->dir, survey_dir, &s);
        if (!rc && s.other[0])
            return meta_fail(err, cap, -EUCLEAN, "%s holds %s, but no metadata log", m->dir, s.other);
        m->log =
            rc ? NULL : log_create(env, m->dir, META_TOPIC_NAME, &meta_topic_uuid, 0, 0, &lc, false, &rc);
        if (m->log)
            rc = fio_sync_dir(m->dir);
    }
    if (rc && !err[0])
        meta_fail(err, cap, rc, "%s/%s-0: %s", m->dir, META_TOPIC_NAME, strerror(-rc));
    return rc;
}

// ---- quorum-state -----------------------------------------------------------------------------------------
static int load_quorum(struct meta *m, char *err, size_t cap)
{
    char path[1200];
    uint8_t *text = NULL;
    size_t n = 0;
    struct quorum_state q;
    snprintf(path, sizeof(path), "%s/%s-0/quorum-state", m->dir, META_TOPIC_NAME);
    int rc = fio_read_file(path, 64 << 10, &text, &n);
    if (rc == -ENOENT)
        return 0;
    if (!rc)
        rc = quorum_state_parse((const char *)text, n, &q);
    free(text);
    if (rc)
        return meta_fail(err, cap, rc, "%s: %s", path, strerror(-rc));
    for (uint32_t i = 0; i < q.voter_count && q.version == 0; i++)
        if (q.voter_count > 1 || q.voters[i] != m->id.node_id)
            return meta_fail(err, cap, -EPROTONOSUPPORT,
                             "%s names %u voters; only one, node %d itself, is served", path, q.voter_count,
                             m->id.node_id);
    m->epoch = SL_MAX(m->epoch, q.leader_epoch);
    return 0;
}

// ---- loading ----------------------------------------------------------------------------------------------
// The newest of the directory. A log that does not start at 0 needs one at its start or behind.
static int newest_snapshot(struct meta *m, const struct log_ends *e, struct snapshot_id *id, char *err,
                           size_t cap)
{
    struct snapshots s;
    int rc = snapshots_list(m, &s);
    *id = s.n ? s.v[s.n - 1] : (struct snapshot_id){.offset = -1};
    snapshots_free(&s);
    if (rc)
        return meta_fail(err, cap, rc, "%s/%s-0: %s", m->dir, META_TOPIC_NAME, strerror(-rc));
    if (id->offset > e->appended_end)
        return meta_fail(err, cap, -EUCLEAN, "%s/%s-0: the log ends at %lld, before its snapshot at %lld",
                         m->dir, META_TOPIC_NAME, (long long)e->appended_end, (long long)id->offset);
    if (SL_MAX(id->offset, (int64_t)0) < e->log_start)
        return meta_fail(err, cap, -EUCLEAN,
                         "%s/%s-0: the log starts at %lld, and no snapshot holds what was before", m->dir,
                         META_TOPIC_NAME, (long long)e->log_start);
    return 0;
}

static int load_snapshot(struct meta *m, const struct log_ends *e, int64_t *from, char *err, size_t cap)
{
    struct snapshot_id id;
    char path[1200];
    int rc = newest_snapshot(m, e, &id, err, cap);
    *from = 0;
    if (rc || id.offset < 0)
        return rc;
    snapshot_path(m, &id, path, sizeof(path));
    m->epoch = SL_MAX(m->epoch, id.epoch);
    *from = id.offset;
    return replay_snapshot(m, path, NULL, err, cap);
}

// What upstream's format tool left for the first start.
static int load_bootstrap(struct meta *m, char *err, size_t cap)
{
    char path[1200];
    struct io_stat st;
    snprintf(path, sizeof(path), "%s/bootstrap.checkpoint", m->dir);
    int rc = fio_stat(path, &st);
    if (rc == -ENOENT)
        return 0;
    m->has_bootstrap = true;
    return replay_snapshot(m, path, &m->bootstrap, err, cap);
}

static int load(struct meta *m, struct log_env *env, char *err, size_t cap)
{
    struct log_ends e = {0};
    int64_t from = 0;
    bool fresh;
    int rc = open_log(m, env, &fresh, err, cap);
    if (rc)
        return rc;
    log_get_ends(m->log, &e);
    m->next_offset = e.appended_end;
    m->epoch = SL_MAX(e.leader_epoch, 0);
    rc = load_quorum(m, err, cap);
    if (!rc)
        rc = load_snapshot(m, &e, &from, err, cap);
    if (!rc && e.appended_end > from)
        rc = replay_log(m, from, e.appended_end, err, cap);
    if (!rc && state_feature(m, "metadata.version") == 0)
        rc = load_bootstrap(m, err, cap);
    if (!rc && state_feature(m, "metadata.version") != 0)
        rc = dirs_check_version(m, err, cap);
    if (rc)
        return rc;
    m->epoch++; // every life of the broker is an election
    rc = log_set_leader_epoch(m->log, m->epoch);
    m->image = rc ? NULL : meta_freeze(m);
    return m->image ? 0 : meta_fail(err, cap, -ENOMEM, "out of memory for the metadata image");
}

int meta_load(struct reactor *r, struct log_env *env, struct store *st, const struct config *cfg,
              const struct meta_identity *id, struct meta **out, struct log **log, char *err, size_t cap)
{
    struct meta *m = calloc(1, sizeof(*m));
    if (!m)
        return meta_fail(err, cap, -ENOMEM, "out of memory for metadata");
    int64_t room = cfg_int(cfg, CFG_SLUICE_JOURNAL_FILE_BYTES) / 8;
    m->cfg = cfg;
    m->store = st;
    m->id = *id;
    m->r = r;
    m->kraft_version = -1;
    m->ids.by_id = true;
    m->batch_limit = (uint32_t)SL_MIN(SL_MAX(room, (int64_t)BATCH_LIMIT_MIN), (int64_t)BATCH_LIMIT_MAX);
    if (!cfg_is_null(cfg, CFG_INTERNAL_METADATA_LOG_SEGMENT_BYTES)) // a batch fits a segment
        room = cfg_int(cfg, CFG_INTERNAL_METADATA_LOG_SEGMENT_BYTES) / 2;
    m->batch_limit = (uint32_t)SL_MIN((int64_t)m->batch_limit, SL_MAX(room, (int64_t)1024));
    snprintf(m->dir, sizeof(m->dir), "%s", store_dir(st));
    dirs_init(m);
    topic_config_init(&m->base, cfg);
    list_init(&m->changed);
    list_init(&m->jobs);
    meta_reopen_init(m);
    meta_trim_init(m);
    arena_init(&m->drafts, 0);
    arena_init(&m->decode, 0);
    recs_init(&m->txn_recs);
    recs_init(&m->bootstrap);
    err[0] = 0;
    int rc = load(m, env, err, cap);
    if (rc) {
        meta_destroy(m);
        return rc;
    }
    *out = m;
    *log = m->log;
    m->log = NULL;
    return 0;
}

const struct meta_image *meta_boot_image(const struct meta *m)
{
    return &m->image->pub;
}

int64_t meta_broker_epoch(const struct meta *m)
{
    return m->broker_epoch;
}

void meta_destroy(struct meta *m)
{
    struct list_node *n;
    while ((n = list_pop_front(&m->jobs)))
        free(list_entry(n, struct meta_job, node));
    if (m->log)
        log_destroy(m->log);
    image_free(m->image);
    image_free(m->next_image);
    state_destroy(m);
    mutations_free(m);
    image_free_topics(m);
    free(m->agents);
    free(m->unopened);
    free(m->found);
    free(m);
}
