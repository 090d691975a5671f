// Topics whose batches the broker may write anew: compaction takes records out of them, compression.type puts them into
// another codec. Their records have keys that come again, some are tombstones, and a header of each says which it is, so that
// what is read back is known record by record.
#ifndef SLUICE_TESTS_SIM_KEYED_H
#define SLUICE_TESTS_SIM_KEYED_H

#include "tests/sim/model.h"
#include "tests/sim/payload.h"

struct log_config;

// Chooses what such a topic is like. Draws from a generator of its own.
void keyed_policy(struct model *m, struct mtopic *t);
// The policy's part of a log's settings.
void keyed_log_config(const struct mtopic *t, struct log_config *c);
// The same as a topic's configuration. Returns how many.
enum { KEYED_SETTINGS = 8 };
struct keyed_setting {
    const char *key;
    char value[32];
};
uint32_t keyed_settings(const struct run *r, const struct mtopic *t, struct keyed_setting *out);
// Returns malloc'd bytes of one batch, in any codec, and how many bytes and records.
uint8_t *keyed_make(struct run *r, const struct payload_spec *s, uint32_t *bytes, uint32_t *records);
// Remembers the records of a batch that is about to be sent.
void keyed_note(struct model *m, struct attempt *a, const uint8_t *batch);
// Whose batch this is, and which of its records are in it; everything else of it is checked.
struct mbatch keyed_identify(struct model *m, struct mpart *p, const uint8_t *b);
// What a read_committed reader got: every batch is what its list of aborted transactions makes of it, and nothing of an open
// transaction is shown. `start`: the log start that came with it.
struct aborted_txn;
void keyed_committed(struct model *m, struct mpart *p, int64_t start, int64_t stable, const uint8_t *bytes,
                     uint64_t n, const struct aborted_txn *aborted, uint32_t aborted_n);
// The end of a verification that saw v->start up to `hw`: of each key the newest record is there, unless it was a tombstone
// whose time is over; of each producer the batch with its last sequence.
void keyed_verify(struct model *m, const struct verify *v, int64_t hw);
// After it, and while nothing changes: the time of some record that is there, or of the moment before or after; -1: there is none.
int64_t keyed_some_time(struct model *m, const struct verify *v);
// The first offset whose record is as new as `time`, and that record's time in *found; -1: none.
int64_t keyed_offset_for_time(const struct model *m, const struct verify *v, int64_t time, int64_t *found);

#endif
