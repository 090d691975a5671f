// Starts after every kind of end: clean, killed, power cut, during the start itself; damaged tails, indexes and snapshots; what
// upstream left uncleanly.
#include "shard_test.h"

#include "engine/log/recover.h"

static void small_world(struct broker *b)
{
    b->cfg.journal.file_bytes = 256 << 10;
    b->cfg.journal.first_file_bytes = 64 << 10;
    b->cfg.journal.max_group = 64 << 10;
    b->cfg.journal.large_group = 16 << 10;
    b->cfg.dirty_bytes = 64 << 10;
    b->cfg.writeback_age_ms = 5;
}

static struct log_config small_config(void)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 128 << 10;
    c.index_interval_bytes = 1024;
    c.max_message_bytes = 32 << 10;
    return c;
}

static int32_t next_sequence[2];

// Bursts to two topics of two partitions, one of them with sequences; journal files go round several times.
static void bursts(struct broker *b)
{
    struct log_config c = small_config();
    struct t_append x[16];
    assert_int_equal(t_open(b, 0, "plain", 2, &c), 0);
    assert_int_equal(t_open(b, 1, "seq", 1, &c), 0);
    for (int i = 0; i < 40; i++) {
        uint32_t n = 1 + (uint32_t)sl_rand_below(&b->rand, 16);
        for (uint32_t k = 0; k < n; k++) {
            bool seq = sl_rand_chance(&b->rand, 1, 2);
            struct t_spec s = {.records = 1 + (uint32_t)sl_rand_below(&b->rand, 3),
                               .value = (uint32_t)sl_rand_below(&b->rand, 4000),
                               .timestamp = 1 + i};
            if (seq) {
                s.pid = 500;
                s.sequence = next_sequence[0];
                next_sequence[0] += (int32_t)s.records;
            }
            uint32_t bytes;
            uint8_t *batch = t_batch(b, &s, &bytes);
            t_append_start(b, &x[k], seq, seq ? 0 : (int32_t)sl_rand_below(&b->rand, 2), batch, bytes,
                           s.records, -1);
        }
        for (uint32_t k = 0; k < n; k++)
            assert_int_equal(t_append_end(b, &x[k]), 0);
    }
}

static void bursts_verified(struct broker *b)
{
    t_verify_all(b, true);
    bursts(b);
    t_verify_all(b, true);
}

static uint64_t content;

static void content_hash(struct broker *b)
{
    struct shard_fetch_part fp;
    content = 1;
    for (int i = 0; i < 2; i++)
        for (uint32_t k = 0; k < b->topics[i].parts_n; k++)
            for (int64_t next = 0;;) {
                uint8_t *bytes = t_fetch(b, i, (int32_t)k, next, 1 << 20, 0, &fp);
                uint32_t at = 0;
                for (; fp.bytes - at >= BATCH_HEADER_SIZE && batch_size(bytes + at) <= fp.bytes - at;
                     at += batch_size(bytes + at))
                    next = batch_base_offset(bytes + at) + batch_last_offset_delta(bytes + at) + 1;
                content = sl_hash_pair(content, sl_hash64(bytes, at, 1));
                free(bytes);
                if (!at)
                    break;
            }
}

static void ends_of_all_kinds(struct broker *b)
{
    small_world(b);
    next_sequence[0] = 0;
    t_boot_ok(b);
    t_run(b, bursts);
    assert_true(journal_get_stats(b->s->journal)->rotations > 2);
    for (int i = 0; i < 6; i++) {
        if (i % 3 == 0)
            assert_int_equal(t_stop(b), 0);
        else
            t_crash(b, i % 3 == 1);
        t_boot_ok(b);
        assert_int_equal(b->kind, i % 3 == 0 ? STORE_CLEAN : STORE_OURS);
        t_run(b, bursts_verified);
    }
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, content_hash);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(ends_of_all_kinds, 31)

// ---- crashes at any moment, the start included ------------------------------------------------------------------------------
static bool never(void *arg)
{
    return false;
}

static void start_alone(struct broker *b)
{
    b->p = sim_process_create(b->w, b->host);
    b->io = sim_io_create(b->p);
    b->metrics = metrics_create(1);
    b->g = reactor_group_create(1, &b->io, 64, b->metrics);
    b->r = reactor_group_get(b->g, 0);
    b->net = (struct service){.kind = SVC_NET, .name = "test", .on_msg = t_message};
    reactor_add_service(b->r, &b->net);
    b->ready = false;
    sim_attach(b->p, b->g);
    b->fn = t_boot_fiber;
    b->finished = false;
    assert_non_null(fiber_spawn(b->r, t_entry, b, 512 << 10));
}

// The same crash, and then ends in the middle of the start again and again: what is recovered in the end is the same.
static void crashed_starts(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, seed);
        small_world(b);
        next_sequence[0] = 0;
        t_boot_ok(b);
        t_run(b, bursts);
        sim_run(b->w, sl_rand_below(&b->rand, 5000000), never, NULL);
        t_crash(b, true);
        for (int i = 0; i < 12; i++) {
            start_alone(b);
            sim_run(b->w, 1 + sl_rand_below(&b->rand, 60000000), t_finished, b);
            t_crash(b, sl_rand_chance(&b->rand, 1, 2));
        }
        t_boot_ok(b);
        t_run(b, content_hash);
        uint64_t first = content;
        t_crash(b, false);
        t_boot_ok(b);
        t_run(b, content_hash);
        assert_true(content == first);
        t_run(b, bursts_verified);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// ---- damage -------------------------------------------------------------------------------------------------------------------
struct damage {
    struct broker *b;
    const char *suffix;
    int n;
    uint64_t at; // position, from the end
};

static void damage_file(void *arg, const char *path, uint64_t size)
{
    struct damage *d = arg;
    size_t n = strlen(path), k = strlen(d->suffix);
    if (n < k || strcmp(path + n - k, d->suffix) || size == 0)
        return;
    uint8_t junk[64];
    sl_rand_bytes(&d->b->rand, junk, sizeof(junk));
    assert_int_equal(
        sim_disk_poke(d->b->host, path, size > d->at ? size - d->at : 0, junk, SL_MIN(sizeof(junk), size)),
        0);
    d->n++;
}

// Indexes are hints (S10): nonsense in them costs time, never an answer.
static void damaged_indexes(struct broker *b)
{
    small_world(b);
    next_sequence[0] = 0;
    t_boot_ok(b);
    t_run(b, bursts);
    for (int i = 0; i < 4; i++) {
        if (i % 2 == 0)
            assert_int_equal(t_stop(b), 0);
        else
            t_crash(b, true);
        struct damage d = {.b = b, .suffix = i < 2 ? ".index" : ".timeindex", .at = 8u << i};
        sim_disk_walk(b->host, b->dir, damage_file, &d);
        assert_true(d.n > 0);
        t_boot_ok(b);
        t_run(b, bursts_verified);
    }
    assert_int_equal(t_stop(b), 0);
}
T_SIM(damaged_indexes, 41)

// ---- as upstream leaves it -------------------------------------------------------------------------------------------------
// A directory without journal and without the clean-shutdown file: every batch is checked, the torn tail is cut off.
static void torn_tail(struct broker *b, uint32_t cut, bool zeros)
{
    char path[600];
    uint8_t *zero = calloc(1, cut);
    struct t_part *p = &b->topics[0].parts[0];
    snprintf(path, sizeof(path), "%s/torn-0/00000000000000000000.log", b->dir);
    int64_t size = sim_disk_size(b->host, path);
    if (!zeros)
        sl_rand_bytes(&b->rand, zero, cut);
    assert_int_equal(sim_disk_poke(b->host, path, (uint64_t)size - cut, zero, cut), 0);
    for (uint32_t left = cut; left && p->n;) {
        struct t_claim *last = &p->claims[--p->n];
        left -= SL_MIN(left, last->bytes);
    }
    free(zero);
}

static void fill_torn(struct broker *b)
{
    struct log_config c = small_config();
    c.segment_bytes = 4 << 20;
    assert_int_equal(t_open(b, 0, "torn", 1, &c), 0);
    for (int i = 0; i < 50; i++) {
        struct t_spec s = {.records = 2, .value = 700, .timestamp = 1 + i, .pid = 9, .sequence = 2 * i};
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    }
}

static void after_torn(struct broker *b)
{
    struct t_part *p = &b->topics[0].parts[0];
    t_verify_all(b, false); // exactly what is whole
    assert_true(p->n > 0 && p->n < 50);
    // The producer's state ends there too: its next batch is the first one lost.
    struct t_spec s = {
        .records = 2, .value = 700, .timestamp = 1, .pid = 9, .sequence = 2 * (int32_t)p->n + 2};
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    s.sequence = 2 * (int32_t)p->n;
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    t_verify_all(b, false);
}

static void upstream_unclean(void **state)
{
    static const uint32_t cuts[] = {9, 60, 700, 5000, 20000};
    for (uint32_t i = 0; i < 2 * SL_ARRAY_LEN(cuts); i++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, 50 + i);
        t_boot_ok(b);
        t_run(b, fill_torn);
        assert_int_equal(t_stop(b), 0);
        t_between_lives(b, t_unlink_clean); // as if upstream had been killed
        torn_tail(b, cuts[i / 2], i % 2);
        t_boot_ok(b);
        assert_int_equal(b->kind, STORE_UPSTREAM);
        t_run(b, after_torn);
        t_crash(b, true);
        t_boot_ok(b);
        t_run(b, content_hash);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// ---- what upstream's compaction leaves when it ends in the middle -----------------------------------------------------------
static void fill_swapped(struct broker *b)
{
    struct log_config c = small_config();
    c.segment_bytes = 16 << 10;
    assert_int_equal(t_open(b, 0, "swapped", 1, &c), 0);
    for (int i = 0; i < 60; i++) {
        struct t_spec s = {.records = 2, .value = 700, .timestamp = 1 + i, .pid = 9, .sequence = 2 * i};
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    }
}

static int base_of(void *arg, const struct io_dirent *e)
{
    struct {
        int64_t base[16];
        uint32_t n;
    } *x = arg;
    if (strlen(e->name) == 24 && !strcmp(e->name + 20, ".log"))
        x->base[x->n++] = strtoll(e->name, NULL, 10);
    return 0;
}

// The k-th segment's file, by the ending of its name.
static void swapped_path(struct broker *b, uint32_t k, const char *end, char *out, size_t cap)
{
    struct {
        int64_t base[16];
        uint32_t n;
    } x = {.n = 0};
    snprintf(out, cap, "%s/swapped-0", b->dir);
    assert_int_equal(io_listdir(b->io, out, base_of, &x), 0);
    assert_true(x.n > 3);
    for (uint32_t i = 0; i < x.n; i++) // ascending
        for (uint32_t j = i + 1; j < x.n; j++)
            if (x.base[j] < x.base[i]) {
                int64_t t = x.base[i];
                x.base[i] = x.base[j];
                x.base[j] = t;
            }
    snprintf(out, cap, "%s/swapped-0/%020lld.%s", b->dir, (long long)x.base[k], end);
}

// Segments `first` and what follows up to `n` of them, as one file of another name: so compaction merges them.
static void merge(struct broker *b, uint32_t first, uint32_t n, const char *end)
{
    char path[600];
    struct sbuf all;
    sbuf_init(&all);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *p;
        size_t len;
        swapped_path(b, first + i, "log", path, sizeof(path));
        assert_int_equal(fio_read_file(path, 1 << 20, &p, &len), 0);
        assert_int_equal(sbuf_append(&all, (char *)p, len), 0);
        free(p);
    }
    swapped_path(b, first, end, path, sizeof(path));
    assert_int_equal(fio_put_file(path, all.data, all.len, true), 0);
    sbuf_free(&all);
}

static void put(struct broker *b, uint32_t k, const char *end)
{
    char path[600];
    swapped_path(b, k, end, path, sizeof(path));
    assert_int_equal(fio_put_file(path, "not of this log", 15, true), 0);
}

static void move(struct broker *b, uint32_t k, const char *from, const char *to)
{
    char a[600], z[600];
    swapped_path(b, k, to, z, sizeof(z));
    swapped_path(b, k, from, a, sizeof(a));
    assert_int_equal(fio_rename(a, z), 0);
}

static void not_yet(struct broker *b) // its new segment was being written
{
    put(b, 0, "log.cleaned");
    put(b, 0, "index.cleaned");
    put(b, 0, "timeindex.cleaned");
}

static void counts(struct broker *b) // it has its name, and the old ones are all there
{
    merge(b, 0, 2, "log.swap");
    move(b, 0, "index", "index.swap");
    move(b, 0, "timeindex", "timeindex.swap");
}

static void half_removed(struct broker *b)
{
    merge(b, 1, 2, "log.swap");
    move(b, 2, "log", "log.deleted"); // the later one first: the names of both are needed
    move(b, 1, "log", "log.deleted");
}

static void half_named(struct broker *b) // its index had its name already, the log had not
{
    merge(b, 0, 1, "log.swap");
    move(b, 0, "log", "log.deleted");
}

static void split(struct broker *b) // one segment into two, the second of which is being written
{
    put(b, 1, "log.cleaned");
    put(b, 2, "log.swap");
    put(b, 2, "index.swap");
}

static void verify_exactly(struct broker *b)
{
    t_verify_all(b, false);
}

static int leftover(void *arg, const struct io_dirent *e)
{
    *(uint32_t *)arg += recover_is_leftover(e->name);
    return 0;
}

static void none_left(struct broker *b)
{
    char path[600];
    uint32_t n = 0;
    snprintf(path, sizeof(path), "%s/swapped-0", b->dir);
    assert_int_equal(io_listdir(b->io, path, leftover, &n), 0);
    assert_int_equal(n, 0);
}

static void upstream_swaps(void **state)
{
    static void (*const states[])(struct broker * b) = {not_yet, counts, half_removed, half_named, split};
    for (uint32_t i = 0; i < 2 * SL_ARRAY_LEN(states); i++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, 70 + i);
        t_boot_ok(b);
        t_run(b, fill_swapped);
        assert_int_equal(t_stop(b), 0);
        t_between_lives(b, t_unlink_clean);
        t_between_lives(b, states[i / 2]);
        t_boot_ok(b);
        if (i % 2) // what the start did holds over a power cut, too
            t_crash(b, true), t_boot_ok(b);
        t_run(b, verify_exactly);
        t_run(b, none_left);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// ---- names of index files that a power cut took ---------------------------------------------------------------------------
static const char *const index_names[] = {"index", "timeindex"};
enum { LOST = 4 }; // segments 1 to 3: one without the one file, one without the other, one without both

static bool is_lost(uint32_t segment, uint32_t which)
{
    return segment == 3 || segment == which + 1;
}

static void lose_names(struct broker *b)
{
    char path[600];
    for (uint32_t k = 1; k < LOST; k++)
        for (uint32_t f = 0; f < 2; f++) {
            swapped_path(b, k, index_names[f], path, sizeof(path));
            if (is_lost(k, f))
                assert_int_equal(fio_unlink(path, false), 0);
        }
}

static void names_are_there(struct broker *b)
{
    char path[600];
    struct io_stat st;
    for (uint32_t k = 1; k < LOST; k++)
        for (uint32_t f = 0; f < 2; f++) {
            swapped_path(b, k, index_names[f], path, sizeof(path));
            assert_int_equal(fio_stat(path, &st), 0);
            assert_true(st.size > 0);
        }
}

static void times_lead_right(struct broker *b)
{
    for (int i = 0; i < 60;
         i++) { // the second record of each of fill_swapped's batches is as new as the next one's first
        int64_t offset, timestamp;
        int32_t epoch;
        assert_int_equal(log_offset_for_time(t_log(b, 0, 0), 1 + i, INT64_MAX, &offset, &timestamp, &epoch),
                         0);
        assert_int_equal(offset, SL_MAX(2 * i - 1, 0));
        assert_int_equal(timestamp, 1 + i);
    }
}

static void fill_sealed(struct broker *b)
{
    struct log_config c = small_config();
    struct t_spec s = {.records = 1, .value = 8000, .timestamp = 1};
    fill_swapped(b);
    assert_int_equal(t_open(b, 1, "other", 1, &c), 0);
    uint64_t rotations = journal_get_stats(b->s->journal)->rotations;
    while (journal_get_stats(b->s->journal)->rotations <
           rotations + 2) // a checkpoint has settled what is sealed
        assert_int_equal(t_produce(b, 1, 0, &s, NULL), 0);
}

// Sealed segments' index files are synced, but a directory may come back without a name all the same.
static void lost_index_names(void **state)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, 90 + i);
        small_world(b);
        t_boot_ok(b);
        t_run(b, fill_sealed);
        if (i)
            assert_int_equal(t_stop(b), 0);
        else
            t_crash(b, false);
        t_between_lives(b, lose_names);
        t_boot_ok(b);
        assert_int_equal(b->kind, i ? STORE_CLEAN : STORE_OURS);
        if (!i) { // no one has asked for them
            t_run(b, names_are_there);
            assert_int_equal(t_stop(b), 0);
            t_boot_ok(b);
        }
        t_run(b, times_lead_right);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// ---- a power cut in a clean stop --------------------------------------------------------------------------------------------
// A log that a life added nothing to ends in a block that this life's journal does not hold: a stop must not have it written
// again, whenever the power goes.
static void append_little(struct broker *b)
{
    struct log_config c = small_config();
    struct t_spec s = {.records = 3, .value = 100, .timestamp = 1};
    assert_int_equal(t_open(b, 0, "little", 1, &c), 0);
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
}

static void cut_in_second_stop(struct broker *b)
{
    bool stopped = false;
    small_world(b);
    sim_world_faults(b->w)->garbage_unsynced = 1000 * 1000; // what is not synced is torn
    for (uint64_t ns = 1000; !stopped; ns += 40 * 1000) {
        t_boot_ok(b);
        t_run(b, append_little);
        assert_int_equal(t_stop(b), 0);
        t_boot_ok(b);
        assert_int_equal(b->kind, STORE_CLEAN);
        reactor_group_stop(b->g);
        stopped = sim_run(b->w, ns, t_stopped, b);
        t_crash(b, true);
        t_boot_ok(b);
        t_run(b, verify_exactly);
        assert_int_equal(t_stop(b), 0);
    }
}
T_SIM(cut_in_second_stop, 95)

// ---- a snapshot from before the log's start ----------------------------------------------------------------------------------
static uint8_t *old_snapshot;
static size_t old_snapshot_len;
static char old_snapshot_path[600];

static int find_snapshot(void *arg, const struct io_dirent *e)
{
    int64_t *base = arg;
    if (strlen(e->name) == 29 && !strcmp(e->name + 20, ".snapshot"))
        *base = SL_MIN(*base, strtoll(e->name, NULL, 10));
    return 0;
}

// Some segments of one producer; the first ones go, and with them the snapshot between them, of which a copy is kept.
static void fill_and_trim(struct broker *b)
{
    struct log_config c = small_config();
    char dir[550];
    int64_t base = INT64_MAX;
    uint64_t sequence;
    c.segment_bytes = 16 << 10;
    c.deletes = true;
    c.retention_ms = c.retention_bytes = -1;
    assert_int_equal(t_open(b, 0, "old", 1, &c), 0);
    for (int i = 0; i < 60; i++) {
        struct t_spec s = {.records = 2, .value = 700, .timestamp = 1 + i, .pid = 9, .sequence = 2 * i};
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    }
    for (int i = 0; i < 30; i++) { // others fill the last segments
        struct t_spec s = {.records = 2, .value = 700, .timestamp = 100 + i};
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    }
    struct log *l = t_log(b, 0, 0);
    assert_int_equal(log_write_back(l, true), 0);
    snprintf(dir, sizeof(dir), "%s/old-0", b->dir);
    for (int i = 0; i < 1000 && base == INT64_MAX;
         i++) { // it is written when the segment before it is sealed
        assert_int_equal(io_listdir(reactor_io(b->r), dir, find_snapshot, &base), 0);
        fiber_sleep(1000 * 1000);
    }
    assert_true(base < 60);
    snprintf(old_snapshot_path, sizeof(old_snapshot_path), "%s/%020lld.snapshot", dir, (long long)base);
    assert_int_equal(fio_read_file(old_snapshot_path, 1 << 20, &old_snapshot, &old_snapshot_len), 0);
    assert_int_equal(log_fence_start(l, 80, &sequence), 0);
    assert_int_equal(log_start_fenced(l, 80, sequence, UINT64_MAX), 0);
    assert_true(log_retain(l) > 1);
    t_forget(b, 0, 0, 80);
}

// Of the snapshots only that one is left.
static void leave_the_old_one(struct broker *b)
{
    t_drop_snapshots(b);
    assert_int_equal(fio_write_file(old_snapshot_path, old_snapshot, old_snapshot_len), 0);
}

static void producer_goes_on(struct broker *b)
{
    struct t_spec s = {.records = 2, .value = 700, .timestamp = 1, .pid = 9, .sequence = 120};
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    t_verify_all(b, false);
}

static void snapshot_before_the_start(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, fill_and_trim);
    assert_int_equal(t_stop(b), 0);
    t_between_lives(b, leave_the_old_one);
    t_boot_ok(b);
    assert_int_equal(b->kind, STORE_CLEAN);
    t_run(b, producer_goes_on);
    assert_int_equal(t_stop(b), 0);
    free(old_snapshot);
}
T_SIM(snapshot_before_the_start, 96)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_SIM_ENTRY(snapshot_before_the_start), T_BOTH_ENTRIES(ends_of_all_kinds),
        cmocka_unit_test(crashed_starts),       T_SIM_ENTRY(damaged_indexes),
        cmocka_unit_test(upstream_unclean),     cmocka_unit_test(upstream_swaps),
        cmocka_unit_test(lost_index_names),     T_SIM_ENTRY(cut_in_second_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
