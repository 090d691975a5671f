// Lives of a log directory: the file that names the one in force, the switch to a new one, and the clean end.
#include "engine/log/store_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/canary.h"
#include "engine/base/crc32c.h"
#include "engine/base/log.h"
#include "engine/log/textfiles.h"

#define CURRENT_MAGIC 0x5543454349554c53ull // "SLUICECU", little-endian

enum {
    CURRENT_VERSION = 1,
    C_MAGIC = 0,
    C_VERSION = 8,
    C_JOURNAL_VERSION = 10,
    C_CRC = 12,
    C_LIFE = 16,
    C_SHARDS = 32,
    C_ZERO = 36,
    CURRENT_HEADER = 40,
    CURRENT_SHARD = 4,
    CURRENT_MAX = CURRENT_HEADER + REACTOR_MAX * CURRENT_SHARD,
};

// ---- the file `current` ---------------------------------------------------------------------------------------------
static size_t current_encode(uint8_t out[CURRENT_MAX], const struct sl_uuid *life, uint32_t shards)
{
    size_t n = CURRENT_HEADER + (size_t)shards * CURRENT_SHARD;
    memset(out, 0, n);
    le64_store(out + C_MAGIC, CURRENT_MAGIC);
    le16_store(out + C_VERSION, CURRENT_VERSION);
    le16_store(out + C_JOURNAL_VERSION, JOURNAL_VERSION);
    memcpy(out + C_LIFE, life->b, 16);
    le32_store(out + C_SHARDS, shards);
    le32_store(out + C_CRC, crc32c(0, out + C_LIFE, n - C_LIFE));
    return n;
}

static int current_decode(const uint8_t *p, size_t n, struct sl_uuid *life, uint32_t *shards)
{
    if (n < CURRENT_HEADER || le64_load(p + C_MAGIC) != CURRENT_MAGIC ||
        le32_load(p + C_CRC) != crc32c(0, p + C_LIFE, n - C_LIFE))
        return -EBADMSG;
    if (le16_load(p + C_VERSION) != CURRENT_VERSION || le16_load(p + C_JOURNAL_VERSION) != JOURNAL_VERSION)
        return -EPROTONOSUPPORT;
    memcpy(life->b, p + C_LIFE, 16);
    *shards = le32_load(p + C_SHARDS);
    if (*shards == 0 || *shards > REACTOR_MAX || n != CURRENT_HEADER + (size_t)*shards * CURRENT_SHARD)
        return -EBADMSG;
    return 0;
}

int store_read_current(struct store *s, char *err, size_t cap)
{
    char path[STORE_PATH_MAX];
    uint8_t *image;
    size_t n;
    store_journal_path(s, "current", path);
    int rc = fio_read_file(path, CURRENT_MAX, &image, &n);
    if (rc == -ENOENT)
        return 0; // no life was in force yet, or none is any more
    if (rc)
        return store_error(rc, err, cap, "cannot read %s: %s", path, strerror(-rc));
    rc = current_decode(image, n, &s->life, &s->shards);
    free(image);
    if (rc == -EPROTONOSUPPORT)
        return store_error(rc, err, cap, "%s was written by a newer version", path);
    if (rc)
        return store_error(-EUCLEAN, err, cap, "%s is damaged", path);
    s->has_life = true;
    return 0;
}

// ---- names ----------------------------------------------------------------------------------------------------------
static void life_prefix(const struct sl_uuid *life, char out[10])
{
    snprintf(out, 10, "%02x%02x%02x%02x-", life->b[0], life->b[1], life->b[2], life->b[3]);
}

static void checkpoint_path(const struct store *s, const struct sl_uuid *life, uint32_t shard, char *out,
                            size_t cap)
{
    char prefix[10];
    life_prefix(life, prefix);
    int n = snprintf(out, cap, "%s/%ss%u.checkpoint", s->journal_dir, prefix, shard);
    SL_ASSERT(n > 0 && (size_t)n < cap);
}

void store_checkpoint_path(const struct store *s, uint32_t shard, char *out, size_t cap)
{
    checkpoint_path(s, &s->life, shard, out, cap);
}

void store_journal_config(const struct store *s, uint32_t shard, struct journal_config *cfg)
{
    SL_ASSERT(s->has_life && shard < s->shards);
    snprintf(cfg->dir, sizeof(cfg->dir), "%s", s->journal_dir);
    cfg->shard = shard;
    cfg->life = s->life;
}

struct prefix_search {
    const char *prefix;
    bool found;
};

static int match_prefix(void *arg, const struct io_dirent *e)
{
    struct prefix_search *x = arg;
    x->found |= strncmp(e->name, x->prefix, strlen(x->prefix)) == 0;
    return 0;
}

// True if a file of the journal directory, of whatever life, already begins as this life's would.
static bool prefix_taken(struct store *s, const struct sl_uuid *life)
{
    char prefix[10];
    struct prefix_search x = {.prefix = prefix};
    life_prefix(life, prefix);
    (void)io_listdir(reactor_io(s->r), s->journal_dir, match_prefix, &x);
    return x.found;
}

void store_new_life(struct store *s, struct sl_uuid *life)
{
    while (!s->has_next) {
        io_random(reactor_io(s->r), s->next.b, sizeof(s->next.b));
        s->has_next = !sl_uuid_is_zero(&s->next) && !prefix_taken(s, &s->next);
    }
    *life = s->next;
}

// ---- removing -------------------------------------------------------------------------------------------------------
// `keep`: names that begin like this stay; NULL: none.
static bool is_leftover(void *keep, const struct io_dirent *e)
{
    return !e->is_dir &&
           !(keep && (strcmp(e->name, "current") == 0 || strncmp(e->name, keep, strlen(keep)) == 0));
}

// Removes every file of the journal directory, but those of the life that is kept, and syncs the directory.
static int remove_files(struct store *s, const struct sl_uuid *keep)
{
    char prefix[10], path[STORE_PATH_MAX];
    struct sbuf names;
    if (keep)
        life_prefix(keep, prefix);
    sbuf_init(&names);
    int rc = fio_names(s->journal_dir, is_leftover, keep ? prefix : NULL, &names);
    for (size_t at = 0; rc == 0 && at < names.len; at += strlen(names.data + at) + 1) {
        store_journal_path(s, names.data + at, path);
        rc = fio_unlink(path, false);
    }
    sbuf_free(&names);
    return rc ? rc : fio_sync_dir(s->journal_dir);
}

// ---- a new life -----------------------------------------------------------------------------------------------------
// Syncs the log directory in any case: what a predecessor changed there (the journal directory, meta.properties, a clean
// shutdown file removed) is visible, but need not be durable.
static int make_journal_dir(struct store *s)
{
    int rc = s->has_journal_dir ? 0 : fio_mkdir(s->journal_dir, 0700);
    if (rc == 0 || rc == -EEXIST)
        rc = fio_sync_dir(s->dir);
    s->has_journal_dir |= rc == 0;
    return rc;
}

// The shard's first checkpoint and journal file, both synced; their names are synced with the directory, once.
static int make_shard(struct store *s, const struct journal_config *cfg,
                      const struct store_shard_begin *begin)
{
    char path[STORE_PATH_MAX];
    uint8_t *image = malloc(begin->checkpoint_len + 1);
    if (!image)
        return -ENOMEM;
    memcpy(image, begin->checkpoint, begin->checkpoint_len);
    int rc = ckpt_rebrand(image, begin->checkpoint_len, &cfg->life, cfg->shard, 1);
    checkpoint_path(s, &cfg->life, cfg->shard, path, sizeof(path));
    if (rc == 0)
        rc = fio_write_file(path, image, begin->checkpoint_len);
    free(image);
    journal_file_path(cfg, 0, path, sizeof(path));
    return rc ? rc : journal_file_create(path, cfg->first_file_bytes);
}

static int make_life(struct store *s, const struct journal_config *base, uint32_t shards,
                     const struct store_shard_begin *begin, const struct sl_uuid *life)
{
    struct journal_config cfg = *base;
    snprintf(cfg.dir, sizeof(cfg.dir), "%s", s->journal_dir);
    cfg.life = *life;
    int rc = 0;
    for (cfg.shard = 0; rc == 0 && cfg.shard < shards; cfg.shard++)
        rc = make_shard(s, &cfg, &begin[cfg.shard]);
    return rc ? rc : fio_sync_dir(s->journal_dir);
}

static int switch_life(struct store *s, uint32_t shards, const struct sl_uuid *life)
{
    uint8_t image[CURRENT_MAX];
    char path[STORE_PATH_MAX];
    size_t n = current_encode(image, life, shards);
    store_journal_path(s, "current", path);
    return fio_write_file(path, image, n);
}

int store_begin_life(struct store *s, const struct journal_config *cfg, uint32_t shards,
                     const struct store_shard_begin *begin, struct store_life *out, char *err, size_t cap)
{
    struct sl_uuid life;
    SL_ASSERT(shards >= 1 && shards <= REACTOR_MAX);
    int rc = store_mark_dirty(s);
    if (rc == 0)
        rc = make_journal_dir(s);
    if (rc)
        return store_error(rc, err, cap, "cannot prepare %s: %s", s->journal_dir, strerror(-rc));
    store_new_life(s, &life);
    rc = make_life(s, cfg, shards, begin, &life);
    if (rc)
        return store_error(rc, err, cap, "cannot make the journals in %s: %s", s->journal_dir, strerror(-rc));
    rc = switch_life(s, shards, &life);
    if (rc)
        return store_error(rc, err, cap, "cannot write %s/current: %s", s->journal_dir, strerror(-rc));
    s->life = life;
    s->shards = shards;
    s->has_life = true;
    s->has_next = false;
    replay_destroy(s->replay);
    s->replay = NULL;
    *out = (struct store_life){.life = life, .shards = shards};
    // Only now is the old life not needed any more.
    rc = remove_files(s, &life);
    return rc ? store_error(rc, err, cap, "cannot clear %s: %s", s->journal_dir, strerror(-rc)) : 0;
}

// ---- space for a start ----------------------------------------------------------------------------------------------
// It lies in the journal directory: who clears that, clears it.
#define BALLAST "ballast"

void store_drop_ballast(struct store *s)
{
    char path[STORE_PATH_MAX];
    if (s->kind != STORE_OURS || s->no_ballast)
        return;
    s->no_ballast = true;
    store_journal_path(s, BALLAST, path);
    (void)fio_unlink(path, false); // without it a start has the space that there is
}

int store_make_ballast(struct store *s, uint64_t bytes)
{
    char path[STORE_PATH_MAX];
    SL_ASSERT(s->has_life && bytes > 0);
    store_journal_path(s, BALLAST, path);
    io_file f = fio_open(path, IO_RDWR | IO_CREATE, 0600);
    if (f < 0)
        return f;
    int rc = fio_fallocate(f, 0, bytes);
    if (rc == 0)
        rc = fio_fsync(f, false);
    if (rc)
        (void)fio_unlink(path, false);
    int rc2 = fio_close(f);
    return rc ? rc : rc2;
}

// ---- the clean end --------------------------------------------------------------------------------------------------
// `current` goes first, durably: from then on no life is in force, and a crash leaves a directory that is recovered from
// its recovery points, which the caller has written.
static int remove_journals(struct store *s)
{
    char path[STORE_PATH_MAX];
    store_journal_path(s, "current", path);
    int rc = fio_unlink(path, false);
    if (rc == 0 || rc == -ENOENT)
        rc = fio_sync_dir(s->journal_dir);
    if (rc == 0)
        rc = remove_files(s, NULL);
    if (rc == 0)
        rc = fio_unlink(s->journal_dir, true);
    if (rc == 0)
        rc = fio_sync_dir(s->dir);
    if (rc == 0)
        s->has_journal_dir = s->has_life = false;
    return rc;
}

static int write_clean_file(struct store *s, int64_t broker_epoch)
{
    char path[STORE_PATH_MAX];
    struct sbuf text;
    sbuf_init(&text);
    store_path(s, ".kafka_cleanshutdown", path);
    int rc = clean_shutdown_print(&text, broker_epoch);
    if (rc == 0)
        rc = fio_write_file(path, text.data, text.len);
    sbuf_free(&text);
    if (rc == 0)
        s->has_clean_file = true;
    return rc;
}

int store_end_clean(struct store *s, int64_t broker_epoch)
{
    int rc = SL_CANARY(CLEAN_TOO_EARLY) ? write_clean_file(s, broker_epoch) : 0;
    if (rc == 0 && s->has_journal_dir)
        rc = remove_journals(s);
    return rc || broker_epoch < 0 ? rc : write_clean_file(s, broker_epoch);
}
