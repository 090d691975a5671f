/* Server-side assignors of the consumer protocol (KIP-848): who is meant to own which partition.
 *
 *   uniform   spreads all partitions evenly and keeps what members have. When all members subscribe to the
 *             same topics, sizes differ by at most one and nothing moves that need not (assign_uniform.c);
 *             otherwise every topic is balanced among its subscribers, in at most CG_BALANCE_ROUNDS rounds
 *             (assign_mixed.c).
 *   range     gives each member of a topic one contiguous range, so that topics of equal size are partitioned
 *             alike (assign_range.c). Static members come first, in the order of their instance ids, so that
 *             they keep their ranges.
 *
 * The same results as upstream 4.3's assignors for the same order of members and topics; upstream's order is
 * that of its hash tables, ours is by member id and topic id. Racks do not count, as upstream's assignors
 * look at none.
 *
 * An assignor runs within one turn: its work is linear in partitions and members, but for the balancing of
 * mixed subscriptions, which stops at CG_BALANCE_WORK steps; what it has found until then is complete and
 * valid, only less even.
 */
#ifndef SLUICE_ENGINE_COORD_MODERN_ASSIGN_H
#define SLUICE_ENGINE_COORD_MODERN_ASSIGN_H

#include "engine/coord/modern/parts.h"
#include "proto/codec.h"

#define CG_BALANCE_ROUNDS 16
#define CG_BALANCE_WORK   4000000u

enum cg_assignor { CG_UNIFORM, CG_RANGE, CG_ASSIGNORS };

struct cg_assign_topic {
    struct sl_uuid id;
    int32_t partitions; /* > 0 */
};

struct cg_assign_member {
    struct kp_str id;
    struct kp_str instance; /* n < 0: a dynamic member */
    const uint32_t *topics; /* ascending indexes into the topics: what it subscribes to */
    uint32_t topics_n;
    struct cg_parts before; /* its last target; may name topics that are gone */
    struct cg_parts after;  /* out, in the arena, epochs 0 */
};

struct cg_assign {
    const struct cg_assign_topic *topics; /* ascending by id */
    uint32_t topics_n;
    struct cg_assign_member *members; /* ascending by id */
    uint32_t members_n;
    bool homogeneous; /* all members subscribe to all the topics */
    struct arena *arena;
};

/* "uniform", "range". */
const char *cg_assignor_name(enum cg_assignor a);
/* The assignor of this name, or -ENOENT. */
int cg_assignor_find(struct kp_str name);

/* Fills `after` of every member: disjoint sets that together hold each partition of each topic with a
 * subscriber. Of two members that held one partition before, the later one counts. 0 or -ENOMEM. */
int cg_assign(enum cg_assignor which, struct cg_assign *job);

#endif
