// What the clients of one life share among their files.
#ifndef SLUICE_TESTS_SIM_TRAFFIC_PRIVATE_H
#define SLUICE_TESTS_SIM_TRAFFIC_PRIVATE_H

#include "tests/sim/traffic.h"

bool traffic_going(const struct traffic *t);
bool traffic_hushed(const struct traffic *t); // or not open yet: nothing is produced
struct life *traffic_life(const struct traffic *t);
struct mpart *traffic_pick(struct traffic *t); // NULL: no topic serves
// Fiber. Appends one batch (malloc'd, taken) and waits for the answer: 0 and *base, or a Kafka error; -1: the traffic stops, or
// the life is over, and nobody knows what became of it.
int32_t traffic_append(struct traffic *t, struct mpart *p, uint8_t *batch, uint32_t bytes, bool internal,
                       int64_t *base);
// Whether an answer may be this error, in the story that is told.
bool traffic_may_fail(struct traffic *t, struct mpart *p, int16_t error);

// txns.c: what a producer of transactions does next, in one partition at a time. `n`: which one.
enum { TXNS_MAX = 2 };
void txns_step(struct traffic *t, uint32_t n);

#endif
