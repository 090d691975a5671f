// Replay's reading: checkpoints and journal files of a life into memory, shard by shard. Fibers; see replay.h.
#include "engine/log/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/canary.h"
#include "engine/base/log.h"

enum {
    READ_PIECE = 1024 * 1024,
    READ_TRIES = 16,
    CHECKPOINT_MAX = 1024 * 1024 * 1024,
};

// ---- blocks ---------------------------------------------------------------------------------------------------------
// A block that is read short is asked for again: only the end of the file and an error make it a bad one.
static int read_block(io_file f, uint8_t *block, uint64_t at)
{
    int rc = 0;
    for (int i = 0; i < READ_TRIES; i++) {
        rc = fio_read(f, block, JOURNAL_BLOCK, at);
        if (rc <= 0 || rc == JOURNAL_BLOCK)
            break;
    }
    return rc;
}

// Reads [at, at + n) block by block after the whole piece failed.
static int read_singly(io_file f, uint8_t *data, uint64_t at, size_t n, uint32_t *bad)
{
    for (size_t i = 0; i < n; i += JOURNAL_BLOCK) {
        int rc = read_block(f, data + at + i, at + i);
        if (rc < 0 && rc != -EIO)
            return rc;
        if (rc == JOURNAL_BLOCK)
            continue;
        memset(data + at + i, 0, JOURNAL_BLOCK);
        (*bad)++;
    }
    return 0;
}

static int read_pieces(io_file f, uint8_t *data, uint64_t len, uint32_t *bad)
{
    for (uint64_t at = 0; at < len; at += READ_PIECE) {
        size_t n = (size_t)SL_MIN(len - at, (uint64_t)READ_PIECE);
        int rc = fio_read(f, data + at, n, at);
        if (rc != (int)n)
            rc = rc >= 0 || rc == -EIO ? read_singly(f, data, at, n, bad) : rc;
        if (rc < 0)
            return rc;
    }
    return 0;
}

int replay_read_blocks(const char *path, uint8_t **data, uint64_t *len, uint32_t *bad)
{
    struct io_stat st;
    *data = NULL;
    *bad = 0;
    int rc = fio_stat(path, &st);
    if (rc)
        return rc;
    *len = SL_ALIGN_DOWN(st.size, (uint64_t)JOURNAL_BLOCK);
    io_file f = fio_open(path, IO_RDONLY | IO_DIRECT, 0);
    if (f < 0)
        return f;
    uint8_t *p = aligned_alloc(JOURNAL_BLOCK, SL_MAX(*len, (uint64_t)JOURNAL_BLOCK));
    rc = p ? read_pieces(f, p, *len, bad) : -ENOMEM;
    (void)fio_close(f);
    if (rc) {
        free(p);
        return rc;
    }
    *data = p;
    return 0;
}

// ---- one shard ------------------------------------------------------------------------------------------------------
struct shard_files {
    struct replay_file *files;
    uint32_t n;
    char prefix[64];
    size_t skip; // bytes of the prefix that need not match
    int rc;
};

// Whether `name` is "<prefix><number>.journal".
static bool is_journal_of(const struct shard_files *s, const char *name)
{
    size_t n = strlen(s->prefix);
    if (strlen(name) <= n || memcmp(name + s->skip, s->prefix + s->skip, n - s->skip) != 0)
        return false;
    const char *p = name + n;
    size_t digits = strspn(p, "0123456789");
    return digits > 0 && digits < 6 && strcmp(p + digits, ".journal") == 0;
}

static int on_dirent(void *arg, const struct io_dirent *e)
{
    struct shard_files *s = arg;
    size_t n = strlen(e->name);
    if (e->is_dir || !is_journal_of(s, e->name) || n >= sizeof(s->files->name))
        return 0;
    struct replay_file *more = realloc(s->files, (s->n + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    s->files = more;
    struct replay_file *f = &more[s->n++];
    *f = (struct replay_file){0};
    memcpy(f->name, e->name, n + 1);
    return 0;
}

static int read_files(struct shard_files *s, const char *dir, char *err, size_t cap)
{
    char path[1400];
    for (uint32_t i = 0; i < s->n; i++) {
        struct replay_file *f = &s->files[i];
        uint32_t bad;
        snprintf(path, sizeof(path), "%s/%s", dir, f->name);
        int rc = replay_read_blocks(path, &f->data, &f->len, &bad);
        if (rc) {
            snprintf(err, cap, "cannot read %s: %s", path, strerror(-rc));
            return rc;
        }
        if (bad)
            sl_log(SL_WARN, "replay", "unreadable blocks taken as zeros file=%s blocks=%u", path, bad);
    }
    return 0;
}

static int read_checkpoint(struct replay *r, const char *dir, const struct sl_uuid *life, uint32_t shard,
                           uint64_t *first_generation, char *err, size_t cap)
{
    char path[1400];
    uint8_t *image;
    size_t n;
    snprintf(path, sizeof(path), "%s/%02x%02x%02x%02x-s%u.checkpoint", dir, life->b[0], life->b[1],
             life->b[2], life->b[3], shard);
    int rc = fio_read_file(path, CHECKPOINT_MAX, &image, &n);
    if (rc == 0)
        rc = replay_add_checkpoint(r, image, n, life, shard, first_generation);
    if (rc) {
        snprintf(err, cap, "checkpoint %s: %s", path,
                 rc == -EBADMSG ? "not what was written" : strerror(-rc));
        // A life in force has all its files, whole: a missing or broken one is damage.
        rc = rc == -EBADMSG || rc == -ENOENT || rc == -EIO ? -EUCLEAN : rc;
    }
    return rc;
}

static int walk_shard(struct replay *r, struct shard_files *s, struct replay_chain *c, const char *dir,
                      char *err, size_t cap)
{
    c->files = s->files;
    c->n = s->n;
    c->fn = replay_add_entry;
    c->arg = r;
    int rc = replay_chain(c);
    if (rc == -EUCLEAN && c->durable_through > c->last_sequence)
        snprintf(err, cap,
                 "journal %s/%s is damaged at byte %llu: group %llu was acknowledged, but does not verify "
                 "(groups up to %llu were durable)",
                 dir, c->break_file, (unsigned long long)c->break_position,
                 (unsigned long long)c->last_sequence + 1, (unsigned long long)c->durable_through);
    else if (rc)
        snprintf(err, cap, "journal of shard %u in %s: %s", c->shard, dir, strerror(-rc));
    return rc;
}

// Entries point into the files that the chain went through; the others' memory is given back at once.
static int keep_files(struct replay *r, struct shard_files *s)
{
    int rc = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        struct replay_file *f = &s->files[i];
        if (f->walked > 0 && rc == 0)
            rc = replay_keep(r, f->data);
        else
            free(f->data);
    }
    free(s->files);
    return rc;
}

static int read_shard(struct replay *r, const char *dir, const struct sl_uuid *life, uint32_t shard,
                      char *err, size_t cap)
{
    struct replay_chain c = {.life = *life, .shard = shard};
    struct shard_files s = {0};
    int rc = read_checkpoint(r, dir, life, shard, &c.first_generation, err, cap);
    if (rc)
        return rc;
    int n = snprintf(s.prefix, sizeof(s.prefix), "%02x%02x%02x%02x-s%u-f", life->b[0], life->b[1], life->b[2],
                     life->b[3], shard);
    SL_ASSERT(n > 0 && (size_t)n < sizeof(s.prefix));
    s.skip = SL_CANARY(REPLAY_WITHOUT_LIFE_ID) ? 8 : 0;
    rc = io_listdir(reactor_io(fiber_reactor(fiber_current())), dir, on_dirent, &s);
    if (rc)
        snprintf(err, cap, "cannot list %s: %s", dir, strerror(-rc));
    if (rc == 0 && s.n == 0) {
        snprintf(err, cap, "no journal of shard %u in %s", shard, dir);
        rc = -EUCLEAN;
    }
    if (rc == 0)
        rc = read_files(&s, dir, err, cap);
    if (rc == 0)
        rc = walk_shard(r, &s, &c, dir, err, cap);
    if (rc == 0)
        sl_log(SL_INFO, "replay", "journal read shard=%u groups=%llu last=%llu durable_through=%llu", shard,
               (unsigned long long)c.groups, (unsigned long long)c.last_sequence,
               (unsigned long long)c.durable_through);
    int rc2 = keep_files(r, &s);
    return rc ? rc : rc2;
}

int replay_read_life(struct replay *r, const char *dir, const struct sl_uuid *life, uint32_t shards,
                     char *err, size_t cap)
{
    for (uint32_t i = 0; i < shards; i++) {
        int rc = read_shard(r, dir, life, i, err, cap);
        if (rc)
            return rc;
    }
    replay_apply_fences(r);
    return 0;
}
