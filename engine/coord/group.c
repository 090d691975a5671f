// See group.h: the table of groups, and requests to the kinds.
#include "engine/coord/group.h"
#include "engine/coord/modern/modern.h"

#include "engine/base/log.h"
#include "proto/gen/join_group_request.h"

#include <stdlib.h>
#include <string.h>

enum {
    GROUP_COST = 256,                   // bytes of a group itself, about
    NEW_MEMBER_JOIN_MS = 5 * 60 * 1000, // upstream's constant
};

void group_settings_load(struct group_settings *s, const struct config *cfg)
{
    *s = (struct group_settings){
        .initial_delay_ms = (int32_t)cfg_int(cfg, CFG_GROUP_INITIAL_REBALANCE_DELAY_MS),
        .min_session_ms = (int32_t)cfg_int(cfg, CFG_GROUP_MIN_SESSION_TIMEOUT_MS),
        .max_session_ms = (int32_t)cfg_int(cfg, CFG_GROUP_MAX_SESSION_TIMEOUT_MS),
        .new_member_join_ms = NEW_MEMBER_JOIN_MS,
        .max_size = (uint32_t)cfg_int(cfg, CFG_GROUP_MAX_SIZE),
        .keep_ms = cfg_int(cfg, CFG_OFFSETS_RETENTION_MINUTES) * 60 * 1000,
        .keep_check_ms = cfg_int(cfg, CFG_OFFSETS_RETENTION_CHECK_INTERVAL_MS),
        .metadata_max = (int32_t)cfg_int(cfg, CFG_OFFSET_METADATA_MAX_BYTES),
        .memory_max = (uint64_t)cfg_int(cfg, CFG_SLUICE_POOL_BYTES) / 4,
        .cfg = cfg,
    };
}

// ---- memory ----------------------------------------------------------------------------------------------------------
void groups_account(struct groups *gs, int64_t n)
{
    SL_ASSERT(n >= 0 || gs->memory >= (uint64_t)-n);
    gs->memory += (uint64_t)n;
    gs->env->memory += (uint64_t)n;
}

bool groups_full(const struct groups *gs)
{
    return gs->env->memory >= gs->env->set.memory_max;
}

// ---- the table --------------------------------------------------------------------------------------------------------
struct group *groups_find(struct groups *gs, struct kp_str id)
{
    struct group *g = NULL;
    HASH_FIND(hh, gs->table, id.p, (unsigned)id.n, g);
    if (g)
        coord_see(gs->x, g->mark);
    else
        coord_see_gone(gs->x);
    return g;
}

struct group *groups_make(struct groups *gs, struct kp_str id)
{
    struct group *g = groups_find(gs, id);
    if (g)
        return g;
    g = calloc(1, sizeof(*g));
    if (!g)
        sl_panic("coordinator: out of memory for a group");
    g->id = group_strdup(id);
    g->id_len = (uint32_t)id.n;
    HASH_ADD_KEYPTR(hh, gs->table, g->id, g->id_len, g);
    groups_account(gs, GROUP_COST + g->id_len);
    return g;
}

void group_reset(struct groups *gs, struct group *g, const struct group_type *type, void *state)
{
    if (g->type)
        g->type->destroy(gs, g);
    g->type = type;
    g->state = state;
}

void groups_collect(struct groups *gs, struct group *g)
{
    if (g->type || g->offsets.topics)
        return;
    coord_forget(gs->x, &g->mark);
    if (gs->sweep_next == g)
        gs->sweep_next = g->hh.next;
    groups_account(gs, -(int64_t)(GROUP_COST + g->id_len));
    HASH_DEL(gs->table, g);
    free(g->id);
    free(g);
}

// ---- help for the kinds -------------------------------------------------------------------------------------------------
char *group_strdup(struct kp_str s)
{
    if (s.n < 0)
        return NULL;
    char *p = malloc((size_t)s.n + 1);
    if (!p)
        sl_panic("coordinator: out of memory for a string");
    if (s.n)
        memcpy(p, s.p, (size_t)s.n);
    p[s.n] = 0;
    return p;
}

bool group_text_ok(struct kp_str s)
{
    return s.n <= 0 || !memchr(s.p, 0, (size_t)s.n);
}

bool group_texts_ok(const struct kp_str *v, int32_t n)
{
    bool ok = true;
    for (int32_t i = 0; i < n; i++)
        ok = ok && group_text_ok(v[i]);
    return ok;
}

void *req_zalloc(struct coord_req *q, size_t n)
{
    void *p = arena_zalloc(&q->arena, n);
    if (!p)
        sl_panic("coordinator: out of memory for an answer");
    return p;
}

struct kp_bytes req_bytes(struct coord_req *q, struct kp_bytes b)
{
    if (b.n <= 0)
        return (struct kp_bytes){(const uint8_t *)"", b.n};
    uint8_t *p = arena_alloc(&q->arena, (size_t)b.n);
    if (!p)
        sl_panic("coordinator: out of memory for an answer");
    memcpy(p, b.p, (size_t)b.n);
    return (struct kp_bytes){p, b.n};
}

struct kp_str req_str(struct coord_req *q, struct kp_str s)
{
    struct kp_bytes b = req_bytes(q, (struct kp_bytes){(const uint8_t *)s.p, s.n});
    return (struct kp_str){(const char *)b.p, s.n};
}

// ---- the classic protocol, to whatever kind the group is -------------------------------------------------------------------
static bool join_texts_ok(const struct kp_join_group_request *m)
{
    bool ok =
        group_text_ok(m->member_id) && group_text_ok(m->group_instance_id) && group_text_ok(m->protocol_type);
    for (int32_t i = 0; i < m->protocols_n; i++)
        ok = ok && group_text_ok(m->protocols[i].name);
    return ok;
}

// A group without members, or none, takes a classic join as a new classic group does: classic_join makes it one.
void groups_join(struct groups *gs, struct coord_req *q)
{
    struct group *g = groups_find(gs, q->group);
    if (!join_texts_ok(q->in))
        coord_answer_error(gs->x, q, KERR_INVALID_REQUEST);
    else if (g)
        group_rules(g)->join(gs, g, q);
    else
        group_classic_type.join(gs, NULL, q);
}

void groups_sync(struct groups *gs, struct coord_req *q)
{
    struct group *g = groups_find(gs, q->group);
    if (!g || group_rules(g)->is_empty(g))
        coord_answer_error(gs->x, q, KERR_UNKNOWN_MEMBER_ID);
    else
        group_rules(g)->sync(gs, g, q);
}

void groups_heartbeat(struct groups *gs, struct coord_req *q)
{
    struct group *g = groups_find(gs, q->group);
    if (!g)
        coord_answer_error(gs->x, q, KERR_UNKNOWN_MEMBER_ID);
    else
        group_rules(g)->heartbeat(gs, g, q);
}

void groups_leave(struct groups *gs, struct coord_req *q)
{
    struct group *g = groups_find(gs, q->group);
    if (!g)
        coord_answer_error(gs->x, q, KERR_UNKNOWN_MEMBER_ID);
    else
        group_rules(g)->leave(gs, g, q);
}

// ---- requests by API key ------------------------------------------------------------------------------------------------
static const struct {
    int16_t api;
    group_request_fn fn;
} REQUESTS[] = {
    {8, groups_commit},  {9, groups_fetch},           {11, groups_join},     {12, groups_heartbeat},
    {13, groups_leave},  {14, groups_sync},           {15, groups_describe}, {16, groups_list},
    {42, groups_delete}, {47, groups_delete_offsets}, {68, cg_heartbeat},    {69, cg_describe},
};

static void on_request(void *co, struct coord_req *q)
{
    if (!group_text_ok(q->group)) {
        coord_answer_error(((struct groups *)co)->x, q, KERR_INVALID_GROUP_ID);
        return;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(REQUESTS); i++)
        if (REQUESTS[i].api == q->api) {
            REQUESTS[i].fn(co, q);
            return;
        }
    struct groups *gs = co;
    coord_answer_error(gs->x, q, KERR_UNSUPPORTED_VERSION);
}

// ---- life ------------------------------------------------------------------------------------------------------------------
static void *on_create(struct crt_part *p, struct coord_ctx *x, void *arg)
{
    struct groups *gs = calloc(1, sizeof(*gs));
    if (!gs)
        sl_panic("coordinator: out of memory for partition %d", p ? p->key.partition : -1);
    gs->x = x;
    gs->env = arg;
    gs->loading = true;
    groups_sweep_init(gs);
    return gs;
}

static void on_loaded(void *co)
{
    struct groups *gs = co;
    struct group *g, *tmp;
    gs->loading = false;
    HASH_ITER(hh, gs->table, g, tmp)
    {
        coord_see(gs->x, g->mark);
        if (g->type)
            g->type->loaded(gs, g);
        else
            groups_collect(gs, g);
    }
    groups_sweep_start(gs);
}

static void on_let_go(void *co, int16_t error)
{
    struct groups *gs = co;
    struct group *g, *tmp;
    HASH_ITER(hh, gs->table, g, tmp)
    if (g->type)
        g->type->let_go(gs, g, error);
}

static void on_destroy(void *co)
{
    struct groups *gs = co;
    struct group *g, *tmp;
    HASH_ITER(hh, gs->table, g, tmp)
    {
        group_reset(gs, g, NULL, NULL);
        offsets_free(gs, g);
        groups_collect(gs, g);
    }
    offset_txns_free(gs);
    groups_sweep_stop(gs);
    SL_ASSERT(!gs->table && gs->memory == 0);
    free(gs);
}

const struct crt_ops groups_ops = {
    .name = "groups",
    .create = on_create,
    .replay = groups_replay,
    .replay_end = groups_replay_end,
    .loaded = on_loaded,
    .request = on_request,
    .let_go = on_let_go,
    .image = groups_image,
    .destroy = on_destroy,
};
