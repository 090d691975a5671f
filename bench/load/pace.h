// When records are due. A pace is a stream of intended times in nanoseconds: constant gaps, computed from the
// start so that rounding does not add up, or exponential gaps (a Poisson stream). Pure; one owner.
#ifndef SLUICE_BENCH_LOAD_PACE_H
#define SLUICE_BENCH_LOAD_PACE_H

#include "engine/base/rand.h"

struct pace {
    double gap_ns; // mean
    uint64_t begin, count;
    uint64_t every_ns, pause_ns; // 0: no pauses
    uint64_t paused_ns;          // pauses so far
    uint64_t next;               // the next record's intended time
    bool poisson;
    double at; // Poisson: exact time since begin
    struct sl_rand rand;
};

SL_EXTERN_C_BEGIN

// rate: records a second, above 0. The first record is due at `begin`.
void pace_init(struct pace *p, double rate, uint64_t begin, bool poisson, uint64_t seed);
// After each `every_ns` of load comes a pause. Call it right after pace_init.
void pace_pauses(struct pace *p, uint64_t every_ns, uint64_t pause_ns);
// Moves on to the record after the next one.
void pace_advance(struct pace *p);
// Another rate from the next record on, which is due at `now`.
void pace_set_rate(struct pace *p, double rate, uint64_t now);

SL_EXTERN_C_END

#endif
