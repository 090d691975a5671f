// Fetch: rounds, waiting, limits over shards, pins and credits, sessions on the wire.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/fetch_session.h"
#include "tests/unit/net/api_rig.h"

typedef struct kp_fetch_request_fetch_topic in_topic;
typedef struct kp_fetch_request_fetch_partition in_part;
typedef struct kp_fetch_response_partition_data out_part;

// A request for at most 8 partitions of one topic.
struct ask {
    struct kp_fetch_request m;
    in_topic topic;
    in_part parts[8];
};

static void ask_init(struct ask *a, const struct meta_topic *t)
{
    memset(a, 0, sizeof(*a));
    kp_fetch_request_init(&a->m);
    kp_fetch_request_fetch_topic_init(&a->topic);
    a->m.max_wait_ms = 500;
    a->m.min_bytes = 1;
    a->m.max_bytes = 1 << 20;
    a->m.session_epoch = FETCH_EPOCH_FINAL;
    a->m.topics = &a->topic;
    a->m.topics_n = 1;
    a->topic.topic = kp_str_of(t->name);
    a->topic.topic_id = t->id;
    a->topic.partitions = a->parts;
}

static in_part *ask_part(struct ask *a, int32_t partition, int64_t offset)
{
    in_part *p = &a->parts[a->topic.partitions_n++];
    kp_fetch_request_fetch_partition_init(p);
    p->partition = partition;
    p->fetch_offset = offset;
    p->partition_max_bytes = 1 << 20;
    return p;
}

static void ask_send(struct rig *t, struct conn *c, struct ask *a, int16_t version)
{
    RIG_SEND(t, c, &api_fetch, version, &a->m, fetch_request);
}

static struct kp_fetch_response peek(struct rig *t, struct conn *c, int16_t version)
{
    struct kp_fetch_response m;
    assert_true(RIG_PEEK(t, c, version, &m, fetch_response));
    return m;
}

static uint32_t shard_at(const struct rig *t, const struct meta_topic *mt, int32_t partition)
{
    return net_shard_of(&t->n, &mt->id, partition);
}

// ---- one shard -----------------------------------------------------------------------------------------------------------
static void test_records_at_once(void **state)
{
    for (int16_t v = 4; v <= 18; v++) {
        struct rig *t = rig_new();
        struct meta_topic *mt = rig_topic(t, "a", 1);
        struct conn *c = &t->conns[0];
        struct ask a;
        ask_init(&a, mt);
        ask_part(&a, 0, 2);
        rig_append(t, mt, 0, 5);
        ask_send(t, c, &a, v);
        struct kp_fetch_response m = peek(t, c, v);
        assert_int_equal(m.responses_n, 1);
        if (v < 13)
            assert_true(kp_str_eq(m.responses[0].topic, KP_STR_LIT("a")));
        else
            assert_true(sl_uuid_eq(&m.responses[0].topic_id, &mt->id));
        const out_part *p = &m.responses[0].partitions[0];
        assert_int_equal(p->error_code, 0);
        assert_int_equal(p->high_watermark, 5);
        assert_int_equal(p->last_stable_offset, 5);
        assert_int_equal(p->records.n, 300);
        assert_int_equal(p->records.p[299], 0x5a);
        assert_int_equal(p->aborted_transactions_n, -1);
        assert_int_equal(rig_pins(t), 1); // until the answer was sent
        rig_drop(t, c);
        assert_int_equal(t->shards[shard_at(t, mt, 0)].fetches, 1);
        assert_int_equal(t->shards[shard_at(t, mt, 0)].unwatches, 0);
        rig_quiet(t, 1024);
        rig_free(t);
    }
}

static void test_waits_for_records(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 1);
    struct conn *c = &t->conns[0];
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    a.m.isolation_level = 1;
    ask_send(t, c, &a, 12);
    assert_false(rig_answered(c));
    assert_int_equal(rig_watches(t), 1);
    rig_pass(t, 499);
    assert_false(rig_answered(c));
    rig_append(t, mt, 0, 1);
    rig_turns(t);
    struct kp_fetch_response m = peek(t, c, 12);
    assert_int_equal(m.responses[0].partitions[0].records.n, 100);
    assert_int_equal(m.responses[0].partitions[0].aborted_transactions_n, 0); // read_committed: a list
    assert_int_equal(t->shards[shard_at(t, mt, 0)].fetches, 1);               // the notice brought them
    rig_drop(t, c);
    rig_quiet(t, 1024);
    rig_free(t);
}

static void test_deadline(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 1);
    struct conn *c = &t->conns[0];
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    a.m.min_bytes = 1000;
    ask_send(t, c, &a, 12);
    rig_append(t, mt, 0, 3); // too little to wake it
    rig_pass(t, 499);
    assert_false(rig_answered(c));
    rig_pass(t, 1);
    struct kp_fetch_response m = peek(t, c, 12);
    assert_int_equal(m.responses[0].partitions[0].records.n, 300);
    rig_drop(t, c);
    rig_quiet(t, 1024);
    assert_int_equal(t->shards[shard_at(t, mt, 0)].unwatches, 1);
    rig_free(t);
}

// ---- what is left for the next fetch -------------------------------------------------------------------------------------
// A shard that had nothing is asked once; what it pushes is the answer.
static void test_asked_once(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 8);
    struct conn *c = &t->conns[0];
    struct rig_shard *at = &t->shards[shard_at(t, mt, 0)], *other = &t->shards[!at->index];
    struct ask a;
    ask_init(&a, mt);
    for (int32_t i = 0; i < 8; i++)
        ask_part(&a, i, 0);
    for (int64_t round = 0; round < 5; round++) {
        a.parts[0].fetch_offset = round;
        ask_send(t, c, &a, 12);
        assert_false(rig_answered(c));
        rig_append(t, mt, 0, 1);
        rig_turns(t);
        struct kp_fetch_response m = peek(t, c, 12);
        assert_int_equal(m.responses[0].partitions_n, 8);
        assert_int_equal(m.responses[0].partitions[0].records.n, 100);
        assert_int_equal(m.responses[0].partitions[0].high_watermark, round + 1);
        assert_int_equal(m.responses[0].partitions[1].high_watermark, 0);
        assert_int_equal(rig_pins(t), 1);
        rig_drop(t, c);
    }
    assert_int_equal(at->fetches, 5);
    assert_int_equal(at->pushes, 5);
    assert_int_equal(other->fetches, 1);
    // At the deadline it is asked after all: the answer to an earlier request is not one to this.
    a.parts[0].fetch_offset = 5;
    ask_send(t, c, &a, 12);
    rig_pass(t, 500);
    assert_true(rig_answered(c));
    rig_drop(t, c);
    assert_int_equal(at->fetches, 6);
    assert_int_equal(other->fetches, 2);
    rig_quiet(t, 1024);
    rig_free(t);
}

// A watch that fires between two fetches brings an answer that nobody waits for yet.
static void test_fires_between(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 1);
    struct conn *c = &t->conns[0];
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    ask_send(t, c, &a, 12);
    rig_pass(t, 500);
    assert_true(rig_answered(c));
    rig_drop(t, c);
    assert_int_equal(rig_watches(t), 1);
    rig_append(t, mt, 0, 3);
    rig_turns(t);
    assert_int_equal(rig_pins(t), 1);
    uint32_t fetches = t->shards[shard_at(t, mt, 0)].fetches;
    ask_send(t, c, &a, 12);
    assert_int_equal(t->shards[shard_at(t, mt, 0)].fetches, fetches);
    assert_int_equal(peek(t, c, 12).responses[0].partitions[0].records.n, 300);
    rig_drop(t, c);
    rig_quiet(t, 1024);
    rig_free(t);
}

// At the tail: the watch waits on behind each answer, and its shard is not asked again.
static void test_goes_on(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 8);
    struct conn *c = &t->conns[0];
    struct rig_shard *at = &t->shards[shard_at(t, mt, 0)];
    struct ask a;
    at->goes_on = true;
    ask_init(&a, mt);
    for (int32_t i = 0; i < 8; i++)
        ask_part(&a, i, 0);
    for (int64_t round = 0; round < 10; round++) {
        a.parts[0].fetch_offset = round;
        if (round % 3 != 1) // else it comes before it is asked for, and is held
            ask_send(t, c, &a, 13);
        assert_false(rig_answered(c));
        rig_append(t, mt, 0, 1);
        rig_turns(t);
        if (round % 3 == 1) {
            assert_int_equal(rig_pins(t), 1);
            ask_send(t, c, &a, 13);
        }
        struct kp_fetch_response m = peek(t, c, 13);
        assert_int_equal(m.responses[0].partitions_n, 8);
        for (int32_t i = 0; i < 8; i++)
            assert_int_equal(m.responses[0].partitions[i].records.n, i ? 0 : 100);
        assert_int_equal(m.responses[0].partitions[0].high_watermark, round + 1);
        rig_drop(t, c);
        assert_int_equal(rig_pins(t), 0);
    }
    assert_int_equal(at->fetches, 1);
    assert_int_equal(at->pushes, 10);
    assert_int_equal(at->read, 10);
    rig_quiet(t, 1024);
    rig_free(t);
}

// An answer that came too early: nobody comes for it, another question is asked, one that must not wait, the connection ends;
// or a second one follows.
static void test_held(void **state)
{
    for (int what = 0; what < 5; what++) {
        struct rig *t = rig_new();
        struct meta_topic *mt = rig_topic(t, "a", 1);
        struct conn *c = &t->conns[0];
        struct rig_shard *at = &t->shards[shard_at(t, mt, 0)];
        struct ask a;
        at->goes_on = true;
        ask_init(&a, mt);
        ask_part(&a, 0, 0);
        ask_send(t, c, &a, 12);
        rig_append(t, mt, 0, 1);
        rig_turns(t);
        rig_drop(t, c);
        assert_int_equal(rig_pins(t), 0);
        rig_append(t, mt, 0, 2);
        rig_turns(t);
        assert_int_equal(rig_pins(t), 1);
        assert_int_equal(t->n.held_bytes, 200);
        a.parts[0].fetch_offset = 1;
        if (what == 0) {
            rig_pass(t, 200);
            assert_int_equal(rig_pins(t), 0);
        } else if (what == 1) {
            a.parts[0].fetch_offset = 0;
        } else if (what == 2) {
            a.m.max_wait_ms = 0;
        } else if (what == 3) {
            fetch_keep_free(c, true);
            rig_turns(t);
            assert_int_equal(rig_pins(t), 0);
        } else {
            rig_append(t, mt, 0, 1);
            rig_turns(t);
            assert_int_equal(rig_pins(t), 1); // the first of them
        }
        ask_send(t, c, &a, 12);
        struct kp_fetch_response m = peek(t, c, 12);
        assert_int_equal(m.responses[0].partitions[0].records.n, what == 1 ? 300 : 200);
        assert_int_equal(at->fetches, what == 4 ? 1 : 2);
        rig_drop(t, c);
        if (what == 4) {
            a.parts[0].fetch_offset = 3;
            ask_send(t, c, &a, 12);
            assert_int_equal(peek(t, c, 12).responses[0].partitions[0].records.n, 100);
            assert_int_equal(at->fetches, 2);
            rig_drop(t, c);
        }
        rig_quiet(t, 1024);
        rig_free(t);
    }
}

// The notice of an older question is under way when the newer one is asked.
static void test_older_answer(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 2);
    struct conn *c = &t->conns[0];
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    ask_send(t, c, &a, 12);
    rig_pass(t, 500);
    rig_drop(t, c);
    rig_append(t, mt, 0, 3);
    a.parts[0].fetch_offset = 2;
    ask_send(t, c, &a, 12);
    assert_int_equal(peek(t, c, 12).responses[0].partitions[0].records.n, 100);
    rig_drop(t, c);
    a.parts[0].fetch_offset = 3;
    ask_send(t, c, &a, 12);
    rig_pass(t, 500);
    rig_drop(t, c);
    rig_append(t, mt, 0, 1);
    a.topic.partitions_n = 0;
    ask_part(&a, 1, 0); // another shard, perhaps; nothing there
    ask_send(t, c, &a, 12);
    assert_false(rig_answered(c));
    rig_pass(t, 500);
    assert_int_equal(peek(t, c, 12).responses[0].partitions[0].records.n, 0);
    rig_drop(t, c);
    rig_quiet(t, 1024);
    rig_free(t);
}

// An error that comes while it waits: deletion, a new leader epoch, an offset that is gone.
static void test_state_while_waiting(void **state)
{
    for (int what = 0; what < 3; what++) {
        struct rig *t = rig_new();
        struct meta_topic *mt = rig_topic(t, "a", 8);
        struct conn *c = &t->conns[0];
        struct rig_part *p = rig_part(t, &mt->id, 3);
        struct ask a;
        ask_init(&a, mt);
        for (int32_t i = 0; i < 8; i++)
            ask_part(&a, i, 0)->current_leader_epoch = 3;
        ask_send(t, c, &a, 12);
        assert_false(rig_answered(c));
        if (what == 0)
            p->error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
        else if (what == 1)
            p->epoch = 4;
        else
            p->start = p->end = 10;
        rig_fire(&t->shards[shard_at(t, mt, 3)], 1 << 20);
        rig_turns(t);
        struct kp_fetch_response m = peek(t, c, 12);
        static const int16_t errors[] = {KERR_UNKNOWN_TOPIC_OR_PARTITION, KERR_FENCED_LEADER_EPOCH,
                                         KERR_OFFSET_OUT_OF_RANGE};
        assert_int_equal(m.responses[0].partitions[3].error_code, errors[what]);
        assert_int_equal(m.responses[0].partitions[2].error_code, 0);
        rig_drop(t, c);
        rig_quiet(t, 1024);
        rig_free(t);
    }
}

static void test_no_wait(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 1);
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    a.m.max_wait_ms = 0;
    ask_send(t, &t->conns[0], &a, 12);
    assert_int_equal(peek(t, &t->conns[0], 12).responses[0].partitions[0].records.n, 0);
    a.m.max_wait_ms = 500;
    a.m.min_bytes = 0;
    ask_send(t, &t->conns[1], &a, 12);
    assert_true(rig_answered(&t->conns[1]));
    assert_int_equal(rig_watches(t), 0);
    rig_free(t);
}

static void test_closing_cancels(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 4);
    struct conn *c = &t->conns[0];
    struct ask a;
    ask_init(&a, mt);
    for (int32_t i = 0; i < 4; i++)
        ask_part(&a, i, 0);
    ask_send(t, c, &a, 12);
    assert_int_equal(rig_watches(t), 2);
    conn_close(c, NULL);
    rig_turns(t);
    assert_false(rig_answered(c));
    assert_int_equal(c->requests_n, 0);
    rig_quiet(t, 1024);
    rig_free(t);
}

// An answer that a watch brought is still on its way out when the connection ends.
static void test_closing_pushed(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 1);
    struct conn *c = &t->conns[0];
    struct ask a;
    t->shards[shard_at(t, mt, 0)].goes_on = true;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    ask_send(t, c, &a, 12);
    rig_append(t, mt, 0, 1);
    rig_turns(t);
    assert_true(rig_answered(c));
    assert_int_equal(rig_pins(t), 1);
    fetch_keep_free(c, true);
    rig_drop(t, c);
    assert_int_equal(rig_pins(t), 0);
    rig_quiet(t, 1024);
    rig_free(t);
}

// The peer has shut its side down, as one that asks once and reads to the end does: it is answered at once.
static void test_half_closed(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 1);
    struct conn *c = &t->conns[0];
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    a.m.min_bytes = 1000;
    rig_append(t, mt, 0, 3);
    ask_send(t, c, &a, 12);
    assert_false(rig_answered(c));
    assert_int_equal(rig_pins(t), 0);
    c->eof = true;
    c->on_close(c);
    rig_turns(t);
    assert_int_equal(peek(t, c, 12).responses[0].partitions[0].records.n, 300);
    rig_drop(t, c);
    ask_send(t, c, &a, 12); // one that was still in line
    assert_true(rig_answered(c));
    rig_drop(t, c);
    rig_quiet(t, 1024);
    rig_free(t);
}

// ---- several shards --------------------------------------------------------------------------------------------------------
// Partitions of `mt` on each of the two shards.
static void two_parts(struct rig *t, const struct meta_topic *mt, int32_t *x, int32_t *y)
{
    *x = 0;
    for (*y = 1; shard_at(t, mt, *y) == shard_at(t, mt, *x);)
        ++*y;
}

static void test_order_is_the_requests(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 8);
    struct ask a;
    ask_init(&a, mt);
    for (int32_t i = 0; i < 8; i++) {
        ask_part(&a, 7 - i, 0);
        rig_append(t, mt, i, i);
    }
    ask_send(t, &t->conns[0], &a, 13);
    struct kp_fetch_response m = peek(t, &t->conns[0], 13);
    assert_int_equal(m.responses_n, 1);
    assert_int_equal(m.responses[0].partitions_n, 8);
    for (int32_t i = 0; i < 8; i++) {
        assert_int_equal(m.responses[0].partitions[i].partition_index, 7 - i);
        assert_int_equal(m.responses[0].partitions[i].records.n, (7 - i) * 100);
    }
    rig_drop(t, &t->conns[0]);
    rig_quiet(t, 1024);
    rig_free(t);
}

// KIP-74: only the first partition with records may exceed the limits, whichever shard it is on.
static void test_first_batch_whole(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 8);
    int32_t x, y;
    struct ask a;
    two_parts(t, mt, &x, &y);
    for (int turn = 0; turn < 2; turn++) {
        struct conn *c = &t->conns[turn];
        ask_init(&a, mt);
        ask_part(&a, turn ? y : x, 0);
        ask_part(&a, turn ? x : y, 0);
        a.m.max_bytes = turn ? 1 << 20 : 1;
        a.parts[0].partition_max_bytes = a.parts[1].partition_max_bytes = 10;
        if (!turn) {
            rig_append(t, mt, x, 3);
            rig_append(t, mt, y, 3);
        }
        ask_send(t, c, &a, 12);
        struct kp_fetch_response m = peek(t, c, 12);
        assert_int_equal(m.responses[0].partitions[0].records.n, 100);
        assert_int_equal(m.responses[0].partitions[1].records.n, 0);
        assert_int_equal(m.responses[0].partitions[1].high_watermark, 3);
        rig_drop(t, c);
    }
    rig_quiet(t, 1024);
    rig_free(t);
}

static void test_min_bytes_over_shards(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 8);
    struct conn *c = &t->conns[0];
    int32_t x, y;
    struct ask a;
    two_parts(t, mt, &x, &y);
    ask_init(&a, mt);
    ask_part(&a, x, 0);
    ask_part(&a, y, 0);
    a.m.min_bytes = 1000;
    rig_append(t, mt, x, 7); // more than half at once: both watch for half of what is missing
    ask_send(t, c, &a, 12);
    assert_false(rig_answered(c));
    assert_int_equal(rig_watches(t), 2);
    rig_append(t, mt, y, 2); // fires, but 100 bytes are missing
    rig_turns(t);
    assert_false(rig_answered(c));
    rig_append(t, mt, x, 1);
    rig_turns(t);
    assert_true(rig_answered(c));
    rig_drop(t, c);
    rig_quiet(t, 1024);
    rig_free(t);
}

static void test_error_answers_at_once(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 8);
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    ask_part(&a, 1, 99);
    ask_send(t, &t->conns[0], &a, 12);
    struct kp_fetch_response m = peek(t, &t->conns[0], 12);
    assert_int_equal(m.responses[0].partitions[0].error_code, 0);
    assert_int_equal(m.responses[0].partitions[1].error_code, KERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(m.responses[0].partitions[1].high_watermark, -1);
    rig_drop(t, &t->conns[0]);
    rig_quiet(t, 1024);
    rig_free(t);
}

// ---- topics ----------------------------------------------------------------------------------------------------------------
static void test_unknown_topics(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 2), other = *mt;
    struct ask a;
    other.name = "b";
    other.id = sl_uuid_make(99, 99);
    ask_init(&a, &other);
    ask_part(&a, 0, 0);
    ask_send(t, &t->conns[0], &a, 12); // nothing known to wait for: at once
    assert_int_equal(peek(t, &t->conns[0], 12).responses[0].partitions[0].error_code,
                     KERR_UNKNOWN_TOPIC_OR_PARTITION);
    ask_send(t, &t->conns[1], &a, 13);
    struct kp_fetch_response m = peek(t, &t->conns[1], 13);
    assert_int_equal(m.responses[0].partitions[0].error_code, KERR_UNKNOWN_TOPIC_ID);
    assert_true(sl_uuid_eq(&m.responses[0].topic_id, &other.id));
    ask_init(&a, mt);
    ask_part(&a, 2, 0);
    ask_part(&a, -1, 0);
    ask_send(t, &t->conns[2], &a, 13);
    m = peek(t, &t->conns[2], 13);
    assert_int_equal(m.responses[0].partitions[0].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(m.responses[0].partitions[1].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    rig_free(t);
}

// What no shard is asked for comes last, and its topic is named again if another came between.
static void test_unknown_last(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 2);
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 9, 0);
    ask_part(&a, 0, 0);
    ask_part(&a, 8, 0);
    ask_part(&a, 1, 5);
    ask_send(t, &t->conns[0], &a, 13);
    struct kp_fetch_response m = peek(t, &t->conns[0], 13);
    assert_int_equal(m.responses_n, 1);
    static const int32_t want[] = {0, 1, 9, 8};
    for (int i = 0; i < 4; i++)
        assert_int_equal(m.responses[0].partitions[i].partition_index, want[i]);
    assert_int_equal(m.responses[0].partitions[1].error_code, KERR_OFFSET_OUT_OF_RANGE);
    rig_free(t);
}

// An isolation level that does not exist is refused, and nothing is read.
static void test_bad_isolation(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 2);
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    ask_part(&a, 1, 0);
    for (int16_t v = 4; v <= 18; v++) {
        a.m.isolation_level = v % 2 ? 2 : -1;
        ask_send(t, &t->conns[v], &a, v);
        struct kp_fetch_response m = peek(t, &t->conns[v], v);
        assert_int_equal(m.error_code, v >= 7 ? KERR_UNKNOWN_SERVER_ERROR : KERR_NONE);
        assert_int_equal(m.responses_n, v >= 13 ? 0 : 1);
        for (int i = 0; v < 13 && i < 2; i++) {
            assert_int_equal(m.responses[0].partitions[i].partition_index, i);
            assert_int_equal(m.responses[0].partitions[i].error_code, KERR_UNKNOWN_SERVER_ERROR);
        }
    }
    assert_int_equal(t->shards[0].fetches + t->shards[1].fetches, 0);
    rig_free(t);
}

static void test_leader_elsewhere(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 1);
    struct ask a;
    struct kp_fetch_response m;
    ask_init(&a, mt);
    ask_part(&a, 0, 0)->current_leader_epoch = 2; // the shard has 3
    for (int16_t v = 9; v <= 18; v++) {
        ask_send(t, &t->conns[v], &a, v);
        m = peek(t, &t->conns[v], v);
        assert_int_equal(m.responses[0].partitions[0].error_code, KERR_FENCED_LEADER_EPOCH);
        assert_int_equal(m.responses[0].partitions[0].current_leader.leader_epoch, v >= 16 ? 3 : -1);
        assert_int_equal(m.node_endpoints_n, v >= 16 ? 1 : 0);
    }
    assert_int_equal(m.node_endpoints[0].node_id, RIG_NODE);
    assert_int_equal(m.node_endpoints[0].port, 9092);
    t->mparts[0][0].leader = 2;
    t->mparts[0][0].leader_epoch = 8;
    ask_send(t, &t->conns[0], &a, 17);
    m = peek(t, &t->conns[0], 17);
    assert_int_equal(m.responses[0].partitions[0].error_code, KERR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(m.responses[0].partitions[0].current_leader.leader_id, 2);
    assert_int_equal(m.responses[0].partitions[0].current_leader.leader_epoch, 8);
    assert_int_equal(m.node_endpoints_n, 0); // not known here
    rig_free(t);
}

static void test_named_twice(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 2);
    struct ask a;
    rig_append(t, mt, 0, 5);
    for (int16_t v = 12; v <= 13; v++) {
        struct conn *c = &t->conns[v];
        ask_init(&a, mt);
        ask_part(&a, 0, 0);
        ask_part(&a, 1, 0);
        ask_part(&a, 0, 4);
        ask_send(t, c, &a, v);
        struct kp_fetch_response m = peek(t, c, v);
        assert_int_equal(m.responses[0].partitions_n, 2);
        assert_int_equal(m.responses[0].partitions[0].partition_index, 0);
        assert_int_equal(m.responses[0].partitions[0].records.n, 100);
        rig_drop(t, c);
    }
    rig_quiet(t, 1024);
    rig_free(t);
}

// ---- credits -----------------------------------------------------------------------------------------------------------------
// Many connections whose answers are never sent keep no credits: others go on.
static void crowd(uint32_t credits, uint32_t conns)
{
    struct rig *t = rig_new_with(credits, NULL);
    struct meta_topic *mt = rig_topic(t, "a", 8);
    struct ask a;
    ask_init(&a, mt);
    for (int32_t i = 0; i < 8; i++)
        ask_part(&a, i, 0);
    for (uint32_t i = 0; i < conns; i++)
        ask_send(t, &t->conns[i], &a, 13);
    assert_int_equal(rig_watches(t), 2 * conns);
    for (int32_t i = 0; i < 8; i++) {
        rig_append(t, mt, i, 10);
        rig_turns(t);
    }
    for (uint32_t i = 0; i < conns; i++)
        assert_true(rig_answered(&t->conns[i]));
    assert_true(rig_pins(t) >= conns);
    for (uint32_t i = 0; i < conns; i += 2)
        conn_close(&t->conns[i], NULL);
    for (uint32_t i = 0; i < conns; i++)
        rig_drop(t, &t->conns[i]);
    rig_quiet(t, credits);
    rig_free(t);
}

static void test_credits(void **state)
{
    crowd(1, 24);
    crowd(2, 24);
    crowd(64, 30);
}

// ---- sessions ------------------------------------------------------------------------------------------------------------------
static void test_session(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 4);
    struct conn *c = &t->conns[0];
    struct ask a;
    struct kp_fetch_response m;
    ask_init(&a, mt);
    for (int32_t i = 0; i < 4; i++)
        ask_part(&a, i, 0);
    a.m.session_epoch = FETCH_EPOCH_INITIAL;
    a.m.max_wait_ms = 0;
    ask_send(t, c, &a, 13);
    m = peek(t, c, 13);
    int32_t id = m.session_id;
    assert_true(id > 0);
    assert_int_equal(m.responses[0].partitions_n, 4);
    rig_drop(t, c);
    // Nothing new: nothing in the answer.
    a.m.session_id = id;
    a.m.session_epoch = 1;
    a.m.topics_n = 0;
    ask_send(t, c, &a, 13);
    m = peek(t, c, 13);
    assert_int_equal(m.session_id, id);
    assert_int_equal(m.responses_n, 0);
    rig_drop(t, c);
    // Records in one partition.
    rig_append(t, mt, 2, 1);
    a.m.session_epoch = 2;
    ask_send(t, c, &a, 13);
    m = peek(t, c, 13);
    assert_int_equal(m.responses_n, 1);
    assert_int_equal(m.responses[0].partitions_n, 1);
    assert_int_equal(m.responses[0].partitions[0].partition_index, 2);
    rig_drop(t, c);
    // The offset moves on; an old epoch, another kind, an unknown session.
    a.m.topics_n = 1;
    a.topic.partitions_n = 0;
    ask_part(&a, 2, 1);
    a.m.session_epoch = 3;
    ask_send(t, c, &a, 13);
    assert_int_equal(peek(t, c, 13).responses_n, 0);
    rig_drop(t, c);
    ask_send(t, c, &a, 13);
    assert_int_equal(peek(t, c, 13).error_code, KERR_INVALID_FETCH_SESSION_EPOCH);
    rig_drop(t, c);
    a.m.session_epoch = 4;
    ask_send(t, c, &a, 12);
    assert_int_equal(peek(t, c, 12).error_code, KERR_FETCH_SESSION_TOPIC_ID_ERROR);
    rig_drop(t, c);
    a.m.session_id = id ^ 1;
    ask_send(t, c, &a, 13);
    assert_int_equal(peek(t, c, 13).error_code, KERR_FETCH_SESSION_ID_NOT_FOUND);
    rig_drop(t, c);
    rig_quiet(t, 1024);
    rig_free(t);
}

// A deleted topic stays in a session as an error, told each time.
static void test_session_by_name_and_deletion(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 1);
    struct conn *c = &t->conns[0];
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    a.m.session_epoch = FETCH_EPOCH_INITIAL;
    a.m.max_wait_ms = 0;
    ask_send(t, c, &a, 11);
    a.m.session_id = peek(t, c, 11).session_id;
    assert_true(a.m.session_id > 0);
    rig_drop(t, c);
    a.m.topics_n = 0;
    t->img.topics_n = 0;
    for (int32_t e = 1; e < 4; e++) {
        a.m.session_epoch = e;
        ask_send(t, c, &a, 11);
        struct kp_fetch_response m = peek(t, c, 11);
        assert_int_equal(m.responses_n, 1);
        assert_true(kp_str_eq(m.responses[0].topic, KP_STR_LIT("a")));
        assert_int_equal(m.responses[0].partitions[0].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
        rig_drop(t, c);
    }
    rig_free(t);
}

// While one request of a session waits, another connection uses the session: the first is refused at its end.
static void test_session_used_twice(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 1);
    struct ask a;
    ask_init(&a, mt);
    ask_part(&a, 0, 0);
    a.m.session_epoch = FETCH_EPOCH_INITIAL;
    a.m.max_wait_ms = 0;
    ask_send(t, &t->conns[0], &a, 13);
    a.m.session_id = peek(t, &t->conns[0], 13).session_id;
    a.m.session_epoch = 1;
    a.m.max_wait_ms = 500;
    a.m.topics_n = 0;
    ask_send(t, &t->conns[1], &a, 13);
    assert_false(rig_answered(&t->conns[1]));
    struct kp_fetch_request_forgotten_topic gone = {
        .topic_id = mt->id, .partitions = (int32_t[]){0}, .partitions_n = 1};
    a.m.session_epoch = 2;
    a.m.forgotten_topics_data = &gone;
    a.m.forgotten_topics_data_n = 1;
    ask_send(t, &t->conns[2], &a, 13);
    assert_int_equal(peek(t, &t->conns[2], 13).session_id, 0); // nothing left: no session
    rig_append(t, mt, 0, 1);
    rig_turns(t);
    assert_int_equal(peek(t, &t->conns[1], 13).error_code, KERR_INVALID_FETCH_SESSION_EPOCH);
    for (int i = 0; i < 3; i++)
        rig_drop(t, &t->conns[i]);
    rig_quiet(t, 1024);
    rig_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_at_once),
        cmocka_unit_test(test_waits_for_records),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_asked_once),
        cmocka_unit_test(test_fires_between),
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_older_answer),
        cmocka_unit_test(test_state_while_waiting),
        cmocka_unit_test(test_no_wait),
        cmocka_unit_test(test_closing_cancels),
        cmocka_unit_test(test_closing_pushed),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_order_is_the_requests),
        cmocka_unit_test(test_first_batch_whole),
        cmocka_unit_test(test_min_bytes_over_shards),
        cmocka_unit_test(test_error_answers_at_once),
        cmocka_unit_test(test_unknown_topics),
        cmocka_unit_test(test_unknown_last),
        cmocka_unit_test(test_bad_isolation),
        cmocka_unit_test(test_leader_elsewhere),
        cmocka_unit_test(test_named_twice),
        cmocka_unit_test(test_credits),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_session_by_name_and_deletion),
        cmocka_unit_test(test_session_used_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
