// What upstream's clients see of the life of a log: records deleted on request and by retention, timestamps and
// codecs that the broker chooses. Each check was first made to pass against upstream's own broker.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.PolicyViolationException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class LifeChecks extends Checks {
    private final Admin admin;
    private final String bootstrap;

    private LifeChecks(Admin admin, String bootstrap, ArrayNode results) {
        super(results);
        this.admin = admin;
        this.bootstrap = bootstrap;
    }

    static void run(JsonNode cmd, ObjectNode reply) {
        String bootstrap = cmd.get("bootstrap").asText();
        Map<String, Object> conf = Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", "15000",
            "request.timeout.ms", "5000");
        try (Admin admin = Admin.create(conf)) {
            LifeChecks c = new LifeChecks(admin, bootstrap, reply.putArray("checks"));
            c.check("delete-records", c::deleteRecords);
            c.check("delete-records-errors", c::deleteErrors);
            c.check("delete-records-of-a-compacted-topic", c::deleteCompacted);
            c.check("retention-by-time", c::retentionByTime);
            c.check("retention-by-size", c::retentionBySize);
        }
    }

    private TopicPartition create(String topic, Map<String, String> configs) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1).configs(configs))).all().get();
        return new TopicPartition(topic, 0);
    }

    private KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
        Map<String, Object> conf = new java.util.HashMap<>(more);
        conf.put("bootstrap.servers", bootstrap);
        conf.put("key.serializer", ByteArraySerializer.class.getName());
        conf.put("value.serializer", ByteArraySerializer.class.getName());
        return new KafkaProducer<>(conf);
    }

    private KafkaConsumer<byte[], byte[]> consumer(String reset) {
        return new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", reset,
            "key.deserializer", ByteArrayDeserializer.class.getName(),
            "value.deserializer", ByteArrayDeserializer.class.getName()));
    }

    // One batch each, so that segments roll where they should.
    private void send(TopicPartition tp, int n, int bytes, Long timestamp) throws Exception {
        try (KafkaProducer<byte[], byte[]> p = producer(Map.of())) {
            for (int i = 0; i < n; i++) {
                byte[] value = new byte[bytes];
                java.util.Arrays.fill(value, (byte) i);
                byte[] key = ("k" + i).getBytes(StandardCharsets.UTF_8);
                p.send(new ProducerRecord<>(tp.topic(), 0, timestamp, key, value)).get();
            }
        }
    }

    private long offset(TopicPartition tp, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(tp, spec)).partitionResult(tp).get().offset();
    }

    private long delete(TopicPartition tp, long before) throws Exception {
        RecordsToDelete what = RecordsToDelete.beforeOffset(before);
        return admin.deleteRecords(Map.of(tp, what)).lowWatermarks().get(tp).get().lowWatermark();
    }

    private List<ConsumerRecord<byte[], byte[]>> read(KafkaConsumer<byte[], byte[]> c, int n) {
        List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
        long end = System.nanoTime() + 15_000_000_000L;
        while (got.size() < n && System.nanoTime() < end) {
            c.poll(Duration.ofMillis(200)).forEach(got::add);
        }
        return got;
    }

    private void deleteRecords() throws Exception {
        TopicPartition tp = create("life-delete", Map.of());
        send(tp, 20, 10, null);
        same(7L, delete(tp, 7), "low watermark");
        same(7L, delete(tp, 3), "low watermark after a lower offset");
        same(7L, offset(tp, OffsetSpec.earliest()), "earliest");
        same(20L, offset(tp, OffsetSpec.latest()), "latest");
        try (KafkaConsumer<byte[], byte[]> c = consumer("earliest")) {
            c.assign(List.of(tp));
            c.seek(tp, 2);
            List<ConsumerRecord<byte[], byte[]>> got = read(c, 13);
            same(13, got.size(), "records");
            same(7L, got.get(0).offset(), "first offset");
        }
        try (KafkaConsumer<byte[], byte[]> c = consumer("none")) {
            c.assign(List.of(tp));
            c.seek(tp, 2);
            boolean refused = false;
            for (int i = 0; i < 50 && !refused; i++) {
                try {
                    c.poll(Duration.ofMillis(200));
                } catch (OffsetOutOfRangeException e) {
                    refused = e.partitions().contains(tp);
                }
            }
            that(refused, "reading below the log start is not out of range");
        }
        same(20L, delete(tp, -1), "low watermark of all");
        same(20L, offset(tp, OffsetSpec.earliest()), "earliest of all");
        send(tp, 1, 10, null);
        same(21L, offset(tp, OffsetSpec.latest()), "latest after all");
    }

    private void deleteErrors() throws Exception {
        TopicPartition tp = create("life-errors", Map.of());
        send(tp, 3, 10, null);
        fails(org.apache.kafka.common.errors.OffsetOutOfRangeException.class, () -> delete(tp, 4));
        fails(org.apache.kafka.common.errors.OffsetOutOfRangeException.class, () -> delete(tp, -2));
        same(0L, offset(tp, OffsetSpec.earliest()), "earliest after refusals");
    }

    private void deleteCompacted() throws Exception {
        TopicPartition tp = create("life-compacted", Map.of("cleanup.policy", "compact"));
        send(tp, 3, 10, null);
        fails(PolicyViolationException.class, () -> delete(tp, 1));
        TopicPartition both = create("life-both", Map.of("cleanup.policy", "compact,delete"));
        send(both, 3, 10, null);
        same(1L, delete(both, 1), "low watermark of compact,delete");
    }

    private long waitForStart(TopicPartition tp, long atLeast) throws Exception {
        long end = System.nanoTime() + 45_000_000_000L;
        long got = -1;
        while (System.nanoTime() < end) {
            got = offset(tp, OffsetSpec.earliest());
            if (got >= atLeast) {
                return got;
            }
            Thread.sleep(100);
        }
        throw new AssertionError("the log starts at " + got + ", not at " + atLeast + " or behind");
    }

    // Everything is old: the active segment goes as well.
    private void retentionByTime() throws Exception {
        TopicPartition tp = create("life-time", Map.of("retention.ms", "60000"));
        send(tp, 5, 10, System.currentTimeMillis() - 3_600_000);
        same(5L, waitForStart(tp, 5), "log start");
        send(tp, 2, 10, null);
        Thread.sleep(2500);
        same(5L, offset(tp, OffsetSpec.earliest()), "log start with young records");
        same(7L, offset(tp, OffsetSpec.latest()), "latest");
    }

    private void retentionBySize() throws Exception {
        TopicPartition tp = create("life-size", Map.of("retention.bytes", "1000000", "segment.bytes", "1048576"));
        send(tp, 45, 100_000, null);
        long start = waitForStart(tp, 20); // some may have gone while the rest was being sent
        that(start >= 20 && start <= 35, "the log starts at %d", start);
        same(45L, offset(tp, OffsetSpec.latest()), "latest");
    }
}
