"""Several log directories opened by upstream and by ours in turn, both ways round, with the metadata log in one of them or apart.

Each reads what the other wrote, finds every partition where it lies, and places what is made next. Under --broker upstream
both are upstream.
"""

from cases.dirs import LATER, PARTS, TOPIC, connect, described, fill, make, places, read, use
from cases.handover import pair
from lib.results import same


def handover(ctx, kinds, apart):
    """The same directories opened by both brokers in turn; every one adds partitions, where there are the fewest."""
    name = f"dirs-{kinds[0]}-{apart}"
    brokers = pair(ctx, name, kinds)
    more = {"metadata.log.dir": str(ctx.tmp / f"{name}-meta")} if apart else {}
    for b in brokers:
        dirs = use(b, ctx.tmp, (f"{name}-a", f"{name}-b"), **more)
    brokers[0].start()
    with connect(brokers[0]) as c:
        make(c, TOPIC, PARTS)
        fill(c, range(PARTS), "first")
        before = read(c, range(PARTS))
    where = places(dirs)
    for turn, broker in enumerate((brokers[1], brokers[0], brokers[1])):
        brokers[(turn % 2)].stop()
        broker.start()
        with connect(broker) as c:
            c.wait_for_leaders(TOPIC, PARTS)
            same(before, read(c, range(PARTS)), f"records in turn {turn}")
            same(where, places(dirs), f"places in turn {turn}")
            make(c, f"{LATER}-{turn}", 4)
            for t in range(turn):
                c.wait_for_leaders(f"{LATER}-{t}", 4)
            fill(c, range(PARTS), f"turn{turn}", 3)
            before = read(c, range(PARTS))
            described(c, dirs, where)
    brokers[1].stop()


def run(ctx):
    for kinds in ((ctx.kind, "upstream"), ("upstream", ctx.kind)):
        for apart in (False, True):
            ctx.results.run(
                f"dirs_handover/{kinds[0]}-first{'-metadata-apart' if apart else ''}",
                lambda k=kinds, a=apart: handover(ctx, k, a),
                ctx.logs,
            )
            for b in ctx.brokers:
                b.kill()
