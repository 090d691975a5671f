#!/usr/bin/env python3
"""Images of ours through a codec that is neither ours nor upstream's: pycodec.py FILE (as Images.java reads it).

kafka-python decodes each image of a message and version that it knows and writes the same bytes. What it does not
know is counted and said; a message that it is known to get wrong is named below with the reason. Ends with
'pycodec: N passed, N failed'.
"""

import importlib
import inspect
import pkgutil
import struct
import sys

import kafka.protocol
from kafka.protocol.api_message import ApiMessage

# Not compared, and why.
LEFT_OUT = {"ApiVersionsResponse": "its decoder ends behind the fields of version 0, whichever version it is told"}


def classes():
    """Every message class by its name."""
    found = {}
    for m in pkgutil.walk_packages(kafka.protocol.__path__, "kafka.protocol."):
        if ".old" in m.name or "generate" in m.name:
            continue
        for _, c in inspect.getmembers(importlib.import_module(m.name), inspect.isclass):
            if issubclass(c, ApiMessage) and c is not ApiMessage:
                found[c.__name__] = c
    return found


def images(path):
    with open(path, "rb") as f:
        while head := f.read(2):
            name = f.read(struct.unpack(">H", head)[0]).decode()
            version, size = struct.unpack(">hI", f.read(6))
            yield name, version, f.read(size)


def wrong(cls, version, image):
    """What is wrong with this image, or None."""
    try:
        message = cls.decode(image, version=version)
        message._header = None  # decoding leaves it out
        again = bytes(message.encode(version=version))
    except Exception as e:  # pylint: disable=broad-except
        return repr(e)
    return None if again == image else f"\n  ours   {image.hex()}\n  theirs {again.hex()}"


def main(path):
    known, passed, failed, unknown = classes(), 0, 0, set()
    for name, version, image in images(path):
        cls = known.get(name)
        if cls is None or version > cls.max_version or name in LEFT_OUT:
            unknown.add((name, version))
            continue
        what = wrong(cls, version, image)
        if what is None:
            passed += 1
            continue
        failed += 1
        if failed <= 20:
            print(f"FAIL {name} v{version}: {what}"[:2000])
    print(f"pycodec: {len(unknown)} messages and versions that it does not have")
    print(f"pycodec: {passed} passed, {failed} failed")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
