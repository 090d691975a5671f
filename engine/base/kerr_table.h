/* The rows of Kafka's error codes (4.3): code, name, whether clients retry, our text for it. Codes, names and
 * the retry flag are facts of org.apache.kafka.common.protocol.Errors; the words are ours. Sorted by code. */
#ifndef SLUICE_BASE_KERR_TABLE_H
#define SLUICE_BASE_KERR_TABLE_H

/* clang-format off */
#define KERR_TABLE(X) \
    X(-1, UNKNOWN_SERVER_ERROR, 0, "unexpected error in the server") \
    X(0, NONE, 0, "no error") \
    X(1, OFFSET_OUT_OF_RANGE, 0, "the offset is outside the log's range") \
    X(2, CORRUPT_MESSAGE, 1, "the batch is corrupt: bad checksum, size or key") \
    X(3, UNKNOWN_TOPIC_OR_PARTITION, 1, "this broker does not host the partition") \
    X(4, INVALID_FETCH_SIZE, 0, "the fetch size is invalid") \
    X(5, LEADER_NOT_AVAILABLE, 1, "the partition has no leader at the moment") \
    X(6, NOT_LEADER_OR_FOLLOWER, 1, "this broker is neither leader nor follower of the partition") \
    X(7, REQUEST_TIMED_OUT, 1, "the request timed out") \
    X(8, BROKER_NOT_AVAILABLE, 0, "the broker is not available") \
    X(9, REPLICA_NOT_AVAILABLE, 1, "the replica is not available") \
    X(10, MESSAGE_TOO_LARGE, 0, "the message is larger than the broker accepts") \
    X(11, STALE_CONTROLLER_EPOCH, 0, "the controller has moved") \
    X(12, OFFSET_METADATA_TOO_LARGE, 0, "the offset's metadata string is too long") \
    X(13, NETWORK_EXCEPTION, 1, "the connection broke before a response came") \
    X(14, COORDINATOR_LOAD_IN_PROGRESS, 1, "the coordinator is loading its state") \
    X(15, COORDINATOR_NOT_AVAILABLE, 1, "the coordinator is not available") \
    X(16, NOT_COORDINATOR, 1, "this broker is not the coordinator") \
    X(17, INVALID_TOPIC_EXCEPTION, 0, "the topic name is invalid or the topic is internal") \
    X(18, RECORD_LIST_TOO_LARGE, 0, "the batch is larger than a segment") \
    X(19, NOT_ENOUGH_REPLICAS, 1, "fewer replicas are in sync than required") \
    X(20, NOT_ENOUGH_REPLICAS_AFTER_APPEND, 1, "written, but to fewer in-sync replicas than required") \
    X(21, INVALID_REQUIRED_ACKS, 0, "acks must be -1, 0 or 1") \
    X(22, ILLEGAL_GENERATION, 0, "the group generation is not the current one") \
    X(23, INCONSISTENT_GROUP_PROTOCOL, 0, "the member's protocols do not fit the group") \
    X(24, INVALID_GROUP_ID, 0, "the group id is invalid") \
    X(25, UNKNOWN_MEMBER_ID, 0, "the coordinator does not know this member") \
    X(26, INVALID_SESSION_TIMEOUT, 0, "the session timeout is outside the allowed range") \
    X(27, REBALANCE_IN_PROGRESS, 0, "the group is rebalancing, join again") \
    X(28, INVALID_COMMIT_OFFSET_SIZE, 0, "the offset commit is too large") \
    X(29, TOPIC_AUTHORIZATION_FAILED, 0, "not allowed to use this topic") \
    X(30, GROUP_AUTHORIZATION_FAILED, 0, "not allowed to use this group") \
    X(31, CLUSTER_AUTHORIZATION_FAILED, 0, "not allowed to use the cluster") \
    X(32, INVALID_TIMESTAMP, 0, "the record's timestamp is out of range") \
    X(33, UNSUPPORTED_SASL_MECHANISM, 0, "the SASL mechanism is not supported") \
    X(34, ILLEGAL_SASL_STATE, 0, "the request does not fit the SASL state") \
    X(35, UNSUPPORTED_VERSION, 0, "the version of this API is not supported") \
    X(36, TOPIC_ALREADY_EXISTS, 0, "a topic of this name exists already") \
    X(37, INVALID_PARTITIONS, 0, "the number of partitions must be positive") \
    X(38, INVALID_REPLICATION_FACTOR, 0, "the replication factor is below 1 or above the number of brokers") \
    X(39, INVALID_REPLICA_ASSIGNMENT, 0, "the replica assignment is invalid") \
    X(40, INVALID_CONFIG, 0, "the configuration is invalid") \
    X(41, NOT_CONTROLLER, 1, "this node is not the active controller") \
    X(42, INVALID_REQUEST, 0, "the request is malformed or inconsistent") \
    X(43, UNSUPPORTED_FOR_MESSAGE_FORMAT, 0, "the message format does not support this request") \
    X(44, POLICY_VIOLATION, 0, "the request violates a policy") \
    X(45, OUT_OF_ORDER_SEQUENCE_NUMBER, 0, "the producer's sequence number is out of order") \
    X(46, DUPLICATE_SEQUENCE_NUMBER, 0, "the producer's sequence number was used already") \
    X(47, INVALID_PRODUCER_EPOCH, 0, "the producer's epoch is old") \
    X(48, INVALID_TXN_STATE, 0, "the transaction is in a state that forbids this") \
    X(49, INVALID_PRODUCER_ID_MAPPING, 0, "the producer id does not belong to the transactional id") \
    X(50, INVALID_TRANSACTION_TIMEOUT, 0, "the transaction timeout is above the broker's maximum") \
    X(51, CONCURRENT_TRANSACTIONS, 1, "another operation on the transaction is under way") \
    X(52, TRANSACTION_COORDINATOR_FENCED, 0, "the transaction coordinator is no longer the current one") \
    X(53, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 0, "not allowed to use this transactional id") \
    X(54, SECURITY_DISABLED, 0, "security features are disabled") \
    X(55, OPERATION_NOT_ATTEMPTED, 0, "not attempted, because another part of the request failed") \
    X(56, KAFKA_STORAGE_ERROR, 1, "the disk failed or is full") \
    X(57, LOG_DIR_NOT_FOUND, 0, "the log directory is not in the configuration") \
    X(58, SASL_AUTHENTICATION_FAILED, 0, "SASL authentication failed") \
    X(59, UNKNOWN_PRODUCER_ID, 0, "the broker knows nothing of this producer id") \
    X(60, REASSIGNMENT_IN_PROGRESS, 0, "a reassignment of the partition is in progress") \
    X(61, DELEGATION_TOKEN_AUTH_DISABLED, 0, "delegation tokens are disabled") \
    X(62, DELEGATION_TOKEN_NOT_FOUND, 0, "the delegation token was not found") \
    X(63, DELEGATION_TOKEN_OWNER_MISMATCH, 0, "the principal is not the token's owner or renewer") \
    X(64, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, 0, "delegation token requests are not allowed on this channel") \
    X(65, DELEGATION_TOKEN_AUTHORIZATION_FAILED, 0, "not allowed to use the delegation token") \
    X(66, DELEGATION_TOKEN_EXPIRED, 0, "the delegation token has expired") \
    X(67, INVALID_PRINCIPAL_TYPE, 0, "the principal type is not supported") \
    X(68, NON_EMPTY_GROUP, 0, "the group is not empty") \
    X(69, GROUP_ID_NOT_FOUND, 0, "the group does not exist") \
    X(70, FETCH_SESSION_ID_NOT_FOUND, 1, "the fetch session does not exist") \
    X(71, INVALID_FETCH_SESSION_EPOCH, 1, "the fetch session epoch is invalid") \
    X(72, LISTENER_NOT_FOUND, 1, "the leader has no listener of this name") \
    X(73, TOPIC_DELETION_DISABLED, 0, "topic deletion is disabled") \
    X(74, FENCED_LEADER_EPOCH, 1, "the leader epoch is older than the broker's") \
    X(75, UNKNOWN_LEADER_EPOCH, 1, "the leader epoch is newer than the broker's") \
    X(76, UNSUPPORTED_COMPRESSION_TYPE, 0, "the client does not support the partition's compression") \
    X(77, STALE_BROKER_EPOCH, 0, "the broker epoch has changed") \
    X(78, OFFSET_NOT_AVAILABLE, 1, "the high watermark has not caught up since the election") \
    X(79, MEMBER_ID_REQUIRED, 0, "join again with the member id given") \
    X(80, PREFERRED_LEADER_NOT_AVAILABLE, 1, "the preferred leader is not available") \
    X(81, GROUP_MAX_SIZE_REACHED, 0, "the group is full") \
    X(82, FENCED_INSTANCE_ID, 0, "another member has registered this group instance id") \
    X(83, ELIGIBLE_LEADERS_NOT_AVAILABLE, 1, "no eligible leader is available") \
    X(84, ELECTION_NOT_NEEDED, 1, "no election is needed") \
    X(85, NO_REASSIGNMENT_IN_PROGRESS, 0, "no reassignment is in progress") \
    X(86, GROUP_SUBSCRIBED_TO_TOPIC, 0, "the group is subscribed to the topic") \
    X(87, INVALID_RECORD, 0, "a record failed validation") \
    X(88, UNSTABLE_OFFSET_COMMIT, 1, "offsets of an open transaction are pending") \
    X(89, THROTTLING_QUOTA_EXCEEDED, 1, "a quota was exceeded") \
    X(90, PRODUCER_FENCED, 0, "a newer producer has taken the transactional id") \
    X(91, RESOURCE_NOT_FOUND, 0, "the resource does not exist") \
    X(92, DUPLICATE_RESOURCE, 0, "the resource appears twice in the request") \
    X(93, UNACCEPTABLE_CREDENTIAL, 0, "the credential is not acceptable") \
    X(94, INCONSISTENT_VOTER_SET, 0, "the voter sets differ") \
    X(95, INVALID_UPDATE_VERSION, 0, "the update version is invalid") \
    X(96, FEATURE_UPDATE_FAILED, 0, "the feature update failed") \
    X(97, PRINCIPAL_DESERIALIZATION_FAILURE, 0, "the principal could not be decoded") \
    X(98, SNAPSHOT_NOT_FOUND, 0, "the snapshot was not found") \
    X(99, POSITION_OUT_OF_RANGE, 0, "the position is outside the snapshot") \
    X(100, UNKNOWN_TOPIC_ID, 1, "this broker does not know the topic id") \
    X(101, DUPLICATE_BROKER_REGISTRATION, 0, "the broker id is in use") \
    X(102, BROKER_ID_NOT_REGISTERED, 0, "the broker id is not registered") \
    X(103, INCONSISTENT_TOPIC_ID, 1, "the topic id does not match the log's") \
    X(104, INCONSISTENT_CLUSTER_ID, 0, "the cluster id does not match") \
    X(105, TRANSACTIONAL_ID_NOT_FOUND, 0, "the transactional id does not exist") \
    X(106, FETCH_SESSION_TOPIC_ID_ERROR, 1, "topic ids and names were mixed in the fetch session") \
    X(107, INELIGIBLE_REPLICA, 0, "the new ISR holds an ineligible replica") \
    X(108, NEW_LEADER_ELECTED, 0, "the partition changed, but the leader is another") \
    X(109, OFFSET_MOVED_TO_TIERED_STORAGE, 0, "the offset has moved to tiered storage") \
    X(110, FENCED_MEMBER_EPOCH, 0, "the member epoch is fenced, rejoin") \
    X(111, UNRELEASED_INSTANCE_ID, 0, "the group instance id is still in use") \
    X(112, UNSUPPORTED_ASSIGNOR, 0, "the assignor is not supported") \
    X(113, STALE_MEMBER_EPOCH, 0, "the member epoch is stale") \
    X(114, MISMATCHED_ENDPOINT_TYPE, 0, "the request went to the wrong kind of endpoint") \
    X(115, UNSUPPORTED_ENDPOINT_TYPE, 0, "the kind of endpoint is not supported") \
    X(116, UNKNOWN_CONTROLLER_ID, 0, "the controller id is unknown") \
    X(117, UNKNOWN_SUBSCRIPTION_ID, 0, "the telemetry subscription is unknown or outdated") \
    X(118, TELEMETRY_TOO_LARGE, 0, "the telemetry push is too large") \
    X(119, INVALID_REGISTRATION, 0, "the controller rejected the registration") \
    X(120, TRANSACTION_ABORTABLE, 0, "the transaction failed and must be aborted") \
    X(121, INVALID_RECORD_STATE, 0, "the record's state forbids this acknowledgement") \
    X(122, SHARE_SESSION_NOT_FOUND, 1, "the share session does not exist") \
    X(123, INVALID_SHARE_SESSION_EPOCH, 1, "the share session epoch is invalid") \
    X(124, FENCED_STATE_EPOCH, 0, "the share group's state epoch does not match") \
    X(125, INVALID_VOTER_KEY, 0, "the voter key does not match") \
    X(126, DUPLICATE_VOTER, 0, "the voter exists already") \
    X(127, VOTER_NOT_FOUND, 0, "the voter does not exist") \
    X(128, INVALID_REGULAR_EXPRESSION, 0, "the regular expression is invalid") \
    X(129, REBOOTSTRAP_REQUIRED, 0, "the client's metadata is stale, bootstrap again") \
    X(130, STREAMS_INVALID_TOPOLOGY, 0, "the topology is invalid") \
    X(131, STREAMS_INVALID_TOPOLOGY_EPOCH, 0, "the topology epoch is invalid") \
    X(132, STREAMS_TOPOLOGY_FENCED, 0, "the topology epoch is outdated") \
    X(133, SHARE_SESSION_LIMIT_REACHED, 1, "too many share sessions")
/* clang-format on */

#endif
