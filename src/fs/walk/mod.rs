//! Walks a tree in sorted order, beneath its root, without following links.

mod dir_entry;
mod names;
mod own_files;
mod selected_paths;

use std::{
    collections::BTreeSet,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

pub(crate) use dir_entry::DirEntry;

pub use own_files::OwnFiles;
pub(crate) use selected_paths::SelectedPaths;

use rustix::{
    fs::{AtFlags, FileType, Mode},
    io::Errno,
};

use crate::{
    entry::{MemberKind, Metadata},
    error::{Error, Result},
    fs::{
        ignore::Excludes,
        open_flags::DIRECTORY,
        root::{Root, skippable},
        stat::FileId,
        walk::{names::Names, selected_paths::Part},
    },
    report::SkipReason,
};

/// The longest path that can be restored (`PATH_MAX` of Linux).
const PATH_MAX: usize = 4096;

/// The most directories that are held open. In a deeper tree, upper directories are closed, and opened again
/// on the way back.
const OPEN_MAX: usize = 64;

/// Entries that a walk skips.
#[derive(Debug, Default)]
pub(crate) struct WalkOptions {
    pub(crate) excludes: Excludes,
    pub(crate) one_file_system: bool,
    /// `None` selects everything.
    pub(crate) selected: Option<SelectedPaths>,
    /// Also returns the entries that are not selected, as skipped ones.
    pub(crate) lists_unselected: bool,
    /// The files of the store that the backup is written to.
    pub(crate) own: Option<OwnFiles>,
    /// The staging directory of a restore that is running or was interrupted.
    pub(crate) staging: Option<StagingId>,
}

/// Identifies the staging directory of a restore, in the root of the tree. The values come from the record
/// of the restore.
#[derive(Debug)]
pub(crate) struct StagingId {
    pub(crate) name: Vec<u8>,
    pub(crate) inode: u64,
}

/// The entry at [`TreeWalk::path`].
#[derive(Debug)]
pub(crate) enum WalkEntry {
    /// A regular file. [`DirEntry::open_file`] opens it.
    File,
    /// A symlink. [`DirEntry::read_link`] reads it.
    Symlink,
    /// A directory. Its entries come next, unless there is a reason to skip them.
    Directory(Metadata, Option<SkipReason>),
    /// Excluded by a pattern.
    Excluded,
    /// Skipped for another reason.
    Skipped(SkipReason),
}

/// A walk in progress. [`next`](TreeWalk::next) goes to the next entry, and the other methods are about the
/// current entry.
pub(crate) struct TreeWalk<'a> {
    root: &'a Root,
    options: &'a WalkOptions,
    frames: Vec<Frame>,
    path: Vec<u8>,
    /// The kind of the current entry.
    kind: FileType,
    /// Selected paths that were not found yet.
    unseen: BTreeSet<&'a [u8]>,
}

/// A directory that the walk is in.
struct Frame {
    /// `None` if it was closed to save descriptors.
    dir: Option<Arc<OwnedFd>>,
    id: FileId,
    /// Length of its path with a `/` at the end; 0 for the root.
    path_len: usize,
    names: Names,
    next: usize,
}

impl<'a> TreeWalk<'a> {
    pub(crate) fn new(root: &'a Root, options: &'a WalkOptions) -> Result<Self> {
        let fail = |e| Error::io("list the source", e).at(root.path());
        let dir = rustix::fs::openat(root.as_fd(), c".", DIRECTORY, Mode::empty()).map_err(fail)?;
        let names = Names::read(&dir).map_err(fail)?;
        Ok(TreeWalk {
            root,
            options,
            frames: vec![Frame {
                dir: Some(Arc::new(dir)),
                id: root.id(),
                path_len: 0,
                names,
                next: 0,
            }],
            path: Vec::new(),
            kind: FileType::Directory,
            unseen: options.selected.iter().flat_map(SelectedPaths::paths).collect(),
        })
    }

    /// Goes to the next entry. Returns `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<WalkEntry>> {
        loop {
            let Some(frame) = self.frames.last_mut() else {
                let missing = self.unseen.pop_first();
                self.path = missing.unwrap_or_default().to_vec();
                self.kind = FileType::Unknown;
                return Ok(missing.map(|_| WalkEntry::Skipped(SkipReason::Missing)));
            };
            self.path.truncate(frame.path_len);
            if self.path.len() < frame.path_len {
                self.path.push(b'/');
            }
            if frame.next == frame.names.len() {
                self.frames.pop();
                continue;
            }
            if frame.dir.is_none() {
                match self.root.open_dir(&self.path) {
                    Ok(dir)
                        if rustix::fs::fstat(&dir).is_ok_and(|s| FileId::of(&s) == frame.id) =>
                    {
                        frame.dir = Some(Arc::new(dir));
                    }
                    _ => {
                        frame.next = frame.names.len();
                        self.path.pop();
                        self.kind = FileType::Directory;
                        return Ok(Some(WalkEntry::Skipped(SkipReason::Replaced)));
                    }
                }
            }
            let (name, kind) = frame.names.get(frame.next);
            let own = (self.options.own.as_ref())
                .is_some_and(|own| own.contain(frame.id, name.to_bytes()));
            self.path.extend_from_slice(name.to_bytes());
            frame.next += 1;
            self.kind = kind;
            let is_selected = self.is_selected(kind);
            if kind == FileType::Directory && self.is_staging() {
                continue;
            }
            if !is_selected {
                if self.options.lists_unselected {
                    return Ok(Some(WalkEntry::Skipped(SkipReason::NotSelected)));
                }
                continue;
            }
            if own && kind == FileType::RegularFile {
                return Ok(Some(WalkEntry::Skipped(SkipReason::OwnBackup)));
            }
            if let Some(entry) = self.classify(kind)? {
                if !matches!(entry, WalkEntry::Directory(_, None)) {
                    self.see_beneath();
                }
                return Ok(Some(entry));
            }
        }
    }

    /// Returns the root of the source.
    pub(crate) fn root(&self) -> &'a Root {
        self.root
    }

    /// Returns the path of the current entry, relative to the root.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Returns the kind of the current entry. `None` for a socket, and for a path that the source does not have.
    pub(crate) fn kind(&self) -> Option<MemberKind> {
        Some(match self.kind {
            FileType::RegularFile => MemberKind::File,
            FileType::Directory => MemberKind::Directory,
            FileType::Symlink => MemberKind::Symlink,
            FileType::Fifo => MemberKind::Fifo,
            FileType::CharacterDevice => MemberKind::CharDevice,
            FileType::BlockDevice => MemberKind::BlockDevice,
            FileType::Socket | FileType::Unknown => return None,
        })
    }

    /// Returns the current entry, for a thread that looks at it while the walk goes on.
    pub(crate) fn dir_entry(&self) -> Result<DirEntry, Errno> {
        Ok(DirEntry { dir: self.dir()?.clone(), path: self.path.clone() })
    }

    /// Returns metadata and type of the current entry. A link is not followed.
    pub(crate) fn stat(&self) -> Result<(Metadata, FileType), Errno> {
        let stat = rustix::fs::statat(self.dir()?, self.name(), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((Metadata::of(&stat), FileType::from_raw_mode(stat.st_mode)))
    }

    /// Returns the error for the current entry, for failures that fail the backup.
    pub(crate) fn fail(&self, operation: &'static str, errno: Errno) -> Error {
        self.root.fail(&self.path, operation, errno)
    }

    /// Returns whether the current entry is selected, or leads to an entry that is.
    fn is_selected(&mut self, kind: FileType) -> bool {
        let Some(selected) = &self.options.selected else { return true };
        self.unseen.remove(&*self.path);
        match selected.part(&self.path) {
            Part::Selected => true,
            Part::Leads => kind == FileType::Directory,
            Part::Outside => false,
        }
    }

    /// Nothing beneath the current entry is missing, because the report says that the entry is left out.
    fn see_beneath(&mut self) {
        if self.unseen.is_empty() {
            return;
        }
        let beneath = [&self.path[..], b"/"].concat();
        self.unseen.retain(|path| !path.starts_with(&beneath));
    }

    fn is_staging(&self) -> bool {
        let staging = self.options.staging.as_ref().filter(|staging| staging.name == self.path);
        staging.is_some_and(|s| self.stat().is_ok_and(|(meta, _)| meta.inode == s.inode))
    }

    fn classify(&mut self, kind: FileType) -> Result<Option<WalkEntry>> {
        let is_dir = kind == FileType::Directory;
        if self.path.len() > PATH_MAX {
            return Ok(Some(WalkEntry::Skipped(SkipReason::PathTooLong)));
        }
        let excludes = &self.options.excludes;
        let excluded = excludes.is_excluded(&self.path, is_dir);
        if excluded && !(is_dir && excludes.must_enter(&self.path)) {
            return Ok(Some(WalkEntry::Excluded));
        }
        Ok(match kind {
            FileType::RegularFile => Some(WalkEntry::File),
            FileType::Symlink => Some(WalkEntry::Symlink),
            FileType::Directory => Some(match self.enter()? {
                WalkEntry::Directory(_, None) if excluded => WalkEntry::Excluded,
                WalkEntry::Directory(_, Some(reason)) if excluded => WalkEntry::Skipped(reason),
                entry => entry,
            }),
            FileType::Fifo => Some(WalkEntry::Skipped(SkipReason::Fifo)),
            FileType::Socket => Some(WalkEntry::Skipped(SkipReason::Socket)),
            _ => Some(WalkEntry::Skipped(SkipReason::Device)),
        })
    }

    /// Opens and lists the current entry, a directory, so that its entries come next.
    fn enter(&mut self) -> Result<WalkEntry> {
        match self.list() {
            Ok((meta, None)) => Ok(WalkEntry::Directory(meta, Some(SkipReason::OtherFileSystem))),
            Ok((meta, Some(frame))) => {
                self.frames.push(frame);
                if let Some(upper) = self.frames.len().checked_sub(OPEN_MAX + 1) {
                    self.frames[upper].dir = None;
                }
                Ok(WalkEntry::Directory(meta, None))
            }
            Err(errno) => match skippable(errno) {
                None => Err(self.fail("list the directory", errno)),
                // It cannot be listed. The directory itself is still an entry of the archive.
                Some(reason @ SkipReason::Unreadable(_)) => match self.stat() {
                    Ok((meta, FileType::Directory)) => Ok(WalkEntry::Directory(meta, Some(reason))),
                    _ => Ok(WalkEntry::Skipped(reason)),
                },
                Some(reason) => Ok(WalkEntry::Skipped(reason)),
            },
        }
    }

    fn list(&self) -> Result<(Metadata, Option<Frame>), Errno> {
        let dir = rustix::fs::openat(self.dir()?, self.name(), DIRECTORY, Mode::empty())?;
        let stat = rustix::fs::fstat(&dir)?;
        let meta = Metadata::of(&stat);
        let id = FileId::of(&stat);
        if self.options.one_file_system && id.dev != self.root.id().dev {
            return Ok((meta, None));
        }
        Ok((
            meta,
            Some(Frame {
                names: Names::read(&dir)?,
                dir: Some(Arc::new(dir)),
                id,
                path_len: self.path.len() + 1,
                next: 0,
            }),
        ))
    }

    /// Returns the directory that contains the current entry: the innermost frame, or its parent if the
    /// innermost frame is the current entry.
    fn dir(&self) -> Result<&Arc<OwnedFd>, Errno> {
        (self.frames.iter().rev())
            .find(|frame| frame.path_len <= self.path.len())
            .and_then(|frame| frame.dir.as_ref())
            .ok_or(Errno::NOENT)
    }

    fn name(&self) -> &[u8] {
        dir_entry::name(&self.path)
    }
}
