// Batches to send: valid v2 batches whose payloads name their attempt, and may look like headers of ours.
#ifndef SLUICE_TESTS_SIM_PAYLOAD_H
#define SLUICE_TESTS_SIM_PAYLOAD_H

#include "tests/sim/run.h"

struct payload_spec {
    uint32_t attempt;   // its number, unique
    uint32_t max_bytes; // of the batch
    int64_t now_ms;
    int64_t producer_id; // -1: none
    int32_t sequence;
    uint32_t keys; // of a topic whose records have some
    bool transactional;
};
// Bytes of a value: of one kind or another, or what lies on the disk.
void payload_fill(struct run *r, uint8_t *b, uint32_t n);
// Returns malloc'd bytes of one batch, and how many bytes and records.
uint8_t *payload_make(struct run *r, const struct payload_spec *s, uint32_t *bytes, uint32_t *records);

// Of a fetch's answer, whose last batch may be cut: how many bytes are whole batches.
uint64_t payload_whole_batches(const uint8_t *b, uint64_t n);

#endif
