// Cluster metadata: the image every reactor reads, and the controller that changes it.
//
// Metadata is a log of KRaft records in __cluster_metadata-0 (no record types of our own). The controller
// runs on the
// reactor of that partition's shard, appends records through the shard, and when they are durable applies
// them to a new
// immutable image, tells shards to open or delete partitions, and publishes the image to every reactor by
// message. A
// request to the controller is answered only when its records are durable, the partitions' directory entries
// are
// durable, and every reactor has acknowledged the image: what one client created, every connection sees.
//
// I6: no pointer into an image survives a turn. A reactor reads its current image with meta_image_get during
// a turn;
// an old image is freed when every reactor has moved on. Images share topics.
#ifndef SLUICE_ENGINE_META_META_H
#define SLUICE_ENGINE_META_META_H

#include "engine/base/config.h"
#include "engine/base/kerr.h"
#include "engine/shard/placement.h"
#include "engine/shard/shard.h"

#define META_TOPIC_NAME "__cluster_metadata"
enum { META_MESSAGE_MAX = 512 };             // error texts, cut at this length
extern const struct sl_uuid meta_topic_uuid; // AAAAAAAAAAAAAAAAAAAAAQ

struct meta_partition {
    int32_t leader, leader_epoch, partition_epoch;
    const int32_t *replicas, *isr;
    uint32_t replicas_n, isr_n;
    struct sl_uuid directory; // of our own replica; zero: unassigned
    bool elr;                 // eligible leader replicas are recorded (KIP-966): taking the lead clears them
};
struct meta_config_entry {
    const char *key, *value;
};
struct meta_topic {
    struct sl_uuid id;
    const char *name; // NUL-terminated
    uint16_t name_len;
    bool internal;
    const struct meta_partition *partitions;
    uint32_t partitions_n;
    const struct meta_config_entry *configs; // overrides
    uint32_t configs_n;
    const struct topic_config *config; // resolved
};
struct meta_endpoint {
    const char *listener, *host; // listener name, advertised host
    uint16_t port;
    int16_t security_protocol;
};
// A log directory of this broker.
struct meta_dir {
    const char *path;  // as configured; the configuration's
    struct sl_uuid id; // its directory.id; zero: it could not be opened
    bool data;         // in log.dirs: partitions are placed there; else it holds the metadata log alone
    bool online;
};
struct meta_broker {
    int32_t id;
    int64_t epoch;    // offset of its RegisterBrokerRecord
    const char *rack; // NULL: none
    const struct meta_endpoint *endpoints;
    uint32_t endpoints_n;
    bool fenced;
    const struct sl_uuid *dirs; // its directories that are online; none: it never said
    uint32_t dirs_n;
};
struct meta_feature {
    const char *name;
    int16_t level;
};
enum meta_resource_type { // ConfigResource.Type
    META_RES_TOPIC = 2,
    META_RES_BROKER = 4, // name "": all brokers
    META_RES_LOGGER = 8,
    META_RES_METRICS = 16,
    META_RES_GROUP = 32,
};
struct
    meta_resource { // what is set of a broker, a group, a metrics subscription; topics have theirs in meta_topic
    int8_t type;
    const char *name;
    const struct meta_config_entry *configs; // sorted by key
    uint32_t configs_n;
};
// A client quota: an entity (of one or two types, or an address) and what it says (KIP-546).
enum meta_quota_type { META_QUOTA_USER, META_QUOTA_CLIENT, META_QUOTA_IP, META_QUOTA_TYPES };
enum meta_quota_key {
    META_QUOTA_PRODUCE,     // producer_byte_rate: bytes a second
    META_QUOTA_CONSUME,     // consumer_byte_rate: bytes a second
    META_QUOTA_REQUEST,     // request_percentage: percent of one core's time
    META_QUOTA_MUTATIONS,   // controller_mutation_rate: partitions a second
    META_QUOTA_CONNECTIONS, // connection_creation_rate: connections a second
    META_QUOTA_KEYS
};
extern const char *const meta_quota_keys[META_QUOTA_KEYS];   // Kafka's names
extern const char *const meta_quota_types[META_QUOTA_TYPES]; // "user", "client-id", "ip"
struct meta_quota {
    bool has[META_QUOTA_TYPES];
    const char *names[META_QUOTA_TYPES]; // NULL with has: the default entity
    uint32_t set;                        // bit 1 << key: values[key] holds
    double values[META_QUOTA_KEYS];
};
struct meta_image {
    uint64_t version; // +1 per publication
    int64_t offset;   // last metadata offset in it
    const char *cluster_id;
    int32_t node_id, controller_id;
    int32_t controller_epoch; // of the metadata log
    int16_t kraft_version;
    struct sl_uuid directory_id; // of the metadata log's directory
    const struct meta_dir *dirs; // of this broker, those of log.dirs first and in its order
    uint32_t dirs_n;
    const struct meta_topic *const *topics; // sorted by name
    uint32_t topics_n;
    const struct meta_broker *brokers;
    uint32_t brokers_n;
    const struct meta_feature *features; // finalized
    uint32_t features_n;
    int64_t features_epoch;
    const struct config
        *config; // the configuration in force: the static one with this broker's dynamic configs
    const struct meta_resource *resources; // sorted by type and name
    uint32_t resources_n;
    const struct meta_quota *quotas;
    uint32_t quotas_n;
    void *index; // the image's tables
};
// This reactor's current image; valid for this turn. NULL before the first publication.
const struct meta_image *meta_image_get(struct reactor *r);
const struct meta_topic *meta_find_topic(const struct meta_image *img, const char *name, size_t len);
const struct meta_topic *meta_find_topic_id(const struct meta_image *img, const struct sl_uuid *id);
const struct meta_broker *meta_find_broker(const struct meta_image *img, int32_t id);

// Upstream's hasOnlineDir: what a broker's registration says of the directory of one of its replicas.
bool meta_dir_online(const struct meta_broker *b, const struct sl_uuid *dir);
// This broker has a replica of the partition, in a directory that is offline or not there any more.
bool meta_offline_here(const struct meta_image *img, const struct meta_partition *p);

// What is set of a resource; NULL: nothing. A group: meta_find_resource(img, META_RES_GROUP, group id).
const struct meta_resource *meta_find_resource(const struct meta_image *img, int8_t type, const char *name);
const char *meta_resource_config(const struct meta_resource *r,
                                 const char *key); // NULL: not set; r may be NULL
// The quota entity that counts for a user and a client id (KIP-55: the closest one that sets `what`), NULL: none. Who
// shares an entity shares its budget, except that a default entity is a budget for each name it stands for.
const struct meta_quota *meta_find_quota(const struct meta_image *img, const char *user,
                                         const char *client_id, enum meta_quota_key what);
const struct meta_quota *meta_find_ip_quota(const struct meta_image *img,
                                            const char *ip); // connection_creation_rate

// Requests to the controller: a pointer to a struct that the sender lends until the reply (same op, same
// pointer; sent with
// reactor_request, answered with reactor_reply(.., m->flags & MSG_ASKER)), one credit each. Strings are
// borrowed for that time.
enum meta_op {
    META_IMAGE = MSG_OP(SVC_META, 1), // controller -> agent: u[0] image; answered with META_IMAGE_ACK
    META_IMAGE_ACK = MSG_OP(SVC_META, 2),
    META_CREATE_TOPICS = MSG_OP(SVC_META, 3),     // struct meta_create *
    META_DELETE_TOPICS = MSG_OP(SVC_META, 4),     // struct meta_delete *
    META_CREATE_PARTITIONS = MSG_OP(SVC_META, 5), // struct meta_grow *
    META_ALLOC_PIDS = MSG_OP(SVC_META, 6),        // struct meta_pids *
    META_ALTER_CONFIGS = MSG_OP(SVC_META, 7),     // struct meta_alter *
    META_ALTER_QUOTAS = MSG_OP(SVC_META, 8),      // struct meta_alter_quotas *
    META_UPDATE_FEATURES = MSG_OP(SVC_META, 9),   // struct meta_update_features *
    META_UNREGISTER = MSG_OP(SVC_META, 10),       // struct meta_unregister *
    META_DIR_OFFLINE = MSG_OP(SVC_META, 11), // agent -> controller: u[0] number of the directory; answered
};
enum meta_alter_op { META_SET, META_DELETE, META_APPEND, META_SUBTRACT }; // AlterConfigOp.OpType
struct meta_alter_entry {
    const char *key, *value; // value NULL: null
    int8_t op;
};
struct meta_alter_resource {
    int8_t type; // enum meta_resource_type, or anything a client sent
    const char *name;
    const struct meta_alter_entry *entries;
    uint32_t entries_n;
    int16_t error;
    char message[META_MESSAGE_MAX];
};
struct meta_alter {
    struct meta_alter_resource *resources;
    uint32_t n;
    bool incremental; // else entries replace all that is set
    bool validate_only;
    void *owner;
    uint32_t from;
};
// Whom a change of partitions counts for (KIP-599): the controller keeps a bucket of tokens for each key.
struct meta_mutations {
    const char *key; // with rate
    double rate;     // partitions a second; 0: no quota
    double burst;    // the most that can be saved up, in partitions
    bool
        strict; // who owes tokens is refused with THROTTLING_QUOTA_EXCEEDED; else he is counted and throttled only
    // out
    uint32_t throttle_ms;
};
struct meta_create_topic {
    const char *name; // with name_len; validated by the controller with upstream's rules and messages
    int32_t name_len;
    int32_t partitions;         // -1: num.partitions
    int16_t replication_factor; // -1: default.replication.factor
    const struct meta_config_entry *configs;
    uint32_t configs_n;
    const int32_t *const *assignments; // NULL, or per partition a list (assignment_n entries each)
    const int32_t *assignment_n;
    const int32_t *assignment_ids; // partition numbers as given
    uint32_t assignments_n;
    // out
    int16_t error;
    char message[META_MESSAGE_MAX]; // upstream's error text; empty: none
    struct sl_uuid id;
    int32_t out_partitions;
    int16_t out_replication;
};
struct meta_create {
    struct meta_create_topic *topics;
    uint32_t n;
    bool validate_only;
    bool auto_create; // by a Metadata or Produce path: internal names allowed
    struct meta_mutations quota;
    void *owner;
    uint32_t from;
};
struct meta_delete_topic {
    const char *name; // NULL: by id
    int32_t name_len;
    struct sl_uuid id;
    int16_t error;
    char message[META_MESSAGE_MAX];
    char out_name[256]; // filled when given by id
    struct sl_uuid out_id;
};
struct meta_delete {
    struct meta_delete_topic *topics;
    uint32_t n;
    struct meta_mutations quota;
    void *owner;
    uint32_t from;
};
struct meta_grow_topic {
    const char *name;
    int32_t name_len;
    int32_t count;
    const int32_t *const *assignments;
    const int32_t *assignment_n;
    uint32_t assignments_n;
    bool has_assignments;
    int16_t error;
    char message[META_MESSAGE_MAX];
};
struct meta_grow {
    struct meta_grow_topic *topics;
    uint32_t n;
    bool validate_only;
    struct meta_mutations quota;
    void *owner;
    uint32_t from;
};
struct meta_quota_entity {
    const char *type, *name; // name NULL: the default
};
struct meta_quota_op {
    const char *key;
    double value;
    bool remove;
};
struct meta_quota_entry {
    const struct meta_quota_entity *entity;
    uint32_t entity_n;
    const struct meta_quota_op *ops;
    uint32_t ops_n;
    int16_t error;
    char message[META_MESSAGE_MAX];
};
struct meta_alter_quotas {
    struct meta_quota_entry *entries;
    uint32_t n;
    bool validate_only;
    void *owner;
    uint32_t from;
};
struct meta_feature_update {
    const char *name;
    int16_t level;
    int8_t type; // 1 upgrade, 2 safe downgrade, 3 unsafe downgrade
};
struct meta_update_features { // all or none
    const struct meta_feature_update *updates;
    uint32_t n;
    bool validate_only;
    int16_t error;
    char message[META_MESSAGE_MAX];
    void *owner;
    uint32_t from;
};
struct meta_unregister {
    int32_t id;
    int16_t error;
    char message[META_MESSAGE_MAX];
    void *owner;
    uint32_t from;
};
struct meta_pids { // one block of 1,000 producer ids, never reused (ProducerIdsRecord)
    int64_t first;
    int32_t count;
    int16_t error;
    void *owner;
    uint32_t from;
};

// Where a controller of this configuration listens: its listener, or the first one's address under the name CONTROLLER.
// The texts are the configuration's.
void meta_controller_endpoint(const struct config *cfg, struct meta_endpoint *out);

// ---- set-up (composition root; fibers on reactor 0 before the reactors run) -------------------------------
struct meta;
struct meta_identity {
    int32_t node_id;
    char cluster_id[64];
    struct sl_uuid directory_id; // of the metadata log's directory
    // By number (shard_config.dir_no), those of log.dirs first. None: the metadata log's directory is the only one.
    struct meta_dir dirs[SHARD_DIRS_MAX];
    uint32_t dirs_n;
};
// Formats an empty directory as upstream's storage tool would: meta.properties (store_write_identity), a
// cluster id and
// directory id from io_random, and later the metadata log's first records.
int meta_format(struct store *st, const struct config *cfg, struct meta_identity *out, char *err, size_t cap);
// Fiber. The same for a further directory of a broker that has its identity already; *dir: the new directory id. Writes
// meta.properties anew where only the directory id is missing.
int meta_format_more(struct store *st, const struct meta_identity *id, struct sl_uuid *dir, char *err,
                     size_t cap);
// Opens or creates and recovers the metadata log and replays it into the first image. The log comes back to
// be adopted by
// the shard that owns it (shard_of(&meta_topic_uuid, 0, shards)).
int meta_load(struct reactor *r, struct log_env *env, struct store *st, const struct config *cfg,
              const struct meta_identity *id, struct meta **out, struct log **log, char *err, size_t cap);
// The image as loaded, for recovering the other logs (boot only).
const struct meta_image *meta_boot_image(const struct meta *m);
// Boot: where a partition of the boot image that was found in no directory may be made: the number of the directory that the
// metadata names, or of the one with the fewest partitions where it names none; -1: nowhere, for its directory is not here.
int meta_dir_for(struct meta *m, const struct meta_partition *p);
// Boot: a partition was found, or made, in this directory, which may have been given up since. meta_begin records
// what the metadata did not know.
void meta_found(struct meta *m, const struct meta_topic *t, int32_t partition, uint32_t dir);
// Boot, before meta_begin: a directory that was opened could not be recovered, and is offline.
void meta_dir_given_up(struct meta *m, uint32_t dir);
// A directory other than the metadata log's went offline, and others are left. On reactor `r`, any number of times: the
// controller takes the lead of its partitions away and registers what is left.
void meta_dir_failed(struct meta *m, struct reactor *r, uint32_t dir);
// Resolves a topic's log settings; `cfg`: the image's config.
void meta_log_config(const struct config *cfg, const struct meta_topic *t, struct log_config *out);
// Puts the controller on the reactor that owns the metadata partition and an agent on every reactor.
int meta_start(struct meta *m, struct reactor_group *g, const struct placement *pl);
// Fiber on the controller's reactor, once shards serve: appends what a start appends (LeaderChange at a
// higher epoch, RegisterController,
// RegisterBroker, unfence, a PartitionChangeRecord raising the leader epoch of each led partition; and before
// them, on a new
// log, KRaftVersion, KRaftVoters, BeginTransaction, FeatureLevels, EndTransaction), waits for durability,
// publishes.
int meta_begin(struct meta *m, char *err, size_t cap);
// The agent and controller stop as services (SVC_META): the controller appends the fencing
// BrokerRegistrationChange.
// Afterwards: this broker's epoch, for .kafka_cleanshutdown.
int64_t meta_broker_epoch(const struct meta *m);
void meta_destroy(struct meta *m);

#endif
