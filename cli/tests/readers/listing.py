"""Lists an archive with Python's tarfile, seekable ("r:gz") or streaming ("r|gz")."""

import hashlib
import os
import sys
import tarfile

mode, path = sys.argv[1:]
with tarfile.open(path, mode) as archive:
    for entry in archive:
        kind = "f" if entry.isfile() else "l" if entry.issym() else "d" if entry.isdir() else "?"
        content = archive.extractfile(entry).read() if kind == "f" else b""
        print(
            kind,
            os.fsencode(entry.name).hex(),
            entry.size,
            "%o" % entry.mode,
            int(entry.mtime),
            os.fsencode(entry.linkname).hex() or "-",
            hashlib.sha1(content).hexdigest(),
        )
