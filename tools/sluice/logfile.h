/* Files of a log directory, read whole for the offline commands `sluice log dump` and `sluice log check`. One thread;
 * nothing here writes. */
#ifndef SLUICE_TOOLS_SLUICE_LOGFILE_H
#define SLUICE_TOOLS_SLUICE_LOGFILE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/err.h"

/* What a file is, by its name and, where names are shared, by its first bytes. */
enum logfile_kind {
    LOGFILE_UNKNOWN,
    LOGFILE_SEGMENT,   /* NNN.log, and KRaft's snapshots NNN-EEE.checkpoint: record batches */
    LOGFILE_INDEX,     /* NNN.index */
    LOGFILE_TIMEINDEX, /* NNN.timeindex */
    LOGFILE_TXNINDEX,  /* NNN.txnindex */
    LOGFILE_PRODUCERS, /* NNN.snapshot */
    LOGFILE_JOURNAL,   /* <life>-sN-fN.journal */
    LOGFILE_SHARD,     /* <life>-sN.checkpoint: a shard's checkpoint */
    LOGFILE_TEXT,      /* checkpoint and properties files */
};

struct logfile {
    const uint8_t *data; /* `len` bytes, mapped; NULL when empty */
    size_t len;
    int64_t base_offset; /* of a segment's files: the number in the name; else -1 */
    enum logfile_kind kind;
    char path[1400];
};

/* Maps the file at `path`. 0 or -errno. logfile_close gives the mapping back; it may be called twice. */
int logfile_open(struct logfile *f, const char *path);
void logfile_close(struct logfile *f);

/* The number of a name like 00000000000000001234.log (20 digits and the suffix given), or -1. */
int64_t logfile_number(const char *name, const char *suffix);

#endif
