#!/usr/bin/env python3
"""Builds the workspace's tests and runs several programs at a time: run.py [--quick | --only NAME,…] [--go PART].

`cargo test` runs one program after the other, but most of them wait for a service, a disk or a clock. So
there are two programs more than processors, and those that took longest in the last run come first. The
output of each program is printed when it exits, in the format of `cargo test`. The slowest tests are
listed at the end. `--quick` leaves out servers, the browser and long campaigns, and lists them. `--only`
runs the programs with these names. `--go` runs that part of the tests in Go beside them.
"""

import concurrent.futures
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

SELECTION = ["--workspace", "--exclude", "wingback-isal", "--features", "wingback-cli/mount", "--all-targets"]
# S3 servers, the daemon with its page, C programs under the sanitizer, mounts, and programs that run cargo.
SLOW = {"s3", "s3_threads", "daemon", "panel", "programs", "install", "mount", "examples"}
# Thousands of random cases and limits, which `--quick` leaves out as well.
CAMPAIGNS = {
    "bounds", "excludes_limits", "format_document", "killed", "refused", "tar_sequences", "tenant",
    "days::", "scale::", "refused::", "_flipped_byte_", "_truncation_", "_killed_", "generated_",
    "_in_little_memory", "_to_an_unprivileged_user", "again::a_change_", "delete_leaves_only_",
    "hostile_patterns_", "after_any_edits_", "a_failure_at_any_change", "a_kill_at_any_change", "random_trees_",
}
# Most of their tests wait for a service or a clock.
WAITING = {"command", "daemon", "panel"}
# These measure time and memory, or use both processors.
ALONE = {"limited", "page_cache"}
SLOWEST = 10

# How long each program took in the last run.
TOOK = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "test-times.json")

output = threading.Lock()
times = []


def last_times():
    try:
        with open(TOOK) as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return {}


def programs():
    """Builds all tests. Returns the package's folder, the target's name, the source and the program of each."""
    build = subprocess.Popen(
        ["cargo", "test", "--no-run", *SELECTION, "--message-format", "json-render-diagnostics"],
        stdout=subprocess.PIPE, text=True,
    )
    found = []
    for line in build.stdout:
        message = json.loads(line)
        if message.get("executable") and message["profile"]["test"]:
            folder = os.path.dirname(message["manifest_path"])
            found.append((folder, message["target"]["name"], message["target"]["src_path"], message["executable"]))
    if build.wait():
        sys.exit(build.returncode)
    return found


@functools.cache
def toolchain():
    """The variable that rustup sets for cargo. Without it, a crate's own toolchain file would apply."""
    try:
        active = subprocess.run(["rustup", "show", "active-toolchain"], capture_output=True, text=True)
    except FileNotFoundError:
        return {}
    return {"RUSTUP_TOOLCHAIN": active.stdout.split()[0]} if active.stdout else {}


def start_go(part):
    """Starts the tests in Go. Returns the process and the file that its output goes to."""
    subprocess.run(["cargo", "build", *SELECTION], check=True)
    built = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "debug")
    file = tempfile.TemporaryFile("w+", errors="replace")
    return subprocess.Popen(["bindings/go/test.sh", built, part], stdout=file, stderr=subprocess.STDOUT), file


def end_go(process, file):
    """Prints the output of the tests in Go, whose own last lines come last. Returns whether they passed."""
    is_good = process.wait() == 0
    if "--quick" not in sys.argv and "WINGBACK_LEFT_OUT" in os.environ:
        is_good &= subprocess.run(["tests/left-out.sh", "compare"]).returncode == 0
    file.seek(0)
    print(file.read(), flush=True)
    return is_good


def run(program, options):
    folder, name, source, executable = program
    if name in WAITING:
        options = [*options, f"--test-threads={os.cpu_count() + 2}"]
    began = time.monotonic()
    # The times of single tests are an unstable option of the test harness.
    environment = dict(os.environ, RUSTC_BOOTSTRAP="1", CARGO_MANIFEST_DIR=folder, **toolchain())
    ended = subprocess.run(
        [executable, "-Zunstable-options", "--report-time", *options],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    )
    took = time.monotonic() - began
    shown = os.path.relpath(source)
    with output:
        print(f"     Running {shown} ({os.path.relpath(executable)}), {took:.1f} s")
        print(ended.stdout, flush=True)
        for test, seconds in re.findall(r"^test (\S+).* \.\.\. ok <([0-9.]+)s>$", ended.stdout, re.M):
            times.append((float(seconds), f"{shown} {test}"))
    return (shown, took, ended.returncode)


def main():
    quick = "--quick" in sys.argv
    found = programs()
    if "--only" in sys.argv:
        only = sys.argv[sys.argv.index("--only") + 1].split(",")
        found = [p for p in found if p[1] in only]
    if quick:
        left_out = sorted(os.path.relpath(p[2]) for p in found if p[1] in SLOW | CAMPAIGNS)
        found = [p for p in found if p[1] not in SLOW | CAMPAIGNS]
    options = [f"--skip={name}" for name in CAMPAIGNS] if quick else []
    last = last_times()
    found.sort(key=lambda p: last.get(os.path.relpath(p[2]), 0), reverse=True)
    ended = []
    go = start_go(sys.argv[sys.argv.index("--go") + 1]) if "--go" in sys.argv else None
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() + 2) as pool:
        ended += pool.map(lambda p: run(p, options), (p for p in found if p[1] not in ALONE))
    ended += (run(p, options) for p in found if p[1] in ALONE)
    print(f"the slowest of {len(times)} tests in {len(ended)} programs, {time.monotonic() - began:.0f} s in all:")
    for seconds, test in sorted(times, reverse=True)[:SLOWEST]:
        print(f"{seconds:8.1f} s  {test}")
    if quick:
        print("not run by this: " + ", ".join(left_out + sorted(CAMPAIGNS)))
    with open(TOOK, "w") as file:
        json.dump(last | {shown: took for shown, took, _ in ended}, file)
    failed = [shown for shown, _, status in ended if status]
    for shown in failed:
        print(f"FAILED: {shown}", flush=True)
    is_good = not failed
    if go:
        is_good &= end_go(*go)
    sys.exit(not is_good)


main()
