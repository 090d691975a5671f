// Files of earlier lives that come back into the journal directory while the broker is down: a backup copied over it, a
// file renamed by hand, or what a file system finds again. Their life id is another one, so they say nothing (S4).
#ifndef SLUICE_TESTS_SIM_STRAY_H
#define SLUICE_TESTS_SIM_STRAY_H

#include "tests/sim/run.h"

// After a life: remembers one of its journal's files, sometimes.
void stray_keep(struct run *r);
// Before the next: puts one back, sometimes, under its own name or one of the life in force.
void stray_plant(struct run *r);

#endif
