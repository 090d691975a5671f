// A connection that comes back: after it broke it is made anew, with pauses that grow from 20 to 500 ms, to where the
// worker's view says that the node is now. One reactor's thread.
#ifndef SLUICE_BENCH_LOAD_REDIAL_H
#define SLUICE_BENCH_LOAD_REDIAL_H

#include "bench/load/link.h"

struct worker;

struct redial {
    struct worker *w;
    struct link *link; // its node_id says where to
    struct timer timer;
    uint64_t since; // ns: when it broke; 0: it works
    uint32_t tries;
    bool waiting;
    void (*up)(struct redial *rd);   // it connects: calls may be sent
    void (*lost)(struct redial *rd); // it did not come back within timeout.ms
};

// up, lost: run on the reactor's thread, from the timer.
void redial_init(struct redial *rd, struct worker *w, struct link *link, void (*up)(struct redial *),
                 void (*lost)(struct redial *));

// Opens the link for the first time, for `owner`, who hears when it breaks.
void redial_open(struct redial *rd, void *owner, void (*on_broken)(struct link *));

// The link broke, or was never open: opens it after a pause. Nothing, if that is under way.
void redial_start(struct redial *rd);

// Behind redial_works: the end of an outage.
void redial_worked(struct redial *rd);

// Ends it for good.
void redial_cancel(struct redial *rd);

// An answer came.
static inline void redial_works(struct redial *rd)
{
    if (__builtin_expect(rd->since != 0, 0))
        redial_worked(rd);
}

#endif
