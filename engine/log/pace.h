// How much of a shard's write-back is in flight at a time.
//
// A commit group's write stands behind whatever the device has to do. So while there is room, write-back keeps little in
// flight: it takes longer, and nobody waits for it. When someone will soon wait for it, for a journal file or for memory, it
// takes all that the disk gives.
#ifndef SLUICE_ENGINE_LOG_PACE_H
#define SLUICE_ENGINE_LOG_PACE_H

#include "engine/base/err.h"
#include "engine/base/list.h"

struct log_env;

enum {
    PACE_CALM_BYTES = 256 << 10, // in flight at a time while there is room; also the largest write then
    PACE_CALM_WRITES = 2,
    PACE_HURRY_WRITE = 1 << 20,
    PACE_HURRY_BYTES = 8 << 20,
    PACE_HURRY_WRITES = 32,
};

// One for a shard and log directory, in its log_env; its reactor's thread only.
struct pace {
    struct list_node waiters;
    uint64_t bytes; // of writes in flight
    uint32_t writes;
    uint32_t short_of_memory; // fibers that wait for memory which write-back frees
};

void pace_init(struct pace *p);
// Whether somebody waits for write-back, or soon will.
bool pace_hurry(const struct log_env *env);
// The largest write, in bytes, to ask for now.
uint32_t pace_write_max(const struct log_env *env);
// Fiber. Waits for its turn, in order, to have a write of `bytes` in flight; one is always let through.
void pace_enter(struct log_env *env, uint32_t bytes);
// The write has ended. Outside of fibers too.
void pace_leave(struct log_env *env, uint32_t bytes);

#endif
