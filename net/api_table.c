// The APIs that are served, by key: what is not here is not advertised and closes the connection.
#include "net/net_private.h"

static const struct api_handler *const HANDLERS[] = {
    &api_produce,
    &api_fetch,
    &api_list_offsets,
    &api_metadata,
    &api_offset_commit,
    &api_offset_fetch,
    &api_find_coordinator,
    &api_join_group,
    &api_heartbeat,
    &api_leave_group,
    &api_sync_group,
    &api_describe_groups,
    &api_list_groups,
    &api_api_versions,
    &api_create_topics,
    &api_delete_topics,
    &api_delete_records,
    &api_init_producer_id,
    &api_offset_for_leader_epoch,
    &api_describe_acls,
    &api_create_acls,
    &api_delete_acls,
    &api_describe_configs,
    &api_alter_configs,
    &api_alter_replica_log_dirs,
    &api_describe_log_dirs,
    &api_create_partitions,
    &api_delete_groups,
    &api_elect_leaders,
    &api_incremental_alter_configs,
    &api_alter_partition_reassignments,
    &api_list_partition_reassignments,
    &api_offset_delete,
    &api_describe_client_quotas,
    &api_alter_client_quotas,
    &api_describe_user_scram_credentials,
    &api_describe_quorum,
    &api_update_features,
    &api_describe_cluster,
    &api_describe_producers,
    &api_unregister_broker,
    &api_describe_transactions,
    &api_list_transactions,
    &api_consumer_group_heartbeat,
    &api_consumer_group_describe,
    &api_list_config_resources,
    &api_describe_topic_partitions,
    &api_add_raft_voter,
    &api_remove_raft_voter,
};

const struct api_handler *const *api_all(uint32_t *n)
{
    *n = SL_ARRAY_LEN(HANDLERS);
    return HANDLERS;
}

const struct api_handler *api_find(int16_t key)
{
    for (uint32_t i = 0; i < SL_ARRAY_LEN(HANDLERS); i++)
        if (HANDLERS[i]->key == key)
            return HANDLERS[i];
    return NULL;
}
