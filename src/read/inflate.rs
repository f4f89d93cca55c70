//! Decodes one segment by itself.
//!
//! With zlib-rs in every build: ISA-L's decoder takes a sixth less time for what is encoded, which
//! does not show in a whole archive, and would bring `unsafe` to foreign bytes.

use flate2::{Decompress, FlushDecompress, Status};

use crate::format::FINAL_BLOCK;

/// Decodes segments, one after the other.
pub(crate) struct Inflater(Decompress);

impl Inflater {
    pub(crate) fn new() -> Self {
        Inflater(Decompress::new(false))
    }

    /// Decodes the segment that `bytes` holds but for its last two bytes, which may be anything and
    /// stay as they are. True if it comes to exactly as many bytes as `raw` has.
    ///
    /// The final block is put behind it for the decoder: a segment that does not end where a block
    /// ends would swallow it, and another reader would see other bytes there.
    pub(crate) fn segment(&mut self, bytes: &mut [u8], raw: &mut [u8]) -> bool {
        let Some(end) = bytes.last_chunk_mut::<2>() else {
            return false;
        };
        let behind = std::mem::replace(end, FINAL_BLOCK);
        let is_whole = self.stream(bytes, raw);
        if let Some(end) = bytes.last_chunk_mut() {
            *end = behind;
        }
        is_whole
    }

    fn stream(&mut self, deflated: &[u8], raw: &mut [u8]) -> bool {
        self.0.reset(false);
        let status = self.0.decompress(deflated, raw, FlushDecompress::Finish);
        matches!(status, Ok(Status::StreamEnd))
            && self.0.total_in() == deflated.len() as u64
            && self.0.total_out() == raw.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Level, buffer::Buf, deflate::Deflater};

    #[test]
    fn only_whole_segments_are_taken() {
        let raw: Vec<u8> = (0..100_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for level in [Level::None, Level::Fast, Level::Best] {
            let mut out = Buf::default();
            Deflater::new(level).segment(&raw, &mut out);
            let len = out.len();
            out.extend(b"xy");
            let mut inflater = Inflater::new();
            let mut back = vec![0; raw.len()];
            assert!(inflater.segment(&mut out, &mut back) && back == raw, "{level:?}");
            assert_eq!(&out[len..], b"xy");
            assert!(!inflater.segment(&mut out, &mut vec![0; raw.len() + 1]), "too short");
            assert!(!inflater.segment(&mut out, &mut vec![0; raw.len() - 1]), "too long");
            for cut in [0, 1, 2, 3, 7, len / 2, len - 5, len - 1, len + 1] {
                let mut part = out[..cut].to_vec();
                assert!(!inflater.segment(&mut part, &mut back), "{level:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_segment_that_ends_inside_a_block_is_refused() {
        // A stored block of six bytes whose last two are to be the final block.
        let mut segment = [0, 6, 0, 0xf9, 0xff, b'a', b'b', b'c', b'd', 0, 0];
        assert!(!Inflater::new().segment(&mut segment, &mut [0; 4]));
        assert!(!Inflater::new().segment(&mut segment, &mut [0; 6]));
    }
}
