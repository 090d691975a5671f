// Java's Admin over groups and offsets: list, describe, commit and read offsets for a group, delete them, remove members.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ClassicGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

final class GroupChecks {
    private GroupChecks() {}

    private static void check(boolean ok, String what) {
        if (!ok) {
            throw new IllegalStateException(what);
        }
    }

    private interface Step {
        void run() throws Exception;
    }

    private static void fails(Class<? extends Exception> with, Step step, String what) throws Exception {
        try {
            step.run();
        } catch (ExecutionException e) {
            check(with.isInstance(e.getCause()), what + ": " + e.getCause());
            return;
        }
        throw new IllegalStateException(what + ": no error");
    }

    // `live`: a group with two static members, stable, on `topic`.
    static void run(JsonNode cmd, ObjectNode reply) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", cmd.get("bootstrap").asText());
        String topic = cmd.get("topic").asText();
        String live = cmd.get("live").asText();
        TopicPartition tp = new TopicPartition(topic, 1);
        List<String> done = new ArrayList<>();
        try (Admin a = Admin.create(p)) {
            describe(a, live, topic);
            done.add("describe");
            a.alterConsumerGroupOffsets("by-admin", Map.of(tp, new OffsetAndMetadata(7, "note"))).all().get();
            Map<TopicPartition, OffsetAndMetadata> got =
                a.listConsumerGroupOffsets("by-admin").partitionsToOffsetAndMetadata().get();
            check(got.size() == 1 && got.get(tp).offset() == 7 && got.get(tp).metadata().equals("note"), "offsets " + got);
            Map<String, Map<TopicPartition, OffsetAndMetadata>> both = a.listConsumerGroupOffsets(Map.of(
                "by-admin", new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(tp)),
                "nobody", new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(tp)))).all().get();
            check(both.get("by-admin").get(tp).offset() == 7 && both.get("nobody").get(tp) == null, "two groups " + both);
            done.add("offsets");
            list(a, live);
            done.add("list");
            fails(UnknownTopicOrPartitionException.class, () -> a.alterConsumerGroupOffsets("by-admin",
                Map.of(new TopicPartition("no-such-topic", 0), new OffsetAndMetadata(1))).all().get(), "unknown topic");
            fails(GroupSubscribedToTopicException.class,
                () -> a.deleteConsumerGroupOffsets(live, Set.of(tp)).all().get(), "delete subscribed offsets");
            a.deleteConsumerGroupOffsets("by-admin", Set.of(tp)).all().get();
            check(a.listConsumerGroupOffsets("by-admin").partitionsToOffsetAndMetadata().get().isEmpty(), "offsets are left");
            fails(GroupIdNotFoundException.class, () -> a.deleteConsumerGroups(List.of("nobody")).all().get(), "delete nobody");
            fails(GroupNotEmptyException.class, () -> a.deleteConsumerGroups(List.of(live)).all().get(), "delete a live group");
            a.alterConsumerGroupOffsets("by-admin", Map.of(tp, new OffsetAndMetadata(8))).all().get();
            a.deleteConsumerGroups(List.of("by-admin")).all().get();
            check(a.listGroups().all().get().stream().noneMatch(g -> g.groupId().equals("by-admin")), "a deleted group");
            done.add("delete");
            a.removeMembersFromConsumerGroup(live, new RemoveMembersFromConsumerGroupOptions(
                Set.of(new MemberToRemove(cmd.get("remove").asText())))).all().get();
            done.add("remove");
        }
        reply.put("done", String.join(",", done));
    }

    private static void describe(Admin a, String live, String topic) throws Exception {
        ConsumerGroupDescription d = a.describeConsumerGroups(List.of(live)).all().get().get(live);
        check(d.groupState().toString().equals("Stable") && d.members().size() == 2, "described " + d);
        check(d.coordinator().id() == 1 && !d.partitionAssignor().isEmpty(), "coordinator, assignor of " + d);
        int parts = d.members().stream().mapToInt(m -> m.assignment().topicPartitions().size()).sum();
        check(parts == 4, "assigned partitions " + parts);
        check(d.members().stream().allMatch(m -> m.host().equals("/127.0.0.1") && m.groupInstanceId().isPresent()), "" + d);
        ClassicGroupDescription c = a.describeClassicGroups(List.of(live)).all().get().get(live);
        check(c.protocol().equals("consumer") && c.members().size() == 2, "classic " + c);
        fails(GroupIdNotFoundException.class, () -> a.describeClassicGroups(List.of("nobody")).all().get(), "describe nobody");
    }

    private static void list(Admin a, String live) throws Exception {
        Collection<GroupListing> all = a.listGroups().all().get();
        GroupListing g = all.stream().filter(x -> x.groupId().equals(live)).findFirst().orElseThrow();
        check(g.type().orElseThrow().toString().equals("Classic") && g.protocol().equals("consumer")
            && g.groupState().orElseThrow().toString().equals("Stable"), "listed " + g);
        GroupListing s = all.stream().filter(x -> x.groupId().equals("by-admin")).findFirst().orElseThrow();
        check(s.isSimpleConsumerGroup() && s.groupState().orElseThrow().toString().equals("Empty"), "listed " + s);
    }
}
