#include "engine/coord/modern/assign_private.h"

static const char *const names[CG_ASSIGNORS] = {[CG_UNIFORM] = "uniform", [CG_RANGE] = "range"};

const char *cg_assignor_name(enum cg_assignor a)
{
    SL_ASSERT(a < CG_ASSIGNORS);
    return names[a];
}

int cg_assignor_find(struct kp_str name)
{
    for (int i = 0; i < CG_ASSIGNORS; i++)
        if (kp_str_eq(name, kp_str_of(names[i])))
            return i;
    return -ENOENT;
}

int64_t cg_assign_topic_index(const struct cg_assign *job, const struct sl_uuid *id)
{
    uint32_t lo = 0, hi = job->topics_n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = sl_uuid_cmp(&job->topics[mid].id, id);
        if (c == 0)
            return mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}

int cg_owners_init(struct cg_owners *o, const struct cg_assign *job)
{
    o->base = arena_array(job->arena, job->topics_n + 1u, sizeof(*o->base));
    if (!o->base)
        return -ENOMEM;
    uint32_t total = 0;
    for (uint32_t t = 0; t < job->topics_n; t++) {
        o->base[t] = total;
        SL_ASSERT(job->topics[t].partitions > 0);
        if ((uint32_t)job->topics[t].partitions > INT32_MAX - total)
            return -ENOMEM;
        total += (uint32_t)job->topics[t].partitions;
    }
    o->base[job->topics_n] = total;
    o->owner = arena_array(job->arena, total, sizeof(*o->owner));
    if (!o->owner)
        return -ENOMEM;
    memset(o->owner, 0xff, total * sizeof(*o->owner));
    return 0;
}

int cg_assign(enum cg_assignor which, struct cg_assign *job)
{
    SL_ASSERT(which < CG_ASSIGNORS);
    for (uint32_t i = 0; i < job->members_n; i++)
        job->members[i].after = (struct cg_parts){0};
    if (!job->members_n || !job->topics_n)
        return 0;
    if (which == CG_RANGE)
        return cg_assign_range(job);
    return job->homogeneous ? cg_assign_uniform(job) : cg_assign_mixed(job);
}
