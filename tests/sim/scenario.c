// The story of one seed: lives that end in every way, then faults stop, and everything must still be there.
//
//   lives 1..n    boot (sometimes cut short) - verify, sometimes - traffic - clean stop, kill -9 or power cut
//   then calm     boot, verify, traffic, drain, verify; kill, boot, verify: the same; boot again: the same;
//                 clean stop: the files alone hold everything; boot from clean, verify: the same
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/bytes.h"
#include "engine/log/batch.h"
#include "tests/sim/laid.h"
#include "tests/sim/story.h"
#include "tests/sim/stray.h"
#include "tests/sim/traffic.h"

// ---- chance ----------------------------------------------------------------------------------------------------------
uint64_t run_skewed(struct run *r, uint64_t lo, uint64_t hi)
{
    if (hi <= lo)
        return lo;
    uint64_t span = hi - lo;
    unsigned bits = 64 - (unsigned)__builtin_clzll(span);
    uint64_t mask = (1ull << (1 + run_below(r, bits))) - 1;
    return lo + SL_MIN(sl_rand_u64(r->rng) & mask, span);
}

void run_say(struct run *r, const char *fmt, ...)
{
    if (!r->verbose)
        return;
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%12.6f ", (double)sim_now_ns(r->w) / 1e9);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

static void show_file(void *arg, const char *path, uint64_t size)
{
    struct run *r = arg;
    fprintf(stderr, "  file %" PRId64 ": %s, %" PRIu64 " bytes\n", sim_disk_id(r->host, path), path, size);
}

void run_fail(struct run *r, const char *fmt, ...)
{
    va_list ap;
    if (r->trace)
        sim_disk_walk(r->host, "/", show_file, r);
    fprintf(stderr, "last events:\n");
    sim_trace_dump(r->w, r->trace ? 0 : 24);
    fprintf(stderr, "FAILED seed=%" PRIu64 " life=%u: ", r->seed, r->life_no);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(1);
}

static uint32_t one_of(struct run *r, const uint32_t *v, uint32_t n)
{
    return v[run_below(r, n)];
}
#define ONE_OF(r, ...)                                                                                       \
    one_of(r, (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

// Caches so small that readers wait for memory, and evict each other.
static void cache_knobs(struct run *r)
{
    struct knobs *k = &r->k;
    struct sl_rand g;
    sl_rand_seed(&g, r->seed * 31 + 7); // apart: the rest of the story stays as it is
    k->cache_bytes = sl_rand_chance(&g, 1, 3) ? 0 : 65536u << sl_rand_below(&g, 3);
    k->cache_extent = 4096u << sl_rand_below(&g, 4);
    k->read_ahead = sl_rand_chance(&g, 1, 4) ? 0 : 8192u << sl_rand_below(&g, 6);
    k->cold_reads = 1u << sl_rand_below(&g, 4);
}

// Topics with keys, whose logs are compacted and converted.
static void keyed_knobs(struct run *r)
{
    struct knobs *k = &r->k;
    struct sl_rand g;
    sl_rand_seed(&g, r->seed * 41 + 3); // apart
    k->keyed = (r->seed % 3 == 2 || r->with & WITHOUT_KEYED) && !r->groups && !(r->without & WITHOUT_KEYED);
    if (!k->keyed)
        return;
    k->cleaner_ms = 1 + (uint32_t)sl_rand_below(&g, sl_rand_chance(&g, 1, 2) ? 5 : 50);
    k->map_bytes = sl_rand_chance(&g, 1, 3) ? 24u * 16 : 1u << 16;
    if (sl_rand_chance(&g, 1, r->broker ? 1 : 3) && !(r->without & WITHOUT_FRONT)) {
        k->front = true;
        static const uint32_t bytes[] = {0, 1, 9000, 30000};
        k->retention_bytes = bytes[sl_rand_below(&g, 4)];
        k->retention_ms = 20;
    }
    if (sl_rand_chance(&g, 2, 3)) // many closed segments
        k->segment_bytes = 8192;
    k->max_batch = SL_MIN(k->max_batch, k->segment_bytes / 2);
}

// Every life is cut with direct writes in flight, among the first of a log's life: what the block before them holds is in no
// journal yet.
static void torn_knobs(struct run *r)
{
    struct knobs *k = &r->k;
    k->torn = true;
    k->direct = 1;
    k->imitate = k->faults = k->tight_disk = k->front = k->keyed = k->caching = false;
    k->segment_bytes = 65536;
    k->max_batch = 12000;
    k->partitions = 8;
    k->topics = 2;
    k->producers = 4;
    k->lives = 14;
    k->dirty_bytes = 4096;
    k->writeback_ms = 1;
    k->slots = 4;
    k->max_group = 4096;
    k->large_group = 1024;
    k->pause_us = 1000;
}

static void knobs_make(struct run *r)
{
    struct knobs *k = &r->k;
    k->segment_bytes = ONE_OF(r, 8192, 16384, 16384, 65536);
    k->max_batch = SL_MIN(ONE_OF(r, 600, 3000, 6000, 12000), k->segment_bytes);
    k->direct = !(r->without & WITHOUT_DIRECT) && r->seed % 4;
    k->bulk = r->seed / 2 % 2; // these draw nothing
    k->late_names = r->seed % 7 < 2;
    k->late_seals = r->seed % 7 == 1 || r->seed % 7 == 2;
    k->trash_step = 4096u << r->seed % 3;
    k->files_max = r->seed % 5 < 2 ? 1 + (uint32_t)(r->seed % 5) : 0;
    k->journal_bytes = 65536;
    k->journal_first = ONE_OF(r, 65536, 65536, 40960);
    k->journal_files = ONE_OF(r, 3, 3, 4);
    k->slots = ONE_OF(r, 1, 1, 2, 4);
    k->max_group = ONE_OF(r, 4096, 8192, 16384);
    k->late_us = ONE_OF(r, 100, 2000);
    k->large_group = ONE_OF(r, 1024, 8192, 262144);
    k->tail_pool = 2 << 20;
    k->read_pool = 2 << 20;
    k->dirty_bytes = ONE_OF(r, 4096, 16384, 65536, 1 << 20);
    k->writeback_ms = ONE_OF(r, 1, 20, 100, 1000);
    k->fetch_window = ONE_OF(r, 4096, 65536, 1 << 20);
    cache_knobs(r);
    k->topics = 1 + run_below(r, 3);
    k->partitions = ONE_OF(r, 1, 2, 4, 8);
    k->producers = 1 + run_below(r, 5);
    k->consumers = run_below(r, 4);
    k->pause_us = ONE_OF(r, 100, 1000, 1000, 20000);
    k->lives = 2 + run_below(r, 8);
    k->faults = run_chance(r, 1, 2);
    k->tight_disk = run_chance(r, 1, 8);
    k->imitate = run_chance(r, 1, 2);
    k->follow_cut = run_chance(r, 1, 2);
    k->caching = run_chance(r, 1, 4);
    k->front = r->seed % 3 == 1 && !r->broker && !(r->without & WITHOUT_FRONT);
    if (k->front) {
        k->retention_bytes = ONE_OF(r, 0, 1, 20000, 60000);
        k->retention_ms = ONE_OF(r, 2, 20, 200);
    }
    keyed_knobs(r);
    k->deletes = !(r->without & WITHOUT_DELETES);
    k->faults |= (r->with & WITHOUT_FAULTS) != 0;
    k->tight_disk |= (r->with & WITHOUT_TIGHT_DISK) != 0;
    k->imitate |= (r->with & WITHOUT_IMITATION) != 0;
    k->caching |= (r->with & WITHOUT_CACHING) != 0;
    k->caching &= !(r->without & WITHOUT_CACHING);
    k->faults &= !(r->without & WITHOUT_FAULTS);
    k->tight_disk &= !(r->without & WITHOUT_TIGHT_DISK);
    k->imitate &= !(r->without & WITHOUT_IMITATION);
    if (r->groups) { // members are what this is about; a full disk has findings of its own
        k->producers = k->topics = 1;
        k->consumers = SL_MIN(k->consumers, 1u);
        k->lives = SL_MIN(k->lives, 5u);
        k->tight_disk = false;
    }
    if (r->with & WITHOUT_DIRECT)
        torn_knobs(r);
    if (k->direct && k->max_batch >= 6000 && !k->imitate) // two blocks and more; imitation takes its time
        k->max_batch = SL_MIN(2 * k->max_batch, k->segment_bytes);
}

static void world_config(struct sim_config *c, uint64_t seed, bool slow)
{
    struct sl_rand g;
    sl_rand_seed(&g, seed * 77 + 5);
    sim_config_default(c, seed);
    c->poll_batch = sl_rand_chance(&g, 1, 2) ? 0 : 1 + (uint32_t)sl_rand_below(&g, 3);
    if (sl_rand_chance(&g, 1, 3) || slow) { // a slow disk: much is in flight
        c->disk_write = (struct sim_latency){200000, 4000000, 60000000, 20000};
        c->disk_sync = (struct sim_latency){500000, 8000000, 100000000, 20000};
    } else if (sl_rand_chance(&g, 1, 3)) { // a very fast one
        c->disk_write = (struct sim_latency){1000, 10000, 0, 0};
        c->disk_sync = (struct sim_latency){2000, 20000, 0, 0};
        c->disk_read = (struct sim_latency){1000, 10000, 0, 0};
    }
    c->turn_max_ns = sl_rand_chance(&g, 1, 2) ? 5000 : 100000;
    c->late_ns = sl_rand_chance(&g, 1, 2) ? 80 * MS : SEC;
    c->trace_records = 4096;
    c->recv_buffers = 16;
    c->recv_size = 1024;
    c->sock_buffer = 16384;
}

void story_faults_on(struct run *r)
{
    struct sim_faults *f = sim_world_faults(r->w);
    r->calm = false;
    if (r->k.faults) {
        f->short_read = run_chance(r, 1, 2) ? 50000 : 0;
        f->short_write = run_chance(r, 1, 2) ? 50000 : 0;
        f->stall = run_chance(r, 1, 2) ? 2000 : 0;
        f->enospc = run_chance(r, 1, 4) ? 2000 : 0;
        f->eio_write = run_chance(r, 1, 16) ? 500 : 0;
        f->eio_sync = run_chance(r, 1, 16) ? 500 : 0;
    }
    if (r->k.tight_disk)
        sim_disk_set_capacity(r->host,
                              run_chance(r, 1, 2) ? sim_disk_used(r->host) + 4096u * run_below(r, 256) : 0);
    model_wall(r->model, false);
    if (run_chance(r, 1, 4))
        sim_wall_jump(r->w, (int64_t)run_skewed(r, 0, 3600000) - 600000);
    model_wall(r->model, true);
}

void story_faults_off(struct run *r)
{
    struct sim_faults *f = sim_world_faults(r->w);
    f->short_read = f->short_write = f->stall = f->enospc = f->eio_write = f->eio_sync = 0;
    sim_disk_set_capacity(r->host, 0);
    sim_run(r->w, 100 * MS, NULL, NULL); // answers of a life with faults are still under way
    r->calm = true;
}

bool story_may_heal(struct run *r)
{
    const struct sim_faults *f = sim_world_faults(r->w);
    return (r->k.tight_disk || f->enospc) && !f->eio_write && !f->eio_sync && run_chance(r, 1, 2);
}

// ---- the parts of a life --------------------------------------------------------------------------------------------------
static void wait_or_fail(struct run *r, struct life *l, bool (*done)(void *), void *arg, const char *what)
{
    if (sim_run(r->w, 120 * SEC, done, arg))
        return;
    char text[200];
    traffic_describe(l->t, text, sizeof(text));
    run_fail(r, "%s does not end: %s", what, text);
}

// True: it serves. False: it ended while it started.
static bool boot_life(struct run *r, struct life *l)
{
    wait_or_fail(r, l, life_booted, l, "the start");
    if (!l->broken)
        return true;
    if (r->calm || !(r->k.faults || r->k.tight_disk))
        run_fail(r, "the start failed: %s", l->err);
    run_say(r, "  start failed by faults: %s", l->err);
    life_kill(l);
    return false;
}

// True: the life ended in the middle of its clean stop.
static bool cut_short(struct run *r, struct life *l, bool (*done)(void *), uint64_t within)
{
    if (r->calm || !run_chance(r, 1, 2) ||
        sim_run(r->w, run_chance(r, 1, 2) ? run_skewed(r, 1000, within) : 1 + run_below(r, (uint32_t)within),
                done, l))
        return false;
    if (run_chance(r, 1, 2) || (r->without & WITHOUT_CUTS))
        life_kill(l);
    else
        life_power_cut(l);
    return true;
}

static void stop_life(struct run *r, struct life *l)
{
    traffic_stop(l->t);
    wait_or_fail(r, l, traffic_idle, l->t, "draining the clients");
    life_stop(l);
    if (cut_short(r, l, life_stopped, 60 * MS))
        return;
    wait_or_fail(r, l, life_stopped, l, "the stop");
    life_finish(l);
    if (cut_short(r, l, life_finished, 4 * MS))
        return;
    wait_or_fail(r, l, life_finished, l, "the end of the stop");
    if (l->rc && r->calm)
        run_fail(r, "%s", l->err);
    if (l->rc) { // faults prevented it: it ends as it is
        life_kill(l);
        return;
    }
    r->sum->clean_stops++;
    life_free(l);
}

struct acks_wait {
    struct life *l;
    uint64_t want;
};

static bool acks_came(void *arg)
{
    struct acks_wait *w = arg;
    return traffic_acks(w->l->t) >= w->want;
}

static void end_life(struct run *r, struct life *l)
{
    uint32_t how = run_below(r, 8);
    if (r->k.torn && l->serving)
        life_power_cut(l);
    else if (how < 3 && !(r->without & WITHOUT_KILLS))
        life_kill(l);
    else if ((how < 6 || !l->serving) && !(r->without & WITHOUT_CUTS))
        life_power_cut(l);
    else if (!l->serving)
        life_kill(l);
    else
        stop_life(r, l);
}

static bool nothing_held(void *arg)
{
    return traffic_appends(arg) == 0;
}

// The disk gets space again while the broker runs (S8): what was held is answered within a bound, and from then on
// everything is served as if nothing had been.
static void heal(struct run *r, struct life *l)
{
    run_say(r, "  the disk has space again");
    traffic_hush(l->t, true);
    if (!sim_run(r->w, STORY_HELD, nothing_held, l->t))
        run_fail(r, "%u appends are without an answer after %llu s", traffic_appends(l->t),
                 (unsigned long long)(STORY_HELD / SEC));
    story_faults_off(r);
    sim_run(r->w, STORY_HEALED, NULL, NULL);
    traffic_hush(l->t, false);
    struct acks_wait w = {l, traffic_acks(l->t) + 1};
    if (!sim_run(r->w, STORY_HELD, acks_came, &w) && traffic_writes(l->t))
        run_fail(r, "nothing is acknowledged though the disk has space again");
    sim_run(r->w, run_skewed(r, 1000, SEC), NULL, NULL);
    r->sum->heals++;
}

static void one_life(struct run *r)
{
    stray_plant(r);
    story_faults_on(r);
    struct life *l = life_start(r);
    if (run_chance(r, 1, 4) && !sim_run(r->w, run_skewed(r, 1000, 40 * MS), life_booted, l)) {
        end_life(r, l);
        return;
    }
    if (!boot_life(r, l))
        return;
    traffic_start(l->t, run_chance(r, 1, 2), false);
    if (run_chance(r, r->k.torn ? 3 : 1, 6)) { // right behind the start
        sim_run(r->w, run_skewed(r, 1, r->k.torn ? 20 * MS : MS), NULL, NULL);
    } else if (r->k.follow_cut) { // the end comes right behind an answer
        struct acks_wait w = {l, run_skewed(r, 1, 400)};
        sim_run(r->w, SEC, acks_came, &w);
        if (run_chance(r, 1, 2))
            sim_run(r->w, run_skewed(r, 1, MS), NULL, NULL);
    } else {
        sim_run(r->w, run_skewed(r, 1000, SEC), NULL, NULL);
    }
    if (story_may_heal(r))
        heal(r, l);
    end_life(r, l);
    if (run_chance(r, 1, 4))
        sim_advance(r->w, run_skewed(r, 1, SEC));
}

// A life without traffic: what is there?
static struct life *look(struct run *r, uint64_t *content)
{
    struct life *l = life_start(r);
    boot_life(r, l);
    traffic_start(l->t, true, true);
    wait_or_fail(r, l, traffic_idle, l->t, "verification");
    *content = traffic_content(l->t);
    return l;
}

static void same(struct run *r, uint64_t a, uint64_t b, const char *what)
{
    if (a != b)
        run_fail(r, "the logs are not the same %s", what);
}

// ---- the files after a clean stop, without any code of the broker ------------------------------------------------------------
struct file_walk {
    struct run *r;
    bool begun;
    struct verify v;
};

static void check_segment(void *arg, const char *path, uint64_t size)
{
    struct file_walk *fw = arg;
    size_t n = strlen(path);
    if (n > 8 && (!strcmp(path + n - 8, ".deleted") || !strcmp(path + n - 8, ".cleaned") ||
                  !strcmp(path + n - 5, ".swap")))
        run_fail(fw->r, "%s is there after a clean stop", path);
    if (n < 4 || strcmp(path + n - 4, ".log"))
        return;
    uint8_t *b = malloc(size + 1);
    SL_ASSERT(b);
    if (sim_disk_read(fw->r->host, path, 0, b, size) != (int64_t)size)
        run_fail(fw->r, "%s cannot be read after a clean stop", path);
    int64_t base = strtoll(strrchr(path, '/') + 1, NULL, 10);
    if (!fw->begun && base <= fw->v.p->start_seen)
        fw->v.next = base; // the log starts somewhere in the first one
    fw->begun = true;
    if (size && (fw->v.p->topic->policy.compacted ? base < fw->v.next : base != fw->v.next))
        run_fail(fw->r, "%s: offset %" PRId64 " was expected in its name", path, fw->v.next);
    model_verify_bytes(fw->r->model, &fw->v, model_now(fw->r->model), b, size);
    free(b);
}

void story_check_files(struct run *r)
{
    char path[256];
    for (uint32_t i = 0; i < r->dirs; i++) {
        snprintf(path, sizeof(path), "%s/sluice.journal.d", run_dirs[i]);
        if (sim_disk_size(r->host, path) != -ENOENT)
            run_fail(r, "the journal directory %s is there after a clean stop", path);
        snprintf(path, sizeof(path), "%s/.kafka_cleanshutdown", run_dirs[i]);
        if (sim_disk_size(r->host, path) < 0)
            run_fail(r, "there is no %s after a clean stop", path);
    }
    for (struct mtopic *t = r->model->topics; t; t = t->next) {
        for (uint32_t k = 0; t->state == TOPIC_SERVING && k < t->parts_n; k++) {
            struct file_walk fw = {.r = r};
            model_verify_begin(r->model, &fw.v, &t->parts[k], t->parts[k].start_seen);
            for (uint32_t i = 0; i < r->dirs; i++) {
                snprintf(path, sizeof(path), "%s/%s-%u", run_dirs[i], t->name, k);
                sim_disk_walk(r->host, path, check_segment, &fw);
            }
            model_verify_end(r->model, &fw.v, t->parts[k].hw_seen);
        }
    }
}

// ---- rot ------------------------------------------------------------------------------------------------------------------------
struct rot {
    struct run *r;
    uint32_t seen;
    char path[160];
    uint64_t at; // of a byte that is not zero
    bool index;  // in an index of a segment, not in the journals
};

// One byte that is not zero, out of all blocks of the journal directory that have one.
static void find_rot(void *arg, const char *path, uint64_t size)
{
    struct rot *x = arg;
    uint8_t b[4096];
    if (x->index && !strstr(path, ".index"))
        return;
    for (uint64_t at = 0; at < size; at += sizeof(b)) {
        int64_t n = sim_disk_read(x->r->host, path, at, b, sizeof(b));
        uint32_t used = 0;
        for (int64_t k = 0; k < n; k++)
            if (b[k] && run_below(x->r, ++used) == 0 && run_below(x->r, x->seen + 1) == 0) {
                snprintf(x->path, sizeof(x->path), "%s", path);
                x->at = at + (uint64_t)k;
            }
        x->seen += used > 0;
    }
}

// Every entry of an index gets the position of the one behind it: they rise, and each leads to a batch, but to a later one.
static void mislead(struct run *r, const struct rot *x)
{
    uint8_t b[4096];
    int64_t n = sim_disk_read(r->host, x->path, 0, b, sizeof(b));
    for (int64_t k = 0; k + 16 <= n && be32_load(b + k + 12); k += 8)
        memcpy(b + k + 4, b + k + 12, 4);
    if (n > 0)
        (void)sim_disk_poke(r->host, x->path, 0, b, (uint64_t)n);
    run_say(r, "  the entries of %s lead to later batches", x->path);
}

// The byte gets another bit; or its block was never written; or what was meant for another block is there.
static void spoil(struct run *r, const struct rot *x)
{
    static const char *const what[] = {"a bit rots", "a write was lost", "a write went astray"};
    uint8_t b[4096] = {0};
    uint32_t how = run_below(r, x->index ? 5 : 3);
    if (how >= 3) {
        mislead(r, x);
        return;
    }
    uint64_t block = x->at / sizeof(b) * sizeof(b);
    int64_t size = sim_disk_size(r->host, x->path);
    uint64_t len = SL_MIN((uint64_t)sizeof(b), (uint64_t)size - block);
    if (how == 0) {
        if (sim_disk_read(r->host, x->path, x->at, b, 1) != 1)
            return;
        b[0] ^= (uint8_t)(1u << run_below(r, 8));
        (void)sim_disk_poke(r->host, x->path, x->at, b, 1);
    } else {
        uint64_t other = (uint64_t)run_below(r, (uint32_t)((uint64_t)size / sizeof(b) + 1)) * sizeof(b);
        if (how == 2 && sim_disk_read(r->host, x->path, other, b, sizeof(b)) < 0)
            return;
        (void)sim_disk_poke(r->host, x->path, block, b, len);
    }
    run_say(r, "  %s in %s at %llu", what[how], x->path, (unsigned long long)x->at);
}

// A bit of what the last life left in its journals, checkpoints or in the file that names it is another one. Either nothing
// was in it that matters, or the start is refused; never is anything else served. Indexes are hints: one that rots changes
// nothing (S10).
static void rot(struct run *r, uint64_t content)
{
    struct sim_host *sound = r->host;
    struct rot x = {.r = r, .index = run_chance(r, 1, 3)};
    uint64_t now;
    while (sim_disk_busy(r->host) && sim_step(r->w))
        ;
    r->host = sim_host_clone(sound);
    sim_disk_walk(r->host, x.index ? LIFE_DIR : LIFE_DIR "/sluice.journal.d", find_rot, &x);
    if (x.seen)
        spoil(r, &x);
    struct life *l = life_start(r);
    wait_or_fail(r, l, life_booted, l, "the start");
    if (l->broken) {
        run_say(r, "  refused: %s", l->err);
        r->sum->refused++;
        if (x.index || (l->rc != -EUCLEAN && l->rc != -EPROTONOSUPPORT))
            run_fail(r, "after a drive's fault in %s the start fails with %d: %s", x.path, l->rc, l->err);
    } else {
        traffic_start(l->t, true, true);
        wait_or_fail(r, l, traffic_idle, l->t, "verification");
        now = traffic_content(l->t);
        if (now != content)
            run_fail(r, "the logs are not the same after a drive's fault in %s", x.path);
    }
    life_kill(l);
    r->host = sound; // the copy stays with the world
}

static void calm_end(struct run *r)
{
    uint64_t first, again, third, clean;
    run_say(r, "calm");
    story_faults_off(r);
    struct life *l = life_start(r);
    boot_life(r, l);
    traffic_start(l->t, true, false);
    sim_run(r->w, run_skewed(r, MS, SEC), NULL, NULL);
    wait_or_fail(r, l, traffic_open, l->t, "opening");
    traffic_stop(l->t);
    wait_or_fail(r, l, traffic_idle, l->t, "draining the clients");
    sim_run(r->w, SEC, NULL, NULL); // what was sent with acks=0 becomes durable
    traffic_verify(l->t);
    wait_or_fail(r, l, traffic_verified, l->t, "verification");
    first = traffic_content(l->t);
    if (run_chance(r, 1, 2) || (r->without & WITHOUT_CUTS))
        life_kill(l);
    else
        life_power_cut(l);
    if (run_chance(r, 1, 2))
        rot(r, first);
    l = look(r, &again);
    same(r, first, again, "after a recovery");
    life_kill(l);
    l = look(r, &third);
    same(r, again, third, "after a second recovery");
    stop_life(r, l);
    story_check_files(r);
    l = look(r, &clean);
    same(r, third, clean, "after a clean stop");
    stop_life(r, l);
    story_check_files(r);
}

static void failed(void *arg, const char *what)
{
    run_fail(arg, "%s", what);
}

const char *const run_dirs[3] = {LIFE_DIR, "/data2", "/data3"};

// The first directory, which has the metadata log unless that is apart, is on the root's drive: it does not break alone.
static void dirs_make(struct run *r)
{
    r->dirs = r->several ? 2 + run_below(r, 2) : 1;
    r->meta_apart = r->several && run_chance(r, 1, 4);
    for (uint32_t i = r->meta_apart ? 0 : 1; i < r->dirs; i++)
        r->drives[i] = sim_disk_mount(r->host, run_dirs[i]);
}

void scenario_run(struct run *r)
{
    struct sim_config c;
    world_config(&c, r->seed, (r->with & WITHOUT_DIRECT) != 0);
    c.verbose = r->trace;
    c.on_fail = failed;
    c.on_fail_arg = r;
    r->w = sim_world_create(&c);
    SL_ASSERT(r->w);
    r->rng = sim_rand(r->w);
    r->host = sim_host_create(r->w);
    r->model = model_create(r);
    knobs_make(r);
    dirs_make(r);
    run_say(
        r,
        "segments %u, batches to %u%s, journal %u x %u, slots %u, groups %u, %u producers, %u readers%s%s%s",
        r->k.segment_bytes, r->k.max_batch, r->k.direct ? ", some direct" : "", r->k.journal_files,
        r->k.journal_bytes, r->k.slots, r->k.max_group, r->k.producers, r->k.consumers,
        r->k.faults ? ", faults" : "", r->k.tight_disk ? ", tight disk" : "",
        r->k.imitate ? ", imitation" : "");
    if (r->broker) {
        story_broker(r);
    } else {
        for (uint32_t k = 0; k < r->k.lives; k++) {
            one_life(r);
            stray_keep(r);
        }
        calm_end(r);
        laid_check(r);
    }
    const struct sim_stats *s = sim_world_stats(r->w);
    r->sum->faults += s->faults;
    r->sum->unstable_writes += s->unstable_writes;
    r->sum->events += s->events;
    r->sum->late_writes += s->late_writes;
    r->sum->garbage_sectors += s->garbage_sectors;
    r->sum->lost_sectors += s->lost_sectors;
    r->sum->virtual_ns += sim_now_ns(r->w);
    r->sum->hash = sim_trace_hash(r->w);
}
