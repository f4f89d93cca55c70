#!/usr/bin/env python3
"""Counts what the command asks of the kernel, and fails if that is more than it should be.

Unlike times, counters are nearly the same on every machine, so a test can compare them with limits. Each
operation runs on a tree and on one with twice as many files. The difference is the cost of a file, without
that of the start. strace counts the system calls. The kernel's accounting has the bytes and the context switches.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time

FILES = 1000
LARGE = 8 << 20

# The most of each counter. For each small file: system calls without futex, which depends on
# the load, and without fcntl, by which debug builds check descriptors; and voluntary context switches. Then
# the bytes that are read, divided by those of the files for `create` and of the archive otherwise, and the bytes
# that are written, divided by those of the files for `restore` and of the archive otherwise.
LIMITS = {
    "create": {"calls": 6.5, "switches": 1.0, "read": 1.01, "written": 1.01},
    "create, unchanged": {"calls": 1.5, "switches": 1.0, "read": 1.05, "written": 1.05},
    "verify": {"calls": 0.2, "switches": 0.5, "read": 1.05, "written": 0.01},
    "restore": {"calls": 7.5, "switches": 0.5, "read": 1.05, "written": 1.05},
    "restore, unchanged": {"calls": 15, "switches": 0.5, "read": 2.05, "written": 0.01},
}


def make_tree(folder, files):
    """Makes small files in folders, and one large file. Returns the bytes of all."""
    content = random.Random(1)
    total = 0
    for number in range(files):
        parent = f"{folder}/{number // 100}"
        os.makedirs(parent, exist_ok=True)
        with open(f"{parent}/{number}", "wb") as file:
            total += file.write(content.randbytes(content.randrange(100, 8000)))
    with open(f"{folder}/large", "wb") as file:
        total += file.write(content.randbytes(LARGE * files // FILES))
    return total


def system_calls(command):
    """Returns the number of system calls by name, of all threads."""
    with tempfile.NamedTemporaryFile("r") as table:
        subprocess.run(["strace", "-f", "-c", "-o", table.name, *command], check=True, stdout=subprocess.DEVNULL)
        # The columns are: % time, seconds, usecs/call, calls, errors (may be empty), syscall.
        rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", table.read(), re.M)
    return {name: int(calls) for calls, name in rows if name != "total"}


def accounted(command):
    """Returns the bytes read and written, and the voluntary context switches."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    # The accounting of a child that has ended can be read until it is waited for.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with open(f"/proc/{child.pid}/io") as file:
        io = dict(line.split(": ") for line in file.read().splitlines())
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{command} ended with {child.returncode}")
    return {"read": int(io["rchar"]), "written": int(io["wchar"]), "switches": usage.ru_nvcsw}


class Size:
    """A tree, its archive, and the commands on them."""

    def __init__(self, wingback, folder, files):
        self.wingback, self.folder = wingback, folder
        self.tree, self.archives = f"{folder}/tree", f"{folder}/archives"
        self.content = make_tree(self.tree, files)
        self.restored = 0

    def make_archive(self):
        os.makedirs(self.archives)
        subprocess.run(self.create(), check=True, stdout=subprocess.DEVNULL)
        (name,) = os.listdir(self.archives)
        self.archive = f"{self.archives}/{name}"

    def create(self, *options):
        return [self.wingback, "create", self.tree, "-q", "--to", self.archives, *options]

    def command(self, operation):
        match operation:
            case "create":
                return self.create()
            case "create, unchanged":
                return self.create("--previous", self.archive)
            case "verify":
                return [self.wingback, "verify", "-q", self.archive]
            case "restore":
                self.restored += 1
                return [self.wingback, "restore", "-q", self.archive, f"{self.folder}/restored-{self.restored}"]
            case "restore, unchanged":
                return [self.wingback, "restore", "-q", self.archive, self.tree]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wingback", required=True, help="the command")
    parser.add_argument("--calls", action="store_true", help="print the system calls of each operation")
    args = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(prefix="wingback-counters-") as folder:
        os.environ["WINGBACK_STATE_DIR"] = f"{folder}/state"
        sizes = [Size(os.path.abspath(args.wingback), f"{folder}/{n}", n * FILES) for n in (1, 2)]
        # A backup reads a file again if it was changed within the minute before the previous backup.
        time.sleep(61)
        for size in sizes:
            size.make_archive()
        archive = os.path.getsize(sizes[1].archive)
        print(f"{'':<20}{'calls':>9}{'switches':>9}{'read':>9}{'written':>9}")
        for operation, limits in LIMITS.items():
            small, large = (system_calls(size.command(operation)) for size in sizes)
            calls = {name: (n - small.get(name, 0)) / FILES for name, n in large.items()}
            before, after = (accounted(size.command(operation)) for size in sizes)
            found = {
                "calls": sum(n for name, n in calls.items() if name not in ["futex", "fcntl"]),
                "switches": (after["switches"] - before["switches"]) / FILES,
                "read": after["read"] / (sizes[1].content if operation == "create" else archive),
                "written": after["written"] / (sizes[1].content if operation == "restore" else archive),
            }
            print(f"{operation:<20}" + "".join(f"{n:9.2f}" for n in found.values()), flush=True)
            if args.calls:
                print("    " + ", ".join(f"{name} {n:.2f}" for name, n in sorted(calls.items(), key=lambda c: -c[1]) if n > 0.02))
            for counter, limit in limits.items():
                if found[counter] > limit:
                    failed = True
                    print(f"FAILED: {operation}: {counter} is {found[counter]:.2f}, more than {limit}")
    sys.exit(failed)


main()
