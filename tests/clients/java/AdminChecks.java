// What upstream's Admin, producer and consumer expect of a broker beyond moving records: topics,
// partitions, cluster, configurations, offsets, idempotence. Each check is reported by name, and one
// that fails does not stop the others. All were first made to pass against upstream's own broker.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class AdminChecks extends Checks {
    private static final long T0 = System.currentTimeMillis() - 100_000;

    private final Admin admin;
    private final String bootstrap;
    private final String prefix;

    private AdminChecks(Admin admin, String bootstrap, String prefix, ArrayNode results) {
        super(results);
        this.admin = admin;
        this.bootstrap = bootstrap;
        this.prefix = prefix;
    }

    static void run(JsonNode cmd, ObjectNode reply) {
        String bootstrap = cmd.get("bootstrap").asText();
        Map<String, Object> conf = Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", "15000",
            "request.timeout.ms", "5000");
        try (Admin admin = Admin.create(conf)) {
            AdminChecks c = new AdminChecks(admin, bootstrap, cmd.get("prefix").asText(), reply.putArray("checks"));
            c.check("describe-cluster", c::describeCluster);
            c.check("create-and-describe-topic", c::createAndDescribe);
            c.check("create-topic-errors", c::createErrors);
            c.check("create-topic-validate-only", c::validateOnly);
            c.check("create-topic-manual-assignment", c::manualAssignment);
            c.check("create-partitions", c::createPartitions);
            c.check("describe-topic-configs", c::describeTopicConfigs);
            c.check("describe-broker-configs", c::describeBrokerConfigs);
            c.check("list-offsets-empty", c::listOffsetsEmpty);
            c.check("list-offsets-every-timestamp", c::listOffsets);
            c.check("consumer-offsets-for-times", c::offsetsForTimes);
            c.check("idempotent-producer", c::idempotentProducer);
            c.check("producer-acks-0-and-1", c::acksZeroAndOne);
            c.check("record-too-large", c::recordTooLarge);
            c.check("delete-and-recreate-topic", c::deleteAndRecreate);
            c.check("delete-by-id", c::deleteById);
        }
    }

    private String create(String name, int partitions) throws Exception {
        String topic = prefix + name;
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        return topic;
    }

    private TopicDescription describe(String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    }

    // A topic's creation is answered before every broker thread need have seen it: wait for it.
    private TopicDescription describeWhen(String topic, int partitions) throws Exception {
        long end = System.nanoTime() + 10_000_000_000L;
        while (true) {
            try {
                TopicDescription d = describe(topic);
                if (d.partitions().size() == partitions || System.nanoTime() > end) {
                    return d;
                }
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownTopicOrPartitionException) || System.nanoTime() > end) {
                    throw e;
                }
            }
            Thread.sleep(20);
        }
    }

    private void gone(String topic) throws Exception {
        long end = System.nanoTime() + 10_000_000_000L;
        while (admin.listTopics().names().get().contains(topic)) {
            that(System.nanoTime() < end, "topic %s is still listed", topic);
            Thread.sleep(20);
        }
    }

    private KafkaProducer<byte[], byte[]> producer(String... kv) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("max.block.ms", "10000");
        for (int i = 0; i < kv.length; i += 2) {
            p.put(kv[i], kv[i + 1]);
        }
        return new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "none");
        return new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private List<ConsumerRecord<byte[], byte[]>> readAll(TopicPartition tp) {
        List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> c = consumer()) {
            c.assign(List.of(tp));
            c.seekToBeginning(List.of(tp));
            long end = c.endOffsets(List.of(tp)).get(tp);
            long stop = System.nanoTime() + 20_000_000_000L;
            while (c.position(tp) < end) {
                that(System.nanoTime() < stop, "timed out reading %s at %d of %d", tp, c.position(tp), end);
                c.poll(Duration.ofMillis(200)).forEach(all::add);
            }
        }
        return all;
    }

    private static byte[] utf8(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    private void describeCluster() throws Exception {
        DescribeClusterResult r = admin.describeCluster();
        Collection<Node> nodes = r.nodes().get();
        same(1, nodes.size(), "number of brokers");
        Node n = nodes.iterator().next();
        same(bootstrap, n.host() + ":" + n.port(), "advertised address");
        that(n.id() == 1, "node id is %d", n.id());
        same(n.id(), r.controller().get().id(), "controller");
        that(Uuid.fromString(r.clusterId().get()) != Uuid.ZERO_UUID, "no cluster id");
    }

    private void createAndDescribe() throws Exception {
        String topic = prefix + "create";
        var made = admin.createTopics(List.of(
            new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "123456789"))));
        same(3, made.numPartitions(topic).get(), "partitions in the answer");
        same(1, made.replicationFactor(topic).get(), "replication factor in the answer");
        Config conf = made.config(topic).get();
        same("123456789", conf.get("retention.ms").value(), "retention.ms in the answer");
        Uuid id = made.topicId(topic).get();
        that(!id.equals(Uuid.ZERO_UUID), "zero topic id");
        TopicDescription d = describeWhen(topic, 3);
        same(id, d.topicId(), "topic id");
        that(!d.isInternal(), "a user's topic is internal");
        for (int i = 0; i < 3; i++) {
            TopicPartitionInfo p = d.partitions().get(i);
            same(i, p.partition(), "partition");
            same(1, p.leader().id(), "leader");
            same(1, p.replicas().size(), "replicas");
            same(1, p.isr().size(), "isr");
        }
        that(admin.listTopics().names().get().contains(topic), "topic is not listed");
        same(topic, admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id).name(),
            "name by id");
        fails(UnknownTopicOrPartitionException.class, () -> describe(prefix + "no-such-topic"));
        fails(UnknownTopicIdException.class, () -> {
            Uuid other = Uuid.randomUuid();
            return admin.describeTopics(TopicCollection.ofTopicIds(List.of(other))).allTopicIds().get();
        });
    }

    private void createErrors() throws Exception {
        String topic = create("errors", 1);
        describeWhen(topic, 1);
        fails(TopicExistsException.class, () -> create("errors", 1));
        fails(InvalidTopicException.class, () -> create("bad name", 1));
        fails(InvalidTopicException.class, () -> create("x".repeat(250), 1));
        fails(InvalidPartitionsException.class, () -> create("zero", 0));
        fails(InvalidReplicationFactorException.class, () ->
            admin.createTopics(List.of(new NewTopic(prefix + "rf2", 1, (short) 2))).all().get());
        fails(InvalidConfigurationException.class, () -> admin.createTopics(List.of(
            new NewTopic(prefix + "cfg", 1, (short) 1).configs(Map.of("no.such.key", "1")))).all().get());
        fails(InvalidConfigurationException.class, () -> admin.createTopics(List.of(
            new NewTopic(prefix + "cfg", 1, (short) 1).configs(Map.of("segment.bytes", "many")))).all().get());
        // A dot and an underscore collide in metric names, so upstream refuses the second of the two.
        create("col.lide", 1);
        describeWhen(prefix + "col.lide", 1);
        fails(InvalidTopicException.class, () -> create("col_lide", 1));
    }

    private void validateOnly() throws Exception {
        String topic = prefix + "validate";
        var made = admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1)),
            new CreateTopicsOptions().validateOnly(true));
        made.all().get();
        Thread.sleep(100);
        that(!admin.listTopics().names().get().contains(topic), "validate-only created the topic");
    }

    private void manualAssignment() throws Exception {
        String topic = prefix + "manual";
        admin.createTopics(List.of(new NewTopic(topic, Map.of(0, List.of(1), 1, List.of(1))))).all().get();
        same(2, describeWhen(topic, 2).partitions().size(), "partitions");
        fails(org.apache.kafka.common.errors.InvalidReplicaAssignmentException.class, () -> admin.createTopics(
            List.of(new NewTopic(prefix + "manual-bad", Map.of(0, List.of(77))))).all().get());
    }

    private void createPartitions() throws Exception {
        String topic = create("grow", 2);
        describeWhen(topic, 2);
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
        TopicDescription d = describeWhen(topic, 5);
        same(5, d.partitions().size(), "partitions after growth");
        fails(InvalidPartitionsException.class, () ->
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get());
        fails(InvalidPartitionsException.class, () ->
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(1))).all().get());
        fails(UnknownTopicOrPartitionException.class, () ->
            admin.createPartitions(Map.of(prefix + "none", NewPartitions.increaseTo(5))).all().get());
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            same(0L, p.send(new ProducerRecord<>(topic, 4, null, utf8("v"))).get().offset(), "first offset");
        }
        same(1, readAll(new TopicPartition(topic, 4)).size(), "records in the new partition");
    }

    private void describeTopicConfigs() throws Exception {
        String topic = prefix + "conf";
        admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1)
            .configs(Map.of("segment.bytes", "2097152", "cleanup.policy", "delete")))).all().get();
        describeWhen(topic, 1);
        ConfigResource res = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config conf = admin.describeConfigs(List.of(res)).all().get().get(res);
        for (String key : List.of("cleanup.policy", "compression.type", "max.message.bytes", "retention.ms",
            "retention.bytes", "segment.bytes", "segment.ms", "min.insync.replicas", "message.timestamp.type")) {
            that(conf.get(key) != null, "no entry %s", key);
        }
        ConfigEntry e = conf.get("segment.bytes");
        same("2097152", e.value(), "segment.bytes");
        same(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, e.source(), "source of an own value");
        same("producer", conf.get("compression.type").value(), "compression.type");
        same(ConfigEntry.ConfigSource.DEFAULT_CONFIG, conf.get("compression.type").source(), "source of a default");
        ConfigResource none = new ConfigResource(ConfigResource.Type.TOPIC, prefix + "none");
        fails(UnknownTopicOrPartitionException.class, () -> admin.describeConfigs(List.of(none)).all().get());
    }

    private void describeBrokerConfigs() throws Exception {
        ConfigResource res = new ConfigResource(ConfigResource.Type.BROKER, "1");
        Config conf = admin.describeConfigs(List.of(res)).all().get().get(res);
        for (String key : List.of("node.id", "log.dirs", "listeners", "num.partitions", "log.segment.bytes")) {
            that(conf.get(key) != null, "no entry %s", key);
        }
        same("1", conf.get("node.id").value(), "node.id");
        that(conf.get("node.id").isReadOnly(), "node.id is not read-only");
        same(ConfigEntry.ConfigSource.STATIC_BROKER_CONFIG, conf.get("node.id").source(), "source of node.id");
    }

    private ListOffsetsResultInfo offset(TopicPartition tp, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(tp, spec)).partitionResult(tp).get();
    }

    private void offsetIs(TopicPartition tp, OffsetSpec spec, String what, long offset, long ts) throws Exception {
        ListOffsetsResultInfo r = offset(tp, spec);
        same(offset, r.offset(), what + " offset");
        same(ts, r.timestamp(), what + " timestamp");
    }

    private void listOffsetsEmpty() throws Exception {
        TopicPartition tp = new TopicPartition(create("empty", 1), 0);
        describeWhen(tp.topic(), 1);
        offsetIs(tp, OffsetSpec.earliest(), "earliest", 0, -1);
        offsetIs(tp, OffsetSpec.latest(), "latest", 0, -1);
        offsetIs(tp, OffsetSpec.maxTimestamp(), "max timestamp", -1, -1);
        offsetIs(tp, OffsetSpec.earliestLocal(), "earliest local", 0, -1);
        offsetIs(tp, OffsetSpec.latestTiered(), "latest tiered", -1, -1);
        offsetIs(tp, OffsetSpec.forTimestamp(T0), "timestamp", -1, -1);
        fails(UnknownTopicOrPartitionException.class, () ->
            offset(new TopicPartition(prefix + "none", 0), OffsetSpec.latest()));
    }

    // Ten records, the timestamps of which rise except that offset 7 holds the highest.
    private TopicPartition tenRecords(String name) throws Exception {
        TopicPartition tp = new TopicPartition(create(name, 1), 0);
        describeWhen(tp.topic(), 1);
        try (KafkaProducer<byte[], byte[]> p = producer("linger.ms", "0")) {
            for (int i = 0; i < 10; i++) {
                long ts = i == 7 ? T0 + 50_000 : T0 + i * 1000L;
                RecordMetadata m = p.send(new ProducerRecord<>(tp.topic(), 0, ts, null, utf8("v" + i))).get();
                same((long) i, m.offset(), "offset");
                same(ts, m.timestamp(), "timestamp");
            }
        }
        return tp;
    }

    private void listOffsets() throws Exception {
        TopicPartition tp = tenRecords("offsets");
        offsetIs(tp, OffsetSpec.earliest(), "earliest", 0, -1);
        offsetIs(tp, OffsetSpec.latest(), "latest", 10, -1);
        offsetIs(tp, OffsetSpec.maxTimestamp(), "max timestamp", 7, T0 + 50_000);
        offsetIs(tp, OffsetSpec.earliestLocal(), "earliest local", 0, -1);
        offsetIs(tp, OffsetSpec.latestTiered(), "latest tiered", -1, -1);
        offsetIs(tp, OffsetSpec.forTimestamp(0), "timestamp 0", 0, T0);
        offsetIs(tp, OffsetSpec.forTimestamp(T0 + 3000), "exact timestamp", 3, T0 + 3000);
        offsetIs(tp, OffsetSpec.forTimestamp(T0 + 3001), "between timestamps", 4, T0 + 4000);
        offsetIs(tp, OffsetSpec.forTimestamp(T0 + 8500), "after the end but for one", 7, T0 + 50_000);
        offsetIs(tp, OffsetSpec.forTimestamp(T0 + 50_001), "beyond the highest", -1, -1);
    }

    private void offsetsForTimes() throws Exception {
        TopicPartition tp = tenRecords("times");
        try (KafkaConsumer<byte[], byte[]> c = consumer()) {
            OffsetAndTimestamp o = c.offsetsForTimes(Map.of(tp, T0 + 4001)).get(tp);
            same(5L, o.offset(), "offset for time");
            same(0L, c.beginningOffsets(List.of(tp)).get(tp), "beginning");
            same(10L, c.endOffsets(List.of(tp)).get(tp), "end");
            same(1, c.partitionsFor(tp.topic()).size(), "partitions");
        }
    }

    private void idempotentProducer() throws Exception {
        TopicPartition tp = new TopicPartition(create("idempotent", 1), 0);
        describeWhen(tp.topic(), 1);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> p = producer("enable.idempotence", "true", "acks", "all",
                "batch.size", "512", "linger.ms", "1")) {
            for (int i = 0; i < 2000; i++) {
                sent.add(p.send(new ProducerRecord<>(tp.topic(), 0, null, utf8("value-" + i))));
            }
            for (int i = 0; i < 2000; i++) {
                same((long) i, sent.get(i).get().offset(), "offset");
            }
        }
        List<ConsumerRecord<byte[], byte[]>> got = readAll(tp);
        same(2000, got.size(), "records");
        for (int i = 0; i < 2000; i++) {
            same("value-" + i, new String(got.get(i).value(), StandardCharsets.UTF_8), "value");
        }
    }

    private void acksZeroAndOne() throws Exception {
        TopicPartition tp = new TopicPartition(create("acks", 1), 0);
        describeWhen(tp.topic(), 1);
        try (KafkaProducer<byte[], byte[]> p = producer("acks", "1", "enable.idempotence", "false")) {
            same(0L, p.send(new ProducerRecord<>(tp.topic(), 0, null, utf8("one"))).get().offset(), "acks=1");
        }
        try (KafkaProducer<byte[], byte[]> p = producer("acks", "0", "enable.idempotence", "false")) {
            same(-1L, p.send(new ProducerRecord<>(tp.topic(), 0, null, utf8("two"))).get().offset(), "acks=0");
        }
        long end = System.nanoTime() + 10_000_000_000L;
        while (offset(tp, OffsetSpec.latest()).offset() < 2) {
            that(System.nanoTime() < end, "the record sent with acks=0 never came");
            Thread.sleep(20);
        }
        List<ConsumerRecord<byte[], byte[]>> got = readAll(tp);
        same(2, got.size(), "records");
        same("two", new String(got.get(1).value(), StandardCharsets.UTF_8), "value sent with acks=0");
    }

    private void recordTooLarge() throws Exception {
        TopicPartition tp = new TopicPartition(create("large", 1), 0);
        describeWhen(tp.topic(), 1);
        try (KafkaProducer<byte[], byte[]> p = producer("max.request.size", "4194304")) {
            fails(RecordTooLargeException.class, () ->
                p.send(new ProducerRecord<>(tp.topic(), 0, null, new byte[2_000_000])).get());
            same(0L, p.send(new ProducerRecord<>(tp.topic(), 0, null, new byte[1_000_000])).get().offset(), "offset");
        }
    }

    private void deleteAndRecreate() throws Exception {
        TopicPartition tp = tenRecords("delete");
        Uuid before = describe(tp.topic()).topicId();
        admin.deleteTopics(List.of(tp.topic())).all().get();
        gone(tp.topic());
        fails(UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of(tp.topic())).all().get());
        create("delete", 1);
        TopicDescription d = describeWhen(tp.topic(), 1);
        that(!before.equals(d.topicId()), "the same topic id again");
        same(0, readAll(tp).size(), "records in the new topic");
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            same(0L, p.send(new ProducerRecord<>(tp.topic(), 0, null, utf8("v"))).get().offset(), "first offset");
        }
    }

    private void deleteById() throws Exception {
        String topic = create("delete-id", 2);
        Uuid id = describeWhen(topic, 2).topicId();
        admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
        gone(topic);
        Set<String> names = admin.listTopics().names().get();
        that(!names.contains(topic), "deleted topic is listed");
        fails(UnknownTopicIdException.class, () ->
            admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get());
    }
}
