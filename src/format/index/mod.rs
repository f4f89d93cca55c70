//! The index behind the tar stream, in empty gzip members that other readers pass over.
//!
//! It is a hint and never an authority: its hash finds damage, not forgery, so whoever uses it
//! still compares the tar header it leads to. `docs/format.md` has every field.

mod build;
mod decode;
pub(crate) mod memory;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use crate::format::index::{
    build::{IndexBuilder, List},
    decode::Decoder,
};
use crate::{
    entry::{Entry, Unlisted},
    format::FINAL_BLOCK,
};

/// Bytes of the footer: exactly the last ones of the file.
pub const FOOTER_LEN: usize = 128;

/// Bytes of the blob in every member but the last.
const PIECE: usize = 8192;
/// Bytes that a member takes beside its payload.
const MEMBER_OVERHEAD: usize = 26;
const PAYLOAD_LEN: usize = 102;
const HASHED: usize = 70;
/// The last byte is the version of the format.
const MAGIC: [u8; 8] = *b"WBKIDX\x00\x01";

/// Bytes that an entry takes in the blob at most, beside its path: varints, a kind and a length.
pub(crate) const ENTRY_MAX: usize = 80;
/// Bytes that a segment takes in the blob at most.
pub(crate) const SEGMENT_MAX: u64 = 4 * 5 + 16;

/// Bytes that a blob of `raw_len` bytes takes in the file at most: deflate's stored blocks, the
/// members around them, trailer and footer.
pub(crate) fn members_max(raw_len: u64) -> u64 {
    let blob = raw_len + raw_len / 8 + 256;
    let members = blob.div_ceil(PIECE as u64) * MEMBER_OVERHEAD as u64;
    (FINAL_BLOCK.len() + 8 + FOOTER_LEN) as u64 + blob + members
}

/// One segment of the deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Bytes in the file.
    pub compressed_len: u32,
    /// Bytes of tar.
    pub raw_len: u32,
    /// CRC-32 of the bytes of tar.
    pub raw_crc32: u32,
    /// CRC-32 of the bytes in the file.
    pub compressed_crc32: u32,
    /// The first 16 bytes of BLAKE3 over the bytes of tar.
    pub key: [u8; 16],
}

/// What the index of an archive says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// In the order of the file; the first begins at offset 10.
    pub segments: Vec<Segment>,
    /// In the order of the tar stream, which they cover without gaps up to its end blocks.
    pub entries: Vec<Entry>,
    /// Symlinks and directories without a tar entry, in the same order of paths.
    pub unlisted: Vec<Unlisted>,
    /// Groups of entries, by their place in `entries`, that were one file.
    pub hard_links: Vec<Vec<u32>>,
}

/// The footer: where the index is, and how the archive was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// Encoder in bits 0 to 7, level in 8 to 15, profile in 16.
    pub flags: u32,
    /// File offset of the end of the last segment.
    pub data_end: u64,
    /// File offset of the first member of the index.
    pub index_offset: u64,
    /// Bytes of all members of the index.
    pub index_len: u64,
    /// Bytes of the blob that they carry.
    pub blob_len: u64,
    /// Bytes of the blob once inflated.
    pub raw_len: u64,
    /// Bytes of the tar stream.
    pub tar_len: u64,
    /// Number of segments.
    pub segments: u32,
    /// BLAKE3 of the fields before it and the blob.
    pub hash: [u8; 32],
}

impl Footer {
    /// The encoder and its level.
    pub(crate) fn made_by(&self) -> (u8, u8) {
        (self.flags as u8, (self.flags >> 8) as u8)
    }

    fn payload(&self) -> [u8; PAYLOAD_LEN] {
        let mut payload = Vec::with_capacity(PAYLOAD_LEN);
        payload.extend(MAGIC);
        payload.extend(self.flags.to_le_bytes());
        payload.extend((PIECE as u32).to_le_bytes());
        for field in [
            self.data_end,
            self.index_offset,
            self.index_len,
            self.blob_len,
            self.raw_len,
            self.tar_len,
        ] {
            payload.extend(field.to_le_bytes());
        }
        payload.extend(self.segments.to_le_bytes());
        payload.extend([0, 0]);
        payload.extend(self.hash);
        payload.try_into().expect("8 + 4 + 4 + 6 * 8 + 4 + 2 + 32 is 102")
    }

    fn hash_with(&self, blob: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.payload()[..HASHED]);
        hasher.update(blob);
        *hasher.finalize().as_bytes()
    }

    /// Reads the footer of an archive of `file_len` bytes from its last 128 bytes. `None` if this
    /// is no archive with an index of this version.
    pub fn decode(last: &[u8; FOOTER_LEN], file_len: u64) -> Option<Footer> {
        let (payload, FOOTER_LEN) = member(last, *b"WF")? else {
            return None;
        };
        let mut fields = Fields(payload.strip_prefix(&MAGIC)?);
        let flags = fields.u32()?;
        let piece = fields.u32()?;
        let footer = Footer {
            flags,
            data_end: fields.u64()?,
            index_offset: fields.u64()?,
            index_len: fields.u64()?,
            blob_len: fields.u64()?,
            raw_len: fields.u64()?,
            tar_len: fields.u64()?,
            segments: fields.u32()?,
            hash: {
                fields.take::<2>().filter(|reserved| *reserved == [0, 0])?;
                fields.take()?
            },
        };
        let trailer = (FINAL_BLOCK.len() + 8) as u64;
        let whole = fields.0.is_empty()
            && piece == PIECE as u32
            && footer.data_end.checked_add(trailer) == Some(footer.index_offset)
            && footer.index_offset.checked_add(footer.index_len)?.checked_add(FOOTER_LEN as u64)?
                == file_len
            && footer.blob_len <= footer.index_len
            && footer.index_len <= memory::LEN_MAX;
        whole.then_some(footer)
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// An empty gzip member that carries `payload` in its extra field (RFC 1952, 2.3.1.1).
fn to_member(id: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let mut member = Vec::with_capacity(payload.len() + MEMBER_OVERHEAD);
    let len = payload.len() as u16;
    member.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff]);
    member.extend((len + 4).to_le_bytes());
    member.extend(id);
    member.extend(len.to_le_bytes());
    member.extend(payload);
    member.extend(FINAL_BLOCK);
    member.extend([0; 8]);
    member
}

/// The payload of the member that `bytes` begins with, and the length of the member.
fn member(bytes: &[u8], id: [u8; 2]) -> Option<(&[u8], usize)> {
    let len = usize::from(u16::from_le_bytes(*bytes.get(14..)?.first_chunk()?));
    let payload = bytes.get(16..16 + len)?;
    let member = bytes.get(..len + MEMBER_OVERHEAD)?;
    (len + 4 <= 0xffff && member == to_member(id, payload)).then_some((payload, member.len()))
}
