#!/usr/bin/env python3
"""Measures a backup through the C library against one by the command, and the size of the library.

    make bench-c

The two run in turns and write to memory. The ratio is the median of the pairs, with its minimum and
maximum. The first pair is a warm-up.
"""

import argparse
from pathlib import Path
import subprocess
import tempfile

from run import HERE, TARGET, THREADS, absolute, archive, machine, make_tree, ours_command, spread, table, tree_facts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--wingback", type=Path, required=True, help="the command")
    add("--library", type=Path, action="append", required=True, metavar="FOLDER",
        help="with libwingback.so; the first one is measured, and the size of each is printed")
    add("--tree", type=Path, default=TARGET / "tree", help="the tree to archive; made if missing")
    add("--pairs", type=int, default=15, help="measured runs of each [%(default)s]")
    args = parser.parse_args()
    make_tree(args.tree)
    print(f"{machine()}\n\n{tree_facts(args.tree)}\n")
    with tempfile.TemporaryDirectory(prefix="wingback-c-") as folder:
        program = compiled(args.library[0].resolve(), Path(folder))
        print(compare(args, program))
        for library in args.library:
            print(f"{library}: {stripped(library, Path(folder)) / 1e6:.2f} MB stripped")


def compiled(library, folder):
    (folder / "libwingback.so.1").symlink_to(library / "libwingback.so")
    program = folder / "backup"
    subprocess.run(["cc", "-O2", f"-I{HERE.parent / 'include'}", HERE / "backup.c", "-o", program,
                    library / "libwingback.so", f"-Wl,-rpath,{folder}"], check=True)
    return program


def compare(args, program):
    commands = {
        "command": ours_command(str(args.wingback.resolve()), args.tree),
        "C": lambda out: [str(program), str(args.tree), out, str(THREADS)],
    }
    run = lambda name: archive(commands[name], Path("/dev/shm"))
    for name in commands:
        run(name)
    pairs = [(run("command"), run("C")) for _ in range(args.pairs)]
    rows = [["command", *absolute([command for command, _ in pairs]), ""],
            ["C", *absolute([c for _, c in pairs]), spread([c["wall"] / command["wall"] for command, c in pairs])]]
    head = ["", "wall s", "CPU s", "peak MB", "archive MB", "wall: C ÷ command"]
    return table(f"A backup through C ({args.pairs} pairs)", head, rows)


def stripped(library, folder):
    copy = folder / "stripped.so"
    subprocess.run(["strip", "-o", copy, library / "libwingback.so"], check=True)
    return copy.stat().st_size


if __name__ == "__main__":
    main()
