"""Seeded record sets and the canonical form in which every consumer reports what it read.

Input for producers, one JSON object a line: p partition, t timestamp in ms or null ("the client's own
clock"), k key, v value (base64 or null), h headers as [name, base64 or null] pairs.
Output of consumers: the same and o, the offset; a blob of more than 64 bytes is "sha256:HEX:LENGTH".
A consumer that can only show headers as text reports hs instead of h (see `header_text`); one that gives them as an
object keeps the order of the values of a name, not that of the names.
"""

import base64
import hashlib
import json
import random

from .results import Failure

INLINE_LIMIT = 64
MAX_VALUE = 1_000_000
SIZES = [0, 1, 2, 9, 63, 64, 65, 127, 128, 1000, 4095, 4096, 4097, 16383, 16384, 65536, 100_000, MAX_VALUE]
WORDS = "broker batch segment offset journal durable epoch leader replica commit fetch topic".split()


def b64(blob):
    return None if blob is None else base64.b64encode(blob).decode()


def unb64(text):
    return None if text is None else base64.b64decode(text)


def canonical(blob):
    if blob is None or len(blob) <= INLINE_LIMIT:
        return b64(blob)
    return f"sha256:{hashlib.sha256(blob).hexdigest()}:{len(blob)}"


def line(partition, offset, timestamp, key, value, headers):
    """One consumed record in canonical form; headers are (name, bytes or None) pairs."""
    return json.dumps(
        {
            "p": partition,
            "o": offset,
            "t": timestamp,
            "k": canonical(key),
            "v": canonical(value),
            "h": [[n, canonical(v)] for n, v in headers],
        },
        separators=(",", ":"),
    )


class Traits:
    """What a producer can express. A set made for it holds nothing else."""

    def __init__(self, binary=True, timestamps=True, headers=True, null_value=True, null_header=True, null_both=True,
                 keyed=False, empty=True):
        self.binary = binary
        self.timestamps = timestamps
        self.headers = headers
        self.null_value = null_value
        self.null_header = null_header
        self.null_both = null_both  # key and value null in one record
        self.empty = empty  # empty keys, values and headers, told from null
        self.keyed = keyed  # the client picks the partition by the key's hash


def text_blob(rnd, size):
    words = []
    length = 0
    while length < size:
        words.append(rnd.choice(WORDS) + str(rnd.randrange(100)))
        length += len(words[-1]) + 1
    return " ".join(words)[:size].encode()


def value_blob(rnd, size, binary):
    """Text, with some noise if binary is allowed: every codec makes it smaller."""
    if not binary:
        return text_blob(rnd, size)
    noise = size // 16 + min(size, 4)
    return text_blob(rnd, size - noise) + rnd.randbytes(noise)


def make_headers(rnd, traits):
    if not traits.headers or rnd.random() < 0.5:
        return []
    out = []
    for i in range(rnd.randrange(1, 5)):
        value = value_blob(rnd, rnd.choice([0, 1, 10, 300]), traits.binary)
        out.append((f"h{i}-é" if traits.binary else f"h{i}", value))
    if rnd.random() < 0.3:
        out.append((out[-1][0], b"the same name again"))
    if traits.null_header and rnd.random() < 0.3:
        out.append(("null", None))
    return out


def murmur2(data):
    """The hash by which Java's producer maps a key to a partition."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    tail = data[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def make(seed, partitions, count, traits, now_ms):
    """A list of dicts p, t, k, v, h with bytes in them."""
    rnd = random.Random(seed)
    out = []
    sizes = SIZES + [rnd.choice([3, 20, 100, 500, 2000]) for _ in range(max(0, count - len(SIZES)))]
    rnd.shuffle(sizes)
    for i, size in enumerate(sizes):
        value = value_blob(rnd, size, traits.binary)
        if traits.null_value and i % 11 == 5 and size < 1000:
            value = None
        if traits.keyed:
            key = f"key-{i}-{rnd.randrange(1000)}".encode()
            partition = (murmur2(key) & 0x7FFFFFFF) % partitions
        else:
            key = rnd.choice([None, b"", b"k", value_blob(rnd, rnd.choice([5, 40, 200]), traits.binary)])
            partition = rnd.randrange(partitions)
        if value is None and not traits.null_both:
            key = key or b"k"
        headers = make_headers(rnd, traits)
        if not traits.empty:
            key, value = (b"e" if b == b"" else b for b in (key, value))
            headers = [(n, b"e" if v == b"" else v) for n, v in headers]
        # Timestamps go back and forth, so that "max timestamp" is not simply the last.
        ts = now_ms - 3_600_000 + i * 1000 - rnd.randrange(5000) if traits.timestamps else None
        out.append({"p": partition, "t": ts, "k": key, "v": value, "h": headers})
    return out


def write_input(records, path):
    with open(path, "w", encoding="utf-8") as f:
        for r in records:
            headers = [[n, b64(v)] for n, v in r["h"]]
            f.write(json.dumps({"p": r["p"], "t": r["t"], "k": b64(r["k"]), "v": b64(r["v"]), "h": headers}) + "\n")


def read_input(path):
    with open(path, encoding="utf-8") as f:
        for text in f:
            r = json.loads(text)
            headers = [(n, unb64(v)) for n, v in r["h"]]
            yield {"p": r["p"], "t": r["t"], "k": unb64(r["k"]), "v": unb64(r["v"]), "h": headers}


def header_text(headers, style):
    """The text that a command line consumer shows for headers (bytes): style 'kcat' or 'console'."""
    if style == "kcat":
        # kcat prints a header's value as a C string: what follows a zero byte is not shown.
        return b",".join(n.encode() + b"=" + (b"NULL" if v is None else v.split(b"\0")[0]) for n, v in headers)
    if not headers:
        return b"NO_HEADERS"
    return b"\x01,\x01".join(n.encode() + b":" + (b"<null-header>" if v is None else v) for n, v in headers)


def expected_lines(records):
    """Per partition, what consumers must report, headers and timestamp apart."""
    offsets = {}
    out = {}
    for r in records:
        offset = offsets.get(r["p"], 0)
        offsets[r["p"]] = offset + 1
        out[(r["p"], offset)] = {"k": canonical(r["k"]), "v": canonical(r["v"]), "t": r["t"], "h": r["h"]}
    return out


def describe(r):
    return json.dumps(r, default=repr)[:400]


def compare(records, got_path, style, window, learned):
    """Compares a consumer's report with what was produced; raises Failure at the first difference.

    window: (low, high) in ms for timestamps that the producer's clock gave; `learned` remembers those, so
    that every later consumer must report the same.
    """
    want = expected_lines(records)
    last = {}
    seen = 0
    with open(got_path, encoding="utf-8") as f:
        for text in f:
            g = json.loads(text)
            where = (g["p"], g["o"])
            w = want.get(where)
            if w is None:
                raise Failure(f"a record that was not produced at {where}: {describe(g)}")
            if g["o"] != last.get(g["p"], -1) + 1:
                raise Failure(f"partition {g['p']}: offset {g['o']} after {last.get(g['p'], -1)}")
            last[g["p"]] = g["o"]
            seen += 1
            for field in ("k", "v"):
                if w[field] != g[field]:
                    raise Failure(f"{where}: {field} differs: want {describe(w)}, got {describe(g)}")
            compare_headers(where, w, g, style)
            compare_timestamp(where, w, g, window, learned)
    if seen != len(want):
        missing = sorted(set(want) - {(p, o) for p, n in last.items() for o in range(n + 1)})
        raise Failure(f"{seen} of {len(want)} records; first missing {missing[:3]}")


def by_name(headers):
    """What an object of lists keeps of headers: the values of each name, in order."""
    out = {}
    for name, value in headers:
        out.setdefault(name, []).append(value)
    return out


def compare_headers(where, want, got, style):
    if "hs" in got:
        w, g = canonical(header_text(want["h"], style)), got["hs"]
    elif style in ("object", "object without null"):
        absent = None if style == "object" else ""
        w, g = by_name([[n, absent if v is None else canonical(v)] for n, v in want["h"]]), by_name(got["h"])
    else:
        w, g = [[n, canonical(v)] for n, v in want["h"]], got["h"]
    if w != g:
        raise Failure(f"{where}: headers differ: want {describe(want)}, got {describe(got)}")


def compare_timestamp(where, want, got, window, learned):
    ts = want["t"]
    if ts is None:
        ts = learned.setdefault(where, got["t"])
        if not window[0] <= ts <= window[1]:
            raise Failure(f"{where}: timestamp {ts} outside of {window}")
    if got["t"] != ts:
        raise Failure(f"{where}: timestamp {got['t']}, want {ts}")
