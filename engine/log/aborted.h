// The aborted transactions of a log, for read_committed fetches: upstream's transaction index.
//
// In memory they are one list of the log, in the order of their markers; on disk each lies in the .txnindex file of the
// segment that holds its marker (txnindex.h). Markers come with appends, and a file is written before the segment is
// finished, before a checkpoint speaks of the marker, and at the end of a recovery: what the journal no longer tells, a
// file does. A segment without aborted transactions has no file.
//
// An entry goes when its marker does, by the log start or by compaction: a reader that was told of a transaction skips
// its producer's records until it meets the marker, so one told of a marker that is not there would skip for ever.
#ifndef SLUICE_ENGINE_LOG_ABORTED_H
#define SLUICE_ENGINE_LOG_ABORTED_H

#include "engine/log/producer_state.h"
#include "engine/log/txnindex.h"

struct log;

// Zeroed is empty.
struct aborted_list {
    struct aborted_txn *v; // last offsets rise
    uint32_t n, cap;
    int64_t written; // the files have those whose last offset lies below
    bool lost;       // files are damaged, or were removed: log_aborted_recovered
};
void aborted_list_free(struct aborted_list *x);

// A marker was applied. One that the list has already, or that ended no transaction or committed it, adds nothing.
void log_aborted_add(struct log *l, const struct producer_completed *done);
// Forgets what lies below the log start, and what lies at or above `end`.
void log_aborted_cut_start(struct log *l, int64_t start);
void log_aborted_cut_end(struct log *l, int64_t end);
// Of the markers in [base, next) only `n` are left, at `offsets` (ascending): compaction removed the others.
void log_aborted_keep(struct log *l, int64_t base, int64_t next, const int64_t *offsets, uint32_t n);

// Fibers. 0 or -errno.
// Reads the files of the segments that start at `bases` (ascending). One that is damaged empties the list, and
// log_aborted_recovered makes it anew.
int log_aborted_load(struct log *l, const int64_t *bases, uint32_t n);
// At the end of a recovery: the list is what the log holds, and the files have all of it.
int log_aborted_recovered(struct log *l);
// Writes the files of segments with durable entries that no file has yet, durably; holds io_lock, or is the recovery.
int log_aborted_write(struct log *l);
// Writes the file of the segment [base, next) as the list has it, durably, whatever was there.
int log_aborted_write_segment(struct log *l, int64_t base, int64_t next);

#endif
