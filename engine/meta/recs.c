// Records to be appended. A record's value, as upstream's MetadataRecordSerde writes it:
//   frame version  uvarint, 1
//   type           uvarint, the record's apiKey
//   version        uvarint
//   then the message, which is flexible in every version
#include "engine/meta/meta_private.h"

#include "engine/base/varint.h"

#include <stdlib.h>

void recs_init(struct recs *rs)
{
    memset(rs, 0, sizeof(*rs));
    arena_init(&rs->arena, 0);
}

void recs_free(struct recs *rs)
{
    arena_free(&rs->arena);
    free(rs->v);
    rs->v = NULL;
    rs->n = rs->cap = 0;
}

static int push(struct recs *rs, const uint8_t *p, size_t n)
{
    if (rs->n == rs->cap) {
        uint32_t cap = rs->cap ? rs->cap * 2 : 16;
        struct rec *v = realloc(rs->v, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        rs->v = v;
        rs->cap = cap;
    }
    rs->v[rs->n++] = (struct rec){.p = p, .n = (uint32_t)n};
    return 0;
}

static int add(struct recs *rs, enum meta_record type, int16_t version, const void *msg)
{
    const struct kp_message *k = kp_message_find(KP_KIND_METADATA, (int16_t)type);
    SL_ASSERT(k && version >= k->min && version <= k->max);
    int64_t size = k->size(msg, version);
    if (size < 0)
        return (int)size;
    uint8_t *p = arena_alloc(&rs->arena, (size_t)size + 3);
    if (!p)
        return -ENOMEM;
    // Types and versions are below 128: one byte each.
    p[0] = 1;
    p[1] = (uint8_t)type;
    p[2] = (uint8_t)version;
    struct kp_writer w = {.buf = p + 3, .cap = (size_t)size};
    int rc = k->encode(msg, version, &w);
    return rc ? rc : push(rs, p, (size_t)size + 3);
}

void recs_add(struct recs *rs, enum meta_record type, int16_t version, const void *msg)
{
    if (!rs->rc)
        rs->rc = add(rs, type, version, msg);
}

int recs_add_raw(struct recs *rs, const uint8_t *p, size_t n)
{
    uint8_t *q = arena_alloc(&rs->arena, n);
    if (!q)
        return -ENOMEM;
    memcpy(q, p, n);
    return push(rs, q, n);
}
