/* Random messages, made from the field tables: the same seed gives the same message on every machine. */
#ifndef SLUICE_TESTS_PROTO_FILL_H
#define SLUICE_TESTS_PROTO_FILL_H

#include "engine/base/bytes.h"
#include "proto/reflect.h"

struct fill {
    uint64_t state;
    struct arena *a;
    int16_t version;
    int depth;
};

static inline uint64_t fill_next(struct fill *f)
{
    uint64_t z = (f->state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static inline uint32_t fill_below(struct fill *f, uint32_t n)
{
    return (uint32_t)(fill_next(f) % n);
}

static inline void *fill_alloc(struct fill *f, size_t n)
{
    void *p = arena_alloc(f->a, n ? n : 1);
    SL_ASSERT(p);
    return p;
}

/* Small, extreme and any numbers alike. */
static inline uint64_t fill_number(struct fill *f)
{
    static const uint64_t edges[] = {0,         1,           UINT64_MAX, INT64_MAX, (uint64_t)INT64_MIN,
                                     INT32_MAX, 0x80000000u, 127,        128};
    switch (fill_below(f, 4)) {
    case 0:
        return edges[fill_below(f, SL_ARRAY_LEN(edges))];
    case 1:
        return fill_below(f, 100);
    default:
        return fill_next(f);
    }
}

/* Lengths on both sides of the places where a compact length grows. */
static inline int32_t fill_length(struct fill *f)
{
    static const int32_t edges[] = {0, 126, 127, 128, 300};
    return fill_below(f, 8) ? (int32_t)fill_below(f, 13) : edges[fill_below(f, SL_ARRAY_LEN(edges))];
}

/* Valid UTF-8 of one to three bytes a character, so that others can decode it. */
static inline struct kp_str fill_str(struct fill *f)
{
    int32_t n = fill_length(f), i = 0;
    char *p = fill_alloc(f, (size_t)n + 3);
    while (i < n) {
        uint32_t c = fill_below(f, 8) ? 'a' + fill_below(f, 26) : 0x80 + fill_below(f, 0xd000);
        if (c < 0x80) {
            p[i++] = (char)c;
        } else if (c < 0x800) {
            p[i++] = (char)(0xc0 | c >> 6);
            p[i++] = (char)(0x80 | (c & 0x3f));
        } else {
            p[i++] = (char)(0xe0 | c >> 12);
            p[i++] = (char)(0x80 | (c >> 6 & 0x3f));
            p[i++] = (char)(0x80 | (c & 0x3f));
        }
    }
    return (struct kp_str){p, i};
}

static inline struct kp_bytes fill_bytes(struct fill *f)
{
    int32_t n = fill_length(f);
    uint8_t *p = fill_alloc(f, (size_t)n);
    for (int32_t i = 0; i < n; i++)
        p[i] = (uint8_t)fill_next(f);
    return (struct kp_bytes){p, n};
}

static inline size_t fill_elem_size(const struct kp_field_info *fi)
{
    static const uint8_t sizes[] = {
        [KP_TYPE_BOOL] = 1,
        [KP_TYPE_INT8] = 1,
        [KP_TYPE_INT16] = 2,
        [KP_TYPE_UINT16] = 2,
        [KP_TYPE_INT32] = 4,
        [KP_TYPE_UINT32] = 4,
        [KP_TYPE_INT64] = 8,
        [KP_TYPE_FLOAT64] = 8,
        [KP_TYPE_UUID] = 16,
        [KP_TYPE_STRING] = sizeof(struct kp_str),
        [KP_TYPE_BYTES] = sizeof(struct kp_bytes),
        [KP_TYPE_RECORDS] = sizeof(struct kp_records),
    };
    return fi->type == KP_TYPE_STRUCT ? fi->sub->size : sizes[fi->type];
}

/* One number of the field's width, in the machine's byte order. */
static inline void fill_scalar(struct fill *f, uint8_t type, void *at, size_t size)
{
    uint64_t u = fill_number(f);
    double d = (double)(int64_t)fill_next(f) / 1024.0;
    if (type == KP_TYPE_BOOL)
        u &= 1;
    if (type == KP_TYPE_FLOAT64)
        memcpy(&u, &d, sizeof(u));
    uint8_t le[8];
    le64_store(le, u);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(at, le, size);
#else
#error "the filler knows little-endian machines only"
#endif
}

static inline void fill_struct(struct fill *f, const struct kp_struct_info *si, void *base);

static inline void fill_one(struct fill *f, const struct kp_field_info *fi, void *at)
{
    switch (fi->type) {
    case KP_TYPE_STRING:
        *(struct kp_str *)at = fill_str(f);
        break;
    case KP_TYPE_BYTES:
        *(struct kp_bytes *)at = fill_bytes(f);
        break;
    case KP_TYPE_RECORDS: {
        struct kp_bytes b = fill_bytes(f);
        *(struct kp_records *)at = (struct kp_records){.p = b.p, .n = b.n};
        break;
    }
    case KP_TYPE_UUID:
        be64_store(at, fill_next(f));
        be64_store((uint8_t *)at + 8, fill_next(f));
        break;
    case KP_TYPE_STRUCT:
        fill_struct(f, fi->sub, at);
        break;
    default:
        fill_scalar(f, fi->type, at, fill_elem_size(fi));
        break;
    }
}

/* Sets a nullable field to null. */
static inline void fill_null(const struct kp_field_info *fi, uint8_t *base)
{
    static const int32_t none = -1;
    if (fi->array) {
        memset(base + fi->offset, 0, sizeof(void *));
        memcpy(base + fi->offset_n, &none, sizeof(none));
    } else if (fi->pointer) {
        memset(base + fi->offset, 0, sizeof(void *));
    } else if (fi->type == KP_TYPE_STRING) {
        *(struct kp_str *)(void *)(base + fi->offset) = KP_STR_NULL;
    } else if (fi->type == KP_TYPE_BYTES) {
        *(struct kp_bytes *)(void *)(base + fi->offset) = KP_BYTES_NULL;
    } else {
        *(struct kp_records *)(void *)(base + fi->offset) = (struct kp_records){.n = -1};
    }
}

static inline void fill_array(struct fill *f, const struct kp_field_info *fi, uint8_t *base)
{
    int32_t n = (int32_t)fill_below(f, f->depth > 2 ? 3 : 4);
    size_t size = fill_elem_size(fi);
    uint8_t *p = n ? fill_alloc(f, (size_t)n * size) : NULL;
    for (int32_t i = 0; i < n; i++)
        fill_one(f, fi, p + (size_t)i * size);
    memcpy(base + fi->offset, &p, sizeof(p));
    memcpy(base + fi->offset_n, &n, sizeof(n));
}

static inline bool fill_may_be_null(const struct kp_field_info *fi, int16_t version)
{
    return fi->null_min >= 0 && version >= fi->null_min && version <= fi->null_max;
}

/* Everything that the version has gets a value; the rest stays default. */
static inline void fill_struct(struct fill *f, const struct kp_struct_info *si, void *base)
{
    si->init(base);
    f->depth++;
    for (uint32_t i = 0; i < si->fields_n; i++) {
        const struct kp_field_info *fi = &si->fields[i];
        uint8_t *b = base;
        if (f->version < fi->min || f->version > fi->max || (fi->tag >= 0 && fill_below(f, 2)))
            continue;
        if (fill_may_be_null(fi, f->version) && fill_below(f, 4) == 0) {
            fill_null(fi, b);
        } else if (fi->array) {
            fill_array(f, fi, b);
        } else if (fi->pointer) {
            void *p = fill_alloc(f, fi->sub->size);
            fill_struct(f, fi->sub, p);
            memcpy(b + fi->offset, &p, sizeof(p));
        } else {
            fill_one(f, fi, b + fi->offset);
        }
    }
    f->depth--;
}

/* A random message of one version, in the arena. */
static inline void *fill_message(const struct kp_message *m, int16_t version, uint64_t seed, struct arena *a)
{
    struct fill f = {.state = seed, .a = a, .version = version};
    void *p = fill_alloc(&f, m->struct_size);
    fill_struct(&f, kp_message_reflect(m), p);
    return p;
}

#endif
