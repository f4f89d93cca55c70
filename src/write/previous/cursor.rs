//! Compares the walk with the entries of the previous archive. Both are in the same order of paths.

use std::{ops::Range, sync::Arc};

use super::{
    archive::{PreviousArchive, decode},
    copies::CopiedSegment,
    read_ahead::ReadAhead,
};
use crate::{
    entry::{Entry, EntryKind, Metadata, is_beyond},
    format::{
        buffer::{Buf, Pool},
        index::Segment,
    },
    read::inflate::{Inflater, PADDING},
};

/// A position in the previous archive, which follows the walk.
pub(crate) struct Cursor {
    previous: Arc<PreviousArchive>,
    next: usize,
    trust_mtime: bool,
    read_ahead: ReadAhead,
    inflater: Inflater,
    /// The segment that was decoded last, and its raw bytes; `None` if it is damaged.
    decoded: Option<(usize, Option<Vec<u8>>)>,
}

impl Cursor {
    pub(crate) fn new(previous: Arc<PreviousArchive>, trust_mtime: bool, pool: Pool) -> Self {
        let read_ahead = ReadAhead::new(previous.clone(), pool);
        let inflater = Inflater::new();
        Cursor { previous, next: 0, trust_mtime, read_ahead, inflater, decoded: None }
    }

    /// Returns the entry with this path and kind. The caller passes paths in their order.
    pub(crate) fn entry(&mut self, path: &[u8], kind: EntryKind) -> Option<usize> {
        let wanted = sort_key(path, kind);
        while let Some(entry) = self.previous.entries().get(self.next) {
            match sort_key(&entry.path, entry.kind()).cmp(wanted.clone()) {
                std::cmp::Ordering::Less => self.next += 1,
                std::cmp::Ordering::Equal if entry.kind() == kind => return Some(self.next),
                _ => return None,
            }
        }
        None
    }

    /// Returns whether a file is unchanged.
    pub(crate) fn is_same_file(&self, i: usize, meta: &Metadata) -> bool {
        let entry = &self.previous.entries()[i];
        // The index does not distinguish times beyond its limits.
        let trusts_mtime = self.trust_mtime && !is_beyond(meta.mtime_ns);
        let is_touched = !trusts_mtime && entry.ctime_ns != meta.ctime_ns;
        entry.flags == 0
            && entry.size == meta.size
            && entry.inode == meta.inode
            && entry.inode != 0
            && !is_touched
            && self.is_same_header(i, meta)
    }

    /// Returns whether the header of a directory or symlink is unchanged.
    pub(crate) fn is_same_link(&self, i: usize, kind: EntryKind, meta: &Metadata) -> bool {
        let entry = &self.previous.entries()[i];
        // The target of a symlink belongs to its inode.
        let is_same_inode = entry.inode == meta.inode && entry.inode != 0;
        let may_differ =
            kind == EntryKind::Symlink && !(is_same_inode && entry.ctime_ns == meta.ctime_ns);
        !may_differ && self.is_same_header(i, meta)
    }

    fn is_same_header(&self, i: usize, meta: &Metadata) -> bool {
        let Entry { mode, uid, gid, mtime_ns, .. } = self.previous.entries()[i];
        (mode, uid, gid, mtime_ns) == (meta.mode, meta.uid, meta.gid, meta.mtime_ns)
    }

    /// Returns the length of an entry's headers.
    pub(crate) fn header_len(&self, i: usize) -> usize {
        self.previous.entries()[i].header_len as usize
    }

    /// Returns the range of an entry in the tar stream.
    pub(crate) fn range(&self, i: usize) -> Range<u64> {
        self.previous.layout().entry(i)
    }

    /// Returns the segment that contains this offset of the tar stream, and its range there.
    pub(crate) fn segment_at(&self, tar: u64) -> (usize, Range<u64>) {
        let segment = self.previous.layout().segment_of(tar);
        (segment, self.previous.layout().segment_in_tar(segment))
    }

    /// Copies a segment. Returns `None` if it is damaged.
    pub(crate) fn copy(&mut self, segment: usize) -> Option<CopiedSegment> {
        self.read_ahead.copy(segment)
    }

    /// Copies the segment with these raw bytes, if there is one.
    pub(crate) fn copy_equal(&mut self, raw: &[u8]) -> Option<CopiedSegment> {
        let segment = self.previous.find_equal(&Segment::key_of(raw), raw)?;
        self.read_ahead.copy(segment)
    }

    /// Returns the raw bytes of a range of the tar stream within one segment. Returns `None` if the segment
    /// is damaged.
    pub(crate) fn raw(&mut self, tar: Range<u64>) -> Option<&[u8]> {
        let (segment, _) = self.segment_at(tar.start);
        if self.decoded.as_ref().is_none_or(|(i, _)| *i != segment) {
            let mut compressed = Buf::default();
            let is_good = self.previous.copy(segment, &mut self.inflater, &mut compressed);
            let raw = if is_good { self.decode(segment, &compressed) } else { None };
            self.decoded = Some((segment, raw));
        }
        self.decoded_range(tar)
    }

    /// Returns the raw bytes of a range of the tar stream within a segment that was copied. Returns `None`
    /// if it cannot be decoded.
    pub(crate) fn raw_of(&mut self, copied: &CopiedSegment, tar: Range<u64>) -> Option<&[u8]> {
        let (segment, _) = self.segment_at(tar.start);
        let raw = self.decode(segment, copied.bytes());
        if raw.is_none() {
            self.previous.add_damaged(segment);
        }
        self.decoded = Some((segment, raw));
        self.decoded_range(tar)
    }

    fn decode(&mut self, segment: usize, compressed: &[u8]) -> Option<Vec<u8>> {
        let mut compressed = [compressed, &[0; PADDING]].concat();
        decode(self.previous.segment(segment), &mut compressed, &mut self.inflater)
    }

    fn decoded_range(&self, tar: Range<u64>) -> Option<&[u8]> {
        let (segment, raw) = self.decoded.as_ref()?;
        let start = self.previous.layout().segment_in_tar(*segment).start;
        raw.as_ref()?.get((tar.start - start) as usize..(tar.end - start) as usize)
    }
}

/// Returns the bytes that order paths: the name of a directory has a slash after it.
fn sort_key(path: &[u8], kind: EntryKind) -> impl Iterator<Item = &u8> + Clone {
    path.iter().chain((kind == EntryKind::Directory).then_some(&b'/'))
}
