"""The life of a log as Java's clients see it: deletion of records, retention (java/LifeChecks.java)."""

from lib import drivers

CONFIG = {
    "log.retention.check.interval.ms": "500",
    "log.initial.task.delay.ms": "500",
}


def run(ctx):
    broker = ctx.broker(CONFIG)
    java = drivers.java(ctx.deps, ctx.tmp / "java.log")
    try:
        checks = java.call("life", bootstrap=broker.bootstrap, timeout=150)["checks"]
    finally:
        java.close()
    for c in checks:
        if c["ok"]:
            ctx.results.ok(f"life/{c['name']}")
        else:
            ctx.results.fail(f"life/{c['name']}", c["error"])
    ctx.results.run("life/clean-stop", broker.stop, ctx.logs)
