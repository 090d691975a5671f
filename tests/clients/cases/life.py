"""The life of a log as Java's clients see it: deletion of records, retention (java/LifeChecks.java)."""

from lib import drivers

CONFIG = {
    "log.retention.check.interval.ms": "500",
    "log.initial.task.delay.ms": "500",
}


def run(ctx):
    drivers.java_checks(ctx, "life", "life", CONFIG)
