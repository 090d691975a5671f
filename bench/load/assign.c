#include "bench/load/assign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_id(const void *a, const void *b)
{
    const struct kp_str *x = &((const struct assign_member *)a)->id,
                        *y = &((const struct assign_member *)b)->id;
    int c = memcmp(x->p, y->p, (size_t)SL_MIN(x->n, y->n));
    return c ? c : x->n - y->n;
}

void assign_sort(struct assign_member *m, uint32_t n)
{
    if (n)
        qsort(m, n, sizeof(*m), by_id);
}

static bool wants(const struct assign_member *m, struct kp_str topic)
{
    for (int32_t i = 0; i < m->topics_n; i++)
        if (kp_str_eq(m->topics[i], topic))
            return true;
    return false;
}

void assign_range(struct assign_member *m, uint32_t n, struct kp_str topic, uint32_t parts)
{
    uint32_t takers = 0, k = 0, at = 0;
    for (uint32_t i = 0; i < n; i++)
        takers += wants(&m[i], topic);
    for (uint32_t i = 0; i < n; i++) {
        m[i].first = m[i].n = 0;
        if (!wants(&m[i], topic))
            continue;
        m[i].first = at;
        m[i].n = parts / takers + (k++ < parts % takers);
        at += m[i].n;
    }
}

static uint8_t *begin(size_t n, struct kp_writer *w, struct arena *a)
{
    uint8_t *p = arena_alloc(a, 2 + n);
    SL_ASSERT(p);
    p[0] = p[1] = 0; // version
    *w = (struct kp_writer){.buf = p + 2, .cap = n};
    return p;
}

struct kp_bytes assign_write_subscription(struct kp_str *topics, int32_t n, struct arena *a)
{
    struct kp_consumer_protocol_subscription m;
    struct kp_writer w;
    kp_consumer_protocol_subscription_init(&m);
    m.topics = topics;
    m.topics_n = n;
    int64_t size = kp_consumer_protocol_subscription_size(&m, 0);
    SL_ASSERT(size > 0);
    uint8_t *p = begin((size_t)size, &w, a);
    SL_ASSERT(kp_consumer_protocol_subscription_encode(&m, 0, &w) == 0);
    return (struct kp_bytes){p, (int32_t)(2 + w.len)};
}

struct kp_bytes assign_write(const struct kp_consumer_protocol_assignment *m, struct arena *a)
{
    struct kp_writer w;
    int64_t size = kp_consumer_protocol_assignment_size(m, 0);
    SL_ASSERT(size > 0);
    uint8_t *p = begin((size_t)size, &w, a);
    SL_ASSERT(kp_consumer_protocol_assignment_encode(m, 0, &w) == 0);
    return (struct kp_bytes){p, (int32_t)(2 + w.len)};
}

// Later versions only add fields behind those of version 0.
int assign_read_subscription(struct kp_bytes b, struct kp_consumer_protocol_subscription *out,
                             struct arena *a)
{
    kp_consumer_protocol_subscription_init(out);
    if (b.n < 2)
        return -EBADMSG;
    return kp_consumer_protocol_subscription_decode(out, b.p + 2, (size_t)b.n - 2, 0, a) < 0 ? -EBADMSG : 0;
}

int assign_read(struct kp_bytes b, struct kp_consumer_protocol_assignment *out, struct arena *a)
{
    kp_consumer_protocol_assignment_init(out);
    if (b.n <= 0)
        return 0;
    if (b.n < 2)
        return -EBADMSG;
    return kp_consumer_protocol_assignment_decode(out, b.p + 2, (size_t)b.n - 2, 0, a) < 0 ? -EBADMSG : 0;
}
