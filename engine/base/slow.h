/* The slowest requests of a reactor, kept whole: when each stage of each was reached.
 *
 * A window of a minute keeps the SLOW_KEEP slowest of the requests that ended in it; the window before stays
 * readable. One writer, the owner thread; any thread may read a copy at any time, which is consistent: a
 * version is odd while the writer changes something, and a reader that meets a change tries again. All words
 * are read and written with relaxed atomics, between fences. */
#ifndef SLUICE_BASE_SLOW_H
#define SLUICE_BASE_SLOW_H

#include "engine/base/err.h"

enum { SLOW_KEEP = 8, SLOW_STAGES = 8, SLOW_CLIENT = 24 };
#define SLOW_WINDOW_NS UINT64_C(60000000000)

/* 8-byte words throughout. */
struct slow_request {
    uint64_t wall_ms;               /* when it ended */
    uint64_t total_ns;              /* from received to sent */
    uint64_t stage_ns[SLOW_STAGES]; /* what each stage took; 0: not passed */
    uint64_t bytes;                 /* of the request's frame */
    uint64_t api, version;
    char client[SLOW_CLIENT]; /* its client id, cut short, NUL at the end */
};

struct slow {
    uint64_t seq;
    uint64_t window_end; /* ns */
    uint64_t floor;      /* nothing faster is kept: the fastest kept one, when all places are taken */
    uint64_t n, last_n;
    struct slow_request now[SLOW_KEEP], last[SLOW_KEEP];
};

SL_EXTERN_C_BEGIN

/* The path behind slow_wants. */
void slow_keep(struct slow *s, uint64_t now_ns, const struct slow_request *r);

/* Any thread: copies what is kept, this window's first; at most 2 * SLOW_KEEP. Returns how many. */
uint32_t slow_read(const struct slow *s, struct slow_request *out);

SL_EXTERN_C_END

/* Owner: whether a request that took total_ns and ends now is to be kept. */
static inline bool slow_wants(const struct slow *s, uint64_t now_ns, uint64_t total_ns)
{
    return total_ns > s->floor || now_ns >= s->window_end;
}

#endif
