// What the tests of journal, replay and store share: batches, groups built in memory, a simulated broker's life.
#ifndef SLUICE_TESTS_UNIT_LOG_JOURNAL_TEST_H
#define SLUICE_TESTS_UNIT_LOG_JOURNAL_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/base/crc32c.h"
#include "engine/base/log.h"
#include "engine/base/rand.h"
#include "engine/io/fiber.h"
#include "engine/io/sim/sim.h"
#include "engine/log/batch.h"
#include "engine/log/journal_private.h"
#include "engine/log/replay.h"

#define SECOND 1000000000ull

static inline void t_sink(void *ctx, enum sl_log_level level, const char *line, size_t len) {}

// The failures that tests provoke are not worth a line each.
static inline void t_quiet(void)
{
    if (!getenv("SLUICE_TEST_VERBOSE"))
        sl_log_set_sink(t_sink, NULL);
}

static inline struct sl_uuid t_uuid(uint64_t n)
{
    return sl_uuid_make(0x1122334455667788ull + (n << 40), n);
}

// A sound record batch of `bytes` with one record's worth of random bytes, and its entry.
static inline void t_batch(struct jentry *e, uint8_t *out, uint32_t bytes, uint64_t topic, int32_t partition,
                           int64_t offset, uint64_t seed)
{
    struct sl_rand r;
    assert_true(bytes >= BATCH_HEADER_SIZE);
    sl_rand_seed(&r, seed);
    sl_rand_bytes(&r, out, bytes);
    batch_set_base_offset(out, offset);
    batch_set_length(out, (int32_t)(bytes - BATCH_LOG_OVERHEAD));
    batch_set_leader_epoch(out, 3);
    batch_set_magic(out, BATCH_MAGIC_V2);
    batch_set_last_offset_delta(out, 0);
    batch_seal(out);
    *e = (struct jentry){.type = JE_BATCH,
                         .flags = JE_INLINE,
                         .attributes = (uint16_t)batch_attributes(out),
                         .crc = (uint32_t)batch_crc(out),
                         .topic_id = t_uuid(topic),
                         .partition = partition,
                         .incarnation = 1,
                         .position = (uint32_t)(offset * 100),
                         .bytes = bytes,
                         .base_offset = offset,
                         .last_offset = offset,
                         .producer_id = -1,
                         .base_sequence = -1,
                         .producer_epoch = -1,
                         .leader_epoch = 3,
                         .record_count = 1};
}

static inline struct jentry t_fence(uint64_t topic, int32_t partition, int64_t floor, int64_t end)
{
    return (struct jentry){.type = JE_FENCE,
                           .topic_id = t_uuid(topic),
                           .partition = partition,
                           .base_offset = floor,
                           .last_offset = end,
                           .producer_id = 2};
}

// ---- groups in memory -------------------------------------------------------------------------------------------------
// A journal file's image and the chain that runs through it.
struct t_file {
    uint8_t *data;
    uint64_t len, at;
    struct jgroup g; // of the next group
    uint64_t stream;
    uint32_t entries_crc;
};

static inline void t_file_init(struct t_file *f, uint64_t len, const struct sl_uuid *life,
                               uint64_t generation)
{
    *f = (struct t_file){.data = calloc(1, len), .len = len};
    f->g = (struct jgroup){.life = *life, .generation = generation, .sequence = 1};
    f->stream = JOURNAL_HEADER;
}

// The chain goes on in another file.
static inline void t_file_next(struct t_file *to, uint64_t len, const struct t_file *from)
{
    t_file_init(to, len, &from->g.life, from->g.generation + 1);
    to->g.sequence = from->g.sequence;
    to->g.prev_crc = from->g.prev_crc;
    to->g.shard = from->g.shard;
}

static inline void t_add(struct t_file *f, const struct jentry *e, const void *payload)
{
    uint8_t *p = f->data + f->at + f->stream;
    jentry_encode(e, p);
    f->entries_crc = crc32c(f->entries_crc, p, JOURNAL_ENTRY);
    if (payload && e->flags & JE_INLINE)
        memcpy(p + JOURNAL_ENTRY, payload, e->bytes);
    f->stream += JOURNAL_ENTRY + SL_ALIGN_UP(jentry_payload_len(e), (uint64_t)8);
    f->g.count++;
}

static inline void t_add_batch(struct t_file *f, uint32_t bytes, uint64_t topic, int64_t offset)
{
    struct jentry e;
    uint8_t *b = malloc(bytes);
    t_batch(&e, b, bytes, topic, 0, offset, (uint64_t)offset);
    t_add(f, &e, b);
    free(b);
}

// Ends the group, which says that everything up to `durable` was durable. Returns where it starts.
static inline uint64_t t_end(struct t_file *f, uint64_t durable)
{
    uint64_t start = f->at;
    f->g.position = start;
    f->g.durable_through = durable;
    f->g.length = (uint32_t)group_padded(f->stream);
    f->g.crc = 0;
    assert_true(start + f->g.length <= f->len);
    jgroup_encode(&f->g, f->data + start);
    uint32_t crc = jgroup_crc_header(f->data + start, &f->g.life);
    crc = crc32c_combine(crc, f->entries_crc, (uint64_t)f->g.count * JOURNAL_ENTRY);
    jgroup_set_crc(f->data + start, crc);
    f->at += f->g.length;
    f->g.prev_crc = crc;
    f->g.sequence++;
    f->g.count = 0;
    f->stream = JOURNAL_HEADER;
    f->entries_crc = 0;
    return start;
}

// A group of one batch.
static inline uint64_t t_group(struct t_file *f, uint64_t topic, int64_t offset, uint64_t durable)
{
    t_add_batch(f, 300, topic, offset);
    return t_end(f, durable);
}

// ---- a simulated process with one reactor -----------------------------------------------------------------------------
struct t_life {
    struct sim_world *w;
    struct sim_host *host;
    struct sim_process *p;
    struct io *io;
    struct metrics *metrics;
    struct reactor_group *g;
    struct reactor *r;
    struct service svc;
    struct journal *flush; // flushed once per turn, if set
    fiber_fn fn;
    void *arg;
    bool finished;
};

static inline bool t_on_flush(struct service *s)
{
    struct t_life *l = SL_CONTAINER_OF(s, struct t_life, svc);
    return l->flush && journal_flush(l->flush);
}

static inline void t_life_start(struct t_life *l, struct sim_world *w, struct sim_host *host)
{
    *l = (struct t_life){.w = w, .host = host};
    l->p = sim_process_create(w, host);
    l->io = sim_io_create(l->p);
    l->metrics = metrics_create(1);
    l->g = reactor_group_create(1, &l->io, 16, l->metrics);
    assert_non_null(l->g);
    l->r = reactor_group_get(l->g, 0);
    l->svc = (struct service){.kind = SVC_SHARD, .name = "test", .on_flush = t_on_flush};
    reactor_add_service(l->r, &l->svc);
    sim_attach(l->p, l->g);
}

static inline void t_life_entry(void *arg)
{
    struct t_life *l = arg;
    l->fn(l->arg);
    l->finished = true;
}

static inline bool t_life_finished(void *arg)
{
    return ((struct t_life *)arg)->finished;
}

// Runs fn(arg) in a fiber of the life until it returns.
static inline void t_life_run(struct t_life *l, fiber_fn fn, void *arg)
{
    l->fn = fn;
    l->arg = arg;
    l->finished = false;
    assert_non_null(fiber_spawn(l->r, t_life_entry, l, 256 * 1024));
    assert_true(sim_run(l->w, 600 * SECOND, t_life_finished, l));
}

static inline void t_life_end(struct t_life *l)
{
    sim_detach(l->p);
    fiber_abandon_all(l->r);
    reactor_group_destroy(l->g);
    io_destroy(l->io);
    metrics_destroy(l->metrics);
    sim_process_free(l->p);
}

static inline bool t_no_fibers(void *arg)
{
    return fiber_count(((struct t_life *)arg)->r) == 0;
}

#endif
