// One segment: extents against a flat copy of what was appended, write-back in whole blocks up to the durable end, space,
// cutting, and indexes as a crash may leave them.
#include "journal_test.h"

#include "engine/log/log_private.h"

enum { LIMIT = 3 << 20 };

struct rig {
    struct t_life life;
    struct sim_world *w;
    struct sim_host *host;
    struct log_env env;
    struct log *l;
    struct segment *s;
    uint8_t *flat; // what was published
    struct sl_rand rand;
    int64_t next;
};

static const struct log_config config = {
    .segment_bytes = LIMIT, .index_interval_bytes = 2000, .segment_index_bytes = 1 << 20};

// slow_names: of a million operations on names, how many take milliseconds; 0: as always.
static void rig_up_names(struct rig *x, uint64_t seed, uint32_t slow_names)
{
    struct sim_config c;
    struct sl_uuid id = t_uuid(7);
    t_quiet();
    memset(x, 0, sizeof(*x));
    sim_config_default(&c, seed);
    c.meta.slow_ppm = slow_names ? slow_names : c.meta.slow_ppm;
    x->w = sim_world_create(&c);
    x->host = sim_host_create(x->w);
    t_life_start(&x->life, x->w, x->host);
    sl_rand_seed(&x->rand, seed);
    log_env_init(&x->env, x->life.r, NULL);
    x->env.tail_pool = buf_pool_create(&(struct buf_pool_config){.limit = 32 << 20, .max_large = 2 << 20});
    x->l = log_alloc(&x->env, "/d", "t", &id, 0, &config);
    x->s = segment_new(x->l, 0, 1, config.segment_index_bytes);
    assert_int_equal(log_push_segment(x->l, x->s), 0);
    x->flat = calloc(1, LIMIT);
}

static void rig_up(struct rig *x, uint64_t seed)
{
    rig_up_names(x, seed, 0);
}

static void rig_down(struct rig *x)
{
    log_destroy(x->l);
    struct buf_pool_stats st;
    buf_pool_get_stats(x->env.tail_pool, &st);
    assert_int_equal(st.in_use, 0); // every extent came back
    buf_pool_destroy(x->env.tail_pool);
    free(x->flat);
    t_life_end(&x->life);
    sim_world_destroy(x->w);
}

// A sound batch of about `bytes`, appended and indexed as log_append does it.
static bool append(struct rig *x, uint32_t bytes)
{
    struct segment *s = x->s;
    struct jentry e;
    struct batch_info b;
    uint32_t pos = s->size;
    if (!segment_tail_in_memory(s) || !segment_reserve(s, x->env.tail_pool, bytes))
        return false;
    uint8_t *batch = malloc(bytes);
    t_batch(&e, batch, bytes, 7, 0, x->next, (uint64_t)x->next);
    batch_set_max_timestamp(batch, x->next * 10);
    batch_seal(batch);
    uint32_t crc = segment_copy_in(s, pos, batch, bytes, 0, true);
    assert_int_equal(crc, crc32c(0, batch, bytes));
    memcpy(x->flat + pos, batch, bytes);
    segment_publish(s, bytes);
    assert_int_equal(batch_parse(batch, bytes, &b), 0);
    log_index_batch(x->l, s, pos, &b);
    log_mark_dirty(x->l, bytes);
    x->next++;
    x->l->appended = x->l->durable = (struct log_mark){.offset = x->next, .seg = s, .pos = s->size};
    free(batch);
    return true;
}

static void check_memory(struct rig *x)
{
    struct segment *s = x->s;
    uint8_t *out = malloc(LIMIT);
    struct log_piece pieces[512];
    for (int i = 0; i < 20 && s->size > s->mem_start; i++) {
        uint32_t pos = s->mem_start + (uint32_t)sl_rand_below(&x->rand, s->size - s->mem_start);
        uint32_t n = 1 + (uint32_t)sl_rand_below(&x->rand, s->size - pos), at = 0;
        assert_true(segment_peek(s, pos, out, n));
        assert_memory_equal(out, x->flat + pos, n);
        uint32_t k = segment_pieces(s, pos, n, pieces, 512);
        assert_int_equal(k, segment_count_pieces(s, pos, n));
        for (uint32_t j = 0; j < k; j++) {
            assert_memory_equal(pieces[j].p, x->flat + pos + at, pieces[j].len);
            at += pieces[j].len;
            extent_unref(pieces[j].ext);
        }
        assert_int_equal(at, n);
    }
    if (s->mem_start)
        assert_false(segment_peek(s, s->mem_start - 1, out, 1));
    assert_false(segment_peek(s, s->size, out, 1));
    free(out);
}

// ---- memory and file, in turns --------------------------------------------------------------------------------------------
static void check_file(struct rig *x)
{
    uint8_t *got = malloc(LIMIT);
    uint32_t end = SL_MIN(SL_ALIGN_UP(x->s->flushed, 4096u), x->s->allocated);
    assert_int_equal(sim_disk_read(x->host, "/d/t-0/00000000000000000000.log", 0, got, end), end);
    assert_memory_equal(got, x->flat, x->s->flushed);
    for (uint32_t i = x->s->flushed; i < end; i++)
        assert_int_equal(got[i], 0); // nothing beyond what was given up for writing
    free(got);
}

static void turns(void *arg)
{
    struct rig *x = arg;
    struct segment *s = x->s;
    assert_int_equal(fio_mkdir("/d", 0755), 0);
    assert_int_equal(fio_mkdir("/d/t-0", 0755), 0);
    assert_int_equal(segment_open(s, true), 0);
    while (s->size < LIMIT - 300000) {
        uint32_t shape = (uint32_t)sl_rand_below(&x->rand, 8);
        uint32_t n = 61 + (uint32_t)sl_rand_below(&x->rand, shape < 5 ? 300 : shape < 7 ? 9000 : 200000);
        assert_int_equal(segment_allocate(s, s->size + n, LIMIT), 0);
        if (!segment_tail_in_memory(s))
            assert_int_equal(segment_load_tail(s, x->env.tail_pool), 0);
        assert_true(append(x, n));
        if (sl_rand_chance(&x->rand, 1, 6)) { // some of what is there is durable
            uint32_t upto = s->flushed + (uint32_t)sl_rand_below(&x->rand, s->size - s->flushed + 1);
            uint32_t from = s->flushed;
            assert_int_equal(segment_write(s, upto), 0);
            log_mark_written(x->l, s->flushed - from);
            segment_mark_clean(s, &x->env.lru);
            assert_int_equal(s->flushed, SL_MAX(upto, from));
            check_file(x);
        }
        if (sl_rand_chance(&x->rand, 1, 12))
            log_env_reclaim(&x->env, sl_rand_below(&x->rand, 1 << 20));
        assert_true(s->mem_start <= s->flushed);
        check_memory(x);
    }
    uint32_t from = s->flushed;
    assert_int_equal(segment_write(s, s->size), 0);
    log_mark_written(x->l, s->size - from);
    assert_int_equal(x->env.dirty_bytes, 0);
    assert_int_equal(segment_cut(s, true), 0);
    assert_int_equal(sim_disk_size(x->host, "/d/t-0/00000000000000000000.log"), s->size);
    check_file(x);
    // Space behind an end anywhere in a block ends at a block.
    for (int i = 0; i < 5; i++) {
        uint32_t want = s->allocated + 1 + (uint32_t)sl_rand_below(&x->rand, 100000);
        assert_int_equal(segment_allocate(s, want, UINT32_MAX / 2), 0);
        assert_true(s->allocated >= want && s->allocated % 4096 == 0);
    }
    assert_int_equal(segment_close(s), 0);
}

static void test_turns(void **state)
{
    for (uint64_t seed = 1; seed < 5; seed++) {
        struct rig x;
        rig_up(&x, seed);
        if (seed % 2 == 0)
            sim_world_faults(x.w)->short_write = 200000; // short writes are completed
        t_life_run(&x.life, turns, &x);
        rig_down(&x);
    }
}

// ---- indexes ------------------------------------------------------------------------------------------------------------------
static void fill(void *arg)
{
    struct rig *x = arg;
    struct segment *s = x->s;
    assert_int_equal(fio_mkdir("/d", 0755), 0);
    assert_int_equal(fio_mkdir("/d/t-0", 0755), 0);
    assert_int_equal(segment_open(s, true), 0);
    for (int i = 0; i < 2000; i++) {
        uint32_t n = 61 + (uint32_t)sl_rand_below(&x->rand, 900);
        assert_int_equal(segment_allocate(s, s->size + n, LIMIT), 0);
        assert_true(append(x, n));
    }
    assert_int_equal(segment_write(s, s->size), 0);
    log_mark_written(x->l, s->size);
    assert_int_equal(segment_cut(s, true), 0);
    assert_int_equal(segment_put_indexes(s, true), 0);
}

// The index files hold `bytes` good bytes, then `junk` of a kind; the loaded indexes find every batch all the same.
struct crash {
    struct rig *x;
    uint32_t bytes, time_bytes;
    uint8_t junk;
};

static void spoil(struct crash *c, const char *path, uint32_t good)
{
    uint8_t junk[512];
    int64_t size = sim_disk_size(c->x->host, path);
    memset(junk, c->junk, sizeof(junk));
    if (c->junk == 1)
        sl_rand_bytes(&c->x->rand, junk, sizeof(junk));
    for (int64_t at = good; at < size; at += (int64_t)sizeof(junk))
        assert_int_equal(sim_disk_poke(c->x->host, path, (uint64_t)at, junk,
                                       (size_t)SL_MIN((int64_t)sizeof(junk), size - at)),
                         0);
}

static void load(void *arg)
{
    struct crash *c = arg;
    struct rig *x = c->x;
    struct segment *s = x->s;
    struct batch_info b;
    uint32_t pos;
    spoil(c, "/d/t-0/00000000000000000000.index", c->bytes);
    spoil(c, "/d/t-0/00000000000000000000.timeindex", c->time_bytes);
    s->index_loaded = false;
    s->max_timestamp = -1;
    assert_int_equal(segment_load_index(s), 0);
    assert_int_equal(s->max_timestamp, (x->next - 1) * 10);
    assert_true(s->index.count > 100);
    for (int i = 0; i < 50; i++) {
        int64_t offset = (int64_t)sl_rand_below(&x->rand, (uint64_t)x->next);
        assert_int_equal(log_find_batch(s, offset, &pos, &b), 0);
        assert_int_equal(b.base_offset, offset);
        assert_int_equal(batch_size(x->flat + pos), b.size);
    }
    assert_int_equal(log_find_batch(s, x->next, &pos, &b), -ENOENT);
    assert_int_equal(segment_put_indexes(s, true), 0); // whole again
}

static void shut(void *arg)
{
    assert_int_equal(segment_close(((struct rig *)arg)->s), 0);
}

static void test_indexes(void **state)
{
    static const uint8_t junks[] = {0, 0xff, 1};
    struct rig x;
    rig_up(&x, 9);
    t_life_run(&x.life, fill, &x);
    int64_t size = sim_disk_size(x.host, "/d/t-0/00000000000000000000.index");
    int64_t time_size = sim_disk_size(x.host, "/d/t-0/00000000000000000000.timeindex");
    assert_true(size > 800 && time_size > 1200);
    for (int i = 0; i < 30; i++) {
        struct crash c = {.x = &x, .junk = junks[i % 3]};
        c.bytes = i < 3 ? 0 : (uint32_t)sl_rand_below(&x.rand, (uint64_t)size + 1);
        c.time_bytes = i < 6 ? 0 : (uint32_t)sl_rand_below(&x.rand, (uint64_t)time_size + 1);
        if (c.junk == 1) // nonsense that may rise: time entries are hints that only a search by time verifies
            c.time_bytes = (uint32_t)time_size;
        t_life_run(&x.life, load, &c);
    }
    t_life_run(&x.life, shut, &x);
    rig_down(&x);
}

// ---- the name goes while a reader opens -------------------------------------------------------------------------------------
struct opener {
    struct segment *s;
    int rc;
    bool done;
};

static void opener_fiber(void *arg)
{
    struct opener *o = arg;
    o->rc = segment_open(o->s, false);
    o->done = true;
}

static void opened_and_renamed(void *arg)
{
    struct rig *x = arg;
    char path[1500];
    const char *away = "/d/t-0/away";
    assert_int_equal(fio_mkdir("/d", 0755), 0);
    assert_int_equal(fio_mkdir("/d/t-0", 0755), 0);
    assert_int_equal(segment_open(x->s, true), 0);
    segment_path(x->s, SEG_LOG, path, sizeof(path));
    for (int i = 0; i < 400; i++) {
        struct opener o = {.s = x->s};
        assert_int_equal(segment_close(x->s), 0);
        assert_non_null(fiber_spawn(x->life.r, opener_fiber, &o, 0));
        fiber_sleep(1 + sl_rand_below(&x->rand, 200000));
        assert_int_equal(segment_open(x->s, false), 0);
        assert_int_equal(fio_rename(path, away), 0);
        while (!o.done)
            fiber_sleep(100000);
        assert_int_equal(o.rc, 0);
        assert_true(x->s->file >= 0);
        assert_int_equal(fio_rename(away, path), 0);
    }
    assert_int_equal(segment_close(x->s), 0);
    // A file that is not there is no segment without records.
    assert_int_equal(fio_rename(path, away), 0);
    assert_int_equal(segment_open(x->s, false), -EIO);
    assert_int_equal(segment_try_open(x->s), -ENOENT);
}

static void test_open_while_renamed(void **state)
{
    struct rig x;
    rig_up_names(&x, 11, 200000);
    t_life_run(&x.life, opened_and_renamed, &x);
    rig_down(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_indexes),
        cmocka_unit_test(test_open_while_renamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
