// The clients of a whole broker: producers, readers and an administrator with a connection each, in a process of their
// own that outlives the broker's lives. They speak Kafka's protocol; a broken connection leaves their requests' fate
// open, as it does for real ones.
#ifndef SLUICE_TESTS_SIM_PEOPLE_H
#define SLUICE_TESTS_SIM_PEOPLE_H

#include "tests/sim/model.h"

enum { BROKER_PORT = 9092 };

struct people;

struct people *people_create(struct run *r);
void people_start(struct people *p);
void people_stop(struct people *p); // they finish what they have begun
// Producers send nothing while hushed. Produce requests without an answer; whether anybody could send one.
void people_hush(struct people *p, bool hush);
uint32_t people_shots(const struct people *p);
bool people_write(struct people *p);
bool people_gone(void *people);
// Reads everything and compares it with the model; people_verified when done. Needs a serving broker.
void people_verify(struct people *p);
bool people_verified(void *people);
uint64_t people_content(const struct people *p);
uint64_t people_acks(const struct people *p);
void people_describe(const struct people *p, char *out, size_t cap);

#endif
