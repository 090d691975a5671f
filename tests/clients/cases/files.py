"""Real files through kcat and back: a package log line by line, a source tree as a tar in 512 KiB chunks."""

import hashlib
import pathlib
import subprocess

from lib import commandline, wire
from lib.results import Failure, check, same

CHUNK = 512 * 1024
CODECS = ("none", "zstd")
TREES = ("/usr/include/linux", "/usr/include/c++", "/usr/include/x86_64-linux-gnu", "/usr/lib/python3")


def log_file(ctx):
    """A text log of this machine: the package manager's, else a listing of installed files."""
    for name in ("/var/log/dpkg.log", "/var/log/dpkg.log.1", "/var/log/alternatives.log"):
        path = pathlib.Path(name)
        if path.exists() and path.stat().st_size > 1000:
            return path
    path = ctx.tmp / "listing.log"
    done = subprocess.run(["find", "/usr/share", "-type", "f"], capture_output=True, check=True)
    path.write_bytes(done.stdout)
    return path


def lines_there_and_back(ctx, broker, codec):
    path = log_file(ctx)
    topic = f"log-{codec}"
    with wire.Connection(broker.host, broker.port) as c:
        same(0, c.create_topic(topic, 1), "error of CreateTopics")
        c.wait_for_leaders(topic, 1)
    base = ["kcat", "-b", broker.bootstrap, "-t", topic, "-q"]
    commandline.run_kcat([*base, "-P", "-l", "-X", f"compression.type={codec}", str(path)])
    got = commandline.run_kcat([*base, "-C", "-o", "beginning", "-e"])
    want = path.read_bytes()
    if got != want:
        raise Failure(f"{path}: {len(got)} bytes came back of {len(want)}, or they differ")
    check(want.count(b"\n") > 10, "the log is too short to show anything")


def make_tar(ctx):
    """A tar of our own sources and of some of this machine's, cut into chunks."""
    root = pathlib.Path(__file__).resolve().parents[3]
    trees = [str(root / d) for d in ("engine", "net", "proto", "tests", "tools")] + list(TREES)
    tar = ctx.tmp / "tree.tar"
    present = [t for t in trees if pathlib.Path(t).exists()]
    subprocess.run(["tar", "cf", str(tar), "--exclude=__pycache__", *present], stderr=subprocess.DEVNULL, check=True)
    chunks = ctx.tmp / "chunks"
    chunks.mkdir(exist_ok=True)
    subprocess.run(["split", "-b", str(CHUNK), "-a", "4", "-d", str(tar), str(chunks / "c")], check=True)
    return tar, sorted(chunks.iterdir())


def tar_there_and_back(ctx, broker, codec, tar, chunks):
    topic = f"tar-{codec}"
    with wire.Connection(broker.host, broker.port) as c:
        same(0, c.create_topic(topic, 1), "error of CreateTopics")
        c.wait_for_leaders(topic, 1)
    base = ["kcat", "-b", broker.bootstrap, "-t", topic, "-q"]
    # Each file named on the command line becomes one message.
    commandline.run_kcat([*base, "-P", "-p", "0", "-X", f"compression.type={codec}", *map(str, chunks)], timeout=120)
    got = commandline.run_kcat([*base, "-C", "-o", "beginning", "-e", "-D", ""], timeout=120)
    want = hashlib.sha256(tar.read_bytes()).hexdigest()
    same(want, hashlib.sha256(got).hexdigest(), f"sha256 of the tar ({len(chunks)} chunks)")
    check(len(chunks) >= 10, "the tar is too small to show anything")


def run(ctx):
    broker = ctx.broker()
    tar, chunks = make_tar(ctx)
    for codec in CODECS:
        ctx.results.run(f"files/log-lines-{codec}", lambda c=codec: lines_there_and_back(ctx, broker, c), ctx.logs)
        ctx.results.run(
            f"files/tar-{codec}", lambda c=codec: tar_there_and_back(ctx, broker, c, tar, chunks), ctx.logs
        )
    ctx.results.run("files/clean-stop", broker.stop, ctx.logs)
