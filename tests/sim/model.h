// What must be true, kept outside of the broker: every batch that was sent, where it was acknowledged, what was ever read.
//
//  - An acknowledged batch is in its log at the offset that was answered, once, with its bytes, in every later life.
//  - Whatever was read at an offset stays there.
//  - What is in a log was sent to it; nothing is there twice; a producer's batches are in the order of sending, and an
//    idempotent producer's have no hole before any of them.
//  - The high watermark that a reader was told of never goes back, nor does the log start. What lies above the log start is
//    there; it moves only as far as deletion was asked for, or as retention leaves enough behind.
//  - Compaction takes only what has a newer record of its key, or a tombstone whose time is over (keyed.h); what is gone does
//    not come back.
//  - A topic with write.caching keeps all that between two crashes; a crash takes from the end of its logs, never a hole.
#ifndef SLUICE_TESTS_SIM_MODEL_H
#define SLUICE_TESTS_SIM_MODEL_H

#include "engine/base/table.h"
#include "engine/base/uuid.h"
#include "tests/sim/run.h"

enum attempt_state { ATTEMPT_SENT, ATTEMPT_ACKED, ATTEMPT_UNKNOWN, ATTEMPT_REFUSED };

// What the broker may do to the batches of a topic whose records have keys (keyed.h).
struct mpolicy {
    bool compacted, deletes; // cleanup.policy
    bool converts;           // compression.type is a codec
    uint8_t codec;
    uint32_t keys, dirty_percent;
    int64_t min_lag_ms, max_lag_ms, delete_retention_ms, segment_ms;
};
// One record of a batch with keys.
struct mrecord {
    uint64_t hash;
    int64_t time;
    uint8_t key;
    bool tombstone;
};

// A transaction of one partition. Its end is decided when its marker is sent.
struct mtxn {
    int64_t pid, first; // first: where its first batch was acknowledged; -1
    bool commit, ended; // ended: a marker was sent
    struct mpart *part;
    struct mtxn *next;
};

// One batch that a producer sent (again, after a restart, it is the same attempt).
struct attempt {
    uint32_t id;   // 1..
    uint64_t hash; // of the batch's bytes from the attributes on
    uint32_t bytes, records;
    struct mpart *part;
    struct mproducer *producer;
    uint32_t connection; // of the producer, when it was sent
    uint32_t order;      // of sending, per producer and partition
    int32_t sequence;    // idempotent: base sequence
    enum attempt_state state;
    int64_t offset;       // where it was acknowledged or seen; -1
    uint64_t last_seen;   // verification that saw it
    bool resent;          // after a restart or an error
    bool must_be_there;   // the broker took it for an old one
    uint8_t *copy;        // idempotent, not acknowledged yet: to send again
    int64_t pid;          // -1: plain
    struct mrecord *recs; // of a topic with keys
    struct mtxn *txn;     // NULL: none
    bool marker;          // that ends it
    uint8_t codec;        // as sent
    int64_t sent_ms;      // the lowest the wall clock was since then
    UT_hash_handle hh;
};

struct claim {
    uint32_t attempt; // 0: nothing known
    bool acked, read;
    uint64_t seen; // the last verification that found the record
    uint64_t gone; // when a reader was shown that it is gone, by the model's clock; 0: never
};

// A partition of one incarnation of a topic.
struct mpart {
    struct mtopic *topic;
    int32_t n;
    struct claim *claims; // by offset; the first offset of a batch only has the attempt
    uint32_t claims_cap;
    int64_t claimed_end; // beyond the last acknowledged or read offset
    int64_t hw_seen;
    int64_t start_seen;  // the highest log start that was shown: what lies below is gone for good
    int64_t start_asked; // the highest that deletion of records was asked for
    int32_t epoch;
};

enum topic_state { TOPIC_CREATING, TOPIC_SERVING, TOPIC_DELETING, TOPIC_DELETED };

// One incarnation. Without a broker's metadata, creation and deletion count at once; with them, when they are answered.
struct mtopic {
    char name[16];
    struct sl_uuid id;
    enum topic_state state;
    int32_t leader_epoch;
    bool maybe, maybe_gone; // a creation or deletion was asked for before
    bool caching;           // write.caching: a crash takes back what was answered and read (S12)
    bool keyed;
    struct mpolicy policy;
    uint32_t parts_n;
    struct mpart *parts;
    struct mtopic *next;
};

enum { MODEL_INFLIGHT = 5 };

// A producer as a client knows itself, across lives of the broker.
struct mproducer {
    uint32_t id;
    bool idempotent;
    int64_t pid;
    uint32_t orders;
    uint32_t connection; // plain batches keep their order per connection only
};

struct model {
    struct run *r;
    struct mtopic *topics;     // newest first
    struct attempt **attempts; // by id
    uint32_t attempts_n, attempts_cap;
    struct attempt *by_hash;
    uint64_t verifications, clock;
    uint32_t policies;
    struct mtxn *txns;
    int64_t wall_max; // the latest the wall clock was
};

// A batch that was read, and whose it is.
struct mbatch {
    struct attempt *a; // NULL: an empty one whose answer and records nobody saw
    uint32_t size;
    uint32_t mask; // which of its records are there
    int64_t base, next, newest;
    uint64_t hash;
};

struct model *model_create(struct run *r);
// Looks at the wall clock. `jumped`: it was set.
void model_wall(struct model *m, bool jumped);
// Before a read is sent: what was shown to be gone by then must not come with it.
uint64_t model_now(struct model *m);

struct mtopic *model_topic_add(struct model *m, const char *name, uint32_t partitions);
// The live incarnation of a name, or NULL.
struct mtopic *model_topic_find(struct model *m, const char *name);

// The broker's life ended by a kill or a power cut: what write caching promised is void.
void model_crashed(struct model *m);
// What a client hears of this topic is no promise: it may have been lost while the answer was under way.
bool model_weak(const struct model *m, const struct mtopic *t);

// A new batch was made (bytes as sent).
struct attempt *model_sent(struct model *m, struct mpart *p, struct mproducer *pr, const uint8_t *batch,
                           uint32_t bytes, uint32_t records, int32_t sequence);
// It was acknowledged at `offset`.
void model_acked(struct model *m, struct attempt *a, int64_t offset);

// Reads of a partition, in one go: bytes of whole batches from the fetch, in order. `from`: the offset asked for, `asked`: when.
// Returns the offset after the last batch.
int64_t model_read(struct model *m, struct mpart *p, int64_t from, uint64_t asked, int64_t hw,
                   const uint8_t *bytes, uint64_t n);
// A reader was told of `hw` by a request sent when `known` was known.
void model_saw_hw(struct model *m, struct mpart *p, int64_t known, int64_t hw);

// It was told of a log start. `known`: as above.
void model_saw_start(struct model *m, struct mpart *p, int64_t known, int64_t start);

// A full verification of one partition: batches from log start to hw come in through model_verify_bytes.
struct verify {
    struct mpart *p;
    int64_t start, next;
    uint64_t bytes;
    uint32_t batches;
    uint64_t hash; // of all that was seen: equal for equal contents
};
void model_verify_begin(struct model *m, struct verify *v, struct mpart *p, int64_t log_start);
void model_verify_bytes(struct model *m, struct verify *v, uint64_t asked, const uint8_t *bytes, uint64_t n);
void model_verify_end(struct model *m, struct verify *v, int64_t hw);

#endif
