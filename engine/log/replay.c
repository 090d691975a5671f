// What a life's journals and checkpoints say of each log: collected, then freed of what fences made void. See replay.h.
#include "engine/log/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/table.h"

struct log_key {
    uint8_t topic_id[16];
    int32_t partition;
};
SL_STATIC_ASSERT(sizeof(struct log_key) == 20, "hashed as bytes: no padding");

struct replay_log {
    struct log_key key;
    uint32_t shard;
    struct store_log log;
    struct store_entry *entries;
    uint32_t cap;
    UT_hash_handle hh;
};
struct kept {
    void *memory;
    struct kept *next;
};
struct replay {
    struct replay_log *logs; // by key
    struct kept *kept;
};

struct replay *replay_create(void)
{
    return calloc(1, sizeof(struct replay));
}

void replay_destroy(struct replay *r)
{
    if (!r)
        return;
    struct replay_log *l, *next;
    HASH_ITER(hh, r->logs, l, next)
    {
        HASH_DEL(r->logs, l);
        free(l->entries);
        free(l);
    }
    while (r->kept) {
        struct kept *k = r->kept;
        r->kept = k->next;
        free(k->memory);
        free(k);
    }
    free(r);
}

int replay_keep(struct replay *r, void *memory)
{
    struct kept *k = malloc(sizeof(*k));
    if (!k) {
        free(memory);
        return -ENOMEM;
    }
    *k = (struct kept){.memory = memory, .next = r->kept};
    r->kept = k;
    return 0;
}

static struct replay_log *log_lookup(struct replay *r, const struct sl_uuid *topic_id, int32_t partition)
{
    struct log_key key = {.partition = partition};
    memcpy(key.topic_id, topic_id->b, sizeof(key.topic_id));
    struct replay_log *l;
    HASH_FIND(hh, r->logs, &key, sizeof(key), l);
    return l;
}

// The log's record, made if it is new. A log belongs to one shard for a whole life.
static int log_get(struct replay *r, const struct sl_uuid *topic_id, int32_t partition, uint32_t shard,
                   struct replay_log **out)
{
    struct replay_log *l = log_lookup(r, topic_id, partition);
    *out = l;
    if (l)
        return l->shard == shard ? 0 : -EUCLEAN;
    l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    memcpy(l->key.topic_id, topic_id->b, sizeof(l->key.topic_id));
    l->key.partition = partition;
    l->shard = shard;
    l->log.topic_id = *topic_id;
    l->log.partition = partition;
    HASH_ADD(hh, r->logs, key, sizeof(l->key), l);
    *out = l;
    return 0;
}

static int add_checkpoint_log(void *arg, const struct ckpt_head *h, const struct ckpt_log *c)
{
    struct replay_log *l;
    int rc = log_get(arg, &c->topic_id, c->partition, h->shard, &l);
    if (rc)
        return rc;
    if (l->log.has_checkpoint)
        return -EUCLEAN;
    l->log.has_checkpoint = true;
    l->log.ckpt = *c;
    return 0;
}

int replay_add_checkpoint(struct replay *r, uint8_t *image, size_t n, const struct sl_uuid *life,
                          uint32_t shard, uint64_t *first_generation)
{
    int rc = replay_keep(r, image);
    if (rc)
        return rc;
    struct ckpt_head head;
    rc = ckpt_walk(image, n, &head, NULL, NULL);
    if (rc)
        return rc;
    if (!sl_uuid_eq(&head.life, life) || head.shard != shard || head.first_generation == 0)
        return -EBADMSG;
    *first_generation = head.first_generation;
    return ckpt_walk(image, n, &head, add_checkpoint_log, r);
}

int replay_add_entry(void *arg, const struct jgroup *g, const struct jentry *e, const uint8_t *payload)
{
    struct replay_log *l;
    int rc = log_get(arg, &e->topic_id, e->partition, g->shard, &l);
    if (rc)
        return rc;
    uint32_t n = l->log.entries_n;
    if (n == l->cap) {
        uint32_t cap = n ? n * 2 : 4;
        struct store_entry *more = cap > n ? realloc(l->entries, cap * sizeof(*more)) : NULL;
        if (!more)
            return -ENOMEM;
        l->entries = more;
        l->cap = cap;
        l->log.entries = more;
    }
    l->entries[n] = (struct store_entry){.e = *e, .payload = payload};
    l->log.entries_n = n + 1;
    return 0;
}

// ---- fences ---------------------------------------------------------------------------------------------------------
// What the fences later than an entry leave of its log, seen walking backwards.
struct limits {
    int64_t floor, end, settled;
    uint32_t incarnation;
};

static void fence_add(struct limits *m, const struct jentry *e)
{
    m->floor = SL_MAX(m->floor, e->base_offset);
    m->end = SL_MIN(m->end, e->last_offset);
    m->settled = SL_MAX(m->settled, e->segment_base);
    m->incarnation = SL_MAX(m->incarnation, e->incarnation);
}

static bool entry_survives(struct limits *m, struct store_entry *se)
{
    struct jentry *e = &se->e;
    if (e->type == JE_FENCE)
        fence_add(m, e);
    else if (m->floor == INT64_MAX)
        return false; // the log was deleted later
    switch ((enum jentry_type)e->type) {
    case JE_FENCE:
        return true;
    case JE_BATCH:
        se->state_only = e->segment_base < m->settled;
        return e->last_offset < m->end;
    case JE_PREFIX:
        return e->segment_base < m->end && e->segment_base >= m->settled;
    case JE_CONFIRMED:
        e->last_offset = SL_MIN(e->last_offset, m->end);
        return e->last_offset > m->floor;
    case JE_EPOCH:
        return e->base_offset < m->end;
    }
    return false;
}

static void log_apply_fences(struct replay_log *l)
{
    struct limits m = {.end = INT64_MAX};
    uint32_t n = l->log.entries_n, keep = n;
    // Backwards, survivors moving to the array's end; then they move to its start.
    for (uint32_t i = n; i-- > 0;) {
        struct store_entry e = l->entries[i];
        if (entry_survives(&m, &e))
            l->entries[--keep] = e;
    }
    memmove(l->entries, l->entries + keep, (n - keep) * sizeof(*l->entries));
    l->log.entries_n = n - keep;
    l->log.deleted = m.floor == INT64_MAX;
    l->log.floor = m.floor;
    l->log.settled = m.settled;
    l->log.incarnation = m.incarnation;
}

void replay_apply_fences(struct replay *r)
{
    struct replay_log *l, *next;
    HASH_ITER(hh, r->logs, l, next)
    {
        if (l->log.entries_n > 0)
            log_apply_fences(l);
    }
}

struct store_log *replay_find(struct replay *r, const struct sl_uuid *topic_id, int32_t partition)
{
    struct replay_log *l = log_lookup(r, topic_id, partition);
    return l ? &l->log : NULL;
}

struct store_log *replay_log_at(struct replay *r, uint32_t i)
{
    struct replay_log *l = r->logs;
    while (l && i-- > 0)
        l = l->hh.next;
    return l ? &l->log : NULL;
}
