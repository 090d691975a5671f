// The committed offsets of one group: topics by name, each with its partitions in order.
//
// A commit inside a transaction is pending until the transaction's end marker; it then counts if it was applied later
// than the offset that stands (upstream compares record offsets; here commits are numbered as they are applied, which is
// the same order).
#ifndef SLUICE_ENGINE_COORD_OFFSETS_H
#define SLUICE_ENGINE_COORD_OFFSETS_H

#include "engine/base/table.h"
#include "engine/base/uuid.h"
#include "proto/codec.h"

struct groups;
struct group;

struct offset_value {
    int64_t offset;
    int64_t commit_ms;
    int64_t expire_ms; // -1: by the group's retention
    uint64_t order;
    struct sl_uuid topic_id; // zero: not known
    int32_t leader_epoch;    // -1: none
    uint32_t metadata_len;
    char *metadata; // NULL: empty
};
// A commit of an open transaction.
struct offset_pending {
    struct offset_pending *next; // of the same partition
    int64_t producer_id;
    struct offset_value v;
};
struct offset_part {
    int32_t partition;
    bool set; // v counts; else there are only pending commits
    struct offset_value v;
    struct offset_pending *pending;
};
struct offset_topic {
    UT_hash_handle hh; // by name
    char *name;
    uint32_t name_len;
    struct offset_part *parts; // sorted by partition
    uint32_t n, cap;
};
struct group_offsets {
    struct offset_topic *topics; // hash
    uint32_t n;                  // partitions with an offset that counts
    uint32_t pending_n;          // pending commits
};

// The entry of a partition, or NULL.
struct offset_part *offsets_find(const struct group_offsets *o, struct kp_str topic, int32_t partition);
// Sets it. Strings are copied. producer_id >= 0: pending.
void offsets_put(struct groups *gs, struct group *g, struct kp_str topic, int32_t partition,
                 int64_t producer_id, const struct offset_value *v, struct kp_str metadata);
// Removes what stands and what is pending.
void offsets_remove(struct groups *gs, struct group *g, struct kp_str topic, int32_t partition);
void offsets_free(struct groups *gs, struct group *g);
// The end of a producer's transaction. Groups that nothing is left of are gone afterwards.
void offsets_end_txn(struct groups *gs, int64_t producer_id, bool commit);
void offset_txns_free(struct groups *gs);

// A topic that offsets of this partition's groups were committed for. Its deletion takes them along; it must have been
// seen in an image before, because an image that is behind must not cost offsets.
struct topic_use {
    UT_hash_handle hh; // by name
    char *name;
    uint32_t name_len;
    uint32_t n; // struct offset_topic of this name
    bool known;
    struct sl_uuid id;
};

#endif
