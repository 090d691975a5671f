// The journal's writer in the simulated world: batching, order, slots, rotation, stalls, failures, the closing header.
#include "tests/unit/log/journal_test.h"

#define DIR "/j"

enum { FILE_BYTES = 64 * 1024, BATCH = 1000 };

struct bench {
    struct sim_world *w;
    struct sim_host *host;
    struct t_life life;
    struct journal_config cfg;
    struct journal *j;
    uint64_t durable;   // as the callback said
    uint32_t durables;  // calls
    uint64_t full[256]; // generations, in order
    uint32_t fulls;
    uint32_t rooms;
    uint32_t faileds;
    int failed;
    bool recycle_at_once;
    int64_t offset;
    uint64_t touched;
    struct fiber *waiter;
};

static void on_durable(void *ctx, uint64_t sequence)
{
    struct bench *b = ctx;
    assert_true(sequence > b->durable);
    assert_int_equal(sequence, journal_durable_sequence(b->j));
    b->durable = sequence;
    b->durables++;
}

static void on_full(void *ctx, uint64_t generation)
{
    struct bench *b = ctx;
    assert_true(b->fulls < 256);
    assert_int_equal(generation, b->fulls ? b->full[b->fulls - 1] + 1 : 1);
    b->full[b->fulls++] = generation;
    if (b->recycle_at_once)
        journal_recycle(b->j, generation);
}

static void on_room(void *ctx)
{
    struct bench *b = ctx;
    b->rooms++;
    if (b->waiter)
        fiber_wake(b->waiter);
}

static void on_failed(void *ctx, int err)
{
    struct bench *b = ctx;
    b->faileds++;
    b->failed = err;
    if (b->waiter)
        fiber_wake(b->waiter);
}

static void make_first_file(struct bench *b)
{
    char path[1200];
    assert_int_equal(fio_mkdir(DIR, 0700), 0);
    journal_file_path(&b->cfg, 0, path, sizeof(path));
    assert_int_equal(journal_file_create(path, b->cfg.first_file_bytes), 0);
    assert_int_equal(fio_sync_dir(DIR), 0);
}

static void open_journal(void *arg)
{
    struct bench *b = arg;
    struct journal_owner owner = {b, on_durable, on_full, on_room, on_failed};
    int err;
    make_first_file(b);
    b->j = journal_open(b->life.r, &b->cfg, &owner, &err);
    assert_int_equal(err, 0);
    assert_non_null(b->j);
    b->life.flush = b->j;
}

static void bench_start(struct bench *b, uint64_t seed, uint32_t slots)
{
    struct sim_config sc;
    sim_config_default(&sc, seed);
    *b = (struct bench){.recycle_at_once = true};
    b->cfg = (struct journal_config){.dir = DIR,
                                     .shard = 2,
                                     .life = t_uuid(seed),
                                     .file_bytes = FILE_BYTES,
                                     .first_file_bytes = FILE_BYTES,
                                     .files = 3,
                                     .slots = slots,
                                     .max_group = 16 * 1024,
                                     .late_us = 100000,
                                     .large_group = 8 * 1024};
    b->w = sim_world_create(&sc);
    b->host = sim_host_create(b->w);
    t_life_start(&b->life, b->w, b->host);
}

static void close_journal(void *arg)
{
    struct bench *b = arg;
    int rc = journal_close(b->j);
    assert_int_equal(rc, b->failed);
    b->life.flush = NULL;
}

static void bench_end(struct bench *b)
{
    t_life_run(&b->life, close_journal, b);
    journal_destroy(b->j);
    t_life_end(&b->life);
    sim_world_destroy(b->w);
}

// Adds one batch, with its PREFIX at a file's first touch. Returns its group's sequence.
static uint64_t add_batch(struct bench *b, uint32_t bytes)
{
    static uint8_t buf[128 * 1024];
    struct jentry e;
    if (journal_open_generation(b->j) != b->touched) {
        struct jentry p = {.type = JE_PREFIX, .flags = JE_INLINE, .topic_id = t_uuid(1), .bytes = 123};
        p.base_offset = b->offset;
        memset(buf, (int)b->offset, 123);
        journal_add(b->j, &p, &(struct iovec){buf, 123}, 1);
        b->touched = journal_open_generation(b->j);
    }
    t_batch(&e, buf, bytes, 1, 0, b->offset, (uint64_t)b->offset);
    b->offset++;
    // In three pieces: the first ends inside the header.
    struct iovec iov[3] = {{buf, 20}, {buf + 20, 0}, {buf + 20, bytes - 20}};
    return journal_add(b->j, &e, iov, 3);
}

static void wait_room(struct bench *b, uint32_t bytes)
{
    b->waiter = fiber_current();
    while (!journal_room(b->j, bytes) && !b->failed)
        fiber_park();
    b->waiter = NULL;
}

// ---- what is on disk ----------------------------------------------------------------------------------------------------
struct scan {
    struct bench *b;
    struct replay_file files[8];
    uint32_t n;
    int64_t next_offset, closings, prefixes;
    uint32_t groups, biggest;
};

static void scan_file(void *arg, const char *path, uint64_t size)
{
    struct scan *s = arg;
    assert_true(s->n < 8);
    struct replay_file *f = &s->files[s->n++];
    f->len = size;
    f->data = malloc(size);
    snprintf(f->name, sizeof(f->name), "%.70s", path);
    assert_int_equal(sim_disk_read(s->b->host, path, 0, f->data, size), (int64_t)size);
}

static int scan_entry(void *arg, const struct jgroup *g, const struct jentry *e, const uint8_t *payload)
{
    struct scan *s = arg;
    s->biggest = SL_MAX(s->biggest, g->count);
    if (e->type == JE_PREFIX) {
        s->prefixes++;
        assert_int_equal(payload[0], (uint8_t)s->next_offset);
    }
    if (e->type != JE_BATCH)
        return 0;
    uint8_t *want = malloc(e->bytes);
    struct jentry we;
    t_batch(&we, want, e->bytes, 1, 0, s->next_offset, (uint64_t)s->next_offset);
    assert_int_equal(e->base_offset, s->next_offset);
    assert_memory_equal(payload, want, e->bytes);
    free(want);
    s->next_offset++;
    return 0;
}

// Replays what is on the disk from `generation` on, where the batch at `offset` is the first.
static void scan_disk(struct bench *b, struct scan *s, uint64_t generation, int64_t offset)
{
    *s = (struct scan){.b = b, .next_offset = offset};
    sim_disk_walk(b->host, DIR, scan_file, s);
    struct replay_chain c = {.life = b->cfg.life,
                             .shard = b->cfg.shard,
                             .first_generation = generation,
                             .files = s->files,
                             .n = s->n,
                             .fn = scan_entry,
                             .arg = s};
    assert_int_equal(replay_chain(&c), 0);
    s->groups = (uint32_t)c.groups;
    for (uint32_t i = 0; i < s->n; i++)
        free(s->files[i].data);
}

// The offset that a generation begins with, by the PREFIX that is its file's first entry.
static int64_t first_offset(struct bench *b, uint64_t generation)
{
    struct scan probe = {.b = b};
    int64_t first = -1;
    sim_disk_walk(b->host, DIR, scan_file, &probe);
    for (uint32_t i = 0; i < probe.n; i++) {
        struct jgroup g;
        struct jentry e;
        const struct replay_file *f = &probe.files[i];
        if (jgroup_decode(&g, f->data, f->len, &b->cfg.life, 0) == 0 && g.generation == generation) {
            jentry_decode(&e, f->data + JOURNAL_HEADER);
            assert_int_equal(e.type, JE_PREFIX);
            first = e.base_offset;
        }
        free(f->data);
    }
    assert_true(first >= 0);
    return first;
}

// ---- tests --------------------------------------------------------------------------------------------------------------
static void add_some(void *arg)
{
    struct bench *b = arg;
    for (int i = 0; i < 20; i++) {
        assert_true(journal_room(b->j, BATCH));
        // The first turn's three go in one group; those that come while it is in flight go together in the next.
        assert_int_equal(add_batch(b, BATCH), i < 3 ? 1 : 2);
        if (i == 2)
            fiber_yield();
    }
    assert_int_equal(journal_durable_sequence(b->j), 0);
    assert_int_equal(journal_drain(b->j), 0);
    assert_int_equal(b->durable, 2);
}

static void groups_take_all_that_waits(void **state)
{
    struct bench b;
    struct scan s;
    bench_start(&b, 1, 1);
    b.cfg.max_group = 32 * 1024;
    t_life_run(&b.life, open_journal, &b);
    t_life_run(&b.life, add_some, &b);
    const struct journal_stats *st = journal_get_stats(b.j);
    assert_int_equal(st->groups, 2);
    assert_int_equal(st->entries, 21);
    assert_int_equal(st->inline_bytes, 20 * BATCH + 123);
    assert_int_equal(b.durables, 2);
    scan_disk(&b, &s, 1, 0);
    assert_int_equal(s.next_offset, 20);
    assert_int_equal(s.biggest, 17);
    assert_int_equal(s.prefixes, 1);
    bench_end(&b);
}

static void idle(void *arg)
{
    fiber_sleep(SECOND);
}

static void closing_header_once_per_idle_period(void **state)
{
    struct bench b;
    bench_start(&b, 2, 1);
    b.cfg.max_group = 32 * 1024;
    t_life_run(&b.life, open_journal, &b);
    t_life_run(&b.life, idle, &b);
    assert_int_equal(journal_get_stats(b.j)->groups, 0); // nothing to close yet
    t_life_run(&b.life, add_some, &b);
    t_life_run(&b.life, idle, &b);
    t_life_run(&b.life, idle, &b);
    assert_int_equal(journal_get_stats(b.j)->groups, 3);
    assert_int_equal(b.durable, 3);
    // It is the last group's successor: with that group broken, the journal is known to be damaged.
    struct scan s = {.b = &b};
    sim_disk_walk(b.host, DIR, scan_file, &s);
    uint32_t found = 0;
    for (uint32_t i = 0; i < s.n; i++) {
        for (uint64_t at = 0; at < s.files[i].len; at += JOURNAL_BLOCK) {
            struct jgroup g;
            if (jgroup_decode(&g, s.files[i].data + at, s.files[i].len - at, &b.cfg.life, at))
                continue;
            if (g.flags & JGROUP_CLOSING) {
                assert_int_equal(g.durable_through, 2);
                assert_int_equal(g.count, 0);
                assert_int_equal(g.sequence, 3);
                found++;
            }
        }
        free(s.files[i].data);
    }
    assert_int_equal(found, 1);
    bench_end(&b);
}

struct load {
    struct bench *b;
    uint32_t n, per_turn, min_bytes, max_bytes;
};

static void run_load(void *arg)
{
    struct load *l = arg;
    struct sl_rand *r = sim_rand(l->b->w);
    for (uint32_t i = 0; i < l->n && !l->b->failed; i++) {
        uint32_t bytes = (uint32_t)sl_rand_range(r, l->min_bytes, l->max_bytes);
        wait_room(l->b, bytes);
        if (l->b->failed)
            break;
        add_batch(l->b, bytes);
        if (sl_rand_chance(r, 1, l->per_turn))
            fiber_yield();
    }
    if (!l->b->failed)
        assert_int_equal(journal_drain(l->b->j), 0);
}

// Files are filled, told of in order, recycled; the order and every byte hold for any number of slots.
static void rotation_and_recycling(void **state)
{
    for (uint32_t slots = 1; slots <= 4; slots++)
        for (uint64_t seed = 0; seed < 10; seed++) {
            struct bench b;
            struct scan s;
            bench_start(&b, seed * 7 + slots, slots);
            sim_world_faults(b.w)->short_write = 100000;
            t_life_run(&b.life, open_journal, &b);
            b.recycle_at_once = false;
            for (int round = 0; round < 12; round++) {
                struct load l = {.b = &b, .n = 20, .per_turn = 3, .min_bytes = 61, .max_bytes = 2500};
                t_life_run(&b.life, run_load, &l);
                if (b.fulls && round % 2)
                    journal_recycle(b.j, b.full[b.fulls - 1]);
            }
            const struct journal_stats *st = journal_get_stats(b.j);
            assert_true(st->rotations >= 3);
            assert_int_equal(st->rotations, b.fulls);
            assert_true(st->entries >= st->groups);
            uint64_t oldest = journal_oldest_generation(b.j);
            assert_true(oldest + 2 >= journal_open_generation(b.j));
            scan_disk(&b, &s, oldest, first_offset(&b, oldest));
            assert_int_equal(s.next_offset, b.offset);
            assert_int_equal(sim_world_stats(b.w)->extending_writes, 0);
            bench_end(&b);
        }
}

// With every file in use, batches are held back and fences are still taken; a recycled file lets both go on.
static void fill_up(void *arg)
{
    struct bench *b = arg;
    while (journal_room(b->j, BATCH)) {
        add_batch(b, BATCH);
        fiber_sleep(SECOND / 100); // each in a group of its own
    }
    assert_int_equal(journal_drain(b->j), 0);
    assert_false(journal_room(b->j, BATCH));
    uint64_t last = 0;
    for (int i = 0; i < 40; i++) { // more than the reserve holds, a group each
        struct jentry f = t_fence(1, 0, i, INT64_MAX);
        last = journal_add(b->j, &f, NULL, 0);
        fiber_sleep(SECOND / 100);
    }
    assert_int_equal(journal_drain(b->j), 0);
    assert_true(journal_durable_sequence(b->j) < last); // the rest waits in memory
    assert_false(journal_room(b->j, BATCH));
    uint32_t rooms = b->rooms; // a started group of fences gave reason to ask again, in vain
    uint64_t before = b->durable;
    journal_recycle(b->j, b->full[0]);
    fiber_sleep(SECOND / 100);
    assert_true(b->durable >= last && before < last);
    assert_true(b->rooms > rooms);
    assert_true(journal_room(b->j, BATCH));
    add_batch(b, BATCH);
    assert_int_equal(journal_drain(b->j), 0);
}

static void stall_and_reserve(void **state)
{
    struct bench b;
    bench_start(&b, 5, 1);
    b.recycle_at_once = false;
    t_life_run(&b.life, open_journal, &b);
    t_life_run(&b.life, idle, &b);
    t_life_run(&b.life, fill_up, &b);
    assert_int_equal(b.fulls, 3);
    assert_true(journal_get_stats(b.j)->stalls >= 2);
    assert_int_equal(journal_oldest_generation(b.j), 2);
    bench_end(&b);
}

static void max_bytes_fit(void *arg)
{
    struct bench *b = arg;
    uint32_t most = (uint32_t)journal_max_bytes(&b->cfg);
    assert_true(most > FILE_BYTES / 2);
    for (int i = 0; i < 4; i++) {
        wait_room(b, most);
        add_batch(b, most);
        wait_room(b, 61);
        add_batch(b, 61);
    }
    assert_false(journal_room(b->j, most + 8));
    assert_int_equal(journal_drain(b->j), 0);
}

static void largest_batches(void **state)
{
    for (uint32_t slots = 1; slots <= 4; slots++) {
        struct bench b;
        struct scan s;
        bench_start(&b, 6, slots);
        b.cfg.first_file_bytes =
            FILE_BYTES / 2; // too small for them: it is passed over, and grown when recycled
        t_life_run(&b.life, open_journal, &b);
        t_life_run(&b.life, max_bytes_fit, &b);
        uint64_t oldest = journal_oldest_generation(b.j);
        scan_disk(&b, &s, oldest, first_offset(&b, oldest));
        assert_int_equal(s.next_offset, b.offset);
        bench_end(&b);
    }
}

static void wait_failed(void *arg)
{
    struct bench *b = arg;
    struct load l = {.b = b, .n = 100000, .per_turn = 5, .min_bytes = 61, .max_bytes = 3000};
    run_load(&l);
    uint64_t durable = b->durable;
    assert_int_equal(b->failed, -EIO);
    assert_false(journal_room(b->j, 100));
    struct jentry f = t_fence(1, 0, 0, INT64_MAX);
    journal_add(b->j, &f, NULL, 0);
    assert_int_equal(journal_drain(b->j), -EIO);
    sim_world_faults(b->w)->eio_write = 0;
    fiber_sleep(SECOND);
    assert_false(journal_flush(b->j));
    assert_int_equal(b->durable, durable); // not retried, nothing counts any more
    assert_int_equal(b->faileds, 1);
}

static void write_errors_fail_once(void **state)
{
    for (uint32_t slots = 1; slots <= 4; slots++)
        for (uint64_t seed = 0; seed < 10; seed++) {
            struct bench b;
            bench_start(&b, 100 + seed, slots);
            t_life_run(&b.life, open_journal, &b);
            t_life_run(&b.life, idle, &b);
            sim_world_faults(b.w)->eio_write = 50000;
            t_life_run(&b.life, wait_failed, &b);
            bench_end(&b);
        }
}

// Files that cannot be made for lack of space are made when there is space: the journal stalls, and heals.
static void run_until_stalled(void *arg)
{
    struct bench *b = arg;
    while (journal_room(b->j, BATCH)) {
        add_batch(b, BATCH);
        journal_drain(b->j);
    }
    fiber_sleep(SECOND);
    assert_int_equal(b->rooms, 0);
    sim_disk_set_capacity(b->host, 0);
    fiber_sleep(SECOND);
    assert_int_equal(b->rooms, 1);
    assert_true(journal_room(b->j, BATCH));
    add_batch(b, BATCH);
    assert_int_equal(journal_drain(b->j), 0);
}

static void no_space_for_files(void **state)
{
    struct bench b;
    bench_start(&b, 8, 2);
    sim_disk_set_capacity(b.host, FILE_BYTES + FILE_BYTES / 2);
    t_life_run(&b.life, open_journal, &b);
    t_life_run(&b.life, run_until_stalled, &b);
    assert_int_equal(b.faileds, 0);
    bench_end(&b);
}

// A second group starts beside one in flight when it is large, or when the first is late; not otherwise.
static void second_group(void *arg)
{
    struct bench *b = arg;
    add_batch(b, 100);
    fiber_yield();
    fiber_yield();
    assert_int_equal(journal_get_stats(b->j)->groups, 1);
    add_batch(b, 100);
    fiber_yield();
    fiber_yield();
    assert_int_equal(journal_get_stats(b->j)->groups, 1); // small: waits
    add_batch(b, 9000);
    fiber_yield();
    fiber_yield();
    assert_int_equal(journal_get_stats(b->j)->groups, 2); // large: starts
    assert_int_equal(b->durable, 0);
    add_batch(b, 100);
    fiber_sleep(4000000);
    assert_int_equal(journal_get_stats(b->j)->groups, 2);
    fiber_sleep(4000000);
    assert_int_equal(journal_get_stats(b->j)->groups, 3); // late: starts, by the timer alone
    assert_int_equal(b->durable, 0);
    assert_int_equal(journal_drain(b->j), 0);
    assert_int_equal(b->durable, 3);
}

static void second_group_rules(void **state)
{
    struct sim_config sc;
    struct bench b;
    bench_start(&b, 9, 4);
    t_life_end(&b.life);
    sim_world_destroy(b.w);
    sim_config_default(&sc, 9);
    sc.disk_write = (struct sim_latency){.min_ns = 50000000, .max_ns = 60000000};
    b.w = sim_world_create(&sc);
    b.host = sim_host_create(b.w);
    b.cfg.late_us = 6000;
    t_life_start(&b.life, b.w, b.host);
    t_life_run(&b.life, open_journal, &b);
    t_life_run(&b.life, idle, &b);
    t_life_run(&b.life, second_group, &b);
    bench_end(&b);
}

static void bad_configurations(void *arg)
{
    struct bench *b = arg;
    struct journal_owner owner = {b, on_durable, on_full, on_room, on_failed};
    int err = 0;
    for (int i = 0; i < 6; i++) {
        struct journal_config c = b->cfg;
        c.slots = i == 0 ? 5 : i == 1 ? 0 : c.slots;
        c.files = i == 2 ? 2 : c.files;
        c.file_bytes += i == 3 ? 512 : 0;
        c.first_file_bytes += i == 4 ? JOURNAL_BLOCK : 0;
        assert_null(journal_open(b->life.r, &c, &owner, &err));
        assert_int_equal(err, i == 5 ? -ENOENT : -EINVAL);
    }
}

static void open_refuses(void **state)
{
    struct bench b;
    bench_start(&b, 3, 1);
    t_life_run(&b.life, bad_configurations, &b);
    t_life_end(&b.life);
    sim_world_destroy(b.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_take_all_that_waits),
        cmocka_unit_test(closing_header_once_per_idle_period),
        cmocka_unit_test(rotation_and_recycling),
        cmocka_unit_test(stall_and_reserve),
        cmocka_unit_test(largest_batches),
        cmocka_unit_test(write_errors_fail_once),
        cmocka_unit_test(no_space_for_files),
        cmocka_unit_test(second_group_rules),
        cmocka_unit_test(open_refuses),
    };
    t_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
