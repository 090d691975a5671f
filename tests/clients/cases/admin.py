"""Java's Admin, producer and consumer: topics, partitions, configurations, offsets (java/AdminChecks.java)."""

from lib import drivers


def run(ctx):
    broker = ctx.broker()
    java = drivers.java(ctx.deps, ctx.tmp / "java.log")
    try:
        checks = java.call("admin", bootstrap=broker.bootstrap, prefix="adm-", timeout=150)["checks"]
    finally:
        java.close()
    for c in checks:
        if c["ok"]:
            ctx.results.ok(f"admin/{c['name']}")
        else:
            ctx.results.fail(f"admin/{c['name']}", c["error"])
    ctx.results.run("admin/clean-stop", broker.stop, ctx.logs)
