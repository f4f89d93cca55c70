//! Decodes one segment on its own.
//!
//! Every build uses zlib-rs. The decoder of ISA-L takes a sixth less time for encoded data, which makes
//! no difference for a whole archive, and it would process untrusted bytes in `unsafe` code.

use flate2::{Decompress, FlushDecompress, Status};

use super::input::{ReadAt, corrupt};
use crate::{
    error::Result,
    format::{
        gzip::FINAL_BLOCK,
        index::{LocatedSegment, Segment},
    },
};

/// Bytes that [`Inflater::segment`] needs after the segment.
pub(crate) const PADDING: usize = FINAL_BLOCK.len();

/// Decodes segments, one after another.
pub(crate) struct Inflater(Decompress);

impl Inflater {
    pub(crate) fn new() -> Self {
        Inflater(Decompress::new(false))
    }

    /// Decodes the segment in `bytes` into `raw`. Returns whether it has exactly the length of `raw`.
    ///
    /// `bytes` has [`PADDING`] bytes after the segment, with any content. They are unchanged afterwards.
    ///
    /// The decoder sees a final block there. A segment that does not end at the end of a block would read
    /// it as its own data, and another reader would see other bytes there. So such a segment is refused.
    pub(crate) fn segment(&mut self, bytes: &mut [u8], raw: &mut [u8]) -> bool {
        let Some(padding) = bytes.last_chunk_mut::<PADDING>() else {
            return false;
        };
        let saved = std::mem::replace(padding, FINAL_BLOCK);
        let is_good = self.stream(bytes, raw);
        if let Some(padding) = bytes.last_chunk_mut() {
            *padding = saved;
        }
        is_good
    }

    /// Reads a segment and decodes it. Fails with [`Corrupt`](crate::ErrorKind::Corrupt) if its content does not have
    /// the checksums of its record.
    pub(crate) fn read(
        &mut self,
        source: &dyn ReadAt,
        segment: &LocatedSegment,
    ) -> Result<Vec<u8>> {
        let len = segment.segment.compressed_len as usize;
        let mut compressed = vec![0; len + PADDING];
        source.read_at(segment.file_at, &mut compressed[..len])?;
        self.checked(&segment.segment, &mut compressed)
            .ok_or_else(|| corrupt(format!("segment {} is damaged", segment.number)))
    }

    /// Decodes the segment in `bytes`, which has [`PADDING`] bytes after it. Returns `None` if its content does not
    /// have the checksums of its record.
    pub(crate) fn checked(&mut self, record: &Segment, bytes: &mut [u8]) -> Option<Vec<u8>> {
        let mut raw = vec![0; record.raw_len as usize];
        let is_good = self.segment(bytes, &mut raw)
            && crc32fast::hash(&raw) == record.raw_crc32
            && Segment::key_of(&raw) == record.key;
        is_good.then_some(raw)
    }

    fn stream(&mut self, deflated: &[u8], raw: &mut [u8]) -> bool {
        self.0.reset(false);
        // Without any room, the decoder would not come to the end of padding.
        let room = if raw.is_empty() { &mut [0][..] } else { &mut *raw };
        let status = self.0.decompress(deflated, room, FlushDecompress::Finish);
        matches!(status, Ok(Status::StreamEnd))
            && self.0.total_in() == deflated.len() as u64
            && self.0.total_out() == raw.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compression::{Encoder, Level},
        format::{buffer::Buf, deflate::Deflater},
    };

    #[test]
    fn only_complete_segments_are_accepted() {
        let raw: Vec<u8> = (0..100_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for level in [Level::None, Level::Fast, Level::Best] {
            let mut out = Buf::default();
            let deflater = Deflater::new(Encoder::Wingback, level);
            deflater.expect("every build has it").segment(&raw, &mut out);
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
        // A stored block of six bytes, of which the last two are in the padding.
        let mut segment = [0, 6, 0, 0xf9, 0xff, b'a', b'b', b'c', b'd', 0, 0];
        assert!(!Inflater::new().segment(&mut segment, &mut [0; 4]));
        assert!(!Inflater::new().segment(&mut segment, &mut [0; 6]));
    }
}
