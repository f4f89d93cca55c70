//! Leaves the page cache as it was found: what the server has in use there is never dropped.

use std::{io::IoSliceMut, num::NonZeroU64, ops::Range, os::fd::AsFd};

use rustix::{
    fs::Advice,
    io::{Errno, ReadWriteFlags},
};

/// How finely it is remembered what of a file was in the page cache.
pub(crate) const SPAN: u64 = 1 << 20;

/// Spans that leave at once. A folio of the page cache may have megabytes, and stays unless all of it is
/// in what is advised: so the stride before is advised once more.
pub(crate) const STRIDE: u64 = 8;

/// Which spans of a file were not in the page cache, and so leave it again.
#[derive(Debug)]
pub(crate) struct UncachedRanges(Vec<bool>);

impl UncachedRanges {
    /// Asks, before the first read: a read that may not wait fails where a span is not there.
    pub(crate) fn of(file: impl AsFd, size: u64) -> Self {
        let mut byte = [0];
        let is_cold = |span| {
            let mut buf = [IoSliceMut::new(&mut byte)];
            rustix::io::preadv2(&file, &mut buf, span * SPAN, ReadWriteFlags::NOWAIT)
                == Err(Errno::AGAIN)
        };
        let spans: Vec<bool> = (0..size.div_ceil(SPAN)).map(is_cold).collect();
        UncachedRanges(if spans.contains(&true) { spans } else { Vec::new() })
    }

    /// Says that these spans, and the stride before them, are not needed again.
    pub(crate) fn leave(&self, file: impl AsFd, spans: Range<u64>) {
        let spans = spans.start.saturating_sub(STRIDE) as usize..spans.end as usize;
        let mut at = spans.start;
        for run in self.0.get(spans).unwrap_or_default().chunk_by(|a, b| a == b) {
            if run[0] {
                let len = NonZeroU64::new(run.len() as u64 * SPAN);
                // Advice only: nothing is lost where it is not taken.
                let _ = rustix::fs::fadvise(&file, at as u64 * SPAN, len, Advice::DontNeed);
            }
            at += run.len();
        }
    }
}
