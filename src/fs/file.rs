//! Reads one file of the source, and leaves the page cache as it was found.

use std::{cmp::Ordering, os::fd::OwnedFd};

use rustix::{
    fs::{FileType, SeekFrom, Stat},
    io::Errno,
};

use crate::{
    entry::Metadata,
    fs::{
        page_cache::{SPAN, STRIDE, UncachedRanges},
        stat::FileId,
    },
    report::Change,
};

/// A file of the source, open. Its size is the size that it had when it was opened.
pub(crate) struct SourceFile {
    fd: OwnedFd,
    stat: Stat,
    /// The data range or hole that was looked up last; `None` for a file without holes.
    extent: Option<Extent>,
    /// `None` until the first read, which determines it.
    uncached: Option<UncachedRanges>,
}

#[derive(Clone, Copy, Default)]
struct Extent {
    start: u64,
    end: u64,
    is_hole: bool,
}

impl SourceFile {
    /// Takes an open descriptor. Fails with `ENXIO` if it is not a regular file.
    pub(crate) fn open(fd: OwnedFd) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::NXIO);
        }
        let is_sparse = i128::from(stat.st_blocks) * 512 < i128::from(stat.st_size);
        Ok(SourceFile { fd, stat, extent: is_sparse.then(Extent::default), uncached: None })
    }

    pub(crate) fn metadata(&self) -> Metadata {
        Metadata::of(&self.stat)
    }

    /// Returns the identity of the file if it has more than one name.
    pub(crate) fn hard_link(&self) -> Option<FileId> {
        (self.stat.st_nlink > 1).then(|| FileId::of(&self.stat))
    }

    /// Returns how many bytes of a hole follow `offset`. Returns 0 if there is data at `offset`, or if
    /// the file system cannot tell.
    pub(crate) fn hole_at(&mut self, offset: u64) -> u64 {
        self.extent_at(offset).filter(|e| e.is_hole).map_or(0, |e| e.end - offset)
    }

    /// Reads into `buf` from `offset`, and stops before the next hole. Returns the number of bytes that
    /// were read, 0 at the end of the file.
    pub(crate) fn read_at(&mut self, buf: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let data = self.extent_at(offset).filter(|e| !e.is_hole);
        let len = data.map_or(buf.len() as u64, |e| e.end - offset).min(buf.len() as u64);
        self.uncached.get_or_insert_with(|| UncachedRanges::of(&self.fd, self.stat.st_size as u64));
        rustix::io::retry_on_intr(|| rustix::io::pread(&self.fd, &mut buf[..len as usize], offset))
    }

    /// Declares that `range` was read and is not needed again, so that it can leave the page cache.
    /// Ranges must come in ascending order.
    pub(crate) fn release(&self, range: std::ops::Range<u64>) {
        const LEN: u64 = STRIDE * SPAN;
        let ends_stride = range.end.is_multiple_of(LEN) || range.end >= self.metadata().size;
        if let (true, Some(uncached)) = (ends_stride, &self.uncached) {
            let end = range.end.div_ceil(SPAN).min(self.metadata().size.div_ceil(SPAN));
            uncached.evict(&self.fd, end.saturating_sub(1) / STRIDE * STRIDE..end);
        }
    }

    /// Declares that only the start of the file was read, so that it can leave the page cache.
    pub(crate) fn release_start(&self) {
        self.release(0..self.metadata().size.min(STRIDE * SPAN));
    }

    /// Returns how the file has changed since it was opened.
    pub(crate) fn change(&self) -> Result<Option<Change>, Errno> {
        let now = rustix::fs::fstat(&self.fd)?;
        let (then, now) = (Metadata::of(&self.stat), Metadata::of(&now));
        Ok(match now.size.cmp(&then.size) {
            Ordering::Less => Some(Change::Shrank),
            Ordering::Greater => Some(Change::Grew),
            Ordering::Equal => (now.mtime_ns != then.mtime_ns || now.ctime_ns != then.ctime_ns)
                .then_some(Change::Modified),
        })
    }

    fn extent_at(&mut self, offset: u64) -> Option<Extent> {
        let known = self.extent?;
        if (known.start..known.end).contains(&offset) {
            return Some(known);
        }
        let end = self.metadata().size;
        let found = match rustix::fs::seek(&self.fd, SeekFrom::Data(offset)) {
            Ok(data) if data > offset => Extent { start: offset, end: data, is_hole: true },
            Ok(_) => Extent {
                start: offset,
                end: rustix::fs::seek(&self.fd, SeekFrom::Hole(offset)).unwrap_or(end),
                is_hole: false,
            },
            // No data follows.
            Err(Errno::NXIO) if offset < end => Extent { start: offset, end, is_hole: true },
            // The offset is after the end, or the file system cannot tell.
            Err(_) => {
                self.extent = None;
                return None;
            }
        };
        self.extent = Some(found);
        Some(found)
    }
}
