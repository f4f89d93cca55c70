"""Changes 5% of a tree, as a day of play does: for the benches of backups of several days."""

import random
from pathlib import Path


def change(tree: Path, day: int):
    """Changes half of one region file in ten, appends to a log, and changes 300 small files."""
    rng = random.Random(9 + day)
    for path in sorted(tree.rglob("*.mca"))[day % 10 :: 10]:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(size // 4 // 4096 * 4096)
            file.write(rng.randbytes(size // 2 // 4096 * 4096))
    with next(tree.rglob("logs")).joinpath("latest.log").open("a") as log:
        log.write("[12:00:00] [Server thread/INFO]: a new day\n" * 1000)
    small = sorted(path for path in tree.rglob("*") if path.is_file() and path.stat().st_size < 8192)
    for path in rng.sample(small, 300):
        path.write_bytes(path.read_bytes()[::-1])
