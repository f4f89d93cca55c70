//! An archive in a local file.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::page_cache::{SPAN, STRIDE, UncachedRanges},
    read::ReadAt,
};

/// A local file. A rename or removal does not affect its readers.
pub(crate) struct LocalFile {
    file: Arc<File>,
    len: u64,
}

impl LocalFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        use rustix::fs::{Mode, OFlags};
        let fail = |e: rustix::io::Errno| Error::io("open the archive", e).at(path);
        // Opening a FIFO must not block. A pipe is read as a stream.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(fail)?;
        LocalFile::new(file.into()).map_err(|e| e.at(path))
    }

    pub(crate) fn new(file: File) -> Result<Self> {
        let fail = |e| Error::io("open the archive", e);
        let meta = file.metadata().map_err(fail)?;
        if !meta.is_file() {
            let error = Error::new(ErrorKind::InvalidInput, "open the archive");
            return Err(error.caused_by("it is not a regular file"));
        }
        Ok(LocalFile { file: Arc::new(file), len: meta.len() })
    }
}

impl ReadAt for LocalFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn file(&self) -> Option<&Arc<File>> {
        Some(&self.file)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(into, at).map_err(|e| Error::io("read the archive", e))
    }
}

/// A file that is read about once and in order. Pages that only this brought into the page cache are evicted.
pub(crate) struct SequentialFile {
    file: LocalFile,
    uncached: UncachedRanges,
    /// The first span that is not evicted yet.
    evicted: AtomicU64,
}

/// Bytes before the foremost read position that other threads may still read.
const BEHIND: u64 = 8 << 20;

impl SequentialFile {
    pub(crate) fn new(file: LocalFile) -> Self {
        SequentialFile {
            uncached: UncachedRanges::of(&file.file, file.len),
            file,
            evicted: AtomicU64::new(0),
        }
    }
}

impl ReadAt for SequentialFile {
    fn len(&self) -> u64 {
        self.file.len
    }

    fn file(&self) -> Option<&Arc<File>> {
        self.file.file()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        self.file.read_at(at, into)
    }

    fn dont_need_before(&self, at: u64) {
        let stride = at.saturating_sub(BEHIND) / (STRIDE * SPAN) * STRIDE;
        let evicted = self.evicted.fetch_max(stride, Relaxed);
        if stride > evicted {
            self.uncached.evict(&self.file.file, evicted..stride);
        }
    }
}

impl Drop for SequentialFile {
    fn drop(&mut self) {
        let evicted = self.evicted.load(Relaxed);
        self.uncached.evict(&self.file.file, evicted..self.file.len.div_ceil(SPAN));
    }
}
