// The end of a clean stop, after every shard closed its logs: upstream's offset checkpoint files, then the journal
// directory goes, and the clean-shutdown file comes last (storage rule S11).
#include "tools/broker/broker_private.h"

#include "engine/log/textfiles.h"

#include <errno.h>
#include <string.h>

struct gather {
    struct offset_file ends, marks, starts;
    int rc;
};

static int gather_log(void *arg, struct log *l)
{
    struct gather *g = arg;
    struct log_ends e;
    if (sl_uuid_equal(log_topic_id(l), &meta_topic_uuid))
        return 0; // the metadata log keeps no checkpoints, as upstream's does not
    log_get_ends(l, &e);
    int rc = offset_file_add(&g->ends, log_topic(l), log_partition(l), e.appended_end);
    if (!rc)
        rc = offset_file_add(&g->marks, log_topic(l), log_partition(l), e.high_watermark);
    if (!rc && e.log_start > 0)
        rc = offset_file_add(&g->starts, log_topic(l), log_partition(l), e.log_start);
    return rc;
}

static int write_file(struct broker *b, const char *name, const struct offset_file *f)
{
    char path[1200];
    struct sbuf text;
    sbuf_init(&text);
    snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    int rc = offset_file_print(f, &text);
    if (!rc)
        rc = fio_write_file(path, text.p, text.len);
    sbuf_free(&text);
    return rc;
}

static int write_checkpoints(struct broker *b)
{
    struct gather g = {0};
    int rc = 0;
    for (uint32_t i = 0; i < b->placement.shards && !rc; i++)
        rc = shard_each_log(b->shards[i], gather_log, &g);
    if (!rc)
        rc = write_file(b, "recovery-point-offset-checkpoint", &g.ends);
    if (!rc)
        rc = write_file(b, "replication-offset-checkpoint", &g.marks);
    if (!rc)
        rc = write_file(b, "log-start-offset-checkpoint", &g.starts);
    offset_file_free(&g.ends);
    offset_file_free(&g.marks);
    offset_file_free(&g.starts);
    return rc;
}

void finish_fiber(void *arg)
{
    struct broker *b = arg;
    int rc = b->failed;
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
        sl_log(SL_INFO, "broker", "stopped cleanly dir=%s", b->dir);
    }
    b->finished = true;
}
