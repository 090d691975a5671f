#include "tools/broker/broker_private.h"

#include <errno.h>
#include <stdlib.h>

enum { CREDITS = 1024 };

struct broker *broker_create(const struct config *cfg, uint32_t n, struct io *const *ios,
                             struct metrics *metrics)
{
    struct broker *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->cfg = cfg;
    b->reactors = n;
    b->metrics = metrics;
    placement_make(&b->placement, n, !strcmp(cfg_str(cfg, CFG_SLUICE_PLACEMENT), "split"));
    b->group = reactor_group_create(n, ios, CREDITS, metrics);
    if (!b->group) {
        free(b);
        return NULL;
    }
    reactor_group_set_stall(b->group, (uint32_t)cfg_int(cfg, CFG_SLUICE_STALL_WARN_MS));
    return b;
}

void broker_set_prefault(struct broker *b, struct prefault *f)
{
    b->prefault = f;
}

struct reactor_group *broker_group(struct broker *b)
{
    return b->group;
}

struct metrics *broker_metrics(struct broker *b)
{
    return b->metrics;
}

int broker_boot(struct broker *b)
{
    return fiber_spawn(reactor_group_get(b->group, 0), boot_fiber, b, 512 << 10) ? 0 : -ENOMEM;
}

const bool *broker_booted(const struct broker *b)
{
    return &b->booted;
}

int broker_error(const struct broker *b, const char **text)
{
    int failed = b->failed;
    if (text)
        *text = b->text;
    return b->rc ? b->rc : failed;
}

bool broker_serving(const struct broker *b)
{
    return b->listening == b->placement.nets;
}

int broker_finish(struct broker *b)
{
    return fiber_spawn(reactor_group_get(b->group, 0), finish_fiber, b, 512 << 10) ? 0 : -ENOMEM;
}

const bool *broker_finished(const struct broker *b)
{
    return &b->finished;
}

void broker_destroy(struct broker *b)
{
    for (uint32_t i = 0; i < REACTOR_MAX; i++)
        if (b->nets[i])
            net_destroy(b->nets[i]);
    for (uint32_t i = 0; i < REACTOR_MAX; i++)
        coord_destroy(b->coords[i]);
    net_limits_destroy(b->limits);
    if (b->meta)
        meta_destroy(b->meta);
    if (b->meta_log)
        log_destroy(b->meta_log);
    dirs_destroy(b);
    reactor_group_destroy(b->group);
    free(b);
}
