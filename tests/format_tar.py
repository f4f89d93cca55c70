"""Compares the tar stream of an archive with its entries, and its segments with the rules for their cuts."""

import io
import tarfile
import zlib

from format_index import DIRECTORY, FILE, SYMLINK, Violation, check

TYPES = {FILE: tarfile.REGTYPE, SYMLINK: tarfile.SYMTYPE, DIRECTORY: tarfile.DIRTYPE}
USTAR, GNU = b"ustar\x0000", b"ustar  \0"
KIB, MIB = 1 << 10, 1 << 20
CHANGED_IN_PLACE = (b".mca", b".mcr", b".db", b".sqlite", b".ldb", b".mdb")


def check_tar(tar, entries):
    """Each entry has its member in the tar stream, and nothing else is there."""
    check(tar[-1024:] == bytes(1024), "the tar stream does not end with two zero blocks")
    encoded = ("utf-8", "surrogateescape")
    try:
        archive = tarfile.open(fileobj=io.BytesIO(tar), mode="r:", encoding=encoded[0], errors=encoded[1])
        members = archive.getmembers()
    except tarfile.TarError as e:
        raise Violation(f"tarfile cannot read the tar stream: {e}") from e
    check(len(members) == len(entries), f"the tar has {len(members)} members for {len(entries)} entries")
    for member, entry in zip(members, entries):
        name = f"the tar's {entry.path!r}"
        check(member.name.encode(*encoded) == entry.path, f"{name} is called {member.name!r} there")
        check(member.offset == entry.tar_at, f"{name} is at {member.offset} instead of {entry.tar_at}")
        check(member.offset_data == entry.content_at, f"{name} has headers of another length")
        check(member.type == TYPES[entry.kind], f"{name} has the type {member.type!r}")
        expected = {
            "size": entry.size, "mode": entry.mode, "uid": entry.uid, "gid": entry.gid,
            "mtime": max(0, entry.mtime // 10**9),
        }
        for key, value in expected.items():
            check(getattr(member, key) == value, f"{name} has the {key} {getattr(member, key)} instead of {value}")
        link = entry.target if entry.kind == SYMLINK else b""
        check(member.linkname.encode(*encoded) == link, f"{name} has the target {member.linkname!r}")
        check_header(tar[entry.tar_at:entry.content_at], entry, name)
        padding = tar[entry.content_at + entry.size:entry.tar_end]
        check(not padding.strip(b"\0"), f"{name} has padding that is not zero")


def check_header(blocks, entry, name):
    """Checks the form of the header blocks of an entry: which records, and how the name is divided."""
    path, long_link = entry.sort_key, entry.kind == SYMLINK and len(entry.target) > 100
    is_large = entry.size >= 8 << 30 or max(entry.uid, entry.gid) > 2_097_151 or entry.mtime // 10**9 >= 8 << 30
    is_gnu = is_large or long_link or len(path) > 100 and split(path) is None
    expected = []
    if is_gnu:
        expected += [(b"L", path)] if len(path) > 100 else []
        expected += [(b"K", entry.target)] if long_link else []
    at = 0
    while blocks[at + 156:at + 157] in (b"L", b"K"):
        check(expected, f"{name} has a record that it does not need")
        block = blocks[at:at + 512]
        want = [record for record in expected if record[0] == block[156:157]]
        check(want, f"{name} has a record {block[156:157]} that it does not need")
        expected.remove(want[0])
        length = int(block[124:135], 8)
        text = blocks[at + 512:at + 512 + length]
        check(block.startswith(b"././@LongLink\0") and block[257:265] == GNU, f"{name}: its long record is not GNU's")
        check(text == want[0][1] + b"\0", f"{name}: its long record has another text")
        at += 512 + -(-length // 512) * 512
    check(not expected, f"{name} lacks the record {expected}")
    header = blocks[at:]
    check(len(header) == 512, f"{name} has {len(header)} bytes of header")
    check(header[257:265] == (GNU if is_gnu else USTAR), f"{name} has the magic {header[257:265]}")
    check(not header[265:329].strip(b"\0"), f"{name} has the name of a user or group")
    prefix, short = (b"", path[:100]) if is_gnu else split(path)
    check(header[:100].rstrip(b"\0") == short, f"{name} has another name in its header")
    check(header[345:512].rstrip(b"\0") == prefix, f"{name} has another prefix in its header")


def split(path):
    """The prefix and the name of an ustar header: with the longest prefix. None if there is none."""
    if len(path) <= 100:
        return b"", path
    for at in range(min(155, len(path) - 2), 0, -1):
        if path[at:at + 1] == b"/" and 1 <= len(path) - at - 1 <= 100:
            return path[:at], path[at + 1:]
    return None


def check_cuts(index, entries):
    """The segments end exactly where the document cuts the stream."""
    cuts, group = set(), 0
    for entry in entries:
        step = piece(entry)
        if step:
            cuts |= {entry.tar_at, entry.content_at, entry.tar_end}
            cuts |= {entry.content_at + at for at in range(step, entry.size, step)}
            if entry.path.endswith((b".mca", b".mcr")):
                cuts.add(entry.content_at + 8 * KIB)
            group = entry.tar_end
        elif ends_group(entry.tar_end - group, entry.path):
            group = entry.tar_end
            cuts.add(group)
    cuts |= {index.tar_len - 1024, index.tar_len}
    # Padding has no bytes of the stream. It may come before the first of them.
    found = {segment.tar_at + segment.raw_len for segment in index.segments if segment.raw_len}
    check(found == cuts - {0}, f"the cuts differ, first at {min(found ^ (cuts - {0}), default=None)}")


def piece(entry):
    """How often the content of a large file is cut, or 0 if it is not large."""
    if entry.path.endswith(CHANGED_IN_PLACE) and entry.size >= 128 * KIB:
        return 128 * KIB
    return MIB if entry.size >= MIB else 0


def ends_group(raw, path):
    return raw >= MIB or raw >= 128 * KIB and zlib.crc32(path) & 7 == 0
