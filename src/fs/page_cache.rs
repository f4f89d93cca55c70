//! Leaves the page cache as it was found, so that pages which the game server uses are never evicted.

use std::{io::IoSliceMut, num::NonZeroU64, ops::Range, os::fd::AsFd};

use rustix::{
    fs::Advice,
    io::{Errno, ReadWriteFlags},
};

/// Bytes of a file that are remembered together as cached or not cached.
pub(crate) const SPAN: u64 = 1 << 20;

/// Spans that are evicted at once. A folio of the page cache may be several megabytes long. The kernel
/// evicts it only if the advice covers all of it, so each advice covers the previous stride again.
pub(crate) const STRIDE: u64 = 8;

/// The spans of a file that were not in the page cache. They are evicted after the file was read.
#[derive(Debug)]
pub(crate) struct UncachedRanges(Vec<bool>);

impl UncachedRanges {
    /// Finds the uncached spans. Call this before the first read: a read that must not wait
    /// (`RWF_NOWAIT`) fails for a span that is not cached.
    pub(crate) fn of(file: impl AsFd, size: u64) -> Self {
        let mut byte = [0];
        let is_uncached = |span| {
            let mut buf = [IoSliceMut::new(&mut byte)];
            rustix::io::preadv2(&file, &mut buf, span * SPAN, ReadWriteFlags::NOWAIT)
                == Err(Errno::AGAIN)
        };
        let spans: Vec<bool> = (0..size.div_ceil(SPAN)).map(is_uncached).collect();
        UncachedRanges(if spans.contains(&true) { spans } else { Vec::new() })
    }

    /// Evicts those of `spans`, and of the stride before them, that were not cached.
    pub(crate) fn evict(&self, file: impl AsFd, spans: Range<u64>) {
        let spans = spans.start.saturating_sub(STRIDE) as usize..spans.end as usize;
        let mut start = spans.start;
        for run in self.0.get(spans).unwrap_or_default().chunk_by(|a, b| a == b) {
            if run[0] {
                let len = NonZeroU64::new(run.len() as u64 * SPAN);
                // It is only advice. Nothing is lost if the kernel does not take it.
                let _ = rustix::fs::fadvise(&file, start as u64 * SPAN, len, Advice::DontNeed);
            }
            start += run.len();
        }
    }
}
