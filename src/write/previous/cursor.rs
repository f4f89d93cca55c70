//! Compares the walk with the entries of the previous archive. Both are in the same order of paths.

use std::{ops::Range, sync::Arc};

use super::{archive::PreviousArchive, copies::CopiedSegment, read_ahead::ReadAhead};
use crate::{
    entry::{Entry, EntryKind, Metadata, is_beyond},
    format::{
        buffer::{Buf, Pool},
        index::{LocatedEntry, LocatedSegment, Page, Segment, sort_key},
    },
    read::inflate::{Inflater, PADDING},
};

/// A position in the previous archive, which follows the walk.
pub(crate) struct Cursor {
    previous: Arc<PreviousArchive>,
    page: Option<Arc<Page>>,
    page_number: usize,
    /// Position of the next entry in `page`.
    next: usize,
    read_ahead: ReadAhead,
    inflater: Inflater,
    /// The segment that was decoded last, and its raw bytes; `None` if it is damaged.
    decoded: Option<(LocatedSegment, Option<Vec<u8>>)>,
}

/// An entry of the previous archive.
#[derive(Clone, Debug)]
pub(crate) struct PreviousEntry {
    pub(crate) entry: Entry,
    /// Offset in the tar stream.
    tar_at: u64,
    /// The segment in which it begins.
    pub(crate) segment: LocatedSegment,
}

impl PreviousEntry {
    /// Returns its range in the tar stream.
    pub(crate) fn tar(&self) -> Range<u64> {
        self.tar_at..self.tar_at + self.entry.tar_len()
    }

    /// Returns whether a file is unchanged.
    pub(crate) fn is_same_file(&self, meta: &Metadata, trust_mtime: bool) -> bool {
        let entry = &self.entry;
        // The index does not distinguish times beyond its limits.
        let trusts_mtime = trust_mtime && !is_beyond(meta.mtime_ns);
        let is_touched = !trusts_mtime && entry.ctime_ns != meta.ctime_ns;
        !entry.is_changed
            && !entry.is_recent
            && entry.size == meta.size
            && entry.inode == meta.inode
            && entry.inode != 0
            && !is_touched
            && self.is_same_header(meta)
    }

    /// Returns whether the header of a directory, or of a symlink with this target, is unchanged.
    pub(crate) fn is_same_link(&self, meta: &Metadata, target: &[u8]) -> bool {
        self.entry.target == target && self.is_same_header(meta)
    }

    fn is_same_header(&self, meta: &Metadata) -> bool {
        let Entry { mode, uid, gid, mtime_ns, .. } = self.entry;
        (mode, uid, gid, mtime_ns) == (meta.mode, meta.uid, meta.gid, meta.mtime_ns)
    }
}

impl Cursor {
    pub(crate) fn new(previous: Arc<PreviousArchive>, pool: Pool) -> Self {
        let read_ahead = ReadAhead::new(previous.clone(), pool);
        let page = previous.page(0);
        let inflater = Inflater::new();
        Cursor { previous, page, page_number: 0, next: 0, read_ahead, inflater, decoded: None }
    }

    /// Returns the entry with this path and kind. The caller passes paths in their order.
    pub(crate) fn entry(&mut self, path: &[u8], kind: EntryKind) -> Option<PreviousEntry> {
        while let Some(page) = self.page.clone() {
            let Some(LocatedEntry { tar_at, entry }) = page.entries.get(self.next) else {
                self.page_number += 1;
                self.next = 0;
                self.page = self.previous.page(self.page_number);
                continue;
            };
            match sort_key(&entry.path, entry.kind).cmp(sort_key(path, kind)) {
                std::cmp::Ordering::Less => self.next += 1,
                std::cmp::Ordering::Equal if entry.kind == kind && entry.is_in_tar() => {
                    let i = page.segments.partition_point(|segment| segment.tar_at <= *tar_at);
                    let segment = *page.segments.get(i.checked_sub(1)?)?;
                    return Some(PreviousEntry { entry: entry.clone(), tar_at: *tar_at, segment });
                }
                _ => return None,
            }
        }
        None
    }

    /// Returns the segment that contains this offset of the tar stream.
    pub(crate) fn segment_at(&self, tar: u64) -> Option<LocatedSegment> {
        self.previous.segment_at(tar)
    }

    /// Copies a segment. Returns `None` if it is damaged.
    pub(crate) fn copy(&mut self, segment: &LocatedSegment) -> Option<CopiedSegment> {
        self.read_ahead.copy(segment)
    }

    /// Copies the segment with these raw bytes that is nearest to the number `near`.
    pub(crate) fn copy_equal(&mut self, raw: &[u8], near: u64) -> Option<CopiedSegment> {
        let segment = self.previous.find_equal(&Segment::key_of(raw), raw, near)?;
        self.read_ahead.copy(&segment)
    }

    /// Returns the raw bytes of an entry that lies within one segment. Returns `None` if the segment is damaged.
    pub(crate) fn raw(&mut self, previous: &PreviousEntry) -> Option<&[u8]> {
        let segment = previous.segment;
        if self.decoded.as_ref().is_none_or(|(decoded, _)| decoded.number != segment.number) {
            let mut compressed = Buf::default();
            let is_good = self.previous.copy(&segment, &mut self.inflater, &mut compressed);
            let raw = if is_good { self.decode(&segment, &compressed) } else { None };
            self.decoded = Some((segment, raw));
        }
        self.decoded_range(previous.tar())
    }

    /// Returns the raw bytes of a range of the tar stream within a segment that was copied. Returns `None`
    /// if it cannot be decoded.
    pub(crate) fn raw_of(&mut self, copied: &CopiedSegment, tar: Range<u64>) -> Option<&[u8]> {
        let raw = self.decode(&copied.segment, copied.bytes());
        if raw.is_none() {
            self.previous.add_damaged(copied.segment.number);
        }
        self.decoded = Some((copied.segment, raw));
        self.decoded_range(tar)
    }

    fn decode(&mut self, segment: &LocatedSegment, compressed: &[u8]) -> Option<Vec<u8>> {
        let mut compressed = [compressed, &[0; PADDING]].concat();
        self.inflater.checked(&segment.segment, &mut compressed)
    }

    fn decoded_range(&self, tar: Range<u64>) -> Option<&[u8]> {
        let (segment, raw) = self.decoded.as_ref()?;
        let start = tar.start.checked_sub(segment.tar_at)? as usize;
        raw.as_ref()?.get(start..start + (tar.end - tar.start) as usize)
    }
}
