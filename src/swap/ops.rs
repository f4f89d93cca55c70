//! Every change that the exchange makes to the file system, one system call each: where the tests
//! let it fail, or end as if the power had.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use crate::{
    sys,
    unpack::beneath::{Beneath, split},
    walk::root::DIRECTORY,
};

/// A place and a path in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a>(pub(crate) &'a Beneath, pub(crate) &'a [u8]);

impl At<'_> {
    pub(crate) fn parent(self) -> Result<(OwnedFd, Vec<u8>), Errno> {
        let (parent, name) = split(self.1);
        Ok((self.0.dir(parent)?, name.to_vec()))
    }

    pub(crate) fn exists(self) -> Result<bool, Errno> {
        match self.stat() {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn stat(self) -> Result<rustix::fs::Stat, Errno> {
        let (dir, name) = self.parent()?;
        rustix::fs::statat(&dir, &*name, AtFlags::SYMLINK_NOFOLLOW)
    }
}

/// Renames; over what is there only if `replace`.
pub(crate) fn rename(from: At<'_>, to: At<'_>, replace: bool) -> Result<(), Errno> {
    let (from_dir, from_name) = from.parent()?;
    let (to_dir, to_name) = to.parent()?;
    let rename = || {
        faults::check()?;
        match replace {
            true => rustix::fs::renameat(&from_dir, &*from_name, &to_dir, &*to_name),
            false => sys::rename_new(&from_dir, &*from_name, &to_dir, &*to_name),
        }
    };
    match rename() {
        // A directory's `..` changes with its parent, which takes the right to write to it.
        Err(Errno::ACCESS) => {
            let dir = rustix::fs::openat(&from_dir, &*from_name, DIRECTORY, Mode::empty())?;
            let mode = Mode::from_raw_mode(rustix::fs::fstat(&dir)?.st_mode);
            chmod(&dir, mode | Mode::RWXU)?;
            let renamed = rename();
            chmod(&dir, mode)?;
            renamed
        }
        result => result,
    }
}

/// Renames within one directory, over what is there.
pub(crate) fn rename_in(dir: impl AsFd, from: &[u8], to: &[u8]) -> Result<(), Errno> {
    faults::check()?;
    let dir = dir.as_fd();
    rustix::fs::renameat(dir, from, dir, to)
}

pub(crate) fn link(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    let (from_dir, from_name) = from.parent()?;
    let (to_dir, to_name) = to.parent()?;
    faults::check()?;
    rustix::fs::linkat(&from_dir, &*from_name, &to_dir, &*to_name, AtFlags::empty())
}

pub(crate) fn make_dir(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    faults::check()?;
    rustix::fs::mkdirat(dir, name, Mode::RWXU)
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

pub(crate) fn set_times(fd: impl AsFd, mtime_ns: i64) -> Result<(), Errno> {
    faults::check()?;
    rustix::fs::futimens(fd, &crate::unpack::times(mtime_ns))
}

/// Writes a whole file and makes it durable, but not its name.
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
    rustix::fs::fsync(fd)
}

/// Makes everything on the file system durable: one call where a tree would take thousands.
pub(crate) fn sync_all(fd: impl AsFd) -> Result<(), Errno> {
    faults::check()?;
    rustix::fs::syncfs(fd)
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

    /// What the change of some number does, on this thread.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Fault {
        /// It fails.
        Fail(Errno),
        /// It does not happen, nor does any after it: the process was killed.
        Kill,
    }

    thread_local! {
        static PLAN: Cell<Option<(u32, Fault)>> = const { Cell::new(None) };
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }

    /// Begins to count anew, with a fault at the change of this number, or none.
    pub(crate) fn plan(fault: Option<(u32, Fault)>) {
        PLAN.set(fault);
        COUNT.set(0);
    }

    /// How many changes there were since.
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
