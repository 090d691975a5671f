// Valid requests of every API and version that the broker's clients may send, filled at random from the
// schemas inside kafka-clients: the seeds of the hostile client (hostile_client.c).
//
// "served" in the command maps API keys to the version range that the broker advertises. One seed of each
// API that is not served follows at the end, all under the key -1.
// File: for each seed u16 API key, u16 version, u32 length, then that many bytes: a request with its header
// and without the length that precedes it on the wire. All integers big-endian.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.types.ArrayOf;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.CompactArrayOf;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;

final class Seeds {
    private static final short NOT_SERVED = -1;
    private static final int LIMIT = 16 * 1024;
    private static final int[] NUMBERS = {0, 1, 2, 3, 5, 7, 100, 1000, -1, -2, 65536, Integer.MAX_VALUE};

    private final Random random;
    private final String[] topics;

    private Seeds(long seed, String[] topics) {
        this.random = new Random(seed);
        this.topics = topics;
    }

    static void run(JsonNode cmd, ObjectNode reply) throws IOException {
        String[] topics = Canon.JSON.convertValue(cmd.get("topics"), String[].class);
        Seeds seeds = new Seeds(cmd.get("seed").asLong(), topics);
        int count = 0;
        try (DataOutputStream out = new DataOutputStream(
                new BufferedOutputStream(Files.newOutputStream(Path.of(cmd.get("out").asText()))))) {
            for (ApiKeys key : ApiKeys.values()) {
                JsonNode range = cmd.get("served").get(String.valueOf(key.id));
                if (range == null || !key.hasValidVersion()) {
                    continue;
                }
                int high = Math.min(range.get(1).asInt(), key.latestVersion(true));
                for (int v = Math.max(range.get(0).asInt(), key.oldestVersion()); v <= high; v++) {
                    for (int i = 0; i < cmd.get("per").asInt(); i++) {
                        write(out, key.id, (short) v, seeds.request(key, (short) v));
                        count++;
                    }
                }
            }
            for (ApiKeys key : ApiKeys.values()) {
                if (!cmd.get("served").has(String.valueOf(key.id)) && key.hasValidVersion()) {
                    write(out, NOT_SERVED, (short) 0, seeds.request(key, key.latestVersion(true)));
                    count++;
                }
            }
        }
        reply.put("count", count);
    }

    private static void write(DataOutputStream out, short key, short version, byte[] request) throws IOException {
        out.writeShort(key);
        out.writeShort(version);
        out.writeInt(request.length);
        out.write(request);
    }

    private byte[] request(ApiKeys key, short version) {
        ApiMessageType type = ApiMessageType.fromApiKey(key.id);
        Schema schema = type.requestSchemas()[version];
        while (true) {
            Struct body = struct(schema, 0);
            int size = schema.sizeOf(body);
            if (size > LIMIT) {
                continue;
            }
            byte[] client = text().getBytes(StandardCharsets.UTF_8);
            boolean flexible = type.requestHeaderVersion(version) >= 2;
            ByteBuffer b = ByteBuffer.allocate(10 + client.length + (flexible ? 1 : 0) + size);
            b.putShort(key.id).putShort(version).putInt(random.nextInt()).putShort((short) client.length).put(client);
            if (flexible) {
                b.put((byte) 0);
            }
            schema.write(b, body);
            return b.array();
        }
    }

    private Struct struct(Schema schema, int depth) {
        Struct s = new Struct(schema);
        for (BoundField f : schema.fields()) {
            s.set(f, value(f.def.name, f.def.type, depth));
        }
        return s;
    }

    private String text() {
        return switch (random.nextInt(4)) {
            case 0 -> "";
            case 1 -> "a".repeat(random.nextInt(260));
            default -> "name-" + random.nextInt(10);
        };
    }

    private String string(String field) {
        if (field.contains("topic") || field.equals("name")) {
            return random.nextInt(5) == 0 ? text() : topics[random.nextInt(topics.length)];
        }
        return text();
    }

    private int number(String field) {
        return switch (field) {
            case "acks" -> new int[] {-1, 1, 0}[random.nextInt(3)];
            case "max_wait_ms", "timeout_ms" -> random.nextInt(20);
            case "partition", "partition_index", "num_partitions", "index" -> random.nextInt(8);
            case "max_bytes", "partition_max_bytes" -> 1 << random.nextInt(22);
            case "session_id", "session_epoch" -> random.nextInt(3) - 1;
            case "replication_factor" -> random.nextInt(3) - 1;
            default -> random.nextInt(4) == 0 ? random.nextInt() : NUMBERS[random.nextInt(NUMBERS.length)];
        };
    }

    private Object value(String field, Type t, int depth) {
        if (t instanceof Schema schema) {
            return struct(schema, depth + 1);
        }
        if (t instanceof TaggedFields tags) {
            return tagged(tags, depth);
        }
        if (t instanceof ArrayOf || t instanceof CompactArrayOf) {
            return array(field, t, depth);
        }
        if (t.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        String name = t.toString();
        if (name.contains("RECORDS")) {
            return records();
        }
        if (name.contains("STRING")) {
            return string(field);
        }
        if (name.contains("BYTES")) {
            byte[] raw = new byte[random.nextInt(40)];
            random.nextBytes(raw);
            return ByteBuffer.wrap(raw);
        }
        return switch (name) {
            // Real changes of the cluster are not what is tested here.
            case "BOOLEAN" -> field.equals("validate_only") || field.equals("dry_run") || random.nextBoolean();
            case "INT8" -> (byte) number(field);
            case "INT16" -> (short) number(field);
            case "UINT16" -> number(field) & 0xffff;
            case "INT32" -> number(field);
            case "UINT32" -> number(field) & 0xffffffffL;
            case "INT64" -> random.nextInt(4) == 0 ? random.nextLong() : (long) number(field);
            case "UUID" -> random.nextBoolean() ? Uuid.randomUuid() : Uuid.ZERO_UUID;
            case "FLOAT64" -> random.nextDouble();
            default -> throw new IllegalStateException("a type that is not known here: " + name);
        };
    }

    private Object array(String field, Type t, int depth) {
        if (t.isNullable() && random.nextInt(6) == 0) {
            return null;
        }
        Type element = t.arrayElementType().orElseThrow();
        Object[] out = new Object[random.nextInt(depth > 1 ? 2 : 4)];
        for (int i = 0; i < out.length; i++) {
            out[i] = value(field, element, depth + 1);
        }
        return out;
    }

    private Map<Integer, Object> tagged(TaggedFields tags, int depth) {
        TreeMap<Integer, Object> out = new TreeMap<>();
        for (Map.Entry<Integer, Field> e : tags.fields().entrySet()) {
            if (random.nextBoolean()) {
                Object v = value(e.getValue().name, e.getValue().type, depth + 1);
                if (v != null) {
                    out.put(e.getKey(), v);
                }
            }
        }
        return out;
    }

    private MemoryRecords records() {
        SimpleRecord[] rs = new SimpleRecord[1 + random.nextInt(4)];
        for (int i = 0; i < rs.length; i++) {
            byte[] v = new byte[random.nextInt(300)];
            rs[i] = new SimpleRecord(System.currentTimeMillis(), random.nextBoolean() ? null : new byte[] {1, 2, 3}, v);
        }
        Compression c = switch (random.nextInt(5)) {
            case 0 -> Compression.gzip().build();
            case 1 -> Compression.snappy().build();
            case 2 -> Compression.lz4().build();
            case 3 -> Compression.zstd().build();
            default -> Compression.NONE;
        };
        return MemoryRecords.withRecords(c, rs);
    }
}
