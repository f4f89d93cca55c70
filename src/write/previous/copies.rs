//! Copied segments on their way into the new archive.

use std::ops::Range;

use bytes::Bytes;

use crate::{entry::Entry, format::index::LocatedSegment};

/// Bytes of copied segments that are read at once, and sent at once.
pub(crate) const CHUNK: usize = 768 << 10;

/// The compressed bytes of one segment: a range of a chunk of the previous archive.
pub(crate) struct CopiedSegment {
    pub(super) chunk: Bytes,
    pub(super) range: Range<usize>,
    pub(super) segment: LocatedSegment,
}

impl CopiedSegment {
    /// Returns the compressed bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.chunk[self.range.clone()]
    }
}

/// Consecutive copied segments, in few pieces.
#[derive(Default)]
pub(crate) struct Copies {
    runs: Vec<(Bytes, Range<usize>)>,
    segments: Vec<LocatedSegment>,
    /// Entries of the index that end in these segments.
    entries: Vec<Entry>,
    len: usize,
}

impl Copies {
    /// Returns the number of compressed bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn segments(&self) -> &[LocatedSegment] {
        &self.segments
    }

    /// Adds an entry that ends in the last segment.
    pub(crate) fn add_entry(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(crate) fn take_segments(&mut self) -> Vec<LocatedSegment> {
        std::mem::take(&mut self.segments)
    }

    pub(crate) fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    pub(crate) fn push(&mut self, copied: CopiedSegment) {
        let CopiedSegment { chunk, range, segment } = copied;
        self.len += range.len();
        self.segments.push(segment);
        match self.runs.last_mut() {
            Some((last, run)) if last.as_ptr() == chunk.as_ptr() && run.end == range.start => {
                run.end = range.end;
            }
            _ => self.runs.push((chunk, range)),
        }
    }

    /// Returns the compressed bytes, in order.
    pub(crate) fn into_runs(self) -> impl Iterator<Item = Bytes> {
        self.runs.into_iter().map(|(chunk, run)| chunk.slice(run))
    }
}
