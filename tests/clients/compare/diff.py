"""What two answers differ in, once what no two brokers share is replaced by its kind."""

import fnmatch
import json

# Fields whose values are a broker's own; Java's accessors are called the same, but for the first letter.
KINDS = {
    "ClusterId": "<cluster>",
    "TopicId": "<id>",
    "DirectoryId": "<id>",
    "ReplicaDirectoryId": "<id>",
    "IncarnationId": "<id>",
    "Port": "<port>",
    "ProducerId": "<producer>",
    "MemberId": "<member>",
    "Leader": "<member>",
    "ConsumerId": "<member>",
    "FinalizedFeaturesEpoch": "<epoch>",
    "LastFetchTimestamp": "<time>",
    "LastCaughtUpTimestamp": "<time>",
    "LastTimestamp": "<time>",
    "LogEndOffset": "<offset>",
    "HighWatermark": "<offset>",
    "LogDir": "<dir>",
    "TotalBytes": "<bytes>",
    "UsableBytes": "<bytes>",
    "SessionId": "<session>",
    "ThrottleTimeMs": "<throttled>",
    "LogAppendTimeMs": "<time>",
}
SETS = ("SubscribedTopicNames",)  # the order of whose elements says nothing
NONE_ID = "AAAAAAAAAAAAAAAAAAAAAA"
# What names an element of a list, the first that it has.
NAMES = (
    ("ResourceType", "ResourceName"),
    ("ConfigName",),
    ("TopicName",),
    ("Topic",),
    ("GroupId",),
    ("EntityType",),
    ("FeatureName",),
    ("Name",),
    ("ApiKey",),
    ("PartitionIndex",),
    ("PartitionId",),
    ("Partition",),
    ("BrokerId",),
    ("ReplicaId",),
    ("NodeId",),
    ("Feature",),
    ("Key",),
    ("TransactionalId",),
    ("TopicId",),
)


def normal(value, replace, named=None, field=None):
    """A copy with own values replaced: whole ones that have a name by it, others by their field's name, and by `replace`,
    text to text."""
    if isinstance(value, dict):
        return {k: normal(v, replace, named, k) for k, v in value.items()}
    if isinstance(value, list):
        return [normal(v, replace, named, field) for v in (sorted(value) if field in SETS else value)]
    for key in (value, (field, value)) if named else ():
        if key in named:
            return named[key]
    kind = KINDS.get(field) or (field != "leader" and KINDS.get(field and field[:1].upper() + field[1:]))
    if kind and value not in (None, -1, 0, "", NONE_ID):
        return kind
    if isinstance(value, str):
        for own, kind in replace:
            value = value.replace(own, kind)
    return value


def name_of(item):
    if "Entity" in item:
        return json.dumps(sorted(item["Entity"], key=str), sort_keys=True)
    for fields in NAMES:
        if all(f in item for f in fields):
            return ":".join(str(item[f]) for f in fields)
    return None


def keyed(items):
    """Elements of a list by name, numbered where a name comes twice; lists without names by place, sorted."""
    if items and all(isinstance(i, dict) for i in items) and all(name_of(i) is not None for i in items):
        out = {}
        for i in sorted(items, key=lambda i: json.dumps(i, sort_keys=True)):
            key, n = name_of(i), 2
            while key in out:
                key, n = f"{name_of(i)}#{n}", n + 1
            out[key] = i
        return out
    if items and all(isinstance(i, (dict, list)) for i in items):
        items = sorted(items, key=lambda i: json.dumps(i, sort_keys=True))
    return {str(k): i for k, i in enumerate(items)}


MISSING = "<missing>"


def differences(want, got, path=""):
    """(path, upstream's value, ours) of every difference."""
    if isinstance(want, dict) and isinstance(got, dict):
        pairs = [(f"{path}.{k}" if path else k, want.get(k, MISSING), got.get(k, MISSING)) for k in {**want, **got}]
    elif isinstance(want, list) and isinstance(got, list):
        a, b = keyed(want), keyed(got)
        pairs = [(f"{path}[{k}]", a.get(k, MISSING), b.get(k, MISSING)) for k in {**a, **b}]
    else:
        return [] if want == got and type(want) is type(got) else [(path, want, got)]
    return [d for p, w, g in pairs for d in differences(w, g, p)]


class Reviewed:
    """The reviewed differences: each entry says what it covers and why that is so."""

    def __init__(self, path):
        self.entries = json.loads(path.read_text())
        self.used = [0] * len(self.entries)
        for e in self.entries:
            if set(e) - {"where", "upstream", "sluice", "reason"} or not e.get("reason"):
                raise ValueError(f"{path}: an entry needs where and reason, may have upstream and sluice: {e}")

    def covers(self, where, want, got):
        found = False
        for i, e in enumerate(self.entries):
            if (
                fnmatch.fnmatchcase(where, e["where"].replace("[", "[[]"))
                and fnmatch.fnmatchcase(str(want), e.get("upstream", "*"))
                and fnmatch.fnmatchcase(str(got), e.get("sluice", "*"))
            ):
                self.used[i] += 1
                found = True
        return found

    def unused(self, ran):
        """Entries that nothing needed, among those whose API ran."""
        return [e for e, n in zip(self.entries, self.used) if n == 0 and (e["where"].split("/")[0] in ran or "*" in e["where"].split("/")[0])]
