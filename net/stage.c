// Stage stamps of requests: histograms by stage, and the slowest requests whole. See enum req_stage.
//
// Cost: at most six reads of the clock and sixteen plain stores a request.
#include "net/net_private.h"

#include <string.h>

SL_STATIC_ASSERT((int)REQ_STAGES == (int)SLOW_STAGES, "a kept request has every stage");

enum { API_PRODUCE = 0, API_FETCH = 1, NO_ROW = METRIC_COUNT };

static const uint8_t rows[2][REQ_STAGES] = {
    [API_PRODUCE] = {[REQ_RECEIVED] = METRIC_PRODUCE_TOTAL,
                     [REQ_PARSED] = METRIC_PRODUCE_PARSED,
                     [REQ_QUEUED] = METRIC_PRODUCE_QUEUED,
                     [REQ_STORED] = METRIC_PRODUCE_APPENDED,
                     [REQ_WRITTEN] = METRIC_PRODUCE_WRITTEN,
                     [REQ_DURABLE] = METRIC_PRODUCE_DURABLE,
                     [REQ_ANSWERED] = METRIC_PRODUCE_ANSWERED,
                     [REQ_SENT] = METRIC_PRODUCE_SENT},
    [API_FETCH] = {[REQ_RECEIVED] = METRIC_FETCH_TOTAL,
                   [REQ_PARSED] = METRIC_FETCH_PARSED,
                   [REQ_QUEUED] = METRIC_FETCH_WAITED,
                   [REQ_STORED] = METRIC_FETCH_READ,
                   [REQ_WRITTEN] = NO_ROW,
                   [REQ_DURABLE] = NO_ROW,
                   [REQ_ANSWERED] = METRIC_FETCH_ANSWERED,
                   [REQ_SENT] = METRIC_FETCH_SENT},
};
SL_STATIC_ASSERT(METRIC_COUNT < 256, "rows are bytes");

const char *req_stage_name(bool fetch, enum req_stage s)
{
    static const char *const names[2][REQ_STAGES] = {
        {"received", "parsed", "queued", "appended", "written", "durable", "answered", "sent"},
        {"received", "parsed", "waited", "read", "", "", "answered", "sent"}};
    SL_ASSERT(s < REQ_STAGES);
    return names[fetch][s];
}

void req_stamp(struct req *r, enum req_stage s)
{
    r->t[s] = io_now_ns(reactor_io(r->net->r));
}

static void keep(struct req *r, struct slow *slow, const uint64_t *took, uint64_t total)
{
    struct slow_request s = {.wall_ms = (uint64_t)reactor_wall_ms(r->net->r),
                             .total_ns = total,
                             .bytes = r->frame_len,
                             .api = (uint64_t)r->key,
                             .version = (uint64_t)r->version};
    memcpy(s.stage_ns, took, sizeof(s.stage_ns));
    memcpy(s.client, r->client, sizeof(s.client));
    slow_keep(slow, r->t[REQ_SENT], &s);
}

void req_stages_count(struct req *r)
{
    struct metrics *m = reactor_metrics(r->net->r);
    uint64_t took[REQ_STAGES] = {0}, last = r->t[REQ_RECEIVED];
    if (!m || r->key > API_FETCH || !r->t[REQ_PARSED])
        return;
    req_stamp(r, REQ_SENT);
    for (int s = REQ_PARSED; s < REQ_STAGES; s++) {
        if (!r->t[s])
            continue;
        took[s] = r->t[s] > last ? r->t[s] - last : 0;
        last = SL_MAX(last, r->t[s]);
        metric_observe(m, (enum metric_id)rows[r->key][s], took[s]);
    }
    uint64_t total = last - r->t[REQ_RECEIVED];
    metric_observe(m, (enum metric_id)rows[r->key][REQ_RECEIVED], total);
    // A fetch waits as long as its consumer wants: that makes it no slow one.
    uint64_t counts = r->key == API_FETCH ? total - took[REQ_QUEUED] : total;
    if (sl_unlikely(slow_wants(&m->slow, r->t[REQ_SENT], counts)))
        keep(r, &m->slow, took, counts);
}
