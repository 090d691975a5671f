// See broker_life.h.
#include "tests/sim/broker_life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/model.h"
#include "tests/sim/people.h"

static void set(struct config *c, const char *key, const char *fmt, long long v)
{
    char text[128], err[512];
    snprintf(text, sizeof(text), fmt, v);
    if (config_set(c, key, text, CFG_FROM_FILE, err, sizeof(err)))
        sl_panic("sim: %s", err);
}

// In every other seed the metadata log is cut behind snapshots all the time. Draws from a generator of its own.
static void config_metadata(struct run *r, struct config *c)
{
    struct sl_rand g;
    sl_rand_seed(&g, r->seed * 53 + r->life_no); // another one for each life
    if (r->seed % 2)
        return;
    set(c, "internal.metadata.log.segment.bytes", "%lld", 4096 << sl_rand_below(&g, 3));
    set(c, "metadata.log.segment.ms", "%lld", sl_rand_chance(&g, 1, 2) ? 100 : 604800000);
    set(c, "metadata.log.max.record.bytes.between.snapshots", "%lld", 1 << sl_rand_below(&g, 13));
    set(c, "metadata.log.max.snapshot.interval.ms", "%lld", sl_rand_chance(&g, 1, 2) ? 200 : 0);
    set(c, "metadata.max.retention.bytes", "%lld",
        sl_rand_chance(&g, 1, 3) ? -1 : 1 << sl_rand_below(&g, 16));
    set(c, "metadata.max.retention.ms", "%lld", sl_rand_chance(&g, 1, 2) ? -1 : 300);
    set(c, "internal.metadata.delete.delay.millis", "%lld", sl_rand_below(&g, 100));
}

// Nothing changes any more once it is calm.
static void config_keyed(struct run *r, struct config *c)
{
    set(c, "log.cleaner.enable", r->calm ? "false" : "true", 0);
    set(c, "log.cleaner.backoff.ms", "%lld", r->k.cleaner_ms);
    set(c, "log.cleaner.dedupe.buffer.size", "%lld", r->k.map_bytes);
    set(c, "log.segment.delete.delay.ms", "%lld", r->k.retention_ms / 2);
    if (!r->calm && r->k.retention_ms)
        set(c, "log.retention.check.interval.ms", "%lld", r->k.retention_ms);
}

static void set_dirs(struct config *c, const struct run *r)
{
    char list[100] = "";
    for (uint32_t i = 0; i < r->dirs; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? "," : "", run_dirs[i]);
    set(c, "log.dirs", list, 0);
    if (r->meta_apart)
        set(c, "metadata.log.dir", "/meta", 0);
}

static struct config *config_make(struct run *r)
{
    const struct knobs *k = &r->k;
    struct config *c = config_new();
    char err[512];
    set(c, "node.id", "1", 0);
    set_dirs(c, r);
    set(c, "listeners", "PLAINTEXT://127.0.0.1:%lld", BROKER_PORT);
    set(c, "auto.create.topics.enable", "false", 0);
    set(c, "message.max.bytes", "%lld", SL_MAX(k->max_batch, 4096u));
    set(c, "sluice.pool.bytes", "%lld", 16 << 20);
    set(c, "sluice.journal.file.bytes", "%lld", 256 << 10);
    set(c, "sluice.journal.files", "%lld", k->journal_files);
    set(c, "sluice.journal.slots", "%lld", k->slots);
    set(c, "sluice.commit.max.bytes", "%lld", 65536);
    set(c, "sluice.writeback.dirty.bytes", "%lld", SL_MAX(k->dirty_bytes, 65536u));
    set(c, "sluice.writeback.age.ms", "%lld", k->writeback_ms);
    set(c, "sluice.zero.copy.min.bytes", "%lld", run_chance(r, 1, 2) ? 0 : 1000);
    set(c, "sluice.placement", run_chance(r, 1, 2) ? "fused" : "split", 0);
    config_metadata(r, c);
    if (k->keyed)
        config_keyed(r, c);
    if (r->groups) {
        set(c, "group.min.session.timeout.ms", "100", 0);
        set(c, "group.initial.rebalance.delay.ms", "%lld", (long long)run_below(r, 200));
        set(c, "offsets.topic.num.partitions", "3", 0);
        set(c, "group.consumer.heartbeat.interval.ms", "50", 0);
        set(c, "group.consumer.min.heartbeat.interval.ms", "50", 0);
        set(c, "group.consumer.min.session.timeout.ms", "100", 0);
        set(c, "group.consumer.session.timeout.ms", "300", 0);
        set(c, "group.consumer.assignment.interval.ms", "%lld", run_chance(r, 1, 2) ? 0 : 60);
    }
    if (config_finish(c, err, sizeof(err)))
        sl_panic("sim: %s", err);
    return c;
}

struct blife *blife_start(struct run *r)
{
    struct blife *l = calloc(1, sizeof(*l));
    SL_ASSERT(l);
    l->r = r;
    l->no = ++r->life_no;
    l->n = 1 + run_below(r, SL_ARRAY_LEN(l->ios));
    l->cfg = config_make(r);
    l->p = sim_process_create(r->w, r->host);
    for (uint32_t k = 0; k < l->n; k++)
        l->ios[k] = sim_io_create(l->p);
    l->metrics = metrics_create(l->n);
    l->b = broker_create(l->cfg, l->n, l->ios, l->metrics);
    SL_ASSERT(l->b && l->metrics);
    run_say(r, "life %u: %u reactors, %s", l->no, l->n, cfg_str(l->cfg, CFG_SLUICE_PLACEMENT));
    sim_trace(r->w, "life", l->no, l->n, 0);
    r->sum->lives++;
    sim_attach(l->p, broker_group(l->b));
    SL_ASSERT(broker_boot(l->b) == 0);
    return l;
}

int blife_error(struct blife *l, const char **text)
{
    return broker_error(l->b, text);
}

bool blife_serving(struct blife *l)
{
    if (!broker_serving(l->b))
        return false;
    if (!l->boot_said)
        l->extended = sim_world_stats(l->r->w)->extending_writes;
    l->boot_said = true;
    return true;
}

bool blife_up(void *blife)
{
    struct blife *l = blife;
    return blife_serving(l) || blife_error(l, NULL);
}

static void check_extending(struct blife *l)
{
    uint64_t n = sim_world_stats(l->r->w)->extending_writes - l->extended;
    if (l->boot_said && n)
        run_fail(l->r, "%llu direct writes extended their file", (unsigned long long)n);
}

static void ended(struct blife *l)
{
    check_extending(l);
    l->r->sum->boots_broken += !l->boot_said;
    l->over = true;
    sim_detach(l->p);
    model_crashed(l->r->model);
}

void blife_kill(struct blife *l)
{
    run_say(l->r, "  killed%s", l->boot_said ? "" : " while it started");
    l->r->sum->kills++;
    sim_process_kill(l->p);
    ended(l);
}

void blife_power_cut(struct blife *l)
{
    run_say(l->r, "  power cut%s", l->boot_said ? "" : " while it started");
    l->r->sum->power_cuts++;
    sim_power_cut(l->r->host);
    ended(l);
}

void blife_stop(struct blife *l)
{
    run_say(l->r, "  stops");
    reactor_group_stop(broker_group(l->b));
}

bool blife_stopped(void *blife)
{
    return reactor_group_stopped(broker_group(((struct blife *)blife)->b));
}

void blife_finish(struct blife *l)
{
    SL_ASSERT(broker_finish(l->b) == 0);
}

bool blife_finished(void *blife)
{
    return *broker_finished(((struct blife *)blife)->b);
}

void blife_free(struct blife *l)
{
    check_extending(l);
    sim_detach(l->p);
    broker_destroy(l->b);
    for (uint32_t k = 0; k < l->n; k++)
        io_destroy(l->ios[k]);
    sim_process_free(l->p);
    metrics_destroy(l->metrics);
    config_free(l->cfg);
    free(l);
}
