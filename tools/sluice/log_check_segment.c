/* Every batch of a segment: framing, CRC, offsets, leader epochs, and its records, decompressed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <stdio.h>

#include "engine/log/compress.h"
#include "engine/log/record.h"
#include "tools/sluice/log_check.h"

static bool bad(struct check_segment *s, size_t at, const char *what)
{
    char path[1400];
    snprintf(path, sizeof(path), "%s/%020" PRId64 ".log", s->log->path, s->base);
    check_problem(s->log->c, path, "position %zu, offset %" PRId64 ": %s; %zu bytes follow", at, s->log->end,
                  what, s->len - at);
    return false;
}

/* Text of what is wrong with the header, or NULL. */
static const char *check_header(const struct check_segment *s, const uint8_t *p, const struct batch_info *b)
{
    const struct check_log *l = s->log;
    if (!batch_crc_ok(p))
        return "the batch's CRC does not match its bytes";
    if (b->base_offset < l->end)
        return "the batch's base offset is below the end of the batch before it";
    if (b->base_offset < s->base || b->base_offset + b->last_offset_delta - s->base > INT32_MAX)
        return "the batch's offsets do not belong into this segment";
    if (b->last_offset_delta < 0 || b->record_count < 0 || b->record_count > b->last_offset_delta + 1)
        return "the batch's record count and offsets do not fit together";
    if (b->leader_epoch < l->last_epoch)
        return "the batch's leader epoch is lower than the one before it";
    int32_t epoch = l->has_epochs ? epoch_cache_for_offset(&l->epochs, b->base_offset) : EPOCH_UNDEFINED;
    if (epoch != EPOCH_UNDEFINED && b->leader_epoch >= 0 && epoch != b->leader_epoch)
        return "leader-epoch-checkpoint says another epoch for the batch's offset";
    return NULL;
}

/* Decompresses and parses every record. Compacted batches have gaps in their offsets, so only the order counts. */
static const char *check_records(const uint8_t *p, const struct batch_info *b, struct decompress_ctx *ctx)
{
    struct decompressor d;
    struct record_iter it;
    struct record r;
    size_t cap = 1 << 20, n = 0;
    ssize_t got;
    int32_t last = -1;
    uint8_t *mem = malloc(cap);
    const char *why = NULL;
    if (!mem || decompressor_init(&d, ctx, batch_attr_codec(b->attributes), p + BATCH_RECORDS,
                                  b->size - BATCH_HEADER_SIZE, INT32_MAX)) {
        free(mem);
        return "the batch's records cannot be decompressed";
    }
    while ((got = decompressor_next(&d, mem + n, cap - n)) > 0) {
        n += (size_t)got;
        if (n == cap) {
            uint8_t *grown = realloc(mem, cap * 2);
            if (!grown)
                break;
            mem = grown;
            cap *= 2;
        }
    }
    decompressor_destroy(&d);
    if (got)
        why = "the batch's records cannot be decompressed";
    int rc = 0;
    record_iter_init(&it, mem, n, b->record_count);
    while (!why && (rc = record_iter_next(&it, &r)) == 1) {
        if (r.offset_delta <= last || r.offset_delta > b->last_offset_delta)
            why = "a record's offset is out of order";
        last = r.offset_delta;
    }
    free(mem);
    return why ? why : rc ? "the batch's records are broken" : NULL;
}

bool check_batches(struct check_segment *s)
{
    struct check *c = s->log->c;
    struct decompress_ctx ctx = {0};
    bool sound = true;
    for (size_t at = 0; at < s->len && sound;) {
        struct batch_info b;
        const uint8_t *p = s->data + at;
        int rc = batch_parse(p, s->len - at, &b);
        const char *why = rc ? "no whole batch" : check_header(s, p, &b);
        if (!why)
            why = check_records(p, &b, &ctx);
        if (why) {
            sound = bad(s, at, why);
            break;
        }
        c->batches++;
        c->records += (uint64_t)b.record_count;
        s->log->end = batch_info_last_offset(&b) + 1;
        s->log->last_epoch = b.leader_epoch;
        at += b.size;
    }
    c->segments++;
    c->bytes += s->len;
    decompress_ctx_destroy(&ctx);
    return sound;
}
