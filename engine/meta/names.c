// Upstream's rules for topic names, replicas and assignments, with its words (they reach users through every
// client).
#include "engine/meta/meta_private.h"

#include "proto/gen/partition_record.h"

#include <stdio.h>
#include <stdlib.h>

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool collides(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((a[i] == '.' ? '_' : a[i]) != (b[i] == '.' ? '_' : b[i]))
            return false;
    return true;
}

// The first topic by name that differs from `name` in '.' and '_' only.
static const struct meta_topic *find_collision(const struct meta *m, const char *name, size_t n)
{
    for (uint32_t i = 0; i < m->sorted_n; i++)
        if (m->sorted[i]->name_len == n && collides(m->sorted[i]->name, name, n))
            return m->sorted[i];
    return NULL;
}

int16_t topic_name_form(const char *name, int32_t len, char *msg, size_t cap)
{
    static const char *const invalid = "Topic name is invalid: ";
    int32_t i = 0;
    while (i < len && name_char(name[i]))
        i++;
    if (len == 0)
        snprintf(msg, cap, "%sthe empty string is not allowed", invalid);
    else if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
        snprintf(msg, cap, "%s'%.*s' is not allowed", invalid, len, name);
    else if (len > 249)
        snprintf(msg, cap, "%sthe length of '%.*s' is longer than the max allowed length 249", invalid, len,
                 name);
    else if (i < len)
        snprintf(msg, cap,
                 "%s'%.*s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
                 invalid, len, name);
    else
        return KERR_NONE;
    return KERR_INVALID_TOPIC_EXCEPTION;
}

int16_t topic_name_check(const struct meta *m, const char *name, int32_t len, char *msg, size_t cap)
{
    if (!name || len < 0) {
        snprintf(msg, cap, "Invalid null topic name.");
        return KERR_INVALID_TOPIC_EXCEPTION;
    }
    int16_t error = topic_name_form(name, len, msg, cap);
    if (error || (!memchr(name, '.', (size_t)len) && !memchr(name, '_', (size_t)len)))
        return error;
    const struct meta_topic *t = find_collision(m, name, (size_t)len);
    if (!t)
        return KERR_NONE;
    snprintf(msg, cap, "Topic '%.*s' collides with existing topic: %s", len, name, t->name);
    return KERR_INVALID_TOPIC_EXCEPTION;
}

static uint32_t usable_brokers(const struct meta *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->brokers_n; i++)
        n += !m->brokers[i].b.fenced;
    return n;
}

int16_t replication_check(struct meta *m, int16_t factor, char *msg, size_t cap)
{
    uint32_t n = usable_brokers(m);
    if (n == 0)
        snprintf(msg, cap,
                 "Unable to replicate the partition %d time(s): All brokers are currently fenced, or have "
                 "all their log "
                 "directories cordoned.",
                 factor);
    else if (factor > 1) // replicas elsewhere are not served yet
        snprintf(msg, cap,
                 "Unable to replicate the partition %d time(s): The target replication factor of %d cannot "
                 "be reached "
                 "because only %u broker(s) are registered or some brokers have all their log directories "
                 "cordoned.",
                 factor, factor, n);
    else
        return KERR_NONE;
    return KERR_INVALID_REPLICATION_FACTOR;
}

static int id_cmp(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

// ReplicationControlManager.validateManualPartitionAssignment, then the check that a replica is usable.
int16_t assignment_check(struct meta *m, const int32_t *ids, int32_t n, int32_t expected, int32_t partition,
                         char *msg, size_t cap)
{
    bool usable = false;
    if (n <= 0) {
        snprintf(msg, cap, "The manual partition assignment includes an empty replica list.");
        return KERR_INVALID_REPLICA_ASSIGNMENT;
    }
    int32_t *sorted = malloc((size_t)n * sizeof(*sorted));
    if (!sorted)
        return KERR_UNKNOWN_SERVER_ERROR;
    memcpy(sorted, ids, (size_t)n * sizeof(*sorted));
    qsort(sorted, (size_t)n, sizeof(*sorted), id_cmp);
    msg[0] = 0;
    for (int32_t i = 0; i < n && !msg[0]; i++) {
        struct broker_state *b = state_broker(m, sorted[i]);
        if (!b)
            snprintf(msg, cap,
                     "The manual partition assignment includes broker %d, but no such broker is registered.",
                     sorted[i]);
        else if (i && sorted[i] == sorted[i - 1])
            snprintf(msg, cap, "The manual partition assignment includes the broker %d more than once.",
                     sorted[i]);
        usable |= b && !b->b.fenced;
    }
    free(sorted);
    if (!msg[0] && expected >= 0 && n != expected)
        snprintf(msg, cap,
                 "The manual partition assignment includes a partition with %d replica(s), but this is not "
                 "consistent with "
                 "previous partitions, which have %d replica(s).",
                 n, expected);
    if (!msg[0] && !usable)
        snprintf(msg, cap,
                 "All brokers specified in the manual partition assignment for partition %d are fenced or in "
                 "controlled "
                 "shutdown.",
                 partition);
    return msg[0] ? KERR_INVALID_REPLICA_ASSIGNMENT : KERR_NONE;
}

// ---- records ----------------------------------------------------------------------------------------------
int16_t version_partition(const struct meta *m)
{
    int16_t level = state_feature(m, "metadata.version");
    return level >= MV_ELR ? 2 : level >= MV_DIRECTORIES ? 1 : 0;
}

int16_t version_register_broker(const struct meta *m)
{
    int16_t level = state_feature(m, "metadata.version");
    return level >= MV_LATEST ? 4 : level >= MV_DIRECTORIES ? 3 : level >= MV_MIGRATION ? 2 : 1;
}

void recs_add_partition(struct meta *m, struct recs *rs, const struct sl_uuid *topic, int32_t partition,
                        const int32_t *replicas, int32_t n)
{
    struct kp_partition_record r;
    int32_t *isr = arena_array(&rs->arena, (size_t)n, sizeof(*isr));
    struct sl_uuid *dirs = arena_array(&rs->arena, (size_t)n, sizeof(*dirs));
    if (!isr || !dirs) {
        rs->rc = -ENOMEM;
        return;
    }
    kp_partition_record_init(&r);
    r.partition_id = partition;
    r.topic_id = *topic;
    r.replicas = (int32_t *)replicas;
    r.replicas_n = n;
    r.isr = isr;
    for (int32_t i = 0; i < n; i++) {
        struct broker_state *b = state_broker(m, replicas[i]);
        dirs[i] = replicas[i] == m->id.node_id ? dirs_default(m) : (struct sl_uuid){0};
        if (b && !b->b.fenced)
            isr[r.isr_n++] = replicas[i];
    }
    SL_ASSERT(r.isr_n > 0);
    r.leader = isr[0];
    r.leader_epoch = 0;
    r.partition_epoch = 0;
    int16_t version = version_partition(m);
    if (version >= 1) {
        r.directories = dirs;
        r.directories_n = n;
    }
    recs_add(rs, REC_PARTITION, version, &r);
}
