#include "engine/log/cache.h"

#include "engine/log/log_private.h"

#include <errno.h>
#include <stdlib.h>

enum { EXTENTS_MIN = 32 }; // a pool holds at least so many

struct waiter {
    struct list_node node;
    struct fiber *f;
    bool done;
};

static void pump(struct cache *c);
static void pause_over(struct timer *t);

struct cache *cache_create(struct log_env *env, const struct cache_config *cfg)
{
    struct buf_pool_stats st;
    struct cache *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    buf_pool_get_stats(cfg->pool, &st);
    c->cfg = *cfg;
    c->env = env;
    c->limit = cfg->limit ? SL_MIN(cfg->limit, (uint64_t)st.limit) : st.limit;
    while (c->cfg.extent_bytes > IO_BLOCK && c->cfg.extent_bytes > c->limit / EXTENTS_MIN)
        c->cfg.extent_bytes /= 2;
    SL_ASSERT(cfg->in_flight && cfg->in_flight_low);
    SL_ASSERT(c->cfg.extent_bytes >= IO_BLOCK && !(c->cfg.extent_bytes & (c->cfg.extent_bytes - 1)));
    for (int i = 0; i < CACHE_CLASSES; i++)
        list_init(&c->classes[i]);
    list_init(&c->demand);
    list_init(&c->ahead);
    list_init(&c->all);
    timer_init(&c->pause, pause_over);
    cold_pace_init(&c->pace);
    return c;
}

void cache_destroy(struct cache *c)
{
    struct list_node *n;
    if (!c)
        return;
    HASH_CLEAR(hh, c->table);
    while ((n = list_pop_front(&c->all))) {
        struct cache_entry *e = list_entry(n, struct cache_entry, all);
        list_remove(&e->of_segment);
        if (e->e.mem)
            buf_pool_free(c->cfg.pool, e->e.mem, e->e.cap);
        free(e);
    }
    free(c);
}

uint32_t cache_extent_bytes(const struct cache *c)
{
    return c->cfg.extent_bytes;
}

static void count(const struct cache *c, enum metric_id id, uint64_t n)
{
    reactor_count(c->env->r, id, n);
}

// ---- entries ------------------------------------------------------------------------------------------------------------
static bool in_flight(const struct cache_entry *e)
{
    return e->state == CACHE_QUEUED || e->state == CACHE_READING;
}

static void not_ahead(struct cache_entry *e)
{
    if (e->ahead)
        e->e.cache->ahead_bytes -= e->e.cap;
    e->ahead = false;
}

static void drop_memory(struct cache_entry *e)
{
    struct cache *c = e->e.cache;
    if (!e->e.mem)
        return;
    buf_pool_free(c->cfg.pool, e->e.mem, e->e.cap);
    e->e.mem = NULL;
    c->held -= e->e.cap;
    count(c, METRIC_COLD_HELD, (uint64_t) - (int64_t)e->e.cap);
}

static void set_class(struct cache_entry *e, enum cache_class cls)
{
    struct cache *c = e->e.cache;
    c->kept_bytes -= e->cls == CACHE_KEPT ? e->e.cap : 0;
    c->kept_bytes += cls == CACHE_KEPT ? e->e.cap : 0;
    e->cls = cls;
}

// Freed when nothing leads to it any more.
static void maybe_free(struct cache_entry *e)
{
    if (e->indexed || e->e.refs || in_flight(e))
        return;
    SL_ASSERT(!list_linked(&e->node) && list_empty(&e->waiters));
    drop_memory(e);
    list_remove(&e->all);
    free(e);
}

// Out of the table; the caller goes on to maybe_free.
static void unindex(struct cache_entry *e)
{
    struct cache *c = e->e.cache;
    if (!e->indexed)
        return;
    e->indexed = false;
    not_ahead(e);
    set_class(e, CACHE_FRESH);
    HASH_DEL(c->table, e);
    list_remove(&e->of_segment);
    if (e->state == CACHE_READY)
        list_remove(&e->node);
}

static void evict(struct cache_entry *e)
{
    count(e->e.cache, METRIC_COLD_EVICTIONS, 1);
    if (e->ahead)
        count(e->e.cache, METRIC_COLD_WASTED, e->e.len);
    unindex(e);
    maybe_free(e);
}

// What is read ahead takes the place of nothing that somebody may be coming for.
static bool evict_one(struct cache *c, bool for_ahead)
{
    for (int i = 0; i < (for_ahead ? CACHE_KEPT : CACHE_CLASSES); i++) {
        struct list_node *n = list_first(&c->classes[i]);
        struct cache_entry *e = n ? list_entry(n, struct cache_entry, node) : NULL;
        if (!e || (for_ahead && e->ahead))
            continue;
        evict(e);
        return true;
    }
    return false;
}

// Ready, and nobody holds it.
static void shelve(struct cache_entry *e)
{
    struct cache *c = e->e.cache;
    list_push_back(&c->classes[e->cls], &e->node);
    while (c->kept_bytes > c->limit / 2) {
        struct list_node *n = list_first(&c->classes[CACHE_KEPT]);
        if (!n)
            return; // the rest is held
        struct cache_entry *old = list_entry(n, struct cache_entry, node);
        list_remove(&old->node);
        set_class(old, CACHE_ONCE);
        list_push_back(&c->classes[CACHE_ONCE], &old->node);
    }
}

static void hold(struct cache_entry *e)
{
    if (e->e.refs++)
        return;
    e->e.cache->pinned += e->e.cap;
    if (e->state == CACHE_READY)
        list_remove(&e->node);
}

void cache_unhold(struct cache_entry *e)
{
    SL_ASSERT(e->e.refs > 0);
    if (--e->e.refs)
        return;
    e->e.cache->pinned -= e->e.cap;
    if (e->state == CACHE_READY && e->indexed)
        shelve(e);
    else
        maybe_free(e);
}

// ---- reading ------------------------------------------------------------------------------------------------------------
static void release_fiber(void *arg)
{
    struct segment *s = arg;
    struct log *l = s->log;
    segment_release(s);
    log_leave(l);
}

// The read's own hold on segment and log. The last user of a segment that went closes its file, which is a fiber's work.
static void let_go(struct segment *s)
{
    struct log *l = s->log;
    if (segment_release_now(s))
        log_leave(l);
    else if (!fiber_spawn(l->env->r, release_fiber, s, 0))
        sl_panic("%s-%d: out of memory for a fiber", l->topic, l->partition);
}

static void wake(struct cache_entry *e)
{
    struct list_node *n;
    while ((n = list_pop_front(&e->waiters))) {
        struct waiter *w = list_entry(n, struct waiter, node);
        w->done = true;
        fiber_wake(w->f);
    }
}

static void finish(struct cache_entry *e, int err)
{
    struct segment *s = e->seg;
    wake(e);
    e->err = err;
    e->state = err ? CACHE_FAILED : CACHE_READY;
    e->e.len = err ? 0 : e->want;
    if (err)
        unindex(e);
    if (!err && e->indexed && !e->e.refs)
        shelve(e);
    else
        maybe_free(e);
    let_go(s);
}

static void read_go(struct cache_entry *e);

static void read_done(struct io_op *op, int32_t res)
{
    struct cache_entry *e = SL_CONTAINER_OF(op, struct cache_entry, op);
    struct cache *c = e->e.cache;
    if (res > 0)
        e->got = SL_MIN(e->got + (uint32_t)res, e->e.cap);
    // One that ends inside a block is gone over again from that block on.
    bool more = (res > 0 && e->got < e->want) || res == -EINTR || res == -EAGAIN;
    if (more) {
        e->got = SL_ALIGN_DOWN(e->got, (uint32_t)IO_BLOCK);
        read_go(e);
        return;
    }
    c->flying--;
    uint64_t now = reactor_now(c->env->r);
    c->pause_until = now + cold_pace_pause(&c->pace, now - e->began);
    count(c, METRIC_COLD_READ_BYTES, e->got);
    finish(e, res < 0 ? res : e->got < e->want ? -EIO : 0);
    pump(c);
}

static void read_go(struct cache_entry *e)
{
    uint32_t n = SL_ALIGN_UP(e->want, (uint32_t)IO_BLOCK) - e->got;
    e->op = (struct io_op){.done = read_done};
    io_read(reactor_io(e->e.cache->env->r), &e->op, e->seg->file, e->e.mem + e->got, n, e->e.pos + e->got);
}

static bool take_memory(struct cache_entry *e)
{
    struct cache *c = e->e.cache;
    while (c->held + e->e.cap > c->limit || !(e->e.mem = buf_pool_alloc(c->cfg.pool, e->e.cap, NULL)))
        if (!evict_one(c, e->ahead))
            return false;
    c->held += e->e.cap;
    count(c, METRIC_COLD_HELD, e->e.cap);
    return true;
}

// Commit groups of all reactors: their journals are on this disk as well.
static bool journal_busy(struct cache *c, uint64_t now)
{
    struct reactor_group *g = reactor_get_group(c->env->r);
    struct cold_pace_totals t = {0};
    if (cold_pace_due(&c->pace, now)) {
        for (uint32_t i = 0; i < reactor_group_size(g); i++) {
            const struct metrics *m = reactor_metrics(reactor_group_get(g, i));
            t.groups += m ? metric_get(m, METRIC_COMMIT_GROUPS) : 0;
            t.commit_ns += m ? metrics_hist_sum(m, METRIC_COMMIT_NS) : 0;
            t.appended += m ? metric_get(m, METRIC_APPEND_BYTES) : 0;
            t.read += m ? metric_get(m, METRIC_COLD_READ_BYTES) : 0;
        }
        cold_pace_look(&c->pace, now, &t);
    }
    return cold_pace_busy(&c->pace, now);
}

static void pause_over(struct timer *t)
{
    pump(SL_CONTAINER_OF(t, struct cache, pause));
}

// Beside appends there are few reads at a time, and the disk gets at least as much time without them as with them.
static bool may_start(struct cache *c)
{
    uint64_t now = reactor_now(c->env->r);
    if (!journal_busy(c, now))
        return c->flying < c->cfg.in_flight;
    if (c->flying >= c->cfg.in_flight_low)
        return false;
    if (now >= c->pause_until)
        return true;
    if (!c->pause.armed)
        timer_set(c->env->r, &c->pause, c->pause_until);
    return false;
}

// Starts what may start.
static void pump(struct cache *c)
{
    while ((!list_empty(&c->demand) || !list_empty(&c->ahead)) && may_start(c)) {
        struct list_node *n = list_pop_front(list_empty(&c->demand) ? &c->ahead : &c->demand);
        struct cache_entry *e = list_entry(n, struct cache_entry, node);
        if (!e->e.refs && (!e->indexed || e->seg->log->closed)) { // nobody wants it any more
            finish(e, -ECANCELED);
            continue;
        }
        if (!take_memory(e)) {
            finish(e, -ENOMEM);
            continue;
        }
        e->state = CACHE_READING;
        c->flying++;
        e->began = reactor_now(c->env->r);
        read_go(e);
    }
}

// ---- finding --------------------------------------------------------------------------------------------------------------
static struct cache_key key_of(const struct cache *c, const struct segment *s, uint32_t pos)
{
    return (struct cache_key){.file_id = s->file_id, .index = pos / c->cfg.extent_bytes};
}

static struct cache_entry *find(const struct cache *c, const struct segment *s, uint32_t pos)
{
    struct cache_key key = key_of(c, s, pos);
    struct cache_entry *e = NULL;
    HASH_FIND(hh, c->table, &key, sizeof(key), e);
    return e;
}

static bool reaches(const struct cache_entry *e, uint32_t upto)
{
    return e->e.pos + e->want >= upto;
}

// Queued, in the table.
static struct cache_entry *make(struct cache *c, struct segment *s, uint32_t pos, bool ahead)
{
    uint32_t from = SL_ALIGN_DOWN(pos, c->cfg.extent_bytes);
    struct cache_entry *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    SL_ASSERT(s->file >= 0 && pos < s->mem_start);
    segment_hold(s);
    s->log->background++;
    e->key = key_of(c, s, pos);
    e->seg = s;
    e->want = SL_MIN(c->cfg.extent_bytes, s->mem_start - from);
    e->e = (struct extent){.cache = c, .file_id = s->file_id, .pos = from};
    e->e.cap = (uint32_t)buf_pool_size(e->want);
    e->indexed = true;
    e->ahead = ahead;
    e->cls = CACHE_FRESH;
    c->ahead_bytes += ahead ? e->e.cap : 0;
    list_init(&e->e.node);
    list_init(&e->e.lru);
    list_init(&e->waiters);
    list_init(&e->node);
    list_push_back(&c->all, &e->all);
    list_push_back(&s->cached, &e->of_segment);
    HASH_ADD(hh, c->table, key, sizeof(e->key), e);
    list_push_back(ahead ? &c->ahead : &c->demand, &e->node);
    return e;
}

// Somebody waits for it now.
static void urge(struct cache *c, struct cache_entry *e)
{
    if (e->state == CACHE_QUEUED && e->ahead) {
        list_remove(&e->node);
        list_push_back(&c->demand, &e->node);
    }
    not_ahead(e);
}

struct cache_entry *cache_want(struct cache *c, struct segment *s, uint32_t pos, uint32_t upto)
{
    struct cache_entry *e = find(c, s, pos);
    SL_ASSERT(upto > pos && upto <= s->mem_start);
    if (e && !reaches(e, upto)) { // mem_start has moved since
        unindex(e);
        maybe_free(e);
        e = NULL;
    }
    bool made = !e;
    count(c, made ? METRIC_COLD_MISSES : in_flight(e) ? METRIC_COLD_JOINED : METRIC_COLD_HITS, 1);
    if (made && !(e = make(c, s, pos, false)))
        return NULL;
    hold(e);
    urge(c, e);
    if (made)
        pump(c);
    return e;
}

int cache_wait(struct cache_entry *e)
{
    struct waiter w = {.f = fiber_current()};
    SL_ASSERT(e->e.refs);
    if (in_flight(e)) {
        list_push_back(&e->waiters, &w.node);
        fiber_park_until(&w.done);
    }
    return e->err;
}

bool cache_has(const struct cache *c, const struct segment *s, uint32_t pos, uint32_t upto)
{
    const struct cache_entry *e = find(c, s, pos);
    return e && e->state == CACHE_READY && reaches(e, upto);
}

struct cache_entry *cache_ready(struct cache *c, const struct segment *s, uint32_t pos, uint32_t upto)
{
    struct cache_entry *e = find(c, s, pos);
    if (!e || e->state != CACHE_READY || !reaches(e, upto))
        return NULL;
    hold(e);
    not_ahead(e);
    return e;
}

void cache_passed(struct cache_entry *e)
{
    SL_ASSERT(e->e.refs);
    if (e->indexed)
        set_class(e, e->cls == CACHE_FRESH ? CACHE_ONCE : CACHE_KEPT);
}

bool cache_read_ahead(struct cache *c, struct segment *s, uint32_t pos)
{
    if (s->log->closed || s->file < 0 || c->ahead_bytes >= c->limit / 2)
        return false;
    if (find(c, s, pos))
        return true;
    if (!make(c, s, pos, true))
        return false;
    pump(c);
    return true;
}

void cache_not_wanted(struct cache *c, const struct segment *s, uint32_t pos)
{
    struct cache_entry *e = find(c, s, pos);
    if (!e || !e->ahead)
        return;
    if (e->state != CACHE_READY) { // the queue drops it; a read under way ends first
        unindex(e);
        return;
    }
    set_class(e, CACHE_ONCE);
    list_remove(&e->node);
    list_push_front(&c->classes[CACHE_ONCE], &e->node);
    count(c, METRIC_COLD_WASTED, e->e.len);
    not_ahead(e);
}

void cache_forget(struct segment *s)
{
    list_foreach_safe(n, &s->cached)
    {
        struct cache_entry *e = list_entry(n, struct cache_entry, of_segment);
        SL_ASSERT(e->seg == s);
        unindex(e);
        maybe_free(e);
    }
}

uint32_t cache_window(const struct cache *c)
{
    uint64_t left = c->limit > c->pinned ? c->limit - c->pinned : 0;
    return (uint32_t)SL_MIN(SL_MAX(left / 8, (uint64_t)c->cfg.extent_bytes), (uint64_t)UINT32_MAX);
}
