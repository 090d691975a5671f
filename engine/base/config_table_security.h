/* Rows of the configuration table: keys of security and tiered storage. Columns: config_table.h. */
#ifndef SLUICE_BASE_CONFIG_TABLE_SECURITY_H
#define SLUICE_BASE_CONFIG_TABLE_SECURITY_H

/* clang-format off */
/* Security. */
#define CFG_TABLE_SECURITY(X) \
    X(AUTHORIZER_CLASS_NAME, "authorizer.class.name", STRING, "", ANY, LOW, READ_ONLY, ACCEPTED, 0, \
      "Java class that authorizes requests; there is no JVM here, and every request is allowed.") \
    X(PRINCIPAL_BUILDER_CLASS, "principal.builder.class", CLASS, \
      "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder", ANY, MEDIUM, \
      PER_BROKER, ACCEPTED, 0, \
      "Java class that makes a principal from a connection; there is no JVM here.") \
    X(DELEGATION_TOKEN_SECRET_KEY, "delegation.token.secret.key", PASSWORD, NULL, ANY, MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Secret from which delegation tokens are made; tokens are not served.") \
    X(DELEGATION_TOKEN_MAX_LIFETIME_MS, "delegation.token.max.lifetime.ms", LONG, "604800000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Longest life of a delegation token.") \
    X(DELEGATION_TOKEN_EXPIRY_TIME_MS, "delegation.token.expiry.time.ms", LONG, "86400000", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Life of a delegation token between renewals.") \
    X(DELEGATION_TOKEN_EXPIRY_CHECK_INTERVAL_MS, "delegation.token.expiry.check.interval.ms", LONG, \
      "3600000", AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, 0, \
      "Interval at which expired tokens are removed.") \
    X(SASL_ENABLED_MECHANISMS, "sasl.enabled.mechanisms", LIST, "GSSAPI", ANY, MEDIUM, PER_BROKER, \
      ACCEPTED, 0, "SASL mechanisms that are offered; SASL is not served.") \
    X(SASL_MECHANISM_INTER_BROKER_PROTOCOL, "sasl.mechanism.inter.broker.protocol", STRING, \
      "GSSAPI", ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, "SASL mechanism among brokers.") \
    X(SASL_MECHANISM_CONTROLLER_PROTOCOL, "sasl.mechanism.controller.protocol", STRING, "GSSAPI", \
      ANY, HIGH, READ_ONLY, ACCEPTED, 0, "SASL mechanism towards controllers.") \
    X(SASL_JAAS_CONFIG, "sasl.jaas.config", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, \
      "JAAS login module for SASL.") \
    X(SASL_CLIENT_CALLBACK_HANDLER_CLASS, "sasl.client.callback.handler.class", CLASS, NULL, ANY, \
      MEDIUM, READ_ONLY, ACCEPTED, 0, "Java callback handler of a SASL client.") \
    X(SASL_LOGIN_CALLBACK_HANDLER_CLASS, "sasl.login.callback.handler.class", CLASS, NULL, ANY, \
      MEDIUM, READ_ONLY, ACCEPTED, 0, "Java callback handler of a SASL login.") \
    X(SASL_LOGIN_CLASS, "sasl.login.class", CLASS, NULL, ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Java class of a SASL login.") \
    X(SASL_SERVER_CALLBACK_HANDLER_CLASS, "sasl.server.callback.handler.class", CLASS, NULL, ANY, \
      MEDIUM, READ_ONLY, ACCEPTED, 0, "Java callback handler of a SASL server.") \
    X(SASL_SERVER_MAX_RECEIVE_SIZE, "sasl.server.max.receive.size", INT, "524288", ANY, MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Largest SASL message before authentication.") \
    X(SASL_KERBEROS_KINIT_CMD, "sasl.kerberos.kinit.cmd", STRING, "/usr/bin/kinit", ANY, MEDIUM, \
      PER_BROKER, ACCEPTED, 0, "Path of kinit.") \
    X(SASL_KERBEROS_MIN_TIME_BEFORE_RELOGIN, "sasl.kerberos.min.time.before.relogin", LONG, "60000", \
      ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, "Pause between two Kerberos logins.") \
    X(SASL_KERBEROS_PRINCIPAL_TO_LOCAL_RULES, "sasl.kerberos.principal.to.local.rules", LIST, \
      "DEFAULT", ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, "Rules from Kerberos principals to short names.") \
    X(SASL_KERBEROS_SERVICE_NAME, "sasl.kerberos.service.name", STRING, NULL, ANY, MEDIUM, \
      PER_BROKER, ACCEPTED, 0, "Kerberos service that the broker runs as.") \
    X(SASL_KERBEROS_TICKET_RENEW_JITTER, "sasl.kerberos.ticket.renew.jitter", DOUBLE, "0.05", ANY, \
      MEDIUM, PER_BROKER, ACCEPTED, 0, "Randomness of the Kerberos renewal time.") \
    X(SASL_KERBEROS_TICKET_RENEW_WINDOW_FACTOR, "sasl.kerberos.ticket.renew.window.factor", DOUBLE, \
      "0.8", ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, \
      "Share of a Kerberos ticket's life after which it is renewed.") \
    X(SASL_LOGIN_CONNECT_TIMEOUT_MS, "sasl.login.connect.timeout.ms", INT, NULL, ANY, LOW, \
      READ_ONLY, ACCEPTED, 0, "Connect timeout towards an OAuth provider.") \
    X(SASL_LOGIN_READ_TIMEOUT_MS, "sasl.login.read.timeout.ms", INT, NULL, ANY, LOW, READ_ONLY, \
      ACCEPTED, 0, "Read timeout towards an OAuth provider.") \
    X(SASL_LOGIN_REFRESH_BUFFER_SECONDS, "sasl.login.refresh.buffer.seconds", SHORT, "300", ANY, \
      MEDIUM, PER_BROKER, ACCEPTED, 0, "Time kept free before a credential's end when it is refreshed.") \
    X(SASL_LOGIN_REFRESH_MIN_PERIOD_SECONDS, "sasl.login.refresh.min.period.seconds", SHORT, "60", \
      ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, "Smallest time between two refreshes of a credential.") \
    X(SASL_LOGIN_REFRESH_WINDOW_FACTOR, "sasl.login.refresh.window.factor", DOUBLE, "0.8", ANY, \
      MEDIUM, PER_BROKER, ACCEPTED, 0, "Share of a credential's life after which it is refreshed.") \
    X(SASL_LOGIN_REFRESH_WINDOW_JITTER, "sasl.login.refresh.window.jitter", DOUBLE, "0.05", ANY, \
      MEDIUM, PER_BROKER, ACCEPTED, 0, "Randomness of the refresh time.") \
    X(SASL_LOGIN_RETRY_BACKOFF_MS, "sasl.login.retry.backoff.ms", LONG, "100", ANY, LOW, READ_ONLY, \
      ACCEPTED, 0, "First pause before an OAuth login is tried again.") \
    X(SASL_LOGIN_RETRY_BACKOFF_MAX_MS, "sasl.login.retry.backoff.max.ms", LONG, "10000", ANY, LOW, \
      READ_ONLY, ACCEPTED, 0, "Longest such pause.") \
    X(SASL_OAUTHBEARER_ASSERTION_ALGORITHM, "sasl.oauthbearer.assertion.algorithm", STRING, "RS256", \
      NOCASE("es256|rs256"), MEDIUM, READ_ONLY, ACCEPTED, 0, "Signature algorithm of a client assertion.") \
    X(SASL_OAUTHBEARER_ASSERTION_CLAIM_AUD, "sasl.oauthbearer.assertion.claim.aud", STRING, NULL, \
      ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Audience claim of a client assertion.") \
    X(SASL_OAUTHBEARER_ASSERTION_CLAIM_EXP_SECONDS, "sasl.oauthbearer.assertion.claim.exp.seconds", \
      INT, "300", RANGE(0, 86400), LOW, READ_ONLY, ACCEPTED, 0, "Life of a client assertion.") \
    X(SASL_OAUTHBEARER_ASSERTION_CLAIM_ISS, "sasl.oauthbearer.assertion.claim.iss", STRING, NULL, \
      ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Issuer claim of a client assertion.") \
    X(SASL_OAUTHBEARER_ASSERTION_CLAIM_JTI_INCLUDE, "sasl.oauthbearer.assertion.claim.jti.include", \
      BOOLEAN, "false", ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Whether a client assertion has an id claim.") \
    X(SASL_OAUTHBEARER_ASSERTION_CLAIM_NBF_SECONDS, "sasl.oauthbearer.assertion.claim.nbf.seconds", \
      INT, "60", RANGE(0, 3600), LOW, READ_ONLY, ACCEPTED, 0, "How far back a client assertion is valid.") \
    X(SASL_OAUTHBEARER_ASSERTION_CLAIM_SUB, "sasl.oauthbearer.assertion.claim.sub", STRING, NULL, \
      ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Subject claim of a client assertion.") \
    X(SASL_OAUTHBEARER_ASSERTION_FILE, "sasl.oauthbearer.assertion.file", STRING, NULL, ANY, MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "File that holds a client assertion.") \
    X(SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE, "sasl.oauthbearer.assertion.private.key.file", \
      STRING, NULL, ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Key that signs client assertions.") \
    X(SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE, \
      "sasl.oauthbearer.assertion.private.key.passphrase", PASSWORD, NULL, ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Passphrase of that key.") \
    X(SASL_OAUTHBEARER_ASSERTION_TEMPLATE_FILE, "sasl.oauthbearer.assertion.template.file", STRING, \
      NULL, ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Template of a client assertion.") \
    X(SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_ID, \
      "sasl.oauthbearer.client.credentials.client.id", STRING, NULL, ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Client id towards the OAuth provider.") \
    X(SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET, \
      "sasl.oauthbearer.client.credentials.client.secret", PASSWORD, NULL, ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Client secret towards the OAuth provider.") \
    X(SASL_OAUTHBEARER_CLOCK_SKEW_SECONDS, "sasl.oauthbearer.clock.skew.seconds", INT, "30", ANY, \
      LOW, READ_ONLY, ACCEPTED, 0, "Difference of clocks that is tolerated.") \
    X(SASL_OAUTHBEARER_EXPECTED_AUDIENCE, "sasl.oauthbearer.expected.audience", LIST, "", ANY, HIGH, \
      READ_ONLY, ACCEPTED, 0, "Audiences of which a token must name one.") \
    X(SASL_OAUTHBEARER_EXPECTED_ISSUER, "sasl.oauthbearer.expected.issuer", STRING, NULL, ANY, HIGH, \
      READ_ONLY, ACCEPTED, 0, "Issuer that a token must name.") \
    X(SASL_OAUTHBEARER_JWKS_ENDPOINT_REFRESH_MS, "sasl.oauthbearer.jwks.endpoint.refresh.ms", LONG, \
      "3600000", ANY, LOW, READ_ONLY, ACCEPTED, 0, "Interval at which the provider's keys are fetched.") \
    X(SASL_OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MS, \
      "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", LONG, "100", ANY, LOW, READ_ONLY, ACCEPTED, \
      0, "First pause before they are fetched again.") \
    X(SASL_OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MAX_MS, \
      "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", LONG, "10000", ANY, LOW, READ_ONLY, \
      ACCEPTED, 0, "Longest such pause.") \
    X(SASL_OAUTHBEARER_JWKS_ENDPOINT_URL, "sasl.oauthbearer.jwks.endpoint.url", STRING, NULL, ANY, \
      MEDIUM, READ_ONLY, ACCEPTED, 0, "Where the provider's keys are.") \
    X(SASL_OAUTHBEARER_JWT_RETRIEVER_CLASS, "sasl.oauthbearer.jwt.retriever.class", CLASS, \
      "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Java class that fetches tokens.") \
    X(SASL_OAUTHBEARER_JWT_VALIDATOR_CLASS, "sasl.oauthbearer.jwt.validator.class", CLASS, \
      "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Java class that checks tokens.") \
    X(SASL_OAUTHBEARER_SCOPE, "sasl.oauthbearer.scope", STRING, NULL, ANY, MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Scope asked for in a token.") \
    X(SASL_OAUTHBEARER_SCOPE_CLAIM_NAME, "sasl.oauthbearer.scope.claim.name", STRING, "scope", ANY, \
      LOW, READ_ONLY, ACCEPTED, 0, "Name of the scope claim.") \
    X(SASL_OAUTHBEARER_SUB_CLAIM_NAME, "sasl.oauthbearer.sub.claim.name", STRING, "sub", ANY, LOW, \
      READ_ONLY, ACCEPTED, 0, "Name of the subject claim.") \
    X(SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL, "sasl.oauthbearer.token.endpoint.url", STRING, NULL, ANY, \
      MEDIUM, READ_ONLY, ACCEPTED, 0, "Where tokens are issued.") \
    X(SSL_ALLOW_DN_CHANGES, "ssl.allow.dn.changes", BOOLEAN, "false", ANY, LOW, READ_ONLY, ACCEPTED, \
      0, "Whether a reloaded keystore may have another distinguished name; TLS is not served.") \
    X(SSL_ALLOW_SAN_CHANGES, "ssl.allow.san.changes", BOOLEAN, "false", ANY, LOW, READ_ONLY, \
      ACCEPTED, 0, "Whether a reloaded keystore may have other alternative names.") \
    X(SSL_CIPHER_SUITES, "ssl.cipher.suites", LIST, "", ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, \
      "Cipher suites that are offered.") \
    X(SSL_CLIENT_AUTH, "ssl.client.auth", STRING, "none", ONE_OF("required|requested|none"), MEDIUM, \
      PER_BROKER, ACCEPTED, 0, "Whether clients must show a certificate.") \
    X(SSL_ENABLED_PROTOCOLS, "ssl.enabled.protocols", LIST, "TLSv1.2,TLSv1.3", ANY, MEDIUM, \
      PER_BROKER, ACCEPTED, 0, "TLS versions that are offered.") \
    X(SSL_ENDPOINT_IDENTIFICATION_ALGORITHM, "ssl.endpoint.identification.algorithm", STRING, \
      "https", ANY, LOW, PER_BROKER, ACCEPTED, 0, \
      "How a server's name is checked against its certificate.") \
    X(SSL_ENGINE_FACTORY_CLASS, "ssl.engine.factory.class", CLASS, NULL, ANY, LOW, PER_BROKER, \
      ACCEPTED, 0, "Java class that makes TLS engines.") \
    X(SSL_KEY_PASSWORD, "ssl.key.password", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, \
      "Password of the private key.") \
    X(SSL_KEYMANAGER_ALGORITHM, "ssl.keymanager.algorithm", STRING, "SunX509", ANY, MEDIUM, \
      PER_BROKER, ACCEPTED, 0, "Java key manager algorithm.") \
    X(SSL_KEYSTORE_CERTIFICATE_CHAIN, "ssl.keystore.certificate.chain", PASSWORD, NULL, ANY, MEDIUM, \
      PER_BROKER, ACCEPTED, 0, "Certificate chain in PEM.") \
    X(SSL_KEYSTORE_KEY, "ssl.keystore.key", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, \
      "Private key in PEM.") \
    X(SSL_KEYSTORE_LOCATION, "ssl.keystore.location", STRING, NULL, ANY, MEDIUM, PER_BROKER, \
      ACCEPTED, 0, "Keystore file.") \
    X(SSL_KEYSTORE_PASSWORD, "ssl.keystore.password", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, \
      ACCEPTED, 0, "Password of the keystore.") \
    X(SSL_KEYSTORE_TYPE, "ssl.keystore.type", STRING, "JKS", ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, \
      "Format of the keystore.") \
    X(SSL_PRINCIPAL_MAPPING_RULES, "ssl.principal.mapping.rules", STRING, "DEFAULT", ANY, LOW, \
      READ_ONLY, ACCEPTED, 0, "Rules from distinguished names to principals.") \
    X(SSL_PROTOCOL, "ssl.protocol", STRING, "TLSv1.3", ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, \
      "TLS version of the context.") \
    X(SSL_PROVIDER, "ssl.provider", STRING, NULL, ANY, MEDIUM, PER_BROKER, ACCEPTED, 0, \
      "Java security provider for TLS.") \
    X(SSL_SECURE_RANDOM_IMPLEMENTATION, "ssl.secure.random.implementation", STRING, NULL, ANY, LOW, \
      PER_BROKER, ACCEPTED, 0, "Java random generator for TLS.") \
    X(SSL_TRUSTMANAGER_ALGORITHM, "ssl.trustmanager.algorithm", STRING, "PKIX", ANY, MEDIUM, \
      PER_BROKER, ACCEPTED, 0, "Java trust manager algorithm.") \
    X(SSL_TRUSTSTORE_CERTIFICATES, "ssl.truststore.certificates", PASSWORD, NULL, ANY, MEDIUM, \
      PER_BROKER, ACCEPTED, 0, "Trusted certificates in PEM.") \
    X(SSL_TRUSTSTORE_LOCATION, "ssl.truststore.location", STRING, NULL, ANY, MEDIUM, PER_BROKER, \
      ACCEPTED, 0, "Truststore file.") \
    X(SSL_TRUSTSTORE_PASSWORD, "ssl.truststore.password", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, \
      ACCEPTED, 0, "Password of the truststore.") \
    X(SSL_TRUSTSTORE_TYPE, "ssl.truststore.type", STRING, "JKS", ANY, MEDIUM, PER_BROKER, ACCEPTED, \
      0, "Format of the truststore.")

/* Tiered storage. */
#define CFG_TABLE_REMOTE(X) \
    X(REMOTE_LOG_STORAGE_SYSTEM_ENABLE, "remote.log.storage.system.enable", BOOLEAN, "false", ANY, \
      MEDIUM, READ_ONLY, ACCEPTED, 0, \
      "Whether tiered storage runs; it is not served, and the other keys of this section have no " \
      "effect.") \
    X(REMOTE_FETCH_MAX_WAIT_MS, "remote.fetch.max.wait.ms", INT, "500", AT_LEAST(1), MEDIUM, \
      CLUSTER_WIDE, ACCEPTED, 0, "How long a fetch waits for remote data.") \
    X(REMOTE_LIST_OFFSETS_REQUEST_TIMEOUT_MS, "remote.list.offsets.request.timeout.ms", LONG, \
      "30000", AT_LEAST(1), MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, \
      "How long an offset lookup waits for remote data.") \
    X(REMOTE_LOG_INDEX_FILE_CACHE_TOTAL_SIZE_BYTES, "remote.log.index.file.cache.total.size.bytes", \
      LONG, "1073741824", AT_LEAST(1), LOW, CLUSTER_WIDE, ACCEPTED, 0, "Space for cached remote indexes.") \
    X(REMOTE_LOG_INDEX_FILE_CACHE_TTL_MS, "remote.log.index.file.cache.ttl.ms", LONG, "900000", \
      AT_LEAST(-1), LOW, READ_ONLY, ACCEPTED, INTERNAL, "How long a cached remote index is kept.") \
    X(REMOTE_LOG_MANAGER_COPIER_THREAD_POOL_SIZE, "remote.log.manager.copier.thread.pool.size", INT, \
      "10", AT_LEAST(1), MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, "Threads that copy segments out.") \
    X(REMOTE_LOG_MANAGER_COPY_MAX_BYTES_PER_SECOND, "remote.log.manager.copy.max.bytes.per.second", \
      LONG, "9223372036854775807", AT_LEAST(1), MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, \
      "Most bytes copied out in a second.") \
    X(REMOTE_LOG_MANAGER_COPY_QUOTA_WINDOW_NUM, "remote.log.manager.copy.quota.window.num", INT, \
      "11", AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Samples kept for the copy quota.") \
    X(REMOTE_LOG_MANAGER_COPY_QUOTA_WINDOW_SIZE_SECONDS, \
      "remote.log.manager.copy.quota.window.size.seconds", INT, "1", AT_LEAST(1), MEDIUM, READ_ONLY, \
      ACCEPTED, 0, "Length of one copy quota sample.") \
    X(REMOTE_LOG_MANAGER_EXPIRATION_THREAD_POOL_SIZE, \
      "remote.log.manager.expiration.thread.pool.size", INT, "10", AT_LEAST(1), MEDIUM, \
      CLUSTER_WIDE, ACCEPTED, 0, "Threads that remove expired remote segments.") \
    X(REMOTE_LOG_MANAGER_FETCH_MAX_BYTES_PER_SECOND, \
      "remote.log.manager.fetch.max.bytes.per.second", LONG, "9223372036854775807", AT_LEAST(1), \
      MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, "Most remote bytes read in a second.") \
    X(REMOTE_LOG_MANAGER_FETCH_QUOTA_WINDOW_NUM, "remote.log.manager.fetch.quota.window.num", INT, \
      "11", AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Samples kept for the remote read quota.") \
    X(REMOTE_LOG_MANAGER_FETCH_QUOTA_WINDOW_SIZE_SECONDS, \
      "remote.log.manager.fetch.quota.window.size.seconds", INT, "1", AT_LEAST(1), MEDIUM, \
      READ_ONLY, ACCEPTED, 0, "Length of one remote read quota sample.") \
    X(REMOTE_LOG_MANAGER_FOLLOWER_THREAD_POOL_SIZE, "remote.log.manager.follower.thread.pool.size", \
      INT, "2", AT_LEAST(1), MEDIUM, CLUSTER_WIDE, ACCEPTED, 0, "Threads that follow remote metadata.") \
    X(REMOTE_LOG_MANAGER_TASK_INTERVAL_MS, "remote.log.manager.task.interval.ms", LONG, "30000", \
      AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, 0, "Interval of remote log tasks.") \
    X(REMOTE_LOG_MANAGER_TASK_RETRY_BACKOFF_MS, "remote.log.manager.task.retry.backoff.ms", LONG, \
      "500", AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, INTERNAL, \
      "First pause before such a task runs again.") \
    X(REMOTE_LOG_MANAGER_TASK_RETRY_BACKOFF_MAX_MS, "remote.log.manager.task.retry.backoff.max.ms", \
      LONG, "30000", AT_LEAST(1), LOW, READ_ONLY, ACCEPTED, INTERNAL, "Longest such pause.") \
    X(REMOTE_LOG_MANAGER_TASK_RETRY_JITTER, "remote.log.manager.task.retry.jitter", DOUBLE, "0.2", \
      REALS(0, 0.5), LOW, READ_ONLY, ACCEPTED, INTERNAL, "Randomness of that pause.") \
    X(REMOTE_LOG_MANAGER_THREAD_POOL_SIZE, "remote.log.manager.thread.pool.size", INT, "2", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Threads of the remote log manager.") \
    X(REMOTE_LOG_METADATA_CUSTOM_METADATA_MAX_BYTES, \
      "remote.log.metadata.custom.metadata.max.bytes", INT, "128", AT_LEAST(0), LOW, READ_ONLY, \
      ACCEPTED, 0, "Largest custom metadata of a remote segment.") \
    X(REMOTE_LOG_METADATA_MANAGER_CLASS_NAME, "remote.log.metadata.manager.class.name", STRING, \
      "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", \
      NOT_EMPTY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Java class that keeps remote metadata.") \
    X(REMOTE_LOG_METADATA_MANAGER_CLASS_PATH, "remote.log.metadata.manager.class.path", STRING, \
      NULL, ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Where that class is loaded from.") \
    X(REMOTE_LOG_METADATA_MANAGER_IMPL_PREFIX, "remote.log.metadata.manager.impl.prefix", STRING, \
      "rlmm.config.", NOT_EMPTY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Prefix of that class's own keys.") \
    X(REMOTE_LOG_METADATA_MANAGER_LISTENER_NAME, "remote.log.metadata.manager.listener.name", \
      STRING, NULL, NOT_EMPTY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Listener that it connects to.") \
    X(REMOTE_LOG_READER_MAX_PENDING_TASKS, "remote.log.reader.max.pending.tasks", INT, "100", \
      AT_LEAST(1), MEDIUM, READ_ONLY, ACCEPTED, 0, "Remote reads that may wait.") \
    X(REMOTE_LOG_READER_THREADS, "remote.log.reader.threads", INT, "10", AT_LEAST(1), MEDIUM, \
      CLUSTER_WIDE, ACCEPTED, 0, "Threads that read remote segments.") \
    X(REMOTE_LOG_STORAGE_MANAGER_CLASS_NAME, "remote.log.storage.manager.class.name", STRING, NULL, \
      NOT_EMPTY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Java class that stores remote segments.") \
    X(REMOTE_LOG_STORAGE_MANAGER_CLASS_PATH, "remote.log.storage.manager.class.path", STRING, NULL, \
      ANY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Where that class is loaded from.") \
    X(REMOTE_LOG_STORAGE_MANAGER_IMPL_PREFIX, "remote.log.storage.manager.impl.prefix", STRING, \
      "rsm.config.", NOT_EMPTY, MEDIUM, READ_ONLY, ACCEPTED, 0, "Prefix of that class's own keys.")

/* clang-format on */

#endif
