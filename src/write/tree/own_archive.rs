//! Recognizes archives of wingback in the source.

use crate::{format::GZIP_HEADER, fs::file::SourceFile, read::ends_as_archive};

/// Returns whether `file` is a complete archive of wingback, by its first and its last bytes. A file that cannot be
/// read is none; the next read returns the error.
pub(super) fn is_own_archive(file: &mut SourceFile) -> bool {
    let (len, mut header) = (file.metadata().size, [0; GZIP_HEADER.len()]);
    let mut fills = |into: &mut [u8], at| file.read_at(into, at) == Ok(into.len());
    // Only files that begin as an archive are read twice.
    fills(&mut header, 0) && header == GZIP_HEADER && ends_as_archive(len, fills)
}
