/* How a member of a consumer group gets from what it owns to what it is meant to own (KIP-848).
 *
 *                      +------------------+  nothing to revoke, something not free yet
 *            +-------->|      STABLE      |-----------------------+
 *            |         +------------------+                       v
 *            |              |        ^                 +-----------------------+
 *            |  must revoke |        | revoked and     | UNRELEASED_PARTITIONS |--+ still not free
 *            |              v        | all free        +-----------------------+<-+
 *            |     +----------------------+   revoked, not all free  ^    |   |
 *            |     | UNREVOKED_PARTITIONS |--------------------------+    |   | all free
 *            |     +----------------------+<------------------------------+   |
 *            |       |  ^  still owns them            must revoke             |
 *            |       +--+                                                     |
 *            +----------------------------------------------------------------+
 *
 * A member moves to the target's epoch only when it owns nothing that the target takes from it; a partition is
 * given to it only when no other member holds it. So no partition has two owners. The member says what it owns
 * in its heartbeats; partitions it no longer names are revoked.
 *
 * Behaviour of upstream 4.3's CurrentAssignmentBuilder. Pure: no state, memory from the arena. */
#ifndef SLUICE_ENGINE_COORD_MODERN_RECONCILE_H
#define SLUICE_ENGINE_COORD_MODERN_RECONCILE_H

#include "engine/coord/modern/parts.h"

/* Values as in ConsumerGroupCurrentMemberAssignmentValue. */
enum cg_member_state {
    CG_MEMBER_STABLE = 0,
    CG_MEMBER_UNREVOKED = 1,
    CG_MEMBER_UNRELEASED = 2,
    CG_MEMBER_UNKNOWN = 127,
};

/* The part of a member that reconciliation changes. */
struct cg_progress {
    int32_t epoch;
    int32_t previous_epoch;
    enum cg_member_state state;
    struct cg_parts assigned; /* epochs: when the member got them */
    struct cg_parts revoking;
};

struct cg_reconcile {
    int32_t target_epoch;
    const struct cg_parts *target;
    bool subscription_changed;    /* in this request: topics it left must go at once */
    const struct cg_parts *owned; /* as the member says; NULL: it did not say */
    void *ctx;
    /* Whether some member holds the partition, this one included. */
    bool (*held)(void *ctx, const struct cg_part *p);
    /* Whether the member subscribes to this topic, which exists. */
    bool (*subscribed)(void *ctx, const struct sl_uuid *topic);
};

/* Moves m on as far as it gets. 0; -ESTALE: m is in a state of a later version and must come back without
 * partitions (FENCED_MEMBER_EPOCH); -ENOMEM. On failure m is as before. */
int cg_reconcile(const struct cg_reconcile *in, struct cg_progress *m, struct arena *arena);

/* Whether m has reached the target of this epoch. */
static inline bool cg_reconciled_to(const struct cg_progress *m, int32_t epoch)
{
    return m->state == CG_MEMBER_STABLE && m->epoch == epoch;
}

#endif
