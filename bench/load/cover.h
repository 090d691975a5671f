// What a group has read of a partition: every offset from where it began up to `upto`, by whichever member. Members may
// live on several threads; the position that one begins at was committed by another after it had read up to there.
#ifndef SLUICE_BENCH_LOAD_COVER_H
#define SLUICE_BENCH_LOAD_COVER_H

#include "engine/base/err.h"

struct cover {
    _Atomic int64_t upto;
    int64_t start; // the committed offset at the beginning, or where consumers begin
};

// Offsets from `from` to `next` (not included) were read. missing: how many before `from` nobody has read; twice: how
// many of them had been read before. Any thread.
void cover_read(struct cover *c, int64_t from, int64_t next, uint64_t *missing, uint64_t *twice);

#endif
