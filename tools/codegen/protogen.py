#!/usr/bin/env python3
"""Turns proto/defs into C, JSON or Markdown.

    protogen.py DEFS --out DIR     C: DIR/<message>.h, DIR/all.h, DIR/codec_NN.c, DIR/codec_hot.c, DIR/table.c,
                                   DIR/reflect.c; files whose text is unchanged are left alone
    protogen.py DEFS --list        the files that --out writes, one a line (CMake asks)
    protogen.py DEFS --json        the definitions, for tests that compare them
    protogen.py DEFS --markdown    docs/PROTOCOL.md
"""

import argparse
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import emit_c
import emit_doc
import kpdef

PARTS = 12  # C files of the messages that are not hot


def part_of(m):
    """Both halves of an API share a file, and a new definition moves no other."""
    return zlib.crc32(m.api.encode()) % PARTS


def files(msgs):
    """Name -> text of every generated file."""
    emit_c.prepare(msgs)
    out = {f"{m.c_name}.h": emit_c.Writer(m).header() for m in msgs}
    out["all.h"] = emit_c.all_header(msgs)
    out["codec_hot.c"] = emit_c.source_file([m for m in msgs if m.hot])
    for i in range(PARTS):
        out[f"codec_{i:02}.c"] = emit_c.source_file([m for m in msgs if not m.hot and part_of(m) == i])
    out["table.c"] = emit_c.table_file(msgs)
    out["reflect.c"] = emit_c.reflect_file(msgs)
    return out


def write(folder, texts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for path in folder.glob("*.[ch]"):  # of definitions that are gone
        if path.name not in texts:
            path.unlink()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("defs", type=Path)
    what = ap.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path)
    what.add_argument("--list", action="store_true")
    what.add_argument("--json", action="store_true")
    what.add_argument("--markdown", action="store_true")
    args = ap.parse_args()
    try:
        msgs = kpdef.load(args.defs)
    except kpdef.DefError as e:
        sys.exit(f"protogen: {e}")
    if args.out:
        write(args.out, files(msgs))
    elif args.list:
        print("\n".join(sorted(files(msgs))))
    else:
        sys.stdout.write(emit_doc.json_text(msgs) if args.json else emit_doc.markdown(msgs))


if __name__ == "__main__":
    main()
