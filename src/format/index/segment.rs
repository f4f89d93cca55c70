//! The record of a segment.

use std::ops::Range;

use twox_hash::XxHash3_128;

use super::fields::{Fields, put_number};
use crate::format::deflate::stored_len;

/// Maximum raw bytes of a segment. Segments of this program stay below 3 MiB.
const RAW_MAX: u32 = 4 << 20;

/// Minimum bytes of a segment in the archive: an empty stored block.
const COMPRESSED_MIN: u32 = 5;

/// Maximum bytes of padding in the archive.
const PADDING_MAX: u32 = 8 << 10;

/// Maximum bytes that deflate decodes from one byte.
const RATIO_MAX: u32 = 1032;

/// Maximum bytes of a record.
pub(super) const RECORD_MAX: usize = 2 * 5 + 2 * 4 + 16;

/// One segment of the deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Compressed bytes in the archive.
    pub(crate) compressed_len: u32,
    /// Bytes of the tar stream.
    pub(crate) raw_len: u32,
    /// CRC-32 of the raw bytes.
    pub(crate) raw_crc32: u32,
    /// CRC-32 of the compressed bytes.
    pub(crate) compressed_crc32: u32,
    /// XXH3 hash of the raw bytes, of 128 bits.
    pub(crate) key: [u8; 16],
}

impl Segment {
    /// Returns the record of a segment with these raw and compressed bytes.
    pub(crate) fn new(key: [u8; 16], raw: &[u8], compressed: &[u8]) -> Self {
        Segment {
            compressed_len: compressed.len() as u32,
            raw_len: raw.len() as u32,
            raw_crc32: crc32fast::hash(raw),
            compressed_crc32: crc32fast::hash(compressed),
            key,
        }
    }

    /// Returns the record of padding: empty blocks, which hold no bytes of the tar stream.
    pub(crate) fn padding(blocks: &[u8]) -> Self {
        let key = [0; 16];
        Segment { raw_crc32: 0, ..Segment::new(key, &[], blocks) }
    }

    /// Returns whether this is padding.
    pub(crate) fn is_padding(&self) -> bool {
        self.raw_len == 0
    }

    /// Returns the key of a segment with these raw bytes.
    pub(crate) fn key_of(raw: &[u8]) -> [u8; 16] {
        XxHash3_128::oneshot(raw).to_be_bytes()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.compressed_len.into());
        put_number(out, self.raw_len.into());
        out.extend(self.raw_crc32.to_le_bytes());
        out.extend(self.compressed_crc32.to_le_bytes());
        out.extend(self.key);
    }

    /// Returns `None` also for lengths that no writer produces.
    pub(super) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let segment = Segment {
            compressed_len: fields.number32()?,
            raw_len: fields.number32()?,
            raw_crc32: fields.u32()?,
            compressed_crc32: fields.u32()?,
            key: fields.array()?,
        };
        let is_possible = segment.raw_len <= RAW_MAX
            && segment.compressed_len >= COMPRESSED_MIN
            && (!segment.is_padding() || segment.compressed_len <= PADDING_MAX)
            && (segment.is_padding()
                || segment.compressed_len as usize <= stored_len(segment.raw_len as usize))
            && segment.raw_len / RATIO_MAX <= segment.compressed_len;
        is_possible.then_some(segment)
    }
}

/// A segment with its number and its offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocatedSegment {
    pub(crate) number: u64,
    /// Offset in the archive.
    pub(crate) file_at: u64,
    /// Offset in the tar stream.
    pub(crate) tar_at: u64,
    pub(crate) segment: Segment,
}

impl LocatedSegment {
    /// Returns its range in the archive.
    pub(crate) fn file(&self) -> Range<u64> {
        self.file_at..self.file_at + u64::from(self.segment.compressed_len)
    }

    /// Returns its range in the tar stream.
    pub(crate) fn tar(&self) -> Range<u64> {
        self.tar_at..self.tar_at + u64::from(self.segment.raw_len)
    }
}
