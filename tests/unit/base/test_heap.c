/* heap.h: against a plain array; removal of any node; equal keys; a long chain. */
#include "death.h"

#include <stdlib.h>

#include "engine/base/heap.h"
#include "engine/base/rand.h"

#define NODES 300

/* Parent links, order and count of the whole tree. */
static size_t check_tree(const struct heap_node *n, const struct heap_node *prev, uint64_t floor)
{
    size_t count = 0;
    for (; n; prev = n, n = n->next) {
        assert_ptr_equal(n->prev, prev);
        assert_true(n->key >= floor);
        count += 1 + check_tree(n->child, n, n->key);
    }
    return count;
}

static void check(const struct heap *h)
{
    if (h->root) {
        assert_null(h->root->prev);
        assert_null(h->root->next);
    }
    assert_int_equal(check_tree(h->root, NULL, 0), h->count);
}

static void test_against_array(void **state)
{
    struct heap h;
    struct heap_node nodes[NODES];
    bool in[NODES] = {0};
    struct sl_rand r;
    size_t n = 0;
    sl_rand_seed(&r, 5);
    heap_init(&h);
    for (int step = 0; step < 30000; step++) {
        size_t i = sl_rand_below(&r, NODES);
        if (!in[i]) {
            heap_push(&h, &nodes[i], sl_rand_below(&r, 1000));
            in[i] = true;
            n++;
        } else if (sl_rand_chance(&r, 1, 2)) {
            heap_remove(&h, &nodes[i]);
            in[i] = false;
            n--;
        } else {
            struct heap_node *m = heap_min(&h), *p = heap_pop(&h);
            assert_ptr_equal(m, p);
            for (size_t k = 0; k < NODES; k++)
                assert_true(!in[k] || nodes[k].key >= p->key);
            in[p - nodes] = false;
            n--;
        }
        assert_int_equal(h.count, n);
        assert_int_equal(heap_empty(&h), n == 0);
        if (step % 50 == 0)
            check(&h);
    }
}

static void test_sorts(void **state)
{
    enum { N = 100000 };
    struct heap h;
    struct heap_node *nodes = calloc(N, sizeof(*nodes));
    struct sl_rand r;
    heap_init(&h);
    assert_null(heap_pop(&h));
    assert_null(heap_min(&h));
    sl_rand_seed(&r, 6);
    /* Falling, then rising, then random keys; with the extremes. */
    for (uint64_t i = 0; i < N; i++)
        heap_push(&h, &nodes[i], i < N / 3 ? N - i : i < N / 2 ? i : sl_rand_u64(&r));
    uint64_t last = 0;
    for (uint64_t i = 0; i < N; i++) {
        struct heap_node *p = heap_pop(&h);
        assert_non_null(p);
        assert_true(p->key >= last);
        last = p->key;
    }
    assert_true(heap_empty(&h));
    heap_push(&h, &nodes[0], UINT64_MAX);
    heap_push(&h, &nodes[1], 0);
    assert_ptr_equal(heap_pop(&h), &nodes[1]);
    heap_remove(&h, &nodes[0]);
    assert_true(heap_empty(&h));
    free(nodes);
}

static void remove_absent(void *arg)
{
    struct heap h;
    struct heap_node a, b = {0};
    heap_init(&h);
    heap_push(&h, &a, 1);
    heap_remove(&h, &b);
}

static void test_remove_absent(void **state)
{
    death_expect(remove_absent, NULL, "heap.c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_array),
        cmocka_unit_test(test_sorts),
        cmocka_unit_test(test_remove_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
