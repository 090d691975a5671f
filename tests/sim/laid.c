// See laid.h. A log of three batches, all of them in the segment file and below the checkpoint's end; the journal has the
// middle one only. After recovery the file holds all three as it did, and the log ends where it did.
#include "tests/sim/laid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/log/batch.h"
#include "engine/log/log.h"
#include "tests/sim/payload.h"

#define LAID_DIR "/laid"
#define LAID_LOG LAID_DIR "/t-0/00000000000000000000.log"

enum { BATCHES = 3 };

struct laid {
    struct run *r;
    struct reactor *re;
    struct log_env env;
    struct log_config cfg;
    struct sl_uuid id;
    uint8_t *batch[BATCHES];
    uint32_t bytes[BATCHES], pos[BATCHES];
    int64_t offset[BATCHES];
    uint32_t size; // of the segment
    int64_t end;
    bool done;
};

static void make_batches(struct laid *x)
{
    for (uint32_t k = 0; k < BATCHES; k++) {
        struct payload_spec s = {.attempt = 1000000 + k, .max_bytes = 2000, .now_ms = 1, .producer_id = -1};
        uint32_t records;
        x->batch[k] = payload_make(x->r, &s, &x->bytes[k], &records);
        x->pos[k] = x->size;
        x->offset[k] = x->end;
        batch_set_base_offset(x->batch[k], x->end);
        batch_set_leader_epoch(x->batch[k], 0);
        x->size += x->bytes[k];
        x->end += records;
    }
}

// What the directory holds: everything that was written is there and durable.
static int write_log(struct laid *x)
{
    int err = 0;
    struct log *l;
    uint8_t *file = malloc(x->size);
    SL_ASSERT(file);
    for (uint32_t k = 0; k < BATCHES; k++)
        memcpy(file + x->pos[k], x->batch[k], x->bytes[k]);
    err = fio_mkdir(LAID_DIR, 0700);
    l = err ? NULL : log_create(&x->env, LAID_DIR, "t", &x->id, 0, 0, &x->cfg, false, &err);
    if (l) {
        log_destroy(l);
        err = fio_write_file(LAID_LOG, file, x->size);
    }
    free(file);
    return err;
}

static struct jentry entry_of(const struct laid *x, uint32_t k)
{
    struct batch_info b;
    SL_ASSERT(batch_parse(x->batch[k], x->bytes[k], &b) == 0);
    return (struct jentry){.type = JE_BATCH,
                           .flags = JE_INLINE,
                           .attributes = b.attributes,
                           .crc = b.crc,
                           .topic_id = x->id,
                           .position = x->pos[k],
                           .bytes = x->bytes[k],
                           .base_offset = b.base_offset,
                           .last_offset = b.base_offset + b.last_offset_delta,
                           .producer_id = -1,
                           .base_sequence = -1,
                           .producer_epoch = -1,
                           .max_timestamp = b.max_timestamp,
                           .record_count = b.record_count};
}

static void recover(struct laid *x)
{
    char err[800] = "";
    struct log *l = NULL;
    struct log_ends e;
    struct store_entry se = {.e = entry_of(x, 1), .payload = x->batch[1]};
    struct store_log sl = {.topic_id = x->id,
                           .has_checkpoint = true,
                           .ckpt = {.topic_id = x->id,
                                    .end_position = x->size,
                                    .end_offset = x->end,
                                    .max_timestamp = -1,
                                    .max_timestamp_offset = -1},
                           .entries = &se,
                           .entries_n = 1};
    const struct log_left left = {.kind = STORE_OURS, .sl = &sl};
    int rc = log_recover(&x->env, LAID_DIR, "t", &x->id, 0, &left, &x->cfg, &l, err, sizeof(err));
    if (rc)
        run_fail(x->r, "laid bytes: recovery failed: %s: %s", strerror(-rc), err);
    log_get_ends(l, &e);
    if (e.durable_end != x->end)
        run_fail(x->r, "laid bytes: the log ends at %lld, not at %lld", (long long)e.durable_end,
                 (long long)x->end);
    log_destroy(l);
}

static void laid_fiber(void *arg)
{
    struct laid *x = arg;
    uint8_t *now = NULL;
    size_t n = 0;
    int rc = write_log(x);
    if (rc)
        run_fail(x->r, "laid bytes: %s", strerror(-rc));
    recover(x);
    rc = fio_read_file(LAID_LOG, 1 << 20, &now, &n);
    if (rc || n < x->size)
        run_fail(x->r, "laid bytes: the segment has %zu bytes of %u: %s", n, x->size, strerror(-rc));
    for (uint32_t k = 0; k < BATCHES; k++)
        if (memcmp(now + x->pos[k], x->batch[k], x->bytes[k]) != 0)
            run_fail(x->r, "laid bytes: batch %u of %u, at position %u, is not what it was", k + 1, BATCHES,
                     x->pos[k]);
    free(now);
    x->done = true;
}

static bool is_done(void *arg)
{
    return ((struct laid *)arg)->done;
}

static void log_settings(struct log_config *c)
{
    *c = (struct log_config){.segment_bytes = 65536,
                             .segment_ms = INT64_MAX,
                             .index_interval_bytes = 512,
                             .segment_index_bytes = 4096,
                             .max_message_bytes = 65536,
                             .min_insync_replicas = 1,
                             .validate_records = true};
}

void laid_check(struct run *r)
{
    struct laid x = {.r = r};
    struct sim_host *h = sim_host_create(r->w);
    struct sim_process *p = sim_process_create(r->w, h);
    struct io *io = sim_io_create(p);
    struct reactor_group *g = reactor_group_create(1, &io, 4, NULL);
    struct buf_pool_config pc = {.limit = 4u << 20, .max_large = 2u << 20};
    SL_ASSERT(g);
    sl_rand_bytes(r->rng, x.id.b, sizeof(x.id.b));
    x.re = reactor_group_get(g, 0);
    log_env_init(&x.env, x.re, NULL);
    x.env.tail_pool = buf_pool_create(&pc);
    x.env.read_pool = buf_pool_create(&pc);
    log_settings(&x.cfg);
    make_batches(&x);
    sim_attach(p, g);
    SL_ASSERT(fiber_spawn(x.re, laid_fiber, &x, 256 << 10));
    if (!sim_run(r->w, 60ull * 1000000000, is_done, &x))
        run_fail(r, "laid bytes: recovery does not end");
    sim_detach(p);
    reactor_group_destroy(g);
    buf_pool_destroy(x.env.tail_pool);
    buf_pool_destroy(x.env.read_pool);
    io_destroy(io);
    sim_process_free(p);
    for (uint32_t k = 0; k < BATCHES; k++)
        free(x.batch[k]);
}
