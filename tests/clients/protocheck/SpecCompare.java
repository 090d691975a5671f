import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Compares definitions field by field, in the order of the wire, within the versions that we define. */
final class SpecCompare {
    private final Map<String, JsonNode> specs;
    private final Set<String> seen = new HashSet<>();
    private List<String> faults;
    private JsonNode upstream;
    private JsonNode ours;
    private Specs.Range all;

    SpecCompare(Map<String, JsonNode> specs) {
        this.specs = specs;
    }

    void run(JsonNode definitions) {
        for (JsonNode def : definitions) {
            faults = new ArrayList<>();
            ours = def;
            String name = def.get("name").asText();
            upstream = specs.get(name);
            seen.add(name);
            if (upstream == null)
                faults.add("is not in upstream's jars");
            else
                message();
            if (faults.isEmpty())
                ProtoCheck.pass();
            faults.forEach(f -> ProtoCheck.fail(name + ": " + f));
        }
        complete();
    }

    private static Specs.Range range(JsonNode pair) {
        return pair == null ? null : new Specs.Range(pair.get(0).asInt(), pair.get(1).asInt());
    }

    private void same(String what, Object mine, Object theirs) {
        if (mine == null ? theirs != null : !mine.equals(theirs))
            faults.add(what + ": ours " + mine + ", upstream " + theirs);
    }

    private String name() {
        return ours.get("name").asText();
    }

    /** The request tells of both halves of an API whether the last version is still being made. */
    private boolean unstable(String name) {
        JsonNode request = specs.getOrDefault(name.replaceFirst("Response$", "Request"), upstream);
        return request.path("latestVersionUnstable").asBoolean(false);
    }

    private void message() {
        all = range(ours.get("versions"));
        Specs.Range valid = Specs.Range.of(upstream, "validVersions");
        if (unstable(name()))
            valid = new Specs.Range(valid.lo(), valid.hi() - 1);
        same("versions", all, valid);
        Specs.Range flexible = Specs.Range.of(upstream, "flexibleVersions");
        flexible = flexible == null ? null : flexible.and(all);
        JsonNode flex = ours.get("flexible");
        same("flexible versions", flex.isNull() ? null : new Specs.Range(Math.max(flex.asInt(), all.lo()), all.hi()), flexible);
        same("key", ours.get("key").asInt(), upstream.path("apiKey").asInt(-1));
        same("kind", ours.get("kind").asText().replaceFirst("^(group|txn)-", "coordinator-"), upstream.get("type").asText());
        struct("", ours.get("top"), upstream.get("fields"), all);
    }

    private JsonNode ourStruct(String name) {
        for (JsonNode s : ours.get("structs")) {
            if (s.get("name").asText().equals(name))
                return s;
        }
        return null;
    }

    private void struct(String path, JsonNode mine, JsonNode theirs, Specs.Range outer) {
        List<JsonNode> live = new ArrayList<>();
        for (JsonNode f : theirs) {
            if (Specs.versions(f).and(outer) != null)
                live.add(f);
        }
        JsonNode fields = mine.get("fields");
        for (int i = 0; i < Math.max(live.size(), fields.size()); i++) {
            if (i >= live.size())
                faults.add(path + fields.get(i).get("name") + " is ours alone");
            else if (i >= fields.size())
                faults.add(path + live.get(i).get("name") + " is missing");
            else
                field(path, fields.get(i), live.get(i), outer);
        }
    }

    private static String capital(String name) {
        return Character.toUpperCase(name.charAt(0)) + name.substring(1);
    }

    private void field(String path, JsonNode mine, JsonNode theirs, Specs.Range outer) {
        String at = path + mine.get("name").asText();
        same(at + " name", mine.get("name").asText(), capital(theirs.get("name").asText()));
        String type = theirs.get("type").asText();
        same(at + " type", mine.get("type").asText(), type);
        Specs.Range versions = Specs.versions(theirs).and(outer);
        same(at + " versions", range(mine.get("versions")), versions);
        Specs.Range nullable = Specs.Range.of(theirs, "nullableVersions");
        same(at + " nullable", range(mine.get("nullable")), nullable == null ? null : nullable.and(versions));
        same(at + " default", mine.has("default") ? mine.get("default").asText() : null, defaultOf(theirs, type));
        same(at + " ignorable", mine.get("ignorable").asBoolean(), theirs.path("ignorable").asBoolean(false));
        same(at + " inflexible", mine.get("inflexible").asBoolean(), theirs.path("flexibleVersions").asText("").equals("none"));
        tag(at, mine, theirs, versions);
        String base = type.replace("[]", "");
        if (Character.isUpperCase(base.charAt(0)))
            inner(at, base, theirs, versions);
    }

    private void tag(String at, JsonNode mine, JsonNode theirs, Specs.Range versions) {
        Specs.Range tagged = Specs.Range.of(theirs, "taggedVersions");
        tagged = tagged == null ? null : tagged.and(versions);
        same(at + " tag", mine.has("tag") ? mine.get("tag").asInt() : null, tagged == null ? null : theirs.get("tag").asInt());
        if (tagged != null)
            same(at + " tagged versions", range(mine.get("versions")), tagged);
    }

    /** A default as our dump writes it; null when it is the type's own zero. */
    private static String defaultOf(JsonNode field, String type) {
        JsonNode d = field.get("default");
        if (d == null || d.isNull() || d.asText().isEmpty())
            return null;
        String text = d.asText().toLowerCase();
        if (type.matches("u?int.*")) {
            long n = Long.decode(text);
            return n == 0 ? null : Long.toString(n);
        }
        return text.equals("false") ? null : text;
    }

    private void inner(String at, String base, JsonNode theirs, Specs.Range versions) {
        JsonNode mine = ourStruct(base);
        JsonNode common = Specs.commonStruct(upstream, base);
        if (mine == null) {
            faults.add(at + ": no structure " + base);
            return;
        }
        if (theirs.has("fields")) {
            struct(at + ".", mine, theirs.get("fields"), versions);
        } else if (common != null) {
            Specs.Range declared = Specs.Range.of(common, "versions");
            struct(at + ".", mine, common.get("fields"), declared == null ? all : declared.and(all));
        } else {
            faults.add(at + ": upstream does not define " + base);
        }
    }

    /** Kinds that we define whole: the metadata records (not remote storage's), and all records of classic and consumer groups and transactions. */
    private void complete() {
        specs.forEach((name, spec) -> {
            String type = spec.get("type").asText();
            boolean wanted = type.equals("metadata") && !name.startsWith("Remote") || type.equals("header")
                || type.startsWith("coordinator-") && !name.startsWith("Share") && !name.startsWith("Streams");
            if (wanted && !seen.contains(name))
                ProtoCheck.fail(name + ": is not defined by us");
        });
    }
}
