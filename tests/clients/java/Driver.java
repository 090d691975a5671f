// The Java side of the client tests: one long-lived JVM that takes one JSON command a line on standard
// input and answers one JSON line each on standard output. It hosts the plain Java producer, consumer
// and Admin, and upstream's own command line tools (console producer and consumer, dump-log), which
// would otherwise cost a JVM start for each of several hundred runs.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Exit;

public final class Driver {
    private static final PrintStream REPLIES = System.out;
    private static final List<Runnable> HOOKS = new ArrayList<>();

    private Driver() {}

    public static void main(String[] argv) throws Exception {
        System.setOut(System.err);
        // The tools call exit() on errors: make that an exception, which becomes this command's reply.
        Exit.setExitProcedure(Driver::exitCalled);
        Exit.setHaltProcedure((code, msg) -> {
            throw new IllegalStateException("halt " + code + ": " + msg);
        });
        Exit.setShutdownHookAdder((name, task) -> HOOKS.add(task));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            ObjectNode reply = Canon.JSON.createObjectNode();
            try {
                handle(Canon.JSON.readTree(line), reply);
                reply.put("ok", true);
            } catch (Throwable t) {
                Throwable cause = t instanceof InvocationTargetException ? t.getCause() : t;
                reply.put("ok", false).put("error", Checks.trace(cause));
            }
            REPLIES.println(Canon.JSON.writeValueAsString(reply));
            REPLIES.flush();
        }
    }

    private static void exitCalled(int code, String msg) {
        throw new IllegalStateException("exit " + code + ": " + msg);
    }

    private static void handle(JsonNode cmd, ObjectNode reply) throws Exception {
        switch (cmd.get("op").asText()) {
            case "ping" -> reply.put("pong", true);
            case "produce" -> produce(cmd, reply);
            case "consume" -> consume(cmd, reply);
            case "console_produce" -> consoleProduce(cmd);
            case "console_consume" -> consoleConsume(cmd);
            case "dump" -> dump(cmd);
            case "tool" -> tool(cmd, reply);
            case "member_start", "member_state", "member_stop", "member_pause", "member_resume", "member_seek" ->
                GroupMember.run(cmd, reply);
            case "groups" -> GroupChecks.run(cmd, reply);
            case "admin" -> AdminChecks.run(cmd, reply);
            case "admin_methods" -> AdminMethods.run(cmd, reply);
            case "web_ui" -> WebUi.run(cmd, reply);
            case "life" -> LifeChecks.run(cmd, reply);
            case "seeds" -> Seeds.run(cmd, reply);
            default -> throw new IllegalArgumentException("unknown op");
        }
    }

    private static Properties properties(JsonNode cmd) {
        Properties p = new Properties();
        p.put("bootstrap.servers", cmd.get("bootstrap").asText());
        if (cmd.has("props")) {
            for (Map.Entry<String, JsonNode> e : cmd.get("props").properties()) {
                p.put(e.getKey(), e.getValue().asText());
            }
        }
        return p;
    }

    private static void produce(JsonNode cmd, ObjectNode reply) throws Exception {
        Properties p = properties(cmd);
        p.putIfAbsent("compression.type", cmd.get("codec").asText());
        p.putIfAbsent("linger.ms", "5");
        p.putIfAbsent("max.request.size", "1048576");
        String topic = cmd.get("topic").asText();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
             BufferedReader in = Files.newBufferedReader(Path.of(cmd.get("file").asText()))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                sent.add(producer.send(Canon.parse(topic, line)));
            }
            producer.flush();
            for (Future<RecordMetadata> f : sent) {
                f.get();
            }
        }
        reply.put("count", sent.size());
    }

    private static void consume(JsonNode cmd, ObjectNode reply) throws Exception {
        Properties p = properties(cmd);
        p.putIfAbsent("enable.auto.commit", "false");
        p.putIfAbsent("auto.offset.reset", "none");
        long deadline = System.nanoTime() + cmd.get("timeout_s").asLong() * 1_000_000_000L;
        List<TopicPartition> parts = new ArrayList<>();
        for (int i = 0; i < cmd.get("partitions").asInt(); i++) {
            parts.add(new TopicPartition(cmd.get("topic").asText(), i));
        }
        long count = 0;
        try (KafkaConsumer<byte[], byte[]> c =
                new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
             BufferedWriter out = Files.newBufferedWriter(Path.of(cmd.get("out").asText()))) {
            c.assign(parts);
            c.seekToBeginning(parts);
            Map<TopicPartition, Long> ends = c.endOffsets(parts);
            while (!parts.stream().allMatch(tp -> c.position(tp) >= ends.get(tp))) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("timed out after " + count + " records");
                }
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(500))) {
                    Canon.write(out, r);
                    count++;
                }
            }
        }
        reply.put("count", count);
    }

    private static String[] args(JsonNode cmd) {
        List<String> l = new ArrayList<>();
        cmd.get("args").forEach(a -> l.add(a.asText()));
        return l.toArray(new String[0]);
    }

    // Calls a tool's static main; the tools are not part of upstream's public interface, hence by name.
    private static void callMain(String cls, String[] argv) throws Exception {
        Method m = Class.forName(cls).getMethod("main", String[].class);
        m.invoke(null, (Object) argv);
    }

    private static void consoleProduce(JsonNode cmd) throws Exception {
        InputStream saved = System.in;
        try (InputStream in = new FileInputStream(cmd.get("file").asText())) {
            System.setIn(in);
            callMain("org.apache.kafka.tools.ConsoleProducer", args(cmd));
        } catch (InvocationTargetException e) {
            if (!(e.getCause() instanceof IllegalStateException s) || !s.getMessage().startsWith("exit 0")) {
                throw e;
            }
        } finally {
            System.setIn(saved);
            // The tool leaves it to its shutdown hook to close the producer, which flushes it.
            HOOKS.forEach(Runnable::run);
            HOOKS.clear();
        }
    }

    private static void consoleConsume(JsonNode cmd) throws Exception {
        String cls = "org.apache.kafka.tools.consumer.ConsoleConsumer";
        // The tool counts messages in a static: several runs in one JVM must each start from zero.
        Field count = Class.forName(cls).getDeclaredField("messageCount");
        count.setAccessible(true);
        PrintStream saved = System.out;
        for (JsonNode run : cmd.get("runs")) {
            count.setInt(null, 0);
            try (PrintStream out = new PrintStream(new FileOutputStream(run.get("out").asText()), false)) {
                System.setOut(out);
                callMain(cls, args(run));
                out.flush();
            } finally {
                System.setOut(saved);
            }
            int got = count.getInt(null);
            if (got != run.get("count").asInt()) {
                throw new IllegalStateException("console consumer read " + got + " of " + run.get("count"));
            }
        }
    }

    private static final class ExitCalled extends Error {
        private static final long serialVersionUID = 1;
    }

    // Tools catch what exit() throws, and call it again: the first status is theirs.
    private static void exitWith(int[] status, int code) {
        status[0] = status[0] < 0 ? code : status[0];
        throw new ExitCalled();
    }

    // Any tool by the name of its class: what it prints, and its exit status, 0 where it simply returns.
    private static void tool(JsonNode cmd, ObjectNode reply) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        int[] status = {-1};
        Exit.setExitProcedure((code, msg) -> exitWith(status, code));
        try (PrintStream to = new PrintStream(text, true, StandardCharsets.UTF_8)) {
            System.setOut(to);
            System.setErr(to);
            callMain(cmd.get("class").asText(), args(cmd));
        } catch (InvocationTargetException e) {
            if (!(e.getCause() instanceof ExitCalled)) {
                status[0] = 1;
                text.writeBytes(e.getCause().toString().getBytes(StandardCharsets.UTF_8));
            }
        } catch (Exception e) {
            throw new IllegalArgumentException(e);
        } finally {
            System.setOut(out);
            System.setErr(err);
            Exit.setExitProcedure(Driver::exitCalled);
        }
        reply.put("status", Math.max(status[0], 0)).put("text", text.toString(StandardCharsets.UTF_8));
    }

    private static void dump(JsonNode cmd) throws Exception {
        PrintStream saved = System.out;
        try (PrintStream out = new PrintStream(new FileOutputStream(cmd.get("out").asText()), false)) {
            System.setOut(out);
            callMain("org.apache.kafka.tools.DumpLogSegments", args(cmd));
            out.flush();
        } finally {
            System.setOut(saved);
        }
    }
}
