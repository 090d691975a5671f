/* Rows of the topic configuration: X(id, name, type, default, allowed, meaning, flags, field, synonyms,
 * prose).
 *
 * Names, types, defaults, allowed values and synonyms are facts of Kafka 4.3 (LogConfig,
 * ServerTopicConfigSynonyms); the words are ours. field: where the value goes in struct topic_config.
 * synonyms: the broker keys that supply the value when the topic has none, the first that is not null; a
 * number beside one is its unit in milliseconds. The row's own default counts only when there is no synonym.
 */
#ifndef SLUICE_BASE_CONFIG_TOPIC_TABLE_H
#define SLUICE_BASE_CONFIG_TOPIC_TABLE_H

/* clang-format off */
#define TOPIC_TABLE(X) \
    X(CLEANUP_POLICY, "cleanup.policy", LIST, "delete", ITEMS("compact|delete"), USED, 0, \
      POLICY(cleanup_policy), SYNONYM(LOG_CLEANUP_POLICY), \
      "What happens to old segments: delete, compact, or both; empty keeps everything.") \
    X(COMPRESSION_GZIP_LEVEL, "compression.gzip.level", INT, "-1", GZIP_LEVEL, USED, 0, \
      NUMBER(gzip_level), SYNONYM(COMPRESSION_GZIP_LEVEL), \
      "Level when compression.type is gzip; -1 is the library's default.") \
    X(COMPRESSION_LZ4_LEVEL, "compression.lz4.level", INT, "9", RANGE(1, 17), USED, 0, \
      NUMBER(lz4_level), SYNONYM(COMPRESSION_LZ4_LEVEL), "Level when compression.type is lz4.") \
    X(COMPRESSION_TYPE, "compression.type", STRING, "producer", \
      ONE_OF("uncompressed|zstd|lz4|snappy|gzip|producer"), USED, 0, CODEC(compression_type), \
      SYNONYM(COMPRESSION_TYPE), "Codec in which batches are stored; producer keeps what was sent.") \
    X(COMPRESSION_ZSTD_LEVEL, "compression.zstd.level", INT, "3", RANGE(-131072, 22), USED, 0, \
      NUMBER(zstd_level), SYNONYM(COMPRESSION_ZSTD_LEVEL), "Level when compression.type is zstd.") \
    X(DELETE_RETENTION_MS, "delete.retention.ms", LONG, "86400000", AT_LEAST(0), USED, 0, \
      NUMBER(delete_retention_ms), SYNONYM(LOG_CLEANER_DELETE_RETENTION_MS), \
      "How long tombstones stay in a compacted log.") \
    X(FILE_DELETE_DELAY_MS, "file.delete.delay.ms", LONG, "60000", AT_LEAST(0), USED, 0, \
      NUMBER(file_delete_delay_ms), SYNONYM(LOG_SEGMENT_DELETE_DELAY_MS), \
      "Time between a segment's removal from the log and its unlink.") \
    X(FLUSH_MESSAGES, "flush.messages", LONG, "9223372036854775807", AT_LEAST(1), ACCEPTED, 0, \
      NUMBER(flush_messages), SYNONYM(LOG_FLUSH_INTERVAL_MESSAGES), \
      "Upstream syncs after so many records. Here every record is synced before it is acknowledged.") \
    X(FLUSH_MS, "flush.ms", LONG, "9223372036854775807", AT_LEAST(0), ACCEPTED, 0, NUMBER(flush_ms), \
      SYNONYMS({CFG_LOG_FLUSH_INTERVAL_MS, 1}, {CFG_LOG_FLUSH_SCHEDULER_INTERVAL_MS, 1}), \
      "Upstream syncs after this time. Here every record is synced before it is acknowledged.") \
    X(FOLLOWER_REPLICATION_THROTTLED_REPLICAS, "follower.replication.throttled.replicas", LIST, "", \
      THROTTLED, ACCEPTED, 0, NONE, NO_SYNONYM, \
      "Follower replicas whose replication is throttled; there are no followers yet.") \
    X(INDEX_INTERVAL_BYTES, "index.interval.bytes", INT, "4096", AT_LEAST(0), USED, 0, \
      NUMBER(index_interval_bytes), SYNONYM(LOG_INDEX_INTERVAL_BYTES), \
      "Bytes of records between two index entries.") \
    X(INTERNAL_SEGMENT_BYTES, "internal.segment.bytes", INT, NULL, ANY, ACCEPTED, INTERNAL, \
      NUMBER(internal_segment_bytes), NO_SYNONYM, \
      "Segment size without the lower bound of segment.bytes, for tests.") \
    X(LEADER_REPLICATION_THROTTLED_REPLICAS, "leader.replication.throttled.replicas", LIST, "", \
      THROTTLED, ACCEPTED, 0, NONE, NO_SYNONYM, \
      "Leader replicas whose replication is throttled; there are no followers yet.") \
    X(LOCAL_RETENTION_BYTES, "local.retention.bytes", LONG, "-2", AT_LEAST(-2), ACCEPTED, 0, \
      NUMBER(local_retention_bytes), SYNONYM(LOG_LOCAL_RETENTION_BYTES), \
      "Local bytes kept when the topic is tiered; there is no tiered storage.") \
    X(LOCAL_RETENTION_MS, "local.retention.ms", LONG, "-2", AT_LEAST(-2), ACCEPTED, 0, \
      NUMBER(local_retention_ms), SYNONYM(LOG_LOCAL_RETENTION_MS), \
      "Local time kept when the topic is tiered; there is no tiered storage.") \
    X(MAX_COMPACTION_LAG_MS, "max.compaction.lag.ms", LONG, "9223372036854775807", AT_LEAST(1), \
      USED, 0, NUMBER(max_compaction_lag_ms), SYNONYM(LOG_CLEANER_MAX_COMPACTION_LAG_MS), \
      "Age at which a record must be compacted.") \
    X(MAX_MESSAGE_BYTES, "max.message.bytes", INT, "1048588", AT_LEAST(0), USED, 0, \
      NUMBER(max_message_bytes), SYNONYM(MESSAGE_MAX_BYTES), "Largest batch accepted, after compression.") \
    X(MESSAGE_TIMESTAMP_AFTER_MAX_MS, "message.timestamp.after.max.ms", LONG, "3600000", \
      AT_LEAST(0), USED, 0, NUMBER(timestamp_after_max_ms), \
      SYNONYM(LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS), \
      "How far a record's timestamp may lie ahead of the broker's clock.") \
    X(MESSAGE_TIMESTAMP_BEFORE_MAX_MS, "message.timestamp.before.max.ms", LONG, \
      "9223372036854775807", AT_LEAST(0), USED, 0, NUMBER(timestamp_before_max_ms), \
      SYNONYM(LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS), \
      "How far a record's timestamp may lie behind the broker's clock.") \
    X(MESSAGE_TIMESTAMP_TYPE, "message.timestamp.type", STRING, "CreateTime", \
      ONE_OF("CreateTime|LogAppendTime"), USED, 0, STAMP(timestamp_type), \
      SYNONYM(LOG_MESSAGE_TIMESTAMP_TYPE), \
      "Whether a record keeps its producer's time (CreateTime) or gets the broker's " \
      "(LogAppendTime).") \
    X(MIN_CLEANABLE_DIRTY_RATIO, "min.cleanable.dirty.ratio", DOUBLE, "0.5", REALS(0, 1), USED, \
      0, REAL(min_cleanable_dirty_ratio), SYNONYM(LOG_CLEANER_MIN_CLEANABLE_RATIO), \
      "Share of a log that must be dirty before it is compacted.") \
    X(MIN_COMPACTION_LAG_MS, "min.compaction.lag.ms", LONG, "0", AT_LEAST(0), USED, 0, \
      NUMBER(min_compaction_lag_ms), SYNONYM(LOG_CLEANER_MIN_COMPACTION_LAG_MS), \
      "Age a record must reach before it may be compacted.") \
    X(MIN_INSYNC_REPLICAS, "min.insync.replicas", INT, "1", AT_LEAST(1), USED, 0, \
      NUMBER(min_insync_replicas), SYNONYM(MIN_INSYNC_REPLICAS), \
      "Replicas that must hold a record before acks=all is answered.") \
    X(PREALLOCATE, "preallocate", BOOLEAN, "false", ANY, ACCEPTED, 0, FLAG(preallocate), \
      SYNONYM(LOG_PREALLOCATE), \
      "Whether upstream allocates a segment when it is created; here space is always allocated " \
      "ahead of the writer.") \
    X(REMOTE_LOG_COPY_DISABLE, "remote.log.copy.disable", BOOLEAN, "false", ANY, ACCEPTED, 0, \
      FLAG(remote_log_copy_disable), NO_SYNONYM, \
      "Whether tiering of the topic is paused; there is no tiered storage.") \
    X(REMOTE_LOG_DELETE_ON_DISABLE, "remote.log.delete.on.disable", BOOLEAN, "false", ANY, ACCEPTED, \
      0, FLAG(remote_log_delete_on_disable), NO_SYNONYM, \
      "Whether tiered data is deleted when tiering ends; there is no tiered storage.") \
    X(REMOTE_STORAGE_ENABLE, "remote.storage.enable", BOOLEAN, "false", ANY, ACCEPTED, 0, \
      FLAG(remote_storage_enable), NO_SYNONYM, "Whether the topic is tiered; it cannot be.") \
    X(RETENTION_BYTES, "retention.bytes", LONG, "-1", ANY, USED, 0, NUMBER(retention_bytes), \
      SYNONYM(LOG_RETENTION_BYTES), "Bytes kept per partition; -1 without limit.") \
    X(RETENTION_MS, "retention.ms", LONG, "604800000", AT_LEAST(-1), USED, 0, NUMBER(retention_ms), \
      SYNONYMS({CFG_LOG_RETENTION_MS, 1}, {CFG_LOG_RETENTION_MINUTES, 60000}, {CFG_LOG_RETENTION_HOURS, 3600000}), \
      "How long records are kept; -1 for ever.") \
    X(SEGMENT_BYTES, "segment.bytes", INT, "1073741824", AT_LEAST(1048576), USED, 0, \
      NUMBER(segment_bytes), SYNONYM(LOG_SEGMENT_BYTES), \
      "Size at which the active segment is closed and a new one begun.") \
    X(SEGMENT_INDEX_BYTES, "segment.index.bytes", INT, "10485760", AT_LEAST(4), USED, 0, \
      NUMBER(segment_index_bytes), SYNONYM(LOG_INDEX_SIZE_MAX_BYTES), \
      "Largest offset or time index of a segment.") \
    X(SEGMENT_JITTER_MS, "segment.jitter.ms", LONG, "0", AT_LEAST(0), USED, 0, \
      NUMBER(segment_jitter_ms), \
      SYNONYMS({CFG_LOG_ROLL_JITTER_MS, 1}, {CFG_LOG_ROLL_JITTER_HOURS, 3600000}), \
      "Most to take off segment.ms, at random, so that segments do not all roll at once.") \
    X(SEGMENT_MS, "segment.ms", LONG, "604800000", AT_LEAST(1), USED, 0, NUMBER(segment_ms), \
      SYNONYMS({CFG_LOG_ROLL_MS, 1}, {CFG_LOG_ROLL_HOURS, 3600000}), \
      "Age at which the active segment is closed.") \
    X(UNCLEAN_LEADER_ELECTION_ENABLE, "unclean.leader.election.enable", BOOLEAN, "false", ANY, \
      ACCEPTED, 0, FLAG(unclean_leader_election_enable), SYNONYM(UNCLEAN_LEADER_ELECTION_ENABLE), \
      "Whether a replica that is behind may lead; with one replica there is no choice.") \
    X(WRITE_CACHING, "write.caching", BOOLEAN, "false", ANY, USED, 0, FLAG(write_caching), \
      SYNONYM(WRITE_CACHING_DEFAULT), \
      "Whether records are acknowledged before they are on disk; a crash may then lose them.")

/* clang-format on */

#endif
