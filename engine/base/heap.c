#include "engine/base/heap.h"

/* The two roots become one tree; a's and b's siblings are not looked at. */
static struct heap_node *heap_meld(struct heap_node *a, struct heap_node *b)
{
    if (b->key < a->key) {
        struct heap_node *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* One tree of a list of siblings: meld pairs from left to right, then the pairs from right to left. No
 * recursion: the list may be as long as the heap. */
static struct heap_node *heap_merge_siblings(struct heap_node *first)
{
    struct heap_node *pairs = NULL;
    while (first) {
        struct heap_node *a = first;
        struct heap_node *b = a->next;
        first = b ? b->next : NULL;
        struct heap_node *m = b ? heap_meld(a, b) : a;
        m->next = pairs;
        pairs = m;
    }
    struct heap_node *root = pairs;
    if (!root)
        return NULL;
    pairs = root->next;
    while (pairs) {
        struct heap_node *next = pairs->next;
        root = heap_meld(root, pairs);
        pairs = next;
    }
    root->next = NULL;
    root->prev = NULL;
    return root;
}

void heap_push(struct heap *h, struct heap_node *n, uint64_t key)
{
    n->key = key;
    n->child = NULL;
    n->next = NULL;
    n->prev = NULL;
    h->root = h->root ? heap_meld(h->root, n) : n;
    h->count++;
}

struct heap_node *heap_pop(struct heap *h)
{
    struct heap_node *n = h->root;
    if (n)
        heap_remove(h, n);
    return n;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    SL_ASSERT(h->count > 0);
    struct heap_node *sub = heap_merge_siblings(n->child);
    if (n == h->root) {
        h->root = sub;
    } else {
        SL_ASSERT(n->prev);
        if (n->prev->child == n)
            n->prev->child = n->next;
        else
            n->prev->next = n->next;
        if (n->next)
            n->next->prev = n->prev;
        if (sub)
            h->root = heap_meld(h->root, sub);
    }
    n->child = n->next = n->prev = NULL;
    h->count--;
}
