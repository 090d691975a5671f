/* hash.h and table.h: every byte and length matters, bits avalanche, values never change; uthash with our
 * hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "engine/base/rand.h"
#include "engine/base/table.h"

static void test_sensitive(void **state)
{
    uint8_t buf[100] = {0};
    uint64_t seen[101];
    /* Zeros of every length differ. */
    for (size_t n = 0; n <= 100; n++) {
        seen[n] = sl_hash64(buf, n, 0);
        for (size_t k = 0; k < n; k++)
            assert_true(seen[k] != seen[n]);
    }
    /* One flipped bit changes about half of the hash, wherever it is. */
    struct sl_rand r;
    sl_rand_seed(&r, 1);
    for (size_t n = 1; n <= 100; n++) {
        uint64_t changed = 0;
        sl_rand_bytes(&r, buf, n);
        uint64_t h = sl_hash64(buf, n, 7);
        for (size_t bit = 0; bit < n * 8; bit++) {
            buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
            uint64_t d = h ^ sl_hash64(buf, n, 7);
            buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_true(d != 0);
            changed += (uint64_t)__builtin_popcountll(d);
        }
        assert_in_range(changed, n * 8 * 28, n * 8 * 36);
        assert_true(sl_hash64(buf, n, 8) != h);
    }
}

static void test_any_alignment(void **state)
{
    uint8_t buf[80];
    for (size_t off = 0; off < 8; off++) {
        memcpy(buf + off, "a partition of a topic, which is longer than 16 bytes", 53);
        assert_true(sl_hash64(buf + off, 53, 3) ==
                    sl_hash64("a partition of a topic, which is longer than 16 bytes", 53, 3));
    }
}

/* These values are part of the promise: a change of the function is a change of placement. */
static void test_stable(void **state)
{
    assert_true(sl_hash64("", 0, 0) == 0x612d215c83d125d8ull);
    assert_true(sl_hash64("abc", 3, 0) == 0x4468d7fad75675f3ull);
    assert_true(sl_hash64("orders-topic-name-0123", 22, 1) == 0x1065ebfff9a26f7full);
    assert_true(sl_hash_u64(1) == 0x4179b061e0c0e0d0ull);
    assert_true(sl_hash_pair(1, 2) == 0xe95557bdc31d327eull);
    assert_true(sl_hash_pair(2, 1) != 0xe95557bdc31d327eull);
}

struct entry {
    uint64_t key;
    int value;
    UT_hash_handle hh;
};

static void test_table(void **state)
{
    enum { N = 5000 };
    struct entry *table = NULL, *entries = calloc(N, sizeof(*entries)), *e;
    for (int i = 0; i < N; i++) {
        entries[i].key = (uint64_t)i * 4096;
        entries[i].value = i;
        e = &entries[i];
        HASH_ADD(hh, table, key, sizeof(uint64_t), e);
    }
    assert_int_equal(HASH_COUNT(table), N);
    for (int i = 0; i < N; i++) {
        uint64_t key = (uint64_t)i * 4096;
        HASH_FIND(hh, table, &key, sizeof(key), e);
        assert_non_null(e);
        assert_int_equal(e->value, i);
        key++;
        HASH_FIND(hh, table, &key, sizeof(key), e);
        assert_null(e);
    }
    for (int i = 0; i < N; i += 2)
        HASH_DEL(table, &entries[i]);
    assert_int_equal(HASH_COUNT(table), N / 2);
    HASH_CLEAR(hh, table);
    free(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sensitive),
        cmocka_unit_test(test_any_alignment),
        cmocka_unit_test(test_stable),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
