/* Intrusive min-heap keyed by uint64: timers. A pairing heap: it needs no memory of its own, push and meld
 * are O(1), pop and removal O(log n) amortised. Nodes of equal keys come out in no particular, but in a
 * repeatable order. Owner thread only. */
#ifndef SLUICE_BASE_HEAP_H
#define SLUICE_BASE_HEAP_H

#include "engine/base/err.h"

struct heap_node {
    uint64_t key;
    struct heap_node *child; /* leftmost child */
    struct heap_node *next;  /* right sibling */
    struct heap_node *prev;  /* left sibling, or the parent of a leftmost child; NULL at the root */
};

struct heap {
    struct heap_node *root;
    size_t count;
};

SL_EXTERN_C_BEGIN

/* Inserts n, which is in no heap, with this key. */
void heap_push(struct heap *h, struct heap_node *n, uint64_t key);

/* Takes the node with the smallest key out; NULL when empty. */
struct heap_node *heap_pop(struct heap *h);

/* Takes n, which must be in h, out. */
void heap_remove(struct heap *h, struct heap_node *n);

SL_EXTERN_C_END

static inline void heap_init(struct heap *h)
{
    h->root = (struct heap_node *)0;
    h->count = 0;
}

static inline bool heap_empty(const struct heap *h)
{
    return h->count == 0;
}

/* The node with the smallest key, left in place; NULL when empty. Its key is in ->key. */
static inline struct heap_node *heap_min(const struct heap *h)
{
    return h->root;
}

#endif
