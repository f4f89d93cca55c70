//! The gzip frame around the deflate stream (RFC 1952).

/// The header of the only member with data: deflate, no name, mtime 0, unknown system.
pub(crate) const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The empty last block of a deflate stream.
pub(crate) const FINAL_BLOCK: [u8; 2] = [3, 0];

/// Bytes between the last segment and the index.
pub(crate) const TRAILER_LEN: usize = FINAL_BLOCK.len() + 8;

/// Returns the bytes after the last segment: the final block, then the CRC-32 and the length of the tar
/// stream.
pub(crate) fn trailer(tar_crc32: u32, tar_len: u64) -> [u8; TRAILER_LEN] {
    let mut trailer = [0; TRAILER_LEN];
    let (block, sums) = trailer.split_at_mut(FINAL_BLOCK.len());
    block.copy_from_slice(&FINAL_BLOCK);
    sums[..4].copy_from_slice(&tar_crc32.to_le_bytes());
    sums[4..].copy_from_slice(&(tar_len as u32).to_le_bytes());
    trailer
}
