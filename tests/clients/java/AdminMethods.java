// Every method of Admin, with what it does and with what it refuses; the answers are compared between brokers. The order
// matters: what one call makes, later ones use.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class AdminMethods {
    private static final String T = "methods";
    private static final TopicPartition P0 = new TopicPartition(T, 0);
    private static final TopicPartition P9 = new TopicPartition(T, 9);
    private static final TopicPartition NOWHERE = new TopicPartition("nowhere", 0);
    private static final ConfigResource TOPIC = new ConfigResource(ConfigResource.Type.TOPIC, T);
    private static final ConfigResource NO_TOPIC = new ConfigResource(ConfigResource.Type.TOPIC, "nowhere");
    private static final ConfigResource BROKER = new ConfigResource(ConfigResource.Type.BROKER, "1");
    private static final ConfigResource GROUP = new ConfigResource(ConfigResource.Type.GROUP, "g");
    private static final long SETTLE_MS = 150; // upstream answers a change before its broker has taken it over

    private final Admin a;
    private final String bootstrap;
    private final ArrayNode out;

    private AdminMethods(Admin a, String bootstrap, ArrayNode out) {
        this.a = a;
        this.bootstrap = bootstrap;
        this.out = out;
    }

    static void run(JsonNode cmd, ObjectNode reply) throws Exception {
        String bootstrap = cmd.get("bootstrap").asText();
        ArrayNode answers = reply.putArray("answers");
        try (Admin patient = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            patient.createTopics(List.of(topic("first", 1))).all().get(); // a broker that has just started takes its time
        }
        // Some calls are tried again until their time is over: a topic that is nowhere, a coordinator that never comes.
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", "4000",
                "request.timeout.ms", "3500"))) {
            AdminMethods m = new AdminMethods(admin, bootstrap, answers);
            m.topics();
            m.configs();
            m.logs();
            m.groups();
            m.cluster();
            m.quotas();
            m.security();
            m.transactions();
            m.otherGroups();
            m.deletions(cmd.get("dir").asText());
        }
    }

    private void ask(String name, Callable<Object> call) throws InterruptedException {
        JsonNode answer;
        try {
            answer = Shown.of(call.call());
        } catch (Exception e) {
            answer = Shown.failure(e);
        }
        out.addObject().put("name", name).set("answer", answer);
        if (name.matches("(create|alter|incremental|delete|update|elect).*")) {
            Thread.sleep(SETTLE_MS);
        }
    }

    private static NewTopic topic(String name, int partitions) {
        return new NewTopic(name, partitions, (short) 1);
    }

    private void topics() throws Exception {
        ask("createTopics", () -> a.createTopics(List.of(topic(T, 2).configs(Map.of("retention.ms", "123456")))));
        ask("createTopics again", () -> a.createTopics(List.of(topic(T, 2))));
        ask("createTopics bad", () -> a.createTopics(List.of(topic("a/b", 1), topic("zero", 0), topic("good", 1),
            new NewTopic("two", 1, (short) 2), topic("conf", 1).configs(Map.of("no.such", "1")),
            new NewTopic("assigned", Map.of(0, List.of(7))))));
        ask("createTopics only checked", () -> a.createTopics(List.of(topic("checked", 1)),
            new CreateTopicsOptions().validateOnly(true)));
        ask("listTopics", () -> a.listTopics());
        ask("listTopics internal", () -> a.listTopics(new ListTopicsOptions().listInternal(true)).names());
        ask("describeTopics", () -> a.describeTopics(List.of(T, "nowhere", "")).topicNameValues());
        ask("describeTopics id", () -> a.describeTopics(TopicCollection.ofTopicIds(List.of(new Uuid(1, 2)))).topicIdValues());
        ask("describeTopics operations", () -> a.describeTopics(List.of(T),
            new DescribeTopicsOptions().includeAuthorizedOperations(true)).topicNameValues());
        ask("createPartitions", () -> a.createPartitions(Map.of(T, NewPartitions.increaseTo(3), "nowhere",
            NewPartitions.increaseTo(3), "good", NewPartitions.increaseTo(1))));
        ask("createPartitions assigned", () -> a.createPartitions(Map.of(T, NewPartitions.increaseTo(4, List.of(List.of(7))))));
        ask("createPartitions only checked", () -> a.createPartitions(Map.of(T, NewPartitions.increaseTo(9)),
            new CreatePartitionsOptions().validateOnly(true)));
        try (KafkaProducer<byte[], byte[]> p = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap),
                new ByteArraySerializer(), new ByteArraySerializer())) {
            for (long i = 0; i < 10; i++) {
                p.send(new ProducerRecord<>(T, 0, 1_000_000 + i, null, new byte[10])).get();
            }
        }
        ask("listOffsets", () -> a.listOffsets(Map.of(P0, OffsetSpec.latest())).all());
        ask("listOffsets time", () -> a.listOffsets(Map.of(P0, OffsetSpec.forTimestamp(1_000_004))).all());
        ask("listOffsets max", () -> a.listOffsets(Map.of(P0, OffsetSpec.maxTimestamp())).all());
        ask("listOffsets earliest local", () -> a.listOffsets(Map.of(P0, OffsetSpec.earliestLocal())).all());
        ask("listOffsets tiered", () -> a.listOffsets(Map.of(P0, OffsetSpec.latestTiered())).all());
        ask("listOffsets earliest pending", () -> a.listOffsets(Map.of(P0, OffsetSpec.earliestPendingUpload())).all());
        ask("listOffsets unknown", () -> a.listOffsets(Map.of(NOWHERE, OffsetSpec.latest())).all());
        ask("deleteRecords", () -> a.deleteRecords(Map.of(P0, RecordsToDelete.beforeOffset(3))));
        ask("deleteRecords beyond", () -> a.deleteRecords(Map.of(P0, RecordsToDelete.beforeOffset(99))));
        ask("deleteRecords unknown", () -> a.deleteRecords(Map.of(NOWHERE, RecordsToDelete.beforeOffset(1))));
        ask("listOffsets earliest", () -> a.listOffsets(Map.of(P0, OffsetSpec.earliest())).all());
    }

    private static AlterConfigOp op(String key, String value, AlterConfigOp.OpType type) {
        return new AlterConfigOp(new ConfigEntry(key, value), type);
    }

    private void alter(String name, ConfigResource r, AlterConfigOp... ops) throws Exception {
        ask("incrementalAlterConfigs " + name, () -> a.incrementalAlterConfigs(Map.of(r, List.of(ops))));
    }

    private void configs() throws Exception {
        ask("describeConfigs topic", () -> a.describeConfigs(List.of(TOPIC), new DescribeConfigsOptions().includeSynonyms(true)));
        ask("describeConfigs unknown", () -> a.describeConfigs(List.of(NO_TOPIC)));
        ask("describeConfigs other broker", () -> a.describeConfigs(List.of(new ConfigResource(ConfigResource.Type.BROKER, "7"))));
        ask("describeConfigs no broker", () -> a.describeConfigs(List.of(new ConfigResource(ConfigResource.Type.BROKER, "x"))));
        alter("set", TOPIC, op("retention.ms", "654321", AlterConfigOp.OpType.SET),
            op("cleanup.policy", "compact", AlterConfigOp.OpType.APPEND));
        alter("subtract", TOPIC, op("cleanup.policy", "delete", AlterConfigOp.OpType.SUBTRACT));
        alter("bad value", TOPIC, op("retention.ms", "soon", AlterConfigOp.OpType.SET));
        alter("bad key", TOPIC, op("no.such", "1", AlterConfigOp.OpType.SET));
        alter("append to a number", TOPIC, op("retention.ms", "1", AlterConfigOp.OpType.APPEND));
        alter("unknown topic", NO_TOPIC, op("retention.ms", "1", AlterConfigOp.OpType.SET));
        alter("broker", BROKER, op("log.cleaner.threads", "2", AlterConfigOp.OpType.SET));
        alter("read-only", BROKER, op("node.id", "2", AlterConfigOp.OpType.SET));
        alter("broker back", BROKER, op("log.cleaner.threads", "", AlterConfigOp.OpType.DELETE));
        alter("group", GROUP, op("consumer.session.timeout.ms", "50000", AlterConfigOp.OpType.SET));
        alter("bad group", GROUP, op("consumer.session.timeout.ms", "1", AlterConfigOp.OpType.SET));
        ask("describeConfigs altered", () -> a.describeConfigs(List.of(TOPIC)));
        alter("delete", TOPIC, op("retention.ms", "", AlterConfigOp.OpType.DELETE));
        ask("incrementalAlterConfigs only checked", () -> a.incrementalAlterConfigs(Map.of(TOPIC, List.of(
            op("retention.ms", "7", AlterConfigOp.OpType.SET))), new AlterConfigsOptions().validateOnly(true)));
        ask("describeConfigs afterwards", () -> a.describeConfigs(List.of(TOPIC)));
        ask("listConfigResources", () -> a.listConfigResources(Set.of(ConfigResource.Type.TOPIC, ConfigResource.Type.GROUP,
            ConfigResource.Type.BROKER), new ListConfigResourcesOptions()));
        ask("listConfigResources all", () -> a.listConfigResources());
        ask("listClientMetricsResources", () -> a.listClientMetricsResources());
    }

    private void logs() throws Exception {
        ask("describeLogDirs", () -> a.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values().stream()
            .map(d -> Map.of("error", String.valueOf(d.error()), "replicas", Shown.of(d.replicaInfos()))).toList());
        ask("describeLogDirs other", () -> a.describeLogDirs(List.of(7)));
        ask("describeReplicaLogDirs", () -> a.describeReplicaLogDirs(List.of(new TopicPartitionReplica(T, 0, 1),
            new TopicPartitionReplica("nowhere", 0, 1))));
        ask("alterReplicaLogDirs", () -> a.alterReplicaLogDirs(Map.of(new TopicPartitionReplica(T, 0, 1), "/nowhere")));
        ask("alterReplicaLogDirs unknown", () -> a.alterReplicaLogDirs(Map.of(new TopicPartitionReplica("nowhere", 0, 1), "/nowhere")));
        ask("describeProducers", () -> a.describeProducers(List.of(new TopicPartition(T, 1), P9)));
        ask("describeProducers elsewhere", () -> a.describeProducers(List.of(P0), new DescribeProducersOptions().brokerId(7)));
        ask("electLeaders", () -> a.electLeaders(ElectionType.PREFERRED, Set.of(P0, P9, NOWHERE)));
        ask("electLeaders unclean", () -> a.electLeaders(ElectionType.UNCLEAN, Set.of(P0)));
        ask("electLeaders all", () -> a.electLeaders(ElectionType.PREFERRED, null));
        ask("alterPartitionReassignments", () -> a.alterPartitionReassignments(Map.of(P0,
            Optional.of(new NewPartitionReassignment(List.of(1))))));
        ask("alterPartitionReassignments other", () -> a.alterPartitionReassignments(Map.of(P0,
            Optional.of(new NewPartitionReassignment(List.of(7))), NOWHERE, Optional.of(new NewPartitionReassignment(List.of(1))))));
        ask("alterPartitionReassignments cancel", () -> a.alterPartitionReassignments(Map.of(P0, Optional.empty())));
        ask("listPartitionReassignments", () -> a.listPartitionReassignments());
        ask("listPartitionReassignments some", () -> a.listPartitionReassignments(Set.of(P0, NOWHERE)));
    }

    private void groups() throws Exception {
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap, "group.id", "live",
                "auto.offset.reset", "earliest", "group.instance.id", "one", "client.id", "consumer"),
                new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            c.subscribe(List.of(T));
            for (int got = 0; got == 0; ) {
                got = c.poll(Duration.ofMillis(200)).count();
            }
            c.commitSync();
            ask("describeConsumerGroups", () -> a.describeConsumerGroups(List.of("live", "nobody", "")));
            ask("describeConsumerGroups operations", () -> a.describeConsumerGroups(List.of("live"),
                new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true)));
            ask("describeClassicGroups", () -> a.describeClassicGroups(List.of("live", "nobody")));
            ask("listConsumerGroupOffsets", () -> a.listConsumerGroupOffsets("live").partitionsToOffsetAndMetadata());
            ask("deleteConsumerGroups live", () -> a.deleteConsumerGroups(List.of("live")));
            ask("deleteConsumerGroupOffsets live", () -> a.deleteConsumerGroupOffsets("live", Set.of(P0)).all());
            ask("alterConsumerGroupOffsets live", () -> a.alterConsumerGroupOffsets("live", Map.of(P0, new OffsetAndMetadata(1))).all());
            ask("removeMembers unknown", () -> a.removeMembersFromConsumerGroup("live",
                new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("two")))).all());
            ask("removeMembers", () -> a.removeMembersFromConsumerGroup("live",
                new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("one")))).all());
            ask("removeMembers all", () -> a.removeMembersFromConsumerGroup("live", new RemoveMembersFromConsumerGroupOptions()).all());
        }
        ask("alterConsumerGroupOffsets", () -> a.alterConsumerGroupOffsets("g", Map.of(P0, new OffsetAndMetadata(5, "note"))).all());
        ask("alterConsumerGroupOffsets unknown", () -> a.alterConsumerGroupOffsets("g", Map.of(NOWHERE, new OffsetAndMetadata(5))).all());
        ask("alterConsumerGroupOffsets partition", () -> a.alterConsumerGroupOffsets("g", Map.of(P9, new OffsetAndMetadata(5))).all());
        ask("listConsumerGroupOffsets all", () -> a.listConsumerGroupOffsets(Map.of("g", new ListConsumerGroupOffsetsSpec(),
            "nobody", new ListConsumerGroupOffsetsSpec())).all());
        ask("listConsumerGroupOffsets stable", () -> a.listConsumerGroupOffsets("g",
            new ListConsumerGroupOffsetsOptions().requireStable(true)).partitionsToOffsetAndMetadata());
        ask("listGroups", () -> a.listGroups());
        ask("listGroups kinds", () -> a.listGroups(ListGroupsOptions.forConsumerGroups()));
        ask("listConsumerGroups", () -> a.listGroups(ListGroupsOptions.forShareGroups()));
        ask("removeMembers nobody", () -> a.removeMembersFromConsumerGroup("nobody", new RemoveMembersFromConsumerGroupOptions()).all());
        ask("deleteConsumerGroupOffsets", () -> a.deleteConsumerGroupOffsets("g", Set.of(P0)).all());
        ask("deleteConsumerGroupOffsets nobody", () -> a.deleteConsumerGroupOffsets("nobody", Set.of(P0)).all());
        ask("deleteConsumerGroups", () -> a.deleteConsumerGroups(List.of("g", "nobody", "")));
        ask("listGroups left", () -> a.listGroups());
    }

    private void cluster() throws Exception {
        ask("describeCluster", () -> a.describeCluster());
        ask("describeCluster operations", () -> a.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true))
            .authorizedOperations());
        ask("describeCluster fenced", () -> a.describeCluster(new DescribeClusterOptions().includeFencedBrokers(true)).nodes());
        ask("describeFeatures", () -> a.describeFeatures());
        ask("updateFeatures unknown", () -> a.updateFeatures(Map.of("no.such",
            new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions()));
        ask("updateFeatures high", () -> a.updateFeatures(Map.of("metadata.version",
            new FeatureUpdate((short) 99, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions()));
        ask("updateFeatures low", () -> a.updateFeatures(Map.of("metadata.version",
            new FeatureUpdate((short) 20, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions()));
        ask("describeMetadataQuorum", () -> a.describeMetadataQuorum());
        ask("addRaftVoter", () -> a.addRaftVoter(2, new Uuid(1, 2), Set.of(new RaftVoterEndpoint("CONTROLLER", "localhost", 9093))));
        ask("removeRaftVoter", () -> a.removeRaftVoter(2, new Uuid(1, 2)));
        ask("unregisterBroker", () -> a.unregisterBroker(7));
        ask("clientInstanceId", () -> a.clientInstanceId(Duration.ofSeconds(2)));
        ask("metrics", () -> !a.metrics().isEmpty());
    }

    private static ClientQuotaEntity user(String name) {
        return new ClientQuotaEntity(java.util.Collections.singletonMap(ClientQuotaEntity.USER, name));
    }

    private void quota(String name, ClientQuotaEntity entity, String key, Double value) throws Exception {
        ask("alterClientQuotas " + name, () -> a.alterClientQuotas(List.of(new ClientQuotaAlteration(entity,
            List.of(new ClientQuotaAlteration.Op(key, value))))).all());
    }

    private void quotas() throws Exception {
        quota("set", user("u"), "producer_byte_rate", 1000.0);
        quota("default", user(null), "consumer_byte_rate", 1000.0);
        quota("bad key", user("u"), "no_such", 1.0);
        quota("bad value", user("u"), "producer_byte_rate", -1.0);
        quota("bad kind", new ClientQuotaEntity(Map.of("group", "g")), "producer_byte_rate", 1.0);
        ask("describeClientQuotas", () -> a.describeClientQuotas(ClientQuotaFilter.all()).entities());
        ask("describeClientQuotas one", () -> a.describeClientQuotas(ClientQuotaFilter.contains(List.of(
            ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.USER, "u")))).entities());
        ask("describeClientQuotas bad", () -> a.describeClientQuotas(ClientQuotaFilter.contains(List.of(
            ClientQuotaFilterComponent.ofEntityType("group")))).entities());
        quota("remove", user("u"), "producer_byte_rate", null);
    }

    private void security() throws Exception {
        AclBinding acl = new AclBinding(new ResourcePattern(ResourceType.TOPIC, T, PatternType.LITERAL),
            new AccessControlEntry("User:u", "*", AclOperation.READ, AclPermissionType.ALLOW));
        ask("describeAcls", () -> a.describeAcls(AclBindingFilter.ANY).values());
        ask("createAcls", () -> a.createAcls(List.of(acl)).all());
        ask("deleteAcls", () -> a.deleteAcls(List.of(AclBindingFilter.ANY)).all());
        ask("describeUserScramCredentials", () -> a.describeUserScramCredentials().all());
        ask("describeUserScramCredentials one", () -> a.describeUserScramCredentials(List.of("u")).all());
        ask("alterUserScramCredentials", () -> a.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion("u",
            new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "secret"))).all());
        ask("createDelegationToken", () -> a.createDelegationToken().delegationToken());
        ask("renewDelegationToken", () -> a.renewDelegationToken(new byte[16]).expiryTimestamp());
        ask("expireDelegationToken", () -> a.expireDelegationToken(new byte[16]).expiryTimestamp());
        ask("describeDelegationToken", () -> a.describeDelegationToken().delegationTokens());
    }

    private void transactions() throws Exception {
        ask("describeTransactions", () -> a.describeTransactions(List.of("t")).all());
        ask("listTransactions", () -> a.listTransactions().all());
        ask("listTransactions filtered", () -> a.listTransactions(new ListTransactionsOptions().filterProducerIds(Set.of(5L))).all());
        ask("abortTransaction", () -> a.abortTransaction(new AbortTransactionSpec(P0, 5, (short) 1, 0)).all());
        ask("fenceProducers", () -> a.fenceProducers(List.of("t")).all());
        ask("forceTerminateTransaction", () -> a.forceTerminateTransaction("t").result());
    }

    private void otherGroups() throws Exception {
        ask("describeShareGroups", () -> a.describeShareGroups(List.of("nobody")).all());
        ask("alterShareGroupOffsets", () -> a.alterShareGroupOffsets("nobody", Map.of(P0, 1L)).all());
        ask("listShareGroupOffsets", () -> a.listShareGroupOffsets(Map.of("nobody", new ListShareGroupOffsetsSpec())).all());
        ask("deleteShareGroupOffsets", () -> a.deleteShareGroupOffsets("nobody", Set.of(T)).all());
        ask("deleteShareGroups", () -> a.deleteShareGroups(List.of("nobody")).all());
        ask("describeStreamsGroups", () -> a.describeStreamsGroups(List.of("nobody")).all());
        ask("listStreamsGroupOffsets", () -> a.listStreamsGroupOffsets(Map.of("nobody", new ListStreamsGroupOffsetsSpec())).all());
        ask("alterStreamsGroupOffsets", () -> a.alterStreamsGroupOffsets("nobody", Map.of(P0, new OffsetAndMetadata(1))).all());
        ask("deleteStreamsGroupOffsets", () -> a.deleteStreamsGroupOffsets("nobody", Set.of(P0)).all());
        ask("deleteStreamsGroups", () -> a.deleteStreamsGroups(List.of("nobody")).all());
    }

    private void deletions(String dir) throws Exception {
        ask("alterReplicaLogDirs same", () -> a.alterReplicaLogDirs(Map.of(new TopicPartitionReplica(T, 0, 1), dir)));
        ask("deleteTopics", () -> a.deleteTopics(List.of("good", "nowhere")).topicNameValues());
        ask("deleteTopics id", () -> a.deleteTopics(TopicCollection.ofTopicIds(List.of(new Uuid(1, 2)))).topicIdValues());
        ask("listTopics left", () -> a.listTopics().names());
    }
}
