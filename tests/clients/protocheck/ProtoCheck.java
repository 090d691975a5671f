import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;

/**
 * Holds our message definitions and codec against upstream's.
 *
 *   specs DEFS.json              every definition of ours equals the specification in upstream's jars
 *   decode FILE                  images that our codec wrote: upstream decodes them and writes the same bytes
 *   random DEFS.json FILE SEED ROUNDS   random messages of upstream's, for our codec to read and write
 *
 * Each prints 'specs|decode: N passed, N failed' and exits with 1 when something failed.
 */
public final class ProtoCheck {
    static int passed;
    static int failed;

    static void pass() {
        passed++;
    }

    static void fail(String what) {
        failed++;
        if (failed <= 50)
            System.out.println("FAIL " + what);
    }

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "specs" -> new SpecCompare(Specs.load()).run(Specs.read(Path.of(args[1])));
            case "decode" -> Images.check(Path.of(args[1]));
            case "random" -> {
                JsonNode ours = Specs.read(Path.of(args[1]));
                Images.write(ours, Specs.load(), Path.of(args[2]), Long.parseLong(args[3]), Integer.parseInt(args[4]));
            }
            default -> throw new IllegalArgumentException(args[0]);
        }
        System.out.println(args[0] + ": " + passed + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }
}
