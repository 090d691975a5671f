// Store and journal over the kernel, in a temporary directory: lives, batching under load, rotation, a refused second
// owner. What is read back is what was acknowledged.
#include "tests/unit/log/journal_test.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/io/uring/uring.h"
#include "engine/log/store.h"

enum { ENTRIES = 3000 };

struct bench {
    char dir[300];
    struct io *io;
    struct reactor_group *g;
    struct reactor *r;
    struct metrics *metrics;
    struct service svc;
    struct store *s;
    struct journal *j;
    uint32_t slots, added, groups;
    uint64_t durable, touched;
    uint64_t first_needed; // generation; what is before it was given back
    struct fiber *waiter;
    bool done;
    uint32_t read_back;
    char err[512];
    int rc;
};

static bool on_flush(struct service *s)
{
    struct bench *b = SL_CONTAINER_OF(s, struct bench, svc);
    return b->j && journal_flush(b->j);
}

static void on_durable(void *ctx, uint64_t sequence)
{
    ((struct bench *)ctx)->durable = sequence;
}

static void on_full(void *ctx, uint64_t generation)
{
    struct bench *b = ctx;
    // Two files back are taken for checkpointed; replay below starts there.
    if (generation > 1) {
        journal_recycle(b->j, generation - 1);
        b->first_needed = generation;
    }
}

static void on_room(void *ctx)
{
    struct bench *b = ctx;
    if (b->waiter)
        fiber_wake(b->waiter);
}

static void on_failed(void *ctx, int err)
{
    fail_msg("journal failed: %s", strerror(-err));
}

static void bench_start(struct bench *b)
{
    char err[256];
    b->io = uring_create(&(struct uring_config){.entries = 64}, err, sizeof(err));
    if (!b->io)
        fail_msg("%s", err);
    b->metrics = metrics_create(1);
    b->g = reactor_group_create(1, &b->io, 16, b->metrics);
    b->r = reactor_group_get(b->g, 0);
    b->svc = (struct service){.kind = SVC_SHARD, .name = "test", .on_flush = on_flush};
    reactor_add_service(b->r, &b->svc);
}

static void bench_stop(struct bench *b)
{
    reactor_group_destroy(b->g);
    io_destroy(b->io);
    metrics_destroy(b->metrics);
}

static void run(struct bench *b, fiber_fn fn)
{
    b->done = false;
    assert_non_null(fiber_spawn(b->r, fn, b, 256 * 1024));
    reactor_run_until(b->r, &b->done);
}

static void open_store(struct bench *b)
{
    b->s = store_open(b->r, b->dir, 1000, b->err, sizeof(b->err), &b->rc);
    if (!b->s)
        fail_msg("%s", b->err);
}

static void open_journal(struct bench *b)
{
    struct sbuf image;
    struct store_life life;
    struct journal_owner owner = {b, on_durable, on_full, on_room, on_failed};
    struct journal_config cfg = {.file_bytes = 1024 * 1024,
                                 .first_file_bytes = 256 * 1024,
                                 .files = 4,
                                 .slots = b->slots,
                                 .max_group = 128 * 1024,
                                 .late_us = 2000,
                                 .large_group = 65536};
    sbuf_init(&image);
    assert_int_equal(ckpt_begin(&image, &(struct sl_uuid){{0}}, 0, 0), 0);
    assert_int_equal(ckpt_finish(&image), 0);
    struct store_shard_begin begin = {(uint8_t *)image.data, image.len};
    b->rc = store_begin_life(b->s, &cfg, 1, &begin, &life, b->err, sizeof(b->err));
    if (b->rc)
        fail_msg("%s", b->err);
    sbuf_free(&image);
    store_journal_config(b->s, 0, &cfg);
    b->j = journal_open(b->r, &cfg, &owner, &b->rc);
    assert_non_null(b->j);
}

static void add(struct bench *b)
{
    static uint8_t buf[4096];
    struct jentry e;
    t_batch(&e, buf, 61 + b->added % 1900, 1, 0, b->added, b->added);
    b->waiter = fiber_current();
    while (!journal_room(b->j, e.bytes))
        fiber_park();
    b->waiter = NULL;
    journal_add(b->j, &e, &(struct iovec){buf, e.bytes}, 1);
    b->added++;
}

static void load(void *arg)
{
    struct bench *b = arg;
    open_store(b);
    if (store_kind(b->s) == STORE_EMPTY)
        assert_int_equal(
            store_write_identity(
                b->s, &(struct store_identity){.node_id = 1, .cluster_id = "c", .directory_id = {{1}}}),
            0);
    open_journal(b);
    b->added = 0;
    b->first_needed = 1;
    while (b->added < ENTRIES) {
        for (int i = 0; i < 10 && b->added < ENTRIES; i++)
            add(b);
        fiber_yield();
    }
    assert_int_equal(journal_drain(b->j), 0);
    assert_int_equal(b->durable, journal_durable_sequence(b->j));
    assert_int_equal(journal_get_stats(b->j)->entries, ENTRIES);
    assert_true(journal_get_stats(b->j)->rotations >= 2);
    b->groups = (uint32_t)journal_get_stats(b->j)->groups;
    assert_true(b->groups * 5 < ENTRIES); // grouping was not lost: five and more entries a write
    assert_int_equal(io_counter(b->io, IO_CTR_CQ_OVERFLOW), 0);
    assert_int_equal(journal_close(b->j), 0);
    journal_destroy(b->j);
    b->j = NULL;
    store_close(b->s); // without an end: the journals stay in force
    b->done = true;
}

static int see(void *arg, const struct jgroup *g, const struct jentry *e, const uint8_t *payload)
{
    struct bench *b = arg;
    uint8_t want[4096];
    struct jentry we;
    t_batch(&we, want, e->bytes, 1, 0, e->base_offset, (uint64_t)e->base_offset);
    assert_memory_equal(payload, want, e->bytes);
    if (b->read_back)
        assert_int_equal(e->base_offset, b->added);
    b->added = (uint32_t)e->base_offset + 1;
    b->read_back++;
    return 0;
}

struct files {
    struct replay_file f[8];
    uint32_t n;
    struct sl_uuid life;
    uint32_t generations; // bit g - 1: one of the files begins with generation g
};

static int journal_name(void *arg, const struct io_dirent *e)
{
    struct files *x = arg;
    if (strstr(e->name, ".journal"))
        snprintf(x->f[x->n++].name, sizeof(x->f->name), "%.79s", e->name);
    return 0;
}

static void read_whole(const char *path, struct replay_file *f)
{
    struct io_stat st;
    uint32_t bad = 0;
    assert_int_equal(fio_stat(path, &st), 0);
    f->len = SL_ALIGN_DOWN(st.size, (uint64_t)JOURNAL_BLOCK);
    f->data = aligned_alloc(JOURNAL_BLOCK, f->len);
    io_file h = fio_open(path, IO_RDONLY | IO_DIRECT, 0);
    assert_true(h >= 0);
    assert_int_equal(replay_read_blocks(h, f->data, 0, f->len, &bad), 0);
    assert_int_equal(bad, 0);
    assert_int_equal(fio_close(h), 0);
}

// Replays from where a checkpoint would say: an older file may still be there with a gap behind it, as files that were
// given back are not reused in their order.
static void read_back(void *arg)
{
    struct bench *b = arg;
    struct files x = {0};
    char dir[400], path[500];
    open_store(b);
    assert_int_equal(store_kind(b->s), STORE_OURS);
    snprintf(dir, sizeof(dir), "%s/sluice.journal.d", b->dir);
    assert_int_equal(io_listdir(b->io, dir, journal_name, &x), 0);
    for (uint32_t i = 0; i < x.n; i++) {
        struct jgroup g;
        snprintf(path, sizeof(path), "%s/%s", dir, x.f[i].name);
        read_whole(path, &x.f[i]);
        if (jgroup_decode(&g, x.f[i].data, x.f[i].len, NULL, 0) == 0) {
            assert_in_range(g.generation, 1, 32);
            x.generations |= 1u << (g.generation - 1);
            x.life = g.life;
        }
    }
    b->read_back = b->added = 0;
    struct replay_chain c = {
        .life = x.life, .first_generation = b->first_needed, .files = x.f, .n = x.n, .fn = see, .arg = b};
    assert_int_equal(replay_chain(&c), 0);
    assert_true(c.durable_through <= c.last_sequence);
    for (uint32_t i = 0; i < x.n; i++)
        free(x.f[i].data);
    // The store's own reading begins with generation 1: where one was recycled under it, that is damage to it.
    bool whole = (x.generations & (x.generations + 1)) == 0;
    b->rc = store_read_journals(b->s, b->err, sizeof(b->err));
    assert_int_equal(b->rc, whole ? 0 : -EUCLEAN);
    store_close(b->s);
    b->done = true;
}

static void lives_on_a_real_disk(void **state)
{
    struct bench b = {0};
    const char *tmp = getenv("TMPDIR");
    snprintf(b.dir, sizeof(b.dir), "%s/sluice-journal-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(b.dir));
    for (b.slots = 1; b.slots <= 4; b.slots++) {
        bench_start(&b);
        run(&b, load);
        run(&b, read_back);
        assert_int_equal(b.added, ENTRIES);
        assert_true(b.read_back > 0);
        bench_stop(&b);
    }
    char cmd[400];
    snprintf(cmd, sizeof(cmd), "rm -r '%s'", b.dir);
    assert_int_equal(system(cmd), 0);
}

static void open_only(void *arg)
{
    struct bench *b = arg;
    b->s = store_open(b->r, b->dir, 0, b->err, sizeof(b->err), &b->rc);
    b->done = true;
}

static void end_clean(void *arg)
{
    struct bench *b = arg;
    open_journal(b);
    assert_int_equal(journal_close(b->j), 0);
    journal_destroy(b->j);
    b->j = NULL;
    assert_int_equal(store_end_clean(b->s, 3), 0);
    b->done = true;
}

static void close_only(void *arg)
{
    struct bench *b = arg;
    store_close(b->s);
    b->done = true;
}

// Another process must not get in while this one holds the directory, nor leave anything there.
static int child(const char *dir)
{
    struct bench b = {0};
    snprintf(b.dir, sizeof(b.dir), "%s", dir);
    bench_start(&b);
    run(&b, open_only);
    int rc = b.s ? 0 : b.rc;
    if (b.s)
        run(&b, close_only);
    bench_stop(&b);
    return rc == -EAGAIN ? 1 : rc ? 2 : 0;
}

static int in_child(const char *dir)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child(dir));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void second_owner_and_clean_end(void **state)
{
    struct bench b = {.slots = 1};
    struct stat st;
    char path[400], cmd[400];
    snprintf(b.dir, sizeof(b.dir), "/tmp/sluice-store-XXXXXX");
    assert_non_null(mkdtemp(b.dir));
    bench_start(&b);
    run(&b, open_only);
    assert_non_null(b.s);
    assert_int_equal(in_child(b.dir), 1);
    b.slots = 2;
    run(&b, end_clean);
    snprintf(path, sizeof(path), "%s/sluice.journal.d", b.dir);
    assert_int_equal(stat(path, &st), -1);
    snprintf(path, sizeof(path), "%s/.kafka_cleanshutdown", b.dir);
    assert_int_equal(stat(path, &st), 0);
    run(&b, close_only);
    bench_stop(&b);
    assert_int_equal(in_child(b.dir), 2); // never formatted: what is there is not ours
    snprintf(cmd, sizeof(cmd), "rm -r '%s'", b.dir);
    assert_int_equal(system(cmd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_owner_and_clean_end),
        cmocka_unit_test(lives_on_a_real_disk),
    };
    t_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
