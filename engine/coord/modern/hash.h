/* The hash by which a group notices that its topics changed.
 *
 * The hash is stored in ConsumerGroupMetadataValue, so it is upstream's, bit for bit: XXH3 with 64 bits, all
 * numbers little-endian. Of a topic:
 *     0x00 | id, upper and lower half, int64 each | name | partitions int32
 *     then per partition:  number int32 | per rack of its replicas, sorted:  length int32, rack
 * where a string is its UTF-16 units, then their number as int32. Of a group: the hashes of the topics it
 * subscribes to that exist, int64 each, sorted by name; 0 when there is none. */
#ifndef SLUICE_ENGINE_COORD_MODERN_HASH_H
#define SLUICE_ENGINE_COORD_MODERN_HASH_H

#include "engine/base/arena.h"
#include "engine/base/uuid.h"
#include "proto/codec.h"

#define CG_RACKS_MAX 64 /* racks of one partition's replicas that count */

/* Where a topic's replicas are. */
struct cg_racks {
    void *ctx;
    /* Racks of the partition's replicas, at most CG_RACKS_MAX, in any order; brokers without one are left out.
     * Returns how many. */
    uint32_t (*of)(void *ctx, const struct sl_uuid *topic, int32_t partition, struct kp_str *out);
};

/* Hash of one topic. racks: NULL when no broker has one. 0 or -ENOMEM. */
int cg_topic_hash(const struct sl_uuid *id, struct kp_str name, int32_t partitions,
                  const struct cg_racks *racks, struct arena *arena, uint64_t *out);

/* Hash of a group from the hashes of its topics in the order of their names. */
uint64_t cg_group_hash(const uint64_t *hashes, uint32_t n);

#endif
