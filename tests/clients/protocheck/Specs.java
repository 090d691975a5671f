import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Enumeration;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;

/** The message specifications inside the jars on the class path, by message name. */
final class Specs {
    static final ObjectMapper JSON = new ObjectMapper().configure(JsonParser.Feature.ALLOW_COMMENTS, true);

    private Specs() {
    }

    static JsonNode read(Path path) throws IOException {
        return JSON.readTree(Files.readAllBytes(path));
    }

    static Map<String, JsonNode> load() throws IOException {
        Map<String, JsonNode> specs = new TreeMap<>();
        for (String entry : System.getProperty("java.class.path").split(":")) {
            if (!entry.endsWith(".jar") || !Path.of(entry).getFileName().toString().startsWith("kafka-"))
                continue;
            try (JarFile jar = new JarFile(entry)) {
                Enumeration<JarEntry> files = jar.entries();
                while (files.hasMoreElements())
                    add(specs, jar, files.nextElement());
            }
        }
        if (specs.size() < 200)
            throw new IllegalStateException("only " + specs.size() + " specifications on the class path");
        return specs;
    }

    private static void add(Map<String, JsonNode> specs, JarFile jar, JarEntry file) throws IOException {
        String name = file.getName();
        if (!name.endsWith(".json") || !name.matches("(common/)?(message|metadata)/.*"))
            return;
        JsonNode spec = JSON.readTree(jar.getInputStream(file));
        if (!spec.has("fields"))
            return;
        if (specs.put(spec.get("name").asText(), spec) != null)
            throw new IllegalStateException("two specifications of " + name);
    }

    /** Versions lo..hi; null: none. */
    record Range(int lo, int hi) {
        static Range parse(String text) {
            if (text == null || text.equals("none"))
                return null;
            if (text.endsWith("+"))
                return new Range(Integer.parseInt(text.substring(0, text.length() - 1)), Short.MAX_VALUE);
            String[] parts = text.split("-");
            return new Range(Integer.parseInt(parts[0]), Integer.parseInt(parts[parts.length - 1]));
        }

        static Range of(JsonNode node, String key) {
            return node.has(key) ? parse(node.get(key).asText()) : null;
        }

        Range and(Range other) {
            if (other == null)
                return null;
            int l = Math.max(lo, other.lo), h = Math.min(hi, other.hi);
            return l <= h ? new Range(l, h) : null;
        }

        boolean has(int version) {
            return version >= lo && version <= hi;
        }
    }

    /** Versions that have a field: its own, else those in which it is tagged. */
    static Range versions(JsonNode field) {
        return Range.of(field, field.has("versions") ? "versions" : "taggedVersions");
    }

    /** Upstream's own structure of this name within a message, or null: {versions, fields}. */
    static JsonNode commonStruct(JsonNode spec, String name) {
        for (JsonNode s : spec.path("commonStructs")) {
            if (s.get("name").asText().equals(name))
                return s;
        }
        return null;
    }
}
