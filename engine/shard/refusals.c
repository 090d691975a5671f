#include "engine/shard/refusals.h"

#include <stdlib.h>
#include <string.h>

struct refusal {
    int64_t producer_id;
    int32_t sequence;
    int16_t epoch;
};

struct refusals {
    uint32_t n;
    struct refusal v[REFUSALS_MAX]; // the oldest first
};

static struct refusal *find(struct refusals *r, int64_t producer_id, int16_t epoch)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->v[i].producer_id == producer_id && r->v[i].epoch == epoch)
            return &r->v[i];
    return NULL;
}

static void drop(struct refusals *r, struct refusal *x)
{
    size_t behind = (size_t)(r->v + r->n - (x + 1));
    memmove(x, x + 1, behind * sizeof(*x));
    r->n--;
}

void refusals_note(struct refusals **r, int64_t producer_id, int16_t epoch, int32_t sequence)
{
    if (!*r && !(*r = calloc(1, sizeof(**r))))
        return;
    struct refusal *x = find(*r, producer_id, epoch);
    if (x) {
        x->sequence = sequence < x->sequence ? sequence : x->sequence;
        return;
    }
    if ((*r)->n == REFUSALS_MAX)
        drop(*r, (*r)->v);
    (*r)->v[(*r)->n++] = (struct refusal){producer_id, sequence, epoch};
}

bool refusals_forbid(struct refusals **r, int64_t producer_id, int16_t epoch, int32_t sequence)
{
    struct refusal *x = *r ? find(*r, producer_id, epoch) : NULL;
    if (!x)
        return false;
    if (sequence > x->sequence)
        return true;
    drop(*r, x);
    if (!(*r)->n)
        refusals_free(r);
    return false;
}

void refusals_free(struct refusals **r)
{
    free(*r);
    *r = NULL;
}
