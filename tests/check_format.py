#!/usr/bin/env python3
"""Checks that archives conform to docs/format.md: check_format.py FILE...

It was written from that document alone and shares nothing with the engine, so each of them checks the other. It
prints a line of JSON for each archive. At the first violation it prints the reason and exits with status 1.
"""

import gzip
import json
import struct
import sys
import zlib

from xxh3 import xxh3_128
from format_index import DIRECTORY, FILE, HAS_TARGET, SYMLINK, Index, Violation, check
from format_tar import check_cuts, check_tar

# Fields of the root: those that are a u64, those that are UTF-8, at most one of each, always one, the most bytes.
COUNTS, UTF_8, ONCE = (8, 9, 10, 11, 12), (3, 5, 13), (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 14)
ALWAYS, LONGEST = (1, 5, 6, *COUNTS), {1: 255, 2: 4096, 3: 255, 6: 1, 13: 255 + 1 + 512}


def check_segments(data, index):
    """Returns the tar stream."""
    tar = []
    for segment in index.segments:
        name = f"segment {segment.number}"
        compressed = data[segment.file_at:segment.file_at + segment.compressed_len]
        stored = segment.raw_len + 5 * -(-segment.raw_len // 65535) + 5 if segment.raw_len else 8 << 10
        check(5 <= len(compressed) <= stored, f"{name} has {len(compressed)} bytes in the file")
        check(segment.raw_len <= 4 << 20, f"{name} has {segment.raw_len} raw bytes")
        check(segment.raw_len <= 1032 * len(compressed), f"{name} is too long for its bytes in the file")
        check(zlib.crc32(compressed) == segment.compressed_crc32, f"{name}: the CRC in the file is wrong")
        check(compressed.endswith(b"\0\0\xff\xff"), f"{name} does not end with an empty stored block")
        decoder = zlib.decompressobj(-15)
        try:
            raw = decoder.decompress(compressed, segment.raw_len + 1)
            check(not decoder.eof, f"{name} has a final block")
            raw += decoder.decompress(decoder.unconsumed_tail + b"\x03\x00")
        except zlib.error as e:
            raise Violation(f"{name} cannot be decoded: {e}") from e
        check(decoder.eof and not decoder.unused_data, f"{name} ends inside of a block")
        check(len(raw) == segment.raw_len, f"{name} has {len(raw)} bytes instead of {segment.raw_len}")
        check(zlib.crc32(raw) == segment.raw_crc32, f"{name}: the CRC of its raw bytes is wrong")
        check((xxh3_128(raw) if raw else bytes(16)) == segment.key, f"{name}: the key is wrong")
        if index.encoder == 0 and raw:
            check(is_stored(compressed), f"{name} is compressed, and the encoder is none")
        tar.append(raw)
    return b"".join(tar)


def is_stored(blocks):
    """Whether all deflate blocks are stored. Each begins on a byte boundary, because stored blocks end on one."""
    at = 0
    while at < len(blocks):
        if blocks[at]:
            return False
        at += 5 + struct.unpack_from("<H", blocks, at + 1)[0]
    return True


def check_file(data, index, tar):
    check(data[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff", "the file does not begin with the header")
    check(data[index.data_end:index.data_end + 2] == b"\x03\x00", "the final block is not at data_end")
    trailer = struct.pack("<II", zlib.crc32(tar), len(tar) % (1 << 32))
    check(data[index.data_end + 2:index.start] == trailer, "the trailer is wrong")
    check(gzip.decompress(data) == tar, "gzip decodes other bytes than the segments have")


def check_entries(entries, is_reproducible):
    """Hard links name the first entry with their inode."""
    first = {}
    for entry in entries:
        if is_reproducible:
            check(entry.ctime == entry.inode == 0, f"{entry.path!r} has a ctime or inode, and the archive no time")
        if entry.kind == FILE and entry.bits & HAS_TARGET:
            named = first.get(entry.target)
            check(named, f"{entry.path!r} is a hard link to {entry.target!r}, which is not a file before it")
            check(named.inode == entry.inode, f"{entry.path!r} has another inode than {entry.target!r}")
        elif entry.kind == FILE:
            first[entry.path] = entry


def check_fields(fields, entries):
    """Checks the values of the root."""
    tags = [tag for tag, _ in fields]
    check(tags == sorted(tags), "the fields are not in the order of their tags")
    for tag in ONCE:
        check(tags.count(tag) <= 1, f"field {tag} occurs twice")
    for tag in ALWAYS:
        check(tag in tags, f"field {tag} is missing")
    for tag, value in fields:
        check(tag not in LONGEST or len(value) <= LONGEST[tag], f"field {tag} has {len(value)} bytes")
        check(tag != 6 or value in (b"\0", b"\1"), "the language of the patterns is unknown")
        check(tag not in (4, *COUNTS) or len(value) == 8, f"field {tag} does not have 8 bytes")
        check(tag != 13 or b"=" in value, "a tag has no value")
        check(tag != 14 or value == b"\x01", "field 14 is not 1")
        try:
            value.decode() if tag in UTF_8 else None
        except UnicodeDecodeError:
            raise Violation(f"field {tag} is not UTF-8") from None
    found = {tag: struct.unpack("<Q", value)[0] for tag, value in fields if tag in COUNTS}
    for tag, kind in ((8, FILE), (9, DIRECTORY), (10, SYMLINK)):
        count = sum(entry.kind == kind for entry in entries)
        check(found.get(tag) == count, f"field {tag} is {found.get(tag)} instead of {count}")
    content = sum(entry.size for entry in entries)
    check(found.get(11) == content, f"field 11 is {found.get(11)} instead of {content}")
    check(4 in tags or not {2, 3} & set(tags), "there is a source or host without a time")


def check_archive(path):
    with open(path, "rb") as file:
        data = file.read()
    index = Index(data)
    entries = index.entries
    check_fields(index.fields, entries)
    check_entries(entries, 4 not in (tag for tag, _ in index.fields))
    tar = check_segments(data, index)
    check_file(data, index, tar)
    check_tar(tar, [entry for entry in entries if entry.has_header])
    check_cuts(index, [entry for entry in entries if entry.has_header])
    return {
        "archive": path, "bytes": len(data), "tar": len(tar), "segments": len(index.segments),
        "entries": len(entries), "pages": len(index.pages), "levels": index.levels, "nodes": index.nodes,
        "hard_links": sum(entry.kind == FILE and bool(entry.target) for entry in entries),
        "encoder": index.encoder, "profile": "wings" if index.is_wings else "full",
        "patterns": len(index.patterns),
    }


def main(paths):
    if not paths:
        sys.exit(__doc__)
    for path in paths:
        try:
            print(json.dumps(check_archive(path)), flush=True)
        except Violation as e:
            sys.exit(f"{path}: {e}")


if __name__ == "__main__":
    main(sys.argv[1:])
