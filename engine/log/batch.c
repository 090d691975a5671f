#include "engine/log/batch.h"

#include <errno.h>

#include "engine/base/crc32c.h"

int batch_parse(const uint8_t *p, size_t n, struct batch_info *out)
{
    if (n >= BATCH_LOG_OVERHEAD && batch_length(p) < BATCH_MIN_LENGTH)
        return -EBADMSG;
    if (n > BATCH_MAGIC && batch_magic(p) != BATCH_MAGIC_V2)
        return -EBADMSG;
    if (n < BATCH_HEADER_SIZE)
        return -EAGAIN;
    *out = (struct batch_info){
        .base_offset = batch_base_offset(p),
        .base_timestamp = batch_base_timestamp(p),
        .max_timestamp = batch_max_timestamp(p),
        .producer_id = batch_producer_id(p),
        .size = batch_size(p),
        .leader_epoch = batch_leader_epoch(p),
        .crc = batch_crc(p),
        .last_offset_delta = batch_last_offset_delta(p),
        .base_sequence = batch_base_sequence(p),
        .record_count = batch_record_count(p),
        .attributes = batch_attributes(p),
        .producer_epoch = batch_producer_epoch(p),
        .magic = batch_magic(p),
    };
    return n < out->size ? -EAGAIN : 0;
}

uint32_t batch_compute_crc(const uint8_t *p)
{
    SL_ASSERT(batch_length(p) >= BATCH_MIN_LENGTH);
    return crc32c(0, p + BATCH_ATTRIBUTES, batch_size(p) - BATCH_ATTRIBUTES);
}

bool batch_crc_ok(const uint8_t *p)
{
    return batch_compute_crc(p) == batch_crc(p);
}

void batch_seal(uint8_t *p)
{
    batch_set_crc(p, batch_compute_crc(p));
}

static const char *const codec_names[BATCH_CODEC_COUNT] = {"none", "gzip", "snappy", "lz4", "zstd"};

const char *batch_codec_name(unsigned codec)
{
    return codec < BATCH_CODEC_COUNT ? codec_names[codec] : NULL;
}

int batch_codec_from_name(const char *s, size_t n)
{
    for (int i = 0; i < BATCH_CODEC_COUNT; i++) {
        if (strlen(codec_names[i]) == n && memcmp(codec_names[i], s, n) == 0)
            return i;
    }
    return -EINVAL;
}
