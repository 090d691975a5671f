// The runtime of coordinators: one struct crt_part for each partition of a coordinator's topic that lives here.
//
//             load: SHARD_FETCH in slices, each record to ops->replay
//   (made) ────────────► LOADING ──────────► ACTIVE ──────────► FAILED ──► LOADING again after a pause
//                           │ cannot be read    │  an append failed: what is in memory is not what the log says
//                           └─────────► FAILED ◄┘
//   In any state: crt_part_drop, when the partition is no longer led here; then it is freed once its last message is
//   home.
//
// Group commit. Operations of a turn put their records into the open batch. A batch goes out when none is in flight: so
// the next one collects what comes in while the disk works, and its size follows the load. Batches are numbered; answers
// wait at the batch they need (ctx.h). When a batch cannot be appended, it and all behind it are dropped, all answers
// that wait are answered with the error, the coordinator is thrown away and loaded again.
//
// While loading, and after a failure, requests are answered COORDINATOR_LOAD_IN_PROGRESS.
#ifndef SLUICE_ENGINE_COORD_RUNTIME_H
#define SLUICE_ENGINE_COORD_RUNTIME_H

#include "engine/base/table.h"
#include "engine/coord/ctx.h"
#include "engine/log/compress.h"
#include "engine/log/record.h"
#include "engine/shard/shard.h"

struct crt;
struct crt_part;

// A kind of coordinator. `co` is what create returned.
struct crt_ops {
    const char *name;
    // A coordinator without content for this partition. Panics on lack of memory.
    void *(*create)(struct crt_part *p, struct coord_ctx *x, void *arg);
    // One record of the log, in order. -EBADMSG: malformed (the load fails).
    int (*replay)(void *co, const struct coord_record *r);
    // A transaction of this producer ended: its records so far count, or not. May be NULL.
    void (*replay_end)(void *co, int64_t producer_id, bool commit);
    // All of the log was replayed: an operation (timers, records).
    void (*loaded)(void *co);
    // A request; an operation.
    void (*request)(void *co, struct coord_req *q);
    // Everything that is parked is answered with this error, as the last operation before destroy, or because the
    // broker stops.
    void (*let_go)(void *co, int16_t error);
    // The metadata image changed; an operation. May be NULL.
    void (*image)(void *co);
    void (*destroy)(void *co);
};

enum crt_state { CRT_LOADING, CRT_ACTIVE, CRT_FAILED };

struct crt_key {
    struct sl_uuid topic_id;
    int32_t partition;
};
SL_STATIC_ASSERT(sizeof(struct crt_key) == 20, "hashed as bytes");

struct crt_batch {
    struct list_node node; // on part->batches
    uint64_t number;
    struct batch_builder b;
    struct list_node waiters; // struct coord_req.node
};

struct crt_part {
    struct crt_key key;
    UT_hash_handle hh;
    struct crt *rt;
    const struct crt_ops *ops;
    void *arg, *co;
    struct coord_ctx ctx;
    enum crt_state state;
    bool dropped;             // not led here any more
    uint32_t refs;            // messages under way
    uint64_t next, durable;   // batch numbers: of the open batch; the last one durable
    struct list_node batches; // the first is in flight, or about to be
    bool in_flight;
    struct crt_batch *lent; // of a dropped part: still in flight
    uint32_t to;            // its shard's reactor: this one
    struct shard_append append;
    struct shard_append_part append_part;
    struct shard_fetch fetch;
    struct shard_fetch_part fetch_part;
    // loading
    int64_t load_at, load_end;
    uint64_t load_since, load_records;
    uint32_t load_max;
    uint8_t *load_buf; // a slice in one piece
    uint32_t load_cap, load_len, load_pos;
    struct ready load_go;
    struct timer timer;          // first of ctx.timers; the pause after a failure
    struct list_node ready_node; // on rt->ready: a batch wants to go out
};

// What the parts of one reactor share.
struct crt {
    struct reactor *r;
    struct crt_part *parts; // hash
    uint32_t parts_n, loading_n;
    struct decompress_ctx decompress;
    struct list_node ready; // crt_part.ready_node
    struct ready sending;   // waits for a credit
    bool stopping;
    uint32_t in_flight;                                 // messages to the shard
    void (*reply)(struct crt *rt, struct coord_req *q); // an answer may leave: the service's
    void (*idle)(struct crt *rt);                       // in_flight became 0
};

void crt_init(struct crt *rt, struct reactor *r);
void crt_destroy(struct crt *rt); // tear-down without I/O
// Makes and begins to load a partition; batch_limit: bytes of records of one batch.
struct crt_part *crt_part_add(struct crt *rt, const struct sl_uuid *topic_id, int32_t partition,
                              const struct crt_ops *ops, void *arg, size_t batch_limit);
struct crt_part *crt_part_find(struct crt *rt, const struct sl_uuid *topic_id, int32_t partition);
// Answers what is parked and waiting with NOT_COORDINATOR; freed when its messages are home.
void crt_part_drop(struct crt_part *p);
// Runs a request: it is answered at once, waits for the disk, or is parked (q->answered tells whether it was answered).
void crt_request(struct crt_part *p, struct coord_req *q);
// Runs ops->let_go; nothing can be parked from now on.
void crt_let_go(struct crt_part *p, int16_t error);
void crt_image(struct crt_part *p);
// A reply from the shard: SHARD_APPEND or SHARD_FETCH.
void crt_on_reply(struct crt *rt, const struct spsc_msg *m);
// Once a turn: sends the batches that can go. True if any went.
bool crt_flush(struct crt *rt);

#endif
