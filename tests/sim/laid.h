// A check of recovery on a directory made by hand: an entry's bytes are laid over a block that holds more, which came
// another way (S5). No append does that yet: inline bytes are followed by later entries; direct ones will not be.
#ifndef SLUICE_TESTS_SIM_LAID_H
#define SLUICE_TESTS_SIM_LAID_H

#include "tests/sim/run.h"

void laid_check(struct run *r);

#endif
