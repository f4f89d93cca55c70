//! The encoder of the level `fast`.

use crate::format::deflate::{
    huffman::{Bits, write_block},
    lz::{Matcher, Sequence},
};

/// Raw bytes of a block, which has codes of its own.
const BLOCK: usize = 128 << 10;

/// About as small as flate2's level 2, at one and a half to seven times its speed
/// (docs/benchmarks.md, "Encoders").
pub(crate) struct Fast {
    matcher: Matcher,
    sequences: Vec<Sequence>,
}

impl Fast {
    pub(crate) fn new() -> Self {
        Fast { matcher: Matcher::new(), sequences: Vec::new() }
    }

    /// Compresses all of `raw` into `room`, ended by a full flush. Returns how many bytes that
    /// took, or `None` if there was not enough room.
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
