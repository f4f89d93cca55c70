#!/usr/bin/env python3
"""Measures what the archives of two days cost in restic's and borg's repositories, and for rsync.

The archive of the first day is stored, then also that of a second day, on which 5% of the tree changed
(benches/day.py). A repository grows by the bytes that the program did not find in it. rsync updates a copy
of the first archive to the second, and reports the bytes that it sends.

    make bench-align
    benches/repositories.py --tree target/bench/tree --wingback target/release/wingback --peer target/bench/peer
"""

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import day


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tree", required=True, type=Path)
    parser.add_argument("--wingback", required=True)
    parser.add_argument("--peer", required=True)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(dir=args.tree.parent))
    try:
        measure(args, work)
    finally:
        shutil.rmtree(work)


def measure(args, work):
    server, archives = work / "server", work / "archives"
    kinds = {
        "wingback": lambda to: wingback(args, server, to),
        "wingback --align": lambda to: wingback(args, server, to, "--align"),
        "Wings' pipeline": lambda to: run(args.peer, server, to),
        "tar, pigz -1 --rsyncable": lambda to: pigz(server, to),
    }
    print("| archives | first MB | second MB | restic grows by MB | borg grows by MB | rsync sends MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, make in kinds.items():
        run("cp", "-a", args.tree, server)
        archives.mkdir()
        first, second = archives / "1.tar.gz", archives / "2.tar.gz"
        make(first)
        store = Repositories(work, archives)
        before = store.sizes()
        day.change(server, 0)
        make(second)
        sent = rsync(first, second, work / "copy")
        store.add()
        grown = [after - size for size, after in zip(before, store.sizes())]
        row = [path.stat().st_size for path in (first, second)] + grown + [sent]
        print(f"| {name} | " + " | ".join(f"{value / 1e6:.0f}" for value in row) + " |", flush=True)
        store.remove()
        shutil.rmtree(archives)
        shutil.rmtree(server)


class Repositories:
    """A repository of restic and one of borg, which have the directory of the archives."""

    def __init__(self, work, archives):
        self.restic, self.borg, self.archives, self.count = work / "restic", work / "borg", archives, 0
        self.environment = {
            **os.environ,
            "RESTIC_REPOSITORY": str(self.restic),
            "RESTIC_PASSWORD": "x",
            "BORG_REPO": str(self.borg),
            "BORG_BASE_DIR": str(work / "borg-base"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }
        self.call("restic", "--no-cache", "init", "-q")
        self.call("borg", "init", "-e", "none")
        self.add()

    def add(self):
        self.count += 1
        self.call("restic", "--no-cache", "backup", "-q", self.archives)
        self.call("borg", "create", f"::{self.count}", self.archives)

    def sizes(self):
        return [tree_size(self.restic), tree_size(self.borg)]

    def remove(self):
        shutil.rmtree(self.restic)
        shutil.rmtree(self.borg)

    def call(self, *command):
        subprocess.run(command, check=True, env=self.environment, stdout=subprocess.DEVNULL)


def wingback(args, server, to, *options):
    made = to.parent / "made"
    run(args.wingback, "create", server, "--to", made, "--mkdir", "-q", *options)
    next(made.iterdir()).rename(to)
    made.rmdir()


def pigz(server, to):
    with to.open("wb") as file:
        tar = subprocess.Popen(["tar", "c", "--sort=name", "-C", server, "."], stdout=subprocess.PIPE)
        subprocess.run(["pigz", "-1", "--rsyncable"], check=True, stdin=tar.stdout, stdout=file)
        tar.stdout.close()
        if tar.wait():
            raise SystemExit("tar failed")


def rsync(first, second, copy):
    """Returns the bytes that rsync sends to turn a copy of the first file into the second."""
    shutil.copyfile(first, copy)
    ran = subprocess.run(["rsync", "--no-whole-file", "--stats", second, copy],
                         check=True, stdout=subprocess.PIPE, text=True)
    copy.unlink()
    return int(re.search(r"Literal data: ([\d,]+)", ran.stdout)[1].replace(",", ""))


def tree_size(root):
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
