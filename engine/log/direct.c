// The direct path's ranges: opened by appends, written, completed. See direct.h.
#include "engine/log/direct.h"

#include "engine/base/canary.h"
#include "engine/log/journal_private.h"
#include "engine/log/log_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STUCK_MAX = 64, START_AT = 1 << 20, POLL_NS = 200 * 1000 };

struct direct {
    struct list_node node;  // on the log's list, in order
    struct list_node queue; // on direct_env.waiting
    struct list_node all;
    struct log *l;
    struct segment *s;
    int64_t before, end; // offsets
    uint32_t from, to;
    uint32_t at; // written up to here
    uint32_t stuck;
    uint64_t number;
    bool flying, done;
    struct io_op op;
    struct iovec iov[DIRECT_IOV_MAX];
};

void direct_env_init(struct direct_env *d, const struct direct_config *cfg)
{
    d->cfg = *cfg;
    obj_pool_init(&d->pool, sizeof(struct direct), DIRECT_OPEN_MAX);
    list_init(&d->waiting);
    list_init(&d->all);
    list_init(&d->unconfirmed);
}

// Those in flight are forgotten: their io has gone.
void direct_env_destroy(struct direct_env *d)
{
    struct list_node *n;
    while ((n = list_pop_front(&d->all))) {
        struct direct *x = list_entry(n, struct direct, all);
        list_remove(&x->node);
        list_remove(&x->queue);
        obj_pool_free(&d->pool, x);
    }
    obj_pool_destroy(&d->pool);
}

// ---- which ------------------------------------------------------------------------------------------------------------
static struct direct *newest(const struct log *l)
{
    struct list_node *n = list_last(&l->directs);
    return n ? list_entry(n, struct direct, node) : NULL;
}

// The range that the batch would lengthen, or NULL.
static struct direct *range_open(const struct log *l, const struct segment *s)
{
    struct direct *x = newest(l);
    return x && !x->flying && !x->done && x->s == s && x->to - x->from < DIRECT_RANGE_MAX ? x : NULL;
}

// Where a new range begins.
static uint32_t range_from(const struct segment *s, uint32_t pos)
{
    uint32_t block = SL_ALIGN_DOWN(pos, (uint32_t)IO_BLOCK);
    uint32_t written = SL_MAX(SL_ALIGN_UP(s->flushed, (uint32_t)IO_BLOCK), s->wb_end);
    if (SL_CANARY(DIRECT_OVER_BLOCK))
        return block;
    return block >= written ? block : SL_ALIGN_UP(pos, (uint32_t)IO_BLOCK);
}

// Counts the log's bytes of each commit group.
static bool mode(struct log *l, uint32_t bytes)
{
    uint32_t min = l->env->direct.cfg.min;
    uint64_t group = journal_open_sequence(l->env->journal);
    if (group != l->group) {
        if (l->group_bytes < min / 4)
            l->direct = false;
        l->group = group;
        l->group_bytes = 0;
    }
    l->group_bytes += bytes;
    if (l->group_bytes >= min)
        l->direct = true;
    return l->direct && bytes >= DIRECT_BATCH_MIN;
}

static bool by_chance(struct log *l)
{
    uint8_t coin;
    io_random(reactor_io(l->env->r), &coin, 1);
    return coin & 1;
}

bool direct_wanted(struct log *l, struct segment *s, uint32_t pos, uint32_t bytes)
{
    struct direct_env *d = &l->env->direct;
    uint32_t head, tail;
    if (!d->cfg.min)
        return false;
    bool wanted = mode(l, bytes);
    if (d->cfg.random)
        wanted = by_chance(l);
    if (!wanted || !jentry_edges(pos, bytes, &head, &tail))
        return false;
    if (s->name != SEG_NAMED && !SL_CANARY(DIRECT_UNNAMED))
        return false; // until its name is durable (S9)
    return range_open(l, s) || (s->cov_n < DIRECT_COV_MAX && d->pool.in_use < DIRECT_OPEN_MAX);
}

// ---- opening ------------------------------------------------------------------------------------------------------------
static void cov_add(struct segment *s, uint32_t from, uint32_t to)
{
    struct segment_cov *last = s->cov_n ? &s->cov[s->cov_n - 1] : NULL;
    SL_ASSERT(from < to && (!last || from >= last->to));
    if (last && last->to == from) {
        last->to = to;
        return;
    }
    SL_ASSERT(s->cov_n < DIRECT_COV_MAX);
    s->cov[s->cov_n++] = (struct segment_cov){.from = from, .to = to};
}

static struct direct *range_new(struct log *l, struct segment *s, uint32_t pos, int64_t before)
{
    struct direct_env *d = &l->env->direct;
    struct direct *x = obj_pool_zalloc(&d->pool);
    if (!x)
        sl_panic("%s-%d: out of memory for a direct write", l->topic, l->partition);
    x->l = l;
    x->s = s;
    x->before = before;
    x->from = x->to = x->at = range_from(s, pos);
    x->number = ++d->opened;
    list_push_back(&l->directs, &x->node);
    list_push_back(&d->waiting, &x->queue);
    list_push_back(&d->all, &x->all);
    l->background++; // until it has ended
    return x;
}

void direct_add(struct log *l, struct segment *s, uint32_t pos, uint32_t bytes, int64_t before, int64_t end)
{
    uint32_t to = SL_ALIGN_DOWN(pos + bytes, (uint32_t)IO_BLOCK);
    struct direct *x = range_open(l, s);
    if (!x)
        x = range_new(l, s, pos, before);
    SL_ASSERT(to > x->to && pos + bytes <= s->size);
    cov_add(s, x->to, to);
    x->to = to;
    x->end = end;
}

// ---- writing ------------------------------------------------------------------------------------------------------------
static void range_done(struct io_op *op, int32_t res);

static void range_write(struct direct *x)
{
    struct log_env *env = x->l->env;
    uint32_t n = segment_iov(x->s, x->at, x->to, x->iov, DIRECT_IOV_MAX);
    SL_ASSERT(n > 0 && x->to <= x->s->allocated);
    x->op = (struct io_op){.done = range_done};
    io_writev(reactor_io(env->r), &x->op, x->s->file, x->iov, n, x->at, IO_WRITE_DSYNC);
}

static void range_start(struct direct *x)
{
    list_remove(&x->queue);
    x->flying = true;
    x->l->env->direct.flying++;
    range_write(x);
}

// Takes those that have ended off the front: what lies below the first that has not is confirmed.
static void ranges_end(struct log *l)
{
    struct direct_env *d = &l->env->direct;
    struct list_node *n;
    while ((n = list_first(&l->directs)) && list_entry(n, struct direct, node)->done) {
        struct direct *x = list_entry(n, struct direct, node);
        if (!l->env->failed)
            l->direct_end = x->end;
        if (!l->closed && !list_linked(&l->confirm_node))
            list_push_back(&d->unconfirmed, &l->confirm_node);
        list_remove(&x->node);
        list_remove(&x->all);
        obj_pool_free(&d->pool, x);
        log_leave(l);
    }
}

// 0: whole; -EAGAIN: there is more to write; or the error.
static int range_progress(struct direct *x, int32_t res)
{
    if (res < 0 && res != -EINTR && res != -EAGAIN)
        return res;
    uint32_t whole = res > 0 ? SL_ALIGN_DOWN((uint32_t)res, (uint32_t)IO_BLOCK) : 0;
    SL_ASSERT(whole <= x->to - x->at);
    x->at += whole;
    x->stuck = whole ? 0 : x->stuck + 1;
    if (x->at == x->to)
        return 0;
    return x->stuck < STUCK_MAX ? -EAGAIN : -EIO;
}

static void range_done(struct io_op *op, int32_t res)
{
    struct direct *x = SL_CONTAINER_OF(op, struct direct, op);
    struct log *l = x->l;
    struct direct_env *d = &l->env->direct;
    int rc = range_progress(x, res);
    if (rc == -EAGAIN && !l->env->failed) {
        range_write(x);
        return;
    }
    x->flying = false;
    x->done = true;
    d->flying--;
    if (rc && rc != -EAGAIN && !l->env->failed)
        d->failed(d->ctx, rc);
    l->background++; // it outlives this call
    ranges_end(l);
    if (!l->env->failed)
        d->settled(d->ctx, l);
    log_leave(l);
}

// One range of a log in flight at a time, unless the next is large already: what comes meanwhile joins it.
static bool may_start(const struct direct *x)
{
    struct list_node *first = list_first(&x->l->directs);
    return first == &x->node || newest(x->l) != x || x->to - x->from >= START_AT;
}

// What was not started when the directory failed never will be.
static void waiting_drop(struct log_env *env)
{
    struct list_node *n;
    while ((n = list_pop_front(&env->direct.waiting))) {
        struct direct *x = list_entry(n, struct direct, queue);
        x->done = true;
        ranges_end(x->l);
    }
}

bool direct_flush(struct log_env *env)
{
    struct direct_env *d = &env->direct;
    bool did = false;
    if (list_empty(&d->waiting))
        return false;
    if (env->failed) {
        waiting_drop(env);
        return false;
    }
    list_foreach_safe(n, &d->waiting)
    {
        struct direct *x = list_entry(n, struct direct, queue);
        if (d->flying >= d->cfg.flying)
            break;
        if (!may_start(x))
            continue;
        range_start(x);
        did = true;
    }
    return did;
}

// ---- what is durable ----------------------------------------------------------------------------------------------------
int64_t direct_settled(const struct log *l, int64_t end)
{
    struct list_node *n = list_first(&l->directs);
    if (!n || SL_CANARY(DIRECT_NOT_AWAITED))
        return end;
    return SL_MIN(end, list_entry(n, struct direct, node)->before);
}

int64_t direct_confirmed(const struct log *l)
{
    const struct direct *x = SL_CANARY(CONFIRM_EARLY) ? newest(l) : NULL;
    return x ? x->end : l->direct_end;
}

int direct_wait(struct log *l)
{
    const struct direct *x = newest(l);
    uint64_t upto = x ? x->number : 0;
    struct list_node *n;
    while ((n = list_first(&l->directs)) && list_entry(n, struct direct, node)->number <= upto &&
           !l->env->failed)
        fiber_sleep(POLL_NS);
    return l->env->failed;
}

int direct_drain(struct log_env *env)
{
    uint64_t upto = env->direct.opened;
    struct list_node *n;
    while (env->direct.cfg.min && (n = list_first(&env->direct.all)) &&
           list_entry(n, struct direct, all)->number <= upto && !env->failed)
        fiber_sleep(POLL_NS);
    return env->failed;
}

uint32_t direct_pass(struct segment *s, uint32_t durable)
{
    uint32_t old = s->flushed;
    while (s->cov_n && s->cov[0].from <= s->flushed && !s->writing) {
        uint32_t to = SL_MIN(s->cov[0].to, SL_ALIGN_DOWN(durable, (uint32_t)IO_BLOCK));
        s->flushed = SL_MAX(s->flushed, to);
        if (to < s->cov[0].to)
            break;
        s->cov_n--;
        memmove(s->cov, s->cov + 1, s->cov_n * sizeof(s->cov[0]));
    }
    return s->flushed - old;
}

// ---- recovery -----------------------------------------------------------------------------------------------------------
// [0, bytes) of the batch into `p`, whose byte `head` lies at a block boundary: edges from the entry, blocks from the file.
static int batch_gather(struct segment *s, const struct store_entry *se, uint8_t *p, uint32_t bytes,
                        uint32_t head, uint32_t tail)
{
    const struct jentry *e = &se->e;
    uint32_t blocks = e->bytes - head - tail, want = 0;
    if (bytes > head)
        want = SL_MIN(SL_ALIGN_UP(bytes - head, (uint32_t)IO_BLOCK), blocks);
    int rc = segment_try_open(s);
    if (rc == -ENOENT)
        return -EBADMSG;
    if (!rc && want)
        rc = fio_read(s->file, p + head, want, e->position + head);
    if (rc == -EIO || (rc >= 0 && (uint32_t)rc < want)) // torn, or not there
        return -EBADMSG;
    if (rc < 0)
        return rc;
    memcpy(p, se->payload, head);
    memcpy(p + head + blocks, se->payload + head, tail);
    return 0;
}

int direct_check(struct segment *s, const struct store_entry *se, bool whole)
{
    const struct jentry *e = &se->e;
    uint32_t head, tail;
    if (!jentry_edges(e->position, e->bytes, &head, &tail))
        return -EBADMSG;
    uint32_t shift = (IO_BLOCK - head) % IO_BLOCK;
    uint8_t *mem = aligned_alloc(IO_BLOCK, SL_ALIGN_UP(shift + e->bytes, (uint32_t)IO_BLOCK));
    if (!mem)
        return -ENOMEM;
    uint8_t *p = mem + shift;
    int rc =
        batch_gather(s, se, p, whole ? e->bytes : SL_MIN(e->bytes, (uint32_t)BATCH_HEADER_SIZE), head, tail);
    if (!rc && !(whole ? jentry_batch_ok(e, p) : jentry_header_ok(e, p)))
        rc = -EBADMSG;
    free(mem);
    return rc;
}
