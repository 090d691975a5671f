// InitProducerId (key 22), versions 0-5: a producer id for an idempotent producer.
//
// Ids come from this net service's block of 1,000, refilled through the controller (ProducerIdsRecord), so that an id is
// never given twice. Without a transactional id the current id and epoch of KIP-360 (from version 3) are only checked
// for being both there or both absent, and a fresh id with epoch 0 is given, as upstream does.
//
// Deviations from upstream 4.3: there is no transaction coordinator yet, so a transactional id is answered with
// COORDINATOR_NOT_AVAILABLE.
#include "net/api/common.h"

#include "proto/gen/init_producer_id_request.h"
#include "proto/gen/init_producer_id_response.h"

struct state {
    struct list_node node; // on net->pids.waiting
    struct req *r;
    struct meta_pids ask;
    struct call call;
};

static void answer(struct req *r, int16_t error, int64_t id)
{
    struct kp_init_producer_id_response out;
    kp_init_producer_id_response_init(&out);
    out.error_code = error;
    out.producer_id = error ? -1 : id;
    out.producer_epoch = error ? -1 : 0;
    REQ_RESPOND(r, &out, init_producer_id_response);
}

static void blocks_ask(struct net *n);

static void block_arrived(struct call *c)
{
    struct net *n = c->net;
    struct state *asker = c->req->state, *st;
    int16_t error =
        asker->ask.error ? KERR_COORDINATOR_LOAD_IN_PROGRESS : KERR_NONE; // as upstream: come again
    list_remove(&asker->node); // answered last: the others' answers do not need it, it holds the call
    n->pids.asking = false;
    if (!error) {
        n->pids.next = asker->ask.first;
        n->pids.end = asker->ask.first + asker->ask.count;
    }
    int64_t own = error ? -1 : n->pids.next++;
    while (!list_empty(&n->pids.waiting) && (error || n->pids.next < n->pids.end)) {
        st = list_entry(list_pop_front(&n->pids.waiting), struct state, node);
        answer(st->r, error, error ? -1 : n->pids.next++);
    }
    blocks_ask(n);
    answer(asker->r, error, own);
}

// Asks for the next block on behalf of the first that waits for it.
static void blocks_ask(struct net *n)
{
    struct list_node *first = list_first(&n->pids.waiting);
    if (!first || n->pids.asking)
        return;
    struct state *st = list_entry(first, struct state, node);
    n->pids.asking = true;
    call_send(&st->call, st->r, net_controller_reactor(n), META_ALLOC_PIDS, &st->ask, block_arrived);
}

static int16_t check(const struct req *r, const struct kp_init_producer_id_request *m)
{
    if ((m->producer_id == -1) != (m->producer_epoch == -1))
        return KERR_INVALID_REQUEST;
    if (m->transactional_id.n < 0)
        return KERR_NONE;
    if (m->transactional_id.n == 0)
        return KERR_INVALID_REQUEST;
    int64_t max = cfg_int(r->net->cfg.cfg, CFG_TRANSACTION_MAX_TIMEOUT_MS);
    if (m->transaction_timeout_ms <= 0 || m->transaction_timeout_ms > max)
        return KERR_INVALID_TRANSACTION_TIMEOUT;
    return KERR_COORDINATOR_NOT_AVAILABLE;
}

static void start(struct req *r)
{
    struct kp_init_producer_id_request m;
    struct net *n = r->net;
    if (!REQ_DECODE(r, &m, init_producer_id_request))
        return;
    int16_t error = check(r, &m);
    if (error || n->pids.next < n->pids.end) {
        answer(r, error, error ? -1 : n->pids.next++);
        return;
    }
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    st->r = r;
    list_init(&st->node);
    list_push_back(&n->pids.waiting, &st->node);
    blocks_ask(n);
}

const struct api_handler api_init_producer_id = {
    .key = 22, .min = 0, .max = 5, .advertise_min = 0, .start = start};
