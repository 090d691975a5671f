// Looking things up in an image that do not belong to a topic, and what of the controller a configuration says.
#include "engine/meta/meta_private.h"

#include <stdlib.h>

const char *const meta_quota_keys[META_QUOTA_KEYS] = {"producer_byte_rate", "consumer_byte_rate",
                                                      "request_percentage", "controller_mutation_rate",
                                                      "connection_creation_rate"};
const char *const meta_quota_types[META_QUOTA_TYPES] = {"user", "client-id", "ip"};

int meta_resource_cmp(const void *a, const void *b)
{
    const struct meta_resource *x = a, *y = b;
    return x->type != y->type ? x->type - y->type : strcmp(x->name, y->name);
}

int meta_quota_cmp(const void *a, const void *b)
{
    const struct meta_quota *x = a, *y = b;
    for (int t = 0; t < META_QUOTA_TYPES; t++) {
        if (x->has[t] != y->has[t])
            return x->has[t] ? -1 : 1;
        int c = strcmp(x->names[t] ? x->names[t] : "", y->names[t] ? y->names[t] : "");
        if (c || !x->names[t] != !y->names[t])
            return c ? c : x->names[t] ? 1 : -1;
    }
    return 0;
}

const struct meta_resource *meta_find_resource(const struct meta_image *img, int8_t type, const char *name)
{
    struct meta_resource key = {.type = type, .name = name};
    return img->resources_n ? bsearch(&key, img->resources, img->resources_n, sizeof(key), meta_resource_cmp)
                            : NULL;
}

const char *meta_resource_config(const struct meta_resource *r, const char *key)
{
    for (uint32_t i = 0; r && i < r->configs_n; i++)
        if (!strcmp(r->configs[i].key, key))
            return r->configs[i].value;
    return NULL;
}

static const struct meta_quota *find_quota(const struct meta_image *img, const struct meta_quota *key,
                                           enum meta_quota_key what)
{
    const struct meta_quota *q = bsearch(key, img->quotas, img->quotas_n, sizeof(*key), meta_quota_cmp);
    return q && q->set & 1u << what ? q : NULL;
}

// Kafka's order (KIP-55): the closest entity that says anything.
const struct meta_quota *meta_find_quota(const struct meta_image *img, const char *user,
                                         const char *client_id, enum meta_quota_key what)
{
    const struct meta_quota order[] = {
        {.has = {true, true}, .names = {user, client_id}},
        {.has = {true, true}, .names = {user, NULL}},
        {.has = {true}, .names = {user}},
        {.has = {true, true}, .names = {NULL, client_id}},
        {.has = {true, true}},
        {.has = {true}},
        {.has = {false, true}, .names = {NULL, client_id}},
        {.has = {false, true}},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(order) && img->quotas_n; i++) {
        const struct meta_quota *q = find_quota(img, &order[i], what);
        if (q)
            return q;
    }
    return NULL;
}

const struct meta_quota *meta_find_ip_quota(const struct meta_image *img, const char *ip)
{
    const struct meta_quota own = {.has = {[META_QUOTA_IP] = true}, .names = {[META_QUOTA_IP] = ip}},
                            all = {.has = {[META_QUOTA_IP] = true}};
    const struct meta_quota *q = find_quota(img, &own, META_QUOTA_CONNECTIONS);
    return q ? q : find_quota(img, &all, META_QUOTA_CONNECTIONS);
}

void meta_controller_endpoint(const struct config *cfg, struct meta_endpoint *out)
{
    size_t n, advertised_n;
    const struct cfg_listener *l = cfg_listeners(cfg, &n), *adv = cfg_advertised(cfg, &advertised_n);
    size_t i = 0;
    while (i < n && !l[i].controller)
        i++;
    *out = (struct meta_endpoint){.listener = i < n ? l[i].name : "CONTROLLER"};
    if (i == n)
        i = 0;
    out->host = l[i].host[0] ? l[i].host : advertised_n ? adv[0].host : "localhost";
    out->port = l[i].port;
    out->security_protocol = (int16_t)l[i].protocol;
}

// ---- directories --------------------------------------------------------------------------------------------
bool dir_is(const struct sl_uuid *id, enum dir_reserved which)
{
    return sl_uuid_msb(id) == 0 && be64_load(id->b + 8) == (uint64_t)which;
}

bool meta_dir_online(const struct meta_broker *b, const struct sl_uuid *dir)
{
    if (dir_is(dir, DIR_UNASSIGNED) || dir_is(dir, DIR_MIGRATING))
        return true;
    if (dir_is(dir, DIR_LOST))
        return false;
    for (uint32_t i = 0; i < b->dirs_n; i++)
        if (sl_uuid_eq(&b->dirs[i], dir))
            return true;
    return b->dirs_n == 0; // a registration from before directories had ids
}

bool meta_offline_here(const struct meta_image *img, const struct meta_partition *p)
{
    const struct meta_broker *self = meta_find_broker(img, img->node_id);
    for (uint32_t i = 0; self && i < p->replicas_n; i++)
        if (p->replicas[i] == img->node_id)
            return !meta_dir_online(self, &p->directory);
    return false;
}
