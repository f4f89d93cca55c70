#!/usr/bin/env python3
"""Measures how much of the next day's archive is sent to S3, and how much the service copies.

    cargo build --release -p wingback-cli
    python3 benches/s3_day.py --wingback target/release/wingback

Two backups of a copy of the tree with `--cache` go to one MinIO server, with parts of 5 MiB. Between
them 5 % of the tree change: in many places (half of one region file in ten, a log, 300 small files), or
in few files (whole region files, one beside the other). A third backup sends the whole tree to another
bucket, and must have the same SHA-1.
"""

import argparse
import json
import os
from pathlib import Path
import random
import shutil
import subprocess
import tempfile

import day
from run import TARGET, make_tree
from s3 import BUCKET, KEYS, Server


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wingback", required=True)
    parser.add_argument("--tree", type=Path, default=TARGET / "tree", help="made if missing [target/bench/tree]")
    args = parser.parse_args()
    make_tree(args.tree)
    for name, change in [("in many places", lambda tree: day.change(tree, 0)), ("in few files", change_few),
                         ("nothing", lambda tree: None)]:
        with tempfile.TemporaryDirectory(prefix="wingback-s3-", dir=args.tree.parent) as work:
            print(f"{name}: {compare(args, Path(work), change)}")


def change_few(tree):
    """Replaces whole region files, in their order, until 5 % of the tree are new."""
    left = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 20
    for path in sorted(tree.rglob("*.mca")):
        size = path.stat().st_size
        if size > left:
            break
        path.write_bytes(random.Random(size).randbytes(size))
        left -= size


def compare(args, work, change):
    tree = work / "server"
    subprocess.run(["cp", "-a", args.tree, tree], check=True)
    server = Server(work / "data")
    try:
        server.ask("PUT", "/full")
        create(args, server, tree, BUCKET, "--cache", work / "cache")
        change(tree)
        second = create(args, server, tree, BUCKET, "--cache", work / "cache")
        full = create(args, server, tree, "full")
    finally:
        server.stop()
        shutil.rmtree(work / "data")
    if second["sha1"] != full["sha1"]:
        raise SystemExit("other bytes than those of a full upload")
    sent, size = second["uploaded"], second["size"]
    return (f"sent {sent / size:.3f} of {size} bytes, copied {second['copied_in_store'] / size:.3f}, "
            f"changed {second['compressed'] / second['content']:.3f} of the content")


def create(args, server, tree, bucket, *options):
    env = {**os.environ, "AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1],
           "AWS_ENDPOINT_URL_S3": server.endpoint}
    command = [args.wingback, "create", tree, "--to", f"s3://{bucket}", "--reproducible", "--json", *options]
    ran = subprocess.run(command, check=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(ran.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
