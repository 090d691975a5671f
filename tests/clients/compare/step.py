"""One request of a comparison, and one broker's side of it."""


QUIET = ("Describe", "List", "ApiVersions", "Metadata", "Find", "Fetch", "JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup")
QUIET += ("Offset", "ConsumerGroup")


class Side:
    """A broker, the connection to it, and what earlier answers of it said."""

    def __init__(self, caller, broker):
        self.caller, self.broker = caller, broker
        self.apis = {}
        self.seen = {}
        self.cluster = None

    def learn(self):
        body = {"ClientSoftwareName": "compare", "ClientSoftwareVersion": "1"}
        for a in self.caller.call("ApiVersions", 4, body)["ApiKeys"]:
            self.apis[a["ApiKey"]] = (a["MinVersion"], a["MaxVersion"])
        self.cluster = self.caller.call("DescribeCluster", 0, {})["ClusterId"]

    def own(self):
        """Texts that are this broker's alone, and what stands for them."""
        b = self.broker
        out = [(str(b.data), "<data>"), (b.bootstrap, "<address>"), (str(b.port), "<port>")] + [(self.cluster, "<cluster>")] * bool(self.cluster)
        return out + [(v, "<member>") for k, v in self.seen.items() if k.endswith("-id") and len(v) > 20]


class Step:
    """`body` may hold '{v}', the version, in its strings, and functions of the side. `at`: the versions; all by
    default. `remember(side, version, answer)` may keep something in side.seen."""

    def __init__(self, api, label, body=None, at=None, remember=None):
        self.api, self.label, self.at = api, label, at
        self._body, self._remember = body or {}, remember

    @property
    def changes(self):
        """Whether upstream may answer before its broker has taken the change over: metadata, not groups."""
        return not self.api.startswith(QUIET) and not self.api.endswith("Groups")

    def versions(self, api):
        lo, hi = api.versions
        return [v for v in range(lo, hi + 1) if self.at is None or v in self.at]

    def body(self, side, version):
        return fill(self._body, side, version)

    def remember(self, side, version, answer):
        if self._remember:
            self._remember(side, version, answer)


def fill(value, side, version):
    if isinstance(value, dict):
        return {k: fill(v, side, version) for k, v in value.items()}
    if isinstance(value, list):
        return [fill(v, side, version) for v in value]
    if isinstance(value, str):
        return value.replace("{v}", str(version))
    return fill(value(side), side, version) if callable(value) else value
