// A group of the consumer protocol (KIP-848), as upstream 4.3's ConsumerGroup: a kind of group (group.h) whose state is
// exactly what its records say. An operation computes records from the state and the request, emits them, and replays
// them on the state; a load replays the same records. Only timers, the pace of regular expressions and the image that
// was last looked at are not recorded.
//
// The state of a group follows from its members:
//
//              a member joins              assignment computed              all members got there
//    EMPTY ───────────────────► ASSIGNING ────────────────────► RECONCILING ─────────────────────► STABLE
//      ▲                         ▲   ▲  ▲                          │                                 │
//      │ the last one leaves     │   │  └── subscription or topics ┘                                 │
//      └─────────────────────────┘   └───── changed, a member came or went ──────────────────────────┘
//
//   EMPTY        no members
//   ASSIGNING    epoch > target_epoch: the target is older than the group
//   RECONCILING  some member is not STABLE in target_epoch (reconcile.h)
//   STABLE       otherwise
//   Upstream's DEAD is a group that is not in the table any more.
//
// Epochs: `epoch` grows with every change that asks for a new target (members, subscriptions, topics); `target_epoch` is
// that of the present target; a member's epoch is that of the target it has reached.
//
// Invariants (cg_check): no partition is held by two members; `held` names for each partition that a member owns or is
// giving up that member's epoch; the counts of topics, patterns and static members are those of the members.
//
// All of this belongs to the coordinator's reactor.
#ifndef SLUICE_ENGINE_COORD_MODERN_MODERN_H
#define SLUICE_ENGINE_COORD_MODERN_MODERN_H

#include "engine/coord/group.h"
#include "engine/coord/modern/assign.h"
#include "engine/coord/modern/reconcile.h"

enum { CG_LEAVE_EPOCH = -1, CG_LEAVE_STATIC_EPOCH = -2 };

enum cg_state { CG_EMPTY, CG_ASSIGNING, CG_RECONCILING, CG_STABLE };

// A member of the classic protocol in a group of this kind, by what its JoinGroup said.
struct cg_classic_protocol {
    struct kp_str name;
    struct kp_bytes metadata;
};
struct cg_classic {
    int32_t session_ms;
    uint32_t protocols_n;
    struct cg_classic_protocol *protocols;
};

// What a member says of itself (ConsumerGroupMemberMetadata). Null strings have n < 0.
struct cg_meta {
    struct kp_str instance_id, rack_id, client_id, client_host, regex, assignor;
    struct kp_str *topics; // sorted, distinct
    uint32_t topics_n;
    int32_t rebalance_ms;
    struct cg_classic *classic; // NULL: it speaks the consumer protocol
};

struct cg;
struct cg_member {
    UT_hash_handle hh;          // by id
    UT_hash_handle by_instance; // of the member that a static id stands for
    struct cg *cg;
    char *id;
    bool joined;    // a member; else only a target was recorded for this id
    bool is_static; // by_instance is linked
    bool has_target;
    struct cg_meta meta; // in `blob`
    void *blob;
    struct cg_progress at;  // owned sets
    struct cg_parts target; // owned
    uint64_t cost;
    int32_t rebalance_epoch; // when the rebalance timer was set
    struct coord_timer session, rebalance;
    struct coord_timer join, sync; // of classic members
};

// A topic that members name, or that a pattern of theirs matched.
struct cg_use {
    UT_hash_handle hh;
    char *name;
    uint32_t by_name, by_regex;
};
struct cg_pattern {
    UT_hash_handle hh;
    char *text;
    uint32_t members;      // that subscribe by it
    bool resolved;         // there is a record of what it matches
    struct kp_str *topics; // sorted; in one piece with their text
    uint32_t topics_n;
    int64_t version, resolved_ms;
};
struct cg_place {
    struct sl_uuid topic;
    int32_t partition;
};
SL_STATIC_ASSERT(sizeof(struct cg_place) == 20, "hashed as bytes");
struct cg_held {
    UT_hash_handle hh;
    struct cg_place at;
    int32_t epoch;
};

struct cg_search; // a search for what patterns match (patterns.c)

struct cg {
    struct groups *gs;
    struct group *group;
    int32_t epoch;
    uint64_t hash; // of the topics that it was last computed for
    int32_t target_epoch;
    int64_t target_ms;         // wall clock; 0: not known
    struct cg_member *members; // hash
    uint32_t joined_n, classic_n;
    struct cg_member *statics;   // hash
    struct cg_use *uses;         // hash
    struct cg_pattern *patterns; // hash
    uint32_t patterns_used, patterns_resolved;
    struct cg_held *held; // hash
    bool conflict;        // its records, as they were loaded, name two owners of a partition
    bool old_metadata;    // a ConsumerGroupPartitionMetadata record of an older Kafka is to be removed
    uint64_t image_seen;  // of which `hash` was computed; 0: none in this life
    uint64_t searched_image;
    int64_t searched_ms; // -1: never
    struct cg_search *search;
    struct coord_timer search_timer;
};

extern const struct group_type group_consumer_type;

static inline struct cg *cg_of(const struct group *g)
{
    return g->type == &group_consumer_type ? (struct cg *)g->state : NULL;
}

// ---- settings (type.c) -----------------------------------------------------------------------------------------------
enum { CG_MAY_UPGRADE = 1, CG_MAY_DOWNGRADE = 2 };
struct cg_settings {
    int32_t session_ms, heartbeat_ms, assignment_ms, regex_refresh_ms;
    uint32_t max_size, classic_max_size;
    unsigned migration;                       // CG_MAY_*
    enum cg_assignor assignors[CG_ASSIGNORS]; // in order of preference
    uint32_t assignors_n;
};
// As the group and the configuration say now. Names of assignors that are not served are passed over; at least one is
// left.
void cg_settings_of(const struct groups *gs, const char *group, struct cg_settings *out);

// ---- the state (state.c) ---------------------------------------------------------------------------------------------
struct cg *cg_new(struct groups *gs, struct group *g);
void cg_free(struct groups *gs, struct cg *c);
enum cg_state cg_state_of(const struct cg *c);
const char *cg_state_name(enum cg_state s);
struct cg_member *cg_find(const struct cg *c, struct kp_str id); // a joined member, or NULL
struct cg_member *cg_find_static(const struct cg *c, struct kp_str instance);
struct cg_member *cg_entry(struct cg *c, struct kp_str id);                           // made if there is none
void cg_set_meta(struct cg *c, struct cg_member *m, const struct cg_meta *meta);      // copies
void cg_set_progress(struct cg *c, struct cg_member *m, const struct cg_progress *p); // copies
void cg_set_target(struct cg *c, struct cg_member *m, const struct cg_parts *target); // copies; NULL: none
void cg_remove(struct cg *c, struct cg_member *m); // the member, not its target; m may be gone afterwards
struct cg_pattern *cg_pattern_find(const struct cg *c, struct kp_str text);
// The epoch after this one; that of a log that no broker of ours wrote may be the last there is.
static inline int32_t cg_next_epoch(int32_t epoch)
{
    return epoch == INT32_MAX ? epoch : epoch + 1;
}
// What a pattern matches; topics sorted. Copies. NULL topics with n 0 and version < 0: not resolved any more.
void cg_pattern_resolve(struct cg *c, struct kp_str text, const struct kp_str *topics, uint32_t n,
                        int64_t version, int64_t ms);
void cg_pattern_forget(struct cg *c, struct kp_str text);
bool cg_is_held(const struct cg *c, const struct cg_part *p); // by some member
bool cg_subscribed_to(const struct cg *c, struct kp_str topic);
int cg_str_cmp(struct kp_str a, struct kp_str b);
uint32_t cg_str_sort(struct kp_str *v, uint32_t n); // drops duplicates; returns how many are left
bool cg_str_find(const struct kp_str *sorted, uint32_t n, struct kp_str s);
static inline bool cg_has_regex(const struct cg_meta *m)
{
    return m->regex.n > 0;
}
// Checks the invariants; aborts when one is broken. Linear in the group's size.
void cg_check(const struct cg *c);

// ---- records (records.c) ---------------------------------------------------------------------------------------------
int cg_replay(struct groups *gs, const struct coord_record *r);
void cg_tombstones(struct groups *gs, struct group *g); // what removes every record of the state

// ---- requests --------------------------------------------------------------------------------------------------------
void cg_heartbeat(struct groups *gs, struct coord_req *q); // heartbeat.c
void cg_describe(struct groups *gs, struct coord_req *q);  // describe.c

#endif
