// Asks a broker's controller for what it must refuse, and for a few things that it must do, with raw requests, and
// prints every answer: error codes and texts. Two brokers that behave alike print the same.
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.CreatePartitionsRequestData;
import org.apache.kafka.common.message.CreatePartitionsRequestData.CreatePartitionsAssignment;
import org.apache.kafka.common.message.CreatePartitionsRequestData.CreatePartitionsTopic;
import org.apache.kafka.common.message.CreatePartitionsResponseData;
import org.apache.kafka.common.message.CreateTopicsRequestData;
import org.apache.kafka.common.message.CreateTopicsRequestData.CreatableReplicaAssignment;
import org.apache.kafka.common.message.CreateTopicsRequestData.CreatableTopic;
import org.apache.kafka.common.message.CreateTopicsRequestData.CreatableTopicConfig;
import org.apache.kafka.common.message.CreateTopicsResponseData;
import org.apache.kafka.common.message.DeleteTopicsRequestData;
import org.apache.kafka.common.message.DeleteTopicsRequestData.DeleteTopicState;
import org.apache.kafka.common.message.DeleteTopicsResponseData;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.requests.AbstractRequest;
import org.apache.kafka.common.requests.AbstractResponse;
import org.apache.kafka.common.requests.CreatePartitionsRequest;
import org.apache.kafka.common.requests.CreatePartitionsResponse;
import org.apache.kafka.common.requests.CreateTopicsRequest;
import org.apache.kafka.common.requests.CreateTopicsResponse;
import org.apache.kafka.common.requests.DeleteTopicsRequest;
import org.apache.kafka.common.requests.DeleteTopicsResponse;
import org.apache.kafka.common.requests.RequestHeader;

final class Probe {
    private final DataOutputStream out;
    private final DataInputStream in;
    private int correlation;

    private Probe(Socket s) throws Exception {
        out = new DataOutputStream(s.getOutputStream());
        in = new DataInputStream(s.getInputStream());
    }

    private AbstractResponse ask(AbstractRequest r) throws Exception {
        RequestHeader h = new RequestHeader(r.apiKey(), r.version(), "probe", ++correlation);
        ByteBuffer b = r.serializeWithHeader(h);
        out.writeInt(b.remaining());
        out.write(b.array(), b.arrayOffset() + b.position(), b.remaining());
        out.flush();
        byte[] answer = new byte[in.readInt()];
        in.readFully(answer);
        return AbstractResponse.parseResponse(ByteBuffer.wrap(answer), h);
    }

    private static void say(String what, String topic, short code, String message, String more) {
        String name = topic == null ? "null" : topic.length() > 40 ? topic.substring(0, 40) + "..." : topic;
        String text = message == null ? "null" : message.length() > 300 ? message.substring(0, 300) : message;
        System.out.printf("%s %s: %s | %s%s%n", what, name, Errors.forCode(code), text, more);
    }

    private static CreatableTopic topic(String name, int partitions, int factor, String... configs) {
        CreatableTopic t = new CreatableTopic().setName(name).setNumPartitions(partitions).setReplicationFactor((short) factor);
        for (int i = 0; i < configs.length; i += 2)
            t.configs().add(new CreatableTopicConfig().setName(configs[i]).setValue(configs[i + 1]));
        return t;
    }

    private static CreatableTopic manual(String name, int partitions, int factor, int[]... lists) {
        CreatableTopic t = topic(name, partitions, factor);
        for (int[] list : lists) {
            List<Integer> ids = new ArrayList<>();
            for (int i = 1; i < list.length; i++)
                ids.add(list[i]);
            t.assignments().add(new CreatableReplicaAssignment().setPartitionIndex(list[0]).setBrokerIds(ids));
        }
        return t;
    }

    private void create(String what, boolean validate, CreatableTopic... topics) throws Exception {
        CreateTopicsRequestData d = new CreateTopicsRequestData().setTimeoutMs(10000).setValidateOnly(validate);
        for (CreatableTopic t : topics)
            d.topics().mustAdd(t);
        CreateTopicsResponse r = (CreateTopicsResponse) ask(new CreateTopicsRequest(d, (short) 7));
        List<CreateTopicsResponseData.CreatableTopicResult> all = new ArrayList<>();
        r.data().topics().forEach(t -> all.add(t));
        all.sort((a, b) -> a.name().compareTo(b.name()));
        for (CreateTopicsResponseData.CreatableTopicResult t : all)
            say(what, t.name(), t.errorCode(), t.errorMessage(),
                " partitions=" + t.numPartitions() + " replicas=" + t.replicationFactor() + " id="
                    + !t.topicId().equals(Uuid.ZERO_UUID));
    }

    private void delete(String what, DeleteTopicState... topics) throws Exception {
        DeleteTopicsRequestData d = new DeleteTopicsRequestData().setTimeoutMs(10000);
        for (DeleteTopicState t : topics)
            d.topics().add(t);
        DeleteTopicsResponse r = (DeleteTopicsResponse) ask(new DeleteTopicsRequest.Builder(d).build((short) 6));
        List<DeleteTopicsResponseData.DeletableTopicResult> all = new ArrayList<>();
        r.data().responses().forEach(t -> all.add(t));
        all.sort((a, b) -> String.valueOf(a.name()).compareTo(String.valueOf(b.name())));
        for (DeleteTopicsResponseData.DeletableTopicResult t : all)
            say(what, t.name(), t.errorCode(), t.errorMessage(), " id=" + !t.topicId().equals(Uuid.ZERO_UUID));
    }

    private void grow(String what, String name, int count, int[][] lists) throws Exception {
        CreatePartitionsTopic t = new CreatePartitionsTopic().setName(name).setCount(count).setAssignments(null);
        if (lists != null) {
            t.setAssignments(new ArrayList<>());
            for (int[] list : lists) {
                List<Integer> ids = new ArrayList<>();
                for (int id : list)
                    ids.add(id);
                t.assignments().add(new CreatePartitionsAssignment().setBrokerIds(ids));
            }
        }
        CreatePartitionsRequestData d = new CreatePartitionsRequestData().setTimeoutMs(10000);
        d.topics().mustAdd(t);
        CreatePartitionsResponse r =
            (CreatePartitionsResponse) ask(new CreatePartitionsRequest.Builder(d).build((short) 3));
        for (CreatePartitionsResponseData.CreatePartitionsTopicResult x : r.data().results())
            say(what, x.name(), x.errorCode(), x.errorMessage(), "");
    }

    private void creations() throws Exception {
        create("plain", false, topic("plain", 3, 1));
        create("defaults", false, topic("defaults", -1, -1));
        create("again", false, topic("plain", 3, 1));
        create("validate", true, topic("only.validated", 2, 1));
        create("validate-again", true, topic("only.validated", 2, 1), topic("plain", 1, 1));
        create("names", false, topic("", 1, 1), topic(".", 1, 1), topic("..", 1, 1), topic("a b", 1, 1), topic("ä", 1, 1),
            topic("x".repeat(249), 1, 1), topic("y".repeat(250), 1, 1), topic("sl/ash", 1, 1));
        create("dots", false, topic("a.b.c", 1, 1));
        create("collision", false, topic("a_b.c", 1, 1), topic("a.b.c", 1, 1), topic("a_b_c", 1, 1));
        create("metadata", false, topic("__cluster_metadata", 1, 1));
        create("internal", false, topic("__consumer_offsets_not", 1, 1));
        create("twice", false, topic("twice", 1, 1), topic("twice", 2, 1), topic("not.twice", 1, 1));
        create("factor", false, topic("f0", 1, 0), topic("f2", 1, 2), topic("f3", 1, 3), topic("fneg", 1, -2));
        create("partitions", false, topic("p0", 0, 1), topic("pneg", -2, 1), topic("both", 0, 0));
        create("too-many", false, topic("many", 10001, 1), topic("few", 1, 1));
        create("config", false, topic("c1", 1, 1, "no.such.key", "1"), topic("c2", 1, 1, "retention.ms", null),
            topic("c3", 1, 1, "cleanup.policy", "compact", "retention.ms", "5000"));
    }

    private void assignments() throws Exception {
        create("manual", false, manual("m1", -1, -1, new int[] {0, 1}, new int[] {1, 1}));
        create("manual-numbers", false, manual("m2", 1, -1, new int[] {0, 1}), manual("m3", -1, 1, new int[] {0, 1}));
        create("manual-gap", false, manual("m4", -1, -1, new int[] {0, 1}, new int[] {2, 1}));
        create("manual-unknown", false, manual("m5", -1, -1, new int[] {0, 7}));
        create("manual-repeated", false, manual("m6", -1, -1, new int[] {0, 1, 1}));
        create("manual-empty", false, manual("m7", -1, -1, new int[] {0}));
        create("manual-factor", false, manual("m8", -1, -1, new int[] {0, 1}, new int[] {1, 1, 1}));
        create("manual-from-1", false, manual("m9", -1, -1, new int[] {1, 1}));
        grow("grow", "plain", 5, null);
        grow("grow-same", "plain", 5, null);
        grow("grow-less", "plain", 2, null);
        grow("grow-zero", "plain", 0, null);
        grow("grow-unknown", "nowhere", 2, null);
        grow("grow-manual", "plain", 6, new int[][] {{1}});
        grow("grow-few", "plain", 9, new int[][] {{1}});
        grow("grow-none", "plain", 9, new int[][] {});
        grow("grow-factor", "plain", 7, new int[][] {{1, 1}});
        grow("grow-empty", "plain", 7, new int[][] {{}});
        grow("grow-broker", "plain", 7, new int[][] {{4}});
        grow("grow-after", "plain", 7, null);
    }

    private static DeleteTopicState byName(String name) {
        return new DeleteTopicState().setName(name);
    }

    private void deletions() throws Exception {
        CreateTopicsRequestData d = new CreateTopicsRequestData().setTimeoutMs(10000);
        d.topics().mustAdd(topic("gone", 2, 1));
        CreateTopicsResponse r = (CreateTopicsResponse) ask(new CreateTopicsRequest(d, (short) 7));
        Uuid id = r.data().topics().find("gone").topicId();
        delete("delete-unknown", byName("nowhere"), new DeleteTopicState().setName(null).setTopicId(Uuid.fromString("7Y1wTNzQQrK7mtUyXcVXRg")));
        delete("delete-neither", new DeleteTopicState().setName(null));
        delete("delete-both", new DeleteTopicState().setName("gone").setTopicId(id));
        delete("delete-mixed", byName("gone"), new DeleteTopicState().setName(null).setTopicId(id));
        delete("delete-twice", byName("gone"), byName("gone"));
        delete("delete-id-twice", new DeleteTopicState().setName(null).setTopicId(id),
            new DeleteTopicState().setName(null).setTopicId(id));
        delete("delete", new DeleteTopicState().setName(null).setTopicId(id), byName("m1"));
        delete("delete-again", new DeleteTopicState().setName(null).setTopicId(id), byName("gone"));
        create("recreate", false, topic("gone", 1, 1));
    }

    public static void main(String[] args) throws Exception {
        try (Socket s = new Socket(args[0], Integer.parseInt(args[1]))) {
            s.setSoTimeout(20000);
            Probe p = new Probe(s);
            p.creations();
            p.assignments();
            p.deletions();
        }
    }
}
