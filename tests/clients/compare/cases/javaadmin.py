"""Every method of Java's Admin (java/AdminMethods.java): what it answers and what it refuses, for both brokers."""

import pathlib

from lib import drivers

NAME = "Admin"
CONFIG = {"offsets.topic.num.partitions": "3"}


def answers(side):
    """(name, answer) of each call, in order."""
    broker = side.broker
    java = drivers.java(broker.deps, pathlib.Path(broker.dir) / "admin.log")
    try:
        reply = java.call("admin_methods", timeout=200, bootstrap=broker.bootstrap, dir=str(broker.data))
    finally:
        java.close()
    return [(a["name"], a["answer"]) for a in reply["answers"]]
