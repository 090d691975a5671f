// A check of recovery on a directory made by hand: an entry's bytes are laid over a block that holds more, which came
// another way (S5). The stories do not get there: what follows an entry in its block is in a later entry, direct or not.
#ifndef SLUICE_TESTS_SIM_LAID_H
#define SLUICE_TESTS_SIM_LAID_H

#include "tests/sim/run.h"

void laid_check(struct run *r);

#endif
