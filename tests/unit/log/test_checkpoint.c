// A checkpoint's image: a vector made by hand, round trips, damage at every byte and length.
#include "engine/log/checkpoint.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/base/crc32c.h"

static const struct sl_uuid life = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct ckpt_log sample(int32_t partition)
{
    static const uint8_t producers[] = "producers";
    static const uint8_t epochs[24] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2};
    struct ckpt_log l = {.topic_id = {{9, 9, 9}},
                         .partition = partition,
                         .incarnation = 2,
                         .log_start = 10,
                         .segment_base = 100,
                         .end_position = 4321,
                         .leader_epoch = 7,
                         .end_offset = 140,
                         .max_timestamp = -1,
                         .max_timestamp_offset = 139,
                         .index_entries = 3,
                         .timeindex_entries = 4};
    if (partition % 2) {
        l.producers = producers;
        l.producers_len = sizeof(producers);
        l.epochs = epochs;
        l.epochs_len = sizeof(epochs);
    }
    return l;
}

static void build(struct sbuf *b, int logs)
{
    sbuf_init(b);
    assert_int_equal(ckpt_begin(b, &life, 5, 77), 0);
    for (int i = 0; i < logs; i++) {
        struct ckpt_log l = sample(i);
        assert_int_equal(ckpt_add(b, &l), 0);
    }
    assert_int_equal(ckpt_finish(b), 0);
}

static void vector(void **state)
{
    struct sbuf b;
    build(&b, 1);
    static const uint8_t head[56] = {
        'S', 'L', 'U', 'I', 'C', 'E', 'C', 'P', 1,  0,  0,  0,  0,  0,  0,  0,  // crc at 12
        1,   2,   3,   4,   5,   6,   7,   8,   9,  10, 11, 12, 13, 14, 15, 16, // life
        5,   0,   0,   0,   1,   0,   0,   0,   77, 0,  0,  0,  0,  0,  0,  0,  // shard, logs, generation
    };
    static const uint8_t log[88] = {
        9,    9,    9,    0,    0,    0,    0,    0,    0,   0, 0, 0, 0, 0, 0, 0,
        0,    0,    0,    0,    2,    0,    0,    0, // topic, partition, incarnation
        10,   0,    0,    0,    0,    0,    0,    0,    100, 0, 0, 0, 0, 0, 0, 0, // log start, segment
        0xe1, 0x10, 0,    0,    7,    0,    0,    0,    140, 0, 0, 0, 0, 0, 0, 0, // position, epoch, end
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 139, 0, 0, 0, 0, 0, 0, 0, // timestamp, its offset
        3,    0,    0,    0,    4,    0,    0,    0,    0,   0, 0, 0, 0, 0, 0, 0, // indexes, lengths
    };
    uint8_t want[56 + 88];
    memcpy(want, head, 56);
    memcpy(want + 56, log, 88);
    le32_store(want + 12, crc32c_portable(0, want + 16, sizeof(want) - 16));
    assert_int_equal(b.len, sizeof(want));
    assert_memory_equal(b.data, want, sizeof(want));
    sbuf_free(&b);
}

struct seen {
    int n, stop_at;
};

static int see(void *arg, const struct ckpt_head *h, const struct ckpt_log *l)
{
    struct seen *s = arg;
    struct ckpt_log want = sample(s->n++);
    assert_int_equal(h->shard, 5);
    assert_int_equal(h->first_generation, 77);
    assert_true(sl_uuid_eq(&h->life, &life));
    assert_int_equal(l->partition, want.partition);
    assert_int_equal(l->end_offset, 140);
    assert_int_equal(l->end_position, 4321);
    assert_int_equal(l->max_timestamp, -1);
    assert_int_equal(l->timeindex_entries, 4);
    assert_int_equal(l->producers_len, want.producers_len);
    assert_int_equal(l->epochs_len, want.epochs_len);
    if (want.producers_len) {
        assert_memory_equal(l->producers, want.producers, want.producers_len);
        assert_memory_equal(l->epochs, want.epochs, want.epochs_len);
    } else {
        assert_null(l->producers);
        assert_null(l->epochs);
    }
    return s->n == s->stop_at ? -ECANCELED : 0;
}

static void round_trip(void **state)
{
    for (int logs = 0; logs < 5; logs++) {
        struct sbuf b;
        struct ckpt_head h;
        struct seen s = {0};
        build(&b, logs);
        assert_int_equal(ckpt_walk((uint8_t *)b.data, b.len, &h, see, &s), 0);
        assert_int_equal(s.n, logs);
        assert_int_equal(h.logs, logs);
        struct seen stop = {.stop_at = 1};
        assert_int_equal(ckpt_walk((uint8_t *)b.data, b.len, &h, see, &stop), logs ? -ECANCELED : 0);
        sbuf_free(&b);
    }
}

static void damage_is_noticed(void **state)
{
    struct sbuf b;
    struct ckpt_head h;
    build(&b, 3);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 0x40;
        assert_int_equal(ckpt_walk((uint8_t *)b.data, b.len, &h, NULL, NULL), -EBADMSG);
        b.data[i] ^= 0x40;
    }
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, b.data, n);
        assert_int_equal(ckpt_walk(cut, n, &h, NULL, NULL), -EBADMSG);
        free(cut);
    }
    assert_int_equal(ckpt_walk((uint8_t *)b.data, b.len, &h, NULL, NULL), 0);
    sbuf_free(&b);
}

// Sealed right, but with counts and lengths that do not add up.
static void lies_are_refused(void **state)
{
    static const struct {
        uint32_t at, value;
    } bad[] = {{36, 0xffffffff},      {36, 2},      {36, 0},     {56 + 80, 0xffffffff}, {56 + 84, 12},
               {56 + 84, 0xfffffff0}, {56 + 80, 1}, {56 + 84, 1}};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        struct sbuf b;
        struct ckpt_head h;
        build(&b, 1);
        le32_store(b.data + bad[i].at, bad[i].value);
        assert_int_equal(ckpt_finish(&b), 0);
        assert_int_equal(ckpt_walk((uint8_t *)b.data, b.len, &h, NULL, NULL), -EBADMSG);
        sbuf_free(&b);
    }
}

static void rebrand(void **state)
{
    struct sbuf b;
    struct ckpt_head h;
    struct sl_uuid other = {{42}};
    build(&b, 3);
    assert_int_equal(ckpt_rebrand((uint8_t *)b.data, b.len, &other, 1, 2), 0);
    assert_int_equal(ckpt_walk((uint8_t *)b.data, b.len, &h, NULL, NULL), 0);
    assert_true(sl_uuid_eq(&h.life, &other));
    assert_int_equal(h.shard, 1);
    assert_int_equal(h.first_generation, 2);
    assert_int_equal(h.logs, 3);
    b.data[60] ^= 1;
    assert_int_equal(ckpt_rebrand((uint8_t *)b.data, b.len, &other, 1, 2), -EBADMSG);
    sbuf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector),           cmocka_unit_test(round_trip), cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(lies_are_refused), cmocka_unit_test(rebrand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
