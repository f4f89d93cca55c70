//! Reads the index of an archive, and writes others for it: an implementation of `docs/format.md` that shares
//! nothing with the engine.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{io::Read, ops::Range};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};

pub const FOOTER_LEN: usize = 128;

/// Raw bytes of a page, at most, in the indexes that this module writes.
const PAGE: usize = 60_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct Footer {
    pub flags: u32,
    pub root_len: u32,
    pub data_end: u64,
    pub tar_len: u64,
    pub segments: u64,
    pub entries: u64,
    pub file_len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub compressed_len: u64,
    pub raw_len: u64,
    pub raw_crc32: u32,
    pub compressed_crc32: u32,
    pub key: [u8; 16],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub path: Vec<u8>,
    /// 0 file, 1 symlink, 2 directory.
    pub kind: u8,
    pub header_len: u64,
    pub size: u64,
    pub mode: u64,
    pub uid: u64,
    pub gid: u64,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    pub inode: u64,
    pub is_changed: bool,
    pub is_recent: bool,
    pub target: Vec<u8>,
}

impl Entry {
    pub fn tar_len(&self) -> u64 {
        self.header_len + self.size.next_multiple_of(512)
    }
}

/// All records of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    pub segments: Vec<Segment>,
    pub entries: Vec<Entry>,
    /// The fields of the root that are not part of the tree.
    pub fields: Vec<(u64, Vec<u8>)>,
}

pub struct Located {
    pub data_end: usize,
    segments: Vec<(Range<usize>, Range<u64>)>,
    entries: Vec<(Vec<u8>, Range<u64>)>,
}

/// Returns the ranges of segments and entries.
pub fn locate(file: &[u8]) -> Located {
    let (footer, index) = read(file);
    let (mut at, mut tar) = (10, 0);
    let mut segments = Vec::new();
    for segment in &index.segments {
        let (end, tar_end) = (at + segment.compressed_len as usize, tar + segment.raw_len);
        segments.push((at..end, tar..tar_end));
        (at, tar) = (end, tar_end);
    }
    let mut start = 0;
    let entries = index.entries.into_iter().map(|entry| {
        let range = start..start + entry.tar_len();
        start = range.end;
        (entry.path, range)
    });
    Located { data_end: footer.data_end as usize, segments, entries: entries.collect() }
}

impl Located {
    /// Returns the paths of the entries that overlap the segment at this offset of the file.
    pub fn entries_of_segment_at(&self, at: usize) -> Vec<Vec<u8>> {
        let hit = |(file, _): &&(Range<usize>, Range<u64>)| file.contains(&at);
        let tar = self.segments.iter().find(hit).map_or(0..0, |(_, tar)| tar.clone());
        let hit = self.entries.iter().filter(|(_, e)| e.start < tar.end && tar.start < e.end);
        hit.map(|(path, _)| path.clone()).collect()
    }
}

/// Reads the footer and all pages of an archive.
pub fn read(file: &[u8]) -> (Footer, Index) {
    let payload = payload(&file[file.len() - FOOTER_LEN..]).0;
    assert_eq!(&payload[..8], b"WBKIDX\0\x01");
    let u32 = |at: usize| u32::from_le_bytes(payload[at..at + 4].try_into().unwrap());
    let u64 = |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().unwrap());
    let footer = Footer {
        flags: u32(8),
        root_len: u32(12),
        data_end: u64(16),
        tar_len: u64(24),
        segments: u64(32),
        entries: u64(40),
        file_len: u64(48),
    };
    assert_eq!(footer.file_len, file.len() as u64);
    let root = &file[file.len() - FOOTER_LEN - footer.root_len as usize..file.len() - FOOTER_LEN];
    let blob = blob_of(root);
    assert_eq!(payload[70..], footer_hash(&footer, &blob));
    let raw = inflate(&blob);
    let mut fields = Fields(&raw);
    let pages = &file[footer.data_end as usize + 10..];
    let mut index = Index::default();
    read_node(pages, &mut fields, &mut index);
    fields.number();
    while !fields.0.is_empty() {
        let tag = fields.number();
        index.fields.push((tag, fields.bytes().to_vec()));
    }
    assert_eq!(
        (footer.segments, footer.entries),
        (index.segments.len() as u64, index.entries.len() as u64)
    );
    (footer, index)
}

fn read_node(pages: &[u8], fields: &mut Fields<'_>, index: &mut Index) {
    let (level, mut at, children) = (fields.number(), fields.number() as usize, fields.number());
    let mut key = Vec::new();
    for _ in 0..children {
        key = fields.shared(&key);
        let len = fields.number() as usize;
        let hash = fields.take(16);
        let blob = blob_of(&pages[at..at + len]);
        assert_eq!(hash, &blake3::hash(&blob).as_bytes()[..16]);
        let raw = inflate(&blob);
        match level {
            1 => read_page(&mut Fields(&raw), index),
            _ => read_node(pages, &mut Fields(&raw), index),
        }
        at += len;
    }
}

fn read_page(fields: &mut Fields<'_>, index: &mut Index) {
    let first = fields.number() as usize;
    (0..3).for_each(|_| drop(fields.number()));
    let (segments, entries) = (fields.number(), fields.number());
    // A page may repeat the last segment of the page before.
    index.segments.truncate(first);
    for _ in 0..segments {
        index.segments.push(Segment {
            compressed_len: fields.number(),
            raw_len: fields.number(),
            raw_crc32: u32::from_le_bytes(fields.take(4).try_into().unwrap()),
            compressed_crc32: u32::from_le_bytes(fields.take(4).try_into().unwrap()),
            key: fields.take(16).try_into().unwrap(),
        });
    }
    let mut before = Entry::default();
    for _ in 0..entries {
        let path = fields.shared(&before.path);
        let bits = fields.take(1)[0];
        let entry = Entry {
            path,
            kind: bits & 3,
            header_len: if bits & 4 != 0 { fields.number() * 512 } else { 0 },
            size: if bits & 3 == 0 { fields.number() } else { 0 },
            mode: fields.number(),
            uid: fields.number(),
            gid: fields.number(),
            mtime_ns: before.mtime_ns.wrapping_add(fields.signed()),
            ctime_ns: before.ctime_ns.wrapping_add(fields.signed()),
            inode: before.inode.wrapping_add_signed(fields.signed()),
            is_changed: bits & 8 != 0,
            is_recent: bits & 16 != 0,
            target: if bits & 32 != 0 { fields.bytes().to_vec() } else { Vec::new() },
        };
        index.entries.push(entry.clone());
        before = entry;
    }
}

/// Returns the archive with another index, whose hashes, offsets and counts are right.
pub fn with_index(file: &[u8], forge: impl Fn(&mut Index)) -> Vec<u8> {
    let forged = with_any_index(file, forge);
    read(&forged);
    forged
}

/// Returns the archive with another index. Its hashes are right.
pub fn with_any_index(file: &[u8], forge: impl Fn(&mut Index)) -> Vec<u8> {
    let (footer, mut index) = read(file);
    forge(&mut index);
    with_pages(file, &footer, &pages_of(&index), &index)
}

/// The raw bytes of a page, and its key.
pub type RawPage = (Vec<u8>, Vec<u8>);

/// Returns the archive with these pages. All hashes are right.
pub fn with_raw_pages(file: &[u8], pages: &[RawPage]) -> Vec<u8> {
    let (footer, index) = read(file);
    with_pages(file, &footer, pages, &index)
}

fn with_pages(file: &[u8], footer: &Footer, pages: &[RawPage], index: &Index) -> Vec<u8> {
    let mut out = file[..footer.data_end as usize + 10].to_vec();
    let (mut node, mut key) = (numbers(&[1, 0, pages.len() as u64]), &[][..]);
    let mut pages_len = 0;
    for (raw, first) in pages {
        let blob = deflate(raw);
        let members = members(&blob);
        put_shared(&mut node, key, first);
        put_number(&mut node, members.len() as u64);
        node.extend(&blake3::hash(&blob).as_bytes()[..16]);
        pages_len += members.len() as u64;
        out.extend(members);
        key = first;
    }
    put_number(&mut node, pages_len);
    let footer = Footer {
        segments: index.segments.len() as u64,
        entries: index.entries.len() as u64,
        ..*footer
    };
    with_root(out, &footer, &[node, fields_of(index)].concat())
}

/// Returns the fields of the root. Those that name blobs are left out, because the blobs are.
fn fields_of(index: &Index) -> Vec<u8> {
    let mut raw = Vec::new();
    for (tag, value) in index.fields.iter().filter(|(tag, _)| *tag != 7) {
        put_number(&mut raw, *tag);
        put_bytes(&mut raw, value);
    }
    raw
}

/// Appends a root with these raw bytes, and the footer.
pub fn with_root(mut out: Vec<u8>, footer: &Footer, raw: &[u8]) -> Vec<u8> {
    let blob = deflate(raw);
    let members = members(&blob);
    let file_len = (out.len() + members.len() + FOOTER_LEN) as u64;
    let footer = Footer { root_len: members.len() as u32, file_len, ..*footer };
    out.extend(members);
    out.extend(self::footer(&footer, &blob));
    out
}

/// Splits an index into pages. The entries come first, as long as they begin in the first segments.
fn pages_of(index: &Index) -> Vec<RawPage> {
    let mut pages: Vec<RawPage> = Vec::new();
    let (mut segment, mut file, mut tar, mut entry, mut entry_tar) =
        (0usize, 10u64, 0u64, 0usize, 0u64);
    let mut last_key: Vec<u8> = Vec::new();
    let mut repeated = None;
    while segment < index.segments.len() || entry < index.entries.len() {
        let (first_segment, first_file, first_tar) =
            repeated.take().unwrap_or((segment as u64, file, tar));
        let (first_entry_tar, mut raw_segments, mut raw_entries) =
            (entry_tar, Vec::new(), Vec::new());
        let (mut segments, mut entries) = (segment as u64 - first_segment, 0);
        if segments > 0 {
            put_segment(&mut raw_segments, &index.segments[segment - 1]);
        }
        let mut before = Entry::default();
        let mut key = None;
        while raw_segments.len() + raw_entries.len() < PAGE {
            let next = index.entries.get(entry);
            match (next, index.segments.get(segment)) {
                (Some(next), s) if tar > entry_tar || s.is_none() => {
                    put_entry(&mut raw_entries, &before, next);
                    key.get_or_insert_with(|| sort_key(next));
                    last_key = sort_key(next);
                    before = next.clone();
                    entry_tar = entry_tar.wrapping_add(next.tar_len());
                    (entry, entries) = (entry + 1, entries + 1);
                }
                (_, Some(s)) => {
                    put_segment(&mut raw_segments, s);
                    (file, tar) = (file + s.compressed_len, tar + s.raw_len);
                    (segment, segments) = (segment + 1, segments + 1);
                }
                (_, None) => break,
            }
        }
        // The next entry begins in the last segment of this page.
        if entry < index.entries.len() && tar > entry_tar {
            let last = &index.segments[segment - 1];
            repeated = Some((segment as u64 - 1, file - last.compressed_len, tar - last.raw_len));
        }
        let head = [first_segment, first_file, first_tar, first_entry_tar, segments, entries];
        let raw = [numbers(&head), raw_segments, raw_entries].concat();
        let key = match pages.is_empty() {
            true => Vec::new(),
            false => key.unwrap_or_else(|| [&last_key[..], &[0]].concat()),
        };
        pages.push((raw, key));
    }
    pages
}

fn sort_key(entry: &Entry) -> Vec<u8> {
    [&entry.path[..], if entry.kind == 2 { b"/" } else { b"" }].concat()
}

fn put_segment(raw: &mut Vec<u8>, segment: &Segment) {
    raw.extend(numbers(&[segment.compressed_len, segment.raw_len]));
    raw.extend(segment.raw_crc32.to_le_bytes());
    raw.extend(segment.compressed_crc32.to_le_bytes());
    raw.extend(segment.key);
}

fn put_entry(raw: &mut Vec<u8>, before: &Entry, entry: &Entry) {
    put_shared(raw, &before.path, &entry.path);
    let bit = |is_set: bool, bit: u8| if is_set { 1 << bit } else { 0 };
    raw.push(
        entry.kind
            | bit(entry.header_len > 0, 2)
            | bit(entry.is_changed, 3)
            | bit(entry.is_recent, 4)
            | bit(!entry.target.is_empty(), 5),
    );
    if entry.header_len > 0 {
        put_number(raw, entry.header_len / 512);
    }
    if entry.kind == 0 {
        put_number(raw, entry.size);
    }
    raw.extend(numbers(&[entry.mode, entry.uid, entry.gid]));
    put_signed(raw, entry.mtime_ns.wrapping_sub(before.mtime_ns));
    put_signed(raw, entry.ctime_ns.wrapping_sub(before.ctime_ns));
    put_signed(raw, entry.inode.wrapping_sub(before.inode).cast_signed());
    if !entry.target.is_empty() {
        put_bytes(raw, &entry.target);
    }
}

/// Returns an archive of one entry, which `change` makes from the first entry of `file`, with this many
/// segments of 512 bytes. Each is five bytes in the archive, which are not a segment.
pub fn with_segments(file: &[u8], segments: u64, change: impl Fn(&mut Entry)) -> Vec<u8> {
    let (old, Index { mut entries, fields, .. }) = read(file);
    entries.truncate(1);
    change(&mut entries[0]);
    let rest = entries[0].tar_len() + 1024 - segments * 512;
    let of = |raw_len| Segment {
        compressed_len: 5,
        raw_len,
        raw_crc32: 1,
        compressed_crc32: 2,
        key: [3; 16],
    };
    let mut all = vec![of(512); segments as usize];
    all.push(of(rest));
    let mut out = file[..10].to_vec();
    out.extend(vec![b'x'; 5 * all.len()]);
    let footer = Footer { data_end: out.len() as u64, tar_len: entries[0].tar_len() + 1024, ..old };
    out.extend(&file[old.data_end as usize..old.data_end as usize + 10]);
    let index = Index { segments: all, entries, fields };
    with_pages(&out, &footer, &pages_of(&index), &index)
}

/// Returns a footer with these fields, and the hash of them and the blob of a root.
pub fn footer(footer: &Footer, root: &[u8]) -> Vec<u8> {
    let mut payload = footer_fields(footer);
    payload.extend(footer_hash(footer, root));
    member(b"WF", &payload)
}

fn footer_fields(footer: &Footer) -> Vec<u8> {
    let Footer { data_end, tar_len, segments, entries, file_len, .. } = *footer;
    let mut fields = b"WBKIDX\0\x01".to_vec();
    fields.extend(footer.flags.to_le_bytes());
    fields.extend(footer.root_len.to_le_bytes());
    for field in [data_end, tar_len, segments, entries, file_len] {
        fields.extend(field.to_le_bytes());
    }
    fields.extend([0; 14]);
    fields
}

fn footer_hash(footer: &Footer, root: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    *hasher.update(&footer_fields(footer)).update(root).finalize().as_bytes()
}

fn member(id: &[u8; 2], payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16;
    let head = [&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff][..], &(len + 4).to_le_bytes(), id];
    [&head.concat()[..], &len.to_le_bytes(), payload, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat()
}

fn members(blob: &[u8]) -> Vec<u8> {
    blob.chunks(8192).flat_map(|piece| member(b"WX", piece)).collect()
}

/// Returns the payload of the first member, and the bytes after it.
fn payload(members: &[u8]) -> (&[u8], &[u8]) {
    let len = usize::from(u16::from_le_bytes([members[14], members[15]]));
    (&members[16..16 + len], &members[16 + len + 10..])
}

fn blob_of(mut members: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    while !members.is_empty() {
        let (piece, rest) = payload(members);
        blob.extend(piece);
        members = rest;
    }
    blob
}

fn inflate(blob: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    DeflateDecoder::new(blob).read_to_end(&mut raw).unwrap();
    raw
}

fn deflate(raw: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut encoder, raw).unwrap();
    encoder.finish().unwrap()
}

/// Returns these numbers in their encoding.
pub fn numbers(numbers: &[u64]) -> Vec<u8> {
    let mut raw = Vec::new();
    numbers.iter().for_each(|number| put_number(&mut raw, *number));
    raw
}

fn put_number(raw: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        raw.push(number as u8 | 0x80);
        number >>= 7;
    }
    raw.push(number as u8);
}

fn put_signed(raw: &mut Vec<u8>, number: i64) {
    put_number(raw, (number << 1 ^ number >> 63).cast_unsigned());
}

fn put_bytes(raw: &mut Vec<u8>, bytes: &[u8]) {
    put_number(raw, bytes.len() as u64);
    raw.extend(bytes);
}

pub fn put_shared(raw: &mut Vec<u8>, before: &[u8], bytes: &[u8]) {
    let shared = before.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    put_number(raw, shared as u64);
    put_bytes(raw, &bytes[shared..]);
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = self.number() as usize;
        self.take(len)
    }

    fn shared(&mut self, before: &[u8]) -> Vec<u8> {
        let shared = self.number() as usize;
        [&before[..shared], self.bytes()].concat()
    }
}
