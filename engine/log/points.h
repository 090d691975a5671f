// Upstream's offset checkpoint files of a log directory (recovery-point-, replication-, log-start-, cleaner-offset-checkpoint),
// read whole at a start and asked partition by partition. They count where no journal speaks of the logs: after a clean
// stop, or where upstream was.
#ifndef SLUICE_ENGINE_LOG_POINTS_H
#define SLUICE_ENGINE_LOG_POINTS_H

#include "engine/log/log.h"
#include "engine/log/store.h"
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

// The three that a start needs. Zeroed is a valid empty set.
struct start_points {
    struct points recovery; // where an unclean stop of upstream makes checking begin
    struct points starts;   // log start offsets
    struct points cleaned;  // first offsets that compaction has not seen
};

// Fiber. Reads those of `dir` that count for a directory found as `kind`: none where our journals are there, which know
// better. One that cannot be read is left out, with a warning that says what follows from it.
void start_points_load(struct start_points *p, const char *dir, enum store_kind kind);
// The recovery point of a partition, 0 where there is none: log_recover()'s parameter.
int64_t start_points_recovery(const struct start_points *p, const char *topic, int32_t partition);
// Fiber. Gives a log that was just recovered its start and its first dirty offset. 0, or -errno.
int start_points_apply(const struct start_points *p, struct log *l);
void start_points_free(struct start_points *p);

#endif
