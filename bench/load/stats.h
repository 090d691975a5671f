// What a worker counts between two reports. Latencies are in microseconds.
#ifndef SLUICE_BENCH_LOAD_STATS_H
#define SLUICE_BENCH_LOAD_STATS_H

#include "engine/base/hist.h"

struct stats {
    uint64_t t; // ns: when it was taken
    // producers
    uint64_t made, acked, acked_bytes, acked_wire, requests, batches, errors;
    // consumers, and catch-up readers apart
    uint64_t read, read_bytes, read_wire, fetches, fetches_empty;
    uint64_t catchup, catchup_bytes;
    uint64_t fetch_asked,
        sessions_lost; // bytes of fetch requests; fetch sessions that the broker did not know
    // what a broker's stop or a moved leader brings; none of it is a fault
    uint64_t refused, retried, reconnects, refreshes; // answers to try again, batches sent again
    uint64_t ack_gap; // ns: the longest time from one acknowledgement of a thread to its next
    // members of groups
    uint64_t rebalances, assigned, revoked, commits, commits_refused,
        twice;                     // twice: records that were read before
    uint64_t idle_ns, idle_max_ns; // without an assignment: of all members together, and the longest
    // what must be 0
    uint64_t gaps, lost, bad_crc, bad_order, malformed;
    uint64_t t_last_ack, t_last_read; // ns
    struct hist ack;     // from the intended time (as fast as possible: from the request) to the answer
    struct hist service; // from the request to the answer
    struct hist e2e;     // from the intended time to the consumer
    struct hist late;    // how late the generator made a record
    char error[192];     // the first one
};

SL_EXTERN_C_BEGIN

void stats_init(struct stats *s);
void stats_merge(struct stats *dst, const struct stats *src);
// Only what the report says of the whole run, the warm-up included: outages, rebalances, fetch sessions.
void stats_merge_events(struct stats *dst, const struct stats *src);
// Keeps the first text; counts it either way.
__attribute__((format(printf, 2, 3))) void stats_error(struct stats *s, const char *fmt, ...);
// A member was without an assignment for so long.
void stats_idle(struct stats *s, uint64_t ns);
// Gaps, bad CRCs and so on: everything that makes the run worthless.
uint64_t stats_faults(const struct stats *s);

SL_EXTERN_C_END

#endif
