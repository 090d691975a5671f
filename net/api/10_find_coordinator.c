// FindCoordinator (key 10), versions 0-6: which broker coordinates a group, a transaction or a share group.
// Up to version 3 one key, from 4 a list of keys.
//
// Deviations from upstream 4.3: no coordinator runs yet, so every valid key is answered with COORDINATOR_NOT_AVAILABLE,
// as upstream answers while the internal topic is missing.
#include "net/api/common.h"

#include "proto/gen/find_coordinator_request.h"
#include "proto/gen/find_coordinator_response.h"

#include <string.h>

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2, KEY_SHARE_SINCE = 6 };

// A share coordinator's key is group:topicId:partition.
static bool share_key_ok(struct kp_str k)
{
    const char *end = k.n > 0 ? k.p + k.n : k.p;
    const char *last = k.n > 0 ? memrchr(k.p, ':', (size_t)k.n) : NULL;
    const char *mid = last ? memrchr(k.p, ':', (size_t)(last - k.p)) : NULL;
    struct sl_uuid id;
    if (!mid || mid == k.p || last + 1 == end || sl_uuid_from_text(mid + 1, (size_t)(last - mid - 1), &id))
        return false;
    for (const char *p = last + 1; p < end; p++)
        if (*p < '0' || *p > '9')
            return false;
    return end - last <= 10;
}

static int16_t find(const struct req *r, int8_t type, struct kp_str key)
{
    if (type < KEY_GROUP || type > KEY_SHARE || (type == KEY_SHARE && r->version < KEY_SHARE_SINCE))
        return KERR_INVALID_REQUEST;
    if (type == KEY_SHARE && !share_key_ok(key))
        return KERR_INVALID_REQUEST;
    return KERR_COORDINATOR_NOT_AVAILABLE;
}

// Lists carry a text only when the kind of key is unknown, which upstream finds before it looks at a key.
static struct kp_str list_text(int8_t type, int16_t error)
{
    return type < KEY_GROUP || type > KEY_SHARE ? kp_str_of(kerr_text(error)) : KP_STR_LIT("");
}

static void answer_list(struct req *r, const struct kp_find_coordinator_request *m,
                        struct kp_find_coordinator_response *out)
{
    out->coordinators_n = m->coordinator_keys_n;
    out->coordinators = req_alloc_array(r, (size_t)m->coordinator_keys_n, sizeof(*out->coordinators));
    for (int32_t i = 0; i < m->coordinator_keys_n; i++) {
        int16_t error = find(r, m->key_type, m->coordinator_keys[i]);
        out->coordinators[i] =
            (struct kp_find_coordinator_response_coordinator){.key = m->coordinator_keys[i],
                                                              .node_id = -1,
                                                              .host = KP_STR_LIT(""),
                                                              .port = -1,
                                                              .error_code = error,
                                                              .error_message = list_text(m->key_type, error)};
    }
}

static void start(struct req *r)
{
    struct kp_find_coordinator_request m;
    struct kp_find_coordinator_response out;
    if (!REQ_DECODE(r, &m, find_coordinator_request))
        return;
    kp_find_coordinator_response_init(&out);
    if (r->version >= 4) {
        answer_list(r, &m, &out);
    } else {
        out.error_code = find(r, r->version >= 1 ? m.key_type : KEY_GROUP, m.key);
        out.error_message = kp_str_of(kerr_text(out.error_code));
        out.node_id = -1;
        out.host = KP_STR_LIT("");
        out.port = -1;
    }
    REQ_RESPOND(r, &out, find_coordinator_response);
}

const struct api_handler api_find_coordinator = {
    .key = 10, .min = 0, .max = 6, .advertise_min = 0, .start = start};
