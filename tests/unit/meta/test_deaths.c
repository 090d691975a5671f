// Brokers that die while the controller works or starts: what was answered holds, and the next life goes on.
#include "rig.h"

#include "engine/base/rand.h"

// What a killed life's fibers held is lost with them.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

// ---- deaths in the middle of requests ---------------------------------------------------------------------
enum { NAMES = 6 };
enum fate { ABSENT, PRESENT, UNKNOWN };
struct model {
    enum fate fate[NAMES];
    struct sl_uuid id[NAMES];
    int64_t next_pid; // no block below it may be given again
    uint64_t answers;
};

static void note_create(struct rig *r, struct model *m, uint32_t i, const char *name)
{
    struct meta_create_topic t;
    bool known = m->fate[i] == ABSENT;
    enum fate before = m->fate[i];
    m->fate[i] = UNKNOWN;
    int16_t error = rig_create(r, name, 1 + (int32_t)(m->answers % 40), &t);
    if (before == PRESENT) {
        assert_int_equal(error, KERR_TOPIC_ALREADY_EXISTS);
    } else if (known) {
        assert_int_equal(error, KERR_NONE);
        m->id[i] = t.id;
    }
    m->fate[i] = PRESENT;
}

static void note_delete(struct rig *r, struct model *m, uint32_t i, const char *name)
{
    enum fate before = m->fate[i];
    m->fate[i] = UNKNOWN;
    int16_t error = rig_delete(r, name);
    assert_int_equal(error, before == PRESENT ? KERR_NONE : KERR_UNKNOWN_TOPIC_OR_PARTITION);
    m->fate[i] = ABSENT;
}

static void note_pids(struct rig *r, struct model *m)
{
    struct meta_pids p = {0};
    rig_ask(r, META_ALLOC_PIDS, &p);
    assert_int_equal(p.error, KERR_NONE);
    assert_true(p.first >= m->next_pid);
    m->next_pid = p.first + p.count;
}

// What was answered holds; what was under way is now one or the other.
static void settle(struct rig *r, struct model *m)
{
    for (uint32_t i = 0; i < NAMES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t.%u", i);
        const struct meta_topic *t = rig_find(r, 0, name);
        if (m->fate[i] == PRESENT)
            assert_true(t && (sl_uuid_is_zero(&m->id[i]) || sl_uuid_eq(&t->id, &m->id[i])));
        if (m->fate[i] == ABSENT)
            assert_null(t);
        m->fate[i] = t ? PRESENT : ABSENT;
        if (t)
            m->id[i] = t->id;
        for (uint32_t p = 0; t && p < t->partitions_n; p++) {
            struct log_ends e;
            struct sl_uuid id = t->id;
            assert_int_equal(rig_describe(r, &id, (int32_t)p, &e), KERR_NONE);
            t = rig_find(r, 0, name);
        }
    }
}

static void script_busy(struct rig *r, void *arg)
{
    struct model *m = arg;
    struct sl_rand *rng = sim_rand(r->w);
    settle(r, m);
    for (;;) {
        uint32_t i = (uint32_t)sl_rand_below(rng, NAMES);
        char name[16];
        snprintf(name, sizeof(name), "t.%u", i);
        switch (sl_rand_below(rng, 4)) {
        case 0:
        case 1:
            note_create(r, m, i, name);
            break;
        case 2:
            note_delete(r, m, i, name);
            break;
        default:
            note_pids(r, m);
        }
        m->answers++;
    }
}

static void test_deaths(void **state)
{
    uint64_t answers = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct rig r;
        struct model m = {0};
        rig_new(&r, seed);
        for (uint32_t life = 0; life < 6; life++) {
            if (rig_start(&r))
                fail_msg("seed %llu life %u: %d %s", (unsigned long long)seed, life, r.rc, r.err);
            rig_launch(&r, script_busy, &m);
            sim_run(r.w, 1 + sl_rand_below(sim_rand(r.w), RIG_SEC / 4), NULL, NULL);
            rig_kill(&r, sl_rand_below(sim_rand(r.w), 2) == 0);
        }
        answers += m.answers;
        rig_end(&r);
    }
    assert_true(answers > 500); // the story is not empty
}

static void script_first(struct rig *r, void *arg)
{
    assert_int_equal(rig_create(r, "first", 3, NULL), KERR_NONE);
}

// ---- deaths while starting --------------------------------------------------------------------------------
static void test_deaths_at_start(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rig r;
        rig_new(&r, seed);
        for (uint32_t life = 0; life < 3; life++) { // cut short, before anything was answered
            r.p = sim_process_create(r.w, r.h);
            for (uint32_t i = 0; i < RIG_REACTORS; i++)
                r.ios[i] = sim_io_create(r.p);
            r.metrics = metrics_create(RIG_REACTORS);
            r.g = reactor_group_create(RIG_REACTORS, r.ios, 16, r.metrics);
            placement_make(&r.pl, RIG_REACTORS, false);
            r.serving = false;
            r.shards_ready = 0;
            r.rc = 0;
            sim_attach(r.p, r.g);
            fiber_spawn(reactor_group_get(r.g, 0), rig_boot_fiber, &r, 512 << 10);
            sim_run(r.w, 1 + sl_rand_below(sim_rand(r.w), RIG_SEC / 20), NULL, NULL);
            assert_int_equal(r.rc, 0);
            rig_kill(&r, sl_rand_below(sim_rand(r.w), 2) == 0);
        }
        if (rig_start(&r))
            fail_msg("seed %llu: %s", (unsigned long long)seed, r.err);
        rig_do(&r, script_first, NULL);
        rig_stop(&r);
        rig_end(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_deaths_at_start),
    };
    sl_log_set_sink(rig_quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
