/* Listeners and the controller quorum: what their keys say, alone and together. */
#include "engine/base/config_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char protocol_words[] = "PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL";

/* Which protocol each listener name speaks. */
struct protocol_map {
    size_t count;
    struct {
        char name[64];
        enum cfg_protocol protocol;
    } at[CFG_LISTENERS_MAX];
};

static void copy_upper(char *to, const char *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (char)toupper((unsigned char)from[i]);
    to[len] = '\0';
}

/* One NAME:PROTOCOL, blanks around allowed. */
static bool map_add(struct protocol_map *m, const char *p, size_t len)
{
    while (len > 0 && isspace((unsigned char)*p))
        p++, len--;
    while (len > 0 && isspace((unsigned char)p[len - 1]))
        len--;
    const char *colon = memchr(p, ':', len);
    size_t name_len = colon ? (size_t)(colon - p) : 0;
    size_t word_len = colon ? len - name_len - 1 : 0;
    char word[32];
    size_t index;
    if (name_len == 0 || name_len >= sizeof(m->at[0].name) || word_len >= sizeof(word) ||
        m->count == CFG_LISTENERS_MAX)
        return false;
    copy_upper(word, colon + 1, word_len);
    if (!config_word_in(protocol_words, word, false, &index))
        return false;
    copy_upper(m->at[m->count].name, p, name_len);
    m->at[m->count++].protocol = (enum cfg_protocol)index;
    return true;
}

static int map_find(const struct protocol_map *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->at[i].name, name) == 0)
            return (int)m->at[i].protocol;
    }
    return -ENOENT;
}

static bool is_controller_name(const struct config *c, const char *name)
{
    const struct cfg_list *l = &c->values[CFG_CONTROLLER_LISTENER_NAMES].list;
    for (size_t i = 0; i < l->count; i++) {
        if (strcasecmp(l->items[i], name) == 0)
            return true;
    }
    return false;
}

static int read_map(const struct config *c, struct protocol_map *m, char *err, size_t err_len)
{
    const struct cfg_value *v = &c->values[CFG_LISTENER_SECURITY_PROTOCOL_MAP];
    for (const char *p = v->text; *p;) {
        size_t len = strcspn(p, ",");
        if (!map_add(m, p, len))
            return config_fail(
                err, err_len,
                "listener.security.protocol.map=%s: must be NAME:PROTOCOL,..., with PROTOCOL one of "
                "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
                v->text);
        p += len + (p[len] == ',');
    }
    /* As upstream: controller listeners speak PLAINTEXT unless the map was written by hand. */
    const struct cfg_list *names = &c->values[CFG_CONTROLLER_LISTENER_NAMES].list;
    for (size_t i = 0; v->from == CFG_FROM_DEFAULT && i < names->count && m->count < CFG_LISTENERS_MAX; i++) {
        size_t len = strlen(names->items[i]);
        if (len < sizeof(m->at[0].name)) {
            copy_upper(m->at[m->count].name, names->items[i], len);
            m->at[m->count++].protocol = CFG_PLAINTEXT;
        }
    }
    return 0;
}

/* host:port with the host perhaps in brackets, up to `max` bytes of host. */
static bool parse_host_port(const char *p, char *host, size_t max, uint16_t *port)
{
    const char *h = p, *colon = strrchr(p, ':');
    if (!colon)
        return false;
    size_t len = (size_t)(colon - p);
    if (*p == '[') {
        if (len < 2 || p[len - 1] != ']')
            return false;
        h++;
        len -= 2;
    } else if (memchr(p, ':', len)) {
        return false;
    }
    size_t digits = strspn(colon + 1, "0123456789");
    unsigned long n = strtoul(colon + 1, NULL, 10);
    if (len >= max || digits == 0 || digits > 5 || colon[1 + digits] != '\0' || n > UINT16_MAX)
        return false;
    memcpy(host, h, len);
    host[len] = '\0';
    *port = (uint16_t)n;
    return true;
}

static int parse_listener(const struct config *c, enum cfg_key key, const char *item,
                          const struct protocol_map *m, struct cfg_listener *out, char *err, size_t err_len)
{
    const char *k = cfg_rows[key].spec.name;
    const char *sep = strstr(item, "://");
    size_t name_len = sep ? (size_t)(sep - item) : 0;
    memset(out, 0, sizeof(*out));
    if (name_len == 0 || name_len >= sizeof(out->name) ||
        !parse_host_port(sep + 3, out->host, sizeof(out->host), &out->port))
        return config_fail(err, err_len, "%s=%s: must be NAME://host:port", k, item);
    copy_upper(out->name, item, name_len);
    int protocol = map_find(m, out->name);
    if (protocol < 0)
        return config_fail(err, err_len, "%s=%s: listener.security.protocol.map has no protocol for %s", k,
                           item, out->name);
    if (protocol != CFG_PLAINTEXT)
        return config_fail(err, err_len, "%s=%s: only PLAINTEXT listeners are served, and %s speaks %s", k,
                           item, out->name,
                           protocol == CFG_SSL        ? "SSL"
                           : protocol == CFG_SASL_SSL ? "SASL_SSL"
                                                      : "SASL_PLAINTEXT");
    out->protocol = (enum cfg_protocol)protocol;
    out->controller = is_controller_name(c, out->name);
    return 0;
}

static bool is_any_address(const char *host)
{
    return *host == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static const struct cfg_listener *find_listener(const struct cfg_listener *l, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(l[i].name, name) == 0)
            return &l[i];
    }
    return NULL;
}

static int read_listeners(struct config *c, const struct protocol_map *m, char *err, size_t err_len)
{
    const struct cfg_list *l = &c->values[CFG_LISTENERS].list;
    size_t brokers = 0;
    if (l->count > CFG_LISTENERS_MAX)
        return config_fail(err, err_len, "listeners: must be at most %d", CFG_LISTENERS_MAX);
    for (size_t i = 0; i < l->count; i++) {
        struct cfg_listener x;
        int rc = parse_listener(c, CFG_LISTENERS, l->items[i], m, &x, err, err_len);
        if (rc)
            return rc;
        if (find_listener(c->listeners, i, x.name))
            return config_fail(err, err_len, "listeners=%s: names %s twice", c->values[CFG_LISTENERS].text,
                               x.name);
        for (size_t j = 0; j < i; j++) {
            if (x.port && x.port == c->listeners[j].port && strcmp(x.host, c->listeners[j].host) == 0)
                return config_fail(err, err_len, "listeners=%s: two listeners share a port",
                                   c->values[CFG_LISTENERS].text);
        }
        c->listeners[i] = x;
        c->listener_count = i + 1;
        brokers += !x.controller;
    }
    if (brokers == 0)
        return config_fail(err, err_len,
                           "listeners=%s: must have one that is not in controller.listener.names",
                           c->values[CFG_LISTENERS].text);
    return 0;
}

/* advertised.listeners is null: every broker listener as it listens, under this machine's name where it
 * listens on every address by an empty host. */
static int derive_advertised(struct config *c, char *err, size_t err_len)
{
    for (size_t i = 0; i < c->listener_count; i++) {
        struct cfg_listener x = c->listeners[i];
        if (x.controller)
            continue;
        if (x.host[0] == '\0' && gethostname(x.host, sizeof(x.host) - 1))
            return config_fail(err, err_len, "listeners: this machine has no name: %s", strerror(errno));
        if (is_any_address(x.host))
            return config_fail(
                err, err_len,
                "advertised.listeners: must be set, since clients cannot connect to %s of listeners", x.host);
        c->advertised[c->advertised_count++] = x;
    }
    return 0;
}

static int read_advertised(struct config *c, const struct protocol_map *m, char *err, size_t err_len)
{
    const struct cfg_list *l = &c->values[CFG_ADVERTISED_LISTENERS].list;
    if (!c->values[CFG_ADVERTISED_LISTENERS].text)
        return derive_advertised(c, err, err_len);
    if (l->count > CFG_LISTENERS_MAX)
        return config_fail(err, err_len, "advertised.listeners: must be at most %d", CFG_LISTENERS_MAX);
    for (size_t i = 0; i < l->count; i++) {
        struct cfg_listener x;
        int rc = parse_listener(c, CFG_ADVERTISED_LISTENERS, l->items[i], m, &x, err, err_len);
        if (rc)
            return rc;
        if (is_any_address(x.host))
            return config_fail(err, err_len,
                               "advertised.listeners=%s: must name an address that clients can reach",
                               l->items[i]);
        if (!find_listener(c->listeners, c->listener_count, x.name))
            return config_fail(err, err_len, "advertised.listeners=%s: %s is not in listeners", l->items[i],
                               x.name);
        if (find_listener(c->advertised, c->advertised_count, x.name))
            return config_fail(err, err_len, "advertised.listeners=%s: names %s twice",
                               c->values[CFG_ADVERTISED_LISTENERS].text, x.name);
        if (!x.controller)
            c->advertised[c->advertised_count++] = x;
    }
    if (c->advertised_count == 0)
        return config_fail(err, err_len, "advertised.listeners=%s: must have one that is not for controllers",
                           c->values[CFG_ADVERTISED_LISTENERS].text);
    return 0;
}

static int check_inter_broker(const struct config *c, char *err, size_t err_len)
{
    const struct cfg_value *name = &c->values[CFG_INTER_BROKER_LISTENER_NAME];
    const struct cfg_value *protocol = &c->values[CFG_SECURITY_INTER_BROKER_PROTOCOL];
    if (name->text && protocol->from != CFG_FROM_DEFAULT)
        return config_fail(err, err_len,
                           "inter.broker.listener.name=%s: only one of it and security.inter.broker.protocol",
                           name->text);
    if (name->text && !find_listener(c->advertised, c->advertised_count, name->text))
        return config_fail(err, err_len,
                           "inter.broker.listener.name=%s: must be one of the advertised listeners",
                           name->text);
    if (strcmp(protocol->text, "PLAINTEXT") != 0)
        return config_fail(err, err_len, "security.inter.broker.protocol=%s: only PLAINTEXT is served",
                           protocol->text);
    return 0;
}

int config_finish_listeners(struct config *c, char *err, size_t err_len)
{
    struct protocol_map m = {0};
    int rc = read_map(c, &m, err, err_len);
    if (rc == 0)
        rc = read_listeners(c, &m, err, err_len);
    if (rc == 0)
        rc = read_advertised(c, &m, err, err_len);
    if (rc == 0)
        rc = check_inter_broker(c, err, err_len);
    return rc;
}

/* Whether host is a name or address of this node, as far as its own configuration tells. */
static bool is_own_host(const struct config *c, const char *host)
{
    char own[256] = "";
    if (gethostname(own, sizeof(own) - 1) == 0 && strcasecmp(own, host) == 0)
        return true;
    if (strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
        is_any_address(host))
        return true;
    for (size_t i = 0; i < c->listener_count; i++) {
        if (strcasecmp(c->listeners[i].host, host) == 0)
            return true;
    }
    for (size_t i = 0; i < c->advertised_count; i++) {
        if (strcasecmp(c->advertised[i].host, host) == 0)
            return true;
    }
    return false;
}

/* Whether host:port is where this node's controller would be: its controller listener, when it has one. */
static bool is_own_controller(const struct config *c, const char *address)
{
    char host[256];
    uint16_t port;
    bool any = false, same = false;
    if (!parse_host_port(address, host, sizeof(host), &port) || !is_own_host(c, host))
        return false;
    for (size_t i = 0; i < c->listener_count; i++) {
        any |= c->listeners[i].controller;
        same |= c->listeners[i].controller && c->listeners[i].port == port;
    }
    return !any || same;
}

int config_finish_quorum(struct config *c, char *err, size_t err_len)
{
    const struct cfg_list *voters = &c->values[CFG_CONTROLLER_QUORUM_VOTERS].list;
    const struct cfg_list *servers = &c->values[CFG_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS].list;
    for (size_t i = 0; i < voters->count; i++) {
        char *end;
        long long id = strtoll(voters->items[i], &end, 10);
        if (voters->count > 1 || end == voters->items[i] || *end != '@' ||
            id != c->values[CFG_NODE_ID].number || !is_own_controller(c, end + 1))
            return config_fail(
                err, err_len,
                "controller.quorum.voters=%s: must name this node alone, as %s@host:port; quorums of "
                "several controllers are not served",
                c->values[CFG_CONTROLLER_QUORUM_VOTERS].text, c->values[CFG_NODE_ID].text);
    }
    for (size_t i = 0; i < servers->count; i++) {
        if (!is_own_controller(c, servers->items[i]))
            return config_fail(
                err, err_len,
                "controller.quorum.bootstrap.servers=%s: must name this node alone; controllers "
                "elsewhere are not served",
                c->values[CFG_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS].text);
    }
    return 0;
}
