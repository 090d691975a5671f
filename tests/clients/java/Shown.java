// Any answer of Admin as JSON, so that two brokers' answers can be compared: futures are waited for, failures become the
// name of their class, objects of Kafka's become their public accessors.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;

final class Shown {
    private static final int LIMIT_S = 30;
    private static final Set<String> SKIPPED = Set.of("hashCode", "toString", "getClass", "notify", "notifyAll", "wait",
        "documentation", "clone", "describeConstable", "getDeclaringClass");

    private Shown() {}

    static JsonNode failure(Throwable t) {
        Throwable cause = t instanceof ExecutionException || t instanceof InvocationTargetException ? t.getCause() : t;
        return TextNode.valueOf("!" + cause.getClass().getSimpleName());
    }

    static JsonNode of(Object o) {
        if (o == null) {
            return Canon.JSON.nullNode();
        }
        if (o instanceof KafkaFuture<?> f) {
            try {
                return of(f.get(LIMIT_S, TimeUnit.SECONDS));
            } catch (Exception e) {
                return failure(e);
            }
        }
        if (o instanceof Throwable t) {
            return failure(t);
        }
        if (o instanceof Optional<?> x) {
            return of(x.orElse(null));
        }
        if (o instanceof OptionalInt x) {
            return of(x.isPresent() ? x.getAsInt() : null);
        }
        if (o instanceof OptionalLong x) {
            return of(x.isPresent() ? x.getAsLong() : null);
        }
        if (o instanceof Number || o instanceof Boolean) {
            return Canon.JSON.valueToTree(o);
        }
        if (o instanceof Map<?, ?> m) {
            return map(m);
        }
        if (o instanceof Collection<?> c) {
            return collection(c);
        }
        if (o instanceof Uuid u) {
            return TextNode.valueOf(u.equals(Uuid.ZERO_UUID) ? "none" : "<id>");
        }
        if (o instanceof Node n) {
            return TextNode.valueOf("node " + n.id() + " " + n.host() + " " + n.rack() + " " + n.isFenced());
        }
        if (isText(o)) {
            return TextNode.valueOf(o.toString());
        }
        return accessors(o);
    }

    private static boolean isText(Object o) {
        return o instanceof String || o instanceof Enum<?> || o instanceof TopicPartition || o instanceof ConfigResource
            || o instanceof TopicPartitionReplica || !o.getClass().getName().startsWith("org.apache.kafka.");
    }

    private static JsonNode map(Map<?, ?> m) {
        Map<String, JsonNode> sorted = new TreeMap<>();
        m.forEach((k, v) -> sorted.put(k instanceof Uuid ? "<id>" : key(k), of(v)));
        ObjectNode out = Canon.JSON.createObjectNode();
        sorted.forEach(out::set);
        return out;
    }

    private static String key(Object k) {
        return isText(k) ? k.toString() : of(k).toString();
    }

    // Elements that have names become an object by name.
    private static JsonNode collection(Collection<?> c) {
        List<JsonNode> items = new ArrayList<>();
        c.forEach(i -> items.add(of(i)));
        boolean named = !items.isEmpty() && items.stream().allMatch(i -> i.has("name"));
        if (!(c instanceof List<?>) || named || items.stream().allMatch(JsonNode::isTextual)) {
            items.sort(Comparator.comparing(JsonNode::toString));
        }
        if (named && items.stream().map(i -> i.get("name").asText()).distinct().count() == items.size()) {
            ObjectNode out = Canon.JSON.createObjectNode();
            items.forEach(i -> out.set(i.get("name").asText(), i));
            return out;
        }
        ArrayNode out = Canon.JSON.createArrayNode();
        items.forEach(out::add);
        return out;
    }

    // Every public method without parameters that the class or a public parent of it declares.
    private static JsonNode accessors(Object o) {
        Map<String, JsonNode> sorted = new TreeMap<>();
        for (Method m : o.getClass().getMethods()) {
            if (m.getParameterCount() > 0 || m.getReturnType() == void.class || Modifier.isStatic(m.getModifiers())
                || SKIPPED.contains(m.getName()) || m.getReturnType().isInstance(o) || m.isAnnotationPresent(Deprecated.class)) {
                continue;
            }
            try {
                m.setAccessible(true);
                sorted.put(m.getName(), of(m.invoke(o)));
            } catch (ReflectiveOperationException e) {
                sorted.put(m.getName(), failure(e));
            }
        }
        ObjectNode out = Canon.JSON.createObjectNode();
        sorted.forEach(out::set);
        return out;
    }
}
