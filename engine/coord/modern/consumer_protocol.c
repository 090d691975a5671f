#include "engine/coord/modern/consumer_protocol.h"

#include "engine/base/bytes.h"
#include "proto/gen/consumer_protocol_assignment.h"
#include "proto/gen/consumer_protocol_subscription.h"

enum { NEWEST = 3 };

static int read_version(struct kp_bytes b, int16_t *version)
{
    if (b.n < 2 || (int16_t)be16_load(b.p) < 0)
        return -EBADMSG;
    *version = SL_MIN((int16_t)be16_load(b.p), (int16_t)NEWEST);
    return 0;
}

static bool topic_named(struct cg_op *op, struct kp_str name, struct coord_topic *out)
{
    const struct groups_env *env = op->gs->env;
    return name.n > 0 && env->topics->by_name(env->r, name.p, (size_t)name.n, out);
}

static void must(int rc)
{
    if (rc)
        sl_panic("coordinator: out of memory for a subscription");
}

int cg_read_subscription(struct cg_op *op, struct kp_bytes b, struct cg_subscription *out)
{
    struct kp_consumer_protocol_subscription s;
    int16_t version;
    if (read_version(b, &version) ||
        kp_consumer_protocol_subscription_decode(&s, b.p + 2, (size_t)b.n - 2, version, &op->a) < 0)
        return -EBADMSG;
    if (!group_texts_ok(s.topics, s.topics_n))
        return -EBADMSG;
    uint32_t total = 0;
    for (int32_t i = 0; i < s.owned_partitions_n; i++)
        total += (uint32_t)SL_MAX(s.owned_partitions[i].partitions_n, 0);
    *out = (struct cg_subscription){.topics = s.topics, .rack = s.rack_id.n > 0 ? s.rack_id : KP_STR_NULL};
    out->topics_n = cg_str_sort(s.topics, (uint32_t)SL_MAX(s.topics_n, 0));
    must(cg_parts_reserve(&out->owned, total, &op->a));
    for (int32_t i = 0; i < s.owned_partitions_n; i++) {
        struct coord_topic t;
        if (topic_named(op, s.owned_partitions[i].topic, &t))
            for (int32_t k = 0; k < s.owned_partitions[i].partitions_n; k++)
                cg_parts_push(&out->owned, &t.id, s.owned_partitions[i].partitions[k], 0);
    }
    cg_parts_sort(&out->owned);
    return 0;
}

int cg_read_assignment(struct cg_op *op, struct kp_bytes b, int32_t epoch, struct cg_parts *out)
{
    struct kp_consumer_protocol_assignment a;
    int16_t version;
    *out = (struct cg_parts){0};
    if (b.n <= 0)
        return 0;
    if (read_version(b, &version) ||
        kp_consumer_protocol_assignment_decode(&a, b.p + 2, (size_t)b.n - 2, version, &op->a) < 0 ||
        a.user_data.n > 0)
        return -EBADMSG;
    uint32_t total = 0;
    for (int32_t i = 0; i < a.assigned_partitions_n; i++)
        total += (uint32_t)SL_MAX(a.assigned_partitions[i].partitions_n, 0);
    must(cg_parts_reserve(out, total, &op->a));
    for (int32_t i = 0; i < a.assigned_partitions_n; i++) {
        struct coord_topic t;
        if (topic_named(op, a.assigned_partitions[i].topic, &t))
            for (int32_t k = 0; k < a.assigned_partitions[i].partitions_n; k++)
                cg_parts_push(out, &t.id, a.assigned_partitions[i].partitions[k], epoch);
    }
    cg_parts_sort(out);
    return 0;
}

struct kp_bytes cg_write_assignment(struct cg_op *op, const struct cg_parts *s,
                                    const struct cg_classic *member)
{
    const struct groups_env *env = op->gs->env;
    struct kp_consumer_protocol_assignment a;
    int16_t version = 0;
    uint32_t from, to = 0;
    SL_ASSERT(member->protocols_n > 0);
    if (read_version(member->protocols[0].metadata, &version))
        version = 0;
    kp_consumer_protocol_assignment_init(&a);
    a.assigned_partitions = arena_array(&op->a, s->n, sizeof(*a.assigned_partitions));
    must(!a.assigned_partitions);
    while (cg_parts_next_topic(s, &from, &to)) {
        struct coord_topic t;
        if (!env->topics->by_id(env->r, &s->v[from].topic, &t))
            continue;
        struct kp_consumer_protocol_assignment_topic_partition *o =
            &a.assigned_partitions[a.assigned_partitions_n++];
        o->topic = (struct kp_str){t.name, (int32_t)t.name_len};
        o->partitions_n = (int32_t)(to - from);
        o->partitions = arena_array(&op->a, to - from, sizeof(*o->partitions));
        must(!o->partitions);
        for (uint32_t i = from; i < to; i++)
            o->partitions[i - from] = s->v[i].partition;
    }
    int64_t size = kp_consumer_protocol_assignment_size(&a, version);
    SL_ASSERT(size >= 0);
    uint8_t *p = arena_alloc(&op->a, (size_t)size + 2);
    must(!p);
    be16_store(p, (uint16_t)version);
    struct kp_writer w = {.buf = p + 2, .cap = (size_t)size};
    int rc = kp_consumer_protocol_assignment_encode(&a, version, &w);
    SL_ASSERT(rc == 0);
    return (struct kp_bytes){p, (int32_t)size + 2};
}
