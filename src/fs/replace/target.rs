//! A directory whose content is restored, and the name of its record.

use std::{
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::{fs::Mode, io::Errno};

use crate::{
    error::{Error, Result},
    fs::{beneath::Beneath, open_flags::DIRECTORY, stat::FileId},
};

/// A directory whose content is restored, open.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) dir: Beneath,
    pub(crate) id: FileId,
    /// The path that the caller gave, for messages.
    pub(crate) path: PathBuf,
    /// The absolute path without links.
    pub(crate) canonical: PathBuf,
}

impl Target {
    pub(crate) fn open(path: &Path) -> Result<Target> {
        let dir = Beneath::open(path)?;
        Target::of(dir.as_fd(), path)
    }

    /// Takes an open directory. `path` leads to it.
    pub(crate) fn of(dir: impl AsFd, path: &Path) -> Result<Target> {
        let fail = |e: Errno| Error::io("open the directory", e).at(path);
        let dir = rustix::fs::openat(dir, c".", DIRECTORY, Mode::empty()).map_err(fail)?;
        let id = FileId::of(&rustix::fs::fstat(&dir).map_err(fail)?);
        let canonical =
            std::fs::canonicalize(path).map_err(|e| Error::io("open the directory", e).at(path))?;
        Ok(Target { dir: Beneath::from_fd(dir), id, path: path.to_owned(), canonical })
    }

    pub(crate) fn path_bytes(&self) -> &[u8] {
        self.canonical.as_os_str().as_bytes()
    }

    pub(crate) fn record_name(&self) -> RecordName {
        let hash = blake3::hash(self.path_bytes()).to_hex();
        RecordName { inode: self.id.ino, path: hash[..32].to_owned() }
    }
}

/// The name of the directory of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecordName {
    pub(crate) inode: u64,
    /// The hash of the path, as text.
    pub(crate) path: String,
}

impl RecordName {
    pub(crate) fn parse(name: &[u8]) -> Option<RecordName> {
        let (inode, path) = std::str::from_utf8(name).ok()?.split_once('-')?;
        let inode = u64::from_str_radix(inode, 16).ok()?;
        let parsed = RecordName { inode, path: path.to_owned() };
        (parsed.format().as_bytes() == name).then_some(parsed)
    }

    pub(crate) fn format(&self) -> String {
        format!("{:016x}-{}", self.inode, self.path)
    }
}
