// How fast old records are read from disk while appends are at work.
//
// A commit group's write stands behind the reads that the device has, and what is read keeps the cores busy, too. So each read is
// followed by a pause: as long as the read took, while commits take as long as they usually do; longer while they take more than
// twice that. It doubles with every look at them then, and falls slowly (additive increase of the rate, multiplicative
// decrease, as congestion control does). But readers have to catch up: pauses do not grow, they shrink, while less than half
// as much again is read as is appended. What is usual is the least that was seen of late: it follows a faster disk at once,
// and a slower one over half a minute.
//
// Plain arithmetic: no I/O, no clock of its own; whose it is, its thread only.
#ifndef SLUICE_ENGINE_LOG_COLD_PACE_H
#define SLUICE_ENGINE_LOG_COLD_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    COLD_PACE_ONE = 8,                  // fixed point: a pause as long as the read
    COLD_PACE_MOST = 16 * COLD_PACE_ONE // readers do go on
};

// What all shards of the process did so far.
struct cold_pace_totals {
    uint64_t groups, commit_ns; // commit groups written, and how long they took together
    uint64_t appended, read;    // bytes; read: from disk
};

struct cold_pace {
    struct cold_pace_totals was; // at the last look that counted
    uint64_t seen;               // total of groups at the last look of all
    uint64_t looked, busy_until;
    uint64_t usual_ns; // a commit takes that; 0: not known
    uint32_t weight;   // of pauses
};

void cold_pace_init(struct cold_pace *p);
// Whether it is time to look again: `now` in ns of the reactor's clock.
bool cold_pace_due(const struct cold_pace *p, uint64_t now);
// Takes note of what was done up to `now`. Totals only grow.
void cold_pace_look(struct cold_pace *p, uint64_t now, const struct cold_pace_totals *t);
// Whether appends are at work.
bool cold_pace_busy(const struct cold_pace *p, uint64_t now);
// How long to pause, ns, after a read that took `read_ns`: not less than that, and more than 50 ms only if the read took so long.
uint64_t cold_pace_pause(const struct cold_pace *p, uint64_t read_ns);

#endif
