"""Classic groups of one member and of two, on one pair of brokers."""

from cases import groups, rebalances
from cases.groups import CONFIG, prepare  # noqa: F401


def steps():
    yield from groups.steps()
    yield from rebalances.steps()
