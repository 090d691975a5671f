// A group of the classic protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup), as upstream's ClassicGroup.
//
//            join of the first member            all joined, or the rebalance timeout, or the initial delay
//   EMPTY ───────────────────────► PREPARING_REBALANCE ───────────────────────────────► COMPLETING_REBALANCE
//     ▲                              │  ▲          ▲                                        │         │
//     └── nobody is left ────────────┘  │          └── join, leave, failure, a missing sync ┘         │ the leader's
//                                       │                                                             │ SyncGroup
//                                       └──── join with news, leave, failure ──── STABLE ◄────────────┘
//
//   from \ to               EMPTY   PREPARING   COMPLETING   STABLE
//   EMPTY                     -         x            -          -
//   PREPARING_REBALANCE       x         -            x          -
//   COMPLETING_REBALANCE      -         x            -          x
//   STABLE                    -         x            -          -
//
// Upstream's DEAD is a group that is not in the table any more: such requests find no group.
//
// A JoinGroup waits (parked, at its member) while PREPARING, a SyncGroup while COMPLETING. What upstream does when the
// leader's assignment has been written is done at once here: the answers wait for the disk instead (ctx.h).
//
// Records: one GroupMetadata when a generation gets its assignment, when a group becomes empty, when a static member is
// replaced in a stable group, and an empty one for a new group whose first join writes nothing else.
// A record has members and no leader where a consumer group became a classic one that is yet to rebalance: nobody owns
// what the members that went had, and after a crash nobody would notice. Upstream, which forgets the rebalance, never
// writes that; reading it, it takes the first member for the leader.
#ifndef SLUICE_ENGINE_COORD_CLASSIC_H
#define SLUICE_ENGINE_COORD_CLASSIC_H

#include "engine/coord/group.h"
#include "proto/gen/describe_groups_response.h"
#include "proto/gen/join_group_request.h"
#include "proto/gen/join_group_response.h"
#include "proto/gen/sync_group_request.h"
#include "proto/gen/sync_group_response.h"

enum classic_state {
    CLASSIC_EMPTY,
    CLASSIC_PREPARING_REBALANCE,
    CLASSIC_COMPLETING_REBALANCE,
    CLASSIC_STABLE,
    CLASSIC_STATES
};

struct classic_protocol {
    char *name;
    uint8_t *metadata;
    uint32_t metadata_len;
};
struct classic_member {
    UT_hash_handle hh;          // by id
    UT_hash_handle by_instance; // static members
    struct group *group;
    char *id, *instance_id; // instance_id: NULL for a dynamic member
    char *client_id, *client_host;
    int32_t rebalance_ms, session_ms;
    struct classic_protocol *protocols; // in order of preference; names differ
    uint32_t protocols_n;
    uint8_t *assignment;
    uint32_t assignment_len;
    struct coord_req *join, *sync; // parked
    bool is_new;                   // has not been in a generation yet
    bool pending_sync;             // of this generation; its SyncGroup has not come
    struct coord_timer session;
    uint64_t cost;
};
// A dynamic member that was given its id and has to come again with it (KIP-394).
struct classic_pending {
    UT_hash_handle hh; // by id
    struct group *group;
    char *id;
    struct coord_timer session;
};
struct classic_topic {
    UT_hash_handle hh;
    char *name;
};

struct classic {
    struct group *group;
    enum classic_state state, previous;
    int32_t generation;
    char *protocol_type, *protocol, *leader; // NULL: none. With members, only while they join
    int64_t state_ms;                        // since when; -1: not known
    struct classic_member *members;          // hash, in order of their joining
    struct classic_member *statics;          // hash by instance id
    struct classic_pending *pendings;
    uint32_t awaiting_join, pending_syncs;
    bool new_member_added;          // during the initial delay
    int32_t delay_ms, remaining_ms; // of the initial delay
    bool initial;                   // the rebalance timer runs the initial delay
    bool topics_known;              // `topics` is what the members subscribe to
    struct classic_topic *topics;   // hash
    struct coord_timer rebalance, syncing;
};

// ---- classic.c: what a group holds -------------------------------------------------------------------------------------
struct classic *classic_new(struct groups *gs, struct group *g);
void classic_free(struct groups *gs, struct classic *c);
static inline struct classic *classic_of(const struct group *g)
{
    return g->type ? (struct classic *)g->state : NULL;
}
const char *classic_state_name(enum classic_state s);
void classic_transition(struct groups *gs, struct classic *c, enum classic_state to);
static inline uint32_t classic_size(const struct classic *c)
{
    return HASH_COUNT(c->members);
}
struct classic_member *classic_find(const struct classic *c, struct kp_str id);
struct classic_member *classic_find_static(const struct classic *c, struct kp_str instance);
struct classic_pending *classic_find_pending(const struct classic *c, struct kp_str id);
// A member with what the request says; not yet in the group. Strings are copied.
struct classic_member *classic_member_new(struct kp_str id, const struct kp_join_group_request *m,
                                          const struct coord_req *q);
void classic_member_protocols(struct groups *gs, struct classic_member *m,
                              const struct kp_join_group_request *req);
void classic_member_assign(struct groups *gs, struct classic_member *m, struct kp_bytes assignment);
void classic_add(struct groups *gs, struct classic *c, struct classic_member *m);
// Takes a member out and frees it; requests parked at it are answered with UNKNOWN_MEMBER_ID.
void classic_remove(struct groups *gs, struct classic *c, struct classic_member *m);
void classic_pending_add(struct groups *gs, struct classic *c, struct kp_str id, int32_t session_ms);
void classic_pending_remove(struct groups *gs, struct classic *c, struct classic_pending *p);
// The member gets a new id (KIP-345); what is parked at it is answered with FENCED_INSTANCE_ID.
void classic_rename(struct groups *gs, struct classic *c, struct classic_member *m, const char *id);
bool classic_is_leader(const struct classic *c, const struct classic_member *m);
void classic_set_leader(struct classic *c, const char *id);
int32_t classic_rebalance_ms(const struct classic *c);
bool classic_all_joined(const struct classic *c);
bool classic_supports(const struct classic *c, const struct kp_join_group_request *m);
const char *classic_vote(const struct classic *c); // the protocol of the next generation; members exist
bool classic_matches(const struct classic_member *m, const struct kp_join_group_request *req);
struct kp_bytes classic_metadata(const struct classic_member *m, const char *protocol); // n < 0: has it not
void classic_read_topics(struct classic *c); // what members of the protocol "consumer" subscribe to
bool classic_is_consumer(const struct classic *c);
void classic_set_text(char **at, const char *text); // replaces a malloc'd text; NULL stays NULL

// ---- classic_join.c ------------------------------------------------------------------------------------------------------
void classic_join(struct groups *gs, struct group *g, struct coord_req *q); // g: NULL if there is none
void classic_answer_join(struct groups *gs, struct classic *c, struct classic_member *m, int16_t error,
                         bool skip);
void classic_rebalance(struct groups *gs, struct classic *c,
                       const char *why); // if it can; else looks whether all joined
void classic_prepare(struct groups *gs, struct classic *c, const char *why);
void classic_maybe_complete(struct groups *gs, struct classic *c); // not in the initial delay
void classic_complete(struct groups *gs, struct classic *c);
void classic_session(struct groups *gs, struct classic_member *m, int64_t ms);
void classic_fire_session(struct coord_timer *t, void *co);
void classic_fire_pending(struct coord_timer *t, void *co);
void classic_fire_rebalance(struct coord_timer *t, void *co);
void classic_fire_syncing(struct coord_timer *t, void *co);

// ---- classic_sync.c --------------------------------------------------------------------------------------------------------
void classic_sync(struct groups *gs, struct group *g, struct coord_req *q);
void classic_heartbeat(struct groups *gs, struct group *g, struct coord_req *q);
void classic_leave(struct groups *gs, struct group *g, struct coord_req *q);
int16_t classic_validate(const struct classic *c, struct kp_str member_id, struct kp_str instance_id);
// All waiting SyncGroups: the members' assignments, or the error.
void classic_answer_syncs(struct groups *gs, struct classic *c, int16_t error);

// ---- classic_record.c ------------------------------------------------------------------------------------------------------
void classic_emit(struct groups *gs, struct classic *c);
void classic_emit_new(struct groups *gs, struct classic *c); // of a group that has nothing yet
void classic_emit_tombstone(struct groups *gs, struct group *g);
void classic_describe(
    const struct group *g, struct coord_req *q,
    struct kp_describe_groups_response_described_group *out); // g without a state: an empty one

#endif
