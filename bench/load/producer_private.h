// A producer's parts, shared by producer.c (when what is sent) and producer_batch.c (the bytes that are sent).
#ifndef SLUICE_BENCH_LOAD_PRODUCER_PRIVATE_H
#define SLUICE_BENCH_LOAD_PRODUCER_PRIVATE_H

#include "bench/load/run.h"

enum { REQ_BATCHES = 128 };

struct lane;

struct pbatch {
    struct list_node node; // on ppart->batches, or free
    struct ppart *part;
    const struct prep *prep;
    uint32_t n, n_cap;
    uint64_t *due; // paced: of each record
    uint64_t made; // else
    uint8_t head[BATCH_HEADER_SIZE];
    const uint8_t *body;
    uint32_t len;
    bool finished;  // has its header, and so its sequence
    bool again;     // the answer says to try again
    uint64_t order; // among the batches of its partition
    uint8_t *own;   // stamped or compressed
    size_t own_cap;
};

// One of the producer's partitions.
struct ppart {
    const struct part *part;
    struct lane *lane;
    int32_t sequence;
    uint64_t stamp_sequence;
    struct list_node batches;   // paced: to be sent; the last one may be filling
    struct list_node ready;     // on lane->ready
    struct list_node lingering; // on producer->lingering
    uint64_t linger_at;
    uint64_t next_order;
    uint32_t inflight;      // batches
    bool muted;             // see above
    struct list_node retry; // batches to be sent again, by order
    struct list_node again; // on lane->again: muted, nothing in flight
};

struct preq {
    struct link_call call;
    struct list_node node; // free
    struct lane *lane;
    struct pbatch *batches[REQ_BATCHES];
    uint32_t n;
    uint8_t *buf;
    size_t buf_cap;
    struct iovec iov[3 * REQ_BATCHES + 2];
};

// The connection to one leader.
struct lane {
    struct link link;
    struct producer *p;
    struct ppart **parts; // as fast as possible: in turn
    uint32_t parts_n, next;
    struct list_node ready; // paced: partitions with a batch to send
    struct list_node again; // partitions with a batch to send again
    uint32_t inflight;
    struct redial redial;
};

struct producer {
    struct worker *w;
    const struct plan *plan;
    uint32_t index;
    struct ppart *parts;
    uint32_t parts_n, parts_cap, turn;
    double *zipf; // cumulative weights
    struct lane **lanes;
    uint32_t lanes_n;
    struct pace pace;
    struct sl_rand rand;
    struct timer timer;
    struct list_node lingering, batches_free, reqs_free;
    uint64_t linger_ns, held, made, limit; // limit: records to make in all
    uint64_t blocked_until;                // records due before it were held up by the broker, not by us
    uint64_t hold_until;                   // batches to be sent again wait for it
    uint32_t prep_turn;
    bool paced, stopped, blocked, dead, begun, ended;
};

// producer_batch.c. An empty batch of the partition, from the free ones, on the next prep in turn.
struct pbatch *batch_get(struct producer *p, struct ppart *part);

// Back to the free ones; its bytes are no longer held.
void batch_put(struct producer *p, struct pbatch *b);

// An empty request of the lane, from the free ones.
struct preq *req_get(struct lane *l);

// Gives each batch that has none yet its header, and with it its sequence, and writes the request around them.
// wall_ms: the time stamp of new batches.
void req_make(struct preq *q, int64_t wall_ms);

#endif
