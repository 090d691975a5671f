#include "engine/log/stream.h"

#include "engine/log/cache.h"

#include <stdlib.h>

enum { STREAMS_MAX = 1024, STREAMS_PER_LOG = 64 };
static const uint64_t IDLE_NS = 10ull * 1000 * 1000 * 1000;

static void unlink_stream(struct stream *st)
{
    list_remove(&st->of_log);
    list_remove(&st->of_env);
    st->log->streams_n--;
    st->log->env->streams_n--;
    free(st);
}

// Nobody came back.
static void give_up(struct stream *st)
{
    struct log *l = st->log;
    uint32_t step = cache_extent_bytes(l->env->cache);
    for (uint32_t i = 0; i < l->segments_n && st->ahead > st->pos; i++) {
        const struct segment *s = l->segments[i];
        if (s->file_id != st->file_id)
            continue;
        for (uint32_t at = SL_ALIGN_DOWN(st->pos, step); at < st->ahead; at += step)
            cache_not_wanted(l->env->cache, s, at);
        break;
    }
    unlink_stream(st);
}

static struct stream *find(const struct log *l, uint64_t file_id, int64_t offset)
{
    list_foreach(n, &l->streams)
    {
        struct stream *st = list_entry(n, struct stream, of_log);
        if (st->offset == offset && st->file_id == file_id)
            return st;
    }
    return NULL;
}

bool stream_look(const struct log *l, uint64_t file_id, int64_t offset, struct stream *out)
{
    const struct stream *st = find(l, file_id, offset);
    if (st)
        *out = *st;
    return st != NULL;
}

bool stream_take(struct log *l, uint64_t file_id, int64_t offset, struct stream *out)
{
    struct stream *st = find(l, file_id, offset);
    if (!st)
        return false;
    *out = *st;
    unlink_stream(st);
    return true;
}

static void drop_old(struct log_env *env)
{
    struct list_node *n;
    while ((n = list_first(&env->streams))) {
        struct stream *st = list_entry(n, struct stream, of_env);
        if (env->streams_n < STREAMS_MAX && reactor_now(env->r) - st->used < IDLE_NS)
            return;
        give_up(st);
    }
}

void stream_put(struct log *l, const struct stream *st)
{
    struct stream *own = malloc(sizeof(*own));
    if (!own)
        return; // its next fetch goes through the index
    drop_old(l->env);
    if (l->streams_n >= STREAMS_PER_LOG)
        give_up(list_entry(list_last(&l->streams), struct stream, of_log));
    *own = *st;
    own->log = l;
    own->used = reactor_now(l->env->r);
    list_push_front(&l->streams, &own->of_log);
    list_push_back(&l->env->streams, &own->of_env);
    l->streams_n++;
    l->env->streams_n++;
}

void stream_widen(struct log *l, struct stream *st)
{
    uint32_t first = 2 * cache_extent_bytes(l->env->cache);
    st->window = SL_MIN(st->window ? 2 * st->window : first, l->env->read_ahead);
}

void stream_read_ahead(struct log *l, struct segment *s, struct stream *st, uint32_t from)
{
    struct cache *c = l->env->cache;
    uint32_t step = cache_extent_bytes(c);
    uint64_t to = (uint64_t)from + st->window;
    for (uint64_t at = SL_MAX(SL_ALIGN_UP((uint64_t)from, step), st->ahead); at < to; at += step) {
        // Where appends go on an extent is read when it is whole, or asked for.
        bool there = at + step <= s->mem_start || (at < s->mem_start && s->sealed);
        if (!there || !cache_read_ahead(c, s, (uint32_t)at))
            return;
        st->ahead = (uint32_t)SL_MIN(at + step, (uint64_t)UINT32_MAX);
    }
}

void stream_drop_all(struct log *l)
{
    struct list_node *n;
    while ((n = list_first(&l->streams)))
        unlink_stream(list_entry(n, struct stream, of_log));
}
