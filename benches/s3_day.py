#!/usr/bin/env python3
"""Measures how much of the next day's archive is sent to S3, and how much the service copies.

    cargo build --release -p wingback-cli
    python3 benches/s3_day.py --wingback target/release/wingback

Two backups of a copy of the tree with `--cache` go to one MinIO server, with parts of 5 MiB. Between
them 5 % of the tree change: in many places (half of one region file in ten, a log, 300 small files), or
in few files (whole region files, one beside the other). The second archive is then read from the bucket,
and must have the SHA-1 of the report. With --touch, every ctime changes as well, so that all files are
read, and are compared with the segments of the previous archive.
"""

import argparse
import json
import os
from pathlib import Path
import random
import subprocess
import tempfile
import time

import day
from run import TARGET, make_tree
from s3 import BUCKET, KEYS, Server


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wingback", required=True)
    parser.add_argument("--touch", action="store_true", help="change every ctime before the second backup")
    parser.add_argument("--tree", type=Path, default=TARGET / "tree", help="made if missing [target/bench/tree]")
    args = parser.parse_args()
    make_tree(args.tree)
    for name, change in [("in many places", lambda tree: day.change(tree, 0)), ("in few files", change_few),
                         ("nothing", lambda tree: None)]:
        with tempfile.TemporaryDirectory(prefix="wingback-s3-", dir=args.tree.parent) as work:
            print(f"{name}: {compare(args, Path(work), change)}")


def change_few(tree):
    """Replaces all chunks of region files, in the order of the files, until 5 % of the tree are new."""
    left = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 20
    for path in sorted(tree.rglob("*.mca")):
        size = path.stat().st_size
        if size > left:
            break
        rng, old = random.Random(size), path.read_bytes()
        chunks = (old[at : at + 4096].rstrip(b"\0") for at in range(0, size, 4096))
        # The zeros after a chunk stay, so that the archive has about the same size.
        path.write_bytes(b"".join(rng.randbytes(len(chunk)).ljust(4096, b"\0") for chunk in chunks)[:size])
        left -= size


def compare(args, work, change):
    tree = work / "server"
    subprocess.run(["cp", "-a", f"{args.tree}/.", tree], check=True)
    # Until then a memory-mapped file may change without a change of its times.
    time.sleep(61)
    server = Server(work / "data")
    try:
        create = ["create", tree, "--to", f"s3://{BUCKET}", "--cache", work / "cache"]
        run(args, server, *create)
        change(tree)
        if args.touch:
            subprocess.run(["chown", "-R", f"{os.getuid()}:{os.getgid()}", tree], check=True)
        second = run(args, server, *create)
        run(args, server, "verify", second["location"], "--sha1", second["sha1"])
    finally:
        server.stop()
    sent, size = second["uploaded"], second["size"]
    return (f"sent {sent / size:.3f} of {size} bytes, copied {second['copied_in_store'] / size:.3f}, "
            f"read {second['read'] / second['content']:.3f} of the content")


def run(args, server, *command):
    env = {**os.environ, "AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1],
           "AWS_ENDPOINT_URL_S3": server.endpoint}
    ran = subprocess.run([args.wingback, *command, "--json"], check=True, env=env, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
    return json.loads(ran.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
