//! Recognizes archives of wingback in the source.

use crate::{format::GZIP_HEADER, read::ends_as_archive};

/// Returns whether a file of `len` bytes is a complete archive of wingback, by its first and its last bytes.
/// `fills` reads from an offset. It returns false if it could not.
pub(super) fn is_own_archive(len: u64, mut fills: impl FnMut(&mut [u8], u64) -> bool) -> bool {
    let mut header = [0; GZIP_HEADER.len()];
    fills(&mut header, 0) && header == GZIP_HEADER && ends_as_archive(len, fills)
}
