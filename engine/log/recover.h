// Recovery of one log, in parts; see log_recover in log.h for the rules. Fibers on the boot reactor.
#ifndef SLUICE_ENGINE_LOG_RECOVER_H
#define SLUICE_ENGINE_LOG_RECOVER_H

#include "engine/log/log_private.h"

struct offsets {
    int64_t *v;
    uint32_t n, cap;
};

// What a partition's directory holds, by the offsets in the names, ascending but for the spares.
struct recover_dir {
    struct offsets logs; // .log files
    uint64_t *sizes;     // and how large they are
    struct offsets snapshots;
    struct offsets txnindexes, indexes, timeindexes;
    struct offsets spares; // files made ahead (ahead.h)
    bool transactions;     // there is, or was, a .txnindex file
    bool leftovers;        // there are names for recover_leftovers
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

// recover_journal.c: from checkpoint and journal. recover_files.c: from the files alone.
int recover_from_journal(struct log *l, struct recover_dir *d, const struct log_left *left, char *err,
                         size_t cap);
int recover_from_files(struct log *l, struct recover_dir *d, bool clean, int64_t recovery_point, char *err,
                       size_t cap);

#endif
