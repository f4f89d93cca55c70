//! The footer: the last gzip member of an archive.

use super::{gzip_member, memory};
use crate::format::gzip::TRAILER_LEN;

/// Bytes of the footer, which are the last bytes of the archive.
pub const FOOTER_LEN: usize = 128;

const PAYLOAD_LEN: usize = 102;
/// Bytes of the payload before the hash and its two reserved bytes, which the hash covers.
const HASHED_LEN: usize = 70;
/// The last byte is the version of the format.
const MAGIC: [u8; 8] = *b"WBKIDX\x00\x01";

/// The footer, with the location of the index and how the archive was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// Encoder in bits 0 to 7, level in 8 to 15, profile in 16.
    pub flags: u32,
    /// Offset of the end of the last segment.
    pub data_end: u64,
    /// Offset of the first member of the index.
    pub index_offset: u64,
    /// Bytes of all members of the index.
    pub index_len: u64,
    /// Bytes of the compressed index that the members contain.
    pub blob_len: u64,
    /// Bytes of the decompressed index.
    pub raw_len: u64,
    /// Bytes of the tar stream.
    pub tar_len: u64,
    /// Number of segments.
    pub segments: u32,
    /// BLAKE3 hash of the fields before it and the compressed index.
    pub hash: [u8; 32],
}

impl Footer {
    /// Returns the encoder's number and its level.
    pub(crate) fn encoder_id(&self) -> (u8, u8) {
        (self.flags as u8, (self.flags >> 8) as u8)
    }

    /// Returns whether the last bytes of an archive look like a footer, valid or not.
    pub(crate) fn is_attempted(last: &[u8; FOOTER_LEN]) -> bool {
        let name = &MAGIC[..6];
        last.windows(name.len()).any(|window| window == name)
            || last[12..14] == gzip_member::FOOTER_ID
    }

    /// Reads the footer of an archive of `file_len` bytes from its last 128 bytes. Returns `None` if the
    /// archive has no index of this version.
    pub fn decode(last: &[u8; FOOTER_LEN], file_len: u64) -> Option<Footer> {
        let (payload, FOOTER_LEN) = gzip_member::decode(last, gzip_member::FOOTER_ID)? else {
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
        let is_valid = fields.0.is_empty()
            && piece == gzip_member::PIECE as u32
            && footer.data_end.checked_add(TRAILER_LEN as u64) == Some(footer.index_offset)
            && footer.index_offset.checked_add(footer.index_len)?.checked_add(FOOTER_LEN as u64)?
                == file_len
            && footer.blob_len <= footer.index_len
            && footer.index_len <= memory::LEN_MAX;
        is_valid.then_some(footer)
    }

    /// Returns the footer as a gzip member.
    pub(super) fn encode(&self) -> Vec<u8> {
        gzip_member::encode(gzip_member::FOOTER_ID, &self.payload())
    }

    /// Returns a hasher that has read the fields of this footer. The compressed index follows.
    pub(super) fn hasher(&self) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.payload()[..HASHED_LEN]);
        hasher
    }

    fn payload(&self) -> [u8; PAYLOAD_LEN] {
        let mut payload = Vec::with_capacity(PAYLOAD_LEN);
        payload.extend(MAGIC);
        payload.extend(self.flags.to_le_bytes());
        payload.extend((gzip_member::PIECE as u32).to_le_bytes());
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
}

/// The fields of a payload that have not been read yet.
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
