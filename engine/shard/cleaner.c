// Compaction in the background: one log of the shard at a time, the one that is dirty for the largest part first, as upstream's
// cleaner chooses. It looks each backoff_ms, and goes on without a pause while there is something to do.
#include "engine/shard/shard_private.h"

#include <errno.h>
#include <string.h>

static const uint64_t MS = 1000 * 1000;

struct choice {
    struct part *part;
    double ratio;
};

static double ratio_of(const struct compactable *w)
{
    uint64_t all = w->clean_bytes + w->dirty_bytes;
    return all ? (double)w->dirty_bytes / (double)all : 0;
}

// Fiber. Keeps the dirtier one of the partition and the choice so far.
static void consider(struct part *p, struct choice *c)
{
    const struct log_config *cfg = log_get_config(p->log);
    struct compactable w;
    if (!cfg->compacted || p->closing || p->uncleanable)
        return;
    int rc = log_compactable(p->log, &w);
    if (rc || !w.dirty_bytes)
        return;
    double ratio = ratio_of(&w);
    if (!w.must && ratio <= cfg->min_cleanable_dirty_ratio)
        return;
    if (c->part && ratio <= c->ratio)
        return;
    if (c->part)
        shard_part_unref(c->part);
    p->refs++;
    *c = (struct choice){.part = p, .ratio = ratio};
}

static int consider_one(struct sweep *w, struct part *p)
{
    if (!w->s->stopping)
        consider(p, w->s->cleaner_choice);
    return 0;
}

static struct part *choose(struct shard *s)
{
    struct choice c = {0};
    s->cleaner_choice = &c;
    (void)shard_sweep(s, consider_one, NULL);
    s->cleaner_choice = NULL;
    return c.part;
}

static void compacted(struct shard *s, struct part *p, int rc)
{
    const char *topic = log_topic(p->log);
    int32_t n = log_partition(p->log);
    if (rc == -EIO && !s->env.failed) {
        background_fail(s, "compaction", rc);
    } else if (rc == -EBADMSG) {
        p->uncleanable = true;
        sl_log(SL_ERROR, "shard", "%s-%d holds a batch that cannot be read: it is not compacted any more",
               topic, n);
    } else if (rc == -E2BIG) {
        p->uncleanable = true;
        sl_log(SL_ERROR, "shard",
               "%s-%d: the keys of one batch do not fit log.cleaner.dedupe.buffer.size: it is not compacted "
               "any more",
               topic, n);
    } else if (rc < 0 && rc != -ECANCELED && !s->env.failed) {
        SL_LOG_EVERY(10000, SL_WARN, "shard", "%s-%d could not be compacted: %s; it is tried again", topic, n,
                     upkeep_why(rc));
    }
}

static void cleaner_again(struct shard *s)
{
    if (s->cfg.cleaner_backoff_ms > 0 && s->compactor && !s->stopping && !s->env.failed)
        timer_set(s->r, &s->cleaner, reactor_now(s->r) + (uint64_t)s->cfg.cleaner_backoff_ms * MS);
}

static void cleaner_fiber(void *arg)
{
    struct shard *s = arg;
    struct part *p;
    int rc = 1;
    while (rc > 0 && !s->stopping && !s->env.failed && (p = choose(s))) {
        rc = log_compact(p->log, s->compactor);
        reactor_count(s->r, METRIC_COMPACTIONS, rc > 0);
        compacted(s, p, rc);
        if (rc < 0 && p->uncleanable)
            rc = 1; // the others go on
        shard_part_unref(p);
        upkeep_trash_later(s);
    }
    s->fibers--;
    cleaner_again(s);
}

static bool any_compacted(struct shard *s)
{
    struct part *p, *tmp;
    HASH_ITER(hh, s->parts, p, tmp)
    {
        if (log_get_config(p->log)->compacted)
            return true;
    }
    return false;
}

static void cleaner_tick(struct timer *t)
{
    struct shard *s = SL_CONTAINER_OF(t, struct shard, cleaner);
    if (s->stopping || s->env.failed)
        return;
    if (any_compacted(s))
        shard_spawn(s, cleaner_fiber, s);
    else
        cleaner_again(s);
}

void cleaner_init(struct shard *s)
{
    timer_init(&s->cleaner, cleaner_tick);
    s->compactor = compactor_create(s->r, &s->cfg.compactor);
}

void cleaner_start(struct shard *s)
{
    cleaner_again(s);
}

void cleaner_stop(struct shard *s)
{
    timer_cancel(s->r, &s->cleaner);
}
