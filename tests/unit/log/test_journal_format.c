// The journal's bytes: vectors made by hand, round trips, and a walk that notices every changed byte.
#include "tests/unit/log/journal_test.h"

static void header_vector(void **state)
{
    struct jgroup g = {.generation = 0x0102030405060708,
                       .position = 0x3000,
                       .sequence = 7,
                       .durable_through = 6,
                       .crc = 0xa1a2a3a4,
                       .prev_crc = 0xb1b2b3b4,
                       .shard = 3,
                       .length = 8192,
                       .count = 2,
                       .flags = 1};
    for (int i = 0; i < 16; i++)
        g.life.b[i] = (uint8_t)(0xc0 + i);
    static const uint8_t want[JOURNAL_HEADER] = {
        'S',  'L',  'U',  'I',  'C',  'E',  'J',  'G',  1,    0,    128,  0,    0xa4, 0xa3, 0xa2, 0xa1, // 0
        0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, // 16
        8,    7,    6,    5,    4,    3,    2,    1,    0,    0x30, 0,    0,    0,    0,    0,    0,    // 32
        7,    0,    0,    0,    0,    0,    0,    0,    0xb4, 0xb3, 0xb2, 0xb1, 3,    0,    0,    0,    // 48
        6,    0,    0,    0,    0,    0,    0,    0,    0,    0x20, 0,    0,    2,    0,    0,    0,    // 64
        1,    0,    0,    0,                                                                            // 80
    };
    uint8_t got[JOURNAL_BLOCK] = {0};
    jgroup_encode(&g, got);
    assert_memory_equal(got, want, JOURNAL_HEADER);

    uint8_t block[2 * JOURNAL_BLOCK] = {0};
    memcpy(block, want, JOURNAL_HEADER);
    struct jgroup d;
    assert_int_equal(jgroup_decode(&d, block, sizeof(block), &g.life, 0x3000), 0);
    assert_memory_equal(&d, &g, sizeof(g));
    assert_int_equal(jgroup_decode(&d, block, sizeof(block), NULL, 0x3000), 0);
}

static void entry_vector(void **state)
{
    struct jentry e = {.type = JE_BATCH,
                       .flags = JE_INLINE,
                       .attributes = 0x0212,
                       .crc = 0x04030201,
                       .partition = -2,
                       .incarnation = 9,
                       .segment_base = 0x0807060504030201,
                       .position = 0x11121314,
                       .bytes = 61,
                       .base_offset = 100,
                       .last_offset = 104,
                       .producer_id = -1,
                       .base_sequence = -1,
                       .producer_epoch = -1,
                       .max_timestamp = 0x0a0b,
                       .leader_epoch = 5,
                       .record_count = 4};
    for (int i = 0; i < 16; i++)
        e.topic_id.b[i] = (uint8_t)(i + 1);
    static const uint8_t want[JOURNAL_ENTRY] = {
        1,    1,    0x12, 2,    1,    2,    3,    4,    1,    2,    3,    4,    5,    6,    7, 8, // 0
        9,    10,   11,   12,   13,   14,   15,   16,   0xfe, 0xff, 0xff, 0xff, 9,    0,    0, 0, // 16
        1,    2,    3,    4,    5,    6,    7,    8,    0x14, 0x13, 0x12, 0x11, 61,   0,    0, 0, // 32
        100,  0,    0,    0,    0,    0,    0,    0,    104,  0,    0,    0,    0,    0,    0, 0, // 48
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, // 64
        0x0b, 0x0a, 0,    0,    0,    0,    0,    0,    5,    0,    0,    0,    4,    0,    0, 0, // 80
    };
    uint8_t got[JOURNAL_ENTRY];
    jentry_encode(&e, got);
    assert_memory_equal(got, want, JOURNAL_ENTRY);
    struct jentry d;
    memset(&d, 0, sizeof(d));
    jentry_decode(&d, want);
    uint8_t again[JOURNAL_ENTRY];
    jentry_encode(&d, again);
    assert_memory_equal(again, want, JOURNAL_ENTRY);
    assert_int_equal(d.partition, -2);
    assert_int_equal(d.producer_epoch, -1);
}

// The crc of an empty group, computed here from the description alone.
static void crc_is_seeded_with_the_life(void **state)
{
    struct sl_uuid life = t_uuid(1);
    struct t_file f;
    t_file_init(&f, 2 * JOURNAL_BLOCK, &life, 1);
    t_end(&f, 0);
    uint8_t plain[16 + JOURNAL_HEADER];
    memcpy(plain, life.b, 16);
    memcpy(plain + 16, f.data, JOURNAL_HEADER);
    memset(plain + 16 + 12, 0, 4);
    assert_int_equal(le32_load(f.data + 12), crc32c_portable(0, plain, sizeof(plain)));

    // The same bytes under another life's id do not verify, although each header agrees with itself.
    struct jgroup g;
    f.data[16] ^= 1;
    assert_int_equal(jgroup_decode(&g, f.data, f.len, NULL, 0), 0);
    assert_int_equal(jgroup_walk(&g, f.data, NULL, NULL), -EBADMSG);
    free(f.data);
}

struct seen {
    uint32_t n;
    struct jentry e[8];
    const uint8_t *payload[8];
    int stop_at;
};

static int see(void *arg, const struct jgroup *g, const struct jentry *e, const uint8_t *payload)
{
    struct seen *s = arg;
    assert_true(s->n < 8);
    s->e[s->n] = *e;
    s->payload[s->n++] = payload;
    return s->stop_at && (int)s->n == s->stop_at ? -ECANCELED : 0;
}

// One of each kind of entry.
static void build_mixed(struct t_file *f, struct sl_uuid *life)
{
    uint8_t prefix[777];
    *life = t_uuid(5);
    t_file_init(f, 4 * JOURNAL_BLOCK, life, 1);
    memset(prefix, 0x5a, sizeof(prefix));
    struct jentry p = {.type = JE_PREFIX, .flags = JE_INLINE, .topic_id = t_uuid(1), .bytes = sizeof(prefix)};
    p.crc = crc32c(0, prefix, sizeof(prefix));
    t_add(f, &p, prefix);
    t_add_batch(f, 333, 1, 40);
    struct jentry fence = t_fence(1, 0, 0, 40);
    t_add(f, &fence, NULL);
    struct jentry direct;
    uint8_t b[4096];
    t_batch(&direct, b, sizeof(b), 1, 0, 41, 9);
    direct.flags = 0;
    t_add(f, &direct, NULL);
    struct jentry epoch = {.type = JE_EPOCH, .topic_id = t_uuid(1), .base_offset = 41, .leader_epoch = 4};
    t_add(f, &epoch, NULL);
    t_end(f, 0);
}

static void walk_hands_out_entries(void **state)
{
    struct t_file f;
    struct sl_uuid life;
    build_mixed(&f, &life);
    struct jgroup g;
    struct seen s = {0};
    assert_int_equal(jgroup_decode(&g, f.data, f.len, &life, 0), 0);
    assert_int_equal(jgroup_walk(&g, f.data, see, &s), 0);
    assert_int_equal(s.n, 5);
    assert_int_equal(s.e[0].type, JE_PREFIX);
    assert_int_equal(s.payload[0][776], 0x5a);
    assert_int_equal(s.e[1].type, JE_BATCH);
    assert_int_equal(batch_base_offset(s.payload[1]), 40);
    assert_true(batch_crc_ok(s.payload[1]));
    assert_null(s.payload[2]);
    assert_int_equal(s.e[2].producer_id, 2);
    assert_null(s.payload[3]);
    assert_int_equal(s.e[3].bytes, 4096);
    assert_int_equal(s.e[4].leader_epoch, 4);
    struct seen stop = {.stop_at = 2};
    assert_int_equal(jgroup_walk(&g, f.data, see, &stop), -ECANCELED);
    assert_int_equal(stop.n, 2);
    free(f.data);
}

// Every changed byte of a group makes it void, but for padding, which changes nothing that is handed out.
static void walk_notices_every_byte(void **state)
{
    struct t_file f;
    struct sl_uuid life;
    build_mixed(&f, &life);
    uint32_t padding = 0, used = JOURNAL_HEADER + 5 * JOURNAL_ENTRY + 777 + 333;
    for (uint32_t at = 0; at < f.at; at++) {
        struct jgroup g;
        struct seen s = {0};
        f.data[at] ^= 0x10;
        int rc = jgroup_decode(&g, f.data, f.at, &life, 0);
        rc = rc ? rc : jgroup_walk(&g, f.data, see, &s);
        if (rc == 0) {
            padding++;
            assert_int_equal(s.n, 5);
            assert_true(batch_crc_ok(s.payload[1]));
            assert_int_equal(crc32c(0, s.payload[0], 777), s.e[0].crc);
        } else {
            assert_int_equal(rc, -EBADMSG);
            assert_int_equal(s.n, 0); // nothing was handed out
        }
        f.data[at] ^= 0x10;
    }
    assert_int_equal(padding, f.at - used);
    free(f.data);
}

static void decode_refuses(void **state)
{
    struct sl_uuid life = t_uuid(1), other = t_uuid(2);
    struct t_file f;
    struct jgroup g;
    t_file_init(&f, 4 * JOURNAL_BLOCK, &life, 1);
    t_add_batch(&f, 5000, 1, 0);
    t_end(&f, 0);
    assert_int_equal(f.at, 2 * JOURNAL_BLOCK);
    assert_int_equal(jgroup_decode(&g, f.data, f.at, &life, 0), 0);
    assert_int_equal(jgroup_decode(&g, f.data, f.at, &other, 0), -EBADMSG);
    assert_int_equal(jgroup_decode(&g, f.data, f.at, &life, JOURNAL_BLOCK), -EBADMSG);
    assert_int_equal(jgroup_decode(&g, f.data, JOURNAL_BLOCK, &life, 0),
                     -EBADMSG); // longer than what is there
    assert_int_equal(jgroup_decode(&g, f.data, 100, &life, 0), -EBADMSG);
    static const struct {
        uint32_t at, value;
    } bad[] = {{72, 0}, {72, 4095}, {72, 0xfffff000}, {76, 0xffffffff}, {76, 64}, {8, 2 | 128u << 16}};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        uint32_t was = le32_load(f.data + bad[i].at);
        le32_store(f.data + bad[i].at, bad[i].value);
        assert_int_equal(jgroup_decode(&g, f.data, f.at, &life, 0), -EBADMSG);
        le32_store(f.data + bad[i].at, was);
    }
    free(f.data);
}

// Entries that are sealed right but lie about their payload.
static void walk_refuses_lies(void **state)
{
    struct sl_uuid life = t_uuid(1);
    uint8_t b[300];
    struct jentry good;
    t_batch(&good, b, sizeof(b), 1, 0, 10, 1);
    for (int i = 0; i < 9; i++) {
        struct jentry e = good;
        struct t_file f;
        struct jgroup g;
        t_file_init(&f, 2 * JOURNAL_BLOCK, &life, 1);
        e.base_offset += i == 1;
        e.leader_epoch += i == 2;
        e.crc ^= i == 3;
        e.type = i == 4 ? 0 : i == 5 ? 77 : e.type;
        e.flags |= i == 6 ? 2 : 0;
        t_add(&f, &e, b);
        if (i == 7) // a payload that ends behind the group
            le32_store(f.data + JOURNAL_HEADER + 44, 0xfffffff0);
        if (i == 8)
            f.g.count++;
        f.entries_crc = crc32c(0, f.data + JOURNAL_HEADER, JOURNAL_ENTRY);
        t_end(&f, 0);
        int rc = jgroup_decode(&g, f.data, f.at, &life, 0);
        rc = rc ? rc : jgroup_walk(&g, f.data, NULL, NULL);
        assert_int_equal(rc, i == 0 ? 0 : -EBADMSG);
        free(f.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_vector),
        cmocka_unit_test(entry_vector),
        cmocka_unit_test(crc_is_seeded_with_the_life),
        cmocka_unit_test(walk_hands_out_entries),
        cmocka_unit_test(walk_notices_every_byte),
        cmocka_unit_test(decode_refuses),
        cmocka_unit_test(walk_refuses_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
