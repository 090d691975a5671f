// Replay over images in memory: where the chain ends, when that is damage, and what fences leave.
#include "tests/unit/log/journal_test.h"

enum { FILE_BYTES = 16 * JOURNAL_BLOCK, MAX_SEEN = 64 };

struct seen {
    uint32_t n;
    int64_t offset[MAX_SEEN];
};

static int see(void *arg, const struct jgroup *g, const struct jentry *e, const uint8_t *payload)
{
    struct seen *s = arg;
    assert_true(s->n < MAX_SEEN);
    s->offset[s->n++] = e->base_offset;
    return 0;
}

struct world {
    struct sl_uuid life;
    struct t_file f[4];
    uint32_t n;
    uint64_t first_generation;
    struct seen seen;
    struct replay_chain c;
    uint64_t loaded[4]; // of each file, by the lazy way
    uint64_t refuse;    // reads beyond fail; 0: none
};

static void world_init(struct world *w)
{
    *w = (struct world){.life = t_uuid(7), .first_generation = 1};
}

static struct t_file *world_first(struct world *w, uint64_t generation)
{
    t_file_init(&w->f[w->n], FILE_BYTES, &w->life, generation);
    return &w->f[w->n++];
}

static struct t_file *world_next(struct world *w)
{
    t_file_next(&w->f[w->n], FILE_BYTES, &w->f[w->n - 1]);
    return &w->f[w->n++];
}

// The files as a disk has them: a block at a time, exactly as far as asked.
static int load(void *arg, struct replay_file *f, uint64_t upto)
{
    struct world *w = arg;
    const struct t_file *from = &w->f[f->name[4] - '0'];
    assert_true(upto > f->loaded && upto <= f->len && upto % JOURNAL_BLOCK == 0);
    if (w->refuse && upto > w->refuse)
        return -EIO;
    memcpy(f->data + f->loaded, from->data + f->loaded, upto - f->loaded);
    w->loaded[f->name[4] - '0'] = f->loaded = upto;
    return 0;
}

// Replays the files in reverse order of creation: the order on disk must not matter. `lazy`: read as the chain asks for it.
static int world_replay_as(struct world *w, bool lazy)
{
    struct replay_file files[4];
    for (uint32_t i = 0; i < w->n; i++) {
        struct replay_file *f = &files[w->n - 1 - i];
        *f = (struct replay_file){.data = lazy ? malloc(w->f[i].len) : w->f[i].data, .len = w->f[i].len};
        if (lazy)
            memset(f->data, 0xcc, f->len);
        if (lazy)
            w->loaded[i] = 0;
        snprintf(f->name, sizeof(f->name), "file%u", i);
    }
    w->seen.n = 0;
    w->c = (struct replay_chain){.life = w->life,
                                 .first_generation = w->first_generation,
                                 .files = files,
                                 .n = w->n,
                                 .fn = see,
                                 .arg = &w->seen,
                                 .load = lazy ? load : NULL,
                                 .load_arg = w};
    int rc = replay_chain(&w->c);
    for (uint32_t i = 0; i < w->n && lazy; i++)
        free(files[i].data);
    w->c.files = NULL;
    return rc;
}

// Both ways find the same.
static int world_replay(struct world *w)
{
    int lazy = world_replay_as(w, true);
    struct seen seen = w->seen;
    struct replay_chain c = w->c;
    int rc = world_replay_as(w, false);
    assert_int_equal(rc, lazy);
    assert_memory_equal(&seen, &w->seen, sizeof(seen.n) + seen.n * sizeof(seen.offset[0]));
    assert_int_equal(c.last_sequence, w->c.last_sequence);
    assert_int_equal(c.durable_through, w->c.durable_through);
    assert_int_equal(c.break_position, w->c.break_position);
    assert_string_equal(c.break_file, w->c.break_file);
    return rc;
}

static void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        free(w->f[i].data);
}

static void assert_seen(const struct world *w, uint32_t n, int64_t first)
{
    assert_int_equal(w->seen.n, n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(w->seen.offset[i], first + i);
}

static void empty_life(void **state)
{
    struct world w;
    world_init(&w);
    world_first(&w, 1);
    assert_int_equal(world_replay(&w), 0);
    assert_seen(&w, 0, 0);
    assert_int_equal(w.c.last_sequence, 0);
    world_free(&w);
}

static void whole_chain_over_files(void **state)
{
    struct world w;
    world_init(&w);
    struct t_file *f = world_first(&w, 1);
    for (int i = 0; i < 5; i++)
        t_group(f, 1, i, (uint64_t)i);
    f = world_next(&w);
    for (int i = 5; i < 9; i++)
        t_group(f, 1, i, (uint64_t)i);
    assert_int_equal(world_replay(&w), 0);
    assert_seen(&w, 9, 0);
    assert_int_equal(w.c.last_sequence, 9);
    assert_int_equal(w.c.last_generation, 2);
    world_free(&w);
}

// The last group's write was torn at any sector: it is dropped, silently.
static void torn_last_group(void **state)
{
    for (uint32_t keep = 0; keep < 8; keep++) {
        struct world w;
        world_init(&w);
        struct t_file *f = world_first(&w, 1);
        t_group(f, 1, 0, 0);
        t_add_batch(f, 3500, 1, 1);
        uint64_t at = t_end(f, 1);
        memset(f->data + at + keep * 512, 0, JOURNAL_BLOCK - keep * 512);
        bool whole = keep * 512 >= JOURNAL_HEADER + JOURNAL_ENTRY + 3504;
        assert_int_equal(world_replay(&w), 0);
        assert_seen(&w, whole ? 2 : 1, 0);
        assert_int_equal(w.c.break_position, at + (whole ? JOURNAL_BLOCK : 0));
        world_free(&w);
    }
}

// A group in the middle is broken, and a later one says that it was durable: refused, with the place named.
static void torn_group_below_durable_through(void **state)
{
    for (uint64_t claim = 1; claim <= 4; claim++) {
        struct world w;
        world_init(&w);
        struct t_file *f = world_first(&w, 1);
        t_group(f, 1, 0, 0);
        uint64_t at = t_group(f, 1, 1, 1);
        t_group(f, 1, 2, 1);
        uint64_t last = t_group(f, 1, 3, 1);
        t_group(f, 1, 4, claim);
        f->data[at + 300] ^= 1;
        // Also when the later groups are torn themselves: their headers still say it.
        f->data[last + 400] ^= 1;
        f->data[last + JOURNAL_BLOCK + 400] ^= 1;
        int rc = world_replay(&w);
        assert_int_equal(rc, claim >= 2 ? -EUCLEAN : 0);
        assert_seen(&w, 1, 0);
        assert_string_equal(w.c.break_file, "file0");
        assert_int_equal(w.c.break_position, at);
        assert_int_equal(w.c.durable_through, claim);
        world_free(&w);
    }
}

// The same over the border of two files, where the broken group is the last one of its file, or the first.
static void torn_group_at_a_files_border(void **state)
{
    for (int first = 0; first < 2; first++)
        for (int claimed = 0; claimed < 2; claimed++) {
            struct world w;
            world_init(&w);
            struct t_file *f = world_first(&w, 1);
            t_group(f, 1, 0, 0);
            uint64_t last = t_group(f, 1, 1, 1);
            struct t_file *g = world_next(&w);
            t_group(g, 1, 2, 1);
            t_group(g, 1, 3, claimed ? (first ? 3 : 2) : 1);
            (first ? g->data : f->data + last)[200] ^= 1;
            assert_int_equal(world_replay(&w), claimed ? -EUCLEAN : 0);
            assert_seen(&w, first ? 2 : 1, 0);
            world_free(&w);
        }
}

// Corrupting any one block of a chain is either noticed, or costs only what nobody was told of.
static void every_block_zeroed(void **state)
{
    enum { GROUPS = 12 };
    for (uint32_t victim = 0; victim < GROUPS; victim++) {
        struct world w;
        uint64_t at[GROUPS];
        uint32_t file[GROUPS];
        world_init(&w);
        struct t_file *f = world_first(&w, 1);
        for (uint32_t i = 0; i < GROUPS; i++) {
            if (i == 7)
                f = world_next(&w);
            at[i] = t_group(f, 1, i, i ? i - 1 : 0); // one group behind: two were in flight
            file[i] = w.n - 1;
        }
        memset(w.f[file[victim]].data + at[victim], 0, JOURNAL_BLOCK);
        int rc = world_replay(&w);
        // Group sequence s = victim + 1; the last group says that GROUPS - 2 was durable.
        assert_int_equal(rc, victim + 1 <= GROUPS - 2 ? -EUCLEAN : 0);
        assert_seen(&w, victim, 0);
        world_free(&w);
    }
}

static void recycled_file_with_stale_groups(void **state)
{
    struct world w;
    world_init(&w);
    // Generation 1 fills a file; 2 and 3 follow; 4 reuses the first file, in which older groups stay behind.
    struct t_file *f = world_first(&w, 1);
    for (int i = 0; i < 6; i++)
        t_group(f, 1, i, (uint64_t)i);
    f = world_next(&w);
    t_group(f, 1, 6, 6);
    f = world_next(&w);
    t_group(f, 1, 7, 7);
    struct t_file reuse;
    t_file_next(&reuse, FILE_BYTES, f);
    t_group(&reuse, 1, 8, 8);
    t_group(&reuse, 1, 9, 9);
    memcpy(w.f[0].data, reuse.data, 2 * JOURNAL_BLOCK);
    w.first_generation = 2;
    assert_int_equal(world_replay(&w), 0);
    assert_seen(&w, 4, 6);
    assert_int_equal(w.c.last_sequence, 10);
    // With more checkpointed, less is replayed, and an older file may be broken.
    w.first_generation = 3;
    memset(w.f[1].data, 0xff, FILE_BYTES);
    assert_int_equal(world_replay(&w), 0);
    assert_seen(&w, 3, 7);
    // A needed generation that is missing while later ones are there is damage.
    w.first_generation = 2;
    assert_int_equal(world_replay(&w), -EUCLEAN);
    free(reuse.data);
    world_free(&w);
}

// The checkpoint needs a generation that was not written yet: nothing to replay, and nothing is wrong.
static void first_generation_not_written(void **state)
{
    struct world w;
    world_init(&w);
    struct t_file *f = world_first(&w, 1);
    for (int i = 0; i < 6; i++)
        t_group(f, 1, i, (uint64_t)i);
    struct t_file *g = world_next(&w);
    w.first_generation = 2;
    assert_int_equal(world_replay(&w), 0);
    assert_seen(&w, 0, 0);
    assert_int_equal(w.c.last_sequence, 6);
    // Its first group was in flight beside the second: lost is only what nobody was told of...
    t_group(g, 1, 6, 6);
    t_group(g, 1, 7, 6);
    memset(g->data, 0, JOURNAL_BLOCK);
    assert_int_equal(world_replay(&w), 0);
    // ... but a third one that says the first was durable makes it damage.
    t_group(g, 1, 8, 7);
    assert_int_equal(world_replay(&w), -EUCLEAN);
    // The same when the file before is gone, too.
    memset(f->data, 0, FILE_BYTES);
    assert_int_equal(world_replay(&w), -EUCLEAN);
    world_free(&w);
}

// Groups that continue in sequence, but not in crc, are another chain's.
static void previous_crc_is_checked(void **state)
{
    struct world w;
    world_init(&w);
    struct t_file *f = world_first(&w, 1);
    t_group(f, 1, 0, 0);
    f->g.prev_crc ^= 1;
    t_group(f, 1, 1, 0);
    assert_int_equal(world_replay(&w), 0);
    assert_seen(&w, 1, 0);
    f->g.sequence++; // a gap in the sequence
    t_group(f, 1, 2, 0);
    assert_int_equal(world_replay(&w), 0);
    assert_seen(&w, 1, 0);
    world_free(&w);
}

// A payload that looks like a header behind the break must not stop a start: its place or its distance is wrong.
static void imitated_headers(void **state)
{
    for (int kind = 0; kind < 3; kind++) {
        struct world w;
        world_init(&w);
        struct t_file *f = world_first(&w, 1);
        t_group(f, 1, 0, 0);
        uint64_t torn = t_group(f, 1, 1, 1);
        memset(f->data + torn, 0, JOURNAL_BLOCK);
        struct jgroup g = {
            .life = w.life, .generation = 1, .sequence = 99, .durable_through = 98, .length = 4096};
        g.position = f->at + (kind == 0 ? 0 : JOURNAL_BLOCK);
        g.durable_through = kind == 1 ? 98 : 50;
        g.life = kind == 2 ? t_uuid(8) : w.life;
        jgroup_encode(&g, f->data + f->at);
        assert_int_equal(world_replay(&w), 0);
        assert_seen(&w, 1, 0);
        world_free(&w);
    }
}

static void other_shards_and_lives(void **state)
{
    struct world w;
    world_init(&w);
    struct t_file *f = world_first(&w, 1);
    f->g.shard = 1;
    t_group(f, 1, 0, 0);
    assert_int_equal(world_replay(&w), 0);
    assert_seen(&w, 0, 0);
    struct sl_uuid mine = w.life;
    w.life = t_uuid(3);
    assert_int_equal(world_replay(&w), 0);
    assert_seen(&w, 0, 0);
    w.life = mine;
    world_free(&w);
}

// What is read: the chain, the rest of the file in which it ends, and the head of every other.
static void reads_what_was_used(void **state)
{
    enum { LARGE = 3 << 20, HEAD = 1 << 20 };
    struct world w;
    world_init(&w);
    for (; w.n < 4; w.n++)
        t_file_init(&w.f[w.n], LARGE, &w.life, 1);
    for (int i = 0; i < 5; i++)
        t_group(&w.f[1], 1, i, (uint64_t)i); // generation 1: checkpointed
    w.f[2].g.generation = 2;
    w.f[2].g.sequence = w.f[1].g.sequence;
    w.f[2].g.prev_crc = w.f[1].g.prev_crc;
    for (int i = 0; i < 3; i++)
        t_group(&w.f[2], 1, 5 + i, (uint64_t)(5 + i));
    w.first_generation = 2;
    assert_int_equal(world_replay(&w), 0);
    assert_int_equal(w.seen.n, 3);
    assert_int_equal(w.loaded[2], LARGE);
    assert_int_equal(w.loaded[0], HEAD);
    assert_int_equal(w.loaded[1], HEAD);
    assert_int_equal(w.loaded[3], HEAD);
    // A group far behind the break says that what is missing was durable.
    uint64_t at = w.f[2].at;
    w.f[2].at = LARGE - 2 * JOURNAL_BLOCK;
    w.f[2].g.sequence += 3;
    t_group(&w.f[2], 1, 9, w.f[2].g.sequence - 1);
    assert_int_equal(world_replay(&w), -EUCLEAN);
    assert_int_equal(w.c.break_position, at);
    // A disk that does not read is no damage, and no end of the chain either.
    w.refuse = 2 * JOURNAL_BLOCK;
    assert_int_equal(world_replay_as(&w, true), -EIO);
    world_free(&w);
}

// ---- fences -----------------------------------------------------------------------------------------------------------
static void add(struct replay *r, uint64_t topic, uint8_t type, int64_t segment, int64_t base, int64_t last)
{
    struct jgroup g = {.shard = 0};
    struct jentry e = {.type = type,
                       .topic_id = t_uuid(topic),
                       .segment_base = segment,
                       .base_offset = base,
                       .last_offset = last};
    assert_int_equal(replay_add_entry(r, &g, &e, NULL), 0);
}

static void assert_entries(struct replay *r, uint64_t topic, uint32_t n, const int64_t *base)
{
    struct sl_uuid id = t_uuid(topic);
    struct store_log *l = replay_find(r, &id, 0);
    assert_non_null(l);
    assert_int_equal(l->entries_n, n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(l->entries[i].e.base_offset, base[i]);
}

static void fences_void_entries(void **state)
{
    struct replay *r = replay_create();
    // Truncation to 20: later batches count again.
    add(r, 1, JE_EPOCH, 0, 0, 0);
    add(r, 1, JE_BATCH, 0, 0, 9);
    add(r, 1, JE_BATCH, 0, 10, 19);
    add(r, 1, JE_BATCH, 0, 20, 29);
    add(r, 1, JE_EPOCH, 0, 25, 0);
    add(r, 1, JE_BATCH, 0, 15, 20); // straddles the end: void
    add(r, 1, JE_FENCE, 0, 0, 20);
    add(r, 1, JE_BATCH, 0, 20, 21);
    // Another log is not concerned.
    add(r, 2, JE_BATCH, 0, 20, 29);
    // Segment deletion up to 50: segment 0 is gone, and says only what its batches did; the one at 30 keeps all its bytes.
    add(r, 3, JE_PREFIX, 0, 0, 0);
    add(r, 3, JE_BATCH, 0, 0, 29);
    add(r, 3, JE_PREFIX, 30, 30, 0);
    add(r, 3, JE_BATCH, 30, 30, 39);
    add(r, 3, JE_BATCH, 30, 40, 55); // straddles the floor: stays
    add(r, 3, JE_FENCE, 30, 50, INT64_MAX);
    add(r, 3, JE_BATCH, 30, 56, 60);
    // Deleted.
    add(r, 4, JE_BATCH, 0, 0, 9);
    add(r, 4, JE_CONFIRMED, 0, 0, 10);
    add(r, 4, JE_FENCE, 0, INT64_MAX, INT64_MAX);
    // Two truncations: the lower one counts for what is before both.
    add(r, 5, JE_BATCH, 0, 0, 4);
    add(r, 5, JE_BATCH, 0, 5, 9);
    add(r, 5, JE_PREFIX, 8, 8, 0);
    add(r, 5, JE_FENCE, 0, 0, 5);
    add(r, 5, JE_BATCH, 0, 5, 19);
    add(r, 5, JE_FENCE, 0, 0, 20);
    add(r, 5, JE_BATCH, 0, 20, 24);
    // Everything below the floor, and nothing known above it: the segment stays, and with it where the log ends.
    add(r, 6, JE_BATCH, 0, 0, 9);
    add(r, 6, JE_FENCE, 0, 10, INT64_MAX);
    // Confirmed beyond a truncation: only up to it.
    add(r, 7, JE_BATCH, 0, 0, 99);
    add(r, 7, JE_CONFIRMED, 0, 0, 100);
    add(r, 7, JE_FENCE, 0, 0, 100);
    add(r, 7, JE_CONFIRMED, 0, 0, 200);
    add(r, 7, JE_FENCE, 0, 0, 150);
    replay_apply_fences(r);
    assert_entries(r, 1, 5, (int64_t[]){0, 0, 10, 0, 20});
    assert_entries(r, 2, 1, (int64_t[]){20});
    assert_entries(r, 3, 6, (int64_t[]){0, 30, 30, 40, 50, 56});
    assert_entries(r, 4, 1, (int64_t[]){INT64_MAX});
    assert_entries(r, 5, 5, (int64_t[]){0, 0, 5, 0, 20});
    assert_entries(r, 6, 2, (int64_t[]){0, 10});
    assert_entries(r, 7, 5, (int64_t[]){0, 0, 0, 0, 0});
    struct sl_uuid id = t_uuid(3);
    struct store_log *three = replay_find(r, &id, 0);
    assert_int_equal(three->floor, 50);
    assert_int_equal(three->settled, 30);
    assert_true(three->entries[0].state_only);
    for (uint32_t i = 1; i < three->entries_n; i++)
        assert_false(three->entries[i].state_only);
    id = t_uuid(4);
    assert_true(replay_find(r, &id, 0)->deleted);
    assert_null(replay_find(r, &id, 1));
    id = t_uuid(7);
    struct store_log *l = replay_find(r, &id, 0);
    assert_false(l->deleted);
    assert_int_equal(l->entries[1].e.last_offset, 100);
    assert_int_equal(l->entries[3].e.last_offset, 150);
    replay_destroy(r);
}

static void log_in_two_shards_is_refused(void **state)
{
    struct replay *r = replay_create();
    struct jentry e = {.type = JE_BATCH, .topic_id = t_uuid(1)};
    assert_int_equal(replay_add_entry(r, &(struct jgroup){.shard = 0}, &e, NULL), 0);
    assert_int_equal(replay_add_entry(r, &(struct jgroup){.shard = 1}, &e, NULL), -EUCLEAN);
    struct sbuf b;
    struct sl_uuid life = t_uuid(9);
    uint64_t first;
    sbuf_init(&b);
    assert_int_equal(ckpt_begin(&b, &life, 2, 1), 0);
    assert_int_equal(ckpt_add(&b, &(struct ckpt_log){.topic_id = t_uuid(1)}), 0);
    assert_int_equal(ckpt_finish(&b), 0);
    size_t n = b.len;
    assert_int_equal(replay_add_checkpoint(r, (uint8_t *)sbuf_steal(&b), n, &life, 2, &first), -EUCLEAN);
    replay_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_life),
        cmocka_unit_test(whole_chain_over_files),
        cmocka_unit_test(torn_last_group),
        cmocka_unit_test(torn_group_below_durable_through),
        cmocka_unit_test(torn_group_at_a_files_border),
        cmocka_unit_test(every_block_zeroed),
        cmocka_unit_test(recycled_file_with_stale_groups),
        cmocka_unit_test(first_generation_not_written),
        cmocka_unit_test(previous_crc_is_checked),
        cmocka_unit_test(imitated_headers),
        cmocka_unit_test(other_shards_and_lives),
        cmocka_unit_test(reads_what_was_used),
        cmocka_unit_test(fences_void_entries),
        cmocka_unit_test(log_in_two_shards_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
