/* Any bytes as records of a log that is loaded, and then as requests to groups: what a foreign broker wrote, and what
 * clients send. Each piece begins with a byte that says what it is, and two for its length. The groups keep their
 * invariants, every request is answered or parked, and all memory is accounted for at the end. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/log.h"
#include "engine/coord/modern/modern.h"
#include "proto/gen/consumer_group_heartbeat_request.h"
#include "proto/gen/heartbeat_request.h"
#include "proto/gen/join_group_request.h"
#include "proto/gen/leave_group_request.h"
#include "proto/gen/sync_group_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUESTS_MAX = 64, TOPICS = 3 };

static const struct coord_topic topics[TOPICS] = {
    {.id = {{1}}, .name = "a", .name_len = 1, .partitions = 3},
    {.id = {{2}}, .name = "b", .name_len = 1, .partitions = 5},
    {.id = {{3}}, .name = "c", .name_len = 1, .partitions = 1},
};
static uint64_t version_now;

static uint64_t version(struct reactor *r)
{
    return version_now;
}

static bool by_name(struct reactor *r, const char *name, size_t len, struct coord_topic *out)
{
    for (int i = 0; i < TOPICS; i++)
        if (len == 1 && name[0] == topics[i].name[0]) {
            *out = topics[i];
            return true;
        }
    return false;
}

static bool by_id(struct reactor *r, const struct sl_uuid *id, struct coord_topic *out)
{
    for (int i = 0; i < TOPICS; i++)
        if (sl_uuid_eq(id, &topics[i].id)) {
            *out = topics[i];
            return true;
        }
    return false;
}

static bool at(struct reactor *r, uint32_t i, struct coord_topic *out)
{
    if (i < TOPICS)
        *out = topics[i];
    return i < TOPICS;
}

static bool leads(struct reactor *r, const struct sl_uuid *id, int32_t partition)
{
    return true;
}

static const struct coord_topics view = {
    .version = version, .by_name = by_name, .by_id = by_id, .at = at, .leads = leads};

static void random_bytes(void *arg, void *buf, size_t n)
{
    static uint8_t next;
    memset(buf, ++next, n);
}

/* The kinds of requests that groups of the consumer protocol answer. */
static const struct {
    int16_t api, newest;
    size_t size;
    int64_t (*decode)(void *m, const uint8_t *buf, size_t len, int16_t version, struct arena *a);
} kinds[] = {
#define KIND(api, newest, name)                                                                              \
    {                                                                                                        \
        api, newest, sizeof(struct kp_##name),                                                               \
            (int64_t(*)(void *, const uint8_t *, size_t, int16_t, struct arena *))kp_##name##_decode         \
    }
    KIND(68, 1, consumer_group_heartbeat_request),
    KIND(11, 9, join_group_request),
    KIND(14, 5, sync_group_request),
    KIND(12, 4, heartbeat_request),
    KIND(13, 5, leave_group_request),
};

struct world {
    struct groups_env env;
    struct coord_ctx x;
    struct groups *gs;
    uint64_t now_ms;
    struct coord_req q[REQUESTS_MAX];
    struct arena in[REQUESTS_MAX];
    uint32_t n;
};

static void begin(struct world *w)
{
    coord_ctx_begin(&w->x, w->now_ms * 1000000, (int64_t)w->now_ms);
}

static void end(struct world *w)
{
    struct group *g, *tmp;
    while (list_pop_front(&w->x.answered))
        ;
    HASH_ITER(hh, w->gs->table, g, tmp)
    if (g->type == &group_consumer_type)
        cg_check(g->state);
}

static void load_record(struct world *w, const uint8_t *p, size_t n)
{
    if (n < 3)
        return;
    size_t key = 2 + p[0] % (n - 2);
    struct coord_record r = {
        .key = {p + 1, (int32_t)SL_MIN(key, n - 1)}, .value = KP_BYTES_NULL, .producer_id = -1};
    if (key + 1 < n)
        r.value = (struct kp_bytes){p + 1 + key, (int32_t)(n - 1 - key)};
    groups_ops.replay(w->gs, &r);
}

static void request(struct world *w, size_t kind, const uint8_t *p, size_t n)
{
    if (w->n == REQUESTS_MAX || !n)
        return;
    struct coord_req *q = &w->q[w->n];
    struct arena *in = &w->in[w->n];
    int16_t v = (int16_t)(p[0] % (kinds[kind].newest + 1));
    arena_init(in, 1 << 20);
    void *m = arena_zalloc(in, kinds[kind].size);
    if (kinds[kind].decode(m, p + 1, n - 1, v, in) >= 0) {
        *q = (struct coord_req){.api = kinds[kind].api, .version = v, .in = m, .group = KP_STR_LIT("g")};
        q->client_id = KP_STR_LIT("client");
        q->client_host = KP_STR_LIT("/host");
        arena_init(&q->arena, 0);
        w->n++;
        groups_ops.request(w->gs, q);
    } else {
        arena_free(in);
    }
}

static void pass(struct world *w, uint32_t ms)
{
    w->now_ms += ms;
    for (int i = 0; i < 100; i++) {
        begin(w);
        struct coord_timer *t = coord_timer_due(&w->x);
        if (!t)
            return;
        t->fire(t, w->gs);
        end(w);
    }
}

static void piece(struct world *w, uint8_t what, const uint8_t *p, size_t n)
{
    begin(w);
    if (w->gs->loading && what % 8 == 7) {
        groups_ops.loaded(w->gs);
    } else if (w->gs->loading) {
        load_record(w, p, n);
    } else if (what % 8 < 5) {
        request(w, what % 8, p, n);
    } else if (what % 8 == 5) {
        pass(w, n > 1 ? be16_load(p) : 5000);
        return;
    } else {
        version_now++;
    }
    end(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config *cfg;
    static struct world w;
    char err[128];
    if (!cfg) {
        cfg = config_new();
        if (config_finish(cfg, err, sizeof(err)))
            abort();
        sl_log_set_level(SL_ERROR);
    }
    memset(&w, 0, sizeof(w));
    version_now = 1;
    w.now_ms = 1000;
    group_settings_load(&w.env.set, cfg);
    w.env.topics = &view;
    coord_ctx_init(&w.x, 1 << 20);
    w.x.random = random_bytes;
    w.gs = groups_ops.create(NULL, &w.x, &w.env);
    while (size >= 3) {
        size_t n = SL_MIN((size_t)be16_load(data + 1) % 512, size - 3);
        piece(&w, data[0], data + 3, n);
        data += 3 + n;
        size -= 3 + n;
    }
    begin(&w);
    groups_ops.let_go(w.gs, KERR_NOT_COORDINATOR);
    end(&w);
    for (uint32_t i = 0; i < w.n; i++) {
        SL_ASSERT(w.q[i].answered);
        arena_free(&w.q[i].arena);
        arena_free(&w.in[i]);
    }
    groups_ops.destroy(w.gs);
    SL_ASSERT(w.env.memory == 0);
    coord_ctx_destroy(&w.x);
    return 0;
}
