"""Any Kafka message at any version, from the specifications inside upstream's own jar: a codec that shares nothing with
ours. Messages are dicts by upstream's field names; what a caller leaves out takes its default.

    api = Apis(jars)["DescribeConfigs"]
    api.encode(4, {"Resources": [{"ResourceType": 2, "ResourceName": "t"}]})
    api.decode(4, body)
"""

import base64
import contextlib
import json
import pathlib
import re
import struct
import uuid
import zipfile

from . import wire

FIXED = {"int8": "b", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "float64": "d"}


def versions(text, highest=32767):
    """'3+', '1-4', '2', 'none' as an inclusive pair."""
    if text in (None, "none"):
        return (1, 0)
    low, plus, high = re.match(r"(\d+)(?:(\+)|-(\d+))?$", text).groups()
    return (int(low), highest if plus else int(high or low))


def within(version, pair):
    return pair[0] <= version <= pair[1]


class Field:
    def __init__(self, spec):
        self.name = spec["name"]
        self.type = spec["type"]
        self.versions = versions(spec.get("versions"))
        self.nullable = versions(spec.get("nullableVersions"))
        self.tagged = versions(spec.get("taggedVersions"))
        self.tag = spec.get("tag")
        self.flexible = versions(spec["flexibleVersions"]) if "flexibleVersions" in spec else None
        self.default = spec.get("default")
        self.fields = [Field(f) for f in spec.get("fields", [])]

    def default_value(self, version):
        if self.type.startswith("[]"):
            return None if self.default == "null" else []
        if self.type in FIXED and self.type != "float64":
            return int(str(self.default or 0), 0)
        if self.type == "float64":
            return float(self.default or 0)
        if self.type == "bool":
            return str(self.default).lower() == "true"
        if self.type == "uuid":
            return str(self.default or "AAAAAAAAAAAAAAAAAAAAAA")
        if self.default == "null":
            return None
        if self.type in ("bytes", "records"):
            return ""
        if self.type == "string":
            return self.default or ""
        return {} if within(version, self.versions) else None


class Writer:
    def __init__(self):
        self.out = bytearray()

    def uvarint(self, n):
        while n >= 0x80:
            self.out.append(n & 0x7F | 0x80)
            n >>= 7
        self.out.append(n)


class Reader(wire.Reader):
    def uvarint(self):
        n = shift = 0
        while True:
            b = self.take(1)[0]
            n |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return n


def uuid_text(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def uuid_raw(text):
    raw = uuid.UUID(text).bytes if len(text) == 36 else base64.urlsafe_b64decode(text + "==")
    return raw


class Message:
    def __init__(self, spec):
        self.name = spec["name"]
        self.key = spec.get("apiKey")
        self.versions = versions(spec["validVersions"])
        self.flexible = versions(spec.get("flexibleVersions"))
        self.fields = [Field(f) for f in spec.get("fields", [])]
        self.common = {s["name"]: [Field(f) for f in s["fields"]] for s in spec.get("commonStructs", [])}

    def encode(self, version, value):
        w = Writer()
        self.put_struct(w, self.fields, value, version, self.name)
        return bytes(w.out)

    def decode(self, version, data):
        r = Reader(data)
        value = self.get_struct(r, self.fields, version)
        r.done()
        return value

    def struct_fields(self, field, kind):
        return self.common[kind] if kind in self.common else field.fields

    # ---- writing
    def put_struct(self, w, fields, value, version, where):
        known = {f.name for f in fields}
        if not set(value) <= known:
            raise ValueError(f"{where} has no field {sorted(set(value) - known)}")
        tags = []
        for f in fields:
            if not within(version, f.versions):
                continue
            v = value[f.name] if f.name in value else f.default_value(version)
            if f.tag is not None and within(version, f.tagged):
                if f.name in value and v != f.default_value(version):
                    inner = Writer()
                    self.put(inner, f, f.type, v, version)
                    tags.append((f.tag, inner.out))
            else:
                self.put(w, f, f.type, v, version)
        if within(version, self.flexible):
            w.uvarint(len(tags))
            for tag, body in sorted(tags):
                w.uvarint(tag)
                w.uvarint(len(body))
                w.out += body

    def is_flexible(self, f, version):
        return within(version, self.flexible if f.flexible is None else f.flexible)

    def put_length(self, w, f, n, version, short):
        if self.is_flexible(f, version):
            w.uvarint(n + 1)
        else:
            w.out += struct.pack(">h" if short else ">i", n)

    def put(self, w, f, kind, v, version):
        if kind.startswith("[]"):
            self.put_length(w, f, -1 if v is None else len(v), version, False)
            for item in v or ():
                self.put(w, f, kind[2:], item, version)
        elif kind in FIXED:
            w.out += struct.pack(">" + FIXED[kind], v)
        elif kind == "bool":
            w.out += struct.pack(">?", v)
        elif kind == "uuid":
            w.out += uuid_raw(v)
        elif kind == "string":
            raw = None if v is None else v.encode()
            self.put_length(w, f, -1 if raw is None else len(raw), version, True)
            w.out += raw or b""
        elif kind in ("bytes", "records"):
            raw = None if v is None else v if isinstance(v, bytes) else base64.b64decode(v)
            self.put_length(w, f, -1 if raw is None else len(raw), version, False)
            w.out += raw or b""
        else:
            self.put_inner(w, f, kind, v, version)

    def put_inner(self, w, f, kind, v, version):
        if not f.type.startswith("[]") and within(version, f.nullable):
            w.out += struct.pack(">b", -1 if v is None else 1)
        if v is not None:
            self.put_struct(w, self.struct_fields(f, kind), v, version, f"{self.name}.{f.name}")

    # ---- reading
    def get_struct(self, r, fields, version):
        value = {}
        for f in fields:
            if not within(version, f.versions):
                continue
            if f.tag is not None and within(version, f.tagged):
                value[f.name] = f.default_value(version)
            else:
                value[f.name] = self.get(r, f, f.type, version)
        if within(version, self.flexible):
            tagged = {f.tag: f for f in fields if f.tag is not None and within(version, f.tagged)}
            for _ in range(r.uvarint()):
                tag = r.uvarint()
                body = Reader(r.take(r.uvarint()))
                if tag in tagged:
                    value[tagged[tag].name] = self.get(body, tagged[tag], tagged[tag].type, version)
                    body.done()
                else:
                    value[f"tag {tag}"] = body.data.hex()
        return value

    def get_length(self, r, f, version, short):
        if self.is_flexible(f, version):
            return r.uvarint() - 1
        return r.num("h" if short else "i")

    def get(self, r, f, kind, version):
        if kind.startswith("[]"):
            n = self.get_length(r, f, version, False)
            return None if n < 0 else [self.get(r, f, kind[2:], version) for _ in range(n)]
        if kind in FIXED:
            return r.num(FIXED[kind])
        if kind == "bool":
            return r.num("?")
        if kind == "uuid":
            return uuid_text(r.take(16))
        if kind == "string":
            n = self.get_length(r, f, version, True)
            return None if n < 0 else r.take(n).decode()
        if kind in ("bytes", "records"):
            n = self.get_length(r, f, version, False)
            return None if n < 0 else base64.b64encode(r.take(n)).decode()
        if not f.type.startswith("[]") and within(version, f.nullable) and r.num("b") < 0:
            return None
        return self.get_struct(r, self.struct_fields(f, kind), version)


class Api:
    def __init__(self, request, response):
        self.name = request.name[: -len("Request")]
        self.key = request.key
        self.request, self.response = request, response
        self.versions = request.versions


class Apis(dict):
    """Every API of the kafka-clients jar, by name and by key."""

    def __init__(self, jars):
        super().__init__()
        specs = {}
        jar = next(pathlib.Path(jars).glob("kafka-clients-*.jar"))
        with zipfile.ZipFile(jar) as z:
            for name in z.namelist():
                if re.match(r"common/message/\w+(Request|Response)\.json$", name):
                    text = re.sub(r"^\s*//.*$", "", z.read(name).decode(), flags=re.M)
                    spec = json.loads(re.sub(r"\s//[^\"\n]*$", "", text, flags=re.M))
                    specs[spec["name"]] = Message(spec)
        for name, m in specs.items():
            if name.endswith("Request") and m.key is not None and m.versions[0] <= m.versions[1]:
                api = Api(m, specs[name[:-7] + "Response"])
                self[api.name] = self[api.key] = api


class Closed(Exception):
    """The broker closed the connection instead of answering."""


class Caller:
    """One connection; a broker that closes it gets a new one with the next request."""

    def __init__(self, apis, host, port, client_id="compare"):
        self.apis, self.host, self.port, self.client_id = apis, host, port, client_id
        self.conn = None

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def call(self, name, version, value):
        api = self.apis[name]
        return api.response.decode(version, self.raw(api, version, api.request.encode(version, value)))

    def raw(self, api, version, body):
        self.send(api, version, body)
        return self.take(api, version)

    def send(self, api, version, body):
        """The request alone: its answer, if it gets one, is taken by `take`."""
        if self.conn is None:
            self.conn = wire.Connection(self.host, self.port, timeout=60.0, client_id=self.client_id)
        c = self.conn
        c.correlation += 1
        flexible = within(version, api.request.flexible)
        head = struct.pack(">hhi", api.key, version, c.correlation) + wire.string(c.client_id)
        head += b"\0" if flexible else b""
        with self.closing(api, version):
            c.sock.sendall(struct.pack(">i", len(head) + len(body)) + head + body)

    def take(self, api, version):
        """The answer to what was sent last, from its first field on."""
        if self.conn is None:
            raise Closed(f"{api.name} {version}")
        with self.closing(api, version):
            r = self.conn.receive(self.conn.correlation)
        if within(version, api.response.flexible) and api.key != 18:
            r.take(1)
        return r.data[r.at :]

    @contextlib.contextmanager
    def closing(self, api, version):
        try:
            yield
        except (ConnectionError, BrokenPipeError):
            self.close()
            raise Closed(f"{api.name} {version}") from None
