"""One request of a comparison, and one broker's side of it."""

from lib.spec import Caller, Closed

QUIET = ("Describe", "List", "ApiVersions", "Metadata", "Find", "Fetch", "JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup")
QUIET += ("Offset", "ConsumerGroup", "Produce", "InitProducerId", "DeleteRecords")


class Side:
    """A broker, the connections to it, and what earlier answers of it said: `seen` by name. `named`: what stands for a text
    of this broker's, or for a pair of a field's name and its value."""

    def __init__(self, caller, broker):
        self.caller, self.broker = caller, broker
        self.callers = {None: caller}
        self.apis = {}
        self.seen, self.named = {}, {}
        self.cluster = None

    def on(self, name):
        """The connection of that name, None is the first. What comes before a '/' is its client id."""
        if name not in self.callers:
            self.callers[name] = Caller(self.caller.apis, self.broker.host, self.broker.port, name.split("/")[0])
        return self.callers[name]

    def close(self):
        for c in self.callers.values():
            c.close()

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


class Restart:
    """Both brokers are stopped and started, each followed by `after(side)`."""

    api = "restart"

    def __init__(self, after):
        self.after = after


CALL, SEND, TAKE, CAST = "call", "send", "take", "cast"


class Step:
    """`body` may hold '{v}', the version, in its strings, and functions of the side. `at`: the versions; all by
    default. `remember(side, version, answer)` may keep something in side.seen. `on` names a connection. `part`: SEND asks
    without waiting, TAKE waits for the answer to what its connection sent last, CAST is not answered at all."""

    def __init__(self, api, label, body=None, at=None, remember=None, on=None, part=CALL):
        self.api, self.label, self.at, self.on, self.part = api, label, at, on, part
        self._body, self._remember = body or {}, remember

    def ask(self, side, version):
        """What the broker answers: a dict; None where nothing is waited for."""
        caller = side.on(self.on)
        api = caller.apis[self.api]
        try:
            if self.part != TAKE:
                caller.send(api, version, api.request.encode(version, self.body(side, version)))
            if self.part == SEND:
                return None
            if self.part == CAST:
                caller.call("ApiVersions", 0, {})
                return {"closed": False}
            got = api.response.decode(version, caller.take(api, version))
        except Closed:
            return {"closed": True}
        except TimeoutError:
            raise TimeoutError(f"{side.broker.kind} does not answer {self.api} {self.label} {version}") from None
        self.remember(side, version, got)
        return got

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
