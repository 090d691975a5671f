/* Sets of partitions, as groups of the consumer protocol hold them: what a member owns, must give up, or is
 * meant to own.
 *
 * A set is an array sorted by topic id and partition, without duplicates: set operations are merges, and the
 * partitions of one topic lie together, as records and responses want them. Sets are built in an arena and
 * copied to the heap when a group keeps them. Each entry carries the epoch in which the member got the
 * partition (KIP-1251: an offset commit may come with an older member epoch, but not with one older than
 * this); sets that have no use for it hold 0 there.
 */
#ifndef SLUICE_ENGINE_COORD_MODERN_PARTS_H
#define SLUICE_ENGINE_COORD_MODERN_PARTS_H

#include "engine/base/arena.h"
#include "engine/base/uuid.h"

struct cg_part {
    struct sl_uuid topic;
    int32_t partition;
    int32_t epoch;
};

struct cg_parts {
    struct cg_part *v; /* borrowed or owned, as the holder says */
    uint32_t n;
};

/* Order by topic id and partition; the epoch does not count. */
static inline int cg_part_cmp(const struct cg_part *a, const struct cg_part *b)
{
    int c = sl_uuid_cmp(&a->topic, &b->topic);
    return c ? c : (a->partition > b->partition) - (a->partition < b->partition);
}

/* Room for cap entries in an arena; n is 0. 0 or -ENOMEM. */
int cg_parts_reserve(struct cg_parts *s, uint32_t cap, struct arena *a);

/* Appends; the caller has reserved, and sorts when it was not in order. Numbers below 0, which only a client or a foreign
 * log can name, are no partitions. */
static inline void cg_parts_push(struct cg_parts *s, const struct sl_uuid *topic, int32_t partition,
                                 int32_t epoch)
{
    if (partition < 0)
        return;
    s->v[s->n++] = (struct cg_part){.topic = *topic, .partition = partition, .epoch = epoch};
}

/* Sorts, and drops all but one of equal entries. */
void cg_parts_sort(struct cg_parts *s);

/* The entry of this partition, or NULL. */
const struct cg_part *cg_parts_find(const struct cg_parts *s, const struct sl_uuid *topic, int32_t partition);

/* Same partitions in the same epochs (cg_parts_equal), or whatever their epochs (cg_parts_same). */
bool cg_parts_equal(const struct cg_parts *a, const struct cg_parts *b);
bool cg_parts_same(const struct cg_parts *a, const struct cg_parts *b);

/* Entries of a that b holds too (epochs from a), or does not hold. out lies in the arena. 0 or -ENOMEM. */
int cg_parts_intersect(const struct cg_parts *a, const struct cg_parts *b, struct cg_parts *out,
                       struct arena *arena);
int cg_parts_subtract(const struct cg_parts *a, const struct cg_parts *b, struct cg_parts *out,
                      struct arena *arena);
/* Entries of either; where both hold one, the epoch is a's. */
int cg_parts_union(const struct cg_parts *a, const struct cg_parts *b, struct cg_parts *out,
                   struct arena *arena);

/* Whether a and b share a partition; whether b holds every partition of a. */
bool cg_parts_meet(const struct cg_parts *a, const struct cg_parts *b);
bool cg_parts_subset(const struct cg_parts *a, const struct cg_parts *b);

/* Replaces *keep, an owned set on the heap, by a copy of s. 0, or -ENOMEM and *keep as before. */
int cg_parts_keep(struct cg_parts *keep, const struct cg_parts *s);
/* Frees an owned set; it is empty afterwards. */
void cg_parts_free(struct cg_parts *keep);

/* Walks the topics of a set: the entries [*from, *to) are those of one topic. Start with *to = 0; false at
 * the end. */
bool cg_parts_next_topic(const struct cg_parts *s, uint32_t *from, uint32_t *to);

#endif
