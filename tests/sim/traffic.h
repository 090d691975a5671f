// The clients of one life: producers, readers and an administrator, as fibers on the driver reactors that talk to the
// shards by message, as net does. What a producer knows (sequences, what is not acknowledged yet) outlives the life.
#ifndef SLUICE_TESTS_SIM_TRAFFIC_H
#define SLUICE_TESTS_SIM_TRAFFIC_H

#include "tests/sim/life.h"

struct traffic *traffic_create(struct life *l);
// Once the life serves: the administrator opens every topic, then producers and readers go on until traffic_stop.
// `verify`: before that, everything is read and compared with the model. `quiet`: then nothing more happens.
void traffic_start(struct traffic *t, bool verify, bool quiet);
bool traffic_open(void *traffic); // the administrator is through with the start
void traffic_stop(struct traffic *t);
// Producers send nothing while hushed. Appends without an answer; whether anybody could send one.
void traffic_hush(struct traffic *t, bool hush);
uint32_t traffic_appends(const struct traffic *t);
bool traffic_writes(const struct traffic *t);
bool traffic_idle(void *traffic); // no fiber, no request in flight
// Reads and compares everything; traffic_verified when done. The hash is equal for equal contents.
void traffic_verify(struct traffic *t);
bool traffic_verified(void *traffic);
uint64_t traffic_content(const struct traffic *t);
// When acknowledgements have come since the last call (endings that follow an answer closely).
uint64_t traffic_acks(const struct traffic *t);
// The life was killed: whatever is in flight has an unknown fate.
void traffic_life_over(struct traffic *t);
void traffic_free(struct traffic *t);
// What it waits for, for a failure's text.
void traffic_describe(const struct traffic *t, char *out, size_t cap);

#endif
