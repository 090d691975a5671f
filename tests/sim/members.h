// Members of groups, in a process of their own that outlives the broker's lives: they join, sync, beat, commit, leave, or
// say nothing for too long; and one who commits without being a member.
//
// What must be true:
//  - In one generation of a group a partition is given to one member only, whatever happens to the broker.
//  - Committed offsets never go back: what is read is at least what was acknowledged before the question was sent, and it
//    is something that was sent.
//  - Once a generation's assignment was given out, commits of earlier generations are refused.
//  - When faults have ended, every group settles: all members in one generation, every partition owned.
#ifndef SLUICE_TESTS_SIM_MEMBERS_H
#define SLUICE_TESTS_SIM_MEMBERS_H

#include "tests/sim/run.h"

struct members;

struct members *members_create(struct run *r);
void members_start(struct members *m);
bool members_settled(void *members);
void members_stop(struct members *m);
bool members_gone(void *members);
// Reads all offsets and checks them; the hash of what there is, once members_verified.
void members_verify(struct members *m);
bool members_verified(void *members);
uint64_t members_content(const struct members *m);
void members_describe(const struct members *m, char *out, size_t cap);

#endif
