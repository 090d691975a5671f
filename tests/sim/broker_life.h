// One life of the whole broker (tools/broker) in the simulated world.
#ifndef SLUICE_TESTS_SIM_BROKER_LIFE_H
#define SLUICE_TESTS_SIM_BROKER_LIFE_H

#include "tests/sim/run.h"
#include "tools/broker/broker.h"

struct blife {
    struct run *r;
    uint32_t no, n;
    struct sim_process *p;
    struct io *ios[4];
    struct config *cfg;
    struct metrics *metrics;
    struct broker *b;
    bool over, boot_said;
    uint64_t extended; // writes that made a file longer, when it began to serve
};

struct blife *blife_start(struct run *r);
bool blife_up(void *blife); // serving, or failed
bool blife_serving(struct blife *l);
int blife_error(struct blife *l, const char **text);
void blife_kill(struct blife *l);
void blife_power_cut(struct blife *l);
void blife_stop(struct blife *l);
bool blife_stopped(void *blife);
void blife_finish(struct blife *l);
bool blife_finished(void *blife);
void blife_free(struct blife *l); // after blife_finished

#endif
