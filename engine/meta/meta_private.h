// The controller's own structures; see meta.h.
//
// A topic is two things here: its state (struct topic_state, the controller's, found by name and by id) and
// its frozen
// form (struct meta_topic, immutable, in images). Records change a draft of the state; meta_freeze turns
// every draft into
// a new frozen topic. A frozen topic that was replaced or removed is freed together with the last image that
// holds it.
#ifndef SLUICE_ENGINE_META_META_PRIVATE_H
#define SLUICE_ENGINE_META_META_PRIVATE_H

#include "engine/base/arena.h"
#include "engine/base/log.h"
#include "engine/base/sbuf.h"
#include "engine/base/table.h"
#include "engine/io/fiber.h"
#include "engine/meta/meta.h"
#include "proto/codec.h"

// Record types of the metadata log (apiKey of the record schemas).
enum meta_record {
    REC_REGISTER_BROKER = 0,
    REC_UNREGISTER_BROKER = 1,
    REC_TOPIC = 2,
    REC_PARTITION = 3,
    REC_CONFIG = 4,
    REC_PARTITION_CHANGE = 5,
    REC_FENCE_BROKER = 7,
    REC_UNFENCE_BROKER = 8,
    REC_REMOVE_TOPIC = 9,
    REC_FEATURE_LEVEL = 12,
    REC_PRODUCER_IDS = 15,
    REC_BROKER_REGISTRATION_CHANGE = 17,
    REC_BEGIN_TRANSACTION = 23,
    REC_END_TRANSACTION = 24,
    REC_ABORT_TRANSACTION = 25,
    REC_CLEAR_ELR = 28,
    REC_REGISTER_CONTROLLER = 27,
    REC_CLIENT_QUOTA = 14,
    REC_NO_OP = 20,
};
enum { RESOURCE_NAME_MAX = 2048, QUOTA_KEY_MAX = 1024, KEPT_KEY_MAX = 1024 };
// metadata.version: the levels that decide which record versions may be written (MetadataVersion, 4.3.1).
enum {
    MV_MIN = 7,           // 3.3-IV3
    MV_MIGRATION = 8,     // 3.4-IV0: RegisterBroker 2
    MV_TRANSACTIONS = 13, // 3.6-IV1
    MV_REGISTRATION = 15, // 3.7-IV0: RegisterController
    MV_DIRECTORIES = 17,  // 3.7-IV2: Partition 1, PartitionChange 1, RegisterBroker 3
    MV_ELR = 23,          // 4.0-IV1: Partition 2, PartitionChange 2
    MV_LATEST = 30,       // 4.3-IV0: RegisterBroker 4
};
enum { NO_LEADER = -1, NO_LEADER_CHANGE = -2 };
enum { PID_BLOCK = 1000, MAX_RECORDS_PER_OP = 10000 };

struct draft_part {
    struct meta_partition p; // arrays in the drafts' arena, or the frozen topic's
    bool exists;
};
struct draft {
    struct draft_part *parts;
    uint32_t parts_n, parts_cap;
    struct meta_config_entry *configs; // sorted by key; strings in the drafts' arena, or the frozen topic's
    uint32_t configs_n, configs_cap;
};
struct topic_state {
    UT_hash_handle by_name, by_id;
    struct sl_uuid id;
    char *name;
    uint16_t name_len;
    bool removed;                    // still listed as changed, no longer found
    const struct meta_topic *frozen; // NULL: not yet in an image
    struct draft *draft;             // NULL: unchanged
    struct list_node changed;        // on meta->changed
};

// Open addressing with linear probing over frozen topics; the mutable master is the controller's, images hold
// copies.
struct topic_table {
    const struct meta_topic **slots;
    uint32_t mask, n;
    bool by_id;
};
struct image {
    struct meta_image pub;
    struct topic_table names, ids;
    struct arena arena; // everything that is not a topic or settings
    struct settings *settings;
    const struct meta_topic **retired; // topics that newer images no longer hold
    uint32_t retired_n, retired_cap;
};

struct broker_state {
    struct meta_broker b; // strings malloc'd
    struct sl_uuid incarnation;
};
struct named_level {
    char name[64];
    int16_t level;
};
// ---- settings.c: state and frozen form --------------------------------------------------------------------
struct resource_state {
    UT_hash_handle hh; // by key
    int8_t type;
    const char *name;            // in key
    struct meta_config_entry *v; // malloc'd, sorted
    uint32_t n;
    char key[]; // type, name
};
struct quota_state {
    UT_hash_handle hh; // by key
    struct meta_quota q;
    char key[];
};
struct kept_record { // of a kind without effect here, as it was appended; snapshots carry it on
    UT_hash_handle hh;
    uint8_t *id, *rec;
    uint32_t rec_n;
    uint8_t bytes[];
};
struct settings {
    uint32_t refs; // images and the controller
    struct arena arena;
    struct meta_resource *resources;
    uint32_t resources_n;
    struct meta_quota *quotas;
    uint32_t quotas_n;
    struct config *config;
};

// Records to append, encoded.
struct rec {
    const uint8_t *p;
    uint32_t n;
};
struct recs {
    struct arena arena;
    struct rec *v;
    uint32_t n, cap;
    int rc; // sticky
};

struct meta;
struct meta_agent {
    struct service svc;
    struct reactor *r;
    struct meta *m;
    const struct meta_image *current;
    const struct meta_image *switched; // to be acknowledged
    uint32_t from;
    uint8_t turns; // whole turns since the switch
};
// Requests under way of one fiber.
struct meta_wait {
    uint32_t pending;
    struct fiber *fiber;
};
struct meta_job { // a queued request of a client of the controller
    struct list_node node;
    uint16_t op;
    enum service_kind kind;
    uint32_t from;
    void *req;
};

// How many partitions each directory holds, while new ones are placed.
struct placing {
    uint32_t counts[SHARD_DIRS_MAX];
};
struct found_part { // a partition whose directory the metadata does not know yet
    struct sl_uuid topic;
    int32_t partition;
    uint32_t dir;
    bool alone; // the only replica
};

struct meta {
    const struct config *cfg;
    struct store *store;
    struct meta_identity id;
    char dir[1024];
    struct topic_config base; // the broker's defaults for topics
    // state
    struct topic_state *by_name, *by_id;
    struct list_node changed;
    struct arena drafts;              // what drafts point to; reset by meta_freeze
    struct arena decode;              // one record
    const struct meta_topic **sorted; // by name
    uint32_t sorted_n, sorted_cap;
    struct topic_table names, ids;
    const struct meta_topic **retired; // since the last image
    uint32_t retired_n, retired_cap;
    struct broker_state *brokers;
    uint32_t brokers_n;
    struct named_level *features;
    uint32_t features_n;
    struct resource_state *resources;
    struct quota_state *quotas;
    struct mutation_bucket *mutations; // of mutations.c
    struct kept_record *kept;
    struct settings *settings; // frozen; NULL: never
    bool settings_changed;
    bool beyond_snapshots;        // there was something that a snapshot could not give back
    int64_t snapshot_bytes;       // appended since the last snapshot
    int64_t snapshot_ms;          // when that was
    struct sl_uuid *reconfigured; // topics whose resolved config changed with the next image
    uint32_t reconfigured_n, reconfigured_cap;
    int64_t next_pid;
    int16_t kraft_version; // -1: no control record seen
    bool in_txn;
    struct recs txn_recs; // records of the open transaction
    // the log
    struct log *log; // before it is handed over
    int64_t next_offset;
    int32_t epoch;
    struct recs bootstrap; // of bootstrap.checkpoint
    bool has_bootstrap;
    uint32_t batch_limit;
    // images
    struct image *image, *next_image; // the present one; the one that is about to be published
    uint64_t version;
    // running
    struct reactor_group *group;
    struct placement placement;
    uint32_t controller;
    struct reactor *r; // the controller's
    struct meta_agent *agents;
    uint32_t agents_n;
    struct list_node jobs;
    struct meta_wait publishing; // acknowledgements of an image
    bool working, begun, beginning, stopping, broken;
    // topics with partitions that could not be opened yet (reopen.c)
    struct sl_uuid *unopened;
    uint32_t unopened_n, unopened_cap;
    struct timer reopen;
    uint64_t reopen_delay;
    bool reopen_due;
    struct timer trim; // of the log and its snapshots (trim.c)
    bool trim_due;
    // directories (dirs.c)
    struct placing boot_placing;
    bool boot_counted;
    struct found_part *found; // sorted once the start appends them
    uint32_t found_n, found_cap;
    uint64_t dirs_due; // bits: went offline, and no record says so yet
    bool dirs_waiting; // it could not be appended: tried again with the reopen timer
    struct sl_uuid incarnation;
    int64_t broker_epoch;
};

int meta_fail(char *err, size_t cap, int rc, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

// ---- table.c ----------------------------------------------------------------------------------------------
int table_put(struct topic_table *t, const struct meta_topic *x); // replaces one of the same key
void table_del(struct topic_table *t, const struct meta_topic *x);
const struct meta_topic *table_find_name(const struct topic_table *t, const char *name, size_t len);
const struct meta_topic *table_find_id(const struct topic_table *t, const struct sl_uuid *id);

// ---- image.c ----------------------------------------------------------------------------------------------
// Turns drafts into frozen topics and makes the next image of the state; meta->image stays as it is. NULL: no
// memory.
struct image *meta_freeze(struct meta *m);
void image_free(struct image *img);
void image_free_topics(struct meta *m); // all of them, at the end

// ---- state.c ----------------------------------------------------------------------------------------------
struct topic_state *state_find_name(struct meta *m, const char *name, size_t len);
struct topic_state *state_find_id(struct meta *m, const struct sl_uuid *id);
struct topic_state *state_add_topic(struct meta *m, const char *name, size_t len, const struct sl_uuid *id);
void state_remove_topic(struct meta *m, struct topic_state *t);
struct draft *state_draft(struct meta *m, struct topic_state *t); // NULL: no memory
int state_set_config(struct meta *m, struct topic_state *t, struct kp_str key, struct kp_str value);
struct draft_part *state_part(struct draft *d, int32_t partition, bool create);
struct broker_state *state_broker(struct meta *m, int32_t id);
int state_set_dirs(struct broker_state *b, const struct sl_uuid *dirs, int32_t n);
int state_set_broker(struct meta *m, const struct meta_broker *b, const struct sl_uuid *incarnation);
void state_drop_broker(struct meta *m, int32_t id);
int state_set_feature(struct meta *m, struct kp_str name, int16_t level);
int16_t state_feature(const struct meta *m, const char *name); // 0: not finalized
void state_destroy(struct meta *m);
void draft_free(struct draft *d);

// ---- settings.c --------------------------------------------------------------------------------------------
struct resource_state *settings_find(struct meta *m, int8_t type, const char *name, size_t len);
int settings_set(struct meta *m, int8_t type, struct kp_str name, struct kp_str key, struct kp_str value);
const struct meta_quota *settings_quota(struct meta *m, const struct meta_quota *entity); // NULL: none
int settings_set_quota(struct meta *m, const struct meta_quota *entity, struct kp_str key, double value,
                       bool remove);
// Keeps a record under (kind, key) in place of an earlier one; rec NULL: forgets it.
int settings_keep(struct meta *m, uint8_t kind, const void *key, size_t n, const uint8_t *rec, size_t rec_n);
// Makes m->settings and m->base current, and drafts of the topics that look at them.
int settings_freeze(struct meta *m);
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s);
void settings_destroy(struct meta *m);
// lookup.c: orders of the frozen arrays, for qsort and bsearch.
int meta_resource_cmp(const void *a, const void *b);
int meta_quota_cmp(const void *a, const void *b);
// Upstream's reserved directory ids: their upper half is zero. Records from before directories had ids count as MIGRATING.
enum dir_reserved { DIR_MIGRATING = 0, DIR_UNASSIGNED = 1, DIR_LOST = 2 };
bool dir_is(const struct sl_uuid *id, enum dir_reserved which);

// ---- apply.c ----------------------------------------------------------------------------------------------
// Applies one record's value, which was read at `offset`. -EPROTONOSUPPORT: unknown type, version or feature
// level.
int meta_apply(struct meta *m, int64_t offset, const uint8_t *p, size_t n, char *err, size_t cap);

// ---- recs.c -----------------------------------------------------------------------------------------------
void recs_init(struct recs *rs);
void recs_free(struct recs *rs);
void recs_add(struct recs *rs, enum meta_record type, int16_t version, const void *msg);
int recs_add_raw(struct recs *rs, const uint8_t *p, size_t n);

// ---- call.c: fibers of the controller's reactor -----------------------------------------------------------
// Sends `req` (whose owner field the caller set to `w`) to a shard and counts it in w->pending.
void call_shard(struct meta *m, uint32_t shard, uint16_t op, void *req, struct meta_wait *w);
void call_wait(struct meta_wait *w, uint32_t most); // until at most `most` are pending
void call_done(struct meta_wait *w);
// Takes a credit towards a reactor, waiting for it.
void call_credit(struct meta *m, uint32_t to);
// Appends records in batches of at most meta->batch_limit bytes, waits until they are durable and applies
// them. `atomic`:
// more than one batch become a metadata transaction. 0 or -errno; after a failure nothing more is appended.
int meta_append(struct meta *m, struct recs *rs, bool atomic);
int meta_append_batch(struct meta *m, const uint8_t *batch, size_t n, uint32_t count);
int16_t meta_error_of(int rc);
// Opens partitions [from, n) of a topic where they belong, and raises the epochs of those that are open
// already: several
// topics at a time, between a zeroed meta_open with its `m` set and meta_open_wait. *error: a Kafka error,
// set by then.
struct open_req;
struct meta_open {
    struct meta *m;
    struct meta_wait w;
    struct open_req *all;
    bool configure; // tells their config to partitions that are open, nothing else
};
void meta_open_topic(struct meta_open *run, const struct meta_topic *t, uint32_t from, int16_t *error);
void meta_open_wait(struct meta_open *run);
// All topics of the present image, several at a time; those that cannot be opened are tried again later.
void meta_open_all(struct meta *m);
// Deletes the n partitions of a topic, likewise.
struct drop_req;
struct meta_drop {
    struct meta *m;
    struct meta_wait w;
    struct drop_req *all;
};
void meta_drop_topic(struct meta_drop *run, const struct sl_uuid *id, uint32_t n, int16_t *error);
void meta_drop_wait(struct meta_drop *run);
// Freezes the state and makes the image current on every reactor; returns when all have acknowledged it.
void meta_publish(struct meta *m);
// The same in two steps, for work that needs the new image's topics and must be done before anybody sees
// them.
void meta_publish_begin(struct meta *m);
void meta_publish_end(struct meta *m);

// agent.c: starts the fiber that works on the queue, if there is something to do.
void meta_work(struct meta *m);
// reopen.c: tries a topic again later; and now, all of them (a job of the controller's fiber).
void meta_reopen_init(struct meta *m);
void meta_reopen_later(struct meta *m, const struct sl_uuid *id);
void meta_reopen(struct meta *m);
// trim.c: forgets snapshots and the log before them, as far as retention says; the controller's fiber, between operations.
void meta_trim_init(struct meta *m);
void meta_trim(struct meta *m);
void meta_trim_later(struct meta *m);                  // looks again in a while
int meta_start_log_at(struct meta *m, int64_t offset); // 0 once that is durable; -EIO
struct snapshot_id {
    int64_t offset;
    int32_t epoch;
};
struct snapshots {
    struct snapshot_id *v; // oldest first
    uint32_t n, cap;
};
// Fiber. The snapshots of the metadata log's directory; snapshots_free in any case. 0 or -errno.
int snapshots_list(struct meta *m, struct snapshots *out);
void snapshots_free(struct snapshots *s);
void snapshot_path(const struct meta *m, const struct snapshot_id *id, char *out, size_t cap);
// ---- dirs.c: log directories ---------------------------------------------------------------------------------
// With several directories in log.dirs upstream's controller leaves the choice to the broker (UNASSIGNED), which tells it
// afterwards. We are both: the records are the same, and appended together.
void dirs_init(struct meta *m);
// The directory id that a new partition's record carries.
struct sl_uuid dirs_default(const struct meta *m);
void dirs_count(const struct meta *m, struct placing *pl);
// Adds the record that places a new partition, if its own did not, where there are the fewest.
void dirs_add_choice(struct meta *m, struct recs *rs, struct placing *pl, const struct sl_uuid *topic,
                     int32_t partition);
// The number of the directory where our replica is to be opened; -1: it is offline, or gone.
int dirs_of(const struct meta *m, const struct meta_partition *p);
// Our directories that are online, in upstream's order; at most SHARD_DIRS_MAX.
uint32_t dirs_online(const struct meta *m, struct sl_uuid *out);
// 0, or -EINVAL: several directories, and records of this metadata.version cannot name them.
int dirs_check_version(const struct meta *m, char *err, size_t cap);
// The start's: a partition's place as it will be known once dirs_add_found's records are applied; as dirs_of.
int dirs_at_start(struct meta *m, const struct meta_topic *t, uint32_t partition);
void dirs_add_found(struct meta *m, struct recs *rs);
// A job of the controller's fiber: records what went offline.
void dirs_offline(struct meta *m);
void dirs_tell(struct meta *m); // the metric
void dirs_on_msg(struct meta_agent *a, uint32_t from, const struct spsc_msg *msg);

// begin.c: the record of a clean stop.
int meta_append_fence(struct meta *m);

// ---- snapshot.c: the controller's fiber, between operations ------------------------------------------------
int snapshot_write(struct meta *m);  // 0 or -errno, logged
void snapshot_maybe(struct meta *m); // writes one when it is due

// ---- load.c, replay.c -------------------------------------------------------------------------------------
// Applies the batches of the log's segment files from `from` up to `end`.
int replay_log(struct meta *m, int64_t from, int64_t end, char *err, size_t cap);
// Applies a snapshot file, or collects its records (`into` not NULL).
int replay_snapshot(struct meta *m, const char *path, struct recs *into, char *err, size_t cap);

// ---- operations: fibers, one at a time --------------------------------------------------------------------
// ---- mutations.c --------------------------------------------------------------------------------------------
// Counts a change of so many partitions: KERR_NONE, or THROTTLING_QUOTA_EXCEEDED and nothing is counted.
int16_t mutations_count(struct meta *m, struct meta_mutations *q, uint32_t partitions);
void mutations_free(struct meta *m);

void op_create_topics(struct meta *m, struct meta_create *c);
void op_delete_topics(struct meta *m, struct meta_delete *d);
void op_create_partitions(struct meta *m, struct meta_grow *g);
void op_alloc_pids(struct meta *m, struct meta_pids *p);
void op_alter_configs(struct meta *m, struct meta_alter *a);             // alter.c
void op_alter_quotas(struct meta *m, struct meta_alter_quotas *a);       // quotas.c
void op_update_features(struct meta *m, struct meta_update_features *u); // cluster.c
void op_unregister_broker(struct meta *m, struct meta_unregister *u);

// names.c: upstream's rules. 0 or a Kafka error with text.
int16_t topic_name_form(const char *name, int32_t len, char *msg, size_t cap); // the name by itself
int16_t topic_name_check(const struct meta *m, const char *name, int32_t len, char *msg, size_t cap);
int16_t assignment_check(struct meta *m, const int32_t *ids, int32_t n, int32_t expected, int32_t partition,
                         char *msg, size_t cap);
int16_t replication_check(struct meta *m, int16_t factor, char *msg, size_t cap);
// The versions of records that the finalized metadata.version allows.
int16_t version_partition(const struct meta *m);
int16_t version_register_broker(const struct meta *m);
void recs_add_partition(struct meta *m, struct recs *rs, const struct sl_uuid *topic, int32_t partition,
                        const int32_t *replicas, int32_t n);
// A topic's configuration: broker defaults, the cluster's dynamic ones, its own. Unknown or bad values are
// left out.
void meta_resolve_config(const struct meta *m, const struct meta_config_entry *own, uint32_t n,
                         const char *topic, struct topic_config *out);
void meta_random_id(struct meta *m, struct sl_uuid *out);
bool meta_topic_is_internal(const char *name, size_t len);

// What this broker serves of a feature; 0: nothing, not listed.
struct meta_supported {
    const char *name;
    int16_t min, max; // of this broker
    int16_t known;    // the highest level that 4.3 defines
    bool finalize;    // at `max` when we format
};
extern const struct meta_supported meta_supported[];
extern const uint32_t meta_supported_n;

#endif
