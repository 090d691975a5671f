/* pool.h: slabs that are got ready ahead. In steps, to see each of them, and beside a thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "engine/base/pool.h"
#include "engine/base/rand.h"

#define MIB ((size_t)1 << 20)
enum { SLABS = 64 };

struct ahead {
    struct prefault *f;
    struct buf_pool *p;
    void *out[SLABS];
    int n;
};

static void setup(struct ahead *x, size_t limit, size_t keep)
{
    *x = (struct ahead){.f = prefault_create()};
    struct buf_pool_config cfg = {
        .limit = limit, .max_large = 64 * MIB, .keep_free = keep, .prefault = x->f, .ahead = 2};
    assert_non_null(x->f);
    x->p = buf_pool_create(&cfg);
    assert_non_null(x->p);
}

static struct buf_pool_stats stats(const struct buf_pool *p)
{
    struct buf_pool_stats s;
    buf_pool_get_stats(p, &s);
    return s;
}

static bool take(struct ahead *x)
{
    void *b = buf_pool_alloc(x->p, 2 * MIB, NULL);
    if (b)
        x->out[x->n++] = b;
    return b != NULL;
}

static void give(struct ahead *x, int keep)
{
    while (x->n > keep)
        buf_pool_free(x->p, x->out[--x->n], 2 * MIB);
}

static void teardown(struct ahead *x)
{
    give(x, 0);
    buf_pool_destroy(x->p);
    prefault_destroy(x->f);
}

static bool in_memory(void *base)
{
    unsigned char in[512];
    assert_int_equal(mincore(base, 2 * MIB, in), 0);
    for (int i = 0; i < 512; i++)
        if (!(in[i] & 1))
            return false;
    return true;
}

/* No more is got ready than is in use, and no more than was asked for. */
static void test_as_many_as_used(void **state)
{
    struct ahead x;
    setup(&x, 128 * MIB, 8 * MIB);
    assert_int_equal(stats(x.p).reserved, 0);
    void *b = buf_pool_alloc(x.p, 4096, NULL);
    assert_int_equal(stats(x.p).slabs_pending, 1);
    assert_int_equal(stats(x.p).reserved, 4 * MIB);
    prefault_step(x.f);
    assert_true(take(&x));
    assert_true(in_memory(x.out[0]));
    for (int i = 0; i < 10; i++) {
        prefault_step(x.f);
        assert_true(take(&x));
        assert_true(in_memory(x.out[x.n - 1]));
        struct buf_pool_stats s = stats(x.p);
        assert_int_equal(s.slabs_free + s.slabs_pending, 2);
        assert_int_equal(s.reserved, (s.slabs + s.slabs_pending) * 2 * MIB);
    }
    assert_int_equal(stats(x.p).opened_cold, 1);
    buf_pool_free(x.p, b, 4096);
    teardown(&x);
}

/* The thread is late: the pool goes on, and asks for more at a time; it comes back down when it shrinks. */
static void test_late(void **state)
{
    struct ahead x;
    setup(&x, 128 * MIB, 8 * MIB);
    for (int i = 0; i < 6; i++)
        assert_true(take(&x));
    assert_int_equal(stats(x.p).opened_cold, 6);
    assert_int_equal(stats(x.p).slabs_pending, 4);
    prefault_step(x.f);
    assert_true(take(&x));
    assert_int_equal(stats(x.p).opened_ready, 4);
    assert_int_equal(stats(x.p).slabs_free + stats(x.p).slabs_pending, 4);
    give(&x, 0);
    buf_pool_trim(x.p, 0);
    for (int i = 0; i < 4; i++) {
        prefault_step(x.f);
        assert_true(take(&x));
    }
    assert_int_equal(stats(x.p).slabs_free + stats(x.p).slabs_pending, 2);
    teardown(&x);
}

/* Slabs that are being got ready do not stand in the way at the limit: one for one, and for a large buffer. */
static void test_limit(void **state)
{
    struct ahead x;
    for (int steps = 0; steps < 2; steps++) {
        setup(&x, 64 * MIB, 8 * MIB);
        while (take(&x)) {
            assert_true(stats(x.p).reserved <= 64 * MIB);
            if (steps)
                prefault_step(x.f);
        }
        assert_int_equal(x.n, 32);
        assert_int_equal(stats(x.p).slabs_pending, 0);
        give(&x, 29);
        assert_int_equal(stats(x.p).slabs_free, 3);
        void *b = buf_pool_alloc(x.p, 6 * MIB, NULL);
        assert_non_null(b);
        assert_false(take(&x));
        buf_pool_free(x.p, b, 6 * MIB);
        give(&x, 10);
        while (stats(x.p).slabs_free)
            assert_true(take(&x));
        if (!steps) /* those taken back are still queued: nothing more can be asked for */
            assert_int_equal(stats(x.p).slabs_pending, 0);
        prefault_step(x.f);
        assert_true(take(&x));
        assert_true(stats(x.p).slabs_pending > 0);
        size_t room = 64 * MIB - stats(x.p).in_use;
        b = buf_pool_alloc(x.p, room, NULL);
        assert_non_null(b);
        assert_int_equal(stats(x.p).reserved, 64 * MIB);
        assert_int_equal(stats(x.p).slabs_pending, 0);
        buf_pool_free(x.p, b, room);
        teardown(&x);
    }
}

/* What is ready, and what is queued, is given back; what is freed trims no more than keep_free says. */
static void test_trim(void **state)
{
    struct ahead x;
    setup(&x, 128 * MIB, 8 * MIB);
    for (int steps = 0; steps < 2; steps++) {
        for (int i = 0; i < 5; i++)
            assert_true(take(&x));
        assert_true(stats(x.p).slabs_pending > 0);
        if (steps)
            prefault_step(x.f);
        size_t held = stats(x.p).reserved - stats(x.p).in_use;
        assert_true(held >= 4 * MIB);
        assert_int_equal(buf_pool_trim(x.p, 0), held);
        assert_int_equal(stats(x.p).reserved, stats(x.p).in_use);
        give(&x, 0);
        assert_true(stats(x.p).reserved <= 8 * MIB);
        prefault_step(x.f);
    }
    teardown(&x);
}

/* keep_free and an eighth of the limit bound what is got ready: else it would be given back at once, or be missed
 * at the limit. */
static void test_bounds(void **state)
{
    const size_t limits[] = {128 * MIB, 128 * MIB, 32 * MIB, 14 * MIB};
    const size_t keeps[] = {0, 2 * MIB, 8 * MIB, 8 * MIB};
    const uint32_t most[] = {0, 1, 2, 0};
    for (int c = 0; c < 4; c++) {
        struct ahead x;
        setup(&x, limits[c], keeps[c]);
        for (int i = 0; i < 5; i++) {
            assert_true(take(&x));
            assert_true(stats(x.p).slabs_pending <= most[c]);
        }
        assert_int_equal(stats(x.p).slabs_pending, most[c]);
        teardown(&x);
    }
}

static int on_slab(void *ctx, void *base, size_t len, uint32_t slab_index)
{
    (*(int *)ctx)++;
    assert_true(slab_index < SLABS && len == 2 * MIB);
    return 0;
}

/* Registered by the pool's thread, when it comes into use. */
static void test_registered(void **state)
{
    int calls = 0;
    uint32_t index;
    struct prefault *f = prefault_create();
    struct buf_pool_config cfg = {.limit = 128 * MIB,
                                  .keep_free = 8 * MIB,
                                  .prefault = f,
                                  .ahead = 2,
                                  .ctx = &calls,
                                  .on_slab = on_slab};
    struct buf_pool *p = buf_pool_create(&cfg);
    void *a = buf_pool_alloc(p, 2 * MIB, &index);
    assert_int_equal(calls, 1);
    prefault_step(f);
    assert_int_equal(calls, 1);
    void *b = buf_pool_alloc(p, 2 * MIB, &index);
    assert_int_equal(calls, 2);
    assert_int_equal(buf_pool_slab_of(p, b, NULL), index);
    buf_pool_free(p, a, 2 * MIB);
    buf_pool_free(p, b, 2 * MIB);
    buf_pool_destroy(p);
    prefault_destroy(f);
}

struct live {
    uint8_t *p;
    size_t n;
    uint8_t mark;
};

static void mark(struct live *l, uint8_t v)
{
    l->mark = v;
    for (size_t i = 0; i < l->n; i += 4096)
        l->p[i] = v;
}

static bool marked(const struct live *l)
{
    for (size_t i = 0; i < l->n; i += 4096)
        if (l->p[i] != l->mark)
            return false;
    return true;
}

/* The thread writes to no slab in use: what is out keeps its content, whatever comes and goes beside it. */
static void random_work(struct prefault *f, uint64_t seed)
{
    enum { N = 60 };
    struct live live[N] = {0};
    struct buf_pool_config cfg = {
        .limit = 64 * MIB, .max_large = 8 * MIB, .keep_free = 4 * MIB, .prefault = f, .ahead = 2};
    struct buf_pool *p = buf_pool_create(&cfg);
    struct sl_rand rnd;
    sl_rand_seed(&rnd, seed);
    for (int step = 0; step < 4000; step++) {
        /* It fills and empties by turns, so that slabs come and go. */
        bool fill = step / 200 % 2 == 0;
        struct live *l = &live[sl_rand_below(&rnd, N)];
        if (l->p && (!fill || sl_rand_below(&rnd, 4) == 0)) {
            assert_true(marked(l));
            buf_pool_free(p, l->p, l->n);
            l->p = NULL;
        } else if (!l->p && fill) {
            l->n = 1 + sl_rand_below(&rnd, 5 * MIB) / (1u << sl_rand_below(&rnd, 6));
            l->p = buf_pool_alloc(p, l->n, NULL);
            if (l->p)
                mark(l, (uint8_t)(1 + step % 255));
        }
        struct buf_pool_stats s = stats(p);
        assert_true(s.reserved <= s.limit && s.reserved >= s.in_use + s.slabs_pending * 2 * MIB);
    }
    assert_true(stats(p).opened_ready > 0);
    for (int i = 0; i < N; i++)
        if (live[i].p) {
            assert_true(marked(&live[i]));
            buf_pool_free(p, live[i].p, live[i].n);
        }
    buf_pool_destroy(p);
}

static void test_beside_a_thread(void **state)
{
    struct prefault *f = prefault_create();
    assert_int_equal(prefault_start(f), 0);
    for (uint64_t seed = 1; seed <= 3; seed++)
        random_work(f, seed);
    prefault_destroy(f);
}

/* A pool that goes while the thread is at its slabs. */
static void test_destroy_at_once(void **state)
{
    struct ahead x;
    for (int i = 0; i < 50; i++) {
        setup(&x, 128 * MIB, 8 * MIB);
        assert_int_equal(prefault_start(x.f), 0);
        for (int k = 0; k < 3; k++)
            assert_true(take(&x));
        teardown(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_as_used), cmocka_unit_test(test_late),
        cmocka_unit_test(test_limit),           cmocka_unit_test(test_trim),
        cmocka_unit_test(test_bounds),          cmocka_unit_test(test_registered),
        cmocka_unit_test(test_beside_a_thread), cmocka_unit_test(test_destroy_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
