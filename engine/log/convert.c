#include "engine/log/convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/crc32c.h"
#include "engine/log/validate_private.h"

void convert_ctx_destroy(struct convert_ctx *x)
{
    decompress_ctx_destroy(&x->in);
    compress_ctx_destroy(&x->out);
}

static int16_t refuse(struct converter *v, int rc)
{
    v->over = true;
    if (rc == -EFBIG)
        return validate_fail(v->res, KERR_MESSAGE_TOO_LARGE,
                             "the batch is larger than max.message.bytes in the topic's compression.type");
    if (rc == -EBADMSG) // with record.validation=header nobody has looked before
        return validate_fail(v->res, KERR_CORRUPT_MESSAGE, "the records cannot be decompressed");
    return validate_fail(v->res, KERR_UNKNOWN_SERVER_ERROR, "the records cannot be compressed anew");
}

int16_t convert_begin(struct converter *v, struct convert_ctx *x, const uint8_t *batch, unsigned codec,
                      int level, size_t limit, struct validate_result *res)
{
    const struct batch_info *b = &res->info;
    *v = (struct converter){.batch = batch, .res = res, .window = decompress_ctx_window(&x->in)};
    // A batch that was damaged on its way must not get a CRC that holds.
    if (validate_crc(res, crc32c(0, batch + BATCH_ATTRIBUTES, b->size - BATCH_ATTRIBUTES))) {
        v->over = true;
        return res->error;
    }
    int rc = compressor_init(&v->c, &x->out, codec, level, BATCH_HEADER_SIZE, res->records_bytes, limit);
    if (!rc && !v->window)
        rc = -ENOMEM;
    if (!rc)
        rc = decompressor_init(&v->d, &x->in, batch_attr_codec(b->attributes), batch + BATCH_RECORDS,
                               b->size - BATCH_RECORDS, 0);
    v->reading = !rc;
    return rc ? refuse(v, rc) : KERR_NONE;
}

// The new header: the old one's, with what validation and the codec change.
static void finish(struct converter *v)
{
    struct validate_result *res = v->res;
    uint8_t *out = v->c.out;
    memcpy(out, v->batch, BATCH_HEADER_SIZE);
    batch_set_length(out, (int32_t)(v->c.len - BATCH_LOG_OVERHEAD));
    batch_set_attributes(out, (uint16_t)((res->attributes & ~BATCH_ATTR_CODEC_MASK) | v->c.codec));
    if (res->header_changed)
        batch_set_max_timestamp(out, res->max_timestamp);
    batch_seal(out);
    int rc = batch_parse(out, v->c.len, &res->info);
    SL_ASSERT(rc == 0 && res->info.size == v->c.len);
    res->attributes = res->info.attributes;
    res->header_changed = false;
    v->over = true;
}

int convert_step(struct converter *v, uint64_t budget)
{
    for (uint64_t done = 0; !v->over && (!done || done < budget);) {
        ssize_t n = decompressor_next(&v->d, v->window, COMPRESS_WINDOW);
        int rc = n < 0 ? (int)n : n > 0 ? compressor_put(&v->c, v->window, (size_t)n) : compressor_end(&v->c);
        if (rc)
            refuse(v, rc);
        else if (n == 0)
            finish(v);
        done += n > 0 ? (uint64_t)n : 0;
    }
    return v->over ? 0 : -EAGAIN;
}

uint8_t *convert_end(struct converter *v)
{
    uint8_t *out = v->over && !v->res->error ? compressor_take(&v->c) : NULL;
    if (v->reading)
        decompressor_destroy(&v->d);
    if (v->c.ctx)
        compressor_destroy(&v->c);
    v->reading = false;
    v->c.ctx = NULL;
    return out;
}
