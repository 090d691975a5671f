/* Kafka's Uuid: 16 bytes, big-endian on the wire and in log files; as text, url-safe base64 without padding,
 * 22 characters (org.apache.kafka.common.Uuid's toString). Topic ids, directory ids and member ids are of
 * this kind. */
#ifndef SLUICE_BASE_UUID_H
#define SLUICE_BASE_UUID_H

#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/err.h"

/* Characters of the text form, without the terminating NUL. */
#define SL_UUID_TEXT_LEN 22

struct sl_uuid {
    uint8_t b[16]; /* as on the wire */
};
SL_STATIC_ASSERT(sizeof(struct sl_uuid) == 16, "sl_uuid is copied to and from the wire");

SL_EXTERN_C_BEGIN

/* Writes the 22 characters and a NUL. */
void sl_uuid_to_text(const struct sl_uuid *u, char out[SL_UUID_TEXT_LEN + 1]);

/* Reads exactly 22 characters at s (len says how many there are). Returns 0, or -EINVAL when the length or a
 * character is wrong, or when the 4 bits that the last character has too many are not zero. */
int sl_uuid_from_text(const char *s, size_t len, struct sl_uuid *out);

SL_EXTERN_C_END

static inline bool sl_uuid_eq(const struct sl_uuid *a, const struct sl_uuid *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* <0, 0, >0 in byte order: a stable order for sorting. */
static inline int sl_uuid_cmp(const struct sl_uuid *a, const struct sl_uuid *b)
{
    return memcmp(a->b, b->b, sizeof(a->b));
}

/* All zero: Kafka's "no id". */
static inline bool sl_uuid_is_zero(const struct sl_uuid *u)
{
    return (be64_load(u->b) | be64_load(u->b + 8)) == 0;
}

/* From the two halves that Java calls most and least significant bits, and back. */
static inline struct sl_uuid sl_uuid_make(uint64_t msb, uint64_t lsb)
{
    struct sl_uuid u;
    be64_store(u.b, msb);
    be64_store(u.b + 8, lsb);
    return u;
}

static inline uint64_t sl_uuid_msb(const struct sl_uuid *u)
{
    return be64_load(u->b);
}

static inline uint64_t sl_uuid_lsb(const struct sl_uuid *u)
{
    return be64_load(u->b + 8);
}

/* A well-mixed 64-bit hash. The same on every machine and in every version: partition placement uses it. */
static inline uint64_t sl_uuid_hash(const struct sl_uuid *u)
{
    uint64_t h = be64_load(u->b) * 0x9e3779b97f4a7c15ull ^ be64_load(u->b + 8);
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ull;
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ull;
    return h ^ (h >> 32);
}

#endif
