// The composition root: one broker made of its rooms, for the daemon and for the simulator alike.
//
// Life of a broker: broker_create (reactors over the caller's ios) -> broker_boot (a fiber on reactor 0: locks, journals,
// metadata, logs recovered, a new life begun, services placed) -> all reactors run; shards open their journals, the
// controller appends what a start appends, the listeners open -> broker_stop -> reactors end -> broker_finish (a fiber on
// reactor 0: upstream's checkpoint files, clean-shutdown file).
#ifndef SLUICE_TOOLS_BROKER_BROKER_H
#define SLUICE_TOOLS_BROKER_BROKER_H

#include "net/net.h"

struct broker;

// `cfg` (finished) and ios[0..n) outlive the broker; n: 1..REACTOR_MAX. NULL on lack of memory.
struct broker *broker_create(const struct config *cfg, uint32_t n, struct io *const *ios,
                             struct metrics *metrics);
// Before broker_boot: the thread that gets memory of the broker's pools ready, which outlives the broker. Without one each
// reactor does so itself, as in the simulator.
void broker_set_prefault(struct broker *b, struct prefault *f);
struct reactor_group *broker_group(struct broker *b);
struct metrics *broker_metrics(struct broker *b);

// Starts the boot fiber on reactor 0. *broker_booted becomes true when it ended; broker_error then tells how (0 or
// -errno, with text).
int broker_boot(struct broker *b);
const bool *broker_booted(const struct broker *b);
int broker_error(const struct broker *b, const char **text);

// True once listeners are open (any thread); -errno text as above if that failed.
bool broker_serving(const struct broker *b);
// The port of the first listener (for port 0).

// After the reactors ended: starts the finishing fiber on reactor 0; *broker_finished when done. Does nothing durable if a
// log failed to close: the next start then recovers.
int broker_finish(struct broker *b);
const bool *broker_finished(const struct broker *b);
// Frees everything but cfg, ios and metrics.
void broker_destroy(struct broker *b);

#endif
