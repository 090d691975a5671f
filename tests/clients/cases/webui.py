"""The usual pages of a web UI, opened one after the other: its AdminClient and consumer calls (java/WebUi.java)."""

from cases.groups import CONFIG
from lib import drivers


def run(ctx):
    broker = ctx.broker(CONFIG)
    java = drivers.java(ctx.deps, ctx.tmp / "java.log")
    try:
        checks = java.call("web_ui", bootstrap=broker.bootstrap, timeout=150)["checks"]
    finally:
        java.close()
    for c in checks:
        if c["ok"]:
            ctx.results.ok(f"webui/{c['name']}")
        else:
            ctx.results.fail(f"webui/{c['name']}", c["error"])
    ctx.results.run("webui/clean-stop", broker.stop, ctx.logs)
