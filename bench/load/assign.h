// What members of a classic group tell each other through the coordinator: which topics they want (a subscription), and
// which partitions they get (an assignment), both in version 0 of the consumer protocol:
//
//   subscription   i16 version | [string topic] | bytes user data (null)
//   assignment     i16 version | [string topic, [i32 partition]] | bytes user data (null)
//
// The assignor is Kafka's "range": of each topic, the members that want it, in the order of their ids, get partitions in
// a row; when the number does not divide, the first ones get one more.
#ifndef SLUICE_BENCH_LOAD_ASSIGN_H
#define SLUICE_BENCH_LOAD_ASSIGN_H

#include "engine/base/arena.h"
#include "proto/codec.h"
#include "proto/gen/consumer_protocol_assignment.h"
#include "proto/gen/consumer_protocol_subscription.h"

struct assign_member {
    struct kp_str id;
    const struct kp_str *topics;
    int32_t topics_n;
    uint32_t first, n; // its partitions of the topic that assign_range was called for
};

SL_EXTERN_C_BEGIN

// By id, bytewise.
void assign_sort(struct assign_member *m, uint32_t n);

// Deals the partitions 0..parts-1 of a topic out among sorted members; sets first and n of each.
void assign_range(struct assign_member *m, uint32_t n, struct kp_str topic, uint32_t parts);

// Bytes from the arena.
struct kp_bytes assign_write_subscription(struct kp_str *topics, int32_t n, struct arena *a);
struct kp_bytes assign_write(const struct kp_consumer_protocol_assignment *m, struct arena *a);

// 0, or -EBADMSG. `out` points into `b` and the arena. Empty bytes are an empty assignment.
int assign_read_subscription(struct kp_bytes b, struct kp_consumer_protocol_subscription *out,
                             struct arena *a);
int assign_read(struct kp_bytes b, struct kp_consumer_protocol_assignment *out, struct arena *a);

SL_EXTERN_C_END

#endif
