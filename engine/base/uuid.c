#include "engine/base/uuid.h"

#include <errno.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void sl_uuid_to_text(const struct sl_uuid *u, char out[SL_UUID_TEXT_LEN + 1])
{
    uint32_t bits = 0;
    int have = 0;
    size_t n = 0;
    for (size_t i = 0; i < sizeof(u->b); i++) {
        bits = (bits << 8) | u->b[i];
        have += 8;
        while (have >= 6) {
            have -= 6;
            out[n++] = alphabet[(bits >> have) & 63];
        }
    }
    /* 128 bits are 21 characters and 2 bits over. */
    out[n++] = alphabet[(bits << (6 - have)) & 63];
    SL_DASSERT(n == SL_UUID_TEXT_LEN);
    out[n] = '\0';
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

int sl_uuid_from_text(const char *s, size_t len, struct sl_uuid *out)
{
    struct sl_uuid u;
    uint32_t bits = 0;
    int have = 0;
    size_t n = 0;
    if (len != SL_UUID_TEXT_LEN)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        int v = base64_value(s[i]);
        if (v < 0)
            return -EINVAL;
        bits = (bits << 6) | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            u.b[n++] = (uint8_t)(bits >> have);
        }
    }
    if (bits & ((1u << have) - 1))
        return -EINVAL;
    SL_DASSERT(n == sizeof(u.b));
    *out = u;
    return 0;
}
