"""Records in and out, on one pair of brokers: Produce, then Fetch and the requests about offsets."""

from cases import fetch, produce
from cases.produce import CONFIG, prepare  # noqa: F401


def steps():
    yield from produce.steps()
    yield from fetch.steps()
