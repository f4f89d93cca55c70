//! The bytes of an archive: read at any offset, or as a stream.

use std::{fs::File, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};

/// Bytes that are read at once when an archive is read from start to end.
pub(super) const CHUNK: u64 = 1 << 20;

/// Bytes of such an archive that are announced at once. The length is not to be trusted, so the list of
/// ranges must be bounded.
const ANNOUNCED_MAX: u64 = 1 << 30;

/// An archive that can be read at any offset.
pub(crate) trait ReadAt: Send + Sync {
    /// Returns the length of the archive.
    fn len(&self) -> u64;

    /// Fills `into` with the bytes at offset `at`. It is an error if the archive ends before.
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()>;

    /// Returns the file with these bytes, if the archive is a file.
    fn file(&self) -> Option<&Arc<File>> {
        None
    }

    /// Returns whether each read costs a request, so that ranges are announced with
    /// [`will_need`](ReadAt::will_need).
    fn is_remote(&self) -> bool {
        false
    }

    /// Hint that few bytes before `at` will be read again.
    fn dont_need_before(&self, at: u64) {
        let _ = at;
    }

    /// Hint that these ranges will be read, in about this order, and after them the bytes from the end of
    /// the last range up to `until`. Replaces the hints before.
    fn will_need(&self, ranges: Vec<Range<u64>>, until: u64) {
        let _ = (ranges, until);
    }

    /// Hint that these ranges will be read after those that were announced before.
    fn will_also_need(&self, ranges: Vec<Range<u64>>, until: u64) {
        let _ = (ranges, until);
    }
}

/// An archive that is read from start to end.
pub(crate) trait Chunks: Send {
    /// Returns the next bytes. `None` or an empty chunk is the end.
    fn next(&mut self) -> Result<Option<Bytes>>;
}

/// Source of an archive's bytes.
pub(crate) enum Source {
    At(Arc<dyn ReadAt>),
    Stream(Box<dyn Chunks>),
}

impl Source {
    /// Returns the length of the archive, if it is known before the end.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Source::At(source) => Some(source.len()),
            Source::Stream(_) => None,
        }
    }

    /// Returns all bytes of the archive, in order.
    pub(super) fn into_chunks(self) -> Box<dyn Chunks> {
        match self {
            Source::At(source) => Box::new(FromStart { source, at: 0, announced: 0 }),
            Source::Stream(chunks) => chunks,
        }
    }
}

/// Splits a range into pieces that are read at once.
pub(super) fn chunks_of(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range.step_by(CHUNK as usize).map(move |at| at..at.saturating_add(CHUNK).min(end))
}

/// Returns the error for an archive that cannot be read.
pub(crate) fn corrupt(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, "read the archive").caused_by(why.into())
}

/// Reads a [`ReadAt`] from start to end.
struct FromStart {
    source: Arc<dyn ReadAt>,
    at: u64,
    /// End of the bytes that were announced to the source.
    announced: u64,
}

impl Chunks for FromStart {
    fn next(&mut self) -> Result<Option<Bytes>> {
        let len = self.source.len();
        if self.at == self.announced && self.at < len {
            self.announced = self.at.saturating_add(ANNOUNCED_MAX).min(len);
            self.source.will_need(chunks_of(self.at..self.announced).collect(), len);
        }
        let mut chunk = vec![0; (len - self.at).min(CHUNK) as usize];
        self.source.read_at(self.at, &mut chunk)?;
        self.at += chunk.len() as u64;
        Ok(Some(chunk.into()))
    }
}
