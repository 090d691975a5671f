// A batch in another codec, for `compression.type`: the same records under the same header, but for length, codec and CRC.
// Upstream's LogValidator builds such a batch anew; what a consumer sees is the same. Base offset, producer, sequence and the
// timestamps of records stay.
//
// It goes on in slices: each step reads some records from the old stream and puts them into the new one.
#ifndef SLUICE_ENGINE_LOG_CONVERT_H
#define SLUICE_ENGINE_LOG_CONVERT_H

#include "engine/log/compress.h"
#include "engine/log/validate.h"

struct convert_ctx {
    struct decompress_ctx in;
    struct compress_ctx out;
};

// Caller-allocated; its fields are the implementation's.
struct converter {
    const uint8_t *batch;
    struct validate_result *res;
    struct decompressor d;
    struct compressor c;
    uint8_t *window;
    bool reading; // d was begun
    bool over;
};

void convert_ctx_destroy(struct convert_ctx *x);

// Starts to convert a batch that was validated without an error: `batch` must not change before convert_end. What res says of
// the header is to be applied (validate_apply is done here). level: compress.h. limit: most bytes of the new batch. Returns 0
// or a Kafka error, which res holds too: CORRUPT_MESSAGE if the batch's CRC does not hold. convert_end must be called in any case.
int16_t convert_begin(struct converter *v, struct convert_ctx *x, const uint8_t *batch, unsigned codec,
                      int level, size_t limit, struct validate_result *res);
// Goes on for about `budget` bytes of records, 64 KiB at least. -EAGAIN while there is more to do; 0: it is over, and
// res->error says how: MESSAGE_TOO_LARGE beyond the limit.
int convert_step(struct converter *v, uint64_t budget);
// Releases the contexts. The new batch, to be freed by the caller, if the conversion is over and succeeded: res->info tells of
// it, and nothing of its header is left to be applied. Else NULL.
uint8_t *convert_end(struct converter *v);

#endif
