"""Data directories that earlier builds left: each opens, and every record is there (tests/golden/dirs)."""

import pathlib
import subprocess

from lib import golden
from lib.results import check, same

DIRS = pathlib.Path(__file__).resolve().parents[2] / "golden" / "dirs"


def opens(ctx, archive):
    name = archive.name.split(".")[0]
    broker = ctx.broker(golden.CONFIG | {"sluice.reactors": 1}, name=name, start=False)
    golden.unpack(archive, broker.data)
    done = subprocess.run([str(ctx.build / "sluice"), "log", "check", str(broker.data)], capture_output=True, text=True,
                          check=False)
    same(0, done.returncode, f"exit status of log check; {done.stdout}{done.stderr}")
    broker.start()
    golden.verify(broker)
    broker.stop()  # and once more, as this build leaves it
    broker.start()
    golden.verify(broker)
    broker.stop()


def run(ctx):
    if ctx.upstream:
        return
    archives = sorted(DIRS.glob("*.tar.xz"))
    check(archives, f"no archives in {DIRS}")
    for archive in archives:
        ctx.results.run(f"golden/{archive.name.split('.')[0]}", lambda a=archive: opens(ctx, a), ctx.logs)
