/* Intrusive doubly linked list with a sentinel head. A node that is on no list points to itself once it was
 * initialised or removed, so list_linked tells, and removing it again does nothing. Owner thread only. */
#ifndef SLUICE_BASE_LIST_H
#define SLUICE_BASE_LIST_H

#include "engine/base/err.h"

struct list_node {
    struct list_node *prev;
    struct list_node *next;
};

/* Makes a head empty, or a node belong to no list. */
static inline void list_init(struct list_node *n)
{
    n->prev = n;
    n->next = n;
}

/* True when the head has no nodes. */
static inline bool list_empty(const struct list_node *head)
{
    return head->next == head;
}

/* True when an initialised node is on a list. */
static inline bool list_linked(const struct list_node *n)
{
    return n->next != n;
}

/* Puts n, which is on no list, before pos. */
static inline void list_insert_before(struct list_node *pos, struct list_node *n)
{
    n->prev = pos->prev;
    n->next = pos;
    pos->prev->next = n;
    pos->prev = n;
}

static inline void list_push_back(struct list_node *head, struct list_node *n)
{
    list_insert_before(head, n);
}

static inline void list_push_front(struct list_node *head, struct list_node *n)
{
    list_insert_before(head->next, n);
}

/* Takes n off its list, if it is on one, and initialises it. */
static inline void list_remove(struct list_node *n)
{
    SL_DASSERT(n->prev->next == n && n->next->prev == n);
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* First or last node, or NULL when the list is empty; the node stays on the list. */
static inline struct list_node *list_first(const struct list_node *head)
{
    return list_empty(head) ? (struct list_node *)0 : head->next;
}

static inline struct list_node *list_last(const struct list_node *head)
{
    return list_empty(head) ? (struct list_node *)0 : head->prev;
}

/* Takes the first or last node off and returns it, or NULL when the list is empty. */
static inline struct list_node *list_pop_front(struct list_node *head)
{
    struct list_node *n = list_first(head);
    if (n)
        list_remove(n);
    return n;
}

static inline struct list_node *list_pop_back(struct list_node *head)
{
    struct list_node *n = list_last(head);
    if (n)
        list_remove(n);
    return n;
}

/* Moves all nodes of src, in order, to the end of dst; src becomes empty. */
static inline void list_splice_back(struct list_node *dst, struct list_node *src)
{
    if (list_empty(src))
        return;
    src->next->prev = dst->prev;
    dst->prev->next = src->next;
    src->prev->next = dst;
    dst->prev = src->prev;
    list_init(src);
}

/* Walk with n as `struct list_node *`. The list must not change, but for the safe form, in which the body may
 * remove n itself. */
#define list_foreach(n, head) for (struct list_node *n = (head)->next; n != (head); n = n->next)
#define list_foreach_safe(n, head)                                                                           \
    for (struct list_node *n = (head)->next, *n##_next_ = n->next; n != (head);                              \
         n = n##_next_, n##_next_ = n->next)

/* The object that holds list node n as `member`. */
#define list_entry(n, type, member) SL_CONTAINER_OF(n, type, member)

#endif
