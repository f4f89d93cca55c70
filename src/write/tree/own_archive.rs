//! Recognizes archives of wingback in the source.

use crate::{
    format::{
        GZIP_HEADER,
        index::{FOOTER_LEN, Footer},
    },
    fs::file::SourceFile,
};

/// Returns whether `file` is a complete archive of wingback, by its first and its last bytes. A file that cannot be
/// read is none; the next read returns the error.
pub(super) fn is_own_archive(file: &mut SourceFile) -> bool {
    let len = file.metadata().size;
    let Some(footer_at) = len.checked_sub(FOOTER_LEN as u64) else { return false };
    let (mut header, mut last) = ([0; GZIP_HEADER.len()], [0; FOOTER_LEN]);
    let mut fills = |into: &mut [u8], at| file.read_at(into, at) == Ok(into.len());
    // Only files that begin as an archive are read twice.
    fills(&mut header, 0)
        && header == GZIP_HEADER
        && fills(&mut last, footer_at)
        && Footer::decode(&last, len).is_some()
}
