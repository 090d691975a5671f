// See common.h.
#include "net/api/common.h"

#include "engine/base/hash.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TOPIC_NAME_MAX = 249, TEXT_MAX = 1024 };

// ---- strings -----------------------------------------------------------------------------------------------------------
struct kp_str api_copy(struct req *r, const char *s)
{
    if (!s)
        return KP_STR_NULL;
    size_t n = strlen(s);
    char *p = req_alloc(r, n + 1);
    memcpy(p, s, n);
    return (struct kp_str){p, (int32_t)n};
}

const char *api_cstr(struct req *r, struct kp_str s)
{
    if (s.n < 0)
        return NULL;
    char *p = req_alloc(r, (size_t)s.n + 1);
    if (s.n)
        memcpy(p, s.p, (size_t)s.n);
    return p;
}

struct kp_str api_text(struct req *r, const char *fmt, ...)
{
    char buf[TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    return api_copy(r, buf);
}

struct kp_str api_path(struct req *r, const char *path)
{
    char here[1024];
    if (path[0] == '/' || !getcwd(here, sizeof(here)))
        return api_copy(r, path);
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    return api_text(r, "%s/%s", here, path);
}

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

const char *api_topic_name_error(struct req *r, struct kp_str name)
{
    int n = name.n;
    if (n <= 0)
        return "Topic name is invalid: the empty string is not allowed";
    if ((n == 1 && name.p[0] == '.') || (n == 2 && !memcmp(name.p, "..", 2)))
        return api_text(r, "Topic name is invalid: '%.*s' is not allowed", n, name.p).p;
    if (n > TOPIC_NAME_MAX)
        return api_text(
                   r, "Topic name is invalid: the length of '%.*s' is longer than the max allowed length %d",
                   n, name.p, TOPIC_NAME_MAX)
            .p;
    for (int i = 0; i < n; i++)
        if (!name_char(name.p[i]))
            return api_text(r,
                            "Topic name is invalid: '%.*s' contains one or more characters other than ASCII "
                            "alphanumerics, '.', '_' and '-'",
                            n, name.p)
                .p;
    return NULL;
}

// ---- the image ---------------------------------------------------------------------------------------------------------
const struct meta_topic *api_topic(const struct req *r, struct kp_str name)
{
    const struct meta_image *img = net_image(r->net);
    return img && name.n > 0 ? meta_find_topic(img, name.p, (size_t)name.n) : NULL;
}

const struct meta_topic *api_topic_by_id(const struct req *r, const struct sl_uuid *id)
{
    const struct meta_image *img = net_image(r->net);
    return img && !sl_uuid_is_zero(id) ? meta_find_topic_id(img, id) : NULL;
}

int16_t api_check_leader(const struct req *r, const struct meta_topic *t, int32_t partition)
{
    if (!t || partition < 0 || (uint32_t)partition >= t->partitions_n)
        return KERR_UNKNOWN_TOPIC_OR_PARTITION;
    const struct meta_image *img = net_image(r->net);
    if (t->partitions[partition].leader < 0 && meta_offline_here(img, &t->partitions[partition]))
        return KERR_KAFKA_STORAGE_ERROR;
    return t->partitions[partition].leader == img->node_id ? KERR_NONE : KERR_NOT_LEADER_OR_FOLLOWER;
}

int32_t api_offline_replicas(const struct req *r, const struct meta_partition *p, int32_t *out)
{
    const struct meta_image *img = net_image(r->net);
    const struct meta_endpoint *ep;
    int32_t n = 0;
    for (uint32_t i = 0; i < p->replicas_n; i++)
        if (!api_live_broker(r, p->replicas[i], &ep) ||
            (p->replicas[i] == img->node_id && meta_offline_here(img, p)))
            out[n++] = p->replicas[i];
    return n;
}

const struct meta_broker *api_live_broker(const struct req *r, int32_t id, const struct meta_endpoint **ep)
{
    const struct meta_image *img = net_image(r->net);
    const struct meta_broker *b = img ? meta_find_broker(img, id) : NULL;
    if (!b || b->fenced)
        return NULL;
    *ep = conn_endpoint(r->conn, b);
    return *ep ? b : NULL;
}

int32_t api_controller_id(const struct req *r)
{
    const struct meta_image *img = net_image(r->net);
    const struct meta_endpoint *ep;
    if (!img || api_live_broker(r, img->controller_id, &ep))
        return img ? img->controller_id : -1;
    for (uint32_t i = 0; i < img->brokers_n; i++)
        if (api_live_broker(r, img->brokers[i].id, &ep))
            return img->brokers[i].id;
    return -1;
}

// ---- sets --------------------------------------------------------------------------------------------------------------
void api_set_init(struct req *r, struct api_set *s, uint32_t max)
{
    uint32_t n = 8;
    while (n < max * 2ull)
        n *= 2;
    s->slots = req_alloc_array(r, n, sizeof(*s->slots));
    s->mask = n - 1;
    s->seed = sl_hash_pair(r->t_received, (uint64_t)(uintptr_t)r);
}

static struct api_set_slot *set_slot(const struct api_set *s, const void *key, size_t n)
{
    uint64_t h = sl_hash64(key, n, s->seed);
    for (uint32_t i = (uint32_t)h & s->mask;; i = (i + 1) & s->mask) {
        struct api_set_slot *e = &s->slots[i];
        if (!e->key || (e->n == n && memcmp(e->key, key, n) == 0))
            return e;
    }
}

uint32_t api_set_put(struct api_set *s, const void *key, size_t n, uint32_t value)
{
    struct api_set_slot *e = set_slot(s, key ? key : "", n);
    if (!e->key)
        *e = (struct api_set_slot){.key = key ? key : "", .n = (uint32_t)n, .value = value};
    return e->value;
}

struct place_key {
    uint32_t topic;
    int32_t partition;
};
SL_STATIC_ASSERT(sizeof(struct place_key) == 8, "hashed as bytes, so it must have no padding");

static void place(struct api_places *p, struct api_set *seen, struct place_key *key, const void *in)
{
    uint32_t k = api_set_put(seen, key, sizeof(*key), p->parts_n);
    if (k == p->parts_n) {
        p->parts[p->parts_n++] = (struct api_place){.topic = key->topic, .partition = key->partition};
        p->room[key->topic]++;
    }
    p->parts[k].times++;
    p->parts[k].in = in;
}

void api_places_make(struct req *r, struct api_places *p, const struct api_named *topics, uint32_t n,
                     size_t size, size_t index_at)
{
    struct api_set names, seen;
    uint32_t named = 0;
    for (uint32_t i = 0; i < n; i++)
        named += (uint32_t)SL_MAX(topics[i].parts_n, 0);
    *p = (struct api_places){.names = req_alloc_array(r, n, sizeof(*p->names)),
                             .room = req_alloc_array(r, n, sizeof(*p->room)),
                             .parts = req_alloc_array(r, named, sizeof(*p->parts))};
    struct place_key *key = req_alloc_array(r, named, sizeof(*key));
    api_set_init(r, &names, n);
    api_set_init(r, &seen, named);
    for (uint32_t i = 0; i < n; i++) {
        const struct api_named *t = &topics[i];
        if (t->parts_n <= 0)
            continue;
        uint32_t k = api_set_put(&names, t->name.p, (size_t)SL_MAX(t->name.n, 0), p->topics_n);
        if (k == p->topics_n)
            p->names[p->topics_n++] = t->name;
        for (int32_t j = 0; j < t->parts_n; j++, key++) {
            const uint8_t *in = (const uint8_t *)t->parts + (size_t)j * size;
            *key = (struct place_key){.topic = k};
            memcpy(&key->partition, in + index_at, sizeof(key->partition));
            place(p, &seen, key, in);
        }
    }
}

uint32_t api_set_get(const struct api_set *s, const void *key, size_t n)
{
    const struct api_set_slot *e = set_slot(s, key ? key : "", n);
    return e->key ? e->value : UINT32_MAX;
}
