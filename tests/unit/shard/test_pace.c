// Write-back keeps little in flight while there is room (engine/log/pace.h), and memory comes back while it is under way.
#include "shard_test.h"

enum { FIBERS = 50, PIECE = 64 << 10 };

struct writer {
    struct broker *b;
    uint32_t bytes;
    struct fiber *f;
    bool in, let_go, ended;
};

static void writer_fiber(void *arg)
{
    struct writer *w = arg;
    w->f = fiber_current();
    pace_enter(&w->b->s->env, w->bytes);
    w->in = true;
    fiber_park_until(&w->let_go);
    pace_leave(&w->b->s->env, w->bytes);
    w->ended = true;
}

static void start(struct broker *b, struct writer *w, uint32_t n, uint32_t bytes)
{
    memset(w, 0, n * sizeof(*w));
    for (uint32_t i = 0; i < n; i++) {
        w[i].b = b;
        w[i].bytes = bytes;
        assert_non_null(fiber_spawn(b->r, writer_fiber, &w[i], 0));
        fiber_yield();
    }
}

static uint32_t inside(const struct writer *w, uint32_t n)
{
    uint32_t in = 0;
    for (uint32_t i = 0; i < n; i++)
        in += w[i].in && !w[i].let_go;
    return in;
}

static void end(struct writer *w)
{
    w->let_go = true;
    fiber_wake(w->f);
    while (!w->ended)
        fiber_yield();
    fiber_yield();
}

static void turns(struct broker *b)
{
    struct writer w[FIBERS];
    struct log_env *env = &b->s->env;
    fiber_sleep(T_SECOND); // until the journal has its files
    assert_false(pace_hurry(env));
    start(b, w, FIBERS, PIECE);
    assert_int_equal(inside(w, FIBERS), PACE_CALM_WRITES);
    end(&w[0]);
    assert_int_equal(inside(w, FIBERS), PACE_CALM_WRITES);
    assert_true(w[PACE_CALM_WRITES].in && !w[PACE_CALM_WRITES + 1].in); // in order
    env->pace.short_of_memory = 1;
    end(&w[1]);
    assert_int_equal(inside(w, FIBERS), PACE_HURRY_WRITES);
    env->pace.short_of_memory = 0;
    for (uint32_t i = 2; i < FIBERS; i++)
        end(&w[i]);
    assert_int_equal(env->pace.writes, 0);
    assert_int_equal(env->pace.bytes, 0);
}

// One that is larger than what may be in flight goes alone.
static void large_one(struct broker *b)
{
    struct writer w[3];
    start(b, w, 3, 2 * PACE_CALM_BYTES);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(inside(w, 3), 1);
        end(&w[i]);
    }
}

static void pacing(struct broker *b)
{
    b->cfg.journal.files = 4;
    t_boot_ok(b);
    t_run(b, turns);
    t_run(b, large_one);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(pacing, 71)

// ---- memory -----------------------------------------------------------------------------------------------------------------
static void write_back(void *arg)
{
    struct broker *b = arg;
    assert_int_equal(log_write_back(t_log(b, 0, 0), false), 0);
    b->rc = 1;
}

static void produce_mib(struct broker *b, int n)
{
    for (int i = 0; i < 16 * n; i++) {
        struct t_spec s = {.records = 1, .value = 65000, .timestamp = 1};
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    }
}

static size_t in_use(const struct broker *b)
{
    struct buf_pool_stats s;
    buf_pool_get_stats(b->s->env.tail_pool, &s);
    return s.in_use;
}

// What is clean leaves memory while the rest is being written; what is being written stays.
static void reclaim(struct broker *b)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 64 << 20;
    assert_int_equal(t_open(b, 0, "reclaim", 1, &c), 0);
    produce_mib(b, 4);
    assert_int_equal(log_write_back(t_log(b, 0, 0), false), 0);
    produce_mib(b, 2);
    size_t before = in_use(b);
    b->rc = 0;
    assert_non_null(fiber_spawn(b->r, write_back, b, 0));
    while (!b->s->env.pace.writes && !b->rc)
        fiber_yield();
    log_env_reclaim(&b->s->env, 64 << 20);
    assert_false(b->rc);
    assert_true(b->s->env.pace.writes);
    assert_in_range(before - in_use(b), 3 << 20, 4 << 20);
    while (!b->rc)
        fiber_yield();
    b->rc = 0;
    log_env_reclaim(&b->s->env, 64 << 20);
    t_verify_all(b, false);
}

static void verify_again(struct broker *b)
{
    t_verify_all(b, false);
}

static void leaving(struct broker *b)
{
    b->cfg.dirty_bytes = 64 << 20; // write-back comes when it is asked for
    b->cfg.writeback_age_ms = 100000;
    b->cfg.direct.min = 0;
    t_boot_ok(b);
    t_run(b, reclaim);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, verify_again);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(leaving, 72)

int main(void)
{
    const struct CMUnitTest tests[] = {T_BOTH_ENTRIES(pacing), T_BOTH_ENTRIES(leaving)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
