#!/usr/bin/env python3
"""Measures `wingback create` against Wings' own pipeline (benches/peer) and tar with pigz.

    cargo build --release
    python3 benches/run.py --wingback default=target/release/wingback
    python3 benches/run.py --wingback "isa-l=target/release/wingback --encoder isa-l"

Needs Go, GNU tar, pigz, and npm for the tree (benches/make_tree.py, made once); 1.1 GB of
disk for the tree and 0.6 GB of memory in /dev/shm for an archive. The peer and ours run in
turns, so that other load affects both. A ratio is the median of the pairs, with its minimum
and maximum. Ours is better if it is over 1 for time, and under 1 for CPU and size. The first
run of each is a warm-up, in which both archives must list all files of the tree.

The runs of the first table write to --out in memory, those of the second to --disk. There the
peer calls fsync once, and ours syncs as always. The tree is in the page cache in both.
--cold (root only) drops all caches before each run; the archive goes to --out.
--scaling measures ours alone: the tree with 1 to 8 threads, and trees of many files of 256
bytes.

Peak memory is that of the kernel (ru_maxrss). For a child it starts with the peak of this
program, so lower values are VmHWM, read from /proc every 10 ms.
"""

import argparse
import contextlib
import json
import os
from pathlib import Path
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "target" / "bench"
THREADS = 2
PIGZ = "tar + pigz"
OURS = "[LABEL=]'PATH [OPTION…]'"
DEFAULT = "default=target/release/wingback"
OURS_HELP = "a command to measure, with options for `create`; may be repeated"
FILE = b"one of very many small files, 64 bytes of text to be repeated..\n" * 4
FILES_A_DIRECTORY = 1000


def main():
    args = parse_args()
    make_tree(args.tree)
    peer = build_peer()
    report = {"machine": machine(), "tree": tree_facts(args.tree)}
    print(f"{report['machine']}\n\n{report['tree']}\n")

    report["memory"] = compare(args, peer, args.out, fsync=False)
    print(comparison(f"Archive in memory ({args.pairs} pairs)", report["memory"]))
    if not args.no_disk:
        args.disk.mkdir(parents=True, exist_ok=True)
        report["disk"] = compare(args, peer, args.disk, fsync=True)
        print(comparison(f"Archive on disk, with fsync ({args.pairs} pairs)", report["disk"]))
    if args.cold:
        report["cold"] = compare(args, peer, args.out, fsync=False, cold=True)
        print(comparison(f"Cold caches, archive in memory ({args.pairs} pairs)", report["cold"]))
        print(system_time(report["memory"], report["cold"]))
    if args.busiest:
        busiest_threads(args)
    if args.scaling:
        report["scaling"] = scaling(args)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--wingback", action="append", metavar=OURS, help=OURS_HELP)
    add("--pairs", type=int, default=5, help="measured runs of each [%(default)s]")
    add("--tree", type=Path, default=TARGET / "tree", help="the tree to archive; made if missing [target/bench/tree]")
    add("--out", type=Path, default=Path("/dev/shm"), help="a folder in memory for the archives [%(default)s]")
    add("--disk", type=Path, default=TARGET / "disk", help="a folder on a disk for table two [target/bench/disk]")
    add("--no-disk", action="store_true", help="leave out the second table")
    add("--cold", action="store_true", help="also with cold caches, which needs root")
    add("--busiest", action="store_true", help="also the CPU seconds of our busiest threads")
    add("--no-pigz", action="store_true", help="leave out tar and pigz")
    add("--scaling", action="store_true", help="also ours by threads and by number of files")
    add("--million", action="store_true", help="with --scaling: a million files too (4 GB of disk)")
    add("--json", type=Path, metavar="FILE", help="every run's numbers")
    args = parser.parse_args()
    if args.pairs < 1:
        parser.error("--pairs must be at least 1")
    args.ours = programs(parser, args.wingback or [DEFAULT])
    args.tree = args.tree.resolve()
    return args


def programs(parser, items):
    """What --wingback names: by label, the path of the command and its options for `create`."""
    ours = {}
    for item in items:
        label, is_labeled, command = item.partition("=")
        path, *options = shlex.split(command if is_labeled else item)
        binary = Path(path).resolve()
        if not os.access(binary, os.X_OK):
            parser.error(f"{path} is not a program (cargo build --release makes it)")
        ours[label] = (str(binary), options)
    return ours


def make_tree(tree):
    """Makes or completes the tree. A folder without our stamp is used as it is."""
    stamp = Path(f"{tree}.stamp")
    if stamp.exists() or not tree.exists():
        size = json.loads(stamp.read_text())["size"] if stamp.exists() else 1.0
        subprocess.run([sys.executable, HERE / "make_tree.py", tree, "--size", str(size)], check=True)


def build_peer():
    peer = TARGET / "peer"
    env = {**os.environ, "CGO_ENABLED": "0"}  # as Wings is built
    subprocess.run(["go", "build", "-o", peer, "."], cwd=HERE / "peer", env=env, check=True)
    return str(peer)


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    go = subprocess.check_output(["go", "env", "GOVERSION"], cwd=HERE / "peer", text=True).strip()
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, Linux {platform.release()}, {go}"


def tree_facts(tree):
    files = size = regions = 0
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                continue
            n = os.path.getsize(path)
            files, size, regions = files + 1, size + n, regions + n * name.endswith(".mca")
    return f"{size / 1e6:,.0f} MB in {files:,} files, {100 * regions / max(size, 1):.0f} % of it Minecraft regions"


# One run


def measure(command, env=None):
    """Runs `command`. Returns wall and CPU seconds, and peak memory in bytes."""
    floor = own_peak()
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
    sampled = [0]
    sampler = threading.Thread(target=sample_peak, args=(child.pid, floor, sampled))
    sampler.start()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    sampler.join()
    if child.returncode:
        sys.exit(f"{shlex.join(map(str, command))}: exit status {child.returncode}")
    peak = usage.ru_maxrss * 1024
    if peak <= floor and sampled[0]:
        peak = sampled[0]
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "system": usage.ru_stime, "peak": peak}


def own_peak():
    return vm_hwm("self") or 0


def vm_hwm(pid):
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def sample_peak(pid, floor, sampled):
    """Samples until the child has exited, or its peak is high enough for ru_maxrss to be right."""
    n = 0
    while (peak := vm_hwm(pid)) is not None and sampled[0] <= floor:
        sampled[0] = peak
        time.sleep(0.001 if n < 50 else 0.01)
        n += 1


def archive(command, folder, expect=None):
    """Makes an archive by `command(folder)` in a new folder. Returns the measurement with its size."""
    with tempfile.TemporaryDirectory(prefix="wingback-bench-", dir=folder) as out:
        run = measure(command(out))
        [made] = Path(out).glob("*.tar.gz")
        run["size"] = made.stat().st_size
        if expect is not None and (found := count_files(made)) != expect:
            sys.exit(f"{shlex.join(command(out))}: {found} files in the archive, not {expect}")
    return run


def count_files(archive):
    with subprocess.Popen(["tar", "tvzf", archive], stdout=subprocess.PIPE) as tar:
        count = sum(line.startswith(b"-") for line in tar.stdout)
    if tar.returncode:
        sys.exit(f"tar cannot read {archive}")
    return count


def ours_command(binary, tree, options=(), threads=THREADS):
    return lambda out: [binary, "create", *options, str(tree), "--to", out, "--quiet", "--threads", str(threads)]


# Peer, ours, peer, ours …


def drop_caches():
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def compare(args, peer, folder, fsync, cold=False):
    commands = {"peer": lambda out: [peer, *["-fsync"] * fsync, str(args.tree), f"{out}/peer.tar.gz"]}
    for label, (binary, options) in args.ours.items():
        commands[label] = ours_command(binary, args.tree, options)
    if not (args.no_pigz or fsync or cold):
        commands[PIGZ] = lambda out: ["sh", "-c", f"tar cf - -C {shlex.quote(str(args.tree))} . "
                                              f"| pigz -1 -p {THREADS} > {out}/pigz.tar.gz"]
    files = sum(len(names) for _, _, names in os.walk(args.tree))
    before = drop_caches if cold else os.sync if fsync else lambda: None

    def run(name, expect=None):
        before()
        result = archive(commands[name], folder, expect)
        print(f"  {name}: {result['wall']:.2f} s", file=sys.stderr)
        return result

    for name in commands:
        run(name, expect=files)
    pairs = {name: [] for name in commands if name != "peer"}
    for _ in range(args.pairs):
        for name, measured in pairs.items():
            measured.append((run("peer"), run(name)))
    return pairs


def comparison(title, pairs):
    """Returns the table of one `compare`."""
    peers = [peer for measured in pairs.values() for peer, _ in measured]
    rows = [["peer", *absolute(peers), "", "", ""]]
    for name, measured in pairs.items():
        ratio = lambda key: [ours[key] / peer[key] for peer, ours in measured]
        wall = [1 / r for r in ratio("wall")]
        rows.append([name, *absolute([ours for _, ours in measured]), spread(wall), spread(ratio("cpu")),
                     f"{median(ratio('size')):.3f}"])
        if name == PIGZ:
            rows[-1][3] = ""  # of several processes only the largest is known
    head = ["", "wall s", "CPU s", "peak MB", "archive MB", "wall: peer ÷ it", "CPU: it ÷ peer", "size: it ÷ peer"]
    return table(title, head, rows)


def system_time(warm, cold):
    """Returns the table of the system time with cold caches against that with warm ones."""
    of = lambda measured: median([ours["system"] for _, ours in measured])
    rows = [[name, f"{of(warm[name]):.2f}", f"{of(cold[name]):.2f}", f"**{of(cold[name]) / of(warm[name]):.2f}**"]
            for name in cold]
    return table("System time", ["", "warm s", "cold s", "cold ÷ warm"], rows)


def absolute(runs):
    of = lambda key: median([run[key] for run in runs])
    return [f"{of('wall'):.2f}", f"{of('cpu'):.2f}", f"{of('peak') / 1e6:.1f}", f"{of('size') / 1e6:.1f}"]


# Ours by threads and by number of files


def scaling(args):
    counts = [1000, 100_000] + [1_000_000] * args.million
    trees = {n: small_files(args.tree.parent / f"small-{n}", n) for n in counts}
    report = {}
    for label, (binary, options) in args.ours.items():
        three = lambda tree, threads: [archive(ours_command(binary, tree, options, threads), args.out) for _ in range(3)]
        threads = {n: three(args.tree, n) for n in (1, 2, 4, 8)}
        files = {n: three(tree, THREADS) for n, tree in trees.items()}
        report[label] = {"threads": threads, "files": files}
        print(table(f"{label}: threads", ["threads", "wall s", "CPU s", "peak MB", "archive MB"],
                    [[str(n), *absolute(runs)] for n, runs in threads.items()]))
        peak = lambda n: median([run["peak"] for run in files[n]])
        least = counts[0]
        per_file = lambda n: str(round((peak(n) - peak(least)) / (n - least))) if n > least else ""
        head = ["files", "wall s", "CPU s", "peak MB", "archive MB", f"bytes a file over {least:,}"]
        print(table(f"{label}: files of {len(FILE)} bytes, {THREADS} threads", head,
                    [[f"{n:,}", *absolute(runs), per_file(n)] for n, runs in files.items()]))
    return report


def thread_times(command):
    """Returns the CPU seconds and the name of each thread of a command, the busiest first."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    times = {}
    while child.poll() is None:
        for task in Path(f"/proc/{child.pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                spent = int((task / "schedstat").read_text().split()[0]) / 1e9
                times[task.name] = (spent, (task / "comm").read_text().strip())
        time.sleep(0.005)
    return sorted(times.values(), reverse=True)


def busiest_threads(args):
    """Prints the CPU seconds of the busiest threads. The first one limits how many processors are of use."""
    content = sum(os.path.getsize(f"{path}/{name}") for path, _, names in os.walk(args.tree) for name in names)
    for label, (binary, options) in args.ours.items():
        runs = []
        for _ in range(args.pairs):
            with tempfile.TemporaryDirectory(prefix="wingback-bench-", dir=args.out) as out:
                runs.append(thread_times(ours_command(binary, args.tree, options)(out)))
        run = sorted(runs)[len(runs) // 2]
        rows = [[name, f"{spent:.2f}", f"{spent / (content / 1e9):.2f}"] for spent, name in run[:6]]
        print(table(f"{label}: the busiest threads, of {THREADS} that compress", ["", "CPU s", "CPU s a GB"], rows))


def small_files(tree, count):
    """Returns a tree of `count` small files. Makes it if it is missing or incomplete."""
    stamp = Path(f"{tree}.stamp")
    if tree.is_dir() and stamp.exists():
        if stamp.read_text() == "whole":
            return tree
        shutil.rmtree(tree)
    elif tree.exists():
        sys.exit(f"{tree} is there and has no stamp, so it was not made here")
    tree.mkdir(parents=True)
    stamp.write_text("unfinished")
    for n in range(count):
        folder = tree / f"{n // FILES_A_DIRECTORY:04}"
        if n % FILES_A_DIRECTORY == 0:
            folder.mkdir()
        with open(f"{folder}/{n:07}.txt", "wb") as file:
            file.write(FILE)
    stamp.write_text("whole")
    os.sync()
    return tree


# Tables


def median(values):
    values = sorted(values)
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def spread(values):
    return f"**{median(values):.2f}** ({min(values):.2f}–{max(values):.2f})"


def table(title, head, rows):
    align = ["---"] + ["---:"] * (len(head) - 1)
    return f"### {title}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in [head, align, *rows])


if __name__ == "__main__":
    main()
