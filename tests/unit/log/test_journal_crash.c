// Lives that end anywhere: random appends and truncations over random shard counts, power cuts and kills at random
// moments (recovery and the switch of lives included), and a model of what was acknowledged.
//
// Per log the model keeps the operations in the order of the journal. What replay returns must be the state after some
// of them, no earlier than the last one whose durable callback ran, bit for bit. A checkpoint names a snapshot of the
// model, which stands for the log's segments.
//
// SLUICE_TEST_SEEDS=first-last runs other seeds.
#include "tests/unit/log/journal_test.h"

#include "engine/log/store.h"

#define DIR "/data"

enum { LOGS = 6, LIVES = 6, SHARDS = 3, OPS_MAX = 4096, STATE_MAX = 4096, SNAPSHOTS = 4096 };

// A log's content: the version of each offset, from 0.
struct state {
    uint32_t n;
    uint32_t version[STATE_MAX];
};
struct op {
    bool truncate;
    uint32_t offset, version;
};
struct model {
    struct state base; // when the life in force began
    struct op op[OPS_MAX];
    uint32_t ops, acked; // operations since; how many of them are durable for certain
    struct state now;    // after all of them
};
struct ack {
    uint64_t sequence;
    uint32_t log, ops;
};
struct run;
struct shard {
    struct run *run;
    uint32_t n;
    struct journal *j;
    struct ack ack[OPS_MAX * LOGS];
    uint32_t head, tail;
    uint64_t touched[LOGS];
    uint64_t full;
    bool checkpointing;
};
struct run {
    struct sim_world *w;
    struct sim_host *host;
    struct t_life life;
    struct service svc;
    struct sl_rand rng;
    struct store *store;
    struct model model[LOGS];
    struct shard *shard[SHARDS];
    uint32_t shards;
    struct state *snapshot[SNAPSHOTS];
    uint32_t snapshots;
    uint32_t next_version;
    struct journal_config cfg;
    bool crashed, ended; // the process died; a clean stop was begun
    uint32_t lives, recovered, refused, truncations, checkpoints, from_journal;
};

static void batch_of(struct jentry *e, uint8_t *out, uint32_t log, uint32_t offset, uint32_t version)
{
    uint64_t seed = (uint64_t)log << 48 ^ (uint64_t)offset << 24 ^ version;
    uint32_t bytes = 61 + (uint32_t)(sl_splitmix64(&seed) % (version % 16 == 0 ? 9000 : 1500));
    t_batch(e, out, bytes, log + 1, (int32_t)log, offset, seed);
    e->max_timestamp = version;
}

// ---- the model ----------------------------------------------------------------------------------------------------------
static void apply(struct state *s, const struct op *o)
{
    if (o->truncate) {
        s->n = SL_MIN(s->n, o->offset);
    } else {
        assert_int_equal(o->offset, s->n);
        assert_true(s->n < STATE_MAX);
        s->version[s->n++] = o->version;
    }
}

static bool same(const struct state *a, const struct state *b)
{
    return a->n == b->n && memcmp(a->version, b->version, a->n * sizeof(a->version[0])) == 0;
}

// What was recovered must be the state after k operations, k between the acknowledged and all.
static void check_state(struct run *r, uint32_t log, const struct state *got)
{
    struct model *m = &r->model[log];
    static struct state s;
    s = m->base;
    for (uint32_t k = 0;; k++) {
        if (k >= m->acked && same(&s, got))
            return;
        if (k == m->ops)
            break;
        apply(&s, &m->op[k]);
    }
    fail_msg("log %u: recovered %u offsets, which is no state between operations %u and %u", log, got->n,
             m->acked, m->ops);
}

static void do_op(struct run *r, struct shard *sh, uint32_t log, struct op o, uint64_t sequence)
{
    struct model *m = &r->model[log];
    assert_true(m->ops < OPS_MAX);
    m->op[m->ops++] = o;
    apply(&m->now, &o);
    sh->ack[sh->tail++] = (struct ack){.sequence = sequence, .log = log, .ops = m->ops};
}

static uint32_t snapshot(struct run *r, const struct state *s)
{
    assert_true(r->snapshots < SNAPSHOTS);
    r->snapshot[r->snapshots] = malloc(sizeof(*s));
    *r->snapshot[r->snapshots] = *s;
    return r->snapshots++;
}

// ---- recovery -----------------------------------------------------------------------------------------------------------
static void recover_entry(struct run *r, uint32_t log, struct state *s, const struct store_entry *e)
{
    static uint8_t want[16384];
    struct jentry we;
    if (e->e.type == JE_FENCE)
        apply(s, &(struct op){.truncate = true, .offset = (uint32_t)e->e.last_offset});
    if (e->e.type != JE_BATCH)
        return;
    uint32_t version = (uint32_t)e->e.max_timestamp, offset = (uint32_t)e->e.base_offset;
    batch_of(&we, want, log, offset, version);
    assert_int_equal(e->e.bytes, we.bytes);
    assert_memory_equal(e->payload, want, we.bytes);
    r->from_journal++;
    if (offset < s->n)
        assert_int_equal(s->version[offset], version);
    else
        apply(s, &(struct op){.offset = offset, .version = version});
}

static void recover_log(struct run *r, uint32_t log, struct state *s)
{
    struct sl_uuid id = t_uuid(log + 1);
    struct store_log *l = store_find_log(r->store, &id, (int32_t)log);
    s->n = 0;
    if (l && l->has_checkpoint) {
        assert_true(l->ckpt.max_timestamp < r->snapshots);
        *s = *r->snapshot[l->ckpt.max_timestamp];
        assert_int_equal(l->ckpt.end_offset, s->n);
    }
    for (uint32_t i = 0; l && i < l->entries_n; i++)
        recover_entry(r, log, s, &l->entries[i]);
}

static void recover(struct run *r, struct state *out)
{
    bool journals = store_kind(r->store) == STORE_OURS;
    for (uint32_t i = 0; i < LOGS; i++) {
        if (journals)
            recover_log(r, i, &out[i]);
        else
            out[i] = r->model[i].now; // closed cleanly: the segments hold it all
        if (!journals && r->lives > 1 && !r->ended && r->model[i].ops)
            fail_msg("a life with operations lost its journals (kind %d)", (int)store_kind(r->store));
        check_state(r, i, &out[i]);
    }
    r->recovered++;
}

// ---- a life -------------------------------------------------------------------------------------------------------------
static int image_of(struct run *r, uint32_t shard, uint32_t shards, const struct state *states,
                    uint64_t first, struct sbuf *out)
{
    struct sl_uuid life = r->cfg.life;
    sbuf_init(out);
    assert_int_equal(ckpt_begin(out, &life, shard, first), 0);
    for (uint32_t i = shard; i < LOGS; i += shards) {
        const struct state *s = states ? &states[i] : &r->model[i].now;
        struct ckpt_log l = {.topic_id = t_uuid(i + 1), .partition = (int32_t)i, .end_offset = s->n};
        l.max_timestamp = snapshot(r, s);
        assert_int_equal(ckpt_add(out, &l), 0);
    }
    return ckpt_finish(out);
}

static void on_durable(void *ctx, uint64_t sequence)
{
    struct shard *sh = ctx;
    for (; sh->head < sh->tail && sh->ack[sh->head].sequence <= sequence; sh->head++)
        sh->run->model[sh->ack[sh->head].log].acked = sh->ack[sh->head].ops;
}

static void checkpoint_fiber(void *arg)
{
    struct shard *sh = arg;
    struct run *r = sh->run;
    uint64_t generation;
    int rc = 0;
    do {
        struct sbuf image;
        char path[1200];
        generation = sh->full;
        assert_int_equal(image_of(r, sh->n, r->shards, NULL, generation + 1, &image), 0);
        rc = journal_drain(sh->j);
        if (sl_rand_chance(&r->rng, 1, 2)) // so that other files fill up, and wait
            fiber_sleep(sl_rand_below(&r->rng, 20000000));
        store_checkpoint_path(r->store, sh->n, path, sizeof(path));
        if (rc == 0)
            rc = fio_write_file(path, image.data, image.len);
        sbuf_free(&image);
        if (rc == 0)
            journal_recycle(sh->j, generation);
        r->checkpoints += rc == 0;
    } while (rc == 0 && sh->full > generation);
    assert_true(rc == 0 || r->crashed);
    sh->checkpointing = false;
}

static void on_full(void *ctx, uint64_t generation)
{
    struct shard *sh = ctx;
    sh->full = generation;
    if (!sh->checkpointing) {
        sh->checkpointing = true;
        assert_non_null(fiber_spawn(sh->run->life.r, checkpoint_fiber, sh, 0));
    }
}

static void on_room(void *ctx) {}

static void on_failed(void *ctx, int err)
{
    struct shard *sh = ctx;
    assert_true(sh->run->crashed);
}

static bool flush_all(struct service *svc)
{
    struct run *r = SL_CONTAINER_OF(svc, struct run, svc);
    bool did = false;
    for (uint32_t i = 0; i < r->shards; i++)
        did |= r->shard[i] && r->shard[i]->j && journal_flush(r->shard[i]->j);
    return did;
}

static int open_journals(struct run *r)
{
    int err = 0;
    for (uint32_t i = 0; i < r->shards && !err; i++) {
        struct shard *sh = r->shard[i] = calloc(1, sizeof(*sh));
        struct journal_owner owner = {sh, on_durable, on_full, on_room, on_failed};
        struct journal_config cfg = r->cfg;
        sh->run = r;
        sh->n = i;
        store_journal_config(r->store, i, &cfg);
        sh->j = journal_open(r->life.r, &cfg, &owner, &err);
    }
    return err;
}

static int begin(struct run *r, const struct state *states)
{
    struct store_shard_begin begin[SHARDS];
    struct sbuf image[SHARDS];
    struct store_life life;
    char err[512];
    uint32_t shards = (uint32_t)sl_rand_range(&r->rng, 1, SHARDS);
    r->cfg.life = (struct sl_uuid){{0}}; // the store fills it in
    for (uint32_t i = 0; i < shards; i++) {
        assert_int_equal(image_of(r, i, shards, states, 1, &image[i]), 0);
        begin[i] = (struct store_shard_begin){(uint8_t *)image[i].data, image[i].len};
    }
    int rc = store_begin_life(r->store, &r->cfg, shards, begin, &life, err, sizeof(err));
    for (uint32_t i = 0; i < shards; i++)
        sbuf_free(&image[i]);
    if (rc)
        return rc;
    r->shards = shards;
    r->cfg.life = life.life;
    // From here on the recovered state is what counts.
    for (uint32_t i = 0; i < LOGS; i++) {
        struct model *m = &r->model[i];
        m->base = m->now = states[i];
        m->ops = m->acked = 0;
    }
    r->ended = false;
    return 0;
}

static void append_one(struct run *r)
{
    static uint8_t buf[16384];
    uint32_t log = (uint32_t)sl_rand_below(&r->rng, LOGS);
    struct shard *sh = r->shard[log % r->shards];
    struct state *now = &r->model[log].now;
    if (sl_rand_chance(&r->rng, 1, 25) && now->n > 0) {
        uint32_t to = now->n - (uint32_t)sl_rand_below(&r->rng, SL_MIN(now->n, 8u));
        struct jentry f = t_fence(log + 1, (int32_t)log, 0, to);
        f.partition = (int32_t)log;
        do_op(r, sh, log, (struct op){.truncate = true, .offset = to}, journal_add(sh->j, &f, NULL, 0));
        r->truncations++;
        return;
    }
    struct jentry e;
    uint32_t version = r->next_version++;
    batch_of(&e, buf, log, now->n, version);
    if (now->n >= STATE_MAX || r->model[log].ops >= OPS_MAX - 1 || !journal_room(sh->j, e.bytes))
        return;
    if (sh->touched[log] != journal_open_generation(sh->j)) {
        struct jentry p = {
            .type = JE_PREFIX, .flags = JE_INLINE, .topic_id = e.topic_id, .partition = e.partition};
        p.bytes = 200;
        p.base_offset = p.last_offset = e.base_offset;
        journal_add(sh->j, &p, &(struct iovec){buf, 200}, 1);
        sh->touched[log] = journal_open_generation(sh->j);
    }
    struct op o = {.offset = now->n, .version = version};
    do_op(r, sh, log, o, journal_add(sh->j, &e, &(struct iovec){buf, e.bytes}, 1));
}

static void serve(struct run *r)
{
    uint32_t n = (uint32_t)sl_rand_below(&r->rng, 600);
    for (uint32_t i = 0; i < n && !r->crashed; i++) {
        append_one(r);
        if (sl_rand_chance(&r->rng, 1, 6))
            fiber_sleep(sl_rand_below(&r->rng, sl_rand_chance(&r->rng, 1, 20) ? 80000000 : 300000));
    }
}

static void stop(struct run *r, bool clean)
{
    int rc = 0;
    for (uint32_t i = 0; i < r->shards; i++) {
        struct shard *sh = r->shard[i];
        if (!sh || !sh->j)
            continue;
        if (clean && rc == 0)
            rc = journal_drain(sh->j);
        while (sh->checkpointing)
            fiber_sleep(100000);
        int rc2 = journal_close(sh->j);
        rc = rc ? rc : rc2;
    }
    if (rc == -ENOSPC)
        clean = false; // truncations still wait for a file: the next life finds the journals
    if (clean && rc == 0) {
        r->ended = true;
        rc = store_end_clean(r->store, 7);
    }
    if (rc && !r->crashed && clean)
        fail_msg("a clean stop failed: %s", strerror(-rc));
}

static void life_main(void *arg)
{
    struct run *r = arg;
    static struct state states[LOGS];
    char err[512] = "";
    int rc;
    r->lives++;
    r->store = store_open(r->life.r, DIR, 10000, err, sizeof(err), &rc);
    if (r->store && store_kind(r->store) == STORE_EMPTY)
        rc = store_write_identity(
            r->store, &(struct store_identity){.node_id = 1, .cluster_id = "c", .directory_id = t_uuid(77)});
    if (rc == 0)
        rc = store_read_journals(r->store, err, sizeof(err));
    if (rc == 0) {
        recover(r, states);
        rc = begin(r, states);
    }
    if (rc == 0)
        rc = open_journals(r);
    if (rc == 0)
        serve(r);
    if (rc && !r->crashed)
        fail_msg("life %u: %s (%s)", r->lives, strerror(-rc), err);
    stop(r, rc == 0 && !r->crashed && sl_rand_chance(&r->rng, 1, 4));
}

static void crash(void *arg)
{
    struct run *r = arg;
    if (r->crashed || sim_process_dead(r->life.p))
        return;
    r->crashed = true;
    if (sl_rand_chance(&r->rng, 1, 2))
        sim_power_cut(r->host);
    else
        sim_process_kill(r->life.p);
}

static void one_life(struct run *r)
{
    t_life_start(&r->life, r->w, r->host);
    r->life.svc.on_flush = NULL;
    r->svc = (struct service){.kind = SVC_NET, .name = "flush", .on_flush = flush_all};
    reactor_add_service(r->life.r, &r->svc);
    r->crashed = false;
    r->shards = 0;
    memset(r->shard, 0, sizeof(r->shard));
    // Early crashes hit recovery and the switch; late ones a serving life, or nothing at all.
    static const uint64_t within[] = {3000000, 30000000, 300000000, 3000000000};
    sim_at(r->w, sl_rand_below(&r->rng, within[sl_rand_below(&r->rng, 4)]), crash, r);
    t_life_run(&r->life, life_main, r);
    crash(r); // one that stopped by itself dies idle
    assert_true(sim_run(r->w, 60 * SECOND, t_no_fibers, &r->life));
    for (uint32_t i = 0; i < SHARDS; i++) {
        if (r->shard[i])
            journal_destroy(r->shard[i]->j);
        free(r->shard[i]);
    }
    store_close(r->store);
    r->store = NULL;
    t_life_end(&r->life);
}

static void run_seed(uint64_t seed, struct run *total)
{
    struct run *r = calloc(1, sizeof(*r));
    struct sim_config sc;
    sim_config_default(&sc, seed);
    sc.faults.short_write = 20000;
    sc.faults.short_read = 20000;
    r->w = sim_world_create(&sc);
    r->host = sim_host_create(r->w);
    sl_rand_seed(&r->rng, seed ^ 0xabcdef);
    r->next_version = 1;
    r->cfg =
        (struct journal_config){.file_bytes = 64 * 1024,
                                .first_file_bytes = sl_rand_chance(&r->rng, 1, 2) ? 64 * 1024 : 32 * 1024,
                                .files = (uint32_t)sl_rand_range(&r->rng, 3, 4),
                                .slots = (uint32_t)sl_rand_range(&r->rng, 1, 4),
                                .max_group = 16 * 1024,
                                .late_us = (uint32_t)sl_rand_below(&r->rng, 1000),
                                .large_group = (uint32_t)sl_rand_range(&r->rng, 0, 16 * 1024)};
    for (int i = 0; i < LIVES; i++)
        one_life(r);
    total->lives += r->lives;
    total->recovered += r->recovered;
    total->truncations += r->truncations;
    total->checkpoints += r->checkpoints;
    total->from_journal += r->from_journal;
    for (uint32_t i = 0; i < r->snapshots; i++)
        free(r->snapshot[i]);
    sim_world_destroy(r->w);
    free(r);
}

static void acknowledged_entries_survive(void **state)
{
    unsigned long long first = 1, last = 120;
    const char *seeds = getenv("SLUICE_TEST_SEEDS");
    if (seeds)
        assert_int_equal(sscanf(seeds, "%llu-%llu", &first, &last), 2);
    struct run total = {0};
    for (uint64_t seed = first; seed <= last; seed++) {
        if (seeds)
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        run_seed(seed, &total);
    }
    printf("lives=%u recovered=%u from_journal=%u truncations=%u checkpoints=%u\n", total.lives,
           total.recovered, total.from_journal, total.truncations, total.checkpoints);
    // The test is worth something only if all of this happened.
    if (!seeds)
        assert_true(total.from_journal > 1000 && total.truncations > 100 && total.checkpoints > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_entries_survive),
    };
    t_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
