// Fetch sessions: epochs, updates, what is news, eviction.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/fetch_session.h"

static uint32_t next_random;

static uint32_t counted(void *arg)
{
    return next_random++;
}

static struct fetch_sessions *cache(uint32_t slots)
{
    struct fetch_sessions_config cfg = {.slots = slots, .random = counted};
    next_random = 0; // 0 is not an id: the first session gets 1
    return fetch_sessions_create(&cfg);
}

static struct fetch_want want(const char *topic, int32_t partition, int64_t offset)
{
    return (struct fetch_want){.name = kp_str_of(topic),
                               .partition = partition,
                               .offset = offset,
                               .max_bytes = 1000,
                               .current_leader_epoch = -1,
                               .last_fetched_epoch = -1};
}

static struct fetch_news told(int64_t hw)
{
    return (struct fetch_news){.high_watermark = hw, .log_start = 0};
}

// A session of `n` partitions of topic "t".
static int32_t add(struct fetch_sessions *fs, uint32_t n, bool privileged, uint64_t now)
{
    struct fetch_want w[16];
    struct fetch_news news[16];
    for (uint32_t i = 0; i < n; i++) {
        w[i] = want("t", (int32_t)i, 5);
        news[i] = told(5);
    }
    return fetch_session_add(fs, false, privileged, w, news, n, now);
}

static int16_t begin(struct fetch_sessions *fs, struct fetch_begin *b, int32_t id, int32_t epoch)
{
    b->session_id = id;
    b->epoch = epoch;
    return fetch_session_begin(fs, b);
}

static void test_full_requests(void **state)
{
    struct fetch_sessions *fs = cache(4);
    struct fetch_begin b = {0};
    assert_int_equal(begin(fs, &b, 0, FETCH_EPOCH_FINAL), KERR_NONE);
    assert_int_equal(b.kind, FETCH_SESSIONLESS);
    assert_int_equal(begin(fs, &b, 0, FETCH_EPOCH_INITIAL), KERR_NONE);
    assert_int_equal(b.kind, FETCH_FULL);
    int32_t id = add(fs, 2, false, 0);
    assert_int_equal(id, 1);
    // A full request that names a session ends it.
    assert_int_equal(begin(fs, &b, id, FETCH_EPOCH_INITIAL), KERR_NONE);
    assert_int_equal(fetch_sessions_count(fs), 0);
    id = add(fs, 2, false, 0);
    assert_int_equal(begin(fs, &b, id, FETCH_EPOCH_FINAL), KERR_NONE);
    assert_int_equal(fetch_sessions_count(fs), 0);
    fetch_sessions_free(fs);
}

static void test_epochs(void **state)
{
    struct fetch_sessions *fs = cache(4);
    struct fetch_begin b = {0};
    int32_t id = add(fs, 1, false, 0);
    assert_int_equal(begin(fs, &b, id + 1, 1), KERR_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(begin(fs, &b, id, 2), KERR_INVALID_FETCH_SESSION_EPOCH);
    b.by_id = true;
    assert_int_equal(begin(fs, &b, id, 1), KERR_FETCH_SESSION_TOPIC_ID_ERROR);
    b.by_id = false;
    for (int32_t e = 1; e < 4; e++) {
        assert_int_equal(begin(fs, &b, id, e), KERR_NONE);
        assert_int_equal(b.kind, FETCH_INCREMENTAL);
        assert_int_equal(b.expect_epoch, e + 1);
        fetch_session_unref(b.session);
    }
    assert_int_equal(begin(fs, &b, id, 3), KERR_INVALID_FETCH_SESSION_EPOCH);
    // After the largest epoch comes 1.
    assert_int_equal(begin(fs, &b, id, 4), KERR_NONE);
    b.session->epoch = INT32_MAX;
    fetch_session_unref(b.session);
    assert_int_equal(begin(fs, &b, id, INT32_MAX), KERR_NONE);
    assert_int_equal(b.expect_epoch, 1);
    fetch_session_unref(b.session);
    fetch_sessions_free(fs);
}

static const struct fetch_session_part *nth(const struct fetch_session *s, uint32_t k)
{
    const struct list_node *n = s->parts.next;
    while (k--)
        n = n->next;
    return SL_CONTAINER_OF(n, struct fetch_session_part, node);
}

static void test_updates(void **state)
{
    struct fetch_sessions *fs = cache(4);
    struct fetch_want w[] = {want("t", 1, 50), want("u", 0, 7)}, gone[] = {want("t", 0, 0), want("x", 0, 0)};
    struct fetch_begin b = {.wants = w, .wants_n = 2, .forgotten = gone, .forgotten_n = 2};
    int32_t id = add(fs, 2, false, 0);
    assert_int_equal(begin(fs, &b, id, 1), KERR_NONE);
    assert_int_equal(b.session->n, 2);
    assert_int_equal(nth(b.session, 0)->want.partition, 1);
    assert_int_equal(nth(b.session, 0)->want.offset, 50);
    assert_true(kp_str_eq(nth(b.session, 1)->want.name, KP_STR_LIT("u")));
    assert_int_equal(nth(b.session, 1)->high_watermark, -1); // never answered
    fetch_session_unref(b.session);
    // Without partitions it is no session any more.
    struct fetch_want all[] = {want("t", 1, 0), want("u", 0, 0)};
    b = (struct fetch_begin){.forgotten = all, .forgotten_n = 2};
    assert_int_equal(begin(fs, &b, id, 2), KERR_NONE);
    assert_int_equal(b.kind, FETCH_SESSIONLESS);
    assert_int_equal(fetch_sessions_count(fs), 0);
    fetch_sessions_free(fs);
}

static void test_ids_and_names_are_apart(void **state)
{
    struct fetch_sessions *fs = cache(4);
    struct fetch_want w[2] = {{.id = sl_uuid_make(1, 1), .partition = 3},
                              {.id = sl_uuid_make(2, 1), .partition = 3}};
    struct fetch_news news[2] = {told(1), told(1)};
    struct fetch_begin b = {.by_id = true, .forgotten = w, .forgotten_n = 1};
    int32_t id = fetch_session_add(fs, true, false, w, news, 2, 0);
    assert_int_equal(begin(fs, &b, id, 1), KERR_NONE);
    assert_int_equal(b.session->n, 1);
    assert_true(sl_uuid_eq(&nth(b.session, 0)->want.id, &w[1].id));
    assert_int_equal(nth(b.session, 0)->want.name.n, -1);
    fetch_session_unref(b.session);
    fetch_sessions_free(fs);
}

static void test_news(void **state)
{
    struct fetch_sessions *fs = cache(4);
    struct fetch_begin b = {0};
    begin(fs, &b, add(fs, 3, false, 0), 1);
    struct fetch_session *s = b.session;
    struct fetch_session_part *p = (struct fetch_session_part *)nth(s, 0);
    struct fetch_news n = told(5);
    assert_false(fetch_session_tell(s, p, &n));
    n.high_watermark = 6;
    assert_true(fetch_session_tell(s, p, &n));
    assert_false(fetch_session_tell(s, p, &n));
    n.log_start = 1;
    assert_true(fetch_session_tell(s, p, &n));
    assert_false(fetch_session_tell(s, p, &n));
    // An error is told each time, and its end as well.
    n.error = KERR_OFFSET_OUT_OF_RANGE;
    assert_true(fetch_session_tell(s, p, &n));
    assert_true(fetch_session_tell(s, p, &n));
    n.error = KERR_NONE;
    assert_true(fetch_session_tell(s, p, &n));
    assert_false(fetch_session_tell(s, p, &n));
    n.diverging = true;
    assert_true(fetch_session_tell(s, p, &n));
    n.diverging = false;
    assert_true(fetch_session_tell(s, p, &n));
    assert_ptr_equal(nth(s, 0), p);
    // Who had records goes to the end.
    n.bytes = 10;
    assert_true(fetch_session_tell(s, p, &n));
    assert_ptr_equal(nth(s, 2), p);
    assert_int_equal(nth(s, 0)->want.partition, 1);
    fetch_session_unref(s);
    fetch_sessions_free(fs);
}

static bool lives(struct fetch_sessions *fs, int32_t id)
{
    struct fetch_begin b = {0};
    int16_t e = begin(fs, &b, id, 0x7000); // a wrong epoch changes nothing
    return e == KERR_INVALID_FETCH_SESSION_EPOCH;
}

static void test_eviction(void **state)
{
    const uint64_t old = FETCH_SESSION_EVICT_MS + 1;
    struct fetch_sessions *fs = cache(2);
    int32_t small = add(fs, 2, false, 0), large = add(fs, 8, false, 10);
    // All are young and in use: no room.
    assert_int_equal(add(fs, 9, false, 100), FETCH_SESSION_NONE);
    // Idle for two minutes: the least recently used goes, whatever the sizes.
    int32_t next = add(fs, 1, false, old);
    assert_int_not_equal(next, FETCH_SESSION_NONE);
    assert_false(lives(fs, small));
    assert_true(lives(fs, large));
    // `large` is in use again and old enough to go for a larger one, not for one of its size.
    struct fetch_begin b = {.now_ms = old + 1};
    assert_int_equal(begin(fs, &b, large, 1), KERR_NONE);
    fetch_session_unref(b.session);
    assert_int_equal(add(fs, 8, false, old + 20), FETCH_SESSION_NONE);
    assert_true(lives(fs, large));
    assert_int_not_equal(add(fs, 9, false, old + 20), FETCH_SESSION_NONE);
    assert_false(lives(fs, large));
    assert_true(lives(fs, next));
    assert_int_equal(fetch_sessions_count(fs), 2);
    fetch_sessions_free(fs);
}

static void test_followers_come_first(void **state)
{
    struct fetch_sessions *fs = cache(2);
    int32_t consumer = add(fs, 8, false, 0), follower = add(fs, 1, true, 0);
    assert_int_equal(add(fs, 9, false, 10), FETCH_SESSION_NONE);
    int32_t second = add(fs, 1, true, 10); // a follower's takes a consumer's place, young or not
    assert_int_not_equal(second, FETCH_SESSION_NONE);
    assert_false(lives(fs, consumer));
    assert_true(lives(fs, follower));
    assert_int_equal(add(fs, 9, false, 20), FETCH_SESSION_NONE);
    fetch_sessions_free(fs);
}

static void test_a_held_session_outlives_its_eviction(void **state)
{
    struct fetch_sessions *fs = cache(1);
    struct fetch_begin b = {0};
    int32_t id = add(fs, 1, false, 0);
    assert_int_equal(begin(fs, &b, id, 1), KERR_NONE);
    assert_int_not_equal(add(fs, 1, false, FETCH_SESSION_EVICT_MS * 2), FETCH_SESSION_NONE);
    assert_false(lives(fs, id));
    struct fetch_news n = told(9);
    assert_true(fetch_session_tell(b.session, (struct fetch_session_part *)nth(b.session, 0), &n));
    fetch_session_unref(b.session);
    fetch_sessions_free(fs);
}

static void test_no_slots(void **state)
{
    struct fetch_sessions *fs = cache(0);
    assert_int_equal(add(fs, 1, false, 0), FETCH_SESSION_NONE);
    fetch_sessions_free(fs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_requests),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_updates),
        cmocka_unit_test(test_ids_and_names_are_apart),
        cmocka_unit_test(test_news),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_followers_come_first),
        cmocka_unit_test(test_a_held_session_outlives_its_eviction),
        cmocka_unit_test(test_no_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
