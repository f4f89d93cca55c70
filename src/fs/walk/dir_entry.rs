//! An entry of a directory that was listed. It can be looked at while the walk goes on.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, FileType, Mode},
    io::Errno,
};

use crate::{
    entry::Metadata,
    fs::{file::SourceFile, open_flags::FILE, stat::FileId},
};

/// An entry of an open directory. Links are not followed.
pub(crate) struct DirEntry {
    pub(super) dir: Arc<OwnedFd>,
    /// Path of the entry, relative to the root.
    pub(crate) path: Vec<u8>,
}

impl DirEntry {
    /// Opens the entry, a file.
    pub(crate) fn open_file(&self) -> Result<SourceFile, Errno> {
        SourceFile::open(rustix::fs::openat(&self.dir, name(&self.path), FILE, Mode::empty())?)
    }

    /// Returns the metadata of the entry if it is a regular file, and its identity if it has more than one
    /// name. Returns `None` for another file type.
    pub(crate) fn stat_file(&self) -> Result<Option<(Metadata, Option<FileId>)>, Errno> {
        let stat =
            rustix::fs::statat(self.dir.as_fd(), name(&self.path), AtFlags::SYMLINK_NOFOLLOW)?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let id = (stat.st_nlink > 1).then(|| FileId::of(&stat));
        Ok(is_file.then(|| (Metadata::of(&stat), id)))
    }

    /// Returns the metadata and the target of the entry, a symlink.
    pub(crate) fn read_link(&self) -> Result<(Metadata, Vec<u8>), Errno> {
        let name = name(&self.path);
        let target = rustix::fs::readlinkat(&self.dir, name, Vec::new())?;
        let stat = rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((Metadata::of(&stat), target.into_bytes()))
    }
}

/// Returns the last component of a path.
pub(super) fn name(path: &[u8]) -> &[u8] {
    let start = path.iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
    &path[start..]
}
