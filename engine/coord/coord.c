// See coord.h. The service: requests and their chains, answers that come later, which partitions live here.
#include "engine/coord/coord.h"

#include "engine/base/log.h"
#include "engine/coord/group.h"
#include "engine/coord/runtime.h"

#include <stdlib.h>
#include <string.h>

// What one net service is owed: requests that were parked and are done. One message in flight.
struct done_box {
    struct list_node done; // struct coord_req.node
    bool in_flight;
};

struct coord {
    struct service svc;
    struct reactor *r;
    const struct config *cfg;
    const struct placement *pl;
    const struct coord_topics *topics;
    struct groups_env groups;
    struct crt rt;
    uint64_t image; // the version that the parts were made of
    struct done_box done[REACTOR_MAX];
    bool stopping, stopped;
};

// ---- Java's hash -----------------------------------------------------------------------------------------------------------
// One code point at p, and how many bytes it takes. Bytes that are not UTF-8 count as they are: Java would have
// replaced them when it decoded the request.
static uint32_t code_point(const uint8_t *p, size_t left, size_t *used)
{
    static const uint8_t lead[] = {0xc0, 0xe0, 0xf0, 0xf8};
    for (size_t k = 0; k < 3; k++)
        if ((p[0] & lead[k + 1]) == lead[k] && left >= k + 2) {
            uint32_t c = p[0] & (0xffu >> (k + 3));
            for (size_t i = 1; i < k + 2; i++)
                c = c << 6 | (p[i] & 0x3f);
            *used = k + 2;
            return c;
        }
    *used = 1;
    return p[0];
}

int32_t coord_partition_of(const char *id, size_t n, int32_t partitions)
{
    const uint8_t *p = (const uint8_t *)id;
    uint32_t h = 0;
    SL_ASSERT(partitions > 0);
    for (size_t i = 0, used; i < n; i += used) {
        uint32_t c = code_point(p + i, n - i, &used);
        if (c > 0xffff) { // a pair of UTF-16 units
            h = 31 * h + (0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        h = 31 * h + c;
    }
    int32_t v = (int32_t)h;
    return (v == INT32_MIN ? 0 : v < 0 ? -v : v) % partitions;
}

// ---- answers ---------------------------------------------------------------------------------------------------------------
static void send_done(struct coord *c, uint32_t to)
{
    struct done_box *box = &c->done[to];
    struct coord_req *first = NULL, **tail = &first;
    struct list_node *n;
    if (box->in_flight || list_empty(&box->done) || !reactor_credit_take(c->r, to, 1))
        return; // without a credit, the next turn tries again: on_flush
    while ((n = list_pop_front(&box->done))) {
        *tail = list_entry(n, struct coord_req, node);
        (*tail)->next = NULL;
        tail = &(*tail)->next;
    }
    box->in_flight = true;
    reactor_request(c->r, to, COORD_DONE, SVC_COORD)->u[0] = (uint64_t)(uintptr_t)first;
}

static void chain_reply(struct coord *c, struct coord_req *head)
{
    reactor_reply(c->r, head->from & 0xffff, COORD_REQUEST, (enum service_kind)(head->from >> 16))->u[0] =
        (uint64_t)(uintptr_t)head;
}

// A request's answer may be seen.
static void reply(struct crt *rt, struct coord_req *q)
{
    struct coord *c = SL_CONTAINER_OF(rt, struct coord, rt);
    struct coord_req *head = q->head;
    SL_ASSERT(q->answered && head->pending > 0);
    if (q->parked) {
        list_push_back(&c->done[q->from & 0xffff].done, &q->node);
        return;
    }
    if (--head->pending == 0)
        chain_reply(c, head);
}

// ---- requests --------------------------------------------------------------------------------------------------------------
static bool may_park(const struct coord_req *q)
{
    return q->api == 11 || q->api == 14;
}

static void run_request(struct coord *c, struct coord_req *q)
{
    struct crt_part *p = crt_part_find(&c->rt, &q->topic_id, q->partition);
    if (!p || c->stopping) {
        q->error = KERR_NOT_COORDINATOR;
        q->answered = true;
        reply(&c->rt, q);
        return;
    }
    SL_ASSERT(!may_park(q) || (q->head == q && !q->next));
    crt_request(p, q);
}

static void take_chain(struct coord *c, uint32_t from, const struct spsc_msg *m)
{
    struct coord_req *head = (struct coord_req *)(uintptr_t)m->u[0], *next;
    uint32_t who = from | (uint32_t)(m->flags & MSG_ASKER) << 16;
    bool alone = !head->next;
    head->pending = 0;
    for (struct coord_req *q = head; q; q = q->next) {
        q->head = head;
        q->from = who;
        q->answered = q->parked = false;
        q->error = KERR_NONE;
        q->message = NULL;
        q->out = NULL;
        list_init(&q->node);
        head->pending++;
    }
    head->pending++; // ours, until all were run
    for (struct coord_req *q = head; q; q = next) {
        next = q->next;
        run_request(c, q);
    }
    if (--head->pending == 0) {
        chain_reply(c, head);
    } else if (alone && may_park(head) && !head->answered) {
        head->parked = true;
        chain_reply(c, head);
    }
}

static void let_go(struct coord *c, uint32_t from, const struct spsc_msg *m)
{
    struct crt_part *p, *tmp;
    HASH_ITER(hh, c->rt.parts, p, tmp)
    crt_let_go(p, KERR_NOT_COORDINATOR);
    reactor_reply(c->r, from, COORD_LET_GO, (enum service_kind)(m->flags & MSG_ASKER))->u[0] = m->u[0];
}

static void on_msg(struct service *svc, uint32_t from, const struct spsc_msg *m)
{
    struct coord *c = SL_CONTAINER_OF(svc, struct coord, svc);
    switch (m->op) {
    case COORD_REQUEST:
        take_chain(c, from, m);
        break;
    case COORD_DONE:
        c->done[from].in_flight = false;
        reactor_credit_give(c->r, from, 1);
        break;
    case COORD_LET_GO:
        let_go(c, from, m);
        break;
    default:
        crt_on_reply(&c->rt, m);
    }
}

// ---- which partitions live here ----------------------------------------------------------------------------------------------
static bool lives_here(const struct coord *c, const struct sl_uuid *id, int32_t partition)
{
    uint32_t shard = shard_of(id, partition, c->pl->shards);
    return c->pl->shard_reactor[shard] == reactor_id(c->r) && c->topics->leads(c->r, id, partition);
}

// A batch is as large as a client's may be, and always fits into a journal file (which the broker checks at start).
static size_t batch_limit(const struct coord *c, const struct coord_topic *t)
{
    int64_t most = SL_MIN((int64_t)t->max_message_bytes, cfg_int(c->cfg, CFG_MESSAGE_MAX_BYTES));
    return (size_t)SL_MAX(most - BATCH_HEADER_SIZE, (int64_t)4096);
}

static void place(struct coord *c)
{
    struct coord_topic t;
    struct crt_part *p, *tmp;
    bool there = c->topics->by_name(c->r, COORD_GROUP_TOPIC, strlen(COORD_GROUP_TOPIC), &t);
    HASH_ITER(hh, c->rt.parts, p, tmp)
    {
        if (!there || memcmp(&p->key.topic_id, &t.id, sizeof(t.id)) ||
            !lives_here(c, &t.id, p->key.partition))
            crt_part_drop(p);
    }
    for (int32_t i = 0; there && i < t.partitions; i++)
        if (lives_here(c, &t.id, i) && !crt_part_find(&c->rt, &t.id, i))
            crt_part_add(&c->rt, &t.id, i, &groups_ops, &c->groups, batch_limit(c, &t));
    HASH_ITER(hh, c->rt.parts, p, tmp)
    crt_image(p);
}

static bool on_flush(struct service *svc)
{
    struct coord *c = SL_CONTAINER_OF(svc, struct coord, svc);
    uint64_t version = c->topics->version(c->r);
    if (version != c->image && !c->stopping) {
        c->image = version;
        place(c);
    }
    bool did = crt_flush(&c->rt);
    for (uint32_t i = 0; i < reactor_group_size(reactor_get_group(c->r)); i++)
        send_done(c, i);
    return did;
}

// ---- set-up and stop ----------------------------------------------------------------------------------------------------------
// The net services have stopped: nobody waits for an answer. What was accepted goes to the disk first.
static void maybe_stopped(struct crt *rt)
{
    struct coord *c = SL_CONTAINER_OF(rt, struct coord, rt);
    struct crt_part *p, *tmp;
    if (!c->stopping || c->stopped)
        return;
    HASH_ITER(hh, rt->parts, p, tmp)
    if (!list_empty(&p->batches))
        return;
    c->stopped = true;
    HASH_ITER(hh, rt->parts, p, tmp)
    crt_part_drop(p);
    reactor_service_stopped(c->r, &c->svc);
}

static void on_stop(struct service *svc)
{
    struct coord *c = SL_CONTAINER_OF(svc, struct coord, svc);
    c->stopping = c->rt.stopping = true;
    if (!c->rt.in_flight)
        maybe_stopped(&c->rt);
}

struct coord *coord_create(struct reactor *r, const struct config *cfg, const struct placement *pl,
                           const struct coord_topics *topics)
{
    struct coord *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->r = r;
    c->cfg = cfg;
    c->pl = pl;
    c->topics = topics;
    c->groups = (struct groups_env){.topics = topics, .r = r};
    group_settings_load(&c->groups.set, cfg);
    crt_init(&c->rt, r);
    c->rt.reply = reply;
    c->rt.idle = maybe_stopped;
    for (uint32_t i = 0; i < REACTOR_MAX; i++)
        list_init(&c->done[i].done);
    c->svc = (struct service){
        .kind = SVC_COORD, .name = "coord", .on_msg = on_msg, .on_flush = on_flush, .on_stop = on_stop};
    return c;
}

struct service *coord_service(struct coord *c)
{
    return &c->svc;
}

void coord_destroy(struct coord *c)
{
    if (!c)
        return;
    crt_destroy(&c->rt);
    free(c);
}
