#include "engine/base/slow.h"

#include <string.h>

SL_STATIC_ASSERT(sizeof(struct slow_request) % 8 == 0, "copied word by word");

/* A sequence lock without fences: every word behind the odd number is stored with release, so that it is seen after that
 * number, and loaded with acquire, so that the second look at the number comes after it (Boehm, "Can seqlocks get along
 * with programming language memory models?", 2012). On x86 they are plain moves. */
static void words_store(void *dst, const void *src, size_t n)
{
    for (size_t i = 0; i < n / 8; i++)
        __atomic_store_n((uint64_t *)dst + i, ((const uint64_t *)src)[i], __ATOMIC_RELEASE);
}

static void words_load(void *dst, const void *src, size_t n)
{
    for (size_t i = 0; i < n / 8; i++)
        ((uint64_t *)dst)[i] = __atomic_load_n((const uint64_t *)src + i, __ATOMIC_ACQUIRE);
}

static void word_set(uint64_t *w, uint64_t v)
{
    __atomic_store_n(w, v, __ATOMIC_RELEASE);
}

static void window_turn(struct slow *s, uint64_t now_ns)
{
    words_store(s->last, s->now, sizeof(s->now));
    /* A window that nobody ended is not the one before this one. */
    word_set(&s->last_n, now_ns - s->window_end < SLOW_WINDOW_NS ? s->n : 0);
    word_set(&s->n, 0);
    s->floor = 0;
    s->window_end = now_ns + SLOW_WINDOW_NS;
}

void slow_keep(struct slow *s, uint64_t now_ns, const struct slow_request *r)
{
    uint32_t at = 0;
    word_set(&s->seq, s->seq + 1);
    if (now_ns >= s->window_end)
        window_turn(s, now_ns);
    if (s->n < SLOW_KEEP) {
        at = (uint32_t)s->n;
        word_set(&s->n, s->n + 1);
    } else {
        for (uint32_t i = 1; i < SLOW_KEEP; i++)
            at = s->now[i].total_ns < s->now[at].total_ns ? i : at;
    }
    words_store(&s->now[at], r, sizeof(*r));
    if (s->n == SLOW_KEEP) {
        s->floor = UINT64_MAX;
        for (uint32_t i = 0; i < SLOW_KEEP; i++)
            s->floor = SL_MIN(s->floor, s->now[i].total_ns);
    }
    __atomic_store_n(&s->seq, s->seq + 1, __ATOMIC_RELEASE);
}

uint32_t slow_read(const struct slow *s, struct slow_request *out)
{
    for (;;) {
        uint64_t seq = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);
        uint64_t n = SL_MIN(__atomic_load_n(&s->n, __ATOMIC_ACQUIRE), (uint64_t)SLOW_KEEP);
        uint64_t last = SL_MIN(__atomic_load_n(&s->last_n, __ATOMIC_ACQUIRE), (uint64_t)SLOW_KEEP);
        words_load(out, s->now, n * sizeof(*out));
        words_load(out + n, s->last, last * sizeof(*out));
        if (!(seq & 1) && seq == __atomic_load_n(&s->seq, __ATOMIC_RELAXED))
            return (uint32_t)(n + last);
    }
}
