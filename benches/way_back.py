#!/usr/bin/env python3
"""Measures listing, verifying, extracting and restoring against GNU tar and gzip.

    cargo build --release
    python3 benches/way_back.py --wingback default=target/release/wingback

Tree and method are those of benches/run.py: the programs run in turns, and a ratio is the median
of the pairs, with its minimum and maximum. Ours is better if it is over 1. The first pair is a
warm-up, in which both must write all files of the tree.

Both sides read the same archive: first the one of each binary, then one of the peer (benches/peer),
which has no index. Archives are in memory (--out). The runs of the first tables write to memory,
those of the second to a disk. There a sync follows tar and our extract, because our restore already
includes it. "Over a tree" is a restore of a directory that already has the same tree, compared with
tar into an empty one. --memory prints the peak memory with few and with very many small files.

If there are several processes, such as tar and gzip, the peak is that of the largest.
"""

import argparse
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile

from run import (DEFAULT, OURS, OURS_HELP, TARGET, build_peer, machine, make_tree, measure, median, ours_command,
                 programs, small_files, spread, table, tree_facts)

OUT = "{out}"
COUNTS = (1000, 100_000)


def main():
    args = parse_args()
    make_tree(args.tree)
    print(f"{machine()}\n\n{tree_facts(args.tree)}\n")
    with tempfile.TemporaryDirectory(prefix="wingback-bench-", dir=args.out) as folder:
        folder = Path(folder)
        for label, (binary, options) in args.ours.items():
            archive = make_archive(ours_command(binary, args.tree, options), folder)
            print_tables(f"{label}: its own archive", cases(binary, archive, args.tree), folder, args)
            archive.unlink()
        foreign = peers_archive(args.tree, folder)
        for label, (binary, _) in args.ours.items():
            print_tables(f"{label}: the peer's archive", whole(binary, foreign), folder, args)
        foreign.unlink()
        if args.memory:
            print(memory(args, folder))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--wingback", action="append", metavar=OURS, help=OURS_HELP)
    add("--pairs", type=int, default=3, help="measured runs of each [%(default)s]")
    add("--tree", type=Path, default=TARGET / "tree", help="made if missing [target/bench/tree]")
    add("--out", type=Path, default=Path("/dev/shm"), help="a folder in memory, with room for three trees")
    add("--disk", type=Path, default=TARGET / "disk", help="a folder on a disk, with room for two [target/bench/disk]")
    add("--no-disk", action="store_true", help="leave out the tables of the disk")
    add("--memory", action="store_true", help="also the peak memory by number of files")
    args = parser.parse_args()
    if args.pairs < 1:
        parser.error("--pairs must be at least 1")
    args.ours = programs(parser, args.wingback or [DEFAULT])
    args.tree = args.tree.resolve()
    args.disk.mkdir(parents=True, exist_ok=True)
    return args


def make_archive(command, folder):
    subprocess.run(command(str(folder)), check=True, stdout=subprocess.DEVNULL)
    [archive] = folder.glob("*.tar.gz")
    return archive


def peers_archive(tree, folder):
    archive = folder / "peer.tar.gz"
    subprocess.run([build_peer(), tree, archive], check=True, stdout=subprocess.DEVNULL)
    return archive


# The comparisons: by name, their command and ours, and whether the tree already exists for ours


def cases(binary, archive, tree):
    """The comparisons for an archive with an index."""
    one = two_megabytes(tree)
    return {
        "one file of 2 MB, `tar xzf` of it": (
            ["tar", "xzf", archive, "-C", OUT, one], [binary, "extract", "-q", archive, OUT, one], False),
        "`cat` of it, `tar xzOf`": (["tar", "xzOf", archive, one], [binary, "cat", archive, one], False),
        **whole(binary, archive),
    }


def whole(binary, archive):
    # The peer rounds times up, so those of a new tree may be in the future.
    extract = ["tar", "--warning=no-timestamp", "-xzf", archive, "-C", OUT]
    return {
        "list, `tar tzf`": (["tar", "tzf", archive], [binary, "list", archive], False),
        "verify, `gzip -t`": (["gzip", "-t", archive], [binary, "verify", "-q", archive], False),
        "extract, `tar xzf`": (extract, [binary, "extract", "-q", archive, OUT], False),
        "restore, `tar xzf`": (extract, [binary, "restore", "-q", archive, OUT], False),
        "restore over a tree, `tar xzf`": (extract, [binary, "restore", "-q", "--replace", archive, OUT], True),
    }


def writing(cases):
    """The comparisons that write the tree."""
    return {name: case for name, case in cases.items() if name.endswith("`tar xzf`")}


def two_megabytes(tree):
    """Returns the last file of about that size in archive order, because tar has to read up to it."""
    beneath = (path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    files = [str(path.relative_to(tree)) for path in beneath if 1_900_000 < path.stat().st_size < 2_300_000]
    if not files:
        sys.exit(f"{tree} has no file of about 2 MB")
    return max(files)


# Theirs, ours, theirs, ours …


def print_tables(title, cases, folder, args):
    print(compare(f"{title}, in memory", cases, folder, args))
    if not args.no_disk:
        print(compare(f"{title}, to a disk", writing(cases), args.disk, args, to_disk=True))


def compare(title, cases, folder, args, to_disk=False):
    """Returns the table of one archive."""
    expect = count_files(args.tree)
    rows = []
    for name, (theirs, ours, over) in cases.items():
        pairs = []
        with Targets(folder, over) as targets:
            for n in range(args.pairs + 1):
                check = expect if n == 0 and name in writing(cases) else None
                pair = (targets.run(theirs, check, with_sync=to_disk),
                        targets.run(ours, check, with_sync=to_disk and "restore" not in ours, is_ours=True))
                print(f"  {name}: {pair[0]['wall']:.3f} s, {pair[1]['wall']:.3f} s", file=sys.stderr)
                pairs += [pair] * (n > 0)
        of = lambda i, key: median([pair[i][key] for pair in pairs])
        ratio = [theirs["wall"] / ours["wall"] for theirs, ours in pairs]
        rows.append([name, *(f"{of(i, key):.3f}" for key in ("wall", "cpu") for i in (0, 1)),
                     *(f"{of(i, 'peak') / 1e6:.1f}" for i in (0, 1)), spread(ratio)])
    head = ["", "its wall s", "our wall s", "its CPU s", "our CPU s", "its peak MB", "our peak MB", "wall: it ÷ ours"]
    if to_disk:  # the peak of a shell that runs it and syncs is not known
        head, *rows = ([*row[:5], *row[7:]] for row in [head, *rows])
    return table(f"{title} ({args.pairs} pairs)", head, rows)


class Targets:
    """A new, empty directory for each run. Runs of ours over a tree share one directory."""

    def __init__(self, folder, over):
        self.folder = tempfile.TemporaryDirectory(prefix="wingback-bench-", dir=folder)
        self.over = Path(self.folder.name) / "over" if over else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def run(self, command, expect=None, with_sync=False, is_ours=False):
        """Measures a run, which must leave `expect` files in its target."""
        out = self.over if is_ours and self.over else Path(self.folder.name) / "new"
        out.mkdir(exist_ok=True)
        command = [str(part).replace(OUT, str(out)) for part in command]
        if with_sync:
            command = ["sh", "-c", '"$@" && exec sync -f "$0"', str(out), *command]
        os.sync()
        result = measure(command)
        if expect is not None and (found := count_files(out)) != expect:
            sys.exit(f"{command}: {found} files, not {expect}")
        if out != self.over:
            shutil.rmtree(out)
        return result


def count_files(tree):
    return sum(len(names) for _, _, names in os.walk(tree))


# Peak memory by number of files


def memory(args, folder):
    rows = []
    for count in COUNTS:
        tree = small_files(args.tree.parent / f"small-{count}", count)
        for label, (binary, options) in args.ours.items():
            archive = make_archive(ours_command(binary, tree, options), folder)
            rows.append(peaks(f"{label}, {count:,} files", whole(binary, archive), 1, folder))
            archive.unlink()
        foreign = peers_archive(tree, folder)
        for label, (binary, _) in args.ours.items():
            rows.append(peaks(f"{label}, {count:,} files, the peer's archive", whole(binary, foreign), 1, folder))
        rows.append(peaks(f"tar and gzip, {count:,} files", whole("", foreign), 0, folder))
        foreign.unlink()
    head = ["peak MB", *(name.partition(",")[0] for name in whole("", ""))]
    return table("Peak memory by number of files", head, rows)


def peaks(title, cases, which, folder):
    """`which` is 0 for theirs, 1 for ours."""
    row = [title]
    for *commands, over in cases.values():
        with Targets(folder, over) as targets:
            # With two runs, the second one writes over the result of the first.
            runs = [targets.run(commands[which], is_ours=which == 1) for _ in range(1 + over)]
        row.append(f"{runs[-1]['peak'] / 1e6:.1f}")
    return row


if __name__ == "__main__":
    main()
