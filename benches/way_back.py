#!/usr/bin/env python3
"""Measure listing, verifying, extracting and restoring against GNU tar and gzip.

    cargo build --release
    python3 benches/way_back.py --wingback default=target/release/wingback

The tree is that of benches/run.py, and so are the rules: the programs take turns, a ratio is
the median over the pairs with its least and greatest, good for us when over 1. Of each binary
its own archive is used, by both sides. Targets lie in memory (--out); with --disk, everything
that is extracted goes to a disk instead, and tar is followed by a sync, since a restore of ours
ends with one.
"""

import argparse
import os
from pathlib import Path
import shlex
import shutil
import subprocess
import tempfile

from run import (THREADS, build_peer, machine, make_tree, measure, median, ours_command, small_files,
                 spread, table, tree_facts, TARGET)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--wingback", action="append", metavar="[LABEL=]PATH", help="a binary to measure; may be repeated")
    add("--pairs", type=int, default=5, help="measured runs of each [%(default)s]")
    add("--tree", type=Path, default=TARGET / "tree", help="made if missing [target/bench/tree]")
    add("--out", type=Path, default=Path("/dev/shm"), help="a folder in memory [%(default)s]")
    add("--disk", type=Path, help="a folder on a disk, for what is extracted")
    add("--memory", action="store_true", help="also the peak memory by number of files")
    args = parser.parse_args()
    ours = dict(reversed(item.rpartition("=")[::2]) for item in args.wingback or ["default=target/release/wingback"])
    ours = {label or path: str(Path(path).resolve()) for path, label in ours.items()}
    args.tree = args.tree.resolve()
    make_tree(args.tree)
    print(f"{machine()}\n\n{tree_facts(args.tree)}\n")
    with tempfile.TemporaryDirectory(prefix="wingback-bench-", dir=args.out) as folder:
        folder = Path(folder)
        for label, binary in ours.items():
            archive = make_archive(ours_command(binary, args.tree), folder)
            print(compare(f"{label}: its own archive", cases(binary, archive, args.tree), args, folder))
            archive.unlink()
        foreign = folder / "foreign.tar.gz"
        subprocess.run([build_peer(), str(args.tree), str(foreign)], check=True, stdout=subprocess.DEVNULL)
        for label, binary in ours.items():
            print(compare(f"{label}: an archive of the peer's", foreign_cases(binary, foreign), args, folder))
        foreign.unlink()
        if args.memory:
            for label, binary in ours.items():
                print(memory(label, binary, args, folder))


def make_archive(command, folder):
    subprocess.run(command(str(folder)), check=True, stdout=subprocess.DEVNULL)
    [archive] = folder.glob("*.tar.gz")
    return archive


def cases(binary, archive, tree):
    """By name: the command of others, and ours."""
    one = two_megabytes(tree)
    sh = lambda command: ["sh", "-c", command]
    a, b = shlex.quote(str(archive)), shlex.quote(binary)
    return {
        "list, `tar tzf`": (["tar", "tzf", archive], [binary, "list", archive]),
        "one file of 2 MB, `tar xzf`": (
            sh(f"tar xzf {a} -C $OUT {one}"), sh(f"exec {b} extract -q {a} $OUT {one}")),
        "verify, `gzip -t`": (["gzip", "-t", archive], [binary, "verify", "-q", archive]),
        "extract, `tar xzf`": (sh(f"tar xzf {a} -C $OUT"), sh(f"exec {b} extract -q {a} $OUT")),
        "restore, `tar xzf`": (sh(f"tar xzf {a} -C $OUT"), sh(f"exec {b} restore -q {a} $OUT")),
    }


def foreign_cases(binary, archive):
    a, b = shlex.quote(str(archive)), shlex.quote(binary)
    sh = lambda command: ["sh", "-c", command]
    return {
        "list, `tar tzf`": (["tar", "tzf", archive], [binary, "list", archive]),
        "verify, `gzip -t`": (["gzip", "-t", archive], [binary, "verify", "-q", archive]),
        "extract, `tar xzf`": (sh(f"tar xzf {a} -C $OUT"), sh(f"exec {b} extract -q {a} $OUT")),
        "restore, `tar xzf`": (sh(f"tar xzf {a} -C $OUT"), sh(f"exec {b} restore -q {a} $OUT")),
    }


def two_megabytes(tree):
    """The last file of about that size in the order of the archive: tar has to read up to it."""
    files = (path for path in tree.rglob("*") if path.is_file() and 1_900_000 < path.stat().st_size < 2_300_000)
    return str(max(files).relative_to(tree))


def compare(title, commands, args, folder):
    rows = []
    for name, (theirs, ours) in commands.items():
        pairs = []
        for n in range(args.pairs + 1):
            pair = [run(theirs, args, folder, sync=True), run(ours, args, folder, sync=False)]
            pairs += [pair] * (n > 0)
        of = lambda i, key: f"{median([pair[i][key] for pair in pairs]):.3f}"
        ratio = [theirs["wall"] / ours["wall"] for theirs, ours in pairs]
        peak = median([ours["peak"] for _, ours in pairs])
        rows.append([name, of(0, "wall"), of(1, "wall"), of(0, "cpu"), of(1, "cpu"), f"{peak / 1e6:.1f}", spread(ratio)])
    place = "on disk" if args.disk else "in memory"
    head = ["", "its wall s", "our wall s", "its CPU s", "our CPU s", "our peak MB", "wall: it ÷ ours"]
    return table(f"{title}, {place} ({args.pairs} pairs)", head, rows)


def run(command, args, folder, sync):
    """In a new, empty target each time."""
    out = Path(tempfile.mkdtemp(prefix="target-", dir=args.disk or folder))
    if sync and args.disk and command[0] == "sh":
        command = [*command[:2], f"{command[2]} && sync -f $OUT"]
    os.sync()
    try:
        return measure([str(part) for part in command], env={**os.environ, "OUT": str(out)})
    finally:
        shutil.rmtree(out)


def memory(label, binary, args, folder):
    rows = []
    for count in (1000, 100_000):
        tree = small_files(TARGET / f"small-{count}", count)
        archive = make_archive(ours_command(binary, tree), folder)
        of = lambda *command: f"{run([binary, *command], args, folder, sync=False)['peak'] / 1e6:.1f}"
        out = str(folder / "memory")
        row = [f"{count:,}", of("list", archive), of("verify", "-q", archive), of("extract", "-q", archive, out)]
        row.append(of("restore", "-q", archive, out))
        rows.append(row)
        shutil.rmtree(out)
        archive.unlink()
    return table(f"{label}: peak MB by number of files", ["files", "list", "verify", "extract", "restore"], rows)


if __name__ == "__main__":
    main()
