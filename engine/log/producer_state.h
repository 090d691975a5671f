/* What a log knows of its producers: sequences of idempotent ones and open transactions, as upstream's
 * ProducerStateManager (4.3).
 *
 * Appends go check, then apply, with nothing in between: apply cannot fail after a check said KERR_NONE, so
 * there is no undo. State is of the appended end; a duplicate is answered only when its original is durable
 * (rule S6), which is the caller's to see to.
 *
 * A producer keeps its last 5 batches. A batch with exactly the first and last sequence of one of them is a
 * duplicate. Sequences run 0 .. INT32_MAX and wrap to 0. A new epoch starts at sequence 0; a producer of
 * which nothing is known may start anywhere, but at 0 under transactions v2.
 *
 * Snapshot file (.snapshot), big-endian:
 *   0  2  version, 1
 *   2  4  CRC-32C of everything from offset 6 on
 *   6  4  number of entries, each 46 bytes:
 *         8 producer id, 2 epoch, 4 last sequence, 8 last offset, 4 offset delta of the last batch,
 *         8 timestamp, 4 coordinator epoch, 8 first offset of the open transaction (-1: none)
 * Only the last batch of each producer survives a snapshot.
 *
 * Memory: 152 bytes a producer in one array, and from 9 producers on a hash table of 4 bytes a slot; nothing
 * for a log without producers. One owner thread. */
#ifndef SLUICE_LOG_PRODUCER_STATE_H
#define SLUICE_LOG_PRODUCER_STATE_H

#include "engine/base/kerr.h"
#include "engine/log/batch.h"

#define PRODUCER_BATCHES_KEPT        5
#define PRODUCER_SNAPSHOT_VERSION    1
#define PRODUCER_SNAPSHOT_HEADER     10
#define PRODUCER_SNAPSHOT_ENTRY_SIZE 46

struct producer_batch {
    int64_t last_offset;
    int64_t timestamp; /* max timestamp of the batch, ms */
    int32_t last_sequence;
    int32_t offset_delta; /* last offset minus base offset */
};

struct producer_entry {
    int64_t producer_id;
    int64_t last_timestamp;    /* ms, of the last batch or marker */
    int64_t txn_first_offset;  /* -1: no open transaction */
    int32_t coordinator_epoch; /* of the last marker, -1: none */
    int16_t epoch;
    uint8_t batch_count;
    uint8_t batch_first; /* ring position of the oldest batch */
    struct producer_batch batches[PRODUCER_BATCHES_KEPT];
};
SL_STATIC_ASSERT(sizeof(struct producer_entry) == 152, "memory matters: many logs times many producers");

/* A transaction by its first offset; sorted arrays of these. */
struct producer_txn {
    int64_t first_offset;
    int64_t last_offset; /* of the marker; -1 while open */
    int64_t producer_id;
};

struct producer_txns {
    struct producer_txn *t;
    uint32_t count, cap;
};

struct producer_state {
    struct producer_entry *entries; /* dense, any order */
    uint32_t *slots;                /* hash table of entry index + 1; NULL while there are few */
    uint32_t count, cap, slot_mask;
    struct producer_txns ongoing;
    struct producer_txns unreplicated; /* completed, the marker not yet below the high watermark */
    int64_t end_offset;                /* of the log, as of the last apply */
};

enum producer_origin {
    PRODUCER_FROM_CLIENT,      /* sequences and epochs are checked */
    PRODUCER_FROM_COORDINATOR, /* epochs only: offset commits have no sequence */
};

/* How to check. */
struct producer_check {
    uint8_t origin;      /* enum producer_origin */
    bool txn_v2;         /* transactional produce under transactions v2 (Produce 12 and above) */
    bool txn_unverified; /* the transaction coordinator has not confirmed that the partition is part of the
                            transaction: a first transactional batch is refused with INVALID_TXN_STATE */
};

/* The original of a duplicate. */
struct producer_duplicate {
    int64_t base_offset, last_offset;
    int64_t timestamp; /* ms; upstream answers it as LogAppendTime */
};

/* A transaction that a marker ended. */
struct producer_completed {
    int64_t producer_id;
    int64_t first_offset;       /* -1: the marker ended no transaction of this log; the rest is then unset */
    int64_t last_offset;        /* of the marker */
    int64_t last_stable_offset; /* for the transaction index */
    bool aborted;
};

/* The contents of an EndTxn marker batch. */
struct producer_marker {
    int64_t producer_id;
    int64_t offset;
    int64_t timestamp; /* ms */
    int32_t coordinator_epoch;
    int16_t epoch;
    bool commit;
};

SL_EXTERN_C_BEGIN

/* An empty state for a log that ends at end_offset. */
void producer_state_init(struct producer_state *s, int64_t end_offset);

void producer_state_destroy(struct producer_state *s);

/* Forgets everything: truncation, or a reload from a snapshot. */
void producer_state_clear(struct producer_state *s, int64_t end_offset);

/* The producer's entry, or NULL. Valid until the next apply, load or expiry. */
const struct producer_entry *producer_state_find(const struct producer_state *s, int64_t producer_id);

/* Checks a data batch (no control batch) that has a producer id. Returns KERR_NONE; DUPLICATE_SEQUENCE_NUMBER
 * with *dup filled: not an error, answer as if appended; OUT_OF_ORDER_SEQUENCE_NUMBER;
 * INVALID_PRODUCER_EPOCH; INVALID_TXN_STATE; or UNKNOWN_SERVER_ERROR when there is no memory. b->base_offset
 * need not be assigned. */
int16_t producer_state_check(struct producer_state *s, const struct batch_info *b,
                             const struct producer_check *c, struct producer_duplicate *dup);

/* Records a data batch with assigned offsets, as it is: after a check, or in recovery and replication.
 * Batches without producer id only move end_offset. Returns 0 or, only without a check before, -ENOMEM. */
int producer_state_apply(struct producer_state *s, const struct batch_info *b);

/* Checks a marker from the transaction coordinator. txn_version: 0 to 2 (2: the marker's epoch must be above
 * the producer's). Returns KERR_NONE, INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED, or
 * UNKNOWN_SERVER_ERROR when there is no memory. */
int16_t producer_state_check_marker(struct producer_state *s, const struct producer_marker *m,
                                    int txn_version);

/* Records a marker; fills done. Returns as producer_state_apply. */
int producer_state_apply_marker(struct producer_state *s, const struct producer_marker *m,
                                struct producer_completed *done);

/* Recovery: applies the whole batch at p (n bytes, offsets assigned), data or control. done->first_offset is
 * -1 unless it ended a transaction. Returns 0, -ENOMEM, or -EBADMSG when offsets are impossible or a
 * control batch cannot be read. */
int producer_state_apply_batch(struct producer_state *s, const uint8_t *p, size_t n,
                               struct producer_completed *done);

/* Reads an EndTxn marker out of the control batch at p. Returns 1; 0 when it holds no such record (an emptied
 * batch, or another control type); -EBADMSG. */
int producer_marker_parse(const uint8_t *p, size_t n, struct producer_marker *out);

/* The first offset that is not decided and replicated: of an open transaction, or of one whose marker is not
 * below the high watermark. -1: none. */
int64_t producer_state_first_unstable(const struct producer_state *s);

/* The first offset of the oldest open transaction, -1: none; and its producer's last timestamp (ms), -1:
 * none. */
int64_t producer_state_first_undecided(const struct producer_state *s);
int64_t producer_state_oldest_txn_timestamp(const struct producer_state *s);

/* min(high watermark, first unstable offset), but not below log_start. */
int64_t producer_state_last_stable(const struct producer_state *s, int64_t high_watermark, int64_t log_start);

/* The high watermark has risen: transactions whose marker lies below it are stable. */
void producer_state_on_high_watermark(struct producer_state *s, int64_t high_watermark);

/* The log start has risen. */
void producer_state_on_log_start(struct producer_state *s, int64_t log_start);

/* Forgets producers without an open transaction that were last seen expiration_ms ago or earlier. Returns how
 * many. */
uint32_t producer_state_expire(struct producer_state *s, int64_t now_ms, int64_t expiration_ms);

/* Bytes of a snapshot now. */
size_t producer_state_snapshot_size(const struct producer_state *s);

/* Writes the snapshot: producer_state_snapshot_size bytes. */
void producer_state_snapshot_encode(const struct producer_state *s, uint8_t *dst);

/* Replaces the state by a snapshot's of a log that ends at end_offset, leaving out what is expired by now.
 * Returns 0; -EBADMSG, with the state empty, when version, length or CRC are wrong or a producer is there
 * twice; -ENOMEM. */
int producer_state_snapshot_load(struct producer_state *s, const uint8_t *p, size_t n, int64_t end_offset,
                                 int64_t now_ms, int64_t expiration_ms);

SL_EXTERN_C_END

#endif
