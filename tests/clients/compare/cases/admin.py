"""Topics made, described and asked for oddly, on one pair of brokers."""

from cases import metadata, odd, topics


def steps():
    yield from topics.steps()
    yield from metadata.steps()
    yield from odd.steps()
