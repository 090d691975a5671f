// The quota on changes of partitions (KIP-599): a token bucket for each that shares one, here, where every change passes.
#include "engine/meta/meta_private.h"

#include "engine/base/tokens.h"

#include <stdlib.h>

enum { BUCKETS_MAX = 20000 };

struct mutation_bucket {
    UT_hash_handle hh;
    struct sl_tokens tokens;
    char key[];
};

static void drop(struct meta *m, struct mutation_bucket *b)
{
    HASH_DEL(m->mutations, b);
    free(b);
}

// Beyond the limit the oldest goes.
static struct mutation_bucket *bucket(struct meta *m, const struct meta_mutations *q, uint64_t now)
{
    struct mutation_bucket *b = NULL;
    size_t n = strlen(q->key);
    HASH_FIND(hh, m->mutations, q->key, n, b);
    if (b)
        return b;
    if (HASH_COUNT(m->mutations) >= BUCKETS_MAX)
        drop(m, m->mutations);
    b = calloc(1, sizeof(*b) + n + 1);
    if (!b)
        sl_panic("meta: out of memory for a quota");
    memcpy(b->key, q->key, n);
    sl_tokens_init(&b->tokens, q->burst, now);
    HASH_ADD(hh, m->mutations, key, n, b);
    return b;
}

int16_t mutations_count(struct meta *m, struct meta_mutations *q, uint32_t partitions)
{
    if (q->rate <= 0)
        return KERR_NONE;
    uint64_t now = reactor_now(m->r);
    struct mutation_bucket *b = bucket(m, q, now);
    bool owes = sl_tokens_have(&b->tokens, q->rate, q->burst, now) < 0;
    if (!owes || !q->strict)
        sl_tokens_take(&b->tokens, partitions);
    if (owes || !q->strict)
        q->throttle_ms = SL_MAX(q->throttle_ms, sl_tokens_wait_ms(&b->tokens, q->rate));
    return owes && q->strict ? KERR_THROTTLING_QUOTA_EXCEEDED : KERR_NONE;
}

void mutations_free(struct meta *m)
{
    struct mutation_bucket *b, *next;
    HASH_ITER(hh, m->mutations, b, next)
    {
        drop(m, b);
    }
}
