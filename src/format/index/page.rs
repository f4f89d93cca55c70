//! A page of the index: consecutive segments, and the entries that begin in them.

use std::{cmp::Ordering, ops::Range};

use super::{
    blob::RAW_MAX,
    fields::{Fields, put_bytes, put_number, put_shared, put_signed},
    segment::{LocatedSegment, Segment},
};
use crate::{
    entry::{Entry, EntryKind},
    format::tar::BLOCK,
};

/// A page ends before the record with which it would have more raw bytes than this.
pub(super) const RAW_TARGET: usize = 64 << 10;

/// Maximum bytes of all paths and targets of a page. Paths share prefixes in the raw bytes, so their length
/// needs a bound of its own.
pub(super) const TEXT_MAX: usize = 1 << 20;

/// Maximum bytes of one path or target.
pub(crate) const PATH_MAX: usize = 8 << 10;

/// Maximum bytes of the fields before the records of a page.
pub(super) const HEADER_MAX: usize = 6 * 10;

/// Maximum bytes of an entry, without its path and target.
pub(super) const ENTRY_MAX: usize = 2 * 5 + 1 + 3 * 5 + 5 * 10;

const _: () = assert!(RAW_TARGET + HEADER_MAX + ENTRY_MAX + 2 * PATH_MAX <= RAW_MAX);

const KIND: u8 = 3;
const HAS_HEADER: u8 = 1 << 2;
const CHANGED: u8 = 1 << 3;
const RECENT: u8 = 1 << 4;
const HAS_TARGET: u8 = 1 << 5;

/// The offsets at which a page begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Number of its first segment.
    pub(crate) segment: u64,
    /// Offset of that segment in the archive.
    pub(crate) file_at: u64,
    /// Offset of that segment in the tar stream.
    pub(crate) tar_at: u64,
    /// Offset of its first entry in the tar stream.
    pub(crate) entry_at: u64,
}

/// A page of an index.
///
/// If its first entry begins in the last segment of the page before, the page begins with that segment
/// again. So the segment in which an entry begins is always in the same page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) start: Position,
    pub(crate) end: Position,
    pub(crate) segments: Vec<LocatedSegment>,
    pub(crate) entries: Vec<LocatedEntry>,
}

/// An entry with its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocatedEntry {
    /// Offset in the tar stream. Of an entry that only the index has: of the next that the stream has.
    pub(crate) tar_at: u64,
    pub(crate) entry: Entry,
}

impl LocatedEntry {
    /// Returns its range in the tar stream, including its padding.
    pub(crate) fn tar(&self) -> Range<u64> {
        self.tar_at..self.tar_at + self.entry.tar_len()
    }
}

impl Page {
    /// Decodes the raw bytes of a page. Returns `None` if anything is wrong with it.
    pub(crate) fn decode(raw: &[u8]) -> Option<Self> {
        let mut fields = Fields(raw);
        let start = Position {
            segment: fields.number()?,
            file_at: fields.number()?,
            tar_at: fields.number()?,
            entry_at: fields.number()?,
        };
        let (segments, entries) = (fields.number()?, fields.number()?);
        let mut page = Page { start, end: start, ..Page::default() };
        for _ in 0..segments {
            page.add_segment(Segment::decode(&mut fields)?)?;
        }
        let mut text = 0;
        for _ in 0..entries {
            let nothing = Entry::default();
            let before = page.entries.last().map_or(&nothing, |before| &before.entry);
            let entry = decode_entry(&mut fields, before)?;
            text += entry.path.len() + entry.target.len();
            if text > TEXT_MAX || cmp_paths(before, &entry) != Ordering::Less {
                return None;
            }
            page.add_entry(entry)?;
        }
        fields.0.is_empty().then_some(page)
    }

    /// Adds a segment. `None` if an offset exceeds 64 bits.
    fn add_segment(&mut self, segment: Segment) -> Option<()> {
        let Position { segment: number, file_at, tar_at, .. } = self.end;
        self.end.segment = number.checked_add(1)?;
        self.end.file_at = file_at.checked_add(segment.compressed_len.into())?;
        self.end.tar_at = tar_at.checked_add(segment.raw_len.into())?;
        self.segments.push(LocatedSegment { number, file_at, tar_at, segment });
        Some(())
    }

    fn add_entry(&mut self, entry: Entry) -> Option<()> {
        let tar_at = self.end.entry_at;
        self.end.entry_at = tar_at.checked_add(entry.tar_len())?;
        self.entries.push(LocatedEntry { tar_at, entry });
        Some(())
    }
}

/// Compares the positions of two entries in an archive: by the bytes of their paths, with a `/` after the
/// path of a directory.
pub(crate) fn cmp_paths(a: &Entry, b: &Entry) -> Ordering {
    sort_key(&a.path, a.kind).cmp(sort_key(&b.path, b.kind))
}

/// Returns the bytes that order entries.
pub(crate) fn sort_key(path: &[u8], kind: EntryKind) -> impl Iterator<Item = &u8> + Clone {
    path.iter().chain((kind == EntryKind::Directory).then_some(&b'/'))
}

fn decode_entry(fields: &mut Fields<'_>, before: &Entry) -> Option<Entry> {
    let path = fields.shared(&before.path)?;
    let [bits] = fields.array()?;
    let kind = EntryKind::from_code(bits & KIND)?;
    let has_header = bits & HAS_HEADER != 0;
    let header_len = if has_header { fields.number32()?.checked_mul(BLOCK as u32)? } else { 0 };
    let size = if kind == EntryKind::File { fields.number()? } else { 0 };
    let entry = Entry {
        path,
        kind,
        header_len,
        size,
        mode: fields.number32()?,
        uid: fields.number32()?,
        gid: fields.number32()?,
        mtime_ns: before.mtime_ns.wrapping_add(fields.signed()?),
        ctime_ns: before.ctime_ns.wrapping_add(fields.signed()?),
        inode: before.inode.wrapping_add(fields.signed()? as u64),
        is_changed: bits & CHANGED != 0,
        is_recent: bits & RECENT != 0,
        target: if bits & HAS_TARGET != 0 { fields.bytes()?.to_vec() } else { Vec::new() },
    };
    let is_possible = (1..=PATH_MAX).contains(&entry.path.len())
        && entry.target.len() <= PATH_MAX
        && entry.size <= i64::MAX as u64
        && (header_len > 0) == has_header
        && (has_header || kind != EntryKind::File)
        && bits & !(KIND | HAS_HEADER | CHANGED | RECENT | HAS_TARGET) == 0;
    is_possible.then_some(entry)
}

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct PageBuilder {
    pub(super) start: Position,
    segments: (u64, Vec<u8>),
    entries: (u64, Vec<u8>),
    text: usize,
    last: Entry,
    /// Sort key of the first entry.
    pub(super) first_key: Option<Vec<u8>>,
}

impl PageBuilder {
    pub(super) fn new(start: Position) -> Self {
        PageBuilder { start, ..PageBuilder::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.0 == 0 && self.entries.0 == 0
    }

    /// Returns whether the page ends before the next record, which has so many bytes of path and target.
    pub(super) fn is_full(&self, text: usize) -> bool {
        let raw = self.segments.1.len() + self.entries.1.len();
        !self.is_empty() && (raw >= RAW_TARGET || self.text + text > TEXT_MAX)
    }

    pub(super) fn add_segment(&mut self, segment: &Segment) {
        segment.encode(&mut self.segments.1);
        self.segments.0 += 1;
    }

    pub(super) fn add_entry(&mut self, entry: &Entry) {
        let (count, out) = &mut self.entries;
        let before = &self.last;
        put_shared(out, &before.path, &entry.path);
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        out.push(
            entry.kind.code()
                | bit(entry.header_len > 0, HAS_HEADER)
                | bit(entry.is_changed, CHANGED)
                | bit(entry.is_recent, RECENT)
                | bit(!entry.target.is_empty(), HAS_TARGET),
        );
        if entry.header_len > 0 {
            put_number(out, u64::from(entry.header_len) / BLOCK as u64);
        }
        if entry.kind == EntryKind::File {
            put_number(out, entry.size);
        }
        for number in [entry.mode, entry.uid, entry.gid] {
            put_number(out, number.into());
        }
        put_signed(out, entry.mtime_ns.wrapping_sub(before.mtime_ns));
        put_signed(out, entry.ctime_ns.wrapping_sub(before.ctime_ns));
        put_signed(out, entry.inode.wrapping_sub(before.inode) as i64);
        if !entry.target.is_empty() {
            put_bytes(out, &entry.target);
        }
        *count += 1;
        self.text += entry.path.len() + entry.target.len();
        if self.first_key.is_none() {
            self.first_key = Some(sort_key(&entry.path, entry.kind).copied().collect());
        }
        self.last = entry.clone();
    }

    /// Returns the raw bytes of the page.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Position { segment, file_at, tar_at, entry_at } = self.start;
        let mut raw = Vec::with_capacity(RAW_TARGET + HEADER_MAX);
        for field in [segment, file_at, tar_at, entry_at, self.segments.0, self.entries.0] {
            put_number(&mut raw, field);
        }
        raw.extend(&self.segments.1);
        raw.extend(&self.entries.1);
        raw
    }

    /// Returns the sort key of the last entry.
    pub(super) fn last_key(&self) -> Option<Vec<u8>> {
        let last = (self.entries.0 > 0).then_some(&self.last)?;
        Some(sort_key(&last.path, last.kind).copied().collect())
    }
}
