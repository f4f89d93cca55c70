//! All changes that an exchange makes to the file system. Each function makes one system call. The tests
//! let a call fail, or let it and all later ones not happen, as if the process had been killed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Uid},
    io::Errno,
};

use crate::fs::{
    beneath::{Beneath, split},
    durable,
    open_flags::DIRECTORY,
    sys,
    unpack::times,
};

/// A path in a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a>(pub(crate) &'a Beneath, pub(crate) &'a [u8]);

impl<'a> At<'a> {
    fn parent(self) -> Result<(OpenDir<'a>, &'a [u8]), Errno> {
        let (parent, name) = split(self.1);
        Ok((dir(self.0, parent)?, name))
    }

    pub(crate) fn exists(self) -> Result<bool, Errno> {
        match self.stat() {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn stat(self) -> Result<rustix::fs::Stat, Errno> {
        let (dir, name) = self.parent()?;
        rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    pub(crate) fn make_dir(self) -> Result<(), Errno> {
        let (dir, name) = self.parent()?;
        make_dir(&dir, name)
    }

    pub(crate) fn remove_dir(self) -> Result<(), Errno> {
        let (dir, name) = self.parent()?;
        remove_dir(&dir, name)
    }
}

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

/// Opens a directory of a tree. A link on the way is `ELOOP`.
pub(crate) fn dir<'a>(tree: &'a Beneath, path: &[u8]) -> Result<OpenDir<'a>, Errno> {
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
    fn to_entry(dir: impl AsFd, name: &[u8]) -> Result<Option<GrantedAccess>, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(dir, name, flags, Mode::empty()) {
            Ok(dir) => GrantedAccess::to_dir(dir),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn to_dir(dir: OwnedFd) -> Result<Option<GrantedAccess>, Errno> {
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

/// Renames an entry. An existing entry is replaced only if `replace` is set.
pub(crate) fn rename(from: At<'_>, to: At<'_>, replace: bool) -> Result<(), Errno> {
    let (from_dir, from_name) = from.parent()?;
    let (to_dir, to_name) = to.parent()?;
    let rename = || {
        faults::check()?;
        match replace {
            true => rustix::fs::renameat(&from_dir, from_name, &to_dir, to_name),
            false => sys::rename_free(&from_dir, from_name, &to_dir, to_name),
        }
    };
    match rename() {
        // The rename changes both directories and, if the entry is a directory, its `..`.
        Err(Errno::ACCESS) => {
            let clone = |dir: &OpenDir<'_>| dir.as_fd().try_clone_to_owned().ok();
            let dirs = [clone(&from_dir), clone(&to_dir)];
            let mut granted = Vec::new();
            for dir in dirs.into_iter().flatten() {
                granted.extend(GrantedAccess::to_dir(dir)?);
            }
            granted.extend(GrantedAccess::to_entry(&from_dir, from_name)?);
            rename()
        }
        result => result,
    }
}

/// Returns the result of a change, and success if the entry was missing.
pub(crate) fn unless_gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

/// Renames within one directory. An existing entry is replaced.
pub(crate) fn rename_in(dir: impl AsFd, from: &[u8], to: &[u8]) -> Result<(), Errno> {
    faults::check()?;
    let dir = dir.as_fd();
    rustix::fs::renameat(dir, from, dir, to)
}

pub(crate) fn link(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    let (from_dir, from_name) = from.parent()?;
    let (to_dir, to_name) = to.parent()?;
    faults::check()?;
    rustix::fs::linkat(&from_dir, from_name, &to_dir, to_name, AtFlags::empty())
}

pub(crate) fn make_dir(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    faults::check()?;
    rustix::fs::mkdirat(dir, name, Mode::RWXU)
}

/// Makes an empty file, which must not exist.
pub(crate) fn make_file(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    faults::check()?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR).map(drop)
}

pub(crate) fn remove_file(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    faults::check()?;
    rustix::fs::unlinkat(dir, name, AtFlags::empty())
}

pub(crate) fn remove_dir(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    faults::check()?;
    rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
}

pub(crate) fn chmod(fd: impl AsFd, mode: Mode) -> Result<(), Errno> {
    faults::check()?;
    rustix::fs::fchmod(fd, mode)
}

pub(crate) fn chown(fd: impl AsFd, uid: Uid, gid: Gid) -> Result<(), Errno> {
    faults::check()?;
    rustix::fs::fchown(fd, Some(uid), Some(gid))
}

pub(crate) fn set_times(fd: impl AsFd, mtime_ns: i64) -> Result<(), Errno> {
    faults::check()?;
    rustix::fs::futimens(fd, &times(mtime_ns))
}

/// Writes a whole file and makes its content durable. Its name is not made durable.
pub(crate) fn write_file(dir: impl AsFd, name: &[u8], bytes: &[u8]) -> Result<(), Errno> {
    faults::check()?;
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        faults::check()?;
        let n = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
        rest = &rest[n..];
    }
    sync(&file)
}

pub(crate) fn sync(fd: impl AsFd) -> Result<(), Errno> {
    faults::check()?;
    sys::sync(fd)
}

/// Makes a whole tree durable.
pub(crate) fn sync_tree(tree: &Beneath) -> Result<(), Errno> {
    faults::check()?;
    durable::sync_tree(tree)
}

/// Makes directories of a tree durable. Missing ones are skipped.
pub(crate) fn sync_dirs<'a>(
    tree: &Beneath,
    dirs: impl Iterator<Item = &'a [u8]>,
) -> Result<(), Errno> {
    faults::check()?;
    if durable::sync_file_system(tree)? {
        return Ok(());
    }
    let mut last = None;
    for path in dirs.filter(|path| last.replace(*path) != Some(*path)) {
        match dir(tree, path).and_then(|dir| sys::sync(&dir)) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            result => result?,
        }
    }
    Ok(())
}

#[cfg(not(test))]
mod faults {
    pub(super) fn check() -> Result<(), rustix::io::Errno> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod faults {
    use std::cell::Cell;

    use rustix::io::Errno;

    /// The behavior of one change on this thread.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Fault {
        /// It fails.
        Fail(Errno),
        /// It does not happen, and neither does any later one, as if the process had been killed.
        Kill,
    }

    thread_local! {
        static PLAN: Cell<Option<(u32, Fault)>> = const { Cell::new(None) };
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }

    /// Starts to count the changes from 0, with a fault at the change of this number.
    pub(crate) fn plan(fault: Option<(u32, Fault)>) {
        PLAN.set(fault);
        COUNT.set(0);
    }

    /// Returns the number of changes since [`plan`].
    pub(crate) fn count() -> u32 {
        COUNT.get()
    }

    pub(super) fn check() -> Result<(), Errno> {
        let n = COUNT.replace(COUNT.get() + 1);
        match PLAN.get() {
            Some((at, Fault::Fail(errno))) if n == at => Err(errno),
            Some((at, Fault::Kill)) if n >= at => Err(Errno::IO),
            _ => Ok(()),
        }
    }
}
