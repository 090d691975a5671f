/* Every message in every version: random values survive encode and decode, every cut is refused, nothing is
 * written past the end, and what a version cannot carry is refused or dropped as the definition says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/proto/fill.h"

#define ROUNDS 8
#define GUARD  0xa5

struct image {
    uint8_t *buf; /* malloc'ed to the byte, so that the sanitizer sees any overrun */
    size_t len;
};

static struct image encode(const struct kp_message *m, const void *msg, int16_t v)
{
    int64_t n = m->size(msg, v);
    if (n < 0)
        fail_msg("%s v%d: size %lld", m->name, v, (long long)n);
    struct image im = {malloc((size_t)n + 1), (size_t)n};
    struct kp_writer w = {.buf = im.buf, .cap = im.len};
    int rc = m->encode(msg, v, &w);
    if (rc < 0 || w.len != im.len || w.err)
        fail_msg("%s v%d: encode %d, %zu bytes of %zu", m->name, v, rc, w.len, im.len);
    return im;
}

static void assert_same(const struct kp_message *m, int16_t v, struct image a, struct image b)
{
    if (a.len != b.len || memcmp(a.buf, b.buf, a.len) != 0)
        fail_msg("%s v%d: images differ, %zu and %zu bytes", m->name, v, a.len, b.len);
}

/* Decoding an image consumes it whole, and encodes to itself. */
static void check_decode(const struct kp_message *m, int16_t v, struct image im)
{
    struct arena a;
    arena_init(&a, 0);
    void *copy = malloc(im.len ? im.len : 1), *msg = malloc(m->struct_size);
    memcpy(copy, im.buf, im.len);
    memset(msg, GUARD, m->struct_size); /* decode sets every field by itself */
    int64_t n = m->decode(msg, copy, im.len, v, &a);
    if (n != (int64_t)im.len)
        fail_msg("%s v%d: decode %lld of %zu", m->name, v, (long long)n, im.len);
    struct image again = encode(m, msg, v);
    assert_same(m, v, im, again);
    free(again.buf);
    free(msg);
    free(copy);
    arena_free(&a);
}

/* Every shorter input is malformed, whatever the cut goes through. */
static void check_cuts(const struct kp_message *m, int16_t v, struct image im)
{
    struct arena a;
    arena_init(&a, 0);
    void *msg = malloc(m->struct_size);
    for (size_t cut = 0; cut < im.len; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, im.buf, cut);
        int64_t n = m->decode(msg, part, cut, v, &a);
        if (n != -EBADMSG)
            fail_msg("%s v%d: %zu of %zu bytes give %lld", m->name, v, cut, im.len, (long long)n);
        free(part);
        arena_reset(&a);
    }
    free(msg);
    arena_free(&a);
}

/* Every smaller buffer is refused and nothing lands behind it; the writer goes back to where it was. */
static void check_room(const struct kp_message *m, int16_t v, const void *msg, struct image im)
{
    for (size_t cap = 0; cap < im.len; cap += 1 + cap / 16) {
        uint8_t *buf = malloc(cap + 1);
        buf[cap] = GUARD;
        struct kp_writer w = {.buf = buf, .cap = cap};
        assert_int_equal(m->encode(msg, v, &w), -ENOBUFS);
        assert_int_equal(buf[cap], GUARD);
        assert_int_equal(w.len, 0);
        assert_int_equal(w.err, -ENOBUFS);
        assert_int_equal(m->encode(msg, v, &w), -ENOBUFS);
        free(buf);
    }
}

/* A few wrong bytes: any answer but a crash, and what is accepted can be encoded. */
static void check_noise(const struct kp_message *m, int16_t v, struct image im, struct fill *rng)
{
    struct arena a;
    arena_init(&a, 1u << 20);
    void *msg = malloc(m->struct_size);
    uint8_t *bad = malloc(im.len ? im.len : 1);
    for (int i = 0; i < 20 && im.len; i++) {
        memcpy(bad, im.buf, im.len);
        for (uint32_t k = 0; k <= fill_below(rng, 3); k++)
            bad[fill_below(rng, (uint32_t)im.len)] = (uint8_t)(fill_below(rng, 2) ? fill_next(rng) : 0xff);
        int64_t n = m->decode(msg, bad, im.len, v, &a);
        assert_true(n == -EBADMSG || n == -ENOMEM || (n >= 0 && (size_t)n <= im.len));
        if (n >= 0) {
            struct image again = encode(m, msg, v);
            check_decode(m, v, again);
            free(again.buf);
        }
        arena_reset(&a);
    }
    free(bad);
    free(msg);
    arena_free(&a);
}

static void each_version(void (*fn)(const struct kp_message *m, int16_t v, uint64_t seed))
{
    uint32_t n;
    const struct kp_message *all = kp_message_all(&n);
    assert_true(n > 150);
    for (uint32_t i = 0; i < n; i++) {
        for (int16_t v = all[i].min; v <= all[i].max; v++)
            fn(&all[i], v, (uint64_t)i << 32 | (uint64_t)(uint16_t)v << 16);
    }
}

static void random_one(const struct kp_message *m, int16_t v, uint64_t seed)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct arena a;
        arena_init(&a, 0);
        struct fill rng = {.state = seed + round + 1000};
        void *msg = fill_message(m, v, seed + round, &a);
        struct image im = encode(m, msg, v);
        check_decode(m, v, im);
        if (im.len < 4096) {
            check_cuts(m, v, im);
            check_room(m, v, msg, im);
        }
        check_noise(m, v, im, &rng);
        free(im.buf);
        arena_free(&a);
    }
}

static void test_random(void **state)
{
    each_version(random_one);
}

static void default_one(const struct kp_message *m, int16_t v, uint64_t seed)
{
    void *msg = malloc(m->struct_size);
    m->init(msg);
    int64_t n = m->size(msg, v);
    if (n >= 0) { /* a default can be null in a version that has no null */
        struct image im = encode(m, msg, v);
        check_decode(m, v, im);
        free(im.buf);
    } else {
        assert_int_equal(n, -EINVAL);
    }
    free(msg);
}

static void test_defaults(void **state)
{
    each_version(default_one);
}

static void limit_one(const struct kp_message *m, int16_t v, uint64_t seed)
{
    struct arena a, tight;
    arena_init(&a, 0);
    arena_init(&tight, 1);
    struct image im = encode(m, fill_message(m, v, seed, &a), v);
    void *msg = malloc(m->struct_size);
    int64_t n = m->decode(msg, im.buf, im.len, v, &tight);
    assert_true(n == (int64_t)im.len || n == -ENOMEM);
    assert_int_equal(m->decode(msg, im.buf, im.len, (int16_t)(m->min - 1), &a), -EPROTONOSUPPORT);
    assert_int_equal(m->decode(msg, im.buf, im.len, (int16_t)(m->max + 1), &a), -EPROTONOSUPPORT);
    m->init(msg);
    assert_int_equal(m->size(msg, (int16_t)(m->max + 1)), -EPROTONOSUPPORT);
    struct kp_writer w = {.buf = im.buf, .cap = im.len};
    assert_int_equal(m->encode(msg, (int16_t)(m->min - 1), &w), -EPROTONOSUPPORT);
    free(msg);
    free(im.buf);
    arena_free(&a);
    arena_free(&tight);
}

static void test_limits(void **state)
{
    each_version(limit_one);
}

/* ---- fields that a version lacks ---- */

struct lacking {
    const struct kp_message *m;
    void *msg;
    int16_t v;
    struct fill *rng;
    struct image im; /* of the message without the field */
    uint32_t refused, dropped;
};

/* Makes a field differ from its default; false when the filler happened on the default. */
static void disturb(struct lacking *l, const struct kp_field_info *fi, uint8_t *base)
{
    void *at = base + fi->offset;
    if (fi->array) {
        int32_t n = 1;
        void *p = fill_alloc(l->rng, fill_elem_size(fi));
        memset(p, 0, fill_elem_size(fi));
        memcpy(at, &p, sizeof(p));
        memcpy(base + fi->offset_n, &n, sizeof(n));
    } else if (fi->pointer) {
        void *p = fill_alloc(l->rng, fi->sub->size);
        fi->sub->init(p);
        memcpy(at, &p, sizeof(p));
    } else if (fi->type == KP_TYPE_STRING) {
        *(struct kp_str *)at = KP_STR_LIT("x");
    } else if (fi->type == KP_TYPE_BYTES || fi->type == KP_TYPE_RECORDS) {
        *(struct kp_bytes *)at = (struct kp_bytes){(const uint8_t *)"x", 1};
    } else if (fi->type == KP_TYPE_STRUCT) {
        disturb(l, &fi->sub->fields[0], at);
    } else {
        *(uint8_t *)at ^= 1; /* any scalar: its lowest byte */
    }
}

static void try_without(struct lacking *l, const struct kp_field_info *fi, uint8_t *base)
{
    uint8_t kept[512];
    size_t size = fi->array || fi->pointer ? sizeof(void *) : fill_elem_size(fi);
    assert_true(size <= sizeof(kept));
    int32_t kept_n = 0;
    memcpy(kept, base + fi->offset, size);
    if (fi->array)
        memcpy(&kept_n, base + fi->offset_n, sizeof(kept_n));
    disturb(l, fi, base);
    if (fi->ignorable) {
        struct image im = encode(l->m, l->msg, l->v);
        assert_same(l->m, l->v, l->im, im);
        free(im.buf);
        l->dropped++;
    } else {
        struct kp_writer w = {.buf = l->im.buf, .cap = l->im.len};
        uint8_t *copy = malloc(l->im.len + 1);
        w.buf = copy;
        if (l->m->size(l->msg, l->v) != -EINVAL || l->m->encode(l->msg, l->v, &w) != -EINVAL)
            fail_msg("%s v%d: %s is accepted", l->m->name, l->v, fi->name);
        free(copy);
        l->refused++;
    }
    memcpy(base + fi->offset, kept, size);
    if (fi->array)
        memcpy(base + fi->offset_n, &kept_n, sizeof(kept_n));
}

static void walk(struct lacking *l, const struct kp_struct_info *si, uint8_t *base)
{
    for (uint32_t i = 0; i < si->fields_n; i++) {
        const struct kp_field_info *fi = &si->fields[i];
        if (l->v < fi->min || l->v > fi->max) {
            try_without(l, fi, base);
            continue;
        }
        if (fi->type != KP_TYPE_STRUCT || fi->tag >= 0)
            continue; /* a tagged structure is itself left out while it is default */
        uint8_t *p = base + fi->offset;
        int32_t n = 1;
        if (fi->array || fi->pointer)
            memcpy(&p, base + fi->offset, sizeof(p));
        if (fi->array)
            memcpy(&n, base + fi->offset_n, sizeof(n));
        if (n > 0 && p)
            walk(l, fi->sub, p);
    }
}

static uint32_t refused, dropped;

static void lacking_one(const struct kp_message *m, int16_t v, uint64_t seed)
{
    for (uint32_t round = 0; round < 3; round++) {
        struct arena a;
        arena_init(&a, 0);
        struct fill rng = {.state = seed, .a = &a, .version = v};
        void *msg = fill_message(m, v, seed + round, &a);
        struct lacking l = {.m = m, .msg = msg, .v = v, .rng = &rng, .im = encode(m, msg, v)};
        walk(&l, kp_message_reflect(m), msg);
        refused += l.refused;
        dropped += l.dropped;
        free(l.im.buf);
        arena_free(&a);
    }
}

static void test_lacking(void **state)
{
    each_version(lacking_one);
    assert_true(refused > 500 && dropped > 500);
}

/* ---- nulls ---- */

static uint32_t null_checks;

/* Top-level fields only: null where it may be survives, elsewhere it is refused. */
static void null_one(const struct kp_message *m, int16_t v, uint64_t seed)
{
    struct arena a;
    arena_init(&a, 0);
    const struct kp_struct_info *si = kp_message_reflect(m);
    for (uint32_t i = 0; i < si->fields_n; i++) {
        const struct kp_field_info *fi = &si->fields[i];
        bool variable = fi->array || fi->pointer || fi->type == KP_TYPE_STRING || fi->type == KP_TYPE_BYTES ||
                        fi->type == KP_TYPE_RECORDS;
        if (!variable || v < fi->min || v > fi->max)
            continue;
        uint8_t *msg = fill_message(m, v, seed, &a);
        fill_null(fi, msg);
        if (fill_may_be_null(fi, v)) {
            struct image im = encode(m, msg, v);
            check_decode(m, v, im);
            free(im.buf);
        } else {
            uint8_t *buf = malloc(1u << 20);
            struct kp_writer w = {.buf = buf, .cap = 1u << 20};
            assert_int_equal(m->size(msg, v), -EINVAL);
            assert_int_equal(m->encode(msg, v, &w), -EINVAL);
            free(buf);
        }
        null_checks++;
    }
    arena_free(&a);
}

static void test_nulls(void **state)
{
    each_version(null_one);
    assert_true(null_checks > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),  cmocka_unit_test(test_defaults), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_lacking), cmocka_unit_test(test_nulls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
