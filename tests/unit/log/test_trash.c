// Removed segments on their way off the disk (trash.h): in steps, and whole where somebody reads.
#include "journal_test.h"

#include "engine/log/log_private.h"

#include <errno.h>

enum { STEP = 4096, SIZE = 5 * STEP + 100 };

struct rig {
    struct t_life life;
    struct sim_world *w;
    struct log_env env;
    struct log *l;
    struct segment *s;
    bool done;
};

static const struct log_config config = {.segment_bytes = 1 << 20, .segment_index_bytes = 1 << 20};

static void begin(struct rig *x)
{
    assert_int_equal(fio_mkdir("/d", 0755), 0);
    assert_int_equal(fio_mkdir(x->l->dir, 0755), 0);
}

static struct segment *make(struct rig *x, uint8_t byte)
{
    char path[1500];
    uint8_t *bytes = malloc(SIZE);
    struct segment *s = segment_new(x->l, 0, x->env.next_file_id++, config.segment_index_bytes);
    memset(bytes, byte, SIZE);
    segment_path(s, SEG_LOG, path, sizeof(path));
    assert_int_equal(fio_write_file(path, bytes, SIZE), 0);
    s->size = s->allocated = s->mem_start = SIZE;
    s->sealed = s->finished = true;
    free(bytes);
    return s;
}

// A segment that has just been removed from its log, due at once; with a reader or without.
static struct segment *removed(struct rig *x, uint8_t byte, bool read)
{
    struct segment *s = make(x, byte);
    if (read) {
        segment_hold(s);
        assert_int_equal(segment_open(s, false), 0);
    }
    assert_int_equal(log_put_away(x->l, s, true), 0);
    segment_retire(s);
    return s;
}

static uint64_t size_of(const struct rig *x, uint64_t nth)
{
    uint64_t number = nth << 16 | reactor_id(x->env.r);
    char path[1500];
    struct io_stat st;
    trash_path(x->l->dir, 0, number, 0, path, sizeof(path));
    return fio_stat(path, &st) ? 0 : st.size;
}

static void run(void (*fn)(void *), uint64_t seed)
{
    struct rig x = {0};
    struct sim_config c;
    struct sl_uuid id = t_uuid(7);
    t_quiet();
    sim_config_default(&c, seed);
    x.w = sim_world_create(&c);
    t_life_start(&x.life, x.w, sim_host_create(x.w));
    log_env_init(&x.env, x.life.r, NULL);
    x.env.trash_step = STEP;
    x.l = log_alloc(&x.env, "/d", "t", &id, 0, &config);
    t_life_run(&x.life, fn, &x);
    assert_int_equal(trash_due(&x.env), UINT64_MAX);
    log_destroy(x.l);
    log_env_destroy(&x.env);
    t_life_end(&x.life);
    sim_world_destroy(x.w);
}

// ---- in steps ---------------------------------------------------------------------------------------------------------------
static void empty_fiber(void *arg)
{
    struct rig *x = arg;
    assert_int_equal(trash_empty(&x->env, false), 0);
    x->done = true;
}

static void steps(void *arg)
{
    struct rig *x = arg;
    uint64_t last = SIZE, now;
    uint32_t seen = 0;
    begin(x);
    (void)removed(x, 1, false);
    assert_int_equal(size_of(x, 1), SIZE);
    assert_non_null(fiber_spawn(x->life.r, empty_fiber, x, 0));
    while (!x->done) {
        if ((now = size_of(x, 1)) == 0 || now == last)
            continue;
        assert_true(now < last && now % STEP == 0); // one or the other may pass between two looks
        last = now;
        seen++;
    }
    assert_true(seen >= 3);
    assert_int_equal(size_of(x, 1), 0);
}

static void test_steps(void **state)
{
    run(steps, 61);
}

// A clean stop waits for no pause, and not for what has not begun: its own end takes that.
static void stop(void *arg)
{
    struct rig *x = arg;
    begin(x);
    (void)removed(x, 1, false);
    (void)removed(x, 2, false);
    assert_non_null(fiber_spawn(x->life.r, empty_fiber, x, 0));
    while (size_of(x, 1) == SIZE)
        ;
    uint64_t cut = size_of(x, 1);
    assert_true(cut > 2 * STEP);
    x->env.stopping = true;
    while (!x->done) {
        uint64_t now = size_of(x, 1);
        assert_true(now == 0 || now + STEP >= cut); // a step that was under way
    }
    assert_int_equal(size_of(x, 2), SIZE);
    assert_int_equal(trash_empty(&x->env, true), 0);
    assert_int_equal(size_of(x, 1) + size_of(x, 2), 0);
}

// Nor is anything touched in a directory that failed.
static void failed(void *arg)
{
    struct rig *x = arg;
    begin(x);
    (void)removed(x, 1, false);
    x->env.failed = -EIO;
    assert_int_equal(trash_empty(&x->env, false), 0);
    assert_int_equal(trash_empty(&x->env, true), 0);
    assert_int_equal(size_of(x, 1), SIZE);
    trash_forget(&x->env);
}

static void test_failed(void **state)
{
    run(failed, 65);
}

static void test_stop(void **state)
{
    run(stop, 62);
}

// ---- readers ----------------------------------------------------------------------------------------------------------------
static void assert_whole(struct segment *s, uint8_t byte)
{
    uint32_t n = SIZE / IO_BLOCK * IO_BLOCK;
    uint8_t *bytes = aligned_alloc(IO_BLOCK, n);
    memset(bytes, 0, n);
    assert_int_equal(fio_read(s->file, bytes, n, 0), n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(bytes[i], byte);
    free(bytes);
}

// What somebody reads stays whole, though its names go.
static void reader(void *arg)
{
    struct rig *x = arg;
    begin(x);
    struct segment *s = removed(x, 2, true);
    assert_int_equal(trash_empty(&x->env, false), 0);
    assert_int_equal(size_of(x, 1), 0);
    assert_whole(s, 2);
    segment_release(s);
}

static void test_reader(void **state)
{
    run(reader, 63);
}

// A compacted segment has its first one's name. It goes while that one's files wait still, and is being read.
static void twins(void *arg)
{
    struct rig *x = arg;
    begin(x);
    (void)removed(x, 3, false);
    struct segment *s = removed(x, 4, true);
    assert_int_equal(trash_empty(&x->env, false), 0);
    assert_int_equal(size_of(x, 1), 0);
    assert_int_equal(size_of(x, 2), 0);
    assert_whole(s, 4);
    segment_release(s);
}

static void test_twins(void **state)
{
    run(twins, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),  cmocka_unit_test(test_stop),  cmocka_unit_test(test_failed),
        cmocka_unit_test(test_reader), cmocka_unit_test(test_twins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
