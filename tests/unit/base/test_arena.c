/* arena.h: alignment, growth, the limit, overflow, reuse after reset, and (ASan) no touching after reset. */
#include "death.h"

#include "engine/base/arena.h"
#include "engine/base/asan.h"
#include "engine/base/rand.h"

static void test_alloc(void **state)
{
    struct arena a;
    struct sl_rand r;
    uint8_t *ptrs[2000];
    size_t lens[2000];
    arena_init(&a, 0);
    assert_int_equal(a.reserved, 0);
    sl_rand_seed(&r, 3);
    for (int i = 0; i < 2000; i++) {
        lens[i] = sl_rand_below(&r, i % 100 == 0 ? 20000 : 200);
        ptrs[i] = arena_alloc(&a, lens[i]);
        assert_non_null(ptrs[i]);
        assert_int_equal((uintptr_t)ptrs[i] % ARENA_ALIGN, 0);
        memset(ptrs[i], i & 0xff, lens[i]);
    }
    /* No two overlap: every byte is still what its owner wrote. */
    for (int i = 0; i < 2000; i++) {
        for (size_t k = 0; k < lens[i]; k++)
            assert_int_equal(ptrs[i][k], i & 0xff);
    }
    arena_free(&a);
    assert_int_equal(a.reserved, 0);
}

static void test_kinds(void **state)
{
    struct arena a;
    arena_init(&a, 0);
    assert_non_null(arena_alloc(&a, 0));
    uint8_t *dirty = arena_alloc(&a, 1000);
    memset(dirty, 0xff, 1000);
    arena_reset(&a);
    uint8_t *z = arena_zalloc(&a, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(z[i], 0);
    uint64_t *arr = arena_array(&a, 100, sizeof(*arr));
    assert_non_null(arr);
    arr[99] = 1;
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_array(&a, SIZE_MAX, 1));
    assert_null(arena_alloc(&a, SIZE_MAX - 8));
    char *s = arena_strndup(&a, "topic-name-and-more", 10);
    assert_string_equal(s, "topic-name");
    assert_string_equal(arena_strndup(&a, "", 0), "");
    assert_null(arena_strndup(&a, "x", SIZE_MAX));
    assert_non_null(arena_alloc(&a, 0));
    arena_free(&a);
}

static void test_limit(void **state)
{
    struct arena a;
    arena_init(&a, 10000);
    size_t got = 0;
    while (got < 20000 && arena_alloc(&a, 100))
        got += 100;
    /* Most of the limit is usable, and none of it is exceeded. */
    assert_in_range(got, 7000, 10000);
    assert_true(a.reserved <= 10000);
    assert_null(arena_alloc(&a, 5000));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 5000));
    arena_free(&a);
    assert_null(arena_alloc(&a, 10000));
    assert_int_equal(a.reserved, 0);
    assert_non_null(arena_alloc(&a, 9000));
    arena_free(&a);
}

static void test_growth(void **state)
{
    struct arena a;
    arena_init(&a, 0);
    assert_non_null(arena_alloc(&a, 1));
    assert_int_equal(a.reserved, ARENA_CHUNK_FIRST);
    void *first = a.first;
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&a, 1000));
    assert_true(a.reserved < 300000);
    assert_non_null(arena_alloc(&a, 3u << 20));
    assert_true(a.reserved >= 3u << 20);
    /* The first chunk is what a reset keeps. */
    arena_reset(&a);
    assert_int_equal(a.reserved, ARENA_CHUNK_FIRST);
    assert_ptr_equal(a.first, first);
    for (int i = 0; i < 10; i++) {
        void *p = arena_alloc(&a, 64);
        arena_reset(&a);
        assert_ptr_equal(arena_alloc(&a, 64), p);
        arena_reset(&a);
    }
    assert_int_equal(a.reserved, ARENA_CHUNK_FIRST);
    arena_free(&a);
    /* One huge request does not stay for good. */
    assert_non_null(arena_alloc(&a, 3u << 20));
    arena_reset(&a);
    assert_int_equal(a.reserved, 0);
    assert_non_null(arena_alloc(&a, 1));
    arena_free(&a);
}

#ifdef SL_ASAN
static void touch_after_reset(void *arg)
{
    struct arena a;
    arena_init(&a, 0);
    volatile char *p = arena_alloc(&a, 10);
    arena_reset(&a);
    p[0] = 1;
}

static void overrun(void *arg)
{
    struct arena a;
    arena_init(&a, 0);
    volatile char *p = arena_alloc(&a, 16);
    (void)arena_alloc(&a, 16);
    p[16] = 1;
}
#endif

static void test_poison(void **state)
{
#ifdef SL_ASAN
    char text[16384];
    assert_int_not_equal(death_run(touch_after_reset, NULL, text, sizeof(text)), 0);
    assert_non_null(strstr(text, "use-after-poison"));
    assert_int_not_equal(death_run(overrun, NULL, text, sizeof(text)), 0);
    assert_non_null(strstr(text, "use-after-poison"));
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),  cmocka_unit_test(test_kinds),  cmocka_unit_test(test_limit),
        cmocka_unit_test(test_growth), cmocka_unit_test(test_poison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
