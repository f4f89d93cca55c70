//! Zeros for the holes of sparse files, for sinks that write content in order.

use bytes::Bytes;

/// Counts the content of a file, and returns the zeros of its holes.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    at: u64,
    size: u64,
}

impl Gaps {
    /// Starts at the beginning of a file of `size` bytes.
    pub(crate) fn of(size: u64) -> Self {
        Gaps { at: 0, size }
    }

    /// Returns the next zeros before the content at `offset`, or `None` if there are no more.
    pub(crate) fn before(&mut self, offset: u64) -> Option<Bytes> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let n = offset.saturating_sub(self.at).min(ZEROS.len() as u64);
        self.at += n;
        (n > 0).then(|| Bytes::from_static(&ZEROS[..n as usize]))
    }

    /// Returns the next zeros after all content, or `None` if there are no more.
    pub(crate) fn at_end(&mut self) -> Option<Bytes> {
        self.before(self.size)
    }

    /// Counts `n` bytes of content.
    pub(crate) fn pass(&mut self, n: usize) {
        self.at += n as u64;
    }
}
