// The runtime over a played shard: loading in slices, group commit, answers that wait for the disk, a failed append, no
// credits.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/rand.h"
#include "engine/coord/group.h"
#include "engine/log/record.h"
#include "proto/gen/all.h"

enum { CREDITS = 8, LOG_MAX = 1 << 20, ASKS = 64 };

struct t_io {
    struct io io;
    struct rig *rig;
};
// A log of whole batches, and appends that wait to be let through.
struct rig {
    struct t_io io[1];
    struct io *ios[1];
    uint64_t now;
    struct reactor_group *g;
    struct reactor *r;
    struct sl_rand rand;
    struct service shard, coord;
    struct crt rt;
    struct groups_env env;
    struct config *cfg;
    struct crt_part *p;
    uint8_t *log;
    uint32_t log_n;
    int64_t log_start, end;
    struct shard_append *held; // an append that is not answered yet
    uint32_t appends, fetches, releases;
    int16_t fail; // the next append's error
    bool hold;
    uint32_t slice; // bytes a fetch gives at most
    struct log_piece pieces[2];
    uint8_t *copy;
    struct coord_req asks[ASKS];
    struct kp_offset_commit_request commits[ASKS];
    struct kp_offset_commit_request_offset_commit_request_topic topics[ASKS];
    struct kp_offset_commit_request_offset_commit_request_partition parts[ASKS];
    uint32_t asks_n, answered;
};

static uint64_t io_t_now(struct io *io)
{
    return ((struct t_io *)io)->rig->now;
}
static int64_t io_t_wall(struct io *io)
{
    return 1700000000000 + (int64_t)(((struct t_io *)io)->rig->now / 1000000);
}
static void io_t_random(struct io *io, void *buf, size_t n)
{
    sl_rand_bytes(&((struct t_io *)io)->rig->rand, buf, n);
}
static int io_t_poll(struct io *io, uint64_t wait_ns)
{
    return 0;
}
static void io_t_bell(struct io *from, struct io *to) {}
static uint64_t io_t_counter(struct io *io, uint32_t which)
{
    return 0;
}
static const struct io_vtable t_vt = {.name = "t",
                                      .now_ns = io_t_now,
                                      .wall_ms = io_t_wall,
                                      .random = io_t_random,
                                      .poll = io_t_poll,
                                      .doorbell = io_t_bell,
                                      .counter = io_t_counter};

// ---- the played shard --------------------------------------------------------------------------------------------------
static void log_add(struct rig *t, const uint8_t *batch, uint32_t n)
{
    struct batch_info b;
    assert_int_equal(batch_parse(batch, n, &b), 0);
    assert_true(t->log_n + n <= LOG_MAX);
    memcpy(t->log + t->log_n, batch, n);
    batch_set_base_offset(t->log + t->log_n, t->end);
    t->end += b.last_offset_delta + 1;
    t->log_n += n;
}

static void reply(struct rig *t, uint16_t op, void *p)
{
    reactor_reply(t->r, 0, op, SVC_COORD)->u[0] = (uint64_t)(uintptr_t)p;
}

static void append_go(struct rig *t)
{
    struct shard_append *a = t->held;
    t->held = NULL;
    a->parts[0].error = t->fail;
    a->parts[0].error_text[0] = 0;
    if (!t->fail)
        log_add(t, a->parts[0].records, (uint32_t)a->parts[0].bytes);
    t->fail = 0;
    reply(t, SHARD_APPEND, a);
}

static void fetch_go(struct rig *t, struct shard_fetch *f)
{
    struct shard_fetch_part *p = &f->parts[0];
    uint32_t pos = 0, n = 0;
    t->fetches++;
    p->error = p->fetch_offset < t->log_start ? KERR_OFFSET_OUT_OF_RANGE : 0;
    p->high_watermark = p->error ? -1 : t->end;
    p->log_start = t->log_start;
    p->bytes = p->pieces_n = 0;
    f->pins = NULL;
    struct batch_info b;
    while (!p->error && pos < t->log_n && batch_parse(t->log + pos, t->log_n - pos, &b) == 0 &&
           batch_info_last_offset(&b) < p->fetch_offset)
        pos += b.size;
    n = SL_MIN(t->log_n - pos, t->slice);
    if (!p->error && n < t->log_n - pos && batch_parse(t->log + pos, t->log_n - pos, &b) == 0)
        n = SL_MAX(n, b.size); // the first batch whole, the last perhaps cut
    if (!p->error && n) {
        memcpy(t->copy, t->log + pos, n);
        uint32_t half = n / 3; // a batch lies across two pieces
        t->pieces[0] = (struct log_piece){.p = t->copy, .len = half};
        t->pieces[1] = (struct log_piece){.p = t->copy + half, .len = n - half};
        p->pieces = t->pieces;
        p->pieces_n = 2;
        p->bytes = n;
        f->pins = (struct shard_pins *)t;
    }
    reply(t, SHARD_FETCH, f);
}

static void shard_on_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    struct rig *t = SL_CONTAINER_OF(s, struct rig, shard);
    if (m->op == SHARD_RELEASE) {
        t->releases++;
    } else if (m->op == SHARD_FETCH) {
        fetch_go(t, (struct shard_fetch *)(uintptr_t)m->u[0]);
    } else {
        assert_int_equal(m->op, SHARD_APPEND);
        assert_null(t->held); // one in flight
        t->held = (struct shard_append *)(uintptr_t)m->u[0];
        assert_true(t->held->internal && t->held->acks == -1);
        t->appends++;
        if (!t->hold)
            append_go(t);
    }
}

static void coord_on_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    crt_on_reply(&SL_CONTAINER_OF(s, struct rig, coord)->rt, m);
}
static bool coord_on_flush(struct service *s)
{
    return crt_flush(&SL_CONTAINER_OF(s, struct rig, coord)->rt);
}

static void on_reply(struct crt *rt, struct coord_req *q)
{
    struct rig *t = SL_CONTAINER_OF(rt, struct rig, rt);
    assert_true(q->answered);
    q->owner = t; // it is home
    t->answered++;
}

// ---- set-up --------------------------------------------------------------------------------------------------------------
static void turns(struct rig *t, int n)
{
    for (int i = 0; i < n; i++)
        reactor_turn(t->r, 0);
}

static bool no_topic(struct reactor *r, const char *name, size_t len, struct coord_topic *out)
{
    return false;
}
static const struct coord_topics no_topics = {.by_name = no_topic};

static struct rig *rig_up(void)
{
    struct rig *t = calloc(1, sizeof(*t));
    char err[256];
    t->io[0] = (struct t_io){.io = {&t_vt}, .rig = t};
    t->ios[0] = &t->io[0].io;
    t->now = 1000000000;
    t->slice = LOG_MAX;
    t->log = malloc(LOG_MAX);
    t->copy = malloc(LOG_MAX);
    sl_rand_seed(&t->rand, 3);
    t->cfg = config_new();
    config_set(t->cfg, "node.id", "1", CFG_FROM_FILE, err, sizeof(err));
    config_set(t->cfg, "log.dirs", "/data", CFG_FROM_FILE, err, sizeof(err));
    config_set(t->cfg, "listeners", "PLAINTEXT://127.0.0.1:9092", CFG_FROM_FILE, err, sizeof(err));
    assert_int_equal(config_finish(t->cfg, err, sizeof(err)), 0);
    group_settings_load(&t->env.set, t->cfg);
    t->env.topics = &no_topics;
    t->g = reactor_group_create(1, t->ios, CREDITS, NULL);
    t->r = reactor_group_get(t->g, 0);
    t->shard = (struct service){.kind = SVC_SHARD, .name = "shard", .on_msg = shard_on_msg};
    t->coord = (struct service){
        .kind = SVC_COORD, .name = "coord", .on_msg = coord_on_msg, .on_flush = coord_on_flush};
    reactor_add_service(t->r, &t->shard);
    reactor_add_service(t->r, &t->coord);
    crt_init(&t->rt, t->r);
    t->rt.reply = on_reply;
    return t;
}

static void part_up(struct rig *t)
{
    struct sl_uuid id = sl_uuid_make(1, 2);
    t->p = crt_part_add(&t->rt, &id, 0, &groups_ops, &t->env, 4096);
    turns(t, 20);
}

static void part_again(struct rig *t)
{
    crt_part_drop(t->p);
    turns(t, 5);
    part_up(t);
}

static void rig_down(struct rig *t)
{
    if (t->p)
        crt_part_drop(t->p);
    turns(t, 5);
    assert_int_equal(t->rt.in_flight, 0);
    crt_destroy(&t->rt);
    reactor_group_destroy(t->g);
    for (uint32_t i = 0; i < t->asks_n; i++) {
        assert_ptr_equal(t->asks[i].owner, t); // every request came home
        arena_free(&t->asks[i].arena);
    }
    config_free(t->cfg);
    free(t->log);
    free(t->copy);
    free(t);
}

static struct coord_req *commit(struct rig *t, int64_t offset)
{
    uint32_t i = t->asks_n++;
    struct coord_req *q = &t->asks[i];
    assert_true(i < ASKS);
    kp_offset_commit_request_init(&t->commits[i]);
    t->commits[i].group_id = KP_STR_LIT("g");
    t->commits[i].topics = &t->topics[i];
    t->commits[i].topics_n = 1;
    t->topics[i].name = KP_STR_LIT("t");
    t->topics[i].partitions = &t->parts[i];
    t->topics[i].partitions_n = 1;
    t->parts[i] = (struct kp_offset_commit_request_offset_commit_request_partition){
        .committed_offset = offset, .committed_leader_epoch = -1, .committed_metadata = KP_STR_NULL};
    *q = (struct coord_req){.api = 8, .version = 9, .group = KP_STR_LIT("g"), .in = &t->commits[i]};
    list_init(&q->node);
    arena_init(&q->arena, 0);
    crt_request(t->p, q);
    return q;
}

static int32_t part0 = 0;
static struct kp_offset_fetch_request_offset_fetch_request_topics fetch_topic = {
    .name = {"t", 1}, .partition_indexes = &part0, .partition_indexes_n = 1};
static struct kp_offset_fetch_request_offset_fetch_request_group fetch_group = {
    .group_id = {"g", 1}, .member_id = {NULL, -1}, .member_epoch = -1, .topics = &fetch_topic, .topics_n = 1};

static struct coord_req *fetch(struct rig *t)
{
    struct coord_req *q = &t->asks[t->asks_n++];
    *q = (struct coord_req){.api = 9, .version = 9, .group = KP_STR_LIT("g"), .in = &fetch_group};
    list_init(&q->node);
    arena_init(&q->arena, 0);
    crt_request(t->p, q);
    return q;
}

static bool home(const struct coord_req *q)
{
    return q->owner != NULL;
}

static int64_t offset_of(const struct coord_req *q)
{
    assert_true(home(q));
    assert_int_equal(q->error, 0);
    return ((const struct kp_offset_fetch_response_offset_fetch_response_group *)q->out)
        ->topics[0]
        .partitions[0]
        .committed_offset;
}

// ---- tests ---------------------------------------------------------------------------------------------------------------
static void answers_wait_for_the_disk(void **state)
{
    struct rig *t = rig_up();
    part_up(t);
    assert_int_equal(t->p->state, CRT_ACTIVE);
    assert_int_equal(offset_of(fetch(t)), -1); // nothing pending: at once
    t->hold = true;
    struct coord_req *a = commit(t, 5);
    struct coord_req *early = fetch(t); // looks at what is not durable
    turns(t, 3);
    assert_int_equal(t->appends, 1);
    assert_false(home(a) || home(early));
    // What comes meanwhile goes out together, after the first is durable.
    struct coord_req *b = commit(t, 6), *c = commit(t, 7);
    turns(t, 3);
    assert_int_equal(t->appends, 1);
    append_go(t);
    turns(t, 3);
    assert_true(home(a) && home(early));
    assert_int_equal(offset_of(early), 5);
    assert_false(home(b) || home(c));
    assert_int_equal(t->appends, 2);
    append_go(t);
    turns(t, 3);
    assert_true(home(b) && home(c));
    assert_int_equal(offset_of(fetch(t)), 7);
    assert_int_equal(t->end, 3);
    part_again(t);
    assert_int_equal(offset_of(fetch(t)), 7);
    rig_down(t);
}

static void loads_in_slices(void **state)
{
    struct rig *t = rig_up();
    part_up(t);
    for (int i = 0; i < 30; i++) {
        commit(t, 100 + i);
        turns(t, 2);
    }
    // A compressed batch, and one whose record nobody here understands.
    struct kp_offset_commit_value v;
    struct compress_ctx cc = {0};
    struct batch_builder b = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    uint8_t value[64] = {0, 3};
    const uint8_t *bytes;
    size_t n;
    kp_offset_commit_value_init(&v);
    v.offset = 999;
    v.metadata = KP_STR_LIT("");
    struct kp_writer w = {.buf = value + 2, .cap = sizeof(value) - 2};
    assert_int_equal(kp_offset_commit_value_encode(&v, 3, &w), 0);
    assert_int_equal(batch_builder_append(&b, 1, record_bytes_make("\0\1\0\1g\0\1t\0\0\0\0", 12),
                                          record_bytes_make(value, w.len + 2), NULL, 0),
                     0);
    assert_int_equal(batch_builder_append(&b, 1, record_bytes_make("\0\x63xx", 4), RECORD_NULL, NULL, 0), 0);
    o.codec = BATCH_CODEC_GZIP;
    assert_int_equal(batch_builder_finish(&b, &o, &cc, &bytes, &n), 0);
    log_add(t, bytes, (uint32_t)n);
    batch_builder_destroy(&b);
    compress_ctx_destroy(&cc);
    t->slice = 150; // every fetch gives a batch and a piece of the next
    uint32_t before = t->fetches;
    crt_part_drop(t->p);
    turns(t, 5);
    part_up(t);
    assert_int_equal(fetch(t)->error, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    turns(t, 200);
    assert_true(t->fetches - before > 20);
    assert_int_equal(t->releases, t->fetches - (t->end ? 1 : 0));
    assert_int_equal(offset_of(fetch(t)), 999);
    rig_down(t);
}

static void begins_at_the_log_start(void **state)
{
    struct rig *t = rig_up();
    part_up(t);
    commit(t, 1);
    turns(t, 3);
    commit(t, 2);
    turns(t, 3);
    struct batch_info b;
    assert_int_equal(batch_parse(t->log, t->log_n, &b), 0);
    t->log_n -= b.size; // the first batch was deleted
    memmove(t->log, t->log + b.size, t->log_n);
    t->log_start = 1;
    part_again(t);
    assert_int_equal(offset_of(fetch(t)), 2);
    rig_down(t);
}

static void a_failed_append_loads_again(void **state)
{
    struct rig *t = rig_up();
    part_up(t);
    commit(t, 1);
    turns(t, 3);
    t->hold = true;
    struct coord_req *a = commit(t, 2);
    turns(t, 2);
    struct coord_req *b = commit(t, 3), *c = fetch(t); // behind it
    t->fail = KERR_KAFKA_STORAGE_ERROR;
    append_go(t);
    turns(t, 3);
    assert_true(home(a) && home(b) && home(c));
    assert_int_equal(a->error, KERR_NOT_COORDINATOR);
    assert_int_equal(b->error, KERR_NOT_COORDINATOR);
    assert_int_equal(c->error, KERR_NOT_COORDINATOR);
    assert_int_equal(t->appends, 2); // what was behind it never went out
    assert_int_equal(fetch(t)->error, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    t->hold = false;
    t->now += 600 * 1000000ull;
    turns(t, 20);
    assert_int_equal(offset_of(fetch(t)), 1); // as the log says
    struct coord_req *d = commit(t, 4);
    turns(t, 4);
    assert_int_equal(d->error, 0);
    assert_int_equal(offset_of(fetch(t)), 4);
    rig_down(t);
}

static void a_corrupt_log_is_not_served(void **state)
{
    struct rig *t = rig_up();
    part_up(t);
    commit(t, 1);
    turns(t, 3);
    t->log[t->log_n - 1] ^= 1;
    part_again(t);
    assert_int_equal(t->p->state, CRT_FAILED);
    assert_int_equal(fetch(t)->error, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    t->log[t->log_n - 1] ^= 1;
    t->now += 600 * 1000000ull;
    turns(t, 20);
    assert_int_equal(offset_of(fetch(t)), 1);
    rig_down(t);
}

static void without_credits(void **state)
{
    struct rig *t = rig_up();
    part_up(t);
    assert_true(reactor_credit_take(t->r, 0, CREDITS)); // others have them all
    struct coord_req *a = commit(t, 1);
    turns(t, 5);
    struct coord_req *b = commit(t, 2);
    turns(t, 5);
    assert_int_equal(t->appends, 0);
    reactor_credit_give(t->r, 0, 1);
    turns(t, 5);
    assert_true(home(a) && home(b));
    assert_int_equal(t->appends, 1);
    // Loading waits for one as well.
    assert_true(reactor_credit_take(t->r, 0, 1));
    part_again(t);
    assert_int_equal(t->p->state, CRT_LOADING);
    reactor_credit_give(t->r, 0, CREDITS);
    turns(t, 10);
    assert_int_equal(offset_of(fetch(t)), 2);
    rig_down(t);
}

static void dropped_in_flight(void **state)
{
    struct rig *t = rig_up();
    part_up(t);
    t->hold = true;
    struct coord_req *a = commit(t, 1);
    turns(t, 2);
    struct coord_req *b = commit(t, 2);
    crt_part_drop(t->p);
    t->p = NULL;
    assert_true(home(a) && home(b));
    assert_int_equal(a->error, KERR_NOT_COORDINATOR);
    append_go(t); // the shard was still reading the batch
    turns(t, 3);
    rig_down(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_wait_for_the_disk),   cmocka_unit_test(loads_in_slices),
        cmocka_unit_test(begins_at_the_log_start),     cmocka_unit_test(a_failed_append_loads_again),
        cmocka_unit_test(a_corrupt_log_is_not_served), cmocka_unit_test(without_credits),
        cmocka_unit_test(dropped_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
