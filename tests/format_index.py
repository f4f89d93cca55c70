"""Reads the index of an archive as docs/format.md describes it. Each violation raises `Violation`."""

import os
import struct
import zlib
from dataclasses import dataclass, field

from blake3 import blake3

FOOTER_LEN, MEMBER_MAX, RAW_MAX, PATHS_MAX, PAGE_TARGET, ROOT_MAX = 128, 8192, 131_072, 1 << 20, 64 << 10, 48 << 10
MEMBER_START, MEMBER_END = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff", b"\x03\x00" + bytes(8)
FILE, SYMLINK, DIRECTORY = range(3)
HAS_HEADER, CHANGED, RECENT, HAS_TARGET = 4, 8, 16, 32


class Violation(Exception):
    """The archive does not conform, and the reason."""


def check(condition, reason):
    if not condition:
        raise Violation(reason)


@dataclass
class Segment:
    number: int
    file_at: int
    tar_at: int
    compressed_len: int
    raw_len: int
    raw_crc32: int
    compressed_crc32: int
    key: bytes


@dataclass
class Entry:
    path: bytes
    kind: int
    bits: int
    header_blocks: int
    size: int
    mode: int
    uid: int
    gid: int
    mtime: int
    ctime: int
    inode: int
    target: bytes
    tar_at: int = 0

    @property
    def sort_key(self):
        return self.path + b"/" if self.kind == DIRECTORY else self.path

    @property
    def has_header(self):
        return bool(self.bits & HAS_HEADER)

    @property
    def content_at(self):
        return self.tar_at + 512 * self.header_blocks

    @property
    def tar_end(self):
        return self.content_at + -(-self.size // 512) * 512


class Reader:
    """Reads the fields of the raw bytes of a blob."""

    def __init__(self, raw, name):
        self.raw, self.name, self.at = raw, name, 0

    def take(self, count):
        check(self.at + count <= len(self.raw), f"{self.name} ends inside a field")
        self.at += count
        return self.raw[self.at - count:self.at]

    def number(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                check(byte or not shift, f"{self.name}: a number is not in its shortest form")
                check(value < 1 << 64, f"{self.name}: a number has more than 64 bits")
                return value
            shift += 7
            check(shift < 70, f"{self.name}: a number has more than 64 bits")

    def signed(self):
        value = self.number()
        return value >> 1 ^ -(value & 1)

    def bytes(self):
        return self.take(self.number())

    def shared(self, before):
        prefix = self.number()
        check(prefix <= len(before), f"{self.name}: a prefix is longer than the string before")
        value = before[:prefix] + self.bytes()
        longest = len(os.path.commonprefix([before, value]))
        check(prefix == longest, f"{self.name}: a prefix is not the longest common one")
        return value

    def integer(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def end(self):
        check(self.at == len(self.raw), f"{self.name} has bytes after its last field")


@dataclass
class Page:
    name: str
    start: tuple
    end: tuple
    segments: list
    entries: list
    records_len: int

    @property
    def text_len(self):
        return sum(len(entry.path) + len(entry.target) for entry in self.entries)


@dataclass
class Index:
    """A whole index. The checks of its parts are in the order in which a reader needs them."""

    data: bytes
    fields: list = field(default_factory=list)
    pages: list = field(default_factory=list)
    levels: int = 0
    nodes: int = 0
    covered: dict = field(default_factory=dict)
    patterns: bytes = b""

    def __post_init__(self):
        self.read_footer()
        self.read_root()
        self.check_pages()
        self.check_places()

    def read_footer(self):
        data = self.data
        check(len(data) > FOOTER_LEN, "the file is too short")
        footer = data[-FOOTER_LEN:]
        start = MEMBER_START + struct.pack("<H2sH", 106, b"WF", 102)
        check(footer.startswith(start), "the last 128 bytes are not a footer")
        check(footer.endswith(MEMBER_END), "the footer does not end in an empty gzip member")
        form = "<8sIIQQQQQ14s32s"
        (magic, flags, self.root_len, self.data_end, self.tar_len, self.segment_count, self.entry_count,
         file_len, reserved, digest) = struct.unpack(form, footer[16:118])
        check(magic == b"WBKIDX\0\1", "the magic is wrong")
        check(flags >> 17 == 0, "reserved flags are set")
        self.encoder, self.level, self.is_wings = flags & 0xFF, flags >> 8 & 0xFF, bool(flags >> 16)
        check(self.encoder <= 6, "the encoder is unknown")
        check(file_len == len(data), "the file has another length than its footer says")
        check(reserved == bytes(14), "reserved bytes of the footer are not 0")
        self.start, self.footer_at = self.data_end + 10, len(data) - FOOTER_LEN
        self.root_at = self.footer_at - self.root_len
        check(self.start < self.root_at, "the root begins before the index")
        check(self.root_len + FOOTER_LEN <= 64 << 10, "root and footer are longer than 64 KiB")
        self.root_stream = self.members(self.root_at, self.root_len, "the root")
        check(blake3(footer[16:86] + self.root_stream) == digest, "the hash of the footer is wrong")

    def members(self, at, length, name):
        """The bytes in the members of a blob, which is one deflate stream."""
        stream, end = b"", at + length
        check(length, f"{name} has no member")
        while at < end:
            check(self.data[at:at + 10] == MEMBER_START, f"{name}: a member does not begin as one")
            xlen, tag, count = struct.unpack("<H2sH", self.data[at + 10:at + 16])
            check(tag == b"WX" and xlen == count + 4, f"{name}: a member has no field WX alone")
            check(at + count + 26 <= end, f"{name} ends inside a member")
            is_last = at + count + 26 == end
            check(count == MEMBER_MAX or is_last and 1 <= count < MEMBER_MAX, f"{name}: a member has {count} bytes")
            stream += self.data[at + 16:at + 16 + count]
            at += count + 26
            check(self.data[at - 10:at] == MEMBER_END, f"{name}: a member is not an empty one of gzip")
        return stream

    def decode(self, stream, name):
        decoder = zlib.decompressobj(-15)
        try:
            raw = decoder.decompress(stream, RAW_MAX + 1)
        except zlib.error as e:
            raise Violation(f"{name} cannot be decoded: {e}") from e
        check(len(raw) <= RAW_MAX, f"{name} has more than {RAW_MAX} raw bytes")
        check(decoder.eof and not decoder.unused_data, f"{name}: the deflate stream does not end where the blob does")
        return Reader(raw, name)

    def blob(self, kind, offset, length, digest):
        """Decodes a blob that is not the root."""
        name = f"the {kind} at offset {offset}"
        at = self.start + offset
        check(at + length <= self.root_at, f"{name} is outside of the index")
        check(offset not in self.covered, f"{name} occurs twice")
        self.covered[offset] = (kind, length)
        stream = self.members(at, length, name)
        check(blake3(stream)[:16] == digest, f"the hash of {name} is wrong")
        return self.decode(stream, name)

    def read_root(self):
        root = self.decode(self.root_stream, "the root")
        self.page_keys = []
        self.read_node(root, None, None)
        check(len(root.raw) <= ROOT_MAX, f"the root has more than {ROOT_MAX} raw bytes")
        self.pages_len = root.number()
        while root.at < len(root.raw):
            self.fields.append((root.number(), root.bytes()))

    def read_node(self, node, level_above, key):
        """Reads a node and everything below. Each child has the key of its own first child."""
        level, at, count = node.number(), node.number(), node.number()
        if level_above is None:
            check(1 <= level <= 6, f"{node.name} has level {level}")
            self.levels = level
        else:
            check(level == level_above - 1, f"{node.name} has level {level} below {level_above}")
        check(count, f"{node.name} has no children")
        children, before = [], b""
        for _ in range(count):
            before = node.shared(before)
            children.append((before, node.number(), node.take(16)))
        if level_above is not None:
            node.end()
            check(children[0][0] == key, f"{node.name}: the key of its first child is another than its own")
        check(sum(len(child[0]) for child in children) <= PATHS_MAX, f"{node.name} has more than 1 MiB of keys")
        for key, length, digest in children:
            if level == 1:
                self.page_keys.append(key)
                self.pages.append(self.read_page(self.blob("page", at, length, digest)))
            else:
                self.nodes += 1
                self.read_node(self.blob("node", at, length, digest), level, key)
            at += length

    def read_page(self, page):
        number, file_at, tar_at, entry_at = (page.number() for _ in range(4))
        segment_count, entry_count = page.number(), page.number()
        start, records, segments, entries = (number, file_at, tar_at, entry_at), [], [], []
        for i in range(segment_count):
            begin = page.at
            compressed_len, raw_len = page.number(), page.number()
            fields = (page.integer("I"), page.integer("I"), page.take(16))
            segments.append(Segment(number + i, file_at, tar_at, compressed_len, raw_len, *fields))
            file_at, tar_at = file_at + compressed_len, tar_at + raw_len
            records.append(page.at - begin)
        before = Entry(b"", FILE, 0, 0, 0, 0, 0, 0, 0, 0, 0, b"")
        for _ in range(entry_count):
            begin = page.at
            before = self.read_entry(page, before)
            before.tar_at = entry_at
            if before.has_header:
                entry_at = before.tar_end
            entries.append(before)
            records.append(page.at - begin)
        page.end()
        end = (number + segment_count, file_at, tar_at, entry_at)
        result = Page(page.name, start, end, segments, entries, sum(records))
        check(result.text_len <= PATHS_MAX, f"{page.name} has more than 1 MiB of paths and targets")
        longest = max(records, default=0)
        check(sum(records) - longest < PAGE_TARGET, f"{page.name} is longer than a writer makes it")
        return result

    def read_entry(self, page, before):
        path, bits = page.shared(before.path), page.take(1)[0]
        kind = bits & 3
        name = f"entry {path!r}"
        check(kind <= DIRECTORY and bits < 64, f"{name} has unknown bits")
        check(1 <= len(path) <= 8192, f"{name} has a path of {len(path)} bytes")
        parts = path.split(b"/")
        check(not {b"", b".", b".."} & set(parts) and b"\0" not in path, f"{name} has a wrong path")
        header = page.number() if bits & HAS_HEADER else 0
        check(bool(header) == bool(bits & HAS_HEADER), f"{name} has a header of 0 blocks")
        size = page.number() if kind == FILE else 0
        mode, uid, gid = (page.number() for _ in range(3))
        check(mode <= 0o7777, f"{name} has the mode {mode:o}")
        check(max(uid, gid) < 1 << 32, f"{name} has an owner or group of more than 32 bits")
        times = [wrap(page.signed() + old) for old in (before.mtime, before.ctime)]
        inode = (page.signed() + before.inode) % (1 << 64)
        target = page.bytes() if bits & HAS_TARGET else b""
        check(len(target) <= 8192, f"{name} has a target of {len(target)} bytes")
        check(bool(target) == bool(bits & HAS_TARGET), f"{name} has an empty target")
        check((kind == SYMLINK) <= bool(target), f"{name} is a symlink without a target")
        check(not (kind == DIRECTORY and target), f"{name} is a directory with a target")
        has_header = kind == FILE or not self.is_wings
        check(has_header == bool(header), f"{name}: its profile and kind do not fit to its header")
        return Entry(path, kind, bits, header, size, mode, uid, gid, *times, inode, target)

    def check_pages(self):
        """Compares each page with the one before: segments, entries and keys."""
        next_segment, next_entry, last_segment = (0, 10, 0), 0, None
        last_key, segments, entries, before = b"", 0, 0, None
        for key, page in zip(self.page_keys, self.pages):
            name, begin = page.name, page.start[:3]
            repeats = begin != next_segment
            if repeats:
                again = last_segment and (last_segment.number, last_segment.file_at, last_segment.tar_at)
                check(begin == again, f"{name} does not begin with the next segment or the one before")
                check(page.segments[:1] == [last_segment], f"{name} repeats another segment")
            in_tar = [entry for entry in page.entries if entry.has_header]
            check(page.start[3] == next_entry, f"{name} does not begin with the next entry of the tar stream")
            # An entry that only the index has counts as if it began one byte earlier.
            first_at = next_entry - (not page.entries[0].has_header) if page.entries else None
            needs = bool(page.entries and last_segment and first_at < next_segment[2])
            check(needs == repeats, f"{name}: its first segment does not belong to its first entry")
            for entry in in_tar:
                check(page.start[2] <= entry.tar_at < page.end[2], f"{name}: entry {entry.path!r} begins in another page")
            new = len(page.segments) - repeats
            check(new or page.entries, f"{name} has nothing new")
            check(is_full(before, page), f"{before and before.name} is shorter than a writer makes it")
            first_key = page.entries[0].sort_key if page.entries else last_key + b"\0"
            shared = len(os.path.commonprefix([last_key, first_key]))
            expected = first_key[:shared + 1] if page is not self.pages[0] else b""
            check(key == expected, f"{name} has the key {key!r} instead of {expected!r}")
            for entry in page.entries:
                check(entry.sort_key > last_key, f"entry {entry.path!r} is not in order")
                last_key = entry.sort_key
            segments, entries = segments + new, entries + len(page.entries)
            next_segment, next_entry = page.end[:3], page.end[3]
            last_segment = page.segments[-1] if page.segments else last_segment
            before = page
        end = (self.segment_count, self.data_end, self.tar_len)
        check(next_segment == end, "the last page does not end with the data")
        check((segments, entries) == (self.segment_count, self.entry_count), "the footer has other counts than the pages")
        check(next_entry + 1024 == self.tar_len, "the entries do not cover the tar stream up to its two zero blocks")

    def check_places(self):
        """Pages, nodes and patterns are one after the other, and nothing is between them."""
        for tag, value in self.fields:
            if tag == 7:
                check(len(value) == 28, "the field of the patterns does not have 28 bytes")
                self.patterns += self.blob("patterns", *struct.unpack("<QI16s", value)).raw
        check(len(self.patterns) <= 1 << 20, "there is more than 1 MiB of patterns")
        at, kinds, pages_len = 0, [], 0
        for offset in sorted(self.covered):
            kind, length = self.covered[offset]
            check(offset == at, f"there are bytes that belong to nothing before offset {offset}")
            at += length
            kinds.append(kind)
            pages_len += length if kind == "page" else 0
        check(self.start + at == self.root_at, "there are bytes that belong to nothing before the root")
        check(kinds == sorted(kinds, key=["page", "node", "patterns"].index), "pages, nodes and patterns are mixed")
        check(pages_len == self.pages_len, "the root has another length of the pages")

    @property
    def segments(self):
        """All segments, each once."""
        return list({segment.number: segment for page in self.pages for segment in page.segments}.values())

    @property
    def entries(self):
        return [entry for page in self.pages for entry in page.entries]


def is_full(page, following):
    """Whether a writer ends a page before the page that follows it."""
    if page is None or page.records_len >= PAGE_TARGET:
        return True
    first = following.entries[0] if following.entries else None
    return first is not None and page.text_len + len(first.path) + len(first.target) > PATHS_MAX


def wrap(value):
    """A sum modulo 2^64, as an i64."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
