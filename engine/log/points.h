// Upstream's offset checkpoint files of a log directory (recovery-point-, replication-, log-start-, cleaner-offset-checkpoint),
// read whole at a start and asked partition by partition.
#ifndef SLUICE_ENGINE_LOG_POINTS_H
#define SLUICE_ENGINE_LOG_POINTS_H

#include "engine/log/textfiles.h"

// Zeroed is a valid empty set.
struct points {
    struct offset_checkpoint *v; // sorted by topic and partition
    uint32_t n, cap;
};

// Fiber. Reads <dir>/<name>. 0, also when the file is not there (then empty); -EBADMSG: damaged, and then empty; -errno.
int points_load(struct points *p, const char *dir, const char *name);
// The offset of a partition; -1: not named.
int64_t points_find(const struct points *p, const char *topic, int32_t partition);
void points_free(struct points *p);

#endif
