"""The usual pages of a web UI, opened one after the other: its AdminClient and consumer calls (java/WebUi.java)."""

from cases.groups import CONFIG
from lib import drivers


def run(ctx):
    drivers.java_checks(ctx, "webui", "web_ui", CONFIG)
