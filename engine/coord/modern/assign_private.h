/* Between the assignors' files. */
#ifndef SLUICE_ENGINE_COORD_MODERN_ASSIGN_PRIVATE_H
#define SLUICE_ENGINE_COORD_MODERN_ASSIGN_PRIVATE_H

#include "engine/coord/modern/assign.h"

int cg_assign_uniform(struct cg_assign *job);
int cg_assign_mixed(struct cg_assign *job);
int cg_assign_range(struct cg_assign *job);

/* Index of a topic, or -1. */
int64_t cg_assign_topic_index(const struct cg_assign *job, const struct sl_uuid *id);

/* One number per partition: partitions of topic t are at base[t] and on; base[topics_n] is their sum. */
struct cg_owners {
    uint32_t *base;
    int32_t *owner; /* index of a member, or -1 */
};
int cg_owners_init(struct cg_owners *o, const struct cg_assign *job);

#endif
