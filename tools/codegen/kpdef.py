"""Reads the message definitions of proto/defs into a small model. The grammar is told in proto/codec.h."""

import re
from pathlib import Path

NEVER = 32767  # a version that no message reaches: "never flexible", or an open end

# name -> (bytes on the wire or None when variable, C type, smallest value, largest value)
PRIMITIVES = {
    "bool": (1, "bool", 0, 1),
    "int8": (1, "int8_t", -2**7, 2**7 - 1),
    "int16": (2, "int16_t", -2**15, 2**15 - 1),
    "uint16": (2, "uint16_t", 0, 2**16 - 1),
    "int32": (4, "int32_t", -2**31, 2**31 - 1),
    "uint32": (4, "uint32_t", 0, 2**32 - 1),
    "int64": (8, "int64_t", -2**63, 2**63 - 1),
    "float64": (8, "double", None, None),
    "uuid": (16, "struct sl_uuid", None, None),
    "string": (None, "struct kp_str", None, None),
    "bytes": (None, "struct kp_bytes", None, None),
    "records": (None, "struct kp_records", None, None),
}

# kind -> what it is, for the documentation; the order is that of the tables
KINDS = {
    "request": "requests",
    "response": "responses",
    "header": "frame headers",
    "metadata": "KRaft metadata records",
    "group-key": "keys of __consumer_offsets",
    "group-value": "values of __consumer_offsets",
    "txn-key": "keys of __transaction_state",
    "txn-value": "values of __transaction_state",
    "data": "other stored structures",
}

C_KEYWORDS = set(
    "auto break case char const continue default do double else enum extern float for goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "asm bool true false errno class delete explicit export friend mutable namespace new operator private protected "
    "public template this throw try typename using virtual".split())


class DefError(Exception):
    """A definition that breaks the grammar; the text names file and line."""


def snake(name):
    """Kafka's CamelCase as snake_case: TimeoutMs -> timeout_ms, KRaftVersion -> kraft_version."""
    name = name.replace("KRaft", "Kraft")
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower()


class Field:
    """One field. lo..hi: versions that have it; nlo..nhi: those in which it may be null (nlo None: never)."""

    def __init__(self, name, base, array, lo, hi):
        self.name, self.base, self.array, self.lo, self.hi = name, base, array, lo, hi
        self.nlo = self.nhi = None
        self.tag = None
        self.default = None  # None: zero or empty; "null"; or an int or bool
        self.ignorable = self.inflexible = False
        self.struct = None  # filled by resolve() when base names a structure

    @property
    def c_name(self):
        name = snake(self.name)
        return name + "_" if name in C_KEYWORDS else name

    @property
    def size(self):
        """Bytes on the wire when that is a constant, else None."""
        if self.array or self.struct:
            return None
        return PRIMITIVES[self.base][0]

    @property
    def pointer(self):
        """A structure that may be null is held by pointer."""
        return self.struct is not None and not self.array and self.nlo is not None


class Struct:
    """A message's top level or a structure in it; lo..hi: versions in which it can occur."""

    def __init__(self, name, lo, hi):
        self.name, self.lo, self.hi, self.fields = name, lo, hi, []
        self.c_name = None


class Message:
    def __init__(self, kind, name, path):
        self.kind, self.api, self.path = kind, name, path
        self.name = name + {"request": "Request", "response": "Response"}.get(kind, "")
        self.key, self.cls, self.hot = -1, None, False
        self.lo = self.hi = self.flex = None
        self.note = []
        self.structs = {}  # by Kafka's name, in order of appearance; the top level is apart
        self.top = None

    @property
    def c_name(self):
        return snake(self.name)

    def ordered_structs(self):
        """Every structure behind those that it uses, the top level last."""
        done = []

        def visit(s, trail):
            if s in done:
                return
            if s in trail:
                raise DefError(f"{self.path}: {s.name} contains itself")
            for f in s.fields:
                if f.struct:
                    visit(f.struct, trail + [s])
            done.append(s)

        visit(self.top, [])
        return done


def parse_range(text, outer, where):
    """"3", "3+", "3-9" or "0+" within outer = (lo, hi)."""
    m = re.fullmatch(r"(\d+)(\+|-(\d+))?", text)
    if not m:
        raise DefError(f"{where}: bad version range {text!r}")
    lo = int(m[1])
    hi = outer[1] if m[2] == "+" else int(m[3]) if m[3] else lo
    if lo < outer[0] or hi > outer[1] or lo > hi:
        raise DefError(f"{where}: versions {text} are not within {outer[0]}-{outer[1]}")
    return lo, hi


def parse_default(f, text, where):
    if text == "null":
        if f.nlo is None:
            raise DefError(f"{where}: a null default needs a nullable type")
        return "null"
    if f.array or f.base not in PRIMITIVES:
        raise DefError(f"{where}: only null can be the default of {f.base}")
    if f.base == "bool":
        if text != "true":
            raise DefError(f"{where}: the only bool default worth writing is true")
        return True
    lo, hi = PRIMITIVES[f.base][2:]
    value = int(text)
    if lo is None or not lo <= value <= hi or value == 0:
        raise DefError(f"{where}: bad default {text}")
    return value


def parse_field(line, outer, where):
    m = re.fullmatch(r"(?P<name>[A-Z]\w*) (?P<array>\[\])?(?P<base>\w+)(?P<null>\?(?P<nver>[\d+-]*))?"
                     r"(?: @(?P<ver>[\d+-]+))?(?: tag (?P<tag>\d+))?(?: = (?P<default>\S+))?"
                     r"(?P<ign> ignorable)?(?P<inflex> inflexible)?(?P<open> \{)?", line)
    if not m:
        raise DefError(f"{where}: not a field: {line!r}")
    lo, hi = parse_range(m["ver"], outer, where) if m["ver"] else outer
    f = Field(m["name"], m["base"], bool(m["array"]), lo, hi)
    if m["null"]:
        if f.base in PRIMITIVES and f.base not in ("string", "bytes", "records") and not f.array:
            raise DefError(f"{where}: {f.base} cannot be null")
        f.nlo, f.nhi = parse_range(m["nver"], (lo, hi), where) if m["nver"] else (lo, hi)
    if f.array and f.base in ("bool", "bytes", "records", "float64", "uint16", "uint32"):
        raise DefError(f"{where}: arrays of {f.base} do not occur in Kafka")
    f.tag = int(m["tag"]) if m["tag"] else None
    f.ignorable, f.inflexible = bool(m["ign"]), bool(m["inflex"])
    if m["default"]:
        f.default = parse_default(f, m["default"], where)
    return f, bool(m["open"])


def parse_head(line, path, where):
    m = re.fullmatch(r"(?P<kind>[\w-]+) (?P<name>[A-Z]\w*)(?: key (?P<key>\d+))?(?: class (?P<cls>[A-F]))?"
                     r" versions (?P<lo>\d+)(?:-(?P<hi>\d+))? flexible (?P<flex>\d+|never)(?P<hot> hot)?", line)
    if not m or m["kind"] not in KINDS:
        raise DefError(f"{where}: not a message head: {line!r}")
    msg = Message(m["kind"], m["name"], path)
    msg.lo, msg.hi = int(m["lo"]), int(m["hi"] or m["lo"])
    msg.flex = NEVER if m["flex"] == "never" else int(m["flex"])
    msg.key, msg.cls, msg.hot = int(m["key"] or -1), m["cls"], bool(m["hot"])
    if (msg.kind in ("request", "response")) != (msg.cls is not None):
        raise DefError(f"{where}: a class belongs to requests and responses, and only to them")
    msg.top = Struct(msg.name, msg.lo, msg.hi)
    return msg


def add_struct(msg, name, outer, where):
    if name in msg.structs:
        raise DefError(f"{where}: {name} is defined twice")
    s = msg.structs[name] = Struct(name, *outer)
    return s


def parse_file(path):
    msg, stack, note = None, [], []
    for number, raw in enumerate(path.read_text().split("\n"), 1):
        where = f"{path.name}:{number}"
        line = raw.strip()
        if not line:
            continue
        if line.startswith("#"):
            if msg is None:
                note.append(line[1:].strip())
            continue
        if msg is None:
            msg = parse_head(line, path.name, where)
            msg.note, stack = note, [msg.top]
        elif line == "}":
            if len(stack) < 2:
                raise DefError(f"{where}: nothing to close")
            stack.pop()
        elif m := re.fullmatch(r"struct ([A-Z]\w*)(?: @([\d+-]+))? \{", line):
            outer = (msg.lo, msg.hi)
            rng = parse_range(m[2], outer, where) if m[2] else outer
            stack.append(add_struct(msg, m[1], rng, where))
        else:
            f, opens = parse_field(line, (stack[-1].lo, stack[-1].hi), where)
            if any(o.c_name == f.c_name for o in stack[-1].fields):
                raise DefError(f"{where}: {f.name} is there twice")
            stack[-1].fields.append(f)
            if opens:
                stack.append(add_struct(msg, f.base, (f.lo, f.hi), where))
    if msg is None or len(stack) != 1:
        raise DefError(f"{path.name}: no message, or a brace is open")
    resolve(msg)
    return msg


def check_tags(msg, s):
    tags = sorted(f.tag for f in s.fields if f.tag is not None)
    if len(set(tags)) != len(tags):
        raise DefError(f"{msg.path}: {s.name} uses a tag twice")
    for f in s.fields:
        if f.tag is not None and f.lo < msg.flex:
            raise DefError(f"{msg.path}: {f.name} is tagged in a version that is not flexible")


def resolve(msg):
    msg.top.c_name = "kp_" + msg.c_name
    for s in msg.structs.values():
        s.c_name = f"kp_{msg.c_name}_{snake(s.name)}"
    for s in [msg.top, *msg.structs.values()]:
        for f in s.fields:
            if f.base not in PRIMITIVES:
                if f.base not in msg.structs:
                    raise DefError(f"{msg.path}: {f.base} is not defined")
                f.struct = msg.structs[f.base]
        check_tags(msg, s)
    if set(msg.structs.values()) - set(msg.ordered_structs()):
        raise DefError(f"{msg.path}: a structure is not used")


def sort_key(m):
    return list(KINDS).index(m.kind), m.key, m.name


def load(folder):
    """All messages of a folder, sorted by kind, key and name."""
    msgs = sorted((parse_file(p) for p in sorted(Path(folder).glob("*.def"))), key=sort_key)
    for m in msgs:
        if m.path != m.c_name + ".def":
            raise DefError(f"{m.path} should be called {m.c_name}.def")
    if len({m.name for m in msgs}) != len(msgs):
        raise DefError("two definitions of one message")
    for req in (m for m in msgs if m.kind == "request"):
        resp = next((m for m in msgs if m.kind == "response" and m.key == req.key), None)
        if not resp or (resp.api, resp.cls, resp.lo, resp.hi, resp.flex) != (req.api, req.cls, req.lo, req.hi,
                                                                             req.flex):
            raise DefError(f"{req.path}: no response with the same name, class and versions")
    return msgs
