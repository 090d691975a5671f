/* Configuration: every key that Kafka 4.3 knows and our own, from tables.
 *
 * Broker keys (config_table_*.h) and topic keys (config_topic_table.h) each have one row: id, name, type,
 * default, allowed values, importance, how upstream lets it change, whether it means something here, and
 * prose. Ids are generated from the rows: CFG_LOG_SEGMENT_BYTES is log.segment.bytes, TOPIC_SEGMENT_BYTES is
 * segment.bytes. docs/CONFIG.md, --print-config and DescribeConfigs are printed from the same rows.
 *
 * A struct config is filled by one thread at start (config_new, config_load_*, config_set*, config_finish);
 * from then on it never changes and any thread may read it. Where a value comes from decides who wins, in the
 * order of enum cfg_from, whatever the order of the calls.
 */
#ifndef SLUICE_BASE_CONFIG_H
#define SLUICE_BASE_CONFIG_H

#include <stdio.h>

#include "engine/base/config_table.h"
#include "engine/base/err.h"

/* One id per broker key, in table order. */
enum cfg_key {
#define CFG_ROW_(id, ...) CFG_##id,
    CFG_TABLE(CFG_ROW_)
#undef CFG_ROW_
        CFG_KEY_COUNT
};

/* One id per topic key, in table order. */
enum topic_key {
#define TOPIC_ROW_(id, ...) TOPIC_##id,
    TOPIC_TABLE(TOPIC_ROW_)
#undef TOPIC_ROW_
        TOPIC_KEY_COUNT
};

/* The numbers are those of DescribeConfigsResponse (ConfigType). */
enum cfg_type {
    CFG_BOOLEAN = 1,
    CFG_STRING = 2,
    CFG_INT = 3,
    CFG_SHORT = 4,
    CFG_LONG = 5,
    CFG_DOUBLE = 6,
    CFG_LIST = 7,
    CFG_CLASS = 8,
    CFG_PASSWORD = 9
};

/* Who set a value; a later one wins over an earlier one. */
enum cfg_from {
    CFG_FROM_DEFAULT,
    CFG_FROM_FILE,
    CFG_FROM_ENVIRONMENT,
    CFG_FROM_COMMAND_LINE,
    CFG_FROM_CLUSTER, /* the cluster's dynamic configs: only in overlays */
    CFG_FROM_BROKER   /* this broker's dynamic configs: only in overlays */
};

/* The same as Kafka tells clients: the numbers are those of DescribeConfigsResponse (ConfigSource). */
enum cfg_origin {
    CFG_ORIGIN_UNKNOWN = 0,
    CFG_ORIGIN_TOPIC = 1,
    CFG_ORIGIN_BROKER = 2,  /* this broker's dynamic config */
    CFG_ORIGIN_CLUSTER = 3, /* the cluster's dynamic config */
    CFG_ORIGIN_STATIC_BROKER = 4,
    CFG_ORIGIN_DEFAULT = 5,
    CFG_ORIGIN_LOGGER = 6,
    CFG_ORIGIN_METRICS = 7,
    CFG_ORIGIN_GROUP = 8
};

/* How upstream lets a key change while it runs. */
enum cfg_update { CFG_READ_ONLY, CFG_CLUSTER_WIDE, CFG_PER_BROKER };

/* USED: has an effect here. ACCEPTED: parsed, checked and shown, without effect. */
enum cfg_meaning { CFG_USED, CFG_ACCEPTED };

enum cfg_importance { CFG_HIGH, CFG_MEDIUM, CFG_LOW };

enum cfg_protocol { CFG_PLAINTEXT, CFG_SSL, CFG_SASL_PLAINTEXT, CFG_SASL_SSL };

/* One entry of listeners or advertised.listeners. */
struct cfg_listener {
    char name[64];  /* upper case, as Kafka normalises it */
    char host[256]; /* without brackets; "" listens on every address */
    uint16_t
        port; /* 0 in listeners: the kernel chooses; then also 0 in advertised, and the bound port counts */
    enum cfg_protocol protocol;
    bool controller; /* named in controller.listener.names: not for clients */
};

struct cfg_list {
    size_t count;
    char **items; /* trimmed, in order */
};

struct config;

SL_EXTERN_C_BEGIN

/* ---- Filling ------------------------------------------------------------------------------------------- *
 * Functions that take err write a message of at most err_len bytes (NUL included) into it on failure:
 * "log.segment.bytes=12: must be between 1048576 and 2147483647". Returns are 0, -ENOENT for an unknown key,
 * -EINVAL for a value that is not allowed, or another -errno. */

/* A configuration of defaults; never NULL. The caller frees it with config_free (NULL allowed). */
struct config *config_new(void);
void config_free(struct config *c);

/* Sets one key. Keys that Kafka once had and keys that belong to plugins (listener.name.x.*, confluent.*) are
 * accepted with a notice. value is trimmed; it is copied. */
int config_set(struct config *c, const char *key, const char *value, enum cfg_from from, char *err,
               size_t err_len);

/* The same for the text "key=value", as on the command line. */
int config_set_pair(struct config *c, const char *pair, enum cfg_from from, char *err, size_t err_len);

/* Reads a Java properties file: # and ! comments, = : or blanks between key and value, \ at a line's end
 * continues it, escapes \t \n \r \f \uXXXX and \ before anything else; the last of two equal keys counts.
 * Unlike Java, bytes are taken as UTF-8. Messages begin with "path:line: ". */
int config_load_file(struct config *c, const char *path, char *err, size_t err_len);

/* The same from memory; `name` stands for the path in messages. */
int config_load_text(struct config *c, const char *name, const char *text, size_t len, char *err,
                     size_t err_len);

/* Checks what keys say together (roles, ids, listeners, quorum), derives what follows (log.dirs from log.dir,
 * node.id from broker.id, advertised listeners). Call once, last; reading a config before it is an assert. */
int config_finish(struct config *c, char *err, size_t err_len);

/* One sentence for each key that was set but has no effect, to be logged once at start. NULL when i is past
 * the last. Valid as long as c. */
const char *config_notice(const struct config *c, size_t i);

/* ---- Dynamic configs: overlays -------------------------------------------------------------------------- *
 * What IncrementalAlterConfigs sets of a broker (its own) and of all brokers (the cluster's) lies over the
 * static configuration in a config of its own, made anew at each change. */

/* One dynamic config as metadata holds it. */
struct cfg_pair {
    const char *key, *value;
};

/* The static configuration with both layers over it, finished; the caller frees it. Keys that do not exist or
 * are not dynamic, and values that are not allowed, are left out. `base` must outlive it. */
struct config *config_overlay(const struct config *base, const struct cfg_pair *cluster, size_t cluster_n,
                              const struct cfg_pair *broker, size_t broker_n);

/* Whether `pairs` may be all that the cluster's layer (or this broker's) sets, given what `now`, the
 * configuration in force, says: upstream's rules in its order, with its words in err. Returns 0 or -EINVAL. */
int config_dynamic_check(const struct config *now, const struct cfg_pair *pairs, size_t n, bool cluster,
                         char *err, size_t err_len);

/* Whether a key's value is a list that can be appended to; the value itself counts when metadata has none. */
bool config_is_list(const char *key);
/* The text a broker key has without any dynamic config; NULL is null. -ENOENT: no such key. */
int config_static_text(const struct config *c, const char *key, const char **out);

/* ---- Groups and client metrics subscriptions: keys that brokers give defaults for ---- */
enum cfg_resource { CFG_RESOURCE_GROUP, CFG_RESOURCE_METRICS };

size_t config_resource_keys(enum cfg_resource kind); /* how many */
const char *config_resource_key(enum cfg_resource kind, size_t i);
bool config_resource_is_list(enum cfg_resource kind, const char *key); /* can be appended to */
/* Whether `pairs` may be all that a resource sets. 0, -EINVAL (INVALID_CONFIG) or -EBADRQC (INVALID_REQUEST), with
 * upstream's words. */
int config_resource_check(enum cfg_resource kind, const struct config *c, const struct cfg_pair *pairs,
                          size_t n, char *err, size_t err_len);

/* The broker key behind listener.name.<listener>.<key>; the key itself without such a prefix. */
const char *config_base_key(const char *key);

/* ---- Reading: any thread, after config_finish ----------------------------------------------------------- *
 * Pointers are valid as long as c. A key of another type than asked for is an assert, as is a number or bool
 * that has no value (cfg_is_null). */

bool cfg_bool(const struct config *c, enum cfg_key key);
int64_t cfg_int(const struct config *c, enum cfg_key key); /* INT, SHORT, LONG */
double cfg_double(const struct config *c, enum cfg_key key);
const char *cfg_str(const struct config *c, enum cfg_key key); /* STRING, CLASS, PASSWORD; NULL when null */
const struct cfg_list *cfg_list(const struct config *c, enum cfg_key key); /* empty when null */
bool cfg_is_null(const struct config *c, enum cfg_key key);
enum cfg_from cfg_value_from(const struct config *c, enum cfg_key key);

/* Parsed and checked listeners, *count of them. Advertised ones leave out those of the controller and have a
 * host always. */
const struct cfg_listener *cfg_listeners(const struct config *c, size_t *count);
const struct cfg_listener *cfg_advertised(const struct config *c, size_t *count);

/* ---- Topics -------------------------------------------------------------------------------------------- */

enum cfg_compression {
    CFG_COMPRESSION_PRODUCER = -1, /* keep what the producer chose */
    CFG_COMPRESSION_NONE = 0,      /* the numbers are those of a batch's attributes */
    CFG_COMPRESSION_GZIP = 1,
    CFG_COMPRESSION_SNAPPY = 2,
    CFG_COMPRESSION_LZ4 = 3,
    CFG_COMPRESSION_ZSTD = 4
};

/* As in a batch's attributes. */
enum cfg_timestamp_type { CFG_CREATE_TIME = 0, CFG_LOG_APPEND_TIME = 1 };

/* Bits of cleanup_policy; none: nothing is ever removed. */
#define CFG_CLEANUP_DELETE  1u
#define CFG_CLEANUP_COMPACT 2u

/* One topic's configuration: broker defaults overlaid with the topic's own values. Plain data, copied freely.
 */
struct topic_config {
    uint64_t overridden;             /* bit (1 << TOPIC_X): the topic sets X itself */
    int64_t segment_bytes;           /* roll at this size; internal.segment.bytes wins over segment.bytes */
    int64_t segment_ms;              /* roll at this age */
    int64_t segment_jitter_ms;       /* most to take off segment_ms, at random per segment */
    int64_t segment_index_bytes;     /* largest index file; roll when full */
    int64_t index_interval_bytes;    /* bytes between two index entries */
    int64_t retention_ms;            /* -1: no limit */
    int64_t retention_bytes;         /* per partition; -1: no limit */
    int64_t local_retention_ms;      /* -2: as retention_ms */
    int64_t local_retention_bytes;   /* -2: as retention_bytes */
    int64_t file_delete_delay_ms;    /* between rename and unlink */
    int64_t max_message_bytes;       /* largest batch, header included */
    int64_t min_insync_replicas;     /* for acks=all */
    int64_t flush_messages;          /* shown only: everything is synced before it is acknowledged */
    int64_t flush_ms;                /* shown only */
    int64_t timestamp_before_max_ms; /* largest age of a record's timestamp */
    int64_t timestamp_after_max_ms;  /* largest lead of a record's timestamp */
    int64_t delete_retention_ms;     /* how long a tombstone stays in a compacted log */
    int64_t min_compaction_lag_ms;
    int64_t max_compaction_lag_ms;
    int64_t gzip_level; /* -1: the library's default */
    int64_t lz4_level;
    int64_t zstd_level;
    int64_t internal_segment_bytes; /* 0: not set */
    double min_cleanable_dirty_ratio;
    int8_t compression_type; /* enum cfg_compression */
    uint8_t timestamp_type;  /* enum cfg_timestamp_type */
    uint8_t cleanup_policy;  /* CFG_CLEANUP_ bits */
    bool unclean_leader_election_enable;
    bool preallocate;
    bool remote_storage_enable;
    bool remote_log_copy_disable;
    bool remote_log_delete_on_disable;
    bool write_caching; /* answer before durable (write.caching) */
};

/* Fills t with the broker's defaults for topics. */
void topic_config_init(struct topic_config *t, const struct config *c);

/* Overlays one value of a topic. Returns 0, -ENOENT ("Unknown topic config name: x") or -EINVAL, with err
 * filled and t unchanged: what Kafka answers with INVALID_CONFIG. */
int topic_config_set(struct topic_config *t, const char *key, const char *value, char *err, size_t err_len);

/* Checks what a topic's keys say together, after the last topic_config_set. Returns 0 or -EINVAL with err
 * filled. */
int topic_config_check(const struct topic_config *t, char *err, size_t err_len);

/* ---- Tables: DescribeConfigs, --print-config, docs -------------------------------------------------------
 */

/* The id of a name, or -ENOENT. */
int cfg_key_find(const char *name);
int topic_key_find(const char *name);

const char *cfg_key_name(enum cfg_key key);
const char *topic_key_name(enum topic_key key);

#define CFG_SYNONYMS_MAX 16

/* One place that could supply a value; the first in a list is the one that does. */
struct cfg_synonym {
    const char *name;
    const char *value; /* as text */
    enum cfg_origin origin;
};

/* One key as DescribeConfigs shows it. Pointers are valid as long as the config, the override and the view
 * are. */
struct cfg_view {
    const char *name;
    enum cfg_type type;
    enum cfg_origin origin;
    const char *value;    /* as text; NULL: null, or sensitive */
    const char *fallback; /* the default as text; NULL: null */
    const char *doc;
    bool sensitive; /* its value must not be shown */
    bool read_only;
    bool internal; /* not shown to clients */
    enum cfg_meaning meaning;
    enum cfg_importance importance;
    size_t synonym_count;
    struct cfg_synonym synonyms[CFG_SYNONYMS_MAX];
    char scratch[32]; /* for a value computed from hours or minutes */
    char text[128];   /* for a topic's own value, parsed and printed */
};

/* Describes a dynamic config by what the layers say of it alone (NULL: nothing); it may be of no known key. With
 * `inherit`, the default of the key behind a listener's prefix counts too. */
void config_layer_view(const struct config *c, const char *key, const char *broker, const char *cluster,
                       bool inherit, struct cfg_view *out);

/* Describes key i of a group or subscription; `own` is its own value, or NULL. */
void config_resource_view(enum cfg_resource kind, const struct config *c, size_t i, const char *own,
                          struct cfg_view *out);

/* Describes a broker key. */
void config_view(const struct config *c, enum cfg_key key, struct cfg_view *out);

/* Describes a topic key; `override` is the topic's own value as stored in metadata, or NULL. */
void topic_config_view(const struct config *c, enum topic_key key, const char *override,
                       struct cfg_view *out);

/* Writes c as a properties file, sorted by name: what was set as it is, defaults as comments, passwords
 * hidden. */
void config_print(const struct config *c, FILE *out);

/* Writes docs/CONFIG.md. */
void config_print_docs(FILE *out);

SL_EXTERN_C_END

#endif
