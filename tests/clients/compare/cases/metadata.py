"""What there is: Metadata, DescribeCluster and DescribeTopicPartitions, of topics that are and that are not."""

from step import Step

from cases.produce import create

UNKNOWN_ID = "AAAAAAAAAAAAAAAAAAAAJw"
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
ALL = range(14)
CHOOSING = range(4, 14)  # whether topics are made
BY_ID = range(10, 14)
WITH_OPERATIONS = range(8, 14)


def metadata(label, names, at=CHOOSING, **more):
    topics = None if names is None else [n if isinstance(n, dict) else {"Name": n} for n in names]
    return Step("Metadata", label, {"Topics": topics, "AllowAutoTopicCreation": False, **more}, at)


def by_id(name):
    return {"TopicId": lambda side: side.seen.get(name, UNKNOWN_ID), "Name": None}


def topics():
    yield metadata("all", None, range(1, 14))
    yield metadata("all, as they were asked for at first", [], [0])
    yield metadata("none", [], range(1, 14))
    yield metadata("some", ["m", "n"], ALL)
    yield metadata("twice", ["m", "m"], ALL)
    yield metadata("unknown", ["nowhere", "m"])
    for label, name in (
        ("bad", "a/b"),
        ("empty", ""),
        ("dot", "."),
        ("long", "x" * 250),
        ("very long", "x" * 30000),
        ("metadata topic", "__cluster_metadata"),
        ("transactions", "__transaction_state"),
    ):
        yield metadata(f"{label} name", [name])
        yield metadata(f"{label} name, to be made", [name], [4, 9, 13] if name not in ("__transaction_state", "__cluster_metadata") else [], AllowAutoTopicCreation=True)
    yield metadata("by id", [by_id("m"), by_id("nowhere")], BY_ID)
    yield metadata("by id, twice", [by_id("m"), by_id("m")], BY_ID)
    yield metadata("by id, to be made", [by_id("nowhere")], BY_ID, AllowAutoTopicCreation=True)
    yield metadata("neither", [{"Name": None, "TopicId": NO_ID}], BY_ID)
    yield metadata("both", [{"Name": "m", "TopicId": lambda side: side.seen["m"]}], BY_ID)
    yield metadata("both, of two", [{"Name": "n", "TopicId": lambda side: side.seen["m"]}], BY_ID)
    yield metadata("name and unknown id", [{"Name": "m", "TopicId": UNKNOWN_ID}], BY_ID)
    yield metadata("id and name", [by_id("m"), "n"], BY_ID)
    yield metadata("operations", ["m", "nowhere"], WITH_OPERATIONS, IncludeTopicAuthorizedOperations=True)
    yield metadata("operations of the cluster", [], range(8, 11), IncludeClusterAuthorizedOperations=True)


def cluster():
    yield Step("DescribeCluster", "cluster")
    yield Step("DescribeCluster", "operations", {"IncludeClusterAuthorizedOperations": True})
    for kind in (0, 2, 3, -1):
        yield Step("DescribeCluster", f"endpoints {kind}", {"EndpointType": kind}, [1, 2])
    yield Step("DescribeCluster", "fenced too", {"IncludeFencedBrokers": True}, [2])


def described(label, names, limit=2000, cursor=None):
    topics_asked = [{"Name": n} for n in names]
    at = None if cursor is None else {"TopicName": cursor[0], "PartitionIndex": cursor[1]}
    return Step("DescribeTopicPartitions", label, {"Topics": topics_asked, "ResponsePartitionLimit": limit, "Cursor": at})


def partitions():
    yield described("one", ["m"])
    yield described("two", ["n", "m"])
    yield described("twice", ["m", "m"])
    yield described("unknown", ["m", "nowhere"])
    for label, name in (("bad", "a/b"), ("empty", ""), ("long", "x" * 250), ("metadata topic", "__cluster_metadata")):
        yield described(f"{label} name", [name])
    for limit in (1, 2, 3, 4, 0, -1, 2001, 2**31 - 1):
        yield described(f"limit {limit}", ["m", "n"], limit)
    for label, cursor in (
        ("first", ("m", 0)),
        ("inside", ("m", 1)),
        ("at the end", ("m", 3)),
        ("behind the end", ("m", 99)),
        ("negative", ("m", -1)),
        ("second topic", ("n", 1)),
        ("unknown topic", ("mm", 0)),
        ("another topic", ("zzz", 0)),
        ("earlier topic", ("a", 5)),
        ("empty topic", ("", 0)),
    ):
        yield described(f"cursor {label}", ["m", "n"], 2, cursor)
        yield described(f"cursor {label}, all", [], 2, cursor)
    yield described("all", [], 4)


def steps():
    yield create("m", 3)
    yield create("n", 2)
    yield from topics()
    yield from cluster()
    yield from partitions()
