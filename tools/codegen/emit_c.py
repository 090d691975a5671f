"""Prints the C of the messages: one header each, their functions, the tables. Called by protogen.py."""

import re
from collections import namedtuple

from kpdef import NEVER, PRIMITIVES

LOADS = {
    "bool": "{p}[{o}] != 0", "int8": "(int8_t){p}[{o}]", "int16": "(int16_t)be16_load({p} + {o})",
    "uint16": "be16_load({p} + {o})", "int32": "(int32_t)be32_load({p} + {o})", "uint32": "be32_load({p} + {o})",
    "int64": "(int64_t)be64_load({p} + {o})", "float64": "kp_f64_load({p} + {o})",
}
STORES = {
    "bool": "{p}[{o}] = {x}", "int8": "{p}[{o}] = (uint8_t){x}", "int16": "be16_store({p} + {o}, (uint16_t){x})",
    "uint16": "be16_store({p} + {o}, {x})", "int32": "be32_store({p} + {o}, (uint32_t){x})",
    "uint32": "be32_store({p} + {o}, {x})", "int64": "be64_store({p} + {o}, (uint64_t){x})",
    "float64": "kp_f64_store({p} + {o}, {x})", "uuid": "memcpy({p} + {o}, &{x}, 16)",
}
VARIABLE = {"string": "str", "bytes": "bytes", "records": "records"}
# element type -> (helper suffix, size argument)
ARRAYS = {"int16": ("i16s", ""), "int32": ("i32s", ""), "int64": ("i64s", ""), "int8": ("raws", ", 1"),
          "uuid": ("raws", ", 16")}


def literal(f):
    """A field's default in C."""
    d = f.default
    if f.base in VARIABLE or f.array:
        return "-1" if d == "null" else "0"
    if f.base == "bool":
        return "true" if d else "false"
    if d is None:
        return "0"
    if f.base == "int64":
        return f"INT64_C({d})"
    return "INT32_MIN" if d == -2**31 else str(d)


def piecewise(values):
    """A C expression for values[i] at the i-th version of [(version, value)...]."""
    runs = []
    for version, value in values:
        if not runs or runs[-1][1] != value:
            runs.append((version, value))
    text = str(runs[0][1])
    for version, value in runs[1:]:
        text = f"v >= {version} ? {value} : {text}"
    return text


def cond(lo, hi, outer):
    """The C condition for lo <= v <= hi when v is known to be within outer; "" for always."""
    parts = []
    if lo > outer.lo:
        parts.append(f"v >= {lo}")
    if hi < outer.hi:
        parts.append(f"v <= {hi}")
    if lo == hi and len(parts) == 2:
        parts = [f"v == {lo}"]
    return " && ".join(parts)


Range = namedtuple("Range", "lo hi")


class Code:
    """Lines of C with their depth."""

    def __init__(self, depth=1):
        self.lines, self.depth = [], depth

    def add(self, text):
        self.lines.append("    " * self.depth + text)

    def open(self, text):
        self.add(text + " {")
        self.depth += 1

    def close(self, text="}"):
        self.depth -= 1
        self.add(text)

    def text(self):
        return "\n".join(self.lines)


class Writer:
    """The functions of one message."""

    def __init__(self, msg):
        self.msg = msg
        self.structs = msg.ordered_structs()

    # ---- facts about versions

    def flexible(self, v):
        return v >= self.msg.flex

    def flex_expr(self, f, s):
        if f.inflexible or self.msg.flex > s.hi:
            return "false"
        return "true" if self.msg.flex <= s.lo else "flex"

    def nul_expr(self, f, s):
        if f.nlo is None:
            return "false"
        return cond(f.nlo, f.nhi, f) or "true"

    def has_tags(self, s):
        return self.msg.flex <= s.hi

    def tagged(self, s):
        return sorted((f for f in s.fields if f.tag is not None), key=lambda f: f.tag)

    def runs(self, s):
        """Untagged fields in groups: fixed sizes of the same versions together, others alone."""
        groups = []
        for f in s.fields:
            if f.tag is not None:
                continue
            last = groups[-1] if groups else None
            if last and f.size and last[0].size and (f.lo, f.hi) == (last[0].lo, last[0].hi):
                last.append(f)
            else:
                groups.append([f])
        return groups

    def min_bytes(self, f, v):
        if not f.lo <= v <= f.hi:
            return 0
        flex = self.flexible(v) and not f.inflexible
        if f.array or f.base in ("bytes", "records"):
            return 1 if flex else 4
        if f.base == "string":
            return 1 if flex else 2
        if f.struct:
            return 1 if f.pointer else self.min_struct(f.struct, v)
        return f.size

    def min_struct(self, s, v):
        n = sum(self.min_bytes(f, v) for f in s.fields if f.tag is None)
        return n + (1 if self.flexible(v) else 0)

    def min_expr(self, f, s):
        """Least bytes of one element of an array."""
        if f.size_of_element:
            return str(f.size_of_element)
        lo, hi = max(f.lo, s.lo), min(f.hi, s.hi)
        values = []
        for v in range(lo, hi + 1):
            n = self.min_struct(f.struct, v) if f.struct else (1 if self.flexible(v) else 2)
            assert n > 0, (self.msg.name, f.name, v)
            values.append((v, n))
        return piecewise(values)

    # ---- defaults

    def init_parts(self, s):
        """Designated initialisers of all that is not zero."""
        parts = []
        for f in s.fields:
            n = f.c_name
            if f.array:
                if f.default == "null":
                    parts.append(f".{n}_n = -1")
            elif f.base in VARIABLE:
                if f.default == "null":
                    parts.append(f".{n} = {{.n = -1}}")
            elif f.struct:
                if f.pointer:
                    if f.default is None:
                        parts.append(f".{n} = {self.shared(f)}")
                else:
                    inner = self.init_parts(f.struct)
                    if inner:
                        parts.append(f".{n} = {{{', '.join(inner)}}}")
            elif f.default is not None:
                parts.append(f".{n} = {literal(f)}")
        return parts

    def shared(self, f):
        """The read-only structure that a nullable structure without a null default points to."""
        return f"({f.struct.c_name_t} *)(uintptr_t)&dflt_{f.struct.c_name}"

    def initialiser(self, s):
        parts = self.init_parts(s)
        return "{" + ", ".join(parts) + "}" if parts else "{0}"

    def set_default(self, c, f):
        n = "m->" + f.c_name
        if f.array:
            c.add(f"{n} = NULL;")
            c.add(f"{n}_n = {literal(f)};")
        elif f.base in VARIABLE:
            c.add(f"{n} = ({PRIMITIVES[f.base][1]}){{NULL, {literal(f)}}};")
        elif f.pointer:
            c.add(f"{n} = {'NULL' if f.default == 'null' else self.shared(f)};")
        elif f.struct:
            c.add(f"{n} = ({f.struct.c_name_t}){self.initialiser(f.struct)};")
        elif f.base == "uuid":
            c.add(f"memset(&{n}, 0, 16);")
        else:
            c.add(f"{n} = {literal(f)};")

    def non_default(self, f, m="m"):
        """The C condition that a field differs from its default."""
        n = f"{m}->{f.c_name}"
        if f.array:
            return f"{n}_n {'>= 0' if f.default == 'null' else '!= 0'}"
        if f.base in VARIABLE:
            return f"{n}.n {'>= 0' if f.default == 'null' else '!= 0'}"
        if f.pointer:
            return n if f.default == "null" else f"!{n} || !is_{f.struct.c_name}({n})"
        if f.struct:
            return f"!is_{f.struct.c_name}(&{n})"
        if f.base == "uuid":
            return f"!sl_uuid_is_zero(&{n})"
        if f.base == "bool":
            return f"!{n}" if f.default else n
        return f"{n} != {literal(f)}"

    # ---- decode

    def dec_fixed(self, c, run):
        total = sum(f.size for f in run)
        c.add(f"if (sl_unlikely(!(p = kp_take(r, {total}))))")
        c.add("    return -EBADMSG;")
        at = 0
        for f in run:
            if f.base == "uuid":
                c.add(f"memcpy(&m->{f.c_name}, p + {at}, 16);" if at else f"memcpy(&m->{f.c_name}, p, 16);")
            else:
                c.add(f"m->{f.c_name} = {load(f.base, at)};")
            at += f.size

    def check(self, c, expr):
        c.add(f"if (sl_unlikely((rc = {expr}) < 0))")
        c.add("    return rc;")

    def dec_array(self, c, f, s):
        n, flex = "m->" + f.c_name, self.flex_expr(f, s)
        self.check(c, f"kp_get_array(r, {flex}, {self.nul_expr(f, s)}, {self.min_expr(f, s)}, sizeof(*{n}), &q, "
                      f"&{n}_n)")
        c.add(f"{n} = q;")
        if f.struct:
            c.open(f"for (int32_t i = 0; i < {n}_n; i++)")
            self.check(c, f"dec_{f.struct.c_name}(&{n}[i], r, v)")
            c.close()
        elif f.base == "string":
            self.check(c, f"kp_get_strs(r, {flex}, {n}, {n}_n)")
        else:
            suffix, extra = ARRAYS[f.base]
            c.add(f"kp_get_{suffix}(r, {n}, {n}_n{extra});")

    def dec_pointer(self, c, f, s):
        """A byte tells: negative for null, else 1. In a tagged field it is a uvarint, and 0 means null."""
        n, nul = "m->" + f.c_name, self.nul_expr(f, s)
        if f.tag is not None:
            c.add("uint32_t there;")
            c.add("if (sl_unlikely(sl_uvarint32_get(&r->p, r->end, &there) < 0))")
            c.add("    return -EBADMSG;")
            c.open("if (there == 0)")
        else:
            c.add("if (sl_unlikely(!(p = kp_take(r, 1))))")
            c.add("    return -EBADMSG;")
            c.open("if ((int8_t)*p < 0)")
        if nul != "true":
            c.add(f"if (!({nul}))")
            c.add("    return -EBADMSG;")
        c.add(f"{n} = NULL;")
        c.close("} else {")
        c.depth += 1
        c.add(f"if (sl_unlikely(!({n} = arena_alloc(r->a, sizeof(*{n})))))")
        c.add("    return -ENOMEM;")
        self.check(c, f"dec_{f.struct.c_name}({n}, r, v)")
        c.close()

    def dec_value(self, c, f, s):
        if f.size:
            self.dec_fixed(c, [f])
        elif f.array:
            self.dec_array(c, f, s)
        elif f.pointer:
            self.dec_pointer(c, f, s)
        elif f.struct:
            self.check(c, f"dec_{f.struct.c_name}(&m->{f.c_name}, r, v)")
        else:
            self.check(c, f"kp_get_{VARIABLE[f.base]}(r, {self.flex_expr(f, s)}, {self.nul_expr(f, s)}, "
                          f"&m->{f.c_name})")

    def dec_tags(self, c, s):
        tagged = self.tagged(s)
        flex = self.flex_expr(tagged[0], s) if tagged else self.flex_of(s)
        if not tagged:
            self.check(c, "kp_skip_tags(r)") if flex == "true" else self.check_if(c, "flex", "kp_skip_tags(r)")
            return
        for f in tagged:
            self.set_default(c, f)
        if flex != "true":
            c.open("if (flex)")
        c.add("uint32_t tags, tag;")
        c.add("int64_t prev = -1;")
        c.add("if (sl_unlikely(sl_uvarint32_get(&r->p, r->end, &tags) < 0))")
        c.add("    return -EBADMSG;")
        c.open("for (; tags > 0; tags--)")
        c.add("const uint8_t *limit, *end = r->end;")
        self.check(c, "kp_get_tag(r, &prev, &tag, &limit)")
        c.add("r->end = limit;")
        c.add("switch (tag) {")
        for f in tagged:
            self.dec_one_tag(c, f, s)
        c.add("default:")
        c.add("    r->p = limit;")
        c.add("    break;")
        c.add("}")
        c.add("if (sl_unlikely(r->p != limit))")
        c.add("    return -EBADMSG;")
        c.add("r->end = end;")
        c.close()
        if flex != "true":
            c.close()

    def dec_one_tag(self, c, f, s):
        c.open(f"case {f.tag}:")
        known = cond(f.lo, f.hi, Range(max(s.lo, self.msg.flex), s.hi))
        if known:
            c.add(f"if (!({known}))")
            c.add("    return -EBADMSG;")
        self.dec_value(c, f, s)
        c.add("break;")
        c.close()

    def check_if(self, c, condition, expr):
        c.add(f"if ({condition} && sl_unlikely((rc = {expr}) < 0))")
        c.add("    return rc;")

    def flex_of(self, s):
        return "true" if self.msg.flex <= s.lo else "flex"

    def decoder(self, s):
        c = Code()
        for run in self.runs(s):
            known = cond(run[0].lo, run[0].hi, s)
            if known:
                c.open(f"if ({known})")
            if run[0].size:
                self.dec_fixed(c, run)
            else:
                self.dec_value(c, run[0], s)
            if known:
                c.close("} else {")
                c.depth += 1
                for f in run:
                    self.set_default(c, f)
                c.close()
        if self.has_tags(s):
            self.dec_tags(c, s)
        return self.function(c, f"static int dec_{s.c_name}({s.c_name_t} *m, struct kp_reader *r, const int16_t v)",
                             {"p": "const uint8_t *p;", "q": "void *q;", "rc": "int rc;"}, "0")

    def function(self, c, head, locals_, result):
        body = c.text()
        decls = []
        if word("flex", body):
            decls.append(f"    const bool flex = v >= {self.msg.flex};")
        decls += ["    " + d for name, d in locals_.items() if word(name, body)]
        lines = [head, "{"] + decls + ([body] if body else []) + [f"    return {result};", "}", ""]
        return "\n".join(lines)

    # ---- encode and size: fields that the version lacks

    def refuse(self, c, run):
        """The else branch of a version condition: what cannot be dropped must be default."""
        kept = [f for f in run if not f.ignorable]
        if not kept:
            c.close()
            return
        tests = " || ".join(self.non_default(f) for f in kept)
        c.close(f"}} else if (sl_unlikely({tests})) {{")
        c.depth += 1
        c.add("return -EINVAL;")
        c.close()

    # ---- encode

    def enc_fixed(self, c, run):
        total = sum(f.size for f in run)
        c.add(f"if (sl_unlikely(!(p = kp_room(w, {total}))))")
        c.add("    return -ENOBUFS;")
        at = 0
        for f in run:
            c.add(store(f.base, at, "m->" + f.c_name) + ";")
            at += f.size

    def enc_array(self, c, f, s):
        n, flex = "m->" + f.c_name, self.flex_expr(f, s)
        self.check(c, f"kp_put_len(w, {flex}, true, {self.nul_expr(f, s)}, {n}_n)")
        if f.struct:
            c.open(f"for (int32_t i = 0; i < {n}_n; i++)")
            self.check(c, f"enc_{f.struct.c_name}(&{n}[i], w, v)")
            c.close()
        elif f.base == "string":
            self.check(c, f"kp_put_strs(w, {flex}, {n}, {n}_n)")
        else:
            suffix, extra = ARRAYS[f.base]
            self.check(c, f"kp_put_{suffix}(w, {n}, {n}_n{extra})")

    def enc_value(self, c, f, s):
        n = "m->" + f.c_name
        if f.size:
            self.enc_fixed(c, [f])
        elif f.array:
            self.enc_array(c, f, s)
        elif f.pointer:
            nul = self.nul_expr(f, s)
            if nul != "true":
                c.add(f"if (!{n} && !({nul}))")
                c.add("    return -EINVAL;")
            c.add("if (sl_unlikely(!(p = kp_room(w, 1))))")
            c.add("    return -ENOBUFS;")
            c.add(f"*p = {n} ? 1 : {0 if f.tag is not None else '0xff'};")
            self.check_if(c, n, f"enc_{f.struct.c_name}({n}, w, v)")
        elif f.struct:
            self.check(c, f"enc_{f.struct.c_name}(&{n}, w, v)")
        else:
            self.check(c, f"kp_put_{VARIABLE[f.base]}(w, {self.flex_expr(f, s)}, {self.nul_expr(f, s)}, &{n})")

    def count_tags(self, c, s):
        """tags: how many tagged fields are written. Also refuses those that the version lacks."""
        c.add("uint32_t tags = 0;")
        for f in self.tagged(s):
            known, test = cond(f.lo, f.hi, s), self.non_default(f)
            if known:
                c.open(f"if ({known})")
            c.add(f"tags += ({test}) ? 1 : 0;")
            if known:
                self.refuse(c, [f])

    def tag_guard(self, f, s):
        known, test = cond(f.lo, f.hi, s), self.non_default(f)
        return f"{known} && ({test})" if known else test

    def enc_tags(self, c, s):
        tagged, flex = self.tagged(s), self.flex_of(s)
        if not tagged:
            put = "kp_put_uvarint(w, 0)"
            self.check(c, put) if flex == "true" else self.check_if(c, "flex", put)
            return
        self.count_tags(c, s)
        if flex == "true":
            self.check(c, "kp_put_uvarint(w, tags)")
        else:
            self.check_if(c, "flex", "kp_put_uvarint(w, tags)")
        c.open("if (sl_unlikely(tags))")
        for f in tagged:
            c.open(f"if ({self.tag_guard(f, s)})")
            self.check(c, f"kp_put_uvarint(w, {f.tag})")
            if f.size:
                self.check(c, f"kp_put_uvarint(w, {f.size})")
            else:
                c.add(f"int64_t n = tsz_{s.c_name}_{f.c_name}(m, v);")
                c.add("if (sl_unlikely(n < 0 || n > INT32_MAX))")
                c.add("    return -EINVAL;")
                self.check(c, "kp_put_uvarint(w, (uint32_t)n)")
            self.enc_value(c, f, s)
            c.close()
        c.close()

    def encoder(self, s):
        c = Code()
        for run in self.runs(s):
            known = cond(run[0].lo, run[0].hi, s)
            if known:
                c.open(f"if ({known})")
            if run[0].size:
                self.enc_fixed(c, run)
            else:
                self.enc_value(c, run[0], s)
            if known:
                self.refuse(c, run)
        if self.has_tags(s):
            self.enc_tags(c, s)
        head = f"static int enc_{s.c_name}(const {s.c_name_t} *m, struct kp_writer *w, const int16_t v)"
        return self.function(c, head, {"p": "uint8_t *p;", "rc": "int rc;"}, "0")

    # ---- size

    def fixed_bytes(self, s, v):
        """Bytes of a structure that depend on the version alone."""
        n = sum(f.size for f in s.fields if f.tag is None and f.size and f.lo <= v <= f.hi)
        n += sum(1 for f in s.fields if f.tag is None and f.pointer and f.lo <= v <= f.hi)
        return n + (1 if self.flexible(v) and not self.tagged(s) else 0)

    def size_array(self, c, f, s):
        n, flex = "m->" + f.c_name, self.flex_expr(f, s)
        each = f.size_of_element or 0
        self.check(c, f"kp_size_array({flex}, {self.nul_expr(f, s)}, {n}_n, {each}, &n)")
        if f.struct:
            c.open(f"for (int32_t i = 0; i < {n}_n; i++)")
            c.add(f"int64_t e = sz_{f.struct.c_name}(&{n}[i], v);")
            c.add("if (sl_unlikely(e < 0))")
            c.add("    return e;")
            c.add("n += e;")
            c.close()
        elif f.base == "string":
            self.check(c, f"kp_size_strs({flex}, {n}, {n}_n, &n)")

    def size_struct(self, c, f, arg):
        c.add(f"int64_t e = sz_{f.struct.c_name}({arg}, v);")
        c.add("if (sl_unlikely(e < 0))")
        c.add("    return e;")
        c.add("n += e;")

    def size_value(self, c, f, s):
        """Adds what fixed_bytes does not count."""
        n = "m->" + f.c_name
        if f.array:
            self.size_array(c, f, s)
        elif f.pointer:
            nul = self.nul_expr(f, s)
            if nul != "true":
                c.add(f"if (!{n} && !({nul}))")
                c.add("    return -EINVAL;")
            c.open(f"if ({n})")
            self.size_struct(c, f, n)
            c.close()
        elif f.struct:
            c.add("{")
            c.depth += 1
            self.size_struct(c, f, "&" + n)
            c.close()
        else:
            self.check(c, f"kp_size_{VARIABLE[f.base]}({self.flex_expr(f, s)}, {self.nul_expr(f, s)}, &{n}, &n)")

    def tag_sizer(self, f, s):
        c = Code()
        c.add(f"int64_t n = {1 if f.pointer else 0};")
        self.size_value(c, f, s)
        head = f"static int64_t tsz_{s.c_name}_{f.c_name}(const {s.c_name_t} *m, const int16_t v)"
        return self.function(c, head, {"rc": "int rc;"}, "n")

    def size_tags(self, c, s):
        tagged, flex = self.tagged(s), self.flex_of(s)
        if not tagged:
            return
        self.count_tags(c, s)
        c.add("n += sl_uvarint32_size(tags);" if flex == "true" else "n += flex ? sl_uvarint32_size(tags) : 0;")
        c.open("if (sl_unlikely(tags))")
        for f in tagged:
            c.open(f"if ({self.tag_guard(f, s)})")
            head = uvarint_size(f.tag)
            if f.size:
                c.add(f"n += {head + 1 + f.size};")
            else:
                c.add(f"int64_t e = tsz_{s.c_name}_{f.c_name}(m, v);")
                c.add("if (sl_unlikely(e < 0 || e > INT32_MAX))")
                c.add("    return -EINVAL;")
                c.add(f"n += {head} + sl_uvarint32_size((uint32_t)e) + e;")
            c.close()
        c.close()

    def sizer(self, s):
        c = Code()
        c.add(f"int64_t n = {piecewise([(v, self.fixed_bytes(s, v)) for v in range(s.lo, s.hi + 1)])};")
        for run in self.runs(s):
            known = cond(run[0].lo, run[0].hi, s)
            if run[0].size:
                kept = [f for f in run if not f.ignorable]
                if known and kept:
                    tests = " || ".join(self.non_default(f) for f in kept)
                    c.add(f"if (!({known}) && sl_unlikely({tests}))")
                    c.add("    return -EINVAL;")
                continue
            if known:
                c.open(f"if ({known})")
            self.size_value(c, run[0], s)
            if known:
                self.refuse(c, run)
        if self.has_tags(s):
            self.size_tags(c, s)
        head = f"static int64_t sz_{s.c_name}(const {s.c_name_t} *m, const int16_t v)"
        return self.function(c, head, {"rc": "int rc;"}, "n")

    # ---- the rest

    def compared(self):
        """Structures whose equality with their default is asked for."""
        out = []

        def visit(s):
            if s in out:
                return
            for f in s.fields:
                if f.struct and not f.array and not (f.pointer and f.default == "null"):
                    visit(f.struct)
            out.append(s)

        for s in self.structs:
            for f in s.fields:
                asked = f.tag is not None or ((f.lo, f.hi) != (s.lo, s.hi) and not f.ignorable)
                if f.struct and not f.array and asked and not (f.pointer and f.default == "null"):
                    visit(f.struct)
        return out

    def comparer(self, s):
        tests = " && ".join(f"!({self.non_default(f)})" for f in s.fields) or "true"
        return (f"static bool is_{s.c_name}(const {s.c_name_t} *m)\n{{\n    return {tests};\n}}\n")

    def shared_defaults(self):
        out = []
        for s in self.structs:
            for f in s.fields:
                if f.pointer and f.default is None and f.struct not in out:
                    out.append(f.struct)
        return [f"static const {s.c_name_t} dflt_{s.c_name} = {self.initialiser(s)};\n" for s in out]

    def public(self):
        m, t = self.msg, self.msg.top.c_name
        outside = f"sl_unlikely(version < {m.lo} || version > {m.hi})"
        return f"""int64_t {t}_decode(struct {t} *m, const uint8_t *buf, size_t len, int16_t version, struct arena *a)
{{
    if ({outside})
        return -EPROTONOSUPPORT;
    struct kp_reader r = {{.p = buf, .end = buf + len, .a = a}};
    int rc = dec_{t}(m, &r, version);
    return rc < 0 ? rc : r.p - buf;
}}

int64_t {t}_size(const struct {t} *m, int16_t version)
{{
    if ({outside})
        return -EPROTONOSUPPORT;
    return sz_{t}(m, version);
}}

int {t}_encode(const struct {t} *m, int16_t version, struct kp_writer *w)
{{
    const size_t len = w->len;
    const uint32_t splices_n = w->splices_n;
    if (sl_unlikely(w->err))
        return w->err;
    int rc = {outside} ? -EPROTONOSUPPORT : enc_{t}(m, w, version);
    if (sl_unlikely(rc < 0)) {{
        w->err = rc;
        w->len = len;
        w->splices_n = splices_n;
    }}
    return rc;
}}
"""

    def source(self):
        out = [f"/* ---- {self.msg.name} ---- */\n"]
        out += self.shared_defaults()
        for s in self.structs:
            out.append(f"void {s.c_name}_init({s.c_name_t} *m)\n{{\n    *m = ({s.c_name_t}){self.initialiser(s)};\n}}\n")
        out += [self.comparer(s) for s in self.compared()]
        for s in self.structs:
            out.append(self.decoder(s))
            out += [self.tag_sizer(f, s) for f in s.fields if f.tag is not None and not f.size]
            out.append(self.sizer(s))
            out.append(self.encoder(s))
        out.append(self.public())
        return "\n".join(out)

    def versions_note(self, f, s):
        if (f.lo, f.hi) == (s.lo, s.hi):
            return ""
        if f.lo == f.hi:
            return f"v{f.lo}"
        return f"v{f.lo}+" if f.hi == s.hi else f"v{f.lo}-{f.hi}"

    def member(self, f, s):
        t = f.struct.c_name_t if f.struct else PRIMITIVES[f.base][1]
        notes = [self.versions_note(f, s)]
        if f.nlo is not None:
            full = (f.nlo, f.nhi) == (f.lo, f.hi)
            notes.append("nullable" if full else f"nullable in v{f.nlo}-{f.nhi}")
        if f.default is not None:
            notes.append(f"default {str(f.default).lower()}")
        text = ", ".join(n for n in notes if n)
        sep = " " if not (f.array or f.pointer) else " *"
        line = f"    {t}{sep}{f.c_name};" + (f" /* {text} */" if text else "")
        return [line] + ([f"    int32_t {f.c_name}_n;"] if f.array else [])

    def header(self):
        m, t = self.msg, self.msg.top.c_name
        guard = f"SLUICE_GEN_{m.c_name.upper()}_H"
        flex = "never flexible" if m.flex == NEVER else f"flexible from {m.flex}"
        key = f", key {m.key}" if m.key >= 0 else ""
        out = [f"/* {m.name}: {m.kind}{key}, versions {m.lo}-{m.hi}, {flex}. Generated from proto/defs/{m.path}."]
        out += [f" * {n}" for n in m.note]
        out[-1] += " */"
        out += [f"#ifndef {guard}", f"#define {guard}", "", '#include "proto/codec.h"', ""]
        for s in self.structs:
            out.append(f"{s.c_name_t} {{")
            for f in s.fields:
                out += self.member(f, s)
            if not s.fields:
                out.append("    uint8_t unused; /* the message has no fields */")
            out += ["};", ""]
        out.append("SL_EXTERN_C_BEGIN")
        out += [f"void {s.c_name}_init({s.c_name_t} *m);" for s in self.structs]
        out.append(f"int64_t {t}_decode(struct {t} *m, const uint8_t *buf, size_t len, int16_t version,\n"
                   f"    struct arena *a);")
        out.append(f"int64_t {t}_size(const struct {t} *m, int16_t version);")
        out.append(f"int {t}_encode(const struct {t} *m, int16_t version, struct kp_writer *w);")
        out += ["SL_EXTERN_C_END", ""]
        if m.kind == "response":
            out += self.throttle_setter(t)
        out += ["#endif", ""]
        return "\n".join(out)

    def throttle_setter(self, t):
        """Every response has it, so that one place can fill the field in; a response without the field ignores it."""
        has = any(f.c_name == "throttle_time_ms" for f in self.structs[-1].fields)
        body = "    m->throttle_time_ms = ms;" if has else "    (void)m;\n    (void)ms;"
        return [f"static inline void {t}_set_throttle(struct {t} *m, int32_t ms)\n{{\n{body}\n}}", ""]


def word(name, text):
    """Whether a C body names a local variable."""
    return re.search(rf"(?<![\w>.]){name}\b", text) is not None


def load(base, at):
    text = LOADS[base].format(p="p", o=at)
    return text.replace("p + 0)", "p)")


def store(base, at, value):
    text = STORES[base].format(p="p", o=at, x=value)
    return text.replace("p + 0,", "p,")


def uvarint_size(n):
    size = 1
    while n >= 128:
        n, size = n >> 7, size + 1
    return size


def prepare(msgs):
    """Hangs on each structure and field what the printing needs."""
    for m in msgs:
        for s in m.ordered_structs():
            s.c_name_t = "struct " + s.c_name
            for f in s.fields:
                f.size_of_element = PRIMITIVES[f.base][0] if f.array and not f.struct else None


def source_file(msgs):
    hot = any(m.hot for m in msgs)
    out = ["/* Generated from proto/defs by tools/codegen. */"]
    if hot:
        out.append("#define KP_INLINE 1")
    out.append('#include "proto/codec_private.h"')
    out += [f'#include "proto/gen/{m.c_name}.h"' for m in msgs]
    out.append("")
    out += [Writer(m).source() for m in msgs]
    return "\n".join(out)


def all_header(msgs):
    out = ["/* Every message. Generated from proto/defs by tools/codegen. */", "#ifndef SLUICE_GEN_ALL_H",
           "#define SLUICE_GEN_ALL_H", ""]
    out += [f'#include "proto/gen/{m.c_name}.h"' for m in msgs]
    return "\n".join(out + ["", "#endif", ""])


def table_file(msgs):
    """The APIs, and the messages without their types."""
    out = ["/* Generated from proto/defs by tools/codegen. */", '#include "proto/table_private.h"',
           '#include "proto/gen/all.h"', "", "const struct kp_api kp_apis[] = {"]
    apis = [m for m in msgs if m.kind == "request"]
    for m in apis:
        flex = "INT16_MAX" if m.flex == NEVER else m.flex
        out.append(f"    {{{m.key}, {m.lo}, {m.hi}, {flex}, \"{m.api}\", '{m.cls}'}},")
    top = max(m.key for m in apis)
    index = [-1] * (top + 1)
    for i, m in enumerate(apis):
        index[m.key] = i
    out += ["};", f"const uint32_t kp_apis_n = {len(apis)};", f"const int16_t kp_api_key_max = {top};",
            f"const int16_t kp_api_index[] = {{{', '.join(map(str, index))}}};", ""]
    for m in msgs:
        t = m.top.c_name
        out += [f"static void init_{t}(void *m)\n{{\n    {t}_init(m);\n}}",
                f"static int64_t dec_{t}(void *m, const uint8_t *b, size_t n, int16_t v, struct arena *a)\n{{\n"
                f"    return {t}_decode(m, b, n, v, a);\n}}",
                f"static int64_t sz_{t}(const void *m, int16_t v)\n{{\n    return {t}_size(m, v);\n}}",
                f"static int enc_{t}(const void *m, int16_t v, struct kp_writer *w)\n{{\n"
                f"    return {t}_encode(m, v, w);\n}}"]
    out += ["", "const struct kp_message kp_messages[] = {"]
    for m in msgs:
        t = m.top.c_name
        flex = "INT16_MAX" if m.flex == NEVER else m.flex
        kind = "KP_KIND_" + m.kind.upper().replace("-", "_")
        out.append(f'    {{"{m.name}", "{m.c_name}", sizeof(struct {t}), {m.lo}, {m.hi}, {flex}, {m.key}, {kind}, '
                   f"init_{t}, dec_{t}, sz_{t}, enc_{t}}},")
    return "\n".join(out + ["};", f"const uint32_t kp_messages_n = {len(msgs)};", ""])


def reflect_file(msgs):
    out = ["/* Generated from proto/defs by tools/codegen. */", '#include "proto/reflect.h"',
           '#include "proto/table_private.h"', '#include "proto/gen/all.h"', ""]
    for m in msgs:
        for s in m.ordered_structs():
            out.append(f"static void init_{s.c_name}(void *m)\n{{\n    {s.c_name}_init(m);\n}}")
            if s.fields:
                out.append(f"static const struct kp_field_info f_{s.c_name}[] = {{")
                out += [reflect_field(f, s) for f in s.fields]
                out.append("};")
            fields = f"f_{s.c_name}" if s.fields else "NULL"
            out.append(f'static const struct kp_struct_info s_{s.c_name} = {{"{s.name}", {fields}, {len(s.fields)}, '
                       f"sizeof({s.c_name_t}), init_{s.c_name}}};")
    out += ["", "static const struct kp_struct_info *const tops[] = {"]
    out += [f"    &s_{m.top.c_name}," for m in msgs]
    out += ["};", "", "const struct kp_struct_info *kp_message_reflect(const struct kp_message *m)", "{",
            "    SL_ASSERT(m >= kp_messages && m < kp_messages + kp_messages_n);",
            "    return tops[m - kp_messages];", "}", ""]
    return "\n".join(out)


def reflect_field(f, s):
    sub = f"&s_{f.struct.c_name}" if f.struct else "NULL"
    kind = "STRUCT" if f.struct else f.base.upper()
    off_n = f"offsetof({s.c_name_t}, {f.c_name}_n)" if f.array else "0"
    nlo, nhi = (f.nlo, f.nhi) if f.nlo is not None else (-1, -1)
    tag = f.tag if f.tag is not None else -1
    flags = ", ".join(str(b).lower() for b in (f.array, f.pointer, f.ignorable))
    return (f'    {{"{f.name}", {sub}, offsetof({s.c_name_t}, {f.c_name}), {off_n}, {f.lo}, {f.hi}, {nlo}, {nhi}, '
            f"{tag}, KP_TYPE_{kind}, {flags}}},")
