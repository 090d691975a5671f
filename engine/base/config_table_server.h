/* Rows of the configuration table: keys of brokers, listeners, the controller and quotas. Columns: config_table.h. */
#ifndef SLUICE_BASE_CONFIG_TABLE_SERVER_H
#define SLUICE_BASE_CONFIG_TABLE_SERVER_H

/* clang-format off */
/* Broker, listeners and connections. */
#define CFG_TABLE_SERVER(X) \
    X(PROCESS_ROLES, "process.roles", LIST, "broker,controller", SOME_ITEMS("broker|controller"), \
      HIGH, READ_ONLY, USED, 0, \
      "Roles of this process. Only a broker with its own embedded controller is served: " \
      "broker,controller.") \
    X(NODE_ID, "node.id", INT, "1", AT_LEAST(0), HIGH, READ_ONLY, USED, 0, \
      "Id of this node in the cluster. Taken from broker.id when only that is set.") \
    X(BROKER_ID, "broker.id", INT, "-1", ANY, HIGH, READ_ONLY, USED, 0, \
      "Older name of node.id; -1 means not set. When both are set they must agree.") \
    X(BROKER_RACK, "broker.rack", STRING, NULL, ANY, MEDIUM, READ_ONLY, USED, 0, \
      "Rack of this broker, told to clients in metadata.") \
    X(LISTENERS, "listeners", LIST, "PLAINTEXT://127.0.0.1:9092", SOME, HIGH, PER_BROKER, USED, 0, \
      "Addresses to listen on, as NAME://host:port. An empty host listens on every address, port 0 " \
      "lets the kernel choose. Only PLAINTEXT listeners are served.") \
    X(ADVERTISED_LISTENERS, "advertised.listeners", LIST, NULL, SOME, HIGH, READ_ONLY, USED, 0, \
      "Addresses told to clients. Null: those of listeners, with the machine's host name for an " \
      "empty host.") \
    X(LISTENER_SECURITY_PROTOCOL_MAP, "listener.security.protocol.map", STRING, \
      "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", ANY, LOW, \
      PER_BROKER, USED, 0, "Security protocol of each listener name, as NAME:PROTOCOL.") \
    X(CONTROLLER_LISTENER_NAMES, "controller.listener.names", LIST, "", ANY, HIGH, READ_ONLY, USED, \
      0, \
      "Names of the listeners meant for controllers. May be empty: the embedded controller needs " \
      "none.") \
    X(INTER_BROKER_LISTENER_NAME, "inter.broker.listener.name", STRING, NULL, ANY, MEDIUM, \
      READ_ONLY, USED, 0, \
      "Listener that brokers use among themselves. Null: chosen by security.inter.broker.protocol.") \
    X(SECURITY_INTER_BROKER_PROTOCOL, "security.inter.broker.protocol", STRING, "PLAINTEXT", \
      ONE_OF("PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL"), MEDIUM, READ_ONLY, USED, 0, \
      "Protocol among brokers when inter.broker.listener.name is not set. Only PLAINTEXT is served.") \
    X(EARLY_START_LISTENERS, "early.start.listeners", LIST, NULL, ANY, HIGH, READ_ONLY, ACCEPTED, 0, \
      "Listeners that open before the authorizer is ready; there is no such phase here.") \
    X(NUM_NETWORK_THREADS, "num.network.threads", INT, "3", AT_LEAST(1), HIGH, CLUSTER_WIDE, \
      ACCEPTED, 0, "Upstream's network threads. Here sluice.reactors sets the number of threads.") \
    X(NUM_IO_THREADS, "num.io.threads", INT, "8", AT_LEAST(1), HIGH, CLUSTER_WIDE, ACCEPTED, 0, \
      "Upstream's request handler threads. Here sluice.reactors sets the number of threads.") \
    X(BACKGROUND_THREADS, "background.threads", INT, "10", AT_LEAST(1), HIGH, CLUSTER_WIDE, \
      ACCEPTED, 0, "Upstream's background threads. Background work runs on the reactors here.") \
    X(QUEUED_MAX_REQUESTS, "queued.max.requests", INT, "500", AT_LEAST(1), HIGH, READ_ONLY, \
      ACCEPTED, 0, \
      "Upstream's limit of queued requests. Here a request without credits leaves its socket " \
      "unread.") \
    X(QUEUED_MAX_REQUEST_BYTES, "queued.max.request.bytes", LONG, "-1", ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, \
      "Upstream's limit of queued request bytes; here frame memory is bounded by sluice.pool.bytes.") \
    X(SOCKET_REQUEST_MAX_BYTES, "socket.request.max.bytes", INT, "104857600", AT_LEAST(1), HIGH, \
      READ_ONLY, USED, 0, "Largest request that is accepted; a longer one closes its connection.") \
    X(SOCKET_SEND_BUFFER_BYTES, "socket.send.buffer.bytes", INT, "102400", ANY, HIGH, READ_ONLY, \
      ACCEPTED, 0, "SO_SNDBUF of client connections; -1 leaves the system's default.") \
    X(SOCKET_RECEIVE_BUFFER_BYTES, "socket.receive.buffer.bytes", INT, "102400", ANY, HIGH, \
      READ_ONLY, ACCEPTED, 0, "SO_RCVBUF of client connections; -1 leaves the system's default.") \
    X(SOCKET_LISTEN_BACKLOG_SIZE, "socket.listen.backlog.size", INT, "50", AT_LEAST(1), MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Connections that may wait to be accepted.") \
    X(SOCKET_CONNECTION_SETUP_TIMEOUT_MS, "socket.connection.setup.timeout.ms", LONG, "10000", ANY, \
      MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "How long a connection to another node may take to open; no such connections are made yet.") \
    X(SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS, "socket.connection.setup.timeout.max.ms", LONG, \
      "30000", ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Upper bound of the growing setup timeout to other nodes.") \
    X(CONNECTIONS_MAX_IDLE_MS, "connections.max.idle.ms", LONG, "600000", ANY, MEDIUM, READ_ONLY, \
      USED, 0, "A connection without requests for this long is closed; a negative value never closes.") \
    X(CONNECTION_FAILED_AUTHENTICATION_DELAY_MS, "connection.failed.authentication.delay.ms", INT, \
      "100", AT_LEAST(0), LOW, READ_ONLY, ACCEPTED, 0, \
      "How long to hold a connection whose authentication failed; needs SASL.") \
    X(CONNECTIONS_MAX_REAUTH_MS, "connections.max.reauth.ms", LONG, "0", ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Longest time between two authentications of a connection; needs SASL.") \
    X(MAX_CONNECTIONS, "max.connections", INT, "2147483647", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, \
      USED, 0, "Most client connections at a time.") \
    X(MAX_CONNECTIONS_PER_IP, "max.connections.per.ip", INT, "2147483647", AT_LEAST(0), MEDIUM, \
      CLUSTER_WIDE, USED, 0, "Most client connections from one address.") \
    X(MAX_CONNECTIONS_PER_IP_OVERRIDES, "max.connections.per.ip.overrides", STRING, "", ANY, MEDIUM, \
      CLUSTER_WIDE, USED, 0, "Exceptions to max.connections.per.ip, as host:count,host:count.") \
    X(MAX_CONNECTION_CREATION_RATE, "max.connection.creation.rate", INT, "2147483647", AT_LEAST(0), \
      MEDIUM, CLUSTER_WIDE, USED, 0, "Most connections accepted in a second.") \
    X(REQUEST_TIMEOUT_MS, "request.timeout.ms", INT, "30000", ANY, HIGH, READ_ONLY, ACCEPTED, 0, \
      "How long a request that waits for others may take when it does not say so itself.") \
    X(MAX_REQUEST_PARTITION_SIZE_LIMIT, "max.request.partition.size.limit", INT, "2000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, USED, 0, \
      "Most partitions that one request may ask to have described.") \
    X(MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS, "max.incremental.fetch.session.cache.slots", INT, \
      "1000", AT_LEAST(0), MEDIUM, READ_ONLY, USED, 0, "Most incremental fetch sessions kept.") \
    X(FETCH_MAX_BYTES, "fetch.max.bytes", INT, "57671680", AT_LEAST(1024), MEDIUM, READ_ONLY, USED, \
      0, "Most bytes in one fetch response, whatever the consumer asks for.") \
    X(FETCH_PURGATORY_PURGE_INTERVAL_REQUESTS, "fetch.purgatory.purge.interval.requests", INT, \
      "1000", ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Upstream's clean-up interval of waiting fetches; waiting fetches leave at once here.") \
    X(PRODUCER_PURGATORY_PURGE_INTERVAL_REQUESTS, "producer.purgatory.purge.interval.requests", INT, \
      "1000", ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Upstream's clean-up interval of waiting produce requests.") \
    X(DELETE_RECORDS_PURGATORY_PURGE_INTERVAL_REQUESTS, \
      "delete.records.purgatory.purge.interval.requests", INT, "1", ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Upstream's clean-up interval of waiting DeleteRecords requests.") \
    X(SHARE_FETCH_PURGATORY_PURGE_INTERVAL_REQUESTS, \
      "share.fetch.purgatory.purge.interval.requests", INT, "1000", ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Upstream's clean-up interval of waiting share fetches.") \
    X(CONTROLLED_SHUTDOWN_ENABLE, "controlled.shutdown.enable", BOOLEAN, "true", ANY, MEDIUM, \
      READ_ONLY, ACCEPTED, 0, \
      "Whether leaders move away before a stop; one node has nowhere to move them.") \
    X(SERVER_MAX_STARTUP_TIME_MS, "server.max.startup.time.ms", LONG, "9223372036854775807", \
      AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, INTERNAL, \
      "Upstream's limit on how long a start may take.") \
    X(CONFIG_PROVIDERS, "config.providers", LIST, "", ANY, LOW, CLUSTER_WIDE, ACCEPTED, 0, \
      "Java classes that fetch values from elsewhere; there is no JVM here.") \
    X(SECURITY_PROVIDERS, "security.providers", STRING, NULL, ANY, LOW, READ_ONLY, ACCEPTED, 0, \
      "Java security providers; there is no JVM here.") \
    X(METRIC_REPORTERS, "metric.reporters", LIST, "", ANY, LOW, CLUSTER_WIDE, ACCEPTED, 0, \
      "Java metrics reporters; there is no JVM here.") \
    X(METRICS_NUM_SAMPLES, "metrics.num.samples", INT, "2", AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, \
      0, "Samples kept per Java metric.") \
    X(METRICS_RECORDING_LEVEL, "metrics.recording.level", STRING, "INFO", ANY, LOW, READ_ONLY, \
      ACCEPTED, 0, "Level of Java metrics recorded.") \
    X(METRICS_SAMPLE_WINDOW_MS, "metrics.sample.window.ms", LONG, "30000", AT_LEAST(1), LOW, \
      READ_ONLY, ACCEPTED, 0, "Window of one Java metrics sample.") \
    X(KAFKA_METRICS_POLLING_INTERVAL_SECS, "kafka.metrics.polling.interval.secs", INT, "10", \
      AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, 0, "Polling interval of Java metrics reporters.") \
    X(KAFKA_METRICS_REPORTERS, "kafka.metrics.reporters", LIST, "", ANY, LOW, READ_ONLY, ACCEPTED, \
      0, "Java metrics reporters of the older kind.") \
    X(TELEMETRY_MAX_BYTES, "telemetry.max.bytes", INT, "1048576", AT_LEAST(1), LOW, READ_ONLY, \
      ACCEPTED, 0, "Largest client telemetry push; telemetry is not served.") \
    X(UNSTABLE_API_VERSIONS_ENABLE, "unstable.api.versions.enable", BOOLEAN, "false", ANY, HIGH, \
      READ_ONLY, ACCEPTED, INTERNAL, \
      "Whether unreleased API versions are served; here only released ones are.") \
    X(UNSTABLE_FEATURE_VERSIONS_ENABLE, "unstable.feature.versions.enable", BOOLEAN, "false", ANY, \
      HIGH, READ_ONLY, ACCEPTED, INTERNAL, \
      "Whether unreleased feature levels may be finalized; here only released ones are.")

/* Controller and metadata log. */
#define CFG_TABLE_KRAFT(X) \
    X(CONTROLLER_QUORUM_VOTERS, "controller.quorum.voters", LIST, "", ANY, HIGH, READ_ONLY, USED, 0, \
      "Voters of the controller quorum, as id@host:port. May name only this node.") \
    X(CONTROLLER_QUORUM_BOOTSTRAP_SERVERS, "controller.quorum.bootstrap.servers", LIST, "", ANY, \
      HIGH, READ_ONLY, USED, 0, \
      "Where to find the controller quorum, as host:port. May name only this node.") \
    X(CONTROLLER_QUORUM_APPEND_LINGER_MS, "controller.quorum.append.linger.ms", INT, "25", \
      AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "How long a controller collects writes; the journal groups them here.") \
    X(CONTROLLER_QUORUM_AUTO_JOIN_ENABLE, "controller.quorum.auto.join.enable", BOOLEAN, "false", \
      ANY, LOW, READ_ONLY, ACCEPTED, 0, "Whether a new controller joins the quorum by itself.") \
    X(CONTROLLER_QUORUM_ELECTION_BACKOFF_MAX_MS, "controller.quorum.election.backoff.max.ms", INT, \
      "1000", AT_LEAST(0), HIGH, READ_ONLY, ACCEPTED, 0, \
      "Longest pause between two elections; the embedded controller is alone.") \
    X(CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS, "controller.quorum.election.timeout.ms", INT, "1000", \
      AT_LEAST(0), HIGH, READ_ONLY, ACCEPTED, 0, \
      "How long a candidate waits for votes; the embedded controller is alone.") \
    X(CONTROLLER_QUORUM_FETCH_MAX_BYTES, "controller.quorum.fetch.max.bytes", INT, "1048576", \
      AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, 0, "Bytes of one fetch between controllers.") \
    X(CONTROLLER_QUORUM_FETCH_SNAPSHOT_MAX_BYTES, "controller.quorum.fetch.snapshot.max.bytes", INT, \
      "1048576", AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, 0, \
      "Bytes of one snapshot fetch between controllers.") \
    X(CONTROLLER_QUORUM_FETCH_TIMEOUT_MS, "controller.quorum.fetch.timeout.ms", INT, "2000", \
      AT_LEAST(0), HIGH, READ_ONLY, ACCEPTED, 0, "Silence after which a controller calls an election.") \
    X(CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS, "controller.quorum.request.timeout.ms", INT, "2000", \
      AT_LEAST(0), MEDIUM, READ_ONLY, ACCEPTED, 0, "Timeout of requests between controllers.") \
    X(CONTROLLER_QUORUM_RETRY_BACKOFF_MS, "controller.quorum.retry.backoff.ms", INT, "20", \
      AT_LEAST(0), LOW, READ_ONLY, ACCEPTED, 0, "Pause before such a request is sent again.") \
    X(CONTROLLER_SOCKET_TIMEOUT_MS, "controller.socket.timeout.ms", INT, "30000", ANY, MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Timeout of requests to the controller.") \
    X(CONTROLLER_QUOTA_WINDOW_NUM, "controller.quota.window.num", INT, "11", AT_LEAST(1), LOW, \
      READ_ONLY, USED, 0, "Samples kept for the quota on topic changes.") \
    X(CONTROLLER_QUOTA_WINDOW_SIZE_SECONDS, "controller.quota.window.size.seconds", INT, "1", \
      AT_LEAST(1), LOW, READ_ONLY, USED, 0, "Length of one such sample.") \
    X(CONTROLLER_PERFORMANCE_ALWAYS_LOG_THRESHOLD_MS, \
      "controller.performance.always.log.threshold.ms", LONG, "2000", AT_LEAST(0), MEDIUM, \
      READ_ONLY, ACCEPTED, INTERNAL, "Controller events slower than this are logged upstream.") \
    X(CONTROLLER_PERFORMANCE_SAMPLE_PERIOD_MS, "controller.performance.sample.period.ms", LONG, \
      "60000", AT_LEAST(100), MEDIUM, READ_ONLY, ACCEPTED, INTERNAL, \
      "Interval of upstream's controller performance lines.") \
    X(BROKER_HEARTBEAT_INTERVAL_MS, "broker.heartbeat.interval.ms", INT, "2000", ANY, MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Interval of heartbeats to the controller; the embedded one needs none.") \
    X(BROKER_SESSION_TIMEOUT_MS, "broker.session.timeout.ms", INT, "9000", ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Silence after which the controller fences a broker; the embedded one needs none.") \
    X(INITIAL_BROKER_REGISTRATION_TIMEOUT_MS, "initial.broker.registration.timeout.ms", INT, \
      "60000", ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, "How long registration with the controller may take.") \
    X(METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS, \
      "metadata.log.max.record.bytes.between.snapshots", LONG, "20971520", AT_LEAST(1), HIGH, \
      READ_ONLY, USED, 0, "Bytes of metadata records after which a snapshot is written.") \
    X(METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS, "metadata.log.max.snapshot.interval.ms", LONG, \
      "3600000", AT_LEAST(0), HIGH, READ_ONLY, USED, 0, "Time after which a snapshot is written.") \
    X(METADATA_LOG_SEGMENT_BYTES, "metadata.log.segment.bytes", INT, "1073741824", \
      AT_LEAST(8388608), HIGH, READ_ONLY, USED, 0, "Segment size of the metadata log.") \
    X(METADATA_LOG_SEGMENT_MS, "metadata.log.segment.ms", LONG, "604800000", ANY, HIGH, READ_ONLY, \
      USED, 0, "Age at which a segment of the metadata log is closed.") \
    X(METADATA_MAX_IDLE_INTERVAL_MS, "metadata.max.idle.interval.ms", INT, "500", AT_LEAST(0), LOW, \
      READ_ONLY, ACCEPTED, 0, "Interval of no-op records on an idle metadata log; none are written here.") \
    X(METADATA_MAX_RETENTION_BYTES, "metadata.max.retention.bytes", LONG, "104857600", ANY, HIGH, \
      READ_ONLY, USED, 0, "Bytes of metadata log and snapshots kept; the newest snapshot stays in any case.") \
    X(METADATA_MAX_RETENTION_MS, "metadata.max.retention.ms", LONG, "604800000", ANY, HIGH, \
      READ_ONLY, USED, 0, "How long metadata log and snapshots are kept.") \
    X(INTERNAL_METADATA_DELETE_DELAY_MILLIS, "internal.metadata.delete.delay.millis", LONG, "60000", \
      ANY, LOW, READ_ONLY, USED, INTERNAL, "Delay before metadata segments are unlinked.") \
    X(INTERNAL_METADATA_LOG_SEGMENT_BYTES, "internal.metadata.log.segment.bytes", INT, NULL, ANY, \
      LOW, READ_ONLY, USED, INTERNAL, "Segment size of the metadata log, however small; for tests.") \
    X(INTERNAL_METADATA_MAX_BATCH_SIZE_IN_BYTES, "internal.metadata.max.batch.size.in.bytes", INT, \
      "8388608", ANY, LOW, READ_ONLY, ACCEPTED, INTERNAL, "Largest batch of metadata records upstream.")

/* Quotas. */
#define CFG_TABLE_QUOTA(X) \
    X(CLIENT_QUOTA_CALLBACK_CLASS, "client.quota.callback.class", CLASS, NULL, ANY, LOW, READ_ONLY, \
      ACCEPTED, 0, "Java class that decides quotas; there is no JVM here.") \
    X(QUOTA_WINDOW_NUM, "quota.window.num", INT, "11", AT_LEAST(1), LOW, READ_ONLY, USED, 0, \
      "Samples kept for client quotas.") \
    X(QUOTA_WINDOW_SIZE_SECONDS, "quota.window.size.seconds", INT, "1", AT_LEAST(1), LOW, READ_ONLY, \
      USED, 0, "Length of one client quota sample.")

/* clang-format on */

#endif
