"""Members killed and added while the broker is stopped and killed, for all three ways of sharing at once: the short form of
tests/clients/groupchurn."""

from lib import churn


def run(ctx):
    kinds = ("eager", "cooperative", "consumer")
    ctx.results.run("churn", lambda: churn.play(ctx, kinds, 12, (4, 4, 2, 1), 12, 300, 0.5), ctx.logs)
