// Members of groups, in a process of their own that outlives the broker's lives: they join, sync, beat, commit, leave, or
// say nothing for too long; and one who commits without being a member.
//
//   g0, g1   the classic protocol, with a protocol type of their own (members_classic.c)
//   g2       the consumer protocol, KIP-848 (members_modern.c): names and patterns, static members, sessions that expire,
//            members that do not revoke in time
//   g3       both: a member chooses its protocol each time it begins anew; the classic ones are eager or cooperative
//            (members_mixed.c). The group is upgraded and downgraded under them
//   g4       offsets only
//
// What must be true:
//  - In one generation of a group a partition is given to one member only, whatever happens to the broker.
//  - In g2 and g3, when a member is told that it owns a partition, nobody else owns it: whoever believes so was thrown out,
//    hears so at its next request, and cannot commit. (A Heartbeat of the classic protocol that comes while the
//    coordinator loads tells nothing.)
//  - The epoch of a member never goes back, and the coordinator does not forget it; in g2 the group's never does.
//  - A member is given partitions of topics only that it subscribes to.
//  - Committed offsets never go back: what is read is at least what was acknowledged before the question was sent, and it
//    is something that was sent.
//  - Once a generation's assignment was given out, commits of earlier generations are refused (g0, g1).
//  - When faults have ended, every group settles: all members in one generation, every partition owned, by one.
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
