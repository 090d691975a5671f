/* Rows of the configuration table: keys of topics, replication and logs on disk. Columns: config_table.h. */
#ifndef SLUICE_BASE_CONFIG_TABLE_LOG_H
#define SLUICE_BASE_CONFIG_TABLE_LOG_H

/* clang-format off */
/* Topics and replication. */
#define CFG_TABLE_TOPICS(X) \
    X(AUTO_CREATE_TOPICS_ENABLE, "auto.create.topics.enable", BOOLEAN, "true", ANY, HIGH, READ_ONLY, \
      USED, 0, "Whether a metadata or produce request creates a missing topic.") \
    X(DELETE_TOPIC_ENABLE, "delete.topic.enable", BOOLEAN, "true", ANY, HIGH, READ_ONLY, USED, 0, \
      "Whether topics can be deleted.") \
    X(NUM_PARTITIONS, "num.partitions", INT, "1", AT_LEAST(1), MEDIUM, READ_ONLY, USED, 0, \
      "Partitions of a topic created without a number.") \
    X(DEFAULT_REPLICATION_FACTOR, "default.replication.factor", INT, "1", ANY, MEDIUM, READ_ONLY, \
      USED, 0, "Replicas of a topic created without a number.") \
    X(MIN_INSYNC_REPLICAS, "min.insync.replicas", INT, "1", AT_LEAST(1), HIGH, CLUSTER_WIDE, USED, \
      0, "Replicas that must hold a record before acks=all is answered; topics override it.") \
    X(UNCLEAN_LEADER_ELECTION_ENABLE, "unclean.leader.election.enable", BOOLEAN, "false", ANY, HIGH, \
      CLUSTER_WIDE, ACCEPTED, 0, \
      "Whether a replica that is behind may lead; with one replica there is no choice.") \
    X(UNCLEAN_LEADER_ELECTION_INTERVAL_MS, "unclean.leader.election.interval.ms", LONG, "300000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, INTERNAL, "Interval of the unclean election check.") \
    X(AUTO_LEADER_REBALANCE_ENABLE, "auto.leader.rebalance.enable", BOOLEAN, "true", ANY, HIGH, \
      READ_ONLY, ACCEPTED, 0, \
      "Whether leadership returns to preferred replicas; with one node it never left.") \
    X(LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS, "leader.imbalance.check.interval.seconds", LONG, \
      "300", AT_LEAST(1), HIGH, READ_ONLY, ACCEPTED, 0, "Interval of the leader balance check.") \
    X(CREATE_TOPIC_POLICY_CLASS_NAME, "create.topic.policy.class.name", CLASS, NULL, ANY, LOW, \
      READ_ONLY, ACCEPTED, 0, "Java class that judges topic creations; there is no JVM here.") \
    X(ALTER_CONFIG_POLICY_CLASS_NAME, "alter.config.policy.class.name", CLASS, NULL, ANY, LOW, \
      READ_ONLY, ACCEPTED, 0, "Java class that judges configuration changes; there is no JVM here.") \
    X(COMPRESSION_TYPE, "compression.type", STRING, "producer", \
      ONE_OF("uncompressed|zstd|lz4|snappy|gzip|producer"), HIGH, CLUSTER_WIDE, USED, 0, \
      "Codec in which batches are stored; producer keeps what was sent.") \
    X(COMPRESSION_GZIP_LEVEL, "compression.gzip.level", INT, "-1", GZIP_LEVEL, MEDIUM, CLUSTER_WIDE, \
      USED, 0, "Level when compression.type is gzip; -1 is the library's default.") \
    X(COMPRESSION_LZ4_LEVEL, "compression.lz4.level", INT, "9", RANGE(1, 17), MEDIUM, CLUSTER_WIDE, \
      USED, 0, "Level when compression.type is lz4.") \
    X(COMPRESSION_ZSTD_LEVEL, "compression.zstd.level", INT, "3", RANGE(-131072, 22), MEDIUM, \
      CLUSTER_WIDE, USED, 0, "Level when compression.type is zstd.") \
    X(MESSAGE_MAX_BYTES, "message.max.bytes", INT, "1048588", AT_LEAST(0), HIGH, CLUSTER_WIDE, USED, \
      0, "Largest batch accepted, after compression; topics override it as max.message.bytes.") \
    X(REPLICA_LAG_TIME_MAX_MS, "replica.lag.time.max.ms", LONG, "30000", ANY, HIGH, READ_ONLY, \
      ACCEPTED, 0, "How long a follower may lag and stay in sync; there are no followers yet.") \
    X(REPLICA_FETCH_BACKOFF_MS, "replica.fetch.backoff.ms", INT, "1000", AT_LEAST(0), MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Pause of a follower after a failed fetch; there are no followers yet.") \
    X(REPLICA_FETCH_MAX_BYTES, "replica.fetch.max.bytes", INT, "1048576", AT_LEAST(0), MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Bytes a follower asks for per partition; there are no followers yet.") \
    X(REPLICA_FETCH_MIN_BYTES, "replica.fetch.min.bytes", INT, "1", ANY, HIGH, READ_ONLY, ACCEPTED, \
      0, "Bytes a follower waits for; there are no followers yet.") \
    X(REPLICA_FETCH_RESPONSE_MAX_BYTES, "replica.fetch.response.max.bytes", INT, "10485760", \
      AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Bytes a follower asks for per fetch; there are no followers yet.") \
    X(REPLICA_FETCH_WAIT_MAX_MS, "replica.fetch.wait.max.ms", INT, "500", ANY, HIGH, READ_ONLY, \
      ACCEPTED, 0, "How long a follower's fetch waits; there are no followers yet.") \
    X(REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS, \
      "replica.high.watermark.checkpoint.interval.ms", LONG, "5000", ANY, HIGH, READ_ONLY, ACCEPTED, \
      0, "Interval of high watermark checkpoints; here recovery takes it from the journal.") \
    X(REPLICA_SELECTOR_CLASS, "replica.selector.class", STRING, NULL, ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Java class that picks the replica to read from; there is no JVM here.") \
    X(REPLICA_SOCKET_RECEIVE_BUFFER_BYTES, "replica.socket.receive.buffer.bytes", INT, "65536", ANY, \
      HIGH, READ_ONLY, ACCEPTED, 0, "SO_RCVBUF of replication connections; there are none yet.") \
    X(REPLICA_SOCKET_TIMEOUT_MS, "replica.socket.timeout.ms", INT, "30000", ANY, HIGH, READ_ONLY, \
      ACCEPTED, 0, "Timeout of replication requests; there are none yet.") \
    X(NUM_REPLICA_FETCHERS, "num.replica.fetchers", INT, "1", AT_LEAST(1), HIGH, CLUSTER_WIDE, \
      ACCEPTED, 0, "Fetcher threads per source broker; there are no followers yet.") \
    X(NUM_REPLICA_ALTER_LOG_DIRS_THREADS, "num.replica.alter.log.dirs.threads", INT, NULL, ANY, \
      HIGH, READ_ONLY, ACCEPTED, 0, "Threads that move logs between directories.") \
    X(REPLICATION_QUOTA_WINDOW_NUM, "replication.quota.window.num", INT, "11", AT_LEAST(1), LOW, \
      READ_ONLY, ACCEPTED, 0, "Samples kept for replication quotas.") \
    X(REPLICATION_QUOTA_WINDOW_SIZE_SECONDS, "replication.quota.window.size.seconds", INT, "1", \
      AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, 0, "Length of one replication quota sample.") \
    X(ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_NUM, "alter.log.dirs.replication.quota.window.num", \
      INT, "11", AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, 0, \
      "Samples kept for the quota on moves between directories.") \
    X(ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_SIZE_SECONDS, \
      "alter.log.dirs.replication.quota.window.size.seconds", INT, "1", AT_LEAST(1), LOW, READ_ONLY, \
      ACCEPTED, 0, "Length of one sample of the quota on moves between directories.") \
    X(FOLLOWER_FETCH_LAST_TIERED_OFFSET_ENABLE, "follower.fetch.last.tiered.offset.enable", BOOLEAN, \
      "false", ANY, MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, \
      "Whether a new follower starts at the last tiered offset; there is no tiered storage.")

/* Logs on disk. */
#define CFG_TABLE_LOG(X) \
    X(LOG_DIRS, "log.dirs", LIST, "./data", SOME, HIGH, READ_ONLY, USED, 0, \
      "Directories that hold the logs, at most 31; a partition lies in one of them. The default stands back when log.dir is set.") \
    X(LOG_DIR, "log.dir", LIST, NULL, SOME, HIGH, READ_ONLY, USED, 0, \
      "The same; log.dirs wins.") \
    X(METADATA_LOG_DIR, "metadata.log.dir", STRING, NULL, ANY, HIGH, READ_ONLY, USED, 0, \
      "Directory of the metadata log, one of log.dirs or another. Null: the first of log.dirs.") \
    X(CORDONED_LOG_DIRS, "cordoned.log.dirs", LIST, "", ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, \
      "Directories that take no new partitions.") \
    X(LOG_DIR_FAILURE_TIMEOUT_MS, "log.dir.failure.timeout.ms", LONG, "30000", AT_LEAST(1), LOW, \
      READ_ONLY, ACCEPTED, 0, "How long a failed directory may stay unreported before the broker stops.") \
    X(LOG_SEGMENT_BYTES, "log.segment.bytes", INT, "1073741824", AT_LEAST(1048576), HIGH, \
      CLUSTER_WIDE, USED, 0, "Size at which the active segment is closed and a new one begun.") \
    X(LOG_ROLL_MS, "log.roll.ms", LONG, NULL, ANY, HIGH, CLUSTER_WIDE, USED, 0, \
      "Age at which the active segment is closed. Null: log.roll.hours.") \
    X(LOG_ROLL_HOURS, "log.roll.hours", INT, "168", AT_LEAST(1), HIGH, READ_ONLY, USED, 0, \
      "The same in hours.") \
    X(LOG_ROLL_JITTER_MS, "log.roll.jitter.ms", LONG, NULL, ANY, HIGH, CLUSTER_WIDE, USED, 0, \
      "Most to take off the age, at random, so that segments do not all roll at once. Null: " \
      "log.roll.jitter.hours.") \
    X(LOG_ROLL_JITTER_HOURS, "log.roll.jitter.hours", INT, "0", AT_LEAST(0), HIGH, READ_ONLY, USED, \
      0, "The same in hours.") \
    X(LOG_INDEX_INTERVAL_BYTES, "log.index.interval.bytes", INT, "4096", AT_LEAST(0), MEDIUM, \
      CLUSTER_WIDE, USED, 0, "Bytes of records between two index entries.") \
    X(LOG_INDEX_SIZE_MAX_BYTES, "log.index.size.max.bytes", INT, "10485760", AT_LEAST(4), MEDIUM, \
      CLUSTER_WIDE, USED, 0, "Largest offset or time index of a segment.") \
    X(LOG_PREALLOCATE, "log.preallocate", BOOLEAN, "false", ANY, MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, \
      "Whether upstream allocates a segment when it is created; here space is always allocated " \
      "ahead of the writer.") \
    X(LOG_RETENTION_MS, "log.retention.ms", LONG, NULL, ANY, HIGH, CLUSTER_WIDE, USED, 0, \
      "How long records are kept; -1 for ever. Null: log.retention.minutes.") \
    X(LOG_RETENTION_MINUTES, "log.retention.minutes", INT, NULL, ANY, HIGH, READ_ONLY, USED, 0, \
      "The same in minutes. Null: log.retention.hours.") \
    X(LOG_RETENTION_HOURS, "log.retention.hours", INT, "168", ANY, HIGH, READ_ONLY, USED, 0, \
      "The same in hours.") \
    X(LOG_RETENTION_BYTES, "log.retention.bytes", LONG, "-1", ANY, HIGH, CLUSTER_WIDE, USED, 0, \
      "Bytes kept per partition; -1 without limit.") \
    X(LOG_RETENTION_CHECK_INTERVAL_MS, "log.retention.check.interval.ms", LONG, "300000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, USED, 0, "Interval at which old segments are looked for.") \
    X(LOG_SEGMENT_DELETE_DELAY_MS, "log.segment.delete.delay.ms", LONG, "60000", AT_LEAST(0), HIGH, \
      CLUSTER_WIDE, USED, 0, "Time between a segment's removal from the log and its unlink.") \
    X(LOG_CLEANUP_POLICY, "log.cleanup.policy", LIST, "delete", ITEMS("compact|delete"), MEDIUM, \
      CLUSTER_WIDE, USED, 0, \
      "What happens to old segments: delete, compact, or both; empty keeps everything.") \
    X(LOG_CLEANER_ENABLE, "log.cleaner.enable", BOOLEAN, "true", ANY, MEDIUM, READ_ONLY, USED, \
      0, "Whether compaction runs.") \
    X(LOG_CLEANER_THREADS, "log.cleaner.threads", INT, "1", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, \
      ACCEPTED, 0, "Upstream's compaction threads.") \
    X(LOG_CLEANER_BACKOFF_MS, "log.cleaner.backoff.ms", LONG, "15000", AT_LEAST(0), MEDIUM, \
      CLUSTER_WIDE, USED, 0, "Pause of the cleaner when nothing is to be compacted.") \
    X(LOG_CLEANER_DEDUPE_BUFFER_SIZE, "log.cleaner.dedupe.buffer.size", LONG, "134217728", ANY, \
      MEDIUM, CLUSTER_WIDE, USED, 0, "Memory for the compaction map.") \
    X(LOG_CLEANER_IO_BUFFER_LOAD_FACTOR, "log.cleaner.io.buffer.load.factor", DOUBLE, "0.9", ANY, \
      MEDIUM, CLUSTER_WIDE, USED, 0, "How full the compaction map may become.") \
    X(LOG_CLEANER_IO_BUFFER_SIZE, "log.cleaner.io.buffer.size", INT, "524288", AT_LEAST(0), MEDIUM, \
      CLUSTER_WIDE, ACCEPTED, 0, "Upstream's read and write buffers for compaction.") \
    X(LOG_CLEANER_IO_MAX_BYTES_PER_SECOND, "log.cleaner.io.max.bytes.per.second", DOUBLE, \
      "1.7976931348623157E308", ANY, MEDIUM, CLUSTER_WIDE, USED, 0, \
      "Most bytes compaction reads and writes in a second.") \
    X(LOG_CLEANER_DELETE_RETENTION_MS, "log.cleaner.delete.retention.ms", LONG, "86400000", \
      AT_LEAST(0), MEDIUM, CLUSTER_WIDE, USED, 0, "How long tombstones stay in a compacted log.") \
    X(LOG_CLEANER_MIN_CLEANABLE_RATIO, "log.cleaner.min.cleanable.ratio", DOUBLE, "0.5", \
      REALS(0, 1), MEDIUM, CLUSTER_WIDE, USED, 0, \
      "Share of a log that must be dirty before it is compacted.") \
    X(LOG_CLEANER_MIN_COMPACTION_LAG_MS, "log.cleaner.min.compaction.lag.ms", LONG, "0", \
      AT_LEAST(0), MEDIUM, CLUSTER_WIDE, USED, 0, \
      "Age a record must reach before it may be compacted.") \
    X(LOG_CLEANER_MAX_COMPACTION_LAG_MS, "log.cleaner.max.compaction.lag.ms", LONG, \
      "9223372036854775807", AT_LEAST(1), MEDIUM, CLUSTER_WIDE, USED, 0, \
      "Age at which a record must be compacted.") \
    X(LOG_FLUSH_INTERVAL_MESSAGES, "log.flush.interval.messages", LONG, "9223372036854775807", \
      AT_LEAST(1), HIGH, CLUSTER_WIDE, ACCEPTED, 0, \
      "Upstream syncs after so many records. Here every record is synced before it is acknowledged.") \
    X(LOG_FLUSH_INTERVAL_MS, "log.flush.interval.ms", LONG, NULL, ANY, HIGH, CLUSTER_WIDE, ACCEPTED, \
      0, "Upstream syncs after this time. Here every record is synced before it is acknowledged.") \
    X(LOG_FLUSH_SCHEDULER_INTERVAL_MS, "log.flush.scheduler.interval.ms", LONG, \
      "9223372036854775807", ANY, HIGH, READ_ONLY, ACCEPTED, 0, "Interval of upstream's flush check.") \
    X(LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS, "log.flush.offset.checkpoint.interval.ms", INT, \
      "60000", AT_LEAST(0), HIGH, READ_ONLY, ACCEPTED, 0, \
      "Interval of upstream's recovery point checkpoint; the journal has that role here.") \
    X(LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS, \
      "log.flush.start.offset.checkpoint.interval.ms", INT, "60000", AT_LEAST(0), HIGH, READ_ONLY, \
      ACCEPTED, 0, "Interval of upstream's log start checkpoint; the journal has that role here.") \
    X(LOG_INITIAL_TASK_DELAY_MS, "log.initial.task.delay.ms", LONG, "30000", AT_LEAST(0), LOW, \
      READ_ONLY, ACCEPTED, INTERNAL, "Delay of upstream's first background tasks.") \
    X(LOG_MESSAGE_TIMESTAMP_TYPE, "log.message.timestamp.type", STRING, "CreateTime", \
      ONE_OF("CreateTime|LogAppendTime"), MEDIUM, CLUSTER_WIDE, USED, 0, \
      "Whether a record keeps its producer's time (CreateTime) or gets the broker's " \
      "(LogAppendTime).") \
    X(LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS, "log.message.timestamp.before.max.ms", LONG, \
      "9223372036854775807", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, USED, 0, \
      "How far a record's timestamp may lie behind the broker's clock.") \
    X(LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS, "log.message.timestamp.after.max.ms", LONG, "3600000", \
      AT_LEAST(0), MEDIUM, CLUSTER_WIDE, USED, 0, \
      "How far a record's timestamp may lie ahead of the broker's clock.") \
    X(LOG_LOCAL_RETENTION_BYTES, "log.local.retention.bytes", LONG, "-2", AT_LEAST(-2), MEDIUM, \
      CLUSTER_WIDE, ACCEPTED, 0, "Local bytes kept when a topic is tiered; there is no tiered storage.") \
    X(LOG_LOCAL_RETENTION_MS, "log.local.retention.ms", LONG, "-2", AT_LEAST(-2), MEDIUM, \
      CLUSTER_WIDE, ACCEPTED, 0, "Local time kept when a topic is tiered; there is no tiered storage.") \
    X(NUM_RECOVERY_THREADS_PER_DATA_DIR, "num.recovery.threads.per.data.dir", INT, "2", AT_LEAST(1), \
      HIGH, CLUSTER_WIDE, ACCEPTED, 0, \
      "Upstream's recovery threads. Every reactor recovers its own logs here.") \
    X(PRODUCER_ID_EXPIRATION_MS, "producer.id.expiration.ms", INT, "86400000", AT_LEAST(1), LOW, \
      CLUSTER_WIDE, USED, 0, "How long an idle producer's state is kept.") \
    X(PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS, "producer.id.expiration.check.interval.ms", INT, \
      "600000", AT_LEAST(1), LOW, READ_ONLY, USED, INTERNAL, \
      "Interval at which expired producers are looked for.")

/* clang-format on */

#endif
