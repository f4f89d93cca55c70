//! The directory that is backed up, held open, and what the system says of files beneath it.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, Stat},
    io::Errno,
};

use crate::{
    entry::{Metadata, nearest_ns},
    error::{Error, ErrorKind, Result},
    fs::file::SourceFile,
    report::SkipReason,
};

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

impl FileId {
    pub(crate) fn of(stat: &Stat) -> Self {
        FileId { dev: stat.st_dev, ino: stat.st_ino }
    }
}

impl Metadata {
    pub(crate) fn of(stat: &Stat) -> Self {
        Metadata {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
        }
    }
}

#[expect(clippy::useless_conversion, reason = "the fields differ between architectures")]
fn nanoseconds(seconds: i64, nanos: impl TryInto<i64>) -> i64 {
    let nanos = nanos.try_into().unwrap_or(0);
    nearest_ns(i128::from(i64::from(seconds)) * 1_000_000_000 + i128::from(nanos))
}

/// The source, open.
#[derive(Debug)]
pub(crate) struct Root {
    fd: OwnedFd,
    id: FileId,
    path: PathBuf,
}

impl Root {
    /// Opens the directory at `path`. The path itself may lead through links; nothing beneath does.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let fail = |e: Errno| Error::io("open the source", e).at(path);
        let fd =
            rustix::fs::open(path, DIRECTORY - OFlags::NOFOLLOW, Mode::empty()).map_err(fail)?;
        let id = FileId::of(&rustix::fs::fstat(&fd).map_err(fail)?);
        Ok(Root { fd, id, path: path.to_owned() })
    }

    /// Fails unless the path still leads to the directory that was opened. A walk over a directory
    /// that was unmounted or moved away ends early without any error of its own.
    pub(crate) fn check_still_there(&self) -> Result<()> {
        let gone = |why: &str| {
            Error::new(ErrorKind::SourceGone, "read the source").at(&self.path).caused_by(why)
        };
        match rustix::fs::stat(&self.path) {
            Ok(stat) if FileId::of(&stat) == self.id => Ok(()),
            Ok(_) => Err(gone("another directory is in its place now")),
            Err(e) => Err(gone(&format!("it went away: {e}"))),
        }
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory of the tree, component by component, following no link.
    pub(crate) fn reopen(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut at = rustix::fs::openat(&self.fd, c".", DIRECTORY, Mode::empty())?;
        for part in path.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
            at = rustix::fs::openat(&at, part, DIRECTORY, Mode::empty())?;
        }
        Ok(at)
    }

    /// Opens a file of the tree likewise.
    pub(crate) fn open_file(&self, path: &[u8]) -> Result<SourceFile, Errno> {
        let (dir, name) = self.parent(path)?;
        SourceFile::open(rustix::fs::openat(dir, name, FILE, Mode::empty())?)
    }

    /// What stands at a path of the tree, a symlink itself.
    pub(crate) fn stat(&self, path: &[u8]) -> Result<Metadata, Errno> {
        let (dir, name) = self.parent(path)?;
        Ok(Metadata::of(&rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// What a symlink of the tree says.
    pub(crate) fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let (dir, name) = self.parent(path)?;
        Ok(rustix::fs::readlinkat(dir, name, Vec::new())?.into_bytes())
    }

    fn parent<'p>(&self, path: &'p [u8]) -> Result<(OwnedFd, &'p [u8]), Errno> {
        let name = path.iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
        Ok((self.reopen(&path[..name])?, &path[name..]))
    }

    /// An error about a path of the tree, for what cannot be skipped.
    pub(crate) fn fail(&self, path: &[u8], operation: &'static str, errno: Errno) -> Error {
        Error::io(operation, errno).at(self.path.join(OsStr::from_bytes(path)))
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How directories of the tree are opened.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How files of the tree are opened: a FIFO that took a file's place must not block.
pub(crate) const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Whether a failure is about this one path, and then how the report says it. Anything else, such
/// as EIO or a mount that vanished, fails the backup: it must never come out empty and be called a
/// success.
pub(crate) fn skippable(errno: Errno) -> Option<SkipReason> {
    match errno {
        Errno::NOENT => Some(SkipReason::Vanished),
        // What `O_NOFOLLOW` and `O_DIRECTORY` say of the wrong kind, and `open` of a socket.
        Errno::LOOP | Errno::NOTDIR | Errno::NXIO | Errno::ISDIR => Some(SkipReason::Replaced),
        Errno::ACCESS | Errno::PERM | Errno::WOULDBLOCK | Errno::TXTBSY | Errno::BUSY => {
            Some(SkipReason::Unreadable(io::Error::from(errno)))
        }
        _ => None,
    }
}
