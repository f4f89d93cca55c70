//! Where the tar stream is cut into segments.
//!
//! The rule looks at nothing but paths, sizes and file offsets, so the same tree is always cut the
//! same way, and a change moves only the cuts near it: what is unchanged can be copied from an
//! older archive. `docs/format.md` has the rule in full.

use std::ops::Range;

use crate::format::buffer::Pooled;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A group of small entries ends here at the latest (after the entry that reaches it).
const GROUP_MAX: usize = 1 << 20;
/// A group ends from here on if the last path's CRC says so.
const GROUP_MIN: usize = 128 << 10;

/// Raw bytes from which a batch is on its way to a worker.
const BATCH: usize = 768 << 10;

/// Region files: an 8 KiB table in front of the chunks.
const REGION: [&[u8]; 2] = [b".mca", b".mcr"];
/// Other files that are changed in place, a page or a block at a time.
const IN_PLACE: [&[u8]; 4] = [b".db", b".sqlite", b".ldb", b".mdb"];

/// How the content of a large file is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentLayout {
    size: u64,
    /// A first piece of its own, shorter than `step`; 0 for none.
    head: u64,
    step: u64,
}

impl SegmentLayout {
    /// How a file is cut, or `None` if it goes into a group with its neighbours.
    pub(crate) fn of(path: &[u8], size: u64) -> Option<Self> {
        let region = REGION.iter().any(|end| path.ends_with(end));
        let in_place = region || IN_PLACE.iter().any(|end| path.ends_with(end));
        if in_place && size >= 128 * KIB {
            Some(SegmentLayout { size, head: if region { 8 * KIB } else { 0 }, step: 128 * KIB })
        } else if size >= MIB {
            Some(SegmentLayout { size, head: 0, step: MIB })
        } else {
            None
        }
    }

    /// The pieces, as ranges of the file.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Range<u64>> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let end = match start {
                0 if self.head > 0 => self.head,
                _ => (start / self.step + 1) * self.step,
            };
            let piece = start..end.min(self.size);
            start = piece.end;
            (piece.start < self.size).then_some(piece)
        })
    }
}

/// Whether a group of `len` raw bytes ends after the entry at `path`.
pub(crate) fn ends_group(len: usize, path: &[u8]) -> bool {
    len >= GROUP_MAX || (len >= GROUP_MIN && crc32fast::hash(path) & 7 == 0)
}

/// Raw tar bytes of a few segments in a row, which one worker compresses.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The bytes.
    pub(crate) raw: Pooled,
    /// Where each segment ends in them.
    pub(crate) ends: Vec<usize>,
}

impl Batch {
    pub(crate) fn new(raw: Pooled) -> Self {
        Batch { raw, ends: Vec::new() }
    }

    /// Bytes since the last cut.
    pub(crate) fn open_len(&self) -> usize {
        self.raw.len() - self.ends.last().unwrap_or(&0)
    }

    /// Cuts here, unless that would make an empty segment.
    pub(crate) fn cut(&mut self) {
        if self.open_len() > 0 {
            self.ends.push(self.raw.len());
        }
    }

    /// Whether it is time to send it off. Only after a cut.
    pub(crate) fn is_full(&self) -> bool {
        self.raw.len() >= BATCH
    }

    /// The segments.
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
    fn cuts_are_at_multiples_and_after_a_regions_tables() {
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
