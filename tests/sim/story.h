// What the two stories (storage only: scenario.c; whole broker: story_broker.c) share.
#ifndef SLUICE_TESTS_SIM_STORY_H
#define SLUICE_TESTS_SIM_STORY_H

#include "tests/sim/model.h"

#define MS  1000000ull
#define SEC 1000000000ull

// How long an append may be held on a full disk, and how long the broker may take to notice that there is space.
#define STORY_HELD   (25 * SEC)
#define STORY_HEALED (12 * SEC)

void story_faults_on(struct run *r);
void story_faults_off(struct run *r);
// Whether this life's shortages end while it runs. (A broken disk does not heal.)
bool story_may_heal(struct run *r);
// The files after a clean stop hold exactly the model's records; no code of the broker is asked.
void story_check_files(struct run *r);

void story_broker(struct run *r);

#endif
