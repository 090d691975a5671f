// A row of named checks, each of which reports by itself; and what they assert with.
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

class Checks {
    interface Check {
        void run() throws Exception;
    }

    private final ArrayNode results;

    Checks(ArrayNode results) {
        this.results = results;
    }

    void check(String name, Check body) {
        ObjectNode r = results.addObject().put("name", name);
        try {
            body.run();
            r.put("ok", true);
        } catch (Throwable t) {
            r.put("ok", false).put("error", trace(t));
        }
    }

    static String trace(Throwable t) {
        StringWriter text = new StringWriter();
        t.printStackTrace(new PrintWriter(text));
        return text.toString();
    }

    static void that(boolean ok, String fmt, Object... args) {
        if (!ok) {
            throw new AssertionError(String.format(fmt, args));
        }
    }

    static void same(Object want, Object got, String what) {
        that(want == null ? got == null : want.equals(got), "%s: want %s, got %s", what, want, got);
    }

    static <T> void fails(Class<? extends Exception> cls, Callable<T> f) throws Exception {
        try {
            T got = f.call();
            throw new AssertionError("expected " + cls.getSimpleName() + ", got " + got);
        } catch (ExecutionException e) {
            that(cls.isInstance(e.getCause()), "expected %s, got %s", cls.getSimpleName(), e.getCause());
        }
    }
}
