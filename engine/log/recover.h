// Recovery of one log, in parts; see log_recover in log.h for the rules. Fibers on the boot reactor.
#ifndef SLUICE_ENGINE_LOG_RECOVER_H
#define SLUICE_ENGINE_LOG_RECOVER_H

#include "engine/log/log_private.h"

// What a partition's directory holds.
struct recover_dir {
    int64_t *bases; // of .log files, ascending
    uint64_t *sizes;
    uint32_t n, cap;
    int64_t *snapshots; // offsets of .snapshot files, ascending
    uint32_t snapshots_n, snapshots_cap;
    int64_t *txnindexes; // segments with a .txnindex file, ascending
    uint32_t txnindexes_n, txnindexes_cap;
    int64_t *indexes; // likewise of .index, and below of .timeindex
    uint32_t indexes_n, indexes_cap;
    int64_t *timeindexes;
    uint32_t timeindexes_n, timeindexes_cap;
    bool transactions; // there is, or was, such a file
    bool leftovers;    // there are names for recover_leftovers
    int64_t *spares;   // of files made ahead (ahead.h)
    uint32_t spares_n, spares_cap;
};
int recover_list(struct log *l, struct recover_dir *d);
void recover_dir_free(struct recover_dir *d);
// Whether the segment has both its index files.
bool recover_has_indexes(const struct recover_dir *d, int64_t base);

// Adds a segment as sealed and clean, `size` bytes long.
struct segment *recover_add_segment(struct log *l, int64_t base, uint32_t size, int *err);
// Removes a segment's files.
int recover_unlink_segment(struct log *l, int64_t base);
// Forgets the segments that lie below the log start. Their files are stale then.
void recover_drop_below_start(struct log *l);
// Fiber. What segments that left the log, or were to take others' place, have left in its directory when a crash came
// (names of retention.c and compact_swap.c): removed, or brought to their end.
bool recover_is_leftover(const char *name);
int recover_leftovers(struct log *l);
// recover_swap.c. Whether a name is one that upstream's compaction gives while it works, <base>.<kind>.<end>; `end` is
// "cleaned" or "swap".
bool recover_parse_upstream(const char *name, const char *end, int64_t *base, uint32_t *kind);
// Fiber. Brings the compaction that upstream had begun to its end, or undoes it; `names` are those in the log's directory, each
// with its NUL. 0 or -errno.
int recover_upstream_swaps(struct log *l, const struct sbuf *names);
// The log ends at the end of its last segment, at `end`; those before it are finished.
void recover_set_end(struct log *l, int64_t end);

// Lays journal bytes over segment blocks as they are (S5): contiguous runs are gathered and written in whole blocks.
struct layer {
    struct segment *seg;
    uint8_t *buf;
    uint32_t start, end; // of the run; start is block aligned
    bool wrote;
};
int layer_put(struct layer *y, struct segment *s, uint32_t pos, const uint8_t *p, uint32_t n);
int layer_flush(struct layer *y);
void layer_free(struct layer *y);

// recover_ours.c: from checkpoint and journal. recover_files.c: from the files alone.
int recover_from_journal(struct log *l, struct recover_dir *d, const struct log_left *left, char *err,
                         size_t cap);
int recover_from_files(struct log *l, struct recover_dir *d, bool clean, int64_t recovery_point, char *err,
                       size_t cap);

#endif
