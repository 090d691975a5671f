// The groups of one partition of __consumer_offsets, and how a kind of group plugs in.
//
// struct groups is a coordinator in the sense of runtime.h (groups_ops): pure, driven through struct coord_ctx. It holds
// a table of groups by id. A group has offsets (offsets.h), which every kind shares, and a state that belongs to its
// kind:
//
//   kind      state                record types (keys) that build it at a load          where
//   CLASSIC   struct classic       2 GroupMetadata                                      classic*.c
//   CONSUMER  its own              3-8 ConsumerGroup..., 16 regular expressions         modern/
//   none      NULL                 none: only offsets (0, 1) were committed ("simple"): shown as an empty classic group
//
// To add a kind: a struct group_type with its functions; rows in the table of record types (group_records.c) that name
// the function which replays them; rows in the table of requests (group.c) for the APIs that are its own. An operation
// looks its group up with groups_find (or groups_make), which notes what the answer has to wait for; checks; emits
// records with coord_emit(x, &g->mark, ...); changes its state; and answers with coord_answer. A kind whose state is
// exactly what its records say may call its replay functions on them instead of changing the state by hand.
// A group changes its kind (upgrade, downgrade, a classic join to an empty consumer group) by group_reset, after
// emitting the tombstones of the old kind.
//
// Timers: embed a struct coord_timer, set `fire`, cancel it in `destroy`.
#ifndef SLUICE_ENGINE_COORD_GROUP_H
#define SLUICE_ENGINE_COORD_GROUP_H

#include "engine/base/config.h"
#include "engine/base/table.h"
#include "engine/coord/coord.h"
#include "engine/coord/ctx.h"
#include "engine/coord/offsets.h"
#include "engine/coord/runtime.h"

struct groups;
struct group;

// The order is that of upstream's GroupType ids in the protocol's texts.
enum group_kind { GROUP_NONE, GROUP_CLASSIC, GROUP_CONSUMER, GROUP_SHARE, GROUP_STREAMS };

// Record types of __consumer_offsets (CoordinatorRecordType).
enum group_record {
    GREC_LEGACY_OFFSET_COMMIT = 0,
    GREC_OFFSET_COMMIT = 1,
    GREC_GROUP_METADATA = 2,
    GREC_CONSUMER_METADATA = 3,
    GREC_CONSUMER_PARTITION_METADATA = 4,
    GREC_CONSUMER_MEMBER_METADATA = 5,
    GREC_CONSUMER_TARGET_METADATA = 6,
    GREC_CONSUMER_TARGET_MEMBER = 7,
    GREC_CONSUMER_CURRENT_MEMBER = 8,
    GREC_CONSUMER_REGEX = 16,
};

// What a request to commit or fetch offsets says of its sender.
struct group_claim {
    struct kp_str member_id, instance_id; // instance_id: may be null
    int32_t epoch;                        // generation or member epoch; -1: none
    int16_t version;                      // of the request
    bool transactional;                   // TxnOffsetCommit
};

// When offsets of a group may expire (upstream's offsetExpirationCondition).
enum group_expiry {
    GROUP_EXPIRY_NEVER,
    GROUP_EXPIRY_COMMIT, // by the time of their commit
    GROUP_EXPIRY_STATE,  // by `since`, or by the time of their commit when since < 0
};

// Functions get the group; its state is g->state. None may be NULL.
struct group_type {
    enum group_kind kind;
    const char *name;                                      // as ListGroups has it: "Classic", "Consumer"
    const char *(*state_name)(const struct group *g);      // "Stable"; "Empty" and "Dead" are common
    struct kp_str (*protocol_type)(const struct group *g); // "" if none
    bool (*is_empty)(const struct group *g);               // no members
    bool (*is_subscribed)(const struct group *g, struct kp_str topic);
    enum group_expiry (*expiry)(const struct group *g, int64_t *since);
    // 0 or KERR_*. A commit that is allowed also keeps a classic member's session alive.
    int16_t (*check_commit)(struct groups *gs, struct group *g, const struct group_claim *c);
    // Of each partition of an allowed commit: 0, or an error for the whole request (KIP-1251: partitions that the
    // member was assigned at a later epoch).
    int16_t (*check_commit_part)(struct groups *gs, struct group *g, const struct group_claim *c,
                                 const struct sl_uuid *topic_id, struct kp_str topic, int32_t partition);
    int16_t (*check_fetch)(struct groups *gs, struct group *g, const struct group_claim *c);
    int16_t (*check_offset_delete)(const struct group *g);
    int16_t (*check_delete)(const struct group *g);
    void (*tombstones)(struct groups *gs, struct group *g); // emits what removes all records of the state
    void (*loaded)(struct groups *gs, struct group *g);     // after a load: arms timers; may emit
    void (*let_go)(struct groups *gs, struct group *g, int16_t error); // answers what is parked
    void (*destroy)(struct groups *gs, struct group *g);               // cancels timers, frees the state
    // The classic protocol, sent to a group of this kind (a consumer group may have classic members).
    void (*join)(struct groups *gs, struct group *g, struct coord_req *q);
    void (*sync)(struct groups *gs, struct group *g, struct coord_req *q);
    void (*heartbeat)(struct groups *gs, struct group *g, struct coord_req *q);
    void (*leave)(struct groups *gs, struct group *g, struct coord_req *q);
};
extern const struct group_type group_classic_type;

struct group {
    UT_hash_handle hh; // by id
    char *id;          // terminated
    uint32_t id_len;
    coord_mark mark;
    const struct group_type *type; // NULL: no state, only offsets
    void *state;
    struct group_offsets offsets;
};

// The settings of all groups, read from the configuration once.
struct group_settings {
    int32_t initial_delay_ms, min_session_ms, max_session_ms, new_member_join_ms;
    uint32_t max_size;
    int64_t keep_ms, keep_check_ms; // offsets.retention.*
    int32_t metadata_max;
    uint64_t memory_max;      // of a reactor's groups and offsets
    const struct config *cfg; // for a kind's own
};
void group_settings_load(struct group_settings *s, const struct config *cfg);

// A coordinator's argument (crt_part_add): what the partitions of a reactor share.
struct groups_env {
    struct group_settings set;
    const struct coord_topics *topics;
    struct reactor *r; // handed on to `topics`
    uint64_t memory;   // bytes, about, of all groups and offsets
};
struct groups {
    struct coord_ctx *x;
    struct groups_env *env;
    struct group *table;      // hash by id
    uint64_t memory;          // this partition's share of env->memory
    uint64_t order;           // counts offset commits as they are applied
    struct offset_txn *txns;  // hash by producer id: open transactions
    struct topic_use *topics; // hash by name: topics that offsets were committed for
    struct coord_timer sweep; // expired offsets and groups
    struct group *sweep_next; // where the sweep goes on; NULL: from the start
    bool loading;
};
extern const struct crt_ops groups_ops;

// ---- the table --------------------------------------------------------------------------------------------------------
// Notes what an answer has to wait for: the group's last records, or the last removal if there is none.
struct group *groups_find(struct groups *gs, struct kp_str id);
// The same, and makes one without a state.
struct group *groups_make(struct groups *gs, struct kp_str id);
// Forgets the state, for another kind's. Emits nothing.
void group_reset(struct groups *gs, struct group *g, const struct group_type *type, void *state);
// Removes a group that has neither state nor offsets left; g is gone then.
void groups_collect(struct groups *gs, struct group *g);
static inline enum group_kind group_kind(const struct group *g)
{
    return g->type ? g->type->kind : GROUP_NONE;
}
static inline struct kp_str group_id(const struct group *g)
{
    return (struct kp_str){g->id, (int32_t)g->id_len};
}
// The type whose functions apply: a group without a state is an empty classic one.
static inline const struct group_type *group_rules(const struct group *g)
{
    return g->type ? g->type : &group_classic_type;
}
// Memory of about n bytes came (n > 0) or went.
void groups_account(struct groups *gs, int64_t n);
bool groups_full(const struct groups *gs); // no new group, member or offset is let in

// ---- help for the kinds -------------------------------------------------------------------------------------------------
// A copy in the request's arena; null stays null. Panics on lack of memory.
struct kp_str req_str(struct coord_req *q, struct kp_str s);
struct kp_bytes req_bytes(struct coord_req *q, struct kp_bytes b);
void *req_zalloc(struct coord_req *q, size_t n);
// A malloc'd copy, terminated; NULL for null. Panics.
char *group_strdup(struct kp_str s);
// Whether a text has no zero byte: ids are kept terminated. One that has is refused in a request, and passed over in a log.
bool group_text_ok(struct kp_str s);
bool group_texts_ok(const struct kp_str *v, int32_t n); // all of them; n < 0: there are none

// ---- replay (group_records.c) --------------------------------------------------------------------------------------------
// One record, at a load or just emitted. 0; -EBADMSG. Types that nobody serves are passed over.
int groups_replay(void *gs, const struct coord_record *r);
// Decodes key and value of a record into the kp structs of its type, with their versions in front. *has_value: false for
// a tombstone. 0 or -EBADMSG.
int group_record_decode(const struct coord_record *r, int16_t type, void *key, void *value, bool *has_value,
                        struct arena *a);

// ---- requests of the kinds ------------------------------------------------------------------------------------------------
typedef void (*group_request_fn)(struct groups *gs, struct coord_req *q);
void groups_commit(struct groups *gs, struct coord_req *q);         // offset_requests.c
void groups_fetch(struct groups *gs, struct coord_req *q);          // offset_requests.c
void groups_delete_offsets(struct groups *gs, struct coord_req *q); // offset_requests.c
void groups_join(struct groups *gs, struct coord_req *q);           // group.c: to the group's kind
void groups_sync(struct groups *gs, struct coord_req *q);
void groups_heartbeat(struct groups *gs, struct coord_req *q);
void groups_leave(struct groups *gs, struct coord_req *q);
void groups_describe(struct groups *gs, struct coord_req *q); // group_admin.c
void groups_list(struct groups *gs, struct coord_req *q);
void groups_delete(struct groups *gs, struct coord_req *q);
int classic_replay(struct groups *gs, const struct coord_record *r);
int offset_replay(struct groups *gs, const struct coord_record *r); // offsets.c
void groups_replay_end(void *co, int64_t producer_id, bool commit);

// ---- expiry and deleted topics (group_sweep.c) -------------------------------------------------------------------------------
void groups_sweep_init(struct groups *gs);
void groups_sweep_start(struct groups *gs);
void groups_sweep_stop(struct groups *gs);
void groups_image(void *co); // offsets of deleted topics go
// Emits the removal of all offsets of a group, and removes them.
void groups_drop_offsets(struct groups *gs, struct group *g);
// Emits the removal of one, and removes it.
void groups_drop_offset(struct groups *gs, struct group *g, struct kp_str topic, int32_t partition);
// Emits the removal of a group's state and offsets, and removes it: g is gone.
void groups_drop(struct groups *gs, struct group *g);

#endif
