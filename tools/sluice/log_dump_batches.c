/* Record batches of a segment or a KRaft snapshot, printed. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/log/batch.h"
#include "engine/log/compress.h"
#include "engine/log/record.h"
#include "tools/sluice/log_command.h"

enum { DECOMPRESSED_MAX = 1 << 30, READ_STEP = 1 << 20 };

/* Everything but what a terminal shows as it is becomes \xNN. */
static void print_bytes(const char *label, struct record_bytes b, bool whole)
{
    if (b.len < 0) {
        printf(" %s null", label);
        return;
    }
    printf(" %s %d bytes", label, b.len);
    if (!whole)
        return;
    fputs(" \"", stdout);
    for (int32_t i = 0; i < b.len; i++) {
        if (isprint(b.p[i]) && b.p[i] != '"' && b.p[i] != '\\')
            putchar(b.p[i]);
        else
            printf("\\x%02x", b.p[i]);
    }
    putchar('"');
}

static void print_record(const struct batch_info *b, const struct record *r, bool values)
{
    int64_t time = b->attributes & BATCH_ATTR_LOG_APPEND_TIME ? b->max_timestamp
                                                              : b->base_timestamp + r->timestamp_delta;
    printf("  offset %" PRId64 " time %" PRId64, b->base_offset + r->offset_delta, time);
    if (batch_info_is_control(b)) {
        static const char *const names[] = {"ABORT",           "COMMIT",          "LEADER_CHANGE",
                                            "SNAPSHOT_HEADER", "SNAPSHOT_FOOTER", "KRAFT_VERSION",
                                            "KRAFT_VOTERS"};
        int type = record_control_type(r->key);
        printf(" control %s", type >= 0 && type < (int)SL_ARRAY_LEN(names) ? names[type] : "unknown");
    } else {
        print_bytes("key", r->key, values);
    }
    print_bytes("value", r->value, values);
    const uint8_t *at = r->headers;
    struct record_header h;
    while (record_header_next(r, &at, &h)) {
        fputs(" header", stdout);
        print_bytes("key", h.key, values);
        print_bytes("value", h.value, values);
    }
    putchar('\n');
}

/* The batch's records in one piece of new memory. 0 or a negative error. */
static int inflate(const uint8_t *p, const struct batch_info *b, uint8_t **out, size_t *n)
{
    struct decompress_ctx ctx = {0};
    struct decompressor d;
    size_t cap = 0;
    ssize_t got = 0;
    *out = NULL;
    *n = 0;
    int rc = decompressor_init(&d, &ctx, batch_attr_codec(b->attributes), p + BATCH_RECORDS,
                               b->size - BATCH_HEADER_SIZE, DECOMPRESSED_MAX);
    if (rc)
        return rc;
    do {
        if (cap - *n < READ_STEP) {
            cap = cap * 2 + READ_STEP;
            uint8_t *grown = realloc(*out, cap);
            got = grown ? 0 : -ENOMEM;
            if (!grown)
                break;
            *out = grown;
        }
        got = decompressor_next(&d, *out + *n, cap - *n);
        *n += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    decompressor_destroy(&d);
    decompress_ctx_destroy(&ctx);
    return got < 0 ? (int)got : 0;
}

static int print_records(const uint8_t *p, const struct batch_info *b, bool values)
{
    uint8_t *mem = NULL;
    size_t n = 0;
    struct record_iter it;
    struct record r;
    int rc = inflate(p, b, &mem, &n);
    if (!rc) {
        record_iter_init(&it, mem, n, b->record_count);
        while ((rc = record_iter_next(&it, &r)) == 1)
            print_record(b, &r, values);
    }
    free(mem);
    if (rc)
        printf("  records cannot be read\n");
    return rc ? -EBADMSG : 0;
}

static void print_batch(const uint8_t *p, size_t at, const struct batch_info *b, bool crc_ok)
{
    const char *codec = batch_codec_name(batch_attr_codec(b->attributes));
    printf("batch offsets %" PRId64 "..%" PRId64 " position %zu size %u records %d codec %s %s %" PRId64
           "..%" PRId64 " leader epoch %d",
           b->base_offset, batch_info_last_offset(b), at, b->size, b->record_count, codec ? codec : "unknown",
           b->attributes & BATCH_ATTR_LOG_APPEND_TIME ? "append time" : "create time", b->base_timestamp,
           b->max_timestamp, b->leader_epoch);
    if (batch_info_has_producer(b))
        printf(" producer %" PRId64 " epoch %d sequence %d..%d", b->producer_id, b->producer_epoch,
               b->base_sequence, batch_info_last_sequence(b));
    printf("%s%s%s crc %08x%s\n", batch_info_is_transactional(b) ? " transactional" : "",
           batch_info_is_control(b) ? " control" : "",
           b->attributes & BATCH_ATTR_DELETE_HORIZON ? " delete horizon" : "", b->crc,
           crc_ok ? "" : ": WRONG");
    (void)p;
}

/* Zeros up to the end: space that was allocated ahead of the writer. */
static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i])
            return false;
    }
    return true;
}

int log_dump_batch(const uint8_t *p, size_t n, const struct log_dump_options *o)
{
    struct batch_info b;
    if (batch_parse(p, n, &b))
        return -EBADMSG;
    return o->records ? print_records(p, &b, o->values) : 0;
}

int log_dump_batches(const struct logfile *f, const struct log_dump_options *o)
{
    int failed = 0;
    for (size_t at = 0; at < f->len;) {
        struct batch_info b;
        if (batch_parse(f->data + at, f->len - at, &b)) {
            if (all_zero(f->data + at, f->len - at)) {
                printf("# %zu bytes of zeros from position %zu on: allocated, not written\n", f->len - at,
                       at);
                return failed;
            }
            printf("# no batch at position %zu\n", at);
            return -EBADMSG;
        }
        bool ok = batch_crc_ok(f->data + at);
        print_batch(f->data + at, at, &b, ok);
        if (!ok)
            failed = -EBADMSG;
        else if (o->records && print_records(f->data + at, &b, o->values))
            failed = -EBADMSG;
        at += b.size;
    }
    return failed;
}
