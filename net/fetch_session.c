// See fetch_session.h. Eviction follows upstream: the least recently used session goes for a newcomer if it was idle for
// two minutes; else the smallest that is old enough to go, if the newcomer is larger. Followers' sessions go for
// followers' only, until they are idle.
#include "net/fetch_session.h"

#include <stdlib.h>
#include <string.h>

struct fetch_sessions {
    struct fetch_sessions_config cfg;
    struct fetch_session *by_id;
    struct list_node lru;
};

struct fetch_sessions *fetch_sessions_create(const struct fetch_sessions_config *cfg)
{
    struct fetch_sessions *fs = calloc(1, sizeof(*fs));
    if (!fs)
        sl_panic("out of memory for fetch sessions");
    fs->cfg = *cfg;
    list_init(&fs->lru);
    return fs;
}

uint32_t fetch_sessions_count(const struct fetch_sessions *fs)
{
    return HASH_COUNT(fs->by_id);
}

// ---- partitions of a session -------------------------------------------------------------------------------------------
// A key is the partition number and then the topic's id or name; it lies behind the structure.
struct part_key {
    const uint8_t *p;
    uint32_t n;
};
enum { KEY_INLINE = 4 + 512 };

static uint32_t key_len(bool by_id, const struct fetch_want *w)
{
    return 4 + (by_id ? (uint32_t)sizeof(w->id) : (uint32_t)SL_MAX(w->name.n, 0));
}

static void key_write(bool by_id, const struct fetch_want *w, uint8_t *out)
{
    memcpy(out, &w->partition, 4);
    if (by_id)
        memcpy(out + 4, w->id.b, sizeof(w->id));
    else if (w->name.n > 0)
        memcpy(out + 4, w->name.p, (size_t)w->name.n);
}

static struct fetch_session_part *part_find(const struct fetch_session *s, const struct fetch_want *w)
{
    uint8_t small[KEY_INLINE], *key = small;
    uint32_t n = key_len(s->by_id, w);
    struct fetch_session_part *p = NULL;
    if (n > sizeof(small))
        return NULL; // no topic has so long a name, and none is kept
    key_write(s->by_id, w, key);
    HASH_FIND(hh, s->index, key, n, p);
    return p;
}

static void part_remove(struct fetch_session *s, struct fetch_session_part *p)
{
    HASH_DELETE(hh, s->index, p);
    list_remove(&p->node);
    s->n--;
    free(p);
}

// Adds at the end, or updates in place. False: too many partitions.
static struct fetch_session_part *part_put(struct fetch_session *s, const struct fetch_want *w)
{
    struct fetch_session_part *p = part_find(s, w);
    uint32_t n = key_len(s->by_id, w);
    if (n > KEY_INLINE || (!p && s->n >= FETCH_SESSION_PARTS_MAX))
        return NULL;
    if (!p) {
        p = calloc(1, sizeof(*p) + n);
        if (!p)
            sl_panic("out of memory for a fetch session");
        uint8_t *key = (uint8_t *)(p + 1);
        key_write(s->by_id, w, key);
        p->high_watermark = p->log_start = -1;
        p->want.name = s->by_id ? KP_STR_NULL : (struct kp_str){(const char *)key + 4, (int32_t)n - 4};
        p->want.id = w->id;
        p->want.partition = w->partition;
        HASH_ADD_KEYPTR(hh, s->index, key, n, p);
        list_push_back(&s->parts, &p->node);
        s->n++;
    }
    p->want.max_bytes = w->max_bytes;
    p->want.offset = w->offset;
    p->want.current_leader_epoch = w->current_leader_epoch;
    p->want.last_fetched_epoch = w->last_fetched_epoch;
    return p;
}

// ---- life --------------------------------------------------------------------------------------------------------------
void fetch_session_unref(struct fetch_session *s)
{
    SL_ASSERT(s->refs > 0);
    if (--s->refs)
        return;
    HASH_CLEAR(hh, s->index);
    list_foreach_safe(node, &s->parts)
    {
        free(list_entry(node, struct fetch_session_part, node));
    }
    free(s);
}

static struct fetch_session *session_find(struct fetch_sessions *fs, int32_t id)
{
    struct fetch_session *s = NULL;
    HASH_FIND(hh, fs->by_id, &id, sizeof(id), s);
    return s;
}

static void session_remove(struct fetch_sessions *fs, struct fetch_session *s)
{
    HASH_DELETE(hh, fs->by_id, s);
    list_remove(&s->lru);
    fetch_session_unref(s);
}

void fetch_sessions_free(struct fetch_sessions *fs)
{
    struct list_node *n;
    while ((n = list_first(&fs->lru)))
        session_remove(fs, list_entry(n, struct fetch_session, lru));
    free(fs);
}

static void session_touch(struct fetch_sessions *fs, struct fetch_session *s, uint64_t now_ms)
{
    s->used_ms = now_ms;
    list_remove(&s->lru);
    list_push_back(&fs->lru, &s->lru);
}

static int32_t next_epoch(int32_t e)
{
    return e == INT32_MAX ? 1 : e + 1;
}

// ---- eviction ----------------------------------------------------------------------------------------------------------
static bool may_go(const struct fetch_session *s, bool for_privileged, uint64_t now_ms)
{
    return now_ms - s->created_ms > FETCH_SESSION_EVICT_MS || (for_privileged && !s->privileged);
}

// The order in which sessions are worth keeping.
static bool worth_less(const struct fetch_session *a, const struct fetch_session *b)
{
    if (a->privileged != b->privileged)
        return b->privileged;
    return a->n != b->n ? a->n < b->n : a->id < b->id;
}

static bool make_room(struct fetch_sessions *fs, bool privileged, uint32_t parts, uint64_t now_ms)
{
    struct list_node *first = list_first(&fs->lru);
    if (HASH_COUNT(fs->by_id) < fs->cfg.slots)
        return true;
    if (!first)
        return false;
    struct fetch_session *least = list_entry(first, struct fetch_session, lru);
    if (now_ms - least->used_ms <= FETCH_SESSION_EVICT_MS) {
        least = NULL;
        list_foreach(n, &fs->lru)
        {
            struct fetch_session *s = list_entry(n, struct fetch_session, lru);
            if (may_go(s, privileged, now_ms) && (!least || worth_less(s, least)))
                least = s;
        }
        if (!least || (least->privileged && !privileged))
            return false;
        // The newcomer counts with id 0, the least of its size.
        if (least->privileged == privileged && parts <= least->n)
            return false;
    }
    session_remove(fs, least);
    return true;
}

static int32_t fresh_id(struct fetch_sessions *fs)
{
    int32_t id;
    do
        id = (int32_t)(fs->cfg.random(fs->cfg.arg) & INT32_MAX);
    while (id == FETCH_SESSION_NONE || session_find(fs, id));
    return id;
}

// ---- requests and answers ----------------------------------------------------------------------------------------------
static void begin_full(struct fetch_sessions *fs, struct fetch_begin *b)
{
    struct fetch_session *s = b->session_id == FETCH_SESSION_NONE ? NULL : session_find(fs, b->session_id);
    if (s)
        session_remove(fs, s);
    b->kind = b->epoch == FETCH_EPOCH_FINAL ? FETCH_SESSIONLESS : FETCH_FULL;
}

static bool session_update(struct fetch_session *s, const struct fetch_begin *b)
{
    for (uint32_t i = 0; i < b->wants_n; i++)
        if (!part_put(s, &b->wants[i]))
            return false;
    for (uint32_t i = 0; i < b->forgotten_n; i++) {
        struct fetch_session_part *p = part_find(s, &b->forgotten[i]);
        if (p)
            part_remove(s, p);
    }
    return true;
}

int16_t fetch_session_begin(struct fetch_sessions *fs, struct fetch_begin *b)
{
    b->session = NULL;
    b->expect_epoch = 0;
    if (b->epoch == FETCH_EPOCH_INITIAL || b->epoch == FETCH_EPOCH_FINAL) {
        begin_full(fs, b);
        return KERR_NONE;
    }
    struct fetch_session *s = session_find(fs, b->session_id);
    if (!s)
        return KERR_FETCH_SESSION_ID_NOT_FOUND;
    if (s->epoch != b->epoch)
        return KERR_INVALID_FETCH_SESSION_EPOCH;
    if (s->by_id != b->by_id)
        return KERR_FETCH_SESSION_TOPIC_ID_ERROR;
    s->epoch = next_epoch(
        s->epoch); // from here on, a request that still holds the session must not touch its partitions
    if (!session_update(s, b)) { // over its limit: the client begins anew
        session_remove(fs, s);
        return KERR_FETCH_SESSION_ID_NOT_FOUND;
    }
    if (s->n == 0) {
        session_remove(fs, s);
        b->kind = FETCH_SESSIONLESS;
        return KERR_NONE;
    }
    session_touch(fs, s, b->now_ms);
    s->refs++;
    b->kind = FETCH_INCREMENTAL;
    b->session = s;
    b->expect_epoch = s->epoch;
    return KERR_NONE;
}

static bool failed(const struct fetch_news *n)
{
    return n->error != KERR_NONE || n->diverging;
}

int32_t fetch_session_add(struct fetch_sessions *fs, bool by_id, bool privileged,
                          const struct fetch_want *wants, const struct fetch_news *news, uint32_t n,
                          uint64_t now_ms)
{
    if (n > FETCH_SESSION_PARTS_MAX || !make_room(fs, privileged, n, now_ms))
        return FETCH_SESSION_NONE;
    struct fetch_session *s = calloc(1, sizeof(*s));
    if (!s)
        sl_panic("out of memory for a fetch session");
    *s = (struct fetch_session){.by_id = by_id,
                                .privileged = privileged,
                                .refs = 1,
                                .epoch = next_epoch(FETCH_EPOCH_INITIAL),
                                .created_ms = now_ms};
    list_init(&s->parts);
    list_init(&s->lru);
    for (uint32_t i = 0; i < n; i++) {
        struct fetch_session_part *p = part_put(s, &wants[i]);
        if (!p) {
            fetch_session_unref(s);
            return FETCH_SESSION_NONE;
        }
        p->high_watermark = failed(&news[i]) ? -1 : news[i].high_watermark;
        p->log_start = news[i].log_start;
    }
    s->id = fresh_id(fs);
    HASH_ADD(hh, fs->by_id, id, sizeof(s->id), s);
    session_touch(fs, s, now_ms);
    return s->id;
}

bool fetch_session_tell(struct fetch_session *s, struct fetch_session_part *p, const struct fetch_news *news)
{
    bool told = news->bytes > 0 || failed(news) || p->high_watermark != news->high_watermark ||
                p->log_start != news->log_start;
    p->high_watermark = failed(news) ? -1 : news->high_watermark; // -1: told again when the error is gone
    p->log_start = news->log_start;
    if (news->bytes > 0) {
        list_remove(&p->node);
        list_push_back(&s->parts, &p->node);
    }
    return told;
}
