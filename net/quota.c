#include "net/quota.h"

#include "engine/base/rate.h"
#include "engine/base/sbuf.h"
#include "net/net_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS = META_QUOTA_REQUEST + 1, BUDGETS_MAX = 20000, IDLE_S = 3600 };
#define MS       1000000ull
#define SHARE_NS (100 * MS)
static const char USER[] = "ANONYMOUS"; // of all connections, without authentication

// What shares a quota: "u<user>" and "c<client id>", each if the quota's entity has it, with its NUL.
struct budget {
    struct sl_rate *rate[KINDS];
    double untold[KINDS]; // used here, and not told to the others yet
    uint64_t used;        // last, ns
    UT_hash_handle hh;
    uint32_t len;
    char key[];
};
struct quotas {
    struct budget *budgets; // in the order of their making
    struct timer share;
    bool armed;
    uint32_t told; // messages under way
    struct net *net;
};
// One message: entries of {kind, length of key, value, key}.
struct told {
    const struct net *from;
    uint32_t n;
    struct sbuf entries;
};
struct told_entry {
    uint32_t kind, len;
    double v;
};

// ---- budgets ------------------------------------------------------------------------------------------------------------
static void budget_free(struct quotas *q, struct budget *b)
{
    HASH_DEL(q->budgets, b);
    for (uint32_t k = 0; k < KINDS; k++)
        free(b->rate[k]);
    free(b);
}

// Those that nobody used for long go; beyond the limit, the oldest.
static void make_room(struct quotas *q, uint64_t now)
{
    struct budget *b, *next;
    HASH_ITER(hh, q->budgets, b, next)
    {
        if (now - b->used > IDLE_S * 1000 * MS || HASH_COUNT(q->budgets) >= BUDGETS_MAX)
            budget_free(q, b);
    }
}

static struct budget *budget_get(struct quotas *q, const char *key, uint32_t len)
{
    struct budget *b = NULL;
    uint64_t now = reactor_now(q->net->r);
    HASH_FIND(hh, q->budgets, key, len, b);
    if (!b) {
        if (HASH_COUNT(q->budgets) >= BUDGETS_MAX)
            make_room(q, now);
        b = calloc(1, sizeof(*b) + len);
        if (!b)
            sl_panic("out of memory for a quota");
        memcpy(b->key, key, len);
        b->len = len;
        HASH_ADD(hh, q->budgets, key, len, b);
    }
    b->used = now;
    return b;
}

struct sl_rate *quota_rate_new(const struct config *cfg)
{
    uint64_t window = (uint64_t)cfg_int(cfg, CFG_QUOTA_WINDOW_SIZE_SECONDS) * 1000 * MS;
    return sl_rate_new((uint32_t)SL_MIN(cfg_int(cfg, CFG_QUOTA_WINDOW_NUM), (int64_t)3600), window);
}

static struct sl_rate *rate_of(struct quotas *q, struct budget *b, uint32_t kind)
{
    if (!b->rate[kind])
        b->rate[kind] = quota_rate_new(q->net->cfg.cfg);
    if (!b->rate[kind])
        sl_panic("out of memory for a quota");
    return b->rate[kind];
}

// ---- telling the others -----------------------------------------------------------------------------------------------
static void tell_one(struct quotas *q, uint32_t to, const struct sbuf *entries, uint32_t n)
{
    struct told *t = calloc(1, sizeof(*t));
    if (!t)
        sl_panic("out of memory for quotas");
    *t = (struct told){.from = q->net, .n = n};
    sbuf_init(&t->entries);
    if (sbuf_append(&t->entries, entries->data, entries->len))
        sl_panic("out of memory for quotas");
    q->told++;
    reactor_request(q->net->r, to, NET_USED, SVC_NET)->u[0] = (uint64_t)(uintptr_t)t;
}

static uint32_t gather(struct quotas *q, struct sbuf *out)
{
    uint32_t n = 0;
    struct budget *b, *next;
    HASH_ITER(hh, q->budgets, b, next)
    {
        for (uint32_t k = 0; k < KINDS; k++) {
            struct told_entry e = {.kind = k, .len = b->len, .v = b->untold[k]};
            if (e.v <= 0)
                continue;
            if (sbuf_append(out, &e, sizeof(e)) || sbuf_append(out, b->key, b->len))
                sl_panic("out of memory for quotas");
            b->untold[k] = 0;
            n++;
        }
    }
    return n;
}

// To all or to none: a service to which there is no credit now hears of it the next time.
static void share_due(struct timer *t)
{
    struct quotas *q = SL_CONTAINER_OF(t, struct quotas, share);
    struct reactor_group *g = reactor_get_group(q->net->r);
    uint32_t me = reactor_id(q->net->r), n = reactor_group_size(g), took = 0;
    struct sbuf entries;
    q->armed = false;
    if (q->net->stopping)
        return;
    while (took < n && (took == me || !reactor_service(reactor_group_get(g, took), SVC_NET) ||
                        reactor_credit_take(q->net->r, took, 1)))
        took++;
    bool all = took == n;
    sbuf_init(&entries);
    uint32_t count = all ? gather(q, &entries) : 0;
    for (uint32_t i = 0; i < took; i++) {
        if (i == me || !reactor_service(reactor_group_get(g, i), SVC_NET))
            continue;
        if (count)
            tell_one(q, i, &entries, count);
        else
            reactor_credit_give(q->net->r, i, 1);
    }
    sbuf_free(&entries);
    if (!all) {
        q->armed = true;
        timer_set(q->net->r, t, reactor_now(q->net->r) + SHARE_NS);
    }
}

static void heard(struct quotas *q, const struct told *t)
{
    const char *p = t->entries.data;
    for (uint32_t i = 0; i < t->n; i++) {
        struct told_entry e;
        memcpy(&e, p, sizeof(e));
        struct budget *b = budget_get(q, p + sizeof(e), e.len);
        sl_rate_add(rate_of(q, b, e.kind), e.v, reactor_now(q->net->r));
        p += sizeof(e) + e.len;
    }
}

static struct quotas *quotas(struct net *n)
{
    if (!n->quotas) {
        n->quotas = calloc(1, sizeof(*n->quotas));
        if (!n->quotas)
            sl_panic("out of memory for quotas");
        n->quotas->net = n;
        timer_init(&n->quotas->share, share_due);
    }
    return n->quotas;
}

void quota_on_msg(struct net *n, uint32_t from, const struct spsc_msg *m)
{
    struct told *t = (struct told *)(uintptr_t)m->u[0];
    if (t->from != n) {
        heard(quotas(n), t);
        reactor_reply(n->r, from, NET_USED, SVC_NET)->u[0] = m->u[0];
        return;
    }
    sbuf_free(&t->entries);
    free(t);
    n->quotas->told--;
    reactor_credit_give(n->r, from, 1);
    net_maybe_stopped(n);
}

bool quota_settled(const struct net *n)
{
    return !n->quotas || !n->quotas->told;
}

void quota_destroy(struct net *n)
{
    struct quotas *q = n->quotas;
    struct budget *b, *next;
    if (!q)
        return;
    timer_cancel(n->r, &q->share);
    HASH_ITER(hh, q->budgets, b, next)
    {
        budget_free(q, b);
    }
    free(q);
    n->quotas = NULL;
}

// ---- a request ------------------------------------------------------------------------------------------------------------
bool quota_any(const struct net *n)
{
    const struct meta_image *img = net_image(n);
    return img && img->quotas_n;
}

static const char *client_of(struct req *r)
{
    size_t n = (size_t)SL_MAX(r->client_id.n, 0);
    char *client = req_alloc(r, n + 1);
    if (n)
        memcpy(client, r->client_id.p, n);
    return client;
}

// The quota that counts for the request's client; NULL: none.
static const struct meta_quota *quota_of(struct req *r, enum meta_quota_key what)
{
    return quota_any(r->net) ? meta_find_quota(net_image(r->net), USER, client_of(r), what) : NULL;
}

// Who shares it, with its NUL. The quota of a default entity is a budget for each name that it stands for.
static void key_make(struct req *r, const struct meta_quota *quota, struct sbuf *key)
{
    sbuf_init(key);
    int rc = quota->has[META_QUOTA_USER] ? sbuf_printf(key, "u%s", USER) : 0;
    if (!rc && quota->has[META_QUOTA_CLIENT])
        rc = sbuf_printf(key, "c%s", client_of(r));
    if (rc || sbuf_append(key, "", 1))
        sl_panic("out of memory for a quota");
}

// What the client used of it.
static struct budget *budget_of(struct req *r, const struct meta_quota *quota)
{
    struct sbuf key;
    key_make(r, quota, &key);
    struct budget *b = budget_get(quotas(r->net), key.data, (uint32_t)key.len);
    sbuf_free(&key);
    return b;
}

// Percents of a thread for the time of requests.
static double amount(enum meta_quota_key what, double v)
{
    return what == META_QUOTA_REQUEST ? v * 100 / 1e9 : v;
}

static uint32_t throttle_ms(struct quotas *q, struct sl_rate *rate, enum meta_quota_key what, double limit)
{
    double ns = (double)sl_rate_excess_ns(rate, SL_MAX(limit, 1e-9), reactor_now(q->net->r));
    double most = INT32_MAX; // KIP-124: a window at most for the time of requests
    if (what == META_QUOTA_REQUEST)
        most = (double)cfg_int(q->net->cfg.cfg, CFG_QUOTA_WINDOW_SIZE_SECONDS) * 1000;
    return (uint32_t)SL_MIN(round(ns / (double)MS), most);
}

uint32_t quota_record(struct req *r, enum meta_quota_key what, double v)
{
    const struct meta_quota *quota = quota_of(r, what);
    if (!quota)
        return 0;
    struct budget *b = budget_of(r, quota);
    struct quotas *q = r->net->quotas;
    struct sl_rate *rate = rate_of(q, b, what);
    sl_rate_add(rate, amount(what, v), reactor_now(r->net->r));
    b->untold[what] += amount(what, v);
    if (!q->armed && r->net->cfg.placement->nets > 1 && !r->net->stopping) {
        q->armed = true;
        timer_set(r->net->r, &q->share, reactor_now(r->net->r) + SHARE_NS);
    }
    return throttle_ms(q, rate, what, quota->values[what]);
}

void quota_unrecord(struct req *r, enum meta_quota_key what, double v)
{
    const struct meta_quota *quota = quota_of(r, what);
    if (!quota)
        return;
    struct budget *b = budget_of(r, quota);
    sl_rate_take_back(rate_of(r->net->quotas, b, what), amount(what, v));
    b->untold[what] = SL_MAX(b->untold[what] - amount(what, v), 0);
}

uint32_t quota_window_bytes(struct req *r, enum meta_quota_key what)
{
    const struct config *cfg = r->net->cfg.cfg;
    const struct meta_quota *quota = quota_of(r, what);
    if (!quota)
        return UINT32_MAX;
    double most = quota->values[what] * (double)cfg_int(cfg, CFG_QUOTA_WINDOW_NUM) *
                  (double)cfg_int(cfg, CFG_QUOTA_WINDOW_SIZE_SECONDS);
    return (uint32_t)SL_MIN(most, (double)UINT32_MAX);
}

// ---- changes of partitions -------------------------------------------------------------------------------------------------
void quota_mutations(struct req *r, int16_t since, struct meta_mutations *q)
{
    const struct config *cfg = r->net->cfg.cfg;
    const struct meta_quota *quota = quota_of(r, META_QUOTA_MUTATIONS);
    struct sbuf key;
    *q = (struct meta_mutations){.strict = r->version >= since};
    if (!quota)
        return;
    key_make(r, quota, &key);
    char *own = req_alloc(r, key.len);
    memcpy(own, key.data, key.len);
    sbuf_free(&key);
    q->key = own;
    q->rate = quota->values[META_QUOTA_MUTATIONS];
    q->burst = q->rate * (double)cfg_int(cfg, CFG_CONTROLLER_QUOTA_WINDOW_NUM) *
               (double)cfg_int(cfg, CFG_CONTROLLER_QUOTA_WINDOW_SIZE_SECONDS);
}

void quota_mutated(struct req *r, const struct meta_mutations *q)
{
    r->throttle_ms = SL_MAX(r->throttle_ms, q->throttle_ms);
}
