// The next segment's file, made before it is needed, so that a roll that finds this *spare* waits for nothing: its appends go
// on in the same turn. The file has space, but not its name: that follows in the background, a few logs at a time (later.h).
//
//   <base>.spare.deleted      made when the segment of `base` is half to three quarters full, by a measure of the log's own, so
//                             that logs which are filled evenly do not all make theirs at once
//        |  a roll takes it: the segment is *unnamed*, in memory only
//   <new base>.log            renamed, then the directory synced: from here on it is like any other (S9)
//
// How an acknowledged record could be lost, and why it is not:
// - The name goes in a crash, and the file with it. All that an unnamed segment holds is in the journal, from its first byte:
//   no batch goes direct (direct_wanted), and nothing leaves the journal before a checkpoint, which names first. Nor is
//   anything written back before: flush_segment names. A start finds the entries from position 0 on and lays them into a file
//   that it makes (recover_journal.c). That tells it from a segment that was there: of one that a checkpoint knows, or that
//   has direct batches, the bytes are not in the journal, and the start is refused, or the log ends, as ever.
// - The file is opened anew by a name that it does not have: it stays open until it has it (files.c).
// - A spare is taken for a segment after a crash. Its name does not end in .log; a start of ours removes it, and so does
//   upstream's with all that ends in .deleted. A clean stop leaves none.
#include "engine/log/log_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE_BYTES = 64 << 10 };
static const char SPARE_END[] = ".spare.deleted";

static void spare_path(const struct log *l, int64_t base, char *out, size_t cap)
{
    snprintf(out, cap, "%s/%020lld%s", l->dir, (long long)base, SPARE_END);
}

bool ahead_parse_name(const char *name, int64_t *base)
{
    char *end;
    *base = strtoll(name, &end, 10);
    return end - name == 20 && !strcmp(end, SPARE_END);
}

// ---- spares -------------------------------------------------------------------------------------------------------------
int ahead_unlink(struct log *l, int64_t base)
{
    char path[1500];
    spare_path(l, base, path, sizeof(path));
    int rc = fio_unlink(path, false);
    return rc == -ENOENT ? 0 : rc;
}

// Who really needs the file hears of a failure.
static void spare_make(struct log *l)
{
    char path[1500];
    int64_t base = l->ahead.asked_for;
    uint32_t n = l->direct ? LOG_AHEAD : SPARE_BYTES;
    n = SL_ALIGN_UP(SL_MIN(n, l->cfg.segment_bytes), (uint32_t)IO_BLOCK);
    spare_path(l, base, path, sizeof(path));
    io_file f = fio_open(path, IO_RDWR | IO_DIRECT | IO_CREATE, 0644);
    if (f < 0)
        return;
    if (fio_fallocate(f, 0, n)) {
        (void)fio_close(f);
        (void)ahead_unlink(l, base);
        return;
    }
    SL_ASSERT(l->ahead.file < 0);
    l->ahead.file = f;
    l->ahead.allocated = n;
    l->ahead.base = base;
    l->env->files.spares++;
}

static void spare_run(struct later_work *w, bool go)
{
    struct log *l = w->log;
    if (go && !l->closed && !l->env->stopping && !l->env->failed && l->ahead.file < 0 &&
        files_allow_spare(&l->env->files))
        spare_make(l);
}

void ahead_later(struct log *l)
{
    l->ahead.asked_for = log_active(l)->base_offset;
    if (l->ahead.file < 0 && !l->closed)
        later_add(&l->env->spares, &l->ahead.make, false);
}

void ahead_measure(struct log *l)
{
    uint64_t own =
        (uint8_t)(l->topic_id.b[15] + (uint32_t)l->partition * 157); // 157: neighbours are far apart
    l->ahead.at = (uint32_t)(l->cfg.segment_bytes * (512 + own) / 1024);
}

bool ahead_take(struct log *l, struct segment *s)
{
    if (l->ahead.file < 0)
        return false;
    s->file = l->ahead.file;
    s->allocated = l->ahead.allocated;
    s->spare_base = l->ahead.base;
    s->name = SEG_SPARE;
    l->ahead.file = -1;
    l->env->files.spares--;
    files_opened(s);
    return true;
}

int ahead_drop(struct log *l)
{
    io_file f = l->ahead.file;
    if (f < 0)
        return 0;
    l->ahead.file = -1;
    l->env->files.spares--;
    int rc = fio_close(f), e = ahead_unlink(l, l->ahead.base);
    return rc ? rc : e;
}

void ahead_return(struct log *l, struct segment *s)
{
    io_file f = s->file;
    files_closed(s);
    s->file = -1;
    if (l->ahead.file >= 0) { // another one was made meanwhile
        (void)fio_close(f);
        (void)ahead_unlink(l, s->spare_base);
        return;
    }
    l->ahead.file = f;
    l->ahead.allocated = s->allocated;
    l->ahead.base = s->spare_base;
    l->env->files.spares++;
}

// ---- names --------------------------------------------------------------------------------------------------------------
// Finished ones have their names.
static struct segment *called(const struct log *l, enum segment_name name)
{
    for (uint32_t i = l->finished_n; i < l->segments_n; i++)
        if (l->segments[i]->name == name)
            return l->segments[i];
    return NULL;
}

static int rename_spare(struct log *l, struct segment *s)
{
    char from[1500], to[1500];
    spare_path(l, s->spare_base, from, sizeof(from));
    segment_path(s, SEG_LOG, to, sizeof(to));
    int rc = fio_rename(from, to);
    if (!rc)
        s->name = SEG_RENAMED;
    return rc;
}

// Beside whoever holds io_lock: unnamed segments leave neither the log nor memory.
int ahead_name(struct log *l)
{
    struct segment *s;
    int rc = l->env->failed;
    fiber_lock(&l->name_lock);
    while (!rc && (s = called(l, SEG_SPARE)))
        rc = rename_spare(l, s);
    if (!rc && called(l, SEG_RENAMED) && !SL_CANARY(NAME_NOT_SYNCED))
        rc = fio_sync_dir(l->dir);
    while (!rc && (s = called(l, SEG_RENAMED)))
        s->name = SEG_NAMED;
    fiber_unlock(&l->name_lock);
    return rc;
}

static void name_run(struct later_work *w, bool go)
{
    struct log *l = w->log;
    int rc = go && !l->env->failed ? ahead_name(l) : 0;
    l->ahead.naming = false;
    if (!rc || l->env->failed)
        return;
    sl_log(SL_ERROR, "log", "%s-%d: naming a new segment failed: %s", l->topic, l->partition, strerror(-rc));
    log_broken(l, rc); // what is not broken is tried again by the next write-back or checkpoint
}

void ahead_name_later(struct log *l)
{
    l->ahead.naming = true;
    later_add(&l->env->names, &l->ahead.give_name, l->direct);
}

bool ahead_is_naming(const struct log *l)
{
    return l->ahead.naming && l->env->names.running;
}

void log_get_segments(const struct log *l, struct log_segments *out)
{
    const struct segment *s = log_active(l);
    *out = (struct log_segments){.n = l->segments_n,
                                 .finished = l->finished_n,
                                 .base = s ? s->base_offset : -1,
                                 .size = s ? s->size : 0,
                                 .allocated = s ? s->allocated : 0,
                                 .named = s && s->name == SEG_NAMED,
                                 .spare = l->ahead.file >= 0,
                                 .spare_at = l->ahead.at};
}

// ---- the log ------------------------------------------------------------------------------------------------------------
void ahead_init(struct log *l)
{
    l->ahead.file = -1;
    l->ahead.asked_for = -1;
    later_work_init(&l->ahead.make, l, spare_run);
    later_work_init(&l->ahead.give_name, l, name_run);
    ahead_measure(l);
}

void ahead_forget(struct log *l)
{
    later_forget(&l->env->spares, l);
    later_forget(&l->env->names, l);
    later_forget(&l->env->seals, l);
    later_forget(&l->env->grows, l);
}
