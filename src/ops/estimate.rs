//! Estimates the size of a backup without reading any file.

use crate::{
    entry::{EntryKind, Metadata},
    error::{Error, Result},
    format::{
        GZIP_HEADER, Profile,
        deflate::stored_len,
        index::IndexBound,
        info::Info,
        segment::{SegmentLayout, ends_group},
        tar::{BLOCK, Header},
    },
    fs::{
        root::skippable,
        walk::{TreeWalk, WalkEntry},
    },
    progress::Expected,
    write::tree::TreeOptions,
};

/// The counts of a walk over the source. The source may change before it is backed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symlinks.
    pub symlinks: u64,
    /// Bytes of content of the files.
    pub content: u64,
    /// Largest possible size of the archive in bytes, if the source does not change.
    pub archive_max: u64,
}

impl From<Estimate> for Expected {
    fn from(estimate: Estimate) -> Self {
        Expected { files: estimate.files, bytes: estimate.content }
    }
}

/// Counts the entries of `walk`. Calls `counted` for each file.
pub(crate) fn count(
    mut walk: TreeWalk<'_>,
    options: &TreeOptions,
    info: &Info,
    is_cancelled: impl Fn() -> bool,
    counted: impl Fn(),
) -> Result<Estimate> {
    let mut counter = Counter::new(options);
    while let Some(step) = walk.next()? {
        if is_cancelled() {
            return Err(Error::cancelled());
        }
        let (kind, meta, target) = match step {
            WalkEntry::File => match walk.stat() {
                Ok((meta, _)) => (EntryKind::File, meta, Vec::new()),
                Err(e) if skippable(e).is_some() => continue,
                Err(e) => return Err(walk.fail("look at", e)),
            },
            WalkEntry::Symlink => match walk.dir_entry().and_then(|entry| entry.read_link()) {
                Ok((meta, target)) => (EntryKind::Symlink, meta, target),
                Err(e) if skippable(e).is_some() => continue,
                Err(e) => return Err(walk.fail("read the link", e)),
            },
            WalkEntry::Directory(meta, _) => (EntryKind::Directory, meta, Vec::new()),
            WalkEntry::Excluded | WalkEntry::Skipped(_) => continue,
        };
        if kind == EntryKind::File {
            counted();
        }
        counter.add(walk.path(), kind, &meta, &target);
    }
    Ok(counter.finish(info))
}

/// Counts entries, and adds up the largest possible size of their archive.
pub(crate) struct Counter<'a> {
    options: &'a TreeOptions,
    estimate: Estimate,
    bound: Bound,
}

impl<'a> Counter<'a> {
    pub(crate) fn new(options: &'a TreeOptions) -> Self {
        Counter { options, estimate: Estimate::default(), bound: Bound::default() }
    }

    /// Adds an entry. Returns the bytes of its content that a backup stores.
    pub(crate) fn add(
        &mut self,
        path: &[u8],
        kind: EntryKind,
        meta: &Metadata,
        target: &[u8],
    ) -> u64 {
        let estimate = &mut self.estimate;
        let mut size = 0;
        match kind {
            EntryKind::File => {
                let max = self.options.max_len.get(path).copied().unwrap_or(u64::MAX);
                size = meta.size.min(max);
                estimate.files += 1;
                estimate.content += size;
            }
            EntryKind::Symlink => estimate.symlinks += 1,
            EntryKind::Directory => estimate.directories += 1,
        }
        // A file may have the path of its first name as well.
        self.bound.index.add_entry(path.len() + target.len().max(path.len()));
        if kind == EntryKind::File || self.options.profile == Profile::Full {
            self.bound.add(path, kind, &Metadata { size, ..*meta }, target);
        }
        size
    }

    pub(crate) fn finish(self, info: &Info) -> Estimate {
        Estimate { archive_max: self.bound.finish(info), ..self.estimate }
    }
}

/// Adds up the largest possible sizes of the segments and the index.
#[derive(Default)]
struct Bound {
    segments: u64,
    compressed: u64,
    index: IndexBound,
    group: usize,
}

impl Bound {
    fn add(&mut self, path: &[u8], kind: EntryKind, meta: &Metadata, target: &[u8]) {
        let header = Header { path, kind, meta, target };
        match SegmentLayout::of(path, meta.size).filter(|_| kind == EntryKind::File) {
            None => {
                self.group += header.len() + (meta.size as usize).next_multiple_of(BLOCK);
                if ends_group(self.group, path) {
                    self.end_group();
                }
            }
            Some(layout) => {
                self.end_group();
                self.segment(header.len());
                for piece in layout.pieces() {
                    self.segment(((piece.end - piece.start) as usize).next_multiple_of(BLOCK));
                }
            }
        }
    }

    fn end_group(&mut self) {
        if self.group > 0 {
            let raw = std::mem::take(&mut self.group);
            self.segment(raw);
        }
    }

    fn segment(&mut self, raw: usize) {
        self.segments += 1;
        self.compressed += stored_len(raw) as u64;
    }

    fn finish(mut self, info: &Info) -> u64 {
        self.end_group();
        self.segment(2 * BLOCK);
        self.index.add_segments(self.segments);
        GZIP_HEADER.len() as u64 + self.compressed + self.index.finish(info)
    }
}
