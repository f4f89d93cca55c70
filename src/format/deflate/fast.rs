//! The encoder of [`Level::Fast`](crate::Level::Fast).

use super::{
    huffman::{Bits, write_block},
    lz::{Matcher, Sequence},
};

/// Raw bytes of a block. Each block has its own Huffman codes.
const BLOCK: usize = 128 << 10;

/// Compresses about as well as level 2 of flate2, 1.5 to 7 times as fast (docs/benchmarks.md,
/// "Encoders").
pub(crate) struct Fast {
    matcher: Matcher,
    sequences: Vec<Sequence>,
}

impl Fast {
    pub(crate) fn new() -> Self {
        Fast { matcher: Matcher::new(), sequences: Vec::new() }
    }

    /// Compresses `raw` into `room` and ends with a full flush. Returns the number of bytes written, or
    /// `None` if `room` is too small.
    pub(crate) fn deflate(&mut self, raw: &[u8], room: &mut [u8]) -> Option<usize> {
        self.matcher.clear();
        let mut bits = Bits::new(room);
        for start in (0..raw.len()).step_by(BLOCK) {
            let end = (start + BLOCK).min(raw.len());
            self.matcher.find(raw, start, end, &mut self.sequences);
            write_block(&raw[start..end], &self.sequences, &mut bits);
        }
        bits.finish()
    }
}
