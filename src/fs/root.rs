//! The root of the source: the directory that is backed up, held open, and lookups beneath it.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use crate::{
    entry::Metadata,
    error::{Error, ErrorKind, Result},
    fs::{
        file::SourceFile,
        open_flags::{DIRECTORY, FILE},
        stat::FileId,
    },
    report::SkipReason,
};

/// The root of the source, open.
#[derive(Debug)]
pub(crate) struct Root {
    fd: OwnedFd,
    id: FileId,
    path: PathBuf,
}

impl Root {
    /// Opens the directory at `path`. Links in `path` itself are followed; links beneath it are not.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let fail = |e: Errno| Error::io("open the source", e).at(path);
        let fd =
            rustix::fs::open(path, DIRECTORY - OFlags::NOFOLLOW, Mode::empty()).map_err(fail)?;
        let id = FileId::of(&rustix::fs::fstat(&fd).map_err(fail)?);
        Ok(Root { fd, id, path: path.to_owned() })
    }

    /// Fails unless the path still leads to the directory that was opened. If the directory was
    /// unmounted or moved away, a walk over it ends early and returns no error of its own.
    pub(crate) fn check_still_there(&self) -> Result<()> {
        let gone = |why: &str| {
            Error::new(ErrorKind::SourceGone, "read the source").at(&self.path).caused_by(why)
        };
        match rustix::fs::stat(&self.path) {
            Ok(stat) if FileId::of(&stat) == self.id => Ok(()),
            Ok(_) => Err(gone("another directory is in its place now")),
            Err(e) => Err(gone(&format!("the path no longer leads to it: {e}"))),
        }
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory of the tree, component by component. No link is followed.
    pub(crate) fn open_dir(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut dir = rustix::fs::openat(&self.fd, c".", DIRECTORY, Mode::empty())?;
        for name in path.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            dir = rustix::fs::openat(&dir, name, DIRECTORY, Mode::empty())?;
        }
        Ok(dir)
    }

    /// Opens a file of the tree, component by component. No link is followed.
    pub(crate) fn open_file(&self, path: &[u8]) -> Result<SourceFile, Errno> {
        let (dir, name) = self.parent(path)?;
        SourceFile::open(rustix::fs::openat(dir, name, FILE, Mode::empty())?)
    }

    /// Returns the metadata of an entry of the tree. Of a symlink, it is that of the symlink itself.
    pub(crate) fn stat(&self, path: &[u8]) -> Result<Metadata, Errno> {
        let (dir, name) = self.parent(path)?;
        Ok(Metadata::of(&rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Returns the target of a symlink of the tree.
    pub(crate) fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let (dir, name) = self.parent(path)?;
        Ok(rustix::fs::readlinkat(dir, name, Vec::new())?.into_bytes())
    }

    fn parent<'p>(&self, path: &'p [u8]) -> Result<(OwnedFd, &'p [u8]), Errno> {
        let name = path.iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
        Ok((self.open_dir(&path[..name])?, &path[name..]))
    }

    /// Returns the error for a path of the tree, for failures that fail the backup.
    pub(crate) fn fail(&self, path: &[u8], operation: &'static str, errno: Errno) -> Error {
        Error::io(operation, errno).at(self.path.join(OsStr::from_bytes(path)))
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Returns the reason for the report if a failure concerns only this one path. Any other failure, such
/// as EIO or a mount that disappeared, fails the backup. Otherwise a backup could come out empty and
/// still be reported as a success.
pub(crate) fn skippable(errno: Errno) -> Option<SkipReason> {
    match errno {
        Errno::NOENT => Some(SkipReason::Vanished),
        // The answers to `O_NOFOLLOW` and `O_DIRECTORY` for another file type, and to `open` of a socket.
        Errno::LOOP | Errno::NOTDIR | Errno::NXIO | Errno::ISDIR => Some(SkipReason::Replaced),
        Errno::ACCESS | Errno::PERM | Errno::WOULDBLOCK | Errno::TXTBSY | Errno::BUSY => {
            Some(SkipReason::Unreadable(Arc::new(errno.into())))
        }
        _ => None,
    }
}
