//! All changes that an exchange makes to the file system. Each function makes one system call. The tests
//! let a call fail, or let it and all later ones not happen, as if the process had been killed.

use std::os::fd::AsFd;

use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Uid},
    io::Errno,
};

use crate::fs::{
    beneath::{Beneath, split},
    durable,
    replace::{
        dir_access::{GrantedAccess, OpenDir, open_dir},
        faults,
    },
    sys,
    unpack::times,
};

/// A path in a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a>(pub(crate) &'a Beneath, pub(crate) &'a [u8]);

impl<'a> At<'a> {
    fn parent(self) -> Result<(OpenDir<'a>, &'a [u8]), Errno> {
        let (parent, name) = split(self.1);
        Ok((open_dir(self.0, parent)?, name))
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
        match open_dir(tree, path).and_then(|dir| sys::sync(&dir)) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            result => result?,
        }
    }
    Ok(())
}
