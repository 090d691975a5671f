/* The one copy of the codec's helpers, and the look-ups over the generated tables. */
#include "proto/codec_private.h"
#include "proto/table_private.h"

#include "proto/codec_inl.h"

#define KP_API_VERSIONS 18

const struct kp_api *kp_api_all(uint32_t *n)
{
    *n = kp_apis_n;
    return kp_apis;
}

const struct kp_api *kp_api_find(int16_t key)
{
    int16_t at = key >= 0 && key <= kp_api_key_max ? kp_api_index[key] : -1;
    return at < 0 ? NULL : &kp_apis[at];
}

int16_t kp_request_header_version(int16_t key, int16_t version)
{
    const struct kp_api *api = kp_api_find(key);
    if (!api)
        return -1;
    return version >= api->flexible_from ? 2 : 1;
}

int16_t kp_response_header_version(int16_t key, int16_t version)
{
    const struct kp_api *api = kp_api_find(key);
    if (!api)
        return -1;
    return version >= api->flexible_from && key != KP_API_VERSIONS ? 1 : 0;
}

const struct kp_message *kp_message_all(uint32_t *n)
{
    *n = kp_messages_n;
    return kp_messages;
}

const struct kp_message *kp_message_find(enum kp_kind kind, int16_t key)
{
    for (uint32_t i = 0; i < kp_messages_n; i++) {
        if (kp_messages[i].kind == kind && kp_messages[i].key == key)
            return &kp_messages[i];
    }
    return NULL;
}

const struct kp_message *kp_message_named(const char *name)
{
    for (uint32_t i = 0; i < kp_messages_n; i++) {
        if (strcmp(kp_messages[i].name, name) == 0)
            return &kp_messages[i];
    }
    return NULL;
}
