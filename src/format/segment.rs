//! The rule that cuts the tar stream into segments.
//!
//! The rule depends only on paths, sizes and file offsets. So the same tree is always cut in the same
//! way, and a change moves only the cuts near it. Unchanged segments can be copied from an older
//! archive. `docs/format.md` has the full rule.

use std::ops::Range;

use crate::{entry::Entry, format::buffer::Pooled};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A group of small files ends after the entry that brings it to this length.
const GROUP_MAX: usize = 1 << 20;
/// From this length on, a group also ends after an entry whose path has a matching CRC.
const GROUP_MIN: usize = 128 << 10;

/// A batch with this many raw bytes is sent to a worker.
const BATCH: usize = 768 << 10;

/// Region files, which begin with an 8 KiB table.
const REGION: [&[u8]; 2] = [b".mca", b".mcr"];
/// Other files that programs change in place, one page or block at a time.
const IN_PLACE: [&[u8]; 4] = [b".db", b".sqlite", b".ldb", b".mdb"];

/// The cuts in the content of a large file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentLayout {
    size: u64,
    /// Length of an extra first piece, shorter than `piece_len`; 0 for none.
    first_len: u64,
    piece_len: u64,
}

impl SegmentLayout {
    /// Returns the layout of a file, or `None` if the file belongs to a group of small files.
    pub(crate) fn of(path: &[u8], size: u64) -> Option<Self> {
        let region = REGION.iter().any(|end| path.ends_with(end));
        let in_place = region || IN_PLACE.iter().any(|end| path.ends_with(end));
        if in_place && size >= 128 * KIB {
            Some(SegmentLayout {
                size,
                first_len: if region { 8 * KIB } else { 0 },
                piece_len: 128 * KIB,
            })
        } else if size >= MIB {
            Some(SegmentLayout { size, first_len: 0, piece_len: MIB })
        } else {
            None
        }
    }

    /// Returns the piece that begins at this offset of the file. Returns `None` at the end of the file.
    pub(crate) fn piece_at(self, start: u64) -> Option<Range<u64>> {
        let end = match start {
            0 if self.first_len > 0 => self.first_len,
            _ => (start / self.piece_len + 1) * self.piece_len,
        };
        (start < self.size).then(|| start..end.min(self.size))
    }

    /// Returns the maximum bytes of the pieces from an offset on that one batch takes.
    pub(crate) fn batch_len(self, start: u64) -> usize {
        (self.size.saturating_sub(start)).min(MIB) as usize
    }

    /// Returns the pieces, as ranges of the file.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Range<u64>> {
        std::iter::successors(self.piece_at(0), move |piece| self.piece_at(piece.end))
    }
}

/// Returns whether a small-file group of `len` raw bytes ends after the entry at `path`.
pub(crate) fn ends_group(len: usize, path: &[u8]) -> bool {
    len >= GROUP_MAX || (len >= GROUP_MIN && crc32fast::hash(path) & 7 == 0)
}

/// Raw tar bytes of a few consecutive segments, which one worker compresses.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The raw bytes.
    pub(crate) raw: Pooled,
    /// End of each segment in `raw`.
    pub(crate) ends: Vec<usize>,
    /// Entries of the index that end in this batch.
    pub(crate) entries: Vec<Entry>,
}

impl Batch {
    pub(crate) fn new(raw: Pooled) -> Self {
        Batch { raw, ends: Vec::new(), entries: Vec::new() }
    }

    /// Returns the number of bytes since the last cut.
    pub(crate) fn open_len(&self) -> usize {
        self.raw.len() - self.ends.last().unwrap_or(&0)
    }

    /// Ends the current segment, unless it is empty.
    pub(crate) fn cut(&mut self) {
        if self.open_len() > 0 {
            self.ends.push(self.raw.len());
        }
    }

    /// Appends the segments of another batch, which has no entries yet.
    pub(crate) fn append(&mut self, next: &Batch) {
        let start = self.raw.len();
        self.raw.extend(&next.raw);
        self.ends.extend(next.ends.iter().map(|end| start + end));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.raw.is_empty() && self.entries.is_empty()
    }

    /// Returns whether the batch is large enough to be sent. The caller must have cut before.
    pub(crate) fn is_full(&self) -> bool {
        self.raw.len() >= BATCH
    }

    /// Returns the raw bytes of each segment.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.raw[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(path: &str, size: u64) -> Vec<u64> {
        SegmentLayout::of(path.as_bytes(), size)
            .into_iter()
            .flat_map(SegmentLayout::pieces)
            .map(|r| r.end)
            .collect()
    }

    #[test]
    fn cuts_are_at_multiples_and_after_the_table_of_a_region() {
        let (k, m) = (KIB, MIB);
        assert_eq!(pieces("a.jar", m - 1), [0u64; 0]);
        assert_eq!(pieces("a.jar", m), [m]);
        assert_eq!(pieces("a.jar", 2 * m + 1), [m, 2 * m, 2 * m + 1]);
        assert_eq!(pieces("a.mca", 128 * k - 1), [0u64; 0]);
        assert_eq!(pieces("a.mca", 128 * k), [8 * k, 128 * k]);
        assert_eq!(pieces("w/a.mcr", 300 * k), [8 * k, 128 * k, 256 * k, 300 * k]);
        assert_eq!(pieces("a.sqlite", 129 * k), [128 * k, 129 * k]);
        assert_eq!(pieces("a.MCA", 129 * k), [0u64; 0], "byte for byte");
    }

    #[test]
    fn a_group_ends_by_size_or_by_a_path() {
        assert!(!ends_group(GROUP_MIN - 1, b"x"));
        assert!(ends_group(GROUP_MAX, b"x"));
        let ending = (0..100).filter(|i| ends_group(GROUP_MIN, format!("f{i}").as_bytes())).count();
        assert!((5..25).contains(&ending), "about one in eight, not {ending}");
    }
}
