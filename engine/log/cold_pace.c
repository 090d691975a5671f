#include "engine/log/cold_pace.h"

#include "engine/base/err.h"

// The journals are looked at so often, and count as at work for so long.
static const uint64_t LOOK_NS = 2ull * 1000 * 1000, BUSY_NS = 50ull * 1000 * 1000;
// A mean is taken of so many groups; a single one says little.
enum { GROUPS_MIN = 8, DRIFT = 4096, FOLLOW = 4 };
// Noise of a fast disk is no reason to make way.
static const uint64_t SLACK_NS = 200ull * 1000;

void cold_pace_init(struct cold_pace *p)
{
    *p = (struct cold_pace){.weight = COLD_PACE_ONE};
}

bool cold_pace_due(const struct cold_pace *p, uint64_t now)
{
    return now - p->looked >= LOOK_NS;
}

static void usual_follow(struct cold_pace *p, uint64_t mean)
{
    if (!p->usual_ns)
        p->usual_ns = mean;
    else if (mean < p->usual_ns)
        p->usual_ns -= (p->usual_ns - mean + FOLLOW - 1) / FOLLOW;
    else
        p->usual_ns += SL_MIN(mean - p->usual_ns, p->usual_ns / DRIFT + 1);
}

void cold_pace_look(struct cold_pace *p, uint64_t now, uint64_t groups, uint64_t commit_ns)
{
    p->looked = now;
    if (groups != p->seen)
        p->busy_until = now + BUSY_NS;
    p->seen = groups;
    if (groups - p->groups < GROUPS_MIN)
        return;
    uint64_t mean = (commit_ns - p->commit_ns) / (groups - p->groups);
    p->groups = groups;
    p->commit_ns = commit_ns;
    usual_follow(p, mean);
    if (mean > 2 * p->usual_ns + SLACK_NS)
        p->weight = SL_MIN(p->weight * 2, (uint32_t)COLD_PACE_MOST);
    else if (p->weight > COLD_PACE_ONE)
        p->weight--;
}

bool cold_pace_busy(const struct cold_pace *p, uint64_t now)
{
    return now < p->busy_until;
}

uint64_t cold_pace_pause(const struct cold_pace *p, uint64_t read_ns)
{
    return read_ns * p->weight / COLD_PACE_ONE;
}
