/* What `sluice log check` finds, and its parts. One thread. */
#ifndef SLUICE_TOOLS_SLUICE_LOG_CHECK_H
#define SLUICE_TOOLS_SLUICE_LOG_CHECK_H

#include "engine/log/epoch.h"
#include "engine/log/store.h"
#include "tools/sluice/logfile.h"

struct check {
    bool repair;
    const char *dir; /* the log directory */
    enum store_kind kind;
    struct store *store; /* NULL: without journals */
    /* counted */
    uint64_t partitions, segments, batches, records, bytes, indexes;
    uint64_t problems, repaired, notes;
};

/* A partition under check. */
struct check_log {
    struct check *c;
    char path[1300];      /* its directory */
    const char *name;     /* of that: topic-N */
    struct store_log *sl; /* what the journals and checkpoints know of it; NULL: nothing */
    struct epoch_cache epochs;
    bool has_epochs;
    int64_t end; /* offset behind the last batch so far */
    int32_t last_epoch;
    bool cut; /* a direct batch that nothing confirmed does not hold: recovery will end the log before it */
};

/* A segment: its bytes with what the journal holds laid over them. */
struct check_segment {
    struct check_log *log;
    int64_t base;
    const uint8_t *data;
    size_t len;   /* bytes that belong to the log */
    bool settled; /* no entry of a journal concerns it: its indexes must be whole */
    bool last;    /* of its log */
};

/* One line of the report about `path`; problems make the exit status 1, notes do not. */
void check_problem(struct check *c, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void check_note(struct check *c, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* log_check_dir.c: every partition directory, then what the journals know and the directory lacks. */
void check_directory(struct check *c);
/* log_check_segment.c: every batch of a segment and its records. Moves log->end. False: it is damaged. */
bool check_batches(struct check_segment *s);
/* log_check_index.c: the segment's .index, .timeindex and .txnindex beside its batches, which are sound. */
void check_indexes(struct check_segment *s);

#endif
