/* Partition sets against a bitmap, on random inputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/rand.h"
#include "engine/coord/modern/parts.h"

enum { TOPICS = 3, PARTITIONS = 5, ALL = TOPICS * PARTITIONS };

static struct arena arena;

static struct sl_uuid topic(uint32_t t)
{
    return sl_uuid_make(t, 7);
}

/* Bit t * PARTITIONS + p of the map: the set holds that partition. */
static struct cg_parts from_bits(uint32_t bits, int32_t epoch)
{
    struct cg_parts s;
    assert_int_equal(cg_parts_reserve(&s, ALL, &arena), 0);
    for (uint32_t i = ALL; i-- > 0;) { /* descending: sorting has work */
        struct sl_uuid id = topic(i / PARTITIONS);
        if (bits >> i & 1)
            cg_parts_push(&s, &id, (int32_t)(i % PARTITIONS), epoch);
    }
    cg_parts_sort(&s);
    return s;
}

static uint32_t to_bits(const struct cg_parts *s)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t bit = (uint32_t)sl_uuid_msb(&s->v[i].topic) * PARTITIONS + (uint32_t)s->v[i].partition;
        assert_false(bits >> bit & 1);
        if (i)
            assert_true(cg_part_cmp(&s->v[i - 1], &s->v[i]) < 0);
        bits |= 1u << bit;
    }
    return bits;
}

static void test_operations(void **state)
{
    struct sl_rand rnd;
    sl_rand_seed(&rnd, 1);
    for (int round = 0; round < 5000; round++) {
        uint32_t a = (uint32_t)sl_rand_u64(&rnd) % (1u << ALL), b = (uint32_t)sl_rand_u64(&rnd) % (1u << ALL);
        if (round % 5 == 0)
            b &= a;
        struct cg_parts x = from_bits(a, 1), y = from_bits(b, 2), out;
        assert_int_equal(to_bits(&x), a);
        assert_int_equal(cg_parts_intersect(&x, &y, &out, &arena), 0);
        assert_int_equal(to_bits(&out), a & b);
        for (uint32_t i = 0; i < out.n; i++)
            assert_int_equal(out.v[i].epoch, 1);
        assert_int_equal(cg_parts_subtract(&x, &y, &out, &arena), 0);
        assert_int_equal(to_bits(&out), a & ~b);
        assert_int_equal(cg_parts_union(&x, &y, &out, &arena), 0);
        assert_int_equal(to_bits(&out), a | b);
        for (uint32_t i = 0; i < out.n; i++)
            assert_int_equal(out.v[i].epoch, cg_parts_find(&x, &out.v[i].topic, out.v[i].partition) ? 1 : 2);
        assert_int_equal(cg_parts_meet(&x, &y), (a & b) != 0);
        assert_int_equal(cg_parts_subset(&y, &x), (b & ~a) == 0);
        assert_int_equal(cg_parts_same(&x, &y), a == b);
        assert_int_equal(cg_parts_equal(&x, &y), a == b && a == 0);
        arena_reset(&arena);
    }
}

static void test_sort_drops_duplicates(void **state)
{
    struct cg_parts s;
    struct sl_uuid id = topic(1);
    cg_parts_reserve(&s, 4, &arena);
    cg_parts_push(&s, &id, 3, 0);
    cg_parts_push(&s, &id, 1, 0);
    cg_parts_push(&s, &id, 3, 0);
    cg_parts_push(&s, &id, 1, 0);
    cg_parts_sort(&s);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.v[0].partition, 1);
    assert_int_equal(s.v[1].partition, 3);
}

static void test_keep_and_topics(void **state)
{
    struct cg_parts keep = {0}, s = from_bits(1u << 0 | 1u << 3 | 1u << 7 | 1u << 14, 4);
    assert_int_equal(cg_parts_keep(&keep, &s), 0);
    assert_true(cg_parts_equal(&keep, &s));
    uint32_t from, to = 0, topics = 0, sizes[TOPICS] = {0};
    while (cg_parts_next_topic(&keep, &from, &to))
        sizes[topics++] = to - from;
    assert_int_equal(topics, 3);
    assert_int_equal(sizes[0], 2);
    assert_int_equal(sizes[1], 1);
    assert_int_equal(sizes[2], 1);
    struct sl_uuid id = topic(0);
    assert_int_equal(cg_parts_find(&keep, &id, 3)->epoch, 4);
    assert_null(cg_parts_find(&keep, &id, 2));
    cg_parts_free(&keep);
    assert_int_equal(keep.n, 0);
    assert_false(cg_parts_next_topic(&keep, &from, &(uint32_t){0}));
}

static int teardown(void **state)
{
    arena_free(&arena);
    return 0;
}

int main(void)
{
    arena_init(&arena, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_sort_drops_duplicates),
        cmocka_unit_test(test_keep_and_topics),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
