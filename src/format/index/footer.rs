//! The footer: the last gzip member of an archive.

use super::{fields::Fields, gzip_member};
use crate::format::gzip::TRAILER_LEN;

/// Bytes of the footer, which are the last bytes of the archive.
pub(crate) const FOOTER_LEN: usize = 128;

const PAYLOAD_LEN: usize = 102;
/// Bytes of the payload before the hash, which covers them.
const HASHED_LEN: usize = 70;
/// The last byte is the version of the format.
const MAGIC: [u8; 8] = *b"WBKIDX\x00\x01";

/// The footer, with the location of the root and how the archive was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Encoder in bits 0 to 7, level in 8 to 15, profile in 16.
    pub(crate) flags: u32,
    /// Bytes of the members of the root, which are before the footer.
    pub(crate) root_len: u32,
    /// Offset of the end of the last segment.
    pub(crate) data_end: u64,
    /// Bytes of the tar stream.
    pub(crate) tar_len: u64,
    /// Number of segments.
    pub(crate) segments: u64,
    /// Number of entries, with those that only the index has.
    pub(crate) entries: u64,
    /// Bytes of the whole archive.
    pub(crate) file_len: u64,
    /// BLAKE3 hash of the fields before it and the blob of the root.
    pub(crate) hash: [u8; 32],
}

impl Footer {
    /// Returns the encoder's number and its level.
    pub(crate) fn encoder_id(&self) -> (u8, u8) {
        (self.flags as u8, (self.flags >> 8) as u8)
    }

    /// Returns the offset of the first page.
    pub(crate) fn index_at(&self) -> u64 {
        self.data_end + TRAILER_LEN as u64
    }

    /// Returns the offset of the root.
    pub(crate) fn root_at(&self) -> u64 {
        self.file_len - FOOTER_LEN as u64 - u64::from(self.root_len)
    }

    /// Returns whether the last bytes of an archive look like a footer, valid or not.
    pub(crate) fn is_attempted(last: &[u8; FOOTER_LEN]) -> bool {
        let name = &MAGIC[..6];
        last.windows(name.len()).any(|window| window == name)
            || last[12..14] == gzip_member::FOOTER_ID
    }

    /// Reads the footer of an archive of `file_len` bytes from its last 128 bytes. Returns `None` if the
    /// archive has no index of this version.
    pub(crate) fn decode(last: &[u8; FOOTER_LEN], file_len: u64) -> Option<Footer> {
        let (payload, FOOTER_LEN) = gzip_member::decode(last, gzip_member::FOOTER_ID)? else {
            return None;
        };
        let mut fields = Fields(payload.strip_prefix(&MAGIC)?);
        let footer = Footer {
            flags: fields.u32()?,
            root_len: fields.u32()?,
            data_end: fields.u64()?,
            tar_len: fields.u64()?,
            segments: fields.u64()?,
            entries: fields.u64()?,
            file_len: fields.u64()?,
            hash: {
                fields.array::<14>().filter(|reserved| *reserved == [0; 14])?;
                fields.array()?
            },
        };
        let after_data = u64::from(footer.root_len) + (TRAILER_LEN + FOOTER_LEN) as u64;
        let is_valid = fields.0.is_empty()
            && footer.file_len == file_len
            && footer.data_end.checked_add(after_data)? <= file_len;
        is_valid.then_some(footer)
    }

    /// Returns the footer as a gzip member.
    pub(super) fn encode(&self) -> Vec<u8> {
        gzip_member::encode(gzip_member::FOOTER_ID, &self.payload())
    }

    /// Returns the hash of the fields of this footer and the blob of the root.
    pub(super) fn hash_with(&self, root: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.payload()[..HASHED_LEN]).update(root);
        *hasher.finalize().as_bytes()
    }

    fn payload(&self) -> [u8; PAYLOAD_LEN] {
        let mut payload = Vec::with_capacity(PAYLOAD_LEN);
        payload.extend(MAGIC);
        payload.extend(self.flags.to_le_bytes());
        payload.extend(self.root_len.to_le_bytes());
        for field in [self.data_end, self.tar_len, self.segments, self.entries, self.file_len] {
            payload.extend(field.to_le_bytes());
        }
        payload.extend([0; 14]);
        payload.extend(self.hash);
        payload.try_into().expect("8 + 4 + 4 + 5 * 8 + 14 + 32 is 102")
    }
}
