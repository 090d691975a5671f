// Between the files of the consumer protocol; see modern.h.
#ifndef SLUICE_ENGINE_COORD_MODERN_MODERN_PRIVATE_H
#define SLUICE_ENGINE_COORD_MODERN_MODERN_PRIVATE_H

#include "engine/coord/modern/hash.h"
#include "engine/coord/modern/modern.h"

#define CG_META_NONE                                                                                         \
    ((struct cg_meta){.instance_id = KP_STR_NULL,                                                            \
                      .rack_id = KP_STR_NULL,                                                                \
                      .client_id = KP_STR_LIT(""),                                                           \
                      .client_host = KP_STR_LIT(""),                                                         \
                      .regex = KP_STR_NULL,                                                                  \
                      .assignor = KP_STR_NULL,                                                               \
                      .rebalance_ms = -1})

// A member as an operation would have it: new, or with some changes. Nothing here is owned.
struct cg_draft {
    struct kp_str id;
    struct cg_meta meta;
    struct cg_progress at;
};

// One operation on a group: what it reads, and what it has worked out so far. Records are emitted on the way; the state
// changes in cg_op_end, when they are replayed.
struct cg_op {
    struct groups *gs;
    struct kp_str group;
    struct cg *cg; // the group as it is; `fresh` when there is none yet
    struct cg fresh;
    struct cg_settings set;
    struct arena a;
    uint32_t first; // its first record that was not replayed yet
    size_t first_bytes;
    int16_t error;    // KERR_*: it failed
    const char *text; // for the error; in `a`, or static
    // of a member that joins or changes
    const struct cg_member *present; // by this id, or the static member it replaces; NULL: none
    struct cg_draft old, m;          // before and after
    int32_t epoch;                   // of the group after this
    int32_t target_epoch;
    struct cg_parts target; // of the member
    bool homogeneous, homogeneous_known;
    bool search;    // look for what patterns match, afterwards
    uint64_t image; // that the hash was computed of; 0: it was not
    enum { CG_TIMER_KEEP, CG_TIMER_SET, CG_TIMER_CANCEL } rebalance_timer;
};

// Begins an operation on the group, which need not be there.
void cg_op_begin(struct cg_op *op, struct groups *gs, struct kp_str group);
// Notes a failure with upstream's words. Returns the error.
int16_t cg_op_fail(struct cg_op *op, int16_t error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Replays what was emitted, or takes it back when the operation failed or its records fit into no batch. False: it
// failed. Afterwards op->cg is the group as it is now, or NULL. Scratch memory stays until cg_op_free.
bool cg_op_end(struct cg_op *op);
void cg_op_free(struct cg_op *op);
// Answers with the error of a failed operation.
void cg_op_answer_error(struct cg_op *op, struct coord_req *q);

// After a load: notes whether the group's records contradict each other (c->conflict).
void cg_check_loaded(struct cg *c);
void cg_init(struct cg *c, struct groups *gs, struct group *g); // without putting it into the table

// ---- emit.c ----------------------------------------------------------------------------------------------------------
void cg_emit_member(struct cg_op *op, const struct cg_draft *m);
void cg_emit_member_end(struct cg_op *op, struct kp_str id);
void cg_emit_epoch(struct cg_op *op, int32_t epoch, uint64_t hash);
void cg_emit_target(struct cg_op *op, struct kp_str id, const struct cg_parts *target);
void cg_emit_target_end(struct cg_op *op, struct kp_str id);
void cg_emit_target_epoch(struct cg_op *op, int32_t epoch, int64_t ms);
void cg_emit_current(struct cg_op *op, struct kp_str id, const struct cg_progress *at);
void cg_emit_current_end(struct cg_op *op, struct kp_str id);
void cg_emit_regex(struct cg_op *op, struct kp_str regex, const struct kp_str *topics, uint32_t n,
                   int64_t version, int64_t ms);
void cg_emit_regex_end(struct cg_op *op, struct kp_str regex);
void cg_emit_old_metadata_end(struct cg_op *op);
// The three that remove a member, in the order that a replay wants.
void cg_emit_gone(struct cg_op *op, struct kp_str id);

// ---- subscribe.c: what the group subscribes to -------------------------------------------------------------------------
// A change of subscriptions. Members in `gone` leave; `old` becomes `new`, either may be NULL.
struct cg_change {
    const struct cg_meta *old_meta, *new_meta;
    const struct cg_member *const *gone;
    uint32_t gone_n;
    uint32_t members; // after it
};
// The topics of the group after the change: whether its members all subscribe to the same, and the hash of those that
// exist. Emits tombstones for patterns that nobody uses any more if asked to.
struct cg_after {
    uint64_t hash;
    bool homogeneous;
};
void cg_subscriptions_after(struct cg_op *op, const struct cg_change *change, struct cg_after *out);
// The hash over these names, which are sorted.
uint64_t cg_hash_names(struct cg_op *op, const struct kp_str *sorted, uint32_t n);
// Topics of a member that exist: their ids, ascending.
bool cg_member_subscribes(const struct cg *c, const struct cg_meta *m, struct kp_str topic);

// ---- target.c ----------------------------------------------------------------------------------------------------------
// Computes a new target when the present one is older than op->epoch and the last one is not too young; fills
// op->target_epoch and op->target either way.
void cg_update_target(struct cg_op *op);
// Moves op->m on towards it; owned NULL: the member did not say.
void cg_move_on(struct cg_op *op, bool subscription_changed, const struct cg_parts *owned);

// ---- member.c: what heartbeats and classic joins share -------------------------------------------------------------------
// Finds the member of a request, or begins a new one: op->present, op->old and op->m, which is as old for now. With
// `create` a member that is not there is made, and a static one that left is replaced. op->error is set when the
// request may not go on.
void cg_find_dynamic(struct cg_op *op, struct kp_str id, int32_t epoch, const struct cg_parts *owned,
                     bool create, bool classic);
void cg_find_instance(struct cg_op *op, struct kp_str id, struct kp_str instance, int32_t epoch,
                      const struct cg_parts *owned, bool create, bool classic);
// Emits what op->m.meta brings: the member, and the end of a pattern that nobody uses any more.
enum cg_regex_change { CG_REGEX_SAME, CG_REGEX_CHANGED, CG_REGEX_RESOLVED };
struct cg_news {
    bool topics;
    enum cg_regex_change regex;
};
struct cg_news cg_take_over(struct cg_op *op);
// Raises the group's epoch if asked to, or if its topics changed; op->epoch is the group's afterwards.
void cg_update_epoch(struct cg_op *op, bool bump);
int16_t cg_full(struct cg_op *op, struct kp_str member_id); // 0, or the group takes no new member
// After a successful operation: the timers of the member, and searches.
void cg_after_member(struct cg_op *op, int32_t session_ms);

// ---- fence.c -----------------------------------------------------------------------------------------------------------
// Removes members from the group; it may become a classic group.
void cg_fence(struct cg_op *op, const struct cg_member *const *gone, uint32_t n);
void cg_fire_session(struct coord_timer *t, void *co);
void cg_fire_rebalance(struct coord_timer *t, void *co);
void cg_fire_join(struct coord_timer *t, void *co);
void cg_fire_sync(struct coord_timer *t, void *co);
void cg_loaded(struct groups *gs, struct group *g);

// ---- patterns.c --------------------------------------------------------------------------------------------------------
// Begins a search for the topics that the group's patterns match, if it is time. `asked`: a member brought a new one.
void cg_search_start(struct cg *c, bool asked);
void cg_search_stop(struct cg *c);
void cg_fire_search(struct coord_timer *t, void *co);

// ---- convert.c -------------------------------------------------------------------------------------------------------
// A classic group becomes a consumer group at once, or op->error says why not. op->cg is the new one.
void cg_upgrade(struct cg_op *op, struct group *g);
// Whether the group can become a classic one when these members are gone.
bool cg_may_downgrade(const struct cg_op *op, const struct cg_member *const *gone, uint32_t n);
// Makes it one, at once; op->cg is NULL then. joins: op->m, of the classic protocol, takes the place of op->present.
void cg_downgrade(struct cg_op *op, const struct cg_member *const *gone, uint32_t n, bool joins);

// ---- classic.c ---------------------------------------------------------------------------------------------------------
void cg_classic_join(struct groups *gs, struct group *g, struct coord_req *q);
void cg_classic_sync(struct groups *gs, struct group *g, struct coord_req *q);
void cg_classic_heartbeat(struct groups *gs, struct group *g, struct coord_req *q);
void cg_classic_leave(struct groups *gs, struct group *g, struct coord_req *q);

#endif
