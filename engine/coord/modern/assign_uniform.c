/* The uniform assignor when all members subscribe to the same topics.
 *
 * With P partitions and M members, P mod M of the members get P/M + 1 partitions and the others P/M. A member
 * keeps what it has up to its quota; the larger quota goes to members that already fill it, in their order,
 * and to the last ones only when no other is left for it. What is over the quotas, or new, fills the rest. */
#include "engine/coord/modern/assign_private.h"

struct place {
    uint32_t topic; /* index */
    int32_t partition;
};

struct uniform {
    struct cg_assign *job;
    struct cg_owners o; /* by the members' last targets */
    struct place *free; /* partitions without an owner, in the order in which they are given away */
    uint32_t free_n;
    uint32_t *missing; /* per member: partitions below its quota */
    uint32_t quota;    /* the smaller one */
    uint32_t extra;    /* members that still get one more */
};

/* Free at first is what no member's last target holds. */
static int find_free(struct uniform *u, uint32_t *total)
{
    struct cg_assign *job = u->job;
    if (cg_owners_init(&u->o, job))
        return -ENOMEM;
    *total = u->o.base[job->topics_n];
    for (uint32_t i = 0; i < job->members_n; i++) {
        const struct cg_parts *b = &job->members[i].before;
        for (uint32_t from, to = 0; cg_parts_next_topic(b, &from, &to);) {
            int64_t t = cg_assign_topic_index(job, &b->v[from].topic);
            for (uint32_t k = from; t >= 0 && k < to; k++)
                if (b->v[k].partition < job->topics[t].partitions)
                    u->o.owner[u->o.base[t] + (uint32_t)b->v[k].partition] = (int32_t)i;
        }
    }
    u->free = arena_array(job->arena, *total, sizeof(*u->free));
    if (!u->free)
        return -ENOMEM;
    for (uint32_t t = 0; t < job->topics_n; t++)
        for (int32_t p = 0; p < job->topics[t].partitions; p++)
            if (u->o.owner[u->o.base[t] + (uint32_t)p] < 0)
                u->free[u->free_n++] = (struct place){t, p};
    return 0;
}

/* Keeps up to `quota` of the member's partitions, frees the others. Returns what is left of the quota. */
static uint32_t keep_up_to(struct uniform *u, uint32_t member, uint32_t quota)
{
    struct cg_assign_member *m = &u->job->members[member];
    const struct cg_parts *b = &m->before;
    for (uint32_t from, to = 0; cg_parts_next_topic(b, &from, &to);) {
        int64_t t = cg_assign_topic_index(u->job, &b->v[from].topic);
        for (uint32_t k = from; t >= 0 && k < to; k++) {
            if (b->v[k].partition >= u->job->topics[t].partitions ||
                u->o.owner[u->o.base[t] + (uint32_t)b->v[k].partition] != (int32_t)member)
                continue; /* gone, or another one's as well: the last one has it */
            if (quota) {
                cg_parts_push(&m->after, &b->v[k].topic, b->v[k].partition, 0);
                quota--;
            } else {
                u->free[u->free_n++] = (struct place){(uint32_t)t, b->v[k].partition};
            }
        }
    }
    return quota;
}

static int keep_within_quotas(struct uniform *u)
{
    struct cg_assign *job = u->job;
    for (uint32_t i = 0; i < job->members_n; i++) {
        bool more = u->extra > 0;
        if (cg_parts_reserve(&job->members[i].after, u->quota + 1, job->arena))
            return -ENOMEM;
        uint32_t left = keep_up_to(u, i, u->quota + more);
        if (left && more && job->members_n - i > u->extra) {
            left--; /* another member may already fill the larger quota */
            more = false;
        }
        u->missing[i] = left;
        u->extra -= more;
    }
    return 0;
}

int cg_assign_uniform(struct cg_assign *job)
{
    struct uniform u = {.job = job};
    uint32_t total;
    if (find_free(&u, &total))
        return -ENOMEM;
    u.quota = total / job->members_n;
    u.extra = total % job->members_n;
    u.missing = arena_array(job->arena, job->members_n, sizeof(*u.missing));
    if (!u.missing || keep_within_quotas(&u))
        return -ENOMEM;
    uint32_t next = 0;
    for (uint32_t i = 0; i < job->members_n; i++) {
        struct cg_parts *after = &job->members[i].after;
        for (; u.missing[i] && next < u.free_n; u.missing[i]--, next++)
            cg_parts_push(after, &job->topics[u.free[next].topic].id, u.free[next].partition, 0);
        cg_parts_sort(after);
    }
    SL_ASSERT(next == u.free_n);
    return 0;
}
