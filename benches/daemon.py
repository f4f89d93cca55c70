#!/usr/bin/env python3
"""Measures the daemon with two hundred concurrent requests: twenty servers, each with a small tree.

    benches/daemon.py target/release/wingback-server [--dir DIR]
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
import uuid

SERVERS, REQUESTS = 20, 200


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("daemon")
    parser.add_argument("--dir", default="/dev/shm", help="folder for servers and backups")
    args = parser.parse_args()
    root = tempfile.mkdtemp(dir=args.dir)
    try:
        run(args.daemon, root)
    finally:
        shutil.rmtree(root)


def run(daemon, root):
    servers = [str(uuid.uuid4()) for _ in range(SERVERS)]
    for server in servers:
        os.makedirs(f"{root}/volumes/{server}/world")
        with open(f"{root}/volumes/{server}/world/level.dat", "wb") as file:
            file.write(os.urandom(1 << 16))
    with open(f"{root}/config.yml", "w") as file:
        file.write(f"token: t\nsystem: {{root_directory: {root}}}\n")
        file.write("wingback: {listen: '127.0.0.1:0'}\n")
    process = subprocess.Popen(
        [daemon, "--config", f"{root}/config.yml"], stderr=subprocess.PIPE, text=True
    )
    try:
        url = next(m[1] for line in process.stderr if (m := re.search(r"listening on (\S+)", line)))
        threading.Thread(target=process.stderr.read, daemon=True).start()
        measure(process.pid, url, servers)
    finally:
        process.terminate()
        process.wait()


def measure(pid, url, servers):
    print(f"idle          {memory(pid, 'VmRSS'):.0f} MB")
    times = []

    def ask(server):
        body = json.dumps({"adapter": "wings", "uuid": str(uuid.uuid4())}).encode()
        path = f"{url}/api/servers/{server}/backup"
        request = urllib.request.Request(path, body, {"Authorization": "Bearer t"})
        began = time.monotonic()
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 202
        times.append(time.monotonic() - began)

    asking = [
        threading.Thread(target=ask, args=(servers[i % SERVERS],)) for i in range(REQUESTS)
    ]
    began = time.monotonic()
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    times.sort()
    assert len(times) == REQUESTS
    print(f"answered in   {times[REQUESTS // 2] * 1000:.0f} ms, {times[-1] * 1000:.0f} ms at most")
    done = f'wingback_backups_total{{outcome="success"}} {REQUESTS}'
    while done not in urllib.request.urlopen(f"{url}/metrics").read().decode():
        time.sleep(0.02)
    print(f"all complete  after {time.monotonic() - began:.2f} s")
    print(f"at most       {memory(pid, 'VmHWM'):.0f} MB")


def memory(pid, field):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(rf"{field}:\s+(\d+)", file.read())[1]) / 1000


if __name__ == "__main__":
    main()
