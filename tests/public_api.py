#!/usr/bin/env python3
"""Compares the public API of the library with docs/public-api.txt, or writes that file: public_api.py check|write.

The listing has one line for each public item, with its full signature, sorted by path. It comes from
rustdoc's JSON output for all features except `isal`, which adds nothing public. Auto traits and blanket
implementations are not listed.
"""

import difflib
import json
import os
import subprocess
import sys
import tempfile

LISTING = "docs/public-api.txt"
FEATURES = "s3,serde,testing"
# Only compilers implement it.
HIDDEN_TRAITS = {"std::marker::StructuralPartialEq"}
# Names of the standard library that need no path.
PRELUDE = set("""AsMut AsRef Box Clone Copy Default DoubleEndedIterator Drop Eq ExactSizeIterator Extend Fn FnMut FnOnce
    From FromIterator Future Into IntoFuture IntoIterator Iterator Option Ord PartialEq PartialOrd Result Send Sized
    String Sync ToOwned ToString TryFrom TryInto Unpin Vec""".split())


def rustdoc():
    """Returns rustdoc's JSON. Only stable Rust is needed: the variable that permits the option is set for
    rustdoc alone, so cargo does not build the dependencies again."""
    with tempfile.TemporaryDirectory() as folder:
        wrapper = os.path.join(folder, "rustdoc")
        with open(wrapper, "w") as script:
            script.write(f'#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec "{os.environ.get("RUSTDOC", "rustdoc")}" "$@"\n')
        os.chmod(wrapper, 0o755)
        subprocess.run(
            ["cargo", "rustdoc", "--quiet", "-p", "wingback", "--lib", "--features", FEATURES, "--",
             "-Z", "unstable-options", "--output-format", "json"],
            env=os.environ | {"RUSTDOC": wrapper}, check=True)
    metadata = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    target = json.loads(subprocess.run(metadata, stdout=subprocess.PIPE, check=True).stdout)["target_directory"]
    with open(os.path.join(target, "doc", "wingback.json")) as file:
        return json.load(file)


class Api:
    def __init__(self, doc):
        self.index, self.paths = doc["index"], doc["paths"]
        self.names = {}  # public path of each local item
        self.lines = set()  # pairs of path and line
        root = str(doc["root"])
        self.name_items(root, "")
        for key, path in self.names.items():
            self.add(self.index[key], path)

    def name_items(self, module, prefix):
        for key in map(str, inner(self.index[module])[1]["items"]):
            item = self.index.get(key)
            if item is None or item["visibility"] != "public":
                continue
            kind, body = inner(item)
            name, target = item["name"], key
            if kind == "use":
                name, target = body["name"], str(body["id"])
                item = self.index.get(target)
                if item is None or inner(item)[0] == "module" and not item["name"] == name:
                    self.put(prefix + name, f"use {body['source']}")
                    continue
            if inner(item)[0] == "module":
                self.put(prefix + name, f"mod {prefix}{name}")
                self.name_items(target, f"{prefix}{name}::")
            else:
                self.names[target] = prefix + name

    def put(self, path, line):
        self.lines.add((path, line))

    def add(self, item, path):
        kind, body = inner(item)
        marks = attributes(item)
        if kind in ("struct", "enum"):
            self.put(path, f"{marks}{kind} {path}{self.generics(body)}")
            members = body["variants"] if kind == "enum" else fields(body["kind"])
            for member in members:
                self.add_member(path, self.index[str(member)])
            for each in body["impls"]:
                self.add_impl(path, self.index[str(each)])
        elif kind == "trait":
            bounds = self.bounds(body["bounds"], ": ")
            self.put(path, f"{marks}{'unsafe ' * body['is_unsafe']}trait {path}{self.generics(body)}{bounds}")
            for each in body["items"]:
                self.add_associated(path, self.index[str(each)], in_trait=True)
            for each in body["implementations"]:
                if str(each) in self.index:
                    self.add_impl(path, self.index[str(each)])
        elif kind == "function":
            self.put(path, marks + self.function(path, body))
        elif kind == "type_alias":
            self.put(path, f"type {path}{self.generics(body)} = {self.type(body['type'])}")
        elif kind == "constant":
            value = body["const"]["value"] or body["const"]["expr"]
            self.put(path, f"const {path}: {self.type(body['type'])} = {value}")
        elif kind == "static":
            self.put(path, f"static {path}: {self.type(body['type'])}")
        else:
            raise ValueError(f"public_api.py does not know the kind {kind} of {path}")

    def add_member(self, parent, item):
        path = f"{parent}::{item['name']}"
        kind, body = inner(item)
        if kind == "struct_field":
            if item["visibility"] in ("public", "default"):
                self.put(path, f"field {path}: {self.type(body)}")
            return
        shape = body["kind"]
        inside = ""
        if isinstance(shape, dict) and "tuple" in shape:
            inside = "(" + ", ".join(self.type(inner(self.index[str(each)])[1]) for each in shape["tuple"]) + ")"
        self.put(path, f"{attributes(item)}variant {path}{inside}")
        if isinstance(shape, dict) and "struct" in shape:
            for each in fields({"plain": shape["struct"]}):
                self.add_member(path, self.index[str(each)])

    def add_impl(self, path, item):
        body = inner(item)[1]
        if item["crate_id"] != 0 or body["is_synthetic"] or body["blanket_impl"]:
            return
        if body["trait"] is None:
            for each in body["items"]:
                associated = self.index[str(each)]
                if associated["visibility"] == "public":
                    self.add_associated(path, associated, in_trait=False)
            return
        target = str(body["for"].get("resolved_path", {}).get("id"))
        is_private = target in self.index and target not in self.names
        if is_private or self.path(body["trait"]) in HIDDEN_TRAITS:
            return
        types = [inner(self.index[str(each)])[1] | {"name": self.index[str(each)]["name"]}
                 for each in body["items"] if inner(self.index[str(each)])[0] == "assoc_type"]
        types = "".join(f" type {each['name']} = {self.type(each['type'])};" for each in types)
        line = f"impl{self.generics(body, where=False)} {self.path(body['trait'])} for {self.type(body['for'])}"
        # rustdoc lists an implementation at each type in it, and at the trait.
        path = self.names.get(target, path)
        self.put(f"{path}: {line}", line + self.where(body["generics"]) + (f" {{{types} }}" if types else ""))

    def add_associated(self, parent, item, in_trait):
        path = f"{parent}::{item['name']}"
        kind, body = inner(item)
        if kind == "function":
            provided = "provided " * (in_trait and body["has_body"])
            self.put(path, provided + attributes(item) + self.function(path, body))
        elif kind == "assoc_const":
            value = f" = {body['value']}" if body["value"] else ""
            self.put(path, f"const {path}: {self.type(body['type'])}{value}")
        else:
            default = f" = {self.type(body['type'])}" if body["type"] else ""
            self.put(path, f"type {path}{self.generics(body)}{self.bounds(body['bounds'], ': ')}{default}")

    def function(self, path, body):
        words = [word for word in ("const", "async", "unsafe") if body["header"][f"is_{word}"]]
        inputs = ", ".join(self.input(name, kind) for name, kind in body["sig"]["inputs"])
        signature = f"fn {path}{self.generics(body, where=False)}({inputs}){self.output(body['sig'])}"
        return " ".join([*words, signature]) + self.where(body["generics"])

    def input(self, name, kind):
        text = self.type(kind)
        if name != "self":
            return f"{name}: {text}"
        is_short = text == "Self" or text.startswith("&") and text.split()[-1].lstrip("&") == "Self"
        return text.replace("Self", "self") if is_short else f"self: {text}"

    def output(self, signature):
        return f" -> {self.type(signature['output'])}" if signature["output"] else ""

    def generics(self, body, where=True):
        shown = []
        for param in body["generics"]["params"]:
            kind, more = next(iter(param["kind"].items()))
            if kind == "lifetime":
                shown.append(param["name"] + (": " + " + ".join(more["outlives"]) if more["outlives"] else ""))
            elif kind == "const":
                shown.append(f"const {param['name']}: {self.type(more['type'])}")
            elif not more["is_synthetic"]:
                default = f" = {self.type(more['default'])}" if more["default"] else ""
                shown.append(param["name"] + self.bounds(more["bounds"], ": ") + default)
        return (f"<{', '.join(shown)}>" if shown else "") + (self.where(body["generics"]) if where else "")

    def where(self, generics):
        shown = []
        for predicate in generics["where_predicates"]:
            kind, body = next(iter(predicate.items()))
            if kind == "bound_predicate":
                of = self.binder(body["generic_params"]) + self.type(body["type"])
                shown.append(of + self.bounds(body["bounds"], ": "))
            elif kind == "lifetime_predicate":
                shown.append(f"{body['lifetime']}: {' + '.join(body['outlives'])}")
            else:
                shown.append(f"{self.type(body['lhs'])} == {self.term(body['rhs'])}")
        return f" where {', '.join(shown)}" if shown else ""

    def binder(self, params):
        return f"for<{', '.join(param['name'] for param in params)}> " if params else ""

    def bounds(self, bounds, before=""):
        shown = []
        for bound in bounds:
            kind, body = next(iter(bound.items()))
            if kind == "trait_bound":
                maybe = "?" * (body["modifier"] == "maybe")
                shown.append(maybe + self.binder(body["generic_params"]) + self.path(body["trait"]))
            elif kind == "outlives":
                shown.append(body)
            else:
                names = (each if isinstance(each, str) else next(iter(each.values())) for each in body)
                shown.append(f"use<{', '.join(names)}>")
        return before + " + ".join(shown) if shown else ""

    def term(self, term):
        return self.type(term["type"]) if "type" in term else term["constant"]["expr"]

    def args(self, args):
        kind, body = next(iter((args or {}).items()), (None, None))
        if kind is None:
            return ""
        if kind == "parenthesized":
            return f"({', '.join(map(self.type, body['inputs']))}){self.output(body)}"
        shown = []
        for arg in body["args"]:
            kind, value = next(iter(arg.items())) if isinstance(arg, dict) else ("infer", "_")
            shown.append(self.type(value) if kind == "type" else value["expr"] if kind == "const" else value)
        for each in body["constraints"]:
            kind, value = next(iter(each["binding"].items()))
            shown.append(each["name"] + (f" = {self.term(value)}" if kind == "equality" else self.bounds(value, ": ")))
        return f"<{', '.join(shown)}>" if shown else ""

    def path(self, path):
        key = str(path["id"])
        name = self.names.get(key)
        if name is None:
            parts = self.paths[key]["path"] if key in self.paths else path["path"].split("::")
            if parts[0] in ("core", "alloc", "std"):
                parts = [parts[-1]] if parts[-1] in PRELUDE and parts[1] != "fmt" else ["std", *parts[1:]]
            # Deeper modules are often private, and differ between versions.
            is_std = parts[0] == "std"
            parts = parts[:-1][: 3 if parts[:2] == ["std", "os"] else 1 + is_std] + parts[-1:]
            name = "::".join(parts)
        return name + self.args(path["args"])

    def type(self, kind):
        if isinstance(kind, str):
            return "_"
        tag, body = next(iter(kind.items()))
        if tag == "resolved_path":
            return self.path(body)
        if tag in ("generic", "primitive"):
            return "!" if body == "never" else body
        if tag == "tuple":
            return f"({', '.join(map(self.type, body))}{',' * (len(body) == 1)})"
        if tag == "slice":
            return f"[{self.type(body)}]"
        if tag == "array":
            return f"[{self.type(body['type'])}; {body['len']}]"
        if tag == "impl_trait":
            return self.bounds(body, "impl ")
        if tag == "dyn_trait":
            traits = [self.binder(each["generic_params"]) + self.path(each["trait"]) for each in body["traits"]]
            return "dyn " + " + ".join(traits + [body["lifetime"]] * bool(body["lifetime"]))
        if tag == "borrowed_ref":
            text = self.type(body["type"])
            text = f"({text})" if text.startswith(("dyn ", "impl ")) and " + " in text else text
            return f"&{body['lifetime'] + ' ' if body['lifetime'] else ''}{'mut ' * body['is_mutable']}{text}"
        if tag == "function_pointer":
            inputs = ", ".join(self.type(each) for _, each in body["sig"]["inputs"])
            return f"{self.binder(body['generic_params'])}fn({inputs}){self.output(body['sig'])}"
        if tag == "qualified_path":
            of = self.type(body["self_type"])
            trait = body["trait"] and self.path(body["trait"])
            return (f"<{of} as {trait}>" if trait and of != "Self" else of) + f"::{body['name']}{self.args(body['args'])}"
        raise ValueError(f"public_api.py does not know types of the kind {tag}")


def inner(item):
    return next(iter(item["inner"].items()))


def attributes(item):
    """Returns the attributes that are a part of the API. Older compilers write `MustUse`."""
    written = json.dumps(item["attrs"]).replace("MustUse", "must_use")
    return "".join(f"#[{name}] " for name in ("must_use", "non_exhaustive") if name in written)


def fields(kind):
    if kind == "unit":
        return []
    found = kind["plain"]["fields"] if "plain" in kind else kind["tuple"]
    return [each for each in found if each is not None]


def main():
    if sys.argv[1:] not in (["check"], ["write"]):
        sys.exit(__doc__)
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    now = "".join(f"{line}\n" for _, line in sorted(Api(rustdoc()).lines))
    if sys.argv[1] == "write":
        with open(LISTING, "w") as file:
            file.write(now)
        return
    with open(LISTING) as file:
        before = file.read()
    if now != before:
        diff = difflib.unified_diff(before.splitlines(), now.splitlines(), LISTING, "the sources", lineterm="", n=0)
        print("\n".join(diff))
        sys.exit(f"{LISTING} does not match src; `tests/public_api.py write` renews it")


if __name__ == "__main__":
    main()
