// Fetch sessions: a broker that keeps them by KIP-227's rules ends every request with the partitions and offsets that the
// client means.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "bench/load/session.h"
#include "engine/base/rand.h"

enum { PARTS = 12 };

static struct session s;
static struct session_part parts[PARTS];
static int64_t at[PARTS]; // the client's offsets; -1: not fetched

// The broker's side.
static struct {
    int32_t id, epoch; // id 0: none; epoch: what the next request must say
    int64_t at[PARTS]; // -1: not in it
    uint32_t named;    // by the last request
} broker;

static void begin(bool on)
{
    session_init(&s, on);
    memset(&broker, 0, sizeof(broker));
    for (int i = 0; i < PARTS; i++) {
        session_part_init(&parts[i]);
        at[i] = broker.at[i] = -1;
    }
}

static void add(uint32_t i, int64_t offset)
{
    at[i] = offset;
    session_add(&s, &parts[i], i);
}

static void drop(uint32_t i)
{
    at[i] = -1;
    session_drop(&s, &parts[i], i);
}

static void moved(uint32_t i)
{
    at[i]++;
    session_moved(&s, &parts[i]);
}

static void name(uint32_t i)
{
    broker.at[i] = at[i];
    broker.named++;
    session_named(&s, &parts[i]);
}

// One request as the broker takes it: what is named goes in, then what is forgotten goes out. False: it knows no such
// session.
static bool request(void)
{
    bool full = session_full(&s);
    if (!full && (s.id != broker.id || s.epoch != broker.epoch))
        return false;
    broker.named = 0;
    if (full) {
        for (uint32_t i = 0; i < PARTS; i++)
            broker.at[i] = -1;
        for (uint32_t i = 0; i < PARTS; i++)
            if (at[i] >= 0)
                name(i);
    } else {
        while (!list_empty(&s.dirty))
            name((uint32_t)(list_entry(list_first(&s.dirty), struct session_part, dirty) - parts));
        for (uint32_t i = 0; i < s.forgotten_n; i++)
            broker.at[s.forgotten[i]] = -1;
    }
    session_asked(&s);
    return true;
}

static void same(void)
{
    for (uint32_t i = 0; i < PARTS; i++)
        assert_int_equal(broker.at[i], at[i]);
}

static void answer(int32_t id)
{
    broker.epoch = session_full(&s) ? 1 : broker.epoch + 1;
    broker.id = id;
    assert_true(session_answered(&s, id));
}

static void incremental(void **state)
{
    (void)state;
    begin(true);
    add(0, 10);
    add(1, 20);
    add(2, 30);
    assert_int_equal(s.epoch, 0);
    assert_true(request());
    assert_int_equal(broker.named, 3);
    answer(77);
    assert_int_equal(s.id, 77);
    assert_int_equal(s.epoch, 1);
    moved(1);
    moved(1);
    assert_true(request());
    assert_int_equal(broker.named, 1);
    same();
    answer(77);
    drop(0);
    add(5, 50);
    assert_true(request());
    assert_int_equal(broker.named, 1);
    same();
    answer(77);
    assert_true(request()); // nothing new
    assert_int_equal(broker.named, 0);
    same();
    session_free(&s);
}

// Given up and got back before a request leaves: named, and not forgotten behind that.
static void back_at_once(void **state)
{
    (void)state;
    begin(true);
    add(3, 1);
    assert_true(request());
    answer(5);
    drop(3);
    add(3, 9);
    assert_true(request());
    same();
    assert_int_equal(broker.at[3], 9);
    answer(5);
    add(4, 1); // got and given up: the broker never hears of it
    drop(4);
    assert_int_equal(s.forgotten_n, 0);
    session_free(&s);
}

static void errors(void **state)
{
    (void)state;
    begin(true);
    add(0, 1);
    assert_true(request());
    answer(0); // the broker has no room
    assert_true(session_full(&s));
    assert_true(request());
    answer(8);
    session_lost(&s, true); // the answer did not come: the broker is told to close 8
    assert_int_equal(s.id, 8);
    assert_int_equal(s.epoch, 0);
    assert_true(request());
    answer(9);
    session_lost(&s, false); // it does not know 9
    assert_int_equal(s.id, 0);
    assert_true(request());
    answer(10);
    assert_true(request());
    assert_false(session_answered(&s, 11)); // another session's answer
    assert_true(session_full(&s));
    assert_true(request());
    answer(12);
    s.epoch = broker.epoch = INT32_MAX;
    assert_true(request());
    assert_true(session_answered(&s, 12));
    assert_int_equal(s.epoch, 1); // 0 would be a new session
    session_free(&s);
}

static void without(void **state)
{
    (void)state;
    begin(false);
    add(0, 1);
    add(1, 1);
    for (int i = 0; i < 3; i++) {
        moved(0);
        assert_int_equal(s.epoch, -1);
        assert_true(request());
        assert_int_equal(broker.named, 2);
        same();
        assert_true(session_answered(&s, 0));
        session_lost(&s, true);
    }
    drop(1);
    assert_int_equal(s.forgotten_n, 0);
    session_free(&s);
}

static void anything(void **state)
{
    struct sl_rand r;
    (void)state;
    sl_rand_seed(&r, 3);
    begin(true);
    for (int round = 0; round < 20000; round++) {
        uint32_t i = (uint32_t)sl_rand_below(&r, PARTS);
        if (sl_rand_below(&r, 3)) {
            if (at[i] < 0)
                add(i, (int64_t)sl_rand_below(&r, 1000));
            else if (sl_rand_below(&r, 4) == 0)
                drop(i);
            else
                moved(i);
            continue;
        }
        if (sl_rand_below(&r, 20) == 0)
            broker.id = broker.epoch = -1; // it was restarted
        if (!request()) {
            session_lost(&s, false);
            assert_true(request());
        }
        same();
        if (sl_rand_below(&r, 15) == 0)
            session_lost(&s, true);
        else
            answer(session_full(&s) ? (int32_t)sl_rand_below(&r, 4) : s.id);
    }
    session_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(incremental), cmocka_unit_test(back_at_once),
                                       cmocka_unit_test(errors), cmocka_unit_test(without),
                                       cmocka_unit_test(anything)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
