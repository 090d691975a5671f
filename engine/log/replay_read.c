// Replay's reading: checkpoints and journal files of a life, shards side by side. Of a file only what the chain asks for is
// read. Fibers; see replay.h.
#include "engine/log/replay.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/canary.h"
#include "engine/base/log.h"

enum {
    READ_PIECE = 1024 * 1024,
    READ_TRIES = 16,
    CHECKPOINT_MAX = 1024 * 1024 * 1024,
    READERS = 8, // shards read at the same time
    READER_STACK = 128 * 1024,
    ERROR_TEXT = 900,
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

int replay_read_blocks(io_file f, uint8_t *data, uint64_t from, uint64_t to, uint32_t *bad)
{
    SL_ASSERT(from % JOURNAL_BLOCK == 0 && to % JOURNAL_BLOCK == 0);
    for (uint64_t at = from; at < to; at += READ_PIECE) {
        size_t n = (size_t)SL_MIN(to - at, (uint64_t)READ_PIECE);
        int rc = fio_read(f, data + at, n, at);
        if (rc != (int)n)
            rc = rc >= 0 || rc == -EIO ? read_singly(f, data, at, n, bad) : rc;
        if (rc < 0)
            return rc;
    }
    return 0;
}

// ---- one shard ------------------------------------------------------------------------------------------------------
struct shard_files {
    struct replay *r;
    const char *dir;
    const struct sl_uuid *life;
    uint32_t shard;
    struct replay_file *files;
    io_file *handles; // beside files
    uint32_t n;
    char prefix[64];
    size_t skip;   // bytes of the prefix that need not match
    uint64_t read; // bytes
    char *err;
    size_t cap;
};

__attribute__((format(printf, 3, 4))) static int shard_error(struct shard_files *s, int rc, const char *fmt,
                                                             ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->err, s->cap, fmt, ap);
    va_end(ap);
    return rc;
}

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

// Memory for the whole of a file costs nothing until it is read into.
static int open_file(struct shard_files *s, uint32_t i)
{
    char path[1400];
    struct io_stat st;
    struct replay_file *f = &s->files[i];
    snprintf(path, sizeof(path), "%s/%s", s->dir, f->name);
    int rc = fio_stat(path, &st);
    if (!rc) {
        f->len = SL_ALIGN_DOWN(st.size, (uint64_t)JOURNAL_BLOCK);
        f->data = aligned_alloc(JOURNAL_BLOCK, SL_MAX(f->len, (uint64_t)JOURNAL_BLOCK));
        rc = f->data ? 0 : -ENOMEM;
    }
    if (!rc) {
        s->handles[i] = fio_open(path, IO_RDONLY | IO_DIRECT, 0);
        rc = SL_MIN(s->handles[i], 0);
    }
    return rc ? shard_error(s, rc, "cannot read %s: %s", path, strerror(-rc)) : 0;
}

static int open_files(struct shard_files *s)
{
    int rc = 0;
    s->handles = malloc((s->n + 1) * sizeof(*s->handles));
    if (!s->handles)
        return -ENOMEM;
    for (uint32_t i = 0; i < s->n; i++)
        s->handles[i] = -1;
    for (uint32_t i = 0; i < s->n && !rc; i++)
        rc = open_file(s, i);
    return rc;
}

// The chain's load: in pieces, so that its next steps find something.
static int load(void *arg, struct replay_file *f, uint64_t upto)
{
    struct shard_files *s = arg;
    uint32_t bad = 0;
    // A look at a file's head costs a block; who goes on gets a piece at a time.
    uint64_t to = f->loaded || upto > JOURNAL_BLOCK ? SL_ALIGN_UP(upto, (uint64_t)READ_PIECE) : upto;
    to = SL_MIN(to, f->len);
    SL_ASSERT(to > f->loaded);
    int rc = replay_read_blocks(s->handles[f - s->files], f->data, f->loaded, to, &bad);
    if (rc)
        return shard_error(s, rc, "cannot read %s/%s: %s", s->dir, f->name, strerror(-rc));
    if (bad)
        sl_log(SL_WARN, "replay", "unreadable blocks taken as zeros file=%s/%s blocks=%u", s->dir, f->name,
               bad);
    s->read += to - f->loaded;
    f->loaded = to;
    return 0;
}

static int read_checkpoint(struct shard_files *s, uint64_t *first_generation)
{
    char path[1400];
    uint8_t *image;
    size_t n;
    const uint8_t *l = s->life->b;
    snprintf(path, sizeof(path), "%s/%02x%02x%02x%02x-s%u.checkpoint", s->dir, l[0], l[1], l[2], l[3],
             s->shard);
    int rc = fio_read_file(path, CHECKPOINT_MAX, &image, &n);
    if (rc == 0)
        rc = replay_add_checkpoint(s->r, image, n, s->life, s->shard, first_generation);
    if (rc == 0)
        return 0;
    shard_error(s, rc, "checkpoint %s: %s", path, rc == -EBADMSG ? "not what was written" : strerror(-rc));
    // A life in force has all its files, whole: a missing or broken one is damage.
    return rc == -EBADMSG || rc == -ENOENT || rc == -EIO ? -EUCLEAN : rc;
}

static int list_files(struct shard_files *s)
{
    const uint8_t *l = s->life->b;
    int n =
        snprintf(s->prefix, sizeof(s->prefix), "%02x%02x%02x%02x-s%u-f", l[0], l[1], l[2], l[3], s->shard);
    SL_ASSERT(n > 0 && (size_t)n < sizeof(s->prefix));
    s->skip = SL_CANARY(REPLAY_WITHOUT_LIFE_ID) ? 8 : 0;
    int rc = io_listdir(reactor_io(fiber_reactor(fiber_current())), s->dir, on_dirent, s);
    if (rc)
        return shard_error(s, rc, "cannot list %s: %s", s->dir, strerror(-rc));
    if (s->n == 0)
        return shard_error(s, -EUCLEAN, "no journal of shard %u in %s", s->shard, s->dir);
    return open_files(s);
}

static int walk_shard(struct shard_files *s, struct replay_chain *c)
{
    c->files = s->files;
    c->n = s->n;
    c->fn = replay_add_entry;
    c->arg = s->r;
    c->load = load;
    c->load_arg = s;
    int rc = replay_chain(c);
    if (!rc || c->failed)
        return rc;
    if (rc == -EUCLEAN && c->durable_through > c->last_sequence)
        return shard_error(
            s, rc,
            "journal %s/%s is damaged at byte %llu: group %llu was acknowledged, but does not verify "
            "(groups up to %llu were durable)",
            s->dir, c->break_file, (unsigned long long)c->break_position,
            (unsigned long long)c->last_sequence + 1, (unsigned long long)c->durable_through);
    return shard_error(s, rc, "journal of shard %u in %s: %s", c->shard, s->dir, strerror(-rc));
}

// Entries point into the files that the chain went through; the others' memory is given back at once.
static int close_files(struct shard_files *s)
{
    int rc = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        struct replay_file *f = &s->files[i];
        if (s->handles && s->handles[i] >= 0)
            (void)fio_close(s->handles[i]);
        if (f->walked > 0 && rc == 0)
            rc = replay_keep(s->r, f->data);
        else
            free(f->data);
    }
    free(s->files);
    free(s->handles);
    return rc;
}

static int read_shard(struct shard_files *s)
{
    struct replay_chain c = {.life = *s->life, .shard = s->shard};
    struct io *io = reactor_io(fiber_reactor(fiber_current()));
    uint64_t t0 = io_now_ns(io);
    int rc = read_checkpoint(s, &c.first_generation);
    if (rc)
        return rc;
    rc = list_files(s);
    if (rc == 0)
        rc = walk_shard(s, &c);
    if (rc == 0)
        sl_log(SL_INFO, "replay",
               "journal read shard=%u groups=%llu last=%llu files=%u read.kib=%llu ms=%llu", s->shard,
               (unsigned long long)c.groups, (unsigned long long)c.last_sequence, s->n,
               (unsigned long long)(s->read >> 10), (unsigned long long)((io_now_ns(io) - t0) / 1000000));
    int rc2 = close_files(s);
    return rc ? rc : rc2;
}

// ---- all shards, side by side -----------------------------------------------------------------------------------------
struct life_run {
    struct shard_files *shards;
    uint32_t n, next;
    int rc; // of the first that failed; its text is the caller's
    char *err;
    size_t cap;
    struct fiber_wait wait;
};

static void shards_fiber(void *arg)
{
    struct life_run *run = arg;
    while (run->next < run->n && !run->rc) {
        struct shard_files *s = &run->shards[run->next++];
        char text[ERROR_TEXT] = "";
        s->err = text;
        s->cap = sizeof(text);
        int rc = read_shard(s);
        if (rc && !run->rc) {
            run->rc = rc;
            snprintf(run->err, run->cap, "%s", text);
        }
    }
    fiber_wait_done(&run->wait);
}

int replay_read_life(struct replay *r, const char *dir, const struct sl_uuid *life, uint32_t shards,
                     char *err, size_t cap)
{
    struct life_run run = {.n = shards, .err = err, .cap = cap};
    struct reactor *re = fiber_reactor(fiber_current());
    run.shards = calloc(shards, sizeof(*run.shards));
    if (!run.shards)
        return -ENOMEM;
    for (uint32_t i = 0; i < shards; i++)
        run.shards[i] = (struct shard_files){.r = r, .dir = dir, .life = life, .shard = i};
    uint32_t readers = SL_MIN(shards, (uint32_t)READERS);
    fiber_wait_add(&run.wait, readers);
    for (uint32_t i = 0; i < readers; i++)
        if (!fiber_spawn(re, shards_fiber, &run, READER_STACK))
            sl_panic("replay: out of memory for a fiber");
    fiber_wait(&run.wait);
    free(run.shards);
    if (!run.rc)
        replay_apply_fences(r);
    return run.rc;
}
