// compression.type: batches stored in the topic's codec, whatever they came in (engine/log/convert.h).
#include "tests/unit/shard/shard_test.h"

#include "engine/log/record.h"

enum { BIG = 400 << 10 };

static struct log_config stored_in(unsigned codec, int level)
{
    struct log_config c = t_log_config();
    c.converts = true;
    c.codec = (uint8_t)codec;
    c.codec_level = level;
    c.segment_bytes = 8 << 20;
    c.max_message_bytes = 2 << 20;
    return c;
}

// The records of a batch, uncompressed.
static uint8_t *plain(const uint8_t *batch, uint32_t n, size_t *out_n)
{
    struct decompress_ctx ctx = {0};
    struct decompressor d;
    size_t cap = 4 << 20, at = 0;
    uint8_t *out = malloc(cap);
    ssize_t k;
    assert_int_equal(decompressor_init(&d, &ctx, batch_attr_codec(batch_attributes(batch)),
                                       batch + BATCH_RECORDS, n - BATCH_RECORDS, 0),
                     0);
    while ((k = decompressor_next(&d, out + at, cap - at)) > 0)
        at += (size_t)k;
    assert_int_equal(k, 0);
    decompressor_destroy(&d);
    decompress_ctx_destroy(&ctx);
    *out_n = at;
    return out;
}

// The header but for base offset, length, leader epoch, CRC and codec; and the records.
static void same_batch(const uint8_t *sent, uint32_t sent_n, const uint8_t *got, uint32_t got_n,
                       unsigned codec)
{
    size_t a_n, b_n;
    assert_true(batch_crc_ok(got));
    assert_int_equal(batch_size(got), got_n);
    assert_int_equal(batch_attr_codec(batch_attributes(got)), codec);
    assert_int_equal(batch_attributes(got) & ~BATCH_ATTR_CODEC_MASK,
                     batch_attributes(sent) & ~BATCH_ATTR_CODEC_MASK);
    assert_memory_equal(sent + BATCH_LAST_OFFSET_DELTA, got + BATCH_LAST_OFFSET_DELTA,
                        BATCH_HEADER_SIZE - BATCH_LAST_OFFSET_DELTA);
    uint8_t *a = plain(sent, sent_n, &a_n), *b = plain(got, got_n, &b_n);
    assert_int_equal(a_n, b_n);
    assert_memory_equal(a, b, a_n);
    free(a);
    free(b);
}

// Sends a copy, so that what was sent can be compared with what is stored.
static int16_t send(struct broker *b, int topic, const uint8_t *batch, uint32_t n, int64_t *offset)
{
    struct t_append x;
    uint8_t *copy = malloc(n);
    memcpy(copy, batch, n);
    t_append_start(b, &x, topic, 0, copy, n, 1, -1);
    x.call.f = fiber_current();
    fiber_park_until(&x.call.done);
    free(copy);
    *offset = x.part.base_offset;
    return x.part.error;
}

static void one(struct broker *b, int topic, unsigned target, const struct t_spec *s)
{
    uint32_t n;
    int64_t offset, again;
    struct shard_fetch_part fp;
    uint8_t *batch = t_batch(b, s, &n);
    assert_int_equal(send(b, topic, batch, n, &offset), 0);
    uint8_t *got = t_fetch(b, topic, 0, offset, 4 << 20, 0, &fp);
    assert_int_equal(fp.error, 0);
    assert_int_equal(batch_base_offset(got), offset);
    same_batch(batch, n, got, fp.bytes, target);
    if (s->pid) { // sent again, it is a duplicate
        assert_int_equal(send(b, topic, batch, n, &again), 0);
        assert_int_equal(again, offset);
    }
    free(got);
    free(batch);
}

static void every_codec(struct broker *b)
{
    for (unsigned target = 0; target < BATCH_CODEC_COUNT; target++) {
        struct log_config c = stored_in(target, COMPRESS_LEVEL_DEFAULT);
        int32_t sequence = 0;
        assert_int_equal(t_open(b, 0, "converted", 1, &c), 0);
        for (unsigned source = 0; source < BATCH_CODEC_COUNT; source++)
            for (int k = 0; k < 3; k++) { // short, in slices, compressible
                struct t_spec s = {.records = 5,
                                   .value = k ? BIG / 5 : 100,
                                   .timestamp = 1000 + k,
                                   .pid = k == 2 ? 0 : 77,
                                   .sequence = sequence,
                                   .codec = (uint8_t)source,
                                   .flat = k == 2};
                one(b, 0, target, &s);
                sequence += k == 2 ? 0 : 5;
            }
        assert_int_equal(t_delete(b, 0), 0);
    }
    assert_int_equal(b->s->converted_bytes, 0);
}

static void every_codec_both(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, every_codec);
    assert_int_equal(t_stop(b), 0);
}

T_BOTH(every_codec_both, 3)

// What is damaged stays refused, what grows too large is; the log goes on.
static void refused_part(struct broker *b)
{
    struct log_config c = stored_in(BATCH_CODEC_GZIP, 9), u = stored_in(BATCH_CODEC_NONE, 0);
    struct t_spec small = {.records = 3, .value = 50, .bad_crc = true}, bomb = small;
    assert_int_equal(t_open(b, 0, "gzip", 1, &c), 0);
    u.max_message_bytes = 100000;
    assert_int_equal(t_open(b, 1, "plain", 1, &u), 0);
    for (int k = 0; k < 2; k++) {
        uint32_t n;
        int64_t offset;
        small.value = k ? BIG / 3 : 50;
        uint8_t *batch = t_batch(b, &small, &n);
        assert_int_equal(send(b, 0, batch, n, &offset), KERR_CORRUPT_MESSAGE);
        free(batch);
        bomb = (struct t_spec){
            .records = 4, .value = k ? 1 << 20 : 30000, .codec = BATCH_CODEC_ZSTD, .flat = true};
        batch = t_batch(b, &bomb, &n);
        assert_true(n < u.max_message_bytes);
        assert_int_equal(send(b, 1, batch, n, &offset), KERR_MESSAGE_TOO_LARGE);
        free(batch);
    }
    small = (struct t_spec){.records = 3, .value = 50};
    one(b, 0, BATCH_CODEC_GZIP, &small);
    one(b, 1, BATCH_CODEC_NONE, &small);
    assert_int_equal(b->s->converted_bytes, 0);
}

static void refused(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, refused_part);
    assert_int_equal(t_stop(b), 0);
}

T_BOTH(refused, 4)

// Many at a time, over several partitions, beside appends that are stored as they come; then a crash.
enum { MANY = 24 };
static void many_part(struct broker *b)
{
    struct log_config c = stored_in(BATCH_CODEC_LZ4, COMPRESS_LEVEL_DEFAULT);
    struct t_append *x = calloc(MANY, sizeof(*x));
    uint8_t **sent = calloc(MANY, sizeof(*sent));
    uint32_t n[MANY];
    assert_int_equal(t_open(b, 0, "many", 4, &c), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        struct t_spec s = {.records = 4, .value = i % 3 ? 60000 : 200, .timestamp = i, .codec = i % 5};
        sent[i] = t_batch(b, &s, &n[i]);
        uint8_t *copy = malloc(n[i]);
        memcpy(copy, sent[i], n[i]);
        t_append_start(b, &x[i], 0, (int32_t)(i % 4), copy, n[i], 4, -1);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        x[i].call.f = fiber_current();
        fiber_park_until(&x[i].call.done);
        assert_int_equal(x[i].part.error, 0);
        assert_int_equal(x[i].part.base_offset, i / 4 * 4); // in the order in which they were sent
        free(x[i].part.records);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        struct shard_fetch_part fp;
        uint8_t *got = t_fetch(b, 0, (int32_t)(i % 4), i / 4 * 4, 1, 0, &fp);
        same_batch(sent[i], n[i], got, fp.bytes, BATCH_CODEC_LZ4);
        free(got);
        free(sent[i]);
    }
    free(sent);
    free(x);
}

static void many(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, many_part);
    assert_int_equal(t_stop(b), 0);
}

T_BOTH(many, 5)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_BOTH_ENTRIES(every_codec_both),
        T_BOTH_ENTRIES(refused),
        T_BOTH_ENTRIES(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
