// What the clients of one life share among their files.
#ifndef SLUICE_TESTS_SIM_TRAFFIC_PRIVATE_H
#define SLUICE_TESTS_SIM_TRAFFIC_PRIVATE_H

#include "engine/shard/shard.h"
#include "tests/sim/traffic.h"

// The service that stands where net would, on one reactor.
struct driver {
    struct service net;
    struct traffic *t;
    struct reactor *r;
};

struct traffic {
    struct life *l;
    struct driver drivers[2];
    bool opened, stop, verified, quiet, hush;
    uint32_t fibers, in_flight, appends;
    uint64_t acks, content;
    uint64_t next_key;
    struct watcher *watchers;
};

// A request that a fiber waits for.
struct call {
    struct fiber *f;
    bool done;
};

// A reader that waits for its watch.
struct watcher {
    uint64_t key;
    struct fiber *f;
    bool early; // it does not wait yet: what comes is missed
    bool missed, fired, pushed, again;
    struct shard_fetch_part part; // pushed: the answer, and its pins
    struct shard_pins *pins;
    struct watcher *next;
};

bool traffic_going(const struct traffic *t);
bool traffic_hushed(const struct traffic *t); // or not open yet: nothing is produced
struct life *traffic_life(const struct traffic *t);
struct mpart *traffic_pick(struct traffic *t); // NULL: no topic serves
// Fiber. Appends one batch (malloc'd, taken) and waits for the answer: 0 and *base, or a Kafka error; -1: the traffic stops, or
// the life is over, and nobody knows what became of it.
int32_t traffic_append(struct traffic *t, struct mpart *p, uint8_t *batch, uint32_t bytes, bool internal,
                       int64_t *base);
// Whether an answer may be this error, in the story that is told.
bool traffic_may_fail(struct traffic *t, struct mpart *p, int16_t error);

// Fiber. Waits for a credit towards reactor `to`. False: the traffic stops.
bool traffic_take_credit(struct traffic *t, struct reactor *r, uint32_t to, bool always);
// Fiber. Sends a request, whose credit was taken, and waits for its answer.
void traffic_ask(struct traffic *t, struct reactor *r, uint32_t to, uint16_t op, void *req, struct call *c);

// readers.c. Fibers, all but readers_fired, which takes a notice and acknowledges it.
void readers_fired(struct traffic *t, struct reactor *r, uint32_t from, struct shard_fired *fd);
// One fetch of one partition. Its credit was taken. `key`: of a watch, 0: none; of an odd key it pushes. Returns malloc'd bytes,
// *n of them whole batches; -1 in *n: the partition is gone.
uint8_t *readers_fetch(struct traffic *t, struct mpart *p, int64_t offset, uint32_t max, uint64_t key,
                       bool committed, struct shard_fetch_part *part, int64_t *n);
void readers_once(struct traffic *t, int64_t *tail, struct mpart **last);

// txns.c: what a producer of transactions does next, in one partition at a time. `n`: which one.
enum { TXNS_MAX = 2 };
void txns_step(struct traffic *t, uint32_t n);

#endif
