import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads a number of records from the beginning of all partitions of a topic, without a group, and prints the rate. */
public final class ConsumeRate {
    public static void main(String[] args) {
        String bootstrap = args[0], topic = args[1];
        long wanted = Long.parseLong(args[2]);
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "earliest");
        try (KafkaConsumer<byte[], byte[]> c =
                new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> parts = new ArrayList<>();
            c.partitionsFor(topic).forEach(i -> parts.add(new TopicPartition(topic, i.partition())));
            c.assign(parts);
            c.seekToBeginning(parts);
            long n = 0, bytes = 0, begin = System.nanoTime(), deadline = begin + 300_000_000_000L;
            while (n < wanted && System.nanoTime() < deadline) {
                ConsumerRecords<byte[], byte[]> got = c.poll(Duration.ofMillis(500));
                n += got.count();
                for (var r : got)
                    bytes += r.serializedValueSize();
            }
            double s = (System.nanoTime() - begin) / 1e9;
            System.out.printf("records %d bytes %d seconds %.3f%n", n, bytes, s);
            System.exit(n >= wanted ? 0 : 1);
        }
    }
}
