#!/usr/bin/env python3
"""Measures backups to S3 against those of the peer, which stages the archive on a disk, reads it
again for its SHA-1, and then sends its parts one after another.

    cargo build --release
    python3 benches/s3.py --wingback default=target/release/wingback

Both use one MinIO server with its data in memory, through a link of 100 MB/s and a round trip
of 20 ms (a relay in this script that delays bytes accordingly), with parts of 5 MiB. They run in
turns. A ratio is the median of the pairs, with its minimum and maximum. Ours is better if it is
over 1. The first pair is a warm-up.

With --plain PROGRAM (benches/s3_upload.rs), an upload alone is also measured, without the link,
against the same number of plain concurrent upload_part calls of the crate minio.
"""

import argparse
import asyncio
import datetime
import hashlib
import hmac
import os
from pathlib import Path
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from run import (OURS, OURS_HELP, TARGET, build_peer, machine, make_tree, measure, median, programs, spread, table,
                 tree_facts)

PART = 5 << 20
BUCKET = "bench"
KEYS = ("benchaccess", secrets.token_hex(16))
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "wingback" / "bin"


def main():
    args = parse_args()
    make_tree(args.tree)
    print(f"{machine()}\n\n{tree_facts(args.tree)}\n")
    with tempfile.TemporaryDirectory(prefix="wingback-s3-", dir="/dev/shm") as data, \
            tempfile.TemporaryDirectory(prefix="wingback-s3-", dir=TARGET) as disk:
        server = Server(data)
        try:
            link = Link(server.port, args.rate, args.latency / 1000)
            for label, ours in args.ours.items():
                print(compare(label, ours, args, server, link, Path(disk)))
            if args.plain:
                subprocess.run([args.plain, server.endpoint, *KEYS, BUCKET, "512", str(args.pairs)],
                               check=True)
        finally:
            server.stop()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--wingback", action="append", metavar=OURS, help=OURS_HELP)
    add("--plain", metavar="PROGRAM", help="the bench s3_upload, built")
    add("--pairs", type=int, default=3, help="measured runs of each [%(default)s]")
    add("--tree", type=Path, default=TARGET / "tree", help="made if missing [target/bench/tree]")
    add("--rate", type=float, default=100e6, help="bytes a second of the link [%(default)s]")
    add("--latency", type=float, default=20, help="milliseconds there and back [%(default)s]")
    args = parser.parse_args()
    args.ours = programs(parser, args.wingback or [])
    return args


def compare(label, ours, args, server, link, disk):
    """Measures the peer and ours in turns. Returns a table."""
    peer = build_peer()
    runs = {"the peer": [], label: []}
    for turn in range(args.pairs + 1):
        for name, run in [("the peer", lambda: by_peer(peer, args.tree, server, link, disk)),
                          (label, lambda: by_us(ours, args.tree, link, disk))]:
            found = run()
            server.empty()
            if turn:
                runs[name].append(found)
    ratios = [p["wall"] / o["wall"] for p, o in zip(*runs.values())]
    rows = [[name] + [f"{median([r[key] / unit for r in found]):.{digits}f}" for key, unit, digits in
                      [("wall", 1, 2), ("cpu", 1, 2), ("peak", 1e6, 1), ("disk", 1e6, 0)]]
            for name, found in runs.items()]
    head = ["", "wall s", "CPU s", "peak MB", "MB written to a disk"]
    return (table(f"{label}: {args.rate / 1e6:.0f} MB/s, {args.latency:.0f} ms", head, rows)
            + f"\nwall, the peer's ÷ ours: {spread(ratios)}\n")


def by_peer(peer, tree, server, link, disk):
    archive = disk / "archive.tar.gz"
    upload = server.begin("peer")
    urls = disk / "urls"
    # More than the upload needs.
    urls.write_text("".join(server.part_url("peer", upload, n, link.port) + "\n" for n in range(1, 301)))
    found = measure([peer, "-parts", str(urls), "-part-size", str(PART), str(tree), str(archive)])
    found["disk"] = archive.stat().st_size
    archive.unlink()
    server.abort("peer", upload)
    return found


def by_us(ours, tree, link, disk):
    binary, options = ours
    env = {**os.environ, "AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1],
           "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{link.port}", "TMPDIR": str(disk)}
    before = blocks_written()
    found = measure([binary, "create", *options, str(tree), "--to", f"s3://{BUCKET}", "--quiet"], env=env)
    found["disk"] = blocks_written() - before
    return found


def blocks_written():
    """Bytes that exited children wrote to disks."""
    import resource
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock * 512


class Server:
    """A MinIO server on a free port."""

    def __init__(self, folder):
        binaries = sorted(CACHE.glob("minio-*"))
        if not binaries:
            sys.exit("there is no MinIO yet: run tests/s3-servers.sh")
        self.folder, self.port = Path(folder), free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        env = {**os.environ, "MINIO_ROOT_USER": KEYS[0], "MINIO_ROOT_PASSWORD": KEYS[1], "MINIO_BROWSER": "off"}
        self.process = subprocess.Popen(
            [binaries[-1], "server", "--quiet", "--address", f"127.0.0.1:{self.port}", folder],
            env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.ask("PUT", f"/{BUCKET}")
                return
            except OSError:
                time.sleep(0.1)
        sys.exit("MinIO does not answer")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def ask(self, method, path, **query):
        request = urllib.request.Request(sign(method, self.port, path, query), method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    def begin(self, key):
        return re.search("<UploadId>(.*)</UploadId>", self.ask("POST", f"/{BUCKET}/{key}", uploads="")).group(1)

    def part_url(self, key, upload, number, port):
        return sign("PUT", port, f"/{BUCKET}/{key}", {"partNumber": str(number), "uploadId": upload})

    def abort(self, key, upload):
        self.ask("DELETE", f"/{BUCKET}/{key}", uploadId=upload)

    def empty(self):
        for key in re.findall("<Key>(.*?)</Key>", self.ask("GET", f"/{BUCKET}", **{"list-type": "2"})):
            self.ask("DELETE", f"/{BUCKET}/{key}")


def sign(method, port, path, query):
    """Returns a URL signed with AWS Signature Version 4."""
    now = datetime.datetime.now(datetime.timezone.utc)
    day, region = f"{now:%Y%m%d}", "us-east-1"
    scope = f"{day}/{region}/s3/aws4_request"
    query = {**query, "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{KEYS[0]}/{scope}",
             "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}", "X-Amz-Expires": "3600", "X-Amz-SignedHeaders": "host"}
    text = "&".join(f"{urllib.parse.quote(k, safe='~')}={urllib.parse.quote(v, safe='~')}" for k, v in sorted(query.items()))
    request = f"{method}\n{path}\n{text}\nhost:127.0.0.1:{port}\n\nhost\nUNSIGNED-PAYLOAD"
    to_sign = f"AWS4-HMAC-SHA256\n{now:%Y%m%dT%H%M%SZ}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{KEYS[1]}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"http://127.0.0.1:{port}{path}?{text}&X-Amz-Signature={hmac.digest(key, to_sign.encode(), 'sha256').hex()}"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Link:
    """A relay to `port` with the speed of a link: `rate` bytes per second in each direction, and a
    round trip of `latency` seconds. All connections share it."""

    WINDOW = 4 << 20  # bytes of a connection that are on their way at most, as a socket's buffer has it

    def __init__(self, port, rate, latency):
        self.to, self.rate, self.latency = port, rate, latency
        self.free_at = {"up": 0.0, "down": 0.0}
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        ready.wait()

    async def serve(self, ready):
        server = await asyncio.start_server(self.relay, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def relay(self, reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to, limit=1 << 20)
        await asyncio.gather(self.carry("up", reader, there_writer), self.carry("down", there_reader, writer))

    async def carry(self, direction, reader, writer):
        under_way, room = asyncio.Queue(), asyncio.Semaphore(self.WINDOW >> 16)

        async def arrive():
            while (one := await under_way.get()) is not None:
                at, data = one
                await asyncio.sleep(at - time.monotonic())
                room.release()
                writer.write(data)
                await writer.drain()
            writer.close()

        arriving = asyncio.create_task(arrive())
        try:
            while data := await reader.read(1 << 16):
                await room.acquire()
                start = max(time.monotonic(), self.free_at[direction])
                self.free_at[direction] = start + len(data) / self.rate
                under_way.put_nowait((self.free_at[direction] + self.latency / 2, data))
        except OSError:
            pass
        under_way.put_nowait(None)
        try:
            await arriving
        except OSError:
            pass


if __name__ == "__main__":
    main()
