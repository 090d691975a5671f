// Creating topics, as upstream's ControllerApis and ReplicationControlManager do it: the same order of
// checks, the same
// errors, the same words.
#include "engine/meta/meta_private.h"

#include "proto/gen/config_record.h"
#include "proto/gen/producer_ids_record.h"
#include "proto/gen/topic_record.h"

#include <stdio.h>
#include <stdlib.h>

enum { CONFIG_VALUE_MAX = 32767 };

static int16_t refuse(struct meta_create_topic *t, int16_t error, const char *text)
{
    t->error = error;
    snprintf(t->message, sizeof(t->message), "%s", text);
    return error;
}

static bool same_name(const struct meta_create_topic *a, const struct meta_create_topic *b)
{
    return a->name && b->name && a->name_len == b->name_len && !memcmp(a->name, b->name, (size_t)a->name_len);
}

// Upstream answers a name that comes twice once; here every one of them carries the error.
static void mark_duplicates(struct meta_create *c)
{
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = i + 1; k < c->n; k++)
            if (same_name(&c->topics[i], &c->topics[k])) {
                refuse(&c->topics[i], KERR_INVALID_REQUEST, "Duplicate topic name.");
                refuse(&c->topics[k], KERR_INVALID_REQUEST, "Duplicate topic name.");
            }
}

static bool too_many(const struct meta *m, const struct meta_create *c)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        const struct meta_create_topic *t = &c->topics[i];
        total += t->assignments        ? (int64_t)t->assignments_n
                 : t->partitions == -1 ? cfg_int(m->cfg, CFG_NUM_PARTITIONS)
                                       : SL_MAX(t->partitions, 0);
    }
    return total > MAX_RECORDS_PER_OP;
}

// ---- one topic --------------------------------------------------------------------------------------------
static int16_t check_name(struct meta *m, struct meta_create_topic *t)
{
    int16_t e = topic_name_check(m, t->name, t->name_len, t->message, sizeof(t->message));
    if (t->name && t->name_len > 0 && state_find_name(m, t->name, (size_t)t->name_len)) {
        snprintf(t->message, sizeof(t->message), "Topic '%.*s' already exists.", t->name_len, t->name);
        e = KERR_TOPIC_ALREADY_EXISTS;
    }
    t->error = e;
    return e;
}

static int16_t check_configs(struct meta *m, struct meta_create_topic *t)
{
    struct topic_config tc;
    char nulls[256] = "";
    bool any = false;
    meta_resolve_config(m, NULL, 0, "", &tc);
    for (uint32_t i = 0; i < t->configs_n; i++)
        if (!t->configs[i].value) {
            snprintf(nulls + strlen(nulls), sizeof(nulls) - strlen(nulls), "%s%s", any ? "," : "",
                     t->configs[i].key);
            any = true;
        }
    if (any) {
        snprintf(t->message, sizeof(t->message), "Null value not supported for topic configs: %s", nulls);
        return t->error = KERR_INVALID_CONFIG;
    }
    for (uint32_t i = 0; i < t->configs_n; i++) {
        if (strlen(t->configs[i].value) > CONFIG_VALUE_MAX)
            return refuse(t, KERR_INVALID_CONFIG,
                          "The configuration value cannot be added because it exceeds the maximum value size "
                          "of 32767 bytes.");
        if (topic_config_set(&tc, t->configs[i].key, t->configs[i].value, t->message, sizeof(t->message)))
            return t->error = KERR_INVALID_CONFIG;
    }
    if (topic_config_check(&tc, t->message, sizeof(t->message)))
        return t->error = KERR_INVALID_CONFIG;
    t->message[0] = 0;
    return KERR_NONE;
}

static int16_t check_assignments(struct meta *m, struct meta_create_topic *t)
{
    uint32_t n = t->assignments_n;
    int32_t factor = -1;
    if (t->replication_factor != -1)
        return refuse(
            t, KERR_INVALID_REQUEST,
            "A manual partition assignment was specified, but replication factor was not set to -1.");
    if (t->partitions != -1)
        return refuse(t, KERR_INVALID_REQUEST,
                      "A manual partition assignment was specified, but numPartitions was not set to -1.");
    bool *seen = calloc(n + 1, sizeof(*seen));
    if (!seen)
        return t->error = KERR_UNKNOWN_SERVER_ERROR;
    bool gap = false;
    for (uint32_t i = 0; i < n && !t->error; i++) {
        int32_t id = t->assignment_ids ? t->assignment_ids[i] : (int32_t)i;
        bool in_range = id >= 0 && (uint32_t)id < n;
        bool twice = in_range && seen[id];
        for (uint32_t k = 0; k < i && !in_range && !twice; k++)
            twice = t->assignment_ids[k] == id;
        if (in_range)
            seen[id] = true;
        gap |= !in_range;
        if (twice) {
            snprintf(t->message, sizeof(t->message),
                     "Found multiple manual partition assignments for partition %d", id);
            t->error = KERR_INVALID_REPLICA_ASSIGNMENT;
        } else {
            t->error = assignment_check(m, t->assignments[i], t->assignment_n[i], factor, id, t->message,
                                        sizeof(t->message));
            factor = t->assignment_n[i];
        }
    }
    free(seen);
    if (!t->error && gap)
        refuse(t, KERR_INVALID_REPLICA_ASSIGNMENT,
               "partitions should be a consecutive 0-based integer sequence");
    t->out_partitions = (int32_t)n;
    t->out_replication = (int16_t)factor;
    return t->error;
}

static int16_t check_numbers(struct meta *m, struct meta_create_topic *t)
{
    if (t->replication_factor < -1 || t->replication_factor == 0)
        return refuse(t, KERR_INVALID_REPLICATION_FACTOR,
                      "Replication factor must be larger than 0, or -1 to use the default value.");
    if (t->partitions < -1 || t->partitions == 0)
        return refuse(t, KERR_INVALID_PARTITIONS,
                      "Number of partitions was set to an invalid non-positive value.");
    t->out_partitions = t->partitions == -1 ? (int32_t)cfg_int(m->cfg, CFG_NUM_PARTITIONS) : t->partitions;
    t->out_replication = t->replication_factor == -1
                             ? (int16_t)cfg_int(m->cfg, CFG_DEFAULT_REPLICATION_FACTOR)
                             : t->replication_factor;
    return t->error = replication_check(m, t->out_replication, t->message, sizeof(t->message));
}

static void add_records(struct meta *m, struct meta_create_topic *t, struct recs *rs)
{
    struct kp_topic_record r = {.name = {t->name, t->name_len}, .topic_id = t->id};
    recs_add(rs, REC_TOPIC, 0, &r);
    for (uint32_t i = 0; i < t->configs_n; i++) {
        struct kp_config_record cr = {.resource_type = META_RES_TOPIC,
                                      .resource_name = r.name,
                                      .name = kp_str_of(t->configs[i].key),
                                      .value = kp_str_of(t->configs[i].value)};
        recs_add(rs, REC_CONFIG, 0, &cr);
    }
    uint32_t *at = arena_array(&rs->arena, (size_t)t->out_partitions, sizeof(*at)); // partition -> assignment
    for (uint32_t i = 0; i < t->assignments_n && t->assignments && at; i++)
        at[t->assignment_ids ? t->assignment_ids[i] : (int32_t)i] = i;
    if (!at)
        rs->rc = -ENOMEM;
    for (int32_t p = 0; p < t->out_partitions && !rs->rc; p++) {
        if (t->assignments)
            recs_add_partition(m, rs, &t->id, p, t->assignments[at[p]], t->assignment_n[at[p]]);
        else
            recs_add_partition(m, rs, &t->id, p, &m->id.node_id, 1);
    }
}

// ---- internal topics --------------------------------------------------------------------------------------
struct internal_defaults {
    struct meta_config_entry configs[6];
    char segment[24], min_isr[24];
};

// What the coordinators' topics are created with, when their creator leaves it open.
static void fill_internal(const struct meta *m, struct meta_create_topic *t, struct internal_defaults *d)
{
    static const char offsets[] = "__consumer_offsets", txns[] = "__transaction_state";
    size_t n = (size_t)SL_MAX(t->name_len, 0);
    bool off = n == sizeof(offsets) - 1 && !memcmp(t->name, offsets, n),
         txn = n == sizeof(txns) - 1 && !memcmp(t->name, txns, n);
    if ((!off && !txn) || t->configs_n || t->partitions != -1)
        return;
    uint32_t k = 0;
    snprintf(d->segment, sizeof(d->segment), "%lld",
             (long long)cfg_int(m->cfg, off ? CFG_OFFSETS_TOPIC_SEGMENT_BYTES
                                            : CFG_TRANSACTION_STATE_LOG_SEGMENT_BYTES));
    d->configs[k++] = (struct meta_config_entry){"cleanup.policy", "compact"};
    d->configs[k++] = (struct meta_config_entry){"compression.type", off ? "producer" : "uncompressed"};
    d->configs[k++] = (struct meta_config_entry){"segment.bytes", d->segment};
    if (txn) {
        snprintf(d->min_isr, sizeof(d->min_isr), "%lld",
                 (long long)cfg_int(m->cfg, CFG_TRANSACTION_STATE_LOG_MIN_ISR));
        d->configs[k++] = (struct meta_config_entry){"min.insync.replicas", d->min_isr};
        d->configs[k++] = (struct meta_config_entry){"unclean.leader.election.enable", "false"};
    }
    t->configs = d->configs;
    t->configs_n = k;
    t->partitions = (int32_t)cfg_int(m->cfg, off ? CFG_OFFSETS_TOPIC_NUM_PARTITIONS
                                                 : CFG_TRANSACTION_STATE_LOG_NUM_PARTITIONS);
    t->replication_factor = (int16_t)cfg_int(m->cfg, off ? CFG_OFFSETS_TOPIC_REPLICATION_FACTOR
                                                         : CFG_TRANSACTION_STATE_LOG_REPLICATION_FACTOR);
}

// ---- the request ------------------------------------------------------------------------------------------
static void create_one(struct meta *m, struct meta_create *c, struct meta_create_topic *t, struct recs *rs)
{
    struct internal_defaults d;
    if (t->name && t->name_len == sizeof(META_TOPIC_NAME) - 1 &&
        !memcmp(t->name, META_TOPIC_NAME, (size_t)t->name_len)) {
        refuse(t, KERR_INVALID_REQUEST, "Creation of internal topic __cluster_metadata is prohibited.");
        return;
    }
    if (check_name(m, t))
        return;
    if (c->auto_create)
        fill_internal(m, t, &d);
    if (check_configs(m, t) || (t->assignments ? check_assignments(m, t) : check_numbers(m, t)))
        return;
    if (mutations_count(m, &c->quota,
                        (uint32_t)t->out_partitions)) { // also of what is only validated, as upstream
        refuse(t, KERR_THROTTLING_QUOTA_EXCEEDED, "");
        return;
    }
    meta_random_id(m, &t->id);
    if (!c->validate_only)
        add_records(m, t, rs);
}

// The topics are in the log: opens their partitions. The frozen topics exist only once the image does.
static void open_created(struct meta *m, struct meta_create *c)
{
    struct meta_open run = {.m = m};
    bool *fresh = calloc(c->n + 1, sizeof(*fresh));
    if (!fresh)
        sl_panic("meta: out of memory for opening partitions");
    meta_publish_begin(m);
    for (uint32_t i = 0; i < c->n; i++) {
        struct topic_state *s = c->topics[i].error ? NULL : state_find_id(m, &c->topics[i].id);
        fresh[i] = s != NULL;
        if (s)
            meta_open_topic(&run, s->frozen, 0, &c->topics[i].error);
    }
    meta_open_wait(&run);
    for (uint32_t i = 0; i < c->n; i++) {
        if (!fresh[i] || !c->topics[i].error)
            continue;
        refuse(&c->topics[i], c->topics[i].error,
               "The topic was created, but its partitions could not be opened yet.");
        meta_reopen_later(m, &c->topics[i].id);
    }
    free(fresh);
    meta_publish_end(m);
}

// Where the new partitions are: after all their records, as it is told upstream's controller.
static void add_directories(struct meta *m, const struct meta_create *c, struct recs *rs)
{
    struct placing pl;
    dirs_count(m, &pl);
    for (uint32_t i = 0; i < c->n && !c->validate_only; i++)
        for (int32_t p = 0; p < c->topics[i].out_partitions && !c->topics[i].error; p++)
            dirs_add_choice(m, rs, &pl, &c->topics[i].id, p);
}

static void fail_rest(struct meta_create *c, int16_t error, const char *text)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (!c->topics[i].error)
            refuse(&c->topics[i], error, text);
}

void op_create_topics(struct meta *m, struct meta_create *c)
{
    struct recs rs;
    recs_init(&rs);
    for (uint32_t i = 0; i < c->n; i++) {
        c->topics[i].error = KERR_NONE;
        c->topics[i].message[0] = 0;
        memset(&c->topics[i].id, 0, sizeof(c->topics[i].id));
    }
    mark_duplicates(c);
    if (m->stopping)
        fail_rest(c, KERR_NOT_CONTROLLER, "The broker is stopping.");
    else if (too_many(m, c))
        fail_rest(c, KERR_POLICY_VIOLATION, "Excessively large number of partitions per request.");
    for (uint32_t i = 0; i < c->n; i++)
        if (!c->topics[i].error)
            create_one(m, c, &c->topics[i], &rs);
    if (rs.n || rs.rc) {
        add_directories(m, c, &rs);
        int rc = meta_append(m, &rs, true);
        if (rc)
            fail_rest(c, meta_error_of(rc), "The metadata log could not be written.");
        else
            open_created(m, c);
    }
    recs_free(&rs);
}

// ---- producer ids -----------------------------------------------------------------------------------------
void op_alloc_pids(struct meta *m, struct meta_pids *p)
{
    struct kp_producer_ids_record r = {.broker_id = m->id.node_id, .broker_epoch = m->broker_epoch};
    struct recs rs;
    int64_t first = m->next_pid;
    p->first = -1;
    p->count = 0;
    if (m->stopping || first > INT64_MAX - PID_BLOCK) {
        p->error = m->stopping ? KERR_NOT_CONTROLLER : KERR_UNKNOWN_SERVER_ERROR;
        return;
    }
    r.next_producer_id = first + PID_BLOCK;
    recs_init(&rs);
    recs_add(&rs, REC_PRODUCER_IDS, 0, &r);
    int rc = meta_append(m, &rs, true);
    recs_free(&rs);
    p->error = meta_error_of(rc);
    if (!rc) {
        p->first = first;
        p->count = PID_BLOCK;
    }
}
