// Reads and writes the canonical form of records that all client drivers share (see lib/records.py).
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.Writer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;

final class Canon {
    static final ObjectMapper JSON = new ObjectMapper();
    private static final int INLINE_LIMIT = 64;

    private Canon() {}

    static byte[] bytes(JsonNode n) {
        return n == null || n.isNull() ? null : Base64.getDecoder().decode(n.asText());
    }

    static ProducerRecord<byte[], byte[]> parse(String topic, String line) throws IOException {
        JsonNode n = JSON.readTree(line);
        RecordHeaders headers = new RecordHeaders();
        for (JsonNode h : n.get("h")) {
            headers.add(h.get(0).asText(), bytes(h.get(1)));
        }
        Long ts = n.get("t").isNull() ? null : n.get("t").asLong();
        return new ProducerRecord<>(topic, n.get("p").asInt(), ts, bytes(n.get("k")), bytes(n.get("v")), headers);
    }

    private static String blob(byte[] b) {
        if (b == null) {
            return "null";
        }
        if (b.length <= INLINE_LIMIT) {
            return '"' + Base64.getEncoder().encodeToString(b) + '"';
        }
        try {
            byte[] d = MessageDigest.getInstance("SHA-256").digest(b);
            StringBuilder s = new StringBuilder("\"sha256:");
            for (byte x : d) {
                s.append(String.format("%02x", x));
            }
            return s.append(':').append(b.length).append('"').toString();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    static void write(Writer w, ConsumerRecord<byte[], byte[]> r) throws IOException {
        StringBuilder s = new StringBuilder();
        s.append("{\"p\":").append(r.partition()).append(",\"o\":").append(r.offset());
        s.append(",\"t\":").append(r.timestamp());
        s.append(",\"k\":").append(blob(r.key())).append(",\"v\":").append(blob(r.value())).append(",\"h\":[");
        String sep = "";
        for (Header h : r.headers()) {
            s.append(sep).append('[').append(JSON.writeValueAsString(h.key())).append(',');
            s.append(blob(h.value())).append(']');
            sep = ",";
        }
        w.write(s.append("]}\n").toString());
    }
}
