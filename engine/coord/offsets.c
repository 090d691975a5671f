// See offsets.h.
#include "engine/coord/group.h"

#include "proto/gen/legacy_offset_commit_key.h"
#include "proto/gen/legacy_offset_commit_value.h"
#include "proto/gen/offset_commit_key.h"
#include "proto/gen/offset_commit_value.h"

#include "engine/base/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// An open transaction: which groups have commits of it. Names, because groups may go.
struct offset_txn {
    UT_hash_handle hh; // by producer id
    int64_t producer_id;
    char **groups;
    uint32_t n, cap;
};

enum { TOPIC_COST = 160, PENDING_COST = 112 };

// ---- topics in use -----------------------------------------------------------------------------------------------------
static void use_look(struct groups *gs, struct topic_use *u)
{
    struct coord_topic t;
    if (gs->env->topics && gs->env->topics->by_name(gs->env->r, u->name, u->name_len, &t)) {
        u->known = true;
        u->id = t.id;
    }
}

static void use_add(struct groups *gs, struct kp_str name)
{
    struct topic_use *u = NULL;
    HASH_FIND(hh, gs->topics, name.p, (unsigned)name.n, u);
    if (!u) {
        u = calloc(1, sizeof(*u));
        if (!u)
            sl_panic("coordinator: out of memory for a topic");
        u->name = group_strdup(name);
        u->name_len = (uint32_t)name.n;
        HASH_ADD_KEYPTR(hh, gs->topics, u->name, u->name_len, u);
        use_look(gs, u);
    }
    u->n++;
}

static void use_drop(struct groups *gs, const char *name, uint32_t len)
{
    struct topic_use *u = NULL;
    HASH_FIND(hh, gs->topics, name, len, u);
    SL_ASSERT(u && u->n > 0);
    if (--u->n)
        return;
    HASH_DEL(gs->topics, u);
    free(u->name);
    free(u);
}

// ---- a group's table ---------------------------------------------------------------------------------------------------
static struct offset_topic *topic_find(const struct group_offsets *o, struct kp_str name)
{
    struct offset_topic *t = NULL;
    HASH_FIND(hh, o->topics, name.p, (unsigned)name.n, t);
    return t;
}

// Where the partition is, or belongs.
static uint32_t part_index(const struct offset_topic *t, int32_t partition)
{
    uint32_t lo = 0, hi = t->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (t->parts[mid].partition < partition)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct offset_part *offsets_find(const struct group_offsets *o, struct kp_str topic, int32_t partition)
{
    struct offset_topic *t = topic_find(o, topic);
    uint32_t i = t ? part_index(t, partition) : 0;
    return t && i < t->n && t->parts[i].partition == partition ? &t->parts[i] : NULL;
}

static struct offset_topic *topic_make(struct groups *gs, struct group_offsets *o, struct kp_str name)
{
    struct offset_topic *t = topic_find(o, name);
    if (t)
        return t;
    t = calloc(1, sizeof(*t));
    if (!t)
        sl_panic("coordinator: out of memory for a topic");
    t->name = group_strdup(name);
    t->name_len = (uint32_t)name.n;
    HASH_ADD_KEYPTR(hh, o->topics, t->name, t->name_len, t);
    groups_account(gs, TOPIC_COST + t->name_len);
    use_add(gs, name);
    return t;
}

static struct offset_part *part_make(struct groups *gs, struct group_offsets *o, struct kp_str topic,
                                     int32_t partition)
{
    struct offset_topic *t = topic_make(gs, o, topic);
    uint32_t i = part_index(t, partition);
    if (i < t->n && t->parts[i].partition == partition)
        return &t->parts[i];
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 4;
        t->parts = realloc(t->parts, t->cap * sizeof(*t->parts));
        if (!t->parts)
            sl_panic("coordinator: out of memory for offsets");
    }
    memmove(&t->parts[i + 1], &t->parts[i], (t->n - i) * sizeof(*t->parts));
    t->n++;
    t->parts[i] = (struct offset_part){.partition = partition};
    groups_account(gs, sizeof(*t->parts));
    return &t->parts[i];
}

static void value_free(struct groups *gs, struct offset_value *v)
{
    if (v->metadata)
        groups_account(gs, -(int64_t)v->metadata_len);
    free(v->metadata);
    v->metadata = NULL;
    v->metadata_len = 0;
}

static void topic_collect(struct groups *gs, struct group_offsets *o, struct offset_topic *t)
{
    if (t->n)
        return;
    HASH_DEL(o->topics, t);
    use_drop(gs, t->name, t->name_len);
    groups_account(gs, -(int64_t)(TOPIC_COST + t->name_len));
    free(t->name);
    free(t->parts);
    free(t);
}

// Removes an entry that holds nothing any more.
static void part_collect(struct groups *gs, struct group_offsets *o, struct offset_topic *t,
                         struct offset_part *p)
{
    if (p->set || p->pending)
        return;
    uint32_t i = (uint32_t)(p - t->parts);
    memmove(p, p + 1, (t->n - i - 1) * sizeof(*p));
    t->n--;
    groups_account(gs, -(int64_t)sizeof(*p));
    topic_collect(gs, o, t);
}

static void pending_free(struct groups *gs, struct group_offsets *o, struct offset_pending *w)
{
    value_free(gs, &w->v);
    free(w);
    groups_account(gs, -PENDING_COST);
    o->pending_n--;
}

static void part_clear(struct groups *gs, struct group_offsets *o, struct offset_part *p)
{
    struct offset_pending *w;
    if (p->set)
        o->n--;
    p->set = false;
    value_free(gs, &p->v);
    while ((w = p->pending)) {
        p->pending = w->next;
        pending_free(gs, o, w);
    }
}

// ---- transactions --------------------------------------------------------------------------------------------------------
static void txn_note(struct groups *gs, const struct group *g, int64_t producer_id)
{
    struct offset_txn *t = NULL;
    HASH_FIND(hh, gs->txns, &producer_id, sizeof(producer_id), t);
    if (!t) {
        t = calloc(1, sizeof(*t));
        if (!t)
            sl_panic("coordinator: out of memory for a transaction");
        t->producer_id = producer_id;
        HASH_ADD(hh, gs->txns, producer_id, sizeof(t->producer_id), t);
    }
    for (uint32_t i = 0; i < t->n; i++)
        if (!strcmp(t->groups[i], g->id))
            return;
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 2;
        t->groups = realloc(t->groups, t->cap * sizeof(*t->groups));
        if (!t->groups)
            sl_panic("coordinator: out of memory for a transaction");
    }
    t->groups[t->n++] = group_strdup(group_id(g));
}

static void txn_free(struct groups *gs, struct offset_txn *t)
{
    HASH_DEL(gs->txns, t);
    for (uint32_t i = 0; i < t->n; i++)
        free(t->groups[i]);
    free(t->groups);
    free(t);
}

void offset_txns_free(struct groups *gs)
{
    struct offset_txn *t, *tmp;
    HASH_ITER(hh, gs->txns, t, tmp)
    txn_free(gs, t);
}

// This producer's commit counts, or not.
static void part_end_txn(struct groups *gs, struct group_offsets *o, struct offset_part *p,
                         int64_t producer_id, bool commit)
{
    for (struct offset_pending **at = &p->pending, *w; (w = *at);) {
        if (w->producer_id != producer_id) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        if (commit && (!p->set || w->v.order > p->v.order)) {
            o->n += !p->set;
            value_free(gs, &p->v);
            p->v = w->v;
            p->set = true;
            w->v.metadata = NULL;
        }
        pending_free(gs, o, w);
    }
}

static void group_end_txn(struct groups *gs, struct group *g, int64_t producer_id, bool commit)
{
    struct offset_topic *t, *tmp;
    HASH_ITER(hh, g->offsets.topics, t, tmp)
    {
        for (uint32_t i = t->n; i-- > 0;) // backwards: entries and then the topic may go
            part_end_txn(gs, &g->offsets, &t->parts[i], producer_id, commit);
        uint32_t kept = 0, had = t->n;
        for (uint32_t i = 0; i < had; i++)
            if (t->parts[i].set || t->parts[i].pending)
                t->parts[kept++] = t->parts[i];
        t->n = kept;
        groups_account(gs, -(int64_t)((had - kept) * sizeof(*t->parts)));
        topic_collect(gs, &g->offsets, t);
    }
}

void offsets_end_txn(struct groups *gs, int64_t producer_id, bool commit)
{
    struct offset_txn *t = NULL;
    HASH_FIND(hh, gs->txns, &producer_id, sizeof(producer_id), t);
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n; i++) {
        struct group *g = NULL;
        HASH_FIND(hh, gs->table, t->groups[i], strlen(t->groups[i]), g);
        if (!g)
            continue;
        group_end_txn(gs, g, producer_id, commit);
        groups_collect(gs, g);
    }
    txn_free(gs, t);
}

// ---- changes ---------------------------------------------------------------------------------------------------------------
void offsets_put(struct groups *gs, struct group *g, struct kp_str topic, int32_t partition,
                 int64_t producer_id, const struct offset_value *v, struct kp_str metadata)
{
    struct offset_part *p = part_make(gs, &g->offsets, topic, partition);
    struct offset_value *to = &p->v;
    if (producer_id >= 0) {
        struct offset_pending **at = &p->pending;
        while (*at && (*at)->producer_id != producer_id)
            at = &(*at)->next;
        if (!*at) {
            *at = calloc(1, sizeof(**at));
            if (!*at)
                sl_panic("coordinator: out of memory for an offset");
            (*at)->producer_id = producer_id;
            g->offsets.pending_n++;
            groups_account(gs, PENDING_COST);
            txn_note(gs, g, producer_id);
        }
        to = &(*at)->v;
    } else if (!p->set) {
        p->set = true;
        g->offsets.n++;
    }
    value_free(gs, to);
    *to = *v;
    to->order = ++gs->order;
    to->metadata = metadata.n > 0 ? group_strdup(metadata) : NULL;
    to->metadata_len = metadata.n > 0 ? (uint32_t)metadata.n : 0;
    groups_account(gs, to->metadata_len);
}

void offsets_remove(struct groups *gs, struct group *g, struct kp_str topic, int32_t partition)
{
    struct offset_topic *t = topic_find(&g->offsets, topic);
    struct offset_part *p = offsets_find(&g->offsets, topic, partition);
    if (!p)
        return;
    part_clear(gs, &g->offsets, p);
    part_collect(gs, &g->offsets, t, p);
}

void offsets_free(struct groups *gs, struct group *g)
{
    struct offset_topic *t, *tmp;
    HASH_ITER(hh, g->offsets.topics, t, tmp)
    {
        for (uint32_t i = 0; i < t->n; i++)
            part_clear(gs, &g->offsets, &t->parts[i]);
        groups_account(gs, -(int64_t)(t->n * sizeof(*t->parts)));
        t->n = 0;
        topic_collect(gs, &g->offsets, t);
    }
    SL_ASSERT(!g->offsets.n && !g->offsets.pending_n);
}

// ---- replay ----------------------------------------------------------------------------------------------------------------
// Version 0 of the keys and values is laid out as the later ones, with fewer fields.
static int decode(const struct coord_record *r, struct kp_offset_commit_key *key,
                  struct kp_offset_commit_value *value, bool *has_value, struct arena *a)
{
    struct kp_legacy_offset_commit_key old_key;
    struct kp_legacy_offset_commit_value old;
    int16_t type = (int16_t)be16_load(r->key.p);
    if (type == GREC_OFFSET_COMMIT)
        return group_record_decode(r, type, key, value, has_value, a);
    int rc = group_record_decode(r, type, &old_key, &old, has_value, a);
    if (rc)
        return rc;
    kp_offset_commit_value_init(value);
    *key = (struct kp_offset_commit_key){
        .group = old_key.group, .topic = old_key.topic, .partition = old_key.partition};
    if (*has_value) {
        value->offset = old.offset;
        value->metadata = old.metadata;
        value->commit_timestamp = old.commit_timestamp;
    }
    return 0;
}

int offset_replay(struct groups *gs, const struct coord_record *r)
{
    struct kp_offset_commit_key key;
    struct kp_offset_commit_value value;
    struct arena a;
    bool has_value;
    arena_init(&a, 0);
    int rc = decode(r, &key, &value, &has_value, &a);
    arena_free(&a);
    if (rc || !group_text_ok(key.group) || !group_text_ok(key.topic))
        return rc;
    if (!has_value) {
        struct group *g = groups_find(gs, key.group);
        if (!g)
            return 0;
        offsets_remove(gs, g, key.topic, key.partition);
        groups_collect(gs, g);
        return 0;
    }
    struct offset_value v = {.offset = value.offset,
                             .commit_ms = value.commit_timestamp,
                             .expire_ms = value.expire_timestamp,
                             .leader_epoch = value.leader_epoch,
                             .topic_id = value.topic_id};
    offsets_put(gs, groups_make(gs, key.group), key.topic, key.partition, r->producer_id, &v, value.metadata);
    return 0;
}
