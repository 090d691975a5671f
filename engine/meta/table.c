// Tables of frozen topics, by name and by id.
#include "engine/meta/meta_private.h"

#include <stdlib.h>

static uint64_t hash_of(const struct topic_table *t, const struct meta_topic *x)
{
    return t->by_id ? sl_uuid_hash(&x->id) : sl_hash64(x->name, x->name_len, 0);
}

static bool same_key(const struct topic_table *t, const struct meta_topic *a, const struct meta_topic *b)
{
    if (t->by_id)
        return sl_uuid_eq(&a->id, &b->id);
    return a->name_len == b->name_len && !memcmp(a->name, b->name, a->name_len);
}

static void put_slot(struct topic_table *t, const struct meta_topic *x)
{
    uint32_t i = (uint32_t)hash_of(t, x) & t->mask;
    while (t->slots[i])
        i = (i + 1) & t->mask;
    t->slots[i] = x;
}

static int grow(struct topic_table *t)
{
    uint32_t cap = t->slots ? (t->mask + 1) * 2 : 16;
    struct topic_table big = {
        .slots = calloc(cap, sizeof(*big.slots)), .mask = cap - 1, .n = t->n, .by_id = t->by_id};
    if (!big.slots)
        return -ENOMEM;
    for (uint32_t i = 0; t->slots && i <= t->mask; i++)
        if (t->slots[i])
            put_slot(&big, t->slots[i]);
    free(t->slots);
    *t = big;
    return 0;
}

int table_put(struct topic_table *t, const struct meta_topic *x)
{
    if (!t->slots || (t->n + 1) * 2 > t->mask + 1) {
        int rc = grow(t);
        if (rc)
            return rc;
    }
    uint32_t i = (uint32_t)hash_of(t, x) & t->mask;
    while (t->slots[i] && !same_key(t, t->slots[i], x))
        i = (i + 1) & t->mask;
    t->n += t->slots[i] == NULL;
    t->slots[i] = x;
    return 0;
}

// Linear probing without tombstones: what follows the hole moves up when its home allows it.
void table_del(struct topic_table *t, const struct meta_topic *x)
{
    uint32_t i = (uint32_t)hash_of(t, x) & t->mask;
    while (t->slots[i] && !same_key(t, t->slots[i], x))
        i = (i + 1) & t->mask;
    if (!t->slots[i])
        return;
    t->n--;
    uint32_t hole = i;
    for (i = (i + 1) & t->mask; t->slots[i]; i = (i + 1) & t->mask) {
        uint32_t home = (uint32_t)hash_of(t, t->slots[i]) & t->mask;
        if (((i - home) & t->mask) >= ((i - hole) & t->mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = NULL;
}

const struct meta_topic *table_find_name(const struct topic_table *t, const char *name, size_t len)
{
    if (!t->slots)
        return NULL;
    uint32_t i = (uint32_t)sl_hash64(name, len, 0) & t->mask;
    for (; t->slots[i]; i = (i + 1) & t->mask)
        if (t->slots[i]->name_len == len && !memcmp(t->slots[i]->name, name, len))
            return t->slots[i];
    return NULL;
}

const struct meta_topic *table_find_id(const struct topic_table *t, const struct sl_uuid *id)
{
    if (!t->slots)
        return NULL;
    uint32_t i = (uint32_t)sl_uuid_hash(id) & t->mask;
    for (; t->slots[i]; i = (i + 1) & t->mask)
        if (sl_uuid_eq(&t->slots[i]->id, id))
            return t->slots[i];
    return NULL;
}
