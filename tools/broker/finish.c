// The end of a clean stop, after every shard closed its logs: upstream's offset checkpoint files, then the journal
// directory goes, and the clean-shutdown file comes last (storage rule S11).
#include "tools/broker/broker_private.h"

#include "engine/log/textfiles.h"

#include <errno.h>
#include <string.h>

enum which { ENDS, HIGH_WATERMARKS, LOG_STARTS };
struct gather {
    enum which which;
    uint32_t n;
    struct sbuf lines;
};

static int gather_log(void *arg, struct log *l)
{
    struct gather *g = arg;
    struct log_ends e;
    if (sl_uuid_eq(log_topic_id(l), &meta_topic_uuid))
        return 0; // the metadata log keeps no checkpoints, as upstream's does not
    log_get_ends(l, &e);
    int64_t offset = g->which == ENDS              ? e.appended_end
                     : g->which == HIGH_WATERMARKS ? e.high_watermark
                                                   : e.log_start;
    if (g->which == LOG_STARTS && offset == 0)
        return 0;
    g->n++;
    return offset_checkpoint_print(&g->lines, log_topic(l), log_partition(l), offset);
}

static int write_file(struct broker *b, const char *name, enum which which)
{
    char path[1200];
    struct sbuf text;
    struct gather g = {.which = which};
    int rc = 0;
    sbuf_init(&text);
    sbuf_init(&g.lines);
    for (uint32_t i = 0; i < b->placement.shards && !rc; i++)
        rc = shard_each_log(b->shards[i], gather_log, &g);
    if (!rc)
        rc = offset_checkpoint_print_begin(&text, g.n);
    if (!rc)
        rc = sbuf_append(&text, g.lines.data, g.lines.len);
    snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    if (!rc)
        rc = fio_put_file(path, text.data, text.len);
    sbuf_free(&text);
    sbuf_free(&g.lines);
    return rc;
}

static int write_checkpoints(struct broker *b)
{
    int rc = write_file(b, "recovery-point-offset-checkpoint", ENDS);
    if (!rc)
        rc = write_file(b, "replication-offset-checkpoint", HIGH_WATERMARKS);
    if (!rc)
        rc = write_file(b, "log-start-offset-checkpoint", LOG_STARTS);
    return rc ? rc : fio_sync_dir(b->dir);
}

static unsigned long long ms_of(const struct broker *b, enum service_kind kind)
{
    return reactor_group_stop_ns(b->group, kind) / 1000000;
}

void finish_fiber(void *arg)
{
    struct broker *b = arg;
    int rc = b->failed;
    uint64_t begin = io_now_ns(reactor_io(reactor_current()));
    for (uint32_t i = 0; i < b->placement.shards && !rc; i++)
        rc = shard_stop_error(b->shards[i]);
    if (!rc)
        rc = write_checkpoints(b);
    if (!rc)
        rc = store_end_clean(b->store, meta_broker_epoch(b->meta));
    if (rc) {
        b->rc = rc;
        sl_log(SL_WARN, "broker", "the stop was not clean (%s): the next start recovers", strerror(-rc));
    } else {
        sl_log(SL_INFO, "broker",
               "stopped cleanly dir=%s net.ms=%llu metadata.ms=%llu shards.ms=%llu files.ms=%llu", b->dir,
               ms_of(b, SVC_NET), ms_of(b, SVC_META), ms_of(b, SVC_SHARD),
               (unsigned long long)(io_now_ns(reactor_io(reactor_current())) - begin) / 1000000);
    }
    b->finished = true;
}
