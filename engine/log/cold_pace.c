#include "engine/log/cold_pace.h"

#include "engine/base/err.h"

// The journals are looked at so often, and count as at work for so long.
static const uint64_t LOOK_NS = 2ull * 1000 * 1000, BUSY_NS = 50ull * 1000 * 1000;
// A mean is taken of so many groups; a single one says little.
enum { GROUPS_MIN = 8, DRIFT = 4096, FOLLOW = 4, SHRINK = 8 };
// A fetch reads several extents one after the other.
static const uint64_t PAUSE_MAX_NS = 50ull * 1000 * 1000;
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

static uint32_t weight_next(const struct cold_pace *p, bool slow, bool behind)
{
    if (behind)
        return SL_MAX(p->weight - p->weight / SHRINK, (uint32_t)COLD_PACE_ONE);
    if (slow)
        return SL_MIN(p->weight * 2, (uint32_t)COLD_PACE_MOST);
    return SL_MAX(p->weight - 1, (uint32_t)COLD_PACE_ONE);
}

void cold_pace_look(struct cold_pace *p, uint64_t now, const struct cold_pace_totals *t)
{
    p->looked = now;
    if (t->groups != p->seen)
        p->busy_until = now + BUSY_NS;
    p->seen = t->groups;
    if (t->groups - p->was.groups < GROUPS_MIN)
        return;
    uint64_t mean = (t->commit_ns - p->was.commit_ns) / (t->groups - p->was.groups);
    uint64_t appended = t->appended - p->was.appended, read = t->read - p->was.read;
    p->was = *t;
    usual_follow(p, mean);
    p->weight = weight_next(p, mean > 2 * p->usual_ns + SLACK_NS, read < appended + appended / 2);
}

bool cold_pace_busy(const struct cold_pace *p, uint64_t now)
{
    return now < p->busy_until;
}

uint64_t cold_pace_pause(const struct cold_pace *p, uint64_t read_ns)
{
    return SL_MAX(read_ns, SL_MIN(read_ns * p->weight / COLD_PACE_ONE, PAUSE_MAX_NS));
}
