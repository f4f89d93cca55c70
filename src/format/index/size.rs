//! Upper bounds for the size of an index in the archive.

use super::{footer::FOOTER_LEN, gzip_member};
use crate::format::gzip::TRAILER_LEN;

/// Maximum bytes of an entry before compression, without its path: integers of variable length, a kind
/// and a length.
pub(crate) const ENTRY_MAX: usize = 80;

/// Maximum bytes of a segment before compression.
pub(crate) const SEGMENT_MAX: u64 = 4 * 5 + 16;

/// Returns the maximum bytes that follow the last segment if the index has `raw_len` bytes before
/// compression: stored deflate blocks, the members around them, trailer and footer.
pub(crate) fn members_max(raw_len: u64) -> u64 {
    let blob = raw_len + raw_len / 8 + 256;
    let members = blob.div_ceil(gzip_member::PIECE as u64) * gzip_member::OVERHEAD as u64;
    (TRAILER_LEN + FOOTER_LEN) as u64 + blob + members
}
