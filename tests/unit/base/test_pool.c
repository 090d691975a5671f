/* pool.h: limits, alignment, merging, giving memory back, registration callbacks, misuse, random work against
 * a model. */
#include "death.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/base/asan.h"
#include "engine/base/pool.h"
#include "engine/base/rand.h"

#define MIB ((size_t)1 << 20)

/* ---- objects ---- */

static void check_objects(size_t size, size_t limit)
{
    struct obj_pool p;
    uint8_t **objs = calloc(limit, sizeof(*objs));
    obj_pool_init(&p, size, limit);
    assert_int_equal(p.made, 0);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < limit; i++) {
            objs[i] = i % 2 ? obj_pool_alloc(&p) : obj_pool_zalloc(&p);
            assert_non_null(objs[i]);
            assert_int_equal((uintptr_t)objs[i] % (size >= 64 ? 64 : 16), 0);
            for (size_t k = 0; i % 2 == 0 && k < size; k++)
                assert_int_equal(objs[i][k], 0);
            memset(objs[i], (int)(i & 0xff), size);
        }
        assert_null(obj_pool_alloc(&p));
        assert_null(obj_pool_zalloc(&p));
        assert_int_equal(p.in_use, limit);
        for (size_t i = 0; i < limit; i++) {
            for (size_t k = 0; k < size; k++)
                assert_int_equal(objs[i][k], i & 0xff);
            obj_pool_free(&p, objs[i]);
        }
        assert_int_equal(p.in_use, 0);
    }
    assert_int_equal(p.peak, limit);
    assert_int_equal(p.made, limit);
    obj_pool_destroy(&p);
    free(objs);
}

static void test_objects(void **state)
{
    check_objects(1, 10);
    check_objects(24, 3000);
    check_objects(64, 1);
    check_objects(100, 500);
    check_objects(40000, 7);
}

static void destroy_with_object_out(void *arg)
{
    struct obj_pool p;
    obj_pool_init(&p, 8, 8);
    (void)obj_pool_alloc(&p);
    obj_pool_destroy(&p);
}

static void test_object_leak(void **state)
{
    death_expect(destroy_with_object_out, NULL, "in_use == 0");
}

/* ---- buffers ---- */

static struct buf_pool *make(size_t limit, size_t max_large, size_t keep)
{
    struct buf_pool_config cfg = {.limit = limit, .max_large = max_large, .keep_free = keep};
    struct buf_pool *p = buf_pool_create(&cfg);
    assert_non_null(p);
    return p;
}

static struct buf_pool_stats stats(const struct buf_pool *p)
{
    struct buf_pool_stats s;
    buf_pool_get_stats(p, &s);
    return s;
}

static void test_classes(void **state)
{
    assert_int_equal(buf_pool_size(1), 4096);
    assert_int_equal(buf_pool_size(4096), 4096);
    assert_int_equal(buf_pool_size(4097), 8192);
    assert_int_equal(buf_pool_size(MIB + 1), 2 * MIB);
    assert_int_equal(buf_pool_size(2 * MIB), 2 * MIB);
    assert_int_equal(buf_pool_size(2 * MIB + 1), 2 * MIB + 4096);
    struct buf_pool *p = make(8 * MIB, 0, 8 * MIB);
    assert_int_equal(stats(p).reserved, 0);
    for (size_t n = 1; n <= 2 * MIB; n = n * 2 + 1) {
        uint32_t index = 0;
        uint8_t *b = buf_pool_alloc(p, n, &index);
        assert_non_null(b);
        assert_int_equal((uintptr_t)b % buf_pool_size(n), 0);
        /* No callback: never registered. */
        assert_int_equal(index, BUF_POOL_NO_SLAB);
        assert_int_equal(buf_pool_slab_of(p, b, NULL), BUF_POOL_NO_SLAB);
        assert_int_equal(stats(p).in_use, buf_pool_size(n));
        b[0] = b[buf_pool_size(n) - 1] = 1;
        buf_pool_free(p, b, n);
        assert_int_equal(stats(p).in_use, 0);
    }
    assert_int_equal(stats(p).slabs, 1);
    assert_int_equal(stats(p).slabs_free, 1);
    assert_int_equal(stats(p).peak, 2 * MIB);
    buf_pool_destroy(p);
}

static void test_limit(void **state)
{
    enum { N = 4 * 512 };
    static void *bufs[N];
    struct buf_pool *p = make(8 * MIB + 5000, 0, 0);
    assert_int_equal(stats(p).limit, 8 * MIB);
    for (int i = 0; i < N; i++) {
        bufs[i] = buf_pool_alloc(p, 4096, NULL);
        assert_non_null(bufs[i]);
    }
    assert_null(buf_pool_alloc(p, 1, NULL));
    assert_null(buf_pool_alloc(p, 2 * MIB, NULL));
    assert_int_equal(stats(p).refused, 2);
    assert_int_equal(stats(p).reserved, 8 * MIB);
    /* Every second one back: half is free, but no 8 KiB in one piece. */
    for (int i = 0; i < N; i += 2)
        buf_pool_free(p, bufs[i], 4096);
    assert_null(buf_pool_alloc(p, 8192, NULL));
    assert_int_equal(stats(p).in_use, 4 * MIB);
    for (int i = 1; i < N; i += 2)
        buf_pool_free(p, bufs[i], 4096);
    /* All merged, and, as nothing is to be kept, all given back. */
    assert_int_equal(stats(p).reserved, 0);
    for (int i = 0; i < 4; i++) {
        bufs[i] = buf_pool_alloc(p, 2 * MIB, NULL);
        assert_non_null(bufs[i]);
    }
    assert_null(buf_pool_alloc(p, 1, NULL));
    for (int i = 0; i < 4; i++)
        buf_pool_free(p, bufs[i], 2 * MIB);
    buf_pool_destroy(p);
}

static void test_large(void **state)
{
    struct buf_pool *p = make(16 * MIB, 10 * MIB, 16 * MIB);
    uint32_t index = 1;
    assert_null(buf_pool_alloc(p, 10 * MIB + 1, NULL));
    uint8_t *a = buf_pool_alloc(p, 9 * MIB + 1, &index);
    assert_non_null(a);
    assert_int_equal(index, BUF_POOL_NO_SLAB);
    assert_int_equal((uintptr_t)a % 4096, 0);
    a[9 * MIB] = 1;
    assert_int_equal(stats(p).reserved, 9 * MIB + 4096);
    /* The same limit: 6 MiB and a bit are left, so 3 slabs fit and no fourth. */
    void *s[3];
    for (int i = 0; i < 3; i++) {
        s[i] = buf_pool_alloc(p, 2 * MIB, NULL);
        assert_non_null(s[i]);
    }
    assert_null(buf_pool_alloc(p, 4096, NULL));
    assert_null(buf_pool_alloc(p, 3 * MIB, NULL));
    buf_pool_free(p, a, 9 * MIB + 1);
    /* Free slabs make way for a large buffer, used ones do not. */
    buf_pool_free(p, s[0], 2 * MIB);
    buf_pool_free(p, s[1], 2 * MIB);
    assert_int_equal(stats(p).reserved, 6 * MIB);
    a = buf_pool_alloc(p, 10 * MIB, NULL);
    assert_non_null(a);
    assert_int_equal(stats(p).slabs, 3);
    void *b = buf_pool_alloc(p, 3 * MIB, NULL);
    assert_non_null(b);
    assert_int_equal(stats(p).slabs, 1);
    assert_int_equal(stats(p).reserved, 15 * MIB);
    assert_null(buf_pool_alloc(p, 2 * MIB + 1, NULL));
    buf_pool_free(p, a, 10 * MIB);
    buf_pool_free(p, b, 3 * MIB);
    buf_pool_free(p, s[2], 2 * MIB);
    assert_int_equal(stats(p).in_use, 0);
    buf_pool_destroy(p);
    p = make(4 * MIB, 0, 0);
    assert_null(buf_pool_alloc(p, 2 * MIB + 1, NULL));
    buf_pool_destroy(p);
}

/* Resident pages of [base, base + len). */
static size_t resident(void *base, size_t len)
{
    static unsigned char vec[4096];
    size_t n = 0;
    assert_true(len / 4096 <= sizeof(vec));
    assert_int_equal(mincore(base, len, vec), 0);
    for (size_t i = 0; i < len / 4096; i++)
        n += vec[i] & 1;
    return n;
}

struct registry {
    void *base[64];
    uint32_t calls, gone, refuse_on, refuse_off;
};

static int on_slab(void *ctx, void *base, size_t len, uint32_t i)
{
    struct registry *r = ctx;
    assert_int_equal(len, 2 * MIB);
    assert_int_equal((uintptr_t)base % (2 * MIB), 0);
    assert_null(r->base[i]);
    r->calls++;
    if (r->refuse_on)
        return -1;
    r->base[i] = base;
    return 0;
}

static int off_slab(void *ctx, void *base, size_t len, uint32_t i)
{
    struct registry *r = ctx;
    assert_ptr_equal(r->base[i], base);
    if (r->refuse_off)
        return -1;
    r->gone++;
    r->base[i] = NULL;
    return 0;
}

static void test_registration(void **state)
{
    struct registry r = {0};
    struct buf_pool_config cfg = {
        .limit = 16 * MIB, .keep_free = 2 * MIB, .ctx = &r, .on_slab = on_slab, .off_slab = off_slab};
    struct buf_pool *p = buf_pool_create(&cfg);
    void *b[8], *base;
    uint32_t index;
    for (int i = 0; i < 8; i++) {
        b[i] = buf_pool_alloc(p, 2 * MIB, &index);
        assert_ptr_equal(r.base[index], b[i]);
        memset(b[i], 1, 2 * MIB);
    }
    assert_int_equal(r.calls, 8);
    assert_int_equal(buf_pool_slab_of(p, (char *)b[3] + 77777, &base), 3);
    assert_ptr_equal(base, b[3]);
    assert_int_equal(buf_pool_slab_of(p, &r, NULL), BUF_POOL_NO_SLAB);
    /* One free slab is kept, the others are unregistered and lose their pages. */
    for (int i = 0; i < 8; i++)
        buf_pool_free(p, b[i], 2 * MIB);
    assert_int_equal(r.gone, 7);
    assert_int_equal(stats(p).slabs, 1);
    assert_int_equal(stats(p).reserved, 2 * MIB);
    size_t pages = 0;
    for (int i = 0; i < 8; i++)
        pages += resident(b[i], 2 * MIB);
    assert_int_equal(pages, 512);
    assert_int_equal(buf_pool_trim(p, 0), 2 * MIB);
    assert_int_equal(stats(p).slabs, 0);
    /* They come back registered anew, and empty. */
    for (int i = 0; i < 8; i++) {
        b[i] = buf_pool_alloc(p, 2 * MIB, &index);
        assert_ptr_equal(r.base[index], b[i]);
        assert_int_equal(*(char *)b[i], 0);
    }
    assert_int_equal(r.calls, 16);
    r.refuse_off = 1;
    for (int i = 0; i < 8; i++)
        buf_pool_free(p, b[i], 2 * MIB);
    /* Nobody unregisters: nothing may be given back. */
    assert_int_equal(stats(p).slabs, 8);
    buf_pool_destroy(p);
}

static void test_registration_fails(void **state)
{
    struct registry r = {.refuse_on = 1};
    struct buf_pool_config cfg = {.limit = 4 * MIB, .ctx = &r, .on_slab = on_slab, .off_slab = off_slab};
    struct buf_pool *p = buf_pool_create(&cfg);
    uint32_t index = 0;
    void *b = buf_pool_alloc(p, 4096, &index);
    assert_non_null(b);
    assert_int_equal(index, BUF_POOL_NO_SLAB);
    assert_int_equal(buf_pool_slab_of(p, b, NULL), BUF_POOL_NO_SLAB);
    buf_pool_free(p, b, 4096);
    /* Never registered, so it goes without asking. */
    assert_int_equal(stats(p).slabs, 0);
    assert_int_equal(r.gone, 0);
    buf_pool_destroy(p);
    /* Without off_slab a registered slab stays. */
    r = (struct registry){0};
    cfg.off_slab = NULL;
    p = buf_pool_create(&cfg);
    b = buf_pool_alloc(p, 4096, &index);
    assert_int_equal(index, 0);
    buf_pool_free(p, b, 4096);
    assert_int_equal(stats(p).slabs, 1);
    assert_int_equal(buf_pool_trim(p, 0), 0);
    buf_pool_destroy(p);
}

struct live {
    uint8_t *p;
    size_t n;
    uint8_t mark;
};

/* Marks both ends and the middle, so that overlapping buffers show. */
static void mark(struct live *l, uint8_t v)
{
    l->mark = v;
    l->p[0] = l->p[l->n / 2] = l->p[l->n - 1] = v;
}

static bool marked(const struct live *l)
{
    return l->p[0] == l->mark && l->p[l->n / 2] == l->mark && l->p[l->n - 1] == l->mark;
}

static void test_random(void **state)
{
    enum { N = 400 };
    static struct live live[N];
    struct registry r = {0};
    struct buf_pool_config cfg = {.limit = 24 * MIB,
                                  .max_large = 5 * MIB,
                                  .keep_free = 4 * MIB,
                                  .ctx = &r,
                                  .on_slab = on_slab,
                                  .off_slab = off_slab};
    struct buf_pool *p = buf_pool_create(&cfg);
    struct sl_rand rnd;
    size_t out = 0, refused = 0;
    sl_rand_seed(&rnd, 77);
    for (int step = 0; step < 60000; step++) {
        struct live *l = &live[sl_rand_below(&rnd, N)];
        if (l->p) {
            assert_true(marked(l));
            buf_pool_free(p, l->p, l->n);
            out -= buf_pool_size(l->n);
            l->p = NULL;
        } else {
            uint32_t index;
            l->n = 1 + sl_rand_below(&rnd, 5 * MIB) / (1u << sl_rand_below(&rnd, 13));
            l->p = buf_pool_alloc(p, l->n, &index);
            if (l->p) {
                mark(l, (uint8_t)step);
                out += buf_pool_size(l->n);
                assert_int_equal(index == BUF_POOL_NO_SLAB, l->n > 2 * MIB);
            }
            refused += l->p == NULL;
        }
        struct buf_pool_stats s = stats(p);
        assert_int_equal(s.in_use, out);
        assert_true(s.reserved <= s.limit && s.reserved >= s.in_use);
        assert_true((size_t)s.slabs_free * 2 * MIB <= cfg.keep_free);
    }
    assert_int_equal(stats(p).refused, refused);
    assert_true(refused > 100);
    for (int i = 0; i < N; i++) {
        if (live[i].p)
            buf_pool_free(p, live[i].p, live[i].n);
    }
    /* Back at the baseline: everything merged, only the kept slabs are held. */
    assert_int_equal(stats(p).in_use, 0);
    assert_true(stats(p).reserved <= cfg.keep_free && stats(p).slabs == stats(p).slabs_free);
    assert_int_equal(r.calls - r.gone, stats(p).slabs);
    buf_pool_destroy(p);
}

static void free_twice(void *arg)
{
    struct buf_pool *p = make(4 * MIB, 0, 4 * MIB);
    void *a = buf_pool_alloc(p, 4096, NULL), *b = buf_pool_alloc(p, 4096, NULL);
    buf_pool_free(p, a, 4096);
    (void)b;
    buf_pool_free(p, a, 4096);
}

static void free_wrong_size(void *arg)
{
    struct buf_pool *p = make(4 * MIB, 0, 4 * MIB);
    (void)buf_pool_alloc(p, 65536, NULL);
    buf_pool_free(p, buf_pool_alloc(p, 8192, NULL), 4096);
}

static void free_inside(void *arg)
{
    struct buf_pool *p = make(4 * MIB, 0, 4 * MIB);
    char *a = buf_pool_alloc(p, 8192, NULL);
    buf_pool_free(p, a + 4096, 4096);
}

static void free_foreign(void *arg)
{
    struct buf_pool *p = make(4 * MIB, 0, 4 * MIB);
    (void)buf_pool_alloc(p, 8192, NULL);
    buf_pool_free(p, malloc(4096), 4096);
}

static void destroy_with_buffer_out(void *arg)
{
    struct buf_pool *p = make(4 * MIB, 0, 4 * MIB);
    (void)buf_pool_alloc(p, 8192, NULL);
    buf_pool_destroy(p);
}

static void test_misuse(void **state)
{
    death_expect(free_twice, NULL, "BUF_USED");
    death_expect(free_wrong_size, NULL, "BUF_USED");
    death_expect(free_inside, NULL, "BUF_USED");
    death_expect(free_foreign, NULL, "buf_in_slabs");
    death_expect(destroy_with_buffer_out, NULL, "in_use == 0");
}

#ifdef SL_ASAN
static void touch_freed_buffer(void *arg)
{
    struct buf_pool *p = make(4 * MIB, 0, 4 * MIB);
    volatile char *a = buf_pool_alloc(p, 4096, NULL);
    buf_pool_free(p, (void *)a, 4096);
    a[100] = 1;
}

static void overrun_buffer(void *arg)
{
    struct buf_pool *p = make(4 * MIB, 0, 4 * MIB);
    volatile char *a = buf_pool_alloc(p, 4096, NULL);
    a[4096] = 1;
}

static void touch_freed_object(void *arg)
{
    struct obj_pool p;
    obj_pool_init(&p, 100, 10);
    volatile char *a = obj_pool_alloc(&p);
    obj_pool_free(&p, (void *)a);
    a[50] = 1;
}
#endif

static void test_poison(void **state)
{
#ifdef SL_ASAN
    void (*cases[])(void *) = {touch_freed_buffer, overrun_buffer, touch_freed_object};
    static char text[16384];
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        assert_int_not_equal(death_run(cases[i], NULL, text, sizeof(text)), 0);
        assert_non_null(strstr(text, "use-after-poison"));
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_object_leak),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_registration),
        cmocka_unit_test(test_registration_fails),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_poison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
