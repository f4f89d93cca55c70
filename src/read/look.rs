//! Recognizes an archive by its bytes, whatever its name is.

use std::{fs::File, io::Read, os::unix::fs::FileExt, path::Path, sync::Arc};

use flate2::read::GzDecoder;

use super::{
    index::Index,
    input::{ReadAt, Source},
};
use crate::{
    error::Result,
    format::index::{FOOTER_LEN, Footer},
};

/// Bytes at the start of an archive that have its first tar header, however it is compressed.
const START: usize = 4096;

/// Offset of the magic in a tar header, and its first bytes.
const MAGIC_AT: usize = 257;
const MAGIC: &[u8] = b"ustar";

/// What an object is.
pub(crate) enum Look {
    /// An archive of its full length, with the root of an index.
    Whole(Arc<Index>),
    /// A `.tar.gz` without an index to use: its end is missing or damaged, or another program made it.
    NoIndex,
    /// Something else.
    Other,
}

impl Source {
    /// Looks at the end of the object, and at its start if it has no index. Reads nothing else.
    pub(crate) fn look(&self) -> Result<Look> {
        let Source::At(source) = self else { return Ok(Look::Other) };
        // An object of another kind costs two small reads.
        if may_have_footer(&**source)? {
            let index = Index::open(source)?;
            return Ok(index.map_or(Look::NoIndex, |index| Look::Whole(Arc::new(index))));
        }
        Ok(if begins_as_tar_gz(&**source)? { Look::NoIndex } else { Look::Other })
    }
}

/// Returns whether the file at `path` ends like an archive of its length. Reads nothing else.
pub(crate) fn has_footer(path: &Path) -> bool {
    let is_archive = || -> std::io::Result<bool> {
        // Opening a named pipe would block.
        if !path.symlink_metadata()?.is_file() {
            return Ok(false);
        }
        let file = File::open(path)?;
        let fills = |into: &mut [u8], at| file.read_exact_at(into, at).is_ok();
        Ok(ends_as_archive(file.metadata()?.len(), fills))
    };
    is_archive().unwrap_or(false)
}

/// Returns whether an object of `len` bytes ends like an archive of that length. `fills` reads bytes from an offset
/// on, and returns whether all of them are there.
pub(crate) fn ends_as_archive(len: u64, fills: impl FnOnce(&mut [u8], u64) -> bool) -> bool {
    let Some(at) = len.checked_sub(FOOTER_LEN as u64) else { return false };
    let mut last = [0; FOOTER_LEN];
    fills(&mut last, at) && Footer::decode(&last, len).is_some()
}

/// Returns whether the archive ends with a footer, valid or damaged. Reads nothing else.
fn may_have_footer(source: &dyn ReadAt) -> Result<bool> {
    let Some(at) = source.len().checked_sub(FOOTER_LEN as u64) else { return Ok(false) };
    let mut last = [0; FOOTER_LEN];
    source.read_at(at, &mut last)?;
    Ok(Footer::is_attempted(&last))
}

fn begins_as_tar_gz(source: &dyn ReadAt) -> Result<bool> {
    let mut start = [0; START];
    let start = &mut start[..source.len().min(START as u64) as usize];
    source.read_at(0, start)?;
    let mut header = [0; MAGIC_AT + MAGIC.len()];
    let is_tar = GzDecoder::new(&*start).read_exact(&mut header).is_ok();
    Ok(is_tar && header.ends_with(MAGIC))
}
