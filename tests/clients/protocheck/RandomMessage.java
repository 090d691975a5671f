import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BinaryNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.DoubleNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.util.Random;
import org.apache.kafka.common.Uuid;

/** Random values for one of upstream's specifications, in the JSON that upstream's converters read. */
final class RandomMessage {
    private final JsonNode spec;
    private final Random random;

    RandomMessage(JsonNode spec, long seed) {
        this.spec = spec;
        this.random = new Random(seed);
    }

    JsonNode next(int version) {
        return struct(spec.get("fields"), version, 0);
    }

    private ObjectNode struct(JsonNode fields, int version, int depth) {
        ObjectNode out = JsonNodeFactory.instance.objectNode();
        for (JsonNode f : fields) {
            if (!Specs.versions(f).has(version))
                continue;
            Specs.Range tagged = Specs.Range.of(f, "taggedVersions");
            if (tagged != null && tagged.has(version) && random.nextBoolean())
                continue;
            String name = f.get("name").asText();
            out.set(Character.toLowerCase(name.charAt(0)) + name.substring(1), value(f, version, depth));
        }
        return out;
    }

    private JsonNode value(JsonNode field, int version, int depth) {
        Specs.Range nullable = Specs.Range.of(field, "nullableVersions");
        if (nullable != null && nullable.has(version) && random.nextInt(4) == 0)
            return NullNode.instance;
        String type = field.get("type").asText();
        if (!type.startsWith("[]"))
            return one(field, type, version, depth);
        ArrayNode out = JsonNodeFactory.instance.arrayNode();
        for (int n = random.nextInt(depth > 2 ? 3 : 4); n > 0; n--)
            out.add(one(field, type.substring(2), version, depth + 1));
        return out;
    }

    private JsonNode one(JsonNode field, String type, int version, int depth) {
        return switch (type) {
            case "bool" -> BooleanNode.valueOf(random.nextBoolean());
            case "int8" -> IntNode.valueOf((byte) number());
            case "int16" -> IntNode.valueOf((short) number());
            case "uint16" -> IntNode.valueOf((int) number() & 0xffff);
            case "int32" -> IntNode.valueOf((int) number());
            case "uint32" -> LongNode.valueOf(number() & 0xffffffffL);
            case "int64" -> LongNode.valueOf(number());
            case "float64" -> DoubleNode.valueOf(random.nextGaussian() * 1e9);
            case "uuid" -> TextNode.valueOf(new Uuid(random.nextLong(), random.nextLong()).toString());
            case "string" -> TextNode.valueOf(text());
            case "bytes", "records" -> binary();
            default -> {
                JsonNode common = Specs.commonStruct(spec, type);
                yield struct(field.has("fields") ? field.get("fields") : common.get("fields"), version, depth + 1);
            }
        };
    }

    private long number() {
        return switch (random.nextInt(4)) {
            case 0 -> random.nextBoolean() ? Long.MAX_VALUE : Long.MIN_VALUE;
            case 1 -> random.nextInt(3) - 1;
            default -> random.nextLong();
        };
    }

    private int length() {
        return random.nextInt(8) == 0 ? 120 + random.nextInt(200) : random.nextInt(12);
    }

    private String text() {
        StringBuilder s = new StringBuilder();
        for (int n = length(); n > 0; n--)
            s.append((char) (random.nextInt(8) == 0 ? 0x80 + random.nextInt(0x1000) : 'a' + random.nextInt(26)));
        return s.toString();
    }

    private JsonNode binary() {
        byte[] b = new byte[length()];
        random.nextBytes(b);
        return BinaryNode.valueOf(b);
    }
}
