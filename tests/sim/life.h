// One life of a broker made of storage only: a store, its shards, and driver services that stand where net would.
//
// Reactors 0..drivers-1 carry drivers (traffic.c); each shard has a reactor, behind these or with them. Boot
// is a fiber on reactor 0, in the order that
// store.h gives; the metadata that a real broker would recover first is the model's list of topics.
#ifndef SLUICE_TESTS_SIM_LIFE_H
#define SLUICE_TESTS_SIM_LIFE_H

#include "engine/shard/shard.h"
#include "tests/sim/model.h"

enum { LIFE_SHARDS = 4, LIFE_REACTORS = 6 };

struct traffic;

struct life {
    struct run *r;
    uint32_t no;
    struct sim_process *p;
    uint32_t drivers, shards_n, reactors;
    uint32_t first_shard; // the reactor of shard 0: 0, or behind the drivers
    struct io *ios[LIFE_REACTORS];
    struct reactor_group *g;
    struct store *store;
    struct shard *shards[LIFE_SHARDS];
    uint32_t ready;
    bool serving;      // boot is over and every shard opened its journal
    bool over;         // killed: nothing that its reactors still do counts
    bool broken;       // boot failed, with rc and err
    bool stopped;      // clean stop: all services stopped
    bool finished;     // and the directory is marked clean
    uint64_t extended; // writes that made a file longer, when it began to serve
    int rc;
    char err[900];
    enum store_kind kind;
    struct traffic *t;
};

// Makes the process and starts its boot fiber.
struct life *life_start(struct run *r);
// kill -9, or a power cut of its host. Its memory is left alone from then on.
void life_kill(struct life *l);
void life_power_cut(struct life *l);
// Starts a clean stop; life_stopped, then life_finish, then life_finished. Frees everything afterwards with life_free.
void life_stop(struct life *l);
bool life_stopped(void *life);
void life_finish(struct life *l);
bool life_finished(void *life);
bool life_booted(void *life); // serving, or broken
void life_free(struct life *l);

void life_log_config(const struct run *r, const struct mtopic *t, struct log_config *c);
// The reactor of the shard that owns a partition.
uint32_t life_reactor_of(const struct life *l, const struct mpart *p);

#define LIFE_DIR "/data"

#endif
