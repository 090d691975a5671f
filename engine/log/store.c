// A log directory: locked, classified, its identity, and what the last life's journals say. See store.h.
#include "engine/log/store_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/canary.h"
#include "engine/base/log.h"
#include "engine/log/textfiles.h"

#define JAVA_LOCK  ".lock"
#define OWN_LOCK   "sluice.lock"
#define META_FILE  "meta.properties"
#define CLEAN_FILE ".kafka_cleanshutdown"

int store_error(int rc, char *err, size_t cap, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err, cap, fmt, ap);
    va_end(ap);
    return rc;
}

void store_path(const struct store *s, const char *name, char *out)
{
    int n = snprintf(out, STORE_PATH_MAX, "%s/%s", s->dir, name);
    SL_ASSERT(n > 0 && n < STORE_PATH_MAX);
}

void store_journal_path(const struct store *s, const char *name, char *out)
{
    int n = snprintf(out, STORE_PATH_MAX, "%s/%s", s->journal_dir, name);
    SL_ASSERT(n > 0 && n < STORE_PATH_MAX);
}

// ---- classification -------------------------------------------------------------------------------------------------
struct listing {
    bool meta, clean, journal;
    char foreign[64]; // a name that an empty directory does not have
};

static int on_dirent(void *arg, const struct io_dirent *e)
{
    struct listing *l = arg;
    if (strcmp(e->name, JAVA_LOCK) == 0 || strcmp(e->name, OWN_LOCK) == 0 ||
        strcmp(e->name, "lost+found") == 0)
        return 0;
    if (strcmp(e->name, META_FILE) == 0) {
        l->meta = true;
        return 0;
    }
    // What a crash while formatting leaves.
    if (strcmp(e->name, META_FILE ".tmp") == 0)
        return 0;
    l->clean |= strcmp(e->name, CLEAN_FILE) == 0;
    l->journal |= e->is_dir && strcmp(e->name, "sluice.journal.d") == 0;
    snprintf(l->foreign, sizeof(l->foreign), "%.63s", e->name);
    return 0;
}

static int read_identity(struct store *s, char *err, size_t cap)
{
    char path[STORE_PATH_MAX];
    uint8_t *text;
    size_t n;
    struct meta_properties m;
    store_path(s, META_FILE, path);
    int rc = fio_read_file(path, 64 * 1024, &text, &n);
    if (rc)
        return store_error(rc, err, cap, "cannot read %s: %s", path, strerror(-rc));
    rc = meta_properties_parse((const char *)text, n, &m);
    free(text);
    if (rc == -EPROTONOSUPPORT)
        return store_error(rc, err, cap, "%s is of a version that is not supported (only 1, KRaft, is)",
                           path);
    if (rc)
        return store_error(rc, err, cap, "%s is malformed", path);
    s->has_identity = true;
    s->identity.node_id = m.node_id;
    snprintf(s->identity.cluster_id, sizeof(s->identity.cluster_id), "%s", m.cluster_id);
    if (m.has_directory_id)
        s->identity.directory_id = m.directory_id;
    return 0;
}

static int classify(struct store *s, char *err, size_t cap)
{
    struct listing l = {0};
    int rc = io_listdir(reactor_io(s->r), s->dir, on_dirent, &l);
    if (rc)
        return store_error(rc, err, cap, "cannot list %s: %s", s->dir, strerror(-rc));
    if (!l.meta && !l.foreign[0]) {
        s->kind = STORE_EMPTY;
        return 0;
    }
    if (!l.meta)
        return store_error(-ENOTEMPTY, err, cap,
                           "%s is not empty (%s is there), but has no " META_FILE
                           ": it is not a log directory",
                           s->dir, l.foreign);
    s->has_clean_file = l.clean;
    s->has_journal_dir = l.journal;
    rc = read_identity(s, err, cap);
    if (rc == 0 && l.journal)
        rc = store_read_current(s, err, cap);
    if (rc)
        return rc;
    if (l.clean && s->has_life)
        return store_error(-EUCLEAN, err, cap,
                           "%s holds both " CLEAN_FILE
                           " and journals in force (%s): another broker may have written "
                           "since the journals were; remove the one that is out of date",
                           s->dir, s->journal_dir);
    s->kind = s->has_life ? STORE_OURS : l.clean ? STORE_CLEAN : STORE_UPSTREAM;
    return 0;
}

// ---- opening --------------------------------------------------------------------------------------------------------
// The directory's own name is synced even if it was there: a predecessor may have made it, and died before its sync.
static int make_dir(struct store *s, char *err, size_t cap)
{
    struct io_stat st;
    int rc = fio_stat(s->dir, &st);
    if (rc == 0 && !st.is_dir)
        rc = -ENOTDIR;
    if (rc == -ENOENT)
        rc = fio_mkdir(s->dir, 0700);
    if (rc == 0) {
        rc = fio_sync_parent(s->dir);
        rc = rc == -EACCES ? 0 : rc; // a parent that we may not open is not one that we make directories in
    }
    return rc ? store_error(rc, err, cap, "log directory %s: %s", s->dir, strerror(-rc)) : 0;
}

static int take_lock(struct store *s, const char *name, bool java, uint32_t wait_ms, int *lock, char *err,
                     size_t cap)
{
    char path[STORE_PATH_MAX];
    store_path(s, name, path);
    int id = io_lock_file(reactor_io(s->r), path, java, wait_ms);
    if (id == -EAGAIN)
        return store_error(id, err, cap, "%s is locked: another broker uses this directory", path);
    if (id < 0)
        return store_error(id, err, cap, "cannot lock %s: %s", path, strerror(-id));
    *lock = id;
    return 0;
}

// Nothing is read before both are held: writes of a killed predecessor may still land until its lock is gone (S1).
static int take_locks(struct store *s, uint32_t wait_ms, char *err, size_t cap)
{
    int rc = take_lock(s, JAVA_LOCK, true, wait_ms, &s->java_lock, err, cap);
    if (rc == 0)
        rc = take_lock(s, OWN_LOCK, false, wait_ms, &s->flock, err, cap);
    if (rc || SL_CANARY(LOCK_NOT_REGISTERED))
        return rc;
    rc = io_lock_register(reactor_io(s->r), s->flock);
    return rc ? store_error(rc, err, cap, "cannot register the lock of %s: %s", s->dir, strerror(-rc)) : 0;
}

struct store *store_open(struct reactor *r, const char *dir, uint32_t wait_ms, char *err, size_t cap, int *rc)
{
    struct store *s = NULL;
    size_t n = strlen(dir);
    *rc = n == 0 || n > 1000
              ? store_error(-EINVAL, err, cap, "log directory: a path of 1 to 1000 bytes is needed")
              : 0;
    if (*rc)
        return NULL;
    s = calloc(1, sizeof(*s));
    if (s) {
        s->r = r;
        s->java_lock = s->flock = -1;
        s->dir = strdup(dir);
        s->journal_dir = malloc(n + sizeof("/sluice.journal.d"));
    }
    if (!s || !s->dir || !s->journal_dir) {
        *rc = store_error(-ENOMEM, err, cap, "out of memory");
        goto err;
    }
    sprintf(s->journal_dir, "%s/sluice.journal.d", dir);
    *rc = make_dir(s, err, cap);
    if (*rc == 0)
        *rc = take_locks(s, wait_ms, err, cap);
    if (*rc == 0)
        *rc = classify(s, err, cap);
    if (*rc)
        goto err;
    return s;
err:
    store_close(s);
    return NULL;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    replay_destroy(s->replay);
    if (s->flock >= 0)
        io_unlock(reactor_io(s->r), s->flock);
    if (s->java_lock >= 0)
        io_unlock(reactor_io(s->r), s->java_lock);
    free(s->dir);
    free(s->journal_dir);
    free(s);
}

enum store_kind store_kind(const struct store *s)
{
    return s->kind;
}

void store_fail(struct store *s, int err)
{
    int none = 0;
    SL_ASSERT(err < 0);
    atomic_compare_exchange_strong(&s->failed, &none, err);
}

int store_failed(const struct store *s)
{
    return atomic_load_explicit(&s->failed, memory_order_relaxed);
}

const char *store_dir(const struct store *s)
{
    return s->dir;
}

int store_lock(const struct store *s)
{
    return s->flock;
}

// ---- identity -------------------------------------------------------------------------------------------------------
bool store_get_identity(const struct store *s, struct store_identity *out)
{
    if (s->has_identity)
        *out = s->identity;
    return s->has_identity;
}

int store_write_identity(struct store *s, const struct store_identity *id)
{
    char path[STORE_PATH_MAX];
    struct sbuf text;
    struct meta_properties m = {
        .node_id = id->node_id, .has_directory_id = true, .directory_id = id->directory_id};
    _Static_assert(sizeof(m.cluster_id) == sizeof(id->cluster_id), "copied whole");
    memcpy(m.cluster_id, id->cluster_id, sizeof(m.cluster_id));
    sbuf_init(&text);
    store_path(s, META_FILE, path);
    int rc = meta_properties_print(&text, &m);
    if (rc == 0)
        rc = fio_write_file(path, text.data, text.len);
    sbuf_free(&text);
    if (rc == 0) {
        s->identity = *id;
        s->has_identity = true;
    }
    return rc;
}

int store_mark_dirty(struct store *s)
{
    char path[STORE_PATH_MAX];
    store_drop_ballast(s);
    if (!s->has_clean_file)
        return 0;
    store_path(s, CLEAN_FILE, path);
    int rc = fio_unlink(path, false);
    if (rc == -ENOENT)
        rc = 0;
    if (rc == 0)
        rc = fio_sync_dir(s->dir);
    if (rc == 0)
        s->has_clean_file = false;
    return rc;
}

// ---- the last life --------------------------------------------------------------------------------------------------
int store_read_journals(struct store *s, char *err, size_t cap)
{
    SL_ASSERT(!s->replay);
    if (s->kind != STORE_OURS)
        return 0;
    s->replay = replay_create();
    if (!s->replay)
        return store_error(-ENOMEM, err, cap, "out of memory");
    int rc = replay_read_life(s->replay, s->journal_dir, &s->life, s->shards, err, cap);
    if (rc) {
        replay_destroy(s->replay);
        s->replay = NULL;
    }
    return rc;
}

struct store_log *store_find_log(struct store *s, const struct sl_uuid *topic_id, int32_t partition)
{
    return s->replay ? replay_find(s->replay, topic_id, partition) : NULL;
}

struct store_log *store_log_at(struct store *s, uint32_t i)
{
    return s->replay ? replay_log_at(s->replay, i) : NULL;
}
