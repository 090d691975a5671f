// What the coordinator of one partition (of __consumer_offsets; of __transaction_state) sees of the world: the clock,
// timers, records to write, requests to answer. It does no I/O: the runtime (runtime.h) lends a context, and so does a
// unit test with a clock of its own.
//
// An operation is one call into a coordinator: a request, a timer, a change of the metadata. It changes the state in
// memory at once (the state "as appended"), emits the records that say so, and answers requests. When it returns, the
// runtime puts its records into the open batch. An answer leaves when everything that it may show is durable: the
// operation's own records, and the batch that last touched each object it looked at (coord_see). So nobody is shown, or
// told of, what a crash can take back; and an operation that looks at nothing pending is answered at once.
//
// Records of one operation lie in one batch: after a crash all of them are there or none. Records emitted with
// COORD_SPLIT set may be spread over several batches (removals of many keys, where each one is true by itself).
//
// All of this belongs to the coordinator's reactor.
#ifndef SLUICE_ENGINE_COORD_CTX_H
#define SLUICE_ENGINE_COORD_CTX_H

#include "engine/base/arena.h"
#include "engine/base/heap.h"
#include "engine/base/kerr.h"
#include "engine/base/list.h"
#include "engine/base/uuid.h"
#include "proto/codec.h"

struct coord_ctx;
struct coord_req;

// A mark is the number of the batch that last carried records of an object; 0: none. Batch numbers begin at 1 in every
// life of a partition's coordinator.
typedef uint64_t coord_mark;

// ---- records -------------------------------------------------------------------------------------------------------
// As it lies in the log: the key begins with the int16 record type, the value with its int16 version.
struct coord_record {
    struct kp_bytes key;
    struct kp_bytes value; // n < 0: a tombstone
    int64_t producer_id;   // of its batch; -1: no transaction
    coord_mark *mark;      // of the object it belongs to, or NULL
};
struct coord_sink {
    struct arena arena;
    struct coord_record *v;
    uint32_t n, cap;
    size_t bytes; // of keys and values and some room for a record's own fields
    bool split;   // the operation's records need not lie in one batch
};

// Emits a record of __consumer_offsets. `type` is the record type; `key` the kp_<...>_key, `value` the kp_<...>_value of
// that type, encoded in `version`; NULL: a tombstone. `mark`: that of the object the record belongs to, set by the
// runtime when the record's batch has its number; may be NULL. 0, or -EINVAL when the message does not fit the version.
int coord_emit(struct coord_ctx *x, coord_mark *mark, int16_t type, const void *key, int16_t version,
               const void *value);
// The same for records of __transaction_state.
int coord_emit_txn(struct coord_ctx *x, coord_mark *mark, int16_t type, const void *key, int16_t version,
                   const void *value);
// Whether what was emitted fits into one batch. If not, an operation that has not changed its state yet calls
// coord_emit_undo and answers UNKNOWN_SERVER_ERROR, as upstream does.
bool coord_fits(const struct coord_ctx *x);
void coord_emit_undo(struct coord_ctx *x);
static inline void coord_split(struct coord_ctx *x);

// ---- what an operation looked at ---------------------------------------------------------------------------------------
// Answers of this operation wait for the batch `mark`.
static inline void coord_see(struct coord_ctx *x, coord_mark mark);
// The object whose mark this is goes away: nothing points to it any more, and who looks for it and finds nothing
// (coord_see_gone) waits until its end is durable.
void coord_forget(struct coord_ctx *x, coord_mark *mark);
static inline void coord_see_gone(struct coord_ctx *x);

// ---- answers -------------------------------------------------------------------------------------------------------------
// Ends a request, of this operation or one that was left unanswered (parked) earlier. q->error and q->out are set.
void coord_answer(struct coord_ctx *x, struct coord_req *q);
static inline void coord_answer_error(struct coord_ctx *x, struct coord_req *q, int16_t error);

// ---- timers --------------------------------------------------------------------------------------------------------------
// Embedded in its owner; fires once, as an operation of its own. Zeroed is valid but for `fire`.
struct coord_timer {
    struct heap_node node;
    bool armed;
    void (*fire)(struct coord_timer *t, void *coordinator);
};
void coord_timer_set(struct coord_ctx *x, struct coord_timer *t, int64_t after_ms); // re-arms
void coord_timer_cancel(struct coord_ctx *x, struct coord_timer *t);
// When the first timer fires (x->now_ns's clock); UINT64_MAX: none is set.
uint64_t coord_timer_next(const struct coord_ctx *x);
// The first timer that is due, disarmed; NULL: none.
struct coord_timer *coord_timer_due(struct coord_ctx *x);

struct coord_ctx {
    uint64_t now_ns; // of this operation, monotonic
    int64_t wall_ms;
    struct heap timers;
    struct coord_sink sink;
    struct list_node answered; // struct coord_req.node, by this operation
    coord_mark touch;          // the highest mark that this operation has seen
    coord_mark gone;           // batch that last removed an object
    bool forgot;               // this operation removed an object
    bool letting_go;           // the broker stops: nothing may be parked any more
    size_t batch_limit;        // bytes of records that one batch may hold
    void (*random)(void *arg, void *buf, size_t n);
    void *random_arg;
};

void coord_ctx_init(struct coord_ctx *x, size_t batch_limit);
void coord_ctx_destroy(struct coord_ctx *x);
// Begins an operation at this time.
void coord_ctx_begin(struct coord_ctx *x, uint64_t now_ns, int64_t wall_ms);
// A random UUID (RFC 4122, version 4) as text of 36 characters, terminated.
void coord_random_uuid(struct coord_ctx *x, char out[37]);

static inline void coord_split(struct coord_ctx *x)
{
    x->sink.split = true;
}

static inline void coord_see(struct coord_ctx *x, coord_mark mark)
{
    if (mark > x->touch)
        x->touch = mark;
}

static inline void coord_see_gone(struct coord_ctx *x)
{
    coord_see(x, x->gone);
}

#include "engine/coord/req.h"

static inline void coord_answer_error(struct coord_ctx *x, struct coord_req *q, int16_t error)
{
    q->error = error;
    coord_answer(x, q);
}

#endif
