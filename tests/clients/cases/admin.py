"""Java's Admin, producer and consumer: topics, partitions, configurations, offsets (java/AdminChecks.java)."""

from lib import drivers


def run(ctx):
    drivers.java_checks(ctx, "admin", "admin", prefix="adm-")
