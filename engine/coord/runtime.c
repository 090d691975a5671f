// See runtime.h. Operations, batches and their answers; loading is load.c's.
#include "engine/coord/runtime_private.h"

#include "engine/base/canary.h"
#include "engine/base/log.h"

#include <stdlib.h>
#include <string.h>

enum { RELOAD_PAUSE_MS = 500 };

static void crt_free(struct crt_part *p);

// ---- messages to the shard ---------------------------------------------------------------------------------------------
static void send_retry(struct ready *w)
{
    (void)crt_flush(SL_CONTAINER_OF(w, struct crt, sending));
}

void crt_ref(struct crt_part *p)
{
    p->refs++;
    p->rt->in_flight++;
}

void crt_unref(struct crt_part *p)
{
    struct crt *rt = p->rt;
    SL_ASSERT(p->refs > 0 && rt->in_flight > 0);
    p->refs--;
    rt->in_flight--;
    if (p->dropped && !p->refs)
        crt_free(p);
    if (!rt->in_flight && rt->idle)
        rt->idle(rt);
}

void crt_on_reply(struct crt *rt, const struct spsc_msg *m)
{
    struct crt_part *p;
    SL_ASSERT(m->op == SHARD_APPEND || m->op == SHARD_FETCH);
    if (m->op == SHARD_APPEND) {
        p = ((struct shard_append *)(uintptr_t)m->u[0])->owner;
        reactor_credit_give(rt->r, p->to, 1);
        crt_appended(p);
    } else {
        p = ((struct shard_fetch *)(uintptr_t)m->u[0])->owner;
        load_slice_came(p);
    }
    crt_unref(p);
}

// ---- batches -------------------------------------------------------------------------------------------------------------
static struct crt_batch *batch_open(struct crt_part *p)
{
    struct crt_batch *b = calloc(1, sizeof(*b));
    if (!b)
        sl_panic("coordinator: out of memory for a batch");
    b->number = p->next++;
    list_init(&b->waiters);
    list_push_back(&p->batches, &b->node);
    return b;
}

static void batch_free(struct crt_batch *b)
{
    SL_ASSERT(list_empty(&b->waiters));
    list_remove(&b->node);
    batch_builder_destroy(&b->b);
    free(b);
}

static void want_to_send(struct crt_part *p)
{
    if (!p->in_flight && !list_linked(&p->ready_node))
        list_push_back(&p->rt->ready, &p->ready_node);
}

// The batch that takes `bytes` of records more: the last one, unless it is in flight or full.
static struct crt_batch *batch_for(struct crt_part *p, size_t bytes)
{
    struct list_node *last = list_last(&p->batches);
    struct crt_batch *b = last ? list_entry(last, struct crt_batch, node) : NULL;
    bool flying = b && p->in_flight && list_first(&p->batches) == last;
    if (b && !flying && (!b->b.count || batch_builder_size(&b->b) + bytes <= p->ctx.batch_limit))
        return b;
    return batch_open(p);
}

static void batch_add(struct crt_part *p, struct crt_batch *b, const struct coord_record *r)
{
    struct record_bytes value =
        r->value.n < 0 ? RECORD_NULL : record_bytes_make(r->value.p, (size_t)r->value.n);
    int rc = batch_builder_append(&b->b, p->ctx.wall_ms, record_bytes_make(r->key.p, (size_t)r->key.n), value,
                                  NULL, 0);
    if (rc)
        sl_panic("coordinator: a record cannot be added to a batch: %s", strerror(-rc));
    if (r->mark)
        *r->mark = b->number;
}

// Puts the operation's records into batches; the number of the last one.
static uint64_t op_commit(struct crt_part *p)
{
    struct coord_sink *s = &p->ctx.sink;
    struct crt_batch *b = s->split ? NULL : batch_for(p, s->bytes);
    SL_ASSERT(s->split || coord_fits(&p->ctx));
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->split)
            b = batch_for(p, (size_t)s->v[i].key.n + (size_t)SL_MAX(s->v[i].value.n, 0) + 32);
        batch_add(p, b, &s->v[i]);
    }
    want_to_send(p);
    return b->number;
}

static void answer_now(struct crt_part *p, struct coord_req *q)
{
    p->rt->reply(p->rt, q);
}

static void answer_later(struct crt_part *p, struct coord_req *q, uint64_t number)
{
    list_foreach(n, &p->batches)
    {
        struct crt_batch *b = list_entry(n, struct crt_batch, node);
        if (b->number >= number) {
            q->wait = b->number;
            list_push_back(&b->waiters, &q->node);
            return;
        }
    }
    SL_ASSERT(!"a batch that is not durable and not there");
}

// ---- operations ----------------------------------------------------------------------------------------------------------
static void op_begin(struct crt_part *p)
{
    coord_ctx_begin(&p->ctx, reactor_now(p->rt->r), reactor_wall_ms(p->rt->r));
}

static void arm_timer(struct crt_part *p)
{
    uint64_t at = coord_timer_next(&p->ctx);
    if (at == UINT64_MAX || p->state != CRT_ACTIVE)
        timer_cancel(p->rt->r, &p->timer);
    else if (!p->timer.armed || p->timer.node.key != at)
        timer_set(p->rt->r, &p->timer, at);
}

static void op_end(struct crt_part *p)
{
    struct coord_ctx *x = &p->ctx;
    struct list_node *n;
    if (x->sink.n) {
        uint64_t number = op_commit(p);
        coord_see(x, number);
        if (x->forgot && number > x->gone)
            x->gone = number;
    }
    while ((n = list_pop_front(&x->answered))) {
        struct coord_req *q = list_entry(n, struct coord_req, node);
        if (x->touch <= p->durable || SL_CANARY(COORD_ANSWERS_EARLY))
            answer_now(p, q);
        else
            answer_later(p, q, x->touch);
    }
    coord_emit_undo(x);
    arm_timer(p);
}

void crt_request(struct crt_part *p, struct coord_req *q)
{
    if (p->state != CRT_ACTIVE) {
        q->error = KERR_COORDINATOR_LOAD_IN_PROGRESS;
        q->answered = true;
        answer_now(p, q);
        return;
    }
    op_begin(p);
    p->ops->request(p->co, q);
    op_end(p);
}

void crt_let_go(struct crt_part *p, int16_t error)
{
    p->ctx.letting_go = true;
    if (p->state != CRT_ACTIVE)
        return;
    op_begin(p);
    p->ops->let_go(p->co, error);
    op_end(p);
}

void crt_image(struct crt_part *p)
{
    if (p->state != CRT_ACTIVE || !p->ops->image)
        return;
    op_begin(p);
    p->ops->image(p->co);
    op_end(p);
}

static void timer_fired(struct timer *t)
{
    struct crt_part *p = SL_CONTAINER_OF(t, struct crt_part, timer);
    struct coord_timer *due;
    if (p->state == CRT_FAILED)
        load_begin(p);
    else if (p->state == CRT_LOADING)
        load_again(p);
    while (p->state == CRT_ACTIVE) {
        op_begin(p);
        due = coord_timer_due(&p->ctx);
        if (due)
            due->fire(due, p->co);
        op_end(p);
        if (!due || reactor_turn_spent(p->rt->r))
            break;
    }
}

void crt_loaded(struct crt_part *p)
{
    p->state = CRT_ACTIVE;
    op_begin(p);
    p->ops->loaded(p->co);
    op_end(p);
}

// ---- appends -------------------------------------------------------------------------------------------------------------
// False: no credit.
static bool send_batch(struct crt_part *p)
{
    struct crt_batch *b = list_entry(list_first(&p->batches), struct crt_batch, node);
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *bytes;
    size_t n;
    SL_ASSERT(!p->in_flight && b->b.count > 0);
    if (!reactor_credit_take(p->rt->r, p->to, 1)) {
        reactor_credit_wait(p->rt->r, p->to, &p->rt->sending);
        return false;
    }
    int rc = batch_builder_finish(&b->b, &o, NULL, &bytes, &n);
    if (rc)
        sl_panic("coordinator: a batch cannot be built: %s", strerror(-rc));
    p->append_part = (struct shard_append_part){.topic_id = p->key.topic_id,
                                                .partition = p->key.partition,
                                                .records = (uint8_t *)(uintptr_t)bytes,
                                                .bytes = (int32_t)n};
    p->append = (struct shard_append){
        .parts = &p->append_part, .n = 1, .acks = -1, .api_version = 13, .internal = true, .owner = p};
    p->in_flight = true;
    crt_ref(p);
    reactor_request(p->rt->r, p->to, SHARD_APPEND, SVC_COORD)->u[0] = (uint64_t)(uintptr_t)&p->append;
    return true;
}

bool crt_flush(struct crt *rt)
{
    bool did = false;
    struct list_node *n;
    while (!rt->sending.queued && (n = list_first(&rt->ready))) {
        struct crt_part *p = list_entry(n, struct crt_part, ready_node);
        if (!p->in_flight && !list_empty(&p->batches) && !send_batch(p))
            return did;
        list_remove(n);
        did = true;
    }
    return did;
}

static void release_waiters(struct crt_part *p, struct crt_batch *b, int16_t error)
{
    struct list_node *n;
    while ((n = list_pop_front(&b->waiters))) {
        struct coord_req *q = list_entry(n, struct coord_req, node);
        if (error) {
            q->error = error;
            q->message = NULL;
            q->out = NULL;
        }
        answer_now(p, q);
    }
}

// Upstream's mapping of append errors for clients (CoordinatorOperationExceptionHelper).
static int16_t append_error(int16_t e)
{
    switch (e) {
    case KERR_UNKNOWN_TOPIC_OR_PARTITION:
    case KERR_NOT_ENOUGH_REPLICAS:
    case KERR_REQUEST_TIMED_OUT:
        return KERR_COORDINATOR_NOT_AVAILABLE;
    case KERR_NOT_LEADER_OR_FOLLOWER:
    case KERR_KAFKA_STORAGE_ERROR:
        return KERR_NOT_COORDINATOR;
    case KERR_MESSAGE_TOO_LARGE:
    case KERR_RECORD_LIST_TOO_LARGE:
        return KERR_UNKNOWN_SERVER_ERROR;
    default:
        return e;
    }
}

// Throws away what is in memory; all who wait or are parked are answered.
static void unload(struct crt_part *p, int16_t error)
{
    struct list_node *n;
    if (p->co) {
        coord_ctx_begin(&p->ctx, reactor_now(p->rt->r), reactor_wall_ms(p->rt->r));
        if (p->state == CRT_ACTIVE)
            p->ops->let_go(p->co, error);
        coord_emit_undo(&p->ctx);
        while ((n = list_pop_front(&p->ctx.answered)))
            answer_now(p, list_entry(n, struct coord_req, node));
        p->ops->destroy(p->co);
        p->co = NULL;
    }
    SL_ASSERT(heap_empty(&p->ctx.timers));
    while ((n = list_first(&p->batches))) {
        struct crt_batch *b = list_entry(n, struct crt_batch, node);
        release_waiters(p, b, error);
        if (p->in_flight && !p->lent) { // the shard may still read it
            list_remove(n);
            p->lent = b;
        } else {
            batch_free(b);
        }
    }
    list_remove(&p->ready_node);
    timer_cancel(p->rt->r, &p->timer);
    p->state = CRT_FAILED;
}

void crt_fail(struct crt_part *p, int16_t error)
{
    unload(p, append_error(error));
    if (!p->dropped && !p->rt->stopping)
        timer_set(p->rt->r, &p->timer, reactor_now(p->rt->r) + RELOAD_PAUSE_MS * 1000000ull);
}

void crt_appended(struct crt_part *p)
{
    SL_ASSERT(p->in_flight);
    p->in_flight = false;
    if (p->dropped) {
        batch_free(p->lent);
        p->lent = NULL;
        return;
    }
    if (p->append_part.error) {
        sl_log(SL_ERROR, "coord", "%s: partition=%d append failed: %s %s; loading again", p->ops->name,
               p->key.partition, kerr_name(p->append_part.error), p->append_part.error_text);
        crt_fail(p, p->append_part.error);
        return;
    }
    struct crt_batch *b = list_entry(list_first(&p->batches), struct crt_batch, node);
    p->durable = b->number;
    release_waiters(p, b, KERR_NONE);
    batch_free(b);
    if (!list_empty(&p->batches))
        want_to_send(p);
}

// ---- parts ---------------------------------------------------------------------------------------------------------------
static void random_bytes(void *arg, void *buf, size_t n)
{
    io_random(reactor_io(arg), buf, n);
}

struct crt_part *crt_part_find(struct crt *rt, const struct sl_uuid *topic_id, int32_t partition)
{
    struct crt_key k = {*topic_id, partition};
    struct crt_part *p = NULL;
    HASH_FIND(hh, rt->parts, &k, sizeof(k), p);
    return p;
}

struct crt_part *crt_part_add(struct crt *rt, const struct sl_uuid *topic_id, int32_t partition,
                              const struct crt_ops *ops, void *arg, size_t batch_limit)
{
    struct crt_part *p = calloc(1, sizeof(*p));
    if (!p)
        sl_panic("coordinator: out of memory for a partition");
    p->key = (struct crt_key){*topic_id, partition};
    p->rt = rt;
    p->ops = ops;
    p->arg = arg;
    p->to = reactor_id(rt->r);
    p->next = 1;
    list_init(&p->batches);
    list_init(&p->ready_node);
    list_init(&p->load_go.node);
    timer_init(&p->timer, timer_fired);
    coord_ctx_init(&p->ctx, batch_limit);
    p->ctx.random = random_bytes;
    p->ctx.random_arg = rt->r;
    HASH_ADD(hh, rt->parts, key, sizeof(p->key), p);
    rt->parts_n++;
    load_begin(p);
    return p;
}

static void crt_free(struct crt_part *p)
{
    SL_ASSERT(!p->co && !p->refs && list_empty(&p->batches));
    timer_cancel(p->rt->r, &p->timer);
    ready_cancel(p->rt->r, &p->load_go);
    coord_ctx_destroy(&p->ctx);
    free(p->load_buf);
    free(p);
}

void crt_part_drop(struct crt_part *p)
{
    struct crt *rt = p->rt;
    SL_ASSERT(!p->dropped);
    HASH_DEL(rt->parts, p);
    rt->parts_n--;
    p->dropped = true;
    load_cancel(p);
    unload(p, KERR_NOT_COORDINATOR);
    if (!p->refs)
        crt_free(p);
}

void crt_init(struct crt *rt, struct reactor *r)
{
    memset(rt, 0, sizeof(*rt));
    rt->r = r;
    list_init(&rt->ready);
    rt->sending = (struct ready){.run = send_retry};
    list_init(&rt->sending.node);
}

// A simulated kill: messages under way never come home.
void crt_destroy(struct crt *rt)
{
    struct crt_part *p, *tmp;
    HASH_ITER(hh, rt->parts, p, tmp)
    {
        struct list_node *n;
        HASH_DEL(rt->parts, p);
        if (p->co)
            p->ops->destroy(p->co);
        p->co = NULL;
        while ((n = list_first(&p->batches))) {
            struct crt_batch *b = list_entry(n, struct crt_batch, node);
            list_init(&b->waiters); // the requests are their senders'
            batch_free(b);
        }
        if (p->lent)
            batch_free(p->lent);
        p->refs = 0;
        crt_free(p);
    }
    decompress_ctx_destroy(&rt->decompress);
}
