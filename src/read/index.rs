//! The index of an archive: opened by its root, and read page by page.

use std::{ops::Range, sync::Arc};

use super::{
    damage::NoIndex,
    input::{ReadAt, Source, chunks_of},
};
use crate::{
    compression::ArchiveEncoder,
    error::{Error, ErrorKind, Result},
    format::{
        Profile,
        index::{self, FOOTER_LEN, Footer, Hash, Node, Page, Root},
        info::{EXCLUDES_MAX, Info},
    },
    fs::spill::Spill,
};

/// Bytes that are read first. They contain the root, and the whole index of about 2,000 files.
pub(crate) const TAIL: u64 = 64 << 10;

/// Maximum bytes of the index of a remote archive or of a stream, which are copied to a temporary file. The index
/// of 30 million files is smaller.
pub(super) const COPY_MAX: u64 = 1 << 30;

/// An index, opened by its root. Its pages are read when they are needed.
pub(crate) struct Index {
    pub(crate) footer: Footer,
    pub(super) root: Root,
    /// `None` if the copy has everything.
    archive: Option<Arc<dyn ReadAt>>,
    /// A local copy of the first bytes of the index: of all pages, or of everything.
    copy: Option<Spill>,
}

impl Source {
    /// Opens the index of the archive, or returns the reason why there is none to use. Only its root is read:
    /// a page may be damaged.
    pub(crate) fn index(&self) -> Result<Result<Arc<Index>, NoIndex>> {
        match self {
            Source::At(source) => Ok(Index::open(source)?.map(Arc::new)),
            Source::Stream(_) => Ok(Err(NoIndex::Stream)),
        }
    }
}

impl Index {
    pub(super) fn open(source: &Arc<dyn ReadAt>) -> Result<Result<Index, NoIndex>> {
        let len = source.len();
        let mut tail = vec![0; len.min(TAIL) as usize];
        let tail_at = len - tail.len() as u64;
        source.read_at(tail_at, &mut tail)?;
        let Some(last) = tail.last_chunk::<FOOTER_LEN>() else {
            return Ok(Err(NoIndex::Absent));
        };
        let Some(footer) = Footer::decode(last, len) else {
            let is_damaged = Footer::is_attempted(last);
            return Ok(Err(if is_damaged { NoIndex::Damaged } else { NoIndex::Absent }));
        };
        let root = footer.root_at().checked_sub(tail_at).and_then(|at| {
            let end = tail.len() - FOOTER_LEN;
            index::read_root(&tail[at as usize..end], &footer)
        });
        let archive = Some(source.clone());
        Ok(root.map(|root| Index { footer, root, archive, copy: None }).ok_or(NoIndex::Damaged))
    }

    /// Opens the index at the end of an archive that was read as a stream. `tail` has the bytes from the end of
    /// the tar stream's gzip member on, without the footer.
    pub(super) fn in_tail(tail: Spill, last: &[u8; FOOTER_LEN], len: u64) -> Result<Option<Self>> {
        let Some(footer) = Footer::decode(last, len) else { return Ok(None) };
        let index_len = footer.file_len - FOOTER_LEN as u64 - footer.index_at();
        if tail.len() != index_len || index_len < footer.root_len.into() {
            return Ok(None);
        }
        let mut root = vec![0; (footer.root_len as usize).min(TAIL as usize)];
        tail.read_at(index_len - root.len() as u64, &mut root)?;
        let root = index::read_root(&root, &footer);
        Ok(root.map(|root| Index { footer, root, archive: None, copy: Some(tail) }))
    }

    /// Uses a copy of all pages from now on.
    pub(super) fn with_copy(self, pages: Spill) -> Self {
        Index { copy: Some(pages), ..self }
    }

    /// Returns whether each read costs a request.
    pub(super) fn is_remote(&self) -> bool {
        self.copy.is_none() && self.archive.as_ref().is_some_and(|archive| archive.is_remote())
    }

    /// Returns whether some entries are only in the index.
    pub(crate) fn has_unlisted(&self) -> bool {
        self.footer.flags >> 16 & 1 == 1
    }

    /// Returns the identity of the archive, without the patterns.
    pub(crate) fn info(&self) -> Info {
        Info {
            encoder: ArchiveEncoder::new(self.footer.encoder_id()),
            profile: if self.has_unlisted() { Profile::Wings } else { Profile::Full },
            tar_len: self.footer.tar_len,
            segments: self.footer.segments,
            size: self.footer.file_len,
            ..self.root.info.clone()
        }
    }

    /// Reads the patterns that were in force: at most [`EXCLUDES_MAX`].
    pub(crate) fn excludes(&self) -> Result<Vec<u8>> {
        let mut excludes = Vec::new();
        for piece in &self.root.excludes {
            let members = self.read(piece.at, piece.len)?;
            excludes.extend(index::read_blob(&members, &piece.hash).ok_or_else(damaged)?);
            if excludes.len() > EXCLUDES_MAX {
                return Err(damaged());
            }
        }
        Ok(excludes)
    }

    pub(super) fn page(&self, at: u64, len: u32, hash: &Hash) -> Result<Page> {
        index::read_page(&self.read(at, len)?, hash).ok_or_else(damaged)
    }

    pub(super) fn node(&self, at: u64, len: u32, hash: &Hash) -> Result<Node> {
        index::read_node(&self.read(at, len)?, hash).ok_or_else(damaged)
    }

    /// Reads members at an offset from the start of the index.
    pub(super) fn read(&self, at: u64, len: u32) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        self.read_range(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `into` with bytes at an offset from the start of the index.
    pub(super) fn read_range(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let range = self.range(at, into.len()).ok_or_else(damaged)?;
        let is_copied = |copy: &&Spill| at.saturating_add(into.len() as u64) <= copy.len();
        match (self.copy.as_ref().filter(is_copied), &self.archive) {
            (Some(copy), _) => copy.read_at(at, into),
            (None, Some(archive)) => archive.read_at(range.start, into),
            (None, None) => Err(damaged()),
        }
    }

    /// Announces that the pages will be read from start to end.
    pub(super) fn will_need_pages(&self) {
        if let Some(archive) = self.archive.as_ref().filter(|_| self.is_remote()) {
            let start = self.footer.index_at();
            let end = start.saturating_add(self.root.pages_len.min(COPY_MAX));
            let end = end.min(self.footer.root_at());
            archive.will_need(chunks_of(start..end).collect(), end);
        }
    }

    /// Returns a range of the archive. `None` if it is not before the root.
    fn range(&self, at: u64, len: usize) -> Option<Range<u64>> {
        let start = self.footer.index_at().checked_add(at)?;
        let end = start.checked_add(len as u64)?;
        (end <= self.footer.root_at()).then_some(start..end)
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("footer", &self.footer).finish_non_exhaustive()
    }
}

/// Returns the error for an index that is not as a writer makes it.
pub(super) fn damaged() -> Error {
    Error::new(ErrorKind::Corrupt, "read the archive's index").caused_by("it is damaged")
}

/// Returns whether a page could not be read because it is damaged, and not because of the disk or network.
pub(crate) fn is_damage(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt
}
