//! A group of small entries that is unchanged so far.

use std::ops::Range;

use crate::{
    entry::{Entry, Metadata},
    write::previous::CopiedSegment,
};

/// A group of small entries that are the same as those at the start of a segment of the previous archive.
///
/// If the group ends together with that segment, the segment is copied. If another entry comes before, the
/// group becomes raw bytes.
pub(super) struct SmallFileGroup {
    /// The compressed segment.
    pub(super) copied: CopiedSegment,
    /// Range of the segment in the previous tar stream.
    pub(super) tar: Range<u64>,
    /// Raw bytes of the entries so far.
    pub(super) len: u64,
    /// The entries so far. They are not in the index until the bytes of the group are known to be right.
    pub(super) members: Vec<GroupMember>,
}

/// An entry of a group.
pub(super) struct GroupMember {
    pub(super) entry: Entry,
    /// The metadata that the walk has found.
    pub(super) meta: Metadata,
}

impl SmallFileGroup {
    /// Adds the next entry if it has this range in the previous tar stream. Returns whether it was added.
    pub(super) fn extend(&mut self, entry: &Range<u64>) -> bool {
        let fits = self.raw_range().end == entry.start && entry.end <= self.tar.end;
        if fits {
            self.len += entry.end - entry.start;
        }
        fits
    }

    /// Returns whether the entries fill the segment.
    pub(super) fn is_complete(&self) -> bool {
        self.raw_range() == self.tar
    }

    /// Returns the range of the entries in the previous tar stream.
    pub(super) fn raw_range(&self) -> Range<u64> {
        self.tar.start..self.tar.start + self.len
    }
}
