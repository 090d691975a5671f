// The offset checkpoint files that upstream reads after a clean stop.
#include "engine/shard/shard.h"

#include <stdio.h>

#include "engine/log/textfiles.h"

enum which { ENDS, HIGH_WATERMARKS, LOG_STARTS, FIRST_DIRTY };
struct gather {
    enum which which;
    const struct sl_uuid *skip;
    uint32_t n;
    struct sbuf lines;
};

static int gather_log(void *arg, struct log *l)
{
    struct gather *g = arg;
    struct log_ends e;
    if (g->skip && sl_uuid_eq(log_topic_id(l), g->skip))
        return 0;
    log_get_ends(l, &e);
    const int64_t offsets[] = {e.appended_end, e.high_watermark, e.log_start, log_first_dirty(l)};
    int64_t offset = offsets[g->which];
    if ((g->which == LOG_STARTS || g->which == FIRST_DIRTY) && offset == 0)
        return 0;
    g->n++;
    return offset_checkpoint_print(&g->lines, log_topic(l), log_partition(l), offset);
}

static int write_file(struct shard *const *shards, uint32_t n, const struct sl_uuid *skip, const char *dir,
                      const char *name, enum which which)
{
    char path[1300];
    struct sbuf text;
    struct gather g = {.which = which, .skip = skip};
    int rc = 0;
    sbuf_init(&text);
    sbuf_init(&g.lines);
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = shard_each_log(shards[i], gather_log, &g);
    if (!rc)
        rc = offset_checkpoint_print_begin(&text, g.n);
    if (!rc)
        rc = sbuf_append(&text, g.lines.data, g.lines.len);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (!rc)
        rc = fio_write_file(path, text.data, text.len);
    sbuf_free(&text);
    sbuf_free(&g.lines);
    return rc;
}

int shard_write_points(struct shard *const *shards, uint32_t n, const struct sl_uuid *skip, const char *dir)
{
    int rc = write_file(shards, n, skip, dir, "recovery-point-offset-checkpoint", ENDS);
    if (!rc)
        rc = write_file(shards, n, skip, dir, "replication-offset-checkpoint", HIGH_WATERMARKS);
    if (!rc)
        rc = write_file(shards, n, skip, dir, "log-start-offset-checkpoint", LOG_STARTS);
    return rc ? rc : write_file(shards, n, skip, dir, "cleaner-offset-checkpoint", FIRST_DIRTY);
}
