#!/usr/bin/env python3
"""Measures the second day: a backup made from the previous one, against full ones and other programs.

A copy of the tree, one minute old, is backed up. Then nothing changes; or 5% of the region bytes (half of
one region file in ten), a log and 300 small files change; and then every ctime changes too, as by a
chown -R to the same owner. Times are ratios of runs in turns. On a disk, the time of a program includes
a sync of its output. The floor only reads the previous archive, computes its SHA-1 and writes it.

    benches/incremental.py --tree target/bench/tree --wingback target/release/wingback \\
        --peer target/bench/peer [--memory] [--rounds 5]
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import day


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tree", required=True, type=Path)
    parser.add_argument("--wingback", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--memory", action="store_true", help="archives and repositories in memory")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(dir=args.tree.parent))
    out = Path(tempfile.mkdtemp(dir="/dev/shm" if args.memory else args.tree.parent))
    try:
        Days(args, work / "server", out).run()
    finally:
        shutil.rmtree(work)
        shutil.rmtree(out)


class Days:
    def __init__(self, args, tree, out):
        self.args, self.tree, self.out = args, tree, out
        self.environment = {
            **os.environ,
            "RESTIC_REPOSITORY": str(out / "restic"),
            "RESTIC_PASSWORD": "x",
            "RESTIC_CACHE_DIR": str(out / "cache"),
            "BORG_REPO": str(out / "borg"),
            "BORG_BASE_DIR": str(out / "borg-base"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }

    def run(self):
        subprocess.run(["cp", "-a", self.args.tree, self.tree], check=True)
        # Until then a memory-mapped file may change without a change of its times.
        time.sleep(61)
        first = self.create("first")
        self.call(["restic", "init", "-q"])
        self.call(["borg", "init", "-e", "none"])
        self.others()
        self.day("nothing changed", first)
        day.change(self.tree, 0)
        self.day("5% changed", first, others=True)
        subprocess.run(["chown", "-R", f"{os.getuid()}:{os.getgid()}", self.tree], check=True)
        time.sleep(61)
        self.day("5% changed, and chown -R", first)
        self.day("5% changed, and chown -R, --trust mtime", first, "--trust", "mtime")

    def day(self, title, first, *options, others=False):
        """Runs all programs in turns, and prints the medians of the ratios."""
        wall, cpu, floor, seen = [], [], [], None
        other = {"restic": [], "borg": []}
        for _ in range(self.args.rounds):
            durable = [] if self.args.memory else ["-fsync"]
            theirs, _ = self.timed([self.args.peer, *durable, self.tree, self.new("peer")])
            ours, our_cpu, seen = self.report_of(first, *options)
            _, full_cpu, full = self.report_of(None)
            if seen["sha1"] != full["sha1"]:
                raise SystemExit(f"{title}: other bytes than a full backup's")
            wall.append(theirs / ours)
            floor.append(ours / self.floor(first))
            cpu.append(our_cpu / full_cpu)
            if others:
                for name, command in self.others().items():
                    other[name].append(command / ours)
            self.clean()
        shown = lambda ratios: f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"{title}: Wings / ours {shown(wall)}, CPU ours / our full {shown(cpu)}, "
              f"ours / floor {shown(floor)}, read {seen['read'] / seen['content']:.3f}, "
              f"copied {seen['copied'] / seen['size']:.3f}")
        for name, ratios in other.items():
            if ratios:
                print(f"  {name} / ours {shown(ratios)}")

    def report_of(self, previous, *options):
        command = self.command("new", *(["--previous", previous, *options] if previous else []))
        wall, cpu, output = self.timed(command, output=True)
        return wall, cpu, json.loads(output.splitlines()[-1])

    def others(self):
        restic = ["restic", "backup", "-q", self.tree]
        borg = ["borg", "create", f"::{uuid.uuid4()}", self.tree]
        return {"restic": self.timed(restic)[0], "borg": self.timed(borg)[0]}

    def floor(self, archive):
        began = time.monotonic()
        path, sha1, buffer = self.new("floor"), hashlib.sha1(), bytearray(1 << 20)
        with archive.open("rb", buffering=0) as source, path.open("wb", buffering=0) as copy:
            while length := source.readinto(buffer):
                part = memoryview(buffer)[:length]
                sha1.update(part)
                copy.write(part)
        self.sync()
        return time.monotonic() - began

    def sync(self):
        if not self.args.memory:
            subprocess.run(["sync", "-f", self.out], check=True)

    def create(self, name):
        subprocess.run(self.command(name), check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return next((self.out / name).iterdir())

    def command(self, name, *options):
        return [self.args.wingback, "create", self.tree, "--to", self.out / name, "--mkdir", "--json", *options]

    def new(self, name):
        return self.out / f"{name}-{uuid.uuid4()}"

    def clean(self):
        made = [*self.out.glob("peer-*"), *self.out.glob("floor-*"), *(self.out / "new").iterdir()]
        for path in made:
            path.unlink()

    def call(self, command):
        subprocess.run(command, check=True, env=self.environment, stdout=subprocess.DEVNULL)

    def timed(self, command, output=False):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        ran = subprocess.run([str(part) for part in command], check=True, env=self.environment,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.sync()
        wall = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return (wall, cpu, ran.stdout) if output else (wall, cpu)


if __name__ == "__main__":
    main()
