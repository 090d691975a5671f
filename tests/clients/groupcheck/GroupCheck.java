import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.FencedMemberEpochException;
import org.apache.kafka.common.message.ConsumerGroupHeartbeatRequestData;
import org.apache.kafka.coordinator.common.runtime.CoordinatorMetadataDelta;
import org.apache.kafka.coordinator.common.runtime.CoordinatorMetadataImage;
import org.apache.kafka.coordinator.group.Utils;
import org.apache.kafka.coordinator.group.api.assignor.GroupAssignment;
import org.apache.kafka.coordinator.group.api.assignor.MemberAssignment;
import org.apache.kafka.coordinator.group.api.assignor.PartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;
import org.apache.kafka.coordinator.group.modern.Assignment;
import org.apache.kafka.coordinator.group.modern.GroupSpecImpl;
import org.apache.kafka.coordinator.group.modern.MemberState;
import org.apache.kafka.coordinator.group.modern.MemberSubscriptionAndAssignmentImpl;
import org.apache.kafka.coordinator.group.modern.SubscribedTopicDescriberImpl;
import org.apache.kafka.coordinator.group.modern.consumer.ConsumerGroupMember;
import org.apache.kafka.coordinator.group.modern.consumer.CurrentAssignmentBuilder;

/** Compares the cases that group-cases writes (see there for the lines) with upstream's own classes. */
public final class GroupCheck {
    private static int passed;
    private static int failed;
    private static String current = "";

    /** Topics as the coordinator sees them, by number and by name. */
    private static final class World implements CoordinatorMetadataImage {
        final Map<Uuid, TopicMetadata> byId = new HashMap<>();
        final Map<String, TopicMetadata> byName = new HashMap<>();

        void add(Uuid id, String name, int partitions, List<List<String>> racks) {
            TopicMetadata t = new TopicMetadata() {
                @Override public String name() { return name; }
                @Override public Uuid id() { return id; }
                @Override public int partitionCount() { return partitions; }
                @Override public List<String> partitionRacks(int p) {
                    return new ArrayList<>(racks == null ? List.of() : racks.get(p));
                }
            };
            byId.put(id, t);
            byName.put(name, t);
        }

        @Override public Set<Uuid> topicIds() { return byId.keySet(); }
        @Override public Set<String> topicNames() { return byName.keySet(); }
        @Override public Optional<TopicMetadata> topicMetadata(String name) { return Optional.ofNullable(byName.get(name)); }
        @Override public Optional<TopicMetadata> topicMetadata(Uuid id) { return Optional.ofNullable(byId.get(id)); }
        @Override public CoordinatorMetadataDelta emptyDelta() { throw new UnsupportedOperationException(); }
        @Override public long version() { return 1; }
        @Override public boolean isEmpty() { return byId.isEmpty(); }
    }

    private static void check(boolean ok, String what) {
        if (ok) {
            passed++;
        } else {
            failed++;
            if (failed <= 10) System.out.println("FAIL " + what + "\n" + current);
        }
    }

    private static Uuid id(String number) {
        return new Uuid(0, Long.parseLong(number));
    }

    /** 1:0@5,1@6;2:3@4 with or without epochs. */
    private static Map<Uuid, Map<Integer, Integer>> epochs(String text) {
        Map<Uuid, Map<Integer, Integer>> all = new HashMap<>();
        if (text.equals("-")) return all;
        for (String topic : text.split(";")) {
            Map<Integer, Integer> parts = new HashMap<>();
            for (String p : topic.substring(topic.indexOf(':') + 1).split(",")) {
                String[] pair = p.split("@");
                parts.put(Integer.parseInt(pair[0]), pair.length > 1 ? Integer.parseInt(pair[1]) : 0);
            }
            all.put(id(topic.substring(0, topic.indexOf(':'))), parts);
        }
        return all;
    }

    private static Map<Uuid, Set<Integer>> sets(String text) {
        Map<Uuid, Set<Integer>> all = new TreeMap<>();
        epochs(text).forEach((topic, parts) -> all.put(topic, new TreeSet<>(parts.keySet())));
        return all;
    }

    // ---- assignments -------------------------------------------------------------------------------------------------
    private static int total(Map<Uuid, Set<Integer>> parts) {
        return parts.values().stream().mapToInt(Set::size).sum();
    }

    private static int kept(Map<Uuid, Set<Integer>> before, Map<Uuid, Set<Integer>> after) {
        int n = 0;
        for (Map.Entry<Uuid, Set<Integer>> e : before.entrySet())
            for (int p : e.getValue()) if (after.getOrDefault(e.getKey(), Set.of()).contains(p)) n++;
        return n;
    }

    /** Whether each partition with a subscriber has one owner, who subscribes to its topic. */
    private static boolean valid(World world, Map<String, Set<Uuid>> topics, Map<String, Map<Uuid, Set<Integer>>> after) {
        Map<Uuid, Set<Integer>> owned = new HashMap<>();
        for (Map.Entry<String, Map<Uuid, Set<Integer>>> m : after.entrySet())
            for (Map.Entry<Uuid, Set<Integer>> e : m.getValue().entrySet()) {
                if (!topics.get(m.getKey()).contains(e.getKey())) return false;
                for (int p : e.getValue())
                    if (!owned.computeIfAbsent(e.getKey(), k -> new HashSet<>()).add(p)) return false;
            }
        Set<Uuid> all = new HashSet<>();
        topics.values().forEach(all::addAll);
        for (Uuid t : all)
            if (owned.getOrDefault(t, Set.of()).size() != world.byId.get(t).partitionCount()) return false;
        return true;
    }

    private static void assign(String[] head, List<String[]> lines) {
        World world = new World();
        Map<String, MemberSubscriptionAndAssignmentImpl> members = new LinkedHashMap<>();
        Map<Uuid, Map<Integer, String>> inverted = new HashMap<>();
        Map<String, Map<Uuid, Set<Integer>>> ours = new LinkedHashMap<>();
        Map<String, Set<Uuid>> topicsOf = new HashMap<>();
        for (String[] f : lines) {
            if (f[0].equals("topic")) {
                world.add(id(f[1]), "t" + f[1], Integer.parseInt(f[2]), null);
                continue;
            }
            Set<Uuid> topics = new TreeSet<>();
            if (!f[3].equals("-")) for (String t : f[3].split(",")) topics.add(id(t));
            Map<Uuid, Set<Integer>> before = sets(f[4]);
            before.forEach((t, parts) -> parts.forEach(p -> inverted.computeIfAbsent(t, k -> new HashMap<>()).put(p, f[1])));
            members.put(f[1], new MemberSubscriptionAndAssignmentImpl(Optional.empty(),
                f[2].equals("-") ? Optional.empty() : Optional.of(f[2]), topics,
                new Assignment(Collections.unmodifiableMap(before))));
            topicsOf.put(f[1], topics);
            ours.put(f[1], sets(f[5]));
        }
        PartitionAssignor assignor = head[1].equals("range") ? new RangeAssignor() : new UniformAssignor();
        GroupAssignment theirs = assignor.assign(new GroupSpecImpl(members,
            head[2].equals("1") ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS, inverted),
            new SubscribedTopicDescriberImpl(world));
        boolean same = true;
        int keptOurs = 0, keptTheirs = 0;
        List<Integer> sizesOurs = new ArrayList<>(), sizesTheirs = new ArrayList<>();
        for (String m : members.keySet()) {
            MemberAssignment a = theirs.members().get(m);
            Map<Uuid, Set<Integer>> t = new HashMap<>();
            if (a != null) a.partitions().forEach((k, v) -> t.put(k, new HashSet<>(v)));
            same &= new HashMap<>(ours.get(m)).equals(t);
            keptOurs += kept(members.get(m).partitions(), ours.get(m));
            keptTheirs += kept(members.get(m).partitions(), t);
            sizesOurs.add(total(ours.get(m)));
            sizesTheirs.add(total(t));
        }
        Collections.sort(sizesOurs);
        Collections.sort(sizesTheirs);
        check(valid(world, topicsOf, ours), "a partition without an owner, or with two");
        check(sizesOurs.equals(sizesTheirs), "balanced otherwise: " + sizesOurs + " against " + sizesTheirs);
        check(keptOurs == keptTheirs, "moves more or less: keeps " + keptOurs + " against " + keptTheirs);
        check(same, "not the same assignment: " + theirs.members());
    }

    // ---- reconciliation ----------------------------------------------------------------------------------------------
    private static ConsumerGroupMember member(int state, int epoch, int previous, String assigned, String revoking,
                                              Set<String> names) {
        return new ConsumerGroupMember.Builder("m").setState(MemberState.fromValue((byte) state)).setMemberEpoch(epoch)
            .setPreviousMemberEpoch(previous).setAssignedPartitions(epochs(assigned))
            .setPartitionsPendingRevocation(epochs(revoking)).setSubscribedTopicNames(new ArrayList<>(names)).build();
    }

    private static void reconcile(String[] f, String[] r) {
        World world = new World();
        Set<String> names = new HashSet<>();
        for (int t = 0; t < 3; t++) {
            world.add(new Uuid(0, t), "t" + t, 4, null);
            if ((Integer.parseInt(f[5]) >> t & 1) == 1) names.add("t" + t);
        }
        Map<Uuid, Set<Integer>> held = sets(f[10]);
        List<ConsumerGroupHeartbeatRequestData.TopicPartitions> owned = null;
        if (!f[9].equals("?")) {
            owned = new ArrayList<>();
            for (Map.Entry<Uuid, Set<Integer>> e : sets(f[9]).entrySet())
                owned.add(new ConsumerGroupHeartbeatRequestData.TopicPartitions().setTopicId(e.getKey())
                    .setPartitions(new ArrayList<>(e.getValue())));
        }
        String theirs;
        ConsumerGroupMember out = null;
        try {
            out = new CurrentAssignmentBuilder(member(Integer.parseInt(f[1]), Integer.parseInt(f[2]), 9, f[6], f[7], names))
                .withMetadataImage(world).withTargetAssignment(Integer.parseInt(f[3]), new Assignment(sets(f[8])))
                .withHasSubscriptionChanged(f[4].equals("1"))
                .withCurrentPartitionEpoch((t, p) -> held.getOrDefault(t, Set.of()).contains(p) ? 1 : -1)
                .withOwnedTopicPartitions(owned).build();
            theirs = out.toString();
        } catch (FencedMemberEpochException e) {
            theirs = "fenced";
        }
        if (r[1].equals("fenced") || out == null) {
            check(theirs.equals(r[1]), "upstream says " + theirs);
            return;
        }
        ConsumerGroupMember ours = member(Integer.parseInt(r[1]), Integer.parseInt(r[2]), Integer.parseInt(r[3]), r[4], r[5], names);
        check(ours.equals(out), "upstream says " + theirs);
    }

    // ---- hashes ------------------------------------------------------------------------------------------------------
    private static void hash(String[] f) {
        World world = new World();
        long number = Long.parseLong(f[2]);
        List<List<String>> racks = new ArrayList<>();
        for (String p : f[4].split(";", -1)) racks.add(p.isEmpty() ? List.of() : Arrays.asList(p.split("\\+")));
        world.add(new Uuid(number * 0x9e3779b97f4a7c15L, number), f[1], Integer.parseInt(f[3]), racks);
        check(Utils.computeTopicHash(f[1], world) == Long.parseUnsignedLong(f[5], 16), "hash of a topic");
    }

    private static void groupHash(String[] f) {
        Map<String, Long> hashes = new HashMap<>();
        if (!f[1].equals("-")) {
            int i = 0;
            for (String h : f[1].split(",")) hashes.put(String.format("t%05d", i++), Long.parseUnsignedLong(h, 16));
        }
        check(Utils.computeGroupHash(hashes) == Long.parseUnsignedLong(f[2], 16), "hash of a group");
    }

    public static void main(String[] args) throws Exception {
        List<String[]> block = new ArrayList<>();
        String[] head = null;
        StringBuilder text = new StringBuilder();
        for (String line : Files.readAllLines(Path.of(args[0]), StandardCharsets.UTF_8)) {
            String[] f = line.split(" ");
            if (f[0].equals("assign") || f[0].equals("reconcile")) {
                head = f;
                block.clear();
                text.setLength(0);
            }
            current = text.append(line).append('\n').toString();
            switch (f[0]) {
                case "topic", "member" -> block.add(f);
                case "end" -> assign(head, block);
                case "result" -> reconcile(head, f);
                case "hash" -> hash(f);
                case "grouphash" -> groupHash(f);
                default -> { }
            }
        }
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }
}
