// Snapshots of the metadata: a start replays the newest one and what the log has after it, instead of everything.
//
// __cluster_metadata-0/OOOOOOOOOOOOOOOOOOOO-EEEEEEEEEE.checkpoint, as KRaft has it (KIP-630): O the offset that follows the
// last record in it, E the epoch of that record, both in decimal. It holds record batches, offsets from 0 on:
//   control batch   SnapshotHeader; with kraft.version 1 also KRaftVersion and KRaftVoters
//   data batches    the records that make the state: FeatureLevel (metadata.version first), RegisterController,
//                   RegisterBroker, Topic and Partition, Config, ClientQuota, ProducerIds
//   control batch   SnapshotFooter
// The file appears whole, by a rename, when it is synced. Older ones, and the log before the oldest, go as trim.c says. What the
// state cannot give back exactly (other brokers' replicas, access control lists, credentials: a directory that
// a larger cluster left) makes no snapshot: the log keeps it.
#include "engine/meta/meta_private.h"

#include "engine/base/canary.h"
#include "engine/log/record.h"
#include "proto/gen/client_quota_record.h"
#include "proto/gen/config_record.h"
#include "proto/gen/feature_level_record.h"
#include "proto/gen/partition_record.h"
#include "proto/gen/producer_ids_record.h"
#include "proto/gen/register_broker_record.h"
#include "proto/gen/topic_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// ---- records ------------------------------------------------------------------------------------------------------------
static void add_feature(struct recs *rs, const char *name, int16_t level)
{
    struct kp_feature_level_record r = {.name = kp_str_of(name), .feature_level = level};
    recs_add(rs, REC_FEATURE_LEVEL, 0, &r);
}

static void add_features(const struct meta *m, struct recs *rs)
{
    add_feature(rs, "metadata.version", state_feature(m, "metadata.version"));
    for (uint32_t i = 0; i < m->features_n; i++)
        if (strcmp(m->features[i].name, "metadata.version") != 0)
            add_feature(rs, m->features[i].name, m->features[i].level);
}

// Registrations as they were appended, but for what happened to them since.
static void add_registration(struct meta *m, struct recs *rs, const struct kept_record *k)
{
    struct kp_register_broker_record r;
    if (k->id[0] == REC_REGISTER_CONTROLLER) {
        if (!rs->rc)
            rs->rc = recs_add_raw(rs, k->rec, k->rec_n);
        return;
    }
    SL_ASSERT(k->id[0] == REC_REGISTER_BROKER && k->rec_n > 3);
    arena_reset(&m->decode);
    if (kp_register_broker_record_decode(&r, k->rec + 3, k->rec_n - 3, k->rec[2], &m->decode) < 0) {
        rs->rc = -EUCLEAN;
        return;
    }
    struct broker_state *b = state_broker(m, r.broker_id);
    if (!b)
        return;
    r.fenced = b->b.fenced;
    r.log_dirs = (struct sl_uuid *)b->b.dirs;
    r.log_dirs_n = (int32_t)b->b.dirs_n;
    recs_add(rs, REC_REGISTER_BROKER, k->rec[2], &r);
}

static void add_registrations(struct meta *m, struct recs *rs)
{
    struct kept_record *k, *tmp;
    for (int pass = 0; pass < 2; pass++)
        HASH_ITER(hh, m->kept, k, tmp)
        {
            if ((k->id[0] == REC_REGISTER_BROKER) == (pass == 0))
                add_registration(m, rs, k);
        }
}

static void add_partition(struct meta *m, struct recs *rs, const struct meta_topic *t, uint32_t i)
{
    const struct meta_partition *p = &t->partitions[i];
    struct kp_partition_record r;
    struct sl_uuid dir = p->directory;
    kp_partition_record_init(&r);
    SL_ASSERT(p->replicas_n == 1);
    r.partition_id = (int32_t)i;
    r.topic_id = t->id;
    r.replicas = (int32_t *)p->replicas;
    r.replicas_n = (int32_t)p->replicas_n;
    r.isr = (int32_t *)p->isr;
    r.isr_n = (int32_t)p->isr_n;
    r.leader = p->leader;
    r.leader_epoch = p->leader_epoch;
    r.partition_epoch = p->partition_epoch;
    if (version_partition(m) >= 1) {
        r.directories = &dir;
        r.directories_n = 1;
    }
    recs_add(rs, REC_PARTITION, version_partition(m), &r);
}

static void add_config(struct recs *rs, int8_t type, const char *name, const struct meta_config_entry *e)
{
    struct kp_config_record r = {.resource_type = type,
                                 .resource_name = kp_str_of(name),
                                 .name = kp_str_of(e->key),
                                 .value = kp_str_of(e->value)};
    recs_add(rs, REC_CONFIG, 0, &r);
}

static void add_topics(struct meta *m, struct recs *rs)
{
    const struct meta_image *img = &m->image->pub;
    for (uint32_t i = 0; i < img->topics_n; i++) {
        const struct meta_topic *t = img->topics[i];
        struct kp_topic_record r = {.name = {t->name, t->name_len}, .topic_id = t->id};
        recs_add(rs, REC_TOPIC, 0, &r);
        for (uint32_t p = 0; p < t->partitions_n; p++)
            add_partition(m, rs, t, p);
    }
    for (uint32_t i = 0; i < img->topics_n; i++)
        for (uint32_t k = 0; k < img->topics[i]->configs_n; k++)
            add_config(rs, META_RES_TOPIC, img->topics[i]->name, &img->topics[i]->configs[k]);
    for (uint32_t i = 0; i < img->resources_n; i++)
        for (uint32_t k = 0; k < img->resources[i].configs_n; k++)
            add_config(rs, img->resources[i].type, img->resources[i].name, &img->resources[i].configs[k]);
}

static void add_quota(struct recs *rs, const struct meta_quota *q)
{
    struct kp_client_quota_record_entity_data e[META_QUOTA_TYPES];
    struct kp_client_quota_record r = {.entity = e};
    for (int t = 0; t < META_QUOTA_TYPES; t++)
        if (q->has[t])
            e[r.entity_n++] = (struct kp_client_quota_record_entity_data){kp_str_of(meta_quota_types[t]),
                                                                          kp_str_of(q->names[t])};
    for (int k = 0; k < META_QUOTA_KEYS; k++) {
        r.key = kp_str_of(meta_quota_keys[k]);
        r.value = q->values[k];
        if (q->set & 1u << k)
            recs_add(rs, REC_CLIENT_QUOTA, 0, &r);
    }
}

static void add_all(struct meta *m, struct recs *rs)
{
    add_features(m, rs);
    add_registrations(m, rs);
    add_topics(m, rs);
    for (uint32_t i = 0; i < m->image->pub.quotas_n; i++)
        add_quota(rs, &m->image->pub.quotas[i]);
    if (m->next_pid > 0) {
        struct kp_producer_ids_record r = {
            .broker_id = m->id.node_id, .broker_epoch = m->broker_epoch, .next_producer_id = m->next_pid};
        recs_add(rs, REC_PRODUCER_IDS, 0, &r);
    }
}

// ---- the file -----------------------------------------------------------------------------------------------------------
struct file {
    struct meta *m;
    struct sbuf bytes;
    int64_t offset;
};

static int put_batch(struct file *f, struct batch_builder *b, uint32_t count, bool control)
{
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *batch;
    size_t n;
    o.base_offset = f->offset;
    o.leader_epoch = f->m->epoch;
    o.control = control;
    int rc = batch_builder_finish(b, &o, NULL, &batch, &n);
    if (!rc)
        rc = sbuf_append(&f->bytes, batch, n);
    f->offset += count;
    return rc;
}

static int put_header(struct file *f, int64_t now)
{
    struct batch_builder b = {0};
    struct meta_endpoint ce;
    uint32_t count = 1;
    meta_controller_endpoint(f->m->cfg, &ce);
    struct record_endpoint ep = {.name = ce.listener, .host = ce.host, .port = ce.port};
    struct record_voter self = {.id = f->m->id.node_id,
                                .directory_id = f->m->id.directory_id,
                                .endpoints = &ep,
                                .endpoint_count = 1,
                                .kraft_version_min = 0,
                                .kraft_version_max = 1};
    int rc = batch_builder_snapshot_header(&b, now, now);
    if (!rc && f->m->kraft_version == 1) {
        rc = batch_builder_kraft_version(&b, now, 1);
        rc = rc ? rc : batch_builder_kraft_voters(&b, now, &self, 1);
        count = 3;
    }
    rc = rc ? rc : put_batch(f, &b, count, true);
    batch_builder_destroy(&b);
    return rc;
}

static int put_records(struct file *f, const struct recs *rs, int64_t now)
{
    int rc = rs->rc;
    for (uint32_t i = 0; i < rs->n && !rc;) {
        struct batch_builder b = {0};
        uint32_t count = 0;
        size_t bytes = 0;
        for (; i < rs->n && !rc && (!count || bytes + rs->v[i].n < f->m->batch_limit); i++, count++) {
            rc = batch_builder_append(&b, now, RECORD_NULL, record_bytes_make(rs->v[i].p, rs->v[i].n), NULL,
                                      0);
            bytes += rs->v[i].n + 24u;
        }
        rc = rc ? rc : put_batch(f, &b, count, false);
        batch_builder_destroy(&b);
    }
    return rc;
}

static int put_footer(struct file *f, int64_t now)
{
    struct batch_builder b = {0};
    int rc = batch_builder_snapshot_footer(&b, now);
    rc = rc ? rc : put_batch(f, &b, 1, true);
    batch_builder_destroy(&b);
    return rc;
}

// ---- when -----------------------------------------------------------------------------------------------------------------
static bool representable(const struct meta *m)
{
    const struct meta_image *img = &m->image->pub;
    if (m->beyond_snapshots || m->in_txn || img->brokers_n != 1)
        return false;
    for (uint32_t i = 0; i < img->topics_n; i++)
        for (uint32_t p = 0; p < img->topics[i]->partitions_n; p++)
            if (img->topics[i]->partitions[p].elr || img->topics[i]->partitions[p].replicas_n != 1)
                return false;
    return true;
}

int snapshot_write(struct meta *m)
{
    struct recs rs;
    struct file f = {.m = m};
    char path[1200];
    int64_t now = reactor_wall_ms(m->r);
    struct snapshot_id id = {m->next_offset, m->epoch};
    SL_ASSERT(list_empty(&m->changed) && id.offset > 0);
    m->snapshot_bytes = 0;
    m->snapshot_ms = now;
    if (!representable(m))
        return 0;
    recs_init(&rs);
    sbuf_init(&f.bytes);
    snapshot_path(m, &id, path, sizeof(path));
    add_all(m, &rs);
    int rc = put_header(&f, now);
    rc = rc ? rc : put_records(&f, &rs, now);
    rc = rc ? rc : put_footer(&f, now);
    if (SL_CANARY(META_CUT_EARLY))
        (void)meta_start_log_at(m, id.offset);
    rc = rc ? rc : fio_write_file(path, f.bytes.data, f.bytes.len);
    if (rc)
        sl_log(SL_WARN, "meta", "no snapshot was written path=%s: %s", path, strerror(-rc));
    else
        sl_log(SL_INFO, "meta", "snapshot path=%s records=%u bytes=%zu", path, rs.n, f.bytes.len);
    if (!rc)
        meta_trim(m);
    sbuf_free(&f.bytes);
    recs_free(&rs);
    return rc;
}

void snapshot_maybe(struct meta *m)
{
    int64_t most = cfg_int(m->cfg, CFG_METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS),
            interval = cfg_int(m->cfg, CFG_METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS);
    bool old = interval > 0 && reactor_wall_ms(m->r) - m->snapshot_ms >= interval;
    if (m->broken || !m->snapshot_bytes || (m->snapshot_bytes < most && !old))
        return;
    (void)snapshot_write(m); // a failure was logged; the log holds everything
}
