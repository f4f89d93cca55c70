//! The lists of an index.

use serde::{Deserialize, Serialize};

use crate::entry::{Entry, Unlisted};

/// One segment of the deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Compressed bytes in the archive.
    pub compressed_len: u32,
    /// Bytes of the tar stream.
    pub raw_len: u32,
    /// CRC-32 of the raw bytes.
    pub raw_crc32: u32,
    /// CRC-32 of the compressed bytes.
    pub compressed_crc32: u32,
    /// The first 16 bytes of the BLAKE3 hash of the raw bytes.
    pub key: [u8; 16],
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

    /// Returns the key of a segment with these raw bytes.
    pub(crate) fn key_of(raw: &[u8]) -> [u8; 16] {
        let mut key = [0; 16];
        key.copy_from_slice(&blake3::hash(raw).as_bytes()[..16]);
        key
    }
}

/// The content of an archive's index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Segments in the order of the archive. The first begins at offset 10.
    pub segments: Vec<Segment>,
    /// Entries in the order of the tar stream. They cover it without gaps, except its end blocks.
    pub entries: Vec<Entry>,
    /// Symlinks and directories without a tar entry, in the same order of paths.
    pub unlisted: Vec<Unlisted>,
    /// Groups of entries that were hard links to the same file, as positions in `entries`.
    pub hard_links: Vec<Vec<u32>>,
}
