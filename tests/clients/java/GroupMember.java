// A consumer in a group: a thread polls and commits, commands ask what it was given and what it has read.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

final class GroupMember implements ConsumerRebalanceListener {
    private static GroupMember one;

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final TreeSet<Integer> assigned = new TreeSet<>();
    private final List<long[]> seen = new ArrayList<>();
    private final ConcurrentLinkedQueue<Runnable> asked = new ConcurrentLinkedQueue<>();
    private final String topic;
    private final Thread thread;
    private volatile boolean running = true;
    private volatile Throwable error;
    private int rounds;

    private GroupMember(JsonNode cmd) {
        Properties p = new Properties();
        p.put("bootstrap.servers", cmd.get("bootstrap").asText());
        p.put("group.id", cmd.get("group").asText());
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "earliest");
        p.put("fetch.max.wait.ms", "100");
        p.put("group.protocol", cmd.path("protocol").asText("classic"));
        if (p.get("group.protocol").equals("classic")) {
            p.put("session.timeout.ms", cmd.get("session_ms").asText());
            p.put("heartbeat.interval.ms", "300");
        }
        if (cmd.has("instance")) {
            p.put("group.instance.id", cmd.get("instance").asText());
        }
        topic = cmd.get("topic").asText();
        consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        if (cmd.has("pattern")) {
            consumer.subscribe(new SubscriptionPattern(cmd.get("pattern").asText()), this);
        } else {
            consumer.subscribe(List.of(topic), this);
        }
        thread = new Thread(this::loop, "member");
        thread.start();
    }

    static void run(JsonNode cmd, ObjectNode reply) throws Exception {
        switch (cmd.get("op").asText()) {
            case "member_start" -> one = new GroupMember(cmd);
            case "member_state" -> one.state(reply);
            case "member_pause" -> one.ask(() -> one.consumer.pause(one.parts(cmd.get("partitions"))));
            case "member_resume" -> one.ask(() -> one.consumer.resume(one.parts(cmd.get("partitions"))));
            case "member_seek" -> one.ask(() -> one.seek(cmd.get("time_ms").asLong()));
            default -> one.stop();
        }
    }

    // Runs something between two polls, in their thread, and waits for it.
    private void ask(Runnable what) throws Exception {
        CompletableFuture<Void> done = new CompletableFuture<>();
        asked.add(() -> {
            try {
                what.run();
                done.complete(null);
            } catch (RuntimeException e) {
                done.completeExceptionally(e);
            }
        });
        done.get(30, TimeUnit.SECONDS);
    }

    private List<TopicPartition> parts(JsonNode numbers) {
        List<TopicPartition> out = new ArrayList<>();
        numbers.forEach(n -> out.add(new TopicPartition(topic, n.asInt())));
        return out;
    }

    private void seek(long time) {
        Map<TopicPartition, Long> times = new HashMap<>();
        consumer.assignment().forEach(tp -> times.put(tp, time));
        for (Map.Entry<TopicPartition, OffsetAndTimestamp> e : consumer.offsetsForTimes(times).entrySet()) {
            consumer.seek(e.getKey(), e.getValue().offset());
        }
    }

    private void loop() {
        try (consumer) {
            while (running) {
                for (Runnable next = asked.poll(); next != null; next = asked.poll()) {
                    next.run();
                }
                ConsumerRecords<byte[], byte[]> got = consumer.poll(Duration.ofMillis(100));
                if (got.isEmpty()) {
                    continue;
                }
                try {
                    consumer.commitSync();
                } catch (CommitFailedException | RebalanceInProgressException e) {
                    // The partitions go to others, who read these records again.
                }
                synchronized (this) {
                    for (ConsumerRecord<byte[], byte[]> r : got) {
                        seen.add(new long[] {r.partition(), r.offset()});
                    }
                }
            }
        } catch (Throwable t) {
            error = t;
        }
    }

    private synchronized void state(ObjectNode reply) {
        if (error != null) {
            throw new IllegalStateException("the member failed", error);
        }
        ArrayNode parts = reply.putArray("assigned");
        assigned.forEach(parts::add);
        reply.put("rounds", rounds);
        ArrayNode read = reply.putArray("seen");
        for (long[] s : seen) {
            read.addArray().add(s[0]).add(s[1]);
        }
        seen.clear();
    }

    private void stop() throws InterruptedException {
        running = false;
        thread.join(30_000);
        if (error != null || thread.isAlive()) {
            throw new IllegalStateException("the member did not stop", error);
        }
    }

    @Override
    public synchronized void onPartitionsRevoked(Collection<TopicPartition> parts) {
        parts.forEach(tp -> assigned.remove(tp.partition()));
    }

    @Override
    public synchronized void onPartitionsLost(Collection<TopicPartition> parts) {
        onPartitionsRevoked(parts);
    }

    @Override
    public synchronized void onPartitionsAssigned(Collection<TopicPartition> parts) {
        parts.forEach(tp -> assigned.add(tp.partition()));
        rounds++;
    }
}
