//! Reads one file of the source, and leaves the page cache as it found it.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{FileType, SeekFrom, Stat},
    io::Errno,
};

use crate::{
    entry::Metadata,
    fs::{
        page_cache::{SPAN, STRIDE, UncachedRanges},
        root::FileId,
    },
    report::Change,
};

/// A file of the source, open. Its size is the one it had then.
pub(crate) struct SourceFile {
    fd: OwnedFd,
    stat: Stat,
    /// The stretch of data or hole that was met last; `None` for a file without holes.
    extent: Option<Extent>,
    /// Looked at before the first read.
    cold: Option<UncachedRanges>,
}

#[derive(Clone, Copy, Default)]
struct Extent {
    start: u64,
    end: u64,
    is_hole: bool,
}

impl SourceFile {
    /// Takes an open descriptor; `ENXIO` if it is no regular file.
    pub(crate) fn open(fd: OwnedFd) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::NXIO);
        }
        let sparse = i128::from(stat.st_blocks) * 512 < i128::from(stat.st_size);
        Ok(SourceFile { fd, stat, extent: sparse.then(Extent::default), cold: None })
    }

    pub(crate) fn metadata(&self) -> Metadata {
        Metadata::of(&self.stat)
    }

    /// Which file it is, if it has more than one name.
    pub(crate) fn hard_link(&self) -> Option<FileId> {
        (self.stat.st_nlink > 1).then(|| FileId::of(&self.stat))
    }

    /// Bytes of the hole at `offset`; 0 where there is data, or nobody can say.
    pub(crate) fn hole_at(&mut self, offset: u64) -> u64 {
        self.extent_at(offset).filter(|e| e.is_hole).map_or(0, |e| e.end - offset)
    }

    /// Reads into `buf` from `offset`, at most `buf.len()` bytes and not into a hole that begins
    /// behind it. Returns how many, 0 at the end of the file.
    pub(crate) fn read_at(&mut self, buf: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let data = self.extent_at(offset).filter(|e| !e.is_hole);
        let want = data.map_or(buf.len() as u64, |e| e.end - offset).min(buf.len() as u64);
        self.cold.get_or_insert_with(|| UncachedRanges::of(&self.fd, self.stat.st_size as u64));
        rustix::io::retry_on_intr(|| rustix::io::pread(&self.fd, &mut buf[..want as usize], offset))
    }

    /// Says that `range` is read and not needed again. Ranges are told in order.
    pub(crate) fn done(&self, range: std::ops::Range<u64>) {
        const LEN: u64 = STRIDE * SPAN;
        let is_stride_done = range.end.is_multiple_of(LEN) || range.end >= self.metadata().size;
        if let (true, Some(cold)) = (is_stride_done, &self.cold) {
            let end = range.end.div_ceil(SPAN).min(self.metadata().size.div_ceil(SPAN));
            cold.leave(&self.fd, end.saturating_sub(1) / STRIDE * STRIDE..end);
        }
    }

    /// How the file has changed since it was opened.
    pub(crate) fn change(&self) -> Result<Option<Change>, Errno> {
        let now = rustix::fs::fstat(&self.fd)?;
        let (then, now) = (Metadata::of(&self.stat), Metadata::of(&now));
        Ok(match now.size.cmp(&then.size) {
            std::cmp::Ordering::Less => Some(Change::Shrank),
            std::cmp::Ordering::Greater => Some(Change::Grew),
            std::cmp::Ordering::Equal => (now.mtime_ns != then.mtime_ns
                || now.ctime_ns != then.ctime_ns)
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
            // No data behind here.
            Err(Errno::NXIO) if offset < end => Extent { start: offset, end, is_hole: true },
            // Past the end, or a file system that cannot say.
            Err(_) => {
                self.extent = None;
                return None;
            }
        };
        self.extent = Some(found);
        Some(found)
    }
}
