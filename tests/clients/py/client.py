"""The command loop that the Python client drivers share: JSON lines in, JSON lines out."""

import json
import os
import pathlib
import sys
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))


def serve(handlers):
    """Runs commands until the input ends. Replies go to the original standard output only."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for text in sys.stdin:
        command = json.loads(text)
        try:
            reply = handlers[command.pop("op")](**command) or {}
            reply["ok"] = True
        except Exception:  # pylint: disable=broad-except
            reply = {"ok": False, "error": traceback.format_exc()}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
