#!/usr/bin/env python3
"""Checks that the modules of each crate depend on each other in one direction: layers.py.

In the library, a module may only use modules of lower layers. In no crate may two files need each
other, directly or through others. The script reads `use` lines and paths that start with `crate::`,
`super::` or `self::`. The declaration of a module does not count as a use.
"""

import os
import re
import sys

# Lowest layer first. Files directly in src/ define shared public items, and are below all of these.
LAYERS = ["rt", "fs", "format", "read", "write", "net", "store", "source", "ops", "json", "testing"]
CRATES = ["src", "cli/src", "ffi/src", "hooks/src", "isal/src", "server/src", "worker/src"]
# Files that may use everything.
TOP = {(), ("main",), ("fuzzing",)}


def modules(root):
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            parts = path.removesuffix(".rs").split(os.sep)
            if name.endswith(".rs") and "tests" not in parts:
                parts = parts[:-1] if parts[-1] == "mod" else parts
                found[() if parts == ["lib"] else tuple(parts)] = os.path.join(folder, name)
    return found


def leaves(tree):
    """Returns the paths of a use tree."""
    before, brace, inside = tree.strip().partition("{")
    if not brace:
        return [before.split(" as ")[0]]
    parts, depth, part = [], 0, ""
    for char in inside[: inside.rindex("}")]:
        depth += (char == "{") - (char == "}")
        if char == "," and not depth:
            parts.append(part)
            part = ""
        else:
            part += char
    return [leaf for part in parts + [part] if part.strip() for leaf in leaves(before + part.strip())]


def resolve(module, path, known):
    parts = path.split("::")
    at = () if parts[0] == "crate" else module
    while parts and parts[0] in ("crate", "self", "super"):
        at = at[:-1] if parts.pop(0) == "super" else at
    at += tuple(parts)
    while at and at not in known:
        at = at[:-1]
    return at


def needs(module, text, known):
    text = re.sub(r"//[^\n]*", "", text)
    text = re.sub(r"#\[cfg\(test\)\]\s*mod \w+ \{.*", "", text, flags=re.S)
    found = []
    for tree in re.findall(r"^\s*(?:pub(?:\([^)]*\))? )?use ((?:crate|super|self)\b[^;]*);", text, re.M):
        found += leaves(tree)
    found += re.findall(r"\b(?:crate|super)(?:::\w+)+", re.sub(r"^\s*(?:pub\S* )?use [^;]*;", "", text, flags=re.M))
    return {resolve(module, path, known) for path in found} - {module, ()}


def cycle(graph):
    """Returns a cycle of modules, or None."""
    done = set()

    def walk(module, way):
        if module in way:
            return way[way.index(module):]
        if module in done:
            return None
        for other in sorted(graph.get(module, ())):
            if found := walk(other, way + [module]):
                return found
        done.add(module)
        return None

    return next((found for module in sorted(graph) if (found := walk(module, []))), None)


def name(module):
    return "::".join(module) or "lib"


def main():
    problems = []
    for root in CRATES:
        known = modules(root)
        graph = {module: needs(module, open(path).read(), known) for module, path in known.items() if module not in TOP}
        while found := cycle(graph):
            problems.append(f"{root}: these need each other: " + " -> ".join(map(name, found + found[:1])))
            graph[found[-1]].discard(found[0])
        if root != "src":
            continue
        for module, others in graph.items():
            for other in others:
                layer = LAYERS.index(module[0]) if module[0] in LAYERS else -1
                below = LAYERS.index(other[0]) if other[0] in LAYERS else -1
                if below > layer:
                    problems.append(f"{root}: {name(module)} needs {name(other)}, which is above it")
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(bool(problems))


main()
