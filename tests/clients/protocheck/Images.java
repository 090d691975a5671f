import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Files of encoded messages, big-endian, repeated to the end:
 * u16 length of name, name ("FetchRequest"), i16 version, u32 length, image.
 */
final class Images {
    private static final String[] PACKAGES = {
        "org.apache.kafka.common.message.", "org.apache.kafka.common.metadata.",
        "org.apache.kafka.coordinator.group.generated.", "org.apache.kafka.coordinator.transaction.generated.",
        "org.apache.kafka.raft.generated.", "org.apache.kafka.server.log.remote.metadata.storage.generated.",
    };
    private static final Map<String, Class<?>> CLASSES = new HashMap<>();

    private Images() {
    }

    static Class<?> classOf(String name) {
        return CLASSES.computeIfAbsent(name, n -> {
            String suffix = n.matches(".*(Request|Response|Header)") ? "Data" : "";
            for (String p : PACKAGES) {
                try {
                    return Class.forName(p + n + suffix);
                } catch (ClassNotFoundException e) {
                    continue;
                }
            }
            throw new IllegalStateException("no class for " + n);
        });
    }

    static byte[] encode(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buf = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buf), cache, version);
        if (buf.hasRemaining())
            throw new IllegalStateException("size and write disagree");
        return buf.array();
    }

    static void check(Path file) throws IOException, ReflectiveOperationException {
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
            while (in.available() > 0) {
                String name = new String(in.readNBytes(in.readUnsignedShort()), StandardCharsets.UTF_8);
                short version = in.readShort();
                checkOne(name, version, in.readNBytes(in.readInt()));
            }
        }
    }

    private static void checkOne(String name, short version, byte[] image) throws ReflectiveOperationException {
        String what = name + " v" + version;
        Message message = (Message) classOf(name).getConstructor().newInstance();
        try {
            ByteBuffer in = ByteBuffer.wrap(image);
            message.read(new ByteBufferAccessor(in), version);
            byte[] again = encode(message, version);
            if (in.hasRemaining())
                ProtoCheck.fail(what + ": " + in.remaining() + " bytes left");
            else if (!Arrays.equals(image, again))
                ProtoCheck.fail(what + ":\n  ours     " + hex(image) + "\n  upstream " + hex(again));
            else
                ProtoCheck.pass();
        } catch (RuntimeException e) {
            ProtoCheck.fail(what + ": " + e + "\n  ours     " + hex(image));
        }
    }

    private static String hex(byte[] b) {
        return HexFormat.of().formatHex(b);
    }

    static void write(JsonNode ours, Map<String, JsonNode> specs, Path file, long seed, int rounds) throws Exception {
        try (DataOutputStream out = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file)))) {
            for (JsonNode def : ours) {
                String name = def.get("name").asText();
                RandomMessage random = new RandomMessage(specs.get(name), seed ^ name.hashCode());
                for (int v = def.get("versions").get(0).asInt(); v <= def.get("versions").get(1).asInt(); v++) {
                    for (int i = 0; i < rounds; i++)
                        writeOne(out, name, (short) v, random.next(v));
                }
            }
        }
    }

    private static void writeOne(DataOutputStream out, String name, short version, JsonNode json) throws Exception {
        Class<?> converter = Class.forName(classOf(name).getName() + "JsonConverter");
        byte[] image;
        try {
            Message message = (Message) converter.getMethod("read", JsonNode.class, short.class).invoke(null, json, version);
            image = encode(message, version);
        } catch (InvocationTargetException | RuntimeException e) {
            ProtoCheck.fail(name + " v" + version + ": " + (e.getCause() != null ? e.getCause() : e) + "\n  " + json);
            return;
        }
        byte[] label = name.getBytes(StandardCharsets.UTF_8);
        out.writeShort(label.length);
        out.write(label);
        out.writeShort(version);
        out.writeInt(image.length);
        out.write(image);
        ProtoCheck.pass();
    }
}
