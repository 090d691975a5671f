#include "engine/coord/modern/parts.h"

#include <errno.h>
#include <stdlib.h>

int cg_parts_reserve(struct cg_parts *s, uint32_t cap, struct arena *a)
{
    s->n = 0;
    s->v = arena_array(a, cap, sizeof(*s->v));
    return s->v ? 0 : -ENOMEM;
}

static int by_place(const void *a, const void *b)
{
    return cg_part_cmp(a, b);
}

void cg_parts_sort(struct cg_parts *s)
{
    uint32_t n = 0;
    bool sorted = true;
    for (uint32_t i = 1; i < s->n && sorted; i++)
        sorted = cg_part_cmp(&s->v[i - 1], &s->v[i]) < 0;
    if (sorted)
        return;
    qsort(s->v, s->n, sizeof(*s->v), by_place);
    for (uint32_t i = 0; i < s->n; i++)
        if (!n || cg_part_cmp(&s->v[n - 1], &s->v[i]) != 0)
            s->v[n++] = s->v[i];
    s->n = n;
}

const struct cg_part *cg_parts_find(const struct cg_parts *s, const struct sl_uuid *topic, int32_t partition)
{
    struct cg_part key = {.topic = *topic, .partition = partition};
    return s->n ? bsearch(&key, s->v, s->n, sizeof(*s->v), by_place) : NULL;
}

bool cg_parts_same(const struct cg_parts *a, const struct cg_parts *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (cg_part_cmp(&a->v[i], &b->v[i]) != 0)
            return false;
    return true;
}

bool cg_parts_equal(const struct cg_parts *a, const struct cg_parts *b)
{
    if (!cg_parts_same(a, b))
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->v[i].epoch != b->v[i].epoch)
            return false;
    return true;
}

/* Entries of a, of which b holds those or not. */
static int select_by(const struct cg_parts *a, const struct cg_parts *b, bool held, struct cg_parts *out,
                     struct arena *arena)
{
    struct cg_parts got;
    if (cg_parts_reserve(&got, a->n, arena))
        return -ENOMEM;
    for (uint32_t i = 0, j = 0; i < a->n; i++) {
        while (j < b->n && cg_part_cmp(&b->v[j], &a->v[i]) < 0)
            j++;
        bool in_b = j < b->n && cg_part_cmp(&b->v[j], &a->v[i]) == 0;
        if (in_b == held)
            got.v[got.n++] = a->v[i];
    }
    *out = got;
    return 0;
}

int cg_parts_intersect(const struct cg_parts *a, const struct cg_parts *b, struct cg_parts *out,
                       struct arena *arena)
{
    return select_by(a, b, true, out, arena);
}

int cg_parts_subtract(const struct cg_parts *a, const struct cg_parts *b, struct cg_parts *out,
                      struct arena *arena)
{
    return select_by(a, b, false, out, arena);
}

int cg_parts_union(const struct cg_parts *a, const struct cg_parts *b, struct cg_parts *out,
                   struct arena *arena)
{
    struct cg_parts got;
    SL_ASSERT(a->n <= UINT32_MAX - b->n);
    if (cg_parts_reserve(&got, a->n + b->n, arena))
        return -ENOMEM;
    uint32_t i = 0, j = 0;
    while (i < a->n || j < b->n) {
        int c = i == a->n ? 1 : j == b->n ? -1 : cg_part_cmp(&a->v[i], &b->v[j]);
        got.v[got.n++] = c <= 0 ? a->v[i] : b->v[j];
        i += c <= 0;
        j += c >= 0;
    }
    *out = got;
    return 0;
}

bool cg_parts_meet(const struct cg_parts *a, const struct cg_parts *b)
{
    for (uint32_t i = 0, j = 0; i < a->n && j < b->n;) {
        int c = cg_part_cmp(&a->v[i], &b->v[j]);
        if (c == 0)
            return true;
        i += c < 0;
        j += c > 0;
    }
    return false;
}

bool cg_parts_subset(const struct cg_parts *a, const struct cg_parts *b)
{
    uint32_t j = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        while (j < b->n && cg_part_cmp(&b->v[j], &a->v[i]) < 0)
            j++;
        if (j == b->n || cg_part_cmp(&b->v[j], &a->v[i]) != 0)
            return false;
    }
    return true;
}

int cg_parts_keep(struct cg_parts *keep, const struct cg_parts *s)
{
    struct cg_part *v = NULL;
    if (s->n) {
        v = malloc(s->n * sizeof(*v));
        if (!v)
            return -ENOMEM;
        memcpy(v, s->v, s->n * sizeof(*v));
    }
    free(keep->v);
    *keep = (struct cg_parts){.v = v, .n = s->n};
    return 0;
}

void cg_parts_free(struct cg_parts *keep)
{
    free(keep->v);
    *keep = (struct cg_parts){0};
}

bool cg_parts_next_topic(const struct cg_parts *s, uint32_t *from, uint32_t *to)
{
    SL_ASSERT(*to <= s->n);
    *from = *to;
    while (*to < s->n && sl_uuid_eq(&s->v[*to].topic, &s->v[*from].topic))
        (*to)++;
    return *from < s->n;
}
