// Frames as they arrive: cut anywhere, many at once, slowly, with lengths that lie.
#include "net_test.h"

static void cut_at_every_byte(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1});
    struct client *c = client_up(&g);
    size_t n;
    uint8_t *f = frame_produce(9, 7, -1, "logs", 0, (const uint8_t *)"xxxxxxxxxxxxxxxx", 16, &n);
    for (size_t cut = 1; cut < n; cut++) {
        client_send(c, f, cut);
        sim_run(g.w, 100 * 1000, NULL, NULL);
        client_send(c, f + cut, n - cut);
        assert_true(client_wait(c, (uint32_t)cut, SEC));
        assert_int_equal(client_take_corr(c), 7);
    }
    free(f);
    rig_down(&g);
}

static void byte_by_byte(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 2});
    struct client *c = client_up(&g);
    for (uint32_t times = 1; times <= 2; times++) {
        size_t n;
        uint8_t *f = client_batch(c, -1, 0, 300, &n);
        for (size_t i = 0; i < n; i++) {
            client_send(c, f + i, 1);
            sim_run(g.w, 50 * 1000, NULL, NULL);
        }
        assert_true(client_wait(c, times, SEC));
        free(f);
    }
    client_check_order(c, 0);
    rig_down(&g);
}

static void many_at_once(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 3});
    struct client *c = client_up(&g);
    enum { N = 1000 };
    uint8_t *all = malloc(N * 256);
    size_t at = 0, n;
    for (int k = 0; k < N; k++) {
        uint8_t *f =
            k % 3 ? client_batch(c, -1, k % 3, 40, &n) : frame_api_versions(0, (int32_t)c->next_corr++, &n);
        memcpy(all + at, f, n);
        at += n;
        free(f);
    }
    client_send(c, all, at);
    assert_true(client_wait(c, N, 10 * SEC));
    client_check_order(c, 0);
    free(all);
    rig_down(&g);
}

static void bad_length(uint32_t length)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 4,
                                  .cfg = (const char *const[]){"socket.request.max.bytes=1000000", NULL}});
    struct client *c = client_up(&g);
    uint8_t b[16] = {0};
    // What was asked before it is answered, even late.
    g.delay_min = g.delay_max = 50 * MSEC;
    client_produce(c, -1, 0, 100);
    client_produce(c, -1, 1, 100);
    be32_store(b, length);
    client_send(c, b, length == 7 ? 11 : 4);
    assert_true(client_wait_end(c, 10 * SEC));
    assert_int_equal(c->frames, 2);
    client_check_order(c, 0);
    rig_down(&g);
}

static void lengths_that_lie(void **state)
{
    bad_length(0xffffffff);
    bad_length(0x80000000);
    bad_length(0x7fffffff);
    bad_length(1000001);
    bad_length(0);
    bad_length(7);
}

static void unknown_apis(void **state)
{
    static const struct {
        int16_t key, version;
    } bad[] = {{0, 2}, {0, 14}, {1, 3}, {999, 0}, {-1, 0}, {52, 0}, {3, 14}};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        struct rig g;
        rig_up(&g, &(struct rig_opts){.seed = 5 + i});
        struct client *c = client_up(&g);
        uint8_t f[64] = {0};
        client_ask_versions(c);
        be32_store(f, 60);
        be16_store(f + 4, (uint16_t)bad[i].key);
        be16_store(f + 6, (uint16_t)bad[i].version);
        be16_store(f + 12, 0xffff);
        client_send(c, f, sizeof(f));
        client_ask_versions(c); // never answered
        assert_true(client_wait_end(c, SEC));
        assert_int_equal(c->frames, 1);
        rig_down(&g);
    }
}

// Earlier requests are answered, later ones are not.
static void bodies_that_cannot_be_decoded(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 30});
    g.delay_min = g.delay_max = 20 * MSEC;
    struct client *c = client_up(&g);
    size_t n;
    client_produce(c, -1, 0, 100);
    client_produce(c, -1, 0, 100);
    uint8_t *f = client_batch(c, -1, 1, 100, &n);
    f[18] ^= 0x7f; // in the transactional id's length, or what follows it
    for (size_t i = 18; i < 40; i++)
        f[i] = 0xff;
    client_send(c, f, n);
    free(f);
    client_produce(c, -1, 0, 100);
    assert_true(client_wait_end(c, SEC));
    assert_int_equal(c->frames, 2);
    assert_int_equal(g.appends, 2);
    client_check_order(c, 0);
    rig_down(&g);
}

// Counts that promise far more than the frame has.
static void counts_that_lie(void **state)
{
    for (uint32_t count = 1; count != 0; count = count * 8 + 7) {
        struct rig g;
        rig_up(&g, &(struct rig_opts){.seed = 40});
        struct client *c = client_up(&g);
        uint8_t f[64] = {0};
        be32_store(f, 60);
        be16_store(f + 6, 8); // Produce 8
        be16_store(f + 12, 0xffff);
        be16_store(f + 14, 0xffff); // transactional id
        be16_store(f + 16, 0xffff); // acks
        be32_store(f + 22, count);  // topics
        client_send(c, f, sizeof(f));
        bool fits = count <= 6; // empty names, no partitions
        assert_int_equal(client_wait(c, 1, SEC), fits);
        assert_int_equal(c->ended, !fits);
        rig_down(&g);
        if (count > 0x1fffffff)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_every_byte), cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(many_at_once),      cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(unknown_apis),      cmocka_unit_test(bodies_that_cannot_be_decoded),
        cmocka_unit_test(counts_that_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
