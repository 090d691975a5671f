/* Bodies of the helpers in codec_private.h: compiled once in codec.c, and inlined into the hot messages. */

KP_FN int kp_get_len(struct kp_reader *r, bool flex, bool wide, bool nul, int32_t *n)
{
    const uint8_t *p;
    uint32_t u;
    if (flex) {
        if (sl_unlikely(sl_uvarint32_get(&r->p, r->end, &u) < 0 || u > (uint32_t)INT32_MAX + 1))
            return -EBADMSG;
        *n = (int32_t)(u - 1);
    } else if (wide) {
        if (sl_unlikely(!(p = kp_take(r, 4))))
            return -EBADMSG;
        *n = (int32_t)be32_load(p);
    } else {
        if (sl_unlikely(!(p = kp_take(r, 2))))
            return -EBADMSG;
        *n = (int16_t)be16_load(p);
    }
    return sl_likely(*n >= 0 || (*n == -1 && nul)) ? 0 : -EBADMSG;
}

/* n bytes that must be there; n -1: null. */
static inline int kp_get_span(struct kp_reader *r, int32_t n, const uint8_t **out)
{
    *out = NULL;
    if (n < 0)
        return 0;
    *out = kp_take(r, (size_t)n);
    return sl_likely(*out) ? 0 : -EBADMSG;
}

KP_FN int kp_get_str(struct kp_reader *r, bool flex, bool nul, struct kp_str *s)
{
    const uint8_t *p = NULL;
    if (sl_unlikely(kp_get_len(r, flex, false, nul, &s->n) < 0 || s->n > KP_STRING_MAX ||
                    kp_get_span(r, s->n, &p) < 0))
        return -EBADMSG;
    s->p = (const char *)p;
    return 0;
}

KP_FN int kp_get_bytes(struct kp_reader *r, bool flex, bool nul, struct kp_bytes *b)
{
    if (sl_unlikely(kp_get_len(r, flex, true, nul, &b->n) < 0 || kp_get_span(r, b->n, &b->p) < 0))
        return -EBADMSG;
    return 0;
}

KP_FN int kp_get_records(struct kp_reader *r, bool flex, bool nul, struct kp_records *b)
{
    b->ext = NULL;
    if (sl_unlikely(kp_get_len(r, flex, true, nul, &b->n) < 0 || kp_get_span(r, b->n, &b->p) < 0))
        return -EBADMSG;
    return 0;
}

KP_FN int kp_get_array(struct kp_reader *r, bool flex, bool nul, size_t min, size_t size, void **out,
                       int32_t *n)
{
    *out = NULL;
    if (sl_unlikely(kp_get_len(r, flex, true, nul, n) < 0))
        return -EBADMSG;
    if (*n <= 0)
        return 0;
    /* Neither product overflows: *n < 2^31, and structures are small. */
    if (sl_unlikely((size_t)*n * min > (size_t)(r->end - r->p)))
        return -EBADMSG;
    *out = arena_alloc(r->a, (size_t)*n * size);
    return sl_likely(*out) ? 0 : -ENOMEM;
}

KP_FN void kp_get_i16s(struct kp_reader *r, int16_t *v, int32_t n)
{
    for (int32_t i = 0; i < n; i++, r->p += 2)
        v[i] = (int16_t)be16_load(r->p);
}

KP_FN void kp_get_i32s(struct kp_reader *r, int32_t *v, int32_t n)
{
    for (int32_t i = 0; i < n; i++, r->p += 4)
        v[i] = (int32_t)be32_load(r->p);
}

KP_FN void kp_get_i64s(struct kp_reader *r, int64_t *v, int32_t n)
{
    for (int32_t i = 0; i < n; i++, r->p += 8)
        v[i] = (int64_t)be64_load(r->p);
}

KP_FN void kp_get_raws(struct kp_reader *r, void *v, int32_t n, size_t size)
{
    if (n <= 0)
        return;
    memcpy(v, r->p, (size_t)n * size);
    r->p += (size_t)n * size;
}

KP_FN int kp_get_strs(struct kp_reader *r, bool flex, struct kp_str *v, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (sl_unlikely(kp_get_str(r, flex, false, &v[i]) < 0))
            return -EBADMSG;
    }
    return 0;
}

KP_FN int kp_get_tag(struct kp_reader *r, int64_t *prev, uint32_t *tag, const uint8_t **limit)
{
    uint32_t size;
    if (sl_uvarint32_get(&r->p, r->end, tag) < 0 || (int64_t)*tag <= *prev)
        return -EBADMSG;
    *prev = *tag;
    if (sl_uvarint32_get(&r->p, r->end, &size) < 0 || size > (size_t)(r->end - r->p))
        return -EBADMSG;
    *limit = r->p + size;
    return 0;
}

KP_FN int kp_skip_tags(struct kp_reader *r)
{
    uint32_t n, tag;
    int64_t prev = -1;
    if (sl_likely(r->p < r->end && *r->p == 0)) {
        r->p++;
        return 0;
    }
    if (sl_uvarint32_get(&r->p, r->end, &n) < 0)
        return -EBADMSG;
    for (; n > 0; n--) { /* each turn consumes two bytes or ends it */
        const uint8_t *limit;
        if (kp_get_tag(r, &prev, &tag, &limit) < 0)
            return -EBADMSG;
        r->p = limit;
    }
    return 0;
}

KP_FN int kp_put_uvarint(struct kp_writer *w, uint32_t v)
{
    uint8_t *p = kp_room(w, (size_t)sl_uvarint32_size(v));
    if (sl_unlikely(!p))
        return -ENOBUFS;
    sl_uvarint32_put(p, v);
    return 0;
}

KP_FN int kp_put_len(struct kp_writer *w, bool flex, bool wide, bool nul, int32_t n)
{
    uint8_t *p;
    if (sl_unlikely(n < 0)) {
        if (!nul)
            return -EINVAL;
        n = -1;
    }
    if (flex)
        return kp_put_uvarint(w, (uint32_t)n + 1);
    if (sl_unlikely(!(p = kp_room(w, wide ? 4 : 2))))
        return -ENOBUFS;
    if (wide)
        be32_store(p, (uint32_t)n);
    else
        be16_store(p, (uint16_t)n);
    return 0;
}

static inline int kp_put_span(struct kp_writer *w, const void *v, int32_t n)
{
    if (n <= 0)
        return 0;
    uint8_t *p = kp_room(w, (size_t)n);
    if (sl_unlikely(!p))
        return -ENOBUFS;
    memcpy(p, v, (size_t)n);
    return 0;
}

KP_FN int kp_put_str(struct kp_writer *w, bool flex, bool nul, const struct kp_str *s)
{
    if (sl_unlikely(s->n > KP_STRING_MAX))
        return -EINVAL;
    int rc = kp_put_len(w, flex, false, nul, s->n);
    return sl_unlikely(rc < 0) ? rc : kp_put_span(w, s->p, s->n);
}

KP_FN int kp_put_bytes(struct kp_writer *w, bool flex, bool nul, const struct kp_bytes *b)
{
    int rc = kp_put_len(w, flex, true, nul, b->n);
    return sl_unlikely(rc < 0) ? rc : kp_put_span(w, b->p, b->n);
}

KP_FN int kp_put_records(struct kp_writer *w, bool flex, bool nul, const struct kp_records *b)
{
    int rc = kp_put_len(w, flex, true, nul, b->n);
    if (sl_unlikely(rc < 0))
        return rc;
    if (!b->ext)
        return kp_put_span(w, b->p, b->n);
    if (b->n <= 0)
        return 0;
    if (sl_unlikely(w->splices_n >= w->splices_cap))
        return -ENOBUFS;
    w->splices[w->splices_n++] = (struct kp_splice){.at = w->len, .ext = b->ext, .len = b->n};
    return 0;
}

KP_FN int kp_put_i16s(struct kp_writer *w, const int16_t *v, int32_t n)
{
    if (n <= 0)
        return 0;
    uint8_t *p = kp_room(w, (size_t)n * 2);
    if (sl_unlikely(!p))
        return -ENOBUFS;
    for (int32_t i = 0; i < n; i++, p += 2)
        be16_store(p, (uint16_t)v[i]);
    return 0;
}

KP_FN int kp_put_i32s(struct kp_writer *w, const int32_t *v, int32_t n)
{
    if (n <= 0)
        return 0;
    uint8_t *p = kp_room(w, (size_t)n * 4);
    if (sl_unlikely(!p))
        return -ENOBUFS;
    for (int32_t i = 0; i < n; i++, p += 4)
        be32_store(p, (uint32_t)v[i]);
    return 0;
}

KP_FN int kp_put_i64s(struct kp_writer *w, const int64_t *v, int32_t n)
{
    if (n <= 0)
        return 0;
    uint8_t *p = kp_room(w, (size_t)n * 8);
    if (sl_unlikely(!p))
        return -ENOBUFS;
    for (int32_t i = 0; i < n; i++, p += 8)
        be64_store(p, (uint64_t)v[i]);
    return 0;
}

KP_FN int kp_put_raws(struct kp_writer *w, const void *v, int32_t n, size_t size)
{
    if (n <= 0)
        return 0;
    uint8_t *p = kp_room(w, (size_t)n * size);
    if (sl_unlikely(!p))
        return -ENOBUFS;
    memcpy(p, v, (size_t)n * size);
    return 0;
}

KP_FN int kp_put_strs(struct kp_writer *w, bool flex, const struct kp_str *v, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        int rc = kp_put_str(w, flex, false, &v[i]);
        if (sl_unlikely(rc < 0))
            return rc;
    }
    return 0;
}

/* Bytes of a length prefix. */
static inline int kp_size_len(bool flex, int plain, int32_t n)
{
    return flex ? sl_uvarint32_size(n < 0 ? 0 : (uint32_t)n + 1) : plain;
}

KP_FN int kp_size_str(bool flex, bool nul, const struct kp_str *s, int64_t *n)
{
    if (sl_unlikely(s->n > KP_STRING_MAX || (s->n < 0 && !nul)))
        return -EINVAL;
    *n += kp_size_len(flex, 2, s->n) + SL_MAX(s->n, 0);
    return 0;
}

KP_FN int kp_size_bytes(bool flex, bool nul, const struct kp_bytes *b, int64_t *n)
{
    return kp_size_array(flex, nul, b->n, 1, n);
}

KP_FN int kp_size_records(bool flex, bool nul, const struct kp_records *b, int64_t *n)
{
    return kp_size_array(flex, nul, b->n, b->ext ? 0 : 1, n);
}

KP_FN int kp_size_array(bool flex, bool nul, int32_t count, size_t size, int64_t *n)
{
    if (sl_unlikely(count < 0 && !nul))
        return -EINVAL;
    *n += kp_size_len(flex, 4, count) + (int64_t)size * SL_MAX(count, 0);
    return 0;
}

KP_FN int kp_size_strs(bool flex, const struct kp_str *v, int32_t count, int64_t *n)
{
    for (int32_t i = 0; i < count; i++) {
        if (sl_unlikely(kp_size_str(flex, false, &v[i], n) < 0))
            return -EINVAL;
    }
    return 0;
}
