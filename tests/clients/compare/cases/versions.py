"""Which APIs each broker advertises, and at which versions."""

from step import Step


def steps():
    for v in range(5):
        body = {"ClientSoftwareName": "compare", "ClientSoftwareVersion": "1"}
        yield Step("ApiVersions", "all", body, [v])
