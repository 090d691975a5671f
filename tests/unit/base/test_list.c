/* list.h: a list against an array that does the same, and the corner cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/list.h"
#include "engine/base/rand.h"

struct item {
    int id;
    struct list_node node;
};

#define ITEMS 20

/* The list must hold exactly model[0..n), in order, forwards and backwards. */
static void check(struct list_node *head, const int *model, int n)
{
    int i = 0;
    list_foreach(x, head)
    {
        assert_true(i < n);
        assert_int_equal(list_entry(x, struct item, node)->id, model[i++]);
        assert_true(list_linked(x));
    }
    assert_int_equal(i, n);
    for (struct list_node *x = head->prev; x != head; x = x->prev)
        assert_int_equal(list_entry(x, struct item, node)->id, model[--i]);
    assert_int_equal(i, 0);
    assert_int_equal(list_empty(head), n == 0);
}

static int model_remove(int *model, int n, int id)
{
    for (int i = 0; i < n; i++) {
        if (model[i] == id) {
            memmove(model + i, model + i + 1, (size_t)(n - i - 1) * sizeof(*model));
            return n - 1;
        }
    }
    return n;
}

static void test_against_array(void **state)
{
    struct item items[ITEMS];
    struct list_node head;
    int model[ITEMS], n = 0;
    struct sl_rand r;
    sl_rand_seed(&r, 11);
    list_init(&head);
    for (int i = 0; i < ITEMS; i++) {
        items[i].id = i;
        list_init(&items[i].node);
    }
    for (int step = 0; step < 20000; step++) {
        struct item *it = &items[sl_rand_below(&r, ITEMS)];
        struct list_node *popped = NULL;
        switch (sl_rand_below(&r, 5)) {
        case 0:
        case 1:
            if (list_linked(&it->node))
                break;
            if (sl_rand_chance(&r, 1, 2)) {
                list_push_back(&head, &it->node);
                model[n++] = it->id;
            } else {
                list_push_front(&head, &it->node);
                memmove(model + 1, model, (size_t)n++ * sizeof(*model));
                model[0] = it->id;
            }
            break;
        case 2:
            list_remove(&it->node); /* of one that is on no list, too */
            n = model_remove(model, n, it->id);
            break;
        case 3:
            popped = list_pop_front(&head);
            assert_int_equal(popped ? list_entry(popped, struct item, node)->id : -1, n ? model[0] : -1);
            break;
        default:
            popped = list_pop_back(&head);
            assert_int_equal(popped ? list_entry(popped, struct item, node)->id : -1, n ? model[n - 1] : -1);
        }
        if (popped) {
            assert_false(list_linked(popped));
            n = model_remove(model, n, list_entry(popped, struct item, node)->id);
        }
        check(&head, model, n);
    }
}

static void test_safe_walk(void **state)
{
    struct item items[ITEMS];
    struct list_node head;
    list_init(&head);
    for (int i = 0; i < ITEMS; i++) {
        items[i].id = i;
        list_push_back(&head, &items[i].node);
    }
    list_foreach_safe(x, &head)
    {
        if (list_entry(x, struct item, node)->id % 2)
            list_remove(x);
    }
    int seen = 0;
    list_foreach(x, &head) assert_int_equal(list_entry(x, struct item, node)->id, 2 * seen++);
    assert_int_equal(seen, ITEMS / 2);
    list_foreach_safe(x, &head) list_remove(x);
    assert_true(list_empty(&head));
}

static void test_splice(void **state)
{
    struct item items[6];
    struct list_node a, b;
    list_init(&a);
    list_init(&b);
    for (int i = 0; i < 6; i++) {
        items[i].id = i;
        list_push_back(i < 3 ? &a : &b, &items[i].node);
    }
    const int all[] = {0, 1, 2, 3, 4, 5};
    list_splice_back(&a, &b);
    check(&a, all, 6);
    check(&b, all, 0);
    list_splice_back(&a, &b);
    check(&a, all, 6);
    list_splice_back(&b, &a);
    check(&b, all, 6);
    assert_null(list_first(&a));
    assert_null(list_last(&a));
    assert_ptr_equal(list_first(&b), &items[0].node);
    assert_ptr_equal(list_last(&b), &items[5].node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_array),
        cmocka_unit_test(test_safe_walk),
        cmocka_unit_test(test_splice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
