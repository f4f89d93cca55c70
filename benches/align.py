#!/usr/bin/env python3
"""Measures `create --align`: size, time, and the space of the archives of several days.

The first table is in memory, where nothing is shared. Backups with and without the option take turns, and
each ratio is the median of the pairs. SHA-1's part is the processor time of OpenSSL's SHA-1 over the archive,
as a share of that of the backup. The second table has archives of several days, each from the previous one,
on a new XFS and btrfs in a sparse file beside the tree. It needs root, and is left out without.

    make bench-align
    benches/align.py --tree target/bench/tree --wingback target/release/wingback [--days 5] [--rounds 5]
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import day

MAKE = {"XFS": ["mkfs.xfs", "-q", "-m", "reflink=1"], "btrfs": ["mkfs.btrfs", "-q"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tree", required=True, type=Path)
    parser.add_argument("--wingback", required=True)
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.2f}")
    with temporary(args.tree.parent) as work:
        server = work / "server"
        copy(args.tree, server)
        with temporary(Path("/dev/shm")) as out:
            in_memory(args, server, out)
        for kind in MAKE:
            for options in [[], ["--align"]]:
                shutil.rmtree(server)
                copy(args.tree, server)
                with mounted(kind, work) as out:
                    if out:
                        several_days(args, server, out, kind, options)
                    else:
                        print(f"left out: archives on {kind}: it cannot be mounted")


def copy(tree, server):
    subprocess.run(["cp", "-a", tree, server], check=True)
    # The engine does not trust younger times. It would read such files again.
    time.sleep(61)


@contextlib.contextmanager
def temporary(parent):
    path = Path(tempfile.mkdtemp(dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def mounted(kind, work):
    """A new file system of 4 GiB, mounted. None where that is not possible."""
    image, root = work / "image", work / "mounted"
    root.mkdir()
    with image.open("wb") as file:
        file.truncate(4 << 30)
    commands = [[*MAKE[kind], image], ["mount", "-o", "loop", image, root]]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    is_mounted = os.geteuid() == 0 and all(subprocess.run(c, **quiet).returncode == 0 for c in commands)
    try:
        yield root if is_mounted else None
    finally:
        if is_mounted:
            subprocess.run(["umount", root], check=True)
        image.unlink()
        root.rmdir()


def in_memory(args, server, out):
    """Compares backups with and without the option, from nothing and from a previous archive."""
    first = {align: create(args, server, out / f"first{align}", *align.split()) for align in ["", "--align"]}
    for title, previous in [("a full backup", False), ("from a previous archive, nothing changed", True)]:
        wall, cpu, size, sha1 = [], [], [], []
        for _ in range(args.rounds):
            runs = []
            for align in ["", "--align"]:
                options = [*align.split(), *(["--previous", first[align].path] if previous else [])]
                run = create(args, server, out / "new", *options)
                runs.append(run)
                sha1.append(sha1_seconds(run.path) / run.cpu)
                run.path.unlink()
            plain, aligned = runs
            wall.append(aligned.wall / plain.wall)
            cpu.append(aligned.cpu / plain.cpu)
            size.append(aligned.size / plain.size)
        print(f"{title}, with --align / without: wall {shown(wall)}, CPU {shown(cpu)}, "
              f"size {shown(size, 4)}; SHA-1's part {shown(sha1)}")


def several_days(args, server, out, kind, options):
    """Makes an archive a day, and prints the space of all of them."""
    before, previous, sizes, walls = used(out), None, [], []
    for number in range(args.days):
        if previous:
            day.change(server, number)
        run = create(args, server, out / "archives", *options,
                     *(["--previous", previous.path] if previous else []), name=f"{number:02}-{{uuid}}.tar.gz")
        if not previous:
            one = used(out) - before
        previous = run
        sizes.append(run.size)
        walls.append(run.wall)
    space = used(out) - before
    print(f"{kind}, {' '.join(options) or 'without --align'}: {args.days} archives of {sum(sizes) / 1e6:.0f} MB take "
          f"{space / 1e6:.0f} MB, {space / one:.2f} times the first; each more {(space - one) / (args.days - 1) / 1e6:.0f} MB; "
          f"a later day takes {statistics.median(walls[1:]):.2f} s", flush=True)


def used(root):
    subprocess.run(["sync", "-f", root], check=True)
    stat = os.statvfs(root)
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize


class create:
    """A backup, with its times and size."""

    def __init__(self, args, server, to, *options, name="{uuid}.tar.gz"):
        command = [args.wingback, "create", server, "--to", to, "--mkdir", "--json", "--name", name, *options]
        before, began = children(), time.monotonic()
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.wall, self.cpu = time.monotonic() - began, children() - before
        report = json.loads(ran.stdout.splitlines()[-1])
        self.size = report["size"]
        self.path = max(to.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def children():
    times = os.times()
    return times.children_user + times.children_system


def sha1_seconds(path):
    sha1 = hashlib.sha1()
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(1 << 20)
        spent = 0.0
        while length := file.readinto(buffer):
            began = time.process_time()
            sha1.update(memoryview(buffer)[:length])
            spent += time.process_time() - began
    return spent


def shown(ratios, digits=2):
    return f"{statistics.median(ratios):.{digits}f} ({min(ratios):.{digits}f}-{max(ratios):.{digits}f})"


if __name__ == "__main__":
    main()
