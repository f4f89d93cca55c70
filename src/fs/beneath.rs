//! A directory handle, and lookups that never leave the directory.
//!
//! `openat2` (Linux 5.6) resolves a path by one call, and refuses every link on it. On an older kernel,
//! or if the filter of a container forbids the call, each component is opened by itself with
//! `O_NOFOLLOW`. All Linux versions that Rust supports have that flag (3.2).

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{open_flags::DIRECTORY, sys::may_be_missing},
};

/// The longest path and component that Linux accepts (`PATH_MAX`, `NAME_MAX`).
const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;

/// The tries of a lookup that raced with a rename, before it goes component by component.
const TRIES: usize = 64;

/// A directory handle. Only entries beneath the directory are opened, made or removed through it.
#[derive(Debug)]
pub(crate) struct Beneath {
    root: OwnedFd,
    has_openat2: AtomicBool,
}

impl Beneath {
    /// Opens the directory at `path`. Links in `path` itself are followed.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = DIRECTORY - OFlags::NOFOLLOW;
        rustix::fs::open(path, flags, Mode::empty())
            .map(Beneath::from_fd)
            .map_err(|e| Error::io("open the directory", e).at(path))
    }

    pub(crate) fn from_fd(root: OwnedFd) -> Self {
        Beneath { root, has_openat2: AtomicBool::new(true) }
    }

    /// Returns a second handle of the directory.
    pub(crate) fn reopen(&self) -> Result<Self, Errno> {
        self.dir(b"").map(Beneath::from_fd)
    }

    /// Behaves as on a kernel without `openat2`.
    #[cfg(test)]
    pub(crate) fn step_by_step(self) -> Self {
        self.has_openat2.store(false, Relaxed);
        self
    }

    /// Opens a directory beneath the root. Fails with `ELOOP` if a component is a link.
    pub(crate) fn dir(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        if path.is_empty() {
            return rustix::fs::openat(&self.root, c".", DIRECTORY, Mode::empty());
        }
        if self.has_openat2.load(Relaxed) {
            let resolve =
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            for _ in 0..TRIES {
                match rustix::fs::openat2(&self.root, path, DIRECTORY, Mode::empty(), resolve) {
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(e) if may_be_missing(e) => {
                        // EACCES nearly always concerns the directory, and not the system call.
                        self.has_openat2.fetch_and(e == Errno::ACCESS, Relaxed);
                        break;
                    }
                    result => return result,
                }
            }
        }
        // A checked path has no `..`, so it cannot leave the root.
        let mut names = path.split(|&b| b == b'/');
        let open = |dir: BorrowedFd<'_>, name: &[u8]| {
            rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())
        };
        let first = open(self.root.as_fd(), names.next().unwrap_or_default())?;
        names.try_fold(first, |dir, name| open(dir.as_fd(), name))
    }

    /// Opens a directory beneath the root, after making it and its parents if they are missing.
    pub(crate) fn make_dir(&self, path: &[u8], mode: Mode) -> Result<OwnedFd, Errno> {
        match self.dir(path) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        // From the deepest existing directory downwards.
        let ends: Vec<usize> = component_ends(path).collect();
        let mut missing = ends.len();
        let mut at = loop {
            missing -= 1;
            let above = missing.checked_sub(1).map_or(&b""[..], |i| &path[..ends[i]]);
            match self.dir(above) {
                Err(Errno::NOENT) if missing > 0 => {}
                result => break result?,
            }
        };
        for &end in &ends[missing..] {
            let (_, name) = split(&path[..end]);
            match rustix::fs::mkdirat(&at, name, mode) {
                // Another thread may have made it.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e),
            }
            at = rustix::fs::openat(&at, name, DIRECTORY, Mode::empty())?;
        }
        Ok(at)
    }

    /// Returns the type of the entry at a path, or `None` if it cannot be read. A link is not followed.
    pub(crate) fn kind(&self, path: &[u8]) -> Option<FileType> {
        let (parent, name) = split(path);
        let parent = self.dir(parent).ok()?;
        let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(FileType::from_raw_mode(stat.st_mode))
    }
}

impl AsFd for Beneath {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// Returns the parent directory and the last component of a path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// Returns the end of each component of a path. So `path[..end]` is each of its parents, and then the path
/// itself.
pub(crate) fn component_ends(path: &[u8]) -> impl Iterator<Item = usize> {
    (1..=path.len()).filter(|&i| path.get(i).is_none_or(|&b| b == b'/'))
}

/// Fails unless `path` is a relative path that stays beneath a directory.
pub(crate) fn check_path(path: &[u8]) -> Result<()> {
    let problem = if path.is_empty() {
        Some("it is empty")
    } else if path.starts_with(b"/") {
        Some("it is absolute")
    } else if path.contains(&0) {
        Some("it contains a NUL byte")
    } else if path.len() > PATH_MAX {
        Some("it is longer than 4,096 bytes")
    } else {
        path.split(|&b| b == b'/').find_map(|part| match part {
            b"" => Some("it has an empty component"),
            b"." => Some("it has a component \".\""),
            b".." => Some("it has a component \"..\", which leads out of the directory"),
            _ => (part.len() > NAME_MAX)
                .then_some("it has a component that is longer than 255 bytes"),
        })
    };
    let refused = |problem| Error::new(ErrorKind::InvalidInput, "use the path").caused_by(problem);
    problem.map_or(Ok(()), |problem: &str| Err(refused(problem).at(os(path))))
}

pub(crate) fn os(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(path)
}

/// Returns the error for a path beneath a directory. It explains a link or file in place of a directory.
pub(crate) fn fail(operation: &'static str, path: &[u8], errno: Errno) -> Error {
    match errno {
        Errno::LOOP => Error::new(ErrorKind::InvalidInput, operation)
            .at(os(path))
            .caused_by("a link is in the place of a directory"),
        Errno::NOTDIR => Error::new(ErrorKind::InvalidInput, operation)
            .at(os(path))
            .caused_by("an entry of another type is in the place of a directory"),
        Errno::ISDIR => Error::new(ErrorKind::InvalidInput, operation)
            .at(os(path))
            .caused_by("a directory is in its place"),
        _ => Error::io(operation, errno).at(os(path)),
    }
}
