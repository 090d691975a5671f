// A log directory in the simulated world: what it is taken for, its locks and identity, and the switch from life to life
// with a power cut at every moment of it.
#include "tests/unit/log/journal_test.h"

#include "engine/log/store.h"

#define DIR "/var/data"

struct bench {
    struct sim_world *w;
    struct sim_host *host;
    struct t_life life;
    struct store *s;
    char err[512];
    int rc;
    uint32_t shards;
    struct sl_uuid began; // life that store_begin_life returned
    int begin_rc, end_rc;
    bool armed; // the power cut that is scheduled still counts
};

static void bench_start(struct bench *b, uint64_t seed)
{
    struct sim_config sc;
    sim_config_default(&sc, seed);
    *b = (struct bench){.shards = 2};
    b->w = sim_world_create(&sc);
    b->host = sim_host_create(b->w);
    t_life_start(&b->life, b->w, b->host);
}

// The process dies; the next one starts on the same disk.
static void bench_next(struct bench *b)
{
    if (!sim_process_dead(b->life.p))
        sim_process_kill(b->life.p);
    assert_true(sim_run(b->w, 10 * SECOND, t_no_fibers, &b->life));
    store_close(b->s);
    b->s = NULL;
    t_life_end(&b->life);
    t_life_start(&b->life, b->w, b->host);
}

static void bench_end(struct bench *b)
{
    store_close(b->s);
    t_life_end(&b->life);
    sim_world_destroy(b->w);
}

static void do_mkdir(void *arg)
{
    assert_int_equal(fio_mkdir("/var", 0755), 0);
    assert_int_equal(fio_sync_dir("/"), 0);
}

static void do_open(void *arg)
{
    struct bench *b = arg;
    b->err[0] = 0;
    b->s = store_open(b->life.r, DIR, 0, b->err, sizeof(b->err), &b->rc);
    assert_true(!b->s == (b->rc != 0));
    assert_true(b->s || b->err[0]);
}

static void do_close(void *arg)
{
    struct bench *b = arg;
    store_close(b->s);
    b->s = NULL;
}

static const struct store_identity identity = {
    .node_id = 4, .cluster_id = "some-cluster", .directory_id = {{1, 2, 3}}};

static void do_format(void *arg)
{
    struct bench *b = arg;
    assert_int_equal(store_write_identity(b->s, &identity), 0);
}

// Opens, and takes for what is expected.
static void open_as(struct bench *b, int rc, enum store_kind kind)
{
    t_life_run(&b->life, do_open, b);
    assert_int_equal(b->rc, rc);
    if (rc == 0)
        assert_int_equal(store_kind(b->s), kind);
}

static void reopen_as(struct bench *b, int rc, enum store_kind kind)
{
    t_life_run(&b->life, do_close, b);
    open_as(b, rc, kind);
}

struct file {
    const char *name, *text;
};

static void do_write(void *arg)
{
    const struct file *f = arg;
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", DIR, f->name);
    assert_int_equal(f->text ? fio_write_file(path, f->text, strlen(f->text)) : fio_mkdir(path, 0755), 0);
}

static void put(struct bench *b, const char *name, const char *text)
{
    struct file f = {name, text};
    t_life_run(&b->life, do_write, &f);
}

static void do_unlink(void *arg)
{
    const struct file *f = arg;
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", DIR, f->name);
    assert_int_equal(fio_unlink(path, f->text == NULL), 0);
}

static void drop(struct bench *b, const char *name, bool is_dir)
{
    struct file f = {name, is_dir ? NULL : ""};
    t_life_run(&b->life, do_unlink, &f);
}

static bool exists(struct bench *b, const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", DIR, name);
    return sim_disk_size(b->host, path) >= 0;
}

// ---- classification -----------------------------------------------------------------------------------------------------
static void classification(void **state)
{
    struct bench b;
    struct store_identity id;
    bench_start(&b, 1);
    t_life_run(&b.life, do_mkdir, &b);
    open_as(&b, 0, STORE_EMPTY); // made
    assert_false(store_get_identity(b.s, &id));
    put(&b, "lost+found", NULL);
    put(&b, "meta.properties.tmp", "half");
    reopen_as(&b, 0, STORE_EMPTY); // locks, lost+found and what a crash while formatting leaves do not count
    put(&b, "notes.txt", "mine");
    reopen_as(&b, -ENOTEMPTY, STORE_EMPTY);
    assert_non_null(strstr(b.err, "notes.txt"));
    assert_non_null(strstr(b.err, DIR));
    drop(&b, "notes.txt", false);
    open_as(&b, 0, STORE_EMPTY);
    t_life_run(&b.life, do_format, &b);
    assert_true(store_get_identity(b.s, &id));
    reopen_as(&b, 0, STORE_UPSTREAM);
    assert_true(store_get_identity(b.s, &id));
    assert_int_equal(id.node_id, 4);
    assert_string_equal(id.cluster_id, "some-cluster");
    assert_true(sl_uuid_eq(&id.directory_id, &identity.directory_id));
    put(&b, ".kafka_cleanshutdown", "{\"version\":0,\"brokerEpoch\":9}");
    reopen_as(&b, 0, STORE_CLEAN);
    put(&b, "meta.properties", "version=0\nbroker.id=1\ncluster.id=x\n");
    reopen_as(&b, -EPROTONOSUPPORT, STORE_CLEAN);
    assert_non_null(strstr(b.err, "meta.properties"));
    put(&b, "meta.properties", "#by hand\nversion=1\nnode.id=6\ncluster.id=abc\n");
    open_as(&b, 0, STORE_CLEAN); // an older upstream's, without a directory id
    assert_true(store_get_identity(b.s, &id));
    assert_int_equal(id.node_id, 6);
    assert_true(sl_uuid_is_zero(&id.directory_id));
    bench_end(&b);
}

struct contest {
    struct bench *b;
    struct t_life other;
    struct store *s;
    int rc;
    uint32_t wait_ms;
    char err[512];
};

static void open_other(void *arg)
{
    struct contest *c = arg;
    c->s = store_open(c->other.r, DIR, c->wait_ms, c->err, sizeof(c->err), &c->rc);
}

static void one_owner(void **state)
{
    struct bench b;
    struct contest c = {.b = &b};
    bench_start(&b, 2);
    t_life_run(&b.life, do_mkdir, &b);
    open_as(&b, 0, STORE_EMPTY);
    t_life_start(&c.other, b.w, b.host);
    t_life_run(&c.other, open_other, &c);
    assert_null(c.s);
    assert_int_equal(c.rc, -EAGAIN);
    assert_non_null(strstr(c.err, ".lock"));
    t_life_run(&b.life, do_close, &b);
    t_life_run(&c.other, open_other, &c);
    assert_non_null(c.s);
    open_as(&b, -EAGAIN, STORE_EMPTY);
    store_close(c.s);
    t_life_end(&c.other);
    open_as(&b, 0, STORE_EMPTY);
    assert_true(store_lock(b.s) >= 0);
    bench_end(&b);
}

// ---- lives --------------------------------------------------------------------------------------------------------------
// The first checkpoint of a shard: one log per shard, `end` as its mark.
static void image_of(struct sbuf *out, uint32_t shard, int64_t end)
{
    struct sl_uuid none = {{0}};
    sbuf_init(out);
    assert_int_equal(ckpt_begin(out, &none, 0, 0), 0);
    struct ckpt_log l = {.topic_id = t_uuid(shard), .partition = (int32_t)shard, .end_offset = end};
    assert_int_equal(ckpt_add(out, &l), 0);
    assert_int_equal(ckpt_finish(out), 0);
}

static void do_begin(void *arg)
{
    struct bench *b = arg;
    struct store_shard_begin begin[8];
    struct sbuf image[8];
    struct store_life life;
    struct journal_config cfg = {
        .file_bytes = 64 * 1024, .first_file_bytes = 32 * 1024, .files = 3, .slots = 1, .max_group = 8192};
    for (uint32_t i = 0; i < b->shards; i++) {
        image_of(&image[i], i, 100 + i);
        begin[i] = (struct store_shard_begin){(uint8_t *)image[i].data, image[i].len};
    }
    b->begin_rc = store_begin_life(b->s, &cfg, b->shards, begin, &life, b->err, sizeof(b->err));
    for (uint32_t i = 0; i < b->shards; i++)
        sbuf_free(&image[i]);
    if (b->begin_rc == 0)
        b->began = life.life;
}

static void do_read(void *arg)
{
    struct bench *b = arg;
    b->rc = store_read_journals(b->s, b->err, sizeof(b->err));
}

static void do_end(void *arg)
{
    struct bench *b = arg;
    b->end_rc = store_end_clean(b->s, 12);
}

static void assert_log(struct bench *b, uint32_t shard, int64_t end)
{
    struct sl_uuid id = t_uuid(shard);
    struct store_log *l = store_find_log(b->s, &id, (int32_t)shard);
    assert_non_null(l);
    assert_true(l->has_checkpoint);
    assert_int_equal(l->ckpt.end_offset, end);
    assert_int_equal(l->entries_n, 0);
    assert_false(l->deleted);
    assert_null(store_find_log(b->s, &id, 99));
}

struct names {
    uint32_t n;
    char life8[9];
    bool foreign;
};

static void name(void *arg, const char *path, uint64_t size)
{
    struct names *x = arg;
    const char *base = strrchr(path, '/') + 1;
    x->n++;
    if (strcmp(base, "current") != 0)
        x->foreign |= strncmp(base, x->life8, 8) != 0;
}

// The journal directory holds the files of the life in force, and no others.
static void assert_files(struct bench *b)
{
    struct names x = {0};
    snprintf(x.life8, sizeof(x.life8), "%02x%02x%02x%02x", b->began.b[0], b->began.b[1], b->began.b[2],
             b->began.b[3]);
    sim_disk_walk(b->host, DIR "/sluice.journal.d", name, &x);
    assert_false(x.foreign);
    assert_int_equal(x.n, 1 + 2 * b->shards);
}

static void format(struct bench *b, uint64_t seed)
{
    bench_start(b, seed);
    t_life_run(&b->life, do_mkdir, b);
    open_as(b, 0, STORE_EMPTY);
    t_life_run(&b->life, do_format, b);
}

static void lives_follow_each_other(void **state)
{
    struct bench b;
    struct sl_uuid id, next;
    format(&b, 3);
    store_new_life(b.s, &next);
    store_new_life(b.s, &id);
    assert_true(sl_uuid_eq(&id, &next)); // the same until it has begun
    t_life_run(&b.life, do_begin, &b);
    assert_int_equal(b.begin_rc, 0);
    assert_true(sl_uuid_eq(&b.began, &next));
    assert_files(&b);
    char path[1200];
    store_checkpoint_path(b.s, 1, path, sizeof(path));
    assert_true(sim_disk_size(b.host, path) > 0);
    static const uint32_t shards[] = {3, 1, 8, 2};
    for (size_t i = 0; i < SL_ARRAY_LEN(shards); i++) {
        uint32_t before = b.shards;
        bench_next(&b);
        open_as(&b, 0, STORE_OURS);
        t_life_run(&b.life, do_read, &b);
        assert_int_equal(b.rc, 0);
        for (uint32_t k = 0; k < before; k++)
            assert_log(&b, k, 100 + k);
        assert_non_null(store_log_at(b.s, before - 1));
        assert_null(store_log_at(b.s, before));
        b.shards = shards[i];
        t_life_run(&b.life, do_begin, &b);
        assert_int_equal(b.begin_rc, 0);
        assert_files(&b);
        struct journal_config cfg;
        store_journal_config(b.s, shards[i] - 1, &cfg);
        assert_string_equal(cfg.dir, DIR "/sluice.journal.d");
        assert_int_equal(cfg.shard, shards[i] - 1);
    }
    t_life_run(&b.life, do_end, &b);
    assert_int_equal(b.end_rc, 0);
    assert_false(exists(&b, "sluice.journal.d/current"));
    char text[64] = "";
    assert_true(sim_disk_read(b.host, DIR "/.kafka_cleanshutdown", 0, text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "{\"version\":0,\"brokerEpoch\":12}");
    bench_next(&b);
    open_as(&b, 0, STORE_CLEAN);
    bench_end(&b);
}

static void both_ends_are_refused(void **state)
{
    struct bench b;
    format(&b, 4);
    t_life_run(&b.life, do_begin, &b);
    put(&b, ".kafka_cleanshutdown", "{\"version\":0,\"brokerEpoch\":9}");
    reopen_as(&b, -EUCLEAN, STORE_OURS);
    assert_non_null(strstr(b.err, ".kafka_cleanshutdown"));
    bench_end(&b);
}

// Damage to what a life in force cannot do without is refused, and named.
static void damage_is_refused(void **state)
{
    for (int kind = 0; kind < 5; kind++) {
        struct bench b;
        char path[1200];
        format(&b, 5);
        t_life_run(&b.life, do_begin, &b);
        assert_int_equal(b.begin_rc, 0);
        struct journal_config cfg;
        store_journal_config(b.s, 1, &cfg);
        const char *what = "current";
        if (kind == 0)
            assert_int_equal(sim_disk_poke(b.host, DIR "/sluice.journal.d/current", 20, "x", 1), 0);
        store_checkpoint_path(b.s, 1, path, sizeof(path));
        if (kind == 1)
            assert_int_equal(sim_disk_poke(b.host, path, 60, "xyz", 3), 0);
        if (kind >= 3)
            journal_file_path(&cfg, 0, path, sizeof(path));
        if (kind == 2 || kind == 3)
            drop(&b, path + strlen(DIR) + 1, false);
        if (kind == 4)
            assert_int_equal(sim_disk_break(b.host, path, 8192), 0);
        bench_next(&b);
        open_as(&b, kind == 0 ? -EUCLEAN : 0, STORE_OURS);
        if (kind > 0) {
            t_life_run(&b.life, do_read, &b);
            // An unreadable block where nothing was written costs nothing.
            assert_int_equal(b.rc, kind == 4 ? 0 : -EUCLEAN);
            what = kind < 3 ? "s1.checkpoint" : "shard 1";
        }
        if (kind < 4)
            assert_non_null(strstr(b.err, what));
        bench_end(&b);
    }
}

// ---- crashes --------------------------------------------------------------------------------------------------------------
static void cut(void *arg)
{
    struct bench *b = arg;
    if (b->armed)
        sim_power_cut(b->host);
    b->armed = false;
}

// Power is cut `delay` into begin_life, of a directory with a life in force or of one that was closed cleanly.
static bool begin_cut_at(uint64_t seed, uint64_t delay, bool clean)
{
    struct bench b;
    format(&b, seed);
    t_life_run(&b.life, do_begin, &b);
    if (clean) {
        t_life_run(&b.life, do_end, &b);
        assert_int_equal(b.end_rc, 0);
    }
    struct sl_uuid old = b.began;
    sim_disk_settle(b.host);
    bench_next(&b);
    open_as(&b, 0, clean ? STORE_CLEAN : STORE_OURS);
    t_life_run(&b.life, do_read, &b);
    b.shards = 3;
    b.armed = true;
    sim_at(b.w, delay, cut, &b);
    t_life_run(&b.life, do_begin, &b);
    b.armed = false;
    bool done = b.begin_rc == 0 && !sim_process_dead(b.life.p);
    if (!sim_process_dead(b.life.p))
        sim_power_cut(b.host);
    bool began = b.begin_rc == 0;
    bench_next(&b);
    t_life_run(&b.life, do_open, &b);
    assert_int_equal(b.rc, 0);
    enum store_kind kind = store_kind(b.s);
    // Clean at first: still so, or its journals hold, or it is recovered from its recovery points.
    assert_true(kind == STORE_OURS || (clean && !began));
    t_life_run(&b.life, do_read, &b);
    assert_int_equal(b.rc, 0);
    struct sl_uuid id = t_uuid(2);
    bool is_new = store_find_log(b.s, &id, 2) != NULL;
    assert_true(is_new || !began); // what was returned as begun stays
    for (uint32_t k = 0; kind == STORE_OURS && k < (is_new ? 3 : 2); k++)
        assert_log(&b, k, 100 + k);
    assert_false(sl_uuid_eq(&old, &b.began) && began);
    // And it can go on from there.
    t_life_run(&b.life, do_begin, &b);
    assert_int_equal(b.begin_rc, 0);
    assert_files(&b);
    assert_false(exists(&b, ".kafka_cleanshutdown"));
    bench_end(&b);
    return done;
}

static void power_cut_in_begin_life(void **state)
{
    for (int clean = 0; clean < 2; clean++) {
        uint32_t cuts = 0;
        for (uint64_t delay = 1000; !begin_cut_at(10 + cuts % 7, delay, clean); delay += 61000)
            cuts++;
        assert_true(cuts > 40);
    }
}

static bool end_cut_at(uint64_t seed, uint64_t delay)
{
    struct bench b;
    format(&b, seed);
    t_life_run(&b.life, do_begin, &b);
    sim_disk_settle(b.host);
    b.armed = true;
    sim_at(b.w, delay, cut, &b);
    t_life_run(&b.life, do_end, &b);
    b.armed = false;
    bool done = b.end_rc == 0 && !sim_process_dead(b.life.p);
    bool ended = b.end_rc == 0;
    if (done)
        sim_power_cut(b.host);
    bench_next(&b);
    t_life_run(&b.life, do_open, &b);
    assert_int_equal(b.rc, 0); // never both ends at once
    assert_true(!ended || store_kind(b.s) == STORE_CLEAN);
    if (store_kind(b.s) == STORE_OURS) { // then whole
        t_life_run(&b.life, do_read, &b);
        assert_int_equal(b.rc, 0);
        assert_log(&b, 0, 100);
        assert_log(&b, 1, 101);
    }
    bench_end(&b);
    return done;
}

static void power_cut_in_end_clean(void **state)
{
    uint32_t cuts = 0;
    for (uint64_t delay = 1000; !end_cut_at(20 + cuts % 5, delay); delay += 23000)
        cuts++;
    assert_true(cuts > 20);
}

// Without room for the new life's files the old one stays in force, and may try again.
static void no_space_for_a_life(void **state)
{
    struct bench b;
    format(&b, 30);
    t_life_run(&b.life, do_begin, &b);
    bench_next(&b);
    open_as(&b, 0, STORE_OURS);
    t_life_run(&b.life, do_read, &b);
    sim_disk_set_capacity(b.host, sim_disk_used(b.host) + 48 * 1024);
    t_life_run(&b.life, do_begin, &b);
    assert_int_equal(b.begin_rc, -ENOSPC);
    assert_non_null(strstr(b.err, "No space"));
    assert_log(&b, 1, 101); // what was read is still there
    sim_disk_set_capacity(b.host, 0);
    t_life_run(&b.life, do_begin, &b);
    assert_int_equal(b.begin_rc, 0);
    assert_files(&b);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classification),          cmocka_unit_test(one_owner),
        cmocka_unit_test(lives_follow_each_other), cmocka_unit_test(both_ends_are_refused),
        cmocka_unit_test(damage_is_refused),       cmocka_unit_test(power_cut_in_begin_life),
        cmocka_unit_test(power_cut_in_end_clean),  cmocka_unit_test(no_space_for_a_life),
    };
    t_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
