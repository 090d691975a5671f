// Producers whose batches for a log were refused for lack of space, before the log knew them: which sequence has to come first.
//
// A log that does not know a producer takes any sequence from it (upstream's ProducerAppendInfo does), for its records may have
// been deleted. A producer with several batches in flight, the first of which are refused while a later one finds space again,
// would be known by that one from then on, and its first ones, sent again, be out of order for ever. Upstream has no such case: it takes
// a directory without space offline. A producer that the log knows needs no entry: its next sequence says the same.
//
// In memory only: after a start the producer sends again from its first batch on. The owner's thread only.
#ifndef SLUICE_ENGINE_SHARD_REFUSALS_H
#define SLUICE_ENGINE_SHARD_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

enum { REFUSALS_MAX = 16 }; // of a log; beyond it the oldest is forgotten

struct refusals; // NULL: none

// A batch that begins with `sequence` was refused. Nothing happens on lack of memory.
void refusals_note(struct refusals **r, int64_t producer_id, int16_t epoch, int32_t sequence);
// Whether a batch that begins with `sequence` has to wait for one that was refused before. One that has not ends the entry.
bool refusals_forbid(struct refusals **r, int64_t producer_id, int16_t epoch, int32_t sequence);
void refusals_free(struct refusals **r);

#endif
