// Connections: order, limits, memory, and every way to end.
#include "net_test.h"

// SLUICE_SEEDS: how many worlds each seeded test plays.
static uint64_t seeds(void)
{
    const char *s = getenv("SLUICE_SEEDS");
    return s ? strtoull(s, NULL, 10) : 3;
}

static bool all_answered(void *arg)
{
    struct rig *g = arg;
    for (uint32_t i = 0; i < g->clients_n; i++) {
        const struct client *c = g->clients[i];
        if (!c->closed && !c->refused && !c->ended && (!c->connected || c->frames < c->sent))
            return false;
    }
    return true;
}

static uint32_t conns_of(const struct rig *g)
{
    return g->nets[0]->conns_n + g->nets[1]->conns_n;
}

static bool no_conns(void *arg)
{
    return conns_of(arg) == 0;
}

static uint32_t odd_size(struct sl_rand *r)
{
    static const uint32_t top[] = {60, 1000, 5000, 33000, 70000, 300000, 1100000};
    return (uint32_t)sl_rand_range(r, BATCH_HEAD, top[sl_rand_below(r, SL_ARRAY_LEN(top))]);
}

// Batches of all sizes over several connections, few and small provided buffers, short receives and sends:
// every byte in order (the shards check them), every answer in order, modes changing on the way.
static void bytes_and_answers_keep_their_order(void **state)
{
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        struct rig g;
        rig_up(&g, &(struct rig_opts){.seed = seed,
                                      .recv_buffers = seed % 2 ? 4 : 64,
                                      .recv_size = seed % 3 ? 700 : 16384,
                                      .sock_buffer = seed % 5 ? 0 : 5000,
                                      .credits = seed % 4 ? 64 : 2,
                                      .faults = {.short_recv = 100000, .short_send = 100000}});
        struct sl_rand *rand = sim_rand(g.w);
        g.delay_max = seed % 2 ? 2 * MSEC : 20 * MSEC;
        for (int i = 0; i < 4; i++)
            client_up(&g);
        for (int k = 0; k < 60; k++) {
            struct client *c = g.clients[sl_rand_below(rand, g.clients_n)];
            uint32_t many = sl_rand_chance(rand, 1, 8) ? 20 : 1;
            for (uint32_t i = 0; i < many; i++) {
                if (sl_rand_chance(rand, 1, 6))
                    client_ask_versions(c);
                else
                    client_produce(c, sl_rand_chance(rand, 1, 9) ? 0 : -1, (int32_t)sl_rand_below(rand, 3),
                                   many > 1 ? 100 : odd_size(rand));
            }
            sim_run(g.w, sl_rand_below(rand, 3 * MSEC), NULL, NULL);
        }
        assert_true(sim_run(g.w, 60 * SEC, all_answered, &g));
        for (uint32_t i = 0; i < g.clients_n; i++) {
            assert_int_equal(g.clients[i]->frames, g.clients[i]->sent);
            assert_false(g.clients[i]->ended);
        }
        rig_down(&g);
    }
}

// Connections that break at any moment, from either side, and a stop in the middle: everything comes home.
static void closes_at_every_moment(void **state)
{
    for (uint64_t seed = 1; seed <= 4 * seeds(); seed++) {
        struct rig g;
        rig_up(&g, &(struct rig_opts){.seed = seed,
                                      .recv_buffers = seed % 2 ? 4 : 0,
                                      .recv_size = seed % 2 ? 900 : 0,
                                      .pool = seed % 3 ? 4u << 20 : 0,
                                      .sock_buffer = seed % 4 ? 0 : 3000,
                                      .credits = seed % 4 ? 64 : 2,
                                      .faults = {.reset = seed % 5 ? 0 : 20000, .short_recv = 50000}});
        struct sl_rand *rand = sim_rand(g.w);
        g.delay_max = sl_rand_below(rand, 30 * MSEC);
        g.fetch_pieces = (uint32_t)sl_rand_below(rand, 4);
        for (int k = 0; k < 40; k++) {
            if (g.clients_n < 10 && sl_rand_chance(rand, 1, 3))
                client_new(&g);
            sim_run(g.w, sl_rand_below(rand, 3 * MSEC), NULL, NULL);
            struct client *c = g.clients_n ? g.clients[sl_rand_below(rand, g.clients_n)] : NULL;
            if (!c || !c->connected || c->closed)
                continue;
            switch (sl_rand_below(rand, 8)) {
            case 0:
                client_close(c);
                break;
            case 1:
                client_fetch(c, (int32_t)sl_rand_below(rand, 3));
                break;
            case 2:
                client_send(c, "\xff\xff\xff\xff", 4);
                break;
            case 3:
                c->reading = !c->reading;
                client_read(c);
                break;
            default:
                for (uint64_t i = sl_rand_below(rand, 6); i > 0; i--)
                    client_produce(c, sl_rand_chance(rand, 1, 4) ? 0 : 1, (int32_t)sl_rand_below(rand, 3),
                                   odd_size(rand));
            }
        }
        rig_down(&g);
    }
}

// The process dies with everything in flight: what is torn down then leaves nothing behind.
static void torn_down_in_the_middle(void **state)
{
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        struct rig g;
        rig_up(&g, &(struct rig_opts){.seed = seed, .pool = seed % 2 ? 4u << 20 : 0});
        struct sl_rand *rand = sim_rand(g.w);
        g.delay_max = 10 * MSEC;
        for (int i = 0; i < 5; i++)
            client_up(&g);
        for (int k = 0; k < 20; k++) {
            struct client *c = g.clients[sl_rand_below(rand, g.clients_n)];
            client_produce(c, 1, 0, odd_size(rand));
            if (k % 5 == 0)
                client_ask_versions(c);
            sim_run(g.w, sl_rand_below(rand, 2 * MSEC), NULL, NULL);
        }
        sim_process_kill(g.sp);
        if (seed % 2) // a dead process's operations come home before it is torn down, or never
            sim_run(g.w, 10 * MSEC, NULL, NULL);
        rig_free(&g);
    }
}

// ---- memory --------------------------------------------------------------------------------------------------------------
// A pool of 4 MiB, twenty connections with frames of up to 2 MiB, shards that keep them for a while: all are
// served.
static void little_memory(void **state)
{
    for (uint64_t seed = 1; seed <= SL_MIN(seeds(), 2u); seed++) {
        struct rig g;
        rig_up(&g, &(struct rig_opts){.seed = seed, .pool = 4u << 20, .recv_buffers = seed % 2 ? 16 : 0});
        g.delay_max = 5 * MSEC;
        for (int i = 0; i < 20; i++)
            client_up(&g);
        for (int k = 0; k < 2; k++)
            for (uint32_t i = 0; i < g.clients_n; i++)
                client_produce(g.clients[i], -1, 1, i % 4 ? 900000 : 1900000);
        assert_true(sim_run(g.w, 100 * SEC, all_answered, &g));
        for (uint32_t i = 0; i < g.clients_n; i++) {
            assert_int_equal(g.clients[i]->frames, 2);
            client_check_order(g.clients[i], 0);
        }
        rig_down(&g);
    }
}

// Frames far larger than the pool come in, one at a time.
static void frames_larger_than_the_pool(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1, .pool = 4u << 20});
    g.delay_max = MSEC;
    for (int i = 0; i < 3; i++)
        client_up(&g);
    for (uint32_t i = 0; i < g.clients_n; i++) {
        client_produce(g.clients[i], -1, 1, 9000000);
        client_produce(g.clients[i], -1, 1, 500);
        client_produce(g.clients[i], -1, 1, 3000000);
    }
    assert_true(sim_run(g.w, 60 * SEC, all_answered, &g));
    for (uint32_t i = 0; i < g.clients_n; i++)
        client_check_order(g.clients[i], 0);
    assert_int_equal(g.appends, 9);
    rig_down(&g);
}

// Peers that begin large frames and say no more cannot keep the others out for long.
static void half_frames_do_not_keep_the_pool(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1, .pool = 4u << 20});
    uint8_t *half = calloc(1, 1000000);
    be32_store(half, 1900000);
    for (int i = 0; i < 30; i++)
        client_send(client_up(&g), half, 1000000);
    free(half);
    sim_run(g.w, SEC, NULL, NULL);
    struct client *c = client_up(&g);
    for (int k = 0; k < 10; k++)
        client_produce(c, -1, 0, 1500000);
    assert_true(client_wait(c, 10, 60 * SEC));
    rig_down(&g);
}

// A thousand peers that have begun large frames and say no more: small requests do not wait for them, be their connections
// older or newer, and few buffers do not change that.
static void half_frames_do_not_hold_up_small_requests(void **state)
{
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct rig g;
        rig_up(&g, &(struct rig_opts){.seed = seed, .pool = 4u << 20, .recv_buffers = 16});
        static uint8_t half[50000];
        struct client *before = client_up(&g);
        be32_store(half, 1900000);
        for (int i = 0; i < 1000; i++)
            client_send(client_up(&g), half, sizeof(half));
        sim_run(g.w, 500 * MSEC, NULL, NULL);
        struct client *after = client_up(&g);
        for (uint32_t k = 1; k <= 50; k++) {
            client_produce(before, -1, 0, k % 3 ? 100 : 5000);
            client_produce(after, -1, 1, k % 5 ? 60 : 9000);
            assert_true(client_wait(before, k, 50 * MSEC));
            assert_true(client_wait(after, k, 50 * MSEC));
        }
        rig_down(&g);
    }
}

// A connection that has sent large frames and is quiet now gives its buffer back.
static void idle_connections_hold_no_buffer(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1});
    for (int i = 0; i < 20; i++)
        client_produce(client_up(&g), -1, 0, 200000);
    assert_true(sim_run(g.w, 10 * SEC, all_answered, &g));
    sim_run(g.w, 4 * SEC, NULL, NULL);
    struct buf_pool_stats st;
    for (int i = 0; i < REACTORS; i++) {
        buf_pool_get_stats(g.nets[i]->frames, &st);
        assert_int_equal(st.in_use, 0);
    }
    for (uint32_t i = 0; i < g.clients_n; i++)
        client_produce(g.clients[i], -1, 0, i % 2 ? 100 : 300000);
    assert_true(sim_run(g.w, 10 * SEC, all_answered, &g));
    for (uint32_t i = 0; i < g.clients_n; i++)
        assert_int_equal(g.clients[i]->frames, 2);
    rig_down(&g);
}

// ---- output --------------------------------------------------------------------------------------------------------------
// A consumer that asks and never reads: what waits for it is bounded, others go on, and in the end it is
// closed.
static void a_consumer_that_never_reads(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1,
                                  .cfg = (const char *const[]){"connections.max.idle.ms=30000", NULL}});
    g.fetch_pieces = 8;
    struct client *c = client_up(&g), *d = client_up(&g);
    c->reading = false;
    sim_run(g.w, MSEC, NULL, NULL); // the receive under way takes the first bytes
    for (int k = 0; k < 200; k++)
        client_fetch(c, 0);
    sim_run(g.w, SEC, NULL, NULL);
    assert_true(g.pins <= 2);
    assert_true(g.fetches <= 3);
    client_produce(d, -1, 0, 1000);
    client_fetch(d, 0);
    assert_true(client_wait(d, 2, SEC));
    sim_run(g.w, 40 * SEC, NULL, NULL);
    assert_int_equal(g.pins, 0);
    assert_true(conns_of(&g) <= 1);
    rig_down(&g);
}

// The same with many small answers: versions asked for a hundred thousand times.
static void a_client_that_never_reads_small_answers(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1, .sock_buffer = 64 << 10});
    struct client *c = client_up(&g);
    c->reading = false;
    size_t n;
    uint8_t *f = frame_api_versions(0, 1, &n);
    for (int k = 0; k < 20000; k++)
        client_send(c, f, n);
    free(f);
    sim_run(g.w, 5 * SEC, NULL, NULL);
    size_t reqs = g.nets[0]->reqs.in_use + g.nets[1]->reqs.in_use;
    assert_true(reqs <= CONN_REQUESTS_MAX);
    c->reading = true; // and it goes on where it stopped
    client_read(c);
    assert_true(client_wait(c, 20000, 600 * SEC));
    rig_down(&g);
}

static void large_answers_in_many_pieces(void **state)
{
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        struct rig g;
        rig_up(&g, &(struct rig_opts){.seed = seed, .sock_buffer = 70000, .faults = {.short_send = 200000}});
        g.fetch_pieces = 5;
        struct client *c = client_up(&g);
        for (int k = 0; k < 4; k++)
            client_fetch(c, k % 3);
        assert_true(client_wait(c, 4, 20 * SEC));
        for (int32_t k = 0; k < 4; k++) {
            uint32_t n;
            struct arena a;
            struct kp_fetch_response m;
            const uint8_t *p = client_take(c, &n);
            assert_int_equal(be32_load(p), k);
            arena_init(&a, 0);
            assert_true(kp_fetch_response_decode(&m, p + 5, n - 5, 12, &a) > 0);
            struct kp_records *r = &m.responses[0].partitions[0].records;
            assert_int_equal(r->n, 5 * FETCH_DATA);
            for (int i = 0; i < 5; i++)
                assert_memory_equal(r->p + (size_t)i * FETCH_DATA, fetch_data, FETCH_DATA);
            arena_free(&a);
        }
        rig_down(&g);
    }
}

// ---- limits ----------------------------------------------------------------------------------------------------------------
static void a_thousand_connections(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1});
    for (int i = 0; i < 1000; i++) {
        struct client *c = client_new(&g);
        if (i % 50 == 0)
            assert_true(sim_run(g.w, SEC, client_is_up, c));
    }
    sim_run(g.w, SEC, NULL, NULL);
    assert_int_equal(conns_of(&g), 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        if (i % 3 == 0)
            client_produce(g.clients[i], 1, 0, 500);
        if (i % 2)
            client_close(g.clients[i]);
    }
    sim_run(g.w, SEC, NULL, NULL);
    assert_int_equal(conns_of(&g), 500);
    for (uint32_t i = 0; i < 1000; i++)
        client_close(g.clients[i]);
    assert_true(sim_run(g.w, SEC, no_conns, &g));
    rig_down(&g);
}

static void idle_connections_are_closed(void **state)
{
    struct rig g;
    rig_up(&g,
           &(struct rig_opts){.seed = 1, .cfg = (const char *const[]){"connections.max.idle.ms=5000", NULL}});
    struct client *idle = client_up(&g), *busy = client_up(&g);
    for (int k = 0; k < 10; k++) {
        client_ask_versions(busy);
        sim_run(g.w, SEC, NULL, NULL);
    }
    assert_true(idle->ended);
    assert_false(busy->ended);
    assert_int_equal(busy->frames, 10);
    // One whose request takes long is not idle.
    g.hold = true;
    client_produce(busy, -1, 0, 100);
    sim_run(g.w, 20 * SEC, NULL, NULL);
    assert_false(busy->ended);
    rig_release(&g);
    assert_true(client_wait(busy, 11, SEC));
    rig_down(&g);
}

static void a_stop_with_requests_in_flight(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1, .credits = 2});
    g.delay_min = g.delay_max = 100 * MSEC;
    g.fetch_pieces = 3;
    for (int i = 0; i < 8; i++) {
        struct client *c = client_up(&g);
        c->reading = i % 2;
        for (int k = 0; k < 4; k++)
            client_produce(c, -1, k % 3, 400000);
        client_fetch(c, 0);
    }
    sim_run(g.w, 20 * MSEC, NULL, NULL);
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_answers_keep_their_order),
        cmocka_unit_test(closes_at_every_moment),
        cmocka_unit_test(torn_down_in_the_middle),
        cmocka_unit_test(little_memory),
        cmocka_unit_test(frames_larger_than_the_pool),
        cmocka_unit_test(half_frames_do_not_keep_the_pool),
        cmocka_unit_test(half_frames_do_not_hold_up_small_requests),
        cmocka_unit_test(idle_connections_hold_no_buffer),
        cmocka_unit_test(a_consumer_that_never_reads),
        cmocka_unit_test(a_client_that_never_reads_small_answers),
        cmocka_unit_test(large_answers_in_many_pieces),
        cmocka_unit_test(a_thousand_connections),
        cmocka_unit_test(idle_connections_are_closed),
        cmocka_unit_test(a_stop_with_requests_in_flight),
    };
    for (uint32_t i = 0; i < FETCH_DATA; i++)
        fetch_data[i] = (uint8_t)(i * 2654435761u >> 13);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
