/* The range assignor: of a topic with P partitions and S subscribers, the first P mod S subscribers get one
 * partition more than the others. */
#include "engine/coord/modern/assign_private.h"

#include <stdlib.h>

struct range_topic {
    int32_t subscribers;
    int32_t next; /* first partition that is not given away */
    int32_t extra;
};

static int str_cmp(struct kp_str a, struct kp_str b)
{
    int c = memcmp(a.p, b.p, (size_t)SL_MIN(a.n, b.n));
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* Static members by instance id, then the others by member id. */
static int by_seniority(const void *x, const void *y)
{
    const struct cg_assign_member *a = *(const struct cg_assign_member *const *)x;
    const struct cg_assign_member *b = *(const struct cg_assign_member *const *)y;
    if (a->instance.n >= 0 && b->instance.n >= 0)
        return str_cmp(a->instance, b->instance);
    if (a->instance.n >= 0 || b->instance.n >= 0)
        return a->instance.n >= 0 ? -1 : 1;
    return str_cmp(a->id, b->id);
}

static int32_t quota(const struct cg_assign_topic *t, struct range_topic *r)
{
    int32_t q = t->partitions / r->subscribers;
    if (r->extra > 0) {
        r->extra--;
        q++;
    }
    return SL_MIN(q, t->partitions - r->next);
}

static int give_ranges(const struct cg_assign *job, struct cg_assign_member *m, struct range_topic *topics)
{
    uint64_t room = 0;
    for (uint32_t i = 0; i < m->topics_n; i++) {
        uint32_t t = m->topics[i];
        room += (uint64_t)(job->topics[t].partitions / topics[t].subscribers) + 1;
    }
    if (room > UINT32_MAX || cg_parts_reserve(&m->after, (uint32_t)room, job->arena))
        return -ENOMEM;
    for (uint32_t i = 0; i < m->topics_n; i++) {
        struct range_topic *r = &topics[m->topics[i]];
        const struct cg_assign_topic *t = &job->topics[m->topics[i]];
        for (int32_t n = quota(t, r); n > 0; n--)
            cg_parts_push(&m->after, &t->id, r->next++, 0);
    }
    return 0;
}

int cg_assign_range(struct cg_assign *job)
{
    struct cg_assign_member **order = arena_array(job->arena, job->members_n, sizeof(*order));
    struct range_topic *topics = arena_zalloc(job->arena, job->topics_n * sizeof(*topics));
    if (!order || !topics)
        return -ENOMEM;
    for (uint32_t i = 0; i < job->members_n; i++) {
        order[i] = &job->members[i];
        for (uint32_t k = 0; k < order[i]->topics_n; k++)
            topics[order[i]->topics[k]].subscribers++;
    }
    for (uint32_t t = 0; t < job->topics_n; t++)
        topics[t].extra = topics[t].subscribers ? job->topics[t].partitions % topics[t].subscribers : 0;
    qsort(order, job->members_n, sizeof(struct cg_assign_member *), by_seniority);
    for (uint32_t i = 0; i < job->members_n; i++)
        if (give_ranges(job, order[i], topics))
            return -ENOMEM;
    return 0;
}
