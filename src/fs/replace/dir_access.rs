//! Opens directories of a tree, including those whose modes deny access to their owner.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use crate::fs::{beneath::Beneath, open_flags::DIRECTORY, replace::faults, sys};

/// A directory of a tree, open. If the modes of its parents deny access to their owner, the access is
/// granted until this is dropped.
pub(crate) struct OpenDir<'a> {
    fd: DirFd<'a>,
    granted: Vec<GrantedAccess>,
}

enum DirFd<'a> {
    Root(BorrowedFd<'a>),
    Beneath(OwnedFd),
}

impl AsFd for OpenDir<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            DirFd::Root(fd) => *fd,
            DirFd::Beneath(fd) => fd.as_fd(),
        }
    }
}

impl OpenDir<'_> {
    /// Sets the mode of the directory. It is not reset by the drop.
    pub(crate) fn set_mode(mut self, mode: Mode) -> Result<(), Errno> {
        chmod(&self, mode)?;
        let id = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
        let own = id(self.as_fd())?;
        if let Some(last) = self.granted.pop_if(|last| id(last.dir.as_fd()) == Ok(own)) {
            last.keep();
        }
        Ok(())
    }
}

/// Opens a directory of a tree. Fails with `ELOOP` if a component is a link.
pub(crate) fn open_dir<'a>(tree: &'a Beneath, path: &[u8]) -> Result<OpenDir<'a>, Errno> {
    if path.is_empty() {
        return Ok(OpenDir { fd: DirFd::Root(tree.as_fd()), granted: Vec::new() });
    }
    let opened = tree.dir(path).and_then(|dir| {
        // A user without the right to search a directory can open it, and cannot reach its entries.
        rustix::fs::statat(&dir, c".", AtFlags::empty()).map(|_| dir)
    });
    match opened {
        Err(Errno::ACCESS) => {}
        result => return Ok(OpenDir { fd: DirFd::Beneath(result?), granted: Vec::new() }),
    }
    let mut current = OpenDir { fd: DirFd::Root(tree.as_fd()), granted: Vec::new() };
    for name in path.split(|&b| b == b'/') {
        current.granted.extend(GrantedAccess::to_entry(&current, name)?);
        let next = rustix::fs::openat(&current, name, DIRECTORY, Mode::empty())?;
        current.fd = DirFd::Beneath(next);
    }
    Ok(current)
}

/// The right to read, write and search a directory that belongs to this process's user. A drop resets the
/// mode of the directory.
pub(crate) struct GrantedAccess {
    dir: OwnedFd,
    /// The previous mode; `None` if the directory keeps its new mode.
    mode: Option<Mode>,
}

impl GrantedAccess {
    /// Grants access to a directory. Returns `None` if it is granted already, or cannot be granted.
    pub(super) fn to_entry(dir: impl AsFd, name: &[u8]) -> Result<Option<GrantedAccess>, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(dir, name, flags, Mode::empty()) {
            Ok(dir) => GrantedAccess::to_dir(dir),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Grants access to an open directory. Returns `None` if it is granted already, or cannot be granted.
    pub(super) fn to_dir(dir: OwnedFd) -> Result<Option<GrantedAccess>, Errno> {
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&dir)?.st_mode & 0o7777);
        if mode.contains(Mode::RWXU) || chmod_path(&dir, mode | Mode::RWXU).is_err() {
            return Ok(None);
        }
        Ok(Some(GrantedAccess { dir, mode: Some(mode) }))
    }

    /// Lets the directory keep its new mode.
    pub(crate) fn keep(mut self) {
        self.mode = None;
    }
}

impl Drop for GrantedAccess {
    fn drop(&mut self) {
        if let Some(mode) = self.mode {
            let _ = chmod_path(&self.dir, mode);
        }
    }
}

fn chmod_path(dir: &OwnedFd, mode: Mode) -> Result<(), Errno> {
    faults::check()?;
    sys::chmod_path(dir, mode)
}

/// Opens a directory that will be removed, and changes its mode so that its entries can be removed.
pub(crate) fn open_for_removal(dir: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let open = || rustix::fs::openat(&dir, name, DIRECTORY, Mode::empty());
    match open() {
        Err(Errno::ACCESS) => {}
        Ok(opened) => {
            let mode = Mode::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode & 0o7777);
            if !mode.contains(Mode::RWXU) {
                // If the mode cannot be changed, the removal of the entries fails.
                let _ = chmod(&opened, mode | Mode::RWXU);
            }
            return Ok(opened);
        }
        result => return result,
    }
    if let Some(granted) = GrantedAccess::to_entry(&dir, name)? {
        granted.keep();
    }
    open()
}

fn chmod(fd: impl AsFd, mode: Mode) -> Result<(), Errno> {
    faults::check()?;
    rustix::fs::fchmod(fd, mode)
}
