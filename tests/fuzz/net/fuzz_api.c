/* Any bytes as a request body of any handler but Produce and ApiVersions: the first byte chooses the handler,
 * the second its version and what else happens, the rest is the body. Requests of one connection follow one
 * another, so that sessions live. Whatever comes, it is answered or the connection ends, and then nothing is
 * pinned, watched or under way. */
#include "tests/unit/net/api_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct api_handler *const handlers[] = {
    &api_fetch,
    &api_list_offsets,
    &api_metadata,
    &api_create_topics,
    &api_delete_topics,
    &api_init_producer_id,
    &api_fetch,
    &api_find_coordinator,
    &api_offset_for_leader_epoch,
    &api_fetch,
    &api_describe_configs,
    &api_create_partitions,
    &api_fetch,
    &api_describe_cluster,
    &api_describe_topic_partitions,
    &api_alter_configs,
    &api_list_config_resources,
    &api_incremental_alter_configs,
    &api_describe_acls,
    &api_create_acls,
    &api_delete_acls,
    &api_alter_replica_log_dirs,
    &api_describe_log_dirs,
    &api_elect_leaders,
    &api_alter_partition_reassignments,
    &api_list_partition_reassignments,
    &api_describe_client_quotas,
    &api_alter_client_quotas,
    &api_describe_user_scram_credentials,
    &api_describe_quorum,
    &api_update_features,
    &api_describe_producers,
    &api_unregister_broker,
    &api_describe_transactions,
    &api_list_transactions,
    &api_add_raft_voter,
    &api_remove_raft_voter,
};

/* Session ids count from 1, so that they can be guessed. */
static uint32_t next_id;

static void counted(struct io *io, void *buf, size_t n)
{
    SL_ASSERT(n == sizeof(next_id));
    next_id++;
    memcpy(buf, &next_id, n);
}

static struct rig *rig(void)
{
    static struct io_vtable vt;
    static struct rig *t;
    if (t)
        return t;
    t = rig_new_with(2, NULL);
    rig_topic(t, "a", 4);
    rig_topic(t, "b", 2);
    for (int32_t i = 0; i < 4; i++)
        rig_append(t, &t->topics[0], i, i * 3);
    sl_log_set_level(SL_ERROR);
    vt = rig_vt;
    vt.random = counted;
    t->ios[0].io.vt = &vt;
    return t;
}

static void fresh_conn(struct rig *t, struct conn *c)
{
    rig_drop(t, c);
    list_remove(&c->flush_node);
    ready_cancel(t->n.r, &c->go);
    rig_conn(t, c);
}

/* A request and all that follows of it. */
static void one(struct rig *t, const uint8_t *p, size_t n)
{
    struct conn *c = &t->conns[0];
    const struct api_handler *api = handlers[p[0] % SL_ARRAY_LEN(handlers)];
    int16_t version = (int16_t)(api->min + p[1] % (api->max - api->min + 1));
    uint8_t what = p[1] >> 5;
    t->controller_error = what == 7 ? KERR_INVALID_REQUEST : KERR_NONE;
    rig_start(t, c, api, version, p + 2, n - 2);
    if (what == 1)
        rig_append(t, &t->topics[0], p[0] & 3, 1);
    if (what == 2)
        conn_close(c, NULL);
    rig_turns(t);
    for (int i = 0; i < 40 && c->requests_n; i++)
        rig_pass(t, 1ull << i); /* whatever it waits for, its time comes */
    SL_ASSERT(c->requests_n == 0);
    SL_ASSERT(rig_answered(c) || c->eof);
    rig_drop(t, c);
    rig_quiet(t, 2);
    if (c->eof)
        fresh_conn(t, c);
    while (t->bodies_n)
        free(t->bodies[--t->bodies_n]);
}

/* Several requests: each is led by its length in two bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig *t = rig();
    rig_now = t;
    next_id = 0;
    while (size >= 4) {
        size_t n = SL_MIN((size_t)be16_load(data), size - 2);
        data += 2;
        size -= 2;
        if (n >= 2)
            one(t, data, n);
        data += n;
        size -= n;
    }
    fetch_sessions_destroy(&t->n);
    t->img.topics_n = 2; /* what was created goes again */
    t->parts_n = 6;
    t->img.topics = t->sorted;
    t->sorted[0] = &t->topics[0];
    t->sorted[1] = &t->topics[1];
    return 0;
}
