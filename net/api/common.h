// What the handlers share: lookups in the metadata image, sets of keys, a request's parts by shard.
#ifndef SLUICE_NET_API_COMMON_H
#define SLUICE_NET_API_COMMON_H

#include "net/net_private.h"

// AclOperation bits of a topic and of the cluster: what upstream reports without an authorizer, when it is asked to.
// READ 3, WRITE 4, CREATE 5, DELETE 6, ALTER 7, DESCRIBE 8, CLUSTER_ACTION 9, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11,
// IDEMPOTENT_WRITE 12.
enum {
    API_TOPIC_OPS = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11,
    API_CLUSTER_OPS = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12,
    API_NO_OPS = INT32_MIN,
    API_PAIRS_MAX = 1 << 20, // answers that a request of lists of lists may reserve
};

// Isolation levels; any other is answered with UNKNOWN_SERVER_ERROR, as by upstream.
enum { API_READ_UNCOMMITTED = 0, API_READ_COMMITTED = 1 };

// ---- strings ---------------------------------------------------------------------------------------------------------
// A copy in the request's arena, for what comes from the image and must outlive the turn; terminated. NULL stays null.
struct kp_str api_copy(struct req *r, const char *s);
const char *api_cstr(struct req *r, struct kp_str s); // NULL for null
__attribute__((format(printf, 2, 3))) struct kp_str api_text(struct req *r, const char *fmt, ...);

// The words for an error without details; NULL for one that upstream gives no text to.
static inline const char *api_error_text(int16_t error)
{
    return error == KERR_THROTTLING_QUOTA_EXCEEDED ? NULL : kerr_text(error);
}

// A path of the configuration, made absolute.
struct kp_str api_path(struct req *r, const char *path);

// What is wrong with a topic's name, in Kafka's words; NULL if nothing.
const char *api_topic_name_error(struct req *r, struct kp_str name);
static inline bool api_is_internal(struct kp_str name)
{
    return kp_str_eq(name, KP_STR_LIT("__consumer_offsets")) ||
           kp_str_eq(name, KP_STR_LIT("__transaction_state")) ||
           kp_str_eq(name, KP_STR_LIT("__share_group_state"));
}

// ---- the image -------------------------------------------------------------------------------------------------------
// NULL for a null name, an unknown topic, or before the first image.
const struct meta_topic *api_topic(const struct req *r, struct kp_str name);
const struct meta_topic *api_topic_by_id(const struct req *r, const struct sl_uuid *id);
// KERR_NONE if this broker leads the partition of topic `t` (NULL: unknown).
int16_t api_check_leader(const struct req *r, const struct meta_topic *t, int32_t partition);
// Fills `out` (room for all replicas) with those of the partition that are on no live broker, or in a log directory of this
// one that is offline; returns how many they are.
int32_t api_offline_replicas(const struct req *r, const struct meta_partition *p, int32_t *out);
// A broker that lives and that this connection's clients can reach, and its endpoint; else NULL.
const struct meta_broker *api_live_broker(const struct req *r, int32_t id, const struct meta_endpoint **ep);
// A live broker to name as controller: the image's, else any. -1: none.
int32_t api_controller_id(const struct req *r);

// ---- sets ------------------------------------------------------------------------------------------------------------
// Keys are bytes, borrowed. Sized for `max` puts.
struct api_set_slot {
    const void *key;
    uint32_t n, value;
};
struct api_set {
    struct api_set_slot *slots;
    uint32_t mask;
    uint64_t seed;
};
void api_set_init(struct req *r, struct api_set *s, uint32_t max);
// The value of an equal key put before; else stores the key with `value` and returns `value`.
uint32_t api_set_put(struct api_set *s, const void *key, size_t n, uint32_t value);
// As api_set_put without storing: UINT32_MAX if the key is not there.
uint32_t api_set_get(const struct api_set *s, const void *key, size_t n);

// A partition as a key of a set.
struct api_part_key {
    struct sl_uuid id;
    int32_t partition;
};
SL_STATIC_ASSERT(sizeof(struct api_part_key) == 20, "hashed as bytes, so it must have no padding");

// ---- topics and partitions, each once ----------------------------------------------------------------------------------
// What a request of topics by name comes to once equal topics are one and equal partitions of them too, as upstream's map
// has it. Both are numbered in the order of their first naming; a topic without partitions does not count.
struct api_named {
    struct kp_str name;
    const void *parts; // the request's
    int32_t parts_n;
};
struct api_place {
    uint32_t topic;
    int32_t partition;
    uint32_t times; // that it is named
    const void *in; // where it is named last
};
struct api_places {
    struct kp_str *names; // of the topics
    uint32_t *room;       // of each topic: its partitions
    struct api_place *parts;
    uint32_t topics_n, parts_n;
};
// The request's, in its memory. A partition of it has `size` bytes and its index at `index_at`.
void api_places_make(struct req *r, struct api_places *p, const struct api_named *topics, uint32_t n,
                     size_t size, size_t index_at);

#endif
