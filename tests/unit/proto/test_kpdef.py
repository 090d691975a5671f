#!/usr/bin/env python3
"""The definition reader: what it makes of a good definition, and that it refuses bad ones by file and line."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools" / "codegen"))
import emit_c  # noqa: E402
import kpdef  # noqa: E402

HEAD = "data Thing versions 1-5 flexible 3\n"


def parse(text):
    with tempfile.TemporaryDirectory() as d:
        path = Path(d) / "thing.def"
        path.write_text(text)
        return kpdef.parse_file(path)


class Good(unittest.TestCase):
    def test_field_options(self):
        m = parse("# a note\n" + HEAD + "A string?2+ @1-4 = null ignorable\nB []Part @3+ tag 7 {\n C int8 = -1\n}\n")
        a, b = m.top.fields
        self.assertEqual(m.note, ["a note"])
        self.assertEqual((a.lo, a.hi, a.nlo, a.nhi, a.default, a.ignorable), (1, 4, 2, 4, "null", True))
        self.assertEqual((b.lo, b.hi, b.tag, b.array, b.struct.c_name), (3, 5, 7, True, "kp_thing_part"))
        self.assertEqual(b.struct.fields[0].default, -1)

    def test_names(self):
        for kafka, ours in (("TimeoutMs", "timeout_ms"), ("KRaftVersionFeature", "kraft_version_feature"),
                            ("V3AndBelowTopics", "v3_and_below_topics"), ("LastKnownElr", "last_known_elr")):
            self.assertEqual(kpdef.snake(kafka), ours)

    def test_piecewise(self):
        self.assertEqual(emit_c.piecewise([(1, 4), (2, 4), (3, 5), (4, 7)]), "v >= 4 ? 7 : v >= 3 ? 5 : 4")

    def test_cond(self):
        m = parse(HEAD + "A int8\n")
        self.assertEqual([emit_c.cond(lo, hi, m.top) for lo, hi in ((1, 5), (2, 5), (1, 4), (2, 3), (2, 2))],
                         ["", "v >= 2", "v <= 4", "v >= 2 && v <= 3", "v == 2"])


class Bad(unittest.TestCase):
    CASES = {
        "head": "thing Thing versions 1-5 flexible 3\nA int8\n",
        "class of data": "data Thing class A versions 1-5 flexible 3\nA int8\n",
        "no class": "request Thing key 1 versions 1-5 flexible 3\nA int8\n",
        "not a field": HEAD + "A  int8\n",
        "options out of order": HEAD + "A int8 = 3 @2+\n",
        "versions outside": HEAD + "A int8 @0-3\n",
        "versions backwards": HEAD + "A int8 @4-3\n",
        "inner versions outside": HEAD + "A []P @2-3 {\nB int8 @2-4\n}\n",
        "null number": HEAD + "A int8?\n",
        "null default": HEAD + "A string = null\n",
        "default too large": HEAD + "A int8 = 128\n",
        "default zero": HEAD + "A int8 = 0\n",
        "tag before flexible": HEAD + "A int8 tag 0\n",
        "tag twice": HEAD + "A int8 @3+ tag 0\nB int8 @3+ tag 0\n",
        "name twice": HEAD + "A int8\nA int16\n",
        "unknown structure": HEAD + "A []Nothing\n",
        "unused structure": HEAD + "A int8\nstruct P {\nB int8\n}\n",
        "structure twice": HEAD + "A P {\nB int8\n}\nC P {\nB int8\n}\n",
        "contains itself": HEAD + "A []P\nstruct P {\nB []P\n}\n",
        "open brace": HEAD + "A P {\nB int8\n",
        "closed twice": HEAD + "A int8\n}\n",
        "array of bytes": HEAD + "A []bytes\n",
        "empty": "",
    }

    def test_refused(self):
        for what, text in self.CASES.items():
            with self.subTest(what), self.assertRaisesRegex(kpdef.DefError, r"thing\.def"):
                parse(text).ordered_structs()


if __name__ == "__main__":
    unittest.main()
