"""Prints the definitions as JSON, for tests, and as docs/PROTOCOL.md."""

import json

from kpdef import KINDS, NEVER

CLASSES = {"A": "every producer and consumer", "B": "admin tools", "C": "transactions", "D": "security",
           "E": "between brokers and controllers", "F": "later"}


def field_json(f):
    out = {"name": f.name, "type": ("[]" if f.array else "") + f.base, "versions": [f.lo, f.hi]}
    if f.nlo is not None:
        out["nullable"] = [f.nlo, f.nhi]
    if f.tag is not None:
        out["tag"] = f.tag
    if f.default is not None:
        out["default"] = str(f.default).lower()
    out["ignorable"] = f.ignorable
    out["inflexible"] = f.inflexible
    return out


def struct_json(s):
    return {"name": s.name, "versions": [s.lo, s.hi], "fields": [field_json(f) for f in s.fields]}


def json_text(msgs):
    out = [{"name": m.name, "kind": m.kind, "key": m.key, "class": m.cls, "versions": [m.lo, m.hi],
            "flexible": None if m.flex == NEVER else m.flex, "top": struct_json(m.top),
            "structs": [struct_json(s) for s in m.structs.values()]} for m in msgs]
    return json.dumps(out, indent=1) + "\n"


def versions(m):
    return str(m.lo) if m.lo == m.hi else f"{m.lo}-{m.hi}"


def flexible(m):
    return "never" if m.flex == NEVER else f"{m.flex}+"


def table(head, rows):
    widths = [max(len(str(r[i])) for r in [head, *rows]) for i in range(len(head))]
    line = lambda r: "| " + " | ".join(str(x).ljust(w) for x, w in zip(r, widths)) + " |"
    return [line(head), "|" + "|".join("-" * (w + 2) for w in widths) + "|", *map(line, rows), ""]


def notes(msgs):
    out = [f"- {m.name}: {' '.join(m.note)}" for m in msgs if m.note]
    return out + [""] if out else []


def markdown(msgs):
    out = ["# Protocol", "",
           "Printed by `tools/codegen/protogen.py proto/defs --markdown` from `proto/defs`; do not edit.",
           "Versions are those for which an encoder and a decoder exist. Which of them a broker serves and advertises is",
           "told by ApiVersions.", "", "## APIs", "",
           "Class: " + "; ".join(f"{c}, {t}" for c, t in CLASSES.items() if any(m.cls == c for m in msgs)) + ".", ""]
    reqs = [m for m in msgs if m.kind == "request"]
    out += table(["Key", "API", "Versions", "Flexible", "Class"],
                 [[m.key, m.api, versions(m), flexible(m), m.cls] for m in reqs])
    out += notes([m for m in msgs if m.kind in ("request", "response", "header")])
    for kind, title in KINDS.items():
        if kind in ("request", "response"):
            continue
        group = [m for m in msgs if m.kind == kind]
        out += [f"## {title[0].upper()}{title[1:]}", ""]
        keyed = any(m.key >= 0 for m in group)
        head = (["Type"] if keyed else []) + ["Name", "Versions", "Flexible"]
        out += table(head, [([m.key] if keyed else []) + [m.name, versions(m), flexible(m)] for m in group])
        if kind != "header":
            out += notes(group)
    return "\n".join(out).rstrip("\n") + "\n"
