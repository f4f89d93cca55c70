//! One directory handle, and lookups that never leave it.
//!
//! Where the kernel has `openat2` (Linux 5.6) and no container's filter forbids it, one call walks a
//! path and refuses every link on it. Elsewhere each component is opened by itself with
//! `O_NOFOLLOW`, which any Linux that Rust runs on knows (3.2).

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
    fs::{root::DIRECTORY, sys::may_be_missing},
};

/// The longest path and component that Linux takes (`PATH_MAX`, `NAME_MAX`).
const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;

/// How often a lookup that raced with a rename is tried again before it goes step by step.
const TRIES: usize = 64;

/// A directory, and what lies beneath it. Nothing else is ever opened, made or removed.
#[derive(Debug)]
pub(crate) struct Beneath {
    root: OwnedFd,
    has_openat2: AtomicBool,
}

impl Beneath {
    /// Opens the directory at `path`, which may itself lead through links.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = DIRECTORY - OFlags::NOFOLLOW;
        rustix::fs::open(path, flags, Mode::empty())
            .map(Beneath::from_fd)
            .map_err(|e| Error::io("open the directory", e).at(path))
    }

    pub(crate) fn from_fd(root: OwnedFd) -> Self {
        Beneath { root, has_openat2: AtomicBool::new(true) }
    }

    /// The same directory, once more.
    pub(crate) fn reopen(&self) -> Result<Self, Errno> {
        self.dir(b"").map(Beneath::from_fd)
    }

    /// As on a kernel without `openat2`.
    #[cfg(test)]
    pub(crate) fn step_by_step(self) -> Self {
        self.has_openat2.store(false, Relaxed);
        self
    }

    /// Opens a directory beneath. A link on the way is `ELOOP`.
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
                        // EACCES is nearly always about the directory.
                        self.has_openat2.fetch_and(e == Errno::ACCESS, Relaxed);
                        break;
                    }
                    result => return result,
                }
            }
        }
        let mut parts = path.split(|&b| b == b'/');
        let open = |at: BorrowedFd<'_>, part: &[u8]| {
            // A root that is left by `..` is no component of a checked path.
            rustix::fs::openat(at, part, DIRECTORY, Mode::empty())
        };
        let first = open(self.root.as_fd(), parts.next().unwrap_or_default())?;
        parts.try_fold(first, |at, part| open(at.as_fd(), part))
    }

    /// Opens a directory beneath, after making it and what is missing above it.
    pub(crate) fn make_dir(&self, path: &[u8], mode: Mode) -> Result<OwnedFd, Errno> {
        match self.dir(path) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        // From the deepest that is there downwards.
        let ends: Vec<usize> = ends(path).collect();
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
                // Another thread was faster.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e),
            }
            at = rustix::fs::openat(&at, name, DIRECTORY, Mode::empty())?;
        }
        Ok(at)
    }

    /// What stands at a path beneath, links not followed.
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

/// A path's directory and last component.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// Where the path of each directory on the way of a path ends, and the path itself.
pub(crate) fn ends(path: &[u8]) -> impl Iterator<Item = usize> {
    (1..=path.len()).filter(|&i| path.get(i).is_none_or(|&b| b == b'/'))
}

/// Refuses what is no path beneath a directory.
pub(crate) fn check_path(path: &[u8]) -> Result<()> {
    let problem = if path.is_empty() {
        Some("it is empty")
    } else if path.starts_with(b"/") {
        Some("it is absolute")
    } else if path.contains(&0) {
        Some("it has a NUL")
    } else if path.len() > PATH_MAX {
        Some("it is over 4,096 bytes")
    } else {
        path.split(|&b| b == b'/').find_map(|part| match part {
            b"" => Some("it has an empty component"),
            b"." => Some("it has a component \".\""),
            b".." => Some("it leads out of the directory"),
            _ => (part.len() > NAME_MAX).then_some("a component of it is over 255 bytes"),
        })
    };
    let refused = |problem| Error::new(ErrorKind::InvalidInput, "use the path").caused_by(problem);
    problem.map_or(Ok(()), |problem: &str| Err(refused(problem).at(os(path))))
}

pub(crate) fn os(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(path)
}

/// An error about a path beneath: what a link or file in the place of a directory means is said.
pub(crate) fn fail(operation: &'static str, path: &[u8], errno: Errno) -> Error {
    match errno {
        Errno::LOOP => Error::new(ErrorKind::InvalidInput, operation)
            .at(os(path))
            .caused_by("a link stands where a directory is needed"),
        Errno::NOTDIR => Error::new(ErrorKind::InvalidInput, operation)
            .at(os(path))
            .caused_by("something else stands where a directory is needed"),
        Errno::ISDIR => Error::new(ErrorKind::InvalidInput, operation)
            .at(os(path))
            .caused_by("a directory stands in its place"),
        _ => Error::io(operation, errno).at(os(path)),
    }
}
