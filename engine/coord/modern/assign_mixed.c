/* The uniform assignor when members subscribe to different topics.
 *
 * 1. Members keep what they have of the topics they still subscribe to.
 * 2. Free partitions go to the least loaded subscribers, topic after topic: those with most partitions per
 *    subscriber first, then those with fewest subscribers.
 * 3. Topic after topic, partitions move from the most to the least loaded subscriber until they differ by one
 *    at most; this goes round until a whole round moved nothing, or CG_BALANCE_ROUNDS are over.
 *
 * Step 3 keeps two ranges of the topic's subscribers, sorted by load. The lower one takes a partition each,
 * then grows upwards by those who have as many; the upper one gives one each and grows downwards. A member
 * that owns nothing of this topic is swapped to the far end and out of the range:
 *
 *       load                                   #
 *        |           lower             upper  ##     beyond upper_end:
 *        |                              ##### ##     nothing of this topic to give
 *        |    ##########     ...  ##########  ##
 *        +----[0     lower_end)---[start end)----> subscribers by load
 */
#include "engine/coord/modern/assign_private.h"

#include <stdlib.h>

struct subscribers {
    uint32_t *v; /* members, ascending */
    uint32_t n;
};

struct mixed {
    struct cg_assign *job;
    struct cg_owners o;
    struct subscribers *subs; /* per topic */
    uint32_t *load;           /* per member: partitions */
    uint32_t *order;          /* topics by urgency */
    uint32_t *begin, *end;    /* per member: its range in `places` */
    int32_t *places;          /* partitions of one topic, grouped by owner */
    uint64_t work;
};

/* The two ranges of the drawing; sorted holds members. */
struct balance {
    const uint32_t *load;
    uint32_t *sorted;
    uint32_t n;
    uint32_t lower_end, lower_next;
    int64_t lower_load;
    uint32_t upper_start, upper_end;
    int64_t upper_next, upper_load;
};

static int collect_subscribers(struct mixed *x)
{
    struct cg_assign *job = x->job;
    x->subs = arena_zalloc(job->arena, job->topics_n * sizeof(*x->subs));
    if (!x->subs)
        return -ENOMEM;
    for (uint32_t i = 0; i < job->members_n; i++)
        for (uint32_t k = 0; k < job->members[i].topics_n; k++)
            x->subs[job->members[i].topics[k]].n++;
    for (uint32_t t = 0; t < job->topics_n; t++) {
        x->subs[t].v = arena_array(job->arena, x->subs[t].n, sizeof(*x->subs[t].v));
        if (!x->subs[t].v)
            return -ENOMEM;
        x->subs[t].n = 0;
    }
    for (uint32_t i = 0; i < job->members_n; i++)
        for (uint32_t k = 0; k < job->members[i].topics_n; k++) {
            struct subscribers *s = &x->subs[job->members[i].topics[k]];
            s->v[s->n++] = i;
        }
    return 0;
}

static bool subscribes(const struct cg_assign_member *m, uint32_t topic)
{
    uint32_t lo = 0, hi = m->topics_n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (m->topics[mid] < topic)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < m->topics_n && m->topics[lo] == topic;
}

static void keep_subscribed(struct mixed *x)
{
    struct cg_assign *job = x->job;
    for (uint32_t i = 0; i < job->members_n; i++) {
        const struct cg_parts *b = &job->members[i].before;
        for (uint32_t from, to = 0; cg_parts_next_topic(b, &from, &to);) {
            int64_t t = cg_assign_topic_index(job, &b->v[from].topic);
            if (t < 0 || !subscribes(&job->members[i], (uint32_t)t))
                continue;
            for (uint32_t k = from; k < to && b->v[k].partition < job->topics[t].partitions; k++) {
                int32_t *owner = &x->o.owner[x->o.base[t] + (uint32_t)b->v[k].partition];
                if (*owner >= 0)
                    x->load[*owner]--; /* another one's as well: the last one has it */
                *owner = (int32_t)i;
                x->load[i]++;
            }
        }
    }
}

static int by_urgency(const void *p, const void *q, void *arg)
{
    const struct mixed *x = arg;
    uint32_t a = *(const uint32_t *)p, b = *(const uint32_t *)q;
    double pa = (double)x->job->topics[a].partitions / x->subs[a].n;
    double pb = (double)x->job->topics[b].partitions / x->subs[b].n;
    if (pa != pb)
        return pa > pb ? -1 : 1;
    if (x->subs[a].n != x->subs[b].n)
        return x->subs[a].n < x->subs[b].n ? -1 : 1;
    return (a > b) - (a < b);
}

static int by_load(const void *p, const void *q, void *arg)
{
    const uint32_t *load = arg;
    uint32_t a = *(const uint32_t *)p, b = *(const uint32_t *)q;
    if (load[a] != load[b])
        return load[a] < load[b] ? -1 : 1;
    return (a > b) - (a < b);
}

/* Returns the difference between the largest and the smallest load. */
static uint32_t balance_begin(struct balance *b, struct mixed *x, const struct subscribers *s)
{
    SL_ASSERT(s->n > 0);
    memcpy(b->sorted, s->v, s->n * sizeof(*s->v));
    b->load = x->load;
    b->n = s->n;
    qsort_r(b->sorted, b->n, sizeof(*b->sorted), by_load, x->load);
    b->lower_end = b->lower_next = 0;
    b->lower_load = (int64_t)b->load[b->sorted[0]] - 1;
    b->upper_start = b->upper_end = b->n;
    b->upper_next = (int64_t)b->n - 1;
    b->upper_load = (int64_t)b->load[b->sorted[b->n - 1]] + 1;
    x->work += b->n;
    return b->load[b->sorted[b->n - 1]] - b->load[b->sorted[0]];
}

static uint32_t take_lower(struct balance *b)
{
    if (b->lower_next >= b->lower_end) {
        b->lower_load++;
        while (b->lower_end < b->n && b->load[b->sorted[b->lower_end]] == b->lower_load)
            b->lower_end++;
        b->lower_next = 0;
    }
    return b->sorted[b->lower_next++];
}

/* -1: nobody is left who could give. */
static int64_t take_upper(struct balance *b)
{
    if (b->upper_next < b->upper_start) {
        if (b->upper_end <= b->upper_start && b->upper_start > 0)
            b->upper_load = b->load[b->sorted[b->upper_start - 1]]; /* all were excluded: begin anew */
        else
            b->upper_load--;
        while (b->upper_start > 0 && b->load[b->sorted[b->upper_start - 1]] == b->upper_load)
            b->upper_start--;
        b->upper_next = (int64_t)b->upper_end - 1;
    }
    return b->upper_next < 0 ? -1 : (int64_t)b->sorted[b->upper_next--];
}

/* The member that take_upper gave last has nothing to give. */
static void exclude_upper(struct balance *b)
{
    uint32_t at = (uint32_t)(b->upper_next + 1);
    SL_ASSERT(b->upper_end > 0 && at < b->n);
    uint32_t member = b->sorted[at];
    b->sorted[at] = b->sorted[b->upper_end - 1];
    b->sorted[--b->upper_end] = member;
}

static bool even(const struct balance *b)
{
    return b->upper_load - b->lower_load <= 1;
}

static void give_free(struct mixed *x, struct balance *b)
{
    for (uint32_t i = 0; i < x->job->topics_n; i++) {
        uint32_t t = x->order[i];
        int32_t *owner = &x->o.owner[x->o.base[t]];
        int32_t n = x->job->topics[t].partitions, p = 0;
        while (p < n && owner[p] >= 0)
            p++;
        if (p == n || !x->subs[t].n)
            continue;
        balance_begin(b, x, &x->subs[t]);
        for (; p < n; p++) {
            if (owner[p] >= 0)
                continue;
            owner[p] = (int32_t)take_lower(b);
            x->load[owner[p]]++;
        }
    }
}

/* Groups the topic's partitions by owner. */
static void group_places(struct mixed *x, uint32_t t)
{
    const int32_t *owner = &x->o.owner[x->o.base[t]];
    const struct subscribers *s = &x->subs[t];
    for (uint32_t i = 0; i < s->n; i++)
        x->end[s->v[i]] = 0;
    for (int32_t p = 0; p < x->job->topics[t].partitions; p++)
        x->end[owner[p]]++;
    uint32_t at = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t m = s->v[i], count = x->end[m];
        x->begin[m] = x->end[m] = at;
        at += count;
    }
    for (int32_t p = 0; p < x->job->topics[t].partitions; p++)
        x->places[x->end[owner[p]]++] = p;
}

/* A subscriber that can give a partition, or -1. */
static int64_t find_giver(struct mixed *x, struct balance *b)
{
    for (;;) {
        int64_t from = take_upper(b);
        if (from < 0 || x->end[from] > x->begin[from])
            return from;
        exclude_upper(b);
        x->work++;
    }
}

/* Returns how many partitions moved. */
static uint32_t balance_topic(struct mixed *x, struct balance *b, uint32_t t)
{
    uint32_t moved = 0;
    if (balance_begin(b, x, &x->subs[t]) <= 1)
        return 0;
    group_places(x, t);
    x->work += (uint64_t)x->job->topics[t].partitions;
    while (!even(b) && x->work < CG_BALANCE_WORK) {
        int64_t from = find_giver(x, b);
        if (from < 0)
            break;
        int32_t p = x->places[--x->end[from]];
        uint32_t to = take_lower(b);
        if (even(b))
            break;
        x->o.owner[x->o.base[t] + (uint32_t)p] = (int32_t)to;
        x->load[from]--;
        x->load[to]++;
        x->work++;
        moved++;
    }
    return moved;
}

static void balance_all(struct mixed *x, struct balance *b)
{
    uint32_t n = 0;
    int64_t last = -1; /* where the round began that has moved nothing so far */
    for (uint32_t i = 0; i < x->job->topics_n; i++)
        if (x->subs[x->order[i]].n >= 2)
            x->order[n++] = x->order[i];
    for (int round = 0; round < CG_BALANCE_ROUNDS; round++)
        for (uint32_t i = 0; i < n; i++) {
            if (i == last || x->work >= CG_BALANCE_WORK)
                return;
            if (balance_topic(x, b, x->order[i]) || last < 0)
                last = i;
        }
}

static int tell_members(struct mixed *x)
{
    struct cg_assign *job = x->job;
    for (uint32_t i = 0; i < job->members_n; i++)
        if (cg_parts_reserve(&job->members[i].after, x->load[i], job->arena))
            return -ENOMEM;
    for (uint32_t t = 0; t < job->topics_n; t++)
        for (int32_t p = 0; p < job->topics[t].partitions; p++) {
            int32_t i = x->o.owner[x->o.base[t] + (uint32_t)p];
            if (i >= 0)
                cg_parts_push(&job->members[i].after, &job->topics[t].id, p, 0);
        }
    return 0;
}

int cg_assign_mixed(struct cg_assign *job)
{
    struct mixed x = {.job = job};
    struct balance b = {.sorted = arena_array(job->arena, job->members_n, sizeof(*b.sorted))};
    if (!b.sorted || cg_owners_init(&x.o, job) || collect_subscribers(&x))
        return -ENOMEM;
    x.load = arena_zalloc(job->arena, job->members_n * sizeof(*x.load));
    x.begin = arena_array(job->arena, job->members_n, sizeof(*x.begin));
    x.end = arena_array(job->arena, job->members_n, sizeof(*x.end));
    x.order = arena_array(job->arena, job->topics_n, sizeof(*x.order));
    x.places = arena_array(job->arena, x.o.base[job->topics_n], sizeof(*x.places));
    if (!x.load || !x.begin || !x.end || !x.order || !x.places)
        return -ENOMEM;
    for (uint32_t t = 0; t < job->topics_n; t++)
        x.order[t] = t;
    keep_subscribed(&x);
    qsort_r(x.order, job->topics_n, sizeof(*x.order), by_urgency, &x);
    give_free(&x, &b);
    balance_all(&x, &b);
    return tell_members(&x);
}
