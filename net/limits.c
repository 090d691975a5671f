// Limits of connections: limits.h.
#include "net/limits.h"

#include "engine/base/log.h"
#include "engine/base/rate.h"
#include "engine/base/table.h"
#include "net/quota.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS        1000000ull
#define SECOND    (1000 * MS)
#define ASK_AGAIN (20 * MS) // who waits for another to leave
#define UNLIMITED INT32_MAX

struct address {
    char text[NET_PEER_MAX];
    int64_t max; // of overrides
    uint32_t n;  // connections
    UT_hash_handle hh;
};

struct net_limits {
    pthread_mutex_t lock;
    uint64_t rate_wait_max; // ns: the longest that one connection is held for the rate
    struct sl_rate *rate;
    char *overrides_text; // what the table was made of
    struct address *overrides, *addresses;
    uint32_t total;
    char protect[64]; // listener name; "": none
};

// ---- overrides -------------------------------------------------------------------------------------------------------------
static int add_override(struct net_limits *l, const char *text, int64_t max)
{
    struct address *a = NULL;
    HASH_FIND_STR(l->overrides, text, a);
    if (!a) {
        a = calloc(1, sizeof(*a));
        if (!a)
            return -1;
        snprintf(a->text, sizeof(a->text), "%s", text);
        HASH_ADD_STR(l->overrides, text, a);
    }
    a->max = max;
    return 0;
}

// A host may have several addresses, each of which gets the limit.
static int add_host(struct net_limits *l, const char *host, int flags, int64_t max)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *list = NULL;
    char text[NET_PEER_MAX];
    int rc = getaddrinfo(host, NULL, &hints, &list);
    for (struct addrinfo *i = list; !rc && i; i = i->ai_next) {
        const void *p = i->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)i->ai_addr)->sin_addr
                                                : (void *)&((struct sockaddr_in6 *)i->ai_addr)->sin6_addr;
        if (inet_ntop(i->ai_family, p, text, sizeof(text)))
            rc = add_override(l, text, max);
    }
    if (list)
        freeaddrinfo(list);
    return rc;
}

static void table_free(struct address **table)
{
    struct address *a, *next;
    HASH_ITER(hh, *table, a, next)
    {
        HASH_DEL(*table, a);
        free(a);
    }
}

// host:count,host:count; the form was checked with the configuration.
static int parse_overrides(struct net_limits *l, const char *text, int flags, char *err, size_t cap)
{
    char *copy = strdup(text), *save = NULL;
    int rc = copy ? 0 : -1;
    for (char *item = copy ? strtok_r(copy, ",", &save) : NULL; item && !rc;
         item = strtok_r(NULL, ",", &save)) {
        char *colon = strrchr(item, ':'), *host = item + strspn(item, " [");
        SL_ASSERT(colon);
        int64_t max = strtoll(colon + 1, NULL, 10);
        *colon = 0;
        host[strcspn(host, " ]")] = 0;
        rc = add_host(l, host, flags, max);
        if (rc)
            snprintf(err, cap, "max.connections.per.ip.overrides=%s: %s is no address%s", text, host,
                     flags & AI_NUMERICHOST ? "" : " and no known host name");
    }
    free(copy);
    return rc;
}

// The table follows the configuration. Names are looked up at the start only: that may take its time.
static int overrides_set(struct net_limits *l, const char *text, int flags, char *err, size_t cap)
{
    if (l->overrides_text && !strcmp(l->overrides_text, text))
        return 0;
    free(l->overrides_text);
    l->overrides_text = strdup(text);
    table_free(&l->overrides);
    return l->overrides_text ? parse_overrides(l, text, flags, err, cap) : -1;
}

// ---- set-up -------------------------------------------------------------------------------------------------------------------
// Upstream's rule: the listener of the brokers among themselves is kept open where clients have others.
static void find_protected(struct net_limits *l, const struct config *cfg)
{
    size_t n, clients = 0;
    const struct cfg_listener *all = cfg_listeners(cfg, &n);
    const char *name = cfg_str(cfg, CFG_INTER_BROKER_LISTENER_NAME);
    if (!name || !*name)
        name = cfg_str(cfg, CFG_SECURITY_INTER_BROKER_PROTOCOL);
    for (size_t i = 0; i < n; i++)
        clients += !all[i].controller;
    if (clients > 1)
        snprintf(l->protect, sizeof(l->protect), "%s", name);
}

struct net_limits *net_limits_create(const struct config *cfg, char *err, size_t cap)
{
    struct net_limits *l = calloc(1, sizeof(*l));
    uint64_t window = (uint64_t)cfg_int(cfg, CFG_QUOTA_WINDOW_SIZE_SECONDS) * SECOND;
    snprintf(err, cap, "out of memory for limits of connections");
    if (!l)
        return NULL;
    pthread_mutex_init(&l->lock, NULL);
    l->rate_wait_max = window;
    l->rate = quota_rate_new(cfg);
    find_protected(l, cfg);
    if (l->rate && !overrides_set(l, cfg_str(cfg, CFG_MAX_CONNECTIONS_PER_IP_OVERRIDES), 0, err, cap))
        return l;
    net_limits_destroy(l);
    return NULL;
}

void net_limits_destroy(struct net_limits *l)
{
    if (!l)
        return;
    table_free(&l->overrides);
    table_free(&l->addresses);
    pthread_mutex_destroy(&l->lock);
    free(l->rate);
    free(l->overrides_text);
    free(l);
}

// ---- entering and leaving --------------------------------------------------------------------------------------------------------
bool net_limits_protected(const struct net_limits *l, const struct cfg_listener *listener)
{
    return l->protect[0] && !strcmp(l->protect, listener->name);
}

static struct address *address_of(struct net_limits *l, const char *peer)
{
    struct address *a = NULL;
    HASH_FIND_STR(l->addresses, peer, a);
    if (a)
        return a;
    a = calloc(1, sizeof(*a));
    if (!a)
        sl_panic("out of memory for the address of a connection");
    snprintf(a->text, sizeof(a->text), "%s", peer);
    HASH_ADD_STR(l->addresses, text, a);
    return a;
}

static bool address_full(struct net_limits *l, const struct config *cfg, const char *peer)
{
    struct address *over = NULL, *a = NULL;
    HASH_FIND_STR(l->overrides, peer, over);
    HASH_FIND_STR(l->addresses, peer, a);
    int64_t max = over ? over->max : cfg_int(cfg, CFG_MAX_CONNECTIONS_PER_IP);
    return (a ? a->n : 0) >= max;
}

// How long this connection is held for the rate.
static uint64_t rate_wait(struct net_limits *l, const struct config *cfg, uint64_t now)
{
    int64_t max = cfg_int(cfg, CFG_MAX_CONNECTION_CREATION_RATE);
    if (max == UNLIMITED)
        return 0;
    sl_rate_add(l->rate, 1, now);
    uint64_t wait = max ? sl_rate_excess_ns(l->rate, (double)max, now) : l->rate_wait_max;
    return SL_MIN(wait, l->rate_wait_max);
}

static enum net_admit enter(struct net_limits *l, const struct config *cfg, const char *peer, bool protect,
                            uint64_t now, bool *counted, uint64_t *until)
{
    char err[256] = "";
    if (overrides_set(l, cfg_str(cfg, CFG_MAX_CONNECTIONS_PER_IP_OVERRIDES), AI_NUMERICHOST, err,
                      sizeof(err)))
        sl_log(SL_WARN, "net", "%s", err);
    if (!protect && l->total >= cfg_int(cfg, CFG_MAX_CONNECTIONS)) {
        *until = now + ASK_AGAIN;
        return NET_WAIT;
    }
    uint64_t wait = protect || *counted ? 0 : rate_wait(l, cfg, now);
    *counted = true;
    *until = now + wait;
    if (wait)
        return NET_WAIT;
    if (address_full(l, cfg, peer))
        return NET_REFUSE;
    address_of(l, peer)->n++;
    l->total++;
    return NET_ADMIT;
}

enum net_admit net_limits_enter(struct net_limits *l, const struct config *cfg, const char *peer,
                                const struct cfg_listener *listener, uint64_t now, bool *counted,
                                uint64_t *until)
{
    bool protect = net_limits_protected(l, listener);
    pthread_mutex_lock(&l->lock);
    enum net_admit a = enter(l, cfg, peer, protect, now, counted, until);
    pthread_mutex_unlock(&l->lock);
    return a;
}

void net_limits_leave(struct net_limits *l, const char *peer)
{
    struct address *a = NULL;
    pthread_mutex_lock(&l->lock);
    HASH_FIND_STR(l->addresses, peer, a);
    SL_ASSERT(a && a->n > 0 && l->total > 0);
    l->total--;
    if (--a->n == 0) {
        HASH_DEL(l->addresses, a);
        free(a);
    }
    pthread_mutex_unlock(&l->lock);
}

uint32_t net_limits_total(struct net_limits *l)
{
    pthread_mutex_lock(&l->lock);
    uint32_t n = l->total;
    pthread_mutex_unlock(&l->lock);
    return n;
}

bool net_limits_over(struct net_limits *l, const struct config *cfg)
{
    return net_limits_total(l) > cfg_int(cfg, CFG_MAX_CONNECTIONS);
}
