// What the two stories (storage only: scenario.c; whole broker: story_broker.c) share.
#ifndef SLUICE_TESTS_SIM_STORY_H
#define SLUICE_TESTS_SIM_STORY_H

#include "tests/sim/model.h"

#define MS  1000000ull
#define SEC 1000000000ull

void story_faults_on(struct run *r);
void story_faults_off(struct run *r);
// The files after a clean stop hold exactly the model's records; no code of the broker is asked.
void story_check_files(struct run *r);

void story_broker(struct run *r);

#endif
