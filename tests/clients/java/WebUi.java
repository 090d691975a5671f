// What a web UI asks when its usual pages are opened one after the other: brokers, topics, one topic, its messages (from
// the start, by offset, by time, the newest, live), consumers with their lag, configurations, access control. The calls
// and their order are those that such programs make: AdminClient, and consumers by assignment without a group.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

final class WebUi extends Checks {
    private static final String TOPIC = "ui-orders";
    private static final int PARTS = 3;
    private static final int EACH = 50; // records of each partition
    private static final long T0 = 1_700_000_000_000L;

    private final Admin admin;
    private final String bootstrap;
    private Collection<Node> nodes;
    private Map<String, TopicDescription> topics;

    private WebUi(Admin admin, String bootstrap, ArrayNode results) {
        super(results);
        this.admin = admin;
        this.bootstrap = bootstrap;
    }

    static void run(JsonNode cmd, ObjectNode reply) throws Exception {
        String bootstrap = cmd.get("bootstrap").asText();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "client.id", "web-ui"))) {
            WebUi ui = new WebUi(admin, bootstrap, reply.putArray("checks"));
            ui.check("create-topic", ui::createTopic);
            try (KafkaConsumer<String, String> member = ui.consumer(Map.of("group.id", "ui-group", "client.id", "worker"))) {
                ui.check("produce-message", () -> ui.produce(member));
                ui.check("brokers", ui::brokers);
                ui.check("broker-configs", ui::brokerConfigs);
                ui.check("topics", ui::topics);
                ui.check("topic-overview", ui::topicOverview);
                ui.check("topic-settings", ui::topicSettings);
                ui.check("messages-oldest", () -> ui.same(EACH * PARTS, ui.read(new HashMap<>(), EACH * PARTS).size()));
                ui.check("messages-from-offset", ui::fromOffset);
                ui.check("messages-from-time", ui::fromTime);
                ui.check("messages-newest", ui::newest);
                ui.check("messages-live", ui::live);
                ui.check("consumers", ui::consumers);
                ui.check("consumer-detail", ui::consumerDetail);
                ui.check("access-control", ui::accessControl);
            }
            ui.check("reset-offsets", ui::resetOffsets);
            ui.check("clear-messages", ui::clearMessages);
            ui.check("delete-group-and-topic", ui::delete);
        }
    }

    private void same(Object want, Object got) {
        if (!want.equals(got)) {
            throw new AssertionError("want " + want + ", got " + got);
        }
    }

    private KafkaConsumer<String, String> consumer(Map<String, Object> more) {
        Map<String, Object> p = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "enable.auto.commit", "false",
            "auto.offset.reset", "earliest", "max.poll.records", "100"));
        p.putAll(more);
        return new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer());
    }

    private static List<TopicPartition> parts() {
        List<TopicPartition> out = new ArrayList<>();
        for (int i = 0; i < PARTS; i++) {
            out.add(new TopicPartition(TOPIC, i));
        }
        return out;
    }

    private void send(int from, int count) throws Exception {
        try (KafkaProducer<String, String> p = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap),
                new StringSerializer(), new StringSerializer())) {
            for (int i = from; i < from + count; i++) {
                for (int part = 0; part < PARTS; part++) {
                    p.send(new ProducerRecord<>(TOPIC, part, T0 + i * 1000L, "key-" + i, "{\"order\":" + i + "}"));
                }
            }
        }
    }

    private void createTopic() throws Exception {
        admin.createTopics(List.of(new NewTopic(TOPIC, PARTS, (short) 1).configs(Map.of("retention.ms", "-1",
            "cleanup.policy", "delete")))).all().get();
    }

    private void produce(KafkaConsumer<String, String> member) throws Exception {
        send(0, EACH);
        member.subscribe(List.of(TOPIC));
        for (int got = 0; got < EACH * PARTS; ) {
            got += member.poll(Duration.ofSeconds(10)).count();
        }
        member.commitSync();
    }

    private void brokers() throws Exception {
        DescribeClusterResult c = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        nodes = c.nodes().get();
        same(1, nodes.size());
        same(1, c.controller().get().id());
        same(true, !c.clusterId().get().isEmpty());
        admin.describeFeatures().featureMetadata().get();
        admin.describeMetadataQuorum().quorumInfo().get();
        Map<String, LogDirDescription> dirs = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1);
        long size = dirs.values().stream().flatMap(d -> d.replicaInfos().entrySet().stream())
            .filter(e -> e.getKey().topic().equals(TOPIC)).mapToLong(e -> e.getValue().size()).sum();
        same(true, size > 0);
    }

    private Config config(ConfigResource.Type type, String name) throws Exception {
        ConfigResource r = new ConfigResource(type, name);
        return admin.describeConfigs(List.of(r), new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true))
            .all().get().get(r);
    }

    private void brokerConfigs() throws Exception {
        for (Node n : nodes) {
            Config c = config(ConfigResource.Type.BROKER, n.idString());
            same(true, c.entries().size() > 100);
            same(true, c.entries().stream().allMatch(e -> e.documentation() != null && !e.documentation().isEmpty()));
            same("1", c.get("node.id").value());
        }
    }

    private void topics() throws Exception {
        Set<String> names = admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get();
        topics = admin.describeTopics(names).allTopicNames().get();
        same(true, topics.get("__consumer_offsets").isInternal());
        List<ConfigResource> all = names.stream().map(n -> new ConfigResource(ConfigResource.Type.TOPIC, n)).toList();
        same(names.size(), admin.describeConfigs(all).all().get().size());
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        topics.forEach((n, d) -> d.partitions().forEach(p -> latest.put(new TopicPartition(n, p.partition()), OffsetSpec.latest())));
        same(latest.size(), admin.listOffsets(latest).all().get().size());
    }

    private void topicOverview() throws Exception {
        TopicDescription d = topics.get(TOPIC);
        same(PARTS, d.partitions().size());
        same(true, d.partitions().stream().allMatch(p -> p.leader().id() == 1 && p.isr().size() == 1));
        Map<TopicPartition, OffsetSpec> first = new HashMap<>();
        parts().forEach(tp -> first.put(tp, OffsetSpec.earliest()));
        same(true, admin.listOffsets(first).all().get().values().stream().allMatch(o -> o.offset() == 0));
        admin.describeProducers(parts()).all().get();
        admin.listPartitionReassignments().reassignments().get();
    }

    private void topicSettings() throws Exception {
        ConfigResource r = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
        same(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, config(r.type(), TOPIC).get("retention.ms").source());
        admin.incrementalAlterConfigs(Map.of(r, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "9876543210"),
            AlterConfigOp.OpType.SET)))).all().get();
        long end = System.nanoTime() + 10_000_000_000L;
        while (!config(r.type(), TOPIC).get("retention.ms").value().equals("9876543210")) {
            same(true, System.nanoTime() < end);
            Thread.sleep(50);
        }
    }

    // A message page: assigned, positioned, polled until enough came. `from`: where to start, the beginning by default.
    private List<ConsumerRecord<String, String>> read(Map<TopicPartition, Long> from, int want) {
        List<ConsumerRecord<String, String>> out = new ArrayList<>();
        try (KafkaConsumer<String, String> c = consumer(Map.of())) {
            c.assign(parts());
            c.beginningOffsets(parts()).forEach((tp, o) -> c.seek(tp, from.getOrDefault(tp, o)));
            long end = System.nanoTime() + 20_000_000_000L;
            while (out.size() < want && System.nanoTime() < end) {
                c.poll(Duration.ofMillis(500)).forEach(out::add);
            }
        }
        return out;
    }

    private void fromOffset() {
        Map<TopicPartition, Long> from = new HashMap<>();
        parts().forEach(tp -> from.put(tp, 40L));
        List<ConsumerRecord<String, String>> got = read(from, PARTS * 10);
        same(PARTS * 10, got.size());
        same(true, got.stream().allMatch(r -> r.offset() >= 40 && r.key().equals("key-" + r.offset())));
    }

    private void fromTime() {
        Map<TopicPartition, Long> from = new HashMap<>(), times = new HashMap<>();
        parts().forEach(tp -> times.put(tp, T0 + 29_500));
        try (KafkaConsumer<String, String> c = consumer(Map.of())) {
            c.offsetsForTimes(times).forEach((tp, o) -> from.put(tp, o.offset()));
        }
        List<ConsumerRecord<String, String>> got = read(from, PARTS * 20);
        same(PARTS * 20, got.size());
        same(true, got.stream().allMatch(r -> r.timestamp() >= T0 + 30_000));
    }

    private void newest() {
        Map<TopicPartition, Long> from = new HashMap<>();
        try (KafkaConsumer<String, String> c = consumer(Map.of())) {
            c.endOffsets(parts()).forEach((tp, end) -> from.put(tp, end - 5));
        }
        same(PARTS * 5, read(from, PARTS * 5).size());
    }

    // Positioned at the end before anything new comes: sees what comes, and nothing else.
    private void live() throws Exception {
        try (KafkaConsumer<String, String> c = consumer(Map.of())) {
            c.assign(parts());
            c.seekToEnd(parts());
            parts().forEach(c::position);
            same(0, c.poll(Duration.ofMillis(200)).count());
            send(EACH, 4);
            Set<String> got = new HashSet<>();
            long end = System.nanoTime() + 20_000_000_000L;
            while (got.size() < PARTS * 4 && System.nanoTime() < end) {
                c.poll(Duration.ofMillis(200)).forEach(r -> got.add(r.partition() + " " + r.value()));
            }
            same(PARTS * 4, got.size());
        }
    }

    private void consumers() throws Exception {
        Set<String> ids = new HashSet<>();
        admin.listGroups().all().get().forEach(g -> ids.add(g.groupId()));
        same(true, ids.contains("ui-group"));
        admin.describeConsumerGroups(ids).all().get();
    }

    private void consumerDetail() throws Exception {
        ConsumerGroupDescription d = admin.describeConsumerGroups(List.of("ui-group")).all().get().get("ui-group");
        same(1, d.members().size());
        same("worker", d.members().iterator().next().clientId());
        same(PARTS, d.members().iterator().next().assignment().topicPartitions().size());
        Map<TopicPartition, OffsetAndMetadata> at = admin.listConsumerGroupOffsets("ui-group").partitionsToOffsetAndMetadata().get();
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        at.keySet().forEach(tp -> latest.put(tp, OffsetSpec.latest()));
        long lag = admin.listOffsets(latest).all().get().entrySet().stream()
            .mapToLong(e -> e.getValue().offset() - at.get(e.getKey()).offset()).sum();
        same((long) PARTS * 4, lag); // what the live page wrote
    }

    private void accessControl() throws Exception {
        try {
            admin.describeAcls(AclBindingFilter.ANY).values().get();
        } catch (ExecutionException e) {
            same(SecurityDisabledException.class, e.getCause().getClass());
            return;
        }
        throw new AssertionError("ACLs without an authorizer");
    }

    private void resetOffsets() throws Exception {
        Map<TopicPartition, OffsetAndMetadata> zero = new HashMap<>();
        parts().forEach(tp -> zero.put(tp, new OffsetAndMetadata(0)));
        admin.alterConsumerGroupOffsets("ui-group", zero).all().get();
        same(0L, admin.listConsumerGroupOffsets("ui-group").partitionsToOffsetAndMetadata().get().get(parts().get(0)).offset());
    }

    private void clearMessages() throws Exception {
        Map<TopicPartition, RecordsToDelete> all = new HashMap<>();
        parts().forEach(tp -> all.put(tp, RecordsToDelete.beforeOffset(-1)));
        admin.deleteRecords(all).all().get();
        Map<TopicPartition, OffsetSpec> first = new HashMap<>();
        parts().forEach(tp -> first.put(tp, OffsetSpec.earliest()));
        same(true, admin.listOffsets(first).all().get().values().stream().allMatch(o -> o.offset() == EACH + 4));
    }

    private void delete() throws Exception {
        admin.deleteConsumerGroups(List.of("ui-group")).all().get();
        admin.deleteTopics(List.of(TOPIC)).all().get();
        long end = System.nanoTime() + 10_000_000_000L;
        while (admin.listTopics().names().get().contains(TOPIC)) {
            same(true, System.nanoTime() < end);
            Thread.sleep(50);
        }
    }
}
