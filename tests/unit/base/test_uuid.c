/* uuid.h: text both ways against values that Kafka's own Uuid printed, malformed text, order and hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "engine/base/rand.h"
#include "engine/base/uuid.h"

struct vector {
    uint64_t msb, lsb;
    const char *text;
};

static const struct vector vectors[] = {
    {0x0000000000000000ull, 0x0000000000000000ull, "AAAAAAAAAAAAAAAAAAAAAA"},
    {0x0000000000000000ull, 0x0000000000000001ull, "AAAAAAAAAAAAAAAAAAAAAQ"},
    {0xffffffffffffffffull, 0xffffffffffffffffull, "_____________________w"},
    {0x0001020304050607ull, 0x08090a0b0c0d0e0full, "AAECAwQFBgcICQoLDA0ODw"},
    {0xbb0359bf2d35cb58ull, 0x16981a439ca01ce0ull, "uwNZvy01y1gWmBpDnKAc4A"},
    {0x7d28d914f1e9dbcaull, 0x763af69bd3890947ull, "fSjZFPHp28p2Ovab04kJRw"},
    {0x72d758346d748c52ull, 0xb29d468ec0a8d72full, "ctdYNG10jFKynUaOwKjXLw"},
    {0x471bc2175882e441ull, 0xc28ccac8d6ce2d14ull, "RxvCF1iC5EHCjMrI1s4tFA"},
};

static void test_vectors(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(vectors); i++) {
        struct sl_uuid u = sl_uuid_make(vectors[i].msb, vectors[i].lsb), back;
        char text[SL_UUID_TEXT_LEN + 1];
        sl_uuid_to_text(&u, text);
        assert_string_equal(text, vectors[i].text);
        assert_int_equal(sl_uuid_from_text(text, strlen(text), &back), 0);
        assert_true(sl_uuid_eq(&u, &back));
        assert_true(sl_uuid_msb(&back) == vectors[i].msb && sl_uuid_lsb(&back) == vectors[i].lsb);
    }
}

static void test_bytes_order(void **state)
{
    struct sl_uuid u = sl_uuid_make(0x0001020304050607ull, 0x08090a0b0c0d0e0full);
    for (int i = 0; i < 16; i++)
        assert_int_equal(u.b[i], i);
}

static void test_malformed(void **state)
{
    struct sl_uuid u = sl_uuid_make(1, 2), was = u;
    assert_int_equal(sl_uuid_from_text("AAAAAAAAAAAAAAAAAAAAA", 21, &u), -EINVAL);
    assert_int_equal(sl_uuid_from_text("AAAAAAAAAAAAAAAAAAAAAAA", 23, &u), -EINVAL);
    assert_int_equal(sl_uuid_from_text("", 0, &u), -EINVAL);
    assert_int_equal(sl_uuid_from_text("AAAAAAAAAAAAAAAAAAAAA=", 22, &u), -EINVAL);
    assert_int_equal(sl_uuid_from_text("AAAAAAAAAA+AAAAAAAAAAA", 22, &u), -EINVAL);
    assert_int_equal(sl_uuid_from_text("AAAAAAAAAA/AAAAAAAAAAA", 22, &u), -EINVAL);
    assert_int_equal(sl_uuid_from_text("AAAAAAAAAA\xffxAAAAAAAAAA", 22, &u), -EINVAL);
    /* The last character has 2 bits of the id: A, Q, g or w. */
    assert_int_equal(sl_uuid_from_text("AAAAAAAAAAAAAAAAAAAAAB", 22, &u), -EINVAL);
    assert_true(sl_uuid_eq(&u, &was));
    assert_int_equal(sl_uuid_from_text("AAAAAAAAAAAAAAAAAAAAAQ", 22, &u), 0);
    assert_true(sl_uuid_lsb(&u) == 1);
}

static void test_zero_and_order(void **state)
{
    struct sl_uuid zero = sl_uuid_make(0, 0), one = sl_uuid_make(0, 1), top = sl_uuid_make(1ull << 63, 0);
    assert_true(sl_uuid_is_zero(&zero));
    assert_false(sl_uuid_is_zero(&one));
    assert_false(sl_uuid_is_zero(&top));
    assert_true(sl_uuid_cmp(&zero, &one) < 0 && sl_uuid_cmp(&top, &one) > 0 && sl_uuid_cmp(&one, &one) == 0);
    assert_false(sl_uuid_eq(&zero, &one));
}

static void test_random(void **state)
{
    struct sl_rand r;
    int buckets[16] = {0};
    sl_rand_seed(&r, 7);
    for (int i = 0; i < 16000; i++) {
        struct sl_uuid u, back;
        char text[SL_UUID_TEXT_LEN + 1];
        sl_rand_bytes(&r, u.b, sizeof(u.b));
        sl_uuid_to_text(&u, text);
        assert_int_equal(sl_uuid_from_text(text, SL_UUID_TEXT_LEN, &back), 0);
        assert_memory_equal(&u, &back, sizeof(u));
    }
    /* Ids that differ in a few low bits spread: placement takes the hash modulo the shards. */
    for (uint64_t i = 0; i < 16000; i++) {
        struct sl_uuid u = sl_uuid_make(42, i << 4);
        buckets[sl_uuid_hash(&u) % 16]++;
    }
    for (int i = 0; i < 16; i++)
        assert_in_range(buckets[i], 800, 1200);
    struct sl_uuid fixed = sl_uuid_make(1, 2);
    assert_true(sl_uuid_hash(&fixed) == 0x1631f5f59ff9001aull);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),   cmocka_unit_test(test_bytes_order),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_zero_and_order),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
