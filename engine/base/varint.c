#include "engine/base/varint.h"

int sl_uvarint32_get_slow(const uint8_t **p, const uint8_t *end, uint32_t *out)
{
    const uint8_t *q = *p;
    uint32_t v = 0;
    for (int shift = 0; shift < 35; shift += 7) {
        if (q >= end)
            return -EBADMSG;
        uint32_t b = *q++;
        /* The fifth byte has room for 4 bits, and nothing may follow it. */
        if (shift == 28 && b > 0x0f)
            return -EBADMSG;
        v |= (b & 0x7f) << shift;
        if (b < 0x80) {
            *p = q;
            *out = v;
            return 0;
        }
    }
    return -EBADMSG;
}

int sl_uvarint64_get_slow(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    const uint8_t *q = *p;
    uint64_t v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (q >= end)
            return -EBADMSG;
        uint64_t b = *q++;
        /* The tenth byte has room for 1 bit, and nothing may follow it. */
        if (shift == 63 && b > 1)
            return -EBADMSG;
        v |= (b & 0x7f) << shift;
        if (b < 0x80) {
            *p = q;
            *out = v;
            return 0;
        }
    }
    return -EBADMSG;
}
