// The consumer's own messages inside the classic protocol: what a member subscribes to, what it is assigned. Both begin
// with an int16 version; a later version begins as an earlier one does.
#ifndef SLUICE_ENGINE_COORD_MODERN_CONSUMER_PROTOCOL_H
#define SLUICE_ENGINE_COORD_MODERN_CONSUMER_PROTOCOL_H

#include "engine/coord/modern/modern_private.h"

struct cg_subscription {
    struct kp_str *topics; // sorted, distinct
    uint32_t topics_n;
    struct kp_str rack;    // null: none
    struct cg_parts owned; // of topics that exist
};

// All of them use the operation's memory; strings point into the input. 0 or -EBADMSG.
int cg_read_subscription(struct cg_op *op, struct kp_bytes b, struct cg_subscription *out);
// Partitions of topics that exist; none for no bytes. Data of a client's own assignor is refused: it would be lost.
int cg_read_assignment(struct cg_op *op, struct kp_bytes b, int32_t epoch, struct cg_parts *out);
// In the version of the member's subscription; topics that are gone are left out.
struct kp_bytes cg_write_assignment(struct cg_op *op, const struct cg_parts *s,
                                    const struct cg_classic *member);

#endif
