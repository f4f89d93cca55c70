//! Leaves the page cache as it was found: what the server has in use there is never dropped.

use std::{io::IoSliceMut, num::NonZeroU64, ops::Range, os::fd::AsFd};

use rustix::{
    fs::Advice,
    io::{Errno, ReadWriteFlags},
};

/// How finely it is remembered what of a file was in the page cache.
pub(crate) const SPAN: u64 = 1 << 20;

/// Which spans of a file were not in the page cache, and so leave it again.
#[derive(Debug)]
pub(crate) struct Cold(Vec<bool>);

impl Cold {
    /// Asks, before the first read: a read that may not wait fails where a span is not there.
    pub(crate) fn of(file: impl AsFd, size: u64) -> Self {
        let mut byte = [0];
        let is_cold = |span| {
            let mut buf = [IoSliceMut::new(&mut byte)];
            rustix::io::preadv2(&file, &mut buf, span * SPAN, ReadWriteFlags::NOWAIT)
                == Err(Errno::AGAIN)
        };
        let spans: Vec<bool> = (0..size.div_ceil(SPAN)).map(is_cold).collect();
        Cold(if spans.contains(&true) { spans } else { Vec::new() })
    }

    /// Says that these spans are not needed again.
    pub(crate) fn leave(&self, file: impl AsFd, spans: Range<u64>) {
        for span in spans {
            let is_cold = usize::try_from(span).is_ok_and(|i| self.0.get(i) == Some(&true));
            if is_cold {
                // Advice only: nothing is lost where it is not taken.
                let len = NonZeroU64::new(SPAN);
                let _ = rustix::fs::fadvise(&file, span * SPAN, len, Advice::DontNeed);
            }
        }
    }
}
