// Replay of records of __consumer_offsets: which kind each type belongs to.
#include "engine/coord/group.h"
#include "engine/coord/modern/modern.h"

#include "engine/base/bytes.h"

#include <errno.h>
#include <string.h>

typedef int (*replay_fn)(struct groups *gs, const struct coord_record *r);

// Types that are not here belong to share and streams groups, or to a later Kafka: they stay in the log, unread.
static const struct {
    int16_t type;
    replay_fn fn;
} TYPES[] = {
    {GREC_LEGACY_OFFSET_COMMIT, offset_replay},    {GREC_OFFSET_COMMIT, offset_replay},
    {GREC_GROUP_METADATA, classic_replay},         {GREC_CONSUMER_METADATA, cg_replay},
    {GREC_CONSUMER_PARTITION_METADATA, cg_replay}, {GREC_CONSUMER_MEMBER_METADATA, cg_replay},
    {GREC_CONSUMER_TARGET_METADATA, cg_replay},    {GREC_CONSUMER_TARGET_MEMBER, cg_replay},
    {GREC_CONSUMER_CURRENT_MEMBER, cg_replay},     {GREC_CONSUMER_REGEX, cg_replay},
};

int groups_replay(void *co, const struct coord_record *r)
{
    if (r->key.n < 2)
        return -EBADMSG;
    int16_t type = (int16_t)be16_load(r->key.p);
    for (size_t i = 0; i < SL_ARRAY_LEN(TYPES); i++)
        if (TYPES[i].type == type)
            return TYPES[i].fn(co, r);
    return 0;
}

int group_record_decode(const struct coord_record *r, int16_t type, void *key, void *value, bool *has_value,
                        struct arena *a)
{
    const struct kp_message *k = kp_message_find(KP_KIND_GROUP_KEY, type);
    const struct kp_message *v = kp_message_find(KP_KIND_GROUP_VALUE, type);
    SL_ASSERT(k && v && r->key.n >= 2);
    *has_value = r->value.n >= 0;
    if (k->decode(key, r->key.p + 2, (size_t)r->key.n - 2, 0, a) < 0)
        return -EBADMSG;
    if (!*has_value)
        return 0;
    if (r->value.n < 2)
        return -EBADMSG;
    int16_t version = (int16_t)be16_load(r->value.p);
    return v->decode(value, r->value.p + 2, (size_t)r->value.n - 2, version, a) < 0 ? -EBADMSG : 0;
}

void groups_replay_end(void *co, int64_t producer_id, bool commit)
{
    offsets_end_txn(co, producer_id, commit);
}
