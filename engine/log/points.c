#include "engine/log/points.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/log/compact.h"
#include "engine/log/recover.h"

static int by_partition(const void *a, const void *b)
{
    const struct offset_checkpoint *x = a, *y = b;
    int c = strcmp(x->topic, y->topic);
    return c ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

static int add(void *arg, const struct offset_checkpoint *c)
{
    struct points *p = arg;
    if (p->n == p->cap) {
        uint32_t cap = p->cap ? p->cap * 2 : 64;
        struct offset_checkpoint *v = realloc(p->v, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        p->v = v;
        p->cap = cap;
    }
    p->v[p->n++] = *c;
    return 0;
}

int points_load(struct points *p, const char *dir, const char *name)
{
    char path[1300];
    uint8_t *text = NULL;
    size_t len = 0;
    *p = (struct points){0};
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int rc = fio_read_file(path, 64u << 20, &text, &len);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    rc = offset_checkpoint_parse((const char *)text, len, add, p);
    free(text);
    if (rc)
        points_free(p);
    else if (p->n)
        qsort(p->v, p->n, sizeof(*p->v), by_partition);
    return rc;
}

int64_t points_find(const struct points *p, const char *topic, int32_t partition)
{
    struct offset_checkpoint key = {.partition = partition};
    snprintf(key.topic, sizeof(key.topic), "%s", topic);
    const struct offset_checkpoint *c = p->n ? bsearch(&key, p->v, p->n, sizeof(*p->v), by_partition) : NULL;
    return c ? c->offset : -1;
}

void points_free(struct points *p)
{
    free(p->v);
    *p = (struct points){0};
}

static void load_or_warn(struct points *p, const char *dir, const char *name, const char *then)
{
    int rc = points_load(p, dir, name);
    if (rc)
        sl_log(SL_WARN, "log", "%s/%s is left out (%s): %s", dir, name,
               rc == -EBADMSG ? "damaged" : strerror(-rc), then);
}

void start_points_load(struct start_points *p, const char *dir, enum store_kind kind)
{
    *p = (struct start_points){0};
    if (kind == STORE_OURS)
        return;
    if (kind == STORE_UPSTREAM)
        load_or_warn(&p->recovery, dir, "recovery-point-offset-checkpoint", "every segment is checked");
    load_or_warn(&p->cleaned, dir, "cleaner-offset-checkpoint", "logs are compacted from their start");
    load_or_warn(&p->starts, dir, "log-start-offset-checkpoint", "records that were deleted may show again");
}

int64_t start_points_recovery(const struct start_points *p, const char *topic, int32_t partition)
{
    return SL_MAX(points_find(&p->recovery, topic, partition), 0);
}

int start_points_apply(const struct start_points *p, struct log *l)
{
    int rc = log_start_at(l, points_find(&p->starts, log_topic(l), log_partition(l)));
    if (!rc)
        log_set_first_dirty(l, points_find(&p->cleaned, log_topic(l), log_partition(l)));
    return rc;
}

void start_points_free(struct start_points *p)
{
    points_free(&p->recovery);
    points_free(&p->starts);
    points_free(&p->cleaned);
}
