/* Helpers of the generated code; nothing else includes this. Hot messages define KP_INLINE first and get the
 * helpers inlined, the others call the one copy in codec.c, which keeps the code small.
 *
 * Getters return 0, -EBADMSG or -ENOMEM; putters 0, -EINVAL or -ENOBUFS; sizers add to *n and return 0 or
 * -EINVAL. flex: lengths are compact (uvarint of n + 1, 0 for null). nul: null is allowed. */
#ifndef SLUICE_PROTO_CODEC_PRIVATE_H
#define SLUICE_PROTO_CODEC_PRIVATE_H

#include "engine/base/bytes.h"
#include "engine/base/varint.h"
#include "proto/codec.h"

#define KP_STRING_MAX 32767

struct kp_reader {
    const uint8_t *p;
    const uint8_t *end;
    struct arena *a;
};

/* The next n bytes, or NULL when there are fewer. */
static inline const uint8_t *kp_take(struct kp_reader *r, size_t n)
{
    const uint8_t *p = r->p;
    if (sl_unlikely((size_t)(r->end - p) < n))
        return NULL;
    r->p = p + n;
    return p;
}

/* Room for n more bytes, or NULL. */
static inline uint8_t *kp_room(struct kp_writer *w, size_t n)
{
    if (sl_unlikely(w->cap - w->len < n))
        return NULL;
    uint8_t *p = w->buf + w->len;
    w->len += n;
    return p;
}

static inline double kp_f64_load(const uint8_t *p)
{
    uint64_t u = be64_load(p);
    double d;
    memcpy(&d, &u, sizeof(d));
    return d;
}

static inline void kp_f64_store(uint8_t *p, double d)
{
    uint64_t u;
    memcpy(&u, &d, sizeof(u));
    be64_store(p, u);
}

#ifdef KP_INLINE
#define KP_FN static inline __attribute__((unused))
#else
#define KP_FN
#endif

/* A length or count; *n -1 for null. wide: four bytes, else two, when not flex. */
KP_FN int kp_get_len(struct kp_reader *r, bool flex, bool wide, bool nul, int32_t *n);
KP_FN int kp_get_str(struct kp_reader *r, bool flex, bool nul, struct kp_str *s);
KP_FN int kp_get_bytes(struct kp_reader *r, bool flex, bool nul, struct kp_bytes *b);
KP_FN int kp_get_records(struct kp_reader *r, bool flex, bool nul, struct kp_records *b);
/* The count of an array and memory for its elements. min: least encoded bytes of one element, > 0; size:
 * bytes of one in C. *out is NULL when there are none. */
KP_FN int kp_get_array(struct kp_reader *r, bool flex, bool nul, size_t min, size_t size, void **out,
                       int32_t *n);
/* The elements of an array whose count kp_get_array checked. */
KP_FN void kp_get_i16s(struct kp_reader *r, int16_t *v, int32_t n);
KP_FN void kp_get_i32s(struct kp_reader *r, int32_t *v, int32_t n);
KP_FN void kp_get_i64s(struct kp_reader *r, int64_t *v, int32_t n);
KP_FN void kp_get_raws(struct kp_reader *r, void *v, int32_t n, size_t size);
KP_FN int kp_get_strs(struct kp_reader *r, bool flex, struct kp_str *v, int32_t n);
/* Begins the tagged field that follows tag *prev (-1: the first): *tag, and *limit one past its value. */
KP_FN int kp_get_tag(struct kp_reader *r, int64_t *prev, uint32_t *tag, const uint8_t **limit);
/* The whole tagged section of a structure that has no tags of its own. */
KP_FN int kp_skip_tags(struct kp_reader *r);

KP_FN int kp_put_len(struct kp_writer *w, bool flex, bool wide, bool nul, int32_t n);
KP_FN int kp_put_uvarint(struct kp_writer *w, uint32_t v);
KP_FN int kp_put_str(struct kp_writer *w, bool flex, bool nul, const struct kp_str *s);
KP_FN int kp_put_bytes(struct kp_writer *w, bool flex, bool nul, const struct kp_bytes *b);
KP_FN int kp_put_records(struct kp_writer *w, bool flex, bool nul, const struct kp_records *b);
KP_FN int kp_put_i16s(struct kp_writer *w, const int16_t *v, int32_t n);
KP_FN int kp_put_i32s(struct kp_writer *w, const int32_t *v, int32_t n);
KP_FN int kp_put_i64s(struct kp_writer *w, const int64_t *v, int32_t n);
KP_FN int kp_put_raws(struct kp_writer *w, const void *v, int32_t n, size_t size);
KP_FN int kp_put_strs(struct kp_writer *w, bool flex, const struct kp_str *v, int32_t n);

KP_FN int kp_size_str(bool flex, bool nul, const struct kp_str *s, int64_t *n);
KP_FN int kp_size_bytes(bool flex, bool nul, const struct kp_bytes *b, int64_t *n);
KP_FN int kp_size_records(bool flex, bool nul, const struct kp_records *b, int64_t *n);
KP_FN int kp_size_array(bool flex, bool nul, int32_t count, size_t size, int64_t *n);
KP_FN int kp_size_strs(bool flex, const struct kp_str *v, int32_t count, int64_t *n);

#ifdef KP_INLINE
#include "proto/codec_inl.h"
#endif

#endif
