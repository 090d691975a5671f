// Deleting topics and adding partitions to them, with upstream's checks and words.
#include "engine/meta/meta_private.h"

#include "proto/gen/remove_topic_record.h"

#include <stdio.h>
#include <stdlib.h>

// ---- deletion ---------------------------------------------------------------------------------------------
static void refuse(struct meta_delete_topic *t, int16_t error, const char *text)
{
    t->error = error;
    snprintf(t->message, sizeof(t->message), "%s", text);
}

static void find(struct meta *m, struct meta_delete_topic *t)
{
    struct topic_state *s;
    bool by_id = !sl_uuid_is_zero(&t->id);
    if (!t->name && !by_id) {
        refuse(t, KERR_INVALID_REQUEST, "Neither topic name nor id were specified.");
    } else if (t->name && by_id) {
        refuse(t, KERR_INVALID_REQUEST, "You may not specify both topic name and topic id.");
    } else if (!(s = t->name ? state_find_name(m, t->name, (size_t)t->name_len) : state_find_id(m, &t->id))) {
        refuse(t, t->name ? KERR_UNKNOWN_TOPIC_OR_PARTITION : KERR_UNKNOWN_TOPIC_ID,
               t->name ? "This server does not host this topic-partition."
                       : "This server does not host this topic ID.");
    } else {
        t->out_id = s->id;
        snprintf(t->out_name, sizeof(t->out_name), "%s", s->name);
    }
}

// One topic named twice, or by name and by id.
static void mark_twice(struct meta_delete_topic *a, struct meta_delete_topic *b)
{
    if (sl_uuid_is_zero(&a->out_id) || !sl_uuid_eq(&a->out_id, &b->out_id))
        return;
    const char *text = a->name && b->name ? "Duplicate topic name."
                       : !a->name && !b->name
                           ? "Duplicate topic id."
                           : "The provided topic name maps to an ID that was already supplied.";
    refuse(a, KERR_INVALID_REQUEST, text);
    refuse(b, KERR_INVALID_REQUEST, text);
}

static void check(struct meta *m, struct meta_delete *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        struct meta_delete_topic *t = &d->topics[i];
        t->error = KERR_NONE;
        t->message[0] = t->out_name[0] = 0;
        memset(&t->out_id, 0, sizeof(t->out_id));
        if (m->stopping)
            refuse(t, KERR_NOT_CONTROLLER, "The broker is stopping.");
        else if (!cfg_bool(m->cfg, CFG_DELETE_TOPIC_ENABLE))
            refuse(t, KERR_TOPIC_DELETION_DISABLED, "Topic deletion is disabled.");
        else
            find(m, t);
    }
    for (uint32_t i = 0; i < d->n; i++)
        for (uint32_t k = i + 1; k < d->n; k++)
            mark_twice(&d->topics[i], &d->topics[k]);
}

// The removals are in the log: the shards forget the partitions, and then everybody.
static void drop_deleted(struct meta *m, struct meta_delete *d, const uint32_t *parts)
{
    struct meta_drop run = {.m = m};
    for (uint32_t i = 0; i < d->n; i++)
        if (parts[i])
            meta_drop_topic(&run, &d->topics[i].out_id, parts[i], &d->topics[i].error);
    meta_drop_wait(&run);
    for (uint32_t i = 0; i < d->n; i++)
        if (parts[i] && d->topics[i].error)
            refuse(&d->topics[i], d->topics[i].error,
                   "The topic was deleted, but some of its files could not be removed.");
    meta_publish(m);
}

void op_delete_topics(struct meta *m, struct meta_delete *d)
{
    struct recs rs;
    uint32_t *parts = calloc(d->n + 1, sizeof(*parts)); // of those that are deleted
    if (!parts)
        sl_panic("meta: out of memory for a deletion");
    recs_init(&rs);
    check(m, d);
    for (uint32_t i = 0; i < d->n; i++) {
        if (d->topics[i].error)
            continue;
        struct kp_remove_topic_record r = {.topic_id = d->topics[i].out_id};
        uint32_t n = state_find_id(m, &r.topic_id)->frozen->partitions_n;
        if (mutations_count(m, &d->quota, n)) {
            refuse(&d->topics[i], KERR_THROTTLING_QUOTA_EXCEEDED, "");
            continue;
        }
        parts[i] = n;
        recs_add(&rs, REC_REMOVE_TOPIC, 0, &r);
    }
    int rc = meta_append(m, &rs, true);
    for (uint32_t i = 0; i < d->n && rc; i++)
        if (!d->topics[i].error)
            refuse(&d->topics[i], meta_error_of(rc), "The metadata log could not be written.");
    if (rs.n && !rc)
        drop_deleted(m, d, parts);
    recs_free(&rs);
    free(parts);
}

// ---- more partitions --------------------------------------------------------------------------------------
static void refuse_grow(struct meta_grow_topic *t, int16_t error, const char *text)
{
    t->error = error;
    snprintf(t->message, sizeof(t->message), "%s", text);
}

static bool same_name(const struct meta_grow_topic *a, const struct meta_grow_topic *b)
{
    return a->name_len == b->name_len && !memcmp(a->name, b->name, (size_t)a->name_len);
}

static int16_t check_count(struct meta_grow_topic *t, int32_t have)
{
    int64_t more = (int64_t)t->count - have;
    if (more == 0)
        snprintf(t->message, sizeof(t->message), "Topic already has %d partition(s).", have);
    else if (more < 0)
        snprintf(t->message, sizeof(t->message),
                 "The topic %.*s currently has %d partition(s); %d would not be an increase.", t->name_len,
                 t->name, have, t->count);
    if (more <= 0)
        return t->error = KERR_INVALID_PARTITIONS;
    if (t->has_assignments && t->assignments_n != (uint64_t)more) {
        snprintf(t->message, sizeof(t->message),
                 "Attempted to add %lld additional partition(s), but only %u assignment(s) were specified.",
                 (long long)more, t->assignments_n);
        return t->error = KERR_INVALID_REPLICA_ASSIGNMENT;
    }
    if (more > MAX_RECORDS_PER_OP)
        refuse_grow(t, KERR_POLICY_VIOLATION, "Excessively large number of partitions per request.");
    return t->error;
}

static void add_directories(struct meta *m, const struct meta_grow *g, const uint32_t *had, struct recs *rs)
{
    struct placing pl;
    dirs_count(m, &pl);
    for (uint32_t i = 0; i < g->n && !g->validate_only; i++) {
        const struct meta_grow_topic *t = &g->topics[i];
        const struct topic_state *s =
            t->error ? NULL : state_find_name(m, t->name, (size_t)SL_MAX(t->name_len, 0));
        for (int32_t p = (int32_t)had[i]; s && p < t->count; p++)
            dirs_add_choice(m, rs, &pl, &s->id, p);
    }
}

static void grow_one(struct meta *m, struct meta_grow *g, struct meta_grow_topic *t, struct recs *rs)
{
    struct topic_state *s = state_find_name(m, t->name, (size_t)SL_MAX(t->name_len, 0));
    if (!s) {
        refuse_grow(t, KERR_UNKNOWN_TOPIC_OR_PARTITION, ""); // upstream gives no text here
        return;
    }
    int32_t have = (int32_t)s->frozen->partitions_n;
    if (check_count(t, have))
        return;
    int32_t factor = (int32_t)s->frozen->partitions[0].replicas_n;
    for (uint32_t i = 0; t->has_assignments && i < t->assignments_n && !t->error; i++)
        t->error = assignment_check(m, t->assignments[i], t->assignment_n[i], factor, have + (int32_t)i,
                                    t->message, sizeof(t->message));
    if (!t->error && !t->has_assignments)
        t->error = replication_check(m, (int16_t)factor, t->message, sizeof(t->message));
    if (!t->error && mutations_count(m, &g->quota, (uint32_t)(t->count - have)))
        refuse_grow(t, KERR_THROTTLING_QUOTA_EXCEEDED, "");
    for (int32_t p = have; p < t->count && !t->error && !g->validate_only; p++) {
        bool given = t->has_assignments;
        recs_add_partition(m, rs, &s->id, p, given ? t->assignments[p - have] : &m->id.node_id,
                           given ? t->assignment_n[p - have] : 1);
    }
}

static void note_unopened(struct meta *m, struct meta_grow_topic *t)
{
    const struct topic_state *s = state_find_name(m, t->name, (size_t)t->name_len);
    refuse_grow(t, t->error, "The partitions were created, but could not be opened yet.");
    if (s)
        meta_reopen_later(m, &s->id);
}

static void open_grown(struct meta *m, struct meta_grow *g, const uint32_t *had)
{
    struct meta_open run = {.m = m};
    meta_publish_begin(m);
    for (uint32_t i = 0; i < g->n; i++) {
        struct meta_grow_topic *t = &g->topics[i];
        if (!t->error)
            meta_open_topic(&run, state_find_name(m, t->name, (size_t)t->name_len)->frozen, had[i],
                            &t->error);
    }
    meta_open_wait(&run);
    for (uint32_t i = 0; i < g->n; i++)
        if (g->topics[i].error && !g->topics[i].message[0] && g->topics[i].count > (int32_t)had[i] && had[i])
            note_unopened(m, &g->topics[i]);
    meta_publish_end(m);
}

void op_create_partitions(struct meta *m, struct meta_grow *g)
{
    struct recs rs;
    uint32_t *had = calloc(g->n + 1, sizeof(*had));
    if (!had)
        sl_panic("meta: out of memory for new partitions");
    recs_init(&rs);
    for (uint32_t i = 0; i < g->n; i++) {
        g->topics[i].error = KERR_NONE;
        g->topics[i].message[0] = 0;
    }
    for (uint32_t i = 0; i < g->n; i++) {
        struct meta_grow_topic *t = &g->topics[i];
        for (uint32_t k = i + 1; k < g->n; k++)
            if (same_name(t, &g->topics[k])) {
                refuse_grow(t, KERR_INVALID_REQUEST, "Duplicate topic name.");
                refuse_grow(&g->topics[k], KERR_INVALID_REQUEST, "Duplicate topic name.");
            }
        if (m->stopping)
            refuse_grow(t, KERR_NOT_CONTROLLER, "The broker is stopping.");
        struct topic_state *s = state_find_name(m, t->name, (size_t)SL_MAX(t->name_len, 0));
        had[i] = s ? s->frozen->partitions_n : 0;
        if (!t->error)
            grow_one(m, g, t, &rs);
    }
    if (rs.n || rs.rc) {
        add_directories(m, g, had, &rs);
        int rc = meta_append(m, &rs, true);
        for (uint32_t i = 0; i < g->n && rc; i++)
            if (!g->topics[i].error)
                refuse_grow(&g->topics[i], meta_error_of(rc), "The metadata log could not be written.");
        if (!rc)
            open_grown(m, g, had);
    }
    recs_free(&rs);
    free(had);
}
