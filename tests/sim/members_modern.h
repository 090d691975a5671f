// Between members_modern.c and members_mixed.c: what members of consumer groups know, whichever protocol they speak.
#ifndef SLUICE_TESTS_SIM_MEMBERS_MODERN_H
#define SLUICE_TESTS_SIM_MEMBERS_MODERN_H

#include "tests/sim/members_private.h"

// It is in no group any more and owns nothing; it keeps its id.
void modern_lost(struct member *me);
// The same, and joins as a new one: another id, another protocol perhaps.
void modern_begin(struct member *me);
// It was told that it owns these places from now on. Whoever else believes to own one of them must have been thrown out.
void modern_told(struct member *me, uint32_t places);
// An answer to something sent when `doomed` places of it were others' already says that it is still in.
void modern_confirmed(struct member *me, uint32_t doomed, const char *how);
uint32_t modern_subscribed(const struct member *me); // bits of places
// Fiber.
void modern_commit(struct member *me, int32_t place);
void modern_commit_all(struct member *me); // of everything it owns
// What a member of either protocol does now and then, by the draw `what`: true if it was one of these things.
bool modern_usual(struct member *me, uint32_t what, int32_t place, void (*leave)(struct member *me));

// ---- members_mixed.c -------------------------------------------------------------------------------------------------
// Fiber. One step of a member that speaks the classic protocol.
void modern_classic_step(struct member *me);

#endif
