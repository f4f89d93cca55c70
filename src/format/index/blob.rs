//! The compressed blobs of an index, in empty gzip members.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::gzip_member::{self, OVERHEAD, PIECE};

/// Maximum bytes of a blob before compression.
pub(crate) const RAW_MAX: usize = 128 << 10;

/// Maximum bytes of the members of a blob.
pub(crate) const MEMBERS_MAX: usize = members_max(RAW_MAX);

/// Bytes of a hash.
pub(crate) const HASH_LEN: usize = 16;

/// The first bytes of the BLAKE3 hash of a blob.
pub(crate) type Hash = [u8; HASH_LEN];

/// Returns the maximum bytes of the members of a blob with `raw` bytes before compression.
pub(super) const fn members_max(raw: usize) -> usize {
    // Deflate stores bytes that it cannot compress in blocks, with five bytes for each.
    let blob = raw + 5 * (raw / 16_383 + 1) + 16;
    blob + blob.div_ceil(PIECE) * OVERHEAD
}

/// Compresses a blob.
pub(super) struct Packer(Compress);

impl Packer {
    pub(super) fn new() -> Self {
        Packer(Compress::new(Compression::new(6), false))
    }

    /// Returns the blob with these raw bytes, without members.
    pub(super) fn pack(&mut self, raw: &[u8]) -> Vec<u8> {
        debug_assert!(raw.len() <= RAW_MAX, "the caller bounds a blob");
        self.0.reset();
        let mut blob = Vec::with_capacity(members_max(raw.len()));
        loop {
            let rest = &raw[self.0.total_in() as usize..];
            let status = self.0.compress_vec(rest, &mut blob, FlushCompress::Finish);
            if matches!(status, Ok(Status::StreamEnd)) {
                return blob;
            }
            blob.reserve(PIECE);
        }
    }
}

/// Returns the hash of a blob.
pub(super) fn hash(blob: &[u8]) -> Hash {
    *blake3::hash(blob).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// Returns the members that carry a blob.
pub(super) fn members(blob: &[u8]) -> Vec<u8> {
    let encode = |piece| gzip_member::encode(gzip_member::PIECE_ID, piece);
    blob.chunks(PIECE).flat_map(encode).collect()
}

/// Returns the blob that these members carry. `None` if they are not the members of one blob.
pub(super) fn of_members(mut members: &[u8]) -> Option<Vec<u8>> {
    let mut blob = Vec::with_capacity(members.len());
    while !members.is_empty() {
        let (piece, len) = gzip_member::decode(members, gzip_member::PIECE_ID)?;
        if !blob.len().is_multiple_of(PIECE) {
            return None;
        }
        blob.extend(piece);
        members = &members[len..];
    }
    Some(blob)
}

/// Returns the raw bytes of a blob. `None` if it has more than [`RAW_MAX`], or does not end with its stream.
pub(super) fn unpack(blob: &[u8]) -> Option<Vec<u8>> {
    let mut inflater = Decompress::new(false);
    let mut raw = Vec::with_capacity((blob.len() * 4).clamp(4 << 10, RAW_MAX + 1));
    loop {
        let rest = &blob[inflater.total_in() as usize..];
        let before = (inflater.total_in(), raw.len());
        let status = inflater.decompress_vec(rest, &mut raw, FlushDecompress::None).ok()?;
        if raw.len() > RAW_MAX {
            return None;
        }
        if status == Status::StreamEnd {
            return (inflater.total_in() == blob.len() as u64).then_some(raw);
        }
        if raw.len() == raw.capacity() {
            raw.reserve_exact((RAW_MAX + 1 - raw.len()).min(raw.len()));
        } else if before == (inflater.total_in(), raw.len()) {
            return None;
        }
    }
}
