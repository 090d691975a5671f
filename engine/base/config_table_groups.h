/* Rows of the configuration table: keys of groups and transactions. Columns: config_table.h. */
#ifndef SLUICE_BASE_CONFIG_TABLE_GROUPS_H
#define SLUICE_BASE_CONFIG_TABLE_GROUPS_H

/* clang-format off */
/* Consumer groups, share groups and offsets. */
#define CFG_TABLE_GROUPS(X) \
    X(OFFSETS_TOPIC_NUM_PARTITIONS, "offsets.topic.num.partitions", INT, "50", AT_LEAST(1), HIGH, \
      READ_ONLY, USED, 0, "Partitions of __consumer_offsets; fixed when it is created.") \
    X(OFFSETS_TOPIC_REPLICATION_FACTOR, "offsets.topic.replication.factor", SHORT, "1", AT_LEAST(1), \
      HIGH, READ_ONLY, USED, 0, "Replicas of __consumer_offsets. One node holds one.") \
    X(OFFSETS_TOPIC_SEGMENT_BYTES, "offsets.topic.segment.bytes", INT, "104857600", AT_LEAST(1), \
      HIGH, READ_ONLY, USED, 0, "Segment size of __consumer_offsets.") \
    X(OFFSETS_TOPIC_COMPRESSION_CODEC, "offsets.topic.compression.codec", INT, "0", ANY, HIGH, \
      READ_ONLY, ACCEPTED, 0, "Codec of __consumer_offsets, by number; 0 stores it uncompressed.") \
    X(OFFSETS_LOAD_BUFFER_SIZE, "offsets.load.buffer.size", INT, "5242880", AT_LEAST(1), HIGH, \
      READ_ONLY, ACCEPTED, 0, "Upstream's read size when a coordinator loads.") \
    X(OFFSETS_COMMIT_TIMEOUT_MS, "offsets.commit.timeout.ms", INT, "5000", AT_LEAST(1), HIGH, \
      READ_ONLY, ACCEPTED, 0, "How long an offset commit may wait to be durable.") \
    X(OFFSETS_RETENTION_MINUTES, "offsets.retention.minutes", INT, "10080", AT_LEAST(1), HIGH, \
      READ_ONLY, USED, 0, "How long an empty group's offsets are kept.") \
    X(OFFSETS_RETENTION_CHECK_INTERVAL_MS, "offsets.retention.check.interval.ms", LONG, "600000", \
      AT_LEAST(1), HIGH, READ_ONLY, USED, 0, "Interval at which expired offsets are looked for.") \
    X(OFFSET_METADATA_MAX_BYTES, "offset.metadata.max.bytes", INT, "4096", ANY, HIGH, READ_ONLY, \
      USED, 0, "Largest metadata string of a committed offset.") \
    X(GROUP_COORDINATOR_APPEND_LINGER_MS, "group.coordinator.append.linger.ms", INT, "-1", \
      AT_LEAST(-1), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "How long upstream collects coordinator writes; the journal groups them here.") \
    X(GROUP_COORDINATOR_BACKGROUND_THREADS, "group.coordinator.background.threads", INT, "2", \
      AT_LEAST(1), HIGH, READ_ONLY, ACCEPTED, 0, \
      "Upstream's threads for assignments and regular expressions.") \
    X(GROUP_COORDINATOR_CACHED_BUFFER_MAX_BYTES, "group.coordinator.cached.buffer.max.bytes", INT, \
      "1048588", AT_LEAST(524288), MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, \
      "Largest buffer an upstream coordinator keeps.") \
    X(GROUP_COORDINATOR_REBALANCE_PROTOCOLS, "group.coordinator.rebalance.protocols", LIST, \
      "classic,consumer", SOME_ITEMS("consumer|classic|share|streams"), MEDIUM, READ_ONLY, USED, 0, \
      "Group protocols that are served.") \
    X(GROUP_COORDINATOR_THREADS, "group.coordinator.threads", INT, "4", AT_LEAST(1), HIGH, \
      READ_ONLY, ACCEPTED, 0, \
      "Upstream's coordinator threads. Coordinators run on the reactor of their partition here.") \
    X(GROUP_INITIAL_REBALANCE_DELAY_MS, "group.initial.rebalance.delay.ms", INT, "3000", ANY, \
      MEDIUM, READ_ONLY, USED, 0, "How long a new classic group waits for more members.") \
    X(GROUP_MAX_SESSION_TIMEOUT_MS, "group.max.session.timeout.ms", INT, "1800000", ANY, MEDIUM, \
      READ_ONLY, USED, 0, "Largest session timeout of a classic member.") \
    X(GROUP_MIN_SESSION_TIMEOUT_MS, "group.min.session.timeout.ms", INT, "6000", ANY, MEDIUM, \
      READ_ONLY, USED, 0, "Smallest session timeout of a classic member.") \
    X(GROUP_MAX_SIZE, "group.max.size", INT, "2147483647", AT_LEAST(1), MEDIUM, READ_ONLY, USED, 0, \
      "Most members of a classic group.") \
    X(GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS, "group.consumer.assignment.interval.ms", INT, "1000", \
      AT_LEAST(0), MEDIUM, CLUSTER_WIDE, USED, 0, \
      "Smallest time between two assignments of a consumer group.") \
    X(GROUP_CONSUMER_ASSIGNORS, "group.consumer.assignors", LIST, "uniform,range", SOME, MEDIUM, \
      READ_ONLY, USED, 0, "Assignors of the consumer protocol; the first is the default.") \
    X(GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS, "group.consumer.heartbeat.interval.ms", INT, "5000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, USED, 0, "Heartbeat interval told to members of consumer groups.") \
    X(GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS, "group.consumer.max.assignment.interval.ms", INT, \
      "15000", AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Upper bound of a group's own assignment interval.") \
    X(GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS, "group.consumer.min.assignment.interval.ms", INT, \
      "0", AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Lower bound of a group's own assignment interval.") \
    X(GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS, "group.consumer.max.heartbeat.interval.ms", INT, \
      "15000", AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Upper bound of a group's own heartbeat interval.") \
    X(GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS, "group.consumer.min.heartbeat.interval.ms", INT, \
      "5000", AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Lower bound of a group's own heartbeat interval.") \
    X(GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS, "group.consumer.max.session.timeout.ms", INT, "60000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Upper bound of a group's own session timeout.") \
    X(GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS, "group.consumer.min.session.timeout.ms", INT, "45000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Lower bound of a group's own session timeout.") \
    X(GROUP_CONSUMER_SESSION_TIMEOUT_MS, "group.consumer.session.timeout.ms", INT, "45000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, USED, 0, "Session timeout of members of consumer groups.") \
    X(GROUP_CONSUMER_MAX_SIZE, "group.consumer.max.size", INT, "2147483647", AT_LEAST(1), MEDIUM, \
      READ_ONLY, USED, 0, "Most members of a consumer group.") \
    X(GROUP_CONSUMER_MIGRATION_POLICY, "group.consumer.migration.policy", STRING, "bidirectional", \
      NOCASE("disabled|downgrade|upgrade|bidirectional"), MEDIUM, READ_ONLY, USED, 0, \
      "Whether groups may change between the classic and the consumer protocol.") \
    X(GROUP_CONSUMER_REGEX_REFRESH_INTERVAL_MS, "group.consumer.regex.refresh.interval.ms", INT, \
      "600000", AT_LEAST(10000), MEDIUM, READ_ONLY, USED, INTERNAL, \
      "Interval at which subscribed patterns are matched again.") \
    X(GROUP_SHARE_ASSIGNMENT_INTERVAL_MS, "group.share.assignment.interval.ms", INT, "1000", \
      AT_LEAST(0), MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, \
      "Smallest time between two assignments of a share group; share groups are not served.") \
    X(GROUP_SHARE_ASSIGNORS, "group.share.assignors", LIST, "simple", SOME, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Assignors of share groups; share groups are not served.") \
    X(GROUP_SHARE_DELIVERY_COUNT_LIMIT, "group.share.delivery.count.limit", INT, "5", RANGE(2, 10), \
      MEDIUM, READ_ONLY, ACCEPTED, 0, "Deliveries of a record in a share group before it is given up.") \
    X(GROUP_SHARE_HEARTBEAT_INTERVAL_MS, "group.share.heartbeat.interval.ms", INT, "5000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Heartbeat interval of share groups.") \
    X(GROUP_SHARE_INITIALIZE_RETRY_INTERVAL_MS, "group.share.initialize.retry.interval.ms", INT, \
      "30000", AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, INTERNAL, \
      "Pause before share state is initialised again.") \
    X(GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS, "group.share.max.assignment.interval.ms", INT, \
      "15000", AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Upper bound of a share group's assignment interval.") \
    X(GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT, "group.share.max.delivery.count.limit", INT, "10", \
      RANGE(5, 25), MEDIUM, READ_ONLY, ACCEPTED, 0, "Upper bound of a share group's delivery limit.") \
    X(GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS, "group.share.max.heartbeat.interval.ms", INT, "15000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Upper bound of a share group's heartbeat interval.") \
    X(GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS, "group.share.max.partition.max.record.locks", INT, \
      "4000", RANGE(2000, 10000), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Upper bound of a share group's record locks per partition.") \
    X(GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS, "group.share.max.record.lock.duration.ms", INT, \
      "60000", RANGE(30000, 3600000), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Upper bound of a share group's lock duration.") \
    X(GROUP_SHARE_MAX_SESSION_TIMEOUT_MS, "group.share.max.session.timeout.ms", INT, "60000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Upper bound of a share group's session timeout.") \
    X(GROUP_SHARE_MAX_SHARE_SESSIONS, "group.share.max.share.sessions", INT, "2000", AT_LEAST(1), \
      MEDIUM, READ_ONLY, ACCEPTED, 0, "Most share sessions.") \
    X(GROUP_SHARE_MAX_SIZE, "group.share.max.size", INT, "200", RANGE(1, 1000), MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Most members of a share group.") \
    X(GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS, "group.share.min.assignment.interval.ms", INT, "0", \
      AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, "Lower bound of a share group's assignment interval.") \
    X(GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT, "group.share.min.delivery.count.limit", INT, "2", \
      RANGE(2, 5), MEDIUM, READ_ONLY, ACCEPTED, 0, "Lower bound of a share group's delivery limit.") \
    X(GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS, "group.share.min.heartbeat.interval.ms", INT, "5000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Lower bound of a share group's heartbeat interval.") \
    X(GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS, "group.share.min.partition.max.record.locks", INT, \
      "100", RANGE(100, 2000), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Lower bound of a share group's record locks per partition.") \
    X(GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS, "group.share.min.record.lock.duration.ms", INT, \
      "15000", RANGE(1000, 30000), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Lower bound of a share group's lock duration.") \
    X(GROUP_SHARE_MIN_SESSION_TIMEOUT_MS, "group.share.min.session.timeout.ms", INT, "45000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Lower bound of a share group's session timeout.") \
    X(GROUP_SHARE_PARTITION_MAX_RECORD_LOCKS, "group.share.partition.max.record.locks", INT, "2000", \
      RANGE(100, 10000), MEDIUM, READ_ONLY, ACCEPTED, 0, "Records locked at a time per share partition.") \
    X(GROUP_SHARE_PERSISTER_CLASS_NAME, "group.share.persister.class.name", STRING, \
      "org.apache.kafka.server.share.persister.DefaultStatePersister", ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, INTERNAL, "Java class that keeps share state; there is no JVM here.") \
    X(GROUP_SHARE_RECORD_LOCK_DURATION_MS, "group.share.record.lock.duration.ms", INT, "30000", \
      RANGE(1000, 3600000), MEDIUM, READ_ONLY, ACCEPTED, 0, "How long a fetched record stays locked.") \
    X(GROUP_SHARE_SESSION_TIMEOUT_MS, "group.share.session.timeout.ms", INT, "45000", AT_LEAST(1), \
      MEDIUM, READ_ONLY, ACCEPTED, 0, "Session timeout of share groups.") \
    X(GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS, "group.streams.assignment.interval.ms", INT, "1000", \
      AT_LEAST(0), MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, \
      "Smallest time between two assignments of a streams group; streams groups are not served.") \
    X(GROUP_STREAMS_HEARTBEAT_INTERVAL_MS, "group.streams.heartbeat.interval.ms", INT, "5000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Heartbeat interval of streams groups.") \
    X(GROUP_STREAMS_INITIAL_REBALANCE_DELAY_MS, "group.streams.initial.rebalance.delay.ms", INT, \
      "3000", AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "How long a new streams group waits for more members.") \
    X(GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS, "group.streams.max.assignment.interval.ms", INT, \
      "15000", AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Upper bound of a streams group's assignment interval.") \
    X(GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS, "group.streams.max.heartbeat.interval.ms", INT, \
      "15000", AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Upper bound of a streams group's heartbeat interval.") \
    X(GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS, "group.streams.max.session.timeout.ms", INT, "60000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Upper bound of a streams group's session timeout.") \
    X(GROUP_STREAMS_MAX_SIZE, "group.streams.max.size", INT, "2147483647", AT_LEAST(1), MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Most members of a streams group.") \
    X(GROUP_STREAMS_MAX_STANDBY_REPLICAS, "group.streams.max.standby.replicas", INT, "2", \
      AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, "Upper bound of a streams group's standby tasks.") \
    X(GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS, "group.streams.min.assignment.interval.ms", INT, \
      "0", AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Lower bound of a streams group's assignment interval.") \
    X(GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS, "group.streams.min.heartbeat.interval.ms", INT, \
      "5000", AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Lower bound of a streams group's heartbeat interval.") \
    X(GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS, "group.streams.min.session.timeout.ms", INT, "45000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Lower bound of a streams group's session timeout.") \
    X(GROUP_STREAMS_NUM_STANDBY_REPLICAS, "group.streams.num.standby.replicas", INT, "0", \
      AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, "Standby tasks of a streams group.") \
    X(GROUP_STREAMS_SESSION_TIMEOUT_MS, "group.streams.session.timeout.ms", INT, "45000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Session timeout of streams groups.") \
    X(SHARE_COORDINATOR_APPEND_LINGER_MS, "share.coordinator.append.linger.ms", INT, "-1", \
      AT_LEAST(-1), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "How long the share coordinator collects writes; share groups are not served.") \
    X(SHARE_COORDINATOR_CACHED_BUFFER_MAX_BYTES, "share.coordinator.cached.buffer.max.bytes", INT, \
      "1048588", AT_LEAST(524288), MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, \
      "Largest buffer that the share coordinator keeps.") \
    X(SHARE_COORDINATOR_COLD_PARTITION_SNAPSHOT_INTERVAL_MS, \
      "share.coordinator.cold.partition.snapshot.interval.ms", INT, "300000", AT_LEAST(1), LOW, \
      READ_ONLY, ACCEPTED, INTERNAL, "Interval of snapshots of idle share partitions.") \
    X(SHARE_COORDINATOR_LOAD_BUFFER_SIZE, "share.coordinator.load.buffer.size", INT, "5242880", \
      AT_LEAST(1), HIGH, READ_ONLY, ACCEPTED, 0, "Read size when the share coordinator loads.") \
    X(SHARE_COORDINATOR_SNAPSHOT_UPDATE_RECORDS_PER_SNAPSHOT, \
      "share.coordinator.snapshot.update.records.per.snapshot", INT, "500", RANGE(0, 500), MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Updates between two snapshots of share state.") \
    X(SHARE_COORDINATOR_STATE_TOPIC_COMPRESSION_CODEC, \
      "share.coordinator.state.topic.compression.codec", INT, "0", ANY, HIGH, READ_ONLY, ACCEPTED, \
      0, "Codec of __share_group_state, by number.") \
    X(SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR, "share.coordinator.state.topic.min.isr", SHORT, "1", \
      AT_LEAST(1), HIGH, READ_ONLY, ACCEPTED, 0, \
      "Replicas that must hold share state. One node holds one.") \
    X(SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS, "share.coordinator.state.topic.num.partitions", \
      INT, "50", AT_LEAST(1), HIGH, READ_ONLY, ACCEPTED, 0, "Partitions of __share_group_state.") \
    X(SHARE_COORDINATOR_STATE_TOPIC_PRUNE_INTERVAL_MS, \
      "share.coordinator.state.topic.prune.interval.ms", INT, "300000", AT_LEAST(1), LOW, READ_ONLY, \
      ACCEPTED, INTERNAL, "Interval at which old share state is removed.") \
    X(SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR, \
      "share.coordinator.state.topic.replication.factor", SHORT, "1", AT_LEAST(1), HIGH, READ_ONLY, \
      ACCEPTED, 0, "Replicas of __share_group_state. One node holds one.") \
    X(SHARE_COORDINATOR_STATE_TOPIC_SEGMENT_BYTES, "share.coordinator.state.topic.segment.bytes", \
      INT, "104857600", AT_LEAST(1), HIGH, READ_ONLY, ACCEPTED, 0, "Segment size of __share_group_state.") \
    X(SHARE_COORDINATOR_THREADS, "share.coordinator.threads", INT, "1", AT_LEAST(1), MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Threads of the share coordinator.") \
    X(SHARE_COORDINATOR_WRITE_TIMEOUT_MS, "share.coordinator.write.timeout.ms", INT, "5000", \
      AT_LEAST(1), HIGH, READ_ONLY, ACCEPTED, 0, "How long a write of share state may take.")

/* Transactions. */
#define CFG_TABLE_TXN(X) \
    X(TRANSACTION_MAX_TIMEOUT_MS, "transaction.max.timeout.ms", INT, "900000", AT_LEAST(1), HIGH, \
      READ_ONLY, USED, 0, "Largest transaction timeout that a producer may ask for.") \
    X(TRANSACTION_STATE_LOG_NUM_PARTITIONS, "transaction.state.log.num.partitions", INT, "50", \
      AT_LEAST(1), HIGH, READ_ONLY, USED, 0, \
      "Partitions of __transaction_state; fixed when it is created.") \
    X(TRANSACTION_STATE_LOG_REPLICATION_FACTOR, "transaction.state.log.replication.factor", SHORT, \
      "1", AT_LEAST(1), HIGH, READ_ONLY, USED, 0, "Replicas of __transaction_state. One node holds one.") \
    X(TRANSACTION_STATE_LOG_MIN_ISR, "transaction.state.log.min.isr", INT, "1", AT_LEAST(1), HIGH, \
      READ_ONLY, USED, 0, "Replicas that must hold transaction state. One node holds one.") \
    X(TRANSACTION_STATE_LOG_SEGMENT_BYTES, "transaction.state.log.segment.bytes", INT, "104857600", \
      AT_LEAST(1), HIGH, READ_ONLY, USED, 0, "Segment size of __transaction_state.") \
    X(TRANSACTION_STATE_LOG_LOAD_BUFFER_SIZE, "transaction.state.log.load.buffer.size", INT, \
      "5242880", AT_LEAST(1), HIGH, READ_ONLY, ACCEPTED, 0, \
      "Upstream's read size when a coordinator loads.") \
    X(TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS, \
      "transaction.abort.timed.out.transaction.cleanup.interval.ms", INT, "10000", AT_LEAST(1), LOW, \
      READ_ONLY, USED, 0, "Interval at which transactions past their timeout are aborted.") \
    X(TRANSACTION_REMOVE_EXPIRED_TRANSACTION_CLEANUP_INTERVAL_MS, \
      "transaction.remove.expired.transaction.cleanup.interval.ms", INT, "3600000", AT_LEAST(1), \
      LOW, READ_ONLY, USED, 0, "Interval at which forgotten transactional ids are removed.") \
    X(TRANSACTION_PARTITION_VERIFICATION_ENABLE, "transaction.partition.verification.enable", \
      BOOLEAN, "true", ANY, LOW, CLUSTER_WIDE, ACCEPTED, 0, \
      "Whether a produce of a transaction is checked against the coordinator first.") \
    X(TRANSACTION_TWO_PHASE_COMMIT_ENABLE, "transaction.two.phase.commit.enable", BOOLEAN, "false", \
      ANY, LOW, READ_ONLY, ACCEPTED, 0, "Whether transactions may be prepared by an outer coordinator.") \
    X(TRANSACTIONAL_ID_EXPIRATION_MS, "transactional.id.expiration.ms", INT, "604800000", \
      AT_LEAST(1), HIGH, READ_ONLY, ACCEPTED, 0, "How long an idle transactional id is remembered.") \
    X(ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MS, "add.partitions.to.txn.retry.backoff.ms", INT, "20", \
      AT_LEAST(1), HIGH, READ_ONLY, ACCEPTED, 0, \
      "First pause before a partition is added to a transaction again.") \
    X(ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MAX_MS, "add.partitions.to.txn.retry.backoff.max.ms", INT, \
      "100", AT_LEAST(0), HIGH, READ_ONLY, ACCEPTED, 0, "Longest such pause.")

/* clang-format on */

#endif
